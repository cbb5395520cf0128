/* The public C API: who should say what to whom, and when to stop.
 *
 * An engine is a trained model. A session is one question with its evidence pieces and the memory
 * of one collaboration. A team (syn_env, kernels/env_core.h) is the state that the caller keeps:
 * who holds what, who sent what to whom, the turn. The session looks at a team and scores it or
 * decides the next action, by the very functions that trained the model.
 *
 *     static syn_status ask(const char *dir)
 *     {
 *         const syn_document piece[] = {
 *             {"Ada Lovelace", "Ada Lovelace wrote notes on the Analytical Engine.", false},
 *             {"Analytical Engine", "The Analytical Engine was designed by Babbage.", false},
 *             {"Assam", "Tea is grown in Assam.", false},
 *         };
 *         const uint32_t holds[2] = {1u << 0, 1u << 1 | 1u << 2};
 *         syn_engine *engine = NULL;
 *         syn_session *session = NULL;
 *         syn_env team = {0};
 *         syn_action action;
 *         float gaps[2][2], sufficiency, probability;
 *         syn_status st;
 *         SYN_TRY(syn_engine_open(dir, NULL, &engine));
 *         SYN_TRY(syn_session_create(engine, "Who designed what Ada Lovelace wrote notes on?",
 *                                    piece, 3, &session));
 *         SYN_TRY(syn_session_begin(session, SYN_GOAL_ASKER, 2, holds, 6, &team));
 *         while (!team.done) {
 *             SYN_TRY(syn_session_observe(session, &team, gaps[0], &sufficiency));
 *             SYN_TRY(syn_session_decide(session, &team, NULL, true, &action, &probability, NULL));
 *             SYN_TRY(syn_session_apply(session, &team, &action));
 *             printf("action %d from %d to %d, piece %d (%.2f); sufficiency %.2f\n", action.kind,
 *                    action.from, action.to, action.piece, probability, sufficiency);
 *         }
 *     done:
 *         if (st != SYN_OK) fprintf(stderr, "%s\n", syn_error_text());
 *         syn_session_free(session);
 *         syn_engine_close(engine);
 *         return st;
 *     }
 *
 * Agents count from 0; agent 0 is the asker, who writes the answer. Pieces are rows, numbered as
 * they were given; a set of pieces is a mask with bit r for row r. N is team->agents, 2 to
 * SYN_AGENTS_MAX.
 *
 * Errors: every function that can fail returns a syn_status and leaves one sentence in
 * syn_error_text(), which belongs to the calling thread; outputs are then not written, and session
 * and team are as before. SYN_ERR_INVALID: NULL where it is not allowed, or a team that contradicts
 * itself; SYN_ERR_LIMIT: too many or too long; SYN_ERR_FORMAT: text that is not UTF-8;
 * SYN_ERR_UNSUPPORTED: the model or this build cannot; SYN_ERR_MEMORY.
 *
 * Threads: an engine and all of its sessions are used by one thread at a time; threads that score
 * side by side open an engine each. Calls switch the calling thread's floating-point unit to flush
 * denormal numbers, and set its number of OpenMP threads. Texts are copied: the caller's may go
 * after a call. All results are deterministic, for one number of threads to the bit. */
#ifndef SYN_ENGINE_SYNCOG_H
#define SYN_ENGINE_SYNCOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"
#include "kernels/env_core.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SYN_DOCUMENT_BYTES_MAX = 64 * 1024, /* text of a piece */
    SYN_TITLE_BYTES_MAX = 4 * 1024,
    SYN_QUESTION_BYTES_MAX = 32 * 1024,
    SYN_TURNS_MAX = 255, /* turns of a team */
    SYN_CKM_WIDTH = 256  /* numbers in a collaborator knowledge vector */
};

typedef struct syn_engine syn_engine;
typedef struct syn_session syn_session;

/* "0.1.0" */
const char *syn_version(void);

/* ---- Engine ---- */

