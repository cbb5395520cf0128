/* A client of one OpenAI-compatible endpoint: several calls in parallel, on the caller's thread.
 *
 * Limits: connect 5 s, first byte 60 s, 30 s between bytes, the call's own deadline, reply <= 8
 * MiB. Retries: at most 2, after rand(0, min(8 s, .5 s * 2^n)), on failed connections, 408, 409,
 * 5xx and (waiting as told, at most 60 s) 429 with Retry-After; a 200 whose body is not a chat
 * completion is tried once more; 429 without Retry-After may be a spend cap and is not retried,
 * neither are the other 4xx and TLS faults. All retries together stay within 20 % of the calls, 3
 * at least. After 5 failures in a row, or half of the last 20 calls, new calls fail at once for 30
 * s, then 3 probes decide. No redirects; the key goes to the configured host only; a body is never
 * echoed. */
#ifndef SYN_SERVE_LLM_H
#define SYN_SERVE_LLM_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

typedef struct syn_llm_config {
    const char *base_url; /* "https://api.openai.com/v1"; no user, query or fragment */
    const char *model;
    const char *api_key; /* NULL or "": none is sent */
    bool insecure;       /* allows plain http beyond loopback, though never together with a key */
    int64_t reply_bytes_max; /* 0: 8 MiB */
    double time_scale;       /* of all waits and limits; 0: 1. Tests shrink it */
    uint64_t seed;           /* of the jitter */
} syn_llm_config;

typedef struct syn_llm syn_llm;

/* Errors: SYN_ERR_INVALID for an address or key that is refused (the key is not shown),
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_llm_create(const syn_llm_config *config, syn_llm **out);
void syn_llm_destroy(syn_llm *llm); /* cancels what is open */

typedef struct syn_llm_call {
    uint32_t id;
    const char *system, *user; /* copied */
    int64_t max_tokens;
    double temperature;
    double timeout_s; /* from now, retries included */
} syn_llm_call;

/* Begins a call; what becomes of it comes out of syn_llm_wait. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_llm_submit(syn_llm *llm, const syn_llm_call *call);

typedef struct syn_llm_reply {
    uint32_t id;
    const char *text;  /* NULL: failed. Valid until the next call of syn_llm_wait */
    const char *error; /* one sentence when text is NULL */
    int64_t prompt_tokens, completion_tokens; /* -1: not reported */
    double cost_usd;                          /* negative: not reported */
    int http_status;                          /* of the last attempt, 0: none */
    int attempts;
} syn_llm_reply;

/* Waits at most timeout_s for one call to end; *got says whether one did. */
SYN_WARN_UNUSED syn_status syn_llm_wait(syn_llm *llm, double timeout_s, syn_llm_reply *out,
                                        bool *got);
void syn_llm_cancel_all(syn_llm *llm);

#endif
