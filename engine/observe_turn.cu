/* The observation of a turn on CUDA: a block per environment writes all that the policy reads of
 * it. What takes many dependent steps (a maximum over pieces, a sum over agents) is one thread's
 * work each, by the functions that the CPU calls, on shared memory; what is long (features of a
 * piece, vectors of agents) is copied by whole warps. What binds at many environments is writing:
 * 208 bytes for each possible move, 10 KB of knowledge. */
#include "engine/observe_core.h"
#include "kernels/base/launch.cuh"
#include "kernels/reduce.cuh"

enum {
    R = SYN_ROWS_MAX,
    N = SYN_AGENTS_MAX,
    THREADS = 128,
    WARPS = THREADS / SYN_WARP,
    PAIRS_MAX = 2 * N * (N - 1)
};

static_assert(sizeof(syn_env) % sizeof(uint32_t) == 0, "states are copied by words");

typedef struct turn_batch {
    syn_observer o;
    const syn_env *envs;
    const float *quest; /* of the tasks */
    syn_observation out;
    uint32_t without;
    syn_columns message, pair, agent, summary; /* that fall */
} turn_batch;

/* One environment in shared memory. */
typedef struct desk {
    syn_env env;
    float rank[N * R];
    syn_team team;
    float message[SYN_DM], summary[SYN_SUMMARY], agent[N][SYN_AGENT_X];
    int reader, piece; /* of the message */
    uint8_t mask[SYN_ACTIONS_MAX];
    int8_t row[PAIRS_MAX]; /* that a move would carry, or -1 */
    float head[PAIRS_MAX][SYN_PAIR_HEAD];
} desk;

/* Move q of a team of n: kind, from, to. */
typedef struct move {
    int kind, i, j;
} move;

static __device__ move move_of(int q, int n)
{
    const int pairs = n * (n - 1);
    move m = {q < pairs ? SYN_SEND : SYN_REQUEST, q % pairs / (n - 1), q % pairs % (n - 1)};
    m.j += m.j >= m.i;
    return m;
}

static __device__ void copy_words(void *to, const void *from, int bytes)
{
    for (int k = (int)threadIdx.x; k < bytes / (int)sizeof(uint32_t); k += THREADS)
        ((uint32_t *)to)[k] = ((const uint32_t *)from)[k];
}

/* The sums over the team: first what every piece is worth, then who holds how much of it. */
static __device__ void team_make(desk *d)
{
    const int k = (int)threadIdx.x;
    if (k < R) syn_team_relevance(&d->team, k);
    if (k == R) syn_team_gaps(&d->team);
    for (int a = k; a < SYN_ACTIONS_MAX; a += THREADS) d->mask[a] = a >= SYN_ACTIONS_MAX - 2;
    __syncthreads();
    if (k <= N) syn_team_held(&d->team, k);
    __syncthreads();
}

/* Each warp begins with another kind of vector; moves are dealt to all. */
static __device__ void vectors_make(desk *d)
{
    const int warp = (int)threadIdx.x / SYN_WARP, lane = (int)threadIdx.x % SYN_WARP;
    const int n = d->env.agents;
    if (warp == 0 && lane == 0) d->piece = syn_message_head(&d->team, d->message, &d->reader);
    if (warp == 1 && lane == 0) syn_summary_vector(&d->team, d->summary);
    if (warp == 2 && lane < n) syn_agent_vector(&d->team, lane, d->agent[lane]);
    if (warp == 3 && lane < n) syn_env_legal_of(&d->env, lane, d->mask);
    for (int q = (int)threadIdx.x; q < 2 * n * (n - 1); q += THREADS) {
        const move m = move_of(q, n);
        d->row[q] = (int8_t)syn_pair_head(&d->team, m.kind, m.i, m.j, d->head[q]);
    }
    __syncthreads();
}

static __device__ void message_write(const desk *d, const turn_batch *b, const float *quest,
                                     float *to)
{
    const syn_team *t = &d->team;
    const int p = d->piece;
    for (int c = (int)threadIdx.x; c < SYN_DM; c += THREADS) {
        float x = d->message[c];
        if (p >= 0 && c < SYN_DQ)
            x = quest[p * SYN_DQ + c];
        else if (p >= 0 && c < SYN_DQ + SYN_DV)
            x = t->own[(d->reader * R + p) * SYN_DV + c - SYN_DQ];
        else if (p >= 0 && c < SYN_DX && t->central)
            x = t->all[p * SYN_DV + c - SYN_DQ - SYN_DV];
        to[c] = syn_column_falls(&b->message, c) ? 0 : x;
    }
}

