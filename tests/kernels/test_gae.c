/* Advantages against their definition as a sum, and normalisation. */
#include "kernels/gae.h"
#include "tests/kernels/random.h"

enum { T = 23, E = 131 };

typedef struct rollout {
    real reward[T * E], value[(T + 1) * E], advantage[T * E], ret[T * E];
    uint8_t done[T * E];
} rollout;

static rollout *rollout_create(void)
{
    rollout *r = calloc(1, sizeof *r);
    assert_non_null(r);
    random_fill(1, T * E, -2, 2, r->reward);
    random_fill(2, (T + 1) * E, -5, 5, r->value);
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    for (int i = 0; i < T * E; i++) r->done[i] = syn_rng_below(&rng, 6) == 0 ? 255 : 0;
    return r;
}

static void compute(rollout *r, int threads, double lambda)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, threads));
    assert_ok(syn_gae(&ctx, T, E, r->reward, r->value, r->done, (real)0.97, (real)lambda,
                      r->advantage, r->ret));
    syn_ctx_free(&ctx);
}

/* sum_l (gamma lambda)^l delta[t+l], up to the end of the episode or of the roll-out. */
static double advantage_by_definition(const rollout *r, int t, int e, double gamma, double lambda)
{
    double sum = 0, weight = 1;
    for (int k = t; k < T; k++) {
        bool done = r->done[k * E + e] != 0;
        double next = done ? 0 : (double)r->value[(k + 1) * E + e];
        sum += weight * ((double)r->reward[k * E + e] + gamma * next - (double)r->value[k * E + e]);
        if (done) break;
        weight *= gamma * lambda;
    }
    return sum;
}

static void advantages_are_the_weighted_sums_of_their_definition(void **state)
{
    const double lambdas[] = {0, 0.9, 1};
    for (int l = 0; l < 3; l++) {
        rollout *r = rollout_create();
        compute(r, 2, lambdas[l]);
        for (int t = 0; t < T; t++)
            for (int e = 0; e < E; e++) {
                double expected = advantage_by_definition(r, t, e, 0.97, lambdas[l]);
                assert_true(fabs((double)r->advantage[t * E + e] - expected) < 5e-5);
                expected += (double)r->value[t * E + e];
                assert_true(fabs((double)r->ret[t * E + e] - expected) < 5e-5);
            }
        free(r);
    }
}

static void nothing_leaks_over_the_end_of_an_episode(void **state)
{
    rollout *a = rollout_create(), *b = rollout_create();
    for (int e = 0; e < E; e++) a->done[10 * E + e] = b->done[10 * E + e] = 1;
    for (int i = 11 * E; i < T * E; i++) b->reward[i] = b->value[i] = 1000;
    compute(a, 1, 0.9);
    compute(b, 1, 0.9);
    assert_memory_equal(a->advantage, b->advantage, sizeof(real) * 11 * E);
    free(a);
    free(b);
}

static void advantages_are_bit_equal_for_any_number_of_threads(void **state)
{
    rollout *a = rollout_create(), *b = rollout_create();
    compute(a, 1, 0.9);
    compute(b, 3, 0.9);
    assert_memory_equal(a->advantage, b->advantage, sizeof a->advantage);
    assert_memory_equal(a->ret, b->ret, sizeof a->ret);
    free(a);
    free(b);
}

static void the_advantage_may_replace_the_reward(void **state)
{
    rollout *a = rollout_create(), *b = rollout_create();
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_gae(&ctx, T, E, a->reward, a->value, a->done, 0.97f, 0.9f, a->reward, a->ret));
    compute(b, 1, 0.9);
    assert_memory_equal(a->reward, b->advantage, sizeof b->advantage);
    assert_ok(syn_gae(&ctx, 0, E, a->reward, a->value, a->done, 0.97f, 0.9f, a->reward, a->ret));
    assert_int_equal(syn_gae(&ctx, -1, E, a->reward, a->value, a->done, 1, 1, a->reward, a->ret),
                     SYN_ERR_INVALID);
    syn_ctx_free(&ctx);
    free(a);
    free(b);
}

static void normalising_gives_mean_zero_and_deviation_one(void **state)
{
    enum { N = 20001 };
    real *x[2];
    for (int run = 0; run < 2; run++) {
        syn_ctx ctx;
        assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, run ? 3 : 1));
        x[run] = real_alloc(N);
        random_fill(4, N, 900, 1000, x[run]); /* far from zero: one pass in float would lose it */
        assert_ok(syn_normalise(&ctx, N, x[run]));
        syn_ctx_free(&ctx);
    }
    assert_memory_equal(x[0], x[1], sizeof(real) * N);
    double sum = 0, square = 0;
    for (int i = 0; i < N; i++) {
        sum += (double)x[0][i];
        square += (double)x[0][i] * (double)x[0][i];
    }
    assert_true(fabs(sum / N) < 1e-5 && fabs(square / N - 1) < 1e-5);
    free(x[0]);
    free(x[1]);
}

static void normalising_equal_elements_gives_zeros(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    real x[3] = {4, 4, 4};
    assert_ok(syn_normalise(&ctx, 3, x));
    assert_true(x[0] == 0 && x[1] == 0 && x[2] == 0);
    x[0] = 7;
    assert_ok(syn_normalise(&ctx, 1, x));
    assert_true(x[0] == 0);
    assert_ok(syn_normalise(&ctx, 0, x));
    syn_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advantages_are_the_weighted_sums_of_their_definition),
        cmocka_unit_test(nothing_leaks_over_the_end_of_an_episode),
        cmocka_unit_test(advantages_are_bit_equal_for_any_number_of_threads),
        cmocka_unit_test(the_advantage_may_replace_the_reward),
        cmocka_unit_test(normalising_gives_mean_zero_and_deviation_one),
        cmocka_unit_test(normalising_equal_elements_gives_zeros),
    };
    return cmocka_run_group_tests_name("test_gae", tests, NULL, NULL);
}
