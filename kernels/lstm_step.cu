/* The LSTM with a product and a pointwise kernel per step: any shape, layout and precision.
 *
 * What binds: two launches per step (2 to 3 us in a graph) until B H^2 is large, then the product:
 * 8 B H^2 FLOP per step at what cuBLASLt reaches. Made for batches that fill the device by
 * themselves. */
#include "kernels/gemm.h"
#include "kernels/lstm_cuda.cuh"

enum { THREADS = 256 };

/* Both directions' scratch, one after the other. */
typedef struct step_scratch {
    float *state; /* (directions,B,H): forward, the h that enters the next step; backward, dc */
    float *cell;  /* (directions,B,H) forward: likewise c */
    float *z;     /* (directions,B,4H) forward, (directions,B,H) backward: the step's product */
    float *dv;    /* (directions,B,4H) backward: the gate gradients of the following step */
} step_scratch;

/* Which element a thread owns: blockIdx.y is the direction. */
#define STEP_ELEMENT(p, b, u)                                                                      \
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;                                \
    const syn_lstm_call &a = (p).call[blockIdx.y];                                                 \
    const int64_t H = a.H, b = at / H, u = at % H;                                                 \
    const int64_t of = (int64_t)blockIdx.y * (p).seq.batch * H + at;                               \
    if (at >= (p).seq.batch * H) return

static __device__ float *gate_row(float *base, const syn_lstm_pass &p, int64_t b, int64_t H)
{
    return base + ((int64_t)blockIdx.y * p.seq.batch + b) * SYN_LSTM_GATES * H;
}

static __global__ void start_forward(syn_lstm_pass p, step_scratch k)
{
    STEP_ELEMENT(p, b, u);
    (void)u;
    const bool zero = p.seq.steps > 0 && syn_lstm_reset(p.seq, a.reverse, b, 0);
    k.state[of] = a.h0 && !zero ? a.h0[at] : 0;
    k.cell[of] = a.c0 && !zero ? a.c0[at] : 0;
}

static __global__ void step_forward(syn_lstm_pass p, step_scratch k, int64_t s)
{
    STEP_ELEMENT(p, b, u);
    const int64_t length = syn_lstm_length(p.seq, b);
    if (s >= length) return;
    const int64_t row = syn_lstm_row(p.seq, a.reverse, b, length, s);
    float *v = a.v + row * SYN_LSTM_GATES * H + u, *product = gate_row(k.z, p, b, H) + u, z[4];
    for (int g = 0; g < SYN_LSTM_GATES; g++) z[g] = v[g * H] + product[g * H];
    float cell = k.cell[of];
    const float h = syn_lstm_gates<false>(z, &cell);
    a.h[row * a.ldh + u] = h;
    if (p.keep) {
        for (int g = 0; g < SYN_LSTM_GATES; g++) v[g * H] = z[g];
        a.c[row * H + u] = cell;
    }
    const bool zero = s + 1 < p.seq.steps && syn_lstm_reset(p.seq, a.reverse, b, s + 1);
    k.state[of] = zero ? 0 : h;
    k.cell[of] = zero ? 0 : cell;
}

static __global__ void finish_forward(syn_lstm_pass p, step_scratch k)
{
    STEP_ELEMENT(p, b, u);
    (void)b;
    (void)u;
    if (a.hT) a.hT[at] = k.state[of];
    if (a.cT) a.cT[at] = k.cell[of];
}

static __global__ void start_backward(syn_lstm_pass p, step_scratch k)
{
    STEP_ELEMENT(p, b, u);
    k.state[of] = a.dcT ? a.dcT[at] : 0;
    k.z[of] = 0;
    float *dv = gate_row(k.dv, p, b, H) + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) dv[g * H] = 0;
}

static __global__ void step_backward(syn_lstm_pass p, step_scratch k, int64_t s)
{
    STEP_ELEMENT(p, b, u);
    const int64_t length = syn_lstm_length(p.seq, b);
    if (s >= length) return;
    const int64_t row = syn_lstm_row(p.seq, a.reverse, b, length, s);
    const bool last = s + 1 == length;
    float dh = k.z[of] + a.dh[row * a.lddh + u];
    if (last && a.dhT) dh += a.dhT[at];
    float *gates = a.v + row * SYN_LSTM_GATES * H + u, *dv = gate_row(k.dv, p, b, H) + u, v[4];
    for (int g = 0; g < SYN_LSTM_GATES; g++) v[g] = gates[g * H];
    const bool zero = syn_lstm_reset(p.seq, a.reverse, b, s);
    const float dc = syn_lstm_gates_backward<false>(
        v, dh, k.state[of], a.c[row * H + u], syn_lstm_cell_before(p.seq, a, b, u, length, s));
    for (int g = 0; g < SYN_LSTM_GATES; g++) gates[g * H] = v[g];
    for (int g = 0; g < SYN_LSTM_GATES; g++) dv[g * H] = zero ? 0 : v[g];
    k.state[of] = zero ? 0 : dc;
}

