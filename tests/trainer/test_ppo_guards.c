/* What PPO does about numbers that are not finite, planted one after the other; what it counts as a
 * spike; value normalisation; and the state of its environments, saved and restored. */
#include "tests/datasets/helpers.h"
#include "tests/trainer/memory_dataset.h"
#include "trainer/ppo_private.h"
#include "trainer/ppo_state.h"
#include "trainer/spikes.h"

enum { RECORDS = 12, TEAM_MAX = 4 };

typedef struct world {
    syn_ctx ctx;
    syn_dataset ds;
    syn_idf idf;
    real *table;
    syn_corpus corpus;
    syn_perception perception;
    syn_control control;
    int32_t record[RECORDS];
    syn_ppo ppo;
} world;

static void ppo_begin(world *w, int64_t shards, double lr)
{
    const syn_ppo_source source = {&w->perception, w->record, RECORDS};
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    env.agents_max = TEAM_MAX;
    cfg.minibatches = 2;
    cfg.shards = shards;
    cfg.shard_envs = 4 / shards;
    cfg.horizon = 5;
    cfg.epochs = 2;
    cfg.lr_actor = lr;
    assert_ok(syn_control_init(&w->ctx, &w->control, 3));
    assert_ok(syn_ppo_init(&w->ctx, &w->ppo, &cfg, &env, &w->corpus, true, &source, 1, 0.3f,
                           &w->control, NULL));
}

static void ppo_end(world *w)
{
    syn_ppo_free(&w->ppo);
    syn_control_free(&w->ctx, &w->control);
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    if (!w || folder_setup(state)) return -1;
    *state = w;
    assert_ok(syn_ctx_init(&w->ctx, SYN_DEVICE_CPU, 1));
    dataset_begin(&w->ds);
    random_records(&w->ds, RECORDS, 6, 2, true);
    w->table = syn_device_alloc(&w->ctx, sizeof(real) * SYN_VOCABULARY * SYN_DE);
    syn_embedding_init(w->table, 1);
    assert_ok(syn_corpus_idf(&w->ds, NULL, &w->idf));
    assert_ok(syn_corpus_build(&w->ctx, &w->corpus, &w->ds, NULL, NULL, &w->idf, w->table, 0));
    assert_ok(syn_perception_init(&w->ctx, &w->perception, 2));
    for (int k = 0; k < RECORDS; k++) w->record[k] = k;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    syn_perception_free(&w->ctx, &w->perception);
    syn_corpus_free(&w->ctx, &w->corpus);
    syn_device_free(&w->ctx, w->table);
    syn_dataset_free(&w->ds);
    syn_ctx_free(&w->ctx);
    free(w);
    return folder_teardown(state);
}

/* ---- Numbers that are not finite ---- */

static void assert_stopped(syn_status st, const char *words)
{
    if (st != SYN_ERR_NUMERIC || !strstr(syn_error_text(), words))
        fail_msg("status %d, expected \"%s\": %s", (int)st, words, syn_error_text());
}

static void a_reward_stops_it_before_the_update(void **state)
{
    world *w = *state;
    ppo_begin(w, 1, 1e-3);
    const uint64_t weights = syn_params_hash(&w->control.params);
    w->ppo.env.turn_cost = NAN;
    assert_stopped(syn_ppo_rollout(&w->ppo),
                   "update 1: the reward of environment 0 at turn 0 of the roll-out is not finite");
    assert_true(syn_params_hash(&w->control.params) == weights);
    ppo_end(w);
}

static void a_value_stops_it_before_the_update(void **state)
{
    world *w = *state;
    ppo_begin(w, 1, 1e-3);
    real *out = syn_value(&w->control.params, SYN_C_CRITIC_OUT);
    for (int k = 0; k < SYN_CRITIC_HIDDEN; k++) out[k] = k % 2 ? 3e38f : -3e38f;
    *syn_value(&w->control.params, SYN_C_CRITIC_OUT_B) = 3e38f;
    for (int k = 0; k < SYN_CRITIC_HIDDEN; k++)
        syn_value(&w->control.params, SYN_C_CRITIC_B)[k] = k % 2 ? 9 : -9; /* tanh: 1 and -1 */
    assert_stopped(syn_ppo_rollout(&w->ppo), "update 1: the value of environment 0 at turn 0");
    ppo_end(w);
}

