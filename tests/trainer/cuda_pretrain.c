/* Phase 1 on the device beside the CPU's: the first gradient, the weights after ten steps, what a
 * whole fit says, and equal bits for equal seeds. */
#include "tests/trainer/device_world.h"
#include "trainer/pretrain_private.h"
#include "trainer/state_encoder.h"

enum { RECORDS = 20, PIECES = 5, BATCH = 4 };

static int set_up(void **state)
{
    (void)state;
    world_begin(RECORDS, PIECES);
    return 0;
}

static syn_pretrain_config config(double dropout)
{
    syn_pretrain_config c = SYN_PRETRAIN_DEFAULT;
    c.quiet = true;
    c.batch = BATCH;
    c.check_episodes = 8;
    c.dropout = dropout;
    c.ranker_steps = 2;
    c.gap_steps = 3;
    return c;
}

/* ---- Steps by themselves ---- */

typedef struct side {
    syn_pretrain_config cfg;
    syn_perception p;
    syn_pretrain_run r;
} side;

/* A run as syn_pretrain_perception prepares it, on all records. */
static void side_open(side *s, syn_ctx *ctx, const syn_pretrain_config *cfg)
{
    syn_ctx *host = &w.cpu;
    memset(s, 0, sizeof *s);
    s->cfg = *cfg;
    assert_ok(syn_perception_init(host, &s->p, cfg->seed));
    s->p.dropout = (real)cfg->dropout;
    s->p.without = cfg->without;
    if (ctx->device != SYN_DEVICE_CPU) {
        syn_params made = s->p.params;
        assert_ok(syn_params_clone(ctx, &s->p.params, &made));
        syn_params_free(host, &made);
    }
    assert_ok(syn_params_trainable(ctx, &s->p.params));
    s->r = (syn_pretrain_run){.ctx = ctx,
                              .cfg = &s->cfg,
                              .corpus = &w.corpus,
                              .tasks = syn_corpus_tasks(ctx, &w.corpus),
                              .train = w.record,
                              .train_count = RECORDS,
                              .p = &s->p,
                              .mine = BATCH};
    s->r.draw = syn_corpus_draw(&w.corpus, w.record, RECORDS);
    assert_ok(syn_observer_init(ctx, &s->r.o, BATCH, cfg->central));
    if (ctx->device != SYN_DEVICE_CPU) {
        assert_ok(syn_pretrain_device_init(&s->r));
        return;
    }
    s->r.envs = calloc(BATCH, sizeof *s->r.envs);
    s->r.label = calloc(BATCH, sizeof *s->r.label);
}

static void side_close(side *s)
{
    syn_ctx *ctx = s->r.ctx;
    syn_observer_free(ctx, &s->r.o);
    if (!s->r.device) {
        free(s->r.envs);
        free(s->r.label);
    }
    syn_pretrain_device_free(&s->r);
    syn_perception_free(ctx, &s->p);
}

static void expect_close_params(const side *cpu, const side *gpu, double bound, bool gradient,
                                const char *when)
{
    const syn_params *c = &cpu->p.params, *g = &gpu->p.params;
    for (int i = 0; i < c->count; i++) {
        const real *want = gradient ? syn_grad(c, i) : syn_value(c, i);
        const real *got = gradient ? syn_grad(g, i) : syn_value(g, i);
        expect_close_device(&w.gpu, bound, c->item[i].count, want, got, "%s: %s of %s", when,
                            gradient ? "gradient" : "value", c->item[i].name);
    }
}

static const char *const phases[SYN_PHASES] = {"ranker", "refiner", "gap"};

/* With items on their own scale, as the phase before has them measured. */
static void measure(side *s, syn_phase phase)
{
    if (phase == SYN_PHASE_GAP) assert_ok(syn_pretrain_measure_items(&s->r));
}

static void compare(syn_phase phase, const syn_pretrain_config *cfg)
{
    side cpu, gpu;
    double loss[2];
    corpus_upload();
    side_open(&cpu, &w.cpu, cfg);
    side_open(&gpu, &w.gpu, cfg);
    measure(&cpu, phase);
    measure(&gpu, phase);
    expect_close(CUDA_FP32, SYN_DI, cpu.r.mean, gpu.r.mean, "%s: means", phases[phase]);
    expect_close(CUDA_FP32, SYN_DI, cpu.r.scale, gpu.r.scale, "%s: scales", phases[phase]);
    for (int64_t step = 0; step < 10; step++) {
        assert_ok(syn_pretrain_step(&cpu.r, phase, step));
        assert_ok(syn_pretrain_step(&gpu.r, phase, step));
        if (step == 0) expect_close_params(&cpu, &gpu, CUDA_FP32, true, phases[phase]);
        assert_ok(syn_pretrain_loss(&cpu.r, phase, &loss[0]));
        assert_ok(syn_pretrain_loss(&gpu.r, phase, &loss[1]));
        if (!(loss[0] > 0) || fabs(loss[1] - loss[0]) > 1e-3 * loss[0])
            fail_msg("%s, step %lld: loss %.7g, %.7g was wanted", phases[phase],
                     (long long)step + 1, loss[1], loss[0]);
    }
    assert_true(cpu.p.params.step == 10 && gpu.p.params.step == 10);
    side_close(&cpu);
    side_close(&gpu);
    corpus_unload();
}

