/* PPO on the device beside the CPU's: the same roll-out from the same seed, the same gradients and
 * losses of a recorded one; graphs against direct calls and equal seeds, to the bit; and what is
 * not finite, stopped and named. */
#include "tests/trainer/ppo_world.h"

enum { N = SYN_AGENTS_MAX, A = SYN_ACTIONS_MAX };

/* ---- Parity ---- */

static void *down(world *w, const void *device, size_t bytes)
{
    void *x = malloc(bytes);
    assert_non_null(x);
    assert_ok(syn_copy_out(&w->ctx, x, device, bytes));
    return x;
}

static void assert_close(world *g, int64_t n, const real *want, const real *device, double bound,
                         const char *what, int shard)
{
    real *got = down(g, device, sizeof *got * (size_t)n);
    expect_close(bound, n, want, got, "shard %d: %s", shard, what);
    free(got);
}

static void assert_equal(world *g, size_t bytes, const void *want, const void *device,
                         const char *what, int shard)
{
    void *got = down(g, device, bytes);
    expect_equal(bytes, want, got, "shard %d: %s", shard, what);
    free(got);
}

static void assert_shards_alike(world *c, world *g, int s)
{
    const syn_ppo_shard *a = &c->ppo.shard[s], *b = &g->ppo.shard[s];
    const int64_t E = c->cfg.shard_envs, T = c->cfg.horizon, rows = T * E, all = rows + E;
    assert_equal(g, sizeof *a->action * (size_t)rows, a->action, b->action, "actions", s);
    assert_equal(g, sizeof *a->envs * (size_t)E, a->envs, b->envs, "environments", s);
    assert_equal(g, sizeof *a->next * (size_t)E, a->next, b->next, "numbers of episodes", s);
    assert_equal(g, sizeof *a->counter * (size_t)E, a->counter, b->counter, "draws", s);
    assert_equal(g, (size_t)rows, a->done, b->done, "ends", s);
    assert_equal(g, (size_t)(all * A), a->x.mask, b->x.mask, "masks", s);
    assert_equal(g, sizeof(int32_t) * (size_t)all, a->x.count, b->x.count, "teams", s);
    assert_equal(g, (size_t)all, a->x.reset, b->x.reset, "resets", s);
    assert_close(g, all * SYN_DM, a->x.message, b->x.message, 1e-4, "messages", s);
    assert_close(g, all * N * SYN_CKM, a->x.ckm, b->x.ckm, 1e-4, "CKM vectors", s);
    assert_close(g, all * 2 * N * N * SYN_PAIR_X, a->x.pair_x, b->x.pair_x, 1e-4, "pairs", s);
    assert_close(g, all * N * SYN_AGENT_X, a->x.agent_x, b->x.agent_x, 1e-4, "agents", s);
    assert_close(g, all * SYN_SUMMARY, a->x.summary, b->x.summary, 1e-4, "summaries", s);
    assert_close(g, rows, a->reward, b->reward, 1e-4, "rewards", s);
    assert_close(g, all, a->value, b->value, 1e-4, "values", s);
    assert_close(g, rows, a->logp, b->logp, 1e-4, "log probabilities", s);
    assert_close(g, rows, a->ret, b->ret, 1e-4, "returns", s);
    assert_close(g, E * SYN_STATE, a->h, b->h, 1e-4, "h", s);
    assert_close(g, E * SYN_STATE, a->c, b->c, 1e-4, "c", s);
}

static void assert_rolled_alike(const syn_ppo_stats *a, const syn_ppo_stats *b)
{
    assert_memory_equal(a->kinds, b->kinds, sizeof a->kinds);
    assert_int_equal(a->tally.episodes, b->tally.episodes);
    assert_int_equal(a->tally.messages, b->tally.messages);
    assert_true(fabs((double)(a->tally.episode_return - b->tally.episode_return)) < 1e-4);
    assert_true(fabs(a->value_mean - b->value_mean) < 1e-4 * fabs(a->value_mean));
    assert_true(fabs(a->value_std - b->value_std) < 1e-4 * a->value_std);
}

