/* A 32-bit hash of a short text, for comparing words; not for keys that an outsider may choose. */
#ifndef SYN_SERVE_HASH_H
#define SYN_SERVE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t syn_hash(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 16777619u;
    return h;
}

static inline uint64_t syn_hash64(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    if (h == 0) h = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

#endif
