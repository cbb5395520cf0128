#include "serve/cmd_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/options.h"
#include "kernels/base/progress.h"
#include "serve/agent_options.h"
#include "serve/ask_print.h"
#include "serve/ask_remote.h"
#include "serve/decider.h"
#include "serve/documents.h"
#include "serve/drive.h"
#include "serve/json_text.h"
#include "serve/round_json.h"

typedef struct ask_options {
    syn_agent_options who; /* first: shared options */
    const char *question, *documents, *context, *url, *checkpoint, *task, *ask;
    int64_t agents, rounds, min_rounds, message_cap, token_cap, reply_tokens, seed;
    double timeout_s, temperature, threshold;
    bool json, gaps;
} ask_options;

#define FIELD(name) offsetof(ask_options, name)
static const syn_option options[] = {
    {"question", SYN_OPTION_TEXT, FIELD(question), NULL, 0, 0, "TEXT", "The question.", NULL},
    {"documents", SYN_OPTION_TEXT, FIELD(documents), NULL, 0, 0, "FILE",
     "Evidence: JSON [{id, title, text, agents: [1, 3]}], one list per agent, or plain text with "
     "documents between empty lines.",
     NULL},
    {"context", SYN_OPTION_TEXT, FIELD(context), NULL, 0, 0, "TEXT",
     "Background that every agent is told.", NULL},
    {"agents", SYN_OPTION_INT, FIELD(agents), "3", 2, SYN_AGENTS_MAX, "N",
     "Agents in the team; agent 1 writes the answer.", NULL},
    SYN_AGENT_OPTIONS,
    {"url", SYN_OPTION_TEXT, FIELD(url), NULL, 0, 0, "URL",
     "Ask a running service (syncog serve), with its networks, its providers and, without "
     "--provider, its agents; --api-key-env is then that of its key, SYNCOG_API_KEY.",
     NULL},
    {"checkpoint", SYN_OPTION_TEXT, FIELD(checkpoint), NULL, 0, 0, "DIR",
     "The trained networks that decide; default: CHECKPOINT_DIR (or best/ in it), else "
     "runs/demo/trained, else a cosine-threshold rule.",
     NULL},
    {"task", SYN_OPTION_CHOICE, FIELD(task), "qa", 0, 0, "qa|analysis|explanation|reasoning",
     "What kind of answer is wanted.", NULL},
    {"rounds", SYN_OPTION_INT, FIELD(rounds), "5", 1, SYN_ROUND_MAX, "R", "Rounds at most.", NULL},
    {"min-rounds", SYN_OPTION_INT, FIELD(min_rounds), "0", 0, SYN_ROUND_MAX, "R",
     "Rounds at least; 0 means 2, or --rounds where that is less.", NULL},
    {"ask", SYN_OPTION_CHOICE, FIELD(ask), "all", 0, 0, "all|asker",
     "Who is asked: every agent, round by round, or, once the evidence has moved, agent 1 alone "
     "(needs --documents).",
     NULL},
    {"timeout", SYN_OPTION_REAL, FIELD(timeout_s), "300", 0.001, 86400, "SECONDS",
     "When the answers so far are aggregated.", "DEFAULT_TIMEOUT"},
    {"temperature", SYN_OPTION_REAL, FIELD(temperature), "0.7", 0, 2, "T",
     "Sampling temperature of the models.", NULL},
    {"convergence-threshold", SYN_OPTION_REAL, FIELD(threshold), "0.85", 0, 1, "P",
     "Sufficiency, or consensus without documents, at which the team may stop.", NULL},
    {"gaps", SYN_OPTION_BOOL, FIELD(gaps), "true", 0, 0, NULL,
     "Decide who tells whom what; --no-gaps lets everybody broadcast everything, to compare.",
     NULL},
    {"message-cap", SYN_OPTION_INT, FIELD(message_cap), "0", 0, 1e6, "N",
     "Messages at most; 0 for no cap.", NULL},
    {"token-cap", SYN_OPTION_INT, FIELD(token_cap), "0", 0, 1e12, "N",
     "Tokens at most, reserved before each call; 0 for no cap.", NULL},
    {"reply-tokens", SYN_OPTION_INT, FIELD(reply_tokens), "0", 0, 1e6, "N",
     "Tokens of one reply at most, 0 for 1024; not with --url.", NULL},
    {"seed", SYN_OPTION_INT, FIELD(seed), "0", 0, 1e15, "S",
     "Of the waits between retries; not with --url.", NULL},
    {"json", SYN_OPTION_BOOL, FIELD(json), NULL, 0, 0, NULL,
     "Print one JSON object, the reply of the service's collaborate.", NULL},
};

