/* Sessions of the public API decide as the trainer does, to the bit, and use nothing that only the
 * trainer knows. */
#include "engine/syncog_private.h"
#include "kernels/sample.h"
#include "tests/engine/syncog_world.h"
#include "tests/tokens.h"

/* ---- The trainer's way: tasks from tokens, environment, observer, control, sampling ---- */

typedef struct trainer {
    syn_ctx *ctx;
    const syn_model *model;
    syn_tasks tasks;
    syn_env_config cfg;
    syn_env env;
    syn_observer o;
    syn_observation x;
    real h[SYN_STATE], c[SYN_STATE], logit[A], prob[A], value, logp;
    int32_t action;
} trainer;

static void trainer_start(trainer *t, syn_goal goal, int read_limit, uint64_t episode)
{
    syn_piece_text text[ROWS];
    int32_t n;
    memset(t, 0, sizeof *t);
    t->ctx = &shared->ctx;
    t->model = &shared->model;
    const uint32_t *q = tokens_of(question, &n);
    for (int r = 0; r < ROWS; r++) {
        text[r] = piece_of(pieces[r].title ? pieces[r].title : "", pieces[r].text);
        text[r].claim = pieces[r].claim;
    }
    assert_ok(syn_tasks_alloc(t->ctx, &t->tasks, 1));
    t->tasks.info[0] =
        (syn_task_info){.gold = 1u << 0 | 1u << 1, .pieces = PIECES, .claims = 1u << 7};
    assert_ok(syn_task_build(t->model->idf, t->model->table, q, n, text, ROWS, true, t->tasks.quest,
                             t->tasks.pair, t->tasks.e, t->tasks.q));
    t->cfg = (syn_env_config)SYN_ENV_CONFIG_DEFAULT;
    t->cfg.goal = (int32_t)goal;
    t->cfg.read_limit = read_limit;
    syn_env_reset(&t->env, &t->cfg, 0, &t->tasks.info[0], 21, episode);
    assert_ok(syn_observer_init(t->ctx, &t->o, 1, t->model->central));
    assert_ok(syn_observation_alloc(t->ctx, &t->x, 1));
}

static void trainer_turn(trainer *t)
{
    assert_ok(syn_observe_turn(t->ctx, &t->o, &t->model->perception, &t->tasks, &t->env, &t->x));
    assert_ok(syn_control_forward(t->ctx, &t->model->control, 1, 1, &t->x, t->h, t->c, NULL,
                                  t->logit, &t->value, t->h, t->c));
    assert_ok(syn_policy_sample(t->ctx, 1, A, t->logit, t->x.mask, true, 0, NULL, &t->action,
                                &t->logp, NULL, t->prob));
}

static void trainer_free(trainer *t)
{
    syn_observation_free(t->ctx, &t->x);
    syn_observer_free(t->ctx, &t->o);
    syn_tasks_free(t->ctx, &t->tasks);
}

/* A team that knows nothing of the trainer's secrets. */
static syn_env without_secrets(const syn_env *e)
{
    syn_env x = *e;
    x.task = 0x5a5a;
    x.gold = ~e->gold;
    x.stratum = 2 - e->stratum;
    x.success = !e->success;
    x.changed = 0x155;
    x.episode_return = 1e9f;
    return x;
}

/* What a turn leaves behind, as far as the API keeps it. */
static void assert_same_team(const syn_env *a, const syn_env *b)
{
    assert_int_equal(a->turn, b->turn);
    assert_int_equal(a->messages, b->messages);
    assert_int_equal(a->deliveries, b->deliveries);
    assert_int_equal(a->done, b->done);
    assert_memory_equal(&a->last, &b->last, sizeof a->last);
    for (int i = 0; i < a->agents; i++) {
        assert_int_equal(a->memory[i], b->memory[i]);
        assert_memory_equal(a->sent[i], b->sent[i], sizeof a->sent[i]);
        assert_int_equal(a->count[i], b->count[i]);
        assert_memory_equal(a->item[i], b->item[i], a->count[i]);
        assert_memory_equal(a->giver[i], b->giver[i], sizeof a->giver[i]);
        assert_memory_equal(a->arrived[i], b->arrived[i], sizeof a->arrived[i]);
    }
}

