/* MultiWOZ's system turns for live teams: what each agent sees of its database, and what the
 * writer's JSON is worth. */
#include "tests/benchmarks/live_dialogues.h"

/* ---- What the team gets ---- */

static void a_domain_shows_what_fits_best(void **state)
{
    syn_live_bench *b = one_dialogue("A cheap restaurant, please.", "It should be in the centre.",
                                     "{\"restaurant\": {\"pricerange\": \"cheap\"}}", "{}");
    task *t = task_of(b, next_of(b), 1);
    assert_non_null(strstr(document(t, "restaurant"), "has 4 entries; 3 fit all"));
    task_free(t);
    t = task_of(b, next_of(b), 1); /* what was asked before still holds */
    const char *text = document(t, "restaurant");
    assert_non_null(strstr(text, "has 4 entries; 1 fit all"));
    const char *best = strstr(text, "pizza hut city centre");
    assert_non_null(best);
    assert_true(best < strstr(text, "curry garden") && best < strstr(text, "nandos"));
    assert_null(strstr(text, "52.2")); /* places on a map tell nobody anything */
    assert_non_null(strstr(document(t, "hotel"), "cityroomz"));
    assert_int_equal(t->config.document_count, 4); /* talked about or not */
    task_free(t);
    syn_live_bench_close(b);
}

static void a_change_of_mind_replaces_what_was_asked(void **state)
{
    syn_live_bench *b = one_dialogue("Italian.", "Rather Indian, or Portuguese, as southerners do.",
                                     "{\"restaurant\": {\"food\": \"italian\"}}", "{}");
    next_of(b);
    task *t = task_of(b, next_of(b), 1);
    const char *text = document(t, "restaurant");
    assert_non_null(strstr(text, "2 fit all"));
    assert_true(strstr(text, "curry garden") < strstr(text, "pizza hut"));
    task_free(t);
    syn_live_bench_close(b);
}

static void where_one_goes_is_not_where_one_starts(void **state)
{
    syn_live_bench *b = one_dialogue("A train to London Liverpool Street from Cambridge on Monday.",
                                     "Well, a train to Cambridge.", "{}", "{}");
    task *t = task_of(b, next_of(b), 1);
    const char *text = document(t, "train");
    assert_non_null(strstr(text, "has 5 entries; 1 fit all"));
    assert_true(strstr(text, "TR4") < strstr(text, "TR1"));
    task_free(t);
    t = task_of(b, next_of(b), 1);
    text = document(t, "train");
    assert_non_null(strstr(text, "has 5 entries; 1 fit all"));
    assert_true(strstr(text, "TR9") < strstr(text, "TR1"));
    task_free(t);
    syn_live_bench_close(b);
}

static void values_may_be_said_in_other_words(void **state)
{
    syn_live_bench *b = one_dialogue("A place with 4 stars and free wifi for 3 people.",
                                     "It should have parking and be a guest house.", "{}", "{}");
    task *t = task_of(b, next_of(b), 1); /* of four stars are two, neither has three */
    assert_non_null(strstr(document(t, "hotel"), "has 3 entries; 2 fit all"));
    assert_non_null(strstr(document(t, "restaurant"), "has 4 entries; 4 fit all"));
    task_free(t);
    t = task_of(b, next_of(b), 1);
    assert_non_null(strstr(document(t, "hotel"), "has 3 entries; 1 fit all"));
    task_free(t);
    syn_live_bench_close(b);
}

static void times_are_of_leaving_unless_it_is_said(void **state)
{
    syn_live_bench *b = one_dialogue("A train on Monday, leaving after 16:30.",
                                     "It must arrive in London by 5:55.", "{}", "{}");
    task *t = task_of(b, next_of(b), 1);
    assert_non_null(strstr(document(t, "train"), "1 fit all"));
    assert_true(strstr(document(t, "train"), "TR2") < strstr(document(t, "train"), "TR1"));
    task_free(t);
    t = task_of(b, next_of(b), 1);
    assert_non_null(strstr(document(t, "train"), "2 fit all"));
    task_free(t);
    syn_live_bench_close(b);
}

