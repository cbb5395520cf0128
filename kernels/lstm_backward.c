/* The backward pass of the LSTM on the CPU. */
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/lstm_walk.h"

/* Units of one row: dh is the whole gradient of h; dc that of c, from the following step, and after
 * it for the step before. v holds the gates and becomes the gradient of their pre-activations. */
SYN_ALWAYS_INLINE void gates_backward(const int64_t n, int64_t H, const real *restrict dh,
                                      const real *restrict c, const real *restrict c_before,
                                      real *restrict v, real *restrict dc)
{
#pragma omp simd
    for (int64_t l = 0; l < n; l++) {
        real i = v[l], f = v[H + l], g = v[2 * H + l], o = v[3 * H + l];
        real tc = syn_tanh(c[l]);
        real dcell = dc[l] + dh[l] * o * (1 - tc * tc);
        v[l] = dcell * g * i * (1 - i);
        v[H + l] = dcell * c_before[l] * f * (1 - f);
        v[2 * H + l] = dcell * i * (1 - g * g);
        v[3 * H + l] = dh[l] * tc * o * (1 - o);
        dc[l] = dcell * f;
    }
}

static void finish_gradient(const syn_lstm_plan *p, const syn_lstm_lane *l, int64_t u, int64_t n,
                            real *restrict z)
{
    const syn_lstm_call *a = p->a;
    const real *dh = a->dh + l->row * a->lddh + u;
    real *dc = p->dc + l->b * a->H + u;
    for (int64_t j = 0; j < n; j++) z[j] += dh[j];
    if (l->last && a->dhT)
        for (int64_t j = 0; j < n; j++) z[j] += a->dhT[l->b * a->H + u + j];
    real *v = a->v + l->row * SYN_LSTM_GATES * a->H + u;
    const real *c = a->c + l->row * a->H + u;
    if (n == SYN_PANEL)
        gates_backward(SYN_PANEL, a->H, z, c, l->c + u, v, dc);
    else
        gates_backward(n, a->H, z, c, l->c + u, v, dc);
    if (l->reset) memset(dc, 0, sizeof(real) * (size_t)n);
}

/* z (rows, SYN_PANEL) = gate gradients of the following steps times R, columns u... */
static void product_backward(const syn_lstm_plan *p, const real *const *dv, int rows, int64_t u,
                             real *z)
{
    bool zero = true;
    for (int r = 0; r < rows; r++) zero = zero && dv[r] == p->zeros;
    if (zero)
        memset(z, 0, sizeof(real) * SYN_TILE_ROWS * SYN_PANEL);
    else
        syn_tile(rows, dv, SYN_LSTM_GATES * p->a->H, p->panels + u * SYN_LSTM_GATES * p->a->H, z);
}

static void block_backward(const syn_lstm_plan *p, const syn_lstm_lane *lanes, int64_t count,
                           int64_t u, int64_t n)
{
    real z[SYN_TILE_ROWS * SYN_PANEL];
    for (int64_t i = 0; i < count; i += SYN_TILE_ROWS) {
        int rows = (int)(count - i < SYN_TILE_ROWS ? count - i : SYN_TILE_ROWS);
        const real *dv[SYN_TILE_ROWS] = {0};
        for (int r = 0; r < rows; r++) dv[r] = lanes[i + r].dv;
        product_backward(p, dv, rows, u, z);
        for (int r = 0; r < rows; r++) finish_gradient(p, &lanes[i + r], u, n, z + r * SYN_PANEL);
    }
}

/* dh0 and dc0 of units u..u+n, once all steps are done. */
static void block_initial(const syn_lstm_share *w, int64_t u, int64_t n)
{
    const syn_lstm_plan *p = w->p;
    const syn_lstm_call *a = p->a;
    real z[SYN_TILE_ROWS * SYN_PANEL];
    size_t bytes = sizeof(real) * (size_t)n;
    for (int64_t i = w->first; i < a->seq->batch; i += w->stride) {
        int64_t b = syn_lstm_sequence(p, i), at = b * a->H + u;
        bool empty = syn_seq_length(a->seq, b) == 0;
        const real *dv = p->zeros;
        if (!empty && !syn_lstm_reset(a, b, 0))
            dv = a->v + syn_lstm_row(a, b, 0) * SYN_LSTM_GATES * a->H;
        product_backward(p, &dv, 1, u, z);
        const real *dh0 = empty && a->dhT ? a->dhT + at : z;
        if (a->dh0) memmove(a->dh0 + at, dh0, bytes);
        if (a->dc0) memcpy(a->dc0 + at, p->dc + at, bytes);
    }
}

