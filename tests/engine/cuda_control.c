/* The control network on the device beside the CPU's: what its heads read and write, its logits,
 * values and states, and every gradient; and the copies of its weights. */
#include "engine/control_pack.h"
#include "kernels/elementwise.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { N = SYN_AGENTS_MAX, A = SYN_ACTIONS_MAX, G = SYN_GLOBAL_X, T = 3, E = 2, BUFFERS_MAX = 64 };

/* Both contexts, with the buffers that a test has made in them. */
typedef struct pair {
    syn_ctx cpu, gpu;
    void *host[BUFFERS_MAX], *device[BUFFERS_MAX];
    int hosts, devices;
} pair;

static void pair_begin(pair *p)
{
    memset(p, 0, sizeof *p);
    cuda_begin(&p->cpu, &p->gpu);
}

/* Frees the buffers: between shapes. */
static void pair_clear(pair *p)
{
    while (p->hosts) syn_device_free(&p->cpu, p->host[--p->hosts]);
    while (p->devices) syn_device_free(&p->gpu, p->device[--p->devices]);
}

static void pair_end(pair *p)
{
    pair_clear(p);
    cuda_end(&p->cpu, &p->gpu);
}

static void *on_host(pair *p, size_t bytes)
{
    assert_true(p->hosts < BUFFERS_MAX);
    return p->host[p->hosts++] = poisoned(&p->cpu, bytes);
}

static void *on_device(pair *p, const void *host, size_t bytes)
{
    assert_true(p->devices < BUFFERS_MAX);
    void *x = host ? to_device(&p->gpu, host, bytes) : poisoned(&p->gpu, bytes);
    return p->device[p->devices++] = x;
}

static real *random_on_both(pair *p, uint64_t seed, int64_t n, real **gpu)
{
    real *x = on_host(p, sizeof *x * (size_t)n);
    random_fill(seed, n, -1, 1, x);
    *gpu = on_device(p, x, sizeof *x * (size_t)n);
    return x;
}

static real *poisoned_on_both(pair *p, int64_t n, real **gpu)
{
    *gpu = on_device(p, NULL, sizeof **gpu * (size_t)n);
    return on_host(p, sizeof **gpu * (size_t)n);
}

/* Teams of 2 to 10. */
static int32_t *counts(pair *p, int64_t rows, int32_t **gpu)
{
    int32_t *count = on_host(p, sizeof *count * (size_t)rows);
    for (int64_t r = 0; r < rows; r++) count[r] = (int32_t)(2 + (r * 7 + 8) % (N - 1));
    *gpu = on_device(p, count, sizeof *count * (size_t)rows);
    return count;
}

/* ---- Rows ---- */

static void sums_are_the_cpus_bits(void **state)
{
    static const int64_t shape[][4] = {{1, 1, 1, 1},    {1, 70, 70, 70}, {33, 5, 5, 7},
                                       {3, 31, 40, 31}, {0, 4, 4, 4},    {2, 0, 1, 1}};
    pair p;
    pair_begin(&p);
    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
        const int64_t rows = shape[k][0], width = shape[k][1], ldto = shape[k][2],
                      ldx = shape[k][3];
        real *to_gpu, *x_gpu, *to = random_on_both(&p, k, rows * ldto + 1, &to_gpu);
        real *x = random_on_both(&p, k + 90, rows * ldx + 1, &x_gpu);
        assert_ok(syn_add(&p.cpu, rows, width, to, ldto, x, ldx));
        assert_ok(syn_add(&p.gpu, rows, width, to_gpu, ldto, x_gpu, ldx));
        expect_equal_device(&p.gpu, rows * ldto + 1, to, to_gpu, "syn_add of shape %zu", k);
        pair_clear(&p);
    }
    pair_end(&p);
}

