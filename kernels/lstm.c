#include "kernels/lstm.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/tile.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* How the CPU side works. The products with x are one product over all rows. The rest walks the
 * steps; at each step every live sequence is a row given by a pointer to its previous h (forward) or
 * to the gate gradients of its following step (backward), so nothing is gathered, padded or copied,
 * and the gates' pointwise part is done on a block of units as soon as its product is there.
 *
 * Two ways to share the work in one parallel region: by sequences (nothing to wait for), when there
 * are enough of them; else by units, with a barrier after each step. */

enum {
    GATES = 4,
    SPINS_MAX = 4096,                 /* then the processor is given away while waiting */
    THREAD_WORK_MIN = 1 << 16,        /* multiplications per step that pay for a second thread */
    SEQUENCES_PER_THREAD_MIN = 12,    /* fewer: share by units */
    PACK_ROWS_MIN = 96, PACK_BATCH_MIN = 6 /* fewer rows in all, or live at once: R stays in place */
};

/* ---- sequences and steps ---- */

typedef struct barrier {
    atomic_int arrived, round;
} barrier;

typedef struct plan {
    const syn_lstm_call *a;
    const int32_t *order; /* (batch) sequences, longest first; NULL: as they are, equally long */
    const real *zeros;    /* (4H) */
    const real *panels;   /* packed R, or NULL */
    real *dc;             /* (batch,H) backward: gradient of c on its way to the step before */
    int64_t steps;
    int threads;
    bool by_units;
    barrier *gate;
} plan;

/* One live sequence at one step. */
typedef struct lane {
    const real *h;  /* (H) forward: previous h.  backward: unused */
    const real *dv; /* (4H) backward: gate gradients of the following step, or zeros */
    const real *c;  /* (H) previous c, or zeros */
    int64_t b, row; /* sequence; row in the buffers */
    bool last;      /* the last step walked: dhT enters here */
    bool reset;     /* no gradient leaves this step towards the one before */
} lane;

/* The part of the work of one thread. */
typedef struct share {
    const plan *p;
    int64_t first, stride; /* its sequences: order[first], order[first + stride], ... */
    int64_t begin, end;    /* its blocks of units */
    lane *lanes;           /* (batch) */
} share;

static int64_t sequence_at(const plan *p, int64_t i) { return p->order ? p->order[i] : i; }

/* The row of step s of the walk, which runs backwards in time when `reverse`. */
static int64_t walk_row(const syn_lstm_call *a, int64_t b, int64_t s)
{
    int64_t t = a->reverse ? syn_seq_length(a->seq, b) - 1 - s : s;
    return syn_seq_row(a->seq, b, t);
}

static bool walk_reset(const syn_lstm_call *a, int64_t b, int64_t s)
{
    if (!a->seq->reset) return false;
    int64_t t = a->reverse ? a->seq->steps - 1 - s : s;
    return a->seq->reset[t * a->seq->batch + b] != 0;
}

/* The state before step s: that of the step before, the initial one, or zero. */
static void previous_state(const plan *p, lane *l, int64_t s)
{
    const syn_lstm_call *a = p->a;
    l->h = l->c = p->zeros;
    l->reset = walk_reset(a, l->b, s);
    if (l->reset) return;
    if (s > 0) {
        int64_t row = walk_row(a, l->b, s - 1);
        l->h = a->h + row * a->ldh;
        l->c = a->c + row * a->H;
        return;
    }
    if (a->h0) l->h = a->h0 + l->b * a->H;
    if (a->c0) l->c = a->c0 + l->b * a->H;
}

/* Fills the lanes of the sequences that have a step s; returns how many. */
static int64_t live_lanes(const share *w, int64_t s)
{
    const plan *p = w->p;
    int64_t n = 0;
    for (int64_t i = w->first; i < p->a->seq->batch; i += w->stride) {
        int64_t b = sequence_at(p, i), length = syn_seq_length(p->a->seq, b);
        if (length <= s) break; /* longest first */
        lane *l = &w->lanes[n++];
        l->b = b;
        l->row = walk_row(p->a, b, s);
        l->last = s + 1 == length;
        previous_state(p, l, s);
        bool following = !l->last && !walk_reset(p->a, b, s + 1);
        l->dv = following && p->dc ? p->a->v + walk_row(p->a, b, s + 1) * GATES * p->a->H : p->zeros;
    }
    return n;
}

