#include "benchmarks/bench_score.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/timing.h"
#include "engine/scorer_queue.h"
#include "engine/scorer_team.h"
#include "kernels/base/progress.h"
#include "kernels/sample.h"

enum { AGENTS = 4, ITEMS = 16, ROWS = 28, PAIRS = 64, ROWS_MAX = 24, A = SYN_ACTIONS_MAX };

typedef struct score_row {
    syn_bench_row time;
    char name[24];
    int decisions, pairs;  /* of one run */
    int64_t nodes;         /* of its graph; 0: it is none */
    syn_score_times spent; /* in all runs */
    double queue_s;        /* likewise */
} score_row;

typedef struct bench {
    const syn_bench_score_options *options;
    syn_ctx host, ctx; /* one thread, for one by one and the weights; the scorer's */
    syn_model model;
    syn_scorer *scorer;
    syn_scorer_task task;
    int64_t slot[SYN_SCORER_BATCH_MAX];
    syn_env team[SYN_SCORER_BATCH_MAX];
    syn_score_request request[SYN_SCORER_BATCH_MAX];
    syn_score_result result[SYN_SCORER_BATCH_MAX];
    int batch_max;
    bool turns; /* play a turn; otherwise be another team */
    /* One by one. */
    syn_tasks tasks;
    syn_observer observer;
    syn_observation x;
    real h[SYN_STATE], c[SYN_STATE];
    /* Through the queue. */
    syn_scorer_queue *queue;
    sem_t done;
    syn_job job;
    real pair[PAIRS * 2 * SYN_CKM];
    float link[PAIRS], gap[PAIRS];
    score_row row[ROWS_MAX];
    int rows;
} bench;

/* ---- Teams ---- */

static void fill(real *x, int64_t n, uint64_t stream)
{
    syn_rng rng = syn_rng_make(1, stream);
    for (int64_t i = 0; i < n; i++) x[i] = syn_rng_uniform(&rng);
}

/* Agents hold `items` pieces each, agent i those from `step` i on. */
static syn_env team_of(int items, int step)
{
    syn_env e;
    memset(&e, 0, sizeof e);
    e.agents = AGENTS;
    e.turn = 1;
    e.turns_max = SYN_TURNS_MAX;
    e.last = (syn_action){SYN_SEND, 1, 0, 4};
    e.present = syn_rows_mask(items == ITEMS ? ROWS : AGENTS * items);
    for (int i = 0; i < AGENTS; i++) {
        for (int k = 0; k < items; k++) {
            const int row = (step * i + k) % ROWS;
            e.own[i] |= 1u << row;
            syn_env_receive(&e, i, row, i);
        }
    }
    return e;
}

/* The team as it asks the next time. */
static void team_next(syn_env *e, bool turns)
{
    if (turns)
        e->turn = e->turn < SYN_TURNS_MAX ? e->turn + 1 : 1;
    else
        e->turn = e->turn == 1 ? 3 : 1;
}

/* ---- Work ---- */

static syn_status one_by_one(void *user)
{
    bench *b = user;
    syn_env *e = &b->team[0];
    int32_t action;
    real logit[A], value, logp, all[A];
    e->task = 0;
    e->changed = (1u << AGENTS) - 1;
    SYN_RETURN_IF(syn_team_check(e, ROWS));
    SYN_RETURN_IF(
        syn_observe_turn(&b->host, &b->observer, &b->model.perception, &b->tasks, e, &b->x));
    SYN_RETURN_IF(syn_control_forward(&b->host, &b->model.control, 1, 1, &b->x, b->h, b->c, NULL,
                                      logit, &value, b->h, b->c));
    return syn_policy_sample(&b->host, 1, A, logit, b->x.mask, true, 0, NULL, &action, &logp, NULL,
                             all);
}

static syn_status batch(void *user)
{
    bench *b = user;
    score_row *r = &b->row[b->rows];
    syn_score_times times;
    for (int k = 0; k < r->decisions; k++) team_next(&b->team[k], b->turns);
    SYN_RETURN_IF(syn_scorer_score(b->scorer, r->decisions, b->request, b->result, &times));
    r->spent.copy_s += times.copy_s;
    r->spent.compute_s += times.compute_s;
    return SYN_OK;
}

static syn_status gaps(void *user)
{
    bench *b = user;
    score_row *r = &b->row[b->rows];
    const syn_gap_part part = {r->pairs, b->pair, b->link, b->gap};
    syn_score_times times;
    SYN_RETURN_IF(syn_scorer_gaps(b->scorer, 1, &part, &times));
    r->spent.copy_s += times.copy_s;
    r->spent.compute_s += times.compute_s;
    return SYN_OK;
}

static void answered(syn_job *job)
{
    sem_post(&((bench *)job->user)->done);
}

