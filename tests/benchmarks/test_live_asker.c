/* The policy `asker`: the evidence moves first, then one agent is asked, once or twice. */
#include "tests/benchmarks/live_world.h"

/* The documents of the first question: which are the asker's own, which were sent to it, which
 * stood in the last request. */
typedef struct shown {
    int documents;
    bool own[SYN_TEAM_PIECES_MAX], sent[SYN_TEAM_PIECES_MAX], asked[SYN_TEAM_PIECES_MAX];
} shown;

static bool was_sent(const json_t *line, const char *title)
{
    const json_t *list = json_object_get(line, "dialogue"), *entry;
    size_t i;
    json_array_foreach((json_t *)list, i, entry)
    {
        const bool moves = strcmp(text_in(entry, "message_type"), "request") != 0;
        if (moves && (int)number_in(entry, "to") == 1 &&
            !strncmp(text_in(entry, "message"), title, strlen(title)))
            return true;
    }
    return false;
}

static shown look_at_first(const live_world *w, const json_t *line, const fake_llm *fake)
{
    shown s = {0};
    syn_arena arena;
    syn_round_config config;
    syn_live_bench *bench;
    const syn_question *q;
    int64_t number;
    const syn_live_bench_options o = {.benchmark = "hotpotqa", .path = w->questions, .seed = 1};
    syn_arena_init(&arena, 1 << 20);
    syn_round_config_defaults(&config);
    assert_ok(syn_live_bench_open(&o, &bench));
    assert_ok(syn_live_bench_next(bench, &q, &number));
    assert_ok(syn_live_task_make(bench, q, 3, &arena, &config));
    s.documents = config.document_count;
    for (int k = 0; k < s.documents; k++) {
        char quoted[256];
        const syn_round_document *d = &config.documents[k];
        snprintf(quoted, sizeof quoted, "\\\"title\\\":\\\"%s\\\"", d->title);
        s.own[k] = d->agents & 1;
        s.sent[k] = was_sent(line, d->title);
        s.asked[k] = strstr(fake->last_request, quoted) != NULL;
    }
    syn_live_bench_close(bench);
    syn_arena_free(&arena);
    return s;
}

static void the_asker_is_asked_once_with_what_has_moved(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_ASKER;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), 1);
    json_t *lines = lines_read(&w), *results = results_read(&w);
    const json_t *line = json_array_get(lines, 0);
    const shown s = look_at_first(&w, line, fake);
    int own = 0, moved = 0;
    for (int k = 0; k < s.documents; k++) {
        assert_true(s.asked[k] == (s.own[k] || s.sent[k]));
        own += s.own[k];
        moved += s.sent[k];
    }
    assert_true(own > 0 && moved > 0 && own + moved < s.documents);
    assert_int_equal(number_in(line, "messages"), moved);
    assert_int_equal(number_in(line, "targeted_messages"), moved);
    assert_int_equal(number_in(line, "calls"), 1);
    assert_int_equal(number_in(line, "rounds"), 1);
    assert_int_equal(number_in(line, "prompt_tokens") + number_in(line, "completion_tokens"),
                     CALL_TOKENS);
    assert_string_equal(text_in(line, "short_answer"), "Lyra");
    assert_non_null(strstr(fake->last_request, "answer for a team of 3 agents"));
    assert_true(json_is_null(json_object_get(line, "entropy"))); /* nobody could differ */
    const json_t *run = run_of(results, "hotpotqa", "asker");
    assert_int_equal(number_in(run, "calls"), 1);
    json_decref(lines);
    json_decref(results);
    world_close(&w);
    fake_stop(fake);
}

