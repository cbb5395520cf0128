/* What a turn is about, listed by the device, beside plain loops: more environments than one block
 * of the prefix sum takes at a time, any number of them changed. */
#include "engine/observe_core.h"
#include "engine/observe_device.h"
#include "kernels/env.h"
#include "tests/cuda.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, ENVS = 1100, RECORDS = 3 };

/* One list as it should be, and how long it is. */
typedef struct list {
    int32_t *x;
    int32_t n;
} list;

static list list_make(int64_t most)
{
    list l = {calloc((size_t)most, sizeof(int32_t)), 0};
    assert_non_null(l.x);
    return l;
}

static void add(list *l, int64_t x)
{
    l->x[l->n++] = (int32_t)x;
}

static void list_assert(syn_ctx *gpu, const syn_observer *o, syn_turn_list which, const list *want,
                        const void *got, const char *name)
{
    int32_t length;
    assert_ok(syn_copy_out(gpu, &length, syn_turn_length(o, which), sizeof length));
    if (length != want->n) fail_msg("%s: %d entries, not %d", name, length, want->n);
    expect_equal_device(gpu, want->n, want->x, got, "%s", name);
    free(want->x);
}

/* A piece of every row in the mask, in the view that stands in place `slot`. */
static void add_rows(list *l, int64_t slot, uint32_t rows)
{
    for (; rows; rows &= rows - 1) add(l, slot * R + syn_lowest(rows));
}

static void agents_assert(syn_ctx *gpu, const syn_observer *o, const syn_env *envs)
{
    list agent = list_make(ENVS * N), offset = list_make(ENVS * N + 1),
         item = list_make(ENVS * N * R);
    for (int64_t e = 0; e < o->envs; e++) {
        for (uint32_t left = envs[e].changed; left; left &= left - 1) {
            const int i = syn_lowest(left);
            add(&agent, e * N + i);
            add(&offset, item.n);
            for (int t = 0; t < envs[e].count[i]; t++)
                add(&item, (e * N + i) * R + envs[e].item[i][t]);
        }
    }
    add(&offset, item.n);
    expect_equal_device(gpu, offset.n, offset.x, o->turn.offset, "offset");
    free(offset.x);
    list_assert(gpu, o, SYN_TURN_AGENTS, &agent, o->turn.agent, "agents");
    list_assert(gpu, o, SYN_TURN_ITEMS, &item, o->turn.item, "items");
}

static void views_assert(syn_ctx *gpu, const syn_observer *o, const syn_env *envs)
{
    const int64_t E = o->envs;
    list task = list_make(E * (N + 1)), slot = list_make(E * (N + 1)),
         view = list_make(E * (N + 1)), rows = list_make(E * (N + 1)),
         rank = list_make(E * (N + 1) * R);
    for (int64_t e = 0; e < E; e++) {
        const syn_env *env = &envs[e];
        for (int i = 0; i <= env->agents; i++) {
            const bool all = i == env->agents;
            if (all ? !o->central || !syn_env_fresh(env) : !(env->changed >> i & 1)) continue;
            add(&task, env->task);
            add(&slot, all ? E * N + e : e * N + i);
            add(&view, all ? env->present : env->memory[i]);
            add(&rows, env->present);
            add_rows(&rank, all ? E * N + e : e * N + i, env->present);
        }
    }
    list_assert(gpu, o, SYN_TURN_VIEWS, &task, o->turn.view_task, "tasks of views");
    list_assert(gpu, o, SYN_TURN_VIEWS, &slot, o->turn.view_slot, "places of views");
    list_assert(gpu, o, SYN_TURN_VIEWS, &view, o->turn.view, "views");
    list_assert(gpu, o, SYN_TURN_VIEWS, &rows, o->turn.view_rows, "rows of views");
    list_assert(gpu, o, SYN_TURN_RANKS, &rank, o->turn.rank, "ranks");
}

