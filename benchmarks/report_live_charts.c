/* The drawings of a live run's report. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/report_chart.h"
#include "benchmarks/report_live_parts.h"
#include "benchmarks/stats.h"

enum { POLICIES_MAX = 12, ROUNDS_MAX = 40 };

/* ---- Accuracy against messages and cost ---- */

typedef struct scatter {
    syn_point point[SYN_SCATTER_MAX];
    char label[SYN_SCATTER_MAX][96];
    int count;
} scatter;

/* The points of one policy, one for each number of agents, and the line through them. */
static void add_policy(scatter *s, const json_t *runs, const char *policy, const char *x_path)
{
    const json_t *run;
    size_t i;
    const int kind = syn_live_is_ours(policy) ? SYN_POINT_OURS : SYN_POINT_PLAIN;
    bool begins = true;
    for (int pass = 0; pass < 2; pass++) {
        json_array_foreach((json_t *)runs, i, run)
        {
            const double x = syn_live_figure(run, x_path), y = syn_live_figure(run, "accuracy"),
                         agents = syn_live_figure(run, "num_agents");
            const bool good = fabs(x) < SYN_CHART_VALUE_MAX && y >= 0 && y <= 1;
            if (!good || s->count == SYN_SCATTER_MAX ||
                strcmp(syn_live_text(run, "policy"), policy) != 0)
                continue;
            char *label = s->label[s->count];
            snprintf(label, sizeof *s->label, agents > 0 ? "%.60s %.0f" : "%.60s", policy, agents);
            s->point[s->count++] = (syn_point){.label = pass ? label : NULL,
                                               .x = x,
                                               .y = y,
                                               .kind = kind,
                                               .begins = pass ? false : begins};
            begins = false;
        }
    }
}

static bool policy_seen(const json_t *runs, size_t until)
{
    const char *policy = syn_live_text(json_array_get(runs, until), "policy");
    for (size_t i = 0; i < until; i++)
        if (!strcmp(syn_live_text(json_array_get(runs, i), "policy"), policy)) return true;
    return false;
}

static void write_scatter(FILE *f, const char *benchmark, const json_t *runs, const char *x_path,
                          const char *x_label, const char *help)
{
    char title[2 * SYN_LIVE_SAFE_NAME], name[SYN_LIVE_SAFE_NAME];
    scatter *s = calloc(1, sizeof *s);
    if (!s) return;
    for (size_t i = 0; i < json_array_size(runs) && i < SYN_SCATTER_MAX; i++)
        if (!policy_seen(runs, i))
            add_policy(s, runs, syn_live_text(json_array_get(runs, i), "policy"), x_path);
    snprintf(title, sizeof title, "%s: accuracy over %s",
             syn_live_safe(syn_live_benchmark_title(benchmark), name), x_label);
    if (s->count) syn_scatter_write(f, title, x_label, help, s->point, s->count);
    free(s);
}

/* Some run has more than nothing of it. */
static bool has_some(const json_t *runs, const char *path)
{
    const json_t *run;
    size_t i;
    json_array_foreach((json_t *)runs, i, run)
    {
        if (syn_live_figure(run, path) > 0) return true;
    }
    return false;
}

static void write_scatters(FILE *f, const syn_live_run *run)
{
    const char *name;
    json_t *benchmark;
    fputs("<section><h2>Accuracy, and what it takes</h2><div class=\"charts\">\n", f);
    json_object_foreach(json_object_get(run->results, "benchmarks"), name, benchmark)
    {
        const json_t *runs = json_object_get(benchmark, "runs");
        write_scatter(f, name, runs, "messages", "messages",
                      "Up and to the left is better. The number behind a name is that of the "
                      "agents.");
        if (has_some(runs, "cost_usd")) {
            write_scatter(f, name, runs, "cost_usd", "USD per question",
                          "By the provider's prices at the time.");
        } else if (has_some(runs, "tokens")) {
            write_scatter(f, name, runs, "tokens", "tokens per question",
                          "Prompts and answers of all agents; no prices are known.");
        }
    }
    fputs("</div></section>\n", f);
}

/* ---- Rounds to convergence ---- */

static void write_rounds(FILE *f, const syn_live_run *run, const char *policy)
{
    double share[ROUNDS_MAX + 1] = {0}, all = 0, converged = 0;
    char title[2 * SYN_LIVE_SAFE_NAME], name[SYN_LIVE_SAFE_NAME], help[128];
    for (int64_t i = 0; i < run->count; i++) {
        const syn_live_record *r = &run->record[i];
        if (r->policy != policy || !(r->rounds >= 1) || r->error[0]) continue;
        all++;
        if (!r->converged) continue;
        share[(int)fmin(r->rounds, ROUNDS_MAX)]++;
        converged++;
    }
    if (!(converged > 0) || syn_live_is_alone(policy)) return;
    for (int k = 0; k <= ROUNDS_MAX; k++) share[k] /= all;
    snprintf(title, sizeof title, "%s: rounds to convergence", syn_live_safe(policy, name));
    snprintf(help, sizeof help, "Share of %.0f answers; %.1f %% never converged.", all,
             100 * (1 - converged / all));
    syn_bars_write(f, title, "rounds", help, share, ROUNDS_MAX + 1);
}

/* ---- Calibration ---- */

static void write_calibration(FILE *f, const syn_live_run *run, const char *policy,
                              double *confidence, double *correct)
{
    syn_calibration_bin bin[SYN_CALIBRATION_BINS];
    double predicted[SYN_CALIBRATION_BINS], observed[SYN_CALIBRATION_BINS],
        weight[SYN_CALIBRATION_BINS];
    char title[2 * SYN_LIVE_SAFE_NAME], name[SYN_LIVE_SAFE_NAME];
    int64_t n = 0;
    int bins = 0;
    for (int64_t i = 0; i < run->count; i++) {
        const syn_live_record *r = &run->record[i];
        if (r->policy != policy || r->error[0] || r->abstained || !isfinite(r->confidence))
            continue;
        confidence[n] = r->confidence;
        correct[n++] = r->correct;
    }
    const double ece = syn_confidence_ece(confidence, correct, n, bin);
    if (!isfinite(ece)) return;
    for (int k = 0; k < SYN_CALIBRATION_BINS; k++) {
        if (!bin[k].count) continue;
        predicted[bins] = bin[k].predicted;
        observed[bins] = bin[k].observed;
        weight[bins++] = (double)bin[k].count;
    }
    snprintf(title, sizeof title, "%s: calibration, ECE %.3f", syn_live_safe(policy, name), ece);
    syn_calibration_write(f, title,
                          "Share of right answers over the confidence they were given with; on the "
                          "line it means what it says. Larger points stand for more answers.",
                          predicted, observed, weight, bins);
}

void syn_live_charts(FILE *f, const syn_live_run *run)
{
    const char *policy[POLICIES_MAX];
    const int policies = syn_live_policies(run, policy, POLICIES_MAX);
    double *of_all = malloc(sizeof *of_all * 2 * (size_t)(run->count + 1));
    write_scatters(f, run);
    if (policies && of_all) {
        fputs("<section><h2>Rounds to convergence</h2><div class=\"charts small\">\n", f);
        for (int k = 0; k < policies; k++) write_rounds(f, run, policy[k]);
        fputs("</div></section>\n<section><h2>Confidence</h2><div class=\"charts small\">\n", f);
        for (int k = 0; k < policies; k++)
            write_calibration(f, run, policy[k], of_all, of_all + run->count);
        fputs("</div></section>\n", f);
    }
    free(of_all);
}
