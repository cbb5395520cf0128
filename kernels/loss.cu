#include "kernels/loss.h"

#include "kernels/gemm.h"
#include "kernels/softmax.cuh"

enum { THREADS = 256, WARPS = THREADS / SYN_WARP, CHUNK = 1024, CHUNKS_MAX = 1024, PPO_ROWS = 64 };

/* to[k] += factor * the sum over the parts (parts, count), k < count, without the factor where k is
 * `bare`: one block for each k. */
static __global__ void add_kernel(int64_t parts, int count, const double *part, double factor,
                                  int bare, float *to)
{
    __shared__ double shared[WARPS];
    double sum = 0;
    for (int64_t i = threadIdx.x; i < parts; i += THREADS) sum += part[i * count + blockIdx.x];
    sum = syn_block_sum<THREADS>(sum, shared);
    if (threadIdx.x == 0) to[blockIdx.x] += (float)((int)blockIdx.x == bare ? sum : sum * factor);
}

typedef struct bce {
    int64_t n, ld;
    const float *logit, *target, *weight;
    float scale, *dlogit;
} bce;

static __global__ void bce_kernel(bce in, double *part)
{
    __shared__ double shared[WARPS];
    double sum = 0;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < in.n;
         i += (int64_t)gridDim.x * THREADS) {
        const float w = in.weight ? in.weight[i] : 1;
        const float z = w != 0 ? in.logit[i * in.ld] : 0;
        const float small = syn_exp(z < 0 ? z : -z); /* exp(-|z|): never overflows */
        const float sigmoid = (z < 0 ? small : 1) / (1 + small);
        const float loss = (z > 0 ? z : 0) - in.target[i] * z + (float)log1p((double)small);
        in.dlogit[i * in.ld] = w != 0 ? in.scale * w * (sigmoid - in.target[i]) : 0;
        sum += w != 0 ? (double)(w * loss) : 0;
    }
    sum = syn_block_sum<THREADS>(sum, shared);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

