/* The figures of one policy with one number of agents on one benchmark. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_results.h"
#include "benchmarks/stats.h"

json_t *syn_live_real(double x)
{
    return isfinite(x) ? json_real(round(x * 1e6) / 1e6) : json_null();
}

/* ---- reading ---- */

static syn_status find_cells(syn_live_sums *s, syn_live_bench *const *benches)
{
    const syn_live_run *run = &s->run;
    for (int64_t i = 0; i < run->count;) {
        const syn_live_record *first = &run->record[i];
        syn_live_cell *c = &s->cell[s->cells];
        if (s->cells == SYN_LIVE_CELLS_MAX)
            return syn_fail(SYN_ERR_LIMIT, "%s: more than %d policies, sizes and benchmarks",
                            run->name, SYN_LIVE_CELLS_MAX);
        s->cells++;
        *c = (syn_live_cell){.from = i};
        while (i < run->count && run->record[i].benchmark == first->benchmark &&
               run->record[i].policy == first->policy &&
               run->record[i].num_agents == first->num_agents)
            i++;
        c->end = i;
        for (int b = 0; b < s->plan->sources && !c->totals; b++)
            if (!strcmp(s->plan->source[b].benchmark, first->benchmark))
                SYN_RETURN_IF(syn_live_totals_open(benches[b], &c->totals));
        if (!s->plan->predictions) continue;
        c->kept = calloc((size_t)(c->end - c->from), sizeof *c->kept);
        if (!c->kept) return syn_fail(SYN_ERR_MEMORY, "out of memory for the predictions");
    }
    return SYN_OK;
}

static int policy_number(const char *name)
{
    int p = 0;
    while (p < SYN_LIVE_POLICY_COUNT && strcmp(syn_live_policy_name((syn_live_policy)p), name)) p++;
    return p;
}

static bool comes_before(const syn_live_sums *s, int a, int b)
{
    const syn_live_record *x = &s->run.record[s->cell[a].from];
    const syn_live_record *y = &s->run.record[s->cell[b].from];
    if (x->num_agents != y->num_agents) return x->num_agents < y->num_agents;
    return policy_number(x->policy) < policy_number(y->policy);
}

static void order_cells(syn_live_sums *s)
{
    for (int k = 0; k < s->cells; k++) {
        int at = k;
        for (; at > 0 && comes_before(s, k, s->shown[at - 1]); at--)
            s->shown[at] = s->shown[at - 1];
        s->shown[at] = k;
    }
}

static int by_line(const void *a, const void *b)
{
    const syn_live_record *x = *(syn_live_record *const *)a, *y = *(syn_live_record *const *)b;
    return (x->line_number > y->line_number) - (x->line_number < y->line_number);
}

static syn_live_cell *cell_of(syn_live_sums *s, const syn_live_record *r)
{
    const int64_t at = r - s->run.record;
    int low = 0, high = s->cells - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (at < s->cell[middle].end)
            high = middle;
        else
            low = middle + 1;
    }
    return &s->cell[low];
}

/* What each agent said of its own answer, with the temperature that was applied to it. */
static syn_status add_stated(syn_live_sums *s, const syn_live_record *r, const json_t *line)
{
    const json_t *list = json_object_get(line, "stated"), *pair;
    const syn_agents *who = s->plan->agents_are;
    const char *name = syn_calibrated_name(who->agent.provider, who->agent.model);
    size_t i;
    json_array_foreach((json_t *)list, i, pair)
    {
        const json_t *confidence = json_array_get(pair, 0), *correct = json_array_get(pair, 1);
        if (!json_is_number(confidence) || !json_is_number(correct)) continue;
        SYN_RETURN_IF(syn_calibrator_add(
            s->calibrator, name, r->benchmark, r->group, json_number_value(confidence),
            syn_calibration_of(who->calibrations, name), json_number_value(correct)));
    }
    return SYN_OK;
}

static const json_t *object_or_null(const json_t *line, const char *name)
{
    const json_t *x = json_object_get(line, name);
    return json_is_object(x) ? x : NULL;
}

static syn_status add_line(syn_live_sums *s, const syn_live_record *r, const json_t *line)
{
    const char *domain = json_string_value(json_object_get(line, "domain"));
    syn_live_cell *c = cell_of(s, r);
    c->unparsed += json_is_true(json_object_get(line, "unparsed"));
    if (!r->error[0]) c->calls += (int64_t)json_integer_value(json_object_get(line, "calls"));
    SYN_RETURN_IF(add_stated(s, r, line));
    const json_t *prediction = object_or_null(line, "prediction");
    const int64_t number = (int64_t)json_integer_value(json_object_get(line, "number"));
    if (c->kept)
        c->kept[c->kept_count++] =
            (syn_live_kept){number, r->id, json_incref((json_t *)prediction)};
    if (!c->totals) return SYN_OK;
    return syn_live_totals_add(c->totals, number, r->id, domain ? domain : "", prediction,
                               object_or_null(line, "metrics"));
}

