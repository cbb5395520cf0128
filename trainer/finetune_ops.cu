#include "engine/observe_device.h"
#include "kernels/base/launch.cuh"
#include "trainer/finetune_ops.h"

enum { N = SYN_AGENTS_MAX, THREADS = 256, FIELDS = sizeof(syn_turn_size) / sizeof(int32_t) };

static __device__ void add_env(syn_turn_size *s, const syn_env *e)
{
    s->agents += e->agents;
    s->links += e->agents * (e->agents - 1);
    for (int i = 0; i < e->agents; i++) {
        const int items = e->count[i], changed = e->changed >> i & 1;
        s->items += items;
        s->longest = items > s->longest ? items : s->longest;
        s->changed += changed;
        s->changed_items += changed ? items : 0;
    }
}

static __device__ void merge(syn_turn_size *s, const syn_turn_size *x)
{
    const int32_t longest = x->longest > s->longest ? x->longest : s->longest;
    for (int k = 0; k < FIELDS; k++) ((int32_t *)s)[k] += ((const int32_t *)x)[k];
    s->longest = longest;
}

/* A block takes a turn. */
static __global__ void __launch_bounds__(THREADS)
    sizes_kernel(int64_t E, const syn_env *seen, syn_turn_size *size)
{
    __shared__ syn_turn_size part[THREADS];
    syn_turn_size mine = {};
    for (int64_t e = threadIdx.x; e < E; e += THREADS) add_env(&mine, &seen[blockIdx.x * E + e]);
    part[threadIdx.x] = mine;
    __syncthreads();
    for (int half = THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half) merge(&part[threadIdx.x], &part[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x == 0) size[blockIdx.x] = part[0];
}

extern "C" syn_status syn_turn_sizes_cuda(syn_ctx *ctx, int64_t turns, int64_t E,
                                          const syn_env *seen, syn_turn_size *size)
{
    SYN_LAUNCH(ctx, sizes_kernel, (unsigned)turns, THREADS, 0, E, seen, size);
    SYN_LAUNCH_CHECK(ctx, "sizes of turns");
    return SYN_OK;
}

static_assert((int)THREADS == (int)SYN_CKM, "a thread per column");

/* A block takes an agent of an environment. */
static __global__ void __launch_bounds__(THREADS)
    turns_kernel(int64_t T, int64_t E, const syn_env *seen, float *dckm)
{
    const int64_t e = blockIdx.x / N, d = threadIdx.x, width = (int64_t)E * N * SYN_CKM;
    const int i = (int)(blockIdx.x % N);
    float *column = dckm + (int64_t)blockIdx.x * SYN_CKM + d;
    for (int64_t t = T - 2; t >= 0; t--) {
        const syn_env *next = &seen[(t + 1) * E + e];
        if (i < next->agents && !(next->changed >> i & 1))
            column[t * width] += column[(t + 1) * width];
    }
}

extern "C" syn_status syn_sum_over_turns_cuda(syn_ctx *ctx, int64_t T, int64_t E,
                                              const syn_env *seen, real *dckm)
{
    SYN_LAUNCH(ctx, turns_kernel, (unsigned)(E * N), THREADS, 0, T, E, seen, dckm);
    SYN_LAUNCH_CHECK(ctx, "gradients summed over turns");
    return SYN_OK;
}

typedef struct flow {
    const int32_t *live, *items, *agent, *begin;
    int64_t agents, rows, longest;
    const float *dckm;
    int32_t *offset;
    float *x, *bias, *d;
} flow;

static __global__ void flow_kernel(flow f)
{
    const int64_t live = *f.live, items = *f.items, more = f.rows - items;
    SYN_EACH(k, f.agents * SYN_CKM)
    {
        const int64_t a = k / SYN_CKM;
        f.d[k] = a < live ? f.dckm[(int64_t)f.agent[a] * SYN_CKM + k % SYN_CKM] : 0.0f;
    }
    SYN_EACH(a, f.agents + 1)
    {
        const int64_t after = items + (a - live) * f.longest;
        f.offset[a] = a <= live ? f.begin[a] : (int32_t)min(after, f.rows);
    }
    SYN_EACH(k, more * SYN_DI) f.x[items * SYN_DI + k] = 0;
    SYN_EACH(k, more) f.bias[items + k] = 0;
}

extern "C" syn_status syn_flow_rows_cuda(syn_ctx *ctx, const syn_observer *o,
                                         const syn_tasks *tasks, const syn_env *envs,
                                         const syn_gap_shape *shape, const real *dckm,
                                         int32_t *offset, real *x, real *bias, real *d)
{
    const flow f = {syn_turn_length(o, SYN_TURN_AGENTS),
                    syn_turn_length(o, SYN_TURN_ITEMS),
                    o->turn.agent,
                    o->turn.offset,
                    shape->agents,
                    shape->items,
                    shape->longest,
                    dckm,
                    offset,
                    x,
                    bias,
                    d};
    SYN_RETURN_IF(syn_observe_items_cuda(ctx, o, tasks, envs, shape->items, x, bias));
    SYN_LAUNCH(ctx, flow_kernel, syn_each_blocks(shape->agents * SYN_CKM), SYN_EACH_THREADS, 0, f);
    SYN_LAUNCH_CHECK(ctx, "gradients of a turn's vectors");
    return SYN_OK;
}
