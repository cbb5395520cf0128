#include "trainer/run.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/log.h"

static syn_status open_device(syn_run *s, const syn_run_config *cfg)
{
    if (!cfg->own_device && strcmp(cfg->device, "cuda") == 0) {
        return syn_fail(SYN_ERR_UNSUPPORTED,
                        "only pretrain, train and bench run on CUDA: use --device cpu");
    }
    return syn_ctx_init(&s->ctx, SYN_DEVICE_CPU, (int)cfg->threads);
}

static syn_status mark(syn_run *s, const syn_run_config *cfg, bool train)
{
    const bool all = cfg->split && strcmp(cfg->split, "all") == 0;
    if (cfg->split) train = strcmp(cfg->split, "train") == 0;
    syn_corpus_fold(&s->data, all ? 0 : (int)cfg->folds, (int)cfg->fold, train, s->use);
    if (train && cfg->folds && cfg->title_disjoint) {
        uint8_t *keep = calloc((size_t)s->data.record_count + 1, 1);
        if (!keep)
            return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                            (long long)s->data.record_count);
        syn_dataset_title_disjoint(&s->data, (int)cfg->folds, (int)cfg->fold, keep);
        for (int64_t r = 0; r < s->data.record_count; r++) s->use[r] &= keep[r];
        free(keep);
    }
    for (int64_t r = 0; r < s->data.record_count; r++) s->used += s->use[r];
    return SYN_OK;
}

/* FILE.h5@WEIGHT, where there is no file of just that name. *bytes: of the path in `item`. */
static syn_status data_parse(const char *item, bool weighted, size_t *bytes, double *weight)
{
    const char *at = strrchr(item, '@');
    char *end = NULL;
    *bytes = strlen(item);
    *weight = 1;
    if (!at || strchr(at, '/') || access(item, F_OK) == 0) return SYN_OK;
    *weight = strtod(at + 1, &end);
    if (!at[1] || *end || strspn(at + 1, "0123456789.eE+-") != strlen(at + 1) ||
        !(*weight >= SYN_DATA_WEIGHT_MIN && *weight <= SYN_DATA_WEIGHT_MAX)) {
        return syn_fail(SYN_ERR_USAGE,
                        "--data %s: there is no file of this name, and '%s' behind the @ is no "
                        "weight: a number from %g to %g",
                        item, at + 1, SYN_DATA_WEIGHT_MIN, SYN_DATA_WEIGHT_MAX);
    }
    if (!weighted) {
        return syn_fail(SYN_ERR_USAGE,
                        "--data %s: only pretrain and train weigh their data; leave out @%s", item,
                        at + 1);
    }
    *bytes = (size_t)(at - item);
    return SYN_OK;
}

static syn_status load(syn_run *s, const char *item, bool weighted)
{
    const int before = s->data.source_count;
    size_t bytes;
    double weight;
    SYN_RETURN_IF(data_parse(item, weighted, &bytes, &weight));
    char *path = strndup(item, bytes);
    if (!path) return syn_fail(SYN_ERR_MEMORY, "out of memory for a path");
    syn_status st = syn_dataset_load(&s->data, path);
    for (int i = before; i < s->data.source_count; i++) s->weight[i] = weight;
    free(path);
    return st;
}

syn_status syn_run_open(syn_run *s, const syn_run_config *cfg, bool train)
{
    syn_status st;
    memset(s, 0, sizeof *s);
    if (!cfg->data.count) {
        return syn_fail(SYN_ERR_USAGE,
                        "--data is missing: give a cache made by 'syncog data prepare'");
    }
    if (cfg->folds == 1 || (cfg->folds && cfg->fold >= cfg->folds)) {
        return syn_fail(SYN_ERR_USAGE, "--fold %lld of --folds %lld does not exist",
                        (long long)cfg->fold, (long long)cfg->folds);
    }
    if (cfg->fold && !cfg->folds) {
        return syn_fail(SYN_ERR_USAGE, "--fold %lld says nothing without --folds",
                        (long long)cfg->fold);
    }
    if (train && cfg->title_disjoint && !cfg->folds) {
        return syn_fail(SYN_ERR_USAGE, "--title-disjoint says nothing without --folds");
    }
    SYN_TRY(open_device(s, cfg));
    s->ready = true;
    for (int i = 0; i < cfg->data.count; i++) SYN_TRY(load(s, cfg->data.items[i], cfg->weighted));
    s->use = calloc((size_t)s->data.record_count + 1, 1);
    if (!s->use) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                      (long long)s->data.record_count);
        goto done;
    }
    SYN_TRY(mark(s, cfg, train));
    if (s->used < 2) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: %lld usable records are too few, at least 2 are needed",
                      cfg->data.items[0], (long long)s->used);
    }
