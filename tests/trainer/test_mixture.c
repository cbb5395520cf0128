/* --data FILE.h5@WEIGHT: every record of a file is drawn so many times as often, in both phases,
 * the same on any number of ranks and after a resume; what is no weight is refused. */
#include "tests/trainer/commands.h"

#include "kernels/env.h"
#include "trainer/episodes.h"
#include "trainer/pretrain.h"
#include "trainer/run.h"

enum { A = 40, B = 80, EPISODES = 40000 };

#define SMALL                                                                                      \
    "train --batch-size 128 --mini-batch-size 64 --horizon 8 --epochs 1 --eval-episodes 16 "       \
    "--eval-interval 1 --num-agents-range 2-4 --threads 1 "
#define PRETRAIN                                                                                   \
    "pretrain --ranker-steps 2 --gap-steps 2 --state-steps 1 --batch 8 --cross-fit 0 "             \
    "--no-leak-test --threads 1 "
#define STATE_ENCODER "pretrain --component state_encoder --init init --state-steps 1 --threads 1 "

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("a.h5", A, 1);
    cache_write("b.h5", B, 2);
    cache_write("odd.h5@3", 20, 3); /* a file may be called so */
    untrained_write("init", "a.h5", true, false);
    return 0;
}

/* ---- Draws ---- */

typedef struct mixture {
    syn_run run;
    syn_corpus corpus;
    int32_t all[2 * (A + B)];
    int64_t count[A + B]; /* draws of each record */
    syn_draw draw;
} mixture;

/* The two files with these weights, as text; the list of all records. */
static void mixture_open(mixture *m, const char *a, const char *b)
{
    char item[2][160];
    syn_idf *idf = malloc(sizeof *idf);
    real *table = calloc((size_t)SYN_VOCABULARY * SYN_DE, sizeof *table);
    memset(m, 0, sizeof *m);
    snprintf(item[0], sizeof item[0], "%s/a.h5%s", test_folder, a);
    snprintf(item[1], sizeof item[1], "%s/b.h5%s", test_folder, b);
    const syn_run_config cfg = {
        .data = {{item[0], item[1]}, 2}, .device = "cpu", .threads = 1, .weighted = true};
    assert_ok(syn_run_open(&m->run, &cfg, true));
    assert_ok(syn_corpus_idf(&m->run.data, NULL, idf));
    assert_ok(
        syn_corpus_build(&m->run.ctx, &m->corpus, &m->run.data, m->run.use, NULL, idf, table, 0));
    assert_ok(syn_corpus_weigh(&m->corpus, &m->run.data, m->run.weight));
    assert_int_equal(m->corpus.records, A + B);
    for (int32_t r = 0; r < A + B; r++) m->all[r] = r;
    m->draw = syn_corpus_draw(&m->corpus, m->all, A + B);
    free(idf);
    free(table);
}

static void mixture_close(mixture *m)
{
    syn_corpus_free(&m->run.ctx, &m->corpus);
    syn_run_close(&m->run);
}

/* Draws of file A have the share p within 4.5 standard deviations, and so has every record of its
 * file within 5. */
static void assert_shares(const mixture *m, double p)
{
    double drawn[2] = {0};
    for (int r = 0; r < A + B; r++) drawn[r >= A] += (double)m->count[r];
    const double n = drawn[0] + drawn[1];
    const double off = fabs(drawn[0] / n - p), bound = 4.5 * sqrt(p * (1 - p) / n);
    if (off > bound) fail_msg("share %.5f, expected %.5f +- %.5f", drawn[0] / n, p, bound);
    for (int r = 0; r < A + B; r++) {
        const double q = r < A ? p / A : (1 - p) / B;
        if (fabs((double)m->count[r] / n - q) > 5 * sqrt(q * (1 - q) / n))
            fail_msg("record %d: share %.6f, expected %.6f", r, (double)m->count[r] / n, q);
    }
}

static const struct {
    const char *a, *b;
    double share; /* of a */
} mixtures[] = {
    {"@3", "@0.5", 3.0 * A / (3.0 * A + 0.5 * B)},
    {"@2.5", "", 2.5 * A / (2.5 * A + B)},
    {"", "@1e1", A / (A + 10.0 * B)},
    {"@7", "@7", (double)A / (A + B)},
};

