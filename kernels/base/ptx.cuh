/* What CUDA C++ has no name for: matrix units, asynchronous copies, clusters, memory barriers in
 * shared memory, and loads and stores with an order. One thin function per instruction of the PTX
 * ISA; the only inline assembly of the project.
 *
 * "warp": all 32 lanes call it together. "Hopper": traps on devices before sm_90. Pointers are
 * generic unless stated; `shared` ones point into the calling block's shared memory. */
#ifndef SYN_BASE_PTX_CUH
#define SYN_BASE_PTX_CUH

#include <cuda_runtime.h>
#include <stdint.h>

#define SYN_PTX static __device__ __forceinline__

/* ---- Numbers ---- */

/* Two bf16, rounded to nearest even, `low` in the lower half: the first of two in memory. */
SYN_PTX uint32_t syn_pack_bf16(float low, float high);
SYN_PTX float syn_bf16_low(uint32_t pair);
SYN_PTX float syn_bf16_high(uint32_t pair);
SYN_PTX uint16_t syn_to_bf16(float x);
SYN_PTX float syn_from_bf16(uint16_t x);
/* The bits of x rounded to TF32 (10 bits of mantissa, ties away from zero), as syn_mma_tf32 takes
 * them; the unit itself would cut them off. */
SYN_PTX uint32_t syn_to_tf32(float x);
/* tanh with a relative error of about 2^-11, one instruction. */
SYN_PTX float syn_tanh_approx(float x);

/* ---- Matrix units (warp). With group = lane / 4 and quad = lane % 4: ---- */

/* d (16x8, float) += a (16x16, bf16) b (16x8, bf16).
 *   a[0]: row group,   columns 2*quad, 2*quad+1      a[2]: row group,   columns 2*quad+8, 2*quad+9
 *   a[1]: row group+8, columns 2*quad, 2*quad+1      a[3]: row group+8, columns 2*quad+8, 2*quad+9
 *   b[0]: rows 2*quad, 2*quad+1, column group        b[1]: rows 2*quad+8, 2*quad+9, column group
 *   d[0], d[1]: row group, columns 2*quad, 2*quad+1  d[2], d[3]: row group+8, the same columns
 * The lower row or column lies in the lower half of a register. */
SYN_PTX void syn_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]);

/* d (16x8, float) += a (16x8, TF32) b (8x8, TF32).
 *   a[0]: row group, column quad      a[1]: row group+8, column quad
 *   a[2]: row group, column quad+4    a[3]: row group+8, column quad+4
 *   b[0]: row quad, column group      b[1]: row quad+4, column group
 *   d as above. */
SYN_PTX void syn_mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2]);

/* Loads 8x8 matrices of 16-bit elements from shared memory. Lanes 8i..8i+7 pass the addresses of
 * the 8 rows (16 bytes each, 16-byte aligned) of matrix i; _x2 looks at lanes 0..15 alone, the
 * others pass any valid address. d[i] of a lane: row group, columns 2*quad and 2*quad+1 of matrix
 * i; _trans: rows 2*quad and 2*quad+1, column group. So x4 over the quadrants (top left, bottom
 * left, top right, bottom right) of a row-major 16x16 is the `a` of syn_mma_bf16, x2 over the
 * column halves (k 0..7, k 8..15) of a matrix stored by columns its `b`, and x2_trans the `b` of
 * one stored by rows. */
SYN_PTX void syn_ldmatrix_x4(uint32_t d[4], const void *shared_row);
SYN_PTX void syn_ldmatrix_x2(uint32_t d[2], const void *shared_row);
SYN_PTX void syn_ldmatrix_x4_trans(uint32_t d[4], const void *shared_row);
SYN_PTX void syn_ldmatrix_x2_trans(uint32_t d[2], const void *shared_row);

/* ---- Matrix units of a warpgroup (sm_90a builds alone): four warps, the first a multiple of four
 * in its block, call these together ---- */

/* A right operand (k, columns) in shared memory: cores of 8 columns x 8 k, in each the 8 k of a
 * column as 16 bytes and the columns behind each other, 128 bytes. From one core to that of the
 * next 8 k there are k_bytes, to that of the next 8 columns column_bytes; all multiples of 16. */
