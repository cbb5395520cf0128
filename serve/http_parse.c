#include "serve/http_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Framing of a chunked body beside its data: this much for each chunk, and this much more. */
enum { CHUNK_FRAMING_BYTES = 16, BODY_FRAMING_BYTES = 4096 };

/* Stops the parser; the refusal is answered once it has returned. */
static int refuse_in_callback(connection *c, int status, const char *detail)
{
    c->refused_status = status;
    c->refused_detail = detail;
    return HPE_USER;
}

static int on_begin(llhttp_t *parser)
{
    connection *c = parser->data;
    c->current = syn_http_request_create(c);
    c->name_at = 0;
    return c->current ? 0 : refuse_in_callback(c, 503, "The server is out of memory.");
}

static int keep_head(connection *c, const char *at, size_t bytes)
{
    return syn_http_add(&c->current->head, at, bytes)
               ? 0
               : refuse_in_callback(c, 503, "The server is out of memory.");
}

static int on_url(llhttp_t *parser, const char *at, size_t bytes)
{
    connection *c = parser->data;
    if (c->current->head.count + bytes > (size_t)c->server->limits.url_bytes_max)
        return refuse_in_callback(c, 414, "The request's target is too long.");
    return keep_head(c, at, bytes);
}

static int on_url_end(llhttp_t *parser)
{
    connection *c = parser->data;
    int result = keep_head(c, "", 1);
    c->name_at = c->current->head.count;
    return result;
}

/* A trailer's bytes are counted with the body's framing; it says nothing that counts here. */
static int on_name_or_value(llhttp_t *parser, const char *at, size_t bytes)
{
    connection *c = parser->data;
    return c->head_ended ? 0 : keep_head(c, at, bytes);
}

static int on_name_end(llhttp_t *parser)
{
    connection *c = parser->data;
    request *r = c->current;
    if (c->head_ended) return 0;
    int n = r->view.header_count;
    if (r->head.count == c->name_at) return refuse_in_callback(c, 400, "A header has no name.");
    if (n >= c->server->limits.headers_max)
        return refuse_in_callback(c, 431, "The request has too many headers.");
    if (n % 16 == 0) {
        span *grown = realloc(r->spans, sizeof(span) * (size_t)(n + 16));
        if (!grown) return refuse_in_callback(c, 503, "The server is out of memory.");
        r->spans = grown;
    }
    int result = keep_head(c, "", 1);
    r->spans[n] = (span){(uint32_t)c->name_at, (uint32_t)r->head.count};
    return result;
}

static int on_value_end(llhttp_t *parser)
{
    connection *c = parser->data;
    request *r = c->current;
    if (c->head_ended) return 0;
    size_t begin = r->spans[r->view.header_count].value;
    while (r->head.count > begin && strchr(" \t", r->head.bytes[r->head.count - 1])) {
        r->head.count--;
    }
    int result = keep_head(c, "", 1);
    r->view.header_count++;
    c->name_at = r->head.count;
    return result;
}

static int on_head_end(llhttp_t *parser)
{
    connection *c = parser->data;
    c->head_ended = true;
    /* Upgrades are ignored, as a server may: the message is read like any other. */
    parser->upgrade = 0;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t bytes)
{
    connection *c = parser->data;
    request *r = c->current;
    syn_http_server *s = c->server;
    if (bytes > (uint64_t)r->body_max - r->body.count)
        return refuse_in_callback(c, 413, "The request's body is too large.");
    size_t before = r->body.room;
    /* Room grows with what has arrived, never with what was announced. */
    if ((int64_t)(r->body.count + bytes) + s->bodies_bytes - (int64_t)before >
        s->limits.bodies_bytes_max)
        return refuse_in_callback(c, 503, "The server holds too many request bodies.");
    bool added = syn_http_add(&r->body, at, bytes) && syn_http_add(&r->body, "", 1);
    s->bodies_bytes += (int64_t)r->body.room - (int64_t)before;
    if (!added) return refuse_in_callback(c, 503, "The server is out of memory.");
    r->body.count--; /* the NUL is not counted */
    return 0;
}

static int on_chunk(llhttp_t *parser)
{
    connection *c = parser->data;
    if (++c->current->chunks > c->server->limits.chunks_max)
        return refuse_in_callback(c, 413, "The request's body has too many chunks.");
    return 0;
}

/* Stops behind each message: its bytes are never mixed with the next one's. */
static int on_message_end(llhttp_t *parser)
{
    connection *c = parser->data;
    c->message_ended = true;
    return HPE_PAUSED;
}

