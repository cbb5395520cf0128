#include "engine/observe_core.h"

#include <string.h>

enum { R = SYN_ROWS_MAX, N = SYN_AGENTS_MAX };

/* The lists of a turn, on CUDA. */
static syn_status turn_alloc(syn_ctx *ctx, syn_turn *t, int64_t E)
{
    const struct {
        void *to;
        int64_t count;
    } part[] = {
        {&t->at, SYN_TURN_LISTS * (E + 1)},
        {&t->agent, E * N},
        {&t->offset, E * N + 1},
        {&t->item, E * N * R},
        {&t->view_task, E * (N + 1)},
        {&t->view_slot, E * (N + 1)},
        {&t->view, E * (N + 1)},
        {&t->view_rows, E * (N + 1)},
        {&t->rank, E * (N + 1) * R},
        {&t->fresh_task, E},
        {&t->fresh, E},
        {&t->fresh_rows, E},
        {&t->look, E * R},
        {&t->ia, E * N * N},
        {&t->ib, E * N * N},
    };
    enum { PARTS = sizeof part / sizeof *part, ALIGN = 64 / sizeof(int32_t) };
    int64_t total = 0;
    for (int k = 0; k < PARTS; k++) total += (part[k].count + ALIGN - 1) / ALIGN * ALIGN;
    int32_t *from = syn_device_alloc(ctx, sizeof *from * (size_t)total);
    for (int k = 0; k < PARTS && from; k++) {
        memcpy(part[k].to, &from, sizeof from);
        from += (part[k].count + ALIGN - 1) / ALIGN * ALIGN;
    }
    return from ? SYN_OK : SYN_ERR_MEMORY;
}

syn_status syn_observer_init(syn_ctx *ctx, syn_observer *o, int64_t envs, bool central)
{
    memset(o, 0, sizeof *o);
    SYN_REQUIRE(envs > 0 && envs <= SYN_OBSERVER_ENVS_MAX, "an observer of %lld environments",
                (long long)envs);
    const size_t E = (size_t)envs;
    o->envs = envs;
    o->central = central;
    o->own = syn_device_alloc(ctx, sizeof(real) * E * (N + 1) * R * SYN_DV);
    o->again = syn_device_alloc(ctx, sizeof(real) * E * R * SYN_DV);
    o->first = syn_device_alloc(ctx, sizeof(real) * E * R);
    o->rel = syn_device_alloc(ctx, sizeof(real) * E * R);
    o->rank = syn_device_alloc(ctx, sizeof(float) * E * N * R);
    o->ckm = syn_device_alloc(ctx, sizeof(real) * E * N * SYN_CKM);
    o->a = syn_device_alloc(ctx, sizeof(real) * E * N * SYN_GAP_HIDDEN);
    o->b = syn_device_alloc(ctx, sizeof(real) * E * 2 * N * SYN_GAP_HIDDEN);
    o->link = syn_device_alloc(ctx, sizeof(real) * E * N * N);
    o->gap = syn_device_alloc(ctx, sizeof(real) * E * N);
    o->gap_logit = syn_device_alloc(ctx, sizeof(real) * E * N);
    if (o->own && o->again && o->first && o->rel && o->rank && o->ckm && o->a && o->b && o->link &&
        o->gap && o->gap_logit &&
        (ctx->device == SYN_DEVICE_CPU || turn_alloc(ctx, &o->turn, envs) == SYN_OK)) {
        o->all = o->own + E * N * R * SYN_DV;
        return SYN_OK;
    }
    syn_observer_free(ctx, o);
    return SYN_ERR_MEMORY;
}

void syn_observer_free(syn_ctx *ctx, syn_observer *o)
{
    void *all[] = {o->own, o->again, o->first, o->rel, o->rank,      o->ckm,
                   o->a,   o->b,     o->link,  o->gap, o->gap_logit, o->turn.at};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) syn_device_free(ctx, all[i]);
    memset(o, 0, sizeof *o);
}

int64_t syn_observer_env_bytes(syn_device device)
{
    const int64_t buffers = (N + 1) * R * SYN_DV + R * SYN_DV + 2 * R + N * R +
                            N * (SYN_CKM + 3 * SYN_GAP_HIDDEN + N + 2);
    if (device == SYN_DEVICE_CPU) return (int64_t)sizeof(real) * buffers;
    const int64_t lists = SYN_TURN_LISTS + N * (2 + R) + (N + 1) * (4 + R) + 3 + R + 2 * N * N;
    return (int64_t)sizeof(float) * (buffers + lists) + syn_observer_scratch_bytes(device);
}

