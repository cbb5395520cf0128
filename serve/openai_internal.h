/* What the files of the OpenAI protocol share. */
#ifndef SYN_SERVE_OPENAI_INTERNAL_H
#define SYN_SERVE_OPENAI_INTERNAL_H

#include "serve/buffer.h"
#include "serve/collaboration.h"
#include "serve/guard.h"
#include "serve/llm.h"
#include "serve/openai.h"
#include "serve/openai_format.h"
#include "serve/openai_replay.h"
#include "serve/openai_request.h"
#include "serve/openai_stream.h"
#include "serve/stop_watch.h"

#define SYN_EMBEDDING_NAME "sync-embed-128"

struct syn_openai {
    syn_replay *replay;
    json_t *teams;   /* by name; read-only */
    int64_t started; /* seconds since 1970: when its models came to be */
};

/* Handlers of the routes. */
void syn_openai_chat(syn_visit *v);
void syn_openai_models(syn_visit *v);
void syn_openai_model(syn_visit *v);
void syn_openai_embeddings(syn_visit *v);

/* ---- whom a model's name means ---- */

typedef struct syn_chat_route {
    int agents;                   /* of sync-N; 0: no such name */
    const json_t *team;           /* of the configuration, or NULL */
    const syn_provider *provider; /* of the direct path, or NULL */
    const char *model;            /* of the provider */
} syn_chat_route;

/* False: there is no such model. */
bool syn_chat_route_find(const syn_service *s, const char *name, syn_chat_route *out,
                         syn_chat_fault *fault);
/* PROVIDER:MODEL, model "" where nothing stands behind the colon; false with a fault. */
bool syn_chat_provider_find(const syn_service *s, const char *name, const syn_provider **provider,
                            const char **model, syn_chat_fault *fault);

/* ---- one chat completion ---- */

typedef struct syn_chat {
    syn_visit *visit;
    syn_service *service;     /* its, for what comes after the answer */
    json_t *body;             /* as long as it is needed */
    syn_chat_request request; /* of the body */
    syn_chat_head head;
    char *model, *question;
    syn_chat_stream *stream; /* NULL: answered as a whole */
    double begun_s;
    syn_replay_name name;
    uint64_t claim; /* 0: the answer is not kept */
    syn_injection injection;
    /* Of the direct path: */
    const syn_provider *provider;
    char *asked;      /* the provider's model */
    uv_work_t work;   /* a large conversation is looked at on the loop's pool */
    bool at_work;     /* and nobody else may end it; left: the peer has gone meanwhile */
    bool left, large; /* large: more than its loop should handle by itself */
    char *sent;       /* to the provider */
    syn_llm_ticket *ticket;
    syn_stop_watch watch; /* its owner is the chat; NULL: not begun */
    syn_buffer heard;     /* what has been streamed, for the record of a stream that fails */
    /* Of a team: */
    syn_collaboration *team;
    json_t *final_chat;
    bool events; /* the rounds are told */
    bool cancelled;
} syn_chat;

/* Both begin the work, or answer the visit and free the chat. */
void syn_chat_ask_model(syn_chat *c, const syn_provider *provider, const char *model);
void syn_chat_ask_team(syn_chat *c, const syn_chat_route *route);

/* These answer the visit and free the chat. */

/* completion: its reference is taken, NULL: out of memory. text: the same as syn_chat_text has it,
 * to be freed; NULL: it is made. */
void syn_chat_answer_with(syn_chat *c, json_t *completion, char *text);
/* retry_after_s negative: none. */
void syn_chat_fail(syn_chat *c, int status, const char *code, double retry_after_s,
                   const char *sentence);
void syn_chat_refuse_with(syn_chat *c, const syn_chat_fault *fault);
/* Nobody waits any more. */
void syn_chat_leave(syn_chat *c);

/* Frees it; somebody else has answered. */
void syn_chat_forget(syn_chat *c);

#endif
