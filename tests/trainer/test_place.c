/* Where a run begins: a folder that holds one is not begun in by mistake, --overwrite puts one run
 * in the place of another and touches nothing else, and --init takes weights alone. */
#include "tests/trainer/commands.h"

#include "trainer/ppo_state.h"

#define SMALL                                                                                      \
    "train --data train.h5 --batch-size 128 --mini-batch-size 64 --horizon 8 --epochs 1 "          \
    "--eval-episodes 16 --eval-interval 1 --num-agents-range 2-4 --threads 1 "
#define PRETRAIN "pretrain --data train.h5 --component state_encoder --state-steps 1 --threads 1 "

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("train.h5", 40, 1);
    untrained_write("init", "train.h5", true, false);
    return 0;
}

/* All that a run has left: its versions' weights, links, metrics and event files. */
typedef struct traces {
    char best[HASH_TEXT], latest[HASH_TEXT];
    int entries, versions, events;
} traces;

static traces traces_of(const char *out)
{
    traces t = {.entries = folder_count(path_of(out))};
    char name[64];
    content_of(out, t.best);
    snprintf(name, sizeof name, "%s/latest", out);
    content_of(name, t.latest);
    snprintf(name, sizeof name, "%s/versions", out);
    t.versions = folder_count(path_of(name));
    snprintf(name, sizeof name, "%s/tensorboard", out);
    t.events = access(path_of(name), F_OK) == 0 ? folder_count(path_of(name)) : 0;
    return t;
}

#define assert_same_traces(a, b)                                                                   \
    do {                                                                                           \
        assert_string_equal((a).best, (b).best);                                                   \
        assert_string_equal((a).latest, (b).latest);                                               \
        assert_int_equal((a).entries, (b).entries);                                                \
        assert_int_equal((a).versions, (b).versions);                                              \
        assert_int_equal((a).events, (b).events);                                                  \
    } while (0)

#define assert_refused(words, ...) assert_one_sentence(#__VA_ARGS__, syncog(__VA_ARGS__), 1, words)

/* ---- A folder in use ---- */

static void a_run_is_not_begun_where_another_one_is(void **state)
{
    assert_works(SMALL "--init init --out used --env-steps 128");
    assert_refused("used already holds a run (1 update); add --resume to go on, or --overwrite to "
                   "start again",
                   SMALL "--init init --out used --env-steps 128");
    assert_works(SMALL "--out used --resume --env-steps 256");
    const traces before = traces_of("used");
    assert_refused("used already holds a run (2 updates)",
                   SMALL "--init init --out used --env-steps 128 --seed 2");
    assert_refused("used already holds a checkpoint; give another --out, or add --overwrite",
                   PRETRAIN "--init init --out used");
    assert_refused("init already holds a checkpoint; give another --out, or add --overwrite",
                   PRETRAIN "--init used --out init");
    const traces after = traces_of("used");
    assert_same_traces(before, after);
}

static void nothing_is_begun_where_its_own_weights_lie(void **state)
{
    static const char *const inside[] = {
        "used", "used/", "used/latest", "used/versions/000001", "alias", "./used/../used/best"};
    const traces before = traces_of("used");
    assert_int_equal(symlink("used", path_of("alias")), 0);
    for (size_t k = 0; k < sizeof inside / sizeof *inside; k++) {
        assert_refused("lies in --out used: give another --out",
                       SMALL "--init %s --out used --overwrite --env-steps 128", inside[k]);
        assert_refused("lies in --out used: give another --out",
                       PRETRAIN "--init %s --out used --overwrite", inside[k]);
    }
    const traces after = traces_of("used");
    assert_same_traces(before, after);
}

/* ---- Replacing ---- */

static void overwrite_leaves_the_run_that_a_free_folder_would_hold(void **state)
{
    assert_works(SMALL "--init init --out replaced --env-steps 384 --checkpoint-interval 1");
    assert_works(SMALL "--init init --out replaced --env-steps 256 --seed 2 --overwrite");
    assert_works(SMALL "--init init --out free --env-steps 256 --seed 2 --overwrite");
    const traces a = traces_of("replaced"), b = traces_of("free");
    assert_same_traces(a, b);
    assert_int_equal(assert_same_metrics("free", "replaced"), 2);
    assert_int_equal(a.events, 1);
    assert_works("checkpoint verify replaced --all");
    assert_works(SMALL "--out replaced --resume --seed 2 --env-steps 384");
    assert_works(SMALL "--init init --out whole --seed 2 --env-steps 384");
    assert_int_equal(assert_same_metrics("whole", "replaced"), 3);
}

static void overwrite_touches_no_file_that_is_not_the_runs(void **state)
{
    static const char *const unknown[] = {
        "kept/notes.txt", "kept/versions/notes.txt", "kept/versions/000001/notes.txt",
        "kept/tensorboard/notes.txt", "kept/tensorboard/events.out.tfevents.17.elsewhere"};
    enum { UNKNOWN = sizeof unknown / sizeof *unknown };
    assert_works(SMALL "--init init --out kept --env-steps 256 --checkpoint-interval 1");
    for (int k = 0; k < UNKNOWN; k++) text_write(unknown[k], "mine");
    assert_works(SMALL "--init init --out kept --env-steps 128 --seed 2 --overwrite");
    assert_non_null(strstr(complained, "kept/versions/000001 stays: notes.txt in it is not"));
    for (int k = 0; k < UNKNOWN; k++) assert_int_equal(access(path_of(unknown[k]), F_OK), 0);
    assert_int_equal(folder_count(path_of("kept/versions")), 3); /* 1, the run's, and the notes */
    assert_int_equal(folder_count(path_of("kept/tensorboard")), 3);
    assert_works("checkpoint verify kept --all");
}

