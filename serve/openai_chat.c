#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "serve/openai_internal.h"

/* Looked at and written by a loop itself in less than a millisecond. */
enum { LARGE_BYTES = 32 << 10 };

static void free_chat(syn_chat *c)
{
    syn_collaboration_free(c->team);
    json_decref(c->body);
    json_decref(c->final_chat);
    free(c->model);
    free(c->question);
    free(c->heard.text);
    free(c->asked);
    free(c->sent);
    if (c->watch.owner)
        syn_stop_watch_end(&c->watch);
    else
        free(c);
}

/* ---- the end ---- */

/* text NULL: the request failed. */
static void keep_for_replay(syn_chat *c, const char *text)
{
    syn_replay_finish(c->service->openai->replay, &c->name, c->claim, syn_clock_s(), text);
    c->claim = 0;
}

static void on_stream_ended(void *context)
{
    free_chat(context);
}

void syn_chat_answer_with(syn_chat *c, json_t *completion, char *text)
{
    if (!text) text = syn_chat_text(completion);
    if (!text) {
        json_decref(completion);
        syn_chat_fail(c, 500, NULL, -1, "Out of memory for the answer.");
        return;
    }
    keep_for_replay(c, text);
    if (c->stream) {
        syn_chat_stream_end(c->stream, completion);
    } else {
        syn_visit_text(c->visit, 200, text, strlen(text));
        free_chat(c);
    }
    free(text);
    json_decref(completion);
}

void syn_chat_fail(syn_chat *c, int status, const char *code, double retry_after_s,
                   const char *sentence)
{
    keep_for_replay(c, NULL);
    if (c->stream && syn_chat_stream_begun(c->stream)) {
        syn_chat_stream_fail(c->stream,
                             syn_error_json(SYN_PROTOCOL_OPENAI, status, NULL, code, sentence));
        return;
    }
    syn_chat_stream_drop(c->stream);
    if (retry_after_s >= 0)
        syn_visit_later(c->visit, status, retry_after_s, "%s", sentence);
    else
        syn_visit_refuse(c->visit, status, NULL, code, "%s", sentence);
    free_chat(c);
}

void syn_chat_refuse_with(syn_chat *c, const syn_chat_fault *fault)
{
    keep_for_replay(c, NULL);
    syn_chat_stream_drop(c->stream);
    syn_visit_refuse(c->visit, fault->status, *fault->field ? fault->field : NULL, fault->code,
                     "%s", fault->sentence);
    free_chat(c);
}

void syn_chat_leave(syn_chat *c)
{
    const bool begun = c->stream && syn_chat_stream_begun(c->stream);
    keep_for_replay(c, NULL);
    syn_chat_stream_drop(c->stream);
    if (!begun) syn_visit_refuse(c->visit, 503, NULL, NULL, "The request was cancelled.");
    free_chat(c);
}

void syn_chat_forget(syn_chat *c)
{
    keep_for_replay(c, NULL);
    syn_chat_stream_drop(c->stream);
    free_chat(c);
}

/* ---- the peer leaves ---- */

static void cancel(void *context)
{
    syn_chat *c = context;
    if (c->team) {
        c->cancelled = true;
        syn_collaboration_cancel(c->team); /* its end is told, and answers */
        return;
    }
    if (c->at_work) {
        c->left = true;
        (void)uv_cancel((uv_req_t *)&c->work);
        return;
    }
    if (c->ticket) syn_llm_cancel(c->ticket);
    c->ticket = NULL;
    syn_visit_audit(c->visit, "chat", "cancelled", NULL);
    syn_chat_leave(c);
}

static void on_cancel(syn_http_request *request)
{
    cancel(syn_visit_of(request)->data);
}

/* ---- the beginning ---- */

/* From here on the chat hears of its peer's leave. False: it has answered. */
static bool open_answer(syn_chat *c)
{
    const syn_chat_stream_hooks hooks = {cancel, on_stream_ended, c};
    if (!c->request.stream) {
        c->visit->data = c;
        syn_http_on_cancel(c->visit->request, on_cancel);
    } else if (syn_chat_stream_create(c->visit, &c->head, c->request.include_usage, &hooks,
                                      &c->stream) != SYN_OK) {
        syn_chat_fail(c, 500, NULL, -1, "Out of memory for the stream.");
        return false;
    }
    return true;
}

