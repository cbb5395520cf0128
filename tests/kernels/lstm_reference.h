/* The LSTM by plain loops in double, forward and backward: what rounding is measured against. */
#ifndef SYN_TESTS_LSTM_REFERENCE_H
#define SYN_TESTS_LSTM_REFERENCE_H

#include "tests/kernels/lstm_problem.h"

/* What the forward pass leaves for the backward one, by rows. */
typedef struct reference {
    problem *p;
    double *v, *c, *h; /* (rows,4H) (rows,H) (rows,H) */
    double *dz, *dh, *dc;
} reference;

static inline double *doubles(int64_t n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline double reference_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* The row of step s of the walk over sequence b. */
static inline int64_t reference_row(const problem *p, int64_t b, int64_t s)
{
    const int64_t length = syn_seq_length(&p->seq, b);
    return syn_seq_row(&p->seq, b, p->z.reverse ? length - 1 - s : s);
}

static inline bool reference_reset(const problem *p, int64_t b, int64_t s)
{
    const int64_t t = p->z.reverse ? p->z.steps - 1 - s : s;
    return p->seq.reset && p->seq.reset[t * p->z.batch + b];
}

/* The state of unit u that enters step s; rows: where the states of all steps lie. */
static inline double reference_before(const reference *r, const double *rows, const real *initial,
                                      int64_t b, int64_t s, int64_t u)
{
    const problem *p = r->p;
    if (reference_reset(p, b, s)) return 0;
    if (s > 0) return rows[reference_row(p, b, s - 1) * p->z.H + u];
    return p->z.from_zero ? 0 : (double)initial[b * p->z.H + u];
}

static inline void reference_step(const reference *r, int64_t b, int64_t s)
{
    const problem *p = r->p;
    const int64_t D = p->z.D, H = p->z.H, row = reference_row(p, b, s);
    double *before = doubles(H), *v = r->v + row * 4 * H;
    for (int64_t k = 0; k < H; k++) before[k] = reference_before(r, r->h, p->h0, b, s, k);
    for (int64_t j = 0; j < 4 * H; j++) {
        double z = (double)p->b[j];
        for (int64_t d = 0; d < D; d++) z += (double)p->W[j * D + d] * (double)p->x[row * D + d];
        for (int64_t k = 0; k < H; k++) z += (double)p->R[j * H + k] * before[k];
        v[j] = j / H == 2 ? tanh(z) : reference_sigmoid(z);
    }
    for (int64_t u = 0; u < H; u++) {
        const double cell = reference_before(r, r->c, p->c0, b, s, u);
        r->c[row * H + u] = v[H + u] * cell + v[u] * v[2 * H + u];
        r->h[row * H + u] = v[3 * H + u] * tanh(r->c[row * H + u]);
    }
    free(before);
}

/* dh, dc (H): the gradient from the following step, then that for the step before. */
static inline void reference_step_back(const reference *r, int64_t b, int64_t s)
{
    const problem *p = r->p;
    const int64_t H = p->z.H, row = reference_row(p, b, s), length = syn_seq_length(&p->seq, b);
    const double *v = r->v + row * 4 * H;
    double *dz = r->dz + row * 4 * H;
    for (int64_t u = 0; u < H; u++) {
        const double i = v[u], f = v[H + u], g = v[2 * H + u], o = v[3 * H + u];
        const double tc = tanh(r->c[row * H + u]);
        double dh = r->dh[u] + (double)p->dh[row * H + u];
        if (s + 1 == length) dh += (double)p->dhT[b * H + u];
        const double dc = r->dc[u] + dh * o * (1 - tc * tc);
        dz[u] = dc * g * i * (1 - i);
        dz[H + u] = dc * reference_before(r, r->c, p->c0, b, s, u) * f * (1 - f);
        dz[2 * H + u] = dc * i * (1 - g * g);
        dz[3 * H + u] = dh * tc * o * (1 - o);
        r->dc[u] = reference_reset(p, b, s) ? 0 : dc * f;
        r->dh[u] = 0;
    }
    for (int64_t j = 0; j < 4 * H && !reference_reset(p, b, s); j++)
        for (int64_t k = 0; k < H; k++) r->dh[k] += dz[j] * (double)p->R[j * H + k];
}

static inline void reference_round(real *to, const double *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = (real)from[i];
}

static inline void reference_walk(reference *r)
{
    problem *p = r->p;
    const int64_t H = p->z.H;
    for (int64_t b = 0; b < p->z.batch; b++) {
        const int64_t length = syn_seq_length(&p->seq, b);
        for (int64_t s = 0; s < length; s++) reference_step(r, b, s);
        for (int64_t u = 0; u < H; u++) {
            const int64_t at = b * H + u;
            const int64_t last = length > 0 ? reference_row(p, b, length - 1) * H + u : 0;
            const real h0 = p->z.from_zero ? 0 : p->h0[at], c0 = p->z.from_zero ? 0 : p->c0[at];
            p->hT[at] = length > 0 ? (real)r->h[last] : h0;
            p->cT[at] = length > 0 ? (real)r->c[last] : c0;
            r->dh[u] = length > 0 ? 0 : (double)p->dhT[at];
            r->dc[u] = (double)p->dcT[at];
        }
        for (int64_t s = length - 1; s >= 0; s--) reference_step_back(r, b, s);
        reference_round(p->dh0 + b * H, r->dh, H);
        reference_round(p->dc0 + b * H, r->dc, H);
    }
}

/* What is summed over all rows, into p, whose dW, dR and db hold zeros. */
static inline void reference_sums(const reference *r)
{
    problem *p = r->p;
    const int64_t D = p->z.D, H = p->z.H;
    double *dW = doubles(4 * H * D), *dR = doubles(4 * H * H), *db = doubles(4 * H);
    for (int64_t b = 0; b < p->z.batch; b++) {
        for (int64_t s = 0; s < syn_seq_length(&p->seq, b); s++) {
            const int64_t row = reference_row(p, b, s);
            double *before = doubles(H), *dx = doubles(D);
            for (int64_t k = 0; k < H; k++) before[k] = reference_before(r, r->h, p->h0, b, s, k);
            for (int64_t j = 0; j < 4 * H; j++) {
                const double dz = r->dz[row * 4 * H + j];
                for (int64_t d = 0; d < D; d++) dW[j * D + d] += dz * (double)p->x[row * D + d];
                for (int64_t d = 0; d < D; d++) dx[d] += dz * (double)p->W[j * D + d];
                for (int64_t k = 0; k < H; k++) dR[j * H + k] += dz * before[k];
                db[j] += dz;
            }
            reference_round(p->dx + row * D, dx, D);
            free(before);
            free(dx);
        }
    }
    reference_round(p->dW, dW, 4 * H * D);
    reference_round(p->dR, dR, 4 * H * H);
    reference_round(p->db, db, 4 * H);
    free(dW);
    free(dR);
    free(db);
}

/* Fills p's outputs, those of the backward pass with v = the gradient of the pre-activations. */
static inline void reference_run(problem *p)
{
    const int64_t rows = p->seq.rows, H = p->z.H;
    reference r = {p,
                   doubles(rows * 4 * H),
                   doubles(rows * H),
                   doubles(rows * H),
                   doubles(rows * 4 * H),
                   doubles(H),
                   doubles(H)};
    reference_walk(&r);
    reference_sums(&r);
    reference_round(p->h, r.h, rows * H);
    reference_round(p->c, r.c, rows * H);
    reference_round(p->v, r.dz, rows * 4 * H);
    free(r.v);
    free(r.c);
    free(r.h);
    free(r.dz);
    free(r.dh);
    free(r.dc);
}

#endif
