/* The gradient of the pair scorer. Block (shard, kind) walks through a range of environments, ENVS
 * at a time. A tile's tanh is recomputed; then threads that own a column sum the tile's rows, in
 * their order, into the gradients of s, q, r and w, and threads that own 4 x 4 of dX into those.
 * All these sums lie in shared memory (outside where they do not fit) and belong to one thread
 * each. The shards' dX, dw and dw0 are added in the order of the shards. */
#include "kernels/pair_tiles.cuh"
#include "kernels/reduce.h"

enum { ENVS = 4 };

typedef struct pair_gradient {
    const float *dlogit;
    float *ds, *dq, *dr, *dX, *dw, *dw0;
    float *part; /* (shards, kinds, part_size): dX (width of P, width of F), dw (P), dw0 */
    int part_size, shards;
    int t, d, acc, weights; /* in shared memory; acc, weights: -1 where outside */
} pair_gradient;

/* Gradients of one turn's environments: s (env, P), q and r (env, agent, P), by strides. */
typedef struct turn_sums {
    float *s, *q, *r;
    int env_s, env_q, agent_q;
} turn_sums;

static __device__ __forceinline__ turn_sums turn_sums_of(const pair_op &op, const pair_gradient &g,
                                                         int64_t first, int k, float *acc)
{
    const int K = SYN_PAIR_KINDS, P = op.P, N = op.N;
    if (acc) {
        float *q = acc + op.envs * P;
        const turn_sums sums = {acc, q, q + op.envs * N * P, P, N * P, P};
        return sums;
    }
    const turn_sums sums = {g.ds + (first * K + k) * P,
                            g.dq + (first * N * K + k) * P,
                            g.dr + (first * N * K + k) * P,
                            K * P,
                            N * K * P,
                            K * P};
    return sums;
}

/* For every element of the turn's gradients: what lies in shared memory goes outside, or zeros. */
static __device__ __forceinline__ void turn_each(const pair_op &op, const turn_sums &from,
                                                 const turn_sums &to, int envs, bool zero)
{
    for (int i = threadIdx.x; i < envs * op.P; i += PAIR_THREADS) {
        const int64_t e = i / op.P, p = i % op.P;
        to.s[e * to.env_s + p] = zero ? 0 : from.s[e * from.env_s + p];
    }
    for (int i = threadIdx.x; i < envs * op.N * op.P; i += PAIR_THREADS) {
        const int64_t e = i / (op.N * op.P), a = i / op.P % op.N, p = i % op.P;
        const int64_t at = e * to.env_q + a * to.agent_q + p;
        const int64_t of = e * from.env_q + a * from.agent_q + p;
        to.q[at] = zero ? 0 : from.q[of];
        to.r[at] = zero ? 0 : from.r[of];
    }
}

/* z becomes the gradient before tanh, t what dw gets of a row, d its logit's gradient; zeros in the
 * columns that pad. */
static __device__ __forceinline__ void derive_tile(const pair_op &op, const pair_gradient &g,
                                                   int64_t first, int k, const int *list, int rows,
                                                   float *z, float *t, float *d)
{
    const int lane = threadIdx.x % SYN_WARP, stride = pair_width(op.P);
    for (int row = threadIdx.x / SYN_WARP; row < PAIR_TILE; row += PAIR_WARPS) {
        if (row >= rows) {
            for (int p = lane; p < stride; p += SYN_WARP) z[row * stride + p] = 0;
            continue;
        }
        const pair_row pair = pair_row_of(first, list[row]);
        const pair_parts parts = pair_parts_of(op, pair, k);
        const float dlogit = g.dlogit[pair_at(op, pair, k)];
        for (int p = lane; p < stride; p += SYN_WARP) {
            float *to = z + row * stride + p;
            const float u = p < op.P ? pair_tanh(parts, p, *to) : 0;
            t[row * stride + p] = dlogit * u;
            *to = p < op.P ? dlogit * op.w[k * op.P + p] * (1 - u * u) : 0;
        }
        if (lane == 0) d[row] = dlogit;
    }
}

/* Column p of the tile, rows in their order: of ds, of dq, of dr, of dw, and of dw0. */
static __device__ __forceinline__ void sum_column(const pair_op &op, const turn_sums &sums,
                                                  const int *list, int rows, int role, int p,
                                                  const float *z, const float *t, const float *d,
                                                  float *dw)
{
    const int stride = pair_width(op.P);
    float *open = NULL; /* the element that rows are being added to; the rows of one lie together,
                           but for those of dr */
    float sum = 0;
    for (int row = 0; row < rows; row++) {
        const pair_row pair = pair_row_of(0, list[row]);
        float *to;
        if (role == 0)
            to = sums.s + (int)pair.env * sums.env_s + p;
        else if (role == 1)
            to = sums.q + (int)pair.env * sums.env_q + pair.from * sums.agent_q + p;
        else if (role == 2)
            to = sums.r + (int)pair.env * sums.env_q + pair.to * sums.agent_q + p;
        else
            to = role == 3 ? dw + p : dw + op.P;
        if (to != open) {
            if (open) *open = sum;
            open = to;
            sum = *to;
        }
        sum += role == 4 ? d[row] : role == 3 ? t[row * stride + p] : z[row * stride + p];
    }
    if (open) *open = sum;
}

