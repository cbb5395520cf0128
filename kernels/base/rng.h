/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A draw is a pure function of (seed, stream, counter), so the CPU, a GPU and
 * any number of threads or ranks see the same numbers. Inline: it is called inside kernels. */
#ifndef SYN_BASE_RNG_H
#define SYN_BASE_RNG_H

#include <stdint.h>

#ifdef __CUDACC__
#    define SYN_HD static inline __host__ __device__
#else
#    define SYN_HD static inline
#endif

typedef struct syn_philox {
    uint32_t x[4];
} syn_philox;

SYN_HD syn_philox syn_rng_block(uint64_t seed, uint64_t stream, uint64_t counter)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    syn_philox r = {
        {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    for (int i = 0; i < 10; i++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * r.x[0];
        uint64_t p1 = (uint64_t)0xCD9E8D57u * r.x[2];
        syn_philox n = {{(uint32_t)(p1 >> 32) ^ r.x[1] ^ k0, (uint32_t)p1,
                         (uint32_t)(p0 >> 32) ^ r.x[3] ^ k1, (uint32_t)p0}};
        r = n;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return r;
}

/* Uniform in [0, 1), 24 bits: exact in float. */
SYN_HD float syn_rng_unit(uint32_t x)
{
    return (float)(x >> 8) * (1.0f / 16777216.0f);
}

/* A sequential source over one stream, for set-up code that draws as it goes. */
typedef struct syn_rng {
    uint64_t seed, stream, counter; /* the next block */
    syn_philox block;
    uint32_t used; /* words of `block` consumed; 4 when a new block is due */
} syn_rng;

SYN_HD syn_rng syn_rng_make(uint64_t seed, uint64_t stream)
{
    syn_rng r = {seed, stream, 0, {{0, 0, 0, 0}}, 4};
    return r;
}

SYN_HD uint32_t syn_rng_u32(syn_rng *r)
{
    if (r->used == 4) {
        r->block = syn_rng_block(r->seed, r->stream, r->counter++);
        r->used = 0;
    }
    return r->block.x[r->used++];
}

/* Uniform integer in [0, n), n >= 1; multiply-shift, bias below 2^-32 * n. */
SYN_HD uint32_t syn_rng_below(syn_rng *r, uint32_t n)
{
    return (uint32_t)(((uint64_t)syn_rng_u32(r) * n) >> 32);
}

SYN_HD float syn_rng_uniform(syn_rng *r)
{
    return syn_rng_unit(syn_rng_u32(r));
}

/* Streams in use, so that no two purposes share draws under one seed. */
enum {
    SYN_STREAM_INIT = 1,     /* weights */
    SYN_STREAM_DROPOUT = 2,  /* dropout masks */
    SYN_STREAM_ACTION = 3,   /* sampled actions */
    SYN_STREAM_EPISODE = 4,  /* episodes of the environment */
    SYN_STREAM_PRETRAIN = 5, /* episodes and order in pre-training */
    SYN_STREAM_SHUFFLE = 6,  /* minibatch order */
    SYN_STREAM_SYNTH = 7,    /* the synthetic generator */
    SYN_STREAM_BOOTSTRAP = 8,
    SYN_STREAM_TEST = 9,
    SYN_STREAM_EVAL = 10,
    SYN_STREAM_RETRY = 11 /* jitter */
};

#endif
