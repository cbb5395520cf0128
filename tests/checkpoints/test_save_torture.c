/* Every call of a save that changes the disk fails in its turn: the disk is full or broken, a write
 * is short, the process is killed. What was saved before stays loadable, a save that was reported
 * is there, and the next save clears what is left. */
#include <errno.h>

#include "tests/checkpoints/steps.h"
#include "tests/torture_world.h"

static char self[512]; /* this program, which saves one step where its arguments say so */
static char store[300];

static int begin(void **state)
{
    if (folder_setup(state) != 0) return -1;
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(store, sizeof store, "%s/store", test_folder);
    if (n <= 0 || !torture_begin(test_folder)) return -1;
    assert_ok(save_step_as(path_of("model"), 1, true, 10));
    assert_ok(save_step_as(path_of("model"), 2, false, 10));
    return 0;
}

static int save(const char *step, const char *what)
{
    return finish(start_program(self, (const char *const[]){"save", "store", step, NULL}), what);
}

/* Steps 1, which is the best, and 2. */
static void store_make(void)
{
    char command[700];
    snprintf(command, sizeof command, "cd '%s' && rm -rf store && cp -a model store", test_folder);
    disarm();
    assert_int_equal(system(command), 0);
}

/* Versions with what is left beside them. */
static int entries(void)
{
    char path[320];
    snprintf(path, sizeof path, "%s/versions", store);
    return folder_count(path);
}

static void assert_what_was_stays(const char *what)
{
    if (step_of(store, "1") != 1 || step_of(store, "2") != 2)
        fail_msg("%s: an older version does not load: %s", what, syn_error_text());
}

/* One save of step 3 with a fault; false: it has fewer calls. */
static bool hurt(torture_fault fault, int error, long at, bool forever)
{
    char what[128];
    store_make();
    name_point(what, "save", TORTURE_DISK, fault, at, forever);
    arm(TORTURE_DISK, fault, error, at, forever);
    const int code = save("3", what);
    const bool reached = page->failed > 0;
    disarm();
    assert_what_was_stays(what);
    const int step = step_of(store, "latest");
    if (code == 0 && step != 3) fail_msg("%s: it was reported and is not there", what);
    if (fault == TORTURE_SHORT && code != 0) fail_msg("%s: %s", what, output);
    if (step != 2 && step != 3) fail_msg("%s: the latest is %d", what, step);
    if (fault == TORTURE_ERROR && !forever && code == 1 && step == 2 && entries() != 2)
        fail_msg("%s: %d entries are left of a save that failed", what, entries());
    assert_int_equal(save("4", what), 0);
    assert_what_was_stays(what);
    /* A version that no link leads to is whole, too. */
    const int third = step_of(store, "3") == 3, best = step_of(store, "best");
    if (step_of(store, "latest") != 4 || (best != 1 && (best != 3 || !third)))
        fail_msg("%s: then there are %s", what, versions_of(store));
    if (entries() != 3 + third)
        fail_msg("%s: %d entries are left after the next save", what, entries());
    return reached;
}

static void every_call_of_a_save_may_fail(void **state)
{
    skip_where_nothing_is_preloaded();
    static const struct {
        torture_fault fault;
        int error;
        bool forever;
        long least; /* calls */
    } faults[] = {{TORTURE_ERROR, ENOSPC, false, 15},
                  {TORTURE_ERROR, EIO, true, 15},
                  {TORTURE_SHORT, 0, false, 2},
                  {TORTURE_KILL, 0, false, 15}};
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
        long at = 0;
        while (hurt(faults[k].fault, faults[k].error, at, faults[k].forever)) at++;
        if (at < faults[k].least) fail_msg("a save that %s: %ld calls", torture_faults[k], at);
    }
}

/* Even where every write takes half of what is left. */
static void short_writes_make_a_whole_save(void **state)
{
    skip_where_nothing_is_preloaded();
    (void)hurt(TORTURE_SHORT, 0, 0, true);
    assert_int_equal(step_of(store, "3"), 3);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "save") == 0) {
        const syn_status st = save_step_as(argv[2], atoi(argv[3]), atoi(argv[3]) == 3, 10);
        if (st != SYN_OK) fprintf(stderr, "%s\n", syn_error_text());
        return st != SYN_OK;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_a_save_may_fail),
        cmocka_unit_test(short_writes_make_a_whole_save),
    };
    return cmocka_run_group_tests(tests, begin, folder_teardown);
}
