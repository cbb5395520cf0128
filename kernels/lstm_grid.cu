/* The LSTM in float with R on chip, for devices without clusters and for float precision: one
 * cooperative launch per direction. A block keeps the rows of R (backward: the columns) of four
 * units in shared memory for all steps; states (backward: gate gradients) go through L2, with one
 * barrier of the grid per step.
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
#include "kernels/lstm_cuda.cuh"

enum {
    THREADS = 256,
    WARPS = THREADS / 32,
    UNITS = 4, /* of a block */
    ROWS = UNITS * SYN_LSTM_GATES,
    SEQUENCES = 4, /* of a warp at a time */
    WIDTH = 128    /* states are padded to this: 32 lanes x float4 */
};

/* Two planes of `sequences` rows: what the next step reads, zero where nothing flows. */
typedef struct exchange {
    float *planes;
    int64_t sequences, width; /* padded */
    syn_grid_barrier *barrier;
} exchange;

/* The row of sequence b in the plane of step s. */
static __device__ __forceinline__ float *exchange_row(const exchange &x, int64_t s, int64_t b)
{
    return x.planes + ((s & 1) * x.sequences + b) * x.width;
}

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

static __device__ bool any_live(const syn_seq &q, int64_t b0, int64_t s)
{
    bool live = false;
    for (int64_t b = b0; b < b0 + SEQUENCES && b < q.batch; b++)
        live = live || s < syn_lstm_length(q, b);
    return live;
}

/* ---- Forward ---- */

/* Zeros in both planes but for the h that enters step 0. */
static __global__ void start_forward(syn_lstm_pass p, syn_lstm_call a, exchange x)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int64_t b = at / x.width, u = at % x.width;
    if (b >= x.sequences) return;
    const bool is = b < p.seq.batch && u < a.H && a.h0 && p.seq.steps > 0;
    x.planes[at] = is && !syn_lstm_reset(p.seq, a.reverse, b, 0) ? a.h0[b * a.H + u] : 0;
    x.planes[x.sequences * x.width + at] = 0;
}

static __device__ void finish_forward(const syn_lstm_call &a, int64_t b, int64_t u, float h,
                                      float c)
{
    if (a.hT) a.hT[b * a.H + u] = h;
    if (a.cT) a.cT[b * a.H + u] = c;
}

/* Step s of unit u of sequence b: z = R h, by gate. */
static __device__ void unit_forward(const syn_lstm_pass &p, const syn_lstm_call &a,
                                    const exchange &x, int64_t b, int64_t u, int64_t s, float z[4])
{
    const int64_t H = a.H, length = syn_lstm_length(p.seq, b);
    if (s >= length) return;
    const int64_t row = syn_lstm_row(p.seq, a.reverse, b, length, s);
    float *v = a.v + row * SYN_LSTM_GATES * H + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) z[g] += v[g * H];
    float c = syn_lstm_cell_before(p.seq, a, b, u, length, s);
    const float h = syn_lstm_gates<false>(z, &c);
    for (int g = 0; g < SYN_LSTM_GATES; g++) v[g * H] = z[g];
    a.c[row * H + u] = c;
    a.h[row * a.ldh + u] = h;
    if (s + 1 == length) finish_forward(a, b, u, h, c);
    const bool zero = s + 1 == length || syn_lstm_reset(p.seq, a.reverse, b, s + 1);
    exchange_row(x, s + 1, b)[u] = zero ? 0 : h;
}

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
    for (int64_t e = threadIdx.x; e < p.seq.batch * UNITS; e += THREADS) {
        const int64_t b = e / UNITS, u = u0 + e % UNITS, at = b * H + u;
        if (u < H && syn_lstm_length(p.seq, b) == 0)
            finish_forward(a, b, u, a.h0 ? a.h0[at] : 0, a.c0 ? a.c0[at] : 0);
    }
    __syncthreads();
    for (int64_t s = 0; s < p.seq.steps; s++) {
        for (int64_t b0 = warp * SEQUENCES; b0 < p.seq.batch; b0 += WARPS * SEQUENCES) {
            if (!any_live(p.seq, b0, s)) continue;
            float z[SEQUENCES * ROWS];
            multiply<ROWS>(rows, exchange_row(x, s, b0), x.width, lane, z);
            /* Lanes 2i, 2i + 1 hold gates i,f and g,o of unit i % 4 of sequence i / 4. */
            z[2] = __shfl_xor_sync(0xffffffffu, z[0], 1);
            z[3] = __shfl_xor_sync(0xffffffffu, z[1], 1);
            const int64_t b = b0 + lane / 8, u = u0 + lane / 2 % UNITS;
            if (lane % 2 == 0 && b < p.seq.batch && u < H) unit_forward(p, a, x, b, u, s, z);
        }
        if (s + 1 < p.seq.steps) syn_grid_sync(x.barrier);
    }
}

