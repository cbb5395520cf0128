/* The CPU side of a batch: rows are copied from the store and back, unless they are the store's. */
#include <string.h>

#include "engine/scorer_private.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX, H = SYN_GAP_HIDDEN };

static void copy(void *to, const void *from, size_t count, size_t size)
{
    if (to != from) memcpy(to, from, count * size);
}

/* What is known of the agents of a mask. */
static void agents_copy(const syn_place *to, const syn_place *from, uint32_t agents)
{
    for (; agents; agents &= agents - 1) {
        const int64_t i = syn_lowest(agents);
        copy(to->own + i * R * SYN_DV, from->own + i * R * SYN_DV, R * SYN_DV, sizeof(real));
        copy(to->rank + i * R, from->rank + i * R, R, sizeof(float));
        copy(to->ckm + i * SYN_CKM, from->ckm + i * SYN_CKM, SYN_CKM, sizeof(real));
        copy(to->a + i * H, from->a + i * H, H, sizeof(real));
        copy(to->b + i * H, from->b + i * H, H, sizeof(real));
    }
}

static void view_copy(const syn_place *to, const syn_place *from)
{
    copy(to->all, from->all, R * SYN_DV, sizeof(real));
    copy(to->rel, from->rel, R, sizeof(real));
}

static void gaps_copy(const syn_place *to, const syn_place *from)
{
    copy(to->link, from->link, N * N, sizeof(real));
    copy(to->gap, from->gap, N, sizeof(real));
}

syn_status syn_scorer_gather_cpu(syn_ctx *ctx, const syn_store *s, const syn_batch *b, int64_t rows)
{
    (void)ctx;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (rows > 8)
    for (int64_t e = 0; e < rows; e++) {
        const syn_staged *staged = &b->staged[e];
        const syn_place from = syn_place_stored(s, staged->slot), to = syn_place_observed(&b->o, e);
        syn_env *env = &b->envs[e];
        syn_staged_env(staged, env);
        const uint32_t all = (1u << env->agents) - 1;
        env->changed = staged->afresh ? all : syn_team_changed(&s->seen[staged->slot], env);
        agents_copy(&to, &from, all & ~env->changed);
        if (env->changed != all) view_copy(&to, &from);
        gaps_copy(&to, &from);
        b->counter[e] = staged->counter;
        if (!staged->decides) continue;
        const int64_t at = 2 * (int64_t)staged->slot + staged->from;
        memcpy(b->h0 + e * SYN_STATE, s->h + at * SYN_STATE, sizeof(real) * SYN_STATE);
        memcpy(b->c0 + e * SYN_STATE, s->c + at * SYN_STATE, sizeof(real) * SYN_STATE);
    }
    return SYN_OK;
}

syn_status syn_scorer_settle_cpu(syn_ctx *ctx, const syn_store *s, const syn_batch *b, int64_t rows,
                                 bool decides)
{
    (void)ctx;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (rows > 8)
    for (int64_t e = 0; e < rows; e++) {
        const syn_staged *staged = &b->staged[e];
        const syn_env *env = &b->envs[e];
        const syn_place to = syn_place_stored(s, staged->slot), from = syn_place_observed(&b->o, e);
        syn_settled *settled = &b->settled[e];
        const int n = env->agents;
        agents_copy(&to, &from, env->changed);
        if (b->o.central && syn_env_fresh(env)) view_copy(&to, &from);
        if (env->changed) gaps_copy(&to, &from);
        s->seen[staged->slot] = *env;
        for (int k = 0; k < n * n; k++) settled->gaps[k] = syn_settle_gap(&from, k, n);
        settled->sufficiency = (float)syn_team_sufficiency(env, from.gap);
        if (!decides || !staged->decides) continue;
        const int way = staged->draws;
        syn_settle_action(settled, staged, from.rank, b->action[way][e], b->logp[way][e],
                          b->all + e * A);
        const int64_t at = 2 * (int64_t)staged->slot + 1 - staged->from;
        memcpy(s->h + at * SYN_STATE, b->hT + e * SYN_STATE, sizeof(real) * SYN_STATE);
        memcpy(s->c + at * SYN_STATE, b->cT + e * SYN_STATE, sizeof(real) * SYN_STATE);
    }
    return SYN_OK;
}
