/* The vector width that register-blocked loops are written for, and functions that such loops call.
 */
#ifndef SYN_BASE_VECMATH_H
#define SYN_BASE_VECMATH_H

#include <stdint.h>
#include <string.h>

#include "kernels/base/expmath.h"

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

#endif
