#include "benchmarks/gpu_cudnn.h"

const char *syn_cudnn_type_name(syn_cudnn_type type)
{
    static const char *const names[] = {"bf16", "fp16", "fp16 sums", "fp32"};
    return type < SYN_CUDNN_TYPES ? names[type] : "?";
}

const char *syn_cudnn_way_name(syn_cudnn_way way)
{
    static const char *const names[] = {"standard", "persist static", "persist dynamic",
                                        "persist small"};
    return way < SYN_CUDNN_WAYS ? names[way] : "?";
}

#ifndef SYN_HAVE_CUDNN

int syn_cudnn_version(void)
{
    return 0;
}

syn_status syn_cudnn_open(syn_ctx *ctx, const syn_cudnn_layer *layer, syn_cudnn_type type,
                          syn_cudnn_way way, syn_cudnn **out)
{
    (void)ctx, (void)layer, (void)type, (void)way;
    *out = NULL;
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no cuDNN");
}

syn_status syn_cudnn_run(syn_ctx *ctx, syn_cudnn *c, int set, bool backward)
{
    (void)ctx, (void)c, (void)set, (void)backward;
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no cuDNN");
}

syn_status syn_cudnn_output(syn_ctx *ctx, syn_cudnn *c, real *h, real *dx)
{
    (void)ctx, (void)c, (void)h, (void)dx;
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no cuDNN");
}

void syn_cudnn_close(syn_cudnn *c)
{
    (void)c;
}

#endif