SYN_PTX uint64_t syn_wgmma_right(const void *shared, unsigned k_bytes, unsigned column_bytes);
/* Before the first product that reads d or a as other instructions have left them. */
SYN_PTX void syn_wgmma_begin(void);
/* d (64x32, float) = a (64x16, bf16) right (16x32, bf16), added to d where ACCUMULATE. Warp w of
 * the four has rows 16w .. 16w + 15; a and d[4i .. 4i + 3], of columns 8i .. 8i + 7, as in
 * syn_mma_bf16. Asynchronous: until syn_wgmma_end() has returned, nothing else touches d, a or the
 * operand. */
template <bool ACCUMULATE>
SYN_PTX void syn_wgmma_bf16_n32(float d[16], const uint32_t a[4], uint64_t right);
/* Until all products of the warpgroup are done. d: of the last of them; other instructions that
 * read it come behind. */
SYN_PTX void syn_wgmma_end(float d[16]);

/* ---- Asynchronous copies of a thread ---- */

/* 16 bytes from global to shared memory, both 16-byte aligned, past L1. */
SYN_PTX void syn_cp_async16(void *shared, const void *global);
/* Likewise, zeros instead where !valid (global is not read then, but must not be NULL). */
SYN_PTX void syn_cp_async16_or_zero(void *shared, const void *global, bool valid);
/* Closes a group of this thread's copies. */
SYN_PTX void syn_cp_async_commit(void);
/* Until at most N of this thread's latest groups are under way. Other threads see the bytes after a
 * barrier that follows. */
template <int N> SYN_PTX void syn_cp_async_wait(void);

/* ---- Barriers of a block ---- */

/* bar.sync: `threads` (a multiple of 32, whole warps) of the block meet at barrier id, 1..15. */
SYN_PTX void syn_barrier_sync(int id, int threads);

/* ---- Clusters (Hopper) ---- */

/* The block's place in its cluster and the cluster's size; for clusters along x. */
SYN_PTX unsigned syn_cluster_rank(void);
SYN_PTX unsigned syn_cluster_size(void);
/* A barrier of all threads of the cluster, in two halves. What a thread wrote before it arrived is
 * seen by all after they waited. A block ends only after such a barrier behind the last access of
 * its peers. */
SYN_PTX void syn_cluster_arrive(void);
SYN_PTX void syn_cluster_wait(void);
SYN_PTX void syn_cluster_sync(void);

/* Where the same variable of block `rank` lies: a generic pointer to load from and store to. */
template <typename T> SYN_PTX T *syn_cluster_peer(T *shared, unsigned rank);

/* The same as an address for the functions below; bytes may be added to it. */
#ifdef SYN_CUDA_EMULATED
typedef uintptr_t syn_cluster_address;
#else
typedef uint32_t syn_cluster_address;
#endif
SYN_PTX syn_cluster_address syn_cluster_map(const void *shared, unsigned rank);

/* ---- Memory barriers in shared memory (Hopper), 8 bytes each ----
 *
 * A phase ends when `count` arrivals and all expected bytes have come; the next begins at once with
 * the same count. Phases are numbered from 0: a thread waits for phase n with parity n & 1. */
typedef uint64_t syn_mbarrier;

/* By one thread; then syn_mbarrier_fence_init() and a barrier of the block (of the cluster where
 * peers use it). */
SYN_PTX void syn_mbarrier_init(syn_mbarrier *shared, unsigned count);
SYN_PTX void syn_mbarrier_fence_init(void);
/* Bytes that the current phase waits for; they may have come already. */
SYN_PTX void syn_mbarrier_expect(syn_mbarrier *shared, unsigned bytes);
/* One arrival; expected bytes and one arrival. */
SYN_PTX void syn_mbarrier_arrive(syn_mbarrier *shared);
SYN_PTX void syn_mbarrier_arrive_expect(syn_mbarrier *shared, unsigned bytes);
/* One arrival at the barrier of a peer (or of the own block). */
SYN_PTX void syn_mbarrier_arrive_peer(syn_cluster_address barrier);
/* Whether the phase of this parity has ended, at once or after a short wait of the hardware's
 * choice; until it has. What was sent for it is seen after that (acquire, cluster). */
SYN_PTX bool syn_mbarrier_test(const syn_mbarrier *shared, unsigned parity);
SYN_PTX void syn_mbarrier_wait(const syn_mbarrier *shared, unsigned parity);

