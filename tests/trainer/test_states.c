/* States for models made elsewhere: what the file says is what the networks read, and a checkpoint
 * keeps what its networks go without. */
#include <hdf5.h>

#include "tests/trainer/commands.h"
#include "trainer/pretrain.h"

#define TINY "--ranker-steps 1 --gap-steps 2 --state-steps 2 --batch 8 --no-leak-test --threads 1"

enum { N = SYN_AGENTS_MAX };

static int set_up(void **state)
{
    if (folder_setup(state)) return 1;
    cache_write("train.h5", 60, 1);
    cache_write("test.h5", 40, 2);
    assert_works("pretrain --data train.h5 " TINY " --cross-fit 2 --folds 3 --fold 1 --out pre");
    return 0;
}

/* The whole of one array; free(). */
static void *array_read(const char *name, const char *array, hid_t type, hsize_t shape[2])
{
    hid_t file = H5Fopen(path_of(name), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    hid_t set = H5Dopen2(file, array, H5P_DEFAULT), space = H5Dget_space(set);
    shape[1] = 1;
    assert_true(H5Sget_simple_extent_dims(space, shape, NULL) >= 1);
    void *x = malloc((size_t)(shape[0] * shape[1]) * H5Tget_size(type) + 1);
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    return x;
}

/* ---- What is in the file ---- */

static void the_opening_states_are_those_that_eval_scores(void **state)
{
    enum { S = 300 };
    syn_ctx ctx;
    syn_dataset ds = {0};
    syn_model m;
    syn_corpus corpus;
    syn_measured got;
    hsize_t shape[2];
    int32_t record[64];
    assert_works("states --data test.h5 --checkpoint pre --count 300 --seed 5 --threads 1 "
                 "--out opening.h5");
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_dataset_load(&ds, path_of("test.h5")));
    assert_ok(syn_model_load(&ctx, path_of("pre"), &m, NULL, NULL));
    assert_ok(syn_corpus_build(&ctx, &corpus, &ds, NULL, NULL, m.idf, m.table, 0));
    for (int k = 0; k < corpus.records; k++) record[k] = k;
    assert_ok(syn_measure(&ctx, &m.perception, true, &corpus, &syn_episodes_opening, record,
                          corpus.records, S, 5, &got));
    float *gap = array_read("opening.h5", "states/gap", H5T_NATIVE_FLOAT, shape);
    assert_int_equal(shape[0], S);
    uint8_t *label = array_read("opening.h5", "states/label", H5T_NATIVE_UINT8, shape);
    int64_t *key = array_read("opening.h5", "states/record", H5T_NATIVE_INT64, shape);
    for (int s = 0; s < S; s++) {
        assert_true(gap[2 * s] == got.gap[s].logit);
        assert_int_equal(label[N * s], got.gap[s].label);
        assert_true(key[s] == (int64_t)ds.records[corpus.record[got.gap[s].group]].id_key);
    }
    free(gap);
    free(label);
    free(key);
    syn_measured_free(&got);
    syn_corpus_free(&ctx, &corpus);
    syn_model_free(&ctx, &m);
    syn_dataset_free(&ds);
    syn_ctx_free(&ctx);
}

/* Nothing but the asker's role stands in the meta of an item; its agent is in an array beside. */
static void items_belong_to_their_states(void **state)
{
    hsize_t states[2], items[2], x_shape[2];
    int64_t *count = array_read("opening.h5", "states/items", H5T_NATIVE_INT64, states);
    uint8_t *agent = array_read("opening.h5", "items/agent", H5T_NATIVE_UINT8, items);
    uint8_t *row = array_read("opening.h5", "items/row", H5T_NATIVE_UINT8, items);
    int32_t *agents = array_read("opening.h5", "states/agents", H5T_NATIVE_INT32, states);
    float *x = array_read("opening.h5", "items/x", H5T_NATIVE_FLOAT, x_shape);
    float *asker = array_read("opening.h5", "items/asker", H5T_NATIVE_FLOAT, items);
    assert_int_equal(x_shape[0], items[0]);
    assert_int_equal(x_shape[1], SYN_DI);
    int64_t at = 0;
    for (hsize_t s = 0; s < states[0]; s++) {
        uint32_t seen = 0;
        for (int64_t k = at; k < at + count[s]; k++) {
            const float *item = x + k * SYN_DI, *meta = item + SYN_DI - SYN_ITEM_META;
            assert_in_range(agent[k], 0, agents[s] - 1);
            assert_true(k == at || agent[k] >= agent[k - 1]);
            assert_false(seen >> row[k] & 1); /* in the opening each piece has one holder */
            seen |= 1u << row[k];
            assert_true(meta[3] == (agent[k] == 0));
            if (agent[k]) continue; /* the asker's own view, twice */
            assert_memory_equal(asker + k * (SYN_DV + 1), item + SYN_DQ, sizeof(float) * SYN_DV);
        }
        at += count[s];
    }
    assert_int_equal(at, x_shape[0]);
    free(count);
    free(agent);
    free(row);
    free(agents);
    free(x);
    free(asker);
}

