/* The command: a table of subcommands, each of which owns its options (kernels/base/options.h). */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "datasets/cmd_data.h"
#include "kernels/base/options.h"
#include "kernels/base/subcommands.h"

syn_status syn_cmd_data_export(int argc, char **argv);
int syn_cmd_pretrain(int argc, char **argv);
int syn_cmd_train(int argc, char **argv);
int syn_cmd_eval(int argc, char **argv);
int syn_cmd_metrics(int argc, char **argv);
int syn_cmd_report(int argc, char **argv);
int syn_cmd_compare(int argc, char **argv);
int syn_cmd_ask(int argc, char **argv);
int syn_cmd_serve(int argc, char **argv);
int syn_cmd_key(int argc, char **argv);
int syn_cmd_checkpoint(int argc, char **argv);
int syn_cmd_bench(int argc, char **argv);
int syn_cmd_states(int argc, char **argv);
int syn_cmd_tasks(int argc, char **argv);

static const syn_subcommand data_words[] = {
    {"synth", "synth", "write invented questions in HotpotQA's format", syn_cmd_data_synth},
    {"prepare", "prepare", "make a cache of questions or dialogues whose evidence is marked",
     syn_cmd_data_prepare},
    {"info", "info FILE.h5", "describe a cache", syn_cmd_data_info},
    {"export", "export", "make data sets for training from logged collaborations",
     syn_cmd_data_export},
};

static int data(int argc, char **argv)
{
    const syn_subcommands words = {
        .command = "data",
        .summary = "make, prepare, describe and export data sets",
        .details = "  syncog data synth --tasks 1000 --seed 1 --out train.json\n"
                   "  syncog data prepare --format hotpotqa --input train.json --out train.h5\n",
        .words = data_words,
        .count = (int)(sizeof data_words / sizeof *data_words)};
    return syn_subcommands_run(&words, argc, argv);
}

typedef struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's word */
    const char *summary;
} subcommand;

enum { SUBCOMMANDS_MAX = 32 };

static const subcommand table[] = {
    {"data", data, "make, prepare, describe and export data sets"},
    {"pretrain", syn_cmd_pretrain, "fit the networks that judge evidence, from labelled records"},
    {"train", syn_cmd_train, "train the policy: who says what to whom, and when to stop (PPO)"},
    {"eval", syn_cmd_eval, "score a checkpoint against baselines"},
    {"metrics", syn_cmd_metrics, "score predictions as a benchmark's official script does"},
    {"report", syn_cmd_report, "show a run and its evaluation on one page"},
    {"compare", syn_cmd_compare, "say which of two runs is better, and whether by chance"},
    {"ask", syn_cmd_ask, "let a team of agents answer one question"},
    {"serve", syn_cmd_serve, "collaboration and scoring over HTTP"},
    {"key", syn_cmd_key, "make, list and revoke the API keys of the service"},
    {"checkpoint", syn_cmd_checkpoint, "list, verify, choose, deploy and export checkpoints"},
    {"states", syn_cmd_states, "write states with features and labels for other models"},
    {"tasks", syn_cmd_tasks, "write prepared tasks as one plain file, to train elsewhere"},
    {"bench", syn_cmd_bench, "measure speed"},
};

static void print_help(void)
{
    printf("syncog: decides who of a team of agents says what to whom, and when to stop.\n\n"
           "Usage: syncog COMMAND [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        printf("  %-12s%s\n", table[i].name, table[i].summary);
    }
    printf("\nA first run, from nothing to figures:\n"
           "  syncog data synth --tasks 1000 --seed 1 --out train.json\n"
           "  syncog data synth --tasks 300 --seed 2 --out test.json\n"
           "  syncog data prepare --format hotpotqa --input train.json --out train.h5\n"
           "  syncog data prepare --format hotpotqa --input test.json --out test.h5\n"
           "  syncog pretrain --data train.h5 --component all --out runs/pre\n"
           "  syncog train --data train.h5 --init runs/pre --out runs/first\n"
           "  syncog eval --data test.h5 --checkpoint runs/first --episodes 2000 --seed 1\n"
           "  syncog report runs/first --out report.html\n"
           "\n'syncog COMMAND --help' explains a command; --version shows the version.\n");
}

static int unknown(const char *word)
{
    const char *names[SUBCOMMANDS_MAX];
    int count = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        names[count++] = table[i].name;
    }
    const char *near = syn_suggest(word, names, count);
    if (near) {
        fprintf(stderr, "syncog: unknown command '%s'; did you mean '%s'?\n", word, near);
    } else {
        fprintf(stderr, "syncog: unknown command '%s'; 'syncog --help' lists the commands\n", word);
    }
    return 2;
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit is told as a failed write */
    if (argc < 2) {
        print_help();
        return 2;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        print_help();
        return 0;
    }
    if (!strcmp(word, "--version")) {
        printf("syncog %s\n", SYN_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!strcmp(word, table[i].name)) return table[i].run(argc - 1, argv + 1);
    }
    return unknown(word);
}
