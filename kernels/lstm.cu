/* The CUDA side of the LSTM: one product over all rows outside the time loop, then one kernel per
 * step, in which a warp (forward) or a thread (backward) owns one unit of a few sequences. Every
 * sum has one owner and a fixed order, so results are equal from run to run. */
#include "kernels/lstm.h"

#include <cuda_runtime.h>

#include "kernels/base/cuda.h"

enum {
    GATES = 4,
    TILE = 64,
    DEPTH = 16,
    PER_THREAD = 4,
    GEMM_THREADS = 256, /* of the product */
    SEQS = 4,           /* sequences of one owner */
    WARPS = 8,
    THREADS = 256
};

/* ---- product ---- */

/* An operand by strides, so that a transpose costs nothing: element (i,j) is p[i*row + j*col]. */
typedef struct operand {
    const real *p;
    int64_t row, col;
} operand;

/* c (m,n) = a (m,k) b (k,n), or += where accumulate; a block computes TILE x TILE of it. */
static __global__ void product_kernel(int64_t m, int64_t n, int64_t k, operand a, operand b,
                                      real *c, bool accumulate)
{
    __shared__ real as[DEPTH][TILE], bs[DEPTH][TILE];
    const int64_t i0 = (int64_t)blockIdx.y * TILE, j0 = (int64_t)blockIdx.x * TILE;
    const int ti = threadIdx.x / 16 * PER_THREAD, tj = threadIdx.x % 16 * PER_THREAD;
    real acc[PER_THREAD][PER_THREAD] = {{0}};
    for (int64_t p0 = 0; p0 < k; p0 += DEPTH) {
        for (int e = threadIdx.x; e < DEPTH * TILE; e += GEMM_THREADS) {
            int p = e / TILE, at = e % TILE;
            bool in = p0 + p < k;
            as[p][at] = in && i0 + at < m ? a.p[(i0 + at) * a.row + (p0 + p) * a.col] : 0;
            bs[p][at] = in && j0 + at < n ? b.p[(p0 + p) * b.row + (j0 + at) * b.col] : 0;
        }
        __syncthreads();
        for (int p = 0; p < DEPTH; p++)
            for (int i = 0; i < PER_THREAD; i++)
                for (int j = 0; j < PER_THREAD; j++) acc[i][j] += as[p][ti + i] * bs[p][tj + j];
        __syncthreads();
    }
    for (int i = 0; i < PER_THREAD; i++) {
        for (int j = 0; j < PER_THREAD; j++) {
            int64_t row = i0 + ti + i, col = j0 + tj + j;
            if (row >= m || col >= n) continue;
            c[row * n + col] = acc[i][j] + (accumulate ? c[row * n + col] : 0);
        }
    }
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static cudaStream_t stream_of(const syn_ctx *ctx)
{
    return (cudaStream_t)ctx->stream;
}

static syn_status product(syn_ctx *ctx, int64_t m, int64_t n, int64_t k, operand a, operand b,
                          real *c, bool accumulate)
{
    if (m == 0 || n == 0) return SYN_OK;
    const int64_t m_max = 65535ll * TILE; /* the limit of a grid's y */
    if (m > m_max)
        return syn_fail(SYN_ERR_INVALID, "LSTM: %lld rows, a CUDA product takes %lld", (long long)m,
                        (long long)m_max);
    dim3 grid((unsigned)ceil_div(n, TILE), (unsigned)ceil_div(m, TILE));
    product_kernel<<<grid, GEMM_THREADS, 0, stream_of(ctx)>>>(m, n, k, a, b, c, accumulate);
    SYN_LAUNCH_CHECK(ctx, "matrix product of the LSTM");
    return SYN_OK;
}

/* ---- sequences and steps ---- */

static __device__ int64_t length_of(const syn_seq &q, int64_t b)
{
    return q.offset ? q.offset[b + 1] - q.offset[b] : q.steps;
}

/* The row of step s of the walk, which runs backwards in time when `reverse`. */
static __device__ int64_t walk_row(const syn_seq &q, bool reverse, int64_t b, int64_t s)
{
    int64_t t = reverse ? length_of(q, b) - 1 - s : s;
    return q.offset ? q.offset[b] + t : t * q.batch + b;
}

static __device__ bool walk_reset(const syn_seq &q, bool reverse, int64_t b, int64_t s)
{
    return q.reset && q.reset[(reverse ? q.steps - 1 - s : s) * q.batch + b] != 0;
}

/* The state (previous h or c) that enters step s, or NULL for zero. */
static __device__ const real *entering(const syn_seq &q, const syn_lstm_call &a, int64_t b,
                                       int64_t s, const real *all, int64_t ld, const real *initial)
{
    if (walk_reset(q, a.reverse, b, s)) return NULL;
    if (s > 0) return all + walk_row(q, a.reverse, b, s - 1) * ld;
    return initial ? initial + b * a.H : NULL;
}

static __device__ real sigmoid(real x)
{
    return 1 / (1 + expf(-x));
}

/* ---- forward ---- */

/* A warp owns unit u of SEQS sequences: the lanes share the sum over the previous h. */
static __global__ void step_forward_kernel(syn_seq q, syn_lstm_call a, int64_t s)
{
    const int64_t H = a.H, u = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    const int64_t b0 = (int64_t)blockIdx.y * SEQS;
    const int lane = threadIdx.x % 32;
    if (u >= H) return;
    const real *h[SEQS];
    real z[SEQS][GATES] = {{0}};
    for (int i = 0; i < SEQS; i++) {
        bool live = b0 + i < q.batch && s < length_of(q, b0 + i);
        h[i] = live ? entering(q, a, b0 + i, s, a.h, a.ldh, a.h0) : NULL;
    }
    for (int64_t k = lane; k < H; k += 32) {
        real r[GATES];
        for (int g = 0; g < GATES; g++) r[g] = a.R[(g * H + u) * H + k];
        for (int i = 0; i < SEQS; i++) {
            real hk = h[i] ? h[i][k] : 0;
            for (int g = 0; g < GATES; g++) z[i][g] += r[g] * hk;
        }
    }
    for (int i = 0; i < SEQS; i++)
        for (int g = 0; g < GATES; g++)
            for (int half = 16; half > 0; half /= 2)
                z[i][g] += __shfl_xor_sync(0xffffffffu, z[i][g], half);
    for (int i = 0; i < SEQS; i++) { /* lane i finishes sequence i */
        if (lane != i || b0 + i >= q.batch || s >= length_of(q, b0 + i)) continue;
        int64_t row = walk_row(q, a.reverse, b0 + i, s);
        const real *before = entering(q, a, b0 + i, s, a.c, H, a.c0);
        real *v = a.v + row * GATES * H + u;
        real gi = sigmoid(v[0] + a.b[u] + z[i][0]);
        real gf = sigmoid(v[H] + a.b[H + u] + z[i][1]);
        real gg = tanhf(v[2 * H] + a.b[2 * H + u] + z[i][2]);
        real go = sigmoid(v[3 * H] + a.b[3 * H + u] + z[i][3]);
        real cell = gf * (before ? before[u] : 0) + gi * gg;
        v[0] = gi;
        v[H] = gf;
        v[2 * H] = gg;
        v[3 * H] = go;
        a.c[row * H + u] = cell;
        a.h[row * a.ldh + u] = go * tanhf(cell);
    }
}

static __global__ void final_kernel(syn_seq q, syn_lstm_call a)
{
    int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= q.batch * a.H) return;
    int64_t b = at / a.H, u = at % a.H, length = length_of(q, b);
    real h = a.h0 ? a.h0[at] : 0, c = a.c0 ? a.c0[at] : 0;
    if (length > 0) {
        int64_t row = walk_row(q, a.reverse, b, length - 1);
        h = a.h[row * a.ldh + u];
        c = a.c[row * a.H + u];
    }
    if (a.hT) a.hT[at] = h;
    if (a.cT) a.cT[at] = c;
}

