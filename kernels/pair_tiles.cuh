/* What the two passes of the pair scorer share on CUDA: the list of a block's live pairs, and the
 * product of their features with X. For pair*.cu.
 *
 * A block takes ENVS environments and one kind. Its slots (environment, from, to) are looked
 * through 256 at a time, those that count are appended to a list in their order, and whenever TILE
 * of them wait, they are one tile. */
#ifndef SYN_PAIR_TILES_CUH
#define SYN_PAIR_TILES_CUH

#include "kernels/base/expmath.h"
#include "kernels/pair.h"
#include "kernels/rows_product.cuh"

enum {
    PAIR_TILE = 64,
    PAIR_THREADS = SYN_ROWS_THREADS,
    PAIR_WARPS = SYN_ROWS_WARPS,
    PAIR_LIST = PAIR_TILE + PAIR_THREADS,
    PAIR_SHARDS = 128 /* at most; of the environments, in the backward pass */
};

typedef struct pair_op {
    int64_t E;
    int N, P, F, envs; /* environments of a block's turn */
    const int32_t *count;
    const float *s, *q, *r, *x, *X, *w, *w0;
} pair_op;

/* A pair of a turn, as the list has it: environment of the turn, from, to, in 8 bits each. */
typedef struct pair_row {
    int64_t env;
    int from, to;
} pair_row;

static __device__ __forceinline__ int pair_entry(const pair_op &op, int slot)
{
    const int pairs = op.N * op.N, pair = slot % pairs;
    return slot / pairs << 16 | pair / op.N << 8 | pair % op.N;
}
static __device__ __forceinline__ pair_row pair_row_of(int64_t first_env, int entry)
{
    const pair_row row = {first_env + (entry >> 16), entry >> 8 & 255, entry & 255};
    return row;
}
static __device__ __forceinline__ bool pair_live(const pair_op &op, const pair_row &row)
{
    const int count = op.count[row.env];
    return row.from != row.to && row.from < count && row.to < count;
}
/* Of the logit of kind k. */
static __device__ __forceinline__ int64_t pair_at(const pair_op &op, const pair_row &row, int k)
{
    return ((row.env * SYN_PAIR_KINDS + k) * op.N + row.from) * op.N + row.to;
}

/* Appends the entries of those threads that have one (>= 0) to list (*waiting), in the order of the
 * threads. warp_count (PAIR_WARPS): shared. Barriers at the begin and at the end. */
static __device__ __forceinline__ void pair_append(int entry, int *list, int *waiting,
                                                   int *warp_count)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const unsigned have = __ballot_sync(SYN_ALL_LANES, entry >= 0);
    if (lane == 0) warp_count[warp] = __popc(have);
    __syncthreads();
    int at = *waiting, total = at;
    for (int i = 0; i < PAIR_WARPS; i++) {
        if (i < warp) at += warp_count[i];
        total += warp_count[i];
    }
    if (entry >= 0) list[at + __popc(have & ((1u << lane) - 1))] = entry;
    *waiting = total; /* of this thread: all have the same */
    __syncthreads();
}

/* The first `taken` of the list are done with: the others, fewer than PAIR_THREADS, move to its
 * begin. */
static __device__ __forceinline__ void pair_shift(int *list, int taken, int *waiting)
{
    const int left = *waiting - taken, mine = threadIdx.x;
    const int entry = mine < left ? list[taken + mine] : 0;
    __syncthreads();
    if (mine < left) list[mine] = entry;
    *waiting = left;
    __syncthreads();
}

/* Features of the tile's rows into x_rows (PAIR_TILE, padded), zeros for rows beyond. */
template <bool MIXED>
static __device__ __forceinline__ void pair_features(const pair_op &op, int64_t first_env, int k,
                                                     const int *list, int rows,
                                                     typename syn_rows_element<MIXED>::type *x_rows)
{
    const int width = syn_rows_width<MIXED>(op.F), stride = syn_rows_stride<MIXED>(op.F);
    const bool aligned = op.F % 4 == 0 && (uintptr_t)op.x % 16 == 0;
    for (int i = threadIdx.x * 4; i < PAIR_TILE * width; i += PAIR_THREADS * 4) {
        const int row = i / width, at = i % width;
        float4 v = make_float4(0, 0, 0, 0);
        if (row < rows) {
            const pair_row pair = pair_row_of(first_env, list[row]);
            v = syn_rows_load(op.x + pair_at(op, pair, k) * op.F, at, op.F, aligned);
        }
        syn_rows_put(x_rows + row * stride + at, v);
    }
}

/* Columns of z and of what else has one for each p: padded to fours. */
static __host__ __device__ __forceinline__ int pair_width(int P)
{
    return (P + 3) / 4 * 4;
}

/* z (PAIR_TILE, pair_width(P)) = x_rows matrix^T. */
template <bool MIXED>
static __device__ __forceinline__ void
pair_product(const pair_op &op, const typename syn_rows_element<MIXED>::type *x_rows,
             const typename syn_rows_element<MIXED>::type *matrix, float *z)
{
    const int stride = pair_width(op.P);
    syn_rows_product<PAIR_TILE>(op.F, stride, x_rows, matrix,
                                [=](int row, int column, float v0, int next, float v1) {
                                    z[row * stride + column] = v0;
                                    if (next < stride) z[row * stride + next] = v1;
                                });
}

/* Where the scores' parts of a pair lie, P elements each. */
typedef struct pair_parts {
    const float *s, *q, *r;
} pair_parts;

static __device__ __forceinline__ pair_parts pair_parts_of(const pair_op &op, const pair_row &row,
                                                           int k)
{
    const int K = SYN_PAIR_KINDS, P = op.P;
    const pair_parts parts = {op.s + (row.env * K + k) * P,
                              op.q + ((row.env * op.N + row.from) * K + k) * P,
                              op.r + ((row.env * op.N + row.to) * K + k) * P};
    return parts;
}

static __device__ __forceinline__ float pair_tanh(const pair_parts &part, int p, float z)
{
    return syn_tanh(part.s[p] + part.q[p] + part.r[p] + z);
}

/* Shared memory of both passes, in bytes from its begin. */
typedef struct pair_shared {
    int matrix, x_rows, z, bytes;
} pair_shared;

static inline int pair_taken(int *bytes, int64_t more)
{
    const int at = *bytes;
    const int64_t sum = at + (more + 15) / 16 * 16;
    *bytes = sum < INT32_MAX / 2 ? (int)sum : INT32_MAX / 2; /* far more than any device has */
    return at;
}

template <bool MIXED> static pair_shared pair_shared_make(const pair_op *op)
{
    const int64_t size = sizeof(typename syn_rows_element<MIXED>::type);
    const int64_t stride = syn_rows_stride<MIXED>(op->F);
    pair_shared s = {0, 0, 0, 0};
    s.matrix = pair_taken(&s.bytes, syn_rows_columns(pair_width(op->P)) * stride * size);
    s.x_rows = pair_taken(&s.bytes, PAIR_TILE * stride * size);
    s.z = pair_taken(&s.bytes, PAIR_TILE * (int64_t)pair_width(op->P) * (int64_t)sizeof(float));
    return s;
}

/* Beside the list of a block, which lies before it: dynamic memory begins at the next 128 bytes. */
static inline int pair_shared_max(void)
{
    const int list = (PAIR_LIST + PAIR_WARPS) * (int)sizeof(int);
    int device = 0, most = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
            cudaSuccess)
        return 0;
    return most - (list + 127) / 128 * 128;
}

#endif
