/* The queue in front of a scorer: whoever asks from whichever thread gets what the scorer gives, in
 * batches of what waits; it is bounded, jobs can be taken back, and its times add up. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "engine/scorer_queue.h"
#include "engine/syncog_private.h"
#include "tests/engine/syncog_world.h"

/* ---- Asking and waiting ---- */

/* A job somebody waits for. */
typedef struct asked {
    syn_job job; /* first */
    sem_t done;
    syn_action action;
    float sufficiency;
    int order; /* in which jobs ended */
} asked;

static int ended; /* by the queue's thread alone, read when it rests */

static void wake(syn_job *job)
{
    asked *a = (asked *)job;
    a->action = job->result.action;
    a->sufficiency = job->result.sufficiency;
    a->order = ended++;
    sem_post(&a->done);
}

static void submit(syn_scorer_queue *q, asked *a)
{
    a->job.done = wake;
    sem_init(&a->done, 0, 0);
    assert_ok(syn_scorer_queue_submit(q, &a->job));
}

static void await(asked *a)
{
    while (sem_wait(&a->done) != 0) continue;
    sem_destroy(&a->done);
}

static syn_status ask(syn_scorer_queue *q, asked *a)
{
    submit(q, a);
    await(a);
    return a->job.status == SYN_OK ? SYN_OK : syn_fail(a->job.status, "%s", a->job.error);
}

static int64_t slot_of(syn_scorer_queue *q)
{
    static syn_scorer_task task;
    asked a = {.job = {.kind = SYN_JOB_OPEN, .ask.session.task = &task}};
    assert_ok(syn_scorer_task_read(&shared->model, question, pieces, PIECES, &task));
    assert_ok(ask(q, &a));
    return a.job.ask.session.slot;
}

static asked request_of(int64_t slot, const syn_env *team)
{
    return (asked){.job = {.kind = SYN_JOB_SCORE,
                           .ask.score = {.slot = slot, .team = team, .want = SYN_WANT_DECISION}}};
}

static syn_scorer_queue *queue_of(int slots, int batch_max, int length_max, int max_delay_us)
{
    syn_scorer_queue *q;
    syn_scorer_queue_options o = SYN_SCORER_QUEUE_DEFAULT;
    o.scorer = (syn_scorer_options){slots, batch_max, 1};
    o.length_max = length_max;
    o.max_delay_us = max_delay_us;
    assert_ok(syn_scorer_queue_open(&shared->model, &o, &q));
    ended = 0;
    return q;
}

/* Keeps the queue's thread busy until it is let go: what comes meanwhile waits. */
typedef struct plug {
    syn_job job; /* first */
    sem_t in, out;
} plug;

static void plug_hold(syn_job *job)
{
    plug *p = (plug *)job;
    sem_post(&p->in);
    while (sem_wait(&p->out) != 0) continue;
}

static void plug_in(syn_scorer_queue *q, plug *p)
{
    *p = (plug){.job = {.kind = SYN_JOB_CLOSE, .ask.session.slot = -1, .done = plug_hold}};
    sem_init(&p->in, 0, 0);
    sem_init(&p->out, 0, 0);
    assert_ok(syn_scorer_queue_submit(q, &p->job));
    while (sem_wait(&p->in) != 0) continue;
}

static void plug_out(plug *p)
{
    sem_post(&p->out);
}

/* ---- Batches ---- */

static void what_waits_is_scored_together(void **state)
{
    enum { JOBS = 6 };
    syn_scorer_queue *q = queue_of(JOBS, 4, 100, 0);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    static asked a[JOBS];
    plug p;
    float sufficiency;
    syn_action want;
    int64_t slot[JOBS];
    assert_ok(syn_session_observe(s, &team, NULL, &sufficiency));
    assert_ok(syn_session_decide(s, &team, NULL, true, &want, NULL, NULL));
    for (int k = 0; k < JOBS; k++) slot[k] = slot_of(q);
    plug_in(q, &p);
    for (int k = 0; k < JOBS; k++) {
        a[k] = request_of(slot[k], &team);
        submit(q, &a[k]);
    }
    syn_scorer_queue_stats stats;
    syn_scorer_queue_read(q, &stats);
    assert_int_equal(stats.waiting, JOBS);
    plug_out(&p);
    for (int k = 0; k < JOBS; k++) {
        await(&a[k]);
        assert_int_equal(a[k].job.status, SYN_OK);
        assert_int_equal(a[k].job.times.batch, k < 4 ? 4 : 2);
        assert_true(a[k].job.times.queue_s > 0 && a[k].job.times.compute_s > 0);
        assert_memory_equal(&a[k].action, &want, sizeof want);
        assert_float_equal(a[k].sufficiency, sufficiency, 1e-6);
    }
    syn_scorer_queue_read(q, &stats);
    assert_int_equal(stats.done[SYN_JOB_SCORE], JOBS);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.batched, JOBS);
    assert_int_equal(stats.slots_open, JOBS);
    assert_int_equal(stats.queue.count, 2 * JOBS + 1);
    assert_int_equal(stats.compute.count, JOBS);
    assert_true(syn_histogram_quantile_s(&stats.compute, .5) > 0);
    syn_session_free(s);
    syn_scorer_queue_close(q);
}

