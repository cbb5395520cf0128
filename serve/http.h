/* An HTTP/1.1 server: one loop on one thread, and no knowledge of what its routes mean.
 *
 * Several servers may listen on one port (SO_REUSEPORT), one for each thread. All functions and
 * callbacks of a server belong to the thread that runs it, except syn_http_post() and
 * syn_http_drain(), which any thread may call.
 *
 * A request reaches its route's handler once it is complete and every rule of framing was kept. The
 * handler answers exactly once, at once or later: with syn_http_send(), or with
 * syn_http_stream_begin(), any number of writes and syn_http_stream_end() or _abort(). The request
 * stays valid up to that call, also when the peer is gone: then the answer goes nowhere, and a
 * handler that asked for it with syn_http_on_cancel() is told.
 *
 * Requests of one connection are answered in order. A later one is handed out beside an earlier one
 * only when both are of safe methods or of routes marked `parallel`.
 *
 * What is refused by the server itself (framing, caps, deadlines, unknown routes) is answered with
 * the JSON error object of syn_http_reply_error(), and the connection is closed where it is no
 * longer certain where the next request begins. A peer that half-closes its side has hung up. */
#ifndef SYN_SERVE_HTTP_H
#define SYN_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"

struct uv_loop_s;
typedef struct syn_http_server syn_http_server;
typedef struct syn_http_request syn_http_request;

typedef enum syn_http_method {
    SYN_HTTP_GET, /* its routes answer HEAD too, without the body */
    SYN_HTTP_HEAD,
    SYN_HTTP_POST,
    SYN_HTTP_PUT,
    SYN_HTTP_PATCH,
    SYN_HTTP_DELETE,
    SYN_HTTP_OPTIONS, /* answered by the server: Allow, and CORS preflights */
    SYN_HTTP_OTHER
} syn_http_method;

typedef struct syn_http_header {
    const char *name, *value;
} syn_http_header;

enum { SYN_HTTP_PARAMETERS_MAX = 4, SYN_HTTP_ID_BYTES = 65 };
#define SYN_HTTP_BODY_DEFAULT ((int64_t)-1)

typedef struct syn_http_route {
    syn_http_method method;
    /* "/v2/models/{name}/infer": a segment in braces matches one that is not empty, and is handed
     * over decoded; "{name+}" as the last segment matches all the rest, slashes included.
     * The first route that fits wins. */
    const char *pattern;
    void (*handle)(syn_http_request *request);
    int64_t body_bytes_max; /* 0: takes no body; SYN_HTTP_BODY_DEFAULT: the server's limit */
    bool parallel;          /* has no effect that an earlier or later request could see */
    const void *data;       /* the caller's own */
} syn_http_route;

/* Read-only for handlers, except `user`. */
struct syn_http_request {
    syn_http_server *server;
    const syn_http_route *route; /* NULL: refused before one was found */
    syn_http_method method;
    const char *path;                                /* as sent, without the query */
    const char *query;                               /* without '?'; "" where there is none */
    const char *parameters[SYN_HTTP_PARAMETERS_MAX]; /* of the pattern, decoded, in order */
    const syn_http_header *headers;
    int header_count;
    const void *body; /* followed by a NUL; NULL only before the body has arrived */
    size_t body_bytes;
    const char *peer;           /* address without the port */
    char id[SYN_HTTP_ID_BYTES]; /* X-Request-Id where it is [A-Za-z0-9._-]{1,64}, else our own */
    void *user;                 /* the handler's */
};

/* For logs and metrics; called once for each request, when its answer is complete or lost. */
typedef struct syn_http_access {
    const syn_http_request *request;
    int status;                  /* 499: the peer left before there was one */
    bool cancelled;              /* the peer left, or the server stopped, before the end */
    uint64_t received_bytes;     /* head and body as sent */
    uint64_t replied_bytes;      /* head and body, framing included */
    double first_byte_s, time_s; /* from the request's first byte; first_byte_s < 0: none */
} syn_http_access;

