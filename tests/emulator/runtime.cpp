/* The runtime: streams, events, copies, graphs. Work is queued and done when somebody waits (or at
 * once with SYN_EMULATOR_SYNC=1), all streams in the order of the calls. */
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <memory>
#include <thread>
#include <unistd.h>
#if defined(__x86_64__)
#    include <immintrin.h>
#endif

#include "tests/emulator/device.h"

typedef std::function<void()> emu_work;

struct emu_item {
    std::function<bool()> ready; /* empty: always */
    emu_work work;
};

struct CUgraph_st {
    std::vector<emu_item> work;
    bool broken;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    cudaStream_t origin;
};

struct CUgraphExec_st {
    std::shared_ptr<std::vector<emu_item>> work;
};

struct CUstream_st {
    CUgraph_st *capture; /* NULL: none */
};

struct CUevent_st {
    bool recorded, done, timed;
    double time_s;
    CUgraph_st *capture; /* recorded in it */
};

std::recursive_mutex emu_mutex;
static thread_local int held; /* how often this thread has the mutex */
static std::deque<emu_item> queue;
static std::vector<CUgraph_st *> captures;
static bool draining;
static std::thread::id drains; /* who, while draining */

emu_guard::emu_guard(std::recursive_mutex &mutex)
{
    mutex.lock();
    held++;
}

emu_guard::~emu_guard()
{
    held--;
    emu_mutex.unlock();
}

void emu_yield()
{
    for (int k = 0; k < held; k++) emu_mutex.unlock();
    usleep(100);
    for (int k = 0; k < held; k++) emu_mutex.lock();
}

/* ---- Work ---- */

static bool set_to_one(const char *name)
{
    const char *text = getenv(name);
    return text && strcmp(text, "1") == 0;
}

/* Devices do not flush denormals unless they are told to, whatever the calling thread has set. */
static void run(const emu_work &work)
{
    if (set_to_one("SYN_EMULATOR_SKIP")) return;
#if defined(__x86_64__)
    const unsigned control = _mm_getcsr();
    _mm_setcsr(0x1f80);
    work();
    _mm_setcsr(control);
#else
    work();
#endif
}

/* Does what is queued; without `wait`, up to work that waits for other processes, or nothing while
 * another thread is at it. */
static void drain(bool wait)
{
    while (draining && drains != std::this_thread::get_id() && wait) emu_yield();
    if (draining || queue.empty()) return;
    draining = true;
    drains = std::this_thread::get_id();
    emu_memory_open();
    while (!queue.empty()) {
        if (queue.front().ready && !queue.front().ready()) {
            if (!wait) break;
            emu_yield();
            continue;
        }
        emu_item item = std::move(queue.front());
        queue.pop_front();
        run(item.work);
    }
    emu_memory_close();
    draining = false;
}

void emu_drain()
{
    drain(true);
}

bool emu_stream_captures(cudaStream_t stream)
{
    return stream && stream->capture;
}

static cudaError_t submit(cudaStream_t stream, emu_item item)
{
    if (emu_stream_captures(stream)) {
        if (stream->capture->broken) return cudaErrorStreamCaptureInvalidated;
        stream->capture->work.push_back(std::move(item));
        return cudaSuccess;
    }
    queue.push_back(std::move(item));
    if (set_to_one("SYN_EMULATOR_SYNC")) emu_drain();
    return cudaSuccess;
}

cudaError_t emu_submit(cudaStream_t stream, emu_work work)
{
    return submit(stream, emu_item{nullptr, std::move(work)});
}

cudaError_t emu_submit_when(cudaStream_t stream, std::function<bool()> ready, emu_work work)
{
    return submit(stream, emu_item{std::move(ready), std::move(work)});
}

cudaError_t emu_forbidden_in_capture()
{
    for (CUgraph_st *g : captures) {
        if (g->mode == cudaStreamCaptureModeRelaxed) continue;
        if (g->mode == cudaStreamCaptureModeThreadLocal && g->thread != std::this_thread::get_id())
            continue;
        g->broken = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    return cudaSuccess;
}

/* ---- Streams ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = new CUstream_st();
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    (void)priority;
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    if (!stream) return emu_error(cudaErrorInvalidResourceHandle);
    emu_drain();
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    (void)stream;
    cudaError_t error = emu_forbidden_in_capture();
    if (error == cudaSuccess) emu_drain();
    return emu_error(error);
}

cudaError_t cudaDeviceSynchronize()
{
    return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    (void)stream;
    cudaError_t error = emu_forbidden_in_capture();
    if (error != cudaSuccess) return emu_error(error);
    drain(false);
    return emu_error(queue.empty() ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data)
{
    emu_guard guard(emu_mutex);
    return emu_error(emu_submit(stream, [=] { function(data); }));
}

/* ---- Events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    *event = new CUevent_st();
    (*event)->timed = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    emu_guard guard(emu_mutex);
    emu_drain();
    delete event;
    return cudaSuccess;
}

static double now_s()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    if (emu_stream_captures(stream)) {
        event->capture = stream->capture;
        return cudaSuccess;
    }
    event->recorded = true;
    event->done = false;
    event->capture = nullptr;
    return emu_error(emu_submit(stream, [=] {
        event->time_s = now_s();
        event->done = true;
    }));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    emu_guard guard(emu_mutex);
    if (event->capture) event->capture->broken = true;
    if (event->capture) return emu_error(cudaErrorStreamCaptureUnsupported);
    emu_drain();
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    emu_guard guard(emu_mutex);
    if (event->capture) event->capture->broken = true;
    if (event->capture) return emu_error(cudaErrorStreamCaptureUnsupported);
    drain(false);
    return emu_error(!event->recorded || event->done ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    emu_guard guard(emu_mutex);
    if (!start->timed || !end->timed || !start->recorded || !end->recorded)
        return emu_error(cudaErrorInvalidResourceHandle);
    if (!start->done || !end->done) return emu_error(cudaErrorNotReady);
    *ms = (float)(1e3 * (end->time_s - start->time_s));
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    emu_guard guard(emu_mutex);
    (void)flags; /* all streams run in the order of the calls; only captures must spread */
    if (!event->capture) return cudaSuccess;
    if (!stream || (stream->capture && stream->capture != event->capture))
        return emu_error(cudaErrorStreamCaptureIsolation);
    stream->capture = event->capture;
    return cudaSuccess;
}

