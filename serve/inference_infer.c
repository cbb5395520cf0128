/* POST .../infer: the body to tensors, tensors to a model, its outputs to a reply. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "kernels/base/progress.h"
#include "serve/inference_internal.h"

enum {
    ZIPPED_BYTES_MIN = 1024,
    /* What a loop reads itself, in less than a millisecond: numbers as text, and as they are. */
    AT_ONCE_JSON_BYTES = 128 << 10,
    AT_ONCE_BYTES = 1 << 20
};

/* ---- Ends ---- */

static void release(syn_inference_call *call)
{
    syn_inference_free(&call->request);
    free(call);
}

void syn_inference_refuse(syn_inference_call *call, syn_status st, const char *sentence)
{
    syn_visit *visit = call->hop.visit;
    syn_inference_count(call, false, NULL);
    if (st == SYN_ERR_NUMERIC) st = SYN_ERR_INVALID; /* of the inputs' making */
    syn_visit_fail(visit, st, sentence);
    release(call);
}

static void send_reply(syn_visit *visit, syn_coding coding, const char *body, size_t bytes,
                       int64_t header_bytes)
{
    char length[24];
    syn_http_header headers[3];
    char *zipped = NULL;
    size_t zipped_bytes = 0;
    int count = 0;
    if (header_bytes != SYN_INFERENCE_ALL_JSON) {
        snprintf(length, sizeof length, "%lld", (long long)header_bytes);
        headers[count++] = (syn_http_header){"Inference-Header-Content-Length", length};
    }
    if (coding != SYN_CODING_NONE && bytes >= ZIPPED_BYTES_MIN &&
        syn_zip(coding, body, bytes, &zipped, &zipped_bytes) == SYN_OK) {
        headers[count++] = (syn_http_header){"Content-Encoding", syn_coding_name(coding)};
        headers[count++] = (syn_http_header){"Vary", "Accept-Encoding"};
    }
    const bool raw = header_bytes != SYN_INFERENCE_ALL_JSON;
    const syn_http_reply reply = {.status = 200,
                                  .content_type =
                                      raw ? "application/octet-stream" : "application/json",
                                  .headers = headers,
                                  .header_count = count,
                                  .body = zipped ? zipped : body,
                                  .body_bytes = zipped ? zipped_bytes : bytes};
    syn_visit_reply(visit, &reply);
    free(zipped);
}

void syn_inference_answer(syn_inference_call *call, const syn_job_times *times)
{
    char *body;
    size_t bytes;
    int64_t header_bytes;
    const syn_status st = syn_inference_write(&call->request, &body, &bytes, &header_bytes);
    if (st != SYN_OK) {
        syn_inference_refuse(call, st, syn_error_text());
        return;
    }
    syn_inference_count(call, true, times);
    send_reply(call->hop.visit, call->reply_coding, body, bytes, header_bytes);
    free(body);
    release(call);
}

/* ---- Reading ---- */

/* -1: there is no such header; -2: it is no number. */
static int64_t header_bytes_of(const syn_http_request *request)
{
    const char *text = syn_http_header_value(request, "Inference-Header-Content-Length");
    int64_t n = 0;
    if (!text) return SYN_INFERENCE_ALL_JSON;
    if (!*text || strlen(text) > 9) return -2;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -2;
        n = n * 10 + (*text - '0');
    }
    return n;
}

/* Reads the request's tensors, on any thread. */
static syn_status read_request(syn_inference_call *call, const syn_http_request *http)
{
    const int64_t header_bytes = header_bytes_of(http);
    const syn_coding coding = syn_coding_of(syn_http_header_value(http, "Content-Encoding"));
    const syn_inference_model *m = &syn_inference_models[call->kind];
    const char *body = http->body;
    size_t bytes = http->body_bytes;
    char *decoded = NULL;
    if (header_bytes < SYN_INFERENCE_ALL_JSON)
        return syn_fail(SYN_ERR_INVALID, "Inference-Header-Content-Length is not a number");
    if (coding != SYN_CODING_NONE) {
        const syn_status st =
            syn_unzip(coding, body, bytes, SYN_INFERENCE_BODY_BYTES_MAX, &decoded, &bytes);
        /* Too large is the request's own fault, and no passing lack of room. */
        if (st != SYN_OK) return st == SYN_ERR_LIMIT ? SYN_ERR_INVALID : st;
        body = decoded;
    }
    syn_status st =
        syn_inference_read(m, body, bytes, header_bytes, &call->of->room, &call->request);
    free(decoded);
    if (st == SYN_OK && call->kind == SYN_INFERENCE_ORCHESTRATOR)
        st = syn_inference_orchestrator_read(call);
    return st;
}