static void walk_backward(const syn_lstm_share *w)
{
    const syn_lstm_plan *p = w->p;
    const int64_t H = p->a->H;
    for (int64_t s = p->steps - 1; s >= 0; s--) {
        int64_t count = syn_lstm_live(w, s);
        for (int64_t block = w->begin; block < w->end && count > 0; block++) {
            int64_t u = block * SYN_PANEL;
            block_backward(p, w->lanes, count, u, H - u < SYN_PANEL ? H - u : SYN_PANEL);
        }
        syn_lstm_step_end(w);
    }
    if (!p->a->dh0 && !p->a->dc0) return;
    for (int64_t block = w->begin; block < w->end; block++) {
        int64_t u = block * SYN_PANEL;
        block_initial(w, u, H - u < SYN_PANEL ? H - u : SYN_PANEL);
    }
}

/* R's columns of the block's units u..u+n: panel (4H, SYN_PANEL), zeros beyond n. */
static void pack_columns(const syn_lstm_plan *p, int64_t block)
{
    const syn_lstm_call *a = p->a;
    const int64_t u = block * SYN_PANEL, n = a->H - u < SYN_PANEL ? a->H - u : SYN_PANEL;
    real *restrict panel = p->panels + u * SYN_LSTM_GATES * a->H;
    if (n < SYN_PANEL) memset(panel, 0, sizeof(real) * (size_t)(SYN_LSTM_GATES * a->H * SYN_PANEL));
    for (int64_t k = 0; k < SYN_LSTM_GATES * a->H; k++)
        memcpy(panel + k * SYN_PANEL, a->R + k * a->H + u, sizeof(real) * (size_t)n);
}

/* previous (rows,H) = the h that entered each row's step. */
static void gather_previous(const syn_lstm_plan *p, real *previous)
{
    const syn_lstm_call *a = p->a;
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t b = 0; b < a->seq->batch; b++) {
        int64_t length = syn_seq_length(a->seq, b);
        for (int64_t s = 0; s < length; s++) {
            syn_lstm_lane l = {.b = b};
            syn_lstm_previous(p, &l, s);
            memcpy(previous + syn_lstm_row(a, b, s) * a->H, l.h, sizeof(real) * (size_t)a->H);
        }
    }
}

/* db += the column sums of v. Threads share the columns, so the order of a sum is fixed. */
static void sum_bias(const syn_lstm_plan *p)
{
    const syn_lstm_call *a = p->a;
    const int64_t width = SYN_LSTM_GATES * a->H;
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t j0 = 0; j0 < width; j0 += SYN_PANEL) {
        int64_t n = width - j0 < SYN_PANEL ? width - j0 : SYN_PANEL;
        real sum[SYN_PANEL] = {0};
        for (int64_t i = 0; i < a->seq->rows; i++)
            for (int64_t j = 0; j < n; j++) sum[j] += a->v[i * width + j0 + j];
        for (int64_t j = 0; j < n; j++) a->db[j0 + j] += sum[j];
    }
}

/* The products over the whole sequence, from the gate gradients in v. */
static syn_status sequence_gradients(syn_ctx *ctx, const syn_lstm_plan *p)
{
    const syn_lstm_call *a = p->a;
    const int64_t rows = a->seq->rows, D = a->D, H = a->H, width = SYN_LSTM_GATES * H;
    if (a->dW)
        SYN_RETURN_IF(
            syn_gemm(ctx, true, false, width, D, rows, 1, a->v, width, a->x, D, 1, a->dW, D));
    if (a->dR) {
        real *previous = SYN_SCRATCH(ctx, real, rows * H);
        if (!previous) return SYN_ERR_MEMORY;
        gather_previous(p, previous);
        SYN_RETURN_IF(
            syn_gemm(ctx, true, false, width, H, rows, 1, a->v, width, previous, H, 1, a->dR, H));
    }
    if (a->db) sum_bias(p);
    if (!a->dx) return SYN_OK;
    return syn_gemm(ctx, false, false, rows, D, width, 1, a->v, width, a->W, D,
                    a->dx_accumulate ? 1 : 0, a->dx, D);
}

static syn_status backward_in_scratch(syn_ctx *ctx, const syn_lstm_call *a)
{
    const int64_t H = a->H, batch = a->seq->batch;
    syn_lstm_plan p;
    SYN_RETURN_IF(syn_lstm_plan_init(ctx, a, &p));
    p.dc = SYN_SCRATCH(ctx, real, batch * H);
    p.blocks = (H + SYN_PANEL - 1) / SYN_PANEL;
    p.panels = SYN_SCRATCH(ctx, real, p.blocks * SYN_LSTM_GATES * H * SYN_PANEL);
    if (!p.dc || !p.panels) return SYN_ERR_MEMORY;
    size_t bytes = sizeof(real) * (size_t)(batch * H);
    if (a->dcT)
        memcpy(p.dc, a->dcT, bytes);
    else
        memset(p.dc, 0, bytes);
    SYN_RETURN_IF(syn_lstm_walk(ctx, &p, pack_columns, walk_backward));
    return sequence_gradients(ctx, &p);
}

syn_status syn_lstm_backward_cpu(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    for (int d = 0; d < directions; d++) {
        syn_scratch_mark mark = syn_scratch_push(ctx);
        syn_status st = backward_in_scratch(ctx, &a[d]);
        syn_scratch_pop(ctx, mark);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}
