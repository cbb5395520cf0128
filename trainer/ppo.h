/* Phase 2: PPO with a recurrent policy (Schulman et al. 2017; whole sequences per minibatch, resets
 * inside the time loop).
 *
 * The global batch is a fixed number of shards. A shard is a set of environments with its own
 * observer, recurrent state and buffers, rolled out and differentiated with one shape; a minibatch
 * is one shard. With cross-fitted perceptions, shard s draws only records that perception s % folds
 * has not seen. */
#ifndef SYN_TRAINER_PPO_H
#define SYN_TRAINER_PPO_H

#include "engine/control.h"
#include "kernels/env.h"
#include "kernels/gae.h"
#include "kernels/loss.h"
#include "trainer/corpus.h"

enum { SYN_PPO_SHARDS_MAX = 256 };

typedef struct syn_ppo_config {
    int64_t shards, shard_envs, horizon; /* environments = shards * shard_envs */
    int epochs;
    double lr_actor, lr_critic, gamma, gae_lambda, clip_epsilon;
    double entropy_coef, entropy_coef_end; /* linear over the run */
    double value_loss_coef, max_grad_norm, kl_stop, reward_scale, weight_decay;
    bool decay_lr; /* to a tenth, linearly over the run */
    uint64_t seed;
} syn_ppo_config;

#define SYN_PPO_DEFAULT                                                                            \
    {                                                                                              \
        8, 16, 32, 5, 7e-4, 1e-3, 0.99, 0.95, 0.2, 0.005, 0.001, 0.5, 0.5, 0.02, 0.1, 0.0, true, 1 \
    }

/* What one shard draws its episodes from. */
typedef struct syn_ppo_source {
    const syn_perception *perception;
    const int32_t *record; /* indices into the corpus, owned by the caller */
    int64_t records;
} syn_ppo_source;

typedef struct syn_ppo_shard {
    const syn_perception *perception;
    syn_env_source source;
    syn_env *envs;
    uint64_t *next;
    syn_env_tally *tally;
    syn_observer observer;
    syn_observation x; /* (T, E) rows, then one more step for the bootstrap value */
    real *h, *c;       /* (E, SYN_STATE): at the end of the roll-out */
    real *h0, *c0;     /* at its start */
    real *logit;       /* (T*E, A); backward: its gradient */
    real *logp, *value, *reward, *advantage, *ret, *dvalue; /* (T,E); value (T+1,E) */
    int32_t *action;
    uint8_t *done;
    uint64_t *counter; /* (E): action draws */
} syn_ppo_shard;

typedef struct syn_ppo_stats {
    double policy_loss, value_loss, entropy, entropy_share, kl, clip_fraction, grad_norm, explained;
    bool kl_stopped;
    syn_env_tally tally; /* episodes that ended in this update */
} syn_ppo_stats;

typedef struct syn_ppo {
    syn_ctx *ctx;
    syn_ppo_config cfg;
    syn_env_config env;
    const syn_corpus *corpus;
    syn_control *control;
    syn_ppo_shard *shard;
    int64_t updates;
    bool fresh; /* the episodes begin with the next roll-out */
} syn_ppo;

/* control's gradients are allocated here. sources: `source_count` of them, shard s uses s %
 * source_count. */
SYN_WARN_UNUSED syn_status syn_ppo_init(syn_ctx *ctx, syn_ppo *p, const syn_ppo_config *cfg,
                                        const syn_env_config *env, const syn_corpus *corpus,
                                        bool central, const syn_ppo_source *sources,
                                        int source_count, float untitled_share,
                                        syn_control *control);
void syn_ppo_free(syn_ppo *p);

/* Begins all episodes anew, with numbers and draws that follow from p->updates alone. A run that
 * does this where it saves its state, and one that is resumed from there, go on alike to the bit.
 */
SYN_WARN_UNUSED syn_status syn_ppo_restart(syn_ppo *p);

static inline int64_t syn_ppo_steps_per_update(const syn_ppo_config *c)
{
    return c->shards * c->shard_envs * c->horizon;
}

/* One roll-out of the horizon in every shard, and advantages. */
SYN_WARN_UNUSED syn_status syn_ppo_rollout(syn_ppo *p);

/* The epochs over the roll-out; progress in [0, 1] drives the schedules. */
SYN_WARN_UNUSED syn_status syn_ppo_update(syn_ppo *p, double progress, syn_ppo_stats *stats);

#endif
