#include "serve/http_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { LINGER_MS = 1000, SPARE_BYTES_MAX = 256 << 10, REFUSED_CONNECTIONS_MAX = 64 };

static uint64_t now_of(const connection *c)
{
    return uv_now(&c->server->loop);
}

static void give_back(syn_http_server *s, buffer *b)
{
    if (!s->spare.bytes && b->room <= SPARE_BYTES_MAX) {
        s->spare = (buffer){b->bytes, 0, b->room};
        *b = (buffer){0};
    } else {
        syn_http_free(b);
    }
}

/* ---- The end of a connection ---- */

static void on_closed(uv_handle_t *handle)
{
    connection *c = (connection *)handle;
    syn_http_server *s = c->server;
    if (c->previous)
        c->previous->next = c->next;
    else
        s->connections = c->next;
    if (c->next) c->next->previous = c->previous;
    s->connection_count--;
    syn_http_free(&c->out);
    syn_http_free(&c->sending);
    syn_http_free(&c->kept);
    free(c);
    syn_http_settle(s);
}

/* The peer will not hear of it: a handler that has it is told and frees it by answering. */
static void orphan(request *r)
{
    r->connection = NULL;
    r->next = NULL;
    if (r->state != REQUEST_RUNNING && r->state != REQUEST_HELD) {
        syn_http_request_free(r);
        return;
    }
    r->cancelled = true;
    syn_http_free(&r->out);
    if (r->cancel) r->cancel(&r->view);
}

static void orphan_all(connection *c)
{
    c->current = NULL;
    while (c->first) {
        request *r = c->first;
        c->first = r->next;
        if (!c->first) c->last = NULL;
        c->unanswered--;
        orphan(r);
    }
    c->serial_running = 0;
}

void syn_http_cut(connection *c)
{
    if (c->state == CONNECTION_CLOSING) return;
    c->state = CONNECTION_CLOSING;
    c->input_bytes = 0;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    orphan_all(c);
}

void syn_http_give_up(connection *c)
{
    c->broken = c->server->some_broken = true;
    uv_async_send(&c->server->wake);
}

static void on_shutdown(uv_shutdown_t *done, int status)
{
    if (status < 0 && status != UV_ECANCELED) syn_http_cut((connection *)done->handle);
}

/* All is sent. Closing with input unread would reset the connection under the peer's answer, so its
 * own end is awaited for a moment. */
