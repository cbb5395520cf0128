#include "benchmarks/gpu_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/launch.cuh"

struct syn_gpu_clock {
    cudaEvent_t begun, ended;
};

extern "C" syn_status syn_gpu_clock_open(syn_gpu_clock **clock)
{
    syn_gpu_clock *c = (syn_gpu_clock *)calloc(1, sizeof *c);
    *clock = NULL;
    if (!c) return syn_fail(SYN_ERR_MEMORY, "out of memory for a clock");
    cudaError_t error = cudaEventCreate(&c->begun);
    if (error == cudaSuccess) {
        error = cudaEventCreate(&c->ended);
        if (error != cudaSuccess) (void)cudaEventDestroy(c->begun);
    }
    if (error == cudaSuccess)
        *clock = c;
    else
        free(c);
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "making events");
}

extern "C" syn_status syn_gpu_clock_start(syn_ctx *ctx, syn_gpu_clock *clock)
{
    const cudaError_t error = cudaEventRecord(clock->begun, (cudaStream_t)ctx->stream);
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "recording an event");
}

extern "C" syn_status syn_gpu_clock_stop(syn_ctx *ctx, syn_gpu_clock *clock, double *us)
{
    float ms = 0;
    cudaError_t error = cudaEventRecord(clock->ended, (cudaStream_t)ctx->stream);
    if (error == cudaSuccess) error = cudaEventSynchronize(clock->ended);
    if (error == cudaSuccess) error = cudaEventElapsedTime(&ms, clock->begun, clock->ended);
    *us = 1e3 * ms;
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "waiting for an event");
}

extern "C" void syn_gpu_clock_close(syn_gpu_clock *clock)
{
    (void)cudaEventDestroy(clock->begun);
    (void)cudaEventDestroy(clock->ended);
    free(clock);
}

/* One attribute of the current device; 0 where it cannot be told. */
static int attribute(cudaDeviceAttr which)
{
    int device = 0, value = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&value, which, device) != cudaSuccess) {
        (void)cudaGetLastError();
        return 0;
    }
    return value;
}

extern "C" int64_t syn_gpu_l2_bytes(void)
{
    return attribute(cudaDevAttrL2CacheSize);
}

extern "C" syn_status syn_gpu_describe(syn_gpu_facts *facts)
{
    cudaDeviceProp properties;
    int device = 0, driver = 0, runtime = 0;
    memset(facts, 0, sizeof *facts);
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, device);
    if (error == cudaSuccess) error = cudaDriverGetVersion(&driver);
    if (error == cudaSuccess) error = cudaRuntimeGetVersion(&runtime);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        return syn_cuda_failed(error, "asking for the device");
    }
    snprintf(facts->name, sizeof facts->name, "%s", properties.name);
    snprintf(facts->driver, sizeof facts->driver, "%d.%d", driver / 1000, driver % 1000 / 10);
    snprintf(facts->runtime, sizeof facts->runtime, "%d.%d", runtime / 1000, runtime % 1000 / 10);
    facts->major = properties.major;
    facts->minor = properties.minor;
    facts->multiprocessors = properties.multiProcessorCount;
    facts->memory_gb = (double)properties.totalGlobalMem * 1e-9;
    facts->l2_mb = (double)syn_gpu_l2_bytes() / 1048576;
    facts->clock_mhz = attribute(cudaDevAttrClockRate) * 1e-3;
    facts->shared_kb = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin) / 1024;
    return SYN_OK;
}
