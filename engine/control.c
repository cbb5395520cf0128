#include "engine/control.h"

#include <string.h>

#include "engine/control_pack.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/lstm.h"
#include "kernels/pair.h"

enum {
    N = SYN_AGENTS_MAX,
    P = SYN_POLICY_HIDDEN,
    K = SYN_PAIR_KINDS,
    F = SYN_PAIR_X,
    AGENT_IN = SYN_AGENT_IN
};

syn_status syn_control_init(syn_ctx *ctx, syn_control *c, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    syn_params *t = &c->params;
    const int64_t H = SYN_STATE, pair_in = SYN_STATE + 2 * SYN_CKM + F;
    syn_params_add(t, "state.in.w", SYN_STATE_IN, SYN_DM, 1, SYN_DM);
    syn_params_add(t, "state.in.b", SYN_STATE_IN, 1, 1, SYN_DM);
    syn_params_add(t, "state.lstm.W", 4 * H, SYN_STATE_IN, 1, H);
    syn_params_add(t, "state.lstm.R", 4 * H, H, 1, H);
    syn_params_add(t, "state.lstm.b", 4 * H, 1, 1, H);
    syn_params_add(t, "policy.pair.s", K * P, H, 1, pair_in);
    syn_params_add(t, "policy.pair.s.b", K * P, 1, 1, pair_in);
    syn_params_add(t, "policy.pair.q", K * P, SYN_CKM, 1, pair_in);
    syn_params_add(t, "policy.pair.r", K * P, SYN_CKM, 1, pair_in);
    syn_params_add(t, "policy.pair.x", K, P, F, F);
    syn_params_add(t, "policy.pair.w", K, P, 1, 64 * P);
    syn_params_add(t, "policy.pair.w0", K, 1, 1, 0);
    syn_params_add(t, "policy.agent.s", P, H, 1, H + AGENT_IN);
    syn_params_add(t, "policy.agent.q", P, AGENT_IN, 1, H + AGENT_IN);
    syn_params_add(t, "policy.agent.b", P, 1, 1, H + AGENT_IN);
    syn_params_add(t, "policy.agent.w", 2, P, 1, 64 * P);
    syn_params_add(t, "policy.agent.w0", 2, 1, 1, 0);
    syn_params_add(t, "policy.global.w", SYN_GLOBAL_HIDDEN, SYN_GLOBAL_X, 1, SYN_GLOBAL_X);
    syn_params_add(t, "policy.global.b", SYN_GLOBAL_HIDDEN, 1, 1, SYN_GLOBAL_X);
    syn_params_add(t, "policy.global.out", 2, SYN_GLOBAL_HIDDEN, 1, 64 * SYN_GLOBAL_HIDDEN);
    syn_params_add(t, "policy.global.out.b", 2, 1, 1, 0);
    syn_params_add(t, "critic.w", SYN_CRITIC_HIDDEN, SYN_GLOBAL_X, 1, SYN_GLOBAL_X);
    syn_params_add(t, "critic.b", SYN_CRITIC_HIDDEN, 1, 1, SYN_GLOBAL_X);
    syn_params_add(t, "critic.out", 1, SYN_CRITIC_HIDDEN, 1, SYN_CRITIC_HIDDEN);
    syn_params_add(t, "critic.out.b", 1, 1, 1, 0);
    return syn_params_commit(ctx, t, seed);
}

void syn_control_free(syn_ctx *ctx, syn_control *c)
{
    syn_params_free(ctx, &c->params);
}

struct syn_control_cache {
    real *in, *h, *c, *v;           /* state encoder; c, v: where a backward pass follows */
    real *s, *q, *r;                /* (rows,K*P), (rows*N,K*P) twice */
    real *pair;                     /* (rows,K,N,N) logits */
    real *agent_in, *agent_q;       /* (rows*N, AGENT_IN), (rows*N, P) */
    real *agent_s, *agent_hid;      /* (rows, P), (rows*N, P) */
    int32_t *agent_env, *agent_row; /* (rows*N) */
    real *agent;                    /* (rows*N, 2) logits */
    real *global_in;                /* (rows, SYN_GLOBAL_X) */
    real *global_hid, *global;      /* (rows, SYN_GLOBAL_HIDDEN), (rows, 2) */
    real *critic_hid;               /* (rows, SYN_CRITIC_HIDDEN) */
};

