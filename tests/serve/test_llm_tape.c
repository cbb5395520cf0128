/* What providers answered, recorded and replayed: the endpoint is gone by then, and whatever a call
 * came to, it comes to once more. */
#include "tests/serve/tape_world.h"

#include <signal.h>

#define DATA(json) "data: " json "\n\n"
#define CHUNK(text)                                                                                \
    DATA("{\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"" text                         \
         "\"},\"finish_reason\":null}]}")
#define STOP  DATA("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}")
#define USAGE DATA("{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}")
#define DONE  DATA("[DONE]")

/* ---- record, take the endpoint away, replay ---- */

static void assert_same(const said *was, const said *is)
{
    assert_int_equal(is->ok, was->ok);
    assert_string_equal(is->text, was->text);
    assert_string_equal(is->error, was->error);
    assert_string_equal(is->finish, was->finish);
    assert_string_equal(is->model, was->model);
    assert_string_equal(is->streamed, was->streamed);
    assert_string_equal(is->reasoning, was->reasoning);
    assert_int_equal(is->deltas, was->deltas);
    assert_int_equal(is->partial, was->partial);
    assert_int_equal(is->status, was->status);
    assert_int_equal(is->attempts, was->attempts);
    assert_true(json_equal(is->message, was->message) || (!is->message && !was->message));
    assert_memory_equal(&is->usage, &was->usage, sizeof is->usage);
    assert_true(is->retry_after_s == was->retry_after_s);
    assert_true(is->first_byte_s == was->first_byte_s && is->time_s == was->time_s);
}

/* Makes the calls one after the other; free them. */
static void make_calls(world *w, const syn_llm_call *call, int count, said **out)
{
    for (int k = 0; k < count; k++) {
        out[k] = submit_call(w, call[k]);
        wait_for(out[k]);
    }
}

static void assert_replayed(const fake_step *step, int steps, const syn_llm_call *call, int count)
{
    said *was[8], *is[8];
    assert_true(count <= 8);
    unlink(path);
    fake_llm *f = fake_start(step, steps);
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    world *w = world_on_tape(f->url, NULL, NULL, tape);
    make_calls(w, call, count, was);
    char url[64];
    snprintf(url, sizeof url, "%s", f->url);
    world_end(w);
    fake_stop(f);
    assert_int_equal(syn_tape_count(tape), count);
    assert_ok(syn_tape_close(tape));

    tape = open_tape(SYN_TAPE_REPLAY);
    w = world_on_tape(url, NULL, NULL, tape);
    make_calls(w, call, count, is);
    for (int k = 0; k < count; k++) assert_same(was[k], is[k]);
    world_end(w);
    assert_ok(syn_tape_close(tape));
    for (int k = 0; k < count; k++) {
        said_free(was[k]);
        said_free(is[k]);
    }
}

#define REPLAYED(call, ...)                                                                        \
    assert_replayed((const fake_step[]){__VA_ARGS__},                                              \
                    (int)(sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)), &(call),  \
                    1)

static const syn_llm_call whole = {.tag = "a"}, streamed = {.tag = "a", .delta = said_delta};

static void an_answer_comes_back_with_usage_cost_and_times(void **state)
{
    REPLAYED(whole, {.body = SAYS("hello"), .delay_ms = 20});
    REPLAYED(whole, {.body = SAYS("a \\u0000 b \\u20ac \xE2\x82\xAC")});
}

