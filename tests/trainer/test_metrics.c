/* Measures of binary predictions, each against its definition written as loops. */
#include "tests/test.h"
#include "trainer/metrics.h"

enum { MANY = 3000 };
static const syn_calibration PLAIN = {1, 0};

static syn_rng test_rng(uint64_t n)
{
    return syn_rng_make(n, SYN_STREAM_TEST);
}

static double uniform(syn_rng *rng)
{
    return (double)syn_rng_uniform(rng);
}

/* Scores of `steps` levels (ties), higher for positives by `lift`. */
static void scores_draw(syn_scored *s, int n, uint64_t seed, int steps, double share, double lift)
{
    syn_rng rng = test_rng(seed);
    for (int i = 0; i < n; i++) {
        s[i].label = uniform(&rng) < share;
        double x = uniform(&rng) * 4 - 2 + (s[i].label ? lift : 0);
        s[i].logit = (float)(floor(x * steps) / steps);
        s[i].group = i;
    }
}

/* The share of pairs in the right order, ties counting half. */
static double auroc_of_pairs(const syn_scored *s, int n)
{
    double right = 0, pairs = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            if (!s[i].label || s[j].label) continue;
            pairs++;
            right += s[i].logit > s[j].logit ? 1 : s[i].logit == s[j].logit ? 0.5 : 0;
        }
    return pairs > 0 ? right / pairs : 0.5;
}

static void auroc_is_the_share_of_pairs_in_order_and_ties_are_half(void **state)
{
    static syn_scored s[400];
    const int steps[] = {1, 2, 1000};
    for (int k = 0; k < 3; k++)
        for (int n = 1; n <= 400; n += 57) {
            scores_draw(s, n, (uint64_t)(k * 1000 + n), steps[k], 0.3, 0.8);
            double expected = auroc_of_pairs(s, n);
            assert_true(fabs(syn_auroc(s, n) - expected) < 1e-12);
        }
}

static void auroc_of_known_cases(void **state)
{
    syn_scored right[] = {{1, 1, 0}, {-1, 0, 0}, {2, 1, 0}, {0, 0, 0}};
    syn_scored wrong[] = {{-1, 1, 0}, {1, 0, 0}};
    syn_scored tied[] = {{3, 1, 0}, {3, 0, 0}, {3, 0, 0}};
    syn_scored single[] = {{3, 1, 0}, {4, 1, 0}};
    assert_true(syn_auroc(right, 4) == 1);
    assert_true(syn_auroc(wrong, 2) == 0);
    assert_true(syn_auroc(tied, 3) == 0.5);
    assert_true(syn_auroc(single, 2) == 0.5); /* one class is missing */
    assert_true(syn_auroc(single, 0) == 0.5);
}

static double probability(float logit, syn_calibration c)
{
    return 1 / (1 + exp(-((double)logit / (double)c.temperature + (double)c.offset)));
}

static void balanced_accuracy_is_the_mean_of_both_classes(void **state)
{
    static syn_scored s[500];
    const syn_calibration c[] = {PLAIN, {2.5f, -0.7f}};
    for (int k = 0; k < 2; k++)
        for (int t = 1; t < 10; t++) {
            double positive[2] = {0, 0}, negative[2] = {0, 0}; /* all, right */
            scores_draw(s, 500, (uint64_t)t, 4, 0.1, 1);
            for (int i = 0; i < 500; i++) {
                bool said = probability(s[i].logit, c[k]) >= t / 10.0;
                double *of = s[i].label ? positive : negative;
                of[0]++;
                of[1] += said == (s[i].label == 1);
            }
            double expected = (positive[1] / positive[0] + negative[1] / negative[0]) / 2;
            assert_true(fabs(syn_balanced_accuracy(s, 500, &c[k], t / 10.0) - expected) < 1e-12);
        }
    syn_scored one_class[] = {{3, 1, 0}, {-4, 1, 0}};
    assert_true(syn_balanced_accuracy(one_class, 2, &PLAIN, 0.5) == 0.5);
}

/* Over 15 bins of equal width: the share of predictions in a bin times how far off they are. */
static double ece_of_bins(const syn_scored *s, int n, syn_calibration c)
{
    double error = 0;
    for (int bin = 0; bin < 15; bin++) {
        double said = 0, were = 0, count = 0;
        for (int i = 0; i < n; i++) {
            double p = probability(s[i].logit, c);
            bool last = bin == 14 && p == 1;
            if (!last && (p * 15 < bin || p * 15 >= bin + 1)) continue;
            said += p;
            were += s[i].label;
            count++;
        }
        if (count > 0) error += count / n * fabs(said / count - were / count);
    }
    return error;
}

