/* One table gives flags, environment, config file, help and validation; the precedence is flag,
 * environment, file, default; every mistake is one sentence that names the place. */
#include "tests/test.h"

#include <unistd.h>

#include "kernels/base/options.h"

typedef struct config {
    bool resume, shuffle;
    int64_t env_steps, seed;
    double lr_actor;
    const char *out, *device, *api_key;
    syn_text_list data;
} config;

#define FIELD(kind, field) .type = SYN_OPTION_##kind, .offset = offsetof(config, field)

static const syn_option table[] = {
    {.name = "env-steps",
     FIELD(INT, env_steps),
     .fallback = "4e6",
     .min = 1,
     .max = 1e12,
     .help = "Steps of the environment to train for."},
    {.name = "seed", FIELD(INT, seed), .metavar = "S", .help = "Seed of everything random."},
    {.name = "lr-actor",
     FIELD(REAL, lr_actor),
     .fallback = "3e-4",
     .min = 1e-9,
     .max = 1,
     .help = "Learning rate of the policy.",
     .env = "LEARNING_RATE"},
    {.name = "resume", FIELD(BOOL, resume), .help = "Continue from the last checkpoint."},
    {.name = "shuffle", FIELD(BOOL, shuffle), .fallback = "true", .help = "Shuffle the records."},
    {.name = "out", FIELD(TEXT, out), .metavar = "DIR", .help = "Where checkpoints go."},
    {.name = "device",
     FIELD(CHOICE, device),
     .fallback = "auto",
     .metavar = "auto|cpu|cuda",
     .help = "What computes, with a help text that is long enough that it has to be wrapped over "
             "more than one line of the terminal."},
    {.name = "data", FIELD(LIST, data), .metavar = "FILE", .help = "A prepared data set."},
    {.name = "api-key", FIELD(TEXT, api_key), .metavar = "KEY", .help = "Key of the provider."},
};

static const syn_command command = {
    .name = "train",
    .summary = "train the policy",
    .positional = "FILE",
    .details = "Trains with PPO until the steps are used up, which takes ten minutes on two cores "
               "unless told otherwise.\n\n  syncog train --data a.h5 --out runs/first\n",
    .options = table,
    .option_count = sizeof table / sizeof *table,
};

static config got;
static syn_text_list files;
static bool done;

/* The arguments end with NULL. */
static syn_status parse(const char *first, ...)
{
    char *argv[80] = {"train"};
    int argc = 1;
    va_list ap;
    va_start(ap, first);
    for (const char *a = first; a; a = va_arg(ap, const char *)) argv[argc++] = (char *)a;
    va_end(ap);
    memset(&got, 0xAB, sizeof got);
    return syn_options_parse(&command, &got, argc, argv, &files, &done);
}

static void expect_sentence(syn_status st, syn_status code, const char *words)
{
    assert_int_equal(st, code);
    if (!strstr(syn_error_text(), words)) {
        fail_msg("the sentence \"%s\" does not say \"%s\"", syn_error_text(), words);
    }
    assert_null(strchr(syn_error_text(), '\n'));
}

#define USAGE(words, ...) expect_sentence(parse(__VA_ARGS__, NULL), SYN_ERR_USAGE, words)

static char config_path[64];

