/* What the CPU side of the ops shares: chunks of a fixed size, so that no result depends on how
 * many threads the work is spread over. For .c files of kernels/. */
#ifndef SYN_BASE_CPU_H
#define SYN_BASE_CPU_H

#include "kernels/base/ctx.h"

/* Refuses a CUDA context in an op that has a CPU side alone. */
#define SYN_CPU_ONLY(ctx, op)                                                                      \
    do {                                                                                           \
        if ((ctx)->device != SYN_DEVICE_CPU)                                                       \
            return syn_fail(SYN_ERR_UNSUPPORTED, "%s runs on the CPU only: use --device cpu", op); \
    } while (0)

/* The rows that are to be done where their number is read from memory (NULL: all). */
static inline int64_t syn_live_rows(int64_t capacity, const int32_t *live)
{
    const int64_t n = live ? *live : capacity;
    return n < 0 ? 0 : n < capacity ? n : capacity;
}

/* Elements that one thread handles as a unit in elementwise loops and sums. */
enum { SYN_CPU_CHUNK = 4096 };

static inline int64_t syn_chunk_count(int64_t n, int64_t chunk)
{
    return (n + chunk - 1) / chunk;
}

static inline int64_t syn_chunk_end(int64_t start, int64_t n, int64_t chunk)
{
    return n - start < chunk ? n : start + chunk;
}

#endif
