#include "checkpoints/manifest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
    [SYN_TENSOR_F32] = "f32", [SYN_TENSOR_I32] = "i32", [SYN_TENSOR_U8] = "u8",
    [SYN_TENSOR_F64] = "f64", [SYN_TENSOR_I64] = "i64", [SYN_TENSOR_U64] = "u64"};
static const int type_bytes[] = {[SYN_TENSOR_F32] = 4, [SYN_TENSOR_I32] = 4, [SYN_TENSOR_U8] = 1,
                                 [SYN_TENSOR_F64] = 8, [SYN_TENSOR_I64] = 8, [SYN_TENSOR_U64] = 8};
enum { TYPE_COUNT = 6 };

/* ---- tensors ---- */

const char *syn_tensor_type_name(syn_tensor_type type)
{
    return type_names[type];
}

int64_t syn_tensor_elements(const syn_tensor *tensor)
{
    int64_t n = 1;
    for (int i = 0; i < tensor->rank; i++) n *= tensor->shape[i];
    return n;
}

int64_t syn_tensor_bytes(const syn_tensor *tensor)
{
    return syn_tensor_elements(tensor) * type_bytes[tensor->type];
}

const char *syn_tensor_shape_text(const syn_tensor *t, char out[128])
{
    int n = snprintf(out, 128, "(");
    for (int i = 0; i < t->rank; i++) {
        n += snprintf(out + n, 128 - (size_t)n, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    }
    snprintf(out + n, 128 - (size_t)n, ")");
    return out;
}

static bool name_valid(const char *name)
{
    size_t n = strnlen(name, SYN_TENSOR_NAME_BYTES_MAX);
    if (n == 0 || n == SYN_TENSOR_NAME_BYTES_MAX || name[0] == '.') return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])) return false;
    }
    return true;
}

static int name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static syn_status names_distinct(const char *where, const syn_tensor *tensors, int count,
                                 syn_status code)
{
    const char **names = malloc(sizeof *names * (size_t)(count + 1));
    if (!names) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", where);
    for (int i = 0; i < count; i++) names[i] = tensors[i].name;
    qsort(names, (size_t)count, sizeof *names, name_order);
    syn_status st = SYN_OK;
    for (int i = 1; i < count && st == SYN_OK; i++) {
        if (!strcmp(names[i - 1], names[i])) {
            st = syn_fail(code, "%s: tensor %s is listed twice", where, names[i]);
        }
    }
    free(names);
    return st;
}

syn_status syn_tensors_check(const char *where, const syn_tensor *tensors, int count,
                             syn_status code)
{
    int64_t total = 0;
    if (count < 1 || count > SYN_CHECKPOINT_TENSORS_MAX) {
        return syn_fail(code, "%s: %d tensors, allowed are 1 to %d", where, count,
                        SYN_CHECKPOINT_TENSORS_MAX);
    }
    for (int i = 0; i < count; i++) {
        const syn_tensor *t = &tensors[i];
        if (!t->name || !name_valid(t->name)) {
            return syn_fail(code,
                            "%s: the name of tensor %d is not 1 to %d letters, digits, '.', '_', "
                            "'-'",
                            where, i, SYN_TENSOR_NAME_BYTES_MAX - 1);
        }
        if (t->rank < 1 || t->rank > SYN_TENSOR_RANK_MAX) {
            return syn_fail(code, "%s: tensor %s has rank %d, allowed are 1 to %d", where, t->name,
                            t->rank, SYN_TENSOR_RANK_MAX);
        }
        if ((int)t->type < 0 || (int)t->type >= TYPE_COUNT) {
            return syn_fail(code, "%s: tensor %s has an unknown type", where, t->name);
        }
        int64_t bytes = type_bytes[t->type];
        for (int k = 0; k < t->rank; k++) {
            if (t->shape[k] < 1 || t->shape[k] > SYN_WEIGHTS_BYTES_MAX / bytes) {
                return syn_fail(code, "%s: tensor %s has a dimension of %lld", where, t->name,
                                (long long)t->shape[k]);
            }
            bytes *= t->shape[k];
        }
        total += bytes;
        if (total > SYN_WEIGHTS_BYTES_MAX) {
            return syn_fail(code, "%s: the tensors are larger than the %lld bytes allowed", where,
                            (long long)SYN_WEIGHTS_BYTES_MAX);
        }
    }
    return names_distinct(where, tensors, count, code);
}

/* ---- parsing ---- */

static syn_status field_wrong(const char *where, const char *field, const char *what)
{
    return syn_fail(SYN_ERR_FORMAT, "%s: %s is missing or not %s", where, field, what);
}

static syn_status take_hash(const char *where, const json_t *root, const char *field,
                            char out[SYN_SHA256_TEXT])
{
    const json_t *value = json_object_get(root, field);
    const char *text = json_string_value(value);
    bool good = text && json_string_length(value) == SYN_SHA256_TEXT - 1;
    for (int i = 0; good && i < SYN_SHA256_TEXT - 1; i++) {
        good = isdigit((unsigned char)text[i]) || (text[i] >= 'a' && text[i] <= 'f');
    }
    if (!good) return field_wrong(where, field, "64 lower-case hex digits");
    memcpy(out, text, SYN_SHA256_TEXT);
    return SYN_OK;
}

