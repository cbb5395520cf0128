/* The lines of a tape and the keys of its requests; nobody but serve/llm_tape.c includes this. */
#ifndef SYN_SERVE_LLM_TAPE_LINE_H
#define SYN_SERVE_LLM_TAPE_LINE_H

#include "serve/llm_exchange.h"

/* {"check":"0123456789abcdef","key":"...32 hexadecimal digits...","number":0, ... and a line feed.
 */
enum { SYN_TAPE_LINE_BYTES_MAX = SYN_EXCHANGE_BYTES_MAX + 64 };

/* What a key is of; those of one never are those of another. */
enum { SYN_TAPE_SEED_CALL = 1, SYN_TAPE_SEED_MEASURED = 2 };
syn_tape_key syn_tape_key_of(uint64_t seed, const char *tag, const char *path, const char *body);

/* The line of a record's text {"key": ..}, with its line feed; *bytes: without. free() it. NULL:
 * out of memory. */
char *syn_tape_line_make(const char *text, size_t *bytes);
/* line: without its line feed. Whether it is as it was made. */
bool syn_tape_line_intact(const char *line, size_t bytes);
/* Key and number, which stand at its beginning; false: they do not. */
bool syn_tape_line_key(const char *line, size_t bytes, syn_tape_key *key, int64_t *number);

#endif
