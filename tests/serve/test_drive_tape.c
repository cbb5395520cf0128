/* A whole team on a tape: its collaboration is repeated without the models, to the bit, whichever
 * of them had answered first; and its confidences are calibrated by model. */
#include "tests/fake_llm.h"
#include "tests/serve/drive_world.h"

#include <unistd.h>

#include "serve/llm_tape.h"
#include "serve/round_json.h"

#define SAYS(answer, confidence, cost)                                                             \
    "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"{\\\"answer\\\":"            \
    "\\\"In " answer ".\\\",\\\"short_answer\\\":\\\"" answer                                      \
    "\\\",\\\"confidence\\\":" confidence ",\\\"claims\\\":[\\\"Jane Roe lived in " answer         \
    ".\\\"]}\"},\"finish_reason\":\"stop\"}],"                                                     \
    "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,\"cost\":" cost "}}"

/* Answers differ, and so does who is first. */
static const fake_step steps[] = {{.body = SAYS("Lyon", "0.9", "0.1"), .delay_ms = 60},
                                  {.body = SAYS("Nice", "0.5", "0.03"), .delay_ms = 30},
                                  {.body = SAYS("Paris", "0.4", "0.007")},
                                  {.status = 500},
                                  {.body = SAYS("Lyon", "0.8", "0.2"), .delay_ms = 10}};

typedef struct seen {
    syn_drive *drive;
    uv_loop_t *loop;
    char *reply;
    syn_drive_options o;
} seen;

/* What a clock has measured is no part of the comparison. */
static void drop_times(json_t *value)
{
    const char *name;
    json_t *member;
    size_t k;
    json_object_del(value, "timestamp");
    json_object_del(value, "execution_time_seconds");
    json_object_foreach(value, name, member) drop_times(member);
    json_array_foreach(value, k, member) drop_times(member);
}

static void on_done(void *context, syn_status st, const char *sentence)
{
    seen *s = context;
    if (st != SYN_OK) fail_msg("%s", sentence);
    json_t *reply = syn_reply_json(syn_drive_reply(s->drive));
    drop_times(reply);
    s->reply = json_dumps(reply, JSON_SORT_KEYS);
    json_decref(reply);
    uv_stop(s->loop);
}

/* The reply of a team of models, free() it. calibrations: NULL: none. */
static char *collaborate(const char *url, syn_tape *tape, const char *tag,
                         const syn_calibrations *calibrations)
{
    drive_world *w = drive_world_of(url);
    syn_llm_destroy(w->llm);
    assert_ok(syn_llm_create(w->providers, &w->loop,
                             &(syn_llm_options){.time_scale = .01, .tape = tape}, &w->llm));
    seen s = {.loop = &w->loop};
    syn_drive_options o = drive_options(w, w->model);
    o.tag = tag;
    o.calibrations = calibrations;
    o.done = on_done;
    o.context = &s;
    assert_ok(syn_drive_start(&o, &s.drive));
    uv_run(&w->loop, UV_RUN_DEFAULT);
    syn_drive_free(s.drive);
    drive_world_end(w);
    return s.reply;
}

static void a_team_says_the_same_again_without_its_models(void **state)
{
    char folder[] = "/tmp/syncog-drive-XXXXXX", path[64];
    syn_tape *tape;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run.tape", folder);
    fake_llm *f = fake_start(steps, sizeof steps / sizeof *steps);
    assert_ok(syn_tape_open(path, SYN_TAPE_RECORD, &tape));
    char *was = collaborate(f->url, tape, "amber/3/rule", NULL);
    const int calls = (int)syn_tape_count(tape);
    assert_int_equal(fake_requests(f), calls + 1); /* one was tried twice */
    fake_stop(f);
    assert_ok(syn_tape_close(tape));
    assert_true(calls >= 4);
    for (int k = 0; k < 3; k++) {
        assert_ok(syn_tape_open(path, SYN_TAPE_REPLAY, &tape));
        char *is = collaborate("http://127.0.0.1:1/v1", tape, "amber/3/rule", NULL);
        assert_string_equal(is, was);
        assert_ok(syn_tape_check(tape));
        free(is);
        assert_ok(syn_tape_close(tape));
    }
    free(was);
    unlink(path);
    rmdir(folder);
}

static void confidences_are_calibrated_by_model(void **state)
{
    static const char text[] = "{\"m\": {\"temperature\": 4}}";
    char path[] = "/tmp/syncog-calibration-XXXXXX";
    syn_calibrations *c;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_ok(syn_calibrations_open(path, &c));
    unlink(path);
    double confidence[2];
    for (int k = 0; k < 2; k++) {
        fake_llm *f = fake_start(&(fake_step){.body = SAYS("Lyon", "0.9", "0.1")}, 1);
        char *reply = collaborate(f->url, NULL, NULL, k ? c : NULL);
        json_t *root = json_loads(reply, 0, NULL);
        const json_t *first = json_array_get(json_object_get(root, "agent_responses"), 0);
        confidence[k] = json_number_value(json_object_get(first, "confidence"));
        json_decref(root);
        free(reply);
        fake_stop(f);
    }
    syn_calibrations_close(c);
    assert_float_equal(confidence[0], .9, 1e-6);
    assert_float_equal(confidence[1], 1 / (1 + exp(-log(9) / 4)), 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_says_the_same_again_without_its_models),
        cmocka_unit_test(confidences_are_calibrated_by_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
