/* A request's way: credentials, limits, its handler, and what is written of it afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/guard.h"
#include "serve/json_text.h"
#include "serve/service_internal.h"

static syn_service_private *own_of(const visit *v)
{
    return v->base.worker->service->own;
}

static void refuse_unknown(visit *v)
{
    syn_metrics *m = v->base.worker->service->metrics;
    syn_metrics_add(m, SYN_METRIC_REFUSED, "auth", 1);
    if (v->verdict == SYN_AUTH_PUT_OFF) {
        syn_visit_later(&v->base, 429, v->question.retry_after_s,
                        "Too many wrong credentials came from this address.");
    } else if (v->verdict == SYN_AUTH_MISSING) {
        syn_visit_refuse(&v->base, 401, NULL, NULL,
                         "Credentials are needed: an API key or a token, as Authorization: Bearer "
                         "or X-API-Key.");
    } else {
        syn_visit_audit(&v->base, "authenticate", "refused", NULL);
        /* LiteLLM tells this failure by the first four words. */
        syn_visit_refuse(&v->base, 401, NULL, NULL,
                         "Incorrect API key provided, or a token that is not valid.");
    }
}

/* ---- before the body is read ---- */

static visit *visit_create(syn_worker *w, syn_http_request *r)
{
    visit *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->base.request = r;
    v->base.worker = w;
    v->base.rule = r->route->data;
    v->place = -1;
    r->user = v;
    syn_trace_read(syn_http_header_value(r, "traceparent"), &v->context);
    v->base.span =
        syn_span_begin(w->service->tracer, &v->context, v->base.rule->name, SYN_SPAN_SERVER);
    const syn_trace_context *inner = syn_span_context(v->base.span);
    syn_trace_write(inner ? inner : &v->context, v->traceparent);
    syn_auth_client(w->service->own->auth, r, v->client);
    syn_metrics_add(w->service->metrics, SYN_METRIC_REQUESTS_RUNNING, NULL, 1);
    return v;
}

/* ---- a key that memory does not know ---- */

typedef struct lookup {
    syn_hop hop; /* first */
    syn_status status;
    syn_auth_verdict verdict;
} lookup;

static void found(void *context, const syn_db_result *r)
{
    lookup *l = context;
    visit *v = visit_of(l->hop.visit);
    l->status = r->status;
    syn_metrics_observe(l->hop.visit->worker->service->metrics, SYN_METRIC_STORE_SECONDS,
                        "key_find", syn_clock_s() - v->question.asked_s);
    if (r->status == SYN_OK) {
        l->verdict =
            syn_auth_learn(own_of(v)->auth, v->client, &v->question, r->count ? &r->keys[0] : NULL);
    }
    syn_visit_hop(&l->hop);
}

static void refuse_without_store(visit *v)
{
    syn_visit_later(&v->base, 503, 1, "Keys cannot be looked up at the moment.");
}

static void looked_up(syn_hop *hop)
{
    lookup *l = (lookup *)hop;
    visit *v = visit_of(hop->visit);
    syn_status st = l->status;
    v->verdict = l->verdict;
    free(l);
    if (st != SYN_OK)
        refuse_without_store(v);
    else if (v->verdict == SYN_AUTH_GOOD)
        syn_http_admit(v->base.request);
    else
        refuse_unknown(v);
}

/* Whoever shows a key that nobody knows sends no body. */
static syn_http_entry look_up(visit *v)
{
    lookup *l = calloc(1, sizeof *l);
    if (l) l->hop = (syn_hop){.visit = &v->base, .run = looked_up};
    if (l && syn_db_key_find(v->base.worker->service->db, v->question.sha256, found, l) == SYN_OK)
        return SYN_HTTP_HELD;
    free(l);
    refuse_without_store(v);
    return SYN_HTTP_REFUSED;
}

syn_http_entry syn_service_before(void *arg, syn_http_request *r)
{
    syn_worker *w = arg;
    visit *v = visit_create(w, r);
    if (!v) {
        syn_http_reply_error(r, 503, "The server is out of memory.");
        return SYN_HTTP_REFUSED;
    }
    if (v->base.rule->access == SYN_ACCESS_OPEN) return SYN_HTTP_ADMITTED;
    v->verdict = syn_auth_look(w->service->own->auth, r, v->client, &v->question);
    if (v->verdict == SYN_AUTH_GOOD) return SYN_HTTP_ADMITTED;
    if (v->verdict == SYN_AUTH_UNKNOWN) return look_up(v);
    refuse_unknown(v);
    return SYN_HTTP_REFUSED;
}

