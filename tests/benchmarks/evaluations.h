/* What the tests of eval share: the report and the raw lines of a run over test.h5. */
#ifndef SYN_TESTS_BENCHMARKS_EVALUATIONS_H
#define SYN_TESTS_BENCHMARKS_EVALUATIONS_H

#include "tests/trainer/commands.h"

#include "benchmarks/eval.h"

/* The report. The caller decrefs. */
static inline json_t *evaluate(const char *arguments)
{
    int code = syncog("eval --data test.h5 --json --threads 1 %s", arguments);
    if (code) fail_msg("exit %d: %s", code, complained);
    assert_int_equal(line_count(said), 1);
    json_t *j = json_loads(said, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    return j;
}

/* The number at a path like "gap/auroc". */
static inline double number(const json_t *j, const char *path)
{
    char text[128], *save = NULL;
    snprintf(text, sizeof text, "%s", path);
    for (char *key = strtok_r(text, "/", &save); key; key = strtok_r(NULL, "/", &save)) {
        j = json_object_get(j, key);
        if (!j) fail_msg("%s: there is no \"%s\"", path, key);
    }
    if (!json_is_number(j) || !isfinite(json_number_value(j)))
        fail_msg("%s is not a finite number", path);
    return json_number_value(j);
}

/* A raw line's number. */
static inline double of(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_number(value)) fail_msg("a raw line has no number \"%s\"", key);
    return json_number_value(value);
}

/* A raw line's text. */
static inline const char *text_of(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    if (!text) fail_msg("a raw line has no text \"%s\"", key);
    return text;
}

#endif
