/* The CUDA side of a batch: a block per row copies what the store keeps of its slot, and back. What
 * a row moves is what the turn does not make anew: about 26 KB each way for a team of four, 70 KB
 * at most, so that 1024 rows take some 20 microseconds of the memory's time. */
#include "engine/scorer_private.h"
#include "kernels/base/launch.cuh"

enum {
    N = SYN_AGENTS_MAX,
    R = SYN_ROWS_MAX,
    A = SYN_ACTIONS_MAX,
    H = SYN_GAP_HIDDEN,
    LANES = 32,
    THREADS = 256
};

static_assert(sizeof(syn_env) % sizeof(uint32_t) == 0, "teams are copied by words");
static_assert(R * SYN_DV % 4 == 0 && SYN_CKM % 4 == 0 && H % 4 == 0 && N * N % 4 == 0 &&
                  SYN_STATE % 4 == 0,
              "rows are copied four numbers at a time");

static __device__ void copy_words(void *to, const void *from, int bytes)
{
    for (int k = (int)threadIdx.x; k < bytes / (int)sizeof(uint32_t); k += THREADS)
        ((uint32_t *)to)[k] = ((const uint32_t *)from)[k];
}

/* count: a multiple of 4. */
static __device__ void copy(float *to, const float *from, int count)
{
    for (int k = (int)threadIdx.x; k < count / 4; k += THREADS)
        ((float4 *)to)[k] = ((const float4 *)from)[k];
}

/* What is known of the agents of a mask, then of the team as far as asked for. */
static __device__ void place_copy(const syn_place *to, const syn_place *from, uint32_t agents,
                                  bool view, bool gaps)
{
    for (; agents; agents &= agents - 1) {
        const int i = syn_lowest(agents);
        copy(to->own + i * R * SYN_DV, from->own + i * R * SYN_DV, R * SYN_DV);
        copy(to->rank + i * R, from->rank + i * R, R);
        copy(to->ckm + i * SYN_CKM, from->ckm + i * SYN_CKM, SYN_CKM);
        copy(to->a + i * H, from->a + i * H, H);
        copy(to->b + i * H, from->b + i * H, H);
    }
    if (view) {
        copy(to->all, from->all, R * SYN_DV);
        copy(to->rel, from->rel, R);
    }
    if (gaps) {
        copy(to->link, from->link, N * N);
        copy_words(to->gap, from->gap, N * (int)sizeof(float));
    }
}

/* A team that nothing has happened to. */
static __device__ void idle_make(syn_env *e)
{
    for (int k = (int)threadIdx.x; k < (int)(sizeof *e / sizeof(uint32_t)); k += THREADS)
        ((uint32_t *)e)[k] = 0;
    __syncthreads();
    if (threadIdx.x == 0) {
        e->agents = 2;
        e->turns_max = 1;
        e->last = syn_action_of(-1);
    }
}

/* The first warp: an agent for each lane. */
static __device__ void changed_find(const syn_staged *staged, const syn_env *seen, syn_env *env)
{
    const int lane = (int)threadIdx.x;
    const uint32_t all = (1u << env->agents) - 1;
    uint32_t expected = all;
    const bool other = staged->afresh || syn_team_other(seen, env, &expected);
    const bool differs = !other && lane < env->agents && !(expected >> lane & 1) &&
                         syn_memory_differs(seen, env, lane);
    const uint32_t any = __ballot_sync(0xffffffffu, differs);
    if (lane == 0) env->changed = other || any ? all : expected;
}

static __global__ void __launch_bounds__(THREADS) gather_kernel(syn_store s, syn_batch b)
{
    __shared__ syn_env env, seen;
    const int64_t e = blockIdx.x;
    if (e >= *b.live) {
        idle_make(&b.envs[e]);
        return;
    }
    const syn_staged *staged = &b.staged[e];
    const int64_t slot = staged->slot;
    if (threadIdx.x == 0) syn_staged_env(staged, &env);
    copy_words(&seen, &s.seen[slot], (int)sizeof seen);
    __syncthreads();
    if (threadIdx.x < LANES) changed_find(staged, &seen, &env);
    __syncthreads();
    copy_words(&b.envs[e], &env, (int)sizeof env);
    const uint32_t all = (1u << env.agents) - 1;
    const syn_place from = syn_place_stored(&s, slot), to = syn_place_observed(&b.o, e);
    place_copy(&to, &from, all & ~env.changed, env.changed != all, true);
    if (threadIdx.x == 0) b.counter[e] = staged->counter;
    if (!staged->decides) return;
    const int64_t memory = 2 * slot + staged->from;
    copy(b.h0 + e * SYN_STATE, s.h + memory * SYN_STATE, SYN_STATE);
    copy(b.c0 + e * SYN_STATE, s.c + memory * SYN_STATE, SYN_STATE);
}