static dim3 grid_of(int64_t units, int64_t per_block, int64_t batch)
{
    return dim3((unsigned)ceil_div(units, per_block), (unsigned)ceil_div(batch, SEQS));
}

static syn_status forward_in_scratch(syn_ctx *ctx, syn_lstm_call a)
{
    const syn_seq q = *a.seq;
    const int64_t H = a.H, D = a.D;
    if (!a.v) a.v = SYN_SCRATCH(ctx, real, q.rows * GATES * H);
    if (!a.v) return SYN_ERR_MEMORY;
    operand x = {a.x, D, 1}, Wt = {a.W, 1, D};
    SYN_RETURN_IF(product(ctx, q.rows, GATES * H, D, x, Wt, a.v, false));
    for (int64_t s = 0; q.rows > 0 && s < q.steps; s++) {
        step_forward_kernel<<<grid_of(H, WARPS, q.batch), WARPS * 32, 0, stream_of(ctx)>>>(q, a, s);
        SYN_LAUNCH_CHECK(ctx, "LSTM step");
    }
    if (q.batch == 0 || (!a.hT && !a.cT)) return SYN_OK;
    final_kernel<<<(unsigned)ceil_div(q.batch * H, THREADS), THREADS, 0, stream_of(ctx)>>>(q, a);
    SYN_LAUNCH_CHECK(ctx, "final state of the LSTM");
    return SYN_OK;
}

