/* One collaboration: a team of 2-10 agents, their pieces of evidence, LLM rounds and message
 * phases.
 *
 * A pure state machine. Events go in (a call has ended, time has passed), wanted calls and notices
 * come out; it opens no socket, starts no thread and reads no clock: every event carries its time,
 * in seconds of any monotonic clock. The same machine serves `syncog ask`, the HTTP service and the
 * evaluation of live teams.
 *
 *     syn_round_create -> loop { drain calls and notices; wait for a reply or syn_round_wake_s;
 *                                syn_round_call_done / syn_round_tick } until syn_round_finished
 *
 * Round r: (1) the agents whose items changed (all of them in round 1) are called in parallel;
 * (2) their replies become answers, claims and needs; (3) the message phase: the decider looks at
 * the team and moves one item a turn, at no LLM call, until ANSWER, ABSTAIN, ALONE, nothing, or 2N
 * messages; (4) the end, or the next round. Agent 0 is the asker, who writes the final answer; in
 * everything printed agents count from 1. One thread at a time per object.
 *
 * With SYN_ASK_ASKER the evidence moves first and the asker alone is asked: round 1 is a message
 * phase without calls, in which ANSWER, ABSTAIN, nothing, 2N messages or the last turn end the
 * moving alone (nobody abstains before the asker was asked), and then one FINAL call. Where its
 * reply says that it does not know (syn_no_answer), round 2 gives the asker every piece that it
 * lacks and the caps allow, and it is asked once more; still not knowing, it abstains. */
#ifndef SYN_SERVE_ROUND_H
#define SYN_SERVE_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"
#include "kernels/env_core.h"

enum {
    SYN_TEAM_PIECES_MAX = 32, /* items [0, piece_count) are pieces of the documents */
    SYN_TEAM_ITEMS_MAX = 64,  /* the others are claims; one bit each in every mask */
    SYN_ROUND_MAX = 20,
    SYN_ROUND_DOCUMENTS_MAX = 1024,
    SYN_ROUND_QUESTION_BYTES_MAX = 32 * 1024
};

/* ---- the team as a decider sees it ---- */

/* Goals, actions and their flat index are those of the trainer's environment, kernels/env_core.h.
 * Here SEND and BROADCAST move the item that the decision names, ALONE(i) has agent i called again,
 * and NO_ACTION says that nothing is worth a message: the phase ends, the collaboration goes on. It
 * is always allowed; a decider whose best action is an ANSWER that is still masked returns it. */
const char *syn_action_name(syn_action_kind kind); /* "send" */

typedef struct syn_team_item {
    const char *id;    /* "p3" for a piece, "c17" for a claim: number `serial` */
    const char *title; /* "" for a claim or an untitled piece */
    const char *text;
    uint32_t serial; /* grows; a recycled claim slot gets a new one, so that caches can tell */
    int author;      /* agent of a claim, -1 for a piece */
    int round;       /* of the claim, 0 for a piece */
    bool claim;
} syn_team_item;

typedef struct syn_team_turn {
    syn_action_kind kind;
    int from, to;             /* -1 where the kind has none */
    int item;                 /* slot at that time, -1 for none */
    const char *title, *text; /* of the item moved, "" for none; stay valid */
    const char *need;         /* REQUEST: what the requester said it needs, "" if nothing */
    bool claim;               /* the item is a claim */
    bool passed_on;           /* the giver had the item from somebody else */
    int round;                /* LLM round, from 1 */
    int giver;                /* from, or `to` for REQUEST; -1 for none */
} syn_team_turn;

/* Texts and arrays live as long as the round. Masks have bit k for item k. */
typedef struct syn_team {
    const char *question;
    int agents; /* N; agent 0 asks */
    syn_goal goal;
    int piece_count, item_count;
    syn_team_item items[SYN_TEAM_ITEMS_MAX];
    uint64_t own[SYN_AGENTS_MAX];                  /* given at the start, or its own claims */
    uint64_t holds[SYN_AGENTS_MAX];                /* own and received */
    uint64_t sent[SYN_AGENTS_MAX][SYN_AGENTS_MAX]; /* [from][to], broadcasts included */
    int16_t got_turn[SYN_AGENTS_MAX][SYN_TEAM_ITEMS_MAX]; /* turn of receipt; 0: own from start */
    int8_t giver[SYN_AGENTS_MAX][SYN_TEAM_ITEMS_MAX];     /* who sent it; the agent itself if own */
    const char *need[SYN_AGENTS_MAX];                     /* of the last reply, "" if nothing */
    const syn_team_turn *turns;                           /* the whole history, oldest first */
    int turn_count, turns_max;      /* T: in the last turn only ANSWER and ABSTAIN are legal */
    int round, rounds_max;          /* LLM rounds, from 1 */
    int messages, messages_max;     /* spent; the cap, 0 for none */
    int64_t tokens, tokens_max;     /* spent; the cap, 0 for none */
    uint8_t legal[SYN_ACTIONS_MAX]; /* by syn_action_index */
    bool always_acts; /* what is not legal is not wanted either: the best legal action is chosen,
                         where a collaboration would rather let its agents answer again */
} syn_team;

