#include "datasets/cmd_data.h"

#include <stdio.h>

#include "datasets/prepare.h"
#include "kernels/base/log.h"
#include "kernels/base/options.h"

typedef struct prepare_config {
    const char *format, *out, *name, *licence;
    syn_text_list input;
} prepare_config;

static const syn_option prepare_options[] = {
    {"format", SYN_OPTION_CHOICE, offsetof(prepare_config, format), NULL, 0, 0,
     SYN_PREPARE_FORMATS "|" SYN_PREPARE_CLOSED, "The layout of the input files; see below.", NULL},
    {"input", SYN_OPTION_LIST, offsetof(prepare_config, input), NULL, 0, 0, "PATH",
     "A JSON or JSON-lines file, up to 16 of them; for multiwoz also a release's folder or zip, "
     "for "
     "multiwoz22 and sgd a folder or zip of dialogues_*.json.",
     NULL},
    {"out", SYN_OPTION_TEXT, offsetof(prepare_config, out), NULL, 0, 0, "FILE.h5",
     "The cache to be written; it appears when it is complete.", NULL},
    {"source-name", SYN_OPTION_TEXT, offsetof(prepare_config, name), NULL, 0, 0, "TEXT",
     "How reports name the data; default: the format's own name.", NULL},
    {"licence", SYN_OPTION_TEXT, offsetof(prepare_config, licence), NULL, 0, 0, "TEXT",
     "The licence of the records; default: that of the format's published data.", NULL},
};

static const syn_command prepare_command = {
    "data prepare",
    "Reads evidence-annotated questions and writes the tokens and labels that training reads.",
    NULL,
    "Formats, and what a record's pieces and supporting pieces are:\n"
    "  hotpotqa    HotpotQA (distractor, fullwiki, train) and `data synth`: paragraphs; those "
    "named\n"
    "              by supporting facts\n"
    "  2wiki       2WikiMultihopQA: the same\n"
    "  musique     MuSiQue: paragraphs; those marked as supporting\n"
    "  friendsqa   FriendsQA: utterances with their speakers; those that the answers name\n"
    "  coqa        CoQA: sentences of the story; those that the rationale touches. The two turns\n"
    "              before stand in front of the question\n"
    "  multiwoz    MultiWOZ 2.0, 2.1, 2.4 or ConvLab-2's: facts of the dialogue state before the\n"
    "              user's turn; those that the system's turn has to respect. The facts of a "
    "domain\n"
    "              belong to one agent\n"
    "  multiwoz22  MultiWOZ 2.2, files or a folder: the same\n"
    "  sgd         Schema-Guided Dialogue, files or a folder: the same\n"
    "  commonsenseqa, and\n"
    "  mmlu        name no evidence: there is nothing to prepare, 'syncog eval --benchmarks' "
    "reads\n"
    "              their files as they are\n\n"
    "Dialogues have few domains of different sizes: as they are, the number of facts that an agent "
    "holds tells something about what it lacks (count_only_auroc of 'syncog eval'). With --pieces "
    "12 or more in pretrain, train and eval it does not.\n\n"
    "Records that cannot be used are counted by reason and left out: without supporting facts, "
    "with a fact that names no given paragraph (most of HotpotQA's fullwiki files), with "
    "supporting pieces only, with an id that came before, marked as unanswerable, with supporting "
    "pieces too far apart. Pieces beyond 28 are cut, never supporting ones: of a dialogue or story "
    "a window stays, of paragraphs the first distractors. Questions about one dialogue or story "
    "stay on one side of every split. Memory stays below 512 MB whatever the size of the "
    "files.\n\n"
    "Examples:\n"
    "  syncog data prepare --format hotpotqa --input hotpot_train_v1.1.json --out train.h5\n"
    "  syncog data prepare --format musique --input musique_ans_v1.0_dev.jsonl --out musique.h5\n"
    "  syncog data prepare --format multiwoz22 --input MultiWOZ_2.2/train --out multiwoz.h5",
    prepare_options,
    sizeof prepare_options / sizeof prepare_options[0],
};

static void prepare_print(const syn_prepare_report *r, const char *out)
{
    char why[1024];
    int64_t read = 0, cut = 0, warnings = 0, bytes = 0;
    for (int i = 0; i < r->source_count; i++) {
        read += r->sources[i].records_read;
        cut += r->sources[i].cut;
        warnings += r->sources[i].fact_warnings;
        bytes += r->sources[i].bytes;
    }
    printf("%s: %lld records, %lld pieces, %lld of them supporting, %lld tokens", out,
           (long long)r->records, (long long)r->pieces, (long long)r->gold, (long long)r->tokens);
    if (r->seconds > 1)
        printf(" (%.1f s, %.0f MB/s)", r->seconds, (double)bytes / 1e6 / r->seconds);
    putchar('\n');
    int64_t skipped = syn_prepare_skipped_text(r->sources, r->source_count, why, sizeof why);
    if (skipped)
        printf("skipped %lld of %lld records: %s\n", (long long)skipped, (long long)read, why);
    if (warnings)
        printf("%lld records have a fact that names a sentence which does not exist; kept, its "
               "paragraph counts\n",
               (long long)warnings);
    if (cut)
        printf("%lld records had more than %d pieces; distractors were cut\n", (long long)cut,
               SYN_PIECES_OWN_MAX);
}

syn_status syn_cmd_data_prepare(int argc, char **argv)
{
    prepare_config c;
    syn_prepare_report report;
    bool done = false;
    SYN_RETURN_IF(syn_options_parse(&prepare_command, &c, argc, argv, NULL, &done));
    if (done) return SYN_OK;
    if (!c.format) return syn_fail(SYN_ERR_USAGE, "data prepare: --format is missing");
    if (c.input.count == 0) return syn_fail(SYN_ERR_USAGE, "data prepare: --input is missing");
    if (!c.out) return syn_fail(SYN_ERR_USAGE, "data prepare: --out is missing");
    if (c.input.count > SYN_SOURCES_MAX)
        return syn_fail(SYN_ERR_USAGE, "data prepare: more than %d times --input", SYN_SOURCES_MAX);
    syn_prepare_options options = {.format = c.format,
                                   .inputs = c.input.items,
                                   .input_count = c.input.count,
                                   .out = c.out,
                                   .name = c.name,
                                   .licence = c.licence};
    SYN_RETURN_IF(syn_prepare(&options, &report));
    prepare_print(&report, c.out);
    return SYN_OK;
}
