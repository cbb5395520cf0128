/* The shapes that batches of teams are filled up to on CUDA: they hold the batch, what is filled in
 * has a place, and few of them come. */
#include "tests/test.h"
#include "trainer/gap_batch.h"

enum { BATCHES = 2000, TEAMS = 64 };

/* A batch of random teams. */
static syn_gap_shape drawn(syn_rng *rng)
{
    syn_gap_shape s = {0};
    for (int e = 0; e < TEAMS; e++) {
        syn_env env = {.agents = 2 + (int)syn_rng_below(rng, SYN_AGENTS_MAX - 1)};
        const int pieces = 10 + (int)syn_rng_below(rng, 19);
        for (int k = 0; k < pieces; k++) env.count[syn_rng_below(rng, (uint32_t)env.agents)]++;
        syn_gap_shape_add(&s, &env);
    }
    return s;
}

static void a_shape_counts_agents_links_and_items(void **state)
{
    (void)state;
    syn_gap_shape s = {0};
    const syn_env three = {.agents = 3, .count = {4, 0, 7, 99}},
                  two = {.agents = 2, .count = {1, 2}};
    syn_gap_shape_add(&s, &three);
    syn_gap_shape_add(&s, &two);
    assert_true(s.agents == 5 && s.links == 8 && s.items == 14 && s.longest == 7);
}

static void what_is_filled_in_has_a_place(void **state)
{
    (void)state;
    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    for (int k = 0; k < BATCHES; k++) {
        const syn_gap_shape s = drawn(&rng), to = syn_gap_shape_fill(&s);
        assert_true(to.links >= s.links && to.items >= s.items && to.longest >= s.longest);
        assert_true(to.agents > s.agents); /* a link that is filled in has an end */
        assert_true((to.agents - s.agents) * to.longest >= to.items - s.items);
        assert_true(to.longest <= SYN_ROWS_MAX);
        assert_true(to.links <= 2 * s.links && to.items <= 2 * s.items);
    }
    const syn_gap_shape nothing = {.agents = 2, .links = 2}; /* memories without items */
    const syn_gap_shape to = syn_gap_shape_fill(&nothing);
    assert_true(to.agents > 2 && to.links == 2 && to.items == 0 && to.longest == 0);
}

static void few_shapes_come(void **state)
{
    (void)state;
    syn_rng rng = syn_rng_make(2, SYN_STREAM_TEST);
    syn_gap_shape seen[64];
    int count = 0;
    for (int k = 0; k < BATCHES; k++) {
        const syn_gap_shape s = drawn(&rng), to = syn_gap_shape_fill(&s);
        int at = 0;
        while (at < count && memcmp(&seen[at], &to, sizeof to) != 0) at++;
        if (at < count) continue;
        assert_true(count < 64);
        seen[count++] = to;
    }
    assert_in_range(count, 1, 24); /* as many as are kept recorded */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shape_counts_agents_links_and_items),
        cmocka_unit_test(what_is_filled_in_has_a_place),
        cmocka_unit_test(few_shapes_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
