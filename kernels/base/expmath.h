/* exp, sigmoid, tanh without branches or calls, so that loops over them vectorise; the same bits on
 * CUDA as on a CPU with fused multiply-add.
 *
 * Float: relative error below 2e-7 wherever the result is a normal number; NaN stays NaN;
 * syn_exp saturates at the ends of the normal range. Double (SYN_REAL_DOUBLE): the C library. */
#ifndef SYN_BASE_EXPMATH_H
#define SYN_BASE_EXPMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/base/real.h"
#include "kernels/base/rng.h"

#ifdef SYN_REAL_DOUBLE

SYN_HD double syn_exp(double x)
{
    return exp(x);
}
SYN_HD double syn_tanh(double x)
{
    return tanh(x);
}
SYN_HD double syn_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

#else

/* a * b + c, rounded once wherever the processor has such an instruction. */
SYN_HD float syn_fma(float a, float b, float c)
{
#    if defined(__CUDACC__) || defined(__FMA__) || defined(__aarch64__)
    return fmaf(a, b, c);
#    else
    return a * b + c;
#    endif
}

/* x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds x / ln 2 to the integer n and leaves n
 * in the low bits, from where it is shifted into the exponent of *scale = 2^n. */
SYN_HD float syn_exp_reduce(float x, float *scale)
{
    float shifted = syn_fma(x, 1.44269504f, 12582912.0f);
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    memcpy(scale, &bits, sizeof bits);
    float n = shifted - 12582912.0f;
    return syn_fma(-n, 1.42860677e-6f, syn_fma(-n, 0.693145752f, x));
}

/* exp(r) - 1 for |r| <= 0.35 (Cephes' expf coefficients). */
SYN_HD float syn_expm1_small(float r)
{
    float p = 1.9875691500e-4f;
    p = syn_fma(p, r, 1.3981999507e-3f);
    p = syn_fma(p, r, 8.3334519073e-3f);
    p = syn_fma(p, r, 4.1665795894e-2f);
    p = syn_fma(p, r, 1.6666665459e-1f);
    p = syn_fma(p, r, 5.0000001201e-1f);
    return syn_fma(p, r * r, r);
}

SYN_HD float syn_exp(float x)
{
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float scale, r = syn_exp_reduce(x, &scale);
    return syn_fma(syn_expm1_small(r), scale, scale);
}

SYN_HD float syn_sigmoid(float x)
{
    return 1.0f / (1.0f + syn_exp(-x));
}

/* tanh(x) = e / (e + 2) with e = exp(2x) - 1, which keeps the relative error near zero. */
SYN_HD float syn_tanh(float x)
{
    float y = 2.0f * x;
    y = y < -20.0f ? -20.0f : y;
    y = y > 20.0f ? 20.0f : y;
    float scale, r = syn_exp_reduce(y, &scale);
    float e = syn_fma(syn_expm1_small(r), scale, scale - 1.0f);
    return e / (e + 2.0f);
}

#endif
#endif
