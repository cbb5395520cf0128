/* The scripted teams that the state encoder listens to: they mostly move relevant pieces to the
 * asker, and sometimes anything. */
#ifndef SYN_TRAINER_TRANSCRIPT_H
#define SYN_TRAINER_TRANSCRIPT_H

#include "kernels/base/ctx.h"
#include "kernels/env_core.h"

/* The action of a team; rank (SYN_AGENTS_MAX, SYN_ROWS_MAX) as in syn_env_piece. */
SYN_HD int syn_transcript_action(const syn_env *e, const float *rank, syn_rng *rng)
{
    uint8_t mask[SYN_ACTIONS_MAX];
    int best = -1;
    float worth = -1e30f;
    if (syn_rng_uniform(rng) < 0.5f) {
        for (int i = 1; i < e->agents; i++) {
            int p = syn_env_piece(e, SYN_SEND, i, 0, rank);
            if (p < 0 || rank[i * SYN_ROWS_MAX + p] <= worth) continue;
            worth = rank[i * SYN_ROWS_MAX + p];
            best = syn_action_index(syn_rng_uniform(rng) < 0.3f ? SYN_BROADCAST : SYN_SEND, i, 0);
        }
        if (best >= 0) return best;
    }
    syn_env_legal(e, mask);
    for (int tries = 0; tries < 64; tries++) {
        int a = (int)syn_rng_below(rng, SYN_ACTIONS_MAX - 2);
        if (mask[a]) return a;
    }
    return SYN_ACTIONS_MAX - 2;
}

/* One turn of team number `e`; a transcript does not time out. */
SYN_HD void syn_transcript_turn(syn_env *env, const syn_env_config *cfg, const float *rank,
                                uint64_t seed, uint64_t stream)
{
    syn_rng rng = syn_rng_make(seed, stream);
    const int32_t turns_max = env->turns_max;
    env->turns_max = INT32_MAX;
    (void)syn_env_step(env, cfg, syn_transcript_action(env, rank, &rng), rank);
    env->turns_max = turns_max;
}

#ifdef __cplusplus
extern "C" {
#endif

/* One turn of every team: envs (E), inout; rank (E, SYN_AGENTS_MAX, SYN_ROWS_MAX); team e draws
 * from stream *stream + first + e, stream (1). All on the context's device. Asynchronous, no
 * scratch, can be recorded. Errors: SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_transcript_step(syn_ctx *ctx, int64_t E, syn_env *envs,
                                               const syn_env_config *cfg, const float *rank,
                                               uint64_t seed, const uint64_t *stream,
                                               uint64_t first);

/* The two sides. Not for other callers. */
__typeof__(syn_transcript_step) syn_transcript_step_cpu, syn_transcript_step_cuda;

#ifdef __cplusplus
}
#endif
#endif