static void config_write(const char *text)
{
    FILE *f = fopen(config_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

#define FILE_SAYS(words, text)                                                                     \
    do {                                                                                           \
        config_write(text);                                                                        \
        expect_sentence(parse("--config", config_path, NULL), SYN_ERR_FORMAT, words);              \
    } while (0)

/* What the call prints on stdout. */
static char printed[16384];

static syn_status parse_printed(const char *flag)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    fflush(stdout);
    int old = dup(STDOUT_FILENO);
    dup2(fileno(f), STDOUT_FILENO);
    syn_status st = parse(flag, NULL);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    close(old);
    rewind(f);
    printed[fread(printed, 1, sizeof printed - 1, f)] = 0;
    fclose(f);
    return st;
}

static int set_up(void **state)
{
    strcpy(config_path, "/tmp/syncog-options-XXXXXX");
    int fd = mkstemp(config_path);
    if (fd < 0) return -1;
    close(fd);
    unsetenv("SYNCOG_ENV_STEPS");
    unsetenv("SYNCOG_LR_ACTOR");
    unsetenv("LEARNING_RATE");
    unsetenv("SYNCOG_DATA");
    unsetenv("SYNCOG_RESUME");
    unsetenv("SYNCOG_CONFIG");
    unsetenv("SYNCOG_API_KEY");
    return 0;
}

static int tear_down(void **state)
{
    unlink(config_path);
    return 0;
}

/* ---- values ---- */

static void defaults_hold_when_nothing_is_said(void **state)
{
    assert_ok(parse(NULL));
    assert_int_equal(got.env_steps, 4000000);
    assert_int_equal(got.seed, 0);
    assert_true(got.lr_actor == 3e-4);
    assert_false(got.resume);
    assert_true(got.shuffle);
    assert_null(got.out);
    assert_string_equal(got.device, "auto");
    assert_int_equal(got.data.count, 0);
    assert_int_equal(files.count, 0);
    assert_false(done);
}

static void flags_take_both_forms(void **state)
{
    assert_ok(parse("--env-steps=5", "--seed", "-3", "--lr_actor", "0.5", "--resume",
                    "--no-shuffle", "--out=a=b", "--device", "cpu", "--data", "x", "file",
                    "--data=y,z", "--", "--w", NULL));
    assert_int_equal(got.env_steps, 5);
    assert_int_equal(got.seed, -3);
    assert_true(got.lr_actor == 0.5);
    assert_true(got.resume);
    assert_false(got.shuffle);
    assert_string_equal(got.out, "a=b");
    assert_string_equal(got.device, "cpu");
    assert_int_equal(got.data.count, 2);
    assert_string_equal(got.data.items[1], "y,z");
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[0], "file");
    assert_string_equal(files.items[1], "--w");
}

static void the_last_of_equal_flags_wins(void **state)
{
    assert_ok(parse("--seed", "1", "--seed", "2", "--resume", "--no-resume", NULL));
    assert_int_equal(got.seed, 2);
    assert_false(got.resume);
}

static void whole_numbers_may_be_written_with_an_exponent(void **state)
{
    assert_ok(parse("--env-steps", "2.5e6", "--seed", "9223372036854775807", NULL));
    assert_int_equal(got.env_steps, 2500000);
    assert_true(got.seed == INT64_MAX);
    USAGE("--env-steps: '2.5' is not a whole number", "--env-steps", "2.5");
    USAGE("--seed: 9223372036854775808 does not fit", "--seed", "9223372036854775808");
}

/* ---- mistakes ---- */

static void a_mistake_is_named(void **state)
{
    USAGE("unknown option --env-stesp; did you mean --env-steps?", "--env-stesp", "5");
    USAGE("did you mean --env-steps?", "--env");
    USAGE("unknown option --zzzzzz; 'syncog train --help' lists", "--zzzzzz");
    USAGE("unknown option -x", "-x");
    USAGE("--out needs a value (DIR)", "--out");
    USAGE("--out needs a value (DIR)", "--out", "--resume");
    USAGE("--env-steps: 'many' is not a number", "--env-steps", "many");
    USAGE("--env-steps: '5x' is not a number", "--env-steps", "5x");
    USAGE("--env-steps: '' is not a number", "--env-steps=");
    USAGE("--env-steps: 0 is out of range, allowed are 1 to 1000000000000", "--env-steps", "0");
    USAGE("--lr-actor: nan is not finite", "--lr-actor", "nan");
    USAGE("--lr-actor: 2 is out of range", "--lr-actor", "2");
    USAGE("--device: 'cdua' is not one of auto|cpu|cuda; did you mean cuda?", "--device", "cdua");
    USAGE("--device: 'auto|cpu' is not one of", "--device", "auto|cpu");
    USAGE("--resume: 'maybe' is neither true nor false", "--resume=maybe");
    USAGE("unknown option --no-seed", "--no-seed");
}