static void rows_are_the_cpus_bits(void **state)
{
    static const int64_t sizes[] = {0, 1, 31, 33};
    pair p;
    pair_begin(&p);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t n = sizes[k];
        real *ckm_gpu, *x_gpu, *in_gpu, *s_gpu, *sum_gpu, *g_gpu;
        int32_t *count_gpu, *count = counts(&p, n, &count_gpu);
        const size_t ints = sizeof(int32_t) * (size_t)(n * N);
        real *ckm = random_on_both(&p, 1, n * N * SYN_CKM, &ckm_gpu);
        real *x = random_on_both(&p, 2, n * N * SYN_AGENT_X, &x_gpu);
        real *s = random_on_both(&p, 3, n * SYN_STATE, &s_gpu);
        real *summary = random_on_both(&p, 4, n * SYN_SUMMARY, &sum_gpu);
        real *in = poisoned_on_both(&p, n * N * SYN_AGENT_IN, &in_gpu);
        real *g = poisoned_on_both(&p, n * G, &g_gpu);
        int32_t *env = on_host(&p, ints), *env_gpu = on_device(&p, NULL, ints);
        int32_t *row = on_host(&p, ints), *row_gpu = on_device(&p, NULL, ints);
        assert_ok(syn_agent_pack(&p.cpu, n, ckm, x, in, env, row));
        assert_ok(syn_agent_pack(&p.gpu, n, ckm_gpu, x_gpu, in_gpu, env_gpu, row_gpu));
        expect_equal_device(&p.gpu, n * N * SYN_AGENT_IN, in, in_gpu, "agents of %lld rows",
                            (long long)n);
        expect_equal_device(&p.gpu, n * N, env, env_gpu, "rows of agents, %lld", (long long)n);
        expect_equal_device(&p.gpu, n * N, row, row_gpu, "numbers of agents, %lld", (long long)n);
        assert_ok(syn_global_pack(&p.cpu, n, s, ckm, count, summary, g));
        assert_ok(syn_global_pack(&p.gpu, n, s_gpu, ckm_gpu, count_gpu, sum_gpu, g_gpu));
        expect_close_device(&p.gpu, 1e-6, n * G, g, g_gpu, "global rows, %lld", (long long)n);
        assert_ok(syn_global_pack_backward(&p.cpu, n, count, g, ckm));
        assert_ok(syn_global_pack_backward(&p.gpu, n, count_gpu, g_gpu, ckm_gpu));
        expect_close_device(&p.gpu, 1e-6, n * N * SYN_CKM, ckm, ckm_gpu, "their gradient, %lld",
                            (long long)n);
        pair_clear(&p);
    }
    pair_end(&p);
}