/* A legal action other than the end, its kind drawn first; -1 when there is none. */
static int drawn_move(const uint8_t *mask, syn_rng *rng)
{
    int legal[4][A], n[4] = {0}, kinds[4], k = 0;
    for (int a = 0; a < A - 2; a++) {
        const int kind = syn_action_of(a).kind;
        if (mask[a]) legal[kind][n[kind]++] = a;
    }
    for (int kind = 0; kind < 4; kind++) {
        if (n[kind]) kinds[k++] = kind;
    }
    if (k == 0) return -1;
    const int kind = kinds[syn_rng_below(rng, (uint32_t)k)];
    return legal[kind][syn_rng_below(rng, (uint32_t)n[kind])];
}

/* Plays an episode twice, side by side; returns its turns. kinds: a bit per kind of move played. */
static int play_both(syn_goal goal, int read_limit, uint64_t episode, uint32_t *kinds)
{
    trainer t;
    int turns = 0;
    float all[A], probability, gaps[N * N], sufficiency;
    syn_rng rng = syn_rng_make(episode, SYN_STREAM_TEST);
    syn_session *s = session_of(ROWS);
    trainer_start(&t, goal, read_limit, episode);
    for (; !t.env.done; turns++) {
        syn_action a;
        syn_env team = without_secrets(&t.env);
        trainer_turn(&t);
        assert_ok(syn_session_observe(s, &team, gaps, &sufficiency));
        assert_ok(syn_session_decide(s, &team, NULL, true, &a, &probability, all));
        assert_memory_equal(all, t.prob, sizeof all);
        assert_int_equal(syn_action_index(a.kind, a.from, a.to), t.action);
        assert_true(probability == t.prob[t.action]);
        assert_true(gaps[0] == t.o.gap[0] && gaps[1] == t.o.link[1]);
        /* The networks would stop soon: most turns are drawn, so that there is something to see. */
        int move = drawn_move(t.x.mask, &rng);
        if (move < 0 || turns % 4 == 3) move = t.action;
        a = syn_action_of(move);
        assert_ok(syn_session_apply(s, &team, &a));
        (void)syn_env_step(&t.env, &t.cfg, move, t.o.rank);
        assert_same_team(&team, &t.env);
        *kinds |= 1u << a.kind;
    }
    trainer_free(&t);
    syn_session_free(s);
    return turns;
}

static void a_session_decides_as_the_trainer_does_to_the_bit(void **state)
{
    int turns = 0;
    uint32_t kinds = 0;
    for (uint64_t episode = 0; episode < 12; episode++) {
        turns += play_both(episode % 2 ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER, 0, episode, &kinds);
    }
    for (uint64_t episode = 0; episode < 4; episode++)
        turns += play_both(SYN_GOAL_ASKER, 2, episode, &kinds);
    assert_true(turns > 60);
    assert_int_equal(kinds & 15, 15); /* SEND, REQUEST, BROADCAST, ALONE */
}

/* ---- Looking ---- */

static void
a_team_played_turn_by_turn_and_one_looked_at_afresh_differ_only_in_what_is_old(void **state)
{
    float kept[9], afresh[9], again[9];
    syn_session *s = session_of(PIECES), *t = session_of(PIECES);
    syn_env team = opening(s);
    assert_ok(syn_session_observe(s, &team, kept, NULL));
    apply(s, &team, SYN_SEND, 1, 0);
    assert_ok(syn_session_observe(s, &team, kept, NULL));
    assert_ok(syn_session_observe(t, &team, afresh, NULL));
    assert_true(memcmp(kept, afresh, sizeof kept) !=
                0); /* agent 2 as it was seen in the turn before */
    assert_ok(syn_session_observe(s, &team, again, NULL));
    assert_memory_equal(again, kept, sizeof kept);
    /* A team that was changed by hand is not taken for one that has played a turn. */
    syn_env_receive(&team, 2, 6, 2);
    assert_ok(syn_session_observe(s, &team, kept, NULL));
    syn_session_free(t);
    t = session_of(PIECES);
    assert_ok(syn_session_observe(t, &team, afresh, NULL));
    assert_memory_equal(kept, afresh, sizeof kept);
    syn_session_free(t);
    syn_session_free(s);
}