/* Stores 4, 8 or 16 bytes (aligned to that) into a block of the cluster and counts them there as
 * come on `barrier`, which lies in the same block as `to`. */
SYN_PTX void syn_st_async4(syn_cluster_address to, uint32_t value, syn_cluster_address barrier);
SYN_PTX void syn_st_async8(syn_cluster_address to, uint2 value, syn_cluster_address barrier);
SYN_PTX void syn_st_async16(syn_cluster_address to, uint4 value, syn_cluster_address barrier);

/* sm_90a builds alone. Copies `bytes` (a multiple of 16, as are both addresses) from global memory
 * to the place of `shared` in each block of the cluster whose bit is set, by one read, and counts
 * them there as come at the place of `barrier`. What ordinary stores wrote into global needs
 * syn_fence_proxy_async() by each writer and a barrier before. */
SYN_PTX void syn_bulk_multicast(void *shared, const void *global, unsigned bytes,
                                syn_mbarrier *barrier, unsigned blocks);

/* ---- Order ---- */

/* Global memory, scope of the device. Loops that wait for another block's store load with these. */
SYN_PTX uint32_t syn_ld_acquire(const uint32_t *p);
SYN_PTX uint32_t syn_ld_relaxed(const uint32_t *p);
SYN_PTX void syn_st_release(uint32_t *p, uint32_t value);
SYN_PTX void syn_st_relaxed(uint32_t *p, uint32_t value);
/* The value before; acquire and release. */
SYN_PTX uint32_t syn_atomic_add(uint32_t *p, uint32_t value);
/* Until *p is no longer `old`; until *p - value, as a signed number, is >= 0. Acquire. */
SYN_PTX void syn_wait_changed(const uint32_t *p, uint32_t old);
SYN_PTX void syn_wait_reached(const uint32_t *p, uint32_t value);
/* Orders the thread's ordinary accesses to shared and global memory before asynchronous ones
 * (syn_wgmma_*, syn_bulk_*) that follow, its own and, behind a barrier, others' (Hopper). */
SYN_PTX void syn_fence_proxy_async(void);

/* ---- The grid of a cooperative launch ---- */

/* In device memory, zeroed once; usable by any number of launches, one after the other. */
typedef struct syn_grid_barrier {
    uint32_t arrived, generation;
} syn_grid_barrier;

/* All threads of all blocks meet; what they wrote before is seen by all. */
SYN_PTX void syn_grid_sync(syn_grid_barrier *barrier);

#ifdef SYN_CUDA_EMULATED
#    include <cuda_emulator_ptx.h>
#else

SYN_PTX uint32_t syn_shared_address(const void *shared)
{
    return (uint32_t)__cvta_generic_to_shared(shared);
}

/* What devices before sm_90 cannot do is never launched there. */
#    if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#        define SYN_HOPPER(...) asm volatile(__VA_ARGS__)
#    else
#        define SYN_HOPPER(...) __trap()
#    endif

/* What plain sm_90 does not have either. */
#    if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#        define SYN_HOPPER_ALONE(...) asm volatile(__VA_ARGS__)
#    else
#        define SYN_HOPPER_ALONE(...) __trap()
#    endif

SYN_PTX uint32_t syn_pack_bf16(float low, float high)
{
    uint32_t d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
    return d;
}

SYN_PTX float syn_bf16_low(uint32_t pair)
{
    return __uint_as_float(pair << 16);
}

SYN_PTX float syn_bf16_high(uint32_t pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

SYN_PTX uint16_t syn_to_bf16(float x)
{
    uint16_t d;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(d) : "f"(x));
    return d;
}

SYN_PTX float syn_from_bf16(uint16_t x)
{
    return __uint_as_float((uint32_t)x << 16);
}

SYN_PTX uint32_t syn_to_tf32(float x)
{
    uint32_t d;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(d) : "f"(x));
    return d;
}

SYN_PTX float syn_tanh_approx(float x)
{
    float d;
    asm("tanh.approx.f32 %0, %1;" : "=f"(d) : "f"(x));
    return d;
}

SYN_PTX void syn_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

SYN_PTX void syn_mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

SYN_PTX void syn_ldmatrix_x4(uint32_t d[4], const void *shared_row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(syn_shared_address(shared_row))
                 : "memory");
}

