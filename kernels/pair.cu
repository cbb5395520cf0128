#include "kernels/pair_tiles.cuh"

enum { ENVS = 8, ROWS_MAX = 1 << 14 /* slots of a turn */ };

/* Logits of the tile's rows: a warp for each, its lanes over p. */
static __device__ __forceinline__ void score_tile(const pair_op &op, int64_t first_env, int k,
                                                  const int *list, int rows, const float *z,
                                                  float *logit)
{
    const int lane = threadIdx.x % SYN_WARP, stride = pair_width(op.P);
    for (int row = threadIdx.x / SYN_WARP; row < rows; row += PAIR_WARPS) {
        const pair_row pair = pair_row_of(first_env, list[row]);
        const pair_parts parts = pair_parts_of(op, pair, k);
        float sum = 0;
        for (int p = lane; p < op.P; p += SYN_WARP)
            sum = fmaf(op.w[k * op.P + p], pair_tanh(parts, p, z[row * stride + p]), sum);
        sum = syn_warp_sum(sum);
        if (lane == 0) logit[pair_at(op, pair, k)] = op.w0[k] + sum;
    }
}

template <bool MIXED>
static __global__
__launch_bounds__(PAIR_THREADS, 3) void forward_kernel(pair_op op, pair_shared place, float *logit)
{
    typedef typename syn_rows_element<MIXED>::type type;
    SYN_DYNAMIC_SHARED(unsigned char, shared);
    __shared__ int list[PAIR_LIST], warp_count[PAIR_WARPS];
    type *matrix = (type *)(shared + place.matrix), *x_rows = (type *)(shared + place.x_rows);
    float *z = (float *)(shared + place.z);
    const int k = blockIdx.x % SYN_PAIR_KINDS;
    const int64_t first = (int64_t)(blockIdx.x / SYN_PAIR_KINDS) * op.envs;
    const int envs = (int)(op.E - first < op.envs ? op.E - first : op.envs);
    const int slots = envs * op.N * op.N;
    syn_rows_matrix<MIXED>(op.P, op.F, op.X + (int64_t)k * op.P * op.F, matrix);
    int waiting = 0;
    for (int base = 0; base < slots; base += PAIR_THREADS) {
        int entry = -1;
        if (base + (int)threadIdx.x < slots) {
            entry = pair_entry(op, base + threadIdx.x);
            const pair_row pair = pair_row_of(first, entry);
            if (!pair_live(op, pair)) {
                logit[pair_at(op, pair, k)] = 0;
                entry = -1;
            }
        }
        pair_append(entry, list, &waiting, warp_count);
        const bool last = base + PAIR_THREADS >= slots;
        while (waiting >= PAIR_TILE || (last && waiting > 0)) {
            const int rows = waiting < PAIR_TILE ? waiting : PAIR_TILE;
            pair_features<MIXED>(op, first, k, list, rows, x_rows);
            __syncthreads();
            pair_product<MIXED>(op, x_rows, matrix, z);
            __syncthreads();
            score_tile(op, first, k, list, rows, z, logit);
            pair_shift(list, rows, &waiting);
        }
    }
}

template <bool MIXED> static syn_status forward(syn_ctx *ctx, const pair_op *op, float *logit)
{
    const pair_shared place = pair_shared_make<MIXED>(op);
    if (place.bytes > pair_shared_max() ||
        cudaFuncSetAttribute(forward_kernel<MIXED>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             place.bytes) != cudaSuccess)
        return syn_fail(SYN_ERR_UNSUPPORTED,
                        "pair scorer: widths %d and %d need more shared memory than the device has",
                        op->P, op->F);
    SYN_LAUNCH(ctx, forward_kernel<MIXED>, SYN_PAIR_KINDS * syn_blocks(op->E, op->envs),
               PAIR_THREADS, place.bytes, *op, place, logit);
    SYN_LAUNCH_CHECK(ctx, "pair scores");
    return SYN_OK;
}

extern "C" syn_status syn_pair_forward_cuda(syn_ctx *ctx, int64_t E, int64_t N, int64_t P,
                                            int64_t F, const int32_t *count, const float *s,
                                            const float *q, const float *r, const float *x,
                                            const float *X, const float *w, const float *w0,
                                            float *logit)
{
    if (E == 0) return SYN_OK;
    const int envs = N * N * ENVS <= ROWS_MAX ? ENVS : 1;
    const pair_op op = {E, (int)N, (int)P, (int)F, envs, count, s, q, r, x, X, w, w0};
    return ctx->math == SYN_MATH_MIXED ? forward<true>(ctx, &op, logit)
                                       : forward<false>(ctx, &op, logit);
}
