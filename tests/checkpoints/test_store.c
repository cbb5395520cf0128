/* What a store promises: versions are numbered and stay as they were saved, the links lead to the
 * latest and the best, a damaged one is stood in for, the oldest go first. */
#include "tests/checkpoints/steps.h"

static void damage(const char *weights)
{
    assert_int_equal(truncate(path_of(weights), 1000), 0);
}

static void save_steps(int first, int last)
{
    for (int step = first; step <= last; step++) {
        assert_ok(save_step_as(test_folder, step, false, 0));
    }
}

static const char *link_of(const char *name)
{
    static char target[64];
    ssize_t n = readlink(path_of(name), target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    return target;
}

/* ---- versions and links ---- */

static void every_save_is_a_version(void **state)
{
    save_steps(1, 3);
    assert_string_equal(versions_of(test_folder), "1 2 3+");
    assert_string_equal(link_of("latest"), "versions/000003");
    for (int step = 1; step <= 3; step++) {
        char number[8];
        snprintf(number, sizeof number, "%d", step);
        assert_int_equal(step_of(test_folder, number), step);
    }
    assert_int_equal(step_of(test_folder, "latest"), 3);
    assert_int_equal(step_of(test_folder, NULL), 3);
}

static void the_best_is_what_opens(void **state)
{
    assert_ok(save_step_as(test_folder, 1, true, 0));
    save_steps(2, 4);
    assert_string_equal(versions_of(test_folder), "1* 2 3 4+");
    assert_string_equal(link_of("best"), "versions/000001");
    assert_int_equal(step_of(test_folder, NULL), 1);
    assert_int_equal(step_of(test_folder, "best"), 1);
    assert_int_equal(step_of(test_folder, "latest"), 4);
    assert_ok(save_step_as(test_folder, 5, true, 0));
    assert_string_equal(versions_of(test_folder), "1 2 3 4 5*+");
}

static void the_number_is_told(void **state)
{
    float x = 1;
    const syn_tensor t = {"x", 1, {1}, SYN_TENSOR_F32, &x};
    int64_t version = 0;
    for (int i = 1; i <= 3; i++) {
        assert_ok(syn_checkpoint_save(test_folder, &t, 1, NULL, &version));
        assert_int_equal(version, i);
    }
}

static void one_versions_folder_will_do(void **state)
{
    save_steps(1, 2);
    assert_int_equal(step_of(path_of("versions/000001"), NULL), 1);
    assert_int_equal(step_of(path_of("latest"), NULL), 2);
    assert_int_equal(step_of(path_of("latest"), "latest"), 2);
    assert_int_equal(step_of(path_of("latest"), "2"), 2);
    assert_int_equal(step_of(path_of("latest"), "1"), -1);
    assert_int_equal(save_step(path_of("latest"), 3), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), "one version of a checkpoint, not a store"));
    assert_string_equal(versions_of(test_folder), "1 2+");
}

static void what_is_no_version_is_one_sentence(void **state)
{
    static const char *const wrong[][2] = {{"7", "there is no version 7; the oldest is 1"},
                                           {"best", "no version has been marked as the best"},
                                           {"0", "'0' is not a version"},
                                           {"-1", "'-1' is not a version"},
                                           {"1x", "'1x' is not a version"},
                                           {"", "'' is not a version"},
                                           {"99999999999999999999", "is not a version"},
                                           {"../1", "'../1' is not a version"}};
    syn_checkpoint *cp;
    save_steps(1, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_fails(syn_checkpoint_open_version(test_folder, wrong[i][0], &cp), SYN_ERR_INVALID,
                     wrong[i][1]);
        assert_null(cp);
    }
}

static void other_names_are_no_versions(void **state)
{
    save_steps(1, 1);
    assert_int_equal(mkdir(path_of("versions/7"), 0700), 0);
    assert_int_equal(mkdir(path_of("versions/0000008"), 0700), 0);
    assert_int_equal(mkdir(path_of("versions/notes"), 0700), 0);
    text_write("notes.txt", "mine");
    assert_string_equal(versions_of(test_folder), "1+");
    save_steps(2, 2);
    assert_string_equal(versions_of(test_folder), "1 2+");
    assert_int_equal(access(path_of("notes.txt"), F_OK), 0);
    assert_int_equal(access(path_of("versions/notes"), F_OK), 0);
}

static void a_link_to_elsewhere_is_not_followed(void **state)
{
    save_steps(1, 2);
    unlink(path_of("best"));
    assert_int_equal(symlink("/etc", path_of("best")), 0);
    unlink(path_of("latest"));
    assert_int_equal(symlink("../x/versions/000001", path_of("latest")), 0);
    assert_string_equal(versions_of(test_folder), "1 2+"); /* the newest, since nothing says */
    assert_int_equal(step_of(test_folder, NULL), 2);
    save_steps(3, 3);
    assert_string_equal(link_of("latest"), "versions/000003");
}

