/* Phase 1 as a whole: equal seeds give equal bits, whatever the number of threads; a short fit
 * learns what is there to be learnt, and nothing from shuffled labels. */
#include "tests/trainer/commands.h"

#include "trainer/pretrain.h"

#define TINY "--ranker-steps 1 --gap-steps 2 --state-steps 2 --batch 8 --no-leak-test"

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("train.h5", 80, 2);
    return 0;
}

static void equal_seeds_give_equal_bits(void **state)
{
    char first[HASH_TEXT], second[HASH_TEXT];
    assert_works("pretrain --data train.h5 " TINY " --cross-fit 2 --threads 1 --seed 1 --out a");
    assert_works("pretrain --data train.h5 " TINY " --cross-fit 2 --threads 1 --seed 1 --out b");
    assert_string_equal(content_of("a", first), content_of("b", second));
}

/* The fits of phase 1 run on one thread each. The state encoder, which comes after them, adds up in
 * an order of its own per number of threads. */
static void the_number_of_threads_does_not_change_the_judges(void **state)
{
    int parts = 0, all = 0;
    assert_works("pretrain --data train.h5 --component ckm " TINY
                 " --cross-fit 2 --threads 2 --seed 1 --out two");
    assert_true(largest_difference("two", "a", "part", &parts) == 0);
    assert_true(largest_difference("two", "a", "", &all) == 0);
    assert_true(parts > 2 * 20 && all > parts + 20); /* two parts, the fit on all, and the idf */
}

static void another_seed_gives_other_weights(void **state)
{
    int compared = 0;
    assert_works("pretrain --data train.h5 --component ckm " TINY
                 " --cross-fit 0 --threads 1 --seed 2 --out other");
    assert_true(largest_difference("other", "a", "perception.", &compared) > 1e-3);
    assert_true(largest_difference("other", "a", "idf", &compared) == 0);
    assert_int_equal(compared, 1);
}

static bool has(const char *name, const char *tensor)
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(path_of(name), &cp));
    bool found = syn_checkpoint_find(cp, tensor) != NULL;
    syn_checkpoint_close(cp);
    return found;
}

static void the_parts_are_fitted_to_different_records(void **state)
{
    syn_checkpoint *cp = NULL;
    float w[2][64];
    assert_ok(syn_checkpoint_open(path_of("a"), &cp));
    for (int k = 0; k < 2; k++) {
        syn_tensor t = *syn_checkpoint_find(cp, k ? "part1.ranker.b0" : "part0.ranker.b0");
        assert_int_equal(syn_tensor_elements(&t), 64);
        t.data = w[k];
        assert_ok(syn_checkpoint_read(cp, &t));
    }
    syn_checkpoint_close(cp);
    assert_memory_not_equal(w[0], w[1], sizeof w[0]);
}

static void the_state_encoder_alone_leaves_the_judges(void **state)
{
    int compared = 0;
    assert_false(has("two", "control.state.in.w"));
    assert_works(
        "pretrain --data train.h5 --component state_encoder --state-steps 2 --init two --threads 1 "
        "--seed 1 --out state");
    assert_non_null(strstr(said, "tells the next message from 64"));
    assert_true(has("state", "control.state.in.w"));
    assert_true(largest_difference("two", "state", "", &compared) == 0);
    assert_true(largest_difference("state", "a", "control.", &compared) == 0); /* as in one go */
    assert_true(compared > 20);
}

static void a_fold_is_kept_out(void **state)
{
    int compared = 0;
    assert_works("pretrain --data train.h5 --component ckm " TINY
                 " --cross-fit 0 --folds 3 --fold 1 --threads 1 "
                 "--seed 2 --out fold1");
    assert_null(strstr(said, "pretrained on 80 records"));
    assert_true(largest_difference("fold1", "other", "idf", &compared) > 0);
    assert_true(largest_difference("fold1", "other", "perception.", &compared) > 0);
}

/* ---- Two ranks ---- */

/* `syncog pretrain OPTIONS` on two ranks that are processes of this machine. */
static int pretrain_on_two(const char *options)
{
    return syncog(
        "--version >/dev/null; SYNCOG_RANK=1 SYNCOG_RANKS=2 '%s' pretrain %s --rendezvous "
        "file:meet & SYNCOG_RANK=0 SYNCOG_RANKS=2 '%s' pretrain %s --rendezvous "
        "file:meet; code=$?; wait $!; other=$?; rm -f meet; (exit $((code + 10 * other)))",
        SYN_PROGRAM, options, SYN_PROGRAM, options);
}

