#include "benchmarks/bench_ppo.h"

#include <stdlib.h>
#include <string.h>

#include "benchmarks/bench_env.h"
#include "benchmarks/drawn_corpus.h"
#include "benchmarks/gpu_limits.h"
#include "kernels/base/progress.h"
#include "trainer/ppo.h"

enum { TASKS = 200, PARTS = 6 };
enum { ROW_ENV, ROW_ENV_FEATURES, ROW_ROLLOUT, ROW_UPDATE, ROW_END_TO_END, ROW_PARTS };
enum { WARM_UP_RUNS = 2, RUNS = 5 }; /* the same on all ranks; a graph is recorded in the second */
enum { ENVS_CPU = 4096, ENVS_CUDA = 65536, ENVS_TINY = 16, MINIBATCHES = 4, N = SYN_AGENTS_MAX };

typedef struct bench {
    const syn_bench_ppo_options *options;
    syn_ctx ctx, host; /* host: where tasks, judge and policy lie */
    syn_dist *dist;
    syn_perception perception;
    syn_control control;
    syn_corpus corpus;
    int32_t *record;
    syn_ppo ppo;
} bench;

static syn_status rollout(bench *b)
{
    return syn_ppo_rollout(&b->ppo);
}

static syn_status update(bench *b)
{
    syn_ppo_stats stats;
    return syn_ppo_update(&b->ppo, 0.5, &stats);
}

static syn_status both(bench *b)
{
    SYN_RETURN_IF(rollout(b));
    return update(b);
}

/* A number of runs that does not depend on the clock: other ranks take part. */
static syn_status measure(syn_status (*work)(bench *b), bench *b, syn_bench_row *row)
{
    double times[RUNS];
    const int runs = b->options->tiny ? 1 : RUNS;
    for (int k = b->options->tiny ? 0 : -WARM_UP_RUNS; k < runs; k++) {
        const double before = syn_clock_s();
        if (k == 0) b->ppo.times = (syn_ppo_times){0};
        SYN_RETURN_IF(work(b));
        SYN_RETURN_IF(syn_wait(&b->ctx));
        if (k >= 0) times[k] = syn_clock_s() - before;
    }
    syn_bench_percentiles(times, runs, row);
    return SYN_OK;
}

/* What the runs of `whole` have spent their time on; on CUDA only what ranks wait for is apart. */
static void divide(const syn_ppo_times *t, const syn_bench_row *whole, syn_bench_row *parts)
{
    const double spent[PARTS] = {t->env,      t->observe, t->forward,
                                 t->backward, t->reduce,  t->optimise};
    double sum = 0;
    for (int k = 0; k < PARTS; k++) sum += spent[k];
    for (int k = 0; sum > 0 && k < PARTS; k++) {
        parts[k].runs = whole->runs;
        parts[k].p50_s = parts[k].p99_s = spent[k] / whole->runs;
        parts[k].share = spent[k] / sum;
    }
}

/* Floating-point operations of the policy's forward pass for one environment step: every weight of
 * a matrix once, for agents and pairs as often as there are any on the average of 2 to 10 agents.
 * The judges' work, which depends on what has changed, is not in it. */
static double forward_flops(const syn_params *p)
{
    double flops = 0, agents = 0, pairs = 0;
    for (int n = 2; n <= N; n++) {
        agents += (double)n / (N - 1);
        pairs += (double)n * (n - 1) / (N - 1);
    }
    for (int i = 0; i < p->count; i++) {
        const char *name = p->item[i].name;
        double times = 1;
        if (p->item[i].rank < 2) continue;
        if (strstr(name, "pair.x") || strcmp(name, "policy.pair.w") == 0) times = pairs;
        if (strstr(name, "pair.q") || strstr(name, "pair.r") || strstr(name, "agent.q") ||
            strcmp(name, "policy.agent.w") == 0)
            times = agents;
        flops += 2 * times * (double)p->item[i].count;
    }
    return flops;
}

/* The observation of a step, which the roll-out writes and reads and each epoch reads again. */
static double observed_bytes(void)
{
    return sizeof(real) *
           (double)(SYN_DM + N * SYN_CKM + 2 * N * N * SYN_PAIR_X + N * SYN_AGENT_X + SYN_SUMMARY);
}

static void count_work(const bench *b, syn_bench_row *rows)
{
    const double steps = (double)syn_ppo_steps_per_update(&b->ppo.cfg), epochs = b->ppo.cfg.epochs;
    const double forward = forward_flops(&b->control.params), bytes = observed_bytes();
    rows[ROW_ROLLOUT].steps = rows[ROW_END_TO_END].steps = steps;
    rows[ROW_ROLLOUT].flops = steps * forward;
    rows[ROW_UPDATE].flops = steps * forward * 3 * epochs;
    rows[ROW_END_TO_END].flops = steps * forward * (1 + 3 * epochs);
    rows[ROW_ROLLOUT].moved = steps * bytes * 2;
    rows[ROW_UPDATE].moved = steps * bytes * epochs;
    rows[ROW_END_TO_END].moved = steps * bytes * (2 + epochs);
    rows[ROW_END_TO_END].bytes = (double)syn_ppo_env_bytes(&b->ppo.cfg);
}