static syn_status take_integer(const char *where, const json_t *root, const char *field,
                               int64_t max, int64_t *out)
{
    const json_t *value = json_object_get(root, field);
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= 1 && *out <= max) return SYN_OK;
    char what[64];
    snprintf(what, sizeof what, "a whole number from 1 to %lld", (long long)max);
    return field_wrong(where, field, what);
}

static syn_status take_tensor(const char *where, size_t index, const json_t *entry, syn_tensor *t)
{
    char here[1200];
    const json_t *shape = json_object_get(entry, "shape");
    const char *type = json_string_value(json_object_get(entry, "type"));
    snprintf(here, sizeof here, "%s: tensors[%zu]", where, index);
    t->name = json_string_value(json_object_get(entry, "name"));
    if (!t->name) return field_wrong(here, "name", "a text");
    if (!json_is_array(shape) || json_array_size(shape) > SYN_TENSOR_RANK_MAX) {
        return field_wrong(here, "shape", "an array of 1 to 4 numbers");
    }
    t->rank = (int)json_array_size(shape);
    for (int k = 0; k < t->rank; k++) {
        const json_t *n = json_array_get(shape, (size_t)k);
        if (!json_is_integer(n)) return field_wrong(here, "shape", "an array of 1 to 4 numbers");
        t->shape[k] = json_integer_value(n);
    }
    for (int k = 0; type && k < TYPE_COUNT; k++) {
        if (strcmp(type, type_names[k])) continue;
        t->type = (syn_tensor_type)k;
        return SYN_OK;
    }
    return field_wrong(here, "type", "f32, i32, u8, f64, i64 or u64");
}

static syn_status take_tensors(const char *where, syn_manifest *m)
{
    const json_t *list = json_object_get(m->root, "tensors");
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count < 1 || count > SYN_CHECKPOINT_TENSORS_MAX) {
        return field_wrong(where, "tensors", "an array of 1 to 4096 tensors");
    }
    m->tensors = calloc(count, sizeof *m->tensors);
    if (!m->tensors) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", where);
    m->tensor_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        SYN_RETURN_IF(take_tensor(where, i, json_array_get(list, i), &m->tensors[i]));
    }
    SYN_RETURN_IF(syn_tensors_check(where, m->tensors, m->tensor_count, SYN_ERR_FORMAT));
    int64_t total = 0;
    for (int i = 0; i < m->tensor_count; i++) total += syn_tensor_bytes(&m->tensors[i]);
    if (total > m->file_bytes) {
        return syn_fail(SYN_ERR_FORMAT, "%s: the tensors need %lld bytes, but file_bytes is %lld",
                        where, (long long)total, (long long)m->file_bytes);
    }
    return SYN_OK;
}

/* The SHA-256 of all other fields, in one canonical form. */
static syn_status own_hash(const char *where, const json_t *root, char out[SYN_SHA256_TEXT])
{
    json_t *rest = json_copy((json_t *)root);
    if (rest) json_object_del(rest, "manifest_sha256");
    char *text = rest ? json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(rest);
    if (!text) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", where);
    syn_status st = syn_sha256_of(text, strlen(text), out);
    free(text);
    return st;
}

static syn_status take_format(const char *where, const json_t *root, int *out)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *version = json_object_get(root, "format_version");
    const json_int_t number = json_integer_value(version);
    if (!format || strcmp(format, SYN_MANIFEST_FORMAT)) {
        return field_wrong(where, "format", "\"" SYN_MANIFEST_FORMAT "\"");
    }
    if (!json_is_integer(version)) return field_wrong(where, "format_version", "a whole number");
    if (number < 1 || number > SYN_MANIFEST_VERSION) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "%s: format_version is %lld, this build reads 1 to %d",
                        where, (long long)number, SYN_MANIFEST_VERSION);
    }
    *out = (int)number;
    return SYN_OK;
}

syn_status syn_metrics_check(const char *where, const json_t *metrics, syn_status code)
{
    const char *name;
    json_t *value;
    if (!json_is_object(metrics) || json_object_size(metrics) > SYN_CHECKPOINT_METRICS_MAX) {
        return syn_fail(code, "%s: metrics is missing or not an object of at most %d numbers",
                        where, SYN_CHECKPOINT_METRICS_MAX);
    }
    json_object_foreach((json_t *)metrics, name, value)
    {
        size_t n = strlen(name);
        if (n < 1 || n >= SYN_METRIC_NAME_BYTES_MAX) {
            return syn_fail(code, "%s: a metric's name has %zu bytes, allowed are 1 to %d", where,
                            n, SYN_METRIC_NAME_BYTES_MAX - 1);
        }
        if (!json_is_number(value)) {
            return syn_fail(code, "%s: metric %s is not a number", where, name);
        }
    }
    return SYN_OK;
}

