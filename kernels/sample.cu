#include "kernels/sample.h"

#include "kernels/base/rng.h"
#include "kernels/softmax.cuh"

enum { ROWS = 4 /* of a block: one for each warp */, THREADS = ROWS * SYN_WARP };

/* What the lowest lane that has an action (>= 0) has; -1 where none has. */
static __device__ __forceinline__ int first_of(int action)
{
    const unsigned have = __ballot_sync(SYN_ALL_LANES, action >= 0);
    const int lane = have ? __ffs(have) - 1 : 0;
    return __shfl_sync(SYN_ALL_LANES, action, lane);
}

/* One pass over all actions takes the first legal one, whatever it is, and then what is larger: a
 * NaN stays where it comes first, and is passed over elsewhere. */
static __device__ int argmax_legal(int64_t A, const float *logit, const uint8_t *mask)
{
    const int lane = threadIdx.x % SYN_WARP;
    int best = -1, first = -1;
    float top = 0;
    for (int64_t a = syn_sample_run(A, lane); a < syn_sample_run(A, lane + 1); a++) {
        if (!mask[a]) continue;
        if (first < 0) first = (int)a;
        if (best < 0 || logit[a] > top || isnan(top)) best = (int)a, top = logit[a];
    }
    first = first_of(first);
    if (isnan(logit[first])) return first;
    /* Lanes are in the order of the actions: of equal ones the lower stays. */
    for (int step = 1; step < SYN_WARP; step *= 2) {
        const int other = __shfl_down_sync(SYN_ALL_LANES, best, step);
        const float other_top = __shfl_down_sync(SYN_ALL_LANES, top, step);
        if (lane % (2 * step) == 0 && other >= 0 && (best < 0 || other_top > top || isnan(top)))
            best = other, top = other_top;
    }
    return __shfl_sync(SYN_ALL_LANES, best, 0);
}

/* As last_legal of sample.c over the runs of those lanes that take part. */
static __device__ int last_legal(int64_t A, const float *logit, const uint8_t *mask, float max,
                                 bool part)
{
    const int lane = threadIdx.x % SYN_WARP;
    const int64_t end = part ? syn_sample_run(A, lane + 1) : 0;
    int last = -1, weighted = -1;
    for (int64_t a = syn_sample_run(A, lane); a < end; a++) {
        if (!mask[a]) continue;
        last = (int)a;
        if (syn_softmax_weight(logit, mask, a, max) > 0) weighted = last;
    }
    for (int half = SYN_WARP / 2; half; half /= 2) {
        const int other = __shfl_xor_sync(SYN_ALL_LANES, last, half);
        const int other_weighted = __shfl_xor_sync(SYN_ALL_LANES, weighted, half);
        last = other > last ? other : last;
        weighted = other_weighted > weighted ? other_weighted : weighted;
    }
    return weighted >= 0 ? weighted : last;
}

/* As `pick` of sample.c, a run for each lane. */
static __device__ int pick(int64_t A, const float *logit, const uint8_t *mask, float max,
                           double threshold)
{
    const int lane = threadIdx.x % SYN_WARP;
    const int64_t start = syn_sample_run(A, lane), end = syn_sample_run(A, lane + 1);
    double run = 0;
    for (int64_t a = start; a < end; a++) run += (double)syn_softmax_weight(logit, mask, a, max);
    for (int step = 1; step < SYN_WARP; step *= 2) {
        const double before = __shfl_up_sync(SYN_ALL_LANES, run, step);
        if (lane >= step) run += before;
    }
    double sum = __shfl_up_sync(SYN_ALL_LANES, run, 1);
    if (lane == 0) sum = 0;
    const unsigned above = __ballot_sync(SYN_ALL_LANES, run > threshold);
    const bool mine = above && lane == __ffs(above) - 1;
    int hit = -1;
    for (int64_t a = start; mine && a < end && hit < 0; a++) {
        sum += (double)syn_softmax_weight(logit, mask, a, max);
        if (mask[a] && sum > threshold) hit = (int)a;
    }
    hit = first_of(hit);
    if (hit < 0 && above) hit = last_legal(A, logit, mask, max, mine);
    return hit >= 0 ? hit : last_legal(A, logit, mask, max, true);
}

typedef struct sampling {
    int64_t n, A;
    const float *logit;
    const uint8_t *mask;
    bool greedy;
    uint64_t seed;
    const uint64_t *counter;
    int32_t *action;
    float *logp, *entropy, *prob;
} sampling;

static __global__ __launch_bounds__(THREADS, 8) void sample_kernel(sampling in)
{
    const int64_t i = (int64_t)blockIdx.x * ROWS + threadIdx.x / SYN_WARP, A = in.A;
    const int lane = threadIdx.x % SYN_WARP;
    if (i >= in.n) return;
    const float *logit = in.logit + i * A;
    const uint8_t *mask = in.mask + i * A;
    const syn_softmax s = syn_softmax_warp(A, logit, mask);
    int a = -1;
    if (s.legal > 0 && in.greedy) a = argmax_legal(A, logit, mask);
    if (s.legal > 0 && !in.greedy) {
        const float u = syn_rng_unit(syn_rng_block(in.seed, SYN_STREAM_ACTION, in.counter[i]).x[0]);
        a = pick(A, logit, mask, s.max, (double)u * s.sum);
    }
    if (lane == 0) {
        in.action[i] = a;
        in.logp[i] = a < 0 ? 0 : (float)((double)(logit[a] - s.max) - s.ln);
        if (in.entropy) in.entropy[i] = (float)s.entropy;
    }
    if (!in.prob) return;
    const float scale = a < 0 ? 0 : (float)(1 / s.sum);
    for (int64_t k = lane; k < A; k += SYN_WARP)
        in.prob[i * A + k] = syn_softmax_weight(logit, mask, k, s.max) * scale;
}

extern "C" syn_status syn_policy_sample_cuda(syn_ctx *ctx, int64_t n, int64_t A, const float *logit,
                                             const uint8_t *mask, bool greedy, uint64_t seed,
                                             const uint64_t *counter, int32_t *action, float *logp,
                                             float *entropy, float *prob)
{
    if (n == 0) return SYN_OK;
    const sampling in = {n, A, logit, mask, greedy, seed, counter, action, logp, entropy, prob};
    SYN_LAUNCH(ctx, sample_kernel, syn_blocks(n, ROWS), THREADS, 0, in);
    SYN_LAUNCH_CHECK(ctx, "drawing of actions");
    return SYN_OK;
}
