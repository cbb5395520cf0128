/* What the CUDA variants of the LSTM share: what a recurrence is given, how it walks, the gates,
 * and how matrix units take R and h. Included by kernels/lstm*.cu only.
 *
 * The whole-sequence products are made outside (kernels/lstm.cu): a forward recurrence finds
 * W x + b in v and, where they are kept, leaves the activated gates there; a backward one finds the
 * gates and leaves the gradient of the pre-activations. */
#ifndef SYN_LSTM_CUDA_CUH
#define SYN_LSTM_CUDA_CUH

#include "kernels/base/launch.cuh"
#include "kernels/base/ptx.cuh"
#include "kernels/lstm.h"

enum { SYN_LSTM_GATES = 4, SYN_LSTM_LANES = 8 /* sequences of a tile of the matrix units */ };

/* By value. call[].seq is the host's and not for kernels. v always holds the pre-activations; where
 * nothing is kept it is scratch, and call[].c is NULL. */
typedef struct syn_lstm_pass {
    syn_seq seq;
    syn_lstm_call call[2];
    int directions;
    bool keep;                 /* forward: the gates and cells are written for the backward pass */
    const int32_t *live;       /* how many sequences there are, on the device; or NULL: seq.batch */
    const uint4 *fragments[2]; /* R as kernels/lstm_pack.cu lays it out, for those that ask */
    unsigned char *exchange;   /* of the wide variant */
} syn_lstm_pass;

/* What each variant offers. refuses: NULL, or why it cannot take the pass. The others run the
 * recurrence, with the final state (the gradient of the initial one) of every sequence. */
#define SYN_LSTM_OFFER(name)                                                                       \
    const char *syn_lstm_##name##_refuses(const syn_ctx *ctx, const syn_lstm_pass *p);             \
    syn_status syn_lstm_##name##_forward(syn_ctx *ctx, const syn_lstm_pass *p);                    \
    syn_status syn_lstm_##name##_backward(syn_ctx *ctx, const syn_lstm_pass *p)

SYN_LSTM_OFFER(step);
SYN_LSTM_OFFER(block);
SYN_LSTM_OFFER(cluster);
SYN_LSTM_OFFER(grid);

/* Its backward pass is that of the cluster variant. */
const char *syn_lstm_wide_refuses(const syn_ctx *ctx, const syn_lstm_pass *p);
syn_status syn_lstm_wide_forward(syn_ctx *ctx, const syn_lstm_pass *p);

/* cuDNN takes the whole call, products and all: kernels/lstm_cudnn.cu. */
const char *syn_lstm_cudnn_refuses(const syn_ctx *ctx, const syn_lstm_pass *p);
syn_status syn_lstm_cudnn_forward(syn_ctx *ctx, const syn_lstm_call *a, int directions);
syn_status syn_lstm_cudnn_backward(syn_ctx *ctx, const syn_lstm_call *a, int directions);

static inline int64_t syn_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* R of each direction in bf16, in the order in which the threads of a kernel keep it: a thread's
 * fragments then come by 16-byte loads that a warp makes together. Fills p->fragments from scratch.
 */
typedef enum syn_lstm_layout {
    SYN_LSTM_BLOCK_FORWARD,
    SYN_LSTM_BLOCK_BACKWARD,
    SYN_LSTM_CLUSTER_FORWARD,
    SYN_LSTM_CLUSTER_BACKWARD,
    SYN_LSTM_WIDE_FORWARD
} syn_lstm_layout;

syn_status syn_lstm_pack(syn_ctx *ctx, syn_lstm_layout layout, syn_lstm_pass *p);

/* ---- The walk ---- */

#define SYN_LSTM_INLINE static __device__ __forceinline__

SYN_LSTM_INLINE int64_t syn_lstm_length(const syn_seq &q, int64_t b)
{
    return q.offset ? q.offset[b + 1] - q.offset[b] : q.steps;
}

/* The row of step s of a sequence of this length; the walk runs backwards when `reverse`. */
SYN_LSTM_INLINE int64_t syn_lstm_row(const syn_seq &q, bool reverse, int64_t b, int64_t length,
                                     int64_t s)
{
    const int64_t t = reverse ? length - 1 - s : s;
    return q.offset ? q.offset[b] + t : t * q.batch + b;
}

