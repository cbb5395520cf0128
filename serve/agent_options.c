#include "serve/agent_options.h"

#include <stdlib.h>
#include <string.h>

bool syn_agent_options_name(const syn_agent_options *o, const char *provider)
{
    return strcmp(o->provider ? o->provider : "extractive", provider) == 0;
}

static const char *key_variable(const syn_agent_options *o)
{
    return o->api_key_env ? o->api_key_env : "OPENAI_API_KEY";
}

static const char *key_of(const syn_agent_options *o)
{
    const char *key = getenv(key_variable(o));
    return key ? key : "";
}

static bool local(const char *url)
{
    return strncmp(url, "http://localhost", 16) == 0 || strncmp(url, "http://127.", 11) == 0 ||
           strncmp(url, "http://[::1]", 12) == 0;
}

static syn_status check(const syn_agent_options *o)
{
    if (syn_agent_options_name(o, "openai") && !*key_of(o) && !local(o->base_url))
        return syn_fail(SYN_ERR_USAGE,
                        "--provider openai needs a key in the environment variable %s; extractive "
                        "agents need none",
                        key_variable(o));
    return SYN_OK;
}

/* Behind "provider:", where it is there. */
static const char *bare_model(const syn_agent_options *o, const syn_providers *providers)
{
    const syn_provider *provider;
    const char *model = o->model;
    if (model && strchr(model, ':'))
        syn_providers_resolve(providers, o->model, NULL, &provider, &model);
    return model && *model ? model : NULL;
}

/* --provider openai is whatever endpoint --base-url names. */
static syn_status choose(const syn_agent_options *o, bool replayed, syn_agents *out)
{
    const bool any = syn_agent_options_name(o, "openai");
    const bool automatic = syn_agent_options_name(o, "auto");
    const syn_providers_options wanted = {.file = o->providers_file,
                                          .primary_model = automatic ? o->model : NULL,
                                          .base_url = any ? o->base_url : NULL,
                                          .model = "gpt-4o-mini",
                                          .api_key = key_of(o),
                                          .insecure = o->insecure,
                                          .replayed = replayed};
    SYN_RETURN_IF(syn_providers_open(&wanted, &out->providers));
    const char *name = any ? "custom" : o->provider ? o->provider : "extractive";
    const syn_status st = syn_providers_choose(out->providers, name, &out->agent.provider);
    if (st != SYN_OK) return st == SYN_ERR_INVALID ? SYN_ERR_USAGE : st;
    const bool extractive = out->agent.provider->dialect == SYN_DIALECT_EXTRACTIVE;
    out->agent.model = extractive || automatic ? NULL : bare_model(o, out->providers);
    return SYN_OK;
}

syn_status syn_agents_open(const syn_agent_options *o, bool replayed, syn_agents *out)
{
    *out = (syn_agents){0};
    if (!replayed) SYN_RETURN_IF(check(o));
    SYN_RETURN_IF(choose(o, replayed, out));
    return syn_calibrations_open(o->calibration, &out->calibrations);
}

void syn_agents_close(syn_agents *a)
{
    syn_calibrations_close(a->calibrations);
    syn_providers_close(a->providers);
    *a = (syn_agents){0};
}
