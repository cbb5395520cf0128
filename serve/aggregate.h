/* From the agents' answers to one: calibration, clusters of answers that mean the same, and
 * log-odds pooling. Pure functions. */
#ifndef SYN_SERVE_AGGREGATE_H
#define SYN_SERVE_AGGREGATE_H

#include <stdbool.h>

#include "kernels/base/status.h"

enum { SYN_POOL_MAX = 10 };

/* sigma(logit(c) / temperature) with c and the result kept within [.01, .99]; 0 means 1. */
double syn_calibrate_confidence(double confidence, double temperature);
double syn_logit(double p);

/* True when two short answers mean the same: equal in normal form, or token F1 >= .8. Yes and no
 * never match anything else. */
bool syn_same_answer(const char *a, const char *b);
/* The answer says that it does not know ("", "unknown", "not enough information", ...). */
bool syn_no_answer(const char *short_answer);

/* cluster[i] is -1 for agents to leave out (in), and otherwise set (out) to 0, 1, ... in order of
 * first appearance. Same-answer pairs are joined, transitively. Returns the number of clusters. */
int syn_cluster_answers(int n, const char *const *short_answers, int *cluster);
/* Likewise by tf-idf cosine >= .85 of the full answers. */
SYN_WARN_UNUSED syn_status syn_cluster_texts(int n, const char *const *texts, int *cluster,
                                             int *clusters);

typedef struct syn_pool {
    int clusters;
    double weight[SYN_POOL_MAX];      /* of a cluster, sum 1 */
    double probability[SYN_POOL_MAX]; /* that it is right, "none of these" being possible too */
    double share[SYN_POOL_MAX];       /* of an agent: its log-odds above 0, sum 1 */
    int winner;                       /* cluster, -1 when there is none */
    int speaker;                      /* the winner's most confident agent, -1 */
    double entropy;                   /* nats over the weights; ln n when there is no cluster */
    double consensus;                 /* the largest weight, 0 when there is no cluster */
} syn_pool;

/* A cluster's score is the sum of its agents' log-odds; weights are the softmax of the scores, and
 * probabilities too but with one more alternative of score 0. Ties go to the lower index. Where no
 * agent has positive log-odds, all that answered share equally. */
void syn_pool_answers(int n, const double *confidence, const int *cluster, syn_pool *out);

#endif
