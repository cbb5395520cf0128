#include "kernels/env.h"

enum { RANKS = SYN_AGENTS_MAX * SYN_ROWS_MAX };

syn_status syn_env_reset_batch_cpu(syn_ctx *ctx, int64_t E, syn_env *envs,
                                   const syn_env_config *cfg, const syn_env_source *src,
                                   uint64_t first)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < E; e++) syn_env_start(&envs[e], cfg, src, first + (uint64_t)e);
    return SYN_OK;
}

syn_status syn_env_reset_batch(syn_ctx *ctx, int64_t E, syn_env *envs, const syn_env_config *cfg,
                               const syn_env_source *src, uint64_t first)
{
    SYN_REQUIRE(src->records > 0, "an environment needs at least one record to draw from");
    SYN_REQUIRE(cfg->agents_min >= 2 && cfg->agents_max <= SYN_AGENTS_MAX &&
                    cfg->agents_min <= cfg->agents_max,
                "a team has 2 to %d agents, not %d to %d", SYN_AGENTS_MAX, cfg->agents_min,
                cfg->agents_max);
    return SYN_DISPATCH(ctx, syn_env_reset_batch, E, envs, cfg, src, first);
}

syn_status syn_env_step_batch_cpu(syn_ctx *ctx, int64_t E, syn_env *envs, const syn_env_config *cfg,
                                  const syn_env_source *src, const int32_t *action,
                                  const float *rank, real *reward, uint8_t *done,
                                  syn_env_tally *tally, uint64_t *next, uint64_t stride)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < E; e++) {
        reward[e] = syn_env_step(&envs[e], cfg, action[e], rank + e * RANKS);
        done[e] = (uint8_t)envs[e].done;
        if (!done[e]) continue;
        syn_env_tally_add(&tally[e], &envs[e]);
        syn_env_start(&envs[e], cfg, src, next[e]);
        next[e] += stride;
    }
    return SYN_OK;
}

syn_status syn_env_step_batch(syn_ctx *ctx, int64_t E, syn_env *envs, const syn_env_config *cfg,
                              const syn_env_source *src, const int32_t *action, const float *rank,
                              real *reward, uint8_t *done, syn_env_tally *tally, uint64_t *next,
                              uint64_t stride)
{
    return SYN_DISPATCH(ctx, syn_env_step_batch, E, envs, cfg, src, action, rank, reward, done,
                        tally, next, stride);
}

syn_status syn_env_mask_batch_cpu(syn_ctx *ctx, int64_t E, const syn_env *envs, uint8_t *mask)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < E; e++) syn_env_legal(&envs[e], mask + e * SYN_ACTIONS_MAX);
    return SYN_OK;
}

syn_status syn_env_mask_batch(syn_ctx *ctx, int64_t E, const syn_env *envs, uint8_t *mask)
{
    return SYN_DISPATCH(ctx, syn_env_mask_batch, E, envs, mask);
}
