/* The state encoder's pre-training on the device beside the CPU's, and equal bits for equal seeds.
 */
#include "tests/trainer/device_world.h"
#include "trainer/state_encoder.h"

enum { RECORDS = 12, PIECES = 4, STEPS = 2 };

static int set_up(void **state)
{
    (void)state;
    world_begin(RECORDS, PIECES);
    return 0;
}

/* A model whose state encoder has been trained on ctx; syn_model_free it. */
static void train(syn_ctx *ctx, syn_model *m, syn_state_result *r)
{
    assert_ok(syn_model_init(&w.cpu, m, 1));
    assert_ok(syn_perception_init(&w.cpu, &m->perception, 2));
    m->has_perception = m->central = true;
    assert_ok(syn_pretrain_state(ctx, m, &w.corpus, w.record, RECORDS, STEPS, 3, r));
    assert_true(m->has_control && m->control.params.step == 0 && m->control.params.m[0] == 0);
}

static void a_few_steps_are_those_of_the_cpu(void **state)
{
    syn_model cpu, gpu;
    syn_state_result want, got;
    corpus_upload();
    train(&w.cpu, &cpu, &want);
    train(&w.gpu, &gpu, &got);
    const syn_params *p = &cpu.control.params, *q = &gpu.control.params;
    for (int i = SYN_C_IN_W; i <= SYN_C_B; i++)
        expect_close(1e-4, p->item[i].count, syn_value(p, i), syn_value(q, i), "%s",
                     p->item[i].name);
    assert_true(want.loss > 0 && fabs(got.loss - want.loss) <= 1e-3 * want.loss);
    assert_true(fabs(got.accuracy - want.accuracy) < 0.01);
    syn_model_free(&w.cpu, &cpu);
    syn_model_free(&w.cpu, &gpu);
    corpus_unload();
}

static void equal_seeds_give_equal_bits(void **state)
{
    uint64_t hash[2];
    for (int k = 0; k < 2; k++) {
        syn_model m;
        syn_state_result r;
        corpus_upload();
        train(&w.gpu, &m, &r);
        hash[k] = syn_params_hash(&m.control.params);
        syn_model_free(&w.cpu, &m);
        corpus_unload();
    }
    assert_true(hash[0] == hash[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_steps_are_those_of_the_cpu),
        cmocka_unit_test(equal_seeds_give_equal_bits),
    };
    return cmocka_run_group_tests(tests, set_up, world_end);
}