/* All threads of the team arrive before any leaves. */
static void barrier_wait(barrier *g, int threads)
{
    int round = atomic_load_explicit(&g->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&g->arrived, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&g->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&g->round, round + 1, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&g->round, memory_order_acquire) == round; i++) {
        if (i >= SPINS_MAX) {
            sched_yield();
            continue;
        }
#if defined(__x86_64__)
        _mm_pause();
#endif
    }
}

/* Longest first, equal lengths in their own order: a counting sort. */
static int32_t *order_create(syn_ctx *ctx, const syn_seq *q)
{
    int32_t *order = SYN_SCRATCH(ctx, int32_t, q->batch + 1);
    int32_t *start = SYN_SCRATCH(ctx, int32_t, q->steps + 2);
    if (!order || !start) return NULL;
    memset(start, 0, sizeof *start * (size_t)(q->steps + 2));
    for (int64_t b = 0; b < q->batch; b++) start[q->steps - syn_seq_length(q, b) + 1]++;
    for (int64_t i = 0; i <= q->steps; i++) start[i + 1] += start[i];
    for (int64_t b = 0; b < q->batch; b++)
        order[start[q->steps - syn_seq_length(q, b)]++] = (int32_t)b;
    return order;
}

/* ---- forward ---- */

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

static void finish_units(const plan *p, const lane *l, int64_t u, int n, const real *z)
{
    const syn_lstm_call *a = p->a;
    real *v = a->v + l->row * GATES * a->H + u, *c = a->c + l->row * a->H + u;
    real *h = a->h + l->row * a->ldh + u;
    if (n == SYN_LANES)
        gates_forward(SYN_LANES, a->H, z, a->b + u, l->c + u, v, c, h);
    else
        gates_forward(n, a->H, z, a->b + u, l->c + u, v, c, h);
}

/* R's rows u..u+n of the four gates, transposed: panel (H, 4, SYN_LANES), zeros beyond n. */
static void pack_units(const syn_lstm_call *a, int64_t u, int n, real *restrict panel)
{
    if (n < SYN_LANES) memset(panel, 0, sizeof(real) * (size_t)(a->H * SYN_PANEL));
    for (int64_t k0 = 0; k0 < a->H; k0 += SYN_LANES) { /* a cache line of each row at a time */
        int64_t k_end = k0 + SYN_LANES < a->H ? k0 + SYN_LANES : a->H;
        for (int g = 0; g < GATES; g++) {
            for (int l = 0; l < n; l++) {
                const real *R = a->R + (g * a->H + u + l) * a->H;
                for (int64_t k = k0; k < k_end; k++) panel[k * SYN_PANEL + g * SYN_LANES + l] = R[k];
            }
        }
    }
}

static void block_forward_packed(const plan *p, const lane *lanes, int64_t count, int64_t u, int n)
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

static void block_forward_in_place(const plan *p, const lane *lanes, int64_t count, int64_t u, int n)
{
    const int64_t H = p->a->H;
    real z[SYN_DOTS_ROWS][GATES][SYN_LANES] = {{{0}}}, one[SYN_DOTS_ROWS * GATES];
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
            const real *R[GATES];
            for (int g = 0; g < GATES; g++) R[g] = p->a->R + (g * H + u + l) * H;
            syn_dots(rows, h, R, H, one, GATES);
            for (int r = 0; r < rows; r++)
                for (int g = 0; g < GATES; g++) z[r][g][l] = one[r * GATES + g];
        }
        for (int r = 0; r < rows; r++) finish_units(p, &lanes[i + r], u, n, z[r][0]);
    }
}

static void walk_forward(const share *w)
{
    const plan *p = w->p;
    const int64_t H = p->a->H;
    for (int64_t s = 0; s < p->steps; s++) {
        int64_t count = live_lanes(w, s);
        for (int64_t i = w->begin; i < w->end && count > 0; i++) {
            /* Up and down in turn: what the last step read last is still in the near cache. */
            int64_t u = (s % 2 ? w->begin + w->end - 1 - i : i) * SYN_LANES;
            int n = (int)(H - u < SYN_LANES ? H - u : SYN_LANES);
            if (p->panels)
                block_forward_packed(p, w->lanes, count, u, n);
            else
                block_forward_in_place(p, w->lanes, count, u, n);
        }
        if (p->by_units) barrier_wait(p->gate, p->threads);
    }
}

