/* Weights that stay as they are for a while, laid out a second time for the CPU's tiles.
 *
 * A product of a few rows with a weight is otherwise spent on turning the weight round, or on
 * reading it crosswise: from 1 to 64 rows it is one and a half to three times as fast from panels
 * (kernels/tile.h). They belong to a context and are looked up by the address of the weight:
 * syn_gemm (a plain B^T with row stride k) and syn_lstm_forward take them where they are, without
 * being told. The sums of a row are then made in the same order whatever the rows beside it, so
 * that its bits do not depend on them. On CUDA, and in double precision, nothing is laid out.
 *
 * Whoever changes the weight, or frees it, removes it first. Threads: as the context. */
#ifndef SYN_PACKED_H
#define SYN_PACKED_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* w (n,k): in, row-major, of products with w^T. Once more counts once more. One that fills less
 * than half a panel is left as it is. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_packed_product(syn_ctx *ctx, int64_t n, int64_t k, const real *w);
/* R (4H,H): the recurrent weights of an LSTM (kernels/lstm.h). Likewise. */
SYN_WARN_UNUSED syn_status syn_packed_recurrence(syn_ctx *ctx, int64_t H, const real *R);
/* As often as it was given; what never was is let pass. */
void syn_packed_remove(syn_ctx *ctx, const real *w);

/* For the ops. (ceil(n / SYN_PANEL), k, SYN_PANEL), zeros beyond n; and (ceil(H / SYN_LANES), H, 4,
 * SYN_LANES), zeros beyond H: a block's units with all their gates. NULL: there is none. */
const real *syn_packed_product_find(const syn_ctx *ctx, int64_t n, int64_t k, const real *w);
const real *syn_packed_recurrence_find(const syn_ctx *ctx, int64_t H, const real *R);

/* One panel of each, in the layout above: columns j.. of w^T, rows p.. of k with row stride ldw;
 * the units of one block. */
void syn_packed_panel(int64_t n, int64_t k, const real *w, int64_t ldw, int64_t j, int64_t p,
                      real *restrict panel);
void syn_packed_block(int64_t H, const real *R, int64_t block, real *restrict panel);

#ifdef __cplusplus
}
#endif
#endif
