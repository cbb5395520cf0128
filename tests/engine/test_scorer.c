/* Many sessions in one batch are scored as each of them by itself: to the bit where they come one
 * at a time, nearly so together. */
#include "engine/scorer.h"
#include "engine/syncog_private.h"
#include "tests/engine/scorer_world.h"

static const uint32_t everything =
    SYN_WANT_DECISION | SYN_WANT_CKM | SYN_WANT_PROBABILITIES | SYN_WANT_LOGITS | SYN_WANT_RANKS;

/* ---- Beside a session ---- */

/* Largest differences of a result to what a session says of the same team. */
typedef struct distance {
    double number, logit;
} distance;

static void differ(double *to, double a, double b)
{
    const double d = fabs(a - b);
    assert_true(isfinite(d));
    *to = d > *to ? d : *to;
}

/* The session looks and decides (where `want` says so) as the scorer did. */
static distance beside_session(syn_session *s, const syn_env *team, uint32_t want,
                               const uint8_t *mask, const syn_score_result *r)
{
    distance d = {0, 0};
    const int n = team->agents;
    float gaps[N * N], sufficiency, ckm[N * SYN_CKM], all[A], probability;
    syn_action a;
    assert_int_equal(r->status, SYN_OK);
    assert_ok(syn_session_observe(s, team, gaps, &sufficiency));
    assert_ok(syn_session_ckm(s, team, ckm));
    for (int k = 0; k < n * n; k++) differ(&d.number, r->gaps[k], gaps[k]);
    differ(&d.number, r->sufficiency, sufficiency);
    for (int k = 0; k < n * SYN_CKM && r->ckm; k++) differ(&d.number, r->ckm[k], ckm[k]);
    for (int i = 0; i < n && r->rank; i++) {
        for (uint32_t left = team->present; left; left &= left - 1) {
            const int row = syn_lowest(left);
            differ(&d.logit, r->rank[i * R + row], s->observer.rank[i * R + row]);
        }
    }
    if (!(want & SYN_WANT_DECISION)) return d;
    assert_ok(syn_session_decide(s, team, mask, !(want & SYN_WANT_DRAW), &a, &probability, all));
    assert_memory_equal(&r->action, &a, sizeof a);
    differ(&d.number, r->probability, probability);
    for (int k = 0; k < A && r->all; k++) differ(&d.number, r->all[k], all[k]);
    for (int k = 0; k < A && r->logit; k++) {
        if (all[k] > 0) differ(&d.logit, r->logit[k], s->logit[k]);
    }
    return d;
}

static int drawn_legal(const float *all, syn_rng *rng)
{
    int legal[A], n = 0;
    for (int a = 0; a < A - 2; a++) {
        if (all[a] > 0) legal[n++] = a;
    }
    return n ? legal[syn_rng_below(rng, (uint32_t)n)] : -1;
}

/* A turn of anything that is allowed, seldom the end. */
static void play(syn_session *s, syn_env *team, const real *all, syn_rng *rng)
{
    const int move = drawn_legal(all, rng);
    syn_action a = move < 0 ? syn_action_of(A - 1) : syn_action_of(move);
    assert_ok(syn_session_apply(s, team, &a));
}

static void a_batch_of_one_has_the_bits_of_a_session(void **state)
{
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 3, 4);
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    int turns = 0;
    for (int episode = 0; episode < 6; episode++) {
        syn_session *s = session_of(PIECES);
        const int64_t slot = slot_of(scorer, PIECES);
        syn_env team = opening(s);
        if (episode % 2) team.goal = SYN_GOAL_CONSENSUS;
        for (; !team.done; turns++) {
            const syn_score_result r = score(scorer, slot, &team, everything);
            const distance d = beside_session(s, &team, everything, NULL, &r);
            assert_true(d.number == 0 && d.logit == 0);
            play(s, &team, r.all, &rng);
        }
        syn_scorer_slot_close(scorer, slot);
        syn_session_free(s);
    }
    assert_true(turns > 40);
    scorer_end(&ctx, scorer);
}

