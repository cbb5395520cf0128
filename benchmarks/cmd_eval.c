/* syncog eval: with --data the networks against baselines and leak tests, with --benchmarks live
 * teams (benchmarks/cmd_live.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/cmd_live.h"
#include "benchmarks/eval.h"
#include "checkpoints/model_file.h"
#include "datasets/new_file.h"
#include "trainer/run.h"

int syn_cmd_eval(int argc, char **argv);

typedef struct eval_options {
    syn_run_config run; /* first: shared options */
    const char *checkpoint, *raw;
    syn_text_list choose_data;
    int64_t episodes, sweep_episodes;
    double stop_bias, abstain_bias;
    bool json, sample, sweep;
} eval_options;

#define FIELD(name) offsetof(eval_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    SYN_RUN_ENV_OPTIONS,
    {"checkpoint", SYN_OPTION_TEXT, FIELD(checkpoint), NULL, 0, 0, "DIR", "What is evaluated.",
     NULL},
    {"episodes", SYN_OPTION_INT, FIELD(episodes), "2000", 1, 1e6, "N",
     "Episodes; every policy plays the same.", NULL},
    {"split", SYN_OPTION_CHOICE, offsetof(syn_run_config, split), "test", 0, 0, "test|train|all",
     "With --folds: the fold itself, the others, or every record.", NULL},
    {"sample", SYN_OPTION_BOOL, FIELD(sample), NULL, 0, 0, NULL,
     "Draw the learned policy's actions instead of argmax.", NULL},
    {"stop-bias", SYN_OPTION_REAL, FIELD(stop_bias), "0", -100, 100, "B",
     "Added to the logit of ANSWER: above 0 fewer messages, below 0 more.", NULL},
    {"abstain-bias", SYN_OPTION_REAL, FIELD(abstain_bias), "0", -100, 100, "B",
     "Added to the logit of ABSTAIN.", NULL},
    {"sweep", SYN_OPTION_BOOL, FIELD(sweep), NULL, 0, 0, NULL,
     "Try the stop biases of a grid, choose on validation records, report on the scored ones.",
     NULL},
    {"choose-data", SYN_OPTION_LIST, FIELD(choose_data), NULL, 0, 0, "FILE.h5",
     "The training data whose held-out records choose; with --folds the default is --data.", NULL},
    {"sweep-episodes", SYN_OPTION_INT, FIELD(sweep_episodes), "2000", 1, 1e6, "N",
     "Episodes on the validation records.", NULL},
    {"raw", SYN_OPTION_TEXT, FIELD(raw), NULL, 0, 0, "FILE.jsonl",
     "Also write every prediction and episode as a JSON line, to be pooled over folds.", NULL},
    {"json", SYN_OPTION_BOOL, FIELD(json), NULL, 0, 0, NULL,
     "Print one JSON object instead of the tables.", NULL},
};

static const syn_command command = {
    "eval",
    "scores a checkpoint's networks against baselines and leak tests",
    NULL,
    "With --benchmarks live teams answer the questions of HotpotQA, CoQA, MultiWOZ, CommonsenseQA "
    "and MMLU instead: 'syncog eval --benchmarks --help'.\n\n"
    "Without --folds every record of the file is used; with --folds F --fold K those of fold K, "
    "which 'pretrain' and 'train' leave out when they are given the same two. success counts right "
    "answers and right abstentions; success_answerable leaves out the tasks that cannot be "
    "answered. score is (return - round robin's) / (the oracle's - round robin's); area is that "
    "under the curve of success_answerable over messages, up to round robin's. Intervals are "
    "bootstrapped by question, those of one dialogue or story together.\n\n"
    "The ablations join the routing of one policy with the stopping of another: "
    "round_robin_learned_stop sends as round robin and stops as the learned policy would; "
    "learned_fixed_stop sends as the learned policy and answers after its mean number of messages, "
    "learned_auto_end as soon as an answer would be right; round_robin_learned_count and "
    "random_learned_count answer after as many messages as the learned policy sent in the same "
    "episode; _gap_stop answers when the gap falls below a threshold (with --sweep).\n\n"
    "--sweep moves the trade between messages and success: what it reports is chosen on the 15 % "
    "of the training records that training held out, never on the records that are scored.\n\n"
    "Examples:\n"
    "  syncog eval --data test.h5 --checkpoint runs/first --episodes 2000 --seed 1\n"
    "  syncog eval --data test.h5 --checkpoint runs/first --sweep --choose-data train.h5\n"
    "  syncog eval --data a.h5 --folds 5 --fold 0 --checkpoint runs/fold0 --sweep --json",
    options,
    sizeof options / sizeof *options,
};

static void dataset_name(const syn_dataset *ds, char *out, size_t bytes)
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < ds->source_count && at < bytes; i++) {
        if (i && strstr(out, ds->sources[i].name)) continue;
        at += (size_t)snprintf(out + at, bytes - at, "%s%s", i ? "+" : "", ds->sources[i].name);
    }
}

static syn_status print_result(const syn_run *s, bool as_json, const syn_eval_report *r)
{
    char name[256];
    dataset_name(&s->data, name, sizeof name);
    if (as_json) {
        char *text = syn_eval_json(name, r);
        if (!text) return syn_fail(SYN_ERR_NUMERIC, "a figure of the evaluation is not finite");
        puts(text);
        free(text);
    } else {
        syn_eval_print(name, r);
    }
    if (fflush(stdout) == 0 && !ferror(stdout)) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "the result cannot be printed: %s", strerror(errno));
}

/* ---- The records that choose ---- */

typedef struct choosing {
    syn_run run;
    uint8_t *held_out; /* (run.data.record_count) */
    syn_eval_validation validation;
} choosing;

