/* The table of the fastest LSTM variants: what a file says, what is said without one, and files
 * that are no tables. */
#include <stdlib.h>
#include <unistd.h>

#include "kernels/lstm_choose.h"
#include "tests/test.h"

#define DEVICE "a device"

static char folder[64], path[96];

static int begin(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/syn_choose_XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/table", folder);
    return 0;
}

static int end(void **state)
{
    bool used;
    (void)unlink(path);
    (void)rmdir(folder);
    return syn_lstm_table_read(NULL, NULL, &used) == SYN_OK ? 0 : -1;
}

static void write_text(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void write_rules(const syn_lstm_rule *rules, int count)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    syn_lstm_table_write_head(f, DEVICE);
    for (int i = 0; i < count; i++) syn_lstm_table_write(f, &rules[i]);
    assert_int_equal(fclose(f), 0);
}

static syn_lstm_variant first(int64_t H, int directions, int64_t batch, int64_t steps,
                              bool backward, syn_math math)
{
    const syn_lstm_layer layer = {H, directions, batch, steps, false, false, backward};
    return syn_lstm_rule_for(&layer, math)->order[0];
}

static void what_is_written_is_read(void **state)
{
    const syn_lstm_rule rules[] = {
        {.H = 512, .directions = 1, .steps_max = 1, .order = {SYN_LSTM_GRID}},
        {.H = 512,
         .directions = 1,
         .batch_max = 16,
         .forward = true,
         .mixed = true,
         .order = {SYN_LSTM_STEP, SYN_LSTM_WIDE, SYN_LSTM_CLUSTER, SYN_LSTM_GRID, SYN_LSTM_BLOCK}},
        {.H = 512, .directions = 1, .backward = true, .mixed = true, .order = {SYN_LSTM_WIDE}},
        {.directions = 2, .fp32 = true, .order = {SYN_LSTM_GRID}},
    };
    bool used = false;
    write_rules(rules, 4);
    assert_ok(syn_lstm_table_read(path, DEVICE, &used));
    assert_true(used);
    assert_int_equal(first(512, 1, 4096, 1, true, SYN_MATH_FP32), SYN_LSTM_GRID);
    assert_int_equal(first(512, 1, 16, 64, false, SYN_MATH_MIXED), SYN_LSTM_STEP);
    assert_int_equal(first(512, 1, 16, 64, true, SYN_MATH_MIXED), SYN_LSTM_WIDE);
    assert_int_equal(first(40, 2, 999, 9, false, SYN_MATH_FP32), SYN_LSTM_GRID);
    const syn_lstm_layer layer = {512, 1, 9, 64, false, false, false};
    const syn_lstm_rule *rule = syn_lstm_rule_for(&layer, SYN_MATH_MIXED);
    assert_memory_equal(rule->order, rules[1].order, sizeof rule->order);
}

/* What the file leaves out has a rule all the same: that of no file. */
static void what_is_left_out_is_derived(void **state)
{
    const syn_lstm_rule rule = {.H = 512, .batch_max = 16, .order = {SYN_LSTM_STEP}};
    bool used;
    write_rules(&rule, 1);
    const syn_lstm_variant before = first(512, 1, 17, 64, false, SYN_MATH_MIXED);
    assert_int_equal(before, SYN_LSTM_CLUSTER);
    assert_ok(syn_lstm_table_read(path, NULL, &used));
    assert_int_equal(first(512, 1, 17, 64, false, SYN_MATH_MIXED), before);
    assert_int_equal(first(512, 1, 16, 64, false, SYN_MATH_MIXED), SYN_LSTM_STEP);
    assert_int_equal(first(128, 2, 16, 64, false, SYN_MATH_MIXED), SYN_LSTM_BLOCK);
    assert_ok(syn_lstm_table_read(NULL, NULL, &used));
    assert_false(used);
    assert_int_equal(first(512, 1, 16, 64, false, SYN_MATH_MIXED), SYN_LSTM_CLUSTER);
}

static void another_devices_table_is_left_alone(void **state)
{
    const syn_lstm_rule rule = {.order = {SYN_LSTM_GRID}};
    bool used = true;
    write_rules(&rule, 1);
    assert_ok(syn_lstm_table_read(path, "another device", &used));
    assert_false(used);
    assert_int_equal(first(128, 1, 1, 9, false, SYN_MATH_MIXED), SYN_LSTM_BLOCK);
}

#define HEAD "{\"format\": 1, \"device\": \"" DEVICE "\"}\n"
#define RULE(batch, pass, order)                                                                   \
    "{\"width\": 512, \"directions\": 1, \"steps_max\": 0, \"batch_max\": " batch                  \
    ", \"pass\": \"" pass "\", \"math\": \"mixed\", \"order\": \"" order "\"}\n"

static void what_is_no_table_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } CASES[] = {
        {"", "first line"},
        {"{\"format\": 2, \"device\": \"" DEVICE "\"}\n", "first line"},
        {HEAD "{}\n", "line 2"},
        {HEAD RULE("1", "forward", "step") RULE("-1", "forward", "step"), "line 3"},
        {HEAD RULE("1", "sideways", "step"), "line 2"},
        {HEAD RULE("1", "forward", "fastest"), "line 2"},
        {HEAD RULE("1", "forward", ""), "line 2"},
        {HEAD RULE("1", "forward", "cudnn"), "line 2"},
        {HEAD RULE("1", "forward", "step grid block wide cluster step"), "line 2"},
        {HEAD RULE("1", "forward", "step") "more\n", "line 3"},
    };
    bool used;
    write_text(HEAD RULE("1", "forward", "step grid"));
    assert_ok(syn_lstm_table_read(path, DEVICE, &used));
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        write_text(CASES[i].text);
        assert_int_equal(syn_lstm_table_read(path, DEVICE, &used), SYN_ERR_FORMAT);
        if (!strstr(syn_error_text(), CASES[i].why) || !strstr(syn_error_text(), path))
            fail_msg("case %zu: %s", i, syn_error_text());
    }
    /* What was read before still counts. */
    assert_int_equal(first(512, 1, 1, 64, false, SYN_MATH_MIXED), SYN_LSTM_STEP);
    (void)unlink(path);
    assert_int_equal(syn_lstm_table_read(path, DEVICE, &used), SYN_ERR_IO);
}

static void a_table_has_a_limit(void **state)
{
    bool used;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(HEAD, f);
    for (int i = 0; i <= SYN_LSTM_RULES_MAX; i++) fputs(RULE("1", "any", "step"), f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(syn_lstm_table_read(path, DEVICE, &used), SYN_ERR_LIMIT);
}

static const char *device(void)
{
    return DEVICE;
}

/* The first call decides for the process: here, that the file is no table. */
static void a_named_file_must_be_good(void **state)
{
    write_text("no table\n");
    setenv("SYNCOG_LSTM_TABLE", path, 1);
    assert_int_equal(syn_lstm_table_open(device), SYN_ERR_FORMAT);
    unsetenv("SYNCOG_LSTM_TABLE");
    assert_int_equal(syn_lstm_table_open(device), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), path));
}

#define choose_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        choose_test(what_is_written_is_read),
        choose_test(what_is_left_out_is_derived),
        choose_test(another_devices_table_is_left_alone),
        choose_test(what_is_no_table_is_refused),
        choose_test(a_table_has_a_limit),
        choose_test(a_named_file_must_be_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
