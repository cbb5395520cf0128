#include "engine/scorer_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/scorer_queue_private.h"
#include "kernels/base/progress.h"

enum {
    JOBS_MAX = 256, /* of a batch of anything but requests */
    GAP_ROWS = SYN_SCORER_NET_ROWS,
    LOOK_MAX = 1024 /* jobs of a line that are looked at for one batch */
};

static line_kind line_of(syn_job_kind kind)
{
    return kind <= SYN_JOB_CLOSE ? SESSIONS : kind == SYN_JOB_GAPS ? PAIRS : OTHERS;
}

static void line_add(line *l, syn_job *job)
{
    job->previous = l->last;
    job->next = NULL;
    *(l->last ? &l->last->next : &l->first) = job;
    l->last = job;
}

static void line_remove(line *l, syn_job *job)
{
    *(job->previous ? &job->previous->next : &l->first) = job->next;
    *(job->next ? &job->next->previous : &l->last) = job->previous;
    job->previous = job->next = NULL;
}

/* ---- What comes next; with the lock ---- */

static syn_job *pick(syn_scorer_queue *q, line *l, syn_job *job, int at, double now)
{
    syn_job *next = job->next;
    line_remove(l, job);
    q->waiting--;
    job->waits = false;
    job->times = (syn_job_times){.queue_s = now - job->submitted_s};
    q->job[at] = job;
    return next;
}

/* Notes that a job of this slot was met; true: it was the first in this look along the line. A name
 * that cannot be a slot's is always the first: its job fails alone. */
static bool first_of_slot(syn_scorer_queue *q, const syn_job *job)
{
    const int64_t name = job->kind == SYN_JOB_SCORE  ? job->ask.score.slot
                         : job->kind == SYN_JOB_OPEN ? -1
                                                     : job->ask.session.slot;
    const int64_t at = name % SYN_SCORER_SLOTS_MAX;
    if (at < 0 || at >= q->options.scorer.slots) return true;
    if (q->stamp[at] == q->look) return false;
    q->stamp[at] = q->look;
    return true;
}

/* From the head of the line on, those requests, or those others, that no earlier job of their slot
 * waits in front of. */
static int jobs_pick(syn_scorer_queue *q, line *l, bool requests, int max, double now)
{
    int n = 0, seen = 0;
    q->look++;
    for (syn_job *job = l->first; job && n < max && seen < LOOK_MAX; seen++) {
        const bool first = first_of_slot(q, job);
        if (first && (job->kind == SYN_JOB_SCORE) == requests)
            job = pick(q, l, job, n++, now);
        else
            job = job->next;
    }
    return n;
}

/* Openings, new pieces and closings, which take next to no time, before requests: those that come
 * one by one between openings still make one batch. However many come, after JOBS_MAX of them and
 * one batch more it is the requests' turn. */
static int sessions_pick(syn_scorer_queue *q, line *l, double now)
{
    const bool turn = q->ahead >= JOBS_MAX; /* of the requests */
    int n = turn ? 0 : jobs_pick(q, l, false, JOBS_MAX, now);
    q->ahead += n;
    if (n > 0) return n;
    q->ahead = 0;
    n = jobs_pick(q, l, true, q->options.scorer.batch_max, now);
    return n > 0 ? n : jobs_pick(q, l, false, JOBS_MAX, now);
}

static int gaps_pick(syn_scorer_queue *q, line *l, double now)
{
    int n = 0;
    int64_t rows = 0;
    for (syn_job *job = l->first; job && n < JOBS_MAX && rows < GAP_ROWS;) {
        rows += job->ask.gaps.n > 0 ? job->ask.gaps.n : 0;
        job = pick(q, l, job, n++, now);
    }
    return n;
}

/* The line whose first job is the oldest; NULL where nobody waits. */
static line *oldest(syn_scorer_queue *q)
{
    line *found = NULL;
    for (int k = 0; k < LINES; k++) {
        line *l = &q->lines[k];
        if (l->first && (!found || l->first->submitted_s < found->first->submitted_s)) found = l;
    }
    return found;
}

/* Until there is something to do: a job, enough of them or one that has waited long enough where
 * company is waited for, or the end. False at the end. */
