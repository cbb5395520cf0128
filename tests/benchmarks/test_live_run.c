/* A run of live teams: what it asks, what it keeps, and how it stops and goes on. */
#include "tests/benchmarks/live_world.h"

#include "benchmarks/live_results.h"

static void every_question_is_asked_of_every_policy_once(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.agents[1] = 5;
    w.plan.agent_counts = 2;
    w.plan.parallel = 3;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w), *results = results_read(&w);
    json_t *seen = json_object();
    assert_int_equal(json_array_size(lines), 4 * SYN_LIVE_POLICY_COUNT * 2);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        char key[256];
        snprintf(key, sizeof key, "%s/%s/%d", text_in(line, "id"), text_in(line, "policy"),
                 (int)number_in(line, "num_agents"));
        assert_null(json_object_get(seen, key));
        json_object_set_new(seen, key, json_true());
        assert_true(json_is_null(json_object_get(line, "error")));
        assert_int_equal(json_array_size(json_object_get(line, "agents")),
                         strcmp(text_in(line, "policy"), "single") == 0 ||
                                 strcmp(text_in(line, "policy"), "self_consistency") == 0
                             ? 1
                             : number_in(line, "num_agents"));
    }
    assert_true(json_is_true(json_object_get(results, "complete")));
    assert_string_equal(text_in(results, "policy_networks"), "rule");
    json_decref(seen);
    json_decref(results);
    json_decref(lines);
    world_close(&w);
}

/* Means over the lines, computed here once more. */
static void figures_are_those_of_the_lines(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.limit = 20;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w), *results = results_read(&w);
    for (int p = 0; p < SYN_LIVE_POLICY_COUNT; p++) {
        const char *policy = syn_live_policy_name((syn_live_policy)p);
        const json_t *run = run_of(results, "hotpotqa", policy);
        double correct = 0, messages = 0, calls = 0, f1 = 0, joint = 0;
        for (size_t i = 0; i < json_array_size(lines); i++) {
            const json_t *line = json_array_get(lines, i);
            if (strcmp(text_in(line, "policy"), policy) != 0) continue;
            correct += number_in(line, "correct");
            messages += number_in(line, "messages");
            calls += number_in(line, "calls");
            f1 += number_in(json_object_get(line, "metrics"), "f1");
            joint += number_in(json_object_get(line, "metrics"), "joint_f1");
        }
        assert_true(fabs(number_in(run, "accuracy") - correct / 20) < 1e-6);
        assert_true(fabs(number_in(run, "messages") - messages / 20) < 1e-6);
        assert_true(fabs(number_in(run, "calls") - calls / 20) < 1e-6);
        assert_true(fabs(number_in(json_object_get(run, "metrics"), "f1") - f1 / 20) < 1e-12);
        assert_true(fabs(number_in(json_object_get(run, "metrics"), "em") - correct / 20) < 1e-12);
        assert_true(fabs(number_in(json_object_get(run, "metrics"), "joint_f1") - joint / 20) <
                    1e-12);
        assert_int_equal(number_in(run, "questions"), 20);
    }
    json_decref(results);
    json_decref(lines);
    world_close(&w);
}

static void comparisons_hold_the_learned_policy_against_each_other(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.limit = 20;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *results = results_read(&w);
    const json_t *b = json_object_get(json_object_get(results, "benchmarks"), "hotpotqa");
    const json_t *list = json_object_get(b, "comparisons");
    assert_int_equal(json_array_size(list), SYN_LIVE_POLICY_COUNT - 1);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        const double a = number_in(run_of(results, "hotpotqa", "learned"), "accuracy");
        const double other = number_in(run_of(results, "hotpotqa", text_in(c, "b")), "accuracy");
        assert_string_equal(text_in(c, "a"), "learned");
        assert_true(fabs(number_in(c, "difference") - (a - other)) < 1e-6);
        assert_true(number_in(c, "holm_p") >= number_in(c, "mcnemar_p"));
        assert_int_equal(number_in(c, "n"), 20);
    }
    json_decref(results);
    world_close(&w);
}

