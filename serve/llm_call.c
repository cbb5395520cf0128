/* One call: its attempts, what comes of them, the callbacks of the user. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/base/progress.h"
#include "serve/llm_internal.h"

#define CONNECT_S    5.0
#define FIRST_BYTE_S 60.0
#define IDLE_S       30.0
#define LINGER_S     1.0

static void start(syn_llm_ticket *c, double now_s);
static void finish(syn_llm_ticket *c);

/* When the running attempt is cut off. */
static double cut_s(const syn_llm_ticket *c)
{
    double scale = c->llm->limit_scale;
    double idle = c->byte_s > 0 ? c->byte_s + IDLE_S * scale : c->begin_s + FIRST_BYTE_S * scale;
    return fmin(idle, c->deadline_s);
}

void syn_llm_forget(syn_llm_ticket *c)
{
    c->is_stream = c->said_so = c->too_large = false;
    c->bytes = c->reply.bytes = c->events.bytes = 0;
    syn_sse_free(&c->sse);
}

void syn_llm_arm(syn_llm_ticket *c, double at_s, double now_s)
{
    double wait_ms = ceil(1000 * fmax(at_s - now_s, 0));
    uv_timer_start(&c->timer, syn_llm_on_timer, (uint64_t)fmin(wait_ms, 1e9), 0);
}

static syn_breaker *breaker_of(const syn_llm_ticket *c)
{
    return &c->llm->breakers[c->provider->index];
}

static void set_error(syn_llm_ticket *c, const char *sentence)
{
    snprintf(c->error, sizeof c->error, "%.90s: %.160s", c->provider->host, sentence);
    c->state = CALL_FAILED;
}

static void fail_later(syn_llm_ticket *c, const char *sentence, double now_s)
{
    set_error(c, sentence);
    syn_llm_arm(c, now_s, now_s);
}

/* ---- what comes in, inside of the fetcher ---- */

static bool header_is(const char *line, size_t bytes, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (bytes <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') return false;
    *value = line + n + 1;
    while (**value == ' ' || **value == '\t') (*value)++;
    return true;
}

static void on_header(void *user, const char *data, size_t bytes)
{
    syn_llm_ticket *c = user;
    char line[256];
    const char *value;
    c->byte_s = syn_clock_s();
    snprintf(line, sizeof line, "%.*s", (int)(bytes < 255 ? bytes : 255), data);
    bytes = strlen(line);
    if (strncmp(line, "HTTP/", 5) == 0) {
        const char *blank = strchr(line, ' ');
        c->http_status = blank ? atoi(blank) : 0;
    } else if (header_is(line, bytes, "content-type", &value)) {
        c->is_stream = c->stream && strncasecmp(value, "text/event-stream", 17) == 0;
        syn_llm_tape_header(c, value);
    } else if (header_is(line, bytes, "retry-after", &value) && c->retry_after_s < 0)
        c->retry_after_s = syn_llm_retry_after(value, (double)time(NULL));
    else if (header_is(line, bytes, "retry-after-ms", &value) && atof(value) > 0)
        c->retry_after_s = atof(value) / 1000;
}

static bool on_event(void *user, const char *data, size_t bytes)
{
    syn_llm_ticket *c = user;
    if (c->said_so) return false;
    c->said_so = bytes == 6 && memcmp(data, "[DONE]", 6) == 0;
    return syn_buffer_add(&c->events, data, bytes) && syn_buffer_add(&c->events, "", 1);
}

static bool only_blanks(const char *data, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++)
        if (!strchr(" \r\n", data[k]) || !data[k]) return false;
    return true;
}

static bool on_body(void *user, const char *data, size_t bytes)
{
    syn_llm_ticket *c = user;
    c->byte_s = syn_clock_s();
    if (c->first_byte_s == 0) c->first_byte_s = c->byte_s;
    syn_llm_tape_body(c, data, bytes);
    if (c->said_so || c->state == CALL_ENDED) return only_blanks(data, bytes);
    c->bytes += bytes;
    c->too_large = (int64_t)c->bytes > c->llm->reply_bytes_max;
    if (c->too_large) return false;
    if (!c->is_stream || c->http_status != 200) return syn_buffer_add(&c->reply, data, bytes);
    syn_sse_status st = syn_sse_feed(&c->sse, data, bytes, on_event, c);
    c->too_large = st == SYN_SSE_TOO_LARGE;
    return st == SYN_SSE_OK && (!c->said_so || c->sse.data.bytes == 0);
}

/* ---- how an attempt ended ---- */

