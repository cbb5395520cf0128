#include "benchmarks/random_legal.h"

syn_status syn_random_legal(syn_ctx *ctx, int64_t E, const uint8_t *mask, uint64_t draw,
                            int32_t *action)
{
    return SYN_DISPATCH(ctx, syn_random_legal, E, mask, draw, action);
}

syn_status syn_random_legal_cpu(syn_ctx *ctx, int64_t E, const uint8_t *mask, uint64_t draw,
                                int32_t *action)
{
    (void)ctx;
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < E; e++) {
        const syn_philox x = syn_rng_block(1, SYN_STREAM_ACTION, draw * (uint64_t)E + (uint64_t)e);
        action[e] = syn_random_legal_one(mask + e * SYN_ACTIONS_MAX, x.x[0]);
    }
    return SYN_OK;
}