void syn_http_parser_settings(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_message_begin = on_begin;
    settings->on_url = on_url;
    settings->on_url_complete = on_url_end;
    settings->on_header_field = on_name_or_value;
    settings->on_header_field_complete = on_name_end;
    settings->on_header_value = on_name_or_value;
    settings->on_header_value_complete = on_value_end;
    settings->on_headers_complete = on_head_end;
    settings->on_body = on_body;
    settings->on_chunk_header = on_chunk;
    settings->on_message_complete = on_message_end;
}

/* How many of the bytes belong to the head under way, whose end is an empty line; -1 with a reason:
 * a line's end that is not CRLF, a control character, a folded line. This guard stands before the
 * parser, which is more lenient, and tells it where the head ends. */
static int64_t scan_head(connection *c, const char *p, size_t n, bool *ends, const char **why)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)p[i];
        if (c->after_cr) {
            *why = "A line of the request's head does not end in CRLF.";
            if (b != '\n') return -1;
            c->after_cr = false;
            if (c->line_bytes == 0 && c->head_lines > 0) {
                *ends = true;
                return (int64_t)i + 1;
            }
            c->head_lines += c->line_bytes > 0; /* empty lines before a request are skipped */
            c->line_bytes = 0;
            continue;
        }
        if (b == '\r') {
            c->after_cr = true;
            continue;
        }
        *why = b == '\n' ? "A line of the request's head does not end in CRLF."
                         : "The request's head has a control character.";
        if ((b < 0x20 && b != '\t') || b == 0x7f) return -1;
        *why = "A line of the request's head is folded.";
        if (c->line_bytes == 0 && (b == ' ' || b == '\t')) return -1;
        c->line_bytes++;
    }
    return (int64_t)n;
}

static int status_of(connection *c, llhttp_errno_t code, const char **detail)
{
    if (c->refused_status) { /* the code is that of the callback */
        *detail = c->refused_detail;
        return c->refused_status;
    }
    switch (code) {
    case HPE_INVALID_METHOD:
        *detail = "The request's method is unknown.";
        return 501;
    case HPE_PAUSED_H2_UPGRADE:
    case HPE_INVALID_VERSION:
        *detail = "The server speaks HTTP/1.0 and HTTP/1.1.";
        return 505;
    case HPE_INVALID_URL:
        *detail = "The request's target is malformed.";
        break;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        *detail = "Content-Length is malformed, repeated, or beside Transfer-Encoding.";
        break;
    case HPE_INVALID_TRANSFER_ENCODING:
        *detail = "Transfer-Encoding is malformed, or beside Content-Length.";
        break;
    case HPE_INVALID_CHUNK_SIZE:
        *detail = "The size of a chunk is malformed.";
        break;
    case HPE_INVALID_HEADER_TOKEN:
        *detail = "A header is malformed.";
        break;
    default:
        *detail = c->in_body ? "The request's body is malformed." : "The request is malformed.";
    }
    return 400;
}

void syn_http_refuse(connection *c, int status, const char *detail)
{
    request *r = c->current ? c->current : syn_http_request_create(c);
    c->current = NULL;
    c->ending = true;
    c->head_since_ms = 0;
    if (!r) {
        syn_http_give_up(c);
        return;
    }
    r->keep_alive = false;
    if (!*r->view.path && c->name_at > 0 && r->head.count > 0) { /* the target is whole */
        r->head.bytes[strcspn(r->head.bytes, "?#")] = 0;
        r->view.path = r->head.bytes;
    }
    syn_http_reply_error(&r->view, status, "%s", detail);
}

/* Parses n bytes; returns how many were consumed, or -1 when the request was refused. */
static int64_t execute(connection *c, const char *p, size_t n)
{
    llhttp_errno_t code = llhttp_execute(&c->parser, p, n);
    if (code == HPE_OK) return (int64_t)n;
    if (code == HPE_PAUSED && c->message_ended) {
        int64_t used = llhttp_get_error_pos(&c->parser) - p;
        llhttp_resume(&c->parser);
        return used;
    }
    const char *detail = NULL;
    int status = status_of(c, code, &detail);
    syn_http_refuse(c, status, detail);
    return -1;
}

/* ---- What comes after the head ---- */

/* An answer before the body has come ends the connection: see syn_http_send(). */
static void answer_unrouted(request *r, int status)
{
    char allowed[64];
    switch (status) {
    case 400:
        syn_http_reply_error(&r->view, 400, "A part of the path is badly encoded.");
        break;
    case 404:
        syn_http_reply_error(&r->view, 404, "There is nothing at this path.");
        break;
    case 405:
        syn_http_allowed(r, allowed, sizeof(allowed));
        syn_http_reply_error(&r->view, 405, "This path takes %s.", allowed);
        break;
    default:
        syn_http_reply_error(&r->view, status, "The server is out of memory.");
    }
}

