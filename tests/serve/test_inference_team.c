/* The orchestrator's request becomes a team as the deciders see it: who holds what, what was sent,
 * what is legal next. */
#include "serve/decider_rule.h"
#include "serve/inference_team.h"
#include "tests/test.h"

#define ITEM(title, text) "{\"title\":\"" title "\",\"text\":\"" text "\"}"
#define AGENTS                                                                                     \
    "\"agents\":[{\"items\":[" ITEM(                                                               \
        "Tea",                                                                                     \
        "Tea is grown in Assam.") "]},"                                                            \
                                  "{\"items\":[" ITEM(                                             \
                                      "Ada",                                                       \
                                      "Ada wrote notes on the "                                    \
                                      "engine.") "," ITEM("Tea",                                   \
                                                          "Tea is grown in Assam.") "]},"          \
                                                                                    "{\"items\":[" \
                                                                                    "{\"id\":"     \
                                                                                    "\"engine\","  \
                                                                                    "\"text\":"    \
                                                                                    "\"The "       \
                                                                                    "engine was "  \
                                                                                    "designed by " \
                                                                                    "Babbage.\"}]" \
                                                                                    "}]"
#define QUESTION "\"question\":\"Who designed the engine that Ada wrote notes on?\""

static syn_inference_team t;

static syn_status read(const char *json)
{
    return syn_inference_team_read(json, strlen(json), &t);
}

static bool legal(syn_action_kind kind, int from, int to)
{
    return t.team.legal[syn_action_index(kind, from, to)];
}

static void items_of_the_same_text_are_one(void **state)
{
    assert_ok(read("{" QUESTION "," AGENTS "}"));
    assert_int_equal(t.team.agents, 3);
    assert_int_equal(t.team.item_count, 3);
    assert_int_equal(t.team.piece_count, 3);
    assert_string_equal(t.team.items[0].id, "1");
    assert_string_equal(t.team.items[1].id, "2");
    assert_string_equal(t.team.items[2].id, "engine");
    assert_string_equal(t.team.items[2].title, "");
    assert_int_equal(t.team.holds[0], 1);
    assert_int_equal(t.team.holds[1], 3);
    assert_int_equal(t.team.holds[2], 4);
    assert_int_equal(t.team.goal, SYN_GOAL_ASKER);
    assert_int_equal(t.team.turns_max, 6);
    assert_true(legal(SYN_SEND, 1, 0) && legal(SYN_REQUEST, 0, 2) && legal(SYN_BROADCAST, 2, -1));
    assert_true(legal(SYN_SEND, 0, 1)); /* a holder may send what the other holds, too */
    assert_false(legal(SYN_REQUEST, 1, 0));
    assert_true(legal(SYN_ANSWER, -1, -1));
    assert_false(legal(SYN_ALONE, 0, -1));
    syn_inference_team_free(&t);
}

static void the_history_is_played_turn_by_turn(void **state)
{
    assert_ok(read("{" QUESTION "," AGENTS ",\"max_turns\":4,\"goal\":\"consensus\",\"history\":["
                   "{\"action\":\"send\",\"from\":2,\"to\":1,\"item\":\"2\"},"
                   "{\"action\":\"request\",\"from\":2,\"to\":3,\"item\":\"engine\"},"
                   "{\"action\":\"broadcast\",\"from\":2,\"item\":\"engine\"}]}"));
    assert_int_equal(t.history_count, 3);
    assert_int_equal(t.team.turn_count, 0);
    assert_ok(syn_inference_team_play(&t));
    assert_int_equal(t.team.holds[0], 3);
    assert_int_equal(t.team.sent[1][0], 2);
    assert_int_equal(t.team.got_turn[0][1], 1);
    assert_int_equal(t.team.giver[0][1], 1);
    assert_int_equal(t.team.messages, 1);
    assert_ok(syn_inference_team_play(&t));
    assert_int_equal(t.team.holds[1], 7);
    assert_int_equal(t.team.sent[2][1], 4);
    assert_int_equal(t.team.messages, 3);
    assert_int_equal(t.team.turns[1].giver, 2);
    assert_false(t.team.turns[1].passed_on);
    assert_ok(syn_inference_team_play(&t));
    assert_int_equal(t.team.holds[0], 7);
    assert_true(t.team.turns[2].passed_on);
    assert_int_equal(t.team.turn_count, 3);
    /* The last turn: only an end is legal. */
    assert_true(legal(SYN_ANSWER, -1, -1));
    assert_false(legal(SYN_SEND, 1, 0) || legal(SYN_BROADCAST, 0, -1));
    syn_inference_team_free(&t);
}

