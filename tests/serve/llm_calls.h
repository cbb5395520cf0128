/* Single calls against an endpoint that misbehaves. Waits are shrunk a hundredfold, limits where
 * they are what is tested. */
#ifndef SYN_TESTS_SERVE_LLM_CALLS_H
#define SYN_TESTS_SERVE_LLM_CALLS_H

#include "tests/fake_llm.h"
#include "tests/serve/llm_world.h"

#define GOOD                                                                                       \
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},"       \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}"

typedef struct outcome {
    bool ok;
    int attempts, requests, status;
    char error[256];
    double took_s, gap_s; /* between the first two requests */
} outcome;

/* One call against these steps. */
static inline outcome one_call(const fake_step *steps, int count, double timeout_s)
{
    fake_llm *f = fake_start(steps, count);
    world *w = world_of(f->url, NULL);
    double begin = fake_clock_s();
    said *r = submit_call(w, (syn_llm_call){.timeout_s = timeout_s});
    wait_for(r);
    outcome o = {.ok = r->ok,
                 .attempts = r->attempts,
                 .requests = fake_requests(f),
                 .status = r->status,
                 .took_s = fake_clock_s() - begin};
    if (o.requests > 1) o.gap_s = f->arrived_s[1] - f->arrived_s[0];
    if (r->ok) assert_string_equal(r->text, "hello");
    snprintf(o.error, sizeof o.error, "%s", r->error);
    said_free(r);
    world_end(w);
    fake_stop(f);
    return o;
}

#define CALL(...)                                                                                  \
    one_call((const fake_step[]){__VA_ARGS__},                                                     \
             (int)(sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)), 5)

static inline int shrink_limits(void **state)
{
    limit_scale = SCALE;
    return 0;
}

static inline int restore_limits(void **state)
{
    limit_scale = 1;
    return 0;
}

#endif
