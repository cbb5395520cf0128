/* Texts and numbers on a report's page. Streams are of memory: their errors show at the close. */
#ifndef SYN_BENCHMARKS_REPORT_FORMAT_H
#define SYN_BENCHMARKS_REPORT_FORMAT_H

#include <stdbool.h>
#include <stdio.h>

enum {
    SYN_NUMBER_TEXT = 32,
    SYN_SHOWN_MAX = 400 /* bytes of one text that are shown */
};

/* A text that nobody vouches for, as HTML or XML: markup is escaped, control characters and broken
 * UTF-8 become U+FFFD, and what is longer than SYN_SHOWN_MAX ends in an ellipsis. */
void syn_html_text(FILE *f, const char *text);

/* The same as a cell of a Markdown table. */
void syn_markdown_text(FILE *f, const char *text);

/* A field of CSV (RFC 4180; lines end in \n): a text, quoted where it must be; a comma and a
 * number, or nothing behind it where it is not finite. */
void syn_csv_text(FILE *f, const char *text);
void syn_csv_number(FILE *f, double x);

/* Four significant digits: "13.52", "0.0123", "3.1e-5", "120.8k", "2.4M"; "-" for what is no
 * number. Returns out. */
const char *syn_number_text(double x, char out[SYN_NUMBER_TEXT]);

/* For an axis with ticks every `step`: as many decimals as tell them apart. */
const char *syn_tick_text(double x, double step, char out[SYN_NUMBER_TEXT]);

bool syn_ends_with(const char *text, const char *end);

/* "2026-01-31 12:00:00 UTC" */
const char *syn_time_text(double seconds, char out[SYN_NUMBER_TEXT]);

#endif
