/* What a visit brings: its body as a JSON object, and numbers of its query. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uv.h>

#include "serve/fields.h"
#include "serve/service_internal.h"

/* 64 KiB of JSON are read in half a millisecond: others wait for no more than that. */
enum { DEPTH_MAX = 64, AT_ONCE_BYTES = 64 << 10 };

/* A value of three bytes ("{},") takes 200 as an object, and a loop frees what it has not asked
 * for: these in some milliseconds. A conversation of 4096 messages has 20 thousand. */
enum { VALUES_MAX = 64 << 10 };

/* ---- the body ---- */

/* Why JSON is not to be read at all: brackets outside of texts stand more than DEPTH_MAX deep, or
 * there are more than VALUES_MAX values. NULL: it may be. */
static const char *excess(const char *p, size_t bytes)
{
    int depth = 0, values = 0;
    bool text = false;
    for (size_t i = 0; i < bytes; i++) {
        if (text) {
            if (p[i] == '\\')
                i++;
            else if (p[i] == '"')
                text = false;
        } else if (p[i] == '"') {
            text = true;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > DEPTH_MAX) return "The body is nested more than 64 deep.";
            if (++values > VALUES_MAX) return "The body has more than 65536 values.";
        } else if (p[i] == '}' || p[i] == ']') {
            depth--;
        } else if (p[i] == ',' && ++values > VALUES_MAX) {
            return "The body has more than 65536 values.";
        }
    }
    return NULL;
}

static bool says_json(const syn_http_request *r)
{
    const char *type = syn_http_header_value(r, "Content-Type");
    size_t n = type ? strcspn(type, "; \t") : 0;
    return n == strlen("application/json") && strncasecmp(type, "application/json", n) == 0;
}

_Static_assert(DEPTH_MAX == 64 && VALUES_MAX == 65536, "excess() says so");

static void fail(syn_body_object *o, int status, const char *sentence)
{
    o->status = status;
    snprintf(o->sentence, sizeof o->sentence, "%s", sentence);
}

/* Any thread. */
static void read_object(const syn_http_request *r, syn_body_object *o)
{
    json_error_t error;
    if (!says_json(r)) {
        fail(o, 415, "The body is JSON: Content-Type is application/json.");
        return;
    }
    const char *why = excess(r->body, r->body_bytes);
    if (why) {
        fail(o, 400, why);
        return;
    }
    o->json = json_loadb(r->body, r->body_bytes, JSON_REJECT_DUPLICATES, &error);
    if (!o->json) {
        snprintf(o->sentence, sizeof o->sentence,
                 "The body is not valid JSON at line %d, column %d.", error.line, error.column);
        o->status = 400;
    } else if (!json_is_object(o->json)) {
        fail(o, 400, "The body is not a JSON object.");
    }
}

bool syn_visit_object(syn_visit *v, json_t **out)
{
    syn_body_object *o = &visit_of(v)->object;
    *out = NULL;
    if (!o->json && !o->status) read_object(v->request, o);
    if (o->status) {
        syn_visit_refuse(v, o->status, NULL, NULL, "%s", o->sentence);
        return false;
    }
    *out = o->json;
    o->json = NULL;
    return true;
}

/* ---- a large one, on the loop's thread pool ---- */

typedef struct reading {
    uv_work_t work; /* first */
    visit *visit;
    void (*then)(visit *v);
} reading;

static void on_work(uv_work_t *work)
{
    visit *v = ((reading *)work)->visit;
    read_object(v->base.request, &v->object);
}

static void on_worked(uv_work_t *work, int status)
{
    reading r = *(reading *)work;
    (void)status; /* one that was taken back belongs to a peer that is gone */
    free(work);
    r.visit->reading = NULL;
    if (syn_http_cancelled(r.visit->base.request))
        syn_visit_later(&r.visit->base, 503, 1, "The request was cancelled.");
    else
        r.then(r.visit);
}

static void on_cancel(syn_http_request *request)
{
    visit *v = visit_of(syn_visit_of(request));
    if (v->reading) (void)uv_cancel((uv_req_t *)v->reading);
}

bool syn_body_read_first(visit *v, void (*then)(visit *v))
{
    const syn_http_request *r = v->base.request;
    if (v->base.rule->protocol == SYN_PROTOCOL_INFERENCE || r->body_bytes <= AT_ONCE_BYTES ||
        !says_json(r))
        return false;
    reading *work = malloc(sizeof *work);
    if (!work) return false;
    *work = (reading){.visit = v, .then = then};
    if (uv_queue_work(syn_http_loop(r->server), &work->work, on_work, on_worked) != 0) {
        free(work);
        return false;
    }
    v->reading = &work->work;
    syn_http_on_cancel(v->base.request, on_cancel);
    return true;
}

/* ---- names and numbers ---- */

bool syn_visit_known(syn_visit *v, const json_t *object, const char *where,
                     const char *const *known, int count)
{
    syn_fields fields;
    syn_field_fault fault = {.field = ""};
    if (syn_fields_begin(&fields, object, where, known, count, &fault)) return true;
    syn_visit_refuse(v, 400, fault.field, NULL, "%s", fault.message);
    return false;
}

bool syn_visit_query_int(syn_visit *v, const char *name, int64_t min, int64_t max, int64_t *out)
{
    char text[16];
    int n = syn_http_query_value(v->request, name, text, sizeof text);
    if (n == -1) return true;
    bool whole = n > 0 && strspn(text, "0123456789") == (size_t)n;
    int64_t value = whole ? strtoll(text, NULL, 10) : -1;
    if (whole && value >= min && value <= max) {
        *out = value;
        return true;
    }
    syn_visit_refuse(v, 400, name, NULL, "%s must be a whole number from %lld to %lld", name,
                     (long long)min, (long long)max);
    return false;
}