/* ---- limits ---- */

static void call_handler(visit *v)
{
    syn_http_on_cancel(v->base.request, NULL);
    v->base.rule->handle(&v->base);
}

/* Whom the limits have let in. A refusal counts against them too: it is written down. */
static void handle(visit *v)
{
    if (v->base.rule->access == SYN_ACCESS_ADMIN && !v->base.caller.admin) {
        syn_visit_audit(&v->base, v->base.rule->name, "forbidden", NULL);
        syn_visit_refuse(&v->base, 403, NULL, NULL, "This needs a key of tier admin.");
        return;
    }
    if (!syn_body_read_first(v, call_handler)) v->base.rule->handle(&v->base);
}

/* Rounded up, so that nobody comes too early. */
static long long seconds_up(double s)
{
    long long whole = (long long)s;
    return whole + ((double)whole < s);
}

static void tell_limit(visit *v, const syn_limit *limit, const syn_verdict *verdict)
{
    double missing = (double)(limit->burst - verdict->remaining) * 60 / (double)limit->per_minute;
    v->limited = true;
    snprintf(v->limit, sizeof v->limit, "%lld", (long long)limit->per_minute);
    snprintf(v->remaining, sizeof v->remaining, "%lld", (long long)verdict->remaining);
    snprintf(v->reset, sizeof v->reset, "%llds", seconds_up(missing));
}

static void limit_of(const visit *v, char *name, size_t bytes, syn_limit *limit)
{
    const syn_settings *s = &v->base.worker->service->settings;
    const syn_caller *c = &v->base.caller;
    bool settable = strcmp(c->tier, "basic") == 0 || strcmp(c->tier, "test") == 0;
    snprintf(name, bytes, "%s/%s", c->org, c->key);
    *limit =
        (syn_limit){.name = name,
                    .per_minute = settable && s->rate_per_minute ? s->rate_per_minute
                                                                 : syn_tier_per_minute(c->tier),
                    .burst = s->rate_burst};
}

static void on_verdict(void *context, const syn_verdict *verdict)
{
    visit *v = context;
    char name[SYN_DB_ID_BYTES + SYN_ORG_BYTES + 1];
    syn_limit limit;
    limit_of(v, name, sizeof name, &limit);
    tell_limit(v, &limit, verdict);
    if (verdict->admitted) {
        handle(v);
        return;
    }
    syn_metrics_add(v->base.worker->service->metrics, SYN_METRIC_REFUSED, "limit", 1);
    syn_visit_later(&v->base, 429, (double)verdict->retry_after_ms * 1e-3,
                    "The key's limit of %lld requests a minute was reached.",
                    (long long)limit.per_minute);
}

static void ask_limit(visit *v)
{
    char name[SYN_DB_ID_BYTES + SYN_ORG_BYTES + 1];
    syn_limit limit;
    limit_of(v, name, sizeof name, &limit);
    if (limit.per_minute == 0)
        handle(v);
    else
        syn_limits_ask(v->base.worker->limits, &limit, on_verdict, v);
}

static void enter_at_once(visit *v)
{
    syn_service *s = v->base.worker->service;
    v->place = syn_auth_enter(s->own->auth, v->base.caller.key, s->settings.scoring_at_once);
    if (v->place >= 0) {
        handle(v);
        return;
    }
    syn_metrics_add(s->metrics, SYN_METRIC_REFUSED, "limit", 1);
    syn_visit_later(&v->base, 429, 1, "%lld requests of this key are under way, as many as may.",
                    (long long)s->settings.scoring_at_once);
}

static void admit(visit *v)
{
    v->base.caller = v->question.caller;
    switch (v->base.rule->limited) {
    case SYN_LIMITED_NOT:
        handle(v);
        break;
    case SYN_LIMITED_PER_MINUTE:
        ask_limit(v);
        break;
    case SYN_LIMITED_AT_ONCE:
        enter_at_once(v);
        break;
    }
}

void syn_service_enter(syn_http_request *r)
{
    visit *v = visit_of(syn_visit_of(r));
    if (v->base.rule->access == SYN_ACCESS_OPEN)
        handle(v);
    else
        admit(v);
}

/* ---- hops ---- */

static void land(syn_http_task *task)
{
    syn_hop *hop = (syn_hop *)task;
    hop->run(hop);
}

void syn_visit_hop(syn_hop *hop)
{
    hop->task.run = land;
    syn_http_post(hop->visit->worker->server, &hop->task);
}