static void a_run_goes_on_where_its_lines_end(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 2;
    assert_ok(syn_live_evaluate(&w.plan));
    const int before = fake_requests(fake);
    json_t *results = results_read(&w);
    assert_int_equal(number_in(json_object_get(results, "spent"), "calls"), before);
    assert_int_equal(number_in(json_object_get(results, "spent"), "prompt_tokens"), 90 * before);
    assert_true(fabs(number_in(json_object_get(results, "spent"), "cost_usd") - CALL_USD * before) <
                1e-6);
    json_decref(results);

    assert_ok(syn_live_evaluate(&w.plan)); /* nothing is left to be asked */
    assert_int_equal(fake_requests(fake), before);

    w.plan.limit = 3; /* one more question */
    assert_ok(syn_live_evaluate(&w.plan));
    results = results_read(&w);
    assert_int_equal(number_in(json_object_get(results, "spent"), "calls"), fake_requests(fake));
    json_t *lines = lines_read(&w);
    assert_int_equal(json_array_size(lines), 3 * SYN_LIVE_POLICY_COUNT);
    json_decref(lines);
    json_decref(results);
    world_close(&w);
    fake_stop(fake);
}

static void a_line_that_was_cut_off_is_asked_again(void **state)
{
    live_world w;
    char path[200];
    size_t bytes;
    world_open(&w, NULL, false, false);
    assert_ok(syn_live_evaluate(&w.plan));
    assert_ok(syn_live_records_path(w.output, path, sizeof path));
    free(file_read(path, &bytes));
    assert_int_equal(truncate(path, (off_t)bytes - 40), 0);
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    assert_int_equal(json_array_size(lines), 4 * SYN_LIVE_POLICY_COUNT);
    assert_int_equal(answered(lines, NULL), 4 * SYN_LIVE_POLICY_COUNT);
    json_decref(lines);
    world_close(&w);
}

