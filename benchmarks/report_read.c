#include "benchmarks/report.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "benchmarks/report_format.h"

enum { GOING_S = 600, GOING_UNKNOWN_S = 120, FIRST_ROWS = 1024 };

/* ---- Files ---- */

/* A regular file's first `bytes_max` bytes, with a 0 behind; *whole is false where it is longer. */
static syn_status slurp(const char *path, int64_t bytes_max, char **text, size_t *bytes,
                        bool *whole, double *modified_s)
{
    struct stat s;
    *text = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) return syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    syn_status st = SYN_OK;
    if (fstat(fileno(f), &s) != 0 || !S_ISREG(s.st_mode)) {
        st = syn_fail(SYN_ERR_IO, "%s: is no file", path);
        goto done;
    }
    *whole = s.st_size <= bytes_max;
    const size_t room = (size_t)(*whole ? s.st_size : bytes_max);
    *text = malloc(room + 1);
    if (!*text) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory for %zu bytes", path, room);
        goto done;
    }
    *bytes = fread(*text, 1, room, f);
    (*text)[*bytes] = 0;
    if (ferror(f)) st = syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (modified_s) *modified_s = (double)s.st_mtim.tv_sec + 1e-9 * (double)s.st_mtim.tv_nsec;
done:
    fclose(f);
    return st;
}

syn_status syn_report_object_read(const char *path, json_t **out)
{
    char *text;
    size_t bytes = 0;
    bool whole = true;
    json_error_t fault;
    syn_status st = slurp(path, SYN_REPORT_JSON_MAX, &text, &bytes, &whole, NULL);
    if (st == SYN_OK && !whole)
        st = syn_fail(SYN_ERR_LIMIT, "%s: is longer than %d MiB", path, SYN_REPORT_JSON_MAX >> 20);
    if (st == SYN_OK) {
        *out = json_loadb(text, bytes, 0, &fault);
        if (!*out)
            st = syn_fail(SYN_ERR_FORMAT, "%s:%d:%d: %s", path, fault.line, fault.column,
                          fault.text);
    }
    if (st == SYN_OK && !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        st = syn_fail(SYN_ERR_FORMAT, "%s: is not one JSON object", path);
    }
    free(text);
    return st;
}

/* ---- The log ---- */

static bool grow(syn_run_log *log)
{
    const int64_t room = log->room ? 2 * log->room : FIRST_ROWS;
    double *x = realloc(log->x, sizeof *x * (size_t)room);
    if (!x) return false;
    log->x = x;
    for (int k = 0; k < log->curves; k++) {
        double *y = realloc(log->curve[k].y, sizeof *y * (size_t)room);
        if (!y) return false;
        for (int64_t i = log->room; i < room; i++) y[i] = NAN;
        log->curve[k].y = y;
    }
    log->room = room;
    return true;
}

/* The column of a name, made where it is missing; NULL beyond the cap or out of memory. */
static syn_curve *column(syn_run_log *log, const char *name, int hint)
{
    if (hint < log->curves && !strcmp(log->curve[hint].name, name)) return &log->curve[hint];
    for (int k = 0; k < log->curves; k++)
        if (!strcmp(log->curve[k].name, name)) return &log->curve[k];
    if (log->curves == SYN_REPORT_CURVES_MAX) return NULL;
    syn_curve *c = &log->curve[log->curves];
    c->y = malloc(sizeof *c->y * (size_t)log->room);
    if (!c->y) return NULL;
    for (int64_t i = 0; i < log->room; i++) c->y[i] = NAN;
    snprintf(c->name, sizeof c->name, "%s", name);
    log->curves++;
    return c;
}

typedef struct row {
    syn_run_log *log;
    int hint; /* lines hold their figures in one order */
} row;

/* Numbers and bools, within lists and objects one level down. */
static void add(row *r, const char *name, const json_t *x, bool deeper)
{
    char inner[SYN_REPORT_NAME_MAX];
    const char *member;
    json_t *y;
    size_t i;
    if (json_is_number(x) || json_is_boolean(x)) {
        if (strlen(name) >= SYN_REPORT_NAME_MAX) return;
        syn_curve *c = column(r->log, name, r->hint);
        if (!c) {
            r->log->unnamed++;
            return;
        }
        c->y[r->log->rows] = json_is_number(x) ? json_number_value(x) : json_is_true(x);
        r->hint = (int)(c - r->log->curve) + 1;
    }
    if (!deeper) return;
    json_array_foreach((json_t *)x, i, y)
    {
        if (snprintf(inner, sizeof inner, "%s.%zu", name, i) < (int)sizeof inner)
            add(r, inner, y, false);
    }
    json_object_foreach((json_t *)x, member, y)
    {
        if (snprintf(inner, sizeof inner, "%s.%s", name, member) < (int)sizeof inner)
            add(r, inner, y, false);
    }
}