/* The items that `from` may give to `to`: held, not sent to `to` before, not had from `to`. SEND is
 * legal where this is not empty, BROADCAST where it is not empty for some other agent, REQUEST
 * where the requester lacks one of them. */
uint64_t syn_team_givable(const syn_team *team, int from, int to);
uint64_t syn_team_requestable(const syn_team *team, int from, int to); /* what `to` may reply */
uint64_t syn_team_broadcastable(const syn_team *team, int from);       /* to some other agent */

typedef struct syn_team_gaps {
    float gaps[SYN_AGENTS_MAX][SYN_AGENTS_MAX]; /* [i][i]: probability that i lacks what
        it needs; [i][j]: that j holds something that i lacks. Calibrated */
    float sufficiency; /* 1 - gap of the asker; for consensus: of the majority. Negative: not
        judged, the answers' consensus counts instead */
    bool pending;      /* not there yet: the round waits, and asks again at the next event */
} syn_team_gaps;

typedef struct syn_decision {
    syn_action_kind kind;
    int from, to; /* as in syn_action_kind */
    int item;     /* slot of the item that moves; -1 for none */
    float probability;
    bool pending; /* as above */
} syn_decision;

/* Who decides in the message phase. Both functions are called once a turn, observe first; a new
 * collaboration shows as turn_count 0 and round 1. An illegal decision ends the collaboration with
 * an error. The struct is copied, `user` must outlive the round. */
typedef struct syn_decider {
    syn_status (*observe)(void *user, const syn_team *team, syn_team_gaps *out);
    syn_status (*decide)(void *user, const syn_team *team, const syn_team_gaps *seen,
                         syn_decision *out);
    void *user;
    const char *policy; /* "trained" or "rule", as reported */
    bool alone;         /* ALONE is legal (trained with a read limit) */
    /* Each may be NULL. A message phase is over, the next question comes with the next round; and
     * none comes any more, called once. */
    void (*pause)(void *user), (*end)(void *user);
} syn_decider;

/* ---- what a collaboration is given ---- */

typedef enum syn_task_type {
    SYN_TASK_QA,
    SYN_TASK_ANALYSIS,
    SYN_TASK_EXPLANATION,
    SYN_TASK_REASONING
} syn_task_type;

typedef enum syn_round_ask {
    SYN_ASK_ALL,  /* every agent answers from its items, round by round */
    SYN_ASK_ASKER /* as above; needs documents */
} syn_round_ask;

typedef struct syn_round_document {
    const char *id, *title, *text; /* id and title may be NULL */
    uint32_t agents;               /* bit i: agent i holds it; 0: dealt round-robin */
} syn_round_document;

typedef struct syn_round_agent {
    const char *name, *role, *context; /* NULL: "agent 2", none, none */
    const char *provider, *model;      /* who it is, for the reply; NULL: not said */
    double calibration;                /* T of sigma(logit(c) / T); 0 means 1 */
    bool price_known;
    double prompt_usd, completion_usd; /* per token */
} syn_round_agent;

