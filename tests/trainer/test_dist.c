/* trainer/dist.h without MPI: alone, what it makes of launchers' variables, and ranks that are
 * plain processes of this very program. tests/test_ranks.sh runs the same cases under mpirun. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernels/tree_sum.h"
#include "tests/trainer/dist_worker.h"

enum { TEAM_MAX = 8, TEXT_MAX = 4096, LIMIT_S = 60, SHORT_S = 2 };

static const char *const launcher_variables[] = {
    "SYNCOG_RANK",
    "SYNCOG_RANKS",
    "SYNCOG_LOCAL_RANK",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "PMI_RANK",
    "PMI_SIZE",
    "PMIX_RANK",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_LOCALID",
    "SLURM_JOB_ID",
};

static void no_launcher(void)
{
    for (size_t i = 0; i < sizeof launcher_variables / sizeof *launcher_variables; i++) {
        unsetenv(launcher_variables[i]);
    }
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *walk)
{
    return remove(path);
}

/* ---- a team of processes ---- */

typedef struct team {
    char folder[64], meet[128];
    pid_t pid[TEAM_MAX];
    int ranks, code[TEAM_MAX];
    double began;
    char text[TEAM_MAX][TEXT_MAX]; /* what each printed */
} team;

static int set_up(void **state)
{
    team *t = calloc(1, sizeof *t);
    snprintf(t->folder, sizeof t->folder, "/tmp/syncog-dist-XXXXXX");
    if (!mkdtemp(t->folder)) return -1;
    snprintf(t->meet, sizeof t->meet, "file:%s/meet", t->folder);
    *state = t;
    no_launcher();
    return 0;
}

static int tear_down(void **state)
{
    team *t = *state;
    nftw(t->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(t);
    no_launcher();
    return 0;
}

static void start_as(team *t, int slot, const char *rank_name, int rank, const char *size_name,
                     int size, const char *name, int timeout_s, const char *who,
                     const char *seconds)
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
    execl("/proc/self/exe", "test_dist", "worker", name, "auto", t->meet, text, who, seconds,
          t->folder, (char *)NULL);
    _exit(127);
}

static void start(team *t, int rank, int size, const char *name, int timeout_s, const char *who,
                  const char *seconds)
{
    start_as(t, rank, "SYNCOG_RANK", rank, "SYNCOG_RANKS", size, name, timeout_s, who, seconds);
}

static void start_all(team *t, int size, const char *name, int timeout_s, const char *who,
                      const char *seconds)
{
    t->began = syn_clock_s();
    for (int r = 0; r < size; r++) start(t, r, size, name, timeout_s, who, seconds);
}

/* Waits for all but `except`; exit codes, or 1000 + signal. */
static void finish(team *t, int except)
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

static void finish_well(team *t)
{
    finish(t, -1);
    for (int r = 0; r < t->ranks; r++) {
        if (t->code[r]) fail_msg("rank %d: exit %d: %s", r, t->code[r], t->text[r]);
    }
}

static void expect_sentence(const team *t, int rank, const char *words)
{
    if (t->code[rank] != 1 || !strstr(t->text[rank], words)) {
        fail_msg("rank %d: exit %d, expected 1 and \"%s\"; it printed: %s", rank, t->code[rank],
                 words, t->text[rank]);
    }
}

/* Until every rank has opened. */
static void await_open(const team *t, int size)
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

/* ---- alone ---- */

