/* Views, ranks, items, knowledge and gaps of what changed in a turn: the chain that
 * engine/observe.c describes, over lists whose lengths only the device knows. Every kernel takes
 * the entries of a list in turn, so that a launch costs what the turn holds, not what it could
 * hold. */
#include "engine/observe_core.h"
#include "engine/observe_device.h"
#include "kernels/base/launch.cuh"
#include "kernels/reduce.cuh"

enum {
    R = SYN_ROWS_MAX,
    N = SYN_AGENTS_MAX,
    THREADS = 256,
    WARPS = THREADS / SYN_WARP,
    RESIDENT = 8 /* blocks on a multiprocessor */
};

/* The same for all threads of a warp: its first entry, and how far it is to the next. */
#define FIRST_OF_WARP ((int64_t)blockIdx.x * WARPS + threadIdx.x / SYN_WARP)
#define WARPS_OF_GRID ((int64_t)gridDim.x * WARPS)

/* Column c of what syn_interaction writes. */
static __device__ float interaction(int c, const float *quest, const float *view,
                                    const float *second)
{
    if (c < SYN_DQ) return quest[c];
    if (c < SYN_DQ + SYN_DV) return view[c - SYN_DQ];
    return second ? second[c - SYN_DQ - SYN_DV] : 0;
}

static_assert((int)SYN_DX == 2 * (int)SYN_WARP, "a lane writes two columns");

/* ---- Ranks ---- */

/* Rows of ranker or refiner input. A piece in view `slot` < own is one in an agent's view: its
 * second half is zero; one beyond is one in the view of all pieces, with `second` beside it. */
typedef struct rank_batch {
    const int32_t *live, *slot;
    int64_t own; /* E N R; 0 for the refiner */
    const syn_env *envs;
    const float *quest, *view, *second;
    syn_columns of_own, of_all; /* that fall */
    float *x;                   /* (capacity, SYN_DX) */
} rank_batch;

static __global__ void __launch_bounds__(THREADS) rank_input_kernel(rank_batch b)
{
    const int lane = (int)threadIdx.x % SYN_WARP;
    const int32_t live = *b.live;
    for (int64_t k = FIRST_OF_WARP; k < live; k += WARPS_OF_GRID) {
        const int64_t slot = b.slot[k];
        const bool own = slot < b.own;
        const int64_t e = own ? slot / (N * R) : (slot - b.own) / R;
        const float *quest = b.quest + (int64_t)b.envs[e].task * SYN_TASK_QUEST + slot % R * SYN_DQ;
        const float *view = b.view + slot * SYN_DV;
        const float *second = own ? NULL : b.second + slot * SYN_DV;
#pragma unroll
        for (int word = 0; word < 2; word++) {
            const uint32_t falls = own ? b.of_own.fall[word] : b.of_all.fall[word];
            const int c = word * SYN_WARP + lane;
            b.x[k * SYN_DX + c] = falls >> lane & 1 ? 0 : interaction(c, quest, view, second);
        }
    }
}

/* To its place goes every score; of those beyond `own`, the probability too, where it is asked for.
 */
static __global__ void __launch_bounds__(THREADS)
    rank_output_kernel(const int32_t *live, const int32_t *slot, int64_t own, const float *score,
                       float *of_own, float *of_all, float *worth)
{
    const int64_t n = *live;
    for (int64_t k = (int64_t)blockIdx.x * THREADS + threadIdx.x; k < n;
         k += (int64_t)gridDim.x * THREADS) {
        const int64_t to = slot[k];
        if (to < own) {
            of_own[to] = score[k];
        } else {
            of_all[to - own] = score[k];
            if (worth) worth[to - own] = syn_sigmoid(score[k]);
        }
    }
}

/* Scratch of a turn for `rows` rows of ranker input. */
typedef struct rank_scratch {
    float *x, *y, *worth;
} rank_scratch;

