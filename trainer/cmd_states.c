/* syncog states */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoints/model_file.h"
#include "trainer/run.h"
#include "trainer/states.h"

int syn_cmd_states(int argc, char **argv);

typedef struct states_options {
    syn_run_config run; /* first: shared options */
    const char *checkpoint, *out, *records, *draw;
    int64_t count;
    bool cross_fitted;
} states_options;

#define FIELD(name) offsetof(states_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    {"checkpoint", SYN_OPTION_TEXT, FIELD(checkpoint), NULL, 0, 0, "DIR",
     "Whose ranker and idf make the features.", NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "FILE.h5", "The file to be written.", NULL},
    {"records", SYN_OPTION_CHOICE, FIELD(records), "test", 0, 0, "train|validation|test",
     "With --folds: those outside of the fold without or with the share that pretrain keeps for "
     "early stopping, or the fold itself. Without: by that share, or all.",
     NULL},
    {"draw", SYN_OPTION_CHOICE, FIELD(draw), "opening", 0, 0, "training|opening",
     "opening: the asker's first state, as eval judges it. training: as pretrain draws them, after "
     "0 to 6 deliveries, some without titles.",
     NULL},
    {"count", SYN_OPTION_INT, FIELD(count), "4000", 1, 1e6, "S", "States.", NULL},
    {"cross-fitted", SYN_OPTION_BOOL, FIELD(cross_fitted), NULL, 0, 0, NULL,
     "Judge each record by the cross-fitted part that has not seen it (training records).", NULL},
};

static const syn_command command = {
    "states",
    "writes states with features and labels for models made elsewhere",
    NULL,
    "One HDF5 file per call; trainer/states.h names its arrays. The features of records that the "
    "checkpoint was fitted to are better than in life, those of its fold are not: give the --folds "
    "and --fold that it was trained with. An item takes 1.6 kB, a state of ten pieces 16 kB.\n\n"
    "Examples:\n"
    "  syncog states --data a.h5 --folds 5 --fold 0 --checkpoint runs/fold0 --records train \\\n"
    "      --draw training --count 12000 --out train.h5\n"
    "  syncog states --data a.h5 --folds 5 --fold 0 --checkpoint runs/fold0 --out test.h5",
    options,
    sizeof options / sizeof *options,
};

static char *about_text(const states_options *o, const syn_run *s)
{
    json_t *sources = json_array();
    for (int i = 0; i < s->data.source_count; i++)
        json_array_append_new(sources, json_string(s->data.sources[i].name));
    json_t *j = json_pack("{s:s, s:i, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "format",
                          "syncog-states", "version", 1, "data", sources, "records", o->records,
                          "draw", o->draw, "seed", (json_int_t)o->run.seed, "folds",
                          (json_int_t)o->run.folds, "fold", (json_int_t)o->run.fold, "pieces",
                          (json_int_t)o->run.pieces, "cross_fitted", o->cross_fitted);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

/* The output takes the place of what stands there: not of a cache that is read. */
static syn_status refuse_data(const states_options *o)
{
    struct stat out, data;
    if (stat(o->out, &out) != 0) return SYN_OK;
    for (int k = 0; k < o->run.data.count; k++) {
        if (stat(o->run.data.items[k], &data) != 0) continue;
        if (data.st_dev == out.st_dev && data.st_ino == out.st_ino)
            return syn_fail(SYN_ERR_USAGE, "states: --out %s is one of --data", o->out);
    }
    return SYN_OK;
}

static syn_status write(syn_run *s, const states_options *o, const syn_model *m)
{
    const syn_states_config c = {
        .episodes = o->draw[0] == 'o' ? syn_episodes_opening : syn_episodes_training,
        .part = strcmp(o->records, "train") == 0        ? SYN_RECORDS_TRAIN
                : strcmp(o->records, "validation") == 0 ? SYN_RECORDS_VALIDATION
                                                        : SYN_RECORDS_TEST,
        .cross_fitted = o->cross_fitted,
        .folds = (int)o->run.folds,
        .count = o->count,
        .seed = (uint64_t)o->run.seed};
    syn_corpus corpus = {0};
    /* Training states take foreign pieces from training records alone, as pretrain does. */
    const uint8_t *pool = c.part == SYN_RECORDS_TEST ? NULL : s->use;
    char *about = about_text(o, s);
    syn_status st = about ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for a description");
    if (st == SYN_OK) {
        st = syn_corpus_build(&s->ctx, &corpus, &s->data, s->use, pool, m->idf, m->table,
                              (int)o->run.pieces);
    }
    if (st == SYN_OK && m->perception.without & SYN_WITHOUT_TITLES)
        syn_corpus_without_titles(&corpus);
    if (st == SYN_OK) st = syn_states_write(&s->ctx, &c, &s->data, &corpus, m, o->out, about);
    free(about);
    syn_corpus_free(&s->ctx, &corpus);
    return syn_run_about_data(st, &o->run);
}

static syn_status run(int argc, char **argv)
{
    states_options o;
    syn_run s = {0};
    syn_model m = {0};
    char *provenance = NULL;
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, NULL, &done);
    if (st != SYN_OK || done) return st;
    if (!o.checkpoint || !o.out)
        return syn_fail(SYN_ERR_USAGE, "states: --checkpoint and --out are needed");
    SYN_RETURN_IF(refuse_data(&o));
    const bool test = strcmp(o.records, "test") == 0;
    if (test && o.cross_fitted)
        return syn_fail(SYN_ERR_USAGE, "states: --cross-fitted is for training records: the parts "
                                       "have seen all or none of the others");
    o.run.split = test ? "test" : "train";
    if (!o.run.folds) o.run.split = "all";
    SYN_TRY(syn_run_open(&s, &o.run, !test));
    SYN_TRY(syn_model_load(&s.ctx, o.checkpoint, &m, NULL, &provenance));
    if (test) syn_run_check_folds(&o.run, o.checkpoint, provenance);
    if (!m.has_perception) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: holds no trained networks", o.checkpoint);
        goto done;
    }
    SYN_TRY(write(&s, &o, &m));
    printf("wrote %lld states to %s\n", (long long)o.count, o.out);
done:
    free(provenance);
    syn_model_free(&s.ctx, &m);
    syn_run_close(&s);
    return st;
}

int syn_cmd_states(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