static void too_many_values_are_refused(void **state)
{
    char *argv[SYN_TEXT_LIST_MAX + 2] = {"train"};
    for (int i = 1; i < SYN_TEXT_LIST_MAX + 2; i++) argv[i] = "file";
    expect_sentence(syn_options_parse(&command, &got, SYN_TEXT_LIST_MAX + 2, argv, &files, &done),
                    SYN_ERR_USAGE, "more than 64 values");
    syn_command plain = command;
    plain.positional = NULL;
    expect_sentence(syn_options_parse(&plain, &got, 2, argv, NULL, &done), SYN_ERR_USAGE,
                    "unexpected argument 'file'");
}

static void a_secret_is_not_repeated(void **state)
{
    USAGE("unknown option --api-kay", "--api-kay=sk-123");
    assert_null(strstr(syn_error_text(), "sk-123"));
}

/* ---- precedence ---- */

static void flag_beats_environment_beats_file_beats_default(void **state)
{
    config_write(
        "{\"env_steps\": 10, \"lr_actor\": 0.1, \"data\": [\"a\", \"b\"], \"resume\": true,"
        " \"out\": null}");
    assert_ok(parse("--config", config_path, NULL));
    assert_int_equal(got.env_steps, 10);
    assert_true(got.lr_actor == 0.1);
    assert_int_equal(got.data.count, 2);
    assert_true(got.resume);
    assert_null(got.out);

    setenv("SYNCOG_ENV_STEPS", "20", 1);
    setenv("LEARNING_RATE", "0.2", 1);
    setenv("SYNCOG_DATA", "c,,d,e", 1);
    setenv("SYNCOG_RESUME", "no", 1);
    assert_ok(parse("--config", config_path, NULL));
    assert_int_equal(got.env_steps, 20);
    assert_true(got.lr_actor == 0.2);
    assert_int_equal(got.data.count, 3);
    assert_string_equal(got.data.items[2], "e");
    assert_false(got.resume);

    setenv("SYNCOG_LR_ACTOR", "0.3", 1); /* our own name before the other */
    assert_ok(parse("--config", config_path, "--env-steps=30", "--data", "f", "--resume", NULL));
    assert_int_equal(got.env_steps, 30);
    assert_true(got.lr_actor == 0.3);
    assert_int_equal(got.data.count, 1);
    assert_string_equal(got.data.items[0], "f");
    assert_true(got.resume);

    setenv("SYNCOG_ENV_STEPS", "none", 1);
    USAGE("SYNCOG_ENV_STEPS: 'none' is not a number", "--resume");
}

static void the_file_may_come_from_the_environment(void **state)
{
    config_write("{\"seed\": 77}");
    setenv("SYNCOG_CONFIG", config_path, 1);
    assert_ok(parse(NULL));
    assert_int_equal(got.seed, 77);
}

static void a_wrong_file_is_one_sentence(void **state)
{
    expect_sentence(parse("--config", "/nowhere/x.json", NULL), SYN_ERR_IO,
                    "/nowhere/x.json: No such file");
    expect_sentence(parse("--config", "/tmp", NULL), SYN_ERR_IO, "/tmp: Is a directory");
    FILE_SAYS("unknown key env_stesp; did you mean env_steps?", "{\"env_stesp\": 1}");
    FILE_SAYS("unknown key help", "{\"help\": true}");
    FILE_SAYS(":2:", "{\n \"seed\": }");
    FILE_SAYS("must hold one JSON object", "[1]");
    FILE_SAYS("seed: must be a number", "{\"seed\": \"1\"}");
    FILE_SAYS("seed: '1.5' is not a whole number", "{\"seed\": 1.5}");
    FILE_SAYS("resume: must be true or false", "{\"resume\": 1}");
    FILE_SAYS("data: element 1 must be a text", "{\"data\": [\"a\", 2]}");
    FILE_SAYS("device: 'gpu' is not one of", "{\"device\": \"gpu\"}");
    FILE_SAYS("env_steps: 0 is out of range", "{\"env_steps\": 0}");
    FILE_SAYS("duplicate", "{\"seed\": 1, \"seed\": 2}");
    char *big = calloc(1, (1 << 20) + 2);
    memset(big, ' ', (1 << 20) + 1);
    FILE_SAYS("larger than the 1048576 bytes", big);
    free(big);
}

