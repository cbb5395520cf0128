/* Texts as files of a format: what the loaders make of them, and how they refuse them. */
#ifndef SYN_TESTS_DATASETS_LOADED_H
#define SYN_TESTS_DATASETS_LOADED_H

#include "tests/datasets/helpers.h"

#include "engine/text.h"

/* Loads a text as a file of this format. */
static inline syn_status load_text(const char *format, const char *text, syn_dataset *ds)
{
    *ds = (syn_dataset){0};
    return syn_dataset_read_json(ds, format, text_write("in.json", text));
}

static inline void assert_refused(const char *format, const char *text, const char *words)
{
    syn_dataset ds;
    assert_fails(load_text(format, text, &ds), SYN_ERR_FORMAT, words);
    assert_non_null(strstr(syn_error_text(), "in.json"));
    assert_null(ds.records);
    assert_int_equal(ds.record_count, 0);
}

/* The tokens of ds from `at` on are exactly those of this text's words, whatever the flags. */
static inline void assert_words(const syn_dataset *ds, int64_t at, int count, const char *text)
{
    uint32_t tokens[64];
    size_t n;
    syn_text_tokenise(text, strlen(text), tokens, 64, &n);
    assert_int_equal(n, count);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ds->tokens[at + (int64_t)i] & SYN_TOKEN_HASH, tokens[i] & SYN_TOKEN_HASH);
}

#endif
