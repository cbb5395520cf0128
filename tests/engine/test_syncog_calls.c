/* The public API from outside: teams of texts in one call, the example of the header, and wrong
 * input, which is answered with a sentence. */
#include <pthread.h>

#include "tests/engine/syncog_world.h"

/* ---- Teams ---- */

static void an_opening_gives_every_agent_its_rows(void **state)
{
    syn_session *s = session_of(PIECES);
    syn_env team = opening(s);
    assert_int_equal(team.present, (1u << PIECES) - 1);
    assert_int_equal(team.claims, 1u << 7);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(team.memory[i], dealt[i]);
        assert_int_equal(team.own[i], dealt[i]);
        assert_int_equal(team.giver[i][team.item[i][0]], i);
    }
    assert_int_equal(team.turn, 0);
    assert_int_equal(team.last.kind, SYN_NO_ACTION);
    syn_session_free(s);
}

static void a_turn_moves_the_piece_and_is_counted(void **state)
{
    syn_session *s = session_of(PIECES);
    syn_env team = opening(s);
    const syn_action send = {SYN_SEND, 1, 0, 4};
    assert_ok(syn_session_apply(s, &team, &send));
    assert_int_equal(team.memory[0], dealt[0] | 1u << 4);
    assert_int_equal(team.sent[1][0], 1u << 4);
    assert_int_equal(team.messages, 1);
    apply(s, &team, SYN_REQUEST, 0, 2);
    assert_int_equal(team.messages, 3);
    assert_int_equal(team.deliveries, 2);
    assert_int_equal(team.giver[0][team.last.piece], 2);
    apply(s, &team, SYN_NO_ACTION, -1, -1);
    assert_int_equal(team.turn, 3);
    assert_false(team.done);
    apply(s, &team, SYN_ANSWER, -1, -1);
    assert_true(team.done);
    assert_says(syn_session_apply(s, &team, &send), SYN_ERR_INVALID, "done");
    syn_session_free(s);
}

static void a_team_is_done_when_its_turns_are_over(void **state)
{
    syn_session *s = session_of(PIECES);
    syn_env team;
    assert_ok(syn_session_begin(s, SYN_GOAL_CONSENSUS, 3, dealt, 2, &team));
    apply(s, &team, SYN_SEND, 1, 0);
    assert_false(team.done);
    apply(s, &team, SYN_SEND, 1, 2);
    assert_true(team.done);
    syn_session_free(s);
}

static void a_move_that_is_not_legal_is_refused_and_changes_nothing(void **state)
{
    static const syn_action wrong[] = {{SYN_SEND, 1, 0, 0},  /* it holds no such piece */
                                       {SYN_SEND, 1, 1, 1},  /* to itself */
                                       {SYN_SEND, 1, 3, 1},  /* to nobody */
                                       {SYN_SEND, -1, 0, 1}, /* from nobody */
                                       {SYN_REQUEST, 0, -1, 1},
                                       {SYN_BROADCAST, 1, -1, 9},
                                       {SYN_BROADCAST, 1, -1, -2},
                                       {SYN_ALONE, 1, -1, -1}, /* it has read all */
                                       {SYN_ANSWER, -1, -1, 2},
                                       {7, 0, 1, 1},
                                       {-1, 0, 1, 1}};
    syn_session *s = session_of(PIECES);
    const syn_env team = opening(s);
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        syn_env x = team;
        assert_int_equal(syn_session_apply(s, &x, &wrong[k]), SYN_ERR_INVALID);
        assert_memory_equal(&x, &team, sizeof x);
    }
    syn_session_free(s);
}

/* ---- In one call ---- */

