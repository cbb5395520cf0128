/* Saving under attack: killed at any moment, without space, without permission, twice at once. The
 * version before must stay loadable, and nothing half-written may stay. */
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "kernels/base/progress.h"

enum { VALUES = 20000, KILLS = 30 };

static float values[VALUES];

static syn_status save_step(const char *dir, int step)
{
    char config[64];
    for (int i = 0; i < VALUES; i++) values[i] = (float)step + (float)i;
    syn_tensor t = {"w", 1, {VALUES}, SYN_TENSOR_F32, values};
    snprintf(config, sizeof config, "{\"step\":%d}", step);
    return syn_checkpoint_save(dir, &t, 1, config, NULL);
}

/* The step of the loadable version, whose tensor must be that step's; -1 when none loads. */
static int step_loaded(const char *dir)
{
    syn_checkpoint *cp = NULL;
    static float loaded[VALUES];
    syn_tensor t = {"w", 1, {VALUES}, SYN_TENSOR_F32, loaded};
    int step = -1;
    if (syn_checkpoint_open(dir, &cp) != SYN_OK) return -1;
    assert_ok(syn_checkpoint_read(cp, &t));
    assert_int_equal(sscanf(syn_checkpoint_config(cp), "{\"step\":%d}", &step), 1);
    for (int i = 0; i < VALUES; i++) assert_true(loaded[i] == (float)step + (float)i);
    syn_checkpoint_close(cp);
    return step;
}

static int count_files(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void remove_files(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static int set_up(void **state)
{
    char *dir = strdup("/tmp/syncog-save-XXXXXX");
    *state = dir;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    remove_files(*state);
    free(*state);
    return 0;
}

/* ---- kill ---- */

/* A child that saves for ever and reports every step that was saved. */
typedef struct writer {
    pid_t child;
    int reports;
} writer;

static writer writer_start(const char *dir, int step)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    writer w = {fork(), ends[0]};
    assert_true(w.child >= 0);
    if (w.child == 0) {
        close(ends[0]);
        while (save_step(dir, step) == SYN_OK && write(ends[1], &step, sizeof step) > 0) step++;
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

static void a_kill_at_any_moment_leaves_a_version(void **state)
{
    const char *dir = *state;
    int last = -1;
    for (int i = 0; i < KILLS; i++) {
        writer w = writer_start(dir, last + 1);
        double began = syn_clock_s();
        last = writer_report(&w, last);
        /* At a point of the next save that differs each time, somewhat past its end at most. */
        double share = fmod(i * 0.6180339887, 1.0), save_s = syn_clock_s() - began;
        usleep((useconds_t)(1.2e6 * share * (save_s < 0.5 ? save_s : 0.5)));
        last = writer_kill(&w, last);
        int step = step_loaded(dir);
        assert_in_range(step, last, last + 1); /* a reported save is never lost */
        last = step;
    }
    assert_true(last >= KILLS - 1);
    assert_ok(save_step(dir, last + 1)); /* clears what the kills left */
    assert_int_equal(count_files(dir), 4);
}

/* ---- no space, no permission ---- */

static void a_file_size_limit_leaves_the_version_before(void **state)
{
    const char *dir = *state;
    struct rlimit old, tight;
    assert_ok(save_step(dir, 1));
    assert_ok(save_step(dir, 2));
    int files = count_files(dir);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (rlim_t limit = 0; limit < 60000; limit += 20000) {
        tight = (struct rlimit){limit, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        syn_status st = save_step(dir, 3);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(st, SYN_ERR_IO);
        assert_non_null(strstr(syn_error_text(), "not saved: File too large"));
        assert_int_equal(count_files(dir), files);
        assert_int_equal(step_loaded(dir), 2);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void a_full_disk_leaves_the_version_before(void **state)
{
    const char *dir = *state;
    if (mount("none", dir, "tmpfs", 0, "size=320k") != 0) skip(); /* needs the right to mount */
    syn_status st = SYN_OK;
    int saved = 0;
    while (saved < 20 && (st = save_step(dir, saved + 1)) == SYN_OK) {
        saved++;
        char path[128];
        snprintf(path, sizeof path, "%s/ballast-%d", dir, saved);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        for (int k = 0; k < 4; k++) {
            if (write(fd, values, 4096) != 4096) break;
        }
        close(fd);
    }
    char text[1024];
    snprintf(text, sizeof text, "%s", syn_error_text());
    int step = step_loaded(dir), files = count_files(dir);
    umount(dir);
    assert_int_equal(st, SYN_ERR_IO);
    assert_non_null(strstr(text, "No space left on device"));
    assert_true(saved >= 1);
    assert_int_equal(step, saved);
    assert_int_equal(files,
                     saved + (saved > 1 ? 4 : 2)); /* the ballast and the versions, no more */
}

static void a_folder_without_permission_is_one_sentence(void **state)
{
    const char *dir = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/file", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    strcat(path, "/under");
    assert_int_equal(save_step(path, 1), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "Not a directory"));
    assert_int_equal(save_step("/proc/syncog/checkpoint", 1), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "/proc/syncog"));
    if (geteuid() == 0) return; /* root may write everywhere */
    chmod(dir, 0500);
    syn_status st = save_step(dir, 1);
    chmod(dir, 0700);
    assert_int_equal(st, SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "Permission denied"));
}

static void a_second_writer_is_refused(void **state)
{
    const char *dir = *state;
    assert_ok(save_step(dir, 1));
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(save_step(dir, 2), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "another process is saving"));
    assert_int_equal(step_loaded(dir), 1); /* readers do not wait */
    close(fd);
    assert_ok(save_step(dir, 2));
}

static void a_reader_beside_a_writer_always_loads(void **state)
{
    const char *dir = *state;
    assert_ok(save_step(dir, 0));
    writer w = writer_start(dir, 1);
    int failures = 0, last = 0, reported = writer_report(&w, 0);
    for (int i = 0; i < 100; i++) {
        int step = step_loaded(dir);
        failures += step < last;
        last = step;
    }
    assert_true(writer_kill(&w, reported) > 0);
    assert_int_equal(failures, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    setenv("LOG_LEVEL", "error", 1);
    const struct CMUnitTest tests[] = {
        TEST(a_kill_at_any_moment_leaves_a_version),
        TEST(a_file_size_limit_leaves_the_version_before),
        TEST(a_full_disk_leaves_the_version_before),
        TEST(a_folder_without_permission_is_one_sentence),
        TEST(a_second_writer_is_refused),
        TEST(a_reader_beside_a_writer_always_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
