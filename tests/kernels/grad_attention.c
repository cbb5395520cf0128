/* Gradients of attention pooling against central differences, in double. */
#include "kernels/attention.h"
#include "tests/gradcheck.h"

enum { B = 6, ROWS_MAX = 30, D = 11, A = 9 };

typedef struct problem {
    syn_ctx ctx;
    syn_seq seq;
    int32_t offset[B + 1];
    bool biased;
    double h[ROWS_MAX * D], Wa[A * D], w[A], bias[ROWS_MAX], empty[D];
    double u[ROWS_MAX * A], alpha[ROWS_MAX], out[B * D], dout[B * D];
    double dh[ROWS_MAX * D], dWa[A * D], dw[A], dbias[ROWS_MAX], dempty[D];
} problem;

static void fill(double *p, size_t n, syn_rng *rng)
{
    for (size_t i = 0; i < n; i++) p[i] = 2.0 * syn_rng_uniform(rng) - 1;
}

static void problem_init(problem *p)
{
    memset(p, 0, sizeof *p);
    assert_ok(syn_ctx_init(&p->ctx, SYN_DEVICE_CPU, 1));
    p->biased = true;
    syn_rng rng = syn_rng_make(5, SYN_STREAM_TEST);
    fill(p->h, ROWS_MAX * D, &rng);
    fill(p->Wa, A * D, &rng);
    fill(p->w, A, &rng);
    fill(p->bias, ROWS_MAX, &rng);
    fill(p->empty, D, &rng);
    fill(p->dout, B * D, &rng);
    static const int lengths[B] = {4, 0, 1, 11, 0, 7};
    for (int b = 0; b < B; b++) p->offset[b + 1] = p->offset[b] + lengths[b];
    p->seq = (syn_seq){B, 11, p->offset[B], p->offset, NULL};
}

static double loss(void *user)
{
    problem *p = user;
    assert_ok(syn_attention_forward(&p->ctx, &p->seq, D, A, p->h, p->Wa, p->w,
                                    p->biased ? p->bias : NULL, p->empty, p->u, p->alpha, p->out));
    double sum = 0;
    for (int i = 0; i < p->seq.batch * D; i++) sum += p->out[i] * p->dout[i];
    return sum;
}

static void backward(problem *p)
{
    (void)loss(p);
    assert_ok(syn_attention_backward(&p->ctx, &p->seq, D, A, p->h, p->Wa, p->w, p->u, p->alpha,
                                     p->dout, p->dh, p->dWa, p->dw, p->biased ? p->dbias : NULL,
                                     p->dempty));
}

static void check(problem *p)
{
    backward(p);
    gradcheck_assert("h", loss, p, p->h, p->dh, p->seq.rows * D, GRADCHECK_ALL);
    gradcheck_assert("Wa", loss, p, p->Wa, p->dWa, A * D, GRADCHECK_ALL);
    gradcheck_assert("w", loss, p, p->w, p->dw, A, GRADCHECK_ALL);
    gradcheck_assert("empty", loss, p, p->empty, p->dempty, D, GRADCHECK_ALL);
    if (p->biased) gradcheck_assert("bias", loss, p, p->bias, p->dbias, p->seq.rows, GRADCHECK_ALL);
}

static void packed_gradients_match(void **state)
{
    static problem p;
    problem_init(&p);
    check(&p);
    for (int b = 0; b < B; b++) { /* the weights of a sequence are a distribution */
        double sum = 0;
        for (int i = p.offset[b]; i < p.offset[b + 1]; i++) sum += p.alpha[i];
        assert_true(p.offset[b] == p.offset[b + 1] || fabs(sum - 1) < 1e-12);
    }
    assert_memory_equal(p.out + 1 * D, p.empty, sizeof p.empty);
    syn_ctx_free(&p.ctx);
}

static void gradients_match_without_a_bias(void **state)
{
    static problem p;
    problem_init(&p);
    p.biased = false;
    check(&p);
    syn_ctx_free(&p.ctx);
}

static void dense_gradients_match(void **state)
{
    static problem p;
    problem_init(&p);
    p.seq = (syn_seq){B, 5, 5 * B, NULL, NULL};
    check(&p);
    syn_ctx_free(&p.ctx);
}

static void weights_are_added_to_rows_are_overwritten(void **state)
{
    static problem p;
    problem_init(&p);
    backward(&p);
    double dWa = p.dWa[3], dw = p.dw[2], dempty = p.dempty[1], dh = p.dh[7], dbias = p.dbias[2];
    backward(&p);
    assert_true(fabs(p.dWa[3] - 2 * dWa) < 1e-12 && fabs(p.dw[2] - 2 * dw) < 1e-12);
    assert_true(p.dempty[1] == 2 * dempty && p.dh[7] == dh && p.dbias[2] == dbias);
    syn_ctx_free(&p.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_gradients_match),
        cmocka_unit_test(gradients_match_without_a_bias),
        cmocka_unit_test(dense_gradients_match),
        cmocka_unit_test(weights_are_added_to_rows_are_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
