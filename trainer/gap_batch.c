#include "trainer/gap_batch.h"

#include <string.h>

#include "kernels/loss.h"
#include "trainer/episodes.h"

enum { N = SYN_AGENTS_MAX };

typedef struct rows {
    int32_t *first, *size, *link_i, *link_j, *offset;
} rows;

static void fill(const syn_env *envs, const syn_env *const *labels, int64_t count, const rows *to,
                 syn_gap_batch *b)
{
    int64_t agents = 0, links = 0;
    for (int64_t e = 0; e < count; e++) {
        const syn_env *label = labels ? labels[e] : &envs[e];
        const int n = envs[e].agents, first = (int)agents;
        for (int i = 0; i < n; i++, agents++) {
            b->agent[agents] = (int32_t)(e * N + i);
            to->first[agents] = first;
            to->size[agents] = n;
            b->target[agents] = syn_label_gap(label, i < label->agents ? i : 0);
            b->weight[agents] = i == 0 ? 1 : (real)2 / (real)n;
            for (int j = 0; j < n; j++) {
                if (i == j) continue;
                to->link_i[links] = first + i;
                to->link_j[links++] = first + j;
            }
        }
    }
    b->team.agents = agents;
    b->team.links = links;
    for (int64_t l = 0; l < links; l++) {
        const int64_t e = b->agent[to->link_i[l]] / N;
        const syn_env *label = labels ? labels[e] : &envs[e];
        const int i = b->agent[to->link_i[l]] % N, j = b->agent[to->link_j[l]] % N;
        b->target[agents + l] =
            i < label->agents && j < label->agents && syn_label_link(label, i, j);
    }
}

syn_status syn_gap_batch_make(syn_ctx *ctx, const syn_observer *o, const syn_tasks *tasks,
                              const syn_env *envs, const syn_env *const *label, int64_t count,
                              syn_gap_batch *b)
{
    const int64_t most = count * N;
    rows r;
    memset(b, 0, sizeof *b);
    SYN_TAKE(ctx, b->agent, int32_t, most);
    SYN_TAKE(ctx, r.first, int32_t, most);
    SYN_TAKE(ctx, r.size, int32_t, most);
    SYN_TAKE(ctx, r.link_i, int32_t, most * N);
    SYN_TAKE(ctx, r.link_j, int32_t, most * N);
    SYN_TAKE(ctx, r.offset, int32_t, most + 1);
    SYN_TAKE(ctx, b->target, real, most * (N + 1));
    SYN_TAKE(ctx, b->weight, real, most);
    fill(envs, label, count, &r, b);
    const int64_t items = syn_observe_item_count(envs, b->team.agents, b->agent);
    real *bias;
    SYN_TAKE(ctx, b->items, real, items * SYN_DI);
    SYN_TAKE(ctx, bias, real, items);
    const int64_t longest =
        syn_observe_items(ctx, o, tasks, envs, b->team.agents, b->agent, r.offset, b->items, bias);
    b->team.seq = (syn_seq){b->team.agents, longest, items, r.offset, NULL};
    b->team.items = b->items;
    b->team.bias = bias;
    b->team.first = r.first;
    b->team.size = r.size;
    b->team.link_i = r.link_i;
    b->team.link_j = r.link_j;
    return SYN_OK;
}

/* ---- Shapes ---- */

void syn_gap_shape_add(syn_gap_shape *s, const syn_env *env)
{
    const int64_t n = env->agents;
    s->agents += n;
    s->links += n * (n - 1);
    for (int i = 0; i < n; i++) {
        s->items += env->count[i];
        if (env->count[i] > s->longest) s->longest = env->count[i];
    }
}

/* Up to one of 1, 2, 3, 4, 6, 8, 12, 16 and so on. */
static int64_t coarse(int64_t n)
{
    int64_t step = 1;
    while (4 * step <= n) step *= 2;
    return (n + step - 1) / step * step;
}

syn_gap_shape syn_gap_shape_fill(const syn_gap_shape *s)
{
    const int64_t longest = (s->longest + 7) / 8 * 8;
    syn_gap_shape to = {.links = coarse(s->links), .items = coarse(s->items), .longest = longest};
    /* Those that are filled in hold the items that are, and each link has two ends. */
    const int64_t holders = longest ? (to.items - s->items + longest - 1) / longest : 0;
    to.agents = coarse(s->agents + (holders ? holders : 1));
    return to;
}

syn_status syn_gap_batch_learn(syn_ctx *ctx, const syn_perception *p, const syn_gap_batch *b,
                               const real scale[SYN_GAP_OUT], uint64_t seed, uint64_t counter,
                               real loss[SYN_GAP_OUT])
{
    const int64_t n = b->team.agents, all = (n + b->team.links) * SYN_GAP_OUT;
    const int64_t links = n * SYN_GAP_OUT + SYN_LINK; /* where the first link's logit is */
    syn_perception_cache *cache;
    real *logit, *dlogit;
    SYN_TAKE(ctx, logit, real, all);
    SYN_TAKE(ctx, dlogit, real, all);
    SYN_RETURN_IF(syn_zero(ctx, dlogit, sizeof(real) * (size_t)all));
    SYN_RETURN_IF(syn_perception_forward(ctx, p, &b->team, true, seed, counter, &cache, logit));
    SYN_RETURN_IF(syn_bce_forward_backward(ctx, n, logit + SYN_GAP, SYN_GAP_OUT, b->target,
                                           b->weight, scale[SYN_GAP], dlogit + SYN_GAP,
                                           &loss[SYN_GAP]));
    SYN_RETURN_IF(syn_bce_forward_backward(ctx, b->team.links, logit + links, SYN_GAP_OUT,
                                           b->target + n, b->link_weight, scale[SYN_LINK],
                                           dlogit + links, &loss[SYN_LINK]));
    return syn_perception_backward(ctx, p, &b->team, cache, dlogit);
}
