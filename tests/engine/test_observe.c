/* The observation: kept up to date turn by turn it equals one made afresh, it treats all agents but
 * the asker alike, and it tells what it may and nothing else. */
#include "engine/control.h"
#include "kernels/env.h"
#include "tests/random_tasks.h"

enum {
    N = SYN_AGENTS_MAX,
    R = SYN_ROWS_MAX,
    A = SYN_ACTIONS_MAX,
    RECORDS = 3,
    PIECES = 9,
    ENVS = 5
};

typedef struct world {
    syn_ctx ctx;
    syn_tasks tasks;
    syn_perception p;
    syn_control c;
    syn_env_config cfg;
    int32_t record[RECORDS];
} world;

static world *world_create(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_ok(syn_ctx_init(&w->ctx, SYN_DEVICE_CPU, 1));
    random_tasks(&w->ctx, &w->tasks, 2 * RECORDS, PIECES, 2);
    assert_ok(syn_perception_init(&w->ctx, &w->p, 5));
    assert_ok(syn_control_init(&w->ctx, &w->c, 6));
    for (int64_t k = 0; k < w->p.params.total; k++) w->p.params.value[k] *= 2; /* opinions */
    for (int64_t k = 0; k < w->c.params.total; k++) w->c.params.value[k] *= 3;
    w->cfg = (syn_env_config)SYN_ENV_CONFIG_DEFAULT;
    for (int r = 0; r < RECORDS; r++) w->record[r] = r;
    return w;
}

static void world_free(world *w)
{
    syn_control_free(&w->ctx, &w->c);
    syn_perception_free(&w->ctx, &w->p);
    syn_tasks_free(&w->ctx, &w->tasks);
    syn_ctx_free(&w->ctx);
    free(w);
}

static int legal_draw(const syn_env *e, syn_rng *rng)
{
    uint8_t mask[A];
    int legal[A], n = 0;
    syn_env_legal(e, mask);
    for (int a = 0; a < A - 2; a++)
        if (mask[a]) legal[n++] = a;
    return n ? legal[syn_rng_below(rng, (uint32_t)n)] : A - 2;
}

/* The state after an opening and some random turns; whoever looks at it, looks at it for the first
 * time. */
static syn_env state_after(const world *w, int turns, uint64_t number)
{
    float rank[N * R];
    syn_env e;
    syn_rng rng = syn_rng_make(number, SYN_STREAM_TEST);
    int task = (int)(number % (2 * RECORDS));
    syn_env_reset(&e, &w->cfg, task, &w->tasks.info[task], 7, number);
    for (int t = 0; t < turns; t++) {
        for (int k = 0; k < N * R; k++) rank[k] = syn_rng_uniform(&rng);
        int a = legal_draw(&e, &rng);
        if (a < A - 2) (void)syn_env_step(&e, &w->cfg, a, rank);
    }
    assert_true(!e.done);
    e.changed = (1u << e.agents) - 1;
    return e;
}

/* One environment looked at afresh, and what the policy says to it. */
typedef struct look {
    syn_observer o;
    syn_observation x;
    real logit[A], value;
} look;

static void look_make(world *w, look *l, const syn_tasks *tasks, const syn_env *e, bool central)
{
    real h[SYN_STATE], c[SYN_STATE];
    random_fill(8, SYN_STATE, -1, 1, h);
    random_fill(9, SYN_STATE, -1, 1, c);
    assert_ok(syn_observer_init(&w->ctx, &l->o, 1, central));
    assert_ok(syn_observation_alloc(&w->ctx, &l->x, 1));
    assert_ok(syn_observe_turn(&w->ctx, &l->o, &w->p, tasks, e, &l->x));
    assert_ok(
        syn_control_forward(&w->ctx, &w->c, 1, 1, &l->x, h, c, NULL, l->logit, &l->value, h, c));
}

static void look_free(world *w, look *l)
{
    syn_observation_free(&w->ctx, &l->x);
    syn_observer_free(&w->ctx, &l->o);
}

static void observations_assert_equal(const syn_observation *a, const syn_observation *b)
{
    assert_memory_equal(a->message, b->message, sizeof(real) * SYN_DM);
    assert_memory_equal(a->ckm, b->ckm, sizeof(real) * N * SYN_CKM);
    assert_memory_equal(a->pair_x, b->pair_x, sizeof(real) * 2 * N * N * SYN_PAIR_X);
    assert_memory_equal(a->agent_x, b->agent_x, sizeof(real) * N * SYN_AGENT_X);
    assert_memory_equal(a->summary, b->summary, sizeof(real) * SYN_SUMMARY);
    assert_memory_equal(a->mask, b->mask, A);
}

