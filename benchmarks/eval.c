#include "benchmarks/eval.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text.h"
#include "kernels/base/progress.h"
#include "trainer/episodes.h"
#include "trainer/metrics.h"
#include "trainer/pretrain.h"

enum { BOOTSTRAPS = 1000, COUNT_FEATURES = 6, QUESTION_FEATURES = 8, TRACE_MAX = 200000 };

typedef struct evaluation {
    syn_ctx *ctx;
    const syn_eval_config *cfg;
    const syn_dataset *ds;
    const syn_model *model;
    syn_corpus corpus;
    int32_t *record; /* all of the corpus */
    syn_eval_report *report;
    syn_episode_result *result[SYN_POLICY_COUNT];
} evaluation;

/* ---- Leak tests: what can be told from counts, or from the question, alone ---- */

double syn_logistic_auroc(const double *x, int width, const uint8_t *label,
                          const uint8_t *test_half, int64_t n)
{
    double w[32] = {0}, mean[32] = {0}, scale[32] = {0};
    int64_t fitted = 0;
    for (int64_t i = 0; i < n; i++) {
        if (test_half[i]) continue;
        fitted++;
        for (int k = 0; k < width; k++) mean[k] += x[i * width + k];
    }
    for (int k = 0; k < width; k++) mean[k] /= fitted ? (double)fitted : 1;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < width && !test_half[i]; k++)
            scale[k] += pow(x[i * width + k] - mean[k], 2);
    }
    for (int k = 0; k < width; k++)
        scale[k] = 1 / (sqrt(scale[k] / (fitted ? (double)fitted : 1)) + 1e-9);
    for (int it = 0; it < 200; it++) { /* gradient descent on standardised features */
        double g[33] = {0};
        for (int64_t i = 0; i < n; i++) {
            if (test_half[i]) continue;
            double z = w[width];
            for (int k = 0; k < width; k++) z += w[k] * (x[i * width + k] - mean[k]) * scale[k];
            double d = 1 / (1 + exp(-z)) - label[i];
            for (int k = 0; k < width; k++) g[k] += d * (x[i * width + k] - mean[k]) * scale[k];
            g[width] += d;
        }
        for (int k = 0; k <= width; k++) w[k] -= 1.0 * g[k] / (double)(fitted ? fitted : 1);
    }
    syn_scored *s = malloc(sizeof *s * (size_t)(n + 1));
    int64_t count = 0;
    for (int64_t i = 0; s && i < n; i++) {
        if (!test_half[i]) continue;
        double z = 0;
        for (int k = 0; k < width; k++) z += w[k] * (x[i * width + k] - mean[k]) * scale[k];
        s[count++] = (syn_scored){(float)z, label[i], 0};
    }
    double auroc = s ? syn_auroc(s, count) : 0.5;
    free(s);
    return auroc;
}

static void question_features(const evaluation *ev, int32_t record, double *x)
{
    const syn_record *r = &ev->ds->records[ev->corpus.record[record]];
    double capitals = 0, numbers = 0, idf = 0, rare = 0;
    for (int32_t k = 0; k < r->question_count; k++) {
        uint32_t t = ev->ds->tokens[r->question_at + k];
        double w = (double)syn_idf_of(ev->model->idf, t);
        capitals += (t & SYN_TOKEN_CAPITAL) != 0;
        numbers += (t & SYN_TOKEN_NUMBER) != 0;
        idf += w;
        rare += w > 4;
    }
    const double v[QUESTION_FEATURES] = {r->question_count,
                                         capitals,
                                         numbers,
                                         idf,
                                         rare,
                                         idf / (r->question_count + 1),
                                         r->type == SYN_TYPE_COMPARISON,
                                         capitals / (r->question_count + 1)};
    memcpy(x, v, sizeof v);
}

