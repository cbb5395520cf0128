/* What the dialects share: errors, usage, the end of a stream. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "serve/llm_dialect.h"

enum { TOOL_CALLS_MAX = 128 };

void syn_llm_result_begin(syn_llm_result *r, bool lenient)
{
    memset(r, 0, sizeof *r);
    r->lenient = lenient;
    r->http_status = 200;
    r->usage = (syn_llm_usage){.prompt = -1, .completion = -1, .cost_usd = -1};
    r->input_tokens = -1;
    for (size_t k = 0; k < sizeof r->blocks / sizeof *r->blocks; k++) r->blocks[k] = -1;
}

void syn_llm_result_free(syn_llm_result *r)
{
    for (size_t k = 0; k < json_array_size(r->tool_calls); k++) free(r->arguments[k].text);
    free(r->arguments);
    json_decref(r->message);
    json_decref(r->logprobs);
    json_decref(r->tool_calls);
    json_decref(r->event);
    json_decref(r->calls_now);
    free(r->text.text);
    free(r->reasoning.text);
    memset(r, 0, sizeof *r);
}

void syn_llm_keep(char *to, size_t room, const json_t *text)
{
    size_t bytes = json_string_length(text);
    if (!json_is_string(text) || bytes == 0 || bytes >= room) return;
    memcpy(to, json_string_value(text), bytes + 1);
}

/* ---- errors ---- */

const json_t *syn_llm_error_of(const json_t *root)
{
    if (json_is_array(root)) root = json_array_get(root, 0);
    const json_t *error = json_object_get(root, "error");
    return error && !json_is_null(error) && !json_is_false(error) ? error : NULL;
}

static void keep_code(const json_t *value, syn_llm_result *r)
{
    const char *text = json_string_value(value);
    if (!text || *r->code) return;
    for (size_t i = 0; text[i]; i++) {
        if (i + 1 == sizeof r->code || !(isalnum((unsigned char)text[i]) || text[i] == '_')) {
            r->code[0] = 0;
            return;
        }
        r->code[i] = text[i];
        r->code[i + 1] = 0;
    }
}

/* The status that a provider would have given, had the headers not been sent before. */
static int status_of_code(const char *code)
{
    static const struct {
        const char *code;
        int status;
    } table[] = {{"overloaded_error", 529},    {"rate_limit_error", 429},
                 {"rate_limit_exceeded", 429}, {"insufficient_quota", 429},
                 {"RESOURCE_EXHAUSTED", 429},  {"UNAVAILABLE", 503},
                 {"unavailable_error", 503},   {"invalid_request_error", 400},
                 {"INVALID_ARGUMENT", 400},    {"authentication_error", 401},
                 {"billing_error", 402},       {"permission_error", 403},
                 {"not_found_error", 404},     {"request_too_large", 413},
                 {"timeout_error", 504},       {"context_length_exceeded", 400}};
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (strcmp(code, table[k].code) == 0) return table[k].status;
    return 500;
}

void syn_llm_read_error(const json_t *error, syn_llm_result *r)
{
    const json_t *code = json_object_get(error, "code");
    keep_code(code, r);
    keep_code(json_object_get(error, "status"), r);
    keep_code(json_object_get(error, "type"), r);
    if (r->http_status != 200) return;
    double status = json_number_value(code);
    if (json_is_string(code)) status = atof(json_string_value(code));
    r->http_status = status >= 400 && status <= 599 ? (int)status : status_of_code(r->code);
}

syn_llm_event syn_llm_read_event(const char *data, size_t bytes, syn_llm_result *r)
{
    json_decref(r->event);
    r->event = json_loadb(data, bytes, 0, NULL);
    const json_t *error = syn_llm_error_of(r->event);
    if (error) {
        syn_llm_read_error(error, r);
        return SYN_EVENT_ERROR;
    }
    return json_is_object(r->event) ? SYN_EVENT_DELTA : SYN_EVENT_MALFORMED;
}

/* ---- usage ---- */

int64_t syn_llm_count(const json_t *usage, const char *name)
{
    const json_t *value = json_object_get(usage, name);
    double x = json_number_value(value);
    return json_is_number(value) && x >= 0 && x <= 1e12 ? (int64_t)(x + .5) : -1;
}

/* The first of these that is reported, else 0. */
static int64_t share(const json_t *usage, const char *details, const char *name,
                     const char *top_level)
{
    int64_t n = syn_llm_count(json_object_get(usage, details), name);
    if (n < 0 && top_level) n = syn_llm_count(usage, top_level);
    return n < 0 ? 0 : n;
}

static double cost_of(const json_t *usage)
{
    const json_t *value = json_object_get(usage, "cost");
    if (json_is_object(value)) value = json_object_get(value, "total_cost");
    double x = json_number_value(value);
    /* With a key of one's own there, `cost` is the router's fee alone. */
    const json_t *upstream =
        json_object_get(json_object_get(usage, "cost_details"), "upstream_inference_cost");
    if (json_is_number(upstream) && json_number_value(upstream) > 0)
        x += json_number_value(upstream);
    return json_is_number(value) && x >= 0 && x <= 1e6 ? x : -1;
}

static int64_t at_most(int64_t part, int64_t whole)
{
    return whole >= 0 && part > whole ? whole : part;
}