static void a_weight_stops_it_by_its_name(void **state)
{
    world *w = *state;
    ppo_begin(w, 1, 1e-3);
    syn_value(&w->control.params, SYN_C_PAIR_Q)[7] = INFINITY;
    assert_stopped(syn_ppo_rollout(&w->ppo), "update 1: the weights policy.pair.q are not finite");
    ppo_end(w);
}

/* Plants x where `of` of every shard says, and expects the update to stop with weights and moments
 * as they were. */
static void assert_planted(world *w, real *(*of)(syn_ppo_shard *h), real x, const char *words)
{
    syn_ppo_stats stats;
    const syn_params *t = &w->control.params;
    ppo_begin(w, 2, 1e-3);
    assert_ok(syn_ppo_rollout(&w->ppo));
    for (int k = 0; k < 4; k++) *of(&w->ppo.shard[k]) = x;
    const uint64_t weights = syn_params_hash(t);
    assert_stopped(syn_ppo_update(&w->ppo, 0, &stats), words);
    assert_non_null(strstr(syn_error_text(), "update 1, epoch 1, minibatch 1: "));
    assert_non_null(strstr(syn_error_text(), "the step was not taken"));
    assert_true(syn_params_hash(t) == weights && t->step == 0);
    for (int64_t i = 0; i < t->total; i++) assert_true(t->m[i] == 0 && t->v[i] == 0);
    ppo_end(w);
}

static real *advantage_of(syn_ppo_shard *h)
{
    return &h->advantage[3];
}

static real *return_of(syn_ppo_shard *h)
{
    return &h->ret[2];
}

/* Of an agent that the team has not: the loss knows nothing of it, the gradient does. */
static real *absent_of(syn_ppo_shard *h)
{
    return &h->x.ckm[(SYN_AGENTS_MAX - 1) * SYN_CKM];
}

static void a_loss_stops_it_by_its_name(void **state)
{
    assert_planted(*state, advantage_of, NAN, "the policy loss is not finite");
    assert_planted(*state, return_of, -INFINITY, "the value loss is not finite");
}

static void a_gradient_stops_it_by_its_name(void **state)
{
    assert_planted(*state, absent_of, INFINITY, "the gradient of policy.pair.q is not finite");
}

static void a_step_too_far_is_seen_before_anything_is_saved(void **state)
{
    world *w = *state;
    syn_ppo_stats stats;
    ppo_begin(w, 1, 1e38);
    w->ppo.cfg.epochs = 1;
    w->ppo.cfg.minibatches = 1;
    assert_ok(syn_ppo_rollout(&w->ppo));
    assert_stopped(syn_ppo_update(&w->ppo, 0, &stats), "update 1: the weights state.in.w are not");
    w->ppo.cfg.minibatches = 2; /* as they were made */
    ppo_end(w);
}

/* ---- Spikes ---- */

static void a_spike_is_ten_times_what_came_before(void **state)
{
    syn_spikes s = {0};
    assert_false(syn_spikes_add(&s, 1e-3));
    assert_false(syn_spikes_add(&s, 1)); /* too early to tell */
    for (int k = 0; k < 20; k++) assert_false(syn_spikes_add(&s, 0.5));
    assert_false(syn_spikes_add(&s, 10));
    assert_false(syn_spikes_add(&s, 100)); /* the largest is 10 now */
    assert_true(syn_spikes_add(&s, 1001));
    assert_true(syn_spikes_add(&s, 1001)); /* a spike raises no threshold */
    for (int k = 0; k < SYN_SPIKES_WINDOW; k++) assert_false(syn_spikes_add(&s, 1));
    assert_true(syn_spikes_add(&s, 11)); /* what is older than the window is forgotten */
    assert_int_equal(s.count, 3);
}

/* ---- Value normalisation ---- */

