/* serve/settings.h: where settings come from, what they become, and what is refused. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/auth_peer.h"
#include "serve/settings.h"
#include "tests/test.h"

static char folder[64], start[1024];

static int begin(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/syncog-settings-XXXXXX");
    return getcwd(start, sizeof start) && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int end(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir(start) == 0 && system(command) == 0 ? 0 : -1;
}

static void write_file(const char *path, const char *text, size_t bytes, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, bytes), (ssize_t)bytes);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text), 0600);
}

/* ---- .env ---- */

typedef struct line {
    const char *text, *value; /* of T_A afterwards; NULL: not set */
} line;

static void lines_of_the_file_are_variables(void **state)
{
    static const line lines[] = {
        {"T_A=plain", "plain"},
        {"T_A = spaced \t", "spaced"},
        {"  export T_A=exported", "exported"},
        {"export\tT_A=x", "x"},
        {"T_A=a b c", "a b c"},
        {"T_A=a # a comment", "a"},
        {"T_A=a#b", "a#b"},
        {"T_A=", ""},
        {"T_A=# nothing", ""},
        {"T_A='it is # \"so\" \\n $x'", "it is # \"so\" \\n $x"},
        {"T_A=\"two\\nlines \\\"quoted\\\" \\\\ \\$x # no comment\" # but this",
         "two\nlines \"quoted\" \\ $x # no comment"},
        {"T_A=\"\"", ""},
        {"T_A=a=b=c", "a=b=c"},
        {"T_A=\xc3\xa4", "\xc3\xa4"},
        {"T_A=windows\r", "windows"},
        {"# T_A=x", NULL},
        {"\n\n   \n\t\n", NULL},
        {"T_B=first\nT_A=second", "second"},
        {"T_A=first\nT_A=second", "first"},
        {"", NULL},
    };
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        unsetenv("T_A");
        write_text("env", lines[k].text);
        assert_ok(syn_env_file_read("env"));
        const char *value = getenv("T_A");
        if (!lines[k].value) {
            assert_null(value);
        } else {
            assert_non_null(value);
            assert_string_equal(value, lines[k].value);
        }
    }
    unsetenv("T_A");
}

static void a_malformed_line_is_named(void **state)
{
    static const char *const lines[] = {"T_A",     "=x",         "T-A=x",      "1A=x",  "T_A='x",
                                        "T_A=\"x", "T_A='x' y",  "T_A=\"x\"y", "T_A x", "export",
                                        "T A=x",   "{\"a\": 1}", "T_A=\"x\\\""};
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        char text[256];
        snprintf(text, sizeof text, "# fine\nT_B=1\n%s\n", lines[k]);
        write_text("env", text);
        syn_status st = syn_env_file_read("env");
        if (st != SYN_ERR_FORMAT) fail_msg("%s: %d", lines[k], st);
        assert_non_null(strstr(syn_error_text(), "line 3"));
    }
}

static void the_file_has_a_cap_and_need_not_be_there(void **state)
{
    static char text[70000];
    assert_ok(syn_env_file_read("no such file"));
    memset(text, '#', sizeof text);
    write_file("env", text, sizeof text, 0600);
    assert_int_equal(syn_env_file_read("env"), SYN_ERR_LIMIT);
    write_file("env", "A=\0B", 4, 0600);
    assert_int_equal(syn_env_file_read("env"), SYN_ERR_LIMIT);
    assert_int_equal(syn_env_file_read("/proc/self/mem"), SYN_ERR_IO);
    assert_int_equal(syn_env_file_read("."), SYN_ERR_IO);
}

static void the_environment_stands_above_the_file(void **state)
{
    char value[32];
    setenv("T_C", "real", 1);
    setenv("T_E", "", 1);
    unsetenv("T_D");
    write_text("env", "T_C=file\nT_D=file\nT_E=file\n");
    assert_ok(syn_env_file_read("env"));
    assert_string_equal(getenv("T_C"), "real");
    assert_string_equal(getenv("T_D"), "file");
    assert_string_equal(getenv("T_E"), "file");
    /* Read again later, as SIGHUP does. */
    write_text("env", "T_C=later\nT_D='later'\n");
    assert_false(syn_env_file_again("T_C", value, sizeof value));
    assert_true(syn_env_file_again("T_D", value, sizeof value));
    assert_string_equal(value, "later");
    assert_false(syn_env_file_again("T_F", value, sizeof value));
}

/* ---- secrets in files ---- */

