/* The scorer on the device beside the CPU's: sessions that come and go, in batches of any size and
 * make-up, played by random moves; recorded as graphs; and the networks by themselves. */
#include "engine/scorer.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX, SLOTS = 5, BATCH = 4, ROWS = 9 };
enum { NODES_MAX = 30 }; /* that one decision waits for, one after the other */

static const uint32_t everything =
    SYN_WANT_DECISION | SYN_WANT_CKM | SYN_WANT_PROBABILITIES | SYN_WANT_LOGITS | SYN_WANT_RANKS;

typedef struct world {
    syn_ctx cpu, gpu;
    syn_model model;
    syn_scorer *host, *device;
    int64_t host_slot[SLOTS], device_slot[SLOTS];
    syn_env team[SLOTS];
    double bound;
} world;

static void model_make(syn_ctx *cpu, syn_model *m, bool central)
{
    memset(m, 0, sizeof *m);
    assert_ok(syn_perception_init(cpu, &m->perception, 2));
    assert_ok(syn_control_init(cpu, &m->control, 3));
    for (int64_t k = 0; k < m->perception.params.total; k++) m->perception.params.value[k] *= 2;
    for (int64_t k = 0; k < m->control.params.total; k++) m->control.params.value[k] *= 3;
    m->perception.calibrated[SYN_GAP] = (syn_calibration){1.5f, -0.25f};
    m->central = central;
    m->has_perception = m->has_control = m->has_policy = true;
}

static syn_scorer_task *task_of(uint64_t seed, int rows)
{
    syn_scorer_task *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->rows = rows;
    t->claims = 1u << (rows - 1);
    random_fill(seed, SYN_TASK_QUEST, 0, 1, t->quest);
    random_fill(seed + 1, SYN_TASK_PAIR, 0, 1, t->pair);
    return t;
}

/* An opening in which agents hold what a seed deals them. */
static syn_env opening(uint64_t seed)
{
    syn_env e;
    syn_rng rng = syn_rng_make(seed, SYN_STREAM_TEST);
    memset(&e, 0, sizeof e);
    e.task = 77; /* not looked at */
    e.agents = 2 + (int)syn_rng_below(&rng, 4);
    e.goal = (int8_t)(seed % 2);
    e.turns_max = 12;
    e.present = (1u << ROWS) - 1;
    e.claims = 1u << (ROWS - 1);
    e.last = syn_action_of(-1);
    for (int row = 0; row < ROWS; row++) {
        const int i = (int)syn_rng_below(&rng, (uint32_t)e.agents);
        e.own[i] |= 1u << row;
        if (row % 4 != 3) syn_env_receive(&e, i, row, i);
    }
    return e;
}

static void session_open(world *w, int k, uint64_t seed, int rows)
{
    syn_scorer_task *task = task_of(seed, rows);
    assert_ok(syn_scorer_slot_open(w->host, task, &w->host_slot[k]));
    assert_ok(syn_scorer_slot_open(w->device, task, &w->device_slot[k]));
    w->team[k] = opening(seed);
    free(task);
}

static void session_close(world *w, int k)
{
    syn_scorer_slot_close(w->host, w->host_slot[k]);
    syn_scorer_slot_close(w->device, w->device_slot[k]);
}

static void world_make(world *w, bool central, syn_math math, bool direct)
{
    const syn_scorer_options o = {SLOTS, BATCH, 4};
    memset(w, 0, sizeof *w);
    cuda_begin(&w->cpu, &w->gpu);
    w->gpu.math = math;
    w->gpu.sync_every_launch = direct; /* no graphs */
    w->bound = math == SYN_MATH_MIXED ? 3e-2 : CUDA_FP32;
    model_make(&w->cpu, &w->model, central);
    assert_ok(syn_scorer_open(&w->cpu, &w->model, &o, &w->host));
    assert_ok(syn_scorer_open(&w->gpu, &w->model, &o, &w->device));
    for (int k = 0; k < SLOTS; k++) session_open(w, k, 10 + (uint64_t)k, ROWS);
}

static void world_free(world *w)
{
    syn_scorer_close(w->host);
    syn_scorer_close(w->device);
    syn_control_free(&w->cpu, &w->model.control);
    syn_perception_free(&w->cpu, &w->model.perception);
    cuda_end(&w->cpu, &w->gpu);
}

/* ---- Comparison ---- */

/* Whether two of the allowed actions are so near each other that either may be taken. */
static bool undecided(const syn_score_result *r, double bound)
{
    double best = -1, second = -1;
    for (int a = 0; a < A; a++) {
        const double p = (double)r->all[a];
        if (p > best) {
            second = best;
            best = p;
        } else if (p > second) {
            second = p;
        }
    }
    return best - second < 100 * bound;
}

