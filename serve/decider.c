#include "serve/decider.h"

#include "serve/decider_rule.h"

syn_status syn_decider_open(const char *checkpoint, syn_decider *out)
{
    if (checkpoint)
        return syn_fail(SYN_ERR_UNSUPPORTED,
                        "--checkpoint %s: this build decides with the rule only", checkpoint);
    return syn_decider_rule(SYN_RULE_THRESHOLD, out);
}

void syn_decider_close(syn_decider *decider)
{
    syn_decider_rule_free(decider);
}
