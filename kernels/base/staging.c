#include "kernels/base/staging.h"

#include <stdlib.h>
#include <string.h>

syn_status syn_staging_init(syn_ctx *ctx, syn_staging *s, size_t bytes)
{
    *s = (syn_staging){.bytes = bytes};
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        const syn_status st = syn_staging_init_cuda(ctx, s, bytes);
        if (st != SYN_OK) syn_staging_free(ctx, s);
        return st;
    }
#endif
    (void)ctx;
    s->host[0] = calloc(1, bytes ? bytes : 1);
    return s->host[0] ? SYN_OK
                      : syn_fail(SYN_ERR_MEMORY, "out of memory: %.1f MiB were asked for",
                                 (double)bytes / (1 << 20));
}

void syn_staging_free(syn_ctx *ctx, syn_staging *s)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        syn_staging_free_cuda(ctx, s);
        *s = (syn_staging){0};
        return;
    }
#endif
    (void)ctx;
    free(s->host[0]);
    *s = (syn_staging){0};
}

syn_status syn_staging_next(syn_ctx *ctx, syn_staging *s, void **host)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_staging_next_cuda(ctx, s, host);
#endif
    (void)ctx;
    *host = s->host[0];
    return SYN_OK;
}

syn_status syn_staging_send(syn_ctx *ctx, syn_staging *s, void *device, size_t bytes)
{
    SYN_REQUIRE(bytes <= s->bytes, "a batch of %zu bytes in a buffer of %zu", bytes, s->bytes);
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_staging_send_cuda(ctx, s, device, bytes);
#endif
    (void)ctx;
    memcpy(device, s->host[0], bytes);
    return SYN_OK;
}
