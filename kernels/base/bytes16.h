/* Sixteen bytes at a time, for texts: compilers make one instruction of each of these operators.
 * Little-endian machines. */
#ifndef SYN_BASE_BYTES16_H
#define SYN_BASE_BYTES16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Comparisons of two of them give 255 where they hold, and 0. */
typedef unsigned char syn_bytes16 __attribute__((vector_size(16)));

static inline syn_bytes16 syn_bytes16_load(const void *from)
{
    syn_bytes16 b;
    memcpy(&b, from, sizeof b);
    return b;
}

/* Zeros behind the first `count` bytes, 0 to 16. */
static inline syn_bytes16 syn_bytes16_load_some(const void *from, size_t count)
{
    syn_bytes16 b = {0};
    memcpy(&b, from, count);
    return b;
}

/* Where the first byte that is not 0 stands; 16: there is none. The bytes are 255 or 0. */
static inline size_t syn_bytes16_first(syn_bytes16 b)
{
    uint64_t half[2];
    memcpy(half, &b, sizeof half);
    if (half[0]) return (size_t)__builtin_ctzll(half[0]) / 8;
    return half[1] ? 8 + (size_t)__builtin_ctzll(half[1]) / 8 : 16;
}

#endif
