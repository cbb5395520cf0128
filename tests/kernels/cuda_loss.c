/* Losses and advantages on the device beside the CPU's. */
#include "kernels/gae.h"
#include "kernels/loss.h"
#include "tests/kernels/twins.h"

static void cross_entropy_matches(void **state)
{
    static const int64_t sizes[] = {0, 1, 33, 3000};
    for (int i = 0; i < 8; i++) {
        twins t;
        twins_begin(&t);
        const int64_t n = sizes[i / 2], ld = i % 2 + 1;
        real *logit_host = random_real(1, n * ld), *weight_host = random_real(3, n);
        for (int64_t k = 0; k < n; k++) logit_host[k * ld] *= k % 5 ? 3 : 60;
        for (int64_t k = 0; k < n; k += 4) {
            weight_host[k] = 0; /* counts nothing, whatever its logit */
            logit_host[k * ld] = NAN;
        }
        twin logit = twin_of(&t, logit_host, n * ld), weight = twin_of(&t, weight_host, n);
        twin target = twin_random(&t, 2, n), loss = twin_random(&t, 4, 1);
        twin dlogit = twin_random(&t, 5, n * ld);
        assert_ok(syn_bce_forward_backward(&t.cpu, n, logit.cpu, ld, target.cpu, weight.cpu, 0.3f,
                                           dlogit.cpu, loss.cpu));
        assert_ok(syn_bce_forward_backward(&t.gpu, n, logit.gpu, ld, target.gpu, weight.gpu, 0.3f,
                                           dlogit.gpu, loss.gpu));
        twin_expect(&t, CUDA_FP32, dlogit, "cross-entropy of %lld: dlogit", (long long)n);
        twin_expect(&t, CUDA_FP32, loss, "cross-entropy of %lld: loss", (long long)n);
        twins_end(&t);
    }
}

static void infonce_matches(void **state)
{
    static const int64_t sizes[] = {1, 7, 33, 300};
    for (int i = 0; i < 4; i++) {
        twins t;
        twins_begin(&t);
        const int64_t n = sizes[i], D = 11;
        twin u = twin_random(&t, 1, n * D), v = twin_random(&t, 2, n * D);
        twin du = twin_poisoned(&t, n * D), dv = twin_poisoned(&t, n * D);
        twin loss = twin_random(&t, 3, 1), accuracy = twin_random(&t, 4, 1);
        assert_ok(syn_infonce_forward_backward(&t.cpu, n, D, u.cpu, v.cpu, 0.4f, du.cpu, dv.cpu,
                                               loss.cpu, accuracy.cpu));
        assert_ok(syn_infonce_forward_backward(&t.gpu, n, D, u.gpu, v.gpu, 0.4f, du.gpu, dv.gpu,
                                               loss.gpu, accuracy.gpu));
        twin_expect(&t, CUDA_FP32, du, "InfoNCE of %lld: du", (long long)n);
        twin_expect(&t, CUDA_FP32, dv, "InfoNCE of %lld: dv", (long long)n);
        twin_expect(&t, CUDA_FP32, loss, "InfoNCE of %lld: loss", (long long)n);
        twin_expect(&t, CUDA_FP32, accuracy, "InfoNCE of %lld: accuracy", (long long)n);
        twins_end(&t);
    }
}

/* Ratios on both sides of the clip, values on both sides of theirs, rows that do not count, actions
 * that are none. */