/* Whether the state is zero before step s < seq.steps. */
SYN_LSTM_INLINE bool syn_lstm_reset(const syn_seq &q, bool reverse, int64_t b, int64_t s)
{
    return q.reset && q.reset[(reverse ? q.steps - 1 - s : s) * q.batch + b] != 0;
}

/* The cell that enters step s of unit u of sequence b. */
SYN_LSTM_INLINE float syn_lstm_cell_before(const syn_seq &q, const syn_lstm_call &a, int64_t b,
                                           int64_t u, int64_t length, int64_t s)
{
    if (syn_lstm_reset(q, a.reverse, b, s)) return 0;
    if (s > 0) return a.c[syn_lstm_row(q, a.reverse, b, length, s - 1) * a.H + u];
    return a.c0 ? a.c0[b * a.H + u] : 0;
}

/* What a persistent kernel keeps of a sequence: x = the row of step 0, y = the length; and how far
 * the row of the next step is, for all sequences alike. Zeros beyond the batch. Rows fit an int:
 * more gates than that have no room on any device. */
SYN_LSTM_INLINE int2 syn_lstm_place(const syn_lstm_pass &p, bool reverse, int64_t b, int64_t batch)
{
    if (b >= batch) return make_int2(0, 0);
    const int64_t length = syn_lstm_length(p.seq, b);
    return make_int2((int)syn_lstm_row(p.seq, reverse, b, length, 0), (int)length);
}

/* The places of `count` sequences from b0 on, with a barrier of the block; -> the longest. */
SYN_LSTM_INLINE int syn_lstm_places(const syn_lstm_pass &p, bool reverse, int64_t b0, int64_t batch,
                                    int count, int2 *place)
{
    if ((int)threadIdx.x < count)
        place[threadIdx.x] = syn_lstm_place(p, reverse, b0 + threadIdx.x, batch);
    __syncthreads();
    int longest = 0;
    for (int n = 0; n < count; n++) longest = place[n].y > longest ? place[n].y : longest;
    return longest;
}

SYN_LSTM_INLINE int syn_lstm_stride(const syn_seq &q, bool reverse)
{
    const int rows = q.offset ? 1 : (int)q.batch;
    return reverse ? -rows : rows;
}

SYN_LSTM_INLINE int64_t syn_lstm_batch(const syn_lstm_pass &p)
{
    return p.live ? *p.live : p.seq.batch;
}

/* ---- The gates ---- */

/* FAST: by the exponential of the special-function unit; absolute errors of a few 1e-7. */
template <bool FAST> SYN_LSTM_INLINE float syn_lstm_sigmoid(float x)
{
    return FAST ? __fdividef(1, 1 + __expf(-x)) : 1 / (1 + expf(-x));
}

template <bool FAST> SYN_LSTM_INLINE float syn_lstm_tanh(float x)
{
    return FAST ? 1 - __fdividef(2, 1 + __expf(2 * x)) : tanhf(x);
}

/* z: the pre-activations i,f,g,o, which become the gates; returns h and sets c to the cell. */
template <bool FAST> SYN_LSTM_INLINE float syn_lstm_gates(float z[4], float *c)
{
    z[0] = syn_lstm_sigmoid<FAST>(z[0]);
    z[1] = syn_lstm_sigmoid<FAST>(z[1]);
    z[2] = syn_lstm_tanh<FAST>(z[2]);
    z[3] = syn_lstm_sigmoid<FAST>(z[3]);
    *c = z[1] * *c + z[0] * z[2];
    return z[3] * syn_lstm_tanh<FAST>(*c);
}

/* v: the gates, which become the gradient of their pre-activations. dh: the whole gradient of h;
 * c, before: the cells after and before the step. Returns the gradient of `before`. */
template <bool FAST>
SYN_LSTM_INLINE float syn_lstm_gates_backward(float v[4], float dh, float dc, float c, float before)
{
    const float i = v[0], f = v[1], g = v[2], o = v[3], tc = syn_lstm_tanh<FAST>(c);
    const float dcell = dc + dh * o * (1 - tc * tc);
    v[0] = dcell * g * i * (1 - i);
    v[1] = dcell * before * f * (1 - f);
    v[2] = dcell * i * (1 - g * g);
    v[3] = dh * tc * o * (1 - o);
    return dcell * f;
}

