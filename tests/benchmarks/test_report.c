/* `syncog report`: one page from a run's metrics, an evaluation, or both. It shows what the files
 * say, escapes it, passes over what is damaged, and is well formed whatever they hold. */
#include "tests/benchmarks/pages.h"

#include <time.h>
#include <utime.h>

#include "benchmarks/report.h"
#include "benchmarks/report_axis.h"
#include "benchmarks/report_format.h"

static const char metrics[] =
    "{\"update\":1,\"env_steps\":100,\"return\":-1.5,\"kl\":0.01,\"kl_stopped\":false,"
    "\"actions\":{\"send\":30,\"answer\":10}}\n"
    "{\"update\":2,\"env_steps\":200,\"return\":2.25,\"kl\":0.03,\"kl_stopped\":true,"
    "\"actions\":{\"send\":20,\"answer\":20},\"held_out_return\":3.5,\"held_out_success\":0.75}\n"
    "{\"update\":3,\"env_steps\":300,\"return\":4,\"kl\":0.015,\"kl_stopped\":false,"
    "\"actions\":{\"send\":10,\"answer\":30},\"note\":\"words\",\"nothing\":null}\n"
    "{\"update\":4,\"env_steps\":400,\"return\":4.5,\"kl\":0.01,\"kl_stopped\":false,"
    "\"actions\":{\"send\":0,\"answer\":40},\"held_out_return\":3.25,\"odd_one\":7}\n";

/* folder/NAME with these lines and, where there is one, a manifest. */
static void run_write(const char *name, const char *lines, const char *manifest)
{
    char path[64];
    mkdir(path_of(name), 0700);
    snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    text_write(path, lines);
    snprintf(path, sizeof path, "%s/manifest.json", name);
    if (manifest) text_write(path, manifest);
}

/* ---- Curves ---- */

static void curves_carry_the_figures_of_the_file(void **state)
{
    run_write("small", metrics, NULL);
    char *page = page_of("small");
    assert_has(page, "data-x=\"100 200 300 400\"");
    assert_has(page, "data-y=\"-1.5 2.25 4 4.5\"><i></i>training <b>4.5</b>");
    assert_has(page, "data-y=\"- 3.5 - 3.25\"><i></i>held-out <b>3.25</b>");
    assert_has(page, "data-y=\"75.0% 50.0% 25.0% 0.0%\"><i></i>send <b>0.0%</b>"); /* shares */
    assert_has(page, ">best 3.5</text>");
    assert_has(page, "<b>3.5</b><span>held-out, at 200</span>");
    assert_has(page, "<b>25</b><span>of all updates</span>"); /* stopped by KL, % */
    /* return, success, actions, KL, and the one that nobody knows */
    assert_int_equal(occurrences(page, "<figure"), 5);
    assert_has(page, "<h3>odd one</h3>");
    assert_lacks(page, "words");
    free(page);
    page = page_of("small/metrics.jsonl"); /* the file will do */
    assert_int_equal(occurrences(page, "<figure"), 5);
    free(page);
}

static void options_draw_their_lines_and_stand_among_the_facts(void **state)
{
    run_write(
        "facts", metrics,
        "{\"config\":{\"parts\":0,\"config\":{\"kl_stop\":0.02,\"seed\":17,\"goal\":\"asker\"}},"
        "\"created\":\"2026-01-31T12:00:00Z\",\"tensors\":[{\"name\":\"w\"}],\"provenance\":{"
        "\"sources\":[{\"name\":\"some data\",\"licence\":\"CC BY 4.0\"}],\"fold\":3}}");
    char *page = page_of("facts");
    assert_has(page, "class=\"stop\"");
    assert_has(page, ">stop 0.02</text>");
    assert_has(page, "<tr><th>seed</th><td>17</td></tr>");
    assert_has(page, "<tr><th>sources.0.licence</th><td>CC BY 4.0</td></tr>");
    assert_has(page, "<tr><th>created</th><td>2026-01-31T12:00:00Z</td></tr>");
    assert_lacks(page, "tensors");
    free(page);
    text_write("facts/manifest.json", "{broken"); /* the curves do not depend on it */
    page = page_of("facts");
    assert_lacks(page, "Facts of the run");
    free(page);
}

