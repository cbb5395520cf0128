/* What the client does not wait for, read or connect to: time, size, place, and a provider that is
 * down. */
#include "serve/provider_internal.h"
#include "tests/serve/llm_calls.h"

static void a_stalled_reply_is_cut_off(void **state)
{
    outcome o = CALL({.mode = FAKE_STALL}, {.body = GOOD}); /* first byte: 60 s, shrunk */
    assert_true(o.ok && o.gap_s >= 55 * SCALE && o.gap_s < 60 * SCALE + SLACK);
    o = one_call(&(fake_step){.mode = FAKE_STALL}, 1, .2);
    assert_true(!o.ok && o.took_s < .2 + SLACK);
    assert_string_equal(o.error, "127.0.0.1: no answer in time");
}

static void a_dripping_reply_ends_with_the_deadline(void **state)
{
    outcome o = one_call(&(fake_step){.mode = FAKE_DRIP, .body = GOOD}, 1, .5);
    assert_true(!o.ok && o.took_s >= .5 && o.took_s < .5 + SLACK);
}

static void a_slow_reply_is_waited_for(void **state)
{
    assert_true(CALL({.body = GOOD, .delay_ms = 300}).ok);
}

static void an_endless_reply_is_cut_at_eight_mebibytes(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.mode = FAKE_ENDLESS}, 1);
    world *w = world_of(f->url, NULL);
    said *r = submit_call(w, (syn_llm_call){0});
    wait_for(r);
    assert_false(r->ok);
    assert_string_equal(r->error, "127.0.0.1: the reply is larger than 8388608 bytes");
    assert_int_equal(r->attempts, 1);
    fake_settle(f);
    assert_true(f->endless_bytes < 24 << 20); /* what the sockets hold comes on top */
    said_free(r);
    world_end(w);
    fake_stop(f);
}

static void a_redirect_is_not_followed(void **state)
{
    fake_llm *elsewhere = fake_start(&(fake_step){.body = GOOD}, 1);
    char header[128];
    snprintf(header, sizeof header, "Location: %s/chat/completions\r\n", elsewhere->url);
    outcome o = CALL({.status = 307, .headers = header, .body = ""});
    assert_true(!o.ok && o.requests == 1 && o.status == 307);
    assert_int_equal(fake_requests(elsewhere), 0);
    fake_stop(elsewhere);
}

