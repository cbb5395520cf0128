/* Gradients of the linear layer and its activations against central differences, in double. */
#include "kernels/linear.h"
#include "tests/gradcheck.h"

enum { N = 9, DIN = 13, DOUT = 11, LDX = 15, LDY = 12 };

typedef struct problem {
    syn_ctx ctx;
    syn_activation act;
    double x[N * LDX], w[DOUT * DIN], b[DOUT], y[N * LDY], upstream[N * LDY];
    double dx[N * LDX], dw[DOUT * DIN], db[DOUT], dy[N * LDY];
} problem;

static void fill(double *p, size_t n, syn_rng *rng)
{
    for (size_t i = 0; i < n; i++) p[i] = 2.0 * syn_rng_uniform(rng) - 1;
}

static double loss(void *user)
{
    problem *p = user;
    assert_ok(syn_linear_forward(&p->ctx, N, DIN, DOUT, p->x, LDX, p->w, p->b, p->act, p->y, LDY));
    double sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < DOUT; j++) sum += p->y[i * LDY + j] * p->upstream[i * LDY + j];
    return sum;
}

static void backward(problem *p)
{
    (void)loss(p);
    memcpy(p->dy, p->upstream, sizeof p->dy);
    assert_ok(syn_linear_backward(&p->ctx, N, DIN, DOUT, p->x, LDX, p->w, p->y, LDY, p->act, p->dy,
                                  LDY, p->dx, LDX, p->dw, p->db));
}

static void check(syn_activation act)
{
    static problem p;
    memset(&p, 0, sizeof p);
    assert_ok(syn_ctx_init(&p.ctx, SYN_DEVICE_CPU, 1));
    p.act = act;
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    fill(p.x, sizeof p.x / sizeof(double), &rng);
    fill(p.w, sizeof p.w / sizeof(double), &rng);
    fill(p.b, sizeof p.b / sizeof(double), &rng);
    fill(p.upstream, sizeof p.upstream / sizeof(double), &rng);
    backward(&p);
    gradcheck_assert("x", loss, &p, p.x, p.dx, N * LDX, GRADCHECK_ALL); /* 0 between the rows */
    gradcheck_assert("w", loss, &p, p.w, p.dw, DOUT * DIN, GRADCHECK_ALL);
    gradcheck_assert("b", loss, &p, p.b, p.db, DOUT, GRADCHECK_ALL);
    double dw = p.dw[5], dx = p.dx[5], db = p.db[5];
    backward(&p);
    assert_true(fabs(p.dw[5] - 2 * dw) < 1e-12 && fabs(p.db[5] - 2 * db) < 1e-12);
    assert_true(p.dx[5] == dx);
    syn_ctx_free(&p.ctx);
}

static void affine_gradients_match(void **state)
{
    check(SYN_ACT_NONE);
}
static void relu_gradients_match(void **state)
{
    check(SYN_ACT_RELU);
}
static void tanh_gradients_match(void **state)
{
    check(SYN_ACT_TANH);
}

/* A scalar function with a kink at 0 in every coordinate. */
static double kinked(void *user)
{
    const double *p = user;
    return fabs(p[0]) + fabs(p[1]);
}

static void kinks_are_not_taken_for_errors(void **state)
{
    double p[40], gradient[40];
    for (int i = 0; i < 40; i++) {
        p[i] = i == 0 ? 1e-7 : 0.5;
        gradient[i] = i < 2 ? 1 : 0;
    }
    assert_true(gradcheck_error(kinked, p, p, gradient, 40, GRADCHECK_ALL, 1) < 1e-7);
    p[1] = -0.5;
    assert_true(gradcheck_error(kinked, p, p, gradient, 40, GRADCHECK_ALL, 1) > 0.5);
    p[1] = 0;
    assert_true(isinf(gradcheck_error(kinked, p, p, gradient, 2, GRADCHECK_ALL, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(affine_gradients_match),
        cmocka_unit_test(relu_gradients_match),
        cmocka_unit_test(tanh_gradients_match),
        cmocka_unit_test(kinks_are_not_taken_for_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
