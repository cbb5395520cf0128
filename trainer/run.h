/* What pretrain, train and eval begin with: device, data, the records in use, and where they came
 * from. */
#ifndef SYN_TRAINER_RUN_H
#define SYN_TRAINER_RUN_H

#include "datasets/dataset.h"
#include "engine/model.h"
#include "kernels/base/options.h"
#include "trainer/corpus.h"

/* From these bounds are the weights of --data FILE.h5@WEIGHT. */
#define SYN_DATA_WEIGHT_MIN 0.001
#define SYN_DATA_WEIGHT_MAX 1000.0

/* The options that the commands on prepared data share; their config structs begin with it. */
typedef struct syn_run_config {
    syn_text_list data;
    const char *device, *split, *goal, *num_agents_range;
    int64_t seed, threads, folds, fold, pieces, max_rounds, read_limit;
    bool title_disjoint;
    /* Of commands that train (SYN_RUN_TRAIN_OPTIONS). */
    const char *precision, *lstm, *backend, *rendezvous;
    int64_t rank_timeout;
    bool weighted;   /* set by the command: its --data may have weights */
    bool own_device; /* likewise: it opens --device itself */
} syn_run_config;

#define SYN_RUN_OPTIONS                                                                            \
    {"data",                                                                                       \
     SYN_OPTION_LIST,                                                                              \
     offsetof(syn_run_config, data),                                                               \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     "FILE.h5[@WEIGHT]",                                                                           \
     "A cache made by 'data prepare'; may be given several times. In pretrain and train, each "    \
     "record of FILE is drawn WEIGHT times as often as one of weight 1, the default (0.001 to "    \
     "1000).",                                                                                     \
     NULL},                                                                                        \
        {"seed",                                                                                   \
         SYN_OPTION_INT,                                                                           \
         offsetof(syn_run_config, seed),                                                           \
         "1",                                                                                      \
         0,                                                                                        \
         1e15,                                                                                     \
         "S",                                                                                      \
         "Everything random follows from it.",                                                     \
         NULL},                                                                                    \
        {"device", SYN_OPTION_CHOICE, offsetof(syn_run_config, device), "auto",  0,                \
         0,        "auto|cpu|cuda",   "Where the networks run.",        "DEVICE"},                 \
        {"threads",                                                                                \
         SYN_OPTION_INT,                                                                           \
         offsetof(syn_run_config, threads),                                                        \
         "0",                                                                                      \
         0,                                                                                        \
         1024,                                                                                     \
         "N",                                                                                      \
         "CPU threads; 0: one per core.",                                                          \
         NULL},                                                                                    \
        {"folds",                                                                                  \
         SYN_OPTION_INT,                                                                           \
         offsetof(syn_run_config, folds),                                                          \
         "0",                                                                                      \
         0,                                                                                        \
         1000,                                                                                     \
         "F",                                                                                      \
         "Cut the records into F folds by a hash of their id; 0: no folds.",                       \
         NULL},                                                                                    \
        {"fold",                                                                                   \
         SYN_OPTION_INT,                                                                           \
         offsetof(syn_run_config, fold),                                                           \
         "0",                                                                                      \
         0,                                                                                        \
         999,                                                                                      \
         "K",                                                                                      \
         "The fold that is kept for testing.",                                                     \
         NULL},                                                                                    \
    {                                                                                              \
        "pieces", SYN_OPTION_INT, offsetof(syn_run_config, pieces), "0", 0, SYN_PIECES_OWN_MAX,    \
            "K", "Fill each record to K pieces with hard distractors; 0: as it is.", NULL          \
    }

