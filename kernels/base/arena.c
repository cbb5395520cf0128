#include "kernels/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES_MIN = 2 * 1024, BLOCK_BYTES_MAX = 64 * 1024, ALIGNMENT = 16 };

typedef struct syn_arena_block {
    struct syn_arena_block *next;
    size_t used, size;
    _Alignas(ALIGNMENT) unsigned char data[];
} syn_arena_block;

/* ---- the whole ---- */

void syn_arena_init(syn_arena *a, size_t bytes_max)
{
    *a = (syn_arena){.bytes_max = bytes_max};
}

void syn_arena_empty(syn_arena *a)
{
    syn_arena_block *kept = NULL;
    for (syn_arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (!kept || b->size > kept->size) {
            free(kept);
            kept = b;
        } else {
            free(b);
        }
    }
    syn_arena_init(a, a->bytes_max);
    if (!kept) return;
    kept->next = NULL;
    kept->used = 0;
    a->blocks = kept;
}

void syn_arena_free(syn_arena *a)
{
    syn_arena_empty(a);
    free(a->blocks);
    a->blocks = NULL;
}

syn_status syn_arena_check(const syn_arena *a, const char *what)
{
    if (a->failed == SYN_ERR_LIMIT)
        return syn_fail(a->failed, "%s: what is held of it at once is larger than %zu MiB", what,
                        a->bytes_max >> 20);
    if (a->failed != SYN_OK) return syn_fail(a->failed, "%s: out of memory", what);
    return SYN_OK;
}

/* ---- pieces ---- */

/* Blocks grow with the whole, so that little of a small arena lies idle. */
static size_t block_bytes(const syn_arena *a, size_t bytes)
{
    size_t size = a->bytes / 2;
    size = size < BLOCK_BYTES_MIN   ? BLOCK_BYTES_MIN
           : size > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX
                                    : size;
    return bytes > size ? bytes : size;
}

/* The block from which so many bytes are taken; NULL when memory is out. The first block is the one
 * with most room: what fills a block of its own goes behind it. */
static syn_arena_block *block_for(syn_arena *a, size_t bytes)
{
    syn_arena_block *first = a->blocks;
    if (first && first->size - first->used >= bytes) return first;
    const size_t size = block_bytes(a, bytes);
    syn_arena_block *block = malloc(sizeof *block + size);
    if (!block) return NULL;
    block->used = 0;
    block->size = size;
    if (first && first->size - first->used > size - bytes) {
        block->next = first->next;
        first->next = block;
    } else {
        block->next = first;
        a->blocks = block;
    }
    return block;
}

static void *refuse(syn_arena *a, syn_status why)
{
    a->failed = why;
    return NULL;
}

void *syn_arena_alloc(syn_arena *a, size_t bytes)
{
    if (a->failed) return NULL;
    const size_t padding = -bytes % ALIGNMENT, left = a->bytes_max - a->bytes;
    if (bytes > left || padding > left - bytes) return refuse(a, SYN_ERR_LIMIT);
    bytes += padding;
    syn_arena_block *block = block_for(a, bytes);
    if (!block) return refuse(a, SYN_ERR_MEMORY);
    void *p = block->data + block->used;
    block->used += bytes;
    a->bytes += bytes;
    return memset(p, 0, bytes);
}

void *syn_arena_array(syn_arena *a, size_t count, size_t element_bytes)
{
    if (a->failed) return NULL;
    if (count && element_bytes > a->bytes_max / count) return refuse(a, SYN_ERR_LIMIT);
    return syn_arena_alloc(a, count * element_bytes);
}

void *syn_arena_grow(syn_arena *a, void *array, int count, int *count_max, size_t element_bytes)
{
    if (count < *count_max) return array;
    int grown = *count_max ? 2 * *count_max : 16;
    void *copy = syn_arena_array(a, (size_t)grown, element_bytes);
    if (!copy) return NULL;
    if (count) memcpy(copy, array, (size_t)count * element_bytes);
    *count_max = grown;
    return copy;
}

/* ---- texts ---- */

const char *syn_arena_text_n(syn_arena *a, const char *text, size_t bytes)
{
    char *copy = syn_arena_alloc(a, bytes + 1);
    if (!copy) return "";
    if (bytes) memcpy(copy, text, bytes);
    return copy;
}

const char *syn_arena_text(syn_arena *a, const char *text)
{
    return text && *text ? syn_arena_text_n(a, text, strlen(text)) : "";
}

const char *syn_arena_format(syn_arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int bytes = vsnprintf(NULL, 0, fmt, args);
    char *text = bytes < 0 ? NULL : syn_arena_alloc(a, (size_t)bytes + 1);
    if (text) vsnprintf(text, (size_t)bytes + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text ? text : "";
}

static bool reserve(syn_text_builder *b, size_t bytes)
{
    if (b->bytes + bytes + 1 <= b->bytes_max) return true;
    size_t grown = 2 * (b->bytes + bytes) + 256;
    char *text = syn_arena_alloc(b->arena, grown);
    if (!text) return false;
    if (b->bytes) memcpy(text, b->text, b->bytes);
    b->text = text;
    b->bytes_max = grown;
    return true;
}

void syn_build_n(syn_text_builder *b, const char *text, size_t bytes)
{
    if (!reserve(b, bytes)) return;
    if (bytes) memcpy(b->text + b->bytes, text, bytes);
    b->bytes += bytes;
    b->text[b->bytes] = 0;
}

void syn_build(syn_text_builder *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int bytes = vsnprintf(NULL, 0, fmt, args);
    if (bytes >= 0 && reserve(b, (size_t)bytes)) {
        vsnprintf(b->text + b->bytes, (size_t)bytes + 1, fmt, again);
        b->bytes += (size_t)bytes;
    }
    va_end(again);
    va_end(args);
}

const char *syn_built(const syn_text_builder *b)
{
    return b->text && !b->arena->failed ? b->text : "";
}
