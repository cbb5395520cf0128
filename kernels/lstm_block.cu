/* The LSTM of width 128 in one block per direction and tile of sequences: R never leaves the
 * registers, h never leaves the block. Both directions and all tiles go in one launch.
 *
 * Forward: 512 threads. Warp w holds the 32 rows of R of units 8w..8w+7 as the left fragments of
 * two m16 tiles (gates i,f and g,o) over K = 128: 64 registers a thread. The thread of group g owns
 * all four gates of unit 8w + g in two sequences of each n8 tile, so that gates, cell and h are
 * made where the products end. h (bf16) goes to the block through double-buffered shared memory.
 * Backward: 256 threads. Warp w holds the 16 rows of R^T of units 16w..16w+15 over K = 512: 128
 * registers a thread; gate gradients (bf16) go through shared memory, dh stays with its owner.
 *
 * What binds: per step and n8 tile 256 products m16n8k16 of an SM, about 420 cycles at the rate of
 * mma.sync on Hopper (0.23 us at 1.8 GHz), then one block barrier and the gates' latency, about
 * 0.25 us: near 0.5 us a step at one tile (not measured); four tiles are 0.9 us of products. Once
 * per call R is packed (one launch per direction) and each block reads 128 KB of it, together about
 * 4 us.
 *
 * ptxas 13.0, sm_90a, no spills:       registers a thread   shared memory
 *     forward   1, 2, 4 tiles a block   118, 124, 128        5.1, 10.1, 20.3 KB
 *     backward  1, 2 tiles a block      222, 253             17.1, 34.1 KB
 * 512 threads x 128 and 256 x 255 registers fill the register file: one block per SM, 132 at once.
 * The fewest tiles with which all blocks run at once are taken. */
#include "kernels/lstm_cuda.cuh"

enum {
    H = 128,
    GROUPS = H / 32,
    FORWARD_THREADS = 512,
    FORWARD_ROW = SYN_LSTM_ROW(H),
    BACKWARD_THREADS = 256,
    BACKWARD_GROUPS = SYN_LSTM_GATES * GROUPS,
    BACKWARD_ROW = SYN_LSTM_ROW(SYN_LSTM_GATES * H)
};

/* ---- Forward ---- */

/* Two sequences' pre-activations of a lane's unit, and whether their state is zero after the step:
 * loaded ahead of their use. */
typedef struct forward_inputs {
    float x[2][4];
    bool zero_after[2];
} forward_inputs;

static __device__ __forceinline__ void load_inputs(const syn_lstm_pass &p, const syn_lstm_call &a,
                                                   int64_t b0, const int2 *place, int s, int u,
                                                   forward_inputs *in)
{
    const int stride = syn_lstm_stride(p.seq, a.reverse);
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const int length = place[j].y;
        const float *v = a.v + (int64_t)(place[j].x + s * stride) * (SYN_LSTM_GATES * H) + u;
#pragma unroll
        for (int g = 0; g < SYN_LSTM_GATES; g++) in->x[j][g] = s < length ? v[g * H] : 0;
        in->zero_after[j] = s + 1 >= length || syn_lstm_reset(p.seq, a.reverse, b0 + j, s + 1);
    }
}

/* Where a block's planes of h lie. */
template <int TILES> struct forward_layout {
    enum { COUNT = SYN_LSTM_LANES * TILES, PLANE = COUNT * FORWARD_ROW };
    static __device__ __forceinline__ int element(int n, int u) { return n * FORWARD_ROW + u; }
};

