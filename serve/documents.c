#include "serve/documents.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "serve/text_file.h"
#include "serve/words.h"

enum { ARENA_BYTES_MAX = 64 << 20 };

static syn_status add(syn_documents *d, const char *name, syn_round_document document)
{
    if (d->count == SYN_ROUND_DOCUMENTS_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: more than %d documents", name, SYN_ROUND_DOCUMENTS_MAX);
    d->list[d->count++] = document;
    return SYN_OK;
}

/* ---- JSON ---- */

static syn_status text_field(syn_documents *d, const char *name, const json_t *object,
                             const char *key, const char **out)
{
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (!value || json_is_null(value)) return SYN_OK;
    if (!json_is_string(value))
        return syn_fail(SYN_ERR_FORMAT, "%s: document %d: \"%s\" is not a text", name, d->count + 1,
                        key);
    *out = syn_arena_text(&d->arena, json_string_value(value));
    return SYN_OK;
}

static syn_status agents_field(const syn_documents *d, const char *name, const json_t *object,
                               int agents, uint32_t *mask)
{
    const json_t *list = json_object_get(object, "agents");
    if (!list || json_is_null(list)) return SYN_OK;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return syn_fail(SYN_ERR_FORMAT, "%s: document %d: \"agents\" is not a list of numbers",
                        name, d->count + 1);
    *mask = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *agent = json_array_get(list, i);
        json_int_t k = json_is_integer(agent) ? json_integer_value(agent) : 0;
        if (k < 1 || k > agents)
            return syn_fail(SYN_ERR_FORMAT, "%s: document %d: \"agents\" names none of 1 to %d",
                            name, d->count + 1, agents);
        *mask |= 1u << (k - 1);
    }
    return SYN_OK;
}

static syn_status add_json(syn_documents *d, const char *name, const json_t *value, int agents,
                           uint32_t mask)
{
    syn_round_document document = {.agents = mask};
    if (json_is_string(value))
        document.text = syn_arena_text(&d->arena, json_string_value(value));
    else if (json_is_object(value)) {
        SYN_RETURN_IF(text_field(d, name, value, "id", &document.id));
        SYN_RETURN_IF(text_field(d, name, value, "title", &document.title));
        SYN_RETURN_IF(text_field(d, name, value, "text", &document.text));
        SYN_RETURN_IF(agents_field(d, name, value, agents, &document.agents));
    } else
        return syn_fail(SYN_ERR_FORMAT, "%s: document %d is neither an object nor a text", name,
                        d->count + 1);
    if (!document.text || !document.text[strspn(document.text, " \t\r\n")])
        return syn_fail(SYN_ERR_FORMAT, "%s: document %d has no \"text\"", name, d->count + 1);
    return add(d, name, document);
}

static syn_status add_list(syn_documents *d, const char *name, const json_t *list, int agents)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (!json_is_array(entry)) {
            SYN_RETURN_IF(add_json(d, name, entry, agents, 0));
            continue;
        }
        if ((int)i >= agents)
            return syn_fail(SYN_ERR_FORMAT, "%s: lists for more than %d agents", name, agents);
        for (size_t k = 0; k < json_array_size(entry); k++)
            SYN_RETURN_IF(add_json(d, name, json_array_get(entry, k), agents, 1u << i));
    }
    return SYN_OK;
}

static syn_status parse_json(const char *name, const char *text, size_t bytes, int agents,
                             syn_documents *d)
{
    json_error_t error;
    json_t *root = json_loadb(text, bytes, 0, &error);
    if (!root)
        return syn_fail(SYN_ERR_FORMAT, "%s: damaged JSON at line %d, column %d", name, error.line,
                        error.column);
    const json_t *list = json_is_object(root) ? json_object_get(root, "documents") : root;
    syn_status st = json_is_array(list)
                        ? add_list(d, name, list, agents)
                        : syn_fail(SYN_ERR_FORMAT, "%s: \"documents\" is not a list", name);
    json_decref(root);
    return st;
}

