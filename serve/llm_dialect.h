/* What a provider's protocol says: request bodies out, replies and streams in, in one shape. No
 * network. */
#ifndef SYN_SERVE_LLM_DIALECT_H
#define SYN_SERVE_LLM_DIALECT_H

#include "serve/buffer.h"
#include "serve/llm.h"
#include "serve/llm_policy.h"
#include "serve/provider_internal.h"

/* What was read of one attempt. Zero-initialised by syn_llm_result_begin. */
typedef struct syn_llm_result {
    const syn_provider *embeds; /* an embedding is read; NULL: a chat completion */
    int embed_count;
    bool lenient;     /* a chat request of somebody else's: an empty message is an answer too */
    json_t *message;  /* OpenAI's shape, with a string or null as content; NULL unless OK */
    json_t *logprobs; /* of a whole reply; NULL: none */
    char finish[16], model[128];
    syn_llm_usage usage;
    int http_status; /* the body's own code where a 200 carries an error */
    char code[64];   /* the error's type or code, letters, digits and '_' only; "" for none */
    /* Of a stream: */
    syn_buffer text, reasoning;
    json_t *tool_calls;    /* put together but for their arguments; NULL: none */
    syn_buffer *arguments; /* of each */
    json_t *event;         /* what the last delta points into */
    json_t *calls_now;     /* the last delta's tool calls, where the dialect had to make them */
    int64_t input_tokens;  /* Anthropic's, without the cache; -1: unknown */
    int blocks[64];        /* Anthropic's content blocks: index of the tool call, -1: none */
} syn_llm_result;

void syn_llm_result_begin(syn_llm_result *r, bool lenient);
void syn_llm_result_free(syn_llm_result *r);

typedef enum syn_llm_event {
    SYN_EVENT_NOTHING, /* nothing to hand on */
    SYN_EVENT_DELTA,
    SYN_EVENT_END,   /* the stream says that it is complete */
    SYN_EVENT_ERROR, /* http_status and code say which */
    SYN_EVENT_MALFORMED
} syn_llm_event;

typedef struct syn_llm_dialect {
    /* The JSON body, free() it. NULL: the thread's error text says why. */
    char *(*body)(const syn_provider *provider, const syn_llm_call *call);
    /* A whole reply of status 200 without an error: OK or MALFORMED. */
    syn_attempt (*read)(const json_t *root, syn_llm_result *r);
    /* One event of a stream; *delta is valid until the next. */
    syn_llm_event (*event)(const char *data, size_t bytes, syn_llm_result *r, syn_llm_delta *delta);
} syn_llm_dialect;

extern const syn_llm_dialect syn_dialect_openai;    /* serve/llm_openai.c */
extern const syn_llm_dialect syn_dialect_anthropic; /* serve/llm_anthropic.c */

/* Reads a whole body: OK, STATUS (an error, also one inside a 200) or MALFORMED (truncated, HTML,
 * wrong types). Nothing of the body but message, usage and the error's code comes out. */
syn_attempt syn_llm_read(const syn_llm_dialect *dialect, const char *body, size_t bytes,
                         int http_status, syn_llm_result *r);
/* The end of a stream: puts the message together. MALFORMED where it ended too early or empty. */
syn_attempt syn_llm_read_end(syn_llm_result *r, bool said_so);

/* ---- for the dialects ---- */

/* {"error": {...}}, [{"error": {...}}] or {"error": "..."}; NULL if there is none. */
const json_t *syn_llm_error_of(const json_t *root);
void syn_llm_read_error(const json_t *error, syn_llm_result *r);
/* An event's data as r->event: DELTA for an object that is no error, else ERROR or MALFORMED. */
syn_llm_event syn_llm_read_event(const char *data, size_t bytes, syn_llm_result *r);
/* A count may be a float ("prompt_tokens": 12.0); nonsense is "not reported". */
int64_t syn_llm_count(const json_t *usage, const char *name);
/* Takes OpenAI's usage object, of whichever provider. */
void syn_llm_read_usage(const json_t *usage, syn_llm_result *r);
/* Copies a text that fits; others are passed over. */
void syn_llm_keep(char *to, size_t room, const json_t *text);
/* Puts OpenAI's delta.tool_calls together; false for nonsense or above the caps. */
bool syn_llm_gather(syn_llm_result *r, const json_t *calls);
/* What a plain prompt asks, as a chat request of OpenAI's shape, or call->chat itself. New
 * reference; NULL: out of memory. */
json_t *syn_llm_chat(const syn_llm_call *call);

/* serve/llm_embed.c: Cohere's and OpenAI's. As the functions of a dialect. */
char *syn_embed_body(const syn_provider *provider, const syn_llm_embedding *call);
syn_attempt syn_embed_read(const syn_provider *provider, int count, const json_t *root,
                           syn_llm_result *r);

#endif
