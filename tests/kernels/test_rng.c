/* Philox 4x32-10 against the known answers of the Random123 library, and the draws made of it. */
#include "kernels/base/rng.h"
#include "tests/test.h"

/* Random123's counter words are (counter, stream), its key is the seed, low words first. */
static void blocks_are_the_known_answers(void **state)
{
    static const struct {
        uint64_t seed, stream, counter;
        uint32_t x[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822ull,
         0x0370734413198a2eull,
         0x85a308d3243f6a88ull,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        syn_philox r = syn_rng_block(known[i].seed, known[i].stream, known[i].counter);
        for (int k = 0; k < 4; k++) assert_int_equal(r.x[k], known[i].x[k]);
    }
}

static void a_sequence_walks_through_the_blocks_of_its_stream(void **state)
{
    syn_rng rng = syn_rng_make(42, SYN_STREAM_TEST);
    for (uint64_t counter = 0; counter < 5; counter++) {
        syn_philox r = syn_rng_block(42, SYN_STREAM_TEST, counter);
        for (int k = 0; k < 4; k++) assert_int_equal(syn_rng_u32(&rng), r.x[k]);
    }
}

static void seeds_and_streams_are_told_apart(void **state)
{
    syn_philox a = syn_rng_block(1, 1, 0), b = syn_rng_block(2, 1, 0), c = syn_rng_block(1, 2, 0);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
}

static void unit_draws_are_exact_and_below_one(void **state)
{
    assert_true(syn_rng_unit(0) == 0);
    assert_true(syn_rng_unit(255) == 0);
    assert_true(syn_rng_unit(256) == 1.0f / 16777216.0f);
    assert_true(syn_rng_unit(0x80000000u) == 0.5f);
    assert_true(syn_rng_unit(UINT32_MAX) == 16777215.0f / 16777216.0f);
}

static void unit_draws_are_uniform(void **state)
{
    enum { DRAWS = 100000, BINS = 20 };
    int bin[BINS] = {0};
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    for (int i = 0; i < DRAWS; i++) bin[(int)(syn_rng_uniform(&rng) * BINS)]++;
    double chi2 = 0, expected = (double)DRAWS / BINS;
    for (int b = 0; b < BINS; b++) chi2 += pow(bin[b] - expected, 2) / expected;
    assert_true(chi2 < 50); /* 19 degrees of freedom: beyond the 99.98th percentile */
}

static void integers_below_n_reach_every_value_and_no_other(void **state)
{
    syn_rng rng = syn_rng_make(4, SYN_STREAM_TEST);
    int seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint32_t x = syn_rng_below(&rng, 7);
        assert_true(x < 7);
        seen[x]++;
    }
    for (int x = 0; x < 7; x++) assert_in_range(seen[x], 850, 1150);
    for (int i = 0; i < 10; i++) assert_int_equal(syn_rng_below(&rng, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_the_known_answers),
        cmocka_unit_test(a_sequence_walks_through_the_blocks_of_its_stream),
        cmocka_unit_test(seeds_and_streams_are_told_apart),
        cmocka_unit_test(unit_draws_are_exact_and_below_one),
        cmocka_unit_test(unit_draws_are_uniform),
        cmocka_unit_test(integers_below_n_reach_every_value_and_no_other),
    };
    return cmocka_run_group_tests_name("test_rng", tests, NULL, NULL);
}