/* ---- Backward ---- */

/* Zeros in both planes: no gradient flows from behind the last step. */
static __global__ void start_backward(exchange x)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at < 2 * x.sequences * x.width) x.planes[at] = 0;
}

/* Step s of unit u of sequence b: z = (R^T gate gradients of the following step). dc (B,H). */
static __device__ void unit_backward(const syn_lstm_pass &p, const syn_lstm_call &a,
                                     const exchange &x, float *dc, int64_t b, int64_t u, int64_t s,
                                     float z)
{
    const int64_t H = a.H, at = b * H + u, length = syn_lstm_length(p.seq, b);
    if (s >= length) return;
    const int64_t row = syn_lstm_row(p.seq, a.reverse, b, length, s);
    const bool zero = syn_lstm_reset(p.seq, a.reverse, b, s);
    float dh = z + a.dh[row * a.lddh + u], v[4];
    if (s + 1 == length && a.dhT) dh += a.dhT[at];
    float *gates = a.v + row * SYN_LSTM_GATES * H + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) v[g] = gates[g * H];
    const float next = syn_lstm_gates_backward<false>(
        v, dh, dc[at], a.c[row * H + u], syn_lstm_cell_before(p.seq, a, b, u, length, s));
    dc[at] = zero ? 0 : next;
    float *to = exchange_row(x, s, b) + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) {
        gates[g * H] = v[g];
        to[g * (x.width / SYN_LSTM_GATES)] = zero ? 0 : v[g];
    }
}

static __device__ void finish_backward(const syn_lstm_pass &p, const syn_lstm_call &a,
                                       const float *dc, int64_t b, int64_t u, float z)
{
    const int64_t at = b * a.H + u;
    if (syn_lstm_length(p.seq, b) == 0) z = a.dhT ? a.dhT[at] : 0;
    if (a.dh0) a.dh0[at] = z;
    if (a.dc0) a.dc0[at] = dc[at];
}

static __global__ void __launch_bounds__(THREADS)
    grid_backward(syn_lstm_pass p, syn_lstm_call a, exchange x, float *dc)
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
            if (s >= 0 && !any_live(p.seq, b0, s)) continue;
            float z[SEQUENCES * UNITS];
            multiply<UNITS>(columns, exchange_row(x, s + 1, b0), x.width, lane, z);
            /* Lanes 2i, 2i + 1 hold unit i % 4 of sequence i / 4. */
            const int64_t b = b0 + lane / 8, u = u0 + lane / 2 % UNITS;
            if (lane % 2 || b >= p.seq.batch || u >= H) continue;
            if (s >= 0)
                unit_backward(p, a, x, dc, b, u, s, z[0]);
            else
                finish_backward(p, a, dc, b, u, z[0]);
        }
        if (s >= 0) syn_grid_sync(x.barrier);
    }
}

/* ---- Launchers ---- */

static int64_t padded_width(int64_t H)
{
    return syn_ceil_div(H, WIDTH) * WIDTH;
}

