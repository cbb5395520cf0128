#include "serve/llm_tape.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/json_text.h"
#include "serve/llm_tape_line.h"

#define HEADER "{\"format\":\"syncog-tape/1\"}\n"
#define SYNC_S 2.0
enum {
    HEADER_BYTES = sizeof HEADER - 1,
    BLOCK_BYTES = 1 << 20,
    RECORDS_MAX = 16 << 20,
    SYNC_RECORDS = 64
};

/* Numbers by key: open addressing, at most half full. */
typedef struct slot {
    syn_tape_key key;
    int64_t at, bytes; /* of a line; or at: how many there are. 0: free */
} slot;

typedef struct table {
    slot *slots;
    int64_t room, count;
} table;

struct syn_tape {
    char *path;
    syn_tape_mode mode;
    int fd;
    pthread_mutex_t lock;
    int64_t end, count; /* of the last whole record; records */
    table lines;        /* REPLAY: the last of each request */
    table numbers;      /* how many of a key were begun */
    int64_t unsynced;
    double synced_s;
    syn_status fault; /* the first, and its sentence */
    char sentence[512];
};

/* ---- the table ---- */

static bool same(syn_tape_key a, syn_tape_key b)
{
    return a.high == b.high && a.low == b.low;
}

static slot *place_of(const table *t, syn_tape_key key)
{
    int64_t k = (int64_t)(key.low & (uint64_t)(t->room - 1));
    while (t->slots[k].at && !same(t->slots[k].key, key)) k = (k + 1) & (t->room - 1);
    return &t->slots[k];
}

static slot *find(const table *t, syn_tape_key key)
{
    slot *s = t->room ? place_of(t, key) : NULL;
    return s && s->at ? s : NULL;
}

static bool grow(table *t)
{
    table larger = {.room = t->room ? 2 * t->room : 1024};
    larger.slots = calloc((size_t)larger.room, sizeof *larger.slots);
    if (!larger.slots) return false;
    for (int64_t k = 0; k < t->room; k++)
        if (t->slots[k].at) *place_of(&larger, t->slots[k].key) = t->slots[k];
    larger.count = t->count;
    free(t->slots);
    *t = larger;
    return true;
}

/* The key's slot, free where it was not there; NULL: out of memory. */
static slot *slot_of(table *t, syn_tape_key key)
{
    if (2 * t->count >= t->room && !grow(t)) return NULL;
    slot *s = place_of(t, key);
    if (!s->at) t->count++;
    s->key = key;
    return s;
}

/* Where the record of this number is looked for. */
static syn_tape_key numbered(syn_tape_key key, int64_t number)
{
    key.low ^= (uint64_t)number * 0x9E3779B97F4A7C15u;
    return key;
}

/* ---- opening ---- */

