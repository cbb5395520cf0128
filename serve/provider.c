#include "serve/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/llm_url.h"
#include "serve/provider_internal.h"

static const struct {
    const char *name, *base_url, *model, *key_env;
    syn_dialect dialect;
} known[] = {
    {"openrouter", "https://openrouter.ai/api/v1", "openai/gpt-4o-mini", "OPENROUTER_API_KEY",
     SYN_DIALECT_OPENAI},
    {"openai", "https://api.openai.com/v1", "gpt-4o-mini", "OPENAI_API_KEY", SYN_DIALECT_OPENAI},
    {"anthropic", "https://api.anthropic.com/v1", "claude-haiku-4-5", "ANTHROPIC_API_KEY",
     SYN_DIALECT_ANTHROPIC},
    {"deepseek", "https://api.deepseek.com", "deepseek-chat", "DEEPSEEK_API_KEY",
     SYN_DIALECT_OPENAI},
    {"google", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash",
     "GOOGLE_API_KEY", SYN_DIALECT_OPENAI},
    {"kimi", "https://api.moonshot.ai/v1", "kimi-latest", "KIMI_API_KEY", SYN_DIALECT_OPENAI},
    {"cohere", "https://api.cohere.com/v2", "embed-v4.0", "COHERE_API_KEY", SYN_DIALECT_COHERE},
    {"ollama", "http://127.0.0.1:11434/v1", "llama3.2", NULL, SYN_DIALECT_OPENAI},
    {"extractive", "", "", NULL, SYN_DIALECT_EXTRACTIVE}};

/* ---- making one ---- */

bool syn_provider_set(char **text, const char *value)
{
    char *copy = strdup(value);
    if (!copy) return false;
    free(*text);
    *text = copy;
    return true;
}

syn_status syn_providers_add(syn_providers *p, const char *name, syn_provider **out)
{
    if (p->count == SYN_PROVIDERS_MAX)
        return syn_fail(SYN_ERR_LIMIT, "more than %d providers are configured", SYN_PROVIDERS_MAX);
    syn_provider_secret *own = &p->secrets[p->count];
    *out = &p->list[p->count];
    (*out)->index = p->count++;
    (*out)->secret = own;
    if (syn_provider_set(&own->name, name) && syn_provider_set(&own->base_url, "") &&
        syn_provider_set(&own->host, "") && syn_provider_set(&own->model, ""))
        return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
}

static syn_status add_known(syn_providers *p)
{
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        syn_provider *provider;
        SYN_RETURN_IF(syn_providers_add(p, known[k].name, &provider));
        syn_provider_secret *own = syn_provider_own(p, provider);
        provider->dialect = known[k].dialect;
        own->free_of_charge = !known[k].key_env;
        if (!syn_provider_set(&own->base_url, known[k].base_url) ||
            !syn_provider_set(&own->model, known[k].model) ||
            (known[k].key_env && !syn_provider_set(&own->key_env, known[k].key_env)))
            return syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
    }
    return SYN_OK;
}

static syn_status add_custom(syn_providers *p, const syn_providers_options *o)
{
    syn_provider *provider;
    if (!o->base_url) return SYN_OK;
    SYN_REQUIRE(o->model && *o->model, "--model is missing: %s has no model of its own",
                "an endpoint that --base-url names");
    SYN_RETURN_IF(syn_providers_add(p, "custom", &provider));
    syn_provider_secret *own = syn_provider_own(p, provider);
    own->custom = true;
    if (!syn_provider_set(&own->base_url, o->base_url) ||
        !syn_provider_set(&own->model, o->model) ||
        (o->api_key && *o->api_key && !syn_provider_set(&own->key, o->api_key)))
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
    return SYN_OK;
}

/* ---- keys ---- */

static syn_status read_key_file(const char *variable, const char *path, char *key)
{
    FILE *f = fopen(path, "r");
    if (!f) return syn_fail(SYN_ERR_IO, "%s: %s cannot be read", variable, path);
    size_t n = fread(key, 1, SYN_PROVIDER_KEY_BYTES_MAX, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed) return syn_fail(SYN_ERR_IO, "%s: %s cannot be read", variable, path);
    if (n == SYN_PROVIDER_KEY_BYTES_MAX)
        return syn_fail(SYN_ERR_INVALID, "%s: %s is longer than a key", variable, path);
    key[n] = 0;
    key[strcspn(key, "\r\n")] = 0;
    return SYN_OK;
}

static syn_status read_key(syn_provider_secret *own)
{
    char variable[160], key[SYN_PROVIDER_KEY_BYTES_MAX + 1] = "";
    syn_status st = SYN_OK;
    if (own->key || !own->key_env) return SYN_OK;
    const char *value = getenv(own->key_env);
    if (!value || !*value) {
        snprintf(variable, sizeof variable, "%s_FILE", own->key_env);
        const char *path = getenv(variable);
        if (!path || !*path) return SYN_OK;
        SYN_TRY(read_key_file(variable, path, key));
        value = key;
    }
    if (*value && !syn_provider_set(&own->key, value))
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
done:
    explicit_bzero(key, sizeof key);
    return st;
}

