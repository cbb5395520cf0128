/* What a request's head says, once it is whole: method, target, headers, and the rules of framing
 * that the parser leaves to its caller. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/http_internal.h"

static syn_http_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return SYN_HTTP_GET;
    case HTTP_HEAD:
        return SYN_HTTP_HEAD;
    case HTTP_POST:
        return SYN_HTTP_POST;
    case HTTP_PUT:
        return SYN_HTTP_PUT;
    case HTTP_PATCH:
        return SYN_HTTP_PATCH;
    case HTTP_DELETE:
        return SYN_HTTP_DELETE;
    case HTTP_OPTIONS:
        return SYN_HTTP_OPTIONS;
    default:
        return SYN_HTTP_OTHER;
    }
}

/* Splits the target into path and query: "/path?query", "http://host/path?query", or "*". */
static bool split_target(request *r)
{
    char *target = r->head.bytes;
    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        target = strchr(strstr(target, "//") + 2, '/');
        if (!target) return false;
    }
    bool star = strcmp(target, "*") == 0 && r->view.method == SYN_HTTP_OPTIONS;
    if ((*target != '/' && !star) || strchr(target, '#')) return false;
    char *query = strchr(target, '?');
    if (query) *query++ = 0;
    r->view.path = target;
    r->view.query = query ? query : "";
    return true;
}

static bool good_host(const char *host)
{
    return host[strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             ".-_:[]~%!$&'()*+,;=")] == 0;
}

/* The rules of framing that the parser leaves to its caller. NULL: all are kept. */
static const char *guard(const request *r, int *status)
{
    int hosts = 0, lengths = 0, encodings = 0;
    *status = 400;
    for (int i = 0; i < r->view.header_count; i++) {
        const syn_http_header *h = &r->headers[i];
        if (strcasecmp(h->name, "Host") == 0) {
            hosts++;
            if (!good_host(h->value)) return "The Host header is malformed.";
        } else if (strcasecmp(h->name, "Content-Length") == 0) {
            lengths++;
        } else if (strcasecmp(h->name, "Transfer-Encoding") == 0) {
            encodings++;
            if (strcasecmp(h->value, "chunked") != 0) {
                *status = 501;
                return "Transfer-Encoding is not exactly chunked.";
            }
        }
    }
    if (hosts > 1) return "The request has more than one Host header.";
    if (hosts == 0 && !r->http_1_0) return "The request has no Host header.";
    if (lengths > 1) return "The request has more than one Content-Length.";
    if (encodings > 1) return "The request has more than one Transfer-Encoding.";
    if (lengths && encodings) return "The request has Content-Length and Transfer-Encoding.";
    if (encodings && r->http_1_0) return "HTTP/1.0 has no Transfer-Encoding.";
    return NULL;
}

/* Makes texts of the spans: the head no longer moves. */
static bool fix_headers(request *r)
{
    int n = r->view.header_count;
    r->headers = malloc(sizeof(syn_http_header) * (size_t)(n + 1));
    if (!r->headers) return false;
    for (int i = 0; i < n; i++) {
        r->headers[i] =
            (syn_http_header){r->head.bytes + r->spans[i].name, r->head.bytes + r->spans[i].value};
    }
    r->view.headers = r->headers;
    free(r->spans);
    r->spans = NULL;
    return true;
}

static void read_options(request *r)
{
    const syn_http_options *o = &r->view.server->options;
    const char *id = syn_http_header_value(&r->view, "X-Request-Id");
    if (id && syn_http_is_id(id)) memcpy(r->view.id, id, strlen(id) + 1);
    const char *origin = syn_http_header_value(&r->view, "Origin");
    if (origin && o->origin_allowed && o->origin_allowed(o->arg, origin)) r->origin = origin;
}

int syn_http_read_head(request *r, const llhttp_t *parser, const char **fault)
{
    int status = 400;
    r->http_1_0 = parser->http_major == 1 && parser->http_minor == 0;
    r->view.method = method_of(parser->method);
    r->head_only = r->view.method == SYN_HTTP_HEAD;
    if (!fix_headers(r)) {
        *fault = "The server is out of memory.";
        return 503;
    }
    read_options(r);
    *fault = guard(r, &status);
    if (parser->http_major != 1 || parser->http_minor > 1) {
        *fault = "The server speaks HTTP/1.0 and HTTP/1.1.";
        status = 505;
    }
    if (!*fault && !split_target(r)) *fault = "The request's target is malformed.";
    return *fault ? status : 0;
}
