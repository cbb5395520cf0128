/* `syncog serve` as its users meet it. */
#include "tests/serve/command_world.h"

static const char *const names[] = {"POSTGRES_HOST",
                                    "POSTGRES_PORT",
                                    "POSTGRES_DB",
                                    "POSTGRES_USER",
                                    "POSTGRES_PASSWORD",
                                    "DATABASE_URL",
                                    "REDIS_HOST",
                                    "REDIS_PORT",
                                    "REDIS_DB",
                                    "REDIS_PASSWORD",
                                    "REDIS_ENABLED",
                                    "API_HOST",
                                    "API_PORT",
                                    "API_WORKERS",
                                    "MAX_AGENTS",
                                    "MAX_COMMUNICATION_ROUNDS",
                                    "DEFAULT_TIMEOUT",
                                    "PRIMARY_MODEL",
                                    "AGGREGATOR_MODEL",
                                    "EMBEDDING_MODEL",
                                    "CALIBRATION_FILE",
                                    "DEVICE",
                                    "LOG_LEVEL",
                                    "LOG_FORMAT",
                                    "LOG_FILE",
                                    "ENVIRONMENT",
                                    "JWT_SECRET_KEY",
                                    "JWT_ALGORITHM",
                                    "JWT_EXPIRATION_HOURS",
                                    "ALLOWED_ORIGINS",
                                    "RATE_LIMIT_PER_MINUTE",
                                    "RATE_LIMIT_BURST",
                                    "BATCH_SIZE",
                                    "LEARNING_RATE",
                                    "NUM_EPOCHS",
                                    "CHECKPOINT_DIR",
                                    "OPENROUTER_API_KEY",
                                    "ANTHROPIC_API_KEY",
                                    "OPENAI_API_KEY",
                                    "DEEPSEEK_API_KEY",
                                    "GOOGLE_API_KEY",
                                    "KIMI_API_KEY"};

static void help_names_every_variable(void **state)
{
    static char out[1 << 16];
    assert_int_equal(run("", "serve --help", out, sizeof out), 0);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) assert_has(out, names[k]);
    assert_int_equal(run("", "key --help", out, sizeof out), 0);
    assert_has(out, "syncog key create");
    assert_int_equal(run("", "key create --help", out, sizeof out), 0);
    assert_has(out, "--tier");
}

static void init_writes_a_file_that_serve_reads(void **state)
{
    static char out[1 << 16], path[128];
    struct stat info;
    in_folder("rm -f .env");
    assert_int_equal(run("", "serve --init", out, sizeof out), 0);
    snprintf(path, sizeof path, "%s/.env", folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    FILE *f = fopen(path, "r");
    out[fread(out, 1, sizeof out - 1, f)] = 0;
    fclose(f);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) assert_has(out, names[k]);
    char secret[65];
    snprintf(secret, sizeof secret, "%s", strstr(out, "JWT_SECRET_KEY=") + 15);
    assert_int_equal(run("", "serve --print-config", out, sizeof out), 0);
    assert_has(out, "\"jwt_secret\": \"(hidden)\"");
    assert_int_equal(run("", "serve --init", out, sizeof out), 1);
    assert_has(out, "--overwrite");
    assert_int_equal(run("", "serve --init --overwrite", out, sizeof out), 0);
    f = fopen(path, "r");
    out[fread(out, 1, sizeof out - 1, f)] = 0;
    fclose(f);
    assert_lacks(out, secret);
    in_folder("rm .env");
}

static void a_flag_wins_over_the_environment_over_the_file(void **state)
{
    static char out[1 << 16];
    in_folder("printf 'API_PORT=9001\\nMAX_AGENTS=4\\nDEFAULT_TIMEOUT=7\\n' > .env");
    assert_int_equal(
        run("API_PORT=9002 MAX_AGENTS=5", "serve --port 9003 --print-config", out, sizeof out), 0);
    assert_has(out, "\"port\": 9003");
    assert_has(out, "\"agents_max\": 5");
    assert_has(out, "\"timeout\": 7");
    in_folder("printf 'API_PORT\\n' > .env");
    assert_int_equal(run("", "serve --print-config", out, sizeof out), 1);
    assert_has(out, ".env, line 1");
    assert_int_equal(run("", "serve --help", out, sizeof out), 0);
    in_folder("rm .env");
}

