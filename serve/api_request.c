#include "serve/api_request.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_BYTES_MAX = 64,
    ID_BYTES_MAX = 256,
    ROLE_BYTES_MAX = 1024,
    TITLE_BYTES_MAX = 1024,
    MODEL_BYTES_MAX = 256,
    TEXT_BYTES_MAX = 1 << 20
};

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

const char *const syn_task_types[SYN_TASK_TYPES] = {"qa", "analysis", "explanation", "reasoning"};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void read_config(const syn_fields *body, syn_round_config *c)
{
    static const char *const known[] = {"temperature",           "enable_cognitive_gaps",
                                        "convergence_threshold", "min_rounds",
                                        "max_context_length",    "ask"};
    static const char *const asked[] = {"all", "asker"};
    syn_fields f;
    const json_t *config = syn_field(body, "config");
    if (!config || !syn_fields_begin(&f, config, "config", known, COUNT(known), body->fault))
        return;
    c->temperature = syn_field_real(&f, "temperature", 0, 2, c->temperature);
    c->cognitive_gaps = syn_field_bool(&f, "enable_cognitive_gaps", c->cognitive_gaps);
    c->ask = (syn_round_ask)syn_field_choice(&f, "ask", asked, COUNT(asked), SYN_ASK_ALL);
    c->convergence_threshold =
        syn_field_real(&f, "convergence_threshold", 0, 1, c->convergence_threshold);
    c->rounds_min = (int)syn_field_int(&f, "min_rounds", 1, c->rounds_max, c->rounds_min);
    c->context_bytes_max =
        syn_field_int(&f, "max_context_length", 1, TEXT_BYTES_MAX, c->context_bytes_max);
}

static void read_caps(const syn_fields *body, syn_round_config *c)
{
    static const char *const known[] = {"messages", "tokens", "cost_usd"};
    syn_fields f;
    const json_t *caps = syn_field(body, "caps");
    if (!caps || !syn_fields_begin(&f, caps, "caps", known, COUNT(known), body->fault)) return;
    c->messages_cap = (int)syn_field_int(&f, "messages", 1, 1000000, 0);
    c->tokens_cap = syn_field_int(&f, "tokens", 1, 1000000000000, 0);
    c->cost_cap_usd = syn_field_real(&f, "cost_usd", 1e-9, 1e6, 0);
}

/* ---- agents ---- */

/* A name stands in the first line of a prompt. */
static void check_name(const syn_fields *f, const char *name)
{
    for (const unsigned char *p = (const unsigned char *)name; p && *p; p++)
        if (*p < ' ' || *p == 127) syn_field_wrong(f, "name", "has a control character");
}

static void choose_provider(const syn_fields *f, const syn_providers *providers,
                            const syn_provider *fallback, syn_drive_agent *out)
{
    const char *provider = syn_field_text(f, "provider", NAME_BYTES_MAX);
    const char *model = syn_field_text(f, "model", MODEL_BYTES_MAX);
    *out = (syn_drive_agent){.provider = fallback};
    if (provider) {
        out->provider = syn_providers_find(providers, provider);
        out->model = model;
        if (!out->provider)
            syn_field_wrong(f, "provider", "is not configured here");
        else if (!out->provider->ready)
            syn_field_wrong(f, "provider", "has no key here");
    } else if (model &&
               !syn_providers_resolve(providers, model, fallback, &out->provider, &out->model)) {
        syn_field_wrong(f, "model", "names a provider that has no key here");
    }
    if (syn_field_failed(f->fault)) return;
    const bool extractive = out->provider->dialect == SYN_DIALECT_EXTRACTIVE;
    if (out->provider->dialect == SYN_DIALECT_COHERE)
        syn_field_wrong(f, provider ? "provider" : "model", "has embeddings alone");
    else if (extractive && out->model && *out->model)
        syn_field_wrong(f, "model", "extractive agents have none; name a configured provider");
    else if (!extractive && (!out->model || !*out->model) && !*out->provider->model)
        syn_field_wrong(f, "model", "is required for this provider");
    if (out->model && !*out->model) out->model = NULL;
}