static void ten_steps_of_each_phase_are_those_of_the_cpu(void **state)
{
    const syn_pretrain_config c = config(0);
    for (int phase = 0; phase < SYN_PHASES; phase++) compare((syn_phase)phase, &c);
}

static void ablations_and_shuffled_labels_too(void **state)
{
    syn_pretrain_config c = config(0);
    c.central = false;
    compare(SYN_PHASE_RANKER, &c);
    compare(SYN_PHASE_GAP, &c);
    c.central = true;
    c.without = SYN_WITHOUT_CKM | SYN_WITHOUT_OWN_VIEW;
    c.shuffled_labels = true;
    compare(SYN_PHASE_REFINER, &c);
    compare(SYN_PHASE_GAP, &c);
}

/* ---- Whole fits ---- */

static void fit(syn_ctx *ctx, const syn_pretrain_config *c, syn_perception *p,
                syn_pretrain_result *result)
{
    assert_ok(syn_pretrain_perception(ctx, c, &w.ds, &w.corpus, w.record, RECORDS, p, result));
}

static void equal_seeds_give_equal_bits(void **state)
{
    const syn_pretrain_config c = config(0.2);
    syn_pretrain_result result;
    uint64_t hash[2];
    for (int k = 0; k < 2; k++) {
        syn_perception p;
        corpus_upload();
        fit(&w.gpu, &c, &p, &result);
        hash[k] = syn_params_hash(&p.params);
        assert_true(p.params.m && p.calibrated[SYN_GAP].temperature > 0);
        syn_perception_free(&w.cpu, &p);
        corpus_unload();
    }
    assert_true(hash[0] == hash[1]);
}

static void a_fit_on_the_device_judges_as_one_on_the_cpu(void **state)
{
    const syn_pretrain_config c = config(0);
    syn_pretrain_result cpu_result, gpu_result;
    syn_perception cpu, gpu;
    corpus_upload();
    fit(&w.cpu, &c, &cpu, &cpu_result);
    fit(&w.gpu, &c, &gpu, &gpu_result);
    expect_close(1e-3, cpu.params.total, cpu.params.value, gpu.params.value, "weights");
    assert_true(cpu_result.gap_steps == gpu_result.gap_steps);
    assert_true(fabs(cpu_result.gap_auroc - gpu_result.gap_auroc) < 1e-3);
    assert_true(fabs(cpu_result.ranker_auroc - gpu_result.ranker_auroc) < 1e-3);
    for (int k = 0; k < SYN_GAP_OUT; k++)
        assert_true(fabsf(cpu.calibrated[k].offset - gpu.calibrated[k].offset) < 1e-2f);
    syn_perception_free(&w.cpu, &cpu);
    syn_perception_free(&w.cpu, &gpu);
    corpus_unload();
}

/* The step that would spread it is not taken, nor any after it. */
static void a_gradient_that_is_not_finite_ends_the_fit(void **state)
{
    const syn_pretrain_config c = config(0.2);
    side s;
    double loss;
    corpus_upload();
    side_open(&s, &w.gpu, &c);
    const real bad = NAN;
    real *weight = syn_value(&s.p.params, SYN_P_RANKER_W0);
    assert_ok(syn_copy_in(&w.gpu, weight, &bad, sizeof bad));
    for (int64_t step = 0; step < 3; step++)
        assert_ok(syn_pretrain_step(&s.r, SYN_PHASE_RANKER, step));
    assert_int_equal(syn_pretrain_loss(&s.r, SYN_PHASE_RANKER, &loss), SYN_ERR_NUMERIC);
    assert_non_null(strstr(syn_error_text(), "not finite"));
    real *moment = from_device(&w.gpu, s.p.params.m, sizeof(real) * (size_t)s.p.params.total);
    for (int64_t k = 0; k < s.p.params.total; k++) assert_true(moment[k] == 0);
    free(moment);
    side_close(&s);
    corpus_unload();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_of_each_phase_are_those_of_the_cpu),
        cmocka_unit_test(ablations_and_shuffled_labels_too),
        cmocka_unit_test(equal_seeds_give_equal_bits),
        cmocka_unit_test(a_fit_on_the_device_judges_as_one_on_the_cpu),
        cmocka_unit_test(a_gradient_that_is_not_finite_ends_the_fit),
    };
    return cmocka_run_group_tests(tests, set_up, world_end);
}
