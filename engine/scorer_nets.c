/* The networks by themselves: rows of callers in, rows out, a few hundred at a time. */
#include <string.h>

#include "engine/scorer_private.h"
#include "kernels/linear.h"
#include "kernels/sample.h"

enum {
    N = SYN_AGENTS_MAX,
    A = SYN_ACTIONS_MAX,
    H = SYN_GAP_HIDDEN,
    PAIR = 2 * SYN_CKM,
    ROWS = SYN_SCORER_NET_ROWS,
    DECISIONS = 64
};

static bool on_cpu(const syn_scorer *s)
{
    return s->ctx->device == SYN_DEVICE_CPU;
}

/* Host rows for the ops to read: where they are on the CPU, else a copy in scratch. */
static syn_status rows_in(syn_scorer *s, const void *host, size_t bytes, const void **out)
{
    *out = host;
    if (on_cpu(s)) return SYN_OK;
    void *p = syn_scratch_alloc(s->ctx, bytes);
    if (!p) return SYN_ERR_MEMORY;
    *out = p;
    return syn_scorer_send(s->ctx, p, host, bytes);
}

/* Where the ops are to write what comes to the host's rows. */
static syn_status rows_out(syn_scorer *s, void *host, size_t bytes, void **out)
{
    *out = on_cpu(s) ? host : syn_scratch_alloc(s->ctx, bytes);
    return *out ? SYN_OK : SYN_ERR_MEMORY;
}

static syn_status rows_fetch(syn_scorer *s, void *host, const void *from, size_t bytes)
{
    return host == from ? SYN_OK : syn_scorer_send(s->ctx, host, from, bytes);
}

/* One piece of a call: `copied`, `computed` are told to the clock where they end. */
static syn_status begin(syn_scorer *s)
{
    syn_flush_denormals();
    return syn_scorer_clock_mark(s->ctx, &s->clock, 0);
}

static syn_status copied(syn_scorer *s)
{
    return syn_scorer_clock_mark(s->ctx, &s->clock, 1);
}

static syn_status computed(syn_scorer *s)
{
    return syn_scorer_clock_mark(s->ctx, &s->clock, 2);
}

static syn_status end(syn_scorer *s, syn_score_times *times)
{
    SYN_RETURN_IF(syn_scorer_clock_mark(s->ctx, &s->clock, 3));
    SYN_RETURN_IF(syn_wait(s->ctx));
    if (!times) return SYN_OK;
    times->copy_s +=
        syn_scorer_clock_s(s->ctx, &s->clock, 0, 1) + syn_scorer_clock_s(s->ctx, &s->clock, 2, 3);
    times->compute_s += syn_scorer_clock_s(s->ctx, &s->clock, 1, 2);
    return SYN_OK;
}

/* ---- Gap detector ---- */

/* The next rows of all parts together. */
typedef struct gap_rows {
    const syn_gap_part *part;
    int64_t row;
} gap_rows;

/* Walks over n rows from `at` on: calls `each` with every run of rows of one part. */
static void gap_walk(gap_rows *at, int64_t n,
                     void (*each)(void *user, const syn_gap_part *part, int64_t row, int64_t run),
                     void *user)
{
    while (n > 0) {
        const int64_t left = at->part->n - at->row, run = left < n ? left : n;
        if (run > 0) each(user, at->part, at->row, run);
        n -= run;
        at->row += run;
        if (n > 0) at->part++, at->row = 0;
    }
}

static void pairs_put(void *user, const syn_gap_part *part, int64_t row, int64_t run)
{
    real **to = user;
    memcpy(*to, part->pair + row * PAIR, sizeof(real) * (size_t)(run * PAIR));
    *to += run * PAIR;
}

typedef struct gap_result {
    const real *logit;
    const syn_calibration *calibrated;
} gap_result;

static void gaps_give(void *user, const syn_gap_part *part, int64_t row, int64_t run)
{
    gap_result *g = user;
    for (int64_t r = row; r < row + run; r++, g->logit += SYN_GAP_OUT) {
        if (part->link)
            part->link[r] = (float)syn_calibrate(&g->calibrated[SYN_LINK], g->logit[SYN_LINK]);
        if (part->gap)
            part->gap[r] = (float)syn_calibrate(&g->calibrated[SYN_GAP], g->logit[SYN_GAP]);
    }
}