/* Every legal place of the flat index is another one, and what is packed is unpacked. */
static void flat_logits_are_the_heads(void **state)
{
    static const int64_t sizes[] = {0, 1, 31, 33};
    bool seen[SYN_PAIR_CELLS + 2 * N + 2] = {false};
    pair p;
    for (int a = 0; a < A; a++) {
        const int at = syn_logit_place(a);
        assert_true(at >= 0 && at < SYN_PAIR_CELLS + 2 * N + 2 && !seen[at]);
        seen[at] = true;
        if (at < SYN_PAIR_CELLS) assert_true(at / N % N != at % N);
    }
    pair_begin(&p);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t n = sizes[k], pairs = n * SYN_PAIR_CELLS;
        real *cells_gpu, *agent_gpu, *global_gpu, *flat_gpu;
        real *cells = random_on_both(&p, 1, pairs, &cells_gpu);
        real *agent = random_on_both(&p, 2, n * N * 2, &agent_gpu);
        real *global = random_on_both(&p, 3, n * 2, &global_gpu);
        real *flat = poisoned_on_both(&p, n * A, &flat_gpu);
        int32_t *count_gpu, *count = counts(&p, n, &count_gpu);
        assert_ok(syn_logits_pack(&p.cpu, n, count, cells, agent, global, flat));
        assert_ok(
            syn_logits_pack(&p.gpu, n, count_gpu, cells_gpu, agent_gpu, global_gpu, flat_gpu));
        expect_equal_device(&p.gpu, n * A, flat, flat_gpu, "flat logits of %lld rows",
                            (long long)n);
        for (int64_t c = 0; c < pairs; c++)
            if (c / N % N == c % N) cells[c] = 0;
        for (int64_t c = 0; c < n * N * 2; c++)
            if (c / 2 % N >= count[c / 2 / N]) agent[c] = 0;
        real *cells2, *agent2, *global2, *cells3 = poisoned_on_both(&p, pairs, &cells2);
        real *agent3 = poisoned_on_both(&p, n * N * 2, &agent2);
        real *global3 = poisoned_on_both(&p, n * 2, &global2);
        assert_ok(syn_logits_unpack(&p.gpu, n, count_gpu, flat_gpu, cells2, agent2, global2));
        assert_ok(syn_logits_unpack(&p.cpu, n, count, flat, cells3, agent3, global3));
        expect_equal_device(&p.gpu, pairs, cells, cells2, "pairs of %lld rows", (long long)n);
        expect_equal_device(&p.gpu, n * N * 2, agent, agent2, "agents of %lld rows", (long long)n);
        expect_equal_device(&p.gpu, n * 2, global, global2, "ends of %lld rows", (long long)n);
        expect_equal(sizeof(real) * (size_t)pairs, cells, cells3, "pairs on the CPU");
        expect_equal(sizeof(real) * (size_t)(n * N * 2), agent, agent3, "agents on the CPU");
        expect_equal(sizeof(real) * (size_t)(n * 2), global, global3, "ends on the CPU");
        pair_clear(&p);
    }
    pair_end(&p);
}

/* ---- The whole network ---- */

typedef struct both {
    pair p;
    syn_control cpu, gpu;
    syn_observation x, x_gpu;
} both;

static void observation_make(both *b, int64_t rows)
{
    pair *p = &b->p;
    uint8_t *reset = on_host(p, (size_t)rows);
    for (int64_t r = 0; r < rows; r++) reset[r] = r == 0 || r == 3;
    b->x.message = random_on_both(p, 11, rows * SYN_DM, &b->x_gpu.message);
    b->x.ckm = random_on_both(p, 12, rows * N * SYN_CKM, &b->x_gpu.ckm);
    b->x.pair_x = random_on_both(p, 13, rows * 2 * N * N * SYN_PAIR_X, &b->x_gpu.pair_x);
    b->x.agent_x = random_on_both(p, 14, rows * N * SYN_AGENT_X, &b->x_gpu.agent_x);
    b->x.summary = random_on_both(p, 15, rows * SYN_SUMMARY, &b->x_gpu.summary);
    b->x.count = counts(p, rows, &b->x_gpu.count);
    b->x.reset = reset;
    b->x_gpu.reset = on_device(p, reset, (size_t)rows);
}

static void both_make(both *b)
{
    memset(b, 0, sizeof *b);
    pair_begin(&b->p);
    assert_ok(syn_control_init(&b->p.cpu, &b->cpu, 5));
    for (int64_t k = 0; k < b->cpu.params.total; k++) b->cpu.params.value[k] *= 3;
    assert_ok(syn_params_trainable(&b->p.cpu, &b->cpu.params));
    assert_ok(syn_params_clone(&b->p.gpu, &b->gpu.params, &b->cpu.params));
    observation_make(b, T * E);
}

static void both_free(both *b)
{
    syn_control_free(&b->p.cpu, &b->cpu);
    syn_control_free(&b->p.gpu, &b->gpu);
    pair_end(&b->p);
}

/* What a forward and a backward pass over T turns leave. */
typedef struct passes {
    real *logit, *value, *hT, *cT, *dckm;
} passes;

