/* The gradient's norm and AdamW (Loshchilov & Hutter 2019) on flat buffers.
 *
 * Array pointers are on the context's device and do not overlap. Bit-equal for any number of
 * threads. Errors: SYN_ERR_INVALID (shape, step < 1), SYN_ERR_MEMORY, SYN_ERR_UNSUPPORTED on CUDA.
 */
#ifndef SYN_OPTIM_H
#define SYN_OPTIM_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* norm (1): overwritten with sqrt(sum g^2), summed in double and in a fixed order; not finite where
 * an element is not. Scratch: a double for every 4096 elements. */
SYN_WARN_UNUSED syn_status syn_grad_norm(syn_ctx *ctx, int64_t n, const real *g, real *norm);

/* One step, step = 1, 2, ...:
 *   h = grad_scale * g;  m = beta1*m + (1-beta1)*h;  v = beta2*v + (1-beta2)*h^2
 *   p -= lr * (m/(1-beta1^step) / (sqrt(v/(1-beta2^step)) + eps) + weight_decay * p)
 * g (n): in; p, m, v (n): inout. grad_scale is what clipping by norm multiplies with. */
SYN_WARN_UNUSED syn_status syn_adamw(syn_ctx *ctx, int64_t n, real *p, const real *g, real *m,
                                     real *v, real lr, real beta1, real beta2, real eps,
                                     real weight_decay, int64_t step, real grad_scale);

/* The same step on the listed rows of a table alone: p, g, m, v (any number of rows, D); row
 * (count), distinct. Other rows keep their values and their moments (lazy Adam). */
SYN_WARN_UNUSED syn_status syn_adamw_rows(syn_ctx *ctx, int64_t count, const int32_t *row,
                                          int64_t D, real *p, const real *g, real *m, real *v,
                                          real lr, real beta1, real beta2, real eps,
                                          real weight_decay, int64_t step, real grad_scale);

#ifdef __cplusplus
}
#endif
#endif