/* The state behind the user's words is what the team has to find out. */
static void the_state_of_this_turn_is_not_looked_at(void **state)
{
    static const char *const states[] = {"{}", "{\"restaurant\": {\"area\": \"west\"}}"};
    char *seen[2];
    for (int i = 0; i < 2; i++) {
        syn_live_bench *b = one_dialogue("Hello", "Something to eat", "{}", states[i]);
        next_of(b);
        task *t = task_of(b, next_of(b), 1);
        seen[i] = strdup(document(t, "restaurant"));
        assert_null(strstr(t->config.context, "west"));
        task_free(t);
        syn_live_bench_close(b);
    }
    assert_string_equal(seen[0], seen[1]);
    free(seen[0]);
    free(seen[1]);
}

static void a_domain_is_one_agents(void **state)
{
    one_dialogue_file("Hello", "A restaurant and a hotel", "{}",
                      "{\"restaurant\": {\"area\": \"west\"}}");
    for (uint64_t seed = 0; seed < 20; seed++) {
        syn_live_bench *b = seeded_bench("multiwoz", folder, seed);
        next_of(b);
        task *t = task_of(b, next_of(b), 3);
        for (int k = 0; k < t->config.document_count; k++) {
            const syn_round_document *d = &t->config.documents[k];
            for (int i = 0; i < 3; i++) {
                const bool holds = d->agents >> i & 1;
                assert_int_equal(strstr(t->config.agent[i].role, d->title) != NULL, holds);
                /* Who writes lacks the one that is talked about. */
                assert_false(holds && i == 0 && !strcmp(d->title, "restaurant"));
            }
        }
        assert_true(t->config.final_verbatim);
        assert_string_equal(t->config.dialogue, "user: Hello\nsystem: What else?\n");
        assert_string_equal(t->config.question, "A restaurant and a hotel");
        task_free(t);
        syn_live_bench_close(b);
    }
}

/* ---- What the JSON is worth ---- */

static void the_json_is_found_and_made_clean(void **state)
{
    static const char *const texts[] = {
        "{\"state\": {\"hotel\": {\"area\": \"east\", \"stars\": 4}}, \"response\": \"[hotel_name]"
        "\"}",
        "Here it is:\n```json\n{\"response\": \"[hotel_name]\", \"state\": {\"hotel\": {\"area\": "
        "[\"east\"], \"stars\": \"4\", \"name\": null, \"x\": {}}, \"taxi\": {}, \"bus\": 7}}\n```",
        "{\"answer\": \"{\\\"response\\\": \\\"[hotel_name]\\\", \\\"state\\\": {\\\"hotel\\\": "
        "{\\\"area\\\": \\\"east\\\", \\\"stars\\\": \\\"4\\\"}}}\", \"confidence\": 1}",
        "{\"answer\": {\"response\": \"[hotel_name]\", \"state\": {\"hotel\": {\"area\": \"east\", "
        "\"stars\": 4.0}}}}",
        "<think>Perhaps {\"response\": \"no\", \"state\": {}}?</think>{\"response\": "
        "\"[hotel_name]\", \"state\": {\"hotel\": {\"area\": \"east\", \"stars\": 4}}}"};
    json_t *wanted = json_pack("{s:s, s:{s:{s:s, s:s}}}", "response", "[hotel_name]", "state",
                               "hotel", "area", "east", "stars", "4");
    syn_live_bench *b = one_dialogue("Hello", "Bye", "{}", "{}");
    const syn_question *q = next_of(b);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        syn_live_verdict v = of_text(b, q, texts[i]);
        if (!json_equal(v.prediction, wanted)) fail_msg("%s", json_dumps(v.prediction, 0));
        assert_false(v.unparsed);
        syn_live_verdict_free(&v);
    }
    json_decref(wanted);
    syn_live_bench_close(b);
}

