/* R in bf16, in the order in which the threads of the kernels on matrix units keep it. */
#include "kernels/lstm_cuda.cuh"

enum { THREADS = 256, UNITS = 32 /* of a block of a cluster */ };

/* Fragments of a thread, warps of a block and blocks that share R. */
typedef struct shape {
    int fragments, warps, blocks;
} shape;

/* Where in R a lane's 8 k of two rows begin, and how far apart they are. */
typedef struct source {
    int64_t low, high, step;
} source;

/* Both directions' R, and where they go. */
typedef struct weights {
    const float *R[2];
    uint4 *packed[2];
} weights;

static shape shape_of(syn_lstm_layout layout, int H)
{
    switch (layout) {
    case SYN_LSTM_BLOCK_FORWARD:
        return {8, 16, 1};
    case SYN_LSTM_BLOCK_BACKWARD:
        return {16, 8, 1};
    default:
        return {H / 32, 8, H / UNITS};
    }
}

/* group = lane / 4, quad = lane % 4, as in kernels/base/ptx.cuh. */
static __device__ source source_of(syn_lstm_layout layout, int64_t H, int rank, int f, int warp,
                                   int group, int quad)
{
    const int64_t k = 32 * (f % 4) + 8 * quad, unit0 = (int64_t)rank * UNITS;
    int64_t row, u;
    switch (layout) {
    case SYN_LSTM_BLOCK_FORWARD: /* rows i,f, then g,o of unit 8 warp + group */
        row = f / 4 * 2 * H + 8 * warp + group;
        return {row * H + k, (row + H) * H + k, 1};
    case SYN_LSTM_BLOCK_BACKWARD: /* units u, u + 1; k = the row of R */
        u = 16 * warp + 2 * group;
        row = 32 * f + 8 * quad;
        return {row * H + u, row * H + u + 1, H};
    case SYN_LSTM_CLUSTER_FORWARD: /* rows i,f, in the upper four groups g,o, of four units */
    case SYN_LSTM_WIDE_FORWARD:    /* likewise, but see k_of */
        row = (group >= 4 ? 2 * H : 0) + unit0 + 4 * warp + group % 4;
        u = 32 * f + (layout == SYN_LSTM_WIDE_FORWARD ? 2 : 8) * quad;
        return {row * H + u, (row + H) * H + u, 1};
    default: /* two m16 tiles for each block the sums go to, so that a thread holds the sums of four
              * units that follow each other; k = 32 gate + unit */
        u = ((int64_t)warp * (H / 256) + f / 8) * UNITS + 4 * group + f / 4 % 2 * 2;
        row = f % 4 * H + unit0 + 8 * quad;
        return {row * H + u, row * H + u + 1, H};
    }
}

/* Which k, counted from the lane's first, its j-th is. The right operand of a warpgroup lies in
 * shared memory in the order of k, so that each lane has the k that the instruction asks it for. */
static __device__ int k_of(syn_lstm_layout layout, int j)
{
    return layout == SYN_LSTM_WIDE_FORWARD ? j / 2 * 8 + j % 2 : j;
}

/* A thread makes both halves of one fragment of one lane. */
static __global__ void pack_kernel(syn_lstm_layout layout, shape s, int64_t H, weights w)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, lane = i % 32, warp = i / 32 % s.warps;
    const int f = i / 32 / s.warps % s.fragments, rank = i / 32 / s.warps / s.fragments;
    if (rank >= s.blocks) return;
    const bool second = blockIdx.y == 1; /* no index: parameters that are indexed go to the stack */
    const float *const R = second ? w.R[1] : w.R[0];
    const source from = source_of(layout, H, rank, f, warp, lane / 4, lane % 4);
    float low[8], high[8];
    uint32_t a[2][4];
    for (int j = 0; j < 8; j++) {
        low[j] = R[from.low + k_of(layout, j) * from.step];
        high[j] = R[from.high + k_of(layout, j) * from.step];
    }
    syn_lstm_fragments(low, high, a);
    uint4 *const packed = (second ? w.packed[1] : w.packed[0]) + i / 32 * 64 + lane;
    for (int half = 0; half < 2; half++)
        packed[32 * half] = {a[half][0], a[half][1], a[half][2], a[half][3]};
}

syn_status syn_lstm_pack(syn_ctx *ctx, syn_lstm_layout layout, syn_lstm_pass *p)
{
    const int64_t H = p->call[0].H;
    const shape s = shape_of(layout, (int)H);
    const unsigned threads = (unsigned)(s.fragments * s.warps * s.blocks * 32);
    weights w = {};
    for (int d = 0; d < p->directions; d++) {
        w.R[d] = p->call[d].R;
        SYN_TAKE(ctx, w.packed[d], uint4, threads * 2);
        p->fragments[d] = w.packed[d];
    }
    SYN_LAUNCH(ctx, pack_kernel, dim3(threads / THREADS, (unsigned)p->directions), THREADS, 0,
               layout, s, H, w);
    SYN_LAUNCH_CHECK(ctx, "weights of the LSTM for matrix units");
    return SYN_OK;
}
