#include "benchmarks/report_chart.h"

#include <math.h>
#include <string.h>

#include "benchmarks/report_axis.h"
#include "benchmarks/report_format.h"

/* The drawing's units; the page scales it. */
enum {
    WIDTH = 520,
    HEIGHT = 240,
    LEFT = 50,
    RIGHT = 508,
    TOP = 14,
    BOTTOM = 204,
    SMOOTH_FROM = 80
};

typedef struct bin {
    double mean, min, max, count; /* count 0: no value */
} bin;

typedef struct drawing {
    const syn_chart *c;
    FILE *f;
    int bins;
    double x[SYN_CHART_BINS];
    bin bin[SYN_CHART_LINES_MAX][SYN_CHART_BINS];
    syn_axis sx, sy;
} drawing;

static double at(const syn_axis *s, double v)
{
    if (s->log) v = log10(v);
    const double t = (v - s->low) / (s->high - s->low);
    return s->from + fmin(fmax(t, -0.02), 1.02) * (s->to - s->from);
}

/* ---- Pooling ---- */

static bin pool(const double *y, int64_t from, int64_t to)
{
    bin b = {0, INFINITY, -INFINITY, 0};
    for (int64_t i = from; i < to; i++) {
        if (!(fabs(y[i]) < SYN_CHART_VALUE_MAX)) continue;
        b.mean += y[i];
        b.min = fmin(b.min, y[i]);
        b.max = fmax(b.max, y[i]);
        b.count++;
    }
    if (b.count > 0) b.mean /= b.count;
    return b;
}

static void normalise(drawing *d)
{
    for (int i = 0; i < d->bins; i++) {
        double sum = 0;
        for (int k = 0; k < d->c->lines; k++)
            if (d->bin[k][i].count > 0) sum += fmax(d->bin[k][i].mean, 0);
        for (int k = 0; k < d->c->lines; k++) {
            bin *b = &d->bin[k][i];
            b->mean = b->count > 0 && sum > 0 ? fmax(b->mean, 0) / sum : 0;
            b->min = b->max = b->mean;
            b->count = sum > 0;
        }
    }
}

static void pool_all(drawing *d)
{
    const syn_chart *c = d->c;
    d->bins = c->n < SYN_CHART_BINS ? (int)c->n : SYN_CHART_BINS;
    for (int i = 0; i < d->bins; i++) {
        const int64_t from = c->n * i / d->bins, to = c->n * (i + 1) / d->bins;
        d->x[i] = c->x[to - 1];
        for (int k = 0; k < c->lines; k++) d->bin[k][i] = pool(c->line[k].y, from, to);
    }
    if (c->stacked) normalise(d);
}

static int point_count(const drawing *d, int k)
{
    int n = 0;
    for (int i = 0; i < d->bins; i++) n += d->bin[k][i].count > 0;
    return n;
}

/* A moving mean over bins, weighted by their values; narrower at the ends, where it would lag. */
static double smoothed(const drawing *d, int k, int i)
{
    const int to_end = i < d->bins - 1 - i ? i : d->bins - 1 - i;
    const int reach = (int)fmin(d->bins / 50 + 1, fmax(to_end, 2));
    double sum = 0, count = 0;
    for (int j = i - reach; j <= i + reach; j++) {
        if (j < 0 || j >= d->bins) continue;
        const bin *b = &d->bin[k][j];
        sum += b->mean * b->count;
        count += b->count;
    }
    return sum / count;
}

/* ---- Scales ---- */

static syn_axis fit(double low, double high, int ticks, double from, double to)
{
    return syn_axis_fit(low, high, low != 0 ? 0.5 * fabs(low) : 1, ticks, from, to);
}

static void range(const drawing *d, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int k = 0; k < d->c->lines; k++) {
        for (int i = 0; i < d->bins && !d->c->line[k].marks; i++) {
            if (!(d->bin[k][i].count > 0)) continue;
            *low = fmin(*low, d->bin[k][i].min);
            *high = fmax(*high, d->bin[k][i].max);
        }
    }
    if (!(*low <= *high)) *low = *high = 0;
    if (*low == 0 && *high == 0) *high = 1;
}

static void fit_scales(drawing *d)
{
    const syn_chart *c = d->c;
    double low, high;
    const double first = c->x[0], last = c->x[c->n - 1];
    d->sx = fit(first < 0.2 * last ? 0 : first, last, 7, LEFT, RIGHT);
    d->sx.high = fmax(last, d->sx.low + 1e-9 * fabs(d->sx.low) + 1e-300);
    if (!(last > first)) d->sx.high = d->sx.low + 2 * fmax(last - d->sx.low, 0.5);
    range(d, &low, &high);
    if (c->log && low > 0 && high > 30 * low) {
        const double a = floor(log10(low)), b = ceil(log10(high));
        d->sy = (syn_axis){a, b, fmax(1, ceil((b - a) / 5)), BOTTOM, TOP, true};
        return;
    }
    if (isfinite(c->stop) && high > 0.3 * c->stop) high = fmax(high, 1.05 * c->stop);
    if (low > 0 && low < 0.5 * high) low = 0;
    if (c->share) high = fmin(high, 1);
    if (c->stacked) {
        low = 0;
        high = 1;
    }
    d->sy = fit(low, high, 5, BOTTOM, TOP);
    if (c->share) d->sy.high = fmin(d->sy.high, 1);
}

