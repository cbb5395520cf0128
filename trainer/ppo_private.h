/* One shard of one minibatch: what ppo.c sums up and ppo_state.c saves. */
#ifndef SYN_TRAINER_PPO_PRIVATE_H
#define SYN_TRAINER_PPO_PRIVATE_H

#include "trainer/ppo.h"

struct syn_ppo_shard {
    const syn_perception *perception;
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

/* What a shard's roll-out adds up to, in double. */
enum {
    SYN_SUM_ADVANTAGE,
    SYN_SUM_ADVANTAGE2,
    SYN_SUM_RETURN,
    SYN_SUM_RETURN2,
    SYN_SUM_ERROR, /* return - value */
    SYN_SUM_ERROR2,
    SYN_SUM_KINDS,
    SYN_SUM_TALLY = SYN_SUM_KINDS + SYN_ACTION_KINDS,
    SYN_ROLLOUT_SUMS = SYN_SUM_TALLY + 11
};

SYN_WARN_UNUSED syn_status syn_ppo_shard_init(syn_ppo *p, syn_ppo_shard *h, int64_t first,
                                              bool central, const syn_ppo_source *source,
                                              float untitled);
void syn_ppo_shard_free(syn_ctx *ctx, syn_ppo_shard *h);
SYN_WARN_UNUSED syn_status syn_ppo_shard_restart(syn_ppo *p, syn_ppo_shard *h);
SYN_WARN_UNUSED syn_status syn_ppo_shard_look(syn_ppo *p, syn_ppo_shard *h);
/* Roll-out and advantages, which are not yet normalised; sums (SYN_ROLLOUT_SUMS): overwritten. */
SYN_WARN_UNUSED syn_status syn_ppo_shard_rollout(syn_ppo *p, syn_ppo_shard *h, double *sums);
/* Adds the shard's part of the gradient to params.grad, and of the statistics to stats
 * (SYN_PPO_STATS). */
SYN_WARN_UNUSED syn_status syn_ppo_shard_gradient(syn_ppo *p, syn_ppo_shard *h,
                                                  const syn_ppo_coef *coef, real *stats,
                                                  const syn_control_ready *ready);

#endif
