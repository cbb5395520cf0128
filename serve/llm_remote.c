#include "serve/llm_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "serve/llm_dialect.h"
#include "serve/json_text.h"
#include "serve/llm_url.h"

#define CONNECT_S 5.0
enum { LINE_BYTES_MAX = 64 << 20, SAID_BYTES = 600 };

typedef struct request {
    CURL *easy;
    syn_buffer line; /* the one under way; of an error, the whole body */
    void (*event)(void *user, const json_t *event);
    void *user;
    bool too_large, malformed;
} request;

static bool take_line(request *r)
{
    json_t *event = json_loadb(r->line.text ? r->line.text : "", r->line.bytes, 0, NULL);
    r->malformed = !json_is_object(event);
    if (!r->malformed) r->event(r->user, event);
    json_decref(event);
    r->line.bytes = 0;
    return !r->malformed;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    request *r = user;
    long status = 0;
    size_t bytes = size * count;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    for (size_t at = 0; at < bytes;) {
        const char *end = status == 200 ? memchr(data + at, '\n', bytes - at) : NULL;
        size_t n = end ? (size_t)(end - data) - at : bytes - at;
        r->too_large = r->line.bytes + n > LINE_BYTES_MAX;
        if (r->too_large || !syn_buffer_add(&r->line, data + at, n)) return 0;
        at += n + (end != NULL);
        if (end && r->line.bytes > 0 && !take_line(r)) return 0;
    }
    return bytes;
}

/* What the service says is wrong, in its own words. */
static syn_status refused(const syn_remote *remote, const request *r, long status)
{
    char said[SAID_BYTES] = "";
    json_t *error = json_loadb(r->line.text ? r->line.text : "", r->line.bytes, 0, NULL);
    const char *detail = json_string_value(json_object_get(error, "detail"));
    snprintf(said, sizeof said, "%s", detail ? detail : "");
    for (char *p = said; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127) *p = ' ';
    json_decref(error);
    syn_status st = status == 429 || status == 503 ? SYN_ERR_LIMIT
                    : status >= 500                ? SYN_ERR_NETWORK
                                                   : SYN_ERR_INVALID;
    return syn_fail(st, "%s: HTTP status %ld%s%s", remote->url, status, *said ? ": " : "", said);
}

static syn_status judge(const syn_remote *remote, const request *r, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (r->too_large)
        return syn_fail(SYN_ERR_LIMIT, "%s: a line of the reply is larger than %d bytes",
                        remote->url, LINE_BYTES_MAX);
    if (r->malformed)
        return syn_fail(SYN_ERR_FORMAT, "%s: the reply is not that of syncog", remote->url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return syn_fail(SYN_ERR_NETWORK, "%s: no answer within %g s", remote->url,
                        remote->timeout_s);
    if (code != CURLE_OK)
        return syn_fail(SYN_ERR_NETWORK, "%s: %s", remote->url,
                        status ? "the reply broke off"
                               : "no connection; is 'syncog serve' running there?");
    return status == 200 ? SYN_OK : refused(remote, r, status);
}

static bool set_up(request *r, const syn_remote *remote, const struct curl_slist *headers,
                   const char *body)
{
    return curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, body) == CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body)) ==
               CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_S * 1000)) ==
               CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)(remote->timeout_s * 1000)) ==
               CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r) == CURLE_OK;
}

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (grown) *list = grown;
    return grown != NULL;
}

static syn_status perform(request *r, const syn_remote *remote, const char *body)
{
    struct curl_slist *headers = NULL;
    char key[4200] = "";
    if (remote->key && *remote->key)
        snprintf(key, sizeof key, "Authorization: Bearer %s", remote->key);
    bool ok = add_header(&headers, "Content-Type: application/json") &&
              add_header(&headers, "Expect:") && (!*key || add_header(&headers, key)) &&
              set_up(r, remote, headers, body);
    syn_status st = ok ? judge(remote, r, curl_easy_perform(r->easy))
                       : syn_fail(SYN_ERR_MEMORY, "out of memory for a request");
    explicit_bzero(key, sizeof key);
    for (struct curl_slist *h = headers; h; h = h->next) explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(headers);
    return st;
}

static syn_status check_key(const char *key)
{
    for (const char *p = key; p && *p; p++)
        if (*p <= ' ' || *p > '~' || p - key > 4096)
            return syn_fail(SYN_ERR_INVALID, "the key of the service is not a key");
    return SYN_OK;
}

syn_status syn_remote_collaborate(const syn_remote *remote, const json_t *body,
                                  void (*event)(void *user, const json_t *event), void *user)
{
    request r = {.event = event, .user = user};
    char *host = NULL, *url = NULL, *text = NULL;
    bool plain = false;
    size_t n = strlen(remote->url);
    while (n > 0 && remote->url[n - 1] == '/') n--;
    syn_status st;
    SYN_TRY(check_key(remote->key));
    st = syn_llm_url_check(remote->url, remote->insecure, remote->key && *remote->key, &host,
                           &plain);
    if (st != SYN_OK) {
        st = syn_fail_within(st, "--url");
        goto done;
    }
    if (asprintf(&url, "%.*s/api/v1/collaborate/stream", (int)n, remote->url) < 0) url = NULL;
    text = syn_json_text(body, JSON_COMPACT);
    r.easy = url ? syn_llm_easy(url, plain, plain && !remote->insecure) : NULL;
    st = r.easy && text ? perform(&r, remote, text)
                        : syn_fail(SYN_ERR_MEMORY, "out of memory for a request");
done:
    if (r.easy) curl_easy_cleanup(r.easy);
    free(r.line.text);
    free(host);
    free(url);
    free(text);
    return st;
}
