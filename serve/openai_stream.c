#include "serve/openai_stream.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "serve/buffer.h"

enum { SLICE_BYTES = 64 << 10 };

struct syn_chat_stream {
    uv_timer_t ping; /* first: it outlives the rest by a turn of the loop */
    syn_http_request *request;
    syn_chat_head head;
    syn_chat_stream_hooks hooks;
    bool usage_due, begun, ending;
    bool broken, told;            /* nothing is sent any more; the owner knows */
    bool silent;                  /* since the last tick of the timer */
    bool said, reasoned, content; /* its role, some reasoning, some of the answer */
    syn_buffer waiting;           /* from `at` on what the server had no room for */
    size_t at;
};

static void free_stream(uv_handle_t *handle)
{
    syn_chat_stream *s = (syn_chat_stream *)handle;
    free(s->waiting.text);
    free(s);
}

static void on_ping(uv_timer_t *timer);
static void on_cancel(syn_http_request *request);

syn_status syn_chat_stream_create(syn_visit *v, const syn_chat_head *head, bool usage_due,
                                  const syn_chat_stream_hooks *hooks, syn_chat_stream **out)
{
    syn_chat_stream *s = calloc(1, sizeof *s);
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for the stream");
    s->request = v->request;
    s->head = *head;
    s->usage_due = usage_due;
    s->hooks = *hooks;
    s->silent = true;
    v->data = s;
    syn_http_on_cancel(s->request, on_cancel);
    uv_timer_init(syn_http_loop(v->worker->server), &s->ping);
    uv_timer_start(&s->ping, on_ping, SYN_CHAT_PING_MS, SYN_CHAT_PING_MS);
    *out = s;
    return SYN_OK;
}

bool syn_chat_stream_begun(const syn_chat_stream *s)
{
    return s->begun;
}

bool syn_chat_stream_broken(const syn_chat_stream *s)
{
    return s->broken;
}

static void close_stream(syn_chat_stream *s)
{
    uv_close((uv_handle_t *)&s->ping, free_stream);
}

void syn_chat_stream_drop(syn_chat_stream *s)
{
    if (!s) return;
    if (s->begun) syn_http_stream_abort(s->request);
    close_stream(s);
}

/* ---- bytes ---- */

static void on_room(syn_http_request *request);

static void begin(syn_chat_stream *s)
{
    static const syn_http_header headers[] = {{"Cache-Control", "no-cache"},
                                              {"X-Accel-Buffering", "no"}};
    s->begun = true;
    syn_http_stream_begin(s->request, &(syn_http_reply){.status = 200,
                                                        .content_type = "text/event-stream",
                                                        .headers = headers,
                                                        .header_count = 2});
}

/* Tells the owner in the loop's next turn, never within a call of his. */
static void break_off(syn_chat_stream *s)
{
    s->broken = true;
    uv_timer_start(&s->ping, on_ping, 0, SYN_CHAT_PING_MS);
}

static void keep_waiting(syn_chat_stream *s, const char *bytes, size_t n)
{
    if (s->waiting.bytes - s->at + n > SYN_CHAT_WAITING_BYTES_MAX) {
        break_off(s);
        return;
    }
    if (s->at > 0) {
        memmove(s->waiting.text, s->waiting.text + s->at, s->waiting.bytes - s->at);
        s->waiting.bytes -= s->at;
        s->at = 0;
    }
    if (!syn_buffer_add(&s->waiting, bytes, n)) break_off(s);
}

static void send_bytes(syn_chat_stream *s, const char *bytes, size_t n)
{
    if (s->broken) return;
    if (!s->begun) begin(s);
    s->silent = false;
    if (s->waiting.bytes > s->at) {
        keep_waiting(s, bytes, n);
        return;
    }
    syn_status st = syn_http_stream_write(s->request, bytes, n);
    if (st == SYN_ERR_LIMIT) {
        syn_http_on_room(s->request, on_room);
        keep_waiting(s, bytes, n);
    } else if (st != SYN_OK)
        break_off(s);
}

/* What the server takes of that which waits. */
static void send_waiting(syn_chat_stream *s)
{
    while (s->at < s->waiting.bytes && !s->broken) {
        size_t n = s->waiting.bytes - s->at < SLICE_BYTES ? s->waiting.bytes - s->at : SLICE_BYTES;
        syn_status st = syn_http_stream_write(s->request, s->waiting.text + s->at, n);
        if (st == SYN_ERR_LIMIT) {
            syn_http_on_room(s->request, on_room);
            return;
        }
        if (st != SYN_OK) break_off(s);
        s->at += n;
    }
    s->at = s->waiting.bytes = 0;
}

