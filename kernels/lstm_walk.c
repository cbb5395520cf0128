#include "kernels/lstm_walk.h"

#include <sched.h>
#include <string.h>

#ifdef _OPENMP
#    include <omp.h>
#endif
#if defined(__x86_64__)
#    include <immintrin.h>
#endif

enum {
    SPINS_MAX = 4096,             /* then the processor is given away while waiting */
    THREAD_WORK_MIN = 1 << 16,    /* multiplications per step that pay for a second thread */
    SEQUENCES_PER_THREAD_MIN = 12 /* fewer: share by units */
};

int64_t syn_lstm_row(const syn_lstm_call *a, int64_t b, int64_t s)
{
    int64_t t = a->reverse ? syn_seq_length(a->seq, b) - 1 - s : s;
    return syn_seq_row(a->seq, b, t);
}

bool syn_lstm_reset(const syn_lstm_call *a, int64_t b, int64_t s)
{
    if (!a->seq->reset) return false;
    int64_t t = a->reverse ? a->seq->steps - 1 - s : s;
    return a->seq->reset[t * a->seq->batch + b] != 0;
}

void syn_lstm_previous(const syn_lstm_plan *p, syn_lstm_lane *l, int64_t s)
{
    const syn_lstm_call *a = p->a;
    l->h = l->c = p->zeros;
    l->reset = syn_lstm_reset(a, l->b, s);
    if (l->reset) return;
    if (s > 0) {
        int64_t row = syn_lstm_row(a, l->b, s - 1);
        l->h = a->h + row * a->ldh;
        l->c = a->c + row * a->H;
        return;
    }
    if (a->h0) l->h = a->h0 + l->b * a->H;
    if (a->c0) l->c = a->c0 + l->b * a->H;
}

int64_t syn_lstm_live(const syn_lstm_share *w, int64_t s)
{
    const syn_lstm_plan *p = w->p;
    int64_t n = 0;
    for (int64_t i = w->first; i < p->a->seq->batch; i += w->stride) {
        int64_t b = syn_lstm_sequence(p, i), length = syn_seq_length(p->a->seq, b);
        if (length <= s) break; /* longest first */
        syn_lstm_lane *l = &w->lanes[n++];
        l->b = b;
        l->row = syn_lstm_row(p->a, b, s);
        l->last = s + 1 == length;
        syn_lstm_previous(p, l, s);
        bool following = !l->last && !syn_lstm_reset(p->a, b, s + 1);
        l->dv = following && p->dc
                    ? p->a->v + syn_lstm_row(p->a, b, s + 1) * SYN_LSTM_GATES * p->a->H
                    : p->zeros;
    }
    return n;
}

/* All threads of the team arrive before any leaves. */
static void barrier_wait(syn_lstm_barrier *g, int threads)
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

void syn_lstm_step_end(const syn_lstm_share *w)
{
    if (w->p->by_units) barrier_wait(w->p->barrier, w->p->threads);
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

syn_status syn_lstm_plan_init(syn_ctx *ctx, const syn_lstm_call *a, syn_lstm_plan *p)
{
    const syn_seq *q = a->seq;
    memset(p, 0, sizeof *p);
    p->a = a;
    p->steps = q->rows > 0 ? q->steps : 0;
    p->threads = ctx->threads;
    int64_t live = p->steps > 0 ? (q->rows + p->steps - 1) / p->steps : 0; /* on average */
    if ((double)live * SYN_LSTM_GATES * (double)a->H * (double)a->H < THREAD_WORK_MIN)
        p->threads = 1;
    p->by_units = live < (int64_t)p->threads * SEQUENCES_PER_THREAD_MIN && p->threads > 1;
    real *zeros = SYN_SCRATCH(ctx, real, SYN_LSTM_GATES * a->H);
    p->barrier = SYN_SCRATCH(ctx, syn_lstm_barrier, 1);
    if (!zeros || !p->barrier) return SYN_ERR_MEMORY;
    memset(zeros, 0, sizeof *zeros * (size_t)(SYN_LSTM_GATES * a->H));
    atomic_init(&p->barrier->arrived, 0);
    atomic_init(&p->barrier->round, 0);
    p->zeros = zeros;
    if (!q->offset) return SYN_OK;
    p->order = order_create(ctx, q);
    return p->order ? SYN_OK : SYN_ERR_MEMORY;
}

/* Who does what: called by every thread of the team, once its true size is known. */
static syn_lstm_share share_of(const syn_lstm_plan *p, int thread, syn_lstm_lane *lanes)
{
    syn_lstm_share w = {p, 0, 1, 0, p->blocks, lanes + thread * p->a->seq->batch};
    if (p->by_units) {
        w.begin = p->blocks * thread / p->threads;
        w.end = p->blocks * (thread + 1) / p->threads;
    } else {
        w.first = thread;
        w.stride = p->threads;
    }
    return w;
}

syn_status syn_lstm_walk(syn_ctx *ctx, const syn_lstm_plan *shared,
                         void (*pack)(const syn_lstm_plan *, int64_t),
                         void (*body)(const syn_lstm_share *))
{
    int64_t lane_count = (shared->a->seq->batch + 1) * shared->threads;
    syn_lstm_lane *lanes = SYN_SCRATCH(ctx, syn_lstm_lane, lane_count);
    if (!lanes) return SYN_ERR_MEMORY;
#pragma omp parallel num_threads(shared->threads)
    {
        syn_lstm_plan p = *shared;
        int thread = 0;
#ifdef _OPENMP
        p.threads = omp_get_num_threads(); /* may be fewer than asked for */
        thread = omp_get_thread_num();
#endif
        if (p.panels && pack) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < p.blocks; i++) pack(&p, i);
        }
        syn_lstm_share w = share_of(&p, thread, lanes);
        body(&w);
    }
    return SYN_OK;
}
