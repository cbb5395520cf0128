/* API keys: sync_, 64 hex digits drawn at random, and 8 that check them, so that scanners recognise
 * a key and a mistyped one is refused without asking the store. A key is shown once; only its
 * SHA-256 is kept, which is enough for 256 random bits. Thread-safe. */
#ifndef SYN_SERVE_STORE_KEY_H
#define SYN_SERVE_STORE_KEY_H

#include <stdbool.h>

#include "kernels/base/status.h"

enum {
    SYN_API_KEY_BYTES = 78,        /* with its 0 byte, like the others */
    SYN_API_KEY_SHA256_BYTES = 65, /* lower-case hex */
    SYN_API_KEY_PREFIX_BYTES = 14
};

typedef struct syn_api_key {
    char text[SYN_API_KEY_BYTES]; /* secret: wipe it once it was shown (explicit_bzero) */
    char sha256[SYN_API_KEY_SHA256_BYTES];
    char prefix[SYN_API_KEY_PREFIX_BYTES]; /* may be shown in lists */
} syn_api_key;

/* Errors: SYN_ERR_IO (no random bytes), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_api_key_make(syn_api_key *key);

/* Whether `text` has the form of a key and its check digits fit. */
bool syn_api_key_fits(const char *text);

/* Of any text, a key or not (the bootstrap and development keys have a form of their own).
 * Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_api_key_sha256(const char *text, char out[SYN_API_KEY_SHA256_BYTES]);

#endif