static void compare(const world *w, const syn_env *team, uint32_t want, const syn_score_result *a,
                    const syn_score_result *b, int turn)
{
    const int n = team->agents;
    assert_int_equal(b->status, SYN_OK);
    expect_close(w->bound, n * n, a->gaps, b->gaps, "turn %d: gaps", turn);
    const real sufficiency[2] = {(real)a->sufficiency, (real)b->sufficiency};
    expect_close(w->bound, 1, sufficiency, sufficiency + 1, "turn %d: sufficiency", turn);
    assert_true(!a->ckm == !b->ckm && !a->rank == !b->rank && !a->all == !b->all);
    if (a->ckm) expect_close(w->bound, n * SYN_CKM, a->ckm, b->ckm, "turn %d: ckm", turn);
    for (int i = 0; i < n && a->rank; i++) {
        for (uint32_t left = team->present; left; left &= left - 1) {
            const int row = i * R + syn_lowest(left);
            assert_float_equal(b->rank[row], a->rank[row], 10 * w->bound);
        }
    }
    if (!(want & SYN_WANT_DECISION)) return;
    if (a->all) expect_close(w->bound, A, a->all, b->all, "turn %d: probabilities", turn);
    for (int k = 0; k < A && a->logit; k++) {
        if (a->all[k] > 0) assert_float_equal(b->logit[k], a->logit[k], 10 * w->bound);
    }
    if ((want & SYN_WANT_DRAW) || !a->all || undecided(a, w->bound)) return;
    assert_int_equal(syn_action_index(b->action.kind, b->action.from, b->action.to),
                     syn_action_index(a->action.kind, a->action.from, a->action.to));
    assert_float_equal(b->probability, a->probability, w->bound);
}

/* ---- Playing ---- */

/* A random legal move, with the piece that the CPU's ranks choose. */
static void play(syn_env *e, const float *rank /* by agents */, syn_rng *rng)
{
    static const syn_env_config free_of_charge;
    uint8_t mask[A];
    int legal[A], n = 0;
    syn_env_legal(e, mask);
    for (int a = 0; a < A - 2; a++) {
        if (mask[a]) legal[n++] = a;
    }
    syn_action a = syn_action_of(n ? legal[syn_rng_below(rng, (uint32_t)n)] : -1);
    if (n) a.piece = (int8_t)syn_env_piece(e, a.kind, a.from, a.to, rank);
    e->changed = 0;
    e->turn++;
    (void)syn_env_move(e, &free_of_charge, &a);
    e->last = a;
}

static uint32_t wanted(int k)
{
    static const uint32_t want[] = {
        SYN_WANT_DECISION | SYN_WANT_CKM | SYN_WANT_PROBABILITIES | SYN_WANT_LOGITS,
        SYN_WANT_CKM,
        SYN_WANT_DECISION | SYN_WANT_DRAW | SYN_WANT_PROBABILITIES,
        SYN_WANT_DECISION,
    };
    return want[k % 4] | SYN_WANT_RANKS;
}

/* The sessions of `who` (n), side by side; a turn of each is played. */
static void turn_of(world *w, int n, const int *who, int turn, syn_rng *rng)
{
    syn_score_request q[2][BATCH];
    syn_score_result r[2][BATCH];
    uint8_t mask[A];
    for (int a = 0; a < A; a++) mask[a] = a % 3 != turn % 3 || a >= A - 2;
    for (int k = 0; k < n; k++) {
        const syn_score_request request = {.team = &w->team[who[k]],
                                           .mask = k == 1 ? mask : NULL,
                                           .counter = (uint64_t)(turn * 10 + k),
                                           .want = wanted(turn + k)};
        q[0][k] = q[1][k] = request;
        q[0][k].slot = w->host_slot[who[k]];
        q[1][k].slot = w->device_slot[who[k]];
    }
    syn_score_times times;
    assert_ok(syn_scorer_score(w->host, n, q[0], r[0], NULL));
    assert_ok(syn_scorer_score(w->device, n, q[1], r[1], &times));
    assert_true(times.copy_s >= 0 && times.compute_s >= 0);
    for (int k = 0; k < n; k++) {
        syn_env *team = &w->team[who[k]];
        compare(w, team, q[0][k].want, &r[0][k], &r[1][k], turn);
        if (turn % 5 == 4) continue; /* asked once more in the same turn */
        if (team->turn + 1 < team->turns_max)
            play(team, r[0][k].rank, rng);
        else
            *team = opening((uint64_t)(turn + 100 * k)); /* a new collaboration */
    }
}

