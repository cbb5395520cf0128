/* Surface text: sentences, words with their place in the text, paragraphs, the normal form of a
 * short answer. What needs only tokens uses engine/text.h; this is for what quotes the text back.
 */
#ifndef SYN_SERVE_WORDS_H
#define SYN_SERVE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* English function words in strcmp order, NULL at the end. */
enum { SYN_FUNCTION_WORDS_MAX = 128 };
extern const char *const syn_function_words[];

typedef struct syn_word {
    uint32_t at, bytes; /* place in the text */
    uint32_t stem;      /* hash of the lower-cased word without a common English ending */
    uint32_t exact;     /* hash of the lower-cased word */
    bool capital;       /* begins with an upper-case letter */
    bool number;        /* begins with a digit */
    bool stop;          /* an English function word */
    bool joined;        /* only blanks, '-', '\'' or '.' stand between it and the word before */
} syn_word;

/* Finds at most `max` words; returns how many. Letters, digits and bytes above 127 (general
 * punctuation excepted) make a word; "Shirley's" is one word, "Shirley", and the 's is dropped. */
int syn_words(const char *text, size_t bytes, syn_word *words, int max);

/* The end of the sentence that begins at `at`, behind its closing punctuation: [.!?] and a blank or
 * the end, not after an initial or a common abbreviation; or an empty line. At most `bytes`. */
size_t syn_sentence_end(const char *text, size_t bytes, size_t at);

/* The number of words separated by blanks. */
int syn_word_count(const char *text, size_t bytes);
/* The length of the first `words` blank-separated words of the text, without trailing blanks. */
size_t syn_words_prefix(const char *text, int words);
/* The largest length <= bytes that does not cut a UTF-8 character. */
size_t syn_utf8_prefix(const char *text, size_t bytes);
/* The offset of the first byte that is not UTF-8, or -1. */
int64_t syn_utf8_fault(const char *text, size_t bytes);

/* SQuAD's normal form: lower case, ASCII punctuation deleted, a/an/the removed, blanks collapsed.
 * Writes at most max - 1 bytes and a NUL; returns the length. */
size_t syn_normal_form(const char *text, char *normal, size_t max);

#endif
