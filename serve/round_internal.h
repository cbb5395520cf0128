/* What the files of the round share; nobody else includes this. */
#ifndef SYN_SERVE_ROUND_INTERNAL_H
#define SYN_SERVE_ROUND_INTERNAL_H

#include "kernels/base/arena.h"
#include "serve/aggregate.h"
#include "serve/prompt.h"
#include "serve/round.h"

enum {
    SYN_ROUND_ARENA_BYTES_MAX = 64 << 20,
    SYN_ROUND_EVIDENCE_BYTES_MAX = 4 << 20, /* all documents together */
    SYN_ROUND_WHY_BYTES = 1024,
    SYN_PIECE_WORDS_MAX = 120,
    SYN_ROUND_CALLS_MAX = SYN_AGENTS_MAX
};

typedef enum syn_stage {
    SYN_STAGE_ROUND,     /* a round begins */
    SYN_STAGE_CALLS,     /* waits for the agents */
    SYN_STAGE_PARTITION, /* waits for the partition of the answers */
    SYN_STAGE_PHASE,     /* messages */
    SYN_STAGE_JUDGE,     /* the end, or the next round? */
    SYN_STAGE_FINAL,     /* waits for the final answer */
    SYN_STAGE_DONE
} syn_stage;

typedef struct syn_open_call {
    syn_round_call call;
    char *prompt;          /* both texts of it; freed when the call ends */
    int64_t prompt_tokens; /* estimated */
    int64_t tokens;        /* reserved */
    double cost_usd;
    bool handed_out;
} syn_open_call;

/* A notice as it waits: its matrix apart, which most have not. */
typedef struct syn_note {
    syn_notice_type type;
    int round, agent, from, to, clusters;
    syn_action_kind kind;
    const char *text, *item_id;
    double unix_s, probability, confidence, entropy, sufficiency;
    const float *gaps; /* (agents, agents), NULL for none */
} syn_note;

/* What an agent said in this round, until all have answered. */
typedef struct syn_said {
    const char *claim[SYN_CLAIMS_MAX];
    int count;
} syn_said;

struct syn_round {
    syn_arena arena;
    syn_round_config config; /* texts in the arena; those of the documents go once they are dealt */
    syn_decider decider;     /* zero in broadcast mode without one */
    syn_stage stage;
    double created_s, now_s, deadline_s;

    syn_team team;
    syn_team_turn *turns; /* team.turns */
    int turn_room;
    uint32_t serial_next;
    uint32_t changed, alone, failed; /* agent bits: new items; asked for; last call failed */
    const char *titled[SYN_TEAM_PIECES_MAX]; /* a piece as its messages quote it, once one does */

    syn_open_call open[SYN_ROUND_CALLS_MAX];
    int open_count;
    uint32_t call_id_next;
    bool cap_hit;         /* a call was not made, */
    const char *cap_text; /* and why */
    int64_t reserved_tokens;
    double reserved_usd;

    syn_answer answers[SYN_AGENTS_MAX];
    syn_said said[SYN_AGENTS_MAX];
    bool answers_changed; /* since they were pooled */
    syn_pool pool;
    double entropy_first;
    bool judged; /* entropy_first is set */

    syn_team_gaps seen;
    bool phase_begun, observed; /* observed: `seen` holds an observation of this collaboration */
    int phase_messages;
    syn_action_kind phase_end;
    int deadlocks; /* rounds in a row */
    uint64_t *states;
    int state_count, state_room;

    syn_note *notes; /* those that wait, and as many before them as have been read */
    int note_count, note_room, note_read;
    int dialogue_room;

    syn_status failure;
    char why[SYN_ROUND_WHY_BYTES]; /* a sentence; the arena may be full by then */
    syn_round_reply reply;
};

/* round.c */
double syn_round_unix(const syn_round *r);
/* A notice with time and round; a scratch one when memory is out (arena.failed). */
syn_note *syn_round_notify(syn_round *r, syn_notice_type type);
/* The decider is asked for no more. */
void syn_round_end_decider(syn_round *r);
/* Ends with an error: the notice, the stage, the code. */
void syn_round_fail(syn_round *r, syn_status code, const char *sentence);

/* round_pieces.c: cuts the documents, chooses, deals. Fills team items, own and holds. */
SYN_WARN_UNUSED syn_status syn_round_deal(syn_round *r);

/* round_calls.c */
void syn_round_begin(syn_round *r);
/* Reserves and queues a call; false when a cap has no room for it. */
bool syn_round_want(syn_round *r, syn_call_purpose purpose, int agent);
/* Takes the reservation back and counts what was used. */
void syn_round_account(syn_round *r, const syn_open_call *open, const syn_call_result *result);
/* Forgets all calls that are open. */
void syn_round_drop_calls(syn_round *r);

/* round_replies.c */
SYN_WARN_UNUSED syn_status syn_round_take_result(syn_round *r, const syn_open_call *open,
                                                 const syn_call_result *result);
/* reply lives in scratch memory: what stays is copied. */
void syn_round_take_answer(syn_round *r, int agent, const syn_parsed_reply *reply);
SYN_WARN_UNUSED syn_status syn_round_cluster(syn_round *r); /* all answers are in */
/* Clusters the answers as they are, without a model, and pools them. */
SYN_WARN_UNUSED syn_status syn_round_pool(syn_round *r);
/* cluster (agents): 0 for the answers to compare, -1 for the others; returns how many to compare.
 */
int syn_round_comparable(const syn_round *r, int *cluster);
/* Short answers are compared, not whole texts. */
bool syn_round_short_answers(const syn_round *r);
/* The final call's text is the answer as it is. */
bool syn_round_verbatim(const syn_round *r);

/* round_phase.c: one turn; the stage stays PHASE while there is another. *wait: the decider is
 * pending. */
SYN_WARN_UNUSED syn_status syn_round_phase(syn_round *r, bool *wait);

/* Gives the asker the pieces that it lacks, as far as the cap on messages goes. */
void syn_round_give_asker(syn_round *r);

/* round_asker.c: where the asker alone is asked */
bool syn_round_asks_again(const syn_round *r); /* were the next reply to say that it is unknown */
void syn_round_ask_asker(syn_round *r);        /* the moving has ended */
/* reply: in scratch memory; NULL: the call failed. */
SYN_WARN_UNUSED syn_status syn_round_asker_said(syn_round *r, const syn_parsed_reply *reply);

/* round_end.c */
/* The notice, and reply.convergence_achieved. */
void syn_round_report_convergence(syn_round *r);
void syn_round_judge(syn_round *r);                 /* stage JUDGE */
void syn_round_finish(syn_round *r, syn_stop stop); /* asks for the final answer, or ends */
/* Ends with this final answer, whose texts live in the arena; NULL: the winner's own. */
void syn_round_conclude(syn_round *r, const syn_parsed_reply *final);
/* The answers so far are all there will be. */
SYN_WARN_UNUSED syn_status syn_round_out_of_time(syn_round *r);

#endif
