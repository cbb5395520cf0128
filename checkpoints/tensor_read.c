#include "checkpoints/tensor_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie");

enum { PREFIX = 8 }; /* bytes of the header's length */

static const struct {
    const char *name;
    int64_t bytes;
} types[] = {
    [SYN_TENSOR_F32] = {"F32", 4}, [SYN_TENSOR_I32] = {"I32", 4}, [SYN_TENSOR_U8] = {"U8", 1},
    [SYN_TENSOR_F64] = {"F64", 8}, [SYN_TENSOR_I64] = {"I64", 8}, [SYN_TENSOR_U64] = {"U64", 8},
};
enum { TYPES = sizeof types / sizeof types[0] };

/* ---- The header's text ---- */

/* A place in the header; `good` is false from the first fault on. */
typedef struct cursor {
    char *begin, *at;
    bool good;
} cursor;

static void skip_blanks(cursor *c)
{
    while (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r') c->at++;
}

/* Takes the mark if it is the next one. */
static bool take(cursor *c, char mark)
{
    skip_blanks(c);
    if (!c->good || *c->at != mark) return false;
    c->at++;
    return true;
}

static void expect(cursor *c, char mark)
{
    if (!take(c, mark)) c->good = false;
}

/* A text without escapes; ends it where its closing quote stood. */
static const char *text(cursor *c)
{
    expect(c, '"');
    char *begin = c->at;
    while (c->good && *c->at != '"') {
        if (*c->at == '\\' || (unsigned char)*c->at < ' ') c->good = false;
        c->at += c->good;
    }
    if (!c->good) return "";
    *c->at++ = 0;
    return begin;
}

/* [n, n, ...] of numbers >= 0; at most `max`, returns how many. */
static int numbers(cursor *c, int max, int64_t *out)
{
    int n = 0;
    expect(c, '[');
    if (take(c, ']')) return 0;
    do {
        skip_blanks(c);
        char *end = c->at;
        errno = 0;
        const long long x = *c->at >= '0' && *c->at <= '9' ? strtoll(c->at, &end, 10) : -1;
        if (n == max || end == c->at || errno) c->good = false;
        if (!c->good) return 0;
        c->at = end;
        out[n++] = x;
    } while (take(c, ','));
    expect(c, ']');
    return n;
}

static void skip_texts(cursor *c)
{
    expect(c, '{');
    if (take(c, '}')) return;
    do {
        (void)text(c);
        expect(c, ':');
        (void)text(c);
    } while (take(c, ','));
    expect(c, '}');
}

static int type_of(const char *name)
{
    for (int k = 0; k < TYPES; k++)
        if (strcmp(types[k].name, name) == 0) return k;
    return -1;
}

/* One tensor's description; span: its data_offsets. */
static void describe(cursor *c, syn_tensor *t, int64_t span[2])
{
    int seen = 0;
    expect(c, '{');
    do {
        const char *key = text(c);
        expect(c, ':');
        if (strcmp(key, "dtype") == 0) {
            const int type = type_of(text(c));
            c->good = c->good && type >= 0;
            t->type = (syn_tensor_type)(type < 0 ? 0 : type);
            seen |= 1;
        } else if (strcmp(key, "shape") == 0) {
            t->rank = numbers(c, SYN_TENSOR_RANK_MAX, t->shape);
            seen |= 2;
        } else if (strcmp(key, "data_offsets") == 0) {
            if (numbers(c, 2, span) != 2) c->good = false;
            seen |= 4;
        } else {
            c->good = false;
        }
    } while (take(c, ','));
    expect(c, '}');
    if (seen != 7) c->good = false;
}

/* Whether the span holds what the shape says, within `bytes` of data. */
static bool fits(const syn_tensor *t, const int64_t span[2], int64_t bytes)
{
    int64_t size = types[t->type].bytes;
    if (t->rank < 1 || span[0] < 0 || span[1] < span[0] || span[1] > bytes) return false;
    for (int k = 0; k < t->rank; k++) {
        if (t->shape[k] < 1 || t->shape[k] > bytes / size) return false;
        size *= t->shape[k];
    }
    return span[1] - span[0] == size;
}

static syn_status parse(syn_tensor_file *f, const char *path, int64_t length, int64_t data)
{
    cursor c = {f->header, f->header, true};
    expect(&c, '{');
    do {
        const char *name = text(&c);
        expect(&c, ':');
        if (c.good && strcmp(name, "__metadata__") == 0) {
            skip_texts(&c);
            continue;
        }
        if (f->count == SYN_TENSOR_FILE_MAX)
            return syn_fail(SYN_ERR_LIMIT, "%s: more than %d tensors", path, SYN_TENSOR_FILE_MAX);
        syn_tensor *t = &f->item[f->count];
        int64_t span[2] = {0, 0};
        *t = (syn_tensor){.name = name};
        describe(&c, t, span);
        if (!c.good) break;
        if (strlen(name) >= SYN_TENSOR_NAME_BYTES_MAX || !fits(t, span, data))
            return syn_fail(SYN_ERR_FORMAT, "%s: tensor \"%.60s\" does not fit its bytes", path,
                            name);
        f->begin[f->count++] = PREFIX + length + span[0];
    } while (take(&c, ','));
    expect(&c, '}');
    skip_blanks(&c);
    if (c.good && c.at == f->header + length) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT, "%s: the header is not as expected at its byte %lld", path,
                    (long long)(c.at - c.begin));
}