/* ---- backward ---- */

/* z[i] = (gate gradients at dv[i]) . (column u of R), for the sequences that have any. */
static __device__ void product_backward(const syn_lstm_call &a, int64_t u, const real *const *dv,
                                        real *z)
{
    const int64_t H = a.H;
    for (int64_t j = 0; j < GATES * H; j++) {
        real r = a.R[j * H + u];
        for (int i = 0; i < SEQS; i++)
            if (dv[i]) z[i] += dv[i][j] * r;
    }
}

/* A thread owns unit u of SEQS sequences. */
static __global__ void step_backward_kernel(syn_seq q, syn_lstm_call a, real *dc, int64_t s)
{
    const int64_t H = a.H, u = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int64_t b0 = (int64_t)blockIdx.y * SEQS;
    if (u >= H) return;
    const real *dv[SEQS];
    real z[SEQS] = {0};
    for (int i = 0; i < SEQS; i++) {
        int64_t b = b0 + i;
        bool following =
            b < q.batch && s + 1 < length_of(q, b) && !walk_reset(q, a.reverse, b, s + 1);
        dv[i] = following ? a.v + walk_row(q, a.reverse, b, s + 1) * GATES * H : NULL;
    }
    product_backward(a, u, dv, z);
    for (int i = 0; i < SEQS; i++) {
        int64_t b = b0 + i;
        if (b >= q.batch || s >= length_of(q, b)) continue;
        int64_t row = walk_row(q, a.reverse, b, s);
        const real *before = entering(q, a, b, s, a.c, H, a.c0);
        real dh = z[i] + a.dh[row * a.lddh + u];
        if (a.dhT && s + 1 == length_of(q, b)) dh += a.dhT[b * H + u];
        real *v = a.v + row * GATES * H + u;
        real gi = v[0], gf = v[H], gg = v[2 * H], go = v[3 * H];
        real tc = tanhf(a.c[row * H + u]);
        real dcell = dc[b * H + u] + dh * go * (1 - tc * tc);
        v[0] = dcell * gg * gi * (1 - gi);
        v[H] = dcell * (before ? before[u] : 0) * gf * (1 - gf);
        v[2 * H] = dcell * gi * (1 - gg * gg);
        v[3 * H] = dh * tc * go * (1 - go);
        dc[b * H + u] = walk_reset(q, a.reverse, b, s) ? 0 : dcell * gf;
    }
}

static __global__ void initial_kernel(syn_seq q, syn_lstm_call a, const real *dc)
{
    const int64_t H = a.H, u = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int64_t b0 = (int64_t)blockIdx.y * SEQS;
    if (u >= H) return;
    const real *dv[SEQS];
    real z[SEQS] = {0};
    for (int i = 0; i < SEQS; i++) {
        int64_t b = b0 + i;
        bool some = b < q.batch && length_of(q, b) > 0 && !walk_reset(q, a.reverse, b, 0);
        dv[i] = some ? a.v + walk_row(q, a.reverse, b, 0) * GATES * H : NULL;
    }
    product_backward(a, u, dv, z);
    for (int i = 0; i < SEQS; i++) {
        int64_t b = b0 + i, at = b * H + u;
        if (b >= q.batch) continue;
        if (a.dc0) a.dc0[at] = dc[at];
        if (a.dh0) a.dh0[at] = length_of(q, b) == 0 && a.dhT ? a.dhT[at] : z[i];
    }
}

/* previous (rows,H) = the h that entered each row's step. */
static __global__ void previous_kernel(syn_seq q, syn_lstm_call a, real *previous)
{
    int64_t b = blockIdx.y, s = blockIdx.z;
    int64_t u = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    for (; b < q.batch; b += gridDim.y) {
        for (int64_t i = s; i < length_of(q, b) && u < a.H; i += gridDim.z) {
            const real *h = entering(q, a, b, i, a.h, a.ldh, a.h0);
            previous[walk_row(q, a.reverse, b, i) * a.H + u] = h ? h[u] : 0;
        }
    }
}

