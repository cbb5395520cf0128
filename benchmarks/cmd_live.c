/* syncog eval --benchmarks: live teams on benchmarks. */
#include "benchmarks/cmd_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "benchmarks/live.h"
#include "kernels/base/log.h"
#include "serve/llm_tape.h"
#include "trainer/stop.h"

enum { NAME_BYTES = 64, PATH_BYTES = 4096 };

typedef struct live_options {
    syn_agent_options who; /* first: shared options */
    const char *benchmarks, *data_dir, *num_agents, *policies, *checkpoint, *reference;
    const char *output, *predictions, *record, *replay;
    syn_text_list data;
    int64_t limit, token_cap, parallel, seed, shots, rounds, reply_tokens;
    double cost_cap_usd, timeout_s, temperature;
    bool quick, overwrite;
} live_options;

#define FIELD(name) offsetof(live_options, name)
static const syn_option options[] = {
    {"benchmarks", SYN_OPTION_TEXT, FIELD(benchmarks), NULL, 0, 0, "LIST",
     "Which, with commas between: multiwoz, coqa, hotpotqa, commonsenseqa, mmlu, 2wiki, musique.",
     NULL},
    {"data-dir", SYN_OPTION_TEXT, FIELD(data_dir), NULL, 0, 0, "DIR",
     "A folder with a folder for each benchmark, named like it, with the files of its authors.",
     NULL},
    {"benchmark-data", SYN_OPTION_LIST, FIELD(data), NULL, 0, 0, "NAME=PATH",
     "Where one benchmark's file or folder is; may be given several times.", NULL},
    {"multiwoz-reference", SYN_OPTION_TEXT, FIELD(reference), NULL, 0, 0, "DIR",
     "mwzeval's data folder, for Inform, Success, BLEU and combined; without it they are left out.",
     NULL},
    {"output", SYN_OPTION_TEXT, FIELD(output), NULL, 0, 0, "OUT.json",
     "The figures; the answers go to OUT.records.jsonl beside it. A run that is there goes on.",
     NULL},
    {"predictions", SYN_OPTION_TEXT, FIELD(predictions), NULL, 0, 0, "DIR",
     "Also write DIR/BENCHMARK.POLICY.N.json: predictions as the benchmark's official script and "
     "'syncog metrics' read them.",
     NULL},
    {"overwrite", SYN_OPTION_BOOL, FIELD(overwrite), NULL, 0, 0, NULL,
     "Begin anew where a run is there.", NULL},
    {"num-agents", SYN_OPTION_TEXT, FIELD(num_agents), "3,5,7", 0, 0, "LIST",
     "Sizes of teams, 2 to 10.", NULL},
    {"policies", SYN_OPTION_TEXT, FIELD(policies), SYN_LIVE_POLICIES, 0, 0, "LIST",
     "Who decides what is said to whom, and who is asked; see below.", NULL},
    {"limit", SYN_OPTION_INT, FIELD(limit), "200", 0, 1e9, "N",
     "Questions of each benchmark, the first ones of its file; 0: all.", NULL},
    {"quick-eval", SYN_OPTION_BOOL, FIELD(quick), NULL, 0, 0, NULL,
     "100 questions of each benchmark.", NULL},
    SYN_AGENT_OPTIONS,
    {"checkpoint", SYN_OPTION_TEXT, FIELD(checkpoint), NULL, 0, 0, "DIR",
     "The networks of 'learned' and 'asker'; default: as 'syncog ask' has it. Without any a "
     "cosine-threshold rule decides, which the results say.",
     NULL},
    {"cost-cap", SYN_OPTION_REAL, FIELD(cost_cap_usd), "0", 0, 1e9, "USD",
     "Stop before the whole run costs more; 0 for no cap.", NULL},
    {"token-cap", SYN_OPTION_INT, FIELD(token_cap), "0", 0, 1e15, "N",
     "Stop before the whole run takes more tokens; 0 for no cap.", NULL},
    {"record", SYN_OPTION_TEXT, FIELD(record), NULL, 0, 0, "FILE",
     "Keep everything that the provider answers, to be replayed; goes on with a file that is "
     "there.",
     NULL},
    {"replay", SYN_OPTION_TEXT, FIELD(replay), NULL, 0, 0, "FILE",
     "Answer from such a file instead of the provider, which is never called and needs no key: the "
     "same command comes to the same answers.",
     NULL},
    {"parallel", SYN_OPTION_INT, FIELD(parallel), "4", 1, SYN_LIVE_PARALLEL_MAX, "N",
     "Questions at a time.", NULL},
    {"seed", SYN_OPTION_INT, FIELD(seed), "1", 0, 1e15, "S",
     "Of how documents are dealt, of resampling, of waits between retries.", NULL},
    {"shots", SYN_OPTION_INT, FIELD(shots), "5", 0, 32, "N", "mmlu: examples before each question.",
     NULL},
    {"rounds", SYN_OPTION_INT, FIELD(rounds), "5", 1, SYN_ROUND_MAX, "R",
     "Rounds of a team at most.", NULL},
    {"temperature", SYN_OPTION_REAL, FIELD(temperature), "0.7", 0, 2, "T",
     "Sampling temperature of the models.", NULL},
    {"reply-tokens", SYN_OPTION_INT, FIELD(reply_tokens), "1024", 1, 1e6, "N",
     "Tokens of one reply at most.", NULL},
    {"timeout", SYN_OPTION_REAL, FIELD(timeout_s), "300", 0.001, 86400, "SECONDS",
     "When a team's answers so far are aggregated.", "DEFAULT_TIMEOUT"},
};

