/* syncog eval --data: the networks against baselines and leak tests. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/eval.h"
#include "checkpoints/model_file.h"
#include "datasets/new_file.h"
#include "trainer/run.h"

int syn_cmd_eval(int argc, char **argv);

typedef struct eval_options {
    syn_run_config run; /* first: shared options */
    const char *checkpoint, *raw;
    int64_t episodes;
    double stop_bias;
    bool json, sample;
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
    {"raw", SYN_OPTION_TEXT, FIELD(raw), NULL, 0, 0, "FILE.jsonl",
     "Also write every prediction and episode as a JSON line, to be pooled over folds.", NULL},
    {"json", SYN_OPTION_BOOL, FIELD(json), NULL, 0, 0, NULL,
     "Print one JSON object instead of the tables.", NULL},
};

static const syn_command command = {
    "eval",
    "scores a checkpoint's networks against baselines and leak tests",
    NULL,
    "Without --folds every record of the file is used; with --folds F --fold K those of fold K, "
    "which "
    "'pretrain' and 'train' leave out when they are given the same two. success counts right "
    "answers and right "
    "abstentions; success_answerable leaves out the tasks that cannot be answered. Intervals are "
    "bootstrapped by "
    "question.\n\n"
    "Examples:\n"
    "  syncog eval --data test.h5 --checkpoint runs/first --episodes 2000 --seed 1\n"
    "  syncog eval --data a.h5 --folds 5 --fold 0 --checkpoint runs/fold0 --json",
    options,
    sizeof options / sizeof *options,
};

static json_t *policy_json(const syn_policy_summary *p)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "return",
                     p->episode_return, "success", p->success, "success_answerable",
                     p->success_answerable, "abstain_precision", p->abstain_precision,
                     "abstain_recall", p->abstain_recall, "messages", p->messages, "deliveries",
                     p->deliveries, "ended", p->ended, "turns", p->turns, "request_share",
                     p->request_share);
}

/* null stands for what was not measured. */
static json_t *figure(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static json_t *interval_json(const syn_interval *x)
{
    return json_pack("[o,o]", figure(x->low), figure(x->high));
}

static json_t *gap_json(const syn_eval_report *r)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "auroc", figure(r->gap.auroc),
                     "balanced_accuracy", figure(r->gap.balanced_accuracy), "ece",
                     figure(r->gap.ece), "count_only_auroc", figure(r->gap.count_only_auroc),
                     "question_only_auroc", figure(r->gap.question_only_auroc), "shuffled_auroc",
                     figure(r->gap.shuffled_auroc), "no_title_auroc", figure(r->gap.no_title_auroc),
                     "no_title_balanced_accuracy", figure(r->gap.no_title_balanced_accuracy),
                     "prior", figure(r->gap.prior));
}

static json_t *report_json(const char *dataset, const syn_eval_report *r)
{
    json_t *policies = json_object(), *ablations = json_object();
    for (int k = 0; k < SYN_POLICY_COUNT; k++) {
        if (!r->played[k]) continue;
        json_object_set_new(k <= SYN_POLICY_LEARNED ? policies : ablations,
                            syn_policy_name((syn_policy_kind)k), policy_json(&r->policy[k]));
    }
    json_t *difference = json_pack(
        "{s:o, s:o, s:o, s:o}", "return", figure(r->difference_return.value), "return_ci95",
        interval_json(&r->difference_return), "message_ratio", figure(r->message_ratio.value),
        "message_ratio_ci95", interval_json(&r->message_ratio));
    return json_pack(
        "{s:s, s:I, s:I, s:o, s:{s:o,s:o}, s:{s:f}, s:{s:f,s:f}, s:o, s:o, s:s, s:o}", "dataset",
        dataset, "records", (json_int_t)r->records, "episodes", (json_int_t)r->episodes, "gap",
        gap_json(r), "gap_rollout", "auroc", figure(r->rollout_auroc), "balanced_accuracy",
        figure(r->rollout_balanced_accuracy), "link", "auroc", r->link_auroc, "ranker", "auroc",
        r->ranker_auroc, "cosine_auroc", r->cosine_auroc, "policies", policies, "ablations",
        ablations, "best_untrained", syn_policy_name(r->best_untrained), "difference", difference);
}