int64_t syn_observer_scratch_bytes(syn_device device)
{
    const int64_t items = N * R;
    const int64_t views = (N + 1) * R * (SYN_DX + 1) + R;
    const int64_t team = items * (SYN_DI + 1 + SYN_DI_HIDDEN + SYN_CKM + 1 + 8 * SYN_CKM_HALF +
                                  SYN_CKM_ATTENTION + 1) +
                         N * (SYN_CKM + 2 * SYN_GAP_HIDDEN);
    if (device == SYN_DEVICE_CPU) return 0;
    return (int64_t)sizeof(float) * (views > team ? views : team);
}

syn_status syn_observation_alloc(syn_ctx *ctx, syn_observation *x, int64_t rows)
{
    const size_t n = (size_t)rows;
    memset(x, 0, sizeof *x);
    x->message = syn_device_alloc(ctx, sizeof(real) * n * SYN_DM);
    x->ckm = syn_device_alloc(ctx, sizeof(real) * n * N * SYN_CKM);
    x->pair_x = syn_device_alloc(ctx, sizeof(real) * n * 2 * N * N * SYN_PAIR_X);
    x->agent_x = syn_device_alloc(ctx, sizeof(real) * n * N * SYN_AGENT_X);
    x->summary = syn_device_alloc(ctx, sizeof(real) * n * SYN_SUMMARY);
    x->mask = syn_device_alloc(ctx, n * SYN_ACTIONS_MAX);
    x->count = syn_device_alloc(ctx, sizeof(int32_t) * n);
    x->reset = syn_device_alloc(ctx, n);
    if (x->message && x->ckm && x->pair_x && x->agent_x && x->summary && x->mask && x->count &&
        x->reset) {
        return SYN_OK;
    }
    syn_observation_free(ctx, x);
    return SYN_ERR_MEMORY;
}

void syn_observation_free(syn_ctx *ctx, syn_observation *x)
{
    void *all[] = {x->message, x->ckm,  x->pair_x, x->agent_x,
                   x->summary, x->mask, x->count,  x->reset};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) syn_device_free(ctx, all[i]);
    memset(x, 0, sizeof *x);
}

syn_observation syn_observation_at(const syn_observation *x, int64_t at)
{
    syn_observation y = {x->message + at * SYN_DM,
                         x->ckm + at * N * SYN_CKM,
                         x->pair_x + at * 2 * N * N * SYN_PAIR_X,
                         x->agent_x + at * N * SYN_AGENT_X,
                         x->summary + at * SYN_SUMMARY,
                         x->mask + at * SYN_ACTIONS_MAX,
                         x->count + at,
                         x->reset + at,
                         x->allow ? x->allow + at * x->allow_stride : NULL,
                         x->allow_stride};
    return y;
}

/* Lists the agents whose memory changed; returns how many. list (E * N). */
static int64_t changed_agents(const syn_env *envs, int64_t count, int32_t *list)
{
    int64_t n = 0;
    for (int64_t e = 0; e < count; e++) {
        for (uint32_t left = envs[e].changed; left; left &= left - 1) {
            list[n++] = (int32_t)(e * N + syn_lowest(left));
        }
    }
    return n;
}

/* ---- Views and ranks ---- */

void syn_interaction(real *x, const real *quest, const real *view, const real *second)
{
    memcpy(x, quest, sizeof(real) * SYN_DQ);
    memcpy(x + SYN_DQ, view, sizeof(real) * SYN_DV);
    if (second)
        memcpy(x + SYN_DQ + SYN_DV, second, sizeof(real) * SYN_DV);
    else
        memset(x + SYN_DQ + SYN_DV, 0, sizeof(real) * SYN_DV);
}

/* One batch of ranker scores: view v of n covers the pieces rows[v]; features (n, R, SYN_DV). */
typedef struct rank_batch {
    int64_t n;
    const int32_t *task;
    const uint32_t *rows;
    const real *features;
    const real
        *second;    /* what stands in the second half of the input, like features; NULL: zeros */
    syn_input kind; /* by the refiner, or by the ranker */
} rank_batch;

