#include "datasets/sentences.h"

#include <ctype.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_stop(char c)
{
    return c == '.' || c == '!' || c == '?';
}

/* Letters and digits of ASCII, and all that is not ASCII. */
static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Bytes of a closing quote or bracket at the beginning of s; 0: none. */
static size_t closing(const char *s, size_t n)
{
    static const char *const marks[] = {"\"",           "'",       ")", "]", "\xe2\x80\x9d",
                                        "\xe2\x80\x99", "\xc2\xbb"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t bytes = strlen(marks[i]);
        if (bytes <= n && memcmp(s, marks[i], bytes) == 0) return bytes;
    }
    return 0;
}

/* Is the word that ends before `dot` one that a name or number follows? */
static bool is_abbreviation(syn_slice text, size_t begin, size_t dot)
{
    static const char *const words[] = {"mr",  "mrs", "ms",   "dr", "prof", "rev", "gen",
                                        "col", "sgt", "capt", "lt", "gov",  "sen", "rep",
                                        "st",  "mt",  "vs",   "no", "fig",  "hon", "messrs"};
    size_t from = dot;
    while (from > begin && is_word(text.bytes[from - 1])) from--;
    const char *word = text.bytes + from;
    size_t n = dot - from;
    if (n == 1) return isupper((unsigned char)word[0]);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == n && isupper((unsigned char)word[0]) &&
            strncasecmp(words[i], word, n) == 0)
            return true;
    return false;
}

/* A line break with nothing but blanks up to the next one. */
static bool is_blank_line(syn_slice text, size_t at)
{
    if (text.bytes[at] != '\n') return false;
    for (at++; at < text.count && is_blank(text.bytes[at]); at++)
        if (text.bytes[at] == '\n') return true;
    return false;
}

/* Where the sentence ends that '.', '!' or '?' at `at` may close; 0 when it goes on. */
static size_t end_at(syn_slice text, size_t begin, size_t at)
{
    size_t dot = at, bytes;
    while (at < text.count && is_stop(text.bytes[at])) at++;
    bool plain = at == dot + 1 && text.bytes[dot] == '.';
    while ((bytes = closing(text.bytes + at, text.count - at))) at += bytes;
    if (at == text.count) return at;
    if (!is_blank(text.bytes[at])) return 0;
    if (plain && is_abbreviation(text, begin, dot)) return 0;
    size_t next = at;
    while (next < text.count && is_blank(text.bytes[next])) {
        if (is_blank_line(text, next)) return at;
        next++;
    }
    return next < text.count && islower((unsigned char)text.bytes[next]) ? 0 : at;
}

syn_slice syn_sentence_next(syn_slice text, size_t *at)
{
    const char *const bytes = text.bytes;
    size_t begin = *at, last = begin, i = begin; /* last: behind the last byte that is not blank */
    bool word = false;
    while (i < text.count) {
        size_t end = 0;
        if (is_blank_line(text, i)) {
            end = last;
        } else if (is_stop(bytes[i])) {
            end = end_at(text, begin, i);
            while (end == 0 && i + 1 < text.count && is_stop(bytes[i + 1])) i++;
        }
        if (end > begin && word) {
            *at = end;
            return (syn_slice){bytes + begin, end - begin};
        }
        if (end > begin) { /* punctuation alone is no sentence */
            begin = last = i = end;
            continue;
        }
        if (i == begin && is_blank(bytes[i])) {
            begin = last = ++i;
            continue;
        }
        word |= is_word(bytes[i]);
        if (!is_blank(bytes[i++])) last = i;
    }
    *at = text.count;
    return word ? (syn_slice){bytes + begin, last - begin} : (syn_slice){NULL, 0};
}
