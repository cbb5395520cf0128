/* The LSTM with R on chip, for devices without clusters and for float precision: the grid variant
 * in float, and the choice between it and bf16 (kernels/lstm_grid_mixed.cu). A block keeps the rows
 * of R (backward: the columns) of four units.
 *
 * A warp takes four sequences at a time: its lanes share the sums over k, then halve the sums among
 * each other until each lane owns what it needs, always in the same order.
 *
 * What binds: a barrier of the grid, about 1.5 us; then L2: each block reads all states of the
 * step, (H / 4) 4 B H bytes forward, four times that backward. H = 512, B = 16: 4 MB and 17 MB a
 * step, about 1 and 4 us. Many sequences are better served by a product per step.
 *
 * ptxas 13.0, sm_90a, no spills: forward 122 registers a thread, backward 64; both 64 H bytes of
 * shared memory, H rounded up to 128. H = 512: 128 blocks with 32 KB each, two of which fit on an
 * SM (at 122 registers), so that 132 SMs, or 108, run them all at once. */
#include "kernels/lstm_grid.cuh"

enum {
    THREADS = SYN_GRID_THREADS,
    WARPS = THREADS / 32,
    UNITS = 4, /* of a block */
    ROWS = UNITS * SYN_LSTM_GATES,
    SEQUENCES = 4, /* of a warp at a time */
    WIDTH = 128    /* states are padded to this: 32 lanes x float4 */
};

typedef syn_grid_exchange<float> exchange;

/* sums[0..N-1] of all 32 lanes -> lane l holds the totals of N / 32 of them, from l * N / 32 on;
 * with N < 32, 32 / N neighbouring lanes hold one and the same total. Call it with HALF = 16. */
template <int N, int HALF> static __device__ __forceinline__ void share_sums(float *sums, int lane)
{
    const bool upper = lane & HALF;
    if (N == 1) sums[0] += __shfl_xor_sync(0xffffffffu, sums[0], HALF);
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        const float sent = upper ? sums[i] : sums[i + N / 2];
        const float kept = upper ? sums[i + N / 2] : sums[i];
        sums[i] = kept + __shfl_xor_sync(0xffffffffu, sent, HALF);
    }
    if constexpr (HALF > 1) share_sums<(N > 1 ? N / 2 : 1), HALF / 2>(sums, lane);
}

