/* The elementwise work of PPO on its own buffers, on either device. Part of trainer/ppo.h; not for
 * other callers.
 *
 * All pointers are on the context's device; buffers of T turns of E environments are time-major. No
 * op waits or allocates, so all can be recorded (kernels/base/graph.h). Sums run in a fixed order:
 * equal runs give equal bits on one device, and other ones on the other. Errors: SYN_ERR_DEVICE,
 * SYN_ERR_MEMORY for scratch. */
#ifndef SYN_TRAINER_PPO_OPS_H
#define SYN_TRAINER_PPO_OPS_H

#include "kernels/env.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_ACTION_KINDS = SYN_NO_ACTION };

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

/* What changes from one roll-out to the next, read on the device. */
typedef struct syn_ppo_scales {
    real value_mean, value_std; /* of the critic's unit, when it plays */
    real reward;
    double advantage_mean, advantage_factor; /* what makes mean 0 and deviation 1 of advantages */
    double return_mean, return_factor;       /* and of returns the critic's unit */
} syn_ppo_scales;

/* counter[e]++, counter (E). */
SYN_WARN_UNUSED syn_status syn_ppo_count(syn_ctx *ctx, int64_t E, uint64_t *counter);

/* Marks all agents as changed; kept (E): what was marked. And back. */
SYN_WARN_UNUSED syn_status syn_ppo_mark_all(syn_ctx *ctx, int64_t E, syn_env *envs, uint32_t *kept);
SYN_WARN_UNUSED syn_status syn_ppo_mark_back(syn_ctx *ctx, int64_t E, syn_env *envs,
                                             const uint32_t *kept);

/* first (1): overwritten with the index of the first element of x (n) that is not finite, or -1. */
SYN_WARN_UNUSED syn_status syn_ppo_find_bad(syn_ctx *ctx, int64_t n, const real *x, int64_t *first);

/* reward (T, E) and value (T+1, E): inout, reward * s->reward and value * s->value_std +
 * s->value_mean. */
SYN_WARN_UNUSED syn_status syn_ppo_rescale(syn_ctx *ctx, int64_t T, int64_t E,
                                           const syn_ppo_scales *s, real *reward, real *value);

/* sums (SYN_ROLLOUT_SUMS): overwritten; tally (E). */
SYN_WARN_UNUSED syn_status syn_ppo_sums(syn_ctx *ctx, int64_t T, int64_t E, const real *advantage,
                                        const real *ret, const real *value, const int32_t *action,
                                        const syn_env_tally *tally, double *sums);

/* advantage, ret (n): inout, less their mean and times their factor in s. */
SYN_WARN_UNUSED syn_status syn_ppo_normalise(syn_ctx *ctx, int64_t n, const syn_ppo_scales *s,
                                             real *advantage, real *ret);

/* The two sides. Not for other callers. */
__typeof__(syn_ppo_count) syn_ppo_count_cpu, syn_ppo_count_cuda;
__typeof__(syn_ppo_mark_all) syn_ppo_mark_all_cpu, syn_ppo_mark_all_cuda;
__typeof__(syn_ppo_mark_back) syn_ppo_mark_back_cpu, syn_ppo_mark_back_cuda;
__typeof__(syn_ppo_find_bad) syn_ppo_find_bad_cpu, syn_ppo_find_bad_cuda;
__typeof__(syn_ppo_rescale) syn_ppo_rescale_cpu, syn_ppo_rescale_cuda;
__typeof__(syn_ppo_sums) syn_ppo_sums_cpu, syn_ppo_sums_cuda;
__typeof__(syn_ppo_normalise) syn_ppo_normalise_cpu, syn_ppo_normalise_cuda;

#ifdef __cplusplus
}
#endif
#endif
