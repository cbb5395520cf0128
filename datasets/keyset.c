#include "datasets/keyset.h"

#include <stdlib.h>

/* The slot of a key, or the free one where it belongs. The table is never full. */
static int64_t slot_of(const syn_keyset *s, uint64_t key)
{
    uint64_t mask = (uint64_t)s->max - 1, i = (key * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (s->slots[i] && s->slots[i] != key) i = (i + 1) & mask;
    return (int64_t)i;
}

static syn_status grow(syn_keyset *s)
{
    syn_keyset larger = {
        .max = s->max ? 2 * s->max : 1024, .count = s->count, .has_zero = s->has_zero};
    larger.slots = calloc((size_t)larger.max, sizeof *larger.slots);
    if (!larger.slots)
        return syn_fail(SYN_ERR_MEMORY, "no memory for a set of %lld keys", (long long)larger.max);
    for (int64_t i = 0; i < s->max; i++)
        if (s->slots[i]) larger.slots[slot_of(&larger, s->slots[i])] = s->slots[i];
    free(s->slots);
    *s = larger;
    return SYN_OK;
}

syn_status syn_keyset_add(syn_keyset *s, uint64_t key, bool *added)
{
    if (key == 0) {
        *added = !s->has_zero;
        s->has_zero = true;
        return SYN_OK;
    }
    if (2 * (s->count + 1) > s->max) SYN_RETURN_IF(grow(s));
    int64_t slot = slot_of(s, key);
    *added = s->slots[slot] == 0;
    if (*added) {
        s->slots[slot] = key;
        s->count++;
    }
    return SYN_OK;
}

bool syn_keyset_has(const syn_keyset *s, uint64_t key)
{
    if (key == 0) return s->has_zero;
    return s->max > 0 && s->slots[slot_of(s, key)] == key;
}

void syn_keyset_free(syn_keyset *s)
{
    free(s->slots);
    *s = (syn_keyset){0};
}
