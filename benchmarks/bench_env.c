#include "benchmarks/bench_env.h"

#include <stdlib.h>
#include <string.h>

#include "benchmarks/gpu_time.h"
#include "benchmarks/random_legal.h"
#include "engine/observe.h"
#include "kernels/env.h"

enum { TURNS = 10, TURNS_FEATURES = 4, N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX };
#define SECONDS 0.5

/* Everything a turn touches, in ctx's memory. */
typedef struct world {
    syn_ctx *ctx;
    int64_t E;
    syn_tasks tasks;
    syn_perception judge;
    syn_env_config env;
    syn_env_source source;
    syn_observer observer;
    int32_t *record, *action;
    syn_env *envs;
    uint64_t *next;
    syn_env_tally *tally;
    real *reward;
    uint8_t *done, *mask;
    float *rank; /* of the row without features: random worths */
    bool features, tiny;
} world;

static syn_status turn(world *w, uint64_t draw)
{
    const float *rank = w->features ? w->observer.rank : w->rank;
    if (w->features)
        SYN_RETURN_IF(syn_observe_views(w->ctx, &w->observer, &w->judge, &w->tasks, w->envs));
    SYN_RETURN_IF(syn_env_mask_batch(w->ctx, w->E, w->envs, w->mask));
    SYN_RETURN_IF(syn_random_legal(w->ctx, w->E, w->mask, draw, w->action));
    return syn_env_step_batch(w->ctx, w->E, w->envs, &w->env, &w->source, w->action, rank,
                              w->reward, w->done, w->tally, w->next, (uint64_t)w->E);
}

static int turns_of(const world *w)
{
    return w->features ? TURNS_FEATURES : TURNS;
}

static syn_status turns(void *user)
{
    world *w = user;
    for (int t = 0; t < turns_of(w); t++) SYN_RETURN_IF(turn(w, (uint64_t)t));
    return SYN_OK;
}

static syn_status turns_of_set(void *user, int set)
{
    (void)set;
    return turns(user);
}

static syn_status measure(world *w, syn_bench_row *row)
{
    row->steps = (double)w->E * turns_of(w);
    if (w->ctx->device == SYN_DEVICE_CPU) return syn_bench_measure(turns, w, 5, row);
    syn_gpu_timed timed;
    SYN_RETURN_IF(syn_gpu_time(w->ctx, turns_of_set, w, 1, w->tiny ? 0 : SECONDS, &timed));
    row->p50_s = timed.us * 1e-6;
    row->p99_s = timed.p99_us * 1e-6;
    row->runs = timed.replays;
    return SYN_OK;
}

static syn_status allocate(world *w, const syn_corpus *corpus)
{
    const size_t E = (size_t)w->E;
    SYN_RETURN_IF(syn_tasks_alloc(w->ctx, &w->tasks, corpus->tasks.count));
    SYN_RETURN_IF(syn_tasks_upload(w->ctx, &w->tasks, 0, &corpus->tasks));
    SYN_RETURN_IF(syn_observer_init(w->ctx, &w->observer, w->E, true));
    w->record = syn_device_alloc(w->ctx, sizeof *w->record * (size_t)corpus->records);
    w->action = syn_device_alloc(w->ctx, sizeof *w->action * E);
    w->envs = syn_device_alloc(w->ctx, sizeof *w->envs * E);
    w->next = syn_device_alloc(w->ctx, sizeof *w->next * E);
    w->tally = syn_device_alloc(w->ctx, sizeof *w->tally * E);
    w->reward = syn_device_alloc(w->ctx, sizeof *w->reward * E);
    w->done = syn_device_alloc(w->ctx, E);
    w->mask = syn_device_alloc(w->ctx, E * SYN_ACTIONS_MAX);
    w->rank = syn_device_alloc(w->ctx, sizeof *w->rank * E * N * R);
    const bool good = w->record && w->action && w->envs && w->next && w->tally && w->reward &&
                      w->done && w->mask && w->rank;
    return good ? SYN_OK : SYN_ERR_MEMORY;
}

static syn_status fill(world *w, const syn_corpus *corpus)
{
    syn_status st = SYN_OK;
    const size_t ranks = (size_t)w->E * N * R;
    float *rank = malloc(sizeof *rank * ranks);
    uint64_t *next = malloc(sizeof *next * (size_t)w->E);
    int32_t *record = malloc(sizeof *record * (size_t)corpus->records);
    if (!rank || !next || !record) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld environments", (long long)w->E);
        goto done;
    }
    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    for (size_t i = 0; i < ranks; i++) rank[i] = (float)syn_rng_uniform(&rng);
    for (int64_t e = 0; e < w->E; e++) next[e] = (uint64_t)(w->E + e);
    for (int64_t k = 0; k < corpus->records; k++) record[k] = (int32_t)k;
    SYN_TRY(syn_copy_in(w->ctx, w->rank, rank, sizeof *rank * ranks));
    SYN_TRY(syn_copy_in(w->ctx, w->next, next, sizeof *next * (size_t)w->E));
    SYN_TRY(syn_copy_in(w->ctx, w->record, record, sizeof *record * (size_t)corpus->records));
done:
    free(rank);
    free(next);
    free(record);
    return st;
}

static void release(world *w)
{
    void *all[] = {w->record, w->action, w->envs, w->next, w->tally,
                   w->reward, w->done,   w->mask, w->rank};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) syn_device_free(w->ctx, all[i]);
    syn_observer_free(w->ctx, &w->observer);
    syn_tasks_free(w->ctx, &w->tasks);
    syn_params_free(w->ctx, &w->judge.params);
}

syn_status syn_bench_env(syn_ctx *ctx, int64_t envs, bool tiny, const syn_corpus *corpus,
                         const syn_perception *judge, syn_bench_row rows[2])
{
    syn_status st;
    world w = {.ctx = ctx, .E = envs, .tiny = tiny, .env = SYN_ENV_CONFIG_DEFAULT, .judge = *judge};
    memset(&w.judge.params, 0, sizeof w.judge.params);
    SYN_TRY(syn_params_clone(ctx, &w.judge.params, &judge->params));
    SYN_TRY(allocate(&w, corpus));
    SYN_TRY(fill(&w, corpus));
    w.source = (syn_env_source){w.tasks.info, w.record, corpus->records, 0.3f, 1, {0}};
    for (int k = 0; k < 2; k++) {
        w.features = k == 1;
        SYN_TRY(syn_env_reset_batch(ctx, envs, w.envs, &w.env, &w.source, 0));
        SYN_TRY(measure(&w, &rows[k]));
    }
done:
    release(&w);
    return st;
}
