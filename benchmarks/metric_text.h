/* The normaliser that the official scripts of HotpotQA and CoQA share with SQuAD: lower case, ASCII
 * punctuation deleted, the articles a, an and the replaced by a blank, blanks collapsed; as Python
 * 3 does it on Unicode text: full lower-casing (the final sigma, the dotted capital I), word
 * boundaries between letters or digits and the rest, and all that str.isspace() calls blank.
 *
 * Text is UTF-8; a byte that is no UTF-8 counts as a character of its own that is neither letter
 * nor blank. The same input gives the same bytes on every machine. Thread-safe: no state.
 * Source: Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", 2016. */
#ifndef SYN_BENCHMARKS_METRIC_TEXT_H
#define SYN_BENCHMARKS_METRIC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/json_read.h"
#include "kernels/base/status.h"

enum { SYN_ANSWER_BYTES_MAX = 1 << 20 }; /* of one answer */

/* A normalised answer. Zero it before its first use; it may be read again and again, and keeps its
 * memory until it is freed. */
typedef struct syn_normal_answer {
    char *text; /* NUL-terminated; words joined by one blank */
    size_t bytes;
    syn_slice *tokens; /* the words, sorted; slices of `text` */
    int64_t token_count;
    size_t text_max;
    int64_t tokens_max;
} syn_normal_answer;

/* Errors: SYN_ERR_LIMIT (longer than SYN_ANSWER_BYTES_MAX), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_normal_answer_read(syn_normal_answer *a, const char *text,
                                                  size_t bytes);
void syn_normal_answer_free(syn_normal_answer *a); /* safe on a zeroed one */

bool syn_normal_answer_equal(const syn_normal_answer *a, const syn_normal_answer *b);

/* How many words both have, each as often as the one that has it less often. */
int64_t syn_normal_answer_common(const syn_normal_answer *a, const syn_normal_answer *b);

typedef struct syn_overlap {
    double f1, precision, recall; /* in [0, 1]; all 0 where no word is common */
} syn_overlap;

syn_overlap syn_normal_answer_overlap(const syn_normal_answer *prediction,
                                      const syn_normal_answer *reference);

/* The parts that other metrics use, with Python's meaning of each. `code`: a Unicode code point. */
bool syn_text_is_space(int32_t code);
bool syn_text_is_word(int32_t code); /* \w without the underscore */

/* Writes text in lower case, at most 3 * bytes + 1 with the closing NUL; returns the bytes before
 * it. `out` must not overlap `text`. */
size_t syn_text_lower(const char *text, size_t bytes, char *out);

/* The code point at `text` (bytes >= 1) and in *step its length; an invalid byte gives -1 and 1. */
int32_t syn_text_code(const char *text, size_t bytes, size_t *step);

/* The shortest decimal text that reads back as x, as Python's repr() prints it. */
enum { SYN_REAL_TEXT_MAX = 32 };
const char *syn_real_text(double x, char out[SYN_REAL_TEXT_MAX]);

#endif
