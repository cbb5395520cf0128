/* What the files of the client share; nobody else includes this. */
#ifndef SYN_SERVE_LLM_INTERNAL_H
#define SYN_SERVE_LLM_INTERNAL_H

#include <uv.h>

#include "serve/llm_dialect.h"
#include "serve/llm_exchange.h"
#include "serve/llm_fetch.h"
#include "serve/llm_sse.h"

enum { SYN_LLM_ERROR_BYTES = 256 };

typedef enum call_state {
    CALL_WAITING, /* for its next attempt */
    CALL_RUNNING,
    CALL_FAILED, /* and its callback is due */
    CALL_ENDED   /* the callback has been; the stream's connection may still come to its end */
} call_state;

struct syn_llm_ticket {
    syn_llm_ticket *next, *previous; /* in llm->open; spares by next */
    syn_llm *llm;
    uv_timer_t timer;
    const syn_provider *provider;
    const syn_llm_dialect *dialect;
    char *body, *model;
    size_t body_bytes;
    char traceparent[80]; /* the header line; "": none */
    bool stream, embedding;
    void (*delta)(void *context, const syn_llm_delta *delta);
    void (*done)(void *context, const syn_llm_reply *reply);
    void *context;

    call_state state;
    bool busy, gone;      /* in a callback of the user; cancelled there */
    bool admitted, probe; /* by the breaker */
    bool delivered;       /* a delta was handed over */
    int attempts;
    double submitted_s, deadline_s;
    double begin_s; /* WAITING: of the next attempt; RUNNING: when it began */

    /* Of the attempt: */
    syn_fetch *fetch;
    int http_status;
    double byte_s, first_byte_s; /* of the last byte and the body's first; 0: none yet */
    double retry_after_s;        /* negative: none */
    bool is_stream;              /* the reply is one */
    bool too_large, said_so;     /* above a cap; the stream's own end has come */
    size_t bytes;
    syn_buffer reply, events; /* a whole body; data of events, each with a NUL */
    syn_sse sse;
    syn_llm_result result;
    char error[SYN_LLM_ERROR_BYTES];

    /* With a tape: */
    syn_exchange *exchange; /* recorded or replayed; NULL: none, or it is on the tape already */
    bool plays;             /* nothing is sent: the tape answers */
    bool fed, hangs;        /* of the attempt: its bytes have come; its end never does */
};

struct syn_llm {
    const syn_providers *providers;
    uv_loop_t *loop;
    syn_fetcher *fetcher;
    syn_tape *tape; /* NULL: none */
    int64_t reply_bytes_max;
    double scale, limit_scale;
    syn_rng rng;
    syn_breaker breakers[SYN_PROVIDERS_MAX];             /* by provider */
    const syn_fetch_headers *headers[SYN_PROVIDERS_MAX]; /* made when first needed */
    syn_llm_ticket *open, *spare;
    int spares, handles; /* handles: of tickets, and one for the fetcher */
};

/* llm.c */
/* Ends a call without a callback; its memory waits for the next one. */
void syn_llm_release(syn_llm_ticket *c);

/* llm_call.c */
/* Begins a call, or lets it fail at once, later. tag: on the tape; NULL: "". */
void syn_llm_admit(syn_llm_ticket *c, const char *tag, double now_s);
/* Its time has come, whatever it waited for. */
void syn_llm_on_timer(uv_timer_t *timer);
/* Forgets what came of an attempt but for its result. */
void syn_llm_forget(syn_llm_ticket *c);
/* Its timer fires at that time, or as soon as the loop turns. */
void syn_llm_arm(syn_llm_ticket *c, double at_s, double now_s);
/* The running attempt is given up. */
void syn_llm_stall(syn_llm_ticket *c);
/* Those of a fetch, whose user is the ticket. */
extern const syn_fetch_events syn_llm_events;

/* llm_call_tape.c: each does nothing for a call that is not recorded. */
void syn_llm_tape_header(syn_llm_ticket *c, const char *content_type);
void syn_llm_tape_body(syn_llm_ticket *c, const char *data, size_t bytes);
/* The running attempt has ended: a syn_fetch_end or SYN_EXCHANGE_... */
void syn_llm_tape_attempt(syn_llm_ticket *c, int end);
/* The call has ended, with or without a callback. */
void syn_llm_tape_end(syn_llm_ticket *c, const syn_llm_reply *reply);
void syn_llm_tape_cancel(syn_llm_ticket *c);
/* The timer of a running call that is replayed: the one that stands first on the tape goes on. */
void syn_llm_play(syn_llm_ticket *c);

#endif
