#include "serve/llm.h"

#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>

#include "kernels/base/progress.h"
#include "serve/llm_openai.h"
#include "serve/llm_policy.h"
#include "serve/llm_url.h"

#define CONNECT_S    5.0
#define FIRST_BYTE_S 60.0
#define IDLE_S       30.0
enum { REPLY_BYTES_MAX = 8 << 20, ERROR_BYTES = 256 };

typedef enum call_state { CALL_WAITING, CALL_RUNNING, CALL_DONE } call_state;

typedef struct call {
    struct call *next;
    struct syn_llm *llm;
    uint32_t id;
    char *body;
    CURL *easy; /* while RUNNING */
    call_state state;
    bool admitted;        /* by the breaker */
    bool refused_address; /* not loopback */
    bool too_large, stalled;
    int attempts, http_status;
    double begin_s; /* WAITING: of the next attempt; RUNNING: when it began */
    double byte_s;  /* of the last byte, 0: none yet */
    double deadline_s;
    double retry_after_s; /* of this attempt, negative: none */
    char *reply;
    size_t reply_bytes, reply_room;
    syn_openai_reply read;
    char error[ERROR_BYTES]; /* "" until it failed */
} call;

struct syn_llm {
    CURLM *multi;
    struct curl_slist *headers;
    char *url, *host, *model;
    bool plain;         /* http */
    bool loopback_only; /* plain, and not insecure */
    int64_t reply_bytes_max;
    double scale;
    syn_rng rng;
    syn_breaker breaker;
    call *calls;
    call *handed_out; /* its reply is valid until the next wait */
};

/* ---- creation ---- */

static syn_status check_key(const char *key)
{
    for (const char *p = key; p && *p; p++)
        if (*p <= ' ' || *p > '~')
            return syn_fail(SYN_ERR_INVALID, "the API key holds a blank or a control character");
    SYN_REQUIRE(!key || strlen(key) < 4096, "the API key is longer than 4096 bytes");
    return SYN_OK;
}

static bool add_header(syn_llm *llm, const char *line)
{
    struct curl_slist *list = curl_slist_append(llm->headers, line);
    if (list) llm->headers = list;
    return list != NULL;
}

static syn_status fill(syn_llm *llm, const syn_llm_config *config)
{
    char key[4200] = "";
    size_t n = strlen(config->base_url);
    while (n > 0 && config->base_url[n - 1] == '/') n--;
    llm->url = malloc(n + 32);
    llm->model = strdup(config->model);
    llm->multi = curl_multi_init();
    if (config->api_key && *config->api_key)
        snprintf(key, sizeof key, "Authorization: Bearer %s", config->api_key);
    bool ok = llm->url && llm->host && llm->model && llm->multi &&
              add_header(llm, "Content-Type: application/json") &&
              add_header(llm, "Accept: application/json") && add_header(llm, "Expect:") &&
              (!*key || add_header(llm, key));
    explicit_bzero(key, sizeof key);
    if (!ok) return syn_fail(SYN_ERR_MEMORY, "out of memory for the connection");
    snprintf(llm->url, n + 32, "%.*s/chat/completions", (int)n, config->base_url);
    return SYN_OK;
}

syn_status syn_llm_create(const syn_llm_config *config, syn_llm **out)
{
    syn_status st;
    *out = NULL;
    SYN_REQUIRE(config->base_url && strlen(config->base_url) < 2048, "--base-url is missing");
    SYN_REQUIRE(config->model && *config->model, "--model is missing");
    SYN_RETURN_IF(check_key(config->api_key));
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return syn_fail(SYN_ERR_NETWORK, "libcurl cannot be initialised");
    syn_llm *llm = calloc(1, sizeof *llm);
    if (!llm) return syn_fail(SYN_ERR_MEMORY, "out of memory for the connection");
    llm->reply_bytes_max = config->reply_bytes_max > 0 ? config->reply_bytes_max : REPLY_BYTES_MAX;
    llm->scale = config->time_scale > 0 ? config->time_scale : 1;
    llm->rng = syn_rng_make(config->seed, SYN_STREAM_RETRY);
    SYN_TRY(syn_llm_url_check(config->base_url, config->insecure,
                              config->api_key && *config->api_key, &llm->host, &llm->plain));
    llm->loopback_only = llm->plain && !config->insecure;
    SYN_TRY(fill(llm, config));
    *out = llm;
    return SYN_OK;
done:
    syn_llm_destroy(llm);
    return st;
}

