/* Many fetches at once are spread over lanes, use connections again, and leave none behind once
 * there has been nothing to do for a while. */
#include "tests/serve/slow_llm.h"

#include <dirent.h>

#include "serve/llm_lanes.h"

enum { FETCHES = 2 * SYN_LANE_FETCHES + 44, PROVIDER_MS = 300, IDLE_MS = 500 };

typedef struct fetch {
    CURL *easy;
    syn_lane *lane;
} fetch;

static fetch fetches[FETCHES];
static syn_lanes *lanes;
static int left, good, looks;

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)user;
    (void)purpose;
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

/* All at once; returns over how many lanes they were spread. */
static int fetch_all(uv_loop_t *loop)
{
    int spread = 0;
    left = FETCHES;
    good = 0;
    for (int k = 0; k < FETCHES; k++) {
        fetches[k].lane = syn_lanes_add(lanes, fetches[k].easy);
        assert_non_null(fetches[k].lane);
        bool new = true;
        for (int i = 0; i < k; i++) new = new &&fetches[i].lane != fetches[k].lane;
        spread += new;
    }
    while (left > 0) uv_run(loop, UV_RUN_ONCE);
    assert_int_equal(good, FETCHES);
    return spread;
}

static void a_crowd_of_fetches(void **state)
{
    static const syn_lanes_events events = {.done = on_done, .left = on_left};
    slow_llm provider = slow_start("{}", PROVIDER_MS);
    uv_loop_t loop;
    char url[128];
    snprintf(url, sizeof url, "%s/chat/completions", provider.url);
    uv_loop_init(&loop);
    const int before = descriptors();
    assert_ok(syn_lanes_create(&loop, &events, NULL, IDLE_MS, &lanes));
    for (int k = 0; k < FETCHES; k++) {
        CURL *e = fetches[k].easy = syn_lanes_easy(lanes);
        assert_non_null(e);
        curl_easy_setopt(e, CURLOPT_URL, url);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, "{}");
        curl_easy_setopt(e, CURLOPT_PRIVATE, &fetches[k]);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, swallow);
        curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    }
    assert_int_equal(fetch_all(&loop), 3);
    const int held = descriptors();
    assert_true(held >= before + FETCHES);
    assert_int_equal(fetch_all(&loop), 3);
    assert_true(descriptors() <= held); /* the same connections */
    assert_true(looks > 0);
    uv_timer_t beat; /* the lanes' own timer keeps no loop going */
    uv_timer_init(&loop, &beat);
    uv_timer_start(&beat, on_beat, 10, 10);
    for (uint64_t begin = uv_hrtime(); descriptors() > before;) {
        assert_true(uv_hrtime() - begin < 20000000000u);
        uv_run(&loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&beat, NULL);
    assert_int_equal(fetch_all(&loop), 3); /* and anew */
    for (int k = 0; k < FETCHES; k++) curl_easy_cleanup(fetches[k].easy);
    syn_lanes_destroy(lanes, free, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    slow_stop(&provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_crowd_of_fetches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