static syn_status prepare(bench *b)
{
    SYN_RETURN_IF(syn_drawn_corpus(&b->host, &b->corpus, TASKS, 1));
    SYN_RETURN_IF(syn_perception_init(&b->host, &b->perception, 1));
    SYN_RETURN_IF(syn_control_init(&b->host, &b->control, 1));
    b->record = malloc(sizeof *b->record * (size_t)b->corpus.records);
    if (!b->record) return syn_fail(SYN_ERR_MEMORY, "out of memory for the tasks");
    for (int64_t k = 0; k < b->corpus.records; k++) b->record[k] = (int32_t)k;
    return SYN_OK;
}

static syn_status prepare_ppo(bench *b)
{
    const syn_bench_ppo_options *o = b->options;
    const syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    const int envs = o->envs ? o->envs : o->tiny ? 2 * MINIBATCHES : o->cuda ? 4096 : 128;
    SYN_REQUIRE(envs > 0 && envs % MINIBATCHES == 0, "%d environments are no multiple of %d", envs,
                MINIBATCHES);
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    cfg.minibatches = MINIBATCHES;
    cfg.shards = syn_dist_size(b->dist);
    cfg.shard_envs = envs / MINIBATCHES;
    cfg.epochs = o->tiny ? 1 : 4;
    if (o->tiny) cfg.horizon = 2;
    cfg.kl_stop = 1e9; /* every update does all its epochs */
    const syn_ppo_source source = {&b->perception, b->record, b->corpus.records};
    return syn_ppo_init(&b->ctx, &b->ppo, &cfg, &env, &b->corpus, true, &source, 1, 0.3f,
                        &b->control, b->dist);
}

static syn_status open_ctx(bench *b)
{
    const syn_bench_ppo_options *o = b->options;
    const syn_device device = o->cuda ? SYN_DEVICE_CUDA : SYN_DEVICE_CPU;
    if (o->cuda) syn_device_select(syn_dist_local_rank());
    SYN_RETURN_IF(syn_ctx_init(&b->ctx, device, o->threads));
    if (o->mixed) b->ctx.math = SYN_MATH_MIXED;
    return SYN_OK;
}

/* The rate that shares are of; 0 on the CPU, where bench kernels has it. */
static syn_status measure_peak(bench *b, double *peak)
{
    syn_gpu_limits limits;
    *peak = 0;
    if (!b->options->cuda) return SYN_OK;
    SYN_RETURN_IF(syn_gpu_limits_measure(&b->ctx, b->options->tiny, &limits));
    *peak = 1e12 * (b->options->mixed ? limits.tf32_tflops : limits.fp32_tflops);
    return SYN_OK;
}

static void bench_free(bench *b)
{
    free(b->record);
    if (b->ppo.ctx) syn_ppo_free(&b->ppo);
    syn_control_free(&b->host, &b->control);
    syn_perception_free(&b->host, &b->perception);
    syn_corpus_free(&b->host, &b->corpus);
    syn_dist_close(b->dist);
    syn_ctx_free(&b->ctx);
    syn_ctx_free(&b->host);
}

static syn_status measure_all(bench *b, syn_bench_row *rows, double *peak)
{
    const syn_bench_ppo_options *o = b->options;
    const int64_t envs = o->tiny ? ENVS_TINY : o->cuda ? ENVS_CUDA : ENVS_CPU;
    const syn_dist_config ranks = {.ctx = &b->ctx};
    SYN_RETURN_IF(prepare(b));
    SYN_RETURN_IF(measure_peak(b, peak));
    SYN_RETURN_IF(syn_bench_env(&b->ctx, envs, o->tiny, &b->corpus, &b->perception, rows));
    syn_ctx_free(&b->ctx); /* the trainer takes its memory in one piece, from an empty context */
    SYN_RETURN_IF(open_ctx(b));
    SYN_RETURN_IF(syn_dist_open(&ranks, &b->dist));
    SYN_RETURN_IF(prepare_ppo(b));
    SYN_RETURN_IF(measure(rollout, b, &rows[ROW_ROLLOUT]));
    SYN_RETURN_IF(measure(update, b, &rows[ROW_UPDATE]));
    SYN_RETURN_IF(measure(both, b, &rows[ROW_END_TO_END]));
    count_work(b, rows);
    divide(&b->ppo.times, &rows[ROW_END_TO_END], rows + ROW_PARTS);
    return SYN_OK;
}

syn_status syn_bench_ppo(const syn_bench_ppo_options *options)
{
    bench b = {.options = options};
    double peak = 0;
    syn_bench_row rows[ROW_PARTS + PARTS] = {
        {.name = "env"},
        {.name = "env_features"},
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
    SYN_RETURN_IF(open_ctx(&b));
    syn_status st = syn_ctx_init(&b.host, SYN_DEVICE_CPU, options->threads);
    if (st == SYN_OK) st = measure_all(&b, rows, &peak);
    if (st == SYN_OK && syn_dist_rank(b.dist) == 0) {
        const int count = rows[ROW_PARTS].share > 0 ? ROW_PARTS + PARTS : ROW_PARTS;
        syn_bench_print_on("ppo", options->cuda ? "cuda" : "cpu", rows, count, b.host.threads, peak,
                           options->json);
    }
    if (st != SYN_OK && b.dist) syn_dist_abort(b.dist, syn_error_text());
    bench_free(&b);
    return st;
}