static void errors_and_retries_come_back(void **state)
{
    REPLAYED(whole, {.status = 429});
    REPLAYED(whole, {.status = 429, .headers = "Retry-After: 1\r\n"}, {.body = SAYS("hello")});
    REPLAYED(whole, {.status = 429, .headers = "Retry-After: 100\r\n"});
    REPLAYED(whole,
             {.status = 503, .headers = "retry-after-ms: 40\r\n", .body = "{\"error\":\"full\"}"});
    REPLAYED(whole, {.status = 500}, {.status = 502}, {.body = SAYS("late")});
    REPLAYED(whole, {.status = 400, .body = "{\"error\":{\"code\":\"too_long\"}}"});
    REPLAYED(whole, {.body = "{\"error\":{\"code\":429}}"});
    REPLAYED(whole, {.body = "<html>"}, {.body = "<html>"});
    REPLAYED(whole, {.mode = FAKE_CUT, .body = SAYS("hello")}, {.body = SAYS("hello")});
    REPLAYED(whole, {.mode = FAKE_CUT, .body = SAYS("hello")});
    REPLAYED(whole, {.mode = FAKE_RESET});
    REPLAYED(whole, {.mode = FAKE_RESET}, {.body = "\xFF\xFE\x01"}, {.body = SAYS("hello")});
}

static void silence_comes_back_at_once(void **state)
{
    REPLAYED(whole, {.mode = FAKE_STALL});
    /* What took all the time of the call then takes none now. */
    const syn_llm_call short_of_time = {.tag = "a", .timeout_s = .05};
    REPLAYED(short_of_time, {.body = SAYS("hello"), .delay_ms = 1000});
}

static void streams_come_back_piece_by_piece(void **state)
{
    static const char good[] = ": ping\n\n" CHUNK("hel") CHUNK("lo") STOP USAGE DONE;
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = good});
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = good, .slice = 1});
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = CHUNK("hello") STOP});
    REPLAYED(streamed, {.body = SAYS("a whole one")});
    REPLAYED(streamed, {.status = 500}, {.mode = FAKE_STREAM, .body = good});
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = good, .then = FAKE_THEN_STALL});
}

static void broken_streams_break_at_the_same_place(void **state)
{
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = CHUNK("hel"), .then = FAKE_THEN_CLOSE});
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = CHUNK("hel"), .then = FAKE_THEN_RESET});
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = CHUNK("hel"), .then = FAKE_THEN_STALL});
    REPLAYED(streamed, {.mode = FAKE_STREAM, .body = CHUNK("hel") DATA("{\"a\":") STOP DONE});
    REPLAYED(streamed,
             {.mode = FAKE_STREAM, .body = CHUNK("hel") DATA("{\"error\":{\"code\":503}}")});
}

static void endless_replies_end_at_the_same_limit(void **state)
{
    said *is[2];
    for (int replays = 0; replays < 2; replays++) {
        fake_llm *f = fake_start(&(fake_step){.mode = FAKE_ENDLESS}, 1);
        syn_tape *tape = open_tape(replays ? SYN_TAPE_REPLAY : SYN_TAPE_RECORD);
        world *w = world_on_tape(f->url, NULL, NULL, tape);
        syn_llm_destroy(w->llm);
        assert_ok(syn_llm_create(
            w->providers, &w->loop,
            &(syn_llm_options){.time_scale = SCALE, .tape = tape, .reply_bytes_max = 50000},
            &w->llm));
        make_calls(w, &whole, 1, &is[replays]);
        assert_int_equal(fake_requests(f), !replays);
        world_end(w);
        fake_stop(f);
        assert_ok(syn_tape_close(tape));
    }
    assert_non_null(strstr(is[0]->error, "larger than 50000 bytes"));
    assert_same(is[0], is[1]);
    said_free(is[0]);
    said_free(is[1]);
}

static void a_provider_that_was_left_alone_is_left_alone_again(void **state)
{
    syn_llm_call call[8];
    for (int k = 0; k < 8; k++) call[k] = (syn_llm_call){.tag = "the same"};
    assert_replayed(&(fake_step){.status = 500}, 1, call, 8);
}

/* ---- which reply is whose ---- */

