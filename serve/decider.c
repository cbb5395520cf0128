#include "serve/decider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "serve/decider_model.h"
#include "serve/decider_rule.h"

struct syn_deciders {
    syn_minds *minds; /* NULL: the rule */
};

syn_status syn_deciders_open(const char *checkpoint, const syn_scorer_queue_options *queue,
                             syn_deciders **out)
{
    SYN_REQUIRE(out, "syn_deciders_open: out is NULL");
    *out = NULL;
    syn_deciders *d = calloc(1, sizeof *d);
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory for the deciders");
    if (checkpoint) {
        syn_scorer_queue_options options = SYN_SCORER_QUEUE_DEFAULT;
        options.scorer.slots = SYN_DECIDERS_SLOTS;
        const syn_status st = syn_minds_open(checkpoint, queue ? queue : &options, &d->minds);
        if (st != SYN_OK) {
            free(d);
            return st;
        }
    }
    *out = d;
    return SYN_OK;
}

void syn_deciders_close(syn_deciders *d)
{
    if (!d) return;
    syn_minds_close(d->minds);
    free(d);
}

const char *syn_deciders_policy(const syn_deciders *d)
{
    return d->minds ? "trained" : "rule";
}

syn_scorer_queue *syn_deciders_queue(const syn_deciders *d)
{
    return d->minds ? syn_minds_queue(d->minds) : NULL;
}

const syn_model *syn_deciders_model(const syn_deciders *d)
{
    return d->minds ? syn_minds_model(d->minds) : NULL;
}

const char *syn_deciders_weights(const syn_deciders *d)
{
    return d->minds ? syn_minds_weights(d->minds) : NULL;
}

syn_status syn_decider_make(syn_deciders *d, void (*wake)(void *user), void *user, syn_decider *out)
{
    SYN_REQUIRE(d && out, "syn_decider_make: an argument is NULL");
    *out = (syn_decider){0};
    if (!d->minds) return syn_decider_rule(SYN_RULE_THRESHOLD, out);
    return syn_mind_make(d->minds, wake, user, out);
}

void syn_decider_free(syn_decider *decider)
{
    if (!decider || !decider->policy) return;
    if (strcmp(decider->policy, "trained") == 0)
        syn_mind_free(decider);
    else
        syn_decider_rule_free(decider);
    *decider = (syn_decider){0};
}

const char *syn_decider_default(char *path, size_t bytes)
{
    static const char demo[] = "runs/demo/trained";
    const char *folder = getenv("CHECKPOINT_DIR");
    if (folder && *folder) {
        if (syn_checkpoint_exists(folder)) return folder;
        int n = snprintf(path, bytes, "%s/best", folder);
        if (n > 0 && (size_t)n < bytes && syn_checkpoint_exists(path)) return path;
    }
    return syn_checkpoint_exists(demo) ? demo : NULL;
}
