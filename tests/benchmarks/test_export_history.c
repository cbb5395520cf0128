/* What is exported from the history of a service. */
#include "serve/store.h"
#include "tests/benchmarks/export_world.h"
#include "tests/serve/servers.h"

static void log_answer(syn_db *db, int at, const char *session, const char *query,
                       const char *reply)
{
    char id[SYN_DB_ID_BYTES];
    assert_ok(syn_db_id(id));
    const syn_db_record r = {.id = id,
                             .org = "default",
                             .owner = "key",
                             .query = query,
                             .final_answer = "It does.",
                             .task_type = "qa",
                             .reply = reply,
                             .num_agents = 3,
                             .num_rounds = 2,
                             .created_ms = 1000 + at,
                             .session = session};
    assert_ok(syn_db_history_add(db, &r, NULL, NULL));
}

static char *reply_of(const char *session, double confidence)
{
    json_t *j = json_pack(
        "{s:s, s:s, s:f, s:{s:f, s:i}, s:[{s:s s:s s:f}, {s:s s:s s:f}, {s:s s:s s:f}], s:[], "
        "s:{s:i, s:f}, s:s, s:s, s:b, s:s, s:[], s:n, s:s}",
        "final_answer", "It does.", "short_answer", "yes", "confidence", confidence,
        "collaboration_metrics", "consensus_score", .7, "total_messages", 4, "agent_responses",
        "response", "It does.", "short_answer", "Yes", "contribution_score", .6, "response",
        "It does not.", "short_answer", "no", "contribution_score", .1, "response", "Never.",
        "short_answer", "No.", "contribution_score", .3, "dialogue_history", "usage",
        "total_tokens", 99, "cost_usd", .5, "policy", "trained", "mode", "open", "abstained", false,
        "stopped_by", "converged", "agents_failed", "sufficiency", "session_id", session);
    assert_non_null(j);
    char *text = json_dumps(j, 0);
    json_decref(j);
    return text;
}

/* Three turns of a session, of which the third is poor, and an answer without one. */
static void write_history(world *w)
{
    syn_db *db;
    w->options.source.history = w->url;
    assert_ok(syn_db_open(&db, &(syn_db_options){.url = w->url}));
    static const char *const questions[] = {"Does it rain?", "And there?", "And now?", "Alone?"};
    for (int k = 0; k < 4; k++) {
        char *reply = reply_of(k < 3 ? "s1" : "", k == 2 ? .1 : .9);
        log_answer(db, k, k < 3 ? "s1" : "", questions[k], reply);
        free(reply);
    }
    log_answer(db, 9, "", "Broken?", "{\"truncated\": true}");
    syn_db_close(db);
}

static void sessions_become_conversations(void **state)
{
    world *w = *state;
    write_history(w);
    assert_ok(export_as(w, "chat"));
    json_t *rows = rows_of(w, "train");
    assert_int_equal(json_array_size(rows), 2);
    int turns[2];
    for (size_t k = 0; k < 2; k++)
        turns[k] = (int)json_array_size(json_object_get(json_array_get(rows, k), "messages"));
    assert_true((turns[0] == 4 && turns[1] == 2) || (turns[0] == 2 && turns[1] == 4));
    const json_t *talk = json_object_get(json_array_get(rows, turns[0] == 4 ? 0 : 1), "messages");
    assert_string_equal(text(json_array_get(talk, 0), "content"), "Does it rain?");
    assert_string_equal(text(json_array_get(talk, 2), "content"), "And there?");
    assert_string_equal(text(json_array_get(talk, 3), "role"), "assistant");
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_CONFIDENCE], 1);
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_UNREADABLE], 1);
    json_decref(rows);
}

static void later_turns_do_not_stand_alone(void **state)
{
    world *w = *state;
    write_history(w);
    assert_ok(export_as(w, "instruction"));
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_EARLIER_TURNS], 1);
    json_t *rows = rows_of(w, "train"), *row;
    size_t k;
    assert_int_equal(json_array_size(rows), 2);
    json_array_foreach(rows, k, row)
    {
        assert_true(strcmp(text(row, "instruction"), "And there?") != 0);
        /* the mean of confidence .9 and consensus .7; nobody judged sufficiency */
        assert_true(fabs(json_number_value(json_object_get(row, "score")) - .8) < 1e-9);
        assert_true(json_number_value(json_object_get(row, "cost_usd")) == .5);
    }
    json_decref(rows);
}

static void an_answer_that_its_team_did_not_follow_is_rejected(void **state)
{
    world *w = *state;
    write_history(w);
    assert_ok(export_as(w, "preference"));
    json_t *rows = rows_of(w, "train"), *row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(text(row, "chosen"), "It does.");
    assert_string_equal(text(row, "rejected"), "It does not.");
    assert_string_equal(text(row, "rejected_policy"), "agent");
    /* both agents that say no: (.1 + .3) of .8 */
    assert_true(fabs(json_number_value(json_object_get(row, "rejected_score")) - .32) < 1e-9);
    json_decref(rows);
}