static const syn_command command = {
    .name = "ask",
    .summary = "let a team of agents answer one question",
    .details =
        "The documents are dealt to the agents; nobody has all of them. A decider then chooses, "
        "message by message, who tells whom what, and when the team knows enough.\n\n"
        "  syncog ask --question 'Where was the director of Amber Tide born?' --documents "
        "docs.txt\n"
        "  syncog ask --question 'Why is the sky blue?' --provider openai --model gpt-4o-mini\n"
        "  syncog ask --question Q --documents d.json --provider openai \\\n"
        "      --base-url http://localhost:11434/v1 --model llama3.2 --json\n"
        "  syncog ask --question Q --documents d.json --url http://127.0.0.1:8000",
    .options = options,
    .option_count = (int)(sizeof options / sizeof *options)};

/* Of the service of --url. */
static const char *service_key(const ask_options *o)
{
    const char *key = getenv(o->who.api_key_env ? o->who.api_key_env : "SYNCOG_API_KEY");
    return key ? key : "";
}

/* What must be given before anything is read or called. */
static syn_status check(const ask_options *o)
{
    if (!o->question || !o->question[strspn(o->question, " \t\r\n")])
        return syn_fail(SYN_ERR_USAGE, "--question is missing");
    if (o->min_rounds > o->rounds)
        return syn_fail(SYN_ERR_USAGE, "--min-rounds is larger than --rounds");
    if (strcmp(o->ask, "asker") == 0 && !o->documents)
        return syn_fail(SYN_ERR_USAGE, "--ask asker needs --documents that can move to agent 1");
    if (o->url && (o->reply_tokens != 0 || o->seed != 0))
        return syn_fail(SYN_ERR_USAGE,
                        "--%s is not for --url: a service decides that for its calls itself",
                        o->seed != 0 ? "seed" : "reply-tokens");
    return SYN_OK;
}

static syn_status check_documents(const ask_options *o, const syn_agents *agents)
{
    if (agents->agent.provider->dialect == SYN_DIALECT_EXTRACTIVE && !o->documents)
        return syn_fail(SYN_ERR_USAGE,
                        "extractive agents need --documents FILE to answer from; or give "
                        "--provider openai and a key in the environment");
    return SYN_OK;
}

static syn_task_type task_of(const char *name)
{
    static const char *const names[] = {"qa", "analysis", "explanation", "reasoning"};
    for (int k = 0; k < 4; k++)
        if (strcmp(name, names[k]) == 0) return (syn_task_type)k;
    return SYN_TASK_QA;
}

static void fill_config(const ask_options *o, const syn_documents *documents, syn_round_config *c)
{
    syn_round_config_defaults(c);
    c->question = o->question;
    c->context = o->context;
    c->task = task_of(o->task);
    c->agents = (int)o->agents;
    c->rounds_max = (int)o->rounds;
    c->rounds_min = (int)o->min_rounds;
    c->documents = documents->list;
    c->document_count = documents->count;
    c->cognitive_gaps = o->gaps;
    c->ask = strcmp(o->ask, "asker") == 0 ? SYN_ASK_ASKER : SYN_ASK_ALL;
    c->temperature = o->temperature;
    c->convergence_threshold = o->threshold;
    if (o->reply_tokens != 0) c->reply_tokens_max = o->reply_tokens;
    c->messages_cap = (int)o->message_cap;
    c->tokens_cap = o->token_cap;
    c->timeout_s = o->timeout_s;
}

static void print_notice(void *context, const syn_notice *notice, const syn_round_reply *reply)
{
    (void)context;
    (void)reply;
    syn_ask_print_notice(notice);
}

typedef struct printed {
    bool json;
    syn_status st;
} printed;

