/* Matrix products, linear layers and column sums on the device beside the CPU's. */
#include "kernels/gemm.h"
#include "kernels/linear.h"
#include "kernels/reduce.h"
#include "tests/kernels/twins.h"

static const struct {
    int64_t m, n, k;
} SHAPES[] = {{1, 1, 1},   {7, 5, 3},    {33, 31, 65}, {1, 40, 33},
              {40, 1, 16}, {64, 64, 32}, {70, 66, 80}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static void product(twins *t, bool ta, bool tb, int64_t m, int64_t n, int64_t k, real alpha,
                    real beta, int64_t gap, double bound)
{
    const int64_t lda = (ta ? m : k) + gap, ldb = (tb ? k : n) + gap, ldc = n + gap;
    twin a = twin_random(t, 1, (ta ? k : m) * lda), b = twin_random(t, 2, (tb ? n : k) * ldb);
    twin c = beta == 0 ? twin_poisoned(t, m * ldc) : twin_random(t, 3, m * ldc);
    assert_ok(syn_gemm(&t->cpu, ta, tb, m, n, k, alpha, a.cpu, lda, b.cpu, ldb, beta, c.cpu, ldc));
    assert_ok(syn_gemm(&t->gpu, ta, tb, m, n, k, alpha, a.gpu, lda, b.gpu, ldb, beta, c.gpu, ldc));
    twin_expect(t, bound, c, "product %lld x %lld x %lld, ta %d, tb %d, gap %lld", (long long)m,
                (long long)n, (long long)k, ta, tb, (long long)gap);
}

static void products_match(void **state)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        twins t;
        twins_begin(&t);
        for (int form = 0; form < 4; form++) {
            const int64_t gap = i % 2 ? 3 : 0;
            product(&t, form & 1, form & 2, SHAPES[i].m, SHAPES[i].n, SHAPES[i].k, 1, 0, gap,
                    CUDA_FP32);
            product(&t, form & 1, form & 2, SHAPES[i].m, SHAPES[i].n, SHAPES[i].k, (real)-0.5, 2,
                    gap, CUDA_FP32);
        }
        t.gpu.math = SYN_MATH_MIXED;
        product(&t, false, true, SHAPES[i].m, SHAPES[i].n, SHAPES[i].k, 1, 1, 0, CUDA_TF32);
        twins_end(&t);
    }
}

/* A sum over nothing is 0; what C held counts only with beta, and columns beyond n are nobody's. */
static void empty_products_scale(void **state)
{
    twins t;
    twins_begin(&t);
    product(&t, false, false, 5, 7, 0, 1, 0, 2, CUDA_FP32);
    product(&t, false, true, 5, 7, 0, 1, 2, 2, CUDA_FP32);
    product(&t, false, false, 4, 3, 6, 0, 0, 0, CUDA_FP32);
    product(&t, true, false, 0, 3, 6, 1, 0, 0, CUDA_FP32);
    product(&t, true, false, 3, 0, 6, 1, 0, 0, CUDA_FP32);
    twins_end(&t);
}

/* Any address of a float will do, and more shapes than are kept at a time. */
static void products_take_any_address_and_many_shapes(void **state)
{
    twins t;
    twins_begin(&t);
    enum { M = 9, N = 12, K = 16, MANY = 1100 };
    twin a = twin_random(&t, 1, MANY * K + 1), b = twin_random(&t, 2, N * K + 2);
    twin c = twin_poisoned(&t, MANY * N + 3);
    for (int shift = 0; shift < 4; shift++) {
        assert_ok(syn_gemm(&t.cpu, false, true, M, N, K, 1, a.cpu + shift % 2, K, b.cpu + shift / 2,
                           K, 0, c.cpu + shift, N));
        assert_ok(syn_gemm(&t.gpu, false, true, M, N, K, 1, a.gpu + shift % 2, K, b.gpu + shift / 2,
                           K, 0, c.gpu + shift, N));
        twin_expect(&t, CUDA_FP32, c, "product at address %d", shift);
    }
    for (int m = 1; m <= MANY; m++)
        assert_ok(syn_gemm(&t.gpu, false, true, m, 1, 2, 1, a.gpu, K, b.gpu, K, 0, c.gpu, N));
    assert_ok(syn_gemm(&t.cpu, false, true, MANY, 1, 2, 1, a.cpu, K, b.cpu, K, 0, c.cpu, N));
    twin_expect(&t, CUDA_FP32, c, "the last of many shapes");
    twins_end(&t);
}