static void a_team_of_texts_is_scored_as_its_session(void **state)
{
    /* Both agents hold the piece on Velmora: one row. */
    const syn_document first[] = {pieces[0], pieces[1]},
                       second[] = {pieces[4], pieces[1], pieces[7]};
    const syn_agent_text agent[2] = {{first, 2}, {second, 3}};
    const syn_action history[] = {{SYN_SEND, 1, 0, 2}, {SYN_REQUEST, 0, 1, -1}};
    const syn_team_text text = {question, agent, 2, SYN_GOAL_ASKER, 0, history, 2};
    const syn_document row[] = {pieces[0], pieces[1], pieces[4], pieces[7]};
    float gaps[2][4], sufficiency[2], ckm[2][SYN_CKM_WIDTH], all[2][A];
    int of[5];
    syn_session *s, *t;
    syn_env team, other;
    syn_action a;
    assert_ok(syn_engine_score(shared, &text, gaps[0], &sufficiency[0], ckm[0]));
    assert_ok(syn_session_create_team(shared, &text, &s, &team, of));
    assert_memory_equal(of, ((int[5]){0, 1, 2, 1, 3}), sizeof of);
    assert_int_equal(team.memory[0], 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3);
    assert_int_equal(team.turns_max, 8);
    assert_int_equal(team.item[1][0], 2); /* in the order given */
    assert_ok(syn_session_create(shared, question, row, 4, &t));
    const uint32_t holds[2] = {1u << 0 | 1u << 1, 1u << 1 | 1u << 2 | 1u << 3};
    assert_ok(syn_session_begin(t, SYN_GOAL_ASKER, 2, holds, 8, &other));
    other.item[1][0] = 2;
    other.item[1][1] = 1;
    for (int k = 0; k < 2; k++) {
        assert_ok(syn_session_decide(t, &other, NULL, true, &a, NULL, NULL));
        assert_ok(syn_session_apply(t, &other, &history[k]));
    }
    assert_ok(syn_session_observe(t, &other, gaps[1], &sufficiency[1]));
    assert_memory_equal(gaps[0], gaps[1], sizeof gaps[0]);
    assert_true(sufficiency[0] == sufficiency[1]);
    assert_ok(syn_session_decide(s, &team, NULL, true, &a, NULL, all[0]));
    assert_ok(syn_session_decide(t, &other, NULL, true, &a, NULL, all[1]));
    assert_memory_equal(all[0], all[1], sizeof all[0]);
    syn_session_free(t);
    syn_session_free(s);
}

static void wrong_teams_of_texts_are_refused(void **state)
{
    syn_document many[R];
    char text[R][8];
    float gaps[N * N];
    for (int r = 0; r < R; r++) {
        snprintf(text[r], sizeof text[r], "t%d", r);
        many[r] = (syn_document){"", text[r], false};
    }
    const syn_action wrong = {SYN_SEND, 0, 1, 5};
    const syn_agent_text agent[2] = {{many, R}, {pieces, 1}}, none[2] = {{NULL, 0}, {NULL, 0}},
                         null[2] = {{NULL, 1}, {NULL, 0}}, few[2] = {{many, 2}, {many, 1}};
    syn_team_text t = {question, agent, 2, SYN_GOAL_ASKER, 0, NULL, 0};
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_LIMIT,
                "more than 32 different pieces");
    t.agent = none;
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_INVALID, "no pieces");
    t.agent = null;
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_INVALID,
                "agent 0: its pieces are NULL");
    t.agent = few;
    t.history = &wrong;
    t.history_count = 1;
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_INVALID, "history[0]: ");
    t.history = NULL;
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_INVALID, "history");
    t.history_count = 0;
    t.agents = 11;
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_INVALID, "11 agents");
    t.agents = 1;
    assert_says(syn_engine_score(shared, &t, gaps, NULL, NULL), SYN_ERR_INVALID, "1 agents");
    assert_says(syn_engine_score(shared, NULL, gaps, NULL, NULL), SYN_ERR_INVALID, "NULL");
    assert_says(syn_engine_rank(shared, question, pieces, 1, NULL), SYN_ERR_INVALID, "NULL");
}

/* ---- Wrong input ---- */

