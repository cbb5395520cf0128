#include "serve/openai_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/buffer.h"

enum { STOPS_MAX = 16, TOKENS_MAX = 1000000 };

bool syn_chat_refuse(syn_chat_fault *fault, int status, const char *code, const char *field,
                     const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(fault->sentence, sizeof fault->sentence, fmt, args);
    va_end(args);
    snprintf(fault->field, sizeof fault->field, "%s", field ? field : "");
    fault->status = status;
    fault->code = code;
    return false;
}

static bool wrong(syn_chat_fault *fault, const char *field, const char *sentence)
{
    return syn_chat_refuse(fault, 400, NULL, field, "%s", sentence);
}

/* The member, NULL where it is missing or null. */
static const json_t *given(const json_t *object, const char *name)
{
    const json_t *j = json_object_get(object, name);
    return json_is_null(j) ? NULL : j;
}

static bool read_flag(const json_t *object, const char *name, const char *field, bool *out,
                      syn_chat_fault *fault)
{
    const json_t *j = given(object, name);
    if (j && !json_is_boolean(j)) return wrong(fault, field, "It must be true or false.");
    *out = json_is_true(j);
    return true;
}

/* ---- messages ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static bool is_role(const char *role)
{
    static const char *const roles[] = {"system",    "developer", "user",
                                        "assistant", "tool",      "function"};
    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++)
        if (strcmp(role, roles[k]) == 0) return true;
    return false;
}

static bool is_tool(const json_t *message)
{
    const char *role = text_of(message, "role");
    return strcmp(role, "tool") == 0 || strcmp(role, "function") == 0;
}

/* The words of a part of a content, NULL: it is no text. */
static const char *part_text(const json_t *part)
{
    const char *type = text_of(part, "type");
    if (strcmp(type, "text") == 0) return json_string_value(json_object_get(part, "text"));
    if (strcmp(type, "refusal") == 0) return json_string_value(json_object_get(part, "refusal"));
    return NULL;
}

static bool check_message(const json_t *message, size_t at, syn_chat_fault *fault)
{
    char field[64];
    snprintf(field, sizeof field, "messages[%zu]", at);
    if (!json_is_object(message)) return wrong(fault, field, "A message must be an object.");
    snprintf(field, sizeof field, "messages[%zu].role", at);
    if (!is_role(text_of(message, "role")))
        return wrong(fault, field,
                     "It must be system, developer, user, assistant, tool or function.");
    const json_t *content = given(message, "content");
    snprintf(field, sizeof field, "messages[%zu].content", at);
    if (content && !json_is_string(content) && !json_is_array(content))
        return wrong(fault, field, "It must be a text, null or an array of parts.");
    size_t k;
    json_t *part;
    json_array_foreach(content, k, part)
    {
        snprintf(field, sizeof field, "messages[%zu].content[%zu]", at, k);
        if (!json_is_string(json_object_get(part, "type")))
            return wrong(fault, field, "A part must be an object with a type.");
    }
    return true;
}

static bool check_messages(const json_t *messages, syn_chat_fault *fault)
{
    size_t k;
    json_t *message;
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return wrong(fault, "messages", "It must be an array of at least one message.");
    if (json_array_size(messages) > SYN_CHAT_MESSAGES_MAX)
        return syn_chat_refuse(fault, 400, NULL, "messages",
                               "There are more than %d messages, the most that is read.",
                               SYN_CHAT_MESSAGES_MAX);
    json_array_foreach(messages, k, message) if (!check_message(message, k, fault)) return false;
    return true;
}

static bool check_model(const json_t *body, syn_chat_request *out, syn_chat_fault *fault)
{
    const json_t *model = json_object_get(body, "model");
    if (!json_is_string(model) || json_string_length(model) == 0)
        return wrong(fault, "model", "It must name a model; GET /v1/models lists them.");
    if (json_string_length(model) > SYN_CHAT_MODEL_BYTES_MAX)
        return syn_chat_refuse(fault, 400, NULL, "model", "It is longer than %d bytes.",
                               SYN_CHAT_MODEL_BYTES_MAX);
    out->model = json_string_value(model);
    return true;
}

static bool check_count(const json_t *body, syn_chat_fault *fault)
{
    const json_t *n = given(body, "n");
    if (n && (!json_is_integer(n) || json_integer_value(n) != 1))
        return wrong(fault, "n", "One answer is given to a request: n must be 1.");
    return true;
}

bool syn_chat_read(const json_t *body, syn_chat_request *out, syn_chat_fault *fault)
{
    memset(out, 0, sizeof *out);
    const json_t *options = given(body, "stream_options");
    out->messages = json_object_get(body, "messages");
    if (options && !json_is_object(options))
        return wrong(fault, "stream_options", "It must be an object.");
    if (!check_model(body, out, fault) || !check_messages(out->messages, fault) ||
        !check_count(body, fault) || !read_flag(body, "stream", "stream", &out->stream, fault) ||
        !read_flag(options, "include_usage", "stream_options.include_usage", &out->include_usage,
                   fault) ||
        !read_flag(body, "sync_events", "sync_events", &out->events, fault))
        return false;
    out->tool_result = is_tool(json_array_get(out->messages, json_array_size(out->messages) - 1));
    return true;
}