static void normalising_leaves_what_the_critic_says(void **state)
{
    world *w = *state;
    syn_value_norm n = {0};
    assert_ok(syn_control_init(&w->ctx, &w->control, 5));
    const real *out = syn_value(&w->control.params, SYN_C_CRITIC_OUT);
    const real *bias = syn_value(&w->control.params, SYN_C_CRITIC_OUT_B);
    double before = (double)*bias, slope = (double)out[9];
    for (int k = 0; k < 12; k++) {
        assert_ok(syn_value_norm_update(&w->ctx, &n, 3 + k, 30 + 7 * k * k, &w->control));
        const double mean = syn_value_norm_mean(&n), std = syn_value_norm_std(&n);
        assert_true(fabs((double)*bias * std + mean - before) < 1e-4);
        assert_true(fabs((double)out[9] * std / slope - 1) < 1e-4);
    }
    syn_control_free(&w->ctx, &w->control);
}

static void the_moments_are_those_of_the_returns(void **state)
{
    world *w = *state;
    syn_value_norm n = {0};
    assert_ok(syn_control_init(&w->ctx, &w->control, 5));
    assert_true(syn_value_norm_mean(&n) == 0 && syn_value_norm_std(&n) == 1);
    assert_ok(syn_value_norm_update(&w->ctx, &n, -2, 13, &w->control)); /* mean -2, variance 9 */
    assert_true(fabs(syn_value_norm_mean(&n) + 2) < 1e-12);
    assert_true(fabs(syn_value_norm_std(&n) - 3) < 1e-12);
    for (int k = 0; k < 300; k++) assert_ok(syn_value_norm_update(&w->ctx, &n, 5, 29, &w->control));
    assert_true(fabs(syn_value_norm_mean(&n) - 5) < 1e-4); /* the past fades */
    assert_true(fabs(syn_value_norm_std(&n) - 2) < 1e-4);
    for (int k = 0; k < 300; k++) assert_ok(syn_value_norm_update(&w->ctx, &n, 5, 25, &w->control));
    assert_true(syn_value_norm_std(&n) > 1e-3); /* equal returns divide by no zero */
    syn_control_free(&w->ctx, &w->control);
}

/* ---- Shards ---- */

static void run_updates(world *w, int count)
{
    syn_ppo_stats stats;
    for (int k = 0; k < count; k++) {
        assert_ok(syn_ppo_rollout(&w->ppo));
        assert_ok(syn_ppo_update(&w->ppo, 0, &stats));
    }
}

/* How a minibatch is cut changes rounding and nothing else: one step from equal weights. */
static void shards_sum_up_to_the_minibatch(void **state)
{
    world *w = *state;
    real *whole = NULL;
    for (int64_t shards = 1; shards <= 4; shards *= 4) {
        ppo_begin(w, shards, 1e-3);
        const syn_params *t = &w->control.params;
        syn_ppo_stats stats;
        w->ppo.cfg.epochs = 1;
        w->ppo.cfg.lr_actor = w->ppo.cfg.lr_critic = 1e-30; /* the gradients are of one point */
        assert_ok(syn_ppo_rollout(&w->ppo));
        assert_ok(syn_ppo_update(&w->ppo, 0, &stats));
        if (!whole) {
            whole = malloc(sizeof *whole * (size_t)t->total);
            memcpy(whole, t->m, sizeof *whole * (size_t)t->total);
        } else {
            double difference = 0, size = 0;
            for (int64_t i = 0; i < t->total; i++) {
                difference += pow((double)whole[i] - (double)t->m[i], 2);
                size += pow((double)whole[i], 2);
            }
            assert_true(size > 0 && sqrt(difference / size) < 1e-4);
        }
        ppo_end(w);
    }
    free(whole);
}

/* ---- Saving and restoring ---- */

static void save_state(world *w, const char *name)
{
    syn_ppo_state state;
    const syn_save_facts facts = {0};
    assert_ok(syn_ppo_state_gather(&w->ppo, &state));
    assert_ok(syn_checkpoint_save(path_of(name), state.tensor, state.count, &facts, NULL));
    syn_ppo_state_free(&state);
}

static syn_status restore_state(world *w, const char *name, syn_ppo_restored *how)
{
    syn_checkpoint *cp;
    assert_ok(syn_checkpoint_open(path_of(name), &cp));
    syn_status st = syn_ppo_state_restore(&w->ppo, cp, how);
    syn_checkpoint_close(cp);
    return st;
}

