/* Every policy on the same episodes: its figures, its curve, and how the learned one compares. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/eval_parts.h"
#include "kernels/base/progress.h"

enum { BOOTSTRAPS = 1000, TRACE_MAX = 200000 };

/* ---- Rows ---- */

int syn_eval_row_of(const syn_evaluation *ev, const char *name)
{
    const syn_eval_row *row = syn_eval_find(ev->report, name);
    return row ? (int)(row - ev->report->row) : -1;
}

static void raw_episodes(const syn_evaluation *ev, const char *name, const syn_episode_result *r)
{
    for (int64_t i = 0; ev->cfg->raw && i < ev->cfg->episodes; i++) {
        const syn_episode_result *e = &r[i];
        const syn_record *record = &ev->ds->records[ev->side.corpus.record[e->record]];
        fprintf(ev->cfg->raw,
                "{\"kind\":\"episode\",\"policy\":\"%s\",\"episode\":%lld,\"id\":\"%016llx\","
                "\"group\":\"%016llx\",\"return\":%.4f,\"success\":%d,\"answerable\":%d,"
                "\"abstained\":%d,"
                "\"messages\":%d,\"deliveries\":%d,\"ended\":%d,\"agents\":%d,\"stratum\":%d,"
                "\"requests\":%d,\"moves\":%d}\n",
                name, (long long)i, (unsigned long long)record->id_key,
                (unsigned long long)syn_record_split_key(record), (double)e->episode_return,
                e->success, e->answerable, e->abstained, e->messages, e->deliveries, e->ended,
                e->agents, e->stratum, e->requests, e->moves);
    }
}

/* The summary of the episodes of one team size, or of one stratum; -1: of any. */
static syn_policy_summary summary_of(const syn_episode_result *r, int64_t count, int agents,
                                     int stratum, syn_episode_result *some)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        if ((agents < 0 || r[i].agents == agents) && (stratum < 0 || r[i].stratum == stratum))
            some[n++] = r[i];
    }
    return syn_policy_summarise(some, n);
}

syn_status syn_eval_add(syn_evaluation *ev, const char *name, bool ablation,
                        syn_episode_result *result)
{
    syn_eval_report *report = ev->report;
    const int64_t n = ev->cfg->episodes;
    syn_episode_result *some = malloc(sizeof *some * (size_t)n);
    if (!some || report->rows == SYN_EVAL_ROWS_MAX) {
        free(some);
        free(result);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    }
    ev->result[report->rows] = result;
    syn_eval_row *row = &report->row[report->rows++];
    *row = (syn_eval_row){.ablation = ablation, .regret = NAN, .score = NAN, .area = NAN};
    snprintf(row->name, sizeof row->name, "%s", name);
    row->all = syn_policy_summarise(result, n);
    for (int k = 0; k <= SYN_AGENTS_MAX; k++)
        row->by_agents[k] = summary_of(result, n, k, -1, some);
    for (int k = 0; k < 3; k++) row->by_stratum[k] = summary_of(result, n, -1, k, some);
    free(some);
    raw_episodes(ev, name, result);
    return SYN_OK;
}

/* ---- Rules over paths ---- */

void syn_eval_stop(const syn_paths *p, syn_stop_rule rule, const void *how,
                   syn_episode_result *result)
{
    for (int64_t i = 0; i < p->count; i++) result[i] = syn_path_result(p, i, rule(p, i, how));
}

syn_status syn_eval_add_stopped(syn_evaluation *ev, const char *name, const syn_paths *p,
                                syn_stop_rule rule, const void *how)
{
    syn_episode_result *result = malloc(sizeof *result * (size_t)p->count);
    if (!result) return syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    syn_eval_stop(p, rule, how, result);
    return syn_eval_add(ev, name, true, result);
}

syn_path_stop syn_rule_biased(const syn_paths *p, int64_t episode, const void *bias)
{
    return syn_stop_biased(p, episode, *(const syn_stop_bias *)bias);
}

syn_path_stop syn_rule_after(const syn_paths *p, int64_t episode, const void *messages)
{
    return syn_stop_after(p, episode, *(const int *)messages);
}

/* A policy that is cut short: ANSWER after at most m messages, for every m. */
static syn_status curve_of(syn_eval_row *row, const syn_paths *p)
{
    syn_episode_result *result = malloc(sizeof *result * (size_t)p->count);
    int most = 0;
    if (!result) return syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    for (int64_t i = 0; i < p->rows; i++) {
        if (p->row[i].messages > most) most = p->row[i].messages;
    }
    const int step = most / (SYN_EVAL_CURVE_MAX - 1) + 1;
    for (int m = 0; m < most + step && row->points < SYN_EVAL_CURVE_MAX; m += step) {
        syn_eval_stop(p, syn_rule_after, &m, result);
        const syn_policy_summary s = syn_policy_summarise(result, p->count);
        row->point[row->points++] = (syn_trade){s.messages, s.success_answerable};
    }
    free(result);
    return SYN_OK;
}