static syn_status check_key(const syn_provider_secret *own)
{
    const char *where = own->key_env ? own->key_env : "the API key";
    for (const char *p = own->key; p && *p; p++)
        if (*p <= ' ' || *p > '~')
            return syn_fail(SYN_ERR_INVALID, "%s holds a blank or a control character", where);
    SYN_REQUIRE(!own->key || strlen(own->key) < SYN_PROVIDER_KEY_BYTES_MAX,
                "%s is longer than %d bytes", where, SYN_PROVIDER_KEY_BYTES_MAX);
    return SYN_OK;
}

/* ---- what is sent where ---- */

static bool add_header(syn_provider_secret *own, const char *name, const char *value)
{
    char **line = &own->headers[own->header_count];
    if (asprintf(line, "%s: %s", name, value) < 0) {
        *line = NULL;
        return false;
    }
    own->header_count++;
    return true;
}

static bool add_headers(const syn_provider *provider, syn_provider_secret *own)
{
    if (provider->dialect == SYN_DIALECT_ANTHROPIC)
        return add_header(own, "anthropic-version", "2023-06-01") &&
               (!own->key || add_header(own, "x-api-key", own->key));
    char bearer[SYN_PROVIDER_KEY_BYTES_MAX + 16] = "";
    if (own->key) snprintf(bearer, sizeof bearer, "Bearer %s", own->key);
    bool ok = !own->key || add_header(own, "Authorization", bearer);
    explicit_bzero(bearer, sizeof bearer);
    return ok;
}

static bool add_urls(const syn_provider *provider, syn_provider_secret *own)
{
    static const char *const chat[] = {[SYN_DIALECT_OPENAI] = "/chat/completions",
                                       [SYN_DIALECT_ANTHROPIC] = "/messages",
                                       [SYN_DIALECT_COHERE] = NULL};
    static const char *const embed[] = {[SYN_DIALECT_OPENAI] = "/embeddings",
                                        [SYN_DIALECT_ANTHROPIC] = NULL,
                                        [SYN_DIALECT_COHERE] = "/embed"};
    const char *paths[] = {chat[provider->dialect], embed[provider->dialect]};
    char **urls[] = {&own->chat_url, &own->embed_url};
    for (int k = 0; k < 2; k++)
        if (paths[k] && asprintf(urls[k], "%s%s", own->base_url, paths[k]) < 0) {
            *urls[k] = NULL;
            return false;
        }
    return true;
}

static syn_status finish(syn_providers *p, syn_provider *provider)
{
    syn_provider_secret *own = syn_provider_own(p, provider);
    if (provider->dialect != SYN_DIALECT_EXTRACTIVE) {
        SYN_REQUIRE(strlen(own->base_url) < 2048, "%s: the address is longer than 2048 bytes",
                    own->name);
        for (size_t n = strlen(own->base_url); n > 0 && own->base_url[n - 1] == '/'; n--)
            own->base_url[n - 1] = 0;
        SYN_RETURN_IF(read_key(own));
        SYN_RETURN_IF(check_key(own));
        free(own->host);
        own->host = NULL;
        syn_status st = syn_llm_url_check(own->base_url, p->insecure, own->key != NULL, &own->host,
                                          &own->plain);
        if (st != SYN_OK) return syn_fail_within(st, "%s", own->custom ? "--base-url" : own->name);
        own->loopback_only = own->plain && !p->insecure;
        if (!add_headers(provider, own) || !add_urls(provider, own))
            return syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
    }
    provider->name = own->name;
    provider->base_url = own->base_url;
    provider->host = own->host;
    provider->model = own->model;
    provider->ready = own->key || !own->key_env || p->replayed;
    return SYN_OK;
}

/* ---- the primary model ---- */

static syn_provider *find(const syn_providers *p, const char *name, size_t bytes)
{
    for (int k = 0; k < p->count; k++)
        if (strncmp(p->secrets[k].name, name, bytes) == 0 && !p->secrets[k].name[bytes])
            return (syn_provider *)&p->list[k];
    return NULL;
}

static bool speaks(const syn_provider *provider)
{
    return provider->ready && provider->dialect != SYN_DIALECT_COHERE;
}

/* Who is taken by itself, before Ollama is asked for; NULL for none. */
static syn_provider *first_configured(const syn_providers *p)
{
    for (int k = 0; k < p->count; k++)
        if (p->secrets[k].custom) return (syn_provider *)&p->list[k];
    for (int with_key = 1; with_key >= 0; with_key--)
        for (int k = 0; k < p->count; k++) {
            bool wanted = with_key ? p->secrets[k].key != NULL : p->secrets[k].from_file;
            if (wanted && speaks(&p->list[k])) return (syn_provider *)&p->list[k];
        }
    return NULL;
}

