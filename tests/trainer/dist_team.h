/* Ranks that are plain processes of the test program itself, which calls worker_main. */
#ifndef SYN_TESTS_TRAINER_DIST_TEAM_H
#define SYN_TESTS_TRAINER_DIST_TEAM_H

#include "tests/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trainer/dist_worker.h"

enum { TEAM_MAX = 8, TEXT_MAX = 4096, LIMIT_S = 60, SHORT_S = 2 };

static const char *const launcher_variables[] = {
    "SYNCOG_RANK",
    "SYNCOG_RANKS",
    "SYNCOG_LOCAL_RANK",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "PMI_RANK",
    "PMI_SIZE",
    "PMIX_RANK",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_LOCALID",
    "SLURM_JOB_ID",
};

static inline void no_launcher(void)
{
    for (size_t i = 0; i < sizeof launcher_variables / sizeof *launcher_variables; i++) {
        unsetenv(launcher_variables[i]);
    }
}

static inline int remove_one(const char *path, const struct stat *s, int type, struct FTW *walk)
{
    return remove(path);
}

typedef struct team {
    char folder[64], meet[128];
    pid_t pid[TEAM_MAX];
    int ranks, code[TEAM_MAX];
    double began;
    char text[TEAM_MAX][TEXT_MAX]; /* what each printed */
} team;

static inline int set_up(void **state)
{
    team *t = calloc(1, sizeof *t);
    snprintf(t->folder, sizeof t->folder, "/tmp/syncog-dist-XXXXXX");
    if (!mkdtemp(t->folder)) return -1;
    snprintf(t->meet, sizeof t->meet, "file:%s/meet", t->folder);
    *state = t;
    no_launcher();
    return 0;
}

static inline int tear_down(void **state)
{
    team *t = *state;
    nftw(t->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(t);
    no_launcher();
    return 0;
}

static inline void start_as(team *t, int slot, const char *rank_name, int rank,
                            const char *size_name, int size, const char *name, int timeout_s,
                            const char *who, const char *seconds)
{
    char text[32], path[256];
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) {
        t->pid[slot] = pid;
        if (slot >= t->ranks) t->ranks = slot + 1;
        return;
    }
    snprintf(path, sizeof path, "%s/out%d", t->folder, slot);
    const int out = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(out, 1);
    dup2(out, 2);
    snprintf(text, sizeof text, "%d", rank);
    setenv(rank_name, text, 1);
    snprintf(text, sizeof text, "%d", size);
    setenv(size_name, text, 1);
    snprintf(text, sizeof text, "%d", timeout_s);
    execl("/proc/self/exe", "ranks", "worker", name, "auto", t->meet, text, who, seconds, t->folder,
          (char *)NULL);
    _exit(127);
}

static inline void start(team *t, int rank, int size, const char *name, int timeout_s,
                         const char *who, const char *seconds)
{
    start_as(t, rank, "SYNCOG_RANK", rank, "SYNCOG_RANKS", size, name, timeout_s, who, seconds);
}

static inline void start_all(team *t, int size, const char *name, int timeout_s, const char *who,
                             const char *seconds)
{
    t->began = syn_clock_s();
    for (int r = 0; r < size; r++) start(t, r, size, name, timeout_s, who, seconds);
}

/* Waits for all but `except`; exit codes, or 1000 + signal. */
static inline void finish(team *t, int except)
{
    for (int r = 0; r < t->ranks; r++) {
        int status = 0;
        const double deadline = syn_clock_s() + LIMIT_S;
        if (r == except || !t->pid[r]) continue;
        while (waitpid(t->pid[r], &status, WNOHANG) == 0) {
            if (syn_clock_s() > deadline) kill(t->pid[r], SIGKILL);
            usleep(5000);
        }
        t->code[r] = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    for (int r = 0; r < t->ranks; r++) {
        char path[256];
        snprintf(path, sizeof path, "%s/out%d", t->folder, r);
        FILE *f = fopen(path, "r");
        memset(t->text[r], 0, TEXT_MAX);
        if (f) (void)!fread(t->text[r], 1, TEXT_MAX - 1, f);
        if (f) fclose(f);
        unlink(path);
    }
}

static inline void finish_well(team *t)
{
    finish(t, -1);
    for (int r = 0; r < t->ranks; r++) {
        if (t->code[r]) fail_msg("rank %d: exit %d: %s", r, t->code[r], t->text[r]);
    }
}

static inline void expect_sentence(const team *t, int rank, const char *words)
{
    if (t->code[rank] != 1 || !strstr(t->text[rank], words)) {
        fail_msg("rank %d: exit %d, expected 1 and \"%s\"; it printed: %s", rank, t->code[rank],
                 words, t->text[rank]);
    }
}

/* Until every rank has opened. */
static inline void await_open(const team *t, int size)
{
    const double deadline = syn_clock_s() + LIMIT_S;
    for (int r = 0; r < size; r++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%d", t->folder, r);
        while (access(path, F_OK) != 0) {
            if (syn_clock_s() > deadline) fail_msg("rank %d does not open", r);
            usleep(5000);
        }
    }
}

#define TEAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
