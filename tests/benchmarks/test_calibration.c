/* How far stated confidences are to be trusted: the temperature that answers were drawn with comes
 * out, whatever had been applied to them; files are written whole, and keep the other models. */
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/calibration.h"
#include "benchmarks/stats.h"
#include "kernels/base/rng.h"
#include "serve/aggregate.h"

enum { MANY = 40000 };

static uint8_t halves[MANY];

/* By turns. */
static const uint8_t *by_turns(int64_t n)
{
    for (int64_t k = 0; k < n; k++) halves[k] = (uint8_t)(k & 1);
    return halves;
}

/* Confidences that are right with probability sigma(logit(c) / t). */
static void draw(double t, int64_t n, double *confidence, double *correct)
{
    syn_rng rng = syn_rng_make(1, 1);
    for (int64_t k = 0; k < n; k++) {
        confidence[k] = .02 + .96 * (double)syn_rng_uniform(&rng);
        const double right = 1 / (1 + exp(-syn_logit(confidence[k]) / t));
        correct[k] = (double)syn_rng_uniform(&rng) < right;
    }
}

static void the_temperature_that_was_drawn_with_comes_out(void **state)
{
    static double confidence[MANY], correct[MANY];
    static const double t[] = {.5, 1, 2, 4};
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        syn_confidence_fit f;
        draw(t[k], MANY, confidence, correct);
        assert_ok(syn_confidence_fit_to(confidence, correct, by_turns(MANY), MANY, &f));
        assert_float_equal(f.temperature, t[k], .06 * t[k]);
        assert_true(f.ece_after < .015);
        assert_float_equal(f.ece_before, syn_confidence_ece(confidence, correct, MANY, NULL), 0);
        assert_true(f.log_loss_after <= f.log_loss_before);
        if (t[k] != 1) assert_true(f.ece_after < f.ece_before);
    }
}

static double likelihood(const double *confidence, const double *correct, int64_t n, double t)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const double p = 1 / (1 + exp(-syn_logit(fmin(fmax(confidence[k], .01), .99)) / t));
        sum += correct[k] * log(p) + (1 - correct[k]) * log(1 - p);
    }
    return sum;
}

/* Eight answers, each in both halves. */
static void no_temperature_near_by_is_likelier(void **state)
{
    static const double once[] = {0, .2, .9, .6, 1, .55, .7, .3},
                        right[] = {0, 1, 1, 0, 1, .5, 0, 0};
    double confidence[16], correct[16];
    syn_confidence_fit f;
    for (int k = 0; k < 16; k++) {
        confidence[k] = once[k / 2];
        correct[k] = right[k / 2];
    }
    assert_ok(syn_confidence_fit_to(confidence, correct, by_turns(16), 16, &f));
    assert_true(f.temperature > SYN_CALIBRATION_MIN && f.temperature < SYN_CALIBRATION_MAX);
    assert_true(fabs(f.temperature - 1) > .1);
    const double best = likelihood(confidence, correct, 16, f.temperature);
    for (double t = SYN_CALIBRATION_MIN; t <= SYN_CALIBRATION_MAX; t += .01)
        assert_true(likelihood(confidence, correct, 16, t) <= best + 1e-12);
    assert_float_equal(f.log_loss_after, -best / 16, 1e-12); /* the halves are alike */
    assert_float_equal(f.log_loss_before, -likelihood(confidence, correct, 16, 1) / 16, 1e-12);
}

static void it_stays_within_its_bounds(void **state)
{
    static const double sure[] = {.9, .9, .8, .8}, right[] = {1, 1, 1, 1}, wrong[] = {0, 0, 0, 0},
                        half[] = {.5, .5, .5, .5};
    syn_confidence_fit f;
    assert_ok(syn_confidence_fit_to(sure, right, by_turns(4), 4, &f));
    assert_float_equal(f.temperature, SYN_CALIBRATION_MIN, 1e-12);
    assert_ok(syn_confidence_fit_to(sure, wrong, by_turns(4), 4, &f));
    assert_float_equal(f.temperature, SYN_CALIBRATION_MAX, 1e-12);
    assert_ok(syn_confidence_fit_to(half, right, by_turns(4), 4, &f)); /* nothing to be learned */
    assert_float_equal(f.temperature, 1, 0);
}

