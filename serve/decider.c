#include "serve/decider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "serve/decider_model.h"
#include "serve/decider_rule.h"

syn_status syn_decider_open(const char *checkpoint, syn_decider *out)
{
    if (checkpoint) return syn_decider_model(checkpoint, out);
    return syn_decider_rule(SYN_RULE_THRESHOLD, out);
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

void syn_decider_close(syn_decider *decider)
{
    if (decider->policy && strcmp(decider->policy, "trained") == 0)
        syn_decider_model_free(decider);
    else
        syn_decider_rule_free(decider);
}