/* ---- Agents but the asker are alike ---- */

/* Agent i becomes agent to[i]. */
static syn_env env_permute(const syn_env *e, const int *to)
{
    syn_env x = *e;
    for (int i = 0; i < e->agents; i++) {
        x.memory[to[i]] = e->memory[i];
        x.own[to[i]] = e->own[i];
        x.count[to[i]] = e->count[i];
        memcpy(x.item[to[i]], e->item[i], sizeof x.item[0]);
        memcpy(x.arrived[to[i]], e->arrived[i], sizeof x.arrived[0]);
        for (int p = 0; p < R; p++)
            x.giver[to[i]][p] = e->memory[i] >> p & 1 ? (uint8_t)to[e->giver[i][p]] : 0;
        for (int j = 0; j < e->agents; j++) x.sent[to[i]][to[j]] = e->sent[i][j];
    }
    if (e->last.from >= 0) x.last.from = (int8_t)to[e->last.from];
    if (e->last.to >= 0) x.last.to = (int8_t)to[e->last.to];
    return x;
}

static void permutation_draw(syn_rng *rng, int n, int first, int *to)
{
    for (int i = 0; i < n; i++) to[i] = i;
    for (int i = n - 1; i > first; i--) {
        int j = first + (int)syn_rng_below(rng, (uint32_t)(i + 1 - first)), t = to[i];
        to[i] = to[j];
        to[j] = t;
    }
}

/* The largest difference between a's answers and b's, when b's agents are a's permuted. */
static double difference(const look *a, const look *b, int agents, const int *to)
{
    double most = fabs((double)(a->value - b->value));
    for (int k = 0; k < A; k++) {
        syn_action x = syn_action_of(k);
        if (x.from >= agents || x.to >= agents) continue;
        int m = syn_action_index(x.kind, x.from < 0 ? 0 : to[x.from], x.to < 0 ? 0 : to[x.to]);
        most = fmax(most, fabs((double)(a->logit[k] - b->logit[m])));
        assert_int_equal(a->x.mask[k], b->x.mask[m]);
    }
    return most;
}

static void permuting_the_agents_but_the_asker_permutes_the_logits(void **state)
{
    world *w = world_create();
    syn_rng rng = syn_rng_make(10, SYN_STREAM_TEST);
    double spread = 0;
    w->cfg.agents_min = 3;
    for (int n = 0; n < 64; n++) {
        int to[N];
        look a, b;
        w->cfg.goal = n % 2;
        w->cfg.read_limit = n / 2 % 2 ? 2 : 0;
        syn_env e = state_after(w, n % 9, (uint64_t)n), permuted;
        permutation_draw(&rng, e.agents, 1, to);
        permuted = env_permute(&e, to);
        look_make(w, &a, &w->tasks, &e, n / 4 % 2);
        look_make(w, &b, &w->tasks, &permuted, n / 4 % 2);
        double most = difference(&a, &b, e.agents, to);
        if (!(most < 1e-4)) fail_msg("state %d: logits differ by %.2g", n, most);
        for (int k = 1; k < A; k++) spread = fmax(spread, fabs((double)(a.logit[k] - a.logit[0])));
        look_free(w, &a);
        look_free(w, &b);
    }
    assert_true(spread > 0.1); /* there is something to permute */
    world_free(w);
}

/* The asker is not like the others: were it permuted too, one would see it. */
static void moving_the_asker_does_change_the_logits(void **state)
{
    world *w = world_create();
    const int to[N] = {1, 0, 2, 3, 4, 5, 6, 7, 8, 9};
    double most = 0;
    for (int n = 0; n < 4; n++) {
        look a, b;
        syn_env e = state_after(w, 3, (uint64_t)n), permuted = env_permute(&e, to);
        look_make(w, &a, &w->tasks, &e, true);
        look_make(w, &b, &w->tasks, &permuted, true);
        most = fmax(most, difference(&a, &b, e.agents, to));
        look_free(w, &a);
        look_free(w, &b);
    }
    assert_true(most > 1e-2);
    world_free(w);
}

/* ---- Turn by turn, and afresh ---- */

