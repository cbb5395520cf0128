/* A tape of what providers answered: recorded beside the calls, replayed later without a network.
 *
 * Recording, a client (serve/llm.h) appends one record for each call that has ended: what was
 * asked, and of each attempt the status, Content-Type, Retry-After and the body's bytes as they
 * came. Replaying, these bytes go through the same readers once more, attempt by attempt, without
 * the waits between them: the same text, usage, cost, error and pieces of a stream, and the times
 * that were taken then. Nothing is ever sent; a request that is not on the tape fails with a
 * sentence that names it.
 *
 * A request is known by the caller's tag, the path of its URL and its body, whatever the host; and
 * those that agree in all of it, by their number in the order of submission. Requests that are
 * under way at a time should therefore differ in their tags ("hotpotqa/5a8b57/3/learned/answer/2/1"
 * is one of serve/drive.h, "mmlu/q7/5/self_consistency/sample 4" one of a caller's own): then no
 * reply depends on the order in which calls end. Replies that are due at the same time come in the
 * order of the tape, so that sums of them are the same to the bit. Of several records of the same
 * request the last counts: a run that was interrupted, and asked again, is replayed as it ended.
 *
 * What a tape does not hold: keys (and a provider's own key in a body that echoes it is blotted
 * out), headers that are not named above, waits. A call that was cancelled waits to be cancelled
 * again, after the bytes that had come. A provider's breaker (serve/llm.h) neither opens nor closes
 * while it is replayed: calls that it failed then fail again.
 *
 * The file: a line that says what it is, then one JSON object a line, each with a check (XXH3) of
 * the rest of its line; bodies as text, or in base64 where they are no text. It is appended to, and
 * synced every 64 records or two seconds; a last record that was cut off is dropped. It holds
 * questions and answers: its mode is 0600. Any thread; several clients may share a tape. */
#ifndef SYN_SERVE_LLM_TAPE_H
#define SYN_SERVE_LLM_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

typedef enum syn_tape_mode {
    SYN_TAPE_RECORD, /* begins the file, or goes on with it */
    SYN_TAPE_REPLAY  /* reads it alone */
} syn_tape_mode;

typedef struct syn_tape syn_tape;

/* Reads the whole file once, and keeps some 60 bytes a record of it. Errors: SYN_ERR_IO (cannot be
 * read or written, or somebody else records there), SYN_ERR_FORMAT with the line (not a tape, a
 * damaged record), SYN_ERR_LIMIT (a record above 64 MiB, more than 16 million), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_tape_open(const char *path, syn_tape_mode mode, syn_tape **out);
/* After the clients that use it. Errors: those of syn_tape_check, and SYN_ERR_IO for what could not
 * be synced; the tape is gone in any case. NULL is allowed. */
SYN_WARN_UNUSED syn_status syn_tape_close(syn_tape *tape);

/* False for NULL. */
bool syn_tape_replays(const syn_tape *tape);
int64_t syn_tape_count(const syn_tape *tape); /* records of the file */

/* The first thing that went wrong since the tape was opened, which no reply tells apart from a
 * provider's fault: SYN_ERR_IO where a record could not be written (none is written after it, and
 * the file ends with the one before), SYN_ERR_INVALID where a request was not on the tape. */
SYN_WARN_UNUSED syn_status syn_tape_check(syn_tape *tape);
/* All that was recorded is on the disk: before anything that relies on it is. Errors: SYN_ERR_IO.
 */
SYN_WARN_UNUSED syn_status syn_tape_sync(syn_tape *tape);

/* A figure that a replay cannot measure, a latency above all. Recording: keeps `value` under this
 * tag and returns it; replaying: returns what was kept under it, or `value` where nothing was.
 * NULL: returns `value`. */
double syn_tape_measured(syn_tape *tape, const char *tag, double value);

#endif
