/* Memory of the device: one reserved range that the program may only touch while kernels and copies
 * run, so that host code which reads a device buffer ends at once. Blocks are filled with 0xff
 * (NaN) and lie between margins that are checked. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <sys/mman.h>

#include "tests/emulator/device.h"

#ifdef __SANITIZE_ADDRESS__
#    include <sanitizer/asan_interface.h>
#else
#    define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#    define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

static const size_t RANGE_BYTES = (size_t)1 << 36, MARGIN = 256, ALIGN = 256;
static const size_t PAGE = 2 << 20; /* a large one: opening and shutting takes a step per page */
static const int MARGIN_BYTE = 0xa5;

static unsigned char *range;
static size_t range_used; /* the highest byte ever given out */
static int opened;
static size_t bytes_given;
/* From offset: bytes that were asked for; bytes that are free. Holes lie between. */
static std::map<size_t, size_t> blocks, holes;
static std::map<uintptr_t, size_t> pinned;

static size_t footprint(size_t bytes)
{
    return MARGIN + (bytes + ALIGN - 1) / ALIGN * ALIGN + MARGIN;
}

static void make_range()
{
    if (range) return;
    void *p =
        mmap(nullptr, RANGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "CUDA emulator: no address space for device memory\n");
        abort();
    }
    range = (unsigned char *)(((uintptr_t)p + PAGE - 1) / PAGE * PAGE);
    (void)madvise(range, RANGE_BYTES, MADV_HUGEPAGE);
    holes[0] = RANGE_BYTES;
}

void emu_memory_open()
{
    if (opened++ == 0 && range_used) (void)mprotect(range, range_used, PROT_READ | PROT_WRITE);
}

void emu_memory_close()
{
    const char *protect = getenv("SYN_EMULATOR_PROTECT");
    if (--opened == 0 && range_used && !(protect && strcmp(protect, "0") == 0))
        (void)mprotect(range, range_used, PROT_NONE);
}

bool emu_on_device(const void *p)
{
    return range && (const unsigned char *)p >= range &&
           (const unsigned char *)p < range + RANGE_BYTES;
}

bool emu_device_range(const void *p, size_t bytes)
{
    if (!emu_on_device(p)) return false;
    const size_t offset = (size_t)((const unsigned char *)p - range);
    auto after = blocks.upper_bound(offset);
    if (after == blocks.begin()) return false;
    auto block = std::prev(after);
    return offset - block->first <= block->second &&
           bytes <= block->second - (offset - block->first);
}

bool emu_pinned_range(const void *p, size_t bytes)
{
    auto after = pinned.upper_bound((uintptr_t)p);
    if (after == pinned.begin()) return false;
    auto block = std::prev(after);
    return (uintptr_t)p + bytes <= block->first + block->second;
}

/* ---- Blocks ---- */

static bool take_hole(size_t bytes, size_t *start)
{
    for (auto hole = holes.begin(); hole != holes.end(); ++hole) {
        if (hole->second < bytes) continue;
        *start = hole->first;
        const size_t left = hole->second - bytes;
        holes.erase(hole);
        if (left) holes[*start + bytes] = left;
        return true;
    }
    return false;
}

static void give_hole(size_t start, size_t bytes)
{
    auto after = holes.lower_bound(start);
    if (after != holes.end() && after->first == start + bytes) {
        bytes += after->second;
        after = holes.erase(after);
    }
    if (after != holes.begin()) {
        auto before = std::prev(after);
        if (before->first + before->second == start) {
            before->second += bytes;
            return;
        }
    }
    holes[start] = bytes;
}

