/* What is exported from logged collaborations, what is left out, and where it ends up. */
#include "tests/benchmarks/export_world.h"

/* ---- what is left out ---- */

static void each_reason_is_counted(void **state)
{
    world *w = *state;
    static const struct {
        const char *question, *answer, *change;
        syn_left_out why;
    } cases[] = {
        {"Q one?", "a", "{\"id\": \"\"}", SYN_LEFT_OUT_UNREADABLE},
        {"Q two?", "a", "{\"error\": \"a call failed\"}", SYN_LEFT_OUT_FAILED},
        {"Q three?", "a", "{\"stopped_by\": \"deadline\"}", SYN_LEFT_OUT_INCOMPLETE},
        {"Q four?", "a", "{\"stopped_by\": \"cap\"}", SYN_LEFT_OUT_INCOMPLETE},
        {"Q five?", "a", "{\"abstained\": true}", SYN_LEFT_OUT_ABSTAINED},
        {"Q six?", " \n", NULL, SYN_LEFT_OUT_EMPTY},
        {"", "a", NULL, SYN_LEFT_OUT_EMPTY},
        {"Q seven?", "one two three four", NULL, SYN_LEFT_OUT_LONG},
        {"one two three four five six?", "a", NULL, SYN_LEFT_OUT_LONG},
        {"Q eight?", "ask ann@example.org", NULL, SYN_LEFT_OUT_PERSONAL},
        {"Q nine?", "a", "{\"confidence\": 0.4}", SYN_LEFT_OUT_CONFIDENCE},
        {"Q ten?", "a", "{\"confidence\": null}", SYN_LEFT_OUT_CONFIDENCE},
        {"Q eleven?", "a", "{\"score\": 0}", SYN_LEFT_OUT_SCORE},
        {"Q kept?", "a", NULL, SYN_LEFT_OUT_NOT},
        {"q KEPT", "A.", "{\"id\": \"again\"}", SYN_LEFT_OUT_EXACT},
    };
    int64_t expected[SYN_LEFT_OUT_COUNT] = {0};
    w->options.filter.answer_words_max = 3;
    w->options.filter.question_words_max = 5;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        record(w, "x", cases[k].question, cases[k].answer, cases[k].change);
        expected[cases[k].why]++;
    }
    assert_ok(export_as(w, "instruction"));
    for (int k = 1; k < SYN_LEFT_OUT_COUNT; k++)
        if (w->report.left_out[k] != expected[k])
            fail_msg("%s: %lld", syn_left_out_key((syn_left_out)k),
                     (long long)w->report.left_out[k]);
    assert_int_equal(w->report.items, 15);
    assert_int_equal(w->report.items_kept, 1);
    char *manifest = file_text(w, "export.json");
    json_t *j = json_loads(manifest, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "left_out"), "long")),
                     2);
    json_decref(j);
    free(manifest);
}

static void a_question_that_was_cut_is_incomplete(void **state)
{
    world *w = *state;
    char question[301];
    memset(question, 'q', 299);
    question[299] = 0;
    record(w, "1", question, "a", NULL);
    question[200] = 0;
    record(w, "2", question, "a", NULL);
    assert_ok(export_as(w, "instruction"));
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_INCOMPLETE], 1);
    assert_int_equal(w->report.items_kept, 1);
}

static void personal_data_may_be_replaced_instead(void **state)
{
    world *w = *state;
    w->options.filter.redact = true;
    record(w, "1", "Who is ann@example.org?", "Ann.", NULL);
    assert_ok(export_as(w, "instruction"));
    json_t *row = only_row(w);
    assert_string_equal(text(row, "instruction"), "Who is [EMAIL]?");
    assert_int_equal(w->report.redacted, 1);
    json_decref(row);
}

/* ---- duplicates and splits ---- */

static const char long_text[] =
    "The harbour of the old town was built by three brothers who had come from the north with a "
    "fleet of small boats and who stayed because the winter closed the sea behind them and opened "
    "it only when their children had learned to walk on the ice between the islands";

static void the_best_of_near_duplicates_stays(void **state)
{
    world *w = *state;
    char other[512];
    snprintf(other, sizeof other, "%s, they say.", long_text);
    record(w, "1", "Who built it?", long_text, "{\"score\": 0.6}");
    record(w, "2", "Who built it?", other, "{\"score\": 0.9}");
    assert_ok(export_as(w, "instruction"));
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_NEAR], 1);
    json_t *row = only_row(w);
    assert_string_equal(text(row, "output"), other);
    json_decref(row);
}

static void alike_questions_stay_in_one_split(void **state)
{
    world *w = *state;
    char question[600], id[16], answer[160];
    w->options.filter.question_words_max = 1000;
    w->options.validation_percent = w->options.test_percent = 33;
    for (int k = 0; k < 60; k++) {
        const int pair = k / 2; /* two versions of each question, with answers of their own */
        snprintf(question, sizeof question,
                 "%d why is %d the number of %d the %d ships in %d winters before %d people came "
                 "to %d and %d left it %s",
                 pair, pair + 1, pair * 3, pair * 5, pair * 7, pair * 11, pair * 13, pair * 17,
                 k % 2 ? "again" : "");
        snprintf(id, sizeof id, "%d", k);
        snprintf(answer, sizeof answer, "a%d b%d c%d d%d e%d f%d g%d h%d i%d j%d", k, k, k, k, k, k,
                 k, k, k, k);
        record(w, id, question, answer, NULL);
    }
    assert_ok(export_as(w, "instruction"));
    assert_int_equal(w->report.items_kept, 60);
    for (int k = 0; k < SYN_EXPORT_SPLITS; k++) {
        int seen[30] = {0}, count = 0;
        json_t *rows = rows_of(w, syn_export_splits[k]), *row;
        size_t i;
        json_array_foreach(rows, i, row) seen[atoi(text(row, "instruction"))]++;
        for (int pair = 0; pair < 30; pair++) {
            assert_true(seen[pair] == 0 || seen[pair] == 2);
            count += seen[pair] > 0;
        }
        assert_in_range(count, 1, 25);
        json_decref(rows);
    }
}