static void the_configuration_shows_no_secret(void **state)
{
    static char out[1 << 16];
    assert_int_equal(run("JWT_SECRET_KEY=hunter2 POSTGRES_PASSWORD=hunter2 REDIS_PASSWORD=hunter2 "
                         "DATABASE_URL=postgresql://u:hunter2@h/d REDIS_URL=redis://:hunter2@h "
                         "SYNCOG_BOOTSTRAP_KEY=hunter2 OTEL_EXPORTER_OTLP_HEADERS=a=hunter2",
                         "serve --print-config", out, sizeof out),
                     0);
    assert_lacks(out, "hunter2");
    assert_has(out, "postgresql://u:(hidden)@h/d");
    assert_has(out, "redis://:(hidden)@h");
}

static void what_concerns_training_is_passed_by(void **state)
{
    static char out[1 << 16];
    assert_int_equal(run("BATCH_SIZE=x LEARNING_RATE=y NUM_EPOCHS=z WANDB_API_KEY=w",
                         "serve --print-config", out, sizeof out),
                     0);
}

typedef struct refusal {
    const char *environment, *arguments, *setting;
    int code;
} refusal;

static void it_refuses_to_start_and_names_the_setting(void **state)
{
    static const refusal table[] = {
        {"", "--host 0.0.0.0", "TRUSTED_PROXY", 1},
        {"", "--host 0.0.0.0 --insecure-public", "JWT_SECRET_KEY", 1},
        {"", "--host :: --trusted-proxy 10.0.0.0/8", "JWT_SECRET_KEY", 1},
        {"ENVIRONMENT=production", "", "JWT_SECRET_KEY", 1},
        {"JWT_SECRET_KEY=short", "", "JWT_SECRET_KEY", 1},
        {"JWT_SECRET_KEY_FILE=open", "", "JWT_SECRET_KEY_FILE", 1},
        {"JWT_ALGORITHM=none", "", "JWT_ALGORITHM", 2},
        {"JWT_ALGORITHM=RS256", "", "JWT_ALGORITHM", 2},
        {"JWT_EXPIRATION_HOURS=48", "", "JWT_EXPIRATION_HOURS", 2},
        {"ENVIRONMENT=prod", "", "ENVIRONMENT", 2},
        {"API_PORT=70000", "", "API_PORT", 2},
        {"MAX_AGENTS=1", "", "MAX_AGENTS", 2},
        {"LOG_LEVEL=loud", "", "LOG_LEVEL", 1},
        {"LOG_FORMAT=xml", "", "LOG_FORMAT", 1},
        {"LOG_FILE=/nowhere/log", "", "/nowhere/log", 1},
        {"DATABASE_URL=mysql://x", "--port 0", "sqlite:", 1},
        {"REDIS_URL=http://x", "--port 0", "redis://", 1},
        {"SYNCOG_STATE=/nowhere/state", "", "/nowhere/state", 1},
        {"", "--port 0 --checkpoint nowhere", "nowhere", 1},
        {"", "--port 0 --provider nobody", "--provider", 1},
        {"", "--port 0 --providers-file nowhere.json", "nowhere.json", 1},
        {"", "--prot 1", "--port", 2},
    };
    static char out[1 << 16];
    in_folder("printf '0123456789abcdef0123456789abcdef' > open && chmod 644 open");
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        char arguments[256];
        snprintf(arguments, sizeof arguments, "serve %s", table[k].arguments);
        int code = run(table[k].environment, arguments, out, sizeof out);
        if (code != table[k].code)
            fail_msg("%s serve %s: exit code %d: %s", table[k].environment, table[k].arguments,
                     code, out);
        assert_has(out, table[k].setting);
    }
}

/* ---- a process ---- */

static void sigterm_drains(void **state)
{
    process p;
    char *more[] = {"--drain-delay", "1", NULL};
    start(&p, NULL, more);
    assert_int_equal(status_of(&p, "/readyz"), 200);
    kill(p.pid, SIGTERM);
    assert_string_equal(told(&p), "STOPPING=1");
    assert_int_equal(status_of(&p, "/readyz"), 503); /* but it still answers */
    assert_int_equal(status_of(&p, "/livez"), 200);
    assert_int_equal(status_of(&p, "/api/v1/history"), 200);
    assert_int_equal(finish(&p), 0);
}