static void a_secret_may_stand_in_a_file(void **state)
{
    unsetenv("JWT_SECRET_KEY");
    write_text("secret", "from the file, 32 bytes and more\n");
    setenv("JWT_SECRET_KEY_FILE", "secret", 1);
    assert_ok(syn_secret_files_read());
    assert_string_equal(getenv("JWT_SECRET_KEY"), "from the file, 32 bytes and more");
    write_text("secret", "another");
    assert_ok(syn_secret_files_read()); /* what is there stays */
    assert_string_equal(getenv("JWT_SECRET_KEY"), "from the file, 32 bytes and more");
    unsetenv("JWT_SECRET_KEY");
    write_file("secret", "x", 1, 0604);
    assert_int_equal(syn_secret_files_read(), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "JWT_SECRET_KEY_FILE"));
    write_file("secret", "x", 1, 0440); /* as containers mount it for a group */
    assert_ok(syn_secret_files_read());
    unsetenv("JWT_SECRET_KEY");
    setenv("JWT_SECRET_KEY_FILE", "no such file", 1);
    assert_int_equal(syn_secret_files_read(), SYN_ERR_IO);
    unsetenv("JWT_SECRET_KEY_FILE");
}

/* ---- what they become ---- */

static syn_settings settings_of(void)
{
    syn_settings s;
    assert_ok(syn_settings_defaults(&s));
    s.state_folder = "state";
    return s;
}

static void defaults_are_those_of_a_newcomer(void **state)
{
    syn_settings s = settings_of();
    assert_string_equal(s.host, "127.0.0.1");
    assert_int_equal(s.port, 8000);
    assert_string_equal(s.environment, "development");
    assert_int_equal(s.jwt_hours, 24);
    assert_int_equal(s.agents_max, 10);
    assert_int_equal(s.rounds_max, 20);
    assert_true(s.timeout_s == 300);
    assert_int_equal(s.rate_burst, 10);
    assert_string_equal(s.guard, "flag");
    assert_true(s.access_log);
    assert_null(s.redis_url);
}

static void urls_are_composed_of_their_parts(void **state)
{
    syn_settings s = settings_of();
    assert_ok(syn_settings_urls(&s));
    assert_string_equal(s.database_url, "sqlite:///state/syncog.db");
    assert_null(s.redis_url);
    struct stat info;
    assert_int_equal(stat("state", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);

    s = settings_of();
    s.postgres_host = "db.example.org";
    s.postgres_user = "me";
    s.postgres_password = "p@ss/w:rd%\xc3\xa4";
    s.postgres_db = "a b";
    s.postgres_port = 5433;
    s.redis_host = "redis";
    s.redis_password = "s3cret";
    s.redis_db = 2;
    assert_ok(syn_settings_urls(&s));
    assert_string_equal(s.database_url,
                        "postgresql://me:p%40ss%2Fw%3Ard%25%C3%A4@db.example.org:5433/a%20b");
    assert_string_equal(s.redis_url, "redis://:s3cret@redis:6379/2");

    s = settings_of();
    s.database_url = "sqlite:///given.db";
    s.postgres_host = "db";
    s.redis_enabled = "true";
    assert_ok(syn_settings_urls(&s));
    assert_string_equal(s.database_url, "sqlite:///given.db");
    assert_string_equal(s.redis_url, "redis://localhost:6379/0");

    s = settings_of();
    s.redis_url = "redis://there";
    s.redis_enabled = "false";
    assert_ok(syn_settings_urls(&s));
    assert_null(s.redis_url);

    s = settings_of();
    s.redis_host = "there";
    s.redis_password = "a#b";
    assert_int_equal(syn_settings_urls(&s), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "REDIS_PASSWORD"));
    assert_null(strstr(syn_error_text(), "a#b"));
}

