/* syncog pretrain */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/model_file.h"
#include "trainer/crossfit.h"
#include "trainer/machine.h"
#include "trainer/place.h"
#include "trainer/ppo_state.h"
#include "trainer/run.h"
#include "trainer/state_encoder.h"

int syn_cmd_pretrain(int argc, char **argv);

typedef struct pretrain_options {
    syn_run_config run; /* first: shared options */
    const char *component, *out, *init, *without;
    int64_t cross_fit, ranker_steps, gap_steps, state_steps, batch;
    double dropout, learning_rate, weight_decay;
    bool leak_test, central, overwrite, mix_pieces;
} pretrain_options;

#define FIELD(name) offsetof(pretrain_options, name)
static const syn_option options[] = {
    SYN_RUN_OPTIONS,
    SYN_RUN_TRAIN_OPTIONS,
    {"component", SYN_OPTION_CHOICE, FIELD(component), "all", 0, 0,
     "state_encoder|ckm|gap_detector|all",
     "What to fit; ckm and gap_detector are fitted together, after the ranker.", NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "DIR", "The checkpoint to be written.", NULL},
    {"overwrite", SYN_OPTION_BOOL, FIELD(overwrite), NULL, 0, 0, NULL,
     "Where OUT holds a checkpoint already, replace it: its versions are removed once the new one "
     "is saved.",
     NULL},
    {"init", SYN_OPTION_TEXT, FIELD(init), NULL, 0, 0, "DIR",
     "Begin with the weights of this checkpoint (needed by --component state_encoder).", NULL},
    {"mix-pieces", SYN_OPTION_BOOL, FIELD(mix_pieces), "true", 0, 0, NULL,
     "Learn from each record twice: with its own pieces (or --pieces), and filled to more, up to "
     "28; --no-mix-pieces: with its own alone.",
     NULL},
    {"cross-fit", SYN_OPTION_INT, FIELD(cross_fit), "4", 0, SYN_MODEL_PARTS_MAX, "F",
     "Fit F more on all but one fold each: the policy then trains on records that its judges have "
     "not seen.",
     NULL},
    {"ranker-steps", SYN_OPTION_INT, FIELD(ranker_steps), "900", 1, 1e7, "N",
     "Optimiser steps of the ranker.", NULL},
    {"gap-steps", SYN_OPTION_INT, FIELD(gap_steps), "1350", 1, 1e7, "N",
     "Optimiser steps of CKM and gap detector; the best of 15 checks on held-out records is kept.",
     NULL},
    {"state-steps", SYN_OPTION_INT, FIELD(state_steps), "150", 1, 1e7, "N",
     "Optimiser steps of the state encoder.", NULL},
    {"batch", SYN_OPTION_INT, FIELD(batch), "64", 1, 4096, "N", "Episodes in a step.", NULL},
    {"dropout", SYN_OPTION_REAL, FIELD(dropout), "0.2", 0, 0.9, "P",
     "Share of hidden units dropped in training.", NULL},
    {"learning-rate", SYN_OPTION_REAL, FIELD(learning_rate), "7e-4", 1e-8, 1, "R",
     "Peak rate of CKM and gap detector.", "LEARNING_RATE"},
    {"weight-decay", SYN_OPTION_REAL, FIELD(weight_decay), "0.02", 0, 1, "W",
     "AdamW's decoupled decay.", NULL},
    {"leak-test", SYN_OPTION_BOOL, FIELD(leak_test), "true", 0, 0, NULL,
     "Also fit one to shuffled labels: eval shows that it knows nothing.", NULL},
    {"central", SYN_OPTION_BOOL, FIELD(central), "true", 0, 0, NULL,
     "The networks see features of all pieces; --no-central: only of what each agent holds.", NULL},
    {"without", SYN_OPTION_TEXT, FIELD(without), NULL, 0, 0, "NAME[,NAME...]",
     "An ablation, which train, eval and ask obey: see below.", NULL},
};

#define WITHOUT_LINE(constant, name, what) "  " name ": " what "\n"
#define WITHOUT_HELP                       SYN_WITHOUT_MAP(WITHOUT_LINE)

static const syn_command command = {
    "pretrain",
    "fits the networks that judge evidence (phase 1, supervised)",
    NULL,
    "The order is: ranker (is this piece supporting?), then CKM and gap detector (does an agent "
    "lack something, "
    "and who holds it?), then the state encoder. 15 % of the records, chosen by a hash of their "
    "id, are kept out "
    "for early stopping and calibration.\n\n"
    "--without leaves out:\n" WITHOUT_HELP "\n"
    "Examples:\n"
    "  syncog pretrain --data train.h5 --component all --out runs/pre\n"
    "  syncog pretrain --data train.h5 --without interaction,titles --out runs/ablated\n"
    "  syncog pretrain --data a.h5 --data b.h5 --folds 5 --fold 0 --out runs/fold0   (tests on "
    "fold 0)\n"
    "  syncog pretrain --data large.h5 --data small.h5@8 --out runs/mixed   (each record of "
    "small.h5 "
    "eight times as often)",
    options,
    sizeof options / sizeof *options,
};