static void sessions_play(world *w, int turns)
{
    static const int who[][BATCH] = {{0, 1, 2, 3}, {4, 0}, {2}, {3, 4, 1}, {1, 2, 3, 4}, {0}};
    static const int size[] = {4, 2, 1, 3, 4, 1};
    syn_rng rng = syn_rng_make(6, SYN_STREAM_TEST);
    for (int turn = 0; turn < turns; turn++) turn_of(w, size[turn % 6], who[turn % 6], turn, &rng);
}

static void the_device_scores_as_the_cpu(void **state)
{
    (void)state;
    world w;
    world_make(&w, true, SYN_MATH_FP32, false);
    const size_t room = syn_device_room(&w.gpu);
    sessions_play(&w, 14);
    assert_int_equal(syn_device_room(&w.gpu), room); /* nothing was allocated */
    /* Others take the places of those who have gone, without their memory. */
    session_close(&w, 1);
    const syn_score_request gone = {.slot = w.device_slot[1], .team = &w.team[1]};
    assert_int_equal(syn_scorer_check(w.device, &gone), SYN_ERR_INVALID);
    session_open(&w, 1, 50, ROWS);
    w.team[1].turn = 1; /* no turn that clears */
    syn_scorer_task *task = task_of(60, ROWS);
    assert_ok(syn_scorer_slot_pieces(w.host, w.host_slot[2], task));
    assert_ok(syn_scorer_slot_pieces(w.device, w.device_slot[2], task));
    free(task);
    sessions_play(&w, 4);
    world_free(&w);
}

/* As much as a session can hold: every agent has every piece. */
static void the_largest_team_fits(void **state)
{
    (void)state;
    world w;
    world_make(&w, true, SYN_MATH_FP32, false);
    session_close(&w, 0);
    session_open(&w, 0, 70, R);
    syn_env *e = &w.team[0];
    memset(e, 0, sizeof *e);
    e->agents = N;
    e->turns_max = 12;
    e->present = ~0u;
    e->last = syn_action_of(-1);
    for (int k = 0; k < N * R; k++) {
        e->own[k / R] |= 1u << k % R;
        syn_env_receive(e, k / R, k % R, k / R);
    }
    turn_of(&w, 1, (const int[]){0}, 0, &(syn_rng){0});
    world_free(&w);
}

static void a_model_that_sees_what_was_sent(void **state)
{
    (void)state;
    world w;
    world_make(&w, false, SYN_MATH_FP32, false);
    sessions_play(&w, 5);
    world_free(&w);
}

static void mixed_precision_is_near(void **state)
{
    (void)state;
    world w;
    world_make(&w, true, SYN_MATH_MIXED, false);
    sessions_play(&w, 4);
    world_free(&w);
}

/* ---- Bits ---- */

/* The same sessions on two devices, with and without graphs, in batches of other company. */
static void graphs_and_company_do_not_change_a_bit(void **state)
{
    (void)state;
    world graph, direct;
    world_make(&graph, true, SYN_MATH_FP32, false);
    world_make(&direct, true, SYN_MATH_FP32, true);
    const int64_t allocations = graph.gpu.allocations;
    for (int turn = 0; turn < 3; turn++) {
        syn_score_request q[2][BATCH];
        syn_score_result r[2][BATCH];
        for (int k = 0; k < 4; k++) {
            const syn_score_request request = {.team = &graph.team[k], .want = everything};
            q[0][k] = q[1][k] = request;
            q[0][k].slot = graph.device_slot[k];
            q[1][k].slot = direct.device_slot[k];
        }
        assert_ok(syn_scorer_score(graph.device, 4, q[0], r[0], NULL));
        assert_ok(syn_scorer_score(direct.device, 2, q[1] + 2, r[1] + 2, NULL)); /* another row */
        for (int k = 2; k < 4; k++) {
            const int n = graph.team[k].agents;
            expect_equal(sizeof(real) * (size_t)(n * n), r[0][k].gaps, r[1][k].gaps, "gaps");
            expect_equal(sizeof(real) * A, r[0][k].all, r[1][k].all, "probabilities");
            assert_memory_equal(&r[0][k].action, &r[1][k].action, sizeof(syn_action));
        }
        syn_rng rng = syn_rng_make((uint64_t)turn, SYN_STREAM_TEST);
        for (int k = 0; k < 4; k++) play(&graph.team[k], r[0][k].rank, &rng);
    }
    assert_int_equal(graph.gpu.allocations, allocations); /* all is taken when it opens */
    assert_in_range(syn_scorer_nodes(graph.device, 1), 1, NODES_MAX);
    assert_int_equal(syn_scorer_nodes(direct.device, 1), 0);
    world_free(&graph);
    world_free(&direct);
}