static passes pass(syn_ctx *ctx, syn_control *c, const syn_observation *x, const real *h0,
                   const real *c0, const real *dlogit, const real *dvalue, passes out)
{
    syn_control_cache *cache;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    assert_ok(syn_params_zero_grad(ctx, &c->params));
    assert_ok(
        syn_control_forward(ctx, c, T, E, x, h0, c0, &cache, out.logit, out.value, out.hT, out.cT));
    assert_ok(syn_control_backward(ctx, c, T, E, x, h0, c0, cache, dlogit, dvalue, out.dckm, NULL));
    syn_scratch_pop(ctx, mark);
    return out;
}

static void assert_both_alike(both *b, double bound)
{
    pair *p = &b->p;
    const int64_t rows = T * E, state_size = E * SYN_STATE;
    real *h0_gpu, *c0_gpu, *dl_gpu, *dv_gpu;
    real *h0 = random_on_both(p, 21, state_size, &h0_gpu);
    real *c0 = random_on_both(p, 22, state_size, &c0_gpu);
    real *dlogit = random_on_both(p, 23, rows * A, &dl_gpu);
    real *dvalue = random_on_both(p, 24, rows, &dv_gpu);
    passes a, g;
    a.logit = poisoned_on_both(p, rows * A, &g.logit);
    a.value = poisoned_on_both(p, rows, &g.value);
    a.hT = poisoned_on_both(p, state_size, &g.hT);
    a.cT = poisoned_on_both(p, state_size, &g.cT);
    a.dckm = poisoned_on_both(p, rows * N * SYN_CKM, &g.dckm);
    pass(&p->cpu, &b->cpu, &b->x, h0, c0, dlogit, dvalue, a);
    pass(&p->gpu, &b->gpu, &b->x_gpu, h0_gpu, c0_gpu, dl_gpu, dv_gpu, g);
    expect_close_device(&p->gpu, bound, rows * A, a.logit, g.logit, "logits");
    expect_close_device(&p->gpu, bound, rows, a.value, g.value, "values");
    expect_close_device(&p->gpu, bound, state_size, a.hT, g.hT, "h after the last turn");
    expect_close_device(&p->gpu, bound, state_size, a.cT, g.cT, "c after the last turn");
    expect_close_device(&p->gpu, bound, rows * N * SYN_CKM, a.dckm, g.dckm,
                        "gradient of the CKM vectors");
    for (int i = 0; i < b->cpu.params.count; i++) {
        expect_close_device(&p->gpu, bound, b->cpu.params.item[i].count,
                            syn_grad(&b->cpu.params, i), syn_grad(&b->gpu.params, i),
                            "gradient of %s", b->cpu.params.item[i].name);
    }
}

static void outputs_and_every_gradient_are_the_cpus(void **state)
{
    both b;
    both_make(&b);
    assert_both_alike(&b, CUDA_FP32);
    both_free(&b);
}

/* Operands of products have 10 or 7 bits of mantissa, sums all: 2^-8 a factor, some of them in a
 * row, and the errors are independent. */
static void mixed_precision_stays_near(void **state)
{
    both b;
    both_make(&b);
    b.p.gpu.math = SYN_MATH_MIXED;
    assert_both_alike(&b, 0.03);
    both_free(&b);
}