/* Folds and the share for early stopping cut the records as pretrain does. */
static void training_validation_and_test_share_no_record(void **state)
{
    static const char *const part[] = {"train", "validation", "test"};
    syn_dataset ds = {0};
    hsize_t shape[2];
    assert_ok(syn_dataset_load(&ds, path_of("train.h5")));
    for (int k = 0; k < 3; k++) {
        assert_works("states --data train.h5 --checkpoint pre --folds 3 --fold 1 --records %s "
                     "--draw %s --count 200 --threads 1 --out part-%s.h5",
                     part[k], k ? "opening" : "training", part[k]);
        char name[32];
        snprintf(name, sizeof name, "part-%s.h5", part[k]);
        int64_t *key = array_read(name, "states/record", H5T_NATIVE_INT64, shape);
        int32_t *fold = array_read(name, "states/fold", H5T_NATIVE_INT32, shape);
        assert_int_equal(shape[0], 200);
        for (hsize_t s = 0; s < shape[0]; s++) {
            const syn_record *r = NULL;
            for (int64_t i = 0; i < ds.record_count && !r; i++)
                if ((int64_t)ds.records[i].id_key == key[s]) r = &ds.records[i];
            assert_non_null(r);
            assert_int_equal(fold[s], syn_record_fold(r, 3));
            assert_true((fold[s] == 1) == (k == 2));
            if (k < 2) assert_true(syn_record_held_out(r) == (k == 1));
        }
        free(key);
        free(fold);
    }
    syn_dataset_free(&ds);
}

static void training_states_may_be_judged_by_the_part_that_has_not_seen_them(void **state)
{
    hsize_t shape[2];
    assert_works("states --data train.h5 --checkpoint pre --folds 3 --fold 1 --records train "
                 "--draw training --count 200 --threads 1 --cross-fitted --out cross.h5");
    float *x = array_read("cross.h5", "states/gap", H5T_NATIVE_FLOAT, shape);
    assert_int_equal(shape[0], 200);
    free(x);
    int code = syncog("states --data train.h5 --checkpoint pre --folds 3 --fold 1 --cross-fitted "
                      "--threads 1 --out x.h5");
    assert_one_sentence("states", code, 2, "--cross-fitted is for training records");
}

static void a_failed_call_leaves_no_file(void **state)
{
    int code = syncog("states --data test.h5 --checkpoint nowhere --threads 1 --out none.h5");
    assert_int_equal(code, 1);
    assert_int_not_equal(access(path_of("none.h5"), F_OK), 0);
    code = syncog("states --data test.h5 --checkpoint pre --threads 1 --out ./test.h5");
    assert_one_sentence("states", code, 2, "is one of --data");
    code = syncog("states --data test.h5 --checkpoint pre --threads 1");
    assert_one_sentence("states", code, 2, "--out");
    code = syncog("states --data test.h5 --checkpoint pre --threads 1 --out no/such/place.h5");
    assert_int_equal(code, 1);
}

/* ---- A checkpoint keeps what it goes without ---- */

static uint32_t without_of(const char *name, bool *central)
{
    syn_ctx ctx;
    syn_model m;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_model_load(&ctx, path_of(name), &m, NULL, NULL));
    const uint32_t without = m.perception.without;
    for (int k = 0; k < m.parts; k++) assert_int_equal(m.part[k].without, without);
    *central = m.central;
    syn_model_free(&ctx, &m);
    syn_ctx_free(&ctx);
    return without;
}

static void an_ablation_travels_with_the_checkpoint(void **state)
{
    bool central;
    assert_works("pretrain --data train.h5 " TINY
                 " --cross-fit 2 --without titles,gap,state,unsent "
                 "--out ablated");
    const uint32_t expected = SYN_WITHOUT_TITLES | SYN_WITHOUT_GAP | SYN_WITHOUT_STATE;
    assert_int_equal(without_of("ablated", &central), expected);
    assert_false(central); /* what was not sent is unseen by a policy that is not central */
    assert_int_equal(without_of("pre", &central), 0);
    assert_true(central);
    assert_works(
        "train --data train.h5 --init ablated --env-steps 500 --eval-episodes 20 --threads 1 "
        "--out run");
    assert_int_equal(without_of("run", &central), expected);
}

static void without_titles_a_titled_task_is_like_the_other(void **state)
{
    hsize_t shape[2];
    assert_works("states --data test.h5 --checkpoint ablated --count 100 --seed 5 --threads 1 "
                 "--out bare.h5");
    float *x = array_read("bare.h5", "items/x", H5T_NATIVE_FLOAT, shape);
    for (hsize_t k = 0; k < shape[0]; k++) assert_true(x[k * SYN_DI + SYN_Q_TITLED] == 0);
    free(x);
    x = array_read("opening.h5", "items/x", H5T_NATIVE_FLOAT, shape);
    assert_true(x[SYN_Q_TITLED] == 1);
    free(x);
    assert_works("eval --data test.h5 --checkpoint ablated --episodes 200 --threads 1 --json");
    const char *with = strstr(said, "\"auroc\":"), *bare = strstr(said, "\"no_title_auroc\":");
    assert_true(with && bare && atof(with + 8) == atof(bare + 17));
}

static void a_wrong_ablation_is_refused(void **state)
{
    int code = syncog("pretrain --data train.h5 --without own-view --out x");
    assert_one_sentence("pretrain", code, 2, "did you mean 'own_view'?");
    code = syncog("pretrain --data train.h5 --init pre --component state_encoder --without gap "
                  "--out x");
    assert_one_sentence("pretrain", code, 2, "--without says nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_opening_states_are_those_that_eval_scores),
        cmocka_unit_test(items_belong_to_their_states),
        cmocka_unit_test(training_validation_and_test_share_no_record),
        cmocka_unit_test(training_states_may_be_judged_by_the_part_that_has_not_seen_them),
        cmocka_unit_test(a_failed_call_leaves_no_file),
        cmocka_unit_test(an_ablation_travels_with_the_checkpoint),
        cmocka_unit_test(without_titles_a_titled_task_is_like_the_other),
        cmocka_unit_test(a_wrong_ablation_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
