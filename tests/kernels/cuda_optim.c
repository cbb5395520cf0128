/* Norms and AdamW on the device beside the CPU's. */
#include "kernels/optim.h"
#include "tests/kernels/twins.h"

typedef struct slabs {
    twin p, g, m, v;
} slabs;

static slabs slabs_make(twins *t, int64_t n)
{
    slabs s = {twin_random(t, 1, n), twin_random(t, 2, n), twin_random(t, 3, n), {0}};
    real *v = real_alloc(n);
    random_fill(4, n, 0, 1, v);
    s.v = twin_of(t, v, n);
    return s;
}

static void slabs_expect(twins *t, const slabs *s, const char *name)
{
    twin_expect(t, CUDA_FP32, s->p, "%s: p", name);
    twin_expect(t, CUDA_FP32, s->m, "%s: m", name);
    twin_expect(t, CUDA_FP32, s->v, "%s: v", name);
}

static void norms_match(void **state)
{
    static const int64_t sizes[] = {0, 1, 4095, 20001};
    for (int i = 0; i < 4; i++) {
        twins t;
        twins_begin(&t);
        twin g = twin_random(&t, 1, sizes[i]), norm = twin_poisoned(&t, 1),
             again = twin_poisoned(&t, 1);
        assert_ok(syn_grad_norm(&t.cpu, sizes[i], g.cpu, norm.cpu));
        assert_ok(syn_grad_norm(&t.gpu, sizes[i], g.gpu, norm.gpu));
        assert_ok(syn_grad_norm(&t.gpu, sizes[i], g.gpu, again.gpu));
        twin_expect(&t, CUDA_FP32, norm, "norm of %lld", (long long)sizes[i]);
        twin_expect_same(&t, norm, again, "norm again");
        twins_end(&t);
    }
}

static void steps_match(void **state)
{
    static const int64_t sizes[] = {0, 1, 6, 1027};
    for (int i = 0; i < 4; i++) {
        twins t;
        twins_begin(&t);
        const int64_t n = sizes[i];
        slabs s = slabs_make(&t, n);
        for (int64_t step = 1; step <= 3; step++) {
            assert_ok(syn_adamw(&t.cpu, n, s.p.cpu, s.g.cpu, s.m.cpu, s.v.cpu, 0.01f, 0.9f, 0.99f,
                                1e-6f, 0.1f, step, 0.5f));
            assert_ok(syn_adamw(&t.gpu, n, s.p.gpu, s.g.gpu, s.m.gpu, s.v.gpu, 0.01f, 0.9f, 0.99f,
                                1e-6f, 0.1f, step, 0.5f));
        }
        slabs_expect(&t, &s, "AdamW");
        twins_end(&t);
    }
}

static void rows_match_and_others_stay(void **state)
{
    enum { ROWS = 9, D = 33 };
    static const int32_t row[] = {7, 0, 3};
    twins t;
    twins_begin(&t);
    slabs s = slabs_make(&t, ROWS * D);
    const int32_t *row_gpu = twin_list(&t, row, 3);
    assert_ok(syn_adamw_rows(&t.cpu, 3, row, D, s.p.cpu, s.g.cpu, s.m.cpu, s.v.cpu, 0.01f, 0.9f,
                             0.99f, 1e-6f, 0.1f, 2, 1));
    assert_ok(syn_adamw_rows(&t.gpu, 3, row_gpu, D, s.p.gpu, s.g.gpu, s.m.gpu, s.v.gpu, 0.01f, 0.9f,
                             0.99f, 1e-6f, 0.1f, 2, 1));
    slabs_expect(&t, &s, "AdamW of rows");
    twins_end(&t);
}

