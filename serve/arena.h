/* Memory of one collaboration: taken piece by piece, given back at once.
 *
 * A failed allocation (out of memory, or above the ceiling) is remembered in `failed`: text
 * functions then return "", so that a chain of them is checked once at its end. */
#ifndef SYN_SERVE_ARENA_H
#define SYN_SERVE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/base/status.h"

typedef struct syn_arena {
    struct syn_arena_block *blocks;
    size_t bytes, bytes_max; /* taken so far; the ceiling */
    bool failed;
} syn_arena;

void syn_arena_init(syn_arena *a, size_t bytes_max);
void syn_arena_free(syn_arena *a);

/* Zeroed, 16-byte aligned; NULL on failure. */
void *syn_arena_alloc(syn_arena *a, size_t bytes);
/* A NUL-terminated copy; "" on failure or where text is NULL. */
const char *syn_arena_text(syn_arena *a, const char *text);
const char *syn_arena_text_n(syn_arena *a, const char *text, size_t bytes);
/* An array with room for count + 1 elements: `array` itself, or a copy twice as large (the old one
 * stays valid until the arena is freed). NULL on failure. */
void *syn_arena_grow(syn_arena *a, void *array, int count, int *count_max, size_t element_bytes);

/* A growing text inside the arena. */
typedef struct syn_text_builder {
    syn_arena *arena;
    char *text; /* NUL-terminated once anything was added */
    size_t bytes, bytes_max;
} syn_text_builder;

void syn_build(syn_text_builder *b, const char *fmt, ...) SYN_PRINTF(2, 3);
void syn_build_n(syn_text_builder *b, const char *text, size_t bytes);
/* What was built; "" if nothing, or on failure. */
const char *syn_built(const syn_text_builder *b);

#endif