static syn_status take_line(syn_tape *t, const char *line, size_t bytes, int64_t at)
{
    syn_tape_key key;
    int64_t number;
    if (!syn_tape_line_intact(line, bytes) || !syn_tape_line_key(line, bytes, &key, &number))
        return syn_fail(SYN_ERR_FORMAT, "%s: the record in line %lld is damaged", t->path,
                        (long long)t->count + 2);
    if (++t->count > RECORDS_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: more than %d records", t->path, RECORDS_MAX);
    t->end = at + (int64_t)bytes + 1;
    if (t->mode == SYN_TAPE_RECORD) return SYN_OK;
    slot *s = slot_of(&t->lines, numbered(key, number));
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for %s", t->path);
    s->at = at;
    s->bytes = (int64_t)bytes;
    return SYN_OK;
}

/* All lines of the buffer that are whole; *used: their bytes, `at` is where it stands in the file.
 */
static syn_status take_lines(syn_tape *t, const syn_buffer *buffer, int64_t at, size_t *used)
{
    *used = 0;
    for (const char *end;
         (end = memchr(buffer->text + *used, '\n', buffer->bytes - *used)) != NULL;) {
        const char *line = buffer->text + *used;
        const size_t bytes = (size_t)(end - line);
        if (at + (int64_t)*used > 0)
            SYN_RETURN_IF(take_line(t, line, bytes, at + (int64_t)*used));
        else if (bytes + 1 != HEADER_BYTES || memcmp(line, HEADER, bytes) != 0)
            return syn_fail(SYN_ERR_FORMAT, "%s: this is not a recording of syncog", t->path);
        else
            t->end = HEADER_BYTES;
        *used += bytes + 1;
    }
    if (buffer->bytes - *used > SYN_TAPE_LINE_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: line %lld is longer than 64 MiB", t->path,
                        (long long)t->count + 2);
    return SYN_OK;
}

static syn_status read_all(syn_tape *t)
{
    syn_buffer buffer = {0};
    char *block = malloc(BLOCK_BYTES);
    int64_t at = 0; /* of the buffer */
    syn_status st = block ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for %s", t->path);
    while (st == SYN_OK) {
        const ssize_t got = pread(t->fd, block, BLOCK_BYTES, at + (int64_t)buffer.bytes);
        size_t used;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) st = syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(errno));
        if (got <= 0) break;
        if (!syn_buffer_add(&buffer, block, (size_t)got))
            st = syn_fail(SYN_ERR_MEMORY, "out of memory for %s", t->path);
        if (st == SYN_OK) st = take_lines(t, &buffer, at, &used);
        if (st != SYN_OK) break;
        memmove(buffer.text, buffer.text + used, buffer.bytes - used);
        buffer.bytes -= used;
        at += (int64_t)used;
    }
    /* A header that was cut off is the beginning of one. */
    if (st == SYN_OK && t->end == 0 && buffer.bytes > 0 &&
        memcmp(buffer.text, HEADER, buffer.bytes < HEADER_BYTES ? buffer.bytes : HEADER_BYTES) != 0)
        st = syn_fail(SYN_ERR_FORMAT, "%s: this is not a recording of syncog", t->path);
    if (st == SYN_OK && buffer.bytes > 0)
        syn_log(SYN_LOG_WARN, "%s: its last record was cut off and is passed over", t->path);
    free(buffer.text);
    free(block);
    return st;
}

static bool write_at(int fd, const char *text, size_t bytes, int64_t at)
{
    while (bytes > 0) {
        const ssize_t put = pwrite(fd, text, bytes, at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        text += put;
        bytes -= (size_t)put;
        at += put;
    }
    return true;
}

static syn_status open_file(syn_tape *t)
{
    struct stat s;
    const bool records = t->mode == SYN_TAPE_RECORD;
    t->fd = open(t->path, (records ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0600);
    if (t->fd < 0 || fstat(t->fd, &s) != 0)
        return syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(errno));
    if (!S_ISREG(s.st_mode)) return syn_fail(SYN_ERR_IO, "%s: this is not a file", t->path);
    if (records && flock(t->fd, LOCK_EX | LOCK_NB) != 0)
        return syn_fail(SYN_ERR_IO, "%s: another process is recording there", t->path);
    return SYN_OK;
}

/* The header, and nothing behind the last whole record. */
static syn_status make_ready(syn_tape *t)
{
    if (t->mode == SYN_TAPE_REPLAY)
        return t->end > 0
                   ? SYN_OK
                   : syn_fail(SYN_ERR_FORMAT, "%s: this is not a recording of syncog", t->path);
    if (t->end == 0) {
        if (!write_at(t->fd, HEADER, HEADER_BYTES, 0))
            return syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(errno));
        t->end = HEADER_BYTES;
    }
    if (ftruncate(t->fd, t->end) != 0)
        return syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(errno));
    return SYN_OK;
}

static void tape_free(syn_tape *t)
{
    if (t->fd >= 0) close(t->fd);
    pthread_mutex_destroy(&t->lock);
    free(t->lines.slots);
    free(t->numbers.slots);
    free(t->path);
    free(t);
}

syn_status syn_tape_open(const char *path, syn_tape_mode mode, syn_tape **out)
{
    syn_status st;
    *out = NULL;
    syn_tape *t = calloc(1, sizeof *t);
    if (!t) return syn_fail(SYN_ERR_MEMORY, "out of memory for %s", path);
    t->fd = -1;
    t->mode = mode;
    t->path = strdup(path);
    t->synced_s = syn_clock_s();
    pthread_mutex_init(&t->lock, NULL);
    st = t->path ? open_file(t) : syn_fail(SYN_ERR_MEMORY, "out of memory for %s", path);
    if (st == SYN_OK) st = read_all(t);
    if (st == SYN_OK) st = make_ready(t);
    if (st == SYN_OK)
        *out = t;
    else
        tape_free(t);
    return st;
}

/* ---- faults ---- */

