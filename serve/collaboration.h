/* A collaboration that a request asks for: its body is read and looked through for injections, the
 * dialogue that it continues is fetched, the team runs, and its records are on disk before the end
 * is told. For POST /api/v1/collaborate and its stream, and for the teams of /v1.
 *
 * Everything is called on the worker's loop, and so are the hooks. Where there is much to look
 * through and to choose from, that is done on the loop's thread pool. */
#ifndef SYN_SERVE_COLLABORATION_H
#define SYN_SERVE_COLLABORATION_H

#include "serve/drive.h"
#include "serve/service.h"

typedef struct syn_collaboration syn_collaboration;

/* How it ended; valid until the collaboration is freed. */
typedef struct syn_collaboration_end {
    syn_status status;
    int http_status;      /* what `status` means to the caller; 200 for SYN_OK */
    const char *field;    /* of the body, that is wrong; NULL: none */
    const char *sentence; /* of a failure, fit for the caller; else "" */
    /* The rest is NULL where it has failed. */
    const syn_round_reply *reply;
    const char *text; /* `reply` as the JSON of POST /api/v1/collaborate */
    size_t text_bytes;
    const syn_drive *drive; /* for syn_drive_final */
} syn_collaboration_end;

typedef struct syn_collaboration_hooks {
    const json_t *final_chat; /* of serve/drive.h; stays until the end */
    bool stream_final, final_verbatim;
    /* Earlier turns, as syn_round_config's; may be given up when start returns. NULL: those of the
     * body's session, if it names one. */
    const char *dialogue;
    /* The team starts. What is wrong with the request or fails before is told by `done` without
     * this and without notices. May be NULL. */
    void (*begun)(void *context);
    /* May be NULL. Not called for FINAL_ANSWER and for the ERROR that ends it: that is `done`. The
     * notice's texts live until the collaboration is freed. */
    void (*notice)(void *context, const syn_notice *notice);
    void (*final_delta)(void *context, const syn_llm_delta *delta);
    /* Exactly once, as the last, and not within start. A service that stops ends what is under way
     * shortly before its connections are cut: SYN_ERR_INTERRUPTED, 503. */
    void (*done)(void *context, const syn_collaboration_end *end);
    void *context;
} syn_collaboration_hooks;

/* body: as that of POST /api/v1/collaborate; may be given up when this returns, and so may the
 * request's own (syn_http_drop_body). False: the visit has been refused, in its protocol's shape,
 * and `done` is not called. The visit must not be answered before `done`. */
bool syn_collaboration_start(syn_visit *v, json_t *body, const syn_collaboration_hooks *hooks,
                             syn_collaboration **out);
/* Answers the visit with a failure, of which nothing has been told yet. */
void syn_collaboration_refuse(syn_visit *v, const syn_collaboration_end *end);
/* The caller has gone: what is under way is cancelled, no hook but `done` is called any more, with
 * SYN_ERR_INTERRUPTED unless the end was there before; perhaps within this. */
void syn_collaboration_cancel(syn_collaboration *c);
/* After `done`. NULL is allowed. */
void syn_collaboration_free(syn_collaboration *c);

#endif
