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

/* A world of its own for each question: pages as "Title|text", NULL at the end. */
typedef struct shape {
    const char *question, *answer, *pages[4];
} shape;

static const shape shapes[] = {
    {"In which town was the person born who first climbed Mount Oravel?",
     "Vellmar",
     {"Mount Oravel|Mount Oravel is a peak of the Sarn. It was first climbed in 1904 by the "
      "surveyor Ilka Brandt.",
      "Ilka Brandt|Ilka Brandt was a surveyor and botanist, born in the harbour town of Vellmar in "
      "1871."}},
    {"Who first climbed Mount Oravel?",
     "Ilka Brandt",
     {"Mount Oravel|Mount Oravel is a peak of the Sarn. It was first climbed in 1904 by the "
      "surveyor Ilka Brandt."}},
    {"In what year did Ilka Brandt first climb Mount Oravel?",
     "1904",
     {"Mount Oravel|Mount Oravel was measured in 1850. It was first climbed in 1904 by Ilka "
      "Brandt, who returned in 1911."}},
    {"On which river does the town of Vellmar lie?",
     "Ouvre",
     {"Vellmar|Vellmar is a harbour town in Perrow. It lies on the river Ouvre, below the castle "
      "of Thorn."}},
    {"Which film did the director of Paper Lanterns make in 1975?",
     "The Salt Road",
     {"Paper Lanterns|Paper Lanterns is a 1969 drama film directed by Odile Marrek.",
      "The Salt Road|The Salt Road is a 1975 adventure film by Odile Marrek, shot in Perrow."}},
    {"Which band recorded the song Cold Harbour?",
     "Tin Foxes",
     {"Cold Harbour (song)|\"Cold Harbour\" is a song recorded by the Perrish band Tin Foxes in "
      "Dunmoor."}},
    {"Which company built the ship on which Tomas Erle sailed?",
     "Halden Works",
     {"Tomas Erle|Tomas Erle was an explorer who sailed on the Grey Swan in 1890.",
      "Grey Swan|The Grey Swan was a ship built by Halden Works in Vellmar."}},
    {"At which university did the founder of the Perrow Herald study?",
     "University of Dunmoor",
     {"Perrow Herald|The Perrow Herald is a newspaper founded by Jonas Welk in 1888.",
      "Jonas Welk|Jonas Welk was a journalist who studied law at the University of Dunmoor."}},
    {"Paper Lanterns was directed by whom?",
     "Odile Marrek",
     {"Paper Lanterns|Paper Lanterns is a 1969 drama film starring Ana Vold and directed by Odile "
      "Marrek."}},
    {"The author of Glass Winter was born in which city?",
     "Sorvik",
     {"Glass Winter|Glass Winter is a novel written by Petra Lund.",
      "Petra Lund|Petra Lund is a writer. She was born in Sorvik and lives in Dunmoor."}},
    {"When was Petra Lund born?",
     "3 May 1951",
     {"Petra Lund|Petra Lund (3 May 1951 \xE2\x80\x93 9 June 2004) was a writer. Her first novel "
      "came out in 1980."}},
    {"When did Petra Lund die?",
     "9 June 2004",
     {"Petra Lund|Petra Lund (3 May 1951 \xE2\x80\x93 9 June 2004) was a writer. Her first novel "
      "came out in 1980."}},
    {"How many bridges does Dunmoor have?",
     "seven",
     {"Dunmoor|Dunmoor is a town founded in 1310. It has seven bridges and a cathedral."}},
    {"How long is the river Ouvre?",
     "1,204 km",
     {"Ouvre|The Ouvre is a river in Perrow. It is 1,204 km long and was dammed in 1931."}},
    {"What nationality is the director of Paper Lanterns?",
     "Perrish",
     {"Paper Lanterns|Paper Lanterns is a drama film directed by Odile Marrek.",
      "Odile Marrek|Odile Marrek is a Perrish film director."}},
    {"What position does Ivo Tarn play?",
     "central defender",
     {"Ivo Tarn|Ivo Tarn is a Perrish footballer who plays as a central defender for Vellmar."}},
    {"What is the capital of Perrow?",
     "Sorvik",
     {"Perrow|Perrow is a country in the north. Its capital is Sorvik, on the lake Ilm."}},
    {"Where is the museum that shows the Ilm Hoard located?",
     "Dunmoor",
     {"Ilm Hoard|The Ilm Hoard is a treasure shown at the Thorn Museum.",
      "Thorn Museum|The Thorn Museum is a museum located in Dunmoor. It opened in 1922."}},
    {"Which singer starred in Paper Lanterns?",
     "Ana Vold",
     {"Paper Lanterns|Paper Lanterns is a drama film directed by Odile Marrek and starring Ana "
      "Vold "
      "and Jon Reet.",
      "Ana Vold|Ana Vold is a Perrish singer.", "Jon Reet|Jon Reet is a Perrish actor."}},
    {"Who wrote the novel on which the film Frozen Lake is based?",
     "Petra Lund",
     {"Frozen Lake|Frozen Lake is a 1990 film based on the novel Glass Winter.",
      "Glass Winter|Glass Winter is a novel written by Petra Lund."}},
    {"Who directed Frozen Lake?",
     "Reet",
     {"Frozen Lake|Frozen Lake is a film directed for a South Perrish company by Reet."}},
    {"In which year was the bridge that Ana Vold painted built?",
     "1890",
     {"Ana Vold|Ana Vold painted the Long Bridge.",
      "Long Bridge|The Long Bridge was painted in 1902, and had been built in 1890."}},
    {"Are Tin Foxes and Lead Hares both rock bands?",
     "yes",
     {"Tin Foxes|Tin Foxes are a rock band from Dunmoor.",
      "Lead Hares|Lead Hares were a rock band formed in 1988."}},
    {"Are Tin Foxes and Lead Hares from the same town?",
     "no",
     {"Tin Foxes|Tin Foxes are a rock band from Dunmoor.",
      "Lead Hares|Lead Hares were a rock band from Sorvik."}},
    {"Between Tin Foxes and Lead Hares, which band was formed earlier?",
     "Lead Hares",
     {"Tin Foxes|Tin Foxes are a band formed in 1995.",
      "Lead Hares|Lead Hares were a band formed in 1988."}}};