extern "C" syn_status syn_bce_forward_backward_cuda(syn_ctx *ctx, int64_t n, const float *logit,
                                                    int64_t ld, const float *target,
                                                    const float *weight, float scale, float *dlogit,
                                                    float *loss)
{
    if (n == 0) return SYN_OK;
    const bce in = {n, ld, logit, target, weight, scale, dlogit};
    const int64_t chunks = (n + CHUNK - 1) / CHUNK;
    const int blocks = (int)(chunks < CHUNKS_MAX ? chunks : CHUNKS_MAX);
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    double *part = SYN_SCRATCH(ctx, double, blocks);
    if (!part) goto done;
    SYN_LAUNCH(ctx, bce_kernel, blocks, THREADS, 0, in, part);
    SYN_TRY(syn_cuda_check(ctx, "cross-entropy", __FILE__, __LINE__));
    SYN_LAUNCH(ctx, add_kernel, 1, THREADS, 0, (int64_t)blocks, 1, (const double *)part,
               (double)scale, -1, loss);
    SYN_TRY(syn_cuda_check(ctx, "cross-entropy", __FILE__, __LINE__));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* Block i turns row i of the scores into scale * (softmax - one at i). */
static __global__ void infonce_kernel(int64_t n, float scale, float *scores, double *loss,
                                      double *hit)
{
    __shared__ double shared[WARPS];
    __shared__ float shared_top[WARPS];
    const int64_t i = blockIdx.x;
    float *score = scores + i * n;
    const float own = score[i];
    float top = -INFINITY;
    double not_below = 0;
    for (int64_t j = threadIdx.x; j < n; j += THREADS) {
        top = score[j] > top ? score[j] : top;
        not_below += score[j] >= own;
    }
    for (int half = SYN_WARP / 2; half; half /= 2) {
        const float other = __shfl_xor_sync(SYN_ALL_LANES, top, half);
        top = other > top ? other : top;
    }
    if (threadIdx.x % SYN_WARP == 0) shared_top[threadIdx.x / SYN_WARP] = top;
    not_below = syn_block_sum<THREADS>(not_below, shared); /* a barrier: shared_top is written */
    for (int w = 0; w < WARPS; w++) top = shared_top[w] > top ? shared_top[w] : top;
    double sum = 0;
    for (int64_t j = threadIdx.x; j < n; j += THREADS) {
        score[j] = syn_exp(score[j] - top);
        sum += (double)score[j];
    }
    sum = syn_block_sum<THREADS>(sum, shared);
    const float to_prob = (float)((double)scale / sum);
    for (int64_t j = threadIdx.x; j < n; j += THREADS)
        score[j] = score[j] * to_prob - (j == i ? scale : 0);
    if (threadIdx.x != 0) return;
    loss[i] = log(sum) - (double)(own - top);
    hit[i] = not_below == 1;
}

extern "C" syn_status syn_infonce_forward_backward_cuda(syn_ctx *ctx, int64_t n, int64_t D,
                                                        const float *u, const float *v,
                                                        float temperature, float *du, float *dv,
                                                        float *loss, float *accuracy)
{
    const float scale = 1 / (float)n, sharpness = 1 / temperature;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    float *score = SYN_SCRATCH(ctx, float, n *n);
    double *part = SYN_SCRATCH(ctx, double, 2 * n); /* losses, then hits */
    if (!score || !part) goto done;
    SYN_TRY(syn_gemm(ctx, false, true, n, n, D, sharpness, u, D, v, D, 0, score, n));
    SYN_LAUNCH(ctx, infonce_kernel, (unsigned)n, THREADS, 0, n, scale, score, part, part + n);
    SYN_TRY(syn_cuda_check(ctx, "InfoNCE", __FILE__, __LINE__));
    SYN_LAUNCH(ctx, add_kernel, 1, THREADS, 0, n, 1, (const double *)part, 1 / (double)n, -1, loss);
    SYN_TRY(syn_cuda_check(ctx, "InfoNCE", __FILE__, __LINE__));
    SYN_LAUNCH(ctx, add_kernel, 1, THREADS, 0, n, 1, (const double *)(part + n), 1 / (double)n, -1,
               accuracy);
    SYN_TRY(syn_cuda_check(ctx, "InfoNCE", __FILE__, __LINE__));
    SYN_TRY(syn_gemm(ctx, false, false, n, D, n, sharpness, score, n, v, D, 0, du, D));
    SYN_TRY(syn_gemm(ctx, true, false, n, D, n, sharpness, score, n, u, D, 0, dv, D));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

typedef struct ppo {
    int64_t n, A;
    const float *logit, *logp_old, *advantage, *value, *value_old, *ret;
    const uint8_t *mask, *valid;
    const int32_t *action;
    const syn_ppo_coef *coef;
    float scale, *dlogit, *dvalue;
} ppo;

static __device__ double value_part(const syn_ppo_coef &coef, double v, const float *v_old,
                                    double ret, double *dv)
{
    const double error = v - ret, loss = 0.5 * error * error, c = (double)coef.value_clip;
    *dv = error;
    if (!(c > 0) || !v_old) return loss;
    const double step = v - (double)*v_old, kept = step < -c ? -c : step > c ? c : step;
    const double error_kept = (double)*v_old + kept - ret;
    const double loss_kept = 0.5 * error_kept * error_kept;
    if (!(loss_kept > loss)) return loss;
    *dv = kept == step ? error_kept : 0;
    return loss_kept;
}

/* As policy_part of loss.c, by a warp: adds to stats, overwrites row i of dlogit. */
static __device__ double policy_part(const ppo &in, const syn_ppo_coef &coef, int64_t i,
                                     double *stats)
{
    const int lane = threadIdx.x % SYN_WARP;
    const float *logit = in.logit + i * in.A;
    const uint8_t *mask = in.mask + i * in.A;
    const int32_t action = in.action[i];
    const double advantage = (double)in.advantage[i];
    const bool taken = action >= 0 && action < in.A && mask[action];
    const syn_softmax s = syn_softmax_warp(in.A, logit, mask);
    const double logp = taken ? (double)(logit[action] - s.max) - s.ln : 0;
    double ln_ratio = logp - (double)in.logp_old[i], clip = (double)coef.clip;
    ln_ratio = ln_ratio < -20 ? -20 : ln_ratio > 20 ? 20 : ln_ratio;
    const double ratio = exp(ln_ratio);
    const double clipped = ratio < 1 - clip ? 1 - clip : ratio > 1 + clip ? 1 + clip : ratio;
    const bool active = ratio * advantage <= clipped * advantage;
    const float dlogp = active ? (float)(-ratio * advantage) : 0;
    const float to_prob = (float)(1 / s.sum), ln_top = (float)(-s.ln) - s.max;
    const float entropy = (float)s.entropy;
    for (int64_t a = lane; a < in.A; a += SYN_WARP) {
        const float p = syn_softmax_weight(logit, mask, a, s.max) * to_prob;
        const float ln_p = mask[a] ? logit[a] + ln_top : 0;
        const float d = in.scale * p * (coef.entropy * (ln_p + entropy) - dlogp);
        in.dlogit[i * in.A + a] = taken ? d + (a == action ? in.scale * dlogp : 0) : 0;
    }
    if (!taken) return 0;
    const double loss = -(active ? ratio : clipped) * advantage;
    stats[SYN_PPO_POLICY_LOSS] += loss;
    stats[SYN_PPO_ENTROPY] += s.entropy;
    stats[SYN_PPO_KL] += ratio - 1 - ln_ratio;
    stats[SYN_PPO_CLIP_FRACTION] += fabs(ratio - 1) > clip;
    stats[SYN_PPO_ENTROPY_SHARE] += s.legal > 1 ? s.entropy / log((double)s.legal) : 0;
    return loss - (double)coef.entropy * s.entropy;
}

static __device__ void ppo_row(const ppo &in, const syn_ppo_coef &coef, int64_t i, double *stats)
{
    const int lane = threadIdx.x % SYN_WARP;
    if (in.valid && !in.valid[i]) {
        for (int64_t a = lane; a < in.A; a += SYN_WARP) in.dlogit[i * in.A + a] = 0;
        if (lane == 0) in.dvalue[i] = 0;
        return;
    }
    double dv;
    const double value = value_part(coef, (double)in.value[i],
                                    in.value_old ? in.value_old + i : NULL, (double)in.ret[i], &dv);
    const double loss = policy_part(in, coef, i, stats);
    if (lane == 0) in.dvalue[i] = (float)((double)in.scale * (double)coef.value * dv);
    stats[SYN_PPO_VALUE_LOSS] += value;
    stats[SYN_PPO_COUNT] += 1;
    stats[SYN_PPO_LOSS] += loss + (double)coef.value * value;
}

/* A warp takes every WARPS-th row of its block's PPO_ROWS; all lanes keep the same sums. */
static __global__ __launch_bounds__(THREADS, 2) void ppo_kernel(ppo in, double *part)
{
    __shared__ double shared[WARPS][SYN_PPO_STATS];
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const syn_ppo_coef coef = *in.coef;
    double stats[SYN_PPO_STATS] = {};
    for (int r = warp; r < PPO_ROWS; r += WARPS) {
        const int64_t i = (int64_t)blockIdx.x * PPO_ROWS + r;
        if (i < in.n) ppo_row(in, coef, i, stats);
    }
    for (int k = 0; k < SYN_PPO_STATS; k++)
        if (lane == 0) shared[warp][k] = stats[k];
    __syncthreads();
    if (threadIdx.x >= SYN_PPO_STATS) return;
    double sum = 0;
    for (int w = 0; w < WARPS; w++) sum += shared[w][threadIdx.x];
    part[(int64_t)blockIdx.x * SYN_PPO_STATS + threadIdx.x] = sum;
}

extern "C" syn_status syn_ppo_loss_cuda(syn_ctx *ctx, int64_t n, int64_t A, const float *logit,
                                        const uint8_t *mask, const int32_t *action,
                                        const float *logp_old, const float *advantage,
                                        const float *value, const float *value_old,
                                        const float *ret, const uint8_t *valid,
                                        const syn_ppo_coef *coef, float scale, float *dlogit,
                                        float *dvalue, float *stats)
{
    if (n == 0) return SYN_OK;
    const ppo in = {n,    A,     logit,  logp_old, advantage, value,  value_old, ret,
                    mask, valid, action, coef,     scale,     dlogit, dvalue};
    const int64_t blocks = (n + PPO_ROWS - 1) / PPO_ROWS;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    double *part = SYN_SCRATCH(ctx, double, blocks *SYN_PPO_STATS);
    if (!part) goto done;
    SYN_LAUNCH(ctx, ppo_kernel, (unsigned)blocks, THREADS, 0, in, part);
    SYN_TRY(syn_cuda_check(ctx, "PPO loss", __FILE__, __LINE__));
    SYN_LAUNCH(ctx, add_kernel, SYN_PPO_STATS, THREADS, 0, blocks, (int)SYN_PPO_STATS,
               (const double *)part, (double)scale, (int)SYN_PPO_COUNT, stats);
    SYN_TRY(syn_cuda_check(ctx, "PPO loss", __FILE__, __LINE__));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
