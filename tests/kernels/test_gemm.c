/* The matrix product and the elementwise functions, in the product's precision. */
#include "kernels/base/rng.h"
#include "kernels/base/vecmath.h"
#include "kernels/gemm.h"
#include "tests/test.h"

static real *random_matrix(int64_t rows, int64_t ld, uint64_t seed)
{
    syn_rng rng = syn_rng_make(seed, SYN_STREAM_TEST);
    real *p = malloc(sizeof *p * (size_t)(rows * ld + 1));
    assert_non_null(p);
    for (int64_t i = 0; i < rows * ld; i++) p[i] = 2 * syn_rng_uniform(&rng) - 1;
    return p;
}

/* One product against the triple loop in double; the strides are wider than the rows. */
static void check(syn_ctx *ctx, bool ta, bool tb, int64_t m, int64_t n, int64_t k, real alpha,
                  real beta)
{
    int64_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2;
    real *a = random_matrix(ta ? k : m, lda, 1), *b = random_matrix(tb ? n : k, ldb, 2);
    real *c = random_matrix(m, ldc, 3), *before = random_matrix(m, ldc, 3);
    if (beta == 0)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) c[i * ldc + j] = NAN; /* must not be read */
    assert_ok(syn_gemm(ctx, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)(ta ? a[p * lda + i] : a[i * lda + p]) *
                       (double)(tb ? b[j * ldb + p] : b[p * ldb + j]);
            double want = alpha * sum + (beta == 0 ? 0 : beta * before[i * ldc + j]);
            double got = c[i * ldc + j];
            if (!(fabs(got - want) <= 1e-6 * (8 + sqrt((double)k)) * fmax(1, fabs(want))))
                fail_msg("%d%d %lldx%lldx%lld at %lld,%lld: %.9g, not %.9g", ta, tb, (long long)m,
                         (long long)n, (long long)k, (long long)i, (long long)j, got, want);
        }
        for (int64_t j = n; j < ldc; j++) assert_true(c[i * ldc + j] == before[i * ldc + j]);
    }
    free(a);
    free(b);
    free(c);
    free(before);
}

static void products_match_the_triple_loop(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 1},    {1, 33, 17},    {5, 64, 64},    {7, 65, 129},
                                       {66, 63, 31}, {70, 200, 300}, {130, 70, 513}, {300, 33, 40}};
    for (int threads = 1; threads <= 2; threads++) {
        syn_ctx ctx;
        assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, threads));
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (int t = 0; t < 4; t++) {
                const int64_t *z = sizes[s];
                check(&ctx, t & 1, t & 2, z[0], z[1], z[2], 1, 0);
                check(&ctx, t & 1, t & 2, z[0], z[1], z[2], (real)0.5, 1);
                check(&ctx, t & 1, t & 2, z[0], z[1], z[2], -1, (real)-0.25);
            }
        }
        syn_ctx_free(&ctx);
    }
}

static void an_empty_sum_leaves_beta_c(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    real c[2] = {3, NAN}, a = 0;
    assert_ok(syn_gemm(&ctx, false, false, 1, 1, 0, 1, &a, 1, &a, 1, 2, c, 1));
    assert_true(c[0] == 6);
    assert_ok(syn_gemm(&ctx, false, false, 1, 2, 0, 1, &a, 1, &a, 2, 0, c, 2));
    assert_true(c[0] == 0 && c[1] == 0);
    assert_ok(syn_gemm(&ctx, false, false, 0, 5, 7, 1, NULL, 7, &a, 5, 0, NULL, 5));
    syn_ctx_free(&ctx);
}

static void malformed_products_are_refused(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    real a[4] = {0};
    assert_int_equal(syn_gemm(&ctx, false, false, 2, 2, 2, 1, a, 1, a, 2, 0, a, 2),
                     SYN_ERR_INVALID);
    assert_int_equal(syn_gemm(&ctx, false, false, -1, 2, 2, 1, a, 2, a, 2, 0, a, 2),
                     SYN_ERR_INVALID);
    assert_int_equal(syn_gemm(&ctx, false, false, 2, 2, 2, 1, NULL, 2, a, 2, 0, a, 2),
                     SYN_ERR_INVALID);
    syn_ctx_free(&ctx);
}

static double relative(double got, double want)
{
    return want == 0 ? fabs(got) : fabs(got - want) / fabs(want);
}

static void elementwise_functions_are_accurate(void **state)
{
    double worst = 0;
    for (int i = 0; i <= 400000; i++) {
        float x = i % 2 ? (float)i / 400000 * 170 - 85 : (float)pow(10, i / 40000.0 - 8.5);
        worst = fmax(worst, relative(syn_exp(-x), exp(-(double)fminf(x, 85))) * (x <= 85));
        worst = fmax(worst, relative(syn_tanh(x), tanh((double)x)));
        worst = fmax(worst, relative(syn_sigmoid(x), 1 / (1 + exp(-(double)x))));
    }
    if (!(worst < 2e-7)) fail_msg("largest relative error %.3g", worst);
}

static void elementwise_functions_keep_their_limits(void **state)
{
    assert_true(syn_tanh(INFINITY) == 1 && syn_tanh(-INFINITY) == -1 && syn_tanh(0) == 0);
    assert_true(syn_sigmoid(INFINITY) == 1 && syn_sigmoid(-INFINITY) < 1e-37f);
    assert_true(syn_sigmoid(0) == 0.5f && syn_exp(0) == 1 && syn_exp(-1000) < 1e-37f);
    assert_true(isfinite(syn_exp(1000)));
    assert_true(isnan(syn_exp(NAN)) && isnan(syn_tanh(NAN)) && isnan(syn_sigmoid(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_the_triple_loop),
        cmocka_unit_test(an_empty_sum_leaves_beta_c),
        cmocka_unit_test(malformed_products_are_refused),
        cmocka_unit_test(elementwise_functions_are_accurate),
        cmocka_unit_test(elementwise_functions_keep_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
