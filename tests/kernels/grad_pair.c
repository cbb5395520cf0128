/* The pair scorer: against its formula written as loops, and against central differences. */
#include "kernels/pair.h"
#include "tests/gradcheck.h"
#include "tests/kernels/random.h"

enum { K = SYN_PAIR_KINDS };

/* Environments of all sizes, among them none and one agent. */
typedef struct pairs {
    syn_ctx ctx;
    int64_t E, N, P, F;
    int32_t *count;
    real *s, *q, *r, *x, *X, *w, *w0, *logit, *dlogit;
    real *ds, *dq, *dr, *dX, *dw, *dw0;
} pairs;

static pairs *pairs_create(int64_t E, int64_t N, int64_t P, int64_t F, int threads)
{
    pairs *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_ok(syn_ctx_init(&p->ctx, SYN_DEVICE_CPU, threads));
    *p = (pairs){.ctx = p->ctx, .E = E, .N = N, .P = P, .F = F};
    p->count = calloc((size_t)E + 1, sizeof *p->count);
    assert_non_null(p->count);
    for (int64_t e = 0; e < E; e++) p->count[e] = (int32_t)((e * 3 + N) % (N + 1));
    p->s = random_real(1, E * K * P);
    p->q = random_real(2, E * N * K * P);
    p->r = random_real(3, E * N * K * P);
    p->x = random_real(4, E * K * N * N * F);
    p->X = random_real(5, K * P * F);
    p->w = random_real(6, K * P);
    p->w0 = random_real(7, K);
    p->dlogit = random_real(8, E * K * N * N);
    p->logit = real_alloc(E * K * N * N);
    p->ds = real_alloc(E * K * P);
    p->dq = real_alloc(E * N * K * P);
    p->dr = real_alloc(E * N * K * P);
    p->dX = real_alloc(K * P * F);
    p->dw = real_alloc(K * P);
    p->dw0 = real_alloc(K);
    return p;
}

