/* Several ranks: one run, whose bits do not depend on their number where that is asked for, and
 * which all of them leave together. The ranks are processes that meet by a file. */
#include "tests/trainer/commands.h"

#include <fcntl.h>

#include "trainer/train.h"

#define SMALL                                                                                      \
    "--data train.h5 --data more.h5@2.5 --batch-size 128 --mini-batch-size 64 --horizon 8 "        \
    "--epochs 2 "                                                                                  \
    "--eval-episodes 21 --eval-interval 1 --num-agents-range 2-4 --threads 1 "

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("train.h5", 40, 1);
    cache_write("more.h5", 20, 2);
    untrained_write("init", "train.h5", true, false);
    return 0;
}

/* `syncog train SMALL --out OUT options` on so many ranks at a time. Returns the worst exit code;
 * what the ranks printed is in said and complained, in no order. */
static int train_on(int ranks, const char *out, const char *options)
{
    char line[2048];
    static int meetings;
    if (ranks == 1) return syncog("train " SMALL "--out %s %s", out, options);
    snprintf(line, sizeof line,
             "--version >/dev/null; worst=0; pids=; for r in $(seq 0 %d); do SYNCOG_RANK=$r "
             "SYNCOG_RANKS=%d '%s' train " SMALL
             "--out %s %s --rendezvous file:meet%d & pids=\"$pids $!\"; done; for p in $pids; do "
             "wait $p; code=$?; [ $code -gt $worst ] && worst=$code; done; (exit $worst)",
             ranks - 1, ranks, SYN_PROGRAM, out, options, meetings++);
    return syncog("%s", line);
}

#define assert_trains(ranks, out, options)                                                         \
    do {                                                                                           \
        int code_ = train_on(ranks, out, options);                                                 \
        if (code_) fail_msg("%d ranks: exit %d: %s", ranks, code_, complained);                    \
    } while (0)

static void the_bits_do_not_depend_on_the_number_of_ranks(void **state)
{
    char one[HASH_TEXT], hash[HASH_TEXT], name[16], latest[32];
    assert_trains(1, "one", "--init init --env-steps 256 --deterministic");
    content_of("one/latest", one);
    for (int ranks = 2; ranks <= 8; ranks *= 2) {
        snprintf(name, sizeof name, "on%d", ranks);
        snprintf(latest, sizeof latest, "%s/latest", name);
        assert_trains(ranks, name, "--init init --env-steps 256 --deterministic");
        assert_string_equal(content_of(latest, hash), one);
        assert_int_equal(assert_same_metrics("one", name), 2);
        assert_int_equal(line_count(said), 2); /* one rank speaks */
    }
}

static void a_deterministic_run_goes_on_on_other_ranks(void **state)
{
    char whole[HASH_TEXT], hash[HASH_TEXT];
    assert_trains(4, "moved", "--init init --env-steps 128 --deterministic");
    assert_trains(2, "moved", "--resume --env-steps 256 --deterministic");
    assert_trains(1, "moved", "--resume --env-steps 384 --deterministic");
    assert_null(strstr(complained, "bit"));
    assert_trains(1, "one", "--resume --env-steps 384 --deterministic");
    assert_string_equal(content_of("moved/latest", hash), content_of("one/latest", whole));
    assert_int_equal(assert_same_metrics("one", "moved"), 3);
}

static void other_runs_go_on_and_say_that_the_bits_differ(void **state)
{
    assert_trains(1, "plain", "--init init --env-steps 128");
    assert_trains(2, "plain", "--resume --env-steps 256");
    assert_non_null(strstr(complained, "from another number of ranks"));
    assert_int_equal(line_count(complained), 1);
    assert_non_null(strstr(said, "trained 128 env-steps"));
    assert_works("checkpoint verify plain");
}

static void ranks_without_determinism_repeat_themselves(void **state)
{
    char hash[2][HASH_TEXT];
    assert_trains(2, "pair", "--init init --env-steps 256 --compare-interval 1");
    assert_trains(2, "again", "--init init --env-steps 256");
    assert_string_equal(content_of("pair/latest", hash[0]), content_of("again/latest", hash[1]));
}

static void numbers_of_ranks_that_do_not_fit_are_refused(void **state)
{
    assert_int_equal(train_on(3, "out", "--init init --deterministic"), 2);
    assert_non_null(strstr(complained, "--deterministic runs on 1, 2, 4 or 8 ranks, not on 3"));
    assert_int_equal(train_on(3, "out", "--init init"), 2);
    assert_non_null(strstr(complained, "cannot be cut into 3 equal shards"));
    assert_int_equal(line_count(complained), 1);
    assert_int_equal(syncog("train " SMALL "--out out --init init --deterministic --threads 2"), 2);
    assert_int_equal(
        syncog("train " SMALL "--out out --init init --deterministic --mini-batch-size 32"), 2);
    assert_non_null(strstr(complained, "cannot be cut into 8 equal shards (--deterministic)"));
    assert_int_equal(syncog("train " SMALL "--out out --init init --epochs 65"), 2);
    assert_int_not_equal(access(path_of("out"), F_OK), 0);
}

static void ranks_that_were_told_different_things_do_not_begin(void **state)
{
    assert_int_equal(train_on(2, "out", "--init init --seed $r"), 1);
    assert_non_null(strstr(complained, "rank 1's options are not"));
    assert_int_equal(train_on(2, "out", "--init init --env-steps 128 --eval-episodes $((8 + r))"),
                     1);
    assert_non_null(strstr(complained, "rank 1's options are not"));
    assert_int_not_equal(access(path_of("out"), F_OK), 0);
}

