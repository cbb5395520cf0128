#include "benchmarks/export_item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/licence.h"
#include "serve/store.h"
#include "serve/words.h"

enum {
    RECORD_QUESTION_BYTES = 300, /* what records of an evaluation keep of a question ... */
    RECORD_MESSAGE_BYTES = 400,  /* ... and of a message; a character is never cut */
    CHARACTER_BYTES = 4,
    NAMES_BYTES = 2048, /* of a team's models */
    ANSWER_BYTES = 4096 /* of answers that are compared in their normal form */
};

const char *syn_item_text(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));
    return text ? text : "";
}

double syn_item_real(const json_t *item, const char *name, double none)
{
    const json_t *value = json_object_get(item, name);
    return json_is_number(value) ? json_number_value(value) : none;
}

int64_t syn_item_int(const json_t *item, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(item, name));
}

bool syn_item_is(const json_t *item, const char *name)
{
    return json_is_true(json_object_get(item, name));
}

/* Members of a source may be missing or of another type: they become what stands for nothing. */

static json_t *text_of(const char *text)
{
    return json_string(text ? text : "");
}

static json_t *number_of(const json_t *from, const char *name)
{
    const json_t *value = json_object_get(from, name);
    return json_is_number(value) ? json_real(json_number_value(value)) : json_null();
}

/* The first of the two that says anything. */
static json_t *named(const char *said, const char *given)
{
    if (said && *said) return json_string(said);
    return json_string(given && *given ? given : "unknown");
}

/* What an agent is by `name`: "provider" or "model". Extractive agents are no model. */
static const char *agent_is(const json_t *agent, const char *name)
{
    const char *said = syn_item_text(agent, name);
    const bool extractive = strcmp(syn_item_text(agent, "provider"), "extractive") == 0;
    return *said || !extractive ? said : "extractive";
}

/* Adds it to a list of names, each once, between commas. */
static void add_name(char *list, size_t bytes, const char *name)
{
    const size_t n = strlen(list), length = strlen(name);
    for (const char *at = list; length > 0 && (at = strstr(at, name)); at += length) {
        const bool begins = at == list || at[-1] == ' ';
        if (begins && (at[length] == 0 || at[length] == ',')) return;
    }
    if (length > 0) snprintf(list + n, bytes - n, "%s%s", n ? ", " : "", name);
}

/* Providers and models of a team, that of the final answer first; left as it is where none is
 * named. */
static void team_names(json_t *item, const json_t *first, const json_t *agents)
{
    static const char *const names[] = {"provider", "model"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char list[NAMES_BYTES] = "";
        add_name(list, sizeof list, agent_is(first, names[k]));
        for (size_t i = 0; i < json_array_size(agents); i++)
            add_name(list, sizeof list, agent_is(json_array_get(agents, i), names[k]));
        if (*list) json_object_set_new(item, names[k], json_string(list));
    }
}

static bool was_cut(const char *text, size_t max)
{
    return strlen(text) + CHARACTER_BYTES > max;
}

/* agent and to: null for nobody, or for all, is 0. */
static json_t *dialogue_of(const json_t *from)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *e = json_array_get(from, i);
        json_array_append_new(list, json_pack("{s:I, s:I, s:I, s:s, s:s}", "round",
                                              (json_int_t)syn_item_int(e, "round"), "agent",
                                              (json_int_t)syn_item_int(e, "agent_id"), "to",
                                              (json_int_t)syn_item_int(e, "to"), "kind",
                                              syn_item_text(e, "message_type"), "text",
                                              syn_item_text(e, "message")));
    }
    return list;
}

/* ---- the store ---- */

static double rule_score(const json_t *reply)
{
    const double known[] = {
        syn_item_real(reply, "confidence", -1),
        syn_item_real(json_object_get(reply, "collaboration_metrics"), "consensus_score", -1),
        syn_item_real(reply, "sufficiency", -1)};
    double sum = 0;
    int count = 0;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (known[k] < 0 || known[k] > 1) continue;
        sum += known[k];
        count++;
    }
    return count ? sum / count : 0;
}

static bool same_answer(const char *a, const char *b)
{
    char x[ANSWER_BYTES], y[ANSWER_BYTES];
    syn_normal_form(a, x, sizeof x);
    syn_normal_form(b, y, sizeof y);
    return strcmp(x, y) == 0;
}

