/* The forward pass of the LSTM on the CPU. */
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/lstm_walk.h"
#include "kernels/packed.h"

/* Fewer rows in all, or live at once on average: R stays in place. */
enum { PACK_ROWS_MIN = 96, PACK_BATCH_MIN = 6 };

/* Units u..u+n of one row: z (4, SYN_LANES) holds R h; v holds W x and becomes the gates. */
SYN_ALWAYS_INLINE void gates_forward(const int n, int64_t H, const real *restrict z,
                                     const real *restrict b, const real *restrict c_before,
                                     real *restrict v, real *restrict c, real *restrict h)
{
#pragma omp simd
    for (int l = 0; l < n; l++) {
        real i = syn_sigmoid(v[l] + b[l] + z[l]);
        real f = syn_sigmoid(v[H + l] + b[H + l] + z[SYN_LANES + l]);
        real g = syn_tanh(v[2 * H + l] + b[2 * H + l] + z[2 * SYN_LANES + l]);
        real o = syn_sigmoid(v[3 * H + l] + b[3 * H + l] + z[3 * SYN_LANES + l]);
        real cell = f * c_before[l] + i * g;
        v[l] = i;
        v[H + l] = f;
        v[2 * H + l] = g;
        v[3 * H + l] = o;
        c[l] = cell;
        h[l] = o * syn_tanh(cell);
    }
}

static void finish_units(const syn_lstm_plan *p, const syn_lstm_lane *l, int64_t u, int n,
                         const real *z)
{
    const syn_lstm_call *a = p->a;
    real *v = a->v + l->row * SYN_LSTM_GATES * a->H + u, *c = a->c + l->row * a->H + u;
    real *h = a->h + l->row * a->ldh + u;
    if (n == SYN_LANES)
        gates_forward(SYN_LANES, a->H, z, a->b + u, l->c + u, v, c, h);
    else
        gates_forward(n, a->H, z, a->b + u, l->c + u, v, c, h);
}

static void pack_units(const syn_lstm_plan *p, int64_t block)
{
    syn_packed_block(p->a->H, p->a->R, block, p->panels + block * p->a->H * SYN_PANEL);
}

static void block_forward_packed(const syn_lstm_plan *p, const syn_lstm_lane *lanes, int64_t count,
                                 int64_t u, int n)
{
    const real *panel = p->panels + u / SYN_LANES * p->a->H * SYN_PANEL;
    real z[SYN_TILE_ROWS * SYN_PANEL];
    for (int64_t i = 0; i < count; i += SYN_TILE_ROWS) {
        int rows = (int)(count - i < SYN_TILE_ROWS ? count - i : SYN_TILE_ROWS);
        const real *h[SYN_TILE_ROWS] = {0};
        bool zero = true;
        for (int r = 0; r < rows; r++) {
            h[r] = lanes[i + r].h;
            zero = zero && h[r] == p->zeros;
        }
        if (zero)
            memset(z, 0, sizeof z);
        else
            syn_tile(rows, h, p->a->H, panel, z);
        for (int r = 0; r < rows; r++) finish_units(p, &lanes[i + r], u, n, z + r * SYN_PANEL);
    }
}

static void block_forward_in_place(const syn_lstm_plan *p, const syn_lstm_lane *lanes,
                                   int64_t count, int64_t u, int n)
{
    const int64_t H = p->a->H;
    real z[SYN_DOTS_ROWS][SYN_LSTM_GATES][SYN_LANES] = {{{0}}}, one[SYN_DOTS_ROWS * SYN_LSTM_GATES];
    for (int64_t i = 0; i < count; i += SYN_DOTS_ROWS) {
        int rows = (int)(count - i < SYN_DOTS_ROWS ? count - i : SYN_DOTS_ROWS);
        const real *h[SYN_DOTS_ROWS] = {0};
        bool zero = true;
        for (int r = 0; r < rows; r++) {
            h[r] = lanes[i + r].h;
            zero = zero && h[r] == p->zeros;
        }
        if (zero) memset(z, 0, sizeof z);
        for (int l = 0; l < n && !zero; l++) {
            const real *R[SYN_LSTM_GATES];
            for (int g = 0; g < SYN_LSTM_GATES; g++) R[g] = p->a->R + (g * H + u + l) * H;
            syn_dots(rows, h, R, H, one, SYN_LSTM_GATES);
            for (int r = 0; r < rows; r++)
                for (int g = 0; g < SYN_LSTM_GATES; g++) z[r][g][l] = one[r * SYN_LSTM_GATES + g];
        }
        for (int r = 0; r < rows; r++) finish_units(p, &lanes[i + r], u, n, z[r][0]);
    }
}

