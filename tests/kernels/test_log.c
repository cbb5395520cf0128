/* Every message is one line, in one write, whatever it holds; progress speaks only when work is
 * long. */
#include "tests/test.h"

#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"

static char output[1 << 16];

/* Runs `body` in a child with these settings (the log reads them once) and keeps its stderr. */
static void run(const char *format, const char *level, void (*body)(void))
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        setenv("LOG_FORMAT", format, 1);
        setenv("LOG_LEVEL", level, 1);
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t have = 0;
    for (ssize_t n; (n = read(ends[0], output + have, sizeof output - 1 - have)) > 0;) {
        have += (size_t)n;
    }
    output[have] = 0;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static int line_count(void)
{
    int n = 0;
    for (const char *c = output; *c; c++) n += *c == '\n';
    return n;
}

static void each_level(void)
{
    syn_log(SYN_LOG_DEBUG, "d");
    syn_log(SYN_LOG_INFO, "i");
    syn_log(SYN_LOG_WARN, "w");
    syn_log(SYN_LOG_ERROR, "e");
}

static void hostile(void)
{
    syn_log(SYN_LOG_INFO, "%s",
            "line\nbreak \"quote\" back\\slash \x1b[31m \xff\xc3\x28 \xc3\xa9 \xed\xa0\x80");
}

static void enormous(void)
{
    char text[9000];
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = 0;
    syn_log(SYN_LOG_WARN, "%s", text);
}

static void levels_filter(void **state)
{
    run("text", "info", each_level);
    assert_int_equal(line_count(), 3);
    run("text", "error", each_level);
    assert_int_equal(line_count(), 1);
    assert_non_null(strstr(output, " error e\n"));
    run("text", "debug", each_level);
    assert_int_equal(line_count(), 4);
    run("text", "nonsense", each_level);
    assert_int_equal(line_count(), 3);
}

static void a_message_is_one_line_of_text(void **state)
{
    run("text", "info", hostile);
    assert_int_equal(line_count(), 1);
    assert_null(strchr(output, 0x1b));
    assert_non_null(strstr(output, "line\\x0abreak \"quote\""));
    assert_non_null(strstr(output, "\xc3\xa9"));
}

static void a_message_is_one_json_object(void **state)
{
    json_error_t error;
    run("json", "info", hostile);
    assert_int_equal(line_count(), 1);
    json_t *line = json_loads(output, 0, &error);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "info");
    assert_string_equal(
        json_string_value(json_object_get(line, "msg")),
        "line\nbreak \"quote\" back\\slash \x1b[31m \xef\xbf\xbd\xef\xbf\xbd( \xc3\xa9 "
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(line);
}

static void a_huge_message_is_cut(void **state)
{
    json_error_t error;
    run("json", "info", enormous);
    json_t *line = json_loads(output, 0, &error);
    assert_non_null(line);
    assert_int_equal(json_string_length(json_object_get(line, "msg")), 4095);
    json_decref(line);
}

/* ---- progress ---- */

static void short_work(void)
{
    syn_progress p;
    syn_progress_begin(&p, "train", "steps", 100);
    for (int i = 0; i <= 100; i++) syn_progress_update(&p, i, NULL);
    syn_progress_end(&p);
}

/* Work that began eleven seconds ago. */
static void long_work(void)
{
    syn_progress p;
    syn_progress_begin(&p, "train", "steps", 4000000);
    p.started_s -= 11;
    p.shown_s -= 11;
    syn_progress_update(&p, 1000000, "return %.1f", 12.1);
    syn_progress_update(&p, 1000001, NULL); /* ten seconds have not passed */
    syn_progress_end(&p);
}

static void quiet_work(void)
{
    setenv("SYNCOG_QUIET", "1", 1);
    long_work();
}

static void short_work_is_silent(void **state)
{
    run("text", "info", short_work);
    assert_string_equal(output, "");
}

static void long_work_says_a_line(void **state)
{
    run("text", "info", long_work);
    assert_int_equal(line_count(), 2);
    assert_non_null(strstr(output, "train  25% 1000k/4000k steps, "));
    assert_non_null(strstr(output, " left  return 12.1\n"));
    assert_non_null(strstr(output, "train took 0:11\n"));
}

static void quiet_is_quiet(void **state)
{
    run("text", "info", quiet_work);
    assert_string_equal(output, "");
}

static void the_clock_runs_forward(void **state)
{
    double a = syn_clock_s();
    usleep(2000);
    double b = syn_clock_s();
    assert_true(b - a > 0.001 && b - a < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_filter),
        cmocka_unit_test(a_message_is_one_line_of_text),
        cmocka_unit_test(a_message_is_one_json_object),
        cmocka_unit_test(a_huge_message_is_cut),
        cmocka_unit_test(short_work_is_silent),
        cmocka_unit_test(long_work_says_a_line),
        cmocka_unit_test(quiet_is_quiet),
        cmocka_unit_test(the_clock_runs_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
