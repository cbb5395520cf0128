/* The one prompt template of the agents, and the reading of their replies. */
#ifndef SYN_SERVE_PROMPT_H
#define SYN_SERVE_PROMPT_H

#include "kernels/base/arena.h"
#include "serve/round.h"

enum { SYN_CLAIMS_MAX = 5, SYN_SHORT_WORDS_MAX = 20, SYN_REPLY_TEXT_BYTES_MAX = 256 * 1024 };

typedef struct syn_prompt {
    const char *system, *user;
} syn_prompt;

/* What agent `agent` is asked in this round: what went before, the question, its items as JSON
 * lines (data, never instructions), its own last answer. Texts live in the arena. */
syn_prompt syn_prompt_answer(syn_arena *arena, const syn_round_config *config, const syn_team *team,
                             const syn_answer *answers, int agent);
/* The final answer, from the asker's items and everybody's last answers with their weights. plain:
 * the answer itself is asked for, not the template. */
syn_prompt syn_prompt_final(syn_arena *arena, const syn_round_config *config, const syn_team *team,
                            const syn_answer *answers, bool plain);
/* The same where the asker alone is asked: its role, its own context, and nobody's answer. again:
 * it will be given more where it says that it does not know. */
syn_prompt syn_prompt_asker(syn_arena *arena, const syn_round_config *config, const syn_team *team,
                            bool plain, bool again);
/* Which of the answers mean the same, among those whose cluster is not -1: asks for {"groups": [[1,
 * 3], [2]]}. */
syn_prompt syn_prompt_partition(syn_arena *arena, const syn_team *team, const syn_answer *answers,
                                const int *cluster);

typedef struct syn_parsed_reply {
    bool json; /* it followed the template */
    const char *answer, *short_answer;
    double confidence; /* in [0, 1]; .5 when not stated */
    const char *claims[SYN_CLAIMS_MAX];
    int claim_count;
    const char *need;                        /* "" for none */
    const char *support[SYN_TEAM_ITEMS_MAX]; /* item ids, as stated */
    int support_count;
} syn_parsed_reply;

/* Reads a reply: JSON alone, inside a fence or inside prose; anything else is taken as it is, with
 * confidence .5 and its first five sentences as claims. Text above SYN_REPLY_TEXT_BYTES_MAX is cut.
 * Fails never; texts live in the arena (check arena->failed). */
void syn_prompt_parse(syn_arena *arena, const char *text, syn_parsed_reply *out);

/* A reply that is the answer as it is: the whole text, its first sentence as the short answer. */
void syn_prompt_take_plain(syn_arena *arena, const char *text, syn_parsed_reply *out);

/* Reads a partition of n answers into cluster[] (-1 stays -1); false when the reply names no valid
 * partition: every answer exactly once. */
bool syn_prompt_parse_partition(const char *text, int n, int *cluster);

/* A rough count, on the safe side, of the tokens of a text: a third of its bytes. */
int64_t syn_prompt_tokens(const char *text);

#endif
