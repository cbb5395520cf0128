/* One record as a loader has read it, whatever the format: slices of the file's text. */
#ifndef SYN_DATASETS_RAW_RECORD_H
#define SYN_DATASETS_RAW_RECORD_H

#include "datasets/dataset.h"
#include "datasets/json_read.h"

/* Caps, far above any real record. */
enum {
    SYN_RAW_PIECES_MAX = 1024,
    SYN_RAW_SENTENCES_MAX = 65536, /* of all pieces together */
    SYN_RAW_FACTS_MAX = 1024,
    SYN_RAW_CLAIMS_MAX = 1024,
    SYN_RAW_ID_MAX = 255
};

typedef struct syn_raw_piece {
    syn_slice title;
    int sentence_first, sentence_count; /* in syn_raw_record.sentences */
    bool gold, claim, claim_correct;
} syn_raw_piece;

/* A supporting fact: a sentence of the piece with this title. */
typedef struct syn_raw_fact {
    syn_slice title;
    int64_t sentence;
} syn_raw_fact;

typedef struct syn_raw_claim {
    int64_t piece;
    bool correct;
    const char *at; /* where the file says so */
} syn_raw_claim;

typedef struct syn_raw_record {
    syn_slice id, question;
    syn_record_type type;
    int64_t hops; /* 0: not stated */
    bool answerable;
    bool fact_warning; /* a fact names a sentence that does not exist */
    bool generated;    /* it states "hops", as our generator's records do and no published one */
    int piece_count, sentence_count, fact_count, claim_count;
    syn_raw_piece pieces[SYN_RAW_PIECES_MAX];
    syn_raw_fact facts[SYN_RAW_FACTS_MAX];
    syn_raw_claim claims[SYN_RAW_CLAIMS_MAX];
    syn_slice sentences[SYN_RAW_SENTENCES_MAX];
} syn_raw_record;

/* Reads the object the reader stands at; the slices live as long as its input. False: a fault of
 * the reader. *reason receives why the record cannot be used, or SYN_SKIP_NONE. Keys that are not
 * needed are passed over, checked as JSON; of a key that comes twice the last counts. */
typedef bool syn_raw_reader(syn_json *j, syn_raw_record *r, syn_skip *reason);

/* HotpotQA and 2WikiMultihopQA: {_id, question, supporting_facts [[title, sentence]], context
 * [[title, [sentence]]], type}, and the optional keys of generated files: answerable (bool), hops
 * (int), claims
 * [[index in context, correct]]. Gold are the pieces whose title a fact names, never a claim. */
syn_raw_reader syn_hotpotqa_read;

/* MuSiQue: {id, question, paragraphs [{title, paragraph_text, is_supporting}], answerable}; the
 * number of hops is read from the id ("2hop__..."). */
syn_raw_reader syn_musique_read;

/* Empties a record before it is read. */
void syn_raw_begin(syn_raw_record *r);

/* Appends a piece, or a sentence to the last piece; false: a fault of the reader (too many). */
bool syn_raw_piece_add(syn_json *j, syn_raw_record *r, syn_slice title);
bool syn_raw_sentence_add(syn_json *j, syn_raw_record *r, syn_slice text);

/* Checks what every format needs: an id of 1 to SYN_RAW_ID_MAX bytes and a question; `start` is
 * where the record begins, `id_key` its name in the format. */
bool syn_raw_check(syn_json *j, const syn_raw_record *r, const char *start, const char *id_key);

#endif