/* 4 x 4 of dX: rows p.., columns f.. */
template <typename TYPE>
static __device__ __forceinline__ void sum_square(const pair_op &op, int rows, int p, int f,
                                                  int stride_x, int width_f, const float *z,
                                                  const TYPE *x_rows, float *dX)
{
    const int stride = pair_width(op.P);
    float4 sum[4];
#pragma unroll
    for (int i = 0; i < 4; i++) sum[i] = *(const float4 *)(dX + (p + i) * width_f + f);
    for (int row = 0; row < rows; row++) {
        const float4 g = *(const float4 *)(z + row * stride + p);
        const float4 x = syn_rows_get(x_rows + row * stride_x + f);
        const float part[4] = {g.x, g.y, g.z, g.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            sum[i].x = fmaf(part[i], x.x, sum[i].x);
            sum[i].y = fmaf(part[i], x.y, sum[i].y);
            sum[i].z = fmaf(part[i], x.z, sum[i].z);
            sum[i].w = fmaf(part[i], x.w, sum[i].w);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) *(float4 *)(dX + (p + i) * width_f + f) = sum[i];
}

template <bool MIXED>
static __device__ __forceinline__ void
sum_tile(const pair_op &op, const turn_sums &sums, const int *list, int rows, const float *z,
         const float *t, const float *d, const typename syn_rows_element<MIXED>::type *x_rows,
         float *weights)
{
    const int width_p = pair_width(op.P), width_f = (op.F + 3) / 4 * 4;
    const int columns = width_f / 4, squares = width_p / 4 * columns;
    float *dw = weights + width_p * width_f;
    for (int i = threadIdx.x; i < 4 * op.P + 1; i += PAIR_THREADS)
        sum_column(op, sums, list, rows, i / op.P, i % op.P, z, t, d, dw);
    for (int i = threadIdx.x; i < squares; i += PAIR_THREADS)
        sum_square(op, rows, i / columns * 4, i % columns * 4, syn_rows_stride<MIXED>(op.F),
                   width_f, z, x_rows, weights);
}

template <bool MIXED>
static __global__ __launch_bounds__(PAIR_THREADS, 2) void backward_kernel(pair_op op,
                                                                          pair_shared place,
                                                                          pair_gradient g)
{
    typedef typename syn_rows_element<MIXED>::type type;
    SYN_DYNAMIC_SHARED(unsigned char, shared);
    __shared__ int list[PAIR_LIST], warp_count[PAIR_WARPS];
    type *matrix = (type *)(shared + place.matrix), *x_rows = (type *)(shared + place.x_rows);
    float *z = (float *)(shared + place.z), *t = (float *)(shared + g.t);
    float *d = (float *)(shared + g.d), *acc = g.acc < 0 ? NULL : (float *)(shared + g.acc);
    const int k = blockIdx.x % SYN_PAIR_KINDS, shard = blockIdx.x / SYN_PAIR_KINDS;
    float *part = g.part + (int64_t)blockIdx.x * g.part_size;
    float *weights = g.weights < 0 ? part : (float *)(shared + g.weights);
    const int64_t turns = (op.E + op.envs - 1) / op.envs;
    syn_rows_matrix<MIXED>(op.P, op.F, op.X + (int64_t)k * op.P * op.F, matrix);
    for (int i = threadIdx.x; i < g.part_size; i += PAIR_THREADS) weights[i] = 0;
    for (int64_t turn = turns * shard / g.shards; turn < turns * (shard + 1) / g.shards; turn++) {
        const int64_t first = turn * op.envs;
        const int envs = (int)(op.E - first < op.envs ? op.E - first : op.envs);
        const int slots = envs * op.N * op.N;
        const turn_sums sums = turn_sums_of(op, g, first, k, acc);
        turn_each(op, sums, sums, envs, true);
        int waiting = 0;
        for (int base = 0; base < slots; base += PAIR_THREADS) {
            int entry = -1;
            if (base + (int)threadIdx.x < slots) {
                entry = pair_entry(op, base + threadIdx.x);
                const pair_row pair = pair_row_of(first, entry);
                if (!pair_live(op, pair) || g.dlogit[pair_at(op, pair, k)] == 0) entry = -1;
            }
            pair_append(entry, list, &waiting, warp_count);
            const bool last = base + PAIR_THREADS >= slots;
            while (waiting >= PAIR_TILE || (last && waiting > 0)) {
                const int rows = waiting < PAIR_TILE ? waiting : PAIR_TILE;
                pair_features<MIXED>(op, first, k, list, rows, x_rows);
                __syncthreads();
                pair_product<MIXED>(op, x_rows, matrix, z);
                __syncthreads();
                derive_tile(op, g, first, k, list, rows, z, t, d);
                __syncthreads();
                sum_tile<MIXED>(op, sums, list, rows, z, t, d, x_rows, weights);
                pair_shift(list, rows, &waiting);
            }
        }
        if (acc) turn_each(op, sums, turn_sums_of(op, g, first, k, NULL), envs, false);
        __syncthreads();
    }
    if (g.weights >= 0)
        for (int i = threadIdx.x; i < g.part_size; i += PAIR_THREADS) part[i] = weights[i];
}

/* Adds the shards to the gradients: a thread for each element of the kinds' parts. */
static __global__ void finish_kernel(pair_op op, pair_gradient g)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x, k = i / g.part_size, at = i % g.part_size;
    const int width_f = (op.F + 3) / 4 * 4, weights = pair_width(op.P) * width_f;
    const int p = at / width_f, f = at % width_f;
    if (k >= SYN_PAIR_KINDS || (at < weights && (p >= op.P || f >= op.F))) return;
    float sum = 0;
    for (int shard = 0; shard < g.shards; shard++)
        sum += g.part[((int64_t)shard * SYN_PAIR_KINDS + k) * g.part_size + at];
    if (at < weights)
        g.dX[((int64_t)k * op.P + p) * op.F + f] += sum;
    else if (at < weights + op.P)
        g.dw[k * op.P + at - weights] += sum;
    else if (at == weights + op.P)
        g.dw0[k] += sum;
}