typedef struct syn_round_config {
    const char *question;
    const char *context; /* background, may be NULL; cut to context_bytes_max */
    /* Earlier turns that this question continues, oldest first, may be NULL; of a text longer than
     * context_bytes_max its end is kept. */
    const char *dialogue;
    syn_task_type task;
    int agents, rounds_max, rounds_min; /* 3, 5; 0: min(2, rounds_max) */
    syn_round_agent agent[SYN_AGENTS_MAX];
    syn_round_agent aggregator; /* who writes the final answer */
    bool aggregator_is_model;   /* it can partition answers (analysis, explanation) */
    /* A model's text of the final call is the final answer as it is: its prompt asks for plain text
     * instead of the template. */
    bool final_verbatim;
    /* What the final call's reply may have, 0: reply_tokens_max; and what its request has beside
     * the prompt (tools, formats). Both are reserved. */
    int64_t final_tokens_max, final_extra_tokens;
    const syn_round_document *documents;
    int document_count;
    bool cognitive_gaps; /* false: everybody broadcasts everything every round; with ASKER the asker
                            is given everything at once */
    /* With ASKER rounds_min does not count, rounds_max 1 means that nobody is asked twice, and the
     * calls are the aggregator's, told the asker's role and context. final_verbatim keeps a last
     * reply as it is, even one that says that it does not know. */
    syn_round_ask ask;
    double temperature, convergence_threshold;
    int64_t reply_tokens_max, context_bytes_max;
    int messages_cap; /* caps: 0 for none */
    int64_t tokens_cap;
    double cost_cap_usd;
    double timeout_s;       /* of the whole collaboration; 300 */
    double started_unix_s;  /* wall clock at creation, for timestamps */
    const char *session_id; /* may be NULL */
} syn_round_config;

/* The defaults of the API; the question is left NULL. */
void syn_round_config_defaults(syn_round_config *config);

/* ---- calls out, results in ---- */

typedef enum syn_call_purpose {
    SYN_CALL_ANSWER,   /* an agent answers from its items */
    SYN_CALL_FINAL,    /* the aggregator writes the final answer */
    SYN_CALL_PARTITION /* the aggregator says which answers mean the same */
} syn_call_purpose;

typedef struct syn_answer {
    bool given;             /* false: never answered, or failed last time */
    const char *text;       /* full answer */
    const char *short_text; /* at most 20 words */
    double confidence;      /* calibrated, in [.01, .99] */
    double weight;          /* share of the log-odds weight, sum 1 over the team */
    int cluster;            /* -1: says that it does not know */
    uint64_t support;       /* items it names */
} syn_answer;

typedef struct syn_round_call {
    uint32_t id;
    syn_call_purpose purpose;
    int agent; /* 0 for FINAL and PARTITION */
    int round;
    const char *system, *user; /* the prompt; valid until the call's end or the round's */
    int64_t max_tokens;
    double temperature;
    double deadline_s; /* absolute, in the caller's clock */
    bool last;         /* FINAL: nobody is asked again, whatever the reply says */
    /* For agents that are no language model: what the prompt was made of. The team's items stay as
     * they are while any call is open, and at the deadline: another thread may read them. */
    const syn_team *team;
    const syn_answer *answers; /* of the team, [agents]; FINAL reads them */
} syn_round_call;

typedef struct syn_call_result {
    const char *text;                         /* the reply, NUL-terminated; NULL: failed */
    const char *error;                        /* one sentence when text is NULL; shown in notices */
    int64_t prompt_tokens, completion_tokens; /* -1: not reported, estimated from the text */
    double cost_usd;                          /* as reported; negative: not reported */
} syn_call_result;

/* ---- notices and the reply ---- */

typedef enum syn_notice_type {
    SYN_NOTICE_SESSION,
    SYN_NOTICE_ROUND,
    SYN_NOTICE_AGENT_RESPONSE,
    SYN_NOTICE_GAPS,
    SYN_NOTICE_MESSAGE,
    SYN_NOTICE_CONVERGENCE,
    SYN_NOTICE_FINAL_ANSWER,
    SYN_NOTICE_ERROR
} syn_notice_type;

typedef struct syn_notice {
    syn_notice_type type;
    double unix_s;
    int round;
    int agent;            /* AGENT_RESPONSE; ERROR of a call (the asker's where it is the
                             aggregator's), else -1; from 0 */
    const char *text;     /* session id, response, text moved, final answer, error sentence */
    syn_action_kind kind; /* MESSAGE: also ANSWER, ABSTAIN, ALONE, NONE, with empty text */
    int from, to;         /* MESSAGE; to -1: all */
    const char *item_id;  /* MESSAGE: id of the item that moved, "" for none */
    double probability;   /* MESSAGE: of the decision; 1 in broadcast mode */
    double confidence;    /* AGENT_RESPONSE, FINAL_ANSWER */
    int agents;           /* GAPS: N */
    float gaps[SYN_AGENTS_MAX][SYN_AGENTS_MAX];
    double entropy;     /* CONVERGENCE: H / ln N */
    double sufficiency; /* CONVERGENCE, GAPS; negative where nobody judged it */
    int clusters;       /* CONVERGENCE */
} syn_notice;

