#include "kernels/attention.h"

#include "kernels/base/expmath.h"
#include "kernels/gemm.h"
#include "kernels/linear.h"
#include "kernels/reduce.cuh"
#include "kernels/reduce.h"

/* A block takes a sequence, a warp of it every WARPS-th step. */
enum { THREADS = 128, WARPS = THREADS / SYN_WARP, RESIDENT = 16 };

typedef struct pool_op {
    syn_seq q;
    int64_t D, A;
    const int32_t *live; /* sequences, or NULL */
    const float *h, *w, *bias, *empty;
    bool raw; /* u is Wa h, whose tanh is still to be taken and kept */
    float *u, *alpha, *out;
} pool_op;

static __device__ __forceinline__ int64_t length_of(const syn_seq &q, int64_t b)
{
    return q.offset ? q.offset[b + 1] - q.offset[b] : q.steps;
}
static __device__ __forceinline__ int64_t row_of(const syn_seq &q, int64_t b, int64_t t)
{
    return q.offset ? q.offset[b] + t : t * q.batch + b;
}

/* w . tanh(Wa h) + bias of every step into alpha; returns the largest, the same in all threads. */
static __device__ float scores(const pool_op &op, int64_t b, int64_t length, float *shared)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    float top = -INFINITY;
    for (int64_t t = warp; t < length; t += WARPS) {
        const int64_t row = row_of(op.q, b, t);
        float sum = 0;
        for (int64_t j = lane; j < op.A; j += SYN_WARP) {
            float u = op.u[row * op.A + j];
            if (op.raw) op.u[row * op.A + j] = u = syn_tanh(u);
            sum = fmaf(u, op.w[j], sum);
        }
        sum = syn_warp_sum(sum) + (op.bias ? op.bias[row] : 0);
        if (lane == 0) op.alpha[row] = sum;
        top = sum > top ? sum : top;
    }
    if (lane == 0) shared[warp] = top;
    __syncthreads();
    for (int i = 0; i < WARPS; i++) top = shared[i] > top ? shared[i] : top;
    __syncthreads();
    return top;
}

static __global__ __launch_bounds__(THREADS, 6) void pool_kernel(pool_op op)
{
    __shared__ float shared[WARPS];
    const int64_t batch = syn_live(op.q.batch, op.live);
    for (int64_t b = blockIdx.x; b < batch; b += gridDim.x) {
        const int64_t length = length_of(op.q, b);
        float *out = op.out + b * op.D;
        if (length == 0) {
            for (int64_t d = threadIdx.x; d < op.D; d += THREADS) out[d] = op.empty[d];
            continue;
        }
        const float top = scores(op, b, length, shared);
        float sum = 0;
        for (int64_t t = threadIdx.x; t < length; t += THREADS) {
            const int64_t row = row_of(op.q, b, t);
            sum += op.alpha[row] = syn_exp(op.alpha[row] - top);
        }
        sum = syn_block_sum<THREADS>(sum, shared);
        for (int64_t t = threadIdx.x; t < length; t += THREADS) op.alpha[row_of(op.q, b, t)] /= sum;
        __syncthreads();
        for (int64_t d = threadIdx.x; d < op.D; d += THREADS) {
            float total = 0;
#pragma unroll 4
            for (int64_t t = 0; t < length; t++) {
                const int64_t row = row_of(op.q, b, t);
                total = fmaf(op.alpha[row], op.h[row * op.D + d], total);
            }
            out[d] = total;
        }
        __syncthreads();
    }
}

static syn_status pool(syn_ctx *ctx, const pool_op *op)
{
    if (op->q.batch == 0) return SYN_OK;
    SYN_LAUNCH(ctx, pool_kernel, syn_blocks_resident(op->q.batch, 1, RESIDENT), THREADS, 0, *op);
    SYN_LAUNCH_CHECK(ctx, "attention pooling");
    return SYN_OK;
}

extern "C" syn_status syn_attention_forward_cuda(syn_ctx *ctx, const syn_seq *seq, int64_t D,
                                                 int64_t A, const float *h, const float *Wa,
                                                 const float *w, const float *bias,
                                                 const float *empty, float *u, float *alpha,
                                                 float *out)
{
    const pool_op op = {*seq, D, A, NULL, h, w, bias, empty, true, u, alpha, out};
    SYN_RETURN_IF(syn_gemm(ctx, false, true, seq->rows, A, D, 1, h, D, Wa, D, 0, u, A));
    return pool(ctx, &op);
}

