#include "trainer/crossfit.h"

#include <stdlib.h>
#include <string.h>

int syn_crossfit_fold(const syn_record *r, int folds)
{
    return (int)((syn_record_split_key(r) >> 16) % (uint64_t)folds);
}

/* What one fit is for: parts come first, then the fit on all, then the one on shuffled labels. */
typedef struct plan {
    const syn_pretrain_config *cfg;
    const syn_dataset *ds;
    const syn_corpus *corpus;
    int folds;
    syn_model *model;
    syn_pretrain_result *result;
} plan;

static syn_status fit(const plan *pl, int number)
{
    syn_ctx ctx;
    SYN_RETURN_IF(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    const bool part = number < pl->folds, all = number == pl->folds;
    int32_t *records = malloc(sizeof *records * (size_t)pl->corpus->records);
    int64_t count = 0;
    for (int64_t r = 0; records && r < pl->corpus->records; r++) {
        const syn_record *rec = &pl->ds->records[pl->corpus->record[r]];
        if (!part || syn_crossfit_fold(rec, pl->folds) != number) records[count++] = (int32_t)r;
    }
    syn_pretrain_config c = *pl->cfg;
    syn_pretrain_result unused;
    c.quiet |= !all;
    c.shuffled_labels = number > pl->folds;
    if (c.shuffled_labels) c.gap_steps = (c.gap_steps + 2) / 3; /* there is nothing to learn */
    syn_perception *p = part  ? &pl->model->part[number]
                        : all ? &pl->model->perception
                              : &pl->model->shuffled;
    syn_status st = records ? syn_pretrain_perception(&ctx, &c, pl->ds, pl->corpus, records, count,
                                                      p, all ? pl->result : &unused)
                            : syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                                       (long long)pl->corpus->records);
    free(records);
    syn_ctx_free(&ctx);
    return st;
}

syn_status syn_crossfit_run(syn_ctx *ctx, const syn_pretrain_config *cfg, const syn_dataset *ds,
                            const syn_corpus *corpus, int folds, bool shuffled, syn_model *model,
                            syn_pretrain_result *result)
{
    SYN_REQUIRE(folds == 0 || (folds >= 2 && folds <= SYN_MODEL_PARTS_MAX),
                "cross-fitting takes 2 to %d folds, or 0", SYN_MODEL_PARTS_MAX);
    const plan pl = {cfg, ds, corpus, folds, model, result};
    const int fits = folds + 1 + shuffled;
    syn_status st = SYN_OK;
    char sentence[1024] = "";
#pragma omp parallel for schedule(dynamic, 1) num_threads(ctx->threads)
    for (int k = 0; k < fits; k++) {
        int number = k == 0       ? folds
                     : k <= folds ? k - 1
                                  : k; /* the longest first; it shows the progress */
        syn_status s = fit(&pl, number);
        if (s == SYN_OK) continue;
#pragma omp critical
        {
            st = s; /* the sentence is that thread's; the caller's needs it */
            strncpy(sentence, syn_error_text(), sizeof sentence - 1);
        }
    }
    if (st != SYN_OK) return syn_fail(st, "%s", sentence);
    model->parts = folds;
    model->has_perception = true;
    model->has_shuffled = shuffled;
    return SYN_OK;
}

int syn_crossfit_sources(const syn_model *model, const syn_dataset *ds, const syn_corpus *corpus,
                         int32_t *record, syn_ppo_source sources[SYN_MODEL_PARTS_MAX])
{
    const int groups = model->parts ? model->parts : 1;
    int used = 0;
    int64_t at = 0;
    for (int k = 0; k < groups; k++) {
        const int64_t first = at;
        for (int64_t r = 0; r < corpus->records; r++) {
            const syn_record *rec = &ds->records[corpus->record[r]];
            if (syn_record_held_out(rec)) continue;
            if (!model->parts || syn_crossfit_fold(rec, model->parts) == k)
                record[at++] = (int32_t)r;
        }
        if (at == first) continue; /* a tiny corpus may leave a fold empty */
        sources[used++] = (syn_ppo_source){model->parts ? &model->part[k] : &model->perception,
                                           record + first, at - first};
    }
    return used;
}