static bool await(syn_scorer_queue *q)
{
    const int enough = q->options.scorer.batch_max < q->options.length_max
                           ? q->options.scorer.batch_max
                           : q->options.length_max;
    while (!q->closing) {
        const line *l = oldest(q);
        const double left_s =
            l ? l->first->submitted_s + q->options.max_delay_us * 1e-6 - syn_clock_s() : 0;
        if (l && (q->options.max_delay_us == 0 || q->waiting >= enough || left_s <= 0)) return true;
        q->sleeping = true;
        if (!l) {
            pthread_cond_wait(&q->news, &q->lock);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            const int64_t ns = until.tv_nsec + (int64_t)(left_s * 1e9);
            until.tv_sec += ns / 1000000000;
            until.tv_nsec = ns % 1000000000;
            (void)pthread_cond_timedwait(&q->news, &q->lock, &until);
        }
        q->sleeping = false;
    }
    return false;
}

static void run_jobs(syn_scorer_queue *q, int n)
{
    const syn_job_kind kind = q->job[0]->kind;
    if (kind == SYN_JOB_SCORE)
        syn_queue_scores_run(q, n);
    else if (kind == SYN_JOB_GAPS)
        syn_queue_gaps_run(q, n);
    else
        for (int k = 0; k < n; k++) syn_queue_one_run(q, q->job[k]);
}

/* What the line with the oldest job has to be done at once; false when the queue closes. */
static bool serve(syn_scorer_queue *q)
{
    pthread_mutex_lock(&q->lock);
    const bool open = await(q);
    line *l = open ? oldest(q) : NULL;
    const double now = syn_clock_s();
    int n = 0;
    if (l == &q->lines[SESSIONS])
        n = sessions_pick(q, l, now);
    else if (l == &q->lines[PAIRS])
        n = gaps_pick(q, l, now);
    else if (l)
        (void)pick(q, l, l->first, n++, now);
    pthread_mutex_unlock(&q->lock);
    if (n > 0) run_jobs(q, n);
    return open;
}

static void dismiss_all(syn_scorer_queue *q)
{
    for (;;) {
        pthread_mutex_lock(&q->lock);
        line *l = oldest(q);
        if (l) (void)pick(q, l, l->first, 0, syn_clock_s());
        pthread_mutex_unlock(&q->lock);
        if (!l) return;
        syn_queue_end(q, q->job[0], SYN_ERR_INTERRUPTED, "the scorer is closing");
    }
}

static void *run(void *user)
{
    syn_scorer_queue *q = user;
    const syn_scorer_queue_options *o = &q->options;
    syn_device_select(o->device_index);
    syn_status st = syn_ctx_init(&q->ctx, o->device, o->threads);
    const bool has_ctx = st == SYN_OK;
    if (has_ctx) {
        q->ctx.math = o->math;
        st = syn_scorer_open(&q->ctx, q->model, &o->scorer, &q->scorer);
    }
    pthread_mutex_lock(&q->lock);
    q->opening = st;
    snprintf(q->sentence, sizeof q->sentence, "%s", st == SYN_OK ? "" : syn_error_text());
    q->ready = true;
    pthread_cond_signal(&q->opened);
    pthread_mutex_unlock(&q->lock);
    while (st == SYN_OK && serve(q)) continue;
    if (st == SYN_OK) dismiss_all(q);
    syn_scorer_close(q->scorer);
    if (has_ctx) syn_ctx_free(&q->ctx);
    return NULL;
}

/* ---- Opening and closing ---- */

static void queue_free(syn_scorer_queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->news);
    pthread_cond_destroy(&q->opened);
    free(q->job);
    free(q->request);
    free(q->result);
    free(q->part);
    free(q->stamp);
    free(q);
}

static syn_scorer_queue *queue_make(const syn_model *model, const syn_scorer_queue_options *o)
{
    syn_scorer_queue *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->news, &monotonic);
    pthread_cond_init(&q->opened, NULL);
    pthread_condattr_destroy(&monotonic);
    const size_t scores = (size_t)o->scorer.batch_max, jobs = scores > JOBS_MAX ? scores : JOBS_MAX;
    q->options = *o;
    q->model = model;
    q->job = calloc(jobs, sizeof *q->job);
    q->request = calloc(scores, sizeof *q->request);
    q->result = calloc(scores, sizeof *q->result);
    q->part = calloc(JOBS_MAX, sizeof *q->part);
    q->stamp = calloc((size_t)o->scorer.slots, sizeof *q->stamp);
    if (q->job && q->request && q->result && q->part && q->stamp) return q;
    queue_free(q);
    return NULL;
}