static int by_question(const void *a, const void *b)
{
    const syn_live_kept *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* In the order of the questions, as the turns of a dialogue have to be. */
static syn_status collect_predictions(syn_live_sums *s)
{
    for (int k = 0; k < s->cells; k++) {
        syn_live_cell *c = &s->cell[k];
        const char *benchmark = s->run.record[c->from].benchmark;
        if (c->kept_count > 1) qsort(c->kept, (size_t)c->kept_count, sizeof *c->kept, by_question);
        for (int64_t i = 0; i < c->kept_count; i++)
            SYN_RETURN_IF(
                syn_live_collect(benchmark, c->kept[i].id, c->kept[i].prediction, &c->predictions));
    }
    return SYN_OK;
}

/* The lines once more, for what is too large to be kept: predictions. kept (count): the records in
 * the order of their lines. */
static syn_status add_lines(syn_live_sums *s, FILE *f, char *text, syn_live_record *const *kept)
{
    int64_t number = 0, next = 0;
    while (next < s->run.count && fgets(text, SYN_LIVE_LINE_MAX, f)) {
        if (kept[next]->line_number != ++number) continue;
        json_t *line = json_loads(text, 0, NULL);
        const syn_status st =
            line ? add_line(s, kept[next], line)
                 : syn_fail(SYN_ERR_FORMAT, "line %lld has changed", (long long)number);
        json_decref(line);
        if (st != SYN_OK)
            return syn_fail_within(st, "%s: line %lld", s->run.name, (long long)number);
        next++;
    }
    if (next == s->run.count) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: has become shorter while it was read", s->run.name);
}

static syn_status read_predictions(syn_live_sums *s, const char *path)
{
    syn_status st;
    char *text = malloc(SYN_LIVE_LINE_MAX);
    syn_live_record **kept = malloc(sizeof *kept * (size_t)(s->run.count + 1));
    FILE *f = fopen(path, "rbe");
    if (!text || !kept || !f) {
        st = !f ? syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno))
                : syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
        goto done;
    }
    for (int64_t i = 0; i < s->run.count; i++) kept[i] = &s->run.record[i];
    qsort(kept, (size_t)s->run.count, sizeof *kept, by_line);
    SYN_TRY(add_lines(s, f, text, kept));
    SYN_TRY(collect_predictions(s));
done:
    if (f) fclose(f);
    free(kept);
    free(text);
    return st;
}

syn_status syn_live_sums_read(const syn_live_plan *plan, const char *path,
                              syn_live_bench *const *benches, syn_live_sums *s)
{
    *s = (syn_live_sums){.plan = plan};
    SYN_RETURN_IF(syn_calibrator_open(&s->calibrator));
    SYN_RETURN_IF(syn_live_read(path, "correct", &s->run));
    SYN_RETURN_IF(find_cells(s, benches));
    order_cells(s);
    return read_predictions(s, path);
}

void syn_live_sums_free(syn_live_sums *s)
{
    for (int k = 0; k < s->cells; k++) {
        syn_live_totals_close(s->cell[k].totals);
        json_decref(s->cell[k].predictions);
        for (int64_t i = 0; i < s->cell[k].kept_count; i++)
            json_decref(s->cell[k].kept[i].prediction);
        free(s->cell[k].kept);
    }
    syn_calibrator_close(s->calibrator);
    syn_live_free(&s->run);
}

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value that `share` of them do not exceed. */
static double quantile(const double *sorted, int64_t n, double share)
{
    if (!n) return NAN;
    int64_t at = (int64_t)ceil(share * (double)n) - 1;
    return sorted[at < 0 ? 0 : at];
}

static int by_group(const void *a, const void *b)
{
    const syn_live_record *x = *(const syn_live_record *const *)a;
    const syn_live_record *y = *(const syn_live_record *const *)b;
    return strcmp(x->group, y->group);
}

/* By Wilson where questions stand alone; those of one story or dialogue are drawn as one, by
 * Wilson again where all are alike and drawing shows nothing, and a single one gives no interval.
 */