static void wrong_texts_are_refused_with_their_place(void **state)
{
    syn_session *s;
    syn_document p[33];
    char *huge = malloc((1 << 20) + 1);
    assert_non_null(huge);
    memset(huge, 'a', 1 << 20);
    huge[1 << 20] = 0;
    for (int r = 0; r < 33; r++) p[r] = pieces[r % ROWS];
    assert_says(syn_session_create(shared, question, p, 0, &s), SYN_ERR_INVALID, "no pieces");
    assert_null(s);
    assert_says(syn_session_create(shared, question, p, 33, &s), SYN_ERR_LIMIT, "33 pieces");
    assert_says(syn_session_create(shared, question, p, -1, &s), SYN_ERR_INVALID, "no pieces");
    assert_says(syn_session_create(shared, question, NULL, 1, &s), SYN_ERR_INVALID,
                "pieces is NULL");
    assert_says(syn_session_create(shared, "", p, 1, &s), SYN_ERR_INVALID,
                "the question has no words");
    assert_says(syn_session_create(shared, " ?! ", p, 1, &s), SYN_ERR_INVALID,
                "the question has no words");
    assert_says(syn_session_create(shared, NULL, p, 1, &s), SYN_ERR_INVALID,
                "the question is NULL");
    assert_says(syn_session_create(shared, huge, p, 1, &s), SYN_ERR_LIMIT,
                "the question is longer than 32768");
    assert_says(syn_session_create(shared, "who \xc3\x28", p, 1, &s), SYN_ERR_FORMAT,
                "not UTF-8 at byte 4");
    assert_says(syn_session_create(NULL, question, p, 1, &s), SYN_ERR_INVALID,
                "the engine is NULL");
    assert_says(syn_session_create(shared, question, p, 1, NULL), SYN_ERR_INVALID, "out is NULL");
    p[2].text = huge;
    assert_says(syn_session_create(shared, question, p, 3, &s), SYN_ERR_LIMIT,
                "the text of pieces[2] is longer than 65536 bytes");
    p[2].text = NULL;
    assert_says(syn_session_create(shared, question, p, 3, &s), SYN_ERR_INVALID,
                "the text of pieces[2] is NULL");
    p[2].text = "";
    p[2].title = huge;
    assert_says(syn_session_create(shared, question, p, 3, &s), SYN_ERR_LIMIT,
                "the title of pieces[2]");
    p[2].title = "\xed\xa0\x80"; /* half of a surrogate pair */
    assert_says(syn_session_create(shared, question, p, 3, &s), SYN_ERR_FORMAT,
                "the title of pieces[2]");
    p[2].title = "";
    assert_ok(syn_session_create(shared, question, p, 3, &s)); /* an empty piece is a piece */
    syn_session_free(s);
    p[2].text = huge + (1 << 20) - SYN_DOCUMENT_BYTES_MAX; /* the longest that is read */
    assert_ok(syn_session_create(shared, question, p, 32, &s));
    syn_session_free(s);
    free(huge);
}

static void wrong_openings_are_refused(void **state)
{
    uint32_t holds[N + 1] = {0};
    syn_env team;
    syn_session *s = session_of(PIECES);
    assert_says(syn_session_begin(s, SYN_GOAL_ASKER, 1, holds, 9, &team), SYN_ERR_INVALID,
                "1 agents");
    assert_says(syn_session_begin(s, SYN_GOAL_ASKER, 11, holds, 9, &team), SYN_ERR_INVALID,
                "11 agents");
    assert_says(syn_session_begin(s, SYN_GOAL_ASKER, 3, holds, 0, &team), SYN_ERR_INVALID,
                "turns_max");
    assert_says(syn_session_begin(s, SYN_GOAL_ASKER, 3, holds, 256, &team), SYN_ERR_INVALID,
                "turns_max");
    assert_says(syn_session_begin(s, (syn_goal)2, 3, holds, 9, &team), SYN_ERR_INVALID, "goal");
    assert_says(syn_session_begin(s, SYN_GOAL_ASKER, 3, NULL, 9, &team), SYN_ERR_INVALID, "NULL");
    holds[2] = 1u << PIECES;
    assert_says(syn_session_begin(s, SYN_GOAL_ASKER, 3, holds, 9, &team), SYN_ERR_INVALID,
                "agent 2 holds rows");
    holds[2] = 0; /* nobody holds anything: a team all the same */
    assert_ok(syn_session_begin(s, SYN_GOAL_ASKER, 10, holds, 255, &team));
    assert_ok(syn_session_observe(s, &team, NULL, NULL));
    syn_session_free(s);
}

