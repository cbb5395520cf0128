#include "trainer/crossfit.h"

#include <stdlib.h>
#include <string.h>

int syn_crossfit_fold(const syn_record *r, int folds)
{
    return (int)((syn_record_split_key(r) >> 16) % (uint64_t)folds);
}

/* What one fit is for: parts come first, then the fit on all, then the one on shuffled labels. */
typedef struct plan {
    const syn_ctx *ctx; /* on whose device */
    const syn_pretrain_config *cfg;
    const syn_dataset *ds;
    const syn_corpus *corpus;
    int folds;
    syn_model *model;
    syn_pretrain_result *result;
} plan;

static syn_status fit_on(syn_ctx *ctx, const plan *pl, int number)
{
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
    syn_status st = records ? syn_pretrain_perception(ctx, &c, pl->ds, pl->corpus, records, count,
                                                      p, all ? pl->result : &unused)
                            : syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                                       (long long)pl->corpus->records);
    free(records);
    return st;
}

/* In a context of its own, of one thread. */
static syn_status fit(const plan *pl, int number)
{
    syn_ctx ctx;
    if (pl->ctx->device != SYN_DEVICE_CPU) syn_device_select(syn_dist_local_rank());
    SYN_RETURN_IF(syn_ctx_init(&ctx, pl->ctx->device, 1));
    ctx.math = pl->ctx->math;
    const syn_status st = fit_on(&ctx, pl, number);
    syn_ctx_free(&ctx);
    return st;
}

/* The longest first; it shows the progress. */
static int number_of(const plan *pl, int k)
{
    return k == 0 ? pl->folds : k <= pl->folds ? k - 1 : k;
}

/* The ranks share each fit, so fits follow one another: what the ranks sum is on ctx's device, in
 * the order of its stream. */
static syn_status fit_together(syn_ctx *ctx, const plan *pl, int fits)
{
    for (int k = 0; k < fits; k++) SYN_RETURN_IF(fit_on(ctx, pl, number_of(pl, k)));
    return SYN_OK;
}

static syn_status fit_side_by_side(const plan *pl, int fits, int threads)
{
    syn_status st = SYN_OK;
    char sentence[1024] = "";
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int k = 0; k < fits; k++) {
        syn_status s = fit(pl, number_of(pl, k));
        if (s == SYN_OK) continue;
#pragma omp critical
        {
            st = s; /* the sentence is that thread's; the caller's needs it */
            strncpy(sentence, syn_error_text(), sizeof sentence - 1);
        }
    }
    return st == SYN_OK ? st : syn_fail(st, "%s", sentence);
}

syn_status syn_crossfit_run(syn_ctx *ctx, const syn_pretrain_config *cfg, const syn_dataset *ds,
                            const syn_corpus *corpus, int folds, bool shuffled, syn_model *model,
                            syn_pretrain_result *result)
{
    SYN_REQUIRE(folds == 0 || (folds >= 2 && folds <= SYN_MODEL_PARTS_MAX),
                "cross-fitting takes 2 to %d folds, or 0", SYN_MODEL_PARTS_MAX);
    const plan pl = {ctx, cfg, ds, corpus, folds, model, result};
    const int fits = folds + 1 + shuffled;
    SYN_RETURN_IF(syn_dist_size(cfg->dist) > 1 ? fit_together(ctx, &pl, fits)
                                               : fit_side_by_side(&pl, fits, ctx->threads));
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
