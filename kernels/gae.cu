#include "kernels/gae.h"

#include "kernels/reduce.cuh"

enum { THREADS = 256, GAE_THREADS = 64, CHUNK = 4096, CHUNKS_MAX = 512 };

/* A thread for each environment: neighbours read neighbouring elements of every step. */
static __global__ void gae_kernel(int64_t T, int64_t E, const float *reward, const float *value,
                                  const uint8_t *done, float gamma, float lambda, float *advantage,
                                  float *ret)
{
    const int64_t e = (int64_t)blockIdx.x * GAE_THREADS + threadIdx.x;
    if (e >= E) return;
    float carry = 0, next = T > 0 ? value[T * E + e] : 0;
#pragma unroll 4
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t i = t * E + e;
        const float go = done[i] ? 0 : gamma, v = value[i];
        carry = fmaf(go * lambda, carry, fmaf(go, next, reward[i]) - v);
        next = v;
        advantage[i] = carry;
        ret[i] = carry + v;
    }
}

extern "C" syn_status syn_gae_cuda(syn_ctx *ctx, int64_t T, int64_t E, const float *reward,
                                   const float *value, const uint8_t *done, float gamma,
                                   float lambda, float *advantage, float *ret)
{
    if (E == 0 || T == 0) return SYN_OK;
    SYN_LAUNCH(ctx, gae_kernel, syn_blocks(E, GAE_THREADS), GAE_THREADS, 0, T, E, reward, value,
               done, gamma, lambda, advantage, ret);
    SYN_LAUNCH_CHECK(ctx, "advantages");
    return SYN_OK;
}

/* The sum of `parts` numbers by one block. */
static __device__ double parts_sum(int parts, const double *part, double *shared)
{
    double sum = 0;
    for (int i = threadIdx.x; i < parts; i += THREADS) sum += part[i];
    return syn_block_sum<THREADS>(sum, shared);
}

/* A block's part of sum x, or, where the parts of that are given, of sum (x - mean)^2. */
static __global__ void moment_kernel(int64_t n, const float *x, const double *mean_part,
                                     double *part)
{
    __shared__ double shared[THREADS / SYN_WARP];
    const double mean = mean_part ? parts_sum(gridDim.x, mean_part, shared) / (double)n : 0;
    double sum = 0;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS) {
        const double d = (double)x[i] - mean;
        sum += mean_part ? d * d : d;
    }
    sum = syn_block_sum<THREADS>(sum, shared);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

static __global__ void scale_kernel(int64_t n, float *x, int parts, const double *mean_part,
                                    const double *square_part)
{
    __shared__ double shared[THREADS / SYN_WARP];
    const double mean = parts_sum(parts, mean_part, shared) / (double)n;
    const double deviation = sqrt(parts_sum(parts, square_part, shared) / (double)n);
    const double scale = 1 / (deviation + 1e-8);
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS)
        x[i] = (float)(((double)x[i] - mean) * scale);
}

extern "C" syn_status syn_normalise_cuda(syn_ctx *ctx, int64_t n, float *x)
{
    const int64_t chunks = (n + CHUNK - 1) / CHUNK;
    const int blocks = (int)(chunks < CHUNKS_MAX ? chunks : CHUNKS_MAX);
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    double *mean = SYN_SCRATCH(ctx, double, blocks), *square = SYN_SCRATCH(ctx, double, blocks);
    if (!mean || !square) goto done;
    SYN_LAUNCH(ctx, moment_kernel, blocks, THREADS, 0, n, x, (const double *)NULL, mean);
    SYN_TRY(syn_cuda_check(ctx, "mean", __FILE__, __LINE__));
    SYN_LAUNCH(ctx, moment_kernel, blocks, THREADS, 0, n, x, (const double *)mean, square);
    SYN_TRY(syn_cuda_check(ctx, "deviation", __FILE__, __LINE__));
    SYN_LAUNCH(ctx, scale_kernel, blocks, THREADS, 0, n, x, blocks, (const double *)mean,
               (const double *)square);
    SYN_TRY(syn_cuda_check(ctx, "normalising", __FILE__, __LINE__));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
