/* Saving under attack: killed at any moment, without space, without permission, twice at once. The
 * version before must stay loadable, and nothing half-written may stay. */
#include "tests/checkpoints/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kernels/base/progress.h"

enum { KILLS = 100 };

/* ---- calls that fail when they are told to ---- */

/* The disk is full at the calls_left-th call from here on; 0: never. */
static int calls_left;
static bool is_full;

static bool fails(bool needs_space)
{
    const bool here = calls_left > 0 && --calls_left == 0;
    if (here) is_full = true;
    if (!here && !(is_full && needs_space)) return false;
    errno = ENOSPC;
    return true;
}

static void disk_fills_at(int call)
{
    calls_left = call;
    is_full = false;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (fd > 2 && fails(true)) return -1;
    return syscall(SYS_write, fd, data, bytes);
}
int mkdir(const char *path, mode_t mode)
{
    return fails(true) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
int symlinkat(const char *target, int fd, const char *path)
{
    return fails(true) ? -1 : (int)syscall(SYS_symlinkat, target, fd, path);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return fails(false) ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}
int fsync(int fd)
{
    return fails(false) ? -1 : (int)syscall(SYS_fsync, fd);
}

/* ---- kill ---- */

/* A child that saves for ever and reports every step that was saved. */
typedef struct writer {
    pid_t child;
    int reports;
} writer;

static writer writer_start(const char *dir, int step, int keep)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    writer w = {fork(), ends[0]};
    assert_true(w.child >= 0);
    if (w.child == 0) {
        close(ends[0]);
        while (save_step_as(dir, step, false, keep) == SYN_OK &&
               write(ends[1], &step, sizeof step) > 0)
            step++;
        _exit(3);
    }
    close(ends[1]);
    return w;
}

static int writer_report(const writer *w, int otherwise)
{
    int step = otherwise;
    return read(w->reports, &step, sizeof step) == sizeof step ? step : otherwise;
}

/* Returns the last step that the child reported, at least `last`. */
static int writer_kill(const writer *w, int last)
{
    int status = 0;
    kill(w->child, SIGKILL);
    waitpid(w->child, &status, 0);
    assert_true(WIFSIGNALED(status)); /* it was saving, not failing */
    for (int step; (step = writer_report(w, -1)) >= 0;) last = step;
    close(w->reports);
    return last;
}

/* A version is there whole or not at all, whether a link leads to it or not. */
static void assert_all_load(const char *dir)
{
    char number[24];
    syn_store store;
    assert_ok(syn_store_open(dir, &store, NULL));
    for (int i = 0; i < store.count; i++) {
        snprintf(number, sizeof number, "%lld", (long long)store.versions[i].number);
        assert_true(step_of(dir, number) >= 0);
    }
    syn_store_free(&store);
}

static void a_kill_at_any_moment_leaves_a_version(void **state)
{
    const char *dir = test_folder;
    int last = -1;
    for (int i = 0; i < KILLS; i++) {
        writer w = writer_start(dir, last + 1, 2);
        double began = syn_clock_s();
        last = writer_report(&w, last);
        /* At a point of the next save that differs each time, somewhat past its end at most. */
        double share = fmod(i * 0.6180339887, 1.0), save_s = syn_clock_s() - began;
        usleep((useconds_t)(1.2e6 * share * (save_s < 0.1 ? save_s : 0.1)));
        last = writer_kill(&w, last);
        int step = step_of(dir, NULL);
        assert_in_range(step, last, last + 1); /* a reported save is never lost */
        assert_all_load(dir);
        last = step;
    }
    assert_true(last >= KILLS - 1);
    assert_ok(save_step(dir, last + 1)); /* clears what the kills left */
    assert_int_equal(folder_count(path_of("versions")), 2);
    assert_int_equal(folder_count(dir), 2);
}

/* Steps 1 to n as a store in which 1 is the best. */
static void store_make(int n)
{
    for (int step = 1; step <= n; step++) {
        assert_ok(save_step_as(test_folder, step, step == 1, 10));
    }
}

/* ---- no space, no permission ---- */

