/* What the service's own files share. */
#ifndef SYN_SERVE_SERVICE_INTERNAL_H
#define SYN_SERVE_SERVICE_INTERNAL_H

#include <pthread.h>
#include <signal.h>

#include "serve/auth.h"
#include "serve/limits.h"
#include "serve/service.h"
#include "serve/trace.h"

enum { WORKERS_MAX = 256, NUMBER_BYTES = 24 };

typedef struct worker {
    syn_worker base; /* first */
    pthread_t thread;
    bool started;
} worker;

typedef struct syn_service_private {
    syn_auth *auth;
    syn_buckets *buckets;
    syn_http_route *routes; /* of all tables */
    int route_count;
    worker *workers;
    int worker_count;
    const char *device; /* of the networks: "cpu" or "cuda" */
    atomic_int running; /* workers whose loop runs */
    atomic_bool draining;
} syn_service_private;

/* A body as syn_visit_object has it, or why it cannot be had. */
typedef struct syn_body_object {
    json_t *json; /* until a handler takes it */
    int status;   /* of the refusal, 0: none, or not read yet */
    char sentence[96];
} syn_body_object;

/* A visit with what the service keeps of it. */
typedef struct visit {
    syn_visit base;            /* first */
    syn_trace_context context; /* of the request */
    char traceparent[SYN_TRACEPARENT_BYTES];
    char client[SYN_CLIENT_BYTES];
    syn_auth_verdict verdict;
    syn_auth_question question;
    syn_body_object object;
    struct uv_work_s *reading; /* of the object, on the pool; NULL: none */
    int place;                 /* of syn_auth_enter, -1: none */
    bool limited;              /* limit, remaining and reset are told */
    double retry_after_s;      /* told, above 0 */
    char limit[NUMBER_BYTES], remaining[NUMBER_BYTES], reset[NUMBER_BYTES];
    char retry_s[NUMBER_BYTES], retry_ms[NUMBER_BYTES];
} visit;

static inline visit *visit_of(syn_visit *v)
{
    return (visit *)v;
}

/* service.c: hooks of the HTTP server */
syn_http_entry syn_service_before(void *worker, syn_http_request *request);
void syn_service_access(void *worker, const syn_http_access *access);
bool syn_service_origin(void *worker, const char *origin);

/* service_reply.c: hooks */
int syn_service_headers(void *worker, const syn_http_request *request, int status,
                        syn_http_header *out, int room);
char *syn_service_error_body(void *worker, const syn_http_request *request, int status,
                             const char *detail);

/* service_body.c: has a large JSON body read on the thread pool, then calls `then` on the loop,
 * unless the peer has gone: then the visit is answered. False: there is nothing to wait for. */
bool syn_body_read_first(visit *v, void (*then)(visit *v));

/* service_start.c: whom teams are made of where a request names none */
const char *syn_service_provider(const syn_service *s);

/* service_notify.c: tells a supervisor of NOTIFY_SOCKET ("READY=1"); nothing where there is none.
 */
void syn_service_notify(const char *state);

#endif
