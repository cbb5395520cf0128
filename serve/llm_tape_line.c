#include "serve/llm_tape_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define CHECK_BEFORE "{\"check\":\""
#define CHECK_AFTER  "\","
#define KEY_BEFORE   "\"key\":\""
#define KEY_AFTER    "\",\"number\":"
enum {
    CHECK_AT = sizeof CHECK_BEFORE - 1,
    CHECKED_AT = CHECK_AT + 16 + sizeof CHECK_AFTER - 1, /* what the check is of begins there */
    KEY_AT = CHECKED_AT + sizeof KEY_BEFORE - 1,
    NUMBER_AT = KEY_AT + 32 + sizeof KEY_AFTER - 1
};

syn_tape_key syn_tape_key_of(uint64_t seed, const char *tag, const char *path, const char *body)
{
    const char *part[] = {tag, path, body};
    XXH128_hash_t h = {seed, 0};
    for (int k = 0; k < 3; k++) {
        const XXH128_hash_t own = XXH3_128bits_withSeed(part[k], strlen(part[k]), h.low64);
        h.low64 = own.low64;
        h.high64 = own.high64 ^ (h.high64 << 1 | h.high64 >> 63);
    }
    return (syn_tape_key){h.high64, h.low64};
}

static void check_of(const char *line, size_t bytes, char check[17])
{
    snprintf(check, 17, "%016" PRIx64,
             (uint64_t)XXH3_64bits(line + CHECKED_AT, bytes - CHECKED_AT));
}

char *syn_tape_line_make(const char *text, size_t *bytes)
{
    const size_t rest = strlen(text + 1); /* without { */
    char check[17];
    *bytes = CHECKED_AT + rest;
    char *line = malloc(*bytes + 2);
    if (!line) return NULL;
    memcpy(line, CHECK_BEFORE, CHECK_AT);
    memcpy(line + CHECK_AT + 16, CHECK_AFTER, sizeof CHECK_AFTER - 1);
    memcpy(line + CHECKED_AT, text + 1, rest);
    check_of(line, *bytes, check);
    memcpy(line + CHECK_AT, check, 16);
    line[*bytes] = '\n';
    line[*bytes + 1] = 0;
    return line;
}

bool syn_tape_line_intact(const char *line, size_t bytes)
{
    char check[17];
    if (bytes <= CHECKED_AT || memcmp(line, CHECK_BEFORE, CHECK_AT) != 0 ||
        memcmp(line + CHECK_AT + 16, CHECK_AFTER, sizeof CHECK_AFTER - 1) != 0)
        return false;
    check_of(line, bytes, check);
    return memcmp(line + CHECK_AT, check, 16) == 0;
}

static bool hexadecimal(const char *text, uint64_t *out)
{
    char digits[17] = "";
    memcpy(digits, text, 16);
    *out = strtoull(digits, NULL, 16);
    return strspn(digits, "0123456789abcdef") == 16;
}

bool syn_tape_line_key(const char *line, size_t bytes, syn_tape_key *key, int64_t *number)
{
    char digits[20] = "", *end;
    if (bytes < NUMBER_AT + 2 ||
        memcmp(line + CHECKED_AT, KEY_BEFORE, sizeof KEY_BEFORE - 1) != 0 ||
        memcmp(line + KEY_AT + 32, KEY_AFTER, sizeof KEY_AFTER - 1) != 0 ||
        !hexadecimal(line + KEY_AT, &key->high) || !hexadecimal(line + KEY_AT + 16, &key->low))
        return false;
    memcpy(digits, line + NUMBER_AT, bytes - NUMBER_AT < 19 ? bytes - NUMBER_AT : 19);
    *number = strtoll(digits, &end, 10);
    return end > digits && *end == ',' && *number >= 0;
}
