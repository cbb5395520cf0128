/* LSTM and bidirectional LSTM over dense or packed sequences. */
#ifndef SYN_LSTM_H
#define SYN_LSTM_H

#include "kernels/base/ctx.h"
#include "kernels/seq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gates i,f,g,o (PyTorch order, one summed bias), from W x + R h + b:
 *     c' = sigmoid(f)*c + sigmoid(i)*tanh(g),   h' = sigmoid(o)*tanh(c').
 * B = seq->batch sequences, rows laid out as seq says. reverse walks each sequence from its last
 * step to its first. A nonzero seq->reset[t,b] makes the state zero before step t.
 *
 * In: x (rows,D), W (4H,D), R (4H,H), b (4H); h0, c0 (B,H), or NULL for zero.
 * Out, overwritten: h (rows,H) with row stride ldh >= H; c (rows,H); v (rows,4H), the activated
 * gates for backward, or NULL at inference (scratch is taken); hT, cT (B,H), or NULL: the state
 * after the last step walked (h0, c0 for a sequence of length 0).
 * No output may overlap another buffer, except hT with h0 and cT with c0.
 * Errors: SYN_ERR_INVALID (sizes, NULL, malformed seq), SYN_ERR_MEMORY (scratch), SYN_ERR_DEVICE.
 * Deterministic for equal inputs and equal ctx->threads. Asynchronous on ctx->stream on CUDA.
 * Source: Hochreiter & Schmidhuber 1997; forget gate, Gers et al. 2000. */
SYN_WARN_UNUSED syn_status syn_lstm_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H,
                                            bool reverse, const real *x, const real *W,
                                            const real *R, const real *b, const real *h0,
                                            const real *c0, real *h, int64_t ldh, real *c, real *v,
                                            real *hT, real *cT);

/* In: the buffers of the forward pass, as it left them; dh (rows,H) with row stride lddh: gradient
 * of h; dhT, dcT (B,H), or NULL: gradient of hT, cT. v: in, overwritten with the gradient of the
 * pre-activations. Out: dx (rows,D), or NULL; dh0, dc0 (B,H), or NULL: overwritten.
 * dW (4H,D), dR (4H,H), db (4H): accumulated (+=), each may be NULL.
 * No output may overlap another buffer, except dh0 with dhT and dc0 with dcT.
 * Errors and determinism as above. */
SYN_WARN_UNUSED syn_status syn_lstm_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t H,
                                             bool reverse, const real *x, const real *W,
                                             const real *R, const real *h0, const real *c0,
                                             const real *h, int64_t ldh, const real *c, real *v,
                                             const real *dh, int64_t lddh, const real *dhT,
                                             const real *dcT, real *dx, real *dW, real *dR,
                                             real *db, real *dh0, real *dc0);

/* Two LSTMs over the same rows, from a zero state: f walks forward, r in reverse.
 * Out, overwritten: h (rows,2H), each row [forward | reverse]; c (2,rows,H); v (2,rows,4H), or NULL
 * at inference. The rest as in syn_lstm_forward. */
SYN_WARN_UNUSED syn_status syn_bilstm_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D,
                                              int64_t H, const real *x, const real *Wf,
                                              const real *Rf, const real *bf, const real *Wr,
                                              const real *Rr, const real *br, real *h, real *c,
                                              real *v);

/* dh (rows,2H): in. v: in, overwritten with the gradient of the pre-activations. dx (rows,D), or
 * NULL: overwritten. The weights' gradients: accumulated (+=), each may be NULL. */
SYN_WARN_UNUSED syn_status syn_bilstm_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D,
                                               int64_t H, const real *x, const real *Wf,
                                               const real *Rf, const real *Wr, const real *Rr,
                                               const real *h, const real *c, real *v,
                                               const real *dh, real *dx, real *dWf, real *dRf,
                                               real *dbf, real *dWr, real *dRr, real *dbr);

/* What the two device sides take, after the checks: the arguments above, and whether dx is added to
 * what it holds. Not for other callers. */
typedef struct syn_lstm_call {
    const syn_seq *seq;
    int64_t D, H;
    bool reverse;
    const real *x, *W, *R, *b, *h0, *c0;
    real *h;
    int64_t ldh;
    real *c, *v, *hT, *cT;
    const real *dh;
    int64_t lddh;
    const real *dhT, *dcT;
    real *dx, *dW, *dR, *db, *dh0, *dc0;
    bool dx_accumulate;
} syn_lstm_call;

SYN_WARN_UNUSED syn_status syn_lstm_forward_cpu(syn_ctx *ctx, const syn_lstm_call *a);
SYN_WARN_UNUSED syn_status syn_lstm_backward_cpu(syn_ctx *ctx, const syn_lstm_call *a);
SYN_WARN_UNUSED syn_status syn_lstm_forward_cuda(syn_ctx *ctx, const syn_lstm_call *a);
SYN_WARN_UNUSED syn_status syn_lstm_backward_cuda(syn_ctx *ctx, const syn_lstm_call *a);

#ifdef __cplusplus
}
#endif
#endif
