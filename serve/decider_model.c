#include "serve/decider_model.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/files.h"
#include "checkpoints/model_file.h"
#include "engine/text.h"
#include "serve/decider_rows.h"

typedef enum stage {
    RESTS,   /* nothing of it is under way; with a slot or without */
    WAITS,   /* in line for a slot */
    GRANTED, /* one is kept for it */
    OPENS,   /* its job is with the queue: the rows, */
    SCORES,  /* the question, */
    CLOSES,  /* or the end of its slot */
    SCORED,  /* the answer is there */
    FAILED   /* job.status and job.error say how */
} stage;

/* One collaboration. While its job is with the queue, the scorer's thread owns job, task, env and
 * mask, and otherwise the thread that asks. */
typedef struct mind {
    syn_minds *of;
    void (*wake)(void *user);
    void *user;
    struct mind *next; /* in line */
    stage stage;
    bool over;                 /* asked for no more: the slot goes as soon as it can */
    bool freed;                /* and then the mind */
    bool asked;                /* while its slot was on the way back */
    int64_t slot;              /* -1: none */
    syn_scorer_memory *memory; /* between its phases, NULL before the first has ended */
    syn_rows rows;
    syn_scorer_task *task; /* while it is put up */
    syn_env env;
    uint8_t mask[SYN_ACTIONS_MAX];
    syn_job job;
    syn_action action;
    float probability, sufficiency;
    float gaps[SYN_AGENTS_MAX * SYN_AGENTS_MAX]; /* (agents, agents) */
} mind;

struct syn_minds {
    syn_ctx ctx;
    syn_model model;
    char weights[SYN_SHA256_TEXT];
    bool has_ctx, has_model;
    syn_scorer_queue *queue;
    pthread_mutex_t lock; /* of what follows, and of all minds' stages; taken before the queue's */
    int slots_max, slots;
    mind *first, *last; /* in line for a slot */
};

/* ---- Slots; all with the lock ---- */

static void line_up(mind *m, bool first)
{
    syn_minds *of = m->of;
    m->stage = WAITS;
    m->next = first ? of->first : NULL;
    if (!of->first)
        of->first = of->last = m;
    else if (first)
        of->first = m;
    else
        of->last = of->last->next = m;
}

static void leave_line(mind *m)
{
    syn_minds *of = m->of;
    mind *before = NULL;
    for (mind *at = of->first; at != m; at = at->next) before = at;
    *(before ? &before->next : &of->first) = m->next;
    if (of->last == m) of->last = before;
    m->next = NULL;
}

/* A slot is free, for whoever has waited longest. */
static void slot_back(syn_minds *of)
{
    mind *m = of->first;
    of->slots--;
    if (!m) return;
    leave_line(m);
    of->slots++;
    m->stage = GRANTED;
    m->wake(m->user);
}

/* ---- Jobs; all with the lock ---- */

static void done(syn_job *job);

/* A slot that is closed for good leaves no memory. */
static bool submit(mind *m, syn_job_kind kind, stage next)
{
    m->job.kind = kind;
    m->job.certain = true; /* one of each collaboration at most */
    m->job.done = done;
    m->job.user = m;
    if (kind == SYN_JOB_SCORE) {
        m->job.ask.score = (syn_score_request){
            .slot = m->slot, .team = &m->env, .mask = m->mask, .want = SYN_WANT_DECISION};
    } else {
        m->job.ask.session.slot = m->slot;
        m->job.ask.session.task = m->task;
        m->job.ask.session.memory = m->over ? NULL : m->memory;
    }
    const syn_status st = syn_scorer_queue_submit(m->of->queue, &m->job);
    m->stage = st == SYN_OK ? next : FAILED;
    if (st == SYN_OK) return true;
    m->job.status = st;
    snprintf(m->job.error, sizeof m->job.error, "%s", syn_error_text());
    return false;
}

static void drop_task(mind *m)
{
    free(m->task);
    m->task = NULL;
}

/* Gives back what a mind that is over still has, as far as nothing is under way; what is calls this
 * again when it ends. True: the mind may go. */
static bool settle(mind *m)
{
    if (m->stage == OPENS || m->stage == SCORES) {
        if (!syn_scorer_queue_cancel(m->of->queue, &m->job)) return false;
        drop_task(m);
        m->stage = m->slot < 0 ? GRANTED : RESTS;
    }
    if (m->stage == CLOSES) return false;
    if (m->stage == WAITS) leave_line(m);
    if (m->stage == GRANTED) slot_back(m->of);
    if (m->slot >= 0) {
        if (submit(m, SYN_JOB_CLOSE, CLOSES)) return false;
        m->slot = -1; /* the queue is closing, and its slots with it */
    }
    m->stage = RESTS;
    return m->freed;
}

static void take_score(mind *m)
{
    const syn_score_result *result = &m->job.result;
    m->stage = m->job.status == SYN_OK ? SCORED : FAILED;
    if (m->stage == FAILED) return;
    m->action = result->action;
    m->probability = result->probability;
    m->sufficiency = result->sufficiency;
    for (int k = 0; k < m->env.agents * m->env.agents; k++) m->gaps[k] = (float)result->gaps[k];
}

