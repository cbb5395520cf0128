#include "engine/perception_device.h"
#include "kernels/attention.h"
#include "kernels/base/launch.cuh"
#include "kernels/linear.h"
#include "kernels/lstm.h"
#include "kernels/reduce.cuh"

enum { THREADS = SYN_CKM, RESIDENT = 8 };

/* A block takes a memory, a thread a column. */
static __global__ void __launch_bounds__(THREADS)
    mean_pool_kernel(int64_t capacity, const int32_t *live, const int32_t *offset, const float *in,
                     const float *empty, float *alpha, float *ckm)
{
    const int d = (int)threadIdx.x;
    const int64_t n = syn_live(capacity, live);
    for (int64_t b = blockIdx.x; b < n; b += gridDim.x) {
        const int64_t first = offset[b], end = offset[b + 1];
        const float weight = 1.0f / (float)(end - first);
        float sum = end > first ? 0 : empty[d];
        for (int64_t r = first; r < end; r++) {
            if (d == 0) alpha[r] = weight;
            sum += in[r * SYN_CKM + d] * weight;
        }
        ckm[b * SYN_CKM + d] = sum;
    }
}

extern "C" syn_status syn_mean_pool_cuda(syn_ctx *ctx, int64_t capacity, const int32_t *live,
                                         const int32_t *offset, const real *in, const real *empty,
                                         real *alpha, real *ckm)
{
    if (capacity == 0) return SYN_OK;
    SYN_LAUNCH(ctx, mean_pool_kernel, syn_blocks_resident(capacity, 1, RESIDENT), THREADS, 0,
               capacity, live, offset, in, empty, alpha, ckm);
    SYN_LAUNCH_CHECK(ctx, "means of memories");
    return SYN_OK;
}

/* A block takes a memory; block 0 then sums what the empty ones get, in their order. */
static __global__ void __launch_bounds__(THREADS)
    mean_pool_backward_kernel(int64_t batch, const int32_t *offset, const float *dckm, float *din,
                              float *dempty)
{
    const int d = (int)threadIdx.x;
    for (int64_t b = blockIdx.x; b < batch; b += gridDim.x) {
        const int64_t first = offset[b], end = offset[b + 1];
        for (int64_t r = first; r < end; r++)
            din[r * SYN_CKM + d] = dckm[b * SYN_CKM + d] / (float)(end - first);
    }
    if (blockIdx.x != 0) return;
    for (int64_t b = 0; b < batch; b++)
        if (offset[b] == offset[b + 1]) dempty[d] += dckm[b * SYN_CKM + d];
}

extern "C" syn_status syn_mean_pool_backward_cuda(syn_ctx *ctx, const syn_seq *seq,
                                                  const real *dckm, real *din, real *dempty)
{
    if (seq->batch == 0) return SYN_OK;
    SYN_LAUNCH(ctx, mean_pool_backward_kernel, syn_blocks_resident(seq->batch, 1, RESIDENT),
               THREADS, 0, seq->batch, seq->offset, dckm, din, dempty);
    SYN_LAUNCH_CHECK(ctx, "means of memories, backward");
    return SYN_OK;
}

/* A block takes an agent. */
static __global__ void __launch_bounds__(THREADS)
    others_mean_kernel(int64_t agents, const int32_t *first, const int32_t *size, int64_t width,
                       const float *in, float *out, bool accumulate)
{
    for (int64_t i = blockIdx.x; i < agents; i += gridDim.x) {
        const int64_t from = first[i], n = size[i];
        const float scale = n > 1 ? 1.0f / (float)(n - 1) : 0.0f;
        for (int64_t d = threadIdx.x; d < width; d += THREADS) {
            float sum = accumulate ? out[i * width + d] : 0.0f;
            for (int64_t j = from; j < from + n; j++)
                if (j != i) sum += scale * in[j * width + d];
            out[i * width + d] = sum;
        }
    }
}

