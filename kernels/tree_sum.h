/* The sum of R rows by a fixed binary tree, so that its bits do not depend on who adds them. */
#ifndef SYN_TREE_SUM_H
#define SYN_TREE_SUM_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_TREE_ROWS_MAX = 1024 };

/* x (R, n), inout: row 0 becomes ((x0+x1)+(x2+x3))+..., the others keep their values. R in
 * [1, SYN_TREE_ROWS_MAX]; where it is no power of two, with p the largest below it, the first R-p
 * pairs of rows are added first and count as one row each: (x0+x1)+x2. Async on ctx->stream, no
 * scratch, the same bits on the CPU and on CUDA, but for denormals, which the CPU flushes. Errors:
 * SYN_ERR_INVALID (R, n < 0). */
SYN_WARN_UNUSED syn_status syn_tree_sum(syn_ctx *ctx, real *x, int64_t R, int64_t n);
SYN_WARN_UNUSED syn_status syn_tree_sum_cpu(syn_ctx *ctx, real *x, int64_t R, int64_t n);
SYN_WARN_UNUSED syn_status syn_tree_sum_cuda(syn_ctx *ctx, real *x, int64_t R, int64_t n);

#ifdef __cplusplus
}
#endif

#ifdef __CUDACC__
#    define SYN_TREE_INLINE static inline __host__ __device__
#else
#    define SYN_TREE_INLINE static inline
#endif

/* The sum of R numbers that lie `stride` apart. Finished subtrees wait on a stack, as the bits of
 * a counter wait for a carry. */
SYN_TREE_INLINE real syn_tree_sum_strided(const real *x, int64_t R, int64_t stride)
{
    real waiting[12];
    int64_t p = 1, row = 0;
    int depth = 0;
    while (2 * p <= R) p *= 2;
    for (int64_t leaf = 0; leaf < p; leaf++) {
        real sum = x[row++ * stride];
        if (leaf < R - p) sum += x[row++ * stride];
        for (int64_t carry = leaf; carry & 1; carry >>= 1) sum = waiting[--depth] + sum;
        waiting[depth++] = sum;
    }
    return waiting[0];
}

#endif