static void read_agents(const syn_fields *body, const syn_providers *providers,
                        const syn_provider *fallback, syn_api_request *r)
{
    static const char *const known[] = {"name", "provider", "model", "role", "context"};
    const json_t *list = syn_field_list(body, "agents", SYN_AGENTS_MAX);
    for (int i = 0; i < r->round.agents; i++) {
        syn_fields f;
        syn_round_agent *agent = &r->round.agent[i];
        r->agent[i] = (syn_drive_agent){.provider = fallback};
        if (!list || !syn_fields_element(&f, body, "agents", i, known, COUNT(known))) continue;
        agent->name = syn_field_text(&f, "name", NAME_BYTES_MAX);
        agent->role = syn_field_text(&f, "role", ROLE_BYTES_MAX);
        agent->context = syn_field_text(&f, "context", SYN_AGENT_CONTEXT_BYTES_MAX);
        check_name(&f, agent->name);
        choose_provider(&f, providers, fallback, &r->agent[i]);
    }
}

/* num_agents, or else the length of `agents`, or else the default. */
static int team_size(const syn_fields *f, int64_t max)
{
    const json_t *list = syn_field_list(f, "agents", SYN_AGENTS_MAX);
    const bool given = syn_field(f, "num_agents") != NULL;
    const int64_t listed = (int64_t)json_array_size(list);
    const int64_t n = syn_field_int(f, "num_agents", 2, max, list ? listed : smaller(3, max));
    if (list && given && listed != n)
        syn_field_wrong(f, "agents", "has %lld elements, and num_agents is %lld", (long long)listed,
                        (long long)n);
    else if (list && (listed < 2 || listed > max))
        syn_field_wrong(f, "agents", "must have 2 to %lld elements", (long long)max);
    return (int)n;
}

/* ---- documents ---- */

static uint32_t read_holders(const syn_fields *f, int agents)
{
    const json_t *list = syn_field_list(f, "agents", SYN_AGENTS_MAX);
    uint32_t mask = 0;
    if (!list) return 0;
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *agent = json_array_get(list, k);
        const int64_t i = json_is_integer(agent) ? json_integer_value(agent) : 0;
        if (i < 1 || i > agents)
            syn_field_wrong(f, "agents", "must hold numbers of agents, 1 to %d", agents);
        else
            mask |= 1u << (i - 1);
    }
    if (!mask) syn_field_wrong(f, "agents", "is empty; leave it out to have documents dealt");
    return mask;
}

static void read_documents(const syn_fields *body, syn_api_request *r)
{
    static const char *const known[] = {"id", "title", "text", "agents"};
    const json_t *list = syn_field_list(body, "documents", SYN_ROUND_DOCUMENTS_MAX);
    const int count = (int)json_array_size(list);
    /* Room for a context per agent and the common one. */
    r->documents = calloc((size_t)count + SYN_AGENTS_MAX + 1, sizeof *r->documents);
    if (!r->documents) {
        syn_field_wrong(body, "documents", "take more memory than there is");
        return;
    }
    for (int k = 0; k < count; k++) {
        syn_fields f;
        syn_round_document *d = &r->documents[k];
        if (!syn_fields_element(&f, body, "documents", k, known, COUNT(known))) return;
        d->id = syn_field_text(&f, "id", ID_BYTES_MAX);
        d->title = syn_field_text(&f, "title", TITLE_BYTES_MAX);
        d->text = syn_field_needed_text(&f, "text", TEXT_BYTES_MAX);
        d->agents = read_holders(&f, r->round.agents);
    }
    r->round.documents = r->documents;
    r->round.document_count = count;
}

static bool has_words(const char *text)
{
    return text && text[strspn(text, " \t\r\n")];
}

