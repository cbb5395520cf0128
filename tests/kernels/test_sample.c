/* Sampling from the masked softmax. */
#include "kernels/sample.h"
#include "tests/kernels/random.h"

static syn_ctx ctx;

static int context_open(void **state)
{
    return syn_ctx_init(&ctx, SYN_DEVICE_CPU, 2) == SYN_OK ? 0 : -1;
}

static int context_close(void **state)
{
    syn_ctx_free(&ctx);
    return 0;
}

static void outputs_are_the_masked_softmax_and_its_entropy(void **state)
{
    enum { N = 40, A = 11 };
    real logit[N * A], logp[N], entropy[N], prob[N * A];
    uint8_t mask[N * A];
    uint64_t counter[N];
    int32_t action[N];
    random_fill(1, N * A, -4, 4, logit);
    for (int i = 0; i < N * A; i++) mask[i] = (i * 7 + i / A) % 3 != 0;
    for (int i = 0; i < N; i++) counter[i] = (uint64_t)i;
    assert_ok(
        syn_policy_sample(&ctx, N, A, logit, mask, false, 5, counter, action, logp, entropy, prob));
    for (int i = 0; i < N; i++) {
        double sum = 0, h = 0;
        for (int a = 0; a < A; a++) sum += mask[i * A + a] ? exp((double)logit[i * A + a]) : 0;
        for (int a = 0; a < A; a++) {
            double p = mask[i * A + a] ? exp((double)logit[i * A + a]) / sum : 0;
            assert_true(fabs((double)prob[i * A + a] - p) < 1e-6);
            if (p == 0) assert_true(prob[i * A + a] == 0);
            h -= p > 0 ? p * log(p) : 0;
        }
        assert_in_range(action[i], 0, A - 1);
        assert_true(mask[i * A + action[i]]);
        assert_true(fabs((double)logp[i] - log((double)prob[i * A + action[i]])) < 1e-5);
        assert_true(fabs((double)entropy[i] - h) < 1e-5);
    }
}

/* Chi-square against the probabilities; the bound is far beyond the 99.99th percentile. */
static void frequencies_follow_the_probabilities(void **state)
{
    enum { N = 50000, A = 6 };
    const real row[A] = {0.3f, -1, 2, 9, 1.5f, 0};
    const uint8_t legal[A] = {1, 1, 1, 0, 1, 1};
    real *logit = real_alloc(N * A), *logp = real_alloc(N), prob[A];
    uint8_t *mask = malloc(N * A);
    uint64_t *counter = malloc(N * sizeof *counter);
    int32_t *action = malloc(N * sizeof *action), one;
    assert_true(mask && counter && action);
    for (int i = 0; i < N; i++) {
        memcpy(logit + i * A, row, sizeof row);
        memcpy(mask + i * A, legal, sizeof legal);
        counter[i] = 1000000007ull * (uint64_t)i;
    }
    assert_ok(syn_policy_sample(&ctx, 1, A, row, legal, false, 6, counter, &one, logp, NULL, prob));
    assert_ok(
        syn_policy_sample(&ctx, N, A, logit, mask, false, 6, counter, action, logp, NULL, NULL));
    int seen[A] = {0};
    for (int i = 0; i < N; i++) seen[action[i]]++;
    double chi2 = 0;
    for (int a = 0; a < A; a++) {
        if (!legal[a]) assert_int_equal(seen[a], 0);
        if (legal[a]) chi2 += pow(seen[a] - N * (double)prob[a], 2) / (N * (double)prob[a]);
    }
    if (!(chi2 < 30)) fail_msg("chi-square %.1f with 4 degrees of freedom", chi2);
    free(logit);
    free(logp);
    free(mask);
    free(counter);
    free(action);
}

static void the_draw_is_the_documented_one(void **state)
{
    enum { N = 500, A = 4 };
    real logit[N * A] = {0}, logp[N];
    uint8_t mask[N * A];
    uint64_t counter[N];
    int32_t action[N], again[N];
    memset(mask, 1, sizeof mask);
    for (int i = 0; i < N; i++) counter[i] = (uint64_t)(i * i) << 20;
    assert_ok(
        syn_policy_sample(&ctx, N, A, logit, mask, false, 7, counter, action, logp, NULL, NULL));
    for (int i = 0; i < N; i++) {
        float u = syn_rng_unit(syn_rng_block(7, SYN_STREAM_ACTION, counter[i]).x[0]);
        assert_int_equal(action[i], (int)(u * 4)); /* four equal shares */
    }
    syn_ctx one;
    assert_ok(syn_ctx_init(&one, SYN_DEVICE_CPU, 1));
    assert_ok(
        syn_policy_sample(&one, N, A, logit, mask, false, 7, counter, again, logp, NULL, NULL));
    assert_memory_equal(action, again, sizeof action);
    syn_ctx_free(&one);
}