static int compare_key(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Marks the held-out training records, but those that are scored: neither a record nor
 * another one about the same text chooses for itself. Returns how many there are, -1 without
 * memory. */
static int64_t mark_held_out(choosing *c, const syn_run *scored)
{
    const syn_dataset *ds = &c->run.data;
    uint64_t *key = malloc(sizeof *key * (size_t)(scored->used + 1));
    int64_t keys = 0, marked = 0;
    c->held_out = calloc((size_t)ds->record_count + 1, 1);
    if (!key || !c->held_out) {
        free(key);
        return -1;
    }
    for (int64_t r = 0; r < scored->data.record_count; r++) {
        if (scored->use[r]) key[keys++] = syn_record_split_key(&scored->data.records[r]);
    }
    qsort(key, (size_t)keys, sizeof *key, compare_key);
    for (int64_t r = 0; r < ds->record_count; r++) {
        const uint64_t split = syn_record_split_key(&ds->records[r]);
        c->held_out[r] = c->run.use[r] && syn_record_held_out(&ds->records[r]) &&
                         !bsearch(&split, key, (size_t)keys, sizeof *key, compare_key);
        marked += c->held_out[r];
    }
    free(key);
    return marked;
}

static syn_status choosing_open(choosing *c, const syn_run *scored, const eval_options *o)
{
    syn_run_config cfg = o->run;
    if (o->choose_data.count) {
        cfg.data = o->choose_data;
    } else if (!o->run.folds) {
        return syn_fail(SYN_ERR_USAGE, "eval: --sweep needs records to choose on: give the "
                                       "training data as --choose-data, or --folds and --fold");
    }
    cfg.split = NULL;
    SYN_RETURN_IF(syn_run_open(&c->run, &cfg, true));
    const int64_t records = mark_held_out(c, scored);
    if (records < 0) return syn_fail(SYN_ERR_MEMORY, "out of memory for the validation");
    if (records < 2) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: holds %lld held-out training records that are not scored themselves, "
                        "at least 2 are needed to choose on",
                        cfg.data.items[0], (long long)records);
    }
    c->validation = (syn_eval_validation){&c->run.data, c->held_out, c->run.use, o->sweep_episodes};
    return SYN_OK;
}

static void choosing_close(choosing *c)
{
    free(c->held_out);
    syn_run_close(&c->run);
}

/* raw: the file that appears when it is whole, or NULL. */
static syn_status evaluate(syn_run *s, const eval_options *o, const syn_model *m,
                           const syn_eval_validation *validation, syn_new_file *raw,
                           syn_eval_report *r)
{
    syn_eval_config c = {.episodes = o->episodes,
                         .seed = (uint64_t)o->run.seed,
                         .env = SYN_ENV_CONFIG_DEFAULT,
                         .pieces = (int)o->run.pieces,
                         .sample = o->sample,
                         .bias = {(float)o->stop_bias, (float)o->abstain_bias},
                         .validation = validation};
    SYN_RETURN_IF(syn_run_env(&o->run, &c.env));
    if (!raw) return syn_run_about_data(syn_evaluate(&s->ctx, &c, &s->data, s->use, m, r), &o->run);
    SYN_RETURN_IF(syn_new_file_open(raw, o->raw));
    const int copy = dup(raw->fd);
    c.raw = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (!c.raw) {
        if (copy >= 0) close(copy);
        return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", o->raw, strerror(errno));
    }
    syn_status st = syn_run_about_data(syn_evaluate(&s->ctx, &c, &s->data, s->use, m, r), &o->run);
    bool whole = fflush(c.raw) == 0 && !ferror(c.raw);
    const int failure = errno;
    whole &= fclose(c.raw) == 0;
    if (st == SYN_OK && !whole)
        st = syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", o->raw, strerror(failure));
    return st == SYN_OK ? syn_new_file_commit(raw) : st;
}

static syn_status run(int argc, char **argv)
{
    eval_options o;
    syn_run s = {0};
    choosing choose = {0};
    syn_model m = {0};
    syn_new_file raw = {.fd = -1};
    syn_eval_report *r = NULL;
    char *provenance = NULL;
    bool done = false;
    if (syn_live_is_asked_for(argc, argv)) return syn_cmd_eval_live(argc, argv);
    syn_status st = syn_options_parse(&command, &o, argc, argv, NULL, &done);
    if (st != SYN_OK || done) return st;
    if (!o.checkpoint)
        return syn_fail(SYN_ERR_USAGE, "eval: --checkpoint is missing: give a folder that "
                                       "'syncog pretrain' or 'syncog train' wrote");
    SYN_TRY(syn_run_open(&s, &o.run, false));
    SYN_TRY(syn_model_load(&s.ctx, o.checkpoint, &m, NULL, &provenance));
    if (o.run.split[0] == 't' && o.run.split[1] == 'e')
        syn_run_check_folds(&o.run, o.checkpoint, provenance);
    if (!m.has_perception) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: holds no trained networks", o.checkpoint);
        goto done;
    }
    if (o.sweep && !m.has_policy) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: holds no trained policy whose stopping could be swept",
                      o.checkpoint);
        goto done;
    }
    if (o.sweep) SYN_TRY(choosing_open(&choose, &s, &o));
    r = malloc(sizeof *r);
    if (!r) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
        goto done;
    }
    SYN_TRY(evaluate(&s, &o, &m, o.sweep ? &choose.validation : NULL, o.raw ? &raw : NULL, r));
    SYN_TRY(print_result(&s, o.json, r));
done:
    syn_new_file_discard(&raw);
    free(r);
    free(provenance);
    syn_model_free(&s.ctx, &m);
    choosing_close(&choose);
    syn_run_close(&s);
    return st;
}

int syn_cmd_eval(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
