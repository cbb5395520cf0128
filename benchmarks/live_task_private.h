/* Between the files of live_task.h. */
#ifndef SYN_BENCHMARKS_LIVE_TASK_PRIVATE_H
#define SYN_BENCHMARKS_LIVE_TASK_PRIVATE_H

#include "benchmarks/live_task.h"
#include "benchmarks/metric_multiwoz.h"
#include "datasets/entities.h"

typedef enum syn_live_kind {
    SYN_LIVE_PASSAGES, /* HotpotQA, 2Wiki */
    SYN_LIVE_MUSIQUE,
    SYN_LIVE_STORY,  /* CoQA */
    SYN_LIVE_CHOICE, /* CommonsenseQA, MMLU */
    SYN_LIVE_TURN    /* MultiWOZ */
} syn_live_kind;

struct syn_live_bench {
    const char *benchmark; /* of the table of names */
    syn_live_kind kind;
    uint64_t seed;
    syn_questions *questions;
    int64_t number; /* of the next question */
    syn_entities entities;
    syn_multiwoz *reference; /* NULL: none */
};

/* ---- live_task.c ---- */

syn_live_kind syn_live_kind_of(const char *benchmark);

/* ---- live_task_deal.c ---- */

/* The stream of lots of one question. */
syn_rng syn_live_lots(const syn_live_bench *b, const syn_question *q, int agents);

/* owner (rows): which agent gets each row; gold: the rows that the answer needs, as far as there
 * are at most 32 of them all and it is known, else 0. */
void syn_live_deal(syn_rng *lots, int rows, uint32_t gold, int agents, uint8_t *owner);

/* Fills documents and document_count of *config. */
SYN_WARN_UNUSED syn_status syn_live_deal_passages(const syn_live_bench *b, const syn_question *q,
                                                  int agents, syn_arena *arena,
                                                  syn_round_config *config);
SYN_WARN_UNUSED syn_status syn_live_deal_story(const syn_live_bench *b, const syn_question *q,
                                               int agents, syn_arena *arena,
                                               syn_round_config *config);

/* ---- live_task_cite.c ---- */

/* cited (a place for each sentence of all documents, one document after the other): whether a cited
 * piece holds a part of it. */
void syn_live_cited_sentences(const syn_question *q, const syn_live_answer *a, bool *cited);

/* ---- live_task_score.c ---- */

/* A model's text as JSON: of long ones the beginning, which costs a rambling model nothing; what is
 * not UTF-8 as question marks. NULL when memory is out. */
json_t *syn_live_said_json(const char *text);

/* ---- live_multiwoz.c: what the team gets; live_multiwoz_score.c: what its answer is worth ---- */

SYN_WARN_UNUSED syn_status syn_live_deal_turn(const syn_live_bench *b, const syn_question *q,
                                              int agents, syn_arena *arena,
                                              syn_round_config *config);
/* What the writer is told; a constant. */
extern const char syn_live_turn_rules[];

/* A part of syn_live_judge; *out is zeroed. */
SYN_WARN_UNUSED syn_status syn_live_judge_turn(const syn_question *q, const syn_live_answer *a,
                                               syn_live_verdict *out);

#endif