typedef struct syn_engine_config {
    size_t size;        /* sizeof(syn_engine_config) */
    const char *device; /* NULL or "auto", "cpu", "cuda"; teams are scored on the CPU: "cuda" is
                           SYN_ERR_UNSUPPORTED */
    int threads;        /* 0: one, which is fastest for one team; at most 1024 */
    uint64_t seed;      /* of decisions that are drawn */
} syn_engine_config;

#define SYN_ENGINE_CONFIG_DEFAULT ((syn_engine_config){sizeof(syn_engine_config), NULL, 0, 1})

typedef struct syn_engine_info {
    bool decides; /* it has a trained policy; otherwise it observes only */
    bool central; /* it was trained to see features of all pieces present, not only of those sent */
    int64_t parameters;
} syn_engine_info;

/* Opens the checkpoint in folder `dir` (defined in checkpoints/, with which a program links).
 * config NULL: the default. Errors: those of the checkpoint (SYN_ERR_IO, SYN_ERR_FORMAT), a model
 * without perception (SYN_ERR_UNSUPPORTED). One opening at a time in a process: HDF5 is not
 * thread-safe. */
SYN_WARN_UNUSED syn_status syn_engine_open(const char *dir, const syn_engine_config *config,
                                           syn_engine **out);
/* NULL is allowed. The memory goes when the last of its sessions is freed. */
void syn_engine_close(syn_engine *engine);

SYN_WARN_UNUSED syn_status syn_engine_describe(const syn_engine *engine, syn_engine_info *out);

/* ---- Session: a question, its pieces, the memory of a collaboration ---- */

typedef struct syn_document {
    const char *title; /* NULL or "": none */
    const char *text;  /* UTF-8, may be "" */
    bool claim;        /* one sentence that an agent said, not a document */
} syn_document;

/* question: UTF-8 with at least one word. pieces: 1 to SYN_ROWS_MAX of them, row r is pieces[r]. */
SYN_WARN_UNUSED syn_status syn_session_create(syn_engine *engine, const char *question,
                                              const syn_document *pieces, int count,
                                              syn_session **out);
void syn_session_free(syn_session *session); /* NULL is allowed */

/* Replaces the rows: claims come and go. The memory of the collaboration stays. Whoever calls it
 * renumbers masks, items and last.piece of his team; the next look is afresh. */
SYN_WARN_UNUSED syn_status syn_session_pieces(syn_session *session, const syn_document *pieces,
                                              int count);

/* ---- Teams ----
 *
 * Scores and decisions read these fields of a team: agents, turn, turns_max, messages, deliveries,
 * goal, present, claims, memory, own, sent, count, item, giver, arrived, last. The others (task,
 * gold, stratum, done, success, episode_return, changed) are not looked at. What is new since the
 * last look, the session finds out by itself: after one turn it brings up to date those to whom
 * something was delivered, as in training; a team that differs in any other way is looked at
 * afresh.
 *
 * A team made by hand: memset to 0, agents, goal, turns_max, present (rows that exist), claims
 * (rows that are claims) and own; then, in order of arrival, turn = t and syn_env_receive(team, i,
 * row, giver), which fills memory, count, item, giver (the agent itself for its own) and arrived;
 * then sent, messages, deliveries, turn, last, whose piece may have gone since. A new
 * collaboration has turn 0 and last.kind SYN_NO_ACTION with from, to, piece -1. Turn 0 is what
 * clears the memory of the session. */

/* An opening: agent i has read the rows of holds[i] (N masks; rows may be held by several). present
 * is all rows of the session, claims are those given as claims. team is overwritten.
 * Errors: SYN_ERR_INVALID for 1 or 11 agents, a mask with rows that the session does not have, or
 * turns_max outside 1 to SYN_TURNS_MAX. */
SYN_WARN_UNUSED syn_status syn_session_begin(const syn_session *session, syn_goal goal, int agents,
                                             const uint32_t *holds, int turns_max, syn_env *team);

