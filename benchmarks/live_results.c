/* OUT.json: what was run, how far it came, and the figures. */
#include "benchmarks/live_results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "benchmarks/report.h"
#include "serve/json_text.h"
#include "serve/round_json.h"

enum { ERROR_BYTES = 512 };

/* ---- what was run ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static json_t *policies_json(const syn_live_plan *plan)
{
    json_t *list = json_array();
    for (int p = 0; p < SYN_LIVE_POLICY_COUNT; p++)
        if (plan->policies >> p & 1)
            json_array_append_new(list, json_string(syn_live_policy_name((syn_live_policy)p)));
    return list;
}

static json_t *sizes_json(const syn_live_plan *plan)
{
    json_t *list = json_array();
    for (int k = 0; k < plan->agent_counts; k++)
        json_array_append_new(list, json_integer(plan->agents[k]));
    return list;
}

/* By the names of files, not their places. */
static json_t *data_json(const syn_live_plan *plan)
{
    json_t *data = json_object();
    for (int b = 0; b < plan->sources; b++)
        json_object_set_new(data, plan->source[b].benchmark,
                            json_string(base_name(plan->source[b].path)));
    return data;
}

/* What every answer depends on, and what was asked for. */
static json_t *settings_json(const syn_live_plan *plan)
{
    return json_pack("{s:s?, s:f, s:i, s:I, s:i, s:I, s:o, s:o, s:o}", "calibration",
                     plan->calibration ? base_name(plan->calibration) : NULL, "temperature",
                     plan->temperature, "rounds", plan->rounds_max, "reply_tokens",
                     (json_int_t)plan->reply_tokens_max, "shots", plan->shots, "limit",
                     (json_int_t)plan->limit, "policies", policies_json(plan), "num_agents",
                     sizes_json(plan), "data", data_json(plan));
}

static json_t *head_json(const syn_live_plan *plan)
{
    char created[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    syn_timestamp((double)now.tv_sec + 1e-9 * (double)now.tv_nsec, created);
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s?, s:s?, s:s?, s:s, s:o}", "format",
                     SYN_LIVE_FORMAT, "version", SYN_VERSION, "created", created, "seed",
                     (json_int_t)plan->seed, "provider", syn_live_provider(plan), "model",
                     syn_live_model(plan), "checkpoint", plan->checkpoint, "weights_sha256",
                     plan->weights, "policy_networks", syn_deciders_policy(plan->deciders),
                     "settings", settings_json(plan));
}

/* ---- whether a run goes on ---- */

static const char *shown(const json_t *value, char *text, size_t bytes)
{
    char *whole =
        value ? syn_json_text(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9))
              : NULL;
    snprintf(text, bytes, "%s", whole ? whole : "nothing");
    free(whole);
    return text;
}

static syn_status fail_other(const syn_live_plan *plan, const char *what, const json_t *there,
                             const json_t *here)
{
    char a[120], b[120];
    return syn_fail(SYN_ERR_USAGE,
                    "%s is of another run (%s: there %s, here %s); give it the same, or another "
                    "--output, or --overwrite",
                    plan->output, what, shown(there, a, sizeof a), shown(here, b, sizeof b));
}

/* Lists may grow. */
static bool covers(const json_t *here, const json_t *there)
{
    for (size_t i = 0; i < json_array_size(there); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(here); k++)
            found |= json_equal(json_array_get(here, k), json_array_get(there, i));
        if (!found) return false;
    }
    return true;
}

static bool same_number(const json_t *a, const json_t *b)
{
    return json_is_number(a) && json_is_number(b) && json_number_value(a) == json_number_value(b);
}