static void jobs_of_one_slot_keep_their_order(void **state)
{
    syn_scorer_queue *q = queue_of(3, 4, 100, 0);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    const int64_t slot = slot_of(q), other = slot_of(q), third = slot_of(q);
    plug p;
    asked first = request_of(slot, &team), second = request_of(slot, &team),
          beside = request_of(other, &team), late = request_of(third, &team);
    asked close = {.job = {.kind = SYN_JOB_CLOSE, .ask.session.slot = third}};
    plug_in(q, &p);
    submit(q, &first);
    submit(q, &second);
    submit(q, &beside);
    submit(q, &close);
    submit(q, &late);
    ended = 0;
    plug_out(&p);
    await(&first);
    await(&second);
    await(&beside);
    await(&close);
    await(&late);
    assert_int_equal(first.job.times.batch, 2); /* with the other slot's */
    assert_int_equal(beside.job.times.batch, 2);
    assert_int_equal(second.job.times.batch, 1);
    assert_true(first.order < second.order && close.order < late.order);
    assert_int_equal(second.job.status, SYN_OK);
    assert_int_equal(late.job.status, SYN_ERR_INVALID);
    assert_non_null(strstr(late.job.error, "is no session's"));
    syn_session_free(s);
    syn_scorer_queue_close(q);
}

static void requests_that_come_between_openings_are_scored_together(void **state)
{
    enum { TEAMS = 3 };
    static syn_scorer_task task;
    syn_scorer_queue *q = queue_of(2 * TEAMS, 8, 100, 0);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    int64_t slot[TEAMS];
    static asked request[TEAMS], opens[TEAMS];
    plug p;
    assert_ok(syn_scorer_task_read(&shared->model, question, pieces, PIECES, &task));
    for (int k = 0; k < TEAMS; k++) slot[k] = slot_of(q);
    plug_in(q, &p);
    for (int k = 0; k < TEAMS; k++) {
        opens[k] = (asked){.job = {.kind = SYN_JOB_OPEN, .ask.session.task = &task}};
        request[k] = request_of(slot[k], &team);
        submit(q, &request[k]);
        submit(q, &opens[k]);
    }
    plug_out(&p);
    for (int k = 0; k < TEAMS; k++) {
        await(&request[k]);
        await(&opens[k]);
        assert_int_equal(request[k].job.status, SYN_OK);
        assert_int_equal(request[k].job.times.batch, TEAMS);
        assert_int_equal(opens[k].job.status, SYN_OK);
    }
    syn_session_free(s);
    syn_scorer_queue_close(q);
}

/* Opens as long as it is refused, and nobody has been answered. */
typedef struct insistent {
    asked a; /* first */
    syn_scorer_queue *q;
    int tries, tries_max;
} insistent;

static atomic_bool answered;

static void insist(syn_job *job)
{
    insistent *i = (insistent *)job;
    if (job->status == SYN_ERR_LIMIT && !answered && ++i->tries < i->tries_max &&
        syn_scorer_queue_submit(i->q, job) == SYN_OK)
        return;
    sem_post(&i->a.done);
}

static void answer(syn_job *job)
{
    answered = true;
    wake(job);
}

static void openings_without_end_hold_up_no_request(void **state)
{
    static syn_scorer_task task;
    syn_scorer_queue *q = queue_of(1, 8, 100, 0);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    assert_ok(syn_scorer_task_read(&shared->model, question, pieces, PIECES, &task));
    static insistent i;
    asked request = request_of(slot_of(q), &team); /* the only one */
    plug p;
    i = (insistent){.a.job = {.kind = SYN_JOB_OPEN, .ask.session.task = &task, .done = insist},
                    .q = q,
                    .tries_max = 20000};
    answered = false;
    request.job.done = answer;
    sem_init(&i.a.done, 0, 0);
    sem_init(&request.done, 0, 0);
    plug_in(q, &p);
    assert_ok(syn_scorer_queue_submit(q, &i.a.job));
    assert_ok(syn_scorer_queue_submit(q, &request.job));
    plug_out(&p);
    await(&request);
    await(&i.a);
    assert_int_equal(request.job.status, SYN_OK);
    assert_true(i.tries < i.tries_max);
    syn_session_free(s);
    syn_scorer_queue_close(q);
}

