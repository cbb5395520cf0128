/* The area under the success-message curve, on curves drawn by hand. */
#include "benchmarks/eval_area.h"
#include "tests/test.h"

#define AREA(most, ...)                                                                            \
    area((syn_trade[]){__VA_ARGS__}, sizeof((syn_trade[]){__VA_ARGS__}) / sizeof(syn_trade), most)

static double area(const syn_trade *point, size_t n, double most)
{
    syn_trade sorted[16];
    memcpy(sorted, point, n * sizeof *point);
    return syn_trade_area(sorted, (int)n, most);
}

static void assert_area(double got, double expected)
{
    if (fabs(got - expected) > 1e-12) fail_msg("the area is %.12g, not %.12g", got, expected);
}

static void a_level_curve_has_the_area_of_its_height(void **state)
{
    assert_area(AREA(7, {0, 0.3}), 0.3);
    assert_area(AREA(7, {0, 0.3}, {7, 0.3}), 0.3);
    assert_area(AREA(7, {0, 1}), 1);
}

static void between_points_it_is_straight(void **state)
{
    assert_area(AREA(4, {0, 0}, {4, 1}), 0.5);
    assert_area(AREA(4, {0, 0.2}, {2, 0.6}, {4, 1}), 0.6);
    assert_area(AREA(4, {0, 0.2}, {1, 1}), (0.6 + 3) / 4);
}

static void order_does_not_matter(void **state)
{
    assert_area(AREA(4, {4, 1}, {0, 0.2}, {2, 0.8}), AREA(4, {0, 0.2}, {2, 0.8}, {4, 1}));
}

static void points_that_another_one_beats_do_not_count(void **state)
{
    double clean = AREA(4, {0, 0.2}, {2, 0.8});
    assert_area(AREA(4, {0, 0.2}, {2, 0.8}, {3, 0.5}), clean);
    assert_area(AREA(4, {0, 0.2}, {2, 0.8}, {2, 0.1}, {0, 0.1}), clean);
    assert_area(AREA(4, {0, 0.2}, {1, 0.2}, {2, 0.8}), clean);
}

/* Up to `most` the line counts, what lies behind it does not. */
static void beyond_the_end_only_the_line_counts(void **state)
{
    assert_area(AREA(2, {0, 0}, {4, 1}), 0.25);
    assert_area(AREA(2, {0, 0}, {4, 1}, {9, 5}), 0.25);
    assert_area(AREA(2, {0, 0.4}, {2, 0.6}, {3, 1}), 0.5);
}

static void before_the_first_point_there_is_nothing(void **state)
{
    assert_area(AREA(4, {1, 0.8}), 0.6);
    assert_area(AREA(4, {5, 0.8}), 0);
}

static void without_a_range_or_points_there_is_no_area(void **state)
{
    syn_trade point = {0, 1};
    assert_true(isnan(syn_trade_area(&point, 0, 1)));
    assert_true(isnan(syn_trade_area(&point, 1, 0)));
    assert_true(isnan(syn_trade_area(&point, 1, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_curve_has_the_area_of_its_height),
        cmocka_unit_test(between_points_it_is_straight),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(points_that_another_one_beats_do_not_count),
        cmocka_unit_test(beyond_the_end_only_the_line_counts),
        cmocka_unit_test(before_the_first_point_there_is_nothing),
        cmocka_unit_test(without_a_range_or_points_there_is_no_area),
    };
    return cmocka_run_group_tests_name("test_eval_area", tests, NULL, NULL);
}
