/* Phase 2 as a whole: equal seeds give equal bits, a short run improves the policy by far, and
 * what it writes is what it says. */
#include "tests/trainer/commands.h"

#include <jansson.h>

#include "kernels/base/progress.h"
#include "trainer/policies.h"

#define TINY                                                                                       \
    "--batch-size 128 --mini-batch-size 64 --horizon 8 --epochs 2 --eval-episodes 40 "             \
    "--eval-interval 1 --threads 1"

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("train.h5", 60, 1);
    untrained_write("init", "train.h5", true, false);
    return 0;
}

/* The sum over an object's members, or the one called `only`. */
static double sum_of(const json_t *line, const char *key, const char *only)
{
    const char *name;
    json_t *value;
    double sum = 0;
    json_object_foreach(json_object_get(line, key), name, value)
    {
        if (!*only || !strcmp(name, only)) sum += json_number_value(value);
    }
    return sum;
}

static const char *path_tail(const char *folder, const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void equal_seeds_give_equal_bits(void **state)
{
    char hash[3][HASH_TEXT];
    assert_works("train --data train.h5 --init init --out a --env-steps 256 --seed 1 " TINY);
    assert_works("train --data train.h5 --init init --out b --env-steps 256 --seed 1 " TINY);
    assert_works("train --data train.h5 --init init --out c --env-steps 256 --seed 2 " TINY);
    assert_string_equal(content_of("a/latest", hash[0]), content_of("b/latest", hash[1]));
    assert_string_not_equal(hash[0], content_of("c/latest", hash[2]));
    assert_string_equal(content_of("a", hash[0]), content_of("b", hash[1]));
    assert_int_equal(assert_same_metrics("a", "b"), 2);
}

static void the_judges_stay_as_they_are(void **state)
{
    int compared = 0;
    assert_true(largest_difference("init", "a", "", &compared) == 0);
    assert_true(compared > 20);
    assert_true(largest_difference("a", "c", "control.", &compared) > 0);
}

static void metrics_are_one_object_per_update(void **state)
{
    static const char *const keys[] = {"update",
                                       "env_steps",
                                       "return",
                                       "success",
                                       "messages",
                                       "policy_loss",
                                       "value_loss",
                                       "entropy_normalised",
                                       "kl",
                                       "clip_fraction",
                                       "grad_norm",
                                       "held_out_return",
                                       "held_out_success",
                                       "held_out_messages",
                                       "lr_actor",
                                       "lr_critic",
                                       "explained_variance",
                                       "value_mean",
                                       "value_std",
                                       "spikes",
                                       "env_steps_per_s"};
    size_t bytes;
    char *text = file_read(path_of("a/metrics.jsonl"), &bytes), *save = NULL;
    int lines = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *j = json_loads(line, 0, NULL);
        assert_non_null(j);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            const json_t *value = json_object_get(j, keys[k]);
            if (!json_is_number(value)) fail_msg("no number \"%s\" in %s", keys[k], line);
            assert_true(isfinite(json_number_value(value)));
        }
        lines++;
        assert_int_equal(json_integer_value(json_object_get(j, "update")), lines);
        assert_int_equal(json_integer_value(json_object_get(j, "env_steps")), lines * 128);
        double entropy = json_number_value(json_object_get(j, "entropy_normalised"));
        assert_true(entropy > 0 && entropy <= 1.0001);
        assert_true(sum_of(j, "actions", "") == 128);
        assert_true(sum_of(j, "seconds", "update") > 0);
        double parts = sum_of(j, "seconds", "") - sum_of(j, "seconds", "update") -
                       sum_of(j, "seconds", "evaluate") - sum_of(j, "seconds", "save");
        assert_true(parts > 0 && parts <= sum_of(j, "seconds", "update") * 1.001);
        json_decref(j);
    }
    assert_int_equal(lines, 2);
    free(text);
}

