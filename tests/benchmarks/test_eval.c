/* `syncog eval --data`: one object with the promised keys, figures that its own raw lines add up
 * to, paired episodes, leak tests that find nothing where there is nothing, and intervals around
 * the estimate. */
#include "tests/benchmarks/evaluations.h"

#include <jansson.h>

#include "kernels/base/rng.h"
#include "trainer/metrics.h"

enum { EPISODES = 400 };

static json_t *report; /* of the first run */

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("test.h5", 60, 1);
    untrained_write("judges", "test.h5", true, false);
    untrained_write("trained", "test.h5", true, true);
    report = evaluate("--checkpoint trained --episodes 400 --seed 3 --raw raw.jsonl");
    return 0;
}

static int tear_down(void **state)
{
    json_decref(report);
    return folder_teardown(state);
}

/* What was not measured is null. */
static bool unknown(const json_t *j, const char *part, const char *key)
{
    return json_is_null(json_object_get(json_object_get(j, part), key));
}

/* ---- The object ---- */

static const char *const names[] = {
    "never",        "random",        "broadcast",        "round_robin",        "cosine_push",
    "never+ranker", "random+ranker", "broadcast+ranker", "round_robin+ranker", "cosine_push+ranker",
    "oracle",       "learned"};
static const char *const policy_keys[] = {
    "return",         "success",  "success_answerable", "abstain_precision",
    "abstain_recall", "messages", "deliveries",         "ended"};
enum {
    NAMES = sizeof names / sizeof *names,
    POLICY_KEYS = sizeof policy_keys / sizeof *policy_keys
};

static void assert_policies(const json_t *policies)
{
    const char *name;
    json_t *policy;
    json_object_foreach((json_t *)policies, name, policy)
    {
        for (int k = 0; k < POLICY_KEYS; k++) {
            double value = number(policy, policy_keys[k]);
            bool share = k >= 1 && k <= 4;
            if (k && (value < 0 || (share && value > 1)))
                fail_msg("%s.%s is %g", name, policy_keys[k], value);
        }
    }
}

static void every_promised_key_is_there_and_finite(void **state)
{
    static const char *const keys[] = {"records",
                                       "episodes",
                                       "gap/auroc",
                                       "gap/balanced_accuracy",
                                       "gap/ece",
                                       "gap/brier",
                                       "gap/count_only_auroc",
                                       "gap/no_title_auroc",
                                       "gap_rollout/auroc",
                                       "gap_rollout/balanced_accuracy",
                                       "link/auroc",
                                       "ranker/auroc",
                                       "difference/return",
                                       "difference/message_ratio",
                                       "difference/success_answerable"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        double value = number(report, keys[k]);
        if (strstr(keys[k], "auroc") && (value < 0 || value > 1))
            fail_msg("%s is %g", keys[k], value);
    }
    assert_string_equal(json_string_value(json_object_get(report, "dataset")), "synthetic");
    assert_int_equal(number(report, "records"), 60);
    assert_int_equal(number(report, "episodes"), EPISODES);
    const json_t *policies = json_object_get(report, "policies"),
                 *ablations = json_object_get(report, "ablations");
    assert_int_equal(json_object_size(policies), NAMES);
    for (int k = 0; k < NAMES; k++) {
        if (!json_object_get(policies, names[k])) fail_msg("there is no policy \"%s\"", names[k]);
        assert_null(json_object_get(ablations, names[k]));
    }
    assert_true(json_object_size(ablations) > 0);
    assert_policies(policies);
    assert_policies(ablations);
}

static void the_best_untrained_is_the_best_of_the_first_five(void **state)
{
    char path[64];
    const char *best = NULL;
    double most = -INFINITY;
    for (int k = 0; k < 5; k++) {
        snprintf(path, sizeof path, "policies/%s/return", names[k]);
        if (number(report, path) > most) {
            most = number(report, path);
            best = names[k];
        }
    }
    assert_string_equal(json_string_value(json_object_get(report, "best_untrained")), best);
    double difference = number(report, "policies/learned/return") - most;
    assert_true(fabs(difference - number(report, "difference/return")) < 1e-3);
}