/* Keeps the first one of all, which is the thread's last. */
static void keep_fault(syn_tape *t, syn_status st)
{
    if (t->fault != SYN_OK) return;
    t->fault = st;
    snprintf(t->sentence, sizeof t->sentence, "%s", syn_error_text());
}

static syn_status sync_all(syn_tape *t)
{
    if (t->mode == SYN_TAPE_RECORD && t->unsynced > 0 && fdatasync(t->fd) != 0) {
        (void)syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(errno));
        keep_fault(t, SYN_ERR_IO);
        return SYN_ERR_IO;
    }
    t->unsynced = 0;
    t->synced_s = syn_clock_s();
    return SYN_OK;
}

syn_status syn_tape_sync(syn_tape *tape)
{
    if (!tape) return SYN_OK;
    pthread_mutex_lock(&tape->lock);
    const syn_status st = sync_all(tape);
    pthread_mutex_unlock(&tape->lock);
    return st;
}

static syn_status check(const syn_tape *t)
{
    return t->fault == SYN_OK ? SYN_OK : syn_fail(t->fault, "%s", t->sentence);
}

syn_status syn_tape_check(syn_tape *tape)
{
    if (!tape) return SYN_OK;
    pthread_mutex_lock(&tape->lock);
    const syn_status st = check(tape);
    pthread_mutex_unlock(&tape->lock);
    return st;
}

syn_status syn_tape_close(syn_tape *tape)
{
    if (!tape) return SYN_OK;
    syn_status st = sync_all(tape);
    if (tape->fault != SYN_OK) st = check(tape);
    tape_free(tape);
    return st;
}

bool syn_tape_replays(const syn_tape *tape)
{
    return tape && tape->mode == SYN_TAPE_REPLAY;
}

int64_t syn_tape_count(const syn_tape *tape)
{
    return tape->count;
}

/* ---- recording ---- */

/* text: of a record, {"key": ..}. What was written in part is taken back. */
static syn_status append(syn_tape *t, const char *text)
{
    size_t bytes;
    char *line = syn_tape_line_make(text, &bytes);
    if (!line) return syn_fail(SYN_ERR_MEMORY, "out of memory for a record of %s", t->path);
    if (bytes > SYN_TAPE_LINE_BYTES_MAX) {
        free(line);
        return syn_fail(SYN_ERR_LIMIT, "%s: a record is longer than 64 MiB", t->path);
    }
    const bool ok = write_at(t->fd, line, bytes + 1, t->end);
    const int why = errno;
    free(line);
    if (!ok) {
        (void)!ftruncate(t->fd, t->end);
        return syn_fail(SYN_ERR_IO, "%s: %s", t->path, strerror(why));
    }
    t->end += (int64_t)bytes + 1;
    t->count++;
    t->unsynced++;
    if (t->unsynced >= SYNC_RECORDS || syn_clock_s() - t->synced_s >= SYNC_S) return sync_all(t);
    return SYN_OK;
}

/* text NULL: there was no memory for it. */
static void put(syn_tape *t, const char *text)
{
    pthread_mutex_lock(&t->lock);
    if (t->fault == SYN_OK) {
        const syn_status st =
            text ? append(t, text)
                 : syn_fail(SYN_ERR_MEMORY, "out of memory for a record of %s", t->path);
        if (st != SYN_OK) keep_fault(t, st);
    }
    pthread_mutex_unlock(&t->lock);
}

void syn_tape_add(syn_tape *tape, syn_exchange *x, const char *body, const char *secret)
{
    char *text = x->failed ? NULL : syn_exchange_text(x, body, secret);
    put(tape, text);
    free(text);
}

/* ---- asking ---- */

/* The line of that key, free() it. */
static syn_status read_line(syn_tape *t, const slot *s, char **out)
{
    char *line = malloc((size_t)s->bytes + 1);
    *out = NULL;
    if (!line) return syn_fail(SYN_ERR_MEMORY, "out of memory for a record of %s", t->path);
    if (pread(t->fd, line, (size_t)s->bytes, s->at) != s->bytes ||
        !syn_tape_line_intact(line, (size_t)s->bytes)) {
        free(line);
        return syn_fail(SYN_ERR_IO, "%s: the file has changed since it was opened", t->path);
    }
    line[s->bytes] = 0;
    *out = line;
    return SYN_OK;
}

/* Texts of outside in a sentence. */
static const char *plain(char *to, size_t room, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < room; n++) to[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    to[n] = 0;
    return to;
}

