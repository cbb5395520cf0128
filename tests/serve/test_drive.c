/* Collaborations on an event loop: whose callbacks come when, what is streamed, what becomes of
 * failures, deadlines and of drives that are freed at any moment. */
#include "tests/fake_llm.h"
#include "tests/serve/drive_world.h"

#include <unistd.h>

#include "serve/round_json.h"

#define SAYS                                                                                       \
    "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"{\\\"answer\\\":\\\"In "     \
    "Lyon.\\\",\\\"short_answer\\\":\\\"Lyon\\\",\\\"confidence\\\":0.9,\\\"claims\\\":[]}\"},"    \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20}}"
#define DATA(json)  "data: " json "\n\n"
#define PIECE(text) DATA("{\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}")
#define STREAMED                                                                                   \
    PIECE("{\\\"confidence\\\":0.9,\\\"answer\\\":\\\"In L")                                       \
    PIECE("y\\\\u006fn\\\\n\\\\\\\"")                                                              \
    PIECE("!\\\",\\\"short_answer\\\":\\\"Lyon\\\"}")                                              \
    DATA("{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}") DATA("[DONE]")

static fake_llm *fake; /* the endpoint of the world, where it has one */

static drive_world *world_with(const fake_step *steps, int count)
{
    fake = fake_start(steps, count);
    return drive_world_of(fake->url);
}

static void world_end(drive_world *w)
{
    drive_world_end(w);
    if (fake) fake_stop(fake);
    fake = NULL;
}

/* What came of a collaboration. */
typedef struct seen {
    syn_drive *drive;
    uv_loop_t *loop;
    int notices, calls, deltas, done;
    int free_at; /* frees the drive within this callback, counted from 1; 0: in the end */
    int callbacks;
    bool final, started;
    syn_notice_type last;
    syn_status st;
    char sentence[256], answer[1024], streamed[1024];
    char who[128]; /* wrote the final answer, and was asked as each agent */
    int agent_calls[SYN_AGENTS_MAX + 1];
    bool has_message;
    char finish[32];
} seen;

static void count(seen *s)
{
    assert_true(s->started); /* never within start */
    assert_false(s->done);
    assert_non_null(s->drive); /* nor after free */
    if (++s->callbacks != s->free_at) return;
    syn_drive_free(s->drive);
    s->drive = NULL;
    uv_stop(s->loop);
}

static void name_team(const syn_round_reply *reply, char out[128])
{
    const syn_round_agent *by = reply->answered_by;
    int n = snprintf(out, 128, "%s:%s", by->provider, by->model);
    for (int i = 0; i < reply->agents; i++)
        n += snprintf(out + n, 128 - (size_t)n, " %s:%s", reply->agent[i].provider,
                      reply->agent[i].model);
}

static void on_notice(void *context, const syn_notice *n, const syn_round_reply *reply)
{
    seen *s = context;
    s->notices++;
    s->last = n->type;
    assert_int_equal(reply != NULL, n->type == SYN_NOTICE_FINAL_ANSWER);
    if (reply) snprintf(s->answer, sizeof s->answer, "%s", reply->final_answer);
    if (reply) name_team(reply, s->who);
    count(s);
}

static void on_final_delta(void *context, const syn_llm_delta *delta)
{
    seen *s = context;
    size_t n = strlen(s->streamed);
    s->deltas++;
    if (delta->text) snprintf(s->streamed + n, sizeof s->streamed - n, "%s", delta->text);
    count(s);
}

static void on_called(void *context, const syn_round_call *call, const syn_drive_agent *agent,
                      const syn_llm_reply *reply)
{
    seen *s = context;
    s->calls++;
    s->agent_calls[call->purpose == SYN_CALL_ANSWER ? call->agent : SYN_AGENTS_MAX]++;
    assert_non_null(agent->provider);
    assert_true(reply->text || reply->error);
    count(s);
}

