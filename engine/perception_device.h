/* Between the two sides of the perception's own ops. */
#ifndef SYN_ENGINE_PERCEPTION_DEVICE_H
#define SYN_ENGINE_PERCEPTION_DEVICE_H

#include "engine/perception.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The ablation of the recurrent encoder: ckm (capacity, SYN_CKM) = mean of `in` (rows, SYN_CKM)
 * over each memory, an empty one is `empty` (SYN_CKM). offset (capacity + 1): where memories begin;
 * alpha (rows): overwritten, each item's weight. *live sequences, NULL: all. No scratch. */
SYN_WARN_UNUSED syn_status syn_mean_pool_cpu(syn_ctx *ctx, int64_t capacity, const int32_t *live,
                                             const int32_t *offset, const real *in,
                                             const real *empty, real *alpha, real *ckm);
__typeof__(syn_mean_pool_cpu) syn_mean_pool_cuda;

/* dckm (batch, SYN_CKM): in. din (rows, SYN_CKM) is overwritten, dempty (SYN_CKM) is added to. */
SYN_WARN_UNUSED syn_status syn_mean_pool_backward_cpu(syn_ctx *ctx, const syn_seq *seq,
                                                      const real *dckm, real *din, real *dempty);
__typeof__(syn_mean_pool_backward_cpu) syn_mean_pool_backward_cuda;

/* out[i] = mean over the others j of agent i's team of in[j], (agents, width) both; with
 * `accumulate`, added. Its own transpose but for the sizes, which are equal within a team: the
 * backward pass is the same operation. */
SYN_WARN_UNUSED syn_status syn_others_mean_cpu(syn_ctx *ctx, const syn_team_batch *b, int64_t width,
                                               const real *in, real *out, bool accumulate);
__typeof__(syn_others_mean_cpu) syn_others_mean_cuda;

/* ia, ib (agents + links), overwritten: the rows of the gap detector's first layer. */
SYN_WARN_UNUSED syn_status syn_pair_rows_cpu(syn_ctx *ctx, const syn_team_batch *b, int32_t *ia,
                                             int32_t *ib);
__typeof__(syn_pair_rows_cpu) syn_pair_rows_cuda;

#ifdef __cplusplus
}
#endif
#endif
