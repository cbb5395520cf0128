/* Stable sorting of positions by key on CUDA, and sums over positions of equal key: what a
 * deterministic gradient of a gather needs. For .cu files of kernels/. */
#ifndef SYN_KEY_ORDER_H
#define SYN_KEY_ORDER_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* order (n): overwritten with the positions 0..n-1 sorted by key (n), equal keys by position; keys
 * outside [0, bound) come last. spare (n): scratch of the caller. With count not NULL the number of
 * positions is *count, int32 on the device, and n a guess. bound >= 1. A radix sort over digits of
 * eight bits: three launches for each. Scratch: at most 128 KiB. */
SYN_WARN_UNUSED syn_status syn_key_order_cuda(syn_ctx *ctx, int64_t n, const int32_t *count,
                                              const int32_t *key, int64_t bound, int32_t *order,
                                              int32_t *spare);

/* to[key[p]] += weight[p] * x[owner[p]] over all positions p, in the order of `order` (as above);
 * x (any, D), to (bound, D). weight NULL: ones; owner NULL: p itself. Keys outside [0, bound) count
 * nothing. One warp for each key. */
SYN_WARN_UNUSED syn_status syn_key_sum_cuda(syn_ctx *ctx, int64_t n, const int32_t *count,
                                            const int32_t *key, int64_t bound, const int32_t *order,
                                            const real *weight, const int32_t *owner, int64_t D,
                                            const real *x, real *to);

#ifdef __cplusplus
}
#endif
#endif
