/* Many fetches at once are spread over lanes, use connections again, and leave none behind once
 * there has been nothing to do for a while. */
#include "tests/serve/slow_llm.h"

#include <dirent.h>

#include "serve/llm_lanes.h"

enum {
    FETCHES = 2 * SYN_LANE_FETCHES + 44,
    PROVIDER_MS = 300,
    IDLE_MS = 500,
    SHORT_IDLE_MS = 200 /* two thirds of a fetch */
};

typedef struct fetch {
    CURL *easy;
    syn_lane *lane;
} fetch;

static fetch fetches[FETCHES];
static syn_lanes *lanes;
static int left, good, looks, opened;

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)user;
    (void)purpose;
    opened++;
    return syn_lanes_open(lanes, a);
}

static size_t swallow(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

static void on_left(void *user)
{
    (void)user;
    looks++;
}

static void on_done(void *user, CURL *easy, CURLcode code)
{
    fetch *f = NULL;
    long status = 0;
    (void)user;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&f);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    good += code == CURLE_OK && status == 200;
    syn_lane_remove(f->lane, easy);
    left--;
}

static int descriptors(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) n++;
    closedir(folder);
    return n;
}

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

static void make_fetches(int count, const char *base)
{
    char url[128];
    snprintf(url, sizeof url, "%s/chat/completions", base);
    for (int k = 0; k < count; k++) {
        CURL *e = fetches[k].easy = syn_lanes_easy(lanes);
        assert_non_null(e);
        curl_easy_setopt(e, CURLOPT_URL, url);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, "{}");
        curl_easy_setopt(e, CURLOPT_PRIVATE, &fetches[k]);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, swallow);
        curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    }
}

/* All at once; returns over how many lanes they were spread. */
static int fetch_all(uv_loop_t *loop, int count)
{
    int spread = 0;
    left = count;
    good = 0;
    for (int k = 0; k < count; k++) {
        fetches[k].lane = syn_lanes_add(lanes, fetches[k].easy);
        assert_non_null(fetches[k].lane);
        bool new = true;
        for (int i = 0; i < k; i++) new = new &&fetches[i].lane != fetches[k].lane;
        spread += new;
    }
    while (left > 0) uv_run(loop, UV_RUN_ONCE);
    assert_int_equal(good, count);
    return spread;
}

