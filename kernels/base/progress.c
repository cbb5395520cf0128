#include "kernels/base/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/base/log.h"

enum { BAR_CELLS = 24 };
static const double quiet_s = 2.0, redraw_s = 0.2, line_every_s = 10.0;

double syn_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void syn_progress_begin(syn_progress *p, const char *label, const char *unit, int64_t total)
{
    const char *quiet = getenv("SYNCOG_QUIET"), *term = getenv("TERM");
    memset(p, 0, sizeof *p);
    p->label = label;
    p->unit = unit;
    p->total = total;
    p->started_s = syn_clock_s();
    p->shown_s = p->started_s;
    p->quiet = quiet && !strcmp(quiet, "1");
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

/* 950, 12.3k, 4.56M */
static void format_count(double value, char out[32])
{
    static const char *const suffixes[] = {"", "k", "M", "G", "T"};
    int i = 0;
    for (; value >= 9999.5 && i < 4; i++) value /= 1000;
    snprintf(out, 32,
             i == 0 && value >= 10 ? "%.0f%s"
             : value >= 100        ? "%.0f%s"
                                   : "%.3g%s",
             value, suffixes[i]);
}

static void format_seconds(double s, char out[32])
{
    if (!(s >= 0) || s > 359999) {
        snprintf(out, 32, "--:--");
        return;
    }
    int whole = (int)s;
    if (whole >= 3600) {
        snprintf(out, 32, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    } else {
        snprintf(out, 32, "%d:%02d", whole / 60, whole % 60);
    }
}

static void show(const syn_progress *p, int64_t done, double now, const char *note)
{
    char done_text[32], total_text[32], rate_text[32], left[32], line[512], bar[BAR_CELLS + 1];
    double spent = now - p->started_s, rate = spent > 0 ? (double)(done - p->before) / spent : 0;
    double share = p->total > 0 ? (double)done / (double)p->total : 0;
    format_count((double)done, done_text);
    format_count((double)p->total, total_text);
    format_count(rate, rate_text);
    format_seconds(rate > 0 ? (double)(p->total - done) / rate : -1, left);
    if (share > 1) share = 1;
    if (p->total > 0) {
        snprintf(line, sizeof line, "%3.0f%% %s/%s %s, %s/s, %s left", 100 * share, done_text,
                 total_text, p->unit, rate_text, left);
    } else {
        snprintf(line, sizeof line, "%s %s, %s/s", done_text, p->unit, rate_text);
    }
    const char *gap = *note ? "  " : "";
    if (!p->terminal) {
        syn_log(SYN_LOG_INFO, "%s %s%s%s", p->label, line, gap, note);
        return;
    }
    int filled = (int)(share * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR_CELLS] = 0;
    fprintf(stderr, "\r\033[K%s [%s] %s%s%s", p->label, p->total > 0 ? bar : "...", line, gap,
            note);
    fflush(stderr);
}

void syn_progress_update(syn_progress *p, int64_t done, const char *note, ...)
{
    if (p->quiet) return;
    double now = syn_clock_s();
    if (now - p->started_s < quiet_s) return;
    if (now - p->shown_s < (p->terminal ? redraw_s : line_every_s)) return;
    char text[256] = "";
    if (note) {
        va_list ap;
        va_start(ap, note);
        vsnprintf(text, sizeof text, note, ap);
        va_end(ap);
    }
    if (p->terminal && !p->shown) syn_log_over_bar(true);
    show(p, done, now, text);
    p->shown_s = now;
    p->shown = true;
}

void syn_progress_end(syn_progress *p)
{
    if (!p->shown) return;
    if (p->terminal) {
        syn_log_over_bar(false);
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
    char spent[32];
    format_seconds(syn_clock_s() - p->started_s, spent);
    syn_log(SYN_LOG_INFO, "%s took %s", p->label, spent);
    p->shown = false;
}