static void tags_tell_equal_requests_apart_in_any_order(void **state)
{
    static const fake_step step[] = {{.body = SAYS("one"), .delay_ms = 90},
                                     {.body = SAYS("two"), .delay_ms = 10},
                                     {.body = SAYS("three")}};
    static const char *const tag[] = {"s/1", "s/2", "s/3"}, *const other[] = {"s/3", "s/1", "s/2"};
    said *was[3], *is[3];
    record_at_once(step, tag, 3, was);
    replay_at_once(other, 3, is);
    assert_same(was[0], is[1]);
    assert_same(was[1], is[2]);
    assert_same(was[2], is[0]);
    assert_string_not_equal(is[0]->text, is[1]->text);
    free_all(was, 3);
    free_all(is, 3);
}

static void equal_requests_of_one_tag_are_numbered(void **state)
{
    static const fake_step step[] = {{.body = SAYS("one")}, {.body = SAYS("two")}};
    const syn_llm_call call[] = {{.tag = "x"}, {.tag = "x"}};
    assert_replayed(step, 2, call, 2);
}

static int order[3], order_count;
static void note_order(void *context, const syn_llm_reply *r)
{
    assert_non_null(r->text);
    order[order_count++] = *(int *)context;
}

/* Three calls at once; `order` is that of their ends. f: they arrive there in their own order;
 * NULL: they are replayed. */
static void make_three(fake_llm *f, syn_tape *tape)
{
    static int number[] = {0, 1, 2};
    static const char *const tag[] = {"0", "1", "2"};
    world *w = world_on_tape(f ? f->url : "http://127.0.0.1:1/v1", NULL, NULL, tape);
    syn_llm_ticket *ticket;
    order_count = 0;
    for (int k = 0; k < 3; k++) {
        const syn_llm_call call = {.provider = w->provider,
                                   .user = "?",
                                   .timeout_s = 5,
                                   .tag = tag[k],
                                   .done = note_order,
                                   .context = &number[k]};
        assert_ok(syn_llm_submit(w->llm, &call, &ticket));
        while (f && fake_requests(f) <= k) run_for(w, 1);
    }
    for (int k = 0; k < 4000 && order_count < 3; k++) run_for(w, 1);
    assert_int_equal(order_count, 3);
    world_end(w);
}

static void replies_come_in_the_order_in_which_they_came(void **state)
{
    static const fake_step step[] = {{.body = SAYS("a"), .delay_ms = 360},
                                     {.body = SAYS("b"), .delay_ms = 40},
                                     {.body = SAYS("c"), .delay_ms = 180}};
    fake_llm *f = fake_start(step, 3);
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    make_three(f, tape);
    fake_stop(f);
    assert_ok(syn_tape_close(tape));
    const int was[] = {order[0], order[1], order[2]};
    assert_int_not_equal(was[0], 0); /* not in the order of their submission */
    tape = open_tape(SYN_TAPE_REPLAY);
    make_three(NULL, tape);
    assert_memory_equal(order, was, sizeof was);
    assert_ok(syn_tape_close(tape));
}

static void of_several_records_of_a_request_the_last_counts(void **state)
{
    static const char *const tag[] = {"q"};
    said *first, *second, *is;
    record_at_once(&(fake_step){.body = SAYS("of the first run")}, tag, 1, &first);
    record_at_once(&(fake_step){.body = SAYS("of the second")}, tag, 1, &second);
    replay_at_once(tag, 1, &is);
    assert_same(second, is);
    assert_string_not_equal(first->text, is->text);
    said_free(first);
    said_free(second);
    said_free(is);
}

/* ---- what is not there ---- */

