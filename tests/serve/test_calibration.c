/* The file that says how far models' confidences are to be trusted, and files that are none. */
#include "tests/test.h"

#include <unistd.h>

#include "serve/calibration.h"

/* A file of this text, with ' for "; unlink() it. */
static const char *file_of(const char *text)
{
    static char path[64];
    strcpy(path, "/tmp/syncog-calibration-XXXXXX");
    FILE *f = fdopen(mkstemp(path), "w");
    for (const char *c = text; *c; c++) fputc(*c == '\'' ? '"' : *c, f);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void each_model_has_its_own(void **state)
{
    syn_calibrations *c;
    const char *path =
        file_of("{'a': {'temperature': 1.5, 'answers': 80, 'ece_before': 0.2},\n"
                " 'b/c:free': {'temperature': 5}, 'extractive': {'temperature': 0.2}}");
    assert_ok(syn_calibrations_open(path, &c));
    assert_float_equal(syn_calibration_of(c, "a"), 1.5, 0);
    assert_float_equal(syn_calibration_of(c, "b/c:free"), 5, 0);
    assert_float_equal(syn_calibration_of(c, "extractive"), .2, 0);
    assert_float_equal(syn_calibration_of(c, "another"), 1, 0);
    syn_calibrations_close(c);
    unlink(path);
}

static void without_a_file_nobody_is_calibrated(void **state)
{
    syn_calibrations *c;
    assert_ok(syn_calibrations_open(NULL, &c));
    assert_float_equal(syn_calibration_of(c, "a"), 1, 0);
    syn_calibrations_close(c);
    assert_ok(syn_calibrations_open("", &c));
    syn_calibrations_close(c);
    assert_float_equal(syn_calibration_of(NULL, "a"), 1, 0);
    syn_calibrations_close(NULL);
}

static void a_model_is_known_by_the_name_it_is_asked_by(void **state)
{
    const syn_provider openai = {.dialect = SYN_DIALECT_OPENAI, .model = "gpt"},
                       extractive = {.dialect = SYN_DIALECT_EXTRACTIVE, .model = ""};
    assert_string_equal(syn_calibrated_name(&openai, "other"), "other");
    assert_string_equal(syn_calibrated_name(&openai, NULL), "gpt");
    assert_string_equal(syn_calibrated_name(&openai, ""), "gpt");
    assert_string_equal(syn_calibrated_name(&extractive, NULL), "extractive");
}

static void bad_files_are_told_in_one_sentence(void **state)
{
    static const struct {
        const char *text, *sentence;
        syn_status st;
    } bad[] = {
        {"", ": this is not JSON", SYN_ERR_FORMAT},
        {"{'a':\n {'temperature': 1}", ":2: this is not JSON", SYN_ERR_FORMAT},
        {"[1]", "not an object of models", SYN_ERR_FORMAT},
        {"{'a': {'temperature': 1}, 'a': {'temperature': 2}}", "not JSON", SYN_ERR_FORMAT},
        {"{'a': {}}", ": a: there is no temperature", SYN_ERR_FORMAT},
        {"{'a': 1.5}", ": a: there is no temperature", SYN_ERR_FORMAT},
        {"{'a': {'temperature': '1'}}", ": a: there is no temperature", SYN_ERR_FORMAT},
        {"{'a': {'temperature': 0.19}}", ": a: the temperature is not in [0.2, 5]", SYN_ERR_FORMAT},
        {"{'a\\n\\u00fc': {'temperature': 5.1}}", ": a???: the temperature", SYN_ERR_FORMAT},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        syn_calibrations *c;
        const char *path = file_of(bad[k].text);
        assert_int_equal(syn_calibrations_open(path, &c), bad[k].st);
        assert_null(c);
        assert_non_null(strstr(syn_error_text(), path));
        if (!strstr(syn_error_text(), bad[k].sentence)) fail_msg("%s", syn_error_text());
        unlink(path);
    }
    syn_calibrations *c;
    assert_int_equal(syn_calibrations_open("/nonexistent/x.json", &c), SYN_ERR_IO);
    assert_int_equal(syn_calibrations_open("/tmp", &c), SYN_ERR_IO);
}

static void a_file_above_its_cap_is_refused(void **state)
{
    syn_calibrations *c;
    char *text = malloc((1 << 20) + 2);
    memset(text, ' ', (1 << 20) + 1);
    text[(1 << 20) + 1] = 0;
    const char *path = file_of(text);
    assert_int_equal(syn_calibrations_open(path, &c), SYN_ERR_LIMIT);
    unlink(path);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_model_has_its_own),
        cmocka_unit_test(without_a_file_nobody_is_calibrated),
        cmocka_unit_test(a_model_is_known_by_the_name_it_is_asked_by),
        cmocka_unit_test(bad_files_are_told_in_one_sentence),
        cmocka_unit_test(a_file_above_its_cap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