/* ---- The file ---- */

static syn_status open_parts(syn_tensor_file *f, const char *path)
{
    uint64_t length = 0;
    f->file = fopen(path, "rb");
    if (!f->file) return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno));
    if (fseek(f->file, 0, SEEK_END) != 0) return syn_fail(SYN_ERR_IO, "%s: not a file", path);
    const int64_t size = ftell(f->file);
    rewind(f->file);
    if (size < PREFIX || fread(&length, PREFIX, 1, f->file) != 1 ||
        length > (uint64_t)(size - PREFIX))
        return syn_fail(SYN_ERR_FORMAT, "%s: not a file of tensors, or cut off", path);
    if (length > SYN_TENSOR_FILE_HEADER_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: a header of more than %d bytes", path,
                        SYN_TENSOR_FILE_HEADER_MAX);
    f->header = malloc((size_t)length + 1);
    if (!f->header) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory for its header", path);
    if (length && fread(f->header, (size_t)length, 1, f->file) != 1)
        return syn_fail(SYN_ERR_IO, "%s: cannot be read", path);
    f->header[length] = 0;
    return parse(f, path, (int64_t)length, size - PREFIX - (int64_t)length);
}

syn_status syn_tensor_file_open(syn_tensor_file *f, const char *path)
{
    memset(f, 0, sizeof *f);
    const syn_status st = open_parts(f, path);
    if (st != SYN_OK) syn_tensor_file_close(f);
    return st;
}

void syn_tensor_file_close(syn_tensor_file *f)
{
    if (f->file) (void)fclose(f->file);
    free(f->header);
    memset(f, 0, sizeof *f);
}

const syn_tensor *syn_tensor_file_find(const syn_tensor_file *f, const char *name)
{
    for (int k = 0; k < f->count; k++)
        if (strcmp(f->item[k].name, name) == 0) return &f->item[k];
    return NULL;
}

syn_status syn_tensor_file_has(const syn_tensor_file *f, const syn_tensor *want)
{
    const syn_tensor *t = syn_tensor_file_find(f, want->name);
    if (!t) return syn_fail(SYN_ERR_FORMAT, "the tensor \"%s\" is missing", want->name);
    bool same = t->type == want->type && t->rank == want->rank;
    for (int k = 0; same && k < t->rank; k++) same = t->shape[k] == want->shape[k];
    if (!same)
        return syn_fail(SYN_ERR_FORMAT, "the tensor \"%s\" has another type or shape", want->name);
    return SYN_OK;
}

syn_status syn_tensor_file_read(const syn_tensor_file *f, const syn_tensor *want)
{
    SYN_RETURN_IF(syn_tensor_file_has(f, want));
    const syn_tensor *t = syn_tensor_file_find(f, want->name);
    int64_t bytes = types[t->type].bytes;
    for (int k = 0; k < t->rank; k++) bytes *= t->shape[k];
    if (fseek(f->file, (long)f->begin[t - f->item], SEEK_SET) != 0 ||
        fread(want->data, (size_t)bytes, 1, f->file) != 1)
        return syn_fail(SYN_ERR_IO, "the tensor \"%s\" cannot be read", want->name);
    return SYN_OK;
}
