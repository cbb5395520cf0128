/* The emulated bodies of kernels/base/ptx.cuh, which includes this. */
#ifndef CUDA_EMULATOR_PTX_H
#define CUDA_EMULATOR_PTX_H

/* ---- Numbers ---- */

SYN_PTX uint16_t syn_to_bf16(float x)
{
    const uint32_t bits = __float_as_uint(x);
    if (x != x) return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

SYN_PTX float syn_from_bf16(uint16_t x)
{
    return __uint_as_float((uint32_t)x << 16);
}

SYN_PTX uint32_t syn_pack_bf16(float low, float high)
{
    return (uint32_t)syn_to_bf16(high) << 16 | syn_to_bf16(low);
}

SYN_PTX float syn_bf16_low(uint32_t pair)
{
    return syn_from_bf16((uint16_t)pair);
}

SYN_PTX float syn_bf16_high(uint32_t pair)
{
    return syn_from_bf16((uint16_t)(pair >> 16));
}

SYN_PTX uint32_t syn_to_tf32(float x)
{
    if (x != x) return 0x7fffffff;
    return (__float_as_uint(x) + 0x1000) & 0xffffe000u;
}

/* The truth, with an error of the size that the instruction has. */
SYN_PTX float syn_tanh_approx(float x)
{
    return __uint_as_float(__float_as_uint(tanhf(x)) & 0xffffe000u);
}

/* ---- Matrix units ---- */

struct emu_mma {
    float *d;
    const uint32_t *a, *b;
};

static inline float emu_half(uint32_t pair, int high)
{
    return high ? syn_bf16_high(pair) : syn_bf16_low(pair);
}

/* Gathers the operands as ptx.cuh describes the fragments, k = 16 / words of b per lane * ... */
template <bool TF32> static inline void emu_mma_all(void *const data[32], uint32_t mask)
{
    const int K = TF32 ? 8 : 16;
    float a[16][16], b[16][8];
    (void)mask;
    for (int lane = 0; lane < 32; lane++) {
        const emu_mma *m = (const emu_mma *)data[lane];
        const int group = lane / 4, quad = lane % 4;
        for (int i = 0; i < 4; i++) {
            const int row = group + 8 * (i & 1);
            if (TF32)
                a[row][quad + 4 * (i >> 1)] = __uint_as_float(m->a[i] & 0xffffe000u);
            else
                for (int h = 0; h < 2; h++)
                    a[row][2 * quad + 8 * (i >> 1) + h] = emu_half(m->a[i], h);
        }
        for (int i = 0; i < 2; i++) {
            if (TF32)
                b[quad + 4 * i][group] = __uint_as_float(m->b[i] & 0xffffe000u);
            else
                for (int h = 0; h < 2; h++) b[2 * quad + 8 * i + h][group] = emu_half(m->b[i], h);
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        float *d = ((const emu_mma *)data[lane])->d;
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + 8 * (i >> 1), column = 2 * (lane % 4) + (i & 1);
            double sum = (double)d[i];
            for (int k = 0; k < K; k++) sum += (double)a[row][k] * (double)b[k][column];
            d[i] = (float)sum;
        }
    }
}

SYN_PTX void syn_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    emu_mma own = {d, a, b};
    emu_warp(0xffffffffu, "syn_mma_bf16", emu_mma_all<false>, &own);
}

SYN_PTX void syn_mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    emu_mma own = {d, a, b};
    emu_warp(0xffffffffu, "syn_mma_tf32", emu_mma_all<true>, &own);
}

/* The address of a right operand is its place in the block's dynamic shared memory. */
SYN_PTX uint64_t syn_wgmma_right(const void *shared, unsigned k_bytes, unsigned column_bytes)
{
    const uintptr_t at = (uintptr_t)shared - (uintptr_t)emu_block_shared();
    if (at % 16 || at >> 18 || k_bytes % 16 || column_bytes % 16)
        emu_fail("a right operand of a warpgroup at %zu, cores %u and %u bytes apart", (size_t)at,
                 k_bytes, column_bytes);
    return at >> 4 | (uint64_t)(k_bytes >> 4) << 16 | (uint64_t)(column_bytes >> 4) << 32;
}

struct emu_wgmma {
    float *d;
    const uint32_t *a;
    const unsigned char *shared;
    uint64_t right;
    bool accumulate;
};

