/* HotpotQA's official scores: exact match, F1, precision and recall of the answer, of the
 * supporting facts, and of both jointly (joint precision and recall are the products).
 *
 * All figures are shares in [0, 1] as the official script prints them. Sums are made in the order
 * of the calls, in double, as the script makes them. Thread-safe: no state.
 * Source: hotpot_evaluate_v1.py of Yang et al., "HotpotQA", EMNLP 2018. */
#ifndef SYN_BENCHMARKS_METRIC_HOTPOTQA_H
#define SYN_BENCHMARKS_METRIC_HOTPOTQA_H

#include <jansson.h>

#include "benchmarks/metric_text.h"

enum { SYN_HOTPOTQA_FACTS_MAX = 65536 }; /* of one question */

typedef struct syn_fact {
    syn_slice title; /* the caller's */
    int64_t sentence;
} syn_fact;

typedef struct syn_exactness {
    double em, f1, precision, recall;
} syn_exactness;

/* Of one question, or sums, or means. */
typedef struct syn_hotpotqa {
    syn_exactness answer, facts, joint;
} syn_hotpotqa;

/* Yes, no and noanswer give no F1 unless both answers are the same. */
syn_exactness syn_hotpotqa_answer(const syn_normal_answer *prediction,
                                  const syn_normal_answer *gold);

/* Repeated facts count once. Both lists are sorted in place. No gold fact and none predicted: em 1,
 * all else 0. */
syn_exactness syn_hotpotqa_facts(syn_fact *prediction, int64_t predictions, syn_fact *gold,
                                 int64_t golds);

syn_exactness syn_hotpotqa_joint(syn_exactness answer, syn_exactness facts);

/* A question without an answer, or without facts, adds zeros for what it lacks and for joint. */
void syn_hotpotqa_add(syn_hotpotqa *sum, const syn_hotpotqa *question);
syn_hotpotqa syn_hotpotqa_mean(const syn_hotpotqa *sum, int64_t questions);

/* {"em", "f1", "prec", "recall", "sp_em", ..., "joint_recall"}, as the script names them; NULL when
 * memory is out. */
json_t *syn_hotpotqa_json(const syn_hotpotqa *x);

#endif