static void teams_that_contradict_themselves_are_refused(void **state)
{
    syn_action a;
    syn_session *s = session_of(PIECES);
    const syn_env good = played(s);
    syn_env bad;
    assert_ok(syn_session_observe(s, &good, NULL, NULL));
#define REFUSED(change, words)                                                                     \
    do {                                                                                           \
        bad = good;                                                                                \
        change;                                                                                    \
        assert_says(syn_session_observe(s, &bad, NULL, NULL), SYN_ERR_INVALID, words);             \
        assert_says(syn_session_decide(s, &bad, NULL, true, &a, NULL, NULL), SYN_ERR_INVALID,      \
                    words);                                                                        \
    } while (0)
    REFUSED(bad.agents = 0, "0 agents");
    REFUSED(bad.agents = 11, "11 agents");
    REFUSED(bad.goal = 2, "goal");
    REFUSED(bad.turns_max = 0, "turns_max");
    REFUSED(bad.turn = 13, "turn 13 of 12");
    REFUSED(bad.turn = -1, "turn -1");
    REFUSED(bad.messages = -1, "negative");
    REFUSED(bad.deliveries = -1, "negative");
    REFUSED(bad.present |= 1u << PIECES, "9 pieces");
    REFUSED(bad.claims |= 1u << 31, "9 pieces");
    REFUSED(bad.present &= ~bad.memory[1], "not present");
    REFUSED(bad.own[2] |= 1u << 20, "not present");
    REFUSED(bad.memory[0] |= 1u << 6, "count");
    REFUSED(bad.count[0]++, "count");
    REFUSED(bad.item[0][0] = bad.item[0][1], "not its memory");
    REFUSED(bad.item[0][0] = 77, "not its memory");
    REFUSED(bad.giver[0][bad.item[0][0]] = 3, "given by agent 3");
    REFUSED(bad.sent[0][1] = 1u << 15, "has sent");
    REFUSED(bad.last.kind = 7, "not an action");
    REFUSED(bad.last.piece = PIECES, "piece 9");
    REFUSED(bad.last.from = 3, "agent 3");
    REFUSED(bad.last.from = -1, "agent -1");
    REFUSED(bad.last.to = bad.last.from, "itself");
    REFUSED(bad.last.kind = SYN_ANSWER, "without a sender");
#undef REFUSED
    assert_says(syn_session_observe(s, NULL, NULL, NULL), SYN_ERR_INVALID, "NULL");
    assert_says(syn_session_observe(NULL, &good, NULL, NULL), SYN_ERR_INVALID, "NULL");
    assert_says(syn_session_decide(s, &good, NULL, true, NULL, NULL, NULL), SYN_ERR_INVALID,
                "NULL");
    assert_says(syn_session_ckm(s, &good, NULL), SYN_ERR_INVALID, "NULL");
    assert_says(syn_session_relevance(s, &good, NULL), SYN_ERR_INVALID, "NULL");
    assert_ok(syn_session_observe(s, &good, NULL, NULL)); /* and the session is as it was */
    syn_session_free(s);
}

/* ---- Engines ---- */

static void what_cannot_be_opened_is_said(void **state)
{
    syn_engine *g;
    syn_engine_config config = SYN_ENGINE_CONFIG_DEFAULT;
    assert_int_equal(syn_engine_open("/nonexistent/model", NULL, &g), SYN_ERR_IO);
    assert_null(g);
    assert_says(syn_engine_open(blind, NULL, &g), SYN_ERR_UNSUPPORTED,
                "has not been trained to look at teams");
    assert_says(syn_engine_open(NULL, NULL, &g), SYN_ERR_INVALID, "NULL");
    assert_says(syn_engine_open(folder, NULL, NULL), SYN_ERR_INVALID, "NULL");
    config.device = "cuda";
    assert_says(syn_engine_open(folder, &config, &g), SYN_ERR_UNSUPPORTED, "CPU");
    config.device = "tpu";
    assert_says(syn_engine_open(folder, &config, &g), SYN_ERR_INVALID, "\"tpu\"");
    config.device = "cpu";
    config.threads = -1;
    assert_says(syn_engine_open(folder, &config, &g), SYN_ERR_INVALID, "threads");
    config.threads = 1;
    config.size = 8;
    assert_says(syn_engine_open(folder, &config, &g), SYN_ERR_INVALID, "size");
    syn_engine_close(NULL);
    syn_session_free(NULL);
    assert_string_equal(syn_version(), SYN_VERSION);
}

static void an_engine_lives_as_long_as_its_sessions(void **state)
{
    syn_engine *g;
    syn_session *s;
    syn_env team;
    assert_ok(syn_engine_open(folder, NULL, &g));
    assert_ok(syn_session_create(g, question, pieces, PIECES, &s));
    syn_engine_close(g);
    assert_ok(syn_session_begin(s, SYN_GOAL_ASKER, 3, dealt, 12, &team));
    assert_ok(syn_session_observe(s, &team, NULL, NULL));
    syn_session_free(s);
}

typedef struct side {
    syn_engine *engine;
    float all[8][A];
    syn_status st;
} side;

static void *side_run(void *arg)
{
    side *x = arg;
    syn_session *s = NULL;
    syn_env team;
    syn_action a;
    syn_status st;
    SYN_TRY(syn_session_create(x->engine, question, pieces, PIECES, &s));
    SYN_TRY(syn_session_begin(s, SYN_GOAL_ASKER, 3, dealt, 12, &team));
    for (int k = 0; k < 8; k++) {
        SYN_TRY(syn_session_decide(s, &team, NULL, true, &a, NULL, x->all[k]));
        SYN_TRY(syn_session_apply(
            s, &team, &(syn_action){SYN_SEND, (int8_t)(k % 3), (int8_t)((k + 1) % 3), -1}));
    }
done:
    syn_session_free(s);
    x->st = st;
    return NULL;
}