static syn_status rank_rows(syn_ctx *ctx, const syn_perception *p, const syn_tasks *tasks,
                            const rank_batch *b, real *score /* (n, R) */)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int64_t *at = SYN_SCRATCH(ctx, int64_t, b->n + 1);
    if (!at) goto done;
    at[0] = 0;
    for (int64_t v = 0; v < b->n; v++) at[v + 1] = at[v] + syn_popcount(b->rows[v]);
    real *x = SYN_SCRATCH(ctx, real, at[b->n] * SYN_DX);
    real *y = SYN_SCRATCH(ctx, real, at[b->n]);
    if (!x || !y) goto done;
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (b->n > 16)
    for (int64_t v = 0; v < b->n; v++) {
        const real *quest = tasks->quest + (int64_t)b->task[v] * SYN_TASK_QUEST;
        int64_t k = at[v];
        for (uint32_t left = b->rows[v]; left; left &= left - 1, k++) {
            int row = syn_lowest(left);
            const real *f = b->features + (v * R + row) * SYN_DV;
            syn_interaction(x + k * SYN_DX, quest + row * SYN_DQ, f,
                            b->second ? b->second + (v * R + row) * SYN_DV : NULL);
        }
    }
    syn_without_apply(p->without, b->kind, at[b->n], x);
    SYN_TRY(b->kind == SYN_INPUT_REFINER ? syn_refiner_score(ctx, p, at[b->n], x, y)
                                         : syn_ranker_score(ctx, p, at[b->n], x, y));
    for (int64_t v = 0; v < b->n; v++) {
        int64_t k = at[v];
        for (uint32_t left = b->rows[v]; left; left &= left - 1)
            score[v * R + syn_lowest(left)] = y[k++];
    }
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* The view of all pieces, once per episode. */
static syn_status observe_all(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                              const syn_tasks *tasks, const syn_env *envs)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int32_t *task = SYN_SCRATCH(ctx, int32_t, o->envs), *env = SYN_SCRATCH(ctx, int32_t, o->envs);
    uint32_t *rows = SYN_SCRATCH(ctx, uint32_t, o->envs);
    if (!task || !env || !rows) goto done;
    int64_t n = 0;
    for (int64_t e = 0; e < o->envs; e++) {
        if (!syn_env_fresh(&envs[e])) continue;
        env[n] = (int32_t)e;
        task[n] = envs[e].task;
        rows[n++] = envs[e].present;
    }
    st = SYN_OK;
    if (n == 0) goto done;
    real *f = SYN_SCRATCH(ctx, real, n * R * SYN_DV),
         *again = SYN_SCRATCH(ctx, real, n * R * SYN_DV);
    real *first = SYN_SCRATCH(ctx, real, n * R), *score = SYN_SCRATCH(ctx, real, n * R);
    real *worth = SYN_SCRATCH(ctx, real, n * R);
    if (!f || !again || !first || !score || !worth) {
        st = SYN_ERR_MEMORY;
        goto done;
    }
    SYN_TRY(syn_view_features(ctx, n, task, rows, rows, tasks->quest, tasks->pair, f));
    SYN_TRY(
        rank_rows(ctx, p, tasks, &(rank_batch){n, task, rows, f, f, SYN_INPUT_RANKER_ALL}, first));
    for (int64_t v = 0; v < n; v++) {
        for (int row = 0; row < R; row++) {
            worth[v * R + row] = rows[v] >> row & 1 ? syn_sigmoid(first[v * R + row]) : 0;
        }
    }
    SYN_TRY(
        syn_view_features_by(ctx, n, task, rows, rows, tasks->quest, tasks->pair, worth, again));
    SYN_TRY(
        rank_rows(ctx, p, tasks, &(rank_batch){n, task, rows, f, again, SYN_INPUT_REFINER}, score));
    for (int64_t v = 0; v < n; v++) {
        for (uint32_t left = rows[v]; left; left &= left - 1) {
            int row = syn_lowest(left);
            memcpy(o->all + ((int64_t)env[v] * R + row) * SYN_DV, f + (v * R + row) * SYN_DV,
                   sizeof(real) * SYN_DV);
            memcpy(o->again + ((int64_t)env[v] * R + row) * SYN_DV, again + (v * R + row) * SYN_DV,
                   sizeof(real) * SYN_DV);
            o->first[(int64_t)env[v] * R + row] = first[v * R + row];
            o->rel[(int64_t)env[v] * R + row] = score[v * R + row];
        }
    }
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_observe_views_cpu(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                 const syn_tasks *tasks, const syn_env *envs)
{
    o->without = p->without;
    if (o->central) SYN_RETURN_IF(observe_all(ctx, o, p, tasks, envs));
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int32_t *agent = SYN_SCRATCH(ctx, int32_t, o->envs * N);
    if (!agent) goto done;
    int64_t n = changed_agents(envs, o->envs, agent);
    int32_t *task = SYN_SCRATCH(ctx, int32_t, n + 1);
    uint32_t *view = SYN_SCRATCH(ctx, uint32_t, n + 1), *rows = SYN_SCRATCH(ctx, uint32_t, n + 1);
    real *f = SYN_SCRATCH(ctx, real, n * R * SYN_DV), *score = SYN_SCRATCH(ctx, real, n * R);
    if (!task || !view || !rows || !f || !score) goto done;
    for (int64_t v = 0; v < n; v++) {
        const syn_env *e = &envs[agent[v] / N];
        task[v] = e->task;
        view[v] = e->memory[agent[v] % N];
        rows[v] = e->present;
    }
    SYN_TRY(syn_view_features(ctx, n, task, view, rows, tasks->quest, tasks->pair, f));
    SYN_TRY(
        rank_rows(ctx, p, tasks, &(rank_batch){n, task, rows, f, NULL, SYN_INPUT_RANKER}, score));
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t v = 0; v < n; v++) {
        for (uint32_t left = rows[v]; left; left &= left - 1) {
            int row = syn_lowest(left);
            memcpy(o->own + ((int64_t)agent[v] * R + row) * SYN_DV, f + (v * R + row) * SYN_DV,
                   sizeof(real) * SYN_DV);
            o->rank[(int64_t)agent[v] * R + row] = (float)score[v * R + row];
        }
    }
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_observe_views(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                             const syn_tasks *tasks, const syn_env *envs)
{
    return SYN_DISPATCH(ctx, syn_observe_views, o, p, tasks, envs);
}