/* ---- What the kernels that keep R in registers have in common ---- */

/* Which part of the work the block has, where `blocks` of them walk a tile of `sequences` together:
 * every such kernel opens with it. */
typedef struct syn_lstm_share {
    int direction, b0;
} syn_lstm_share;

SYN_LSTM_INLINE syn_lstm_share syn_lstm_share_of(const syn_lstm_pass &p, int blocks, int sequences)
{
    const int tile = blockIdx.x / blocks, tiles = gridDim.x / blocks / p.directions;
    return {tile / tiles, tile % tiles * sequences};
}

/* All of h0 as bf16 into the first plane of LAYOUT::COUNT sequences, where LAYOUT::element(n, u) is
 * the place of unit u of sequence n. Sequences of length 0 are done, for the units of the block:
 * UNITS from rank * UNITS on. */
template <int H, int THREADS, int UNITS, typename LAYOUT>
static __device__ __forceinline__ void syn_lstm_start(const syn_lstm_pass &p,
                                                      const syn_lstm_call &a, int b0, int64_t batch,
                                                      int rank, const int2 *place, uint16_t *h)
{
#pragma unroll 1 /* the registers are full of R */
    for (int e = threadIdx.x; e < LAYOUT::COUNT * H; e += THREADS) {
        const int n = e / H, u = e % H;
        const int64_t b = b0 + n, at = b * H + u;
        const bool is = b < batch, some = is && (place[n].y > 0);
        const float h0 = is && a.h0 ? a.h0[at] : 0;
        const bool zero = !some || syn_lstm_reset(p.seq, a.reverse, b, 0);
        h[LAYOUT::element(n, u)] = syn_to_bf16(zero ? 0 : h0);
        if (!is || some || u / UNITS != rank) continue;
        if (a.hT) a.hT[at] = h0;
        if (a.cT) a.cT[at] = a.c0 ? a.c0[at] : 0;
    }
}

/* The cell that enters step 0. */
SYN_LSTM_INLINE float syn_lstm_first_cell(const syn_lstm_pass &p, const syn_lstm_call &a, int b,
                                          int2 place, int64_t at)
{
    const bool zero = place.y == 0 || !a.c0 || syn_lstm_reset(p.seq, a.reverse, b, 0);
    return zero ? 0 : a.c0[at];
}

/* Writes what step s of sequence b makes of unit u. */
template <int H>
SYN_LSTM_INLINE void syn_lstm_store_step(const syn_lstm_pass &p, const syn_lstm_call &a, int b,
                                         int2 place, int s, int u, const float z[4], float c,
                                         float h)
{
    const int64_t row = place.x + s * syn_lstm_stride(p.seq, a.reverse);
    a.h[row * a.ldh + u] = h;
    if (p.keep) {
        float *const v = a.v + row * (SYN_LSTM_GATES * H) + u;
#pragma unroll
        for (int g = 0; g < SYN_LSTM_GATES; g++) v[g * H] = z[g];
        a.c[row * H + u] = c;
    }
    if (s + 1 < place.y) return;
    if (a.hT) a.hT[(int64_t)b * H + u] = h;
    if (a.cT) a.cT[(int64_t)b * H + u] = c;
}

/* dh0 and dc0 at `at`, of a sequence of this length; dh: what came from step 0. */
SYN_LSTM_INLINE void syn_lstm_store_initial(const syn_lstm_call &a, int length, int64_t at,
                                            float dh, float dc)
{
    if (a.dh0) a.dh0[at] = length > 0 ? dh : a.dhT ? a.dhT[at] : 0;
    if (a.dc0) a.dc0[at] = dc;
}

/* ---- Matrix units ----
 *
 * A sum over k may be taken in any order, so k is dealt to the lanes such that what a lane needs of
 * both operands lies together: of each 32 consecutive k, the lane with quad = lane % 4 holds
 * 8 quad .. 8 quad + 7, the first four for the first of two products m16n8k16 and the rest for the
 * second. The right operand, stored by sequences with k running fastest, then takes one 16-byte
 * load per lane for both products. */

/* Bytes of shared memory of a sequence's row of k bf16: a multiple of 64 bytes beyond 128 keeps the
 * eight lanes that load together on different banks. k is a multiple of 64. */
