/* What of a provider is for those alone who call it: serve/provider*.c and serve/llm*.c. */
#ifndef SYN_SERVE_PROVIDER_INTERNAL_H
#define SYN_SERVE_PROVIDER_INTERNAL_H

#include <jansson.h>

#include "serve/provider.h"

enum { SYN_PROVIDER_KEY_BYTES_MAX = 4096, SYN_PROVIDER_HEADERS_MAX = 4 };

typedef struct syn_provider_secret {
    char *name, *base_url, *host, *model;    /* what syn_provider points to */
    char *key_env;                           /* NULL: none is sent */
    char *key;                               /* NULL: none */
    char *chat_url, *embed_url;              /* NULL where the dialect has none */
    char *headers[SYN_PROVIDER_HEADERS_MAX]; /* "Name: value", those with the key among them */
    int header_count;
    json_t *options;    /* members of every chat request; NULL: none */
    json_t *prices;     /* by model; NULL: none */
    bool plain;         /* http */
    bool loopback_only; /* plain, and not insecure: whatever address the name resolves to */
    bool free_of_charge, from_file, custom;
} syn_provider_secret;

struct syn_providers {
    syn_provider list[SYN_PROVIDERS_MAX];
    syn_provider_secret secrets[SYN_PROVIDERS_MAX];
    int count;
    int primary; /* index, -1: none */
    bool insecure, replayed;
};

/* The secret of one in the list that is still being made. */
static inline syn_provider_secret *syn_provider_own(syn_providers *p, const syn_provider *provider)
{
    return &p->secrets[provider->index];
}

/* Adds an empty provider, of the dialect that {0} is. Errors: SYN_ERR_LIMIT, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_providers_add(syn_providers *p, const char *name,
                                             syn_provider **out);
/* Replaces a text; false when out of memory. */
bool syn_provider_set(char **text, const char *value);

/* provider_file.c: reads the file's providers into the list. */
SYN_WARN_UNUSED syn_status syn_providers_read(syn_providers *p, const char *path);

#endif
