/* English text cut into sentences. */
#ifndef SYN_DATASETS_SENTENCES_H
#define SYN_DATASETS_SENTENCES_H

#include "datasets/json_read.h"

/* The next sentence of text at *at (a byte, 0 at first), which is moved behind it; no bytes at the
 * end. A sentence ends at a line that is blank, and at '.', '!' or '?' with the quotes and brackets
 * that close behind it, when blanks and no small letter follow; not behind an abbreviation that a
 * name or number usually follows ("Mr.", "No."), nor behind a single capital ("J. Smith").
 * Sentences do not overlap, are trimmed of blanks and hold a letter or digit each; what lies
 * between two is blank or punctuation. */
syn_slice syn_sentence_next(syn_slice text, size_t *at);

#endif
