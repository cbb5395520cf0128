/* What a run of live teams may spend. */
#include "tests/benchmarks/live_world.h"

#include <pthread.h>
#include <signal.h>

#include "trainer/stop.h"

/* Each call takes what it reserves, or less. */
enum { DEAR_TOKENS = 300 + 256 };
#define DEAR_USD (DEAR_TOKENS * 1e-6)

static double spent(const live_world *w, const char *name)
{
    json_t *results = results_read(w);
    const double x = number_in(json_object_get(results, "spent"), name);
    json_decref(results);
    return x;
}

static double tokens_spent(const live_world *w)
{
    return spent(w, "prompt_tokens") + spent(w, "completion_tokens");
}

/* Questions are under way at once, and the first of them say nothing of what they will take. */
static void caps_are_never_passed(void **state)
{
    for (int parallel = 1; parallel <= 8; parallel += 7)
        for (int calls = 1; calls < 60; calls += 29) {
            live_world w;
            const fake_step steps[] = {{.body = SAYS_AND_TAKES("Lyra", 300, 256)}};
            fake_llm *fake = fake_start(steps, 1);
            world_open(&w, fake->url, true, false);
            w.plan.limit = 40;
            w.plan.parallel = parallel;
            w.plan.overwrite = true;
            w.plan.token_cap = calls * DEAR_TOKENS;
            assert_stops(&w, SYN_ERR_LIMIT, "the token cap of");
            assert_true(tokens_spent(&w) <= (double)w.plan.token_cap);
            assert_true(tokens_spent(&w) == DEAR_TOKENS * fake_requests(fake));

            const int before = fake_requests(fake);
            w.plan.token_cap = 0;
            w.plan.cost_cap_usd = calls * DEAR_USD;
            assert_stops(&w, SYN_ERR_LIMIT, "the cost cap of $");
            assert_true(spent(&w, "cost_usd") <= w.plan.cost_cap_usd + 1e-9);
            assert_true(fabs(spent(&w, "cost_usd") - DEAR_USD * (fake_requests(fake) - before)) <
                        1e-6);
            world_close(&w);
            fake_stop(fake);
        }
}

/* The first answer is asked alone, with everything; the others have its figure to go by. */
static void most_of_a_cap_is_used(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS_AND_TAKES("Lyra", 300, 256)}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 40;
    w.plan.parallel = 8;
    w.plan.policies = 1u << SYN_LIVE_SINGLE | 1u << SYN_LIVE_BROADCAST;
    w.plan.token_cap = 100 * DEAR_TOKENS;
    assert_stops(&w, SYN_ERR_LIMIT, "the token cap of 55600 is reached");
    assert_in_range(fake_requests(fake), 75, 100);
    json_t *lines = lines_read(&w);
    const int difference = answered(lines, "single") - answered(lines, "broadcast");
    assert_true(abs(difference) <= 8); /* policies have the same questions, but those under way */
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* A team that was cut short is no measure of a team: it is asked again where there is more. */
static void an_answer_that_a_cap_cut_short_is_none(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 1;
    w.plan.policies = 1u << SYN_LIVE_BROADCAST;
    assert_ok(syn_live_evaluate(&w.plan));
    const int whole = fake_requests(fake);
    w.plan.overwrite = true;
    bool cut = false; /* in the middle, after some calls */
    for (int64_t cap = 200; !cut && cap < 20000; cap += 200) {
        const int before = fake_requests(fake);
        w.plan.token_cap = cap;
        if (syn_live_evaluate(&w.plan) == SYN_OK) break;
        cut = fake_requests(fake) > before;
    }
    assert_true(cut);
    json_t *lines = lines_read(&w), *results = results_read(&w);
    assert_int_equal(answered(lines, NULL), 0);
    assert_string_equal(text_in(json_array_get(lines, 0), "stopped_by"), "cap");
    assert_true(number_in(json_array_get(lines, 0), "prompt_tokens") > 0);
    assert_true(json_is_false(json_object_get(results, "complete")));
    assert_null(run_of(results, "hotpotqa", "broadcast")); /* nor a wrong one */
    json_decref(lines);
    json_decref(results);

    w.plan.overwrite = false;
    w.plan.token_cap = 0;
    const int before = fake_requests(fake);
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake) - before, whole);
    world_close(&w);
    fake_stop(fake);
}

/* Nothing is asked, and nothing has failed. */
static void a_cap_without_room_for_one_call_stops_every_policy(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.overwrite = true;
    for (int p = 0; p < SYN_LIVE_POLICY_COUNT; p++)
        for (int parallel = 1; parallel <= 4; parallel += 3) {
            w.plan.policies = 1u << p;
            w.plan.parallel = parallel;
            w.plan.token_cap = 50;
            w.plan.cost_cap_usd = 0;
            assert_stops(&w, SYN_ERR_LIMIT, "the token cap of 50 is reached: 0 are spent");
            w.plan.token_cap = 0;
            w.plan.cost_cap_usd = 5e-5;
            assert_stops(&w, SYN_ERR_LIMIT, "the cost cap of $5e-05 is reached: $0 are spent");
        }
    assert_int_equal(fake_requests(fake), 0);
    w.plan.overwrite = false;
    w.plan.cost_cap_usd = 0;
    assert_ok(syn_live_evaluate(&w.plan));
    world_close(&w);
    fake_stop(fake);
}

