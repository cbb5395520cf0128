/* `syncog report` of a run of live teams: it shows what the results and the answers say, escapes
 * it, says what is missing, and is well formed whatever they hold. */
#include "tests/benchmarks/live_runs.h"
#include "tests/benchmarks/pages.h"

#include <time.h>

static const live_sample small = {20, 3, 2, 1, 1, .1, false};

/* The named file of the test's folder with every `from` replaced by `to`, of the same length. */
static void replace(const char *name, const char *from, const char *to)
{
    size_t bytes;
    char *text = file_read(path_of(name), &bytes), *at = text;
    assert_int_equal(strlen(from), strlen(to));
    assert_non_null(strstr(text, from));
    while ((at = strstr(at, from))) memcpy(at, to, strlen(to));
    file_write(name, text, bytes);
    free(text);
}

static void a_page_has_every_part(void **state)
{
    static const char *const parts[] = {
        "<h2>In words</h2>",
        "<b>learned against broadcast</b>: ",
        "HotpotQA: accuracy over messages",
        "CoQA: accuracy over tokens per question", /* no prices are known */
        "learned: rounds to convergence",
        "broadcast: calibration, ECE ",
        "<h2>CommonsenseQA</h2>",
        "these figures prove that the path works, and nothing else", /* a set without documents */
        "Held against each other",
        "What the team adds to one agent",
        "<th>CoQA, part 0</th>",
        "<h2>Sample dialogues</h2>",
        "<h2>Failures</h2>",
        "<th>spent.calls</th><td>1000</td>",
        "policy networks rule"};
    live_write("all", &small);
    char *page = page_of("all.json");
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) assert_has(page, parts[k]);
    assert_lacks(page, "single: rounds to convergence");         /* nobody talks */
    assert_int_equal(occurrences(page, "accuracy over"), 2 * 6); /* title and label of each */
    assert_has(page, "<b>60</b><span></span>");                  /* questions */
    assert_has(page, "<b>600</b><span>of all policies and team sizes</span>");
    free(page);
}

static void figures_are_those_of_the_file(void **state)
{
    char cell[128];
    live_write("all", &small);
    json_t *j = json_load_file(path_of("all.json"), 0, NULL);
    const json_t *run = json_array_get(
        json_object_get(json_object_get(json_object_get(j, "benchmarks"), "coqa"), "runs"), 1);
    const json_t *range = json_object_get(run, "accuracy_ci95");
    snprintf(cell, sizeof cell, "%.1f %% <span class=\"soft\">[%.1f, %.1f]</span></td>",
             100 * json_number_value(json_object_get(run, "accuracy")),
             100 * json_number_value(json_array_get(range, 0)),
             100 * json_number_value(json_array_get(range, 1)));
    char *page = page_of("all.json");
    assert_has(page, cell);
    free(page);
    json_decref(j);
}

/* The table of team and single agent counts the answers themselves. */
static void what_the_team_adds_is_counted_by_question(void **state)
{
    static const int team[] = {1, 1, 1, 0, 0, 1}, alone[] = {0, 0, 1, 1, 0, 0};
    char lines[4096] = "";
    live_write("gain", &small);
    for (int q = 0; q < 6; q++)
        for (int p = 0; p < 2; p++)
            snprintf(lines + strlen(lines), sizeof lines - strlen(lines),
                     "{\"benchmark\":\"mmlu\",\"id\":\"q%d\",\"policy\":\"%s\",\"num_agents\":%d,"
                     "\"correct\":%d}\n",
                     q, p ? "single" : "learned", p ? 1 : 3, p ? alone[q] : team[q]);
    text_write("gain.records.jsonl", lines);
    char *page = page_of("gain.json");
    /* 6 questions: 3 by the team alone, 1 by the single agent alone, 1 by both, 1 by neither */
    assert_has(page, "<th>MMLU, learned</th><td>3</td><td>6</td><td>3</td><td>1</td><td>1</td>"
                     "<td>1</td><td>+33.3</td>");
    free(page);
}

static void texts_are_shown_as_text(void **state)
{
    live_write("all", &small);
    char *page = page_of("all.json");
    assert_has(page,
               "The film was shot in &lt;b&gt;Tallvik&lt;/b&gt; &amp; &quot;elsewhere&quot;.");
    assert_has(page, "<details class=\"talk\">"); /* closed until it is asked for */
    assert_has(page, "the provider answered 500 &lt;twice&gt;");
    assert_has(page, "model a &lt;model&gt;");
    free(page);
    replace("all.json", "\"learned\"", "\"<b>&\\\"'\"");
    replace("all.records.jsonl", "\"learned\"", "\"<b>&\\\"'\"");
    replace("all.records.jsonl", "\"hotpotqa\"", "\"<>\\u0007\"");
    replace("all.json", "\"hotpotqa\"", "\"<>\\u0007\"");
    page = page_of("all.json");
    assert_lacks(page, "<b>&");
    assert_lacks(page, "<>");
    free(page);
}

