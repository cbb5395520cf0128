#include "benchmarks/bench_ppo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/timing.h"
#include "datasets/prepare.h"
#include "datasets/synth.h"
#include "engine/model.h"
#include "kernels/base/progress.h"
#include "trainer/ppo.h"

enum { TASKS = 200, ENVS = 4096, ENV_TURNS = 10, A = SYN_ACTIONS_MAX, PARTS = 6 };
enum { WARM_UP_RUNS = 1, RUNS = 5 }; /* the same on all ranks */

typedef struct bench {
    syn_ctx *ctx;
    syn_dist *dist;
    syn_dataset ds;
    syn_model model;
    syn_corpus corpus;
    int32_t *record;
    syn_ppo ppo;
    syn_env_config env;
    syn_env_source source;
    syn_env *envs;
    uint64_t *next;
    syn_env_tally *tally;
    int32_t *action;
    real *reward;
    uint8_t *done, *mask;
    float *rank;
    uint64_t draw;
} bench;

/* Synthetic tasks by way of a file that is gone when this returns. */
static syn_status load_tasks(bench *b)
{
    char path[] = "/tmp/syncog-bench-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) return syn_fail(SYN_ERR_IO, "/tmp: no temporary file can be made for the tasks");
    close(fd);
    syn_synth_options o = syn_synth_defaults();
    o.tasks = TASKS;
    o.seed = 1;
    syn_status st = syn_synth_write(&o, path);
    if (st == SYN_OK) st = syn_dataset_read_json(&b->ds, "hotpotqa", path);
    unlink(path);
    return st;
}

/* The k-th legal action for a random k, eight mask bytes at a time. */
static int random_legal(const uint8_t *mask, uint32_t draw)
{
    uint64_t word[(A + 7) / 8] = {0};
    int n = 0, w = 0;
    memcpy(word, mask, A);
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) n += __builtin_popcountll(word[i]);
    int k = (int)((uint64_t)draw * (uint64_t)n >> 32);
    for (int here; k >= (here = __builtin_popcountll(word[w])); w++) k -= here;
    while (k--) word[w] &= word[w] - 1;
    return w * 8 + __builtin_ctzll(word[w]) / 8;
}

static syn_status env_turns(void *user)
{
    bench *b = user;
    for (int t = 0; t < ENV_TURNS; t++, b->draw++) {
        SYN_RETURN_IF(syn_env_mask_batch(b->ctx, ENVS, b->envs, b->mask));
#pragma omp parallel for schedule(static) num_threads(b->ctx->threads)
        for (int64_t e = 0; e < ENVS; e++) {
            b->action[e] = random_legal(
                b->mask + e * A,
                syn_rng_block(1, SYN_STREAM_ACTION, b->draw * ENVS + (uint64_t)e).x[0]);
        }
        SYN_RETURN_IF(syn_env_step_batch(b->ctx, ENVS, b->envs, &b->env, &b->source, b->action,
                                         b->rank, b->reward, b->done, b->tally, b->next, ENVS));
    }
    return SYN_OK;
}

static syn_status rollout(void *user)
{
    return syn_ppo_rollout(&((bench *)user)->ppo);
}

static syn_status update(void *user)
{
    syn_ppo_stats stats;
    return syn_ppo_update(&((bench *)user)->ppo, 0.5, &stats);
}

static syn_status both(void *user)
{
    SYN_RETURN_IF(rollout(user));
    return update(user);
}

/* A number of runs that does not depend on the clock: other ranks take part. */
static syn_status measure(syn_status (*work)(void *user), bench *b, syn_bench_row *row)
{
    double times[RUNS];
    for (int k = -WARM_UP_RUNS; k < RUNS; k++) {
        const double before = syn_clock_s();
        if (k == 0) b->ppo.times = (syn_ppo_times){0};
        SYN_RETURN_IF(work(b));
        if (k >= 0) times[k] = syn_clock_s() - before;
    }
    syn_bench_percentiles(times, RUNS, row);
    return SYN_OK;
}

/* What the runs of `whole` have spent their time on. */
static void divide(const syn_ppo_times *t, const syn_bench_row *whole, syn_bench_row *parts)
{
    const double spent[PARTS] = {t->env,      t->observe, t->forward,
                                 t->backward, t->reduce,  t->optimise};
    double sum = 0;
    for (int k = 0; k < PARTS; k++) sum += spent[k];
    for (int k = 0; k < PARTS; k++) {
        parts[k].runs = whole->runs;
        parts[k].p50_s = parts[k].p99_s = spent[k] / whole->runs;
        parts[k].share = spent[k] / sum;
    }
}