/* The next n rows, at least one. */
static syn_status gap_piece(syn_scorer *s, gap_rows *next, int64_t n, syn_score_times *times)
{
    syn_ctx *ctx = s->ctx;
    const syn_params *t = &s->perception.params;
    while (next->row >= next->part->n) next->part++, next->row = 0;
    const void *x = next->part->pair + next->row * PAIR;
    real *a, *b, *logit, *to = s->pairs;
    gap_rows at = *next;
    SYN_RETURN_IF(begin(s));
    if (next->part->n - next->row < n || !on_cpu(s)) {
        gap_walk(&at, n, pairs_put, &to);
        SYN_RETURN_IF(rows_in(s, s->pairs, sizeof(real) * (size_t)(n * PAIR), &x));
    }
    SYN_RETURN_IF(copied(s));
    SYN_TAKE(ctx, a, real, n * H);
    SYN_TAKE(ctx, b, real, n * H);
    SYN_TAKE(ctx, logit, real, n * SYN_GAP_OUT);
    SYN_RETURN_IF(syn_linear_forward(ctx, n, SYN_CKM, H, x, PAIR, syn_value(t, SYN_P_GAP_W1), NULL,
                                     SYN_ACT_NONE, a, H));
    SYN_RETURN_IF(syn_linear_forward(ctx, n, SYN_CKM, H, (const real *)x + SYN_CKM, PAIR,
                                     syn_value(t, SYN_P_GAP_W2), NULL, SYN_ACT_NONE, b, H));
    SYN_RETURN_IF(syn_gap_score(ctx, &s->perception, n, a, s->same, b, s->same, logit));
    SYN_RETURN_IF(computed(s));
    SYN_RETURN_IF(
        syn_scorer_send(ctx, s->gap_logit, logit, sizeof(real) * (size_t)(n * SYN_GAP_OUT)));
    SYN_RETURN_IF(end(s, times));
    gap_result g = {s->gap_logit, s->perception.calibrated};
    gap_walk(next, n, gaps_give, &g);
    return SYN_OK;
}

