#include "checkpoints/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "checkpoints/manifest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they lie");

static const char *const type_names[] = {
    [SYN_TENSOR_F32] = "F32", [SYN_TENSOR_I32] = "I32", [SYN_TENSOR_U8] = "U8",
    [SYN_TENSOR_F64] = "F64", [SYN_TENSOR_I64] = "I64", [SYN_TENSOR_U64] = "U64",
};

static int64_t width(const syn_tensor *t)
{
    return syn_tensor_bytes(t) / syn_tensor_elements(t);
}

static int wide_first(const void *a, const void *b)
{
    const syn_tensor *x = *(const syn_tensor *const *)a, *y = *(const syn_tensor *const *)b;
    const int64_t order = width(y) - width(x);
    return order ? (int)order : strcmp(x->name, y->name);
}

static json_t *entry(const syn_tensor *t, int64_t begin)
{
    json_t *shape = json_array();
    for (int k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->shape[k]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_names[t->type], "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)(begin + syn_tensor_bytes(t)));
}

/* The header, padded with spaces; free() it. */
static char *header_text(const syn_tensor *const *order, int count, const json_t *metadata,
                         size_t *bytes)
{
    json_t *root = json_object();
    int64_t at = 0;
    bool good =
        root && (!metadata || json_object_set(root, "__metadata__", (json_t *)metadata) == 0);
    for (int i = 0; i < count && good; i++) {
        good = json_object_set_new(root, order[i]->name, entry(order[i], at)) == 0;
        at += syn_tensor_bytes(order[i]);
    }
    char *text = good ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) return NULL;
    const size_t length = strlen(text);
    *bytes = (length + 7) / 8 * 8;
    char *padded = realloc(text, *bytes + 1);
    if (!padded) {
        free(text);
        return NULL;
    }
    memset(padded + length, ' ', *bytes - length);
    return padded;
}

syn_status syn_safetensors_write(const char *file, const syn_tensors *tensors,
                                 const json_t *metadata)
{
    syn_status st;
    syn_folder folder = {.fd = -1};
    syn_file_writer w = {.fd = -1};
    char *path = strdup(file), *text = NULL;
    size_t bytes = 0;
    const syn_tensor **order = malloc(sizeof *order * (size_t)(tensors->count + 1));
    SYN_TRY(syn_tensors_check(file, tensors->item, tensors->count, SYN_ERR_INVALID));
    for (int i = 0; order && i < tensors->count; i++) order[i] = &tensors->item[i];
    if (order) qsort(order, (size_t)tensors->count, sizeof(void *), wide_first);
    text = order ? header_text(order, tensors->count, metadata, &bytes) : NULL;
    if (!text || !path) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", file);
        goto done;
    }
    SYN_TRY(syn_folder_open_above(&folder, path, &w.name));
    SYN_TRY(syn_file_begin(&w, &folder, w.name));
    const uint64_t length = bytes;
    syn_file_add(&w, &length, sizeof length);
    syn_file_add(&w, text, bytes);
    for (int i = 0; i < tensors->count; i++) {
        syn_file_add(&w, order[i]->data, (size_t)syn_tensor_bytes(order[i]));
    }
    SYN_TRY(syn_file_commit(&w));
done:
    syn_file_abandon(&w);
    syn_folder_close(&folder);
    free(text);
    free(path);
    free(order);
    return st;
}
