/* Live teams on benchmarks, `syncog eval --benchmarks`: every question under every policy, through
 * the service's own rounds (serve/drive.h), one line for each answer, and the figures.
 *
 * Files of a run:
 *   OUT.json            what was run, whether it is complete and if not why, and the figures; it is
 *                       written whole when a run begins and when it ends, however it ends
 *   OUT.records.jsonl   one line per (benchmark, id, policy, num_agents), appended as each ends;
 * one of the kind "unfinished" tells what was paid for an answer that a cap or a stop cut short
 *   DIR/BENCHMARK.POLICY.N.json   where they are asked for: predictions in the benchmark's own
 *                       format, for its official script
 * The figures come from the lines alone. A run goes on where its lines end: answered questions are
 * not asked again, failed ones are; a line that was cut off is dropped. Benchmarks take turns,
 * question by question, and each question is asked of all policies before the next: wherever a run
 * stops, its policies have the same questions but for the few under way.
 *
 * Memory: the questions under way, and some 300 bytes per answer. */
#ifndef SYN_BENCHMARKS_LIVE_H
#define SYN_BENCHMARKS_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmarks/live_task.h"
#include "serve/agent_options.h"

typedef enum syn_live_policy {
    SYN_LIVE_LEARNED,         /* the networks decide; without a checkpoint the cosine rule */
    SYN_LIVE_BROADCAST,       /* everybody tells everybody everything */
    SYN_LIVE_ROUND_ROBIN,     /* by turns, each sends the asker what it has, one piece a turn */
    SYN_LIVE_ASKER,           /* the deciders of `learned`, with SYN_ASK_ASKER of serve/round.h: the
                                 evidence moves first, and then the asker alone is asked. Asked only
                                 where the benchmark has evidence; a question that happens to have
                                 none is asked as `single` asks it */
    SYN_LIVE_SINGLE,          /* one agent with everything, asked once */
    SYN_LIVE_SELF_CONSISTENCY /* it again, so often that it takes about the tokens of `learned` on
                                 the same question, at most SYN_LIVE_SAMPLES_MAX times; the answer
                                 that most samples give */
} syn_live_policy;

/* Those of a run that names none. `asker` is not among them: a run that goes on, or is replayed,
 * with the same command asks what it asked before. */
#define SYN_LIVE_POLICIES "learned,broadcast,round_robin,single,self_consistency"

enum {
    SYN_LIVE_POLICY_COUNT = SYN_LIVE_SELF_CONSISTENCY + 1,
    SYN_LIVE_BENCHMARKS_MAX = 16,
    SYN_LIVE_SAMPLES_MAX = 10,
    SYN_LIVE_SAMPLES_DEFAULT = 5, /* where `learned` is not asked, or has failed */
    SYN_LIVE_PARALLEL_MAX = 256,
    SYN_LIVE_FAILURES_MAX = 10 /* one after the other: the provider is given up */
};

const char *syn_live_policy_name(syn_live_policy policy);

typedef struct syn_live_source {
    const char *benchmark, *path; /* as in datasets/question.h */
} syn_live_source;

typedef struct syn_live_plan {
    syn_live_source source[SYN_LIVE_BENCHMARKS_MAX];
    int sources;
    int agents[SYN_AGENTS_MAX], agent_counts; /* sizes of teams, 2 to SYN_AGENTS_MAX */
    uint32_t policies;                        /* bit p: syn_live_policy p */
    int64_t limit;                            /* questions of each benchmark; 0: all */
    uint64_t seed;
    const char *reference; /* MultiWOZ: mwzeval's data folder, or NULL */
    int shots;
    int rounds_max;
    double temperature, timeout_s;
    int64_t reply_tokens_max;
    double cost_cap_usd; /* of the whole run, those before it included; 0: none */
    int64_t token_cap;
    int parallel; /* questions at a time */
    const char *output;
    const char *predictions; /* a folder for the official files of predictions, or NULL */
    bool overwrite;          /* begin anew where a run is there */
    const char *checkpoint;  /* of the deciders; NULL: the rule */
    const char *weights;     /* its tensors' SHA-256, by which a run that goes on knows it; NULL */
    syn_deciders *deciders;
    const syn_agents *agents_are;
    const char *calibration; /* the file that theirs comes from, or NULL */
    struct syn_tape *tape;   /* records what the provider answers, or answers for it
                                (serve/llm_tape.h); NULL: none */
    double time_scale;       /* of the provider's waits, as in serve/llm.h; tests shrink it */
} syn_live_plan;

/* Runs until all is asked, or something stops it: SIGINT or SIGTERM (syn_stop_watch), a cap, a
 * provider that has failed, a disk that is full. OUT.json says so then. Each answer under way has
 * a part of what the caps leave as a cap of its own, from which its calls are reserved before they
 * are made, so that a run never takes more; an answer that was cut short by it has failed, and is
 * asked again. (Where nothing but the provider's own bill tells the cost, the dearest answer so far
 * is held back for each: there the first ones can pass the cap.) Errors: SYN_ERR_USAGE (the files
 * are of another run: the sentence names the difference), SYN_ERR_INTERRUPTED, SYN_ERR_LIMIT (a
 * cap), SYN_ERR_NETWORK (the provider, or answers that failed), those of the benchmarks' readers,
 * SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_live_evaluate(const syn_live_plan *plan);

#endif
