/* Parts of the report of a live run. Private to benchmarks/report_live_*.c. */
#ifndef SYN_BENCHMARKS_REPORT_LIVE_PARTS_H
#define SYN_BENCHMARKS_REPORT_LIVE_PARTS_H

#include "benchmarks/report_format.h"
#include "benchmarks/report_live.h"

enum { SYN_LIVE_COLUMNS_MAX = 64, SYN_LIVE_COLUMN_NAME = 64, SYN_LIVE_SAFE_NAME = 64 };

/* ---- Figures of the results file ---- */

/* A figure of a policy at one number of agents, by its way through the object: "latency_s.p50". */
typedef struct syn_live_column {
    char path[SYN_LIVE_COLUMN_NAME];
    bool official; /* of the benchmark's own metrics */
} syn_live_column;

/* Those that one of `runs` (a benchmark's list) has a number for, in order. */
int syn_live_columns(const json_t *runs, syn_live_column column[SYN_LIVE_COLUMNS_MAX]);
/* The head of each column between the two, by a writer of the format's texts: "metrics.overall.f1"
 * is "overall f1", "latency_s.p50" is "latency s p50". */
void syn_live_heads(FILE *f, const syn_live_column *column, int count, const char *before,
                    void (*write)(FILE *f, const char *text), const char *after);
double syn_live_figure(const json_t *object,
                       const char *path); /* NAN: there is none, or it is too large to be drawn */
const char *syn_live_text(const json_t *object, const char *key); /* "": there is none */

/* "71.2 %" for what is a share by its name, else four digits. */
const char *syn_live_figure_text(const char *path, double x, char out[SYN_NUMBER_TEXT]);

/* The words for a comparison's outcome: "a is better", "b is better", or that it may be chance. */
typedef enum syn_live_outcome { SYN_LIVE_CHANCE, SYN_LIVE_A, SYN_LIVE_B } syn_live_outcome;
syn_live_outcome syn_live_outcome_of(const json_t *comparison);

/* ---- Answers ---- */

/* The run of records from `from` on that are of one benchmark, policy and number of agents; returns
 * its end. */
int64_t syn_live_cell_end(const syn_live_run *run, int64_t from);

/* The policies of the answers, each once, the learned one first: returns how many, at most `most`.
 */
int syn_live_policies(const syn_live_run *run, const char **policy, int most);
bool syn_live_is_ours(const char *policy);
bool syn_live_is_alone(const char *policy); /* one agent: nobody talks */

/* "HotpotQA" for "hotpotqa"; a benchmark that is not known has its name. */
const char *syn_live_benchmark_title(const char *name);

/* A name that may stand in markup as it is: what is not a letter, a digit or one of "_-.+ " is '?'.
 */
const char *syn_live_safe(const char *name, char out[SYN_LIVE_SAFE_NAME]);

/* ---- Sections ---- */

void syn_live_tables(FILE *f, const syn_live_run *run);    /* per benchmark: figures, comparisons */
void syn_live_charts(FILE *f, const syn_live_run *run);    /* drawings */
void syn_live_groups(FILE *f, const syn_live_run *run);    /* team against single; strata */
void syn_live_dialogues(FILE *f, const syn_live_run *run); /* samples */
void syn_live_failures(FILE *f, const syn_live_run *run);

#endif
