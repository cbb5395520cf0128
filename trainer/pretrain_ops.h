/* Phase 1's own work on a batch in device memory, for CUDA alone: the CPU makes its rows as it
 * goes. Asynchronous, no scratch, can be recorded. Errors: SYN_ERR_DEVICE. */
#ifndef SYN_TRAINER_PRETRAIN_OPS_H
#define SYN_TRAINER_PRETRAIN_OPS_H

#include "engine/observe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What ranker or refiner learn from: piece p of environment e of envs (o->envs), as o has seen them
 * by syn_observe_views, is row e R + p (R = SYN_ROWS_MAX) by the view of agent e % its team, and,
 * where the ranker is central, row (o->envs + e) R + p by that of all pieces. The refiner has the
 * first half alone. x (rows, SYN_DX), target (rows), weight (rows): overwritten; pieces that are
 * not there are zeros of weight 0, the others weigh *scale. */
SYN_WARN_UNUSED syn_status syn_judge_rows_cuda(syn_ctx *ctx, const syn_observer *o,
                                               const syn_tasks *tasks, const syn_env *envs,
                                               bool refiner, const real *scale, real *x,
                                               real *target, real *weight);

/* items (n, SYN_DI): inout, (x - mean) * scale by column. */
SYN_WARN_UNUSED syn_status syn_items_standardise_cuda(syn_ctx *ctx, int64_t n, const real *mean,
                                                      const real *scale, real *items);

#ifdef __cplusplus
}
#endif
#endif
