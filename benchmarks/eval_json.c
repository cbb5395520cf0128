/* The report of an evaluation as JSON and as tables. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "benchmarks/eval.h"

/* null stands for what was not measured. */
static json_t *figure(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static void set_interval(json_t *j, const char *key, const syn_interval *x)
{
    char ci[48];
    snprintf(ci, sizeof ci, "%s_ci95", key);
    json_object_set_new(j, key, figure(x->value));
    json_object_set_new(j, ci, json_pack("[o,o]", figure(x->low), figure(x->high)));
}

/* ---- Policies ---- */

static json_t *part_json(const syn_policy_summary *p)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "episodes", (json_int_t)p->episodes,
                     "return", p->episode_return, "success", p->success, "success_answerable",
                     p->success_answerable, "messages", p->messages, "deliveries", p->deliveries);
}

static json_t *row_json(const syn_eval_row *r)
{
    static const char *const strata[] = {"sufficient", "closable", "unanswerable"};
    const syn_policy_summary *p = &r->all;
    json_t *j = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "return", p->episode_return,
        "success", p->success, "success_answerable", p->success_answerable, "abstain_precision",
        p->abstain_precision, "abstain_recall", p->abstain_recall, "messages", p->messages,
        "deliveries", p->deliveries, "ended", p->ended, "turns", p->turns, "request_share",
        p->request_share, "regret", figure(r->regret), "score", figure(r->score));
    json_t *agents = json_object(), *stratum = json_object(), *curve = json_array();
    for (int k = 0; k <= SYN_AGENTS_MAX; k++) {
        char name[8];
        snprintf(name, sizeof name, "%d", k);
        if (r->by_agents[k].episodes)
            json_object_set_new(agents, name, part_json(&r->by_agents[k]));
    }
    for (int k = 0; k < 3; k++) {
        if (r->by_stratum[k].episodes)
            json_object_set_new(stratum, strata[k], part_json(&r->by_stratum[k]));
    }
    json_object_set_new(j, "by_agents", agents);
    json_object_set_new(j, "by_stratum", stratum);
    for (int k = 0; k < r->points; k++) {
        json_array_append_new(curve, json_pack("[f,f]", r->point[k].messages, r->point[k].success));
    }
    if (r->points) json_object_set_new(j, "success_message_area", figure(r->area));
    if (r->points) json_object_set(j, "success_message_curve", curve);
    json_decref(curve);
    return j;
}

/* ---- Judges ---- */

