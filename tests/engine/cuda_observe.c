/* The observation on the device beside the CPU's, over episodes of random moves: the same states,
 * the same masks, and every number that the policy reads; and recorded as one graph. */
#include "engine/observe.h"
#include "kernels/base/graph.h"
#include "kernels/env.h"
#include "tests/cuda.h"
#include "tests/random_tasks.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX, RECORDS = 5, ENVS_MAX = 17 };

typedef struct setting {
    int64_t envs;
    int turns, pieces;
    bool spread; /* not central: the policy sees what was sent */
    uint32_t without;
    syn_math math;
    double bound; /* of the relative L2 difference of a buffer */
    syn_env_config cfg;
} setting;

static setting plain(void)
{
    return (setting){
        .envs = 3, .turns = 6, .pieces = 9, .bound = 1e-5, .cfg = SYN_ENV_CONFIG_DEFAULT};
}

/* Environments with their observer, on one device. */
typedef struct side {
    syn_ctx *ctx;
    const setting *s;
    syn_tasks tasks;
    syn_perception p;
    syn_env_source source;
    syn_env *envs;
    syn_observer o;
    syn_observation x;
    int32_t *action;
    real *reward;
    uint8_t *done;
    syn_env_tally *tally;
    uint64_t *next;
} side;

/* Every number of the observation, so that what a turn does not write can be told. */
static void observation_poison(side *w)
{
    const size_t E = (size_t)w->s->envs;
    void *poison = malloc(E * 2 * N * N * SYN_PAIR_X * sizeof(real));
    assert_non_null(poison);
    memset(poison, 0xff, E * 2 * N * N * SYN_PAIR_X * sizeof(real));
    assert_ok(syn_copy_in(w->ctx, w->x.message, poison, E * SYN_DM * sizeof(real)));
    assert_ok(syn_copy_in(w->ctx, w->x.pair_x, poison, E * 2 * N * N * SYN_PAIR_X * sizeof(real)));
    assert_ok(syn_copy_in(w->ctx, w->x.agent_x, poison, E * N * SYN_AGENT_X * sizeof(real)));
    assert_ok(syn_copy_in(w->ctx, w->x.summary, poison, E * SYN_SUMMARY * sizeof(real)));
    assert_ok(syn_copy_in(w->ctx, w->x.mask, poison, E * A));
    free(poison);
}

/* The tasks and weights of `from`, where there is one, on another device. */
static void side_make(side *w, syn_ctx *ctx, const setting *s, const side *from)
{
    const size_t E = (size_t)s->envs;
    int32_t record[RECORDS];
    uint64_t next[ENVS_MAX];
    memset(w, 0, sizeof *w);
    w->ctx = ctx;
    w->s = s;
    if (from) {
        assert_ok(syn_tasks_alloc(ctx, &w->tasks, from->tasks.count));
        assert_ok(syn_tasks_upload(ctx, &w->tasks, 0, &from->tasks));
        w->p = from->p;
        w->p.params.value =
            to_device(ctx, from->p.params.value, sizeof(real) * (size_t)from->p.params.total);
    } else {
        random_tasks(ctx, &w->tasks, 2 * RECORDS, s->pieces, 2);
        assert_ok(syn_perception_init(ctx, &w->p, 5));
        for (int64_t k = 0; k < w->p.params.total; k++) w->p.params.value[k] *= 2; /* opinions */
        w->p.calibrated[SYN_LINK] = (syn_calibration){1.3f, 0.2f};
        w->p.calibrated[SYN_GAP] = (syn_calibration){0.8f, -0.1f};
        w->p.without = s->without;
    }
    for (int r = 0; r < RECORDS; r++) record[r] = r;
    for (int64_t e = 0; e < s->envs; e++) next[e] = (uint64_t)(s->envs + e);
    w->source = (syn_env_source){.info = w->tasks.info,
                                 .record = to_device(ctx, record, sizeof record),
                                 .records = RECORDS,
                                 .untitled_share = 0.5f,
                                 .seed = 77};
    w->envs = poisoned(ctx, sizeof *w->envs * E);
    w->action = poisoned(ctx, sizeof *w->action * E);
    w->reward = poisoned(ctx, sizeof *w->reward * E);
    w->done = poisoned(ctx, E);
    w->next = to_device(ctx, next, sizeof *next * E);
    w->tally = syn_device_alloc(ctx, sizeof *w->tally * E);
    assert_non_null(w->tally);
    assert_ok(syn_observer_init(ctx, &w->o, s->envs, !s->spread));
    assert_ok(syn_observation_alloc(ctx, &w->x, s->envs));
    observation_poison(w);
    assert_ok(syn_env_reset_batch(ctx, s->envs, w->envs, &s->cfg, &w->source, 0));
}

