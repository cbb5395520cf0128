/* Parts of a run of live teams. Private to benchmarks/live_*.c. */
#ifndef SYN_BENCHMARKS_LIVE_PRIVATE_H
#define SYN_BENCHMARKS_LIVE_PRIVATE_H

#include <jansson.h>
#include <uv.h>

#include "benchmarks/live.h"

/* ---- live_records.c: OUT.records.jsonl ---- */

/* What is known of an answer by its key. */
typedef struct syn_live_known {
    uint64_t key; /* 0: free */
    int64_t tokens;
    bool failed;
} syn_live_known;

typedef struct syn_live_records {
    char path[4096];
    int fd; /* -1: closed */
    int64_t bytes;
    bool dirty; /* lines that are not on the disk for certain */
    syn_live_known *known;
    int64_t known_max, count; /* places, and keys */
    int64_t answered, failed; /* of them */
    double cost_usd;          /* of all lines, failed ones included */
    double dearest_usd;       /* of one answer */
    int64_t most_tokens;      /* likewise */
    int64_t calls, prompt_tokens, completion_tokens;
    bool cost_known;
    bool has_answers; /* lines that are more than what an unfinished one has cost */
} syn_live_records;

uint64_t syn_live_key(const char *benchmark, const char *id, const char *policy, int agents);

/* OUT.records.jsonl beside OUT.json. Errors: SYN_ERR_LIMIT. */
SYN_WARN_UNUSED syn_status syn_live_records_path(const char *output, char *path, size_t bytes);

/* Opens, locks and reads the file; a last line that was cut off is dropped. overwrite: empties it.
 * Errors: SYN_ERR_IO (also: another run has it), SYN_ERR_FORMAT (a line that is no answer),
 * SYN_ERR_LIMIT, SYN_ERR_MEMORY. Close it in any case. */
SYN_WARN_UNUSED syn_status syn_live_records_open(syn_live_records *r, const char *output,
                                                 bool overwrite);
/* NULL: never asked. */
const syn_live_known *syn_live_records_find(const syn_live_records *r, uint64_t key);
/* Appends a line, whole or not at all. */
SYN_WARN_UNUSED syn_status syn_live_records_add(syn_live_records *r, const json_t *line);
SYN_WARN_UNUSED syn_status syn_live_records_sync(syn_live_records *r);
void syn_live_records_close(syn_live_records *r);

/* ---- live_policy*.c: one answer of one policy ---- */

/* How it ended; texts are valid during the callback. */
typedef struct syn_live_reply {
    syn_status status;
    const char *sentence; /* what has failed */
    syn_live_answer answer;
    double confidence;
    int rounds, messages, broadcast_messages, targeted_messages, gaps, samples, calls, failed;
    int64_t prompt_tokens, completion_tokens;
    bool cost_known, converged;
    double cost_usd, latency_s, entropy; /* entropy: NAN where nobody could differ */
    bool unasked;                        /* the question could not be asked at all */
    /* Its cap left no room for a call: it is no measure of the policy. What cap would have had. */
    bool capped;
    int64_t peak_tokens;
    double peak_usd;
    const char *stopped_by;
    const syn_answer *said; /* (said_count) of the agents, or the samples */
    int said_count;
    const syn_dialogue_entry *dialogue;
    int dialogue_count;
} syn_live_reply;

typedef struct syn_live_ask {
    const syn_live_plan *plan;
    syn_live_policy policy;
    const syn_round_config *config; /* of one agent where it is alone; outlives the asking. Its
                                       caps are kept by an agent that is alone too */
    const char *tag;                /* outlives it too */
    int64_t tokens;                 /* SELF_CONSISTENCY: to be taken; 0: unknown */
    uv_loop_t *loop;
    syn_llm *llm; /* NULL: agents are extractive */
    /* Once, unless freed; never within start. The asking may be freed in it. */
    void (*done)(void *context, const syn_live_reply *reply);
    void *context;
} syn_live_ask;

typedef struct syn_live_asking syn_live_asking;

bool syn_live_policy_is_alone(syn_live_policy policy);
/* Whether the benchmark's questions are asked of it: where there is no evidence, none can move. */
bool syn_live_policy_is_asked(syn_live_policy policy, const syn_live_bench *bench);
/* Who the agents are: "openai", or the host of --base-url; and the model, NULL where there is none.
 */
const char *syn_live_provider(const syn_live_plan *plan);
const char *syn_live_model(const syn_live_plan *plan);
SYN_WARN_UNUSED syn_status syn_live_ask_start(const syn_live_ask *ask, syn_live_asking **out);
/* Cancels what is under way. The loop has to run until its handles are closed. NULL is allowed. */
void syn_live_ask_free(syn_live_asking *asking);
/* Adds what its calls have taken so far to *reply: calls, tokens, cost. */
void syn_live_ask_spent(const syn_live_asking *asking, syn_live_reply *reply);
/* Sees to `capped` of a reply whose status is a team's failure: whether its caps, these, had no
 * room for a single call. */
void syn_live_note_cap(syn_live_reply *reply, int64_t tokens_cap, double cost_cap_usd);
/* One call's, of which what is not reported is estimated: from the prompt's tokens and the text,
 * and by the price list. */
void syn_live_add_call(const syn_live_plan *plan, int64_t prompt_tokens, const syn_llm_reply *call,
                       syn_live_reply *reply);

