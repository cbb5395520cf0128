#include "trainer/transcript.h"

#include "kernels/base/launch.cuh"

static __global__ void transcript_kernel(int64_t E, syn_env *envs, syn_env_config cfg,
                                         const float *rank, uint64_t seed, const uint64_t *stream,
                                         uint64_t first)
{
    SYN_EACH(e, E)
    {
        syn_transcript_turn(&envs[e], &cfg, rank + e * SYN_AGENTS_MAX * SYN_ROWS_MAX, seed,
                            *stream + first + (uint64_t)e);
    }
}

extern "C" syn_status syn_transcript_step_cuda(syn_ctx *ctx, int64_t E, syn_env *envs,
                                               const syn_env_config *cfg, const float *rank,
                                               uint64_t seed, const uint64_t *stream,
                                               uint64_t first)
{
    SYN_LAUNCH(ctx, transcript_kernel, syn_each_blocks(E), SYN_EACH_THREADS, 0, E, envs, *cfg, rank,
               seed, stream, first);
    SYN_LAUNCH_CHECK(ctx, "a turn of scripted teams");
    return SYN_OK;
}