void syn_llm_read_usage(const json_t *usage, syn_llm_result *r)
{
    syn_llm_usage *u = &r->usage;
    if (!json_is_object(usage)) return;
    int64_t hit = syn_llm_count(usage, "prompt_cache_hit_tokens");
    int64_t miss = syn_llm_count(usage, "prompt_cache_miss_tokens");
    u->prompt = syn_llm_count(usage, "prompt_tokens");
    if (u->prompt < 0 && hit >= 0 && miss >= 0) u->prompt = hit + miss;
    u->completion = syn_llm_count(usage, "completion_tokens");
    int64_t read = share(usage, "prompt_tokens_details", "cached_tokens", "cached_tokens");
    if (read == 0 && hit > 0) read = hit;
    u->cache_read = at_most(read, u->prompt);
    u->cache_write =
        at_most(share(usage, "prompt_tokens_details", "cache_write_tokens", NULL), u->prompt);
    u->reasoning =
        at_most(share(usage, "completion_tokens_details", "reasoning_tokens", NULL), u->completion);
    u->cost_usd = cost_of(usage);
}

/* ---- whole replies ---- */

syn_attempt syn_llm_read(const syn_llm_dialect *dialect, const char *body, size_t bytes,
                         int http_status, syn_llm_result *r)
{
    json_t *root = json_loadb(body, bytes, 0, NULL);
    const json_t *error = syn_llm_error_of(root);
    r->http_status = http_status;
    if (error) syn_llm_read_error(error, r);
    syn_attempt how = SYN_ATTEMPT_STATUS;
    if (!error && http_status == 200)
        how =
            r->embeds ? syn_embed_read(r->embeds, r->embed_count, root, r) : dialect->read(root, r);
    json_decref(root);
    return how;
}

json_t *syn_llm_chat(const syn_llm_call *call)
{
    if (call->chat) return json_copy((json_t *)call->chat);
    json_t *user = json_pack("{s:s, s:s}", "role", "user", "content", call->user);
    json_t *messages =
        call->system && *call->system
            ? json_pack("[{s:s, s:s}, o]", "role", "system", "content", call->system, user)
            : json_pack("[o]", user);
    return json_pack("{s:o, s:I, s:f}", "messages", messages, "max_tokens",
                     (json_int_t)call->max_tokens, "temperature", call->temperature);
}

/* ---- streams ---- */

static bool add_call(syn_llm_result *r, size_t count)
{
    syn_buffer *grown = realloc(r->arguments, (count + 1) * sizeof *grown);
    if (!grown) return false;
    r->arguments = grown;
    grown[count] = (syn_buffer){0};
    return syn_buffer_add(&grown[count], "", 0) &&
           json_array_append_new(r->tool_calls,
                                 json_pack("{s:s, s:{}}", "type", "function", "function")) == 0;
}

static bool gather_one(syn_llm_result *r, const json_t *piece, size_t position)
{
    const json_t *index = json_object_get(piece, "index");
    size_t count = json_array_size(r->tool_calls);
    size_t at = json_is_integer(index) ? (size_t)json_integer_value(index) : position;
    if (at >= TOOL_CALLS_MAX || at > count || (at == count && !add_call(r, count))) return false;
    json_t *call = json_array_get(r->tool_calls, at);
    json_t *id = json_object_get(piece, "id");
    const json_t *function = json_object_get(piece, "function");
    json_t *name = json_object_get(function, "name");
    const json_t *arguments = json_object_get(function, "arguments");
    if (json_string_length(id) > 0) json_object_set(call, "id", id);
    if (json_string_length(name) > 0)
        json_object_set(json_object_get(call, "function"), "name", name);
    return !json_is_string(arguments) ||
           syn_buffer_add(&r->arguments[at], json_string_value(arguments),
                          json_string_length(arguments));
}

bool syn_llm_gather(syn_llm_result *r, const json_t *calls)
{
    if (!r->tool_calls && !(r->tool_calls = json_array())) return false;
    for (size_t k = 0; k < json_array_size(calls); k++)
        if (!gather_one(r, json_array_get(calls, k), k)) return false;
    return true;
}

syn_attempt syn_llm_read_end(syn_llm_result *r, bool said_so)
{
    bool calls = json_array_size(r->tool_calls) > 0;
    if (!*r->finish && !said_so) return SYN_ATTEMPT_MALFORMED;
    if (r->text.bytes == 0 && !calls && !(r->lenient && *r->finish)) return SYN_ATTEMPT_MALFORMED;
    if (!*r->finish) strcpy(r->finish, calls ? "tool_calls" : "stop");
    r->message = json_pack("{s:s, s:o}", "role", "assistant", "content",
                           r->text.bytes > 0 || !calls
                               ? json_stringn(r->text.bytes ? r->text.text : "", r->text.bytes)
                               : json_null());
    for (size_t k = 0; k < json_array_size(r->tool_calls); k++)
        json_object_set_new(json_object_get(json_array_get(r->tool_calls, k), "function"),
                            "arguments", json_stringn(r->arguments[k].text, r->arguments[k].bytes));
    if (r->message && calls) json_object_set(r->message, "tool_calls", r->tool_calls);
    if (r->message && r->reasoning.bytes > 0)
        json_object_set_new(r->message, "reasoning_content",
                            json_stringn(r->reasoning.text, r->reasoning.bytes));
    return r->message ? SYN_ATTEMPT_OK : SYN_ATTEMPT_MALFORMED;
}