/* ---- what is written ---- */

syn_db_event syn_visit_event(const syn_visit *v, const char *action, const char *outcome,
                             json_t *detail, char **text)
{
    const bool redacted = detail && syn_redact_json(detail) == SYN_OK;
    *text = redacted ? syn_json_text(detail, JSON_COMPACT) : NULL;
    json_decref(detail);
    return (syn_db_event){.org = *v->caller.org ? v->caller.org : "default",
                          .actor = v->caller.key,
                          .action = action,
                          .outcome = outcome,
                          .request_id = v->request->id,
                          .detail = *text ? *text : "{}"};
}

void syn_visit_audit(syn_visit *v, const char *action, const char *outcome, json_t *detail)
{
    char *text = NULL;
    const syn_db_event event = syn_visit_event(v, action, outcome, detail, &text);
    if (syn_db_audit_add(v->worker->service->db, &event, NULL, NULL) != SYN_OK)
        syn_log(SYN_LOG_ERROR, "an event of the audit log was lost: %s", syn_error_text());
    free(text);
}

const char *syn_visit_traceparent(const syn_visit *v)
{
    return ((const visit *)v)->traceparent;
}

static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                      "PATCH", "DELETE", "OPTIONS", "OTHER"};

/* Neither the path nor the query: what a peer wrote there may be private. */
static void log_access(const syn_worker *w, const visit *v, const syn_http_access *a)
{
    const syn_http_request *r = a->request;
    bool open = v && v->base.rule->access == SYN_ACCESS_OPEN;
    syn_log_level level = a->status >= 500 ? SYN_LOG_WARN : open ? SYN_LOG_DEBUG : SYN_LOG_INFO;
    if (!w->service->settings.access_log || !syn_log_wanted(level)) return;
    const syn_log_field fields[] = {
        {"request_id", r->id, 0},
        {"method", methods[r->method], 0},
        {"route", v ? v->base.rule->name : "none", 0},
        {"status", NULL, a->status},
        {"seconds", NULL, a->time_s},
        {"received_bytes", NULL, (double)a->received_bytes},
        {"replied_bytes", NULL, (double)a->replied_bytes},
        {"cancelled", NULL, a->cancelled},
        {"client", v ? v->client : r->peer, 0},
        {"key", v ? v->base.caller.key : "", 0},
        {"org", v ? v->base.caller.org : "", 0},
        {"trace_id", v ? v->context.trace_id : "", 0},
    };
    syn_log_event(level, "request", fields, (int)(sizeof fields / sizeof *fields));
}

void syn_service_access(void *arg, const syn_http_access *a)
{
    static const char classes[][4] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    syn_worker *w = arg;
    syn_metrics *m = w->service->metrics;
    visit *v = a->request->user;
    char label[96];
    const char *route = v ? v->base.rule->name : "none";
    snprintf(label, sizeof label, "%s %s", route, classes[a->status / 100 - 1]);
    syn_metrics_add(m, SYN_METRIC_REQUESTS, label, 1);
    syn_metrics_observe(m, SYN_METRIC_REQUEST_SECONDS, route, a->time_s);
    log_access(w, v, a);
    if (!v) return;
    syn_metrics_add(m, SYN_METRIC_REQUESTS_RUNNING, NULL, -1);
    syn_auth_leave(own_of(v)->auth, v->place);
    char status[8];
    snprintf(status, sizeof status, "%d", a->status);
    syn_span_text(v->base.span, "http.request.method", methods[a->request->method]);
    syn_span_text(v->base.span, "http.route", a->request->route->pattern);
    syn_span_int(v->base.span, "http.response.status_code", a->status);
    syn_span_end(v->base.span, a->status >= 500 ? status : NULL);
    json_decref(v->object.json);
    free(v);
}

/* One of ALLOWED_ORIGINS, exactly. */
bool syn_service_origin(void *arg, const char *origin)
{
    const syn_worker *w = arg;
    const char *list = w->service->settings.allowed_origins;
    size_t bytes = strlen(origin);
    while (list && *list) {
        list += strspn(list, ", ");
        size_t n = strcspn(list, ", ");
        if (n > 0 && n == bytes && memcmp(list, origin, n) == 0) return true;
        list += n;
    }
    return false;
}

double syn_service_uptime_s(const syn_service *s)
{
    return syn_clock_s() - s->started_s;
}

bool syn_service_draining(const syn_service *s)
{
    return atomic_load(&s->own->draining);
}