static syn_pretrain_config pretrain_config(const pretrain_options *o, uint32_t without)
{
    syn_pretrain_config c = SYN_PRETRAIN_DEFAULT;
    c.seed = (uint64_t)o->run.seed;
    c.ranker_steps = o->ranker_steps;
    c.gap_steps = o->gap_steps;
    c.batch = o->batch;
    c.dropout = o->dropout;
    c.gap_lr = o->learning_rate;
    c.weight_decay = o->weight_decay;
    c.central = o->central && !(without & SYN_WITHOUT_UNSENT);
    c.without = without & ~(uint32_t)SYN_WITHOUT_UNSENT; /* one fact, kept in one place */
    return c;
}

/* One call of the command. */
typedef struct job {
    pretrain_options o;
    uint32_t without;
    syn_machine machine;
    syn_run s;
    syn_corpus corpus;
    syn_model m;
    syn_checkpoint *init;
    char *config, *provenance;
} job;

static bool first_rank(const job *k)
{
    return syn_dist_rank(k->machine.dist) == 0;
}

/* Where the networks are fitted. */
static syn_ctx *device_of(job *k)
{
    return syn_machine_ctx(&k->machine, &k->s.ctx);
}

static syn_status fit_perception(job *k)
{
    const pretrain_options *o = &k->o;
    const syn_corpus *corpus = &k->corpus;
    syn_pretrain_config c = pretrain_config(o, k->without);
    syn_pretrain_result r;
    c.dist = k->machine.dist;
    c.quiet = !first_rank(k);
    k->m.central = c.central;
    SYN_RETURN_IF(syn_crossfit_run(device_of(k), &c, &k->s.data, corpus, (int)o->cross_fit,
                                   o->leak_test, &k->m, &r));
    if (!first_rank(k)) return SYN_OK;
    printf("pretrained on %lld records in %.1f s; on those held out: ranker AUROC %.3f, gap AUROC "
           "%.3f, balanced "
           "accuracy %.3f, ECE %.3f, link AUROC %.3f\n",
           (long long)corpus->usable, r.seconds, r.ranker_auroc, r.gap_auroc,
           r.gap_balanced_accuracy, r.gap_ece, r.link_auroc);
    return SYN_OK;
}

/* Every rank fits the same. */
static syn_status fit_state(job *k)
{
    const syn_corpus *corpus = &k->corpus;
    syn_state_result r;
    int32_t *all = malloc(sizeof *all * (size_t)corpus->records);
    if (!all)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records",
                        (long long)corpus->records);
    for (int64_t n = 0; n < corpus->records; n++) all[n] = (int32_t)n;
    syn_status st = syn_pretrain_state(device_of(k), &k->m, corpus, all, corpus->records,
                                       k->o.state_steps, (uint64_t)k->o.run.seed, &r);
    free(all);
    if (st == SYN_OK && first_rank(k)) {
        printf("state encoder: tells the next message from %d with accuracy %.2f (chance %.3f)\n",
               (int)(1 / r.chance + 0.5), r.accuracy, r.chance);
    }
    return st;
}

static char *config_text(const pretrain_options *o)
{
    json_t *j = json_pack(
        "{s:s, s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:f, s:f}", "phase", "pretrain", "component",
        o->component, "seed", (json_int_t)o->run.seed, "pieces", (json_int_t)o->run.pieces,
        "mix_pieces", o->mix_pieces, "cross_fit", (json_int_t)o->cross_fit, "ranker_steps",
        (json_int_t)o->ranker_steps, "gap_steps", (json_int_t)o->gap_steps, "batch",
        (json_int_t)o->batch, "dropout", o->dropout, "learning_rate", o->learning_rate);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

static bool state_only(const pretrain_options *o)
{
    return strcmp(o->component, "state_encoder") == 0;
}

static syn_status parse(pretrain_options *o, int argc, char **argv, uint32_t *without, bool *done)
{
    SYN_RETURN_IF(syn_options_parse(&command, o, argc, argv, NULL, done));
    if (*done) return SYN_OK;
    o->run.weighted = o->run.own_device = true;
    if (!o->out) return syn_fail(SYN_ERR_USAGE, "pretrain: --out is missing");
    if (!*o->out) return syn_fail(SYN_ERR_USAGE, "pretrain: --out is empty");
    SYN_RETURN_IF(syn_without_parse(o->without, without));
    if (state_only(o) && *without) {
        return syn_fail(SYN_ERR_USAGE, "pretrain: --without says nothing with --component "
                                       "state_encoder: what --init was fitted without holds");
    }
    if (state_only(o) && !o->init) {
        return syn_fail(SYN_ERR_USAGE,
                        "pretrain: --component state_encoder needs --init DIR with a trained ckm");
    }
    if (o->cross_fit != 1) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE, "pretrain: --cross-fit is 1; it is 0 (none) or 2 to %d",
                    SYN_MODEL_PARTS_MAX);
}