/* ---- Drawing ---- */

static const char *tick_text(const drawing *d, double value, char text[SYN_NUMBER_TEXT])
{
    if (d->sy.log) return syn_number_text(value, text);
    if (!d->c->stacked) return syn_tick_text(value, d->sy.step, text);
    snprintf(text, SYN_NUMBER_TEXT, "%.0f %%", 100 * value);
    return text;
}

static void draw_grid(const drawing *d)
{
    char text[SYN_NUMBER_TEXT];
    const syn_axis *x = &d->sx, *y = &d->sy;
    fputs("<g class=\"grid\">", d->f);
    for (int i = 0; i < syn_axis_ticks(y); i++) {
        const double v = y->low + i * y->step;
        const double value = y->log ? pow(10, v) : v, py = at(y, value);
        fprintf(d->f, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, RIGHT, py, py);
        fprintf(d->f, "<text class=\"y\" x=\"%d\" y=\"%.1f\">%s</text>", LEFT - 6, py + 4,
                tick_text(d, value, text));
    }
    for (int i = 0; i < syn_axis_ticks(x); i++) {
        const double v = x->low + i * x->step, px = at(x, v);
        fprintf(d->f, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", px, px,
                BOTTOM, BOTTOM + 4);
        fprintf(d->f, "<text class=\"x\" x=\"%.1f\" y=\"%d\">%s</text>", px, BOTTOM + 18,
                syn_tick_text(v, x->step, text));
    }
    fprintf(d->f, "<text class=\"unit\" x=\"%d\" y=\"%d\">", RIGHT, BOTTOM + 34);
    syn_html_text(d->f, d->c->x_label);
    fputs("</text></g>", d->f);
}

static void draw_band(const drawing *d, int k)
{
    bool begun = false;
    fprintf(d->f, "<path class=\"band c%d\" d=\"", k + 1);
    for (int pass = 0; pass < 2; pass++) {
        for (int j = 0; j < d->bins; j++) {
            const int i = pass ? d->bins - 1 - j : j;
            const bin *b = &d->bin[k][i];
            if (!(b->count > 0)) continue;
            fprintf(d->f, "%c%.1f %.1f", begun ? 'L' : 'M', at(&d->sx, d->x[i]),
                    at(&d->sy, pass ? b->min : b->max));
            begun = true;
        }
    }
    fputs("Z\"/>", d->f);
}

static void draw_path(const drawing *d, int k, bool smooth, const char *class)
{
    bool begun = false;
    fprintf(d->f, "<path class=\"%s c%d\" d=\"", class, k + 1);
    for (int i = 0; i < d->bins; i++) {
        if (!(d->bin[k][i].count > 0)) continue;
        fprintf(d->f, "%c%.1f %.1f", begun ? 'L' : 'M', at(&d->sx, d->x[i]),
                at(&d->sy, smooth ? smoothed(d, k, i) : d->bin[k][i].mean));
        begun = true;
    }
    fputs("\"/>", d->f);
}

static void draw_line(const drawing *d, int k)
{
    const int points = point_count(d, k);
    if (!points) return;
    const bool many = points >= SMOOTH_FROM;
    if (d->c->n > d->bins) draw_band(d, k);
    if (many && d->c->n <= d->bins) draw_path(d, k, false, "raw");
    draw_path(d, k, many, "line");
    for (int i = 0; i < d->bins && points <= SMOOTH_FROM / 2; i++) {
        if (!(d->bin[k][i].count > 0)) continue;
        fprintf(d->f, "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\"/>", k + 1,
                at(&d->sx, d->x[i]), at(&d->sy, d->bin[k][i].mean));
    }
}

static void draw_marks(const drawing *d, int k)
{
    fprintf(d->f, "<path class=\"marks c%d\" d=\"", k + 1);
    for (int i = 0; i < d->bins; i++)
        if (d->bin[k][i].count > 0 && d->bin[k][i].max > 0)
            fprintf(d->f, "M%.1f %dv6", at(&d->sx, d->x[i]), TOP);
    fputs("\"/>", d->f);
}