static void the_roll_out_is_the_cpus(void **state)
{
    enum { SHARDS = 2 };
    world *g = world_make(SYN_DEVICE_CUDA, SHARDS), *c = world_make(SYN_DEVICE_CPU, SHARDS);
    for (int k = 0; k < 3; k++) { /* called, recorded, launched */
        assert_ok(syn_ppo_rollout(&c->ppo));
        assert_ok(syn_ppo_rollout(&g->ppo));
        for (int s = 0; s < 2 * SHARDS; s++) assert_shards_alike(c, g, s);
        assert_rolled_alike(&c->ppo.rolled, &g->ppo.rolled);
    }
    world_free(c);
    world_free(g);
}

/* The CPU's roll-out, as it stands before the update, becomes the device's. */
static void record_on(world *g, const world *c)
{
    const int64_t E = c->cfg.shard_envs, rows = c->cfg.horizon * E, all = rows + E;
    for (int64_t s = 0; s < c->cfg.minibatches * c->cfg.shards; s++) {
        const syn_ppo_shard *a = &c->ppo.shard[s];
        syn_ppo_shard *b = &g->ppo.shard[s];
#define TAKE(field, n)                                                                             \
    assert_ok(syn_copy_in(&g->ctx, b->field, a->field, sizeof *a->field *(size_t)(n)))
        TAKE(x.message, all * SYN_DM);
        TAKE(x.ckm, all * N * SYN_CKM);
        TAKE(x.pair_x, all * 2 * N * N * SYN_PAIR_X);
        TAKE(x.agent_x, all * N * SYN_AGENT_X);
        TAKE(x.summary, all * SYN_SUMMARY);
        TAKE(x.mask, all * A);
        TAKE(x.count, all);
        TAKE(x.reset, all);
        TAKE(h0, E * SYN_STATE);
        TAKE(c0, E * SYN_STATE);
        TAKE(action, rows);
        TAKE(logp, rows);
        TAKE(advantage, rows);
        TAKE(ret, rows);
#undef TAKE
    }
}

static void coef_write(world *w)
{
    const syn_ppo_coef coef = {(real)0.2, (real)0.005, (real)0.5, 0};
    assert_ok(syn_copy_in(&w->ctx, &w->ppo.device->scalars->coef, &coef, sizeof coef));
}

static void gradient_of(world *w, int64_t s)
{
    coef_write(w);
    assert_ok(syn_params_zero_grad(&w->ctx, &w->ppo.control->params));
    assert_ok(syn_zero(&w->ctx, w->ppo.partial_stats[0], sizeof(real) * SYN_PPO_STATS));
    assert_ok(syn_ppo_shard_gradient(&w->ppo, &w->ppo.shard[s], &w->ppo.device->scalars->coef,
                                     w->ppo.partial_stats[0], NULL));
}

static void every_gradient_of_a_recorded_roll_out_is_the_cpus(void **state)
{
    world *g = world_make(SYN_DEVICE_CUDA, 1), *c = world_make(SYN_DEVICE_CPU, 1);
    assert_ok(syn_ppo_rollout(&c->ppo));
    assert_ok(syn_ppo_rollout(&g->ppo)); /* for the value's scale */
    record_on(g, c);
    for (int s = 0; s < 2; s++) {
        gradient_of(c, s);
        gradient_of(g, s);
        const syn_params *a = &c->ppo.control->params, *b = &g->ppo.control->params;
        for (int i = 0; i < a->count; i++) {
            assert_close(g, a->item[i].count, syn_grad(a, i), syn_grad(b, i), CUDA_FP32,
                         a->item[i].name, s);
        }
        assert_close(g, SYN_PPO_STATS, c->ppo.partial_stats[0], g->ppo.partial_stats[0], CUDA_FP32,
                     "losses", s);
    }
    world_free(c);
    world_free(g);
}

