/* What the server's own files share. Request and connection belong to the loop's thread. */
#ifndef SYN_SERVE_HTTP_INTERNAL_H
#define SYN_SERVE_HTTP_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include <llhttp/llhttp.h>
#include <uv.h>

#include "serve/http.h"

typedef struct buffer {
    char *bytes;
    size_t count, room;
} buffer;

struct connection;

typedef struct span {
    uint32_t name, value; /* offsets into the head */
} span;

typedef enum request_state {
    REQUEST_READING,
    REQUEST_HELD,    /* `before` has it: nothing behind its head is parsed or read */
    REQUEST_READY,   /* complete, waits for those before it */
    REQUEST_RUNNING, /* its handler has it */
    REQUEST_DONE     /* answered, some bytes may wait for those before it */
} request_state;

typedef struct request {
    syn_http_request view;         /* first, so that one pointer is both */
    struct connection *connection; /* NULL once the peer is gone */
    struct request *next;          /* of the same connection, in order of arrival */
    request_state state;
    int status;                                  /* of the answer, 0: none yet */
    bool head_only, http_1_0, keep_alive, whole; /* whole: all its bytes are here */
    bool serial;                                 /* counted in the connection's serial_running */
    bool streaming, blocked, cancelled, aborted;
    bool continue_due;  /* the peer waits for 100 Continue */
    const char *origin; /* allowed by CORS, or NULL */
    buffer head;        /* target, then names and values, each NUL-terminated */
    span *spans;
    syn_http_header *headers;
    buffer body;
    buffer decoded; /* of the path's parameters */
    buffer out;     /* answer that waits for those before it */
    int64_t body_max;
    int chunks;
    uint64_t head_bytes, body_wire_bytes, replied_bytes;
    uint64_t begin_ns, first_byte_ns;
    uint64_t body_since_ms;
    void (*cancel)(syn_http_request *);
    void (*room)(syn_http_request *);
    char peer[INET6_ADDRSTRLEN];
} request;

typedef enum connection_state {
    CONNECTION_OPEN,
    CONNECTION_LINGERS,
    CONNECTION_CLOSING
} connection_state;

typedef struct connection {
    uv_tcp_t tcp; /* first */
    syn_http_server *server;
    struct connection *previous, *next;
    connection_state state;
    bool reading;  /* the socket is read */
    bool pumping;  /* connection_pump is at work further up the stack */
    bool ending;   /* no further request is read; closed when all is answered and sent */
    bool writing;  /* `sending` is under way */
    bool broken;   /* nothing more can be sent: closed by the loop's next round */
    bool eof;      /* the peer sends no more */
    bool after_cr; /* of the head's scan */
    bool in_body, head_ended, message_ended;
    int head_lines, line_bytes;
    int refused_status; /* set by the parser's callbacks */
    const char *refused_detail;
    llhttp_t parser;
    union {
        uv_write_t write;
        uv_shutdown_t shutdown;
    } io;
    buffer out, sending; /* appended to; handed to the loop */
    buffer kept;         /* input that waits */
    const char *input;   /* not parsed yet: in kept, or in the server's read buffer */
    size_t input_bytes;
    size_t head_bytes; /* of the head under way, before and after its request exists */
    size_t name_at;
    request *first, *last, *current; /* current: being read, also the last */
    int unanswered, serial_running;
    uint64_t head_since_ms; /* 0: no head is awaited with a deadline */
    uint64_t idle_since_ms, linger_until_ms;
    uint64_t write_progress_ms;
    size_t write_waiting;
    char peer[INET6_ADDRSTRLEN];
} connection;

struct syn_http_server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t tick;
    uv_async_t wake;
    uv_signal_t signals[2];
    bool loop_made, draining, finished;
    bool accept_owed; /* a connection waits that there was no memory for */
    bool some_broken; /* connections */
    syn_http_options options;
    syn_http_limits limits;
    llhttp_settings_t parser_settings;
    connection *connections;
    atomic_int connection_count; /* written on the loop's thread alone */
    int requests_alive, port;
    int64_t bodies_bytes;
    uint64_t drain_until_ms;
    uint64_t id_state;
    time_t date_second;
    char date[32];
    buffer spare; /* the last output buffer that was given back */
    pthread_mutex_t lock;
    syn_http_task *tasks, **tasks_end; /* under lock */
    int drain_wanted_ms;               /* under lock; -1: none */
    char read_bytes[65536];
};

/* http_text.c */
bool syn_http_add(buffer *b, const void *data, size_t bytes); /* false: out of memory */
bool syn_http_add_text(buffer *b, const char *text);
void syn_http_free(buffer *b);
const char *syn_http_reason(int status);
const char *syn_http_date(syn_http_server *s);
/* Decodes %xx (and + where `plus`) into out, which has room for `bytes` + 1. Returns the length, or
 * -1: a bad escape, or one of a control character. */
int64_t syn_http_decode(const char *text, size_t bytes, bool plus, char *out);
bool syn_http_is_id(const char *text);

/* http_route.c */
syn_status syn_http_check_routes(const syn_http_options *options) SYN_WARN_UNUSED;
/* Finds r's route and parameters; 0, or the status of the refusal (404, 405, 400, 500). */
int syn_http_find_route(request *r);
/* "GET, HEAD, OPTIONS": of every route that r's path fits; false where none does. */
bool syn_http_allowed(const request *r, char *out, size_t bytes);
void syn_http_answer_options(request *r);

/* http_parse.c */
void syn_http_parser_settings(llhttp_settings_t *settings);
/* Parses what it can of the input up to the end of one head or message. */
void syn_http_parse(connection *c);
/* Answers the request being read (made up where there is none) and ends the connection after it. */
void syn_http_refuse(connection *c, int status, const char *detail);

/* http_head.c */
/* Fills in r from a head that is whole. 0; or the status of the refusal, and *fault says why. */
int syn_http_read_head(request *r, const llhttp_t *parser, const char **fault);

/* http_connection.c */
void syn_http_accept(uv_stream_t *listener, int status);
/* Closes the connection from the loop's next round on: what cancels a request never runs within a
 * call that its handler made. */
void syn_http_give_up(connection *c);
/* Does all that can be done: retires, hands out, parses, writes, reads on or stops. */
void syn_http_pump(connection *c);
void syn_http_cut(connection *c);                         /* closes at once and cancels what runs */
void syn_http_look_after(connection *c, uint64_t now_ms); /* deadlines */

/* http_reply.c */
request *syn_http_request_create(connection *c); /* the connection's last; NULL: out of memory */
void syn_http_request_free(request *r);          /* tells the access hook */
size_t syn_http_queued(const connection *c);     /* bytes that the kernel has not taken yet */

/* http_server.c */
void syn_http_settle(syn_http_server *s); /* ends a drain that has nothing left to wait for */

#endif