static void a_second_signal_ends_it_at_once(void **state)
{
    process p;
    char *more[] = {"--drain-delay", "60", NULL};
    start(&p, NULL, more);
    double begin_s = svc_now_s();
    kill(p.pid, SIGTERM);
    assert_string_equal(told(&p), "STOPPING=1");
    kill(p.pid, SIGTERM);
    assert_int_equal(finish(&p), 0);
    assert_true(svc_now_s() - begin_s < 10);
}

static void sigint_does_not_wait(void **state)
{
    process p;
    char *more[] = {"--drain-delay", "60", NULL};
    start(&p, NULL, more);
    kill(p.pid, SIGINT);
    assert_int_equal(finish(&p), 0);
}

static void sighup_reads_the_level_and_opens_the_log_anew(void **state)
{
    process p;
    char moved[160];
    in_folder("printf 'LOG_LEVEL=info\\n' > .env");
    start(&p, NULL, NULL);
    (void)status_of(&p, "/livez");
    in_folder("printf 'LOG_LEVEL=debug\\n' > .env");
    snprintf(moved, sizeof moved, "%s.1", p.log);
    assert_int_equal(rename(p.log, moved), 0);
    kill(p.pid, SIGHUP);
    assert_true(file_has(p.log, "read anew", false));
    assert_false(file_has(moved, "\"route\":\"livez\"", true));
    (void)status_of(&p, "/livez");
    assert_true(file_has(p.log, "\"route\":\"livez\"", false));
    kill(p.pid, SIGINT);
    assert_int_equal(finish(&p), 0);
    in_folder("rm .env");
}

static void sighup_leaves_a_flag_above_the_file(void **state)
{
    process p;
    char *more[] = {"--log-level", "debug", NULL};
    in_folder("printf 'LOG_LEVEL=info\\n' > .env");
    start(&p, NULL, more);
    kill(p.pid, SIGHUP);
    assert_true(file_has(p.log, "read anew", false));
    (void)status_of(&p, "/livez");
    assert_true(file_has(p.log, "\"route\":\"livez\"", false));
    kill(p.pid, SIGINT);
    assert_int_equal(finish(&p), 0);
    in_folder("rm .env");
}

static void secrets_do_not_stay_where_others_read_them(void **state)
{
    process p;
    char path[64];
    char *environment[] = {"JWT_SECRET_KEY=a secret in the environment, 32 bytes",
                           "OPENAI_API_KEY=sk-in-the-environment",
                           "OWN_KEY=sk-of-a-name-of-ones-own", NULL};
    char *more[] = {"--api-key-env", "OWN_KEY", "--bootstrap-key",
                    "a-key-on-the-command-line-of-32-bytes", NULL};
    start(&p, environment, more);
    snprintf(path, sizeof path, "/proc/%d/environ", (int)p.pid);
    assert_true(file_has(path, "JWT_SECRET_KEY=", true));
    assert_false(file_has(path, "a secret in the", true));
    assert_false(file_has(path, "sk-in-the-environment", true));
    assert_false(file_has(path, "sk-of-a-name", true));
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)p.pid);
    assert_false(file_has(path, "a-key-on-the", true));
    svc_reply r =
        svc_ask(&p.w, "GET", "/api/v1/admin/keys", "a-key-on-the-command-line-of-32-bytes", NULL);
    assert_int_equal(r.status, 200); /* it is still known */
    svc_forget(&r);
    kill(p.pid, SIGINT);
    assert_int_equal(finish(&p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_names_every_variable),
        cmocka_unit_test(init_writes_a_file_that_serve_reads),
        cmocka_unit_test(a_flag_wins_over_the_environment_over_the_file),
        cmocka_unit_test(the_configuration_shows_no_secret),
        cmocka_unit_test(what_concerns_training_is_passed_by),
        cmocka_unit_test(it_refuses_to_start_and_names_the_setting),
        cmocka_unit_test(sigterm_drains),
        cmocka_unit_test(a_second_signal_ends_it_at_once),
        cmocka_unit_test(sigint_does_not_wait),
        cmocka_unit_test(sighup_reads_the_level_and_opens_the_log_anew),
        cmocka_unit_test(sighup_leaves_a_flag_above_the_file),
        cmocka_unit_test(secrets_do_not_stay_where_others_read_them),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