static void views_assert_equal(const syn_observer *a, const syn_observer *b, const syn_env *envs)
{
    for (int64_t e = 0; e < ENVS; e++)
        for (uint32_t left = envs[e].present; left; left &= left - 1) {
            int64_t p = syn_lowest(left);
            assert_memory_equal(a->all + (e * R + p) * SYN_DV, b->all + (e * R + p) * SYN_DV,
                                sizeof(real) * SYN_DV);
            assert_true(!a->central ||
                        fabs((double)(a->rel[e * R + p] - b->rel[e * R + p])) < 1e-5);
            for (int i = 0; i < envs[e].agents; i++) {
                int64_t at = (e * N + i) * R + p;
                assert_memory_equal(a->own + at * SYN_DV, b->own + at * SYN_DV,
                                    sizeof(real) * SYN_DV);
                assert_true(fabsf(a->rank[at] - b->rank[at]) < 1e-5f);
            }
        }
}

static void vectors_assert_near(const syn_observer *a, const syn_observer *b, const syn_env *envs)
{
    for (int64_t e = 0; e < ENVS; e++)
        for (uint32_t left = envs[e].changed; left; left &= left - 1) {
            int64_t at = (e * N + syn_lowest(left)) * SYN_CKM;
            for (int d = 0; d < SYN_CKM; d++)
                assert_true(fabs((double)(a->ckm[at + d] - b->ckm[at + d])) < 1e-5);
        }
}

/* Gaps and links are those of the vectors that the observer holds, whichever turn they are from. */
static void gaps_assert_those_of_the_vectors(world *w, const syn_observer *o, const syn_env *envs)
{
    enum { H = SYN_GAP_HIDDEN };
    real *half = real_alloc(2 * N * H), *mean = real_alloc(N * H), logit[SYN_GAP_OUT];
    for (int64_t e = 0; e < ENVS; e++) {
        const int n = envs[e].agents;
        assert_ok(syn_gap_factor(&w->ctx, &w->p, n, o->ckm + e * N * SYN_CKM, half, half + N * H));
        for (int32_t i = 0; i < n; i++) {
            for (int d = 0; d < H; d++) {
                mean[i * H + d] = 0;
                for (int j = 0; j < n; j++)
                    if (j != i) mean[i * H + d] += half[(N + j) * H + d] / (real)(n - 1);
            }
            assert_ok(syn_gap_score(&w->ctx, &w->p, 1, half, &i, mean, &i, logit));
            assert_true(fabs((double)(o->gap_logit[e * N + i] - logit[SYN_GAP])) < 1e-4);
            assert_true(fabs((double)(o->gap[e * N + i] - syn_sigmoid(logit[SYN_GAP]))) < 1e-4);
            for (int32_t j = 0; j < n; j++) {
                if (i == j) continue;
                assert_ok(syn_gap_score(&w->ctx, &w->p, 1, half, &i, half + N * H, &j, logit));
                assert_true(fabs((double)(o->link[(e * N + i) * N + j] -
                                          syn_sigmoid(logit[SYN_LINK]))) < 1e-4);
            }
        }
    }
    free(half);
    free(mean);
}

static void afresh_assert_equal(world *w, const syn_observer *o, const syn_env *envs)
{
    syn_observer other;
    syn_env all[ENVS];
    memcpy(all, envs, sizeof all);
    for (int e = 0; e < ENVS; e++) all[e].changed = (1u << all[e].agents) - 1;
    assert_ok(syn_observer_init(&w->ctx, &other, ENVS, o->central));
    assert_ok(syn_observe_views(&w->ctx, &other, &w->p, &w->tasks, all));
    assert_ok(syn_observe_team(&w->ctx, &other, &w->p, all, &w->tasks));
    views_assert_equal(o, &other, envs);
    vectors_assert_near(o, &other, envs);
    syn_observer_free(&w->ctx, &other);
}