static void the_memory_takes_one_step_per_turn(void **state)
{
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 2, 2);
    syn_session *s = session_of(PIECES);
    const int64_t slot = slot_of(scorer, PIECES);
    syn_env team = opening(s);
    for (int turn = 0; turn < 4; turn++) {
        uint8_t mask[A];
        for (int again = 0; again < 3; again++) { /* other masks, the same turn */
            for (int a = 0; a < A; a++) mask[a] = again == 0 || a % (again + 1) != 0;
            const syn_score_request q = {
                .slot = slot, .team = &team, .mask = mask, .want = everything};
            syn_score_result r;
            assert_ok(syn_scorer_score(scorer, 1, &q, &r, NULL));
            const distance d = beside_session(s, &team, q.want, mask, &r);
            assert_true(d.number == 0 && d.logit == 0);
            for (int a = 0; a < A; a++) assert_true(mask[a] || r.all[a] == 0);
        }
        (void)score(scorer, slot, &team, 0); /* a look is no step */
        if (turn == 1)
            team = opening(s); /* a new collaboration clears it */
        else
            apply(s, &team, SYN_SEND, 1 + turn % 2, 0);
    }
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

static void a_draw_is_that_of_its_counter(void **state)
{
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 1, 1);
    syn_session *s = session_of(PIECES);
    const int64_t slot = slot_of(scorer, PIECES);
    const syn_env team = opening(s);
    int different = 0;
    syn_action first = {0};
    for (uint64_t k = 0; k < 20; k++) {
        const syn_score_request q = {.slot = slot,
                                     .team = &team,
                                     .counter = s->number << 32 | k,
                                     .want = everything | SYN_WANT_DRAW};
        syn_score_result r;
        assert_ok(syn_scorer_score(scorer, 1, &q, &r, NULL));
        const distance d = beside_session(s, &team, q.want, NULL, &r);
        assert_true(d.number == 0 && d.logit == 0);
        if (k == 0) first = r.action;
        different += memcmp(&first, &r.action, sizeof first) != 0;
    }
    assert_true(different > 0);
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

/* ---- Together ---- */

enum { TEAMS = 70, TURNS = 5 }; /* more than the CPU takes at a time */

typedef struct crowd {
    syn_session *session[TEAMS];
    int64_t slot[TEAMS];
    syn_env team[TEAMS];
    syn_score_request request[TEAMS];
    syn_score_result result[TEAMS];
} crowd;

static uint32_t wanted(int i, int turn)
{
    switch ((i + turn) % 4) {
    case 0:
        return everything;
    case 1:
        return 0;
    case 2:
        return SYN_WANT_DECISION | SYN_WANT_DRAW;
    default:
        return SYN_WANT_DECISION | SYN_WANT_RANKS;
    }
}

