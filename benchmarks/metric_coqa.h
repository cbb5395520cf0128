/* CoQA's official scores: exact match and F1 of each turn, averaged over references of which each
 * in turn is left out (so that a model is held against as many references as a human), per domain.
 *
 * Turn scores are shares in [0, 1]; the totals are per cent with one decimal, rounded as Python's
 * round() does. Sums are made in the order of the calls. Thread-safe: no state.
 * Source: evaluate-v1.0.py of Reddy et al., "CoQA", TACL 2019. */
#ifndef SYN_BENCHMARKS_METRIC_COQA_H
#define SYN_BENCHMARKS_METRIC_COQA_H

#include <jansson.h>

#include "benchmarks/metric_text.h"

enum { SYN_COQA_DOMAINS = 7, SYN_COQA_REFERENCES_MAX = 16 };

typedef struct syn_coqa_turn {
    double em, f1;
} syn_coqa_turn;

typedef struct syn_coqa {
    struct {
        double em, f1;
        int64_t turns;
    } domain[SYN_COQA_DOMAINS];
} syn_coqa;

/* count in [1, SYN_COQA_REFERENCES_MAX]. With one reference it is compared with that one. */
syn_coqa_turn syn_coqa_score(const syn_normal_answer *prediction,
                             const syn_normal_answer *references, int count);

/* The domain of a story's "source" ("mctest", "gutenberg", "race", "cnn", "wikipedia", "reddit",
 * "science"), or -1. */
int syn_coqa_domain(const char *source);

/* A turn that was not answered is added as zeros. */
void syn_coqa_add(syn_coqa *sum, int domain, syn_coqa_turn turn);

/* {"children_stories": {"em", "f1", "turns"}, ..., "in_domain", "out_domain", "overall"}, as the
 * script prints them; NULL when memory is out. */
json_t *syn_coqa_json(const syn_coqa *sum);

#endif
