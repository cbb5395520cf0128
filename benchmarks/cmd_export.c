/* `syncog data export`. */
#include <stdio.h>
#include <string.h>

#include "benchmarks/export.h"
#include "benchmarks/export_judge.h"
#include "kernels/base/options.h"
#include "serve/settings.h"
#include "trainer/stop.h"

syn_status syn_cmd_data_export(int argc, char **argv);

typedef struct export_options {
    const char *history, *format, *out, *org, *provider, *model, *licence;
    const char *judge, *providers_file, *base_url;
    double confidence_min, score_min, gap_min, validation_percent, test_percent;
    int64_t words_min, words_max, question_words_max;
    bool redact, overwrite, insecure;
} export_options;

#define FIELD(member) offsetof(export_options, member)

static const syn_option options[] = {
    {"history", SYN_OPTION_TEXT, FIELD(history), NULL, 0, 0, "STORE|FILE",
     "Where the answers were logged: sqlite:///FILE, postgresql://..., or the NAME.records.jsonl "
     "of 'syncog eval'.",
     NULL},
    {"format", SYN_OPTION_CHOICE, FIELD(format), "instruction", 0, 0, SYN_EXPORT_FORMATS,
     "The shape of a row; see below.", NULL},
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "DIR",
     "The folder to be made; it appears when it is complete.", NULL},
    {"overwrite", SYN_OPTION_BOOL, FIELD(overwrite), NULL, 0, 0, NULL,
     "Replace an export that is there.", NULL},
    {"org", SYN_OPTION_TEXT, FIELD(org), "default", 0, 0, "NAME",
     "The organisation whose history it is.", NULL},
    {"min-confidence", SYN_OPTION_REAL, FIELD(confidence_min), ".5", 0, 1, "P",
     "Leave out answers of less confidence; 0: none, also those without any, as /v1's direct path "
     "has them.",
     NULL},
    {"min-score", SYN_OPTION_REAL, FIELD(score_min), ".5", 0, 1, "X",
     "Leave out answers of a lower score: a benchmark's official one, else the mean of confidence, "
     "consensus and sufficiency; 0: none.",
     NULL},
    {"min-words", SYN_OPTION_INT, FIELD(words_min), "1", 1, 1e6, "N", "Leave out shorter answers.",
     NULL},
    {"max-words", SYN_OPTION_INT, FIELD(words_max), "2000", 1, 1e6, "N",
     "Leave out longer answers.", NULL},
    {"max-question-words", SYN_OPTION_INT, FIELD(question_words_max), "2000", 1, 1e6, "N",
     "Leave out answers to longer questions.", NULL},
    {"redact", SYN_OPTION_BOOL, FIELD(redact), NULL, 0, 0, NULL,
     "Replace personal data and secrets by their kinds, [EMAIL]; without it answers with any are "
     "left out.",
     NULL},
    {"min-gap", SYN_OPTION_REAL, FIELD(gap_min), ".1", .001, 1, "X",
     "preference: by how much the chosen answer's score is higher.", NULL},
    {"judge", SYN_OPTION_TEXT, FIELD(judge), NULL, 0, 0, "PROVIDER:MODEL",
     "preference: a model that has to prefer the chosen answer too, in both orders.", NULL},
    {"providers-file", SYN_OPTION_TEXT, FIELD(providers_file), NULL, 0, 0, "FILE",
     "Further providers for --judge, as 'syncog serve' reads them.", NULL},
    {"base-url", SYN_OPTION_TEXT, FIELD(base_url), NULL, 0, 0, "URL",
     "An OpenAI-compatible endpoint without a key, as --judge custom:MODEL.", NULL},
    {"insecure", SYN_OPTION_BOOL, FIELD(insecure), NULL, 0, 0, NULL,
     "Allow plain http beyond this machine.", NULL},
    {"validation-percent", SYN_OPTION_REAL, FIELD(validation_percent), "5", 0, 50, "P",
     "Share of the questions in the validation split.", NULL},
    {"test-percent", SYN_OPTION_REAL, FIELD(test_percent), "5", 0, 50, "P",
     "Share of the questions in the test split.", NULL},
    {"provider", SYN_OPTION_TEXT, FIELD(provider), NULL, 0, 0, "NAME",
     "Who the answers are from, where the log does not say; default: unknown.", NULL},
    {"model", SYN_OPTION_TEXT, FIELD(model), NULL, 0, 0, "NAME",
     "The model that they are from, where the log does not say; default: unknown.", NULL},
    {"licence", SYN_OPTION_TEXT, FIELD(licence), NULL, 0, 0, "TEXT",
     "The licence of the questions; default: the benchmark's, else unknown.", NULL},
};