done:
    if (st != SYN_OK) syn_run_close(s);
    return st;
}

syn_status syn_run_out(syn_run *s, const char *path)
{
    struct stat status;
    const size_t bytes = strlen(path);
    if (!bytes) return syn_fail(SYN_ERR_USAGE, "--out is empty");
    s->out = strdup(path);
    if (!s->out) return syn_fail(SYN_ERR_MEMORY, "out of memory for a path");
    s->out_kept = bytes;
    for (size_t i = 1, before = 0; i <= bytes; i++) {
        if (path[i] && path[i] != '/') continue;
        s->out[i] = 0;
        int failure = mkdir(s->out, 0777) == 0 ? 0 : errno;
        s->out[i] = path[i];
        if (failure && failure != EEXIST) {
            return syn_fail(SYN_ERR_IO, "%s: cannot be made: %s", path, strerror(failure));
        }
        if (!failure && before < s->out_kept) s->out_kept = before;
        before = i;
    }
    if (stat(path, &status) != 0) return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(status.st_mode)) return syn_fail(SYN_ERR_IO, "%s: is not a folder", path);
    if (access(path, W_OK | X_OK) == 0) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

/* Folders with something in them stay: rmdir refuses. */
static void out_close(syn_run *s)
{
    for (size_t bytes = s->out ? strlen(s->out) : 0; bytes > s->out_kept;) {
        rmdir(s->out);
        while (bytes > s->out_kept && s->out[--bytes] != '/') {
        }
        s->out[bytes] = 0;
    }
    free(s->out);
}

syn_status syn_run_about_data(syn_status st, const syn_run_config *cfg)
{
    return st == SYN_ERR_FORMAT ? syn_fail_within(st, "%s", cfg->data.items[0]) : st;
}

void syn_run_close(syn_run *s)
{
    out_close(s);
    free(s->use);
    syn_dataset_free(&s->data);
    if (s->ready) syn_ctx_free(&s->ctx);
    memset(s, 0, sizeof *s);
}

void syn_run_check_folds(const syn_run_config *cfg, const char *dir, const char *provenance)
{
    json_t *j = provenance ? json_loads(provenance, 0, NULL) : NULL;
    const json_int_t folds = json_integer_value(json_object_get(j, "folds"));
    const json_int_t fold = json_integer_value(json_object_get(j, "fold"));
    json_decref(j);
    if (!cfg->folds || (folds == cfg->folds && fold == cfg->fold)) return;
    if (folds) {
        syn_log(SYN_LOG_WARN,
                "%s was trained with --folds %lld --fold %lld, not with --folds %lld --fold %lld: "
                "records "
                "of this fold may have been learnt from",
                dir, (long long)folds, (long long)fold, (long long)cfg->folds,
                (long long)cfg->fold);
    } else {
        syn_log(SYN_LOG_WARN,
                "%s was trained without --folds: records of this fold may have been learnt from",
                dir);
    }
}

char *syn_run_provenance(const syn_run *s, const syn_run_config *cfg)
{
    json_t *sources = json_array();
    bool alike = true;
    for (int i = 0; i < s->data.source_count; i++) alike = alike && s->weight[i] == s->weight[0];
    for (int i = 0; i < s->data.source_count; i++) {
        const syn_source *src = &s->data.sources[i];
        json_t *j = json_pack("{s:s, s:s, s:s, s:I}", "name", src->name, "licence", src->licence,
                              "sha256", src->sha256, "records", (json_int_t)src->records);
        if (!alike) json_object_set_new(j, "weight", json_real(s->weight[i]));
        json_array_append_new(sources, j);
    }
    json_t *root =
        json_pack("{s:o, s:I, s:I, s:I}", "sources", sources, "records", (json_int_t)s->used,
                  "folds", (json_int_t)cfg->folds, "fold", (json_int_t)cfg->fold);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

syn_status syn_run_env(const syn_run_config *cfg, syn_env_config *env)
{
    const syn_env_config standard = SYN_ENV_CONFIG_DEFAULT;
    int low = 0, high = 0, end = 0;
    *env = standard;
    if (sscanf(cfg->num_agents_range, "%d%*1[-,]%d%n", &low, &high, &end) != 2 ||
        cfg->num_agents_range[end] || low < 2 || high > SYN_AGENTS_MAX || low > high) {
        return syn_fail(SYN_ERR_USAGE,
                        "--num-agents-range is \"%s\"; it is A-B with 2 <= A <= B <= %d",
                        cfg->num_agents_range, SYN_AGENTS_MAX);
    }
    env->agents_min = low;
    env->agents_max = high;
    env->goal = strcmp(cfg->goal, "consensus") == 0 ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER;
    env->turns_max = (int32_t)cfg->max_rounds;
    env->read_limit = (int32_t)cfg->read_limit;
    return SYN_OK;
}