static void what_is_missing_is_said(void **state)
{
    live_sample part = small;
    part.incomplete = true;
    live_write("part", &part);
    FILE *f = fopen(path_of("part.records.jsonl"), "ab");
    assert_non_null(f);
    fputs("{\"id\":7}\nno json\n", f);
    /* the question again, after it failed */
    fputs("{\"benchmark\":\"coqa\",\"id\":\"q00001\",\"policy\":\"learned\",\"num_agents\":3,"
          "\"correct\":1}\n{\"benchmark\":\"coqa\",\"i",
          f);
    assert_int_equal(fclose(f), 0);
    char *page = page_of("part.json");
    assert_has(page, "not complete</span>");
    assert_has(page, "the provider &lt;failed&gt; half-way");
    assert_has(page, "Damaged lines that were passed over: 2. The last line is cut off. Answers "
                     "that a later one has replaced: 1.");
    free(page);
    assert_int_equal(remove(path_of("part.records.jsonl")), 0);
    page = page_of("part.json");
    assert_has(page, "The answers do not lie beside the results");
    assert_lacks(page, "Sample dialogues");
    free(page);
}

/* Nothing in a results file is where it should be: the page is well formed all the same. */
static void odd_results_make_a_page(void **state)
{
    static const char *const odd[] = {
        "{}",
        "{\"benchmarks\":[1,2]}",
        "{\"benchmarks\":{\"a\":7}}",
        "{\"benchmarks\":{\"a\":{\"runs\":{},\"comparisons\":5}},\"complete\":7}",
        "{\"benchmarks\":{\"a\":{\"runs\":[1,null,{\"policy\":3,\"metrics\":{\"\":1,\"x\":{\"y\":"
        "{}}},\"accuracy\":-1e308,\"messages\":1e308,\"latency_s\":[1,2]}],\"comparisons\":[{},3,{"
        "\"difference\":1e300,\"ci95\":7,\"holm_p\":0,\"a\":5}]}},\"spent\":[],\"questions\":"
        "\"x\"}",
        "{\"benchmarks\":{\"a\":{\"runs\":[{\"policy\":\"p\",\"num_agents\":1e300,\"accuracy\":1,"
        "\"messages\":0,\"tokens\":1e99}]}}}"};
    text_write(
        "odd.records.jsonl",
        "{\"id\":\"a\",\"policy\":\"p\",\"correct\":1e308,\"num_agents\":-3,\"rounds\":1e300,"
        "\"converged\":true,\"confidence\":2,\"dialogue\":[1,{\"to\":7.5,\"round\":-1e300}]}\n"
        "{\"id\":\"b\",\"policy\":\"p\",\"correct\":true,\"confidence\":1,\"error\":\"e\"}\n"
        "{\"id\":\"c\",\"policy\":\"p\",\"correct\":\"x\"}\n[]\n\n");
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        json_t *j = json_loads(odd[k], 0, NULL);
        assert_non_null(j);
        json_object_set_new(j, "format", json_string(SYN_LIVE_FORMAT));
        assert_int_equal(json_dump_file(j, path_of("odd.json"), 0), 0);
        json_decref(j);
        free(page_of("odd.json"));
        assert_works("report odd.json --format markdown");
        assert_works("report odd.json --format csv");
    }
}

static void markdown_and_csv_come_along(void **state)
{
    size_t bytes;
    live_write("all", &small);
    assert_works("report all.json --out all.html --markdown all.md --csv all.csv");
    assert_string_equal(said, "wrote all.html\nwrote all.md\nwrote all.csv\n");
    char *text = file_read(path_of("all.md"), &bytes);
    assert_has(text, "## HotpotQA\n\n| policy | agents | accuracy |");
    assert_has(text, "- learned against single, 5 agents: ");
    assert_has(text, "| model | a &lt;model> |");
    free(text);
    text = file_read(path_of("all.csv"), &bytes);
    assert_memory_equal(text, "benchmark,policy,num_agents,accuracy,accuracy_ci95.0,", 53);
    assert_int_equal(line_count(text), 1 + 3 * 2 * LIVE_POLICIES);
    assert_has(text, "\ncoqa,self_consistency,5,");
    free(text);
    assert_works("report all.json --csv only.csv"); /* and no page is asked for */
    assert_string_equal(said, "wrote only.csv\n");
}

static void what_cannot_be_shown_is_refused(void **state)
{
    live_write("all", &small);
    assert_one_sentence("report", syncog("report all.json --eval all.json --out x.html"), 2,
                        "is a run of live teams");
    replace("all.json", "syncog-live/1", "syncog-live/9");
    assert_one_sentence("report", syncog("report all.json --out x.html"), 1,
                        "is not what 'syncog eval");
    assert_int_equal(access(path_of("x.html"), F_OK), -1);
}

static void ten_thousand_answers_take_little(void **state)
{
    struct timespec from, to;
    struct stat s;
    live_write("large", &(live_sample){222, 3, 3, 1, 1, .1, false});
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_works("report large.json --out large.html");
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_int_equal(stat(path_of("large.html"), &s), 0);
    assert_in_range(s.st_size, 20000, 2000000);
    assert_true((double)(to.tv_sec - from.tv_sec) < 30); /* 0.2 s alone on a core; the bound is of
                                                            something that is not linear */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_has_every_part),
        cmocka_unit_test(figures_are_those_of_the_file),
        cmocka_unit_test(what_the_team_adds_is_counted_by_question),
        cmocka_unit_test(texts_are_shown_as_text),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(odd_results_make_a_page),
        cmocka_unit_test(markdown_and_csv_come_along),
        cmocka_unit_test(what_cannot_be_shown_is_refused),
        cmocka_unit_test(ten_thousand_answers_take_little),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
