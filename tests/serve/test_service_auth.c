/* Who may do what: every route against every kind of credentials. */
#include "kernels/base/progress.h"
#include "serve/jwt.h"
#include "serve/service_internal.h"
#include "tests/serve/service_world.h"

static svc w;
static const char *basic_key, *admin_key, *other_admin_key, *revoked_key;

static void revoke_key(const char *org, const char *id)
{
    syn_db *db = w.service->db;
    assert_ok(syn_db_key_revoke(db, org, id, NULL, NULL));
    syn_db_flush(db);
}

static int begin(void **state)
{
    svc_begin(&w);
    w.settings.trusted_proxy = "127.0.0.1";
    basic_key = svc_key(&w, "red", "unlimited");
    admin_key = svc_key(&w, "red", "admin");
    other_admin_key = svc_key(&w, "blue", "admin");
    revoked_key = svc_key(&w, "red", "admin");
    svc_run(&w);
    revoke_key("red", w.keys[3].id);
    return 0;
}

static int end(void **state)
{
    svc_end(&w);
    return 0;
}

/* Each caller comes from an address of its own: wrong credentials are counted by address. */
static const char *from_elsewhere(void)
{
    static char line[64];
    static unsigned n;
    n++;
    snprintf(line, sizeof line, "X-Forwarded-For: 10.%u.%u.%u\r\n", n >> 16 & 255, n >> 8 & 255,
             n & 255);
    return line;
}

static svc_reply ask_as(const char *method, const char *path, const char *credential,
                        const char *body)
{
    return svc_ask_with(&w, method, path, credential, from_elsewhere(), "application/json", body,
                        body ? strlen(body) : 0);
}

static int status_as(const char *method, const char *path, const char *credential)
{
    svc_reply r = ask_as(method, path, credential, strcmp(method, "POST") ? NULL : "{}");
    int status = r.status;
    svc_forget(&r);
    return status;
}

/* A token of the key of that place, by the service's secret or another, over or not. */
static char *token_of(int place, const char *secret, int64_t begins, int64_t lasts)
{
    syn_jwt *j = NULL;
    char *token = NULL;
    syn_jwt_claims claims = {.issued_s = (int64_t)time(NULL) + begins};
    claims.expires_s = claims.issued_s + lasts;
    snprintf(claims.subject, sizeof claims.subject, "%s", w.keys[place].id);
    snprintf(claims.sha256, sizeof claims.sha256, "%s", w.keys[place].key.sha256);
    assert_ok(syn_jwt_open(secret, &j));
    assert_ok(syn_jwt_sign(j, &claims, &token));
    syn_jwt_close(j);
    return token;
}

/* "/a/{id}" -> "/a/x" */
static void path_of(const char *pattern, char *out)
{
    while (*pattern) {
        if (*pattern == '{') {
            pattern += strcspn(pattern, "}") + 1;
            *out++ = 'x';
        } else {
            *out++ = *pattern++;
        }
    }
    *out = 0;
}

static void every_route_asks_who_is_there(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    syn_api_key unknown;
    assert_ok(syn_api_key_make(&unknown));
    char *expired = token_of(1, svc_secret, -7200, 3600);
    char *early = token_of(1, svc_secret, 3600, 3600);
    char *forged = token_of(1, "another secret of thirty-two bytes", 0, 3600);
    char *of_revoked = token_of(3, svc_secret, 0, 3600);
    const char *const bad[] = {NULL,        "",      "x",     unknown.text, revoked_key,
                               expired,     early,   forged,  of_revoked,   "null",
                               "undefined", "a.b.c", "sync_", "*",          svc_secret};
    int guarded = 0;
    for (int k = 0; k < w.service->own->route_count; k++) {
        const syn_http_route *route = &w.service->own->routes[k];
        const syn_rule *rule = route->data;
        char path[256];
        path_of(route->pattern, path);
        if (rule->access == SYN_ACCESS_OPEN) continue;
        guarded++;
        for (size_t c = 0; c < sizeof bad / sizeof *bad; c++) {
            int status = status_as(methods[route->method], path, bad[c]);
            if (status != 401)
                fail_msg("%s %s: %d with bad credentials %zu", methods[route->method], path, status,
                         c);
        }
        bool admin = rule->access == SYN_ACCESS_ADMIN;
        int status = status_as(methods[route->method], path, basic_key);
        if ((status == 403) != admin || status == 401 || status == 0)
            fail_msg("%s %s: %d with a basic key", methods[route->method], path, status);
        status = status_as(methods[route->method], path, admin_key);
        if (status == 403 || status == 401 || status == 0)
            fail_msg("%s %s: %d with an admin's key", methods[route->method], path, status);
    }
    assert_true(guarded >= 8);
    free(expired);
    free(early);
    free(forged);
    free(of_revoked);
}