/* Of the commands that train: pretrain and train. */
#define SYN_RUN_TRAIN_OPTIONS                                                                      \
    {"title-disjoint",                                                                             \
     SYN_OPTION_BOOL,                                                                              \
     offsetof(syn_run_config, title_disjoint),                                                     \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     "Leave out training records that share a title with the test fold.",                          \
     NULL},                                                                                        \
        {"precision",                                                                              \
         SYN_OPTION_CHOICE,                                                                        \
         offsetof(syn_run_config, precision),                                                      \
         "fp32",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "fp32|mixed",                                                                             \
         "How CUDA computes: in float throughout, or with operands rounded to TF32 and bf16 and "  \
         "sums in float.",                                                                         \
         NULL},                                                                                    \
        {"lstm",                                                                                   \
         SYN_OPTION_CHOICE,                                                                        \
         offsetof(syn_run_config, lstm),                                                           \
         "auto",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "auto|step|block|cluster|grid|wide|cudnn",                                                \
         "How CUDA computes the recurrence of the layers that can be computed so; the others go "  \
         "as auto does.",                                                                          \
         "SYNCOG_LSTM"},                                                                           \
        {"dist-backend",                                                                           \
         SYN_OPTION_CHOICE,                                                                        \
         offsetof(syn_run_config, backend),                                                        \
         "auto",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "auto|mpi|tcp|nccl",                                                                      \
         "What carries the sums over ranks.",                                                      \
         NULL},                                                                                    \
        {"rendezvous",                                                                             \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_run_config, rendezvous),                                                     \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         "tcp://HOST:PORT|file:PATH",                                                              \
         "Where ranks that MPI did not start meet.",                                               \
         NULL},                                                                                    \
    {                                                                                              \
        "rank-timeout", SYN_OPTION_INT, offsetof(syn_run_config, rank_timeout), "50", 1, 86400,    \
            "SECONDS", "A rank that does not answer for so long is given up.", NULL                \
    }

/* The episodes that train and eval play. */
#define SYN_RUN_ENV_OPTIONS                                                                        \
    {"goal",                                                                                       \
     SYN_OPTION_CHOICE,                                                                            \
     offsetof(syn_run_config, goal),                                                               \
     "asker",                                                                                      \
     0,                                                                                            \
     0,                                                                                            \
     "asker|consensus",                                                                            \
     "Who must hold the evidence: the asker, or more than half of the team.",                      \
     NULL},                                                                                        \
        {"num-agents-range",                                                                       \
         SYN_OPTION_TEXT,                                                                          \
         offsetof(syn_run_config, num_agents_range),                                               \
         "2-10",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "A-B",                                                                                    \
         "Team sizes to draw from.",                                                               \
         NULL},                                                                                    \
        {"max-rounds",                                                                             \
         SYN_OPTION_INT,                                                                           \
         offsetof(syn_run_config, max_rounds),                                                     \
         "0",                                                                                      \
         0,                                                                                        \
         250,                                                                                      \
         "T",                                                                                      \
         "Turns of an episode; 0: twice its pieces.",                                              \
         NULL},                                                                                    \
    {                                                                                              \
        "read-limit", SYN_OPTION_INT, offsetof(syn_run_config, read_limit), "0", 0, SYN_ROWS_MAX,  \
            "K", "Pieces an agent has read at the start, the others by ALONE; 0: all.", NULL       \
    }

/* Context (of the CPU), data and marks. train: the records outside of the test fold (and, if asked,
 * without its titles); else those within; without folds all. */
typedef struct syn_run {
    syn_ctx ctx;
    syn_dataset data;
    uint8_t *use; /* (data.record_count) */
    int64_t used;
    double weight[SYN_SOURCES_MAX]; /* of the data's sources, 1 where none was given */
    bool ready;
    char *out; /* owned; the first out_kept bytes name what was there before */
    size_t out_kept;
} syn_run;

SYN_WARN_UNUSED syn_status syn_run_open(syn_run *s, const syn_run_config *cfg, bool train);
void syn_run_close(syn_run *s);

/* Makes the folder that the work will end in, with its parents: a wrong --out is told before the
 * work, not after it. syn_run_close takes away those that are still empty. */
SYN_WARN_UNUSED syn_status syn_run_out(syn_run *s, const char *path);

/* Puts the data's name in front of a sentence about the records (SYN_ERR_FORMAT); returns st. */
syn_status syn_run_about_data(syn_status st, const syn_run_config *cfg);

/* {"sources":[{name, licence, sha256, records}...], "records":N, "fold":.., "folds":..}; where the
 * weights differ, each source has its "weight". free(). */
char *syn_run_provenance(const syn_run *s, const syn_run_config *cfg);

/* Warns when a checkpoint (its provenance) has learnt from other folds than --folds and --fold
 * leave out: its figures on this fold would not be held out. */
void syn_run_check_folds(const syn_run_config *cfg, const char *dir, const char *provenance);

/* The environment of SYN_RUN_ENV_OPTIONS; SYN_ERR_USAGE for a range of team sizes that is none. */
SYN_WARN_UNUSED syn_status syn_run_env(const syn_run_config *cfg, syn_env_config *env);

#endif