static void a_bad_job_ends_alone(void **state)
{
    syn_scorer_queue *q = queue_of(2, 4, 100, 0);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    syn_env broken = team;
    broken.count[0]++;
    const int64_t slot = slot_of(q), other = slot_of(q);
    plug p;
    asked good = request_of(slot, &team), bad = request_of(other, &broken),
          nowhere = request_of(-5, &team);
    plug_in(q, &p);
    submit(q, &bad);
    submit(q, &good);
    submit(q, &nowhere);
    plug_out(&p);
    await(&bad);
    await(&good);
    await(&nowhere);
    assert_int_equal(good.job.status, SYN_OK);
    assert_int_equal(good.job.times.batch, 1);
    assert_int_equal(bad.job.status, SYN_ERR_INVALID);
    assert_non_null(strstr(bad.job.error, "agent 0: count is"));
    assert_int_equal(nowhere.job.status, SYN_ERR_INVALID);
    syn_scorer_queue_stats stats;
    syn_scorer_queue_read(q, &stats);
    assert_int_equal(stats.failed, 2);
    syn_session_free(s);
    syn_scorer_queue_close(q);
}

static void pairs_of_all_callers_are_scored_together(void **state)
{
    enum { JOBS = 5, EACH = 3, ALL = JOBS * EACH };
    static real pair[ALL * 2 * SYN_CKM];
    float link[ALL], gap[ALL], want_link[ALL], want_gap[ALL];
    syn_scorer_queue *q = queue_of(1, 1, 100, 0);
    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    for (int k = 0; k < ALL * 2 * SYN_CKM; k++) pair[k] = syn_rng_uniform(&rng);
    asked all = {.job = {.kind = SYN_JOB_GAPS, .ask.gaps = {ALL, pair, want_link, want_gap}}},
          none = {.job = {.kind = SYN_JOB_GAPS, .ask.gaps = {-1, pair, link, gap}}};
    static asked a[JOBS];
    plug p;
    assert_ok(ask(q, &all));
    plug_in(q, &p);
    for (int k = 0; k < JOBS; k++) {
        const syn_gap_part part = {EACH, pair + k * EACH * 2 * SYN_CKM, link + k * EACH,
                                   gap + k * EACH};
        a[k] = (asked){.job = {.kind = SYN_JOB_GAPS, .ask.gaps = part}};
        submit(q, &a[k]);
    }
    submit(q, &none);
    plug_out(&p);
    for (int k = 0; k < JOBS; k++) {
        await(&a[k]);
        assert_int_equal(a[k].job.status, SYN_OK);
        assert_int_equal(a[k].job.times.batch, JOBS);
    }
    await(&none);
    assert_int_equal(none.job.status, SYN_ERR_INVALID);
    for (int k = 0; k < ALL; k++) {
        assert_float_equal(link[k], want_link[k], 1e-6);
        assert_float_equal(gap[k], want_gap[k], 1e-6);
    }
    syn_scorer_queue_close(q);
}

/* ---- Bounds ---- */

static void a_full_queue_refuses_and_a_job_can_be_taken_back(void **state)
{
    enum { MAX = 3 };
    syn_scorer_queue *q = queue_of(MAX + 1, 8, MAX, 0);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    int64_t slot[MAX + 1];
    static asked a[MAX + 1];
    plug p;
    for (int k = 0; k <= MAX; k++) slot[k] = slot_of(q);
    plug_in(q, &p);
    for (int k = 0; k < MAX; k++) {
        a[k] = request_of(slot[k], &team);
        submit(q, &a[k]);
    }
    a[MAX] = request_of(slot[MAX], &team);
    a[MAX].job.done = wake;
    assert_says(syn_scorer_queue_submit(q, &a[MAX].job), SYN_ERR_LIMIT,
                "3 requests wait to be scored");
    assert_true(syn_scorer_queue_cancel(q, &a[1].job));
    assert_false(syn_scorer_queue_cancel(q, &a[1].job));
    submit(q, &a[MAX]); /* there is room again */
    plug_out(&p);
    await(&a[0]);
    await(&a[2]);
    await(&a[MAX]);
    assert_false(syn_scorer_queue_cancel(q, &a[0].job));
    assert_int_equal(ended, MAX + 1 + 3); /* a job taken back does not end */
    syn_scorer_queue_stats stats;
    syn_scorer_queue_read(q, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.cancelled, 1);
    assert_int_equal(stats.waiting, 0);
    syn_job nobody = {.kind = SYN_JOB_CLOSE};
    assert_says(syn_scorer_queue_submit(q, &nobody), SYN_ERR_INVALID, "NULL");
    nobody.done = wake;
    nobody.kind = SYN_JOB_KINDS;
    assert_says(syn_scorer_queue_submit(q, &nobody), SYN_ERR_INVALID, "is no kind of job");
    syn_session_free(s);
    syn_scorer_queue_close(q);
}