/* 0 means the default in brackets. */
typedef struct syn_http_limits {
    int connections_max;            /* [10000] beyond: 503 */
    int pipeline_max;               /* [32] unanswered requests of a connection; beyond: unread */
    int headers_max;                /* [100] beyond: 431 */
    int header_bytes_max;           /* [16 KiB] request line and headers; beyond: 431 */
    int url_bytes_max;              /* [8 KiB] beyond: 414 */
    int chunks_max;                 /* [16384] of a chunked body; beyond: 413 */
    int64_t body_bytes_max;         /* [1 MiB] beyond: 413 */
    int64_t bodies_bytes_max;       /* [256 MiB] of all requests together; beyond: 503 */
    int64_t stream_queue_bytes_max; /* [256 KiB] see syn_http_stream_write() */
    int header_timeout_ms;    /* [10000] from the first byte or the connection to the head's end */
    int body_grace_ms;        /* [20000] from then on a body has to come at ... */
    int body_bytes_per_s_min; /* [500] ... this rate on average; else 408 */
    int idle_timeout_ms;      /* [75000] between requests */
    int write_timeout_ms;     /* [30000] without the peer taking a byte that waits for it */
} syn_http_limits;

/* What `before` has made of a request. */
typedef enum syn_http_entry {
    SYN_HTTP_REFUSED, /* answered, with syn_http_send() or syn_http_reply_error() */
    SYN_HTTP_ADMITTED,
    /* Nothing more is read of its connection, its body neither, until syn_http_admit() or an answer
     * follows, which one of them does, also when the peer is gone meanwhile. */
    SYN_HTTP_HELD
} syn_http_entry;

typedef struct syn_http_options {
    const char *host;             /* an IPv4 or IPv6 address; NULL: 127.0.0.1 */
    int port;                     /* 0: any; see syn_http_port() */
    const syn_http_route *routes; /* kept, not copied */
    int route_count;
    syn_http_limits limits;
    bool drain_on_signals; /* SIGTERM and SIGINT drain, a second one stops at once */
    int drain_ms;          /* how long those let running requests finish; 0: 30000 */
    void *arg;             /* of the hooks; each hook may be NULL */
    /* Runs once the head is known to be good and its route is found, before the body is read. */
    syn_http_entry (*before)(void *arg, syn_http_request *request);
    /* CORS: whether pages of this origin may read replies. NULL: none may. */
    bool (*origin_allowed)(void *arg, const char *origin);
    void (*access)(void *arg, const syn_http_access *access);
    /* Further headers of an answer of this status, on lines without control characters. Fills at
     * most `room` of them and returns how many; what they point to lives as long as the request. */
    int (*headers)(void *arg, const syn_http_request *request, int status, syn_http_header *out,
                   int room);
    /* The body of an error, JSON that is freed with free(); NULL: the server's own, see
     * syn_http_reply_error(). The request may have neither a route nor a path. */
    char *(*error_body)(void *arg, const syn_http_request *request, int status, const char *detail);
} syn_http_options;

/* Creates the loop and listens. Ignores SIGPIPE for the whole process where nobody handles it.
 * Errors: INVALID (address, pattern), NETWORK (the port is taken), MEMORY. */
syn_status syn_http_create(syn_http_server **server,
                           const syn_http_options *options) SYN_WARN_UNUSED;

/* Runs the loop until a drain is complete: no connection and no unanswered request is left. */
syn_status syn_http_run(syn_http_server *server) SYN_WARN_UNUSED;

/* After run, or instead of it; NULL is allowed. The caller's own handles on the loop are closed by
 * then. */
void syn_http_destroy(syn_http_server *server);

/* Any thread. Stops accepting, closes idle connections, lets running requests finish for
 * `deadline_ms`, then cancels them. Again: the earlier deadline counts. */
void syn_http_drain(syn_http_server *server, int deadline_ms);
bool syn_http_draining(const syn_http_server *server);

