#include "datasets/json_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "kernels/base/bytes16.h"

void syn_json_begin(syn_json *j, const char *bytes, size_t count)
{
    j->begin = j->at = bytes;
    j->end = bytes + count;
    j->scratch_used = 0;
    j->depth = 0;
    j->fault_at = NULL;
    j->fault[0] = '\0';
}

void syn_json_free(syn_json *j)
{
    free(j->scratch);
    *j = (syn_json){0};
}

bool syn_json_fault(syn_json *j, const char *at, const char *fmt, ...)
{
    if (j->fault_at) return false;
    j->fault_at = at;
    va_list args;
    va_start(args, fmt);
    vsnprintf(j->fault, sizeof j->fault, fmt, args);
    va_end(args);
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

char syn_json_peek(syn_json *j)
{
    if (j->fault_at) return 0;
    while (j->at < j->end && is_space(*j->at)) j->at++;
    return j->at < j->end ? *j->at : 0;
}

/* Says what stands at j->at instead of what was expected. */
static bool unexpected(syn_json *j, const char *expected)
{
    if (j->at >= j->end) return syn_json_fault(j, j->at, "ends where %s is expected", expected);
    unsigned char c = (unsigned char)*j->at;
    if (c >= 0x20 && c < 0x7f)
        return syn_json_fault(j, j->at, "'%c' where %s is expected", c, expected);
    return syn_json_fault(j, j->at, "byte 0x%02x where %s is expected", c, expected);
}

/* A place for the decoded form of what is left of the input. It is made once per value, as large as
 * the value, since slices point into it. */
static char *scratch_at(syn_json *j)
{
    size_t bytes = (size_t)(j->end - j->begin);
    if (j->scratch_used == 0 && j->scratch_max < bytes) {
        free(j->scratch);
        j->scratch = malloc(bytes);
        j->scratch_max = j->scratch ? bytes : 0;
    }
    return j->scratch ? j->scratch + j->scratch_used : NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t code = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Decodes the \u escape whose 'u' is at *at, one or two of them for a surrogate pair, and appends
 * it; *at is moved behind it. */
static bool unicode_escape(syn_json *j, const char **at, char **out)
{
    const char *start = *at - 1;
    int32_t code = hex4(*at + 1, j->end);
    if (code < 0) return syn_json_fault(j, start, "\\u is not followed by four hexadecimal digits");
    *at += 5;
    if (code == 0) return syn_json_fault(j, start, "\\u0000 is not allowed in a text");
    if (code >= 0xD800 && code <= 0xDFFF) {
        int32_t low = -1;
        if (code < 0xDC00 && j->end - *at >= 2 && (*at)[0] == '\\' && (*at)[1] == 'u')
            low = hex4(*at + 2, j->end);
        if (low < 0xDC00 || low > 0xDFFF)
            return syn_json_fault(j, start, "\\u%04x is half a surrogate pair", (unsigned)code);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *at += 6;
    }
    *out += utf8proc_encode_char(code, (utf8proc_uint8_t *)*out);
    return true;
}

/* Decodes the escape at *at (a backslash). */
static bool escape_decode(syn_json *j, const char **at, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *letter = *at + 1;
    if (letter < j->end && *letter == 'u') {
        *at = letter;
        return unicode_escape(j, at, out);
    }
    const char *found = letter < j->end && *letter ? strchr(from, *letter) : NULL;
    if (!found) return syn_json_fault(j, *at, "an unknown escape in a text");
    *(*out)++ = to[found - from];
    *at += 2;
    return true;
}

/* Passes over ASCII but for quotes, backslashes and control characters. */
static const char *ascii_run(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        const syn_bytes16 b = syn_bytes16_load(at);
        const size_t plain = syn_bytes16_first(
            (syn_bytes16)(b - (unsigned char)0x20 >= (unsigned char)0x60) |
            (syn_bytes16)(b == (unsigned char)'"') | (syn_bytes16)(b == (unsigned char)'\\'));
        if (plain < 16) return at + plain;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

/* Passes over plain characters; stops at a quote, a backslash or a fault. */
static const char *plain_run(syn_json *j, const char *at)
{
    for (;;) {
        at = ascii_run(at, j->end);
        if (at == j->end) {
            syn_json_fault(j, at, "ends inside a text");
            return NULL;
        }
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') return at;
        if (c < 0x20) {
            syn_json_fault(j, at, "control character 0x%02x inside a text", c);
            return NULL;
        }
        utf8proc_int32_t code;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, j->end - at, &code);
        if (n <= 0) {
            syn_json_fault(j, at, "byte 0x%02x is not UTF-8", c);
            return NULL;
        }
        at += n;
    }
}

/* Reads the string whose opening quote is at j->at. */
static bool string_read(syn_json *j, syn_slice *out)
{
    const char *start = j->at + 1, *at = plain_run(j, start);
    if (!at) return false;
    if (*at == '"') {
        *out = (syn_slice){start, (size_t)(at - start)};
        j->at = at + 1;
        return true;
    }
    char *decoded = scratch_at(j), *to = decoded;
    if (!decoded) return syn_json_fault(j, start, "out of memory");
    for (;;) {
        memcpy(to, start, (size_t)(at - start));
        to += at - start;
        if (*at == '"') break;
        if (!escape_decode(j, &at, &to)) return false;
        start = at;
        at = plain_run(j, start);
        if (!at) return false;
    }
    *out = (syn_slice){decoded, (size_t)(to - decoded)};
    j->scratch_used += (size_t)(to - decoded);
    j->at = at + 1;
    return true;
}

bool syn_json_string(syn_json *j, const char *what, syn_slice *out)
{
    char c = syn_json_peek(j);
    if (j->fault_at) return false;
    if (c != '"') return syn_json_fault(j, j->at, "%s is not a text", what);
    return string_read(j, out);
}

static bool word_read(syn_json *j, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return unexpected(j, "a value");
    j->at += n;
    return true;
}

bool syn_json_bool(syn_json *j, const char *what, bool *out)
{
    char c = syn_json_peek(j);
    if (j->fault_at) return false;
    if (c != 't' && c != 'f') return syn_json_fault(j, j->at, "%s is not true or false", what);
    *out = c == 't';
    return word_read(j, *out ? "true" : "false");
}

static bool is_digit(const syn_json *j, const char *at)
{
    return at < j->end && *at >= '0' && *at <= '9';
}

static const char *digits_pass(const syn_json *j, const char *at)
{
    while (is_digit(j, at)) at++;
    return at;
}

/* Passes over a number; *integer is false when it has a fraction or an exponent. */
static bool number_read(syn_json *j, bool *integer)
{
    const char *at = j->at;
    *integer = true;
    if (*at == '-') at++;
    if (!is_digit(j, at)) return unexpected(j, "a value");
    at = *at == '0' ? at + 1 : digits_pass(j, at);
    if (is_digit(j, at)) return syn_json_fault(j, j->at, "a number with a leading zero");
    if (at < j->end && *at == '.') {
        *integer = false;
        if (!is_digit(j, at + 1)) return syn_json_fault(j, j->at, "a number that ends in a point");
        at = digits_pass(j, at + 1);
    }
    if (at < j->end && (*at == 'e' || *at == 'E')) {
        *integer = false;
        at++;
        if (at < j->end && (*at == '+' || *at == '-')) at++;
        if (!is_digit(j, at)) return syn_json_fault(j, j->at, "a number without its exponent");
        at = digits_pass(j, at);
    }
    j->at = at;
    return true;
}

bool syn_json_integer(syn_json *j, const char *what, int64_t *out)
{
    char c = syn_json_peek(j), text[24];
    if (j->fault_at) return false;
    const char *start = j->at;
    bool integer;
    if (c != '-' && !(c >= '0' && c <= '9'))
        return syn_json_fault(j, start, "%s is not a number", what);
    if (!number_read(j, &integer)) return false;
    size_t n = (size_t)(j->at - start);
    if (integer && n < sizeof text) {
        memcpy(text, start, n);
        text[n] = '\0';
        errno = 0;
        *out = strtoll(text, NULL, 10);
        if (errno == 0) return true;
    }
    return syn_json_fault(j, start, "%s is not a whole number of 64 bits", what);
}

static bool enter(syn_json *j, char bracket, const char *what, const char *type, int *index)
{
    char c = syn_json_peek(j);
    *index = -1;
    if (j->fault_at) return false;
    if (c != bracket) return syn_json_fault(j, j->at, "%s is not %s", what, type);
    if (++j->depth > SYN_JSON_DEPTH_MAX)
        return syn_json_fault(j, j->at, "nested deeper than %d", SYN_JSON_DEPTH_MAX);
    j->at++;
    return true;
}

/* Moves to the next member: false at the closing bracket, which is passed, or at a fault. */
static bool next(syn_json *j, char close, int *index)
{
    char c = syn_json_peek(j);
    if (j->fault_at) return false;
    if (c == close) {
        j->at++;
        j->depth--;
        return false;
    }
    if (*index >= 0) {
        if (c != ',') return unexpected(j, close == ']' ? "',' or ']'" : "',' or '}'");
        j->at++;
        syn_json_peek(j);
    }
    ++*index;
    return true;
}

bool syn_json_enter_list(syn_json *j, const char *what, int *index)
{
    return enter(j, '[', what, "a list", index);
}

bool syn_json_next_item(syn_json *j, int *index)
{
    return next(j, ']', index);
}

bool syn_json_enter_object(syn_json *j, const char *what, int *index)
{
    return enter(j, '{', what, "an object", index);
}

bool syn_json_next_key(syn_json *j, int *index, syn_slice *key)
{
    if (!next(j, '}', index)) return false;
    if (j->at >= j->end || *j->at != '"') return unexpected(j, "a key in quotes");
    if (!string_read(j, key)) return false;
    if (syn_json_peek(j) != ':') return j->fault_at ? false : unexpected(j, "':'");
    j->at++;
    return true;
}

bool syn_json_skip(syn_json *j)
{
    syn_slice text;
    bool integer;
    int index;
    char c = syn_json_peek(j);
    if (j->fault_at) return false;
    switch (c) {
    case '"': {
        size_t used = j->scratch_used;
        bool good = string_read(j, &text);
        j->scratch_used = used;
        return good;
    }
    case '{':
        if (!enter(j, '{', "", "", &index)) return false;
        while (syn_json_next_key(j, &index, &text))
            if (!syn_json_skip(j)) return false;
        return !j->fault_at;
    case '[':
        if (!enter(j, '[', "", "", &index)) return false;
        while (syn_json_next_item(j, &index))
            if (!syn_json_skip(j)) return false;
        return !j->fault_at;
    case 't':
        return word_read(j, "true");
    case 'f':
        return word_read(j, "false");
    case 'n':
        return word_read(j, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9')) return number_read(j, &integer);
        return unexpected(j, "a value");
    }
}

bool syn_json_finish(syn_json *j)
{
    syn_json_peek(j);
    if (j->fault_at) return false;
    return j->at == j->end || unexpected(j, "the end of the value");
}

syn_status syn_json_fail(const syn_json *j, const char *path)
{
    long long line = 1;
    for (const char *c = j->begin; c < j->fault_at; c++) line += *c == '\n';
    return syn_fail(SYN_ERR_FORMAT, "%s: line %lld: %s", path, line, j->fault);
}

bool syn_slice_equal(syn_slice s, const char *text)
{
    return strlen(text) == s.count && memcmp(text, s.bytes, s.count) == 0;
}

const char *syn_slice_text(syn_arena *a, syn_slice s)
{
    return syn_arena_text_n(a, s.bytes, s.count);
}