static void company_is_waited_for_only_when_asked_and_not_for_long(void **state)
{
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    syn_scorer_queue *q = queue_of(2, 2, 10, 30000);
    asked alone = request_of(slot_of(q), &team);
    assert_ok(ask(q, &alone));
    assert_true(alone.job.times.queue_s >= .0295);
    syn_scorer_queue_close(q);
    q = queue_of(2, 1, 10, 1000000); /* a batch of one is full */
    asked full = request_of(slot_of(q), &team);
    assert_ok(ask(q, &full));
    assert_true(full.job.times.queue_s < .9);
    syn_scorer_queue_close(q);
    syn_session_free(s);
}

static void *close_queue(void *q)
{
    syn_scorer_queue_close(q);
    return NULL;
}

static void what_waits_at_the_end_is_told(void **state)
{
    syn_scorer_queue *q = queue_of(1, 1, 10, 1000000);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    asked first = request_of(1, &team), second = request_of(2, &team);
    plug p;
    plug_in(q, &p);
    submit(q, &first);
    submit(q, &second);
    pthread_t closing;
    assert_int_equal(pthread_create(&closing, NULL, close_queue, q), 0);
    /* The plug goes once the queue is closing, and so takes nothing more. */
    syn_job probe = {.kind = SYN_JOB_CLOSE, .done = wake};
    while (syn_scorer_queue_submit(q, &probe) == SYN_OK) {
        assert_true(syn_scorer_queue_cancel(q, &probe));
        usleep(100);
    }
    plug_out(&p);
    pthread_join(closing, NULL);
    await(&first);
    await(&second);
    assert_int_equal(first.job.status, SYN_ERR_INTERRUPTED);
    assert_string_equal(second.job.error, "the scorer is closing");
    syn_session_free(s);
}

static void what_cannot_be_opened_is_said(void **state)
{
    syn_scorer_queue *q;
    syn_model model = shared->model;
    syn_scorer_queue_options o = SYN_SCORER_QUEUE_DEFAULT;
    model.has_perception = false;
    assert_says(syn_scorer_queue_open(&model, &o, &q), SYN_ERR_UNSUPPORTED, "syncog pretrain");
    assert_null(q);
    o.length_max = 0;
    assert_says(syn_scorer_queue_open(&model, &o, &q), SYN_ERR_INVALID, "a queue of 0");
    o.length_max = 1;
    o.max_delay_us = -1;
    assert_says(syn_scorer_queue_open(&model, &o, &q), SYN_ERR_INVALID, "a delay of -1");
    o.max_delay_us = 0;
    o.device_index = -1;
    assert_says(syn_scorer_queue_open(&model, &o, &q), SYN_ERR_INVALID, "device number -1");
    syn_scorer_queue_close(NULL);
}

/* ---- Many threads ---- */

enum { THREADS = 4, TURNS = 6 };

typedef struct caller {
    syn_scorer_queue *queue;
    int number;
    const char *wrong;
    syn_action action[TURNS];
} caller;

