/* The report of a live run as Markdown and as CSV. */
#include <math.h>

#include "benchmarks/report_live_parts.h"
#include "benchmarks/report_page.h"

static void markdown_comparison(FILE *f, const json_t *c)
{
    char p[SYN_NUMBER_TEXT];
    const syn_live_outcome o = syn_live_outcome_of(c);
    fputs("- ", f);
    syn_markdown_text(f, syn_live_text(c, "a"));
    fputs(" against ", f);
    syn_markdown_text(f, syn_live_text(c, "b"));
    fprintf(f, ", %.0f agents: %+.1f points [%+.1f, %+.1f], p %s after Holm: ",
            fmax(syn_live_figure(c, "num_agents"), 0), 100 * syn_live_figure(c, "difference"),
            100 * syn_live_figure(c, "ci95.0"), 100 * syn_live_figure(c, "ci95.1"),
            syn_number_text(syn_live_figure(c, "holm_p"), p));
    if (o == SYN_LIVE_CHANCE) {
        fputs("no difference that is more than chance\n", f);
    } else {
        syn_markdown_text(f, syn_live_text(c, o == SYN_LIVE_A ? "a" : "b"));
        fputs(" is better\n", f);
    }
}

static void markdown_runs(FILE *f, const json_t *runs)
{
    syn_live_column column[SYN_LIVE_COLUMNS_MAX];
    const json_t *run;
    size_t i;
    const int count = syn_live_columns(runs, column);
    fputs("| policy | agents |", f);
    syn_live_heads(f, column, count, " ", syn_markdown_text, " |");
    fputs("\n|---|---:|", f);
    for (int k = 0; k < count; k++) fputs("---:|", f);
    json_array_foreach((json_t *)runs, i, run)
    {
        fputs("\n| ", f);
        syn_markdown_text(f, syn_live_text(run, "policy"));
        fprintf(f, " | %.0f |", fmax(syn_live_figure(run, "num_agents"), 0));
        for (int k = 0; k < count; k++) {
            const double x = syn_live_figure(run, column[k].path);
            fprintf(f, " %s |",
                    syn_live_figure_text(column[k].path, x, (char[SYN_NUMBER_TEXT]){0}));
        }
    }
    fputs("\n\n", f);
}

static void markdown_fact(FILE *f, const char *key, const char *text)
{
    fputs("| ", f);
    syn_markdown_text(f, key);
    fputs(" | ", f);
    syn_markdown_text(f, text);
    fputs(" |\n", f);
}

void syn_live_markdown(FILE *f, const syn_live_run *run)
{
    const char *name;
    json_t *benchmark, *facts = json_copy(run->results);
    const json_t *c;
    size_t i;
    fputs("# ", f);
    syn_markdown_text(f, run->name);
    fputs("\n\n", f);
    if (!json_is_true(json_object_get(run->results, "complete"))) {
        fputs("The run is not complete: ", f);
        syn_markdown_text(f, syn_live_text(run->results, "why"));
        fputs(".\n\n", f);
    }
    json_object_foreach(json_object_get(run->results, "benchmarks"), name, benchmark)
    {
        fputs("## ", f);
        syn_markdown_text(f, syn_live_benchmark_title(name));
        fputs("\n\n", f);
        if (json_is_true(json_object_get(benchmark, "proves_path_only")))
            fputs("These figures prove that the path works, and nothing else.\n\n", f);
        markdown_runs(f, json_object_get(benchmark, "runs"));
        json_array_foreach(json_object_get(benchmark, "comparisons"), i, c)
        {
            markdown_comparison(f, c);
        }
        fputs("\n", f);
    }
    json_object_del(facts, "benchmarks");
    fputs("## Facts of the run\n\n| | |\n|---|---|\n", f);
    syn_report_facts(f, facts, markdown_fact);
    json_decref(facts);
}

/* All benchmarks share the columns, so that the file is one table. */
void syn_live_csv(FILE *f, const syn_live_run *run)
{
    syn_live_column column[SYN_LIVE_COLUMNS_MAX];
    json_t *all = json_array(), *benchmark, *one;
    const char *name;
    size_t i;
    json_object_foreach(json_object_get(run->results, "benchmarks"), name, benchmark)
    {
        json_array_extend(all, json_object_get(benchmark, "runs"));
    }
    const int count = syn_live_columns(all, column);
    json_decref(all);
    fputs("benchmark,policy,num_agents", f);
    for (int k = 0; k < count; k++) {
        fputc(',', f);
        syn_csv_text(f, column[k].path);
    }
    fputc('\n', f);
    json_object_foreach(json_object_get(run->results, "benchmarks"), name, benchmark)
    {
        json_array_foreach(json_object_get(benchmark, "runs"), i, one)
        {
            syn_csv_text(f, name);
            fputc(',', f);
            syn_csv_text(f, syn_live_text(one, "policy"));
            syn_csv_number(f, syn_live_figure(one, "num_agents"));
            for (int k = 0; k < count; k++) syn_csv_number(f, syn_live_figure(one, column[k].path));
            fputc('\n', f);
        }
    }
}
