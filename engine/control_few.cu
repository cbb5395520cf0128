/* The control network for one turn of a few environments: what a single decision waits for. With so
 * few rows every layer is a walk over its weights (9 MB in all, which stay in the L2), and what
 * costs is the number of kernels that follow each other. Five do it: the message's layer, the step
 * of the LSTM, the first layers of all heads, the pairs, and the rest. A warp has a column of a
 * layer: it takes the weights into registers before it waits for the kernel before it, then each
 * row in turn. Float throughout, sums in a fixed order: a row's bits do not depend on the others.
 */
#include "engine/control_pack.h"
#include "kernels/base/launch.cuh"
#include "kernels/reduce.cuh"

enum {
    N = SYN_AGENTS_MAX,
    A = SYN_ACTIONS_MAX,
    P = SYN_POLICY_HIDDEN,
    K = SYN_PAIR_KINDS,
    S = SYN_STATE,
    IN = SYN_STATE_IN,
    GATES = 4,
    THREADS = 128,
    WARPS = THREADS / SYN_WARP,
    LAST_THREADS = 256,
    STRIDE = 4 * SYN_WARP /* numbers that a warp takes at a time */
};

/* Columns of the heads' first layers, in this order. */
enum {
    PAIR_S = 0,
    PAIR_Q = PAIR_S + K * P,
    PAIR_R = PAIR_Q + K * P,
    AGENT_S = PAIR_R + K * P,
    AGENT_Q = AGENT_S + P,
    GLOBAL = AGENT_Q + P,
    CRITIC = GLOBAL + SYN_GLOBAL_HIDDEN,
    COLUMNS = CRITIC + SYN_CRITIC_HIDDEN
};

static_assert(S % STRIDE == 0 && IN % STRIDE == 0, "whole loads for every lane");
static_assert(SYN_DM % 4 == 0 && SYN_CKM % 4 == 0 && SYN_AGENT_X % 4 == 0 && SYN_SUMMARY % 4 == 0,
              "rows are read four numbers at a time");
static_assert(COLUMNS % WARPS == 0 && CRITIC % WARPS == 0, "no idle warp in the heads ...");
static_assert(IN % WARPS == 0 && S % WARPS == 0, "... or in the state");

typedef struct few {
    int rows;
    const float *value[SYN_CONTROL_PARAMS]; /* the weights, by syn_control_param */
    syn_observation x;
    const float *h0, *c0;
    float *in, *h;            /* (rows, IN), (rows, S) */
    float *s, *q, *r;         /* (rows, K P), (rows N, K P) twice */
    float *pair;              /* (rows, K, N, N) */
    float *agent_s, *agent_q; /* (rows, P), (rows N, P) */
    float *global_hid, *critic_hid;
    float *logit, *val, *hT, *cT; /* the caller's */
} few;

