/* trainer/dist.h without MPI: alone, what it makes of launchers' variables, and how ranks find each
 * other. */
#include "tests/trainer/dist_team.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

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

static void test_the_local_rank_and_size_are_the_launchers(void **state)
{
    no_launcher();
    assert_int_equal(syn_dist_local_rank(), 0);
    assert_int_equal(syn_dist_local_size(), 1);
    setenv("SLURM_PROCID", "9", 1);
    setenv("SLURM_NTASKS", "16", 1);
    setenv("SLURM_LOCALID", "3", 1);
    assert_int_equal(syn_dist_local_rank(), 3);
    assert_int_equal(syn_dist_local_size(), 0); /* not said */
    setenv("SLURM_NTASKS", "1", 1);
    assert_int_equal(syn_dist_local_size(), 1); /* not said, but it follows */
    setenv("OMPI_COMM_WORLD_RANK", "9", 1);
    setenv("OMPI_COMM_WORLD_SIZE", "16", 1);
    setenv("OMPI_COMM_WORLD_LOCAL_RANK", "1", 1);
    setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4", 1);
    assert_int_equal(syn_dist_local_rank(), 1);
    assert_int_equal(syn_dist_local_size(), 4);
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

int main(int argc, char **argv)
{
    if (argc > 5 && !strcmp(argv[1], "worker")) return worker_main(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        TEAM_TEST(test_alone_all_is_a_copy),
        TEAM_TEST(test_launchers_are_understood),
        TEAM_TEST(test_the_local_rank_and_size_are_the_launchers),
        TEAM_TEST(test_an_id_travels_over_tcp),
        TEAM_TEST(test_slurm_without_mpi_meets_by_file),
        TEAM_TEST(test_an_earlier_runs_file_is_not_taken),
        TEAM_TEST(test_a_rank_of_another_run_is_not_taken),
        TEAM_TEST(test_another_file_is_not_overwritten),
        TEAM_TEST(test_a_port_in_use_is_told),
        TEAM_TEST(test_a_rank_that_never_comes_is_named),
        TEAM_TEST(test_a_rank_of_another_size_or_a_second_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
