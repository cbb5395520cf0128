/* What the user of a MultiWOZ dialogue wants, from its member "goal". */
#ifndef SYN_DATASETS_GOAL_H
#define SYN_DATASETS_GOAL_H

#include "datasets/json_read.h"
#include "datasets/question.h"
#include "kernels/base/arena.h"

enum { SYN_GOAL_SLOTS_MAX = 64, SYN_GOAL_DOMAINS_MAX = 16, SYN_GOAL_MESSAGES_MAX = 64 };

/* Reads {domain: {} or {info, reqt, book, ...}, topic, message} into the arena; domains without
 * anything and members that are no text are left out, sentences lose their markup. False: a fault
 * of the reader, or of the arena. */
bool syn_goal_read(syn_json *j, syn_arena *arena, syn_task_turn *out);

#endif