static void free_call(call *c)
{
    if (!c) return;
    if (c->easy) {
        curl_multi_remove_handle(c->llm->multi, c->easy);
        curl_easy_cleanup(c->easy);
    }
    free(c->body);
    free(c->reply);
    free(c->read.text);
    free(c);
}

void syn_llm_cancel_all(syn_llm *llm)
{
    while (llm->calls) {
        call *next = llm->calls->next;
        free_call(llm->calls);
        llm->calls = next;
    }
}

void syn_llm_destroy(syn_llm *llm)
{
    if (!llm) return;
    syn_llm_cancel_all(llm);
    free_call(llm->handed_out);
    for (struct curl_slist *h = llm->headers; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(llm->headers);
    if (llm->multi) curl_multi_cleanup(llm->multi);
    free(llm->url);
    free(llm->host);
    free(llm->model);
    free(llm);
}

/* ---- one attempt ---- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    call *c = user;
    size_t bytes = size * count;
    c->byte_s = syn_clock_s();
    if (c->reply_bytes + bytes > (size_t)c->llm->reply_bytes_max) {
        c->too_large = true;
        return 0;
    }
    if (c->reply_bytes + bytes > c->reply_room) {
        size_t room = 2 * (c->reply_bytes + bytes);
        char *grown = realloc(c->reply, room);
        if (!grown) return 0;
        c->reply = grown;
        c->reply_room = room;
    }
    memcpy(c->reply + c->reply_bytes, data, bytes);
    c->reply_bytes += bytes;
    return bytes;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    call *c = user;
    size_t bytes = size * count;
    char line[256];
    c->byte_s = syn_clock_s();
    snprintf(line, sizeof line, "%.*s", (int)(bytes < 255 ? bytes : 255), data);
    line[strcspn(line, "\r\n")] = 0;
    if (strncasecmp(line, "retry-after:", 12) == 0 && c->retry_after_s < 0)
        c->retry_after_s = syn_llm_retry_after(line + 12, (double)time(NULL));
    if (strncasecmp(line, "retry-after-ms:", 15) == 0 && atof(line + 15) > 0)
        c->retry_after_s = atof(line + 15) / 1000;
    return bytes;
}

/* The resolved address counts, whatever the name in the URL says. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
    call *c = user;
    (void)purpose;
    bool loopback = false;
    if (a->family == AF_INET)
        loopback = ntohl(((struct sockaddr_in *)&a->addr)->sin_addr.s_addr) >> 24 == 127;
    if (a->family == AF_INET6)
        loopback = IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&a->addr)->sin6_addr);
    if (c->llm->loopback_only && !loopback) {
        c->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool set_options(call *c, CURL *e, double left_s)
{
    syn_llm *llm = c->llm;
    long connect_ms = (long)(1000 * fmin(CONNECT_S * llm->scale, left_s)) + 1;
    return curl_easy_setopt(e, CURLOPT_URL, llm->url) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, llm->plain ? "http" : "https") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPHEADER, llm->headers) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)strlen(c->body)) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PRIVATE, c) == CURLE_OK &&
           (!llm->plain || curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK);
}

static void fail_call(call *c, const char *sentence)
{
    snprintf(c->error, sizeof c->error, "%s", sentence);
    c->state = CALL_DONE;
}

static void start(call *c, double now_s)
{
    c->reply_bytes = 0;
    c->byte_s = 0;
    c->retry_after_s = -1;
    c->too_large = c->stalled = c->refused_address = false;
    c->http_status = 0;
    c->attempts++;
    c->begin_s = now_s;
    c->easy = curl_easy_init();
    if (c->easy && set_options(c, c->easy, c->deadline_s - now_s) &&
        curl_multi_add_handle(c->llm->multi, c->easy) == CURLM_OK) {
        c->state = CALL_RUNNING;
        return;
    }
    if (c->easy) curl_easy_cleanup(c->easy);
    c->easy = NULL;
    fail_call(c, "out of memory for a call");
}

static void stop(call *c)
{
    curl_multi_remove_handle(c->llm->multi, c->easy);
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
}

/* ---- how an attempt ended ---- */

static syn_attempt judge(call *c, CURLcode code)
{
    if (c->too_large) return SYN_ATTEMPT_TOO_LARGE;
    if (c->stalled) return SYN_ATTEMPT_STALLED;
    switch (code) {
    case CURLE_OK:
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return SYN_ATTEMPT_TLS;
    case CURLE_PARTIAL_FILE:
        return SYN_ATTEMPT_MALFORMED;
    default:
        return SYN_ATTEMPT_CONNECT;
    }
    free(c->read.text);
    syn_attempt how =
        syn_openai_read(c->reply ? c->reply : "", c->reply_bytes, c->http_status, &c->read);
    c->http_status = c->read.http_status;
    return how;
}

static void describe_failure(call *c, syn_attempt how)
{
    const char *host = c->llm->host;
    switch (how) {
    case SYN_ATTEMPT_TLS:
        snprintf(c->error, sizeof c->error, "%.100s: the TLS connection was refused", host);
        break;
    case SYN_ATTEMPT_TOO_LARGE:
        snprintf(c->error, sizeof c->error, "%.100s: the reply is larger than %lld bytes", host,
                 (long long)c->llm->reply_bytes_max);
        break;
    case SYN_ATTEMPT_MALFORMED:
        snprintf(c->error, sizeof c->error, "%.100s: the reply is not a chat completion", host);
        break;
    case SYN_ATTEMPT_STALLED:
        snprintf(c->error, sizeof c->error, "%.100s: no answer in time", host);
        break;
    case SYN_ATTEMPT_STATUS:
        snprintf(c->error, sizeof c->error, "%.100s: HTTP status %d%s%s%s", host, c->http_status,
                 *c->read.code ? " (" : "", c->read.code, *c->read.code ? ")" : "");
        break;
    case SYN_ATTEMPT_CONNECT:
    case SYN_ATTEMPT_OK:
        snprintf(c->error, sizeof c->error, "%.100s: %s", host,
                 c->refused_address ? "plain http is for this machine only"
                                    : "the connection failed");
        break;
    }
}

/* The endpoint's fault, rather than ours. */
static bool speaks_against(const call *c, syn_attempt how)
{
    if (how == SYN_ATTEMPT_OK) return false;
    return how != SYN_ATTEMPT_STATUS || c->http_status >= 500;
}

static void end_attempt(call *c, CURLcode code)
{
    syn_llm *llm = c->llm;
    double now_s = syn_clock_s();
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    c->http_status = (int)status;
    syn_attempt how = judge(c, code);
    stop(c);
    c->state = CALL_DONE;
    if (how == SYN_ATTEMPT_OK) {
        syn_breaker_report(&llm->breaker, false, now_s, llm->scale);
        return;
    }
    double wait = syn_llm_backoff(how, c->http_status, c->retry_after_s, c->attempts, &llm->rng);
    if (c->refused_address) wait = -1;
    if (wait >= 0 && now_s + wait * llm->scale < c->deadline_s &&
        syn_breaker_admits_retry(&llm->breaker)) {
        c->state = CALL_WAITING;
        c->begin_s = now_s + wait * llm->scale;
        return;
    }
    describe_failure(c, how);
    syn_breaker_report(&llm->breaker, speaks_against(c, how), now_s, llm->scale);
}

/* ---- the loop ---- */

syn_status syn_llm_submit(syn_llm *llm, const syn_llm_call *given)
{
    call *c = calloc(1, sizeof *c);
    if (c) c->body = syn_openai_body(llm->host, llm->model, given);
    if (!c || !c->body) {
        free(c);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    }
    c->llm = llm;
    c->read = (syn_openai_reply){.prompt_tokens = -1, .completion_tokens = -1, .cost_usd = -1};
    c->id = given->id;
    c->begin_s = syn_clock_s();
    c->deadline_s = c->begin_s + given->timeout_s;
    call **last = &llm->calls;
    while (*last) last = &(*last)->next;
    *last = c;
    return SYN_OK;
}

/* When the running attempt is cut off. */
static double cut_s(const call *c)
{
    double scale = c->llm->scale;
    double idle = c->byte_s > 0 ? c->byte_s + IDLE_S * scale : c->begin_s + FIRST_BYTE_S * scale;
    return fmin(idle, c->deadline_s);
}

static void step(call *c, double now_s)
{
    syn_llm *llm = c->llm;
    if (c->state == CALL_RUNNING && now_s >= cut_s(c)) {
        c->stalled = true;
        end_attempt(c, CURLE_OPERATION_TIMEDOUT);
    }
    if (c->state != CALL_WAITING || now_s < c->begin_s) return;
    if (now_s >= c->deadline_s)
        fail_call(c, "no time is left for the call");
    else if (!c->admitted && !syn_breaker_admits(&llm->breaker, now_s))
        fail_call(c, "the endpoint has failed repeatedly and is left alone for a while");
    else {
        c->admitted = true;
        start(c, now_s);
    }
}

static void collect(syn_llm *llm)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(llm->multi, &left));) {
        call *c = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        end_attempt(c, m->data.result);
    }
}