static syn_status leak_tests(evaluation *ev)
{
    const int64_t n = ev->cfg->episodes;
    double *counts = malloc(sizeof *counts * COUNT_FEATURES * (size_t)n);
    double *question = malloc(sizeof *question * QUESTION_FEATURES * (size_t)n);
    uint8_t *label = malloc((size_t)n), *half = malloc((size_t)n);
    syn_status st = SYN_OK;
    if (!counts || !question || !label || !half) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the leak tests");
        goto done;
    }
    syn_episode_config opening = syn_episodes_opening;
    opening.env = ev->cfg->env;
    for (int64_t i = 0; i < n; i++) {
        syn_env env;
        syn_episode_draw(&env, &opening, &ev->corpus, ev->record, ev->corpus.records, ev->cfg->seed,
                         (uint64_t)i);
        const double held = env.count[0], k = syn_popcount(env.present), team = env.agents;
        const double v[COUNT_FEATURES] = {team, held, k, held / k, 1 / team, held * team / k};
        memcpy(counts + i * COUNT_FEATURES, v, sizeof v);
        question_features(ev, env.task / 2, question + i * QUESTION_FEATURES);
        label[i] = syn_label_gap(&env, 0);
        half[i] = ev->ds->records[ev->corpus.record[env.task / 2]].id_key >> 40 & 1;
    }
    ev->report->gap.count_only_auroc = syn_logistic_auroc(counts, COUNT_FEATURES, label, half, n);
    ev->report->gap.question_only_auroc =
        syn_logistic_auroc(question, QUESTION_FEATURES, label, half, n);
done:
    free(counts);
    free(question);
    free(label);
    free(half);
    return st;
}

/* ---- Gap, link, ranker in the opening state ---- */

static void raw_gaps(const evaluation *ev, const char *kind, const syn_measured *m,
                     const syn_calibration *c)
{
    for (int64_t i = 0; ev->cfg->raw && i < m->gaps; i++) {
        const syn_record *r = &ev->ds->records[ev->corpus.record[m->gap[i].group]];
        fprintf(ev->cfg->raw, "{\"kind\":\"%s\",\"id\":\"%016llx\",\"label\":%d,\"p\":%.6f}\n",
                kind, (unsigned long long)r->id_key, m->gap[i].label,
                (double)syn_calibrate(c, (real)m->gap[i].logit));
    }
}

static double cosine_auroc(const evaluation *ev)
{
    const int64_t most = ev->corpus.records * SYN_ROWS_MAX;
    syn_scored *s = malloc(sizeof *s * (size_t)most);
    int64_t n = 0;
    for (int64_t r = 0; s && r < ev->corpus.records; r++) {
        const syn_task_info *info = &ev->corpus.tasks.info[2 * r];
        const real *quest = ev->corpus.tasks.quest + 2 * r * SYN_TASK_QUEST;
        for (int p = 0; p < info->pieces; p++) {
            s[n++] = (syn_scored){(float)quest[p * SYN_DQ + SYN_Q_COSINE], info->gold >> p & 1, 0};
        }
    }
    double auroc = s ? syn_auroc(s, n) : 0;
    free(s);
    return auroc;
}

