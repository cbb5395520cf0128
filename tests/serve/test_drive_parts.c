/* What a drive is made of: wakes from other threads, and the answer out of a JSON reply as it
 * comes.
 */
#include "tests/test.h"

#include <pthread.h>
#include <unistd.h>

#include "serve/drive_internal.h"

/* ---- wakes from other threads ---- */

enum { MEMBERS = 8, RINGS = 4000 };

typedef struct ringer {
    syn_drive_member member[MEMBERS];
    _Atomic int rung[MEMBERS], over;
    int woken[MEMBERS];
    uv_loop_t *loop;
} ringer;

static ringer *ringing;

static void on_woken(void *user)
{
    ringing->woken[(int)(intptr_t)user]++;
    bool all = ringing->over == 2;
    for (int k = 0; k < MEMBERS; k++) all &= ringing->woken[k] > 0;
    if (all) uv_stop(ringing->loop);
}

static void *ring(void *user)
{
    (void)user;
    for (int k = 0; k < RINGS; k++) {
        syn_drive_ring(&ringing->member[k % MEMBERS]);
        ringing->rung[k % MEMBERS]++;
        if (k % 64 == 0) usleep(100);
    }
    ringing->over++;
    for (int k = 0; k < MEMBERS; k++) syn_drive_ring(&ringing->member[k]);
    return NULL;
}

static void rings_of_other_threads_wake_every_member_and_none_that_left(void **state)
{
    uv_loop_t loop;
    ringer r = {.loop = &loop};
    pthread_t threads[2];
    ringing = &r;
    uv_loop_init(&loop);
    for (int k = 0; k < MEMBERS; k++) {
        r.member[k] = (syn_drive_member){.woken = on_woken, .user = (void *)(intptr_t)k};
        assert_ok(syn_drive_join(&loop, &r.member[k]));
    }
    for (int k = 0; k < 2; k++) pthread_create(&threads[k], NULL, ring, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int k = 0; k < 2; k++) pthread_join(threads[k], NULL);
    for (int k = 0; k < MEMBERS; k++) {
        assert_true(r.woken[k] > 0 && r.woken[k] <= r.rung[k] + 2); /* rings become one */
        r.woken[k] = 0;
        syn_drive_ring(&r.member[k]);
    }
    for (int k = 0; k < MEMBERS; k += 2) syn_drive_leave(&r.member[k]);
    for (int k = 0; k < 20; k++) uv_run(&loop, UV_RUN_NOWAIT);
    for (int k = 0; k < MEMBERS; k++) assert_int_equal(r.woken[k], k % 2);
    for (int k = 1; k < MEMBERS; k += 2) syn_drive_leave(&r.member[k]);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

enum { CROWD = 30 };

static int crowd_woken[CROWD], crowd_count;

static void on_crowd(void *user)
{
    crowd_woken[crowd_count++] = (int)(intptr_t)user;
}

static void a_crowd_is_woken_in_its_order_a_few_between_two_looks_at_the_sockets(void **state)
{
    uv_loop_t loop;
    syn_drive_member member[CROWD];
    int looks = 0, before = 0, most = 0;
    uv_loop_init(&loop);
    crowd_count = 0;
    for (int k = 0; k < CROWD; k++) {
        member[k] = (syn_drive_member){.woken = on_crowd, .user = (void *)(intptr_t)k};
        assert_ok(syn_drive_join(&loop, &member[k]));
    }
    for (int k = 0; k < CROWD; k++) syn_drive_ring(&member[k]);
    syn_drive_leave(&member[CROWD / 2]);
    for (; crowd_count < CROWD - 1; looks++) {
        assert_true(looks < CROWD);
        uv_run(&loop, UV_RUN_ONCE);
        most = crowd_count - before > most ? crowd_count - before : most;
        before = crowd_count;
    }
    assert_true(most < CROWD / 2);
    for (int k = 0; k < CROWD - 1; k++) assert_int_equal(crowd_woken[k], k + (k >= CROWD / 2));
    for (int k = 0; k < CROWD; k++)
        if (k != CROWD / 2) syn_drive_leave(&member[k]);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- the answer in a JSON reply ---- */

static void the_answer_is_decoded_in_slices_of_any_size(void **state)
{
    static const char *const cases[][2] = {
        {"{\"answer\":\"plain\"}", "plain"},
        {" ```json\n{ \"answer\" : \"fenced\" }\n```", "fenced"},
        {"Here it is: {\"short_answer\":\"x\",\"answer\":\"after\",\"claims\":[]}", "after"},
        {"{\"claims\":[{\"answer\":\"inner\"}],\"answer\":\"outer\"}", "outer"},
        {"{\"a\":\"answer\",\"answer\":\"value\"}", "value"},
        {"{\"a\":\"\\\"answer\\\":\",\"answer\":\"value\"}", "value"},
        {"{\"answers\":\"no\",\"ans\":\"no\",\"answer\":\"yes\"}", "yes"},
        {"{\"answer\":\"q\\\" b\\\\ s\\/ n\\n t\\t\"}", "q\" b\\ s/ n\n t\t"},
        {"{\"answer\":\"\\u00fc \\u20ac \\ud83d\\ude00\"}",
         "\xC3\xBC \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"{\"answer\":\"a\\ud83d\\u0041b\\ude00c\\u0000\"}", "aAbc"},
        {"{\"answer\":17}", ""},
        {"{\"answer\":null,\"x\":\"y\"}", ""},
        {"{\"other\":\"x\"}", ""},
        {"no object at all", ""},
        {"{\"answer\":\"cut of", "cut of"},
        {"{\"answer\":\"once\"} {\"answer\":\"twice\"}", "once"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (size_t slice = 1; slice < 9; slice++) {
            syn_answer_stream s = {0};
            char out[256] = "", piece[64];
            size_t bytes = strlen(cases[k][0]);
            for (size_t at = 0; at < bytes; at += slice) {
                size_t n = bytes - at < slice ? bytes - at : slice;
                size_t m = syn_answer_feed(&s, cases[k][0] + at, n, piece);
                assert_true(m <= 3 * n + 4);
                strncat(out, piece, m);
            }
            if (strcmp(out, cases[k][1]) != 0) fail_msg("%s: %s", cases[k][0], out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_of_other_threads_wake_every_member_and_none_that_left),
        cmocka_unit_test(a_crowd_is_woken_in_its_order_a_few_between_two_looks_at_the_sockets),
        cmocka_unit_test(the_answer_is_decoded_in_slices_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