/* What no round takes is not for want of room, however much the caps leave. */
static void a_question_that_cannot_be_asked_is_no_matter_of_caps(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 1;
    w.plan.rounds_max = SYN_ROUND_MAX + 1;
    w.plan.token_cap = 1000000;
    assert_stops(&w, SYN_ERR_NETWORK, "6 of 6 answers failed");
    json_t *lines = lines_read(&w);
    assert_int_equal(json_array_size(lines), SYN_LIVE_POLICY_COUNT);
    for (size_t i = 0; i < SYN_LIVE_POLICY_COUNT; i++)
        assert_non_null(strstr(text_in(json_array_get(lines, i), "error"), "max_rounds is 21"));
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* The cap has room for the first call of an asker, who does not know then, and not for the second:
 * that is no abstention. */
static void an_asker_whom_a_cap_left_unasked_has_not_abstained(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("unknown")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 1;
    w.plan.policies = 1u << SYN_LIVE_ASKER;
    w.plan.overwrite = true;
    int calls = 0;
    for (int64_t cap = 100; calls == 0; cap += 20) {
        w.plan.token_cap = cap;
        assert_stops(&w, SYN_ERR_LIMIT, "the token cap of");
        calls = fake_requests(fake);
    }
    assert_int_equal(calls, 1);
    assert_true(tokens_spent(&w) == CALL_TOKENS);
    json_t *lines = lines_read(&w);
    assert_int_equal(answered(lines, NULL), 0);
    assert_string_equal(text_in(json_array_get(lines, 0), "stopped_by"), "cap");
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* A single sample tells nothing of the five that follow: their part of the cap is too small. */
static void what_needs_more_than_its_part_is_asked_again(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS_AND_TAKES("Lyra", 300, 256)}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 6;
    w.plan.parallel = 6;
    w.plan.policies = 1u << SYN_LIVE_SINGLE | 1u << SYN_LIVE_SELF_CONSISTENCY;
    w.plan.token_cap = 80 * DEAR_TOKENS;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    int cut = 0;
    for (size_t i = 0; i < json_array_size(lines); i++)
        cut += !strcmp(text_in(json_array_get(lines, i), "stopped_by"), "cap");
    assert_int_equal(answered(lines, NULL), 6 * 2);
    assert_int_equal(json_array_size(lines), 12 + cut);
    assert_true(cut > 0);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void samples_keep_the_caps_too(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS_AND_TAKES("Lyra", 300, 256)}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_SELF_CONSISTENCY;
    w.plan.limit = 1;
    w.plan.token_cap = 4000; /* five samples reserve more */
    assert_stops(&w, SYN_ERR_LIMIT, "the token cap of 4000 is reached");
    assert_in_range(fake_requests(fake), 1, 4);
    assert_true(tokens_spent(&w) == DEAR_TOKENS * fake_requests(fake));
    json_t *lines = lines_read(&w);
    assert_int_equal(answered(lines, NULL), 0);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* An endpoint that tells no usage is paid by the price list, whoever asks. */
static void tokens_that_nobody_tells_are_estimated(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = "{\"choices\": [{\"message\": {\"content\": \"Lyra\"}}]}"}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 1;
    w.plan.cost_cap_usd = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const double tokens =
            number_in(line, "prompt_tokens") + number_in(line, "completion_tokens");
        assert_true(tokens > 100);
        assert_true(fabs(number_in(line, "cost_usd") - tokens * 1e-6) < 1e-8);
    }
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void a_cost_cap_needs_a_cost(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, false, false);
    w.plan.cost_cap_usd = 1;
    assert_stops(&w, SYN_ERR_LIMIT, "--cost-cap cannot be kept: fake tells no cost");
    json_t *lines = lines_read(&w);
    assert_int_equal(json_array_size(lines), 1);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void *interrupt_soon(void *context)
{
    fake_llm *fake = context;
    while (fake_requests(fake) < 40) usleep(1000);
    kill(getpid(), SIGINT);
    return NULL;
}

/* What is under way when a run is stopped has been paid as far as it came. The last test: the
 * signal stays. */
static void what_was_given_up_is_spent_too(void **state)
{
    enum { PARALLEL = 8, AT_A_TIME = 3 * PARALLEL };
    live_world w;
    fake_step steps[] = {{.body = SAYS("Lyra"), .delay_ms = 100}};
    pthread_t thread;
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.limit = 40;
    w.plan.parallel = PARALLEL;
    w.plan.policies = 1u << SYN_LIVE_BROADCAST;
    syn_stop_watch();
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, fake), 0);
    assert_stops(&w, SYN_ERR_INTERRUPTED, "stopped by SIGINT");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(tokens_spent(&w) <= CALL_TOKENS * fake_requests(fake));
    assert_true(tokens_spent(&w) >= CALL_TOKENS * (fake_requests(fake) - AT_A_TIME));
    json_t *lines = lines_read(&w), *results = results_read(&w);
    const json_t *run = run_of(results, "hotpotqa", "broadcast");
    if (run) assert_int_equal(number_in(run, "failed"), 0);
    json_decref(results);
    int given_up = 0;
    for (size_t i = 0; i < json_array_size(lines); i++)
        given_up += strstr(text_in(json_array_get(lines, i), "error"), "was stopped") != NULL;
    assert_in_range(given_up, 1, PARALLEL);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_folder, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(caps_are_never_passed),
        IN_A_FOLDER(most_of_a_cap_is_used),
        IN_A_FOLDER(an_answer_that_a_cap_cut_short_is_none),
        IN_A_FOLDER(a_cap_without_room_for_one_call_stops_every_policy),
        IN_A_FOLDER(a_question_that_cannot_be_asked_is_no_matter_of_caps),
        IN_A_FOLDER(an_asker_whom_a_cap_left_unasked_has_not_abstained),
        IN_A_FOLDER(what_needs_more_than_its_part_is_asked_again),
        IN_A_FOLDER(samples_keep_the_caps_too),
        IN_A_FOLDER(tokens_that_nobody_tells_are_estimated),
        IN_A_FOLDER(a_cost_cap_needs_a_cost),
        IN_A_FOLDER(what_was_given_up_is_spent_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
