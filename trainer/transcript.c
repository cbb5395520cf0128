#include "trainer/transcript.h"

syn_status syn_transcript_step_cpu(syn_ctx *ctx, int64_t E, syn_env *envs,
                                   const syn_env_config *cfg, const float *rank, uint64_t seed,
                                   const uint64_t *stream, uint64_t first)
{
    (void)ctx;
    for (int64_t e = 0; e < E; e++) {
        syn_transcript_turn(&envs[e], cfg, rank + e * SYN_AGENTS_MAX * SYN_ROWS_MAX, seed,
                            *stream + first + (uint64_t)e);
    }
    return SYN_OK;
}

syn_status syn_transcript_step(syn_ctx *ctx, int64_t E, syn_env *envs, const syn_env_config *cfg,
                               const float *rank, uint64_t seed, const uint64_t *stream,
                               uint64_t first)
{
    return SYN_DISPATCH(ctx, syn_transcript_step, E, envs, cfg, rank, seed, stream, first);
}
