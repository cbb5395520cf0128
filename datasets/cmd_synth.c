/* syncog data synth: writes a file of synthetic tasks. */
#include <stddef.h>

#include "datasets/cmd_data.h"
#include "datasets/synth.h"
#include "kernels/base/options.h"

typedef struct synth_config {
    int64_t tasks, seed, pieces;
    double unanswerable, claims;
    const char *out;
} synth_config;

static const syn_option OPTIONS[] = {
    {"tasks", SYN_OPTION_INT, offsetof(synth_config, tasks), "1000", 1, SYN_SYNTH_TASKS_MAX, "N",
     "Number of tasks.", NULL},
    {"seed", SYN_OPTION_INT, offsetof(synth_config, seed), "0", 0, 9e15, "S",
     "Equal seeds give equal files, and a longer file begins with the shorter one's tasks.", NULL},
    {"out", SYN_OPTION_TEXT, offsetof(synth_config, out), NULL, 0, 0, "FILE.json",
     "The file to write; required.", NULL},
    {"pieces", SYN_OPTION_INT, offsetof(synth_config, pieces), "10", SYN_SYNTH_PIECES_MIN,
     SYN_SYNTH_PIECES_MAX, "K", "Pieces of evidence in a task, a claim included.", NULL},
    {"unanswerable", SYN_OPTION_REAL, offsetof(synth_config, unanswerable), "0", 0, 1, "SHARE",
     "Share of the tasks in which a needed piece is replaced by a foreign one.", NULL},
    {"claims", SYN_OPTION_REAL, offsetof(synth_config, claims), "0.2", 0, 1, "SHARE",
     "Share of the tasks with one reworded sentence without a title, one in five of them wrong.",
     NULL},
};

static const syn_command COMMAND = {
    .name = "data synth",
    .summary = "Write synthetic multi-hop tasks in HotpotQA's format.",
    .details = "Example:\n"
               "  syncog data synth --tasks 20000 --seed 1 --out synth.json\n"
               "  syncog data prepare --format hotpotqa --input synth.json --out synth.h5\n",
    .options = OPTIONS,
    .option_count = sizeof OPTIONS / sizeof OPTIONS[0],
};

static syn_status run(const synth_config *c)
{
    if (!c->out || !*c->out) {
        return syn_fail(SYN_ERR_USAGE, "data synth needs --out FILE.json");
    }
    syn_synth_options o = {.tasks = c->tasks,
                           .seed = (uint64_t)c->seed,
                           .pieces = (int)c->pieces,
                           .unanswerable = c->unanswerable,
                           .claims = c->claims};
    return syn_synth_write(&o, c->out);
}

syn_status syn_cmd_data_synth(int argc, char **argv)
{
    synth_config config;
    bool done = false;
    SYN_RETURN_IF(syn_options_parse(&COMMAND, &config, argc, argv, NULL, &done));
    return done ? SYN_OK : run(&config);
}