static void linear(twins *t, int64_t n, int64_t din, int64_t dout, syn_activation act, bool bias)
{
    const int64_t shift = n % 2; /* a bias may lie anywhere */
    const int64_t ldx = din + 1, ldy = dout + 2;
    twin x = twin_random(t, 1, n * ldx), w = twin_random(t, 2, dout * din);
    twin b = twin_random(t, 3, dout + shift), y = twin_poisoned(t, n * ldy);
    assert_ok(syn_linear_forward(&t->cpu, n, din, dout, x.cpu, ldx, w.cpu,
                                 bias ? b.cpu + shift : NULL, act, y.cpu, ldy));
    assert_ok(syn_linear_forward(&t->gpu, n, din, dout, x.gpu, ldx, w.gpu,
                                 bias ? b.gpu + shift : NULL, act, y.gpu, ldy));
    twin_expect(t, CUDA_FP32, y, "linear, n %lld, act %d: y", (long long)n, (int)act);
    twin dy = twin_random(t, 4, n * ldy), dx = twin_poisoned(t, n * ldx);
    twin dw = twin_random(t, 5, dout * din), db = twin_random(t, 6, dout);
    assert_ok(syn_linear_backward(&t->cpu, n, din, dout, x.cpu, ldx, w.cpu, y.cpu, ldy, act, dy.cpu,
                                  ldy, dx.cpu, ldx, dw.cpu, db.cpu));
    assert_ok(syn_linear_backward(&t->gpu, n, din, dout, x.gpu, ldx, w.gpu, y.gpu, ldy, act, dy.gpu,
                                  ldy, dx.gpu, ldx, dw.gpu, db.gpu));
    twin_expect(t, CUDA_FP32, dy, "linear, n %lld, act %d: dy", (long long)n, (int)act);
    twin_expect(t, CUDA_FP32, dx, "linear, n %lld, act %d: dx", (long long)n, (int)act);
    twin_expect(t, CUDA_FP32, dw, "linear, n %lld, act %d: dw", (long long)n, (int)act);
    twin_expect(t, CUDA_FP32, db, "linear, n %lld, act %d: db", (long long)n, (int)act);
}

static void linear_layers_match(void **state)
{
    for (int act = SYN_ACT_NONE; act <= SYN_ACT_TANH; act++) {
        twins t;
        twins_begin(&t);
        linear(&t, 33, 17, 40, (syn_activation)act, true);
        linear(&t, 32, 17, 40, (syn_activation)act, true);
        linear(&t, 1, 16, 3, (syn_activation)act, false);
        linear(&t, 0, 5, 3, (syn_activation)act, true);
        twins_end(&t);
    }
}

/* A bad weight must show: NaN passes the ReLU. */
static void relu_keeps_nan(void **state)
{
    twins t;
    twins_begin(&t);
    real host[4] = {NAN, 1, 2, 3};
    real *x = twin_list(&t, host, 4);
    twin y = twin_random(&t, 1, 2);
    assert_ok(syn_linear_forward(&t.gpu, 1, 2, 1, x, 2, x + 2, NULL, SYN_ACT_RELU, y.gpu, 1));
    assert_ok(
        syn_linear_live(&t.gpu, 1, NULL, 2, 1, x, 2, x + 2, NULL, SYN_ACT_RELU, y.gpu + 1, 1));
    real *got = from_device(&t.gpu, y.gpu, 2 * sizeof *got);
    assert_true(isnan(got[0]) && isnan(got[1]));
    free(got);
    twins_end(&t);
}

