/* train --finetune on the device beside the CPU's: the gradient of an update, the losses of
 * several, and equal bits for equal seeds. */
#include "tests/trainer/device_world.h"
#include "trainer/finetune.h"
#include "trainer/ppo_private.h"
#include "trainer/train.h"

enum { RECORDS = 12, PIECES = 5, BOTH = SYN_FINETUNE_CKM | SYN_FINETUNE_GAP };

static int set_up(void **state)
{
    (void)state;
    world_begin(RECORDS, PIECES);
    return 0;
}

/* A model, its policy's training and its judges', on one device. */
typedef struct side {
    syn_model model;
    syn_ppo ppo;
    syn_finetune f;
} side;

static void side_open(side *s, syn_ctx *ctx, int epochs, double lr, double dropout)
{
    const syn_ppo_source source = {&s->model.perception, w.record, RECORDS};
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    memset(s, 0, sizeof *s);
    env.agents_max = 3;
    cfg.minibatches = 1;
    cfg.shards = 2;
    cfg.shard_envs = 2;
    cfg.horizon = 5;
    cfg.epochs = epochs;
    cfg.kl_stop = 1e9;
    s->model = (syn_model){.central = true, .has_perception = true, .has_control = true};
    assert_ok(syn_perception_init(&w.cpu, &s->model.perception, 2));
    s->model.perception.dropout = (real)dropout;
    assert_ok(syn_control_init(&w.cpu, &s->model.control, 3));
    assert_ok(syn_ppo_init(ctx, &s->ppo, &cfg, &env, &w.corpus, true, &source, 1, 0.3f,
                           &s->model.control, NULL));
    assert_ok(syn_finetune_init(&s->f, BOTH, lr, &s->ppo, &s->model));
}

static void side_close(side *s)
{
    syn_finetune_free(&s->f);
    syn_ppo_free(&s->ppo);
    syn_control_free(&w.cpu, &s->model.control);
    syn_perception_free(&w.cpu, &s->model.perception);
}

static void update(side *s, syn_finetune_stats *out)
{
    syn_ppo_stats stats;
    assert_ok(syn_ppo_look(&s->ppo));
    assert_ok(syn_ppo_rollout(&s->ppo));
    assert_ok(syn_ppo_update(&s->ppo, 0, &stats));
    assert_ok(syn_finetune_update(&s->f, 1, out));
}

static void the_gradient_is_that_of_the_cpu(void **state)
{
    side cpu, gpu;
    syn_finetune_stats a, b;
    device_open();
    side_open(&cpu, &w.cpu, 1, 0, 0);
    side_open(&gpu, &w.gpu, 1, 0, 0);
    update(&cpu, &a);
    update(&gpu, &b);
    const syn_params *p = &cpu.f.perception->params, *q = &gpu.f.perception->params;
    for (int i = cpu.f.first; i <= cpu.f.last; i++)
        expect_close_device(&w.gpu, 5 * CUDA_FP32, p->item[i].count, syn_grad(p, i), syn_grad(q, i),
                            "gradient of %s", p->item[i].name);
    assert_true(fabs(a.gap_loss - b.gap_loss) < 1e-5 * a.gap_loss);
    assert_true(fabs(a.link_loss - b.link_loss) < 1e-5 * a.link_loss);
    side_close(&cpu);
    side_close(&gpu);
    syn_ctx_free(&w.gpu);
}

/* With the passes that are recorded, and a calibration in between. */
static void several_updates_are_those_of_the_cpu(void **state)
{
    side cpu, gpu, *both[] = {&cpu, &gpu};
    syn_finetune_stats s[2];
    device_open();
    side_open(&cpu, &w.cpu, 2, 1e-4, 0);
    side_open(&gpu, &w.gpu, 2, 1e-4, 0);
    for (int u = 0; u < 4; u++) {
        for (int k = 0; k < 2; k++) {
            update(both[k], &s[k]);
            if (u == 1) assert_ok(syn_finetune_calibrate(&both[k]->f, w.record, RECORDS));
        }
        if (fabs(s[0].gap_loss - s[1].gap_loss) > 1e-3 * s[0].gap_loss ||
            fabs(s[0].link_loss - s[1].link_loss) > 1e-3 * s[0].link_loss)
            fail_msg("update %d: losses %g and %g, %g and %g were wanted", u, s[1].gap_loss,
                     s[1].link_loss, s[0].gap_loss, s[0].link_loss);
    }
    assert_ok(syn_finetune_fetch(&gpu.f));
    const syn_params *p = &cpu.model.perception.params, *q = &gpu.model.perception.params;
    assert_true(p->step == 4 && q->step == 4);
    expect_close(1e-3, p->total, p->value, q->value, "weights");
    side_close(&cpu);
    side_close(&gpu);
    syn_ctx_free(&w.gpu);
}

static void equal_seeds_give_equal_bits(void **state)
{
    uint64_t hash[2];
    for (int k = 0; k < 2; k++) {
        side s;
        syn_finetune_stats stats;
        device_open();
        side_open(&s, &w.gpu, 2, 1e-3, 0.2);
        for (int u = 0; u < 2; u++) update(&s, &stats);
        assert_ok(syn_finetune_fetch(&s.f));
        hash[k] = syn_params_hash(&s.model.perception.params);
        side_close(&s);
        syn_ctx_free(&w.gpu);
    }
    assert_true(hash[0] == hash[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_is_that_of_the_cpu),
        cmocka_unit_test(several_updates_are_those_of_the_cpu),
        cmocka_unit_test(equal_seeds_give_equal_bits),
    };
    return cmocka_run_group_tests(tests, set_up, world_end);
}
