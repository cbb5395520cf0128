#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "benchmarks/report.h"
#include "benchmarks/report_chart.h"
#include "benchmarks/report_format.h"
#include "benchmarks/report_live.h"

typedef struct reader {
    syn_live_run *run;
    const char *metric;
    int64_t line_number;
    int dialogues;
    bool no_memory;
} reader;

/* ---- One line ---- */

/* The run's own copy of a text, the same for equal ones; "" for what is no text. */
static const char *text_of(reader *r, const json_t *x)
{
    const char *text = json_string_value(x);
    if (!text || !text[0]) return "";
    void *at = json_object_iter_at(r->run->texts, text);
    if (!at && json_object_set_new(r->run->texts, text, json_true()) == 0)
        at = json_object_iter_at(r->run->texts, text);
    if (at) return json_object_iter_key(at);
    r->no_memory = true;
    return "";
}

static double number_of(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    const double x = json_is_number(value)    ? json_number_value(value)
                     : json_is_boolean(value) ? json_is_true(value)
                                              : NAN;
    return fabs(x) < SYN_CHART_VALUE_MAX ? x : NAN;
}

static double either(const json_t *line, const char *key, const char *otherwise)
{
    const double x = number_of(line, key);
    return isnan(x) ? number_of(line, otherwise) : x;
}

static double metric_of(const json_t *line, const syn_live_record *a, const char *name)
{
    if (!strcmp(name, "correct")) return a->correct;
    if (!strcmp(name, "score")) return a->score;
    if (!strcmp(name, "tokens")) return a->tokens;
    const double x = number_of(line, name);
    return isnan(x) ? number_of(json_object_get(line, "metrics"), name) : x;
}

/* An episode of `eval --raw` is named by its number too: one record may be played several times. */
static void name_episode(reader *r, const json_t *line, syn_live_record *a)
{
    char text[128];
    const double stratum = number_of(line, "stratum");
    snprintf(text, sizeof text, "%.100s %.0f", a->id, number_of(line, "episode"));
    json_t *id = json_string(text);
    a->id = text_of(r, id);
    json_decref(id);
    if (isnan(stratum)) return;
    snprintf(text, sizeof text, "stratum %.0f", stratum);
    json_t *name = json_string(text);
    a->stratum = text_of(r, name);
    json_decref(name);
}

static bool record_of(reader *r, json_t *line, syn_live_record *a)
{
    const double agents = either(line, "num_agents", "agents");
    *a = (syn_live_record){
        .benchmark = text_of(r, json_object_get(line, "benchmark")),
        .id = text_of(r, json_object_get(line, "id")),
        .policy = text_of(r, json_object_get(line, "policy")),
        .stratum = text_of(r, json_object_get(line, "stratum")),
        .group = text_of(r, json_object_get(line, "group")),
        .error = text_of(r, json_object_get(line, "error")),
        .num_agents = agents >= 0 && agents < INT_MAX ? (int)agents : 0,
        .line_number = r->line_number,
        .converged = json_is_true(json_object_get(line, "converged")),
        .abstained = number_of(line, "abstained") > 0,
        .correct = either(line, "correct", "success"),
        .score = either(line, "score", "return"),
        .confidence = number_of(line, "confidence"),
        .rounds = number_of(line, "rounds"),
        .messages = number_of(line, "messages"),
        .tokens = number_of(line, "prompt_tokens") + number_of(line, "completion_tokens"),
        .cost_usd = number_of(line, "cost_usd"),
        .latency_s = number_of(line, "latency_s"),
    };
    if (json_is_integer(json_object_get(line, "episode"))) name_episode(r, line, a);
    a->metric = metric_of(line, a, r->metric);
    if (!a->group[0]) a->group = a->id;
    if (json_array_size(json_object_get(line, "dialogue")) &&
        r->dialogues < SYN_LIVE_DIALOGUES_MAX) {
        r->dialogues++;
        a->line = json_incref(line);
    }
    return a->id[0] && a->policy[0] && isfinite(a->correct);
}

static bool make_room(syn_live_run *run)
{
    if (run->count < run->room) return true;
    const int64_t room = run->room ? 2 * run->room : 1024;
    syn_live_record *more = realloc(run->record, sizeof *more * (size_t)room);
    if (!more) return false;
    run->record = more;
    run->room = room;
    return true;
}

/* What `eval --raw` says of single predictions is no answer to a question, and no damage. */
static bool is_other_kind(const json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind"));
    return kind && strcmp(kind, "episode") != 0;
}

static void add_line(reader *r, const char *text, size_t bytes)
{
    syn_live_run *run = r->run;
    if (strspn(text, " \t\r\n") >= bytes) return;
    if (run->count == SYN_LIVE_RECORDS_MAX) {
        run->beyond++;
        return;
    }
    json_t *line = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(line) && is_other_kind(line)) {
        /* passed over */
    } else if (!make_room(run)) {
        r->no_memory = true;
    } else if (json_is_object(line) && record_of(r, line, &run->record[run->count])) {
        run->count++;
    } else {
        if (json_is_object(line)) json_decref(run->record[run->count].line);
        run->damaged++;
    }
    json_decref(line);
}

