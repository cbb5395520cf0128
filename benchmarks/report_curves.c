/* Which curves stand in which chart. What no row of the table knows gets a chart of its own. */
#include <math.h>
#include <string.h>

#include "benchmarks/report_chart.h"
#include "benchmarks/report_page.h"

enum { SHARE = 1, LOG = 2, STACKED = 4, SECTIONS = 6, HELD = 9 /* strlen("held_out_") */ };

typedef struct topic {
    int section;
    const char *match; /* names, "*" at the end for what begins so; the first is the main one */
    const char *title, *help;
    int flags;
    const char *stop, *stop_label; /* an option that draws a line */
} topic;

static const char *const sections[SECTIONS] = {
    "How well it plays", "The policy", "Losses and the critic",
    "The optimiser",     "Speed",      "Further figures"};

static const topic topics[] = {
    {0, "return", "Return",
     "Mean of the episodes that ended in an update, and on held-out records. The best held-out "
     "return decides which checkpoint is kept as the best.",
     0, NULL, NULL},
    {0, "success success_answerable", "Success",
     "Right answers and right abstentions, as a share of all episodes.", SHARE, NULL, NULL},
    {0, "messages deliveries", "Messages per question", NULL, 0, NULL, NULL},
    {0, "abstained abstain_*", "Abstentions", "Share of the episodes that end without an answer.",
     SHARE, NULL, NULL},
    {0, "actions.* action_kinds.* action_counts.* action_*", "Kinds of actions",
     "Shares of what was chosen while training.", STACKED, NULL, NULL},
    {1, "kl kl_stopped kl_*", "KL divergence",
     "From the policy before an update to the one after. Marks at the top: updates whose epochs "
     "were "
     "cut short.",
     0, "kl_stop", "stop"},
    {1, "entropy_normalised entropy_share", "Normalised entropy",
     "1: every legal action is equally likely. 0: always the same one.", SHARE, NULL, NULL},
    {1, "epochs", "Epochs per update", "Passes over a roll-out before the KL stop ended them.", 0,
     NULL, NULL},
    {1, "clip_fraction clip_*", "Clipped share",
     "Of the steps whose probability ratio was clipped.", SHARE, NULL, NULL},
    {2, "policy_loss", "Policy loss", NULL, 0, NULL, NULL},
    {2, "value_loss", "Value loss", NULL, LOG, NULL, NULL},
    {2, "explained_variance explained*", "Explained variance",
     "1: the critic foresees every return. 0: no better than their mean.", SHARE, NULL, NULL},
    {2, "value_norm* value_mean value_std return_mean return_std", "Value normaliser",
     "What returns are shifted and scaled by.", 0, NULL, NULL},
    {3, "grad_norm grad_norm_max", "Gradient norm", "Before clipping.", LOG, "max_grad_norm",
     "clipped above"},
    {3, "lr lr_* learning_rate learning_rate_*", "Learning rate", NULL, 0, NULL, NULL},
    {3, "spikes grad_spikes gradient_spikes", "Gradient spikes",
     "So far: norms above ten times the largest of the last 100 updates.", 0, NULL, NULL},
    {4, "env_steps_per_s* steps_per_s*", "Environment steps per second", NULL, 0, NULL, NULL},
    {3, "entropy_coef", "Entropy bonus", NULL, 0, NULL, NULL},
    {4, "seconds.update seconds", "Seconds per update", NULL, 0, NULL, NULL},
    {4, "seconds.* time.* times.* seconds_* time_* times_*", "Share of time", NULL, STACKED, NULL,
     NULL},
};
enum { TOPICS = sizeof topics / sizeof *topics };

/* ---- Names ---- */

static bool held_out(const char *name)
{
    return strncmp(name, "held_out_", HELD) == 0;
}

static const char *base_of(const char *name)
{
    return held_out(name) ? name + HELD : name;
}

/* Which word of the patterns a name matches, or -1; *prefix is how much a starred word took. */
static int match(const char *patterns, const char *name, size_t *prefix)
{
    int k = 0;
    for (const char *p = patterns; *p; k++) {
        const size_t n = strcspn(p, " ");
        const bool star = p[n - 1] == '*';
        *prefix = star ? n - 1 : 0;
        if (star ? strncmp(p, name, n - 1) == 0 : strlen(name) == n && strncmp(p, name, n) == 0)
            return k;
        p += n + (p[n] == ' ');
    }
    return -1;
}

static void pretty(char *out, size_t bytes, const char *name)
{
    snprintf(out, bytes, "%s", name);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = ' ';
}

static bool any_value(const syn_run_log *log, const syn_curve *c)
{
    return syn_report_last(log, c) >= 0;
}

/* ---- One chart ---- */

static void label(syn_chart_line *line, const char *name, size_t prefix, bool main_pair)
{
    if (main_pair) {
        snprintf(line->label, sizeof line->label, "%s", held_out(name) ? "held-out" : "training");
        return;
    }
    char text[SYN_REPORT_NAME_MAX];
    pretty(text, sizeof text, base_of(name) + prefix);
    snprintf(line->label, sizeof line->label, "%s%.80s", held_out(name) ? "held-out " : "", text);
}