static void assert_near(double a, double b, const char *what, int update)
{
    if (!(fabs(a - b) <= 1e-3 * fmax(fabs(a), 0.01)))
        fail_msg("update %d: %s is %.9g on the CPU, %.9g on the device", update, what, a, b);
}

static void ten_updates_of_a_recorded_roll_out_lose_what_the_cpu_loses(void **state)
{
    world *g = world_make(SYN_DEVICE_CUDA, 1), *c = world_make(SYN_DEVICE_CPU, 1);
    assert_ok(syn_ppo_rollout(&c->ppo));
    assert_ok(syn_ppo_rollout(&g->ppo));
    record_on(g, c);
    c->ppo.cfg.epochs = g->ppo.cfg.epochs = 1;
    for (int k = 0; k < 10; k++) {
        syn_ppo_stats a, b;
        assert_ok(syn_ppo_update(&c->ppo, 0, &a));
        assert_ok(syn_ppo_update(&g->ppo, 0, &b));
        assert_near(a.policy_loss, b.policy_loss, "the policy loss", k);
        assert_near(a.value_loss, b.value_loss, "the value loss", k);
        assert_near(a.entropy, b.entropy, "the entropy", k);
        assert_near(a.grad_norm, b.grad_norm, "the gradient's norm", k);
    }
    assert_true(c->ppo.control->params.step == 20 && g->ppo.control->params.step == 20);
    world_free(c);
    world_free(g);
}

/* ---- Bits ---- */

static void assert_same_stats(const syn_ppo_stats *a, const syn_ppo_stats *b)
{
    assert_true(a->policy_loss == b->policy_loss && a->value_loss == b->value_loss);
    assert_true(a->entropy == b->entropy && a->kl == b->kl && a->grad_norm == b->grad_norm);
    assert_true(a->value_mean == b->value_mean && a->explained == b->explained);
}

static void graphs_do_what_direct_calls_do(void **state)
{
    for (int64_t shards = 1; shards <= 2; shards++) {
        syn_ppo_stats a, b;
        world *direct = world_make(SYN_DEVICE_CUDA, shards);
        world *graphs = world_make(SYN_DEVICE_CUDA, shards);
        direct->ctx.sync_every_launch = true;
        graphs->ctx.sync_every_launch = false;
        updates(direct, 2, &a);
        updates(graphs, 2, &b);
        assert_null(direct->ppo.device->rollout.exec);
        assert_non_null(graphs->ppo.device->rollout.exec);
        for (int m = 0; m < 2; m++) assert_non_null(graphs->ppo.device->minibatch[m].exec);
        assert_true(weights(direct) == weights(graphs));
        assert_same_stats(&a, &b);
        world_free(direct);
        world_free(graphs);
    }
}

static void equal_seeds_give_equal_bits(void **state)
{
    uint64_t hash[3];
    for (int k = 0; k < 3; k++) {
        syn_ppo_stats stats;
        syn_ppo_config cfg = tiny(1);
        world *w = world_open(SYN_DEVICE_CUDA);
        if (!w) skip();
        cfg.seed = k < 2 ? 1 : 2;
        assert_ok(world_begin(w, &cfg));
        const uint64_t before = weights(w);
        updates(w, 1, &stats);
        hash[k] = weights(w);
        assert_true(hash[k] != before);
        world_free(w);
    }
    assert_true(hash[0] == hash[1] && hash[0] != hash[2]);
}

/* ---- Numbers that are not finite ---- */

static void assert_stopped(syn_status st, const char *words)
{
    if (st != SYN_ERR_NUMERIC || !strstr(syn_error_text(), words))
        fail_msg("status %d, expected \"%s\": %s", (int)st, words, syn_error_text());
}

