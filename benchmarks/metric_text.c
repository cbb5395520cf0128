/* The official scripts' normaliser, with Python's Unicode. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "benchmarks/metric_text.h"

/* ---- Characters ---- */

int32_t syn_text_code(const char *text, size_t bytes, size_t *step)
{
    utf8proc_int32_t code;
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)bytes, &code);
    *step = n > 0 ? (size_t)n : 1;
    return n > 0 ? code : -1;
}

bool syn_text_is_space(int32_t code)
{
    if (code < 128) return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool syn_text_is_word(int32_t code)
{
    if (code < 128) {
        return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
               (code >= 'A' && code <= 'Z');
    }
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}

static bool is_punctuation(unsigned char c) /* string.punctuation */
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
}

/* ---- Lower case ---- */

/* What may stand between a sigma and the letters that decide about it. */
static bool is_case_ignorable(int32_t code)
{
    switch (code) {
    case '\'':
    case '.':
    case ':':
    case 0xB7:
    case 0x387:
    case 0x55F:
    case 0x5F4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xFE13:
    case 0xFE52:
    case 0xFE55:
    case 0xFF07:
    case 0xFF0E:
    case 0xFF1A:
        return true;
    default:
        break;
    }
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

static bool is_cased(int32_t code)
{
    /* Letters by use, not by category: ordinals, capitals in squares and circles. */
    if (code == 0xAA || code == 0xBA || (code >= 0x1F130 && code <= 0x1F149) ||
        (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189))
        return true;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return true;
    default:
        return utf8proc_tolower(code) != code || utf8proc_toupper(code) != code;
    }
}

/* A capital sigma ends a word: a letter before it, none behind it. */
static bool is_final_sigma(const char *text, size_t bytes, size_t at, size_t step)
{
    bool before = false;
    for (size_t i = at; i > 0;) {
        size_t begin = i - 1, n;
        while (begin > 0 && i - begin < 4 && ((unsigned char)text[begin] & 0xC0) == 0x80) begin--;
        const int32_t code = syn_text_code(text + begin, i - begin, &n);
        if (code < 0) break;
        if (!is_case_ignorable(code)) {
            before = is_cased(code);
            break;
        }
        i = begin;
    }
    if (!before) return false;
    for (size_t i = at + step, n; i < bytes; i += n) {
        const int32_t code = syn_text_code(text + i, bytes - i, &n);
        if (code >= 0 && is_case_ignorable(code)) continue;
        return code < 0 || !is_cased(code);
    }
    return true;
}

size_t syn_text_lower(const char *text, size_t bytes, char *out)
{
    enum { DOTTED_CAPITAL_I = 0x130, COMBINING_DOT = 0x307, SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2 };
    utf8proc_uint8_t *o = (utf8proc_uint8_t *)out;
    for (size_t i = 0, step; i < bytes; i += step) {
        const unsigned char c = (unsigned char)text[i];
        step = 1;
        if (c < 128) {
            *o++ = c >= 'A' && c <= 'Z' ? c + 32 : c;
            continue;
        }
        const int32_t code = syn_text_code(text + i, bytes - i, &step);
        if (code < 0) {
            *o++ = c;
        } else if (code == DOTTED_CAPITAL_I) {
            *o++ = 'i';
            o += utf8proc_encode_char(COMBINING_DOT, o);
        } else if (code == SIGMA && is_final_sigma(text, bytes, i, step)) {
            o += utf8proc_encode_char(FINAL_SIGMA, o);
        } else {
            o += utf8proc_encode_char(utf8proc_tolower(code), o);
        }
    }
    *o = 0;
    return (size_t)((char *)o - out);
}

/* ---- Answers ---- */

static bool is_article(const char *word, size_t bytes)
{
    return (bytes == 1 && word[0] == 'a') || (bytes == 2 && !memcmp(word, "an", 2)) ||
           (bytes == 3 && !memcmp(word, "the", 3));
}

static size_t delete_punctuation(char *text, size_t bytes)
{
    size_t kept = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (!is_punctuation((unsigned char)text[i])) text[kept++] = text[i];
    }
    return kept;
}

/* Articles become blanks, and blanks one each between words; in place, since nothing grows. */
static size_t drop_articles(char *text, size_t bytes)
{
    size_t kept = 0;
    bool blank = false;
    for (size_t i = 0, step; i < bytes;) {
        size_t end = i;
        bool space = false;
        while (end < bytes) { /* a run of letters and digits, or one other character */
            const int32_t code = syn_text_code(text + end, bytes - end, &step);
            const bool word = code >= 0 && syn_text_is_word(code);
            if (!word && end > i) break;
            if (!word) space = code >= 0 && syn_text_is_space(code);
            end += step;
            if (!word) break;
        }
        if (space || is_article(text + i, end - i)) {
            blank = true;
        } else {
            if (blank && kept > 0) text[kept++] = ' ';
            memmove(text + kept, text + i, end - i);
            kept += end - i;
            blank = false;
        }
        i = end;
    }
    text[kept] = 0;
    return kept;
}