static void copy_final(const syn_lstm_call *a, const real *zeros)
{
    size_t bytes = sizeof(real) * (size_t)a->H;
    for (int64_t b = 0; b < a->seq->batch; b++) {
        int64_t length = syn_seq_length(a->seq, b);
        const real *h = a->h0 ? a->h0 + b * a->H : zeros, *c = a->c0 ? a->c0 + b * a->H : zeros;
        if (length > 0) {
            int64_t row = walk_row(a, b, length - 1);
            h = a->h + row * a->ldh;
            c = a->c + row * a->H;
        }
        if (a->hT) memmove(a->hT + b * a->H, h, bytes);
        if (a->cT) memmove(a->cT + b * a->H, c, bytes);
    }
}

/* ---- backward ---- */

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

static void finish_gradient(const plan *p, const lane *l, int64_t u, int64_t n, real *restrict z)
{
    const syn_lstm_call *a = p->a;
    const real *dh = a->dh + l->row * a->lddh + u;
    real *dc = p->dc + l->b * a->H + u;
    for (int64_t j = 0; j < n; j++) z[j] += dh[j];
    if (l->last && a->dhT)
        for (int64_t j = 0; j < n; j++) z[j] += a->dhT[l->b * a->H + u + j];
    real *v = a->v + l->row * GATES * a->H + u;
    const real *c = a->c + l->row * a->H + u;
    if (n == SYN_PANEL)
        gates_backward(SYN_PANEL, a->H, z, c, l->c + u, v, dc);
    else
        gates_backward(n, a->H, z, c, l->c + u, v, dc);
    if (l->reset) memset(dc, 0, sizeof(real) * (size_t)n);
}

/* z (rows, SYN_PANEL) = gate gradients of the following steps times R, columns u... */
static void product_backward(const plan *p, const real *const *dv, int rows, int64_t u, real *z)
{
    bool zero = true;
    for (int r = 0; r < rows; r++) zero = zero && dv[r] == p->zeros;
    if (zero)
        memset(z, 0, sizeof(real) * SYN_TILE_ROWS * SYN_PANEL);
    else
        syn_tile(rows, dv, GATES * p->a->H, p->panels + u * GATES * p->a->H, z);
}

static void block_backward(const plan *p, const lane *lanes, int64_t count, int64_t u, int64_t n)
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
static void block_initial(const share *w, int64_t u, int64_t n)
{
    const plan *p = w->p;
    const syn_lstm_call *a = p->a;
    real z[SYN_TILE_ROWS * SYN_PANEL];
    size_t bytes = sizeof(real) * (size_t)n;
    for (int64_t i = w->first; i < a->seq->batch; i += w->stride) {
        int64_t b = sequence_at(p, i), at = b * a->H + u;
        bool empty = syn_seq_length(a->seq, b) == 0;
        const real *dv = p->zeros;
        if (!empty && !walk_reset(a, b, 0)) dv = a->v + walk_row(a, b, 0) * GATES * a->H;
        product_backward(p, &dv, 1, u, z);
        const real *dh0 = empty && a->dhT ? a->dhT + at : z;
        if (a->dh0) memmove(a->dh0 + at, dh0, bytes);
        if (a->dc0) memcpy(a->dc0 + at, p->dc + at, bytes);
    }
}

static void walk_backward(const share *w)
{
    const plan *p = w->p;
    const int64_t H = p->a->H;
    for (int64_t s = p->steps - 1; s >= 0; s--) {
        int64_t count = live_lanes(w, s);
        for (int64_t block = w->begin; block < w->end && count > 0; block++) {
            int64_t u = block * SYN_PANEL;
            block_backward(p, w->lanes, count, u, H - u < SYN_PANEL ? H - u : SYN_PANEL);
        }
        if (p->by_units) barrier_wait(p->gate, p->threads);
    }
    if (!p->a->dh0 && !p->a->dc0) return;
    for (int64_t block = w->begin; block < w->end; block++) {
        int64_t u = block * SYN_PANEL;
        block_initial(w, u, H - u < SYN_PANEL ? H - u : SYN_PANEL);
    }
}

/* R's columns u..u+n: panel (4H, SYN_PANEL), zeros beyond n. */
static void pack_columns(const syn_lstm_call *a, int64_t u, int64_t n, real *restrict panel)
{
    if (n < SYN_PANEL) memset(panel, 0, sizeof(real) * (size_t)(GATES * a->H * SYN_PANEL));
    for (int64_t k = 0; k < GATES * a->H; k++)
        memcpy(panel + k * SYN_PANEL, a->R + k * a->H + u, sizeof(real) * (size_t)n);
}

