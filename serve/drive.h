/* Runs one collaboration to its end on the calling thread. */
#ifndef SYN_SERVE_DRIVE_H
#define SYN_SERVE_DRIVE_H

#include "serve/llm.h"
#include "serve/round.h"

/* Makes the round's calls through `llm`, or with extractive agents where it is NULL, and hands
 * every notice to `notice` (may be NULL) as it comes. The round must have been created with the
 * time of syn_clock_s. Returns what syn_round_finished does. */
SYN_WARN_UNUSED syn_status syn_round_drive(syn_round *r, syn_llm *llm,
                                           void (*notice)(void *user, const syn_notice *n),
                                           void *user);

#endif