static void the_oracle_is_above_all_and_never_says_nothing(void **state)
{
    char path[64];
    for (int k = 0; k < NAMES; k++) {
        snprintf(path, sizeof path, "policies/%s/return", names[k]);
        assert_true(number(report, path) <= number(report, "policies/oracle/return"));
    }
    assert_true(number(report, "policies/oracle/success") == 1);
    assert_true(number(report, "policies/never/messages") == 0);
    assert_true(number(report, "policies/never/return") ==
                number(report, "policies/never+ranker/return"));
}

static void intervals_hold_the_estimate(void **state)
{
    static const char *const keys[] = {"return", "message_ratio"};
    for (int k = 0; k < 2; k++) {
        char name[32];
        snprintf(name, sizeof name, "%s_ci95", keys[k]);
        const json_t *d = json_object_get(report, "difference"),
                     *interval = json_object_get(d, name);
        assert_int_equal(json_array_size(interval), 2);
        double low = json_number_value(json_array_get(interval, 0)),
               high = json_number_value(json_array_get(interval, 1));
        double value = number(d, keys[k]);
        if (!(low < value && value < high))
            fail_msg("%s: %g is not within %g to %g", keys[k], value, low, high);
        assert_true(high - low < 0.5 * fabs(value) + 10);
    }
}

static void leak_tests_find_nothing(void **state)
{
    assert_true(fabs(number(report, "gap/count_only_auroc") - 0.5) < 0.12);
    assert_true(fabs(number(report, "gap/question_only_auroc") - 0.5) < 0.12);
    json_t *many = evaluate("--checkpoint judges --episodes 6000 --seed 5");
    assert_true(fabs(number(many, "gap/count_only_auroc") - 0.5) < 0.05);
    json_decref(many);
}

/* ---- Scores, parts, curves ---- */

static void scores_place_a_policy_between_round_robin_and_the_oracle(void **state)
{
    const double robin = number(report, "policies/round_robin/return"),
                 oracle = number(report, "policies/oracle/return");
    assert_true(number(report, "policies/round_robin/score") == 0);
    assert_true(number(report, "policies/oracle/score") == 1);
    assert_true(number(report, "policies/oracle/regret") == 0);
    assert_true(fabs(number(report, "policies/never/regret") -
                     (oracle - number(report, "policies/never/return"))) < 1e-3);
    assert_true(fabs(number(report, "policies/learned/score") -
                     (number(report, "policies/learned/return") - robin) / (oracle - robin)) <
                1e-4);
}

static void parts_add_up_to_the_whole(void **state)
{
    static const char *const names_of_parts[] = {"by_agents", "by_stratum"};
    const json_t *robin = json_object_get(json_object_get(report, "policies"), "round_robin");
    for (int k = 0; k < 2; k++) {
        double episodes = 0, sum = 0, messages = 0;
        const char *name;
        json_t *part;
        json_object_foreach(json_object_get(robin, names_of_parts[k]), name, part)
        {
            episodes += number(part, "episodes");
            sum += number(part, "episodes") * number(part, "return");
            messages += number(part, "episodes") * number(part, "messages");
        }
        assert_int_equal(episodes, EPISODES);
        assert_true(fabs(sum / EPISODES - number(robin, "return")) < 1e-3);
        assert_true(fabs(messages / EPISODES - number(robin, "messages")) < 1e-3);
    }
    assert_int_equal(json_object_size(json_object_get(robin, "by_agents")), 9);
    assert_true(number(robin, "by_stratum/closable/success_answerable") == 1);
    assert_true(number(robin, "by_stratum/unanswerable/success") == 0);
}

static void curves_begin_without_a_message_and_end_where_the_policy_does(void **state)
{
    static const char *const curved[] = {"broadcast", "round_robin", "cosine_push+ranker",
                                         "oracle"};
    const json_t *policies = json_object_get(report, "policies");
    const double never = number(policies, "never/success_answerable");
    assert_true(fabs(number(policies, "never/success_message_area") - never) < 1e-6);
    for (int k = 0; k < 4; k++) {
        const json_t *policy = json_object_get(policies, curved[k]),
                     *curve = json_object_get(policy, "success_message_curve");
        const json_t *first = json_array_get(curve, 0),
                     *last = json_array_get(curve, json_array_size(curve) - 1);
        assert_true(json_number_value(json_array_get(first, 0)) == 0);
        assert_true(fabs(json_number_value(json_array_get(first, 1)) - never) < 1e-5);
        assert_true(fabs(json_number_value(json_array_get(last, 0)) - number(policy, "messages")) <
                    1e-4);
        double area = number(policy, "success_message_area");
        assert_true(area >= never - 1e-6 && area <= 1);
    }
    assert_true(number(policies, "oracle/success_message_area") >
                number(policies, "round_robin/success_message_area"));
    assert_non_null(json_object_get(json_object_get(policies, "learned"), "success_message_area"));
    assert_null(
        json_object_get(json_object_get(policies, "random+ranker"), "success_message_area"));
}