/* previous (rows,H) = the h that entered each row's step. */
static void gather_previous(const plan *p, real *previous)
{
    const syn_lstm_call *a = p->a;
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t b = 0; b < a->seq->batch; b++) {
        int64_t length = syn_seq_length(a->seq, b);
        for (int64_t s = 0; s < length; s++) {
            lane l = {.b = b};
            previous_state(p, &l, s);
            memcpy(previous + walk_row(a, b, s) * a->H, l.h, sizeof(real) * (size_t)a->H);
        }
    }
}

/* db += the column sums of v. Threads share the columns, so the order of a sum is fixed. */
static void sum_bias(const plan *p)
{
    const syn_lstm_call *a = p->a;
    const int64_t width = GATES * a->H;
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
static syn_status sequence_gradients(syn_ctx *ctx, const plan *p)
{
    const syn_lstm_call *a = p->a;
    const int64_t rows = a->seq->rows, D = a->D, H = a->H, width = GATES * H;
    if (a->dW)
        SYN_RETURN_IF(syn_gemm(ctx, true, false, width, D, rows, 1, a->v, width, a->x, D, 1, a->dW, D));
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

/* ---- both ---- */

/* Who does what: called by every thread of the team, after its true size is known. */
static share share_of(const plan *p, int thread, int64_t blocks, lane *lanes)
{
    share w = {p, 0, 1, 0, blocks, lanes + thread * p->a->seq->batch};
    if (p->by_units) {
        w.begin = blocks * thread / p->threads;
        w.end = blocks * (thread + 1) / p->threads;
    } else {
        w.first = thread;
        w.stride = p->threads;
    }
    return w;
}

static void walk(const plan *shared, int64_t blocks, real *panels, lane *lanes, bool backward)
{
    const syn_lstm_call *a = shared->a;
    const int64_t columns = backward ? SYN_PANEL : SYN_LANES, height = backward ? GATES : 1;
#pragma omp parallel num_threads(shared->threads)
    {
        plan p = *shared;
        int thread = 0;
#ifdef _OPENMP
        p.threads = omp_get_num_threads(); /* may be fewer than asked for */
        thread = omp_get_thread_num();
#endif
        if (panels) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < blocks; i++) {
                int64_t u = i * columns, n = a->H - u < columns ? a->H - u : columns;
                real *panel = panels + i * height * a->H * SYN_PANEL;
                if (backward)
                    pack_columns(a, u, n, panel);
                else
                    pack_units(a, u, (int)n, panel);
            }
        }
        share w = share_of(&p, thread, blocks, lanes);
        if (backward)
            walk_backward(&w);
        else
            walk_forward(&w);
    }
}

/* Everything but v, dc and the call: scratch that lives until the caller pops. */
static syn_status plan_init(syn_ctx *ctx, const syn_lstm_call *a, plan *p)
{
    const syn_seq *q = a->seq;
    memset(p, 0, sizeof *p);
    p->a = a;
    p->steps = q->rows > 0 ? q->steps : 0;
    p->threads = ctx->threads;
    int64_t live = p->steps > 0 ? (q->rows + p->steps - 1) / p->steps : 0; /* on average */
    if ((double)live * GATES * (double)a->H * (double)a->H < THREAD_WORK_MIN) p->threads = 1;
    p->by_units = live < (int64_t)p->threads * SEQUENCES_PER_THREAD_MIN && p->threads > 1;
    real *zeros = SYN_SCRATCH(ctx, real, GATES * a->H);
    p->gate = SYN_SCRATCH(ctx, barrier, 1);
    if (!zeros || !p->gate) return SYN_ERR_MEMORY;
    memset(zeros, 0, sizeof *zeros * (size_t)(GATES * a->H));
    atomic_init(&p->gate->arrived, 0);
    atomic_init(&p->gate->round, 0);
    p->zeros = zeros;
    if (!q->offset) return SYN_OK;
    p->order = order_create(ctx, q);
    return p->order ? SYN_OK : SYN_ERR_MEMORY;
}

static lane *lanes_create(syn_ctx *ctx, const plan *p)
{
    return SYN_SCRATCH(ctx, lane, (p->a->seq->batch + 1) * p->threads);
}