/* gaps (N, N), row-major: [i][i] is the probability that agent i lacks something it needs, [i][j]
 * that j holds something that i lacks; calibrated. sufficiency: 1 - gap of the asker, for goal
 * consensus the mean of 1 - gap over the N/2 + 1 agents that lack least. Either may be NULL. */
SYN_WARN_UNUSED syn_status syn_session_observe(syn_session *session, const syn_env *team,
                                               float *gaps, float *sufficiency);

/* ckm (N, SYN_CKM_WIDTH): what each agent knows, as a vector. */
SYN_WARN_UNUSED syn_status syn_session_ckm(syn_session *session, const syn_env *team, float *ckm);

/* relevance (N, rows of the session): the probability that a piece supports the answer, as judged
 * by what agent i knows; 0 for rows that are not present. */
SYN_WARN_UNUSED syn_status syn_session_relevance(syn_session *session, const syn_env *team,
                                                 float *relevance);

/* The next action. mask (SYN_ACTIONS_MAX) or NULL: 0 forbids an action (syn_action_index) beside
 * the illegal ones. greedy: the most probable action, else one is drawn. *out: kind, from, to and
 * the row that moves (piece; -1 for ANSWER and ABSTAIN). probability: of this action among the
 * allowed ones, or NULL. all (SYN_ACTIONS_MAX), 0 where not allowed, or NULL. Nothing allowed:
 * SYN_NO_ACTION with probability 1.
 *
 * The memory takes one step per turn: a second decision in the same turn (another mask) starts from
 * the memory before it, a decision at turn 0 from none. Decide, or decide and discard, once in each
 * turn that is played. SYN_ERR_UNSUPPORTED: the model has no trained policy. */
SYN_WARN_UNUSED syn_status syn_session_decide(syn_session *session, const syn_env *team,
                                              const uint8_t *mask, bool greedy, syn_action *out,
                                              float *probability, float *all);

/* Plays one turn: moves the piece, counts messages (REQUEST: two) and deliveries, sets last, and
 * done at ANSWER, ABSTAIN or when turns_max is reached. SYN_NO_ACTION is a turn without anything.
 * action->piece -1 for a move: the piece the session ranks highest. SYN_ERR_INVALID when the move
 * is not legal or the team is done. */
SYN_WARN_UNUSED syn_status syn_session_apply(syn_session *session, syn_env *team,
                                             const syn_action *action);

/* ---- In one call ---- */

typedef struct syn_agent_text {
    const syn_document *pieces; /* what the agent holds; may be NULL when count is 0 */
    int count;
} syn_agent_text;

typedef struct syn_team_text {
    const char *question;
    const syn_agent_text *agent; /* (agents): holdings at the opening */
    int agents;
    syn_goal goal;
    int turns_max;             /* 0: twice the number of rows */
    const syn_action *history; /* what has been done since, oldest first; may be NULL */
    int history_count;
} syn_team_text;

/* A session and its team from texts. Pieces with the same title and text are one row; rows are
 * numbered as they first occur, over agents in order. The actions of the history name rows, and are
 * played with the memory following when the model decides. row (sum of the agents' counts) or NULL:
 * the row of each piece given. At most SYN_ROWS_MAX different pieces, at least one. */
SYN_WARN_UNUSED syn_status syn_session_create_team(syn_engine *engine, const syn_team_text *text,
                                                   syn_session **out, syn_env *team, int *row);

/* Scores a team once: gaps, sufficiency and ckm as above, each may be NULL. */
SYN_WARN_UNUSED syn_status syn_engine_score(syn_engine *engine, const syn_team_text *text,
                                            float *gaps, float *sufficiency, float *ckm);

/* relevance (count): the probability that each piece supports the answer, seen beside all others.
 */
SYN_WARN_UNUSED syn_status syn_engine_rank(syn_engine *engine, const char *question,
                                           const syn_document *pieces, int count, float *relevance);

#ifdef __cplusplus
}
#endif
#endif