/* Sends an answer that was kept. */
static void answer_again(syn_chat *c, const char *text)
{
    json_t *completion = json_loads(text, 0, NULL);
    const char *id = json_string_value(json_object_get(completion, "id"));
    snprintf(c->head.id, sizeof c->head.id, "%s", id ? id : "");
    c->head.created = json_integer_value(json_object_get(completion, "created"));
    if (open_answer(c))
        syn_chat_answer_with(c, completion, NULL);
    else
        json_decref(completion);
}

/* Whether the request is to be worked on; else it has been answered. */
static bool claim(syn_chat *c)
{
    const syn_http_request *request = c->visit->request;
    const syn_caller *caller = &c->visit->caller;
    const char *key = syn_http_header_value(request, "Idempotency-Key");
    syn_chat_fault fault = {.status = 400};
    char *text = NULL;
    if (!key) return true;
    if (syn_replay_name_make(&c->name, caller->org, caller->key, key, request->body,
                             request->body_bytes) != SYN_OK) {
        syn_chat_refuse(&fault, 400, NULL, NULL,
                        "Idempotency-Key must be 1 to 255 printable characters.");
        syn_chat_refuse_with(c, &fault);
        return false;
    }
    switch (
        syn_replay_claim(c->service->openai->replay, &c->name, syn_clock_s(), &text, &c->claim)) {
    case SYN_REPLAY_FRESH:
        return true;
    case SYN_REPLAY_ANSWER:
        answer_again(c, text);
        break;
    case SYN_REPLAY_RUNNING:
        syn_chat_fail(c, 409, NULL, 1, "A request with this Idempotency-Key is under way.");
        break;
    case SYN_REPLAY_ANOTHER:
        syn_chat_refuse(&fault, 422, NULL, NULL,
                        "This Idempotency-Key was used with another body.");
        syn_chat_refuse_with(c, &fault);
        break;
    }
    free(text);
    return false;
}

/* The conversation goes to the model that writes a team's final answers. */
static void ask_writer(syn_chat *c)
{
    syn_chat_fault fault = {0};
    const syn_service *s = c->service;
    const syn_provider *provider = NULL;
    const char *model = NULL;
    const char *writer = s->settings.aggregator_model ? s->settings.aggregator_model : "";
    if (!syn_providers_resolve(s->providers, writer, s->provider, &provider, &model) ||
        provider->dialect == SYN_DIALECT_EXTRACTIVE) {
        syn_chat_refuse(&fault, 400, NULL, "messages",
                        "Extractive agents call no tools: a result of one needs a language model.");
        syn_chat_refuse_with(c, &fault);
        return;
    }
    syn_chat_ask_model(c, provider, model);
}

/* False: the fault says why the request cannot be worked on. */
static bool prepare(syn_chat *c, syn_chat_route *route, syn_chat_fault *fault)
{
    if (!syn_chat_read(c->body, &c->request, fault) ||
        !syn_chat_route_find(c->service, c->request.model, route, fault))
        return false;
    c->model = strdup(c->request.model);
    c->question = syn_chat_question(&c->request);
    if (!c->model || !c->question)
        return syn_chat_refuse(fault, 500, NULL, NULL, "Out of memory for the request.");
    syn_chat_head_make(&c->head, c->model);
    return route->provider || syn_chat_final(c->body, &c->final_chat, fault);
}

void syn_openai_chat(syn_visit *v)
{
    json_t *body = NULL;
    syn_chat_fault fault = {0};
    syn_chat_route route;
    if (!syn_visit_object(v, &body)) return;
    syn_chat *c = calloc(1, sizeof *c);
    if (!c) {
        json_decref(body);
        syn_visit_refuse(v, 500, NULL, NULL, "Out of memory for the request.");
        return;
    }
    c->visit = v;
    c->service = v->worker->service;
    c->body = body;
    c->begun_s = syn_clock_s();
    if (!prepare(c, &route, &fault)) {
        syn_chat_refuse_with(c, &fault);
        return;
    }
    if (!claim(c) || !open_answer(c)) return;
    c->large = v->request->body_bytes > LARGE_BYTES;
    syn_http_drop_body(v->request);
    if (route.provider)
        syn_chat_ask_model(c, route.provider, route.model);
    else if (c->request.tool_result)
        ask_writer(c);
    else
        syn_chat_ask_team(c, &route);
}
