/* `syncog ask` as a user runs it: extractive agents, a fake endpoint, and everything given wrongly.
 */
#include "tests/test.h"

#include <sys/wait.h>

#include <jansson.h>

#include "tests/fake_llm.h"

static char folder[] = "/tmp/syncog-ask-XXXXXX";

static const char docs_text[] =
    "Title: Amber Tide\nAmber Tide is a 1987 drama film directed by Jane Roe.\n\n"
    "Title: Jane Roe\nJane Roe is a French film director. She was born in Lyon.\n\n"
    "Title: Wales\nWales is a country that is part of the United Kingdom.\n";

static const char docs_json[] = "[{\"id\":\"a\",\"title\":\"Amber Tide\",\"text\":\"Amber Tide is "
                                "a 1987 drama film directed by "
                                "Jane Roe.\",\"agents\":[1]},{\"id\":\"b\",\"title\":\"Jane "
                                "Roe\",\"text\":\"Jane Roe is a French "
                                "film director. She was born in Lyon.\",\"agents\":[2,3]}]";

static int set_up(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char line[128];
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line);
}

static const char *file(const char *name, const char *text)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

/* Runs `syncog ask ARGUMENTS`, with standard error after standard output; free() the text. */
static char *ask(const char *environment, const char *arguments, int *code)
{
    char line[2048];
    size_t bytes = 0;
    char *text = calloc(1, 1 << 20);
    snprintf(line, sizeof line, "env -u OPENAI_API_KEY %s %s ask %s 2>&1", environment, SYN_PROGRAM,
             arguments);
    FILE *p = popen(line, "r");
    assert_non_null(p);
    for (size_t n; (n = fread(text + bytes, 1, (1 << 20) - 1 - bytes, p)) > 0;) bytes += n;
    *code = WEXITSTATUS(pclose(p));
    return text;
}

#define QUESTION "--question 'Where was the director of Amber Tide born?'"

static void extractive_agents_answer_from_documents(void **state)
{
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments, QUESTION " --documents %s", file("d.txt", docs_text));
    char *text = ask("", arguments, &code);
    assert_int_equal(code, 0);
    assert_non_null(strstr(text, "Round 1\n"));
    assert_non_null(strstr(text, "  agent 2 -> agent 1  sends p2 (p = 1.00)"));
    assert_non_null(strstr(text, "sufficiency"));
    assert_non_null(strstr(text, "\nAnswer: Lyon\n"));
    assert_non_null(strstr(text, "messages 1"));
    assert_non_null(strstr(text, "tokens 0   cost 0 USD"));
    free(text);
}

static void json_is_one_object_with_the_reply(void **state)
{
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments, QUESTION " --documents %s --json",
             file("d.json", docs_json));
    char *text = ask("", arguments, &code);
    assert_int_equal(code, 0);
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "short_answer")), "Lyon");
    assert_string_equal(json_string_value(json_object_get(j, "policy")), "rule");
    assert_string_equal(json_string_value(json_object_get(j, "mode")), "grounded");
    const json_t *first = json_array_get(json_object_get(j, "dialogue_history"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "agent_id")), 2);
    json_decref(j);
    free(text);
}

static void equal_runs_print_equal_answers(void **state)
{
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments, QUESTION " --documents %s --json",
             file("e.json", docs_json));
    json_t *j[2];
    for (int k = 0; k < 2; k++) {
        char *text = ask("", arguments, &code);
        j[k] = json_loads(text, 0, NULL);
        assert_non_null(j[k]);
        json_object_del(j[k], "timestamp");
        json_object_del(j[k], "execution_time_seconds");
        json_object_del(j[k], "dialogue_history");
        free(text);
    }
    assert_true(json_equal(j[0], j[1]));
    json_decref(j[0]);
    json_decref(j[1]);
}

#define SAYS                                                                                       \
    "{\"choices\":[{\"message\":{\"content\":\"{\\\"answer\\\":\\\"In Lyon.\\\","                  \
    "\\\"short_answer\\\":\\\"Lyon\\\",\\\"confidence\\\":0.9,\\\"claims\\\":[]}\"}}],\"usage\":"  \
    "{\"prompt_tokens\":100,\"completion_tokens\":20,\"cost\":0.001}}"

