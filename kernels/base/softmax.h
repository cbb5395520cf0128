/* One row of a softmax over the legal actions, shared by sampling and the policy's loss. For .c and
 * .cu files of kernels/.
 *
 * Its sums run in one order on the CPU and on CUDA: action a is summed by lane a %
 * SYN_SOFTMAX_LANES, in ascending order, as a warp does; then the lanes are added in a butterfly.
 */
#ifndef SYN_BASE_SOFTMAX_H
#define SYN_BASE_SOFTMAX_H

#include "kernels/base/expmath.h"

enum { SYN_SOFTMAX_LANES = 32 };

typedef struct syn_softmax {
    int64_t legal;  /* actions whose mask is not 0 */
    real max;       /* the largest legal logit */
    double sum, ln; /* of exp(logit - max) over the legal ones, and its logarithm */
    double entropy; /* 0 where none is legal */
} syn_softmax;

/* The row from its largest logit and its sums. */
SYN_HD syn_softmax syn_softmax_make(int64_t legal, real max, double sum, double moment)
{
    syn_softmax s = {legal, max, 0, 0, 0};
    if (legal == 0) return s;
    s.sum = sum;
    s.ln = log(sum);
    s.entropy = s.ln - moment / sum;
    return s;
}

#ifndef __CUDACC__

static inline double syn_softmax_butterfly(double *lane)
{
    for (int half = SYN_SOFTMAX_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

/* SYN_SOFTMAX_LANES actions. Three loops, each over elements of one size, become vectors; one does
 * not. */
static inline void syn_softmax_lanes(const real *restrict logit, const uint8_t *restrict mask,
                                     real max, real *restrict e, double *restrict sum,
                                     double *restrict moment)
{
    int32_t legal[SYN_SOFTMAX_LANES];
    real product[SYN_SOFTMAX_LANES];
    for (int i = 0; i < SYN_SOFTMAX_LANES; i++) legal[i] = mask[i] != 0;
    for (int i = 0; i < SYN_SOFTMAX_LANES; i++) {
        real given = logit[i];
        real l = legal[i] ? given - max : 0;
        real x = syn_exp(l);
        x = legal[i] ? x : 0;
        e[i] = x;
        product[i] = x * l;
    }
    for (int i = 0; i < SYN_SOFTMAX_LANES; i++) {
        sum[i] += (double)e[i];
        moment[i] += (double)product[i];
    }
}

/* e (A): overwritten with exp(logit - max), 0 where illegal; may not overlap logit. */
static inline syn_softmax syn_softmax_row(int64_t A, const real *logit, const uint8_t *mask,
                                          real *restrict e)
{
    real max = -INFINITY;
    int64_t legal = 0, a = 0;
#    pragma omp simd reduction(max : max) reduction(+ : legal)
    for (int64_t k = 0; k < A; k++) {
        real l = mask[k] ? logit[k] : -INFINITY;
        max = l > max ? l : max;
        legal += mask[k] != 0;
    }
    double sum[SYN_SOFTMAX_LANES] = {0}, moment[SYN_SOFTMAX_LANES] = {0};
    for (; a + SYN_SOFTMAX_LANES <= A; a += SYN_SOFTMAX_LANES)
        syn_softmax_lanes(logit + a, mask + a, max, e + a, sum, moment);
    if (a < A) { /* the rest as full lanes, too, which is faster than one by one */
        real rest[SYN_SOFTMAX_LANES] = {0}, rest_e[SYN_SOFTMAX_LANES];
        uint8_t rest_mask[SYN_SOFTMAX_LANES] = {0};
        memcpy(rest, logit + a, sizeof(real) * (size_t)(A - a));
        memcpy(rest_mask, mask + a, (size_t)(A - a));
        syn_softmax_lanes(rest, rest_mask, max, rest_e, sum, moment);
        memcpy(e + a, rest_e, sizeof(real) * (size_t)(A - a));
    }
    return syn_softmax_make(legal, max, syn_softmax_butterfly(sum), syn_softmax_butterfly(moment));
}

#endif
#endif