static void calibration_bins_hold_every_prediction(void **state)
{
    const json_t *bins = json_object_get(json_object_get(report, "gap"), "calibration");
    double count = 0, error = 0;
    assert_int_equal(json_array_size(bins), 15);
    for (size_t k = 0; k < 15; k++) {
        const json_t *bin = json_array_get(bins, k);
        const double n = number(bin, "count");
        count += n;
        if (!n) {
            assert_true(json_is_null(json_object_get(bin, "observed")));
            continue;
        }
        const double p = number(bin, "predicted");
        assert_true(p >= (double)k / 15 - 1e-6 && p <= (double)(k + 1) / 15 + 1e-6);
        error += n * fabs(p - number(bin, "observed"));
    }
    assert_int_equal(count, EPISODES);
    assert_true(fabs(error / count - number(report, "gap/ece")) < 1e-4);
}

/* ---- Routing and stopping told apart ---- */

static void mixed_policies_do_what_they_say(void **state)
{
    const json_t *a = json_object_get(report, "ablations");
    const double learned = number(report, "policies/learned/messages");
    /* As many messages as the learned policy: never more than it sent in the episode. */
    assert_true(number(a, "round_robin_learned_count/messages") <= learned + 1e-6);
    assert_true(number(a, "random_learned_count/messages") <= learned + 1e-6);
    assert_true(number(a, "learned_fixed_stop/messages") <= learned + 1e-6);
    static const char *const answering[] = {"round_robin_learned_count", "random_learned_count",
                                            "learned_fixed_stop", "learned_auto_end"};
    for (int k = 0; k < 4; k++)
        assert_true(number(json_object_get(a, answering[k]), "abstain_recall") == 0);
    /* An oracle's stop is right wherever anything on the way is. */
    assert_true(number(a, "learned_auto_end/success_answerable") >=
                number(a, "learned_fixed_stop/success_answerable"));
    assert_true(number(a, "round_robin_learned_stop/messages") <=
                number(report, "policies/round_robin/messages"));
    assert_true(number(a, "round_robin_learned_stop/request_share") == 0);
}

/* ---- Raw lines ---- */

typedef struct sums {
    double value[POLICY_KEYS], episodes, answerable, unanswerable, abstained;
} sums;

static void add_episode(sums *s, const json_t *line)
{
    const bool answerable = of(line, "answerable") != 0, abstained = of(line, "abstained") != 0;
    s->value[0] += of(line, "return");
    s->value[1] += of(line, "success") != 0 || (abstained && !answerable);
    s->value[2] += of(line, "success");
    s->value[3] += abstained && !answerable;
    s->value[4] += abstained && !answerable;
    s->value[5] += of(line, "messages");
    s->value[6] += of(line, "deliveries");
    s->value[7] += of(line, "ended");
    s->episodes++;
    s->answerable += answerable;
    s->unanswerable += !answerable;
    s->abstained += abstained;
}

static void assert_adds_up(const sums *s, const char *name)
{
    const double by[POLICY_KEYS] = {s->episodes,     s->episodes, s->answerable, s->abstained,
                                    s->unanswerable, s->episodes, s->episodes,   s->episodes};
    char path[96];
    assert_int_equal(s->episodes, EPISODES);
    for (int k = 0; k < POLICY_KEYS; k++) {
        snprintf(path, sizeof path, "policies/%s/%s", name, policy_keys[k]);
        double mean = by[k] > 0 ? s->value[k] / by[k] : 0, reported = number(report, path);
        if (fabs(mean - reported) > 2e-4 * (1 + fabs(mean)))
            fail_msg("%s is %g, its lines give %g", path, reported, mean);
    }
}

/* What the lines of gap predictions give. */
typedef struct gaps {
    syn_scored scored[EPISODES];
    int64_t count;
    double right[2], all[2]; /* by label, at the prior */
} gaps;

