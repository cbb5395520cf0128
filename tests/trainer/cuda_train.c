/* Training on the device: what is saved goes on to the bit there, and from where it stood on the
 * other one. */
#include "tests/datasets/helpers.h"
#include "tests/trainer/device_world.h"
#include "trainer/ppo_private.h"
#include "trainer/ppo_state.h"
#include "trainer/train.h"

enum { RECORDS = 20, PIECES = 5 };

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    world_begin(RECORDS, PIECES);
    assert_ok(syn_perception_init(&w.cpu, &w.model.perception, 2));
    assert_ok(syn_control_init(&w.cpu, &w.model.control, 3));
    w.model.has_perception = w.model.has_control = true;
    assert_ok(syn_model_save(path_of("init"), &w.model, false, NULL, NULL));
    return 0;
}

static int tear_down(void **state)
{
    world_end(state);
    return folder_teardown(state);
}

/* Trains up to `updates` updates in all, in the folder `out`, from what is there if anything is. */
static void train(syn_device where, const char *out, int updates)
{
    syn_checkpoint *cp = NULL;
    syn_model model;
    syn_train_result result;
    const bool resumes = syn_checkpoint_exists(path_of(out));
    syn_train_config c = {.ppo = SYN_PPO_DEFAULT,
                          .env = SYN_ENV_CONFIG_DEFAULT,
                          .schedule_steps = 1000,
                          .eval_interval = 1,
                          .eval_episodes = 4,
                          .checkpoint_interval = 1,
                          .max_versions = 9,
                          .untitled_share = 0.3f,
                          .config_json = "{}",
                          .provenance_json = "{}",
                          .device = where == SYN_DEVICE_CUDA ? &w.gpu : NULL};
    char folder[160];
    snprintf(folder, sizeof folder, "%s", path_of(out));
    c.out = folder;
    c.ppo.minibatches = 2;
    c.ppo.shard_envs = 2;
    c.ppo.horizon = 3;
    c.ppo.epochs = 1;
    c.ppo.kl_stop = 1e9;
    c.env_steps = updates * syn_ppo_steps_per_update(&c.ppo);
    if (resumes)
        assert_ok(syn_checkpoint_open_version(folder, "latest", &cp));
    else
        assert_ok(syn_checkpoint_open(path_of("init"), &cp));
    assert_ok(syn_model_read(&w.cpu, cp, &model));
    if (resumes) c.resume = cp;
    assert_ok(syn_train(&w.cpu, &c, &w.ds, &w.corpus, &model, &result));
    assert_true(isfinite(result.best_return));
    syn_model_free(&w.cpu, &model);
    syn_checkpoint_close(cp);
}

/* The control network of the latest version; its moments and step are in it. */
static syn_model latest(const char *out)
{
    syn_checkpoint *cp;
    syn_model m;
    assert_ok(syn_checkpoint_open_version(path_of(out), "latest", &cp));
    assert_ok(syn_model_read(&w.cpu, cp, &m));
    syn_checkpoint_close(cp);
    return m;
}

static double distance(const char *a, const char *b)
{
    syn_model x = latest(a), y = latest(b);
    const syn_params *p = &x.control.params, *q = &y.control.params;
    double difference = 0, size = 0;
    assert_true(p->step == q->step && p->m && q->m);
    for (int64_t i = 0; i < p->total; i++) {
        const double apart[] = {(double)(p->value[i] - q->value[i]), (double)(p->m[i] - q->m[i]),
                                (double)(p->v[i] - q->v[i])};
        for (int k = 0; k < 3; k++) difference += apart[k] * apart[k];
        size += (double)(q->value[i] * q->value[i]);
    }
    syn_model_free(&w.cpu, &x);
    syn_model_free(&w.cpu, &y);
    return sqrt(difference / size);
}

static void a_run_on_the_device_goes_on_to_the_bit(void **state)
{
    device_open();
    train(SYN_DEVICE_CUDA, "whole", 2);
    syn_ctx_free(&w.gpu);
    device_open();
    train(SYN_DEVICE_CUDA, "cut", 1);
    syn_ctx_free(&w.gpu);
    device_open();
    train(SYN_DEVICE_CUDA, "cut", 2);
    syn_ctx_free(&w.gpu);
    assert_true(distance("cut", "whole") == 0);
}

/* Rounding differs, so not to the bit; what is taken up is the same. */
static void a_run_goes_on_on_the_other_device(void **state)
{
    device_open();
    train(SYN_DEVICE_CPU, "there", 1);
    train(SYN_DEVICE_CUDA, "there", 2);
    train(SYN_DEVICE_CUDA, "back", 1);
    train(SYN_DEVICE_CPU, "back", 2);
    syn_ctx_free(&w.gpu);
    train(SYN_DEVICE_CPU, "stay", 2);
    const double there = distance("there", "stay"), back = distance("back", "stay");
    if (there == 0 || there > 1e-3 || back == 0 || back > 1e-3)
        fail_msg("CPU to CUDA is %.3g from the CPU alone, CUDA to CPU %.3g", there, back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_on_the_device_goes_on_to_the_bit),
        cmocka_unit_test(a_run_goes_on_on_the_other_device),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