static void a_weight_stops_it_by_its_name(void **state)
{
    const real bad = NAN;
    world *w = world_make(SYN_DEVICE_CUDA, 1);
    assert_ok(syn_copy_in(&w->ctx, syn_value(&w->ppo.control->params, SYN_C_PAIR_Q) + 7, &bad,
                          sizeof bad));
    assert_stopped(syn_ppo_rollout(&w->ppo), "update 1: the weights policy.pair.q are not finite");
    world_free(w);
}

static void a_reward_stops_it_before_the_update(void **state)
{
    world *w = world_make(SYN_DEVICE_CUDA, 1);
    const uint64_t before = weights(w);
    w->ppo.env.turn_cost = NAN;
    assert_stopped(syn_ppo_rollout(&w->ppo),
                   "update 1: the reward of environment 0 at turn 0 of the roll-out is not finite");
    assert_true(weights(w) == before);
    world_free(w);
}

/* Plants x where `of` a minibatch's shard says; the update stops at that minibatch, whichever the
 * order has brought before it, with weights and moments as they were. */
static void assert_planted(real *(*of)(const syn_ppo_shard *h), real x, int updates_before,
                           const char *words)
{
    syn_ppo_stats stats;
    world *w = world_make(SYN_DEVICE_CUDA, 2);
    updates(w, updates_before, &stats);
    assert_ok(syn_ppo_rollout(&w->ppo));
    const int64_t step = w->ppo.control->params.step;
    const uint64_t before = weights(w);
    for (int k = 0; k < 4; k++) assert_ok(syn_copy_in(&w->ctx, of(&w->ppo.shard[k]), &x, sizeof x));
    assert_stopped(syn_ppo_update(&w->ppo, 0, &stats), words);
    assert_non_null(strstr(syn_error_text(), "epoch 1, minibatch 1: "));
    assert_non_null(strstr(syn_error_text(), "the step was not taken"));
    assert_true(weights(w) == before && w->ppo.control->params.step == step);
    world_free(w);
}

static real *advantage_of(const syn_ppo_shard *h)
{
    return &h->advantage[1];
}

static real *return_of(const syn_ppo_shard *h)
{
    return &h->ret[2];
}

/* Of an agent that the team has not: the loss knows nothing of it, the gradient does. */
static real *absent_of(const syn_ppo_shard *h)
{
    return &h->x.ckm[(N - 1) * SYN_CKM];
}

static void losses_and_gradients_stop_it_by_their_names(void **state)
{
    assert_planted(advantage_of, NAN, 0, "the policy loss is not finite");
    assert_planted(return_of, -INFINITY, 1, "the value loss is not finite");
    assert_planted(absent_of, INFINITY, 1, "the gradient of policy.pair.q is not finite");
}

/* A bad minibatch is the last that is learnt from, although the device is told all of an epoch at
 * once. */
static void what_follows_a_bad_minibatch_is_not_learnt(void **state)
{
    bool first = false, second = false;
    for (int m = 0; m < 2; m++) {
        syn_ppo_stats stats;
        const real bad = NAN;
        world *w = world_make(SYN_DEVICE_CUDA, 1);
        const uint64_t begun = weights(w);
        w->ppo.cfg.value_norm = false; /* which changes the critic before */
        assert_ok(syn_ppo_rollout(&w->ppo));
        assert_ok(syn_copy_in(&w->ctx, w->ppo.shard[m].advantage, &bad, sizeof bad));
        assert_stopped(syn_ppo_update(&w->ppo, 0, &stats), "the policy loss is not finite");
        const bool at_once = strstr(syn_error_text(), "epoch 1, minibatch 1: ");
        first = first || at_once;
        second = second || strstr(syn_error_text(), "epoch 1, minibatch 2: ");
        assert_int_equal(w->ppo.control->params.step, at_once ? 0 : 1);
        assert_true((weights(w) == begun) == at_once);
        world_free(w);
    }
    assert_true(first && second);
}