/* ---- Playing ---- */

/* Broadcast, round robin, cosine push: they ANSWER where they have nothing more to send, so that
 * their ways are all there is to play. */
static bool is_its_path(syn_policy_kind k)
{
    switch (k) {
    case SYN_POLICY_BROADCAST:
    case SYN_POLICY_ROUND_ROBIN:
    case SYN_POLICY_COSINE_PUSH:
    case SYN_POLICY_BROADCAST_RANKER:
    case SYN_POLICY_ROUND_ROBIN_RANKER:
    case SYN_POLICY_COSINE_PUSH_RANKER:
        return true;
    default:
        return false;
    }
}

static syn_status play_one(syn_evaluation *ev, const syn_play *play, syn_policy_kind kind,
                           syn_play_trace *trace)
{
    syn_status st;
    const int64_t n = ev->cfg->episodes;
    const char *name = syn_policy_name(kind);
    const bool observed = kind == SYN_POLICY_ROUND_ROBIN && ev->model->has_policy;
    const int to_the_end = INT16_MAX;
    syn_paths paths = {0};
    syn_episode_result *result = malloc(sizeof *result * (size_t)n);
    if (!result) return syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    const bool curve = is_its_path(kind) || kind == SYN_POLICY_RANDOM || kind == SYN_POLICY_ORACLE;
    if (curve) SYN_TRY(syn_play_paths(play, kind, observed, NULL, 0, n, &paths));
    if (is_its_path(kind)) {
        syn_eval_stop(&paths, syn_rule_after, &to_the_end, result);
    } else {
        SYN_TRY(syn_play_policy(play, kind, n, result, trace));
    }
    st = syn_eval_add(ev, name, kind > SYN_POLICY_LEARNED, result);
    result = NULL;
    if (st != SYN_OK) goto done;
    syn_eval_row *row = &ev->report->row[ev->report->rows - 1];
    if (curve) SYN_TRY(curve_of(row, &paths));
    if (kind == SYN_POLICY_NEVER)
        row->point[row->points++] = (syn_trade){0, row->all.success_answerable};
    if (observed) {
        ev->round_robin = paths;
        paths = (syn_paths){0};
    }
done:
    free(result);
    syn_paths_free(&paths);
    return st;
}

static syn_status play_all(syn_evaluation *ev)
{
    const syn_model *m = ev->model;
    syn_play play = syn_eval_play(ev, &ev->side);
    play.sample = ev->cfg->sample;
    play.stop_bias = ev->cfg->bias.answer;
    play.abstain_bias = ev->cfg->bias.abstain;
    play.stop_in_time = play.stop_bias < 0 || play.abstain_bias < 0;
    syn_play_trace trace = {malloc(sizeof *trace.gap * TRACE_MAX), 0, TRACE_MAX};
    syn_progress bar;
    syn_status st =
        trace.gap ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    syn_progress_begin(&bar, "eval", "policies", SYN_POLICY_COUNT);
    for (int k = 0; k < SYN_POLICY_COUNT && st == SYN_OK; k++) {
        const bool needs_policy = k == SYN_POLICY_LEARNED || k == SYN_POLICY_LEARNED_NO_REQUEST;
        if (needs_policy && !m->has_policy) continue;
        st = play_one(ev, &play, (syn_policy_kind)k, k == SYN_POLICY_LEARNED ? &trace : NULL);
        syn_progress_update(&bar, k + 1, "%s", syn_policy_name((syn_policy_kind)k));
    }
    syn_progress_end(&bar);
    if (st == SYN_OK && trace.count) {
        const syn_calibration *c = &m->perception.calibrated[SYN_GAP];
        ev->report->rollout_balanced_accuracy =
            syn_balanced_accuracy(trace.gap, trace.count, c, 0.5);
        ev->report->rollout_auroc = syn_auroc(trace.gap, trace.count);
    }
    free(trace.gap);
    return st;
}

/* ---- Comparison ---- */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static syn_interval interval(double value, double *sample)
{
    qsort(sample, BOOTSTRAPS, sizeof *sample, compare_double);
    return (syn_interval){value, sample[BOOTSTRAPS / 40], sample[BOOTSTRAPS - 1 - BOOTSTRAPS / 40]};
}

/* A record of the corpus and what it moves with. */
typedef struct keyed {
    uint64_t key;
    int32_t record;
} keyed;

static int compare_keyed(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->record > y->record) - (x->record < y->record);
}

/* Numbers what is drawn, in the order of the first records: a question that stands alone, or all
 * those of one dialogue or story. group (records): overwritten. Returns how many there are, -1
 * without memory. */
