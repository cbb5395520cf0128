/* English word stems: "starring", "starred" and "stars" are one word to everything that compares
 * texts. */
#ifndef SYN_ENGINE_STEM_H
#define SYN_ENGINE_STEM_H

#include <stddef.h>
#include <stdint.h>

/* The 64-bit hash of the stem of a lower-case word (Snowball's English stemmer: Porter, "Snowball:
 * A language for stemming algorithms", 2001). Words with anything but a-z in them are their own
 * stems. A hash of the word stands for it in a small table per thread, so that common words are
 * stemmed once. Thread-safe. */
uint64_t syn_stem_hash(const unsigned char *word, size_t bytes);

#endif