/* The rows are there, or not. */
static void take_rows(mind *m)
{
    syn_minds *of = m->of;
    const syn_job *job = &m->job;
    if (job->status == SYN_ERR_LIMIT && of->slots == 1) {
        /* Others have taken all slots: none of us will give one back, so it asks again. */
        (void)submit(m, SYN_JOB_OPEN, OPENS);
        return;
    }
    drop_task(m);
    if (job->status == SYN_ERR_LIMIT) {
        of->slots--;
        line_up(m, true);
        return;
    }
    m->stage = job->status == SYN_OK ? RESTS : FAILED;
    if (job->kind == SYN_JOB_OPEN && job->status == SYN_OK) m->slot = job->ask.session.slot;
    if (m->slot < 0) slot_back(of);
}

/* What follows from the job's end. */
static void go_on(mind *m)
{
    if (m->job.kind == SYN_JOB_SCORE) {
        take_score(m);
    } else if (m->job.kind == SYN_JOB_CLOSE) {
        m->slot = -1;
        m->stage = m->job.status == SYN_OK ? RESTS : FAILED;
        slot_back(m->of);
    } else {
        take_rows(m);
    }
}

static void mind_free(mind *m)
{
    free(m->memory);
    free(m);
}

static void done(syn_job *job)
{
    mind *m = job->user;
    syn_minds *of = m->of;
    bool gone = false;
    pthread_mutex_lock(&of->lock);
    go_on(m);
    if (m->over)
        gone = settle(m);
    else if (m->stage == RESTS && m->slot >= 0)
        (void)submit(m, SYN_JOB_SCORE, SCORES);
    const bool told = m->stage == SCORED || m->stage == FAILED || (m->stage == RESTS && m->asked);
    if (!gone && !m->over && told) m->wake(m->user);
    pthread_mutex_unlock(&of->lock);
    if (gone) mind_free(m);
}

/* ---- Asking ---- */

static stage stage_of(mind *m)
{
    pthread_mutex_lock(&m->of->lock);
    const stage at = m->stage;
    m->asked = at == CLOSES;
    pthread_mutex_unlock(&m->of->lock);
    return at;
}

static bool has_words(const char *text)
{
    uint32_t token;
    size_t n = 0;
    syn_text_tokenise(text, strlen(text), &token, 1, &n);
    return n > 0;
}

/* False: the mind is in line. */
static bool reserve(mind *m)
{
    syn_minds *of = m->of;
    pthread_mutex_lock(&of->lock);
    const bool room = of->slots < of->slots_max;
    of->slots += room;
    if (room)
        m->stage = GRANTED;
    else
        line_up(m, false);
    pthread_mutex_unlock(&of->lock);
    return room;
}

static syn_status make_task(mind *m, const syn_team *team)
{
    syn_document piece[SYN_ROWS_MAX];
    m->task = malloc(sizeof *m->task);
    if (!m->task) return syn_fail(SYN_ERR_MEMORY, "out of memory for the networks");
    syn_rows_pieces(&m->rows, team, piece);
    const syn_status st =
        syn_scorer_task_read(&m->of->model, team->question, piece, m->rows.count, m->task);
    if (st != SYN_OK) drop_task(m);
    return st;
}

/* ANSWER and ABSTAIN may be wanted before they are allowed: then nothing is worth a message. */
static void fill_mask(mind *m, const syn_team *team)
{
    memcpy(m->mask, team->legal, sizeof m->mask);
    if (team->always_acts) return;
    m->mask[syn_action_index(SYN_ANSWER, 0, 0)] = 1;
    m->mask[syn_action_index(SYN_ABSTAIN, 0, 0)] = team->piece_count > 0;
}

/* The mind rests, or has a slot granted: the question is put. */
static syn_status ask(mind *m, const syn_team *team, syn_team_gaps *out)
{
    syn_rows rows;
    syn_rows_choose(team, &rows);
    if (!has_words(team->question)) rows.count = 0;
    if (rows.count == 0) { /* nobody has said or been given anything: everything is missing */
        for (int i = 0; i < team->agents; i++) out->gaps[i][i] = 1;
        m->rows.count = 0;
        return SYN_OK;
    }
    out->pending = true;
    if (m->slot < 0 && m->stage == RESTS && !reserve(m)) return SYN_OK;
    const bool same = m->slot >= 0 && syn_rows_equal(&rows, &m->rows);
    m->rows = rows;
    if (!same) SYN_RETURN_IF(make_task(m, team));
    syn_rows_env(&m->rows, team, &m->env);
    fill_mask(m, team);
    pthread_mutex_lock(&m->of->lock);
    const bool sent = same          ? submit(m, SYN_JOB_SCORE, SCORES)
                      : m->slot < 0 ? submit(m, SYN_JOB_OPEN, OPENS)
                                    : submit(m, SYN_JOB_PIECES, OPENS);
    pthread_mutex_unlock(&m->of->lock);
    return sent ? SYN_OK : syn_fail(m->job.status, "%s", m->job.error);
}

