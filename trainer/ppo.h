/* Phase 2: PPO with a recurrent policy (Schulman et al. 2017; whole sequences per minibatch, resets
 * inside the time loop), on one rank or several (trainer/dist.h).
 *
 * The environments are cut into minibatches, and every minibatch into shards of one shape, which
 * the ranks share out: rank r has the shards [r * S / R, (r + 1) * S / R) of each. A shard has its
 * own observer, recurrent state and buffers and is rolled out and differentiated by itself; a
 * minibatch's gradient is the sum over its shards in a fixed binary tree, ((0+1)+(2+3))+..., and
 * everything else that is summed goes the same way. So for a given number of shards the bits are
 * the same on any number of ranks. With cross-fitted perceptions, minibatch m draws only records
 * that perception m % folds has not seen.
 *
 * At every boundary between two updates all that the next one depends on is: the weights and their
 * moments, p->updates, p->norm, and per environment its state, recurrent state, episode number and
 * draw counter (ppo_state.h saves them). What the observers cache is made again there from the
 * environments alone.
 *
 * Numbers that are not finite end an update before the step that would spread them, and weights
 * that a step has made so end it too: SYN_ERR_NUMERIC, with a sentence that names the quantity, the
 * update and the place. */
#ifndef SYN_TRAINER_PPO_H
#define SYN_TRAINER_PPO_H

#include "engine/control.h"
#include "kernels/base/graph.h"
#include "kernels/env.h"
#include "kernels/gae.h"
#include "kernels/loss.h"
#include "trainer/corpus.h"
#include "trainer/dist.h"
#include "trainer/ppo_ops.h"
#include "trainer/value_norm.h"

enum {
    SYN_PPO_MINIBATCHES_MAX = 256,
    SYN_PPO_EPOCHS_MAX = 64,          /* each has its own draws for the order of the minibatches */
    SYN_PPO_DETERMINISTIC_SHARDS = 8, /* of a minibatch, where bits may not depend on the ranks */
    SYN_PPO_LEVELS_MAX = 8            /* partial sums that wait in the tree: 2^7 shards on a rank */
};

typedef struct syn_ppo_config {
    int64_t minibatches;         /* optimiser steps of an epoch */
    int64_t shards;              /* of a minibatch, over all ranks */
    int64_t shard_envs, horizon; /* environments = minibatches * shards * shard_envs */
    int epochs;
    double lr_actor, lr_critic, gamma, gae_lambda, clip_epsilon;
    double entropy_coef, entropy_coef_end; /* linear over the schedule */
    double value_loss_coef, max_grad_norm, kl_stop, reward_scale, weight_decay;
    bool decay_lr; /* to a tenth, linearly over the schedule */
    bool value_norm;
    uint64_t seed;
} syn_ppo_config;

#define SYN_PPO_DEFAULT                                                                            \
    {                                                                                              \
        8, 1, 16, 32, 5, 4e-4, 1e-3, 0.99, 0.95, 0.2, 0.005, 0.001, 0.5, 0.5, 0.02, 0.1, 0.0,      \
            true, true, 1                                                                          \
    }

/* What one minibatch draws its episodes from. */
typedef struct syn_ppo_source {
    const syn_perception *perception;
    const int32_t *record; /* indices into the corpus, host memory, owned by the caller */
    int64_t records;
} syn_ppo_source;

typedef struct syn_ppo_shard syn_ppo_shard; /* trainer/ppo_private.h */

/* Seconds, as this rank has spent them since the beginning. */
typedef struct syn_ppo_times {
    double env, observe, forward, backward, reduce, optimise;
    double device; /* on CUDA the parts but `reduce` are one: queued, then waited for */
} syn_ppo_times;

/* Means over all ranks; the same bits on each. */
typedef struct syn_ppo_stats {
    double policy_loss, value_loss, entropy, entropy_share, kl, clip_fraction;
    double grad_norm, grad_norm_max; /* of the actor before clipping, over the optimiser steps */
    double explained;                /* share of the returns' variance that the values foretold */
    double value_mean, value_std;    /* of the value normalisation */
    double lr_actor, lr_critic, entropy_coef;
    double kinds[SYN_ACTION_KINDS]; /* actions taken in the roll-out, by kind */
    int epochs;                     /* begun */
    bool kl_stopped;
    syn_env_tally tally; /* episodes that ended in this update */
} syn_ppo_stats;