static void side_free(side *w)
{
    void *all[] = {
        (void *)w->source.record, w->envs, w->action, w->reward, w->done, w->tally, w->next};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) syn_device_free(w->ctx, all[k]);
    syn_observer_free(w->ctx, &w->o);
    syn_observation_free(w->ctx, &w->x);
    syn_perception_free(w->ctx, &w->p);
    syn_tasks_free(w->ctx, &w->tasks);
}

static syn_status side_observe(void *user)
{
    side *w = user;
    return syn_observe_turn(w->ctx, &w->o, &w->p, &w->tasks, w->envs, &w->x);
}

static syn_status side_step(side *w)
{
    return syn_env_step_batch(w->ctx, w->s->envs, w->envs, &w->s->cfg, &w->source, w->action,
                              w->o.rank, w->reward, w->done, w->tally, w->next,
                              (uint64_t)w->s->envs);
}

/* ---- Comparison ---- */

/* A buffer of either side in host memory. */
typedef struct pair_of {
    unsigned char *a, *b;
    size_t bytes;
} pair_of;

static pair_of fetch(side *a, const void *from_a, side *b, const void *from_b, size_t bytes)
{
    pair_of x = {malloc(bytes), malloc(bytes), bytes};
    assert_true(x.a && x.b);
    assert_ok(syn_copy_out(a->ctx, x.a, from_a, bytes));
    assert_ok(syn_copy_out(b->ctx, x.b, from_b, bytes));
    return x;
}

static void release(pair_of *x)
{
    free(x->a);
    free(x->b);
}

static void equal(side *a, const void *from_a, side *b, const void *from_b, size_t bytes,
                  const char *what, int turn)
{
    pair_of x = fetch(a, from_a, b, from_b, bytes);
    if (memcmp(x.a, x.b, bytes) != 0) fail_msg("turn %d: %s is not the CPU's", turn, what);
    release(&x);
}

/* Environment by environment, `width` numbers each; left out where `skip` says. What neither side
 * has written is poison on both. */
static void close_to(side *a, const real *from_a, side *b, const real *from_b, int64_t width,
                     const bool *skip, const char *what, int turn)
{
    pair_of x = fetch(a, from_a, b, from_b, sizeof(real) * (size_t)(a->s->envs * width));
    for (int64_t e = 0; e < a->s->envs; e++) {
        const real *u = (const real *)x.a + e * width, *v = (const real *)x.b + e * width;
        double off = 0, norm = 1e-12;
        for (int64_t k = 0; k < width && !skip[e]; k++) {
            if (isnan(u[k]) && isnan(v[k])) continue;
            off += ((double)u[k] - (double)v[k]) * ((double)u[k] - (double)v[k]);
            norm += (double)u[k] * (double)u[k];
        }
        if (sqrt(off / norm) <= a->s->bound) continue;
        fail_msg("turn %d, environment %d: %s is off by %.3g of its norm %.3g", turn, (int)e, what,
                 sqrt(off / norm), sqrt(norm));
    }
    release(&x);
}

/* Where two pieces are ranked as good as alike, the devices may send different ones. */
static bool undecided(const side *cpu, int64_t e)
{
    const syn_env *env = &cpu->envs[e];
    for (int i = 0; i < env->agents; i++) {
        const float *rank = cpu->o.rank + (e * N + i) * R;
        for (uint32_t p = env->present; p; p &= p - 1) {
            for (uint32_t q = p & (p - 1); q; q &= q - 1) {
                if (fabsf(rank[syn_lowest(p)] - rank[syn_lowest(q)]) < 10 * (float)cpu->s->bound)
                    return true;
            }
        }
    }
    return false;
}

