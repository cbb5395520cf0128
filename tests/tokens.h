/* Text written in a test, as the tokens that the program reads. */
#ifndef SYN_TESTS_TOKENS_H
#define SYN_TESTS_TOKENS_H

#include "engine/task.h"
#include "engine/text.h"
#include "tests/test.h"

enum { TOKENS_MAX = 1 << 16 };

/* Tokens of everything that has been written; only ever grows. */
static uint32_t tokens_all[TOKENS_MAX];
static size_t tokens_used;

/* The tokens of a text, valid until the test program ends. */
static inline const uint32_t *tokens_of(const char *text, int32_t *count)
{
    size_t n;
    const uint32_t *at = tokens_all + tokens_used;
    syn_text_tokenise(text, strlen(text), tokens_all + tokens_used, TOKENS_MAX - tokens_used, &n);
    assert_true(tokens_used + n < TOKENS_MAX);
    tokens_used += n;
    *count = (int32_t)n;
    return at;
}

static inline syn_piece_text piece_of(const char *title, const char *body)
{
    syn_piece_text p = {0};
    p.title = tokens_of(title, &p.title_count);
    p.body = tokens_of(body, &p.body_count);
    return p;
}

static inline uint32_t word_of(const char *word)
{
    int32_t n;
    const uint32_t *t = tokens_of(word, &n);
    assert_int_equal(n, 1);
    return t[0] & SYN_TOKEN_HASH;
}

/* Sets the idf of every word of the text. */
static inline void idf_set(syn_idf *idf, const char *words, float value)
{
    int32_t n;
    const uint32_t *t = tokens_of(words, &n);
    for (int32_t i = 0; i < n; i++) idf->value[t[i] & (SYN_IDF_BUCKETS - 1)] = value;
}

#endif