static void new_pieces_are_seen_as_by_a_new_session(void **state)
{
    float all[2][A], gaps[2][9];
    syn_action a;
    syn_document other[PIECES];
    syn_session *s = session_of(PIECES), *t;
    const syn_env team = opening(s);
    memcpy(other, pieces, sizeof other);
    other[0] = pieces[9]; /* nothing but a text tells the new rows from the old ones */
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, NULL));
    assert_ok(syn_session_pieces(s, other, PIECES));
    assert_ok(syn_session_observe(s, &team, gaps[0], NULL));
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, all[0]));
    assert_ok(syn_session_create(shared, question, other, PIECES, &t));
    assert_ok(syn_session_observe(t, &team, gaps[1], NULL));
    assert_ok(syn_session_decide(t, &team, NULL, true, &a, NULL, all[1]));
    assert_memory_equal(gaps[0], gaps[1], sizeof gaps[0]);
    assert_memory_equal(all[0], all[1], sizeof all[0]);
    /* Refused pieces leave the old ones. */
    const syn_document broken = {"x", "\xff", false};
    assert_says(syn_session_pieces(s, &broken, 1), SYN_ERR_FORMAT,
                "pieces[0] is not UTF-8 at byte 0");
    assert_ok(syn_session_observe(s, &team, gaps[0], NULL));
    assert_memory_equal(gaps[0], gaps[1], sizeof gaps[0]);
    syn_session_free(t);
    syn_session_free(s);
}

/* Takes a row away from everybody. */
static void forget(syn_env *team, int row)
{
    team->present &= ~(1u << row);
    for (int i = 0; i < team->agents; i++) {
        int kept = 0;
        team->memory[i] &= team->present;
        team->own[i] &= team->present;
        for (int k = 0; k < team->count[i]; k++) {
            if (team->item[i][k] != row) team->item[i][kept++] = team->item[i][k];
        }
        team->count[i] = (uint8_t)kept;
    }
}

static void what_moved_last_may_be_gone(void **state)
{
    float all[2][A];
    syn_action a;
    syn_session *r = session_of(PIECES), *s = session_of(PIECES), *t = session_of(PIECES);
    syn_env team = played(r);
    forget(&team, team.last.piece);
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, all[0]));
    team.last.piece = -1;
    assert_ok(syn_session_decide(t, &team, NULL, true, &a, NULL, all[1]));
    assert_memory_equal(all[0], all[1], sizeof all[0]);
    syn_session_free(t);
    syn_session_free(s);
    syn_session_free(r);
}

static void scores_are_probabilities(void **state)
{
    float gaps[9], sufficiency, ckm[3][SYN_CKM_WIDTH], relevance[3 * PIECES];
    syn_session *s = session_of(PIECES);
    syn_env team = played(s);
    team.goal = SYN_GOAL_CONSENSUS;
    assert_ok(syn_session_observe(s, &team, gaps, &sufficiency));
    assert_ok(syn_session_ckm(s, &team, ckm[0]));
    assert_ok(syn_session_relevance(s, &team, relevance));
    for (int k = 0; k < 9; k++) assert_true(gaps[k] > 0 && gaps[k] < 1);
    for (int k = 0; k < 3 * PIECES; k++) assert_true(relevance[k] > 0 && relevance[k] < 1);
    assert_true(memcmp(ckm[0], ckm[1], sizeof ckm[0]) != 0);
    /* Two of three make the majority: those that lack least. */
    const double most = fmax(gaps[0], fmax(gaps[4], gaps[8]));
    assert_float_equal(sufficiency, 1 - ((double)gaps[0] + gaps[4] + gaps[8] - most) / 2, 1e-6);
    team.goal = SYN_GOAL_ASKER;
    assert_ok(syn_session_observe(s, &team, gaps, &sufficiency));
    assert_float_equal(sufficiency, 1 - gaps[0], 1e-6);
    team.present &= ~(1u << 6); /* nobody holds it */
    assert_ok(syn_session_relevance(s, &team, relevance));
    assert_true(relevance[PIECES + 6] == 0 && relevance[PIECES + 5] > 0);
    syn_session_free(s);
}

