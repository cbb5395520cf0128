/* `syncog eval --sweep`: what is chosen follows from validation records alone, and a point is the
 * policy with these biases. */
#include "tests/benchmarks/evaluations.h"

#define SWEEP "--checkpoint trained --episodes 60 --sweep --sweep-episodes 80 --seed 3 "

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("test.h5", 60, 1);
    cache_write("other.h5", 40, 2);
    cache_write("training.h5", 80, 3);
    untrained_write("judges", "test.h5", true, false);
    untrained_write("trained", "test.h5", true, true);
    return 0;
}

/* ---- The choice ---- */

static syn_sweep_point point_of(double messages, double success, double value)
{
    syn_sweep_point p = {0};
    p.validation = (syn_policy_summary){
        .messages = messages, .success_answerable = success, .episode_return = value};
    /* On the scored records everything is the other way round. */
    p.test = (syn_policy_summary){
        .messages = 10 - messages, .success_answerable = 1 - success, .episode_return = -value};
    return p;
}

static void the_choice_is_the_cheapest_point_that_loses_little_on_validation(void **state)
{
    const syn_sweep_point p[] = {point_of(1, 0.90, 14), point_of(2, 0.975, 15),
                                 point_of(3, 0.985, 13), point_of(5, 0.992, 12),
                                 point_of(4, 0.982, 11)};
    assert_int_equal(syn_sweep_choose(p, 5, 1, 0.02), 2);
    assert_int_equal(syn_sweep_choose(p, 5, 1, 0.01), 3);
    assert_int_equal(syn_sweep_choose(p, 5, 1, 0.001), 3); /* none: the least loss */
    assert_int_equal(syn_sweep_choose(p, 5, 0.9, 0.01), 0);
    assert_int_equal(syn_sweep_choose(p, 5, 1, NAN), 1);
}

enum { TARGETS = 3 };
static const char *const targets[TARGETS] = {"within_2_points", "within_1_point", "best_return"};

/* The point of the JSON's own validation figures that must have been chosen. */
static int chosen_by_hand(const json_t *sweep, const char *target)
{
    static syn_sweep_point p[64];
    const json_t *points = json_object_get(sweep, "points"),
                 *c = json_object_get(json_object_get(sweep, "chosen"), target);
    const int n = (int)json_array_size(points);
    const json_t *loss = json_object_get(c, "success_answerable_loss_max");
    double reference = number(c, "validation/success_answerable") +
                       number(c, "validation/success_answerable_loss");
    assert_in_range(n, 12, 20);
    for (int k = 0; k < n; k++) {
        const json_t *v = json_object_get(json_array_get(points, (size_t)k), "validation");
        p[k].validation =
            (syn_policy_summary){.messages = number(v, "messages"),
                                 .success_answerable = number(v, "success_answerable"),
                                 .episode_return = number(v, "return")};
    }
    return syn_sweep_choose(p, n, reference,
                            json_is_null(loss) ? (double)NAN : json_number_value(loss));
}

static void what_is_chosen_follows_from_validation_and_not_from_what_is_scored(void **state)
{
    json_t *a = evaluate(SWEEP "--choose-data training.h5"), *b;
    int code = syncog("eval --data other.h5 --json --threads 1 " SWEEP "--choose-data training.h5");
    assert_int_equal(code, 0);
    b = json_loads(said, 0, NULL);
    const json_t *x = json_object_get(a, "sweep"), *y = json_object_get(b, "sweep");
    assert_true(number(x, "validation_records") >= 2 && number(x, "validation_records") < 40);
    assert_int_equal(number(x, "validation_episodes"), 80);
    for (int t = 0; t < TARGETS; t++) {
        const json_t *c = json_object_get(json_object_get(x, "chosen"), targets[t]),
                     *d = json_object_get(json_object_get(y, "chosen"), targets[t]);
        const json_t *point =
            json_array_get(json_object_get(x, "points"), (size_t)chosen_by_hand(x, targets[t]));
        assert_true(number(c, "answer_bias") == number(point, "answer_bias"));
        assert_true(number(c, "abstain_bias") == number(point, "abstain_bias"));
        /* Other questions are scored: the same choice, the same validation, other figures. */
        assert_true(json_equal(json_object_get(c, "validation"), json_object_get(d, "validation")));
        assert_true(number(c, "answer_bias") == number(d, "answer_bias"));
        assert_true(number(c, "abstain_bias") == number(d, "abstain_bias"));
        assert_false(json_equal(json_object_get(c, "test"), json_object_get(d, "test")));
        char path[64];
        snprintf(path, sizeof path, "ablations/learned_%s/return", targets[t]);
        assert_true(fabs(number(a, path) - number(c, "test/return")) < 1e-4);
    }
    assert_true(number(x, "gap_thresholds/learned_gap_stop/answer_below") ==
                number(y, "gap_thresholds/learned_gap_stop/answer_below"));
    json_decref(a);
    json_decref(b);
}

