/* Drawing of actions on the device: on equal logits the CPU's actions, always. */
#include "kernels/sample.h"
#include "tests/kernels/twins.h"

enum { ROWS_MAX = 200, A_MAX = 202 };

typedef struct drawn {
    int32_t action[ROWS_MAX];
} drawn;

static void sample(twins *t, int64_t n, int64_t A, const real *logit, const uint8_t *mask,
                   bool greedy, bool all_outputs, const char *name)
{
    uint64_t counter[ROWS_MAX];
    drawn cpu, gpu;
    for (int i = 0; i < ROWS_MAX; i++) counter[i] = (uint64_t)i * 0x100000001ull + 17;
    memset(&cpu, 0x77, sizeof cpu);
    gpu = cpu;
    real *logit_gpu = twin_list(t, logit, n * A);
    uint8_t *mask_gpu = twin_list(t, mask, n * A);
    uint64_t *counter_gpu = twin_list(t, counter, ROWS_MAX);
    drawn *drawn_gpu = twin_list(t, &gpu, 1);
    twin logp = twin_poisoned(t, n), entropy = twin_poisoned(t, n), prob = twin_poisoned(t, n * A);
    assert_ok(syn_policy_sample(&t->cpu, n, A, logit, mask, greedy, 9, counter, cpu.action,
                                logp.cpu, all_outputs ? entropy.cpu : NULL,
                                all_outputs ? prob.cpu : NULL));
    assert_ok(syn_policy_sample(&t->gpu, n, A, logit_gpu, mask_gpu, greedy, 9, counter_gpu,
                                drawn_gpu->action, logp.gpu, all_outputs ? entropy.gpu : NULL,
                                all_outputs ? prob.gpu : NULL));
    expect_equal_device(&t->gpu, 1, &cpu, drawn_gpu, "%s, A %lld: actions", name, (long long)A);
    twin_expect(t, CUDA_FP32, logp, "%s, A %lld: logp", name, (long long)A);
    twin_expect(t, CUDA_FP32, entropy, "%s, A %lld: entropy", name, (long long)A);
    twin_expect(t, CUDA_FP32, prob, "%s, A %lld: prob", name, (long long)A);
}

static void actions_are_equal(void **state)
{
    static const int64_t widths[] = {1, 2, 31, 32, 33, 101, A_MAX};
    static uint8_t mask[ROWS_MAX * A_MAX];
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        const int64_t A = widths[k], n = ROWS_MAX - (int64_t)k;
        syn_rng rng = syn_rng_make(k, SYN_STREAM_TEST);
        for (int64_t i = 0; i < n * A; i++)
            mask[i] =
                (uint8_t)(i / A % 5 ? syn_rng_below(&rng, 3) : i / A % 2); /* some all, some none */
        real *logit = random_real(k + 1, n * A);
        for (int64_t i = 0; i < n * A; i++) logit[i] *= (real)(i / A % 30);
        for (int greedy = 0; greedy < 2; greedy++) {
            twins t;
            twins_begin(&t);
            sample(&t, n, A, logit, mask, greedy, k % 2, greedy ? "greedy" : "drawn");
            twins_end(&t);
        }
        free(logit);
    }
}

/* Ties, and logits that no exp can tell apart or that are not numbers. */
static void odd_logits_give_equal_actions(void **state)
{
    enum { N = 6, A = 70 };
    static real logit[N * A];
    uint8_t mask[N * A];
    memset(mask, 1, sizeof mask);
    for (int a = 0; a < A; a++) {
        logit[0 * A + a] = 2;
        logit[1 * A + a] = (real)(a % 7);
        logit[2 * A + a] = a == 40 ? NAN : (real)-a;
        logit[3 * A + a] = a == 0 ? NAN : (real)a;
        logit[4 * A + a] = a % 2 ? -INFINITY : 1000;
        logit[5 * A + a] = a == 13 || a == 50 ? INFINITY : 0;
    }
    mask[0] = mask[A] = 0;
    mask[2 * A + 33] = 0;
    for (int greedy = 0; greedy < 2; greedy++) {
        twins t;
        twins_begin(&t);
        sample(&t, N, A, logit, mask, greedy, true, "odd logits");
        twins_end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_are_equal),
        cmocka_unit_test(odd_logits_give_equal_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