static void curves_of_one_kind_share_a_chart(void **state)
{
    run_write(
        "kinds",
        "{\"env_steps\":1,\"pool\":{\"a\":1,\"b\":2,\"c\":3},\"held_out_pool\":4,\"lr_actor\":1,"
        "\"lr_critic\":2,\"seconds\":{\"update\":9,\"env\":1,\"forward\":2,\"backward\":1}}\n",
        NULL);
    char *page = page_of("kinds");
    assert_int_equal(occurrences(page, "<figure"), 4);
    assert_int_equal(occurrences(page, "class=\"key"), 4 + 2 + 1 + 3);
    assert_has(page, "<h3>pool</h3>");
    assert_has(page, "<h3>Learning rate</h3>");
    assert_has(page, "<h3>Seconds per update</h3>");
    assert_has(page, "data-y=\"50.0%\"><i></i>forward <b>50.0%</b>"); /* of the parts */
    free(page);
}

static void texts_are_escaped(void **state)
{
    run_write("evil",
              "{\"env_steps\":1,\"</script><script>alert(1)</script>\":2,\"a\\\"b'<i>\":1,"
              "\"\\u0001\\u009f\\ufffe&amp;\":5}\n",
              "{\"config\":{\"goal\":\"<img onerror=alert(2)>\",\"&\":\"\\u0007\"}}");
    text_write("evil.json",
               "{\"dataset\":\"<script>alert(3)\",\"best_untrained\":\"<b>\",\"difference\":{"
               "\"return\":1,\"message_ratio\":1},\"policies\":{\"<script>alert(4)\":{\"<u>\":1,"
               "\"messages\":1,\"success\":1}},\"list\":[{\"<s>\":1},{\"<s>\":2}]}");
    char *page = page_of("evil --eval evil.json");
    assert_lacks(page, "<script>alert");
    assert_lacks(page, "<img");
    assert_int_equal(occurrences(page, "<script"), 1);
    assert_has(page, "&lt;/script&gt;&lt;script&gt;alert(1)");
    assert_has(page, "a&quot;b&#39;&lt;i&gt;");
    assert_has(page, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&amp;amp;");
    for (const char *p = page; *p; p++)
        if ((unsigned char)*p < 0x20 && *p != '\n') fail_msg("a control character is in the page");
    free(page);
    assert_works("report evil --eval evil.json --format markdown");
    assert_lacks(said, "<script>");
}

static void strange_figures_do_not_break_a_page(void **state)
{
    static const char *const lines[] = {
        "{\"env_steps\":0,\"return\":0}\n",
        "{\"env_steps\":5,\"return\":1e308}\n{\"env_steps\":6,\"return\":-1e308}\n",
        "{\"env_steps\":1e15,\"grad_norm\":1e-300}\n{\"env_steps\":1000000000000001,\"grad_norm\":"
        "1}"
        "\n",
        "{\"env_steps\":1,\"value_loss\":0}\n{\"env_steps\":2,\"value_loss\":1e6}\n",
        "{\"env_steps\":1,\"return\":1e17}\n{\"env_steps\":2,\"return\":100000000000000001}\n",
        "{\"env_steps\":1,\"lr_actor\":1e-12,\"actions\":{\"a\":-1,\"b\":0}}\n",
        "{\"env_steps\":3,\"return\":7}\n{\"env_steps\":4,\"return\":null,\"success\":[1,2,[3]]}\n",
        "{\"update\":1,\"x\":{\"y\":{\"z\":1}},\"w\":true}\n",
        "{\"env_steps\":1,\"a.b\":1,\"a\":{\"b\":2,\"c\":3},\"a.\":4,\".\":5,\"\":6}\n"};
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        run_write("strange", lines[k], NULL);
        free(page_of("strange"));
        assert_works("report strange --format markdown");
        assert_works("report strange --format csv");
    }
}