/* ---- answers ---- */

/* Wrapping may fall anywhere: runs of white space become one blank. */
static const char *unwrapped(void)
{
    static char text[sizeof printed];
    size_t n = 0;
    for (const char *c = printed; *c; c++) {
        bool blank = *c == ' ' || *c == '\n';
        if (!blank) text[n++] = *c;
        if (blank && n > 0 && text[n - 1] != ' ') text[n++] = ' ';
    }
    text[n] = 0;
    return text;
}

static void help_teaches(void **state)
{
    static const char *const facts[] = {
        "Usage: syncog train [OPTIONS] FILE",
        "(default 4e6; 1 to 1000000000000)",
        "--device auto|cpu|cuda",
        "--[no-]shuffle Shuffle the records. (default on)",
        "(default 3e-4; ",
        "also LEARNING_RATE)",
        "(may be repeated)",
        "SYNCOG_ENV_STEPS",
    };
    assert_ok(parse_printed("--help"));
    assert_true(done);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (!strstr(unwrapped(), facts[i])) fail_msg("--help does not say \"%s\"", facts[i]);
    }
    assert_non_null(strstr(printed, "\n  syncog train --data a.h5 --out runs/first\n"));
    for (const char *line = printed; *line; line += strcspn(line, "\n") + 1) {
        assert_in_range(strcspn(line, "\n"), 0, 90);
    }
    assert_ok(parse("--resume", "--nonsense", "-h", NULL)); /* help wins over a mistake */
    assert_true(done);
}

static void the_printed_config_reads_back(void **state)
{
    setenv("SYNCOG_ENV_STEPS", "123", 1);
    setenv("SYNCOG_LR_ACTOR", "0.1", 1);
    setenv("SYNCOG_DATA", "a\"b,c\\d", 1);
    assert_ok(parse_printed("--print-config"));
    assert_true(done);
    unsetenv("SYNCOG_ENV_STEPS");
    unsetenv("SYNCOG_LR_ACTOR");
    unsetenv("SYNCOG_DATA");
    config_write(printed);
    assert_ok(parse("--config", config_path, NULL));
    assert_int_equal(got.env_steps, 123);
    assert_true(got.lr_actor == 0.1);
    assert_string_equal(got.data.items[0], "a\"b");
    assert_string_equal(got.data.items[1], "c\\d");
    assert_null(got.out);
}

static void secrets_are_not_printed(void **state)
{
    setenv("SYNCOG_API_KEY", "sk-123", 1);
    assert_ok(parse_printed("--print-config"));
    assert_null(strstr(printed, "sk-123"));
    assert_non_null(strstr(printed, "\"api_key\": \"(hidden)\""));
    assert_ok(parse(NULL));
    assert_string_equal(got.api_key, "sk-123");
}

static void the_nearest_word_is_near(void **state)
{
    const char *words[] = {"train", "pretrain", "eval"};
    assert_string_equal(syn_suggest("tarin", words, 3), "train");
    assert_string_equal(syn_suggest("prerain", words, 3), "pretrain");
    assert_string_equal(syn_suggest("evaluate", words, 3) ? "?" : "none", "none");
    assert_null(syn_suggest("x", words, 3));
    assert_null(syn_suggest("", words, 3));
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_null(syn_suggest(longest, words, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_hold_when_nothing_is_said),
        TEST(flags_take_both_forms),
        TEST(the_last_of_equal_flags_wins),
        TEST(whole_numbers_may_be_written_with_an_exponent),
        TEST(a_mistake_is_named),
        TEST(too_many_values_are_refused),
        TEST(a_secret_is_not_repeated),
        TEST(flag_beats_environment_beats_file_beats_default),
        TEST(the_file_may_come_from_the_environment),
        TEST(a_wrong_file_is_one_sentence),
        TEST(help_teaches),
        TEST(the_printed_config_reads_back),
        TEST(secrets_are_not_printed),
        TEST(the_nearest_word_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
