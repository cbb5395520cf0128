#include "serve/http_internal.h"
#include "serve/json_text.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { HOOKED_HEADERS_MAX = 12 };

static void make_id(syn_http_server *s, char *out)
{
    uint64_t z = s->id_state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    for (int i = 0; i < 16; i++, z >>= 4) out[i] = "0123456789abcdef"[z & 15];
    out[16] = 0;
}

request *syn_http_request_create(connection *c)
{
    request *r = calloc(1, sizeof(*r));
    if (!r) return NULL;
    r->view.server = c->server;
    r->view.method = SYN_HTTP_OTHER;
    r->view.path = r->view.query = "";
    r->view.peer = memcpy(r->peer, c->peer, sizeof(r->peer));
    make_id(c->server, r->view.id);
    r->connection = c;
    r->head_bytes = c->head_bytes;
    r->begin_ns = uv_hrtime();
    if (c->last)
        c->last->next = r;
    else
        c->first = r;
    c->last = r;
    c->unanswered++;
    c->server->requests_alive++;
    return r;
}

void syn_http_drop_body(syn_http_request *view)
{
    request *r = (request *)view;
    view->server->bodies_bytes -= (int64_t)r->body.room;
    syn_http_free(&r->body);
    view->body = "";
    view->body_bytes = 0;
}

void syn_http_request_free(request *r)
{
    syn_http_server *s = r->view.server;
    if (s->options.access) {
        double begin = (double)r->begin_ns;
        syn_http_access access = {
            .request = &r->view,
            .status = r->status ? r->status : 499,
            .cancelled = r->cancelled || r->aborted || r->state != REQUEST_DONE,
            .received_bytes = r->head_bytes + r->body_wire_bytes,
            .replied_bytes = r->replied_bytes,
            .first_byte_s = r->first_byte_ns ? ((double)r->first_byte_ns - begin) * 1e-9 : -1,
            .time_s = ((double)uv_hrtime() - begin) * 1e-9};
        s->options.access(s->options.arg, &access);
    }
    syn_http_drop_body(&r->view);
    syn_http_free(&r->head);
    syn_http_free(&r->decoded);
    syn_http_free(&r->out);
    free(r->spans);
    free(r->headers);
    free(r);
    s->requests_alive--;
    syn_http_settle(s);
}

