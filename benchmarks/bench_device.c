#include "benchmarks/bench_device.h"

#include <stdio.h>

#include "benchmarks/gpu_cudnn.h"
#include "benchmarks/gpu_time.h"

syn_status syn_bench_device(syn_ctx *ctx, bool tiny, syn_gpu_limits *limits)
{
    syn_gpu_facts f;
    SYN_RETURN_IF(syn_gpu_describe(&f));
    printf("{\"bench\": \"device\", \"name\": \"%s\", \"compute\": \"%d.%d\", \"driver_cuda\": "
           "\"%s\", \"runtime_cuda\": \"%s\", \"multiprocessors\": %d, \"memory_gb\": %.1f, "
           "\"l2_mb\": %.1f, \"clock_mhz\": %.0f, \"shared_kb\": %d, \"cudnn\": %d}\n",
           f.name, f.major, f.minor, f.driver, f.runtime, f.multiprocessors, f.memory_gb, f.l2_mb,
           f.clock_mhz, f.shared_kb, syn_cudnn_version());
    fflush(stdout);
    SYN_RETURN_IF(syn_gpu_limits_measure(ctx, tiny, limits));
    printf("{\"bench\": \"limits\", \"copy_gbs\": %.1f, \"bf16_tflops\": %.4g, \"tf32_tflops\": "
           "%.4g, \"fp32_tflops\": %.4g, \"hop_us\": %.4f, \"grid_us\": %.4f, \"launch_us\": "
           "%.4f}\n",
           limits->copy_gbs, limits->bf16_tflops, limits->tf32_tflops, limits->fp32_tflops,
           limits->hop_us, limits->grid_us, limits->launch_us);
    fflush(stdout);
    return SYN_OK;
}

syn_status syn_bench_kernels_cuda(syn_ctx *ctx, const syn_gpu_lstm_options *options)
{
    syn_gpu_limits limits;
    int rows = 0;
    SYN_RETURN_IF(syn_bench_device(ctx, options->tiny, &limits));
    return syn_gpu_lstm(ctx, &limits, options, &rows);
}