/* ---- Damaged files ---- */

static void damaged_lines_are_passed_over_and_counted(void **state)
{
    char *lines = malloc(200000);
    size_t n = (size_t)sprintf(lines,
                               "%s{\"env_steps\":500,\"return\"\n[1]\n\n\xff\xfe\n"
                               "{\"return\":3}\n{\"env_steps\":-3}\n{\"env_steps\":7,\"x\":\"",
                               metrics);
    memset(lines + n, 'x', SYN_REPORT_LINE_MAX); /* a line too long */
    n += SYN_REPORT_LINE_MAX;
    n += (size_t)sprintf(lines + n,
                         "\"}\n{\"env_steps\":600,\"return\":6}\n{\"env_steps\":700,\"ret");
    run_write("damaged", lines, NULL);
    free(lines);
    char *page = page_of("damaged");
    assert_has(page, "Damaged lines that were passed over: 6."); /* not the half-written last */
    assert_has(page, "data-x=\"100 200 300 400 600\"");
    free(page);
}

static void what_a_resumed_run_wrote_again_is_shown_once(void **state)
{
    run_write(
        "again",
        "{\"env_steps\":1,\"return\":1}\n{\"env_steps\":2,\"return\":2,\"held_out_return\":9}\n"
        "{\"env_steps\":3,\"return\":3}\n{\"env_steps\":2,\"return\":20}\n",
        NULL);
    char *page = page_of("again");
    assert_has(page, "Updates that a resumed run has replaced: 2.");
    assert_has(page, "data-x=\"1 2\"");
    assert_has(page, "data-y=\"1 20\"");
    assert_lacks(page, "best 9");
    free(page);
}

static void there_is_a_cap_on_curves(void **state)
{
    char line[8192];
    size_t n = (size_t)sprintf(line, "{\"env_steps\":1");
    for (int k = 0; k < 200; k++) n += (size_t)sprintf(line + n, ",\"curve%03d\":%d", k, k);
    sprintf(line + n, "}\n");
    run_write("many", line, NULL);
    char *page = page_of("many");
    assert_has(page, "Figures beyond the first 96 curves, not shown: 104.");
    assert_int_equal(occurrences(page, "<figure"), SYN_REPORT_CURVES_MAX);
    free(page);
}

static void faults_are_one_sentence(void **state)
{
    static const struct {
        const char *arguments, *words;
        int code;
    } cases[] = {
        {"", "report: give one RUN", 2},
        {"small two --out x.html", "report: give one RUN", 2},
        {"small", "report: --out is missing", 2},
        {"small --out x.html --format pdf", "html|markdown|csv", 2},
        {"small --ot x.html", "did you mean --out?", 2},
        {"nowhere --out x.html", "nowhere: cannot be read: No such file or directory", 1},
        {"nothing --out x.html", "nothing: holds no metrics.jsonl: give the folder", 1},
        {"empty --out x.html", "empty/metrics.jsonl: holds no update so far", 1},
        {"rubbish --out x.html",
         "rubbish/metrics.jsonl: none of its 2 lines is a JSON object with env_steps", 1},
        {"folder --out x.html", "folder/metrics.jsonl: is no file", 1},
        {"other.json --out x.html", "other.json: is not what 'syncog eval --json' prints", 1},
        {"list.json --out x.html", "list.json: is not one JSON object", 1},
        {"cut.json --out x.html", "cut.json:1:", 1},
        {"long.json --out x.html", "long.json: is longer than 16 MiB", 1},
        {"small --eval nowhere.json --out x.html", "nowhere.json: cannot be read", 1},
        {"good.json --eval good.json --out x.html", "is an evaluation already", 2},
        {"small --out no/such/folder/x.html", "no/such/folder", 1},
        {"small --out folder", "folder", 1},
    };
    run_write("small", metrics, NULL);
    run_write("empty", "", NULL);
    run_write("rubbish", "rubbish\n{\"x\":1}\n", NULL);
    mkdir(path_of("nothing"), 0700);
    mkdir(path_of("folder"), 0700);
    mkdir(path_of("folder/metrics.jsonl"), 0700);
    text_write("other.json", "{\"x\":1}");
    text_write("list.json", "[]");
    text_write("cut.json", "{\"policies\":{");
    text_write("good.json", "{\"policies\":{}}");
    text_write("long.json", "{}");
    assert_int_equal(truncate(path_of("long.json"), (SYN_REPORT_JSON_MAX) + 1), 0);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int code = syncog("report %s", cases[k].arguments);
        assert_one_sentence(cases[k].arguments, code, cases[k].code, cases[k].words);
    }
    assert_int_not_equal(access(path_of("x.html"), F_OK), 0);
}

