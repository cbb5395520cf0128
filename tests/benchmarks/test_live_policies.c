/* What sets the policies of a run apart: who is told what, who is asked how often. */
#include "tests/benchmarks/live_world.h"

#include "serve/aggregate.h"

/* ---- round robin ---- */

/* Three agents; agent 0 asks. Items 0 and 1 are agent 1's, item 2 is agent 2's. */
static syn_team team_of_three(void)
{
    static const char *const texts[] = {"The harbour of Orrin is old.", "Lyra is in the north sky.",
                                        "Vega is the brightest star of Lyra."};
    syn_team t = {.question = "Which star is the brightest of Lyra?",
                  .agents = 3,
                  .goal = SYN_GOAL_ASKER,
                  .piece_count = 3,
                  .item_count = 3,
                  .turns_max = 20,
                  .round = 1};
    for (int k = 0; k < 3; k++) t.items[k] = (syn_team_item){.title = "", .text = texts[k]};
    t.own[1] = t.holds[1] = 3;
    t.own[2] = t.holds[2] = 4;
    return t;
}

static void allow_all(syn_team *t, bool answer)
{
    memset(t->legal, 0, sizeof t->legal);
    for (int i = 0; i < t->agents; i++)
        for (int j = 0; j < t->agents; j++)
            if (i != j && syn_team_givable(t, i, j)) t->legal[syn_action_index(SYN_SEND, i, j)] = 1;
    if (answer) t->legal[syn_action_index(SYN_ANSWER, -1, -1)] = 1;
}

/* Asks for the next message and sends it. */
static syn_decision next_of(syn_team *t, bool answer)
{
    const syn_decider d = syn_live_turns_decider();
    syn_decision out;
    syn_team_gaps seen;
    allow_all(t, answer);
    assert_ok(d.observe(d.user, t, &seen));
    assert_true(seen.sufficiency < 0); /* judges nothing */
    assert_ok(d.decide(d.user, t, &seen, &out));
    if (out.kind == SYN_SEND) {
        t->sent[out.from][out.to] |= 1ull << out.item;
        t->holds[out.to] |= 1ull << out.item;
    }
    t->turn_count++;
    return out;
}

static void round_robin_tells_the_asker_everything_by_turns(void **state)
{
    syn_team t = team_of_three();
    syn_decision d = next_of(&t, true); /* turn 0: agent 0 has nothing, agent 1 is next */
    assert_true(d.kind == SYN_SEND && d.from == 1 && d.to == 0);
    assert_int_equal(d.item, 1); /* the nearer one to the question */
    d = next_of(&t, true);
    assert_true(d.kind == SYN_SEND && d.from == 1 && d.item == 0);
    d = next_of(&t, true);
    assert_true(d.kind == SYN_SEND && d.from == 2 && d.item == 2);
    d = next_of(&t, true);
    assert_int_equal(d.kind, SYN_ANSWER);
    assert_int_equal(next_of(&t, false).kind, SYN_NO_ACTION); /* no answer yet is legal */
}

static void round_robin_passes_on_only_its_own(void **state)
{
    syn_team t = team_of_three();
    t.holds[2] |= 2; /* agent 2 was given item 1, and has sent its own */
    t.sent[1][2] |= 2;
    t.sent[1][0] = 1;
    t.sent[2][0] = 4;
    t.holds[0] = 5;
    t.turn_count = 2; /* its turn */
    const syn_decision d = next_of(&t, true);
    assert_true(d.kind == SYN_SEND && d.from == 1 && d.item == 1);
    assert_int_equal(next_of(&t, true).kind, SYN_ANSWER);
}