/* They read nothing but documents. */
static void serve_extractive(const syn_fields *body, syn_api_request *r)
{
    syn_round_config *c = &r->round;
    for (int i = 0; i < c->agents; i++)
        if (r->agent[i].provider->dialect != SYN_DIALECT_EXTRACTIVE) return;
    if (c->document_count) return;
    if (has_words(c->context))
        r->documents[c->document_count++] = (syn_round_document){
            .id = "context", .text = c->context, .agents = (1u << c->agents) - 1};
    for (int i = 0; i < c->agents; i++)
        if (has_words(c->agent[i].context))
            r->documents[c->document_count++] = (syn_round_document){
                .id = "context", .text = c->agent[i].context, .agents = 1u << i};
    if (!c->document_count)
        syn_field_wrong(body, "documents",
                        "are required: extractive agents answer with words of documents or a "
                        "context. Either send them, or configure a provider of language models "
                        "(a key such as OPENAI_API_KEY, or a running Ollama)");
}

/* ---- the whole ---- */

static const char *read_session(const syn_fields *f)
{
    const char *id = syn_field_text(f, "session_id", SYN_SESSION_BYTES_MAX);
    if (!id) return NULL;
    const size_t bytes = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789._:-");
    if (!*id || id[bytes])
        syn_field_wrong(f, "session_id", "may hold letters, digits and . _ : - alone");
    return id;
}

static void choose_aggregator(const syn_settings *s, const syn_providers *providers,
                              const syn_provider *fallback, syn_api_request *r)
{
    syn_drive_agent a = {0};
    if (!s->aggregator_model || !*s->aggregator_model) return;
    if (!syn_providers_resolve(providers, s->aggregator_model, fallback, &a.provider, &a.model))
        return;
    if (a.provider->dialect == SYN_DIALECT_EXTRACTIVE) a.model = NULL;
    r->aggregator = a;
}

bool syn_api_request_read(const json_t *body, const syn_settings *settings,
                          const syn_providers *providers, const syn_provider *provider,
                          syn_api_request *r, syn_field_fault *fault)
{
    static const char *const known[] = {"query",   "num_agents", "max_rounds", "task_type",
                                        "context", "config",     "agents",     "documents",
                                        "caps",    "session_id"};
    syn_fields f;
    syn_round_config *c = &r->round;
    memset(r, 0, sizeof *r);
    fault->message[0] = 0;
    if (!syn_fields_begin(&f, body, "", known, COUNT(known), fault)) return false;
    syn_round_config_defaults(c);
    c->timeout_s = settings->timeout_s;
    c->reply_tokens_max = settings->reply_tokens_max;
    c->question = syn_field_needed_text(&f, "query", SYN_ROUND_QUESTION_BYTES_MAX);
    c->agents = team_size(&f, smaller(settings->agents_max, SYN_AGENTS_MAX));
    const int64_t rounds = smaller(settings->rounds_max, SYN_ROUND_MAX);
    c->rounds_max = (int)syn_field_int(&f, "max_rounds", 1, rounds, smaller(5, rounds));
    c->task = (syn_task_type)syn_field_choice(&f, "task_type", syn_task_types, SYN_TASK_TYPES,
                                              SYN_TASK_QA);
    c->context = syn_field_text(&f, "context", TEXT_BYTES_MAX);
    r->session_id = read_session(&f);
    read_config(&f, c);
    read_caps(&f, c);
    if (!syn_field_failed(fault)) read_agents(&f, providers, provider, r);
    if (!syn_field_failed(fault)) read_documents(&f, r);
    if (!syn_field_failed(fault)) serve_extractive(&f, r);
    if (!syn_field_failed(fault) && c->ask == SYN_ASK_ASKER && c->document_count == 0)
        syn_field_wrong(&f, "config.ask", "is asker, which needs documents that can move to it");
    if (!syn_field_failed(fault)) choose_aggregator(settings, providers, provider, r);
    if (syn_field_failed(fault)) syn_api_request_free(r);
    return !syn_field_failed(fault);
}

void syn_api_request_free(syn_api_request *r)
{
    free(r->documents);
    r->documents = NULL;
}
