/* Which records: what is held out, folds, over which the idf is counted, and what is refused. */
#include "tests/trainer/corpus_world.h"

static void questions_about_one_dialogue_are_held_out_together(void **state)
{
    syn_record a = {.id_key = 1}, b = {.id_key = 99ull << 32, .context_key = 7ull << 32},
               c = {.id_key = 3, .context_key = 7ull << 32};
    assert_true(syn_record_held_out(&a));
    assert_true(syn_record_held_out(&b) && syn_record_held_out(&c));
    b.context_key = 0;
    assert_false(syn_record_held_out(&b));
}

static void idf_is_counted_over_the_marked_records(void **state)
{
    syn_dataset ds;
    const uint8_t use[] = {1, 0};
    size_t n;
    uint32_t word;
    dataset_begin(&ds);
    dataset_record(&ds, "a", "question");
    dataset_piece(&ds, "Lagoon", "the lagoon", true);
    dataset_piece(&ds, "Other", "text", false);
    dataset_record(&ds, "b", "question");
    dataset_piece(&ds, "Lagoon", "the lagoon", true);
    syn_text_tokenise("lagoon", 6, &word, 1, &n);
    assert_ok(syn_corpus_idf(&ds, use, idf));
    assert_true(fabsf(syn_idf_of(idf, word) - logf(3 / 1.5f)) < 1e-6f);
    assert_ok(syn_corpus_idf(&ds, NULL, idf));
    assert_true(fabsf(syn_idf_of(idf, word) - logf(4 / 2.5f)) < 1e-6f);
    syn_dataset_free(&ds);
}

static void too_few_records_and_impossible_sizes_are_refused(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    uint8_t pool[3] = {1, 0, 0};
    dataset_begin(&ds);
    random_records(&ds, 1, 6, 2, true);
    assert_ok(syn_corpus_idf(&ds, NULL, idf));
    assert_int_equal(syn_corpus_build(&ctx, &c, &ds, NULL, NULL, idf, table, 0), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), "1 usable records are too few"));
    random_records(&ds, 2, 6, 2, true);
    assert_int_equal(syn_corpus_build(&ctx, &c, &ds, NULL, pool, idf, table, 0), SYN_ERR_FORMAT);
    assert_null(c.record); /* nothing half-built is left */
    assert_int_equal(syn_corpus_build(&ctx, &c, &ds, NULL, NULL, idf, table, 28), SYN_ERR_FORMAT);
    assert_int_equal(syn_corpus_build(&ctx, &c, &ds, NULL, NULL, idf, table, 29), SYN_ERR_INVALID);
    assert_int_equal(syn_corpus_build(&ctx, &c, &ds, NULL, NULL, idf, table, -1), SYN_ERR_INVALID);
    syn_dataset_free(&ds);
}

static void folds_part_the_records_and_a_seventh_is_held_out(void **state)
{
    syn_dataset ds;
    uint8_t use[300], rest[300], seen[300] = {0};
    int held_out = 0;
    dataset_begin(&ds);
    random_records(&ds, 300, 2, 1, true);
    for (int fold = 0; fold < 5; fold++) {
        int n = 0;
        syn_corpus_fold(&ds, 5, fold, false, use);
        syn_corpus_fold(&ds, 5, fold, true, rest);
        for (int r = 0; r < 300; r++) {
            assert_int_equal(use[r] + rest[r], 1);
            seen[r] += use[r];
            n += use[r];
        }
        assert_in_range(n, 35, 85);
    }
    syn_corpus_fold(&ds, 0, 0, false, use);
    for (int r = 0; r < 300; r++) {
        assert_int_equal(seen[r], 1);
        assert_int_equal(use[r], 1);
        held_out += syn_record_held_out(&ds.records[r]);
    }
    assert_in_range(held_out, 25, 65); /* 15 % */
    syn_dataset_free(&ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_about_one_dialogue_are_held_out_together),
        cmocka_unit_test(idf_is_counted_over_the_marked_records),
        cmocka_unit_test(too_few_records_and_impossible_sizes_are_refused),
        cmocka_unit_test(folds_part_the_records_and_a_seventh_is_held_out),
    };
    return cmocka_run_group_tests(tests, corpus_setup, corpus_teardown);
}