static void every_version_holds_what_a_run_goes_on_from(void **state)
{
    static const char *const which[] = {"best", "latest"};
    static const char *const tensors[] = {"moment1.state.in.w", "moment2.critic.out.b",
                                          "resume.env",         "resume.h",
                                          "resume.value_norm",  "resume.spikes"};
    for (int k = 0; k < 2; k++) {
        syn_checkpoint *cp = NULL;
        assert_ok(syn_checkpoint_open_version(path_of("a"), which[k], &cp));
        for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++)
            if (!syn_checkpoint_find(cp, tensors[t])) fail_msg("no %s in %s", tensors[t], which[k]);
        assert_non_null(strstr(syn_checkpoint_config(cp), "\"env_steps_done\":"));
        assert_non_null(strstr(syn_checkpoint_provenance(cp), "\"sha256\":"));
        assert_non_null(strstr(syn_checkpoint_metrics(cp), "\"return\":"));
        syn_checkpoint_close(cp);
    }
}

static void only_the_best_is_saved_where_that_is_asked_for(void **state)
{
    char best[HASH_TEXT], latest[HASH_TEXT];
    assert_works("train --data train.h5 --init init --out best --env-steps 512 --save-best-only "
                 "--auto-save-interval 1 " TINY);
    assert_string_equal(content_of("best", best), content_of("best/latest", latest));
}

static void board_files_lie_beside_the_metrics(void **state)
{
    assert_int_equal(folder_count(path_of("a/tensorboard")), 1);
}

static void a_resumed_run_goes_on(void **state)
{
    size_t bytes;
    assert_works(
        "train --data train.h5 --init init --out a --env-steps 384 --seed 1 --resume " TINY);
    assert_non_null(strstr(said, "trained 128 env-steps"));
    char *text = file_read(path_of("a/metrics.jsonl"), &bytes);
    assert_int_equal(line_count(text), 3);
    assert_non_null(strstr(text, "\"env_steps\":384"));
    free(text);
    assert_works(
        "train --data train.h5 --out a --env-steps 384 --seed 1 --resume " TINY); /* nothing is left
                                                                                   */
    assert_non_null(strstr(said, "trained 0 env-steps"));
    assert_null(strstr(said, "nan"));
}

/* Where a run is saved, and how often, leaves no trace in it; nor does an end and a new beginning.
 */
static void saves_and_a_resume_leave_no_trace(void **state)
{
    static const char *const saved[] = {"--checkpoint-interval 1", "--checkpoint-interval 3",
                                        "--checkpoint-interval 0 --save-best-only"};
    char whole[HASH_TEXT], hash[HASH_TEXT], name[16];
    assert_works("train --data train.h5 --init init --out long --env-steps 384 --seed 1 " TINY);
    content_of("long/latest", whole);
    assert_string_equal(content_of("a/latest", hash), whole); /* 256 steps, then 128 more */
    assert_int_equal(assert_same_metrics("long", "a"), 3);
    for (int k = 0; k < 3; k++) {
        snprintf(name, sizeof name, "saved%d", k);
        assert_works("train --data train.h5 --init init --out %s --env-steps 384 --seed 1 %s " TINY,
                     name, saved[k]);
        assert_int_equal(assert_same_metrics("long", name), 3);
        if (k < 2) assert_string_equal(content_of(path_tail(name, "latest"), hash), whole);
    }
}

static void another_game_or_other_data_are_refused(void **state)
{
    static const char *const other[][2] = {
        {"--data train.h5 --seed 2", "another seed"},
        {"--data train.h5 --goal consensus", "another goal"},
        {"--data train.h5 --num-agents-range 2-4", "another num_agents_range"},
        {"--data train.h5 --no-reward-shaping", "another reward_shaping"},
        {"--data train.h5 --untitled-share 0.5", "another untitled_share"},
        {"--data other.h5", "was trained on other data"}};
    cache_write("other.h5", 60, 2);
    for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
        assert_one_sentence(other[k][0],
                            syncog("train %s --out a --env-steps 999 --resume " TINY, other[k][0]),
                            2, other[k][1]);
    }
}

