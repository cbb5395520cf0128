/* Advantages of a roll-out. All pointers are on the context's device; bit-equal for any number of
 * threads. Errors: SYN_ERR_INVALID (shape), SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
#ifndef SYN_GAE_H
#define SYN_GAE_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Generalised advantage estimation (Schulman et al. 2016) over T steps of E environments, from the
 * last step back, with c = 1 - done[t]:
 *   delta = reward[t] + gamma * c * value[t+1] - value[t]
 *   advantage[t] = delta + gamma * lambda * c * advantage[t+1];   ret[t] = advantage[t] + value[t]
 * reward (T,E), value (T+1,E), done (T,E), nonzero where the episode ended by that step: in.
 * advantage, ret (T,E): overwritten; advantage may be `reward` itself. No scratch. */
SYN_WARN_UNUSED syn_status syn_gae(syn_ctx *ctx, int64_t T, int64_t E, const real *reward,
                                   const real *value, const uint8_t *done, real gamma, real lambda,
                                   real *advantage, real *ret);

/* x (n): inout, brought to mean 0 and standard deviation 1 (of the population, plus 1e-8). Equal
 * elements all become 0. Sums in double and in a fixed order. */
SYN_WARN_UNUSED syn_status syn_normalise(syn_ctx *ctx, int64_t n, real *x);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_gae) syn_gae_cpu, syn_gae_cuda;
__typeof__(syn_normalise) syn_normalise_cpu, syn_normalise_cuda;

#ifdef __cplusplus
}
#endif
#endif