/* Takes the first finished call out of the list; NULL if there is none. */
static call *take_finished(syn_llm *llm)
{
    for (call **at = &llm->calls; *at; at = &(*at)->next) {
        call *c = *at;
        if (c->state != CALL_DONE) continue;
        *at = c->next;
        c->next = NULL;
        return c;
    }
    return NULL;
}

static double next_event_s(const syn_llm *llm, double until_s)
{
    for (const call *c = llm->calls; c; c = c->next)
        until_s = fmin(until_s, c->state == CALL_RUNNING ? cut_s(c) : c->begin_s);
    return until_s;
}

syn_status syn_llm_wait(syn_llm *llm, double timeout_s, syn_llm_reply *out, bool *got)
{
    double until_s = syn_clock_s() + timeout_s;
    *got = false;
    free_call(llm->handed_out);
    llm->handed_out = NULL;
    for (;;) {
        int running;
        double now_s = syn_clock_s();
        for (call *c = llm->calls; c; c = c->next) step(c, now_s);
        if (curl_multi_perform(llm->multi, &running) != CURLM_OK)
            return syn_fail(SYN_ERR_NETWORK, "libcurl failed");
        collect(llm);
        call *c = take_finished(llm);
        if (c) {
            llm->handed_out = c;
            *out = (syn_llm_reply){.id = c->id,
                                   .text = *c->error ? NULL : c->read.text,
                                   .error = c->error,
                                   .prompt_tokens = c->read.prompt_tokens,
                                   .completion_tokens = c->read.completion_tokens,
                                   .cost_usd = c->read.cost_usd,
                                   .http_status = c->http_status,
                                   .attempts = c->attempts};
            *got = true;
            return SYN_OK;
        }
        now_s = syn_clock_s();
        if (now_s >= until_s || !llm->calls) return SYN_OK;
        double wait = fmin(fmax(next_event_s(llm, until_s) - now_s, 0), 1);
        if (curl_multi_poll(llm->multi, NULL, 0, (int)(wait * 1000) + 1, NULL) != CURLM_OK)
            return syn_fail(SYN_ERR_NETWORK, "libcurl failed");
    }
}