extern "C" syn_status syn_scorer_gather_cuda(syn_ctx *ctx, const syn_store *s, const syn_batch *b,
                                             int64_t rows)
{
    SYN_LAUNCH(ctx, gather_kernel, (unsigned)rows, THREADS, 0, *s, *b);
    SYN_LAUNCH_CHECK(ctx, "gathering of sessions");
    return SYN_OK;
}

static __global__ void __launch_bounds__(THREADS)
    settle_kernel(syn_store s, syn_batch b, bool decides)
{
    const int64_t e = blockIdx.x;
    if (e >= *b.live) return;
    const syn_staged *staged = &b.staged[e];
    const syn_env *env = &b.envs[e];
    const int64_t slot = staged->slot;
    const syn_place to = syn_place_stored(&s, slot), from = syn_place_observed(&b.o, e);
    syn_settled *settled = &b.settled[e];
    const int n = env->agents;
    if (threadIdx.x == 0 && decides && staged->decides) {
        const int way = staged->draws;
        syn_settle_action(settled, staged, from.rank, b.action[way][e], b.logp[way][e],
                          b.all + e * A);
    }
    if (threadIdx.x == LANES) settled->sufficiency = syn_team_sufficiency(env, from.gap);
    for (int k = (int)threadIdx.x; k < n * n; k += THREADS)
        settled->gaps[k] = syn_settle_gap(&from, k, n);
    place_copy(&to, &from, env->changed, b.o.central && syn_env_fresh(env), env->changed != 0);
    copy_words(&s.seen[slot], env, (int)sizeof *env);
    if (!decides || !staged->decides) return;
    const int64_t memory = 2 * slot + 1 - staged->from;
    copy(s.h + memory * SYN_STATE, b.hT + e * SYN_STATE, SYN_STATE);
    copy(s.c + memory * SYN_STATE, b.cT + e * SYN_STATE, SYN_STATE);
}

extern "C" syn_status syn_scorer_settle_cuda(syn_ctx *ctx, const syn_store *s, const syn_batch *b,
                                             int64_t rows, bool decides)
{
    SYN_LAUNCH(ctx, settle_kernel, (unsigned)rows, THREADS, 0, *s, *b, decides);
    SYN_LAUNCH_CHECK(ctx, "results of sessions");
    return SYN_OK;
}

/* ---- Host memory and time ---- */

extern "C" void *syn_pinned_alloc_cuda(size_t bytes)
{
    void *p = NULL;
    if (cudaHostAlloc(&p, bytes ? bytes : 1, cudaHostAllocDefault) == cudaSuccess) return p;
    (void)cudaGetLastError();
    return NULL;
}

extern "C" void syn_pinned_free_cuda(void *p)
{
    (void)cudaFreeHost(p);
}

extern "C" syn_status syn_scorer_clock_open_cuda(syn_scorer_clock *clock)
{
    for (int k = 0; k < SYN_SCORER_MARKS; k++) {
        cudaEvent_t event;
        const cudaError_t error = cudaEventCreate(&event);
        if (error != cudaSuccess) return syn_cuda_failed(error, "making an event");
        clock->event[k] = event;
    }
    return SYN_OK;
}

extern "C" void syn_scorer_clock_close_cuda(syn_scorer_clock *clock)
{
    for (int k = 0; k < SYN_SCORER_MARKS; k++)
        if (clock->event[k]) (void)cudaEventDestroy((cudaEvent_t)clock->event[k]);
}

extern "C" syn_status syn_scorer_clock_mark_cuda(syn_ctx *ctx, syn_scorer_clock *clock, int mark)
{
    const cudaError_t error =
        cudaEventRecord((cudaEvent_t)clock->event[mark], (cudaStream_t)ctx->stream);
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "setting a mark");
}

extern "C" double syn_scorer_clock_s_cuda(const syn_scorer_clock *clock, int from, int to)
{
    float ms = 0;
    if (cudaEventElapsedTime(&ms, (cudaEvent_t)clock->event[from], (cudaEvent_t)clock->event[to]) ==
        cudaSuccess)
        return (double)ms * 1e-3;
    (void)cudaGetLastError(); /* a time that is not known is none */
    return 0;
}
