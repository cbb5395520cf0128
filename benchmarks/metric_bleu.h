/* Corpus BLEU-4 with one reference as sacreBLEU computes it by default: its "13a" tokeniser, case
 * kept, exponential smoothing of orders without a match, brevity penalty over the corpus.
 *
 * Counts are exact integers; the score differs from sacreBLEU's by less than 1e-12 of itself.
 * Not thread-safe on one object.
 * Source: Post, "A call for clarity in reporting BLEU scores", WMT 2018; Chen & Cherry 2014,
 * method 3. */
#ifndef SYN_BENCHMARKS_METRIC_BLEU_H
#define SYN_BENCHMARKS_METRIC_BLEU_H

#include "benchmarks/metric_text.h"

enum { SYN_BLEU_ORDER = 4 };

/* Zeroed: an empty corpus. */
typedef struct syn_bleu {
    int64_t matched[SYN_BLEU_ORDER], total[SYN_BLEU_ORDER];
    int64_t hypothesis_words, reference_words;
} syn_bleu;

/* Adds one segment; both texts are NUL-terminated UTF-8. Errors: SYN_ERR_LIMIT (longer than
 * SYN_ANSWER_BYTES_MAX), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_bleu_add(syn_bleu *b, const char *hypothesis, const char *reference);

/* 0 to 100; 0 for an empty corpus. */
double syn_bleu_score(const syn_bleu *b);
/* Of one segment alone, by the orders that it is long enough for (sacreBLEU's effective order). */
double syn_bleu_sentence(const syn_bleu *b);

/* The tokens of a segment, joined by one blank, for tests and for display; the caller frees it. */
SYN_WARN_UNUSED syn_status syn_bleu_tokens(const char *text, char **out);

#endif