static void what_a_killed_save_left_goes(void **state)
{
    save_steps(1, 1);
    assert_int_equal(mkdir(path_of("versions/.000002.tmp"), 0700), 0);
    text_write("versions/.000002.tmp/weights.h5.tmp", "half");
    assert_int_equal(mkdir(path_of("versions/.000001.old"), 0700), 0);
    text_write("versions/.000001.old/weights.h5", "half");
    assert_int_equal(symlink("versions/000002", path_of(".latest.tmp")), 0);
    save_steps(2, 2);
    assert_int_equal(folder_count(path_of("versions")), 2);
    assert_int_equal(folder_count(test_folder), 2); /* versions and latest */
}

/* ---- damage ---- */

static void the_newest_older_version_stands_in(void **state)
{
    syn_checkpoint *cp = NULL;
    save_steps(1, 3);
    damage("versions/000003/weights.h5");
    damage("versions/000002/manifest.json");
    assert_ok(syn_checkpoint_open(test_folder, &cp));
    assert_true(syn_checkpoint_is_fallback(cp));
    assert_int_equal(syn_checkpoint_version(cp), 1);
    syn_checkpoint_close(cp);
    assert_int_equal(step_of(test_folder, "3"), -1); /* a number is that version or nothing */
    save_steps(4, 4);
    assert_ok(syn_checkpoint_open(test_folder, &cp));
    assert_false(syn_checkpoint_is_fallback(cp));
    syn_checkpoint_close(cp);
}

static void a_damaged_best_is_stood_in_for(void **state)
{
    save_steps(1, 2);
    assert_ok(save_step_as(test_folder, 3, true, 0));
    save_steps(4, 5);
    damage("versions/000003/weights.h5");
    assert_int_equal(step_of(test_folder, NULL), 2); /* an older one ... */
    damage("versions/000002/weights.h5");
    damage("versions/000001/weights.h5");
    assert_int_equal(step_of(test_folder, NULL), 5); /* ... or else the newest */
}

static void a_version_that_is_gone_is_stood_in_for(void **state)
{
    save_steps(1, 3);
    unlink(path_of("versions/000003/weights.h5"));
    assert_int_equal(step_of(test_folder, NULL), 2);
    unlink(path_of("versions/000003/manifest.json"));
    rmdir(path_of("versions/000003"));
    assert_int_equal(step_of(test_folder, NULL), 2);
    unlink(path_of("latest"));
    assert_int_equal(step_of(test_folder, NULL), 2);
    save_steps(4, 4);
    assert_string_equal(versions_of(test_folder), "1 2 3+");
}

static void a_number_in_use_is_not_given_again(void **state)
{
    save_steps(1, 3);
    unlink(path_of("versions/000003/weights.h5"));
    unlink(path_of("versions/000003/manifest.json"));
    rmdir(path_of("versions/000003"));
    save_steps(4, 4); /* `latest` still names 3 */
    assert_string_equal(versions_of(test_folder), "1 2 4+");
}

static void nothing_that_loads_is_the_first_fault(void **state)
{
    syn_checkpoint *cp;
    save_steps(1, 2);
    damage("versions/000001/weights.h5");
    damage("versions/000002/weights.h5");
    assert_fails(syn_checkpoint_open(test_folder, &cp), SYN_ERR_FORMAT,
                 "versions/000002/weights.h5: damaged: 1000 bytes");
    assert_true(syn_checkpoint_exists(test_folder));
}

static void a_version_is_not_taken_for_another(void **state)
{
    syn_checkpoint *cp;
    save_steps(1, 1);
    assert_int_equal(rename(path_of("versions/000001"), path_of("versions/000009")), 0);
    unlink(path_of("latest"));
    assert_fails(syn_checkpoint_open(test_folder, &cp), SYN_ERR_FORMAT,
                 "versions/000009: its manifest is that of version 1");
}

/* ---- pruning ---- */

static void the_oldest_go_first(void **state)
{
    for (int step = 1; step <= 9; step++) assert_ok(save_step_as(test_folder, step, false, 3));
    assert_string_equal(versions_of(test_folder), "7 8 9+");
    assert_int_equal(folder_count(path_of("versions")), 3);
}

static void a_hundred_stay_unless_told_otherwise(void **state)
{
    char path[32];
    save_steps(1, 1);
    for (int number = 2; number <= 104; number++) { /* empty ones count, too */
        snprintf(path, sizeof path, "versions/%06d", number);
        assert_int_equal(mkdir(path_of(path), 0700), 0);
    }
    save_steps(105, 105);
    assert_int_equal(folder_count(path_of("versions")), SYN_CHECKPOINT_VERSIONS_DEFAULT);
    assert_int_equal(strncmp(versions_of(test_folder), "1 7 8 9 ", 8), 0); /* 1 alone verifies */
    assert_int_equal(step_of(test_folder, NULL), 105);
}

static void the_best_never_goes(void **state)
{
    for (int step = 1; step <= 6; step++) assert_ok(save_step_as(test_folder, step, step == 2, 2));
    assert_string_equal(versions_of(test_folder), "2* 5 6+");
    assert_ok(save_step_as(test_folder, 7, false, 1));
    assert_string_equal(versions_of(test_folder), "2* 7+");
}