static void pairs_free(pairs *p)
{
    real *all[] = {p->s,     p->q,  p->r,  p->x,  p->X,  p->w,  p->w0, p->dlogit,
                   p->logit, p->ds, p->dq, p->dr, p->dX, p->dw, p->dw0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    free(p->count);
    syn_ctx_free(&p->ctx);
    free(p);
}

static void forward(pairs *p)
{
    assert_ok(syn_pair_forward(&p->ctx, p->E, p->N, p->P, p->F, p->count, p->s, p->q, p->r, p->x,
                               p->X, p->w, p->w0, p->logit));
}

static void backward(pairs *p)
{
    assert_ok(syn_pair_backward(&p->ctx, p->E, p->N, p->P, p->F, p->count, p->s, p->q, p->r, p->x,
                                p->X, p->w, p->w0, p->dlogit, p->ds, p->dq, p->dr, p->dX, p->dw,
                                p->dw0));
}

static bool is_live(const pairs *p, int64_t e, int64_t i, int64_t j)
{
    return i != j && i < p->count[e] && j < p->count[e];
}

static double pairs_loss(void *user)
{
    pairs *p = user;
    forward(p);
    double sum = 0;
    int64_t at = 0;
    for (int64_t e = 0; e < p->E; e++)
        for (int k = 0; k < K; k++)
            for (int64_t i = 0; i < p->N; i++)
                for (int64_t j = 0; j < p->N; j++, at++)
                    sum += is_live(p, e, i, j) ? p->logit[at] * p->dlogit[at] : 0;
    return sum;
}

static double formula(const pairs *p, int64_t e, int64_t k, int64_t i, int64_t j)
{
    double sum = p->w0[k];
    const real *x = p->x + (((e * K + k) * p->N + i) * p->N + j) * p->F;
    for (int64_t c = 0; c < p->P; c++) {
        double z = p->s[(e * K + k) * p->P + c] + p->q[((e * p->N + i) * K + k) * p->P + c] +
                   p->r[((e * p->N + j) * K + k) * p->P + c];
        sum += p->w[k * p->P + c] * tanh(z + dot_product(p->F, p->X + (k * p->P + c) * p->F, x));
    }
    return sum;
}

static void logits_are_the_formula_where_a_pair_lives_and_zero_elsewhere(void **state)
{
    pairs *p = pairs_create(9, 4, 5, 3, 1);
    memset(p->logit, 0x7f, sizeof *p->logit * 9 * K * 16);
    forward(p);
    int64_t at = 0, live = 0;
    for (int64_t e = 0; e < 9; e++)
        for (int k = 0; k < K; k++)
            for (int64_t i = 0; i < 4; i++)
                for (int64_t j = 0; j < 4; j++, at++) {
                    bool lives = is_live(p, e, i, j);
                    live += lives;
                    if (!lives) assert_true(p->logit[at] == 0);
                    if (lives) assert_true(fabs(p->logit[at] - formula(p, e, k, i, j)) < 1e-12);
                }
    assert_true(live > 60);
    pairs_free(p);
}

/* What belongs to no live pair may hold anything. */
static void nothing_is_read_of_pairs_that_do_not_live(void **state)
{
    pairs *p = pairs_create(9, 4, 5, 3, 1);
    forward(p);
    backward(p);
    pairs *poisoned = pairs_create(9, 4, 5, 3, 1);
    int64_t at = 0;
    for (int64_t e = 0; e < 9; e++) {
        for (int64_t i = poisoned->count[e]; i < 4; i++)
            for (int64_t c = 0; c < K * 5; c++)
                poisoned->q[(e * 4 + i) * K * 5 + c] = poisoned->r[(e * 4 + i) * K * 5 + c] = NAN;
        for (int k = 0; k < K; k++)
            for (int64_t i = 0; i < 4; i++)
                for (int64_t j = 0; j < 4; j++, at++) {
                    if (is_live(poisoned, e, i, j)) continue;
                    poisoned->dlogit[at] = NAN;
                    for (int64_t f = 0; f < 3; f++) poisoned->x[at * 3 + f] = NAN;
                }
    }
    forward(poisoned);
    backward(poisoned);
    assert_memory_equal(p->logit, poisoned->logit, sizeof(real) * 9 * K * 16);
    assert_memory_equal(p->ds, poisoned->ds, sizeof(real) * 9 * K * 5);
    assert_memory_equal(p->dq, poisoned->dq, sizeof(real) * 9 * 4 * K * 5);
    assert_memory_equal(p->dX, poisoned->dX, sizeof(real) * K * 5 * 3);
    pairs_free(p);
    pairs_free(poisoned);
}

static void gradients_match_central_differences(void **state)
{
    pairs *p = pairs_create(9, 4, 5, 3, 1);
    int64_t zero = 4; /* a pair without a gradient is skipped: it must change nothing */
    p->dlogit[zero] = 0;
    memset(p->ds, 0x7f, sizeof(real) * 9 * K * 5);
    memset(p->dq, 0x7f, sizeof(real) * 9 * 4 * K * 5);
    memset(p->dr, 0x7f, sizeof(real) * 9 * 4 * K * 5);
    backward(p);
    gradcheck_assert("s", pairs_loss, p, p->s, p->ds, 9 * K * 5, GRADCHECK_ALL);
    gradcheck_assert("q", pairs_loss, p, p->q, p->dq, 9 * 4 * K * 5, GRADCHECK_ALL);
    gradcheck_assert("r", pairs_loss, p, p->r, p->dr, 9 * 4 * K * 5, GRADCHECK_ALL);
    gradcheck_assert("X", pairs_loss, p, p->X, p->dX, K * 5 * 3, GRADCHECK_ALL);
    gradcheck_assert("w", pairs_loss, p, p->w, p->dw, K * 5, GRADCHECK_ALL);
    gradcheck_assert("w0", pairs_loss, p, p->w0, p->dw0, K, GRADCHECK_ALL);
    pairs_free(p);
}

/* More environments than one chunk or one shard holds. */
static void weight_gradients_match_over_many_environments(void **state)
{
    pairs *p = pairs_create(300, 5, 4, 3, 2);
    backward(p);
    gradcheck_assert("X", pairs_loss, p, p->X, p->dX, K * 4 * 3, GRADCHECK_ALL);
    gradcheck_assert("w", pairs_loss, p, p->w, p->dw, K * 4, GRADCHECK_ALL);
    gradcheck_assert("w0", pairs_loss, p, p->w0, p->dw0, K, GRADCHECK_ALL);
    gradcheck_assert("s", pairs_loss, p, p->s, p->ds, 300 * K * 4, 40);
    pairs_free(p);
}

static void weight_gradients_accumulate(void **state)
{
    pairs *p = pairs_create(9, 4, 5, 3, 1);
    backward(p);
    real once = p->dX[3], w = p->dw[2], w0 = p->dw0[1], s = p->ds[4];
    backward(p);
    assert_true(fabs(p->dX[3] - 2 * once) < 1e-12 && fabs(p->dw[2] - 2 * w) < 1e-12);
    assert_true(fabs(p->dw0[1] - 2 * w0) < 1e-12 && p->ds[4] == s);
    pairs_free(p);
}

static void results_are_bit_equal_for_any_number_of_threads(void **state)
{
    pairs *one = pairs_create(150, 6, 19, 17, 1);
    forward(one);
    backward(one);
    for (int threads = 2; threads <= 3; threads++) {
        pairs *many = pairs_create(150, 6, 19, 17, threads);
        forward(many);
        backward(many);
        assert_memory_equal(one->logit, many->logit, sizeof(real) * 150 * K * 36);
        assert_memory_equal(one->dX, many->dX, sizeof(real) * K * 19 * 17);
        assert_memory_equal(one->dw, many->dw, sizeof(real) * K * 19);
        assert_memory_equal(one->dr, many->dr, sizeof(real) * 150 * 6 * K * 19);
        pairs_free(many);
    }
    pairs_free(one);
}

static void no_environment_and_one_agent_are_fine_and_lying_counts_are_refused(void **state)
{
    pairs *p = pairs_create(0, 3, 4, 2, 2);
    forward(p);
    backward(p);
    pairs_free(p);
    p = pairs_create(2, 1, 4, 2, 2);
    p->logit[0] = 7;
    forward(p);
    backward(p);
    assert_true(p->logit[0] == 0 && p->dw[0] == 0);
    p->count[1] = 2;
    assert_int_equal(syn_pair_forward(&p->ctx, 2, 1, 4, 2, p->count, p->s, p->q, p->r, p->x, p->X,
                                      p->w, p->w0, p->logit),
                     SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "environment 1 has 2 agents"));
    pairs_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_the_formula_where_a_pair_lives_and_zero_elsewhere),
        cmocka_unit_test(nothing_is_read_of_pairs_that_do_not_live),
        cmocka_unit_test(gradients_match_central_differences),
        cmocka_unit_test(weight_gradients_match_over_many_environments),
        cmocka_unit_test(weight_gradients_accumulate),
        cmocka_unit_test(results_are_bit_equal_for_any_number_of_threads),
        cmocka_unit_test(no_environment_and_one_agent_are_fine_and_lying_counts_are_refused),
    };
    return cmocka_run_group_tests_name("grad_pair", tests, NULL, NULL);
}
