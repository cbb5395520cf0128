/* Replies as models really write them, and the documents file. */
#include "tests/test.h"

#include "serve/documents.h"
#include "serve/prompt.h"

typedef struct vector {
    const char *reply;
    bool json;
    const char *short_answer;
    double confidence;
    int claims;
    const char *need;
} vector;

static const vector vectors[] = {
    {"{\"answer\":\"A.\",\"short_answer\":\"Lyon\",\"confidence\":0.9,\"claims\":[\"x\",\"y\"],"
     "\"need\":null,\"support\":[\"p1\"]}",
     true, "Lyon", .9, 2, ""},
    {"```json\n{\"short_answer\": \"Lyon\", \"need\": \"a map\"}\n```", true, "Lyon", .5, 0,
     "a map"},
    {"Of course! Here {it} is:\n\n{\"answer\": \"B.\", \"short_answer\": \"Lyon\"} Hope it helps.",
     true, "Lyon", .5, 0, ""},
    {"<think>maybe {\"answer\": \"Paris\"}</think>{\"short_answer\": \"Lyon\"}", true, "Lyon", .5,
     0, ""},
    {"{\"short_answer\": 1984, \"confidence\": \"80%\"}", true, "1984", .8, 0, ""},
    {"{\"short_answer\": true, \"confidence\": 95}", true, "yes", .95, 0, ""},
    {"{\"short_answer\": \"x\", \"confidence\": \"0.25\"}", true, "x", .25, 0, ""},
    {"{\"short_answer\": \"x\", \"confidence\": \"high\"}", true, "x", .5, 0, ""},
    {"{\"short_answer\": \"x\", \"confidence\": -3}", true, "x", .5, 0, ""},
    {"{\"short_answer\": \"x\", \"claims\": \"not a list\", \"support\": {}}", true, "x", .5, 0,
     ""},
    {"{\"short_answer\": \"x\", \"claims\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\"]}", true,
     "x", .5, 5, ""},
    {"{\"answer\": \"It is Lyon. That is in France.\"}", true, "It is Lyon.", .5, 0, ""},
    {"It is Lyon. One. Two. Three. Four. Five. Six.", false, "It is Lyon.", .5, 5, ""},
    {"{\"answer\": \"cut off", false, "{\"answer\": \"cut off", .5, 1, ""},
    {"{\"other\": 1}", false, "{\"other\": 1}", .5, 1, ""},
    {"", false, "", .5, 0, ""},
};

static void replies_are_read_tolerantly(void **state)
{
    for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++) {
        const vector *v = &vectors[k];
        syn_arena arena;
        syn_parsed_reply reply;
        syn_arena_init(&arena, 1 << 20);
        syn_prompt_parse(&arena, v->reply, &reply);
        assert_false(arena.failed);
        if (reply.json != v->json || strcmp(reply.short_answer, v->short_answer) != 0 ||
            fabs(reply.confidence - v->confidence) > 1e-12 || reply.claim_count != v->claims ||
            strcmp(reply.need, v->need) != 0)
            fail_msg("%s\n  read as: json %d, \"%s\", %g, %d claims, need \"%s\"", v->reply,
                     reply.json, reply.short_answer, reply.confidence, reply.claim_count,
                     reply.need);
        syn_arena_free(&arena);
    }
}

static void a_short_answer_has_at_most_twenty_words(void **state)
{
    char text[600] = "{\"short_answer\": \"";
    for (int k = 0; k < 30; k++) strcat(text, "word ");
    strcat(text, "\"}");
    syn_arena arena;
    syn_parsed_reply reply;
    syn_arena_init(&arena, 1 << 20);
    syn_prompt_parse(&arena, text, &reply);
    assert_int_equal(strlen(reply.short_answer), 20 * 5 - 1);
    syn_arena_free(&arena);
}

static void hostile_replies_cost_little(void **state)
{
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES + 1);
    syn_arena arena;
    syn_parsed_reply reply;
    syn_arena_init(&arena, 8 << 20);
    for (int k = 0; k < BYTES; k++) text[k] = "{\"a\":"[k % 5];
    text[BYTES] = 0;
    syn_prompt_parse(&arena, text, &reply);
    assert_false(reply.json);
    assert_true(strlen(reply.answer) <= SYN_REPLY_TEXT_BYTES_MAX);
    memset(text, '{', BYTES);
    syn_prompt_parse(&arena, text, &reply);
    assert_false(arena.failed);
    syn_arena_free(&arena);
    free(text);
}

static void a_partition_names_every_answer_once(void **state)
{
    int cluster[] = {0, 0, -1, 0};
    assert_true(syn_prompt_parse_partition("{\"groups\": [[4, 1], [2]]}", 4, cluster));
    const int expected[] = {0, 1, -1, 0};
    assert_memory_equal(cluster, expected, sizeof expected);
    static const char *const bad[] = {"{\"groups\": [[1, 2]]}",         /* 4 is missing */
                                      "{\"groups\": [[1, 2], [2, 4]]}", /* 2 twice */
                                      "{\"groups\": [[1, 2, 3, 4]]}",   /* 3 did not answer */
                                      "{\"groups\": [[1, 2, 4, 9]]}",
                                      "{\"groups\": [1, 2, 4]}",
                                      "{\"groups\": [[], [1, 2, 4]]}",
                                      "{\"groups\": \"all\"}",
                                      "none"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        int again[] = {0, 0, -1, 0};
        assert_false(syn_prompt_parse_partition(bad[k], 4, again));
    }
}

/* ---- documents ---- */

static void parse(const char *text, int agents, syn_documents *d)
{
    assert_ok(syn_documents_parse("docs", text, strlen(text), agents, d));
}

