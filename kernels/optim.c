#include "kernels/optim.h"

#include <math.h>

#include "kernels/base/cpu.h"

static double square_sum(int64_t n, const real *g)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double)g[i] * (double)g[i];
    return sum;
}

syn_status syn_grad_norm(syn_ctx *ctx, int64_t n, const real *g, real *norm)
{
    SYN_REQUIRE(n >= 0, "syn_grad_norm: n is %lld", (long long)n);
    return SYN_DISPATCH(ctx, syn_grad_norm, n, g, norm);
}

syn_status syn_grad_norm_cpu(syn_ctx *ctx, int64_t n, const real *g, real *norm)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int64_t chunks = syn_chunk_count(n, SYN_CPU_CHUNK);
    double *part = SYN_SCRATCH(ctx, double, chunks);
    if (!part) return SYN_ERR_MEMORY;
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t start = c * SYN_CPU_CHUNK;
        part[c] = square_sum(syn_chunk_end(start, n, SYN_CPU_CHUNK) - start, g + start);
    }
    double sum = 0;
    for (int64_t c = 0; c < chunks; c++) sum += part[c];
    *norm = (real)sqrt(sum);
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}

syn_status syn_adam_scalars_init(syn_adam_scalars *s, real lr, real beta1, real beta2, real eps,
                                 real weight_decay, int64_t step, real max_grad_norm)
{
    SYN_REQUIRE(step >= 1, "AdamW: step is %lld, the first is 1", (long long)step);
    SYN_REQUIRE(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1,
                "AdamW: beta1 and beta2 are %g and %g, allowed is [0, 1)", (double)beta1,
                (double)beta2);
    s->beta1 = beta1;
    s->beta2 = beta2;
    s->rate = (real)((double)lr / (1 - pow(beta1, (double)step)));
    s->root = (real)(1 / sqrt(1 - pow(beta2, (double)step)));
    s->eps = eps;
    s->decay = lr * weight_decay;
    s->max_grad_norm = max_grad_norm;
    return SYN_OK;
}

/* Not inlined, so that every chunk runs the same instructions whatever calls it. */
__attribute__((noinline)) static void adam_apply(const syn_adam_scalars *scalars, real scale,
                                                 int64_t n, real *restrict p,
                                                 const real *restrict g, real *restrict m,
                                                 real *restrict v)
{
    const syn_adam_scalars s = *scalars;
    for (int64_t i = 0; i < n; i++) {
        real h = scale * g[i];
        real mi = s.beta1 * m[i] + (1 - s.beta1) * h;
        real vi = s.beta2 * v[i] + (1 - s.beta2) * h * h;
        real root = sizeof(real) == sizeof(float) ? (real)sqrtf((float)vi) : (real)sqrt((double)vi);
        m[i] = mi;
        v[i] = vi;
        p[i] -= s.rate * mi / (root * s.root + s.eps) + s.decay * p[i];
    }
}

syn_status syn_adam_all_cpu(syn_ctx *ctx, const syn_adam_scalars *s, real scale, int64_t n, real *p,
                            const real *g, real *m, real *v)
{
    int64_t chunks = syn_chunk_count(n, SYN_CPU_CHUNK);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t i = c * SYN_CPU_CHUNK;
        adam_apply(s, scale, syn_chunk_end(i, n, SYN_CPU_CHUNK) - i, p + i, g + i, m + i, v + i);
    }
    return SYN_OK;
}

syn_status syn_adamw(syn_ctx *ctx, int64_t n, real *p, const real *g, real *m, real *v, real lr,
                     real beta1, real beta2, real eps, real weight_decay, int64_t step,
                     real grad_scale)
{
    SYN_REQUIRE(n >= 0, "syn_adamw: n is %lld", (long long)n);
    syn_adam_scalars s;
    SYN_RETURN_IF(syn_adam_scalars_init(&s, lr, beta1, beta2, eps, weight_decay, step, 0));
    return SYN_DISPATCH(ctx, syn_adam_all, &s, grad_scale, n, p, g, m, v);
}

syn_status syn_adam_rows_cpu(syn_ctx *ctx, const syn_adam_scalars *s, real scale, int64_t count,
                             const int32_t *row, int64_t D, real *p, const real *g, real *m,
                             real *v)
{
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (count * D > SYN_CPU_CHUNK)
    for (int64_t r = 0; r < count; r++) {
        int64_t i = row[r] * D;
        adam_apply(s, scale, D, p + i, g + i, m + i, v + i);
    }
    return SYN_OK;
}

syn_status syn_adamw_rows(syn_ctx *ctx, int64_t count, const int32_t *row, int64_t D, real *p,
                          const real *g, real *m, real *v, real lr, real beta1, real beta2,
                          real eps, real weight_decay, int64_t step, real grad_scale)
{
    SYN_REQUIRE(count >= 0 && D >= 1, "syn_adamw_rows: %lld rows of %lld", (long long)count,
                (long long)D);
    syn_adam_scalars s;
    SYN_RETURN_IF(syn_adam_scalars_init(&s, lr, beta1, beta2, eps, weight_decay, step, 0));
    return SYN_DISPATCH(ctx, syn_adam_rows, &s, grad_scale, count, row, D, p, g, m, v);
}

syn_status syn_adamw_device(syn_ctx *ctx, int64_t n, real *p, const real *g, real *m, real *v,
                            const syn_adam_scalars *scalars, const real *norm, const int32_t *skip)
{
    SYN_REQUIRE(n >= 0 && scalars, "syn_adamw_device: %lld elements", (long long)n);
    return SYN_DISPATCH(ctx, syn_adamw_device, n, p, g, m, v, scalars, norm, skip);
}

syn_status syn_adamw_device_cpu(syn_ctx *ctx, int64_t n, real *p, const real *g, real *m, real *v,
                                const syn_adam_scalars *scalars, const real *norm,
                                const int32_t *skip)
{
    if ((skip && *skip) || (norm && !isfinite(*norm))) return SYN_OK;
    return syn_adam_all_cpu(ctx, scalars, norm ? syn_adam_clip(scalars, *norm) : 1, n, p, g, m, v);
}

syn_status syn_flag_not_finite(syn_ctx *ctx, int64_t n, const real *x, int32_t code, int32_t *flag)
{
    SYN_REQUIRE(n >= 0 && code && flag, "syn_flag_not_finite: %lld elements, code %d", (long long)n,
                (int)code);
    return SYN_DISPATCH(ctx, syn_flag_not_finite, n, x, code, flag);
}

syn_status syn_flag_not_finite_cpu(syn_ctx *ctx, int64_t n, const real *x, int32_t code,
                                   int32_t *flag)
{
    int bad = 0;
#pragma omp parallel for num_threads(ctx->threads) reduction(| : bad) if (n > SYN_CPU_CHUNK)
    for (int64_t i = 0; i < n; i++) bad |= !isfinite(x[i]);
    if (bad && !*flag) *flag = code;
    return SYN_OK;
}
