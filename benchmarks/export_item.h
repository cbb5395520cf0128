/* One answer of a team, or of one agent, as an export sees it, wherever it was logged.
 *
 * An item is a JSON object with all of these members:
 *   id, source ("history", or a benchmark's name), task_type, policy, mode ("grounded": documents
 *   were given; "open"; "" unknown), provider, model (of the final answer, then of the other
 * agents, each once, between commas; "unknown" where nobody said), licence, question, answer,
 * short_answer, stopped_by, session: texts, "" for none error: "" for none; what failed confidence,
 * score, cost_usd, seconds: numbers or null. score in [0, 1]: a benchmark's official one, else the
 * mean of confidence, consensus and sufficiency as far as they are known agents, rounds, messages,
 * tokens, created_ms: integers readable, complete, abstained: booleans. complete: neither stopped
 * by a cap or the deadline, nor cut when it was stored dialogue: [{round, agent, to, kind, text}]:
 * agents from 1, to 0: all; kind broadcast, targeted, request or reply. dialogue_complete: no text
 * of it was cut others:
 * [{answer, share}]: answers of agents that the team did not follow, and the share of the team's
 * weight that each had */
#ifndef SYN_BENCHMARKS_EXPORT_ITEM_H
#define SYN_BENCHMARKS_EXPORT_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "kernels/base/status.h"

const char *syn_item_text(const json_t *item, const char *name); /* "" for none */
double syn_item_real(const json_t *item, const char *name, double none);
int64_t syn_item_int(const json_t *item, const char *name);
bool syn_item_is(const json_t *item, const char *name);

/* What a source does not say itself. NULL: "unknown". */
typedef struct syn_item_origin {
    const char *provider, *model, *licence;
} syn_item_origin;

struct syn_db_record;

/* A record of the store with its reply; a reply that cannot be read gives an item that says so.
 * *out is a new reference. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_item_of_history(const struct syn_db_record *record,
                                               const syn_item_origin *origin, json_t **out);
/* A line of the records of `syncog eval`, whose member "agents" is [{"provider", "model"}]. */
SYN_WARN_UNUSED syn_status syn_item_of_record(const json_t *record, const syn_item_origin *origin,
                                              json_t **out);

typedef struct syn_item_source {
    const char *history; /* sqlite:///..., postgresql://..., or a file of records */
    const char *org;     /* of the store; NULL: "default" */
    syn_item_origin origin;
} syn_item_source;

typedef syn_status (*syn_item_take)(void *context, json_t *item);

/* Hands over each item; stops with SYN_ERR_INTERRUPTED where `stop` says so (NULL: never). The
 * results file beside a file of records says provider and model, before `origin`. Memory is bounded
 * by the largest records. Errors: SYN_ERR_IO, SYN_ERR_FORMAT, SYN_ERR_NETWORK, those of `take`. */
SYN_WARN_UNUSED syn_status syn_items_read(const syn_item_source *source, int (*stop)(void),
                                          syn_item_take take, void *context);

#endif