static syn_status check_settings(const syn_live_plan *plan, const json_t *there, const json_t *here)
{
    static const char *const numbers[] = {"temperature", "rounds", "reply_tokens", "shots"};
    static const char *const lists[] = {"policies", "num_agents"};
    const json_t *a, *b;
    const char *name;
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        a = json_object_get(there, numbers[k]);
        b = json_object_get(here, numbers[k]);
        if (!same_number(a, b)) return fail_other(plan, numbers[k], a, b);
    }
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        a = json_object_get(there, lists[k]);
        b = json_object_get(here, lists[k]);
        if (!json_is_array(a) || !covers(b, a)) return fail_other(plan, lists[k], a, b);
    }
    a = json_object_get(there, "calibration");
    b = json_object_get(here, "calibration");
    if (!a || !json_equal(a, b)) return fail_other(plan, "calibration", a, b);
    json_t *data = json_object_get(there, "data"), *value;
    json_object_foreach(data, name, value)
    {
        b = json_object_get(json_object_get(here, "data"), name);
        if (!json_equal(value, b)) return fail_other(plan, "data", data, b);
    }
    const json_int_t limit = json_integer_value(json_object_get(there, "limit"));
    if (plan->limit != 0 && (limit == 0 || limit > plan->limit))
        return fail_other(plan, "limit", json_object_get(there, "limit"),
                          json_object_get(here, "limit"));
    return SYN_OK;
}

static syn_status check_same(const syn_live_plan *plan, const json_t *there)
{
    static const char *const members[] = {"seed", "provider", "model", "weights_sha256",
                                          "policy_networks"};
    syn_status st = SYN_OK;
    json_t *here = head_json(plan);
    if (!here) return syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
    for (size_t k = 0; k < sizeof members / sizeof *members && st == SYN_OK; k++) {
        const json_t *a = json_object_get(there, members[k]);
        const json_t *b = json_object_get(here, members[k]);
        if (!a || !json_equal(a, b)) st = fail_other(plan, members[k], a, b);
    }
    if (st == SYN_OK)
        st = check_settings(plan, json_object_get(there, "settings"),
                            json_object_get(here, "settings"));
    json_decref(here);
    return st;
}

static bool is_there(const char *path, bool *empty)
{
    struct stat info;
    const bool there = stat(path, &info) == 0;
    *empty = there && info.st_size == 0;
    return there;
}

syn_status syn_live_results_check(const syn_live_plan *plan)
{
    char records[4096];
    bool empty;
    SYN_RETURN_IF(syn_live_records_path(plan->output, records, sizeof records));
    if (!is_there(plan->output, &empty)) {
        if (plan->overwrite || !is_there(records, &empty) || empty) return SYN_OK;
        return syn_fail(SYN_ERR_USAGE,
                        "%s has answers, but %s, which says of what run, is not there; give "
                        "another --output, or --overwrite",
                        records, plan->output);
    }
    json_t *there = NULL;
    syn_status st = syn_report_object_read(plan->output, &there);
    const char *format = json_string_value(json_object_get(there, "format"));
    if (st != SYN_OK || !format || strcmp(format, SYN_LIVE_FORMAT) != 0)
        st = syn_fail(SYN_ERR_USAGE,
                      "%s is there and holds no results of a run: it is not written over",
                      plan->output);
    else if (!plan->overwrite)
        st = check_same(plan, there);
    json_decref(there);
    return st;
}

/* ---- figures ---- */

static int by_pointer(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    return (x > y) - (x < y);
}

/* Questions of a benchmark that have an answer; -1 without memory. Equal ids are one text. */
static int64_t questions_of(const syn_live_run *run, const char *benchmark)
{
    const char **ids = malloc(sizeof *ids * (size_t)(run->count + 1));
    int64_t n = 0, distinct = 0;
    if (!ids) return -1;
    for (int64_t i = 0; i < run->count; i++)
        if (!strcmp(run->record[i].benchmark, benchmark)) ids[n++] = run->record[i].id;
    qsort(ids, (size_t)n, sizeof *ids, by_pointer);
    for (int64_t i = 0; i < n; i++) distinct += i == 0 || ids[i] != ids[i - 1];
    free(ids);
    return distinct;
}

static json_t *benchmark_json(const syn_live_plan *plan, const syn_live_run *run,
                              const syn_live_bench *bench)
{
    const char *name = syn_live_benchmark(bench);
    const bool extractive = !syn_live_model(plan);
    const int64_t questions = questions_of(run, name);
    json_t *j = json_pack("{s:I, s:s, s:b, s:[], s:[], s:{}}", "questions", (json_int_t)questions,
                          "evidence", syn_live_has_evidence(bench) ? "asymmetric" : "none",
                          "proves_path_only", syn_live_proves_path_only(name, extractive), "runs",
                          "comparisons", "strata");
    if (j && syn_live_unscored(bench))
        json_object_set_new(j, "unscored", json_string(syn_live_unscored(bench)));
    if (questions < 0) json_decref(j);
    return questions < 0 ? NULL : j;
}

