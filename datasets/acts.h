/* The acts of a MultiWOZ release that keeps them in a file of their own, beside the dialogues:
 * release 2.0's dialogue_acts.json, {id: {"1": {"Hotel-Inform": [["Area", "east"]]} or "No
 * Annotation"}}, numbered by system turns from 1, and release 2.2's dialog_acts.json, {id:
 * {turn_id: {"dialog_act": ..., "span_info": [[act, slot, value, start, end]]}}}. Read whole, found
 * by id. */
#ifndef SYN_DATASETS_ACTS_H
#define SYN_DATASETS_ACTS_H

#include "datasets/files.h"

enum { SYN_ACTS_BYTES_MAX = 128 << 20 };

typedef struct syn_acts syn_acts;

/* Errors: SYN_ERR_IO, SYN_ERR_FORMAT, SYN_ERR_LIMIT, SYN_ERR_MEMORY. *out is NULL on failure. */
SYN_WARN_UNUSED syn_status syn_acts_read(const syn_files *f, int file, syn_acts **out);
/* Safe on NULL. */
void syn_acts_free(syn_acts *a);

/* Reads what the file says of one turn; `number` is its key, -1 where that is none of digits.
 * False: a fault of the reader. */
typedef bool syn_acts_reader(syn_json *own, int number, void *owner);

/* Hands all that the file says of a dialogue to `read`, turn by turn; of a dialogue it does not
 * know, or where `a` is NULL, that is nothing. Ids are compared without ".json" and case. The text
 * is read by `own`, which stands for no other and is the caller's to free: slices live as long.
 * False: a fault, which is told as one of `j`. */
bool syn_acts_each(const syn_acts *a, syn_slice id, syn_json *j, syn_json *own,
                   syn_acts_reader *read, void *owner);

/* What ids are compared by. */
uint64_t syn_dialogue_key(syn_slice id);

#endif
