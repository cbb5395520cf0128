/* Rules of stopping that have a knob: tried on validation records, chosen there, reported on those
 * that are scored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/eval_parts.h"

/* From eager to patient; with ABSTAIN as it is, reluctant, and never. */
const syn_stop_bias syn_sweep_grid[SYN_SWEEP_POINTS] = {
    {1, 0},    {0, 0},       {-1, 0},   {-2, 0},      {-3, 0},             /**/
    {1, -4},   {0, -4},      {-1, -4},  {-2, -4},     {-3, -4},  {-5, -4}, /**/
    {1, -50},  {0, -50},     {-1, -50}, {-1.5f, -50}, {-2, -50}, {-2.5f, -50},
    {-3, -50}, {-3.5f, -50}, {-4, -50}};

/* Headline targets. The third has no bound: it is the highest return. */
static const struct {
    const char *name;
    double ratio_max, loss_max;
} targets[SYN_SWEEP_TARGETS] = {
    {"within_2_points", 0.45, 0.02}, {"within_1_point", 0.60, 0.01}, {"best_return", NAN, NAN}};

int syn_sweep_choose(const syn_sweep_point *point, int points, double reference, double loss_max)
{
    int best = 0;
    for (int k = 1; k < points; k++) {
        const syn_policy_summary *x = &point[k].validation, *y = &point[best].validation;
        const double loss = reference - x->success_answerable,
                     least = reference - y->success_answerable;
        bool better;
        if (isnan(loss_max))
            better = x->episode_return > y->episode_return;
        else if (loss > loss_max || least > loss_max)
            better = loss < least;
        else
            better = x->messages < y->messages;
        if (better) best = k;
    }
    return best;
}

/* ---- What the validation records say ---- */

typedef struct validation {
    syn_eval_side side;
    syn_paths learned, round_robin;
    int reference; /* a policy, and its figures */
    syn_policy_summary all;
    syn_episode_result *result; /* scratch */
} validation;

/* The untrained policy that gets there most often; of several, the one that says least. */
static syn_status find_reference(const syn_play *play, validation *v)
{
    for (int k = SYN_POLICY_NEVER; k <= SYN_POLICY_COSINE_PUSH; k++) {
        SYN_RETURN_IF(syn_play_policy(play, (syn_policy_kind)k, v->side.episodes, v->result, NULL));
        const syn_policy_summary s = syn_policy_summarise(v->result, v->side.episodes);
        const double more = s.success_answerable - v->all.success_answerable;
        if (k > SYN_POLICY_NEVER && !(more > 0 || (more == 0 && s.messages < v->all.messages)))
            continue;
        v->reference = k;
        v->all = s;
    }
    return SYN_OK;
}

static syn_status validate(const syn_evaluation *ev, validation *v)
{
    const syn_eval_validation *on = ev->cfg->validation;
    SYN_RETURN_IF(syn_eval_side_init(ev->ctx, &v->side, on->ds, on->use, on->pool, ev->model,
                                     ev->cfg->pieces));
    v->side.episodes = on->episodes;
    v->side.seed = ev->cfg->seed + 1;
    v->result = malloc(sizeof *v->result * (size_t)on->episodes);
    if (!v->result) return syn_fail(SYN_ERR_MEMORY, "out of memory for the validation");
    const syn_play play = syn_eval_play(ev, &v->side);
    SYN_RETURN_IF(find_reference(&play, v));
    SYN_RETURN_IF(syn_play_paths(&play, SYN_POLICY_LEARNED, true, syn_sweep_grid, SYN_SWEEP_POINTS,
                                 on->episodes, &v->learned));
    return syn_play_paths(&play, SYN_POLICY_ROUND_ROBIN, true, NULL, 0, on->episodes,
                          &v->round_robin);
}

/* ---- The learned policy's biases ---- */

