/* The finetuning's own work on a roll-out's states in device memory, for CUDA alone. Asynchronous,
 * no scratch. Errors: SYN_ERR_DEVICE. */
#ifndef SYN_TRAINER_FINETUNE_OPS_H
#define SYN_TRAINER_FINETUNE_OPS_H

#include "trainer/gap_batch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How much the environments of one turn hold: all agents, and those that have changed. */
typedef struct syn_turn_size {
    int32_t agents, links, items, longest;
    int32_t changed, changed_items;
} syn_turn_size;

/* size (turns): overwritten; seen (turns, E). */
SYN_WARN_UNUSED syn_status syn_turn_sizes_cuda(syn_ctx *ctx, int64_t turns, int64_t E,
                                               const syn_env *seen, syn_turn_size *size);

/* A vector is read from the turn in which it is made until its agent changes, as all do when an
 * episode begins: its gradient is the sum over these turns, and comes to stand in the first. seen
 * (T, E); dckm (T, E, SYN_AGENTS_MAX, SYN_CKM): inout. */
SYN_WARN_UNUSED syn_status syn_sum_over_turns_cuda(syn_ctx *ctx, int64_t T, int64_t E,
                                                   const syn_env *seen, real *dckm);

/* Of the agents that changed in a turn, as o has seen envs (o->envs) by syn_observe_views: their
 * items x (SYN_DI each) and bias, where they begin, offset (shape->agents + 1), and their vectors'
 * gradients, d (shape->agents, SYN_CKM), from dckm (o->envs, SYN_AGENTS_MAX, SYN_CKM). What fills
 * the shape up is zero. */
SYN_WARN_UNUSED syn_status syn_flow_rows_cuda(syn_ctx *ctx, const syn_observer *o,
                                              const syn_tasks *tasks, const syn_env *envs,
                                              const syn_gap_shape *shape, const real *dckm,
                                              int32_t *offset, real *x, real *bias, real *d);

#ifdef __cplusplus
}
#endif
#endif
