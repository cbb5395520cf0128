#include "serve/cmd_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/base/options.h"
#include "kernels/base/progress.h"
#include "serve/ask_print.h"
#include "serve/decider.h"
#include "serve/documents.h"
#include "serve/drive.h"
#include "serve/round_json.h"

typedef struct ask_options {
    const char *question, *documents, *context, *provider, *base_url, *model, *api_key_env;
    const char *checkpoint, *task;
    int64_t agents, rounds, min_rounds, message_cap, token_cap, reply_tokens, seed;
    double timeout_s, temperature, threshold;
    bool json, gaps, insecure;
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
    {"provider", SYN_OPTION_CHOICE, FIELD(provider), "extractive", 0, 0, "extractive|openai",
     "Who the agents are: extractive agents answer with words of their documents and need no key; "
     "openai is any OpenAI-compatible endpoint.",
     NULL},
    {"base-url", SYN_OPTION_TEXT, FIELD(base_url), "https://api.openai.com/v1", 0, 0, "URL",
     "Where the endpoint is; plain http for this machine only.", NULL},
    {"model", SYN_OPTION_TEXT, FIELD(model), "gpt-4o-mini", 0, 0, "NAME", "The model.",
     "PRIMARY_MODEL"},
    {"api-key-env", SYN_OPTION_TEXT, FIELD(api_key_env), "OPENAI_API_KEY", 0, 0, "NAME",
     "The environment variable that holds the key.", NULL},
    {"insecure", SYN_OPTION_BOOL, FIELD(insecure), NULL, 0, 0, NULL,
     "Allow plain http to another machine, without a key.", NULL},
    {"checkpoint", SYN_OPTION_TEXT, FIELD(checkpoint), NULL, 0, 0, "DIR",
     "The trained networks that decide; default: CHECKPOINT_DIR (or best/ in it), else "
     "runs/demo/trained, else a cosine-threshold rule.",
     NULL},
    {"task", SYN_OPTION_CHOICE, FIELD(task), "qa", 0, 0, "qa|analysis|explanation|reasoning",
     "What kind of answer is wanted.", NULL},
    {"rounds", SYN_OPTION_INT, FIELD(rounds), "5", 1, SYN_ROUND_MAX, "R", "Rounds at most.", NULL},
    {"min-rounds", SYN_OPTION_INT, FIELD(min_rounds), "0", 0, SYN_ROUND_MAX, "R",
     "Rounds at least; 0 means 2, or --rounds where that is less.", NULL},
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
    {"reply-tokens", SYN_OPTION_INT, FIELD(reply_tokens), "1024", 1, 1e6, "N",
     "Tokens of one reply at most.", NULL},
    {"seed", SYN_OPTION_INT, FIELD(seed), "0", 0, 1e15, "S", "Of the waits between retries.", NULL},
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
        "      --base-url http://localhost:11434/v1 --model llama3.2 --json",
    .options = options,
    .option_count = (int)(sizeof options / sizeof *options)};

static bool openai(const ask_options *o)
{
    return strcmp(o->provider, "openai") == 0;
}

static bool local(const char *url)
{
    return strncmp(url, "http://localhost", 16) == 0 || strncmp(url, "http://127.", 11) == 0 ||
           strncmp(url, "http://[::1]", 12) == 0;
}

/* What must be given before anything is read or called. */
static syn_status check(const ask_options *o, const char *key)
{
    if (!o->question || !o->question[strspn(o->question, " \t\r\n")])
        return syn_fail(SYN_ERR_USAGE, "--question is missing");
    if (!openai(o) && !o->documents)
        return syn_fail(
            SYN_ERR_USAGE,
            "extractive agents need --documents FILE to answer from; or give --provider "
            "openai and a key in %s",
            o->api_key_env);
    if (openai(o) && !*key && !local(o->base_url))
        return syn_fail(SYN_ERR_USAGE,
                        "--provider openai needs a key in the environment variable %s; extractive "
                        "agents (--documents FILE) need none",
                        o->api_key_env);
    if (o->min_rounds > o->rounds)
        return syn_fail(SYN_ERR_USAGE, "--min-rounds is larger than --rounds");
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
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
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
    c->temperature = o->temperature;
    c->convergence_threshold = o->threshold;
    c->reply_tokens_max = o->reply_tokens;
    c->messages_cap = (int)o->message_cap;
    c->tokens_cap = o->token_cap;
    c->timeout_s = o->timeout_s;
    c->started_unix_s = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    c->aggregator_is_model = openai(o);
    c->aggregator.price_known = !openai(o);
    for (int i = 0; i < c->agents; i++) c->agent[i].price_known = !openai(o);
}

static syn_status print_json(const syn_round_reply *reply)
{
    json_t *j = syn_reply_json(reply);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(j);
    return text ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the reply");
}

static syn_status collaborate(const ask_options *o, const syn_documents *documents,
                              const syn_decider *decider, syn_llm *llm)
{
    syn_status st;
    syn_round *round = NULL;
    syn_round_config config;
    fill_config(o, documents, &config);
    SYN_TRY(syn_round_create(&config, decider, syn_clock_s(), &round));
    SYN_TRY(syn_round_drive(round, llm, o->json ? NULL : syn_ask_print_notice, NULL));
    if (o->json)
        st = print_json(syn_round_result(round));
    else
        syn_ask_print_reply(syn_round_result(round));
done:
    syn_round_destroy(round);
    return st;
}

static syn_status ask(const ask_options *o)
{
    syn_status st;
    syn_documents documents = {0};
    syn_decider decider = {0};
    syn_llm *llm = NULL;
    const char *key = getenv(o->api_key_env);
    SYN_TRY(check(o, key ? key : ""));
    if (o->documents) SYN_TRY(syn_documents_load(o->documents, (int)o->agents, &documents));
    char path[4096];
    SYN_TRY(syn_decider_open(o->checkpoint ? o->checkpoint : syn_decider_default(path, sizeof path),
                             &decider));
    if (openai(o))
        SYN_TRY(syn_llm_create(&(syn_llm_config){.base_url = o->base_url,
                                                 .model = o->model,
                                                 .api_key = key,
                                                 .insecure = o->insecure,
                                                 .seed = (uint64_t)o->seed},
                               &llm));
    st = collaborate(o, &documents, &decider, llm);
done:
    syn_llm_destroy(llm);
    syn_decider_close(&decider);
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
