/* What the routes of the service share: who asks, on which loop, and how one answers.
 *
 * A service has one worker per event loop; each has its own HTTP server on the same port, its own
 * client of the providers and its own end of the limits. A route names a rule (who may, whose
 * shape of errors, what limits it); before the body is read the service looks at the credentials
 * and asks the store for a key that it does not know, then syn_service_enter asks the limits where
 * it must, and calls the rule's handler on the worker's loop.
 *
 *     static const syn_rule rule = {"collaborate", SYN_ACCESS_KEY, SYN_PROTOCOL_API,
 *                                   SYN_LIMITED_PER_MINUTE, handle};
 *     const syn_http_route syn_api_routes[] = {
 *         {SYN_HTTP_POST, "/api/v1/collaborate", syn_service_enter, SYN_HTTP_BODY_DEFAULT, false,
 *          &rule},
 *
 * A handler answers its visit exactly once, at once or later, and does not look at the visit
 * afterwards. What other threads finish comes back by a hop:
 *
 *     typedef struct lookup {
 *         syn_hop hop;  // first
 *         ...           // copies of what the other thread found
 *     } lookup;
 *     static void found(void *context, const syn_db_result *r)   // the store's thread
 *     {
 *         lookup *l = context;
 *         ... copy from r into l ...
 *         syn_visit_hop(&l->hop);
 *     }
 *     static void answer(syn_hop *hop)                           // the visit's loop
 *     {
 *         lookup *l = (lookup *)hop;
 *         syn_visit_json(hop->visit, 200, ...);
 *         free(l);
 *     }
 *     l->hop = (syn_hop){.visit = visit, .run = answer};
 *     if (syn_db_history_list(db, &filter, found, l) != SYN_OK) ... nothing will hop: answer here
 *
 * A visit whose peer is gone stays valid until it is answered; the answer then goes nowhere. So
 * while a hop is awaited, nobody else answers: `cancel` of syn_http_on_cancel only notes it. */
#ifndef SYN_SERVE_SERVICE_H
#define SYN_SERVE_SERVICE_H

#include <jansson.h>
#include <stdatomic.h>

#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/settings.h"
#include "serve/store.h"

typedef struct syn_providers syn_providers;       /* serve/provider.h */
typedef struct syn_calibrations syn_calibrations; /* serve/calibration.h */
typedef struct syn_provider syn_provider;
typedef struct syn_deciders syn_deciders; /* serve/decider.h */
typedef struct syn_tracer syn_tracer;     /* serve/trace.h */
typedef struct syn_span syn_span;
typedef struct syn_llm syn_llm;       /* serve/llm.h */
typedef struct syn_limits syn_limits; /* serve/limits.h */

/* Set up before the loops run, and read-only from then on, but for what is thread-safe itself. */
typedef struct syn_service {
    syn_settings settings;
    syn_db *db;
    syn_providers *providers;
    syn_calibrations *calibrations;
    const syn_provider *provider; /* whom teams are made of where a request names none */
    syn_deciders *deciders;
    syn_metrics *metrics;
    syn_tracer *tracer;              /* NULL: spans go nowhere */
    struct syn_openai *openai;       /* serve/openai.h */
    struct syn_inference *inference; /* serve/inference.h */
    double started_s;                /* syn_clock_s */
    atomic_int collaborations;       /* under way in this process */
    struct syn_service_private *own;
} syn_service;

typedef struct syn_worker {
    syn_service *service;
    syn_http_server *server; /* its arg is this worker */
    syn_llm *llm;
    syn_limits *limits;
    int index;
} syn_worker;

typedef enum syn_access {
    SYN_ACCESS_OPEN, /* anybody; the caller is empty */
    SYN_ACCESS_KEY,  /* an API key or a token */
    SYN_ACCESS_ADMIN /* of tier admin */
} syn_access;

/* Whose shape errors have. */
typedef enum syn_protocol {
    SYN_PROTOCOL_API,      /* {"error": Name, "detail", "timestamp"} */
    SYN_PROTOCOL_OPENAI,   /* {"error": {"message", "type", "param", "code"}} */
    SYN_PROTOCOL_INFERENCE /* {"error": "sentence"} */
} syn_protocol;

typedef enum syn_limited {
    SYN_LIMITED_NOT,
    SYN_LIMITED_PER_MINUTE, /* the key's bucket */
    SYN_LIMITED_AT_ONCE     /* requests of a key under way together */
} syn_limited;

typedef struct syn_visit syn_visit;

typedef struct syn_rule {
    const char *name; /* in metrics, logs and as OpenAPI's operationId */
    syn_access access;
    syn_protocol protocol;
    syn_limited limited;
    void (*handle)(syn_visit *visit);
} syn_rule;

enum { SYN_TIER_BYTES = 16, SYN_ORG_BYTES = 64 };

typedef struct syn_caller {
    char key[SYN_DB_ID_BYTES]; /* id of the key; "development" for the development administrator */
    char org[SYN_ORG_BYTES];
    char tier[SYN_TIER_BYTES];
    bool admin;
    bool by_token; /* it showed a token, not the key itself */
} syn_caller;

/* One request under its rule; lives until its answer is complete or lost. */
struct syn_visit {
    syn_http_request *request; /* whose `user` is this visit */
    syn_worker *worker;
    const syn_rule *rule;
    syn_caller caller;
    syn_span *span; /* of the request, NULL where there is no tracer */
    void *data;     /* the handler's */
};