static void live(twins *t, int64_t capacity, int32_t rows, int64_t din, int64_t dout, int64_t ldx,
                 double bound)
{
    twin x = twin_random(t, 1, capacity * ldx), w = twin_random(t, 2, dout * din);
    twin b = twin_random(t, 3, dout), y = twin_poisoned(t, capacity * dout);
    int32_t *count = twin_list(t, &rows, 1);
    assert_ok(syn_linear_live(&t->cpu, capacity, &rows, din, dout, x.cpu, ldx, w.cpu, b.cpu,
                              SYN_ACT_RELU, y.cpu, dout));
    assert_ok(syn_linear_live(&t->gpu, capacity, count, din, dout, x.gpu, ldx, w.gpu, b.gpu,
                              SYN_ACT_RELU, y.gpu, dout));
    twin_expect(t, bound, y, "live linear, %d of %lld rows, %lld to %lld", (int)rows,
                (long long)capacity, (long long)din, (long long)dout);
}

static void live_rows_match_and_others_stay(void **state)
{
    for (int mixed = 0; mixed < 2; mixed++) {
        twins t;
        twins_begin(&t);
        t.gpu.math = mixed ? SYN_MATH_MIXED : SYN_MATH_FP32;
        const double bound = mixed ? CUDA_TF32 : CUDA_FP32;
        live(&t, 70, 70, 80, 256, 80, bound);
        live(&t, 130, 65, 33, 70, 35, bound);
        live(&t, 5, 1, 256, 31, 256, bound);
        live(&t, 5, 0, 8, 8, 8, bound);
        live(&t, 64, 64, 7, 1, 7, bound);
        twins_end(&t);
    }
}

/* Whatever else is in the batch. */
static void live_rows_do_not_depend_on_others(void **state)
{
    enum { ROWS = 100, DIN = 40, DOUT = 24 };
    twins t;
    twins_begin(&t);
    twin x = twin_random(&t, 1, ROWS * DIN), w = twin_random(&t, 2, DOUT * DIN);
    twin all = twin_poisoned(&t, ROWS * DOUT), one = twin_poisoned(&t, DOUT);
    for (int mixed = 0; mixed < 2; mixed++) {
        t.gpu.math = mixed ? SYN_MATH_MIXED : SYN_MATH_FP32;
        assert_ok(syn_linear_live(&t.gpu, ROWS, NULL, DIN, DOUT, x.gpu, DIN, w.gpu, NULL,
                                  SYN_ACT_NONE, all.gpu, DOUT));
        assert_ok(syn_linear_live(&t.gpu, 1, NULL, DIN, DOUT, x.gpu + 77 * DIN, DIN, w.gpu, NULL,
                                  SYN_ACT_NONE, one.gpu, DOUT));
        real *want = from_device(&t.gpu, all.gpu, sizeof *want * ROWS * DOUT);
        expect_equal_device(&t.gpu, DOUT, want + 77 * DOUT, one.gpu, "one row alone");
        free(want);
    }
    twins_end(&t);
}

static void column_sums_match(void **state)
{
    static const int64_t rows[] = {0, 1, 31, 257, 3000}, cols[] = {33, 1, 64, 40, 35};
    for (int i = 0; i < 5; i++) {
        twins t;
        twins_begin(&t);
        const int64_t n = rows[i] * (cols[i] + 2);
        twin x = twin_random(&t, 1, n), y = twin_random(&t, 2, cols[i]);
        twin again = twin_random(&t, 2, cols[i]);
        assert_ok(syn_column_sum(&t.cpu, rows[i], cols[i], x.cpu, cols[i] + 2, y.cpu));
        assert_ok(syn_column_sum(&t.gpu, rows[i], cols[i], x.gpu, cols[i] + 2, y.gpu));
        assert_ok(syn_column_sum(&t.gpu, rows[i], cols[i], x.gpu, cols[i] + 2, again.gpu));
        twin_expect(&t, CUDA_FP32, y, "column sums of %lld rows", (long long)rows[i]);
        twin_expect_same(&t, y, again, "column sums again");
        twins_end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match),
        cmocka_unit_test(empty_products_scale),
        cmocka_unit_test(products_take_any_address_and_many_shapes),
        cmocka_unit_test(linear_layers_match),
        cmocka_unit_test(relu_keeps_nan),
        cmocka_unit_test(live_rows_match_and_others_stay),
        cmocka_unit_test(live_rows_do_not_depend_on_others),
        cmocka_unit_test(column_sums_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
