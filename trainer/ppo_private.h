/* One shard of one minibatch: what ppo.c sums up and ppo_state.c saves. */
#ifndef SYN_TRAINER_PPO_PRIVATE_H
#define SYN_TRAINER_PPO_PRIVATE_H

#include "trainer/ppo.h"

struct syn_ppo_shard {
    const syn_perception *perception; /* in the context's memory, as all that follows */
    syn_env_source source;
    int64_t first; /* the number of its first environment, of all */
    syn_env *envs;
    uint64_t *next; /* (E): the number of the episode that follows */
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
};

/* Numbers of a roll-out that must be finite. */
typedef enum syn_ppo_checked {
    SYN_CHECKED_REWARD,
    SYN_CHECKED_VALUE,
    SYN_CHECKED_LOGP,
    SYN_CHECKED_ADVANTAGE,
    SYN_CHECKED
} syn_ppo_checked;

/* An optimiser step: what it reads, written by the host, */
typedef struct syn_ppo_step {
    syn_adam_scalars actor, critic;
} syn_ppo_step;

/* and what it leaves, which the host reads after an epoch. */
typedef struct syn_ppo_outcome {
    real stats[SYN_PPO_STATS];
    real norm[2]; /* of the gradient before clipping: actor, critic */
} syn_ppo_outcome;

/* What recorded work reads and leaves beside the shards; in device memory. */
typedef struct syn_ppo_scalars {
    syn_ppo_coef coef;
    syn_ppo_scales scales;
    syn_ppo_step step;
    real norm[2];
    int32_t skip; /* a number was not finite: no more steps in this update */
} syn_ppo_scalars;

struct syn_ppo_device {
    syn_ppo_scalars *scalars; /* (1) */
    syn_ppo_step *steps;      /* (minibatches), in order of the epoch */
    syn_ppo_outcome *outcome; /* (minibatches), likewise */
    double *sums;             /* (minibatches, local, SYN_ROLLOUT_SUMS) */
    int64_t *bad;             /* (minibatches, local, SYN_CHECKED): first one that is not finite */
    real *stats;              /* (SYN_PPO_LEVELS_MAX, SYN_PPO_STATS) */
    syn_graph rollout, step, minibatch[SYN_PPO_MINIBATCHES_MAX];
    /* Copies, on CUDA. */
    syn_control control;
    syn_tasks tasks;
    int sources;
    syn_perception *perception; /* (sources) */
    int32_t **record;           /* (sources) */
};

/* source: in host memory, number `number`. */
SYN_WARN_UNUSED syn_status syn_ppo_shard_init(syn_ppo *p, syn_ppo_shard *h, int64_t first,
                                              bool central, const syn_ppo_source *source,
                                              int number, float untitled);
void syn_ppo_shard_free(syn_ctx *ctx, syn_ppo_shard *h);
SYN_WARN_UNUSED syn_status syn_ppo_shard_restart(syn_ppo *p, syn_ppo_shard *h);
SYN_WARN_UNUSED syn_status syn_ppo_shard_look(syn_ppo *p, syn_ppo_shard *h);
/* The observation after the last turn becomes the first of the next roll-out. */
SYN_WARN_UNUSED syn_status syn_ppo_shard_carry(syn_ppo *p, syn_ppo_shard *h);
/* Roll-out and advantages, which are not yet normalised; sums (SYN_ROLLOUT_SUMS), bad
 * (SYN_CHECKED), on the device: overwritten. */
SYN_WARN_UNUSED syn_status syn_ppo_shard_rollout(syn_ppo *p, syn_ppo_shard *h, double *sums,
                                                 int64_t *bad);
/* SYN_ERR_NUMERIC, with a sentence, where bad (SYN_CHECKED), in host memory, names a number. */
SYN_WARN_UNUSED syn_status syn_ppo_shard_check(const syn_ppo *p, const syn_ppo_shard *h,
                                               const int64_t *bad);
/* Adds the shard's part of the gradient to params.grad, and of the statistics to stats
 * (SYN_PPO_STATS); coef (1) and stats on the device. */
SYN_WARN_UNUSED syn_status syn_ppo_shard_gradient(syn_ppo *p, syn_ppo_shard *h,
                                                  const syn_ppo_coef *coef, real *stats,
                                                  const syn_control_ready *ready);

/* Copies, on CUDA, and all of p->device; sources as in syn_ppo_init. */
SYN_WARN_UNUSED syn_status syn_ppo_device_init(syn_ppo *p, const syn_ppo_source *sources,
                                               int source_count);
void syn_ppo_device_free(syn_ppo *p);

/* Adds the time since *mark to *part (on CUDA nothing: the device is not waited for), and moves the
 * mark. */
void syn_ppo_spend(const syn_ppo *p, double *mark, double *part);

static inline bool syn_ppo_alone(const syn_ppo *p)
{
    return syn_dist_size(p->dist) == 1;
}

#endif
