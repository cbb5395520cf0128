/* Bytes that grow as they come. Zero-initialised; free() its text. Not thread-safe. */
#ifndef SYN_SERVE_BUFFER_H
#define SYN_SERVE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct syn_buffer {
    char *text; /* NUL-terminated once anything was added */
    size_t bytes, room;
} syn_buffer;

/* False when out of memory: the buffer is as it was. Whoever reads from outside has a cap of his
 * own. */
bool syn_buffer_add(syn_buffer *b, const char *text, size_t bytes);

#endif