/* Agent i becomes agent to[i]. */
static syn_env permuted(const syn_env *e, const int *to)
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

static void permuting_the_agents_but_the_asker_permutes_scores_and_decision(void **state)
{
    static const int to[3] = {0, 2, 1};
    float gaps[2][9], all[2][A];
    syn_action a;
    syn_session *r = session_of(PIECES), *s = session_of(PIECES), *t = session_of(PIECES);
    const syn_env team = played(r), other = permuted(&team, to);
    assert_ok(syn_session_observe(s, &team, gaps[0], NULL));
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, all[0]));
    assert_ok(syn_session_observe(t, &other, gaps[1], NULL));
    assert_ok(syn_session_decide(t, &other, NULL, true, &a, NULL, all[1]));
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            assert_float_equal(gaps[0][3 * i + j], gaps[1][3 * to[i] + to[j]], 1e-5);
    }
    for (int k = 0; k < A; k++) {
        const syn_action x = syn_action_of(k);
        if (x.from >= 3 || x.to >= 3) continue;
        const int m =
            syn_action_index(x.kind, x.from < 0 ? 0 : to[x.from], x.to < 0 ? 0 : to[x.to]);
        assert_float_equal(all[0][k], all[1][m], 1e-5);
    }
    assert_true(fabsf(gaps[0][4] - gaps[0][8]) > 1e-3f); /* or else there was nothing to permute */
    syn_session_free(t);
    syn_session_free(s);
    syn_session_free(r);
}

static uint32_t mirrored(uint32_t rows)
{
    uint32_t x = 0;
    for (; rows; rows &= rows - 1) x |= 1u << (PIECES - 1 - syn_lowest(rows));
    return x;
}

static void the_order_of_the_pieces_does_not_matter(void **state)
{
    syn_document backwards[PIECES];
    float gaps[2][9];
    syn_session *s = session_of(PIECES), *t;
    for (int r = 0; r < PIECES; r++) backwards[r] = pieces[PIECES - 1 - r];
    assert_ok(syn_session_create(shared, question, backwards, PIECES, &t));
    const syn_env team = opening(s);
    syn_env other = team;
    other.claims = mirrored(team.claims);
    for (int i = 0; i < 3; i++) { /* the order of arrival stays */
        other.memory[i] = mirrored(team.memory[i]);
        other.own[i] = mirrored(team.own[i]);
        for (int k = 0; k < team.count[i]; k++) {
            other.item[i][k] = (uint8_t)(PIECES - 1 - team.item[i][k]);
            other.giver[i][other.item[i][k]] = (uint8_t)i;
        }
    }
    assert_ok(syn_session_observe(s, &team, gaps[0], NULL));
    assert_ok(syn_session_observe(t, &other, gaps[1], NULL));
    for (int k = 0; k < 9; k++) assert_float_equal(gaps[0][k], gaps[1][k], 1e-5);
    syn_session_free(t);
    syn_session_free(s);
}

static void pieces_are_ranked_under_the_view_of_them_all(void **state)
{
    float relevance[PIECES], alone;
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    assert_ok(syn_engine_rank(shared, question, pieces, PIECES, relevance));
    assert_ok(syn_session_observe(s, &team, NULL, NULL));
    for (int r = 0; r < PIECES; r++) {
        assert_float_equal(relevance[r], syn_sigmoid(s->observer.rel[r]), 1e-6);
    }
    assert_ok(syn_engine_rank(shared, question, pieces + 1, 1, &alone));
    assert_true(alone != relevance[1]);
    syn_session_free(s);
}