template <int TILES>
static __global__ void __launch_bounds__(FORWARD_THREADS, 1) block_forward(syn_lstm_pass p)
{
    typedef forward_layout<TILES> at;
    SYN_DYNAMIC_SHARED(uint16_t, planes);
    int2 *const place = (int2 *)(planes + 2 * at::PLANE);
    const syn_lstm_share share = syn_lstm_share_of(p, 1, at::COUNT);
    const syn_lstm_call &a = p.call[share.direction];
    const int b0 = share.b0;
    const int lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    const int u = threadIdx.x / 32 * 8 + group;
    if (b0 >= syn_lstm_batch(p)) return;

    uint32_t r[2 * GROUPS][2][4]; /* gates i,f; gates g,o */
    syn_lstm_load_fragments<2 * GROUPS>(p.fragments[share.direction], 0, threadIdx.x / 32,
                                        FORWARD_THREADS / 32, lane, r);
    const int steps = syn_lstm_places(p, a.reverse, b0, syn_lstm_batch(p), at::COUNT, place);
    syn_lstm_start<H, FORWARD_THREADS, H, at>(p, a, b0, syn_lstm_batch(p), 0, place, planes);
    float c[TILES][2];
#pragma unroll
    for (int i = 0; i < TILES * 2; i++) {
        const int n = i / 2 * SYN_LSTM_LANES + 2 * quad + i % 2;
        c[i / 2][i % 2] = syn_lstm_first_cell(p, a, b0 + n, place[n], (int64_t)(b0 + n) * H + u);
    }
    forward_inputs next;
    load_inputs(p, a, b0 + 2 * quad, place + 2 * quad, 0, u, &next);
    __syncthreads();
#pragma unroll 1
    for (int s = 0; s < steps; s++) {
        const uint16_t *const from = planes + (s & 1) * at::PLANE;
        uint16_t *const to = planes + (~s & 1) * at::PLANE;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const forward_inputs in = next;
            const int n = t * SYN_LSTM_LANES + 2 * quad, n_next = (n + SYN_LSTM_LANES) % at::COUNT;
            load_inputs(p, a, b0 + n_next, place + n_next, t + 1 < TILES ? s : s + 1, u, &next);
            float d[2][4] = {{in.x[0][0], in.x[1][0], in.x[0][1], in.x[1][1]},
                             {in.x[0][2], in.x[1][2], in.x[0][3], in.x[1][3]}};
            syn_lstm_products<2, GROUPS>(r, from + (t * SYN_LSTM_LANES + group) * FORWARD_ROW, quad,
                                         d);
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float z[4] = {d[0][j], d[0][2 + j], d[1][j], d[1][2 + j]};
                const float h = syn_lstm_gates<true>(z, &c[t][j]);
                if (s < place[n + j].y)
                    syn_lstm_store_step<H>(p, a, b0 + n + j, place[n + j], s, u, z, c[t][j], h);
                to[(n + j) * FORWARD_ROW + u] = syn_to_bf16(in.zero_after[j] ? 0 : h);
                c[t][j] = in.zero_after[j] ? 0 : c[t][j];
            }
        }
        __syncthreads();
    }
}

/* ---- Backward ---- */

/* What a lane needs of step s for two units of two sequences. */
typedef struct backward_inputs {
    float2 v[2][4], c[2], before[2], dh[2];
    bool zero[2]; /* the state is zero before the step */
} backward_inputs;

static __device__ __forceinline__ float2 pair_of(const float *p, bool valid)
{
    return valid ? make_float2(p[0], p[1]) : make_float2(0, 0);
}

static __device__ __forceinline__ void load_gradients(const syn_lstm_pass &p,
                                                      const syn_lstm_call &a, int64_t b0,
                                                      const int2 *place, int s, int u,
                                                      backward_inputs *in)
{
    const int stride = syn_lstm_stride(p.seq, a.reverse);
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const bool live = s >= 0 && s < place[j].y;
        const int64_t row = place[j].x + s * stride, b = b0 + j;
        const float *const v = a.v + row * (SYN_LSTM_GATES * H) + u;
#pragma unroll
        for (int g = 0; g < SYN_LSTM_GATES; g++) in->v[j][g] = pair_of(v + g * H, live);
        in->c[j] = pair_of(a.c + row * H + u, live);
        in->dh[j] = pair_of(a.dh + row * a.lddh + u, live);
        in->zero[j] = live && syn_lstm_reset(p.seq, a.reverse, b, s);
        const float *const before = s > 0 ? a.c + (row - stride) * H + u : a.c0 + b * H + u;
        in->before[j] = pair_of(before, live && !in->zero[j] && (s > 0 || a.c0));
        if (!live || s + 1 < place[j].y || !a.dhT) continue;
        in->dh[j].x += a.dhT[b * H + u];
        in->dh[j].y += a.dhT[b * H + u + 1];
    }
}