/* The handle of every route whose data is a syn_rule. */
void syn_service_enter(syn_http_request *request);

/* The visit of a request that a callback of serve/http.h was given. */
static inline syn_visit *syn_visit_of(const syn_http_request *request)
{
    return request->user;
}

/* ---- answers; each ends the visit. Streams begin with syn_http_stream_begin ---- */

void syn_visit_reply(syn_visit *v, const syn_http_reply *reply);
/* Takes the reference; NULL: 500. */
void syn_visit_json(syn_visit *v, int status, json_t *body);
/* Ready-made JSON. */
void syn_visit_text(syn_visit *v, int status, const char *json, size_t bytes);
/* An error in the shape of the rule's protocol. `field` (NULL: none) is the request's member that
 * is wrong: errors[0].field, or OpenAI's param. `code`: OpenAI's, NULL for the status's own. The
 * sentence repeats nothing that the peer chose. */
void syn_visit_refuse(syn_visit *v, int status, const char *field, const char *code,
                      const char *fmt, ...) SYN_PRINTF(5, 6);
/* 429 or 503 with Retry-After. */
void syn_visit_later(syn_visit *v, int status, double retry_after_s, const char *fmt, ...)
    SYN_PRINTF(4, 5);
/* What a failed status means over HTTP: INVALID 400, FORMAT 400, LIMIT 503, NETWORK 502,
 * INTERRUPTED 503, UNSUPPORTED 501, the rest 500, whose sentence goes to the log alone. */
void syn_visit_fail(syn_visit *v, syn_status st, const char *sentence);

/* The body as a JSON object: depth at most 64, 65536 values at most, no member twice, UTF-8 without
 * NUL. False: it has answered (400, 415). One of more than 64 KiB has been read on the loop's
 * thread pool before the handler was called. Once for a visit. */
bool syn_visit_object(syn_visit *v, json_t **out);
/* Refuses members that are not among `known` (count), with the nearest known name. False: it has
 * answered. `where` names the object ("config"), "" the body itself. */
bool syn_visit_known(syn_visit *v, const json_t *object, const char *where,
                     const char *const *known, int count);

/* A whole number of the query's; *out stays where it is missing. False: it has answered (400). */
bool syn_visit_query_int(syn_visit *v, const char *name, int64_t min, int64_t max, int64_t *out);

/* The error object of a protocol, for streams whose head has gone. New reference. code: "" for
 * null, NULL for the status's own. */
json_t *syn_error_json(syn_protocol protocol, int status, const char *field, const char *code,
                       const char *sentence);

/* ---- for the handlers ---- */

/* On its way from another thread to the loop of its visit. */
typedef struct syn_hop {
    syn_http_task task; /* first */
    syn_visit *visit;
    void (*run)(struct syn_hop *hop);
} syn_hop;

/* Any thread. `run` is called on the visit's loop; the memory is the caller's own again by then. */
void syn_visit_hop(syn_hop *hop);

/* Writes an event of the audit log; detail: JSON without secrets or prompts, its reference is
 * taken, NULL: none. Personal data in it is redacted. */
void syn_visit_audit(syn_visit *v, const char *action, const char *outcome, json_t *detail);
/* The event that syn_visit_audit would write, for syn_db_history_add_audited; its detail is *text,
 * which is to be freed after it. */
syn_db_event syn_visit_event(const syn_visit *v, const char *action, const char *outcome,
                             json_t *detail, char **text);
/* "00-...": to pass on with calls; the request's own context where there is no tracer. Valid as
 * long as the visit. */
const char *syn_visit_traceparent(const syn_visit *v);
/* Seconds since the service started. */
double syn_service_uptime_s(const syn_service *s);
/* From the first signal to stop on. Any thread. */
bool syn_service_draining(const syn_service *s);

/* ---- the tables of routes, each in the file that its name says ---- */
extern const syn_http_route syn_operations_routes[]; /* serve/operations.c */
extern const int syn_operations_route_count;
extern const syn_http_route syn_auth_routes[]; /* serve/auth_routes.c */
extern const int syn_auth_route_count;
extern const syn_http_route syn_api_routes[]; /* serve/api_routes.c */
extern const int syn_api_route_count;
extern const syn_http_route syn_openai_routes[]; /* serve/openai_routes.c */
extern const int syn_openai_route_count;
extern const syn_http_route syn_inference_routes[]; /* serve/inference_routes.c */
extern const int syn_inference_route_count;
extern const syn_http_route syn_page_routes[]; /* serve/page.c */
extern const int syn_page_route_count;

/* ---- the whole ---- */

/* Opens all that the settings name, starts the workers and returns once they listen. Errors name
 * the setting. Texts of the settings outlive the service. */
SYN_WARN_UNUSED syn_status syn_service_start(const syn_settings *settings, syn_service **out);
int syn_service_port(const syn_service *s);
/* Drains all workers for at most drain_s, then frees all. NULL is allowed. */
void syn_service_stop(syn_service *s);
/* Waits until SIGTERM or SIGINT, then drains: /readyz fails at once, after drain_delay_s (SIGTERM
 * alone) nothing more is accepted, and what runs has drain_s to end; a second signal ends it at
 * once. SIGHUP drops what is remembered of keys, reads LOG_LEVEL again and reopens the log's file.
 * The caller then calls syn_service_stop. Where the caller blocks these signals before it starts
 * the service, none is lost. */
SYN_WARN_UNUSED syn_status syn_service_wait(syn_service *s);

#endif