static json_t *gap_json(const syn_eval_report *r)
{
    json_t *bins = json_array();
    for (int k = 0; k < SYN_CALIBRATION_BINS; k++) {
        const syn_calibration_bin *b = &r->gap.bin[k];
        json_array_append_new(bins, json_pack("{s:I, s:o, s:o}", "count", (json_int_t)b->count,
                                              "predicted", figure(b->count ? b->predicted : NAN),
                                              "observed", figure(b->count ? b->observed : NAN)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "auroc",
                     figure(r->gap.auroc), "balanced_accuracy", figure(r->gap.balanced_accuracy),
                     "ece", figure(r->gap.ece), "brier", figure(r->gap.brier), "count_only_auroc",
                     figure(r->gap.count_only_auroc), "question_only_auroc",
                     figure(r->gap.question_only_auroc), "shuffled_auroc",
                     figure(r->gap.shuffled_auroc), "no_title_auroc", figure(r->gap.no_title_auroc),
                     "no_title_balanced_accuracy", figure(r->gap.no_title_balanced_accuracy),
                     "prior", figure(r->gap.prior), "calibration", bins);
}

/* ---- Sweep ---- */

static json_t *choice_json(const syn_sweep *s, const syn_sweep_choice *c)
{
    const syn_sweep_point *p = &s->point[c->point];
    json_t *validation = part_json(&p->validation), *test = part_json(&p->test);
    json_object_set_new(validation, "message_ratio", figure(c->validation_ratio));
    json_object_set_new(validation, "success_answerable_loss", figure(c->validation_loss));
    set_interval(test, "message_ratio", &c->test_ratio);
    set_interval(test, "success_answerable_loss", &c->test_loss);
    return json_pack("{s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "answer_bias", (double)p->bias.answer,
                     "abstain_bias", (double)p->bias.abstain, "message_ratio_max",
                     figure(c->ratio_max), "success_answerable_loss_max", figure(c->loss_max),
                     "validation", validation, "test", test, "met",
                     isnan(c->loss_max) ? json_null() : json_boolean(c->met));
}

static json_t *sweep_json(const syn_sweep *s)
{
    json_t *points = json_array(), *chosen = json_object();
    for (int k = 0; k < SYN_SWEEP_POINTS; k++) {
        const syn_sweep_point *p = &s->point[k];
        json_array_append_new(
            points, json_pack("{s:f, s:f, s:o, s:o}", "answer_bias", (double)p->bias.answer,
                              "abstain_bias", (double)p->bias.abstain, "validation",
                              part_json(&p->validation), "test", part_json(&p->test)));
    }
    for (int k = 0; k < SYN_SWEEP_TARGETS; k++)
        json_object_set_new(chosen, s->choice[k].name, choice_json(s, &s->choice[k]));
    return json_pack(
        "{s:I, s:I, s:s, s:o, s:o, s:{s:{s:f,s:f}, s:{s:f,s:f}}}", "validation_records",
        (json_int_t)s->records, "validation_episodes", (json_int_t)s->episodes, "reference",
        syn_policy_name((syn_policy_kind)s->reference), "points", points, "chosen", chosen,
        "gap_thresholds", "round_robin_gap_stop", "answer_below", (double)s->gap_answer[0],
        "abstain_above", (double)s->gap_abstain[0], "learned_gap_stop", "answer_below",
        (double)s->gap_answer[1], "abstain_above", (double)s->gap_abstain[1]);
}

char *syn_eval_json(const char *dataset, const syn_eval_report *r)
{
    json_t *policies = json_object(), *ablations = json_object(), *difference = json_object();
    for (int k = 0; k < r->rows; k++)
        json_object_set_new(r->row[k].ablation ? ablations : policies, r->row[k].name,
                            row_json(&r->row[k]));
    set_interval(difference, "return", &r->difference.episode_return);
    set_interval(difference, "message_ratio", &r->difference.message_ratio);
    set_interval(difference, "success_answerable", &r->difference.success_answerable);
    json_t *j = json_pack(
        "{s:s, s:I, s:I, s:o, s:{s:o,s:o}, s:{s:f}, s:{s:f,s:f}, s:o, s:o, s:s, s:o}", "dataset",
        dataset, "records", (json_int_t)r->records, "episodes", (json_int_t)r->episodes, "gap",
        gap_json(r), "gap_rollout", "auroc", figure(r->rollout_auroc), "balanced_accuracy",
        figure(r->rollout_balanced_accuracy), "link", "auroc", r->link_auroc, "ranker", "auroc",
        r->ranker_auroc, "cosine_auroc", r->cosine_auroc, "policies", policies, "ablations",
        ablations, "best_untrained", r->row[r->best_untrained].name, "difference", difference);
    if (j && r->swept) json_object_set_new(j, "sweep", sweep_json(&r->sweep));
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(j);
    return text;
}

/* ---- Tables ---- */

/* "-" stands for what was not measured. */
static const char *shown(double x, char text[16])
{
    if (isnan(x)) return "-";
    snprintf(text, 16, "%.3f", x);
    return text;
}

static void print_judges(const syn_eval_report *r)
{
    char a[16], b[16];
    printf("gap detector   AUROC %.3f   balanced accuracy %.3f   ECE %.3f   Brier %.3f   without "
           "titles %.3f / %.3f\n",
           r->gap.auroc, r->gap.balanced_accuracy, r->gap.ece, r->gap.brier, r->gap.no_title_auroc,
           r->gap.no_title_balanced_accuracy);
    printf("leak tests     counts only %.3f   question only %.3f   shuffled labels %s   (.5 = "
           "nothing to be learnt there)\n",
           r->gap.count_only_auroc, r->gap.question_only_auroc, shown(r->gap.shuffled_auroc, a));
    printf("link AUROC %.3f   ranker AUROC %.3f (cosine %.3f)   gap while playing %s\n\n",
           r->link_auroc, r->ranker_auroc, r->cosine_auroc, shown(r->rollout_auroc, b));
}

static void print_policies(const syn_eval_report *r)
{
    char score[16], area[16];
    printf("%-26s %7s %6s %8s %10s %16s %9s %10s %6s %6s\n", "policy", "return", "score", "success",
           "answerable", "abstain P / R", "messages", "deliveries", "ended", "area");
    for (int k = 0; k < r->rows; k++) {
        const syn_eval_row *row = &r->row[k];
        const syn_policy_summary *p = &row->all;
        if (row->ablation && !r->row[k - 1].ablation)
            printf("-- ablations: parts of one joined with parts of another\n");
        printf("%-26s %7.2f %6s %8.3f %10.3f %8.2f / %5.2f %9.2f %10.2f %6.2f %6s\n", row->name,
               p->episode_return, shown(row->score, score), p->success, p->success_answerable,
               p->abstain_precision, p->abstain_recall, p->messages, p->deliveries, p->ended,
               shown(row->area, area));
    }
}

static void print_sweep(const syn_sweep *s)
{
    printf("\nstopping, chosen on %lld other records (%lld episodes), held against %s:\n",
           (long long)s->records, (long long)s->episodes,
           syn_policy_name((syn_policy_kind)s->reference));
    printf("%-16s %7s %8s %9s %17s %12s\n", "target", "answer", "abstain", "messages", "of its",
           "answerable");
    for (int k = 0; k < SYN_SWEEP_TARGETS; k++) {
        const syn_sweep_choice *c = &s->choice[k];
        const syn_sweep_point *p = &s->point[c->point];
        printf("%-16s %+7.1f %+8.1f %9.2f %15.0f %% %12.3f%s\n", c->name, (double)p->bias.answer,
               (double)p->bias.abstain, p->test.messages, 100 * c->test_ratio.value,
               p->test.success_answerable,
               isnan(c->loss_max) ? ""
               : c->met           ? "   reached"
                                  : "   not reached");
    }
}

void syn_eval_print(const char *dataset, const syn_eval_report *r)
{
    const syn_eval_difference *d = &r->difference;
    printf("%s: %lld records, %lld episodes\n\n", dataset, (long long)r->records,
           (long long)r->episodes);
    print_judges(r);
    print_policies(r);
    if (!isnan(d->episode_return.value)) {
        printf("\nlearned minus %s (the best untrained): return %+.2f [%.2f, %.2f], messages %.0f "
               "%% [%.0f, %.0f]\n",
               r->row[r->best_untrained].name, d->episode_return.value, d->episode_return.low,
               d->episode_return.high, 100 * d->message_ratio.value, 100 * d->message_ratio.low,
               100 * d->message_ratio.high);
    }
    if (r->swept) print_sweep(&r->sweep);
}
