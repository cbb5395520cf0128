/* Text to tokens.
 *
 * Tokens are runs of Unicode letters and digits, lower-cased (utf8proc), stemmed (engine/stem.h),
 * hashed with XXH3. One token is a uint32_t: 28 bits of hash and 4 flags, so that 90,000 records
 * fit in memory. Bytes that are not UTF-8 separate tokens and are otherwise ignored. Apostrophes
 * inside a word do not split it from its letters' run rule: "Shirley's" is "shirley", "s". */
#ifndef SYN_ENGINE_TEXT_H
#define SYN_ENGINE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"

enum {
    SYN_TOKEN_HASH = 0x0fffffff,
    SYN_TOKEN_CAPITAL = 0x10000000u,  /* first character is upper or title case */
    SYN_TOKEN_NUMBER = 0x20000000u,   /* begins with a digit */
    SYN_TOKEN_SENTENCE = 0x40000000u, /* first of a sentence */
    SYN_TOKEN_ADJACENT =
        (int)0x80000000u /* only blanks, '-', '\'' or '.' stand between it and the one before */
};

/* Appends at most `max` tokens of the text to `tokens`; *count receives how many there were (it
 * stops at max). The first token gets SYN_TOKEN_SENTENCE, and so does one after [.!?] and blanks.
 * Never fails on content. Thread-safe. */
void syn_text_tokenise(const char *utf8, size_t bytes, uint32_t *tokens, size_t max, size_t *count);

#endif