static void on_done(void *context, syn_status st, const char *sentence)
{
    seen *s = context;
    const json_t *message;
    const char *finish;
    syn_llm_usage usage;
    s->st = st;
    snprintf(s->sentence, sizeof s->sentence, "%s", sentence);
    s->has_message = syn_drive_final(s->drive, &message, &finish, &usage);
    if (s->has_message) snprintf(s->finish, sizeof s->finish, "%s", finish);
    assert_int_equal(syn_drive_reply(s->drive) != NULL, st == SYN_OK);
    count(s);
    s->done++;
    uv_stop(s->loop);
}

/* Runs one collaboration to its end, or to the callback in which it is freed. */
static void drive(drive_world *w, syn_drive_options o, seen *s)
{
    s->loop = &w->loop;
    o.notice = on_notice;
    o.called = on_called;
    o.done = on_done;
    o.context = s;
    if (o.stream_final) o.final_delta = on_final_delta;
    assert_ok(syn_drive_start(&o, &s->drive));
    s->started = true;
    uv_run(&w->loop, UV_RUN_DEFAULT);
    syn_drive_free(s->drive);
    s->drive = NULL;
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

/* ---- to the end ---- */

static void models_are_asked_and_everything_is_told_in_order(void **state)
{
    drive_world *w = world_with(&(fake_step){.body = SAYS}, 1);
    seen s = {0};
    drive(w, drive_options(w, w->model), &s);
    assert_int_equal(s.done, 1);
    assert_int_equal(s.st, SYN_OK);
    assert_string_equal(s.answer, "In Lyon.");
    assert_int_equal(s.last, SYN_NOTICE_FINAL_ANSWER);
    assert_int_equal(s.calls, 5); /* three agents, the asker again, the final answer */
    assert_int_equal(s.agent_calls[0], 2);
    assert_int_equal(s.agent_calls[SYN_AGENTS_MAX], 1);
    assert_int_equal(fake_requests(fake), 5);
    assert_true(s.has_message);
    assert_string_equal(s.finish, "stop");
    world_end(w);
}

static void extractive_agents_come_to_the_same_end_every_time(void **state)
{
    char first[1200] = "";
    for (int round = 0; round < 5; round++) {
        drive_world *w = drive_world_of(NULL);
        seen s = {0};
        syn_drive_options o = drive_options(w, w->extractive);
        o.llm = NULL;
        drive(w, o, &s);
        assert_int_equal(s.st, SYN_OK);
        assert_int_equal(s.calls, 0);
        assert_false(s.has_message);
        if (round == 0) snprintf(first, sizeof first, "%s%d", s.answer, s.notices);
        char now[1200];
        snprintf(now, sizeof now, "%s%d", s.answer, s.notices);
        assert_string_equal(now, first);
        world_end(w);
    }
    assert_non_null(strstr(first, "Lyon"));
}

static void a_team_may_be_mixed(void **state)
{
    drive_world *w = world_with(&(fake_step){.body = SAYS}, 1);
    seen s = {0};
    syn_drive_options o = drive_options(w, w->extractive);
    o.agent[1] = (syn_drive_agent){w->model, "other-model"};
    o.aggregator = (syn_drive_agent){w->model, NULL};
    drive(w, o, &s);
    assert_int_equal(s.st, SYN_OK);
    assert_string_equal(s.answer, "In Lyon.");
    assert_true(s.agent_calls[1] >= 1 && s.agent_calls[0] == 0);
    assert_string_equal(s.who, "custom:m extractive: custom:other-model extractive:");
    world_end(w);
}

static void keep(void *user, const syn_round_reply *reply)
{
    snprintf(user, 256, "%s", reply->short_answer);
}

static void one_can_be_run_without_a_loop(void **state)
{
    char answer[256] = "";
    drive_world *w = world_with(&(fake_step){.body = SAYS}, 1);
    syn_drive_options o = drive_options(w, w->model);
    assert_ok(syn_drive_run(&o, keep, answer));
    assert_string_equal(answer, "Lyon");
    o = drive_options(w, w->extractive);
    assert_ok(syn_drive_run(&o, keep, answer));
    assert_string_equal(answer, "Lyon");
    w->round.question = "";
    assert_int_equal(syn_drive_run(&o, keep, answer), SYN_ERR_INVALID);
    world_end(w);
}

/* ---- the final call ---- */

static void the_final_answer_is_streamed_decoded(void **state)
{
    const fake_step steps[] = {{.body = SAYS},
                               {.body = SAYS},
                               {.body = SAYS},
                               {.body = SAYS},
                               {.mode = FAKE_STREAM, .body = STREAMED, .slice = 9}};
    drive_world *w = world_with(steps, 5);
    seen s = {0};
    syn_drive_options o = drive_options(w, w->model);
    o.stream_final = true;
    drive(w, o, &s);
    assert_int_equal(s.st, SYN_OK);
    assert_string_equal(s.streamed, "In Lyon\n\"!");
    assert_string_equal(s.answer, "In Lyon\n\"!");
    assert_true(s.deltas >= 3);
    world_end(w);
}

static void a_verbatim_final_answer_is_streamed_as_it_is(void **state)
{
    const fake_step steps[] = {
        {.body = SAYS},
        {.body = SAYS},
        {.body = SAYS},
        {.body = SAYS},
        {.mode = FAKE_STREAM,
         .body = PIECE("In ") PIECE("{Lyon}") DATA("{\"choices\":[{\"delta\":{},\"finish_reason\":"
                                                   "\"length\"}]}") DATA("[DONE]")}};
    drive_world *w = world_with(steps, 5);
    seen s = {0};
    syn_drive_options o = drive_options(w, w->model);
    o.stream_final = true;
    w->round.final_verbatim = true;
    json_t *chat = json_pack("{s:i, s:s, s:[]}", "max_tokens", 12, "stop", "END", "messages");
    o.final_chat = chat;
    drive(w, o, &s);
    json_decref(chat);
    assert_int_equal(s.st, SYN_OK);
    assert_string_equal(s.streamed, "In {Lyon}");
    assert_string_equal(s.answer, "In {Lyon}");
    assert_string_equal(s.finish, "length");
    assert_non_null(strstr(fake->last_request, "\"max_tokens\":12"));
    assert_non_null(strstr(fake->last_request, "\"stop\":\"END\""));
    assert_non_null(strstr(fake->last_request, "\"role\":\"user\""));
    world_end(w);
}

static void extractive_agents_stream_their_answer_too(void **state)
{
    for (int verbatim = 0; verbatim < 2; verbatim++) {
        drive_world *w = drive_world_of(NULL);
        seen s = {0};
        syn_drive_options o = drive_options(w, w->extractive);
        o.stream_final = true;
        w->round.final_verbatim = verbatim;
        drive(w, o, &s);
        assert_int_equal(s.deltas, 1);
        assert_string_equal(s.streamed, s.answer);
        assert_null(strchr(s.answer, '{'));
        world_end(w);
    }
}

static void a_final_call_that_breaks_off_leaves_the_winners_answer(void **state)
{
    const fake_step steps[] = {{.body = SAYS},
                               {.body = SAYS},
                               {.body = SAYS},
                               {.body = SAYS},
                               {.mode = FAKE_STREAM,
                                .body = PIECE("{\\\"answer\\\":\\\"In Par"),
                                .then = FAKE_THEN_CLOSE}};
    drive_world *w = world_with(steps, 5);
    seen s = {0};
    syn_drive_options o = drive_options(w, w->model);
    o.stream_final = true;
    drive(w, o, &s);
    assert_int_equal(s.st, SYN_OK);
    assert_string_equal(s.streamed, "In Par");
    assert_string_equal(s.answer, "In Lyon.");
    assert_false(s.has_message);
    assert_int_equal(fake_requests(fake), 5);
    world_end(w);
}

/* ---- failures ---- */

static void failures_are_one_sentence(void **state)
{
    drive_world *w = world_with(&(fake_step){.status = 401, .body = "{}"}, 1);
    seen s = {0};
    drive(w, drive_options(w, w->model), &s);
    assert_int_equal(s.st, SYN_ERR_NETWORK);
    assert_string_equal(s.sentence, "no agent answered: every call failed");
    assert_int_equal(s.last, SYN_NOTICE_ERROR);
    syn_drive_options o = drive_options(w, w->model);
    syn_drive *none = NULL;
    w->round.agents = 11;
    assert_int_equal(syn_drive_start(&o, &none), SYN_ERR_INVALID);
    assert_null(none);
    w->round.agents = 3;
    o.llm = NULL;
    assert_int_equal(syn_drive_start(&o, &none), SYN_ERR_INVALID);
    world_end(w);
}

static void the_deadline_ends_calls_that_are_under_way(void **state)
{
    drive_world *w = world_with(&(fake_step){.mode = FAKE_STALL}, 1);
    seen s = {0};
    w->round.timeout_s = .2;
    double begin = fake_clock_s();
    drive(w, drive_options(w, w->model), &s);
    assert_true(fake_clock_s() - begin < 5);
    assert_int_equal(s.st, SYN_ERR_LIMIT);
    assert_string_equal(s.sentence, "no agent answered within 0.2 s");
    world_end(w);
}

static void some_answers_at_the_deadline_are_an_answer(void **state)
{
    const fake_step steps[] = {{.body = SAYS}, {.mode = FAKE_STALL}};
    drive_world *w = world_with(steps, 2);
    seen s = {0};
    w->round.timeout_s = .4;
    drive(w, drive_options(w, w->model), &s);
    assert_int_equal(s.st, SYN_OK);
    assert_string_equal(s.answer, "In Lyon.");
    world_end(w);
}

/* ---- freed at any moment ---- */

static void a_drive_may_be_freed_in_any_of_its_callbacks(void **state)
{
    const fake_step steps[] = {{.body = SAYS},
                               {.body = SAYS},
                               {.body = SAYS},
                               {.body = SAYS},
                               {.mode = FAKE_STREAM, .body = STREAMED}};
    for (int kind = 0; kind < 2; kind++)
        for (int at = 1; at < 40; at++) {
            drive_world *w = world_with(steps, 5);
            seen s = {.free_at = at};
            syn_drive_options o = drive_options(w, kind ? w->extractive : w->model);
            o.stream_final = true;
            drive(w, o, &s);
            bool over = s.callbacks < at;
            if (!over) assert_int_equal(s.callbacks, at);
            world_end(w);
            if (over) break;
            assert_true(at < 39);
        }
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void a_drive_may_be_freed_between_events(void **state)
{
    drive_world *w = world_with(&(fake_step){.body = SAYS, .delay_ms = 20}, 1);
    uv_timer_t timer;
    uv_timer_init(&w->loop, &timer);
    for (int ms = 0; ms < 60; ms += 4)
        for (int kind = 0; kind < 2; kind++) {
            seen s = {.loop = &w->loop, .started = true};
            syn_drive_options o = drive_options(w, kind ? w->extractive : w->model);
            o.notice = on_notice;
            o.context = &s;
            assert_ok(syn_drive_start(&o, &s.drive));
            uv_timer_start(&timer, on_timer, (uint64_t)ms, 0);
            uv_run(&w->loop, UV_RUN_DEFAULT);
            syn_drive_free(s.drive);
            s.drive = NULL; /* a callback from now on fails */
        }
    uv_close((uv_handle_t *)&timer, NULL);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_asked_and_everything_is_told_in_order),
        cmocka_unit_test(extractive_agents_come_to_the_same_end_every_time),
        cmocka_unit_test(a_team_may_be_mixed),
        cmocka_unit_test(one_can_be_run_without_a_loop),
        cmocka_unit_test(the_final_answer_is_streamed_decoded),
        cmocka_unit_test(a_verbatim_final_answer_is_streamed_as_it_is),
        cmocka_unit_test(extractive_agents_stream_their_answer_too),
        cmocka_unit_test(a_final_call_that_breaks_off_leaves_the_winners_answer),
        cmocka_unit_test(failures_are_one_sentence),
        cmocka_unit_test(the_deadline_ends_calls_that_are_under_way),
        cmocka_unit_test(some_answers_at_the_deadline_are_an_answer),
        cmocka_unit_test(a_drive_may_be_freed_in_any_of_its_callbacks),
        cmocka_unit_test(a_drive_may_be_freed_between_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