static syn_status observe(void *user, const syn_team *team, syn_team_gaps *out)
{
    mind *m = user;
    memset(out, 0, sizeof *out);
    SYN_REQUIRE(!m->over, "a decider was asked after its end");
    switch (stage_of(m)) {
    case RESTS:
    case GRANTED:
        return ask(m, team, out);
    case FAILED:
        return syn_fail(m->job.status, "%s", m->job.error);
    case SCORED:
        m->stage = RESTS;
        out->sufficiency = m->sufficiency;
        for (int i = 0; i < team->agents; i++)
            for (int j = 0; j < team->agents; j++) out->gaps[i][j] = m->gaps[i * team->agents + j];
        return SYN_OK;
    default:
        out->pending = true;
        return SYN_OK;
    }
}

static syn_status decide(void *user, const syn_team *team, const syn_team_gaps *seen,
                         syn_decision *out)
{
    const mind *m = user;
    const syn_action *a = &m->action;
    (void)seen;
    *out =
        (syn_decision){.kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1, .probability = 1};
    if (m->rows.count == 0) return SYN_OK;
    out->probability = m->probability;
    const bool ends = a->kind == SYN_ANSWER || a->kind == SYN_ABSTAIN;
    if (ends && !team->legal[syn_action_index(a->kind, 0, 0)]) return SYN_OK;
    out->kind = (syn_action_kind)a->kind;
    out->from = a->from;
    out->to = a->to;
    if (a->piece >= 0 && a->kind <= SYN_BROADCAST) out->item = m->rows.item[a->piece];
    return SYN_OK;
}

static void leave(mind *m, bool freed)
{
    syn_minds *of = m->of;
    pthread_mutex_lock(&of->lock);
    m->over = true;
    m->freed = freed;
    const bool gone = settle(m);
    pthread_mutex_unlock(&of->lock);
    if (gone) mind_free(m);
}

/* Most of a collaboration's life is waiting for its agents: the slot goes to others meanwhile. */
static void pause_between(void *user)
{
    mind *m = user;
    pthread_mutex_lock(&m->of->lock);
    const bool idle = m->stage == RESTS || m->stage == SCORED;
    if (idle && m->slot >= 0) {
        if (!m->memory) m->memory = malloc(sizeof *m->memory);
        if (m->memory) (void)submit(m, SYN_JOB_CLOSE, CLOSES);
    }
    pthread_mutex_unlock(&m->of->lock);
}

static void end(void *user)
{
    leave(user, false);
}

/* ---- Opening and closing ---- */

syn_status syn_mind_make(syn_minds *minds, void (*wake)(void *user), void *user, syn_decider *out)
{
    SYN_REQUIRE(wake, "syn_decider_make: wake is NULL");
    mind *m = calloc(1, sizeof *m);
    if (!m) return syn_fail(SYN_ERR_MEMORY, "out of memory for the networks");
    m->of = minds;
    m->wake = wake;
    m->user = user;
    m->slot = -1;
    *out = (syn_decider){observe, decide, m, "trained", false, pause_between, end};
    return SYN_OK;
}

void syn_mind_free(syn_decider *decider)
{
    leave(decider->user, true);
}

syn_status syn_minds_open(const char *checkpoint, const syn_scorer_queue_options *queue,
                          syn_minds **out)
{
    syn_status st;
    syn_checkpoint *cp = NULL;
    syn_minds *of = calloc(1, sizeof *of);
    if (!of) return syn_fail(SYN_ERR_MEMORY, "out of memory for the networks");
    pthread_mutex_init(&of->lock, NULL);
    SYN_TRY(syn_ctx_init(&of->ctx, SYN_DEVICE_CPU, 1));
    of->has_ctx = true;
    SYN_TRY(syn_checkpoint_open(checkpoint, &cp));
    SYN_TRY(syn_model_read(&of->ctx, cp, &of->model));
    of->has_model = true;
    snprintf(of->weights, sizeof of->weights, "%s", syn_checkpoint_content_sha256(cp));
    if (!of->model.has_policy) {
        st = syn_fail(SYN_ERR_UNSUPPORTED,
                      "checkpoint %s: holds no trained policy; run 'syncog train' first",
                      checkpoint);
        goto done;
    }
    of->slots_max = queue->scorer.slots - queue->scorer.slots / 16;
    SYN_TRY(syn_scorer_queue_open(&of->model, queue, &of->queue));
    *out = of;
done:
    syn_checkpoint_close(cp);
    if (st != SYN_OK) syn_minds_close(of);
    return st;
}

void syn_minds_close(syn_minds *of)
{
    if (!of) return;
    syn_scorer_queue_close(of->queue);
    if (of->has_model) syn_model_free(&of->ctx, &of->model);
    if (of->has_ctx) syn_ctx_free(&of->ctx);
    pthread_mutex_destroy(&of->lock);
    free(of);
}

syn_scorer_queue *syn_minds_queue(const syn_minds *of)
{
    return of->queue;
}

const char *syn_minds_weights(const syn_minds *of)
{
    return of->weights;
}

const syn_model *syn_minds_model(const syn_minds *of)
{
    return &of->model;
}
