/* Arithmetic, bits, memory accesses and atomic operations of a thread. */
#ifndef CUDA_EMULATOR_MATH_H
#define CUDA_EMULATOR_MATH_H

#include <cstring>

#include "cuda_emulator.h"

/* ---- Bits ---- */

template <typename To, typename From> static inline To emu_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "the same size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline int __float_as_int(float x)
{
    return emu_bits<int>(x);
}
static inline unsigned __float_as_uint(float x)
{
    return emu_bits<unsigned>(x);
}
static inline float __int_as_float(int x)
{
    return emu_bits<float>(x);
}
static inline float __uint_as_float(unsigned x)
{
    return emu_bits<float>(x);
}
static inline long long __double_as_longlong(double x)
{
    return emu_bits<long long>(x);
}
static inline double __longlong_as_double(long long x)
{
    return emu_bits<double>(x);
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline int __clzll(long long x)
{
    return x ? __builtin_clzll((unsigned long long)x) : 64;
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline int __ffsll(long long x)
{
    return __builtin_ffsll(x);
}
static inline unsigned __brev(unsigned x)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (x >> i & 1u) << (31 - i);
    return r;
}
static inline unsigned long long __brevll(unsigned long long x)
{
    return (unsigned long long)__brev((unsigned)x) << 32 | __brev((unsigned)(x >> 32));
}
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector)
{
    const uint64_t bytes = (uint64_t)y << 32 | x;
    unsigned r = 0;
    for (int i = 0; i < 4; i++)
        r |= (unsigned)(bytes >> (selector >> 4 * i & 7) * 8 & 255) << 8 * i;
    return r;
}
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift)
{
    return (unsigned)(((uint64_t)high << 32 | low) << (shift & 31) >> 32);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift)
{
    return (unsigned)(((uint64_t)high << 32 | low) >> (shift & 31));
}
static inline unsigned __umulhi(unsigned x, unsigned y)
{
    return (unsigned)((uint64_t)x * y >> 32);
}
static inline int __mulhi(int x, int y)
{
    return (int)((int64_t)x * y >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}

/* ---- Numbers ---- */

/* Keeps the compiler from contracting a product and a sum. */
template <typename T> static inline T emu_rounded(T x)
{
    volatile T y = x;
    return y;
}
static inline float __fadd_rn(float x, float y)
{
    return emu_rounded(x + y);
}
static inline float __fsub_rn(float x, float y)
{
    return emu_rounded(x - y);
}
static inline float __fmul_rn(float x, float y)
{
    return emu_rounded(x * y);
}
static inline float __fdiv_rn(float x, float y)
{
    return x / y;
}
static inline float __fmaf_rn(float x, float y, float z)
{
    return fmaf(x, y, z);
}
static inline double __dadd_rn(double x, double y)
{
    return emu_rounded(x + y);
}
static inline double __dsub_rn(double x, double y)
{
    return emu_rounded(x - y);
}
static inline double __dmul_rn(double x, double y)
{
    return emu_rounded(x * y);
}
static inline double __fma_rn(double x, double y, double z)
{
    return fma(x, y, z);
}
static inline float __frcp_rn(float x)
{
    return 1 / x;
}
static inline float __fsqrt_rn(float x)
{
    return sqrtf(x);
}
static inline float __frsqrt_rn(float x)
{
    return (float)(1 / sqrt((double)x));
}
static inline float rsqrtf(float x)
{
    return (float)(1 / sqrt((double)x));
}
static inline double rsqrt(double x)
{
    return 1 / sqrt(x);
}
static inline float __fdividef(float x, float y)
{
    return x / y;
}
/* The C library declares functions of its own by these names. */
#define __expf(x)    expf(x)
#define __exp10f(x)  exp10f(x)
#define __logf(x)    logf(x)
#define __log2f(x)   log2f(x)
#define __sinf(x)    sinf(x)
#define __cosf(x)    cosf(x)
#define __tanhf(x)   tanhf(x)
#define __powf(x, y) powf(x, y)

static inline float __saturatef(float x)
{
    return x > 0 ? x < 1 ? x : 1 : 0;
}
/* Conversions of floats saturate and take NaN to 0. */
static inline int emu_to_int(double x)
{
    return x != x ? 0 : x >= 2147483648.0 ? INT32_MAX : x <= -2147483648.0 ? INT32_MIN : (int)x;
}
static inline int __float2int_rn(float x)
{
    return emu_to_int(rint((double)x));
}
static inline int __float2int_rz(float x)
{
    return emu_to_int(trunc((double)x));
}
static inline int __float2int_rd(float x)
{
    return emu_to_int(floor((double)x));
}
static inline int __float2int_ru(float x)
{
    return emu_to_int(ceil((double)x));
}
static inline float __int2float_rn(int x)
{
    return (float)x;
}
static inline float __uint2float_rn(unsigned x)
{
    return (float)x;
}
static inline float __double2float_rn(double x)
{
    return (float)x;
}

#define EMU_MIN_MAX(type)                                                                          \
    static inline type min(type x, type y)                                                         \
    {                                                                                              \
        return y < x ? y : x;                                                                      \
    }                                                                                              \
    static inline type max(type x, type y)                                                         \
    {                                                                                              \
        return x < y ? y : x;                                                                      \
    }
EMU_MIN_MAX(int)
EMU_MIN_MAX(unsigned)
EMU_MIN_MAX(long)
EMU_MIN_MAX(unsigned long)
EMU_MIN_MAX(long long)
EMU_MIN_MAX(unsigned long long)
#undef EMU_MIN_MAX
static inline float min(float x, float y)
{
    return fminf(x, y);
}
static inline float max(float x, float y)
{
    return fmaxf(x, y);
}
static inline double min(double x, double y)
{
    return fmin(x, y);
}
static inline double max(double x, double y)
{
    return fmax(x, y);
}

/* ---- Memory ---- */

#define EMU_LOAD(name)                                                                             \
    template <typename T> static inline T name(const T *p)                                         \
    {                                                                                              \
        return *p;                                                                                 \
    }
EMU_LOAD(__ldg)
EMU_LOAD(__ldcg)
EMU_LOAD(__ldca)
EMU_LOAD(__ldcs)
EMU_LOAD(__ldlu)
EMU_LOAD(__ldcv)
#undef EMU_LOAD
#define EMU_STORE(name)                                                                            \
    template <typename T> static inline void name(T *p, T value)                                   \
    {                                                                                              \
        *p = value;                                                                                \
    }
EMU_STORE(__stcg)
EMU_STORE(__stcs)
EMU_STORE(__stwb)
EMU_STORE(__stwt)
#undef EMU_STORE

/* Operations that change nothing may belong to a loop that waits for another thread. */
template <typename T> static inline T emu_atomic(T *p, T after)
{
    if ((uintptr_t)p % sizeof(T)) emu_fail("an atomic operation on %p: not aligned", (void *)p);
    const T before = *(volatile T *)p;
    *(volatile T *)p = after;
    if (before == after)
        emu_poll();
    else
        emu_changed();
    return before;
}
#define EMU_ATOMIC(name, after)                                                                    \
    template <typename T, typename V> static inline T name(T *p, V value)                          \
    {                                                                                              \
        static_assert(std::is_integral<T>::value, "sums of floats would depend on their order");   \
        const T now = *(volatile T *)p, x = (T)value;                                              \
        (void)now, (void)x;                                                                        \
        return emu_atomic<T>(p, after);                                                            \
    }
EMU_ATOMIC(atomicAdd, (T)(now + x))
EMU_ATOMIC(atomicSub, (T)(now - x))
EMU_ATOMIC(atomicMin, x < now ? x : now)
EMU_ATOMIC(atomicMax, x > now ? x : now)
EMU_ATOMIC(atomicAnd, now &x)
EMU_ATOMIC(atomicOr, now | x)
EMU_ATOMIC(atomicXor, now ^ x)
EMU_ATOMIC(atomicInc, now >= x ? 0 : now + 1)
#undef EMU_ATOMIC
template <typename T, typename V> static inline T atomicExch(T *p, V value)
{
    return emu_atomic<T>(p, (T)value);
}
template <typename T, typename C, typename V> static inline T atomicCAS(T *p, C compare, V value)
{
    const T now = *(volatile T *)p;
    return emu_atomic<T>(p, now == (T)compare ? (T)value : now);
}

#endif
