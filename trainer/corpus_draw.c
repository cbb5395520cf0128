/* What a machine needs that has tasks, but no text to build them from. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/corpus.h"

void syn_corpus_free(syn_ctx *ctx, syn_corpus *c)
{
    free(c->record);
    free(c->weight);
    syn_tasks_free(ctx, &c->tasks);
    memset(c, 0, sizeof *c);
}

syn_status syn_corpus_upload(syn_ctx *ctx, syn_corpus *c)
{
    if (ctx->device == SYN_DEVICE_CPU) return SYN_OK;
    SYN_RETURN_IF(syn_tasks_alloc(ctx, &c->device_tasks, c->tasks.count));
    const syn_status st = syn_tasks_upload(ctx, &c->device_tasks, 0, &c->tasks);
    if (st != SYN_OK) syn_corpus_unload(ctx, c);
    return st;
}

void syn_corpus_unload(syn_ctx *ctx, syn_corpus *c)
{
    if (ctx->device != SYN_DEVICE_CPU) syn_tasks_free(ctx, &c->device_tasks);
}

_Static_assert((int)SYN_DRAW_BLOCKS_MAX >= (int)SYN_SOURCES_MAX, "a block for every file");

/* Files come one after the other, so a list has no more blocks than there are files. */
syn_draw syn_corpus_draw(const syn_corpus *c, const int32_t *record, int64_t records)
{
    syn_draw d = {0};
    double sum[SYN_DRAW_BLOCKS_MAX] = {0}, all = 0;
    for (int64_t r = 0; c->weight && r < records; r++) {
        const float weight = c->weight[record[r]];
        if (r == 0 || weight != c->weight[record[r - 1]]) {
            assert(d.blocks < SYN_DRAW_BLOCKS_MAX);
            d.blocks++;
        }
        all += (double)weight;
        sum[d.blocks - 1] = all;
        d.end[d.blocks - 1] = r + 1;
    }
    for (int b = 0; b < d.blocks; b++) d.below[b] = (uint64_t)(sum[b] / all * 0x1p32 + 0.5);
    return d;
}
