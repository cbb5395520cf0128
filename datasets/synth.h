/* The synthetic generator: multi-hop questions over an invented world, in HotpotQA's JSON layout.
 *
 * Every record is a list entry {_id, answer, question, supporting_facts, context, type, level} as
 * in HotpotQA, and three optional keys that our loader reads: "hops": int          pieces that must
 * be read to answer (2 to 4) "answerable": false  one of them was replaced by a foreign piece; the
 * supporting facts name the rest "claims": [[context_index, correct]]  context entries with title
 * "" that hold one reworded sentence of another piece; correct is false where a value in it was
 * swapped
 *
 * A bridge question leads from one entity to the next by titles that the pieces mention; a
 * comparison names both entities. The distractors share names with the question and with the gold
 * pieces, state the same relations of other subjects, and mention gold titles. Nothing in the text
 * is real. */
#ifndef SYN_DATASETS_SYNTH_H
#define SYN_DATASETS_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"

enum { SYN_SYNTH_PIECES_MIN = 5, SYN_SYNTH_PIECES_MAX = 20, SYN_SYNTH_TASKS_MAX = 100000000 };

typedef struct syn_synth_options {
    int64_t tasks; /* 1..SYN_SYNTH_TASKS_MAX */
    uint64_t seed;
    int pieces;          /* context entries of a record, a claim included; MIN..MAX above */
    double unanswerable; /* share of the records, [0, 1] */
    double claims; /* share of the records with one claim, [0, 1]; one claim in five is wrong */
} syn_synth_options;

/* 10 pieces, no unanswerable record, claims in one record of five; tasks 0, seed 0. */
syn_synth_options syn_synth_defaults(void);

/* A growing text; zeroed by the caller, `data` is freed by the caller with free(). */
typedef struct syn_synth_text {
    char *data; /* bytes characters, not NUL-terminated */
    size_t bytes, bytes_max;
} syn_synth_text;

/* Appends record `index` as one JSON object in one line, without comma or newline. A pure function
 * of the options other than `tasks`, and of the index: deterministic, thread-safe. Errors:
 * SYN_ERR_INVALID (an option outside its range), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_synth_record(const syn_synth_options *o, int64_t index,
                                            syn_synth_text *out);

/* Writes records 0..tasks-1 as a JSON list to `path`, one a line, in bounded memory, with a
 * progress bar; the records are made on all OpenMP threads. The file appears whole or not at all.
 * Errors: SYN_ERR_INVALID (options), SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_synth_write(const syn_synth_options *o, const char *path);

#endif