/* A warp writes a move: its rows are 208 bytes in a row. */
static __device__ void pairs_write(const desk *d, const turn_batch *b, const float *quest,
                                   float *to /* (2, N, N, SYN_PAIR_X) */)
{
    const int warp = (int)threadIdx.x / SYN_WARP, lane = (int)threadIdx.x % SYN_WARP;
    const int n = d->env.agents;
    for (int q = warp; q < 2 * n * (n - 1); q += WARPS) {
        const move m = move_of(q, n);
        const int p = d->row[q];
        float *x = to + (int64_t)(((m.kind == SYN_REQUEST) * N + m.i) * N + m.j) * SYN_PAIR_X;
        for (int c = lane; c < SYN_PAIR_X; c += SYN_WARP) {
            const int f = c - SYN_PAIR_HEAD;
            float v = 0;
            if (f < 0)
                v = d->head[q][c];
            else if (p >= 0 && f < SYN_DQ)
                v = quest[p * SYN_DQ + f];
            else if (p >= 0)
                v = d->team.own[(m.i * R + p) * SYN_DV + f - SYN_DQ];
            x[c] = syn_column_falls(&b->pair, c) ? 0 : v;
        }
    }
}

/* The rest, and the vectors of the agents as they are. */
static __device__ void team_write(const desk *d, const turn_batch *b, int64_t e)
{
    const int k = (int)threadIdx.x, n = d->env.agents;
    const syn_observation *out = &b->out;
    for (int c = k; c < SYN_SUMMARY; c += THREADS)
        out->summary[e * SYN_SUMMARY + c] = syn_column_falls(&b->summary, c) ? 0 : d->summary[c];
    for (int c = k; c < n * SYN_AGENT_X; c += THREADS) {
        const int i = c / SYN_AGENT_X, x = c % SYN_AGENT_X;
        out->agent_x[e * N * SYN_AGENT_X + c] = syn_column_falls(&b->agent, x) ? 0 : d->agent[i][x];
    }
    const uint8_t *allow = out->allow ? out->allow + e * out->allow_stride : NULL;
    for (int a = k; a < SYN_ACTIONS_MAX; a += THREADS)
        out->mask[e * SYN_ACTIONS_MAX + a] = d->mask[a] & (allow ? allow[a] : 1);
    if (k == 0) {
        out->count[e] = n;
        /* Without the state, every turn is an empty message after a fresh start. */
        out->reset[e] = d->env.turn == 0 || (b->without & SYN_WITHOUT_STATE);
    }
    const float4 *from = (const float4 *)(b->o.ckm + e * N * SYN_CKM);
    float4 *to = (float4 *)(out->ckm + e * N * SYN_CKM);
    for (int c = k; c < N * SYN_CKM / 4; c += THREADS) to[c] = from[c];
}

static __global__ void __launch_bounds__(THREADS) turn_kernel(turn_batch b)
{
    __shared__ desk d;
    const int64_t e = blockIdx.x;
    copy_words(&d.env, &b.envs[e], sizeof d.env);
    copy_words(d.rank, b.o.rank + e * N * R, sizeof d.rank);
    if (threadIdx.x == 0) {
        syn_team_place(&d.team, &b.o, &d.env, e);
        d.team.rank = d.rank;
    }
    __syncthreads();
    team_make(&d);
    vectors_make(&d);
    const float *quest = b.quest + (int64_t)d.env.task * SYN_TASK_QUEST;
    message_write(&d, &b, quest, b.out.message + e * SYN_DM);
    pairs_write(&d, &b, quest, b.out.pair_x + e * 2 * N * N * SYN_PAIR_X);
    team_write(&d, &b, e);
}

extern "C" syn_status syn_observe_turn_cuda(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                            const syn_tasks *tasks, const syn_env *envs,
                                            const syn_observation *out)
{
    SYN_RETURN_IF(syn_observe_views_cuda(ctx, o, p, tasks, envs));
    SYN_RETURN_IF(syn_observe_team_cuda(ctx, o, p, envs, tasks));
    const uint32_t without = p->without;
    const turn_batch b = {*o,
                          envs,
                          tasks->quest,
                          *out,
                          without,
                          syn_without_columns(without, SYN_INPUT_MESSAGE),
                          syn_without_columns(without, SYN_INPUT_PAIR),
                          syn_without_columns(without, SYN_INPUT_AGENT),
                          syn_without_columns(without, SYN_INPUT_SUMMARY)};
    SYN_LAUNCH(ctx, turn_kernel, (unsigned)o->envs, THREADS, 0, b);
    SYN_LAUNCH_CHECK(ctx, "observation of a turn");
    return SYN_OK;
}