/* The one row of a history with one reply. */
static json_t *row_of_reply(world *w, const char *reply)
{
    syn_db *db;
    w->options.source.history = w->url;
    assert_ok(syn_db_open(&db, &(syn_db_options){.url = w->url}));
    log_answer(db, 1, "", "Does it rain?", reply);
    syn_db_close(db);
    assert_ok(export_as(w, "instruction"));
    return only_row(w);
}

#define TEAM_REPLY(members)                                                                        \
    "{\"final_answer\":\"It does.\",\"short_answer\":\"yes\",\"confidence\":0.9,"                  \
    "\"collaboration_metrics\":{\"consensus_score\":0.9},\"stopped_by\":\"answered\"," members "}"
#define AGENT(provider, model)                                                                     \
    "{\"provider\":\"" provider "\",\"model\":" model ",\"response\":\"r\",\"short_answer\":"      \
    "\"r\"}"

static void rows_name_the_models_of_their_team(void **state)
{
    world *w = *state;
    w->options.source.origin.provider = "somebody"; /* counts where nobody is named alone */
    json_t *row = row_of_reply(
        w, TEAM_REPLY("\"answered_by\":{\"provider\":\"anthropic\",\"model\":\"opus\"},"
                      "\"agent_responses\":[" AGENT("openai", "\"gpt\"") "," AGENT(
                          "anthropic", "\"opus-mini\"") "," AGENT("openai", "\"gpt\"") "]"));
    assert_string_equal(text(row, "provider"), "anthropic, openai");
    assert_string_equal(text(row, "model"), "opus, gpt, opus-mini");
    json_decref(row);
}

static void extractive_agents_are_named_as_such(void **state)
{
    json_t *row = row_of_reply(*state, TEAM_REPLY("\"answered_by\":{\"provider\":\"extractive\","
                                                  "\"model\":null},\"agent_responses\":[" AGENT(
                                                      "extractive", "null") "]"));
    assert_string_equal(text(row, "provider"), "extractive");
    assert_string_equal(text(row, "model"), "extractive");
    json_decref(row);
}

static void the_direct_path_names_its_model(void **state)
{
    world *w = *state;
    w->options.filter.confidence_min = w->options.filter.score_min = 0; /* one model states none */
    json_t *row = row_of_reply(w, "{\"model\":\"openrouter:meta/llama:free\",\"choices\":[{"
                                  "\"finish_reason\":\"stop\"}]}");
    assert_string_equal(text(row, "provider"), "openrouter");
    assert_string_equal(text(row, "model"), "meta/llama:free");
    json_decref(row);
}

static void records_of_an_evaluation_name_their_models(void **state)
{
    world *w = *state;
    record(w, "1", "Q?", "It rains.",
           "{\"agents\":[{\"provider\":\"openai\",\"model\":\"gpt\"},"
           "{\"provider\":\"extractive\",\"model\":null}]}");
    assert_ok(export_as(w, "instruction"));
    json_t *row = only_row(w);
    assert_string_equal(text(row, "provider"), "openai, extractive");
    assert_string_equal(text(row, "model"), "gpt, extractive");
    json_decref(row);
}

/* More than one page of the store, and more than is read at once. */
static void long_history(world *w)
{
    enum { ANSWERS = 233 };
    syn_db *db;
    char question[64], *reply = reply_of("", .9);
    assert_ok(syn_db_open(&db, &(syn_db_options){.url = w->options.source.history}));
    for (int k = 0; k < ANSWERS; k++) {
        snprintf(question, sizeof question, "Does it rain on day %d?", k);
        log_answer(db, k, "", question, reply);
    }
    syn_db_close(db);
    free(reply);
    assert_ok(export_as(w, "instruction"));
    assert_int_equal(w->report.items, ANSWERS);
    assert_int_equal(w->report.items_kept, ANSWERS);
    w->options.source.org = "another";
    w->options.overwrite = true;
    assert_int_equal(export_as(w, "instruction"), SYN_ERR_INVALID);
    assert_int_equal(w->report.items, 0);
}

static void a_long_history_is_read_whole(void **state)
{
    world *w = *state;
    w->options.source.history = w->url;
    long_history(w);
}

static void a_history_in_postgresql_is_read_alike(void **state)
{
    world *w = *state;
    server postgres = {.kind = NULL};
    server_start(&postgres, "postgres");
    if (!postgres.url[0]) {
        server_stop(&postgres);
        skip();
    }
    w->options.source.history = postgres.url;
    long_history(w);
    server_stop(&postgres);
}

static void a_store_that_is_not_there_is_not_made(void **state)
{
    world *w = *state;
    char path[96];
    w->options.source.history = w->url;
    assert_int_equal(export_as(w, "chat"), SYN_ERR_IO);
    snprintf(path, sizeof path, "%s/a.db", w->folder);
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(sessions_become_conversations),
        TEST(later_turns_do_not_stand_alone),
        TEST(an_answer_that_its_team_did_not_follow_is_rejected),
        TEST(rows_name_the_models_of_their_team),
        TEST(extractive_agents_are_named_as_such),
        TEST(the_direct_path_names_its_model),
        TEST(records_of_an_evaluation_name_their_models),
        TEST(a_long_history_is_read_whole),
        TEST(a_history_in_postgresql_is_read_alike),
        TEST(a_store_that_is_not_there_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
