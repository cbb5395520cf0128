/* Copies between the device and memory that the system may page out. They go through a ring of
 * page-locked buffers: a copy in is on its way when the call returns, the host never waits for the
 * device but for the buffer of four copies ago; a large copy out empties one buffer while the next
 * is filled. */
#include <cuda_runtime.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/cuda.h"

enum { BUFFERS = 4, BUFFER_BYTES = 1 << 20 };

/* ctx->bounce */
typedef struct bounce {
    unsigned char *data[BUFFERS];
    cudaEvent_t event[BUFFERS]; /* when the buffer's last copy is done */
    bool used[BUFFERS];
    int turn; /* the next one */
} bounce;

static cudaStream_t stream_of(const syn_ctx *ctx)
{
    return (cudaStream_t)ctx->stream;
}

extern "C" void syn_cuda_bounce_free(syn_ctx *ctx)
{
    bounce *b = (bounce *)ctx->bounce;
    if (!b) return;
    (void)cudaStreamSynchronize(stream_of(ctx));
    for (int k = 0; k < BUFFERS; k++) {
        if (b->event[k]) (void)cudaEventDestroy(b->event[k]);
        if (b->data[k]) (void)cudaFreeHost(b->data[k]);
    }
    free(b);
    ctx->bounce = NULL;
}

static syn_status bounce_get(syn_ctx *ctx, bounce **out)
{
    *out = (bounce *)ctx->bounce;
    if (*out) return SYN_OK;
    bounce *b = (bounce *)calloc(1, sizeof *b);
    if (!b) return syn_fail(SYN_ERR_MEMORY, "out of memory for copies to the device");
    ctx->bounce = b;
    cudaError_t error = cudaSuccess;
    for (int k = 0; k < BUFFERS && error == cudaSuccess; k++) {
        error = cudaHostAlloc((void **)&b->data[k], BUFFER_BYTES, cudaHostAllocDefault);
        if (error == cudaSuccess)
            error = cudaEventCreateWithFlags(&b->event[k], cudaEventDisableTiming);
    }
    *out = b;
    if (error == cudaSuccess) return SYN_OK;
    syn_cuda_bounce_free(ctx);
    return syn_cuda_failed(error, "taking page-locked memory");
}

/* The next buffer, once its last copy is done. */
static syn_status bounce_next(bounce *b, int *k)
{
    *k = b->turn;
    b->turn = (b->turn + 1) % BUFFERS;
    if (!b->used[*k]) return SYN_OK;
    const cudaError_t error = cudaEventSynchronize(b->event[*k]);
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "waiting for a copy");
}

static syn_status bounce_copy(syn_ctx *ctx, bounce *b, int k, void *to, const void *from,
                              size_t bytes)
{
    cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(ctx));
    if (error == cudaSuccess) error = cudaEventRecord(b->event[k], stream_of(ctx));
    b->used[k] = true;
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "copying");
}

/* Page-locked memory and memory of a device are copied without a detour. */
static bool pageable(const void *host)
{
    cudaPointerAttributes a;
    if (cudaPointerGetAttributes(&a, host) == cudaSuccess)
        return a.type == cudaMemoryTypeUnregistered;
    (void)cudaGetLastError();
    return true;
}

static size_t part_of(size_t left)
{
    return left < BUFFER_BYTES ? left : BUFFER_BYTES;
}

extern "C" syn_status syn_cuda_copy_in(syn_ctx *ctx, void *device, const void *host, size_t bytes)
{
    bounce *b;
    if (!pageable(host)) return syn_cuda_copy(ctx, device, host, bytes, true);
    SYN_RETURN_IF(bounce_get(ctx, &b));
    for (size_t at = 0; at < bytes; at += BUFFER_BYTES) {
        const size_t n = part_of(bytes - at);
        int k;
        SYN_RETURN_IF(bounce_next(b, &k));
        memcpy(b->data[k], (const unsigned char *)host + at, n);
        SYN_RETURN_IF(bounce_copy(ctx, b, k, (unsigned char *)device + at, b->data[k], n));
    }
    return ctx->sync_every_launch ? syn_cuda_wait(ctx) : SYN_OK;
}

extern "C" syn_status syn_cuda_copy_out(syn_ctx *ctx, void *host, const void *device, size_t bytes)
{
    bounce *b;
    if (!pageable(host)) return syn_cuda_copy(ctx, host, device, bytes, true);
    SYN_RETURN_IF(bounce_get(ctx, &b));
    int order[BUFFERS], waiting = 0; /* buffers under way, oldest first */
    for (size_t asked = 0, done = 0; done < bytes;) {
        while (asked < bytes && waiting < BUFFERS) {
            const size_t n = part_of(bytes - asked);
            int k;
            SYN_RETURN_IF(bounce_next(b, &k));
            SYN_RETURN_IF(
                bounce_copy(ctx, b, k, b->data[k], (const unsigned char *)device + asked, n));
            order[waiting++] = k;
            asked += n;
        }
        const size_t n = part_of(bytes - done);
        const cudaError_t error = cudaEventSynchronize(b->event[order[0]]);
        if (error != cudaSuccess) return syn_cuda_failed(error, "waiting for a copy");
        memcpy((unsigned char *)host + done, b->data[order[0]], n);
        memmove(order, order + 1, sizeof *order * (size_t)--waiting);
        done += n;
    }
    return SYN_OK;
}