extern "C" syn_status syn_attention_live_cuda(syn_ctx *ctx, int64_t batch_max, const int32_t *batch,
                                              int64_t rows_max, const int32_t *rows,
                                              const int32_t *offset, int64_t D, int64_t A,
                                              const float *h, const float *Wa, const float *w,
                                              const float *bias, const float *empty, float *alpha,
                                              float *out)
{
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    float *u = SYN_SCRATCH(ctx, float, rows_max *A);
    if (!u) goto done;
    SYN_TRY(syn_linear_live_cuda(ctx, rows_max, rows, D, A, h, D, Wa, NULL, SYN_ACT_TANH, u, A));
    {
        const syn_seq seq = {batch_max, 0, rows_max, offset, NULL};
        const pool_op op = {seq, D, A, batch, h, w, bias, empty, false, u, alpha, out};
        SYN_TRY(pool(ctx, &op));
    }
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

typedef struct pool_gradient {
    syn_seq q;
    int64_t D, A;
    const float *h, *w, *u, *alpha, *dout;
    float *dscore, *dz, *dh, *is_empty; /* is_empty (batch): 1 where a sequence has no steps */
} pool_gradient;

static __global__ __launch_bounds__(THREADS) void pool_backward_kernel(pool_gradient op)
{
    __shared__ float shared[WARPS];
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const int64_t b = blockIdx.x, length = length_of(op.q, b);
    const float *dout = op.dout + b * op.D;
    if (threadIdx.x == 0) op.is_empty[b] = length == 0;
    for (int64_t t = warp; t < length; t += WARPS) {
        const int64_t row = row_of(op.q, b, t);
        float sum = 0;
        for (int64_t d = lane; d < op.D; d += SYN_WARP)
            sum = fmaf(dout[d], op.h[row * op.D + d], sum);
        sum = syn_warp_sum(sum);
        if (lane == 0) op.dscore[row] = sum;
    }
    __syncthreads();
    float mean = 0;
    for (int64_t t = threadIdx.x; t < length; t += THREADS) {
        const int64_t row = row_of(op.q, b, t);
        mean = fmaf(op.alpha[row], op.dscore[row], mean);
    }
    mean = syn_block_sum<THREADS>(mean, shared);
    for (int64_t t = warp; t < length; t += WARPS) {
        const int64_t row = row_of(op.q, b, t);
        const float alpha = op.alpha[row], ds = alpha * (op.dscore[row] - mean);
        __syncwarp(); /* all lanes have read dscore */
        if (lane == 0) op.dscore[row] = ds;
        for (int64_t j = lane; j < op.A; j += SYN_WARP) {
            const float u = op.u[row * op.A + j];
            op.dz[row * op.A + j] = ds * op.w[j] * (1 - u * u);
        }
        for (int64_t d = lane; d < op.D; d += SYN_WARP) op.dh[row * op.D + d] = alpha * dout[d];
    }
}

extern "C" syn_status syn_attention_backward_cuda(syn_ctx *ctx, const syn_seq *seq, int64_t D,
                                                  int64_t A, const float *h, const float *Wa,
                                                  const float *w, const float *u,
                                                  const float *alpha, const float *dout, float *dh,
                                                  float *dWa, float *dw, float *dbias,
                                                  float *dempty)
{
    if (seq->batch == 0) return SYN_OK;
    const int64_t rows = seq->rows;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    float *dz = SYN_SCRATCH(ctx, float, rows *A), *is_empty = SYN_SCRATCH(ctx, float, seq->batch);
    float *dscore = dbias ? dbias : SYN_SCRATCH(ctx, float, rows);
    pool_gradient op = {*seq, D, A, h, w, u, alpha, dout, dscore, dz, dh, is_empty};
    if (!dz || !is_empty || !dscore) goto done;
    SYN_LAUNCH(ctx, pool_backward_kernel, (unsigned)seq->batch, THREADS, 0, op);
    SYN_TRY(syn_cuda_check(ctx, "gradient of attention pooling", __FILE__, __LINE__));
    if (dw) SYN_TRY(syn_column_sum_weighted_cuda(ctx, rows, A, u, A, dscore, dw));
    if (dempty)
        SYN_TRY(syn_column_sum_weighted_cuda(ctx, seq->batch, D, dout, D, is_empty, dempty));
    if (dWa) SYN_TRY(syn_gemm(ctx, true, false, A, D, rows, 1, dz, A, h, D, 1, dWa, D));
    SYN_TRY(syn_gemm(ctx, false, false, rows, D, A, 1, dz, A, Wa, D, 1, dh, D));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