#define TOLD "{\"action\":\"send\",\"from\":2,\"to\":1,\"item\":\"2\"}"

/* The team after all of its history. */
static void played(const char *json)
{
    assert_ok(read(json));
    while (t.team.turn_count < t.history_count) assert_ok(syn_inference_team_play(&t));
}

static void nobody_gives_up_before_anything_was_told(void **state)
{
    played("{" QUESTION "," AGENTS "}");
    assert_true(legal(SYN_ANSWER, -1, -1));
    assert_false(legal(SYN_ABSTAIN, -1, -1));
    syn_inference_team_free(&t);
    played("{" QUESTION "," AGENTS ",\"history\":[" TOLD "]}");
    assert_true(legal(SYN_ANSWER, -1, -1) && legal(SYN_ABSTAIN, -1, -1));
    syn_inference_team_free(&t);
    played("{" QUESTION "," AGENTS ",\"history\":[" TOLD "],\"goal\":\"consensus\"}");
    assert_true(legal(SYN_ANSWER, -1, -1));
    assert_false(legal(SYN_ABSTAIN, -1, -1));
    syn_inference_team_free(&t);
    /* There is nothing to tell: all hold the same, or it is the last turn. */
    played("{" QUESTION ",\"agents\":[{\"items\":[{\"text\":\"Tea.\"}]},{}],\"max_turns\":1}");
    assert_true(legal(SYN_ANSWER, -1, -1) && legal(SYN_ABSTAIN, -1, -1));
    syn_inference_team_free(&t);
}

static void no_end_is_legal_before_min_turns(void **state)
{
    for (int least = 0; least <= 3; least++) {
        char json[2000];
        snprintf(json, sizeof json,
                 "{" QUESTION "," AGENTS ",\"min_turns\":%d,\"history\":[" TOLD "]}", least);
        played(json);
        assert_int_equal(legal(SYN_ANSWER, -1, -1), least <= 1);
        assert_int_equal(legal(SYN_ABSTAIN, -1, -1), least <= 1);
        syn_inference_team_free(&t);
    }
    played("{" QUESTION ",\"agents\":[{\"items\":[{\"text\":\"Tea.\"}]},{}],\"min_turns\":1,"
           "\"history\":[{\"action\":\"send\",\"from\":1,\"to\":2,\"item\":\"1\"}]}");
    assert_true(legal(SYN_ANSWER, -1, -1) && legal(SYN_ABSTAIN, -1, -1));
    syn_inference_team_free(&t);
}

/* The rule finds nothing worth telling, and tells the nearest to it; failing that, anything. */
static void the_rule_acts_as_long_as_it_may_not_end(void **state)
{
    syn_decider rule;
    syn_team_gaps seen;
    syn_decision d;
    assert_ok(syn_decider_rule(2, &rule));
    played("{" QUESTION "," AGENTS ",\"min_turns\":5}");
    assert_ok(rule.decide(rule.user, &t.team, &seen, &d));
    assert_int_equal(d.kind, SYN_SEND);
    assert_int_equal(d.to, 0);
    assert_true(syn_team_givable(&t.team, d.from, 0) >> d.item & 1);
    syn_inference_team_free(&t);
    played("{" QUESTION ",\"agents\":[{\"items\":[{\"text\":\"Tea.\"}]},{}],\"min_turns\":1}");
    assert_ok(rule.decide(rule.user, &t.team, &seen, &d));
    assert_int_equal(d.kind, SYN_SEND);
    assert_int_equal(d.from, 0);
    assert_int_equal(d.item, 0);
    syn_inference_team_free(&t);
    played("{" QUESTION "," AGENTS "}");
    assert_ok(rule.decide(rule.user, &t.team, &seen, &d));
    assert_int_equal(d.kind, SYN_ANSWER);
    syn_inference_team_free(&t);
    syn_decider_rule_free(&rule);
}

