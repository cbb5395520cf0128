/* Matrix product. */
#ifndef SYN_GEMM_H
#define SYN_GEMM_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* C = alpha * op(A) op(B) + beta * C, all row-major; op(X) is X, or its transpose when ta / tb.
 * a: op(A) (m,k), stored with row stride lda (so (k,m) when ta); b: op(B) (k,n), ldb; c (m,n), ldc:
 * overwritten when beta is 0 (what it held is not read), else inout. c may not overlap a or b.
 * Strides are in elements and at least the stored row's width. m, n or k may be 0.
 * Large float products on the CPU go to oneDNN where the build has it; on CUDA all go to cuBLASLt,
 * which multiplies in float, or, with SYN_MATH_MIXED, in TF32 with float sums. What it is to do for
 * a shape is asked once and kept in the context, so that a second call can be captured in a graph.
 * A weight that kernels/packed.h has laid out for the context is multiplied from there.
 * Errors: SYN_ERR_INVALID (sizes, strides, NULL), SYN_ERR_MEMORY (scratch), SYN_ERR_DEVICE.
 * Deterministic for equal inputs and equal ctx->threads. */
SYN_WARN_UNUSED syn_status syn_gemm(syn_ctx *ctx, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                                    real alpha, const real *a, int64_t lda, const real *b,
                                    int64_t ldb, real beta, real *c, int64_t ldc);

/* The two sides. Not for other callers. */
__typeof__(syn_gemm) syn_gemm_cpu, syn_gemm_cuda;

/* On CUDA: C = A B^T + bias (n), which is added to every row. m, n, k > 0.
 * SYN_ERR_UNSUPPORTED where the library cannot do both at once, as with a bias that is not 16-byte
 * aligned. */
SYN_WARN_UNUSED syn_status syn_gemm_bias_cuda(syn_ctx *ctx, int64_t m, int64_t n, int64_t k,
                                              const real *a, int64_t lda, const real *b,
                                              int64_t ldb, const real *bias, real *c, int64_t ldc);

#ifdef __cplusplus
}
#endif
#endif