static void an_unknown_request_fails_with_its_name_and_is_not_sent(void **state)
{
    static const char *const tag[] = {"q"};
    said *s;
    record_at_once(&(fake_step){.body = SAYS("x")}, tag, 1, &s);
    said_free(s);
    fake_llm *f = fake_start(&(fake_step){.body = SAYS("from the network")}, 1);
    syn_tape *tape = open_tape(SYN_TAPE_REPLAY);
    world *w = world_on_tape(f->url, NULL, NULL, tape);
    s = submit_call(w, (syn_llm_call){.tag = "q", .user = "Something else."});
    wait_for(s);
    assert_false(s->ok);
    assert_non_null(strstr(s->error, "to the model test-model (q) is not recorded"));
    said_free(s);
    s = submit_call(w, (syn_llm_call){.tag = "q\n"});
    wait_for(s);
    assert_non_null(strstr(s->error, "(q?) is not recorded"));
    said_free(s);
    assert_int_equal(syn_tape_check(tape), SYN_ERR_INVALID);
    assert_int_equal(fake_requests(f), 0);
    world_end(w);
    fake_stop(f);
    assert_int_equal(syn_tape_close(tape), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "(q) is not recorded"));
}

static void a_replay_needs_no_key_and_asks_for_no_ollama(void **state)
{
    syn_providers *p;
    const syn_provider *who;
    unsetenv("OPENAI_API_KEY");
    assert_ok(syn_providers_open(&(syn_providers_options){.replayed = true}, &p));
    assert_ok(syn_providers_choose(p, "openai", &who));
    assert_true(who->ready);
    syn_providers_close(p);
}

static void keys_are_blotted_out(void **state)
{
    static const char *const tag[] = {"q"};
    const char *key = "sk-very-secret-0123456789";
    size_t bytes;
    fake_llm *f = fake_start(
        &(fake_step){.status = 401,
                     .body = "{\"error\":{\"message\":\"bad key sk-very-secret-0123456789!\"}}"},
        1);
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    world *w = world_on_tape(f->url, key, NULL, tape);
    said *s = submit_call(
        w, (syn_llm_call){.tag = tag[0], .user = "my key is sk-very-secret-0123456789, yes"});
    wait_for(s);
    said_free(s);
    assert_non_null(strstr(f->last_request, key));
    world_end(w);
    fake_stop(f);
    assert_ok(syn_tape_close(tape));
    char *text = read_file(&bytes);
    assert_null(strstr(text, key));
    assert_non_null(strstr(text, "bad key *************************!"));
    assert_non_null(strstr(text, "my key is *************************, yes"));
    free(text);
}

static void a_cancelled_call_waits_to_be_cancelled_again(void **state)
{
    static const fake_step step[] = {
        {.mode = FAKE_STREAM, .body = CHUNK("hel"), .then = FAKE_THEN_STALL},
        {.body = SAYS("another")}};
    for (int replays = 0; replays < 2; replays++) {
        fake_llm *f = fake_start(step, 2);
        syn_tape *tape = open_tape(replays ? SYN_TAPE_REPLAY : SYN_TAPE_RECORD);
        world *w = world_on_tape(f->url, NULL, NULL, tape);
        said *s = submit_call(w, (syn_llm_call){.delta = said_delta, .timeout_s = 60});
        for (int k = 0; k < 400 && s->deltas == 0; k++) run_for(w, 5);
        run_for(w, 30);
        assert_string_equal(s->streamed, "hel");
        assert_false(s->done);
        if (!replays) syn_llm_cancel(s->ticket);
        said *other = submit_call(w, (syn_llm_call){.tag = "another"}); /* does not wait for it */
        wait_for(other);
        assert_string_equal(other->text, "another");
        assert_false(s->done);
        if (replays) syn_llm_cancel(s->ticket);
        said_free(s);
        said_free(other);
        world_end(w);
        fake_stop(f);
        assert_ok(syn_tape_close(tape));
    }
}