static void episodes_of_ppo_have_the_shares_of_the_weights(void **state)
{
    const syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    for (size_t k = 0; k < sizeof mixtures / sizeof *mixtures; k++) {
        mixture m;
        mixture_open(&m, mixtures[k].a, mixtures[k].b);
        const syn_env_source src = {m.corpus.tasks.info, m.all, A + B, 0.3f, 5, m.draw};
        for (uint64_t n = 0; n < EPISODES; n++) {
            syn_env e;
            syn_env_start(&e, &env, &src, n);
            m.count[e.task / 2]++;
        }
        assert_shares(&m, mixtures[k].share);
        mixture_close(&m);
    }
}

static void episodes_of_pretraining_have_them_too(void **state)
{
    for (size_t k = 0; k < sizeof mixtures / sizeof *mixtures; k++) {
        mixture m;
        mixture_open(&m, mixtures[k].a, mixtures[k].b);
        for (uint64_t n = 0; n < EPISODES; n++) {
            syn_env e;
            syn_episode_draw_weighted(&e, &syn_episodes_training, &m.corpus, m.all, A + B, &m.draw,
                                      7, n);
            m.count[e.task / 2]++;
        }
        assert_shares(&m, mixtures[k].share);
        mixture_close(&m);
    }
}

/* The records that choose the weights are drawn like those that are learnt from. */
static void measurements_have_them_too(void **state)
{
    enum { STATES = 4000 };
    mixture m;
    syn_perception p;
    syn_measured measured;
    mixture_open(&m, "@3", "@0.5");
    assert_ok(syn_perception_init(&m.run.ctx, &p, 1));
    assert_ok(syn_measure(&m.run.ctx, &p, true, &m.corpus, &syn_episodes_opening, m.all, A + B,
                          STATES, 9, &measured));
    assert_int_equal(measured.gaps, STATES);
    for (int64_t k = 0; k < measured.gaps; k++) m.count[measured.gap[k].group]++;
    assert_shares(&m, mixtures[0].share);
    syn_measured_free(&measured);
    syn_perception_free(&m.run.ctx, &p);
    mixture_close(&m);
}

static void equal_weights_are_none(void **state)
{
    mixture m;
    mixture_open(&m, "@7", "@7");
    assert_null(m.corpus.weight);
    assert_int_equal(m.draw.blocks, 0);
    mixture_close(&m);
}

/* Of a list in which records are missing, and which cross-fitting has cut out of the middle. */
static void any_ascending_list_keeps_the_ratio(void **state)
{
    const syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    mixture m;
    int32_t some[A + B];
    int64_t n = 0, of_a = 0, drawn = 0;
    mixture_open(&m, "@4", "");
    for (int32_t r = 11; r < A + B - 7; r += 1 + r % 3) some[n++] = r;
    for (int64_t k = 0; k < n; k++) of_a += some[k] < A;
    const double p = 4.0 * (double)of_a / (3.0 * (double)of_a + (double)n);
    const syn_env_source src = {
        m.corpus.tasks.info, some, n, 0, 3, syn_corpus_draw(&m.corpus, some, n)};
    for (uint64_t e = 0; e < EPISODES; e++) {
        syn_env env_e;
        syn_env_start(&env_e, &env, &src, e);
        drawn += env_e.task / 2 < A;
    }
    assert_true(fabs((double)drawn / EPISODES - p) < 4.5 * sqrt(p * (1 - p) / EPISODES));
    mixture_close(&m);
}

/* ---- The commands ---- */

static void what_is_no_weight_is_refused(void **state)
{
    static const char *const wrong[] = {"a.h5@0",    "a.h5@-1",  "a.h5@nan", "a.h5@1001",
                                        "a.h5@1e-4", "a.h5@",    "a.h5@x",   "a.h5@2x",
                                        "a.h5@0x10", "a.h5@inf", "a.h5@ 2",  "a.h5@1@2@"};
    char line[256];
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        snprintf(line, sizeof line, SMALL "--init init --out out --data b.h5 --data '%s'",
                 wrong[k]);
        assert_one_sentence(line, syncog("%s", line), 2,
                            "is no weight: a number from 0.001 to 1000");
        assert_non_null(strstr(complained, wrong[k]));
        snprintf(line, sizeof line, PRETRAIN "--out out --data '%s'", wrong[k]);
        assert_one_sentence(line, syncog("%s", line), 2, "there is no file of this name");
        assert_int_not_equal(access(path_of("out"), F_OK), 0);
    }
    assert_one_sentence("a missing file", syncog(PRETRAIN "--out out --data nowhere.h5@2"), 1,
                        "nowhere.h5: cannot be opened");
    assert_one_sentence("eval", syncog("eval --data a.h5@2 --checkpoint init"), 2,
                        "only pretrain and train weigh their data; leave out @2");
}

