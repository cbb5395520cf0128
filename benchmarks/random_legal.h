/* One of the legal actions of each environment, all equally likely: a policy that costs nothing. */
#ifndef SYN_BENCHMARKS_RANDOM_LEGAL_H
#define SYN_BENCHMARKS_RANDOM_LEGAL_H

#include <string.h>

#include "kernels/base/ctx.h"
#include "kernels/env_core.h"

/* The k-th legal action for a random k, eight mask bytes at a time; at least one is legal. */
SYN_HD int syn_random_legal_one(const uint8_t *mask, uint32_t draw)
{
    enum { WORDS = (SYN_ACTIONS_MAX + 7) / 8 };
    uint64_t word[WORDS] = {0};
    int n = 0, w = 0;
    memcpy(word, mask, SYN_ACTIONS_MAX);
    for (int i = 0; i < WORDS; i++)
        n += syn_popcount((uint32_t)word[i]) + syn_popcount((uint32_t)(word[i] >> 32));
    int k = (int)((uint64_t)draw * (uint64_t)n >> 32);
    for (;; w++) {
        const int here = syn_popcount((uint32_t)word[w]) + syn_popcount((uint32_t)(word[w] >> 32));
        if (k < here) break;
        k -= here;
    }
    while (k--) word[w] &= word[w] - 1;
    const uint32_t low = (uint32_t)word[w];
    return w * 8 + (low ? syn_lowest(low) : 32 + syn_lowest((uint32_t)(word[w] >> 32))) / 8;
}

#ifdef __cplusplus
extern "C" {
#endif

/* mask (E, SYN_ACTIONS_MAX): in; action (E): overwritten; device memory. A pure function of the
 * masks and `draw`. */
SYN_WARN_UNUSED syn_status syn_random_legal(syn_ctx *ctx, int64_t E, const uint8_t *mask,
                                            uint64_t draw, int32_t *action);

/* The two sides. Not for other callers. */
__typeof__(syn_random_legal) syn_random_legal_cpu, syn_random_legal_cuda;

#ifdef __cplusplus
}
#endif
#endif