static void a_restored_state_goes_on_to_the_bit(void **state)
{
    world *w = *state;
    syn_ppo_restored how;
    ppo_begin(w, 2, 1e-3);
    run_updates(w, 2);
    save_state(w, "state");
    syn_params kept = w->control.params; /* with its moments */
    w->control = (syn_control){0};
    syn_ppo_free(&w->ppo);
    ppo_begin(w, 2, 1e-3);
    syn_params *t = &w->control.params;
    const size_t bytes = sizeof(real) * (size_t)t->total;
    memcpy(t->value, kept.value, bytes);
    memcpy(t->m, kept.m, bytes);
    memcpy(t->v, kept.v, bytes);
    t->step = kept.step;
    assert_ok(restore_state(w, "state", &how));
    assert_int_equal(how, SYN_RESTORED_EXACT);
    assert_int_equal(w->ppo.updates, 2);
    run_updates(w, 2);
    const uint64_t resumed = syn_params_hash(t);
    ppo_end(w);
    syn_params_free(&w->ctx, &kept);
    ppo_begin(w, 2, 1e-3);
    run_updates(w, 4);
    assert_true(syn_params_hash(&w->control.params) == resumed);
    ppo_end(w);
}

static void other_shards_take_up_the_same_episodes(void **state)
{
    world *w = *state;
    syn_ppo_restored how;
    ppo_begin(w, 2, 1e-3);
    run_updates(w, 1);
    save_state(w, "cut");
    const syn_env last = w->ppo.shard[3].envs[1];
    ppo_end(w);
    ppo_begin(w, 1, 1e-3);
    assert_ok(restore_state(w, "cut", &how));
    assert_int_equal(how, SYN_RESTORED_RESHAPED);
    assert_memory_equal(&w->ppo.shard[1].envs[3], &last, sizeof last);
    run_updates(w, 1);
    ppo_end(w);
}

static void impossible_environments_are_refused(void **state)
{
    world *w = *state;
    syn_ppo_state s;
    syn_ppo_restored how;
    const syn_save_facts facts = {0};
    ppo_begin(w, 1, 1e-3);
    assert_ok(syn_ppo_state_gather(&w->ppo, &s));
    syn_env *envs = s.field[0], good = envs[5];
    for (int k = 0; k < 10; k++) {
        envs[5] = good;
        if (k == 0) envs[5].agents = 31;
        if (k == 1) envs[5].task = 2 * RECORDS;
        if (k == 2) envs[5].count[1] = 33;
        if (k == 3) envs[5].item[0][0] = 200;
        if (k == 4) envs[5].last.to = 9;
        if (k == 5) envs[5].changed = ~0u;
        if (k == 6) envs[5].memory[0] ^= 1; /* the next piece would be one too many */
        if (k == 7) envs[5].last.from = -3;
        if (k == 8) envs[5].last = (syn_action){SYN_REQUEST, 0, -1, 2};
        if (k == 9) envs[5].turn = envs[5].turns_max;
        if (k == 3 && !envs[5].count[0]) continue;
        assert_ok(syn_checkpoint_save(path_of("bad"), s.tensor, s.count, &facts, NULL));
        assert_int_equal(restore_state(w, "bad/latest", &how), SYN_ERR_FORMAT);
        assert_non_null(strstr(syn_error_text(), "environment 5 is in no possible state"));
    }
    syn_ppo_state_free(&s);
    ppo_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reward_stops_it_before_the_update),
        cmocka_unit_test(a_value_stops_it_before_the_update),
        cmocka_unit_test(a_weight_stops_it_by_its_name),
        cmocka_unit_test(a_loss_stops_it_by_its_name),
        cmocka_unit_test(a_gradient_stops_it_by_its_name),
        cmocka_unit_test(a_step_too_far_is_seen_before_anything_is_saved),
        cmocka_unit_test(a_spike_is_ten_times_what_came_before),
        cmocka_unit_test(normalising_leaves_what_the_critic_says),
        cmocka_unit_test(the_moments_are_those_of_the_returns),
        cmocka_unit_test(shards_sum_up_to_the_minibatch),
        cmocka_unit_test(a_restored_state_goes_on_to_the_bit),
        cmocka_unit_test(other_shards_take_up_the_same_episodes),
        cmocka_unit_test(impossible_environments_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