/* Scalars and norm in device memory give the bits of the same scalars in the call. */
static void scalars_on_the_device_give_the_same_bits(void **state)
{
    enum { N = 1027 };
    static const real max_norm[] = {0, (real)0.5, (real)1e6};
    for (int i = 0; i < 3; i++) {
        twins t;
        twins_begin(&t);
        slabs a = slabs_make(&t, N), b = slabs_make(&t, N);
        twin norm = twin_poisoned(&t, 1);
        syn_adam_scalars host;
        assert_ok(syn_adam_scalars_init(&host, 0.01f, 0.9f, 0.99f, 1e-6f, 0.1f, 3, max_norm[i]));
        const syn_adam_scalars *scalars = twin_list(&t, &host, 1);
        assert_ok(syn_grad_norm(&t.cpu, N, a.g.cpu, norm.cpu));
        assert_ok(syn_copy_in(&t.gpu, norm.gpu, norm.cpu, sizeof(real)));
        const real clip =
            max_norm[i] > 0 && norm.cpu[0] > max_norm[i] ? max_norm[i] / norm.cpu[0] : 1;
        for (int side = 0; side < 2; side++) {
            syn_ctx *ctx = side ? &t.gpu : &t.cpu;
#define PART(s, x) (side ? s.x.gpu : s.x.cpu)
            assert_ok(syn_adamw(ctx, N, PART(a, p), PART(a, g), PART(a, m), PART(a, v), 0.01f, 0.9f,
                                0.99f, 1e-6f, 0.1f, 3, clip));
            assert_ok(syn_adamw_device(ctx, N, PART(b, p), PART(b, g), PART(b, m), PART(b, v),
                                       side ? scalars : &host, side ? norm.gpu : norm.cpu, NULL));
#undef PART
        }
        expect_equal(sizeof(real) * N, a.p.cpu, b.p.cpu, "clip at %g, CPU: p", (double)max_norm[i]);
        twin_expect_same(&t, a.p, b.p, "p");
        twin_expect_same(&t, a.m, b.m, "m");
        twin_expect_same(&t, a.v, b.v, "v");
        slabs_expect(&t, &b, "AdamW by scalars on the device");
        twins_end(&t);
    }
}

/* Neither with a norm that is not finite, nor where it is told not to. */
static void nothing_is_updated_where_the_step_is_skipped(void **state)
{
    enum { N = 100 };
    const int32_t flags[2] = {0, 1};
    const real norms[2] = {NAN, 1};
    twins t;
    twins_begin(&t);
    slabs s = slabs_make(&t, N), was = slabs_make(&t, N);
    syn_adam_scalars host;
    assert_ok(syn_adam_scalars_init(&host, 0.01f, 0.9f, 0.99f, 1e-6f, 0, 1, 1));
    const syn_adam_scalars *scalars = twin_list(&t, &host, 1);
    const int32_t *skip = twin_list(&t, flags, 2);
    const real *norm = twin_list(&t, norms, 2);
    for (int i = 0; i < 2; i++) {
        assert_ok(syn_adamw_device(&t.gpu, N, s.p.gpu, s.g.gpu, s.m.gpu, s.v.gpu, scalars, norm + i,
                                   skip + i));
        assert_ok(syn_adamw_device(&t.cpu, N, s.p.cpu, s.g.cpu, s.m.cpu, s.v.cpu, &host, norms + i,
                                   flags + i));
    }
    twin_expect_same(&t, s.p, was.p, "p");
    twin_expect_same(&t, s.v, was.v, "v");
    expect_equal(sizeof(real) * N, was.p.cpu, s.p.cpu, "CPU: p");
    twins_end(&t);
}

static void the_first_flag_stands(void **state)
{
    enum { N = 700 };
    twins t;
    twins_begin(&t);
    twin x = twin_random(&t, 1, N);
    int32_t none = 0, flag[2] = {0, 0};
    int32_t *on_device = twin_list(&t, &none, 1);
    const real bad[2] = {NAN, INFINITY};
    assert_ok(syn_flag_not_finite(&t.gpu, N, x.gpu, 3, on_device));
    assert_ok(syn_copy_out(&t.gpu, flag, on_device, sizeof *flag));
    assert_int_equal(flag[0], 0);
    for (int i = 0; i < 2; i++) {
        assert_ok(syn_copy_in(&t.gpu, x.gpu + N - 1, bad + i, sizeof *bad));
        x.cpu[N - 1] = bad[i];
        assert_ok(syn_flag_not_finite(&t.gpu, N, x.gpu, 4 + i, on_device));
        assert_ok(syn_flag_not_finite(&t.cpu, N, x.cpu, 4 + i, flag));
        assert_ok(syn_copy_out(&t.gpu, flag + 1, on_device, sizeof *flag));
        assert_int_equal(flag[0], 4);
        assert_int_equal(flag[1], 4);
    }
    twins_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_match),
        cmocka_unit_test(steps_match),
        cmocka_unit_test(rows_match_and_others_stay),
        cmocka_unit_test(scalars_on_the_device_give_the_same_bits),
        cmocka_unit_test(nothing_is_updated_where_the_step_is_skipped),
        cmocka_unit_test(the_first_flag_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