/* The model that is fitted further, or an empty one; init may be NULL. */
static syn_status make_model(syn_run *s, const pretrain_options *o, const syn_checkpoint *init,
                             syn_model *m)
{
    if (!init) {
        SYN_RETURN_IF(syn_model_init(&s->ctx, m, 1));
        return syn_corpus_idf(&s->data, s->use, m->idf);
    }
    SYN_RETURN_IF(syn_model_read(&s->ctx, init, m));
    if (state_only(o) && !m->has_perception) {
        return syn_fail(SYN_ERR_FORMAT, "%s: holds no ckm, which the state encoder is trained on",
                        o->init);
    }
    return m->has_control ? syn_ppo_state_weights_only(&m->control, init) : SYN_OK;
}

static syn_status fit(job *k)
{
    const bool all = strcmp(k->o.component, "all") == 0 && !(k->without & SYN_WITHOUT_STATE);
    syn_ctx *cpu = &k->s.ctx;
    syn_model *m = &k->m;
    SYN_RETURN_IF(syn_corpus_upload(device_of(k), &k->corpus));
    if (!state_only(&k->o)) {
        for (int p = 0; p < m->parts; p++) syn_perception_free(cpu, &m->part[p]);
        syn_perception_free(cpu, &m->perception);
        syn_perception_free(cpu, &m->shuffled);
        SYN_RETURN_IF(syn_run_about_data(fit_perception(k), &k->o.run));
    }
    return state_only(&k->o) || all ? fit_state(k) : SYN_OK;
}

static syn_status make_corpus(job *k)
{
    syn_run *s = &k->s;
    const syn_status st = (k->o.mix_pieces ? syn_corpus_build_mixed : syn_corpus_build)(
        &s->ctx, &k->corpus, &s->data, s->use, s->use, k->m.idf, k->m.table, (int)k->o.run.pieces);
    SYN_RETURN_IF(syn_run_about_data(st, &k->o.run));
    SYN_RETURN_IF(syn_corpus_weigh(&k->corpus, &s->data, s->weight));
    if (state_only(&k->o)) k->without = k->m.perception.without;
    if (k->without & SYN_WITHOUT_TITLES) syn_corpus_without_titles(&k->corpus);
    return SYN_OK;
}

static syn_status save(job *k, bool replaces)
{
    const syn_save_facts facts = {.config_json = k->config, .provenance_json = k->provenance};
    SYN_RETURN_IF(syn_model_save(k->o.out, &k->m, false, &facts, NULL));
    if (replaces) SYN_RETURN_IF(syn_checkpoint_keep_latest(k->o.out));
    printf("saved %s\n", k->o.out);
    return SYN_OK;
}

static syn_status run(job *k)
{
    const pretrain_options *o = &k->o;
    bool replaces = false;
    if (first_rank(k))
        SYN_RETURN_IF(syn_place_begin(o->out, o->init, o->overwrite, false, &replaces));
    if (o->init) SYN_RETURN_IF(syn_place_open_init(o->init, &k->init));
    SYN_RETURN_IF(syn_run_open(&k->s, &o->run, true));
    k->config = config_text(o);
    k->provenance = syn_run_provenance(&k->s, &o->run);
    if (!k->config || !k->provenance)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the options");
    SYN_RETURN_IF(syn_machine_same(&k->machine, k->config, k->provenance,
                                   k->init ? syn_checkpoint_content_sha256(k->init) : NULL));
    if (first_rank(k)) SYN_RETURN_IF(syn_run_out(&k->s, o->out));
    SYN_RETURN_IF(make_model(&k->s, o, k->init, &k->m));
    SYN_RETURN_IF(make_corpus(k));
    SYN_RETURN_IF(fit(k));
    return first_rank(k) ? save(k, replaces) : SYN_OK;
}

static void job_close(job *k)
{
    free(k->config);
    free(k->provenance);
    syn_checkpoint_close(k->init);
    if (k->s.ready) {
        syn_corpus_unload(device_of(k), &k->corpus);
        syn_model_free(&k->s.ctx, &k->m);
        syn_corpus_free(&k->s.ctx, &k->corpus);
    }
    syn_run_close(&k->s);
    syn_machine_close(&k->machine);
    free(k);
}

int syn_cmd_pretrain(int argc, char **argv)
{
    job *k = calloc(1, sizeof *k);
    bool done = false;
    if (!k) return syn_exit_code(syn_fail(SYN_ERR_MEMORY, "out of memory"));
    syn_status st = parse(&k->o, argc, argv, &k->without, &done);
    if (st == SYN_OK && !done) {
        st = syn_machine_open(&k->machine, &k->o.run);
        if (st == SYN_OK) st = run(k);
    }
    const int code = syn_machine_end(&k->machine, st);
    job_close(k);
    return code;
}