extern "C" syn_status syn_others_mean_cuda(syn_ctx *ctx, const syn_team_batch *b, int64_t width,
                                           const real *in, real *out, bool accumulate)
{
    if (b->agents == 0) return SYN_OK;
    SYN_LAUNCH(ctx, others_mean_kernel, syn_blocks_resident(b->agents, 1, RESIDENT), THREADS, 0,
               b->agents, b->first, b->size, width, in, out, accumulate);
    SYN_LAUNCH_CHECK(ctx, "means of the others");
    return SYN_OK;
}

static __global__ void __launch_bounds__(THREADS)
    pair_rows_kernel(int64_t agents, int64_t links, const int32_t *link_i, const int32_t *link_j,
                     int32_t *ia, int32_t *ib)
{
    const int64_t r = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (r >= agents + links) return;
    ia[r] = r < agents ? (int32_t)r : link_i[r - agents];
    ib[r] = r < agents ? (int32_t)(agents + r) : link_j[r - agents];
}

extern "C" syn_status syn_pair_rows_cuda(syn_ctx *ctx, const syn_team_batch *b, int32_t *ia,
                                         int32_t *ib)
{
    const int64_t rows = b->agents + b->links;
    if (rows == 0) return SYN_OK;
    SYN_LAUNCH(ctx, pair_rows_kernel, syn_blocks(rows, THREADS), THREADS, 0, b->agents, b->links,
               b->link_i, b->link_j, ia, ib);
    SYN_LAUNCH_CHECK(ctx, "rows of the gap detector");
    return SYN_OK;
}

static syn_status ckm_live(syn_ctx *ctx, const syn_perception *p, int64_t capacity,
                           const int32_t *live, int64_t rows_capacity, const int32_t *live_rows,
                           const int32_t *offset, const real *items, const real *bias, real *ckm)
{
    const syn_params *t = &p->params;
    float *in, *h, *alpha;
    SYN_TAKE(ctx, in, float, rows_capacity *SYN_DI_HIDDEN);
    SYN_TAKE(ctx, alpha, float, rows_capacity);
    SYN_RETURN_IF(syn_linear_live(ctx, rows_capacity, live_rows, SYN_DI, SYN_DI_HIDDEN, items,
                                  SYN_DI, syn_value(t, SYN_P_IN_W), syn_value(t, SYN_P_IN_B),
                                  SYN_ACT_RELU, in, SYN_DI_HIDDEN));
    if (p->without & SYN_WITHOUT_CKM) {
        return syn_mean_pool_cuda(ctx, capacity, live, offset, in, syn_value(t, SYN_P_EMPTY), alpha,
                                  ckm);
    }
    SYN_TAKE(ctx, h, float, rows_capacity *SYN_CKM);
    SYN_RETURN_IF(syn_bilstm_forward_live_cuda(
        ctx, capacity, live, offset, rows_capacity, live_rows, SYN_DI_HIDDEN, SYN_CKM_HALF, in,
        syn_value(t, SYN_P_WF), syn_value(t, SYN_P_RF), syn_value(t, SYN_P_BF),
        syn_value(t, SYN_P_WR), syn_value(t, SYN_P_RR), syn_value(t, SYN_P_BR), h));
    return syn_attention_live(ctx, capacity, live, rows_capacity, live_rows, offset, SYN_CKM,
                              SYN_CKM_ATTENTION, h, syn_value(t, SYN_P_ATT_W),
                              syn_value(t, SYN_P_ATT_V), bias, syn_value(t, SYN_P_EMPTY), alpha,
                              ckm);
}

extern "C" syn_status syn_ckm_live_cuda(syn_ctx *ctx, const syn_perception *p, int64_t capacity,
                                        const int32_t *live, int64_t rows_capacity,
                                        const int32_t *live_rows, const int32_t *offset,
                                        const real *items, const real *bias, real *ckm)
{
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    const syn_status st =
        ckm_live(ctx, p, capacity, live, rows_capacity, live_rows, offset, items, bias, ckm);
    syn_scratch_pop(ctx, mark);
    return st;
}
