/* The chat-completions format: request bodies out, replies of many dialects in. No network. */
#ifndef SYN_SERVE_LLM_OPENAI_H
#define SYN_SERVE_LLM_OPENAI_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/llm.h"
#include "serve/llm_policy.h"

/* The JSON body, free() it; NULL when out of memory. `host` decides between max_tokens and
 * max_completion_tokens, and whether a temperature is sent. */
char *syn_openai_body(const char *host, const char *model, const syn_llm_call *call);

typedef struct syn_openai_reply {
    char *text;                               /* free() it; NULL unless OK */
    int64_t prompt_tokens, completion_tokens; /* -1: not reported */
    double cost_usd;                          /* negative: not reported */
    int http_status;                          /* the body's own code where a 200 carries an error */
    char code[64]; /* the error's type or code, letters, digits and '_' only; "" for none */
} syn_openai_reply;

/* Reads a whole body. OK, STATUS (an error, also one inside a 200) or MALFORMED (truncated, HTML,
 * wrong types). Nothing of the body but text, counts and the error's code comes out. */
syn_attempt syn_openai_read(const char *body, size_t bytes, int http_status, syn_openai_reply *out);

#endif
