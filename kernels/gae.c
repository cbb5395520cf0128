#include "kernels/gae.h"

#include <math.h>

#include "kernels/base/cpu.h"

enum { GAE_COLUMNS = 64 }; /* environments that one thread walks back together */

static void gae_columns(int64_t T, int64_t E, int64_t e0, int64_t e1, const real *reward,
                        const real *value, const uint8_t *done, real gamma, real lambda,
                        real *advantage, real *ret)
{
    real carry[GAE_COLUMNS] = {0};
    for (int64_t t = T - 1; t >= 0; t--) {
        for (int64_t e = e0; e < e1; e++) {
            int64_t i = t * E + e;
            real go = done[i] ? 0 : gamma;
            real delta = reward[i] + go * value[i + E] - value[i];
            real a = delta + go * lambda * carry[e - e0];
            carry[e - e0] = a;
            advantage[i] = a;
            ret[i] = a + value[i];
        }
    }
}

syn_status syn_gae(syn_ctx *ctx, int64_t T, int64_t E, const real *reward, const real *value,
                   const uint8_t *done, real gamma, real lambda, real *advantage, real *ret)
{
    SYN_REQUIRE(T >= 0 && E >= 0, "syn_gae: %lld steps of %lld environments", (long long)T,
                (long long)E);
    return SYN_DISPATCH(ctx, syn_gae, T, E, reward, value, done, gamma, lambda, advantage, ret);
}

syn_status syn_gae_cpu(syn_ctx *ctx, int64_t T, int64_t E, const real *reward, const real *value,
                       const uint8_t *done, real gamma, real lambda, real *advantage, real *ret)
{
    int64_t chunks = syn_chunk_count(E, GAE_COLUMNS);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (T * E > SYN_CPU_CHUNK)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t e0 = c * GAE_COLUMNS;
        gae_columns(T, E, e0, syn_chunk_end(e0, E, GAE_COLUMNS), reward, value, done, gamma, lambda,
                    advantage, ret);
    }
    return SYN_OK;
}

/* sum (x - shift)^power, power 1 or 2. */
static double chunk_sum(int64_t n, const real *x, double shift, int power)
{
    double sum = 0;
    if (power == 1) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) sum += (double)x[i] - shift;
    } else {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) sum += ((double)x[i] - shift) * ((double)x[i] - shift);
    }
    return sum;
}

static double moment(syn_ctx *ctx, int64_t n, const real *x, double shift, int power, double *part)
{
    int64_t chunks = syn_chunk_count(n, SYN_CPU_CHUNK);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t i = c * SYN_CPU_CHUNK;
        part[c] = chunk_sum(syn_chunk_end(i, n, SYN_CPU_CHUNK) - i, x + i, shift, power);
    }
    double sum = 0;
    for (int64_t c = 0; c < chunks; c++) sum += part[c];
    return sum / (double)n;
}

syn_status syn_normalise(syn_ctx *ctx, int64_t n, real *x)
{
    SYN_REQUIRE(n >= 0, "syn_normalise: n is %lld", (long long)n);
    if (n == 0) return SYN_OK;
    return SYN_DISPATCH(ctx, syn_normalise, n, x);
}

syn_status syn_normalise_cpu(syn_ctx *ctx, int64_t n, real *x)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    double *part = SYN_SCRATCH(ctx, double, syn_chunk_count(n, SYN_CPU_CHUNK));
    if (!part) return SYN_ERR_MEMORY;
    double mean = moment(ctx, n, x, 0, 1, part);
    double scale = 1 / (sqrt(moment(ctx, n, x, mean, 2, part)) + 1e-8);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (n > SYN_CPU_CHUNK)
    for (int64_t i = 0; i < n; i++) x[i] = (real)(((double)x[i] - mean) * scale);
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}
