#include "benchmarks/report_format.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <utf8proc.h>

/* The next character, or U+FFFD for what is none or must not be in a page; *at moves behind it. */
static int32_t next_character(const char *text, size_t bytes, size_t *at)
{
    utf8proc_int32_t c = -1;
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text + *at, (utf8proc_ssize_t)(bytes - *at), &c);
    *at += n > 0 ? (size_t)n : 1;
    if (n <= 0 || (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7F && c < 0xA0) ||
        (c & 0xFFFE) == 0xFFFE)
        return 0xFFFD;
    return c;
}

static void put_character(FILE *f, int32_t c)
{
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t n = utf8proc_encode_char(c, bytes);
    fwrite(bytes, 1, (size_t)n, f);
}

/* escape: the replacement of a character, or NULL. */
static void put_text(FILE *f, const char *text, const char *(*escape)(int32_t))
{
    const size_t bytes = strlen(text);
    for (size_t at = 0; at < bytes;) {
        if (at >= SYN_SHOWN_MAX) {
            fputs("\u2026", f);
            return;
        }
        const int32_t c = next_character(text, bytes, &at);
        const char *instead = escape(c);
        if (instead) {
            fputs(instead, f);
        } else {
            put_character(f, c);
        }
    }
}

static const char *html_escape(int32_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static const char *markdown_escape(int32_t c)
{
    switch (c) {
    case '|':
        return "\\|";
    case '\n':
    case '\t':
        return " ";
    case '<':
        return "&lt;";
    case '&':
        return "&amp;";
    case '\\':
        return "\\\\";
    case '`':
        return "\\`";
    case '[':
        return "\\[";
    default:
        return NULL;
    }
}

void syn_html_text(FILE *f, const char *text)
{
    put_text(f, text, html_escape);
}

void syn_markdown_text(FILE *f, const char *text)
{
    put_text(f, text, markdown_escape);
}

void syn_csv_text(FILE *f, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

void syn_csv_number(FILE *f, double x)
{
    fputc(',', f);
    if (isfinite(x)) fprintf(f, "%.10g", x);
}

/* "3.1e-05" -> "3.1e-5" */
static void trim_exponent(char *text)
{
    char *e = strchr(text, 'e');
    if (!e || !e[1]) return;
    char *digits = e + 2, *first = digits + strspn(digits, "0");
    memmove(digits, first, strlen(first) + 1);
}

const char *syn_number_text(double x, char out[SYN_NUMBER_TEXT])
{
    const double a = fabs(x);
    if (!isfinite(x)) {
        strcpy(out, "-");
    } else if (a >= 1e12) {
        snprintf(out, SYN_NUMBER_TEXT, "%.3g", x);
    } else if (a >= 999950) {
        snprintf(out, SYN_NUMBER_TEXT, "%.4gM", x / 1e6);
    } else if (a >= 9999.5) {
        snprintf(out, SYN_NUMBER_TEXT, "%.4gk", x / 1e3);
    } else {
        snprintf(out, SYN_NUMBER_TEXT, a < 1e-3 ? "%.3g" : "%.4g", x);
    }
    trim_exponent(out);
    return out;
}

const char *syn_tick_text(double x, double step, char out[SYN_NUMBER_TEXT])
{
    const double a = fabs(x);
    if (a < step * 1e-6) {
        strcpy(out, "0");
    } else if (step < 1e-3) { /* "8e-4" */
        const int e = (int)floor(log10(a) + 1e-9);
        snprintf(out, SYN_NUMBER_TEXT, "%.4ge%d", x / pow(10, e), e);
        return out;
    } else if (a >= 1e12) {
        snprintf(out, SYN_NUMBER_TEXT, "%.4g", x);
    } else if (a >= 1e6) {
        snprintf(out, SYN_NUMBER_TEXT, "%.6gM", x / 1e6);
    } else if (a >= 1e4 || (a >= 1e3 && step >= 1e3)) {
        snprintf(out, SYN_NUMBER_TEXT, "%.6gk", x / 1e3);
    } else {
        const int decimals = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
        snprintf(out, SYN_NUMBER_TEXT, "%.*f", decimals, x);
    }
    trim_exponent(out);
    return out;
}

const char *syn_time_text(double seconds, char out[SYN_NUMBER_TEXT])
{
    const time_t t = (time_t)seconds;
    struct tm parts;
    gmtime_r(&t, &parts);
    strftime(out, SYN_NUMBER_TEXT, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return out;
}

bool syn_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}