static void test_alone_all_is_a_copy(void **state)
{
    syn_dist *d = NULL;
    float x[2] = {3, 4}, y[2] = {0};
    double z[1] = {5};
    assert_ok(syn_dist_open(NULL, &d));
    assert_int_equal(syn_dist_rank(d), 0);
    assert_int_equal(syn_dist_size(d), 1);
    assert_ok(syn_dist_sum_begin(d, x, 2));
    assert_ok(syn_dist_sum_wait(d));
    assert_ok(syn_dist_sum_f64(d, z, 1));
    assert_ok(syn_dist_max_f64(d, z, 1));
    assert_true(x[0] == 3 && x[1] == 4 && z[0] == 5);
    assert_ok(syn_dist_gather(d, x, sizeof x, y));
    assert_true(y[0] == 3 && y[1] == 4);
    assert_ok(syn_dist_scatter(d, x, sizeof x, y));
    assert_ok(syn_dist_broadcast(d, x, sizeof x));
    assert_ok(syn_dist_same(d, 9, "weights"));
    syn_dist_abort(d, "nothing");
    syn_dist_close(d);
    syn_dist_close(NULL);
    syn_dist_abort(NULL, "nothing");
    assert_int_equal(syn_dist_rank(NULL), 0);
    assert_int_equal(syn_dist_size(NULL), 1);
    assert_ok(syn_dist_sum_begin(NULL, x, 2));
    assert_ok(syn_dist_sum_wait(NULL));
}

/* ---- launchers ---- */

typedef struct launch_case {
    const char *set[5]; /* NAME=VALUE */
    const char *backend, *rendezvous;
    syn_status st;
    const char *words; /* of the sentence */
} launch_case;

static const launch_case launch_cases[] = {
    {{"SYNCOG_RANK=0"}, NULL, NULL, SYN_ERR_USAGE, "SYNCOG_RANKS is missing"},
    {{"SYNCOG_RANKS=2"}, NULL, NULL, SYN_ERR_USAGE, "SYNCOG_RANK is missing"},
    {{"SYNCOG_RANK=2", "SYNCOG_RANKS=2"}, NULL, NULL, SYN_ERR_USAGE, "a number from 0 to 1"},
    {{"SYNCOG_RANK=-1", "SYNCOG_RANKS=2"}, NULL, NULL, SYN_ERR_USAGE, "a number from 0 to 1"},
    {{"SYNCOG_RANK=0x", "SYNCOG_RANKS=2"}, NULL, NULL, SYN_ERR_USAGE, "\"0x\""},
    {{"SYNCOG_RANK=0", "SYNCOG_RANKS=99999"}, NULL, NULL, SYN_ERR_USAGE, "from 1 to 1024"},
    {{"SYNCOG_RANK=0", "SYNCOG_RANKS=2"}, NULL, NULL, SYN_ERR_USAGE, "need a rendezvous"},
    {{"SYNCOG_RANK=0", "SYNCOG_RANKS=2"}, "tcp", NULL, SYN_ERR_USAGE, "need a rendezvous"},
    {{"SYNCOG_RANK=0", "SYNCOG_RANKS=1"}, NULL, NULL, SYN_OK, NULL},
    {{"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=1"}, "mpi", NULL, SYN_OK, NULL},
    {{"OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=4"},
     "tcp",
     NULL,
     SYN_ERR_USAGE,
     "mpirun started 4 ranks without MPI"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=4"},
     NULL,
     NULL,
     SYN_ERR_USAGE,
     "srun started 4 ranks without MPI"},
    {{"SLURM_PROCID=0", "SLURM_STEP_NUM_TASKS=4"},
     "nccl",
     "file:/nowhere/x",
     SYN_ERR_UNSUPPORTED,
     "NCCL"},
    /* A batch script that has started no ranks is one process. */
    {{"SLURM_PROCID=0", "SLURM_NTASKS=4"}, NULL, NULL, SYN_OK, NULL},
    {{NULL}, "gloo", NULL, SYN_ERR_USAGE, "\"gloo\" carries no sums"},
    {{NULL}, NULL, "tcp://", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "tcp://host", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "tcp://host:", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "tcp://host:0", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "tcp://host:70000", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "tcp://:80", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "file:", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, NULL, "/tmp/x", SYN_ERR_USAGE, "no meeting place"},
    {{NULL}, "auto", "tcp://[::1]:80", SYN_OK, NULL},
};

