/* The pretended device, what it refuses, and how the blocks of a kernel are run. */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "tests/emulator/device.h"
#include "tests/emulator/threads.h"

#ifdef __SANITIZE_ADDRESS__
#    include <sanitizer/asan_interface.h>
#else
#    define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#    define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
    THREADS_MAX = 1024,
    SM_THREADS = 2048,
    SM_BLOCKS = 32,
    SHARED_DEFAULT = 48 << 10,
    SHARED_RESERVED = 1 << 10, /* of a block */
    CLUSTER_PORTABLE = 8,
    CLUSTER_MAX = 16,
    GRID_YZ_MAX = 65535,
    MARGIN = 1024,
    MARGIN_BYTE = 0xa5
};

/* ---- Device ---- */

static long setting(const char *name, long otherwise, long min, long max)
{
    const char *text = getenv(name);
    if (!text) return otherwise;
    char *end;
    const long value = strtol(text, &end, 10);
    if (*text && !*end && value >= min && value <= max) return value;
    fprintf(stderr, "CUDA emulator: %s is %s, allowed are %ld to %ld\n", name, text, min, max);
    abort();
}

emu_device emu_device_now()
{
    const long arch = setting("SYN_EMULATOR_ARCH", 90, 80, 99);
    const long shared = setting("SYN_EMULATOR_SHARED_KB", arch >= 90 ? 227 : 163, 48, 227);
    return emu_device{(int)(arch / 10),
                      (int)(arch % 10),
                      (int)setting("SYN_EMULATOR_SMS", 132, 1, 1024),
                      (int)setting("SYN_EMULATOR_BUILT", arch, 80, arch),
                      (size_t)shared << 10,
                      (size_t)setting("SYN_EMULATOR_MEMORY_MB", 1024, 1, 32768) << 20};
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return emu_error(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = 13000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    return cudaDriverGetVersion(version);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    if (device != 0) return emu_error(cudaErrorInvalidDevice);
    const emu_device d = emu_device_now();
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated sm_%d%d", d.major, d.minor);
    p->totalGlobalMem = d.memory;
    p->sharedMemPerBlock = SHARED_DEFAULT;
    p->sharedMemPerBlockOptin = d.shared_max;
    p->sharedMemPerMultiprocessor = d.shared_max + SHARED_RESERVED;
    p->reservedSharedMemPerBlock = SHARED_RESERVED;
    p->totalConstMem = 64 << 10;
    p->major = d.major;
    p->minor = d.minor;
    p->multiProcessorCount = d.sms;
    p->warpSize = 32;
    p->maxThreadsPerBlock = THREADS_MAX;
    p->maxThreadsPerMultiProcessor = SM_THREADS;
    p->maxBlocksPerMultiProcessor = SM_BLOCKS;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->l2CacheSize = 50 << 20;
    p->cooperativeLaunch = p->concurrentKernels = 1;
    const int threads[3] = {THREADS_MAX, THREADS_MAX, 64};
    const int grid[3] = {INT32_MAX, GRID_YZ_MAX, GRID_YZ_MAX};
    memcpy(p->maxThreadsDim, threads, sizeof threads);
    memcpy(p->maxGridSize, grid, sizeof grid);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    cudaDeviceProp p;
    cudaError_t error = cudaGetDeviceProperties(&p, device);
    if (error != cudaSuccess) return error;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxBlockDimX:
        *value = p.maxThreadsDim[0];
        break;
    case cudaDevAttrMaxBlockDimY:
        *value = p.maxThreadsDim[1];
        break;
    case cudaDevAttrMaxBlockDimZ:
        *value = p.maxThreadsDim[2];
        break;
    case cudaDevAttrMaxGridDimX:
        *value = p.maxGridSize[0];
        break;
    case cudaDevAttrMaxGridDimY:
        *value = p.maxGridSize[1];
        break;
    case cudaDevAttrMaxGridDimZ:
        *value = p.maxGridSize[2];
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = (int)p.sharedMemPerBlock;
        break;
    case cudaDevAttrWarpSize:
        *value = p.warpSize;
        break;
    case cudaDevAttrMaxRegistersPerBlock:
        *value = p.regsPerBlock;
        break;
    case cudaDevAttrClockRate:
        *value = 1980000;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = 3201000;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = 6144;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = SM_THREADS;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = (int)p.sharedMemPerMultiprocessor;
        break;
    case cudaDevAttrCooperativeLaunch:
        *value = 1;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = SM_BLOCKS;
        break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
        *value = SHARED_RESERVED;
        break;
    case cudaDevAttrClusterLaunch:
        *value = p.major >= 9;
        break;
    default:
        return emu_error(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

/* ---- Attributes and occupancy ---- */

struct attributes {
    size_t shared_max = SHARED_DEFAULT;
    bool large_clusters = false;
};

static std::map<const void *, attributes> kernels;

cudaError_t emu_set_attribute(const void *function, cudaFuncAttribute attribute, int value)
{
    emu_guard guard(emu_mutex);
    switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize:
        if (value < 0 || (size_t)value > emu_device_now().shared_max)
            return emu_refuse(cudaErrorInvalidValue, "%d bytes of shared memory for a block",
                              value);
        kernels[function].shared_max = std::max<size_t>((size_t)value, SHARED_DEFAULT);
        return cudaSuccess;
    case cudaFuncAttributeNonPortableClusterSizeAllowed:
        kernels[function].large_clusters = value != 0;
        return cudaSuccess;
    case cudaFuncAttributePreferredSharedMemoryCarveout:
        return cudaSuccess;
    }
    return emu_error(cudaErrorInvalidValue);
}

cudaError_t emu_get_attributes(cudaFuncAttributes *a, const void *function)
{
    emu_guard guard(emu_mutex);
    memset(a, 0, sizeof *a);
    a->maxThreadsPerBlock = THREADS_MAX;
    a->numRegs = 32;
    a->ptxVersion = a->binaryVersion = emu_device_now().built;
    a->maxDynamicSharedSizeBytes = (int)kernels[function].shared_max;
    return cudaSuccess;
}

cudaError_t emu_occupancy(int *blocks, const void *function, int threads, size_t shared_bytes)
{
    emu_guard guard(emu_mutex);
    *blocks = 0;
    if (threads < 1 || threads > THREADS_MAX) return emu_error(cudaErrorInvalidValue);
    if (shared_bytes > kernels[function].shared_max) return cudaSuccess;
    const size_t shared = emu_device_now().shared_max + SHARED_RESERVED;
    const size_t by_shared = shared / (shared_bytes + SHARED_RESERVED);
    const size_t by_threads = SM_THREADS / (((size_t)threads + 31) / 32 * 32);
    *blocks = (int)std::min<size_t>(std::min(by_shared, by_threads), SM_BLOCKS);
    return cudaSuccess;
}

static cudaError_t read_config(const cudaLaunchConfig_t *config, emu_launch *launch)
{
    launch->grid = config->gridDim;
    launch->block = config->blockDim;
    launch->shared_bytes = config->dynamicSmemBytes;
    launch->cluster = 1;
    launch->cooperative = launch->early = false;
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const cudaLaunchAttribute &a = config->attrs[i];
        if (a.id == cudaLaunchAttributeCooperative) {
            launch->cooperative = a.val.cooperative != 0;
        } else if (a.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
            if (emu_device_now().built < 90)
                return emu_refuse(cudaErrorInvalidValue, "an early launch of a kernel that has "
                                                         "not been built for sm_90");
            launch->early = true;
        } else {
            launch->cluster = a.val.clusterDim.x;
            if (a.val.clusterDim.y != 1 || a.val.clusterDim.z != 1)
                return emu_refuse(cudaErrorNotSupported, "clusters along y or z");
        }
    }
    return cudaSuccess;
}

static cudaError_t check_cluster(const emu_launch *l)
{
    if (l->cluster == 1) return cudaSuccess;
    if (emu_device_now().major < 9)
        return emu_refuse(cudaErrorInvalidValue, "clusters on sm_%d", emu_device_now().major * 10);
    if (l->cluster < 1 || l->cluster > CLUSTER_MAX || l->grid.x % l->cluster)
        return emu_refuse(cudaErrorInvalidClusterSize, "%s: clusters of %u blocks, %u blocks in x",
                          l->name, l->cluster, l->grid.x);
    if (l->cluster > CLUSTER_PORTABLE && !kernels[l->function].large_clusters)
        return emu_refuse(cudaErrorInvalidClusterSize,
                          "%s: clusters of %u blocks need "
                          "cudaFuncAttributeNonPortableClusterSizeAllowed",
                          l->name, l->cluster);
    return cudaSuccess;
}

cudaError_t emu_clusters(int *clusters, const void *function, const cudaLaunchConfig_t *config)
{
    emu_guard guard(emu_mutex);
    emu_launch l = {};
    int blocks;
    *clusters = 0;
    l.name = "occupancy";
    l.function = function;
    cudaError_t error = read_config(config, &l);
    if (error == cudaSuccess) error = check_cluster(&l);
    if (error != cudaSuccess) return error;
    error =
        emu_occupancy(&blocks, function, (int)(l.block.x * l.block.y * l.block.z), l.shared_bytes);
    *clusters = blocks * (emu_device_now().sms / (int)l.cluster);
    return error;
}

/* ---- Launches ---- */

static thread_local const char *next_name;

void emu_name(const char *kernel)
{
    next_name = kernel;
}

static cudaError_t check_launch(const emu_launch *l)
{
    const size_t threads = (size_t)l->block.x * l->block.y * l->block.z;
    if (!l->grid.x || !l->grid.y || !l->grid.z || l->grid.x > INT32_MAX ||
        l->grid.y > GRID_YZ_MAX || l->grid.z > GRID_YZ_MAX || !threads || threads > THREADS_MAX ||
        l->block.z > 64)
        return emu_refuse(cudaErrorInvalidConfiguration,
                          "%s: a grid of (%u,%u,%u) blocks of (%u,%u,%u) threads", l->name,
                          l->grid.x, l->grid.y, l->grid.z, l->block.x, l->block.y, l->block.z);
    if (l->shared_bytes > kernels[l->function].shared_max)
        return emu_refuse(cudaErrorInvalidValue,
                          "%s: %zu bytes of dynamic shared memory, cudaFuncSetAttribute allowed "
                          "%zu",
                          l->name, l->shared_bytes, kernels[l->function].shared_max);
    if (l->cooperative) {
        int blocks;
        (void)emu_occupancy(&blocks, l->function, (int)threads, l->shared_bytes);
        const uint64_t grid = (uint64_t)l->grid.x * l->grid.y * l->grid.z;
        if (grid > (uint64_t)blocks * (uint64_t)emu_device_now().sms)
            return emu_refuse(cudaErrorCooperativeLaunchTooLarge, "%s: %llu blocks at once",
                              l->name, (unsigned long long)grid);
    }
    return check_cluster(l);
}

cudaError_t emu_launch_kernel(const cudaLaunchConfig_t *config, const void *function,
                              std::function<void()> body)
{
    emu_guard guard(emu_mutex);
    emu_launch launch = {};
    launch.name = next_name ? next_name : "without a name";
    next_name = nullptr;
    launch.function = function;
    cudaError_t error = read_config(config, &launch);
    if (error == cudaSuccess) error = check_launch(&launch);
    if (error != cudaSuccess) return error;
    launch.body = std::move(body);
    return emu_error(emu_submit(config->stream, [launch] { emu_run(launch); }));
}

/* ---- Blocks ---- */

/* Static __shared__ variables, but for those in templates. */
extern unsigned char __start_emu_shared[] __attribute__((weak));
extern unsigned char __stop_emu_shared[] __attribute__((weak));

static void poison_static()
{
    if (!__start_emu_shared) return;
    memset(__start_emu_shared, 0xff, (size_t)(__stop_emu_shared - __start_emu_shared));
}

/* There is one copy of them, so blocks that run together would share it. */
static void check_static()
{
    if (!__start_emu_shared) return;
    for (const unsigned char *p = __start_emu_shared; p < __stop_emu_shared; p++)
        if (*p != 0xff)
            emu_fail("writes to a static __shared__ variable although its blocks run together: "
                     "use SYN_DYNAMIC_SHARED");
}

/* Aligned to 128 bytes and to no more, as the launch promises. */
static void shared_take(emu_block *b, size_t bytes)
{
    b->shared_base =
        (unsigned char *)aligned_alloc(256, (2 * MARGIN + bytes + 128 + 255) / 256 * 256);
    if (!b->shared_base) emu_fail("no memory for %zu bytes of shared memory", bytes);
    b->shared = b->shared_base + MARGIN + 128;
    memset(b->shared - MARGIN, MARGIN_BYTE, MARGIN);
    memset(b->shared, 0xff, bytes);
    memset(b->shared + bytes, MARGIN_BYTE, MARGIN - 128);
    ASAN_POISON_MEMORY_REGION(b->shared - MARGIN, MARGIN);
    ASAN_POISON_MEMORY_REGION(b->shared + bytes, MARGIN - 128);
}

static void shared_give(emu_block *b, size_t bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(b->shared - MARGIN, MARGIN);
    ASAN_UNPOISON_MEMORY_REGION(b->shared + bytes, MARGIN - 128);
    emu_self = b->first;
    for (int i = 1; i <= MARGIN; i++)
        if (b->shared[-i] != MARGIN_BYTE) emu_fail("the block wrote before its shared memory");
    for (int i = 0; i < MARGIN - 128; i++)
        if (b->shared[bytes + (size_t)i] != MARGIN_BYTE)
            emu_fail("the block wrote %d bytes behind its %zu of shared memory", i, bytes);
    emu_self = nullptr;
    free(b->shared_base);
}

static void block_begin(const emu_launch &l, emu_block *b, uint64_t linear, unsigned at)
{
    const unsigned threads = l.block.x * l.block.y * l.block.z;
    b->index = uint3{(unsigned)(linear % l.grid.x), (unsigned)(linear / l.grid.x % l.grid.y),
                     (unsigned)(linear / l.grid.x / l.grid.y)};
    b->threads = threads;
    b->first = &emu_running.threads[(size_t)at * threads];
    b->warps = &emu_running.warps[(size_t)at * ((threads + 31) / 32)];
    b->rank = at % l.cluster;
    b->cluster = &emu_running.clusters[at / l.cluster];
    b->cluster->threads += threads;
    b->cluster_first = &emu_running.blocks[at - b->rank];
    for (unsigned i = 0; i < threads; i++) {
        emu_thread *t = &b->first[i];
        t->index = uint3{i % l.block.x, i / l.block.x % l.block.y, i / l.block.x / l.block.y};
        t->linear = i;
        t->block = b;
        b->warps[i / 32].exist |= 1u << i % 32;
    }
    shared_take(b, l.shared_bytes);
}

/* Blocks first .. first + count - 1 at the same time. */
static void run_group(const emu_launch &l, uint64_t first, unsigned count)
{
    const size_t threads = (size_t)l.block.x * l.block.y * l.block.z;
    emu_group &g = emu_running;
    g.blocks.assign(count, emu_block{});
    g.clusters.assign((count + l.cluster - 1) / l.cluster, emu_cluster{});
    g.threads.assign(threads * count, emu_thread{});
    g.warps.assign((threads + 31) / 32 * count, emu_warp_state{});
    for (unsigned i = 0; i < count; i++) block_begin(l, &g.blocks[i], first + i, i);
    poison_static();
    emu_group_run();
    if (count > 1) check_static();
    for (emu_block &b : g.blocks) shared_give(&b, l.shared_bytes);
}

/* SYN_EMULATOR_ORDER: forward, reverse, or a number that seeds a shuffle. */
static void make_order(std::vector<unsigned> *order, size_t n)
{
    const char *text = getenv("SYN_EMULATOR_ORDER");
    order->resize(n);
    for (size_t i = 0; i < n; i++) (*order)[i] = (unsigned)i;
    if (!text || strcmp(text, "forward") == 0) return;
    if (strcmp(text, "reverse") == 0) {
        std::reverse(order->begin(), order->end());
        return;
    }
    uint64_t state = (uint64_t)setting("SYN_EMULATOR_ORDER", 0, 0, 1000000000) + 1;
    for (size_t i = n; i > 1; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        std::swap((*order)[i - 1], (*order)[(state >> 33) % i]);
    }
}

void emu_run(const emu_launch &launch)
{
    const uint64_t blocks = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    const unsigned together = launch.cooperative ? (unsigned)blocks : launch.cluster;
    const char *haste = getenv("SYN_EMULATOR_HASTE");
    emu_haste = haste && strcmp(haste, "1") == 0;
    emu_now = &launch;
    gridDim = launch.grid;
    blockDim = launch.block;
    make_order(&emu_running.order,
               (size_t)together * launch.block.x * launch.block.y * launch.block.z);
    for (uint64_t first = 0; first < blocks; first += together) run_group(launch, first, together);
    emu_now = nullptr;
}