static void what_is_no_json_is_a_response_without_a_state(void **state)
{
    syn_live_bench *b = one_dialogue("Hello", "Bye", "{}", "{}");
    const syn_question *q = next_of(b);
    syn_live_verdict v = of_text(b, q, "What else?");
    assert_true(v.unparsed && !v.correct); /* right or wrong, it has written no state */
    assert_string_equal(member(v.prediction, "response"), "What else?");
    assert_true(fabs(v.score - 1) < 1e-12); /* short as it is */
    syn_live_verdict_free(&v);
    char *text = malloc(20001);
    memset(text, '{', 20000);
    text[20000] = 0;
    v = of_text(b, q, text);
    assert_int_equal(strlen(member(v.prediction, "response")), SYN_LIVE_RESPONSE_BYTES_MAX);
    syn_live_verdict_free(&v);
    free(text);
    v = judged(b, q, (syn_live_answer){.answer = "The team abstains", .abstained = true});
    assert_string_equal(member(v.prediction, "response"), "");
    syn_live_verdict_free(&v);
    syn_live_bench_close(b);
}

static void the_state_is_right_as_a_whole(void **state)
{
    static const struct {
        const char *state;
        bool right;
    } cases[] = {
        {"{\"hotel\": {\"area\": \"East\", \"type\": \"guest house\", \"name\": \"The Oak\"}}",
         true},
        {"{\"hotel\": {\"hotel-area\": \"east\", \"type\": \"guesthouse\", \"name\": \"the elm\"}, "
         "\"taxi\": {}}",
         true}, /* one of two that will do */
        {"{\"hotel\": {\"area\": \"east\", \"type\": \"guesthouse\", \"name\": \"the oak\", "
         "\"stars\": \"not mentioned\"}}",
         true},
        {"{\"hotel\": {\"area\": \"east\", \"type\": \"guesthouse\"}}", false},
        {"{\"hotel\": {\"area\": \"east\", \"type\": \"guesthouse\", \"name\": \"the oak\", "
         "\"stars\": \"4\"}}",
         false},
        {"{\"hotel\": {\"area\": \"west\", \"type\": \"guesthouse\", \"name\": \"the oak\"}}",
         false},
        {"{\"restaurant\": {\"area\": \"east\", \"type\": \"guesthouse\", \"name\": \"the oak\"}}",
         false},
        {"{}", false}};
    syn_live_bench *b = one_dialogue("Hello", "Bye", "{}",
                                     "{\"hotel\": {\"area\": \"east\", \"type\": \"guesthouse\", "
                                     "\"name\": \"the oak|the elm\", \"stars\": \"\"}}");
    next_of(b);
    const syn_question *q = next_of(b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"response\": \"x\", \"state\": %s}", cases[i].state);
        syn_live_verdict v = of_text(b, q, text);
        if (v.correct != cases[i].right) fail_msg("%s", cases[i].state);
        assert_true(figure(v.metrics, "joint_goal_accuracy") == v.correct);
        syn_live_verdict_free(&v);
    }
    syn_live_bench_close(b);
}

static void booking_slots_have_one_name(void **state)
{
    syn_live_bench *b = one_dialogue("Hello", "Bye", "{}", "{\"hotel\": {\"bookpeople\": \"2\"}}");
    next_of(b);
    const syn_question *q = next_of(b);
    static const char *const names[] = {"people", "book people", "bookpeople", "hotel-bookpeople"};
    for (int i = 0; i < 4; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"response\": \"\", \"state\": {\"hotel\": {\"%s\": 2}}}",
                 names[i]);
        syn_live_verdict v = of_text(b, q, text);
        if (!v.correct) fail_msg("%s", names[i]);
        syn_live_verdict_free(&v);
    }
    syn_live_bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_shows_what_fits_best),
        cmocka_unit_test(a_change_of_mind_replaces_what_was_asked),
        cmocka_unit_test(where_one_goes_is_not_where_one_starts),
        cmocka_unit_test(values_may_be_said_in_other_words),
        cmocka_unit_test(times_are_of_leaving_unless_it_is_said),
        cmocka_unit_test(the_state_of_this_turn_is_not_looked_at),
        cmocka_unit_test(a_domain_is_one_agents),
        cmocka_unit_test(the_json_is_found_and_made_clean),
        cmocka_unit_test(what_is_no_json_is_a_response_without_a_state),
        cmocka_unit_test(the_state_is_right_as_a_whole),
        cmocka_unit_test(booking_slots_have_one_name),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
