/* kill -9 at any moment of runs that save after every update: every version that stands there is
 * whole, no update that was saved is lost, and the run that goes on ends in the bits of one that
 * nobody killed. SYNCOG_KILLS=100 kills so often (10 otherwise). */
#include "tests/trainer/commands.h"

#include <signal.h>
#include <sys/prctl.h>

#include "kernels/base/progress.h"
#include "kernels/base/rng.h"

enum { STEPS = 320, UPDATE = 64, KILLS = 10, KILLS_MAX = 100000 };

static struct {
    int kills, saving, early, ended; /* kills; within a save; before the first; runs that ended */
} seen;

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("train.h5", 40, 1);
    untrained_write("init", "train.h5", true, false);
    return 0;
}

static pid_t train_start(const char *out, bool resume)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(test_folder) != 0 || !freopen("said", "w", stdout) ||
        !freopen("complained", "w", stderr)) {
        _exit(9);
    }
    execl(SYN_PROGRAM, SYN_PROGRAM, "train", "--data", "train.h5", "--init", "init", "--out", out,
          "--env-steps", "320", "--batch-size", "64", "--mini-batch-size", "32", "--horizon", "8",
          "--epochs", "1", "--eval-episodes", "8", "--eval-interval", "1", "--checkpoint-interval",
          "1", "--max-versions", "3", "--threads", "1", resume ? "--resume" : NULL, NULL);
    _exit(9);
}

/* Returns whether it was killed; a run that ends by itself ends well. */
static bool train_killed(pid_t child, double after_s)
{
    int status = 0;
    const double begun = syn_clock_s();
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (syn_clock_s() - begun >= after_s) kill(child, SIGKILL);
        usleep(200);
    }
    if (WIFSIGNALED(status)) return true;
    if (WEXITSTATUS(status)) {
        slurp("complained", complained);
        fail_msg("it failed before it was killed: %s", complained);
    }
    return false;
}

/* What a save writes beside the versions until it is in place, or hides before it removes it. */
static bool was_saving(const char *out)
{
    static const char *const places[] = {"", "/versions"};
    bool hidden = false;
    for (int k = 0; k < 2; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", out, places[k]);
        DIR *d = opendir(path_of(name));
        for (const struct dirent *e; d && (e = readdir(d));)
            hidden |= e->d_name[0] == '.' && strlen(e->d_name) > 2;
        if (d) closedir(d);
    }
    return hidden;
}

/* Steps of the last whole line of the run's metrics. */
static int64_t steps_logged(const char *out)
{
    char name[64];
    size_t bytes;
    int64_t steps = 0;
    snprintf(name, sizeof name, "%s/metrics.jsonl", out);
    if (access(path_of(name), F_OK) != 0) return 0;
    char *text = file_read(path_of(name), &bytes), *at = text, *line;
    while ((line = strsep(&at, "\n")) && at) {
        json_t *j = json_loads(line, 0, NULL);
        assert_non_null(j);
        steps = json_integer_value(json_object_get(j, "env_steps"));
        json_decref(j);
    }
    free(text);
    return steps;
}

static int64_t steps_saved(const char *out)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open_version(path_of(out), "latest", &cp));
    assert_false(syn_checkpoint_is_fallback(cp));
    json_t *metrics = json_loads(syn_checkpoint_metrics(cp), 0, NULL);
    const int64_t steps = (int64_t)json_number_value(json_object_get(metrics, "env_steps"));
    json_decref(metrics);
    syn_checkpoint_close(cp);
    return steps;
}

/* After a kill. Returns whether there is something to go on from. */
static bool assert_sound(const char *out, int64_t saved_before)
{
    const bool exists = syn_checkpoint_exists(path_of(out));
    const int64_t logged = steps_logged(out);
    seen.kills++;
    seen.saving += was_saving(out);
    seen.early += !exists;
    if (!exists) {
        assert_true(logged <= UPDATE && !saved_before); /* killed within its first update or save */
        return false;
    }
    assert_works("checkpoint verify %s --all", out);
    const int64_t saved = steps_saved(out);
    if (saved < saved_before || saved < logged - UPDATE)
        fail_msg("%s: %lld steps are saved, before the kill it were %lld, and %lld are logged", out,
                 (long long)saved, (long long)saved_before, (long long)logged);
    return true;
}

static void assert_ended_as(const char *whole, const char *out)
{
    static const char *const which[] = {"", "/latest"};
    char a[HASH_TEXT], b[HASH_TEXT], name[2][64];
    for (int k = 0; k < 2; k++) {
        snprintf(name[0], sizeof name[0], "%s%s", whole, which[k]);
        snprintf(name[1], sizeof name[1], "%s%s", out, which[k]);
        assert_string_equal(content_of(name[1], b), content_of(name[0], a));
    }
    assert_int_equal(assert_same_metrics(whole, out), STEPS / UPDATE);
    seen.ended++;
}

static void a_run_outlives_kills_at_any_moment(void **state)
{
    const char *asked = getenv("SYNCOG_KILLS");
    const int kills = asked ? atoi(asked) : KILLS;
    assert_in_range(kills, 1, KILLS_MAX);
    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    int status = 0;
    double begun = syn_clock_s();
    waitpid(train_start("whole", false), &status, 0);
    assert_int_equal(status, 0);
    const double longest = syn_clock_s() - begun;
    for (int run = 0; seen.kills < kills || !seen.ended; run++) {
        char out[32];
        int64_t saved = 0;
        snprintf(out, sizeof out, "run%d", run);
        for (;;) { /* once there have been enough, the run is left alone */
            const double after_s = longest * (double)syn_rng_uniform(&rng);
            if (!train_killed(train_start(out, saved > 0), seen.kills < kills ? after_s : HUGE_VAL))
                break;
            if (assert_sound(out, saved)) saved = steps_saved(out);
        }
        assert_ended_as("whole", out);
        nftw(path_of(out), folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    print_message("%d kills within %.2f s each: %d while a save was written, %d before the first; "
                  "%d runs of %d updates ended in the same bits\n",
                  seen.kills, longest, seen.saving, seen.early, seen.ended, STEPS / UPDATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_outlives_kills_at_any_moment),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
