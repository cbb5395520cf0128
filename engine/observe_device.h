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

/* Where a list's length stands, in device memory. */
static inline const int32_t *syn_turn_length(const syn_observer *o, syn_turn_list list)
{
    return o->turn.at + list * (o->envs + 1) + o->envs;
}

#ifdef __cplusplus
}
#endif
#endif
