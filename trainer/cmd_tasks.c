/* syncog tasks */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoints/model_file.h"
#include "trainer/run.h"
#include "trainer/task_file.h"

int syn_cmd_tasks(int argc, char **argv);

typedef struct tasks_options {
    syn_run_config run; /* first: shared options */
    const char *checkpoint, *out;
    int64_t records;
} tasks_options;

#define FIELD(name) offsetof(tasks_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    {"checkpoint", SYN_OPTION_TEXT, FIELD(checkpoint), NULL, 0, 0, "DIR",
     "Whose idf makes the features and whose networks judge them.", NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "FILE", "The file to be written.", NULL},
    {"records", SYN_OPTION_INT, FIELD(records), "200", 2, SYN_TASK_FILE_RECORDS_MAX, "R",
     "How many records.", NULL},
};

static const syn_command command = {
    "tasks",
    "writes prepared tasks and the networks that judge them as one plain file",
    NULL,
    "For training runs on a machine that has neither data sets nor the libraries that read them "
    "('syncog bench learn --tasks FILE', './dev gpu'). trainer/task_file.h describes the file, "
    "which is in the safetensors format; a record takes 70 KB.\n\n"
    "Example:\n"
    "  syncog tasks --data train.h5 --checkpoint runs/pre --records 200 --out tasks.safetensors",
    options,
    sizeof options / sizeof *options,
};

static syn_status write(syn_run *s, const tasks_options *o, const syn_model *m)
{
    syn_corpus corpus = {0};
    syn_status st = syn_corpus_build(&s->ctx, &corpus, &s->data, s->use, NULL, m->idf, m->table,
                                     (int)o->run.pieces);
    if (st == SYN_OK && m->perception.without & SYN_WITHOUT_TITLES)
        syn_corpus_without_titles(&corpus);
    if (st == SYN_OK)
        st = syn_task_file_write(&s->ctx, o->out, &corpus, o->records, &m->perception);
    syn_corpus_free(&s->ctx, &corpus);
    return syn_run_about_data(st, &o->run);
}

static syn_status run(int argc, char **argv)
{
    tasks_options o;
    syn_run s = {0};
    syn_model m = {0};
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, NULL, &done);
    if (st != SYN_OK || done) return st;
    if (!o.checkpoint || !o.out)
        return syn_fail(SYN_ERR_USAGE, "tasks: --checkpoint and --out are needed");
    o.run.device = "cpu"; /* nothing here computes */
    o.run.split = o.run.folds ? "train" : "all";
    SYN_TRY(syn_run_open(&s, &o.run, true));
    SYN_TRY(syn_model_load(&s.ctx, o.checkpoint, &m, NULL, NULL));
    if (!m.has_perception) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: holds no trained networks", o.checkpoint);
        goto done;
    }
    SYN_TRY(write(&s, &o, &m));
    printf("wrote tasks of at most %lld records to %s\n", (long long)o.records, o.out);
done:
    syn_model_free(&s.ctx, &m);
    syn_run_close(&s);
    return st;
}

int syn_cmd_tasks(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