static syn_status opening_states(evaluation *ev)
{
    const syn_model *m = ev->model;
    syn_eval_report *r = ev->report;
    syn_episode_config opening = syn_episodes_opening;
    syn_measured got;
    opening.env = ev->cfg->env;
    const bool asker = ev->cfg->env.goal == SYN_GOAL_ASKER;
    for (int titled = 1; titled >= 0; titled--) {
        const syn_calibration *c = &m->perception.calibrated[SYN_GAP];
        opening.untitled_share = titled ? 0 : 1;
        SYN_RETURN_IF(syn_measure(ev->ctx, &m->perception, m->central, &ev->corpus, &opening,
                                  ev->record, ev->corpus.records, ev->cfg->episodes, ev->cfg->seed,
                                  &got));
        double positive = 0;
        for (int64_t i = 0; i < got.gaps; i++) positive += got.gap[i].label;
        r->gap.prior =
            asker ? 0.75 : positive / (double)got.gaps; /* the strata's, not the sample's */
        raw_gaps(ev, titled ? "gap" : "gap_no_title", &got, c);
        *(titled ? &r->gap.balanced_accuracy : &r->gap.no_title_balanced_accuracy) =
            syn_balanced_accuracy(got.gap, got.gaps, c, r->gap.prior);
        if (titled) {
            r->gap.ece = syn_ece(got.gap, got.gaps, c);
            r->link_auroc = syn_auroc(got.link, got.links);
            r->ranker_auroc = syn_auroc(got.ranker, got.ranks);
        }
        *(titled ? &r->gap.auroc : &r->gap.no_title_auroc) = syn_auroc(got.gap, got.gaps);
        syn_measured_free(&got);
    }
    if (m->has_shuffled) {
        opening.untitled_share = 0;
        SYN_RETURN_IF(syn_measure(ev->ctx, &m->shuffled, m->central, &ev->corpus, &opening,
                                  ev->record, ev->corpus.records, ev->cfg->episodes, ev->cfg->seed,
                                  &got));
        raw_gaps(ev, "gap_shuffled", &got, &m->shuffled.calibrated[SYN_GAP]);
        r->gap.shuffled_auroc = syn_auroc(got.gap, got.gaps);
        syn_measured_free(&got);
    }
    r->cosine_auroc = cosine_auroc(ev);
    return SYN_OK;
}

/* ---- Policies ---- */

static void raw_episodes(const evaluation *ev, syn_policy_kind kind)
{
    for (int64_t i = 0; ev->cfg->raw && i < ev->cfg->episodes; i++) {
        const syn_episode_result *e = &ev->result[kind][i];
        const syn_record *r = &ev->ds->records[ev->corpus.record[e->record]];
        fprintf(
            ev->cfg->raw,
            "{\"kind\":\"episode\",\"policy\":\"%s\",\"episode\":%lld,\"id\":\"%016llx\","
            "\"return\":%.4f,"
            "\"success\":%d,\"answerable\":%d,\"abstained\":%d,\"messages\":%d,\"deliveries\":%d,"
            "\"ended\":%d,\"agents\":%d,\"requests\":%d,\"moves\":%d}\n",
            syn_policy_name(kind), (long long)i, (unsigned long long)r->id_key,
            (double)e->episode_return, e->success, e->answerable, e->abstained, e->messages,
            e->deliveries, e->ended, e->agents, e->requests, e->moves);
    }
}