static void describe_failure(syn_llm_ticket *c, syn_attempt how, bool refused)
{
    const char *host = c->provider->host;
    const char *said = "the call failed";
    char text[128];
    switch (how) {
    case SYN_ATTEMPT_TLS:
        said = "the TLS connection was refused";
        break;
    case SYN_ATTEMPT_TOO_LARGE:
        snprintf(text, sizeof text, "the reply is larger than %lld bytes",
                 (long long)c->llm->reply_bytes_max);
        said = c->is_stream && (int64_t)c->bytes <= c->llm->reply_bytes_max
                   ? "an event of the reply is larger than 1048576 bytes"
                   : text;
        break;
    case SYN_ATTEMPT_MALFORMED:
        said = c->delivered   ? "the answer broke off"
               : c->embedding ? "the reply holds no embeddings"
                              : "the reply is not a chat completion";
        break;
    case SYN_ATTEMPT_STALLED:
        said = "no answer in time";
        break;
    case SYN_ATTEMPT_STATUS: {
        const char *code = c->result.code;
        snprintf(text, sizeof text, "HTTP status %d%s%s%s", c->http_status, *code ? " (" : "", code,
                 *code ? ")" : "");
        said = text;
        break;
    }
    case SYN_ATTEMPT_CONNECT:
    case SYN_ATTEMPT_OK:
        said = refused ? "plain http is for this machine only" : "the connection failed";
        break;
    }
    snprintf(c->error, sizeof c->error, "%.100s: %s", host, said);
}

static void report(syn_llm_ticket *c, bool failure)
{
    syn_breaker *b = breaker_of(c);
    if (c->plays) return;
    /* A call that began before the breaker opened says nothing about the provider since then. */
    if (b->open_until_s == 0 || c->probe)
        syn_breaker_report(b, failure, syn_clock_s(), c->llm->scale);
    c->admitted = false;
}

/* The provider's fault, rather than ours. */
static bool speaks_against(const syn_llm_ticket *c, syn_attempt how)
{
    return how != SYN_ATTEMPT_OK && (how != SYN_ATTEMPT_STATUS || c->http_status >= 500);
}

/* The seconds until the next attempt, negative: there is none. */
static double wait_of(syn_llm_ticket *c, syn_attempt how, bool refused, double now_s)
{
    double scale = c->llm->scale;
    if (c->plays) return c->attempts < c->exchange->attempt_count ? 0 : -1;
    double wait = syn_llm_backoff(how, c->http_status, c->retry_after_s, c->attempts, &c->llm->rng);
    bool again = wait >= 0 && !refused && !c->delivered && now_s + wait * scale < c->deadline_s &&
                 syn_breaker_admits_retry(breaker_of(c));
    return again ? wait * scale : -1;
}

/* end: of the attempt on a tape. */
static void end_attempt(syn_llm_ticket *c, syn_attempt how, bool refused, int end)
{
    double now_s = syn_clock_s();
    syn_llm_tape_attempt(c, end);
    if (how == SYN_ATTEMPT_STATUS) c->http_status = c->result.http_status;
    if (how == SYN_ATTEMPT_OK) {
        report(c, false);
        finish(c);
        return;
    }
    double wait = wait_of(c, how, refused, now_s);
    if (wait >= 0) {
        if (c->fetch) syn_fetch_cancel(c->fetch);
        c->fetch = NULL;
        c->state = CALL_WAITING;
        c->begin_s = now_s + wait;
        if (c->plays)
            start(c, now_s);
        else
            syn_llm_arm(c, c->begin_s, now_s);
        return;
    }
    if (c->plays && *c->exchange->error)
        set_error(c, c->exchange->error);
    else
        describe_failure(c, how, refused);
    report(c, speaks_against(c, how));
    finish(c);
}

/* ---- callbacks of the user ---- */

static double cost_of(const syn_llm_ticket *c)
{
    const syn_llm_usage *u = &c->result.usage;
    double in, out;
    if (u->cost_usd >= 0) return u->cost_usd;
    if (u->prompt < 0 || u->completion < 0 ||
        !syn_provider_price(c->llm->providers, c->provider, c->model, &in, &out))
        return -1;
    return (double)u->prompt * in + (double)u->completion * out;
}

static void fill_reply(const syn_llm_ticket *c, syn_llm_reply *r)
{
    bool ok = !*c->error;
    bool busy = c->http_status == 429 || c->http_status == 503;
    const char *content = json_string_value(json_object_get(c->result.message, "content"));
    *r = (syn_llm_reply){.text = ok ? (content ? content : "") : NULL,
                         .message = ok ? c->result.message : NULL,
                         .logprobs = ok ? c->result.logprobs : NULL,
                         .finish = c->result.finish,
                         .model = *c->result.model ? c->result.model : c->model,
                         .error = c->error,
                         .http_status = c->http_status,
                         .retry_after_s = !ok && busy ? c->retry_after_s : -1,
                         .partial = !ok && c->delivered,
                         .attempts = c->attempts,
                         .time_s = syn_clock_s() - c->submitted_s,
                         .usage = c->result.usage};
    r->first_byte_s = c->first_byte_s > 0 ? c->first_byte_s - c->submitted_s : r->time_s;
    r->usage.cost_usd = cost_of(c);
    if (!c->plays || !c->exchange) return;
    r->time_s = c->exchange->time_s;
    r->first_byte_s = c->exchange->first_byte_s;
}