static void begin(syn_inference_call *call)
{
    syn_http_drop_body(call->hop.visit->request);
    if (call->kind == SYN_INFERENCE_ORCHESTRATOR)
        syn_inference_orchestrator_begin(call);
    else
        syn_inference_network_begin(call);
}

/* ---- A large body, on the loop's thread pool ---- */

typedef struct reading {
    uv_work_t work; /* first */
    syn_inference_call *call;
    syn_status st;
    char sentence[SYN_JOB_ERROR_BYTES]; /* of st */
} reading;

static void on_work(uv_work_t *work)
{
    reading *r = (reading *)work;
    r->st = read_request(r->call, r->call->hop.visit->request);
    if (r->st != SYN_OK) snprintf(r->sentence, sizeof r->sentence, "%s", syn_error_text());
}

static void on_worked(uv_work_t *work, int status)
{
    reading *r = (reading *)work;
    syn_inference_call *call = r->call;
    syn_http_request *http = call->hop.visit->request;
    call->reading = NULL;
    (void)status; /* one that was taken back belongs to a peer that is gone */
    syn_http_on_cancel(http, NULL);
    if (syn_http_cancelled(http)) {
        if (call->kind == SYN_INFERENCE_ORCHESTRATOR) syn_inference_orchestrator_drop(call);
        syn_inference_refuse(call, SYN_ERR_INTERRUPTED, "the client has gone");
    } else if (r->st == SYN_OK) {
        begin(call);
    } else {
        syn_inference_refuse(call, r->st, r->sentence);
    }
    free(r);
}

static void on_cancel(syn_http_request *http)
{
    syn_inference_call *call = syn_visit_of(http)->data;
    if (call->reading) (void)uv_cancel((uv_req_t *)call->reading);
}

/* A few bytes of a coding may be millions. */
static bool is_large(const syn_inference_call *call, const syn_http_request *http)
{
    const int64_t header = header_bytes_of(http), bytes = (int64_t)http->body_bytes;
    const bool text = header < 0 || call->kind == SYN_INFERENCE_ORCHESTRATOR;
    return syn_coding_of(syn_http_header_value(http, "Content-Encoding")) != SYN_CODING_NONE ||
           (text ? bytes : header) > AT_ONCE_JSON_BYTES || bytes > AT_ONCE_BYTES;
}

/* False: the loop is to read it itself. */
static bool read_on_the_pool(syn_inference_call *call, syn_http_request *http)
{
    reading *r = is_large(call, http) ? calloc(1, sizeof *r) : NULL;
    if (!r) return false;
    r->call = call;
    if (uv_queue_work(syn_http_loop(http->server), &r->work, on_work, on_worked) != 0) {
        free(r);
        return false;
    }
    call->reading = &r->work;
    syn_http_on_cancel(http, on_cancel);
    return true;
}

/* ---- The beginning, on the loop ---- */

static bool has_good_coding(syn_visit *visit)
{
    const char *coding = syn_http_header_value(visit->request, "Content-Encoding");
    if (syn_coding_of(coding) != SYN_CODING_UNKNOWN) return true;
    syn_visit_refuse(visit, 415, NULL, NULL,
                     "The body's Content-Encoding is neither gzip nor deflate.");
    return false;
}

void syn_inference_handle(syn_visit *visit)
{
    const syn_http_request *http = visit->request;
    syn_service *service = visit->worker->service;
    const syn_inference_model *m = syn_inference_model_of(http->parameters[0]);
    const char *version = http->parameters[1];
    if (!m || (version && strcmp(version, SYN_INFERENCE_VERSION) != 0)) {
        syn_visit_refuse(visit, 404, NULL, NULL, "There is no such model, or not of this version.");
        return;
    }
    const syn_inference_kind kind = (syn_inference_kind)(m - syn_inference_models);
    if (!syn_inference_is_ready(service, kind)) {
        syn_visit_refuse(visit, 503, NULL, NULL,
                         "This model needs a trained checkpoint, and the service runs without one: "
                         "it decides by the cosine-threshold rule.");
        return;
    }
    if (!has_good_coding(visit)) return;
    syn_inference_call *call =
        calloc(1, kind == SYN_INFERENCE_ORCHESTRATOR ? syn_inference_orchestrator_bytes()
                                                     : syn_inference_network_bytes());
    if (!call) {
        syn_visit_fail(visit, SYN_ERR_MEMORY, "out of memory for an inference");
        return;
    }
    call->hop.visit = visit;
    call->of = service->inference;
    call->kind = kind;
    call->began_s = syn_clock_s();
    call->reply_coding = syn_coding_accepted(syn_http_header_value(http, "Accept-Encoding"));
    visit->data = call;
    if (read_on_the_pool(call, visit->request)) return;
    const syn_status st = read_request(call, http);
    if (st == SYN_OK)
        begin(call);
    else
        syn_inference_refuse(call, st, syn_error_text());
}