static void the_calibration_error_is_that_of_fifteen_bins(void **state)
{
    static syn_scored s[MANY];
    const syn_calibration c[] = {PLAIN, {0.3f, 1}, {5, -2}, {0.01f, 0}};
    for (int k = 0; k < 4; k++) {
        scores_draw(s, MANY, (uint64_t)k, 100, 0.4, 1);
        assert_true(fabs(syn_ece(s, MANY, &c[k]) - ece_of_bins(s, MANY, c[k])) < 1e-9);
    }
    syn_scored sure[] = {{100, 1, 0}, {-100, 0, 0}}, mistaken[] = {{100, 0, 0}, {-100, 1, 0}};
    assert_true(syn_ece(sure, 2, &PLAIN) < 1e-12);
    assert_true(fabs(syn_ece(mistaken, 2, &PLAIN) - 1) < 1e-12);
    assert_true(syn_ece(sure, 0, &PLAIN) == 0);
}

static void bins_hold_what_was_said_and_what_came_true(void **state)
{
    static syn_scored s[MANY];
    syn_calibration_bin bin[SYN_CALIBRATION_BINS];
    scores_draw(s, MANY, 5, 100, 0.4, 1);
    syn_calibration_bins(s, MANY, &PLAIN, bin);
    for (int b = 0; b < SYN_CALIBRATION_BINS; b++) {
        double said = 0, were = 0;
        int64_t count = 0;
        for (int i = 0; i < MANY; i++) {
            const double p = probability(s[i].logit, PLAIN);
            if ((int)(p * 15) != b) continue;
            said += p;
            were += s[i].label;
            count++;
        }
        assert_int_equal(bin[b].count, count);
        assert_true(fabs(bin[b].predicted - (count ? said / (double)count : 0)) < 1e-9);
        assert_true(fabs(bin[b].observed - (count ? were / (double)count : 0)) < 1e-9);
    }
    syn_scored sure[] = {{100, 1, 0}}; /* 1 belongs to the last bin */
    syn_calibration_bins(sure, 1, &PLAIN, bin);
    assert_true(bin[14].count == 1 && bin[14].observed == 1);
}

static void the_brier_score_is_the_mean_squared_error(void **state)
{
    syn_scored s[] = {{0, 1, 0}, {0, 0, 0}, {100, 0, 0}, {-100, 0, 0}};
    assert_true(fabs(syn_brier(s, 4, &PLAIN) - (0.25 + 0.25 + 1 + 0) / 4) < 1e-12);
    const syn_calibration c = {2, 1};
    syn_scored one[] = {{3, 1, 0}};
    const double miss = 1 - 1 / (1 + exp(-2.5));
    assert_true(fabs(syn_brier(one, 1, &c) - miss * miss) < 1e-9);
    assert_true(syn_brier(s, 0, &PLAIN) == 0);
}

static void the_likelihood_is_finite_however_sure_a_mistake_is(void **state)
{
    syn_scored s[] = {{0.5f, 1, 0}, {-2, 0, 0}, {1, 0, 0}};
    double expected = -(log(probability(0.5f, PLAIN)) + log(1 - probability(-2, PLAIN)) +
                        log(1 - probability(1, PLAIN))) /
                      3;
    assert_true(fabs(syn_nll(s, 3, &PLAIN) - expected) < 1e-12);
    syn_scored mistaken[] = {{1000, 0, 0}};
    assert_true(fabs(syn_nll(mistaken, 1, &PLAIN) - 1000) < 1e-9);
}

/* ---- Calibration ---- */

/* Labels drawn with probability sigmoid(slope * z + offset): what the fit should find again. */
static void calibrated_draw(syn_scored *s, uint64_t seed, double width, double slope, double offset)
{
    syn_rng rng = test_rng(seed);
    for (int i = 0; i < MANY; i++) {
        double z = (uniform(&rng) * 2 - 1) * width;
        s[i] = (syn_scored){(float)z, uniform(&rng) < 1 / (1 + exp(-(slope * z + offset))), i};
    }
}