static void linger(connection *c)
{
    c->state = CONNECTION_LINGERS;
    c->linger_until_ms = now_of(c) + LINGER_MS;
    syn_http_free(&c->kept);
    c->input_bytes = 0;
    if (c->eof || uv_shutdown(&c->io.shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0)
        syn_http_cut(c);
}

/* ---- Writing ---- */

static void on_written(uv_write_t *done, int status)
{
    connection *c = (connection *)done->handle;
    c->writing = false;
    give_back(c->server, &c->sending);
    if (c->state == CONNECTION_CLOSING) return;
    if (status < 0 || c->broken) {
        syn_http_cut(c);
        return;
    }
    request *r = c->first;
    size_t half = (size_t)c->server->limits.stream_queue_bytes_max / 2;
    if (r && r->blocked && r->state == REQUEST_RUNNING && syn_http_queued(c) <= half) {
        r->blocked = false;
        if (r->room) r->room(&r->view);
    }
    syn_http_pump(c);
}

static void write_out(connection *c)
{
    if (c->writing || c->out.count == 0) return;
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    uv_buf_t rest = uv_buf_init(c->out.bytes, (unsigned)c->out.count);
    /* A stream that waits for room is told by on_written, which the loop calls. */
    if (!(c->first && c->first->blocked)) {
        int sent = uv_try_write(stream, &rest, 1);
        if (sent == (int)c->out.count) {
            c->out.count = 0;
            give_back(c->server, &c->out);
            return;
        }
        if (sent < 0 && sent != UV_EAGAIN) {
            syn_http_give_up(c);
            return;
        }
        if (sent > 0)
            rest = uv_buf_init(c->out.bytes + sent, (unsigned)(c->out.count - (size_t)sent));
    }
    c->sending = c->out;
    c->out = (buffer){0};
    c->writing = true;
    c->write_progress_ms = now_of(c);
    c->write_waiting = rest.len;
    if (uv_write(&c->io.write, stream, &rest, 1, on_written) != 0) {
        c->writing = false;
        syn_http_give_up(c);
    }
}

/* ---- Requests in order ---- */

static bool retire(connection *c)
{
    request *r = c->first;
    if (!r || r->state != REQUEST_DONE) return false;
    if (r->aborted) {
        syn_http_give_up(c);
        return false;
    }
    bool keep = r->keep_alive;
    c->first = r->next;
    if (!c->first) c->last = NULL;
    c->unanswered--;
    syn_http_request_free(r);
    if (!keep) {
        c->ending = true;
        orphan_all(c);
    }
    r = c->first;
    if (r && r->out.count) {
        if (!syn_http_add(&c->out, r->out.bytes, r->out.count))
            syn_http_give_up(c);
        else
            syn_http_free(&r->out);
    }
    if (!r) c->idle_since_ms = now_of(c);
    return true;
}

static bool say_continue(connection *c)
{
    request *r = c->first;
    if (!r || !r->continue_due || r->state != REQUEST_READING) return false;
    r->continue_due = false;
    if (!syn_http_add_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n")) syn_http_give_up(c);
    return true;
}

static bool hand_out(connection *c)
{
    request *r = c->last;
    if (!r || r->state != REQUEST_READY) return false;
    bool parallel = r->view.route->parallel || r->view.method <= SYN_HTTP_HEAD;
    if (r != c->first && !(parallel && c->serial_running == 0)) return false;
    r->serial = !parallel;
    c->serial_running += r->serial;
    r->state = REQUEST_RUNNING;
    r->view.body = r->body.bytes ? r->body.bytes : "";
    r->view.body_bytes = r->body.count;
    r->view.route->handle(&r->view);
    return true;
}

static bool is_held(const connection *c)
{
    return c->last && c->last->state == REQUEST_HELD;
}

static bool parse(connection *c)
{
    if (c->ending) c->input_bytes = 0;
    if (c->input_bytes == 0 || is_held(c) || (c->last && c->last->state == REQUEST_READY))
        return false;
    const syn_http_limits *limits = &c->server->limits;
    if (!c->current && (c->unanswered >= limits->pipeline_max ||
                        syn_http_queued(c) > (size_t)limits->stream_queue_bytes_max))
        return false;
    syn_http_parse(c);
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *unused);

static void on_room_to_read(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    syn_http_server *s = ((connection *)handle)->server;
    (void)suggested;
    *out = uv_buf_init(s->read_bytes, sizeof(s->read_bytes));
}

/* Reads on, or leaves the peer's bytes in the kernel while earlier input waits. */
static void watch(connection *c)
{
    if (c->ending && !c->first && !c->out.count && !c->writing) {
        linger(c);
        return;
    }
    bool read = (c->ending || (c->input_bytes == 0 && !is_held(c))) && !c->eof;
    if (read == c->reading) return;
    c->reading = read;
    if (!read) {
        uv_read_stop((uv_stream_t *)&c->tcp);
    } else {
        syn_http_free(&c->kept);
        if (uv_read_start((uv_stream_t *)&c->tcp, on_room_to_read, on_read) != 0)
            syn_http_give_up(c);
    }
}

void syn_http_pump(connection *c)
{
    if (c->pumping || c->broken || c->state != CONNECTION_OPEN) return;
    c->pumping = true;
    while (c->state == CONNECTION_OPEN &&
           (retire(c) || say_continue(c) || hand_out(c) || parse(c))) {
    }
    c->pumping = false;
    if (!c->broken) write_out(c);
    if (!c->broken) watch(c);
}

void syn_http_admit(syn_http_request *view)
{
    request *r = (request *)view;
    connection *c = r->connection;
    if (!c) {
        syn_http_request_free(r);
        return;
    }
    r->state = r->whole ? REQUEST_READY : REQUEST_READING;
    r->body_since_ms = now_of(c);
    c->in_body = !r->whole;
    syn_http_pump(c);
}

/* ---- Reading ---- */

/* A peer that half-closes while it waits for an answer has hung up; one that has all answers in
 * flight still gets them. */
static void on_eof(connection *c)
{
    c->eof = true;
    c->reading = false;
    uv_read_stop((uv_stream_t *)&c->tcp);
    if (c->state == CONNECTION_OPEN && !c->first && (c->out.count || c->writing)) {
        c->ending = true;
        syn_http_pump(c);
    } else {
        syn_http_give_up(c);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *in)
{
    connection *c = (connection *)stream;
    if (got == UV_EOF) {
        on_eof(c);
    } else if (got < 0) {
        syn_http_cut(c);
    } else if (got > 0 && c->state == CONNECTION_OPEN) {
        c->input = in->base;
        c->input_bytes = (size_t)got;
        syn_http_pump(c);
        if (c->state != CONNECTION_OPEN || c->input_bytes == 0) return;
        if (!syn_http_add(&c->kept, c->input, c->input_bytes))
            syn_http_cut(c);
        else
            c->input = c->kept.bytes;
    }
}

static void set_peer(connection *c)
{
    struct sockaddr_storage peer;
    int bytes = sizeof(peer);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &bytes) != 0) return;
    uv_ip_name((const struct sockaddr *)&peer, c->peer, sizeof(c->peer));
}

void syn_http_accept(uv_stream_t *listener, int status)
{
    syn_http_server *s = listener->data;
    if (status < 0) return;
    connection *c = calloc(1, sizeof(*c));
    s->accept_owed = !c;
    if (!c) return;
    c->server = s;
    if (uv_tcp_init(&s->loop, &c->tcp) != 0) {
        s->accept_owed = true;
        free(c);
        return;
    }
    c->next = s->connections;
    if (c->next) c->next->previous = c;
    s->connections = c;
    s->connection_count++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
        syn_http_cut(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    set_peer(c);
    llhttp_init(&c->parser, HTTP_REQUEST, &s->parser_settings);
    c->parser.data = c;
    c->head_since_ms = now_of(c);
    int excess = s->connection_count - s->limits.connections_max;
    if (excess > REFUSED_CONNECTIONS_MAX)
        syn_http_cut(c);
    else if (excess > 0)
        syn_http_refuse(c, 503, "The server has too many connections.");
    else
        syn_http_pump(c);
}

/* ---- Deadlines ---- */

/* Input that is not read hides the peer's end, so the kernel is asked. */
static bool hung_up(const connection *c)
{
    struct pollfd p = {.events = POLLRDHUP};
    return uv_fileno((const uv_handle_t *)&c->tcp, &p.fd) == 0 && poll(&p, 1, 0) > 0 &&
           (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static bool too_slow(const connection *c, uint64_t now)
{
    const syn_http_limits *l = &c->server->limits;
    const request *r = c->current;
    uint64_t taken = now - r->body_since_ms;
    return taken > (uint64_t)l->body_grace_ms &&
           (uint64_t)r->body.count * 1000 < (uint64_t)l->body_bytes_per_s_min * taken;
}

void syn_http_look_after(connection *c, uint64_t now)
{
    const syn_http_limits *l = &c->server->limits;
    if (c->state == CONNECTION_CLOSING) return;
    if (c->state == CONNECTION_LINGERS) {
        if (now > c->linger_until_ms) syn_http_cut(c);
        return;
    }
    size_t waiting = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (c->writing && waiting < c->write_waiting) c->write_progress_ms = now;
    c->write_waiting = waiting;
    bool stuck = c->writing && now > c->write_progress_ms + (uint64_t)l->write_timeout_ms;
    if (stuck || (!c->reading && !c->eof && hung_up(c))) {
        syn_http_cut(c);
    } else if (c->current && c->in_body) {
        if (too_slow(c, now)) syn_http_refuse(c, 408, "The request's body comes too slowly.");
    } else if (c->head_since_ms) {
        if (now <= c->head_since_ms + (uint64_t)l->header_timeout_ms) return;
        if (c->head_bytes == 0 && !c->first)
            syn_http_cut(c);
        else
            syn_http_refuse(c, 408, "The request's head did not come in time.");
    } else if (!c->first && !c->writing && !c->ending) {
        if (now > c->idle_since_ms + (uint64_t)l->idle_timeout_ms) syn_http_cut(c);
    }
}
