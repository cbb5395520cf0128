/* Gradients of the LSTM and the bidirectional LSTM against central differences, in double. */
#include "kernels/lstm.h"
#include "tests/gradcheck.h"

enum { D = 5, H = 21, BATCH_MAX = 8, ROWS_MAX = 96, G = 4 };

/* Everything the loss depends on, and the gradients, in the same order. */
typedef struct tensors {
    double x[ROWS_MAX * D], W[2][G * H * D], R[2][G * H * H], b[2][G * H];
    double h0[BATCH_MAX * H], c0[BATCH_MAX * H];
} tensors;

typedef struct problem {
    syn_ctx ctx;
    syn_seq seq;
    bool reverse, both, from_zero;
    int32_t offset[BATCH_MAX + 1];
    uint8_t reset[ROWS_MAX];
    tensors value, gradient;
    double h[ROWS_MAX * 2 * H], c[2 * ROWS_MAX * H], v[2 * ROWS_MAX * G * H];
    double hT[BATCH_MAX * H], cT[BATCH_MAX * H];
    double dh[ROWS_MAX * 2 * H], dhT[BATCH_MAX * H], dcT[BATCH_MAX * H]; /* random, upstream */
} problem;

static void fill(double *p, size_t n, double scale, syn_rng *rng)
{
    for (size_t i = 0; i < n; i++) p[i] = scale * (2.0 * syn_rng_uniform(rng) - 1);
}

#define FILL(array, scale) fill((double *)(array), sizeof(array) / sizeof(double), scale, &rng)

static problem *problem_create(int threads)
{
    problem *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_ok(syn_ctx_init(&p->ctx, SYN_DEVICE_CPU, threads));
    syn_rng rng = syn_rng_make(7, SYN_STREAM_TEST);
    FILL(p->value.x, 1);
    FILL(p->value.W, 0.5);
    FILL(p->value.R, 0.5);
    FILL(p->value.b, 0.5);
    FILL(p->value.h0, 1);
    FILL(p->value.c0, 1);
    FILL(p->dh, 1);
    FILL(p->dhT, 1);
    FILL(p->dcT, 1);
    return p;
}

static void problem_free(problem *p)
{
    syn_ctx_free(&p->ctx);
    free(p);
}

static void make_dense(problem *p, int64_t batch, int64_t steps)
{
    p->seq = (syn_seq){batch, steps, batch * steps, NULL, NULL};
}

static void make_packed(problem *p, int64_t batch, const int *lengths)
{
    int64_t longest = 0;
    for (int64_t b = 0; b < batch; b++) {
        p->offset[b + 1] = p->offset[b] + lengths[b];
        longest = lengths[b] > longest ? lengths[b] : longest;
    }
    p->seq = (syn_seq){batch, longest, p->offset[batch], p->offset, NULL};
}

static double weighted(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double loss(void *user)
{
    problem *p = user;
    tensors *t = &p->value;
    const syn_seq *q = &p->seq;
    if (p->both) {
        assert_ok(syn_bilstm_forward(&p->ctx, q, D, H, t->x, t->W[0], t->R[0], t->b[0], t->W[1],
                                     t->R[1], t->b[1], p->h, p->c, p->v));
        return weighted(p->h, p->dh, q->rows * 2 * H);
    }
    const double *h0 = p->from_zero ? NULL : t->h0, *c0 = p->from_zero ? NULL : t->c0;
    assert_ok(syn_lstm_forward(&p->ctx, q, D, H, p->reverse, t->x, t->W[0], t->R[0], t->b[0], h0,
                               c0, p->h, H, p->c, p->v, p->hT, p->cT));
    return weighted(p->h, p->dh, q->rows * H) + weighted(p->hT, p->dhT, q->batch * H) +
           weighted(p->cT, p->dcT, q->batch * H);
}

static void backward(problem *p)
{
    tensors *t = &p->value, *d = &p->gradient;
    (void)loss(p);
    if (p->both) {
        assert_ok(syn_bilstm_backward(&p->ctx, &p->seq, D, H, t->x, t->W[0], t->R[0], t->W[1],
                                      t->R[1], p->h, p->c, p->v, p->dh, d->x, d->W[0], d->R[0],
                                      d->b[0], d->W[1], d->R[1], d->b[1]));
        return;
    }
    const double *h0 = p->from_zero ? NULL : t->h0, *c0 = p->from_zero ? NULL : t->c0;
    assert_ok(syn_lstm_backward(&p->ctx, &p->seq, D, H, p->reverse, t->x, t->W[0], t->R[0], h0, c0,
                                p->h, H, p->c, p->v, p->dh, H, p->dhT, p->dcT, d->x, d->W[0],
                                d->R[0], d->b[0], d->h0, d->c0));
}

static void check(problem *p)
{
    backward(p);
    tensors *t = &p->value, *d = &p->gradient;
    gradcheck_assert("x", loss, p, t->x, d->x, p->seq.rows * D, GRADCHECK_SAMPLES);
    for (int i = 0; i < (p->both ? 2 : 1); i++) {
        gradcheck_assert("W", loss, p, t->W[i], d->W[i], G * H * D, GRADCHECK_SAMPLES);
        gradcheck_assert("R", loss, p, t->R[i], d->R[i], G * H * H, GRADCHECK_SAMPLES);
        gradcheck_assert("b", loss, p, t->b[i], d->b[i], G * H, GRADCHECK_ALL);
    }
    if (p->both || p->from_zero) return;
    gradcheck_assert("h0", loss, p, t->h0, d->h0, p->seq.batch * H, GRADCHECK_ALL);
    gradcheck_assert("c0", loss, p, t->c0, d->c0, p->seq.batch * H, GRADCHECK_ALL);
}

static void dense_gradients_match(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 4, 7);
    check(p);
    problem_free(p);
}