/* Expect, the body's size, and the caller's own rules. False: it has been answered, or is held. */
static bool accept_body(connection *c, request *r)
{
    const syn_http_options *o = &c->server->options;
    bool has_body = !c->message_ended;
    int64_t max = r->view.route->body_bytes_max;
    r->body_max = max == SYN_HTTP_BODY_DEFAULT ? c->server->limits.body_bytes_max : max;
    const char *expect = r->http_1_0 ? NULL : syn_http_header_value(&r->view, "Expect");
    if (expect && strcasecmp(expect, "100-continue") != 0) {
        syn_http_refuse(c, 417, "The server knows no expectation but 100-continue.");
        return false;
    }
    if (has_body && (r->body_max == 0 || c->parser.content_length > (uint64_t)r->body_max)) {
        syn_http_refuse(
            c, 413, r->body_max ? "The request's body is too large." : "This path takes no body.");
        return false;
    }
    r->continue_due = expect && has_body;
    r->state = REQUEST_RUNNING;
    const syn_http_entry entry = o->before ? o->before(o->arg, &r->view) : SYN_HTTP_ADMITTED;
    if (entry == SYN_HTTP_REFUSED) return false; /* and may be gone */
    r->state = entry == SYN_HTTP_HELD ? REQUEST_HELD : REQUEST_READING;
    return entry == SYN_HTTP_ADMITTED;
}

static void head_complete(connection *c)
{
    request *r = c->current;
    const char *fault = NULL;
    r->keep_alive = llhttp_should_keep_alive(&c->parser);
    r->whole = c->message_ended;
    r->head_bytes = c->head_bytes;
    r->body_since_ms = uv_now(&c->server->loop);
    c->head_since_ms = 0;
    int status = syn_http_read_head(r, &c->parser, &fault);
    if (status) {
        syn_http_refuse(c, status, fault);
        return;
    }
    if (r->view.method == SYN_HTTP_OPTIONS) {
        syn_http_answer_options(r);
        return;
    }
    status = syn_http_find_route(r);
    if (status)
        answer_unrouted(r, status);
    else if (accept_body(c, r))
        c->in_body = true;
}

/* The connection's state between two messages. */
static void next_message(connection *c)
{
    c->current = NULL;
    c->in_body = c->head_ended = c->message_ended = c->after_cr = false;
    c->head_lines = c->line_bytes = 0;
    c->head_bytes = 0;
    c->head_since_ms = 0;
}

static bool parse_head(connection *c)
{
    bool ends = false;
    const char *why = NULL;
    int64_t n = scan_head(c, c->input, c->input_bytes, &ends, &why);
    if (n < 0) {
        syn_http_refuse(c, 400, why);
        return false;
    }
    c->head_bytes += (size_t)n;
    if (c->head_bytes > (size_t)c->server->limits.header_bytes_max) {
        bool url = c->head_lines == 0;
        syn_http_refuse(c, url ? 414 : 431,
                        url ? "The request's target is too long."
                            : "The request's head is too large.");
        return false;
    }
    if (!c->head_since_ms) c->head_since_ms = uv_now(&c->server->loop);
    int64_t used = execute(c, c->input, (size_t)n);
    if (used < 0) return false;
    c->input += n;
    c->input_bytes -= (size_t)n;
    if (used != n || c->head_ended != ends) {
        syn_http_refuse(c, 400, "The request is malformed.");
        return false;
    }
    if (ends) head_complete(c);
    return true;
}

static bool parse_body(connection *c)
{
    int64_t used = execute(c, c->input, c->input_bytes);
    if (used < 0) return false;
    request *r = c->current;
    c->input += used;
    c->input_bytes -= (size_t)used;
    r->body_wire_bytes += (uint64_t)used;
    uint64_t framing = r->body_wire_bytes - r->body.count;
    if (framing > BODY_FRAMING_BYTES + CHUNK_FRAMING_BYTES * (uint64_t)r->chunks) {
        syn_http_refuse(c, 400, "The framing of the request's body is too long.");
        return false;
    }
    return true;
}

void syn_http_parse(connection *c)
{
    if (!(c->in_body ? parse_body(c) : parse_head(c))) return;
    request *r = c->current;
    if (!c->message_ended || c->ending || c->broken) return;
    if (r) {
        r->whole = true;
        r->continue_due = false;
        if (!r->keep_alive) c->ending = true;
        if (r->state == REQUEST_READING) r->state = REQUEST_READY;
    }
    next_message(c);
}
