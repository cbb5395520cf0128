/* Phase 2 from a pre-trained model: PPO updates, evaluation on held-out records, checkpoints,
 * metrics. */
#ifndef SYN_TRAINER_TRAIN_H
#define SYN_TRAINER_TRAIN_H

#include "engine/model.h"
#include "trainer/ppo.h"

typedef struct syn_train_config {
    syn_ppo_config ppo;
    syn_env_config env;
    int64_t env_steps;     /* in all */
    int64_t eval_interval; /* updates between evaluations on held-out records */
    int64_t eval_episodes;
    int64_t checkpoint_interval; /* updates between saves of the latest state; 0: only the best */
    bool save_best_only;
    float untitled_share;
    const char *out; /* OUT is the best; OUT/latest what --resume continues from */
    const char *config_json, *provenance_json;
    int64_t done_steps; /* already taken, on --resume */
    double best_return; /* of the run that is resumed; -INFINITY else */
} syn_train_config;

typedef struct syn_train_result {
    int64_t env_steps, updates, best_steps;
    double seconds, rollout_seconds, update_seconds, best_return, kl_stop_share;
} syn_train_result;

/* Trains model->control in place; the weights of the best evaluation are in it at the end and in
 * cfg->out. Metrics are appended to OUT/metrics.jsonl, one object per update. Episodes begin anew
 * after every save of the latest state, so that a run resumed from there with the same options ends
 * in the same bits as one that was never interrupted. */
SYN_WARN_UNUSED syn_status syn_train(syn_ctx *ctx, const syn_train_config *cfg,
                                     const syn_dataset *ds, const syn_corpus *corpus,
                                     syn_model *model, syn_train_result *result);

#endif