static void an_action_that_is_not_legal_is_refused(void **state)
{
    static const char *const actions[] = {
        "{\"action\":\"send\",\"from\":1,\"to\":2,\"item\":\"2\"}",    /* does not hold it */
        "{\"action\":\"request\",\"from\":1,\"to\":2,\"item\":\"1\"}", /* holds it already */
        "{\"action\":\"broadcast\",\"from\":3,\"item\":\"3\"}",        /* of item 1 by its number */
    };
    char json[1000];
    for (int k = 0; k < 3; k++) {
        snprintf(json, sizeof json, "{" QUESTION "," AGENTS ",\"history\":[%s]}", actions[k]);
        assert_ok(read(json));
        assert_int_equal(syn_inference_team_play(&t), SYN_ERR_INVALID);
        assert_non_null(strstr(syn_error_text(), "action 1 of the history"));
        syn_inference_team_free(&t);
    }
}

static void what_is_wrong_with_a_team_is_said(void **state)
{
    static const struct {
        const char *json, *words;
    } wrong[] = {
        {"", "no JSON object"},
        {"[1]", "no JSON object"},
        {"{\"question\":\"a\",\"question\":\"b\"}", "twice"},
        {"{" AGENTS "}", "question is not a text"},
        {"{\"question\":\"\"," AGENTS "}", "question is empty"},
        {"{" QUESTION "," AGENTS ",\"extra\":1}", "not known"},
        {"{" QUESTION "}", "agents is not a list"},
        {"{" QUESTION ",\"agents\":[{}]}", "agents is not a list"},
        {"{" QUESTION ",\"agents\":[{},{}]}", "no agent holds"},
        {"{" QUESTION ",\"agents\":[{\"items\":5},{}]}", "not a list"},
        {"{" QUESTION ",\"agents\":[5,{}]}", "not an object"},
        {"{" QUESTION ",\"agents\":[{\"items\":[5]},{}]}", "an item is not an object"},
        {"{" QUESTION ",\"agents\":[{\"items\":[{\"title\":\"a\"}]},{}]}", "text is not a text"},
        {"{" QUESTION ",\"agents\":[{\"items\":[{\"text\":\"a\",\"x\":1}]},{}]}", "not known"},
        {"{" QUESTION
         ",\"agents\":[{\"items\":[{\"id\":\"2\",\"text\":\"a\"},{\"text\":\"b\"}]},{}]}",
         "same id"},
        {"{" QUESTION "," AGENTS ",\"goal\":\"win\"}", "goal is neither"},
        {"{" QUESTION "," AGENTS ",\"goal\":5}", "goal is neither"},
        {"{" QUESTION "," AGENTS ",\"max_turns\":0}", "max_turns"},
        {"{" QUESTION "," AGENTS ",\"max_turns\":256}", "max_turns"},
        {"{" QUESTION "," AGENTS ",\"min_turns\":-1}", "min_turns"},
        {"{" QUESTION "," AGENTS ",\"min_turns\":6}",
         "min_turns is not a whole number from 0 to 5"},
        {"{" QUESTION "," AGENTS ",\"max_turns\":3,\"min_turns\":3}", "from 0 to 2"},
        {"{" QUESTION "," AGENTS ",\"min_turns\":\"1\"}", "min_turns"},
        {"{" QUESTION "," AGENTS ",\"history\":{}}", "history is not a list"},
        {"{" QUESTION "," AGENTS ",\"history\":[5]}", "not an object"},
        {"{" QUESTION "," AGENTS ",\"history\":[{\"action\":\"answer\"}]}", "neither send"},
        {"{" QUESTION "," AGENTS ",\"history\":[{\"action\":\"send\",\"from\":1,\"to\":2}]}",
         "names no item"},
        {"{" QUESTION "," AGENTS
         ",\"history\":[{\"action\":\"send\",\"from\":1,\"to\":1,\"item\":\"1\"}]}",
         "between two agents"},
        {"{" QUESTION "," AGENTS
         ",\"history\":[{\"action\":\"send\",\"from\":0,\"to\":4,\"item\":\"1\"}]}",
         "between two agents"},
        {"{" QUESTION "," AGENTS
         ",\"max_turns\":1,\"history\":[{\"action\":\"broadcast\",\"from\":1,"
         "\"item\":\"1\"}]}",
         "as long as max_turns"},
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        const syn_status st = read(wrong[k].json);
        if (st != SYN_ERR_INVALID && st != SYN_ERR_FORMAT)
            fail_msg("%s: status %d", wrong[k].json, st);
        if (!strstr(syn_error_text(), wrong[k].words))
            fail_msg("%s: no \"%s\": %s", wrong[k].json, wrong[k].words, syn_error_text());
    }
}