static void an_asker_that_does_not_know_is_given_everything(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("unknown")}, {.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 2);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_ASKER;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), 2);
    json_t *lines = lines_read(&w);
    const json_t *line = json_array_get(lines, 0);
    const shown s = look_at_first(&w, line, fake);
    int lacked = 0;
    for (int k = 0; k < s.documents; k++) {
        assert_true(s.asked[k]);
        assert_true(s.own[k] != s.sent[k]);
        lacked += !s.own[k];
    }
    assert_int_equal(number_in(line, "messages"), lacked);
    assert_int_equal(number_in(line, "calls"), 2);
    assert_int_equal(number_in(line, "rounds"), 2);
    assert_int_equal(number_in(line, "prompt_tokens") + number_in(line, "completion_tokens"),
                     2 * CALL_TOKENS);
    assert_string_equal(text_in(line, "short_answer"), "Lyra");
    assert_true(json_is_false(json_object_get(line, "abstained")));
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void an_asker_that_never_knows_abstains(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("unknown")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_ASKER;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), 4 * 2);
    json_t *lines = lines_read(&w);
    for (size_t i = 0; i < 4; i++) {
        const json_t *line = json_array_get(lines, i);
        assert_true(json_is_true(json_object_get(line, "abstained")));
        assert_string_equal(text_in(line, "stopped_by"), "abstained");
    }
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* That the provider failed is no "I do not know". */
static void an_asker_that_could_not_be_asked_again_has_failed(void **state)
{
    live_world w;
    const fake_step steps[] = {
        {.body = SAYS("unknown")}, {.status = 404, .body = "{}"}, {.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 3);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_ASKER;
    w.plan.limit = 1;
    assert_stops(&w, SYN_ERR_NETWORK, "1 of 1 answers failed");
    json_t *lines = lines_read(&w);
    assert_int_equal(number_in(json_array_get(lines, 0), "prompt_tokens"), 90); /* and was paid */
    assert_int_equal(answered(lines, NULL), 0);
    json_decref(lines);
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), 3);
    lines = lines_read(&w);
    assert_int_equal(answered(lines, "asker"), 1);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* Nothing can move: a benchmark of such questions is none for an asker, and a single one is asked
 * as a lone agent is. */
static void an_asker_needs_documents(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("B")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    char choice[160], bare[160];
    snprintf(choice, sizeof choice, "%s",
             text_write("dev_rand_split.jsonl",
                        "{\"answerKey\": \"B\", \"id\": \"q1\", \"question\": "
                        "{\"question_concept\": \"sky\", \"choices\": [{\"label\": \"A\", "
                        "\"text\": \"red\"}, {\"label\": \"B\", \"text\": \"blue\"}], "
                        "\"stem\": \"What colour is the sky?\"}}\n"));
    snprintf(bare, sizeof bare, "%s",
             text_write("bare.json", "[{\"_id\": \"b1\", \"question\": \"Where?\", \"answer\": "
                                     "\"here\", \"type\": \"bridge\", \"level\": \"hard\", "
                                     "\"supporting_facts\": [], \"context\": []}]"));
    w.plan.source[0] = (syn_live_source){"commonsenseqa", choice};
    w.plan.policies = 1u << SYN_LIVE_ASKER;
    assert_stops(&w, SYN_ERR_USAGE, "'asker' is for benchmarks that have documents");
    w.plan.source[1] = (syn_live_source){"hotpotqa", bare};
    w.plan.sources = 2;
    w.plan.policies |= 1u << SYN_LIVE_SINGLE;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w), *results = results_read(&w);
    assert_int_equal(json_array_size(lines), 3);
    assert_int_equal(fake_requests(fake), 3);
    assert_int_equal(answered(lines, "asker"), 1);
    const json_t *line = line_of(lines, "b1", "asker");
    assert_int_equal(number_in(line, "calls"), 1);
    assert_int_equal(number_in(line, "messages"), 0);
    assert_null(run_of(results, "commonsenseqa", "asker"));
    assert_true(json_is_true(json_object_get(results, "complete")));
    json_decref(lines);
    json_decref(results);
    world_close(&w);
    fake_stop(fake);
}

/* A run that was begun without it pays for it alone. */
static void the_asker_may_be_added_to_a_run(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = ALL_POLICIES & ~(1u << SYN_LIVE_ASKER);
    assert_ok(syn_live_evaluate(&w.plan));
    const int before = fake_requests(fake);
    w.plan.policies = ALL_POLICIES;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake) - before, 4);
    w.plan.policies = ALL_POLICIES & ~(1u << SYN_LIVE_ASKER);
    assert_stops(&w, SYN_ERR_USAGE, "policies: there");
    world_close(&w);
    fake_stop(fake);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_folder, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(the_asker_is_asked_once_with_what_has_moved),
        IN_A_FOLDER(an_asker_that_does_not_know_is_given_everything),
        IN_A_FOLDER(an_asker_that_never_knows_abstains),
        IN_A_FOLDER(an_asker_that_could_not_be_asked_again_has_failed),
        IN_A_FOLDER(an_asker_needs_documents),
        IN_A_FOLDER(the_asker_may_be_added_to_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
