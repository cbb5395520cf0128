/* Questions for live teams, whatever the data set: what is asked, what may be read for it, and what
 * its official metric needs to know. One interface over the files of HotpotQA, 2WikiMultihopQA,
 * MuSiQue, CoQA, CommonsenseQA, MMLU and MultiWOZ as their authors publish them; questions come one
 * at a time, in the file's order (MMLU: one question of each subject in turn), in memory bounded by
 * the largest record.
 *
 * What a reader cannot use it counts by reason and leaves out: see syn_question_skip. What is no
 * JSON or CSV at all, or is of another layout, ends the reading with a sentence that names the
 * file, the line and the fault. */
#ifndef SYN_DATASETS_QUESTION_H
#define SYN_DATASETS_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

#define SYN_QUESTION_BENCHMARKS "hotpotqa|2wiki|musique|coqa|commonsenseqa|mmlu|multiwoz"

/* Caps, far above any real file. */
enum {
    SYN_QUESTION_CHOICES_MAX = 26, /* A-Z */
    SYN_QUESTION_SHOTS_MAX = 32,
    SYN_QUESTION_SUBJECTS_MAX = 256,
    SYN_QUESTION_RECORD_BYTES_MAX = 64 << 20 /* all texts of one record; a CSV row: 1 MiB */
};

/* All texts are UTF-8 and end in NUL; where there is nothing they are "", never NULL, unless it is
 * said otherwise. */
typedef struct syn_choice {
    const char *label, *text; /* "A", "a chair" */
} syn_choice;

/* Something that may be read. */
typedef struct syn_question_document {
    const char *title;            /* "": none (CoQA's story) */
    const char *text;             /* all of it */
    const char *const *sentences; /* as the data set cuts them (HotpotQA, 2Wiki: with their leading
                                     blanks; joined they are the text), trimmed ones of the story
                                     (CoQA), or the whole text (MuSiQue) */
    int sentence_count;
    bool gold; /* the answer needs it */
} syn_question_document;

/* A sentence that the answer needs. */
typedef struct syn_gold_fact {
    const char *title;
    int64_t sentence; /* from 0, as the file says */
    int document;     /* the first with this title; -1: none has it, or it has no such sentence */
} syn_gold_fact;

/* An example whose answer is known, for a prompt of several shots. */
typedef struct syn_shot {
    const char *question;
    const syn_choice *choices;
    int choice_count;
    const char *answer; /* a label */
} syn_shot;

typedef struct syn_spoken {
    const char *speaker; /* "user" or "system" */
    const char *text;
} syn_spoken;

/* "hotel", "area", "east" */
typedef struct syn_slot {
    const char *domain, *slot, *value;
} syn_slot;

/* What the user wants of one domain. Slots are named as the file names them ("pricerange"). */
typedef struct syn_user_goal {
    const char *domain;
    const syn_slot *info, *book; /* constraints of the search, of the booking */
    int info_count, book_count;
    const char *const *requests; /* slots to be told: "phone", "trainID" */
    int request_count;
} syn_user_goal;

/* One system turn of MultiWOZ, which the team has to write. */
typedef struct syn_task_turn {
    const char *dialogue; /* as mwzeval names it: small letters, without ".json": "sng0073" */
    int turn, turn_count; /* among the system turns of the dialogue, from 0; how many there are */
    const syn_user_goal *goals; /* none in release 2.2, whose files do not say them */
    int goal_count;
    const char *const *messages; /* the goal in sentences, without markup; none in 2.2 */
    int message_count;
    /* In use: where the user's turn has changed the state or the system's turn does something; else
     * those of the turn before. */
    const char *const *active;
    int active_count;
    const syn_slot *state; /* gold, behind the user's turn; unset slots are not in it, "dontcare"
                              is. Booking slots are in it with their own names ("people") */
    int state_count;
    const syn_slot *before; /* gold, behind the user's turn before this one; none at the first */
    int before_count;
    const char *const *booked; /* domains in which something is booked by now; none in 2.2 */
    int booked_count;
    const char *reference;     /* what the system said */
    const char *delexicalised; /* the same with what the annotation marks in it in mwzeval's
                                  brackets ("[restaurant_name]") */
} syn_task_turn;