static syn_status forward_in_scratch(syn_ctx *ctx, syn_lstm_call *a)
{
    const int64_t rows = a->seq->rows, D = a->D, H = a->H, width = GATES * H;
    plan p;
    if (!a->v) a->v = SYN_SCRATCH(ctx, real, rows * width);
    if (!a->v) return SYN_ERR_MEMORY;
    SYN_RETURN_IF(plan_init(ctx, a, &p));
    SYN_RETURN_IF(syn_gemm(ctx, false, true, rows, width, D, 1, a->x, D, a->W, D, 0, a->v, width));
    int64_t blocks = (H + SYN_LANES - 1) / SYN_LANES;
    real *panels = NULL;
    if (rows >= PACK_ROWS_MIN && rows >= PACK_BATCH_MIN * p.steps) {
        panels = SYN_SCRATCH(ctx, real, blocks * H * SYN_PANEL);
        if (!panels) return SYN_ERR_MEMORY;
        p.panels = panels;
    }
    lane *lanes = lanes_create(ctx, &p);
    if (!lanes) return SYN_ERR_MEMORY;
    walk(&p, blocks, panels, lanes, false);
    copy_final(a, p.zeros);
    return SYN_OK;
}

syn_status syn_lstm_forward_cpu(syn_ctx *ctx, const syn_lstm_call *call)
{
    syn_lstm_call a = *call;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = forward_in_scratch(ctx, &a);
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status backward_in_scratch(syn_ctx *ctx, const syn_lstm_call *a)
{
    const int64_t H = a->H, batch = a->seq->batch;
    int64_t blocks = (H + SYN_PANEL - 1) / SYN_PANEL;
    plan p;
    SYN_RETURN_IF(plan_init(ctx, a, &p));
    p.dc = SYN_SCRATCH(ctx, real, batch * H);
    real *panels = SYN_SCRATCH(ctx, real, blocks * GATES * H * SYN_PANEL);
    lane *lanes = lanes_create(ctx, &p);
    if (!p.dc || !panels || !lanes) return SYN_ERR_MEMORY;
    p.panels = panels;
    size_t bytes = sizeof(real) * (size_t)(batch * H);
    if (a->dcT)
        memcpy(p.dc, a->dcT, bytes);
    else
        memset(p.dc, 0, bytes);
    walk(&p, blocks, panels, lanes, true);
    return sequence_gradients(ctx, &p);
}

syn_status syn_lstm_backward_cpu(syn_ctx *ctx, const syn_lstm_call *a)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = backward_in_scratch(ctx, a);
    syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- contract ---- */

/* Offsets are host memory on the CPU only; on a device they are taken as they are. */
static syn_status check_sequences(const syn_ctx *ctx, const syn_seq *q)
{
    SYN_REQUIRE(q && q->batch >= 0 && q->steps >= 0 && q->rows >= 0, "LSTM: sizes below zero");
    SYN_REQUIRE(q->batch <= INT32_MAX && q->steps < INT32_MAX, "LSTM: more sequences or steps than "
                                                               "an int32 counts");
    SYN_REQUIRE(q->offset || q->rows == q->steps * q->batch,
                "LSTM: %lld rows for %lld steps of %lld sequences", (long long)q->rows,
                (long long)q->steps, (long long)q->batch);
    SYN_REQUIRE(!q->offset || !q->reset, "LSTM: resets belong to the dense layout only");
    if (!q->offset || ctx->device != SYN_DEVICE_CPU) return SYN_OK;
    SYN_REQUIRE(q->offset[0] == 0 && q->offset[q->batch] == q->rows,
                "LSTM: the offsets do not run from 0 to the %lld rows", (long long)q->rows);
    for (int64_t b = 0; b < q->batch; b++) {
        int64_t length = syn_seq_length(q, b);
        SYN_REQUIRE(length >= 0 && length <= q->steps, "LSTM: sequence %lld has %lld of %lld steps",
                    (long long)b, (long long)length, (long long)q->steps);
    }
    return SYN_OK;
}

static syn_status check(const syn_ctx *ctx, const syn_lstm_call *a)
{
    SYN_RETURN_IF(check_sequences(ctx, a->seq));
    SYN_REQUIRE(a->D > 0 && a->H > 0 && a->ldh >= a->H, "LSTM: D %lld, H %lld, row stride %lld",
                (long long)a->D, (long long)a->H, (long long)a->ldh);
    SYN_REQUIRE(a->W && a->R, "LSTM: no weights");
    SYN_REQUIRE(a->seq->rows == 0 || (a->x && a->h && a->c), "LSTM: x, h or c is NULL");
    return SYN_OK;
}

static syn_status forward(syn_ctx *ctx, const syn_lstm_call *a)
{
    SYN_RETURN_IF(check(ctx, a));
    SYN_REQUIRE(a->b, "LSTM: no bias");
    return SYN_DISPATCH(ctx, syn_lstm_forward, a);
}

static syn_status backward(syn_ctx *ctx, const syn_lstm_call *a)
{
    SYN_RETURN_IF(check(ctx, a));
    SYN_REQUIRE(a->seq->rows == 0 || (a->v && a->dh && a->lddh >= a->H),
                "LSTM: the gates or the gradient of h are missing");
    return SYN_DISPATCH(ctx, syn_lstm_backward, a);
}

syn_status syn_lstm_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H, bool reverse,
                            const real *x, const real *W, const real *R, const real *b,
                            const real *h0, const real *c0, real *h, int64_t ldh, real *c, real *v,
                            real *hT, real *cT)
{
    syn_lstm_call a = {.seq = seq, .D = D, .H = H, .reverse = reverse, .x = x, .W = W, .R = R,
                       .b = b, .h0 = h0, .c0 = c0, .h = h, .ldh = ldh, .c = c, .v = v, .hT = hT,
                       .cT = cT};
    return forward(ctx, &a);
}