static syn_status add_benchmarks(const syn_live_plan *plan, const syn_live_sums *s,
                                 syn_live_bench *const *benches, json_t *root)
{
    json_t *benchmarks = json_object();
    json_int_t questions = 0;
    json_object_set_new(root, "benchmarks", benchmarks);
    for (int b = 0; b < plan->sources; b++) {
        json_t *j = benchmark_json(plan, &s->run, benches[b]);
        if (json_object_set_new(benchmarks, plan->source[b].benchmark, j) != 0)
            return syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
        questions += json_integer_value(json_object_get(j, "questions"));
    }
    json_object_set_new(root, "questions", json_integer(questions));
    for (int k = 0; k < s->cells; k++) {
        const syn_live_cell *cell = &s->cell[s->shown[k]];
        const syn_live_record *r = &s->run.record[cell->from];
        json_t *j = NULL;
        const syn_status st = syn_live_cell_json(s, cell, &j);
        if (st != SYN_OK) {
            json_decref(j);
            return st;
        }
        json_array_append_new(json_object_get(json_object_get(benchmarks, r->benchmark), "runs"),
                              j);
    }
    return SYN_OK;
}

static json_t *spent_json(const syn_live_records *r)
{
    return json_pack("{s:I, s:I, s:I, s:o}", "calls", (json_int_t)r->calls, "prompt_tokens",
                     (json_int_t)r->prompt_tokens, "completion_tokens",
                     (json_int_t)r->completion_tokens, "cost_usd",
                     r->cost_known ? syn_live_real(r->cost_usd) : json_null());
}

/* ---- files ---- */

/* STEM.calibration.json beside STEM.json. */
static syn_status write_calibration(const syn_live_plan *plan, const syn_live_sums *s, json_t *root)
{
    char path[4096];
    int fitted = 0;
    const size_t stem = strlen(s->run.name) - strlen(".records.jsonl");
    if (snprintf(path, sizeof path, "%.*s.calibration.json", (int)stem, s->run.name) >=
        (int)sizeof path)
        return syn_fail(SYN_ERR_LIMIT, "%.64s...: the name is too long", plan->output);
    SYN_RETURN_IF(syn_calibrator_write(s->calibrator, path, &fitted));
    json_object_set_new(root, "calibration", fitted ? json_string(base_name(path)) : json_null());
    return SYN_OK;
}

/* What stands beside the results and is none of them: they are written without it too. said
 * (ERROR_BYTES): what went wrong. */
static syn_status write_beside(const syn_live_plan *plan, const syn_live_sums *s, json_t *root,
                               char *said)
{
    syn_status st = write_calibration(plan, s, root);
    if (st == SYN_OK && plan->predictions) st = syn_live_predictions_write(s);
    if (st != SYN_OK) snprintf(said, ERROR_BYTES, "%s", syn_error_text());
    return st;
}

syn_status syn_live_results_write(const syn_live_plan *plan, const syn_live_records *records,
                                  syn_live_bench *const *benches, bool ended, const char *why)
{
    syn_status st = SYN_OK, beside = SYN_OK;
    char said[ERROR_BYTES];
    syn_live_sums *s = calloc(1, sizeof *s);
    json_t *root = head_json(plan);
    if (!s || !root) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
        goto done;
    }
    json_object_set_new(root, "complete", json_boolean(!why));
    if (why) json_object_set_new(root, "why", json_string(why));
    json_object_set_new(root, "spent", spent_json(records));
    if (records->has_answers) SYN_TRY(syn_live_sums_read(plan, records->path, benches, s));
    SYN_TRY(add_benchmarks(plan, s, benches, root));
    if (records->has_answers && ended) {
        SYN_TRY(syn_live_held_json(s, json_object_get(root, "benchmarks")));
        beside = write_beside(plan, s, root, said);
    }
    SYN_TRY(syn_live_json_write(plan->output, root, JSON_INDENT(1)));
    if (beside != SYN_OK) st = syn_fail(beside, "%s", said);
done:
    if (s) syn_live_sums_free(s);
    free(s);
    json_decref(root);
    return st;
}
