/* How a run ends before its last step: nothing gets better, somebody asks it to, a number is not
 * finite, the disk is full. What was saved before stays, and a run goes on from it. */
#include "tests/trainer/commands.h"

#include <signal.h>
#include <sys/prctl.h>

#include "kernels/base/progress.h"

#define SMALL                                                                                      \
    "train --data train.h5 --batch-size 128 --mini-batch-size 64 --horizon 8 --epochs 1 "          \
    "--eval-episodes 16 --eval-interval 1 --num-agents-range 2-4 --threads 1 "

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("train.h5", 40, 1);
    untrained_write("init", "train.h5", true, false);
    return 0;
}

static int64_t version_of(const char *store, const char *which)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open_version(path_of(store), which, &cp));
    assert_false(syn_checkpoint_is_fallback(cp));
    const int64_t version = syn_checkpoint_version(cp);
    syn_checkpoint_close(cp);
    return version;
}

static bool latest_config_has(const char *store, const char *words)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open_version(path_of(store), "latest", &cp));
    const bool has = strstr(syn_checkpoint_config(cp), words) != NULL;
    syn_checkpoint_close(cp);
    return has;
}

/* ---- Nothing gets better ---- */

static void a_run_ends_when_its_patience_does(void **state)
{
    /* Steps this small change no decision: the first evaluation stays the best. */
    assert_works(SMALL "--init init --out early --env-steps 9999 --patience 2 --lr-actor 1e-9 "
                       "--lr-critic 1e-9");
    assert_non_null(strstr(said, "trained 384 env-steps"));
    assert_non_null(strstr(said, "stopped early"));
    assert_works(SMALL "--out early --env-steps 9999 --patience 2 --resume --lr-actor 1e-9 "
                       "--lr-critic 1e-9");
    assert_non_null(strstr(said, "trained 0 env-steps"));
    assert_works(SMALL "--out early --env-steps 9999 --patience 4 --resume --lr-actor 1e-9 "
                       "--lr-critic 1e-9");
    assert_non_null(strstr(said, "trained 256 env-steps"));
    assert_true(latest_config_has("early", "\"init\":\"init\"")); /* --resume was not told */
}

/* ---- Somebody asks ---- */

static pid_t train_start(const char *name, const char *env_steps, const char *more)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child) return child;
    char line[1024];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(line, sizeof line, "exec '%s' " SMALL "--init init --out %s --env-steps %s %s",
             SYN_PROGRAM, name, env_steps, more);
    if (chdir(test_folder) != 0 || !freopen("said", "w", stdout) ||
        !freopen("complained", "w", stderr)) {
        _exit(9);
    }
    execl("/bin/sh", "sh", "-c", line, NULL);
    _exit(9);
}

static int64_t size_of(const char *file)
{
    struct stat status;
    return stat(path_of(file), &status) == 0 ? (int64_t)status.st_size : 0;
}

/* Until the file is larger than it was. */
static void wait_for(const char *file, int64_t before)
{
    const double begun = syn_clock_s();
    while (size_of(file) <= before) {
        if (syn_clock_s() - begun > 120) fail_msg("%s did not grow for two minutes", file);
        usleep(2000);
    }
}

static void a_signal_saves_and_the_run_goes_on_to_the_bit(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};
    char whole[HASH_TEXT], hash[HASH_TEXT];
    int stopped = 0;
    for (int k = 0; k < 2; k++) {
        int status = 0;
        const int64_t before = size_of("asked/metrics.jsonl");
        pid_t child = train_start("asked", "2048", k ? "--resume" : "");
        wait_for("asked/metrics.jsonl", before);
        kill(child, signals[k]);
        waitpid(child, &status, 0);
        slurp("complained", complained);
        if (WIFEXITED(status) && !WEXITSTATUS(status)) continue; /* it was faster */
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 128 + signals[k])
            fail_msg("status %x: %s", (unsigned)status, complained);
        assert_non_null(strstr(complained, k ? "stopped by SIGINT" : "stopped by SIGTERM"));
        assert_non_null(strstr(complained, "asked is saved: the same command with --resume"));
        slurp("said", said);
        assert_int_equal(line_count(said), 0);
        stopped++;
    }
    assert_true(stopped > 0);
    assert_works(SMALL "--out asked --env-steps 2048 --resume");
    assert_works(SMALL "--init init --out unasked --env-steps 2048");
    assert_string_equal(content_of("asked/latest", hash), content_of("unasked/latest", whole));
    assert_int_equal(assert_same_metrics("unasked", "asked"), 16);
}

/* ---- A number is not finite ---- */

