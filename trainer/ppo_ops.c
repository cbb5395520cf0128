#include "trainer/ppo_ops.h"

#include <math.h>
#include <string.h>

syn_status syn_ppo_count_cpu(syn_ctx *ctx, int64_t E, uint64_t *counter)
{
    (void)ctx;
    for (int64_t e = 0; e < E; e++) counter[e]++;
    return SYN_OK;
}

syn_status syn_ppo_count(syn_ctx *ctx, int64_t E, uint64_t *counter)
{
    return SYN_DISPATCH(ctx, syn_ppo_count, E, counter);
}

syn_status syn_ppo_mark_all_cpu(syn_ctx *ctx, int64_t E, syn_env *envs, uint32_t *kept)
{
    (void)ctx;
    for (int64_t e = 0; e < E; e++) {
        kept[e] = envs[e].changed;
        envs[e].changed = (1u << envs[e].agents) - 1;
    }
    return SYN_OK;
}

syn_status syn_ppo_mark_all(syn_ctx *ctx, int64_t E, syn_env *envs, uint32_t *kept)
{
    return SYN_DISPATCH(ctx, syn_ppo_mark_all, E, envs, kept);
}

syn_status syn_ppo_mark_back_cpu(syn_ctx *ctx, int64_t E, syn_env *envs, const uint32_t *kept)
{
    (void)ctx;
    for (int64_t e = 0; e < E; e++) envs[e].changed = kept[e];
    return SYN_OK;
}

syn_status syn_ppo_mark_back(syn_ctx *ctx, int64_t E, syn_env *envs, const uint32_t *kept)
{
    return SYN_DISPATCH(ctx, syn_ppo_mark_back, E, envs, kept);
}

syn_status syn_ppo_find_bad_cpu(syn_ctx *ctx, int64_t n, const real *x, int64_t *first)
{
    (void)ctx;
    int64_t i = 0;
    while (i < n && isfinite(x[i])) i++;
    *first = i < n ? i : -1;
    return SYN_OK;
}

syn_status syn_ppo_find_bad(syn_ctx *ctx, int64_t n, const real *x, int64_t *first)
{
    return SYN_DISPATCH(ctx, syn_ppo_find_bad, n, x, first);
}

syn_status syn_ppo_rescale_cpu(syn_ctx *ctx, int64_t T, int64_t E, const syn_ppo_scales *s,
                               real *reward, real *value)
{
    (void)ctx;
    const real mean = s->value_mean, std = s->value_std, scale = s->reward;
    for (int64_t i = 0; i < T * E; i++) reward[i] *= scale;
    for (int64_t i = 0; i < (T + 1) * E; i++) value[i] = value[i] * std + mean;
    return SYN_OK;
}

syn_status syn_ppo_rescale(syn_ctx *ctx, int64_t T, int64_t E, const syn_ppo_scales *s,
                           real *reward, real *value)
{
    return SYN_DISPATCH(ctx, syn_ppo_rescale, T, E, s, reward, value);
}

syn_status syn_ppo_sums_cpu(syn_ctx *ctx, int64_t T, int64_t E, const real *advantage,
                            const real *ret, const real *value, const int32_t *action,
                            const syn_env_tally *tally, double *sums)
{
    (void)ctx;
    memset(sums, 0, sizeof *sums * SYN_ROLLOUT_SUMS);
    for (int64_t i = 0; i < T * E; i++) {
        const double a = (double)advantage[i], r = (double)ret[i];
        const double error = r - (double)value[i];
        sums[SYN_SUM_ADVANTAGE] += a;
        sums[SYN_SUM_ADVANTAGE2] += a * a;
        sums[SYN_SUM_RETURN] += r;
        sums[SYN_SUM_RETURN2] += r * r;
        sums[SYN_SUM_ERROR] += error;
        sums[SYN_SUM_ERROR2] += error * error;
        const int kind = syn_action_of(action[i]).kind;
        if (kind < SYN_ACTION_KINDS) sums[SYN_SUM_KINDS + kind]++;
    }
    for (int64_t e = 0; e < E; e++) {
        const syn_env_tally *t = &tally[e];
        const double each[] = {t->episodes,        t->success,      t->answerable,    t->abstained,
                               t->abstained_right, t->unanswerable, t->ended,         t->messages,
                               t->deliveries,      t->turns,        t->episode_return};
        for (int k = 0; k < SYN_ROLLOUT_SUMS - SYN_SUM_TALLY; k++)
            sums[SYN_SUM_TALLY + k] += each[k];
    }
    return SYN_OK;
}

syn_status syn_ppo_sums(syn_ctx *ctx, int64_t T, int64_t E, const real *advantage, const real *ret,
                        const real *value, const int32_t *action, const syn_env_tally *tally,
                        double *sums)
{
    return SYN_DISPATCH(ctx, syn_ppo_sums, T, E, advantage, ret, value, action, tally, sums);
}

syn_status syn_ppo_normalise_cpu(syn_ctx *ctx, int64_t n, const syn_ppo_scales *s, real *advantage,
                                 real *ret)
{
    (void)ctx;
    for (int64_t i = 0; i < n; i++) {
        advantage[i] = (real)(((double)advantage[i] - s->advantage_mean) * s->advantage_factor);
        ret[i] = (real)(((double)ret[i] - s->return_mean) * s->return_factor);
    }
    return SYN_OK;
}

syn_status syn_ppo_normalise(syn_ctx *ctx, int64_t n, const syn_ppo_scales *s, real *advantage,
                             real *ret)
{
    return SYN_DISPATCH(ctx, syn_ppo_normalise, n, s, advantage, ret);
}