static void documents_come_as_json_of_three_shapes_or_as_text(void **state)
{
    syn_documents d;
    parse("[{\"id\":\"a\",\"title\":\"T\",\"text\":\"x\",\"agents\":[1,3]}, \"bare\"]", 3, &d);
    assert_int_equal(d.count, 2);
    assert_string_equal(d.list[0].title, "T");
    assert_int_equal(d.list[0].agents, 5);
    assert_string_equal(d.list[1].text, "bare");
    assert_int_equal(d.list[1].agents, 0);
    syn_documents_free(&d);
    parse("{\"documents\": [[\"one\", \"two\"], [{\"text\": \"three\"}]]}", 2, &d);
    assert_int_equal(d.count, 3);
    assert_int_equal(d.list[1].agents, 1);
    assert_int_equal(d.list[2].agents, 2);
    syn_documents_free(&d);
    parse("Title: First one\nIts text,\nsecond line.\n\n \t\nTitle:Second\nMore.\r\n\r\nThird.", 2,
          &d);
    assert_int_equal(d.count, 3);
    assert_string_equal(d.list[0].title, "First one");
    assert_string_equal(d.list[0].text, "Its text,\nsecond line.");
    assert_string_equal(d.list[1].title, "Second");
    assert_null(d.list[2].title);
    syn_documents_free(&d);
}

static void bad_documents_are_one_sentence_with_the_place(void **state)
{
    static const char *const cases[][2] = {
        {"[{\"text\": \"x\"},\n {\"text\": }]", "docs: damaged JSON at line 2, column"},
        {"[{\"text\": 5}]", "docs: document 1: \"text\" is not a text"},
        {"[{\"text\": \"x\"}, {\"title\": \"y\"}]", "docs: document 2 has no \"text\""},
        {"[{\"text\": \"x\", \"agents\": [4]}]",
         "docs: document 1: \"agents\" names none of 1 to 3"},
        {"[{\"text\": \"x\", \"agents\": \"all\"}]", "docs: document 1: \"agents\" is not a list"},
        {"[[\"a\"], [\"b\"], [\"c\"], [\"d\"]]", "docs: lists for more than 3 agents"},
        {"[7]", "docs: document 1 is neither"},
        {"{\"docs\": []}", "docs: \"documents\" is not a list"},
        {"[]", "docs: holds no documents"},
        {" \n\n", "docs: holds no documents"},
        {"Title: only", "docs: document 1 has a title but no text"},
        {"ab\xFF", "docs: byte 3 is not UTF-8"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        syn_documents d;
        syn_status st = syn_documents_parse("docs", cases[k][0], strlen(cases[k][0]), 3, &d);
        assert_int_equal(st, SYN_ERR_FORMAT);
        if (!strstr(syn_error_text(), cases[k][1]))
            fail_msg("%s: %s", cases[k][1], syn_error_text());
    }
    syn_documents d;
    assert_int_equal(syn_documents_load("/nonexistent/docs.json", 3, &d), SYN_ERR_IO);
    assert_int_equal(syn_documents_load("/tmp", 3, &d), SYN_ERR_IO);
}

static void more_documents_than_the_limit_are_refused(void **state)
{
    char *text = malloc(1 << 16);
    size_t n = (size_t)sprintf(text, "[");
    for (int k = 0; k <= SYN_ROUND_DOCUMENTS_MAX; k++)
        n += (size_t)sprintf(text + n, "%s\"x\"", k ? "," : "");
    sprintf(text + n, "]");
    syn_documents d;
    assert_int_equal(syn_documents_parse("docs", text, strlen(text), 3, &d), SYN_ERR_LIMIT);
    free(text);
}

/* The baseline of one agent gets the same template, but is told of no team. */
static void one_agent_alone_is_told_of_no_team(void **state)
{
    static const syn_answer none[SYN_AGENTS_MAX];
    syn_arena arena;
    syn_round_config c;
    syn_team team = {.question = "Where is Lyon?", .item_count = 1};
    syn_round_config_defaults(&c);
    c.agent[0].name = "agent 1";
    team.items[0] = (syn_team_item){.id = "p1", .title = "", .text = "Lyon is in France."};
    team.holds[0] = 1;
    syn_arena_init(&arena, 1 << 20);
    for (team.agents = 1; team.agents <= 3; team.agents += 2) {
        const syn_prompt answer = syn_prompt_answer(&arena, &c, &team, none, 0);
        const syn_prompt final = syn_prompt_final(&arena, &c, &team, none, true);
        assert_int_equal(strstr(answer.system, "Nobody else is asked.") != NULL, team.agents == 1);
        assert_int_equal(strstr(final.system, "Nobody else is asked.") != NULL, team.agents == 1);
        assert_int_equal(strstr(answer.system, "a team of") != NULL, team.agents > 1);
        assert_int_equal(strstr(final.user, "Answers of the team") != NULL, team.agents > 1);
        assert_non_null(strstr(answer.user, "Lyon is in France."));
        assert_non_null(strstr(final.user, "Lyon is in France."));
        assert_non_null(strstr(answer.system, "Reply with one JSON object"));
    }
    syn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_tolerantly),
        cmocka_unit_test(a_short_answer_has_at_most_twenty_words),
        cmocka_unit_test(hostile_replies_cost_little),
        cmocka_unit_test(a_partition_names_every_answer_once),
        cmocka_unit_test(documents_come_as_json_of_three_shapes_or_as_text),
        cmocka_unit_test(bad_documents_are_one_sentence_with_the_place),
        cmocka_unit_test(more_documents_than_the_limit_are_refused),
        cmocka_unit_test(one_agent_alone_is_told_of_no_team),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