static void test_launchers_are_understood(void **state)
{
    for (size_t i = 0; i < sizeof launch_cases / sizeof *launch_cases; i++) {
        const launch_case *c = &launch_cases[i];
        const syn_dist_config cfg = {.backend = c->backend, .rendezvous = c->rendezvous};
        syn_dist *d = NULL;
        no_launcher();
        for (int k = 0; k < 5 && c->set[k]; k++) {
            char name[64];
            const char *value = strchr(c->set[k], '=') + 1;
            snprintf(name, sizeof name, "%.*s", (int)(value - 1 - c->set[k]), c->set[k]);
            setenv(name, value, 1);
        }
        const syn_status st = syn_dist_open(&cfg, &d);
        if (st != c->st) fail_msg("case %zu gives %d: %s", i, st, syn_error_text());
        if (c->words && !strstr(syn_error_text(), c->words)) {
            fail_msg("case %zu says: %s", i, syn_error_text());
        }
        if (st == SYN_OK) assert_int_equal(syn_dist_size(d), 1);
        syn_dist_close(d);
    }
}

static void test_the_local_rank_is_the_launchers(void **state)
{
    no_launcher();
    assert_int_equal(syn_dist_local_rank(), 0);
    setenv("SLURM_PROCID", "9", 1);
    setenv("SLURM_NTASKS", "16", 1);
    setenv("SLURM_LOCALID", "3", 1);
    assert_int_equal(syn_dist_local_rank(), 3);
    setenv("OMPI_COMM_WORLD_RANK", "9", 1);
    setenv("OMPI_COMM_WORLD_SIZE", "16", 1);
    setenv("OMPI_COMM_WORLD_LOCAL_RANK", "1", 1);
    assert_int_equal(syn_dist_local_rank(), 1);
}

/* ---- what ranks compute ---- */

static void test_sums_have_the_bits_of_the_tree(void **state)
{
    team *t = *state;
    char first[TEXT_MAX];
    for (int size = 2; size <= 4; size++) {
        for (int run = 0; run < (size == 3 ? 2 : 1); run++) {
            start_all(t, size, "check", 30, "-1", "0");
            finish_well(t);
            assert_non_null(strstr(t->text[0], "sums "));
            if (run) assert_string_equal(t->text[0], first);
            memcpy(first, t->text[0], sizeof first);
        }
    }
}

static void test_the_tree_of_rows_is_that_of_ranks(void **state)
{
    enum { N = 70, ROWS_MAX = 33 };
    static float x[ROWS_MAX * N], kept[ROWS_MAX * N];
    syn_ctx ctx = {.threads = 2};
    for (int rows = 1; rows <= ROWS_MAX; rows++) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < N; i++) x[r * N + i] = worker_number(r, i);
        }
        memcpy(kept, x, sizeof x);
        assert_ok(syn_tree_sum(&ctx, x, rows, N));
        for (int i = 0; i < N; i++) {
            float column[ROWS_MAX];
            for (int r = 0; r < rows; r++) column[r] = kept[r * N + i];
            const float expected = worker_expected(column, rows);
            assert_memory_equal(&x[i], &expected, sizeof expected);
        }
        assert_memory_equal(x + N, kept + N, sizeof(float) * (size_t)(rows - 1) * N);
    }
    assert_int_equal(syn_tree_sum(&ctx, x, 0, N), SYN_ERR_INVALID);
    assert_int_equal(syn_tree_sum(&ctx, x, SYN_TREE_ROWS_MAX + 1, N), SYN_ERR_INVALID);
}

/* ---- meeting ---- */

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &bytes), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* Something that listens and never answers. */
static int mute_listener(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &bytes), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void expect_equal_ids(const team *t)
{
    assert_non_null(strstr(t->text[0], "id "));
    for (int r = 1; r < t->ranks; r++) assert_string_equal(t->text[r], t->text[0]);
}

static void test_an_id_travels_over_tcp(void **state)
{
    team *t = *state;
    snprintf(t->meet, sizeof t->meet, "tcp://127.0.0.1:%d", free_port());
    for (int r = 2; r >= 0; r--) start(t, r, 3, "id", 20, "-1", "0"); /* rank 0 comes last */
    finish_well(t);
    expect_equal_ids(t);
}

