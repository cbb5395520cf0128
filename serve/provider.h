/* The providers of language models that may be called: those that environment variables
 * configure, and any that a file adds. Nothing that a request says can add one or change a URL.
 *
 * Known: openrouter, openai, anthropic, deepseek, google, kimi, ollama (no key), cohere (embeddings
 * alone), and extractive agents, which answer with words of their documents (serve/extractive.h).
 *
 * The file adds providers, or changes members of known ones:
 *
 *     {"providers": [{"name": "vllm", "base_url": "https://gpu.example.org/v1", "model": "qwen3",
 *                     "dialect": "openai", "api_key_env": "VLLM_KEY",
 *                     "options": {"chat_template_kwargs": {"enable_thinking": false}},
 *                     "prices": {"qwen3": {"prompt_usd_per_million": 0.1,
 *                                          "completion_usd_per_million": 0.4}}}]}
 *
 * name: a-z, 0-9, '_', '-'; dialect: openai (the default), anthropic or cohere; without api_key_env
 * no key is sent; options: members of every chat request that does not have them itself, where
 * thinking is switched on or off; prices by model, "*" for all others. No price is built in but
 * that of local agents, which is nothing. A top-level member "teams" is left to serve/openai.h.
 *
 * Read-only once opened; any thread. */
#ifndef SYN_SERVE_PROVIDER_H
#define SYN_SERVE_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

typedef enum syn_dialect {
    SYN_DIALECT_OPENAI,    /* POST {base_url}/chat/completions, /embeddings */
    SYN_DIALECT_ANTHROPIC, /* POST {base_url}/messages */
    SYN_DIALECT_COHERE,    /* POST {base_url}/embed; no chat */
    SYN_DIALECT_EXTRACTIVE /* no network */
} syn_dialect;

enum { SYN_PROVIDERS_MAX = 64, SYN_PROVIDER_NAME_BYTES = 33 };

typedef struct syn_provider {
    const char *name; /* "openai" */
    syn_dialect dialect;
    const char *base_url; /* without a slash at the end; "" for extractive */
    const char *host;     /* of it, for sentences and spans */
    const char *model;    /* where a request names none; "" for extractive */
    bool ready;           /* it can be called: a key is there, or none is needed */
    int index;            /* in the list, for tables beside it */
    const struct syn_provider_secret *secret;
} syn_provider;

typedef struct syn_providers syn_providers;

typedef struct syn_providers_options {
    const char *file;          /* JSON of further providers and prices, NULL: none */
    const char *primary_model; /* PRIMARY_MODEL: "provider:model" or a model; NULL: none */
    /* One more OpenAI-compatible endpoint by the name "custom"; base_url NULL: none. */
    const char *base_url, *model, *api_key;
    bool insecure; /* allows plain http beyond loopback, though never together with a key */
    /* A tape answers for all of them (serve/llm_tape.h): none needs a key, and "auto" asks no
     * Ollama whether it is there. */
    bool replayed;
} syn_providers_options;

/* Reads keys from the environment (NAME, else the file that NAME_FILE names). Errors:
 * SYN_ERR_INVALID, SYN_ERR_FORMAT, SYN_ERR_IO name the variable or the place in the file; a key is
 * never shown. */
SYN_WARN_UNUSED syn_status syn_providers_open(const syn_providers_options *options,
                                              syn_providers **out);
void syn_providers_close(syn_providers *p); /* wipes the keys; NULL is allowed */

int syn_providers_count(const syn_providers *p);
const syn_provider *syn_providers_at(const syn_providers *p, int index);
/* NULL where there is none of this name. */
const syn_provider *syn_providers_find(const syn_providers *p, const char *name);
/* Splits "provider:model" at the first colon where its left part is a provider's name, and
 * otherwise takes all of it as a model of `fallback`. A name with nothing behind its colon means
 * the provider's own model. False: no such provider, or not ready. */
bool syn_providers_resolve(const syn_providers *p, const char *text, const syn_provider *fallback,
                           const syn_provider **provider, const char **model);
/* Who speaks where nobody is named: --provider NAME, which is SYN_ERR_INVALID where there is none
 * of it or no key for it; "auto": the primary model's, else the custom one, else the first that is
 * ready with a key, else the first ready one of the file, else an Ollama on this machine that
 * answers (asked once, for at most a second), else extractive. */
SYN_WARN_UNUSED syn_status syn_providers_choose(const syn_providers *p, const char *name,
                                                const syn_provider **out);

/* US dollars per token by the price table; false where it is not known. */
bool syn_provider_price(const syn_providers *p, const syn_provider *provider, const char *model,
                        double *prompt_usd, double *completion_usd);

#endif