/* Reads what came of the call into *x, which has its key, number and names. */
static syn_status replay(syn_tape *t, syn_exchange **x)
{
    char *line, model[64], tag[128];
    const slot *s = find(&t->lines, numbered((*x)->key, (*x)->number));
    if (!s)
        return syn_fail(SYN_ERR_INVALID,
                        "request %016" PRIx64 "%016" PRIx64 " to the model %s (%s) is not recorded",
                        (*x)->key.high, (*x)->key.low, plain(model, sizeof model, (*x)->model),
                        plain(tag, sizeof tag, (*x)->tag));
    syn_exchange *read = NULL;
    SYN_RETURN_IF(read_line(t, s, &line));
    syn_status st = syn_exchange_read(line, (size_t)s->bytes, &read);
    free(line);
    if (st == SYN_OK && (!same(read->key, (*x)->key) || read->number != (*x)->number)) {
        syn_exchange_free(read);
        st = syn_fail(SYN_ERR_FORMAT, "it is the record of another call");
    }
    if (st != SYN_OK) return syn_fail_within(st, "%s: byte %lld", t->path, (long long)s->at);
    read->at = s->at;
    syn_exchange_free(*x);
    *x = read;
    return SYN_OK;
}

static syn_status begin(syn_tape *t, syn_exchange **x)
{
    slot *s = slot_of(&t->numbers, (*x)->key);
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    (*x)->number = s->at++;
    if (t->mode == SYN_TAPE_RECORD) return SYN_OK;
    return replay(t, x);
}

/* Bytes that are no text become question marks: JSON has no other. */
static char *as_json_text(const char *text)
{
    char *copy = strdup(text);
    json_t *fits = copy ? json_string(copy) : NULL;
    for (char *p = copy; copy && !fits && *p; p++)
        if ((unsigned char)*p > '~') *p = '?';
    json_decref(fits);
    return copy;
}

syn_status syn_tape_begin(syn_tape *tape, const char *tag, const char *url, const char *model,
                          const char *body, syn_exchange **out)
{
    const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    *out = NULL;
    syn_exchange *x = calloc(1, sizeof *x);
    if (!x) return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    x->tag = as_json_text(tag ? tag : "");
    x->path = as_json_text(path ? path : "/");
    x->model = as_json_text(model);
    if (!x->tag || !x->path || !x->model) {
        syn_exchange_free(x);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    }
    x->key = syn_tape_key_of(SYN_TAPE_SEED_CALL, x->tag, x->path, body);
    pthread_mutex_lock(&tape->lock);
    const syn_status st = begin(tape, &x);
    if (st != SYN_OK) keep_fault(tape, st);
    pthread_mutex_unlock(&tape->lock);
    if (st == SYN_OK)
        *out = x;
    else
        syn_exchange_free(x);
    return st;
}

/* ---- figures ---- */

static double replay_value(syn_tape *t, syn_tape_key key, double value)
{
    char *line = NULL;
    const slot *s = find(&t->lines, key);
    if (!s || read_line(t, s, &line) != SYN_OK) return value;
    json_t *root = json_loadb(line, (size_t)s->bytes, 0, NULL);
    const json_t *kept = json_object_get(root, "value");
    if (json_is_number(kept)) value = json_number_value(kept);
    json_decref(root);
    free(line);
    return value;
}

double syn_tape_measured(syn_tape *tape, const char *tag, double value)
{
    if (!tape) return value;
    char *clean = as_json_text(tag), *text = NULL, key_text[33];
    if (!clean) return value;
    const syn_tape_key key = syn_tape_key_of(SYN_TAPE_SEED_MEASURED, clean, "", "");
    if (tape->mode == SYN_TAPE_REPLAY) {
        pthread_mutex_lock(&tape->lock);
        value = replay_value(tape, key, value);
        pthread_mutex_unlock(&tape->lock);
    } else if (isfinite(value)) {
        snprintf(key_text, sizeof key_text, "%016" PRIx64 "%016" PRIx64, key.high, key.low);
        json_t *root = json_pack("{s:s, s:i, s:s, s:f}", "key", key_text, "number", 0, "tag", clean,
                                 "value", value);
        text = root ? syn_json_text(root, JSON_COMPACT) : NULL;
        json_decref(root);
        put(tape, text);
    }
    free(text);
    free(clean);
    return value;
}
