/* Which records phase 1 learns from, and which it keeps out for early stopping and calibration. */
#include <stdlib.h>

#include "trainer/pretrain.h"

typedef struct lists {
    const syn_corpus *corpus;
    syn_pretrain_split of; /* owned */
} lists;

/* Records that stand in several forms count once; their forms stay together. */
static int64_t distinct(const lists *r, const int32_t *records, int64_t count)
{
    int64_t n = 0;
    for (int64_t k = 0; k < count; k++)
        n += k == 0 || r->corpus->record[records[k]] != r->corpus->record[records[k - 1]];
    return n;
}

/* Of a few dozen records the hash may keep none: then one of every seven. */
static void split_evenly(lists *r)
{
    const int64_t n = r->of.train_count;
    int64_t number = 0, before = -1;
    r->of.train_count = 0;
    for (int64_t k = 0; k < n; k++) {
        const int32_t form = r->of.train[k];
        number += r->corpus->record[form] != before;
        before = r->corpus->record[form];
        if (number % 7 == 0)
            r->of.held[r->of.held_count++] = form;
        else
            r->of.train[r->of.train_count++] = form;
    }
}

static syn_status split(lists *r, const syn_dataset *ds, const int32_t *records, int64_t count)
{
    r->of.train = malloc(sizeof *r->of.train * (size_t)count);
    r->of.held = malloc(sizeof *r->of.held * (size_t)count);
    if (!r->of.train || !r->of.held)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records", (long long)count);
    for (int64_t k = 0; k < count; k++) {
        const syn_record *rec = &ds->records[r->corpus->record[records[k]]];
        if (syn_record_held_out(rec))
            r->of.held[r->of.held_count++] = records[k];
        else
            r->of.train[r->of.train_count++] = records[k];
    }
    if (!r->of.held_count) split_evenly(r);
    if (r->of.held_count && r->of.train_count) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT,
                    "%lld records are too few to keep some out for early stopping; with "
                    "--cross-fit 0 more are left",
                    (long long)distinct(r, records, count));
}

syn_status syn_pretrain_perception(syn_ctx *ctx, const syn_pretrain_config *cfg,
                                   const syn_dataset *ds, const syn_corpus *corpus,
                                   const int32_t *records, int64_t record_count, syn_perception *p,
                                   syn_pretrain_result *result)
{
    lists r = {.corpus = corpus};
    *p = (syn_perception){0};
    *result = (syn_pretrain_result){0};
    syn_status st = split(&r, ds, records, record_count);
    if (st == SYN_OK) st = syn_pretrain_fit(ctx, cfg, corpus, &r.of, p, result);
    free(r.of.train);
    free(r.of.held);
    return st;
}