static void a_language_model_is_asked_in_parallel_and_counted(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.body = SAYS}, 1);
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments,
             QUESTION " --documents %s --provider openai --base-url %s --model m --json",
             file("f.json", docs_json), f->url);
    char *text = ask("OPENAI_API_KEY=sk-test-1", arguments, &code);
    json_t *j = json_loads(text, 0, NULL);
    if (!j) fail_msg("%s", text);
    assert_int_equal(code, 0);
    assert_non_null(strstr(f->last_request, "Bearer sk-test-1"));
    assert_null(strstr(text, "sk-test-1"));
    const json_t *usage = json_object_get(j, "usage");
    int calls = fake_requests(f);
    assert_int_equal(calls, 5); /* three agents, the asker again, the final answer */
    assert_int_equal(json_integer_value(json_object_get(usage, "total_tokens")), 120 * calls);
    assert_true(fabs(json_number_value(json_object_get(usage, "cost_usd")) - .001 * calls) < 1e-9);
    assert_string_equal(json_string_value(json_object_get(j, "final_answer")), "In Lyon.");
    json_decref(j);
    free(text);
    fake_stop(f);
}

static void the_asker_alone_may_be_asked(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.body = SAYS}, 1);
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments,
             QUESTION
             " --documents %s --provider openai --base-url %s --model m --ask asker --json",
             file("asker.json", docs_json), f->url);
    char *text = ask("OPENAI_API_KEY=sk-test-1", arguments, &code);
    json_t *j = json_loads(text, 0, NULL);
    if (!j) fail_msg("%s", text);
    assert_int_equal(code, 0);
    assert_int_equal(fake_requests(f), 1);
    assert_int_equal(json_integer_value(json_object_get(j, "agents_used")), 1);
    assert_string_equal(json_string_value(json_object_get(j, "final_answer")), "In Lyon.");
    json_decref(j);
    free(text);
    fake_stop(f);
}

static void a_provider_of_the_file_is_asked_by_its_name_and_priced(void **state)
{
    static const char says[] =
        "{\"choices\":[{\"message\":{\"content\":\"{\\\"answer\\\":\\\"In Lyon.\\\"}\"}}],"
        "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20}}";
    fake_llm *f = fake_start(&(fake_step){.body = says}, 1);
    char arguments[512], path[128], text[512];
    int code;
    snprintf(text, sizeof text,
             "{\"providers\":[{\"name\":\"mine\",\"base_url\":\"%s\",\"model\":\"m1\","
             "\"api_key_env\":\"MY_KEY\",\"options\":{\"thinking\":false},\"prices\":{\"*\":"
             "{\"prompt_usd_per_million\":10,\"completion_usd_per_million\":100}}}]}",
             f->url);
    snprintf(path, sizeof path, "%s", file("providers.json", text));
    const char *const named[] = {"mine", "auto"};
    for (int k = 0; k < 2; k++) {
        snprintf(arguments, sizeof arguments,
                 "--question 'Where?' --provider %s --providers-file %s --json %s", named[k], path,
                 k ? "--model mine:m2" : "--model m2");
        char *said = ask("MY_KEY=sk-mine", arguments, &code);
        json_t *j = json_loads(said, 0, NULL);
        if (!j) fail_msg("%s", said);
        const json_t *usage = json_object_get(j, "usage");
        double calls = json_number_value(json_object_get(usage, "calls"));
        double cost = json_number_value(json_object_get(usage, "cost_usd"));
        assert_true(fabs(cost - calls * (100 * 10e-6 + 20 * 100e-6)) < 1e-9);
        assert_non_null(strstr(f->last_request, "Bearer sk-mine"));
        assert_non_null(strstr(f->last_request, "\"model\":\"m2\""));
        assert_non_null(strstr(f->last_request, "\"thinking\":false"));
        json_decref(j);
        free(said);
    }
    snprintf(arguments, sizeof arguments, "--question x --provider mine --providers-file %s", path);
    char *said = ask("", arguments, &code);
    assert_int_equal(code, 2);
    assert_non_null(strstr(said, "needs a key in the environment variable MY_KEY"));
    free(said);
    fake_stop(f);
}