static void engines_work_side_by_side(void **state)
{
    side x[2];
    pthread_t thread[2];
    for (int k = 0; k < 2; k++) assert_ok(syn_engine_open(folder, NULL, &x[k].engine));
    for (int k = 0; k < 2; k++)
        assert_int_equal(pthread_create(&thread[k], NULL, side_run, &x[k]), 0);
    for (int k = 0; k < 2; k++) pthread_join(thread[k], NULL);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(x[k].st, SYN_OK);
        syn_engine_close(x[k].engine);
    }
    assert_memory_equal(x[0].all, x[1].all, sizeof x[0].all);
}

/* ---- The example in the header ---- */

/* clang-format off */
static syn_status ask(const char *dir)
{
    const syn_document piece[] = {
        {"Ada Lovelace", "Ada Lovelace wrote notes on the Analytical Engine.", false},
        {"Analytical Engine", "The Analytical Engine was designed by Babbage.", false},
        {"Assam", "Tea is grown in Assam.", false},
    };
    const uint32_t holds[2] = {1u << 0, 1u << 1 | 1u << 2};
    syn_engine *engine = NULL;
    syn_session *session = NULL;
    syn_env team = {0};
    syn_action action;
    float gaps[2][2], sufficiency, probability;
    syn_status st;
    SYN_TRY(syn_engine_open(dir, NULL, &engine));
    SYN_TRY(syn_session_create(engine, "Who designed what Ada Lovelace wrote notes on?",
                               piece, 3, &session));
    SYN_TRY(syn_session_begin(session, SYN_GOAL_ASKER, 2, holds, 6, &team));
    while (!team.done) {
        SYN_TRY(syn_session_observe(session, &team, gaps[0], &sufficiency));
        SYN_TRY(syn_session_decide(session, &team, NULL, true, &action, &probability, NULL));
        SYN_TRY(syn_session_apply(session, &team, &action));
        printf("action %d from %d to %d, piece %d (%.2f); sufficiency %.2f\n", action.kind,
               action.from, action.to, action.piece, probability, sufficiency);
    }
done:
    if (st != SYN_OK) fprintf(stderr, "%s\n", syn_error_text());
    syn_session_free(session);
    syn_engine_close(engine);
    return st;
}
/* clang-format on */

static char *file_read(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 18);
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    fclose(f);
    return text;
}

static void the_example_of_the_header_is_the_one_that_runs(void **state)
{
    char *header = file_read(SYN_SOURCE_DIR "/engine/syncog.h"), *here = file_read(__FILE__);
    char *from = strstr(here, "static syn_status ask("), *to = strstr(from, "\n}\n") + 2;
    char *at = header, *shown = calloc(1, 1 << 14), *wanted = calloc(1, 1 << 14);
    static const char margin[] = " *     ";
    /* The header's comment without its margin. */
    for (char *line = strtok(at, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, margin, sizeof margin - 1) != 0) continue;
        strcat(shown, line + sizeof margin - 1);
        strcat(shown, "\n");
    }
    memcpy(wanted, from, (size_t)(to - from));
    assert_non_null(strstr(shown, wanted));
    assert_ok(ask(folder));
    free(wanted);
    free(shown);
    free(here);
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_opening_gives_every_agent_its_rows),
        cmocka_unit_test(a_turn_moves_the_piece_and_is_counted),
        cmocka_unit_test(a_team_is_done_when_its_turns_are_over),
        cmocka_unit_test(a_move_that_is_not_legal_is_refused_and_changes_nothing),
        cmocka_unit_test(a_team_of_texts_is_scored_as_its_session),
        cmocka_unit_test(wrong_teams_of_texts_are_refused),
        cmocka_unit_test(wrong_texts_are_refused_with_their_place),
        cmocka_unit_test(wrong_openings_are_refused),
        cmocka_unit_test(teams_that_contradict_themselves_are_refused),
        cmocka_unit_test(what_cannot_be_opened_is_said),
        cmocka_unit_test(an_engine_lives_as_long_as_its_sessions),
        cmocka_unit_test(engines_work_side_by_side),
        cmocka_unit_test(the_example_of_the_header_is_the_one_that_runs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
