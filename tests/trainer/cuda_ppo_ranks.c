/* PPO on the devices of two ranks: the bits of one rank with as many shards, whatever carries the
 * sums, and an end for both when one of them ends. Every process opens a device of its own. Sums
 * that travel through host memory let two ranks share a GPU; NCCL does not. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trainer/ppo_world.h"
#ifdef SYN_CUDA_EMULATED
int emu_nccl_recorded(void);
int emu_nccl_done(void);
#endif

enum { UPDATES = 2, NO_DEVICE = 77, GAVE_UP = 78, RANKS = 2, LIMIT_S = 300, POSTED = 3 };

typedef struct result {
    uint64_t hash;
    double grad_norm, value_mean;
} result;

/* What the ranks of one run do. */
typedef struct play {
    const char *backend;
    int size;
    bool one_ends; /* rank 1, in its second update */
    bool posts;    /* sums that the communication thread queues, and nothing else */
} play;

static bool nccl_to_be_had(void)
{
#ifdef SYN_CUDA_EMULATED
    return true;
#else
    return syn_device_count() >= RANKS; /* it refuses two ranks on one device */
#endif
}

/* With NCCL the sums of all updates but the first are done by graphs that hold them. */
static void expect_recorded(const play *p)
{
#ifdef SYN_CUDA_EMULATED
    const syn_ppo_config cfg = tiny(2);
    const bool queued = p->size > 1 && !strcmp(p->backend, "nccl");
    const int minibatches = (int)cfg.minibatches, groups = queued ? 2 : 0; /* to and fro */
    assert_int_equal(emu_nccl_recorded(), groups * minibatches);
    assert_int_equal(emu_nccl_done(), groups * minibatches * cfg.epochs * UPDATES);
#endif
}

/* Rank 1 ends where rank 0 has begun to wait for it on the device. */
static void one_ends(world *w, int rank)
{
    syn_ppo_stats stats;
    alarm(LIMIT_S);
    updates(w, 1, &stats);
    assert_ok(syn_ppo_rollout(&w->ppo));
    if (rank == 1) raise(SIGKILL);
    const syn_status st = syn_ppo_update(&w->ppo, 0.25, &stats);
    const bool told = st == SYN_ERR_DIST && strstr(syn_error_text(), "rank 1");
    if (!told) print_error("rank 0: status %d: %s\n", (int)st, syn_error_text());
    syn_dist *dist = w->dist;
    world_free(w);
    syn_dist_close(dist);
    _exit(told ? GAVE_UP : 1);
}

/* Some sums, one after the other: r->hash is what every number has come to, or 0. */
static void post_sums(world *w, int rank, result *r)
{
    enum { N = 999 };
    real x[N], *x_gpu = syn_device_alloc(&w->ctx, sizeof x);
    assert_non_null(x_gpu);
    for (int i = 0; i < N; i++) x[i] = (real)(rank + 1);
    assert_ok(syn_copy_in(&w->ctx, x_gpu, x, sizeof x));
    for (int k = 0; k < POSTED; k++) {
        assert_ok(syn_dist_sum_begin(w->dist, x_gpu, N));
        assert_ok(syn_dist_sum_wait(w->dist));
    }
    assert_ok(syn_copy_out(&w->ctx, x, x_gpu, sizeof x));
    *r = (result){.hash = (uint64_t)x[0]};
    for (int i = 1; i < N; i++)
        if (x[i] != x[0]) r->hash = 0;
    syn_device_free(&w->ctx, x_gpu);
}

static void world_play(world *w, const play *p, int rank, result *r)
{
    syn_ppo_stats stats;
    if (p->one_ends) one_ends(w, rank);
    updates(w, UPDATES, &stats);
    *r = (result){weights(w), stats.grad_norm, stats.value_mean};
    expect_recorded(p);
}

