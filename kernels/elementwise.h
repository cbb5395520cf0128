/* Sums and products element by element. All pointers are on the context's device. */
#ifndef SYN_ELEMENTWISE_H
#define SYN_ELEMENTWISE_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* to[r*ldto + j] += x[r*ldx + j] for r < rows, j < width. to: inout, x: in; rows do not overlap
 * and to and x neither. rows or width may be 0. No scratch. Deterministic. Errors: SYN_ERR_INVALID
 * (sizes), SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_add(syn_ctx *ctx, int64_t rows, int64_t width, real *to,
                                   int64_t ldto, const real *x, int64_t ldx);

/* x (n): inout, times `factor`. n may be 0. No scratch. Errors: SYN_ERR_INVALID (size),
 * SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_scale(syn_ctx *ctx, int64_t n, real factor, real *x);

/* The two sides. Not for other callers. */
__typeof__(syn_add) syn_add_cpu, syn_add_cuda;
__typeof__(syn_scale) syn_scale_cpu, syn_scale_cuda;

#ifdef __cplusplus
}
#endif
#endif