static void sides_compare(side *cpu, side *gpu, int turn)
{
    const size_t E = (size_t)cpu->s->envs;
    bool none[ENVS_MAX] = {false}, skip[ENVS_MAX];
    for (int64_t e = 0; e < cpu->s->envs; e++) skip[e] = undecided(cpu, e);
    equal(cpu, cpu->envs, gpu, gpu->envs, sizeof *cpu->envs * E, "a state", turn);
    equal(cpu, cpu->x.mask, gpu, gpu->x.mask, E * A, "a mask", turn);
    equal(cpu, cpu->x.count, gpu, gpu->x.count, E * sizeof(int32_t), "a count", turn);
    equal(cpu, cpu->x.reset, gpu, gpu->x.reset, E, "a reset", turn);
#define CLOSE(field, width, without)                                                               \
    close_to(cpu, cpu->field, gpu, gpu->field, (width), (without), #field, turn)
    CLOSE(o.own, N * R * SYN_DV, none);
    CLOSE(o.rank, N * R, none);
    if (cpu->o.central) {
        CLOSE(o.all, R * SYN_DV, none);
        CLOSE(o.first, R, none);
        CLOSE(o.again, R * SYN_DV, none);
        CLOSE(o.rel, R, none);
    }
    CLOSE(o.ckm, N * SYN_CKM, none);
    CLOSE(o.gap_logit, N, none);
    CLOSE(o.gap, N, none);
    CLOSE(o.link, N * N, none);
    CLOSE(x.message, SYN_DM, none);
    CLOSE(x.ckm, N * SYN_CKM, none);
    CLOSE(x.summary, SYN_SUMMARY, none);
    CLOSE(x.agent_x, N * SYN_AGENT_X, skip);
    CLOSE(x.pair_x, 2 * N * N * SYN_PAIR_X, skip);
#undef CLOSE
}

/* ---- Moves ---- */

/* Random legal moves. Of every five turns there is one when half of the episodes end, then one when
 * all broadcast, so that everything changes where the asker has something to tell, then one when
 * all do what is not legal, so that nothing does. */
static void moves_draw(syn_rng *rng, const side *cpu, int turn, int32_t *action)
{
    for (int64_t e = 0; e < cpu->s->envs; e++) {
        const uint8_t *mask = cpu->x.mask + e * A;
        const int tell = syn_action_index(SYN_BROADCAST, 0, -1);
        int legal[A], n = 0, none = -1;
        for (int a = 0; a < A; a++) {
            if (mask[a]) legal[n++] = a;
            if (!mask[a]) none = a;
        }
        action[e] = legal[syn_rng_below(rng, (uint32_t)n)];
        if (turn % 5 == 2 && e % 2 == 0) action[e] = A - 2;
        if (turn % 5 == 3 && mask[tell]) action[e] = tell;
        if (turn % 5 == 4 && none >= 0) action[e] = none;
    }
}

static void play(const setting *s)
{
    syn_ctx cpu_ctx, gpu_ctx;
    cuda_begin(&cpu_ctx, &gpu_ctx);
    gpu_ctx.math = s->math;
    side cpu, gpu;
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    int32_t action[ENVS_MAX];
    const size_t E = (size_t)s->envs;
    side_make(&cpu, &cpu_ctx, s, NULL);
    side_make(&gpu, &gpu_ctx, s, &cpu);
    for (int turn = 0; turn < s->turns; turn++) {
        assert_ok(side_observe(&cpu));
        assert_ok(side_observe(&gpu));
        sides_compare(&cpu, &gpu, turn);
        moves_draw(&rng, &cpu, turn, action);
        assert_ok(syn_copy_in(&cpu_ctx, cpu.action, action, sizeof *action * E));
        assert_ok(syn_copy_in(&gpu_ctx, gpu.action, action, sizeof *action * E));
        /* Who ranks alike must not send differently. */
        assert_ok(syn_copy_in(&gpu_ctx, gpu.o.rank, cpu.o.rank, sizeof(float) * E * N * R));
        assert_ok(side_step(&cpu));
        assert_ok(side_step(&gpu));
    }
    side_free(&cpu);
    side_free(&gpu);
    cuda_end(&cpu_ctx, &gpu_ctx);
}

static void the_device_sees_what_the_cpu_sees(void **state)
{
    (void)state;
    setting s = plain();
    s.turns = 12;
    play(&s);
    s.envs = 1;
    s.turns = 6;
    play(&s);
    s.envs = ENVS_MAX;
    s.turns = 10;
    play(&s);
}

static void whatever_is_played(void **state)
{
    (void)state;
    setting s = plain();
    s.cfg.goal = SYN_GOAL_CONSENSUS;
    play(&s);
    s = plain();
    s.cfg.read_limit = 1;
    play(&s);
    s = plain();
    s.pieces = R - SYN_FOREIGN_ROWS;
    s.envs = 2;
    play(&s);
}

static void without_what_a_model_goes_without(void **state)
{
    (void)state;
    static const uint32_t without[] = {
        SYN_WITHOUT_INTERACTION | SYN_WITHOUT_GAP,
        SYN_WITHOUT_CKM | SYN_WITHOUT_STATE | SYN_WITHOUT_OWN_VIEW,
        SYN_WITHOUT_ALL_VIEW,
    };
    setting s = plain();
    s.turns = 6;
    for (int k = 0; k < 3; k++) {
        s.without = without[k];
        play(&s);
    }
    s = plain();
    s.spread = true;
    play(&s);
}

static void mixed_precision_is_near(void **state)
{
    (void)state;
    setting s = plain();
    s.math = SYN_MATH_MIXED;
    s.bound = 6e-2;
    play(&s);
}

/* ---- As a graph ---- */

static syn_status turn_work(void *user)
{
    side *w = user;
    SYN_RETURN_IF(side_step(w));
    return side_observe(w);
}

static void a_recorded_turn_is_a_turn_to_the_bit(void **state)
{
    (void)state;
    syn_ctx cpu_ctx, gpu_ctx, graph_ctx;
    const setting s = plain();
    cuda_begin(&cpu_ctx, &gpu_ctx);
    assert_ok(syn_ctx_init(&graph_ctx, SYN_DEVICE_CUDA, 1));
    side cpu, direct, graph;
    syn_graph g = {0};
    syn_rng rng = syn_rng_make(4, SYN_STREAM_TEST);
    int32_t action[ENVS_MAX];
    const size_t E = (size_t)s.envs;
    side_make(&cpu, &cpu_ctx, &s, NULL);
    side_make(&direct, &gpu_ctx, &s, &cpu);
    side_make(&graph, &graph_ctx, &s, &cpu);
    assert_ok(side_observe(&cpu));
    assert_ok(side_observe(&direct));
    assert_ok(side_observe(&graph));
    for (int turn = 0; turn < 8; turn++) {
        moves_draw(&rng, &cpu, turn, action);
        assert_ok(syn_copy_in(&cpu_ctx, cpu.action, action, sizeof *action * E));
        assert_ok(syn_copy_in(&gpu_ctx, direct.action, action, sizeof *action * E));
        assert_ok(syn_copy_in(&graph_ctx, graph.action, action, sizeof *action * E));
        assert_ok(turn_work(&cpu));
        assert_ok(turn_work(&direct));
        assert_ok(syn_graph_run(&graph_ctx, &g, turn_work, &graph));
#define EQUAL(field, bytes)                                                                        \
    equal(&direct, direct.field, &graph, graph.field, E *(bytes), #field, turn)
        EQUAL(envs, sizeof(syn_env));
        EQUAL(reward, sizeof(real));
        EQUAL(x.message, sizeof(real) * SYN_DM);
        EQUAL(x.ckm, sizeof(real) * N * SYN_CKM);
        EQUAL(x.pair_x, sizeof(real) * 2 * N * N * SYN_PAIR_X);
        EQUAL(x.agent_x, sizeof(real) * N * SYN_AGENT_X);
        EQUAL(x.summary, sizeof(real) * SYN_SUMMARY);
        EQUAL(x.mask, A);
        EQUAL(x.reset, 1);
#undef EQUAL
    }
    syn_graph_free(&graph_ctx, &g);
    side_free(&cpu);
    side_free(&direct);
    side_free(&graph);
    syn_ctx_free(&graph_ctx);
    cuda_end(&cpu_ctx, &gpu_ctx);
}

/* ---- Tasks ---- */

static void tasks_are_uploaded_without_their_texts(void **state)
{
    (void)state;
    syn_ctx cpu_ctx, gpu_ctx;
    cuda_begin(&cpu_ctx, &gpu_ctx);
    const setting s = plain();
    side cpu, gpu;
    side_make(&cpu, &cpu_ctx, &s, NULL);
    side_make(&gpu, &gpu_ctx, &s, &cpu);
    assert_null(gpu.tasks.e);
    assert_null(gpu.tasks.q);
    equal(&cpu, cpu.tasks.info, &gpu, gpu.tasks.info, sizeof(syn_task_info) * 2 * RECORDS, "info",
          0);
    equal(&cpu, cpu.tasks.pair, &gpu, gpu.tasks.pair, sizeof(real) * SYN_TASK_PAIR * 2 * RECORDS,
          "pair", 0);
    assert_int_equal(syn_tasks_upload(&gpu_ctx, &gpu.tasks, 1, &cpu.tasks), SYN_ERR_INVALID);
    side_free(&cpu);
    side_free(&gpu);
    cuda_end(&cpu_ctx, &gpu_ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_sees_what_the_cpu_sees),
        cmocka_unit_test(whatever_is_played),
        cmocka_unit_test(without_what_a_model_goes_without),
        cmocka_unit_test(mixed_precision_is_near),
        cmocka_unit_test(a_recorded_turn_is_a_turn_to_the_bit),
        cmocka_unit_test(tasks_are_uploaded_without_their_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