static void add_gap(gaps *g, const json_t *line)
{
    const double p = of(line, "p");
    const int label = (int)of(line, "label");
    assert_true(p >= 0 && p <= 1 && (label == 0 || label == 1) && g->count < EPISODES);
    g->scored[g->count++] = (syn_scored){(float)p, (uint8_t)label, 0};
    g->all[label]++;
    g->right[label] += (p >= 0.75) == label;
}

static void raw_lines_add_up_to_the_figures(void **state)
{
    static sums sum[NAMES];
    static gaps with_titles, without;
    static char id[EPISODES][32], teams[EPISODES];
    json_t *line;
    FILE *f = fopen(path_of("raw.jsonl"), "r");
    assert_non_null(f);
    while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
        const char *kind = json_string_value(json_object_get(line, "kind"));
        assert_non_null(kind);
        if (!strcmp(kind, "gap")) add_gap(&with_titles, line);
        if (!strcmp(kind, "gap_no_title")) add_gap(&without, line);
        for (int k = 0; k < NAMES && !strcmp(kind, "episode"); k++) {
            if (strcmp(json_string_value(json_object_get(line, "policy")), names[k])) continue;
            const int e = (int)of(line, "episode");
            assert_in_range(e, 0, EPISODES - 1);
            const char *question = json_string_value(json_object_get(line, "id"));
            if (k == 0) snprintf(id[e], sizeof id[e], "%s", question);
            if (k == 0) teams[e] = (char)of(line, "agents");
            assert_string_equal(question, id[e]); /* all play the same */
            assert_int_equal(of(line, "agents"), teams[e]);
            add_episode(&sum[k], line);
        }
        json_decref(line);
    }
    fclose(f);
    for (int k = 0; k < NAMES; k++) assert_adds_up(&sum[k], names[k]);
    assert_int_equal(with_titles.count, EPISODES);
    assert_int_equal(without.count, EPISODES);
    double balanced =
        (with_titles.right[0] / with_titles.all[0] + with_titles.right[1] / with_titles.all[1]) / 2;
    assert_true(fabs(balanced - number(report, "gap/balanced_accuracy")) < 1e-3);
    assert_true(fabs(syn_auroc(with_titles.scored, EPISODES) - number(report, "gap/auroc")) < 2e-3);
    assert_true(fabs(syn_auroc(without.scored, EPISODES) - number(report, "gap/no_title_auroc")) <
                2e-3);
}

/* ---- Seeds and options ---- */

static void equal_seeds_print_equal_bytes(void **state)
{
    static char first[SAID_MAX];
    size_t bytes[2];
    json_decref(evaluate("--checkpoint trained --episodes 400 --seed 3 --raw again.jsonl"));
    strcpy(first, said);
    char *a = file_read(path_of("raw.jsonl"), &bytes[0]),
         *b = file_read(path_of("again.jsonl"), &bytes[1]);
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(a, b, bytes[0]);
    free(a);
    free(b);
    json_t *j = json_loads(first, 0, NULL);
    assert_true(json_equal(j, report));
    json_decref(j);
    j = evaluate("--checkpoint trained --episodes 400 --seed 4");
    assert_false(json_equal(j, report));
    json_decref(j);
}

static void without_a_policy_there_is_no_learned_one(void **state)
{
    json_t *j = evaluate("--checkpoint judges --episodes 100 --seed 3");
    const json_t *policies = json_object_get(j, "policies");
    assert_null(json_object_get(policies, "learned"));
    assert_int_equal(json_object_size(policies), NAMES - 1);
    assert_null(json_object_get(json_object_get(j, "ablations"), "learned_no_request"));
    assert_true(unknown(j, "difference", "return") && unknown(j, "difference", "message_ratio"));
    assert_true(unknown(j, "gap_rollout", "auroc") && unknown(j, "gap", "shuffled_auroc"));
    json_decref(j);
    assert_works("eval --data test.h5 --checkpoint judges --episodes 50 --threads 1");
    assert_non_null(strstr(said, "round_robin"));
    assert_null(strstr(said, "learned"));
}

static void a_large_stop_bias_answers_at_once(void **state)
{
    json_t *j = evaluate("--checkpoint trained --episodes 200 --seed 3 --stop-bias 100");
    for (int k = 0; k < POLICY_KEYS; k++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "policies/learned/%s", policy_keys[k]);
        snprintf(b, sizeof b, "policies/never/%s", policy_keys[k]);
        assert_true(number(j, a) == number(j, b));
    }
    json_decref(j);
}