/* Agents that say the same in short support one answer together; the first one's words stand. */
static json_t *others_of(const json_t *reply)
{
    const json_t *responses = json_object_get(reply, "agent_responses");
    const char *final = syn_item_text(reply, "short_answer");
    json_t *list = json_array();
    for (size_t i = 0; *final && i < json_array_size(responses); i++) {
        const json_t *r = json_array_get(responses, i);
        const char *brief = syn_item_text(r, "short_answer");
        double share = 0;
        bool seen = false;
        if (!*brief || !*syn_item_text(r, "response") || same_answer(brief, final)) continue;
        for (size_t k = 0; k < json_array_size(responses); k++) {
            const json_t *other = json_array_get(responses, k);
            if (!same_answer(brief, syn_item_text(other, "short_answer"))) continue;
            seen |= k < i;
            share += syn_item_real(other, "contribution_score", 0);
        }
        if (!seen)
            json_array_append_new(list,
                                  json_pack("{s:s, s:f}", "answer", syn_item_text(r, "response"),
                                            "share", share > 0 ? share : 0));
    }
    return list;
}

static bool stopped_whole(const char *stopped_by)
{
    return strcmp(stopped_by, "cap") != 0 && strcmp(stopped_by, "deadline") != 0;
}

/* A team's reply, that of POST /api/v1/collaborate. */
static void team_read(json_t *item, const json_t *reply)
{
    const json_t *metrics = json_object_get(reply, "collaboration_metrics");
    const json_t *usage = json_object_get(reply, "usage");
    const char *stopped_by = syn_item_text(reply, "stopped_by");
    team_names(item, json_object_get(reply, "answered_by"),
               json_object_get(reply, "agent_responses"));
    json_object_set_new(item, "policy", text_of(syn_item_text(reply, "policy")));
    json_object_set_new(item, "mode", text_of(syn_item_text(reply, "mode")));
    json_object_set_new(item, "short_answer", text_of(syn_item_text(reply, "short_answer")));
    json_object_set_new(item, "stopped_by", text_of(stopped_by));
    json_object_set_new(item, "session", text_of(syn_item_text(reply, "session_id")));
    json_object_set_new(item, "confidence", number_of(reply, "confidence"));
    json_object_set_new(item, "score", json_real(rule_score(reply)));
    json_object_set_new(item, "cost_usd", number_of(usage, "cost_usd"));
    json_object_set_new(item, "messages", json_integer(syn_item_int(metrics, "total_messages")));
    json_object_set_new(item, "tokens", json_integer(syn_item_int(usage, "total_tokens")));
    json_object_set_new(item, "abstained", json_boolean(syn_item_is(reply, "abstained")));
    json_object_set_new(
        item, "complete",
        json_boolean(stopped_whole(stopped_by) && !syn_item_is(reply, "shortened")));
    json_object_set_new(item, "dialogue", dialogue_of(json_object_get(reply, "dialogue_history")));
    json_object_set_new(item, "others", others_of(reply));
    if (json_array_size(json_object_get(reply, "agents_failed")))
        json_object_set_new(item, "error", json_string("an agent failed"));
}

/* "provider:model", by which the direct path is asked. */
static void model_read(json_t *item, const char *name, const syn_item_origin *origin)
{
    const char *colon = strchr(name, ':');
    char provider[64];
    if (!colon || colon == name || (size_t)(colon - name) >= sizeof provider) {
        json_object_set_new(item, "model", named(name, origin->model));
        return;
    }
    snprintf(provider, sizeof provider, "%.*s", (int)(colon - name), name);
    json_object_set_new(item, "provider", named(provider, NULL));
    json_object_set_new(item, "model", named(colon + 1, origin->model));
}

/* A chat completion of one model. */
static void chat_read(json_t *item, const json_t *reply, const syn_item_origin *origin)
{
    const json_t *choice = json_array_get(json_object_get(reply, "choices"), 0);
    const json_t *usage = json_object_get(reply, "usage");
    const char *finish = syn_item_text(choice, "finish_reason");
    json_object_set_new(item, "policy", json_string("direct"));
    model_read(item, syn_item_text(reply, "model"), origin);
    json_object_set_new(item, "stopped_by", text_of(finish));
    json_object_set_new(item, "complete", json_boolean(strcmp(finish, "stop") == 0));
    json_object_set_new(item, "tokens", json_integer(syn_item_int(usage, "total_tokens")));
}

static json_t *item_make(const syn_item_origin *origin)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:i, s:i, s:b, "
        "s:b, s:b, s:b, s:[], s:[], s:s}",
        "session", "", "policy", "", "mode", "", "short_answer", "", "provider",
        named(NULL, origin->provider), "model", named(NULL, origin->model), "licence",
        named(NULL, origin->licence), "stopped_by", "", "error", "", "question", "", "answer", "",
        "confidence", "score", "cost_usd", "messages", 0, "tokens", 0, "readable", true, "complete",
        false, "abstained", false, "dialogue_complete", true, "dialogue", "others", "task_type",
        "");
}

