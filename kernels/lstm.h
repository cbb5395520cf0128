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
 * Out, overwritten: h (rows,H) with row stride ldh >= H; c (rows,H) and v (rows,4H), the cells and
 * the activated gates for backward, or both NULL at inference, which then neither keeps nor writes
 * them; hT, cT (B,H), or NULL: the state after the last step walked (h0, c0 for a sequence of
 * length 0).
 * No output may overlap another buffer, except hT with h0 and cT with c0.
 * Errors: SYN_ERR_INVALID (sizes, NULL, malformed seq), SYN_ERR_MEMORY (scratch), SYN_ERR_DEVICE,
 * SYN_ERR_UNSUPPORTED (a variant of CUDA was asked for that cannot take the call).
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
 * Out, overwritten: h (rows,2H), each row [forward | reverse]; c (2,rows,H) and v (2,rows,4H), or
 * both NULL at inference. The rest as in syn_lstm_forward. */
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

/* How CUDA computes the recurrence. AUTO takes the fastest that the shape, ctx->math and the device
 * allow (kernels/lstm_choose.h).
 *     step     a product and a pointwise kernel per step; any shape
 *     block    one block per direction and tile of sequences; H = 128, MIXED
 *     cluster  one cluster of H / 32 blocks per direction and tile; H = 256 or 512, MIXED, sm_90
 *     wide     likewise, in tiles of 64 sequences, h by multicast through L2; sm_90a builds. Its
 *              backward pass is that of cluster
 *     grid     all blocks of the device share R; H up to what fits beside each other
 *     cudnn    the library's; dense, no resets, h and dh in one piece, builds that have it. It
 *              leaves c as it is and keeps nothing for the caller in v */
#define SYN_LSTM_VARIANT_MAP(X)                                                                    \
    X(AUTO, "auto")                                                                                \
    X(STEP, "step")                                                                                \
    X(BLOCK, "block")                                                                              \
    X(CLUSTER, "cluster")                                                                          \
    X(WIDE, "wide")                                                                                \
    X(GRID, "grid")                                                                                \
    X(CUDNN, "cudnn")

typedef enum syn_lstm_variant {
#define SYN_LSTM_VARIANT_ENUM(name, text) SYN_LSTM_##name,
    SYN_LSTM_VARIANT_MAP(SYN_LSTM_VARIANT_ENUM)
#undef SYN_LSTM_VARIANT_ENUM
        SYN_LSTM_VARIANTS
} syn_lstm_variant;

const char *syn_lstm_variant_name(syn_lstm_variant variant);

/* For the whole process, read by each call: set them before threads compute. `name` as above;
 * SYN_ERR_USAGE names the choices. The CPU has one way only and takes no notice.
 * set: a call that the variant cannot take answers SYN_ERR_UNSUPPORTED with its reason. prefer:
 * such a call goes by AUTO, which the log says once for each layer. Until one of them was called,
 * the environment variable SYNCOG_LSTM is preferred, and without it AUTO. */
SYN_WARN_UNUSED syn_status syn_lstm_variant_set(const char *name);
SYN_WARN_UNUSED syn_status syn_lstm_variant_prefer(const char *name);
/* *forced: it was set. */
SYN_WARN_UNUSED syn_status syn_lstm_variant_get(syn_lstm_variant *variant, bool *forced);

/* A call by its shape alone. */
typedef struct syn_lstm_layer {
    int64_t H;
    int directions; /* 1 or 2 */
    int64_t batch, steps;
    bool packed, resets, backward;
} syn_lstm_layer;

/* Which variant such a call takes on ctx; on the CPU, AUTO. Errors as of the call. */
SYN_WARN_UNUSED syn_status syn_lstm_variant_taken(syn_ctx *ctx, const syn_lstm_layer *layer,
                                                  syn_lstm_variant *variant);

/* SYN_ERR_UNSUPPORTED, with the reasons, when a variant is set or preferred that none of these
 * layers can take. On the CPU nothing is wrong. */
SYN_WARN_UNUSED syn_status syn_lstm_variant_check(syn_ctx *ctx, const syn_lstm_layer *layers,
                                                  int count);

/* syn_bilstm_forward at inference, on CUDA, where the host knows only how many sequences and rows
 * there can be: *live <= capacity packed sequences, rows offset[b] to offset[b + 1] of sequence b,
 * *live_rows = offset[*live] <= rows_capacity. live, live_rows and offset (capacity + 1, valid up
 * to [*live]) are device memory and read by the kernels only, so that the call can be captured.
 * x (rows_capacity,D): in. h (rows_capacity,2H), each row [forward | reverse]: rows below
 * *live_rows are overwritten, the others keep what they hold. H <= 1024; H = 128 in MIXED runs on
 * matrix units. Takes rows_capacity * 8H floats of scratch. Errors: SYN_ERR_INVALID,
 * SYN_ERR_MEMORY, SYN_ERR_DEVICE; offsets are not checked. Deterministic; a sequence's result does
 * not depend on the others'. */
SYN_WARN_UNUSED syn_status syn_bilstm_forward_live_cuda(
    syn_ctx *ctx, int64_t capacity, const int32_t *live, const int32_t *offset,
    int64_t rows_capacity, const int32_t *live_rows, int64_t D, int64_t H, const real *x,
    const real *Wf, const real *Rf, const real *bf, const real *Wr, const real *Rr, const real *br,
    real *h);

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

/* a: the directions, 1 or 2, over the same rows and of the same D and H. */
SYN_WARN_UNUSED syn_status syn_lstm_forward_cpu(syn_ctx *ctx, const syn_lstm_call *a,
                                                int directions);
SYN_WARN_UNUSED syn_status syn_lstm_backward_cpu(syn_ctx *ctx, const syn_lstm_call *a,
                                                 int directions);
SYN_WARN_UNUSED syn_status syn_lstm_forward_cuda(syn_ctx *ctx, const syn_lstm_call *a,
                                                 int directions);
SYN_WARN_UNUSED syn_status syn_lstm_backward_cuda(syn_ctx *ctx, const syn_lstm_call *a,
                                                  int directions);
__typeof__(syn_lstm_variant_taken) syn_lstm_variant_taken_cpu, syn_lstm_variant_taken_cuda;
__typeof__(syn_lstm_variant_check) syn_lstm_variant_check_cpu, syn_lstm_variant_check_cuda;
/* Tells the log, once for a layer and a reason, that the variant is not what the layer takes. */
void syn_lstm_variant_passed_over(syn_lstm_variant variant, int64_t H, int directions,
                                  const char *why);

#ifdef __cplusplus
}
#endif
#endif