static bool name_x(syn_run_log *log, const json_t *line)
{
    static const char *const names[] = {"env_steps", "update", "step"};
    for (int k = 0; k < 3 && !log->x_name[0]; k++)
        if (json_is_number(json_object_get(line, names[k])))
            snprintf(log->x_name, sizeof log->x_name, "%s", names[k]);
    return log->x_name[0] != 0;
}

static void clear_rows(syn_run_log *log, int64_t from)
{
    for (int k = 0; k < log->curves; k++)
        for (int64_t i = from; i < log->rows; i++) log->curve[k].y[i] = NAN;
    log->repeated += log->rows - from;
    log->rows = from;
}

static bool add_line(syn_run_log *log, const char *text, size_t bytes)
{
    const char *key;
    json_t *value, *line = bytes <= SYN_REPORT_LINE_MAX ? json_loadb(text, bytes, 0, NULL) : NULL;
    const json_t *x =
        json_is_object(line) && name_x(log, line) ? json_object_get(line, log->x_name) : NULL;
    const bool good = json_is_number(x) && json_number_value(x) >= 0;
    if (good && log->rows == log->room && !grow(log)) {
        log->beyond++; /* out of memory */
    } else if (good) {
        const double at = json_number_value(x);
        int64_t from = log->rows;
        while (from > 0 && log->x[from - 1] >= at) from--;
        clear_rows(log, from);
        row r = {log, 0};
        log->x[log->rows] = at;
        json_object_foreach(line, key, value)
        {
            if (strcmp(key, log->x_name) != 0) add(&r, key, value, true);
        }
        log->rows++;
    }
    json_decref(line);
    return good;
}

static bool blank(const char *text, size_t bytes)
{
    return strspn(text, " \t\r") >= bytes;
}

/* The last line of a run that goes on may be half written: it is not counted as damaged. */
static void add_lines(syn_run_log *log, const char *text, size_t bytes, bool whole)
{
    for (size_t at = 0; at < bytes;) {
        const char *end = memchr(text + at, '\n', bytes - at);
        const size_t n = end ? (size_t)(end - text) - at : bytes - at;
        if (log->rows >= SYN_REPORT_ROWS_MAX) {
            log->beyond++;
        } else if (!blank(text + at, n) && !add_line(log, text + at, n)) {
            if (end) log->damaged++;
        }
        at += n + 1;
    }
    if (!whole) log->beyond++;
}

static syn_status log_read(syn_report *r, const char *path)
{
    char *text;
    size_t bytes = 0;
    bool whole = true;
    syn_status st = slurp(path, SYN_REPORT_FILE_MAX, &text, &bytes, &whole, &r->log.modified_s);
    if (st == SYN_OK) add_lines(&r->log, text, bytes, whole);
    free(text);
    if (st != SYN_OK) return st;
    r->has_log = true;
    if (r->log.rows) return SYN_OK;
    if (r->log.damaged)
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: none of its %lld lines is a JSON object with env_steps", path,
                        (long long)r->log.damaged);
    return syn_fail(SYN_ERR_FORMAT, "%s: holds no update so far", path);
}

/* ---- Both ---- */

/* The facts of a checkpoint are shown where they can be read; the curves do not depend on them. */
static void manifest_read(syn_report *r, const char *folder)
{
    static const char *const names[] = {"latest/manifest.json", "best/manifest.json",
                                        "manifest.json"};
    for (int k = 0; k < 3 && !r->manifest; k++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", folder, names[k]) >= (int)sizeof path) return;
        if (syn_report_object_read(path, &r->manifest) != SYN_OK) r->manifest = NULL;
    }
}

static syn_status eval_read(syn_report *r, const char *path)
{
    SYN_RETURN_IF(syn_report_object_read(path, &r->eval));
    if (json_is_object(json_object_get(r->eval, "policies")) ||
        json_is_object(json_object_get(r->eval, "gap")))
        return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT,
                    "%s: is not what 'syncog eval --json' prints: it has neither "
                    "policies nor gap",
                    path);
}

static syn_status run_read(syn_report *r, const char *run)
{
    struct stat s;
    char path[PATH_MAX];
    if (stat(run, &s) != 0)
        return syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", run, strerror(errno));
    if (!S_ISDIR(s.st_mode))
        return syn_ends_with(run, ".jsonl") ? log_read(r, run) : eval_read(r, run);
    if (snprintf(path, sizeof path, "%s/metrics.jsonl", run) >= (int)sizeof path)
        return syn_fail(SYN_ERR_LIMIT, "%.64s...: the name is too long", run);
    if (stat(path, &s) != 0 && errno == ENOENT)
        return syn_fail(SYN_ERR_IO,
                        "%s: holds no metrics.jsonl: give the folder that 'syncog "
                        "train' wrote with --out, or a file of 'syncog eval --json'",
                        run);
    SYN_RETURN_IF(log_read(r, path));
    manifest_read(r, run);
    return SYN_OK;
}

