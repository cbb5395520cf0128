/* serve/llm_fetch.h on libcurl. */
#include "serve/llm_fetch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "serve/llm_lanes.h"
#include "serve/llm_url.h"

enum {
    SPARES_MAX = 1024,          /* easy handles that are kept for the next fetch */
    IDLE_MS = 60000,            /* connections that nobody needs are closed after a minute or two */
    BUFFER_BYTES = 4096,        /* libcurl's, of each fetch under way */
    UPLOAD_BUFFER_BYTES = 16384 /* the least that it takes; used with TLS */
};

struct syn_fetch_headers {
    struct syn_fetch_headers *next;
    struct curl_slist *list;
};

struct syn_fetch {
    syn_fetch *next, *previous; /* in fetcher->came */
    syn_fetcher *fetcher;
    syn_lane *lane; /* NULL: in none */
    CURL *easy;
    const syn_fetch_events *events;
    void *user;
    struct curl_slist extra;
    bool waits; /* it is in fetcher->came */
    bool loopback_only, refused, stopped;
};

struct syn_fetcher {
    syn_lanes *lanes;
    syn_fetch *came, *came_last;
    syn_fetch *spare; /* by next */
    int spares;
    struct syn_fetch_headers *headers;
};

/* ---- what has come, outside of libcurl ---- */

static void mark(syn_fetch *h)
{
    syn_fetcher *f = h->fetcher;
    if (h->waits) return;
    h->waits = true;
    h->next = NULL;
    h->previous = f->came_last;
    if (f->came_last)
        f->came_last->next = h;
    else
        f->came = h;
    f->came_last = h;
}

static void unmark(syn_fetch *h)
{
    syn_fetcher *f = h->fetcher;
    if (!h->waits) return;
    h->waits = false;
    if (h->previous)
        h->previous->next = h->next;
    else
        f->came = h->next;
    if (h->next)
        h->next->previous = h->previous;
    else
        f->came_last = h->previous;
}

/* The handle leaves libcurl, and waits for the next fetch. */
static void release(syn_fetch *h)
{
    syn_fetcher *f = h->fetcher;
    unmark(h);
    if (h->lane) syn_lane_remove(h->lane, h->easy);
    h->lane = NULL;
    if (f->spares == SPARES_MAX) {
        curl_easy_cleanup(h->easy);
        free(h);
        return;
    }
    h->next = f->spare;
    f->spare = h;
    f->spares++;
}

static syn_fetch_end judge(const syn_fetch *h, CURLcode code)
{
    if (h->stopped) return SYN_FETCH_STOPPED;
    if (h->refused) return SYN_FETCH_REFUSED;
    switch (code) {
    case CURLE_OK:
        return SYN_FETCH_OK;
    case CURLE_PARTIAL_FILE:
        return SYN_FETCH_CUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return SYN_FETCH_TLS;
    default:
        return SYN_FETCH_CONNECT;
    }
}

static void on_left(void *user)
{
    syn_fetcher *f = user;
    for (syn_fetch *h; (h = f->came);) {
        unmark(h);
        h->events->came(h->user);
    }
}

static void on_done(void *user, CURL *easy, CURLcode code)
{
    syn_fetch *h = NULL;
    long status = 0;
    (void)user;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&h);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    const syn_fetch_events *events = h->events;
    void *fetch_user = h->user;
    syn_fetch_end how = judge(h, code);
    release(h);
    events->ended(fetch_user, how, (int)status);
}

/* The resolved address counts, whatever the name in the URL says. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
    syn_fetch *h = user;
    (void)purpose;
    if (h->loopback_only && !syn_llm_loopback(&a->addr)) {
        h->refused = true;
        return CURL_SOCKET_BAD;
    }
    return syn_lanes_open(h->fetcher->lanes, a);
}

/* ---- one fetch ---- */

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    syn_fetch *h = user;
    size_t bytes = size * count, n = bytes;
    while (n > 0 && (data[n - 1] == '\r' || data[n - 1] == '\n')) n--;
    h->events->header(h->user, data, n);
    return bytes;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    syn_fetch *h = user;
    mark(h);
    h->stopped = !h->events->body(h->user, data, size * count);
    return h->stopped ? 0 : size * count;
}