static void a_save_that_fails_replaces_nothing(void **state)
{
    assert_works(SMALL "--init init --out small --env-steps 256");
    const traces before = traces_of("small");
    const int code = syncog("--version; ulimit -f 2000; '%s' " SMALL
                            "--init init --out small --env-steps 128 --seed 2 --overwrite",
                            SYN_PROGRAM);
    assert_int_equal(code, 1);
    assert_non_null(strstr(complained, "not saved: File too large"));
    const traces after = traces_of("small");
    assert_same_traces(before, after);
    assert_works(SMALL "--out small --resume --env-steps 384");
    assert_works(SMALL "--init init --out large --env-steps 384");
    assert_int_equal(assert_same_metrics("large", "small"), 3);
}

static void pretrain_replaces_what_it_is_told_to(void **state)
{
    char one[HASH_TEXT], two[HASH_TEXT], hash[HASH_TEXT];
    assert_works(PRETRAIN "--init init --out judges");
    content_of("judges", one);
    assert_works(PRETRAIN "--init init --seed 2 --out judges --overwrite");
    assert_works(PRETRAIN "--init init --seed 2 --out others --overwrite");
    assert_string_not_equal(content_of("judges", hash), one);
    assert_string_equal(hash, content_of("others", two));
    assert_int_equal(folder_count(path_of("judges/versions")), 1);
    /* Of a run's folder, the best gives way too: it is what would be opened. */
    assert_works(SMALL "--init init --out run --env-steps 128");
    assert_works(PRETRAIN "--init init --seed 2 --out run --overwrite");
    assert_string_equal(content_of("run", hash), two);
}

/* ---- --init ---- */

static void only_weights_are_taken_from_another_run(void **state)
{
    syn_ctx ctx;
    syn_model from, m;
    syn_checkpoint *cp = NULL;
    double norm[3];
    const syn_tensor t = {"resume.value_norm", 1, {3}, SYN_TENSOR_F64, norm};
    assert_works(SMALL "--init init --out first --env-steps 512");
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_checkpoint_open_version(path_of("first"), "best", &cp));
    assert_ok(syn_checkpoint_read(cp, &t));
    const syn_value_norm n = {norm[0], norm[1], norm[2]};
    const double mean = syn_value_norm_mean(&n), std = syn_value_norm_std(&n);
    assert_true(fabs(std - 1) > 0.05 && fabs(mean) > 0.05); /* or the test says nothing */
    assert_ok(syn_model_read(&ctx, cp, &from));
    assert_ok(syn_model_read(&ctx, cp, &m));
    assert_true(m.control.params.step > 0);
    assert_ok(syn_ppo_state_weights_only(&m.control, cp));
    const syn_params *p = &m.control.params;
    assert_int_equal(p->step, 0);
    for (int64_t k = 0; k < p->total; k++) assert_true(p->m[k] == 0 && p->v[k] == 0);
    for (int i = 0; i < p->count; i++) {
        const bool out = i == SYN_C_CRITIC_OUT, bias = i == SYN_C_CRITIC_OUT_B;
        for (int64_t k = 0; k < p->item[i].count; k++) {
            const double was = (double)syn_value(&from.control.params, i)[k];
            const double expected = out ? was * std : bias ? was * std + mean : was;
            assert_true(fabs((double)syn_value(p, i)[k] - expected) <= 1e-5 * fabs(expected));
        }
    }
    m.has_policy = true;
    assert_ok(syn_model_save(path_of("bare"), &m, false, NULL, NULL));
    syn_model_free(&ctx, &from);
    syn_model_free(&ctx, &m);
    syn_checkpoint_close(cp);
    syn_ctx_free(&ctx);
}

static void a_run_from_another_one_is_that_from_its_bare_weights(void **state)
{
    char a[HASH_TEXT], b[HASH_TEXT];
    assert_works(SMALL "--init first --out from_run --env-steps 256 --seed 3");
    assert_works(SMALL "--init bare --out from_bare --env-steps 256 --seed 3");
    assert_int_equal(assert_same_metrics("from_run", "from_bare"), 2);
    assert_string_equal(content_of("from_run/latest", a), content_of("from_bare/latest", b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_not_begun_where_another_one_is),
        cmocka_unit_test(nothing_is_begun_where_its_own_weights_lie),
        cmocka_unit_test(overwrite_leaves_the_run_that_a_free_folder_would_hold),
        cmocka_unit_test(overwrite_touches_no_file_that_is_not_the_runs),
        cmocka_unit_test(a_save_that_fails_replaces_nothing),
        cmocka_unit_test(pretrain_replaces_what_it_is_told_to),
        cmocka_unit_test(only_weights_are_taken_from_another_run),
        cmocka_unit_test(a_run_from_another_one_is_that_from_its_bare_weights),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
