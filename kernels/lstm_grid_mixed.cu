/* The grid variant in bf16: R, states and gate gradients rounded, sums in float on matrix units.
 *
 * Forward: a block has four units, whose 16 rows of R are one left tile; a warp takes eight
 * sequences at a time over all of K = H. Two shuffles give each lane all gates of one unit of one
 * sequence. Backward: a block has the columns of R of 16 units, one left tile over K = 4H, for a
 * quarter of the sequences; the four gates' sums are made by four warps and added in fixed order
 * through shared memory, after which each thread owns one unit of one sequence.
 *
 * The right operand comes from L2 as the lanes need it, 16 bytes each, all loads of a warp's tile
 * under way together (H <= 512).
 *
 * What binds: a barrier of the grid, about 1.5 us, and one trip to L2, about 0.5 us; L2 itself
 * gives (H / 4) 2 B H bytes a step, in both directions: H = 512, B = 16: 2 MB, 0.4 us at 5 TB/s;
 * B = 128: 17 MB, 3 us. Half of what float needs forward, an eighth backward.
 *
 * ptxas 13.0, sm_90a, no spills: forward 104 registers a thread, 32 H bytes of shared memory;
 * backward 126 and 128 H + 4096 bytes, H rounded up to 32. H = 512: 128 blocks of 16 and of 68 KB,
 * one or more on an SM. */
#include "kernels/lstm_grid.cuh"

enum {
    THREADS = SYN_GRID_THREADS,
    WARPS = THREADS / 32,
    FORWARD_UNITS = 4,
    BACKWARD_UNITS = 16,
    BATCH_PARTS = 4, /* of the backward pass */
    TILE = SYN_LSTM_LANES,
    PAIR = 2 * TILE, /* sequences that a block of the backward pass takes at a time */
    K_GROUP = 32,
    LOADS = 16 /* k groups whose right operand is loaded at a time: all of H = 512 */
};

typedef syn_grid_exchange<uint16_t> exchange;

/* d = the left tile in shared memory times the sequence's row, over `groups` * 32 k. The loads of a
 * row are all under way before the first product. */
static __device__ __forceinline__ void multiply(const uint4 *left, const uint16_t *row, int groups,
                                                int lane, float d[4])
{
    float part[2][4] = {};
    for (int f0 = 0; f0 < groups; f0 += LOADS) {
        uint4 b[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++)
            b[i] = f0 + i < groups ? syn_lstm_right(row, f0 + i, lane % 4) : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            if (f0 + i >= groups) break;
            const uint4 low = left[(f0 + i) * 64 + lane], high = left[(f0 + i) * 64 + 32 + lane];
            const uint32_t a0[4] = {low.x, low.y, low.z, low.w};
            const uint32_t a1[4] = {high.x, high.y, high.z, high.w};
            const uint32_t first[2] = {b[i].x, b[i].y}, second[2] = {b[i].z, b[i].w};
            syn_mma_bf16(part[0], a0, first);
            syn_mma_bf16(part[1], a1, second);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) d[i] = part[0][i] + part[1][i];
}

/* One lane's fragments of k group f: 8 k, `step` elements apart, of the rows low and high of R;
 * beyond k_max and where a row is NULL there are zeros. */
static __device__ __forceinline__ void put_fragments(const float *low, const float *high,
                                                     int64_t step, int64_t k, int64_t k_max,
                                                     uint4 *left, int f, int lane)
{
    float x[8], y[8];
    uint32_t a[2][4];
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const bool is = k + j < k_max;
        x[j] = is && low ? low[(k + j) * step] : 0;
        y[j] = is && high ? high[(k + j) * step] : 0;
    }
    syn_lstm_fragments(x, y, a);
#pragma unroll
    for (int half = 0; half < 2; half++)
        left[f * 64 + 32 * half + lane] = {a[half][0], a[half][1], a[half][2], a[half][3]};
}

/* ---- Forward ---- */

static __global__ void __launch_bounds__(THREADS)
    grid_forward_mixed(syn_lstm_pass p, syn_lstm_call a, exchange x)
{
    SYN_DYNAMIC_SHARED(uint4, left); /* by k group, product and lane */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / 4, quad = lane % 4;
    const int groups = (int)(x.width / K_GROUP), column = 2 * quad + (group >= 4);
    const int64_t H = a.H, u = (int64_t)blockIdx.x * FORWARD_UNITS + group % 4;
    /* Rows i,f, in the upper four groups g,o, of four units. */
    const float *const low = u < H ? a.R + ((group >= 4 ? 2 * H : 0) + u) * H : NULL;
    for (int f = warp; f < groups; f += WARPS)
        put_fragments(low, low ? low + H * H : NULL, 1, K_GROUP * f + 8 * quad, H, left, f, lane);
    __syncthreads();
    for (int64_t s = 0; s < p.seq.steps; s++) {
        for (int64_t b0 = warp * TILE; b0 < p.seq.batch; b0 += WARPS * TILE) {
            if (!syn_grid_live(p.seq, b0, TILE, s)) continue;
            float d[4], z[4];
            multiply(left, syn_grid_row(x, s, b0 + group), groups, lane, d);
            syn_lstm_gather_gates(d, group >= 4, z);
            if (b0 + column < p.seq.batch && u < H)
                syn_grid_unit_forward<true>(p, a, x, b0 + column, u, s, z);
            __syncwarp();
        }
        if (s + 1 < p.seq.steps) syn_grid_sync(x.barrier);
    }
}