static __device__ __forceinline__ float dot(float4 a, float4 b, float sum)
{
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

static __device__ __forceinline__ float4 zero4(void)
{
    return make_float4(0, 0, 0, 0);
}

/* A lane's part of a row of weights of WIDTH numbers. */
template <int WIDTH> struct column {
    enum { LOADS = (WIDTH + STRIDE - 1) / STRIDE };
    float4 w[LOADS];
};

static __device__ __forceinline__ int place_of(int load)
{
    return load * STRIDE + (int)threadIdx.x % SYN_WARP * 4;
}

template <int WIDTH>
static __device__ __forceinline__ void column_load(column<WIDTH> *c, const float *row)
{
#pragma unroll
    for (int k = 0; k < column<WIDTH>::LOADS; k++)
        c->w[k] = place_of(k) < WIDTH ? *(const float4 *)(row + place_of(k)) : zero4();
}

/* A lane's part of the product with a row, after `sum`; get(i): the row's numbers i..i+3. */
template <int WIDTH, typename GET>
static __device__ __forceinline__ float column_part(const column<WIDTH> &c, float sum, GET get)
{
#pragma unroll
    for (int k = 0; k < column<WIDTH>::LOADS; k++)
        if (place_of(k) < WIDTH) sum = dot(c.w[k], get(place_of(k)), sum);
    return sum;
}

/* The product, in all lanes. */
template <int WIDTH, typename GET>
static __device__ __forceinline__ float column_product(const column<WIDTH> &c, GET get)
{
    return syn_warp_sum(column_part(c, 0, get));
}

static __device__ __forceinline__ int warp_of_grid(void)
{
    return (int)blockIdx.x * WARPS + (int)threadIdx.x / SYN_WARP;
}

static __device__ __forceinline__ bool first_lane(void)
{
    return threadIdx.x % SYN_WARP == 0;
}

/* ---- State encoder ---- */

static __global__ void __launch_bounds__(THREADS) message_kernel(few f)
{
    const int j = warp_of_grid();
    column<SYN_DM> w;
    column_load(&w, f.value[SYN_C_IN_W] + j * SYN_DM);
    const float bias = f.value[SYN_C_IN_B][j];
    syn_early_wait();
    for (int e = 0; e < f.rows; e++) {
        const float *row = f.x.message + e * SYN_DM;
        const float y = bias + column_product(w, [=](int i) { return *(const float4 *)(row + i); });
        if (first_lane()) f.in[e * IN + j] = y < 0 ? 0 : y; /* keeps NaN */
    }
    syn_early_next();
}

/* A warp has a cell: its rows of W and R for the four gates. */
static __global__ void __launch_bounds__(THREADS) step_kernel(few f)
{
    const int j = warp_of_grid();
    column<IN> w[GATES];
    column<S> r[GATES];
    float bias[GATES];
#pragma unroll
    for (int g = 0; g < GATES; g++) {
        column_load(&w[g], f.value[SYN_C_W] + (g * S + j) * IN);
        column_load(&r[g], f.value[SYN_C_R] + (g * S + j) * S);
        bias[g] = f.value[SYN_C_B][g * S + j];
    }
    syn_early_wait();
    for (int e = 0; e < f.rows; e++) {
        const bool zero = f.x.reset && f.x.reset[e];
        const float *in = f.in + e * IN, *h0 = f.h0 + e * S;
        float v[GATES];
#pragma unroll
        for (int g = 0; g < GATES; g++) {
            v[g] = column_part(w[g], 0, [=](int i) { return *(const float4 *)(in + i); });
            if (!zero)
                v[g] = column_part(r[g], v[g], [=](int i) { return *(const float4 *)(h0 + i); });
            v[g] = syn_warp_sum(v[g]) + bias[g];
        }
        if (!first_lane()) continue;
        const float before = zero ? 0 : f.c0[e * S + j];
        const float c = syn_sigmoid(v[1]) * before + syn_sigmoid(v[0]) * tanhf(v[2]);
        f.h[e * S + j] = syn_sigmoid(v[3]) * tanhf(c); /* others still read h0 */
        f.cT[e * S + j] = c;
    }
    syn_early_next();
}

/* ---- First layers of the heads ---- */

/* Numbers i..i+3 of the row of the global head and the critic. */
static __device__ float4 global_get(const few &f, int e, int i)
{
    const float *ckm = f.x.ckm + e * N * SYN_CKM;
    if (i < S) return *(const float4 *)(f.h + e * S + i);
    if ((i -= S) < SYN_CKM) return *(const float4 *)(ckm + i);
    if ((i -= SYN_CKM) >= SYN_CKM)
        return *(const float4 *)(f.x.summary + e * SYN_SUMMARY + i - SYN_CKM);
    const int agents = f.x.count[e];
    float4 mean = zero4();
    for (int a = 0; a < agents; a++) {
        const float4 v = *(const float4 *)(ckm + a * SYN_CKM + i);
        mean.x += v.x / (float)agents;
        mean.y += v.y / (float)agents;
        mean.z += v.z / (float)agents;
        mean.w += v.w / (float)agents;
    }
    return mean;
}

/* y[e] = x w of the states, ldy apart. */
static __device__ void of_state(const few &f, const float *w, float bias, float *y, int ldy)
{
    column<S> c;
    column_load(&c, w);
    syn_early_wait();
    for (int e = 0; e < f.rows; e++) {
        const float *h = f.h + e * S;
        const float sum = column_product(c, [=](int i) { return *(const float4 *)(h + i); });
        if (first_lane()) y[e * ldy] = sum + bias;
    }
}

/* The same of the knowledge of the agents that there are. */
static __device__ void of_knowledge(const few &f, const float *w, float *y)
{
    column<SYN_CKM> c;
    column_load(&c, w);
    syn_early_wait();
    for (int e = 0; e < f.rows; e++) {
        const int agents = f.x.count[e];
        for (int i = e * N; i < e * N + agents; i++) {
            const float *ckm = f.x.ckm + i * SYN_CKM;
            const float sum = column_product(c, [=](int k) { return *(const float4 *)(ckm + k); });
            if (first_lane()) y[i * K * P] = sum;
        }
    }
}

static __device__ void of_agents(const few &f, const float *w, float *y)
{
    column<SYN_AGENT_IN> c;
    column_load(&c, w);
    syn_early_wait();
    for (int e = 0; e < f.rows; e++) {
        const int agents = f.x.count[e];
        for (int i = e * N; i < e * N + agents; i++) {
            const float *ckm = f.x.ckm + i * SYN_CKM, *agent = f.x.agent_x + i * SYN_AGENT_X;
            const float sum = column_product(c, [=](int k) {
                return *(const float4 *)(k < SYN_CKM ? ckm + k : agent + k - SYN_CKM);
            });
            if (first_lane()) y[i * P] = sum;
        }
    }
}

static __device__ void of_all(const few &f, const float *w, float bias, float *y, int ldy)
{
    column<SYN_GLOBAL_X> c;
    column_load(&c, w);
    syn_early_wait();
    for (int e = 0; e < f.rows; e++) {
        const float sum = column_product(c, [&](int i) { return global_get(f, e, i); });
        if (first_lane()) y[e * ldy] = tanhf(sum + bias);
    }
}

static __global__ void __launch_bounds__(THREADS) first_kernel(few f)
{
    const int j = warp_of_grid();
    if (j < PAIR_Q) {
        of_state(f, f.value[SYN_C_PAIR_S] + j * S, f.value[SYN_C_PAIR_SB][j], f.s + j, K * P);
    } else if (j < PAIR_R) {
        of_knowledge(f, f.value[SYN_C_PAIR_Q] + (j - PAIR_Q) * SYN_CKM, f.q + j - PAIR_Q);
    } else if (j < AGENT_S) {
        of_knowledge(f, f.value[SYN_C_PAIR_R] + (j - PAIR_R) * SYN_CKM, f.r + j - PAIR_R);
    } else if (j < AGENT_Q) {
        const int k = j - AGENT_S;
        of_state(f, f.value[SYN_C_AGENT_S] + k * S, f.value[SYN_C_AGENT_B][k], f.agent_s + k, P);
    } else if (j < GLOBAL) {
        of_agents(f, f.value[SYN_C_AGENT_Q] + (j - AGENT_Q) * SYN_AGENT_IN,
                  f.agent_q + j - AGENT_Q);
    } else if (j < CRITIC) {
        const int k = j - GLOBAL;
        of_all(f, f.value[SYN_C_GLOBAL_W] + k * SYN_GLOBAL_X, f.value[SYN_C_GLOBAL_B][k],
               f.global_hid + k, SYN_GLOBAL_HIDDEN);
    } else {
        const int k = j - CRITIC;
        of_all(f, f.value[SYN_C_CRITIC_W] + k * SYN_GLOBAL_X, f.value[SYN_C_CRITIC_B][k],
               f.critic_hid + k, SYN_CRITIC_HIDDEN);
    }
    syn_early_next();
}

/* ---- The rest: second layers, the flat logits, the state ---- */

/* The sum over the lanes of w[i] get(i), i < width. */
template <typename GET>
static __device__ __forceinline__ float second_layer(int width, const float *w, GET get)
{
    float sum = 0;
    for (int i = (int)threadIdx.x % SYN_WARP; i < width; i += SYN_WARP)
        sum = fmaf(w[i], get(i), sum);
    return syn_warp_sum(sum);
}

/* A block has a row. */
static __global__ void __launch_bounds__(LAST_THREADS) last_kernel(few f)
{
    __shared__ float out[2 * N + 2]; /* of the agents, then of the team */
    const int e = (int)blockIdx.x, warp = (int)threadIdx.x / SYN_WARP;
    syn_early_wait();
    for (int k = warp; k < 2 * N + 2 + (f.val != NULL); k += LAST_THREADS / SYN_WARP) {
        float y;
        if (!syn_logit_there(SYN_PAIR_CELLS + k, f.x.count[e])) continue;
        if (k < 2 * N) {
            const float *s = f.agent_s + e * P, *q = f.agent_q + (e * N + k / 2) * P;
            y = f.value[SYN_C_AGENT_W0][k % 2] +
                second_layer(P, f.value[SYN_C_AGENT_W] + k % 2 * P,
                             [=](int i) { return tanhf(s[i] + q[i]); });
        } else if (k < 2 * N + 2) {
            const float *hid = f.global_hid + e * SYN_GLOBAL_HIDDEN;
            y = f.value[SYN_C_GLOBAL_OUT_B][k - 2 * N] +
                second_layer(SYN_GLOBAL_HIDDEN,
                             f.value[SYN_C_GLOBAL_OUT] + (k - 2 * N) * SYN_GLOBAL_HIDDEN,
                             [=](int i) { return hid[i]; });
        } else {
            const float *hid = f.critic_hid + e * SYN_CRITIC_HIDDEN;
            y = f.value[SYN_C_CRITIC_OUT_B][0] + second_layer(SYN_CRITIC_HIDDEN,
                                                              f.value[SYN_C_CRITIC_OUT],
                                                              [=](int i) { return hid[i]; });
        }
        if (!first_lane()) continue;
        if (k < 2 * N + 2)
            out[k] = y;
        else
            f.val[e] = y;
    }
    __syncthreads();
    for (int a = (int)threadIdx.x; a < A; a += LAST_THREADS) {
        const int at = syn_logit_place(a);
        f.logit[e * A + a] = at < SYN_PAIR_CELLS                 ? f.pair[e * SYN_PAIR_CELLS + at]
                             : syn_logit_there(at, f.x.count[e]) ? out[at - SYN_PAIR_CELLS]
                                                                 : 0;
    }
    for (int j = (int)threadIdx.x; j < S; j += LAST_THREADS) f.hT[e * S + j] = f.h[e * S + j];
}

/* ---- All of it ---- */

static syn_status few_take(syn_ctx *ctx, few *f)
{
    const int64_t rows = f->rows;
    SYN_TAKE(ctx, f->in, float, rows *IN);
    SYN_TAKE(ctx, f->h, float, rows *S);
    SYN_TAKE(ctx, f->s, float, rows *K *P);
    SYN_TAKE(ctx, f->q, float, rows *N *K *P);
    SYN_TAKE(ctx, f->r, float, rows *N *K *P);
    SYN_TAKE(ctx, f->pair, float, rows *SYN_PAIR_CELLS);
    SYN_TAKE(ctx, f->agent_s, float, rows *P);
    SYN_TAKE(ctx, f->agent_q, float, rows *N *P);
    SYN_TAKE(ctx, f->global_hid, float, rows *SYN_GLOBAL_HIDDEN);
    SYN_TAKE(ctx, f->critic_hid, float, rows *SYN_CRITIC_HIDDEN);
    return SYN_OK;
}

static syn_status few_run(syn_ctx *ctx, const few *f)
{
    (void)syn_launch_early(ctx, message_kernel, IN / WARPS, THREADS, *f);
    SYN_LAUNCH_CHECK(ctx, "layer of a message, a few rows");
    (void)syn_launch_early(ctx, step_kernel, S / WARPS, THREADS, *f);
    SYN_LAUNCH_CHECK(ctx, "step of the state, a few rows");
    (void)syn_launch_early(ctx, first_kernel, (f->val ? COLUMNS : CRITIC) / WARPS, THREADS, *f);
    SYN_LAUNCH_CHECK(ctx, "first layers of the heads, a few rows");
    SYN_RETURN_IF(syn_pair_forward(ctx, f->rows, N, P, SYN_PAIR_X, f->x.count, f->s, f->q, f->r,
                                   f->x.pair_x, f->value[SYN_C_PAIR_X], f->value[SYN_C_PAIR_W],
                                   f->value[SYN_C_PAIR_W0], f->pair));
    (void)syn_launch_early(ctx, last_kernel, (unsigned)f->rows, LAST_THREADS, *f);
    SYN_LAUNCH_CHECK(ctx, "second layers of the heads, a few rows");
    return SYN_OK;
}

extern "C" syn_status syn_control_few_cuda(syn_ctx *ctx, const syn_control *c, int64_t rows,
                                           const syn_observation *x, const float *h0,
                                           const float *c0, float *logit, float *value, float *hT,
                                           float *cT)
{
    few f = {};
    f.rows = (int)rows;
    for (int k = 0; k < SYN_CONTROL_PARAMS; k++) f.value[k] = syn_value(&c->params, k);
    f.x = *x;
    f.h0 = h0;
    f.c0 = c0;
    f.logit = logit;
    f.val = value;
    f.hT = hT;
    f.cT = cT;
    SYN_RETURN_IF(few_take(ctx, &f));
    return few_run(ctx, &f);
}
