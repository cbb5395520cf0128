/* Anthropic's Messages: replies and streams, in OpenAI's shape. The requests: llm_anthropic_body.c.
 */
#include <stdlib.h>
#include <string.h>

#include "serve/json_text.h"
#include "serve/llm_anthropic.h"

/* `input_tokens` leaves the cache out; OpenAI's count has it in. */
static void read_usage(const json_t *usage, syn_llm_result *r)
{
    syn_llm_usage *u = &r->usage;
    int64_t input = syn_llm_count(usage, "input_tokens");
    int64_t written = syn_llm_count(usage, "cache_creation_input_tokens");
    int64_t read = syn_llm_count(usage, "cache_read_input_tokens");
    int64_t output = syn_llm_count(usage, "output_tokens");
    int64_t thought =
        syn_llm_count(json_object_get(usage, "output_tokens_details"), "thinking_tokens");
    if (input >= 0) r->input_tokens = input;
    if (written >= 0) u->cache_write = written;
    if (read >= 0) u->cache_read = read;
    if (r->input_tokens >= 0) u->prompt = r->input_tokens + u->cache_write + u->cache_read;
    if (output >= 0) u->completion = output;
    if (thought >= 0) u->reasoning = thought > output && output >= 0 ? output : thought;
}

static void read_stop(const json_t *reason, syn_llm_result *r)
{
    static const char *const table[][2] = {{"max_tokens", "length"},
                                           {"model_context_window_exceeded", "length"},
                                           {"tool_use", "tool_calls"},
                                           {"refusal", "content_filter"}};
    const char *text = json_string_value(reason);
    if (!text) return;
    strcpy(r->finish, "stop");
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (strcmp(text, table[k][0]) == 0) strcpy(r->finish, table[k][1]);
}

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "";
}

/* ---- whole replies ---- */

static bool add_text(syn_buffer *t, const json_t *text)
{
    return syn_buffer_add(t, json_is_string(text) ? json_string_value(text) : "",
                          json_string_length(text));
}

static bool take_block(syn_llm_result *r, const json_t *block)
{
    const char *type = type_of(block);
    if (strcmp(type, "text") == 0) return add_text(&r->text, json_object_get(block, "text"));
    if (strcmp(type, "thinking") == 0)
        return add_text(&r->reasoning, json_object_get(block, "thinking"));
    if (strcmp(type, "tool_use") != 0) return true;
    char *arguments =
        syn_json_text(json_object_get(block, "input"), JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *call =
        json_pack("[{s:i, s:O, s:{s:O, s:s}}]", "index", (int)json_array_size(r->tool_calls), "id",
                  json_object_get(block, "id"), "function", "name", json_object_get(block, "name"),
                  "arguments", arguments ? arguments : "{}");
    bool ok = call && syn_llm_gather(r, call);
    free(arguments);
    json_decref(call);
    return ok;
}

static syn_attempt anthropic_read(const json_t *root, syn_llm_result *r)
{
    const json_t *content = json_object_get(root, "content");
    read_usage(json_object_get(root, "usage"), r);
    read_stop(json_object_get(root, "stop_reason"), r);
    syn_llm_keep(r->model, sizeof r->model, json_object_get(root, "model"));
    if (!json_is_array(content)) return SYN_ATTEMPT_MALFORMED;
    for (size_t k = 0; k < json_array_size(content); k++)
        if (!take_block(r, json_array_get(content, k))) return SYN_ATTEMPT_MALFORMED;
    return syn_llm_read_end(r, true);
}

/* ---- streams ---- */

static int *block_of(syn_llm_result *r, const json_t *event)
{
    const json_t *index = json_object_get(event, "index");
    json_int_t k = json_is_integer(index) ? json_integer_value(index) : -1;
    return k >= 0 && k < (json_int_t)(sizeof r->blocks / sizeof *r->blocks) ? &r->blocks[k] : NULL;
}

static syn_llm_event hand_on_call(syn_llm_result *r, json_t *call, syn_llm_delta *out)
{
    json_decref(r->calls_now);
    r->calls_now = json_pack("[o]", call);
    if (!r->calls_now || !syn_llm_gather(r, r->calls_now)) return SYN_EVENT_MALFORMED;
    out->tool_calls = r->calls_now;
    return SYN_EVENT_DELTA;
}

static syn_llm_event block_starts(syn_llm_result *r, const json_t *event, syn_llm_delta *out)
{
    const json_t *block = json_object_get(event, "content_block");
    int *call = block_of(r, event);
    if (!call) return SYN_EVENT_MALFORMED;
    if (strcmp(type_of(block), "tool_use") != 0) return SYN_EVENT_NOTHING;
    *call = (int)json_array_size(r->tool_calls);
    return hand_on_call(r,
                        json_pack("{s:i, s:O, s:s, s:{s:O, s:s}}", "index", *call, "id",
                                  json_object_get(block, "id"), "type", "function", "function",
                                  "name", json_object_get(block, "name"), "arguments", ""),
                        out);
}

static syn_llm_event block_grows(syn_llm_result *r, const json_t *event, syn_llm_delta *out)
{
    const json_t *delta = json_object_get(event, "delta");
    const char *type = type_of(delta);
    if (strcmp(type, "text_delta") == 0) {
        const json_t *text = json_object_get(delta, "text");
        if (json_string_length(text) == 0) return SYN_EVENT_NOTHING;
        out->text = json_string_value(text);
        return add_text(&r->text, text) ? SYN_EVENT_DELTA : SYN_EVENT_MALFORMED;
    }
    if (strcmp(type, "thinking_delta") == 0) {
        const json_t *text = json_object_get(delta, "thinking");
        if (json_string_length(text) == 0) return SYN_EVENT_NOTHING;
        out->reasoning = json_string_value(text);
        return add_text(&r->reasoning, text) ? SYN_EVENT_DELTA : SYN_EVENT_MALFORMED;
    }
    const json_t *piece = json_object_get(delta, "partial_json");
    if (strcmp(type, "input_json_delta") != 0 || json_string_length(piece) == 0)
        return SYN_EVENT_NOTHING;
    const int *call = block_of(r, event);
    if (!call || *call < 0) return SYN_EVENT_MALFORMED;
    return hand_on_call(
        r, json_pack("{s:i, s:{s:O}}", "index", *call, "function", "arguments", piece), out);
}

static syn_llm_event anthropic_event(const char *data, size_t bytes, syn_llm_result *r,
                                     syn_llm_delta *out)
{
    *out = (syn_llm_delta){0};
    const syn_llm_event read = syn_llm_read_event(data, bytes, r);
    if (read != SYN_EVENT_DELTA) return read;
    const char *type = type_of(r->event);
    if (strcmp(type, "message_start") == 0) {
        const json_t *message = json_object_get(r->event, "message");
        read_usage(json_object_get(message, "usage"), r);
        syn_llm_keep(r->model, sizeof r->model, json_object_get(message, "model"));
    } else if (strcmp(type, "content_block_start") == 0)
        return block_starts(r, r->event, out);
    else if (strcmp(type, "content_block_delta") == 0)
        return block_grows(r, r->event, out);
    else if (strcmp(type, "message_delta") == 0) {
        read_usage(json_object_get(r->event, "usage"), r);
        read_stop(json_object_get(json_object_get(r->event, "delta"), "stop_reason"), r);
    } else if (strcmp(type, "message_stop") == 0)
        return SYN_EVENT_END;
    return SYN_EVENT_NOTHING;
}

const syn_llm_dialect syn_dialect_anthropic = {syn_anthropic_body, anthropic_read, anthropic_event};
