/* syncog checkpoint: its words, and what they share. */
#include "checkpoints/cmd_checkpoint.h"

#include <stdio.h>
#include <string.h>

int syn_cmd_checkpoint(int argc, char **argv);

typedef struct word {
    const char *name, *usage, *summary;
    syn_status (*run)(int argc, char **argv);
} word;

static const word words[] = {
    {"list", "list DIR...", "show the versions in stores", syn_cmd_checkpoint_list},
    {"verify", "verify DIR [VERSION]", "read versions as a whole and compare every hash",
     syn_cmd_checkpoint_verify},
    {"find-best", "find-best DIR", "name the version with the best metric",
     syn_cmd_checkpoint_find_best},
    {"deploy", "deploy DIR [VERSION]", "copy one version for use, without its training state",
     syn_cmd_checkpoint_deploy},
    {"export", "export DIR [VERSION]", "write one version's tensors for other programs",
     syn_cmd_checkpoint_export},
    {"prune", "prune DIR", "remove the oldest versions", syn_cmd_checkpoint_prune},
};
enum { WORDS = sizeof words / sizeof *words };

static void print_help(void)
{
    printf("syncog checkpoint: look after the versions that training saves\n\n");
    for (int i = 0; i < WORDS; i++) {
        printf("  syncog checkpoint %-22s %s\n", words[i].usage, words[i].summary);
    }
    printf("\nDIR is a store: versions/000012/, and the links 'best' and 'latest'. One version's\n"
           "folder will do too. VERSION is a number, 'best' or 'latest'.\n\n"
           "  syncog checkpoint list runs/first\n"
           "  syncog checkpoint find-best runs/first --metric return\n"
           "  syncog checkpoint deploy runs/first best --target /srv/policy\n\n"
           "'syncog checkpoint WORD --help' says more.\n");
}

int syn_cmd_checkpoint(int argc, char **argv)
{
    const char *names[WORDS], *given = argc > 1 ? argv[1] : "--help";
    for (int i = 0; i < WORDS; i++) {
        if (!strcmp(given, words[i].name)) return syn_exit_code(words[i].run(argc - 1, argv + 1));
        names[i] = words[i].name;
    }
    if (!strcmp(given, "--help") || !strcmp(given, "-h")) {
        print_help();
        return argc > 1 ? 0 : 2;
    }
    const char *near = syn_suggest(given, names, WORDS);
    return syn_exit_code(
        syn_fail(SYN_ERR_USAGE, "unknown command 'checkpoint %s'%s%s%s", given,
                 near ? "; did you mean '" : "; 'syncog checkpoint --help' lists them",
                 near ? near : "", near ? "'?" : ""));
}

syn_status syn_cmd_checkpoint_parse(const syn_command *command, void *config, int argc, char **argv,
                                    const char **dir, const char **which, bool *done)
{
    syn_text_list given = {0};
    SYN_RETURN_IF(syn_options_parse(command, config, argc, argv, &given, done));
    if (*done) return SYN_OK;
    const int most = which ? 2 : 1;
    if (given.count < 1 || given.count > most) {
        return syn_fail(SYN_ERR_USAGE, "%s takes %s; 'syncog %s --help' shows how", command->name,
                        which ? "a folder and at most one version" : "one folder", command->name);
    }
    *dir = given.items[0];
    if (which) *which = given.count == 2 ? given.items[1] : NULL;
    return SYN_OK;
}
