#include "serve/llm_openai.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- requests ---- */

/* Models that reason refuse a temperature and count thoughts as completion. */
static bool reasoning_model(const char *model)
{
    return (model[0] == 'o' && isdigit((unsigned char)model[1])) || strncmp(model, "gpt-5", 5) == 0;
}

char *syn_openai_body(const char *host, const char *model, const syn_llm_call *call)
{
    bool openai = strcmp(host, "api.openai.com") == 0;
    json_t *messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "system", "content",
                                 call->system, "role", "user", "content", call->user);
    json_t *body = json_pack("{s:s, s:o, s:I, s:b}", "model", model, "messages", messages,
                             openai ? "max_completion_tokens" : "max_tokens",
                             (json_int_t)call->max_tokens, "stream", 0);
    if (body && !(openai && reasoning_model(model)))
        json_object_set_new(body, "temperature", json_real(call->temperature));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* ---- replies ---- */

/* A count may be a float ("prompt_tokens": 12.0); nonsense is "not reported". */
static int64_t count_of(const json_t *usage, const char *name)
{
    const json_t *value = json_object_get(usage, name);
    double x = json_number_value(value);
    return json_is_number(value) && x >= 0 && x <= 1e12 ? (int64_t)(x + .5) : -1;
}

static double cost_of(const json_t *usage)
{
    const json_t *value = json_object_get(usage, "cost");
    if (json_is_object(value)) value = json_object_get(value, "total_cost");
    double x = json_number_value(value);
    return json_is_number(value) && x >= 0 && x <= 1e6 ? x : -1;
}

static void read_usage(const json_t *root, const json_t *choice, syn_openai_reply *out)
{
    const json_t *usage = json_object_get(root, "usage");
    if (!json_is_object(usage)) usage = json_object_get(choice, "usage");
    out->prompt_tokens = count_of(usage, "prompt_tokens");
    out->completion_tokens = count_of(usage, "completion_tokens");
    out->cost_usd = cost_of(usage);
}

/* Content is a string, or an array of parts of which the text ones count. */
static char *content_of(const json_t *content)
{
    if (json_is_string(content)) return strdup(json_string_value(content));
    size_t bytes = 1;
    for (size_t i = 0; i < json_array_size(content); i++)
        bytes += json_string_length(json_object_get(json_array_get(content, i), "text"));
    char *text = json_array_size(content) > 0 && bytes > 1 ? calloc(1, bytes) : NULL;
    for (size_t i = 0; text && i < json_array_size(content); i++) {
        const char *part = json_string_value(json_object_get(json_array_get(content, i), "text"));
        if (part) strcat(text, part);
    }
    return text;
}

static void keep_code(const json_t *value, syn_openai_reply *out)
{
    const char *text = json_string_value(value);
    if (!text || *out->code) return;
    for (size_t i = 0; text[i]; i++) {
        if (i + 1 == sizeof out->code || !(isalnum((unsigned char)text[i]) || text[i] == '_')) {
            out->code[0] = 0;
            return;
        }
        out->code[i] = text[i];
        out->code[i + 1] = 0;
    }
}

/* {"error": {...}}, [{"error": {...}}] or {"error": "..."}; NULL if there is none. */
static const json_t *error_of(const json_t *root)
{
    if (json_is_array(root)) root = json_array_get(root, 0);
    const json_t *error = json_object_get(root, "error");
    return error && !json_is_null(error) && !json_is_false(error) ? error : NULL;
}

static void read_error(const json_t *error, syn_openai_reply *out)
{
    const json_t *code = json_object_get(error, "code");
    if (out->http_status == 200) {
        double status = json_number_value(code);
        out->http_status = status >= 400 && status <= 599 ? (int)status : 500;
    }
    keep_code(code, out);
    keep_code(json_object_get(error, "status"), out);
    keep_code(json_object_get(error, "type"), out);
}

syn_attempt syn_openai_read(const char *body, size_t bytes, int http_status, syn_openai_reply *out)
{
    *out = (syn_openai_reply){.prompt_tokens = -1, .completion_tokens = -1, .cost_usd = -1};
    out->http_status = http_status;
    json_t *root = json_loadb(body, bytes, 0, NULL);
    const json_t *error = error_of(root);
    if (error) read_error(error, out);
    if (error || http_status != 200) {
        json_decref(root);
        return SYN_ATTEMPT_STATUS;
    }
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    out->text = content_of(json_object_get(json_object_get(choice, "message"), "content"));
    read_usage(root, choice, out);
    json_decref(root);
    return out->text && *out->text ? SYN_ATTEMPT_OK : SYN_ATTEMPT_MALFORMED;
}
