/* The direct path: one model, the conversation as it is. */
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/called.h"
#include "serve/openai_internal.h"
#include "serve/words.h"

/* ---- the record ---- */

/* A copy of at most `max` bytes that cuts no character; NULL: out of memory. */
static char *cut(const char *text, size_t max)
{
    return strndup(text, syn_utf8_prefix(text, max));
}

static json_t *audit_detail(const syn_chat *c, const syn_llm_reply *reply)
{
    json_t *detail = json_pack("{s:s, s:s}", "provider", c->provider->name, "model", c->model);
    if (detail && reply->usage.prompt >= 0)
        json_object_set_new(detail, "prompt_tokens", json_integer(reply->usage.prompt));
    if (detail && reply->usage.completion >= 0)
        json_object_set_new(detail, "completion_tokens", json_integer(reply->usage.completion));
    if (detail && c->injection.score >= SYN_INJECTION_FLAGGED)
        json_object_set_new(detail, "injection", json_string(c->injection.reason));
    return detail;
}

/* Hands the record to the store, which has it on disk soon after, with its event (NULL: none). */
static syn_status keep_record(const syn_chat *c, const char *answer, const char *reply,
                              const syn_db_event *event)
{
    syn_status st;
    char id[SYN_DB_ID_BYTES];
    char *question = cut(c->question, SYN_DB_TEXT_BYTES_MAX - 1);
    char *final = cut(answer, SYN_DB_TEXT_BYTES_MAX - 1);
    if (!question || !final) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the record");
        goto done;
    }
    if (strlen(reply) >= SYN_DB_REPLY_BYTES_MAX) reply = "{\"truncated\": true}";
    SYN_TRY(syn_db_id(id));
    const syn_db_record record = {.id = id,
                                  .org = c->visit->caller.org,
                                  .owner = c->visit->caller.key,
                                  .query = question,
                                  .final_answer = final,
                                  .task_type = "chat",
                                  .reply = reply,
                                  .execution_time_s = syn_clock_s() - c->begun_s,
                                  .num_agents = 1};
    st = syn_db_history_add_audited(c->service->db, &record, event, NULL, NULL);
done:
    free(question);
    free(final);
    return st;
}

/* ---- the end ---- */

static void succeed(syn_chat *c, const syn_llm_reply *reply)
{
    const syn_chat_answer answer = {.message = reply->message,
                                    .logprobs = reply->logprobs,
                                    .finish = reply->finish,
                                    .usage = reply->usage};
    json_t *completion = syn_chat_completion(&c->head, &answer);
    char *text = syn_chat_text(completion), *detail = NULL;
    const syn_db_event event =
        syn_visit_event(c->visit, "chat", "ok", audit_detail(c, reply), &detail);
    syn_status st = text ? keep_record(c, reply->text, text, &event)
                         : syn_fail(SYN_ERR_MEMORY, "out of memory for the answer");
    free(detail);
    if (st == SYN_OK) {
        syn_chat_answer_with(c, completion, text);
        return;
    }
    free(text);
    json_decref(completion);
    syn_log(SYN_LOG_ERROR, "an answer was withheld because its record was not accepted: %s",
            syn_error_text());
    syn_visit_audit(c->visit, "chat", SYN_DB_UNRECORDED, audit_detail(c, reply));
    syn_chat_fail(c, 503, NULL, 1, "The answer cannot be recorded at the moment.");
}

/* What a failed call means to the client. */
static int status_of(const syn_llm_reply *reply, double timeout_s)
{
    const bool late = reply->attempts > 0 && reply->time_s >= timeout_s;
    switch (reply->http_status) {
    case 400:
    case 413:
    case 422:
        return 400;
    case 404:
        return 404;
    case 429:
        return 429;
    case 408:
    case 504:
        return 504;
    case 503:
    case 529:
        return 503;
    case 0:
        return reply->attempts == 0 ? 503 : late ? 504 : 502;
    case 200: /* it began to answer */
        return late ? 504 : 502;
    default:
        return 502;
    }
}

/* Where the provider is and what it said is not the client's business. */
static const char *sentence_of(int status)
{
    switch (status) {
    case 400:
        return "The provider refused the request.";
    case 404:
        return "The provider does not have this model.";
    case 429:
        return "The provider's limit was reached.";
    case 503:
        return "The provider is not available at the moment.";
    case 504:
        return "The provider did not answer in time.";
    default:
        return "The provider failed.";
    }
}

/* A stream that has begun leaves a record of what was heard. */
static void keep_partial(syn_chat *c, const syn_llm_reply *reply)
{
    if (!reply->partial) return;
    const char *heard = c->heard.text ? c->heard.text : "";
    json_t *record = json_pack("{s:s, s:s, s:b, s:s}", "id", c->head.id, "model", c->model,
                               "partial", true, "content", heard);
    char *text = syn_chat_text(record);
    if (!text || keep_record(c, heard, text, NULL) != SYN_OK)
        syn_log(SYN_LOG_ERROR, "the record of a broken stream was not accepted");
    free(text);
    json_decref(record);
}

