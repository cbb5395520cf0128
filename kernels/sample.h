/* Masked softmax over the legal actions, and one draw from it. */
#ifndef SYN_SAMPLE_H
#define SYN_SAMPLE_H

#include "kernels/base/ctx.h"
#include "kernels/base/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For each of n rows: p_a = exp(logit_a) / sum over legal; an action is legal where mask is not 0.
 * logit (n,A), mask (n,A), counter (n): in. action (n), logp (n) = ln p_action: overwritten; so are
 * entropy (n) = -sum p ln p and prob (n,A), 0 where illegal, either of which may be NULL.
 *
 * The draw of row i is u = syn_rng_unit(syn_rng_block(seed, SYN_STREAM_ACTION, counter[i]).x[0]);
 * the action is the first legal one whose cumulative probability exceeds u. Greedy: the first legal
 * action of the largest logit; seed and counter are not used, counter may be NULL. No legal action:
 * action -1, logp, entropy and prob 0. An action that is drawn is always legal, whatever the
 * logits; logits that are not finite give a logp that is not finite.
 *
 * Each row is computed by itself: bit-equal for any number of threads. Scratch: n*A reals where
 * prob is NULL. Errors: SYN_ERR_INVALID (shape), SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_policy_sample(syn_ctx *ctx, int64_t n, int64_t A, const real *logit,
                                             const uint8_t *mask, bool greedy, uint64_t seed,
                                             const uint64_t *counter, int32_t *action, real *logp,
                                             real *entropy, real *prob);

/* The order in which a draw adds weights up: the actions are cut into SYN_SAMPLE_RUNS runs of equal
 * length, one for each lane of a warp; each is summed from its first action to its last, and what
 * lies before a run is added by doubling distances. Run i of A actions starts here. */
enum { SYN_SAMPLE_RUNS = 32 };
SYN_HD int64_t syn_sample_run(int64_t A, int i)
{
    const int64_t start = i * ((A + SYN_SAMPLE_RUNS - 1) / SYN_SAMPLE_RUNS);
    return start < A ? start : A;
}

/* The two sides. Not for other callers. */
__typeof__(syn_policy_sample) syn_policy_sample_cpu, syn_policy_sample_cuda;

#ifdef __cplusplus
}
#endif
#endif
