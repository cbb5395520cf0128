/* Fully connected layer with an optional activation. */
#ifndef SYN_LINEAR_H
#define SYN_LINEAR_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum syn_activation { SYN_ACT_NONE, SYN_ACT_RELU, SYN_ACT_TANH } syn_activation;

/* y = act(x w^T + b). x (n,din) with row stride ldx, w (dout,din), b (dout) or NULL: in.
 * y (n,dout) with row stride ldy: overwritten; may not overlap the inputs. n may be 0.
 * Errors: SYN_ERR_INVALID, SYN_ERR_MEMORY, SYN_ERR_DEVICE. Deterministic. */
SYN_WARN_UNUSED syn_status syn_linear_forward(syn_ctx *ctx, int64_t n, int64_t din, int64_t dout,
                                              const real *x, int64_t ldx, const real *w,
                                              const real *b, syn_activation act, real *y,
                                              int64_t ldy);

/* x, w, y as in (and as left by) the forward pass. dy (n,dout), lddy: inout, the gradient of y,
 * becomes that of the pre-activation. dx (n,din), lddx: overwritten, or NULL. dw (dout,din) and
 * db (dout): accumulated (+=), or NULL. y is read only when act is not NONE.
 * The gradients may not overlap each other or the inputs. Errors and determinism as above. */
SYN_WARN_UNUSED syn_status syn_linear_backward(syn_ctx *ctx, int64_t n, int64_t din, int64_t dout,
                                               const real *x, int64_t ldx, const real *w,
                                               const real *y, int64_t ldy, syn_activation act,
                                               real *dy, int64_t lddy, real *dx, int64_t lddx,
                                               real *dw, real *db);

/* syn_linear_forward at inference for a number of rows that is known on the device alone: *live
 * (int32, on the context's device), at most `capacity`; NULL: all of them. Rows of y beyond *live
 * are left alone, nothing is read there. No scratch. Errors and determinism as above; on CUDA
 * the bits of a row do not depend on the other rows, or on how many there are. */
SYN_WARN_UNUSED syn_status syn_linear_live(syn_ctx *ctx, int64_t capacity, const int32_t *live,
                                           int64_t din, int64_t dout, const real *x, int64_t ldx,
                                           const real *w, const real *b, syn_activation act,
                                           real *y, int64_t ldy);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_linear_forward) syn_linear_forward_cpu, syn_linear_forward_cuda;
/* dy (n,dout) becomes the gradient of the pre-activation; act is not NONE. */
SYN_WARN_UNUSED syn_status syn_linear_derive_cpu(syn_ctx *ctx, int64_t n, int64_t dout,
                                                 const real *y, int64_t ldy, syn_activation act,
                                                 real *dy, int64_t lddy);
__typeof__(syn_linear_derive_cpu) syn_linear_derive_cuda;
__typeof__(syn_linear_live) syn_linear_live_cpu, syn_linear_live_cuda;

#ifdef __cplusplus
}
#endif
#endif