/* The least likelihood on a grid that is refined around its best point. */
static double nll_of_grid(const syn_scored *s, int n)
{
    double a0 = 0, b0 = 0, a_step = 0.5, b_step = 1, best = INFINITY;
    for (int pass = 0; pass < 12; pass++, a_step /= 2, b_step /= 2) {
        double a_at = a0, b_at = b0;
        for (int i = -5; i <= 5; i++)
            for (int j = -5; j <= 5; j++) {
                double ln_a = a0 + i * a_step;
                syn_calibration c = {(float)exp(-ln_a), (float)(b0 + j * b_step)};
                double nll = syn_nll(s, n, &c);
                if (nll >= best || ln_a < log(0.05) || ln_a > log(20)) continue;
                best = nll;
                a_at = ln_a;
                b_at = b0 + j * b_step;
            }
        a0 = a_at;
        b0 = b_at;
    }
    return best;
}

static void fit_check(syn_scored *s, const char *what)
{
    syn_calibration c = syn_calibration_fit(s, MANY);
    double fitted = syn_nll(s, MANY, &c), expected = nll_of_grid(s, MANY);
    if (!(fitted < expected + 1e-4))
        fail_msg("%s: likelihood %.5f with temperature %.4g, offset %.4g; %.5f is possible", what,
                 fitted, (double)c.temperature, (double)c.offset, expected);
}

static void the_fit_finds_what_the_labels_were_drawn_with(void **state)
{
    static syn_scored s[MANY];
    calibrated_draw(s, 1, 4, 0.5, -0.8);
    syn_calibration c = syn_calibration_fit(s, MANY);
    assert_true(fabs((double)c.temperature - 2) < 0.2);
    assert_true(fabs((double)c.offset + 0.8) < 0.15);
    fit_check(s, "under-confident");
    calibrated_draw(s, 2, 2, 1, 0);
    c = syn_calibration_fit(s, MANY);
    assert_true(fabs((double)c.temperature - 1) < 0.1 && fabs((double)c.offset) < 0.15);
    fit_check(s, "calibrated");
    calibrated_draw(s, 3, 1, 4, 2);
    fit_check(s, "too modest");
}

/* Networks trained too long say 15 where 1.5 would be right, and are sometimes wrong. */
static void the_fit_does_not_run_away_from_overconfident_scores(void **state)
{
    static syn_scored s[MANY];
    const double width[] = {10, 20, 35, 50};
    for (int k = 0; k < 4; k++)
        for (int o = -1; o <= 1; o++) {
            char what[64];
            snprintf(what, sizeof what, "logits to %.0f, offset %d", width[k], o);
            calibrated_draw(s, (uint64_t)(10 + k), width[k], 3 / width[k], o);
            fit_check(s, what);
        }
}

static void the_fit_of_separable_or_single_labels_is_finite(void **state)
{
    static syn_scored s[MANY];
    for (int kind = 0; kind < 4; kind++) {
        calibrated_draw(s, 4, 5, 1, 0);
        for (int i = 0; i < MANY; i++) {
            if (kind == 0) s[i].label = s[i].logit > 0;
            if (kind == 1) s[i].label = 1;
            if (kind == 2) s[i].label = 0;
            if (kind == 3) s[i].logit = 2; /* nothing to tell them by */
        }
        syn_calibration c = syn_calibration_fit(s, MANY);
        assert_true(isfinite((double)c.temperature) && isfinite((double)c.offset));
        assert_true(c.temperature > 0);
        assert_true(syn_nll(s, MANY, &c) <= syn_nll(s, MANY, &PLAIN) + 1e-9);
    }
    syn_calibration none = syn_calibration_fit(s, 0);
    assert_true(none.temperature > 0 && isfinite((double)none.offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auroc_is_the_share_of_pairs_in_order_and_ties_are_half),
        cmocka_unit_test(auroc_of_known_cases),
        cmocka_unit_test(balanced_accuracy_is_the_mean_of_both_classes),
        cmocka_unit_test(the_calibration_error_is_that_of_fifteen_bins),
        cmocka_unit_test(bins_hold_what_was_said_and_what_came_true),
        cmocka_unit_test(the_brier_score_is_the_mean_squared_error),
        cmocka_unit_test(the_likelihood_is_finite_however_sure_a_mistake_is),
        cmocka_unit_test(the_fit_finds_what_the_labels_were_drawn_with),
        cmocka_unit_test(the_fit_does_not_run_away_from_overconfident_scores),
        cmocka_unit_test(the_fit_of_separable_or_single_labels_is_finite),
    };
    return cmocka_run_group_tests_name("test_metrics", tests, NULL, NULL);
}