/* One turn of n environments, whose states are written where they were read, on either side. */
static void turn_alike(both *b, int64_t n, real *first /* (A): logits of the first, device's */)
{
    pair *p = &b->p;
    const int64_t state_size = n * SYN_STATE;
    real *h_gpu, *c_gpu, *logit_gpu, *value_gpu;
    real *h = random_on_both(p, 21, state_size, &h_gpu);
    real *c = random_on_both(p, 22, state_size, &c_gpu);
    real *logit = poisoned_on_both(p, n * A, &logit_gpu);
    real *value = poisoned_on_both(p, n, &value_gpu);
    real *next_gpu[2], *unvalued_gpu;
    real *unvalued = poisoned_on_both(p, n * A, &unvalued_gpu);
    for (int k = 0; k < 2; k++) (void)poisoned_on_both(p, state_size, &next_gpu[k]);
    assert_ok(syn_control_forward(&p->gpu, &b->gpu, 1, n, &b->x_gpu, h_gpu, c_gpu, NULL,
                                  unvalued_gpu, NULL, next_gpu[0], next_gpu[1]));
    assert_ok(syn_copy_out(&p->gpu, unvalued, unvalued_gpu, sizeof *unvalued * (size_t)(n * A)));
    assert_ok(syn_control_forward(&p->cpu, &b->cpu, 1, n, &b->x, h, c, NULL, logit, value, h, c));
    assert_ok(syn_control_forward(&p->gpu, &b->gpu, 1, n, &b->x_gpu, h_gpu, c_gpu, NULL, logit_gpu,
                                  value_gpu, h_gpu, c_gpu));
    expect_close_device(&p->gpu, CUDA_FP32, n * A, logit, logit_gpu, "a turn of %lld: logits",
                        (long long)n);
    expect_equal_device(&p->gpu, n * A, unvalued, logit_gpu, "a turn of %lld without its values",
                        (long long)n);
    expect_close_device(&p->gpu, CUDA_FP32, n, value, value_gpu, "a turn of %lld: values",
                        (long long)n);
    expect_close_device(&p->gpu, CUDA_FP32, state_size, h, h_gpu, "a turn of %lld: h",
                        (long long)n);
    expect_close_device(&p->gpu, CUDA_FP32, state_size, c, c_gpu, "a turn of %lld: c",
                        (long long)n);
    assert_ok(syn_copy_out(&p->gpu, first, logit_gpu, sizeof *first * A));
}

/* Up to SYN_CONTROL_FEW have kernels of their own, in which nobody's company counts. */
static void a_turn_of_a_few_is_the_cpus(void **state)
{
    real alone[A], first[A];
    both b;
    both_make(&b);
    turn_alike(&b, 1, alone);
    for (int64_t n = 2; n <= SYN_CONTROL_FEW + 1; n++) {
        turn_alike(&b, n, first);
        if (n <= SYN_CONTROL_FEW) expect_equal(sizeof first, alone, first, "the first of several");
    }
    /* Kernels built for older devices, on one that would let them begin early. */
    setenv("SYN_EMULATOR_BUILT", "80", 1);
    turn_alike(&b, 1, first);
    expect_equal(sizeof first, alone, first, "by an older build");
    unsetenv("SYN_EMULATOR_BUILT");
    both_free(&b);
}

/* ---- Weights ---- */

static void networks_are_drawn_alike_and_copied_to_and_fro(void **state)
{
    pair p;
    syn_control cpu, gpu, copy;
    pair_begin(&p);
    assert_ok(syn_control_init(&p.cpu, &cpu, 9));
    assert_ok(syn_control_init(&p.gpu, &gpu, 9));
    expect_equal_device(&p.gpu, cpu.params.total, cpu.params.value, gpu.params.value,
                        "first weights");
    assert_ok(syn_params_trainable(&p.cpu, &cpu.params));
    for (int64_t k = 0; k < cpu.params.total; k++) {
        cpu.params.m[k] = (real)k;
        cpu.params.v[k] = (real)(2 * k);
    }
    cpu.params.step = 41;
    assert_ok(syn_params_clone(&p.gpu, &copy.params, &cpu.params));
    const uint64_t hash = syn_params_hash(&cpu.params);
    memset(cpu.params.value, 0, sizeof(real) * (size_t)cpu.params.total);
    memset(cpu.params.m, 0, sizeof(real) * (size_t)cpu.params.total);
    memset(cpu.params.v, 0, sizeof(real) * (size_t)cpu.params.total);
    cpu.params.step = 0;
    assert_ok(syn_params_fetch(&p.gpu, &copy.params, &cpu.params));
    assert_true(syn_params_hash(&cpu.params) == hash && cpu.params.step == 41);
    for (int64_t k = 0; k < cpu.params.total; k++)
        assert_true(cpu.params.m[k] == (real)k && cpu.params.v[k] == (real)(2 * k));
    syn_control_free(&p.gpu, &copy);
    syn_control_free(&p.gpu, &gpu);
    syn_control_free(&p.cpu, &cpu);
    pair_end(&p);
}

