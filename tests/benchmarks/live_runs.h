/* Files as a run of live teams leaves them, drawn from a seed: results and, beside them, one line
 * per answer. Equal seeds ask the same questions. */
#ifndef SYN_TESTS_BENCHMARKS_LIVE_RUNS_H
#define SYN_TESTS_BENCHMARKS_LIVE_RUNS_H

#include "tests/trainer/commands.h"

#include "benchmarks/report_live.h"
#include "benchmarks/stats.h"
#include "kernels/base/rng.h"

enum { LIVE_POLICIES = 5 };
static const char *const live_policy[LIVE_POLICIES] = {"learned", "broadcast", "round_robin",
                                                       "single", "self_consistency"};

typedef struct live_sample {
    int questions;         /* of each benchmark */
    int benchmarks, sizes; /* the first of hotpotqa, coqa, commonsenseqa; of 3, 5, 7 agents */
    uint64_t seed, luck;   /* of the questions; of the answers */
    double gain;           /* of `learned`: added to the chance that it is right */
    bool incomplete;
} live_sample;

static const char *const live_benchmark[] = {"hotpotqa", "coqa", "commonsenseqa"};

static inline double live_uniform(syn_rng *r)
{
    return (double)syn_rng_uniform(r);
}

static inline json_t *live_dialogue(int agents)
{
    json_t *list = json_array();
    for (int k = 0; k < agents; k++)
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:o, s:s, s:s}", "round", 1 + k / 2, "agent_id", k, "to",
                            k % 2 ? json_integer(0) : json_null(), "message_type", "inform",
                            "message", "The film was shot in <b>Tallvik</b> & \"elsewhere\"."));
    return list;
}

/* One answer. */
static inline json_t *live_answer(const live_sample *s, int b, int q, int p, int agents)
{
    static const double chance[LIVE_POLICIES] = {.62, .6, .5, .45, .48},
                        talk[LIVE_POLICIES] = {1, 2.2, 1.6, 0, 0};
    syn_rng of_question = syn_rng_make(s->seed, (uint64_t)(b * 100000 + q)),
            r = syn_rng_make(s->luck, (uint64_t)(((b * 100000 + q) * 8 + p) * 16 + agents));
    const double ease = live_uniform(&of_question) - .5;
    const double p_right = chance[p] + (p ? 0 : s->gain) + .01 * agents + .6 * ease;
    const bool right = live_uniform(&r) < p_right, failed = !right && live_uniform(&r) < .02;
    const double confidence = fmin(fmax(.8 * p_right + .1 + .2 * (live_uniform(&r) - .5), 0), 1);
    const int rounds = p > 2 ? 1 : 1 + (int)(3 * live_uniform(&r));
    char id[32], group[32], stratum[32], question[96];
    snprintf(id, sizeof id, "q%05d", q);
    snprintf(group, sizeof group, b == 1 ? "story%04d" : "", q / 5);
    snprintf(stratum, sizeof stratum, b ? "part %d" : "hops_%d", b ? q % 3 : 2 + q % 2);
    snprintf(question, sizeof question, "In which town was film %d <shot>, \"really\"?", q);
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:f, s:{s:f}, s:f, s:i, s:f, s:i, s:i, s:n, s:f, s:b, "
        "s:s, s:b, s:s, s:s, s:s}",
        "benchmark", live_benchmark[b], "id", id, "policy", live_policy[p], "num_agents", agents,
        "answer", "It was shot in Tallvik.", "short_answer", "Tallvik", "correct", right && !failed,
        "score", right ? 1. : .3, "metrics", "f1", right ? 1. : .3, "confidence", confidence,
        "rounds", rounds, "messages", talk[p] * agents * (.5 + live_uniform(&r)), "prompt_tokens",
        (int)(300 * agents * (1 + talk[p])), "completion_tokens", 40 * agents, "cost_usd",
        "latency_s", 1 + live_uniform(&r), "converged", rounds < 3, "stopped_by", "converged",
        "abstained", 0, "stratum", stratum, "group", group, "question", question);
    json_object_set_new(j, "error",
                        failed ? json_string("the provider answered 500 <twice>") : json_null());
    if (q < 50 && p < 3) json_object_set_new(j, "dialogue", live_dialogue(agents));
    return j;
}

typedef struct live_sum {
    double correct, messages, tokens, rounds, converged, failed, n;
} live_sum;

static inline json_t *live_figures(int p, int agents, const live_sum *s)
{
    const syn_interval share = syn_wilson((int64_t)s->correct, (int64_t)s->n);
    return json_pack(
        "{s:s, s:i, s:{s:f, s:f}, s:f, s:[f,f], s:f, s:f, s:n, s:{s:f, s:f}, s:f, s:f, s:f, s:i, "
        "s:i, s:f}",
        "policy", live_policy[p], "num_agents", agents, "metrics", "em", 100 * share.value, "f1",
        100 * (share.value + .3 * (1 - share.value)), "accuracy", share.value, "accuracy_ci95",
        share.low, share.high, "messages", s->messages / s->n, "tokens", s->tokens / s->n,
        "cost_usd", "latency_s", "p50", 1.5, "p95", 1.95, "rounds", s->rounds / s->n, "converged",
        s->converged / s->n, "abstained", 0., "unparsed", 0, "failed", (int)s->failed, "ece", .05);
}

