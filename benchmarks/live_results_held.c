/* Policies held against each other on the same questions, and the strata. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/compare.h"
#include "benchmarks/live_results.h"

enum { PAIRS_MAX = SYN_LIVE_POLICY_COUNT - 1 };

/* ---- comparisons ---- */

typedef struct held {
    const char *first;
    const char *against[PAIRS_MAX];
    syn_comparison with[PAIRS_MAX];
    int pairs;
} held;

static bool has_policy(const syn_live_run *run, const char *policy)
{
    for (int64_t i = 0; i < run->count; i++)
        if (!strcmp(run->record[i].policy, policy)) return true;
    return false;
}

/* Policies that have no question in common are not held against each other. */
static syn_status compare(const syn_live_sums *s, held *h)
{
    for (int p = 0; p < SYN_LIVE_POLICY_COUNT; p++) {
        const char *name = syn_live_policy_name((syn_live_policy)p);
        if (!has_policy(&s->run, name)) continue;
        if (!h->first) {
            h->first = name;
            continue;
        }
        const syn_compare_options o = {.metric = "correct",
                                       .policy = h->first,
                                       .against = name,
                                       .seed = s->plan->seed,
                                       .allow_partial = true};
        const int k = h->pairs++;
        const syn_status st = syn_compare(&s->run, &s->run, &o, &h->with[k]);
        h->against[k] = name;
        if (st != SYN_OK && st != SYN_ERR_INVALID) return st;
        if (st != SYN_OK) h->with[k].rows = 0;
    }
    return SYN_OK;
}

/* All p of one kind of table, over all pairs of policies, are one family. */
static syn_status correct_p(held *h, syn_compare_table table)
{
    double *p = malloc(sizeof *p * PAIRS_MAX * SYN_COMPARE_ROWS_MAX);
    int64_t n = 0, at = 0;
    if (!p) return syn_fail(SYN_ERR_MEMORY, "out of memory for the comparisons");
    for (int k = 0; k < h->pairs; k++)
        for (int i = 0; i < h->with[k].rows; i++)
            if (h->with[k].row[i].table == table) p[n++] = h->with[k].row[i].p;
    const syn_status st = syn_holm(p, n, p);
    for (int k = 0; k < h->pairs && st == SYN_OK; k++)
        for (int i = 0; i < h->with[k].rows; i++)
            if (h->with[k].row[i].table == table) h->with[k].row[i].p_holm = p[at++];
    free(p);
    return st;
}

static json_t *row_json(const held *h, int k, const syn_compare_row *row)
{
    const bool binary = row->only_a >= 0;
    const double mcnemar =
        binary ? syn_mcnemar_test(row->only_a, row->only_b).p_exact : (double)NAN;
    return json_pack("{s:s, s:s, s:o, s:[o,o], s:o, s:o, s:o, s:I, s:I, s:I}", "a", h->first, "b",
                     h->against[k], "difference", syn_live_real(row->difference.value), "ci95",
                     syn_live_real(row->difference.low), syn_live_real(row->difference.high),
                     "mcnemar_p", syn_live_real(mcnemar), "p", syn_live_real(row->p), "holm_p",
                     syn_live_real(row->p_holm), "n", (json_int_t)row->n, "only_a",
                     (json_int_t)row->only_a, "only_b", (json_int_t)row->only_b);
}

/* The member of an object, made as an empty `otherwise` where there is none; borrowed. */
static json_t *member(json_t *object, const char *name, json_t *otherwise)
{
    json_t *there = json_object_get(object, name);
    if (there) {
        json_decref(otherwise);
        return there;
    }
    return json_object_set_new(object, name, otherwise) == 0 ? otherwise : NULL;
}

static bool add_row(const held *h, int k, json_t *benchmarks)
{
    const syn_comparison *c = &h->with[k];
    bool whole = true;
    for (int i = 0; i < c->rows; i++) {
        const syn_compare_row *row = &c->row[i];
        json_t *benchmark = json_object_get(benchmarks, row->benchmark), *j = NULL, *list = NULL;
        if (row->table == SYN_COMPARE_CELLS) {
            list = member(benchmark, "comparisons", json_array());
            j = row_json(h, k, row);
            if (j) json_object_set_new(j, "num_agents", json_integer(row->num_agents));
        } else if (row->table == SYN_COMPARE_STRATA) {
            json_t *strata = member(benchmark, "strata", json_object());
            list = member(member(strata, row->stratum, json_object()), "comparisons", json_array());
            j = row_json(h, k, row);
        } else {
            continue;
        }
        whole &= json_array_append_new(list, j) == 0;
    }
    return whole;
}

/* ---- strata ---- */

static int by_stratum(const void *a, const void *b)
{
    const syn_live_record *x = *(const syn_live_record *const *)a;
    const syn_live_record *y = *(const syn_live_record *const *)b;
    int order = strcmp(x->benchmark, y->benchmark);
    if (!order) order = strcmp(x->stratum, y->stratum);
    return order ? order : strcmp(x->policy, y->policy);
}

/* {STRATUM: {"accuracy": {policy: share}, "answers": {policy: n}}}, all sizes of teams together. */
static syn_status add_strata(const syn_live_run *run, json_t *benchmarks)
{
    const syn_live_record **at = malloc(sizeof *at * (size_t)(run->count + 1));
    bool whole = at != NULL;
    int64_t n = 0;
    for (int64_t i = 0; at && i < run->count; i++)
        if (run->record[i].stratum[0]) at[n++] = &run->record[i];
    if (at) qsort(at, (size_t)n, sizeof *at, by_stratum);
    for (int64_t i = 0; at && i < n;) {
        const syn_live_record *r = at[i];
        double correct = 0;
        int64_t count = 0;
        for (; i < n && by_stratum(&r, &at[i]) == 0; i++, count++) correct += at[i]->correct;
        json_t *strata = member(json_object_get(benchmarks, r->benchmark), "strata", json_object());
        json_t *stratum = member(strata, r->stratum, json_object());
        whole &= json_object_set_new(member(stratum, "accuracy", json_object()), r->policy,
                                     syn_live_real(correct / (double)count)) == 0;
        whole &= json_object_set_new(member(stratum, "answers", json_object()), r->policy,
                                     json_integer(count)) == 0;
    }
    free(at);
    return whole ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the strata");
}

syn_status syn_live_held_json(const syn_live_sums *s, json_t *benchmarks)
{
    held *h = calloc(1, sizeof *h);
    if (!h) return syn_fail(SYN_ERR_MEMORY, "out of memory for the comparisons");
    syn_status st = compare(s, h);
    if (st == SYN_OK) st = correct_p(h, SYN_COMPARE_CELLS);
    if (st == SYN_OK) st = correct_p(h, SYN_COMPARE_STRATA);
    if (st == SYN_OK) st = add_strata(&s->run, benchmarks);
    for (int k = 0; k < h->pairs && st == SYN_OK; k++)
        if (!add_row(h, k, benchmarks))
            st = syn_fail(SYN_ERR_MEMORY, "out of memory for the comparisons");
    for (int k = 0; k < h->pairs; k++) syn_compare_free(&h->with[k]);
    free(h);
    return st;
}