/* One collaboration; cmocka's assertions belong to the main thread. */
static void *collaborate(void *user)
{
    caller *c = user;
    static const syn_env_config free_of_charge;
    syn_scorer_task *task = malloc(sizeof *task);
    asked open = {.job = {.kind = SYN_JOB_OPEN, .ask.session.task = task}};
    if (!task || syn_scorer_task_read(&shared->model, question, pieces, PIECES, task) != SYN_OK ||
        ask(c->queue, &open) != SYN_OK) {
        c->wrong = "no session";
        return NULL;
    }
    syn_env team;
    memset(&team, 0, sizeof team);
    team.agents = 3;
    team.turns_max = 12;
    team.present = task->claims | syn_rows_mask(PIECES);
    team.claims = task->claims;
    team.last = syn_action_of(-1);
    for (int i = 0; i < 3; i++) {
        team.own[i] = dealt[(i + c->number) % 3];
        for (uint32_t left = team.own[i]; left; left &= left - 1)
            syn_env_receive(&team, i, syn_lowest(left), i);
    }
    uint8_t moves[A];
    memset(moves, 1, sizeof moves);
    moves[A - 1] = moves[A - 2] = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        asked a = request_of(open.job.ask.session.slot, &team);
        a.job.ask.score.mask = moves;
        if (ask(c->queue, &a) != SYN_OK) c->wrong = "not scored";
        c->action[turn] = a.action;
        team.turn++;
        (void)syn_env_move(&team, &free_of_charge, &a.action);
        team.last = a.action;
    }
    asked close = {.job = {.kind = SYN_JOB_CLOSE, .ask.session.slot = open.job.ask.session.slot}};
    if (ask(c->queue, &close) != SYN_OK) c->wrong = "not closed";
    free(task);
    return NULL;
}

static void callers_on_many_threads_get_what_they_get_alone(void **state)
{
    static caller alone[THREADS], together[THREADS];
    pthread_t thread[THREADS];
    syn_scorer_queue *q = queue_of(THREADS, 8, 100, 0);
    for (int k = 0; k < THREADS; k++) {
        alone[k] = together[k] = (caller){.queue = q, .number = k};
        (void)collaborate(&alone[k]);
        assert_null(alone[k].wrong);
    }
    for (int k = 0; k < THREADS; k++)
        assert_int_equal(pthread_create(&thread[k], NULL, collaborate, &together[k]), 0);
    for (int k = 0; k < THREADS; k++) {
        pthread_join(thread[k], NULL);
        assert_null(together[k].wrong);
        assert_memory_equal(together[k].action, alone[k].action, sizeof alone[k].action);
    }
    assert_true(memcmp(alone[0].action, alone[1].action, sizeof alone[0].action) != 0);
    syn_scorer_queue_stats stats;
    syn_scorer_queue_read(q, &stats);
    assert_int_equal(stats.done[SYN_JOB_SCORE], 2 * THREADS * TURNS);
    assert_int_equal(stats.slots_open, 0);
    syn_scorer_queue_close(q);
}

/* ---- Histogram ---- */

static void quantiles_are_a_sixteenth_too_large_at_most(void **state)
{
    static syn_histogram h;
    assert_true(syn_histogram_quantile_s(&h, .5) == 0);
    for (int k = 1; k <= 1000; k++) syn_histogram_add(&h, k * 1e-5);
    assert_int_equal(h.count, 1000);
    assert_float_equal(h.sum_s, 5.005, 1e-9);
    for (int p = 1; p <= 100; p++) {
        const double q = syn_histogram_quantile_s(&h, p * .01), want = p * 1e-4;
        assert_true(q > want * (1 - 1e-6) && q <= want * (1 + 1. / 16) + 1e-9);
    }
    for (int c = 1; c < SYN_HISTOGRAM_CLASSES; c++)
        assert_true(syn_histogram_edge_s(c) > syn_histogram_edge_s(c - 1));
    syn_histogram_add(&h, -1);
    syn_histogram_add(&h, 1e30);
    syn_histogram_add(&h, INFINITY);
    assert_int_equal(h.classes[0], 1);
    assert_int_equal(h.classes[SYN_HISTOGRAM_CLASSES - 1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_is_scored_together),
        cmocka_unit_test(jobs_of_one_slot_keep_their_order),
        cmocka_unit_test(requests_that_come_between_openings_are_scored_together),
        cmocka_unit_test(openings_without_end_hold_up_no_request),
        cmocka_unit_test(a_bad_job_ends_alone),
        cmocka_unit_test(pairs_of_all_callers_are_scored_together),
        cmocka_unit_test(a_full_queue_refuses_and_a_job_can_be_taken_back),
        cmocka_unit_test(company_is_waited_for_only_when_asked_and_not_for_long),
        cmocka_unit_test(what_waits_at_the_end_is_told),
        cmocka_unit_test(what_cannot_be_opened_is_said),
        cmocka_unit_test(callers_on_many_threads_get_what_they_get_alone),
        cmocka_unit_test(quantiles_are_a_sixteenth_too_large_at_most),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