/* Of all views of the turn, the ranker's scores. */
static syn_status rank_views(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                             const syn_tasks *tasks, const syn_env *envs, const rank_scratch *s)
{
    const syn_turn *t = &o->turn;
    const int64_t views = o->envs * (N + (o->central ? 1 : 0)), own = o->envs * N * R;
    const int32_t *live = syn_turn_length(o, SYN_TURN_RANKS);
    const syn_ffn ranker = syn_ranker_ffn(p);
    SYN_RETURN_IF(syn_view_features_live_cuda(ctx, views, syn_turn_length(o, SYN_TURN_VIEWS),
                                              t->view_task, t->view, t->view_rows, t->view_slot,
                                              tasks->quest, tasks->pair, NULL, o->own));
    const rank_batch b = {live,
                          t->rank,
                          own,
                          envs,
                          tasks->quest,
                          o->own,
                          o->own,
                          syn_without_columns(p->without, SYN_INPUT_RANKER),
                          syn_without_columns(p->without, SYN_INPUT_RANKER_ALL),
                          s->x};
    SYN_LAUNCH(ctx, rank_input_kernel, syn_blocks_resident(views * R, WARPS, RESIDENT), THREADS, 0,
               b);
    SYN_LAUNCH_CHECK(ctx, "ranker input");
    SYN_RETURN_IF(syn_ffn_score(ctx, &ranker, views * R, live, s->x, SYN_DX, s->y));
    SYN_LAUNCH(ctx, rank_output_kernel, syn_blocks_resident(views * R, THREADS, RESIDENT), THREADS,
               0, live, t->rank, own, s->y, o->rank, o->first, s->worth);
    SYN_LAUNCH_CHECK(ctx, "ranker output");
    return SYN_OK;
}

/* The second look at all pieces. */
static syn_status rank_again(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                             const syn_tasks *tasks, const syn_env *envs, const rank_scratch *s)
{
    const syn_turn *t = &o->turn;
    const int64_t E = o->envs;
    const int32_t *live = syn_turn_length(o, SYN_TURN_LOOKS);
    const syn_ffn refiner = syn_refiner_ffn(p);
    SYN_RETURN_IF(syn_view_features_live_cuda(ctx, E, syn_turn_length(o, SYN_TURN_FRESH),
                                              t->fresh_task, t->fresh_rows, t->fresh_rows, t->fresh,
                                              tasks->quest, tasks->pair, s->worth, o->again));
    const syn_columns falls = syn_without_columns(p->without, SYN_INPUT_REFINER);
    const rank_batch b = {live,   t->look,  0,     envs,  tasks->quest,
                          o->all, o->again, falls, falls, s->x};
    SYN_LAUNCH(ctx, rank_input_kernel, syn_blocks_resident(E * R, WARPS, RESIDENT), THREADS, 0, b);
    SYN_LAUNCH_CHECK(ctx, "refiner input");
    SYN_RETURN_IF(syn_ffn_score(ctx, &refiner, E * R, live, s->x, SYN_DX, s->y));
    SYN_LAUNCH(ctx, rank_output_kernel, syn_blocks_resident(E * R, THREADS, RESIDENT), THREADS, 0,
               live, t->look, (int64_t)0, s->y, (float *)NULL, o->rel, (float *)NULL);
    SYN_LAUNCH_CHECK(ctx, "refiner output");
    return SYN_OK;
}

static syn_status views(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                        const syn_tasks *tasks, const syn_env *envs)
{
    const int64_t rows = o->envs * (N + 1) * R;
    rank_scratch s;
    SYN_TAKE(ctx, s.x, float, rows *SYN_DX);
    SYN_TAKE(ctx, s.y, float, rows);
    SYN_TAKE(ctx, s.worth, float, o->envs *R);
    SYN_RETURN_IF(rank_views(ctx, o, p, tasks, envs, &s));
    return o->central ? rank_again(ctx, o, p, tasks, envs, &s) : SYN_OK;
}