int syn_http_port(const syn_http_server *server);
int syn_http_connections(const syn_http_server *server); /* any thread */
void *syn_http_arg(const syn_http_server *server);
/* For other libraries that live on the same loop. */
struct uv_loop_s *syn_http_loop(syn_http_server *server);

/* Work for the loop, in memory of the caller, which is its own again when `run` is called. */
typedef struct syn_http_task {
    struct syn_http_task *next;
    void (*run)(struct syn_http_task *task);
} syn_http_task;

/* Any thread, between create and the end of run; in order of arrival. This is how other threads
 * answer requests. Tasks must not be posted when no request is left unanswered that justifies them:
 * a drained server takes none. */
void syn_http_post(syn_http_server *server, syn_http_task *task);

/* A request that `before` has held goes on to its body and its handler; not within `before`. Where
 * the peer is gone it ends here. The request may be gone afterwards. */
void syn_http_admit(syn_http_request *request);

/* The first header of this name (any case), NULL where there is none. */
const char *syn_http_header_value(const syn_http_request *request, const char *name);
/* The decoded value of a query's first parameter of this name, as text in out. Returns its length,
 * -1: absent, -2: badly encoded, or it does not fit into `bytes`. */
int syn_http_query_value(const syn_http_request *request, const char *name, char *out,
                         size_t bytes);
/* `cancel` is called at most once, on the loop and never within a call that the handler makes, when
 * the peer hangs up (noticed within a second) or the server stops before the answer is complete.
 * The request is still to be answered, which `cancel` may do itself. */
void syn_http_on_cancel(syn_http_request *request, void (*cancel)(syn_http_request *request));
bool syn_http_cancelled(const syn_http_request *request);
/* Gives the body's memory back early, for requests that live long. */
void syn_http_drop_body(syn_http_request *request);

typedef struct syn_http_reply {
    int status;                     /* 200 .. 599 */
    const char *content_type;       /* NULL: application/json */
    const syn_http_header *headers; /* further ones; a control character in one makes it a 500 */
    int header_count;
    const void *body; /* all is copied */
    size_t body_bytes;
    bool close; /* the connection, afterwards */
} syn_http_reply;

/* Answers; the request is gone afterwards. Out of memory: the connection is cut. */
void syn_http_send(syn_http_request *request, const syn_http_reply *reply);
/* Answers with {"error": name of the status, "detail": the sentence, "timestamp"}, on 500 also
 * "error_id" (the request's id). The sentence is UTF-8 and repeats nothing the peer chose. */
void syn_http_reply_error(syn_http_request *request, int status, const char *fmt, ...)
    SYN_PRINTF(3, 4);

/* Sends the head of an answer of unknown length (`body` is its first part and may be empty). */
void syn_http_stream_begin(syn_http_request *request, const syn_http_reply *head);
/* Queues bytes. OK; LIMIT: they would raise a queue that is not empty above stream_queue_bytes_max,
 * nothing was queued, and `room` of syn_http_on_room() is called once when half of it is free;
 * INTERRUPTED: the peer is gone, nothing is sent any more, and `cancel` has been or will be called.
 * None of them changes the sentence of syn_error_text(). */
syn_status syn_http_stream_write(syn_http_request *request, const void *data,
                                 size_t bytes) SYN_WARN_UNUSED;
void syn_http_on_room(syn_http_request *request, void (*room)(syn_http_request *request));
/* The answer is complete; the request is gone. */
void syn_http_stream_end(syn_http_request *request);
/* The answer failed on its way: the connection is cut so that the peer can tell; the request is
 * gone. */
void syn_http_stream_abort(syn_http_request *request);

/* "ValidationError" for 400 and so on. */
const char *syn_http_error_name(int status);
enum { SYN_HTTP_TIME_BYTES = 25 };
/* "2026-01-31T23:59:59.123Z", the time of day. */
void syn_http_timestamp(char out[SYN_HTTP_TIME_BYTES]);

#endif