syn_status syn_item_of_history(const syn_db_record *r, const syn_item_origin *origin, json_t **out)
{
    json_t *reply = json_loads(r->reply ? r->reply : "", 0, NULL);
    json_t *item = item_make(origin);
    *out = item;
    if (!item) {
        json_decref(reply);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a record of the history");
    }
    json_object_set_new(item, "id", text_of(r->id));
    json_object_set_new(item, "source", json_string("history"));
    json_object_set_new(item, "task_type", text_of(r->task_type));
    json_object_set_new(item, "question", text_of(r->query));
    json_object_set_new(item, "answer", text_of(r->final_answer));
    json_object_set_new(item, "agents", json_integer(r->num_agents));
    json_object_set_new(item, "rounds", json_integer(r->num_rounds));
    json_object_set_new(item, "created_ms", json_integer(r->created_ms));
    json_object_set_new(item, "seconds", json_real(r->execution_time_s));
    if (json_object_get(reply, "collaboration_metrics"))
        team_read(item, reply);
    else if (json_object_get(reply, "choices"))
        chat_read(item, reply, origin);
    else
        json_object_set_new(item, "readable", json_false());
    json_decref(reply);
    return SYN_OK;
}

/* ---- records of an evaluation ---- */

static bool dialogue_is_whole(const json_t *dialogue)
{
    for (size_t i = 0; i < json_array_size(dialogue); i++)
        if (was_cut(syn_item_text(json_array_get(dialogue, i), "text"), RECORD_MESSAGE_BYTES))
            return false;
    return true;
}

/* One question is asked under several policies: its id alone would come back. */
static json_t *record_id(const json_t *r)
{
    return json_sprintf("%s/%s/%s/%lld", syn_item_text(r, "benchmark"), syn_item_text(r, "id"),
                        syn_item_text(r, "policy"), (long long)syn_item_int(r, "num_agents"));
}

syn_status syn_item_of_record(const json_t *r, const syn_item_origin *origin, json_t **out)
{
    json_t *item = item_make(origin);
    *out = item;
    if (!item) return syn_fail(SYN_ERR_MEMORY, "out of memory for a record");
    const char *benchmark = syn_item_text(r, "benchmark");
    const char *stopped_by = syn_item_text(r, "stopped_by");
    json_object_set_new(item, "id", record_id(r));
    json_object_set_new(item, "source", text_of(benchmark));
    json_object_set_new(item, "licence", named(origin->licence, syn_licence_of(benchmark)));
    team_names(item, NULL, json_object_get(r, "agents"));
    json_object_set_new(item, "readable", json_boolean(*benchmark && *syn_item_text(r, "id")));
    static const char *const texts[] = {"question", "answer", "short_answer", "policy", "error"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        json_object_set_new(item, texts[k], text_of(syn_item_text(r, texts[k])));
    static const char *const numbers[] = {"confidence", "score", "cost_usd"};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        json_object_set_new(item, numbers[k], number_of(r, numbers[k]));
    json_object_set_new(item, "seconds", number_of(r, "latency_s"));
    json_object_set_new(item, "agents", json_integer(syn_item_int(r, "num_agents")));
    json_object_set_new(item, "rounds", json_integer((json_int_t)syn_item_real(r, "rounds", 0)));
    json_object_set_new(item, "messages",
                        json_integer((json_int_t)syn_item_real(r, "messages", 0)));
    json_object_set_new(
        item, "tokens",
        json_integer(syn_item_int(r, "prompt_tokens") + syn_item_int(r, "completion_tokens")));
    json_object_set_new(item, "created_ms", json_integer(0));
    json_object_set_new(item, "stopped_by", text_of(stopped_by));
    json_object_set_new(item, "abstained", json_boolean(syn_item_is(r, "abstained")));
    json_object_set_new(
        item, "complete",
        json_boolean(stopped_whole(stopped_by) &&
                     !was_cut(syn_item_text(r, "question"), RECORD_QUESTION_BYTES)));
    json_t *dialogue = dialogue_of(json_object_get(r, "dialogue"));
    json_object_set_new(item, "dialogue_complete", json_boolean(dialogue_is_whole(dialogue)));
    json_object_set_new(item, "dialogue", dialogue);
    return SYN_OK;
}