static __device__ __forceinline__ float dot4(float4 a, float4 b, float sum)
{
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

/* sums (SEQUENCES, N) = rows (N, width) in shared memory times the sequences' rows of `from`. */
template <int N>
static __device__ __forceinline__ void multiply(const float *rows, const float *from, int64_t width,
                                                int lane, float sums[SEQUENCES * N])
{
#pragma unroll
    for (int i = 0; i < SEQUENCES * N; i++) sums[i] = 0;
    for (int64_t k = 4 * lane; k < width; k += WIDTH) {
        float4 x[SEQUENCES];
#pragma unroll
        for (int i = 0; i < SEQUENCES; i++) x[i] = *(const float4 *)(from + i * width + k);
#pragma unroll
        for (int r = 0; r < N; r++) {
            const float4 y = *(const float4 *)(rows + r * width + k);
#pragma unroll
            for (int i = 0; i < SEQUENCES; i++) sums[i * N + r] = dot4(x[i], y, sums[i * N + r]);
        }
    }
    share_sums<SEQUENCES * N, 16>(sums, lane);
}

/* ---- Forward ---- */

static __global__ void __launch_bounds__(THREADS)
    grid_forward(syn_lstm_pass p, syn_lstm_call a, exchange x)
{
    SYN_DYNAMIC_SHARED(float, rows); /* (UNITS, GATES, width) */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int64_t H = a.H, u0 = (int64_t)blockIdx.x * UNITS;
    for (int64_t e = threadIdx.x; e < ROWS * x.width; e += THREADS) {
        const int64_t row = e / x.width, k = e % x.width, u = u0 + row / SYN_LSTM_GATES;
        const bool is = u < H && k < H;
        rows[e] = is ? a.R[(row % SYN_LSTM_GATES * H + u) * H + k] : 0;
    }
    __syncthreads();
    for (int64_t s = 0; s < p.seq.steps; s++) {
        for (int64_t b0 = warp * SEQUENCES; b0 < p.seq.batch; b0 += WARPS * SEQUENCES) {
            if (!syn_grid_live(p.seq, b0, SEQUENCES, s)) continue;
            float z[SEQUENCES * ROWS];
            multiply<ROWS>(rows, syn_grid_row(x, s, b0), x.width, lane, z);
            /* Lanes 2i, 2i + 1 hold gates i,f and g,o of unit i % 4 of sequence i / 4. */
            z[2] = __shfl_xor_sync(0xffffffffu, z[0], 1);
            z[3] = __shfl_xor_sync(0xffffffffu, z[1], 1);
            const int64_t b = b0 + lane / 8, u = u0 + lane / 2 % UNITS;
            if (lane % 2 == 0 && b < p.seq.batch && u < H)
                syn_grid_unit_forward<false>(p, a, x, b, u, s, z);
        }
        if (s + 1 < p.seq.steps) syn_grid_sync(x.barrier);
    }
}

/* ---- Backward ---- */

static __global__ void __launch_bounds__(THREADS)
    grid_backward(syn_lstm_pass p, syn_lstm_call a, exchange x)
{
    SYN_DYNAMIC_SHARED(float, columns); /* (UNITS, width), k = gate * width / 4 + unit */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int64_t H = a.H, u0 = (int64_t)blockIdx.x * UNITS, padded = x.width / SYN_LSTM_GATES;
    for (int64_t e = threadIdx.x; e < UNITS * x.width; e += THREADS) {
        const int64_t u = u0 + e / x.width, k = e % x.width, g = k / padded, unit = k % padded;
        columns[e] = u < H && unit < H ? a.R[(g * H + unit) * H + u] : 0;
    }
    __syncthreads();
    for (int64_t s = p.seq.steps - 1; s >= -1; s--) {
        for (int64_t b0 = warp * SEQUENCES; b0 < p.seq.batch; b0 += WARPS * SEQUENCES) {
            if (s >= 0 && !syn_grid_live(p.seq, b0, SEQUENCES, s)) continue;
            float z[SEQUENCES * UNITS];
            multiply<UNITS>(columns, syn_grid_row(x, s + 1, b0), x.width, lane, z);
            /* Lanes 2i, 2i + 1 hold unit i % 4 of sequence i / 4. */
            const int64_t b = b0 + lane / 8, u = u0 + lane / 2 % UNITS;
            if (lane % 2 || b >= p.seq.batch || u >= H) continue;
            if (s >= 0)
                syn_grid_unit_backward<false>(p, a, x, b, u, s, z[0]);
            else
                syn_grid_finish_backward(p, a, x, b, u, z[0]);
        }
        if (s >= 0) syn_grid_sync(x.barrier);
    }
}

/* ---- Launchers ---- */

static syn_grid_kernel<float> kernel_of(bool forward, int64_t H)
{
    const int64_t padded = syn_ceil_div(H, WIDTH) * WIDTH;
    const size_t bytes = (size_t)(ROWS * padded) * sizeof(float); /* rows, or as many of columns */
    const unsigned blocks = (unsigned)syn_ceil_div(H, UNITS);
    return {forward ? grid_forward : grid_backward, blocks, bytes,
            forward ? padded : SYN_LSTM_GATES * padded, SEQUENCES};
}

const char *syn_lstm_grid_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    const int64_t H = p->call[0].H;
    if (p->live) return "it needs the number of sequences on the host";
    const bool fits = ctx->math == SYN_MATH_MIXED
                          ? syn_lstm_grid_mixed_fits(H)
                          : syn_grid_fits(kernel_of(true, H)) && syn_grid_fits(kernel_of(false, H));
    return fits ? NULL : "the device does not run that many blocks at once";
}

syn_status syn_lstm_grid_forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    if (ctx->math == SYN_MATH_MIXED) return syn_lstm_grid_mixed_forward(ctx, p);
    return syn_grid_run(ctx, p, kernel_of(true, p->call[0].H), syn_grid_start_forward<float>,
                        "LSTM of the grid, forward");
}

syn_status syn_lstm_grid_backward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    if (ctx->math == SYN_MATH_MIXED) return syn_lstm_grid_mixed_backward(ctx, p);
    return syn_grid_run(ctx, p, kernel_of(false, p->call[0].H), syn_grid_start_backward<float>,
                        "LSTM of the grid, backward");
}
