/* The environment on the device: the same functions as the CPU's, so the same bits of states,
 * rewards, tallies and masks, turn by turn. */
#include "kernels/env.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX, RECORDS = 7, ENVS_MAX = 17 };

/* A batch of environments on one device. */
typedef struct batch {
    syn_ctx *ctx;
    syn_env_source source;
    syn_env *envs;
    int32_t *action;
    float *rank;
    real *reward;
    uint8_t *done, *mask;
    syn_env_tally *tally;
    uint64_t *next;
} batch;

/* What a batch holds after a turn, in host memory. */
typedef struct turn {
    syn_env envs[ENVS_MAX];
    real reward[ENVS_MAX];
    uint8_t done[ENVS_MAX], mask[ENVS_MAX * A];
    syn_env_tally tally[ENVS_MAX];
    uint64_t next[ENVS_MAX];
} turn;

typedef struct setting {
    int64_t envs;
    syn_env_config cfg;
    int pieces; /* of a task; 0: another number each */
    bool grouped, weighted;
} setting;

static void task_draw(syn_rng *rng, const setting *s, syn_task_info *t)
{
    memset(t, 0, sizeof *t);
    t->pieces = s->pieces ? s->pieces : 5 + (int)syn_rng_below(rng, 24);
    t->gold = 1u << syn_rng_below(rng, (uint32_t)t->pieces) | 2u;
    t->claims = 1u << (t->pieces - 1);
    if (!s->grouped) return;
    t->group[0] = 3u;
    t->group[1] = 4u | 8u | 16u;
}

static void batch_make(batch *b, const setting *s)
{
    syn_rng rng = syn_rng_make(11, SYN_STREAM_TEST);
    syn_task_info info[2 * RECORDS];
    int32_t record[RECORDS];
    uint64_t next[ENVS_MAX];
    const size_t E = (size_t)s->envs;
    for (int k = 0; k < 2 * RECORDS; k++) task_draw(&rng, s, &info[k]);
    for (int k = 0; k < RECORDS; k++) record[k] = RECORDS - 1 - k;
    for (int64_t e = 0; e < s->envs; e++) next[e] = (uint64_t)(s->envs + e);
    b->source = (syn_env_source){.info = to_device(b->ctx, info, sizeof info),
                                 .record = to_device(b->ctx, record, sizeof record),
                                 .records = RECORDS,
                                 .untitled_share = 0.5f,
                                 .seed = 99};
    if (s->weighted)
        b->source.draw = (syn_draw){2, {3, RECORDS}, {(uint64_t)1 << 30, (uint64_t)1 << 32}};
    b->envs = poisoned(b->ctx, sizeof *b->envs * E);
    b->action = poisoned(b->ctx, sizeof *b->action * E);
    b->rank = poisoned(b->ctx, sizeof *b->rank * E * N * R);
    b->reward = poisoned(b->ctx, sizeof *b->reward * E);
    b->done = poisoned(b->ctx, E);
    b->mask = poisoned(b->ctx, E * A);
    b->tally = syn_device_alloc(b->ctx, sizeof *b->tally * E);
    b->next = to_device(b->ctx, next, sizeof *next * E);
    assert_non_null(b->tally);
    assert_ok(syn_env_reset_batch(b->ctx, s->envs, b->envs, &s->cfg, &b->source, 0));
    assert_ok(syn_env_mask_batch(b->ctx, s->envs, b->envs, b->mask));
}

static void batch_free(batch *b)
{
    void *all[] = {(void *)b->source.info,
                   (void *)b->source.record,
                   b->envs,
                   b->action,
                   b->rank,
                   b->reward,
                   b->done,
                   b->mask,
                   b->tally,
                   b->next};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) syn_device_free(b->ctx, all[k]);
}

static void batch_step(batch *b, const setting *s, const int32_t *action, const float *rank)
{
    const size_t E = (size_t)s->envs;
    assert_ok(syn_copy_in(b->ctx, b->action, action, sizeof *action * E));
    assert_ok(syn_copy_in(b->ctx, b->rank, rank, sizeof *rank * E * N * R));
    assert_ok(syn_env_step_batch(b->ctx, s->envs, b->envs, &s->cfg, &b->source, b->action, b->rank,
                                 b->reward, b->done, b->tally, b->next, (uint64_t)s->envs));
    assert_ok(syn_env_mask_batch(b->ctx, s->envs, b->envs, b->mask));
}

/* reward and done are none before the first step. */
static void turn_read(batch *b, const setting *s, bool stepped, turn *t)
{
    const size_t E = (size_t)s->envs;
    memset(t, 0, sizeof *t);
    assert_ok(syn_copy_out(b->ctx, t->envs, b->envs, sizeof *b->envs * E));
    assert_ok(syn_copy_out(b->ctx, t->mask, b->mask, E * A));
    assert_ok(syn_copy_out(b->ctx, t->tally, b->tally, sizeof *b->tally * E));
    assert_ok(syn_copy_out(b->ctx, t->next, b->next, sizeof *b->next * E));
    if (!stepped) return;
    assert_ok(syn_copy_out(b->ctx, t->reward, b->reward, sizeof *b->reward * E));
    assert_ok(syn_copy_out(b->ctx, t->done, b->done, E));
}

