/* The lists of a turn: every environment counts its entries, the counts become places by a prefix
 * sum, every environment writes its entries. Three kernels whatever the turn holds, one for a few
 * environments; all integers. */
#include "engine/observe_core.h"
#include "engine/observe_device.h"
#include "kernels/base/launch.cuh"
#include "kernels/reduce.cuh"

enum {
    R = SYN_ROWS_MAX,
    N = SYN_AGENTS_MAX,
    THREADS = 256,
    WARPS = THREADS / SYN_WARP,
    SCAN_THREADS_MAX = 1024,
    FEW = 32 /* environments that one block lists */
};

/* Entries of one environment in each list. */
typedef struct counts {
    int32_t of[SYN_TURN_LISTS];
} counts;

static __device__ counts count_entries(const syn_env *e, bool central)
{
    const int n = e->agents, changed = syn_popcount(e->changed), same = n - changed;
    const int pieces = syn_popcount(e->present), fresh = central && syn_env_fresh(e);
    counts c;
    c.of[SYN_TURN_AGENTS] = changed;
    c.of[SYN_TURN_ITEMS] = 0;
    for (int i = 0; i < n; i++) c.of[SYN_TURN_ITEMS] += e->changed >> i & 1 ? e->count[i] : 0;
    c.of[SYN_TURN_VIEWS] = changed + fresh;
    c.of[SYN_TURN_RANKS] = (changed + fresh) * pieces;
    c.of[SYN_TURN_FRESH] = fresh;
    c.of[SYN_TURN_LOOKS] = fresh * pieces;
    c.of[SYN_TURN_GAPS] = changed ? n + n * (n - 1) - same * (same - 1) : 0;
    return c;
}

static __global__ void count_kernel(int64_t E, const syn_env *envs, bool central, int32_t *at)
{
    const int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (e >= E) return;
    const counts c = count_entries(&envs[e], central);
    for (int list = 0; list < SYN_TURN_LISTS; list++) at[list * (E + 1) + e] = c.of[list];
}

/* The sum over the lanes before this one. */
static __device__ int32_t warp_before(int32_t x, int lane)
{
    int32_t sum = x;
    for (int step = 1; step < SYN_WARP; step *= 2) {
        const int32_t below = __shfl_up_sync(SYN_ALL_LANES, sum, step);
        if (lane >= step) sum += below;
    }
    return sum - x;
}

/* One block per list: counts become places, in their own place; the last entry the total. */
static __global__ void __launch_bounds__(SCAN_THREADS_MAX) scan_kernel(int64_t E, int32_t *at)
{
    __shared__ int32_t total[SCAN_THREADS_MAX / SYN_WARP];
    const int lane = (int)threadIdx.x % SYN_WARP, warp = (int)threadIdx.x / SYN_WARP;
    const int warps = (int)blockDim.x / SYN_WARP;
    int32_t *mine = at + blockIdx.x * (E + 1), begin = 0;
    for (int64_t first = 0; first < E; first += blockDim.x) {
        const int64_t e = first + threadIdx.x;
        const int32_t count = e < E ? mine[e] : 0;
        int32_t before = warp_before(count, lane);
        if (lane == SYN_WARP - 1) total[warp] = before + count;
        __syncthreads();
        int32_t all = 0;
        for (int w = 0; w < warps; w++) {
            if (w == warp) before += all;
            all += total[w];
        }
        if (e < E) mine[e] = begin + before;
        begin += all;
        __syncthreads(); /* before `total` is written again */
    }
    if (threadIdx.x == 0) mine[E] = begin;
}

/* ---- Entries: one warp per environment ---- */

typedef struct place {
    int64_t e;
    const syn_env *env;
    int32_t at[SYN_TURN_LISTS];
    int lane, pieces;
    bool fresh;
} place;

/* Whose bit stands how many below it in the mask. */
static __device__ int below(uint32_t mask, int bit)
{
    return __popc(mask & ((1u << bit) - 1));
}

static __device__ void write_agents(const place *p, const syn_turn *t)
{
    const syn_env *env = p->env;
    const int i = p->lane;
    const bool mine = i < N && env->changed >> i & 1;
    const int32_t count = mine ? env->count[i] : 0;
    const int32_t begin = p->at[SYN_TURN_ITEMS] + warp_before(count, i);
    if (mine) {
        const int32_t k = p->at[SYN_TURN_AGENTS] + below(env->changed, i);
        t->agent[k] = (int32_t)(p->e * N + i);
        t->offset[k] = begin;
    }
    for (int agent = 0; agent < env->agents; agent++) {
        const int32_t from = __shfl_sync(SYN_ALL_LANES, begin, agent),
                      n = __shfl_sync(SYN_ALL_LANES, count, agent);
        if (p->lane < n)
            t->item[from + p->lane] = (int32_t)((p->e * N + agent) * R + env->item[agent][p->lane]);
    }
}

/* Row `lane` of view k of the environment, which stands in place `slot`. */
static __device__ void write_ranks(const place *p, int k, int64_t slot, int32_t *rank)
{
    const uint32_t present = p->env->present;
    if (present >> p->lane & 1)
        rank[k * p->pieces + below(present, p->lane)] = (int32_t)(slot * R + p->lane);
}

