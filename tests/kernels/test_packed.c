/* Weights that a context has laid out: products and recurrences come out as without, a row's bits
 * do not depend on the rows beside it, and what is removed is not looked at again. */
#include "tests/test.h"

#include "kernels/base/rng.h"
#include "kernels/gemm.h"
#include "kernels/lstm.h"
#include "kernels/packed.h"

static syn_ctx ctx;

static int begin(void **state)
{
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 2));
    return 0;
}

static int end(void **state)
{
    assert_null(ctx.packed);
    syn_ctx_free(&ctx);
    return 0;
}

static real *numbers(uint64_t seed, int64_t n)
{
    real *x = malloc(sizeof *x * (size_t)n);
    syn_rng rng = syn_rng_make(seed, SYN_STREAM_TEST);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = syn_rng_uniform(&rng) - (real).5;
    return x;
}

static void assert_near(int64_t n, const real *a, const real *b)
{
    for (int64_t i = 0; i < n; i++) assert_float_equal(a[i], b[i], 2e-5);
}

static void products_are_those_of_the_weight(void **state)
{
    static const int64_t size[][2] = {{32, 1}, {64, 16}, {65, 33}, {100, 52}, {130, 256}, {512, 7}};
    static const int64_t rows[] = {1, 2, 5, 6, 7, 24, 64, 131};
    for (size_t s = 0; s < sizeof size / sizeof *size; s++) {
        const int64_t n = size[s][0], k = size[s][1], lda = k + 3, ldc = n + 5;
        real *w = numbers(1, n * k), *a = numbers(2, 131 * lda);
        real *plain = numbers(3, 131 * ldc), *packed = malloc(sizeof *packed * (size_t)(131 * ldc));
        assert_non_null(packed);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            const int64_t m = rows[r];
            for (int beta = 0; beta < 2; beta++) {
                memcpy(packed, plain, sizeof *plain * (size_t)(131 * ldc));
                assert_ok(
                    syn_gemm(&ctx, false, true, m, n, k, 2, a, lda, w, k, (real)beta, plain, ldc));
                assert_ok(syn_packed_product(&ctx, n, k, w));
                assert_non_null(syn_packed_product_find(&ctx, n, k, w));
                assert_ok(
                    syn_gemm(&ctx, false, true, m, n, k, 2, a, lda, w, k, (real)beta, packed, ldc));
                syn_packed_remove(&ctx, w);
                assert_near(131 * ldc, packed, plain); /* also between the rows */
            }
        }
        free(w);
        free(a);
        free(plain);
        free(packed);
    }
}

static void a_row_has_the_same_bits_in_any_company(void **state)
{
    enum { M = 67, OUT = 96, IN = 130 };
    real *w = numbers(1, OUT * IN), *a = numbers(2, M * IN), *all = numbers(3, M * OUT), one[OUT];
    assert_ok(syn_packed_product(&ctx, OUT, IN, w));
    assert_ok(syn_gemm(&ctx, false, true, M, OUT, IN, 1, a, IN, w, IN, 0, all, OUT));
    for (int r = 0; r < M; r++) {
        assert_ok(syn_gemm(&ctx, false, true, 1, OUT, IN, 1, a + r * IN, IN, w, IN, 0, one, OUT));
        assert_memory_equal(one, all + r * OUT, sizeof one);
    }
    syn_packed_remove(&ctx, w);
    free(w);
    free(a);
    free(all);
}

/* One pass over sequences of three lengths, from a state that is given. */
static void walk(int64_t H, bool reverse, const real *x, const real *W, const real *R,
                 const real *b, const real *h0, const real *c0, real *h, real *hT, real *cT)
{
    enum { D = 20, SEQUENCES = 3, ROWS = 9 };
    static const int32_t offset[] = {0, 4, 5, 9};
    const syn_seq seq = {SEQUENCES, 4, ROWS, offset, NULL};
    assert_ok(
        syn_lstm_forward(&ctx, &seq, D, H, reverse, x, W, R, b, h0, c0, h, H, NULL, NULL, hT, cT));
}

static void recurrences_are_those_of_the_weight(void **state)
{
    static const int64_t widths[] = {16, 40, 128};
    for (size_t s = 0; s < sizeof widths / sizeof *widths; s++) {
        const int64_t H = widths[s];
        real *x = numbers(1, 9 * 20), *W = numbers(2, 4 * H * 20), *R = numbers(3, 4 * H * H);
        real *b = numbers(4, 4 * H), *h0 = numbers(5, 3 * H), *c0 = numbers(6, 3 * H);
        real *out[2][3];
        for (int k = 0; k < 6; k++) out[k / 3][k % 3] = numbers(7, 9 * H);
        for (int reverse = 0; reverse < 2; reverse++) {
            walk(H, reverse, x, W, R, b, h0, c0, out[0][0], out[0][1], out[0][2]);
            assert_ok(syn_packed_recurrence(&ctx, H, R));
            assert_ok(syn_packed_product(&ctx, 4 * H, 20, W));
            assert_non_null(syn_packed_recurrence_find(&ctx, H, R));
            walk(H, reverse, x, W, R, b, h0, c0, out[1][0], out[1][1], out[1][2]);
            syn_packed_remove(&ctx, R);
            syn_packed_remove(&ctx, W);
            assert_near(9 * H, out[1][0], out[0][0]);
            assert_near(3 * H, out[1][1], out[0][1]);
            assert_near(3 * H, out[1][2], out[0][2]);
        }
        for (int k = 0; k < 6; k++) free(out[k / 3][k % 3]);
        real *all[] = {x, W, R, b, h0, c0};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    }
}

static void a_weight_is_kept_as_often_as_it_was_given_and_forgotten_then(void **state)
{
    enum { OUT = 64, IN = 8 };
    real *w = numbers(1, OUT * IN), *x = numbers(2, IN), before[OUT], after[OUT];
    assert_ok(syn_packed_product(&ctx, OUT, IN, w));
    assert_ok(syn_packed_product(&ctx, OUT, IN, w));
    assert_null(syn_packed_product_find(&ctx, IN, OUT, w)); /* another shape */
    assert_null(syn_packed_product_find(&ctx, OUT, IN, w + 1));
    syn_packed_remove(&ctx, w);
    syn_packed_remove(&ctx, x); /* never given */
    assert_non_null(syn_packed_product_find(&ctx, OUT, IN, w));
    syn_packed_remove(&ctx, w);
    assert_null(syn_packed_product_find(&ctx, OUT, IN, w));
    assert_ok(syn_gemm(&ctx, false, true, 1, OUT, IN, 1, x, IN, w, IN, 0, before, OUT));
    for (int k = 0; k < OUT * IN; k++) w[k] = -w[k];
    assert_ok(syn_gemm(&ctx, false, true, 1, OUT, IN, 1, x, IN, w, IN, 0, after, OUT));
    for (int k = 0; k < OUT; k++) assert_float_equal(before[k], -after[k], 1e-6);
    assert_ok(syn_packed_product(&ctx, 31, 2, w)); /* less than half a panel */
    assert_null(syn_packed_product_find(&ctx, 31, 2, w));
    free(w);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_the_weight),
        cmocka_unit_test(a_row_has_the_same_bits_in_any_company),
        cmocka_unit_test(recurrences_are_those_of_the_weight),
        cmocka_unit_test(a_weight_is_kept_as_often_as_it_was_given_and_forgotten_then),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
