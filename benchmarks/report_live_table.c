/* The figures of a live run in tables: on the page. */
#include <math.h>
#include <string.h>

#include "benchmarks/report.h"
#include "benchmarks/report_chart.h"
#include "benchmarks/report_live_parts.h"
#include "benchmarks/report_page.h"

enum { ROWS_MAX = 200, GROUP_MEMBERS_MAX = 8 };

/* ---- Figures ---- */

double syn_live_figure(const json_t *object, const char *path)
{
    char part[SYN_LIVE_COLUMN_NAME];
    for (;;) {
        const size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        object = json_is_array(object) ? json_array_get(object, part[0] == '1')
                                       : json_object_get(object, part);
        if (!path[n]) break;
        path += n + 1;
    }
    const double x = json_is_number(object) ? json_number_value(object) : NAN;
    return fabs(x) < SYN_CHART_VALUE_MAX ? x : NAN;
}

const char *syn_live_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const char *syn_live_figure_text(const char *path, double x, char out[SYN_NUMBER_TEXT])
{
    static const char *const shares[] = {"accuracy", "converged", "abstained"};
    for (size_t k = 0; k < sizeof shares / sizeof *shares; k++) {
        if (strncmp(path, shares[k], strlen(shares[k])) != 0 || !isfinite(x)) continue;
        snprintf(out, SYN_NUMBER_TEXT, "%.1f %%", 100 * x);
        return out;
    }
    return syn_number_text(x, out);
}

static void add_column(syn_live_column *column, int *count, const json_t *runs, const char *path,
                       bool official)
{
    bool some = false;
    const json_t *run;
    size_t i;
    if (strlen(path) >= SYN_LIVE_COLUMN_NAME || *count == SYN_LIVE_COLUMNS_MAX) return;
    for (int k = 0; k < *count; k++)
        if (!strcmp(column[k].path, path)) return;
    json_array_foreach((json_t *)runs, i, run) some |= isfinite(syn_live_figure(run, path));
    if (!some) return;
    snprintf(column[*count].path, SYN_LIVE_COLUMN_NAME, "%s", path);
    column[(*count)++].official = official;
}

