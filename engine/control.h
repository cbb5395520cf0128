/* Who speaks to whom, and when to stop: state encoder, policy (actor) and critic.
 *
 *   state   message vector (96) -> linear 256 -> LSTM 512, one step per turn, zeroed at a reset
 *   pairs   tanh(P s + Q ckm_i + R ckm_j + X x_ij) . w, its own weights for SEND and REQUEST
 *   agents  tanh(P' s + Q' [ckm_i, x_i]) . w': BROADCAST(i), ALONE(i)
 *   global  tanh(V [s, ckm of the asker, mean ckm, summary]) . w'': ANSWER, ABSTAIN; the critic
 * likewise
 *
 * The same weights serve any number of agents; permuting the agents but the asker permutes the
 * logits. Buffers are device memory, rows time-major: row = t * E + e. */
#ifndef SYN_ENGINE_CONTROL_H
#define SYN_ENGINE_CONTROL_H

#include "engine/observe.h"

enum {
    SYN_STATE = 512,
    SYN_STATE_IN = 256,
    SYN_POLICY_HIDDEN = 64,
    SYN_GLOBAL_HIDDEN = 128,
    SYN_CRITIC_HIDDEN = 256,
    SYN_GLOBAL_X = SYN_STATE + 2 * SYN_CKM + SYN_SUMMARY
};

typedef enum syn_control_param {
    SYN_C_IN_W,
    SYN_C_IN_B,
    SYN_C_W,
    SYN_C_R,
    SYN_C_B,
    SYN_C_PAIR_S,
    SYN_C_PAIR_SB,
    SYN_C_PAIR_Q,
    SYN_C_PAIR_R,
    SYN_C_PAIR_X,
    SYN_C_PAIR_W,
    SYN_C_PAIR_W0,
    SYN_C_AGENT_S,
    SYN_C_AGENT_Q,
    SYN_C_AGENT_B,
    SYN_C_AGENT_W,
    SYN_C_AGENT_W0,
    SYN_C_GLOBAL_W,
    SYN_C_GLOBAL_B,
    SYN_C_GLOBAL_OUT,
    SYN_C_GLOBAL_OUT_B,
    SYN_C_CRITIC_W,
    SYN_C_CRITIC_B,
    SYN_C_CRITIC_OUT,
    SYN_C_CRITIC_OUT_B,
    SYN_CONTROL_PARAMS
} syn_control_param;

typedef struct syn_control {
    syn_params params;
} syn_control;

SYN_WARN_UNUSED syn_status syn_control_init(syn_ctx *ctx, syn_control *c, uint64_t seed);
void syn_control_free(syn_ctx *ctx, syn_control *c);

typedef struct syn_control_cache syn_control_cache;

/* T turns of E environments. x: rows T*E; h0, c0 (E, SYN_STATE): in; logit (T*E, SYN_ACTIONS_MAX),
 * value (T*E; NULL: not wanted, at inference alone), hT, cT (E, SYN_STATE; may be h0, c0):
 * overwritten. Illegal actions have logits too, those of agents that the team does not have are 0;
 * the mask is applied by sampling and loss. cache: NULL at inference, else lives in scratch until
 * the mark that the caller took is released. */
SYN_WARN_UNUSED syn_status syn_control_forward(syn_ctx *ctx, const syn_control *c, int64_t T,
                                               int64_t E, const syn_observation *x, const real *h0,
                                               const real *c0, syn_control_cache **cache,
                                               real *logit, real *value, real *hT, real *cT);

/* The heads alone, of states that are given: state (rows, SYN_STATE) and x, of which message, mask
 * and reset are not read -> logit (rows, SYN_ACTIONS_MAX), value (rows), overwritten. Inference. */
SYN_WARN_UNUSED syn_status syn_policy_forward(syn_ctx *ctx, const syn_control *c, int64_t rows,
                                              const syn_observation *x, const real *state,
                                              real *logit, real *value);

/* Device scratch that forward and backward of so many rows take together, all but what the ops
 * inside take for a while: for reserving memory. */
int64_t syn_control_scratch_bytes(int64_t rows);

/* Called when the gradients of the tensors first..last are complete, while the others are still
 * computed: heads first, the state encoder last, every tensor once. An error ends the backward pass
 * with it. */
typedef struct syn_control_ready {
    syn_status (*call)(void *user, int first, int last);
    void *user;
} syn_control_ready;

/* dlogit (T*E, SYN_ACTIONS_MAX), dvalue (T*E): in. Gradients are added to params.grad. dckm (T*E,
 * SYN_AGENTS_MAX, SYN_CKM) or NULL: overwritten with the gradient of x->ckm. ready may be NULL. */
SYN_WARN_UNUSED syn_status syn_control_backward(syn_ctx *ctx, const syn_control *c, int64_t T,
                                                int64_t E, const syn_observation *x, const real *h0,
                                                const real *c0, syn_control_cache *cache,
                                                const real *dlogit, const real *dvalue, real *dckm,
                                                const syn_control_ready *ready);

/* The state encoder alone: message (rows, SYN_DM) -> *state (rows, SYN_STATE), scratch. cache: what
 * syn_state_backward needs, or NULL at inference. */
SYN_WARN_UNUSED syn_status syn_state_forward(syn_ctx *ctx, const syn_control *c, const syn_seq *seq,
                                             const real *message, const real *h0, const real *c0,
                                             syn_control_cache **cache, real **state, real *hT,
                                             real *cT);
SYN_WARN_UNUSED syn_status syn_state_backward(syn_ctx *ctx, const syn_control *c,
                                              const syn_seq *seq, const real *message,
                                              const real *h0, const real *c0,
                                              syn_control_cache *cache, const real *dstate);

#endif