/* ---- Copies ---- */

static bool kind_fits(cudaMemcpyKind kind, bool to_device, bool from_device)
{
    switch (kind) {
    case cudaMemcpyDefault:
        return true;
    case cudaMemcpyHostToHost:
        return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
        return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
        return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
        return to_device && from_device;
    }
    return false;
}

static cudaError_t check_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    const bool to_device = emu_on_device(to), from_device = emu_on_device(from);
    if (!kind_fits(kind, to_device, from_device))
        return emu_refuse(cudaErrorInvalidMemcpyDirection, "a copy of kind %d from %s to %s",
                          (int)kind, from_device ? "the device" : "the host",
                          to_device ? "the device" : "the host");
    if (to_device && !emu_device_range(to, bytes))
        return emu_refuse(cudaErrorInvalidValue, "a copy of %zu bytes past a block", bytes);
    if (from_device && !emu_device_range(from, bytes))
        return emu_refuse(cudaErrorInvalidValue, "a copy of %zu bytes from past a block", bytes);
    return cudaSuccess;
}

/* Host memory that is not pinned is read before the call returns, and written before it returns. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    cudaError_t error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess || !bytes) return error;
    const bool captured = emu_stream_captures(stream);
    if (!captured && !emu_on_device(from) && !emu_pinned_range(from, bytes)) {
        auto bounce = std::make_shared<std::vector<unsigned char>>(
            (const unsigned char *)from, (const unsigned char *)from + bytes);
        error = emu_submit(stream, [=] { memmove(to, bounce->data(), bytes); });
    } else {
        error = emu_submit(stream, [=] { memmove(to, from, bytes); });
    }
    if (!captured && !emu_on_device(to) && !emu_pinned_range(to, bytes)) emu_drain();
    return emu_error(error);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    emu_guard guard(emu_mutex);
    cudaError_t error = emu_forbidden_in_capture();
    if (error == cudaSuccess) error = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    if (error == cudaSuccess) emu_drain();
    return emu_error(error);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (width > to_pitch || width > from_pitch) return emu_error(cudaErrorInvalidValue);
    for (size_t i = 0; i < height; i++) {
        cudaError_t error =
            cudaMemcpyAsync((unsigned char *)to + i * to_pitch,
                            (const unsigned char *)from + i * from_pitch, width, kind, stream);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    if (!emu_device_range(p, bytes) && !emu_pinned_range(p, bytes))
        return emu_refuse(cudaErrorInvalidValue, "setting %zu bytes that are no block", bytes);
    return emu_error(emu_submit(stream, [=] { memset(p, value, bytes); }));
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    emu_guard guard(emu_mutex);
    cudaError_t error = emu_forbidden_in_capture();
    if (error == cudaSuccess) error = cudaMemsetAsync(p, value, bytes, nullptr);
    if (error == cudaSuccess) emu_drain();
    return emu_error(error);
}

/* ---- Graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode)
{
    emu_guard guard(emu_mutex);
    if (!stream) return emu_error(cudaErrorStreamCaptureImplicit);
    if (stream->capture) return emu_error(cudaErrorIllegalState);
    stream->capture = new CUgraph_st{{}, false, mode, std::this_thread::get_id(), stream};
    captures.push_back(stream->capture);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    emu_guard guard(emu_mutex);
    *graph = nullptr;
    if (!emu_stream_captures(stream)) return emu_error(cudaErrorIllegalState);
    CUgraph_st *g = stream->capture;
    if (g->origin != stream) return emu_error(cudaErrorStreamCaptureUnmatched);
    stream->capture = nullptr;
    for (size_t i = 0; i < captures.size(); i++)
        if (captures[i] == g) captures.erase(captures.begin() + (long)i--);
    if (g->broken) {
        delete g;
        return emu_error(cudaErrorStreamCaptureInvalidated);
    }
    *graph = g;
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    emu_guard guard(emu_mutex);
    *status = !emu_stream_captures(stream) ? cudaStreamCaptureStatusNone
              : stream->capture->broken    ? cudaStreamCaptureStatusInvalidated
                                           : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    emu_guard guard(emu_mutex);
    (void)flags;
    *exec = new CUgraphExec_st{std::make_shared<std::vector<emu_item>>(graph->work)};
    return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo *info)
{
    emu_guard guard(emu_mutex);
    const bool same = exec->work->size() == graph->work.size();
    if (info) {
        memset(info, 0, sizeof *info);
        info->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
    }
    if (!same) return emu_error(cudaErrorGraphExecUpdateFailure);
    exec->work = std::make_shared<std::vector<emu_item>>(graph->work);
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    (void)exec;
    (void)stream;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    const std::shared_ptr<std::vector<emu_item>> work = exec->work;
    cudaError_t error = cudaSuccess;
    for (size_t k = 0; k < work->size() && error == cudaSuccess; k++)
        error = submit(stream, (*work)[k]);
    return emu_error(error);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    if (nodes) return emu_error(cudaErrorNotSupported);
    *count = graph->work.size();
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}
