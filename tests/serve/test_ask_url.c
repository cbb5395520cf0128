/* `syncog ask --url`: what a running service says is printed as if it had been done here. */
#include "tests/fake_llm.h"
#include "tests/serve/service_world.h"

#include <sys/wait.h>

static const char docs[] =
    "Title: Amber Tide\nAmber Tide is a 1987 drama film directed by Jane Roe.\n\n"
    "Title: Jane Roe\nJane Roe is a French film director. She was born in Lyon.\n\n"
    "Title: Wales\nWales is a country that is part of the United Kingdom.\n";

static svc world;
static const char *key;
static char docs_path[128], here[64];

static int set_up(void **state)
{
    svc_begin(&world);
    key = svc_key(&world, "default", "pro");
    svc_run(&world);
    snprintf(here, sizeof here, "http://127.0.0.1:%d", world.port);
    snprintf(docs_path, sizeof docs_path, "%s/docs.txt", world.folder);
    FILE *f = fopen(docs_path, "w");
    if (!f) return -1;
    fputs(docs, f);
    return fclose(f);
}

static int tear_down(void **state)
{
    svc_end(&world);
    return 0;
}

/* Runs `syncog ask`, with standard error after standard output; free() the text. */
static char *ask(const char *environment, const char *arguments, int *code)
{
    char line[2048];
    size_t bytes = 0;
    char *text = calloc(1, 1 << 20);
    snprintf(line, sizeof line, "env -u SYNCOG_API_KEY -u CHECKPOINT_DIR %s %s ask %s 2>&1",
             environment, SYN_PROGRAM, arguments);
    FILE *p = popen(line, "r");
    assert_non_null(p);
    for (size_t n; (n = fread(text + bytes, 1, (1 << 20) - 1 - bytes, p)) > 0;) bytes += n;
    *code = WEXITSTATUS(pclose(p));
    return text;
}

#define QUESTION "--question 'Where was the director of Amber Tide born?'"

static char *ask_there(const char *more, int *code)
{
    char environment[256], arguments[512];
    snprintf(environment, sizeof environment, "SYNCOG_API_KEY=%s", key);
    snprintf(arguments, sizeof arguments, QUESTION " --documents %s --url %s %s", docs_path, here,
             more);
    return ask(environment, arguments, code);
}

/* The time that it took differs. */
static void cut_time(char *text)
{
    char *at = strstr(text, "   time ");
    assert_non_null(at);
    *at = 0;
}

static void it_prints_what_a_collaboration_here_does(void **state)
{
    char arguments[512];
    int code;
    snprintf(arguments, sizeof arguments, QUESTION " --documents %s", docs_path);
    char *local = ask("", arguments, &code);
    assert_int_equal(code, 0);
    char *remote = ask_there("", &code);
    if (code != 0) fail_msg("%s", remote);
    cut_time(local);
    cut_time(remote);
    assert_string_equal(remote, local);
    assert_non_null(strstr(remote, "\nAnswer: Lyon\n"));
    free(local);
    free(remote);
}

static void json_is_the_services_reply(void **state)
{
    int code;
    char *text = ask_there("--json --agents 4 --rounds 1", &code);
    json_t *j = json_loads(text, 0, NULL);
    if (!j) fail_msg("%s", text);
    assert_int_equal(code, 0);
    assert_string_equal(json_string_value(json_object_get(j, "short_answer")), "Lyon");
    assert_non_null(json_string_value(json_object_get(j, "id")));
    assert_int_equal(json_integer_value(json_object_get(j, "num_rounds")), 1);
    json_decref(j);
    free(text);
}

static void a_service_asks_the_asker_alone_too(void **state)
{
    int code;
    char *text = ask_there("--json --ask asker", &code);
    json_t *j = json_loads(text, 0, NULL);
    if (!j) fail_msg("%s", text);
    assert_int_equal(code, 0);
    assert_string_equal(json_string_value(json_object_get(j, "short_answer")), "Lyon");
    assert_int_equal(json_integer_value(json_object_get(j, "agents_used")), 1);
    json_decref(j);
    free(text);
}

static void refusals_are_one_sentence(void **state)
{
    char closed[64], wrong[256];
    int code;
    snprintf(closed, sizeof closed, "http://127.0.0.1:%d", fake_closed_port());
    fake_llm *f = fake_start(&(fake_step){.body = "<html>\n</html>\n"}, 1);
    snprintf(wrong, sizeof wrong, "http://127.0.0.1:%d", f->port);
    const struct {
        const char *url, *more, *said;
    } cases[] = {{here, "", "HTTP status 401: "},
                 {closed, "", "no connection; is 'syncog serve' running there?"},
                 {wrong, "", "the reply is not that of syncog"},
                 {"http://example.org", "", "--url: plain http is for this machine only"},
                 {"https://user@example.org", "", "--url: not an address"},
                 {here, "--api-key-env HOME", "HTTP status 401: "}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char arguments[512];
        snprintf(arguments, sizeof arguments, "--question x --url %s %s", cases[k].url,
                 cases[k].more);
        char *text = ask("", arguments, &code);
        size_t n = strlen(text);
        if (code != 1 || !strstr(text, cases[k].said) || strchr(text, '\n') != text + n - 1)
            fail_msg("%s: exit %d: %s", arguments, code, text);
        free(text);
    }
    fake_stop(f);
    char *text = ask_there("--provider magic", &code);
    assert_int_equal(code, 1);
    assert_non_null(strstr(text, "HTTP status 400: "));
    free(text);
    static const char *const local[] = {"--seed 1", "--reply-tokens 64"};
    for (int k = 0; k < 2; k++) {
        text = ask_there(local[k], &code);
        assert_int_equal(code, 2);
        if (!strstr(text, " is not for --url: ")) fail_msg("%s", text);
        free(text);
    }
    text = ask("", "--url http://127.0.0.1:1", &code);
    assert_int_equal(code, 2);
    assert_non_null(strstr(text, "--question is missing"));
    free(text);
}

static void a_reply_that_breaks_off_is_said_to(void **state)
{
    const fake_step steps[] = {
        {.mode = FAKE_CUT, .body = "{\"type\":\"round\",\"round\":1}\n"},
        {.body = "{\"type\":\"round\",\"round\":1}\n"},
        {.body = "{\"type\":\"error\",\"agent_id\":null,\"detail\":\"no\\u001b[2J agent\"}\n"},
        {.body = "17\n"}};
    const char *const said[] = {"the reply broke off", "the reply broke off", "no [2J agent",
                                "is not that of syncog"};
    fake_llm *f = fake_start(steps, 4);
    for (int k = 0; k < 4; k++) {
        char arguments[256];
        int code;
        snprintf(arguments, sizeof arguments, "--question x --json --url http://127.0.0.1:%d",
                 f->port);
        char *text = ask("", arguments, &code);
        if (code != 1 || !strstr(text, said[k])) fail_msg("case %d: exit %d: %s", k, code, text);
        assert_null(strchr(text, '\033'));
        free(text);
    }
    assert_int_equal(strncmp(f->last_request, "POST /api/v1/collaborate/stream HTTP/1.1\r\n", 42),
                     0);
    fake_stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_prints_what_a_collaboration_here_does),
        cmocka_unit_test(json_is_the_services_reply),
        cmocka_unit_test(a_service_asks_the_asker_alone_too),
        cmocka_unit_test(refusals_are_one_sentence),
        cmocka_unit_test(a_reply_that_breaks_off_is_said_to),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