/* Weights and schedule go on where the environments cannot. */
static void other_shapes_begin_the_episodes_anew(void **state)
{
    assert_works("train --data train.h5 --out a --env-steps 768 --seed 1 --resume " TINY
                 " --batch-size 192");
    assert_non_null(strstr(complained, "the episodes begin anew"));
    assert_non_null(strstr(complained, "was trained with batch_size 128 and goes on with 192"));
    assert_non_null(strstr(said, "trained 384 env-steps"));
}

/* ---- Learning ---- */

/* Mean return of sampled actions on records that no phase has seen. */
static double sampled_return(const char *name, const syn_dataset *ds)
{
    enum { EPISODES = 600 };
    syn_ctx ctx;
    syn_model m;
    syn_corpus corpus = {0};
    syn_episode_result *result = malloc(sizeof *result * EPISODES);
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_model_load(&ctx, path_of(name), &m, NULL, NULL));
    if (!m.has_control) assert_ok(syn_control_init(&ctx, &m.control, 1));
    assert_ok(syn_corpus_build(&ctx, &corpus, ds, NULL, NULL, m.idf, m.table, 0));
    int32_t *record = malloc(sizeof *record * (size_t)corpus.records);
    for (int64_t k = 0; k < corpus.records; k++) record[k] = (int32_t)k;
    syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    env.agents_max = 4;
    const syn_play play = {.ctx = &ctx,
                           .corpus = &corpus,
                           .env = env,
                           .record = record,
                           .records = corpus.records,
                           .seed = 11,
                           .central = m.central,
                           .sample = true,
                           .perception = &m.perception,
                           .control = &m.control};
    assert_ok(syn_play_policy(&play, SYN_POLICY_LEARNED, EPISODES, result, NULL));
    double mean = syn_policy_summarise(result, EPISODES).episode_return;
    free(record);
    free(result);
    syn_corpus_free(&ctx, &corpus);
    syn_model_free(&ctx, &m);
    syn_ctx_free(&ctx);
    return mean;
}

static void a_short_run_improves_the_policy(void **state)
{
    syn_dataset unseen = {0};
    cache_write("learn.h5", 80, 1);
    cache_write("unseen.h5", 40, 9);
    assert_ok(syn_dataset_load(&unseen, path_of("unseen.h5")));
    assert_works("pretrain --data learn.h5 --component ckm --out judges --ranker-steps 60 "
                 "--gap-steps 120 --batch 16 "
                 "--learning-rate 2e-3 --cross-fit 0 --no-leak-test --threads 1");
    assert_works(
        "train --data learn.h5 --init judges --out learnt --env-steps 6144 --batch-size 512 "
        "--mini-batch-size 128 --horizon 16 --eval-episodes 200 --eval-interval 4 "
        "--num-agents-range 2-4 "
        "--save-best-only --threads 1");
    double before = sampled_return("judges", &unseen), after = sampled_return("learnt", &unseen);
    print_message("mean return of sampled actions on unseen records: %.2f, trained %.2f\n", before,
                  after);
    assert_true(after - before > 3);
    syn_dataset_free(&unseen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_bits),
        cmocka_unit_test(the_judges_stay_as_they_are),
        cmocka_unit_test(metrics_are_one_object_per_update),
        cmocka_unit_test(every_version_holds_what_a_run_goes_on_from),
        cmocka_unit_test(only_the_best_is_saved_where_that_is_asked_for),
        cmocka_unit_test(board_files_lie_beside_the_metrics),
        cmocka_unit_test(a_resumed_run_goes_on),
        cmocka_unit_test(saves_and_a_resume_leave_no_trace),
        cmocka_unit_test(another_game_or_other_data_are_refused),
        cmocka_unit_test(other_shapes_begin_the_episodes_anew),
        cmocka_unit_test(a_short_run_improves_the_policy),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