/* live_policy_solo.c */
typedef struct syn_live_solo syn_live_solo;
SYN_WARN_UNUSED syn_status syn_live_solo_start(const syn_live_ask *ask, syn_live_solo **out);
void syn_live_solo_free(syn_live_solo *solo);
/* What its calls have taken so far. */
const syn_live_reply *syn_live_solo_spent(const syn_live_solo *solo);

/* live_policy_turns.c: round robin, as the trainer's baseline plays it */
syn_decider syn_live_turns_decider(void);

/* ---- live_line.c: an answer as a line ---- */

enum { SYN_LIVE_DIALOGUE_QUESTIONS = 50 };

typedef struct syn_live_asked {
    const syn_live_plan *plan;
    const syn_live_bench *bench;
    const syn_question *question;
    int64_t number; /* of the question in its benchmark, from 0 */
    syn_live_policy policy;
    int agents;
    const char *tag; /* on the tape */
} syn_live_asked;

/* Judges the answer. New reference. Errors: those of syn_live_judge, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_line(const syn_live_asked *asked, const syn_live_reply *reply,
                                         json_t **out);

/* ---- live_run*.c: the loop ---- */

typedef struct syn_live_question syn_live_question;

/* What an answer may take; 0: there is no cap, or none that can be kept beforehand. */
typedef struct syn_live_room {
    int64_t tokens;
    double usd;
    bool all; /* nothing is left beside it */
} syn_live_room;

typedef struct syn_live_eval {
    const syn_live_plan *plan;
    syn_live_bench *bench[SYN_LIVE_BENCHMARKS_MAX];
    int64_t read[SYN_LIVE_BENCHMARKS_MAX]; /* questions handed out so far */
    bool at_end[SYN_LIVE_BENCHMARKS_MAX];
    int turn; /* whose question is next */
    syn_live_records records;
    uv_loop_t loop;
    bool loop_open;
    uv_timer_t timer;
    syn_llm *llm;
    syn_live_question *question[SYN_LIVE_PARALLEL_MAX]; /* under way, NULL: a free place */
    int open;                                           /* of them */
    int asking;                                         /* answers under way, */
    syn_live_room held;                                 /* and what they may take, all together */
    syn_live_room needed; /* the largest cap that one needed, of those that have ended */
    bool has_ended;       /* one of them */
    int failures;         /* one after the other */
    bool going;           /* within syn_live_go_on */
    bool stopping;        /* nothing new is asked */
    syn_status status;    /* why */
    char why[512];
} syn_live_eval;

/* live_run.c: nothing more is asked; at_once: what is under way is cancelled too. The first reason
 * stays. */
void syn_live_stop(syn_live_eval *e, bool at_once, syn_status st, const char *fmt, ...)
    SYN_PRINTF(4, 5);
/* Begins the next questions where places are free. */
void syn_live_go_on(syn_live_eval *e);
/* An answer has ended: its line is kept, caps and failures are looked at. */
void syn_live_take(syn_live_eval *e, const syn_live_asked *asked, const syn_live_reply *reply);

typedef enum syn_live_may {
    SYN_LIVE_BEGIN, /* one more answer, */
    SYN_LIVE_WAIT,  /* not before one of those under way has ended, */
    SYN_LIVE_NO_MORE
} syn_live_may;

/* live_run_caps.c: whether the caps have room for one more answer, and how much it may take. Stops
 * the run where they will have none. */
syn_live_may syn_live_find_room(syn_live_eval *e, syn_live_room *room);
/* The answer begins; it has ended. */
void syn_live_hold(syn_live_eval *e, const syn_live_room *room);
void syn_live_release(syn_live_eval *e, const syn_live_room *room);
/* An answer has ended that had this room: for the next ones it is known what one needs. The run
 * stops where all that is left was not enough. */
void syn_live_learn(syn_live_eval *e, const syn_live_room *room, const syn_live_reply *reply);

/* live_run_question.c: one question, every size of team, every policy, one after the other. Copies
 * q. `*out` NULL: all of it has been answered before. */
SYN_WARN_UNUSED syn_status syn_live_question_begin(syn_live_eval *e, int place,
                                                   syn_live_bench *bench, const syn_question *q,
                                                   int64_t number, syn_live_question **out);
/* Asks until something is under way, or a cap says that it has to wait. At the end of the question
 * it is freed. */
void syn_live_question_go(syn_live_question *q);
bool syn_live_question_waits(const syn_live_question *q);
/* Cancels what is under way. NULL is allowed. */
void syn_live_question_free(syn_live_question *q);

/* ---- live_results*.c: OUT.json ---- */

/* Makes the folder where there is none. Errors: SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_live_predictions_folder(const char *path);
/* Refuses to write over what is no results file, and to go on with files of another run. */
SYN_WARN_UNUSED syn_status syn_live_results_check(const syn_live_plan *plan);
/* Makes the figures of all lines and writes the file. benches (plan->sources). ended: with the
 * policies held against each other, and the calibration beside it. why: a sentence, or NULL where
 * the run is complete. */
SYN_WARN_UNUSED syn_status syn_live_results_write(const syn_live_plan *plan,
                                                  const syn_live_records *records,
                                                  syn_live_bench *const *benches, bool ended,
                                                  const char *why);

#endif