static void nothing_tells_the_wrong_ones_apart(void **state)
{
    syn_api_key unknown;
    assert_ok(syn_api_key_make(&unknown));
    char *expired = token_of(1, svc_secret, -7200, 3600);
    const char *const bad[] = {unknown.text, revoked_key, expired, "sync_x", "a.b.c"};
    char first[256] = "";
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        svc_reply r = ask_as("GET", "/api/v1/admin/keys", bad[k], NULL);
        assert_int_equal(r.status, 401);
        assert_string_equal(svc_text(&r, "error"), "AuthenticationError");
        assert_string_equal(svc_header(&r, "WWW-Authenticate"), "Bearer");
        if (!*first) snprintf(first, sizeof first, "%s", svc_text(&r, "detail"));
        assert_string_equal(svc_text(&r, "detail"), first);
        svc_forget(&r);
    }
    free(expired);
}

static int status_with(const char *headers)
{
    char lines[1024];
    snprintf(lines, sizeof lines, "%s%s", headers, from_elsewhere());
    svc_reply r = svc_ask_with(&w, "GET", "/api/v1/admin/keys", NULL, lines, NULL, NULL, 0);
    int status = r.status;
    svc_forget(&r);
    return status;
}

static void a_key_may_stand_in_either_header(void **state)
{
    char h[512];
    snprintf(h, sizeof h, "X-API-Key: %s\r\n", admin_key);
    assert_int_equal(status_with(h), 200);
    snprintf(h, sizeof h, "Authorization: bearer  %s\r\n", admin_key);
    assert_int_equal(status_with(h), 200);
    snprintf(h, sizeof h, "Authorization: Bearer %s\r\nX-API-Key: %s\r\n", admin_key, admin_key);
    assert_int_equal(status_with(h), 200);
}

/* What two readers could read in two ways is refused. */
static void two_credentials_are_none(void **state)
{
    char h[768];
    snprintf(h, sizeof h, "Authorization: Bearer %s\r\nX-API-Key: %s\r\n", admin_key, basic_key);
    assert_int_equal(status_with(h), 401);
    snprintf(h, sizeof h, "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n", admin_key,
             admin_key);
    assert_int_equal(status_with(h), 401);
    snprintf(h, sizeof h, "X-API-Key: x\r\nX-API-Key: %s\r\n", admin_key);
    assert_int_equal(status_with(h), 401);
    snprintf(h, sizeof h, "Authorization: Basic %s\r\n", admin_key);
    assert_int_equal(status_with(h), 401);
    snprintf(h, sizeof h, "Authorization: %s\r\n", admin_key);
    assert_int_equal(status_with(h), 401);
    snprintf(h, sizeof h, "Authorization: Basic eA==\r\nX-API-Key: %s\r\n", admin_key);
    assert_int_equal(status_with(h), 401);
}

static void the_development_keys_are_unknown_here(void **state)
{
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", "sync_admin_key_2024"), 401);
    assert_int_equal(status_as("POST", "/api/v1/auth/token", "sync_test_key_2024"), 401);
}

