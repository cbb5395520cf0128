/* The HDF5 cache of a data set: tokens and labels, no text but ids.
 *
 * Layout. A user block of 512 bytes holds the size of the file and the XXH3-128 of all that
 * follows, so that a damaged file is refused before HDF5 parses a byte of it. Then one-dimensional,
 * chunked, uncompressed data sets, one value a record or piece: /record/{question_count,
 * question_key, piece_count, answerable, type, hops, source, context_key}, /piece/{title_count,
 * body_count, title_key, gold, claim, claim_correct, group}, then /token (u32, engine/text.h) and
 * /id (bytes, each id ends in NUL). No offsets are stored: the tokens of a record stand in the
 * order question, then title and body of each piece, records follow each other, so counts alone say
 * where everything is. Root attributes: format, format_version, created, config_json (sources,
 * licences, SHA-256 of the inputs, what was skipped).
 *
 * Reading is syn_dataset_load() of dataset.h. One thread at a time: HDF5. */
#ifndef SYN_DATASETS_CACHE_H
#define SYN_DATASETS_CACHE_H

#include "datasets/dataset.h"

typedef struct syn_cache_writer syn_cache_writer;

/* Begins a cache that will stand at `path`. Nothing is visible there before commit. */
SYN_WARN_UNUSED syn_status syn_cache_create(syn_cache_writer **out, const char *path);

/* Appends all records of `batch`; its sources are ignored. The batch's tokens, pieces and ids must
 * stand in the order of its records, without gaps, as syn_dataset_load and syn_dataset_append make
 * them. Errors: SYN_ERR_INVALID, SYN_ERR_IO (disk full: the sentence says so), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_cache_append(syn_cache_writer *w, const syn_dataset *batch);

/* Writes the sources, syncs, gives the file its name and frees the writer, also on failure. */
SYN_WARN_UNUSED syn_status syn_cache_commit(syn_cache_writer *w, const syn_source *sources,
                                            int count);

/* Drops everything; NULL is allowed. */
void syn_cache_discard(syn_cache_writer *w);

/* Computes the user block of a file anew: for tools and tests that edit a cache. */
SYN_WARN_UNUSED syn_status syn_cache_seal(const char *path);

#endif
