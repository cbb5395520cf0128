/* The pair scorer on the device beside the CPU's. */
#include "kernels/pair.h"
#include "tests/kernels/twins.h"

enum { K = SYN_PAIR_KINDS };

typedef struct shape {
    int64_t E, N, P, F;
} shape;

/* Environments of all counts, none and one among them. What belongs to agents that are not there is
 * NaN on both sides: it must not be read. */
static void problem(twins *t, shape z, double bound)
{
    const int64_t E = z.E, N = z.N, P = z.P, F = z.F;
    int32_t *count = malloc(sizeof *count * (size_t)(E + 1));
    assert_non_null(count);
    real *x_host = random_real(1, E * K * N * N * F), *q_host = random_real(2, E * N * K * P);
    for (int64_t e = 0; e < E; e++) {
        count[e] = (int32_t)((e * 7 + N) % (N + 1));
        for (int64_t at = 0; at < K * N * N * F; at++) {
            const int64_t i = at / F / N % N, j = at / F % N;
            if (i == j || i >= count[e] || j >= count[e]) x_host[e * K * N * N * F + at] = NAN;
        }
        for (int64_t at = count[e] * K * P; at < N * K * P; at++) q_host[e * N * K * P + at] = NAN;
    }
    int32_t *c = twin_list(t, count, E);
    twin x = twin_of(t, x_host, E * K * N * N * F), q = twin_of(t, q_host, E * N * K * P);
    twin s = twin_random(t, 3, E * K * P), r = twin_random(t, 4, E * N * K * P);
    twin X = twin_random(t, 5, K * P * F), w = twin_random(t, 6, K * P), w0 = twin_random(t, 7, K);
    twin logit = twin_poisoned(t, E * K * N * N);
    assert_ok(syn_pair_forward(&t->cpu, E, N, P, F, count, s.cpu, q.cpu, r.cpu, x.cpu, X.cpu, w.cpu,
                               w0.cpu, logit.cpu));
    assert_ok(syn_pair_forward(&t->gpu, E, N, P, F, c, s.gpu, q.gpu, r.gpu, x.gpu, X.gpu, w.gpu,
                               w0.gpu, logit.gpu));
    twin_expect(t, bound, logit, "pairs, E %lld, N %lld: logit", (long long)E, (long long)N);
    real *dlogit_host = random_real(8, E * K * N * N);
    for (int64_t i = 0; i < E * K * N * N; i += 3) dlogit_host[i] = 0; /* actions not allowed */
    twin dlogit = twin_of(t, dlogit_host, E * K * N * N);
    twin ds = twin_poisoned(t, E * K * P), dq = twin_poisoned(t, E * N * K * P);
    twin dr = twin_poisoned(t, E * N * K * P);
    twin dX = twin_random(t, 9, K * P * F), dw = twin_random(t, 10, K * P);
    twin dw0 = twin_random(t, 11, K), dX2 = twin_random(t, 9, K * P * F);
    assert_ok(syn_pair_backward(&t->cpu, E, N, P, F, count, s.cpu, q.cpu, r.cpu, x.cpu, X.cpu,
                                w.cpu, w0.cpu, dlogit.cpu, ds.cpu, dq.cpu, dr.cpu, dX.cpu, dw.cpu,
                                dw0.cpu));
    for (int again = 0; again < 2; again++) {
        real *dw_gpu = dw.gpu, *dw0_gpu = dw0.gpu;
        if (again) /* only dX is looked at */
            dw_gpu = poisoned(&t->gpu, sizeof(real) * (size_t)(K * P + K)),
            dw0_gpu = dw_gpu + K * P;
        assert_ok(syn_pair_backward(&t->gpu, E, N, P, F, c, s.gpu, q.gpu, r.gpu, x.gpu, X.gpu,
                                    w.gpu, w0.gpu, dlogit.gpu, ds.gpu, dq.gpu, dr.gpu,
                                    again ? dX2.gpu : dX.gpu, dw_gpu, dw0_gpu));
        if (again) syn_device_free(&t->gpu, dw_gpu);
    }
    twin_expect(t, bound, ds, "pairs, E %lld, N %lld: ds", (long long)E, (long long)N);
    twin_expect(t, bound, dq, "pairs, E %lld, N %lld: dq", (long long)E, (long long)N);
    twin_expect(t, bound, dr, "pairs, E %lld, N %lld: dr", (long long)E, (long long)N);
    twin_expect(t, bound, dX, "pairs, E %lld, N %lld: dX", (long long)E, (long long)N);
    twin_expect(t, bound, dw, "pairs, E %lld, N %lld: dw", (long long)E, (long long)N);
    twin_expect(t, bound, dw0, "pairs, E %lld, N %lld: dw0", (long long)E, (long long)N);
    twin_expect_same(t, dX, dX2, "pairs again: dX");
    free(count);
}

static void pairs_match(void **state)
{
    static const shape shapes[] = {{9, 5, 64, 52}, {17, 10, 33, 21}, {1, 1, 8, 3},
                                   {3, 2, 5, 8},   {0, 4, 8, 8},     {2, 20, 16, 7}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int mixed = 0; mixed < 2; mixed++) {
            twins t;
            twins_begin(&t);
            t.gpu.math = mixed ? SYN_MATH_MIXED : SYN_MATH_FP32;
            problem(&t, shapes[i], mixed ? 2 * CUDA_BF16 : CUDA_FP32);
            twins_end(&t);
        }
    }
}

/* Where the sums of a turn, and those of the weights, do not fit into shared memory. */
static void sums_that_do_not_fit_lie_outside(void **state)
{
    twins t;
    twins_begin(&t);
    problem(&t, (shape){2, 60, 270, 8}, CUDA_FP32);
    problem(&t, (shape){2, 4, 100, 160}, CUDA_FP32);
    twins_end(&t);
}

static void widths_beyond_the_device_are_refused(void **state)
{
    twins t;
    twins_begin(&t);
    enum { P = 2000, F = 64 };
    const int32_t one = 1;
    twin s = twin_random(&t, 1, K * P * F), out = twin_poisoned(&t, K);
    assert_int_equal(syn_pair_forward(&t.gpu, 1, 1, P, F, twin_list(&t, &one, 1), s.gpu, s.gpu,
                                      s.gpu, s.gpu, s.gpu, s.gpu, s.gpu, out.gpu),
                     SYN_ERR_UNSUPPORTED);
    assert_non_null(strstr(syn_error_text(), "2000"));
    twins_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_match),
        cmocka_unit_test(sums_that_do_not_fit_lie_outside),
        cmocka_unit_test(widths_beyond_the_device_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
