/* Register-blocked inner products shared by the matrix product and the recurrent kernels.
 *
 * syn_tile: rows of A against a panel of SYN_PANEL columns, k outermost: each step broadcasts one
 * element of every row and reads one line of the panel. Rows are given as pointers, so they may lie
 * anywhere. syn_dots: rows of A against rows of B, both contiguous in k: needs no panel, which pays
 * when B is used only once. */
#ifndef SYN_TILE_H
#define SYN_TILE_H

#include "kernels/base/vecmath.h"

/* 32 registers hold 6 x 4 accumulators, 16 hold 3 x 4. */
#if defined(__AVX512F__)
enum { SYN_TILE_ROWS = 6 };
#else
enum { SYN_TILE_ROWS = 3 };
#endif
enum {
    SYN_TILE_VECS = 4,
    SYN_PANEL = SYN_TILE_VECS * SYN_LANES,
    SYN_DOTS_ROWS = 4,
    SYN_DOTS_COLS = 4
};

#define SYN_ALWAYS_INLINE static inline __attribute__((always_inline))

SYN_ALWAYS_INLINE void syn_tile_rows(const int rows, const real *const *a, int64_t k,
                                     const real *restrict panel, real *restrict z)
{
    syn_vec acc[SYN_TILE_ROWS][SYN_TILE_VECS] = {{{0}}};
    const real *row[SYN_TILE_ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) row[r] = a[r];
    for (int64_t p = 0; p < k; p++, panel += SYN_PANEL) {
        syn_vec line[SYN_TILE_VECS];
#pragma GCC unroll 8
        for (int j = 0; j < SYN_TILE_VECS; j++) line[j] = syn_vec_load(panel + j * SYN_LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
            for (int j = 0; j < SYN_TILE_VECS; j++) acc[r][j] += row[r][p] * line[j];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int j = 0; j < SYN_TILE_VECS; j++)
            syn_vec_store(z + r * SYN_PANEL + j * SYN_LANES, acc[r][j]);
    }
}

/* z (rows, SYN_PANEL) = the `rows` <= SYN_TILE_ROWS rows at a[] (k each) times panel (k,
 * SYN_PANEL). */
static inline void syn_tile(int rows, const real *const *a, int64_t k, const real *panel, real *z)
{
    switch (rows) {
    case 1:
        syn_tile_rows(1, a, k, panel, z);
        break;
    case 2:
        syn_tile_rows(2, a, k, panel, z);
        break;
    case 3:
        syn_tile_rows(3, a, k, panel, z);
        break;
#if defined(__AVX512F__)
    case 4:
        syn_tile_rows(4, a, k, panel, z);
        break;
    case 5:
        syn_tile_rows(5, a, k, panel, z);
        break;
    case 6:
        syn_tile_rows(6, a, k, panel, z);
        break;
#endif
    default:
        break;
    }
}

SYN_ALWAYS_INLINE void syn_dots_rows(const int rows, const real *const *a, const real *const *b,
                                     int64_t k, real *z, int64_t ldz)
{
    syn_vec acc[SYN_DOTS_ROWS][SYN_DOTS_COLS] = {{{0}}};
    int64_t p = 0;
    for (; p + SYN_LANES <= k; p += SYN_LANES) {
        syn_vec other[SYN_DOTS_COLS];
#pragma GCC unroll 8
        for (int j = 0; j < SYN_DOTS_COLS; j++) other[j] = syn_vec_load(b[j] + p);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            syn_vec mine = syn_vec_load(a[r] + p);
#pragma GCC unroll 8
            for (int j = 0; j < SYN_DOTS_COLS; j++) acc[r][j] += mine * other[j];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        real *zr = z + r * ldz;
        syn_vec_sum4(acc[r], zr);
        for (int64_t q = p; q < k; q++)
            for (int j = 0; j < SYN_DOTS_COLS; j++) zr[j] += a[r][q] * b[j][q];
    }
}

/* z (rows, SYN_DOTS_COLS), row stride ldz = the `rows` <= SYN_DOTS_ROWS rows at a[] against the
 * SYN_DOTS_COLS rows at b[], k elements each. */
static inline void syn_dots(int rows, const real *const *a, const real *const *b, int64_t k,
                            real *z, int64_t ldz)
{
    switch (rows) {
    case 1:
        syn_dots_rows(1, a, b, k, z, ldz);
        break;
    case 2:
        syn_dots_rows(2, a, b, k, z, ldz);
        break;
    case 3:
        syn_dots_rows(3, a, b, k, z, ldz);
        break;
    case 4:
        syn_dots_rows(4, a, b, k, z, ldz);
        break;
    default:
        break;
    }
}

#endif
