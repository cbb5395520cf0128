/* One row of a softmax over the legal actions by a warp, with the bits of kernels/base/softmax.h.
 * For .cu files of kernels/. */
#ifndef SYN_SOFTMAX_CUH
#define SYN_SOFTMAX_CUH

#include "kernels/base/softmax.h"
#include "kernels/reduce.cuh"

/* exp(logit - max) of an action; 0 where illegal. */
static __device__ __forceinline__ float syn_softmax_weight(const float *logit, const uint8_t *mask,
                                                           int64_t a, float max)
{
    return mask[a] ? syn_exp(logit[a] - max) : 0;
}

/* All lanes get the row. */
static __device__ __forceinline__ syn_softmax syn_softmax_warp(int64_t A, const float *logit,
                                                               const uint8_t *mask)
{
    const int lane = threadIdx.x % SYN_WARP;
    float max = -INFINITY;
    int legal = 0;
    for (int64_t a = lane; a < A; a += SYN_WARP) {
        const float l = mask[a] ? logit[a] : -INFINITY;
        max = l > max ? l : max;
        legal += mask[a] != 0;
    }
    for (int half = SYN_WARP / 2; half; half /= 2) {
        const float other = __shfl_xor_sync(SYN_ALL_LANES, max, half);
        max = other > max ? other : max;
    }
    legal = syn_warp_sum(legal);
    double sum = 0, moment = 0;
    for (int64_t a = lane; a < A; a += SYN_WARP) {
        const float l = mask[a] ? logit[a] - max : 0, e = mask[a] ? syn_exp(l) : 0;
        sum += (double)e;
        moment += (double)(e * l);
    }
    return syn_softmax_make(legal, max, syn_warp_sum(sum), syn_warp_sum(moment));
}

#endif