static void finish(syn_llm_ticket *c)
{
    syn_llm_reply reply;
    double now_s = syn_clock_s();
    fill_reply(c, &reply);
    syn_llm_tape_end(c, &reply);
    if (*c->error && c->fetch) {
        syn_fetch_cancel(c->fetch);
        c->fetch = NULL;
    }
    c->state = CALL_ENDED;
    c->busy = true;
    c->done(c->context, &reply);
    c->busy = false;
    if (c->fetch) /* its connection is good for another call once the body has ended */
        syn_llm_arm(c, now_s + LINGER_S * c->llm->limit_scale, now_s);
    else
        syn_llm_release(c);
}

/* False: the user has cancelled the call. */
static bool deliver(syn_llm_ticket *c, const syn_llm_delta *delta)
{
    c->delivered = true;
    c->busy = true;
    c->delta(c->context, delta);
    c->busy = false;
    if (!c->gone) return true;
    syn_llm_release(c);
    return false;
}

/* A streamed call that was answered whole is one delta. */
static bool deliver_whole(syn_llm_ticket *c)
{
    const json_t *message = c->result.message;
    const char *text = json_string_value(json_object_get(message, "content"));
    const json_t *calls = json_object_get(message, "tool_calls");
    const syn_llm_delta delta = {
        .text = text && *text ? text : NULL,
        .reasoning = json_string_value(json_object_get(message, "reasoning_content")),
        .tool_calls = json_array_size(calls) > 0 ? calls : NULL,
        .logprobs = c->result.logprobs};
    return deliver(c, &delta);
}

/* ---- what comes in, outside of the fetcher ---- */

static void on_came(void *user)
{
    syn_llm_ticket *c = user;
    if (c->state != CALL_RUNNING) return;
    for (size_t at = 0; at < c->events.bytes;) {
        const char *data = c->events.text + at;
        size_t bytes = strlen(data);
        syn_llm_delta delta;
        at += bytes + 1;
        switch (c->dialect->event(data, bytes, &c->result, &delta)) {
        case SYN_EVENT_NOTHING:
            break;
        case SYN_EVENT_DELTA:
            if (!deliver(c, &delta)) return;
            break;
        case SYN_EVENT_END:
            end_attempt(c, syn_llm_read_end(&c->result, true), false, SYN_EXCHANGE_OPEN);
            return;
        case SYN_EVENT_ERROR:
            end_attempt(c, SYN_ATTEMPT_STATUS, false, SYN_EXCHANGE_OPEN);
            return;
        case SYN_EVENT_MALFORMED:
            end_attempt(c, SYN_ATTEMPT_MALFORMED, false, SYN_EXCHANGE_OPEN);
            return;
        }
    }
    c->events.bytes = 0;
}

static syn_attempt judge(syn_llm_ticket *c, syn_fetch_end how)
{
    if (c->too_large) return SYN_ATTEMPT_TOO_LARGE;
    if (how == SYN_FETCH_TLS) return SYN_ATTEMPT_TLS;
    bool broken = how != SYN_FETCH_OK;
    if (c->is_stream && c->http_status == 200 && c->bytes > 0) {
        if (broken && !*c->result.finish)
            return how == SYN_FETCH_CONNECT ? SYN_ATTEMPT_CONNECT : SYN_ATTEMPT_MALFORMED;
        return syn_llm_read_end(&c->result, false);
    }
    if (how == SYN_FETCH_CUT || how == SYN_FETCH_STOPPED) return SYN_ATTEMPT_MALFORMED;
    if (broken) return SYN_ATTEMPT_CONNECT;
    return syn_llm_read(c->dialect, c->reply.text ? c->reply.text : "", c->reply.bytes,
                        c->http_status, &c->result);
}

static void on_ended(void *user, syn_fetch_end how, int http_status)
{
    syn_llm_ticket *c = user;
    c->fetch = NULL;
    if (c->state == CALL_ENDED) {
        syn_llm_release(c);
        return;
    }
    c->http_status = http_status;
    syn_attempt result = judge(c, how);
    bool whole = result == SYN_ATTEMPT_OK && c->stream && !(c->is_stream && c->bytes > 0);
    if (whole && !deliver_whole(c)) return;
    end_attempt(c, result, how == SYN_FETCH_REFUSED, (int)how);
}

/* ---- attempts ---- */