static void round_robin_goes_round_for_consensus(void **state)
{
    syn_team t = team_of_three();
    t.goal = SYN_GOAL_CONSENSUS;
    t.own[0] = t.holds[0] = 0;
    bool told[3][3] = {{false}};
    for (int k = 0; k < 12; k++) {
        const syn_decision d = next_of(&t, true);
        if (d.kind != SYN_SEND) break;
        told[d.from][d.to] = true;
    }
    assert_true(told[1][0] && told[1][2] && told[2][0] && told[2][1]);
    for (int i = 0; i < 3; i++) assert_int_equal(t.holds[i], 7);
}

/* ---- one agent alone ---- */

static void a_single_agent_gets_every_document(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    syn_live_bench *bench;
    const syn_question *q;
    int64_t number;
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_SINGLE;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), 1);
    assert_ok(syn_live_bench_open(
        &(syn_live_bench_options){.benchmark = "hotpotqa", .path = w.questions, .seed = 1},
        &bench));
    assert_ok(syn_live_bench_next(bench, &q, &number));
    for (int k = 0; k < q->document_count; k++) {
        char title[256];
        snprintf(title, sizeof title, "%s", q->documents[k].title);
        if (!strstr(fake->last_request, title)) fail_msg("%s was not given", title);
    }
    assert_non_null(strstr(fake->last_request, "Nobody else is asked."));
    assert_null(strstr(fake->last_request, "one of a team"));
    syn_live_bench_close(bench);
    world_close(&w);
    fake_stop(fake);
}

static void single_agents_send_no_messages(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.policies = 1u << SYN_LIVE_SINGLE | 1u << SYN_LIVE_SELF_CONSISTENCY;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w), *results = results_read(&w);
    assert_int_equal(json_array_size(lines), 8);
    for (size_t i = 0; i < 8; i++) {
        const json_t *line = json_array_get(lines, i);
        assert_int_equal(number_in(line, "messages"), 0);
        assert_int_equal(number_in(line, "rounds"), 1);
        assert_int_equal(number_in(line, "samples"), 1); /* extractive agents never change */
        assert_string_equal(text_in(line, "stopped_by"), "answered");
        const json_t *facts = json_object_get(json_object_get(line, "prediction"), "sp");
        assert_true(json_array_size(facts) > 0); /* it names what its answer rests on */
    }
    /* One agent comes to no agreement. */
    assert_true(json_is_null(json_object_get(run_of(results, "hotpotqa", "single"), "converged")));
    json_decref(lines);
    json_decref(results);
    world_close(&w);
}

/* ---- self-consistency ---- */

static void samples_take_the_tokens_of_the_learned_policy(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_LEARNED | 1u << SYN_LIVE_SELF_CONSISTENCY;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    for (int k = 0; k < 4; k++) {
        const json_t *line = json_array_get(lines, (size_t)(2 * k));
        assert_string_equal(text_in(line, "policy"), "learned");
        const double tokens =
            number_in(line, "prompt_tokens") + number_in(line, "completion_tokens");
        const json_t *again = line_of(lines, text_in(line, "id"), "self_consistency");
        assert_true(tokens == CALL_TOKENS * number_in(line, "calls"));
        assert_true(number_in(again, "samples") ==
                    fmin(tokens / CALL_TOKENS, SYN_LIVE_SAMPLES_MAX));
        assert_true(number_in(again, "samples") > 2);
        assert_true(number_in(again, "calls") == number_in(again, "samples"));
        assert_true(number_in(again, "confidence") == 1); /* all agree */
    }
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void without_a_learned_policy_five_are_taken(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_SELF_CONSISTENCY;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake), SYN_LIVE_SAMPLES_DEFAULT);
    world_close(&w);
    fake_stop(fake);
}

/* A resumed run knows what the learned policy took from its line. */
static void the_tokens_are_known_after_a_stop_too(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Lyra")}};
    fake_llm *fake = fake_start(steps, 1);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_LEARNED;
    w.plan.agents[0] = 5;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    const int calls = fake_requests(fake);
    assert_true(calls > SYN_LIVE_SAMPLES_DEFAULT);
    w.plan.policies |= 1u << SYN_LIVE_SELF_CONSISTENCY;
    assert_ok(syn_live_evaluate(&w.plan));
    assert_int_equal(fake_requests(fake) - calls,
                     calls < SYN_LIVE_SAMPLES_MAX ? calls : SYN_LIVE_SAMPLES_MAX);
    world_close(&w);
    fake_stop(fake);
}

