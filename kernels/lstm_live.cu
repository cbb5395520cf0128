/* The bidirectional LSTM at inference over a number of sequences that only the device knows. Width
 * 128 in mixed precision is the block variant; all else, one block per direction and eight
 * sequences in float, R from L2: parity, not speed, is what that is for. */
#include "kernels/linear.h"
#include "kernels/lstm_cuda.cuh"

enum { THREADS = 512, COUNT = SYN_LSTM_LANES, WIDTH_MAX = 1024 };

/* turned (2,H,4H) = R (4H,H) of each direction transposed, so that neighbouring threads read
 * neighbouring floats. */
static __global__ void turn_kernel(int H, const float *forward, const float *reverse, float *turned)
{
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, width = SYN_LSTM_GATES * H;
    const float *const R = blockIdx.y == 1 ? reverse : forward;
    if (at < H * width) turned[blockIdx.y * H * width + at] = R[at % width * H + at / width];
}

/* Shared memory: h (H, COUNT), cells (COUNT, H), pre-activations (COUNT, 4H), places. */
static size_t shared_bytes(int64_t H)
{
    return (size_t)COUNT * ((size_t)H * (2 + SYN_LSTM_GATES) * sizeof(float) + sizeof(int2));
}

/* Row `row` of the pre-activations of step s, for all sequences of the block. */
static __device__ void multiply_row(const syn_lstm_call &a, const float *turned, const float *h,
                                    int row, const int2 *place, int s, int stride, float *z)
{
    const int width = SYN_LSTM_GATES * (int)a.H;
    float sum[COUNT];
    for (int n = 0; n < COUNT; n++) {
        const int64_t at = place[n].x + (int64_t)s * stride;
        sum[n] = s < place[n].y ? a.v[at * width + row] : 0;
    }
    for (int k = 0; k < a.H; k++) {
        const float r = turned[(int64_t)k * width + row];
        for (int n = 0; n < COUNT; n++) sum[n] += r * h[k * COUNT + n];
    }
    for (int n = 0; n < COUNT; n++) z[n * width + row] = sum[n];
}

static __global__ void __launch_bounds__(THREADS) live_forward(syn_lstm_pass p, const float *both)
{
    SYN_DYNAMIC_SHARED(float, h);
    const syn_lstm_share share = syn_lstm_share_of(p, 1, COUNT);
    const syn_lstm_call &a = p.call[share.direction];
    const int H = (int)a.H, width = SYN_LSTM_GATES * H, stride = syn_lstm_stride(p.seq, a.reverse);
    const float *const turned = both + (int64_t)share.direction * H * width;
    float *const cells = h + COUNT * H, *const z = cells + COUNT * H;
    int2 *const place = (int2 *)(z + COUNT * width);
    const int64_t b0 = share.b0, batch = *p.live;
    if (b0 >= batch) return;
    for (int e = threadIdx.x; e < 2 * COUNT * H; e += THREADS) h[e] = 0;
    const int steps = syn_lstm_places(p, a.reverse, b0, batch, COUNT, place);
    for (int s = 0; s < steps; s++) {
        for (int row = threadIdx.x; row < width; row += THREADS)
            multiply_row(a, turned, h, row, place, s, stride, z);
        __syncthreads();
        for (int e = threadIdx.x; e < COUNT * H; e += THREADS) {
            const int n = e / H, u = e % H;
            if (s >= place[n].y) continue;
            float gates[SYN_LSTM_GATES];
            for (int g = 0; g < SYN_LSTM_GATES; g++) gates[g] = z[n * width + g * H + u];
            const float out = syn_lstm_gates<false>(gates, &cells[e]);
            h[u * COUNT + n] = out;
            a.h[(place[n].x + (int64_t)s * stride) * a.ldh + u] = out;
        }
        __syncthreads();
    }
}

static syn_status forward_in_float(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const int64_t H = p->call[0].H, weights = SYN_LSTM_GATES * H * H;
    float *turned;
    SYN_TAKE(ctx, turned, float, 2 * weights);
    SYN_LAUNCH(ctx, turn_kernel, dim3((unsigned)syn_ceil_div(weights, THREADS), 2), THREADS, 0,
               (int)H, p->call[0].R, p->call[1].R, turned);
    SYN_LAUNCH_CHECK(ctx, "weights of the live LSTM");
    const size_t bytes = shared_bytes(H);
    if (cudaFuncSetAttribute((const void *)live_forward,
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             (int)bytes) != cudaSuccess) {
        (void)cudaGetLastError(); /* answered here */
        return syn_fail(SYN_ERR_DEVICE,
                        "CUDA: the live LSTM of width %lld needs %zu bytes of shared memory",
                        (long long)H, bytes);
    }
    SYN_LAUNCH(ctx, live_forward, (unsigned)(2 * syn_ceil_div(p->seq.batch, COUNT)), THREADS, bytes,
               *p, turned);
    SYN_LAUNCH_CHECK(ctx, "live LSTM");
    return SYN_OK;
}

/* p: all but x, W and b of the directions. */
static syn_status forward_in_scratch(syn_ctx *ctx, syn_lstm_pass *p, int64_t rows_capacity,
                                     const int32_t *live_rows)
{
    const int64_t D = p->call[0].D, width = SYN_LSTM_GATES * p->call[0].H;
    for (int d = 0; d < 2; d++) {
        syn_lstm_call *a = &p->call[d];
        SYN_TAKE(ctx, a->v, float, rows_capacity *width);
        SYN_RETURN_IF(syn_linear_live(ctx, rows_capacity, live_rows, D, width, a->x, D, a->W, a->b,
                                      SYN_ACT_NONE, a->v, width));
    }
    return syn_lstm_block_refuses(ctx, p) ? forward_in_float(ctx, p)
                                          : syn_lstm_block_forward(ctx, p);
}

extern "C" syn_status syn_bilstm_forward_live_cuda(syn_ctx *ctx, int64_t capacity,
                                                   const int32_t *live, const int32_t *offset,
                                                   int64_t rows_capacity, const int32_t *live_rows,
                                                   int64_t D, int64_t H, const real *x,
                                                   const real *Wf, const real *Rf, const real *bf,
                                                   const real *Wr, const real *Rr, const real *br,
                                                   real *h)
{
    SYN_REQUIRE(ctx && capacity >= 0 && capacity <= INT32_MAX && rows_capacity >= 0 && D > 0 &&
                    H > 0 && H <= WIDTH_MAX,
                "LSTM: D %lld, H %lld, room for %lld sequences", (long long)D, (long long)H,
                (long long)capacity);
    SYN_REQUIRE(Wf && Rf && bf && Wr && Rr && br, "LSTM: no weights");
    if (capacity == 0 || rows_capacity == 0) return SYN_OK;
    SYN_REQUIRE(live && offset && live_rows && x && h, "LSTM: counts, x or h are missing");
    syn_lstm_pass p = {};
    p.seq.batch = capacity;
    p.seq.steps = rows_capacity;
    p.seq.rows = rows_capacity;
    p.seq.offset = offset;
    p.directions = 2;
    p.live = live;
    for (int d = 0; d < 2; d++) {
        syn_lstm_call *a = &p.call[d];
        a->D = D;
        a->H = H;
        a->reverse = d == 1;
        a->x = x;
        a->W = d ? Wr : Wf;
        a->R = d ? Rr : Rf;
        a->b = d ? br : bf;
        a->h = h + d * H;
        a->ldh = 2 * H;
    }
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    const syn_status st = forward_in_scratch(ctx, &p, rows_capacity, live_rows);
    syn_scratch_pop(ctx, mark);
    return st;
}
