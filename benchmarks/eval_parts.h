/* What the parts of an evaluation share. Private to benchmarks/eval*.c. */
#ifndef SYN_BENCHMARKS_EVAL_PARTS_H
#define SYN_BENCHMARKS_EVAL_PARTS_H

#include "benchmarks/eval.h"

/* Records and the episodes played on them. */
typedef struct syn_eval_side {
    syn_corpus corpus;
    int32_t *record; /* all of the corpus */
    int64_t episodes;
    uint64_t seed;
} syn_eval_side;

typedef struct syn_evaluation {
    syn_ctx *ctx;
    const syn_eval_config *cfg;
    const syn_dataset *ds;
    const syn_model *model;
    syn_eval_side side; /* the records that are scored */
    syn_eval_report *report;
    syn_episode_result *result[SYN_EVAL_ROWS_MAX]; /* by row: (episodes) */
    syn_paths learned, round_robin; /* the ways of these two, observed; empty without a policy */
} syn_evaluation;

/* use, pool: as in syn_corpus_build. s is empty on an error. */
SYN_WARN_UNUSED syn_status syn_eval_side_init(syn_ctx *ctx, syn_eval_side *s, const syn_dataset *ds,
                                              const uint8_t *use, const uint8_t *pool,
                                              const syn_model *model, int pieces);
void syn_eval_side_free(syn_ctx *ctx, syn_eval_side *s);
syn_play syn_eval_play(const syn_evaluation *ev, const syn_eval_side *s);

/* Gap detector, link and ranker at the opening; leak tests (eval_gap.c). */
SYN_WARN_UNUSED syn_status syn_eval_openings(syn_evaluation *ev);

/* Adds a row for `result` (episodes), which it takes over, and its raw lines. */
SYN_WARN_UNUSED syn_status syn_eval_add(syn_evaluation *ev, const char *name, bool ablation,
                                        syn_episode_result *result);
int syn_eval_row_of(const syn_evaluation *ev, const char *name); /* -1: there is none */

/* Every policy's rows and curves (eval_policies.c). */
SYN_WARN_UNUSED syn_status syn_eval_policies(syn_evaluation *ev);

/* Routing and stopping told apart: rows made of the paths (eval_mixed.c). */
SYN_WARN_UNUSED syn_status syn_eval_mixed(syn_evaluation *ev);

/* The sweep over stop biases, chosen on validation records (eval_sweep.c). */
extern const syn_stop_bias syn_sweep_grid[SYN_SWEEP_POINTS];
SYN_WARN_UNUSED syn_status syn_eval_sweep(syn_evaluation *ev);

/* A rule of stopping over all episodes of p: result (p->count). */
typedef syn_path_stop (*syn_stop_rule)(const syn_paths *p, int64_t episode, const void *rule);
void syn_eval_stop(const syn_paths *p, syn_stop_rule rule, const void *how,
                   syn_episode_result *result);
/* The same as a row among the ablations. p: paths of all episodes. */
SYN_WARN_UNUSED syn_status syn_eval_add_stopped(syn_evaluation *ev, const char *name,
                                                const syn_paths *p, syn_stop_rule rule,
                                                const void *how);
syn_path_stop syn_rule_biased(const syn_paths *p, int64_t episode, const void *bias);
syn_path_stop syn_rule_after(const syn_paths *p, int64_t episode, const void *messages);

/* Regrets, scores and areas of all rows (eval_policies.c). */
void syn_eval_finish(syn_eval_report *r);

/* Row a against row b (eval_policies.c). */
SYN_WARN_UNUSED syn_status syn_eval_compare(const syn_evaluation *ev, int a, int b,
                                            syn_eval_difference *out);

#endif