static void dense_gradients_match_in_reverse(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 3, 6);
    p->reverse = true;
    check(p);
    problem_free(p);
}

/* Enough rows for the recurrent weights to be packed. */
static void gradients_of_many_rows_match(void **state)
{
    problem *p = problem_create(2);
    make_dense(p, 8, 12);
    check(p);
    problem_free(p);
}

static void gradients_match_from_a_zero_state(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 7, 5);
    p->from_zero = true;
    check(p);
    problem_free(p);
}

static void one_step_of_one_sequence_matches(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 1, 1);
    check(p);
    problem_free(p);
}

static void add_resets(problem *p)
{
    p->reset[0 * 4 + 3] = 1; /* before the first step: the initial state has no effect */
    p->reset[2 * 4 + 0] = 1;
    p->reset[3 * 4 + 0] = 1;
    p->reset[4 * 4 + 1] = 1;
    p->reset[6 * 4 + 2] = 1; /* before the last step */
    p->seq.reset = p->reset;
}

static void gradients_stop_at_resets(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 4, 7);
    add_resets(p);
    check(p);
    for (int j = 0; j < H; j++) assert_true(p->gradient.h0[3 * H + j] == 0);
    problem_free(p);
}

static void gradients_stop_at_resets_in_reverse(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 4, 7);
    add_resets(p);
    p->reverse = true;
    check(p);
    problem_free(p);
}

static const int LENGTHS[BATCH_MAX] = {3, 0, 9, 1, 5, 0, 9, 2};

static void packed_gradients_match(void **state)
{
    problem *p = problem_create(1);
    make_packed(p, BATCH_MAX, LENGTHS);
    check(p);
    for (int j = 0; j < H; j++) /* an empty sequence hands the gradient of its state through */
        assert_true(p->gradient.h0[H + j] == p->dhT[H + j] &&
                    p->gradient.c0[H + j] == p->dcT[H + j]);
    problem_free(p);
}

static void packed_gradients_match_in_reverse(void **state)
{
    problem *p = problem_create(1);
    make_packed(p, BATCH_MAX, LENGTHS);
    p->reverse = true;
    check(p);
    problem_free(p);
}

static void bidirectional_gradients_match(void **state)
{
    problem *p = problem_create(1);
    make_packed(p, BATCH_MAX, LENGTHS);
    p->both = true;
    check(p);
    problem_free(p);
}

static void gradients_are_added_to_what_is_there(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 4, 7);
    backward(p);
    tensors *once = malloc(sizeof *once);
    assert_non_null(once);
    *once = p->gradient;
    backward(p);
    const tensors *twice = &p->gradient;
    for (int i = 0; i < G * H * H; i++)
        assert_true(fabs(twice->R[0][i] - 2 * once->R[0][i]) <= 1e-12);
    for (int i = 0; i < G * H * D; i++)
        assert_true(fabs(twice->W[0][i] - 2 * once->W[0][i]) <= 1e-12);
    for (int i = 0; i < G * H; i++) assert_true(fabs(twice->b[0][i] - 2 * once->b[0][i]) <= 1e-12);
    assert_memory_equal(twice->x, once->x, sizeof once->x);
    assert_memory_equal(twice->h0, once->h0, sizeof once->h0);
    free(once);
    problem_free(p);
}

/* The checker itself: one gate's dR off by one per cent must not pass. */
static void a_planted_error_is_caught(void **state)
{
    problem *p = problem_create(1);
    make_dense(p, 4, 7);
    backward(p);
    double *dR = p->gradient.R[0];
    double good = gradcheck_error(loss, p, p->value.R[0], dR, G * H * H, GRADCHECK_SAMPLES, 1);
    for (int i = 0; i < H * H; i++) dR[H * H + i] *= 1.01; /* the forget gate */
    double bad = gradcheck_error(loss, p, p->value.R[0], dR, G * H * H, GRADCHECK_SAMPLES, 1);
    assert_true(good < GRADCHECK_TOLERANCE);
    assert_true(bad > 1e3 * GRADCHECK_TOLERANCE);
    problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_gradients_match),
        cmocka_unit_test(dense_gradients_match_in_reverse),
        cmocka_unit_test(gradients_of_many_rows_match),
        cmocka_unit_test(gradients_match_from_a_zero_state),
        cmocka_unit_test(one_step_of_one_sequence_matches),
        cmocka_unit_test(gradients_stop_at_resets),
        cmocka_unit_test(gradients_stop_at_resets_in_reverse),
        cmocka_unit_test(packed_gradients_match),
        cmocka_unit_test(packed_gradients_match_in_reverse),
        cmocka_unit_test(bidirectional_gradients_match),
        cmocka_unit_test(gradients_are_added_to_what_is_there),
        cmocka_unit_test(a_planted_error_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
