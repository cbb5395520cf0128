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

/* Expected calibration error over 15 equal-width bins. */
double syn_ece(const syn_scored *s, int64_t n, const syn_calibration *c);

/* Mean negative log-likelihood. */
double syn_nll(const syn_scored *s, int64_t n, const syn_calibration *c);

/* Temperature and offset of least negative log-likelihood (Platt scaling), by Newton's method. */
syn_calibration syn_calibration_fit(const syn_scored *s, int64_t n);

#endif