size_t syn_http_queued(const connection *c)
{
    return c->out.count + uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

/* Where an answer's bytes go; NULL: nowhere. The server's spare buffer saves most allocations. */
static buffer *output(request *r)
{
    connection *c = r->connection;
    if (!c || c->broken || c->state != CONNECTION_OPEN) return NULL;
    if (c->first != r) return &r->out;
    if (!c->out.bytes) {
        c->out = c->server->spare;
        c->server->spare = (buffer){0};
    }
    return &c->out;
}

static bool add_header(buffer *out, const char *name, const char *value)
{
    return syn_http_add_text(out, name) && syn_http_add(out, ": ", 2) &&
           syn_http_add_text(out, value) && syn_http_add(out, "\r\n", 2);
}

static bool add_number(buffer *out, uint64_t n)
{
    char digits[20];
    int at = 20;
    do digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    return syn_http_add(out, digits + at, (size_t)(20 - at));
}

static bool has_body(int status)
{
    return status != 204 && status != 304;
}

/* What the server's owner adds. */
static bool add_hooked_headers(const request *r, buffer *out, int status)
{
    const syn_http_options *o = &r->view.server->options;
    syn_http_header headers[HOOKED_HEADERS_MAX];
    if (!o->headers) return true;
    int count = o->headers(o->arg, &r->view, status, headers, HOOKED_HEADERS_MAX);
    bool good = true;
    for (int i = 0; i < count; i++) {
        good = good && add_header(out, headers[i].name, headers[i].value);
    }
    return good;
}

/* The lines that depend on the connection and the request. */
static bool add_own_headers(request *r, buffer *out, int status)
{
    char allowed[64];
    bool good = add_header(out, "X-Request-Id", r->view.id);
    if (r->view.server->options.origin_allowed) good = good && add_header(out, "Vary", "Origin");
    if (r->origin) {
        good = good && add_header(out, "Access-Control-Allow-Origin", r->origin) &&
               add_header(out, "Access-Control-Expose-Headers",
                          "X-Request-Id, Inference-Header-Content-Length, Retry-After, "
                          "retry-after-ms, x-ratelimit-limit-requests, "
                          "x-ratelimit-remaining-requests, x-ratelimit-reset-requests");
    }
    if (status == 405 && syn_http_allowed(r, allowed, sizeof(allowed)))
        good = good && add_header(out, "Allow", allowed);
    if (!r->keep_alive)
        good = good && add_header(out, "Connection", "close");
    else if (r->http_1_0)
        good = good && add_header(out, "Connection", "keep-alive");
    return good && add_hooked_headers(r, out, status);
}

static bool add_head(request *r, buffer *out, const syn_http_reply *reply)
{
    bool good =
        syn_http_add_text(out, "HTTP/1.1 ") && add_number(out, (uint64_t)reply->status) &&
        syn_http_add(out, " ", 1) && syn_http_add_text(out, syn_http_reason(reply->status)) &&
        syn_http_add(out, "\r\n", 2) && add_header(out, "Date", syn_http_date(r->view.server));
    if (has_body(reply->status)) {
        good = good && add_header(out, "Content-Type",
                                  reply->content_type ? reply->content_type : "application/json");
        if (!r->streaming) {
            good = good && syn_http_add_text(out, "Content-Length: ") &&
                   add_number(out, reply->body_bytes) && syn_http_add(out, "\r\n", 2);
        } else if (!r->http_1_0) {
            good = good && add_header(out, "Transfer-Encoding", "chunked");
        }
    }
    good = good && add_own_headers(r, out, reply->status);
    for (int i = 0; i < reply->header_count; i++) {
        good = good && add_header(out, reply->headers[i].name, reply->headers[i].value);
    }
    return good && syn_http_add(out, "\r\n", 2);
}

static bool is_line(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_sound(const syn_http_reply *reply)
{
    bool sound = reply->status >= 200 && reply->status <= 599 &&
                 (!reply->content_type || is_line(reply->content_type));
    for (int i = 0; i < reply->header_count; i++) {
        sound = sound && is_line(reply->headers[i].name) && is_line(reply->headers[i].value);
    }
    return sound;
}

/* The handler is done with it. */
static void finish(request *r)
{
    connection *c = r->connection;
    r->state = REQUEST_DONE;
    if (!c) {
        syn_http_request_free(r);
        return;
    }
    if (r->serial) c->serial_running--;
    r->serial = false;
    if (!r->whole) { /* where the next request begins is not known */
        c->ending = true;
        if (c->current == r) c->current = NULL;
    }
    /* A stream's head may have promised more before the drain began. */
    if (c->last == r && c->server->draining) c->ending = true;
    syn_http_pump(c);
}

/* The head of an answer. False: there is nobody to send it to, or no memory for it. */
static bool begin(request *r, const syn_http_reply *reply)
{
    connection *c = r->connection;
    buffer *out = output(r);
    if (!out) return false;
    r->status = reply->status;
    bool last = c->last == r && r->view.server->draining;
    if (reply->close || !r->whole || last || (r->streaming && r->http_1_0)) r->keep_alive = false;
    if (!r->first_byte_ns) r->first_byte_ns = uv_hrtime();
    size_t before = out->count;
    if (!add_head(r, out, reply)) {
        r->aborted = true;
        return false;
    }
    r->replied_bytes += out->count - before;
    return true;
}

static bool add_body(request *r, const void *data, size_t bytes)
{
    buffer *out = output(r);
    if (!out || syn_http_add(out, data, bytes)) {
        r->replied_bytes += bytes;
        return true;
    }
    r->aborted = true;
    return false;
}

void syn_http_send(syn_http_request *view, const syn_http_reply *reply)
{
    request *r = (request *)view;
    if (!is_sound(reply)) {
        syn_http_reply_error(view, 500, "The reply had a malformed header.");
        return;
    }
    if (begin(r, reply) && !r->head_only && has_body(reply->status))
        (void)add_body(r, reply->body, reply->body_bytes);
    finish(r);
}

static char *own_error_body(const syn_http_request *view, int status, const char *detail)
{
    char time[SYN_HTTP_TIME_BYTES];
    syn_http_timestamp(time);
    json_t *body = json_pack("{s:s, s:s, s:s}", "error", syn_http_error_name(status), "detail",
                             detail, "timestamp", time);
    if (body && status == 500) json_object_set_new(body, "error_id", json_string(view->id));
    char *text = body ? syn_json_text(body, 0) : NULL;
    json_decref(body);
    return text;
}

void syn_http_reply_error(syn_http_request *view, int status, const char *fmt, ...)
{
    const syn_http_options *o = &view->server->options;
    char detail[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    char *text = o->error_body ? o->error_body(o->arg, view, status, detail) : NULL;
    if (!text) text = own_error_body(view, status, detail);
    const char *sent = text ? text : "{\"error\": \"InternalServerError\"}";
    syn_http_send(view,
                  &(syn_http_reply){.status = status, .body = sent, .body_bytes = strlen(sent)});
    free(text);
}

/* ---- Streams ---- */

static bool add_chunk(request *r, const void *data, size_t bytes)
{
    if (r->head_only || bytes == 0) return true;
    if (r->http_1_0) return add_body(r, data, bytes);
    char size[24];
    int n = snprintf(size, sizeof(size), "%zx\r\n", bytes);
    return add_body(r, size, (size_t)n) && add_body(r, data, bytes) && add_body(r, "\r\n", 2);
}

void syn_http_stream_begin(syn_http_request *view, const syn_http_reply *head)
{
    request *r = (request *)view;
    static const syn_http_reply unsound = {.status = 500};
    r->streaming = true;
    if (begin(r, is_sound(head) ? head : &unsound))
        (void)add_chunk(r, head->body, head->body_bytes);
    if (!r->connection) return;
    if (r->aborted)
        syn_http_give_up(r->connection);
    else
        syn_http_pump(r->connection);
}

syn_status syn_http_stream_write(syn_http_request *view, const void *data, size_t bytes)
{
    request *r = (request *)view;
    connection *c = r->connection;
    if (!c || c->broken || c->state != CONNECTION_OPEN) return SYN_ERR_INTERRUPTED;
    size_t queued = c->first == r ? syn_http_queued(c) : r->out.count;
    if (queued > 0 && queued + bytes > (size_t)c->server->limits.stream_queue_bytes_max) {
        r->blocked = true;
        return SYN_ERR_LIMIT;
    }
    if (r->aborted || !add_chunk(r, data, bytes)) { /* out of memory: `cancel` is to be called */
        syn_http_give_up(c);
        return SYN_ERR_INTERRUPTED;
    }
    syn_http_pump(c);
    return c->broken ? SYN_ERR_INTERRUPTED : SYN_OK;
}

void syn_http_stream_end(syn_http_request *view)
{
    request *r = (request *)view;
    if (!r->http_1_0 && !r->head_only && !r->aborted) (void)add_body(r, "0\r\n\r\n", 5);
    finish(r);
}

void syn_http_stream_abort(syn_http_request *view)
{
    request *r = (request *)view;
    r->aborted = true;
    finish(r);
}

void syn_http_on_room(syn_http_request *view, void (*room)(syn_http_request *))
{
    ((request *)view)->room = room;
}

void syn_http_on_cancel(syn_http_request *view, void (*cancel)(syn_http_request *))
{
    ((request *)view)->cancel = cancel;
}

bool syn_http_cancelled(const syn_http_request *view)
{
    return ((const request *)view)->cancelled;
}
