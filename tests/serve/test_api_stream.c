/* A stream that has lost its reader lets its team go, also where the reader has not gone. */
#include <stdlib.h>

#include "tests/serve/api_world.h"

/* What waits for a slow reader finds no memory. */
static atomic_bool no_memory;

static void *realloc_or_not(void *old, size_t bytes)
{
    return no_memory ? NULL : realloc(old, bytes);
}

#define realloc realloc_or_not
#include "serve/api_stream.c"
#undef realloc

/* An answer that fills all buffers on the way to a reader who does not read. */
static char *says_much(void)
{
    enum { BYTES = 1000000 };
    char *answer = malloc(BYTES + 1), *body = NULL;
    memset(answer, 'a', BYTES);
    answer[BYTES] = 0;
    assert_true(asprintf(&body,
                         "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{"
                         "\"role\":\"assistant\",\"content\":\"{\\\"answer\\\":\\\"%s\\\","
                         "\\\"short_answer\\\":\\\"a\\\",\\\"confidence\\\":0.9,\\\"claims\\\":"
                         "[\\\"The river is the Osk.\\\"]}\"}}]}",
                         answer) > 0);
    free(answer);
    return body;
}

static void count_cancelled(void *context, const syn_db_result *r)
{
    int *count = context;
    for (int k = 0; k < r->count; k++)
        *count += strcmp(r->events[k].action, "collaborate") == 0 &&
                  strcmp(r->events[k].outcome, "cancelled") == 0;
}

static void who_reads_too_slowly_is_not_worked_for(void **state)
{
    enum { STEPS = 11 };
    fake_step says[STEPS] = {{0}};
    char *much = says_much();
    for (int k = 0; k + 1 < STEPS; k++) says[k].body = much;
    says[STEPS - 1].mode = FAKE_STALL; /* and all later ones */
    fake_llm *f = fake_start(says, STEPS);
    svc w;
    int cancelled = 0;
    no_memory = true;
    begin(&w);
    use_model(&w, f);
    w.settings.timeout_s = 60;
    svc_run(&w);
    int fd = post(&w, "/api/v1/collaborate/stream",
                  "{\"query\": \"Which?\", \"num_agents\": 10, \"max_rounds\": 20, \"config\": "
                  "{\"enable_cognitive_gaps\": false}}",
                  4096);
    assert_true(becomes(atomic_load(&w.service->collaborations) == 1, 10));
    assert_true(becomes(atomic_load(&w.service->collaborations) == 0, 30));
    assert_true(becomes(fake_vanished(f) + 10 >= fake_requests(f), 5));
    assert_ok(syn_db_audit_list(w.service->db, "default", 10, 0, count_cancelled, &cancelled));
    syn_db_flush(w.service->db);
    assert_int_equal(cancelled, 1);
    /* The stream ends in the middle: its reader can tell. */
    size_t bytes = 0;
    char *text = svc_hear(fd, &bytes, 10);
    assert_null(strstr(text, "final_answer"));
    assert_null(strstr(text, "\r\n0\r\n\r\n"));
    free(text);
    close(fd);
    svc_end(&w);
    fake_stop(f);
    free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_reads_too_slowly_is_not_worked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
