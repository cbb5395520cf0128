#include "kernels/sample.h"

#include "kernels/base/cpu.h"
#include "kernels/base/rng.h"
#include "kernels/base/softmax.h"

enum { SAMPLE_ROWS = 16 }; /* rows that a thread takes at a time */

static int32_t argmax_legal(int64_t A, const real *logit, const uint8_t *mask)
{
    int32_t best = -1;
    for (int64_t a = 0; a < A; a++)
        if (mask[a] && (best < 0 || logit[a] > logit[best])) best = (int32_t)a;
    return best;
}

/* The last legal action of [start, end) that has weight, else the last legal one, else -1. */
static int32_t last_legal(int64_t start, int64_t end, const real *e, const uint8_t *mask)
{
    int32_t last = -1, last_weighted = -1;
    for (int64_t a = start; a < end; a++) {
        if (!mask[a]) continue;
        last = (int32_t)a;
        if (e[a] > 0) last_weighted = last;
    }
    return last_weighted >= 0 ? last_weighted : last;
}

/* The first action whose cumulative weight exceeds the threshold, in the first run whose end does.
 * Rounding, or a threshold that is not a number, can leave none: then the last one of the run, or
 * of all. */
static int32_t pick(int64_t A, const real *e, const uint8_t *mask, double threshold)
{
    double run[SYN_SAMPLE_RUNS];
    for (int i = 0; i < SYN_SAMPLE_RUNS; i++) {
        run[i] = 0;
        for (int64_t a = syn_sample_run(A, i); a < syn_sample_run(A, i + 1); a++)
            run[i] += (double)e[a];
    }
    for (int step = 1; step < SYN_SAMPLE_RUNS; step *= 2)
        for (int i = SYN_SAMPLE_RUNS - 1; i >= step; i--) run[i] += run[i - step];
    int r = 0;
    while (r < SYN_SAMPLE_RUNS && !(run[r] > threshold)) r++;
    if (r == SYN_SAMPLE_RUNS) return last_legal(0, A, e, mask);
    const int64_t start = syn_sample_run(A, r), end = syn_sample_run(A, r + 1);
    double sum = r ? run[r - 1] : 0;
    for (int64_t a = start; a < end; a++) {
        sum += (double)e[a]; /* 0 where illegal */
        if (mask[a] && sum > threshold) return (int32_t)a;
    }
    const int32_t last = last_legal(start, end, e, mask);
    return last >= 0 ? last : last_legal(0, A, e, mask);
}

syn_status syn_policy_sample(syn_ctx *ctx, int64_t n, int64_t A, const real *logit,
                             const uint8_t *mask, bool greedy, uint64_t seed,
                             const uint64_t *counter, int32_t *action, real *logp, real *entropy,
                             real *prob)
{
    SYN_REQUIRE(n >= 0 && A >= 1 && A <= INT32_MAX, "syn_policy_sample: %lld rows of %lld actions",
                (long long)n, (long long)A);
    SYN_REQUIRE(greedy || counter || n == 0, "syn_policy_sample: a draw needs its counter");
    return SYN_DISPATCH(ctx, syn_policy_sample, n, A, logit, mask, greedy, seed, counter, action,
                        logp, entropy, prob);
}

syn_status syn_policy_sample_cpu(syn_ctx *ctx, int64_t n, int64_t A, const real *logit,
                                 const uint8_t *mask, bool greedy, uint64_t seed,
                                 const uint64_t *counter, int32_t *action, real *logp,
                                 real *entropy, real *prob)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    if (!prob) prob = SYN_SCRATCH(ctx, real, n * A);
    if (!prob) return SYN_ERR_MEMORY;
#pragma omp parallel for num_threads(ctx->threads)                                                 \
    schedule(static, SAMPLE_ROWS) if (n > SAMPLE_ROWS)
    for (int64_t i = 0; i < n; i++) {
        const real *l = logit + i * A;
        const uint8_t *legal = mask + i * A;
        real *e = prob + i * A;
        syn_softmax s = syn_softmax_row(A, l, legal, e);
        int32_t a = -1;
        if (s.legal > 0 && greedy) a = argmax_legal(A, l, legal);
        if (s.legal > 0 && !greedy) {
            float u = syn_rng_unit(syn_rng_block(seed, SYN_STREAM_ACTION, counter[i]).x[0]);
            a = pick(A, e, legal, (double)u * s.sum);
        }
        action[i] = a;
        logp[i] = a < 0 ? 0 : (real)((double)(l[a] - s.max) - s.ln);
        if (entropy) entropy[i] = (real)s.entropy;
        real scale = a < 0 ? 0 : (real)(1 / s.sum);
        for (int64_t k = 0; k < A; k++) e[k] *= scale;
    }
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}