static void many_sessions_are_scored_as_each_of_them(void **state)
{
    static crowd c;
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, TEAMS, TEAMS);
    syn_rng rng = syn_rng_make(5, SYN_STREAM_TEST);
    distance worst = {0, 0};
    for (int i = 0; i < TEAMS; i++) {
        const int rows = i % 3 ? PIECES : ROWS;
        c.session[i] = session_of(rows);
        c.slot[i] = slot_of(scorer, rows);
        c.team[i] = opening(c.session[i]);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        int n = 0, of[TEAMS];
        for (int i = 0; i < TEAMS; i++) { /* not everybody takes part every time */
            if (c.team[i].done || (turn > 0 && (i + turn) % 5 == 0)) continue;
            c.request[n] =
                (syn_score_request){.slot = c.slot[i],
                                    .team = &c.team[i],
                                    .counter = c.session[i]->number << 32 | c.session[i]->draws,
                                    .want = wanted(i, turn)};
            of[n++] = i;
        }
        assert_true(turn || n == TEAMS);
        syn_score_times times;
        assert_ok(syn_scorer_score(scorer, n, c.request, c.result, &times));
        assert_true(times.copy_s > 0 && times.compute_s > times.copy_s);
        for (int k = 0; k < n; k++) {
            const uint32_t want = c.request[k].want;
            syn_session *s = c.session[of[k]];
            const syn_score_result *r = &c.result[k];
            assert_true(!r->ckm == !(want & SYN_WANT_CKM) && !r->rank == !(want & SYN_WANT_RANKS));
            assert_true(!r->all == !(want & SYN_WANT_PROBABILITIES));
            const distance d = beside_session(s, &c.team[of[k]], want, NULL, r);
            differ(&worst.number, d.number, 0);
            differ(&worst.logit, d.logit, 0);
        }
        for (int k = 0; k < n; k++) {
            syn_session *s = c.session[of[k]];
            syn_env *team = &c.team[of[k]];
            syn_action ignored;
            float all[A];
            assert_ok(syn_session_decide(s, team, NULL, true, &ignored, NULL, all));
            /* The scorer's memory takes the step too, where it has not. */
            if (!(c.request[k].want & SYN_WANT_DECISION))
                (void)score(scorer, c.slot[of[k]], team, SYN_WANT_DECISION);
            play(s, team, all, &rng);
        }
    }
    print_message("differences: numbers %.2g, logits %.2g\n", worst.number, worst.logit);
    assert_true(worst.number < 1e-6 && worst.logit < 1e-6);
    for (int i = 0; i < TEAMS; i++) syn_session_free(c.session[i]);
    scorer_end(&ctx, scorer);
}

static void nothing_is_allocated_after_the_first_batch(void **state)
{
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 4, 4);
    syn_session *s = session_of(PIECES);
    const int64_t slot = slot_of(scorer, PIECES);
    syn_env team = opening(s);
    (void)score(scorer, slot, &team, everything);
    size_t before = 0, after = 0;
    for (syn_scratch_block *b = ctx.scratch.first; b; b = b->next) before += b->bytes_max;
    for (int turn = 0; turn < 3; turn++) {
        apply(s, &team, SYN_BROADCAST, 1, -1);
        (void)score(scorer, slot, &team, everything);
    }
    for (syn_scratch_block *b = ctx.scratch.first; b; b = b->next) after += b->bytes_max;
    assert_int_equal(before, after);
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

/* ---- Slots ---- */

