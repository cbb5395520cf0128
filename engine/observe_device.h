/* Between the parts of the observation's CUDA side. */
#ifndef SYN_ENGINE_OBSERVE_DEVICE_H
#define SYN_ENGINE_OBSERVE_DEVICE_H

#include "engine/observe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills o->turn from the environments. Asynchronous, no scratch. Errors: SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_turn_list_cuda(syn_ctx *ctx, const syn_observer *o,
                                              const syn_env *envs);

/* Items of the agents in env.changed after syn_observe_views, in the order of o->turn's lists:
 * items (capacity, SYN_DI) and bias (capacity) are overwritten as far as the list goes, which is no
 * longer than capacity. Asynchronous, no scratch. Errors: SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_observe_items_cuda(syn_ctx *ctx, const syn_observer *o,
                                                  const syn_tasks *tasks, const syn_env *envs,
                                                  int64_t capacity, real *items, real *bias);

/* Where a list's length stands, in device memory. */
static inline const int32_t *syn_turn_length(const syn_observer *o, syn_turn_list list)
{
    return o->turn.at + list * (o->envs + 1) + o->envs;
}

#ifdef __cplusplus
}
#endif
#endif