static syn_status accuracy_of(const syn_live_record *r, int64_t n, uint64_t seed, syn_interval *out)
{
    syn_status st = SYN_OK;
    const syn_live_record **at = malloc(sizeof *at * (size_t)n);
    double *sum = calloc((size_t)n, sizeof *sum), *count = calloc((size_t)n, sizeof *count);
    int64_t groups = 0, hits = 0;
    if (!at || !sum || !count) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
        goto done;
    }
    for (int64_t i = 0; i < n; i++) at[i] = &r[i];
    qsort(at, (size_t)n, sizeof *at, by_group);
    for (int64_t i = 0; i < n; i++) {
        groups += i == 0 || by_group(&at[i - 1], &at[i]) != 0;
        sum[groups - 1] += at[i]->correct;
        count[groups - 1]++;
        hits += at[i]->correct > .5;
    }
    if (groups == n)
        *out = syn_wilson(hits, n);
    else if (hits == 0 || hits == n)
        *out = syn_wilson(hits ? groups : 0, groups);
    else
        SYN_TRY(syn_paired_bootstrap(sum, count, groups, seed, out, NULL));
    if (n > 1 && groups == 1) out->low = out->high = NAN;
done:
    free(at);
    free(sum);
    free(count);
    return st;
}

/* Sums over the answers that there were. */
typedef struct sums {
    double messages, tokens, cost_usd, rounds;
    int64_t answers, converged, abstained, failed, unpriced;
} sums;

static sums sum_up(const syn_live_record *r, int64_t n)
{
    sums x = {0};
    for (int64_t i = 0; i < n; i++) {
        if (r[i].error[0]) {
            x.failed++;
            continue;
        }
        x.answers++;
        x.messages += r[i].messages;
        x.tokens += r[i].tokens;
        x.rounds += r[i].rounds;
        x.converged += r[i].converged;
        x.abstained += r[i].abstained;
        if (isfinite(r[i].cost_usd))
            x.cost_usd += r[i].cost_usd;
        else
            x.unpriced++;
    }
    return x;
}

/* "latency_s" and "ece", of the answers that there were. */
static syn_status add_spread(json_t *j, const syn_live_record *r, int64_t n)
{
    double *latency = malloc(sizeof *latency * (size_t)n);
    double *confidence = malloc(sizeof *confidence * (size_t)n);
    double *correct = malloc(sizeof *correct * (size_t)n);
    int64_t count = 0;
    if (latency && confidence && correct) {
        for (int64_t i = 0; i < n; i++) {
            if (r[i].error[0]) continue;
            latency[count] = r[i].latency_s;
            confidence[count] = r[i].confidence;
            correct[count++] = r[i].correct;
        }
        qsort(latency, (size_t)count, sizeof *latency, by_value);
        json_object_set_new(j, "latency_s",
                            json_pack("{s:o, s:o}", "p50",
                                      syn_live_real(quantile(latency, count, .5)), "p95",
                                      syn_live_real(quantile(latency, count, .95))));
        json_object_set_new(j, "ece",
                            syn_live_real(syn_confidence_ece(confidence, correct, count, NULL)));
    }
    const bool whole = latency && confidence && correct;
    free(latency);
    free(confidence);
    free(correct);
    return whole ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
}

syn_status syn_live_cell_json(const syn_live_sums *s, const syn_live_cell *cell, json_t **out)
{
    const syn_live_record *r = &s->run.record[cell->from];
    const int64_t n = cell->end - cell->from;
    const sums x = sum_up(r, n);
    const double answers = (double)x.answers; /* 0: figures that are not finite are null */
    const bool alone = !strcmp(r->policy, "single") || !strcmp(r->policy, "self_consistency");
    syn_interval accuracy;
    json_t *metrics = NULL;
    SYN_RETURN_IF(accuracy_of(r, n, s->plan->seed, &accuracy));
    if (cell->totals) SYN_RETURN_IF(syn_live_totals_json(cell->totals, &metrics));
    json_t *j =
        json_pack("{s:s, s:i, s:I, s:o, s:o, s:[o,o]}", "policy", r->policy, "num_agents",
                  r->num_agents, "questions", (json_int_t)n, "metrics",
                  metrics ? metrics : json_object(), "accuracy", syn_live_real(accuracy.value),
                  "accuracy_ci95", syn_live_real(accuracy.low), syn_live_real(accuracy.high));
    *out = j;
    if (!j) return syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
    json_object_set_new(j, "messages", syn_live_real(x.messages / answers));
    json_object_set_new(j, "calls", syn_live_real((double)cell->calls / answers));
    json_object_set_new(j, "tokens", syn_live_real(x.tokens / answers));
    json_object_set_new(j, "cost_usd",
                        x.unpriced || !x.answers ? json_null() : json_real(x.cost_usd / answers));
    json_object_set_new(j, "rounds", syn_live_real((double)x.rounds / answers));
    /* One agent alone comes to no agreement. */
    json_object_set_new(j, "converged",
                        alone ? json_null() : syn_live_real((double)x.converged / answers));
    json_object_set_new(j, "abstained", syn_live_real((double)x.abstained / answers));
    json_object_set_new(j, "unparsed", json_integer(cell->unparsed));
    json_object_set_new(j, "failed", json_integer(x.failed));
    return add_spread(j, r, n);
}
