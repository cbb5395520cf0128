#include "benchmarks/random_legal.h"

#include "kernels/base/launch.cuh"

enum { THREADS = 128 };

__global__ void random_legal(int64_t E, const uint8_t *mask, uint64_t draw, int32_t *action)
{
    const int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (e >= E) return;
    const syn_philox x = syn_rng_block(1, SYN_STREAM_ACTION, draw * (uint64_t)E + (uint64_t)e);
    action[e] = syn_random_legal_one(mask + e * SYN_ACTIONS_MAX, x.x[0]);
}

extern "C" syn_status syn_random_legal_cuda(syn_ctx *ctx, int64_t E, const uint8_t *mask,
                                            uint64_t draw, int32_t *action)
{
    if (E == 0) return SYN_OK;
    SYN_LAUNCH(ctx, random_legal, (unsigned)((E + THREADS - 1) / THREADS), THREADS, 0, E, mask,
               draw, action);
    SYN_LAUNCH_CHECK(ctx, "random legal actions");
    return SYN_OK;
}
