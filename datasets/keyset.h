/* A growing set of 64-bit hashes. */
#ifndef SYN_DATASETS_KEYSET_H
#define SYN_DATASETS_KEYSET_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

typedef struct syn_keyset {
    uint64_t *slots; /* 0: free */
    int64_t max, count;
    bool has_zero;
} syn_keyset;

/* Adds a key; *added is false when it is there already. A zeroed set is empty. */
SYN_WARN_UNUSED syn_status syn_keyset_add(syn_keyset *s, uint64_t key, bool *added);
bool syn_keyset_has(const syn_keyset *s, uint64_t key);
void syn_keyset_free(syn_keyset *s);

#endif
