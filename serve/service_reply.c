/* How a visit is answered. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kernels/base/log.h"
#include "serve/fields.h"
#include "serve/json_text.h"
#include "serve/round_json.h"
#include "serve/service_internal.h"

enum { SENTENCE_BYTES = 512 };

/* ---- errors in three shapes ---- */

static json_t *api_error(int status, const char *field, const char *sentence)
{
    char time[SYN_HTTP_TIME_BYTES];
    syn_http_timestamp(time);
    json_t *e = json_pack("{s:s, s:s, s:s}", "error", syn_http_error_name(status), "detail",
                          sentence, "timestamp", time);
    if (e && field) {
        json_object_set_new(e, "errors",
                            json_pack("[{s:s, s:s}]", "field", field, "message", sentence));
    }
    return e;
}

typedef struct openai_status {
    int status;
    const char *type, *code;
} openai_status;

static json_t *openai_error(int status, const char *field, const char *code, const char *sentence)
{
    static const openai_status table[] = {{401, "invalid_request_error", "invalid_api_key"},
                                          {403, "permission_error", NULL},
                                          {404, "invalid_request_error", "model_not_found"},
                                          {429, "rate_limit_error", "rate_limit_exceeded"}};
    const char *type = status >= 500 ? "server_error" : "invalid_request_error";
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        if (table[k].status != status) continue;
        type = table[k].type;
        if (!code) code = table[k].code;
    }
    if (code && !*code) code = NULL;
    return json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", sentence, "type", type,
                     "param", field, "code", code);
}

json_t *syn_error_json(syn_protocol protocol, int status, const char *field, const char *code,
                       const char *sentence)
{
    switch (protocol) {
    case SYN_PROTOCOL_OPENAI:
        return openai_error(status, field, code, sentence);
    case SYN_PROTOCOL_INFERENCE:
        return json_pack("{s:s}", "error", sentence);
    case SYN_PROTOCOL_API:
        break;
    }
    return api_error(status, field, sentence);
}

static bool is_below(const char *path, const char *root)
{
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* A refusal of the server itself: its path tells whose shape is expected. */
char *syn_service_error_body(void *arg, const syn_http_request *r, int status, const char *detail)
{
    (void)arg;
    syn_protocol protocol = is_below(r->path, "/v1")   ? SYN_PROTOCOL_OPENAI
                            : is_below(r->path, "/v2") ? SYN_PROTOCOL_INFERENCE
                                                       : SYN_PROTOCOL_API;
    json_t *e = syn_error_json(protocol, status, NULL, "", detail);
    if (e && status == 500 && protocol == SYN_PROTOCOL_API)
        json_object_set_new(e, "error_id", json_string(r->id));
    char *text = e ? syn_json_text(e, JSON_COMPACT) : NULL;
    json_decref(e);
    return text;
}

/* ---- answers ---- */

void syn_visit_reply(syn_visit *v, const syn_http_reply *reply)
{
    syn_http_send(v->request, reply);
}

void syn_visit_text(syn_visit *v, int status, const char *json, size_t bytes)
{
    syn_http_send(v->request,
                  &(syn_http_reply){.status = status, .body = json, .body_bytes = bytes});
}

void syn_visit_json(syn_visit *v, int status, json_t *body)
{
    char *text = body ? syn_json_text(body, SYN_API_JSON) : NULL;
    json_decref(body);
    if (text)
        syn_visit_text(v, status, text, strlen(text));
    else
        syn_http_reply_error(v->request, 500, "The answer could not be made.");
    free(text);
}

static void send_error(syn_visit *v, int status, const char *field, const char *code,
                       const char *sentence)
{
    json_t *e = syn_error_json(v->rule->protocol, status, field, code, sentence);
    bool api = v->rule->protocol == SYN_PROTOCOL_API;
    double later = visit_of(v)->retry_after_s;
    if (e && api && status == 500) json_object_set_new(e, "error_id", json_string(v->request->id));
    if (e && api && later > 0) json_object_set_new(e, "retry_after_seconds", json_real(later));
    syn_visit_json(v, status, e);
}

void syn_visit_refuse(syn_visit *v, int status, const char *field, const char *code,
                      const char *fmt, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    send_error(v, status, field, code, sentence);
}

void syn_visit_later(syn_visit *v, int status, double retry_after_s, const char *fmt, ...)
{
    visit *own = visit_of(v);
    char sentence[SENTENCE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    long long ms = retry_after_s > .001 ? (long long)(retry_after_s * 1e3 + .999) : 1;
    own->retry_after_s = (double)ms * 1e-3;
    snprintf(own->retry_s, sizeof own->retry_s, "%lld", (ms + 999) / 1000);
    snprintf(own->retry_ms, sizeof own->retry_ms, "%lld", ms);
    send_error(v, status, NULL, NULL, sentence);
}

void syn_visit_fail(syn_visit *v, syn_status st, const char *sentence)
{
    switch (st) {
    case SYN_ERR_INVALID:
    case SYN_ERR_FORMAT:
        syn_visit_refuse(v, 400, NULL, NULL, "%s", sentence);
        return;
    case SYN_ERR_UNSUPPORTED:
        syn_visit_refuse(v, 501, NULL, NULL, "%s", sentence);
        return;
    case SYN_ERR_NETWORK:
        syn_visit_refuse(v, 502, NULL, NULL, "%s", sentence);
        return;
    case SYN_ERR_LIMIT:
        syn_metrics_add(v->worker->service->metrics, SYN_METRIC_REFUSED, "overload", 1);
        syn_visit_later(v, 503, 1, "%s", sentence);
        return;
    case SYN_ERR_INTERRUPTED:
        syn_visit_later(v, 503, 1, "The service stops.");
        return;
    default:
        syn_log(SYN_LOG_ERROR, "request %s: %s", v->request->id, sentence);
        syn_visit_refuse(v, 500, NULL, NULL, "The service has failed; its log says more.");
    }
}

/* Headers of every answer. */
int syn_service_headers(void *arg, const syn_http_request *r, int status, syn_http_header *out,
                        int room)
{
    const visit *v = r->user;
    int n = 0;
    (void)arg;
    (void)room; /* http_reply.c has more than these eight */
    out[n++] = (syn_http_header){"X-Content-Type-Options", "nosniff"};
    if (status == 401) out[n++] = (syn_http_header){"WWW-Authenticate", "Bearer"};
    if (!v) return n;
    if (v->base.rule->access != SYN_ACCESS_OPEN)
        out[n++] = (syn_http_header){"traceparent", v->traceparent};
    if (v->limited) {
        out[n++] = (syn_http_header){"x-ratelimit-limit-requests", v->limit};
        out[n++] = (syn_http_header){"x-ratelimit-remaining-requests", v->remaining};
        out[n++] = (syn_http_header){"x-ratelimit-reset-requests", v->reset};
    }
    if (v->retry_after_s > 0) {
        out[n++] = (syn_http_header){"Retry-After", v->retry_s};
        out[n++] = (syn_http_header){"retry-after-ms", v->retry_ms};
    }
    return n;
}