static void the_answer_of_most_samples_counts(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Vega")},
                               {.body = SAYS("Lyra")},
                               {.body = SAYS("unknown")},
                               {.status = 404, .body = "{}"},
                               {.body = SAYS("the Lyra")}};
    fake_llm *fake = fake_start(steps, 5);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_SELF_CONSISTENCY;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    const json_t *line = json_array_get(lines, 0);
    if (!syn_same_answer(text_in(line, "short_answer"), "Lyra"))
        fail_msg("answered %s", text_in(line, "short_answer"));
    assert_true(number_in(line, "confidence") == .5); /* two of the four that came */
    assert_int_equal(number_in(line, "failed_calls"), 1);
    /* Who does not know states no confidence in an answer. */
    assert_int_equal(json_array_size(json_object_get(line, "stated")), 3);
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

static void of_a_tie_the_first_sample_counts(void **state)
{
    live_world w;
    const fake_step steps[] = {{.body = SAYS("Vega")},
                               {.body = SAYS("Lyra")},
                               {.body = SAYS("Lyra")},
                               {.body = SAYS("Vega")},
                               {.body = SAYS("unknown")}};
    fake_llm *fake = fake_start(steps, 5);
    world_open(&w, fake->url, true, false);
    w.plan.policies = 1u << SYN_LIVE_SELF_CONSISTENCY;
    w.plan.limit = 1;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    assert_string_equal(text_in(json_array_get(lines, 0), "short_answer"), "Vega");
    json_decref(lines);
    world_close(&w);
    fake_stop(fake);
}

/* ---- broadcast ---- */

static void broadcast_tells_everybody(void **state)
{
    live_world w;
    world_open(&w, NULL, false, false);
    w.plan.policies =
        1u << SYN_LIVE_LEARNED | 1u << SYN_LIVE_BROADCAST | 1u << SYN_LIVE_ROUND_ROBIN;
    assert_ok(syn_live_evaluate(&w.plan));
    json_t *lines = lines_read(&w);
    for (int k = 0; k < 4; k++) {
        const char *id = text_in(json_array_get(lines, (size_t)(3 * k)), "id");
        const json_t *all = line_of(lines, id, "broadcast"),
                     *turn = line_of(lines, id, "round_robin"),
                     *learned = line_of(lines, id, "learned");
        assert_true(number_in(all, "broadcast_messages") == number_in(all, "messages"));
        assert_true(number_in(turn, "targeted_messages") == number_in(turn, "messages"));
        assert_true(number_in(turn, "messages") > 0 && number_in(all, "messages") > 0);
        assert_true(number_in(learned, "messages") <= number_in(turn, "messages"));
        assert_int_equal(number_in(json_array_get(json_object_get(all, "dialogue"), 0), "round"),
                         1);
    }
    json_decref(lines);
    world_close(&w);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, fresh_folder, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_tells_the_asker_everything_by_turns),
        cmocka_unit_test(round_robin_passes_on_only_its_own),
        cmocka_unit_test(round_robin_goes_round_for_consensus),
        IN_A_FOLDER(a_single_agent_gets_every_document),
        IN_A_FOLDER(single_agents_send_no_messages),
        IN_A_FOLDER(samples_take_the_tokens_of_the_learned_policy),
        IN_A_FOLDER(without_a_learned_policy_five_are_taken),
        IN_A_FOLDER(the_tokens_are_known_after_a_stop_too),
        IN_A_FOLDER(the_answer_of_most_samples_counts),
        IN_A_FOLDER(of_a_tie_the_first_sample_counts),
        IN_A_FOLDER(broadcast_tells_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
