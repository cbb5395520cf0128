#include "datasets/cache_private.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define RECORD(field, bytes, is_signed)                                                            \
    {                                                                                              \
        "/record/" #field, SYN_CACHE_RECORD, bytes, is_signed, offsetof(syn_record, field), 4096   \
    }
#define PIECE(field, bytes, is_signed)                                                             \
    {                                                                                              \
        "/piece/" #field, SYN_CACHE_PIECE, bytes, is_signed, offsetof(syn_piece, field), 8192      \
    }

const syn_cache_column syn_cache_columns[SYN_CACHE_COLUMNS] = {
    RECORD(question_count, 4, true),
    RECORD(question_key, 8, false),
    RECORD(piece_count, 4, true),
    RECORD(answerable, 1, false),
    RECORD(type, 1, false),
    RECORD(hops, 1, false),
    RECORD(source, 1, false),
    RECORD(context_key, 8, false),
    PIECE(title_count, 4, true),
    PIECE(body_count, 4, true),
    PIECE(title_key, 8, false),
    PIECE(gold, 1, false),
    PIECE(claim, 1, false),
    PIECE(claim_correct, 1, false),
    PIECE(group, 1, false),
    {"/token", SYN_CACHE_TOKEN, 4, false, 0, 65536},
    {"/id", SYN_CACHE_ID, 1, false, 0, 65536},
};

hid_t syn_cache_type(const syn_cache_column *c, bool in_file)
{
    switch (c->bytes) {
    case 1:
        return in_file ? H5T_STD_U8LE : H5T_NATIVE_UINT8;
    case 8:
        return in_file ? H5T_STD_U64LE : H5T_NATIVE_UINT64;
    default:
        if (c->is_signed) return in_file ? H5T_STD_I32LE : H5T_NATIVE_INT32;
        return in_file ? H5T_STD_U32LE : H5T_NATIVE_UINT32;
    }
}

syn_status syn_cache_seal_compute(int fd, const char *path, char seal[SYN_CACHE_SEAL_BYTES])
{
    enum { BLOCK = 1 << 20 };
    syn_status st = SYN_OK;
    struct stat info;
    off_t at = SYN_CACHE_SEAL_BYTES;
    char *block = malloc(BLOCK);
    XXH3_state_t *state = XXH3_createState();
    if (!block || !state || XXH3_128bits_reset(state) != XXH_OK) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: no memory for its checksum", path);
        goto done;
    }
    for (;;) {
        ssize_t n = pread(fd, block, BLOCK, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            st = syn_fail(SYN_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
            goto done;
        }
        if (n == 0) break;
        XXH3_128bits_update(state, block, (size_t)n);
        at += n;
    }
    if (fstat(fd, &info) != 0) {
        st = syn_fail(SYN_ERR_IO, "%s: cannot be examined: %s", path, strerror(errno));
        goto done;
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    memset(seal, 0, SYN_CACHE_SEAL_BYTES);
    snprintf(seal, SYN_CACHE_SEAL_BYTES, "%s %d\nbytes %lld\nxxh3-128 %016llx%016llx\n",
             SYN_CACHE_FORMAT, SYN_CACHE_VERSION, (long long)info.st_size,
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
done:
    XXH3_freeState(state);
    free(block);
    return st;
}

static json_t *source_write(const syn_source *s)
{
    json_t *skipped = json_object();
    for (int i = 0; i < SYN_SKIP_COUNT; i++)
        json_object_set_new(skipped, syn_skip_key(i), json_integer(s->skipped[i]));
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "name", s->name, "licence",
                     s->licence, "sha256", s->sha256, "bytes", (json_int_t)s->bytes, "records",
                     (json_int_t)s->records, "records_read", (json_int_t)s->records_read,
                     "fact_warnings", (json_int_t)s->fact_warnings, "cut", (json_int_t)s->cut,
                     "skipped", skipped);
}

char *syn_cache_config_write(const syn_source *sources, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, source_write(&sources[i]));
    json_t *config = json_pack("{s:o}", "sources", list);
    char *text =
        config && (int)json_array_size(list) == count ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    return text;
}

/* Copies a text of the configuration that fits and has no control characters. */
static syn_status text_read(const json_t *object, const char *key, char *to, size_t max)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) >= max)
        return syn_fail(SYN_ERR_FORMAT, "config_json: the %s of a source is missing or too long",
                        key);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            return syn_fail(SYN_ERR_FORMAT, "config_json: the %s of a source is not plain text",
                            key);
    strcpy(to, text);
    return SYN_OK;
}

static syn_status count_read(const json_t *object, const char *key, int64_t *to)
{
    const json_t *value = json_object_get(object, key);
    *to = json_integer_value(value);
    if (!json_is_integer(value) || *to < 0)
        return syn_fail(SYN_ERR_FORMAT, "config_json: \"%s\" of a source is not a count", key);
    return SYN_OK;
}

static syn_status source_read(const json_t *object, syn_source *s)
{
    SYN_RETURN_IF(text_read(object, "name", s->name, sizeof s->name));
    SYN_RETURN_IF(text_read(object, "licence", s->licence, sizeof s->licence));
    SYN_RETURN_IF(text_read(object, "sha256", s->sha256, sizeof s->sha256));
    if (strlen(s->sha256) != 64 || strspn(s->sha256, "0123456789abcdef") != 64)
        return syn_fail(SYN_ERR_FORMAT, "config_json: the sha256 of a source is not one");
    SYN_RETURN_IF(count_read(object, "bytes", &s->bytes));
    SYN_RETURN_IF(count_read(object, "records", &s->records));
    SYN_RETURN_IF(count_read(object, "records_read", &s->records_read));
    SYN_RETURN_IF(count_read(object, "fact_warnings", &s->fact_warnings));
    SYN_RETURN_IF(count_read(object, "cut", &s->cut));
    const json_t *skipped = json_object_get(object, "skipped");
    for (int i = 0; i < SYN_SKIP_COUNT; i++) {
        SYN_RETURN_IF(count_read(skipped, syn_skip_key(i), &s->skipped[i]));
    }
    return SYN_OK;
}

syn_status syn_cache_config_read(const char *json, syn_dataset *ds)
{
    syn_status st = SYN_OK;
    json_error_t error;
    json_t *config = json_loads(json, 0, &error);
    const json_t *list = json_object_get(config, "sources");
    size_t count = json_array_size(list);
    if (!config) {
        st = syn_fail(SYN_ERR_FORMAT, "config_json: %s", error.text);
        goto done;
    }
    if (count < 1 || count > SYN_SOURCES_MAX) {
        st = syn_fail(SYN_ERR_FORMAT, "config_json: %zu sources, 1 to %d are allowed", count,
                      SYN_SOURCES_MAX);
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        SYN_TRY(source_read(json_array_get(list, i), &ds->sources[i]));
    ds->source_count = (int)count;
done:
    json_decref(config);
    return st;
}
