#include "trainer/crossfit.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"

int syn_crossfit_fold(const syn_record *r, int folds) { return (int)((r->id_key >> 16) % (uint64_t)folds); }

/* One fit: number folds is the one on all records, folds + 1 the one on shuffled labels. */
static syn_status fit(const syn_pretrain_config *cfg, const syn_dataset *ds, const syn_corpus *corpus,
                      int number, syn_crossfit *out)
{
    syn_ctx ctx;
    syn_status st = syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1);
    if (st != SYN_OK) return st;
    int32_t *records = malloc(sizeof *records * (size_t)corpus->records);
    int64_t count = 0;
    for (int64_t r = 0; records && r < corpus->records; r++) {
        bool left_out = number < out->folds &&
                        syn_crossfit_fold(&ds->records[corpus->record[r]], out->folds) == number;
        if (!left_out) records[count++] = (int32_t)r;
    }
    syn_pretrain_config c = *cfg;
    syn_pretrain_result unused;
    c.quiet |= number != out->folds;
    c.shuffled_labels = number > out->folds;
    syn_perception *p = number < out->folds ? &out->part[number] : number == out->folds ? &out->all : &out->shuffled;
    syn_pretrain_result *result = number < out->folds    ? &out->part_result[number]
                                  : number == out->folds ? &out->result
                                                         : &unused;
    st = records ? syn_pretrain_perception(&ctx, &c, ds, corpus, records, count, p, result)
                 : syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records", (long long)corpus->records);
    free(records);
    syn_ctx_free(&ctx);
    return st;
}

syn_status syn_crossfit_run(syn_ctx *ctx, const syn_pretrain_config *cfg, const syn_dataset *ds,
                            const syn_corpus *corpus, int folds, bool shuffled, syn_crossfit *out)
{
    SYN_REQUIRE(folds == 0 || (folds >= 2 && folds <= SYN_CROSSFIT_MAX), "cross-fitting takes 2 to %d folds, or 0",
                SYN_CROSSFIT_MAX);
    memset(out, 0, sizeof *out);
    out->folds = folds;
    out->has_shuffled = shuffled;
    const int fits = folds + 1 + shuffled;
    syn_status st = SYN_OK;
    char sentence[1024] = "";
    /* The fit on all comes first: it is the longest and shows the progress. */
    #pragma omp parallel for schedule(dynamic, 1) num_threads(ctx->threads)
    for (int k = 0; k < fits; k++) {
        int number = k == 0 ? folds : k <= folds ? k - 1 : k;
        syn_status s = fit(cfg, ds, corpus, number, out);
        if (s == SYN_OK) continue;
        #pragma omp critical
        {
            st = s; /* the sentence is this thread's; the caller's thread needs it */
            strncpy(sentence, syn_error_text(), sizeof sentence - 1);
        }
    }
    if (st == SYN_OK) return SYN_OK;
    syn_crossfit_free(ctx, out);
    return syn_fail(st, "%s", sentence);
}

void syn_crossfit_free(syn_ctx *ctx, syn_crossfit *x)
{
    syn_perception_free(ctx, &x->all);
    syn_perception_free(ctx, &x->shuffled);
    for (int k = 0; k < SYN_CROSSFIT_MAX; k++) syn_perception_free(ctx, &x->part[k]);
    memset(x, 0, sizeof *x);
}

int syn_crossfit_sources(const syn_crossfit *x, const syn_dataset *ds, const syn_corpus *corpus,
                         int32_t *record, syn_ppo_source sources[SYN_CROSSFIT_MAX])
{
    const int groups = x->folds ? x->folds : 1;
    int used = 0;
    int64_t at = 0;
    for (int k = 0; k < groups; k++) {
        const int64_t first = at;
        for (int64_t r = 0; r < corpus->records; r++) {
            if (!x->folds || syn_crossfit_fold(&ds->records[corpus->record[r]], x->folds) == k) {
                record[at++] = (int32_t)r;
            }
        }
        if (at == first) continue; /* a tiny corpus may leave a fold empty */
        sources[used++] = (syn_ppo_source){x->folds ? &x->part[k] : &x->all, record + first, at - first};
    }
    return used;
}
