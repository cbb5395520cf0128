/* Additive scoring of ordered pairs of agents, the policy's SEND and REQUEST logits (Bahdanau et
 * al. 2015, with a feature vector for each pair):
 *
 *   logit[e,k,i,j] = w0[k] + sum_p w[k,p] * tanh(s[e,k,p] + q[e,i,k,p] + r[e,j,k,p]
 *                                                + sum_f X[k,p,f] * x[e,k,i,j,f])
 *
 * for E environments of N agents, of which the first count[e] exist, and K = SYN_PAIR_KINDS kinds.
 * Entries with i = j, i >= count[e] or j >= count[e] are 0, and nothing of theirs is read.
 *
 * All pointers are on the context's device and do not overlap. Bit-equal for any number of threads.
 * Scratch: (F + P + 8) * max(512, N*N) reals a thread; backward 16 * (P*F + P + 1) * K more.
 * Errors: SYN_ERR_INVALID (shape, or a count outside [0, N]), SYN_ERR_MEMORY, SYN_ERR_DEVICE.
 * On CUDA the counts are not checked, but cut to [0, N]. */
#ifndef SYN_PAIR_H
#define SYN_PAIR_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_PAIR_KINDS = 2, SYN_PAIR_AGENTS_MAX = 256 };

/* count (E), s (E,K,P), q, r (E,N,K,P), x (E,K,N,N,F), X (K,P,F), w (K,P), w0 (K): in.
 * logit (E,K,N,N): overwritten. */
SYN_WARN_UNUSED syn_status syn_pair_forward(syn_ctx *ctx, int64_t E, int64_t N, int64_t P,
                                            int64_t F, const int32_t *count, const real *s,
                                            const real *q, const real *r, const real *x,
                                            const real *X, const real *w, const real *w0,
                                            real *logit);

/* dlogit (E,K,N,N): in; where the forward pass wrote a fixed 0 it is not read. ds (E,K,P), dq, dr
 * (E,N,K,P): overwritten, 0 for agents that do not exist. dX (K,P,F), dw (K,P), dw0 (K):
 * accumulated
 * (+=). x gets no gradient. tanh is recomputed; pairs with a zero gradient cost nothing. */
SYN_WARN_UNUSED syn_status syn_pair_backward(syn_ctx *ctx, int64_t E, int64_t N, int64_t P,
                                             int64_t F, const int32_t *count, const real *s,
                                             const real *q, const real *r, const real *x,
                                             const real *X, const real *w, const real *w0,
                                             const real *dlogit, real *ds, real *dq, real *dr,
                                             real *dX, real *dw, real *dw0);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_pair_forward) syn_pair_forward_cpu, syn_pair_forward_cuda;
__typeof__(syn_pair_backward) syn_pair_backward_cpu, syn_pair_backward_cuda;

#ifdef __cplusplus
}
#endif
#endif