/* ---- Items ---- */

/* The relevance logit that stands with piece `row` in agent i's memory. Without the view of all
 * pieces the refiner knows less than the ranker. */
static inline real relevance(const syn_observer *o, int64_t e, int i, int row)
{
    return o->central && !(o->without & SYN_WITHOUT_ALL_VIEW)
               ? o->rel[e * R + row]
               : (real)o->rank[(e * N + i) * R + row];
}

static void item_vector(const syn_observer *o, const syn_tasks *tasks, const syn_env *env,
                        int64_t e, int i, int row, real *x)
{
    const real *own = o->own + ((e * N + i) * R + row) * SYN_DV;
    const real *all = o->central ? o->all + (e * R + row) * SYN_DV : NULL;
    syn_interaction(x, tasks->quest + (int64_t)env->task * SYN_TASK_QUEST + row * SYN_DQ, own, all);
    x[SYN_DX] = relevance(o, e, i, row) / 4;
    syn_item_meta(env, o->central, i, row, x + SYN_DX + 1);
}

int64_t syn_observe_item_count(const syn_env *envs, int64_t n, const int32_t *agent)
{
    int64_t items = 0;
    for (int64_t k = 0; k < n; k++) items += envs[agent[k] / N].count[agent[k] % N];
    return items;
}

int64_t syn_observe_items(syn_ctx *ctx, const syn_observer *o, const syn_tasks *tasks,
                          const syn_env *envs, int64_t n, const int32_t *agent, int32_t *offset,
                          real *items, real *bias)
{
    int64_t longest = 0;
    offset[0] = 0;
    for (int64_t k = 0; k < n; k++) {
        int length = envs[agent[k] / N].count[agent[k] % N];
        offset[k + 1] = offset[k] + length;
        longest = length > longest ? length : longest;
    }
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t k = 0; k < n; k++) {
        int64_t e = agent[k] / N;
        int i = agent[k] % N;
        for (int t = 0; t < offset[k + 1] - offset[k]; t++) {
            int row = envs[e].item[i][t];
            int64_t at = offset[k] + t;
            item_vector(o, tasks, &envs[e], e, i, row, items + at * SYN_DI);
            bias[at] = relevance(o, e, i, row);
        }
        syn_without_apply(o->without, SYN_INPUT_ITEM, offset[k + 1] - offset[k],
                          items + (int64_t)offset[k] * SYN_DI);
    }
    return longest;
}

/* ---- Team: CKM vectors, links, gaps ---- */

/* Mean of the others' second halves, for every agent of the changed teams. */
static void team_means(syn_ctx *ctx, syn_observer *o, const syn_env *envs)
{
    real *means = o->b + o->envs * N * SYN_GAP_HIDDEN;
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < o->envs; e++) {
        if (!envs[e].changed) continue;
        const int n = envs[e].agents;
        real sum[SYN_GAP_HIDDEN] = {0};
        for (int i = 0; i < n; i++) {
            const real *b = o->b + (e * N + i) * SYN_GAP_HIDDEN;
            for (int d = 0; d < SYN_GAP_HIDDEN; d++) sum[d] += b[d];
        }
        for (int i = 0; i < n; i++) {
            const real *b = o->b + (e * N + i) * SYN_GAP_HIDDEN;
            real *m = means + (e * N + i) * SYN_GAP_HIDDEN;
            for (int d = 0; d < SYN_GAP_HIDDEN; d++) m[d] = (sum[d] - b[d]) / (real)(n - 1);
        }
    }
}