static __global__ void bias_kernel(int64_t rows, int64_t width, const real *v, real *db)
{
    int64_t j = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (j >= width) return;
    real sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += v[i * width + j];
    db[j] += sum;
}

static syn_status sequence_gradients(syn_ctx *ctx, const syn_lstm_call &a)
{
    const syn_seq q = *a.seq;
    const int64_t D = a.D, H = a.H, width = GATES * H;
    if (q.rows == 0) return SYN_OK;
    operand v = {a.v, width, 1}, vt = {a.v, 1, width}, x = {a.x, D, 1}, W = {a.W, D, 1};
    if (a.dW) SYN_RETURN_IF(product(ctx, width, D, q.rows, vt, x, a.dW, true));
    if (a.dR) {
        real *previous = SYN_SCRATCH(ctx, real, q.rows * H);
        if (!previous) return SYN_ERR_MEMORY;
        const int64_t most = 1024;
        dim3 grid((unsigned)ceil_div(H, THREADS), (unsigned)(q.batch < most ? q.batch : most),
                  (unsigned)(q.steps < most ? q.steps : most));
        previous_kernel<<<grid, THREADS, 0, stream_of(ctx)>>>(q, a, previous);
        SYN_LAUNCH_CHECK(ctx, "previous states of the LSTM");
        operand before = {previous, H, 1};
        SYN_RETURN_IF(product(ctx, width, H, q.rows, vt, before, a.dR, true));
    }
    if (a.db) {
        unsigned blocks = (unsigned)ceil_div(width, THREADS);
        bias_kernel<<<blocks, THREADS, 0, stream_of(ctx)>>>(q.rows, width, a.v, a.db);
        SYN_LAUNCH_CHECK(ctx, "bias gradient of the LSTM");
    }
    return a.dx ? product(ctx, q.rows, D, width, v, W, a.dx, a.dx_accumulate) : SYN_OK;
}

static syn_status backward_in_scratch(syn_ctx *ctx, const syn_lstm_call &a)
{
    const syn_seq q = *a.seq;
    const int64_t H = a.H;
    size_t bytes = sizeof(real) * (size_t)(q.batch * H);
    real *dc = SYN_SCRATCH(ctx, real, q.batch * H);
    if (!dc) return SYN_ERR_MEMORY;
    if (q.batch == 0) return SYN_OK;
    if (a.dcT)
        (void)cudaMemcpyAsync(dc, a.dcT, bytes, cudaMemcpyDeviceToDevice, stream_of(ctx));
    else
        SYN_RETURN_IF(syn_cuda_zero(ctx, dc, bytes));
    SYN_LAUNCH_CHECK(ctx, "gradient of the final state of the LSTM");
    dim3 grid = grid_of(H, THREADS, q.batch);
    for (int64_t s = q.steps - 1; q.rows > 0 && s >= 0; s--) {
        step_backward_kernel<<<grid, THREADS, 0, stream_of(ctx)>>>(q, a, dc, s);
        SYN_LAUNCH_CHECK(ctx, "LSTM step backward");
    }
    if (a.dh0 || a.dc0) {
        initial_kernel<<<grid, THREADS, 0, stream_of(ctx)>>>(q, a, dc);
        SYN_LAUNCH_CHECK(ctx, "gradient of the initial state of the LSTM");
    }
    return sequence_gradients(ctx, a);
}

/* ---- contract ---- */

static syn_status check(const syn_lstm_call *a)
{
    SYN_REQUIRE(a->seq->batch <= 65535ll * SEQS, "LSTM: %lld sequences, CUDA takes %lld",
                (long long)a->seq->batch, 65535ll * SEQS);
    return SYN_OK;
}

syn_status syn_lstm_forward_cuda(syn_ctx *ctx, const syn_lstm_call *a)
{
    SYN_RETURN_IF(check(a));
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = forward_in_scratch(ctx, *a);
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_lstm_backward_cuda(syn_ctx *ctx, const syn_lstm_call *a)
{
    SYN_RETURN_IF(check(a));
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = backward_in_scratch(ctx, *a);
    syn_scratch_pop(ctx, mark);
    return st;
}
