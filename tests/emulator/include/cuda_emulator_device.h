/* Qualifiers, vector types and functions of device code. */
#ifndef CUDA_EMULATOR_DEVICE_H
#define CUDA_EMULATOR_DEVICE_H

#include <algorithm>
#include <climits>
#include <math.h> /* with std:: functions by their plain names */
#include <stdlib.h>
#include <ctime>
#include <type_traits>

#include "cuda_emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __align__(n)    __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __constant__
#define __restrict__ __restrict
/* One copy for all blocks, which run one after the other where a kernel has such variables; filled
 * with 0xff at the start of each (but in templates, where the section is not kept). */
#define __shared__ static __attribute__((section("emu_shared")))

/* Of the thread that runs. */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

/* ---- Vectors ---- */

#define EMU_VECTOR(type, name, align2, align4)                                                     \
    struct name##1                                                                                 \
    {                                                                                              \
        type x;                                                                                    \
    };                                                                                             \
    struct alignas(align2) name##2                                                                 \
    {                                                                                              \
        type x, y;                                                                                 \
    };                                                                                             \
    struct alignas(align4) name##4                                                                 \
    {                                                                                              \
        type x, y, z, w;                                                                           \
    };                                                                                             \
    static inline name##2 make_##name##2(type x, type y)                                           \
    {                                                                                              \
        return name##2 {x, y};                                                                     \
    }                                                                                              \
    static inline name##4 make_##name##4(type x, type y, type z, type w)                           \
    {                                                                                              \
        return name##4 {x, y, z, w};                                                               \
    }
EMU_VECTOR(signed char, char, 2, 4)
EMU_VECTOR(unsigned char, uchar, 2, 4)
EMU_VECTOR(short, short, 4, 8)
EMU_VECTOR(unsigned short, ushort, 4, 8)
EMU_VECTOR(int, int, 8, 16)
EMU_VECTOR(unsigned, uint, 8, 16)
EMU_VECTOR(float, float, 8, 16)
EMU_VECTOR(long long, longlong, 16, 16)
EMU_VECTOR(unsigned long long, ulonglong, 16, 16)
EMU_VECTOR(double, double, 16, 16)
#undef EMU_VECTOR
struct int3 {
    int x, y, z;
};
struct float3 {
    float x, y, z;
};
static inline int3 make_int3(int x, int y, int z)
{
    return int3{x, y, z};
}
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z)
{
    return uint3{x, y, z};
}
static inline float3 make_float3(float x, float y, float z)
{
    return float3{x, y, z};
}

/* ---- Barriers of a block, fences, time ---- */

static inline void __syncthreads()
{
    (void)emu_block_barrier("__syncthreads", 0);
}
static inline int __syncthreads_count(int p)
{
    return (int)emu_block_barrier("__syncthreads_count", p != 0);
}
static inline int __syncthreads_or(int p)
{
    return emu_block_barrier("__syncthreads_or", p != 0) != 0;
}
static inline int __syncthreads_and(int p)
{
    return emu_block_barrier("__syncthreads_and", p == 0) == 0;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}
static inline void __nanosleep(unsigned ns)
{
    (void)ns;
    emu_poll();
}
static inline long long clock64()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    emu_poll();
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}
static inline unsigned long long emu_globaltimer()
{
    return (unsigned long long)clock64();
}
[[noreturn]] static inline void __trap()
{
    emu_fail("__trap");
}
static inline void __brkpt() {}
#define __builtin_assume(x) ((void)0)

/* ---- Functions of a warp ---- */

template <typename T> struct emu_shuffle {
    T value, result;
    unsigned source; /* lane */
};

template <typename T> static inline void emu_shuffle_all(void *const data[32], uint32_t mask)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1)) continue;
        emu_shuffle<T> *own = (emu_shuffle<T> *)data[lane];
        if (!(mask >> own->source & 1))
            emu_fail("lane %u shuffles from lane %u, which is not in mask %08x", lane, own->source,
                     mask);
        own->result = ((const emu_shuffle<T> *)data[own->source])->value;
    }
}

template <typename T>
static inline T emu_shuffled(unsigned mask, const char *what, T value, unsigned source)
{
    static_assert(sizeof(T) <= 8 && std::is_arithmetic<T>::value, "what a shuffle takes");
    emu_shuffle<T> own = {value, value, source};
    emu_warp(mask, what, emu_shuffle_all<T>, &own);
    return own.result;
}

static inline unsigned emu_lane()
{
    return emu_self->linear % 32;
}