static void a_team_has_at_most_ten_agents_and_32_items(void **state)
{
    char json[8000] = "{\"question\":\"a\",\"agents\":[{\"items\":[";
    for (int k = 0; k < 33; k++)
        sprintf(json + strlen(json), "%s{\"text\":\"t%d\"}", k ? "," : "", k);
    strcat(json, "]},{}]}");
    assert_int_equal(read(json), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "more than 32"));
    strcpy(json, "{\"question\":\"a\",\"agents\":[{\"items\":[{\"text\":\"t\"}]}");
    for (int k = 0; k < 10; k++) strcat(json, ",{}");
    strcat(json, "]}");
    assert_int_equal(read(json), SYN_ERR_INVALID);
}

static void the_rule_decides_such_a_team(void **state)
{
    syn_decider rule;
    syn_team_gaps seen = {0};
    syn_decision d;
    assert_ok(syn_decider_rule(.05, &rule));
    assert_ok(read("{" QUESTION "," AGENTS "}"));
    assert_ok(rule.observe(rule.user, &t.team, &seen));
    assert_ok(rule.decide(rule.user, &t.team, &seen, &d));
    assert_int_equal(d.kind, SYN_SEND);
    json_t *decision = syn_inference_team_decision(&t, &d, &seen, rule.policy);
    assert_string_equal(json_string_value(json_object_get(decision, "action")), "send");
    assert_int_equal(json_integer_value(json_object_get(decision, "to")), 1);
    assert_string_equal(json_string_value(json_object_get(decision, "item")),
                        t.team.items[d.item].id);
    assert_int_equal(json_array_size(json_object_get(decision, "gaps")), 3);
    assert_int_equal(json_array_size(json_array_get(json_object_get(decision, "gaps"), 2)), 3);
    json_decref(decision);
    d = (syn_decision){.kind = SYN_ANSWER, .from = -1, .to = -1, .item = -1, .probability = .5f};
    decision = syn_inference_team_decision(&t, &d, &seen, "trained");
    assert_true(json_is_null(json_object_get(decision, "from")));
    assert_true(json_is_null(json_object_get(decision, "item")));
    json_decref(decision);
    syn_inference_team_free(&t);
    syn_decider_rule_free(&rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(items_of_the_same_text_are_one),
                                       cmocka_unit_test(the_history_is_played_turn_by_turn),
                                       cmocka_unit_test(nobody_gives_up_before_anything_was_told),
                                       cmocka_unit_test(no_end_is_legal_before_min_turns),
                                       cmocka_unit_test(the_rule_acts_as_long_as_it_may_not_end),
                                       cmocka_unit_test(an_action_that_is_not_legal_is_refused),
                                       cmocka_unit_test(what_is_wrong_with_a_team_is_said),
                                       cmocka_unit_test(a_team_has_at_most_ten_agents_and_32_items),
                                       cmocka_unit_test(the_rule_decides_such_a_team)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
