/* What the handlers of /v2 share. */
#ifndef SYN_SERVE_INFERENCE_INTERNAL_H
#define SYN_SERVE_INFERENCE_INTERNAL_H

#include <stdatomic.h>

#include "serve/decider.h"
#include "serve/inference.h"
#include "serve/inference_request.h"
#include "serve/inference_zip.h"
#include "serve/service.h"

/* Of one model; sums over all its requests. Any thread. */
typedef struct syn_inference_counts {
    atomic_llong succeeded, succeeded_ns, failed, failed_ns;
    atomic_llong queue_ns, input_ns, infer_ns, output_ns; /* of those that succeeded */
    atomic_llong rows;
    atomic_llong executions_millionth; /* a request in a batch of n is 1/n of an execution */
    atomic_llong last_ms;              /* Unix time */
} syn_inference_counts;

struct syn_inference {
    syn_service *service;
    syn_inference_room room;
    syn_inference_counts counts[SYN_INFERENCE_KINDS];
};

/* One request under way; on its loop, but for what its job says. */
typedef struct syn_inference_call {
    syn_hop hop; /* first */
    syn_inference *of;
    syn_inference_kind kind;
    syn_inference_request request;
    syn_coding reply_coding;
    double began_s;
    struct uv_work_s *reading; /* of a large one, on the pool; NULL: none */
} syn_inference_call;

/* inference_infer.c */
void syn_inference_handle(syn_visit *visit);
/* Answers with the outputs of call->request and counts it; times NULL: the scorer had no part. */
void syn_inference_answer(syn_inference_call *call, const syn_job_times *times);
/* Answers with an error and counts it. The sentence may be that of syn_error_text. */
void syn_inference_refuse(syn_inference_call *call, syn_status st, const char *sentence);

/* inference_networks.c: hands the request to the scorer. The call is a part of its memory, `bytes`
 * of which are needed; it ends in an answer, and the memory is freed. */
size_t syn_inference_network_bytes(void);
void syn_inference_network_begin(syn_inference_call *call);

/* inference_orchestrator.c: likewise; but first its text is read, on any thread. Where that fails,
 * there is nothing to begin. */
size_t syn_inference_orchestrator_bytes(void);
SYN_WARN_UNUSED syn_status syn_inference_orchestrator_read(syn_inference_call *call);
/* What was read is not wanted after all. */
void syn_inference_orchestrator_drop(syn_inference_call *call);
void syn_inference_orchestrator_begin(syn_inference_call *call);

/* inference_stats.c */
void syn_inference_count(syn_inference_call *call, bool succeeded, const syn_job_times *times);
/* A member of model_stats. New reference. */
json_t *syn_inference_stats(syn_inference *i, syn_inference_kind kind);

/* Whether the model answers: the networks are there, or it does without. */
bool syn_inference_is_ready(const syn_service *s, syn_inference_kind kind);

#endif