static void new_pieces_are_looked_at_afresh(void **state)
{
    static syn_scorer_task task;
    syn_ctx ctx;
    syn_document other[PIECES];
    syn_scorer *scorer = scorer_of(&ctx, 2, 2);
    syn_session *s = session_of(PIECES);
    const int64_t slot = slot_of(scorer, PIECES);
    const syn_env team = opening(s);
    memcpy(other, pieces, sizeof other);
    other[0] = pieces[9];
    syn_score_result r = score(scorer, slot, &team, everything);
    (void)beside_session(s, &team, everything, NULL, &r);
    assert_ok(syn_session_pieces(s, other, PIECES));
    assert_ok(syn_scorer_task_read(&shared->model, question, other, PIECES, &task));
    assert_ok(syn_scorer_slot_pieces(scorer, slot, &task));
    r = score(scorer, slot, &team, everything);
    const distance d = beside_session(s, &team, everything, NULL, &r);
    assert_true(d.number == 0 && d.logit == 0);
    /* As a session refuses them. */
    const syn_document broken = {"x", "\xff", false};
    assert_says(syn_scorer_task_read(&shared->model, question, &broken, 1, &task), SYN_ERR_FORMAT,
                "pieces[0] is not UTF-8 at byte 0");
    assert_says(syn_scorer_task_read(&shared->model, "?", pieces, 1, &task), SYN_ERR_INVALID,
                "the question has no words");
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

static void a_team_that_is_another_is_looked_at_afresh(void **state)
{
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 1, 1);
    const int64_t slot = slot_of(scorer, PIECES);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    for (int k = 0; k < 5; k++) {
        syn_env other = team;
        if (k == 1) other.goal = SYN_GOAL_CONSENSUS;
        if (k == 2) other.turns_max = 20;
        if (k == 3) other.turn = 2; /* nothing moved, but time has passed */
        if (k == 4) other.claims = 0;
        (void)score(scorer, slot, &team, everything);
        const syn_score_result r = score(scorer, slot, &other, SYN_WANT_CKM | SYN_WANT_RANKS);
        syn_session *fresh = session_of(PIECES);
        const distance d = beside_session(fresh, &other, 0, NULL, &r);
        assert_true(d.number == 0 && d.logit == 0);
        syn_session_free(fresh);
    }
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

static void slots_are_few_and_their_names_are_not_used_twice(void **state)
{
    static syn_scorer_task task;
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 2, 2);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    const int64_t a = slot_of(scorer, PIECES), b = slot_of(scorer, PIECES);
    int64_t c;
    assert_int_equal(syn_scorer_slots_open(scorer), 2);
    assert_ok(syn_scorer_task_read(&shared->model, question, pieces, 3, &task));
    assert_says(syn_scorer_slot_open(scorer, &task, &c), SYN_ERR_LIMIT,
                "all 2 sessions of the scorer are taken");
    syn_env next = team;
    for (int k = 0; k < 3; k++, next.turn++) /* its memory must not be the next one's */
        (void)score(scorer, a, &next, SYN_WANT_DECISION);
    syn_scorer_slot_close(scorer, a);
    syn_scorer_slot_close(scorer, a);
    syn_scorer_slot_close(scorer, -1);
    c = slot_of(scorer, PIECES);
    assert_true(c != a && c != b);
    const syn_score_request gone = {.slot = a, .team = &team};
    assert_says(syn_scorer_check(scorer, &gone), SYN_ERR_INVALID, "is no session's");
    assert_says(syn_scorer_slot_pieces(scorer, a, &task), SYN_ERR_INVALID, "is no session's");
    syn_env later = team;
    later.turn = 1;
    const syn_score_result r = score(scorer, c, &later, everything);
    const distance d = beside_session(s, &later, everything, NULL, &r);
    assert_true(d.number == 0 && d.logit == 0);
    task.rows = 0;
    assert_says(syn_scorer_slot_pieces(scorer, c, &task), SYN_ERR_INVALID, "a task of 0 pieces");
    task.rows = 2;
    task.claims = 4;
    assert_says(syn_scorer_slot_pieces(scorer, c, &task), SYN_ERR_INVALID, "claims among rows");
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

/* ---- What is refused ---- */

static void a_batch_with_a_bad_request_is_refused_whole(void **state)
{
    syn_ctx ctx;
    syn_scorer *scorer = scorer_of(&ctx, 4, 3);
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    syn_env broken = team;
    broken.count[1]++;
    const int64_t a = slot_of(scorer, PIECES), b = slot_of(scorer, 3);
    syn_score_result r[4];
    const struct {
        syn_score_request with;
        const char *words;
    } bad[] = {
        {{.slot = b + 1, .team = &team}, "request 1: slot"},
        {{.slot = a, .team = &team}, "request 1 is a second one of its slot"},
        {{.slot = b, .team = &team}, "request 1: the team has rows that the session's 3 pieces"},
        {{.slot = b, .team = NULL}, "request 1: the team is NULL"},
        {{.slot = b, .team = &broken}, "request 1"},
        {{.slot = b, .team = &team, .want = 1u << 6}, "request 1: want is 0x40"},
        {{.slot = b, .team = &team, .want = SYN_WANT_LOGITS}, "without a decision"},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const syn_score_request q[2] = {{.slot = a, .team = &team, .want = everything},
                                        bad[k].with};
        assert_says(syn_scorer_score(scorer, 2, q, r, NULL), SYN_ERR_INVALID, bad[k].words);
    }
    const syn_score_request q[4] = {0};
    assert_says(syn_scorer_score(scorer, 4, q, r, NULL), SYN_ERR_LIMIT,
                "a batch of 4, at most 3 fit");
    assert_ok(syn_scorer_score(scorer, 0, NULL, NULL, NULL));
    const syn_score_result good = score(scorer, a, &team, everything);
    const distance d = beside_session(s, &team, everything, NULL, &good);
    assert_true(d.number == 0 && d.logit == 0);
    syn_session_free(s);
    scorer_end(&ctx, scorer);
}

static void what_cannot_be_opened(void **state)
{
    syn_ctx ctx;
    syn_scorer *s;
    syn_model model = shared->model;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    syn_scorer_options o = {0, 1, 1};
    assert_says(syn_scorer_open(&ctx, &model, &o, &s), SYN_ERR_INVALID, "a scorer of 0 sessions");
    assert_null(s);
    o = (syn_scorer_options){1, SYN_SCORER_BATCH_MAX + 1, 1};
    assert_says(syn_scorer_open(&ctx, &model, &o, &s), SYN_ERR_INVALID, "batches of 1025");
    o.batch_max = 1;
    model.has_perception = false;
    assert_says(syn_scorer_open(&ctx, &model, &o, &s), SYN_ERR_UNSUPPORTED, "syncog pretrain");
    model = shared->model;
    model.has_policy = false; /* it observes only */
    assert_ok(syn_scorer_open(&ctx, &model, &o, &s));
    syn_session *session = session_of(PIECES);
    const syn_env team = opening(session);
    syn_score_request q = {.slot = slot_of(s, PIECES), .team = &team, .want = SYN_WANT_DECISION};
    assert_says(syn_scorer_check(s, &q), SYN_ERR_UNSUPPORTED, "it can only observe");
    const syn_score_result r = score(s, q.slot, &team, SYN_WANT_CKM);
    assert_true(beside_session(session, &team, 0, NULL, &r).number == 0);
    syn_session_free(session);
    scorer_end(&ctx, s);
}

static void what_is_not_finite_is_said_of_its_row(void **state)
{
    syn_ctx ctx;
    syn_scorer *s = scorer_of(&ctx, 1, 1);
    syn_session *session = session_of(PIECES);
    const syn_env team = opening(session);
    const int64_t slot = slot_of(s, PIECES);
    real *w = syn_value(&shared->model.control.params, SYN_C_GLOBAL_OUT_B), kept = w[0];
    w[0] = (real)NAN;
    const syn_score_result r = score(s, slot, &team, SYN_WANT_DECISION);
    w[0] = kept;
    assert_int_equal(r.status, SYN_ERR_NUMERIC);
    assert_int_equal(r.action.kind, SYN_NO_ACTION);
    assert_true(r.sufficiency > 0 && r.sufficiency < 1);
    assert_int_equal(score(s, slot, &team, SYN_WANT_DECISION).status, SYN_OK);
    syn_session_free(session);
    scorer_end(&ctx, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_one_has_the_bits_of_a_session),
        cmocka_unit_test(the_memory_takes_one_step_per_turn),
        cmocka_unit_test(a_draw_is_that_of_its_counter),
        cmocka_unit_test(many_sessions_are_scored_as_each_of_them),
        cmocka_unit_test(nothing_is_allocated_after_the_first_batch),
        cmocka_unit_test(new_pieces_are_looked_at_afresh),
        cmocka_unit_test(a_team_that_is_another_is_looked_at_afresh),
        cmocka_unit_test(slots_are_few_and_their_names_are_not_used_twice),
        cmocka_unit_test(a_batch_with_a_bad_request_is_refused_whole),
        cmocka_unit_test(what_cannot_be_opened),
        cmocka_unit_test(what_is_not_finite_is_said_of_its_row),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