/* Plays random episodes, one after another in place, and looks at every turn. */
static void play_and_compare(world *w, bool central, int turns)
{
    syn_observer o;
    syn_observation x;
    syn_env envs[ENVS];
    syn_env_tally tally[ENVS] = {{0}};
    uint64_t next[ENVS];
    int32_t action[ENVS];
    real reward[ENVS];
    uint8_t done[ENVS];
    syn_rng rng = syn_rng_make(11, SYN_STREAM_TEST);
    const syn_env_source src = {w->tasks.info, w->record, RECORDS, 0.5f, 12, {0}};
    assert_ok(syn_observer_init(&w->ctx, &o, ENVS, central));
    assert_ok(syn_observation_alloc(&w->ctx, &x, ENVS));
    assert_ok(syn_env_reset_batch(&w->ctx, ENVS, envs, &w->cfg, &src, 0));
    for (int e = 0; e < ENVS; e++) next[e] = (uint64_t)(ENVS + e);
    for (int t = 0; t < turns; t++) {
        assert_ok(syn_observe_turn(&w->ctx, &o, &w->p, &w->tasks, envs, &x));
        afresh_assert_equal(w, &o, envs);
        gaps_assert_those_of_the_vectors(w, &o, envs);
        for (int e = 0; e < ENVS; e++) {
            assert_int_equal(x.reset[e], envs[e].turn == 0);
            assert_int_equal(x.count[e], envs[e].agents);
            assert_memory_equal(x.ckm + e * N * SYN_CKM, o.ckm + e * N * SYN_CKM,
                                sizeof(real) * N * SYN_CKM);
            action[e] = legal_draw(&envs[e], &rng);
            if (syn_rng_below(&rng, 8) == 0) action[e] = A - 1;
            if (syn_rng_below(&rng, 16) == 0) action[e] = (int32_t)syn_rng_below(&rng, A); /* any */
        }
        assert_ok(syn_env_step_batch(&w->ctx, ENVS, envs, &w->cfg, &src, action, o.rank, reward,
                                     done, tally, next, ENVS));
    }
    assert_true(tally[0].episodes > 1 && tally[ENVS - 1].episodes > 1);
    syn_observation_free(&w->ctx, &x);
    syn_observer_free(&w->ctx, &o);
}

static void an_observer_kept_up_to_date_equals_a_fresh_one(void **state)
{
    world *w = world_create();
    for (int n = 0; n < 4; n++) {
        w->cfg.goal = n % 2;
        w->cfg.read_limit = n / 2 ? 2 : 0;
        play_and_compare(w, n != 1, 40);
    }
    world_free(w);
}

/* ---- What is not in it ---- */

static void gold_and_stratum_are_not_seen(void **state)
{
    world *w = world_create();
    for (int n = 0; n < 12; n++) {
        look a, b;
        w->cfg.goal = n % 2;
        syn_env e = state_after(w, n % 5, (uint64_t)n), other = e;
        other.gold = 0x70;
        other.stratum = (int8_t)((e.stratum + 1) % 3);
        other.episode_return = 99;
        other.success = 1;
        look_make(w, &a, &w->tasks, &e, true);
        look_make(w, &b, &w->tasks, &other, true);
        observations_assert_equal(&a.x, &b.x);
        look_free(w, &a);
        look_free(w, &b);
    }
    world_free(w);
}

/* Row p becomes row to[p] in every array of a task. */
static void task_permute(syn_tasks *t, int64_t task, const syn_tasks *from, const int *to)
{
    for (int a = 0; a < R; a++) {
        memcpy(t->quest + task * SYN_TASK_QUEST + to[a] * SYN_DQ,
               from->quest + task * SYN_TASK_QUEST + a * SYN_DQ, sizeof(real) * SYN_DQ);
        memcpy(t->e + (task * R + to[a]) * SYN_DE, from->e + (task * R + a) * SYN_DE,
               sizeof(real) * SYN_DE);
        for (int c = 0; c < SYN_PAIR_CHANNELS; c++)
            for (int b = 0; b < R; b++)
                t->pair[task * SYN_TASK_PAIR + (c * R + to[a]) * R + to[b]] =
                    from->pair[task * SYN_TASK_PAIR + (c * R + a) * R + b];
    }
    memcpy(t->q + task * SYN_DE, from->q + task * SYN_DE, sizeof(real) * SYN_DE);
}

static uint32_t mask_permute(uint32_t mask, const int *to)
{
    uint32_t x = 0;
    for (int p = 0; p < R; p++) x |= (mask >> p & 1u) << to[p];
    return x;
}