typedef struct syn_question {
    const char *benchmark; /* a word of SYN_QUESTION_BENCHMARKS */
    const char *id;        /* of a prediction: HotpotQA's "_id", CoQA's "ID#TURN", MMLU's
                              "SUBJECT/ROW" (from 0), MultiWOZ's "sng0073#TURN" */
    const char *context;   /* questions about one story or dialogue share it; "": stands alone */
    int turn;              /* CoQA's turn_id (from 1), MultiWOZ's system turn (from 0); else 0 */
    const char *question;  /* MultiWOZ: what the user says */
    const char *domain; /* the stratum: MMLU's subject ("abstract_algebra"), CoQA's source, the type
                           (HotpotQA, 2Wiki), "2hop" (MuSiQue), the question's concept
                           (CommonsenseQA), the first active domain (MultiWOZ); "": not stated */
    const char *level;  /* HotpotQA: easy, medium, hard; else "" */
    const syn_choice *choices;
    int choice_count;
    const syn_question_document *documents;
    int document_count;
    /* References: HotpotQA's and 2Wiki's one answer; MuSiQue's answer and its aliases; CoQA's one,
     * then those of additional_answers in the order of their keys (one reference each); the label
     * of a choice; none where the file does not say (test sets) and for MultiWOZ (see task). */
    const char *const *answers;
    int answer_count;
    const syn_gold_fact *facts; /* HotpotQA, 2Wiki: in the file's order; MuSiQue: the supporting
                                   paragraphs; CoQA: sentences that the rationale touches */
    int fact_count;
    bool answerable;            /* false: MuSiQue says so, or CoQA's answer is "unknown" */
    const syn_spoken *dialogue; /* before the question, oldest first (CoQA, MultiWOZ) */
    int dialogue_count;
    const syn_shot *shots; /* MMLU: of the subject, from dev */
    int shot_count;
    const syn_task_turn *task; /* MultiWOZ; NULL elsewhere */
} syn_question;

/* Why a question was left out. */
typedef enum syn_question_skip {
    SYN_QUESTION_DUPLICATE, /* its id came before */
    SYN_QUESTION_EMPTY,     /* nothing is asked */
    SYN_QUESTION_BAD_TURN,  /* CoQA marks the turn as bad; it stays in the dialogue of later ones */
    SYN_QUESTION_NO_CHOICES, /* less than two choices */
    SYN_QUESTION_SKIP_COUNT
} syn_question_skip;

/* "with an id that came before" */
const char *syn_question_skip_text(int reason);

typedef struct syn_questions_count {
    int64_t questions, skipped[SYN_QUESTION_SKIP_COUNT];
    int64_t unlabelled;    /* questions handed out without an answer */
    int64_t facts_nowhere; /* questions with a supporting fact that points nowhere */
    int64_t unannotated;   /* MultiWOZ: system turns without acts ("No Annotation") */
} syn_questions_count;

typedef struct syn_questions_options {
    const char *benchmark; /* a word of SYN_QUESTION_BENCHMARKS */
    /* A file in the data set's own format; or a folder, in which the official names are looked for
     * (also with a suffix: "hotpot_dev_distractor_v1_subset.json"), for MMLU the folder that has
     * dev, val and test, or "data" with them; MultiWOZ: also a release's zip, the folder of a
     * release, or one that holds releases. */
    const char *path;
    /* "train", "dev" or "test"; NULL: the first there is of test (MMLU and MultiWOZ), dev, train.
     * Of MMLU "dev" means its val files, "train" its dev files. A single file is read as it is. */
    const char *split;
    const char *subject; /* MMLU: this one alone; NULL: all */
    int shots;           /* MMLU: examples a question, as far as dev has them; usually 5 */
} syn_questions_options;

typedef struct syn_questions syn_questions;

/* Opens a file, folder or archive. Errors: SYN_ERR_INVALID (options), SYN_ERR_IO, SYN_ERR_FORMAT
 * (no file of the data set is there), SYN_ERR_LIMIT, SYN_ERR_MEMORY. *out is NULL on failure. */
SYN_WARN_UNUSED syn_status syn_questions_open(const syn_questions_options *options,
                                              syn_questions **out);

/* The next question, valid until the next call; NULL at the end. After an error the reader can only
 * be closed. Errors: SYN_ERR_FORMAT, SYN_ERR_LIMIT, SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_questions_next(syn_questions *q, const syn_question **out);

/* What has been read so far. */
const syn_questions_count *syn_questions_counted(const syn_questions *q);
/* The file that is read, or was read last. */
const char *syn_questions_path(const syn_questions *q);

/* Safe on NULL. */
void syn_questions_close(syn_questions *q);

/* A copy in one block that outlives the reader; free() it. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_question_copy(const syn_question *q, syn_question **out);

#endif
