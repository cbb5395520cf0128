/* Tasks that are drawn, with no text behind them: for measurements on machines that have neither
 * data sets nor the libraries that read them. Their features have the ranges of real ones, those of
 * supporting pieces are higher, and supporting pieces mention each other, so that a policy can
 * learn on them. */
#ifndef SYN_BENCHMARKS_DRAWN_CORPUS_H
#define SYN_BENCHMARKS_DRAWN_CORPUS_H

#include "trainer/corpus.h"

/* `records` records (at least 1) of ten pieces, one to four of them supporting. c is overwritten,
 * of ctx; syn_corpus_free frees it. A pure function of the seed. Errors:
 * SYN_ERR_INVALID (records), SYN_ERR_MEMORY; c is empty then. */
SYN_WARN_UNUSED syn_status syn_drawn_corpus(syn_ctx *ctx, syn_corpus *c, int64_t records,
                                            uint64_t seed);

#endif