static const syn_command command = {
    .name = "eval --benchmarks",
    .summary = "lets live teams of agents answer the questions of benchmarks",
    .details =
        "Every question is asked of every policy, with every size of team, through the same rounds "
        "that the service runs. Documents, sentences of a story or domains of a dialogue are dealt "
        "to the agents, in numbers that tell nothing, so that the team must talk; CommonsenseQA "
        "and MMLU are asked without documents.\n\n"
        "  learned           the checkpoint's networks decide who tells whom what, and when to "
        "stop\n"
        "  broadcast         everybody tells everybody everything\n"
        "  round_robin       one after the other sends the asker what it has\n"
        "  asker             the networks decide what moves to the asker before anybody is asked; "
        "then\n"
        "                    it alone is, and where it does not know once more, with everything\n"
        "  single            one agent has everything and is asked once\n"
        "  self_consistency  the same agent is asked as often as takes the tokens of 'learned'; "
        "the\n"
        "                    answer that most samples give\n\n"
        "Of these 'asker' is asked only where --policies names it, and left out where a benchmark "
        "has no documents. It takes one call or two, the other teams one for each agent and "
        "round.\n\n"
        "OUT.json has the official figures of each benchmark, calls, messages, tokens, cost and "
        "latency, "
        "and the policies held against each other (paired bootstrap, McNemar, Holm). "
        "OUT.records.jsonl has one line for each answer. A run that was stopped, by SIGINT, by a "
        "cap, by a provider that failed or by a crash, goes on with the same command: what was "
        "answered is not asked again, what failed is. --limit, --num-agents, --policies and "
        "--benchmarks may grow then.\n\n"
        "Extractive agents (the default) need no key and cost nothing; on CommonsenseQA, MMLU and "
        "MultiWOZ their figures prove the path and nothing else, and are marked so.\n\n"
        "  syncog eval --benchmarks hotpotqa --data-dir data --output hotpotqa.json --quick-eval\n"
        "  syncog eval --benchmarks multiwoz,coqa,hotpotqa,commonsenseqa,mmlu --data-dir data \\\n"
        "      --num-agents 3,5,7 --provider openai --model gpt-4o-mini --cost-cap 20 \\\n"
        "      --output results.json\n"
        "  syncog report results.json --out report.html\n"
        "  syncog compare results.json other.json\n\n"
        "Networks by themselves, without agents: syncog eval --help",
    .options = options,
    .option_count = (int)(sizeof options / sizeof *options)};

/* ---- lists ---- */

/* The next word of a list with commas, without blanks; false at its end. */
static bool next_word(const char **at, char *word, size_t bytes)
{
    *at += strspn(*at, " ,");
    const size_t n = strcspn(*at, ","), kept = n < bytes ? n : bytes - 1;
    memcpy(word, *at, kept);
    word[kept] = 0;
    for (size_t k = kept; k > 0 && word[k - 1] == ' '; k--) word[k - 1] = 0;
    *at += n;
    return kept > 0;
}

static syn_status fail_word(const char *option, const char *word, const char *const *words,
                            int count)
{
    const char *near = syn_suggest(word, words, count);
    if (near)
        return syn_fail(SYN_ERR_USAGE, "--%s: there is no '%s'; did you mean '%s'?", option, word,
                        near);
    return syn_fail(SYN_ERR_USAGE,
                    "--%s: there is no '%s'; 'syncog eval --benchmarks --help' lists "
                    "what there is",
                    option, word);
}