/* The latest version of store folder/NAME, with a critic whose values leave the range of float. */
static void poison(const char *name)
{
    syn_ctx ctx;
    syn_model m;
    syn_checkpoint *cp = NULL;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_checkpoint_open_version(path_of(name), "latest", &cp));
    assert_ok(syn_model_read(&ctx, cp, &m));
    for (int k = 0; k < SYN_CRITIC_HIDDEN; k++) {
        const real side = k % 2 ? 1 : -1;
        syn_value(&m.control.params, SYN_C_CRITIC_OUT)[k] = side * 3e38f;
        syn_value(&m.control.params, SYN_C_CRITIC_B)[k] = side * 9;
    }
    char *config = syn_model_config(cp);
    const syn_save_facts facts = {.config_json = config,
                                  .provenance_json = syn_checkpoint_provenance(cp)};
    assert_ok(syn_model_save(path_of(name), &m, true, &facts, NULL));
    free(config);
    syn_checkpoint_close(cp);
    syn_model_free(&ctx, &m);
    syn_ctx_free(&ctx);
}

static void a_number_that_is_not_finite_reaches_no_file(void **state)
{
    char before[HASH_TEXT], after[HASH_TEXT];
    assert_works(SMALL "--init init --out sound --env-steps 128");
    poison("sound");
    const int64_t version = version_of("sound", "latest");
    content_of("sound/best", before);
    assert_int_equal(syncog(SMALL "--out sound --env-steps 256 --resume"), 1);
    assert_non_null(strstr(complained, "syncog: update 2: the value of environment 0 at turn 0"));
    assert_non_null(strstr(complained, "is not finite; nothing was updated"));
    assert_int_equal(version_of("sound", "latest"), version);
    assert_string_equal(content_of("sound", after), before);
    assert_works("checkpoint verify sound");
}

/* Nor does a run that is to replace another one, and comes to nothing, take anything away. */
static void a_run_without_a_line_replaces_nothing(void **state)
{
    char before[HASH_TEXT], after[HASH_TEXT];
    size_t bytes;
    assert_works(SMALL "--init init --out earlier --env-steps 256");
    assert_works(SMALL "--init init --out spoilt --env-steps 128");
    content_of("earlier/latest", before);
    poison("spoilt");
    assert_int_equal(syncog(SMALL "--init spoilt/latest --out earlier --overwrite --env-steps 256"),
                     1);
    assert_non_null(strstr(complained, "update 1: the value of environment 0"));
    char *text = file_read(path_of("earlier/metrics.jsonl"), &bytes);
    assert_int_equal(line_count(text), 2);
    free(text);
    assert_string_equal(content_of("earlier/latest", after), before);
    assert_works(SMALL "--out earlier --resume --env-steps 384");
}

/* ---- The disk is full ---- */

static void a_save_that_fails_ends_the_run_and_keeps_what_was(void **state)
{
    char hash[2][HASH_TEXT];
    assert_works(SMALL "--init init --out full --env-steps 128");
    content_of("full/latest", hash[0]);
    const int64_t version = version_of("full", "latest");
    const int code = syncog("--version >/dev/null; ulimit -f 2000; '%s' " SMALL
                            "--out full --env-steps 512 --checkpoint-interval 1 --resume",
                            SYN_PROGRAM);
    assert_int_equal(code, 1);
    assert_non_null(strstr(complained, "not saved: File too large"));
    assert_int_equal(version_of("full", "latest"), version);
    assert_string_equal(content_of("full/latest", hash[1]), hash[0]);
    assert_works(SMALL "--out full --env-steps 512 --resume");
    assert_non_null(strstr(said, "trained 384 env-steps"));
}

/* ---- Saves ---- */

/* Without an interval of updates and without evaluations, the clock alone saves before the end. */
static void the_clock_saves_too(void **state)
{
    assert_works(SMALL "--init init --out unclocked --env-steps 512 --checkpoint-interval 0 "
                       "--eval-interval 99 --auto-save-interval 0");
    assert_int_equal(version_of("unclocked", "latest"), 1); /* the last, which is the best */
    const pid_t child = train_start("clocked", "100000000",
                                    "--checkpoint-interval 0 --eval-interval 9999999 "
                                    "--auto-save-interval 1");
    wait_for("clocked/latest/manifest.json", 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_works("checkpoint verify clocked");
}

static void no_more_versions_are_kept_than_asked_for(void **state)
{
    assert_works(SMALL "--init init --out few --env-steps 1024 --checkpoint-interval 1 "
                       "--max-versions 3");
    assert_int_equal(version_of("few", "latest"), 8);
    assert_in_range(folder_count(path_of("few/versions")), 2, 4);
    assert_works("checkpoint verify few");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_when_its_patience_does),
        cmocka_unit_test(a_signal_saves_and_the_run_goes_on_to_the_bit),
        cmocka_unit_test(a_number_that_is_not_finite_reaches_no_file),
        cmocka_unit_test(a_run_without_a_line_replaces_nothing),
        cmocka_unit_test(a_save_that_fails_ends_the_run_and_keeps_what_was),
        cmocka_unit_test(the_clock_saves_too),
        cmocka_unit_test(no_more_versions_are_kept_than_asked_for),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