static __device__ void write_views(const place *p, const syn_turn *t, int64_t E)
{
    const syn_env *env = p->env;
    int32_t *rank = t->rank + p->at[SYN_TURN_RANKS];
    int k = 0;
    for (int i = 0; i < env->agents + p->fresh; i++) {
        const bool all = i == env->agents;
        if (!all && !(env->changed >> i & 1)) continue;
        const int64_t slot = all ? E * N + p->e : p->e * N + i;
        if (p->lane == 0) {
            const int32_t v = p->at[SYN_TURN_VIEWS] + k;
            t->view_task[v] = env->task;
            t->view_slot[v] = (int32_t)slot;
            t->view[v] = all ? env->present : env->memory[i];
            t->view_rows[v] = env->present;
        }
        write_ranks(p, k++, slot, rank);
    }
}

static __device__ void write_fresh(const place *p, const syn_turn *t)
{
    if (!p->fresh) return;
    if (p->lane == 0) {
        const int32_t k = p->at[SYN_TURN_FRESH];
        t->fresh_task[k] = p->env->task;
        t->fresh[k] = (int32_t)p->e;
        t->fresh_rows[k] = p->env->present;
    }
    write_ranks(p, 0, p->e, t->look + p->at[SYN_TURN_LOOKS]);
}

/* (i, i): agent i's gap; (i, j): the link to j. */
static __device__ void write_gaps(const place *p, const syn_turn *t, int64_t E)
{
    const syn_env *env = p->env;
    const int n = env->agents;
    int32_t k = p->at[SYN_TURN_GAPS];
    if (!env->changed) return;
    for (int first = 0; first < n * n; first += SYN_WARP) {
        const int i = (first + p->lane) / n, j = (first + p->lane) % n;
        const bool row = i < n && (i == j || ((env->changed >> i | env->changed >> j) & 1));
        const uint32_t rows = __ballot_sync(SYN_ALL_LANES, row);
        if (row) {
            const int32_t r = k + below(rows, p->lane);
            t->ia[r] = (int32_t)(p->e * N + i);
            t->ib[r] = (int32_t)(i == j ? (E + p->e) * N + i : p->e * N + j);
        }
        k += __popc(rows);
    }
}

/* A warp writes the entries of environment e. */
static __device__ void list_entries(int64_t E, int64_t e, const syn_env *envs, bool central,
                                    const syn_turn &t)
{
    place p;
    p.e = e;
    p.env = &envs[e];
    p.lane = (int)threadIdx.x % SYN_WARP;
    p.pieces = __popc(p.env->present);
    p.fresh = central && syn_env_fresh(p.env);
    for (int list = 0; list < SYN_TURN_LISTS; list++) p.at[list] = t.at[list * (E + 1) + p.e];
    write_agents(&p, &t);
    write_views(&p, &t, E);
    write_fresh(&p, &t);
    write_gaps(&p, &t, E);
    if (p.e == E - 1 && p.lane == 0)
        t.offset[t.at[SYN_TURN_AGENTS * (E + 1) + E]] = t.at[SYN_TURN_ITEMS * (E + 1) + E];
}

static __global__ void __launch_bounds__(THREADS)
    list_kernel(int64_t E, const syn_env *envs, bool central, syn_turn t)
{
    const int64_t e = (int64_t)blockIdx.x * WARPS + threadIdx.x / SYN_WARP;
    if (e < E) list_entries(E, e, envs, central, t);
}

/* All three in one block. */
static __global__ void __launch_bounds__(THREADS)
    few_kernel(int64_t E, const syn_env *envs, bool central, syn_turn t)
{
    __shared__ counts entries[FEW];
    const int k = (int)threadIdx.x;
    if (k < E) entries[k] = count_entries(&envs[k], central);
    __syncthreads();
    if (k < SYN_TURN_LISTS) {
        int32_t begin = 0;
        for (int64_t e = 0; e < E; e++) {
            t.at[k * (E + 1) + e] = begin;
            begin += entries[e].of[k];
        }
        t.at[k * (E + 1) + E] = begin;
    }
    __syncthreads();
    for (int64_t e = k / SYN_WARP; e < E; e += WARPS) list_entries(E, e, envs, central, t);
}

extern "C" syn_status syn_turn_list_cuda(syn_ctx *ctx, const syn_observer *o, const syn_env *envs)
{
    const int64_t E = o->envs;
    const unsigned scan =
        E < SCAN_THREADS_MAX ? syn_blocks(E, SYN_WARP) * SYN_WARP : (unsigned)SCAN_THREADS_MAX;
    if (E <= FEW) {
        SYN_LAUNCH(ctx, few_kernel, 1, THREADS, 0, E, envs, o->central, o->turn);
        SYN_LAUNCH_CHECK(ctx, "listing what changed, a few teams");
        return SYN_OK;
    }
    SYN_LAUNCH(ctx, count_kernel, syn_blocks(E, THREADS), THREADS, 0, E, envs, o->central,
               o->turn.at);
    SYN_LAUNCH_CHECK(ctx, "counting what changed");
    SYN_LAUNCH(ctx, scan_kernel, SYN_TURN_LISTS, scan, 0, E, o->turn.at);
    SYN_LAUNCH_CHECK(ctx, "places of what changed");
    SYN_LAUNCH(ctx, list_kernel, syn_blocks(E, WARPS), THREADS, 0, E, envs, o->central, o->turn);
    SYN_LAUNCH_CHECK(ctx, "listing what changed");
    return SYN_OK;
}
