/* Value normalisation: the critic predicts returns scaled to mean 0 and variance 1 by their running
 * moments, so that its loss has one scale whatever the reward's (Pop-Art: van Hasselt et al.,
 * "Learning values across many orders of magnitude", NIPS 2016; as in MAPPO, Yu et al. 2022). Where
 * the moments move, the critic's last layer is rescaled so that what it predicts stays the same. */
#ifndef SYN_TRAINER_VALUE_NORM_H
#define SYN_TRAINER_VALUE_NORM_H

#include "engine/control.h"

/* Decayed sums; mean and square are divided by weight. All zero: nothing seen, mean 0 and deviation
 * 1, which is also what a run without normalisation keeps. */
typedef struct syn_value_norm {
    double mean, square, weight;
} syn_value_norm;

double syn_value_norm_mean(const syn_value_norm *n);
double syn_value_norm_std(const syn_value_norm *n);

/* Takes in one roll-out's mean return and mean square of it, and rescales c's last critic layer.
 * c: in ctx's memory, which is waited for. Errors: SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_value_norm_update(syn_ctx *ctx, syn_value_norm *n, double mean,
                                                 double square, syn_control *c);

/* Folds n into c's last critic layer, which then predicts returns as they are, and forgets n. */
SYN_WARN_UNUSED syn_status syn_value_norm_fold(syn_ctx *ctx, syn_value_norm *n, syn_control *c);

#endif