/* ---- Deciding ---- */

static void the_memory_takes_one_step_per_turn(void **state)
{
    float once[A], twice[A], later[2][A], cleared[A], first[A];
    uint8_t no_end[A];
    syn_action a;
    syn_session *s = session_of(PIECES), *t = session_of(PIECES);
    memset(no_end, 1, sizeof no_end);
    no_end[A - 1] = no_end[A - 2] = 0;
    const syn_env start = opening(s);
    syn_env team = start;
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, first));
    assert_ok(syn_session_decide(t, &team, NULL, true, &a, NULL, NULL));
    apply(s, &team, SYN_SEND, 1, 0);
    /* The second of two decisions in a turn is as good as the first. */
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, once));
    assert_ok(syn_session_decide(s, &team, no_end, true, &a, NULL, NULL));
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, twice));
    assert_ok(syn_session_decide(t, &team, NULL, true, &a, NULL, NULL));
    assert_memory_equal(once, twice, sizeof once);
    apply(s, &team, SYN_SEND, 2, 0);
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, later[0]));
    assert_ok(syn_session_decide(t, &team, NULL, true, &a, NULL, later[1]));
    assert_memory_equal(later[0], later[1], sizeof later[0]);
    /* It is a memory: who has not followed decides otherwise. */
    syn_session_free(t);
    t = session_of(PIECES);
    assert_ok(syn_session_decide(t, &team, NULL, true, &a, NULL, later[1]));
    assert_true(memcmp(later[0], later[1], sizeof later[0]) != 0);
    /* And the first turn of the next collaboration clears it. */
    assert_ok(syn_session_decide(s, &start, NULL, true, &a, NULL, cleared));
    assert_memory_equal(cleared, first, sizeof first);
    syn_session_free(t);
    syn_session_free(s);
}

static void a_mask_forbids_and_the_rest_shares_the_probability(void **state)
{
    float free_[A], masked[A], probability;
    uint8_t mask[A];
    syn_action a;
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, &probability, free_));
    const int best = syn_action_index(a.kind, a.from, a.to);
    memset(mask, 1, sizeof mask);
    mask[best] = 0;
    assert_ok(syn_session_decide(s, &team, mask, true, &a, &probability, masked));
    assert_int_not_equal(syn_action_index(a.kind, a.from, a.to), best);
    assert_true(masked[best] == 0);
    double sum = 0;
    for (int k = 0; k < A; k++) {
        sum += masked[k];
        if (k != best) assert_float_equal(masked[k] * (1 - free_[best]), free_[k], 1e-6);
    }
    assert_float_equal(sum, 1, 1e-5);
    memset(mask, 0, sizeof mask);
    assert_ok(syn_session_decide(s, &team, mask, false, &a, &probability, masked));
    assert_int_equal(a.kind, SYN_NO_ACTION);
    assert_true(probability == 1);
    assert_true(a.from == -1 && a.to == -1 && a.piece == -1);
    syn_session_free(s);
}

static void a_decision_names_the_piece_that_moves(void **state)
{
    uint8_t mask[A] = {0};
    float relevance[3][PIECES];
    syn_action a;
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    mask[syn_action_index(SYN_REQUEST, 0, 1)] = 1;
    assert_ok(syn_session_decide(s, &team, mask, true, &a, NULL, NULL));
    assert_int_equal(a.kind, SYN_REQUEST);
    assert_ok(syn_session_relevance(s, &team, relevance[0]));
    for (uint32_t left = dealt[1]; left; left &= left - 1) { /* by what the requester knows */
        assert_true(relevance[0][a.piece] >= relevance[0][syn_lowest(left)]);
    }
    assert_true(dealt[1] >> a.piece & 1);
    syn_session_free(s);
}