/* Whoever wants to know what a shard of this rank, by its number, reads and learns. */
typedef struct syn_ppo_watch {
    void (*rollout)(void *user); /* one begins */
    /* The environments (shard_envs, in ctx's memory) as they stand before a turn of the roll-out;
     * NULL: nobody. On CUDA it queues work, which is recorded with the roll-out. */
    syn_status (*turn)(void *user, int64_t shard, int64_t turn, const syn_env *envs);
    /* Where the gradient of the CKM vectors that the policy reads goes, (horizon, shard_envs,
     * SYN_AGENTS_MAX, SYN_CKM), of the loss's mean over the minibatch; asked for before every pass,
     * NULL: not wanted, as ever after an update's first epoch. */
    real *(*dckm)(void *user, int64_t shard);
    void *user;
} syn_ppo_watch;

typedef struct syn_ppo_device syn_ppo_device; /* trainer/ppo_private.h */

typedef struct syn_ppo {
    syn_ctx *ctx;
    syn_ppo_config cfg;
    syn_env_config env;
    const syn_corpus *corpus;
    const syn_tasks *tasks;     /* the corpus's, in ctx's memory */
    syn_control *control;       /* what learns, in ctx's memory */
    syn_control *lent;          /* the caller's: the same on the CPU */
    syn_ppo_device *device;     /* owned; what else lies in ctx's memory */
    syn_dist *dist;             /* borrowed, NULL for one rank */
    int64_t local, local_first; /* shards of a minibatch on this rank, and the first one's number */
    syn_ppo_shard *shard;       /* (minibatches, local) */
    real *partial[SYN_PPO_LEVELS_MAX]; /* sums of gradients that wait in the tree; [0] is
                                          params.grad */
    real *partial_stats[SYN_PPO_LEVELS_MAX];
    double *sums; /* of the roll-out, (minibatches, local, ...), host memory */
    syn_value_norm norm;
    syn_ppo_stats rolled; /* what the last roll-out says */
    syn_ppo_times times;
    int64_t updates;
    bool fresh;          /* the observation of the first turn stands where the roll-out begins */
    syn_ppo_watch watch; /* to be set by whoever watches, before the first roll-out */
} syn_ppo;

/* control's gradients are allocated here. sources: `source_count` of them, minibatch m uses m %
 * source_count. dist is borrowed (NULL: one rank).
 * corpus, sources and control are in host memory. A CUDA ctx gets copies of them, and memory for
 * all that follows in one piece: the roll-out of a horizon and the update of a minibatch each are
 * one CUDA graph, with the sums over ranks in it where NCCL carries them (else the update is two,
 * and the sum goes through the host in between).
 * SYN_ERR_INVALID: shapes; the shards must be a multiple of the ranks, their quotient a power of
 * two. SYN_ERR_MEMORY says how many environments would fit. */
SYN_WARN_UNUSED syn_status syn_ppo_init(syn_ctx *ctx, syn_ppo *p, const syn_ppo_config *cfg,
                                        const syn_env_config *env, const syn_corpus *corpus,
                                        bool central, const syn_ppo_source *sources,
                                        int source_count, float untitled_share,
                                        syn_control *control, syn_dist *dist);
void syn_ppo_free(syn_ppo *p);

/* Brings weights, moments and step to the caller's control, which a CUDA ctx does not touch
 * otherwise. */
SYN_WARN_UNUSED syn_status syn_ppo_fetch(syn_ppo *p);

/* Begins all episodes anew, with numbers and draws that follow from p->updates alone. */
SYN_WARN_UNUSED syn_status syn_ppo_restart(syn_ppo *p);

/* Makes the observation of the first turn from the environments as they stand. */
SYN_WARN_UNUSED syn_status syn_ppo_look(syn_ppo *p);

static inline int64_t syn_ppo_envs(const syn_ppo_config *c)
{
    return c->minibatches * c->shards * c->shard_envs;
}
static inline int64_t syn_ppo_steps_per_update(const syn_ppo_config *c)
{
    return syn_ppo_envs(c) * c->horizon;
}
/* What the learning rates are multiplied by; progress in [0, 1]. */
static inline double syn_ppo_lr_scale(const syn_ppo_config *c, double progress)
{
    return c->decay_lr ? 1 - 0.9 * progress : 1;
}
/* Device memory of one environment with its part of the roll-out. */
int64_t syn_ppo_env_bytes(const syn_ppo_config *c);
/* And of the scratch that the update of a shard takes. */
int64_t syn_ppo_scratch_bytes(const syn_ppo_config *c);

/* One roll-out of the horizon in every shard, and advantages. Collective. */
SYN_WARN_UNUSED syn_status syn_ppo_rollout(syn_ppo *p);

/* The epochs over the roll-out; progress in [0, 1] drives the schedules. Collective. */
SYN_WARN_UNUSED syn_status syn_ppo_update(syn_ppo *p, double progress, syn_ppo_stats *stats);

#endif