static void a_token_stands_for_its_key(void **state)
{
    svc_reply r = svc_ask_with(&w, "POST", "/api/v1/auth/token", admin_key, NULL, NULL, NULL, 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(svc_text(&r, "token_type"), "bearer");
    assert_int_equal(json_integer_value(json_object_get(r.json, "expires_in")), 86400);
    assert_int_equal(strlen(svc_text(&r, "created_at")), 24);
    assert_string_equal(svc_header(&r, "Cache-Control"), "no-store");
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", svc_text(&r, "access_token")), 200);
    /* But not for ever: it makes no other token. */
    assert_int_equal(status_as("POST", "/api/v1/auth/token", svc_text(&r, "access_token")), 403);
    svc_forget(&r);
}

static void revoking_a_key_ends_it_and_its_tokens_at_once(void **state)
{
    svc_reply made =
        ask_as("POST", "/api/v1/admin/keys", admin_key, "{\"name\":\"n\",\"tier\":\"admin\"}");
    assert_int_equal(made.status, 201);
    const char *key = json_string_value(json_object_get(made.json, "key"));
    const char *id = json_string_value(json_object_get(made.json, "id"));
    char path[128];
    snprintf(path, sizeof path, "/api/v1/admin/keys/%s", id);
    svc_reply t = ask_as("POST", "/api/v1/auth/token", key, NULL);
    assert_int_equal(t.status, 200);
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", key), 200);
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", svc_text(&t, "access_token")), 200);
    assert_int_equal(status_as("DELETE", path, admin_key), 200);
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", key), 401);
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", svc_text(&t, "access_token")), 401);
    svc_forget(&t);
    svc_forget(&made);
}

/* Another replica revokes it: this process hears of it from the store. */
static void a_key_revoked_elsewhere_ends_within_five_seconds(void **state)
{
    svc_reply made = ask_as("POST", "/api/v1/admin/keys", admin_key, "{}");
    const char *key = json_string_value(json_object_get(made.json, "key"));
    assert_int_equal(status_as("POST", "/api/v1/auth/token", key), 200);
    revoke_key("red", json_string_value(json_object_get(made.json, "id")));
    double begin_s = syn_clock_s();
    while (status_as("POST", "/api/v1/auth/token", key) == 200 && syn_clock_s() < begin_s + 8)
        usleep(100000);
    assert_true(syn_clock_s() < begin_s + 5);
    svc_forget(&made);
}

static void an_organisation_sees_its_own_keys_alone(void **state)
{
    svc_reply r = ask_as("GET", "/api/v1/admin/keys", other_admin_key, NULL);
    assert_int_equal(json_integer_value(json_object_get(r.json, "total")), 1);
    assert_string_equal(svc_text(&r, "keys.0.id"), w.keys[2].id);
    assert_null(strstr(r.body, w.keys[2].key.text));
    assert_null(strstr(r.body, w.keys[2].key.sha256));
    svc_forget(&r);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/admin/keys/%s", w.keys[1].id); /* red's */
    assert_int_equal(status_as("DELETE", path, other_admin_key), 404);
    assert_int_equal(status_as("GET", "/api/v1/admin/keys", admin_key), 200);
}

static void ten_wrong_ones_put_an_address_off(void **state)
{
    static const char here[] = "X-Forwarded-For: 192.0.2.1\r\n";
    static const char there[] = "X-Forwarded-For: 192.0.2.2\r\n";
    syn_api_key unknown;
    for (int k = 0; k < 10; k++) {
        assert_ok(syn_api_key_make(&unknown));
        svc_reply r = svc_ask_with(&w, "GET", "/v1/models", k % 2 ? "junk" : unknown.text, here,
                                   NULL, NULL, 0);
        assert_int_equal(r.status, 401);
        svc_forget(&r);
    }
    svc_reply r = svc_ask_with(&w, "GET", "/v1/models", unknown.text, here, NULL, NULL, 0);
    assert_int_equal(r.status, 429);
    assert_true(atoi(svc_header(&r, "Retry-After")) >= 1);
    assert_true(atoi(svc_header(&r, "retry-after-ms")) >= 1);
    assert_string_equal(svc_text(&r, "error.type"), "rate_limit_error");
    svc_forget(&r);
    /* A key that is known to be good goes on working there, and everything elsewhere. */
    assert_int_equal(status_as("GET", "/v1/models", basic_key), 200);
    r = svc_ask_with(&w, "GET", "/v1/models", basic_key, here, NULL, NULL, 0);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    r = svc_ask_with(&w, "GET", "/v1/models", unknown.text, there, NULL, NULL, 0);
    assert_int_equal(r.status, 401);
    svc_forget(&r);
    /* Also when the store has to be asked again. */
    usleep((useconds_t)((SYN_AUTH_SECONDS + .1) * 1e6));
    r = svc_ask_with(&w, "GET", "/v1/models", basic_key, here, NULL, NULL, 0);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    char *token = token_of(1, svc_secret, 0, 3600);
    r = svc_ask_with(&w, "GET", "/v1/models", token, here, NULL, NULL, 0);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    free(token);
}

/* Whoever has no key can make the service hold nothing. */
static void who_shows_no_good_key_is_told_before_the_body(void **state)
{
    enum { CALLERS = 16 };
    static const char large[] =
        "Content-Type: application/json\r\nContent-Length: 16000000\r\n\r\n";
    int fds[CALLERS];
    char head[1024];
    for (int k = 0; k < CALLERS; k++) {
        syn_api_key unknown;
        char *forged = token_of(1, "another secret, which is 32 bytes or more", 0, 3600);
        assert_ok(syn_api_key_make(&unknown));
        snprintf(head, sizeof head,
                 "POST /v2/models/gap_detector/infer HTTP/1.1\r\nHost: a\r\n"
                 "X-Forwarded-For: 192.0.2.%d\r\nAuthorization: Bearer %s\r\n%s",
                 20 + k, k % 2 ? forged : unknown.text, large);
        fds[k] = svc_dial(&w);
        svc_say(fds[k], head, strlen(head));
        free(forged);
    }
    for (int k = 0; k < CALLERS; k++) {
        size_t bytes = 0;
        char *text = svc_hear(fds[k], &bytes, 5);
        assert_non_null(strstr(text, "HTTP/1.1 401 "));
        free(text);
        close(fds[k]);
    }
    /* A good one that was never seen is asked for it. */
    svc_reply made = ask_as("POST", "/api/v1/admin/keys", admin_key, "{}");
    snprintf(head, sizeof head,
             "POST /v2/models/gap_detector/infer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
             "X-API-Key: %s\r\n%s",
             json_string_value(json_object_get(made.json, "key")), large);
    int fd = svc_dial(&w);
    svc_say(fd, head, strlen(head));
    size_t bytes = 0;
    char *text = svc_hear(fd, &bytes, 1);
    assert_string_equal(text, "HTTP/1.1 100 Continue\r\n\r\n");
    free(text);
    close(fd);
    svc_forget(&made);
}

/* Only a trusted proxy's word is taken, and only its last one. */
static void an_address_cannot_be_made_up(void **state)
{
    int status = 0;
    for (int k = 0; k < 12; k++) {
        char h[128];
        snprintf(h, sizeof h, "X-Forwarded-For: 198.51.100.%d, 192.0.2.77\r\n", k);
        svc_reply r = svc_ask_with(&w, "GET", "/v1/models", "junk", h, NULL, NULL, 0);
        status = r.status;
        svc_forget(&r);
    }
    assert_int_equal(status, 429);
}

/* One parse of the path, and then the rule: no other spelling of a path goes round it. */
static void other_spellings_of_a_path_open_nothing(void **state)
{
    static const char *const paths[] = {"//api/v1/admin/keys",
                                        "/api//v1/admin/keys",
                                        "/api/v1/admin/keys/",
                                        "/api/v1/admin/keys//",
                                        "/api/v1/./admin/keys",
                                        "/health/../api/v1/admin/keys",
                                        "/api/v1/admin/keys/..",
                                        "/api/v1/admin/keys/.",
                                        "/api/v1/admin%2fkeys",
                                        "/api/v1/%61dmin/keys",
                                        "/api/v1/admin/keys%00",
                                        "/api/v1/admin/keys%20",
                                        "/api/v1/admin/keys;x=1",
                                        "/API/V1/ADMIN/KEYS",
                                        "/api/v1/admin\\keys",
                                        "/api/v1/admin/keys/..%2f..%2fhealth",
                                        "/health%2f..%2fapi/v1/admin/keys",
                                        "/livez/../api/v1/admin/keys",
                                        "/page/../api/v1/admin/keys",
                                        "/page/..%2f..%2fetc%2fpasswd",
                                        "/page/%2e%2e/%2e%2e/etc/passwd",
                                        "/v1/models/..%2f..%2fadmin",
                                        "/./api/v1/admin/keys",
                                        "/.../api/v1/admin/keys",
                                        "/api/v1/admin/keys/%2e%2e%2f%2e%2e%2f",
                                        "/\xe2\x80\xae/api/v1/admin/keys",
                                        "/api/v1/admin/keys%"};
    for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
        int status = status_as("GET", paths[k], NULL);
        if (status != 400 && status != 401 && status != 404 && status != 405)
            fail_msg("GET %s without a key: %d", paths[k], status);
    }
}

