#include "serve/decider.h"

#include <string.h>

#include "serve/decider_model.h"
#include "serve/decider_rule.h"

syn_status syn_decider_open(const char *checkpoint, syn_decider *out)
{
    if (checkpoint) return syn_decider_model(checkpoint, out);
    return syn_decider_rule(SYN_RULE_THRESHOLD, out);
}

void syn_decider_close(syn_decider *decider)
{
    if (decider->policy && strcmp(decider->policy, "trained") == 0) syn_decider_model_free(decider);
    else syn_decider_rule_free(decider);
}
