#include "kernels/ffn.h"

#include "kernels/base/expmath.h"
#include "kernels/key_order.h"
#include "kernels/reduce.cuh"
#include "kernels/reduce.h"

enum { ROWS = 8 /* of a block: one for each warp */, THREADS = ROWS * SYN_WARP };

/* A thread takes the four elements of one random block. */
static __global__ void dropout_kernel(int64_t n, syn_dropout_source src, float *x)
{
    const int64_t block = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (block * 4 >= n) return;
    const syn_philox draw =
        syn_rng_block(src.seed, syn_dropout_counter(&src) << 8 | SYN_STREAM_DROPOUT,
                      (uint64_t)src.layer << 56 | (uint64_t)block);
    for (int i = 0; i < 4; i++) {
        float *to = x + block * 4 + i;
        if (block * 4 + i < n) *to = draw.x[i] >> 8 >= src.threshold ? *to * src.scale : 0;
    }
}

extern "C" syn_status syn_dropout_cuda(syn_ctx *ctx, int64_t n, const syn_dropout_source *src,
                                       float *x)
{
    SYN_LAUNCH(ctx, dropout_kernel, syn_blocks(n, 4 * THREADS), THREADS, 0, n, *src, x);
    SYN_LAUNCH_CHECK(ctx, "dropout");
    return SYN_OK;
}

static __global__ void gather_kernel(int64_t rows, int64_t D, const float *a, const int32_t *ia,
                                     const float *b, const int32_t *ib, const float *bias,
                                     syn_activation act, float *y)
{
    const int64_t r = (int64_t)blockIdx.x * ROWS + threadIdx.x / SYN_WARP;
    if (r >= rows) return;
    a += ia[r] * D;
    b += ib[r] * D;
    for (int64_t d = threadIdx.x % SYN_WARP; d < D; d += SYN_WARP) {
        float v = a[d] + b[d];
        if (bias) v += bias[d];
        if (act == SYN_ACT_RELU) v = v < 0 ? 0 : v; /* keeps NaN */
        y[r * D + d] = act == SYN_ACT_TANH ? syn_tanh(v) : v;
    }
}

extern "C" syn_status syn_gather_sum_forward_cuda(syn_ctx *ctx, int64_t rows, int64_t D,
                                                  const float *a, const int32_t *ia, const float *b,
                                                  const int32_t *ib, const float *bias,
                                                  syn_activation act, float *y)
{
    if (rows == 0) return SYN_OK;
    SYN_LAUNCH(ctx, gather_kernel, syn_blocks(rows, ROWS), THREADS, 0, rows, D, a, ia, b, ib, bias,
               act, y);
    SYN_LAUNCH_CHECK(ctx, "sums of gathered rows");
    return SYN_OK;
}

extern "C" syn_status syn_gather_sum_backward_cuda(syn_ctx *ctx, int64_t rows, int64_t D,
                                                   const int32_t *ia, const int32_t *ib,
                                                   const float *y, syn_activation act, float *dy,
                                                   int64_t na, float *da, int64_t nb, float *db,
                                                   float *dbias)
{
    if (rows == 0) return SYN_OK;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int32_t *order = SYN_SCRATCH(ctx, int32_t, rows), *spare = SYN_SCRATCH(ctx, int32_t, rows);
    if (!order || !spare) goto done;
    if (act != SYN_ACT_NONE) SYN_TRY(syn_linear_derive_cuda(ctx, rows, D, y, D, act, dy, D));
    SYN_TRY(syn_key_order_cuda(ctx, rows, NULL, ia, na, order, spare));
    SYN_TRY(syn_key_sum_cuda(ctx, rows, NULL, ia, na, order, NULL, NULL, D, dy, da));
    SYN_TRY(syn_key_order_cuda(ctx, rows, NULL, ib, nb, order, spare));
    SYN_TRY(syn_key_sum_cuda(ctx, rows, NULL, ib, nb, order, NULL, NULL, D, dy, db));
    if (dbias) SYN_TRY(syn_column_sum_cuda(ctx, rows, D, dy, D, dbias));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
