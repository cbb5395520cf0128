/* Memory that is taken piece by piece and given back at once: that of a collaboration, of a record.
 *
 * A failed allocation (out of memory, or above the ceiling) is remembered in `failed`, and nothing
 * more is given: arrays are then NULL and texts "", so that a chain of them is checked once at its
 * end. What was taken never moves. One thread at a time. */
#ifndef SYN_BASE_ARENA_H
#define SYN_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/base/status.h"

typedef struct syn_arena {
    struct syn_arena_block *blocks;
    size_t bytes, bytes_max; /* taken so far; the ceiling */
    syn_status failed;       /* SYN_OK, or why a piece was refused: SYN_ERR_LIMIT or _MEMORY */
} syn_arena;

void syn_arena_init(syn_arena *a, size_t bytes_max);
/* Forgets everything that was taken and any failure, but keeps the largest block for what comes. */
void syn_arena_empty(syn_arena *a);
/* Gives all back; the arena may be used again. Safe on a zeroed one, and twice. */
void syn_arena_free(syn_arena *a);
/* SYN_OK, or what was refused, as a sentence that begins with `what`. */
SYN_WARN_UNUSED syn_status syn_arena_check(const syn_arena *a, const char *what);

/* Zeroed, 16-byte aligned; NULL on failure. */
void *syn_arena_alloc(syn_arena *a, size_t bytes);
/* The same for so many elements, whose product may be any. */
void *syn_arena_array(syn_arena *a, size_t count, size_t element_bytes);
/* An array with room for count + 1 elements: `array` itself, or a copy twice as large (the old one
 * stays valid until the arena is freed). NULL on failure. */
void *syn_arena_grow(syn_arena *a, void *array, int count, int *count_max, size_t element_bytes);

/* A NUL-terminated copy; "" on failure or where text is NULL. */
const char *syn_arena_text(syn_arena *a, const char *text);
/* A copy of so many bytes (text may be NULL where there are none) that ends in NUL; "" on failure,
 * else the caller's own to write to. */
const char *syn_arena_text_n(syn_arena *a, const char *text, size_t bytes);
const char *syn_arena_format(syn_arena *a, const char *fmt, ...) SYN_PRINTF(2, 3);

/* A growing text inside the arena. */
typedef struct syn_text_builder {
    syn_arena *arena;
    char *text; /* NUL-terminated once anything was added */
    size_t bytes, bytes_max;
} syn_text_builder;

void syn_build(syn_text_builder *b, const char *fmt, ...) SYN_PRINTF(2, 3);
void syn_build_n(syn_text_builder *b, const char *text, size_t bytes);
/* What was built; "" if nothing, or once anything failed. */
const char *syn_built(const syn_text_builder *b);

#endif
