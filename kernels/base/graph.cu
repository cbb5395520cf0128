#include "kernels/base/graph.h"

#include "kernels/base/launch.cuh"

/* Other threads (of the sums over ranks) may go on with what a capture forbids. */
extern "C" syn_status syn_graph_begin_cuda(syn_ctx *ctx)
{
    const cudaError_t error =
        cudaStreamBeginCapture((cudaStream_t)ctx->stream, cudaStreamCaptureModeThreadLocal);
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "beginning to record a graph");
}

extern "C" syn_status syn_graph_end_cuda(syn_ctx *ctx, syn_graph *g)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    size_t nodes = 0;
    cudaError_t error = cudaStreamEndCapture((cudaStream_t)ctx->stream, &graph);
    if (!g) {
        if (graph) (void)cudaGraphDestroy(graph);
        (void)cudaGetLastError(); /* what broke the recording has been told */
        return SYN_OK;
    }
    if (error != cudaSuccess) return syn_cuda_failed(error, "recording a graph");
    error = cudaGraphGetNodes(graph, NULL, &nodes);
    if (error == cudaSuccess) error = cudaGraphInstantiate(&exec, graph, 0);
    (void)cudaGraphDestroy(graph);
    if (error != cudaSuccess) return syn_cuda_failed(error, "making a graph that can be launched");
    g->exec = exec;
    g->nodes = (int64_t)nodes;
    return SYN_OK;
}

extern "C" syn_status syn_graph_launch_cuda(syn_ctx *ctx, const syn_graph *g)
{
    const cudaError_t error = cudaGraphLaunch((cudaGraphExec_t)g->exec, (cudaStream_t)ctx->stream);
    return error == cudaSuccess ? SYN_OK : syn_cuda_failed(error, "launching a graph");
}

extern "C" void syn_graph_free_cuda(syn_ctx *ctx, syn_graph *g)
{
    (void)cudaStreamSynchronize((cudaStream_t)ctx->stream); /* it may be under way */
    (void)cudaGraphExecDestroy((cudaGraphExec_t)g->exec);
    g->exec = NULL;
}