static syn_status set_primary(syn_providers *p, const char *text)
{
    p->primary = -1;
    if (!text || !*text) return SYN_OK;
    const char *colon = strchr(text, ':');
    syn_provider *provider = colon ? find(p, text, (size_t)(colon - text)) : NULL;
    const char *model = provider ? colon + 1 : text;
    if (provider) {
        SYN_REQUIRE(speaks(provider), "PRIMARY_MODEL: the provider %s has no key", provider->name);
    } else if (!(provider = first_configured(p)))
        return SYN_OK;
    if (*model && !provider->secret->custom &&
        !syn_provider_set(&syn_provider_own(p, provider)->model, model))
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
    provider->model = provider->secret->model;
    p->primary = provider->index;
    return SYN_OK;
}

syn_status syn_providers_open(const syn_providers_options *options, syn_providers **out)
{
    syn_status st;
    *out = NULL;
    syn_providers *p = calloc(1, sizeof *p);
    if (!p) return syn_fail(SYN_ERR_MEMORY, "out of memory for the providers");
    p->insecure = options->insecure;
    p->replayed = options->replayed;
    SYN_TRY(add_known(p));
    if (options->file) SYN_TRY(syn_providers_read(p, options->file));
    SYN_TRY(add_custom(p, options));
    for (int k = 0; k < p->count; k++) SYN_TRY(finish(p, &p->list[k]));
    SYN_TRY(set_primary(p, options->primary_model));
    *out = p;
    return SYN_OK;
done:
    syn_providers_close(p);
    return st;
}

static void wipe(char *text)
{
    if (text) explicit_bzero(text, strlen(text));
    free(text);
}

void syn_providers_close(syn_providers *p)
{
    for (int k = 0; p && k < p->count; k++) {
        syn_provider_secret *own = &p->secrets[k];
        wipe(own->key);
        for (int h = 0; h < own->header_count; h++) wipe(own->headers[h]);
        free(own->name);
        free(own->base_url);
        free(own->host);
        free(own->model);
        free(own->key_env);
        free(own->chat_url);
        free(own->embed_url);
        json_decref(own->options);
        json_decref(own->prices);
    }
    free(p);
}

/* ---- asking ---- */

int syn_providers_count(const syn_providers *p)
{
    return p->count;
}

const syn_provider *syn_providers_at(const syn_providers *p, int index)
{
    return index >= 0 && index < p->count ? &p->list[index] : NULL;
}

const syn_provider *syn_providers_find(const syn_providers *p, const char *name)
{
    return find(p, name, strlen(name));
}

bool syn_providers_resolve(const syn_providers *p, const char *text, const syn_provider *fallback,
                           const syn_provider **provider, const char **model)
{
    const char *colon = strchr(text, ':');
    const syn_provider *named = colon ? find(p, text, (size_t)(colon - text)) : NULL;
    *provider = named ? named : fallback;
    *model = named ? colon + 1 : text;
    if (!*provider || !(*provider)->ready) return false;
    if (!**model) *model = (*provider)->model;
    return true;
}

static const syn_provider *automatic(const syn_providers *p)
{
    if (p->primary >= 0) return &p->list[p->primary];
    const syn_provider *first = first_configured(p);
    if (first) return first;
    const syn_provider *ollama = syn_providers_find(p, "ollama");
    if (p->replayed) return syn_providers_find(p, "extractive");
    return syn_llm_url_answers(ollama->base_url, ollama->secret->loopback_only, 1)
               ? ollama
               : syn_providers_find(p, "extractive");
}

syn_status syn_providers_choose(const syn_providers *p, const char *name, const syn_provider **out)
{
    *out = NULL;
    if (!name || !*name || strcmp(name, "auto") == 0) {
        *out = automatic(p);
        return SYN_OK;
    }
    const syn_provider *named = syn_providers_find(p, name);
    if (!named) {
        char names[1024] = "auto";
        size_t n = strlen(names);
        for (int k = 0; k < p->count && n + SYN_PROVIDER_NAME_BYTES + 3 < sizeof names; k++)
            n += (size_t)snprintf(names + n, sizeof names - n, ", %s", p->list[k].name);
        return syn_fail(SYN_ERR_INVALID, "--provider: no such provider; there are %s", names);
    }
    if (named->dialect == SYN_DIALECT_COHERE)
        return syn_fail(SYN_ERR_INVALID, "--provider: %s makes embeddings alone", name);
    if (!named->ready)
        return syn_fail(SYN_ERR_INVALID, "--provider %s needs a key in the environment variable %s",
                        name, named->secret->key_env);
    *out = named;
    return SYN_OK;
}

bool syn_provider_price(const syn_providers *p, const syn_provider *provider, const char *model,
                        double *prompt_usd, double *completion_usd)
{
    const syn_provider_secret *own = &p->secrets[provider->index];
    const json_t *price = json_object_get(own->prices, model ? model : provider->model);
    if (!price) price = json_object_get(own->prices, "*");
    *prompt_usd = json_number_value(json_object_get(price, "prompt_usd_per_million")) * 1e-6;
    *completion_usd =
        json_number_value(json_object_get(price, "completion_usd_per_million")) * 1e-6;
    return price || own->free_of_charge;
}