/* ---- texts of messages ---- */

typedef struct builder {
    syn_buffer buffer;
    bool failed;
} builder;

static void add_n(builder *t, const char *bytes, size_t count)
{
    if (!t->failed) t->failed = !syn_buffer_add(&t->buffer, bytes, count);
}

static void add(builder *t, const char *bytes)
{
    add_n(t, bytes, strlen(bytes));
}

static void add_content(builder *t, const json_t *message)
{
    const json_t *content = json_object_get(message, "content");
    size_t k;
    json_t *part;
    bool first = true;
    if (json_is_string(content)) add(t, json_string_value(content));
    json_array_foreach(content, k, part)
    {
        const char *words = part_text(part);
        if (!words) continue;
        if (!first) add(t, "\n");
        add(t, words);
        first = false;
    }
}

/* The text, to be freed; NULL: out of memory. */
static char *finished(builder *t)
{
    if (!t->failed) return t->buffer.text;
    free(t->buffer.text);
    return NULL;
}

/* Of the last message of a user; -1 where there is none. */
static int64_t question_at(const json_t *messages)
{
    for (int64_t k = (int64_t)json_array_size(messages) - 1; k >= 0; k--)
        if (strcmp(text_of(json_array_get(messages, (size_t)k), "role"), "user") == 0) return k;
    return -1;
}

char *syn_chat_question(const syn_chat_request *r)
{
    builder t = {0};
    int64_t at =
        r->tool_result ? (int64_t)json_array_size(r->messages) - 1 : question_at(r->messages);
    add(&t, "");
    if (at >= 0) add_content(&t, json_array_get(r->messages, (size_t)at));
    return finished(&t);
}

/* ---- what a team is asked ---- */

static bool only_text(const json_t *messages, syn_chat_fault *fault)
{
    size_t k, p;
    json_t *message, *part;
    json_array_foreach(messages, k, message)
    {
        json_array_foreach(json_object_get(message, "content"), p, part)
        {
            char field[64];
            if (part_text(part)) continue;
            snprintf(field, sizeof field, "messages[%zu].content[%zu]", k, p);
            return wrong(fault, field,
                         "A team of agents reads text alone; a model of its own, "
                         "PROVIDER:MODEL, is given other parts as they are.");
        }
    }
    return true;
}

static bool is_instruction(const json_t *message)
{
    const char *role = text_of(message, "role");
    return strcmp(role, "system") == 0 || strcmp(role, "developer") == 0;
}

static const char *speaker(const json_t *message)
{
    if (is_tool(message)) return "Tool";
    return strcmp(text_of(message, "role"), "user") == 0 ? "User" : "Assistant";
}

/* A turn of the dialogue before the question; nothing for one without words. */
static void add_turn(builder *t, const json_t *message)
{
    builder words = {0};
    add(&words, "");
    add_content(&words, message);
    if (words.failed)
        t->failed = true;
    else if (words.buffer.bytes > 0) {
        add(t, speaker(message));
        add(t, ": ");
        add_n(t, words.buffer.text, words.buffer.bytes);
        add(t, "\n");
    }
    free(words.buffer.text);
}

char *syn_chat_dialogue(const syn_chat_request *r)
{
    builder t = {0};
    const int64_t question = question_at(r->messages);
    size_t k;
    json_t *message;
    add(&t, "");
    json_array_foreach(r->messages, k, message)
    {
        if ((int64_t)k != question && !is_instruction(message)) add_turn(&t, message);
    }
    return finished(&t);
}

/* What system and developer messages say. */
static char *instructions(const json_t *messages)
{
    builder t = {0};
    size_t k;
    json_t *message;
    add(&t, "");
    json_array_foreach(messages, k, message)
    {
        if (!is_instruction(message)) continue;
        if (t.buffer.bytes > 0) add(&t, "\n\n");
        add_content(&t, message);
    }
    return finished(&t);
}

/* Members of `from` over those of `to`; true where nothing failed. */
static bool lay_over(json_t *to, const json_t *from, const char *name)
{
    json_t *above = json_object_get(from, name), *below = json_object_get(to, name);
    if (!above || json_is_null(above)) return true;
    if (json_is_object(above) && json_is_object(below))
        return json_object_update(below, above) == 0;
    return json_object_set_new(to, name,
                               json_is_object(above) ? json_copy(above) : json_incref(above)) == 0;
}

static bool set_text(json_t *object, const char *name, const char *text)
{
    return text && json_object_set_new(object, name, json_string(text)) == 0;
}