static void the_last_that_verifies_never_goes(void **state)
{
    save_steps(1, 2);
    damage("versions/000002/weights.h5");
    assert_ok(save_step_as(test_folder, 3, false, 2));
    assert_string_equal(versions_of(test_folder), "1 3+");
    damage("versions/000003/weights.h5");
    assert_int_equal(step_of(test_folder, NULL), 1);
    assert_ok(save_step_as(test_folder, 4, false, 2));
    assert_string_equal(versions_of(test_folder), "1 4+");
}

static void one_version_is_one_version(void **state)
{
    for (int step = 1; step <= 3; step++) assert_ok(save_step_as(test_folder, step, true, 1));
    assert_string_equal(versions_of(test_folder), "3*+");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

/* ---- one run in the place of another ---- */

static void a_place_is_told_before_the_work(void **state)
{
    bool holds = true;
    char path[96];
    snprintf(path, sizeof path, "%s/nowhere", test_folder);
    assert_ok(syn_checkpoint_place(path, &holds));
    assert_false(holds);
    assert_ok(syn_checkpoint_place(test_folder, &holds));
    assert_false(holds);
    save_steps(1, 2);
    assert_ok(syn_checkpoint_place(test_folder, &holds));
    assert_true(holds);
    snprintf(path, sizeof path, "%s/versions/000001", test_folder);
    assert_fails(syn_checkpoint_place(path, &holds), SYN_ERR_FORMAT,
                 "this folder is one version of a checkpoint, not a store");
    assert_int_equal(access(path_of("nowhere"), F_OK), -1);
}

static void only_the_latest_is_kept(void **state)
{
    assert_ok(save_step_as(test_folder, 1, true, 0));
    save_steps(2, 4);
    assert_ok(syn_checkpoint_keep_latest(test_folder));
    assert_string_equal(versions_of(test_folder), "4+");
    assert_string_equal(link_of("best"), "");
    assert_int_equal(step_of(test_folder, NULL), 4);
    assert_ok(save_step_as(test_folder, 5, true, 0));
    assert_ok(syn_checkpoint_keep_latest(test_folder));
    assert_string_equal(versions_of(test_folder), "5*+");
    assert_ok(syn_checkpoint_keep_latest(test_folder));
    assert_string_equal(versions_of(test_folder), "5*+");
}

static void a_version_with_a_file_of_somebody_else_stays(void **state)
{
    save_steps(1, 3);
    text_write("versions/000002/notes", "mine");
    text_write("notes", "mine");
    assert_ok(syn_checkpoint_keep_latest(test_folder));
    assert_string_equal(versions_of(test_folder), "2 3+");
    assert_int_equal(access(path_of("versions/000002/notes"), F_OK), 0);
    assert_int_equal(access(path_of("notes"), F_OK), 0);
    assert_int_equal(step_of(test_folder, "2"), 2);
}

static void nothing_is_removed_where_nothing_was_saved(void **state)
{
    syn_folder folder;
    assert_fails(syn_checkpoint_keep_latest(test_folder), SYN_ERR_IO, "no version has been saved");
    assert_fails(syn_checkpoint_keep_latest("/nowhere"), SYN_ERR_IO, "/nowhere: No such file");
    save_steps(1, 2);
    assert_ok(syn_folder_open(&folder, test_folder, false));
    assert_ok(syn_folder_lock(&folder));
    assert_fails(syn_checkpoint_keep_latest(test_folder), SYN_ERR_IO, "another process is saving");
    syn_folder_close(&folder);
    assert_string_equal(versions_of(test_folder), "1 2+");
}

int main(void)
{
    setenv("LOG_LEVEL", "error", 1); /* falling back is warned about, which is not under test */
    const struct CMUnitTest tests[] = {
        TEST(every_save_is_a_version),
        TEST(the_best_is_what_opens),
        TEST(the_number_is_told),
        TEST(one_versions_folder_will_do),
        TEST(what_is_no_version_is_one_sentence),
        TEST(other_names_are_no_versions),
        TEST(a_link_to_elsewhere_is_not_followed),
        TEST(what_a_killed_save_left_goes),
        TEST(the_newest_older_version_stands_in),
        TEST(a_damaged_best_is_stood_in_for),
        TEST(a_version_that_is_gone_is_stood_in_for),
        TEST(a_number_in_use_is_not_given_again),
        TEST(nothing_that_loads_is_the_first_fault),
        TEST(a_version_is_not_taken_for_another),
        TEST(the_oldest_go_first),
        TEST(a_hundred_stay_unless_told_otherwise),
        TEST(the_best_never_goes),
        TEST(the_last_that_verifies_never_goes),
        TEST(one_version_is_one_version),
        TEST(a_place_is_told_before_the_work),
        TEST(only_the_latest_is_kept),
        TEST(a_version_with_a_file_of_somebody_else_stays),
        TEST(nothing_is_removed_where_nothing_was_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