/* Step s of two units of sequence b: z += dh; dc: that of the step, then of the one before. */
static __device__ __forceinline__ void step_gradient(const syn_lstm_call &a, int64_t row, int u,
                                                     const backward_inputs &in, int j, float z_low,
                                                     float z_high, float dc[2], uint16_t *to)
{
    float low[4], high[4];
#pragma unroll
    for (int g = 0; g < SYN_LSTM_GATES; g++) low[g] = in.v[j][g].x, high[g] = in.v[j][g].y;
    dc[0] =
        syn_lstm_gates_backward<true>(low, z_low + in.dh[j].x, dc[0], in.c[j].x, in.before[j].x);
    dc[1] =
        syn_lstm_gates_backward<true>(high, z_high + in.dh[j].y, dc[1], in.c[j].y, in.before[j].y);
    float *const v = a.v + row * (SYN_LSTM_GATES * H) + u;
#pragma unroll
    for (int g = 0; g < SYN_LSTM_GATES; g++) {
        v[g * H] = low[g];
        v[g * H + 1] = high[g];
        *(uint32_t *)(to + g * H + u) = in.zero[j] ? 0 : syn_pack_bf16(low[g], high[g]);
    }
    if (in.zero[j]) dc[0] = dc[1] = 0;
}

template <int TILES>
static __global__ void __launch_bounds__(BACKWARD_THREADS, 1) block_backward(syn_lstm_pass p)
{
    enum { COUNT = SYN_LSTM_LANES * TILES, PLANE = COUNT * BACKWARD_ROW };
    SYN_DYNAMIC_SHARED(uint16_t, planes);
    int2 *const place = (int2 *)(planes + 2 * PLANE);
    const syn_lstm_share share = syn_lstm_share_of(p, 1, COUNT);
    const syn_lstm_call &a = p.call[share.direction];
    const int b0 = share.b0;
    const int lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    const int u = threadIdx.x / 32 * 16 + 2 * group; /* rows group, group + 8: units u, u + 1 */
    const int stride = syn_lstm_stride(p.seq, a.reverse);

    uint32_t r[BACKWARD_GROUPS][2][4];
    syn_lstm_load_fragments<BACKWARD_GROUPS>(p.fragments[share.direction], 0, threadIdx.x / 32,
                                             BACKWARD_THREADS / 32, lane, r);
    const int steps = syn_lstm_places(p, a.reverse, b0, p.seq.batch, COUNT, place);
    float z[TILES][4] = {}, dc[TILES][2][2];
#pragma unroll
    for (int i = 0; i < TILES * 2; i++) {
        const int64_t b = b0 + i / 2 * SYN_LSTM_LANES + 2 * quad + i % 2;
        const bool some = a.dcT && b < p.seq.batch;
        dc[i / 2][i % 2][0] = some ? a.dcT[b * H + u] : 0;
        dc[i / 2][i % 2][1] = some ? a.dcT[b * H + u + 1] : 0;
    }
    backward_inputs next;
    load_gradients(p, a, b0 + 2 * quad, place + 2 * quad, steps - 1, u, &next);
#pragma unroll 1
    for (int s = steps - 1; s >= 0; s--) {
        uint16_t *const plane = planes + (s & 1) * PLANE;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const backward_inputs in = next;
            const int n = t * SYN_LSTM_LANES + 2 * quad, n_next = (n + SYN_LSTM_LANES) % COUNT;
            load_gradients(p, a, b0 + n_next, place + n_next, t + 1 < TILES ? s : s - 1, u, &next);
#pragma unroll
            for (int j = 0; j < 2; j++) {
                uint16_t *const to = plane + (n + j) * BACKWARD_ROW;
                if (s < place[n + j].y) {
                    step_gradient(a, place[n + j].x + s * stride, u, in, j, z[t][j], z[t][2 + j],
                                  dc[t][j], to);
                    continue;
                }
#pragma unroll
                for (int g = 0; g < SYN_LSTM_GATES; g++) *(uint32_t *)(to + g * H + u) = 0;
            }
        }
        __syncthreads();
#pragma unroll
        for (int t = 0; t < TILES; t++)
            syn_lstm_product<BACKWARD_GROUPS>(
                r, plane + (t * SYN_LSTM_LANES + group) * BACKWARD_ROW, quad, z[t]);
    }