/* Everybody who has told everything to everybody gets there always; others get there with less. */
static void choices_are_held_against_the_untrained_policy_that_gets_there_most_often(void **state)
{
    json_t *a = evaluate(SWEEP "--choose-data training.h5");
    const json_t *sweep = json_object_get(a, "sweep");
    const char *name = json_string_value(json_object_get(sweep, "reference"));
    char path[80];
    assert_non_null(name);
    snprintf(path, sizeof path, "policies/%s/messages", name);
    const double messages = number(a, path);
    assert_true(messages > 0 && messages < number(a, "policies/broadcast/messages"));
    snprintf(path, sizeof path, "policies/%s/success_answerable", name);
    const double success = number(a, path);
    for (int t = 0; t < TARGETS; t++) {
        const json_t *c = json_object_get(json_object_get(sweep, "chosen"), targets[t]);
        assert_true(fabs(number(c, "test/message_ratio") - number(c, "test/messages") / messages) <
                    1e-4);
        assert_true(fabs(number(c, "test/success_answerable_loss") -
                         (success - number(c, "test/success_answerable"))) < 1e-4);
        assert_true(fabs(number(c, "validation/success_answerable") +
                         number(c, "validation/success_answerable_loss") - 1) < 1e-4);
    }
    json_decref(a);
}

/* A point of the sweep is the learned policy with these biases. */
static void a_point_is_the_policy_with_these_biases(void **state)
{
    json_t *a = evaluate(SWEEP "--choose-data training.h5"),
           *b = evaluate("--checkpoint trained --episodes 60 --seed 3 --stop-bias -1 "
                         "--abstain-bias -4");
    size_t k;
    json_t *point;
    int found = 0;
    json_array_foreach(json_object_get(json_object_get(a, "sweep"), "points"), k, point)
    {
        if (number(point, "answer_bias") != -1 || number(point, "abstain_bias") != -4) continue;
        found++;
        assert_true(number(point, "test/return") == number(b, "policies/learned/return"));
        assert_true(number(point, "test/messages") == number(b, "policies/learned/messages"));
    }
    assert_int_equal(found, 1);
    json_decref(a);
    json_decref(b);
}

static void no_record_chooses_for_itself(void **state)
{
    int code = syncog("eval --data test.h5 --json --threads 1 " SWEEP "--choose-data test.h5");
    assert_one_sentence("eval --sweep", code, 1, "test.h5: holds 0 held-out training records");
    code = syncog("eval --data test.h5 --json --threads 1 " SWEEP);
    assert_one_sentence("eval --sweep", code, 2, "--choose-data");
    code = syncog("eval --data test.h5 --threads 1 --checkpoint judges --episodes 10 --sweep "
                  "--choose-data training.h5");
    assert_one_sentence("eval --sweep", code, 1, "no trained policy");
    json_t *j = evaluate(SWEEP "--folds 2 --fold 1"); /* the other fold's held-out records */
    assert_true(number(j, "sweep/validation_records") >= 2);
    assert_true(number(j, "records") + number(j, "sweep/validation_records") < 60);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_choice_is_the_cheapest_point_that_loses_little_on_validation),
        cmocka_unit_test(what_is_chosen_follows_from_validation_and_not_from_what_is_scored),
        cmocka_unit_test(choices_are_held_against_the_untrained_policy_that_gets_there_most_often),
        cmocka_unit_test(a_point_is_the_policy_with_these_biases),
        cmocka_unit_test(no_record_chooses_for_itself),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