static void turns_assert_equal(const turn *a, const turn *b, int64_t E, int number)
{
    for (int64_t e = 0; e < E; e++) {
        if (memcmp(&a->envs[e], &b->envs[e], sizeof a->envs[e]) == 0) continue;
        fail_msg("turn %d: the state of environment %d is not the CPU's", number, (int)e);
    }
    assert_memory_equal(a->mask, b->mask, (size_t)E * A);
    assert_memory_equal(a->reward, b->reward, sizeof *a->reward * (size_t)E);
    assert_memory_equal(a->done, b->done, (size_t)E);
    assert_memory_equal(a->tally, b->tally, sizeof *a->tally * (size_t)E);
    assert_memory_equal(a->next, b->next, sizeof *a->next * (size_t)E);
}

/* A random legal action; one in 16 is any action, legal or not. */
static int32_t action_draw(syn_rng *rng, const uint8_t *mask)
{
    int legal[A], n = 0;
    for (int a = 0; a < A; a++)
        if (mask[a]) legal[n++] = a;
    if (syn_rng_below(rng, 16) == 0) return (int32_t)syn_rng_below(rng, A);
    return legal[syn_rng_below(rng, (uint32_t)n)];
}

/* Plays on both devices until `episodes` have ended. */
static void play(syn_ctx *cpu_ctx, syn_ctx *gpu_ctx, const setting *s, int episodes)
{
    batch on_cpu = {.ctx = cpu_ctx}, on_gpu = {.ctx = gpu_ctx}, *cpu = &on_cpu, *gpu = &on_gpu;
    turn *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    float *rank = calloc(ENVS_MAX * N * R, sizeof *rank);
    int32_t action[ENVS_MAX];
    syn_rng rng = syn_rng_make(12, SYN_STREAM_TEST);
    assert_true(a && b && rank);
    batch_make(cpu, s);
    batch_make(gpu, s);
    turn_read(cpu, s, false, a);
    turn_read(gpu, s, false, b);
    turns_assert_equal(a, b, s->envs, 0);
    for (int number = 1, ended = 0; ended < episodes; number++) {
        for (int64_t k = 0; k < s->envs * N * R; k++) rank[k] = syn_rng_uniform(&rng) - 0.5f;
        for (int64_t e = 0; e < s->envs; e++) action[e] = action_draw(&rng, a->mask + e * A);
        batch_step(cpu, s, action, rank);
        batch_step(gpu, s, action, rank);
        turn_read(cpu, s, true, a);
        turn_read(gpu, s, true, b);
        turns_assert_equal(a, b, s->envs, number);
        for (int64_t e = 0; e < s->envs; e++) ended += a->done[e];
    }
    batch_free(cpu);
    batch_free(gpu);
    free(a);
    free(b);
    free(rank);
}

static void the_device_plays_the_episodes_of_the_cpu(void **state)
{
    (void)state;
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    setting s = {.cfg = SYN_ENV_CONFIG_DEFAULT};
    static const int64_t counts[] = {1, 3, ENVS_MAX};
    for (int k = 0; k < 3; k++) {
        s.envs = counts[k];
        play(&cpu, &gpu, &s, k == 2 ? 100 : 8);
    }
    cuda_end(&cpu, &gpu);
}

static void whatever_is_played(void **state)
{
    (void)state;
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    const setting plain = {.envs = 5, .cfg = SYN_ENV_CONFIG_DEFAULT};
    setting s[6] = {plain, plain, plain, plain, plain, plain};
    s[0].cfg.goal = SYN_GOAL_CONSENSUS;
    s[1].cfg.read_limit = 1;
    s[2].pieces = R - SYN_FOREIGN_ROWS;
    s[3].grouped = true;
    s[4].weighted = true;
    s[4].cfg.agents_min = s[4].cfg.agents_max = 2;
    s[5].cfg.gamma = 0;
    s[5].cfg.turns_max = 3;
    for (int k = 0; k < 6; k++) play(&cpu, &gpu, &s[k], 20);
    cuda_end(&cpu, &gpu);
}

static void no_environments_are_no_work(void **state)
{
    (void)state;
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    setting s = {.cfg = SYN_ENV_CONFIG_DEFAULT};
    batch b = {.ctx = &gpu};
    batch_make(&b, &s);
    batch_step(&b, &s, NULL, NULL);
    assert_ok(syn_wait(&gpu));
    batch_free(&b);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_plays_the_episodes_of_the_cpu),
        cmocka_unit_test(whatever_is_played),
        cmocka_unit_test(no_environments_are_no_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
