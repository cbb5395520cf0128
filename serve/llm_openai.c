/* The chat-completions format, and what each provider makes of it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "serve/json_text.h"
#include "serve/llm_dialect.h"

/* ---- requests ---- */

/* Models that reason refuse a temperature and count thoughts as completion. */
static bool reasoning_model(const char *model)
{
    return (model[0] == 'o' && isdigit((unsigned char)model[1])) || strncmp(model, "gpt-5", 5) == 0;
}

static void rename_member(json_t *object, const char *from, const char *to)
{
    json_t *value = json_object_get(object, from);
    if (!value) return;
    if (!json_object_get(object, to)) json_object_set(object, to, value);
    json_object_del(object, from);
}

/* OpenAI itself knows only the newer name, some others (Ollama) only the older one. */
static void adapt(const syn_provider *provider, const char *model, json_t *body)
{
    static const char *const unknown_to_google[] = {"frequency_penalty", "top_k", "reasoning"};
    if (strcmp(provider->host, "api.openai.com") == 0) {
        rename_member(body, "max_tokens", "max_completion_tokens");
        if (reasoning_model(model)) json_object_del(body, "temperature");
    } else
        rename_member(body, "max_completion_tokens", "max_tokens");
    if (strcmp(provider->host, "generativelanguage.googleapis.com") == 0)
        for (size_t k = 0; k < sizeof unknown_to_google / sizeof *unknown_to_google; k++)
            json_object_del(body, unknown_to_google[k]);
}

static char *openai_body(const syn_provider *provider, const syn_llm_call *call)
{
    const char *model = call->model ? call->model : provider->model;
    json_t *body = syn_llm_chat(call);
    char *text = NULL;
    if (body) {
        json_object_del(body, "stream");
        json_object_del(body, "stream_options");
        json_object_del(body, "n");
        bool ok = json_object_set_new(body, "model", json_string(model)) == 0;
        if (call->delta)
            ok = ok && json_object_set_new(body, "stream", json_true()) == 0 &&
                 json_object_set_new(body, "stream_options",
                                     json_pack("{s:b}", "include_usage", 1)) == 0;
        if (provider->secret->options) /* what the request says itself goes before */
            ok = ok && json_object_update_missing(body, provider->secret->options) == 0;
        adapt(provider, model, body);
        text = ok ? syn_json_text(body, JSON_COMPACT) : NULL;
    }
    json_decref(body);
    if (!text) syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    return text;
}

/* ---- replies ---- */

/* Content is a string, or an array of parts of which the text ones count. */
static json_t *joined(const json_t *parts)
{
    syn_buffer t = {0};
    bool ok = syn_buffer_add(&t, "", 0);
    for (size_t i = 0; ok && i < json_array_size(parts); i++) {
        const json_t *text = json_object_get(json_array_get(parts, i), "text");
        if (json_is_string(text))
            ok = syn_buffer_add(&t, json_string_value(text), json_string_length(text));
    }
    json_t *out = ok ? json_stringn(t.text, t.bytes) : NULL;
    free(t.text);
    return out;
}

static void read_finish(const json_t *choice, syn_llm_result *r)
{
    static const char *const known[] = {"stop", "length", "tool_calls", "content_filter"};
    const char *finish = json_string_value(json_object_get(choice, "finish_reason"));
    if (!finish || !*finish) return;
    strcpy(r->finish, "stop");
    if (strcmp(finish, "function_call") == 0) strcpy(r->finish, "tool_calls");
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (strcmp(finish, known[k]) == 0) strcpy(r->finish, known[k]);
}

static syn_attempt openai_read(const json_t *root, syn_llm_result *r)
{
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    json_t *message = json_object_get(choice, "message");
    const json_t *usage = json_object_get(root, "usage");
    syn_llm_read_usage(json_is_object(usage) ? usage : json_object_get(choice, "usage"), r);
    syn_llm_keep(r->model, sizeof r->model, json_object_get(root, "model"));
    read_finish(choice, r);
    if (!json_is_object(message)) return SYN_ATTEMPT_MALFORMED;
    if (json_is_array(json_object_get(message, "content")))
        json_object_set_new(message, "content", joined(json_object_get(message, "content")));
    const json_t *content = json_object_get(message, "content");
    if (content && !json_is_string(content) && !json_is_null(content)) return SYN_ATTEMPT_MALFORMED;
    bool calls = json_array_size(json_object_get(message, "tool_calls")) > 0;
    bool empty = json_string_length(content) == 0 && !calls;
    if (empty && !(r->lenient && *r->finish)) return SYN_ATTEMPT_MALFORMED;
    if (!json_object_get(message, "role"))
        json_object_set_new(message, "role", json_string("assistant"));
    if (!*r->finish) strcpy(r->finish, calls ? "tool_calls" : "stop");
    r->message = json_incref(message);
    json_t *logprobs = json_object_get(choice, "logprobs");
    if (json_is_object(logprobs)) r->logprobs = json_incref(logprobs);
    return SYN_ATTEMPT_OK;
}

/* ---- streams ---- */

static const char *text_of(const json_t *delta, const char *name)
{
    const json_t *value = json_object_get(delta, name);
    return json_string_length(value) > 0 ? json_string_value(value) : NULL;
}

static syn_llm_event openai_event(const char *data, size_t bytes, syn_llm_result *r,
                                  syn_llm_delta *out)
{
    *out = (syn_llm_delta){0};
    if (bytes == 6 && memcmp(data, "[DONE]", 6) == 0) return SYN_EVENT_END;
    if (strspn(data, " \t") == bytes) return SYN_EVENT_NOTHING;
    const syn_llm_event read = syn_llm_read_event(data, bytes, r);
    if (read != SYN_EVENT_DELTA) return read;
    const json_t *choice = json_array_get(json_object_get(r->event, "choices"), 0);
    const json_t *delta = json_object_get(choice, "delta");
    const json_t *usage = json_object_get(r->event, "usage");
    syn_llm_read_usage(json_is_object(usage) ? usage : json_object_get(choice, "usage"), r);
    if (!*r->model) syn_llm_keep(r->model, sizeof r->model, json_object_get(r->event, "model"));
    read_finish(choice, r);
    out->text = text_of(delta, "content");
    const json_t *logprobs = json_object_get(choice, "logprobs");
    if (out->text && json_is_object(logprobs)) out->logprobs = logprobs;
    out->reasoning = text_of(delta, "reasoning_content");
    if (!out->reasoning) out->reasoning = text_of(delta, "reasoning");
    const json_t *calls = json_object_get(delta, "tool_calls");
    if (json_array_size(calls) > 0) out->tool_calls = calls;
    if ((out->text && !syn_buffer_add(&r->text, out->text, strlen(out->text))) ||
        (out->reasoning &&
         !syn_buffer_add(&r->reasoning, out->reasoning, strlen(out->reasoning))) ||
        (out->tool_calls && !syn_llm_gather(r, out->tool_calls)))
        return SYN_EVENT_MALFORMED;
    return out->text || out->reasoning || out->tool_calls ? SYN_EVENT_DELTA : SYN_EVENT_NOTHING;
}

const syn_llm_dialect syn_dialect_openai = {openai_body, openai_read, openai_event};
