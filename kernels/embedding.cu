#include "kernels/embedding.h"

#include "kernels/key_order.h"
#include "kernels/reduce.cuh"

enum { BAGS = 8 /* of a block: one for each warp */, THREADS = BAGS * SYN_WARP };

static __global__ void forward_kernel(int64_t n, int64_t D, const int32_t *offset,
                                      const int32_t *id, const float *weight, const float *table,
                                      float *y, float *norm)
{
    const int64_t bag = (int64_t)blockIdx.x * BAGS + threadIdx.x / SYN_WARP;
    const int lane = threadIdx.x % SYN_WARP;
    if (bag >= n) return;
    const int32_t start = offset[bag], end = offset[bag + 1];
    double square = 0;
    for (int64_t d = lane; d < D; d += SYN_WARP) {
        float sum = 0;
#pragma unroll 4
        for (int32_t k = start; k < end; k++) sum = fmaf(weight[k], table[id[k] * D + d], sum);
        square += (double)sum * (double)sum;
        y[bag * D + d] = sum;
    }
    const float length = (float)sqrt(syn_warp_sum(square));
    const float scale = length > 0 ? 1 / length : 0;
    for (int64_t d = lane; d < D; d += SYN_WARP) y[bag * D + d] *= scale;
    if (lane == 0) norm[bag] = length;
}

extern "C" syn_status syn_embedding_bag_forward_cuda(syn_ctx *ctx, int64_t n, int64_t D,
                                                     const int32_t *offset, const int32_t *id,
                                                     const float *weight, const float *table,
                                                     float *y, float *norm)
{
    if (n == 0) return SYN_OK;
    SYN_LAUNCH(ctx, forward_kernel, syn_blocks(n, BAGS), THREADS, 0, n, D, offset, id, weight,
               table, y, norm);
    SYN_LAUNCH_CHECK(ctx, "embedding bags");
    return SYN_OK;
}

static __global__ void owner_kernel(int64_t n, const int32_t *offset, int32_t *owner)
{
    const int64_t bag = (int64_t)blockIdx.x * BAGS + threadIdx.x / SYN_WARP;
    if (bag >= n) return;
    for (int32_t k = offset[bag] + threadIdx.x % SYN_WARP; k < offset[bag + 1]; k += SYN_WARP)
        owner[k] = (int32_t)bag;
}

extern "C" syn_status syn_embedding_bag_plan_cuda(syn_ctx *ctx, int64_t n, const int32_t *offset,
                                                  const int32_t *id, int64_t V, int32_t *order,
                                                  int32_t *owner)
{
    if (n == 0) return SYN_OK;
    SYN_RETURN_IF(syn_key_order_cuda(ctx, 0, offset + n, id, V, order, owner));
    SYN_LAUNCH(ctx, owner_kernel, syn_blocks(n, BAGS), THREADS, 0, n, offset, owner);
    SYN_LAUNCH_CHECK(ctx, "owners of embedding bags");
    return SYN_OK;
}

/* Through the division by the length: ds = (dy - y (y . dy)) / |s|. */
static __global__ void norm_kernel(int64_t n, int64_t D, const float *y, const float *norm,
                                   const float *dy, float *ds)
{
    const int64_t bag = (int64_t)blockIdx.x * BAGS + threadIdx.x / SYN_WARP;
    const int lane = threadIdx.x % SYN_WARP;
    if (bag >= n) return;
    double dot = 0;
    for (int64_t d = lane; d < D; d += SYN_WARP)
        dot += (double)y[bag * D + d] * (double)dy[bag * D + d];
    const float along = (float)syn_warp_sum(dot), scale = norm[bag] > 0 ? 1 / norm[bag] : 0;
    for (int64_t d = lane; d < D; d += SYN_WARP)
        ds[bag * D + d] = scale * (dy[bag * D + d] - y[bag * D + d] * along);
}

extern "C" syn_status syn_embedding_bag_backward_cuda(syn_ctx *ctx, int64_t n, int64_t D,
                                                      const int32_t *offset, const int32_t *id,
                                                      const float *weight, const float *y,
                                                      const float *norm, const float *dy, int64_t V,
                                                      float *dtable, const int32_t *order,
                                                      const int32_t *owner)
{
    if (n == 0) return SYN_OK;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    float *ds = SYN_SCRATCH(ctx, float, n *D);
    if (!ds) goto done;
    SYN_LAUNCH(ctx, norm_kernel, syn_blocks(n, BAGS), THREADS, 0, n, D, y, norm, dy, ds);
    SYN_TRY(syn_cuda_check(ctx, "gradient of embedding bags", __FILE__, __LINE__));
    SYN_TRY(syn_key_sum_cuda(ctx, 0, offset + n, id, V, order, weight, owner, D, ds, dtable));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
