#include "serve/http_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ALLOWED_HEADERS_BYTES = 1024, SDK_NAME_BYTES_MAX = 64 };

static const char *const method_names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                           "PATCH", "DELETE", "OPTIONS", ""};

/* The segment that begins at `at` ends before the next '/' or the text's end. */
static size_t segment(const char *at)
{
    return strcspn(at, "/");
}

syn_status syn_http_check_routes(const syn_http_options *options)
{
    for (int i = 0; i < options->route_count; i++) {
        const syn_http_route *route = &options->routes[i];
        const char *at = route->pattern;
        int parameters = 0;
        bool good = at && *at == '/' && route->handle && route->method != SYN_HTTP_HEAD &&
                    route->method < SYN_HTTP_OPTIONS;
        while (good && *at == '/') {
            size_t n = segment(++at);
            if (*at == '{') {
                good = n > 2 && at[n - 1] == '}' && ++parameters <= SYN_HTTP_PARAMETERS_MAX &&
                       (at[n - 2] != '+' || at[n] == 0);
            }
            at += n;
        }
        if (!good) {
            return syn_fail(SYN_ERR_INVALID, "route %d (%s): not a pattern this server knows", i,
                            route->pattern ? route->pattern : "none");
        }
    }
    return SYN_OK;
}

typedef struct place {
    const char *at;
    size_t bytes;
} place;

/* Whether the path fits, and where its parameters stand, not decoded yet. */
static bool match(const char *pattern, const char *path, place *places, int *count)
{
    *count = 0;
    while (*pattern == '/' && *path == '/') {
        size_t wanted = segment(++pattern), there = segment(++path);
        if (*pattern == '{') {
            if (pattern[wanted - 2] == '+') there = strlen(path);
            if (there == 0) return false;
            places[(*count)++] = (place){path, there};
        } else if (wanted != there || memcmp(pattern, path, wanted) != 0) {
            return false;
        }
        pattern += wanted;
        path += there;
    }
    return *pattern == 0 && *path == 0;
}

static bool is_dots(const char *text)
{
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0 || strncmp(text, "../", 3) == 0 ||
           strstr(text, "/../") || (strlen(text) > 3 && !strcmp(text + strlen(text) - 3, "/.."));
}

/* Decodes into one buffer that is as long as the path: decoding never makes a text longer. */
static int decode(request *r, const place *places, int count)
{
    size_t at = 0, room = 1;
    for (int i = 0; i < count; i++) room += places[i].bytes + 1;
    r->decoded.bytes = malloc(room);
    if (!r->decoded.bytes) return 500;
    r->decoded.room = room;
    for (int i = 0; i < count; i++) {
        char *out = r->decoded.bytes + at;
        int64_t n = syn_http_decode(places[i].at, places[i].bytes, false, out);
        if (n < 0 || is_dots(out)) return 400;
        r->view.parameters[i] = out;
        at += (size_t)n + 1;
    }
    return 0;
}

static bool takes(const syn_http_route *route, syn_http_method method)
{
    return route->method == method || (route->method == SYN_HTTP_GET && method == SYN_HTTP_HEAD);
}

int syn_http_find_route(request *r)
{
    const syn_http_options *o = &r->view.server->options;
    place places[SYN_HTTP_PARAMETERS_MAX];
    bool known = false;
    for (int i = 0, count; i < o->route_count; i++) {
        const syn_http_route *route = &o->routes[i];
        if (known && !takes(route, r->view.method)) continue;
        if (!match(route->pattern, r->view.path, places, &count)) continue;
        known = true;
        if (!takes(route, r->view.method)) continue;
        r->view.route = route;
        return count ? decode(r, places, count) : 0;
    }
    return known ? 405 : 404;
}

bool syn_http_allowed(const request *r, char *out, size_t bytes)
{
    const syn_http_options *o = &r->view.server->options;
    place places[SYN_HTTP_PARAMETERS_MAX];
    bool takes_method[SYN_HTTP_OTHER] = {[SYN_HTTP_OPTIONS] = true}, known = false;
    bool all = strcmp(r->view.path, "*") == 0;
    for (int i = 0, count; i < o->route_count; i++) {
        if (!all && !match(o->routes[i].pattern, r->view.path, places, &count)) continue;
        known = true;
        takes_method[o->routes[i].method] = true;
    }
    takes_method[SYN_HTTP_HEAD] = takes_method[SYN_HTTP_GET];
    size_t n = 0;
    out[0] = 0;
    for (int m = 0; m < SYN_HTTP_OTHER; m++) {
        if (!takes_method[m]) continue;
        n += (size_t)snprintf(out + n, bytes - n, "%s%s", n ? ", " : "", method_names[m]);
    }
    return known;
}

/* What OpenAI's SDK says of itself in a browser: X-Stainless-Lang, -OS, -Retry-Count, ... */
static bool is_of_the_sdk(const char *name, size_t bytes)
{
    static const char prefix[] = "x-stainless-";
    size_t k = sizeof prefix - 1;
    if (bytes <= k || bytes > SDK_NAME_BYTES_MAX || strncasecmp(name, prefix, k) != 0) return false;
    while (k < bytes && (isalnum((unsigned char)name[k]) || name[k] == '-')) k++;
    return k == bytes;
}

/* The headers that a page may send: known ones, and those of the SDK among the ones asked for. */
static void allow_headers(const char *asked, char *out, size_t bytes)
{
    size_t n = (size_t)snprintf(out, bytes, "%s",
                                "Authorization, Content-Type, X-API-Key, X-Request-Id, "
                                "Idempotency-Key, Inference-Header-Content-Length, "
                                "OpenAI-Organization, OpenAI-Project, OpenAI-Beta, User-Agent, "
                                "traceparent, tracestate");
    while (asked && *asked) {
        asked += strspn(asked, ", \t");
        const size_t length = strcspn(asked, ", \t");
        if (is_of_the_sdk(asked, length) && n + length + 3 < bytes)
            n += (size_t)snprintf(out + n, bytes - n, ", %.*s", (int)length, asked);
        asked += length;
    }
}

void syn_http_answer_options(request *r)
{
    char allowed[64], names[ALLOWED_HEADERS_BYTES];
    if (!syn_http_allowed(r, allowed, sizeof(allowed))) {
        syn_http_reply_error(&r->view, 404, "There is nothing at this path.");
        return;
    }
    bool preflight = r->origin && syn_http_header_value(&r->view, "Access-Control-Request-Method");
    allow_headers(syn_http_header_value(&r->view, "Access-Control-Request-Headers"), names,
                  sizeof names);
    syn_http_header headers[] = {{"Allow", allowed},
                                 {"Access-Control-Allow-Methods", allowed},
                                 {"Access-Control-Allow-Headers", names},
                                 {"Access-Control-Max-Age", "600"}};
    syn_http_send(
        &r->view,
        &(syn_http_reply){.status = 204, .headers = headers, .header_count = preflight ? 4 : 1});
}
