/* The device that is pretended, its memory, and its queue of work. */
#ifndef EMU_DEVICE_H
#define EMU_DEVICE_H

#include <cuda_runtime.h>

#include <functional>
#include <mutex>
#include <vector>

/* Read from the environment at every call: see README. */
struct emu_device {
    int major, minor, sms;
    int built;         /* what kernels have been compiled for: 10 major + minor */
    size_t shared_max; /* of a block, opted in */
    size_t memory;
};
emu_device emu_device_now();

/* Held by every call of the runtime. */
extern std::recursive_mutex emu_mutex;
class emu_guard
{
  public:
    explicit emu_guard(std::recursive_mutex &mutex);
    ~emu_guard();
    emu_guard(const emu_guard &) = delete;
    emu_guard &operator=(const emu_guard &) = delete;
};
/* Lets other threads in for a moment, however often this one holds the mutex. */
void emu_yield();

/* Remembers an error as the calling thread's last. */
cudaError_t emu_error(cudaError_t error);
/* Tells the reason once on stderr; for errors whose code says little. */
cudaError_t emu_refuse(cudaError_t error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Memory (memory.cpp) ---- */

bool emu_on_device(const void *p);
/* Whether [p, p + bytes) lies in one allocation of the device; in pinned memory of the host. */
bool emu_device_range(const void *p, size_t bytes);
bool emu_pinned_range(const void *p, size_t bytes);
/* While it is open, this program may touch device memory. */
void emu_memory_open();
void emu_memory_close();

/* ---- Work (runtime.cpp) ---- */

/* Puts work on a stream: into the graph that it captures, or into the queue. */
cudaError_t emu_submit(cudaStream_t stream, std::function<void()> work);
/* Work that has to wait for other processes: it is asked again and again whether it is ready, once
 * all before it is done, and then done. */
cudaError_t emu_submit_when(cudaStream_t stream, std::function<bool()> ready,
                            std::function<void()> work);
/* Does all that is queued. */
void emu_drain();
/* cudaErrorStreamCaptureUnsupported, and the capture is void, while a stream captures that forbids
 * such calls to this thread. */
cudaError_t emu_forbidden_in_capture();
bool emu_stream_captures(cudaStream_t stream);

#endif
