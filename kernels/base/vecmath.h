/* exp, sigmoid, tanh without branches or calls, so that loops over them vectorise, and the vector
 * width that register-blocked loops are written for.
 *
 * Float: relative error below 2e-7 wherever the result is a normal number; NaN stays NaN;
 * syn_exp saturates at the ends of the normal range. Double (SYN_REAL_DOUBLE): the C library. */
#ifndef SYN_BASE_VECMATH_H
#define SYN_BASE_VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/base/real.h"

#if defined(__AVX512F__)
#    include <immintrin.h>
#    define SYN_VECTOR_BYTES 64
#elif defined(__AVX__)
#    define SYN_VECTOR_BYTES 32
#else
#    define SYN_VECTOR_BYTES 16
#endif

/* One vector register of the widest kind, and its lanes. */
typedef real syn_vec __attribute__((vector_size(SYN_VECTOR_BYTES)));
/* The same, at any address of a real. */
typedef real syn_vec_any
    __attribute__((vector_size(SYN_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

enum { SYN_LANES = SYN_VECTOR_BYTES / (int)sizeof(real) };

static inline syn_vec syn_vec_load(const real *p)
{
    return *(const syn_vec_any *)p;
}
static inline void syn_vec_store(real *p, syn_vec v)
{
    *(syn_vec_any *)p = v;
}

static inline real syn_vec_sum(syn_vec v)
{
#if defined(__AVX512F__) && defined(SYN_REAL_DOUBLE)
    return _mm512_reduce_add_pd(v);
#elif defined(__AVX512F__)
    return _mm512_reduce_add_ps(v);
#else
    real part[SYN_LANES];
    memcpy(part, &v, sizeof part);
    for (int half = SYN_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    return part[0];
#endif
}

/* out[0..4) = the sums of four vectors. */
static inline void syn_vec_sum4(const syn_vec *v, real *out)
{
#if defined(__AVX512F__) && !defined(SYN_REAL_DOUBLE)
    __m128 part[4];
    for (int i = 0; i < 4; i++) {
        __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v[i]), 1));
        __m256 sum = _mm256_add_ps(_mm512_castps512_ps256(v[i]), high);
        part[i] = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    }
    _mm_storeu_ps(out, _mm_hadd_ps(_mm_hadd_ps(part[0], part[1]), _mm_hadd_ps(part[2], part[3])));
#else
    for (int i = 0; i < 4; i++) out[i] = syn_vec_sum(v[i]);
#endif
}

#ifdef SYN_REAL_DOUBLE

static inline double syn_exp(double x)
{
    return exp(x);
}
static inline double syn_tanh(double x)
{
    return tanh(x);
}
static inline double syn_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

#else

/* x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds x / ln 2 to the integer n and leaves n
 * in the low bits, from where it is shifted into the exponent of *scale = 2^n. */
static inline float syn_exp_reduce(float x, float *scale)
{
    float shifted = x * 1.44269504f + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    memcpy(scale, &bits, sizeof bits);
    float n = shifted - 12582912.0f;
    return (x - n * 0.693145752f) - n * 1.42860677e-6f;
}

/* exp(r) - 1 for |r| <= 0.35 (Cephes' expf coefficients). */
static inline float syn_expm1_small(float r)
{
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r) + r;
}

static inline float syn_exp(float x)
{
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float scale, r = syn_exp_reduce(x, &scale);
    return syn_expm1_small(r) * scale + scale;
}

static inline float syn_sigmoid(float x)
{
    return 1.0f / (1.0f + syn_exp(-x));
}

/* tanh(x) = e / (e + 2) with e = exp(2x) - 1, which keeps the relative error near zero. */
static inline float syn_tanh(float x)
{
    float y = 2.0f * x;
    y = y < -20.0f ? -20.0f : y;
    y = y > 20.0f ? 20.0f : y;
    float scale, r = syn_exp_reduce(y, &scale);
    float e = syn_expm1_small(r) * scale + (scale - 1.0f);
    return e / (e + 2.0f);
}

#endif
#endif