static int by_bytes(const void *x, const void *y)
{
    const syn_slice *a = x, *b = y;
    const size_t n = a->count < b->count ? a->count : b->count;
    const int order = n ? memcmp(a->bytes, b->bytes, n) : 0;
    return order ? order : (a->count > b->count) - (a->count < b->count);
}

static syn_status split_words(syn_normal_answer *a)
{
    int64_t words = a->bytes > 0;
    for (size_t i = 0; i < a->bytes; i++) words += a->text[i] == ' ';
    if (words > a->tokens_max) {
        syn_slice *more = realloc(a->tokens, (size_t)words * sizeof *more);
        if (!more) return syn_fail(SYN_ERR_MEMORY, "out of memory for an answer's words");
        a->tokens = more;
        a->tokens_max = words;
    }
    a->token_count = 0;
    for (size_t i = 0; i < a->bytes;) {
        const char *end = memchr(a->text + i, ' ', a->bytes - i);
        const size_t n = end ? (size_t)(end - (a->text + i)) : a->bytes - i;
        a->tokens[a->token_count++] = (syn_slice){a->text + i, n};
        i += n + 1;
    }
    if (a->token_count > 1) qsort(a->tokens, (size_t)a->token_count, sizeof *a->tokens, by_bytes);
    return SYN_OK;
}

syn_status syn_normal_answer_read(syn_normal_answer *a, const char *text, size_t bytes)
{
    if (bytes > SYN_ANSWER_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "an answer has %zu bytes; at most %d are read", bytes,
                        SYN_ANSWER_BYTES_MAX);
    if (3 * bytes + 1 > a->text_max) {
        char *more = realloc(a->text, 3 * bytes + 1);
        if (!more) return syn_fail(SYN_ERR_MEMORY, "out of memory for an answer");
        a->text = more;
        a->text_max = 3 * bytes + 1;
    }
    a->bytes = syn_text_lower(text, bytes, a->text);
    a->bytes = delete_punctuation(a->text, a->bytes);
    a->bytes = drop_articles(a->text, a->bytes);
    return split_words(a);
}

void syn_normal_answer_free(syn_normal_answer *a)
{
    free(a->text);
    free(a->tokens);
    *a = (syn_normal_answer){0};
}

bool syn_normal_answer_equal(const syn_normal_answer *a, const syn_normal_answer *b)
{
    return a->bytes == b->bytes && (a->bytes == 0 || !memcmp(a->text, b->text, a->bytes));
}

int64_t syn_normal_answer_common(const syn_normal_answer *a, const syn_normal_answer *b)
{
    int64_t common = 0;
    for (int64_t i = 0, j = 0; i < a->token_count && j < b->token_count;) {
        const int order = by_bytes(&a->tokens[i], &b->tokens[j]);
        common += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return common;
}

/* The order of the operations is the scripts': the last bit of a sum depends on it. */
syn_overlap syn_normal_answer_overlap(const syn_normal_answer *prediction,
                                      const syn_normal_answer *reference)
{
    const int64_t common = syn_normal_answer_common(prediction, reference);
    if (common == 0) return (syn_overlap){0};
    const double precision = 1.0 * (double)common / (double)prediction->token_count;
    const double recall = 1.0 * (double)common / (double)reference->token_count;
    return (syn_overlap){(2 * precision * recall) / (precision + recall), precision, recall};
}

/* ---- Numbers ---- */

const char *syn_real_text(double x, char out[SYN_REAL_TEXT_MAX])
{
    int digits = 1;
    if (!isfinite(x)) {
        snprintf(out, SYN_REAL_TEXT_MAX, "%s", isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return out;
    }
    for (; digits < 17; digits++) {
        snprintf(out, SYN_REAL_TEXT_MAX, "%.*e", digits - 1, x);
        if (strtod(out, NULL) == x) break;
    }
    snprintf(out, SYN_REAL_TEXT_MAX, "%.*e", digits - 1, x);
    const int exponent = atoi(strchr(out, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        const int decimals = digits - 1 - exponent;
        snprintf(out, SYN_REAL_TEXT_MAX, "%.*f", decimals > 1 ? decimals : 1, x);
    }
    return out;
}
