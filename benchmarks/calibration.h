/* Fits how far each model's stated confidence is to be trusted, from answers that are known to be
 * right or wrong, and writes the file that serve/calibration.h reads.
 *
 * T of sigma(logit(c) / T) is the one of largest likelihood within [SYN_CALIBRATION_MIN,
 * SYN_CALIBRATION_MAX]; the likelihood is concave in 1 / T (a logistic regression with one weight
 * and no offset), so that its derivative is bisected (Guo et al. 2017).
 *
 * What T does not do: it draws confidences together around one half, or apart, and shifts none
 * across it. A model that is confident and mostly wrong needs an offset too, which a team that
 * weighs its agents by log-odds has no use for; there the likeliest T is large and what is stated
 * stays too high. So a T is kept only where it helps with questions that it was not fitted to: each
 * half of the questions is judged with the T of the other half, and where that takes more log loss
 * than the confidence as stated, T is 1. One thread. */
#ifndef SYN_BENCHMARKS_CALIBRATION_H
#define SYN_BENCHMARKS_CALIBRATION_H

#include <stdint.h>

#include "serve/calibration.h"

enum { SYN_CALIBRATION_ANSWERS_MIN = 50 };

typedef struct syn_confidence_fit {
    double
        temperature; /* of all answers; 1 where the halves say that none helps, or one is empty */
    /* As stated, and with `temperature` of the other half (1: as stated): mean log loss, and
     * expected calibration error as syn_confidence_ece has it. */
    double log_loss_before, log_loss_after, ece_before, ece_after;
} syn_confidence_fit;

/* confidence (n) in [0, 1], kept within [.01, .99]; correct (n): 0..1; half (n): 0 or 1, the same
 * for all answers to one question. n >= 1. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_confidence_fit_to(const double *confidence, const double *correct,
                                                 const uint8_t *half, int64_t n,
                                                 syn_confidence_fit *out);

/* Answers by model, as they come in. */
typedef struct syn_calibrator syn_calibrator;

SYN_WARN_UNUSED syn_status syn_calibrator_open(syn_calibrator **out);
void syn_calibrator_close(syn_calibrator *c); /* NULL is allowed */

/* name: syn_calibrated_name of the model that answered. group: the question, or the story or
 * dialogue that it is one of, by whose hash its half is drawn. confidence: as the team saw it, for
 * which it was calibrated with the temperature `applied` (0 and 1: not at all); what is fitted is
 * that of the confidence as it was stated. Not finite, or outside [0, 1]: passed over. Errors:
 * SYN_ERR_LIMIT (above 256 models), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_calibrator_add(syn_calibrator *c, const char *name,
                                              const char *benchmark, const char *group,
                                              double confidence, double applied, double correct);

/* Fits every model with SYN_CALIBRATION_ANSWERS_MIN answers or more and writes the file whole, or
 * not at all; other models that stand in it already stay. *fitted: how many models that was; with
 * none nothing is written. Errors: those of syn_calibrations_open for what stands at `path`,
 * SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_calibrator_write(const syn_calibrator *c, const char *path,
                                                int *fitted);

#endif
