/* `syncog key` as its users meet it. */
#include "tests/serve/command_world.h"

static char *first_line(char *text)
{
    text[strcspn(text, "\n")] = 0;
    return text;
}

static void keys_are_made_listed_and_revoked_without_a_service(void **state)
{
    static char out[1 << 16], key[128], id[64], arguments[256];
    process p;
    char *environment[] = {"ENVIRONMENT=production",
                           "JWT_SECRET_KEY=0123456789abcdef0123456789abcdef", NULL};
    assert_int_equal(run("", "key create --tier admin --name operator --json", out, sizeof out), 0);
    json_t *made = json_loads(out, 0, NULL);
    snprintf(key, sizeof key, "%s", json_string_value(json_object_get(made, "key")));
    json_decref(made);
    assert_int_equal(strlen(key), 77);
    assert_int_equal(run("", "key list --json", out, sizeof out), 0);
    json_t *j = json_loads(first_line(out), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "name")), "operator");
    assert_string_equal(json_string_value(json_object_get(j, "tier")), "admin");
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(j, "id")));
    json_decref(j);
    assert_int_equal(run("", "key list", out, sizeof out), 0);
    assert_has(out, id);
    assert_lacks(out, key);

    start(&p, environment, NULL);
    svc_reply r = svc_ask(&p.w, "GET", "/api/v1/admin/keys", key, NULL);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    assert_int_equal(status_of(&p, "/api/v1/admin/keys"), 401);
    /* An SQLite file has one owner at a time, and the refusal says what to do. */
    assert_int_equal(run("", "key create", out, sizeof out), 1);
    assert_has(out, "/api/v1/admin/keys");
    kill(p.pid, SIGINT);
    assert_int_equal(finish(&p), 0);

    snprintf(arguments, sizeof arguments, "key revoke --org other %s", id);
    assert_int_equal(run("", arguments, out, sizeof out), 1);
    snprintf(arguments, sizeof arguments, "key revoke %s", id);
    assert_int_equal(run("", arguments, out, sizeof out), 0);
    start(&p, environment, NULL);
    r = svc_ask(&p.w, "GET", "/api/v1/admin/keys", key, NULL);
    assert_int_equal(r.status, 401);
    svc_forget(&r);
    kill(p.pid, SIGINT);
    assert_int_equal(finish(&p), 0);
}

/* A full disk, a closed pipe: it was to be seen once. */
static void a_key_that_cannot_be_shown_is_not_left_in_force(void **state)
{
    static char out[1 << 16];
    assert_int_equal(run("", "key create --org unseen >/dev/full", out, sizeof out), 1);
    assert_int_equal(run("", "key list --org unseen --json", out, sizeof out), 0);
    json_t *j = json_loads(first_line(out), 0, NULL);
    assert_true(json_is_string(json_object_get(j, "revoked_at")));
    json_decref(j);
}

static void wrong_usage_of_key_is_told(void **state)
{
    static char out[1 << 16];
    assert_int_equal(run("", "key", out, sizeof out), 2);
    assert_int_equal(run("", "key creat", out, sizeof out), 2);
    assert_has(out, "create");
    assert_int_equal(run("", "key create --tier gold", out, sizeof out), 2);
    assert_int_equal(run("", "key create --org ''", out, sizeof out), 1);
    assert_int_equal(run("", "key revoke", out, sizeof out), 2);
    assert_int_equal(run("", "key revoke no-such-key", out, sizeof out), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_made_listed_and_revoked_without_a_service),
        cmocka_unit_test(a_key_that_cannot_be_shown_is_not_left_in_force),
        cmocka_unit_test(wrong_usage_of_key_is_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