/* width: a power of two; lanes of the same segment of it. */
template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32)
{
    const unsigned w = (unsigned)width, first = emu_lane() / w * w;
    return emu_shuffled(mask, "__shfl_sync", value, first + (unsigned)source % w);
}
template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32)
{
    const unsigned w = (unsigned)width, lane = emu_lane(), other = lane ^ (unsigned)lanes;
    return emu_shuffled(mask, "__shfl_xor_sync", value, other < (lane / w + 1) * w ? other : lane);
}
template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32)
{
    const unsigned w = (unsigned)width, lane = emu_lane();
    return emu_shuffled(mask, "__shfl_up_sync", value, lane % w < lanes ? lane : lane - lanes);
}
template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32)
{
    const unsigned w = (unsigned)width, lane = emu_lane();
    return emu_shuffled(mask, "__shfl_down_sync", value,
                        lane % w + lanes >= w ? lane : lane + lanes);
}

struct emu_vote {
    uint64_t value;
    uint32_t result;
};

/* Bit i: lane i's value is not 0. */
static inline void emu_ballot_all(void *const data[32], uint32_t mask)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < 32; i++)
        if (mask >> i & 1) bits |= (uint32_t)(((emu_vote *)data[i])->value != 0) << i;
    for (unsigned i = 0; i < 32; i++)
        if (mask >> i & 1) ((emu_vote *)data[i])->result = bits;
}

static inline void emu_match_all(void *const data[32], uint32_t mask)
{
    for (unsigned i = 0; i < 32; i++) {
        if (!(mask >> i & 1)) continue;
        emu_vote *own = (emu_vote *)data[i];
        own->result = 0;
        for (unsigned j = 0; j < 32; j++)
            if (mask >> j & 1)
                own->result |= (uint32_t)(((emu_vote *)data[j])->value == own->value) << j;
    }
}

static inline uint32_t emu_voted(unsigned mask, const char *what, uint64_t value,
                                 emu_warp_function *function)
{
    emu_vote own = {value, 0};
    emu_warp(mask, what, function, &own);
    return own.result;
}

static inline unsigned __ballot_sync(unsigned mask, int p)
{
    return emu_voted(mask, "__ballot_sync", p != 0, emu_ballot_all);
}
static inline int __any_sync(unsigned mask, int p)
{
    return emu_voted(mask, "__any_sync", p != 0, emu_ballot_all) != 0;
}
static inline int __all_sync(unsigned mask, int p)
{
    return emu_voted(mask, "__all_sync", p != 0, emu_ballot_all) == mask;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    (void)emu_voted(mask, "__syncwarp", 0, emu_ballot_all);
}
template <typename T> static inline unsigned __match_any_sync(unsigned mask, T value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return emu_voted(mask, "__match_any_sync", bits, emu_match_all);
}
template <typename T> static inline unsigned __match_all_sync(unsigned mask, T value, int *all)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    *all = emu_voted(mask, "__match_all_sync", bits, emu_match_all) == mask;
    return *all ? mask : 0;
}
static inline unsigned __activemask()
{
    emu_fail("__activemask: not emulated, which lanes run together is not known");
}

#define EMU_REDUCE(name, type, start, combine)                                                     \
    static inline void emu_##name##_##type(void *const data[32], uint32_t mask)                    \
    {                                                                                              \
        type r = start;                                                                            \
        for (unsigned i = 0; i < 32; i++) {                                                        \
            if (!(mask >> i & 1)) continue;                                                        \
            const type x = (type)((emu_vote *)data[i])->value;                                     \
            r = combine;                                                                           \
        }                                                                                          \
        for (unsigned i = 0; i < 32; i++)                                                          \
            if (mask >> i & 1) ((emu_vote *)data[i])->result = (uint32_t)r;                        \
    }                                                                                              \
    static inline type __reduce_##name##_sync(unsigned mask, type value)                           \
    {                                                                                              \
        return (type)emu_voted(mask, "__reduce_" #name "_sync", (uint32_t)value,                   \
                               emu_##name##_##type);                                               \
    }
EMU_REDUCE(add, unsigned, 0, r + x)
EMU_REDUCE(add, int, 0, (int)((unsigned)r + (unsigned)x))
EMU_REDUCE(min, unsigned, UINT_MAX, x < r ? x : r)
EMU_REDUCE(min, int, INT_MAX, x < r ? x : r)
EMU_REDUCE(max, unsigned, 0, x > r ? x : r)
EMU_REDUCE(max, int, INT_MIN, x > r ? x : r)
EMU_REDUCE(and, unsigned, UINT_MAX, r &x)
EMU_REDUCE(or, unsigned, 0, r | x)
EMU_REDUCE(xor, unsigned, 0, r ^ x)
#undef EMU_REDUCE

#include "cuda_emulator_math.h"

#endif
