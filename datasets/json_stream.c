#include "datasets/json_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/bytes16.h"

enum { READ_BYTES = 1 << 20 };

static syn_status digest_begin(syn_json_stream *s)
{
    s->digest = EVP_MD_CTX_new();
    if (!s->digest || EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL) != 1)
        return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its checksum", s->path);
    return SYN_OK;
}

syn_status syn_json_stream_open_member(syn_json_stream *s, const char *path, syn_archive *archive,
                                       int64_t index)
{
    *s = (syn_json_stream){.path = path, .fd = -1, .line = 1, .column = 1};
    SYN_RETURN_IF(syn_archive_member_open(archive, index, &s->member, &s->file_bytes));
    return digest_begin(s);
}

syn_status syn_json_stream_open(syn_json_stream *s, const char *path)
{
    struct stat info;
    *s = (syn_json_stream){.path = path, .fd = -1, .line = 1, .column = 1};
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return syn_fail(SYN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(s->fd, &info) != 0)
        return syn_fail(SYN_ERR_IO, "%s: cannot be examined: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return syn_fail(SYN_ERR_FORMAT, "%s: is a folder, a JSON file is expected", path);
    s->file_bytes = S_ISREG(info.st_mode) ? info.st_size : 0;
    posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return digest_begin(s);
}

void syn_json_stream_close(syn_json_stream *s)
{
    /* A zeroed stream never opened anything: fd 0 is not ours. */
    if (s->path && s->fd >= 0) close(s->fd);
    syn_archive_member_close(s->member);
    EVP_MD_CTX_free(s->digest);
    syn_json_free(&s->key);
    free(s->data);
    *s = (syn_json_stream){.fd = -1};
}

bool syn_digest_hex(void *digest, char hex[65])
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned int bytes;
    if (EVP_DigestFinal_ex(digest, value, &bytes) != 1 || bytes != 32) return false;
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[value[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[value[i] & 15];
    }
    hex[64] = '\0';
    return true;
}

syn_status syn_json_stream_sha256(syn_json_stream *s, char hex[65])
{
    if (!syn_digest_hex(s->digest, hex))
        return syn_fail(SYN_ERR_MEMORY, "%s: its checksum cannot be computed", s->path);
    return SYN_OK;
}

/* Makes room behind the unread bytes: by moving them to the front, and by growing. */
static syn_status room_make(syn_json_stream *s)
{
    if (s->begin > 0) {
        memmove(s->data, s->data + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    if (s->data_max - s->end >= READ_BYTES) return SYN_OK;
    size_t max = s->data_max ? 2 * s->data_max : 2 * READ_BYTES;
    if (max > (size_t)SYN_RECORD_BYTES_MAX + 2 * READ_BYTES)
        max = (size_t)SYN_RECORD_BYTES_MAX + 2 * READ_BYTES;
    char *data = realloc(s->data, max);
    if (!data)
        return syn_fail(SYN_ERR_MEMORY, "%s: no memory for a record of %zu bytes", s->path, max);
    s->data = data;
    s->data_max = max;
    return SYN_OK;
}

static syn_status bytes_read(syn_json_stream *s, char *to, size_t max, size_t *got)
{
    ssize_t n;
    if (s->member) return syn_archive_member_read(s->member, to, max, got);
    do n = read(s->fd, to, max);
    while (n < 0 && errno == EINTR);
    if (n < 0) return syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", s->path, strerror(errno));
    *got = (size_t)n;
    return SYN_OK;
}

/* Reads more bytes behind the unread ones; sets at_end. */
static syn_status fill(syn_json_stream *s)
{
    SYN_RETURN_IF(room_make(s));
    size_t room = s->data_max - s->end, n = 0;
    SYN_RETURN_IF(bytes_read(s, s->data + s->end, room < READ_BYTES ? room : READ_BYTES, &n));
    if (n == 0) s->at_end = true;
    if (EVP_DigestUpdate(s->digest, s->data + s->end, n) != 1)
        return syn_fail(SYN_ERR_MEMORY, "%s: its checksum cannot be computed", s->path);
    s->end += n;
    s->read_bytes += (int64_t)n;
    return SYN_OK;
}

/* Moves line and column over `count` bytes. */
static void place_move(int64_t *line, int64_t *column, const char *bytes, size_t count)
{
    const char *end = bytes + count, *at = bytes, *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        ++*line;
        *column = 1;
        at = newline + 1;
    }
    *column += end - at;
}

static void pass(syn_json_stream *s, size_t count)
{
    place_move(&s->line, &s->column, s->data + s->begin, count);
    s->begin += count;
}

static syn_status fail_here(const syn_json_stream *s, syn_status code, const char *what)
{
    return syn_fail(code, "%s: line %lld, column %lld: %s", s->path, (long long)s->line,
                    (long long)s->column, what);
}

/* The next byte that is not blank, not passed; 0 at the end of the file. */
static syn_status peek(syn_json_stream *s, char *c)
{
    for (;;) {
        size_t at = s->begin;
        while (at < s->end && strchr(" \n\r\t", s->data[at]) && s->data[at]) at++;
        pass(s, at - s->begin);
        if (s->begin < s->end) {
            *c = s->data[s->begin];
            if (*c == 0) return fail_here(s, SYN_ERR_FORMAT, "a NUL byte: this is not a JSON file");
            return SYN_OK;
        }
        if (s->at_end) {
            *c = 0;
            return SYN_OK;
        }
        SYN_RETURN_IF(fill(s));
    }
}

/* Where the scan of a record stands, so that it goes on when more bytes have come. */
typedef struct scan {
    size_t count; /* bytes seen */
    int64_t depth;
    bool text, escaped;
} scan;

/* From `i` on, where the next quote or backslash stands. */
static size_t text_run(const char *bytes, size_t i, size_t count)
{
    for (; count - i >= 16; i += 16) {
        const syn_bytes16 b = syn_bytes16_load(bytes + i);
        const size_t other = syn_bytes16_first((syn_bytes16)(b == (unsigned char)'"') |
                                               (syn_bytes16)(b == (unsigned char)'\\'));
        if (other < 16) return i + other;
    }
    while (i < count && bytes[i] != '"' && bytes[i] != '\\') i++;
    return i;
}

/* Goes on to the last bracket of a record, or the last quote of a text; false when more bytes are
 * needed. */
static bool scan_on(scan *sc, const char *bytes, size_t count)
{
    size_t i = sc->count;
    while (i < count) {
        if (sc->escaped) {
            sc->escaped = false;
            i++;
            continue;
        }
        if (sc->text) {
            i = text_run(bytes, i, count);
            if (i == count) break;
            sc->escaped = bytes[i] == '\\';
            sc->text = sc->escaped;
            i++;
            if (sc->text || sc->depth > 0) continue;
            sc->count = i;
            return true;
        }
        char c = bytes[i++];
        if (c == '"') sc->text = true;
        if (c == '{' || c == '[') sc->depth++;
        if ((c == '}' || c == ']') && --sc->depth == 0) {
            sc->count = i;
            return true;
        }
    }
    sc->count = i;
    return false;
}

/* Finds where the list, object or text ends at whose beginning the stream stands. */
static syn_status value_find(syn_json_stream *s, size_t *bytes)
{
    scan sc = {0};
    long long number = (long long)s->records + 1, line = (long long)s->line;
    while (!scan_on(&sc, s->data + s->begin, s->end - s->begin)) {
        if (sc.count > SYN_RECORD_BYTES_MAX) break;
        if (s->at_end)
            return syn_fail(SYN_ERR_FORMAT,
                            "%s: ends inside record %lld, which begins at line %lld, column %lld: "
                            "is the file cut off?",
                            s->path, number, line, (long long)s->column);
        SYN_RETURN_IF(fill(s));
    }
    if (sc.count > SYN_RECORD_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT,
                        "%s: record %lld, which begins at line %lld, column %lld, is longer than "
                        "%d MiB",
                        s->path, number, line, (long long)s->column, SYN_RECORD_BYTES_MAX >> 20);
    *bytes = sc.count;
    return SYN_OK;
}

static syn_status record_find(syn_json_stream *s, syn_slice *record)
{
    SYN_RETURN_IF(value_find(s, &s->record_bytes));
    *record = (syn_slice){s->data + s->begin, s->record_bytes};
    s->records++;
    return SYN_OK;
}

/* ---- Members of the top-level object ---- */

static syn_status fail_cut(const syn_json_stream *s)
{
    return syn_fail(SYN_ERR_FORMAT, "%s: ends behind record %lld: is the file cut off?", s->path,
                    (long long)s->records);
}

/* Reads a key and its colon into s->name. */
static syn_status key_read(syn_json_stream *s)
{
    char c;
    size_t bytes;
    syn_slice text;
    SYN_RETURN_IF(peek(s, &c));
    if (c == 0) return fail_cut(s);
    if (c != '"') return fail_here(s, SYN_ERR_FORMAT, "a key in quotes is expected");
    SYN_RETURN_IF(value_find(s, &bytes));
    syn_json_begin(&s->key, s->data + s->begin, bytes);
    if (!syn_json_string(&s->key, "a key", &text))
        return fail_here(s, SYN_ERR_FORMAT, s->key.fault);
    if (text.count > SYN_STREAM_KEY_MAX)
        return fail_here(s, SYN_ERR_LIMIT, "a key of more than 255 bytes");
    memcpy(s->name, text.bytes, text.count);
    s->name[text.count] = '\0';
    s->name_bytes = text.count;
    pass(s, bytes);
    SYN_RETURN_IF(peek(s, &c));
    if (c != ':')
        return c ? fail_here(s, SYN_ERR_FORMAT, "':' is expected behind a key") : fail_cut(s);
    pass(s, 1);
    return SYN_OK;
}

/* Passes over a value; numbers and words are not checked, nobody reads them. */
static syn_status value_pass(syn_json_stream *s)
{
    char c;
    size_t bytes;
    SYN_RETURN_IF(peek(s, &c));
    if (c == '"' || c == '{' || c == '[') {
        SYN_RETURN_IF(value_find(s, &bytes));
        pass(s, bytes);
        return SYN_OK;
    }
    if (c == 0) return fail_cut(s);
    if (!strchr("-0123456789tfn", c)) return fail_here(s, SYN_ERR_FORMAT, "a value is expected");
    while (c && !strchr(",]} \n\r\t", c)) {
        pass(s, 1);
        if (s->begin == s->end && !s->at_end) SYN_RETURN_IF(fill(s));
        c = s->begin < s->end ? s->data[s->begin] : 0;
    }
    return SYN_OK;
}

/* Behind a member: true at the next one, false where the object has been closed. */
static syn_status member_next(syn_json_stream *s, bool first, bool *there)
{
    char c;
    SYN_RETURN_IF(peek(s, &c));
    *there = c != '}';
    if (c == '}') {
        pass(s, 1);
        return SYN_OK;
    }
    if (c == 0) return fail_cut(s);
    if (first) return SYN_OK;
    if (c != ',') return fail_here(s, SYN_ERR_FORMAT, "',' or '}' is expected behind a member");
    pass(s, 1);
    return SYN_OK;
}

/* Goes on to the list "data" and enters it, or to the end of the object. */
static syn_status data_find(syn_json_stream *s)
{
    bool there;
    char c;
    for (bool first = !s->has_data;; first = false) {
        SYN_RETURN_IF(member_next(s, first, &there));
        if (!there) break;
        SYN_RETURN_IF(key_read(s));
        SYN_RETURN_IF(peek(s, &c));
        if (strcmp(s->name, "data") != 0) {
            SYN_RETURN_IF(value_pass(s));
            continue;
        }
        if (s->has_data) return fail_here(s, SYN_ERR_FORMAT, "\"data\" comes twice");
        if (c != '[') return fail_here(s, SYN_ERR_FORMAT, "\"data\" is not a list");
        pass(s, 1);
        s->has_data = true;
        s->close = ']';
        return SYN_OK;
    }
    if (!s->has_data)
        return syn_fail(SYN_ERR_FORMAT, "%s: the object at the top level has no list \"data\"",
                        s->path);
    s->close = 0;
    return SYN_OK;
}

/* Passes a byte order mark and the opening bracket. */
static syn_status open_top(syn_json_stream *s)
{
    char c;
    SYN_RETURN_IF(fill(s));
    while (!s->at_end && s->end < 3) SYN_RETURN_IF(fill(s));
    if (s->end == 0) return syn_fail(SYN_ERR_FORMAT, "%s: is empty", s->path);
    if (s->end >= 3 && memcmp(s->data, "\xef\xbb\xbf", 3) == 0) s->begin = 3;
    SYN_RETURN_IF(peek(s, &c));
    if (c == 0) return syn_fail(SYN_ERR_FORMAT, "%s: holds nothing but blanks", s->path);
    s->opened = true;
    if (s->layout == SYN_JSON_RECORDS) {
        if (c != '[' && c != '{')
            return fail_here(
                s, SYN_ERR_FORMAT,
                "a list of records, or one record a line, is expected at the top level");
        if (c == '[') {
            s->close = ']';
            pass(s, 1);
        }
        return SYN_OK;
    }
    if (c != '{')
        return fail_here(s, SYN_ERR_FORMAT,
                         s->layout == SYN_JSON_MEMBERS
                             ? "an object of records by name is expected at the top level"
                             : "an object with the list \"data\" is expected at the top level");
    pass(s, 1);
    s->close = '}';
    return s->layout == SYN_JSON_DATA ? data_find(s) : SYN_OK;
}

/* What held the records has been closed: nothing but blanks may follow. */
static syn_status close_top(syn_json_stream *s)
{
    char c;
    pass(s, 1);
    s->close = 0;
    if (s->layout == SYN_JSON_DATA) SYN_RETURN_IF(data_find(s));
    SYN_RETURN_IF(peek(s, &c));
    if (c)
        return fail_here(s, SYN_ERR_FORMAT,
                         s->layout == SYN_JSON_RECORDS ? "text behind the end of the list"
                                                       : "text behind the end of the object");
    return SYN_OK;
}

syn_status syn_json_stream_next(syn_json_stream *s, syn_slice *record)
{
    char c;
    *record = (syn_slice){NULL, 0};
    if (!s->opened) SYN_RETURN_IF(open_top(s));
    pass(s, s->record_bytes);
    s->record_bytes = 0;
    SYN_RETURN_IF(peek(s, &c));
    if (s->close && c == s->close) return close_top(s);
    if (s->close && s->records > 0 && c) {
        if (c != ',')
            return fail_here(s, SYN_ERR_FORMAT,
                             s->close == ']' ? "',' or ']' is expected behind a record"
                                             : "',' or '}' is expected behind a record");
        pass(s, 1);
        SYN_RETURN_IF(peek(s, &c));
    }
    if (c == 0) {
        if (s->close)
            return syn_fail(SYN_ERR_FORMAT,
                            "%s: ends inside the %s, behind record %lld: is the "
                            "file cut off?",
                            s->path, s->close == ']' ? "list" : "object", (long long)s->records);
        return SYN_OK;
    }
    if (s->layout == SYN_JSON_MEMBERS) {
        SYN_RETURN_IF(key_read(s));
        SYN_RETURN_IF(peek(s, &c));
    }
    if (c != '{') return fail_here(s, SYN_ERR_FORMAT, "a record must be an object, in braces");
    return record_find(s, record);
}

syn_status syn_json_stream_fault(const syn_json_stream *s, const syn_json *j)
{
    int64_t line = s->line, column = s->column;
    place_move(&line, &column, j->begin, (size_t)(j->fault_at - j->begin));
    return syn_fail(SYN_ERR_FORMAT, "%s: line %lld, column %lld (record %lld): %s", s->path,
                    (long long)line, (long long)column, (long long)s->records, j->fault);
}