static void a_cancelled_call_keeps_nobody_from_ending(void **state)
{
    static const char *const tag[] = {"fine", "cancelled"};
    said *s[2];
    fake_llm *f = fake_start((const fake_step[]){{.mode = FAKE_STALL}, {.body = SAYS("x")}}, 2);
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    world *w = world_on_tape(f->url, NULL, NULL, tape);
    s[1] = submit_call(w, (syn_llm_call){.tag = tag[1], .timeout_s = 60});
    while (fake_requests(f) < 1) run_for(w, 1);
    syn_llm_cancel(s[1]->ticket);
    said_free(s[1]);
    s[0] = submit_call(w, (syn_llm_call){.tag = tag[0]});
    wait_for(s[0]);
    said_free(s[0]);
    world_end(w);
    fake_stop(f);
    assert_ok(syn_tape_close(tape));
    tape = open_tape(SYN_TAPE_REPLAY);
    w = world_on_tape("http://127.0.0.1:1/v1", NULL, NULL, tape);
    for (int k = 0; k < 2; k++) s[k] = submit_call(w, (syn_llm_call){.tag = tag[k]});
    wait_for(s[0]);
    run_for(w, 20);
    assert_true(s[0]->ok);
    assert_false(s[1]->done);
    world_end(w); /* cancels it */
    said_free(s[0]);
    said_free(s[1]);
    assert_ok(syn_tape_close(tape));
}

static void embeddings_come_back(void **state)
{
    said *s[2];
    for (int replays = 0; replays < 2; replays++) {
        fake_llm *f = fake_start(
            &(fake_step){.body = "{\"data\":[{\"index\":0,\"embedding\":[0.5,1]}],\"model\":\"e\","
                                 "\"usage\":{\"prompt_tokens\":2}}"},
            1);
        syn_tape *tape = open_tape(replays ? SYN_TAPE_REPLAY : SYN_TAPE_RECORD);
        world *w = world_on_tape(f->url, NULL, NULL, tape);
        s[replays] = calloc(1, sizeof **s);
        s[replays]->world = w;
        assert_ok(syn_llm_embed(w->llm,
                                &(syn_llm_embedding){.provider = w->provider,
                                                     .model = "e",
                                                     .texts = (const char *[]){"a"},
                                                     .count = 1,
                                                     .timeout_s = 5,
                                                     .done = said_done,
                                                     .context = s[replays]},
                                &s[replays]->ticket));
        wait_for(s[replays]);
        assert_int_equal(fake_requests(f), !replays);
        world_end(w);
        fake_stop(f);
        assert_ok(syn_tape_close(tape));
    }
    assert_int_equal(json_array_size(s[0]->message), 1);
    assert_same(s[0], s[1]);
    free_all(s, 2);
}

static void measured_figures_are_those_of_the_recording(void **state)
{
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    assert_true(syn_tape_measured(tape, "q/latency", .1) == .1);
    assert_true(syn_tape_measured(tape, "q/latency", 1.0 / 3) == 1.0 / 3);
    assert_ok(syn_tape_close(tape));
    tape = open_tape(SYN_TAPE_REPLAY);
    assert_true(syn_tape_measured(tape, "q/latency", 7) == 1.0 / 3);
    assert_true(syn_tape_measured(tape, "p/latency", 7) == 7);
    assert_ok(syn_tape_close(tape));
    assert_true(syn_tape_measured(NULL, "q/latency", 7) == 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_back_with_usage_cost_and_times),
        TEST(errors_and_retries_come_back),
        TEST(silence_comes_back_at_once),
        TEST(streams_come_back_piece_by_piece),
        TEST(broken_streams_break_at_the_same_place),
        TEST(endless_replies_end_at_the_same_limit),
        TEST(a_provider_that_was_left_alone_is_left_alone_again),
        TEST(tags_tell_equal_requests_apart_in_any_order),
        TEST(equal_requests_of_one_tag_are_numbered),
        TEST(replies_come_in_the_order_in_which_they_came),
        TEST(of_several_records_of_a_request_the_last_counts),
        TEST(an_unknown_request_fails_with_its_name_and_is_not_sent),
        TEST(a_replay_needs_no_key_and_asks_for_no_ollama),
        TEST(keys_are_blotted_out),
        TEST(a_cancelled_call_waits_to_be_cancelled_again),
        TEST(a_cancelled_call_keeps_nobody_from_ending),
        TEST(embeddings_come_back),
        TEST(measured_figures_are_those_of_the_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
