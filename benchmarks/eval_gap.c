/* The judges at the opening state, and what could be told without them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/eval_parts.h"
#include "engine/text.h"
#include "trainer/episodes.h"
#include "trainer/pretrain.h"

enum { COUNT_FEATURES = 6, QUESTION_FEATURES = 8 };

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

static void question_features(const syn_evaluation *ev, int32_t record, double *x)
{
    const syn_record *r = &ev->ds->records[ev->side.corpus.record[record]];
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

static syn_status leak_tests(syn_evaluation *ev)
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
        syn_episode_draw(&env, &opening, &ev->side.corpus, ev->side.record, ev->side.corpus.records,
                         ev->cfg->seed, (uint64_t)i);
        const double held = env.count[0], k = syn_popcount(env.present), team = env.agents;
        const double v[COUNT_FEATURES] = {team, held, k, held / k, 1 / team, held * team / k};
        memcpy(counts + i * COUNT_FEATURES, v, sizeof v);
        question_features(ev, env.task / 2, question + i * QUESTION_FEATURES);
        label[i] = syn_label_gap(&env, 0);
        const int64_t record = ev->side.corpus.record[env.task / 2];
        half[i] = syn_record_split_key(&ev->ds->records[record]) >> 40 & 1;
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

static void raw_gaps(const syn_evaluation *ev, const char *kind, const syn_measured *m,
                     const syn_calibration *c)
{
    for (int64_t i = 0; ev->cfg->raw && i < m->gaps; i++) {
        const syn_record *r = &ev->ds->records[ev->side.corpus.record[m->gap[i].group]];
        fprintf(ev->cfg->raw,
                "{\"kind\":\"%s\",\"id\":\"%016llx\",\"group\":\"%016llx\",\"label\":%d,"
                "\"p\":%.6f}\n",
                kind, (unsigned long long)r->id_key, (unsigned long long)syn_record_split_key(r),
                m->gap[i].label, (double)syn_calibrate(c, (real)m->gap[i].logit));
    }
}

static double cosine_auroc(const syn_evaluation *ev)
{
    const int64_t most = ev->side.corpus.records * SYN_ROWS_MAX;
    syn_scored *s = malloc(sizeof *s * (size_t)most);
    int64_t n = 0;
    for (int64_t r = 0; s && r < ev->side.corpus.records; r++) {
        const syn_task_info *info = &ev->side.corpus.tasks.info[2 * r];
        const real *quest = ev->side.corpus.tasks.quest + 2 * r * SYN_TASK_QUEST;
        for (int p = 0; p < info->pieces; p++) {
            s[n++] = (syn_scored){(float)quest[p * SYN_DQ + SYN_Q_COSINE], info->gold >> p & 1, 0};
        }
    }
    double auroc = s ? syn_auroc(s, n) : 0;
    free(s);
    return auroc;
}

static syn_status opening_states(syn_evaluation *ev)
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
        SYN_RETURN_IF(syn_measure(ev->ctx, &m->perception, m->central, &ev->side.corpus, &opening,
                                  ev->side.record, ev->side.corpus.records, ev->cfg->episodes,
                                  ev->cfg->seed, &got));
        double positive = 0;
        for (int64_t i = 0; i < got.gaps; i++) positive += got.gap[i].label;
        r->gap.prior =
            asker ? 0.75 : positive / (double)got.gaps; /* the strata's, not the sample's */
        raw_gaps(ev, titled ? "gap" : "gap_no_title", &got, c);
        *(titled ? &r->gap.balanced_accuracy : &r->gap.no_title_balanced_accuracy) =
            syn_balanced_accuracy(got.gap, got.gaps, c, r->gap.prior);
        if (titled) {
            r->gap.ece = syn_ece(got.gap, got.gaps, c);
            r->gap.brier = syn_brier(got.gap, got.gaps, c);
            syn_calibration_bins(got.gap, got.gaps, c, r->gap.bin);
            r->link_auroc = syn_auroc(got.link, got.links);
            r->ranker_auroc = syn_auroc(got.ranker, got.ranks);
        }
        *(titled ? &r->gap.auroc : &r->gap.no_title_auroc) = syn_auroc(got.gap, got.gaps);
        syn_measured_free(&got);
    }
    if (m->has_shuffled) {
        opening.untitled_share = 0;
        SYN_RETURN_IF(syn_measure(ev->ctx, &m->shuffled, m->central, &ev->side.corpus, &opening,
                                  ev->side.record, ev->side.corpus.records, ev->cfg->episodes,
                                  ev->cfg->seed, &got));
        raw_gaps(ev, "gap_shuffled", &got, &m->shuffled.calibrated[SYN_GAP]);
        r->gap.shuffled_auroc = syn_auroc(got.gap, got.gaps);
        syn_measured_free(&got);
    }
    r->cosine_auroc = cosine_auroc(ev);
    return SYN_OK;
}

syn_status syn_eval_openings(syn_evaluation *ev)
{
    SYN_RETURN_IF(opening_states(ev));
    return leak_tests(ev);
}