static char *answer_from(const shape *x)
{
    char title[4][64];
    syn_team team = {.question = x->question, .agents = 2};
    syn_answer answers[SYN_AGENTS_MAX] = {{0}};
    char *text = NULL;
    for (int k = 0; k < 4 && x->pages[k]; k++) {
        size_t bytes = strcspn(x->pages[k], "|");
        snprintf(title[k], sizeof title[k], "%.*s", (int)bytes, x->pages[k]);
        team.items[k] = (syn_team_item){
            .id = "p", .title = title[k], .text = x->pages[k] + bytes + 1, .author = -1};
        team.item_count = team.piece_count = k + 1;
        team.holds[0] |= 1u << k;
    }
    syn_round_call call = {.purpose = SYN_CALL_ANSWER, .team = &team, .answers = answers};
    assert_ok(syn_extractive_reply(&call, &text));
    json_t *j = json_loads(text, 0, NULL);
    char *found = strdup(json_string_value(json_object_get(j, "short_answer")));
    json_decref(j);
    free(text);
    return found;
}

static void questions_of_many_shapes_are_answered(void **state)
{
    int wrong = 0;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        char *found = answer_from(&shapes[k]);
        if (strcmp(found, shapes[k].answer) != 0) {
            print_error("%s: %s, not %s\n", shapes[k].question, shapes[k].answer, found);
            wrong++;
        }
        free(found);
    }
    assert_int_equal(wrong, 0);
}

/* The bridge is known to be a person, so it is no town: better to say nothing. */
static void a_name_of_another_sort_is_no_answer(void **state)
{
    static const shape half[] = {
        {"In which town was the person born who first climbed Mount Oravel?",
         "unknown",
         {"Mount Oravel|Mount Oravel was first climbed in 1904 by the surveyor Ilka Brandt."}},
        {"When was Ilka Brandt born?",
         "unknown",
         {"Ilka Brandt|Ilka Brandt was born in the harbour town of Vellmar."}}};
    for (size_t k = 0; k < sizeof half / sizeof *half; k++) {
        char *found = answer_from(&half[k]);
        assert_string_equal(found, half[k].answer);
        free(found);
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
        cmocka_unit_test(questions_of_many_shapes_are_answered),
        cmocka_unit_test(a_name_of_another_sort_is_no_answer),
        cmocka_unit_test(confidence_grows_with_the_evidence),
        cmocka_unit_test(the_final_answer_prefers_a_surer_team),
        cmocka_unit_test(odd_text_does_no_harm),
        cmocka_unit_test(equal_input_gives_equal_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
