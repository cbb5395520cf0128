#include "benchmarks/bench_learn.h"

#include <stdio.h>
#include <stdlib.h>

#include "benchmarks/drawn_corpus.h"
#include "kernels/base/progress.h"
#include "trainer/ppo.h"
#include "trainer/task_file.h"

enum { RECORDS = 200, RECORDS_TINY = 8 };

typedef struct learner {
    syn_ctx host; /* where tasks, judges and the policy lie; ctx's device has copies */
    syn_corpus corpus;
    syn_perception judge;
    syn_control control;
    int32_t *record;
    syn_ppo ppo;
} learner;

/* Sums over the episodes that ended in some updates. */
typedef struct tally {
    double episodes, episode_return, success;
} tally;

static void add(tally *t, const syn_env_tally *x)
{
    t->episodes += x->episodes;
    t->episode_return += (double)x->episode_return;
    t->success += x->success + x->abstained_right;
}

static double mean(double sum, const tally *t)
{
    return t->episodes > 0 ? sum / t->episodes : 0;
}

static syn_status prepare(syn_ctx *ctx, learner *l, const syn_bench_learn_options *o)
{
    const syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    if (o->tasks) {
        SYN_RETURN_IF(syn_task_file_read(&l->host, o->tasks, &l->corpus, &l->judge));
    } else {
        SYN_RETURN_IF(syn_drawn_corpus(&l->host, &l->corpus, o->tiny ? RECORDS_TINY : RECORDS, 1));
        SYN_RETURN_IF(syn_perception_init(&l->host, &l->judge, 1));
    }
    SYN_RETURN_IF(syn_control_init(&l->host, &l->control, o->seed));
    l->record = malloc(sizeof *l->record * (size_t)l->corpus.records);
    if (!l->record) return syn_fail(SYN_ERR_MEMORY, "out of memory for the tasks");
    for (int64_t k = 0; k < l->corpus.records; k++) l->record[k] = (int32_t)k;
    cfg.minibatches = o->tiny ? 1 : 4;
    cfg.shard_envs = o->tiny ? 2 : 32;
    cfg.horizon = o->tiny ? 3 : 32;
    cfg.epochs = o->tiny ? 1 : 4;
    cfg.seed = o->seed;
    const syn_ppo_source source = {&l->judge, l->record, l->corpus.records};
    return syn_ppo_init(ctx, &l->ppo, &cfg, &env, &l->corpus, true, &source, 1, 0.3f, &l->control,
                        NULL);
}

static syn_status learn(learner *l, const syn_bench_learn_options *o, tally *first, tally *last)
{
    const int quarter = (o->updates + 3) / 4;
    for (int u = 0; u < o->updates; u++) {
        syn_ppo_stats stats;
        SYN_RETURN_IF(syn_ppo_rollout(&l->ppo));
        SYN_RETURN_IF(syn_ppo_update(&l->ppo, (double)u / o->updates, &stats));
        if (u < quarter) add(first, &stats.tally);
        if (u >= o->updates - quarter) add(last, &stats.tally);
    }
    return syn_ppo_fetch(&l->ppo);
}

syn_status syn_bench_learn(syn_ctx *ctx, const syn_bench_learn_options *options)
{
    syn_status st;
    learner l = {0};
    tally first = {0}, last = {0};
    SYN_RETURN_IF(syn_ctx_init(&l.host, SYN_DEVICE_CPU, ctx->threads));
    SYN_TRY(prepare(ctx, &l, options));
    const double begun = syn_clock_s();
    SYN_TRY(learn(&l, options, &first, &last));
    printf("{\"bench\": \"learn\", \"device\": \"%s\", \"math\": \"%s\", \"seed\": %llu, "
           "\"updates\": %d, \"env_steps\": %lld, \"seconds\": %.3f, \"first_return\": %.4f, "
           "\"return\": %.4f, \"success\": %.4f, \"episodes\": %.0f, \"hash\": \"%016llx\"}\n",
           ctx->device == SYN_DEVICE_CUDA ? "cuda" : "cpu",
           ctx->math == SYN_MATH_MIXED ? "mixed" : "fp32", (unsigned long long)options->seed,
           options->updates, (long long)(options->updates * syn_ppo_steps_per_update(&l.ppo.cfg)),
           syn_clock_s() - begun, mean(first.episode_return, &first),
           mean(last.episode_return, &last), mean(last.success, &last), last.episodes,
           (unsigned long long)syn_params_hash(&l.control.params));
done:
    if (l.ppo.ctx) syn_ppo_free(&l.ppo);
    free(l.record);
    syn_control_free(&l.host, &l.control);
    syn_perception_free(&l.host, &l.judge);
    syn_corpus_free(&l.host, &l.corpus);
    syn_ctx_free(&l.host);
    return st;
}