static void a_file_may_have_such_a_name(void **state)
{
    assert_int_equal(mkdir(path_of("user@7"), 0700), 0);
    assert_int_equal(link(path_of("a.h5"), path_of("user@7/a.h5")), 0);
    assert_works(STATE_ENCODER "--out named --data odd.h5@3 --data user@7/a.h5");
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(path_of("named"), &cp));
    assert_null(strstr(syn_checkpoint_provenance(cp), "weight"));
    syn_checkpoint_close(cp);
    assert_works(STATE_ENCODER "--out weighted --data odd.h5@3@0.5 --data user@7/a.h5@2");
    assert_ok(syn_checkpoint_open(path_of("weighted"), &cp));
    assert_non_null(strstr(syn_checkpoint_provenance(cp), "\"weight\":0.5}"));
    assert_non_null(strstr(syn_checkpoint_provenance(cp), "\"weight\":2.0}"));
    syn_checkpoint_close(cp);
}

/* Bits change with the ratio of the weights, and with nothing else. */
static void pretrain_goes_by_the_ratio(void **state)
{
    char plain[HASH_TEXT], same[HASH_TEXT], other[HASH_TEXT];
    assert_works(PRETRAIN "--out plain --data a.h5 --data b.h5");
    assert_works(PRETRAIN "--out same --data a.h5@5 --data b.h5@5");
    assert_works(PRETRAIN "--out other --data a.h5@5 --data b.h5");
    assert_string_equal(content_of("same", same), content_of("plain", plain));
    assert_string_not_equal(content_of("other", other), plain);
}

/* With weights a million apart, no environment plays a record of the lighter file. */
static void train_plays_by_the_weights(void **state)
{
    syn_checkpoint *cp = NULL;
    assert_works(SMALL "--init init --out heavy --data a.h5@0.001 --data b.h5@1000 --env-steps 1");
    assert_ok(syn_checkpoint_open_version(path_of("heavy"), "latest", &cp));
    syn_tensor t = *syn_checkpoint_find(cp, "resume.env");
    assert_int_equal(t.shape[1], sizeof(syn_env));
    syn_env *envs = malloc((size_t)syn_tensor_bytes(&t));
    t.data = envs;
    assert_ok(syn_checkpoint_read(cp, &t));
    assert_true(t.shape[0] >= 16);
    for (int64_t e = 0; e < t.shape[0]; e++) assert_true(envs[e].task / 2 >= A);
    free(envs);
    syn_checkpoint_close(cp);
}

static void resume_keeps_to_the_weights(void **state)
{
    char whole[HASH_TEXT], parts[HASH_TEXT];
    static const char *const other[] = {"--data a.h5 --data b.h5", "--data a.h5@2 --data b.h5",
                                        "--data a.h5@3 --data b.h5@2"};
    assert_works(SMALL "--init init --out whole --data a.h5@3 --data b.h5 --env-steps 384");
    assert_works(SMALL "--init init --out parts --data a.h5@3 --data b.h5 --env-steps 128");
    for (size_t k = 0; k < sizeof other / sizeof *other; k++)
        assert_one_sentence(
            other[k], syncog(SMALL "--out parts --resume --env-steps 384 %s", other[k]), 2,
            "--resume: parts was trained on other data, with other weights of them or on another");
    assert_works(SMALL "--out parts --resume --data a.h5@3 --data b.h5 --env-steps 384");
    assert_string_equal(content_of("parts/latest", parts), content_of("whole/latest", whole));
    assert_int_equal(assert_same_metrics("whole", "parts"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(episodes_of_ppo_have_the_shares_of_the_weights),
        cmocka_unit_test(episodes_of_pretraining_have_them_too),
        cmocka_unit_test(measurements_have_them_too),
        cmocka_unit_test(equal_weights_are_none),
        cmocka_unit_test(any_ascending_list_keeps_the_ratio),
        cmocka_unit_test(what_is_no_weight_is_refused),
        cmocka_unit_test(a_file_may_have_such_a_name),
        cmocka_unit_test(pretrain_goes_by_the_ratio),
        cmocka_unit_test(train_plays_by_the_weights),
        cmocka_unit_test(resume_keeps_to_the_weights),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