/* Rows of the gap detector that a change touches: every agent's gap, links with a changed end. */
static int64_t team_rows(const syn_observer *o, const syn_env *envs, int32_t *ia, int32_t *ib)
{
    int64_t rows = 0, all = o->envs * N;
    for (int64_t e = 0; e < o->envs; e++) {
        const syn_env *env = &envs[e];
        if (!env->changed) continue;
        for (int i = 0; i < env->agents; i++) {
            ia[rows] = (int32_t)(e * N + i);
            ib[rows++] = (int32_t)(all + e * N + i);
            for (int j = 0; j < env->agents; j++) {
                if (i == j || !((env->changed >> i | env->changed >> j) & 1)) continue;
                ia[rows] = (int32_t)(e * N + i);
                ib[rows++] = (int32_t)(e * N + j);
            }
        }
    }
    return rows;
}

static syn_status team_gaps(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                            const syn_env *envs)
{
    const int64_t all = o->envs * N;
    int32_t *ia = SYN_SCRATCH(ctx, int32_t, all * N), *ib = SYN_SCRATCH(ctx, int32_t, all * N);
    if (!ia || !ib) return SYN_ERR_MEMORY;
    team_means(ctx, o, envs);
    int64_t rows = team_rows(o, envs, ia, ib);
    real *logit = SYN_SCRATCH(ctx, real, rows * SYN_GAP_OUT);
    if (!logit) return SYN_ERR_MEMORY;
    SYN_RETURN_IF(syn_gap_score(ctx, p, rows, o->a, ia, o->b, ib, logit));
    for (int64_t r = 0; r < rows; r++) {
        int64_t e = ia[r] / N;
        int i = ia[r] % N;
        if (ib[r] >= all) {
            real z = logit[r * SYN_GAP_OUT + SYN_GAP];
            o->gap_logit[ia[r]] = z;
            o->gap[ia[r]] = syn_calibrate(&p->calibrated[SYN_GAP], z);
        } else {
            o->link[(e * N + i) * N + ib[r] % N] =
                syn_calibrate(&p->calibrated[SYN_LINK], logit[r * SYN_GAP_OUT + SYN_LINK]);
        }
    }
    return SYN_OK;
}

syn_status syn_observe_team_cpu(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                const syn_env *envs, const syn_tasks *tasks)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int32_t *agent = SYN_SCRATCH(ctx, int32_t, o->envs * N);
    int32_t *offset = SYN_SCRATCH(ctx, int32_t, o->envs * N + 1);
    if (!agent || !offset) goto done;
    int64_t n = changed_agents(envs, o->envs, agent),
            items = syn_observe_item_count(envs, n, agent);
    real *x = SYN_SCRATCH(ctx, real, items * SYN_DI), *bias = SYN_SCRATCH(ctx, real, items);
    real *ckm = SYN_SCRATCH(ctx, real, n * SYN_CKM);
    real *a = SYN_SCRATCH(ctx, real, n * SYN_GAP_HIDDEN),
         *b = SYN_SCRATCH(ctx, real, n * SYN_GAP_HIDDEN);
    if (!x || !bias || !ckm || !a || !b) goto done;
    st = SYN_OK;
    if (n == 0) goto done;
    int64_t longest = syn_observe_items(ctx, o, tasks, envs, n, agent, offset, x, bias);
    SYN_TRY(
        syn_ckm_forward(ctx, p, &(syn_seq){n, longest, items, offset, NULL}, x, bias, ckm, NULL));
    SYN_TRY(syn_gap_factor(ctx, p, n, ckm, a, b));
    for (int64_t k = 0; k < n; k++) {
        memcpy(o->ckm + (int64_t)agent[k] * SYN_CKM, ckm + k * SYN_CKM, sizeof(real) * SYN_CKM);
        memcpy(o->a + (int64_t)agent[k] * SYN_GAP_HIDDEN, a + k * SYN_GAP_HIDDEN,
               sizeof(real) * SYN_GAP_HIDDEN);
        memcpy(o->b + (int64_t)agent[k] * SYN_GAP_HIDDEN, b + k * SYN_GAP_HIDDEN,
               sizeof(real) * SYN_GAP_HIDDEN);
    }
    SYN_TRY(team_gaps(ctx, o, p, envs));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_observe_team(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                            const syn_env *envs, const syn_tasks *tasks)
{
    return SYN_DISPATCH(ctx, syn_observe_team, o, p, envs, tasks);
}