SYN_PTX void syn_ldmatrix_x2(uint32_t d[2], const void *shared_row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(syn_shared_address(shared_row))
                 : "memory");
}

SYN_PTX void syn_ldmatrix_x4_trans(uint32_t d[4], const void *shared_row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(syn_shared_address(shared_row))
                 : "memory");
}

SYN_PTX void syn_ldmatrix_x2_trans(uint32_t d[2], const void *shared_row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(syn_shared_address(shared_row))
                 : "memory");
}

SYN_PTX uint64_t syn_wgmma_right(const void *shared, unsigned k_bytes, unsigned column_bytes)
{
    return (uint64_t)(syn_shared_address(shared) >> 4 & 0x3fff) | (uint64_t)(k_bytes >> 4) << 16 |
           (uint64_t)(column_bytes >> 4) << 32;
}

SYN_PTX void syn_wgmma_begin(void)
{
    SYN_HOPPER_ALONE("wgmma.fence.sync.aligned;" ::: "memory");
}

template <bool ACCUMULATE>
SYN_PTX void syn_wgmma_bf16_n32(float d[16], const uint32_t a[4], uint64_t right)
{
    SYN_HOPPER_ALONE("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %21, 0;\n\t"
                     "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
                     "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, "
                     "{%16,%17,%18,%19}, %20, p, 1, 1, 0;\n\t}"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
                       "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                       "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(right),
                       "n"(ACCUMULATE ? 1 : 0));
}

SYN_PTX void syn_wgmma_end(float d[16])
{
    SYN_HOPPER_ALONE("wgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 0;"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
                       "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                       "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
                     :
                     : "memory");
}

SYN_PTX void syn_cp_async16(void *shared, const void *global)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 :
                 : "r"(syn_shared_address(shared)), "l"(__cvta_generic_to_global(global))
                 : "memory");
}

SYN_PTX void syn_cp_async16_or_zero(void *shared, const void *global, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(syn_shared_address(shared)), "l"(__cvta_generic_to_global(global)),
                   "r"(valid ? 16 : 0)
                 : "memory");
}

SYN_PTX void syn_cp_async_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N> SYN_PTX void syn_cp_async_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