/* What only one rank meets ends all. */
static void the_failure_of_one_rank_ends_all(void **state)
{
    assert_int_equal(train_on(2, "out", "--init $( [ $r = 1 ] && echo nowhere || echo init)"), 1);
    assert_non_null(strstr(complained, "nowhere: there is no such folder"));
    assert_int_not_equal(access(path_of("out"), F_OK), 0);
}

/* ---- Faults planted in one of two ranks, which are children of the test ---- */

typedef enum fault { OTHER_WEIGHT, NAN_REWARD } fault;

/* Trains as one rank of two; rank 1 has the fault. The sentence of the failure is printed. */
static syn_status train_with(fault what, int rank, const char *out)
{
    syn_ctx ctx;
    syn_dataset ds = {0};
    syn_model m;
    syn_corpus corpus = {0};
    syn_train_result result;
    syn_dist *dist = NULL;
    char meeting[200];
    snprintf(meeting, sizeof meeting, "file:%s/meet-%s", test_folder, out);
    const syn_dist_config ranks = {.rendezvous = meeting};
    syn_train_config cfg = {.ppo = SYN_PPO_DEFAULT,
                            .env = SYN_ENV_CONFIG_DEFAULT,
                            .env_steps = 1024,
                            .schedule_steps = 1024,
                            .eval_interval = 99,
                            .eval_episodes = 8,
                            .same_interval = 2,
                            .out = path_of(out)};
    cfg.ppo.minibatches = cfg.ppo.shards = 2;
    cfg.ppo.shard_envs = 4;
    cfg.ppo.horizon = 8;
    cfg.env.agents_max = 4;
    syn_status st = syn_dist_open(&ranks, &dist);
    if (st == SYN_OK) st = syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1);
    if (st == SYN_OK) st = syn_dataset_load(&ds, path_of("train.h5"));
    if (st == SYN_OK) st = syn_model_load(&ctx, path_of("init"), &m, NULL, NULL);
    if (st == SYN_OK) st = syn_control_init(&ctx, &m.control, 1);
    if (st == SYN_OK) st = syn_corpus_build(&ctx, &corpus, &ds, NULL, NULL, m.idf, m.table, 0);
    cfg.dist = dist;
    m.has_control = true;
    if (rank == 1 && what == OTHER_WEIGHT) syn_value(&m.control.params, SYN_C_PAIR_X)[5] += 1e-6f;
    if (rank == 1 && what == NAN_REWARD) cfg.env.message_cost = NAN;
    if (st == SYN_OK) st = syn_train(&ctx, &cfg, &ds, &corpus, &m, &result);
    if (st != SYN_OK) {
        fprintf(stderr, "%s\n", syn_error_text());
        syn_dist_abort(dist, syn_error_text());
    }
    syn_dist_close(dist);
    return st;
}

/* The statuses of both ranks; what they said is in complained. */
static void train_both(fault what, const char *out, syn_status st[2])
{
    pid_t child[2];
    for (int rank = 0; rank < 2; rank++) {
        child[rank] = fork();
        assert_true(child[rank] >= 0);
        if (child[rank]) continue;
        const int said_fd = open(path_of("faults"), O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(said_fd, 2);
        setenv("SYNCOG_RANK", rank ? "1" : "0", 1);
        setenv("SYNCOG_RANKS", "2", 1);
        _exit((int)train_with(what, rank, out));
    }
    for (int rank = 0; rank < 2; rank++) {
        int status = 0;
        waitpid(child[rank], &status, 0);
        assert_true(WIFEXITED(status));
        st[rank] = (syn_status)WEXITSTATUS(status);
    }
    slurp("faults", complained);
    unlink(path_of("faults"));
}

static void weights_that_differ_are_found(void **state)
{
    syn_status st[2];
    train_both(OTHER_WEIGHT, "odd", st);
    assert_int_equal(st[0], SYN_ERR_DIST);
    assert_int_equal(st[1], SYN_ERR_DIST);
    assert_non_null(strstr(complained, "rank 1's weights at update 2 are not"));
    assert_false(syn_checkpoint_exists(path_of("odd")));
}

static void a_number_that_is_not_finite_ends_all_ranks(void **state)
{
    syn_status st[2];
    train_both(NAN_REWARD, "nan", st);
    assert_int_equal(st[1], SYN_ERR_NUMERIC);
    assert_int_equal(st[0], SYN_ERR_DIST);
    assert_non_null(strstr(complained, "update 1: the reward of environment "));
    assert_non_null(strstr(complained, "rank 1"));
    assert_false(syn_checkpoint_exists(path_of("nan")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(a_deterministic_run_goes_on_on_other_ranks),
        cmocka_unit_test(other_runs_go_on_and_say_that_the_bits_differ),
        cmocka_unit_test(ranks_without_determinism_repeat_themselves),
        cmocka_unit_test(numbers_of_ranks_that_do_not_fit_are_refused),
        cmocka_unit_test(ranks_that_were_told_different_things_do_not_begin),
        cmocka_unit_test(the_failure_of_one_rank_ends_all),
        cmocka_unit_test(weights_that_differ_are_found),
        cmocka_unit_test(a_number_that_is_not_finite_ends_all_ranks),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