static void a_full_disk_at_any_call_leaves_what_was(void **state)
{
    int failures = 0;
    disk_fills_at(4);
    assert_int_equal(save_step(path_of("new"), 1), SYN_ERR_IO);
    disk_fills_at(0);
    assert_int_equal(folder_count(path_of("new")), 0);
    rmdir(path_of("new"));
    store_make(2);
    for (;;) {
        disk_fills_at(failures + 1);
        syn_status st = save_step_as(test_folder, 3, true, 10);
        disk_fills_at(0);
        if (st == SYN_OK) break;
        failures++;
        assert_int_equal(st, SYN_ERR_IO);
        assert_non_null(strstr(syn_error_text(), "No space left on device"));
        assert_int_equal(step_of(test_folder, "1"), 1);
        assert_int_equal(step_of(test_folder, "2"), 2);
        /* When the last sync fails, everything is in place but not certain to stay. */
        if (step_of(test_folder, "latest") == 3) break;
        assert_string_equal(versions_of(test_folder), "1* 2+");
        assert_int_equal(folder_count(path_of("versions")), 2);
        assert_int_equal(folder_count(test_folder), 3);
    }
    assert_string_equal(versions_of(test_folder), "1 2 3*+");
    assert_in_range(failures, 12, 40);
    assert_ok(save_step(test_folder, 4));
}

static void a_file_size_limit_leaves_the_version_before(void **state)
{
    struct rlimit old, tight;
    store_make(2);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (rlim_t limit = 0; limit < 60000; limit += 20000) {
        tight = (struct rlimit){limit, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        syn_status st = save_step(test_folder, 3);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(st, SYN_ERR_IO);
        assert_non_null(strstr(syn_error_text(), "not saved: File too large"));
        assert_string_equal(versions_of(test_folder), "1* 2+");
        assert_int_equal(folder_count(path_of("versions")), 2);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void a_real_full_disk_leaves_the_version_before(void **state)
{
    const char *dir = test_folder;
    if (mount("none", dir, "tmpfs", 0, "size=500k") != 0) skip(); /* needs the right to mount */
    syn_status st = SYN_OK;
    int saved = 0;
    while (saved < 20 && (st = save_step(dir, saved + 1)) == SYN_OK) {
        char name[32];
        snprintf(name, sizeof name, "ballast-%d", ++saved);
        int fd = open(path_of(name), O_CREAT | O_WRONLY, 0600);
        for (int k = 0; k < 4; k++) {
            if (write(fd, step_values, 4096) != 4096) break;
        }
        close(fd);
    }
    char text[1024];
    snprintf(text, sizeof text, "%s", syn_error_text());
    int step = step_of(dir, NULL), files = folder_count(path_of("versions"));
    umount(dir);
    assert_int_equal(st, SYN_ERR_IO);
    assert_non_null(strstr(text, "No space left on device"));
    assert_true(saved >= 1);
    assert_int_equal(step, saved);
    assert_int_equal(files, saved > 1 ? 2 : 1);
}

static void a_folder_without_permission_is_one_sentence(void **state)
{
    text_write("file", "");
    assert_int_equal(save_step(path_of("file/under"), 1), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "Not a directory"));
    assert_int_equal(save_step("/proc/syncog/checkpoint", 1), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "/proc/syncog"));
    if (geteuid() == 0) return; /* root may write everywhere */
    chmod(test_folder, 0500);
    syn_status st = save_step(test_folder, 1);
    chmod(test_folder, 0700);
    assert_int_equal(st, SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "Permission denied"));
}

static void a_second_writer_is_refused(void **state)
{
    const char *dir = test_folder;
    assert_ok(save_step(dir, 1));
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(save_step(dir, 2), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "another process is saving"));
    assert_int_equal(step_of(dir, NULL), 1); /* readers do not wait */
    close(fd);
    assert_ok(save_step(dir, 2));
}

/* The writer keeps one version: what the reader is about to open is often gone. */
static void a_reader_beside_a_writer_always_loads(void **state)
{
    enum { LOADS = 300 };
    const char *dir = test_folder;
    assert_ok(save_step(dir, 0));
    writer w = writer_start(dir, 1, 1);
    int failures = 0, last = 0, reported = writer_report(&w, 0);
    for (int i = 0; i < LOADS; i++) {
        int step = step_of(dir, NULL);
        failures += step < last;
        last = step;
    }
    assert_true(writer_kill(&w, reported) > 0);
    assert_int_equal(failures, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    setenv("LOG_LEVEL", "error", 1);
    const struct CMUnitTest tests[] = {
        TEST(a_kill_at_any_moment_leaves_a_version),
        TEST(a_full_disk_at_any_call_leaves_what_was),
        TEST(a_file_size_limit_leaves_the_version_before),
        TEST(a_real_full_disk_leaves_the_version_before),
        TEST(a_folder_without_permission_is_one_sentence),
        TEST(a_second_writer_is_refused),
        TEST(a_reader_beside_a_writer_always_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