static syn_env env_permute_rows(const syn_env *e, const int *to)
{
    syn_env x = *e;
    x.gold = mask_permute(e->gold, to);
    x.present = mask_permute(e->present, to);
    x.claims = mask_permute(e->claims, to);
    for (int i = 0; i < e->agents; i++) {
        x.memory[i] = mask_permute(e->memory[i], to);
        x.own[i] = mask_permute(e->own[i], to);
        for (int j = 0; j < e->agents; j++) x.sent[i][j] = mask_permute(e->sent[i][j], to);
        for (int k = 0; k < e->count[i]; k++) x.item[i][k] = (uint8_t)to[e->item[i][k]];
        for (int p = 0; p < R; p++) {
            x.giver[i][to[p]] = e->giver[i][p];
            x.arrived[i][to[p]] = e->arrived[i][p];
        }
    }
    if (e->last.piece >= 0) x.last.piece = (int8_t)to[e->last.piece];
    return x;
}

static void the_order_of_the_pieces_in_the_data_is_not_seen(void **state)
{
    world *w = world_create();
    syn_tasks shuffled;
    int same[N], to[R];
    syn_rng rng = syn_rng_make(13, SYN_STREAM_TEST);
    random_tasks(&w->ctx, &shuffled, 2 * RECORDS, PIECES, 2);
    for (int i = 0; i < N; i++) same[i] = i;
    for (int n = 0; n < 16; n++) {
        look a, b;
        w->cfg.goal = n % 2;
        syn_env e = state_after(w, n % 5, (uint64_t)n), moved;
        permutation_draw(&rng, R, 0, to);
        task_permute(&shuffled, e.task, &w->tasks, to);
        moved = env_permute_rows(&e, to);
        look_make(w, &a, &w->tasks, &e, n / 2 % 2);
        look_make(w, &b, &shuffled, &moved, n / 2 % 2);
        double most = difference(&a, &b, e.agents, same);
        if (!(most < 1e-4)) fail_msg("state %d: logits differ by %.2g", n, most);
        look_free(w, &a);
        look_free(w, &b);
    }
    syn_tasks_free(&w->ctx, &shuffled);
    world_free(w);
}

/* Not central: what only the view of all pieces knows does not enter, whatever it is. */
static void without_the_central_view_it_is_not_read(void **state)
{
    world *w = world_create();
    for (int n = 0; n < 8; n++) {
        look a, b;
        w->cfg.goal = n % 2;
        syn_env e = state_after(w, n, (uint64_t)n);
        look_make(w, &a, &w->tasks, &e, false);
        look_make(w, &b, &w->tasks, &e, false);
        for (int k = 0; k < R * SYN_DV; k++) b.o.all[k] = NAN;
        for (int k = 0; k < R; k++) b.o.rel[k] = NAN;
        assert_ok(syn_observe_turn(&w->ctx, &b.o, &w->p, &w->tasks, &e, &b.x));
        observations_assert_equal(&a.x, &b.x);
        look_free(w, &a);
        look_free(w, &b);
    }
    world_free(w);
}

/* ---- What is in it ---- */

/* The message vector of a turn that took `kind`, from agent 1 towards agent 2 where it has two
 * ends. */
static void message_after(world *w, int kind, look *l, syn_env *e)
{
    float rank[N * R] = {0};
    w->cfg.agents_min = w->cfg.agents_max = 3;
    w->cfg.read_limit = 1;
    for (uint64_t n = 0;; n++) { /* an opening in which it is legal */
        syn_env_reset(e, &w->cfg, 0, &w->tasks.info[0], 7, n);
        if (kind == SYN_NO_ACTION) break;
        if (syn_env_piece(e, kind, 1, kind <= SYN_REQUEST ? 2 : -1, rank) < 0) continue;
        (void)syn_env_step(e, &w->cfg, syn_action_index(kind, 1, 2), rank);
        break;
    }
    e->changed = (1u << e->agents) - 1;
    look_make(w, l, &w->tasks, e, true);
}

static void the_message_tells_what_moved_and_how(void **state)
{
    world *w = world_create();
    const int kinds[] = {SYN_NO_ACTION, SYN_SEND, SYN_REQUEST, SYN_BROADCAST, SYN_ALONE};
    for (int k = 0; k < 5; k++) {
        look l;
        syn_env e;
        message_after(w, kinds[k], &l, &e);
        real nothing[SYN_DQ] = {0};
        const real *expected = w->tasks.quest + e.last.piece * SYN_DQ;
        if (kinds[k] == SYN_NO_ACTION) expected = nothing;
        assert_memory_equal(l.x.message, expected, sizeof nothing);
        const real *meta = l.x.message + SYN_DX + 1;
        for (int m = 0; m < 7; m++)
            assert_true(meta[m] == (kinds[k] == SYN_NO_ACTION ? m == 6 : m == kinds[k]));
        look_free(w, &l);
    }
    world_free(w);
}