static void count_events(void *context, const syn_db_result *r)
{
    int **counts = context;
    for (int k = 0; k < r->count; k++) {
        const syn_db_event *e = &r->events[k];
        assert_null(strstr(e->detail, "sync_"));
        *counts[0] += !strcmp(e->action, "authenticate") && !strcmp(e->outcome, "refused");
        *counts[1] += !strcmp(e->action, "key create") && !strcmp(e->outcome, "ok");
        *counts[2] += !strcmp(e->outcome, "forbidden");
    }
}

static void the_audit_log_names_what_was_refused(void **state)
{
    static int refused, created, forbidden;
    (void)status_as("GET", "/api/v1/admin/keys", "sync_wrong");
    (void)status_as("GET", "/api/v1/admin/keys", basic_key);
    int *counts[] = {&refused, &created, &forbidden};
    assert_ok(syn_db_audit_list(w.service->db, "default", 100, 0, count_events, counts));
    assert_ok(syn_db_audit_list(w.service->db, "red", 100, 0, count_events, counts));
    syn_db_flush(w.service->db);
    assert_true(refused > 0);
    assert_true(created > 0);
    assert_true(forbidden > 0);
}

static void keep_detail(void *context, const syn_db_result *r)
{
    for (int k = 0; k < r->count; k++) {
        if (!strcmp(r->events[k].action, "test"))
            snprintf(context, 1024, "%s", r->events[k].detail);
    }
}