syn_status syn_scorer_gaps(syn_scorer *s, int parts, const syn_gap_part *part,
                           syn_score_times *times)
{
    int64_t left = 0;
    SYN_REQUIRE(s && parts >= 0 && (part || parts == 0), "syn_scorer_gaps: an argument is NULL");
    for (int k = 0; k < parts; k++) {
        SYN_REQUIRE(part[k].n >= 0 && (part[k].pair || part[k].n == 0),
                    "part %d: %lld pairs, or none given", k, (long long)part[k].n);
        left += part[k].n;
    }
    if (times) *times = (syn_score_times){0};
    gap_rows next = {part, 0};
    for (int64_t n; left > 0; left -= n) {
        n = left < ROWS ? left : ROWS;
        const syn_scratch_mark mark = syn_scratch_push(s->ctx);
        const syn_status st = gap_piece(s, &next, n, times);
        syn_scratch_pop(s->ctx, mark);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}

/* Rows first..first + n of a call of any kind. */
typedef syn_status (*piece_of_call)(syn_scorer *s, const void *call, int64_t first, int64_t n,
                                    syn_score_times *times);

/* A call of n rows, at most `each` of them at a time. */
static syn_status in_pieces(syn_scorer *s, int64_t n, int64_t each, piece_of_call piece,
                            const void *call, syn_score_times *times)
{
    if (times) *times = (syn_score_times){0};
    for (int64_t first = 0; first < n; first += each) {
        const syn_scratch_mark mark = syn_scratch_push(s->ctx);
        const syn_status st = piece(s, call, first, n - first < each ? n - first : each, times);
        syn_scratch_pop(s->ctx, mark);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}

/* ---- Sequences: knowledge and states ---- */

static syn_status lengths_check(int64_t n, int64_t steps, int64_t steps_max, const int32_t *length)
{
    SYN_REQUIRE(n >= 0 && steps >= 1 && steps <= steps_max,
                "%lld sequences of %lld: lengths of 1 to %lld are allowed", (long long)n,
                (long long)steps, (long long)steps_max);
    SYN_REQUIRE(length || n == 0, "the lengths are NULL");
    for (int64_t i = 0; i < n; i++) {
        SYN_REQUIRE(length[i] >= 0 && length[i] <= steps, "length[%lld] is %d, of %lld",
                    (long long)i, length[i], (long long)steps);
    }
    return SYN_OK;
}

/* Sequences of a dense host array, packed. */
typedef struct packed {
    syn_seq seq;     /* offset: for the ops */
    int32_t *offset; /* host */
    real *rows;      /* host */
} packed;

static syn_status pack(syn_scorer *s, int64_t n, int64_t steps, int64_t width,
                       const int32_t *length, const real *dense, packed *p)
{
    const void *offset;
    SYN_HOST_TAKE(s->ctx, p->offset, int32_t, n + 1);
    SYN_HOST_TAKE(s->ctx, p->rows, real, n * steps * width + 1);
    p->offset[0] = 0;
    p->seq = (syn_seq){.batch = n};
    for (int64_t i = 0; i < n; i++) {
        memcpy(p->rows + p->offset[i] * width, dense + i * steps * width,
               sizeof(real) * (size_t)(length[i] * width));
        p->offset[i + 1] = p->offset[i] + length[i];
        if (length[i] > p->seq.steps) p->seq.steps = length[i];
    }
    p->seq.rows = p->offset[n];
    SYN_RETURN_IF(rows_in(s, p->offset, sizeof(int32_t) * (size_t)(n + 1), &offset));
    p->seq.offset = offset;
    return SYN_OK;
}

/* Sequences from `first` on. */
static syn_status ckm_piece(syn_scorer *s, const void *call, int64_t first, int64_t n,
                            syn_score_times *times)
{
    const syn_ckm_call *q = call;
    packed p;
    const void *items, *bias;
    void *ckm, *weight;
    real *bias_host, *weight_host, *to = q->ckm + first * SYN_CKM;
    const size_t bytes = sizeof(real) * (size_t)(n * SYN_CKM);
    SYN_RETURN_IF(begin(s));
    SYN_RETURN_IF(
        pack(s, n, q->m, SYN_DI, q->length + first, q->items + first * q->m * SYN_DI, &p));
    const size_t rows = (size_t)p.seq.rows + 1; /* never empty */
    SYN_HOST_TAKE(s->ctx, bias_host, real, rows);
    SYN_HOST_TAKE(s->ctx, weight_host, real, rows);
    /* An item has its relevance logit in it, as engine/observe.c makes it. */
    for (int64_t r = 0; r < p.seq.rows; r++) bias_host[r] = 4 * p.rows[r * SYN_DI + SYN_DX];
    SYN_RETURN_IF(rows_in(s, p.rows, sizeof(real) * (size_t)p.seq.rows * SYN_DI, &items));
    SYN_RETURN_IF(rows_in(s, bias_host, sizeof(real) * (size_t)p.seq.rows, &bias));
    SYN_RETURN_IF(rows_out(s, to, bytes, &ckm));
    SYN_RETURN_IF(rows_out(s, weight_host, sizeof(real) * rows, &weight));
    SYN_RETURN_IF(copied(s));
    SYN_RETURN_IF(syn_ckm_forward(s->ctx, &s->perception, &p.seq, items, bias, ckm, weight));
    SYN_RETURN_IF(computed(s));
    SYN_RETURN_IF(rows_fetch(s, to, ckm, bytes));
    SYN_RETURN_IF(rows_fetch(s, weight_host, weight, sizeof(real) * (size_t)p.seq.rows));
    SYN_RETURN_IF(end(s, times));
    for (int64_t i = 0; i < n && q->relevance; i++) {
        real *r = q->relevance + (first + i) * q->m;
        const int32_t length = p.offset[i + 1] - p.offset[i];
        memset(r, 0, sizeof(real) * (size_t)q->m);
        memcpy(r, weight_host + p.offset[i], sizeof(real) * (size_t)length);
    }
    return SYN_OK;
}

syn_status syn_scorer_ckm(syn_scorer *s, const syn_ckm_call *q, syn_score_times *times)
{
    SYN_REQUIRE(s && q && ((q->items && q->ckm) || q->n == 0), "syn_scorer_ckm: NULL is given");
    SYN_RETURN_IF(lengths_check(q->n, q->m, SYN_ROWS_MAX, q->length));
    return in_pieces(s, q->n, ROWS / q->m, ckm_piece, q, times);
}

static syn_status state_piece(syn_scorer *s, const void *call, int64_t first, int64_t n,
                              syn_score_times *times)
{
    const syn_state_call *q = call;
    packed p;
    const void *message, *h0, *c0;
    void *hT, *cT;
    real *state, *h = q->h + first * SYN_STATE, *c = q->c + first * SYN_STATE;
    const size_t bytes = sizeof(real) * (size_t)(n * SYN_STATE);
    SYN_RETURN_IF(begin(s));
    SYN_RETURN_IF(
        pack(s, n, q->T, SYN_DM, q->length + first, q->message + first * q->T * SYN_DM, &p));
    if (p.seq.rows == 0) return SYN_OK; /* nobody takes a step */
    SYN_RETURN_IF(rows_in(s, p.rows, sizeof(real) * (size_t)p.seq.rows * SYN_DM, &message));
    SYN_RETURN_IF(rows_in(s, h, bytes, &h0));
    SYN_RETURN_IF(rows_in(s, c, bytes, &c0));
    SYN_RETURN_IF(rows_out(s, h, bytes, &hT));
    SYN_RETURN_IF(rows_out(s, c, bytes, &cT));
    SYN_RETURN_IF(copied(s));
    SYN_RETURN_IF(
        syn_state_forward(s->ctx, &s->control, &p.seq, message, h0, c0, NULL, &state, hT, cT));
    SYN_RETURN_IF(computed(s));
    SYN_RETURN_IF(rows_fetch(s, h, hT, bytes));
    SYN_RETURN_IF(rows_fetch(s, c, cT, bytes));
    return end(s, times);
}

static syn_status control_check(const syn_scorer *s)
{
    if (s->model->has_control) return SYN_OK;
    return syn_fail(SYN_ERR_UNSUPPORTED, "this model has no state encoder: train it with "
                                         "'syncog train'");
}

syn_status syn_scorer_states(syn_scorer *s, const syn_state_call *q, syn_score_times *times)
{
    SYN_REQUIRE(s && q && ((q->message && q->h && q->c) || q->n == 0),
                "syn_scorer_states: NULL is given");
    SYN_RETURN_IF(control_check(s));
    SYN_RETURN_IF(lengths_check(q->n, q->T, SYN_SCORER_STEPS_MAX, q->length));
    return in_pieces(s, q->n, ROWS / q->T, state_piece, q, times);
}

/* ---- Policy ---- */

static syn_status policy_piece(syn_scorer *s, const void *call, int64_t first, int64_t n,
                               syn_score_times *times)
{
    const syn_policy_call *q = call;
    syn_ctx *ctx = s->ctx;
    const void *state, *mask, *in[5];
    void *all, *value;
    real *logit, *logp;
    int32_t *action;
    const struct {
        const void *host;
        size_t bytes; /* of a row */
    } part[] = {
        {q->ckm, sizeof(real) * N * SYN_CKM},
        {q->pair_x, sizeof(real) * 2 * N * N * SYN_PAIR_X},
        {q->agent_x, sizeof(real) * N * SYN_AGENT_X},
        {q->summary, sizeof(real) * SYN_SUMMARY},
        {q->agents, sizeof(int32_t)},
    };
    SYN_RETURN_IF(begin(s));
    for (int k = 0; k < 5; k++) {
        SYN_RETURN_IF(rows_in(s, (const char *)part[k].host + (size_t)first * part[k].bytes,
                              (size_t)n * part[k].bytes, &in[k]));
    }
    SYN_RETURN_IF(
        rows_in(s, q->state + first * SYN_STATE, sizeof(real) * (size_t)n * SYN_STATE, &state));
    SYN_RETURN_IF(rows_in(s, q->mask + first * A, (size_t)n * A, &mask));
    SYN_RETURN_IF(rows_out(s, q->probability + first * A, sizeof(real) * (size_t)n * A, &all));
    SYN_RETURN_IF(rows_out(s, q->value + first, sizeof(real) * (size_t)n, &value));
    SYN_RETURN_IF(copied(s));
    SYN_TAKE(ctx, logit, real, n * A);
    SYN_TAKE(ctx, logp, real, n);
    SYN_TAKE(ctx, action, int32_t, n);
    const syn_observation x = {.ckm = (real *)in[0],
                               .pair_x = (real *)in[1],
                               .agent_x = (real *)in[2],
                               .summary = (real *)in[3],
                               .count = (int32_t *)in[4]};
    SYN_RETURN_IF(syn_policy_forward(ctx, &s->control, n, &x, state, logit, value));
    SYN_RETURN_IF(
        syn_policy_sample(ctx, n, A, logit, mask, true, 0, NULL, action, logp, NULL, all));
    SYN_RETURN_IF(computed(s));
    SYN_RETURN_IF(rows_fetch(s, q->probability + first * A, all, sizeof(real) * (size_t)n * A));
    SYN_RETURN_IF(rows_fetch(s, q->value + first, value, sizeof(real) * (size_t)n));
    return end(s, times);
}

syn_status syn_scorer_policy(syn_scorer *s, const syn_policy_call *q, syn_score_times *times)
{
    SYN_REQUIRE(s && q && q->n >= 0, "syn_scorer_policy: NULL is given");
    SYN_REQUIRE(q->n == 0 || (q->state && q->ckm && q->pair_x && q->agent_x && q->summary &&
                              q->agents && q->mask && q->probability && q->value),
                "syn_scorer_policy: NULL is given");
    if (!s->model->has_policy) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "this model has not been trained to decide: train it "
                                             "with 'syncog train'");
    }
    for (int64_t i = 0; i < q->n; i++) {
        SYN_REQUIRE(q->agents[i] >= 2 && q->agents[i] <= N, "agents[%lld] is %d", (long long)i,
                    q->agents[i]);
    }
    return in_pieces(s, q->n, DECISIONS, policy_piece, q, times);
}