/* ---- Memory ---- */

static void memory_is_taken_in_one_piece(void **state)
{
    syn_ppo_stats stats;
    world *w = world_make(SYN_DEVICE_CUDA, 1);
    assert_non_null(w->ctx.arena.data);
    assert_int_equal(w->ctx.allocations, 1);
    updates(w, 3, &stats); /* called, recorded, launched */
    assert_int_equal(w->ctx.allocations, 1);
    assert_null(w->ctx.scratch.first->next);
    assert_true(w->ctx.scratch.first->reserved);
    const unsigned char *first = w->ctx.arena.data, *end = first + w->ctx.arena.bytes_max;
    const unsigned char *last = (const unsigned char *)w->ppo.shard[1].x.reset;
    assert_true(last >= first && last < end);
    syn_ppo_free(&w->ppo);
    assert_int_equal(w->ctx.arena.live, 0);
    world_free(w);
}

/* The emulated device is asked for memory and does nothing else. */
static void many_environments_take_no_more_than_that_piece(void **state)
{
    static const struct {
        int64_t envs, horizon;
    } shape[] = {{1, 1}, {96, 1}, {96, 2}, {1, 300}, {16, 64}};
    setenv("SYN_EMULATOR_SKIP", "1", 1);
    for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
        syn_ppo_config cfg = tiny(1);
        world *w = world_open(SYN_DEVICE_CUDA);
        if (!w) break;
        cfg.minibatches = 1;
        cfg.shard_envs = shape[k].envs;
        cfg.horizon = shape[k].horizon;
        assert_ok(world_begin(w, &cfg));
        syn_ppo *p = &w->ppo;
        assert_ok(syn_ppo_shard_rollout(p, &p->shard[0], p->device->sums, p->device->bad));
        assert_ok(syn_ppo_shard_gradient(p, &p->shard[0], &p->device->scalars->coef,
                                         p->partial_stats[0], NULL));
        if (w->ctx.allocations != 1)
            fail_msg("%lld environments, horizon %lld: %lld allocations", (long long)cfg.shard_envs,
                     (long long)cfg.horizon, (long long)w->ctx.allocations);
        world_free(w);
    }
    unsetenv("SYN_EMULATOR_SKIP");
}

static void too_many_environments_are_told_how_many_would_fit(void **state)
{
    syn_ppo_config cfg = tiny(1);
    world *w = world_open(SYN_DEVICE_CUDA);
    if (!w) skip();
    cfg.shard_envs = 1 << 24;
    assert_int_equal(world_begin(w, &cfg), SYN_ERR_MEMORY);
    const char *words = strstr(syn_error_text(), "are to be had: about ");
    assert_non_null(words);
    cfg.shard_envs = strtoll(words + strlen("are to be had: about "), NULL, 10) / 2;
    assert_true(cfg.shard_envs > 0 && cfg.shard_envs < 1 << 24);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roll_out_is_the_cpus),
        cmocka_unit_test(every_gradient_of_a_recorded_roll_out_is_the_cpus),
        cmocka_unit_test(ten_updates_of_a_recorded_roll_out_lose_what_the_cpu_loses),
        cmocka_unit_test(graphs_do_what_direct_calls_do),
        cmocka_unit_test(equal_seeds_give_equal_bits),
        cmocka_unit_test(a_weight_stops_it_by_its_name),
        cmocka_unit_test(a_reward_stops_it_before_the_update),
        cmocka_unit_test(losses_and_gradients_stop_it_by_their_names),
        cmocka_unit_test(what_follows_a_bad_minibatch_is_not_learnt),
        cmocka_unit_test(memory_is_taken_in_one_piece),
        cmocka_unit_test(many_environments_take_no_more_than_that_piece),
        cmocka_unit_test(too_many_environments_are_told_how_many_would_fit),
    };
    return cmocka_run_group_tests(tests, ppo_set_up, NULL);
}