static syn_status read_policies(const live_options *o, syn_live_plan *plan)
{
    const char *names[SYN_LIVE_POLICY_COUNT], *at = o->policies;
    char word[NAME_BYTES];
    for (int p = 0; p < SYN_LIVE_POLICY_COUNT; p++)
        names[p] = syn_live_policy_name((syn_live_policy)p);
    while (next_word(&at, word, sizeof word)) {
        int p = 0;
        while (p < SYN_LIVE_POLICY_COUNT && strcmp(names[p], word) != 0) p++;
        if (p == SYN_LIVE_POLICY_COUNT) return fail_word("policies", word, names, p);
        plan->policies |= 1u << p;
    }
    if (!plan->policies) return syn_fail(SYN_ERR_USAGE, "--policies names none");
    return SYN_OK;
}

static syn_status read_sizes(const live_options *o, syn_live_plan *plan)
{
    const char *at = o->num_agents;
    char word[NAME_BYTES], *end;
    while (next_word(&at, word, sizeof word)) {
        const long n = strtol(word, &end, 10);
        bool known = false;
        if (*end || n < 2 || n > SYN_AGENTS_MAX)
            return syn_fail(SYN_ERR_USAGE, "--num-agents: '%s' is no number from 2 to %d", word,
                            SYN_AGENTS_MAX);
        for (int k = 0; k < plan->agent_counts; k++) known |= plan->agents[k] == (int)n;
        if (!known) plan->agents[plan->agent_counts++] = (int)n;
    }
    if (!plan->agent_counts) return syn_fail(SYN_ERR_USAGE, "--num-agents names none");
    return SYN_OK;
}

/* ---- where the questions are ---- */

static const char *const benchmark_names[] = {"multiwoz", "coqa",  "hotpotqa", "commonsenseqa",
                                              "mmlu",     "2wiki", "musique"};
enum { BENCHMARKS = sizeof benchmark_names / sizeof *benchmark_names };

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* What --benchmark-data says, or the benchmark's folder in --data-dir; 2Wiki's also by the long
 * name. `path` (PATH_BYTES) is scratch. */
static syn_status find_data(const live_options *o, const char *name, char *path, const char **out)
{
    const size_t bytes = strlen(name);
    for (int k = 0; k < o->data.count; k++)
        if (!strncmp(o->data.items[k], name, bytes) && o->data.items[k][bytes] == '=') {
            *out = o->data.items[k] + bytes + 1;
            return SYN_OK;
        }
    if (!o->data_dir)
        return syn_fail(SYN_ERR_USAGE,
                        "where the questions of %s are is missing: --benchmark-data %s=PATH, or "
                        "--data-dir DIR",
                        name, name);
    const char *folders[] = {name, strcmp(name, "2wiki") == 0 ? "2wikimultihopqa" : NULL};
    for (int k = 0; k < 2 && folders[k]; k++) {
        const int n = snprintf(path, PATH_BYTES, "%s/%s", o->data_dir, folders[k]);
        if (n < 0 || n >= PATH_BYTES)
            return syn_fail(SYN_ERR_LIMIT, "--data-dir: the name is too long");
        *out = path;
        if (is_folder(path)) return SYN_OK;
    }
    return syn_fail(SYN_ERR_IO, "%s: has no folder %s; --benchmark-data %s=PATH says where it is",
                    o->data_dir, name, name);
}

static syn_status check_data(const live_options *o)
{
    for (int k = 0; k < o->data.count; k++) {
        char name[NAME_BYTES];
        const size_t n = strcspn(o->data.items[k], "=");
        int b = 0;
        if (!o->data.items[k][n])
            return syn_fail(SYN_ERR_USAGE, "--benchmark-data: '%.64s' is not NAME=PATH",
                            o->data.items[k]);
        snprintf(name, sizeof name, "%.*s", (int)n, o->data.items[k]);
        while (b < BENCHMARKS && strcmp(benchmark_names[b], name) != 0) b++;
        if (b == BENCHMARKS) return fail_word("benchmark-data", name, benchmark_names, BENCHMARKS);
    }
    return SYN_OK;
}

/* paths (SYN_LIVE_BENCHMARKS_MAX) lives as long as the plan. */
static syn_status read_benchmarks(const live_options *o, char (*paths)[PATH_BYTES],
                                  syn_live_plan *plan)
{
    const char *at = o->benchmarks ? o->benchmarks : "";
    char word[NAME_BYTES];
    SYN_RETURN_IF(check_data(o));
    while (next_word(&at, word, sizeof word)) {
        int b = 0;
        bool known = false;
        while (b < BENCHMARKS && strcmp(benchmark_names[b], word) != 0) b++;
        if (b == BENCHMARKS) return fail_word("benchmarks", word, benchmark_names, BENCHMARKS);
        for (int k = 0; k < plan->sources; k++)
            known |= plan->source[k].benchmark == benchmark_names[b];
        if (known) continue;
        syn_live_source *s = &plan->source[plan->sources];
        s->benchmark = benchmark_names[b];
        SYN_RETURN_IF(find_data(o, s->benchmark, paths[plan->sources], &s->path));
        plan->sources++;
    }
    if (!plan->sources) return syn_fail(SYN_ERR_USAGE, "--benchmarks names none");
    return SYN_OK;
}