static void a_file_size_limit_leaves_the_page_before(void **state)
{
    size_t bytes;
    run_write("small", metrics, NULL);
    text_write("old.html", "old");
    int code = syncog("--version; ulimit -f 2; '%s' report small --out old.html", SYN_PROGRAM);
    assert_int_equal(code, 1);
    assert_non_null(strstr(complained, "old.html: cannot be written: File too large"));
    char *page = file_read(path_of("old.html"), &bytes);
    assert_string_equal(page, "old");
    free(page);
    assert_int_equal(syncog("report small --format csv >/dev/full"), 1);
    assert_non_null(strstr(complained, "the report cannot be printed: No space left on device"));
}

/* ---- The state of a run ---- */

static void a_page_says_whether_the_run_goes_on(void **state)
{
    static const struct {
        double asked, age_s;
        const char *word;
        int waits;
    } cases[] = {{400, 5, ">finished<", 0},      {401, 5, ">still going<", 1},
                 {401, 500, ">still going<", 1}, {401, 5000, ">ended early<", 0},
                 {0, 5, ">still going<", 1},     {0, 500, ">ended<", 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char manifest[128];
        snprintf(manifest, sizeof manifest, "{\"config\":{\"env_steps\":%.0f}}", cases[k].asked);
        run_write("state", metrics, cases[k].asked > 0 ? manifest : "{}");
        const time_t then = time(NULL) - (time_t)cases[k].age_s;
        const struct utimbuf times = {then, then};
        assert_int_equal(utime(path_of("state/metrics.jsonl"), &times), 0);
        char *page = page_of("state"), written[SYN_NUMBER_TEXT];
        assert_has(page, cases[k].word);
        assert_has(page, syn_time_text((double)then, written));
        assert_int_equal(occurrences(page, "make it again"), cases[k].waits);
        free(page);
    }
}

/* ---- Evaluations ---- */

static const char evaluation[] =
    "{\"dataset\":\"some set\",\"records\":60,\"episodes\":800,\"best_untrained\":\"round_robin\","
    "\"gap\":{\"auroc\":0.984,\"calibration\":[{\"count\":0,\"predicted\":null,\"observed\":null},"
    "{\"count\":10,\"predicted\":0.25,\"observed\":0.5}]},\"difference\":{\"return\":2.5,"
    "\"return_ci95\":[1.5,3.5],\"message_ratio\":0.25,\"message_ratio_ci95\":[0.2,0.3]},"
    "\"policies\":{\"round_robin\":{\"return\":10,\"success\":0.85,\"messages\":7,\"ended\":1},"
    "\"oracle\":{\"return\":18,\"success\":1,\"messages\":1,\"ended\":1},"
    "\"learned\":{\"return\":12.5,\"success\":0.85,\"messages\":1.75,\"ended\":1,\"by_agents\":{"
    "\"2\":{\"return\":11},\"10\":{\"return\":13}}}},\"ablations\":{},"
    "\"sweep\":{\"points\":[{\"bias\":1,\"test\":{\"messages\":1,\"success\":0.8}},"
    "{\"bias\":-1,\"test\":{\"messages\":2,\"success\":0.86}}]}}";

static void an_evaluation_is_shown_with_the_best_marked(void **state)
{
    text_write("eval.json", evaluation);
    char *page = page_of("eval.json");
    assert_has(page, "Evaluation on some set");
    assert_has(page, "<td class=\"best\">12.50</td>");
    assert_has(page, "<td class=\"best\">1.75</td>");
    assert_has(page, "<td>18.00</td>"); /* an oracle is no rival */
    assert_has(page, "<td>1.00</td>");
    /* 0.85 is as good as 0.85, and all end: nothing to mark */
    assert_int_equal(occurrences(page, "class=\"best\""), 2);
    assert_has(page, "return <strong>+2.50</strong> [1.50, 3.50], <strong>25 %</strong> [20, 30]");
    assert_has(page, "observed 0.5</title>");
    assert_int_equal(occurrences(page, "observed 0.5"), 1);
    assert_has(page, "learned by agents");
    assert_has(page, "sweep points");
    assert_has(page, "<title>learned: 1.75, 0.85</title>");
    assert_has(page, "<title>2, 0.86</title>"); /* a point of the curve */
    free(page);
    run_write("small", metrics, NULL);
    page = page_of("small --eval eval.json");
    assert_has(page, "How well it plays");
    assert_has(page, "Evaluation on some set");
    free(page);
}

static void evaluations_of_any_shape_make_a_page(void **state)
{
    static const char *const texts[] = {
        "{\"policies\":{}}",
        "{\"gap\":{}}",
        "{\"gap\":{\"auroc\":null}}",
        "{\"policies\":{\"a\":1,\"b\":[],\"c\":{\"messages\":1e300,\"success\":-1e300}}}",
        "{\"policies\":{\"learned\":{\"messages\":0,\"success\":0,\"success_message_curve\":[1,[],"
        "[1],[null,2],[\"x\",3]]}},\"ablations\":[1,2],\"difference\":[],\"best_untrained\":3}",
        "{\"gap\":{\"calibration\":[{\"predicted\":2,\"observed\":3},{\"predicted\":-1,"
        "\"observed\":"
        "0}]},\"sweep\":{\"points\":[{},{}]},\"x\":[[[]]],\"y\":{\"z\":{\"w\":{\"v\":{\"u\":1}}}}"
        "}"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        text_write("shape.json", texts[k]);
        free(page_of("shape.json"));
        assert_works("report shape.json --format markdown");
        assert_works("report shape.json --format csv");
    }
}

static void a_crowd_of_policies_is_cut_and_takes_no_time(void **state)
{
    enum { CROWD = 30000 };
    char *text = malloc(64 * CROWD);
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "{\"policies\":{");
    for (int k = 0; k < CROWD; k++)
        n += (size_t)sprintf(text + n, "%s\"p%d\":{\"return\":%d}", k ? "," : "", k, k % 100);
    strcpy(text + n, "}}");
    text_write("crowd.json", text);
    free(text);
    char *page = page_of("crowd.json");
    assert_has(page, "<th>p63</th>");
    assert_null(strstr(page, "<th>p65</th>"));
    free(page);
    const time_t begun = time(NULL);
    assert_works("report crowd.json --format markdown --out crowd.md");
    assert_true(time(NULL) - begun < 4);
}