static syn_status choose(syn_evaluation *ev, const validation *v, int target)
{
    syn_eval_report *r = ev->report;
    syn_sweep_choice *c = &r->sweep.choice[target];
    syn_eval_difference difference;
    char name[40];
    *c = (syn_sweep_choice){.name = targets[target].name,
                            .ratio_max = targets[target].ratio_max,
                            .loss_max = targets[target].loss_max};
    const double reference = v->all.success_answerable;
    c->point = syn_sweep_choose(r->sweep.point, SYN_SWEEP_POINTS, reference, c->loss_max);
    const syn_sweep_point *point = &r->sweep.point[c->point];
    c->validation_loss = reference - point->validation.success_answerable;
    c->validation_ratio = v->all.messages > 0 ? point->validation.messages / v->all.messages : 0;
    snprintf(name, sizeof name, "learned_%s", c->name);
    SYN_RETURN_IF(syn_eval_add_stopped(ev, name, &ev->learned, syn_rule_biased, &point->bias));
    const int row = r->rows - 1;
    SYN_RETURN_IF(syn_eval_compare(ev, row, v->reference, &difference));
    c->test_ratio = difference.message_ratio;
    const syn_interval gain = difference.success_answerable;
    c->test_loss = (syn_interval){-gain.value, -gain.high, -gain.low};
    c->met = c->test_ratio.value <= c->ratio_max && c->test_loss.value <= c->loss_max;
    return SYN_OK;
}

/* ---- Thresholds on the gap ---- */

typedef struct thresholds {
    float answer, abstain;
} thresholds;

static syn_path_stop rule_gap(const syn_paths *p, int64_t episode, const void *how)
{
    const thresholds *t = how;
    return syn_stop_gap(p, episode, t->answer, t->abstain);
}

/* The thresholds of highest return on p; result (p->count): scratch. */
static thresholds tune_gap(const syn_paths *p, syn_episode_result *result)
{
    static const float answers[] = {0.02f, 0.05f, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f};
    static const float abstains[] = {0.3f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 0.95f, 1};
    thresholds best = {0};
    double most = -INFINITY;
    for (size_t a = 0; a < sizeof answers / sizeof *answers; a++) {
        for (size_t b = 0; b < sizeof abstains / sizeof *abstains; b++) {
            const thresholds t = {answers[a], abstains[b]};
            syn_eval_stop(p, rule_gap, &t, result);
            const double value = syn_policy_summarise(result, p->count).episode_return;
            if (value <= most) continue;
            most = value;
            best = t;
        }
    }
    return best;
}

static syn_status gap_rules(syn_evaluation *ev, const validation *v)
{
    const struct {
        const char *name;
        const syn_paths *tune, *score;
    } rules[2] = {{"round_robin_gap_stop", &v->round_robin, &ev->round_robin},
                  {"learned_gap_stop", &v->learned, &ev->learned}};
    for (int k = 0; k < 2; k++) {
        const thresholds t = tune_gap(rules[k].tune, v->result);
        ev->report->sweep.gap_answer[k] = t.answer;
        ev->report->sweep.gap_abstain[k] = t.abstain;
        SYN_RETURN_IF(syn_eval_add_stopped(ev, rules[k].name, rules[k].score, rule_gap, &t));
    }
    return SYN_OK;
}

static syn_status sweep(syn_evaluation *ev, validation *v)
{
    syn_sweep *s = &ev->report->sweep;
    SYN_RETURN_IF(validate(ev, v));
    s->records = v->side.corpus.records;
    s->episodes = v->side.episodes;
    s->reference = v->reference;
    const int64_t n = ev->learned.count;
    syn_episode_result *result = malloc(sizeof *result * (size_t)n);
    if (!result) return syn_fail(SYN_ERR_MEMORY, "out of memory for the sweep");
    for (int k = 0; k < SYN_SWEEP_POINTS; k++) {
        syn_sweep_point *p = &s->point[k];
        p->bias = syn_sweep_grid[k];
        syn_eval_stop(&v->learned, syn_rule_biased, &p->bias, v->result);
        p->validation = syn_policy_summarise(v->result, v->learned.count);
        syn_eval_stop(&ev->learned, syn_rule_biased, &p->bias, result);
        p->test = syn_policy_summarise(result, n);
    }
    free(result);
    for (int k = 0; k < SYN_SWEEP_TARGETS; k++) SYN_RETURN_IF(choose(ev, v, k));
    ev->report->swept = true;
    return gap_rules(ev, v);
}

syn_status syn_eval_sweep(syn_evaluation *ev)
{
    validation v = {0};
    syn_status st = sweep(ev, &v);
    free(v.result);
    syn_paths_free(&v.learned);
    syn_paths_free(&v.round_robin);
    syn_eval_side_free(ev->ctx, &v.side);
    return st;
}