/* ---- the command ---- */

static syn_status make_plan(const live_options *o, char (*paths)[PATH_BYTES], syn_live_plan *plan)
{
    *plan = (syn_live_plan){.limit = o->quick ? 100 : o->limit,
                            .seed = (uint64_t)o->seed,
                            .reference = o->reference,
                            .shots = (int)o->shots,
                            .rounds_max = (int)o->rounds,
                            .temperature = o->temperature,
                            .timeout_s = o->timeout_s,
                            .reply_tokens_max = o->reply_tokens,
                            .cost_cap_usd = o->cost_cap_usd,
                            .token_cap = o->token_cap,
                            .parallel = (int)o->parallel,
                            .calibration = o->who.calibration,
                            .output = o->output,
                            .predictions = o->predictions,
                            .overwrite = o->overwrite};
    if (!o->output || !*o->output) return syn_fail(SYN_ERR_USAGE, "--output is missing");
    if (o->record && o->replay)
        return syn_fail(SYN_ERR_USAGE, "--record and --replay cannot be given together");
    SYN_RETURN_IF(read_policies(o, plan));
    SYN_RETURN_IF(read_sizes(o, plan));
    return read_benchmarks(o, paths, plan);
}

static void say_who(const syn_live_plan *plan)
{
    const uint32_t decided = 1u << SYN_LIVE_LEARNED | 1u << SYN_LIVE_ASKER;
    if (plan->policies & decided && !plan->checkpoint)
        syn_log(SYN_LOG_WARN, "no checkpoint: a cosine-threshold rule stands in for the networks");
}

/* The first failure stays. */
static syn_status close_tape(syn_tape *tape, syn_status st)
{
    char said[512];
    snprintf(said, sizeof said, "%s", syn_error_text());
    const syn_status closed = syn_tape_close(tape);
    return st == SYN_OK ? closed : syn_fail(st, "%s", said);
}

static syn_status evaluate(const live_options *o)
{
    syn_status st;
    syn_live_plan plan = {0};
    syn_agents agents = {0};
    syn_deciders *deciders = NULL;
    char found[PATH_BYTES];
    char(*paths)[PATH_BYTES] = calloc(SYN_LIVE_BENCHMARKS_MAX, sizeof *paths);
    if (!paths) return syn_fail(SYN_ERR_MEMORY, "out of memory for the run");
    SYN_TRY(make_plan(o, paths, &plan));
    SYN_TRY(syn_agents_open(&o->who, o->replay != NULL, &agents));
    if (o->record || o->replay)
        SYN_TRY(syn_tape_open(o->record ? o->record : o->replay,
                              o->record ? SYN_TAPE_RECORD : SYN_TAPE_REPLAY, &plan.tape));
    plan.checkpoint = o->checkpoint ? o->checkpoint : syn_decider_default(found, sizeof found);
    SYN_TRY(syn_deciders_open(plan.checkpoint, NULL, &deciders));
    plan.weights = syn_deciders_weights(deciders);
    plan.deciders = deciders;
    plan.agents_are = &agents;
    say_who(&plan);
    syn_stop_watch();
    st = syn_live_evaluate(&plan);
    if (st == SYN_OK) printf("%s\n", plan.output);
done:
    st = close_tape(plan.tape, st);
    syn_deciders_close(deciders);
    syn_agents_close(&agents);
    free(paths);
    return st;
}

bool syn_live_is_asked_for(int argc, char *const *argv)
{
    static const char flag[] = "--benchmarks";
    const size_t bytes = sizeof flag - 1;
    for (int k = 1; k < argc && strcmp(argv[k], "--") != 0; k++)
        if (!strncmp(argv[k], flag, bytes) && (!argv[k][bytes] || argv[k][bytes] == '='))
            return true;
    return false;
}

syn_status syn_cmd_eval_live(int argc, char **argv)
{
    live_options o;
    bool done = false;
    char *help[] = {argv[0], (char *)"--help", NULL};
    for (int k = 1; k < argc; k++)
        if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h"))
            return syn_options_parse(&command, &o, 2, help, NULL, &done);
    SYN_RETURN_IF(syn_options_parse(&command, &o, argc, argv, NULL, &done));
    return done ? SYN_OK : evaluate(&o);
}
