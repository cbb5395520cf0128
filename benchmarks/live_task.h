/* One question of a benchmark as a live team gets it, and what its answer is worth: how the
 * evidence is dealt, what is asked, how a reply becomes the official prediction, and the official
 * figures.
 *
 *   hotpotqa, 2wiki, musique   the paragraphs are dealt to the agents, in an order drawn by lot
 *   coqa                       the story's sentences, in runs of neighbours, in their order; the
 *                              turns before, as the data set has them, are the dialogue
 *   multiwoz                   one system turn: each domain and what its database has for it go to
 *                              one agent; the asker writes JSON {"state", "response"}
 *   commonsenseqa, mmlu        closed-book: nothing is dealt, everybody sees question and choices,
 *                              of MMLU also the examples of the subject
 *
 * The deal. As in training (kernels/env_deal.h) the number of pieces of each agent is drawn first,
 * then the pieces are placed by lot, again and again until the asker lacks some of what the answer
 * needs; so neither numbers nor places say which pieces matter, and the team has to talk. The lots
 * depend on the seed, the question's id and the number of agents alone. Where it is not known what
 * the answer needs, placing is by lot alone.
 *
 * MultiWOZ. Turns are independent questions; the dialogue before each is the data set's own, as in
 * the "context-to-response" setting, and so is the state behind the turn before. A domain's agent
 * sees the rows of its database that agree best with that state and with values that the user names
 * in this turn; the state behind this turn, which the team has to write, is not looked at. Every
 * domain has its documents in every turn, whether it is talked about or not.
 *
 * A bench serves one thread; what takes it as const may be called for several questions at once. */
#ifndef SYN_BENCHMARKS_LIVE_TASK_H
#define SYN_BENCHMARKS_LIVE_TASK_H

#include <jansson.h>

#include "datasets/question.h"
#include "kernels/base/arena.h"
#include "serve/round.h"

enum { SYN_LIVE_RESPONSE_BYTES_MAX = 4096 }; /* of an answer, in a prediction */

typedef struct syn_live_bench syn_live_bench;

typedef struct syn_live_bench_options {
    const char *benchmark, *path; /* as in datasets/question.h */
    const char *split;            /* NULL: as there */
    const char *reference;        /* MultiWOZ: mwzeval's data folder; NULL: without its figures */
    int shots;                    /* MMLU: examples; usually 5 */
    uint64_t seed;                /* of the deal */
} syn_live_bench_options;

/* Texts are copied. Errors: those of syn_questions_open, syn_entities_read and syn_multiwoz_open.
 * *out is NULL on failure. */
SYN_WARN_UNUSED syn_status syn_live_bench_open(const syn_live_bench_options *o,
                                               syn_live_bench **out);
void syn_live_bench_close(syn_live_bench *b); /* NULL is allowed */

/* The next question that can be judged (those without a label, and CoQA's without a story, are
 * passed over; one for which no paragraph was found is asked without evidence), valid until the
 * next call; NULL at the end. *number: its place among them, from 0. Errors: those of
 * syn_questions_next. */
SYN_WARN_UNUSED syn_status syn_live_bench_next(syn_live_bench *b, const syn_question **out,
                                               int64_t *number);
/* What was read, passed over included. */
const syn_questions_count *syn_live_bench_counted(const syn_live_bench *b);

const char *syn_live_benchmark(const syn_live_bench *b);
/* True: "asymmetric"; false: "none". */
bool syn_live_has_evidence(const syn_live_bench *b);
/* A figure of agents without a language model that shows no more than that the path works: they
 * have no choice among answers, and write no JSON. */
bool syn_live_proves_path_only(const char *benchmark, bool extractive);
/* A sentence about figures that are not computed, or NULL. */
const char *syn_live_unscored(const syn_live_bench *b);
/* What figures are given apart for: the question's domain; "" where there are too many. */
const char *syn_live_stratum(const syn_question *q);

/* What a team of `agents` gets: fills question, context, dialogue, task, documents with their
 * holders, the agents' roles, agents, final_verbatim (MultiWOZ: the final answer is the JSON text);
 * context_bytes_max is raised where the texts need it. Other members stay. Texts live in the arena
 * or in the question. agents == 1: everything for one. Document k has the id "d<k>". Errors:
 * SYN_ERR_INVALID (agents), SYN_ERR_LIMIT (a question too long for a round), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_task_make(const syn_live_bench *b, const syn_question *q,
                                              int agents, syn_arena *arena,
                                              syn_round_config *config);

/* An item that the answer rests on: a piece of a document, a whole document, or a claim. */
typedef struct syn_live_piece {
    const char *title, *text;
} syn_live_piece;

/* An answer, of whatever policy. */
typedef struct syn_live_answer {
    const char *answer, *short_answer; /* "": none */
    bool abstained;
    const syn_live_piece *cited;
    int cited_count;
} syn_live_answer;