static __global__ void finish_backward(syn_lstm_pass p, step_scratch k)
{
    STEP_ELEMENT(p, b, u);
    (void)u;
    const bool empty = syn_lstm_length(p.seq, b) == 0;
    const float dh = empty ? (a.dhT ? a.dhT[at] : 0) : k.z[of];
    if (a.dh0) a.dh0[at] = dh;
    if (a.dc0) a.dc0[at] = k.state[of];
}

/* ---- Launchers ---- */

static dim3 step_grid(const syn_lstm_pass *p)
{
    return dim3((unsigned)syn_ceil_div(p->seq.batch * p->call[0].H, THREADS),
                (unsigned)p->directions);
}

const char *syn_lstm_step_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    (void)ctx;
    return p->live ? "it needs the number of sequences on the host" : NULL;
}

/* z = from R^T, or from R, in each direction. */
static syn_status products(syn_ctx *ctx, const syn_lstm_pass *p, bool transposed, const float *from,
                           float *z)
{
    const int64_t B = p->seq.batch, H = p->call[0].H;
    const int64_t k = transposed ? H : SYN_LSTM_GATES * H, n = transposed ? SYN_LSTM_GATES * H : H;
    for (int d = 0; d < p->directions; d++)
        SYN_RETURN_IF(syn_gemm(ctx, false, transposed, B, n, k, 1, from + d * B * k, k,
                               p->call[d].R, H, 0, z + d * B * n, n));
    return SYN_OK;
}

syn_status syn_lstm_step_forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const int64_t cells = p->directions * p->seq.batch * p->call[0].H;
    const int64_t steps = p->seq.rows > 0 ? p->seq.steps : 0;
    step_scratch k = {};
    if (cells == 0) return SYN_OK;
    SYN_TAKE(ctx, k.state, float, cells);
    SYN_TAKE(ctx, k.cell, float, cells);
    SYN_TAKE(ctx, k.z, float, SYN_LSTM_GATES *cells);
    SYN_LAUNCH(ctx, start_forward, step_grid(p), THREADS, 0, *p, k);
    SYN_LAUNCH_CHECK(ctx, "LSTM by steps, start");
    for (int64_t s = 0; s < steps; s++) {
        SYN_RETURN_IF(products(ctx, p, true, k.state, k.z));
        SYN_LAUNCH(ctx, step_forward, step_grid(p), THREADS, 0, *p, k, s);
        SYN_LAUNCH_CHECK(ctx, "LSTM by steps, forward");
    }
    if (!p->call[0].hT && !p->call[0].cT) return SYN_OK;
    SYN_LAUNCH(ctx, finish_forward, step_grid(p), THREADS, 0, *p, k);
    SYN_LAUNCH_CHECK(ctx, "LSTM by steps, final state");
    return SYN_OK;
}

syn_status syn_lstm_step_backward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const int64_t cells = p->directions * p->seq.batch * p->call[0].H;
    const int64_t steps = p->seq.rows > 0 ? p->seq.steps : 0;
    const bool initial = p->call[0].dh0 || p->call[0].dc0;
    step_scratch k = {};
    if (cells == 0) return SYN_OK;
    SYN_TAKE(ctx, k.state, float, cells);
    SYN_TAKE(ctx, k.z, float, cells);
    SYN_TAKE(ctx, k.dv, float, SYN_LSTM_GATES *cells);
    SYN_LAUNCH(ctx, start_backward, step_grid(p), THREADS, 0, *p, k);
    SYN_LAUNCH_CHECK(ctx, "LSTM by steps, start of the backward pass");
    for (int64_t s = steps - 1; s >= 0; s--) {
        SYN_LAUNCH(ctx, step_backward, step_grid(p), THREADS, 0, *p, k, s);
        SYN_LAUNCH_CHECK(ctx, "LSTM by steps, backward");
        if (s > 0 || initial) SYN_RETURN_IF(products(ctx, p, false, k.dv, k.z));
    }
    if (!initial) return SYN_OK;
    SYN_LAUNCH(ctx, finish_backward, step_grid(p), THREADS, 0, *p, k);
    SYN_LAUNCH_CHECK(ctx, "LSTM by steps, gradient of the initial state");
    return SYN_OK;
}