/* ---- State encoder ---- */

static syn_status state_forward(syn_ctx *ctx, const syn_control *c, const syn_seq *seq,
                                const real *message, const real *h0, const real *c0, bool keep,
                                syn_control_cache *k, real *hT, real *cT)
{
    const syn_params *t = &c->params;
    SYN_TAKE(ctx, k->in, real, seq->rows * SYN_STATE_IN);
    SYN_TAKE(ctx, k->h, real, seq->rows * SYN_STATE);
    if (keep) {
        SYN_TAKE(ctx, k->c, real, seq->rows * SYN_STATE);
        SYN_TAKE(ctx, k->v, real, seq->rows * 4 * SYN_STATE);
    }
    SYN_RETURN_IF(syn_linear_forward(ctx, seq->rows, SYN_DM, SYN_STATE_IN, message, SYN_DM,
                                     syn_value(t, SYN_C_IN_W), syn_value(t, SYN_C_IN_B),
                                     SYN_ACT_RELU, k->in, SYN_STATE_IN));
    return syn_lstm_forward(ctx, seq, SYN_STATE_IN, SYN_STATE, false, k->in, syn_value(t, SYN_C_W),
                            syn_value(t, SYN_C_R), syn_value(t, SYN_C_B), h0, c0, k->h, SYN_STATE,
                            k->c, k->v, hT, cT);
}

syn_status syn_state_forward(syn_ctx *ctx, const syn_control *c, const syn_seq *seq,
                             const real *message, const real *h0, const real *c0,
                             syn_control_cache **cache, real **state, real *hT, real *cT)
{
    syn_control_cache none = {0}, *k = &none;
    if (cache) {
        SYN_HOST_TAKE(ctx, *cache, syn_control_cache, 1);
        k = *cache;
        memset(k, 0, sizeof *k);
    }
    SYN_RETURN_IF(state_forward(ctx, c, seq, message, h0, c0, cache != NULL, k, hT, cT));
    *state = k->h;
    return SYN_OK;
}

syn_status syn_state_backward(syn_ctx *ctx, const syn_control *c, const syn_seq *seq,
                              const real *message, const real *h0, const real *c0,
                              syn_control_cache *k, const real *dstate)
{
    const syn_params *t = &c->params;
    real *din;
    SYN_TAKE(ctx, din, real, seq->rows * SYN_STATE_IN);
    SYN_RETURN_IF(syn_lstm_backward(
        ctx, seq, SYN_STATE_IN, SYN_STATE, false, k->in, syn_value(t, SYN_C_W),
        syn_value(t, SYN_C_R), h0, c0, k->h, SYN_STATE, k->c, k->v, dstate, SYN_STATE, NULL, NULL,
        din, syn_grad(t, SYN_C_W), syn_grad(t, SYN_C_R), syn_grad(t, SYN_C_B), NULL, NULL));
    return syn_linear_backward(ctx, seq->rows, SYN_DM, SYN_STATE_IN, message, SYN_DM,
                               syn_value(t, SYN_C_IN_W), k->in, SYN_STATE_IN, SYN_ACT_RELU, din,
                               SYN_STATE_IN, NULL, 0, syn_grad(t, SYN_C_IN_W),
                               syn_grad(t, SYN_C_IN_B));
}

/* ---- Heads ---- */

/* y = W x of every agent, rows (rows, N) of x and y. On the CPU only of those that the teams
 * have, zeros for the others: most teams are a third of what there is room for. */