/* A request and its reply are one vector, in which the piece goes from the replier to the asker. */
static void a_request_is_told_as_the_delivery_that_it_brought(void **state)
{
    world *w = world_create();
    float rank[N * R] = {0};
    syn_env e;
    look l;
    w->cfg.agents_min = w->cfg.agents_max = 3;
    for (uint64_t n = 0;; n++) {
        syn_env_reset(&e, &w->cfg, 0, &w->tasks.info[0], 7, n);
        if (e.count[2]) break;
    }
    (void)syn_env_step(&e, &w->cfg, syn_action_index(SYN_REQUEST, 0, 2), rank);
    e.changed = 7;
    look_make(w, &l, &w->tasks, &e, true);
    const real *meta = l.x.message + SYN_DX + 1;
    assert_true(meta[7] == 0 && meta[8] == 1); /* not from, but to the asker */
    assert_int_equal(e.giver[0][e.last.piece], 2);
    look_free(w, &l);
    world_free(w);
}

static void the_features_of_a_pair_are_those_of_the_piece_that_would_move(void **state)
{
    world *w = world_create();
    for (int n = 0; n < 12; n++) {
        look l;
        syn_env e = state_after(w, n % 6, (uint64_t)n);
        look_make(w, &l, &w->tasks, &e, true);
        for (int kind = SYN_SEND; kind <= SYN_REQUEST; kind++)
            for (int i = 0; i < e.agents; i++)
                for (int j = 0; j < e.agents; j++) {
                    if (i == j) continue;
                    const real *x = l.x.pair_x + ((kind * N + i) * N + j) * SYN_PAIR_X;
                    const int p = syn_env_piece(&e, kind, i, j, l.o.rank);
                    const int receiver = kind == SYN_SEND ? j : i,
                              sender = kind == SYN_SEND ? i : j;
                    assert_true(x[0] == l.o.link[receiver * N + sender]);
                    assert_true(x[1] == l.o.gap[receiver] && x[2] == l.o.gap[sender]);
                    assert_int_equal(p >= 0, l.x.mask[syn_action_index(kind, i, j)]);
                    for (int k = 0; k < SYN_DQ; k++)
                        assert_true(
                            x[14 + k] ==
                            (p < 0 ? 0 : w->tasks.quest[e.task * SYN_TASK_QUEST + p * SYN_DQ + k]));
                    for (int k = 0; k < SYN_DV; k++)
                        assert_true(x[14 + SYN_DQ + k] ==
                                    (p < 0 ? 0 : l.o.own[(i * R + p) * SYN_DV + k]));
                }
        look_free(w, &l);
    }
    world_free(w);
}

static void rows_of_an_observation_are_found_by_their_number(void **state)
{
    world *w = world_create();
    syn_observation x;
    assert_ok(syn_observation_alloc(&w->ctx, &x, 3));
    syn_observation y = syn_observation_at(&x, 2);
    assert_true(y.message == x.message + 2 * SYN_DM && y.ckm == x.ckm + 2 * N * SYN_CKM);
    assert_true(y.pair_x == x.pair_x + 4 * N * N * SYN_PAIR_X && y.mask == x.mask + 2 * A);
    assert_true(y.agent_x == x.agent_x + 2 * N * SYN_AGENT_X && y.count == x.count + 2);
    assert_true(y.summary == x.summary + 2 * SYN_SUMMARY && y.reset == x.reset + 2);
    syn_observation_free(&w->ctx, &x);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permuting_the_agents_but_the_asker_permutes_the_logits),
        cmocka_unit_test(moving_the_asker_does_change_the_logits),
        cmocka_unit_test(an_observer_kept_up_to_date_equals_a_fresh_one),
        cmocka_unit_test(gold_and_stratum_are_not_seen),
        cmocka_unit_test(the_order_of_the_pieces_in_the_data_is_not_seen),
        cmocka_unit_test(without_the_central_view_it_is_not_read),
        cmocka_unit_test(the_message_tells_what_moved_and_how),
        cmocka_unit_test(a_request_is_told_as_the_delivery_that_it_brought),
        cmocka_unit_test(the_features_of_a_pair_are_those_of_the_piece_that_would_move),
        cmocka_unit_test(rows_of_an_observation_are_found_by_their_number),
    };
    return cmocka_run_group_tests_name("test_observe", tests, NULL, NULL);
}