/* "-" stands for what was not measured. */
static const char *shown(double x, char text[16])
{
    if (isnan(x)) return "-";
    snprintf(text, 16, "%.3f", x);
    return text;
}

static void print_report(const char *dataset, const syn_eval_report *r)
{
    char text[16];
    printf("%s: %lld records, %lld episodes\n\n", dataset, (long long)r->records,
           (long long)r->episodes);
    printf("gap detector   AUROC %.3f   balanced accuracy %.3f   ECE %.3f   without titles %.3f / "
           "%.3f\n",
           r->gap.auroc, r->gap.balanced_accuracy, r->gap.ece, r->gap.no_title_auroc,
           r->gap.no_title_balanced_accuracy);
    printf("leak tests     counts only %.3f   question only %.3f   shuffled labels %s   (.5 = "
           "nothing to be learnt "
           "there)\n",
           r->gap.count_only_auroc, r->gap.question_only_auroc, shown(r->gap.shuffled_auroc, text));
    printf("link AUROC %.3f   ranker AUROC %.3f (cosine %.3f)   gap while playing %s\n\n",
           r->link_auroc, r->ranker_auroc, r->cosine_auroc, shown(r->rollout_auroc, text));
    printf("%-22s %7s %8s %10s %16s %9s %10s %6s\n", "policy", "return", "success", "answerable",
           "abstain P / R", "messages", "deliveries", "ended");
    for (int k = 0; k < SYN_POLICY_COUNT; k++) {
        const syn_policy_summary *p = &r->policy[k];
        if (!r->played[k]) continue;
        printf("%-22s %7.2f %8.3f %10.3f %8.2f / %5.2f %9.2f %10.2f %6.2f\n",
               syn_policy_name((syn_policy_kind)k), p->episode_return, p->success,
               p->success_answerable, p->abstain_precision, p->abstain_recall, p->messages,
               p->deliveries, p->ended);
    }
    if (!r->played[SYN_POLICY_LEARNED]) return;
    printf("\nlearned minus %s (the best untrained): return %+.2f [%.2f, %.2f], messages %.0f %% "
           "[%.0f, %.0f]\n",
           syn_policy_name(r->best_untrained), r->difference_return.value, r->difference_return.low,
           r->difference_return.high, 100 * r->message_ratio.value, 100 * r->message_ratio.low,
           100 * r->message_ratio.high);
}

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
        json_t *j = report_json(name, r);
        char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
        json_decref(j);
        if (!text) return syn_fail(SYN_ERR_NUMERIC, "a figure of the evaluation is not finite");
        puts(text);
        free(text);
    } else {
        print_report(name, r);
    }
    if (fflush(stdout) == 0 && !ferror(stdout)) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "the result cannot be printed: %s", strerror(errno));
}

/* raw: the file that appears when it is whole, or NULL. */
static syn_status evaluate(syn_run *s, const eval_options *o, const syn_model *m, syn_new_file *raw,
                           syn_eval_report *r)
{
    syn_eval_config c = {.episodes = o->episodes,
                         .seed = (uint64_t)o->run.seed,
                         .env = SYN_ENV_CONFIG_DEFAULT,
                         .pieces = (int)o->run.pieces,
                         .sample = o->sample,
                         .stop_bias = (float)o->stop_bias};
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
    syn_model m = {0};
    syn_new_file raw = {.fd = -1};
    syn_eval_report *r = NULL;
    char *provenance = NULL;
    bool done = false;
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
    r = malloc(sizeof *r);
    if (!r) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
        goto done;
    }
    SYN_TRY(evaluate(&s, &o, &m, o.raw ? &raw : NULL, r));
    SYN_TRY(print_result(&s, o.json, r));
done:
    syn_new_file_discard(&raw);
    free(r);
    free(provenance);
    syn_model_free(&s.ctx, &m);
    syn_run_close(&s);
    return st;
}

int syn_cmd_eval(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