/* Personal data in a detail is redacted, however deep it stands, and the detail stays JSON. */
static void the_audit_log_keeps_no_personal_data(void **state)
{
    static char detail[1024];
    syn_http_request request = {.id = "r1"};
    visit v = {.base = {.request = &request, .worker = &w.service->own->workers[0].base}};
    snprintf(v.base.caller.org, sizeof v.base.caller.org, "red");
    syn_visit_audit(&v.base, "test", "ok",
                    json_pack("{s:s, s:[s, {s:s}], s:i}", "who", "a.person@mail.example", "more",
                              "card 4111 1111 1111 1111", "deep", "call +49 30 901820", "n", 7));
    assert_ok(syn_db_audit_list(w.service->db, "red", 100, 0, keep_detail, detail));
    syn_db_flush(w.service->db);
    json_t *j = json_loads(detail, 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "who")), "[EMAIL]");
    assert_int_equal(json_integer_value(json_object_get(j, "n")), 7);
    assert_null(strstr(detail, "4111"));
    assert_null(strstr(detail, "901820"));
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_asks_who_is_there),
        cmocka_unit_test(nothing_tells_the_wrong_ones_apart),
        cmocka_unit_test(a_key_may_stand_in_either_header),
        cmocka_unit_test(two_credentials_are_none),
        cmocka_unit_test(the_development_keys_are_unknown_here),
        cmocka_unit_test(a_token_stands_for_its_key),
        cmocka_unit_test(revoking_a_key_ends_it_and_its_tokens_at_once),
        cmocka_unit_test(a_key_revoked_elsewhere_ends_within_five_seconds),
        cmocka_unit_test(an_organisation_sees_its_own_keys_alone),
        cmocka_unit_test(ten_wrong_ones_put_an_address_off),
        cmocka_unit_test(who_shows_no_good_key_is_told_before_the_body),
        cmocka_unit_test(an_address_cannot_be_made_up),
        cmocka_unit_test(other_spellings_of_a_path_open_nothing),
        cmocka_unit_test(the_audit_log_names_what_was_refused),
        cmocka_unit_test(the_audit_log_keeps_no_personal_data),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
