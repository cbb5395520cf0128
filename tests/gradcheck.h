/* Central-difference check of an analytic gradient, in double precision. */
#ifndef SYN_TESTS_GRADCHECK_H
#define SYN_TESTS_GRADCHECK_H

#include <float.h>

#include "kernels/base/rng.h"
#include "tests/test.h"

#define GRADCHECK_TOLERANCE 1e-7
#define GRADCHECK_EPSILON   1e-5

enum { GRADCHECK_ALL = 0, GRADCHECK_SAMPLES = 300 };

/* A scalar function of the parameters that the caller handed to gradcheck_error(), which changes
 * them in place before each call and puts them back. */
typedef double (*gradcheck_loss)(void *user);

/* The numeric derivative by p[0], or false where the two one-sided slopes disagree: a kink (ReLU,
 * clip) lies within the step, and the derivative says nothing there. */
static inline bool gradcheck_slope(gradcheck_loss loss, void *user, double *p, double middle,
                                   double *slope)
{
    double kept = *p, eps = GRADCHECK_EPSILON * fmax(1.0, fabs(kept));
    *p = kept + eps;
    double up = loss(user);
    *p = kept - eps;
    double down = loss(user);
    *p = kept;
    double right = (up - middle) / eps, left = (middle - down) / eps;
    *slope = (up - down) / (2 * eps);
    double noise = 64 * DBL_EPSILON * fmax(1.0, fabs(middle)) / eps;
    return fabs(right - left) <= 1e-2 * fmax(fabs(right), fabs(left)) + 1e-3 + noise;
}

/* Relative L2 distance between `analytic` (n) and the numeric gradient by params (n), over all
 * coordinates (samples 0, or samples >= n) or over that many drawn at random. A coordinate at a
 * kink is left out, and another one is drawn when sampling; infinity when more than a tenth are
 * left out, or when anything is not finite. */
static inline double gradcheck_error(gradcheck_loss loss, void *user, double *params,
                                     const double *analytic, int64_t n, int64_t samples,
                                     uint64_t seed)
{
    bool all = samples <= 0 || samples >= n;
    int64_t wanted = all ? n : samples, taken = 0, kinks = 0;
    syn_rng rng = syn_rng_make(seed, SYN_STREAM_TEST);
    double middle = loss(user), difference2 = 0, numeric2 = 0, analytic2 = 0;
    for (int64_t i = 0; all ? i < n : taken < wanted; i++) {
        int64_t at = all ? i : (int64_t)syn_rng_below(&rng, (uint32_t)n);
        double slope;
        if (!gradcheck_slope(loss, user, &params[at], middle, &slope)) {
            if (++kinks * 10 > wanted + 9) return INFINITY;
            continue;
        }
        taken++;
        difference2 += (slope - analytic[at]) * (slope - analytic[at]);
        numeric2 += slope * slope;
        analytic2 += analytic[at] * analytic[at];
    }
    double error = sqrt(difference2) / fmax(sqrt(fmax(numeric2, analytic2)), 1e-300);
    if (difference2 == 0) error = 0;
    return isfinite(error) ? error : INFINITY;
}

/* Fails the test, naming the tensor, where the gradient is off. */
static inline void gradcheck_assert(const char *name, gradcheck_loss loss, void *user,
                                    double *params, const double *analytic, int64_t n,
                                    int64_t samples)
{
    double error = gradcheck_error(loss, user, params, analytic, n, samples, 1);
    if (!(error < GRADCHECK_TOLERANCE))
        fail_msg("gradient of %s: relative L2 error %.3g, allowed %.0g", name, error,
                 GRADCHECK_TOLERANCE);
}

#endif
