/* A strict pull reader of one JSON value in memory (RFC 8259), without a tree: strings are slices
 * of the input, or of the reader's scratch where they hold escapes, so that a hostile record of 64
 * MiB costs no more than its size. Accepts and refuses what jansson does by default, save that
 * duplicate keys are the caller's affair, numbers are not checked against the range of a double,
 * and nesting ends at 512.
 *
 * The first fault sticks: every later call returns false. The input is never modified. */
#ifndef SYN_DATASETS_JSON_READ_H
#define SYN_DATASETS_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/arena.h"
#include "kernels/base/status.h"

enum { SYN_JSON_DEPTH_MAX = 512, SYN_JSON_FAULT_MAX = 200 };

typedef struct syn_slice {
    const char *bytes; /* not NUL-terminated */
    size_t count;
} syn_slice;

typedef struct syn_json {
    const char *begin, *at, *end;
    char *scratch; /* decoded strings; kept from value to value */
    size_t scratch_used, scratch_max;
    int depth;
    const char *fault_at; /* NULL: no fault so far */
    char fault[SYN_JSON_FAULT_MAX];
} syn_json;

/* Points the reader at a value. The reader is zeroed before its first use; slices of the value
 * before are no longer valid. */
void syn_json_begin(syn_json *j, const char *bytes, size_t count);
void syn_json_free(syn_json *j);

/* Stores the first fault, at the given place; returns false. */
bool syn_json_fault(syn_json *j, const char *at, const char *fmt, ...) SYN_PRINTF(3, 4);

/* The first character of the next value after blanks ('{', '[', '"', '-', a digit, 't', 'f', 'n'),
 * or 0 at the end. Moves nothing but blanks. */
char syn_json_peek(syn_json *j);

/* Each reads one value of its type; `what` names it in the fault ("the question"). */
bool syn_json_string(syn_json *j, const char *what, syn_slice *out);
bool syn_json_bool(syn_json *j, const char *what, bool *out);
bool syn_json_integer(syn_json *j, const char *what, int64_t *out);

/* Enters a list or an object; then next_item / next_key until false, which is at the closing
 * bracket or at a fault. *index counts from 0 and is set to -1 by enter. */
bool syn_json_enter_list(syn_json *j, const char *what, int *index);
bool syn_json_next_item(syn_json *j, int *index);
bool syn_json_enter_object(syn_json *j, const char *what, int *index);
bool syn_json_next_key(syn_json *j, int *index, syn_slice *key);

/* Passes over one value of any type, checking it. */
bool syn_json_skip(syn_json *j);

/* True when only blanks are left; else a fault. */
bool syn_json_finish(syn_json *j);

/* The fault as SYN_ERR_FORMAT, in a sentence that names the file and the line. */
syn_status syn_json_fail(const syn_json *j, const char *path);

bool syn_slice_equal(syn_slice s, const char *text);
/* A copy that ends in NUL; "" on failure, which the arena remembers. */
const char *syn_slice_text(syn_arena *a, syn_slice s);

#endif
