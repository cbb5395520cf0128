/* From records to tasks: which become tasks, in which forms, and that nothing else matters. */
#include "tests/trainer/corpus_world.h"

enum { R = SYN_ROWS_MAX };

static void records_that_leave_nothing_to_choose_are_skipped(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    dataset_begin(&ds);
    random_records(&ds, 3, 6, 2, true);
    random_records(&ds, 1, 4, 4, true); /* 3: all gold */
    random_records(&ds, 2, 6, 2, true);
    ds.records[4].answerable = 0;
    corpus_build(&c, &ds, 0);
    const int64_t expected[] = {0, 1, 2, 5};
    assert_int_equal(c.records, 4);
    assert_int_equal(c.tasks.count, 8);
    assert_memory_equal(c.record, expected, sizeof expected);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

static void every_record_is_there_with_and_without_its_titles(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    dataset_begin(&ds);
    random_records(&ds, 6, 7, 2, true);
    corpus_build(&c, &ds, 0);
    for (int64_t r = 0; r < c.records; r++) {
        const syn_task_info *a = &c.tasks.info[2 * r], *b = &c.tasks.info[2 * r + 1];
        assert_memory_equal(a, b, sizeof *a);
        for (int row = 0; row < a->pieces + SYN_FOREIGN_ROWS; row++) {
            const real *with = c.tasks.quest + 2 * r * SYN_TASK_QUEST + row * SYN_DQ;
            assert_true(with[SYN_Q_TITLED] == 1);
            assert_true(with[SYN_TASK_QUEST + SYN_Q_TITLED] == 0);
        }
    }
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

static void a_mixed_corpus_has_every_record_in_two_forms(void **state)
{
    enum { RECORDS = 30, PIECES = 6 };
    syn_dataset ds;
    syn_corpus plain, mixed;
    int sizes = 0;
    uint32_t seen = 0;
    dataset_begin(&ds);
    random_records(&ds, RECORDS, PIECES, 2, true);
    corpus_build(&plain, &ds, 0);
    assert_ok(syn_corpus_build_mixed(&ctx, &mixed, &ds, NULL, NULL, idf, table, 0));
    assert_int_equal(plain.usable, RECORDS);
    assert_int_equal(mixed.usable, RECORDS);
    assert_int_equal(mixed.records, 2 * RECORDS);
    for (int64_t r = 0; r < RECORDS; r++) {
        const syn_task_info *own = &mixed.tasks.info[4 * r], *more = own + 2;
        assert_true(mixed.record[2 * r] == r && mixed.record[2 * r + 1] == r);
        assert_int_equal(own->pieces, PIECES);
        assert_in_range(more->pieces, PIECES + 1, SYN_PIECES_OWN_MAX);
        assert_int_equal(own->gold, more->gold);
        assert_memory_equal(mixed.tasks.quest + 4 * r * SYN_TASK_QUEST,
                            plain.tasks.quest + 2 * r * SYN_TASK_QUEST,
                            sizeof(real) * SYN_TASK_QUEST);
        seen |= 1u << more->pieces;
    }
    for (; seen; seen &= seen - 1) sizes++;
    assert_true(sizes > 8); /* of 22 */
    syn_corpus_free(&ctx, &plain);
    syn_corpus_free(&ctx, &mixed);
    assert_ok(syn_corpus_build_mixed(&ctx, &mixed, &ds, NULL, NULL, idf, table, 28));
    assert_int_equal(mixed.records, RECORDS); /* nothing more can be had */
    syn_corpus_free(&ctx, &mixed);
    syn_dataset_free(&ds);
}

/* The others can lend twelve pieces, four of which are foreign. */
static void a_second_form_takes_what_the_others_can_lend(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    dataset_begin(&ds);
    random_records(&ds, 3, 6, 2, true);
    assert_ok(syn_corpus_idf(&ds, NULL, idf));
    assert_ok(syn_corpus_build_mixed(&ctx, &c, &ds, NULL, NULL, idf, table, 0));
    for (int64_t r = 0; r < 3; r++) assert_in_range(c.tasks.info[4 * r + 2].pieces, 7, 14);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

static void the_number_of_threads_changes_nothing(void **state)
{
    syn_dataset ds;
    syn_corpus one, two;
    syn_ctx threads;
    dataset_begin(&ds);
    random_records(&ds, 70, 6, 2, true);
    corpus_build(&one, &ds, 9);
    assert_ok(syn_ctx_init(&threads, SYN_DEVICE_CPU, 2));
    assert_ok(syn_corpus_build(&threads, &two, &ds, NULL, NULL, idf, table, 9));
    const size_t n = (size_t)one.tasks.count;
    assert_int_equal(n, two.tasks.count);
    assert_memory_equal(one.tasks.info, two.tasks.info, n * sizeof *one.tasks.info);
    assert_memory_equal(one.tasks.quest, two.tasks.quest, n * SYN_TASK_QUEST * sizeof(real));
    assert_memory_equal(one.tasks.pair, two.tasks.pair, n * SYN_TASK_PAIR * sizeof(real));
    assert_memory_equal(one.tasks.e, two.tasks.e, n * R * SYN_DE * sizeof(real));
    assert_memory_equal(one.tasks.q, two.tasks.q, n * SYN_DE * sizeof(real));
    syn_corpus_free(&ctx, &one);
    syn_corpus_free(&threads, &two);
    syn_ctx_free(&threads);
    syn_dataset_free(&ds);
}

/* What a corpus says about a record does not depend on how many others come before it. */
static void a_record_is_prepared_alike_wherever_it_stands(void **state)
{
    syn_dataset ds;
    syn_corpus all, some;
    uint8_t use[12] = {0};
    dataset_begin(&ds);
    random_records(&ds, 12, 6, 2, true);
    use[7] = use[9] = 1;
    corpus_build(&all, &ds, 8);
    assert_ok(syn_corpus_build(&ctx, &some, &ds, use, NULL, idf, table, 8));
    assert_memory_equal(some.tasks.e, all.tasks.e + 14 * R * SYN_DE, 2 * R * SYN_DE * sizeof(real));
    assert_memory_equal(some.tasks.pair, all.tasks.pair + 14 * SYN_TASK_PAIR,
                        2 * SYN_TASK_PAIR * sizeof(real));
    syn_corpus_free(&ctx, &all);
    syn_corpus_free(&ctx, &some);
    syn_dataset_free(&ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_that_leave_nothing_to_choose_are_skipped),
        cmocka_unit_test(every_record_is_there_with_and_without_its_titles),
        cmocka_unit_test(a_mixed_corpus_has_every_record_in_two_forms),
        cmocka_unit_test(a_second_form_takes_what_the_others_can_lend),
        cmocka_unit_test(the_number_of_threads_changes_nothing),
        cmocka_unit_test(a_record_is_prepared_alike_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, corpus_setup, corpus_teardown);
}
