/* Data sets in memory: appending, doubles, folds, and training records apart from a test fold. */
#include "tests/datasets/helpers.h"

#include "datasets/keyset.h"
#include "engine/text.h"

static const char *cache_make(const char *name, const char *prefix, int count)
{
    char input[32];
    syn_prepare_report report;
    snprintf(input, sizeof input, "%s.json", prefix);
    const char *out = path_of(name);
    assert_ok(prepare_one("hotpotqa", records_write(input, prefix, count), out, &report));
    return out;
}

/* Every text of a record can be reached: its offsets are those of its own tokens. */
static void assert_record_is_whole(const syn_dataset *ds, const syn_record *r, const char *id)
{
    char text[64];
    uint32_t tokens[32];
    size_t count;
    assert_string_equal(syn_record_id(ds, r), id);
    assert_int_equal(r->id_key, syn_dataset_key(id, strlen(id)));
    for (int k = 0; k < r->piece_count; k++) {
        const syn_piece *p = syn_record_piece(ds, r, k);
        snprintf(text, sizeof text, "Piece %d of %s.", k, id);
        syn_text_tokenise(text, strlen(text), tokens, 32, &count);
        assert_true((int64_t)count < p->body_count);
        assert_memory_equal(ds->tokens + p->body_at, tokens, count * sizeof tokens[0]);
    }
}

static void several_caches_are_appended(void **state)
{
    syn_dataset ds = {0};
    assert_ok(syn_dataset_load(&ds, cache_make("a.h5", "a", 40)));
    assert_ok(syn_dataset_load(&ds, cache_make("b.h5", "b", 30)));
    assert_int_equal(ds.record_count, 70);
    assert_int_equal(ds.source_count, 2);
    for (int i = 0; i < 70; i++) {
        char id[16];
        snprintf(id, sizeof id, "%c%d", i < 40 ? 'a' : 'b', i < 40 ? i : i - 40);
        assert_record_is_whole(&ds, &ds.records[i], id);
        assert_int_equal(ds.records[i].source, i >= 40);
    }
    syn_dataset_free(&ds);
}

static void a_record_that_is_there_already_is_left_out_and_counted(void **state)
{
    syn_dataset ds = {0};
    assert_ok(syn_dataset_load(&ds, cache_make("few.h5", "r", 10)));
    assert_ok(syn_dataset_load(&ds, cache_make("more.h5", "r", 25)));
    assert_int_equal(ds.record_count, 25);
    assert_int_equal(ds.sources[1].records, 15);
    assert_int_equal(ds.sources[1].skipped[SYN_SKIP_DUPLICATE], 10);
    for (int i = 0; i < 25; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        assert_record_is_whole(&ds, &ds.records[i], id);
        assert_int_equal(ds.records[i].source, i >= 10);
    }
    syn_dataset_free(&ds);
}

static void a_failed_load_changes_nothing(void **state)
{
    syn_dataset ds = {0};
    assert_ok(syn_dataset_load(&ds, cache_make("good.h5", "r", 5)));
    syn_dataset before = ds;
    assert_fails(syn_dataset_load(&ds, text_write("bad.h5", "x")), SYN_ERR_FORMAT, "bad.h5");
    assert_memory_equal(&before, &ds, sizeof ds);
    syn_dataset_free(&ds);
}

static void more_than_16_sources_are_refused(void **state)
{
    syn_dataset ds = {0};
    for (int i = 0; i < SYN_SOURCES_MAX; i++) {
        char prefix[8];
        snprintf(prefix, sizeof prefix, "s%d-", i);
        assert_ok(syn_dataset_load(&ds, cache_make("s.h5", prefix, 1)));
    }
    assert_fails(syn_dataset_load(&ds, cache_make("s.h5", "last", 1)), SYN_ERR_LIMIT,
                 "s.h5: more than 16");
    assert_int_equal(ds.record_count, SYN_SOURCES_MAX);
    syn_dataset_free(&ds);
}

/* Folds decide what a checkpoint has seen: they depend on the id alone and must never change. */
static void folds_depend_on_the_id_alone(void **state)
{
    static const char *const ids[] = {"5a8b57f25542995d1e6f1371", "2hop__482757_12019", "x"};
    static const int of_five[] = {2, 4, 0};
    for (int i = 0; i < 3; i++) {
        syn_record r = {.id_key = syn_dataset_key(ids[i], strlen(ids[i]))};
        assert_int_equal(syn_record_fold(&r, 5), of_five[i]);
        assert_int_equal(syn_record_fold(&r, 1), 0);
    }
}

static void folds_are_of_about_equal_size(void **state)
{
    int counts[5] = {0};
    for (int i = 0; i < 5000; i++) {
        char id[16];
        snprintf(id, sizeof id, "id%d", i);
        syn_record r = {.id_key = syn_dataset_key(id, strlen(id))};
        counts[syn_record_fold(&r, 5)]++;
    }
    for (int i = 0; i < 5; i++) assert_in_range(counts[i], 880, 1120); /* 1000, sd 28 */
}

static void training_records_share_no_title_with_the_test_fold(void **state)
{
    /* Fold by id_key % 2: records 0 and 2 are the test fold. */
    syn_piece pieces[] = {{.title_key = 10}, {.title_key = 0},  {.title_key = 20},
                          {.title_key = 0},  {.title_key = 30}, {.title_key = 40},
                          {.title_key = 10}, {.title_key = 50}};
    syn_record records[] = {{.id_key = 0, .piece_first = 0, .piece_count = 2},
                            {.id_key = 1, .piece_first = 2, .piece_count = 2},
                            {.id_key = 2, .piece_first = 4, .piece_count = 2},
                            {.id_key = 3, .piece_first = 6, .piece_count = 2}};
    syn_dataset ds = {.records = records, .record_count = 4, .pieces = pieces, .piece_count = 8};
    uint8_t keep[4];
    assert_int_equal(syn_dataset_title_disjoint(&ds, 2, 0, keep), 1);
    static const uint8_t expected[] = {0, 1, 0, 0}; /* pieces without a title are no bond */
    assert_memory_equal(keep, expected, 4);
}

static void a_key_set_holds_what_was_added(void **state)
{
    syn_keyset s = {0};
    bool added;
    assert_false(syn_keyset_has(&s, 0));
    assert_false(syn_keyset_has(&s, 7));
    for (uint64_t round = 0; round < 2; round++)
        for (uint64_t k = 0; k < 20000; k++) {
            assert_ok(syn_keyset_add(&s, k * 0x100000000u, &added));
            assert_int_equal(added, round == 0);
        }
    assert_true(syn_keyset_has(&s, 0));
    assert_true(syn_keyset_has(&s, 19999u * 0x100000000u));
    assert_false(syn_keyset_has(&s, 1));
    syn_keyset_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_caches_are_appended),
        cmocka_unit_test(a_record_that_is_there_already_is_left_out_and_counted),
        cmocka_unit_test(a_failed_load_changes_nothing),
        cmocka_unit_test(more_than_16_sources_are_refused),
        cmocka_unit_test(folds_depend_on_the_id_alone),
        cmocka_unit_test(folds_are_of_about_equal_size),
        cmocka_unit_test(training_records_share_no_title_with_the_test_fold),
        cmocka_unit_test(a_key_set_holds_what_was_added),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
