/* Who the agents of a command are: the options that `ask` and `eval --benchmarks` share, and what
 * they open. */
#ifndef SYN_SERVE_AGENT_OPTIONS_H
#define SYN_SERVE_AGENT_OPTIONS_H

#include "kernels/base/options.h"
#include "serve/drive.h"

/* The first member of a command's options. NULL: not given. */
typedef struct syn_agent_options {
    const char *provider, *base_url, *model, *api_key_env, *providers_file, *calibration;
    bool insecure;
} syn_agent_options;

#define SYN_AGENT_OPTIONS                                                                          \
    {"provider",                                                                                   \
     SYN_OPTION_TEXT,                                                                              \
     offsetof(syn_agent_options, provider),                                                        \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     "NAME",                                                                                       \
     "Who the agents are: extractive agents (the default) answer with words of their documents "   \
     "and need no key; openai is any OpenAI-compatible endpoint; openrouter, anthropic, "          \
     "deepseek, google, kimi, ollama or a name of --providers-file; auto: the first that has a "   \
     "key, else an Ollama that runs here, else extractive.",                                       \
     NULL},                                                                                        \
        {"base-url",                                                                               \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_agent_options, base_url),                                                    \
         "https://api.openai.com/v1",                                                              \
         0,                                                                                        \
         0,                                                                                        \
         "URL",                                                                                    \
         "Where the endpoint of --provider openai is; plain http for this machine only.",          \
         NULL},                                                                                    \
        {"model",                                                                                  \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_agent_options, model),                                                       \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "NAME",                                                                                   \
         "The model; default: gpt-4o-mini, or the provider's own.",                                \
         "PRIMARY_MODEL"},                                                                         \
        {"api-key-env",                                                                            \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_agent_options, api_key_env),                                                 \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "NAME",                                                                                   \
         "The environment variable that holds the key of --provider openai (OPENAI_API_KEY).",     \
         NULL},                                                                                    \
        {"providers-file",                                                                         \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_agent_options, providers_file),                                              \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "FILE",                                                                                   \
         "Further providers, and options and prices of known ones: JSON {\"providers\": "          \
         "[{\"name\", \"base_url\", \"dialect\": openai|anthropic|cohere, \"api_key_env\", "       \
         "\"model\", \"options\": {...}, \"prices\": {MODEL: {\"prompt_usd_per_million\", "        \
         "\"completion_usd_per_million\"}}}]}.",                                                   \
         NULL},                                                                                    \
        {"calibration",                                                                            \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_agent_options, calibration),                                                 \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "FILE",                                                                                   \
         "How far each model's stated confidence is to be trusted: NAME.calibration.json of "      \
         "'syncog "                                                                                \
         "eval --benchmarks'.",                                                                    \
         "CALIBRATION_FILE"},                                                                      \
    {                                                                                              \
        "insecure", SYN_OPTION_BOOL, offsetof(syn_agent_options, insecure), NULL, 0, 0, NULL,      \
            "Allow plain http to another machine, without a key.", NULL                            \
    }

/* Whether this provider is named; "extractive" where none is. */
bool syn_agent_options_name(const syn_agent_options *o, const char *provider);

/* Who the agents are, opened. */
typedef struct syn_agents {
    syn_providers *providers;
    syn_calibrations *calibrations;
    syn_drive_agent agent; /* model NULL: the provider's own */
} syn_agents;

/* replayed: a tape answers for the provider, which needs no key. What is missing in the options is
 * told before anything is read. `out` is zeroed first and closed by the caller, also after a
 * failure. Errors: SYN_ERR_USAGE (no such provider, no key for it), those of syn_providers_open and
 * syn_calibrations_open. */
SYN_WARN_UNUSED syn_status syn_agents_open(const syn_agent_options *o, bool replayed,
                                           syn_agents *out);
void syn_agents_close(syn_agents *a);

#endif