#pragma unroll
    for (int i = 0; i < TILES * 4; i++) {
        const int t = i / 4, j = i / 2 % 2, odd = i % 2, n = t * SYN_LSTM_LANES + 2 * quad + j;
        if (b0 + n < p.seq.batch)
            syn_lstm_store_initial(a, place[n].y, (int64_t)(b0 + n) * H + u + odd,
                                   z[t][2 * odd + j], dc[t][j][odd]);
    }
}

/* ---- Launchers ---- */

const char *syn_lstm_block_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    if (p->call[0].H != H) return "one block takes width 128 alone";
    return ctx->math == SYN_MATH_MIXED ? NULL : "its weights are bf16: it needs mixed precision";
}

static size_t forward_bytes(int tiles)
{
    return (size_t)tiles * SYN_LSTM_LANES * (2 * FORWARD_ROW * sizeof(uint16_t) + sizeof(int2));
}

static size_t backward_bytes(int tiles)
{
    return (size_t)tiles * SYN_LSTM_LANES * (2 * BACKWARD_ROW * sizeof(uint16_t) + sizeof(int2));
}

static unsigned block_count(const syn_lstm_pass *p, int tiles)
{
    return (unsigned)(p->directions * syn_ceil_div(p->seq.batch, tiles * SYN_LSTM_LANES));
}

/* The fewest tiles per block with which all blocks run at once, at most `most` (a power of 2). */
static syn_status tiles_of(const syn_lstm_pass *p, int most, int *tiles)
{
    int device = 0, processors = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "CUDA: the number of multiprocessors is not known");
    for (*tiles = 1; *tiles < most && block_count(p, *tiles) > (unsigned)processors;) *tiles *= 2;
    return SYN_OK;
}

syn_status syn_lstm_block_forward(syn_ctx *ctx, const syn_lstm_pass *given)
{
    syn_lstm_pass copy = *given, *p = &copy;
    int tiles;
    if (p->seq.batch == 0) return SYN_OK;
    SYN_RETURN_IF(syn_lstm_pack(ctx, SYN_LSTM_BLOCK_FORWARD, p));
    SYN_RETURN_IF(tiles_of(p, 4, &tiles));
    const unsigned blocks = block_count(p, tiles);
    const size_t bytes = forward_bytes(tiles);
    if (tiles == 1)
        SYN_LAUNCH(ctx, block_forward<1>, blocks, FORWARD_THREADS, bytes, *p);
    else if (tiles == 2)
        SYN_LAUNCH(ctx, block_forward<2>, blocks, FORWARD_THREADS, bytes, *p);
    else
        SYN_LAUNCH(ctx, block_forward<4>, blocks, FORWARD_THREADS, bytes, *p);
    SYN_LAUNCH_CHECK(ctx, "LSTM of a block, forward");
    return SYN_OK;
}

syn_status syn_lstm_block_backward(syn_ctx *ctx, const syn_lstm_pass *given)
{
    syn_lstm_pass copy = *given, *p = &copy;
    int tiles;
    if (p->seq.batch == 0) return SYN_OK;
    SYN_RETURN_IF(syn_lstm_pack(ctx, SYN_LSTM_BLOCK_BACKWARD, p));
    SYN_RETURN_IF(tiles_of(p, 2, &tiles));
    const unsigned blocks = block_count(p, tiles);
    if (tiles == 1)
        SYN_LAUNCH(ctx, block_backward<1>, blocks, BACKWARD_THREADS, backward_bytes(1), *p);
    else
        SYN_LAUNCH(ctx, block_backward<2>, blocks, BACKWARD_THREADS, backward_bytes(2), *p);
    SYN_LAUNCH_CHECK(ctx, "LSTM of a block, backward");
    return SYN_OK;
}