/* What one half seems to teach is wrong in the other. */
static void a_temperature_that_does_not_carry_over_is_not_kept(void **state)
{
    double confidence[200], correct[200];
    syn_confidence_fit f;
    for (int k = 0; k < 200; k++) {
        confidence[k] = .8;
        correct[k] = k & 1 ? 1 : k % 20 < 12; /* always, and six times of ten */
    }
    assert_ok(syn_confidence_fit_to(confidence, correct, by_turns(200), 200, &f));
    assert_float_equal(f.temperature, 1, 0);
    assert_float_equal(f.log_loss_after, f.log_loss_before, 0);
    assert_float_equal(f.ece_after, f.ece_before, 0);
}

static void one_half_alone_is_not_fitted(void **state)
{
    static const double sure[] = {.9, .9, .9}, wrong[] = {0, 0, 0};
    static const uint8_t same[] = {1, 1, 1};
    syn_confidence_fit f;
    assert_ok(syn_confidence_fit_to(sure, wrong, same, 3, &f));
    assert_float_equal(f.temperature, 1, 0);
}

/* ---- by model, and the file ---- */

static char folder[64], path[128];

static int set_up(void **state)
{
    strcpy(folder, "/tmp/syncog-calibration-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/calibration.json", folder);
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    rmdir(folder);
    return 0;
}

/* Four questions each. */
static const char *story(int64_t k)
{
    static char text[24];
    snprintf(text, sizeof text, "story %lld", (long long)k / 4);
    return text;
}

static void add(syn_calibrator *c, const char *name, double t, double applied, int64_t n)
{
    static double confidence[MANY], correct[MANY];
    draw(t, n, confidence, correct);
    for (int64_t k = 0; k < n; k++)
        assert_ok(syn_calibrator_add(c, name, "coqa", story(k),
                                     syn_calibrate_confidence(confidence[k], applied), applied,
                                     correct[k]));
}

static void write_and_open(syn_calibrator *c, int fitted, syn_calibrations **out)
{
    int count;
    assert_ok(syn_calibrator_write(c, path, &count));
    assert_int_equal(count, fitted);
    assert_ok(syn_calibrations_open(path, out));
    syn_calibrator_close(c);
}

static void each_model_gets_its_own_once_it_has_answered_enough(void **state)
{
    syn_calibrator *c;
    syn_calibrations *read;
    assert_ok(syn_calibrator_open(&c));
    add(c, "vain", 3, 0, MANY);
    add(c, "shy", .6, 0, MANY);
    add(c, "rare", 3, 0, SYN_CALIBRATION_ANSWERS_MIN - 1);
    add(c, "just enough", 3, 0, SYN_CALIBRATION_ANSWERS_MIN);
    write_and_open(c, 3, &read);
    assert_float_equal(syn_calibration_of(read, "vain"), 3, .2);
    assert_float_equal(syn_calibration_of(read, "shy"), .6, .04);
    assert_float_equal(syn_calibration_of(read, "rare"), 1, 0);
    const json_t *vain = json_object_get(syn_calibrations_json(read), "vain");
    assert_int_equal(json_integer_value(json_object_get(vain, "answers")), MANY);
    assert_true(json_number_value(json_object_get(vain, "ece_before")) >
                json_number_value(json_object_get(vain, "ece_after")));
    syn_calibrations_close(read);
}

/* There is nothing then to judge a temperature by. */
static void all_answers_to_one_story_are_in_one_half(void **state)
{
    syn_calibrator *c;
    syn_calibrations *read;
    assert_ok(syn_calibrator_open(&c));
    for (int k = 0; k < 100; k++)
        assert_ok(syn_calibrator_add(c, "a", "coqa", "story 1", .9, 0, 0));
    write_and_open(c, 1, &read);
    assert_float_equal(syn_calibration_of(read, "a"), 1, 0);
    const json_t *a = json_object_get(syn_calibrations_json(read), "a");
    assert_non_null(strstr(json_string_value(json_object_get(a, "note")), "no temperature helps"));
    syn_calibrations_close(read);
}