syn_status syn_lstm_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H, bool reverse,
                             const real *x, const real *W, const real *R, const real *h0,
                             const real *c0, const real *h, int64_t ldh, const real *c, real *v,
                             const real *dh, int64_t lddh, const real *dhT, const real *dcT,
                             real *dx, real *dW, real *dR, real *db, real *dh0, real *dc0)
{
    syn_lstm_call a = {.seq = seq, .D = D, .H = H, .reverse = reverse, .x = x, .W = W, .R = R,
                       .h0 = h0, .c0 = c0, .h = (real *)h, .ldh = ldh, .c = (real *)c, .v = v,
                       .dh = dh, .lddh = lddh, .dhT = dhT, .dcT = dcT, .dx = dx, .dW = dW,
                       .dR = dR, .db = db, .dh0 = dh0, .dc0 = dc0};
    return backward(ctx, &a);
}

syn_status syn_bilstm_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H, const real *x,
                              const real *Wf, const real *Rf, const real *bf, const real *Wr,
                              const real *Rr, const real *br, real *h, real *c, real *v)
{
    syn_lstm_call f = {.seq = seq, .D = D, .H = H, .x = x, .W = Wf, .R = Rf, .b = bf, .h = h,
                       .ldh = 2 * H, .c = c, .v = v};
    SYN_RETURN_IF(forward(ctx, &f));
    syn_lstm_call r = f;
    r.reverse = true;
    r.W = Wr;
    r.R = Rr;
    r.b = br;
    r.h = h + H;
    r.c = c + seq->rows * H;
    r.v = v ? v + seq->rows * GATES * H : NULL;
    return forward(ctx, &r);
}

syn_status syn_bilstm_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H,
                               const real *x, const real *Wf, const real *Rf, const real *Wr,
                               const real *Rr, const real *h, const real *c, real *v,
                               const real *dh, real *dx, real *dWf, real *dRf, real *dbf,
                               real *dWr, real *dRr, real *dbr)
{
    syn_lstm_call f = {.seq = seq, .D = D, .H = H, .x = x, .W = Wf, .R = Rf, .h = (real *)h,
                       .ldh = 2 * H, .c = (real *)c, .v = v, .dh = dh, .lddh = 2 * H, .dx = dx,
                       .dW = dWf, .dR = dRf, .db = dbf};
    SYN_RETURN_IF(backward(ctx, &f));
    syn_lstm_call r = f;
    r.reverse = true;
    r.W = Wr;
    r.R = Rr;
    r.h = (real *)h + H;
    r.c = (real *)c + seq->rows * H;
    r.v = v ? v + seq->rows * GATES * H : NULL;
    r.dh = dh + H;
    r.dW = dWr;
    r.dR = dRr;
    r.db = dbr;
    r.dx_accumulate = true;
    return backward(ctx, &r);
}
