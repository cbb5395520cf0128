/* syncog bench kernels | ppo */
#include <string.h>

#include "benchmarks/bench_kernels.h"
#include "benchmarks/bench_ppo.h"
#include "kernels/base/options.h"

int syn_cmd_bench(int argc, char **argv);

typedef struct bench_options {
    int64_t threads;
    bool json;
} bench_options;

static const syn_option options[] = {
    {"threads", SYN_OPTION_INT, offsetof(bench_options, threads), "0", 0, 1024, "N",
     "CPU threads; 0: one per core.", NULL},
    {"json", SYN_OPTION_BOOL, offsetof(bench_options, json), NULL, 0, 0, NULL,
     "Print one JSON object.", NULL},
};

static const syn_command command = {
    "bench",
    "measures speed on this machine",
    "kernels|ppo",
    "kernels: matrix product, LSTM, BiLSTM and the whole decision. ppo: environment steps, "
    "roll-out and update. "
    "Run it on an otherwise idle machine; benchmarks/peers/run.sh puts PyTorch beside it.\n\n"
    "Examples:\n"
    "  syncog bench kernels\n"
    "  syncog bench ppo --threads 2 --json",
    options,
    sizeof options / sizeof *options,
};

static syn_status run(int argc, char **argv)
{
    bench_options o;
    syn_text_list what;
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, &what, &done);
    if (st != SYN_OK || done) return st;
    if (what.count == 1 && strcmp(what.items[0], "kernels") == 0)
        return syn_bench_kernels(o.json, (int)o.threads);
    if (what.count == 1 && strcmp(what.items[0], "ppo") == 0)
        return syn_bench_ppo(o.json, (int)o.threads);
    return syn_fail(SYN_ERR_USAGE, "bench: say what to measure: kernels or ppo");
}

int syn_cmd_bench(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