/* Answers the visit once nothing waits any more. */
static void settle(syn_chat_stream *s)
{
    if (!s->ending || (s->at < s->waiting.bytes && !s->broken)) return;
    const syn_chat_stream_hooks hooks = s->hooks;
    if (s->broken)
        syn_http_stream_abort(s->request);
    else
        syn_http_stream_end(s->request);
    close_stream(s);
    hooks.ended(hooks.context);
}

/* Nothing that is sent arrives any more. */
static void give_up(syn_chat_stream *s)
{
    s->broken = true;
    if (s->ending) {
        settle(s);
    } else if (!s->told) {
        s->told = true;
        s->hooks.cancelled(s->hooks.context);
    }
}

static void on_cancel(syn_http_request *request)
{
    give_up(syn_visit_of(request)->data);
}

static void on_room(syn_http_request *request)
{
    syn_chat_stream *s = syn_visit_of(request)->data;
    send_waiting(s);
    settle(s);
}

static void on_ping(uv_timer_t *timer)
{
    syn_chat_stream *s = (syn_chat_stream *)timer;
    if (s->broken) {
        give_up(s);
        return;
    }
    if (s->silent && !s->ending) send_bytes(s, ": ping\n\n", 8);
    s->silent = true; /* a ping is no sound */
}

/* ---- events ---- */

/* Takes the reference. */
static void send_event(syn_chat_stream *s, json_t *object)
{
    size_t n = 0;
    char *text = syn_chat_event(object, &n);
    if (text)
        send_bytes(s, text, n);
    else
        break_off(s);
    free(text);
    json_decref(object);
}

/* delta: the reference is taken. */
static void send_delta(syn_chat_stream *s, json_t *delta, const json_t *logprobs,
                       const char *finish)
{
    send_event(s, syn_chat_chunk(&s->head, delta, logprobs, finish, s->usage_due));
}

static void say_role(syn_chat_stream *s)
{
    if (!s->said)
        send_delta(s, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), NULL, NULL);
    s->said = true;
}

void syn_chat_stream_delta(syn_chat_stream *s, const syn_llm_delta *d)
{
    json_t *delta = json_object();
    if (d->reasoning) json_object_set_new(delta, "reasoning_content", json_string(d->reasoning));
    if (d->text) json_object_set_new(delta, "content", json_string(d->text));
    if (d->tool_calls) json_object_set(delta, "tool_calls", (json_t *)d->tool_calls);
    if (json_object_size(delta) == 0) {
        json_decref(delta);
        return;
    }
    s->reasoned = s->reasoned || d->reasoning;
    s->content = s->content || d->text || d->tool_calls;
    say_role(s);
    send_delta(s, delta, d->logprobs, NULL);
}

/* What of the message was in no delta. */
static json_t *unsent(const syn_chat_stream *s, const json_t *message)
{
    json_t *delta = s->content ? json_object() : syn_chat_whole_delta(message);
    if (s->reasoned) (void)json_object_del(delta, "reasoning_content");
    return delta;
}

static void finish(syn_chat_stream *s)
{
    s->ending = true;
    settle(s);
}

void syn_chat_stream_end(syn_chat_stream *s, const json_t *completion)
{
    static const char done[] = "data: [DONE]\n\n";
    const json_t *choice = json_array_get(json_object_get(completion, "choices"), 0);
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    json_t *rest = unsent(s, json_object_get(choice, "message"));
    say_role(s);
    if (json_object_size(rest) > 0)
        send_delta(s, rest, json_object_get(choice, "logprobs"), NULL);
    else
        json_decref(rest);
    send_delta(s, json_object(), NULL, reason ? reason : "stop");
    if (s->usage_due) {
        json_t *usage = json_object_get(completion, "usage");
        json_t *share = json_object_get(completion, "sync_usage");
        send_event(s, syn_chat_usage_chunk(&s->head, json_incref(usage), json_incref(share)));
    }
    send_bytes(s, done, sizeof done - 1);
    finish(s);
}

void syn_chat_stream_fail(syn_chat_stream *s, json_t *error)
{
    send_event(s, error);
    finish(s);
}