static void what_has_failed_is_asked_again(void **state)
{
    live_world w;
    /* This status is not tried again, and opens no breaker so soon. */
    const fake_step steps[] = {{.body = SAYS("Lyra")},
                               {.status = 404, .body = "{}"},
                               {.status = 404, .body = "{}"},
                               {.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 4);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_SINGLE;
    assert_stops(&w, SYN_ERR_NETWORK, "2 of 4 answers failed");
    json_t *results = results_read(&w), *lines = lines_read(&w);
    assert_true(json_is_false(json_object_get(results, "complete")));
    assert_string_equal(text_in(results, "why"), "2 of 4 answers failed");
    assert_int_equal(number_in(run_of(results, "hotpotqa", "single"), "failed"), 2);
    assert_int_equal(answered(lines, NULL), 2);
    json_decref(results);
    json_decref(lines);

    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), 6);
    results = results_read(&w);
    lines = lines_read(&w);
    assert_true(json_is_true(json_object_get(results, "complete")));
    assert_null(json_object_get(results, "why"));
    assert_int_equal(number_in(run_of(results, "hotpotqa", "single"), "failed"), 0);
    assert_int_equal(json_array_size(lines), 6);
    json_decref(results);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void a_provider_that_fails_half_way_stops_the_run(void **state)
{
    live_world w;
    fake_step steps[12];
    for (int k = 0; k < 12; k++) steps[k] = (fake_step){.body = SAYS("Lyra")};
    steps[11] = (fake_step){.status = 500, .body = "{}"};
    fake_llm *fake = fake_start(steps, 12);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 40;
    assert_stops(&w, SYN_ERR_NETWORK, "says so, and the same command goes on from its answers");
    json_t *results = results_read(&w), *lines = lines_read(&w);
    const int done = answered(lines, NULL);
    assert_true(json_is_false(json_object_get(results, "complete")));
    assert_non_null(strstr(text_in(results, "why"), "HTTP status 500"));
    assert_in_range(done, 1, 3);
    json_decref(results);
    json_decref(lines);
    fake_stop(fake);

    fake = fake_start(steps, 1); /* it is well again, at another port */
    world_close(&w);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 3;
    w.plan.overwrite = false;
    assert_stops(&w, SYN_ERR_USAGE, "limit: there 40, here 3");
    w.plan.limit = 40;
    w.plan.parallel = 8;
    assert_ok(syn_live_evaluate(&w.plan));
    lines = lines_read(&w);
    assert_int_equal(answered(lines, NULL), 40 * SYN_LIVE_POLICY_COUNT);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void one_question_that_is_too_long_stops_nobody(void **state)
{
    live_world w;
    enum { LONG = 40000 };
    world_open(&w, NULL, false, false);
    size_t bytes;
    char *text = file_read(w.questions, &bytes), *longer = malloc(bytes + LONG);
    char *at = strstr(strstr(text, "\"question\""), ":");
    at = strchr(at, '"') + 1;
    memcpy(longer, text, (size_t)(at - text));
    memset(longer + (at - text), 'w', LONG);
    memcpy(longer + (at - text) + LONG, at, bytes - (size_t)(at - text));
    file_write("questions.json", longer, bytes + LONG);
    free(text);
    free(longer);
    w.plan.agents[1] = 4;
    w.plan.agents[2] = 5;
    w.plan.agent_counts = 3;
    assert_stops(&w, SYN_ERR_NETWORK, "18 of 72 answers failed");
    json_t *lines = lines_read(&w);
    assert_int_equal(answered(lines, NULL), 3 * SYN_LIVE_POLICY_COUNT * 3);
    assert_non_null(strstr(text_in(json_array_get(lines, 0), "error"), "longer than"));
    json_decref(lines);
    world_close(&w);
}

static void files_of_another_run_are_left_alone(void **state)
{
    live_world w;
    char path[200];
    world_open(&w, NULL, false, false);
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *before = results_read(&w);
    const syn_live_plan plan = w.plan;

    w.plan.seed = 2;
    assert_stops(&w, SYN_ERR_USAGE, "seed: there 1, here 2");
    w.plan = plan;
    w.plan.temperature = .5;
    assert_stops(&w, SYN_ERR_USAGE, "temperature: there 0.7");
    w.plan = plan;
    w.plan.limit = 3;
    assert_stops(&w, SYN_ERR_USAGE, "limit: there 4, here 3");
    w.plan = plan;
    w.plan.policies = 1u << SYN_LIVE_LEARNED;
    assert_stops(&w, SYN_ERR_USAGE, "policies: there");
    w.plan = plan;
    w.plan.agents[0] = 4;
    assert_stops(&w, SYN_ERR_USAGE, "num_agents: there [3], here [4]");
    w.plan = plan;
    w.plan.weights = "c0ffee";
    assert_stops(&w, SYN_ERR_USAGE, "weights_sha256: there null, here \"c0ffee\"");
    w.plan = plan;
    json_t *after = results_read(&w);
    assert_true(json_equal(before, after));
    json_decref(after);
    json_decref(before);

    assert_ok(syn_live_records_path(w.output, path, sizeof path));
    assert_int_equal(unlink(w.output), 0);
    assert_stops(&w, SYN_ERR_USAGE, "which says of what run, is not there");
    w.plan.overwrite = true;
    w.plan.seed = 2;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    assert_int_equal(json_array_size(lines), 4 * SYN_LIVE_POLICY_COUNT);
    json_decref(lines);

    text_write("out.json", "{\"format\": \"a letter to mother\"}");
    assert_stops(&w, SYN_ERR_USAGE, "is not written over");
    world_close(&w);
}

static void damaged_lines_are_refused(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    assert_ok(syn_live_evaluate(&w.plan));
    text_write("out.records.jsonl", "{\"benchmark\": \"hotpotqa\"}\n{}\n");
    assert_stops(&w, SYN_ERR_FORMAT, "line 1 is no answer of a run");
    w.plan.overwrite = true;
    assert_ok(syn_live_evaluate(&w.plan));
    world_close(&w);
}

static void benchmarks_take_turns(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("B")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    char choice[160];
    snprintf(
        choice, sizeof choice, "%s",
        text_write("dev_rand_split.jsonl",
                   "{\"answerKey\": \"B\", \"id\": \"q1\", \"question\": {\"question_concept\": "
                   "\"sky\", \"choices\": [{\"label\": \"A\", \"text\": \"red\"}, {\"label\": "
                   "\"B\", \"text\": \"blue\"}], \"stem\": \"What colour is the sky?\"}}\n"
                   "{\"answerKey\": \"A\", \"id\": \"q2\", \"question\": {\"question_concept\": "
                   "\"blood\", \"choices\": [{\"label\": \"A\", \"text\": \"red\"}, {\"label\": "
                   "\"B\", \"text\": \"blue\"}], \"stem\": \"What colour is blood?\"}}\n"));
    w.plan.source[1] = (syn_live_source){"commonsenseqa", choice};
    w.plan.sources = 2;
    w.plan.policies = 1u << SYN_LIVE_SINGLE;
    w.plan.limit = 3;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w), *results = results_read(&w);
    static const char *const order[] = {"hotpotqa", "commonsenseqa", "hotpotqa", "commonsenseqa",
                                        "hotpotqa"};
    assert_int_equal(json_array_size(lines), 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(text_in(json_array_get(lines, i), "benchmark"), order[i]);
    const json_t *run = run_of(results, "commonsenseqa", "single");
    assert_true(number_in(run, "accuracy") == .5);
    const json_t *b = json_object_get(json_object_get(results, "benchmarks"), "commonsenseqa");
    assert_string_equal(text_in(b, "evidence"), "none");
    assert_int_equal(number_in(results, "questions"), 5);
    json_decref(results);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void a_recorded_run_is_repeated_without_the_provider(void **state)
{
    live_world w;
    fake_step steps[24];
    for (int k = 0; k < 24; k++)
        steps[k] = (fake_step){.body = k % 3 == 0   ? SAYS("Vega")
                                       : k % 3 == 1 ? SAYS("Lyra")
                                                    : SAYS("unknown"),
                               .delay_ms = k % 5};
    fake_llm *fake = fake_start(steps, 24);
    world_open(&w, fake->url, true, false);
    w.plan.parallel = 3;
    assert_ok(syn_tape_open(path_of("tape"), SYN_TAPE_RECORD, &w.plan.tape));
    assert_ok(syn_live_evaluate(&w.plan));
    assert_ok(syn_tape_close(w.plan.tape));
    json_t *first = lines_read(&w);
    fake_stop(fake);
    world_close(&w);

    world_open(&w, "http://127.0.0.1:1/v1", true, true);
    snprintf(w.output, sizeof w.output, "%s", path_of("again.json"));
    w.plan.parallel = 1;
    assert_ok(syn_tape_open(path_of("tape"), SYN_TAPE_REPLAY, &w.plan.tape));
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *second = lines_read(&w);
    assert_int_equal(json_array_size(first), json_array_size(second));
    for (size_t i = 0; i < json_array_size(second); i++) {
        const json_t *line = json_array_get(second, i);
        const json_t *other = line_of(first, text_in(line, "id"), text_in(line, "policy"));
        assert_true(json_equal(line, other)); /* its latency too */
    }
    w.plan.limit++; /* this question is not on the tape */
    assert_stops(&w, SYN_ERR_INVALID, "is not recorded");
    assert_int_equal(syn_tape_close(w.plan.tape), SYN_ERR_INVALID);
    json_decref(first);
    json_decref(second);
    world_close(&w);
}

static void the_report_reads_what_is_written(void **state)
{
    live_world w;
    syn_live_run run;
    world_open(&w, NULL, false, false);
    assert_ok(syn_live_evaluate(&w.plan));
    assert_ok(syn_live_read(w.output, "f1", &run));
    assert_true(run.has_records && !run.torn && !run.damaged);
    assert_int_equal(run.count, 4 * SYN_LIVE_POLICY_COUNT);
    for (int64_t i = 0; i < run.count; i++) {
        assert_true(isfinite(run.record[i].metric) && isfinite(run.record[i].latency_s));
        assert_true(isfinite(run.record[i].tokens) && isfinite(run.record[i].messages));
    }
    syn_live_free(&run);
    world_close(&w);
}

/* The policy's predictions of three turns whose answers came in another order, one of them never.
 */
static void turns_of_a_dialogue_are_predicted_in_their_order(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.source[0] = (syn_live_source){"multiwoz", w.questions};
    w.plan.predictions = "wanted";
    FILE *f = fopen(path_of("out.records.jsonl"), "w");
    static const int order[] = {2, 0, 3, 1};
    for (int k = 0; k < 4; k++) {
        const int turn = order[k];
        json_t *line = json_pack("{s:s, s:s+, s:s, s:i, s:i, s:i, s:s, s:s}", "benchmark",
                                 "multiwoz", "id", "sng1#",
                                 turn == 0   ? "0"
                                 : turn == 1 ? "1"
                                 : turn == 2 ? "2"
                                             : "3",
                                 "policy", "single", "num_agents", 3, "number", turn, "correct", 0,
                                 "domain", "hotel", "group", "sng1");
        if (turn == 1) json_object_set_new(line, "error", json_string("the provider failed"));
        if (turn != 1)
            json_object_set_new(line, "prediction",
                                json_pack("{s:s, s:{}}", "response",
                                          turn == 0   ? "first"
                                          : turn == 2 ? "third"
                                                      : "fourth",
                                          "state"));
        assert_int_equal(json_dumpf(line, f, JSON_COMPACT), 0);
        fputc('\n', f);
        json_decref(line);
    }
    assert_int_equal(fclose(f), 0);
    syn_live_sums *sums = calloc(1, sizeof *sums);
    w.plan.sources = 0; /* without figures, for which the data would be needed */
    assert_ok(syn_live_sums_read(&w.plan, path_of("out.records.jsonl"), NULL, sums));
    assert_int_equal(sums->cells, 1);
    const json_t *turns = json_object_get(sums->cell[0].predictions, "sng1");
    static const char *const responses[] = {"first", "", "third", "fourth"};
    assert_int_equal(json_array_size(turns), 4);
    for (size_t k = 0; k < 4; k++)
        assert_string_equal(text_in(json_array_get(turns, k), "response"), responses[k]);
    syn_live_sums_free(sums);
    free(sums);
    world_close(&w);
}

static void what_stands_beside_the_results_does_not_keep_them_back(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.limit = 20;
    text_write("out.calibration.json", "my notes");
    assert_stops(&w, SYN_ERR_FORMAT, "out.calibration.json:1: this is not JSON");
    json_t *results = results_read(&w);
    assert_true(json_is_true(json_object_get(results, "complete")));
    assert_non_null(run_of(results, "hotpotqa", "learned"));
    json_decref(results);
    w.plan.predictions = "/dev/null/predictions";
    w.plan.overwrite = true;
    assert_stops(&w, SYN_ERR_IO, "/dev/null/predictions: cannot be made");
    results = results_read(&w);
    assert_non_null(run_of(results, "hotpotqa", "learned")); /* before anything is asked */
    json_decref(results);
    world_close(&w);
}

static void two_runs_do_not_share_a_file(void **state)
{
    live_world w;
    syn_live_records records;
    world_open(&w, NULL, false, false);
    assert_ok(syn_live_records_open(&records, w.output, false));
    assert_stops(&w, SYN_ERR_IO, "another run writes to it");
    syn_live_records_close(&records);
    world_close(&w);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_folder, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(every_question_is_asked_of_every_policy_once),
        IN_A_FOLDER(figures_are_those_of_the_lines),
        IN_A_FOLDER(comparisons_hold_the_learned_policy_against_each_other),
        IN_A_FOLDER(a_run_goes_on_where_its_lines_end),
        IN_A_FOLDER(a_line_that_was_cut_off_is_asked_again),
        IN_A_FOLDER(what_has_failed_is_asked_again),
        IN_A_FOLDER(a_provider_that_fails_half_way_stops_the_run),
        IN_A_FOLDER(one_question_that_is_too_long_stops_nobody),
        IN_A_FOLDER(files_of_another_run_are_left_alone),
        IN_A_FOLDER(damaged_lines_are_refused),
        IN_A_FOLDER(benchmarks_take_turns),
        IN_A_FOLDER(a_recorded_run_is_repeated_without_the_provider),
        IN_A_FOLDER(the_report_reads_what_is_written),
        IN_A_FOLDER(turns_of_a_dialogue_are_predicted_in_their_order),
        IN_A_FOLDER(what_stands_beside_the_results_does_not_keep_them_back),
        IN_A_FOLDER(two_runs_do_not_share_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
