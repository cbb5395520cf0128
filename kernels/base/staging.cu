#include "kernels/base/staging.h"

#include <string.h>

#include "kernels/base/launch.cuh"

extern "C" syn_status syn_staging_init_cuda(syn_ctx *ctx, syn_staging *s, size_t bytes)
{
    (void)ctx;
    for (int k = 0; k < SYN_STAGING_BUFFERS; k++) {
        cudaEvent_t event = NULL;
        const cudaError_t error =
            cudaHostAlloc(&s->host[k], bytes ? bytes : 1, cudaHostAllocDefault);
        if (error != cudaSuccess) {
            (void)cudaGetLastError();
            s->host[k] = NULL;
            return syn_fail(SYN_ERR_MEMORY,
                            "out of memory: %.1f MiB of page-locked memory were asked for",
                            (double)bytes / (1 << 20));
        }
        memset(s->host[k], 0, bytes);
        const cudaError_t made = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        if (made != cudaSuccess) return syn_cuda_failed(made, "making an event");
        s->event[k] = event;
    }
    return SYN_OK;
}

extern "C" void syn_staging_free_cuda(syn_ctx *ctx, syn_staging *s)
{
    (void)cudaStreamSynchronize((cudaStream_t)ctx->stream); /* a copy may be under way */
    for (int k = 0; k < SYN_STAGING_BUFFERS; k++) {
        if (s->event[k]) (void)cudaEventDestroy((cudaEvent_t)s->event[k]);
        if (s->host[k]) (void)cudaFreeHost(s->host[k]);
    }
}

extern "C" syn_status syn_staging_next_cuda(syn_ctx *ctx, syn_staging *s, void **host)
{
    (void)ctx;
    const int k = s->turn;
    const cudaError_t error =
        s->sent[k] ? cudaEventSynchronize((cudaEvent_t)s->event[k]) : cudaSuccess;
    if (error != cudaSuccess) return syn_cuda_failed(error, "waiting for a batch");
    *host = s->host[k];
    return SYN_OK;
}

extern "C" syn_status syn_staging_send_cuda(syn_ctx *ctx, syn_staging *s, void *device,
                                            size_t bytes)
{
    const int k = s->turn;
    SYN_RETURN_IF(syn_cuda_copy(ctx, device, s->host[k], bytes, false));
    const cudaError_t error = cudaEventRecord((cudaEvent_t)s->event[k], (cudaStream_t)ctx->stream);
    if (error != cudaSuccess) return syn_cuda_failed(error, "sending a batch");
    s->sent[k] = true;
    s->turn = (k + 1) % SYN_STAGING_BUFFERS;
    return SYN_OK;
}
