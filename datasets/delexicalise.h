/* What a system turn of MultiWOZ says, with the values that its annotation marks replaced by the
 * names of their slots in mwzeval's brackets: "[restaurant_name] is on [restaurant_address]". */
#ifndef SYN_DATASETS_DELEXICALISE_H
#define SYN_DATASETS_DELEXICALISE_H

#include "datasets/dialogue.h"
#include "kernels/base/arena.h"

/* A copy in the arena. Marks that say where they are take precedence; of the others each replaces
 * the first place where its value stands as whole words and without case, long values first. Values
 * that say nothing of the world ("none", "yes", "dontcare") stay. `last` is the domain that acts of
 * "Booking" belong to, "" for none. "" when the arena has no more. */
const char *syn_delexicalise(syn_arena *arena, syn_slice text, const syn_mark *marks, int count,
                             const char *last);

/* The name of a slot in those brackets, without them; acts' and states' names are known ("Addr",
 * "restaurant-booktime"). A word of mwzeval's that has no such domain is written without it. */
const char *syn_delexicalised_name(syn_arena *arena, const char *domain, const char *slot);

#endif