static void other_goals_sizes_and_sampling_work(void **state)
{
    static const char *const arguments[] = {"--goal consensus", "--pieces 28", "--sample",
                                            "--folds 3 --fold 1"};
    for (int k = 0; k < 4; k++) {
        char line[128];
        snprintf(line, sizeof line, "--checkpoint trained --episodes 60 --seed 3 %s", arguments[k]);
        json_t *j = evaluate(line);
        assert_policies(json_object_get(j, "policies"));
        assert_policies(json_object_get(j, "ablations"));
        assert_true(number(j, "gap/auroc") >= 0);
        assert_true(k == 3 ? number(j, "records") < 40 : number(j, "records") == 60);
        if (k == 1) assert_true(number(j, "policies/broadcast/deliveries") > 100);
        json_decref(j);
    }
}

/* ---- The leak test's regression ---- */

enum { ROWS = 2000 };

static double logistic(double (*label_of)(const double *x, syn_rng *rng), bool opposite, int width)
{
    static double x[ROWS * 8];
    static uint8_t label[ROWS], half[ROWS];
    syn_rng rng = syn_rng_make(5, SYN_STREAM_TEST);
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < width; k++)
            x[i * width + k] = 1000.0 * k + (k + 1) * (double)syn_rng_uniform(&rng);
        half[i] = (uint8_t)(i & 1);
        double p = label_of(x + i * width, &rng);
        label[i] = (double)syn_rng_uniform(&rng) < (opposite && half[i] ? 1 - p : p);
    }
    return syn_logistic_auroc(x, width, label, half, ROWS);
}

static double by_coin(const double *x, syn_rng *rng)
{
    return 0.3;
}
static double by_first(const double *x, syn_rng *rng)
{
    return x[0] > 0.6;
}
static double by_sum(const double *x, syn_rng *rng)
{
    return x[0] + (x[1] - 1000) / 2 > 1;
}
static double by_all(const double *x, syn_rng *rng)
{
    return 1;
}

static void the_regression_finds_what_is_there_and_nothing_else(void **state)
{
    assert_true(fabs(logistic(by_coin, false, 6) - 0.5) < 0.06);
    assert_true(logistic(by_first, false, 6) > 0.97);
    assert_true(logistic(by_sum, false, 2) > 0.97);
    assert_true(logistic(by_first, true, 6) <
                0.03); /* scored on the half that it was not fitted on */
    assert_true(logistic(by_all, false, 6) == 0.5);
    assert_true(logistic(by_first, false, 1) > 0.97);
    const double constant[8] = {3, 3, 3, 3, 3, 3, 3, 3};
    const uint8_t label[8] = {0, 1, 1, 0, 1, 0, 0, 1}, half[8] = {0, 0, 0, 0, 1, 1, 1, 1},
                  all[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    assert_true(syn_logistic_auroc(constant, 1, label, half, 8) == 0.5);
    assert_true(syn_logistic_auroc(constant, 1, label, all, 8) == 0.5); /* nothing to fit on */
    assert_true(syn_logistic_auroc(constant, 1, label, half, 0) == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promised_key_is_there_and_finite),
        cmocka_unit_test(the_best_untrained_is_the_best_of_the_first_five),
        cmocka_unit_test(the_oracle_is_above_all_and_never_says_nothing),
        cmocka_unit_test(intervals_hold_the_estimate),
        cmocka_unit_test(leak_tests_find_nothing),
        cmocka_unit_test(scores_place_a_policy_between_round_robin_and_the_oracle),
        cmocka_unit_test(parts_add_up_to_the_whole),
        cmocka_unit_test(curves_begin_without_a_message_and_end_where_the_policy_does),
        cmocka_unit_test(calibration_bins_hold_every_prediction),
        cmocka_unit_test(mixed_policies_do_what_they_say),
        cmocka_unit_test(raw_lines_add_up_to_the_figures),
        cmocka_unit_test(equal_seeds_print_equal_bytes),
        cmocka_unit_test(without_a_policy_there_is_no_learned_one),
        cmocka_unit_test(a_large_stop_bias_answers_at_once),
        cmocka_unit_test(other_goals_sizes_and_sampling_work),
        cmocka_unit_test(the_regression_finds_what_is_there_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