/* The 16 rows of one warp. */
static inline void emu_wgmma_all(void *const data[32], uint32_t mask)
{
    float a[16][16], b[32][16];
    const emu_wgmma *first = (const emu_wgmma *)data[0];
    const size_t k_bytes = (first->right >> 16 & 0x3fff) << 4;
    const size_t column_bytes = (first->right >> 32 & 0x3fff) << 4;
    const unsigned char *const at = first->shared + ((first->right & 0x3fff) << 4);
    (void)mask;
    for (int n = 0; n < 32; n++)
        for (int k = 0; k < 16; k++) {
            uint16_t x;
            memcpy(&x, at + k / 8 * k_bytes + n / 8 * column_bytes + n % 8 * 16 + k % 8 * 2, 2);
            b[n][k] = syn_from_bf16(x);
        }
    for (int lane = 0; lane < 32; lane++) {
        const emu_wgmma *m = (const emu_wgmma *)data[lane];
        if (m->right != first->right) emu_fail("syn_wgmma: lane %d has another operand", lane);
        for (int i = 0; i < 4; i++)
            for (int h = 0; h < 2; h++)
                a[lane / 4 + 8 * (i & 1)][2 * (lane % 4) + 8 * (i >> 1) + h] = emu_half(m->a[i], h);
    }
    for (int lane = 0; lane < 32; lane++) {
        const emu_wgmma *m = (const emu_wgmma *)data[lane];
        for (int i = 0; i < 16; i++) {
            const int row = lane / 4 + 8 * (i >> 1 & 1),
                      column = i / 4 * 8 + 2 * (lane % 4) + (i & 1);
            double sum = m->accumulate ? (double)m->d[i] : 0;
            for (int k = 0; k < 16; k++) sum += (double)a[row][k] * (double)b[column][k];
            m->d[i] = (float)sum;
        }
    }
}

SYN_PTX void syn_wgmma_begin(void)
{
    emu_need_hopper("the matrix units of a warpgroup");
}

template <bool ACCUMULATE>
SYN_PTX void syn_wgmma_bf16_n32(float d[16], const uint32_t a[4], uint64_t right)
{
    emu_wgmma own = {d, a, (const unsigned char *)emu_block_shared(), right, ACCUMULATE};
    emu_warp(0xffffffffu, "syn_wgmma_bf16_n32", emu_wgmma_all, &own);
}

SYN_PTX void syn_wgmma_end(float d[16])
{
    (void)d;
}

struct emu_ldmatrix {
    uint32_t *d;
    const void *row;
};

template <int COUNT, bool TRANS>
static inline void emu_ldmatrix_all(void *const data[32], uint32_t mask)
{
    uint16_t m[COUNT][8][8];
    (void)mask;
    for (int i = 0; i < 8 * COUNT; i++) {
        const void *row = ((const emu_ldmatrix *)data[i])->row;
        if ((uintptr_t)row % 16) emu_fail("ldmatrix: the row of lane %d is not 16-byte aligned", i);
        memcpy(m[i / 8][i % 8], row, 16);
    }
    for (int lane = 0; lane < 32; lane++) {
        const int group = lane / 4, quad = lane % 4;
        for (int i = 0; i < COUNT; i++) {
            const uint16_t low = TRANS ? m[i][2 * quad][group] : m[i][group][2 * quad];
            const uint16_t high = TRANS ? m[i][2 * quad + 1][group] : m[i][group][2 * quad + 1];
            ((const emu_ldmatrix *)data[lane])->d[i] = (uint32_t)high << 16 | low;
        }
    }
}