static void check_margin(const unsigned char *p, size_t bytes, const char *side, size_t block)
{
#ifndef __SANITIZE_ADDRESS__
    for (size_t i = 0; i < bytes; i++) {
        if (p[i] == MARGIN_BYTE) continue;
        fprintf(stderr, "CUDA emulator: somebody wrote %s a block of device memory of %zu bytes\n",
                side, block);
        abort();
    }
#else
    (void)p, (void)bytes, (void)side, (void)block;
#endif
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    emu_guard guard(emu_mutex);
    *p = nullptr;
    cudaError_t error = emu_forbidden_in_capture();
    if (error != cudaSuccess) return emu_error(error);
    if (!bytes) return cudaSuccess;
    make_range();
    const size_t room = emu_device_now().memory, whole = footprint(bytes);
    size_t start;
    if (whole < bytes || bytes_given + whole > room || !take_hole(whole, &start))
        return emu_error(cudaErrorMemoryAllocation);
    if (start + whole > range_used) range_used = (start + whole + PAGE - 1) / PAGE * PAGE;
    (void)mprotect(range, range_used, PROT_READ | PROT_WRITE);
    unsigned char *data = range + start + MARGIN;
    ASAN_UNPOISON_MEMORY_REGION(range + start, whole);
    memset(range + start, MARGIN_BYTE, MARGIN);
    memset(data, 0xff, bytes);
    memset(data + bytes, MARGIN_BYTE, whole - MARGIN - bytes);
    ASAN_POISON_MEMORY_REGION(range + start, MARGIN);
    ASAN_POISON_MEMORY_REGION(data + bytes, whole - MARGIN - bytes);
    emu_memory_open(); /* and shut, as it was before */
    emu_memory_close();
    blocks[start + MARGIN] = bytes;
    bytes_given += whole;
    *p = data;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    emu_guard guard(emu_mutex);
    if (!p) return cudaSuccess;
    cudaError_t error = emu_forbidden_in_capture();
    if (error != cudaSuccess) return emu_error(error);
    emu_drain();
    auto block =
        emu_on_device(p) ? blocks.find((size_t)((unsigned char *)p - range)) : blocks.end();
    if (block == blocks.end())
        return emu_refuse(cudaErrorInvalidValue, "cudaFree of %p, which is no block", p);
    const size_t bytes = block->second, whole = footprint(bytes), start = block->first - MARGIN;
    emu_memory_open();
    check_margin(range + start, MARGIN, "before", bytes);
    check_margin(range + block->first + bytes, whole - MARGIN - bytes, "behind", bytes);
    memset(p, 0xff, bytes);
    ASAN_POISON_MEMORY_REGION(range + start, whole);
    emu_memory_close();
    blocks.erase(block);
    bytes_given -= whole;
    give_hole(start, whole);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    emu_guard guard(emu_mutex);
    *total = emu_device_now().memory;
    *free_bytes = *total > bytes_given ? *total - bytes_given : 0;
    return cudaSuccess;
}

/* ---- Pinned memory of the host ---- */

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags;
    emu_guard guard(emu_mutex);
    *p = nullptr;
    cudaError_t error = emu_forbidden_in_capture();
    if (error != cudaSuccess) return emu_error(error);
    if (!bytes) return cudaSuccess;
    void *data = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    if (!data) return emu_error(cudaErrorMemoryAllocation);
    memset(data, 0xff, bytes);
    pinned[(uintptr_t)data] = bytes;
    *p = data;
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    return cudaHostAlloc(p, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *p)
{
    emu_guard guard(emu_mutex);
    if (!p) return cudaSuccess;
    cudaError_t error = emu_forbidden_in_capture();
    if (error != cudaSuccess) return emu_error(error);
    emu_drain();
    if (!pinned.erase((uintptr_t)p))
        return emu_refuse(cudaErrorInvalidValue, "cudaFreeHost of %p, which is no block", p);
    free(p);
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *p)
{
    emu_guard guard(emu_mutex);
    memset(attributes, 0, sizeof *attributes);
    attributes->type = emu_device_range(p, 1)   ? cudaMemoryTypeDevice
                       : emu_pinned_range(p, 1) ? cudaMemoryTypeHost
                                                : cudaMemoryTypeUnregistered;
    if (attributes->type != cudaMemoryTypeUnregistered)
        attributes->devicePointer = const_cast<void *>(p);
    if (attributes->type != cudaMemoryTypeDevice) attributes->hostPointer = const_cast<void *>(p);
    return cudaSuccess;
}