static void print_reply(void *user, const syn_round_reply *reply)
{
    printed *p = user;
    if (!p->json) {
        syn_ask_print_reply(reply);
        return;
    }
    json_t *j = syn_reply_json(reply);
    char *text = j ? syn_json_text(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (text) puts(text);
    p->st = text ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the reply");
    free(text);
    json_decref(j);
}

static syn_status collaborate(const ask_options *o, const syn_documents *documents,
                              const syn_agents *agents, syn_deciders *deciders)
{
    syn_round_config config;
    printed p = {.json = o->json};
    fill_config(o, documents, &config);
    syn_drive_options drive = {.round = &config,
                               .deciders = deciders,
                               .providers = agents->providers,
                               .calibrations = agents->calibrations,
                               .seed = (uint64_t)o->seed,
                               .notice = o->json ? NULL : print_notice};
    for (int i = 0; i < config.agents; i++) drive.agent[i] = agents->agent;
    SYN_RETURN_IF(syn_drive_run(&drive, print_reply, &p));
    return p.st;
}

/* ---- a running service ---- */

static json_t *documents_json(const syn_documents *documents)
{
    json_t *list = json_array();
    for (int k = 0; k < documents->count; k++) {
        const syn_round_document *d = &documents->list[k];
        json_t *entry =
            json_pack("{s:s, s:s?, s:s?}", "text", d->text, "id", d->id, "title", d->title);
        json_t *agents = json_array();
        for (int i = 0; i < SYN_AGENTS_MAX; i++)
            if (d->agents >> i & 1) json_array_append_new(agents, json_integer(i + 1));
        if (d->agents) json_object_set(entry, "agents", agents);
        json_decref(agents);
        if (!d->id) json_object_del(entry, "id");
        if (!d->title) json_object_del(entry, "title");
        json_array_append_new(list, entry);
    }
    return list;
}

/* The body of POST /api/v1/collaborate. */
static json_t *body_json(const ask_options *o, const syn_documents *documents)
{
    json_t *body =
        json_pack("{s:s, s:I, s:I, s:s, s:{s:f, s:b, s:f}}", "query", o->question, "num_agents",
                  (json_int_t)o->agents, "max_rounds", (json_int_t)o->rounds, "task_type", o->task,
                  "config", "temperature", o->temperature, "enable_cognitive_gaps", o->gaps,
                  "convergence_threshold", o->threshold);
    json_t *caps = json_object(), *config = json_object_get(body, "config");
    if (o->message_cap) json_object_set_new(caps, "messages", json_integer(o->message_cap));
    if (o->token_cap) json_object_set_new(caps, "tokens", json_integer(o->token_cap));
    if (json_object_size(caps) > 0) json_object_set(body, "caps", caps);
    json_decref(caps);
    if (strcmp(o->ask, "all") != 0) json_object_set_new(config, "ask", json_string(o->ask));
    if (o->min_rounds) json_object_set_new(config, "min_rounds", json_integer(o->min_rounds));
    if (o->context) json_object_set_new(body, "context", json_string(o->context));
    if (documents->count > 0) json_object_set_new(body, "documents", documents_json(documents));
    if (!o->who.provider) return body;
    json_t *agents = json_array();
    for (int i = 0; i < (int)o->agents; i++) {
        json_t *agent = json_pack("{s:s}", "provider", o->who.provider);
        if (o->who.model) json_object_set_new(agent, "model", json_string(o->who.model));
        json_array_append_new(agents, agent);
    }
    json_object_set_new(body, "agents", agents);
    return body;
}

static syn_status ask_there(const ask_options *o)
{
    syn_documents documents = {0};
    if (o->documents) SYN_RETURN_IF(syn_documents_load(o->documents, (int)o->agents, &documents));
    json_t *body = body_json(o, &documents);
    const syn_remote remote = {.url = o->url,
                               .key = service_key(o),
                               .insecure = o->who.insecure,
                               .timeout_s = o->timeout_s + 60};
    syn_status st = body ? syn_ask_remote(&remote, body, o->json)
                         : syn_fail(SYN_ERR_INVALID, "--question or --context is not UTF-8");
    json_decref(body);
    syn_documents_free(&documents);
    return st;
}

/* ---- here ---- */

static syn_status ask(const ask_options *o)
{
    syn_status st;
    syn_documents documents = {0};
    syn_agents agents = {0};
    syn_deciders *deciders = NULL;
    char path[4096];
    syn_scorer_queue_options queue = SYN_SCORER_QUEUE_DEFAULT;
    queue.scorer = (syn_scorer_options){1, 1, 1};
    SYN_RETURN_IF(check(o));
    if (o->url) return ask_there(o);
    SYN_TRY(syn_agents_open(&o->who, false, &agents));
    SYN_TRY(check_documents(o, &agents));
    if (o->documents) SYN_TRY(syn_documents_load(o->documents, (int)o->agents, &documents));
    const char *checkpoint = o->checkpoint ? o->checkpoint : syn_decider_default(path, sizeof path);
    SYN_TRY(syn_deciders_open(checkpoint, &queue, &deciders));
    st = collaborate(o, &documents, &agents, deciders);
done:
    syn_deciders_close(deciders);
    syn_agents_close(&agents);
    syn_documents_free(&documents);
    return st;
}

int syn_cmd_ask(int argc, char **argv)
{
    ask_options o;
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, NULL, &done);
    if (st == SYN_OK && !done) st = ask(&o);
    return syn_exit_code(st);
}