static syn_status prepare_env(bench *b)
{
    b->envs = calloc(ENVS, sizeof *b->envs);
    b->next = calloc(ENVS, sizeof *b->next);
    b->tally = calloc(ENVS, sizeof *b->tally);
    b->action = calloc(ENVS, sizeof *b->action);
    b->reward = calloc(ENVS, sizeof *b->reward);
    b->done = calloc(ENVS, 1);
    b->mask = calloc(ENVS, A);
    b->rank = calloc((size_t)ENVS * SYN_AGENTS_MAX * SYN_ROWS_MAX, sizeof *b->rank);
    if (!b->envs || !b->next || !b->tally || !b->action || !b->reward || !b->done || !b->mask ||
        !b->rank) {
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %d environments", ENVS);
    }
    for (uint64_t e = 0; e < ENVS; e++) b->next[e] = ENVS + e;
    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    for (int64_t i = 0; i < (int64_t)ENVS * SYN_AGENTS_MAX * SYN_ROWS_MAX; i++)
        b->rank[i] = syn_rng_uniform(&rng);
    return syn_env_reset_batch(b->ctx, ENVS, b->envs, &b->env, &b->source, 0);
}

static syn_status prepare(bench *b)
{
    SYN_RETURN_IF(load_tasks(b));
    SYN_RETURN_IF(syn_model_init(b->ctx, &b->model, 1));
    SYN_RETURN_IF(syn_corpus_idf(&b->ds, NULL, b->model.idf));
    SYN_RETURN_IF(
        syn_corpus_build(b->ctx, &b->corpus, &b->ds, NULL, NULL, b->model.idf, b->model.table, 0));
    SYN_RETURN_IF(syn_perception_init(b->ctx, &b->model.perception, 1));
    SYN_RETURN_IF(syn_control_init(b->ctx, &b->model.control, 1));
    b->record = malloc(sizeof *b->record * (size_t)b->corpus.records);
    if (!b->record) return syn_fail(SYN_ERR_MEMORY, "out of memory for the tasks");
    for (int64_t k = 0; k < b->corpus.records; k++) b->record[k] = (int32_t)k;
    b->source = (syn_env_source){b->corpus.tasks.info, b->record, b->corpus.records, 0.3f, 1};
    SYN_RETURN_IF(prepare_env(b));
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    cfg.minibatches = 4;
    cfg.shards = syn_dist_size(b->dist);
    cfg.shard_envs = 32;
    cfg.epochs = 4;
    cfg.kl_stop = 1e9; /* every update does all its epochs */
    const syn_ppo_source source = {&b->model.perception, b->record, b->corpus.records};
    return syn_ppo_init(b->ctx, &b->ppo, &cfg, &b->env, &b->corpus, true, &source, 1, 0.3f,
                        &b->model.control, b->dist);
}

static void bench_free(bench *b)
{
    void *all[] = {b->envs, b->next, b->tally, b->action, b->reward,
                   b->done, b->mask, b->rank,  b->record};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    if (b->ppo.ctx) syn_ppo_free(&b->ppo);
    syn_corpus_free(b->ctx, &b->corpus);
    syn_model_free(b->ctx, &b->model);
    syn_dataset_free(&b->ds);
}

syn_status syn_bench_ppo(bool json, int threads)
{
    syn_ctx ctx;
    SYN_RETURN_IF(syn_ctx_init(&ctx, SYN_DEVICE_CPU, threads));
    bench b = {.ctx = &ctx, .env = SYN_ENV_CONFIG_DEFAULT};
    syn_bench_row rows[4 + PARTS] = {
        {.name = "env", .steps = (double)ENVS * ENV_TURNS},
        {.name = "rollout"},
        {.name = "update"},
        {.name = "end_to_end"},
        {.name = "env_part"},
        {.name = "features_part"},
        {.name = "forward_part"},
        {.name = "backward_part"},
        {.name = "all_reduce_part"},
        {.name = "optimiser_part"},
    };
    syn_status st;
    SYN_TRY(syn_dist_open(NULL, &b.dist));
    SYN_TRY(prepare(&b));
    rows[1].steps = rows[3].steps = (double)syn_ppo_steps_per_update(&b.ppo.cfg);
    rows[3].bytes = (double)syn_ppo_env_bytes(&b.ppo.cfg);
    SYN_TRY(syn_bench_measure(env_turns, &b, 20, &rows[0]));
    SYN_TRY(measure(rollout, &b, &rows[1]));
    SYN_TRY(measure(update, &b, &rows[2]));
    SYN_TRY(measure(both, &b, &rows[3]));
    divide(&b.ppo.times, &rows[3], rows + 4);
    if (syn_dist_rank(b.dist) == 0) syn_bench_print("ppo", rows, 4 + PARTS, ctx.threads, 0, json);
done:
    if (st != SYN_OK) syn_dist_abort(b.dist, syn_error_text());
    bench_free(&b);
    syn_dist_close(b.dist);
    syn_ctx_free(&ctx);
    return st;
}