/* ---- plain text ---- */

static bool empty_line(const char *text, size_t at, size_t end)
{
    while (at < end && strchr(" \t\r", text[at])) at++;
    return at == end;
}

static size_t line_end(const char *text, size_t bytes, size_t at)
{
    const char *newline = memchr(text + at, '\n', bytes - at);
    return newline ? (size_t)(newline - text) : bytes;
}

static syn_status add_text(syn_documents *d, const char *name, const char *text, size_t bytes)
{
    static const char label[] = "Title:";
    syn_round_document document = {0};
    if (bytes >= sizeof label - 1 && memcmp(text, label, sizeof label - 1) == 0) {
        size_t end = line_end(text, bytes, 0), at = sizeof label - 1;
        while (at < end && strchr(" \t", text[at])) at++;
        size_t stop = end;
        while (stop > at && strchr(" \t\r", text[stop - 1])) stop--;
        document.title = syn_arena_text_n(&d->arena, text + at, stop - at);
        size_t skip = end < bytes ? end + 1 : bytes;
        text += skip;
        bytes -= skip;
    }
    if (empty_line(text, 0, bytes))
        return syn_fail(SYN_ERR_FORMAT, "%s: document %d has a title but no text", name,
                        d->count + 1);
    document.text = syn_arena_text_n(&d->arena, text, bytes);
    return add(d, name, document);
}

static syn_status parse_text(const char *name, const char *text, size_t bytes, syn_documents *d)
{
    size_t begin = 0, end = 0; /* of the document under way */
    for (size_t at = 0; at < bytes;) {
        size_t stop = line_end(text, bytes, at);
        if (!empty_line(text, at, stop)) {
            if (begin == end) begin = at;
            end = stop;
        } else if (begin < end) {
            SYN_RETURN_IF(add_text(d, name, text + begin, end - begin));
            begin = end;
        }
        at = stop + 1;
    }
    return begin < end ? add_text(d, name, text + begin, end - begin) : SYN_OK;
}

/* ---- files ---- */

syn_status syn_documents_parse(const char *name, const char *text, size_t bytes, int agents,
                               syn_documents *out)
{
    syn_status st = SYN_OK;
    memset(out, 0, sizeof *out);
    syn_arena_init(&out->arena, ARENA_BYTES_MAX);
    out->list = syn_arena_alloc(&out->arena, sizeof *out->list * SYN_ROUND_DOCUMENTS_MAX);
    int64_t fault = syn_utf8_fault(text, bytes);
    if (fault >= 0) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: byte %lld is not UTF-8", name, (long long)fault + 1);
        goto done;
    }
    if (memchr(text, 0, bytes)) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: holds a NUL byte", name);
        goto done;
    }
    size_t first = 0;
    while (first < bytes && strchr(" \t\r\n", text[first])) first++;
    bool json = first < bytes && (text[first] == '[' || text[first] == '{');
    if (out->list && json)
        SYN_TRY(parse_json(name, text, bytes, agents, out));
    else if (out->list)
        SYN_TRY(parse_text(name, text, bytes, out));
    if (out->arena.failed)
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", name);
    else if (out->count == 0)
        st = syn_fail(SYN_ERR_FORMAT, "%s: holds no documents", name);
done:
    if (st != SYN_OK) syn_documents_free(out);
    return st;
}

syn_status syn_documents_load(const char *path, int agents, syn_documents *out)
{
    char *text = NULL;
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    syn_status st = syn_text_file_read(path, SYN_DOCUMENTS_FILE_BYTES_MAX >> 20, &text, &bytes);
    if (st == SYN_OK) st = syn_documents_parse(path, text, bytes, agents, out);
    free(text);
    return st;
}

void syn_documents_free(syn_documents *d)
{
    syn_arena_free(&d->arena);
    memset(d, 0, sizeof *d);
}
