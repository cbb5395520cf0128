/* Runs collaborations on an event loop: makes a round's calls through serve/llm.h (extractive
 * agents on the loop's thread pool), feeds the replies back, keeps its deadlines, hands on its
 * notices.
 *
 * Everything is called on the loop's thread, and so are the callbacks, in which syn_drive_free may
 * be called. Replies of extractive agents are fed in the order of their calls: a team of them alone
 * comes to the same end every time. Any number of collaborations shares a loop; a decider that is
 * ready wakes its own. */
#ifndef SYN_SERVE_DRIVE_H
#define SYN_SERVE_DRIVE_H

#include "serve/calibration.h"
#include "serve/decider.h"
#include "serve/llm.h"
#include "serve/round.h"

typedef struct syn_drive syn_drive;

typedef struct syn_drive_agent {
    const syn_provider *provider;
    const char *model; /* NULL: the provider's */
} syn_drive_agent;

typedef struct syn_drive_options {
    /* Copied. Names of provider and model, prices and aggregator_is_model are filled in from the
     * providers. */
    const syn_round_config *round;
    syn_deciders *deciders; /* NULL only where round->cognitive_gaps is false, or with `decider` */
    const syn_decider *decider; /* the caller's own, instead of one of `deciders`: copied, never
                                   freed, never pending. NULL: none */
    const syn_providers *providers;
    /* Fill in the calibration of agents that have none; NULL: nobody's. */
    const syn_calibrations *calibrations;
    struct uv_loop_s *loop;
    syn_llm *llm;                                      /* NULL: all agents are extractive */
    syn_drive_agent agent[SYN_AGENTS_MAX], aggregator; /* aggregator.provider NULL: agent[0] */
    /* Members for the final call's chat request (max_tokens, stop, response_format, tools, ...);
     * NULL: none. */
    const json_t *final_chat;
    /* final_delta is called as the answer comes. Where the final call's reply is JSON, its text is
     * that of the member "answer", decoded; nothing is handed on of a reply without one. The final
     * answer then begins with what was handed on, unless the call failed half-way. Nothing is
     * handed on of a final call that is not the last (syn_round_call). */
    bool stream_final;
    uint64_t seed;           /* syn_drive_run: of the waits between retries */
    const char *traceparent; /* NULL: none */
    /* Of the collaboration on a tape (serve/llm_tape.h), copied; its calls add
     * /PURPOSE/AGENT/ROUND, both from 1. NULL: none. */
    const char *tag;
    /* Each may be NULL. `reply` is there with FINAL_ANSWER. */
    void (*notice)(void *context, const syn_notice *notice, const syn_round_reply *reply);
    void (*final_delta)(void *context, const syn_llm_delta *delta);
    /* A call to a model has ended; for metrics and spans. */
    void (*called)(void *context, const syn_round_call *call, const syn_drive_agent *agent,
                   const syn_llm_reply *reply);
    /* Once, as the last; never within start or cancel. `sentence` says what has failed. */
    void (*done)(void *context, syn_status st, const char *sentence);
    void *context;
} syn_drive_options;

/* Errors: of syn_round_create; `done` is not called then. */
SYN_WARN_UNUSED syn_status syn_drive_start(const syn_drive_options *options, syn_drive **out);
/* The same in three steps, for a loop that others wait for: `make` and `go` on its thread, and
 * between them, on any one, what takes a while with many documents. `round` is that of the options
 * and stays until `prepare` returns; the rest of them is copied by `make`. Where `prepare` fails
 * the drive is freed instead of going. */
SYN_WARN_UNUSED syn_status syn_drive_make(const syn_drive_options *options, syn_drive **out);
SYN_WARN_UNUSED syn_status syn_drive_prepare(syn_drive *d, const syn_round_config *round);
void syn_drive_go(syn_drive *d);
/* NULL before the end and where there is none. Valid until free. */
const syn_round_reply *syn_drive_reply(const syn_drive *d);
/* The message of the last final call that ended (OpenAI's shape, with tool calls), finish reason
 * and usage; false where no final call was made. */
bool syn_drive_final(const syn_drive *d, const json_t **message, const char **finish,
                     syn_llm_usage *usage);
/* The final call failed, or was still under way at the deadline, after final_delta was called: the
 * reply's answer is another one than that whose beginning was handed on. */
bool syn_drive_final_broke(const syn_drive *d);
/* Cancels what is under way, without callbacks; the loop has to run until its handles are closed.
 * NULL is allowed. */
void syn_drive_free(syn_drive *d);

/* For callers without a loop of their own: runs one to its end on this thread. options: loop, llm,
 * done and context are ignored; `with` is called with the reply before all is freed. */
SYN_WARN_UNUSED syn_status syn_drive_run(const syn_drive_options *options,
                                         void (*with)(void *user, const syn_round_reply *reply),
                                         void *user);

#endif