#define SYN_LSTM_ROW(k) ((k) + 32) /* in elements */

/* a: the left fragments of the two products, from 8 consecutive k of rows `group` and `group` + 8.
 */
SYN_LSTM_INLINE void syn_lstm_fragments(const float low[8], const float high[8], uint32_t a[2][4])
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        a[i][0] = syn_pack_bf16(low[4 * i], low[4 * i + 1]);
        a[i][1] = syn_pack_bf16(high[4 * i], high[4 * i + 1]);
        a[i][2] = syn_pack_bf16(low[4 * i + 2], low[4 * i + 3]);
        a[i][3] = syn_pack_bf16(high[4 * i + 2], high[4 * i + 3]);
    }
}

/* The fragments of a thread: FRAGMENTS pairs of products, of warp `warp` of `warps` of the block
 * with this rank. */
template <int FRAGMENTS>
SYN_LSTM_INLINE void syn_lstm_load_fragments(const uint4 *packed, int rank, int warp, int warps,
                                             int lane, uint32_t r[FRAGMENTS][2][4])
{
#pragma unroll
    for (int f = 0; f < FRAGMENTS; f++) {
        const uint4 *const from = packed + ((rank * FRAGMENTS + f) * warps + warp) * 64 + lane;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint4 x = from[32 * i];
            r[f][i][0] = x.x, r[f][i][1] = x.y, r[f][i][2] = x.z, r[f][i][3] = x.w;
        }
    }
}

/* The lane's 8 of 32 consecutive k of a sequence. */
SYN_LSTM_INLINE uint4 syn_lstm_right(const uint16_t *row, int group_of_32, int quad)
{
    return *(const uint4 *)(row + 32 * group_of_32 + 8 * quad);
}

/* d = r times the sequence's row, over FRAGMENTS * 32 k, in four chains: a product depends on the
 * fourth before it, which is what covers the latency of the matrix units. */
template <int FRAGMENTS>
SYN_LSTM_INLINE void syn_lstm_product(const uint32_t r[FRAGMENTS][2][4], const uint16_t *row,
                                      int quad, float d[4])
{
    float part[4][4] = {};
#pragma unroll
    for (int f = 0; f < FRAGMENTS; f++) {
        const uint4 b = syn_lstm_right(row, f, quad);
        const uint32_t first[2] = {b.x, b.y}, second[2] = {b.z, b.w};
        syn_mma_bf16(part[f % 2 * 2], r[f][0], first);
        syn_mma_bf16(part[f % 2 * 2 + 1], r[f][1], second);
    }
#pragma unroll
    for (int i = 0; i < 4; i++) d[i] = (part[0][i] + part[1][i]) + (part[2][i] + part[3][i]);
}

/* The same for M tiles of 16 rows at once, each a chain of its own, added to d; tile m's fragments
 * are r[m * FRAGMENTS] and on. */
template <int M, int FRAGMENTS>
SYN_LSTM_INLINE void syn_lstm_products(const uint32_t r[M * FRAGMENTS][2][4], const uint16_t *row,
                                       int quad, float d[M][4])
{
#pragma unroll
    for (int f = 0; f < FRAGMENTS; f++) {
        const uint4 b = syn_lstm_right(row, f, quad);
        const uint32_t first[2] = {b.x, b.y}, second[2] = {b.z, b.w};
#pragma unroll
        for (int m = 0; m < M; m++) syn_mma_bf16(d[m], r[m * FRAGMENTS + f][0], first);
#pragma unroll
        for (int m = 0; m < M; m++) syn_mma_bf16(d[m], r[m * FRAGMENTS + f][1], second);
    }
}

/* d: rows i,f (low groups) or g,o (high groups) of two sequences; -> z: the four gates of the first
 * of them in lanes of low groups, of the second in the others. */
SYN_LSTM_INLINE void syn_lstm_gather_gates(const float d[4], bool high, float z[4])
{
    const float first = __shfl_xor_sync(0xffffffffu, high ? d[0] : d[1], 16);
    const float second = __shfl_xor_sync(0xffffffffu, high ? d[2] : d[3], 16);
    z[0] = high ? first : d[0];
    z[1] = high ? second : d[2];
    z[2] = high ? d[1] : first;
    z[3] = high ? d[3] : second;
}

#endif