static void draw_stack(const drawing *d)
{
    double below[SYN_CHART_BINS] = {0};
    for (int k = 0; k < d->c->lines; k++) {
        double above[SYN_CHART_BINS];
        fprintf(d->f, "<path class=\"area c%d\" d=\"", k + 1);
        for (int i = 0; i < d->bins; i++) {
            above[i] = below[i] + d->bin[k][i].mean;
            fprintf(d->f, "%c%.1f %.1f", i ? 'L' : 'M', at(&d->sx, d->x[i]), at(&d->sy, above[i]));
        }
        for (int i = d->bins - 1; i >= 0; i--)
            fprintf(d->f, "L%.1f %.1f", at(&d->sx, d->x[i]), at(&d->sy, below[i]));
        fputs("Z\"/>", d->f);
        memcpy(below, above, sizeof below);
    }
}

static void draw_best(const drawing *d)
{
    const syn_chart *c = d->c;
    char text[SYN_NUMBER_TEXT];
    if (c->best_line < 0 || c->best_row < 0) return;
    const double v = c->line[c->best_line].y[c->best_row], px = at(&d->sx, c->x[c->best_row]),
                 py = at(&d->sy, v);
    const bool left = px > (LEFT + RIGHT) / 2, above = py > TOP + 12;
    fprintf(d->f, "<circle class=\"best\" cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"/>", px, py);
    fprintf(d->f, "<text class=\"note\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">best %s</text>",
            left ? "end" : "start", px + (left ? -9 : 9), py + (above ? -9 : 18),
            syn_number_text(v, text));
}

static void draw_stop(const drawing *d)
{
    char text[SYN_NUMBER_TEXT];
    if (!isfinite(d->c->stop)) return;
    const double py = at(&d->sy, d->c->stop);
    if (d->c->stop > d->sy.high || py < TOP - 1) return;
    fprintf(d->f, "<line class=\"stop\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, RIGHT,
            py, py);
    fprintf(d->f, "<text class=\"note\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%s %s</text>",
            RIGHT - 2, py - 5, d->c->stop_label, syn_number_text(d->c->stop, text));
}

/* ---- The figure ---- */

/* The values that the script shows, one per bin; the last one stands there without it. */
static void write_key(const drawing *d, int k)
{
    char text[SYN_NUMBER_TEXT];
    double last = NAN;
    fprintf(d->f, "<span class=\"key c%d%s\" data-y=\"", k + 1, d->c->line[k].marks ? " rug" : "");
    for (int i = 0; i < d->bins; i++) {
        const bin *b = &d->bin[k][i];
        if (i) fputc(' ', d->f);
        if (!(b->count > 0)) {
            fputc('-', d->f);
            continue;
        }
        last = b->mean;
        fprintf(d->f, d->c->stacked ? "%.1f%%" : "%.4g", d->c->stacked ? 100 * last : last);
    }
    fputs("\"><i></i>", d->f);
    if (d->c->lines > 1) syn_html_text(d->f, d->c->line[k].label);
    syn_number_text(last, text);
    if (d->c->stacked) snprintf(text, sizeof text, "%.1f%%", 100 * last);
    if (!d->c->line[k].marks) fprintf(d->f, " <b>%s</b>", text);
    fputs("</span>", d->f);
}

static void write_head(const drawing *d)
{
    fputs("<figure class=\"chart\"><figcaption><h3>", d->f);
    syn_html_text(d->f, d->c->title);
    fputs("</h3><span class=\"at\"></span></figcaption><p class=\"legend\">", d->f);
    for (int k = 0; k < d->c->lines; k++) write_key(d, k);
    fputs("</p>\n", d->f);
}

void syn_chart_write(FILE *f, const syn_chart *c)
{
    drawing d = {.c = c, .f = f};
    pool_all(&d);
    fit_scales(&d);
    write_head(&d);
    fprintf(f,
            "<svg viewBox=\"0 0 %d %d\" role=\"img\" tabindex=\"0\" data-low=\"%.9g\" "
            "data-high=\"%.9g\" data-log=\"%d\" data-from=\"%.9g\" data-to=\"%.9g\" data-x=\"",
            WIDTH, HEIGHT, d.sy.low, d.sy.high, d.sy.log, d.sx.low, d.sx.high);
    for (int i = 0; i < d.bins; i++) fprintf(f, i ? " %.9g" : "%.9g", d.x[i]);
    fputs("\" aria-label=\"", f);
    syn_html_text(f, c->title);
    fputs(" over ", f);
    syn_html_text(f, c->x_label);
    fputs("\">", f);
    draw_grid(&d);
    if (c->stacked) draw_stack(&d);
    for (int k = 0; k < c->lines && !c->stacked; k++) {
        if (c->line[k].marks) {
            draw_marks(&d, k);
        } else {
            draw_line(&d, k);
        }
    }
    draw_stop(&d);
    draw_best(&d);
    fputs("</svg>", f);
    if (c->help) {
        fputs("<p class=\"help\">", f);
        syn_html_text(f, c->help);
        fputs("</p>", f);
    }
    fputs("</figure>\n", f);
}