static void ppo(twins *t, int64_t n, int64_t A, bool with_valid, real value_clip)
{
    uint8_t *mask = malloc((size_t)(n * A + 1)), *valid = malloc((size_t)n + 1);
    int32_t *action = malloc(sizeof *action * (size_t)(n + 1));
    assert_true(mask && valid && action);
    syn_rng rng = syn_rng_make(5, SYN_STREAM_TEST);
    for (int64_t i = 0; i < n * A; i++) mask[i] = (uint8_t)syn_rng_below(&rng, 3);
    for (int64_t i = 0; i < n; i++) {
        valid[i] = i % 6 != 2;
        action[i] = i % 9 == 3 ? -1 : (int32_t)syn_rng_below(&rng, (uint32_t)A);
        if (i % 9 == 5) memset(mask + i * A, 0, (size_t)A);
    }
    const syn_ppo_coef coef = {(real)0.2, (real)0.01, (real)0.5, value_clip};
    real *logp_host = random_real(2, n);
    for (int64_t i = 0; i < n; i++) logp_host[i] = (real)(logp_host[i] - log((double)A));
    twin logit = twin_random(t, 1, n * A), logp_old = twin_of(t, logp_host, n);
    twin advantage = twin_random(t, 3, n), value = twin_random(t, 4, n), ret = twin_random(t, 6, n);
    twin value_old = twin_random(t, 5, n), stats = twin_random(t, 7, SYN_PPO_STATS);
    twin dlogit = twin_poisoned(t, n * A), dvalue = twin_poisoned(t, n);
    twin again = twin_random(t, 7, SYN_PPO_STATS);
    const uint8_t *valid_gpu = twin_list(t, valid, n), *mask_gpu = twin_list(t, mask, n * A);
    const int32_t *action_gpu = twin_list(t, action, n);
    const syn_ppo_coef *coef_gpu = twin_list(t, &coef, 1);
    const real scale = n ? 1 / (real)n : 1;
    assert_ok(syn_ppo_loss(&t->cpu, n, A, logit.cpu, mask, action, logp_old.cpu, advantage.cpu,
                           value.cpu, value_clip > 0 ? value_old.cpu : NULL, ret.cpu,
                           with_valid ? valid : NULL, &coef, scale, dlogit.cpu, dvalue.cpu,
                           stats.cpu));
    for (int k = 0; k < 2; k++)
        assert_ok(syn_ppo_loss(&t->gpu, n, A, logit.gpu, mask_gpu, action_gpu, logp_old.gpu,
                               advantage.gpu, value.gpu, value_clip > 0 ? value_old.gpu : NULL,
                               ret.gpu, with_valid ? valid_gpu : NULL, coef_gpu, scale, dlogit.gpu,
                               dvalue.gpu, k ? again.gpu : stats.gpu));
    twin_expect(t, CUDA_FP32, dlogit, "PPO, n %lld, A %lld: dlogit", (long long)n, (long long)A);
    twin_expect(t, CUDA_FP32, dvalue, "PPO, n %lld, A %lld: dvalue", (long long)n, (long long)A);
    twin_expect(t, CUDA_FP32, stats, "PPO, n %lld, A %lld: stats", (long long)n, (long long)A);
    twin_expect_same(t, stats, again, "PPO again: stats");
    free(mask);
    free(valid);
    free(action);
}

static void ppo_matches(void **state)
{
    twins t;
    twins_begin(&t);
    ppo(&t, 150, 33, true, (real)0.2);
    ppo(&t, 64, 202, false, 0);
    ppo(&t, 1, 1, false, (real)0.1);
    ppo(&t, 0, 5, true, 0);
    twins_end(&t);
}

static void advantages_match(void **state)
{
    static const int64_t steps[] = {0, 1, 7, 16}, envs[] = {3, 1, 65, 130};
    for (int i = 0; i < 4; i++) {
        twins t;
        twins_begin(&t);
        const int64_t T = steps[i], E = envs[i];
        uint8_t *done = malloc((size_t)(T * E + 1));
        assert_non_null(done);
        for (int64_t k = 0; k < T * E; k++) done[k] = k % 5 == 0;
        const uint8_t *done_gpu = twin_list(&t, done, T * E);
        twin reward = twin_random(&t, 1, T * E), value = twin_random(&t, 2, (T + 1) * E);
        twin ret = twin_poisoned(&t, T * E);
        assert_ok(syn_gae(&t.cpu, T, E, reward.cpu, value.cpu, done, 0.97f, 0.9f, reward.cpu,
                          ret.cpu)); /* the advantage in the place of the reward */
        assert_ok(syn_gae(&t.gpu, T, E, reward.gpu, value.gpu, done_gpu, 0.97f, 0.9f, reward.gpu,
                          ret.gpu));
        twin_expect(&t, CUDA_FP32, reward, "%lld steps: advantages", (long long)T);
        twin_expect(&t, CUDA_FP32, ret, "%lld steps: returns", (long long)T);
        free(done);
        twins_end(&t);
    }
}

static void normalising_matches(void **state)
{
    static const int64_t sizes[] = {0, 1, 33, 9000};
    for (int i = 0; i < 4; i++) {
        twins t;
        twins_begin(&t);
        twin x = twin_random(&t, 1, sizes[i]), same = twin_random(&t, 1, sizes[i]);
        assert_ok(syn_normalise(&t.cpu, sizes[i], x.cpu));
        assert_ok(syn_normalise(&t.gpu, sizes[i], x.gpu));
        assert_ok(syn_normalise(&t.gpu, sizes[i], same.gpu));
        twin_expect(&t, CUDA_FP32, x, "normalised %lld", (long long)sizes[i]);
        twin_expect_same(&t, x, same, "normalised again");
        twins_end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_matches), cmocka_unit_test(infonce_matches),
        cmocka_unit_test(ppo_matches),           cmocka_unit_test(advantages_match),
        cmocka_unit_test(normalising_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