/* The only name that is accepted is our own, so nothing outside the folder can be named. */
static syn_status take_file(const char *where, syn_manifest *m)
{
    if (m->format == 1) {
        snprintf(m->file, sizeof m->file, "weights-%lld.h5", (long long)m->version);
    } else {
        snprintf(m->file, sizeof m->file, SYN_WEIGHTS_NAME);
    }
    const char *file = json_string_value(json_object_get(m->root, "file"));
    return file && !strcmp(file, m->file) ? SYN_OK : field_wrong(where, "file", m->file);
}

static syn_status take_fields(const char *where, syn_manifest *m)
{
    char stored[SYN_SHA256_TEXT], computed[SYN_SHA256_TEXT];
    json_t *root = m->root;
    SYN_RETURN_IF(take_format(where, root, &m->format));
    SYN_RETURN_IF(take_hash(where, root, "manifest_sha256", stored));
    SYN_RETURN_IF(own_hash(where, root, computed));
    if (strcmp(stored, computed)) {
        return syn_fail(SYN_ERR_FORMAT, "%s: damaged or edited: it does not match its own SHA-256",
                        where);
    }
    SYN_RETURN_IF(take_integer(where, root, m->format == 1 ? "generation" : "version",
                               SYN_VERSION_MAX, &m->version));
    SYN_RETURN_IF(take_integer(where, root, "file_bytes", SYN_WEIGHTS_BYTES_MAX, &m->file_bytes));
    SYN_RETURN_IF(take_hash(where, root, "file_sha256", m->file_sha256));
    SYN_RETURN_IF(take_hash(where, root, "content_sha256", m->content_sha256));
    SYN_RETURN_IF(take_file(where, m));
    const char *created = json_string_value(json_object_get(root, "created"));
    if (!created || strlen(created) >= sizeof m->created) {
        return field_wrong(where, "created", "a date");
    }
    memcpy(m->created, created, strlen(created) + 1);
    if (!json_is_object(json_object_get(root, "config"))) {
        return field_wrong(where, "config", "an object");
    }
    if (!json_is_object(json_object_get(root, "provenance"))) {
        return field_wrong(where, "provenance", "an object");
    }
    if (m->format == 1) {
        if (json_object_set_new(root, "metrics", json_object()) != 0) {
            return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", where);
        }
    } else {
        SYN_RETURN_IF(syn_metrics_check(where, json_object_get(root, "metrics"), SYN_ERR_FORMAT));
    }
    return take_tensors(where, m);
}

syn_status syn_manifest_parse(const char *where, const char *text, size_t length, syn_manifest *out)
{
    json_error_t error;
    memset(out, 0, sizeof *out);
    out->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!out->root) {
        return syn_fail(SYN_ERR_FORMAT, "%s:%d:%d: %s", where, error.line, error.column,
                        error.text);
    }
    syn_status st = json_is_object(out->root)
                        ? take_fields(where, out)
                        : syn_fail(SYN_ERR_FORMAT, "%s: not a JSON object", where);
    if (st != SYN_OK) syn_manifest_free(out);
    return st;
}

/* ---- writing ---- */

static json_t *tensor_entry(const syn_tensor *t)
{
    json_t *shape = json_array();
    for (int k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->shape[k]));
    return json_pack("{s:s, s:s, s:o}", "name", t->name, "type", type_names[t->type], "shape",
                     shape);
}

syn_status syn_manifest_format(const syn_manifest *m, json_t *config, json_t *provenance,
                               json_t *metrics, char **text)
{
    char hash[SYN_SHA256_TEXT];
    syn_status st = syn_fail(SYN_ERR_MEMORY, "the manifest does not fit in memory");
    json_t *tensors = json_array(), *root = NULL;
    *text = NULL;
    for (int i = 0; i < m->tensor_count; i++) {
        if (json_array_append_new(tensors, tensor_entry(&m->tensors[i])) != 0) goto done;
    }
    root = json_pack("{s:s, s:i, s:s, s:I, s:s, s:I, s:s, s:s, s:O, s:O, s:O, s:O}", "format",
                     SYN_MANIFEST_FORMAT, "format_version", (int)SYN_MANIFEST_VERSION, "created",
                     m->created, "version", (json_int_t)m->version, "file", SYN_WEIGHTS_NAME,
                     "file_bytes", (json_int_t)m->file_bytes, "file_sha256", m->file_sha256,
                     "content_sha256", m->content_sha256, "metrics", metrics, "config", config,
                     "provenance", provenance, "tensors", tensors);
    if (!root) goto done;
    SYN_TRY(own_hash("the manifest", root, hash));
    json_object_set_new(root, "manifest_sha256", json_string(hash));
    *text = json_dumps(root, JSON_INDENT(1));
    if (!*text) st = syn_fail(SYN_ERR_MEMORY, "the manifest does not fit in memory");
done:
    json_decref(root);
    json_decref(tensors);
    return st;
}

void syn_manifest_free(syn_manifest *m)
{
    free(m->tensors);
    json_decref(m->root);
    memset(m, 0, sizeof *m);
}
