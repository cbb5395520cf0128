/* Embedding bags: the weighted sum of table rows, brought to length one.
 *
 *   s_n = sum_k weight_k * table[id_k], k in [offset[n], offset[n+1]);   y_n = s_n / |s_n|
 *
 * An empty bag, or one whose sum is zero, gives zeros. All pointers are on the context's device and
 * do not overlap. Bit-equal for any number of threads. Errors: SYN_ERR_MEMORY for
 * scratch, SYN_ERR_DEVICE; what else is named at the function. */
#ifndef SYN_EMBEDDING_H
#define SYN_EMBEDDING_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* offset (n+1) ascending from 0, id (count) in [0, V), weight (count), table (V,D): in, where count
 * is offset[n]. y (n,D) and norm (n) = |s_n|: overwritten, kept for the backward pass. */
SYN_WARN_UNUSED syn_status syn_embedding_bag_forward(syn_ctx *ctx, int64_t n, int64_t D,
                                                     const int32_t *offset, const int32_t *id,
                                                     const real *weight, const real *table, real *y,
                                                     real *norm);

/* The fixed order in which a backward pass sums: order (count), the positions k sorted by id, equal
 * ids by k; owner (count), the bag of position k. Both overwritten. Scratch: V+1 int32.
 * Errors: SYN_ERR_INVALID for an id outside [0, V) or offsets that do not ascend from 0; on CUDA
 * neither is looked for, and ids outside come last and get no gradient. */
SYN_WARN_UNUSED syn_status syn_embedding_bag_plan(syn_ctx *ctx, int64_t n, const int32_t *offset,
                                                  const int32_t *id, int64_t V, int32_t *order,
                                                  int32_t *owner);

/* y, norm as the forward pass left them; dy (n,D): in. dtable (V,D): accumulated (+=); only rows
 * that occur in `id` are touched. The weights get no gradient. order, owner from
 * syn_embedding_bag_plan. Scratch: n*D reals. */
SYN_WARN_UNUSED syn_status syn_embedding_bag_backward(syn_ctx *ctx, int64_t n, int64_t D,
                                                      const int32_t *offset, const int32_t *id,
                                                      const real *weight, const real *y,
                                                      const real *norm, const real *dy, int64_t V,
                                                      real *dtable, const int32_t *order,
                                                      const int32_t *owner);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_embedding_bag_forward) syn_embedding_bag_forward_cpu, syn_embedding_bag_forward_cuda;
__typeof__(syn_embedding_bag_plan) syn_embedding_bag_plan_cpu, syn_embedding_bag_plan_cuda;
__typeof__(syn_embedding_bag_backward) syn_embedding_bag_backward_cpu,
    syn_embedding_bag_backward_cuda;

#ifdef __cplusplus
}
#endif
#endif
