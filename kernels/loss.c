#include "kernels/loss.h"

#include <math.h>

#include "kernels/base/cpu.h"
#include "kernels/base/softmax.h"
#include "kernels/base/vecmath.h"
#include "kernels/gemm.h"

enum { BCE_CHUNK = 1024, PPO_ROWS = 64 };

/* Elements [start, end); returns the sum of weight * loss. */
static double bce_chunk(int64_t start, int64_t end, const real *logit, int64_t ld,
                        const real *target, const real *weight, real scale, real *dlogit)
{
    double sum = 0;
    for (int64_t i = start; i < end; i++) {
        real w = weight ? weight[i] : 1;
        real z = w != 0 ? logit[i * ld] : 0;
        real small = syn_exp(z < 0 ? z : -z); /* exp(-|z|): never overflows */
        real sigmoid = (z < 0 ? small : 1) / (1 + small);
        real loss = (z > 0 ? z : 0) - target[i] * z + (real)log1p((double)small);
        dlogit[i * ld] = w != 0 ? scale * w * (sigmoid - target[i]) : 0;
        sum += w != 0 ? (double)(w * loss) : 0;
    }
    return sum;
}

syn_status syn_bce_forward_backward(syn_ctx *ctx, int64_t n, const real *logit, int64_t ld,
                                    const real *target, const real *weight, real scale,
                                    real *dlogit, real *loss)
{
    SYN_REQUIRE(n >= 0 && ld >= 1, "syn_bce_forward_backward: %lld elements, stride %lld",
                (long long)n, (long long)ld);
    return SYN_DISPATCH(ctx, syn_bce_forward_backward, n, logit, ld, target, weight, scale, dlogit,
                        loss);
}

syn_status syn_bce_forward_backward_cpu(syn_ctx *ctx, int64_t n, const real *logit, int64_t ld,
                                        const real *target, const real *weight, real scale,
                                        real *dlogit, real *loss)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int64_t chunks = syn_chunk_count(n, BCE_CHUNK);
    double *part = SYN_SCRATCH(ctx, double, chunks);
    if (!part) return SYN_ERR_MEMORY;
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++)
        part[c] = bce_chunk(c * BCE_CHUNK, syn_chunk_end(c * BCE_CHUNK, n, BCE_CHUNK), logit, ld,
                            target, weight, scale, dlogit);
    double sum = 0;
    for (int64_t c = 0; c < chunks; c++) sum += part[c];
    *loss += (real)(sum * (double)scale);
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}

/* Row i of the scores, already divided by the temperature, becomes scale * (softmax - one at i).
 * Returns the cross-entropy; *hit is 1 where score i is larger than all others. */
static double infonce_row(int64_t n, int64_t i, real scale, real *score, double *hit)
{
    real max = -INFINITY, own = score[i];
    int64_t not_below = 0;
    for (int64_t j = 0; j < n; j++) {
        max = score[j] > max ? score[j] : max;
        not_below += score[j] >= own;
    }
    *hit = not_below == 1;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        score[j] = syn_exp(score[j] - max);
        sum += (double)score[j];
    }
    real to_prob = (real)((double)scale / sum);
    for (int64_t j = 0; j < n; j++) score[j] *= to_prob;
    score[i] -= scale;
    return log(sum) - (double)(own - max);
}

syn_status syn_infonce_forward_backward(syn_ctx *ctx, int64_t n, int64_t D, const real *u,
                                        const real *v, real temperature, real *du, real *dv,
                                        real *loss, real *accuracy)
{
    SYN_REQUIRE(n >= 0 && D >= 1, "syn_infonce_forward_backward: %lld rows of %lld", (long long)n,
                (long long)D);
    SYN_REQUIRE(temperature > 0, "syn_infonce_forward_backward: temperature is %g",
                (double)temperature);
    if (n == 0) return SYN_OK;
    return SYN_DISPATCH(ctx, syn_infonce_forward_backward, n, D, u, v, temperature, du, dv, loss,
                        accuracy);
}

