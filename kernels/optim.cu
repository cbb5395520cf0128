#include "kernels/optim.h"

#include "kernels/reduce.cuh"

enum { THREADS = 256, CHUNK = 4096, CHUNKS_MAX = 1024 };

static __global__ void square_kernel(int64_t n, const float *g, double *part)
{
    __shared__ double shared[THREADS / SYN_WARP];
    double sum = 0;
#pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS)
        sum = fma((double)g[i], (double)g[i], sum);
    sum = syn_block_sum<THREADS>(sum, shared);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

static __global__ void root_kernel(int parts, const double *part, float *norm)
{
    __shared__ double shared[THREADS / SYN_WARP];
    double sum = 0;
    for (int i = threadIdx.x; i < parts; i += THREADS) sum += part[i];
    sum = syn_block_sum<THREADS>(sum, shared);
    if (threadIdx.x == 0) *norm = (float)sqrt(sum);
}

extern "C" syn_status syn_grad_norm_cuda(syn_ctx *ctx, int64_t n, const float *g, float *norm)
{
    const int64_t chunks = (n + CHUNK - 1) / CHUNK;
    const int blocks = (int)(chunks < CHUNKS_MAX ? chunks : CHUNKS_MAX);
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    double *part = SYN_SCRATCH(ctx, double, blocks);
    if (!part) goto done;
    if (blocks > 0) {
        SYN_LAUNCH(ctx, square_kernel, blocks, THREADS, 0, n, g, part);
        SYN_TRY(syn_cuda_check(ctx, "norm of the gradient", __FILE__, __LINE__));
    }
    SYN_LAUNCH(ctx, root_kernel, 1, THREADS, 0, blocks, (const double *)part, norm);
    SYN_TRY(syn_cuda_check(ctx, "norm of the gradient", __FILE__, __LINE__));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static __device__ __forceinline__ void adam_element(const syn_adam_scalars &s, float scale, float g,
                                                    float *p, float *m, float *v)
{
    const float h = scale * g;
    *m = fmaf(s.beta1, *m, (1 - s.beta1) * h);
    *v = fmaf(s.beta2, *v, (1 - s.beta2) * h * h);
    *p -= fmaf(s.decay, *p, s.rate * *m / fmaf(sqrtf(*v), s.root, s.eps));
}

/* Elements from..end of the buffers, four at a time; every step-th group of four. */
static __device__ __forceinline__ void adam_range(const syn_adam_scalars &s, float scale, int64_t n,
                                                  int64_t first, int64_t step, float *p,
                                                  const float *g, float *m, float *v)
{
    const bool aligned = ((uintptr_t)p | (uintptr_t)g | (uintptr_t)m | (uintptr_t)v) % 16 == 0;
    for (int64_t i = first * 4; i < n; i += step * 4) {
        if (aligned && i + 4 <= n) {
            float4 p4 = *(float4 *)(p + i), m4 = *(float4 *)(m + i), v4 = *(float4 *)(v + i);
            const float4 g4 = *(const float4 *)(g + i);
            adam_element(s, scale, g4.x, &p4.x, &m4.x, &v4.x);
            adam_element(s, scale, g4.y, &p4.y, &m4.y, &v4.y);
            adam_element(s, scale, g4.z, &p4.z, &m4.z, &v4.z);
            adam_element(s, scale, g4.w, &p4.w, &m4.w, &v4.w);
            *(float4 *)(p + i) = p4;
            *(float4 *)(m + i) = m4;
            *(float4 *)(v + i) = v4;
        } else {
            for (int64_t k = i; k < n && k < i + 4; k++)
                adam_element(s, scale, g[k], p + k, m + k, v + k);
        }
    }
}

static __global__ void adam_kernel(syn_adam_scalars s, float scale, int64_t n, float *p,
                                   const float *g, float *m, float *v)
{
    adam_range(s, scale, n, (int64_t)blockIdx.x * THREADS + threadIdx.x,
               (int64_t)gridDim.x * THREADS, p, g, m, v);
}

extern "C" syn_status syn_adam_all_cuda(syn_ctx *ctx, const syn_adam_scalars *s, float scale,
                                        int64_t n, float *p, const float *g, float *m, float *v)
{
    if (n == 0) return SYN_OK;
    SYN_LAUNCH(ctx, adam_kernel, syn_blocks_resident(n, 4 * THREADS, 8), THREADS, 0, *s, scale, n,
               p, g, m, v);
    SYN_LAUNCH_CHECK(ctx, "AdamW");
    return SYN_OK;
}

static __global__ void adam_rows_kernel(syn_adam_scalars s, float scale, const int32_t *row,
                                        int64_t D, float *p, const float *g, float *m, float *v)
{
    const int64_t at = row[blockIdx.x] * D;
    adam_range(s, scale, D, threadIdx.x, THREADS, p + at, g + at, m + at, v + at);
}

extern "C" syn_status syn_adam_rows_cuda(syn_ctx *ctx, const syn_adam_scalars *s, float scale,
                                         int64_t count, const int32_t *row, int64_t D, float *p,
                                         const float *g, float *m, float *v)
{
    if (count == 0) return SYN_OK;
    SYN_LAUNCH(ctx, adam_rows_kernel, (unsigned)count, THREADS, 0, *s, scale, row, D, p, g, m, v);
    SYN_LAUNCH_CHECK(ctx, "AdamW of rows");
    return SYN_OK;
}

static __global__ void adam_device_kernel(int64_t n, float *p, const float *g, float *m, float *v,
                                          const syn_adam_scalars *scalars, const float *norm,
                                          const int32_t *skip)
{
    if ((skip && *skip) || (norm && !isfinite(*norm))) return;
    const syn_adam_scalars s = *scalars;
    adam_range(s, norm ? syn_adam_clip(&s, *norm) : 1, n,
               (int64_t)blockIdx.x * THREADS + threadIdx.x, (int64_t)gridDim.x * THREADS, p, g, m,
               v);
}

extern "C" syn_status syn_adamw_device_cuda(syn_ctx *ctx, int64_t n, float *p, const float *g,
                                            float *m, float *v, const syn_adam_scalars *scalars,
                                            const float *norm, const int32_t *skip)
{
    if (n == 0) return SYN_OK;
    SYN_LAUNCH(ctx, adam_device_kernel, syn_blocks_resident(n, 4 * THREADS, 8), THREADS, 0, n, p, g,
               m, v, scalars, norm, skip);
    SYN_LAUNCH_CHECK(ctx, "AdamW");
    return SYN_OK;
}

/* Whoever finds one writes the same code, and a code that stood there before is seen by all: nobody
 * writes another in this launch. */
static __global__ void flag_kernel(int64_t n, const float *x, int32_t code, int32_t *flag)
{
    if (*(volatile int32_t *)flag) return;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS)
        if (!isfinite(x[i])) *(volatile int32_t *)flag = code;
}

extern "C" syn_status syn_flag_not_finite_cuda(syn_ctx *ctx, int64_t n, const float *x,
                                               int32_t code, int32_t *flag)
{
    if (n == 0) return SYN_OK;
    SYN_LAUNCH(ctx, flag_kernel, syn_blocks_resident(n, THREADS, 8), THREADS, 0, n, x, code, flag);
    SYN_LAUNCH_CHECK(ctx, "search for a number that is not finite");
    return SYN_OK;
}
