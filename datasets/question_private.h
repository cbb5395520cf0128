/* Between the reader of questions and its formats. */
#ifndef SYN_DATASETS_QUESTION_PRIVATE_H
#define SYN_DATASETS_QUESTION_PRIVATE_H

#include "datasets/files.h"
#include "datasets/json_read.h"
#include "datasets/keyset.h"
#include "datasets/question.h"
#include "datasets/raw_record.h"
#include "kernels/base/arena.h"

enum { SYN_QUESTION_BATCH_MAX = SYN_RAW_QUESTIONS_MAX };

typedef struct syn_question_format {
    const char *benchmark;
    syn_json_layout layout; /* of its files, where they are JSON */
    size_t state_bytes;     /* of its own, zeroed, as q->state */
    /* JSON: reads the record at q->json, whose key is `name` in an object of records, into the
     * batch. False: a fault of the reader, or of the arena. */
    bool (*read)(syn_questions *q, syn_slice name);
    /* Others: reads the next record into the batch; sets q->at_end where there is none. */
    syn_status (*fill)(syn_questions *q);
    /* Finds its files among q->files and whatever else it needs. */
    syn_status (*open)(syn_questions *q);
    void (*close)(syn_questions *q); /* may be NULL */
} syn_question_format;

struct syn_questions {
    const syn_question_format *format;
    char *path, *split, *subject; /* as given; NULL: not given */
    int shots;
    syn_files files;
    int *chosen, chosen_count, chosen_next; /* of files: those that are read, in order */
    syn_json_stream stream;
    bool streaming, at_end;
    syn_json_layout layout;
    syn_json json;
    syn_arena arena; /* texts of the batch */
    syn_keyset ids;
    syn_questions_count counted;
    syn_question batch[SYN_QUESTION_BATCH_MAX];
    int batch_count, batch_at;
    void *state;
};

extern const syn_question_format syn_question_hotpotqa, syn_question_2wiki, syn_question_musique,
    syn_question_coqa, syn_question_commonsenseqa, syn_question_mmlu, syn_question_multiwoz;

/* The next place of the batch, with texts "" and nothing in it; NULL: a fault of the reader (too
 * many). */
syn_question *syn_question_add(syn_questions *q);

/* Chooses one file: the path's own, or the first whose last part matches one of `patterns`, pairs
 * of a split and a pattern in order of preference, ended by NULL; where q->split is given, those of
 * that split alone. SYN_ERR_FORMAT where there is none. */
SYN_WARN_UNUSED syn_status syn_question_choose(syn_questions *q, const char *const *patterns);

/* Appends to q->chosen. */
SYN_WARN_UNUSED syn_status syn_question_chosen(syn_questions *q, int file);

/* Several texts as an array in the arena; NULL for none. */
const char *const *syn_question_texts(syn_arena *arena, const syn_slice *texts, int count);

#endif
