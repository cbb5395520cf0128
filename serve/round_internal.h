/* What the files of the round share; nobody else includes this. */
#ifndef SYN_SERVE_ROUND_INTERNAL_H
#define SYN_SERVE_ROUND_INTERNAL_H

#include "serve/aggregate.h"
#include "serve/arena.h"
#include "serve/prompt.h"
#include "serve/round.h"

enum {
    SYN_ROUND_ARENA_BYTES_MAX = 64 << 20,
    SYN_ROUND_EVIDENCE_BYTES_MAX = 4 << 20, /* all documents together */
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
    int64_t tokens; /* reserved */
    double cost_usd;
    bool handed_out;
} syn_open_call;

struct syn_round {
    syn_arena arena;
    syn_round_config config; /* texts in the arena */
    syn_decider decider;     /* zero in broadcast mode without one */
    syn_stage stage;
    double created_s, now_s, deadline_s;

    syn_team team;
    syn_team_turn *turns; /* team.turns */
    int turn_room;
    uint32_t serial_next;
    uint32_t changed, alone, failed; /* agent bits: new items; asked for; last call failed */

    syn_open_call open[SYN_ROUND_CALLS_MAX];
    int open_count;
    uint32_t call_id_next;
    bool cap_hit; /* a call was not made */
    int64_t reserved_tokens;
    double reserved_usd;

    syn_answer answers[SYN_AGENTS_MAX];
    syn_pool pool;
    double entropy_first;
    bool judged; /* entropy_first is set */

    syn_team_gaps seen;
    bool phase_begun, observed; /* observed: `seen` holds an observation of this collaboration */
    int phase_messages;
    syn_action_kind phase_end;
    bool phase_deadlock;
    int deadlocks; /* rounds in a row */
    uint64_t *states;
    int state_count, state_room;

    syn_notice *notices;
    int notice_count, notice_room, notice_read;
    syn_dialogue_entry *dialogue;
    int dialogue_room;

    syn_status failure;
    syn_round_reply reply;
};

/* round.c */
double syn_round_unix(const syn_round *r);
/* A zeroed notice with time and round; a scratch one when memory is out (arena.failed). */
syn_notice *syn_round_notify(syn_round *r, syn_notice_type type);
/* Ends with an error: the notice, the stage, the code. */
void syn_round_fail(syn_round *r, syn_status code, const char *sentence);

/* round_pieces.c: cuts the documents, chooses, deals. Fills team items, own and holds. */
SYN_WARN_UNUSED syn_status syn_round_deal(syn_round *r);

/* round_calls.c */
void syn_round_begin(syn_round *r);
/* Reserves and queues a call; false when a cap has no room for it. */
bool syn_round_want(syn_round *r, syn_call_purpose purpose, int agent, syn_prompt prompt);
SYN_WARN_UNUSED syn_status syn_round_take_result(syn_round *r, const syn_open_call *open,
                                                 const syn_call_result *result);
SYN_WARN_UNUSED syn_status syn_round_cluster(syn_round *r); /* all answers are in */

/* Clusters the answers as they are, without a model, and pools them. */
SYN_WARN_UNUSED syn_status syn_round_pool(syn_round *r);

/* round_phase.c: one turn; the stage stays PHASE while there is another. *wait: the decider is
 * pending. */
SYN_WARN_UNUSED syn_status syn_round_phase(syn_round *r, bool *wait);

/* round_end.c */
void syn_round_judge(syn_round *r);                 /* stage JUDGE */
void syn_round_finish(syn_round *r, syn_stop stop); /* asks for the final answer, or ends */
/* Ends with this final answer; NULL: the winner's own. */
void syn_round_conclude(syn_round *r, const syn_parsed_reply *final);
/* The answers so far are all there will be. */
SYN_WARN_UNUSED syn_status syn_round_out_of_time(syn_round *r);

#endif