static syn_status play_all(evaluation *ev)
{
    const syn_model *m = ev->model;
    const syn_play play = {.ctx = ev->ctx,
                           .corpus = &ev->corpus,
                           .env = ev->cfg->env,
                           .record = ev->record,
                           .records = ev->corpus.records,
                           .seed = ev->cfg->seed,
                           .central = m->central,
                           .sample = ev->cfg->sample,
                           .stop_bias = ev->cfg->stop_bias,
                           .perception = &m->perception,
                           .control = m->has_policy ? &m->control : NULL};
    syn_play_trace trace = {malloc(sizeof *trace.gap * TRACE_MAX), 0, TRACE_MAX};
    syn_progress bar;
    syn_status st =
        trace.gap ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    syn_progress_begin(&bar, "eval", "policies", SYN_POLICY_COUNT);
    for (int k = 0; k < SYN_POLICY_COUNT && st == SYN_OK; k++) {
        const bool needs_policy = k == SYN_POLICY_LEARNED || k == SYN_POLICY_LEARNED_NO_REQUEST;
        if (needs_policy && !m->has_policy) continue;
        ev->result[k] = malloc(sizeof *ev->result[k] * (size_t)ev->cfg->episodes);
        if (!ev->result[k])
            st = syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
        else
            st = syn_play_policy(&play, (syn_policy_kind)k, ev->cfg->episodes, ev->result[k],
                                 k == SYN_POLICY_LEARNED ? &trace : NULL);
        if (st != SYN_OK) break;
        ev->report->played[k] = true;
        ev->report->policy[k] = syn_policy_summarise(ev->result[k], ev->cfg->episodes);
        raw_episodes(ev, (syn_policy_kind)k);
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

/* Learned against the best untrained policy: questions are drawn with replacement, with all their
 * episodes. */
static syn_status compare_policies(evaluation *ev)
{
    syn_eval_report *r = ev->report;
    r->best_untrained = SYN_POLICY_NEVER;
    for (int k = SYN_POLICY_NEVER; k <= SYN_POLICY_COSINE_PUSH; k++) {
        if (r->policy[k].episode_return > r->policy[r->best_untrained].episode_return) {
            r->best_untrained = (syn_policy_kind)k;
        }
    }
    if (!r->played[SYN_POLICY_LEARNED]) return SYN_OK;
    const int64_t q = ev->corpus.records;
    double *sum = calloc((size_t)q * 4, sizeof *sum),
           *difference = malloc(sizeof(double) * BOOTSTRAPS),
           *ratio = malloc(sizeof(double) * BOOTSTRAPS);
    syn_status st = SYN_OK;
    if (!sum || !difference || !ratio) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the bootstrap");
        goto done;
    }
    for (int64_t i = 0; i < ev->cfg->episodes; i++) {
        const syn_episode_result *a = &ev->result[SYN_POLICY_LEARNED][i],
                                 *b = &ev->result[r->best_untrained][i];
        double *s = sum + (int64_t)a->record * 4;
        s[0] += (double)a->episode_return - (double)b->episode_return;
        s[1] += 1;
        s[2] += a->messages;
        s[3] += b->messages;
    }
    syn_rng rng = syn_rng_make(ev->cfg->seed, SYN_STREAM_BOOTSTRAP);
    for (int k = 0; k < BOOTSTRAPS; k++) {
        double t[4] = {0};
        for (int64_t i = 0; i < q; i++) {
            const double *s = sum + (int64_t)syn_rng_below(&rng, (uint32_t)q) * 4;
            for (int c = 0; c < 4; c++) t[c] += s[c];
        }
        difference[k] = t[1] > 0 ? t[0] / t[1] : 0;
        ratio[k] = t[3] > 0 ? t[2] / t[3] : 0;
    }
    const syn_policy_summary *a = &r->policy[SYN_POLICY_LEARNED],
                             *b = &r->policy[r->best_untrained];
    r->difference_return = interval(a->episode_return - b->episode_return, difference);
    r->message_ratio = interval(b->messages > 0 ? a->messages / b->messages : 0, ratio);
done:
    free(sum);
    free(difference);
    free(ratio);
    return st;
}

syn_status syn_evaluate(syn_ctx *ctx, const syn_eval_config *cfg, const syn_dataset *ds,
                        const uint8_t *use, const syn_model *model, syn_eval_report *report)
{
    syn_status st;
    evaluation ev = {.ctx = ctx, .cfg = cfg, .ds = ds, .model = model, .report = report};
    memset(report, 0, sizeof *report);
    report->gap.shuffled_auroc = report->rollout_auroc = report->rollout_balanced_accuracy = NAN;
    report->difference_return = report->message_ratio = (syn_interval){NAN, NAN, NAN};
    SYN_REQUIRE(model->has_perception, "the checkpoint holds no trained networks");
    SYN_TRY(
        syn_corpus_build(ctx, &ev.corpus, ds, use, NULL, model->idf, model->table, cfg->pieces));
    report->records = ev.corpus.records;
    report->episodes = cfg->episodes;
    ev.record = malloc(sizeof *ev.record * (size_t)ev.corpus.records);
    if (!ev.record) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                      (long long)ev.corpus.records);
        goto done;
    }
    for (int64_t k = 0; k < ev.corpus.records; k++) ev.record[k] = (int32_t)k;
    SYN_TRY(opening_states(&ev));
    SYN_TRY(leak_tests(&ev));
    SYN_TRY(play_all(&ev));
    SYN_TRY(compare_policies(&ev));
done:
    for (int k = 0; k < SYN_POLICY_COUNT; k++) free(ev.result[k]);
    free(ev.record);
    syn_corpus_free(ctx, &ev.corpus);
    return st;
}