/* All questions of one policy at one size: appends the lines, returns the figures. */
static inline json_t *live_cell(FILE *f, const live_sample *s, int b, int p, int agents,
                                double *correct)
{
    live_sum sum = {.n = s->questions};
    for (int q = 0; q < s->questions; q++) {
        json_t *j = live_answer(s, b, q, p, agents);
        correct[q] = json_number_value(json_object_get(j, "correct"));
        sum.correct += correct[q];
        sum.messages += json_number_value(json_object_get(j, "messages"));
        sum.tokens += json_number_value(json_object_get(j, "prompt_tokens")) + 40 * agents;
        sum.rounds += json_number_value(json_object_get(j, "rounds"));
        sum.converged += json_is_true(json_object_get(j, "converged"));
        sum.failed += json_is_string(json_object_get(j, "error"));
        assert_int_equal(json_dumpf(j, f, JSON_COMPACT), 0);
        fputc('\n', f);
        json_decref(j);
    }
    return live_figures(p, agents, &sum);
}

static inline json_t *live_held(const live_sample *s, int agents, int p, const double *a,
                                const double *b)
{
    double *d = malloc(sizeof *d * (size_t)s->questions), holm;
    int64_t only[2] = {0};
    syn_interval x;
    for (int q = 0; q < s->questions; q++) {
        d[q] = a[q] - b[q];
        only[0] += d[q] > 0;
        only[1] += d[q] < 0;
    }
    assert_ok(syn_paired_bootstrap(d, NULL, s->questions, 1, &x, NULL));
    free(d);
    const double mcnemar = syn_mcnemar_test(only[0], only[1]).p_exact;
    holm = fmin(1, 4 * mcnemar);
    return json_pack("{s:i, s:s, s:s, s:f, s:[f,f], s:f, s:f, s:i}", "num_agents", agents, "a",
                     live_policy[0], "b", live_policy[p], "difference", x.value, "ci95", x.low,
                     x.high, "mcnemar_p", mcnemar, "holm_p", holm, "n", s->questions);
}

static inline json_t *live_benchmark_write(FILE *f, const live_sample *s, int b)
{
    static const int sizes[] = {3, 5, 7};
    json_t *runs = json_array(), *held = json_array();
    double *correct[LIVE_POLICIES];
    for (int p = 0; p < LIVE_POLICIES; p++)
        correct[p] = malloc(sizeof *correct[p] * (size_t)s->questions);
    for (int k = 0; k < s->sizes; k++) {
        for (int p = 0; p < LIVE_POLICIES; p++) {
            json_array_append_new(runs, live_cell(f, s, b, p, sizes[k], correct[p]));
            if (p) json_array_append_new(held, live_held(s, sizes[k], p, correct[0], correct[p]));
        }
    }
    for (int p = 0; p < LIVE_POLICIES; p++) free(correct[p]);
    return json_pack("{s:i, s:s, s:b, s:o, s:o}", "questions", s->questions, "evidence",
                     b < 2 ? "asymmetric" : "none", "proves_path_only", b == 2, "runs", runs,
                     "comparisons", held);
}

/* NAME.json and NAME.records.jsonl in the test's folder. */
static inline void live_write(const char *name, const live_sample *s)
{
    char file[64];
    json_t *benchmarks = json_object();
    snprintf(file, sizeof file, "%s.records.jsonl", name);
    FILE *f = fopen(path_of(file), "wb");
    assert_non_null(f);
    for (int b = 0; b < s->benchmarks; b++)
        json_object_set_new(benchmarks, live_benchmark[b], live_benchmark_write(f, s, b));
    assert_int_equal(fclose(f), 0);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:n, s:s, s:b, s:i, s:{s:i,s:i,s:i,s:n}, s:o}",
                  "format", SYN_LIVE_FORMAT, "version", "0.1.0", "created", "2026-01-31T12:00:00Z",
                  "seed", 1, "provider", "fake", "model", "a <model>", "checkpoint",
                  "policy_networks", "rule", "complete", !s->incomplete, "questions",
                  s->questions * s->benchmarks, "spent", "calls", 1000, "prompt_tokens", 500000,
                  "completion_tokens", 40000, "cost_usd", "benchmarks", benchmarks);
    if (s->incomplete) json_object_set_new(j, "why", json_string("the provider <failed> half-way"));
    snprintf(file, sizeof file, "%s.json", name);
    assert_int_equal(json_dump_file(j, path_of(file), JSON_COMPACT), 0);
    json_decref(j);
}

#endif