static void fail(syn_chat *c, const syn_llm_reply *reply)
{
    const double timeout_s = c->service->settings.timeout_s;
    const int status = status_of(reply, timeout_s);
    const char *code = NULL;
    if (status == 404) code = "model_not_found";
    /* A provider that does not say when to come again may have reached a limit of spending. */
    if (status == 429 && reply->retry_after_s < 0) code = "insufficient_quota";
    keep_partial(c, reply);
    json_t *detail = audit_detail(c, reply);
    if (detail) json_object_set_new(detail, "http_status", json_integer(reply->http_status));
    syn_visit_audit(c->visit, "chat", "failed", detail);
    const bool told = status == 429 || status == 503;
    syn_chat_fail(c, status, code, told ? reply->retry_after_s : -1, sentence_of(status));
}

/* ---- the call ---- */

static void hear(syn_chat *c, const char *text)
{
    (void)syn_buffer_add(&c->heard, text,
                         syn_utf8_prefix(text, SYN_DB_TEXT_BYTES_MAX - 1 - c->heard.bytes));
}

static void on_delta(void *context, const syn_llm_delta *delta)
{
    syn_chat *c = context;
    if (delta->text) hear(c, delta->text);
    syn_chat_stream_delta(c->stream, delta);
}

static void on_done(void *context, const syn_llm_reply *reply)
{
    syn_chat *c = context;
    c->ticket = NULL;
    syn_visit_called(c->visit, c->provider, c->asked, reply);
    if (c->stream && syn_chat_stream_broken(c->stream)) {
        syn_chat_leave(c);
        return;
    }
    if (reply->text)
        succeed(c, reply);
    else
        fail(c, reply);
}

static void on_stopping(void *owner)
{
    syn_chat *c = owner;
    if (!c->ticket) return; /* what waits is on its way to the peer */
    syn_llm_cancel(c->ticket);
    c->ticket = NULL;
    syn_visit_audit(c->visit, "chat", "cancelled", NULL);
    syn_chat_fail(c, 503, NULL, 1, "The service is stopping; ask again.");
}

/* True: the question looks like an injection, and such are blocked. */
static bool blocked(const syn_chat *c)
{
    const char *guard = c->service->settings.guard;
    return guard && strcmp(guard, "block") == 0 && c->injection.score >= SYN_INJECTION_FLAGGED;
}

static syn_llm_call call_of(syn_chat *c)
{
    return (syn_llm_call){.provider = c->provider,
                          .model = c->asked,
                          .chat = c->body,
                          .body = c->sent,
                          .timeout_s = c->service->settings.timeout_s,
                          .traceparent = syn_visit_traceparent(c->visit),
                          .delta = c->stream ? on_delta : NULL,
                          .done = on_done,
                          .context = c};
}

/* Any thread: what grows with the conversation. Where `sent` cannot be made, submit says why. */
static void look(syn_chat *c)
{
    const char *guard = c->service->settings.guard;
    if (guard && strcmp(guard, "off") != 0)
        syn_injection_score(c->question, strlen(c->question), &c->injection);
    if (blocked(c)) return;
    syn_chat_strip(c->body);
    const syn_llm_call call = call_of(c);
    c->sent = syn_llm_body(&call);
}

static void submit(syn_chat *c)
{
    syn_worker *worker = c->visit->worker;
    if (blocked(c)) {
        syn_metrics_add(c->service->metrics, SYN_METRIC_REFUSED, "guard", 1);
        syn_visit_audit(c->visit, "chat", "blocked",
                        json_pack("{s:s}", "injection", c->injection.reason));
        syn_chat_fail(c, 400, NULL, -1, "The message looks like a prompt injection.");
        return;
    }
    const syn_llm_call call = call_of(c);
    c->sent = NULL;
    syn_status st = syn_llm_submit(worker->llm, &call, &c->ticket);
    json_decref(c->body);
    c->body = NULL;
    c->request = (syn_chat_request){0};
    if (st == SYN_OK) {
        syn_stop_watch_begin(&c->watch, worker, on_stopping, free, c);
        return;
    }
    c->ticket = NULL;
    syn_chat_fail(c, st == SYN_ERR_INVALID ? 400 : 503, NULL, -1, syn_error_text());
}

static void on_work(uv_work_t *work)
{
    look(work->data);
}

static void on_worked(uv_work_t *work, int status)
{
    syn_chat *c = work->data;
    (void)status; /* one that was taken back has been left */
    c->at_work = false;
    if (!c->left) {
        submit(c);
        return;
    }
    syn_visit_audit(c->visit, "chat", "cancelled", NULL);
    syn_chat_leave(c);
}

void syn_chat_ask_model(syn_chat *c, const syn_provider *provider, const char *model)
{
    if (syn_db_is_crowded(c->service->db)) {
        syn_metrics_add(c->service->metrics, SYN_METRIC_REFUSED, "overload", 1);
        syn_chat_fail(c, 503, NULL, 1, "The service is busy.");
        return;
    }
    c->provider = provider;
    c->asked = strdup(*model ? model : provider->model);
    if (!c->asked) {
        syn_chat_fail(c, 500, NULL, -1, "Out of memory for the request.");
        return;
    }
    c->work.data = c;
    struct uv_loop_s *loop = syn_http_loop(c->visit->worker->server);
    c->at_work = c->large && uv_queue_work(loop, &c->work, on_work, on_worked) == 0;
    if (c->at_work) return;
    look(c);
    submit(c);
}
