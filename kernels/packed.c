#include "kernels/packed.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/tile.h"

enum { GATES = 4, ALIGN = 64 };

struct syn_packed {
    struct syn_packed *next;
    const real *w;
    int64_t n, k;
    bool recurrent;
    int users;
    real *panels;
};

/* ---- Panels ---- */

void syn_packed_panel(int64_t n, int64_t k, const real *w, int64_t ldw, int64_t j, int64_t p,
                      real *restrict panel)
{
    const int64_t cols = n - j < SYN_PANEL ? n - j : SYN_PANEL;
    if (cols < SYN_PANEL) memset(panel, 0, sizeof(real) * (size_t)(k * SYN_PANEL));
    for (int64_t q0 = 0; q0 < k; q0 += SYN_LANES) { /* a cache line of each row at a time */
        const int64_t q_end = q0 + SYN_LANES < k ? q0 + SYN_LANES : k;
        for (int64_t c = 0; c < cols; c++) {
            const real *row = w + (j + c) * ldw + p;
            for (int64_t q = q0; q < q_end; q++) panel[q * SYN_PANEL + c] = row[q];
        }
    }
}

void syn_packed_block(int64_t H, const real *R, int64_t block, real *restrict panel)
{
    const int64_t u = block * SYN_LANES;
    const int n = (int)(H - u < SYN_LANES ? H - u : SYN_LANES);
    if (n < SYN_LANES) memset(panel, 0, sizeof(real) * (size_t)(H * SYN_PANEL));
    for (int64_t k0 = 0; k0 < H; k0 += SYN_LANES) { /* a cache line of each row at a time */
        const int64_t k_end = k0 + SYN_LANES < H ? k0 + SYN_LANES : H;
        for (int g = 0; g < GATES; g++) {
            for (int l = 0; l < n; l++) {
                const real *row = R + (g * H + u + l) * H;
                for (int64_t k = k0; k < k_end; k++)
                    panel[k * SYN_PANEL + g * SYN_LANES + l] = row[k];
            }
        }
    }
}

/* ---- What a context has ---- */

static struct syn_packed *find(const syn_ctx *ctx, bool recurrent, int64_t n, int64_t k,
                               const real *w)
{
    struct syn_packed *at = ctx->packed;
    while (at && (at->w != w || at->n != n || at->k != k || at->recurrent != recurrent))
        at = at->next;
    return at;
}

/* Another one, with room for its panels; *out NULL: it is there, or has none. */
static syn_status add(syn_ctx *ctx, bool recurrent, int64_t n, int64_t k, const real *w,
                      int64_t panels, struct syn_packed **out)
{
    *out = NULL;
    if (ctx->device != SYN_DEVICE_CPU || sizeof(real) != sizeof(float)) return SYN_OK;
    struct syn_packed *p = find(ctx, recurrent, n, k, w);
    if (p) {
        p->users++;
        return SYN_OK;
    }
    p = calloc(1, sizeof *p);
    real *data = aligned_alloc(ALIGN, sizeof(real) * (size_t)(panels * k * SYN_PANEL));
    if (!p || !data) {
        free(p);
        free(data);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for weights of %lld x %lld", (long long)n,
                        (long long)k);
    }
    *p = (struct syn_packed){ctx->packed, w, n, k, recurrent, 1, data};
    ctx->packed = *out = p;
    return SYN_OK;
}

syn_status syn_packed_product(syn_ctx *ctx, int64_t n, int64_t k, const real *w)
{
    struct syn_packed *p;
    const int64_t panels = (n + SYN_PANEL - 1) / SYN_PANEL;
    if (n < SYN_PANEL / 2) return SYN_OK;
    SYN_RETURN_IF(add(ctx, false, n, k, w, panels, &p));
    for (int64_t q = 0; p && q < panels; q++)
        syn_packed_panel(n, k, w, k, q * SYN_PANEL, 0, p->panels + q * k * SYN_PANEL);
    return SYN_OK;
}

syn_status syn_packed_recurrence(syn_ctx *ctx, int64_t H, const real *R)
{
    struct syn_packed *p;
    const int64_t blocks = (H + SYN_LANES - 1) / SYN_LANES;
    SYN_RETURN_IF(add(ctx, true, GATES * H, H, R, blocks, &p));
    for (int64_t b = 0; p && b < blocks; b++)
        syn_packed_block(H, R, b, p->panels + b * H * SYN_PANEL);
    return SYN_OK;
}

void syn_packed_remove(syn_ctx *ctx, const real *w)
{
    for (struct syn_packed **at = &ctx->packed, *p; (p = *at);) {
        if (p->w != w || --p->users > 0) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p->panels);
        free(p);
    }
}

const real *syn_packed_product_find(const syn_ctx *ctx, int64_t n, int64_t k, const real *w)
{
    const struct syn_packed *p = find(ctx, false, n, k, w);
    return p ? p->panels : NULL;
}

const real *syn_packed_recurrence_find(const syn_ctx *ctx, int64_t H, const real *R)
{
    const struct syn_packed *p = find(ctx, true, GATES * H, H, R);
    return p ? p->panels : NULL;
}