static syn_status options_check(const syn_scorer_queue_options *o)
{
    SYN_REQUIRE(o->scorer.slots >= 1 && o->scorer.slots <= SYN_SCORER_SLOTS_MAX,
                "a scorer of %d sessions, allowed are 1 to %d", o->scorer.slots,
                SYN_SCORER_SLOTS_MAX);
    SYN_REQUIRE(o->scorer.batch_max >= 1 && o->scorer.batch_max <= SYN_SCORER_BATCH_MAX,
                "batches of %d, allowed are 1 to %d", o->scorer.batch_max, SYN_SCORER_BATCH_MAX);
    SYN_REQUIRE(o->length_max >= 1 && o->length_max <= SYN_SCORER_QUEUE_MAX,
                "a queue of %d, allowed are 1 to %d", o->length_max, SYN_SCORER_QUEUE_MAX);
    SYN_REQUIRE(o->max_delay_us >= 0 && o->max_delay_us <= 1000000,
                "a delay of %d microseconds, allowed are 0 to 1000000", o->max_delay_us);
    SYN_REQUIRE(o->device_index >= 0, "device number %d: they count from 0", o->device_index);
    return SYN_OK;
}

syn_status syn_scorer_queue_open(const syn_model *model, const syn_scorer_queue_options *options,
                                 syn_scorer_queue **out)
{
    SYN_REQUIRE(model && options && out, "syn_scorer_queue_open: an argument is NULL");
    *out = NULL;
    SYN_RETURN_IF(options_check(options));
    syn_scorer_queue *q = queue_make(model, options);
    if (!q) return syn_fail(SYN_ERR_MEMORY, "out of memory for a queue");
    if (pthread_create(&q->thread, NULL, run, q) != 0) {
        queue_free(q);
        return syn_fail(SYN_ERR_MEMORY, "the scorer's thread cannot be started");
    }
    pthread_mutex_lock(&q->lock);
    while (!q->ready) pthread_cond_wait(&q->opened, &q->lock);
    pthread_mutex_unlock(&q->lock);
    const syn_status st = q->opening;
    if (st == SYN_OK) {
        *out = q;
        return SYN_OK;
    }
    pthread_join(q->thread, NULL);
    (void)syn_fail(st, "%s", q->sentence);
    queue_free(q);
    return st;
}

void syn_scorer_queue_close(syn_scorer_queue *q)
{
    if (!q) return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_signal(&q->news);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    queue_free(q);
}

/* ---- From any thread ---- */

syn_status syn_scorer_queue_submit(syn_scorer_queue *q, syn_job *job)
{
    SYN_REQUIRE(q && job && job->done, "syn_scorer_queue_submit: queue, job or its `done` is NULL");
    SYN_REQUIRE((unsigned)job->kind < SYN_JOB_KINDS, "%d is no kind of job", (int)job->kind);
    pthread_mutex_lock(&q->lock);
    const bool closing = q->closing, full = q->waiting >= q->options.length_max && !job->certain;
    if (closing || full) {
        q->stats.refused++;
        pthread_mutex_unlock(&q->lock);
        return closing ? syn_fail(SYN_ERR_INTERRUPTED, "the scorer is closing")
                       : syn_fail(SYN_ERR_LIMIT, "%d requests wait to be scored, and no more may",
                                  q->options.length_max);
    }
    job->submitted_s = syn_clock_s();
    job->waits = true;
    line_add(&q->lines[line_of(job->kind)], job);
    q->waiting++;
    const bool wake = q->sleeping;
    q->sleeping = false; /* one signal is enough */
    pthread_mutex_unlock(&q->lock);
    if (wake) pthread_cond_signal(&q->news); /* without the lock that the thread then needs */
    return SYN_OK;
}

bool syn_scorer_queue_cancel(syn_scorer_queue *q, syn_job *job)
{
    pthread_mutex_lock(&q->lock);
    const bool waits = job->waits;
    if (waits) {
        line_remove(&q->lines[line_of(job->kind)], job);
        job->waits = false;
        q->waiting--;
        q->stats.cancelled++;
    }
    pthread_mutex_unlock(&q->lock);
    return waits;
}

void syn_scorer_queue_read(syn_scorer_queue *q, syn_scorer_queue_stats *out)
{
    pthread_mutex_lock(&q->lock);
    *out = q->stats;
    out->waiting = q->waiting;
    pthread_mutex_unlock(&q->lock);
}