/* Forward: the rows; backward: the columns, as many bytes. */
static size_t shared_bytes(int64_t H)
{
    return (size_t)(ROWS * padded_width(H)) * sizeof(float);
}

static unsigned block_count(int64_t H)
{
    return (unsigned)syn_ceil_div(H, UNITS);
}

/* Whether all blocks of the kernel run at once. */
static bool fits(const void *kernel, int64_t H)
{
    const size_t bytes = shared_bytes(H);
    int device = 0, processors = 0, blocks = 0, bytes_max = 0;
    const bool known = cudaGetDevice(&device) == cudaSuccess &&
                       cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount,
                                              device) == cudaSuccess &&
                       cudaDeviceGetAttribute(&bytes_max, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                              device) == cudaSuccess;
    if (!known || bytes > (size_t)bytes_max) return false;
    if (cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes) !=
            cudaSuccess ||
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, THREADS, bytes) !=
            cudaSuccess)
        (void)cudaGetLastError(); /* answered here */
    return block_count(H) <= (unsigned)(blocks * processors);
}

const char *syn_lstm_grid_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    (void)ctx;
    const int64_t H = p->call[0].H;
    if (p->live) return "it needs the number of sequences on the host";
    if (!fits((const void *)grid_forward, H) || !fits((const void *)grid_backward, H))
        return "the device does not run that many blocks at once";
    return NULL;
}

static syn_status exchange_create(syn_ctx *ctx, const syn_lstm_pass *p, int64_t width, exchange *x)
{
    x->sequences = syn_ceil_div(p->seq.batch, SEQUENCES) * SEQUENCES;
    x->width = width;
    SYN_TAKE(ctx, x->planes, float, 2 * x->sequences * width);
    SYN_TAKE(ctx, x->barrier, syn_grid_barrier, 1);
    return syn_zero(ctx, x->barrier, sizeof *x->barrier);
}

static unsigned start_blocks(const exchange *x)
{
    return (unsigned)syn_ceil_div(2 * x->sequences * x->width, THREADS);
}

syn_status syn_lstm_grid_forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const int64_t H = p->call[0].H;
    if (p->seq.batch == 0) return SYN_OK;
    for (int d = 0; d < p->directions; d++) {
        exchange x;
        SYN_RETURN_IF(exchange_create(ctx, p, padded_width(H), &x));
        SYN_LAUNCH(ctx, start_forward, start_blocks(&x), THREADS, 0, *p, p->call[d], x);
        SYN_LAUNCH_CHECK(ctx, "LSTM of the grid, start");
        (void)syn_launch_together(ctx, grid_forward, dim3(block_count(H)), dim3(THREADS), 0,
                                  shared_bytes(H), *p, p->call[d], x);
        SYN_LAUNCH_CHECK(ctx, "LSTM of the grid, forward");
    }
    return SYN_OK;
}

syn_status syn_lstm_grid_backward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const int64_t H = p->call[0].H, cells = p->seq.batch * H;
    if (cells == 0) return SYN_OK;
    for (int d = 0; d < p->directions; d++) {
        const syn_lstm_call *a = &p->call[d];
        exchange x;
        float *dc;
        SYN_RETURN_IF(exchange_create(ctx, p, SYN_LSTM_GATES * padded_width(H), &x));
        SYN_TAKE(ctx, dc, float, cells);
        SYN_RETURN_IF(a->dcT ? syn_copy(ctx, dc, a->dcT, sizeof(float) * (size_t)cells)
                             : syn_zero(ctx, dc, sizeof(float) * (size_t)cells));
        SYN_LAUNCH(ctx, start_backward, start_blocks(&x), THREADS, 0, x);
        SYN_LAUNCH_CHECK(ctx, "LSTM of the grid, start of the backward pass");
        (void)syn_launch_together(ctx, grid_backward, dim3(block_count(H)), dim3(THREADS), 0,
                                  shared_bytes(H), *p, *a, x, dc);
        SYN_LAUNCH_CHECK(ctx, "LSTM of the grid, backward");
    }
    return SYN_OK;
}
