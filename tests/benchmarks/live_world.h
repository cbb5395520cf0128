/* Runs of live teams in a folder of the test's own: invented questions in HotpotQA's format,
 * extractive agents or an endpoint that answers what the test says. Include it in one test. */
#ifndef SYN_TESTS_BENCHMARKS_LIVE_WORLD_H
#define SYN_TESTS_BENCHMARKS_LIVE_WORLD_H

#include "tests/datasets/helpers.h"
#include "tests/fake_llm.h"

#include "benchmarks/live_private.h"
#include "datasets/synth.h"
#include "serve/llm_tape.h"

#define ALL_POLICIES ((1u << SYN_LIVE_POLICY_COUNT) - 1)

/* What a model says, and what it says to have taken. */
#define SAYS(answer) SAYS_AND_TAKES(answer, 90, 10)
#define SAYS_AND_TAKES(answer, prompt, completion)                                                 \
    "{\"choices\": [{\"index\": 0, \"finish_reason\": \"stop\", \"message\": {\"role\": "          \
    "\"assistant\", \"content\": \"{\\\"answer\\\": \\\"It is " answer                             \
    ".\\\", \\\"short_answer\\\": \\\"" answer                                                     \
    "\\\", \\\"confidence\\\": 0.8, \\\"claims\\\": [], \\\"need\\\": null, \\\"support\\\": "     \
    "[]}\"}}], \"usage\": {\"prompt_tokens\": " #prompt ", \"completion_tokens\": " #completion    \
    "}}"
enum { CALL_TOKENS = 100 };
#define CALL_USD 1e-4 /* by the price list below */

typedef struct live_world {
    syn_agents agents;
    syn_deciders *deciders; /* the rule */
    syn_live_plan plan;     /* all policies with three agents, one question at a time */
    char questions[160], output[160];
} live_world;

static inline void questions_write(const char *name, int64_t count, uint64_t seed)
{
    syn_synth_options o = syn_synth_defaults();
    o.tasks = count;
    o.seed = seed;
    assert_ok(syn_synth_write(&o, path_of(name)));
}

/* url NULL: extractive agents. priced: the endpoint's model has a price. */
static inline void world_open(live_world *w, const char *url, bool priced, bool replayed)
{
    syn_agent_options who = {.provider = "extractive"};
    char text[512];
    *w = (live_world){0};
    if (url) {
        snprintf(
            text, sizeof text,
            "{\"providers\": [{\"name\": \"fake\", \"base_url\": \"%s\", \"model\": \"toy\"%s}]}",
            url,
            priced ? ", \"prices\": {\"toy\": {\"prompt_usd_per_million\": 1, "
                     "\"completion_usd_per_million\": 1}}"
                   : "");
        who.provider = "fake";
        who.providers_file = text_write("providers.json", text);
        who.insecure = true;
    }
    assert_ok(syn_agents_open(&who, replayed, &w->agents));
    assert_ok(syn_deciders_open(NULL, NULL, &w->deciders));
    snprintf(w->questions, sizeof w->questions, "%s", path_of("questions.json"));
    snprintf(w->output, sizeof w->output, "%s", path_of("out.json"));
    w->plan = (syn_live_plan){.source = {{"hotpotqa", w->questions}},
                              .sources = 1,
                              .agents = {3},
                              .agent_counts = 1,
                              .policies = ALL_POLICIES,
                              .limit = 4,
                              .seed = 1,
                              .rounds_max = 5,
                              .temperature = .7,
                              .timeout_s = 60,
                              .reply_tokens_max = 256,
                              .parallel = 1,
                              .output = w->output,
                              .deciders = w->deciders,
                              .agents_are = &w->agents,
                              .time_scale = .01};
}

static inline void world_close(live_world *w)
{
    syn_deciders_close(w->deciders);
    syn_agents_close(&w->agents);
}

/* The run fails with these words. */
static inline void assert_stops(const live_world *w, syn_status st, const char *words)
{
    const syn_status got = syn_live_evaluate(&w->plan);
    if (got != st || !strstr(syn_error_text(), words))
        fail_msg("status %d, expected %d with \"%s\": %s", (int)got, (int)st, words,
                 got == SYN_OK ? "" : syn_error_text());
}

static inline json_t *results_read(const live_world *w)
{
    json_t *j = json_load_file(w->output, 0, NULL);
    assert_non_null(j);
    return j;
}

/* All lines, as a list. */
static inline json_t *lines_read(const live_world *w)
{
    char path[200];
    size_t bytes;
    assert_ok(syn_live_records_path(w->output, path, sizeof path));
    char *text = file_read(path, &bytes), *at = text, *line;
    json_t *list = json_array();
    while ((line = strsep(&at, "\n")) && *line)
        assert_int_equal(json_array_append_new(list, json_loads(line, 0, NULL)), 0);
    free(text);
    return list;
}

static inline const char *text_in(const json_t *j, const char *name)
{
    const char *text = json_string_value(json_object_get(j, name));
    return text ? text : "";
}

static inline double number_in(const json_t *j, const char *name)
{
    const json_t *x = json_object_get(j, name);
    return json_is_number(x) ? json_number_value(x) : (double)NAN;
}

/* The last line of this question and policy, NULL: none. id NULL: any question. */
static inline const json_t *line_of(const json_t *lines, const char *id, const char *policy)
{
    for (size_t i = json_array_size(lines); i-- > 0;) {
        const json_t *line = json_array_get(lines, i);
        if ((!id || !strcmp(text_in(line, "id"), id)) && !strcmp(text_in(line, "policy"), policy))
            return line;
    }
    return NULL;
}

/* How many lines have an answer (error null), of this policy; NULL: of all. */
static inline int answered(const json_t *lines, const char *policy)
{
    int n = 0;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        n += json_is_null(json_object_get(line, "error")) &&
             (!policy || !strcmp(text_in(line, "policy"), policy));
    }
    return n;
}

/* The figures of a policy in "runs"; NULL: none. */
static inline const json_t *run_of(const json_t *results, const char *benchmark, const char *policy)
{
    const json_t *b = json_object_get(json_object_get(results, "benchmarks"), benchmark);
    const json_t *runs = json_object_get(b, "runs");
    for (size_t i = 0; i < json_array_size(runs); i++)
        if (!strcmp(text_in(json_array_get(runs, i), "policy"), policy))
            return json_array_get(runs, i);
    return NULL;
}

static inline int fresh_folder(void **state)
{
    if (folder_setup(state) != 0) return -1;
    questions_write("questions.json", 40, 5);
    return 0;
}

#endif