syn_status syn_report_read(syn_report *r, const char *run, const char *eval)
{
    struct timespec now;
    memset(r, 0, sizeof *r);
    clock_gettime(CLOCK_REALTIME, &now);
    r->now_s = (double)now.tv_sec;
    r->name = strdup(run);
    if (!r->name) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    SYN_RETURN_IF(run_read(r, run));
    if (!eval) return SYN_OK;
    if (r->eval)
        return syn_fail(SYN_ERR_USAGE, "%s is an evaluation already; --eval goes with a run", run);
    return eval_read(r, eval);
}

void syn_report_free(syn_report *r)
{
    for (int k = 0; k < r->log.curves; k++) free(r->log.curve[k].y);
    free(r->log.x);
    free(r->name);
    json_decref(r->manifest);
    json_decref(r->eval);
    memset(r, 0, sizeof *r);
}

/* ---- What is asked of them ---- */

const syn_curve *syn_report_curve(const syn_run_log *log, const char *name)
{
    for (int k = 0; k < log->curves; k++)
        if (!strcmp(log->curve[k].name, name)) return &log->curve[k];
    return NULL;
}

const json_t *syn_report_config(const syn_report *r)
{
    const json_t *c = json_object_get(r->manifest, "config"), *inner = json_object_get(c, "config");
    return json_is_object(inner) ? inner : c;
}

double syn_report_number(const syn_report *r, const char *key)
{
    const json_t *x = json_object_get(syn_report_config(r), key);
    if (json_is_number(x)) return json_number_value(x);
    const syn_curve *c = syn_report_curve(&r->log, key);
    const int64_t last = c ? syn_report_last(&r->log, c) : -1;
    return last >= 0 ? c->y[last] : NAN;
}

double syn_report_steps_asked(const syn_report *r)
{
    return syn_report_number(r, "env_steps");
}

int64_t syn_report_last(const syn_run_log *log, const syn_curve *c)
{
    int64_t i = log->rows - 1;
    while (i >= 0 && !isfinite(c->y[i])) i--;
    return i;
}

int64_t syn_report_best(const syn_run_log *log, const syn_curve *c)
{
    int64_t best = -1;
    for (int64_t i = 0; i < log->rows; i++)
        if (isfinite(c->y[i]) && (best < 0 || c->y[i] > c->y[best])) best = i;
    return best;
}

syn_run_state syn_report_state(const syn_report *r)
{
    const double asked = syn_report_steps_asked(r);
    const bool known = isfinite(asked) && !strcmp(r->log.x_name, "env_steps");
    const double age_s = r->now_s - r->log.modified_s;
    if (known && r->log.x[r->log.rows - 1] >= asked) return SYN_RUN_STATE_FINISHED;
    if (age_s < (known ? GOING_S : GOING_UNKNOWN_S)) return SYN_RUN_STATE_GOING;
    return known ? SYN_RUN_STATE_STOPPED : SYN_RUN_STATE_UNKNOWN;
}

/* Whether a name is `last`, or ends in "_last". */
static bool last_word_is(const char *name, const char *last)
{
    return syn_ends_with(name, last) &&
           (strlen(name) == strlen(last) || name[strlen(name) - strlen(last) - 1] == '_');
}

int syn_report_better(const char *column)
{
    static const char *const more[] = {"return", "success", "abstain_",
                                       "ended",  "auroc",   "balanced_accuracy",
                                       "score",  "correct", "accuracy"};
    static const char *const less[] = {"messages", "deliveries", "turns",    "regret",
                                       "ece",      "brier",      "cost",     "tokens",
                                       "latency",  "rounds",     "unparsed", "failed"};
    static const char *const official[] = {"em",     "f1",   "precision", "recall",
                                           "inform", "bleu", "combined"};
    for (size_t k = 0; k < sizeof less / sizeof *less; k++)
        if (!strncmp(column, less[k], strlen(less[k])) || last_word_is(column, less[k])) return -1;
    for (size_t k = 0; k < sizeof more / sizeof *more; k++)
        if (!strncmp(column, more[k], strlen(more[k]))) return 1;
    for (size_t k = 0; k < sizeof official / sizeof *official; k++)
        if (last_word_is(column, official[k])) return 1;
    return 0;
}
