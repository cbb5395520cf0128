/* Weighted draws from a list of records whose weights come in blocks: all records of one file have
 * one weight. Plain data and a pure function of random words, usable in CUDA kernels. */
#ifndef SYN_KERNELS_DRAW_H
#define SYN_KERNELS_DRAW_H

#include "kernels/base/rng.h"

enum { SYN_DRAW_BLOCKS_MAX = 16 };

/* All zero: every record of the list is as likely as any other. */
typedef struct syn_draw {
    int32_t blocks;                      /* 0: one, the whole list */
    int64_t end[SYN_DRAW_BLOCKS_MAX];    /* index in the list behind the block's last record */
    uint64_t below[SYN_DRAW_BLOCKS_MAX]; /* ascending; the first block whose bound is above a random
                                            word is drawn; the last bound is 2^32 */
} syn_draw;

/* The block that a random word draws from a list of so many records: its first index, and returns
 * how many records it has, one of which is then to be drawn evenly. */
SYN_HD int64_t syn_draw_block(const syn_draw *d, int64_t records, uint32_t word, int64_t *first)
{
    int b = 0;
    *first = 0;
    if (d->blocks < 2) return records;
    while (word >= d->below[b]) b++;
    if (b) *first = d->end[b - 1];
    return d->end[b] - *first;
}

#endif