SYN_PTX void syn_barrier_sync(int id, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

SYN_PTX unsigned syn_cluster_rank(void)
{
    unsigned d = 0;
    SYN_HOPPER("mov.u32 %0, %%cluster_ctarank;" : "=r"(d));
    return d;
}

SYN_PTX unsigned syn_cluster_size(void)
{
    unsigned d = 1;
    SYN_HOPPER("mov.u32 %0, %%cluster_nctarank;" : "=r"(d));
    return d;
}

SYN_PTX void syn_cluster_arrive(void)
{
    SYN_HOPPER("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

SYN_PTX void syn_cluster_wait(void)
{
    SYN_HOPPER("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

SYN_PTX void syn_cluster_sync(void)
{
    syn_cluster_arrive();
    syn_cluster_wait();
}

template <typename T> SYN_PTX T *syn_cluster_peer(T *shared, unsigned rank)
{
    uint64_t d = 0;
    SYN_HOPPER("mapa.u64 %0, %1, %2;" : "=l"(d) : "l"((uint64_t)shared), "r"(rank));
    return (T *)d;
}

SYN_PTX syn_cluster_address syn_cluster_map(const void *shared, unsigned rank)
{
    uint32_t d = 0;
    SYN_HOPPER("mapa.shared::cluster.u32 %0, %1, %2;"
               : "=r"(d)
               : "r"(syn_shared_address(shared)), "r"(rank));
    return d;
}

SYN_PTX void syn_mbarrier_init(syn_mbarrier *shared, unsigned count)
{
    SYN_HOPPER("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(syn_shared_address(shared)),
               "r"(count)
               : "memory");
}

SYN_PTX void syn_mbarrier_fence_init(void)
{
    SYN_HOPPER("fence.mbarrier_init.release.cluster;" ::: "memory");
}

SYN_PTX void syn_mbarrier_expect(syn_mbarrier *shared, unsigned bytes)
{
    SYN_HOPPER("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(
                   syn_shared_address(shared)),
               "r"(bytes)
               : "memory");
}

SYN_PTX void syn_mbarrier_arrive(syn_mbarrier *shared)
{
    SYN_HOPPER(
        "mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(syn_shared_address(shared))
        : "memory");
}

SYN_PTX void syn_mbarrier_arrive_expect(syn_mbarrier *shared, unsigned bytes)
{
    SYN_HOPPER("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(
                   syn_shared_address(shared)),
               "r"(bytes)
               : "memory");
}

SYN_PTX void syn_mbarrier_arrive_peer(syn_cluster_address barrier)
{
    SYN_HOPPER("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}

SYN_PTX bool syn_mbarrier_test(const syn_mbarrier *shared, unsigned parity)
{
    uint32_t ended = 1;
    SYN_HOPPER("{\n\t.reg .pred p;\n\t"
               "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n\t"
               "selp.u32 %0, 1, 0, p;\n\t}"
               : "=r"(ended)
               : "r"(syn_shared_address(shared)), "r"(parity)
               : "memory");
    return ended != 0;
}

SYN_PTX void syn_mbarrier_wait(const syn_mbarrier *shared, unsigned parity)
{
    while (!syn_mbarrier_test(shared, parity)) continue;
}

SYN_PTX void syn_st_async4(syn_cluster_address to, uint32_t value, syn_cluster_address barrier)
{
    SYN_HOPPER("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, "
               "[%2];" ::"r"(to),
               "r"(value), "r"(barrier)
               : "memory");
}

SYN_PTX void syn_st_async8(syn_cluster_address to, uint2 value, syn_cluster_address barrier)
{
    SYN_HOPPER("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1,%2}, "
               "[%3];" ::"r"(to),
               "r"(value.x), "r"(value.y), "r"(barrier)
               : "memory");
}

SYN_PTX void syn_st_async16(syn_cluster_address to, uint4 value, syn_cluster_address barrier)
{
    SYN_HOPPER("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], "
               "{%1,%2,%3,%4}, [%5];" ::"r"(to),
               "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w), "r"(barrier)
               : "memory");
}

SYN_PTX void syn_bulk_multicast(void *shared, const void *global, unsigned bytes,
                                syn_mbarrier *barrier, unsigned blocks)
{
    SYN_HOPPER_ALONE(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
        ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(syn_shared_address(shared)),
        "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(syn_shared_address(barrier)),
        "h"((uint16_t)blocks)
        : "memory");
}

SYN_PTX uint32_t syn_ld_acquire(const uint32_t *p)
{
    uint32_t d;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                 : "=r"(d)
                 : "l"(__cvta_generic_to_global(p))
                 : "memory");
    return d;
}

SYN_PTX uint32_t syn_ld_relaxed(const uint32_t *p)
{
    uint32_t d;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];"
                 : "=r"(d)
                 : "l"(__cvta_generic_to_global(p))
                 : "memory");
    return d;
}

SYN_PTX void syn_st_release(uint32_t *p, uint32_t value)
{
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(p)),
                 "r"(value)
                 : "memory");
}

SYN_PTX void syn_st_relaxed(uint32_t *p, uint32_t value)
{
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(p)),
                 "r"(value)
                 : "memory");
}

SYN_PTX uint32_t syn_atomic_add(uint32_t *p, uint32_t value)
{
    uint32_t d;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
                 : "=r"(d)
                 : "l"(__cvta_generic_to_global(p)), "r"(value)
                 : "memory");
    return d;
}

SYN_PTX void syn_wait_changed(const uint32_t *p, uint32_t old)
{
    while (syn_ld_acquire(p) == old) continue;
}

SYN_PTX void syn_wait_reached(const uint32_t *p, uint32_t value)
{
    while ((int32_t)(syn_ld_acquire(p) - value) < 0) continue;
}

SYN_PTX void syn_fence_proxy_async(void)
{
    SYN_HOPPER("fence.proxy.async;" ::: "memory");
}

#endif

SYN_PTX void syn_grid_sync(syn_grid_barrier *barrier)
{
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
        const uint32_t blocks = gridDim.x * gridDim.y * gridDim.z;
        const uint32_t generation = syn_ld_relaxed(&barrier->generation);
        if (syn_atomic_add(&barrier->arrived, 1) == blocks - 1) {
            syn_st_relaxed(&barrier->arrived, 0);
            syn_st_release(&barrier->generation, generation + 1);
        } else {
            syn_wait_changed(&barrier->generation, generation);
        }
    }
    __syncthreads();
}

#endif