/* The action indices of 400 draws from one state. */
static void draw(syn_engine *g, int32_t *action, double *frequency, float *all)
{
    syn_session *s;
    syn_env team;
    syn_action a;
    assert_ok(syn_session_create(g, question, pieces, PIECES, &s));
    assert_ok(syn_session_begin(s, SYN_GOAL_ASKER, 3, dealt, 12, &team));
    for (int k = 0; k < 400; k++) {
        assert_ok(syn_session_decide(s, &team, NULL, false, &a, NULL, all));
        action[k] = syn_action_index(a.kind, a.from, a.to);
        frequency[action[k]] += 1 / 400.0;
    }
    syn_session_free(s);
}

static void draws_follow_the_probabilities_and_the_seed(void **state)
{
    int32_t action[4][400];
    double frequency[4][A] = {{0}};
    float all[A];
    syn_engine_config config = SYN_ENGINE_CONFIG_DEFAULT;
    for (int k = 0; k < 3; k++) {
        syn_engine *g;
        config.seed = k < 2 ? 5 : 6;
        assert_ok(syn_engine_open(folder, &config, &g));
        draw(g, action[k], frequency[k], all);
        if (k == 0) draw(g, action[3], frequency[3], all); /* another session of the same engine */
        syn_engine_close(g);
    }
    assert_memory_equal(action[0], action[1], sizeof action[0]);
    assert_true(memcmp(action[0], action[2], sizeof action[0]) != 0);
    assert_true(memcmp(action[0], action[3], sizeof action[0]) != 0);
    for (int a = 0; a < A; a++) { /* within four standard errors */
        const double p = all[a], tolerance = 4 * sqrt(p * (1 - p) / 400) + 1e-3;
        assert_true(fabs(frequency[0][a] - p) < tolerance);
    }
}

static void a_model_without_policy_observes_and_says_that_it_cannot_decide(void **state)
{
    syn_engine *g;
    syn_session *s;
    syn_env team;
    syn_action a;
    syn_engine_info info;
    float gaps[9], relevance[PIECES];
    assert_ok(syn_engine_open(untrained, NULL, &g));
    assert_ok(syn_engine_describe(g, &info));
    assert_false(info.decides || info.central);
    assert_ok(syn_session_create(g, question, pieces, PIECES, &s));
    assert_ok(syn_session_begin(s, SYN_GOAL_ASKER, 3, dealt, 12, &team));
    assert_ok(syn_session_observe(s, &team, gaps, NULL));
    assert_says(syn_session_decide(s, &team, NULL, true, &a, NULL, NULL), SYN_ERR_UNSUPPORTED,
                "has not been trained to decide");
    assert_ok(syn_engine_rank(g, question, pieces, PIECES, relevance));
    assert_true(relevance[0] > 0 && relevance[0] < 1);
    syn_session_free(s);
    syn_engine_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_decides_as_the_trainer_does_to_the_bit),
        cmocka_unit_test(
            a_team_played_turn_by_turn_and_one_looked_at_afresh_differ_only_in_what_is_old),
        cmocka_unit_test(new_pieces_are_seen_as_by_a_new_session),
        cmocka_unit_test(what_moved_last_may_be_gone),
        cmocka_unit_test(scores_are_probabilities),
        cmocka_unit_test(permuting_the_agents_but_the_asker_permutes_scores_and_decision),
        cmocka_unit_test(the_order_of_the_pieces_does_not_matter),
        cmocka_unit_test(pieces_are_ranked_under_the_view_of_them_all),
        cmocka_unit_test(the_memory_takes_one_step_per_turn),
        cmocka_unit_test(a_mask_forbids_and_the_rest_shares_the_probability),
        cmocka_unit_test(a_decision_names_the_piece_that_moves),
        cmocka_unit_test(draws_follow_the_probabilities_and_the_seed),
        cmocka_unit_test(a_model_without_policy_observes_and_says_that_it_cannot_decide),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
