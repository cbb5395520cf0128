/* Which addresses of an endpoint are taken. */
#ifndef SYN_SERVE_LLM_URL_H
#define SYN_SERVE_LLM_URL_H

#include <stdbool.h>

#include "kernels/base/status.h"

/* Takes http(s)://host[:port][/path], without user, query or fragment. Plain http is for loopback
 * names unless `insecure`, and then not together with a key. *host (free() it) and *plain are set
 * on success. Errors: SYN_ERR_INVALID, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_llm_url_check(const char *url, bool insecure, bool key, char **host,
                                             bool *plain);

#endif
