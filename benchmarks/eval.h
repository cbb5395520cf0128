/* Scores a checkpoint's networks against baselines and leak tests on evidence-annotated records. */
#ifndef SYN_BENCHMARKS_EVAL_H
#define SYN_BENCHMARKS_EVAL_H

#include <stdio.h>

#include "datasets/dataset.h"
#include "engine/model.h"
#include "trainer/policies.h"

typedef struct syn_eval_config {
    int64_t episodes;
    uint64_t seed;
    syn_env_config env;
    int pieces;
    bool sample;
    float stop_bias;
    FILE *raw; /* one JSON line per gap prediction and per episode, or NULL */
} syn_eval_config;

typedef struct syn_interval {
    double value, low, high; /* 95 %, bootstrapped by question */
} syn_interval;

/* Figures that were not measured (no leak-test head, no policy) are NAN. The opening's balanced
 * accuracy is at the prior, the roll-out's at a probability of one half. */
typedef struct syn_eval_report {
    int64_t records, episodes;
    struct {
        double auroc, balanced_accuracy, ece, count_only_auroc, question_only_auroc, shuffled_auroc;
        double no_title_auroc, no_title_balanced_accuracy, prior;
    } gap;
    double rollout_auroc, rollout_balanced_accuracy, link_auroc, ranker_auroc, cosine_auroc;
    bool played[SYN_POLICY_COUNT];
    syn_policy_summary policy[SYN_POLICY_COUNT];
    syn_policy_kind best_untrained;
    syn_interval difference_return, message_ratio;
} syn_eval_report;

/* use marks the records to be scored; foreign pieces come from all of ds. Without a trained policy
 * in the model, the learned one is left out. */
SYN_WARN_UNUSED syn_status syn_evaluate(syn_ctx *ctx, const syn_eval_config *cfg,
                                        const syn_dataset *ds, const uint8_t *use,
                                        const syn_model *model, syn_eval_report *report);

/* AUROC on one half of the records of a logistic regression fitted on the other; x (n, width). */
double syn_logistic_auroc(const double *x, int width, const uint8_t *label,
                          const uint8_t *test_half, int64_t n);

#endif
