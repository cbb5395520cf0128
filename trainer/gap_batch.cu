/* The lists of a turn (engine/observe.h) say where each team's agents begin: as all have changed,
 * they are all agents, and the rows of the gap detector one for each agent and each link. */
#include "engine/observe_device.h"
#include "kernels/base/launch.cuh"
#include "trainer/gap_batch.h"
#include "trainer/labels.h"

enum { N = SYN_AGENTS_MAX, THREADS = 128 };

typedef struct rows {
    int64_t envs;
    const syn_env *env;
    const int32_t *label, *agents_at, *items_at, *gaps_at, *begin; /* of the turn's lists */
    const float *scale;
    syn_gap_shape shape;
    int32_t *first, *size, *link_i, *link_j, *offset;
    float *items, *bias, *target, *weight, *link_weight;
} rows;

/* A block takes a team. */
static __global__ void __launch_bounds__(THREADS) team_kernel(rows r)
{
    const int64_t e = blockIdx.x;
    const syn_env *env = &r.env[e], *label = &r.env[r.label ? r.label[e] : e];
    const int n = env->agents;
    const int32_t first = r.agents_at[e], links = r.gaps_at[e] - first;
    for (int i = (int)threadIdx.x; i < n; i += THREADS) {
        const int32_t a = first + i;
        r.first[a] = first;
        r.size[a] = n;
        r.target[a] = syn_label_gap(label, i < label->agents ? i : 0);
        r.weight[a] = r.scale[SYN_GAP] * (i == 0 ? 1.0f : 2.0f / (float)n);
    }
    for (int k = (int)threadIdx.x; k < n * (n - 1); k += THREADS) {
        const int i = k / (n - 1), other = k % (n - 1), j = other + (other >= i);
        const int32_t l = links + k;
        r.link_i[l] = first + i;
        r.link_j[l] = first + j;
        r.target[r.shape.agents + l] =
            i < label->agents && j < label->agents && syn_label_link(label, i, j);
        r.link_weight[l] = r.scale[SYN_LINK];
    }
}

/* What the batch is filled up with. */
static __global__ void __launch_bounds__(SYN_EACH_THREADS) fill_kernel(rows r)
{
    const int64_t agents = r.agents_at[r.envs], links = r.gaps_at[r.envs] - agents;
    const int64_t items = r.items_at[r.envs], more = r.shape.items - items;
    SYN_EACH(a, r.shape.agents + 1)
    {
        const int64_t after = items + (a - agents) * r.shape.longest;
        r.offset[a] = a <= agents ? r.begin[a] : (int32_t)min(after, r.shape.items);
        if (a < agents || a == r.shape.agents) continue;
        r.first[a] = (int32_t)a;
        r.size[a] = 1;
        r.target[a] = r.weight[a] = 0;
    }
    SYN_EACH(l, r.shape.links)
    {
        if (l < links) continue;
        r.link_i[l] = r.link_j[l] = (int32_t)(agents + l % (r.shape.agents - agents));
        r.target[r.shape.agents + l] = r.link_weight[l] = 0;
    }
    SYN_EACH(k, more * SYN_DI) r.items[items * SYN_DI + k] = 0;
    SYN_EACH(k, more) r.bias[items + k] = 0;
}

extern "C" syn_status syn_gap_batch_make_cuda(syn_ctx *ctx, const syn_observer *o,
                                              const syn_tasks *tasks, const syn_env *envs,
                                              const int32_t *label, const real *scale,
                                              const syn_gap_shape *shape, syn_gap_batch *b)
{
    const int64_t E = o->envs;
    rows r = {E,
              envs,
              label,
              o->turn.at + SYN_TURN_AGENTS * (E + 1),
              o->turn.at + SYN_TURN_ITEMS * (E + 1),
              o->turn.at + SYN_TURN_GAPS * (E + 1),
              o->turn.offset,
              scale,
              *shape};
    SYN_TAKE(ctx, r.first, int32_t, shape->agents);
    SYN_TAKE(ctx, r.size, int32_t, shape->agents);
    SYN_TAKE(ctx, r.link_i, int32_t, shape->links);
    SYN_TAKE(ctx, r.link_j, int32_t, shape->links);
    SYN_TAKE(ctx, r.offset, int32_t, shape->agents + 1);
    SYN_TAKE(ctx, r.items, float, shape->items *SYN_DI);
    SYN_TAKE(ctx, r.bias, float, shape->items);
    SYN_TAKE(ctx, r.target, float, shape->agents + shape->links);
    SYN_TAKE(ctx, r.weight, float, shape->agents);
    SYN_TAKE(ctx, r.link_weight, float, shape->links);
    SYN_RETURN_IF(syn_observe_items_cuda(ctx, o, tasks, envs, shape->items, r.items, r.bias));
    SYN_LAUNCH(ctx, team_kernel, (unsigned)E, THREADS, 0, r);
    SYN_LAUNCH_CHECK(ctx, "teams to learn from");
    const int64_t most = shape->links > shape->agents ? shape->links : shape->agents + 1;
    SYN_LAUNCH(ctx, fill_kernel, syn_each_blocks(most), SYN_EACH_THREADS, 0, r);
    SYN_LAUNCH_CHECK(ctx, "filling a batch up");
    *b = syn_gap_batch{};
    b->team.agents = shape->agents;
    b->team.links = shape->links;
    b->team.seq = syn_seq{shape->agents, shape->longest, shape->items, r.offset, NULL};
    b->team.first = r.first;
    b->team.size = r.size;
    b->team.link_i = r.link_i;
    b->team.link_j = r.link_j;
    b->team.items = b->items = r.items;
    b->team.bias = r.bias;
    b->target = r.target;
    b->weight = r.weight;
    b->link_weight = r.link_weight;
    return SYN_OK;
}