static void a_weight_that_is_not_finite_is_named(void **state)
{
    pair p;
    syn_control gpu;
    const real bad = NAN;
    pair_begin(&p);
    assert_ok(syn_control_init(&p.gpu, &gpu, 9));
    assert_ok(syn_params_check(&p.gpu, &gpu.params));
    assert_ok(syn_copy_in(&p.gpu, syn_value(&gpu.params, SYN_C_AGENT_Q) + 3, &bad, sizeof bad));
    assert_int_equal(syn_params_check(&p.gpu, &gpu.params), SYN_ERR_NUMERIC);
    assert_non_null(strstr(syn_error_text(), "the weights policy.agent.q are not finite"));
    syn_control_free(&p.gpu, &gpu);
    pair_end(&p);
}

/* Clipped and stepped, the same on both; a gradient that is not finite is named and changes
 * nothing. */
static void steps_are_the_cpus(void **state)
{
    both b;
    real norm, norm_gpu;
    const syn_adam adam = {(real)1e-3, (real)0.9, (real)0.999, (real)1e-5, 0, (real)0.5};
    both_make(&b);
    syn_params *a = &b.cpu.params, *g = &b.gpu.params;
    real *grad = on_host(&b.p, sizeof *grad * (size_t)a->total);
    random_fill(31, a->total, -1, 1, grad);
    for (int k = 0; k < 2; k++) {
        memcpy(a->grad, grad, sizeof(real) * (size_t)a->total);
        assert_ok(syn_copy_in(&b.p.gpu, g->grad, grad, sizeof(real) * (size_t)a->total));
        assert_ok(syn_params_step(&b.p.cpu, a, 0, SYN_C_B, &adam, &norm));
        assert_ok(syn_params_step(&b.p.gpu, g, 0, SYN_C_B, &adam, &norm_gpu));
        assert_true(fabs((double)norm_gpu / (double)norm - 1) < 1e-6);
    }
    expect_close_device(&b.p.gpu, 1e-6, a->total, a->value, g->value, "weights after two steps");
    expect_close_device(&b.p.gpu, 1e-6, a->total, a->m, g->m, "first moments");
    expect_close_device(&b.p.gpu, 1e-6, a->total, a->v, g->v, "second moments");
    real *before = from_device(&b.p.gpu, g->value, sizeof *before * (size_t)a->total);
    const real bad = INFINITY;
    assert_ok(syn_copy_in(&b.p.gpu, syn_grad(g, SYN_C_R) + 5, &bad, sizeof bad));
    assert_int_equal(syn_params_step(&b.p.gpu, g, 0, SYN_C_B, &adam, &norm_gpu), SYN_ERR_NUMERIC);
    assert_non_null(strstr(syn_error_text(), "the gradient of state.lstm.R is not finite"));
    expect_equal_device(&b.p.gpu, a->total, before, g->value, "weights after a step not taken");
    free(before);
    both_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_the_cpus_bits),
        cmocka_unit_test(rows_are_the_cpus_bits),
        cmocka_unit_test(flat_logits_are_the_heads),
        cmocka_unit_test(outputs_and_every_gradient_are_the_cpus),
        cmocka_unit_test(mixed_precision_stays_near),
        cmocka_unit_test(a_turn_of_a_few_is_the_cpus),
        cmocka_unit_test(networks_are_drawn_alike_and_copied_to_and_fro),
        cmocka_unit_test(a_weight_that_is_not_finite_is_named),
        cmocka_unit_test(steps_are_the_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
