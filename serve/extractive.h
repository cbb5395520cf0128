/* Agents without a language model: they answer with words of the items they hold, and say so.
 *
 * An extractive agent looks for up to three linked sentences that together cover the question's
 * words (weighted by idf among its own sentences), and in them for a span of the kind that is asked
 * for: a name that the question does not have, a day or year, a number, a role, a nationality, one
 * of two alternatives, yes or no. Of several names it prefers the one that its items call what is
 * asked for ("the harbour town of X" for "which town"), near the words that say what is asked, and
 * not the name that only leads from one sentence to the next; where the items say that its best
 * name is of another sort, it says that it does not know. It understands nothing: paraphrase,
 * negation inside clauses and arithmetic are beyond it, and its confidence is no more than how much
 * of the question its sentences cover. Deterministic. */
#ifndef SYN_SERVE_EXTRACTIVE_H
#define SYN_SERVE_EXTRACTIVE_H

#include "serve/round.h"

/* The reply to an ANSWER or FINAL call, as the JSON text that the prompt asks for; free() it. For
 * FINAL the best of its own reading of the asker's items and of the team's answers by weight.
 * Errors: SYN_ERR_MEMORY; SYN_ERR_UNSUPPORTED for PARTITION. */
SYN_WARN_UNUSED syn_status syn_extractive_reply(const syn_round_call *call, char **out);

#endif