static void fresh_assert(syn_ctx *gpu, const syn_observer *o, const syn_env *envs)
{
    list task = list_make(ENVS), fresh = list_make(ENVS), rows = list_make(ENVS),
         look = list_make(ENVS * R);
    for (int64_t e = 0; e < o->envs; e++) {
        if (!o->central || !syn_env_fresh(&envs[e])) continue;
        add(&task, envs[e].task);
        add(&fresh, e);
        add(&rows, envs[e].present);
        add_rows(&look, e, envs[e].present);
    }
    list_assert(gpu, o, SYN_TURN_FRESH, &task, o->turn.fresh_task, "tasks of the fresh");
    list_assert(gpu, o, SYN_TURN_FRESH, &fresh, o->turn.fresh, "the fresh");
    list_assert(gpu, o, SYN_TURN_FRESH, &rows, o->turn.fresh_rows, "rows of the fresh");
    list_assert(gpu, o, SYN_TURN_LOOKS, &look, o->turn.look, "second looks");
}

static void gaps_assert(syn_ctx *gpu, const syn_observer *o, const syn_env *envs)
{
    list ia = list_make(ENVS * N * N), ib = list_make(ENVS * N * N);
    for (int64_t e = 0; e < o->envs; e++) {
        const syn_env *env = &envs[e];
        for (int i = 0; i < env->agents && env->changed; i++) {
            for (int j = 0; j < env->agents; j++) {
                if (i != j && !((env->changed >> i | env->changed >> j) & 1)) continue;
                add(&ia, e * N + i);
                add(&ib, i == j ? (o->envs + e) * N + i : e * N + j);
            }
        }
    }
    list_assert(gpu, o, SYN_TURN_GAPS, &ia, o->turn.ia, "first halves");
    list_assert(gpu, o, SYN_TURN_GAPS, &ib, o->turn.ib, "second halves");
}

/* Environments after a reset, of whose agents any may have changed: none, all, some. */
static syn_env *envs_make(syn_ctx *cpu)
{
    syn_env *envs = calloc(ENVS, sizeof *envs);
    syn_task_info info[2 * RECORDS];
    int32_t record[RECORDS];
    const syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    syn_rng rng = syn_rng_make(31, SYN_STREAM_TEST);
    assert_non_null(envs);
    for (int k = 0; k < 2 * RECORDS; k++)
        info[k] = (syn_task_info){.gold = 3, .pieces = 6 + 11 * (k / 2)};
    for (int k = 0; k < RECORDS; k++) record[k] = k;
    const syn_env_source source = {info, record, RECORDS, 0.5f, 7, {0}};
    assert_ok(syn_env_reset_batch(cpu, ENVS, envs, &cfg, &source, 0));
    for (int e = 0; e < ENVS; e++) {
        if (e % 3 == 0) envs[e].changed &= syn_rng_u32(&rng);
        if (e % 7 == 0) envs[e].changed = 0;
    }
    return envs;
}

static void lists_are_those_of_plain_loops(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 32, 33, ENVS};
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    syn_env *envs = envs_make(&cpu);
    syn_env *on_gpu = to_device(&gpu, envs, sizeof *envs * ENVS);
    for (int k = 0; k < 8; k++) {
        syn_observer o;
        assert_ok(syn_observer_init(&gpu, &o, counts[k / 2], k % 2));
        assert_ok(syn_turn_list_cuda(&gpu, &o, on_gpu));
        agents_assert(&gpu, &o, envs);
        views_assert(&gpu, &o, envs);
        fresh_assert(&gpu, &o, envs);
        gaps_assert(&gpu, &o, envs);
        /* Of no items there is nothing to make. */
        assert_ok(syn_observe_items_cuda(&gpu, &o, NULL, on_gpu, 0, NULL, NULL));
        syn_observer_free(&gpu, &o);
    }
    syn_device_free(&gpu, on_gpu);
    free(envs);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_those_of_plain_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
