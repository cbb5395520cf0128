#include "trainer/value_norm.h"

#include <math.h>

/* Of the past, per roll-out. */
static const double DECAY = 0.95;
static const double VARIANCE_MIN = 1e-4;

double syn_value_norm_mean(const syn_value_norm *n)
{
    return n->weight > 0 ? n->mean / n->weight : 0;
}

double syn_value_norm_std(const syn_value_norm *n)
{
    if (n->weight <= 0) return 1;
    const double mean = n->mean / n->weight, variance = n->square / n->weight - mean * mean;
    return sqrt(fmax(variance, VARIANCE_MIN));
}

void syn_value_norm_update(syn_value_norm *n, double mean, double square, syn_control *c)
{
    const double mean0 = syn_value_norm_mean(n), std0 = syn_value_norm_std(n);
    n->mean = DECAY * n->mean + (1 - DECAY) * mean;
    n->square = DECAY * n->square + (1 - DECAY) * square;
    n->weight = DECAY * n->weight + (1 - DECAY);
    const double mean1 = syn_value_norm_mean(n), std1 = syn_value_norm_std(n);
    real *w = syn_value(&c->params, SYN_C_CRITIC_OUT);
    real *b = syn_value(&c->params, SYN_C_CRITIC_OUT_B);
    for (int k = 0; k < SYN_CRITIC_HIDDEN; k++) w[k] = (real)((double)w[k] * std0 / std1);
    *b = (real)(((double)*b * std0 + mean0 - mean1) / std1);
}