typedef enum syn_stop {
    SYN_STOP_CONVERGED, /* the convergence test passed */
    SYN_STOP_ANSWERED,  /* it did not, and the decider chose ANSWER, or the asker alone answered */
    SYN_STOP_ABSTAINED, /* with ASKER: the asker does not know, or could not be asked again */
    SYN_STOP_MAX_ROUNDS,
    SYN_STOP_DEADLOCK,
    SYN_STOP_CAP,
    SYN_STOP_DEADLINE
} syn_stop;
const char *syn_stop_name(syn_stop stop);

typedef struct syn_dialogue_entry {
    int round, agent, to;     /* to -1: all */
    const char *message_type; /* broadcast, targeted, request, reply */
    const char *message;
    double unix_s;
} syn_dialogue_entry;

typedef struct syn_skipped_piece {
    const char *document; /* id of the document */
    int part;             /* from 1 */
} syn_skipped_piece;

typedef struct syn_round_reply {
    const char *final_answer;
    const char *short_answer;
    double confidence;
    int rounds, agents_used; /* agents that answered: with ASKER the asker alone */
    int messages, broadcast_messages, targeted_messages;
    double consensus_score;
    int gaps_detected;
    double information_gain, final_entropy; /* entropies divided by ln N */
    bool convergence_achieved;
    int agents;
    const char *agent_name[SYN_AGENTS_MAX];
    const syn_round_agent *agent; /* [agents] */
    /* Who wrote the final answer: the aggregator, or the agent whose answer stands where it did
     * not; NULL: nobody, as the team abstained or found no answer. */
    const syn_round_agent *answered_by;
    syn_answer answers[SYN_AGENTS_MAX];
    const syn_team *team;   /* at the end: the items that `support` names */
    uint32_t agents_failed; /* bit i: the last call of agent i failed */
    const syn_dialogue_entry *dialogue;
    int dialogue_count;
    int64_t prompt_tokens, completion_tokens;
    bool cost_known;
    double cost_usd;
    int llm_calls;
    const char *policy; /* "trained", "rule", or "broadcast" */
    bool grounded;      /* documents were given */
    bool abstained;
    const char *missing; /* what is missing; "" unless abstained */
    syn_stop stopped_by;
    /* Whether a cap left no room for a call that the round wanted, the final one included; and what
     * was spent and reserved at most, that call included: the caps that would have had room. */
    bool capped;
    int64_t peak_tokens;
    double peak_usd;
    const syn_skipped_piece *skipped;
    int skipped_count;
    double sufficiency; /* negative where nobody judged it: with ASKER not once all was given */
    double execution_s, unix_s;
    const char *session_id; /* "" for none */
} syn_round_reply;

/* ---- the machine ---- */

typedef struct syn_round syn_round;

/* Copies the config and its texts. `decider` may be NULL only in broadcast mode. Errors:
 * SYN_ERR_INVALID with the name of the field that is out of range, or of the cap that leaves no
 * room for a single call; SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_round_create(const syn_round_config *config,
                                            const syn_decider *decider, double now_s,
                                            syn_round **out);
void syn_round_destroy(syn_round *r);

/* A call has ended, well or not; unknown and late ids are ignored. An error is the end of the
 * collaboration, the same as syn_round_finished gives. */
SYN_WARN_UNUSED syn_status syn_round_call_done(syn_round *r, double now_s, uint32_t id,
                                               const syn_call_result *result);
/* Time has passed, or a pending decider is ready. */
SYN_WARN_UNUSED syn_status syn_round_tick(syn_round *r, double now_s);

/* The next call to make, false when there is none. The caller makes them in parallel. */
bool syn_round_next_call(syn_round *r, syn_round_call *out);
/* The next notice in order, false when there is none. Its texts live as long as the round. */
bool syn_round_next_notice(syn_round *r, syn_notice *out);

/* True at the end; calls still open are to be cancelled. *st: SYN_OK with a reply; SYN_ERR_NETWORK
 * when no agent answered, SYN_ERR_LIMIT when the deadline came before the first answer, or the
 * decider's own failure. The sentence stands in the last notice, of type ERROR. */
bool syn_round_finished(const syn_round *r, syn_status *st);
/* When a tick is due at the latest. */
double syn_round_wake_s(const syn_round *r);
/* The reply, complete once finished with SYN_OK; NULL before. Lives as long as the round. */
const syn_round_reply *syn_round_result(const syn_round *r);

#endif
