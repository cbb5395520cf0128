#include "engine/stem.h"

#include <libstemmer.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { STEM_BYTES_MIN = 3, STEM_BYTES_MAX = 40, BUCKETS = 65536, BUCKET_WORDS = 5 };

/* One cache line of words that were stemmed; the oldest makes room for the next. */
typedef struct bucket {
    uint64_t word[BUCKET_WORDS];
    uint32_t stem[BUCKET_WORDS];
    uint32_t oldest;
} bucket;

/* A stemmer has a buffer of its own and is made once, for all threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sb_stemmer *english;

/* ---- stemming ---- */

static bool stems(const unsigned char *word, size_t bytes)
{
    if (bytes < STEM_BYTES_MIN || bytes > STEM_BYTES_MAX) return false;
    for (size_t i = 0; i < bytes; i++) {
        if (word[i] < 'a' || word[i] > 'z') return false;
    }
    return true;
}

/* Out of memory, a word is its own stem. */
static uint32_t stem_of(const unsigned char *word, size_t bytes)
{
    if (!stems(word, bytes)) return (uint32_t)XXH3_64bits(word, bytes);
    pthread_mutex_lock(&lock);
    if (!english) english = sb_stemmer_new("english", "UTF_8");
    const sb_symbol *stem = english ? sb_stemmer_stem(english, word, (int)bytes) : NULL;
    const uint64_t hash =
        stem ? XXH3_64bits(stem, (size_t)sb_stemmer_length(english)) : XXH3_64bits(word, bytes);
    pthread_mutex_unlock(&lock);
    return (uint32_t)hash;
}

/* ---- what the thread remembers ---- */

static _Thread_local bucket *table; /* NULL: not made yet, or no memory for it */
static pthread_key_t table_key;     /* frees it at the thread's end */
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static bool table_key_made;

static void make_key(void)
{
    table_key_made = pthread_key_create(&table_key, free) == 0;
}

static bool table_make(void)
{
    pthread_once(&table_once, make_key);
    if (!table_key_made) return false;
    char *memory = calloc(BUCKETS + 1, sizeof(bucket));
    if (!memory || pthread_setspecific(table_key, memory) != 0) {
        free(memory);
        return false;
    }
    table = (bucket *)(memory + (-(uintptr_t)memory & (sizeof(bucket) - 1)));
    return true;
}

/* Never the same for two words of eight bytes or less: each step can be undone. */
static uint64_t key_of(syn_stem_word w)
{
    const uint64_t high = w.high * 0x9fb21c651e98df25u;
    uint64_t key = w.low * 0x9e3779b97f4a7c15u ^ (high << 32 | high >> 32);
    key = (key ^ key >> 29) * 0xbf58476d1ce4e5b9u;
    return key ^ key >> 32;
}

static bucket *bucket_of(uint64_t key)
{
    return &table[key % BUCKETS];
}

/* The key's place in the bucket, BUCKET_WORDS: it has none. */
static unsigned place_of(const bucket *b, uint64_t key)
{
    unsigned here = 1u << BUCKET_WORDS;
    for (unsigned k = 0; k < BUCKET_WORDS; k++) here |= (unsigned)(b->word[k] == key) << k;
    return (unsigned)__builtin_ctz(here);
}

static uint32_t look_up(uint64_t key, const unsigned char *word, size_t bytes)
{
    bucket *b = bucket_of(key);
    const unsigned k = place_of(b, key);
    if (k < BUCKET_WORDS) return b->stem[k];
    const unsigned oldest = b->oldest;
    b->word[oldest] = key;
    b->stem[oldest] = stem_of(word, bytes);
    b->oldest = (oldest + 1) % BUCKET_WORDS;
    return b->stem[oldest];
}

uint32_t syn_stem_hash(const unsigned char *word, size_t bytes)
{
    const uint64_t key = XXH3_64bits(word, bytes);
    if (!stems(word, bytes)) return (uint32_t)key;
    return table || table_make() ? look_up(key, word, bytes) : stem_of(word, bytes);
}

uint64_t syn_stem_begin(syn_stem_word word)
{
    const uint64_t key = key_of(word);
    if (table || table_make()) __builtin_prefetch(bucket_of(key));
    return key;
}

uint32_t syn_stem_end(syn_stem_word word, uint64_t begun)
{
    unsigned char text[SYN_STEM_SHORT_BYTES];
    if (table) {
        const bucket *b = bucket_of(begun);
        const unsigned k = place_of(b, begun);
        if (k < BUCKET_WORDS) return b->stem[k];
    }
    const int zeros =
        word.high ? __builtin_clzll(word.high) / 8 : 8 + __builtin_clzll(word.low | 1) / 8;
    const size_t bytes = SYN_STEM_SHORT_BYTES - (size_t)zeros;
    memcpy(text, &word, sizeof text);
    return table ? look_up(begun, text, bytes) : stem_of(text, bytes);
}