syn_status syn_infonce_forward_backward_cpu(syn_ctx *ctx, int64_t n, int64_t D, const real *u,
                                            const real *v, real temperature, real *du, real *dv,
                                            real *loss, real *accuracy)
{
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *score = SYN_SCRATCH(ctx, real, n * n);
    double *part = SYN_SCRATCH(ctx, double, 2 * n); /* losses, then hits */
    if (!score || !part) goto done;
    SYN_TRY(syn_gemm(ctx, false, true, n, n, D, 1 / temperature, u, D, v, D, 0, score, n));
    real scale = 1 / (real)n;
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (n > 8)
    for (int64_t i = 0; i < n; i++) part[i] = infonce_row(n, i, scale, score + i * n, part + n + i);
    double loss_sum = 0, hits = 0;
    for (int64_t i = 0; i < n; i++) {
        loss_sum += part[i];
        hits += part[n + i];
    }
    *loss += (real)(loss_sum / (double)n);
    *accuracy += (real)(hits / (double)n);
    SYN_TRY(syn_gemm(ctx, false, false, n, D, n, 1 / temperature, score, n, v, D, 0, du, D));
    SYN_TRY(syn_gemm(ctx, true, false, n, D, n, 1 / temperature, score, n, u, D, 0, dv, D));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* One row's loss and the derivative by value. */
static double value_part(const syn_ppo_coef *coef, double v, double v_old, double ret, double *dv)
{
    double error = v - ret, loss = 0.5 * error * error, c = (double)coef->value_clip;
    *dv = error;
    if (c > 0) {
        double step = v - v_old;
        double kept = step < -c ? -c : step > c ? c : step;
        double error_kept = v_old + kept - ret, loss_kept = 0.5 * error_kept * error_kept;
        if (loss_kept > loss) {
            loss = loss_kept;
            *dv = kept == step ? error_kept : 0;
        }
    }
    return loss;
}

/* One row's policy part: adds to stats, overwrites dlogit. Returns policy loss - entropy bonus. */
static double policy_part(const syn_ppo_coef *coef, int64_t A, const real *logit,
                          const uint8_t *mask, int32_t action, double logp_old, double advantage,
                          real scale, real *dlogit, double *stats)
{
    syn_softmax s = syn_softmax_row(A, logit, mask, dlogit);
    if (action < 0 || action >= A || !mask[action]) {
        for (int64_t a = 0; a < A; a++) dlogit[a] = 0;
        return 0;
    }
    double logp = (double)(logit[action] - s.max) - s.ln, ln_ratio = logp - logp_old;
    ln_ratio = ln_ratio < -20 ? -20 : ln_ratio > 20 ? 20 : ln_ratio;
    double ratio = exp(ln_ratio), clip = (double)coef->clip;
    double clipped = ratio < 1 - clip ? 1 - clip : ratio > 1 + clip ? 1 + clip : ratio;
    bool active = ratio * advantage <= clipped * advantage;
    double loss = -(active ? ratio : clipped) * advantage;

    real dlogp = active ? (real)(-ratio * advantage) : 0, bonus = coef->entropy;
    real to_prob = (real)(1 / s.sum), ln_top = (real)(-s.ln) - s.max, entropy = (real)s.entropy;
    for (int64_t a = 0; a < A; a++) {
        real p = dlogit[a] * to_prob;
        real ln_p = mask[a] ? logit[a] + ln_top : 0;
        dlogit[a] = scale * p * (bonus * (ln_p + entropy) - dlogp);
    }
    dlogit[action] += scale * dlogp;

    stats[SYN_PPO_POLICY_LOSS] += loss;
    stats[SYN_PPO_ENTROPY] += s.entropy;
    stats[SYN_PPO_KL] += ratio - 1 - ln_ratio;
    stats[SYN_PPO_CLIP_FRACTION] += fabs(ratio - 1) > clip;
    stats[SYN_PPO_ENTROPY_SHARE] += s.legal > 1 ? s.entropy / log((double)s.legal) : 0;
    return loss - (double)coef->entropy * s.entropy;
}

typedef struct ppo_rows {
    int64_t A;
    const real *logit, *logp_old, *advantage, *value, *value_old, *ret;
    const uint8_t *mask, *valid;
    const int32_t *action;
    const syn_ppo_coef *coef;
    real scale, *dlogit, *dvalue;
} ppo_rows;

static void ppo_row(const ppo_rows *in, int64_t i, double *stats)
{
    real *dlogit = in->dlogit + i * in->A;
    if (in->valid && !in->valid[i]) {
        for (int64_t a = 0; a < in->A; a++) dlogit[a] = 0;
        in->dvalue[i] = 0;
        return;
    }
    double weight = (double)in->coef->value, dv;
    double value_loss =
        value_part(in->coef, (double)in->value[i], in->value_old ? (double)in->value_old[i] : 0,
                   (double)in->ret[i], &dv);
    in->dvalue[i] = (real)((double)in->scale * weight * dv);
    double loss =
        policy_part(in->coef, in->A, in->logit + i * in->A, in->mask + i * in->A, in->action[i],
                    (double)in->logp_old[i], (double)in->advantage[i], in->scale, dlogit, stats);
    stats[SYN_PPO_VALUE_LOSS] += value_loss;
    stats[SYN_PPO_COUNT] += 1;
    stats[SYN_PPO_LOSS] += loss + weight * value_loss;
}

syn_status syn_ppo_loss(syn_ctx *ctx, int64_t n, int64_t A, const real *logit, const uint8_t *mask,
                        const int32_t *action, const real *logp_old, const real *advantage,
                        const real *value, const real *value_old, const real *ret,
                        const uint8_t *valid, const syn_ppo_coef *coef, real scale, real *dlogit,
                        real *dvalue, real *stats)
{
    SYN_REQUIRE(n >= 0 && A >= 1, "syn_ppo_loss: %lld rows of %lld actions", (long long)n,
                (long long)A);
    return SYN_DISPATCH(ctx, syn_ppo_loss, n, A, logit, mask, action, logp_old, advantage, value,
                        value_old, ret, valid, coef, scale, dlogit, dvalue, stats);
}

syn_status syn_ppo_loss_cpu(syn_ctx *ctx, int64_t n, int64_t A, const real *logit,
                            const uint8_t *mask, const int32_t *action, const real *logp_old,
                            const real *advantage, const real *value, const real *value_old,
                            const real *ret, const uint8_t *valid, const syn_ppo_coef *coef,
                            real scale, real *dlogit, real *dvalue, real *stats)
{
    SYN_REQUIRE(value_old || coef->value_clip == 0,
                "syn_ppo_loss: value_clip needs the old values");
    ppo_rows in = {A,    logit, logp_old, advantage, value, value_old, ret,
                   mask, valid, action,   coef,      scale, dlogit,    dvalue};
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int64_t chunks = syn_chunk_count(n, PPO_ROWS);
    int64_t parts = chunks * SYN_PPO_STATS;
    double *part = SYN_SCRATCH(ctx, double, parts);
    if (!part) return SYN_ERR_MEMORY;
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++) {
        double *sum = part + c * SYN_PPO_STATS;
        for (int k = 0; k < SYN_PPO_STATS; k++) sum[k] = 0;
        int64_t end = syn_chunk_end(c * PPO_ROWS, n, PPO_ROWS);
        for (int64_t i = c * PPO_ROWS; i < end; i++) ppo_row(&in, i, sum);
    }
    for (int k = 0; k < SYN_PPO_STATS; k++) {
        double sum = 0;
        for (int64_t c = 0; c < chunks; c++) sum += part[c * SYN_PPO_STATS + k];
        stats[k] += (real)(k == SYN_PPO_COUNT ? sum : sum * (double)scale);
    }
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}