/* Each learns from half of every batch; sums are added in another order than one rank's. */
static void two_ranks_share_each_batch(void **state)
{
#define SHARED                                                                                     \
    "--data train.h5 --ranker-steps 1 --gap-steps 2 --state-steps 2 --batch 8 --no-leak-test "     \
    "--cross-fit 0 --threads 1 --dropout 0 --seed 3 --component ckm "
    int compared = 0;
    const int code = pretrain_on_two(SHARED "--out both");
    if (code) fail_msg("exit %d: %s", code, complained);
    assert_int_equal(line_count(said), 2); /* one rank speaks */
    assert_works("pretrain " SHARED "--out alone");
    const double apart = largest_difference("alone", "both", "perception.", &compared);
    if (!(apart > 0 && apart < 1e-3)) fail_msg("two ranks are %g from one", apart);
    assert_true(compared > 20);
    assert_int_equal(pretrain_on_two(SHARED "--out odd --batch 9"), 22);
    assert_non_null(strstr(complained, "--batch 9 cannot be cut into 2 equal parts"));
#undef SHARED
}

/* ---- Learning, on records that were not trained on ---- */

typedef struct lesson {
    syn_ctx ctx;
    syn_dataset train, test;
    syn_corpus corpus, unseen;
    syn_model model; /* idf and table */
    int32_t *record; /* all of either corpus */
} lesson;

static void lesson_open(lesson *l)
{
    memset(l, 0, sizeof *l);
    cache_write("more.h5", 100, 3);
    cache_write("unseen.h5", 60, 4);
    assert_ok(syn_ctx_init(&l->ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_dataset_load(&l->train, path_of("more.h5")));
    assert_ok(syn_dataset_load(&l->test, path_of("unseen.h5")));
    assert_ok(syn_model_init(&l->ctx, &l->model, 1));
    assert_ok(syn_corpus_idf(&l->train, NULL, l->model.idf));
    assert_ok(syn_corpus_build(&l->ctx, &l->corpus, &l->train, NULL, NULL, l->model.idf,
                               l->model.table, 0));
    assert_ok(syn_corpus_build(&l->ctx, &l->unseen, &l->test, NULL, NULL, l->model.idf,
                               l->model.table, 0));
    l->record = malloc(sizeof *l->record * (size_t)l->corpus.records);
    for (int64_t k = 0; k < l->corpus.records; k++) l->record[k] = (int32_t)k;
}

static void lesson_close(lesson *l)
{
    free(l->record);
    syn_corpus_free(&l->ctx, &l->corpus);
    syn_corpus_free(&l->ctx, &l->unseen);
    syn_model_free(&l->ctx, &l->model);
    syn_dataset_free(&l->train);
    syn_dataset_free(&l->test);
    syn_ctx_free(&l->ctx);
}

/* AUROC of ranker, gap and link over opening states of unseen records. */
static void score(lesson *l, const syn_perception *p, double *ranker, double *gap, double *link)
{
    syn_measured m;
    assert_ok(syn_measure(&l->ctx, p, true, &l->unseen, &syn_episodes_opening, l->record,
                          l->unseen.records, 1000, 17, &m));
    *ranker = syn_auroc(m.ranker, m.ranks);
    *gap = syn_auroc(m.gap, m.gaps);
    *link = syn_auroc(m.link, m.links);
    syn_measured_free(&m);
}

static void a_short_fit_learns_and_shuffled_labels_teach_nothing(void **state)
{
    lesson l;
    syn_pretrain_result r;
    double ranker, gap, link, blind;
    syn_pretrain_config c = SYN_PRETRAIN_DEFAULT;
    c.ranker_steps = 60;
    c.gap_steps = 120;
    c.gap_lr = 2e-3;
    c.batch = 16;
    c.quiet = true;
    lesson_open(&l);
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        syn_perception p = {0};
        c.shuffled_labels = shuffled;
        assert_ok(syn_pretrain_perception(&l.ctx, &c, &l.train, &l.corpus, l.record,
                                          l.corpus.records, &p, &r));
        score(&l, &p, &ranker, shuffled ? &blind : &gap, &link);
        if (!shuffled) {
            print_message("after %.1f s: ranker AUROC %.3f, link %.3f\n", r.seconds, ranker, link);
            assert_true(ranker > 0.85 && link > 0.8);
            assert_true(r.ranker_auroc > 0.8 && isfinite(r.gap_ece));
            assert_in_range(r.gap_steps, 1, c.gap_steps);
        }
        syn_perception_free(&l.ctx, &p);
        c.ranker_steps = 1; /* its labels are never shuffled */
        c.gap_steps = 45;
    }
    print_message("gap AUROC %.3f, fitted to shuffled labels %.3f\n", gap, blind);
    assert_true(gap > 0.8);
    assert_true(fabs(blind - 0.5) < 0.2 && gap - blind > 0.15);
    lesson_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_bits),
        cmocka_unit_test(the_number_of_threads_does_not_change_the_judges),
        cmocka_unit_test(another_seed_gives_other_weights),
        cmocka_unit_test(the_parts_are_fitted_to_different_records),
        cmocka_unit_test(the_state_encoder_alone_leaves_the_judges),
        cmocka_unit_test(a_fold_is_kept_out),
        cmocka_unit_test(two_ranks_share_each_batch),
        cmocka_unit_test(a_short_fit_learns_and_shuffled_labels_teach_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