static syn_status ask(bench *b)
{
    b->job.done = answered;
    b->job.user = b;
    SYN_RETURN_IF(syn_scorer_queue_submit(b->queue, &b->job));
    while (sem_wait(&b->done) != 0) continue;
    return b->job.status == SYN_OK ? SYN_OK : syn_fail(b->job.status, "%s", b->job.error);
}

static syn_status through_queue(void *user)
{
    bench *b = user;
    score_row *r = &b->row[b->rows];
    team_next(&b->team[0], false);
    SYN_RETURN_IF(ask(b));
    r->queue_s += b->job.times.queue_s;
    r->spent.copy_s += b->job.times.copy_s;
    r->spent.compute_s += b->job.times.compute_s;
    return SYN_OK;
}

/* ---- Rows ---- */

static syn_status measure(bench *b, const char *name, int decisions, int pairs,
                          syn_status (*work)(void *user))
{
    score_row *r = &b->row[b->rows];
    snprintf(r->name, sizeof r->name, "%s", name);
    r->time.name = r->name;
    r->decisions = decisions;
    r->pairs = pairs;
    const int runs_min = b->options->tiny ? 1 : decisions >= 64 ? 5 : 200;
    SYN_RETURN_IF(work(b)); /* what is taken the first time does not count */
    r->spent = (syn_score_times){0};
    r->queue_s = 0;
    SYN_RETURN_IF(syn_bench_measure(work, b, runs_min, &r->time));
    if (work == batch) r->nodes = syn_scorer_nodes(b->scorer, decisions);
    b->rows++;
    return SYN_OK;
}

static syn_status measure_batches(bench *b, const char *kind, bool turns)
{
    static const int sizes[] = {1, 4, 16, 64, 256, 1024};
    b->turns = turns;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes && sizes[k] <= b->batch_max; k++) {
        char name[24];
        snprintf(name, sizeof name, "%s_%d", kind, sizes[k]);
        SYN_RETURN_IF(measure(b, name, sizes[k], 0, batch));
    }
    return SYN_OK;
}

static syn_status measure_queue(bench *b)
{
    syn_scorer_queue_options o = SYN_SCORER_QUEUE_DEFAULT;
    o.scorer = (syn_scorer_options){1, 1, 1};
    o.device = b->ctx.device;
    o.math = b->ctx.math;
    SYN_RETURN_IF(syn_scorer_queue_open(&b->model, &o, &b->queue));
    b->job = (syn_job){.kind = SYN_JOB_OPEN, .ask.session.task = &b->task};
    SYN_RETURN_IF(ask(b));
    const syn_score_request request = {
        .slot = b->job.ask.session.slot, .team = &b->team[0], .want = SYN_WANT_DECISION};
    b->job = (syn_job){.kind = SYN_JOB_SCORE, .ask.score = request};
    return measure(b, "queue_1", 1, 0, through_queue);
}

static syn_status measure_all(bench *b)
{
    SYN_RETURN_IF(measure(b, "one_by_one", 1, 0, one_by_one));
    SYN_RETURN_IF(measure_batches(b, "batch", false));
    SYN_RETURN_IF(measure_batches(b, "turn", true));
    SYN_RETURN_IF(measure_queue(b));
    SYN_RETURN_IF(measure(b, "gaps_1", 0, 1, gaps));
    SYN_RETURN_IF(measure(b, "gaps_64", 0, PAIRS, gaps));
    b->team[0] = team_of(4, 4);
    b->turns = false;
    return measure(b, "deal_1", 1, 0, batch);
}

/* ---- Opening ---- */

static syn_status model_make(bench *b)
{
    syn_model *m = &b->model;
    m->central = true;
    SYN_RETURN_IF(syn_perception_init(&b->host, &m->perception, 1));
    SYN_RETURN_IF(syn_control_init(&b->host, &m->control, 1));
    m->has_perception = m->has_control = m->has_policy = true;
    b->task.rows = ROWS;
    fill(b->task.quest, SYN_TASK_QUEST, 1);
    fill(b->task.pair, SYN_TASK_PAIR, 2);
    fill(b->pair, PAIRS * 2 * SYN_CKM, 3);
    SYN_RETURN_IF(syn_tasks_alloc(&b->host, &b->tasks, 1));
    memcpy(b->tasks.quest, b->task.quest, sizeof b->task.quest);
    memcpy(b->tasks.pair, b->task.pair, sizeof b->task.pair);
    SYN_RETURN_IF(syn_model_pack(&b->host, m));
    SYN_RETURN_IF(syn_observer_init(&b->host, &b->observer, 1, true));
    return syn_observation_alloc(&b->host, &b->x, 1);
}

static syn_status scorer_make(bench *b)
{
    const syn_scorer_options o = {b->batch_max, b->batch_max, 1};
    SYN_RETURN_IF(syn_scorer_open(&b->ctx, &b->model, &o, &b->scorer));
    for (int k = 0; k < b->batch_max; k++) {
        SYN_RETURN_IF(syn_scorer_slot_open(b->scorer, &b->task, &b->slot[k]));
        b->team[k] = team_of(ITEMS, 4);
        b->request[k] =
            (syn_score_request){.slot = b->slot[k], .team = &b->team[k], .want = SYN_WANT_DECISION};
    }
    return SYN_OK;
}

