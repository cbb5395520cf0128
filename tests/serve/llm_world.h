/* A client on a loop of its own, for the tests of serve/llm.h. Include it in one test. */
#ifndef SYN_TESTS_SERVE_LLM_WORLD_H
#define SYN_TESTS_SERVE_LLM_WORLD_H

#include "tests/test.h"

#include <uv.h>

#include "serve/llm.h"
#include "serve/llm_tape.h"

#define SCALE 0.01 /* waits and limits are shrunk a hundredfold */
#define SLACK 5    /* seconds that a busy machine may add to any wait */

/* Of worlds to come. Where nobody is silent on purpose limits are better left as they are: a
 * hundredth of one is less than a busy machine needs. */
static double limit_scale = SCALE;

typedef struct world {
    uv_loop_t loop;
    syn_providers *providers;
    const syn_provider *provider;
    syn_llm *llm;
} world;

/* What became of a call. */
typedef struct said {
    world *world;
    uint32_t id;
    syn_llm_ticket *ticket;
    bool done, ok, partial;
    char text[4096], error[256], finish[32], model[128];
    char streamed[4096], reasoning[1024]; /* the deltas, put together */
    int deltas, status, attempts;
    json_t *message;
    syn_llm_usage usage;
    double retry_after_s, first_byte_s, time_s;
} said;

/* url: of an endpoint that is called "custom", NULL: provider stays NULL. file: --providers-file.
 * tape: NULL: none. */
static inline world *world_on_tape(const char *url, const char *key, const char *file,
                                   syn_tape *tape)
{
    world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_ok(syn_providers_open(&(syn_providers_options){.file = file,
                                                          .base_url = url,
                                                          .model = "test-model",
                                                          .api_key = key,
                                                          .replayed = syn_tape_replays(tape)},
                                 &w->providers));
    w->provider = syn_providers_find(w->providers, "custom");
    assert_ok(syn_llm_create(
        w->providers, &w->loop,
        &(syn_llm_options){.time_scale = SCALE, .limit_scale = limit_scale, .tape = tape},
        &w->llm));
    return w;
}

static inline world *world_with(const char *url, const char *key, const char *file)
{
    return world_on_tape(url, key, file, NULL);
}

static inline world *world_of(const char *url, const char *key)
{
    return world_with(url, key, NULL);
}

static inline void world_end(world *w)
{
    syn_llm_destroy(w->llm);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    syn_providers_close(w->providers);
    free(w);
}

static inline void said_done(void *context, const syn_llm_reply *r)
{
    said *s = context;
    assert_false(s->done);
    s->done = true;
    s->ok = r->text != NULL;
    s->partial = r->partial;
    snprintf(s->text, sizeof s->text, "%s", r->text ? r->text : "");
    snprintf(s->error, sizeof s->error, "%s", r->error ? r->error : "");
    snprintf(s->finish, sizeof s->finish, "%s", r->finish ? r->finish : "");
    snprintf(s->model, sizeof s->model, "%s", r->model ? r->model : "");
    s->message = json_deep_copy(r->message);
    s->status = r->http_status;
    s->attempts = r->attempts;
    s->usage = r->usage;
    s->retry_after_s = r->retry_after_s;
    s->first_byte_s = r->first_byte_s;
    s->time_s = r->time_s;
    uv_stop(&s->world->loop);
}

static inline void said_delta(void *context, const syn_llm_delta *d)
{
    said *s = context;
    s->deltas++;
    assert_false(s->done);
    size_t n = strlen(s->streamed), m = strlen(s->reasoning);
    if (d->text) snprintf(s->streamed + n, sizeof s->streamed - n, "%s", d->text);
    if (d->reasoning) snprintf(s->reasoning + m, sizeof s->reasoning - m, "%s", d->reasoning);
}

static inline void said_free(said *s)
{
    json_decref(s->message);
    free(s);
}

static inline said *submit_call(world *w, syn_llm_call call)
{
    said *s = calloc(1, sizeof *s);
    s->world = w;
    if (!call.provider) call.provider = w->provider;
    if (!call.system) call.system = "Be brief.";
    if (!call.user) call.user = "Say \"hello\".";
    if (call.max_tokens == 0) call.max_tokens = 77;
    if (call.timeout_s == 0) call.timeout_s = 5;
    call.done = said_done;
    call.context = s;
    assert_ok(syn_llm_submit(w->llm, &call, &s->ticket));
    assert_false(s->done);
    return s;
}

static inline void wait_for(said *s)
{
    while (!s->done) assert_int_not_equal(uv_run(&s->world->loop, UV_RUN_DEFAULT) || s->done, 0);
}

/* Runs the loop for a while. */
static inline void on_world_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static inline void run_for(world *w, int ms)
{
    uv_timer_t timer;
    uv_timer_init(&w->loop, &timer);
    uv_timer_start(&timer, on_world_timer, (uint64_t)ms, 0);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

#endif
