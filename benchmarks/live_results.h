/* What the lines of a run come to. Private to benchmarks/live_results*.c. */
#ifndef SYN_BENCHMARKS_LIVE_RESULTS_H
#define SYN_BENCHMARKS_LIVE_RESULTS_H

#include "benchmarks/calibration.h"
#include "benchmarks/live_private.h"
#include "benchmarks/report_live.h"

enum { SYN_LIVE_CELLS_MAX = SYN_LIVE_BENCHMARKS_MAX * SYN_LIVE_POLICY_COUNT * SYN_AGENTS_MAX };

/* A prediction until all of a cell are there: answers come as they end. */
typedef struct syn_live_kept {
    int64_t number; /* of the question */
    const char *id;
    json_t *prediction; /* NULL: there was no answer */
} syn_live_kept;

/* All answers of one policy with one number of agents on one benchmark: records [from, end). */
typedef struct syn_live_cell {
    int64_t from, end;
    int64_t unparsed, calls; /* calls: of the answers that there were */
    syn_live_totals *totals;
    syn_live_kept *kept; /* (end - from) where predictions are wanted */
    int64_t kept_count;
    json_t *predictions; /* the benchmark's file of them; NULL: nobody wants it, or none is there */
} syn_live_cell;

typedef struct syn_live_sums {
    const syn_live_plan *plan;
    syn_live_run run; /* the lines, sorted; the last of each question */
    syn_live_cell cell[SYN_LIVE_CELLS_MAX];
    int cells;
    int shown[SYN_LIVE_CELLS_MAX]; /* the cells by size of team, then by policy */
    syn_calibrator *calibrator;
} syn_live_sums;

/* Reads all lines. benches: see syn_live_results_write. Free it in any case. */
SYN_WARN_UNUSED syn_status syn_live_sums_read(const syn_live_plan *plan, const char *path,
                                              syn_live_bench *const *benches, syn_live_sums *s);
void syn_live_sums_free(syn_live_sums *s);

/* The figures of a cell: a member of "runs". New reference. */
SYN_WARN_UNUSED syn_status syn_live_cell_json(const syn_live_sums *s, const syn_live_cell *cell,
                                              json_t **out);

/* The files of predictions. Errors: SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_predictions_write(const syn_live_sums *s);
/* A JSON file, whole or not at all. */
SYN_WARN_UNUSED syn_status syn_live_json_write(const char *path, const json_t *root, size_t flags);

/* Holds the first policy against each of the others, and puts "comparisons" and "strata" into the
 * benchmarks' objects. */
SYN_WARN_UNUSED syn_status syn_live_held_json(const syn_live_sums *s, json_t *benchmarks);

/* Six digits; null where it is not finite. */
json_t *syn_live_real(double x);

#endif
