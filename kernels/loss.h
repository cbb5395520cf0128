/* Losses with their gradients, computed together.
 *
 * All pointers are on the context's device and do not overlap, unless said otherwise. Sums are
 * accumulated (+=) into what the caller has zeroed, gradients are overwritten. Errors:
 * SYN_ERR_INVALID (shape), SYN_ERR_MEMORY for scratch, SYN_ERR_DEVICE. Sums run in a
 * fixed order: bit-equal for any number of threads. */
#ifndef SYN_LOSS_H
#define SYN_LOSS_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Binary cross-entropy on logits: loss_i = softplus(z_i) - target_i * z_i.
 * logit (n), element i at i*ld; target (n) in [0,1], weight (n) or NULL for ones: in.
 * dlogit, element i at i*ld, = scale * weight_i * (sigmoid(z_i) - target_i): overwritten, what lies
 * between the elements is left alone; it may be `logit` itself. loss (1) += scale * sum weight_i *
 * loss_i. An element of weight 0 counts nothing, whatever its logit. */
SYN_WARN_UNUSED syn_status syn_bce_forward_backward(syn_ctx *ctx, int64_t n, const real *logit,
                                                    int64_t ld, const real *target,
                                                    const real *weight, real scale, real *dlogit,
                                                    real *loss);

/* InfoNCE with in-batch negatives (van den Oord et al. 2018): the mean over i of the cross-entropy
 * of softmax_j(u_i . v_j / temperature) against j = i. u, v (n,D): in; the same buffer may be given
 * twice. du, dv (n,D): overwritten. loss (1) += the mean loss. accuracy (1) += the share of rows
 * whose own score is larger than all others. Scratch: n*n + n reals. Its products are syn_gemm's:
 * bit-equal for an equal number of threads. */
SYN_WARN_UNUSED syn_status syn_infonce_forward_backward(syn_ctx *ctx, int64_t n, int64_t D,
                                                        const real *u, const real *v,
                                                        real temperature, real *du, real *dv,
                                                        real *loss, real *accuracy);

/* Read by the kernel on the device, so that a captured graph follows a schedule. */
typedef struct syn_ppo_coef {
    real clip;       /* epsilon */
    real entropy;    /* weight of the entropy bonus */
    real value;      /* weight of the value loss */
    real value_clip; /* 0: the value loss is not clipped */
} syn_ppo_coef;

/* What syn_ppo_loss adds to `stats`. All but the count are multiplied by `scale`. */
enum {
    SYN_PPO_POLICY_LOSS,
    SYN_PPO_VALUE_LOSS, /* without its weight */
    SYN_PPO_ENTROPY,
    SYN_PPO_KL,            /* (ratio - 1) - ln ratio (Schulman 2020), of old from new */
    SYN_PPO_CLIP_FRACTION, /* rows with |ratio - 1| > clip */
    SYN_PPO_ENTROPY_SHARE, /* entropy / ln(legal actions); 0 where only one is legal */
    SYN_PPO_COUNT,         /* rows that counted */
    SYN_PPO_LOSS,          /* the whole: what the gradients are of */
    SYN_PPO_STATS
};

/* PPO's clipped objective (Schulman et al. 2017), with r = exp(logp - logp_old):
 *   policy = -min(r * advantage, clamp(r, 1 - clip, 1 + clip) * advantage)
 *   value  = (v - ret)^2 / 2, or, with value_clip c > 0, the larger of this and
 *            (value_old + clamp(v - value_old, -c, c) - ret)^2 / 2
 *   loss   = scale * sum over rows (policy + coef.value * value - coef.entropy * entropy)
 * logit, mask (n,A), action, logp_old, advantage, value, value_old, ret (n): in; value_old may be
 * NULL where value_clip is 0 (on CUDA: then the value loss is not clipped). valid (n) or NULL: rows
 * with 0 count nothing and get zero gradients. coef (1), on the device. dlogit (n,A), 0 where
 * illegal, and dvalue (n): overwritten. stats (SYN_PPO_STATS): accumulated. A row whose action is
 * -1, or not legal, has its value part alone. ln r is kept within [-20, 20]. Scratch: SYN_PPO_STATS
 * doubles for every 64 rows. */
SYN_WARN_UNUSED syn_status syn_ppo_loss(syn_ctx *ctx, int64_t n, int64_t A, const real *logit,
                                        const uint8_t *mask, const int32_t *action,
                                        const real *logp_old, const real *advantage,
                                        const real *value, const real *value_old, const real *ret,
                                        const uint8_t *valid, const syn_ppo_coef *coef, real scale,
                                        real *dlogit, real *dvalue, real *stats);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_bce_forward_backward) syn_bce_forward_backward_cpu, syn_bce_forward_backward_cuda;
__typeof__(syn_infonce_forward_backward) syn_infonce_forward_backward_cpu,
    syn_infonce_forward_backward_cuda;
__typeof__(syn_ppo_loss) syn_ppo_loss_cpu, syn_ppo_loss_cuda;

#ifdef __cplusplus
}
#endif
#endif