static void test_slurm_without_mpi_meets_by_file(void **state)
{
    team *t = *state;
    for (int r = 0; r < 3; r++) {
        start_as(t, r, "SLURM_PROCID", r, "SLURM_NTASKS", 3, "id", 20, "-1", "0");
    }
    finish_well(t);
    expect_equal_ids(t);
    assert_int_not_equal(access(t->meet + strlen("file:"), F_OK), 0); /* nothing is left */
}

static void leave(const team *t, const char *text)
{
    FILE *f = fopen(t->meet + strlen("file:"), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_an_earlier_runs_file_is_not_taken(void **state)
{
    team *t = *state;
    int port = 0;
    const int mute = mute_listener(&port); /* the address now belongs to somebody else */
    char text[256];
    snprintf(text, sizeof text,
             "syncog ranks meet at %d 00112233445566778899aabbccddeeff localhost 127.0.0.1\n",
             port);
    leave(t, text);
    start(t, 1, 2, "id", 20, "-1", "0");
    usleep(200000);
    start(t, 0, 2, "id", 20, "-1", "0");
    finish_well(t);
    close(mute);
    expect_equal_ids(t);
    snprintf(text, sizeof text,
             "syncog ranks meet at %d 00112233445566778899aabbccddeeff localhost\n", free_port());
    leave(t, text); /* nobody listens there */
    start(t, 1, 2, "id", 20, "-1", "0");
    usleep(200000);
    start(t, 0, 2, "id", 20, "-1", "0");
    finish_well(t);
    expect_equal_ids(t);
}

/* Two runs at a time, or a rank that was left over: rank 0 takes only those who know its token. */
static void test_a_rank_of_another_run_is_not_taken(void **state)
{
    team *t = *state;
    char line[2048] = "", own[sizeof t->meet];
    const double deadline = syn_clock_s() + LIMIT_S;
    start(t, 0, 2, "id", 20, "-1", "0");
    while (access(t->meet + strlen("file:"), F_OK) != 0 && syn_clock_s() < deadline) usleep(5000);
    FILE *f = fopen(t->meet + strlen("file:"), "r");
    struct stat status;
    assert_true(f && fstat(fileno(f), &status) == 0 && fgets(line, sizeof line, f));
    assert_int_equal(status.st_mode & 077, 0); /* others do not learn it */
    fclose(f);
    char *token = strchr(line + strlen("syncog ranks meet at "), ' ') + 1;
    *token = *token == '0' ? '1' : '0';
    memcpy(own, t->meet, sizeof own);
    snprintf(t->meet, sizeof t->meet, "file:%s/other", t->folder);
    leave(t, line);
    start_as(t, 2, "SYNCOG_RANK", 1, "SYNCOG_RANKS", 2, "id", 1, "-1", "0");
    waitpid(t->pid[2], &t->code[2], 0);
    t->code[2] = WEXITSTATUS(t->code[2]);
    t->pid[2] = 0;
    memcpy(t->meet, own, sizeof own);
    start(t, 1, 2, "id", 20, "-1", "0");
    finish(t, -1);
    expect_sentence(t, 2, "what answers there is not rank 0 of this run");
    t->ranks = 2;
    for (int r = 0; r < 2; r++) assert_int_equal(t->code[r], 0);
    expect_equal_ids(t);
}

static void test_another_file_is_not_overwritten(void **state)
{
    team *t = *state;
    char text[64] = "";
    leave(t, "a thesis\n");
    start(t, 0, 2, "id", SHORT_S, "-1", "0");
    start(t, 1, 2, "id", SHORT_S, "-1", "0");
    finish(t, -1);
    expect_sentence(t, 0, "cannot leave its address");
    expect_sentence(t, 1, "the file is none of syncog's");
    FILE *f = fopen(t->meet + strlen("file:"), "r");
    assert_true(f && fgets(text, sizeof text, f));
    fclose(f);
    assert_string_equal(text, "a thesis\n");
}

static void test_a_port_in_use_is_told(void **state)
{
    team *t = *state;
    int port = 0;
    const int mute = mute_listener(&port);
    snprintf(t->meet, sizeof t->meet, "tcp://127.0.0.1:%d", port);
    start(t, 0, 2, "id", 20, "-1", "0");
    finish(t, -1);
    close(mute);
    expect_sentence(t, 0, "rank 0 cannot listen at tcp://127.0.0.1:");
    expect_sentence(t, 0, "in use");
}

static void test_a_rank_that_never_comes_is_named(void **state)
{
    team *t = *state;
    start(t, 0, 3, "id", 1, "-1", "0");
    start(t, 2, 3, "id", 1, "-1", "0");
    finish(t, -1);
    expect_sentence(t, 0, "1 of 3 ranks have not come to rank 0 at file:");
    expect_sentence(t, 0, "within 1 s: 1\n");
    expect_sentence(t, 2, "within 1 s: 1\n");
    memset(t->pid, 0, sizeof t->pid);
    start(t, 1, 2, "id", 1, "-1", "0");
    finish(t, -1);
    expect_sentence(t, 1, "rank 1 has not reached rank 0 at file:");
}

static void test_a_rank_of_another_size_or_a_second_one_is_refused(void **state)
{
    team *t = *state;
    start(t, 0, 2, "id", SHORT_S, "-1", "0");
    start(t, 1, 3, "id", SHORT_S, "-1", "0");
    finish(t, -1);
    expect_sentence(t, 1, "it is one of 3 ranks, rank 0 one of 2");
    start_as(t, 0, "SYNCOG_RANK", 0, "SYNCOG_RANKS", 3, "id", SHORT_S, "-1", "0");
    start_as(t, 1, "SYNCOG_RANK", 1, "SYNCOG_RANKS", 3, "id", SHORT_S, "-1", "0");
    start_as(t, 2, "SYNCOG_RANK", 1, "SYNCOG_RANKS", 3, "id", SHORT_S, "-1", "0");
    finish(t, -1);
    assert_true(strstr(t->text[1], "two processes that say they are rank 1") ||
                strstr(t->text[2], "two processes that say they are rank 1"));
    expect_sentence(t, 0, "within 2 s: 2\n");
}

/* ---- failures ---- */

static void test_a_killed_rank_takes_the_others_down(void **state)
{
    team *t = *state;
    for (int victim = 0; victim < 4; victim += 3) {
        char words[64];
        start_all(t, 4, "rounds", 30, "-1", "60");
        await_open(t, 4);
        usleep(100000);
        const double killed = syn_clock_s();
        kill(t->pid[victim], SIGKILL);
        finish(t, -1);
        assert_true(syn_clock_s() - killed < 10);
        snprintf(words, sizeof words, "rank %d has ended without a word", victim);
        for (int r = 0; r < 4; r++) {
            if (r != victim) expect_sentence(t, r, words);
        }
        for (int r = 0; r < 4; r++) {
            char path[256];
            snprintf(path, sizeof path, "%s/%d", t->folder, r);
            unlink(path);
        }
    }
}

static void test_a_stopped_rank_is_not_waited_for_long(void **state)
{
    team *t = *state;
    start_all(t, 4, "rounds", SHORT_S, "-1", "60");
    await_open(t, 4);
    const double stopped = syn_clock_s();
    kill(t->pid[2], SIGSTOP);
    finish(t, 2);
    assert_true(syn_clock_s() - stopped < SHORT_S + 10);
    for (int r = 0; r < 4; r++) {
        if (r != 2) expect_sentence(t, r, "rank 2 has not answered for 2 s");
    }
    kill(t->pid[2], SIGCONT); /* it finds the others gone */
    t->pid[0] = t->pid[1] = t->pid[3] = 0;
    finish(t, -1);
    assert_int_equal(t->code[2], 1);
}

static void test_a_local_failure_is_told_to_all_at_once(void **state)
{
    team *t = *state;
    start_all(t, 4, "abort", 50, "2", "0");
    finish(t, -1);
    assert_true(syn_clock_s() - t->began < 15);
    expect_sentence(t, 2, "syncog: the loss is not finite at update 7");
    for (int r = 0; r < 4; r++) {
        if (r == 2) continue;
        expect_sentence(t, r, "rank 2 stopped the run: the loss is not finite at update 7");
    }
}

static void test_a_rank_that_never_sums_is_named(void **state)
{
    team *t = *state;
    start_all(t, 3, "absent", 1, "1", "30");
    finish(t, 1);
    expect_sentence(t, 0, "rank 1 has not come to operation 1 for 1 s, though it answers");
    expect_sentence(t, 2, "rank 1 has not come to operation 1 for 1 s, though it answers");
    kill(t->pid[1], SIGKILL);
    finish(t, -1);
}

static void test_a_rank_busy_elsewhere_does_not_outlive_the_run(void **state)
{
    team *t = *state;
    start_all(t, 3, "busy", 3, "1", "60");
    finish(t, -1);
    assert_true(syn_clock_s() - t->began < 20);
    expect_sentence(t, 0, "rank 1 has ended without a word");
    expect_sentence(t, 2, "rank 1 has ended without a word");
}

static void test_odd_weights_and_uneven_sums_are_found(void **state)
{
    team *t = *state;
    start_all(t, 4, "odd", 20, "2", "0");
    finish(t, -1);
    for (int r = 0; r < 4; r++) {
        expect_sentence(t, r, "rank 2's weights at update 300 are not rank 0's");
    }
    start_all(t, 3, "uneven", 20, "2", "0");
    finish(t, -1);
    expect_sentence(t, 0, "they are not at the same operation");
    for (int r = 1; r < 3; r++) assert_int_equal(t->code[r], 1);
}

static void test_a_slow_rank_is_warned_about(void **state)
{
    team *t = *state;
    start_all(t, 3, "slow", 2, "1", "4.5");
    finish_well(t);
    if (!strstr(t->text[0], "rank 1 is slow")) fail_msg("rank 0 printed: %s", t->text[0]);
    assert_null(strstr(t->text[0], "rank 0 is slow"));
    assert_null(strstr(t->text[0], "rank 2 is slow"));
}

static void test_sigterm_is_told(void **state)
{
    team *t = *state;
    start_all(t, 2, "rounds", 20, "-1", "60");
    await_open(t, 2);
    kill(t->pid[1], SIGTERM);
    finish(t, -1);
    expect_sentence(t, 0, "rank 1 was told to stop by SIGTERM");
    expect_sentence(t, 1, "rank 1 was told to stop by SIGTERM");
}

#define TEAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 5 && !strcmp(argv[1], "worker")) return worker_main(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        TEAM_TEST(test_alone_all_is_a_copy),
        TEAM_TEST(test_launchers_are_understood),
        TEAM_TEST(test_the_local_rank_is_the_launchers),
        TEAM_TEST(test_sums_have_the_bits_of_the_tree),
        TEAM_TEST(test_the_tree_of_rows_is_that_of_ranks),
        TEAM_TEST(test_an_id_travels_over_tcp),
        TEAM_TEST(test_slurm_without_mpi_meets_by_file),
        TEAM_TEST(test_an_earlier_runs_file_is_not_taken),
        TEAM_TEST(test_a_rank_of_another_run_is_not_taken),
        TEAM_TEST(test_another_file_is_not_overwritten),
        TEAM_TEST(test_a_port_in_use_is_told),
        TEAM_TEST(test_a_rank_that_never_comes_is_named),
        TEAM_TEST(test_a_rank_of_another_size_or_a_second_one_is_refused),
        TEAM_TEST(test_a_killed_rank_takes_the_others_down),
        TEAM_TEST(test_a_stopped_rank_is_not_waited_for_long),
        TEAM_TEST(test_a_local_failure_is_told_to_all_at_once),
        TEAM_TEST(test_a_rank_that_never_sums_is_named),
        TEAM_TEST(test_a_rank_busy_elsewhere_does_not_outlive_the_run),
        TEAM_TEST(test_odd_weights_and_uneven_sums_are_found),
        TEAM_TEST(test_a_slow_rank_is_warned_about),
        TEAM_TEST(test_sigterm_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