/* What goes into shared memory, the most worthwhile first. */
template <bool MIXED> static pair_shared shared_make(pair_op *op, pair_gradient *g)
{
    const int most = pair_shared_max();
    pair_shared place = pair_shared_make<MIXED>(op);
    g->t = pair_taken(&place.bytes, PAIR_TILE * (int64_t)pair_width(op->P) * (int)sizeof(float));
    g->d = pair_taken(&place.bytes, PAIR_TILE * (int)sizeof(float));
    int bytes = place.bytes;
    op->envs = ENVS;
    g->acc = pair_taken(&bytes, (int64_t)ENVS * (2 * op->N + 1) * op->P * (int)sizeof(float));
    if (bytes > most) {
        op->envs = 1;
        bytes = place.bytes;
        g->acc = pair_taken(&bytes, (int64_t)(2 * op->N + 1) * op->P * (int)sizeof(float));
    }
    if (bytes > most) g->acc = -1;
    if (g->acc >= 0) place.bytes = bytes;
    bytes = place.bytes;
    g->weights = pair_taken(&bytes, (int64_t)g->part_size * (int)sizeof(float));
    if (bytes > most) g->weights = -1;
    if (g->weights >= 0) place.bytes = bytes;
    return place;
}

template <bool MIXED> static syn_status backward(syn_ctx *ctx, pair_op *op, pair_gradient *g)
{
    const int64_t size = (int64_t)pair_width(op->P) * ((op->F + 3) / 4 * 4) + op->P + 1;
    g->part_size = (int)(size + 3) / 4 * 4;
    const pair_shared place = shared_make<MIXED>(op, g);
    const int64_t turns = (op->E + op->envs - 1) / op->envs;
    g->shards = (int)(turns < PAIR_SHARDS ? turns : PAIR_SHARDS);
    const unsigned blocks = (unsigned)g->shards * SYN_PAIR_KINDS;
    if (place.bytes > pair_shared_max() ||
        cudaFuncSetAttribute(backward_kernel<MIXED>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             place.bytes) != cudaSuccess)
        return syn_fail(SYN_ERR_UNSUPPORTED,
                        "pair scorer: widths %d and %d need more shared memory than the device has",
                        op->P, op->F);
    g->part = SYN_SCRATCH(ctx, float, (int64_t)blocks * g->part_size);
    if (!g->part) return SYN_ERR_MEMORY;
    SYN_LAUNCH(ctx, backward_kernel<MIXED>, blocks, PAIR_THREADS, place.bytes, *op, place, *g);
    SYN_LAUNCH_CHECK(ctx, "gradient of pair scores");
    SYN_LAUNCH(ctx, finish_kernel, syn_blocks((int64_t)SYN_PAIR_KINDS * g->part_size, 128), 128, 0,
               *op, *g);
    SYN_LAUNCH_CHECK(ctx, "gradient of the pair scorer's weights");
    return SYN_OK;
}

extern "C" syn_status syn_pair_backward_cuda(syn_ctx *ctx, int64_t E, int64_t N, int64_t P,
                                             int64_t F, const int32_t *count, const float *s,
                                             const float *q, const float *r, const float *x,
                                             const float *X, const float *w, const float *w0,
                                             const float *dlogit, float *ds, float *dq, float *dr,
                                             float *dX, float *dw, float *dw0)
{
    if (E == 0) return SYN_OK;
    pair_op op = {E, (int)N, (int)P, (int)F, 0, count, s, q, r, x, X, w, w0};
    pair_gradient g = {dlogit, ds, dq, dr, dX, dw, dw0, NULL, 0, 0, 0, 0, 0, 0};
    syn_scratch_mark mark = syn_scratch_push(ctx);
    const syn_status st =
        ctx->math == SYN_MATH_MIXED ? backward<true>(ctx, &op, &g) : backward<false>(ctx, &op, &g);
    syn_scratch_pop(ctx, mark);
    return st;
}