static void what_was_applied_is_taken_back(void **state)
{
    syn_calibrator *c;
    syn_calibrations *read;
    assert_ok(syn_calibrator_open(&c));
    add(c, "a", 3, 2.5, MANY);
    write_and_open(c, 1, &read);
    assert_float_equal(syn_calibration_of(read, "a"), 3, .2);
    syn_calibrations_close(read);
}

static void other_models_of_the_file_stay(void **state)
{
    syn_calibrator *c;
    syn_calibrations *read;
    FILE *f = fopen(path, "w");
    fputs("{\"a\": {\"temperature\": 4.5, \"answers\": 60}, \"b\": {\"temperature\": 1.25}}", f);
    fclose(f);
    assert_ok(syn_calibrator_open(&c));
    add(c, "a", 1, 0, MANY);
    write_and_open(c, 1, &read);
    assert_float_equal(syn_calibration_of(read, "a"), 1, .06);
    assert_float_equal(syn_calibration_of(read, "b"), 1.25, 0);
    syn_calibrations_close(read);
}

static void without_enough_answers_nothing_is_written(void **state)
{
    syn_calibrator *c;
    int fitted;
    assert_ok(syn_calibrator_open(&c));
    assert_ok(syn_calibrator_write(c, path, &fitted));
    assert_int_equal(fitted, 0);
    for (int k = 0; k < 100; k++) { /* no answers at all */
        assert_ok(syn_calibrator_add(c, "a", "mmlu", "q", NAN, 0, 1));
        assert_ok(syn_calibrator_add(c, "a", "mmlu", "q", 1.1, 0, 1));
        assert_ok(syn_calibrator_add(c, "a", "mmlu", "q", .5, 0, NAN));
    }
    assert_ok(syn_calibrator_write(c, path, &fitted));
    assert_int_equal(fitted, 0);
    assert_int_not_equal(access(path, F_OK), 0);
    syn_calibrator_close(c);
}

static void a_file_that_is_none_is_left_as_it_is(void **state)
{
    syn_calibrator *c;
    int fitted;
    struct stat s;
    FILE *f = fopen(path, "w");
    fputs("my notes", f);
    fclose(f);
    assert_ok(syn_calibrator_open(&c));
    add(c, "a", 1, 0, 100);
    assert_int_equal(syn_calibrator_write(c, path, &fitted), SYN_ERR_FORMAT);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, 8);
    assert_int_equal(syn_calibrator_write(c, "/nonexistent/calibration.json", &fitted), SYN_ERR_IO);
    syn_calibrator_close(c);
}

static void models_are_capped(void **state)
{
    syn_calibrator *c;
    char name[300];
    assert_ok(syn_calibrator_open(&c));
    for (int k = 0; k < 256; k++) {
        snprintf(name, sizeof name, "m%d", k);
        assert_ok(syn_calibrator_add(c, name, "mmlu", "q", .5, 0, 1));
    }
    assert_int_equal(syn_calibrator_add(c, "one more", "mmlu", "q", .5, 0, 1), SYN_ERR_LIMIT);
    assert_ok(syn_calibrator_add(c, "m3", "mmlu", "q", .5, 0, 1));
    syn_calibrator_close(c);
    assert_ok(syn_calibrator_open(&c));
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(syn_calibrator_add(c, name, "mmlu", "q", .5, 0, 1), SYN_ERR_LIMIT);
    syn_calibrator_close(c);
}

int main(void)
{
#define FILED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_temperature_that_was_drawn_with_comes_out),
        cmocka_unit_test(no_temperature_near_by_is_likelier),
        cmocka_unit_test(it_stays_within_its_bounds),
        cmocka_unit_test(a_temperature_that_does_not_carry_over_is_not_kept),
        cmocka_unit_test(one_half_alone_is_not_fitted),
        FILED(all_answers_to_one_story_are_in_one_half),
        FILED(each_model_gets_its_own_once_it_has_answered_enough),
        FILED(what_was_applied_is_taken_back),
        FILED(other_models_of_the_file_stay),
        FILED(without_enough_answers_nothing_is_written),
        FILED(a_file_that_is_none_is_left_as_it_is),
        cmocka_unit_test(models_are_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
