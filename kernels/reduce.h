/* Sums in a fixed order. Pointers are on the context's device and do not overlap. Errors:
 * SYN_ERR_INVALID (shape), SYN_ERR_MEMORY, SYN_ERR_DEVICE. Bit-equal for any number of threads. */
#ifndef SYN_REDUCE_H
#define SYN_REDUCE_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y (cols) += the sums over the rows of x (rows, ldx): in. ldx >= cols; rows may be 0. Scratch on
 * CUDA: at most 128 * cols reals. */
SYN_WARN_UNUSED syn_status syn_column_sum(syn_ctx *ctx, int64_t rows, int64_t cols, const real *x,
                                          int64_t ldx, real *y);

/* The two sides. Not for other callers. */
__typeof__(syn_column_sum) syn_column_sum_cpu, syn_column_sum_cuda;

/* The same on CUDA with every row multiplied by its weight (rows); rows of weight 0 are not read.
 */
SYN_WARN_UNUSED syn_status syn_column_sum_weighted_cuda(syn_ctx *ctx, int64_t rows, int64_t cols,
                                                        const real *x, int64_t ldx,
                                                        const real *weight, real *y);

#ifdef __cplusplus
}
#endif
#endif