static void greedy_takes_the_first_of_the_largest(void **state)
{
    enum { A = 6 };
    const real logit[3 * A] = {1, 5, 2, 5, 5, 0, 9, 1, 1, 1, 1, 1, -8, -8, -8, -8, -8, -8};
    const uint8_t mask[3 * A] = {1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1};
    int32_t action[3];
    real logp[3];
    assert_ok(syn_policy_sample(&ctx, 3, A, logit, mask, true, 0, NULL, action, logp, NULL, NULL));
    assert_int_equal(action[0], 1);
    assert_int_equal(action[1], 2); /* the largest is not legal */
    assert_int_equal(action[2], 5);
    assert_true(fabs((double)logp[1] - log(0.25)) < 1e-6);
    assert_true(logp[2] == 0);
}

static void a_row_without_legal_actions_gives_minus_one(void **state)
{
    const real logit[3] = {1, 2, 3};
    const uint8_t mask[3] = {0, 0, 0};
    const uint64_t counter[1] = {0};
    for (int greedy = 0; greedy < 2; greedy++) {
        int32_t action = 9;
        real logp = 9, entropy = 9, prob[3] = {9, 9, 9};
        assert_ok(syn_policy_sample(&ctx, 1, 3, logit, mask, greedy, 1, counter, &action, &logp,
                                    &entropy, prob));
        assert_int_equal(action, -1);
        assert_true(logp == 0 && entropy == 0);
        assert_true(prob[0] == 0 && prob[1] == 0 && prob[2] == 0);
    }
}

static void large_logits_do_not_overflow(void **state)
{
    const real logit[3] = {1e30f, -1e30f, 1e30f};
    const uint8_t mask[3] = {1, 1, 1};
    const uint64_t counter[1] = {3};
    int32_t action;
    real logp, entropy;
    assert_ok(syn_policy_sample(&ctx, 1, 3, logit, mask, false, 1, counter, &action, &logp,
                                &entropy, NULL));
    assert_true(action == 0 || action == 2);
    assert_true(fabs((double)logp + log(2)) < 1e-6 && fabs((double)entropy - log(2)) < 1e-5);
}

static void logits_that_are_no_numbers_still_give_a_legal_action(void **state)
{
    const real logit[2][4] = {{NAN, NAN, NAN, NAN}, {-INFINITY, -INFINITY, -INFINITY, -INFINITY}};
    const uint8_t mask[4] = {0, 1, 1, 0};
    const uint64_t counter[1] = {3};
    for (int i = 0; i < 4; i++) {
        int32_t action;
        real logp;
        assert_ok(syn_policy_sample(&ctx, 1, 4, logit[i % 2], mask, i / 2, 1, counter, &action,
                                    &logp, NULL, NULL));
        assert_true(action == 1 || action == 2);
        assert_false(isfinite(logp));
    }
}

static void impossible_calls_are_refused(void **state)
{
    real logit[1] = {0}, logp[1];
    uint8_t mask[1] = {1};
    int32_t action[1];
    assert_int_equal(
        syn_policy_sample(&ctx, 1, 0, logit, mask, true, 1, NULL, action, logp, NULL, NULL),
        SYN_ERR_INVALID);
    assert_int_equal(
        syn_policy_sample(&ctx, 1, 1, logit, mask, false, 1, NULL, action, logp, NULL, NULL),
        SYN_ERR_INVALID);
    assert_ok(syn_policy_sample(&ctx, 0, 1, logit, mask, false, 1, NULL, action, logp, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_the_masked_softmax_and_its_entropy),
        cmocka_unit_test(frequencies_follow_the_probabilities),
        cmocka_unit_test(the_draw_is_the_documented_one),
        cmocka_unit_test(greedy_takes_the_first_of_the_largest),
        cmocka_unit_test(a_row_without_legal_actions_gives_minus_one),
        cmocka_unit_test(large_logits_do_not_overflow),
        cmocka_unit_test(logits_that_are_no_numbers_still_give_a_legal_action),
        cmocka_unit_test(impossible_calls_are_refused),
    };
    return cmocka_run_group_tests_name("test_sample", tests, context_open, context_close);
}