/* What a rank does; never returns. */
static void be_rank(const play *p, int rank, const char *rendezvous, int out)
{
    char text[2][16];
    const syn_ppo_config cfg = tiny(2);
    result r;
    snprintf(text[0], sizeof text[0], "%d", rank);
    snprintf(text[1], sizeof text[1], "%d", p->size);
    setenv("SYNCOG_RANK", text[0], 1);
    setenv("SYNCOG_RANKS", text[1], 1);
    syn_device_select(rank);
    world *w = world_open(SYN_DEVICE_CUDA);
    if (!w) _exit(NO_DEVICE);
    syn_dist *dist = NULL;
    const syn_dist_config ranks = {
        .backend = p->backend, .rendezvous = rendezvous, .timeout_s = 300, .ctx = &w->ctx};
    if (p->size > 1) assert_ok(syn_dist_open(&ranks, &dist));
    w->dist = dist;
    if (p->posts) {
        post_sums(w, rank, &r);
    } else {
        assert_ok(world_begin(w, &cfg));
        world_play(w, p, rank, &r);
    }
    const bool written = write(out, &r, sizeof r) == sizeof r;
    world_free(w);
    syn_dist_close(dist);
    _exit(written ? 0 : 1);
}

/* status: of each process, as waitpid gives it. Skips where there is no device. */
static void run_ranks(const play *p, result *r, int *status)
{
    char rendezvous[64];
    int pipes[RANKS][2];
    pid_t child[RANKS];
    bool without = false;
    snprintf(rendezvous, sizeof rendezvous, "file:/tmp/syncog-cuda-ranks-%d-%d", (int)getpid(),
             p->size);
    for (int k = 0; k < p->size; k++) {
        assert_int_equal(pipe(pipes[k]), 0);
        child[k] = fork();
        assert_true(child[k] >= 0);
        if (child[k] == 0) be_rank(p, k, rendezvous, pipes[k][1]);
        close(pipes[k][1]);
    }
    for (int k = 0; k < p->size; k++) {
        memset(&r[k], 0, sizeof r[k]);
        (void)!read(pipes[k][0], &r[k], sizeof r[k]);
        assert_true(waitpid(child[k], &status[k], 0) == child[k]);
        close(pipes[k][0]);
        without = without || (WIFEXITED(status[k]) && WEXITSTATUS(status[k]) == NO_DEVICE);
    }
    unlink(rendezvous + strlen("file:"));
    if (without) skip();
}

static void expect_the_bits_of_one(const char *backend)
{
    result one[RANKS], two[RANKS];
    int status[RANKS];
    run_ranks(&(play){.backend = backend, .size = 1}, one, status);
    assert_int_equal(status[0], 0);
    run_ranks(&(play){.backend = backend, .size = RANKS}, two, status);
    for (int k = 0; k < RANKS; k++) {
        if (status[k]) fail_msg("rank %d of %d ended with status %d", k, RANKS, status[k]);
        assert_true(two[k].hash == one->hash);
        assert_true(two[k].grad_norm == one->grad_norm && two[k].value_mean == one->value_mean);
    }
}

static void two_ranks_give_the_bits_of_one(void **state)
{
    expect_the_bits_of_one("tcp");
}

static void two_ranks_with_sums_in_their_graphs_do_too(void **state)
{
    if (!nccl_to_be_had()) skip();
    expect_the_bits_of_one("nccl");
}

/* (1 + 2) 2 2: a sum finds nothing that the wait for the one before it has left. */
static void sums_follow_each_other(void **state)
{
    result r[RANKS];
    int status[RANKS];
    if (!nccl_to_be_had()) skip();
    run_ranks(&(play){"nccl", RANKS, .posts = true}, r, status);
    for (int k = 0; k < RANKS; k++) {
        assert_int_equal(status[k], 0);
        assert_int_equal(r[k].hash, 3 << (POSTED - 1));
    }
}

static void a_rank_that_ends_lets_the_other_go(void **state)
{
    result r[RANKS];
    int status[RANKS];
    if (!nccl_to_be_had()) skip();
    run_ranks(&(play){"nccl", RANKS, .one_ends = true}, r, status);
    assert_true(WIFEXITED(status[0]) && WEXITSTATUS(status[0]) == GAVE_UP);
    assert_true(WIFSIGNALED(status[1]) && WTERMSIG(status[1]) == SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ranks_give_the_bits_of_one),
        cmocka_unit_test(two_ranks_with_sums_in_their_graphs_do_too),
        cmocka_unit_test(sums_follow_each_other),
        cmocka_unit_test(a_rank_that_ends_lets_the_other_go),
    };
    return cmocka_run_group_tests(tests, ppo_set_up, NULL);
}
