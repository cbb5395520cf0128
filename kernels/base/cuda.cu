#include "kernels/base/cuda.h"

#include <cuda_runtime.h>
#include <stdlib.h>
#include <string.h>

static cudaStream_t stream_of(const syn_ctx *ctx)
{
    return (cudaStream_t)ctx->stream;
}

syn_status syn_cuda_failed(int error, const char *what)
{
    (void)cudaGetLastError();
    return syn_fail(SYN_ERR_DEVICE, "CUDA: %s: %s", what, cudaGetErrorString((cudaError_t)error));
}

syn_status syn_cuda_ctx_init(syn_ctx *ctx)
{
    int devices = 0;
    cudaError_t error = cudaGetDeviceCount(&devices);
    if (error != cudaSuccess || devices == 0) {
        (void)cudaGetLastError(); /* the error is answered here and must not show up later */
        return syn_fail(SYN_ERR_UNSUPPORTED, "no CUDA device: %s; use --device cpu",
                        error == cudaSuccess ? "the machine has none" : cudaGetErrorString(error));
    }
    cudaStream_t stream;
    error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (error != cudaSuccess) return syn_cuda_failed(error, "creating a stream");
    ctx->stream = stream;
    const char *sync = getenv("SYNCOG_CUDA_SYNC");
    ctx->sync_every_launch = sync && strcmp(sync, "1") == 0;
    return SYN_OK;
}

void syn_cuda_ctx_free(syn_ctx *ctx)
{
    syn_cuda_bounce_free(ctx);
    syn_cuda_blas_free(ctx);
    syn_cuda_dnn_free(ctx);
    if (ctx->stream) (void)cudaStreamDestroy(stream_of(ctx));
    ctx->stream = NULL;
}

int syn_cuda_count(void)
{
    int devices = 0;
    if (cudaGetDeviceCount(&devices) == cudaSuccess) return devices;
    (void)cudaGetLastError(); /* the context's opening says what is wrong */
    return 0;
}

void syn_cuda_select(int index)
{
    const int devices = syn_cuda_count();
    if (devices > 0) (void)cudaSetDevice(index % devices);
}

size_t syn_cuda_room(void)
{
    size_t room = 0, all = 0;
    if (cudaMemGetInfo(&room, &all) == cudaSuccess) return room;
    (void)cudaGetLastError();
    return 0;
}

void *syn_cuda_alloc(syn_ctx *ctx, size_t bytes)
{
    void *p = NULL;
    ctx->allocations++;
    if (cudaMalloc(&p, bytes) == cudaSuccess) return p;
    (void)cudaGetLastError();
    return NULL;
}

void syn_cuda_free(syn_ctx *ctx, void *p)
{
    (void)ctx;
    (void)cudaFree(p); /* waits for work that uses it */
}

syn_status syn_cuda_zero(syn_ctx *ctx, void *p, size_t bytes)
{
    cudaError_t error = cudaMemsetAsync(p, 0, bytes, stream_of(ctx));
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "zeroing");
}

syn_status syn_cuda_copy(syn_ctx *ctx, void *to, const void *from, size_t bytes, bool wait)
{
    if (bytes == 0) return SYN_OK;
    cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(ctx));
    if (error != cudaSuccess) return syn_cuda_failed(error, "copying");
    return wait ? syn_cuda_wait(ctx) : SYN_OK;
}

syn_status syn_cuda_wait(syn_ctx *ctx)
{
    cudaError_t error = cudaStreamSynchronize(stream_of(ctx));
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "waiting for the stream");
}

syn_status syn_cuda_check(syn_ctx *ctx, const char *what, const char *file, int line)
{
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess && ctx->sync_every_launch)
        error = cudaStreamSynchronize(stream_of(ctx));
    if (error == cudaSuccess) return SYN_OK;
    return syn_fail(SYN_ERR_DEVICE, "CUDA: %s (%s:%d): %s", what, file, line,
                    cudaGetErrorString(error));
}