/* What the table says by other columns. */
static bool is_repeated(const char *name)
{
    static const char *const names[] = {"accuracy", "questions", "right", "unparsed", "missing"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (!strcmp(name, names[k])) return true;
    return false;
}

/* A metric, or those of a small group: "overall" of a benchmark with domains. */
static void add_official(syn_live_column *column, int *count, const json_t *runs,
                         const json_t *metrics)
{
    char path[2 * SYN_LIVE_COLUMN_NAME];
    const char *name, *inner;
    json_t *x, *y;
    json_object_foreach((json_t *)metrics, name, x)
    {
        const bool whole = !strcmp(name, "overall");
        if (json_is_number(x) && !is_repeated(name) &&
            snprintf(path, sizeof path, "metrics.%s", name) < SYN_LIVE_COLUMN_NAME)
            add_column(column, count, runs, path, true);
        if (!json_is_object(x) || json_object_size(x) > GROUP_MEMBERS_MAX) continue;
        json_object_foreach(x, inner, y)
        {
            if (!whole && strcmp(name, "categories") != 0) continue;
            if (json_is_number(y) &&
                snprintf(path, sizeof path, "metrics.%s.%s", name, inner) < SYN_LIVE_COLUMN_NAME)
                add_column(column, count, runs, path, true);
        }
    }
}

int syn_live_columns(const json_t *runs, syn_live_column column[SYN_LIVE_COLUMNS_MAX])
{
    static const char *const after[] = {"messages",      "calls",         "tokens", "cost_usd",
                                        "latency_s.p50", "latency_s.p95", "rounds", "converged",
                                        "abstained",     "unparsed",      "failed", "ece"};
    int count = 0;
    const json_t *run;
    size_t i;
    add_column(column, &count, runs, "accuracy", true);
    add_column(column, &count, runs, "accuracy_ci95.0", false);
    add_column(column, &count, runs, "accuracy_ci95.1", false);
    json_array_foreach((json_t *)runs, i, run)
    {
        if (i < ROWS_MAX) add_official(column, &count, runs, json_object_get(run, "metrics"));
    }
    if (count > SYN_LIVE_COLUMNS_MAX - (int)(sizeof after / sizeof *after))
        count = SYN_LIVE_COLUMNS_MAX - (int)(sizeof after / sizeof *after);
    for (size_t k = 0; k < sizeof after / sizeof *after; k++)
        add_column(column, &count, runs, after[k], false);
    return count;
}

void syn_live_heads(FILE *f, const syn_live_column *column, int count, const char *before,
                    void (*write)(FILE *f, const char *text), const char *after)
{
    char title[SYN_LIVE_COLUMN_NAME];
    for (int k = 0; k < count; k++) {
        const bool metric = !strncmp(column[k].path, "metrics.", 8);
        snprintf(title, sizeof title, "%s", column[k].path + (metric ? 8 : 0));
        for (char *x = title; *x; x++)
            if (*x == '_' || *x == '.') *x = ' ';
        fputs(before, f);
        write(f, title);
        fputs(after, f);
    }
}

/* The largest of a column, to be marked; NAN where all are equal. */
static double best_of(const json_t *runs, const syn_live_column *c)
{
    double best = NAN, least = NAN;
    const json_t *run;
    size_t i;
    json_array_foreach((json_t *)runs, i, run)
    {
        const double x = syn_live_figure(run, c->path);
        if (!isfinite(x)) continue;
        if (!(x <= best)) best = x;
        if (!(x >= least)) least = x;
    }
    return c->official && best != least ? best : NAN;
}

const char *syn_live_benchmark_title(const char *name)
{
    static const char *const known[][2] = {
        {"hotpotqa", "HotpotQA"}, {"coqa", "CoQA"}, {"commonsenseqa", "CommonsenseQA"},
        {"multiwoz", "MultiWOZ"}, {"mmlu", "MMLU"}, {"2wiki", "2WikiMultiHopQA"},
        {"musique", "MuSiQue"}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (!strcmp(name, known[k][0])) return known[k][1];
    return name;
}

/* ---- Comparisons ---- */

syn_live_outcome syn_live_outcome_of(const json_t *comparison)
{
    const double p = syn_live_figure(comparison, "holm_p"),
                 x = syn_live_figure(comparison, "difference");
    return !(p < 0.05) || x == 0 ? SYN_LIVE_CHANCE : x > 0 ? SYN_LIVE_A : SYN_LIVE_B;
}

static void write_p(FILE *f, double p)
{
    if (isnan(p)) {
        fputs("<td>-</td>", f);
    } else {
        fprintf(f, p < 1e-4 ? "<td>&lt; 0.0001</td>" : "<td>%.4f</td>", p);
    }
}

static void write_comparison(FILE *f, const json_t *c)
{
    const syn_live_outcome o = syn_live_outcome_of(c);
    fputs("<tr><th>", f);
    syn_html_text(f, syn_live_text(c, "a"));
    fputs(" against ", f);
    syn_html_text(f, syn_live_text(c, "b"));
    fprintf(f, "</th><td>%.0f</td><td>%.0f</td><td>%+.1f</td><td>[%+.1f, %+.1f]</td>",
            fmax(syn_live_figure(c, "num_agents"), 0), fmax(syn_live_figure(c, "n"), 0),
            100 * fmin(fmax(syn_live_figure(c, "difference"), -1), 1),
            100 * fmin(fmax(syn_live_figure(c, "ci95.0"), -1), 1),
            100 * fmin(fmax(syn_live_figure(c, "ci95.1"), -1), 1));
    write_p(f, syn_live_figure(c, "mcnemar_p"));
    write_p(f, syn_live_figure(c, "holm_p"));
    fputs("<td class=\"said\">", f);
    if (o == SYN_LIVE_CHANCE) {
        fputs("no difference that is more than chance", f);
    } else {
        syn_html_text(f, syn_live_text(c, o == SYN_LIVE_A ? "a" : "b"));
        fputs(" is better", f);
    }
    fputs("</td></tr>\n", f);
}

static void write_comparisons(FILE *f, const json_t *list)
{
    const json_t *c;
    size_t i;
    if (!json_array_size(list)) return;
    fputs("<h3 class=\"over\">Held against each other</h3><div class=\"scroll\"><table><thead><tr>"
          "<th>accuracy of</th><th>agents</th><th>questions</th><th>difference, points</th>"
          "<th>95 %</th><th>p, McNemar</th><th>p, Holm</th><th class=\"said\">in "
          "words</th></tr></thead><tbody>\n",
          f);
    json_array_foreach((json_t *)list, i, c)
    {
        if (i < ROWS_MAX) write_comparison(f, c);
    }
    fputs("</tbody></table></div>\n", f);
}

/* ---- The page ---- */

/* The columns, but for the interval, which stands beside its accuracy. */
static int page_columns(const json_t *runs, syn_live_column column[SYN_LIVE_COLUMNS_MAX])
{
    const int all = syn_live_columns(runs, column);
    int count = 0;
    for (int k = 0; k < all; k++)
        if (strncmp(column[k].path, "accuracy_", 9) != 0) column[count++] = column[k];
    return count;
}

static void write_cell(FILE *f, const json_t *run, const syn_live_column *c, double best)
{
    char text[SYN_NUMBER_TEXT];
    const double x = syn_live_figure(run, c->path);
    fprintf(f, "<td%s>%s", x == best ? " class=\"best\"" : "",
            syn_live_figure_text(c->path, x, text));
    const double low = syn_live_figure(run, "accuracy_ci95.0"),
                 high = syn_live_figure(run, "accuracy_ci95.1");
    if (!strcmp(c->path, "accuracy") && isfinite(low) && isfinite(high))
        fprintf(f, " <span class=\"soft\">[%.1f, %.1f]</span>", 100 * low, 100 * high);
    fputs("</td>", f);
}

static void write_runs(FILE *f, const json_t *runs)
{
    syn_live_column column[SYN_LIVE_COLUMNS_MAX];
    double best[SYN_LIVE_COLUMNS_MAX];
    const json_t *run;
    size_t i;
    double last_agents = NAN;
    const int count = page_columns(runs, column);
    for (int k = 0; k < count; k++) best[k] = best_of(runs, &column[k]);
    fputs("<div class=\"scroll\"><table><thead><tr><th>policy</th><th>agents</th>", f);
    syn_live_heads(f, column, count, "<th>", syn_html_text, "</th>");
    fputs("</tr></thead><tbody>\n", f);
    json_array_foreach((json_t *)runs, i, run)
    {
        const char *policy = syn_live_text(run, "policy");
        if (i >= ROWS_MAX) break;
        const double agents = syn_live_figure(run, "num_agents");
        fprintf(f, "<tr class=\"%s%s\"><th>", syn_live_is_ours(policy) ? "ours " : "",
                i && agents != last_agents ? "next" : "");
        last_agents = agents;
        syn_html_text(f, policy);
        fprintf(f, "</th><td>%.0f</td>", fmax(agents, 0));
        for (int k = 0; k < count; k++) write_cell(f, run, &column[k], best[k]);
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n", f);
}

/* The figures of domains and subjects, which the table has no room for. */
static void write_details(FILE *f, const json_t *runs)
{
    char title[2 * SYN_LIVE_SAFE_NAME], name[SYN_LIVE_SAFE_NAME];
    const json_t *run;
    size_t i;
    fputs("<details><summary>All official figures</summary><div class=\"facts\">\n", f);
    json_array_foreach((json_t *)runs, i, run)
    {
        if (i >= ROWS_MAX) break;
        snprintf(title, sizeof title, "%s, %.0f agents",
                 syn_live_safe(syn_live_text(run, "policy"), name),
                 fmax(syn_live_figure(run, "num_agents"), 0));
        syn_report_facts_table(f, title, json_object_get(run, "metrics"));
    }
    fputs("</div></details>\n", f);
}

static void write_benchmark(FILE *f, const char *name, const json_t *benchmark)
{
    const json_t *runs = json_object_get(benchmark, "runs");
    fputs("<section><h2>", f);
    syn_html_text(f, syn_live_benchmark_title(name));
    fputs("</h2>\n", f);
    if (json_is_true(json_object_get(benchmark, "proves_path_only")))
        fputs("<p class=\"warn\">Agents that only quote their documents neither choose among "
              "answers nor write JSON: these figures prove that the path works, and nothing "
              "else.</p>\n",
              f);
    fprintf(f, "<p class=\"soft\">%.0f questions; %s</p>\n",
            fmax(syn_live_figure(benchmark, "questions"), 0),
            !strcmp(syn_live_text(benchmark, "evidence"), "none")
                ? "asked without documents"
                : "the documents are dealt to the agents, so that the team must talk");
    write_runs(f, runs);
    write_comparisons(f, json_object_get(benchmark, "comparisons"));
    write_details(f, runs);
    fputs("</section>\n", f);
}

void syn_live_tables(FILE *f, const syn_live_run *run)
{
    const char *name;
    json_t *benchmark;
    json_object_foreach(json_object_get(run->results, "benchmarks"), name, benchmark)
    {
        write_benchmark(f, name, benchmark);
    }
}