/* ---- Text ---- */

static void csv_and_markdown_hold_the_same_figures(void **state)
{
    run_write("small", metrics, NULL);
    assert_works("report small --format csv");
    assert_string_equal(said, "env_steps,update,return,kl,kl_stopped,actions.send,actions.answer,"
                              "held_out_return,held_out_success,odd_one\n"
                              "100,1,-1.5,0.01,0,30,10,,,\n"
                              "200,2,2.25,0.03,1,20,20,3.5,0.75,\n"
                              "300,3,4,0.015,0,10,30,,,\n"
                              "400,4,4.5,0.01,0,0,40,3.25,,7\n");
    assert_works("report small --format markdown");
    assert_has(said, "Best held-out return 3.5 at 200.");
    assert_has(said, "| return | 4.5 | 4.5 | -1.5 | 4.5 |\n");
    text_write("eval.json", evaluation);
    assert_works("report eval.json --format csv");
    assert_string_equal(said, "policy,return,success,messages,ended\nround_robin,10,0.85,7,1\n"
                              "oracle,18,1,1,1\nlearned,12.5,0.85,1.75,1\n");
    assert_works("report eval.json --format markdown");
    assert_has(said, "| learned | **12.5** | 0.85 | **1.75** | 1 |");
}

static void numbers_are_short(void **state)
{
    static const struct {
        double x, step;
        const char *number, *tick;
    } cases[] = {{0, 1, "0", "0"},
                 {13.5234, 5, "13.52", "14"},
                 {-0.5, 0.25, "-0.5", "-0.5"},
                 {0.00031, 0.0001, "0.00031", "3.1e-4"},
                 {3.1e-7, 1e-7, "3.1e-7", "3.1e-7"},
                 {120832, 20000, "120.8k", "120.832k"},
                 {9999.9, 5000, "10k", "9.9999k"},
                 {999960, 1e5, "1M", "999.96k"},
                 {2.5e6, 5e5, "2.5M", "2.5M"},
                 {INFINITY, 1, "-", NULL}};
    char text[SYN_NUMBER_TEXT];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        assert_string_equal(syn_number_text(cases[k].x, text), cases[k].number);
        if (cases[k].tick)
            assert_string_equal(syn_tick_text(cases[k].x, cases[k].step, text), cases[k].tick);
    }
    assert_true(fabs(syn_nice_step(0.3) - 0.5) < 1e-12 && syn_nice_step(1) == 1);
    assert_true(syn_nice_step(20000.1) == 50000 && syn_nice_step(7) == 10);
    assert_string_equal(syn_time_text(1769860800, text), "2026-01-31 12:00:00 UTC");
}

