/* The orchestrator's request, as text: a question, who holds what, what has been done since. And
 * the decision as the reply.
 *
 *     {"question": "...", "agents": [{"items": [{"id", "title", "text"}]}, ...],
 *      "history": [{"action": "send", "from": 1, "to": 2, "item": "3"}], "goal": "asker",
 *      "max_turns": 12, "min_turns": 0}
 *
 * Agents count from 1; agent 1 is the asker. Items of the same title and text are one item, which
 * several agents may hold. An item's id is its number among all items of the request, from 1, where
 * it has none of its own. goal: "asker" or "consensus"; max_turns: twice the number of items, by
 * default; min_turns: 0.
 *
 * As long as any item can still be sent, ANSWER is legal after min_turns actions, and ABSTAIN after
 * these, and after one at least: whoever has asked nobody cannot say that nobody knows. For
 * consensus ABSTAIN is never legal, as in a collaboration. In the last of max_turns only an end is.
 * history, oldest first: "send" from, to, item; "request" from (who asks), to (who replies), item;
 * "broadcast" from, item. Nothing is kept between requests. */
#ifndef SYN_SERVE_INFERENCE_TEAM_H
#define SYN_SERVE_INFERENCE_TEAM_H

#include <jansson.h>

#include "kernels/base/arena.h"
#include "serve/round.h"

enum { SYN_INFERENCE_HISTORY_MAX = 128 };

typedef struct syn_inference_team {
    syn_team team; /* before the first action of the history, then after each that was played */
    syn_decision *history;
    int history_count;
    int turns_min;
    syn_team_turn *turns;
    syn_arena arena; /* all texts */
} syn_inference_team;

/* text (bytes): JSON. Errors name the member and repeat nothing of the request: SYN_ERR_FORMAT,
 * SYN_ERR_INVALID, SYN_ERR_MEMORY. Empty on an error. */
SYN_WARN_UNUSED syn_status syn_inference_team_read(const char *text, size_t bytes,
                                                   syn_inference_team *out);
void syn_inference_team_free(syn_inference_team *t);

/* Plays the next action of the history, which there is. SYN_ERR_INVALID: it is not legal. */
SYN_WARN_UNUSED syn_status syn_inference_team_play(syn_inference_team *t);

/* {"action", "from", "to", "item", "probability", "gaps", "sufficiency", "policy"}: from, to and
 * item are null where the action has none. A new reference; NULL: out of memory. */
json_t *syn_inference_team_decision(const syn_inference_team *t, const syn_decision *decision,
                                    const syn_team_gaps *seen, const char *policy);

#endif
