/* Prepared tasks and the networks that judge their evidence as one plain file (safetensors), which
 * a machine without data sets, checkpoints and their libraries can train on.
 *
 *   tasks.info    I32 (2R, 3 + SYN_GROUPS_MAX): gold, pieces, claims, groups; task 2r with titles,
 *                 2r + 1 without
 *   tasks.quest   F32 (2R, SYN_TASK_QUEST)      tasks.pair   F32 (2R, SYN_TASK_PAIR)
 *   judge.<name>  the perception's tensors by name
 *   judge.calibration   F32 (SYN_GAP_OUT, 2): temperature, offset
 *
 * Text embeddings are left out: no network reads them. A record takes 70 KB. */
#ifndef SYN_TRAINER_TASK_FILE_H
#define SYN_TRAINER_TASK_FILE_H

#include "engine/perception.h"
#include "trainer/corpus.h"

enum { SYN_TASK_FILE_RECORDS_MAX = 20000 };

/* The first `records` records of c (all, where it has fewer); the file appears whole or not at all.
 * ctx: of c and p. Errors: SYN_ERR_IO, SYN_ERR_LIMIT, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_task_file_write(syn_ctx *ctx, const char *path, const syn_corpus *c,
                                               int64_t records, const syn_perception *p);

/* Both are overwritten and of ctx; on an error both are empty. Errors: SYN_ERR_IO, SYN_ERR_FORMAT
 * (of the file, tensors, or what cannot be a task), SYN_ERR_NUMERIC, SYN_ERR_LIMIT, SYN_ERR_MEMORY.
 */
SYN_WARN_UNUSED syn_status syn_task_file_read(syn_ctx *ctx, const char *path, syn_corpus *c,
                                              syn_perception *p);

#endif
