/* One event loop's client of all providers: any number of calls at a time, whole or streamed.
 *
 * Limits: connect 5 s, first byte 60 s, 30 s between bytes, the call's own deadline, reply <= 8
 * MiB, one server-sent event <= 1 MiB. Retries: at most 2, after rand(0, min(8 s, .5 s * 2^n)), on
 * failed connections, 408, 409, 5xx and (waiting as told, at most 60 s) 429 with Retry-After; a 200
 * whose body is not a chat completion is tried once more; 429 without Retry-After may be a spend
 * cap and is not retried, neither are the other 4xx and TLS faults, nor anything after the first
 * delta was handed over. A provider's retries together stay within 20 % of its calls, 3 at least.
 * After 5 failures in a row, or half of the last 20 calls, a provider's new calls fail at once for
 * 30 s, then 3 probes decide. No redirects; a key goes to its provider's host only; a body is never
 * echoed. With a tape (serve/llm_tape.h) that replays, nothing of all this is done: every call ends
 * as it ended when it was recorded.
 *
 * Everything is called on the loop's thread, and so are the callbacks. */
#ifndef SYN_SERVE_LLM_H
#define SYN_SERVE_LLM_H

#include <jansson.h>
#include <stddef.h>

#include "serve/provider.h"

struct uv_loop_s;
typedef struct syn_llm syn_llm;
typedef struct syn_llm_ticket syn_llm_ticket;

typedef struct syn_llm_options {
    int64_t reply_bytes_max; /* 0: 8 MiB */
    double time_scale;       /* of all waits and limits; 0: 1. Tests shrink it */
    double limit_scale;      /* of the limits alone, of connecting and of silence; 0: time_scale */
    uint64_t seed;           /* of the jitter */
    struct syn_tape *tape;   /* records all calls, or answers them; outlives this. NULL: none */
} syn_llm_options;

/* providers: outlive this. Errors: SYN_ERR_NETWORK (libcurl), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_llm_create(const syn_providers *providers, struct uv_loop_s *loop,
                                          const syn_llm_options *options, syn_llm **out);
/* Cancels what is open. Not within a callback of it. The loop has to run until it has closed its
 * handles. NULL is allowed. */
void syn_llm_destroy(syn_llm *llm);

typedef struct syn_llm_usage {
    int64_t prompt, completion; /* in all, cache and reasoning included; -1: unknown */
    int64_t cache_read, cache_write, reasoning; /* shares of them; 0 where not reported */
    double cost_usd; /* as reported, else by the price table; negative: unknown */
} syn_llm_usage;

/* How a call ended. Texts and objects are valid during the callback. */
typedef struct syn_llm_reply {
    const char *text;       /* content of the message, "" with tool calls alone; NULL: failed */
    const json_t *message;  /* OpenAI's shape: role, content, tool_calls; NULL when failed */
    const json_t *logprobs; /* of the choice, as the provider gave them whole; NULL: none */
    const char *finish;     /* stop, length, tool_calls, content_filter */
    const char *model;      /* as the provider named it, else as asked */
    const char *error;      /* one sentence when text is NULL, without the provider's words */
    int http_status;        /* of the last attempt, 0: none */
    double retry_after_s;   /* of a 429 or 503, negative: not told */
    bool partial;           /* failed after deltas had been handed over */
    int attempts;
    double first_byte_s, time_s; /* from the submit */
    syn_llm_usage usage;
} syn_llm_reply;

/* A piece of a streamed answer: any of these may be NULL. */
typedef struct syn_llm_delta {
    const char *text, *reasoning;
    const json_t *tool_calls; /* OpenAI's delta.tool_calls */
    const json_t *logprobs;   /* of the chunk's choice; comes with text alone */
} syn_llm_delta;

typedef struct syn_llm_call {
    const syn_provider *provider; /* not extractive */
    const char *model;            /* NULL: the provider's */
    /* Either a plain prompt ... */
    const char *system, *user;
    int64_t max_tokens;
    double temperature;
    /* ... or a whole chat request of OpenAI's shape, NULL: none. model, stream, stream_options and
     * n in it are ignored. A dialect that is not OpenAI's translates it. */
    const json_t *chat;
    /* What syn_llm_body has made of this call; given to syn_llm_submit, whatever becomes of it.
     * NULL: it is made there. */
    char *body;
    double timeout_s;        /* from now, retries included */
    const char *traceparent; /* passed on; NULL: none */
    const char *tag;         /* tells it from others of the same body on a tape; NULL: "" */
    /* NULL: the answer is not streamed. */
    void (*delta)(void *context, const syn_llm_delta *delta);
    /* Once, unless cancelled; never within submit. */
    void (*done)(void *context, const syn_llm_reply *reply);
    void *context;
} syn_llm_call;

/* What the call sends, for callers whose chat is so large that their loop had better not write it:
 * any thread, while nobody else uses the chat. free() it, or give it back as `body`. NULL: out of
 * memory, or the chat is one that the dialect cannot say; the error's text tells. */
char *syn_llm_body(const syn_llm_call *call);
/* Begins a call; all is copied but the body. Errors: SYN_ERR_INVALID (a chat request that the
 * dialect cannot say), SYN_ERR_MEMORY: `done` is not called then. The ticket is valid until `done`
 * or cancel. */
SYN_WARN_UNUSED syn_status syn_llm_submit(syn_llm *llm, const syn_llm_call *call,
                                          syn_llm_ticket **ticket);
/* Ends a call without a callback, and its connection at once. NULL is allowed. */
void syn_llm_cancel(syn_llm_ticket *ticket);

/* Embeddings of an OpenAI-compatible provider, or Cohere (96 texts at most, as documents that are
 * searched). The reply's message is the array of arrays of numbers, in order; its text is "". */
typedef struct syn_llm_embedding {
    const syn_provider *provider;
    const char *model;
    const char *const *texts;
    int count; /* 1 to 2048 */
    double timeout_s;
    const char *tag; /* as in syn_llm_call */
    void (*done)(void *context, const syn_llm_reply *reply);
    void *context;
} syn_llm_embedding;
SYN_WARN_UNUSED syn_status syn_llm_embed(syn_llm *llm, const syn_llm_embedding *call,
                                         syn_llm_ticket **ticket);

typedef enum syn_breaker_state { SYN_CLOSED, SYN_HALF_OPEN, SYN_OPENED } syn_breaker_state;
syn_breaker_state syn_llm_breaker(const syn_llm *llm, const syn_provider *provider);

#endif
