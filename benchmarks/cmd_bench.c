/* syncog bench kernels | ppo | score | learn | pretrain | device */
#include <string.h>

#include "benchmarks/bench_device.h"
#include "benchmarks/bench_kernels.h"
#include "benchmarks/bench_learn.h"
#include "benchmarks/bench_ppo.h"
#include "benchmarks/bench_pretrain.h"
#include "benchmarks/bench_score.h"
#include "kernels/base/options.h"

int syn_cmd_bench(int argc, char **argv);

typedef struct bench_options {
    int64_t threads, seed, updates, steps, envs;
    double seconds;
    const char *device, *precision, *layer, *tasks, *tune;
    bool json, tiny;
} bench_options;

#define FIELD(name) offsetof(bench_options, name)
static const syn_option options[] = {
    {"threads", SYN_OPTION_INT, FIELD(threads), "0", 0, 1024, "N", "CPU threads; 0: one per core.",
     NULL},
    {"json", SYN_OPTION_BOOL, FIELD(json), NULL, 0, 0, NULL,
     "Print one JSON object (on CUDA always one a row).", NULL},
    {"device", SYN_OPTION_CHOICE, FIELD(device), "cpu", 0, 0, "cpu|cuda", "What is measured.",
     NULL},
    {"precision", SYN_OPTION_CHOICE, FIELD(precision), "fp32", 0, 0, "fp32|mixed",
     "How CUDA computes in ppo, score and learn; kernels measures both.", NULL},
    {"seconds", SYN_OPTION_REAL, FIELD(seconds), "0.05", 0.001, 60, "S",
     "How long a row of kernels is repeated on CUDA.", NULL},
    {"layer", SYN_OPTION_CHOICE, FIELD(layer), "all", 0, 0, "all|lstm-512|bilstm-128|bilstm-256",
     "The layer that kernels measures on CUDA.", NULL},
    {"tune", SYN_OPTION_TEXT, FIELD(tune), NULL, 0, 0, "FILE",
     "Write which way is the fastest for which layer, pass and batch to FILE, as kernels measures "
     "it "
     "on CUDA; SYNCOG_LSTM_TABLE=FILE then lets --lstm auto go by it.",
     NULL},
    {"tasks", SYN_OPTION_TEXT, FIELD(tasks), NULL, 0, 0, "FILE",
     "What learn and pretrain train on, as 'syncog tasks' writes it; without: drawn tasks.", NULL},
    {"seed", SYN_OPTION_INT, FIELD(seed), "1", 0, 1e15, "S", "Of learn and pretrain.", NULL},
    {"envs", SYN_OPTION_INT, FIELD(envs), "0", 0, 1 << 20, "N",
     "Environments of ppo's roll-out, a multiple of 4; 0: 128, on CUDA 4096.", NULL},
    {"updates", SYN_OPTION_INT, FIELD(updates), "60", 1, 100000, "N", "Of learn.", NULL},
    {"steps", SYN_OPTION_INT, FIELD(steps), "150", 1, 100000, "N",
     "Of pretrain's gap detector; its ranker takes two thirds of it.", NULL},
    {"tiny", SYN_OPTION_BOOL, FIELD(tiny), NULL, 0, 0, NULL,
     "Small shapes, to try the program itself: the times say nothing.", NULL},
};

