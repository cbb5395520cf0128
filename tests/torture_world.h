/* Programs whose calls fail (tests/torture.h): one call after another, once or from then on.
 * SYN_TEST_TORTURE sets how many calls of each scenario and kind fail (25). */
#ifndef SYN_TESTS_TORTURE_WORLD_H
#define SYN_TESTS_TORTURE_WORLD_H

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/torture.h"

/* The library; none where a sanitizer has its place. */
#ifndef SYN_TORTURE
#    define SYN_TORTURE ""
#endif

enum { HANG_S = 30, OUTPUT_MAX = 1 << 16, ARGUMENTS_MAX = 48 };

static char torture_folder[256]; /* where programs run, and where the page lies */
static torture_page *page;
static int points = 25;
static char output[OUTPUT_MAX]; /* of the program that has ended */

static const char *const torture_kinds[TORTURE_KINDS] = {"memory",  "write", "read",
                                                         "network", "sync",  "disk"};
static const char *const torture_faults[TORTURE_FAULTS] = {"fails", "is short", "kills"};

static inline void disarm(void)
{
    page->kind = -1;
    page->until = -1;
}

/* The fault after `until` calls of the kind; until -1: none, the calls are counted. */
static inline void arm(torture_kind kind, torture_fault fault, int error, long until, bool forever)
{
    disarm();
    page->calls = page->failed = 0;
    page->fault = (int)fault;
    page->error = error;
    page->forever = forever;
    page->until = until;
    page->kind = (int)kind;
}

static inline bool torture_begin(const char *folder)
{
    char path[300];
    const char *asked = getenv("SYN_TEST_TORTURE");
    if (asked) points = atoi(asked) > 1 ? atoi(asked) : 2;
    signal(SIGPIPE, SIG_IGN);
    snprintf(torture_folder, sizeof torture_folder, "%s", folder);
    snprintf(path, sizeof path, "%s/page", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *page) != 0) return false;
    page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) return false;
    disarm();
    return true;
}

static inline void skip_where_nothing_is_preloaded(void)
{
    if (!*SYN_TORTURE) skip();
}

/* Starts a program in the folder with the library; its output goes to `output` there. */
static inline pid_t start_program(const char *program, const char *const *arguments)
{
    char page_path[300], output_path[300];
    const char *argv[ARGUMENTS_MAX] = {program};
    int n = 1;
    for (; arguments[n - 1] && n < ARGUMENTS_MAX - 1; n++) argv[n] = arguments[n - 1];
    argv[n] = NULL;
    snprintf(page_path, sizeof page_path, "SYN_TORTURE_FILE=%s/page", torture_folder);
    char *const environment[] = {"PATH=/usr/bin:/bin",
                                 *SYN_TORTURE ? "LD_PRELOAD=" SYN_TORTURE : "A=",
                                 "OMP_NUM_THREADS=1",
                                 "OMP_WAIT_POLICY=passive",
                                 "ENVIRONMENT=development",
                                 "RATE_LIMIT_PER_MINUTE=60000",
                                 "RATE_LIMIT_BURST=60000",
                                 page_path,
                                 NULL};
    snprintf(output_path, sizeof output_path, "%s/output", torture_folder);
    int fd = open(output_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pid_t child = fork();
    if (child == 0) {
        if (chdir(torture_folder) != 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(99);
        execve(program, (char *const *)argv, environment);
        _exit(99);
    }
    close(fd);
    assert_true(child > 0);
    return child;
}

static inline pid_t start(const char *const *arguments)
{
    return start_program(SYN_PROGRAM, arguments);
}

static inline void read_output(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/output", torture_folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    output[fread(output, 1, sizeof output - 1, f)] = 0;
    fclose(f);
}

static inline const char *output_end(void)
{
    size_t n = strlen(output);
    return output + (n > 2000 ? n - 2000 : 0);
}

/* Waits for its end; returns the exit code, -1 where the armed fault has killed it. Another signal
 * or a hang fails the test. */
static inline int finish(pid_t child, const char *what)
{
    int status = 0;
    for (int k = 0; k < HANG_S * 1000; k++) {
        if (waitpid(child, &status, WNOHANG) == child) break;
        usleep(1000);
        if (k == HANG_S * 1000 - 1) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            read_output();
            fail_msg("%s: hangs: %s", what, output);
        }
    }
    read_output();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && page->fault == TORTURE_KILL &&
        page->failed > 0)
        return -1;
    if (WIFSIGNALED(status)) fail_msg("%s: signal %d: %s", what, WTERMSIG(status), output);
    int code = WEXITSTATUS(status);
    if (code != 0 && code != 1) fail_msg("%s: exit code %d: %s", what, code, output);
    if (code == 1 && !*output) fail_msg("%s: it failed without a sentence", what);
    return code;
}

static inline void name_point(char out[128], const char *scenario, torture_kind kind,
                              torture_fault fault, long at, bool forever)
{
    snprintf(out, 128, "%s, %s call %ld %s%s", scenario, torture_kinds[kind], at,
             torture_faults[fault], forever ? ", and all after it" : "");
}

/* Runs `once` with no fault to count the calls, then with faults at `points` of them, every other
 * of which stays. */
static inline void spread(const char *scenario, int kind_count, void (*once)(const char *what))
{
    char what[128];
    for (int kind = 0; kind < kind_count; kind++) {
        arm((torture_kind)kind, TORTURE_ERROR, 0, -1, false);
        once("without a fault");
        const long calls = page->calls;
        long last[2] = {-1, -1};
        for (int k = 0; k < points && calls > 0; k++) {
            const bool forever = k % 2;
            const long at = (calls - 1) * k / (points - 1);
            if (at == last[forever]) continue;
            last[forever] = at;
            arm((torture_kind)kind, TORTURE_ERROR, 0, at, forever);
            name_point(what, scenario, (torture_kind)kind, TORTURE_ERROR, at, forever);
            once(what);
        }
    }
    disarm();
}

#endif