extern "C" syn_status syn_observe_views_cuda(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                             const syn_tasks *tasks, const syn_env *envs)
{
    o->without = p->without;
    SYN_RETURN_IF(syn_turn_list_cuda(ctx, o, envs));
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    const syn_status st = views(ctx, o, p, tasks, envs);
    syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- Items ---- */

typedef struct item_batch {
    const int32_t *live, *item;
    const syn_env *envs;
    const float *quest, *own, *all; /* all: NULL where not central */
    const float *rel, *rank;        /* rel: NULL where the ranker's logit stands with a piece */
    syn_columns falls;
    float *x, *bias; /* (capacity, SYN_DI), (capacity) */
} item_batch;

/* A warp writes one item: its lanes copy the features, the first makes the rest. */
static __global__ void __launch_bounds__(THREADS) item_kernel(item_batch b)
{
    const int lane = (int)threadIdx.x % SYN_WARP;
    const int32_t live = *b.live;
    for (int64_t k = FIRST_OF_WARP; k < live; k += WARPS_OF_GRID) {
        const int64_t slot = b.item[k], agent = slot / R, e = agent / N;
        const int row = (int)(slot % R);
        const syn_env *env = &b.envs[e];
        const float *quest = b.quest + (int64_t)env->task * SYN_TASK_QUEST + row * SYN_DQ;
        const float *own = b.own + slot * SYN_DV;
        const float *all = b.all ? b.all + (e * R + row) * SYN_DV : NULL;
        float *x = b.x + k * SYN_DI;
#pragma unroll
        for (int word = 0; word < 2; word++) {
            const int c = word * SYN_WARP + lane;
            x[c] = b.falls.fall[word] >> lane & 1 ? 0 : interaction(c, quest, own, all);
        }
        if (lane == 0) {
            const float logit = b.rel ? b.rel[e * R + row] : b.rank[slot];
            b.bias[k] = logit;
            x[SYN_DX] = logit / 4;
            syn_item_meta(env, b.all != NULL, (int)(agent % N), row, x + SYN_DX + 1);
        }
    }
}

/* ---- Knowledge and gaps ---- */

static_assert((int)SYN_CKM == (int)THREADS && (int)SYN_GAP_HIDDEN == (int)THREADS,
              "a thread per column");

/* A block per team whose agents have changed: their vectors and halves, which lie side by side in
 * `half`, go to their places, and every agent gets the mean of the others' second halves. */
static __global__ void __launch_bounds__(THREADS)
    team_output_kernel(int64_t E, const syn_env *envs, const int32_t *at, const float *ckm,
                       const float *half, float *to_ckm, float *to_a, float *to_b)
{
    const int d = (int)threadIdx.x;
    for (int64_t e = blockIdx.x; e < E; e += gridDim.x) {
        const int n = envs[e].agents;
        int64_t k = at[e]; /* the team's first in the list of agents */
        if (!envs[e].changed) continue;
        for (uint32_t left = envs[e].changed; left; left &= left - 1, k++) {
            const int64_t to = (e * N + syn_lowest(left)) * SYN_CKM + d;
            to_ckm[to] = ckm[k * SYN_CKM + d];
            to_a[to] = half[k * 2 * SYN_GAP_HIDDEN + d];
            to_b[to] = half[k * 2 * SYN_GAP_HIDDEN + SYN_GAP_HIDDEN + d];
        }
        const float *b = to_b + e * N * SYN_GAP_HIDDEN + d;
        float *mean = to_b + (E + e) * N * SYN_GAP_HIDDEN + d, sum = 0;
        for (int i = 0; i < n; i++) sum += b[i * SYN_GAP_HIDDEN];
        for (int i = 0; i < n; i++)
            mean[i * SYN_GAP_HIDDEN] = (sum - b[i * SYN_GAP_HIDDEN]) / (float)(n - 1);
    }
}

typedef struct gap_batch {
    const int32_t *live, *ia, *ib;
    int64_t agents; /* E N */
    const float *logit;
    syn_calibration link, gap;
    float *to_link, *to_gap, *to_logit;
} gap_batch;

static __global__ void __launch_bounds__(THREADS) gap_output_kernel(gap_batch b)
{
    const int64_t n = *b.live;
    for (int64_t r = (int64_t)blockIdx.x * THREADS + threadIdx.x; r < n;
         r += (int64_t)gridDim.x * THREADS) {
        const int64_t ia = b.ia[r], ib = b.ib[r];
        if (ib >= b.agents) {
            const float z = b.logit[r * SYN_GAP_OUT + SYN_GAP];
            b.to_logit[ia] = z;
            b.to_gap[ia] = syn_calibrate(&b.gap, z);
        } else {
            b.to_link[ia * N + ib % N] =
                syn_calibrate(&b.link, b.logit[r * SYN_GAP_OUT + SYN_LINK]);
        }
    }
}

extern "C" syn_status syn_observe_items_cuda(syn_ctx *ctx, const syn_observer *o,
                                             const syn_tasks *tasks, const syn_env *envs,
                                             int64_t capacity, real *items, real *bias)
{
    const bool refined = o->central && !(o->without & SYN_WITHOUT_ALL_VIEW);
    if (capacity == 0) return SYN_OK;
    const item_batch b = {syn_turn_length(o, SYN_TURN_ITEMS),
                          o->turn.item,
                          envs,
                          tasks->quest,
                          o->own,
                          o->central ? o->all : NULL,
                          refined ? o->rel : NULL,
                          o->rank,
                          syn_without_columns(o->without, SYN_INPUT_ITEM),
                          items,
                          bias};
    SYN_LAUNCH(ctx, item_kernel, syn_blocks_resident(capacity, WARPS, RESIDENT), THREADS, 0, b);
    SYN_LAUNCH_CHECK(ctx, "items");
    return SYN_OK;
}

static syn_status knowledge(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                            const syn_tasks *tasks, const syn_env *envs)
{
    const int64_t agents = o->envs * N, items = agents * R;
    const syn_turn *t = &o->turn;
    const int32_t *live = syn_turn_length(o, SYN_TURN_AGENTS),
                  *rows = syn_turn_length(o, SYN_TURN_ITEMS);
    float *x, *bias, *ckm, *half;
    SYN_TAKE(ctx, x, float, items *SYN_DI);
    SYN_TAKE(ctx, bias, float, items);
    SYN_TAKE(ctx, ckm, float, agents *SYN_CKM);
    SYN_TAKE(ctx, half, float, agents * 2 * SYN_GAP_HIDDEN);
    SYN_RETURN_IF(syn_observe_items_cuda(ctx, o, tasks, envs, items, x, bias));
    SYN_RETURN_IF(syn_ckm_live_cuda(ctx, p, agents, live, items, rows, t->offset, x, bias, ckm));
    SYN_RETURN_IF(syn_gap_halves_live(ctx, p, agents, live, ckm, half));
    SYN_LAUNCH(ctx, team_output_kernel, syn_blocks_resident(o->envs, 1, RESIDENT), THREADS, 0,
               o->envs, envs, t->at + SYN_TURN_AGENTS * (o->envs + 1), ckm, half, o->ckm, o->a,
               o->b);
    SYN_LAUNCH_CHECK(ctx, "what agents know");
    return SYN_OK;
}

static syn_status gaps(syn_ctx *ctx, syn_observer *o, const syn_perception *p)
{
    const int64_t E = o->envs, rows = E * N * N;
    const syn_turn *t = &o->turn;
    const int32_t *live = syn_turn_length(o, SYN_TURN_GAPS);
    float *logit;
    SYN_TAKE(ctx, logit, float, rows *SYN_GAP_OUT);
    SYN_RETURN_IF(syn_gap_score_live(ctx, p, rows, live, o->a, t->ia, o->b, t->ib, logit));
    const gap_batch b = {
        live,    t->ia,  t->ib,       E * N, logit, p->calibrated[SYN_LINK], p->calibrated[SYN_GAP],
        o->link, o->gap, o->gap_logit};
    SYN_LAUNCH(ctx, gap_output_kernel, syn_blocks_resident(rows, THREADS, RESIDENT), THREADS, 0, b);
    SYN_LAUNCH_CHECK(ctx, "links and gaps");
    return SYN_OK;
}

extern "C" syn_status syn_observe_team_cuda(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                            const syn_env *envs, const syn_tasks *tasks)
{
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = knowledge(ctx, o, p, tasks, envs);
    syn_scratch_pop(ctx, mark);
    if (st != SYN_OK) return st;
    const syn_scratch_mark again = syn_scratch_push(ctx);
    st = gaps(ctx, o, p);
    syn_scratch_pop(ctx, again);
    return st;
}
