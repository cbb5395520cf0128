/* The file of answers: what was asked before is known by it, what ends is appended. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/live_private.h"
#include "benchmarks/report_live.h"
#include "serve/hash.h"
#include "serve/json_text.h"

enum { KNOWN_MIN = 1024 };

uint64_t syn_live_key(const char *benchmark, const char *id, const char *policy, int agents)
{
    uint64_t h = syn_hash64(0, benchmark, strlen(benchmark) + 1);
    h = syn_hash64(h, id, strlen(id) + 1);
    h = syn_hash64(h, policy, strlen(policy) + 1);
    h = syn_hash64(h, &agents, sizeof agents);
    return h ? h : 1;
}

syn_status syn_live_records_path(const char *output, char *path, size_t bytes)
{
    static const char ending[] = ".json";
    size_t stem = strlen(output);
    if (stem >= sizeof ending - 1 && !strcmp(output + stem - (sizeof ending - 1), ending))
        stem -= sizeof ending - 1;
    const int n = snprintf(path, bytes, "%.*s.records.jsonl", (int)stem, output);
    if (n > 0 && (size_t)n < bytes) return SYN_OK;
    return syn_fail(SYN_ERR_LIMIT, "%.64s...: the name is too long", output);
}

/* ---- what is known ---- */

static syn_live_known *place_of(const syn_live_records *r, uint64_t key)
{
    int64_t at = (int64_t)(key % (uint64_t)r->known_max);
    while (r->known[at].key && r->known[at].key != key) at = (at + 1) % r->known_max;
    return &r->known[at];
}

static syn_status make_room(syn_live_records *r)
{
    if (r->known && 2 * (r->count + 1) <= r->known_max) return SYN_OK;
    syn_live_records more = {.known_max = r->known ? 2 * r->known_max : KNOWN_MIN};
    more.known = calloc((size_t)more.known_max, sizeof *more.known);
    if (!more.known) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", r->path);
    for (int64_t k = 0; k < r->known_max; k++)
        if (r->known[k].key) *place_of(&more, r->known[k].key) = r->known[k];
    free(r->known);
    r->known = more.known;
    r->known_max = more.known_max;
    return SYN_OK;
}

static int64_t integer_of(const json_t *line, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(line, name));
}

/* Everything that was ever asked has been paid, also what failed and was asked again. */
static void count_spent(syn_live_records *r, const json_t *line)
{
    const json_t *cost = json_object_get(line, "cost_usd");
    const int64_t in = integer_of(line, "prompt_tokens");
    const int64_t out = integer_of(line, "completion_tokens");
    const double usd = json_number_value(cost);
    r->calls += integer_of(line, "calls");
    r->prompt_tokens += in;
    r->completion_tokens += out;
    r->cost_usd += usd;
    r->cost_known = r->cost_known && json_is_number(cost);
    if (usd > r->dearest_usd) r->dearest_usd = usd;
    if (in + out > r->most_tokens) r->most_tokens = in + out;
}

/* False: the line is no answer of a run. */
static bool is_answer(const json_t *line)
{
    return json_string_value(json_object_get(line, "benchmark")) &&
           json_string_value(json_object_get(line, "id")) &&
           json_string_value(json_object_get(line, "policy")) &&
           json_is_integer(json_object_get(line, "num_agents")) &&
           json_is_number(json_object_get(line, "correct"));
}

static syn_status know(syn_live_records *r, const json_t *line)
{
    SYN_RETURN_IF(make_room(r));
    const uint64_t key = syn_live_key(json_string_value(json_object_get(line, "benchmark")),
                                      json_string_value(json_object_get(line, "id")),
                                      json_string_value(json_object_get(line, "policy")),
                                      (int)integer_of(line, "num_agents"));
    syn_live_known *place = place_of(r, key);
    if (place->key) {
        r->failed -= place->failed;
    } else {
        r->count++;
    }
    *place = (syn_live_known){
        key, integer_of(line, "prompt_tokens") + integer_of(line, "completion_tokens"),
        json_is_string(json_object_get(line, "error"))};
    r->failed += place->failed;
    r->answered = r->count - r->failed;
    r->has_answers |= !json_object_get(line, "kind");
    count_spent(r, line);
    return SYN_OK;
}

const syn_live_known *syn_live_records_find(const syn_live_records *r, uint64_t key)
{
    if (!r->known) return NULL;
    const syn_live_known *place = place_of(r, key);
    return place->key ? place : NULL;
}

/* ---- what stands in the file ---- */

static syn_status fail_io(const syn_live_records *r, const char *what)
{
    return syn_fail(SYN_ERR_IO, "%s: cannot be %s: %s", r->path, what, strerror(errno));
}