/* The request's temperature is the team's, unless its config has one. */
static bool set_temperature(json_t *collaborate, const json_t *body)
{
    json_t *temperature = json_object_get(body, "temperature");
    json_t *config = json_object_get(body, "config");
    if (!temperature || json_is_null(temperature) ||
        json_object_get(json_is_object(config) ? config : NULL, "temperature"))
        return true;
    config = json_object_get(collaborate, "config");
    if (!config && json_object_set_new(collaborate, "config", json_object()) != 0) return false;
    config = json_object_get(collaborate, "config");
    return !json_is_object(config) || json_object_set(config, "temperature", temperature) == 0;
}

static bool set_texts(json_t *collaborate, const syn_chat_request *r)
{
    char *query = syn_chat_question(r);
    char *context = instructions(r->messages);
    bool good = set_text(collaborate, "query", query) && context &&
                (!*context || set_text(collaborate, "context", context));
    free(query);
    free(context);
    return good;
}

json_t *syn_chat_collaborate(const syn_chat_request *r, const json_t *body, int agents,
                             const json_t *team, syn_chat_fault *fault)
{
    static const char *const members[] = {"documents", "agents", "config", "caps"};
    if (question_at(r->messages) < 0) {
        wrong(fault, "messages", "There is no message of a user, which is what a team answers.");
        return NULL;
    }
    if (!only_text(r->messages, fault)) return NULL;
    json_t *out = team ? json_deep_copy(team) : json_object();
    bool good =
        out && (!agents || json_object_set_new(out, "num_agents", json_integer(agents)) == 0);
    for (size_t k = 0; good && k < sizeof members / sizeof *members; k++)
        good = lay_over(out, body, members[k]);
    good = good && set_temperature(out, body) && set_texts(out, r);
    if (good) return out;
    json_decref(out);
    syn_chat_refuse(fault, 500, NULL, NULL, "Out of memory for the request.");
    return NULL;
}

/* ---- the final call ---- */

static bool check_stop(const json_t *body, syn_chat_fault *fault)
{
    const json_t *stop = given(body, "stop");
    size_t k;
    json_t *item;
    bool good = !stop || json_is_string(stop) ||
                (json_is_array(stop) && json_array_size(stop) <= STOPS_MAX);
    json_array_foreach(stop, k, item) good = good && json_is_string(item);
    return good || wrong(fault, "stop", "It must be a text or an array of at most 16 texts.");
}

static bool check_format(const json_t *body, syn_chat_fault *fault)
{
    const json_t *format = given(body, "response_format");
    const char *type = text_of(format, "type");
    if (!format || strcmp(type, "text") == 0 || strcmp(type, "json_object") == 0 ||
        strcmp(type, "json_schema") == 0)
        return true;
    return wrong(fault, "response_format.type", "It must be text, json_object or json_schema.");
}

static bool check_tools(const json_t *body, syn_chat_fault *fault)
{
    const json_t *tools = given(body, "tools");
    size_t k;
    json_t *tool;
    if (!tools) return true;
    if (!json_is_array(tools)) return wrong(fault, "tools", "It must be an array of tools.");
    json_array_foreach(tools, k, tool)
    {
        char field[48];
        snprintf(field, sizeof field, "tools[%zu]", k);
        if (!json_is_object(tool)) return wrong(fault, field, "A tool must be an object.");
    }
    return true;
}

static bool check_tokens(const json_t *body, const char *name, syn_chat_fault *fault)
{
    const json_t *j = given(body, name);
    if (!j ||
        (json_is_integer(j) && json_integer_value(j) >= 1 && json_integer_value(j) <= TOKENS_MAX))
        return true;
    return wrong(fault, name, "It must be an integer from 1 to 1000000.");
}

bool syn_chat_final(const json_t *body, json_t **out, syn_chat_fault *fault)
{
    static const char *const members[] = {
        "max_tokens",  "max_completion_tokens", "stop", "response_format", "tools",
        "tool_choice", "parallel_tool_calls"};
    *out = NULL;
    if (!check_tokens(body, "max_tokens", fault) ||
        !check_tokens(body, "max_completion_tokens", fault) || !check_stop(body, fault) ||
        !check_format(body, fault) || !check_tools(body, fault))
        return false;
    json_t *chat = json_object();
    bool good = chat;
    for (size_t k = 0; good && k < sizeof members / sizeof *members; k++)
        good = lay_over(chat, body, members[k]);
    if (!good) {
        json_decref(chat);
        return syn_chat_refuse(fault, 500, NULL, NULL, "Out of memory for the request.");
    }
    if (json_object_size(chat) > 0)
        *out = chat;
    else
        json_decref(chat);
    return true;
}

void syn_chat_strip(json_t *body)
{
    static const char *const members[] = {"documents", "agents", "config", "caps", "sync_events"};
    for (size_t k = 0; k < sizeof members / sizeof *members; k++)
        (void)json_object_del(body, members[k]);
}