static int32_t group_records(const syn_evaluation *ev, int32_t *group)
{
    const int64_t n = ev->side.corpus.records;
    int32_t groups = 0;
    keyed *k = malloc(sizeof *k * (size_t)n);
    if (!k) return -1;
    for (int64_t i = 0; i < n; i++) {
        const syn_record *r = &ev->ds->records[ev->side.corpus.record[i]];
        k[i] = (keyed){syn_record_split_key(r), (int32_t)i};
    }
    qsort(k, (size_t)n, sizeof *k, compare_keyed);
    for (int64_t i = 0; i < n; i++) { /* the first record of each group stands for it */
        const bool again = i && k[i].key == k[i - 1].key;
        group[k[i].record] = again ? group[k[i - 1].record] : k[i].record;
    }
    for (int64_t i = 0; i < n; i++) group[i] = group[i] == i ? groups++ : group[group[i]];
    free(k);
    return groups;
}

enum { SUM_RETURN, SUM_EPISODES, SUM_A, SUM_B, SUM_SUCCESS, SUM_ANSWERABLE, SUMS };

static void sums_by_group(const syn_evaluation *ev, int a, int b, const int32_t *group, double *sum)
{
    for (int64_t i = 0; i < ev->cfg->episodes; i++) {
        const syn_episode_result *x = &ev->result[a][i], *y = &ev->result[b][i];
        double *s = sum + (int64_t)group[x->record] * SUMS;
        s[SUM_RETURN] += (double)x->episode_return - (double)y->episode_return;
        s[SUM_EPISODES] += 1;
        s[SUM_A] += x->messages;
        s[SUM_B] += y->messages;
        s[SUM_SUCCESS] += x->success - y->success;
        s[SUM_ANSWERABLE] += x->answerable;
    }
}

/* Groups of questions are drawn with replacement, with all their episodes. */
syn_status syn_eval_compare(const syn_evaluation *ev, int a, int b, syn_eval_difference *out)
{
    const size_t records = (size_t)ev->side.corpus.records;
    int32_t *group = malloc(sizeof *group * records);
    double *sum = calloc(records * SUMS, sizeof *sum),
           *drawn = malloc(sizeof *drawn * 3 * BOOTSTRAPS);
    syn_status st = SYN_OK;
    const int32_t q = group ? group_records(ev, group) : -1;
    if (q < 0 || !sum || !drawn) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the bootstrap");
        goto done;
    }
    double *difference = drawn, *ratio = drawn + BOOTSTRAPS, *success = drawn + 2 * BOOTSTRAPS;
    sums_by_group(ev, a, b, group, sum);
    syn_rng rng = syn_rng_make(ev->cfg->seed, SYN_STREAM_BOOTSTRAP);
    for (int k = 0; k < BOOTSTRAPS; k++) {
        double t[SUMS] = {0};
        for (int32_t i = 0; i < q; i++) {
            const double *s = sum + (int64_t)syn_rng_below(&rng, (uint32_t)q) * SUMS;
            for (int c = 0; c < SUMS; c++) t[c] += s[c];
        }
        difference[k] = t[SUM_EPISODES] > 0 ? t[SUM_RETURN] / t[SUM_EPISODES] : 0;
        ratio[k] = t[SUM_B] > 0 ? t[SUM_A] / t[SUM_B] : 0;
        success[k] = t[SUM_ANSWERABLE] > 0 ? t[SUM_SUCCESS] / t[SUM_ANSWERABLE] : 0;
    }
    const syn_policy_summary *x = &ev->report->row[a].all, *y = &ev->report->row[b].all;
    out->episode_return = interval(x->episode_return - y->episode_return, difference);
    out->message_ratio = interval(y->messages > 0 ? x->messages / y->messages : 0, ratio);
    out->success_answerable = interval(x->success_answerable - y->success_answerable, success);
done:
    free(group);
    free(sum);
    free(drawn);
    return st;
}

syn_status syn_eval_policies(syn_evaluation *ev)
{
    syn_eval_report *r = ev->report;
    SYN_RETURN_IF(play_all(ev));
    r->best_untrained = 0;
    for (int k = SYN_POLICY_NEVER; k <= SYN_POLICY_COSINE_PUSH; k++) {
        if (r->row[k].all.episode_return > r->row[r->best_untrained].all.episode_return)
            r->best_untrained = k;
    }
    const int learned = syn_eval_row_of(ev, syn_policy_name(SYN_POLICY_LEARNED));
    return learned < 0 ? SYN_OK : syn_eval_compare(ev, learned, r->best_untrained, &r->difference);
}

/* What a row is worth beside round robin and the oracle, once all are there. */
void syn_eval_finish(syn_eval_report *r)
{
    const syn_policy_summary *robin = &r->row[SYN_POLICY_ROUND_ROBIN].all,
                             *oracle = &r->row[SYN_POLICY_ORACLE].all;
    const double span = oracle->episode_return - robin->episode_return;
    for (int k = 0; k < r->rows; k++) {
        syn_eval_row *row = &r->row[k];
        row->regret = oracle->episode_return - row->all.episode_return;
        row->score = span > 0 ? (row->all.episode_return - robin->episode_return) / span : NAN;
        row->area = syn_trade_area(row->point, row->points, robin->messages);
    }
}