/* Until no more descriptors are held than `before`; returns how long that took. */
static int let_go_ms(uv_loop_t *loop, int before)
{
    static uv_timer_t beat; /* the lanes' own timer keeps no loop going */
    uv_timer_init(loop, &beat);
    uv_timer_start(&beat, on_beat, 10, 10);
    const uint64_t begin = uv_hrtime();
    while (descriptors() > before) {
        assert_true(uv_hrtime() - begin < 20000000000u);
        uv_run(loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&beat, NULL);
    return (int)((uv_hrtime() - begin) / 1000000);
}

static void end(uv_loop_t *loop, int count)
{
    for (int k = 0; k < count; k++) curl_easy_cleanup(fetches[k].easy);
    syn_lanes_destroy(lanes, free, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static const syn_lanes_events events = {.done = on_done, .left = on_left};

static void a_crowd_of_fetches(void **state)
{
    slow_llm provider = slow_start("{}", PROVIDER_MS);
    uv_loop_t loop;
    uv_loop_init(&loop);
    const int before = descriptors();
    assert_ok(syn_lanes_create(&loop, &events, NULL, IDLE_MS, &lanes));
    make_fetches(FETCHES, provider.url);
    assert_int_equal(fetch_all(&loop, FETCHES), 3);
    const int held = descriptors();
    assert_true(held >= before + FETCHES);
    assert_int_equal(fetch_all(&loop, FETCHES), 3);
    assert_true(descriptors() <= held); /* the same connections */
    assert_true(looks > 0);
    (void)let_go_ms(&loop, before);
    assert_int_equal(fetch_all(&loop, FETCHES), 3); /* and anew */
    end(&loop, FETCHES);
    slow_stop(&provider);
}

static void connections_are_kept_for_a_while_after_a_fetch_that_took_longer_than_that(void **state)
{
    slow_llm provider = slow_start("{}", PROVIDER_MS);
    uv_loop_t loop;
    uv_loop_init(&loop);
    const int before = descriptors();
    assert_ok(syn_lanes_create(&loop, &events, NULL, SHORT_IDLE_MS, &lanes));
    make_fetches(1, provider.url);
    assert_int_equal(fetch_all(&loop, 1), 1);
    assert_true(let_go_ms(&loop, before) >= SHORT_IDLE_MS);
    end(&loop, 1);
    slow_stop(&provider);
}

/* ---- fetches that are given up while they connect ---- */

enum { CROWD = SYN_LANE_FETCHES + 50, ROUNDS = 6 };

static int rounds, awaited, others[ROUNDS];

/* Before the loop looks at the sockets that have just been opened, two of three are given up. Their
 * numbers go to others: each time one to somebody else, and so some of each lane to the next. */
static void on_prepare(uv_prepare_t *prepare)
{
    if (opened < awaited) return;
    for (int k = CROWD - 1; k >= 0; k--)
        if (k % 3 != rounds % 3) syn_lane_remove(fetches[k].lane, fetches[k].easy);
    assert_true((others[rounds] = dup(STDIN_FILENO)) >= 0);
    for (int k = 0; k < CROWD; k++) {
        if (k % 3 == rounds % 3) continue;
        fetches[k].lane = syn_lanes_add(lanes, fetches[k].easy);
        assert_non_null(fetches[k].lane);
        awaited++;
    }
    if (++rounds == ROUNDS) uv_prepare_stop(prepare);
}

static void others_take_the_place_of_fetches_that_are_given_up_while_they_connect(void **state)
{
    slow_llm provider = slow_start("{}", PROVIDER_MS);
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t beat;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &beat);
    uv_timer_start(&beat, on_beat, 100, 100);
    uv_prepare_init(&loop, &prepare);
    uv_prepare_start(&prepare, on_prepare);
    assert_ok(syn_lanes_create(&loop, &events, NULL, IDLE_MS, &lanes));
    make_fetches(CROWD, provider.url);
    opened = rounds = 0;
    awaited = CROWD;
    const uint64_t begin = uv_hrtime();
    assert_int_equal(fetch_all(&loop, CROWD), 2);
    assert_int_equal(rounds, ROUNDS);
    assert_true(uv_hrtime() - begin < 10000000000u);
    for (int k = 0; k < ROUNDS; k++) close(others[k]);
    uv_close((uv_handle_t *)&prepare, NULL);
    uv_close((uv_handle_t *)&beat, NULL);
    end(&loop, CROWD);
    slow_stop(&provider);
}

/* Where one address refuses, the next one's socket has the number of the first's. */
static void a_name_with_an_address_that_refuses_is_reached_by_the_next(void **state)
{
    slow_llm provider = slow_start("{}", 0);
    uv_loop_t loop;
    char address[64];
    uv_loop_init(&loop);
    assert_ok(syn_lanes_create(&loop, &events, NULL, IDLE_MS, &lanes));
    make_fetches(1, "http://provider.test/v1");
    const int port = atoi(strrchr(provider.url, ':') + 1);
    snprintf(address, sizeof address, "provider.test:%d:127.0.0.2,127.0.0.1", port);
    struct curl_slist *names = curl_slist_append(NULL, address);
    curl_easy_setopt(fetches[0].easy, CURLOPT_RESOLVE, names);
    curl_easy_setopt(fetches[0].easy, CURLOPT_PORT, (long)port);
    opened = 0;
    const uint64_t begin = uv_hrtime();
    assert_int_equal(fetch_all(&loop, 1), 1);
    assert_int_equal(opened, 2);
    assert_true(uv_hrtime() - begin < 5000000000u);
    end(&loop, 1);
    curl_slist_free_all(names);
    slow_stop(&provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_of_fetches),
        cmocka_unit_test(others_take_the_place_of_fetches_that_are_given_up_while_they_connect),
        cmocka_unit_test(a_name_with_an_address_that_refuses_is_reached_by_the_next),
        cmocka_unit_test(connections_are_kept_for_a_while_after_a_fetch_that_took_longer_than_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