/* Returns SYN_OK at the end of the file too, where *ends is false and nothing, or the beginning of
 * a line, was read. */
static syn_status next_line(const syn_live_records *r, FILE *f, char *text, size_t *bytes,
                            bool *ends)
{
    *bytes = 0;
    *ends = false;
    if (!fgets(text, SYN_LIVE_LINE_MAX, f)) return ferror(f) ? fail_io(r, "read") : SYN_OK;
    *bytes = strlen(text);
    *ends = *bytes && text[*bytes - 1] == '\n';
    return SYN_OK;
}

/* A line that was being written when the process died is the last one. */
static syn_status read_lines(syn_live_records *r, FILE *f, char *text)
{
    for (int64_t number = 1;; number++) {
        size_t bytes;
        bool ends;
        SYN_RETURN_IF(next_line(r, f, text, &bytes, &ends));
        if (!ends && feof(f)) return SYN_OK;
        json_t *line = ends ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (!is_answer(line)) {
            json_decref(line);
            return syn_fail(SYN_ERR_FORMAT,
                            "%s: line %lld is no answer of a run; --overwrite begins anew", r->path,
                            (long long)number);
        }
        const syn_status st = know(r, line);
        json_decref(line);
        SYN_RETURN_IF(st);
        r->bytes += (int64_t)bytes;
    }
}

static syn_status read_file(syn_live_records *r)
{
    syn_status st;
    char *text = malloc(SYN_LIVE_LINE_MAX);
    const int copy = dup(r->fd);
    FILE *f = copy >= 0 ? fdopen(copy, "r") : NULL;
    if (!text || !f) {
        if (!f && copy >= 0) close(copy);
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", r->path);
        goto done;
    }
    SYN_TRY(read_lines(r, f, text));
    if (ftruncate(r->fd, (off_t)r->bytes) != 0) st = fail_io(r, "cut after its last line");
done:
    if (f) fclose(f);
    free(text);
    return st;
}

static syn_status check_file(const syn_live_records *r)
{
    struct stat info;
    if (fstat(r->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return syn_fail(SYN_ERR_IO, "%s: is no file", r->path);
    if (info.st_size > SYN_LIVE_FILE_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: is longer than %d MiB", r->path,
                        SYN_LIVE_FILE_MAX >> 20);
    if (flock(r->fd, LOCK_EX | LOCK_NB) == 0) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: another run writes to it", r->path);
}

syn_status syn_live_records_open(syn_live_records *r, const char *output, bool overwrite)
{
    *r = (syn_live_records){.fd = -1, .cost_known = true};
    SYN_RETURN_IF(syn_live_records_path(output, r->path, sizeof r->path));
    r->fd = open(r->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (r->fd < 0) return fail_io(r, "opened");
    SYN_RETURN_IF(check_file(r));
    if (overwrite && ftruncate(r->fd, 0) != 0) return fail_io(r, "emptied");
    return read_file(r);
}

/* ---- what is appended ---- */

static syn_status append(syn_live_records *r, const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        const ssize_t n = write(r->fd, text + at, bytes - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const syn_status st = fail_io(r, "written");
            /* Half a line would be dropped by the next run anyway. */
            (void)!ftruncate(r->fd, (off_t)r->bytes);
            return st;
        }
        at += (size_t)n;
    }
    r->bytes += (int64_t)bytes;
    r->dirty = true;
    return SYN_OK;
}

syn_status syn_live_records_add(syn_live_records *r, const json_t *line)
{
    syn_status st;
    char *text = syn_json_text(line, JSON_COMPACT), *whole = NULL;
    size_t bytes = text ? strlen(text) : 0;
    if (text) whole = realloc(text, bytes + 2);
    if (!whole) {
        free(text);
        return syn_fail(SYN_ERR_MEMORY, "%s: out of memory for an answer", r->path);
    }
    memcpy(whole + bytes, "\n", 2);
    bytes++;
    if (bytes >= SYN_LIVE_LINE_MAX || r->bytes + (int64_t)bytes > SYN_LIVE_FILE_MAX) {
        st = syn_fail(SYN_ERR_LIMIT, "%s: no room for an answer of %zu bytes", r->path, bytes);
        goto done;
    }
    SYN_TRY(append(r, whole, bytes));
    SYN_TRY(know(r, line));
done:
    free(whole);
    return st;
}

syn_status syn_live_records_sync(syn_live_records *r)
{
    if (r->fd < 0 || !r->dirty) return SYN_OK;
    if (fdatasync(r->fd) != 0) return fail_io(r, "written");
    r->dirty = false;
    return SYN_OK;
}

void syn_live_records_close(syn_live_records *r)
{
    if (r->fd >= 0) close(r->fd);
    free(r->known);
    *r = (syn_live_records){.fd = -1};
}
