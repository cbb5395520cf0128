/* Buffers that lie on the CPU and on the device at once, for the tests that set the two sides of an
 * op beside each other:
 *
 *     twins t;
 *     twins_begin(&t); // skips the test where there is no device
 *     twin x = twin_random(&t, 1, n), y = twin_poisoned(&t, n);
 *     assert_ok(syn_op(&t.cpu, n, x.cpu, y.cpu));
 *     assert_ok(syn_op(&t.gpu, n, x.gpu, y.gpu));
 *     twin_expect(&t, CUDA_FP32, y, "op, n %lld: y", (long long)n);
 *     twins_end(&t);
 *
 * In SYN_MATH_MIXED the CPU's float stands for the exact numbers: it is closer to them by three
 * orders of magnitude than the bounds ask for. */
#ifndef SYN_TESTS_KERNELS_TWINS_H
#define SYN_TESTS_KERNELS_TWINS_H

#include "tests/cuda.h"
#include "tests/kernels/random.h"

/* Relative L2 distance of what went through one product with TF32 or bf16 operands: half an ulp of
 * each operand is 2^-11.. or 2^-9.. of it, in random directions. */
#define CUDA_TF32 1e-3
#define CUDA_BF16 6e-3

enum { TWINS_MAX = 256 };

typedef struct twin {
    real *cpu, *gpu;
    int64_t n;
} twin;

typedef struct twins {
    syn_ctx cpu, gpu;
    void *host[TWINS_MAX], *device[TWINS_MAX];
    int count;
} twins;

static inline void twins_begin(twins *t)
{
    memset(t, 0, sizeof *t);
    cuda_begin(&t->cpu, &t->gpu);
}

static inline void twins_end(twins *t)
{
    assert_ok(syn_wait(&t->gpu));
    for (int i = 0; i < t->count; i++) {
        free(t->host[i]);
        syn_device_free(&t->gpu, t->device[i]);
    }
    cuda_end(&t->cpu, &t->gpu);
}

/* The device's copy of bytes on the host. */
static inline void *twin_bytes(twins *t, const void *host, size_t bytes)
{
    assert_true(t->count < TWINS_MAX);
    t->host[t->count] = NULL;
    return t->device[t->count++] = to_device(&t->gpu, host, bytes);
}
#define twin_list(t, host, n) twin_bytes((t), (host), sizeof *(host) * (size_t)(n))

/* Takes over `host`, n elements from malloc. */
static inline twin twin_of(twins *t, real *host, int64_t n)
{
    twin x = {host, twin_bytes(t, host, sizeof *host * (size_t)n), n};
    t->host[t->count - 1] = host;
    return x;
}

static inline twin twin_random(twins *t, uint64_t seed, int64_t n)
{
    return twin_of(t, random_real(seed, n), n);
}

static inline twin twin_poisoned(twins *t, int64_t n)
{
    real *host = real_alloc(n);
    for (int64_t i = 0; i < n; i++) host[i] = NAN;
    return twin_of(t, host, n);
}

static inline void twin_expect(twins *t, double bound, twin x, const char *format, ...)
    SYN_PRINTF(4, 5);
static inline void twin_expect(twins *t, double bound, twin x, const char *format, ...)
{
    va_list arguments;
    char name[200];
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    expect_close_device(&t->gpu, bound, x.n, x.cpu, x.gpu, "%s", name);
}

/* Two buffers of the device, bit for bit. */
static inline void twin_expect_same(twins *t, twin x, twin y, const char *name)
{
    real *host = from_device(&t->gpu, x.gpu, sizeof *host * (size_t)x.n);
    expect_equal_device(&t->gpu, x.n, host, y.gpu, "%s", name);
    free(host);
}

#endif
