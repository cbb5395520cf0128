/* The gradient's norm and AdamW (Loshchilov & Hutter 2019) on flat buffers.
 *
 * Array pointers are on the context's device and do not overlap. Bit-equal for any number of
 * threads. Errors: SYN_ERR_INVALID (shape, step < 1), SYN_ERR_MEMORY, SYN_ERR_DEVICE.
 */
#ifndef SYN_OPTIM_H
#define SYN_OPTIM_H

#include "kernels/base/ctx.h"
#include "kernels/base/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* norm (1), on the device like g: overwritten with sqrt(sum g^2), summed in double and in a fixed
 * order; not finite where an element is not. Scratch: a double for every 4096 elements. */
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

/* What a step reads from device memory, so that a captured graph follows a schedule. */
typedef struct syn_adam_scalars {
    real beta1, beta2, eps;
    real rate;          /* lr / (1 - beta1^step) */
    real root;          /* 1 / sqrt(1 - beta2^step) */
    real decay;         /* lr * weight_decay */
    real max_grad_norm; /* 0: the gradient is not clipped */
} syn_adam_scalars;

/* Fills in *s, which is host memory; the caller copies it to the device. */
SYN_WARN_UNUSED syn_status syn_adam_scalars_init(syn_adam_scalars *s, real lr, real beta1,
                                                 real beta2, real eps, real weight_decay,
                                                 int64_t step, real max_grad_norm);

/* syn_adamw with what changes from step to step on the device: scalars (1); norm (1), the norm of
 * the whole gradient before clipping, or NULL for none: grad_scale is max_grad_norm / norm where
 * norm is the larger, else 1. Nothing is updated where the norm is not finite, or where *skip
 * (int32, on the device, or NULL) is not 0. The same bits as syn_adamw with the same scalars. */
SYN_WARN_UNUSED syn_status syn_adamw_device(syn_ctx *ctx, int64_t n, real *p, const real *g,
                                            real *m, real *v, const syn_adam_scalars *scalars,
                                            const real *norm, const int32_t *skip);

/* *flag (int32, on the device) becomes `code`, not 0, where an element of x (n) is not finite and
 * *flag is 0; else it stays. */
SYN_WARN_UNUSED syn_status syn_flag_not_finite(syn_ctx *ctx, int64_t n, const real *x, int32_t code,
                                               int32_t *flag);

/* What the gradient is multiplied with to have a norm of at most max_grad_norm. */
SYN_HD real syn_adam_clip(const syn_adam_scalars *s, real norm)
{
    return s->max_grad_norm > 0 && norm > s->max_grad_norm ? s->max_grad_norm / norm : (real)1;
}

/* The two sides of each op. Not for other callers. */
__typeof__(syn_grad_norm) syn_grad_norm_cpu, syn_grad_norm_cuda;
SYN_WARN_UNUSED syn_status syn_adam_all_cpu(syn_ctx *ctx, const syn_adam_scalars *s, real scale,
                                            int64_t n, real *p, const real *g, real *m, real *v);
__typeof__(syn_adam_all_cpu) syn_adam_all_cuda;
SYN_WARN_UNUSED syn_status syn_adam_rows_cpu(syn_ctx *ctx, const syn_adam_scalars *s, real scale,
                                             int64_t count, const int32_t *row, int64_t D, real *p,
                                             const real *g, real *m, real *v);
__typeof__(syn_adam_rows_cpu) syn_adam_rows_cuda;
__typeof__(syn_adamw_device) syn_adamw_device_cpu, syn_adamw_device_cuda;
__typeof__(syn_flag_not_finite) syn_flag_not_finite_cpu, syn_flag_not_finite_cuda;

#ifdef __cplusplus
}
#endif
#endif
