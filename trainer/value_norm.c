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

/* The last layer predicted (value - mean0) / std0, and then predicts (value - mean1) / std1. */
static syn_status rescale(syn_ctx *ctx, syn_control *c, double mean0, double std0, double mean1,
                          double std1)
{
    real w[SYN_CRITIC_HIDDEN], b;
    real *weights = syn_value(&c->params, SYN_C_CRITIC_OUT);
    real *bias = syn_value(&c->params, SYN_C_CRITIC_OUT_B);
    SYN_RETURN_IF(syn_copy_out(ctx, w, weights, sizeof w));
    SYN_RETURN_IF(syn_copy_out(ctx, &b, bias, sizeof b));
    for (int k = 0; k < SYN_CRITIC_HIDDEN; k++) w[k] = (real)((double)w[k] * std0 / std1);
    b = (real)(((double)b * std0 + mean0 - mean1) / std1);
    SYN_RETURN_IF(syn_copy_in(ctx, weights, w, sizeof w));
    return syn_copy_in(ctx, bias, &b, sizeof b);
}

syn_status syn_value_norm_update(syn_ctx *ctx, syn_value_norm *n, double mean, double square,
                                 syn_control *c)
{
    const double mean0 = syn_value_norm_mean(n), std0 = syn_value_norm_std(n);
    n->mean = DECAY * n->mean + (1 - DECAY) * mean;
    n->square = DECAY * n->square + (1 - DECAY) * square;
    n->weight = DECAY * n->weight + (1 - DECAY);
    return rescale(ctx, c, mean0, std0, syn_value_norm_mean(n), syn_value_norm_std(n));
}

syn_status syn_value_norm_fold(syn_ctx *ctx, syn_value_norm *n, syn_control *c)
{
    SYN_RETURN_IF(rescale(ctx, c, syn_value_norm_mean(n), syn_value_norm_std(n), 0, 1));
    *n = (syn_value_norm){0};
    return SYN_OK;
}
