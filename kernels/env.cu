/* One warp per environment: it copies the state into shared memory, its first lane takes the turn
 * by the functions that the CPU calls, and all lanes write the state back. A turn is a few hundred
 * dependent steps on 1.5 KB; as a thread's own work these would be scattered reads of device
 * memory, and one environment in ten that starts again (some thousand steps) would hold up the 31
 * that share its warp. */
#include "kernels/base/launch.cuh"
#include "kernels/env.h"
#include "kernels/reduce.cuh"

enum {
    WARPS = 4, /* environments of a block */
    THREADS = SYN_WARP * WARPS,
    RANKS = SYN_AGENTS_MAX * SYN_ROWS_MAX
};

static_assert(sizeof(syn_env) % sizeof(uint4) == 0, "states are copied 16 bytes at a time");

/* One environment in shared memory. */
typedef struct __align__(16) seat
{
    syn_env env;
    float rank[RANKS];
}
seat;

static __device__ void copy_warp(void *to, const void *from, int bytes, int lane)
{
    for (int k = lane; k < bytes / (int)sizeof(uint4); k += SYN_WARP)
        ((uint4 *)to)[k] = ((const uint4 *)from)[k];
}

static __global__ void __launch_bounds__(THREADS)
    reset_kernel(int64_t E, syn_env *envs, syn_env_config cfg, syn_env_source src, uint64_t first)
{
    __shared__ seat seats[WARPS];
    const int lane = (int)threadIdx.x % SYN_WARP;
    const int64_t e = (int64_t)blockIdx.x * WARPS + threadIdx.x / SYN_WARP;
    if (e >= E) return; /* whole warps, and they never wait for each other */
    syn_env *env = &seats[threadIdx.x / SYN_WARP].env;
    if (lane == 0) syn_env_start(env, &cfg, &src, first + (uint64_t)e);
    __syncwarp();
    copy_warp(&envs[e], env, sizeof *env, lane);
}

static __global__ void __launch_bounds__(THREADS)
    step_kernel(int64_t E, syn_env *envs, syn_env_config cfg, syn_env_source src,
                const int32_t *action, const float *rank, float *reward, uint8_t *done,
                syn_env_tally *tally, uint64_t *next, uint64_t stride)
{
    __shared__ seat seats[WARPS];
    const int lane = (int)threadIdx.x % SYN_WARP;
    const int64_t e = (int64_t)blockIdx.x * WARPS + threadIdx.x / SYN_WARP;
    if (e >= E) return;
    seat *s = &seats[threadIdx.x / SYN_WARP];
    copy_warp(&s->env, &envs[e], sizeof s->env, lane);
    copy_warp(s->rank, rank + e * RANKS, sizeof s->rank, lane);
    __syncwarp();
    if (lane == 0) {
        reward[e] = syn_env_step(&s->env, &cfg, action[e], s->rank);
        done[e] = (uint8_t)s->env.done;
        if (s->env.done) {
            syn_env_tally_add(&tally[e], &s->env);
            syn_env_start(&s->env, &cfg, &src, next[e]);
            next[e] += stride;
        }
    }
    __syncwarp();
    copy_warp(&envs[e], &s->env, sizeof s->env, lane);
}

/* Lane i writes what agent i's memory allows. */
static __global__ void __launch_bounds__(THREADS)
    mask_kernel(int64_t E, const syn_env *envs, uint8_t *mask)
{
    __shared__ seat seats[WARPS];
    const int lane = (int)threadIdx.x % SYN_WARP;
    const int64_t e = (int64_t)blockIdx.x * WARPS + threadIdx.x / SYN_WARP;
    if (e >= E) return;
    syn_env *env = &seats[threadIdx.x / SYN_WARP].env;
    uint8_t *to = mask + e * SYN_ACTIONS_MAX;
    copy_warp(env, &envs[e], sizeof *env, lane);
    for (int a = lane; a < SYN_ACTIONS_MAX; a += SYN_WARP) to[a] = a >= SYN_ACTIONS_MAX - 2;
    __syncwarp();
    if (lane < env->agents) syn_env_legal_of(env, lane, to);
}

extern "C" syn_status syn_env_reset_batch_cuda(syn_ctx *ctx, int64_t E, syn_env *envs,
                                               const syn_env_config *cfg, const syn_env_source *src,
                                               uint64_t first)
{
    if (!E) return SYN_OK;
    SYN_LAUNCH(ctx, reset_kernel, syn_blocks(E, WARPS), THREADS, 0, E, envs, *cfg, *src, first);
    SYN_LAUNCH_CHECK(ctx, "environment reset");
    return SYN_OK;
}

extern "C" syn_status syn_env_step_batch_cuda(syn_ctx *ctx, int64_t E, syn_env *envs,
                                              const syn_env_config *cfg, const syn_env_source *src,
                                              const int32_t *action, const float *rank,
                                              real *reward, uint8_t *done, syn_env_tally *tally,
                                              uint64_t *next, uint64_t stride)
{
    if (!E) return SYN_OK;
    SYN_LAUNCH(ctx, step_kernel, syn_blocks(E, WARPS), THREADS, 0, E, envs, *cfg, *src, action,
               rank, reward, done, tally, next, stride);
    SYN_LAUNCH_CHECK(ctx, "environment step");
    return SYN_OK;
}

extern "C" syn_status syn_env_mask_batch_cuda(syn_ctx *ctx, int64_t E, const syn_env *envs,
                                              uint8_t *mask)
{
    if (!E) return SYN_OK;
    SYN_LAUNCH(ctx, mask_kernel, syn_blocks(E, WARPS), THREADS, 0, E, envs, mask);
    SYN_LAUNCH_CHECK(ctx, "legal actions");
    return SYN_OK;
}