static void walk_forward(const syn_lstm_share *w)
{
    const syn_lstm_plan *p = w->p;
    const int64_t H = p->a->H;
    for (int64_t s = 0; s < p->steps; s++) {
        int64_t count = syn_lstm_live(w, s);
        for (int64_t i = w->begin; i < w->end && count > 0; i++) {
            /* Up and down in turn: what the last step read last is still in the near cache. */
            int64_t u = (s % 2 ? w->begin + w->end - 1 - i : i) * SYN_LANES;
            int n = (int)(H - u < SYN_LANES ? H - u : SYN_LANES);
            if (p->panels)
                block_forward_packed(p, w->lanes, count, u, n);
            else
                block_forward_in_place(p, w->lanes, count, u, n);
        }
        syn_lstm_step_end(w);
    }
}

static void copy_final(const syn_lstm_call *a, const real *zeros)
{
    size_t bytes = sizeof(real) * (size_t)a->H;
    for (int64_t b = 0; b < a->seq->batch; b++) {
        int64_t length = syn_seq_length(a->seq, b);
        const real *h = a->h0 ? a->h0 + b * a->H : zeros, *c = a->c0 ? a->c0 + b * a->H : zeros;
        if (length > 0) {
            int64_t row = syn_lstm_row(a, b, length - 1);
            h = a->h + row * a->ldh;
            c = a->c + row * a->H;
        }
        if (a->hT) memmove(a->hT + b * a->H, h, bytes);
        if (a->cT) memmove(a->cT + b * a->H, c, bytes);
    }
}

static syn_status forward_in_scratch(syn_ctx *ctx, syn_lstm_call *a)
{
    const int64_t rows = a->seq->rows, D = a->D, H = a->H, width = SYN_LSTM_GATES * H;
    syn_lstm_plan p;
    if (!a->v) SYN_TAKE(ctx, a->v, real, rows * width);
    if (!a->c) SYN_TAKE(ctx, a->c, real, rows * H);
    SYN_RETURN_IF(syn_lstm_plan_init(ctx, a, &p));
    SYN_RETURN_IF(syn_gemm(ctx, false, true, rows, width, D, 1, a->x, D, a->W, D, 0, a->v, width));
    p.blocks = (H + SYN_LANES - 1) / SYN_LANES;
    p.panels = (real *)syn_packed_recurrence_find(ctx, H, a->R);
    const bool kept = p.panels != NULL;
    if (!kept && rows >= PACK_ROWS_MIN && rows >= PACK_BATCH_MIN * p.steps) {
        p.panels = SYN_SCRATCH(ctx, real, p.blocks * H * SYN_PANEL);
        if (!p.panels) return SYN_ERR_MEMORY;
    }
    SYN_RETURN_IF(syn_lstm_walk(ctx, &p, kept ? NULL : pack_units, walk_forward));
    copy_final(a, p.zeros);
    return SYN_OK;
}

syn_status syn_lstm_forward_cpu(syn_ctx *ctx, const syn_lstm_call *calls, int directions)
{
    for (int d = 0; d < directions; d++) {
        syn_lstm_call a = calls[d];
        syn_scratch_mark mark = syn_scratch_push(ctx);
        syn_status st = forward_in_scratch(ctx, &a);
        syn_scratch_pop(ctx, mark);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}
