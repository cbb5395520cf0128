/* Under which licence the authors of a data set publish its questions. */
#ifndef SYN_DATASETS_LICENCE_H
#define SYN_DATASETS_LICENCE_H

/* "CC BY-SA 4.0", by the data set's word: one of SYN_PREPARE_FORMATS, SYN_PREPARE_CLOSED or
 * SYN_QUESTION_BENCHMARKS. NULL: a word that is none of these. */
const char *syn_licence_of(const char *word);

#endif