static void a_team_survives_one_failing_agent(void **state)
{
    const fake_step steps[] = {{.status = 401, .body = "{}"}, {.body = SAYS}};
    fake_llm *f = fake_start(steps, 2);
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments,
             "--question 'Where?' --provider openai --base-url %s --model m --json", f->url);
    char *text = ask("", arguments, &code);
    json_t *j = json_loads(text, 0, NULL);
    if (!j) fail_msg("%s", text);
    assert_int_equal(code, 0);
    assert_int_equal(json_array_size(json_object_get(j, "agents_failed")), 1);
    assert_string_equal(json_string_value(json_object_get(j, "mode")), "open");
    json_decref(j);
    free(text);
    fake_stop(f);
}

static void a_deadline_with_nothing_answered_is_one_sentence(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.mode = FAKE_STALL}, 1);
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments,
             "--question 'Where?' --provider openai --base-url %s --timeout 0.3 --json", f->url);
    char *text = ask("", arguments, &code);
    assert_int_equal(code, 1);
    assert_string_equal(text, "syncog: no agent answered within 0.3 s\n");
    free(text);
    fake_stop(f);
}

static void what_is_wrong_is_said_in_one_sentence(void **state)
{
    char docs[128], cut[128], empty[128];
    snprintf(docs, sizeof docs, "%s", file("g.json", docs_json));
    snprintf(cut, sizeof cut, "%s", file("cut.json", "[{\"text\": \"x\""));
    snprintf(empty, sizeof empty, "%s", file("empty.txt", ""));
    struct {
        const char *format, *file;
        int code;
        const char *said;
    } cases[] = {
        {"%s", "", 2, "--question is missing"},
        {"--question ' ' --documents %s", docs, 2, "--question is missing"},
        {QUESTION "%s", "", 2, "extractive agents need --documents FILE"},
        {QUESTION "%s --provider openai", "", 2,
         "needs a key in the environment variable OPENAI_API_KEY"},
        {QUESTION "%s --provider openai --base-url http://example.org/v1", "", 2, "key"},
        {QUESTION " --documents %s", "/nonexistent.json", 1, "/nonexistent.json: No such file"},
        {QUESTION " --documents %s", folder, 1, "is a folder"},
        {QUESTION " --documents %s", cut, 1, "damaged JSON at line 1"},
        {QUESTION " --documents %s", empty, 1, "holds no documents"},
        {QUESTION " --documents %s --agents 2", docs, 1, "\"agents\" names none of 1 to 2"},
        {QUESTION " --documents %s --agents 11", docs, 2, "agents"},
        {QUESTION "%s --ask asker --provider openai --model m", "", 2, "--ask asker needs"},
        {QUESTION " --documents %s --rounds 1 --min-rounds 2", docs, 2, "--min-rounds is larger"},
        {QUESTION " --documents %s --provider magic", docs, 2, "provider"},
        {QUESTION " --documents %s --modle x", docs, 2, "model"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char arguments[512];
        int code;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(arguments, sizeof arguments, cases[k].format, cases[k].file);
#pragma GCC diagnostic pop
        char *text = ask("", arguments, &code);
        size_t n = strlen(text);
        if (code != cases[k].code || !strstr(text, cases[k].said) || n == 0 ||
            strchr(text, '\n') != text + n - 1)
            fail_msg("%s: exit %d: %s", arguments, code, text);
        free(text);
    }
}

static void outside_text_cannot_move_the_cursor(void **state)
{
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments,
             "--question 'Who directed Amber Tide?' --agents 2 --documents %s",
             file("esc.txt", "Amber Tide was directed by Jane\033[2J Roe\xC2\x9B"
                             "31m and \r others."));
    char *text = ask("", arguments, &code);
    assert_int_equal(code, 0);
    assert_null(strchr(text, '\033'));
    assert_null(strchr(text, '\r'));
    assert_null(strstr(text, "\xC2\x9B"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extractive_agents_answer_from_documents),
        cmocka_unit_test(json_is_one_object_with_the_reply),
        cmocka_unit_test(equal_runs_print_equal_answers),
        cmocka_unit_test(a_language_model_is_asked_in_parallel_and_counted),
        cmocka_unit_test(the_asker_alone_may_be_asked),
        cmocka_unit_test(a_provider_of_the_file_is_asked_by_its_name_and_priced),
        cmocka_unit_test(a_team_survives_one_failing_agent),
        cmocka_unit_test(a_deadline_with_nothing_answered_is_one_sentence),
        cmocka_unit_test(what_is_wrong_is_said_in_one_sentence),
        cmocka_unit_test(outside_text_cannot_move_the_cursor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
