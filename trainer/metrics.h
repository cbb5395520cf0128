/* Measures of binary predictions. */
#ifndef SYN_TRAINER_METRICS_H
#define SYN_TRAINER_METRICS_H

#include <stdint.h>

#include "engine/perception.h"

typedef struct syn_scored {
    float logit; /* of the positive class */
    uint8_t label;
    int32_t group; /* the question, for bootstrapping */
} syn_scored;

/* Area under the ROC curve, ties count half; .5 when a class is missing. Sorts the array. */
double syn_auroc(syn_scored *s, int64_t n);

/* Mean of sensitivity and specificity of probability >= threshold. */
double syn_balanced_accuracy(const syn_scored *s, int64_t n, const syn_calibration *c,
                             double threshold);

enum { SYN_CALIBRATION_BINS = 15 };

/* Predictions with a probability in [k, k + 1) / SYN_CALIBRATION_BINS; means are 0 where count is.
 */
typedef struct syn_calibration_bin {
    double predicted, observed; /* mean probability, share of positives */
    int64_t count;
} syn_calibration_bin;

/* bin (SYN_CALIBRATION_BINS): overwritten. */
void syn_calibration_bins(const syn_scored *s, int64_t n, const syn_calibration *c,
                          syn_calibration_bin *bin);

/* Expected calibration error over these bins. */
double syn_ece(const syn_scored *s, int64_t n, const syn_calibration *c);

/* Mean squared difference of probability and label (Brier score). */
double syn_brier(const syn_scored *s, int64_t n, const syn_calibration *c);

/* Mean negative log-likelihood. */
double syn_nll(const syn_scored *s, int64_t n, const syn_calibration *c);

/* Temperature and offset of least negative log-likelihood (Platt scaling), by Newton's method. */
syn_calibration syn_calibration_fit(const syn_scored *s, int64_t n);

#endif
