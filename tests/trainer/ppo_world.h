/* PPO on tasks and networks that are drawn, small enough for an emulated device. */
#ifndef SYN_TESTS_TRAINER_PPO_WORLD_H
#define SYN_TESTS_TRAINER_PPO_WORLD_H

#include "kernels/lstm.h"
#include "tests/cuda.h"
#include "tests/random_tasks.h"
#include "trainer/ppo_private.h"

enum { RECORDS = 6, PIECES = 5 };

/* The ways to compute an LSTM have a test of their own; emulated, this one takes the least time. */
static inline int ppo_set_up(void **state)
{
#ifdef SYN_CUDA_EMULATED
    return syn_lstm_variant_set("step") == SYN_OK ? 0 : -1;
#else
    return 0;
#endif
}

/* Tasks, judges and a policy in host memory, and PPO on one of the devices. */
typedef struct world {
    syn_ctx host, ctx;
    syn_corpus corpus;
    syn_perception judge;
    syn_control control;
    int32_t record[RECORDS];
    syn_ppo_config cfg;
    syn_dist *dist; /* borrowed; NULL: one rank */
    syn_ppo ppo;
} world;

static inline syn_ppo_config tiny(int64_t shards)
{
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    cfg.minibatches = 2;
    cfg.shards = shards;
    cfg.shard_envs = 2 / shards;
    cfg.horizon = 3;
    cfg.epochs = 2;
    cfg.kl_stop = 1e9;
    cfg.lr_actor = cfg.lr_critic = 1e-3;
    return cfg;
}

static inline syn_status world_begin(world *w, const syn_ppo_config *cfg)
{
    const syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    const syn_ppo_source source = {&w->judge, w->record, RECORDS};
    w->cfg = *cfg;
    for (int k = 0; k < RECORDS; k++) w->record[k] = k;
    w->corpus.records = RECORDS;
    random_tasks(&w->host, &w->corpus.tasks, 2 * RECORDS, PIECES, 2);
    assert_ok(syn_perception_init(&w->host, &w->judge, 2));
    assert_ok(syn_control_init(&w->host, &w->control, 3));
    return syn_ppo_init(&w->ctx, &w->ppo, cfg, &env, &w->corpus, true, &source, 1, 0.3f,
                        &w->control, w->dist);
}

/* NULL where there is no such device. */
static inline world *world_open(syn_device device)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    if (syn_ctx_init(&w->ctx, device, 1) == SYN_OK) {
        assert_ok(syn_ctx_init(&w->host, SYN_DEVICE_CPU, 1));
        return w;
    }
    print_message("%s\n", syn_error_text());
    free(w);
    return NULL;
}

static inline world *world_make(syn_device device, int64_t shards)
{
    const syn_ppo_config cfg = tiny(shards);
    world *w = world_open(device);
    if (!w) skip();
    assert_ok(world_begin(w, &cfg));
    return w;
}

static inline void world_free(world *w)
{
    if (w->ppo.ctx) syn_ppo_free(&w->ppo);
    syn_control_free(&w->host, &w->control);
    syn_perception_free(&w->host, &w->judge);
    syn_tasks_free(&w->host, &w->corpus.tasks);
    syn_ctx_free(&w->host);
    syn_ctx_free(&w->ctx);
    free(w);
}

static inline void updates(world *w, int count, syn_ppo_stats *stats)
{
    for (int k = 0; k < count; k++) {
        assert_ok(syn_ppo_rollout(&w->ppo));
        assert_ok(syn_ppo_update(&w->ppo, 0.25, stats));
    }
}

static inline uint64_t weights(world *w)
{
    assert_ok(syn_ppo_fetch(&w->ppo));
    return syn_params_hash(&w->control.params);
}

#endif
