/* Evidence-annotated questions in memory: what the HDF5 cache holds, and what trainer and
 * evaluation read. Tokens and labels only, no text but ids; features are built from it by
 * engine/task.h. */
#ifndef SYN_DATASETS_DATASET_H
#define SYN_DATASETS_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"

enum {
    SYN_PIECES_OWN_MAX = 28, /* pieces of a record; more: distractors are cut, never gold */
    SYN_PIECE_GROUPS_MAX = 8 /* groups in a record */
};

typedef struct syn_piece {
    int64_t title_at, body_at; /* first token, in syn_dataset.tokens */
    int32_t title_count, body_count;
    uint64_t title_key;    /* XXH3-64 of the title's bytes; 0: no title */
    uint8_t gold;          /* 1: a supporting piece */
    uint8_t claim;         /* 1: one sentence of an agent, may be wrong; never gold-only */
    uint8_t claim_correct; /* 1: a claim that the file marks as correct */
    uint8_t group;         /* 1..SYN_PIECE_GROUPS_MAX: pieces of one group (the facts of a domain)
                              belong to one agent; 0: to anybody */
} syn_piece;

typedef struct syn_record {
    int64_t id_at;        /* NUL-terminated, in syn_dataset.strings */
    uint64_t id_key;      /* XXH3-64 of the id */
    uint64_t context_key; /* XXH3-64 of the name of the dialogue or story that the pieces are of,
                             where several records have one; 0: the record stands alone */
    int64_t question_at;  /* first token */
    int32_t question_count;
    uint64_t question_key; /* XXH3-64 of the question's bytes */
    int64_t piece_first;   /* in syn_dataset.pieces */
    int32_t piece_count;   /* 1..SYN_PIECES_OWN_MAX */
    int32_t gold_count;    /* >= 1 */
    uint8_t answerable;    /* 0: the file itself marks it unanswerable (MuSiQue-Full) */
    uint8_t type;          /* enum syn_record_type */
    uint8_t hops;          /* 0: not stated */
    uint8_t source;        /* index into syn_dataset.sources */
} syn_record;

typedef enum syn_record_type {
    SYN_TYPE_OTHER,
    SYN_TYPE_BRIDGE,
    SYN_TYPE_COMPARISON,
    SYN_TYPE_COMPOSITIONAL,
    SYN_TYPE_INFERENCE,
    SYN_TYPE_BRIDGE_COMPARISON,
    SYN_TYPE_COUNT
} syn_record_type;

enum { SYN_SOURCES_MAX = 16, SYN_SOURCE_NAME_MAX = 32, SYN_LICENCE_MAX = 32 };

/* Why a record of an input file is not used: the key in reports, and the words for people. */
#define SYN_SKIP_MAP(X)                                                                            \
    X(NO_FACTS, "no_supporting_facts", "without supporting facts")                                 \
    X(MISSING_PIECE, "fact_without_paragraph", "with a fact that names no given paragraph")        \
    X(NO_DISTRACTOR, "no_distractor", "whose pieces are all supporting")                           \
    X(GOLD_LIMIT, "too_many_supporting", "with more supporting pieces than a task may have")       \
    X(NO_QUESTION, "no_question", "whose question has no word")                                    \
    X(DUPLICATE, "duplicate_id", "whose id came before")                                           \
    X(WINDOW, "supporting_far_apart", "whose supporting pieces do not fit one window")             \
    X(UNKNOWN, "marked_unusable", "that the file marks as without answer or as bad")

typedef enum syn_skip {
#define SYN_SKIP_ENUM(name, key, text) SYN_SKIP_##name,
    SYN_SKIP_MAP(SYN_SKIP_ENUM)
#undef SYN_SKIP_ENUM
        SYN_SKIP_COUNT,
    SYN_SKIP_NONE = SYN_SKIP_COUNT
} syn_skip;

/* One input file. */
typedef struct syn_source {
    char name[SYN_SOURCE_NAME_MAX]; /* "hotpotqa" */
    char licence[SYN_LICENCE_MAX];  /* "CC BY-SA 4.0" */
    char sha256[65];                /* of the input file */
    int64_t records;                /* kept */
    int64_t bytes, records_read;
    int64_t skipped[SYN_SKIP_COUNT];
    int64_t fact_warnings; /* kept records, a fact of which names a sentence that does not exist */
    int64_t cut;           /* kept records that lost distractors beyond SYN_PIECES_OWN_MAX */
} syn_source;

typedef struct syn_dataset {
    syn_source sources[SYN_SOURCES_MAX];
    int source_count;
    syn_record *records;
    int64_t record_count, record_max;
    syn_piece *pieces;
    int64_t piece_count, piece_max;
    uint32_t *tokens; /* engine/text.h */
    int64_t token_count, token_max;
    char *strings;
    int64_t string_bytes, string_max;
} syn_dataset;

/* Reads caches and appends them; the dataset is zeroed by the caller before the first. A record
 * whose id is there already is left out and counted in its source's skipped[SYN_SKIP_DUPLICATE];
 * the first stays. On failure the dataset is unchanged. Errors name the file and the fault:
 * SYN_ERR_IO, SYN_ERR_FORMAT (not a cache, damaged, lying), SYN_ERR_LIMIT (too many sources),
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_dataset_load(syn_dataset *ds, const char *path);
void syn_dataset_free(syn_dataset *ds);

/* Makes room for so many more records, pieces, tokens and bytes of strings. Counts stay. */
SYN_WARN_UNUSED syn_status syn_dataset_reserve(syn_dataset *ds, int64_t records, int64_t pieces,
                                               int64_t tokens, int64_t string_bytes);

/* Appends the records of `from` and its sources, as syn_dataset_load does. The two must be
 * different. In every data set the tokens of a record stand together: question, then title and body
 * of each piece. */
SYN_WARN_UNUSED syn_status syn_dataset_append(syn_dataset *ds, const syn_dataset *from);

/* Like append, but moves the arrays of `from` where it can: an empty `ds`, no id twice. */
SYN_WARN_UNUSED syn_status syn_dataset_take(syn_dataset *ds, syn_dataset *from);

const char *syn_record_id(const syn_dataset *ds, const syn_record *r);

/* The i-th piece of a record. */
const syn_piece *syn_record_piece(const syn_dataset *ds, const syn_record *r, int i);

/* Tokens of the record, from question_at on. */
int64_t syn_record_token_count(const syn_dataset *ds, const syn_record *r);

/* XXH3-64: the key of an id, a question or a title. */
uint64_t syn_dataset_key(const char *bytes, size_t count);

const char *syn_record_type_text(int type); /* "bridge" */
const char *syn_skip_key(int reason);       /* "no_supporting_facts" */
const char *syn_skip_text(int reason);

/* What splits go by, so that all questions about one dialogue or story are on one side: the
 * context, or the id of a record that stands alone. */
uint64_t syn_record_split_key(const syn_record *r);

/* The fold of a record among `folds`, by its split key alone. */
int syn_record_fold(const syn_record *r, int folds);

/* Marks in keep[record_count] (1 = stays) the training records that share no title with any record
 * of fold `test_fold`; returns how many stay. Pieces without a title are not compared.
 * Deterministic. */
int64_t syn_dataset_title_disjoint(const syn_dataset *ds, int folds, int test_fold, uint8_t *keep);

#endif