static void development_makes_its_secret_and_keeps_it(void **state)
{
    syn_settings a = settings_of(), b = settings_of();
    struct stat info;
    assert_ok(syn_settings_complete(&a));
    assert_int_equal(strlen(a.jwt_secret), 64);
    assert_int_equal(stat("state/jwt_secret", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_ok(syn_settings_complete(&b));
    assert_string_equal(a.jwt_secret, b.jwt_secret);
    assert_int_equal(chmod("state/jwt_secret", 0644), 0);
    b = settings_of();
    assert_int_equal(syn_settings_complete(&b), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "JWT_SECRET_KEY"));
    assert_int_equal(unlink("state/jwt_secret"), 0);
}

/* ---- what is refused ---- */

static const char good_secret[] = "0123456789abcdef0123456789abcdef";

static void refused(syn_settings s, const char *setting)
{
    if (syn_settings_complete(&s) != SYN_ERR_INVALID) fail_msg("not refused for %s", setting);
    if (!strstr(syn_error_text(), setting)) fail_msg("no %s in: %s", setting, syn_error_text());
    assert_null(strstr(syn_error_text(), good_secret));
}

static void what_is_unsafe_is_refused(void **state)
{
    syn_settings s = settings_of();
    s.environment = "production"; /* also on this machine */
    refused(s, "JWT_SECRET_KEY");
    s.environment = "testing";
    refused(s, "JWT_SECRET_KEY");
    s.jwt_secret = "too short, 31 bytes are not 32.";
    refused(s, "JWT_SECRET_KEY");
    s.jwt_secret = good_secret;
    assert_ok(syn_settings_complete(&s));

    static const char *const hosts[] = {"0.0.0.0",   "::",          "192.0.2.1",      "10.0.0.1",
                                        "128.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"};
    for (size_t k = 0; k < sizeof hosts / sizeof *hosts; k++) {
        s = settings_of();
        s.host = hosts[k];
        s.jwt_secret = good_secret;
        refused(s, "TRUSTED_PROXY");
        s.trusted_proxy = "10.0.0.0/8";
        assert_ok(syn_settings_complete(&s));
        s.jwt_secret = NULL; /* ENVIRONMENT=development does not help there */
        refused(s, "JWT_SECRET_KEY");
        s.trusted_proxy = NULL;
        s.jwt_secret = good_secret;
        s.insecure_public = true;
        assert_ok(syn_settings_complete(&s));
        assert_false(syn_settings_development(&s));
    }

    s = settings_of();
    s.host = "example.org";
    refused(s, "API_HOST");
    s = settings_of();
    s.bootstrap_key = "short";
    refused(s, "SYNCOG_BOOTSTRAP_KEY");
    s = settings_of();
    s.device = "gpu";
    refused(s, "DEVICE");
    static const char *const networks[] = {"10.0.0.0/33", "10.0.0/8",   "::1/129",   "x",
                                           "10.0.0.0/",   "1.2.3.4/-1", "1.2.3.4/8x"};
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        s = settings_of();
        s.trusted_proxy = networks[k];
        refused(s, "TRUSTED_PROXY");
    }
}

static void a_trusted_proxy_is_no_quarter_of_the_internet(void **state)
{
    static const char *const wide[] = {
        "0.0.0.0/0",         "::/0",  "10.0.0.0/7", "128.0.0.0/1",        "2000::/3", "2a00::/31",
        "::ffff:0.0.0.0/96", "::/64", "f800::/5",   "10.0.0.1, 0.0.0.0/0"};
    static const char *const narrow[] = {"10.0.0.0/8", "2a00::/32", "fc00::/7",
                                         "fe80::/10",  "::1",       "::ffff:10.0.0.0/104"};
    for (size_t k = 0; k < sizeof wide / sizeof *wide; k++) {
        syn_settings s = settings_of();
        s.trusted_proxy = wide[k];
        refused(s, "TRUSTED_PROXY");
        assert_non_null(strstr(syn_error_text(), "where a request comes from"));
    }
    for (size_t k = 0; k < sizeof narrow / sizeof *narrow; k++) {
        syn_networks n;
        assert_ok(syn_networks_parse(narrow[k], &n));
    }
}

static void this_machine_is_known(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.1.2.3", "::1",
                                      "localhost", "LOCALHOST", "::ffff:127.0.0.1"};
    static const char *const other[] = {
        "0.0.0.0",        "::", "128.0.0.1",       "localhost.", "localhost.evil",
        "127.0.0.1.evil", "",   "::ffff:10.0.0.1", "127.1",      "2130706433"};
    for (size_t k = 0; k < sizeof own / sizeof *own; k++) assert_true(syn_host_is_loopback(own[k]));
    for (size_t k = 0; k < sizeof other / sizeof *other; k++)
        assert_false(syn_host_is_loopback(other[k]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_the_file_are_variables),
        cmocka_unit_test(a_malformed_line_is_named),
        cmocka_unit_test(the_file_has_a_cap_and_need_not_be_there),
        cmocka_unit_test(the_environment_stands_above_the_file),
        cmocka_unit_test(a_secret_may_stand_in_a_file),
        cmocka_unit_test(defaults_are_those_of_a_newcomer),
        cmocka_unit_test(urls_are_composed_of_their_parts),
        cmocka_unit_test(development_makes_its_secret_and_keeps_it),
        cmocka_unit_test(what_is_unsafe_is_refused),
        cmocka_unit_test(a_trusted_proxy_is_no_quarter_of_the_internet),
        cmocka_unit_test(this_machine_is_known),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
