/* English word stems: "starring", "starred" and "stars" are one word to everything that compares
 * texts. */
#ifndef SYN_ENGINE_STEM_H
#define SYN_ENGINE_STEM_H

#include <stddef.h>
#include <stdint.h>

/* The lower half of the XXH3 of the stem of a lower-case word (Snowball's English stemmer: Porter,
 * "Snowball: A language for stemming algorithms", 2001). Words with anything but a-z in them are
 * their own stems. A 64-bit hash of the word stands for it in a table of 4 MiB, one for each thread
 * that calls this, so that common words are stemmed once; it goes with its thread. Thread-safe. */
uint32_t syn_stem_hash(const unsigned char *word, size_t bytes);

enum { SYN_STEM_SHORT_BYTES = 16 };

/* A lower-case word of 1 to 16 bytes as two numbers: its bytes from the lowest on, then zeros. */
typedef struct syn_stem_word {
    uint64_t low, high;
} syn_stem_word;

/* The same of a short word in two steps, with those of others between them: what the first returns
 * is handed to the second, when the table's memory has come. */
uint64_t syn_stem_begin(syn_stem_word word);
uint32_t syn_stem_end(syn_stem_word word, uint64_t begun);

#endif
