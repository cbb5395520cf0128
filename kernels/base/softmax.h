/* One row of a softmax over the legal actions, shared by sampling and the policy's loss. For .c
 * files of kernels/. */
#ifndef SYN_BASE_SOFTMAX_H
#define SYN_BASE_SOFTMAX_H

#include <math.h>

#include "kernels/base/vecmath.h"

typedef struct syn_softmax {
    int64_t legal;  /* actions whose mask is not 0 */
    real max;       /* the largest legal logit */
    double sum, ln; /* of exp(logit - max) over the legal ones, and its logarithm */
    double entropy; /* 0 where none is legal */
} syn_softmax;

/* e (A): overwritten with exp(logit - max), 0 where illegal; may not overlap logit. */
static inline syn_softmax syn_softmax_row(int64_t A, const real *logit, const uint8_t *mask,
                                          real *restrict e)
{
    syn_softmax s = {0, -INFINITY, 0, 0, 0};
    real max = -INFINITY;
    int64_t legal = 0;
#pragma omp simd reduction(max : max) reduction(+ : legal)
    for (int64_t a = 0; a < A; a++) {
        real l = mask[a] ? logit[a] : -INFINITY;
        max = l > max ? l : max;
        legal += mask[a] != 0;
    }
    s.legal = legal;
    s.max = max;
    double sum = 0, moment = 0;
#pragma omp simd reduction(+ : sum, moment)
    for (int64_t a = 0; a < A; a++) {
        real l = mask[a] ? logit[a] - max : 0;
        real x = mask[a] ? syn_exp(l) : 0;
        e[a] = x;
        sum += (double)x;
        moment += (double)(x * l);
    }
    if (legal == 0) return s;
    s.sum = sum;
    s.ln = log(sum);
    s.entropy = s.ln - moment / sum;
    return s;
}

#endif
