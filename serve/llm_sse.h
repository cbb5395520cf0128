/* Server-sent events: bytes in, in pieces of any size, the data of events out. No network.
 *
 * Lines end in LF, CRLF or CR; comments, names, ids and retry times are passed over; several data
 * lines of one event are joined by LF; an event without data is none; one that the end of the
 * stream cuts off is dropped. Memory: one event, up to the cap. */
#ifndef SYN_SERVE_LLM_SSE_H
#define SYN_SERVE_LLM_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/buffer.h"

enum { SYN_SSE_EVENT_BYTES_MAX = 1 << 20 };

typedef enum syn_sse_status {
    SYN_SSE_OK,
    SYN_SSE_TOO_LARGE, /* an event, or a line of one, above the cap */
    SYN_SSE_MEMORY,
    SYN_SSE_STOPPED /* by `event` */
} syn_sse_status;

/* Zero-initialised; ends with syn_sse_free. */
typedef struct syn_sse {
    syn_buffer data; /* of the event so far, then the line under way */
    size_t line_at;
    bool has_data, after_cr, passed_mark;
} syn_sse;

/* Calls `event` for every event that these bytes complete, with its data NUL-terminated and in the
 * caller's hands until it returns; false from it ends the feed with SYN_SSE_STOPPED. After anything
 * but OK nothing more is fed. */
syn_sse_status syn_sse_feed(syn_sse *s, const char *bytes, size_t count,
                            bool (*event)(void *user, const char *data, size_t bytes), void *user);
void syn_sse_free(syn_sse *s);

#endif