/* ---- The file of lines ---- */

/* A line that is longer than the buffer counts as damaged once. A last line without its end is what
 * a run leaves that was killed while it wrote. */
static void add_lines(reader *r, FILE *f, char *line)
{
    bool inside = false; /* of a line that is too long */
    while (!r->no_memory && fgets(line, SYN_LIVE_LINE_MAX, f)) {
        const size_t bytes = strlen(line);
        const bool ends = bytes > 0 && line[bytes - 1] == '\n';
        r->line_number += !inside;
        if (ends && !inside) {
            add_line(r, line, bytes);
        } else if (!inside) {
            r->run->torn = feof(f);
            r->run->damaged += !r->run->torn;
        }
        inside = !ends;
    }
}

static syn_status lines_open(const char *path, FILE **out)
{
    struct stat s;
    *out = fopen(path, "rb");
    if (!*out) return syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (fstat(fileno(*out), &s) != 0 || !S_ISREG(s.st_mode))
        return syn_fail(SYN_ERR_IO, "%s: is no file", path);
    if (s.st_size > SYN_LIVE_FILE_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: is longer than %d MiB", path, SYN_LIVE_FILE_MAX >> 20);
    return SYN_OK;
}

static syn_status lines_read(reader *r, const char *path)
{
    FILE *f = NULL;
    syn_status st;
    char *line = malloc(SYN_LIVE_LINE_MAX);
    if (!line) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", path);
    SYN_TRY(lines_open(path, &f));
    r->run->has_records = true;
    add_lines(r, f, line);
    if (ferror(f)) st = syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (r->no_memory)
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory for its %lld answers", path,
                      (long long)r->run->count);
done:
    if (f) fclose(f);
    free(line);
    return st;
}

/* ---- Order ---- */

int syn_live_order(const syn_live_record *a, const syn_live_record *b)
{
    int order = strcmp(a->benchmark, b->benchmark);
    if (!order) order = strcmp(a->policy, b->policy);
    if (!order) order = (a->num_agents > b->num_agents) - (a->num_agents < b->num_agents);
    return order ? order : strcmp(a->id, b->id);
}

static int by_question_and_line(const void *a, const void *b)
{
    const syn_live_record *x = a, *y = b;
    const int order = syn_live_order(x, y);
    return order ? order : (x->line_number > y->line_number) - (x->line_number < y->line_number);
}

/* Of several lines of one question the last counts. */
static void sort_records(syn_live_run *run)
{
    int64_t kept = 0;
    if (run->count)
        qsort(run->record, (size_t)run->count, sizeof *run->record, by_question_and_line);
    for (int64_t i = 0; i < run->count; i++) {
        if (i + 1 < run->count && !syn_live_order(&run->record[i], &run->record[i + 1])) {
            json_decref(run->record[i].line);
            run->replaced++;
        } else {
            run->record[kept++] = run->record[i];
        }
    }
    run->count = kept;
}

/* ---- The run ---- */

bool syn_live_is_lines(const char *path)
{
    return syn_ends_with(path, ".jsonl");
}

static syn_status results_read(reader *r, const char *path)
{
    struct stat s;
    char lines[PATH_MAX];
    SYN_RETURN_IF(syn_report_object_read(path, &r->run->results));
    const char *format = json_string_value(json_object_get(r->run->results, "format"));
    if (!format || strcmp(format, SYN_LIVE_FORMAT) != 0)
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: is not what 'syncog eval --benchmarks' writes: its format is not "
                        "\"" SYN_LIVE_FORMAT "\"",
                        path);
    const size_t stem = strlen(path) - (syn_ends_with(path, ".json") ? 5 : 0);
    if (snprintf(lines, sizeof lines, "%.*s.records.jsonl", (int)stem, path) >= (int)sizeof lines)
        return syn_fail(SYN_ERR_LIMIT, "%.64s...: the name is too long", path);
    if (stat(lines, &s) != 0 && errno == ENOENT) return SYN_OK;
    return lines_read(r, lines);
}

syn_status syn_live_read(const char *path, const char *metric, syn_live_run *run)
{
    reader r = {.run = run, .metric = metric};
    memset(run, 0, sizeof *run);
    run->name = strdup(path);
    run->texts = json_object();
    if (!run->name || !run->texts) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    SYN_RETURN_IF(syn_live_is_lines(path) ? lines_read(&r, path) : results_read(&r, path));
    sort_records(run);
    if (!run->results && !run->count)
        return syn_fail(SYN_ERR_FORMAT, "%s: holds no answer of a run", path);
    return SYN_OK;
}

void syn_live_free(syn_live_run *run)
{
    for (int64_t i = 0; i < run->count; i++) json_decref(run->record[i].line);
    free(run->record);
    free(run->name);
    json_decref(run->results);
    json_decref(run->texts);
    memset(run, 0, sizeof *run);
}