/* ---- Size ---- */

static void ten_thousand_updates_are_a_small_page_in_little_time(void **state)
{
    struct timespec begun, ended;
    FILE *f = fopen((mkdir(path_of("long"), 0700), path_of("long/metrics.jsonl")), "w");
    assert_non_null(f);
    for (int k = 1; k <= 10000; k++) {
        fprintf(f, "{\"update\":%d,\"env_steps\":%d", k, 4096 * k);
        for (int c = 0; c < 40; c++)
            fprintf(f, ",\"curve%d\":%.5f", c, sin(k * 0.01 * c) + (k * 7919 % 1000) * 1e-3);
        fprintf(f, "}\n");
    }
    fclose(f);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    char *page = page_of("long");
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(strlen(page) < 2 << 20);
    assert_true((double)(ended.tv_sec - begun.tv_sec) < 10); /* under 1 s where nothing else runs */
    assert_int_equal(occurrences(page, "<figure"), 40);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_carry_the_figures_of_the_file),
        cmocka_unit_test(options_draw_their_lines_and_stand_among_the_facts),
        cmocka_unit_test(curves_of_one_kind_share_a_chart),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(strange_figures_do_not_break_a_page),
        cmocka_unit_test(damaged_lines_are_passed_over_and_counted),
        cmocka_unit_test(what_a_resumed_run_wrote_again_is_shown_once),
        cmocka_unit_test(there_is_a_cap_on_curves),
        cmocka_unit_test(faults_are_one_sentence),
        cmocka_unit_test(a_file_size_limit_leaves_the_page_before),
        cmocka_unit_test(a_page_says_whether_the_run_goes_on),
        cmocka_unit_test(an_evaluation_is_shown_with_the_best_marked),
        cmocka_unit_test(evaluations_of_any_shape_make_a_page),
        cmocka_unit_test(a_crowd_of_policies_is_cut_and_takes_no_time),
        cmocka_unit_test(csv_and_markdown_hold_the_same_figures),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(ten_thousand_updates_are_a_small_page_in_little_time),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