/* What is the same for every fetch of this handle. */
static CURL *make_easy(syn_fetch *h)
{
    CURL *e = syn_lanes_easy(h->fetcher->lanes);
    if (e && curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_WRITEDATA, h) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_HEADERDATA, h) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, h) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_PRIVATE, h) == CURLE_OK)
        return e;
    curl_easy_cleanup(e);
    return NULL;
}

static syn_fetch *take_spare(syn_fetcher *f)
{
    syn_fetch *h = f->spare;
    if (h) {
        f->spare = h->next;
        f->spares--;
        return h;
    }
    h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->fetcher = f;
    h->easy = make_easy(h);
    if (h->easy) return h;
    free(h);
    return NULL;
}

static bool set_up(syn_fetch *h, const syn_fetch_request *r)
{
    CURL *e = h->easy;
    const struct curl_slist *headers = r->headers->list;
    if (r->extra_header) {
        h->extra = (struct curl_slist){(char *)r->extra_header, r->headers->list};
        headers = &h->extra;
    }
    return curl_easy_setopt(e, CURLOPT_URL, r->url) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, r->plain ? "http" : "https") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROXY, r->plain ? "" : NULL) == CURLE_OK &&
           /* HTTP/2 carries many calls on one connection: wait for it. Plain http has none. */
           curl_easy_setopt(e, CURLOPT_PIPEWAIT, r->plain ? 0L : 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_bytes) ==
               CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                            (long)(1000 * fmax(r->connect_s, 0)) + 1) == CURLE_OK;
}

syn_status syn_fetch_start(syn_fetcher *f, const syn_fetch_request *request,
                           const syn_fetch_events *events, void *user, syn_fetch **out)
{
    syn_fetch *h = take_spare(f);
    *out = NULL;
    if (!h) return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    h->events = events;
    h->user = user;
    h->loopback_only = request->loopback_only;
    h->refused = h->stopped = false;
    if (!set_up(h, request) || !(h->lane = syn_lanes_add(f->lanes, h->easy))) {
        release(h);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    }
    *out = h;
    return SYN_OK;
}

void syn_fetch_cancel(syn_fetch *fetch)
{
    release(fetch);
}

/* ---- the whole ---- */

syn_fetch_headers *syn_fetcher_headers(syn_fetcher *f, const char *const *lines, int count)
{
    syn_fetch_headers *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->next = f->headers;
    f->headers = h;
    for (int k = 0; k < count; k++) {
        struct curl_slist *list = curl_slist_append(h->list, lines[k]);
        if (!list) return NULL;
        h->list = list;
    }
    return h;
}

syn_status syn_fetcher_create(struct uv_loop_s *loop, syn_fetcher **out)
{
    static const syn_lanes_events events = {.done = on_done, .left = on_left};
    syn_fetcher *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return syn_fail(SYN_ERR_MEMORY, "out of memory for the connections");
    syn_status st = syn_lanes_create(loop, &events, f, IDLE_MS, &f->lanes);
    if (st != SYN_OK) {
        free(f);
        return st;
    }
    *out = f;
    return SYN_OK;
}

void syn_fetcher_destroy(syn_fetcher *f, void (*closed)(void *user), void *user)
{
    for (syn_fetch *h; (h = f->spare);) {
        f->spare = h->next;
        curl_easy_cleanup(h->easy);
        free(h);
    }
    syn_lanes_destroy(f->lanes, closed, user);
    for (syn_fetch_headers *h; (h = f->headers);) {
        f->headers = h->next;
        for (struct curl_slist *l = h->list; l; l = l->next)
            explicit_bzero(l->data, strlen(l->data));
        curl_slist_free_all(h->list);
        free(h);
    }
    free(f);
}