static const syn_command command = {
    "data export",
    "Makes a data set for training from logged collaborations, as Parquet and JSON lines.",
    NULL,
    "Formats, and what a row has:\n"
    "  instruction  instruction, input, output: the question, what the agents of a team with\n"
    "               documents told each other, the answer\n"
    "  chat         messages: a list of role and content; the turns of a session are one row\n"
    "  reasoning    question, reasoning, answer, dialogue: who told what to whom\n"
    "  preference   prompt, chosen, rejected: the best and the worst answer to one question\n"
    "Each row names its source, policy, provider, model, licence, confidence, score and cost.\n\n"
    "DIR has the layout of the Hugging Face hub: data/ with Parquet files for train, validation "
    "and test, jsonl/ with the same rows, README.md, and export.json with what was left out and "
    "why. Duplicates and near-duplicates go before the rows are split, and alike questions stay in "
    "one split.\n\n"
    "A service that runs holds its SQLite file: stop it, or export from a copy made with "
    "'sqlite3 FILE \".backup COPY\"'. Read the terms of your providers before you train on what "
    "their models wrote.\n\n"
    "Examples:\n"
    "  syncog data export --history sqlite:///state/syncog.db --format chat --provider openai "
    "--out chats\n"
    "  syncog data export --history results.records.jsonl --format preference --out pairs\n"
    "  python3 -c 'import datasets; print(datasets.load_dataset(\"pairs\"))'",
    options,
    sizeof options / sizeof options[0],
};

static syn_status check(const export_options *o)
{
    if (!o->history) return syn_fail(SYN_ERR_USAGE, "data export: --history is missing");
    if (!o->out) return syn_fail(SYN_ERR_USAGE, "data export: --out is missing");
    if (o->words_min > o->words_max)
        return syn_fail(SYN_ERR_USAGE, "data export: --min-words is above --max-words");
    if (o->judge && strcmp(o->format, "preference") != 0)
        return syn_fail(SYN_ERR_USAGE, "data export: --judge compares the answers of --format "
                                       "preference alone");
    return SYN_OK;
}

static void print_report(const export_options *o, const syn_export_report *r)
{
    if (r->items_kept) {
        printf("%s:", o->out);
        for (int k = 0; k < SYN_EXPORT_SPLITS; k++)
            printf(" %s %lld%s", syn_export_splits[k], (long long)r->rows[k],
                   k + 1 < SYN_EXPORT_SPLITS ? "," : "\n");
    }
    printf("%lld of %lld answers are in\n", (long long)r->items_kept, (long long)r->items);
    for (int k = 1; k < SYN_LEFT_OUT_COUNT; k++)
        if (r->left_out[k])
            printf("  left out %lld: %s\n", (long long)r->left_out[k],
                   syn_left_out_text((syn_left_out)k));
    if (r->redacted) printf("  %lld texts were redacted\n", (long long)r->redacted);
}

static syn_status judge_open(const export_options *o, syn_providers **providers, syn_judge **judge)
{
    if (!o->judge) return SYN_OK;
    const char *colon = strchr(o->judge, ':');
    SYN_RETURN_IF(syn_providers_open(&(syn_providers_options){.file = o->providers_file,
                                                              .base_url = o->base_url,
                                                              .model = colon ? colon + 1 : o->judge,
                                                              .insecure = o->insecure},
                                     providers));
    return syn_judge_open(*providers, o->judge, judge);
}

syn_status syn_cmd_data_export(int argc, char **argv)
{
    syn_status st;
    export_options o;
    bool done = false;
    syn_providers *providers = NULL;
    syn_judge *judge = NULL;
    syn_export_report report = {.items = 0};
    SYN_RETURN_IF(syn_env_file_read(".env"));
    SYN_RETURN_IF(syn_options_parse(&command, &o, argc, argv, NULL, &done));
    if (done) return SYN_OK;
    SYN_RETURN_IF(check(&o));
    SYN_TRY(judge_open(&o, &providers, &judge));
    const syn_export_options wanted = {
        .source = {.history = o.history,
                   .org = o.org,
                   .origin = {.provider = o.provider, .model = o.model, .licence = o.licence}},
        .format = syn_export_format_find(o.format),
        .out = o.out,
        .overwrite = o.overwrite,
        .filter = {.confidence_min = o.confidence_min,
                   .score_min = o.score_min,
                   .answer_words_min = o.words_min,
                   .answer_words_max = o.words_max,
                   .question_words_max = o.question_words_max,
                   .redact = o.redact,
                   .dialogue = !strcmp(o.format, "reasoning"),
                   .any_answer = !strcmp(o.format, "preference")},
        .gap_min = o.gap_min,
        .validation_percent = o.validation_percent,
        .test_percent = o.test_percent,
        .judge = judge,
        .judge_name = o.judge,
        .stop = syn_stop_signal};
    syn_stop_watch();
    st = syn_export(&wanted, &report);
    if (st == SYN_OK || report.items) print_report(&o, &report);
done:
    syn_export_report_free(&report);
    syn_judge_close(judge);
    syn_providers_close(providers);
    return st;
}
