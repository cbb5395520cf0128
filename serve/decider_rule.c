#include "serve/decider_rule.h"

#include <stdlib.h>

#include "serve/similar.h"

static syn_status cosines(const syn_team *team, double *cosine)
{
    const char *titles[SYN_TEAM_ITEMS_MAX], *texts[SYN_TEAM_ITEMS_MAX];
    for (int k = 0; k < team->item_count; k++) {
        titles[k] = team->items[k].title;
        texts[k] = team->items[k].text;
    }
    return syn_similar_to(team->question, titles, texts, team->item_count, cosine);
}

/* The share of the cosine mass above the threshold that lies in these items; 0 of nothing. */
static double share(const syn_team *team, const double *cosine, double threshold, uint64_t items)
{
    double all = 0, part = 0;
    for (int k = 0; k < team->item_count; k++) {
        if (cosine[k] < threshold) continue;
        all += cosine[k];
        if (items >> k & 1) part += cosine[k];
    }
    return all > 0 ? part / all : 0;
}

/* The mean over the floor(n/2) + 1 best covered agents. */
static double majority(const syn_team *team, const double *covered)
{
    bool used[SYN_AGENTS_MAX] = {false};
    int most = team->agents / 2 + 1;
    double sum = 0;
    for (int n = 0; n < most; n++) {
        int best = -1;
        for (int i = 0; i < team->agents; i++)
            if (!used[i] && (best < 0 || covered[i] > covered[best])) best = i;
        used[best] = true;
        sum += covered[best];
    }
    return sum / most;
}

static syn_status observe(void *user, const syn_team *team, syn_team_gaps *out)
{
    double threshold = *(const double *)user, cosine[SYN_TEAM_ITEMS_MAX];
    double covered[SYN_AGENTS_MAX];
    SYN_RETURN_IF(cosines(team, cosine));
    for (int i = 0; i < team->agents; i++) {
        covered[i] = share(team, cosine, threshold, team->holds[i]);
        for (int j = 0; j < team->agents; j++)
            out->gaps[i][j] =
                (float)share(team, cosine, threshold, team->holds[j] & ~team->holds[i]);
        out->gaps[i][i] = (float)(1 - covered[i]);
    }
    out->sufficiency = (float)(team->goal == SYN_GOAL_ASKER ? covered[0] : majority(team, covered));
    return SYN_OK;
}

/* Held by all whom the goal asks to hold it. */
static bool spread(const syn_team *team, int item)
{
    int everyone = team->goal == SYN_GOAL_ASKER ? 1 : team->agents;
    for (int i = 0; i < everyone; i++)
        if (!(team->holds[i] >> item & 1)) return false;
    return true;
}

/* Who may legally give the item; -1 when nobody may. */
static int giver(const syn_team *team, int item)
{
    for (int i = 0; i < team->agents; i++) {
        bool asker = team->goal == SYN_GOAL_ASKER;
        if (asker && i == 0) continue;
        uint64_t items = asker ? syn_team_givable(team, i, 0) : syn_team_broadcastable(team, i);
        syn_action_kind kind = asker ? SYN_SEND : SYN_BROADCAST;
        int action = syn_action_index(kind, i, 0);
        if ((items >> item & 1) && team->legal[action]) return i;
    }
    return -1;
}

/* The first message that is legal; false: none is. */
static bool any_message(const syn_team *team, syn_decision *out)
{
    for (int i = 0; i < team->agents; i++)
        for (int j = 0; j < team->agents; j++) {
            if (i == j || !team->legal[syn_action_index(SYN_SEND, i, j)]) continue;
            *out = (syn_decision){.kind = SYN_SEND,
                                  .from = i,
                                  .to = j,
                                  .item = __builtin_ctzll(syn_team_givable(team, i, j)),
                                  .probability = 1};
            return true;
        }
    return false;
}

static syn_status decide(void *user, const syn_team *team, const syn_team_gaps *seen,
                         syn_decision *out)
{
    (void)seen;
    double best = *(const double *)user, cosine[SYN_TEAM_ITEMS_MAX];
    SYN_RETURN_IF(cosines(team, cosine));
    *out =
        (syn_decision){.kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1, .probability = 1};
    const bool may_end = team->legal[syn_action_index(SYN_ANSWER, -1, -1)];
    if (may_end)
        out->kind = SYN_ANSWER;
    else if (team->always_acts && any_message(team, out))
        best = -1; /* whatever it is worth */
    for (int k = 0; k < team->item_count; k++) {
        bool better = out->item < 0 ? cosine[k] >= best : cosine[k] > best;
        if (!better || spread(team, k)) continue;
        int from = giver(team, k);
        if (from < 0) continue;
        bool asker = team->goal == SYN_GOAL_ASKER;
        best = cosine[k];
        *out = (syn_decision){.kind = asker ? SYN_SEND : SYN_BROADCAST,
                              .from = from,
                              .to = asker ? 0 : -1,
                              .item = k,
                              .probability = 1};
    }
    return SYN_OK;
}

syn_status syn_decider_rule(double threshold, syn_decider *out)
{
    double *user = malloc(sizeof *user);
    if (!user) return syn_fail(SYN_ERR_MEMORY, "out of memory for the rule");
    *user = threshold;
    *out = (syn_decider){observe, decide, user, "rule", false, NULL, NULL};
    return SYN_OK;
}

void syn_decider_rule_free(syn_decider *decider)
{
    free(decider->user);
    decider->user = NULL;
}