static void add_line(syn_chart *c, const syn_curve *curve)
{
    syn_chart_line *line = &c->line[c->lines++];
    line->y = curve->y;
    line->marks = strcmp(curve->name, "kl_stopped") == 0;
}

static syn_chart chart_of(const syn_report *r)
{
    const char *x = r->log.x_name;
    syn_chart c = {.x = r->log.x, .n = r->log.rows, .stop = NAN, .best_line = -1, .best_row = -1};
    c.x_label = !strcmp(x, "env_steps") ? "env-steps" : !strcmp(x, "update") ? "updates" : "steps";
    return c;
}

static void mark_best(const syn_report *r, syn_chart *c)
{
    const syn_curve *best = syn_report_curve(&r->log, "held_out_return");
    for (int k = 0; best && k < c->lines; k++) {
        if (c->line[k].y != best->y) continue;
        c->best_line = k;
        c->best_row = syn_report_best(&r->log, best);
    }
}

/* The curves of a topic by pattern, training before held-out; used marks those that have a chart.
 */
static bool topic_chart(const syn_report *r, const topic *t, bool *used, syn_chart *c)
{
    const syn_run_log *log = &r->log;
    *c = chart_of(r);
    snprintf(c->title, sizeof c->title, "%s", t->title);
    c->help = t->help;
    c->share = t->flags & SHARE;
    c->log = t->flags & LOG;
    bool pair = false;
    for (int k = 0; k < log->curves; k++) {
        size_t prefix;
        pair |= held_out(log->curve[k].name) &&
                match(t->match, base_of(log->curve[k].name), &prefix) == 0;
    }
    for (int wanted = 0; wanted < 2 * 8; wanted++) {
        for (int k = 0; k < log->curves && c->lines < SYN_CHART_LINES_MAX; k++) {
            size_t prefix;
            const char *name = log->curve[k].name;
            const int which = match(t->match, base_of(name), &prefix);
            if (used[k] || which != wanted / 2 || held_out(name) != wanted % 2) continue;
            used[k] = true;
            if (!any_value(log, &log->curve[k])) continue;
            label(&c->line[c->lines], name, prefix, pair && which == 0 && !prefix);
            add_line(c, &log->curve[k]);
        }
    }
    c->stacked = (t->flags & STACKED) && c->lines > 1;
    if (t->stop) c->stop = syn_report_number(r, t->stop);
    c->stop_label = t->stop_label;
    mark_best(r, c);
    return c->lines > 0;
}

/* A chart for the first curve that has none, with its held-out pair and those of the same stem
 * ("pool.used", "pool.free"). */
static bool further_chart(const syn_report *r, bool *used, syn_chart *c)
{
    const syn_run_log *log = &r->log;
    int first = 0;
    while (first < log->curves && (used[first] || !any_value(log, &log->curve[first]))) first++;
    if (first == log->curves) return false;
    const char *base = base_of(log->curve[first].name);
    const size_t stem = strcspn(base, ".");
    char text[SYN_REPORT_NAME_MAX];
    snprintf(text, sizeof text, "%.*s", (int)stem, base);
    *c = chart_of(r);
    pretty(c->title, sizeof c->title, text);
    for (int k = first; k < log->curves && c->lines < SYN_CHART_LINES_MAX; k++) {
        const char *name = base_of(log->curve[k].name);
        if (used[k] || strncmp(name, base, stem) != 0 || (name[stem] && name[stem] != '.'))
            continue;
        used[k] = true;
        if (!any_value(log, &log->curve[k])) continue;
        label(&c->line[c->lines], log->curve[k].name, name[stem] ? stem + 1 : 0, !name[stem]);
        add_line(c, &log->curve[k]);
    }
    if (c->lines == 1 && !strcmp(c->line[0].label, "training"))
        pretty(c->line[0].label, sizeof c->line[0].label, text);
    return true;
}

void syn_report_curves(FILE *f, const syn_report *r)
{
    bool used[SYN_REPORT_CURVES_MAX] = {false};
    syn_chart c;
    for (int k = 0; k < r->log.curves; k++) used[k] = !strcmp(r->log.curve[k].name, "update");
    for (int s = 0; s < SECTIONS; s++) {
        bool begun = false;
        for (int k = 0; k < TOPICS || s == SECTIONS - 1; k++) {
            if (s == SECTIONS - 1) {
                if (!further_chart(r, used, &c)) break;
            } else if (topics[k].section != s || !topic_chart(r, &topics[k], used, &c)) {
                continue;
            }
            if (!begun)
                fprintf(f, "<section><h2>%s</h2><div class=\"charts%s\">\n", sections[s],
                        s ? " small" : "");
            begun = true;
            syn_chart_write(f, &c);
        }
        if (begun) fputs("</div></section>\n", f);
    }
}