static syn_status agents_forward(syn_ctx *ctx, int64_t rows, const int32_t *count, int64_t din,
                                 int64_t dout, const real *x, const real *w, real *y)
{
    int64_t present = 0, at = 0;
    for (int64_t r = 0; ctx->device == SYN_DEVICE_CPU && r < rows; r++) present += count[r];
    if (ctx->device != SYN_DEVICE_CPU || present == rows * N)
        return syn_linear_forward(ctx, rows * N, din, dout, x, din, w, NULL, SYN_ACT_NONE, y, dout);
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *from = SYN_SCRATCH(ctx, real, present * din),
         *to = SYN_SCRATCH(ctx, real, present * dout);
    syn_status st = from && to ? SYN_OK : SYN_ERR_MEMORY;
    for (int64_t r = 0; st == SYN_OK && r < rows; at += count[r++])
        memcpy(from + at * din, x + r * N * din, sizeof(real) * (size_t)(count[r] * din));
    if (st == SYN_OK)
        st =
            syn_linear_forward(ctx, present, din, dout, from, din, w, NULL, SYN_ACT_NONE, to, dout);
    at = 0;
    for (int64_t r = 0; st == SYN_OK && r < rows; at += count[r++]) {
        real *row = y + r * N * dout;
        memcpy(row, to + at * dout, sizeof(real) * (size_t)(count[r] * dout));
        memset(row + count[r] * dout, 0, sizeof(real) * (size_t)((N - count[r]) * dout));
    }
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status pair_head(syn_ctx *ctx, const syn_control *c, int64_t rows,
                            const syn_observation *x, syn_control_cache *k)
{
    const syn_params *t = &c->params;
    SYN_TAKE(ctx, k->s, real, rows * K * P);
    SYN_TAKE(ctx, k->q, real, rows * N * K * P);
    SYN_TAKE(ctx, k->r, real, rows * N * K * P);
    SYN_TAKE(ctx, k->pair, real, rows * K * N * N);
    SYN_RETURN_IF(syn_linear_forward(ctx, rows, SYN_STATE, K * P, k->h, SYN_STATE,
                                     syn_value(t, SYN_C_PAIR_S), syn_value(t, SYN_C_PAIR_SB),
                                     SYN_ACT_NONE, k->s, K * P));
    SYN_RETURN_IF(agents_forward(ctx, rows, x->count, SYN_CKM, K * P, x->ckm,
                                 syn_value(t, SYN_C_PAIR_Q), k->q));
    SYN_RETURN_IF(agents_forward(ctx, rows, x->count, SYN_CKM, K * P, x->ckm,
                                 syn_value(t, SYN_C_PAIR_R), k->r));
    return syn_pair_forward(ctx, rows, N, P, F, x->count, k->s, k->q, k->r, x->pair_x,
                            syn_value(t, SYN_C_PAIR_X), syn_value(t, SYN_C_PAIR_W),
                            syn_value(t, SYN_C_PAIR_W0), k->pair);
}

static syn_status agent_head(syn_ctx *ctx, const syn_control *c, int64_t rows,
                             const syn_observation *x, syn_control_cache *k)
{
    const syn_params *t = &c->params;
    SYN_TAKE(ctx, k->agent_in, real, rows * N * AGENT_IN);
    SYN_TAKE(ctx, k->agent_q, real, rows * N * P);
    SYN_TAKE(ctx, k->agent_s, real, rows * P);
    SYN_TAKE(ctx, k->agent_hid, real, rows * N * P);
    SYN_TAKE(ctx, k->agent_env, int32_t, rows * N);
    SYN_TAKE(ctx, k->agent_row, int32_t, rows * N);
    SYN_TAKE(ctx, k->agent, real, rows * N * 2);
    SYN_RETURN_IF(
        syn_agent_pack(ctx, rows, x->ckm, x->agent_x, k->agent_in, k->agent_env, k->agent_row));
    SYN_RETURN_IF(syn_linear_forward(ctx, rows, SYN_STATE, P, k->h, SYN_STATE,
                                     syn_value(t, SYN_C_AGENT_S), NULL, SYN_ACT_NONE, k->agent_s,
                                     P));
    SYN_RETURN_IF(agents_forward(ctx, rows, x->count, AGENT_IN, P, k->agent_in,
                                 syn_value(t, SYN_C_AGENT_Q), k->agent_q));
    SYN_RETURN_IF(syn_gather_sum_forward(ctx, rows * N, P, k->agent_s, k->agent_env, k->agent_q,
                                         k->agent_row, syn_value(t, SYN_C_AGENT_B), SYN_ACT_TANH,
                                         k->agent_hid));
    return syn_linear_forward(ctx, rows * N, P, 2, k->agent_hid, P, syn_value(t, SYN_C_AGENT_W),
                              syn_value(t, SYN_C_AGENT_W0), SYN_ACT_NONE, k->agent, 2);
}

static syn_status global_head(syn_ctx *ctx, const syn_control *c, int64_t rows,
                              const syn_observation *x, syn_control_cache *k, real *value)
{
    const syn_params *t = &c->params;
    SYN_TAKE(ctx, k->global_in, real, rows * SYN_GLOBAL_X);
    SYN_TAKE(ctx, k->global_hid, real, rows * SYN_GLOBAL_HIDDEN);
    SYN_TAKE(ctx, k->global, real, rows * 2);
    SYN_RETURN_IF(syn_global_pack(ctx, rows, k->h, x->ckm, x->count, x->summary, k->global_in));
    SYN_RETURN_IF(syn_linear_forward(ctx, rows, SYN_GLOBAL_X, SYN_GLOBAL_HIDDEN, k->global_in,
                                     SYN_GLOBAL_X, syn_value(t, SYN_C_GLOBAL_W),
                                     syn_value(t, SYN_C_GLOBAL_B), SYN_ACT_TANH, k->global_hid,
                                     SYN_GLOBAL_HIDDEN));
    SYN_RETURN_IF(syn_linear_forward(ctx, rows, SYN_GLOBAL_HIDDEN, 2, k->global_hid,
                                     SYN_GLOBAL_HIDDEN, syn_value(t, SYN_C_GLOBAL_OUT),
                                     syn_value(t, SYN_C_GLOBAL_OUT_B), SYN_ACT_NONE, k->global, 2));
    if (!value) return SYN_OK;
    SYN_TAKE(ctx, k->critic_hid, real, rows * SYN_CRITIC_HIDDEN);
    SYN_RETURN_IF(syn_linear_forward(ctx, rows, SYN_GLOBAL_X, SYN_CRITIC_HIDDEN, k->global_in,
                                     SYN_GLOBAL_X, syn_value(t, SYN_C_CRITIC_W),
                                     syn_value(t, SYN_C_CRITIC_B), SYN_ACT_TANH, k->critic_hid,
                                     SYN_CRITIC_HIDDEN));
    return syn_linear_forward(ctx, rows, SYN_CRITIC_HIDDEN, 1, k->critic_hid, SYN_CRITIC_HIDDEN,
                              syn_value(t, SYN_C_CRITIC_OUT), syn_value(t, SYN_C_CRITIC_OUT_B),
                              SYN_ACT_NONE, value, 1);
}

/* All heads, of the states k->h. */
static syn_status heads(syn_ctx *ctx, const syn_control *c, int64_t rows, const syn_observation *x,
                        syn_control_cache *k, real *logit, real *value)
{
    SYN_RETURN_IF(pair_head(ctx, c, rows, x, k));
    SYN_RETURN_IF(agent_head(ctx, c, rows, x, k));
    SYN_RETURN_IF(global_head(ctx, c, rows, x, k, value));
    return syn_logits_pack(ctx, rows, x->count, k->pair, k->agent, k->global, logit);
}

syn_status syn_policy_forward(syn_ctx *ctx, const syn_control *c, int64_t rows,
                              const syn_observation *x, const real *state, real *logit, real *value)
{
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_control_cache k = {.h = (real *)state}; /* the heads read it */
    const syn_status st = heads(ctx, c, rows, x, &k, logit, value);
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_control_forward(syn_ctx *ctx, const syn_control *c, int64_t T, int64_t E,
                               const syn_observation *x, const real *h0, const real *c0,
                               syn_control_cache **cache, real *logit, real *value, real *hT,
                               real *cT)
{
    const int64_t rows = T * E;
    const syn_seq seq = {E, T, rows, NULL, x->reset};
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA && T == 1 && E <= SYN_CONTROL_FEW && !cache) {
        st = syn_control_few_cuda(ctx, c, E, x, h0, c0, logit, value, hT, cT);
        syn_scratch_pop(ctx, mark);
        return st;
    }
#endif
    syn_control_cache *k = SYN_HOST_SCRATCH(ctx, syn_control_cache, 1);
    if (!k) goto done;
    memset(k, 0, sizeof *k);
    SYN_TRY(state_forward(ctx, c, &seq, x->message, h0, c0, cache != NULL, k, hT, cT));
    SYN_TRY(heads(ctx, c, rows, x, k, logit, value));
    if (cache) *cache = k;
done:
    if (!cache || st != SYN_OK) syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- Backward: each head adds its part to dstate (rows, SYN_STATE) and, where not NULL, dckm
 * (rows, N, SYN_CKM), which the pairs overwrite ---- */

/* to (rows, width) += x, whose rows are ldx apart. */
static syn_status add(syn_ctx *ctx, int64_t rows, int64_t width, real *to, const real *x,
                      int64_t ldx)
{
    return syn_add(ctx, rows, width, to, width, x, ldx);
}

static syn_status pair_backward(syn_ctx *ctx, const syn_control *c, int64_t rows,
                                const syn_observation *x, syn_control_cache *k, const real *dpair,
                                real *dstate, real *dckm)
{
    const syn_params *t = &c->params;
    real *ds, *dq, *dr, *part, *dckm_r = NULL;
    SYN_TAKE(ctx, ds, real, rows * K * P);
    SYN_TAKE(ctx, dq, real, rows * N * K * P);
    SYN_TAKE(ctx, dr, real, rows * N * K * P);
    SYN_TAKE(ctx, part, real, rows * SYN_STATE);
    SYN_RETURN_IF(syn_pair_backward(
        ctx, rows, N, P, F, x->count, k->s, k->q, k->r, x->pair_x, syn_value(t, SYN_C_PAIR_X),
        syn_value(t, SYN_C_PAIR_W), syn_value(t, SYN_C_PAIR_W0), dpair, ds, dq, dr,
        syn_grad(t, SYN_C_PAIR_X), syn_grad(t, SYN_C_PAIR_W), syn_grad(t, SYN_C_PAIR_W0)));
    SYN_RETURN_IF(syn_linear_backward(ctx, rows, SYN_STATE, K * P, k->h, SYN_STATE,
                                      syn_value(t, SYN_C_PAIR_S), k->s, K * P, SYN_ACT_NONE, ds,
                                      K * P, part, SYN_STATE, syn_grad(t, SYN_C_PAIR_S),
                                      syn_grad(t, SYN_C_PAIR_SB)));
    SYN_RETURN_IF(add(ctx, rows, SYN_STATE, dstate, part, SYN_STATE));
    SYN_RETURN_IF(syn_linear_backward(ctx, rows * N, SYN_CKM, K * P, x->ckm, SYN_CKM,
                                      syn_value(t, SYN_C_PAIR_Q), k->q, K * P, SYN_ACT_NONE, dq,
                                      K * P, dckm, SYN_CKM, syn_grad(t, SYN_C_PAIR_Q), NULL));
    if (dckm) SYN_TAKE(ctx, dckm_r, real, rows * N * SYN_CKM);
    SYN_RETURN_IF(syn_linear_backward(ctx, rows * N, SYN_CKM, K * P, x->ckm, SYN_CKM,
                                      syn_value(t, SYN_C_PAIR_R), k->r, K * P, SYN_ACT_NONE, dr,
                                      K * P, dckm_r, SYN_CKM, syn_grad(t, SYN_C_PAIR_R), NULL));
    return dckm ? add(ctx, rows * N, SYN_CKM, dckm, dckm_r, SYN_CKM) : SYN_OK;
}

static syn_status agent_backward(syn_ctx *ctx, const syn_control *c, int64_t rows,
                                 syn_control_cache *k, real *dagent, real *dstate, real *dckm)
{
    const syn_params *t = &c->params;
    real *dhid, *ds, *dq, *part, *din = NULL;
    SYN_TAKE(ctx, dhid, real, rows * N * P);
    SYN_TAKE(ctx, ds, real, rows * P);
    SYN_TAKE(ctx, dq, real, rows * N * P);
    SYN_TAKE(ctx, part, real, rows * SYN_STATE);
    SYN_RETURN_IF(syn_zero(ctx, ds, sizeof(real) * (size_t)(rows * P)));
    SYN_RETURN_IF(syn_zero(ctx, dq, sizeof(real) * (size_t)(rows * N * P)));
    SYN_RETURN_IF(syn_linear_backward(
        ctx, rows * N, P, 2, k->agent_hid, P, syn_value(t, SYN_C_AGENT_W), k->agent, 2,
        SYN_ACT_NONE, dagent, 2, dhid, P, syn_grad(t, SYN_C_AGENT_W), syn_grad(t, SYN_C_AGENT_W0)));
    SYN_RETURN_IF(syn_gather_sum_backward(ctx, rows * N, P, k->agent_env, k->agent_row,
                                          k->agent_hid, SYN_ACT_TANH, dhid, rows, ds, rows * N, dq,
                                          syn_grad(t, SYN_C_AGENT_B)));
    SYN_RETURN_IF(syn_linear_backward(ctx, rows, SYN_STATE, P, k->h, SYN_STATE,
                                      syn_value(t, SYN_C_AGENT_S), k->agent_s, P, SYN_ACT_NONE, ds,
                                      P, part, SYN_STATE, syn_grad(t, SYN_C_AGENT_S), NULL));
    SYN_RETURN_IF(add(ctx, rows, SYN_STATE, dstate, part, SYN_STATE));
    if (dckm) SYN_TAKE(ctx, din, real, rows * N * AGENT_IN);
    SYN_RETURN_IF(syn_linear_backward(ctx, rows * N, AGENT_IN, P, k->agent_in, AGENT_IN,
                                      syn_value(t, SYN_C_AGENT_Q), k->agent_q, P, SYN_ACT_NONE, dq,
                                      P, din, AGENT_IN, syn_grad(t, SYN_C_AGENT_Q), NULL));
    return dckm ? add(ctx, rows * N, SYN_CKM, dckm, din, AGENT_IN) : SYN_OK;
}

/* The global head or the critic: out = W2 tanh(W1 in). Adds the parts of d(in). */
static syn_status mlp_backward(syn_ctx *ctx, const syn_control *c, int64_t rows, int64_t hidden,
                               int64_t outs, int first, const real *in, const real *hid,
                               const real *out, real *dout, const int32_t *count, real *dstate,
                               real *dckm)
{
    const syn_params *t = &c->params;
    real *dhid, *din;
    SYN_TAKE(ctx, dhid, real, rows * hidden);
    SYN_TAKE(ctx, din, real, rows * SYN_GLOBAL_X);
    SYN_RETURN_IF(syn_linear_backward(ctx, rows, hidden, outs, hid, hidden, syn_value(t, first + 2),
                                      out, outs, SYN_ACT_NONE, dout, outs, dhid, hidden,
                                      syn_grad(t, first + 2), syn_grad(t, first + 3)));
    SYN_RETURN_IF(syn_linear_backward(
        ctx, rows, SYN_GLOBAL_X, hidden, in, SYN_GLOBAL_X, syn_value(t, first), hid, hidden,
        SYN_ACT_TANH, dhid, hidden, din, SYN_GLOBAL_X, syn_grad(t, first), syn_grad(t, first + 1)));
    SYN_RETURN_IF(add(ctx, rows, SYN_STATE, dstate, din, SYN_GLOBAL_X));
    return dckm ? syn_global_pack_backward(ctx, rows, count, din, dckm) : SYN_OK;
}

static syn_status tell(const syn_control_ready *ready, int first, int last)
{
    return ready ? ready->call(ready->user, first, last) : SYN_OK;
}

syn_status syn_control_backward(syn_ctx *ctx, const syn_control *c, int64_t T, int64_t E,
                                const syn_observation *x, const real *h0, const real *c0,
                                syn_control_cache *k, const real *dlogit, const real *dvalue,
                                real *dckm, const syn_control_ready *ready)
{
    const int64_t rows = T * E;
    const syn_seq seq = {E, T, rows, NULL, x->reset};
    real *dstate, *dpair, *dagent, *dglobal, *dv;
    SYN_TAKE(ctx, dstate, real, rows * SYN_STATE);
    SYN_TAKE(ctx, dpair, real, rows * K * N * N);
    SYN_TAKE(ctx, dagent, real, rows * N * 2);
    SYN_TAKE(ctx, dglobal, real, rows * 2);
    SYN_TAKE(ctx, dv, real, rows);
    SYN_RETURN_IF(syn_zero(ctx, dstate, sizeof(real) * (size_t)(rows * SYN_STATE)));
    SYN_RETURN_IF(syn_copy(ctx, dv, dvalue, sizeof(real) * (size_t)rows));
    SYN_RETURN_IF(syn_logits_unpack(ctx, rows, x->count, dlogit, dpair, dagent, dglobal));
    SYN_RETURN_IF(pair_backward(ctx, c, rows, x, k, dpair, dstate, dckm));
    SYN_RETURN_IF(tell(ready, SYN_C_PAIR_S, SYN_C_PAIR_W0));
    SYN_RETURN_IF(agent_backward(ctx, c, rows, k, dagent, dstate, dckm));
    SYN_RETURN_IF(tell(ready, SYN_C_AGENT_S, SYN_C_AGENT_W0));
    SYN_RETURN_IF(mlp_backward(ctx, c, rows, SYN_GLOBAL_HIDDEN, 2, SYN_C_GLOBAL_W, k->global_in,
                               k->global_hid, k->global, dglobal, x->count, dstate, dckm));
    SYN_RETURN_IF(mlp_backward(ctx, c, rows, SYN_CRITIC_HIDDEN, 1, SYN_C_CRITIC_W, k->global_in,
                               k->critic_hid, dv, dv, x->count, dstate, dckm));
    SYN_RETURN_IF(tell(ready, SYN_C_GLOBAL_W, SYN_C_CRITIC_OUT_B));
    SYN_RETURN_IF(syn_state_backward(ctx, c, &seq, x->message, h0, c0, k, dstate));
    return tell(ready, SYN_C_IN_W, SYN_C_B);
}

int64_t syn_control_scratch_bytes(int64_t rows)
{
    enum {
        STATE = SYN_STATE_IN + 6 * SYN_STATE,
        PAIR = K * P + 2 * N * K * P + K * N * N,
        AGENT = N * (AGENT_IN + 2 * P + 2 + 2) + P,
        MLP = SYN_GLOBAL_X + SYN_GLOBAL_HIDDEN + 2 + SYN_CRITIC_HIDDEN,
        HEADS = 2 * SYN_STATE + K * N * N + 2 * N + 3, /* backward: gradients of state and logits */
        TAKEN = K * P + 2 * N * K * P + 2 * N * P + P + SYN_STATE + 2 * SYN_GLOBAL_X +
                SYN_GLOBAL_HIDDEN + SYN_CRITIC_HIDDEN + SYN_STATE_IN
    };
    return rows * (int64_t)sizeof(real) * (STATE + PAIR + AGENT + MLP + HEADS + TAKEN);
}
