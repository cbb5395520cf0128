/* What the queue's thread does with the jobs that it has taken, and how they end. */
#include <stdio.h>

#include "engine/scorer_queue_private.h"

/* ---- Ends of jobs ---- */

static void end_with(syn_job *job, syn_status st, const char *sentence)
{
    job->status = st;
    job->error[0] = 0;
    if (st != SYN_OK) snprintf(job->error, sizeof job->error, "%s", sentence);
}

static void count(syn_scorer_queue_stats *s, const syn_job *job)
{
    s->done[job->kind]++;
    s->failed += job->status != SYN_OK;
    syn_histogram_add(&s->queue, job->times.queue_s);
    if (!job->times.batch) return;
    syn_histogram_add(&s->copy, job->times.copy_s);
    syn_histogram_add(&s->compute, job->times.compute_s);
}

/* Jobs that have their status are handed on, counted before: `done` may read the stats. */
static void hand_on(syn_scorer_queue *q, syn_job **job, int n)
{
    pthread_mutex_lock(&q->lock);
    for (int k = 0; k < n; k++) count(&q->stats, job[k]);
    if (job[0]->times.batch) {
        q->stats.batches++;
        q->stats.batched += (uint64_t)n;
    }
    q->stats.slots_open = syn_scorer_slots_open(q->scorer);
    pthread_mutex_unlock(&q->lock);
    for (int k = 0; k < n; k++) job[k]->done(job[k]);
}

void syn_queue_end(syn_scorer_queue *q, syn_job *job, syn_status st, const char *sentence)
{
    end_with(job, st, sentence);
    hand_on(q, &job, 1);
}

static void job_times(syn_job *job, const syn_score_times *t, int batch)
{
    job->times.copy_s = t->copy_s;
    job->times.compute_s = t->compute_s;
    job->times.batch = batch;
}

/* ---- Work ---- */

/* Jobs whose own fault stops them end here; returns how many are left. */
static int scores_check(syn_scorer_queue *q, int n)
{
    int kept = 0;
    for (int k = 0; k < n; k++) {
        syn_job *job = q->job[k];
        const syn_status st = syn_scorer_check(q->scorer, &job->ask.score);
        if (st != SYN_OK) {
            syn_queue_end(q, job, st, syn_error_text());
            continue;
        }
        q->request[kept] = job->ask.score;
        q->job[kept++] = job;
    }
    return kept;
}

void syn_queue_scores_run(syn_scorer_queue *q, int n)
{
    syn_score_times times = {0};
    n = scores_check(q, n);
    if (n == 0) return;
    const syn_status st = syn_scorer_score(q->scorer, n, q->request, q->result, &times);
    const char *sentence =
        st == SYN_OK ? "the policy's probabilities are not finite" : syn_error_text();
    for (int k = 0; k < n; k++) {
        syn_job *job = q->job[k];
        job_times(job, &times, n);
        job->result = st == SYN_OK ? q->result[k] : (syn_score_result){.status = st};
        end_with(job, job->result.status, sentence);
    }
    hand_on(q, q->job, n);
}

void syn_queue_gaps_run(syn_scorer_queue *q, int n)
{
    int kept = 0;
    for (int k = 0; k < n; k++) {
        syn_job *job = q->job[k];
        const syn_gap_part *part = &job->ask.gaps;
        if (part->n < 0 || (part->n > 0 && !part->pair)) {
            syn_queue_end(q, job, SYN_ERR_INVALID, "a number of pairs below 0, or none given");
            continue;
        }
        q->part[kept] = *part;
        q->job[kept++] = job;
    }
    if (kept == 0) return;
    syn_score_times times = {0};
    const syn_status st = syn_scorer_gaps(q->scorer, kept, q->part, &times);
    for (int k = 0; k < kept; k++) {
        job_times(q->job[k], &times, kept);
        end_with(q->job[k], st, syn_error_text());
    }
    hand_on(q, q->job, kept);
}

static syn_status slot_open(syn_scorer_queue *q, syn_job *job)
{
    int64_t slot;
    SYN_RETURN_IF(syn_scorer_slot_open(q->scorer, job->ask.session.task, &slot));
    job->ask.session.slot = slot;
    if (!job->ask.session.memory) return SYN_OK;
    const syn_status st = syn_scorer_slot_resume(q->scorer, slot, job->ask.session.memory);
    if (st != SYN_OK) syn_scorer_slot_close(q->scorer, slot);
    return st;
}

/* The slot is closed whatever comes of its memory. */
static syn_status slot_close(syn_scorer_queue *q, const syn_job *job)
{
    const int64_t slot = job->ask.session.slot;
    syn_scorer_memory *memory = job->ask.session.memory;
    const syn_status st = memory ? syn_scorer_slot_keep(q->scorer, slot, memory) : SYN_OK;
    syn_scorer_slot_close(q->scorer, slot);
    return st;
}

void syn_queue_one_run(syn_scorer_queue *q, syn_job *job)
{
    syn_score_times times = {0};
    syn_status st = SYN_OK;
    int batch = 0;
    switch (job->kind) {
    case SYN_JOB_OPEN:
        st = slot_open(q, job);
        break;
    case SYN_JOB_PIECES:
        st = syn_scorer_slot_pieces(q->scorer, job->ask.session.slot, job->ask.session.task);
        break;
    case SYN_JOB_CLOSE:
        st = slot_close(q, job);
        break;
    case SYN_JOB_CKM:
        st = syn_scorer_ckm(q->scorer, &job->ask.ckm, &times);
        batch = 1;
        break;
    case SYN_JOB_STATES:
        st = syn_scorer_states(q->scorer, &job->ask.states, &times);
        batch = 1;
        break;
    default:
        st = syn_scorer_policy(q->scorer, &job->ask.policy, &times);
        batch = 1;
    }
    job_times(job, &times, batch);
    syn_queue_end(q, job, st, syn_error_text());
}