/* Speaks plain HTTP to whoever begins with TLS. */
static void *speak_plainly(void *user)
{
    static const char reply[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    int *listener = user, accepted = 0;
    for (int s; (s = accept(listener[0], NULL, NULL)) >= 0; accepted++) {
        char hello[4096];
        (void)!recv(s, hello, sizeof hello, 0);
        (void)!send(s, reply, sizeof reply - 1, MSG_NOSIGNAL);
        close(s);
    }
    listener[1] = accepted;
    return NULL;
}

static void a_tls_fault_is_never_tried_again(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int listener[2] = {socket(AF_INET, SOCK_STREAM, 0), 0};
    char url[64];
    pthread_t thread;
    assert_int_equal(bind(listener[0], (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener[0], 8), 0);
    assert_int_equal(getsockname(listener[0], (struct sockaddr *)&a, &size), 0);
    assert_int_equal(pthread_create(&thread, NULL, speak_plainly, listener), 0);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/v1", ntohs(a.sin_port));
    world *w = world_of(url, "sk-secret");
    syn_llm_destroy(w->llm); /* a handshake takes longer than the shrunk limit of a connection */
    assert_ok(syn_llm_create(w->providers, &w->loop, NULL, &w->llm));
    said *r = submit_call(w, (syn_llm_call){0});
    wait_for(r);
    assert_false(r->ok);
    assert_int_equal(r->attempts, 1);
    assert_string_equal(r->error, "127.0.0.1: the TLS connection was refused");
    said_free(r);
    world_end(w);
    shutdown(listener[0], SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener[0]);
    assert_int_equal(listener[1], 1);
}

static void a_name_that_resolves_elsewhere_is_not_connected_to(void **state)
{
    char *elsewhere = strdup("http://192.0.2.1:9/v1/chat/completions");
    world *w = world_of("http://localhost:9/v1", NULL);
    syn_provider_secret *own = (syn_provider_secret *)w->provider->secret;
    assert_true(own->loopback_only);
    free(own->chat_url);
    own->chat_url = elsewhere; /* as if the name meant that address */
    double begin = fake_clock_s();
    said *r = submit_call(w, (syn_llm_call){0});
    wait_for(r);
    assert_string_equal(r->error, "localhost: plain http is for this machine only");
    assert_int_equal(r->attempts, 1);
    assert_true(fake_clock_s() - begin < SLACK);
    said_free(r);
    world_end(w);
}

static void a_total_outage_is_left_alone_after_five_failures(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.status = 500, .body = "{}"}, 1);
    world *w = world_of(f->url, NULL);
    assert_int_equal(syn_llm_breaker(w->llm, w->provider), SYN_CLOSED);
    for (int k = 0; k < 20; k++) {
        said *r = submit_call(w, (syn_llm_call){0});
        wait_for(r);
        assert_false(r->ok);
        said_free(r);
    }
    assert_true(fake_requests(f) <= 5 + 3); /* five calls, three retries, then silence */
    assert_int_equal(syn_llm_breaker(w->llm, w->provider), SYN_OPENED);
    run_for(w, (int)(30e3 * SCALE) + 20);
    assert_int_equal(syn_llm_breaker(w->llm, w->provider), SYN_HALF_OPEN);
    world_end(w);
    fake_stop(f);
}

static void cancelled_probes_do_not_keep_a_provider_shut_out(void **state)
{
    fake_step steps[FAKE_STEPS_MAX];
    for (int k = 0; k < 8; k++) steps[k] = (fake_step){.status = 500, .body = "{}"};
    for (int k = 8; k < 11; k++) steps[k] = (fake_step){.mode = FAKE_STALL};
    steps[11] = (fake_step){.body = GOOD};
    fake_llm *f = fake_start(steps, 12);
    world *w = world_of(f->url, NULL);
    while (syn_llm_breaker(w->llm, w->provider) == SYN_CLOSED) {
        said *r = submit_call(w, (syn_llm_call){0});
        wait_for(r);
        said_free(r);
    }
    assert_int_equal(fake_requests(f), 8);
    run_for(w, (int)(30e3 * SCALE) + 20);
    said *probes[3];
    for (int k = 0; k < 3; k++) probes[k] = submit_call(w, (syn_llm_call){0});
    run_for(w, 30);
    for (int k = 0; k < 3; k++) {
        syn_llm_cancel(probes[k]->ticket);
        said_free(probes[k]);
    }
    for (int k = 0; k < 3; k++) {
        said *r = submit_call(w, (syn_llm_call){0});
        wait_for(r);
        if (!r->ok) fail_msg("%s", r->error);
        said_free(r);
    }
    assert_int_equal(syn_llm_breaker(w->llm, w->provider), SYN_CLOSED);
    world_end(w);
    fake_stop(f);
}

int main(void)
{
    restore_limits(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stalled_reply_is_cut_off, shrink_limits, restore_limits),
        cmocka_unit_test(a_dripping_reply_ends_with_the_deadline),
        cmocka_unit_test(a_slow_reply_is_waited_for),
        cmocka_unit_test(an_endless_reply_is_cut_at_eight_mebibytes),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(a_tls_fault_is_never_tried_again),
        cmocka_unit_test(a_name_that_resolves_elsewhere_is_not_connected_to),
        cmocka_unit_test(a_total_outage_is_left_alone_after_five_failures),
        cmocka_unit_test(cancelled_probes_do_not_keep_a_provider_shut_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
