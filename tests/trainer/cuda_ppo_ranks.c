/* PPO on the devices of two ranks: the bits of one rank with as many shards. Every process opens a
 * device of its own; sums travel through host memory, so that two ranks may share a GPU. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trainer/ppo_world.h"

enum { UPDATES = 2, NO_DEVICE = 77 };

typedef struct result {
    uint64_t hash;
    double grad_norm, value_mean;
} result;

/* What a rank of `size` does; never returns. */
static void be_rank(int rank, int size, const char *rendezvous, int out)
{
    char text[2][16];
    syn_ppo_stats stats;
    const syn_ppo_config cfg = tiny(2);
    snprintf(text[0], sizeof text[0], "%d", rank);
    snprintf(text[1], sizeof text[1], "%d", size);
    setenv("SYNCOG_RANK", text[0], 1);
    setenv("SYNCOG_RANKS", text[1], 1);
    world *w = world_open(SYN_DEVICE_CUDA);
    if (!w) _exit(NO_DEVICE);
    const syn_dist_config ranks = {
        .backend = "tcp", .rendezvous = rendezvous, .timeout_s = 300, .ctx = &w->ctx};
    if (size > 1) assert_ok(syn_dist_open(&ranks, &w->dist));
    assert_ok(world_begin(w, &cfg));
    updates(w, UPDATES, &stats);
    const result r = {weights(w), stats.grad_norm, stats.value_mean};
    const bool written = write(out, &r, sizeof r) == sizeof r;
    syn_dist_close(w->dist);
    _exit(written ? 0 : 1);
}

static void run_ranks(int size, result *r)
{
    char rendezvous[64];
    int pipes[2][2], status;
    pid_t child[2];
    bool without = false;
    snprintf(rendezvous, sizeof rendezvous, "file:/tmp/syncog-cuda-ranks-%d-%d", (int)getpid(),
             size);
    for (int k = 0; k < size; k++) {
        assert_int_equal(pipe(pipes[k]), 0);
        child[k] = fork();
        assert_true(child[k] >= 0);
        if (child[k] == 0) be_rank(k, size, rendezvous, pipes[k][1]);
        close(pipes[k][1]);
    }
    for (int k = 0; k < size; k++) {
        const ssize_t bytes = read(pipes[k][0], &r[k], sizeof r[k]);
        assert_true(waitpid(child[k], &status, 0) == child[k]);
        close(pipes[k][0]);
        without = without || (WIFEXITED(status) && WEXITSTATUS(status) == NO_DEVICE);
        if (!without && (bytes != sizeof r[k] || status))
            fail_msg("rank %d of %d ended with status %d", k, size, status);
    }
    unlink(rendezvous + strlen("file:"));
    if (without) skip();
}

static void two_ranks_give_the_bits_of_one(void **state)
{
    result one[1], two[2];
    run_ranks(1, one);
    run_ranks(2, two);
    for (int k = 0; k < 2; k++) {
        assert_true(two[k].hash == one->hash);
        assert_true(two[k].grad_norm == one->grad_norm && two[k].value_mean == one->value_mean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_ranks_give_the_bits_of_one)};
    return cmocka_run_group_tests(tests, ppo_set_up, NULL);
}
