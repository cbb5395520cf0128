/* What the tests of the CUDA side share: a context on either device, buffers, comparisons that name
 * op, shape and output. Random inputs: tests/kernels/random.h.
 *
 *     syn_ctx cpu, gpu;
 *     cuda_begin(&cpu, &gpu); // skips the test where there is no device
 *     real *x = random_real(1, n), *want = poisoned(&cpu, sizeof *want * n);
 *     real *x_gpu = to_device(&gpu, x, sizeof *x * n), *got = poisoned(&gpu, sizeof *got * n);
 *     assert_ok(syn_op(&cpu, n, x, want));
 *     assert_ok(syn_op(&gpu, n, x_gpu, got));
 *     expect_close_device(&gpu, CUDA_FP32, n, want, got, "op, n %lld: y", (long long)n);
 *     free(x);
 *     free_device(&cpu, want);
 *     free_device(&gpu, x_gpu, got);
 *     cuda_end(&cpu, &gpu);
 */
#ifndef SYN_TESTS_CUDA_H
#define SYN_TESTS_CUDA_H

#include "kernels/base/ctx.h"
#include "tests/test.h"

/* The bound of SYN_MATH_FP32: relative L2 distance to the CPU. */
#define CUDA_FP32 1e-5

static inline void cuda_begin(syn_ctx *cpu, syn_ctx *gpu)
{
    if (syn_ctx_init(gpu, SYN_DEVICE_CUDA, 1) != SYN_OK) {
        print_message("%s\n", syn_error_text());
        skip();
    }
    assert_ok(syn_ctx_init(cpu, SYN_DEVICE_CPU, 1));
}

static inline void cuda_end(syn_ctx *cpu, syn_ctx *gpu)
{
    assert_ok(syn_wait(gpu));
    syn_ctx_free(gpu);
    syn_ctx_free(cpu);
}

/* ---- Buffers, of either context; syn_device_free or free_device them ---- */

static inline void *to_device(syn_ctx *ctx, const void *host, size_t bytes)
{
    void *device = syn_device_alloc(ctx, bytes);
    if (!device) fail_msg("%s", syn_error_text());
    assert_ok(syn_copy_in(ctx, device, host, bytes));
    return device;
}

/* Bytes of 0xff: NaN in every floating type. */
static inline void *poisoned(syn_ctx *ctx, size_t bytes)
{
    void *host = malloc(bytes + 1);
    assert_non_null(host);
    memset(host, 0xff, bytes);
    void *device = to_device(ctx, host, bytes);
    free(host);
    return device;
}

/* A copy on the host; free() it. */
static inline void *from_device(syn_ctx *ctx, const void *device, size_t bytes)
{
    void *host = malloc(bytes + 1);
    assert_non_null(host);
    assert_ok(syn_copy_out(ctx, host, device, bytes));
    return host;
}

#define free_device(ctx, ...)                                                                      \
    do {                                                                                           \
        void *free_list_[] = {__VA_ARGS__};                                                        \
        for (size_t free_i_ = 0; free_i_ < sizeof free_list_ / sizeof *free_list_; free_i_++)      \
            syn_device_free((ctx), free_list_[free_i_]);                                           \
    } while (0)

/* ---- Comparisons ---- */

static inline const char *compared_name(const char *format, va_list arguments)
{
    static char name[256];
    vsnprintf(name, sizeof name, format, arguments);
    return name;
}

/* ||got - want|| <= bound * ||want||, and nothing that is finite in one is not in the other. Both
 * on the host. The name: "op, shape: output". */
static inline void expect_close(double bound, int64_t n, const real *want, const real *got,
                                const char *format, ...) SYN_PRINTF(5, 6);
static inline void expect_close(double bound, int64_t n, const real *want, const real *got,
                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *name = compared_name(format, arguments);
    va_end(arguments);
    double difference = 0, size = 0, worst = -1;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const double w = (double)want[i], g = (double)got[i];
        if (w == g || (isnan(w) && isnan(g))) {
            size += isfinite(w) ? w * w : 0;
            continue;
        }
        if (!isfinite(w) || !isfinite(g))
            fail_msg("%s[%lld] is %.9g, %.9g was wanted", name, (long long)i, g, w);
        difference += (g - w) * (g - w);
        size += w * w;
        if (fabs(g - w) <= worst) continue;
        worst = fabs(g - w);
        at = i;
    }
    if (sqrt(difference) > bound * sqrt(size))
        fail_msg(
            "%s: relative L2 distance %.3g, the bound is %.3g; worst at [%lld]: %.9g, %.9g was "
            "wanted",
            name, sqrt(difference / size), bound, (long long)at, (double)got[at], (double)want[at]);
}

static inline void expect_equal(size_t bytes, const void *want, const void *got, const char *format,
                                ...) SYN_PRINTF(4, 5);
static inline void expect_equal(size_t bytes, const void *want, const void *got, const char *format,
                                ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *name = compared_name(format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < bytes; i++)
        if (((const uint8_t *)want)[i] != ((const uint8_t *)got)[i])
            fail_msg("%s: byte %zu of %zu is %02x, %02x was wanted", name, i, bytes,
                     ((const uint8_t *)got)[i], ((const uint8_t *)want)[i]);
}

/* The same with `got` on the device, `want` on the host or of a CPU context. */
#define expect_close_device(gpu, bound, n, want, got, ...)                                         \
    do {                                                                                           \
        real *close_got_ = from_device((gpu), (got), sizeof(real) * (size_t)(n));                  \
        expect_close((bound), (n), (want), close_got_, __VA_ARGS__);                               \
        free(close_got_);                                                                          \
    } while (0)
/* Bit for bit, any type; n elements of *want. */
#define expect_equal_device(gpu, n, want, got, ...)                                                \
    do {                                                                                           \
        void *equal_got_ = from_device((gpu), (got), sizeof *(want) * (size_t)(n));                \
        expect_equal(sizeof *(want) * (size_t)(n), (want), equal_got_, __VA_ARGS__);               \
        free(equal_got_);                                                                          \
    } while (0)

#endif
