/* Random inputs for the kernels' tests: a pure function of the seed. */
#ifndef SYN_TESTS_KERNELS_RANDOM_H
#define SYN_TESTS_KERNELS_RANDOM_H

#include "kernels/base/real.h"
#include "kernels/base/rng.h"
#include "tests/test.h"

/* Uniform in [low, high). */
static inline void random_fill(uint64_t seed, int64_t n, double low, double high, real *x)
{
    syn_rng rng = syn_rng_make(seed, SYN_STREAM_TEST);
    for (int64_t i = 0; i < n; i++) x[i] = (real)(low + (high - low) * syn_rng_uniform(&rng));
}

/* Zeroed; free() it. */
static inline real *real_alloc(int64_t n)
{
    real *x = calloc((size_t)(n > 0 ? n : 1), sizeof *x);
    assert_non_null(x);
    return x;
}

/* n values uniform in [-1, 1); free() them. */
static inline real *random_real(uint64_t seed, int64_t n)
{
    real *x = real_alloc(n);
    random_fill(seed, n, -1, 1, x);
    return x;
}

static inline double dot_product(int64_t n, const real *a, const real *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

#endif
