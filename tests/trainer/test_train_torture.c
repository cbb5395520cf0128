/* A run that goes on meets a full or broken disk, short writes or a kill at one call after another:
 * whatever becomes of it, what was saved before is sound, and the run that goes on afterwards ends
 * in the bits of one that nothing has hurt. */
#include <errno.h>

#include "tests/torture_world.h"
#include "tests/trainer/commands.h"

enum { STEPS_BEFORE = 64, STEPS = 128 };

/* The first update of two, which all runs go on from; and the whole. */
static char steps_text[16];

static int train(const char *out, int steps, bool resume, const char *what)
{
    snprintf(steps_text, sizeof steps_text, "%d", steps);
    return finish(start((const char *const[]){"train",    "--data",
                                              "train.h5", "--init",
                                              "init",     "--out",
                                              out,        "--env-steps",
                                              steps_text, "--schedule-steps",
                                              "128",      "--batch-size",
                                              "64",       "--mini-batch-size",
                                              "32",       "--horizon",
                                              "8",        "--epochs",
                                              "1",        "--eval-episodes",
                                              "4",        "--eval-interval",
                                              "1",        "--checkpoint-interval",
                                              "1",        "--max-versions",
                                              "3",        "--threads",
                                              "1",        resume ? "--resume" : NULL,
                                              NULL}),
                  what);
}

static int begin(void **state)
{
    if (folder_setup(state) || !torture_begin(test_folder)) return -1;
    if (!*SYN_TORTURE) return 0;
    cache_write("train.h5", 20, 1);
    untrained_write("init", "train.h5", true, false);
    return train("whole", STEPS, false, "the whole run") ||
           train("base", STEPS_BEFORE, false, "the first update");
}

/* Versions never change: a link to their files will do. */
static void copy_base(void)
{
    char command[700];
    snprintf(command, sizeof command,
             "cd '%s' && rm -rf run && cp -al base run && for f in $(find base -type f -not -path "
             "'*/versions/*' -printf '%%P '); do cp --remove-destination base/$f run/$f; done",
             test_folder);
    assert_int_equal(system(command), 0);
}

static bool ended_as_the_whole(const char *which)
{
    char a[HASH_TEXT], b[HASH_TEXT], name[2][32];
    snprintf(name[0], sizeof name[0], "whole%s", which);
    snprintf(name[1], sizeof name[1], "run%s", which);
    return strcmp(content_of(name[0], a), content_of(name[1], b)) == 0;
}

static void hurt(torture_fault fault, int error, long at, bool forever)
{
    char what[128];
    copy_base();
    name_point(what, "train --resume", TORTURE_DISK, fault, at, forever);
    arm(TORTURE_DISK, fault, error, at, forever);
    const int code = train("run", STEPS, true, what);
    disarm();
    if (fault == TORTURE_SHORT && code != 0) fail_msg("%s: %s", what, output);
    assert_int_equal(
        finish(start((const char *const[]){"checkpoint", "verify", "run", "--all", NULL}), what),
        0);
    if (code != 0 && train("run", STEPS, true, what) != 0)
        fail_msg("%s: it does not go on: %s", what, output);
    if (!ended_as_the_whole("") || !ended_as_the_whole("/latest"))
        fail_msg("%s: it ends in other bits", what);
    assert_same_metrics("whole", "run");
}

/* As many calls as the run without a fault has. */
static long calls_of(torture_fault fault)
{
    copy_base();
    arm(TORTURE_DISK, fault, 0, -1, false);
    assert_int_equal(train("run", STEPS, true, "without a fault"), 0);
    const long calls = page->calls;
    disarm();
    assert_true(ended_as_the_whole("/latest"));
    return calls;
}

static void spread_over(torture_fault fault, int error, bool forever, int count)
{
    const long calls = calls_of(fault);
    assert_true(calls > 1);
    for (int k = 0; k < count; k++)
        hurt(fault, error, count > 1 ? (calls - 1) * k / (count - 1) : 0, forever);
}

/* All kinds of faults share the points: each costs four programs. */
static int share(void)
{
    return points > 5 ? points / 5 : 1;
}

static void a_full_disk_ends_a_run_that_goes_on_later(void **state)
{
    skip_where_nothing_is_preloaded();
    spread_over(TORTURE_ERROR, ENOSPC, false, share());
    spread_over(TORTURE_ERROR, ENOSPC, true, share());
}

static void a_broken_disk_ends_a_run_that_goes_on_later(void **state)
{
    skip_where_nothing_is_preloaded();
    spread_over(TORTURE_ERROR, EIO, true, share());
}

static void a_run_goes_on_after_a_kill_within_a_call(void **state)
{
    skip_where_nothing_is_preloaded();
    spread_over(TORTURE_KILL, 0, false, share());
}

static void short_writes_are_gone_on_with(void **state)
{
    skip_where_nothing_is_preloaded();
    spread_over(TORTURE_SHORT, 0, false, share() - 1 > 0 ? share() - 1 : 1);
    hurt(TORTURE_SHORT, 0, 0, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_ends_a_run_that_goes_on_later),
        cmocka_unit_test(a_broken_disk_ends_a_run_that_goes_on_later),
        cmocka_unit_test(a_run_goes_on_after_a_kill_within_a_call),
        cmocka_unit_test(short_writes_are_gone_on_with),
    };
    return cmocka_run_group_tests(tests, begin, folder_teardown);
}