/* ---- Backward ---- */

static __global__ void __launch_bounds__(THREADS)
    grid_backward_mixed(syn_lstm_pass p, syn_lstm_call a, exchange x)
{
    SYN_DYNAMIC_SHARED(float4, part); /* (2 tiles, GATES, 32 lanes), then R */
    uint4 *const left = (uint4 *)(part + 2 * SYN_LSTM_GATES * 32);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / 4, quad = lane % 4;
    const int64_t H = a.H, padded = x.width / SYN_LSTM_GATES;
    const int64_t u0 = (int64_t)(blockIdx.x / BATCH_PARTS) * BACKWARD_UNITS;
    const int groups = (int)(padded / K_GROUP), gate = warp % SYN_LSTM_GATES;
    for (int f = warp; f < SYN_LSTM_GATES * groups; f += WARPS) {
        const float *const R = a.R + f / groups * H * H;
        const int64_t low = u0 + group, high = low + 8, k = f % groups * K_GROUP + 8 * quad;
        put_fragments(low < H ? R + low : NULL, high < H ? R + high : NULL, H, k, H, left, f, lane);
    }
    __syncthreads();
    /* The thread's unit and sequence among the sums: lane l of float i of a tile. */
    const int l = threadIdx.x % 32, i = threadIdx.x / 32 % 4, tile = threadIdx.x / 128;
    const int64_t u = u0 + l / 4 + i / 2 * 8;
    const int column = tile * TILE + l % 4 * 2 + i % 2;
    for (int64_t s = p.seq.steps - 1; s >= -1; s--) {
        for (int64_t b0 = blockIdx.x % BATCH_PARTS * PAIR; b0 < p.seq.batch;
             b0 += BATCH_PARTS * PAIR) {
            if (s >= 0 && !syn_grid_live(p.seq, b0, PAIR, s)) continue;
            const int64_t b = b0 + column;
            float d[4];
            multiply(left + gate * groups * 64,
                     syn_grid_row(x, s + 1, b0 + warp / SYN_LSTM_GATES * TILE + group) +
                         gate * padded,
                     groups, lane, d);
            part[warp * 32 + lane] = make_float4(d[0], d[1], d[2], d[3]);
            __syncthreads();
            float z = 0;
#pragma unroll
            for (int g = 0; g < SYN_LSTM_GATES; g++)
                z += ((const float *)(part + (tile * SYN_LSTM_GATES + g) * 32 + l))[i];
            __syncthreads();
            if (b >= p.seq.batch || u >= H) continue;
            if (s >= 0)
                syn_grid_unit_backward<true>(p, a, x, b, u, s, z);
            else
                syn_grid_finish_backward(p, a, x, b, u, z);
        }
        if (s >= 0) syn_grid_sync(x.barrier);
    }
}

/* ---- Launchers ---- */

static syn_grid_kernel<uint16_t> kernel_of(bool forward, int64_t H)
{
    const int64_t padded = syn_ceil_div(H, K_GROUP) * K_GROUP;
    const size_t tile = (size_t)padded * 16 * sizeof(uint16_t);
    if (forward)
        return {grid_forward_mixed, (unsigned)syn_ceil_div(H, FORWARD_UNITS), tile, padded, TILE};
    const size_t sums = 2 * SYN_LSTM_GATES * 32 * sizeof(float4);
    return {grid_backward_mixed, (unsigned)(syn_ceil_div(H, BACKWARD_UNITS) * BATCH_PARTS),
            sums + SYN_LSTM_GATES * tile, SYN_LSTM_GATES * padded, PAIR};
}

bool syn_lstm_grid_mixed_fits(int64_t H)
{
    return syn_grid_fits(kernel_of(true, H)) && syn_grid_fits(kernel_of(false, H));
}

syn_status syn_lstm_grid_mixed_forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    return syn_grid_run(ctx, p, kernel_of(true, p->call[0].H), syn_grid_start_forward<uint16_t>,
                        "LSTM of the grid, forward");
}

syn_status syn_lstm_grid_mixed_backward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    return syn_grid_run(ctx, p, kernel_of(false, p->call[0].H), syn_grid_start_backward<uint16_t>,
                        "LSTM of the grid, backward");
}
