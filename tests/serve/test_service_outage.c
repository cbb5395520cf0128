/* The service while its PostgreSQL is away: what needs it says so and when to come again, all else
 * goes on, and it is itself again afterwards. Skipped where there is no PostgreSQL. */
#include "tests/serve/servers.h"
#include "tests/serve/service_world.h"

static server postgres;

static int begin(void **state)
{
    server_start(&postgres, "postgres");
    return 0;
}

static int end(void **state)
{
    server_stop(&postgres);
    return 0;
}

static int status_of(const svc *w, const char *path, const char *key)
{
    svc_reply r = svc_ask(w, "GET", path, key, NULL);
    int status = r.status;
    if (status == 503) {
        assert_string_equal(svc_text(&r, "error"), "Unavailable");
        assert_true(atoi(svc_header(&r, "Retry-After")) >= 1);
        assert_null(strstr(r.body, "postgres"));
    }
    svc_forget(&r);
    return status;
}

static void an_outage_is_told_and_passes(void **state)
{
    svc w;
    if (!postgres.url[0]) skip();
    svc_begin(&w);
    w.settings.database_url = postgres.url;
    const char *key = svc_key(&w, "default", "admin"), *other = svc_key(&w, "default", "pro");
    svc_run(&w);
    assert_int_equal(status_of(&w, "/api/v1/history", key), 200);
    assert_int_equal(server_do(&postgres, "kill"), 0);
    assert_int_equal(status_of(&w, "/health", NULL), 200);
    assert_int_equal(status_of(&w, "/readyz", NULL), 200);
    assert_int_equal(status_of(&w, "/api/v1/history", other), 503); /* a key nobody has seen */
    assert_int_equal(status_of(&w, "/health", NULL), 200);
    assert_int_equal(server_do(&postgres, "again"), 0);
    double end_s = svc_now_s() + 20;
    while (status_of(&w, "/api/v1/history", other) != 200 && svc_now_s() < end_s) usleep(100000);
    assert_true(svc_now_s() < end_s);
    assert_int_equal(status_of(&w, "/api/v1/history", key), 200);
    svc_end(&w);
}

/* A server that is there and says nothing: whoever is held for his key hears of it after the
 * store's five seconds, and whoever comes meanwhile no later than that. */
static void a_database_that_hangs_holds_nobody_for_long(void **state)
{
    svc w;
    if (!postgres.url[0]) skip();
    svc_begin(&w);
    w.settings.database_url = postgres.url;
    const char *key = svc_key(&w, "default", "admin");
    svc_run(&w);
    assert_int_equal(server_do(&postgres, "hang"), 0);
    const double begin_s = svc_now_s();
    assert_int_equal(status_of(&w, "/api/v1/history", key), 503);
    assert_true(svc_now_s() - begin_s < 9);
    assert_int_equal(status_of(&w, "/health", NULL), 200);
    assert_int_equal(status_of(&w, "/livez", NULL), 200);
    assert_int_equal(server_do(&postgres, "wake"), 0);
    const double end_s = svc_now_s() + 20;
    while (status_of(&w, "/api/v1/history", key) != 200 && svc_now_s() < end_s) usleep(100000);
    assert_true(svc_now_s() < end_s);
    svc_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outage_is_told_and_passes),
        cmocka_unit_test(a_database_that_hangs_holds_nobody_for_long),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
