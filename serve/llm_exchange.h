/* One call to a provider as a tape holds it: what was asked, and what came of each attempt. No
 * network, and nothing of the file but a record's text. */
#ifndef SYN_SERVE_LLM_EXCHANGE_H
#define SYN_SERVE_LLM_EXCHANGE_H

#include "serve/llm_dialect.h"
#include "serve/llm_fetch.h"
#include "serve/llm_tape.h"

enum {
    SYN_EXCHANGE_ATTEMPTS_MAX = SYN_LLM_RETRIES_MAX + 1,
    SYN_EXCHANGE_BYTES_MAX = 64 << 20, /* of a record's text */
    SYN_EXCHANGE_ERROR_BYTES = 160
};

/* How an attempt ended: a syn_fetch_end, or one of these. */
enum {
    SYN_EXCHANGE_STALLED = SYN_FETCH_STOPPED + 1, /* it was given up for want of bytes */
    SYN_EXCHANGE_CANCELLED,                       /* the caller did not want it any more */
    SYN_EXCHANGE_OPEN,                            /* its answer was complete before its end */
    SYN_EXCHANGE_ENDS
};

typedef struct syn_exchange_attempt {
    int status; /* of HTTP, 0: none came */
    int end;
    double retry_after_s; /* negative: not said */
    char content_type[128];
    syn_buffer body; /* the bytes as they came */
} syn_exchange_attempt;

typedef struct syn_tape_key {
    uint64_t high, low; /* XXH3 of tag, path and body */
} syn_tape_key;

/* Zero-initialised; ends with syn_exchange_free. */
typedef struct syn_exchange {
    syn_tape_key key;
    int64_t number; /* among those of this key, from 0 */
    int64_t at;     /* read from a tape: where it stands there */
    char *tag, *path, *model;
    bool failed; /* out of memory for a part of it: it cannot be written */
    int attempt_count;
    syn_exchange_attempt attempt[SYN_EXCHANGE_ATTEMPTS_MAX];
    char error[SYN_EXCHANGE_ERROR_BYTES]; /* why no further attempt was made, "": the last one */
    double first_byte_s, time_s;          /* from the submit */
} syn_exchange;

/* Parts of it and itself; NULL is allowed. */
void syn_exchange_free(syn_exchange *x);

/* {"key": .., "number": .., "tag", "method", "path", "model", "request", "attempts": [..], ..}
 * without an end of line; free() it. body: the request's, JSON. key of the provider (NULL: none):
 * where it stands in a body it is replaced by stars. NULL: out of memory. */
char *syn_exchange_text(syn_exchange *x, const char *body, const char *secret);
/* Reads what syn_exchange_text has written, key and number too. Errors: SYN_ERR_FORMAT,
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_exchange_read(const char *text, size_t bytes, syn_exchange **out);

/* ---- llm_tape.c, for the client ---- */

/* A call begins; gives it its key and its number. Replaying, reads what came of it too. Errors:
 * SYN_ERR_INVALID (not on the tape), SYN_ERR_IO, SYN_ERR_FORMAT, which syn_tape_check tells from
 * then on; SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_tape_begin(syn_tape *tape, const char *tag, const char *url,
                                          const char *model, const char *body, syn_exchange **out);
/* Recording, a call has ended; what fails is told by syn_tape_check. */
void syn_tape_add(syn_tape *tape, syn_exchange *x, const char *body, const char *secret);

#endif