static const syn_fetch_headers *headers_of(syn_llm *llm, const syn_provider *provider)
{
    const syn_provider_secret *own = provider->secret;
    const char *lines[SYN_PROVIDER_HEADERS_MAX + 3] = {"Content-Type: application/json",
                                                       "Accept: application/json", "Expect:"};
    if (llm->headers[provider->index]) return llm->headers[provider->index];
    for (int k = 0; k < own->header_count; k++) lines[3 + k] = own->headers[k];
    return llm->headers[provider->index] =
               syn_fetcher_headers(llm->fetcher, lines, 3 + own->header_count);
}

const syn_fetch_events syn_llm_events = {on_header, on_body, on_came, on_ended};

static const char *url_of(const syn_llm_ticket *c)
{
    const syn_provider_secret *own = c->provider->secret;
    return c->embedding ? own->embed_url : own->chat_url;
}

static void fetch(syn_llm_ticket *c, double now_s)
{
    const syn_provider_secret *own = c->provider->secret;
    const syn_fetch_headers *headers = headers_of(c->llm, c->provider);
    const syn_fetch_request request = {
        .url = url_of(c),
        .headers = headers,
        .extra_header = *c->traceparent ? c->traceparent : NULL,
        .body = c->body,
        .body_bytes = c->body_bytes,
        .connect_s = fmin(CONNECT_S * c->llm->limit_scale, c->deadline_s - now_s),
        .plain = own->plain,
        .loopback_only = own->loopback_only};
    if (!headers ||
        syn_fetch_start(c->llm->fetcher, &request, &syn_llm_events, c, &c->fetch) != SYN_OK) {
        fail_later(c, "out of memory for a call", now_s);
        return;
    }
    c->state = CALL_RUNNING;
    syn_llm_arm(c, cut_s(c), now_s);
}

static void start(syn_llm_ticket *c, double now_s)
{
    bool lenient = c->result.lenient;
    const syn_provider *embeds = c->result.embeds;
    int embed_count = c->result.embed_count;
    syn_llm_result_free(&c->result);
    syn_llm_result_begin(&c->result, lenient);
    c->result.embeds = embeds;
    c->result.embed_count = embed_count;
    syn_llm_forget(c);
    c->byte_s = c->first_byte_s = 0;
    c->retry_after_s = -1;
    c->http_status = 0;
    c->attempts++;
    c->begin_s = now_s;
    if (c->plays) {
        c->state = CALL_RUNNING;
        c->fed = false;
        syn_llm_arm(c, now_s, now_s);
    } else
        fetch(c, now_s);
}

/* A call that a tape answers; false: it has to be made. */
static bool play(syn_llm_ticket *c, double now_s)
{
    const syn_exchange *x = c->exchange;
    if (!c->plays) return false;
    if (!x)
        fail_later(c, syn_error_text(), now_s);
    else if (x->attempt_count == 0)
        fail_later(c, x->error, now_s);
    else
        start(c, now_s);
    return true;
}

void syn_llm_admit(syn_llm_ticket *c, const char *tag, double now_s)
{
    syn_breaker *b = breaker_of(c);
    bool probe = b->open_until_s != 0;
    syn_tape *tape = c->llm->tape;
    c->plays = syn_tape_replays(tape);
    if (tape) (void)!syn_tape_begin(tape, tag, url_of(c), c->model, c->body, &c->exchange);
    if (play(c, now_s)) return;
    if (now_s >= c->deadline_s)
        fail_later(c, "no time is left for the call", now_s);
    else if (!syn_breaker_admits(b, now_s))
        fail_later(c, "it has failed repeatedly and is left alone for a while", now_s);
    else {
        c->admitted = true;
        c->probe = probe;
        start(c, now_s);
    }
}

void syn_llm_stall(syn_llm_ticket *c)
{
    if (c->fetch) syn_fetch_cancel(c->fetch);
    c->fetch = NULL;
    end_attempt(c, SYN_ATTEMPT_STALLED, false, SYN_EXCHANGE_STALLED);
}

void syn_llm_on_timer(uv_timer_t *timer)
{
    syn_llm_ticket *c = timer->data;
    double now_s = syn_clock_s();
    switch (c->state) {
    case CALL_FAILED:
        finish(c);
        break;
    case CALL_ENDED:
        syn_llm_release(c);
        break;
    case CALL_WAITING:
        if (now_s < c->begin_s)
            syn_llm_arm(c, c->begin_s, now_s);
        else
            start(c, now_s);
        break;
    case CALL_RUNNING:
        if (c->plays) {
            syn_llm_play(c);
            break;
        }
        if (now_s < cut_s(c)) {
            syn_llm_arm(c, cut_s(c), now_s);
            break;
        }
        syn_llm_stall(c);
        break;
    }
}