static const syn_command command = {
    "bench",
    "measures speed on this machine",
    "kernels|ppo|score|learn|pretrain|device",
    "kernels: matrix product, LSTM, BiLSTM and the whole decision; with --device cuda the limits "
    "of the device, then LSTM-512, BiLSTM 2x128 and 2x256 in every way there is, beside cuDNN. "
    "ppo: environment steps, roll-out and update. score: a decision, and those of many sessions in "
    "one batch. learn: a short training run, whose return and "
    "weights tell whether two devices learn alike. pretrain: the same of phase 1. device: what the "
    "CUDA device is and can do at "
    "most.\n\n"
    "Run it on an otherwise idle machine; benchmarks/peers/run.sh puts PyTorch beside it, './dev "
    "gpu bench' does so on CUDA.\n\n"
    "Examples:\n"
    "  syncog bench kernels\n"
    "  syncog bench kernels --device cuda --layer lstm-512\n"
    "  syncog bench kernels --device cuda --tune ~/.cache/syncog/lstm_table.json\n"
    "  syncog bench ppo --threads 2 --json\n"
    "  syncog bench ppo --device cuda --precision mixed --envs 8192\n"
    "  syncog bench score --threads 2\n"
    "  syncog bench learn --device cuda --seed 2",
    options,
    sizeof options / sizeof *options,
};

/* What runs on the device that was asked for. */
static syn_status run_on(const char *what, const bench_options *o)
{
    syn_ctx ctx;
    syn_status st;
    const bool cuda = strcmp(o->device, "cuda") == 0;
    SYN_RETURN_IF(syn_ctx_init(&ctx, cuda ? SYN_DEVICE_CUDA : SYN_DEVICE_CPU, (int)o->threads));
    if (strcmp(o->precision, "mixed") == 0) ctx.math = SYN_MATH_MIXED;
    if (strcmp(what, "learn") == 0) {
        const syn_bench_learn_options learn = {o->tasks, (uint64_t)o->seed, (int)o->updates,
                                               o->tiny};
        st = syn_bench_learn(&ctx, &learn);
    } else if (strcmp(what, "pretrain") == 0) {
        const syn_bench_pretrain_options pretrain = {o->tasks, (uint64_t)o->seed, (int)o->steps,
                                                     o->tiny};
        st = syn_bench_pretrain(&ctx, &pretrain);
    } else if (!cuda) {
        st = syn_fail(SYN_ERR_USAGE, "bench device: there is nothing to say without --device cuda");
    } else if (strcmp(what, "device") == 0) {
        syn_gpu_limits limits;
        st = syn_bench_device(&ctx, o->tiny, &limits);
    } else {
        const syn_gpu_lstm_options lstm = {
            o->tiny, o->seconds, strcmp(o->layer, "all") == 0 ? NULL : o->layer, false, o->tune};
        st = syn_bench_kernels_cuda(&ctx, &lstm);
    }
    syn_ctx_free(&ctx);
    return st;
}

static syn_status run(int argc, char **argv)
{
    bench_options o;
    syn_text_list what;
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, &what, &done);
    if (st != SYN_OK || done) return st;
    const char *word = what.count == 1 ? what.items[0] : "";
    const bool cuda = strcmp(o.device, "cuda") == 0;
    if (o.tune && (strcmp(word, "kernels") != 0 || !cuda))
        return syn_fail(SYN_ERR_USAGE,
                        "--tune measures on a device: bench kernels --device cuda --tune FILE");
    if (strcmp(word, "kernels") == 0 && !cuda) return syn_bench_kernels(o.json, (int)o.threads);
    if (strcmp(word, "ppo") == 0) {
        const syn_bench_ppo_options ppo = {
            o.json, (int)o.threads, cuda, strcmp(o.precision, "mixed") == 0, o.tiny, (int)o.envs};
        return syn_bench_ppo(&ppo);
    }
    if (strcmp(word, "score") == 0) {
        const syn_bench_score_options score = {o.json, cuda, strcmp(o.precision, "mixed") == 0,
                                               o.tiny, (int)o.threads};
        return syn_bench_score(&score);
    }
    if (strcmp(word, "kernels") == 0 || strcmp(word, "learn") == 0 ||
        strcmp(word, "pretrain") == 0 || strcmp(word, "device") == 0)
        return run_on(word, &o);
    return syn_fail(SYN_ERR_USAGE,
                    "bench: say what to measure: kernels, ppo, score, learn, pretrain or device");
}

int syn_cmd_bench(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