static void bench_free(bench *b)
{
    syn_scorer_queue_close(b->queue);
    syn_scorer_close(b->scorer);
    syn_observation_free(&b->host, &b->x);
    syn_observer_free(&b->host, &b->observer);
    syn_tasks_free(&b->host, &b->tasks);
    syn_model_unpack(&b->host, &b->model);
    syn_control_free(&b->host, &b->model.control);
    syn_perception_free(&b->host, &b->model.perception);
    sem_destroy(&b->done);
}

/* ---- What came of it ---- */

static void row_json(const score_row *r, double alone_s)
{
    const double runs = r->time.runs, p50 = r->time.p50_s;
    printf("  {\"name\": \"%s\", \"p50_us\": %.3f, \"p99_us\": %.3f, \"runs\": %d", r->name,
           p50 * 1e6, r->time.p99_s * 1e6, r->time.runs);
    if (r->spent.compute_s > 0) {
        printf(", \"copy_us\": %.3f, \"compute_us\": %.3f", r->spent.copy_s / runs * 1e6,
               r->spent.compute_s / runs * 1e6);
    }
    if (r->queue_s > 0) printf(", \"queue_us\": %.3f", r->queue_s / runs * 1e6);
    if (r->decisions) {
        printf(", \"decisions\": %d, \"decisions_per_s\": %.1f, \"ratio\": %.3f", r->decisions,
               r->decisions / p50, alone_s * r->decisions / p50);
    }
    if (r->pairs) printf(", \"pairs_per_s\": %.1f", r->pairs / p50);
    if (r->nodes) printf(", \"graph_nodes\": %lld", (long long)r->nodes);
    printf("}");
}

static void row_print(const score_row *r, double alone_s)
{
    const double runs = r->time.runs, p50 = r->time.p50_s;
    printf("%-12s %12.1f %12.1f %10.1f %10.1f", r->name, p50 * 1e6, r->time.p99_s * 1e6,
           r->spent.copy_s / runs * 1e6, r->spent.compute_s / runs * 1e6);
    if (r->decisions)
        printf(" %12.0f decisions/s %7.2f", r->decisions / p50, alone_s * r->decisions / p50);
    if (r->pairs) printf(" %12.0f pairs/s", r->pairs / p50);
    if (r->queue_s > 0) printf("   (%.1f us in the queue)", r->queue_s / runs * 1e6);
    if (r->nodes) printf("   (%lld nodes in its graph)", (long long)r->nodes);
    putchar('\n');
}

static void print(const bench *b)
{
    const double alone_s = b->row[0].time.p50_s;
    const char *device = b->options->cuda ? "cuda" : "cpu";
    if (b->options->json) {
        printf("{\"bench\": \"score\", \"device\": \"%s\", \"precision\": \"%s\", \"threads\": %d, "
               "\"rows\": [\n",
               device, b->options->mixed ? "mixed" : "fp32", b->ctx.threads);
    } else {
        printf("%-12s %12s %12s %10s %10s %24s %7s   (%s, %d threads)\n", "score", "p50 us",
               "p99 us", "copy us", "compute us", "rate", "ratio", device, b->ctx.threads);
    }
    for (int k = 0; k < b->rows; k++) {
        if (!b->options->json) {
            row_print(&b->row[k], alone_s);
            continue;
        }
        row_json(&b->row[k], alone_s);
        printf(k + 1 < b->rows ? ",\n" : "\n]}\n");
    }
}

syn_status syn_bench_score(const syn_bench_score_options *options)
{
    bench *b = calloc(1, sizeof *b);
    if (!b) return syn_fail(SYN_ERR_MEMORY, "out of memory for a benchmark");
    bool host = false, device = false;
    syn_status st;
    b->options = options;
    b->batch_max = options->tiny ? 4 : SYN_SCORER_BATCH_MAX;
    sem_init(&b->done, 0, 0);
    SYN_TRY(syn_ctx_init(&b->host, SYN_DEVICE_CPU, 1));
    host = true;
    SYN_TRY(
        syn_ctx_init(&b->ctx, options->cuda ? SYN_DEVICE_CUDA : SYN_DEVICE_CPU, options->threads));
    device = true;
    if (options->mixed) b->ctx.math = SYN_MATH_MIXED;
    SYN_TRY(model_make(b));
    SYN_TRY(scorer_make(b));
    SYN_TRY(measure_all(b));
    print(b);
done:
    if (host) bench_free(b);
    if (device) syn_ctx_free(&b->ctx);
    if (host) syn_ctx_free(&b->host);
    free(b);
    return st;
}
