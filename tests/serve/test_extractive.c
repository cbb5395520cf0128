/* What agents without a model can find in a few sentences. */
#include "tests/test.h"

#include <jansson.h>

#include "serve/extractive.h"

typedef struct page {
    const char *title, *text;
} page;

static const page library[] = {
    {"Amber Tide", "Amber Tide is a 1987 drama film directed by Jane Roe. It was shot in Wales."},
    {"Jane Roe", "Jane Roe is a French film director. She was born in Lyon and studied painting."},
    {"Blue Tide", "Blue Tide is a 1990 comedy film directed by Mark Hill. It was shot in Spain."},
    {"Mark Hill", "Mark Hill is an American film director, born in Boston."},
    {"Karst", "Karst is a village with a population of 1,204 people. It was founded in 1733."},
    {"Orel Bridge",
     "Orel Bridge crosses the Karst Brook. The bridge was not destroyed in the war."}};

static void team_with(syn_team *t, const char *question, uint64_t items)
{
    memset(t, 0, sizeof *t);
    t->question = question;
    t->agents = 2;
    t->piece_count = t->item_count = (int)(sizeof library / sizeof *library);
    for (int k = 0; k < t->item_count; k++)
        t->items[k] = (syn_team_item){
            .id = "p", .title = library[k].title, .text = library[k].text, .author = -1};
    t->holds[0] = items;
}

static json_t *reply_to(const char *question, uint64_t items)
{
    syn_team team;
    syn_answer answers[SYN_AGENTS_MAX] = {{0}};
    char *text = NULL;
    team_with(&team, question, items);
    syn_round_call call = {.purpose = SYN_CALL_ANSWER, .team = &team, .answers = answers};
    assert_ok(syn_extractive_reply(&call, &text));
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    free(text);
    return j;
}

static void spans_of_the_right_kind_are_found(void **state)
{
    static const char *const cases[][2] = {
        {"Where was the director of Amber Tide born?", "Lyon"},
        {"Who directed Amber Tide?", "Jane Roe"},
        {"Who is the director of the film Blue Tide?", "Mark Hill"},
        {"When was Karst founded?", "1733"},
        {"How many people live in Karst, what is its population?", "1,204"},
        {"Which film was released first, Blue Tide or Amber Tide?", "Amber Tide"},
        {"Which film is newer, Blue Tide or Amber Tide?", "Blue Tide"},
        {"Was Blue Tide shot in Spain?", "yes"},
        {"Was the Orel Bridge destroyed in the war?", "no"},
        {"In which city was the director of Blue Tide born?", "Boston"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        json_t *j = reply_to(cases[k][0], 63);
        const char *found = json_string_value(json_object_get(j, "short_answer"));
        if (strcmp(found, cases[k][1]) != 0) fail_msg("%s: %s", cases[k][0], found);
        json_decref(j);
    }
}

static void confidence_grows_with_the_evidence(void **state)
{
    const char *question = "Where was the director of Amber Tide born?";
    const uint64_t items[] = {0, 16, 1, 3}; /* nothing, a village, one hop, both */
    double last = -1;
    for (int k = 0; k < 4; k++) {
        json_t *j = reply_to(question, items[k]);
        double c = json_number_value(json_object_get(j, "confidence"));
        assert_true(c >= last && c <= .95);
        last = c;
        if (k < 2)
            assert_string_equal(json_string_value(json_object_get(j, "short_answer")), "unknown");
        if (k == 2)
            assert_string_equal(json_string_value(json_object_get(j, "need")),
                                "evidence about born");
        if (k == 3) assert_true(json_is_null(json_object_get(j, "need")));
        json_decref(j);
    }
    assert_true(last > .8);
}

static void the_final_answer_prefers_a_surer_team(void **state)
{
    syn_team team;
    char *text = NULL;
    syn_answer answers[SYN_AGENTS_MAX] = {
        {.given = true, .text = "?", .short_text = "Oslo", .confidence = .1, .cluster = 0},
        {.given = true,
         .text = "In Lyon.",
         .short_text = "Lyon",
         .confidence = .9,
         .cluster = 1,
         .weight = 1}};
    team_with(&team, "Where was the director of Amber Tide born?", 16);
    syn_round_call call = {.purpose = SYN_CALL_FINAL, .team = &team, .answers = answers};
    assert_ok(syn_extractive_reply(&call, &text));
    json_t *j = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "short_answer")), "Lyon");
    json_decref(j);
    free(text);
    call.purpose = SYN_CALL_PARTITION;
    assert_int_equal(syn_extractive_reply(&call, &text), SYN_ERR_UNSUPPORTED);
}

static void odd_text_does_no_harm(void **state)
{
    static const char *const questions[] = {
        "?", "the of", "\xF0\x9F\x98\x80 \xF0\x9F\x98\x80", "or", "X or", "Is", "1,", "a or b"};
    for (size_t k = 0; k < sizeof questions / sizeof *questions; k++) {
        json_decref(reply_to(questions[k], 0));
        json_decref(reply_to(questions[k], 63));
    }
}

static void equal_input_gives_equal_replies(void **state)
{
    json_t *a = reply_to("Who directed Amber Tide?", 63),
           *b = reply_to("Who directed Amber Tide?", 63);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_of_the_right_kind_are_found),
        cmocka_unit_test(confidence_grows_with_the_evidence),
        cmocka_unit_test(the_final_answer_prefers_a_surer_team),
        cmocka_unit_test(odd_text_does_no_harm),
        cmocka_unit_test(equal_input_gives_equal_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
