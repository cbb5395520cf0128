#include "benchmarks/gpu_limits.h"

#include "benchmarks/gpu_time.h"
#include "kernels/base/rng.h"
#include "kernels/gemm.h"

double syn_gpu_least_us(const syn_gpu_limits *limits, const syn_gpu_demand *demand,
                        const char **binds)
{
    const struct {
        const char *name;
        double us;
    } bound[] = {
        {"exchange", demand->steps * (limits->hop_us > 0 ? limits->hop_us : limits->grid_us)},
        {"tensor cores", limits->bf16_tflops > 0 ? demand->flops / limits->bf16_tflops * 1e-6 : 0},
        {"memory", limits->copy_gbs > 0 ? demand->bytes / limits->copy_gbs * 1e-3 : 0},
    };
    int most = 0;
    for (int k = 1; k < 3; k++)
        if (bound[k].us > bound[most].us) most = k;
    *binds = bound[most].name;
    return bound[most].us;
}

#ifdef SYN_HAVE_CUDA

enum { SETS = 2, ROUNDS = 1000, ROUNDS_TINY = 4, LAUNCHES = 64 };

typedef struct test {
    syn_ctx *ctx;
    real *a, *b, *c;
    int64_t n; /* rows of the square matrices; elements of a copy */
    int rounds;
    double seconds; /* of a row; 0: once */
    syn_gpu_product *product;
} test;

static syn_status copy(void *user, int set)
{
    test *t = user;
    real *from = set ? t->b : t->a, *to = set ? t->a : t->b;
    return syn_copy(t->ctx, to, from, sizeof *from * (size_t)t->n);
}

static syn_status product(void *user, int set)
{
    (void)set;
    test *t = user;
    return syn_gemm(t->ctx, false, false, t->n, t->n, t->n, 1, t->a, t->n, t->b, t->n, 0, t->c,
                    t->n);
}

static syn_status product_bf16(void *user, int set)
{
    (void)set;
    return syn_gpu_product_run(((test *)user)->ctx, ((test *)user)->product);
}

static syn_status hops(void *user, int set)
{
    (void)set;
    return syn_gpu_hops(((test *)user)->ctx, ((test *)user)->rounds);
}

static syn_status grid_barriers(void *user, int set)
{
    (void)set;
    return syn_gpu_grid_barriers(((test *)user)->ctx, ((test *)user)->rounds, ((test *)user)->c);
}

static syn_status launches(void *user, int set)
{
    (void)set;
    return syn_gpu_empty(((test *)user)->ctx, LAUNCHES);
}

/* Random numbers: zeros would be multiplied faster. */
static syn_status fill(syn_ctx *ctx, real *device, int64_t n)
{
    enum { CHUNK = 1 << 16 };
    static real chunk[CHUNK];
    syn_rng rng = syn_rng_make(1, SYN_STREAM_SYNTH);
    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t here = n - at < CHUNK ? n - at : CHUNK;
        for (int64_t k = 0; at < 4 * CHUNK && k < here; k++)
            chunk[k] = syn_rng_uniform(&rng) - (real)0.5;
        SYN_RETURN_IF(syn_copy_in(ctx, device + at, chunk, sizeof *chunk * (size_t)here));
    }
    return SYN_OK;
}

static syn_status measure_rates(test *t, bool tiny, syn_gpu_limits *l)
{
    syn_gpu_timed timed;
    const syn_math math = t->ctx->math;
    const int64_t n = tiny ? 32 : 8192, all = n * n;
    const double flops = 2.0 * (double)n * (double)n * (double)n;
    t->n = all;
    SYN_RETURN_IF(fill(t->ctx, t->a, all));
    SYN_RETURN_IF(fill(t->ctx, t->b, all));
    SYN_RETURN_IF(syn_gpu_time(t->ctx, copy, t, SETS, t->seconds, &timed));
    l->copy_gbs = 2.0 * sizeof(real) * (double)all / timed.us * 1e-3;
    t->n = n;
    t->ctx->math = SYN_MATH_MIXED;
    syn_status st = syn_gpu_time(t->ctx, product, t, 1, t->seconds, &timed);
    l->tf32_tflops = flops / timed.us * 1e-6;
    t->ctx->math = SYN_MATH_FP32;
    if (st == SYN_OK) st = syn_gpu_time(t->ctx, product, t, 1, t->seconds, &timed);
    l->fp32_tflops = flops / timed.us * 1e-6;
    t->ctx->math = math;
    if (st == SYN_OK) st = syn_gpu_product_open(t->ctx, n, t->a, &t->product);
    if (st == SYN_OK) st = syn_gpu_time(t->ctx, product_bf16, t, 1, t->seconds, &timed);
    l->bf16_tflops = flops / timed.us * 1e-6;
    return st;
}

static syn_status measure_delays(test *t, syn_gpu_limits *l)
{
    syn_gpu_timed timed;
    const syn_status st = syn_gpu_time(t->ctx, hops, t, 1, t->seconds, &timed);
    if (st == SYN_OK)
        l->hop_us = timed.us / (2 * t->rounds); /* there and back */
    else if (st != SYN_ERR_UNSUPPORTED)
        return st;
    SYN_RETURN_IF(syn_zero(t->ctx, t->c, 64));
    SYN_RETURN_IF(syn_gpu_time(t->ctx, grid_barriers, t, 1, t->seconds, &timed));
    l->grid_us = timed.us / t->rounds;
    SYN_RETURN_IF(syn_gpu_time(t->ctx, launches, t, 1, t->seconds, &timed));
    l->launch_us = timed.us / LAUNCHES;
    return SYN_OK;
}

syn_status syn_gpu_limits_measure(syn_ctx *ctx, bool tiny, syn_gpu_limits *limits)
{
    test t = {.ctx = ctx, .rounds = tiny ? ROUNDS_TINY : ROUNDS, .seconds = tiny ? 0 : 0.1};
    const size_t bytes = sizeof(real) * (tiny ? 32 * 32 : 8192 * 8192);
    *limits = (syn_gpu_limits){0};
    t.a = syn_device_alloc(ctx, bytes);
    t.b = syn_device_alloc(ctx, bytes);
    t.c = syn_device_alloc(ctx, bytes);
    syn_status st = t.a && t.b && t.c ? SYN_OK : SYN_ERR_MEMORY;
    if (st == SYN_OK) st = measure_rates(&t, tiny, limits);
    if (st == SYN_OK) st = measure_delays(&t, limits);
    syn_gpu_product_close(t.product);
    syn_device_free(ctx, t.a);
    syn_device_free(ctx, t.b);
    syn_device_free(ctx, t.c);
    return st;
}

#else

syn_status syn_gpu_limits_measure(syn_ctx *ctx, bool tiny, syn_gpu_limits *limits)
{
    (void)ctx, (void)tiny;
    *limits = (syn_gpu_limits){0};
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no CUDA, and so no device to measure");
}

#endif