/* The answer of a round: an abstention too where the final answer says that it does not know. It
 * cites the items that the agents name whose answer it is, or those of
 * the asker where it is nobody's. Points into the reply and into `cited`. */
void syn_live_answer_of(const syn_round_reply *reply, syn_live_piece cited[SYN_TEAM_ITEMS_MAX],
                        syn_live_answer *out);

typedef struct syn_live_verdict {
    json_t *prediction; /* owned; as below */
    json_t *metrics;    /* owned; figures of this question, all numbers but for "bleu_counts" */
    bool correct, unparsed;
    double score; /* 0..1 */
} syn_live_verdict;

/* What an answer is worth:
 *
 *   hotpotqa, 2wiki  prediction {"answer", "sp"}: sp are the sentences of cited pieces; a claim is
 *                    cited as the sentence that it stands in. An abstention is "noanswer". Metrics:
 *                    the script's twelve. Correct: exact match; score: F1
 *   musique          {"id", "predicted_answer", "predicted_support_idxs", "predicted_answerable"}.
 *                    {"answer_em", "answer_f1", "support_f1", "answerable", "sufficiency"}: the
 *                    best over answer and aliases. Where the paragraphs do not tell,
 *                    abstaining is right, and there are the last two alone
 *   coqa             {"id", "turn_id", "answer"}; an abstention is "unknown", which is right where
 *                    the story does not tell. {"em", "f1"} over references of which each is left
 *                    out in turn. Correct: it is one of the references; score: F1
 *   commonsenseqa,   {"id", "answer"}: the letter, "" where none was understood, which is wrong and
 *   mmlu             counted. {"accuracy", "unparsed"}
 *   multiwoz         {"response", "state"}, what is no JSON being a response without a state.
 *                    {"joint_goal_accuracy", "bleu_own", "bleu_counts", "turns"}. Correct: the
 *                    state is the annotated one; score: this turn's own BLEU, by as many orders
 *                    as it has words for, / 100
 *
 * *out is zeroed first. Errors: SYN_ERR_LIMIT, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_judge(const syn_live_bench *b, const syn_question *q,
                                          const syn_live_answer *a, syn_live_verdict *out);
void syn_live_verdict_free(syn_live_verdict *v); /* safe on a zeroed one */

/* Puts a prediction into the benchmark's file of predictions, as `syncog metrics` reads it:
 * HotpotQA's {"answer", "sp"}, a list of CoQA's, MuSiQue's, CommonsenseQA's and MMLU's, MultiWOZ's
 * {"sng0073": [turns]}, in the order of the calls. prediction NULL: there was no answer, which is
 * left out; but a turn of MultiWOZ, known by its place, is an empty one. *file NULL: it is made.
 * Errors: SYN_ERR_FORMAT, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_collect(const char *benchmark, const char *id,
                                            const json_t *prediction, json_t **file);

/* ---- The official figures of one policy with one number of agents ---- */

typedef struct syn_live_totals syn_live_totals;

/* The bench must outlive it. */
SYN_WARN_UNUSED syn_status syn_live_totals_open(const syn_live_bench *b, syn_live_totals **out);
void syn_live_totals_close(syn_live_totals *t); /* NULL is allowed */

/* A question that was asked: its number, id and domain (syn_question), the prediction and metrics
 * of its verdict, which are copied as far as they are needed. Both NULL: there was no answer, which
 * scores 0 as what is missing in a file of predictions does. About 100 bytes a question, of
 * MultiWOZ the prediction's text. Errors: SYN_ERR_FORMAT (these are none of this benchmark's),
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_totals_add(syn_live_totals *t, int64_t number, const char *id,
                                               const char *domain, const json_t *prediction,
                                               const json_t *metrics);

/* A new object of the official names and figures as the official script prints them, over the
 * questions in the order of their numbers, whatever the order of the calls: what `syncog metrics`
 * gives for the collected predictions and a gold file of these questions. Counts are added:
 * "questions", "missing". MuSiQue's are rounded to three digits; with unanswerable questions,
 * "sufficiency_accuracy" (ours) says how often it was known whether there is an answer.
 *
 * MultiWOZ, with a reference folder: "inform", "success", "bleu" and "combined" of the dialogues
 * that were asked to their end and are in it ("dialogues"; the others are "dialogues_left_out");
 * or the text "unscored", which says why there are none. Always, and ours: "joint_goal_accuracy",
 * per cent of turns whose state is the annotated one, and "bleu_own" of the answered turns against
 * the data set's responses delexicalised by its annotation.
 *
 * Errors: those of syn_multiwoz_score but for what "unscored" says; SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_totals_json(syn_live_totals *t, json_t **out);

#endif