#define EMU_LDMATRIX(name, count, trans)                                                           \
    SYN_PTX void name(uint32_t *d, const void *shared_row)                                         \
    {                                                                                              \
        emu_ldmatrix own = {d, shared_row};                                                        \
        emu_warp(0xffffffffu, #name, emu_ldmatrix_all<count, trans>, &own);                        \
    }
EMU_LDMATRIX(syn_ldmatrix_x4, 4, false)
EMU_LDMATRIX(syn_ldmatrix_x2, 2, false)
EMU_LDMATRIX(syn_ldmatrix_x4_trans, 4, true)
EMU_LDMATRIX(syn_ldmatrix_x2_trans, 2, true)
#undef EMU_LDMATRIX

/* ---- Copies and barriers ---- */

SYN_PTX void syn_cp_async16(void *shared, const void *global)
{
    emu_copy_async(shared, global);
}

SYN_PTX void syn_cp_async16_or_zero(void *shared, const void *global, bool valid)
{
    if (!global) emu_fail("syn_cp_async16_or_zero from NULL");
    emu_copy_async(shared, valid ? global : nullptr);
}

SYN_PTX void syn_cp_async_commit(void)
{
    emu_copy_commit();
}

template <int N> SYN_PTX void syn_cp_async_wait(void)
{
    emu_copy_wait(N);
}

SYN_PTX void syn_barrier_sync(int id, int threads)
{
    emu_named_barrier(id, threads);
}

/* ---- Clusters ---- */

SYN_PTX unsigned syn_cluster_rank(void)
{
    emu_need_hopper("the rank in a cluster");
    return emu_cluster_rank();
}

SYN_PTX unsigned syn_cluster_size(void)
{
    emu_need_hopper("the size of a cluster");
    return emu_cluster_size();
}

SYN_PTX void syn_cluster_arrive(void)
{
    emu_need_hopper("the barrier of a cluster");
    emu_cluster_arrive();
}

SYN_PTX void syn_cluster_wait(void)
{
    emu_cluster_wait();
}

SYN_PTX void syn_cluster_sync(void)
{
    syn_cluster_arrive();
    syn_cluster_wait();
}

template <typename T> SYN_PTX T *syn_cluster_peer(T *shared, unsigned rank)
{
    return (T *)emu_cluster_peer(shared, rank);
}

SYN_PTX syn_cluster_address syn_cluster_map(const void *shared, unsigned rank)
{
    return (syn_cluster_address)emu_cluster_peer(shared, rank);
}

SYN_PTX void syn_mbarrier_init(syn_mbarrier *shared, unsigned count)
{
    emu_mbarrier_init(shared, count);
}

SYN_PTX void syn_mbarrier_fence_init(void) {}

SYN_PTX void syn_mbarrier_expect(syn_mbarrier *shared, unsigned bytes)
{
    emu_mbarrier_update(shared, 0, bytes);
}

SYN_PTX void syn_mbarrier_arrive(syn_mbarrier *shared)
{
    emu_mbarrier_update(shared, 1, 0);
}

SYN_PTX void syn_mbarrier_arrive_expect(syn_mbarrier *shared, unsigned bytes)
{
    emu_mbarrier_update(shared, 1, bytes);
}

SYN_PTX void syn_mbarrier_arrive_peer(syn_cluster_address barrier)
{
    emu_mbarrier_update((uint64_t *)barrier, 1, 0);
}

SYN_PTX bool syn_mbarrier_test(const syn_mbarrier *shared, unsigned parity)
{
    if (emu_mbarrier_ended(shared, parity)) return true;
    emu_poll();
    return emu_mbarrier_ended(shared, parity);
}

SYN_PTX void syn_mbarrier_wait(const syn_mbarrier *shared, unsigned parity)
{
    emu_mbarrier_wait(shared, parity);
}

SYN_PTX void syn_st_async4(syn_cluster_address to, uint32_t value, syn_cluster_address barrier)
{
    emu_store_async(to, &value, 4, barrier);
}

SYN_PTX void syn_st_async8(syn_cluster_address to, uint2 value, syn_cluster_address barrier)
{
    emu_store_async(to, &value, 8, barrier);
}

SYN_PTX void syn_st_async16(syn_cluster_address to, uint4 value, syn_cluster_address barrier)
{
    emu_store_async(to, &value, 16, barrier);
}

SYN_PTX void syn_bulk_multicast(void *shared, const void *global, unsigned bytes,
                                syn_mbarrier *barrier, unsigned blocks)
{
    emu_multicast(shared, global, bytes, barrier, blocks);
}

/* ---- Order ---- */

SYN_PTX uint32_t syn_ld_acquire(const uint32_t *p)
{
    emu_poll();
    return *(const volatile uint32_t *)p;
}

SYN_PTX uint32_t syn_ld_relaxed(const uint32_t *p)
{
    return syn_ld_acquire(p);
}

SYN_PTX void syn_st_release(uint32_t *p, uint32_t value)
{
    *(volatile uint32_t *)p = value;
    emu_changed();
}

SYN_PTX void syn_st_relaxed(uint32_t *p, uint32_t value)
{
    *(volatile uint32_t *)p = value;
    emu_changed();
}

SYN_PTX uint32_t syn_atomic_add(uint32_t *p, uint32_t value)
{
    return atomicAdd(p, value);
}

SYN_PTX void syn_wait_changed(const uint32_t *p, uint32_t old)
{
    emu_wait_changed(p, old);
}

SYN_PTX void syn_wait_reached(const uint32_t *p, uint32_t value)
{
    emu_wait_reached(p, value);
}

SYN_PTX void syn_fence_proxy_async(void) {}

#endif