/* ---- formats ---- */

static void reasoning_tells_who_told_whom(void **state)
{
    world *w = *state;
    record(w, "1", "Does it rain?", "Yes.", NULL);
    record(w, "2", "Does it snow?", "No.", "{\"dialogue\": []}");
    assert_ok(export_as(w, "reasoning"));
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_NO_DIALOGUE], 1);
    json_t *row = only_row(w);
    assert_string_equal(text(row, "reasoning"),
                        "[round 1] Agent 2 tells all: It rains.\n[round 2] Agent 1 asks agent 3: "
                        "Where?");
    assert_string_equal(text(row, "id"), "hotpotqa/1/learned/3");
    assert_string_equal(text(row, "licence"), "CC BY-SA 4.0");
    assert_string_equal(text(row, "provider"), "unknown");
    assert_int_equal(json_array_size(json_object_get(row, "dialogue")), 2);
    json_decref(row);
    char *card = file_text(w, "README.md");
    assert_non_null(strstr(card, "license: cc-by-sa-4.0\n"));
    assert_non_null(strstr(card, "Terms of the providers"));
    assert_non_null(strstr(card, "Not for measuring"));
    assert_null(strstr(card, "split: test"));
    free(card);
}

static void a_pair_is_the_best_and_the_worst_answer(void **state)
{
    world *w = *state;
    record(w, "1", "Does it rain?", "Yes.", "{\"score\": 0.8}");
    record(w, "1", "does it rain", "Perhaps.", "{\"score\": 0.5, \"policy\": \"single\"}");
    record(w, "1", "Does it rain?", "No.",
           "{\"score\": 0, \"policy\": \"round_robin\", \"confidence\": 0.2}");
    record(w, "2", "Does it snow?", "No.", NULL);
    record(w, "3", "Is it warm?", "No.", "{\"score\": 0.6}");
    record(w, "3", "Is it warm?", "Yes.", "{\"score\": 0.55, \"policy\": \"single\"}");
    assert_ok(export_as(w, "preference"));
    json_t *row = only_row(w);
    assert_string_equal(text(row, "chosen"), "Yes.");
    assert_string_equal(text(row, "rejected"), "No.");
    assert_string_equal(text(row, "policy"), "learned");
    assert_string_equal(text(row, "rejected_policy"), "round_robin");
    assert_int_equal(w->report.items_kept, 2);
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_NO_PAIR], 4);
    json_decref(row);
}

/* ---- the folder ---- */

static int entries(const world *w)
{
    char command[128];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", w->folder);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static int stop_at_once(void)
{
    return 15;
}

static void nothing_is_left_of_a_failed_export(void **state)
{
    world *w = *state;
    record(w, "1", "Does it rain?", "Yes.", "{\"score\": 0}");
    assert_int_equal(export_as(w, "chat"), SYN_ERR_INVALID);
    assert_int_equal(w->report.left_out[SYN_LEFT_OUT_SCORE], 1);
    record(w, "2", "Does it rain?", "Yes.", NULL);
    w->options.stop = stop_at_once;
    assert_int_equal(export_as(w, "chat"), SYN_ERR_INTERRUPTED);
    w->options.stop = NULL;
    FILE *file = fopen(w->records, "a");
    fputs("{\"benchmark\": \"hot", file);
    fclose(file);
    assert_int_equal(export_as(w, "chat"), SYN_ERR_FORMAT);
    assert_int_equal(entries(w), 1);
}

static void only_an_export_is_replaced(void **state)
{
    world *w = *state;
    char path[128];
    record(w, "1", "Does it rain?", "Yes.", NULL);
    assert_ok(export_as(w, "chat"));
    assert_int_equal(export_as(w, "chat"), SYN_ERR_INVALID);
    w->options.overwrite = true;
    assert_ok(export_as(w, "instruction"));
    json_t *row = only_row(w);
    assert_string_equal(text(row, "instruction"), "Does it rain?");
    json_decref(row);
    snprintf(path, sizeof path, "%s/export.json", w->out);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(export_as(w, "chat"), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "no export"));
    assert_int_equal(entries(w), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(each_reason_is_counted),
        TEST(a_question_that_was_cut_is_incomplete),
        TEST(personal_data_may_be_replaced_instead),
        TEST(the_best_of_near_duplicates_stays),
        TEST(alike_questions_stay_in_one_split),
        TEST(reasoning_tells_who_told_whom),
        TEST(a_pair_is_the_best_and_the_worst_answer),
        TEST(nothing_is_left_of_a_failed_export),
        TEST(only_an_export_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
