/* The gradient norm and AdamW against scalar references. */
#include "kernels/optim.h"
#include "tests/kernels/random.h"

enum { N = 10007, STEPS = 5, ROWS = 20, D = 37 };

/* One parameter, in double, as the paper writes it. */
typedef struct scalar {
    double p, m, v;
} scalar;

static void scalar_step(scalar *s, double g, int step)
{
    const double lr = 0.01, beta1 = 0.9, beta2 = 0.99, eps = 1e-6, decay = 0.1;
    g *= 0.5;
    s->m = beta1 * s->m + (1 - beta1) * g;
    s->v = beta2 * s->v + (1 - beta2) * g * g;
    double m = s->m / (1 - pow(beta1, step)), v = s->v / (1 - pow(beta2, step));
    s->p = s->p - lr * decay * s->p - lr * m / (sqrt(v) + eps);
}

typedef struct slab {
    syn_ctx ctx;
    real p[N], g[N], m[N], v[N];
} slab;

static slab *slab_create(int threads)
{
    slab *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_ok(syn_ctx_init(&s->ctx, SYN_DEVICE_CPU, threads));
    random_fill(1, N, -1, 1, s->p);
    return s;
}

static void slab_free(slab *s)
{
    syn_ctx_free(&s->ctx);
    free(s);
}

static void slab_steps(slab *s)
{
    for (int step = 1; step <= STEPS; step++) {
        random_fill(100 + (uint64_t)step, N, -3, 3, s->g);
        assert_ok(syn_adamw(&s->ctx, N, s->p, s->g, s->m, s->v, 0.01f, 0.9f, 0.99f, 1e-6f, 0.1f,
                            step, 0.5f));
    }
}

static void adamw_follows_the_scalar_reference(void **state)
{
    slab *s = slab_create(2), *g = slab_create(1);
    slab_steps(s);
    scalar *reference = calloc(N, sizeof *reference);
    assert_non_null(reference);
    for (int i = 0; i < N; i++) reference[i].p = (double)g->p[i];
    for (int step = 1; step <= STEPS; step++) {
        random_fill(100 + (uint64_t)step, N, -3, 3, g->g);
        for (int i = 0; i < N; i++) scalar_step(&reference[i], (double)g->g[i], step);
    }
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)s->p[i] - reference[i].p) < 2e-6);
        assert_true(fabs((double)s->m[i] - reference[i].m) < 2e-6);
        assert_true(fabs((double)s->v[i] - reference[i].v) < 2e-6);
    }
    free(reference);
    slab_free(s);
    slab_free(g);
}

static void the_first_step_has_the_size_of_the_learning_rate(void **state)
{
    slab *s = slab_create(1);
    const real before = s->p[3];
    s->g[3] = (real)1e-3;
    assert_ok(syn_adamw(&s->ctx, N, s->p, s->g, s->m, s->v, 0.01f, 0.9f, 0.999f, 0, 0, 1, 1));
    assert_true(fabs((double)(before - s->p[3]) - 0.01) < 1e-6);
    slab_free(s);
}

static void adamw_is_bit_equal_for_any_number_of_threads(void **state)
{
    slab *one = slab_create(1), *three = slab_create(3);
    slab_steps(one);
    slab_steps(three);
    assert_memory_equal(one->p, three->p, sizeof one->p);
    assert_memory_equal(one->v, three->v, sizeof one->v);
    slab_free(one);
    slab_free(three);
}

static void rows_that_are_listed_step_and_others_rest(void **state)
{
    slab *all = slab_create(1), *some = slab_create(2), *start = slab_create(1);
    const int32_t row[3] = {17, 2, 9};
    for (int step = 1; step <= STEPS; step++) {
        random_fill(100 + (uint64_t)step, N, -3, 3, all->g);
        assert_ok(syn_adamw(&all->ctx, ROWS * D, all->p, all->g, all->m, all->v, 0.01f, 0.9f, 0.99f,
                            1e-6f, 0.1f, step, 0.5f));
        assert_ok(syn_adamw_rows(&some->ctx, 3, row, D, some->p, all->g, some->m, some->v, 0.01f,
                                 0.9f, 0.99f, 1e-6f, 0.1f, step, 0.5f));
    }
    for (int i = 0; i < N; i++) {
        int r = i / D;
        bool listed = r == 17 || r == 2 || r == 9;
        double expected = (double)(listed ? all->p[i] : start->p[i]);
        assert_true(fabs((double)some->p[i] - expected) < 1e-6);
        if (!listed) assert_true(some->m[i] == 0 && some->v[i] == 0);
    }
    slab_free(all);
    slab_free(some);
    slab_free(start);
}

static void the_norm_is_exact_in_a_fixed_order(void **state)
{
    slab *one = slab_create(1), *three = slab_create(3);
    random_fill(9, N, -1e3, 1e3, one->g);
    memcpy(three->g, one->g, sizeof one->g);
    double sum = 0;
    for (int i = 0; i < N; i++) sum += (double)one->g[i] * (double)one->g[i];
    real a = -1, b = -1;
    assert_ok(syn_grad_norm(&one->ctx, N, one->g, &a));
    assert_ok(syn_grad_norm(&three->ctx, N, three->g, &b));
    assert_true(fabs((double)a / sqrt(sum) - 1) < 1e-6);
    assert_memory_equal(&a, &b, sizeof a);
    assert_ok(syn_grad_norm(&one->ctx, 0, one->g, &a));
    assert_true(a == 0);
    slab_free(one);
    slab_free(three);
}

static void a_norm_of_something_infinite_is_not_finite(void **state)
{
    slab *s = slab_create(2);
    real norm = 0;
    s->g[N - 1] = INFINITY;
    assert_ok(syn_grad_norm(&s->ctx, N, s->g, &norm));
    assert_false(isfinite(norm));
    s->g[N - 1] = NAN;
    assert_ok(syn_grad_norm(&s->ctx, N, s->g, &norm));
    assert_false(isfinite(norm));
    slab_free(s);
}

static void step_zero_and_bad_betas_are_refused(void **state)
{
    slab *s = slab_create(1);
    assert_int_equal(
        syn_adamw(&s->ctx, N, s->p, s->g, s->m, s->v, 0.01f, 0.9f, 0.99f, 1e-6f, 0, 0, 1),
        SYN_ERR_INVALID);
    assert_int_equal(syn_adamw(&s->ctx, N, s->p, s->g, s->m, s->v, 0.01f, 1, 0.99f, 1e-6f, 0, 1, 1),
                     SYN_ERR_INVALID);
    slab_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_follows_the_scalar_reference),
        cmocka_unit_test(the_first_step_has_the_size_of_the_learning_rate),
        cmocka_unit_test(adamw_is_bit_equal_for_any_number_of_threads),
        cmocka_unit_test(rows_that_are_listed_step_and_others_rest),
        cmocka_unit_test(the_norm_is_exact_in_a_fixed_order),
        cmocka_unit_test(a_norm_of_something_infinite_is_not_finite),
        cmocka_unit_test(step_zero_and_bad_betas_are_refused),
    };
    return cmocka_run_group_tests_name("test_optim", tests, NULL, NULL);
}
