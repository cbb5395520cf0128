#include "trainer/session.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static syn_status open_device(syn_session *s, const syn_session_config *cfg)
{
    syn_device device = strcmp(cfg->device, "cuda") == 0 ? SYN_DEVICE_CUDA : SYN_DEVICE_CPU;
    if (device == SYN_DEVICE_CUDA) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "training runs on the CPU in this build: use --device cpu");
    }
    return syn_ctx_init(&s->ctx, device, (int)cfg->threads);
}

static int64_t mark(syn_session *s, const syn_session_config *cfg, bool train)
{
    syn_corpus_fold(&s->data, (int)cfg->folds, (int)cfg->fold, train, s->use);
    if (train && cfg->folds && cfg->title_disjoint) {
        uint8_t *keep = calloc((size_t)s->data.record_count, 1);
        if (keep) syn_dataset_title_disjoint(&s->data, (int)cfg->folds, (int)cfg->fold, keep);
        for (int64_t r = 0; keep && r < s->data.record_count; r++) s->use[r] &= keep[r];
        free(keep);
    }
    int64_t used = 0;
    for (int64_t r = 0; r < s->data.record_count; r++) used += s->use[r];
    return used;
}

syn_status syn_session_open(syn_session *s, const syn_session_config *cfg, bool train)
{
    syn_status st;
    memset(s, 0, sizeof *s);
    if (!cfg->data.count) {
        return syn_fail(SYN_ERR_USAGE, "--data is missing: give a cache made by 'syncog data prepare'");
    }
    if (cfg->folds == 1 || (cfg->folds && cfg->fold >= cfg->folds)) {
        return syn_fail(SYN_ERR_USAGE, "--fold %lld of --folds %lld does not exist", (long long)cfg->fold,
                        (long long)cfg->folds);
    }
    SYN_TRY(open_device(s, cfg));
    s->ready = true;
    for (int i = 0; i < cfg->data.count; i++) SYN_TRY(syn_dataset_load(&s->data, cfg->data.items[i]));
    s->use = calloc((size_t)s->data.record_count + 1, 1);
    if (!s->use) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records", (long long)s->data.record_count);
        goto done;
    }
    s->used = mark(s, cfg, train);
    if (s->used < 2) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: %lld usable records are too few, at least 2 are needed",
                      cfg->data.items[0], (long long)s->used);
    }
done:
    if (st != SYN_OK) syn_session_close(s);
    return st;
}

void syn_session_close(syn_session *s)
{
    free(s->use);
    syn_dataset_free(&s->data);
    if (s->ready) syn_ctx_free(&s->ctx);
    memset(s, 0, sizeof *s);
}

char *syn_session_provenance(const syn_session *s, const syn_session_config *cfg)
{
    json_t *sources = json_array();
    for (int i = 0; i < s->data.source_count; i++) {
        const syn_source *src = &s->data.sources[i];
        json_array_append_new(sources, json_pack("{s:s, s:s, s:s, s:I}", "name", src->name, "licence",
                                                 src->licence, "sha256", src->sha256, "records",
                                                 (json_int_t)src->records));
    }
    json_t *root = json_pack("{s:o, s:I, s:I, s:I}", "sources", sources, "records", (json_int_t)s->used, "folds",
                             (json_int_t)cfg->folds, "fold", (json_int_t)cfg->fold);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
