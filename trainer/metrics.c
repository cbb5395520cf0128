#include "trainer/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_logit(const void *a, const void *b)
{
    const syn_scored *x = a, *y = b;
    return (x->logit > y->logit) - (x->logit < y->logit);
}

double syn_auroc(syn_scored *s, int64_t n)
{
    double rank_sum = 0, positives = 0;
    qsort(s, (size_t)n, sizeof *s, compare_logit);
    for (int64_t i = 0; i < n;) {
        int64_t j = i + 1;
        double in = s[i].label;
        while (j < n && s[j].logit == s[i].logit) in += s[j++].label;
        rank_sum += in * ((double)(i + 1 + j) / 2); /* mean rank of the ties */
        positives += in;
        i = j;
    }
    double negatives = (double)n - positives;
    if (positives == 0 || negatives == 0) return 0.5;
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

static double probability(const syn_scored *s, const syn_calibration *c)
{
    return 1 / (1 + exp(-((double)s->logit / c->temperature + c->offset)));
}

double syn_balanced_accuracy(const syn_scored *s, int64_t n, const syn_calibration *c,
                             double threshold)
{
    double right[2] = {0, 0}, all[2] = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        bool said = probability(&s[i], c) >= threshold;
        right[s[i].label] += said == (s[i].label != 0);
        all[s[i].label]++;
    }
    if (all[0] == 0 || all[1] == 0) return 0.5;
    return (right[0] / all[0] + right[1] / all[1]) / 2;
}

void syn_calibration_bins(const syn_scored *s, int64_t n, const syn_calibration *c,
                          syn_calibration_bin *bin)
{
    memset(bin, 0, sizeof *bin * SYN_CALIBRATION_BINS);
    for (int64_t i = 0; i < n; i++) {
        double p = probability(&s[i], c);
        int k = (int)(p * SYN_CALIBRATION_BINS);
        if (k >= SYN_CALIBRATION_BINS) k = SYN_CALIBRATION_BINS - 1;
        bin[k].predicted += p;
        bin[k].observed += s[i].label;
        bin[k].count++;
    }
    for (int k = 0; k < SYN_CALIBRATION_BINS; k++) {
        bin[k].predicted /= bin[k].count ? (double)bin[k].count : 1;
        bin[k].observed /= bin[k].count ? (double)bin[k].count : 1;
    }
}

double syn_ece(const syn_scored *s, int64_t n, const syn_calibration *c)
{
    syn_calibration_bin bin[SYN_CALIBRATION_BINS];
    double error = 0;
    syn_calibration_bins(s, n, c, bin);
    for (int k = 0; k < SYN_CALIBRATION_BINS; k++)
        error += (double)bin[k].count * fabs(bin[k].predicted - bin[k].observed);
    return n ? error / (double)n : 0;
}

double syn_brier(const syn_scored *s, int64_t n, const syn_calibration *c)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = probability(&s[i], c) - (s[i].label ? 1 : 0);
        sum += d * d;
    }
    return n ? sum / (double)n : 0;
}

double syn_nll(const syn_scored *s, int64_t n, const syn_calibration *c)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double z = (double)s[i].logit / c->temperature + c->offset;
        sum += (z > 0 ? z : 0) + log1p(exp(-fabs(z))) - (s[i].label ? z : 0);
    }
    return n ? sum / (double)n : 0;
}

/* What the fit minimises: the likelihood of z' = a z + b, and a slight preference for a = 1, b = 0,
 * which keeps it finite where the labels are separable. */
static const double PRIOR = 1e-3;

static double fit_loss(const syn_scored *s, int64_t n, double a, double b)
{
    double sum = PRIOR / 2 * ((a - 1) * (a - 1) + b * b);
    for (int64_t i = 0; i < n; i++) {
        double z = a * (double)s[i].logit + b;
        sum += (z > 0 ? z : 0) + log1p(exp(-fabs(z))) - (s[i].label ? z : 0);
    }
    return sum;
}

/* Newton's step (da, db) at (a, b). */
static void fit_step(const syn_scored *s, int64_t n, double a, double b, double *da, double *db)
{
    double ga = PRIOR * (a - 1), gb = PRIOR * b, haa = PRIOR, hab = 0, hbb = PRIOR;
    for (int64_t i = 0; i < n; i++) {
        double z = s[i].logit, p = 1 / (1 + exp(-(a * z + b))), d = p - s[i].label, w = p * (1 - p);
        ga += d * z;
        gb += d;
        haa += w * z * z;
        hab += w * z;
        hbb += w;
    }
    double det = haa * hbb - hab * hab;
    *da = -(hbb * ga - hab * gb) / det;
    *db = -(haa * gb - hab * ga) / det;
}

/* Where the scores are overconfident the curvature at the start is next to nothing and Newton's
 * step goes far too far: it is halved until it is one forward. */
syn_calibration syn_calibration_fit(const syn_scored *s, int64_t n)
{
    double a = 1, b = 0, loss = fit_loss(s, n, a, b);
    for (int it = 0; it < 100; it++) {
        double da, db, step = 1, next = loss, to_a = a, to_b = b;
        fit_step(s, n, a, b, &da, &db);
        for (int k = 0; k < 60; k++, step /= 2) {
            to_a = fmin(fmax(a + step * da, 0.05), 20);
            to_b = b + step * db;
            next = fit_loss(s, n, to_a, to_b);
            if (next < loss) break;
        }
        if (!(next < loss)) break;
        bool done = loss - next < 1e-10 * (1 + loss);
        a = to_a;
        b = to_b;
        loss = next;
        if (done) break;
    }
    return (syn_calibration){(float)(1 / a), (float)b};
}
