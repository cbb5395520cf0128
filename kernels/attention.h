/* Attention pooling: one vector per sequence. */
#ifndef SYN_ATTENTION_H
#define SYN_ATTENTION_H

#include "kernels/base/ctx.h"
#include "kernels/seq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* alpha = softmax over the steps t of a sequence of  w . tanh(Wa h_t) + bias_t,
 * out_b = sum_t alpha_t h_t;  a sequence of length 0 gives out_b = empty.
 * In: h (rows,D), Wa (A,D), w (A), bias (rows) or NULL, empty (D). seq: dense or packed; reset is
 * not used. Out, overwritten: u (rows,A) = tanh(Wa h), alpha (rows), both kept for backward;
 * out (B,D). No output may overlap another buffer.
 * Errors: SYN_ERR_INVALID, SYN_ERR_MEMORY, SYN_ERR_DEVICE. Deterministic.
 * Source: Yang et al., "Hierarchical attention networks", NAACL 2016. */
SYN_WARN_UNUSED syn_status syn_attention_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D,
                                                 int64_t A, const real *h, const real *Wa,
                                                 const real *w, const real *bias, const real *empty,
                                                 real *u, real *alpha, real *out);

/* In: the buffers of the forward pass, as it left them; dout (B,D). dh (rows,D), dbias (rows) or
 * NULL: overwritten. dWa (A,D), dw (A), dempty (D): accumulated (+=), each may be NULL. Errors and
 * determinism as above. */
SYN_WARN_UNUSED syn_status syn_attention_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D,
                                                  int64_t A, const real *h, const real *Wa,
                                                  const real *w, const real *u, const real *alpha,
                                                  const real *dout, real *dh, real *dWa, real *dw,
                                                  real *dbias, real *dempty);

/* syn_attention_forward at inference for packed sequences whose number is known on the device
 * alone: *batch sequences of *rows rows together (int32, on the context's device), at most
 * batch_max and rows_max; offset (*batch + 1) from 0 to *rows. alpha (rows_max): overwritten for
 * the live rows. out (batch_max, D): overwritten for the live sequences. Scratch: rows_max * (A +
 * 1) reals. */
SYN_WARN_UNUSED syn_status syn_attention_live(syn_ctx *ctx, int64_t batch_max, const int32_t *batch,
                                              int64_t rows_max, const int32_t *rows,
                                              const int32_t *offset, int64_t D, int64_t A,
                                              const real *h, const real *Wa, const real *w,
                                              const real *bias, const real *empty, real *alpha,
                                              real *out);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_attention_forward) syn_attention_forward_cpu, syn_attention_forward_cuda;
__typeof__(syn_attention_backward) syn_attention_backward_cpu, syn_attention_backward_cuda;
__typeof__(syn_attention_live) syn_attention_live_cpu, syn_attention_live_cuda;

#ifdef __cplusplus
}
#endif
#endif