/* ---- The networks by themselves ---- */

static void pairs(world *w)
{
    enum { PAIRS = 7 };
    real *x = random_real(1, PAIRS * 2 * SYN_CKM);
    float out[2][2][PAIRS];
    for (int d = 0; d < 2; d++) {
        const syn_gap_part part[] = {
            {3, x, out[d][0], out[d][1]},
            {PAIRS - 3, x + 3 * 2 * SYN_CKM, out[d][0] + 3, out[d][1] + 3}};
        assert_ok(syn_scorer_gaps(d ? w->device : w->host, 2, part, NULL));
    }
    expect_close(w->bound, PAIRS, out[0][0], out[1][0], "links");
    expect_close(w->bound, PAIRS, out[0][1], out[1][1], "gaps");
    free(x);
}

static void items(world *w)
{
    enum { COUNT = 4, M = 3 };
    const int32_t length[COUNT] = {3, 0, 1, 2};
    real *x = random_real(2, COUNT * M * SYN_DI);
    real ckm[2][COUNT * SYN_CKM], weight[2][COUNT * M];
    for (int d = 0; d < 2; d++) {
        const syn_ckm_call q = {COUNT, M, x, length, ckm[d], weight[d]};
        assert_ok(syn_scorer_ckm(d ? w->device : w->host, &q, NULL));
    }
    expect_close(w->bound, COUNT * SYN_CKM, ckm[0], ckm[1], "vectors of items");
    expect_close(w->bound, COUNT * M, weight[0], weight[1], "relevance of items");
    free(x);
}

static void states(world *w)
{
    enum { COUNT = 3, T = 2 };
    const int32_t length[COUNT] = {2, 0, 1};
    real *x = random_real(3, COUNT * T * SYN_DM);
    real h[2][COUNT * SYN_STATE], c[2][COUNT * SYN_STATE];
    for (int d = 0; d < 2; d++) {
        random_fill(4, COUNT * SYN_STATE, -1, 1, h[d]);
        random_fill(5, COUNT * SYN_STATE, -1, 1, c[d]);
        const syn_state_call q = {COUNT, T, x, length, h[d], c[d]};
        assert_ok(syn_scorer_states(d ? w->device : w->host, &q, NULL));
    }
    expect_close(w->bound, COUNT * SYN_STATE, h[0], h[1], "h");
    expect_close(w->bound, COUNT * SYN_STATE, c[0], c[1], "c");
    free(x);
}

static void decisions(world *w)
{
    enum { COUNT = 2 };
    const int32_t agents[COUNT] = {2, 5};
    uint8_t mask[COUNT * A];
    real *state = random_real(6, COUNT * SYN_STATE), *ckm = random_real(7, COUNT * N * SYN_CKM),
         *pair_x = random_real(8, COUNT * 2 * N * N * SYN_PAIR_X),
         *agent_x = random_real(9, COUNT * N * SYN_AGENT_X),
         *summary = random_real(10, COUNT * SYN_SUMMARY);
    real all[2][COUNT * A], value[2][COUNT];
    for (int k = 0; k < COUNT; k++) { /* a team's own actions */
        for (int a = 0; a < A; a++) {
            const syn_action move = syn_action_of(a);
            mask[k * A + a] = move.from < agents[k] && move.to < agents[k];
        }
    }
    for (int d = 0; d < 2; d++) {
        const syn_policy_call q = {COUNT,   state,  ckm,  pair_x, agent_x,
                                   summary, agents, mask, all[d], value[d]};
        assert_ok(syn_scorer_policy(d ? w->device : w->host, &q, NULL));
    }
    expect_close(w->bound, COUNT * A, all[0], all[1], "probabilities");
    expect_close(w->bound, COUNT, value[0], value[1], "values");
    free(state);
    free(ckm);
    free(pair_x);
    free(agent_x);
    free(summary);
}

static void the_networks_by_themselves(void **state)
{
    (void)state;
    world w;
    world_make(&w, true, SYN_MATH_FP32, false);
    pairs(&w);
    items(&w);
    states(&w);
    decisions(&w);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_scores_as_the_cpu),
        cmocka_unit_test(the_largest_team_fits),
        cmocka_unit_test(a_model_that_sees_what_was_sent),
        cmocka_unit_test(mixed_precision_is_near),
        cmocka_unit_test(graphs_and_company_do_not_change_a_bit),
        cmocka_unit_test(the_networks_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
