/* Round robin: the sender whose turn it is tells the asker, or with the goal of consensus the next
 * one round, the best of its own items that is not known there (trainer/policies_scripted.c). It
 * answers when nobody has anything left, and judges nothing. */
#include "benchmarks/live_private.h"
#include "serve/similar.h"

static syn_status observe(void *user, const syn_team *team, syn_team_gaps *out)
{
    (void)user;
    (void)team;
    *out = (syn_team_gaps){.sufficiency = -1};
    return SYN_OK;
}

/* The first sender with something to say to its receiver; false when there is none. */
static bool next_pair(const syn_team *team, int *from, int *to, uint64_t *items)
{
    const int n = team->agents;
    for (int k = 0; k < n * n; k++) {
        const int i = (team->turn_count + k) % n;
        const int j =
            team->goal == SYN_GOAL_CONSENSUS ? (team->turn_count / n + k / n + i + 1) % n : 0;
        if (i == j || !team->legal[syn_action_index(SYN_SEND, i, j)]) continue;
        *items = syn_team_givable(team, i, j) & team->own[i] & ~team->holds[j];
        *from = i;
        *to = j;
        if (*items) return true;
    }
    return false;
}

/* Of these items the one nearest to the question. */
static syn_status nearest(const syn_team *team, uint64_t items, int *item)
{
    const char *titles[SYN_TEAM_ITEMS_MAX], *texts[SYN_TEAM_ITEMS_MAX];
    double cosine[SYN_TEAM_ITEMS_MAX];
    for (int k = 0; k < team->item_count; k++) {
        titles[k] = team->items[k].title;
        texts[k] = team->items[k].text;
    }
    SYN_RETURN_IF(syn_similar_to(team->question, titles, texts, team->item_count, cosine));
    *item = -1;
    for (int k = 0; k < team->item_count; k++)
        if ((items >> k & 1) && (*item < 0 || cosine[k] > cosine[*item])) *item = k;
    return SYN_OK;
}

static syn_status decide(void *user, const syn_team *team, const syn_team_gaps *seen,
                         syn_decision *out)
{
    (void)user;
    (void)seen;
    int from, to;
    uint64_t items;
    *out =
        (syn_decision){.kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1, .probability = 1};
    if (!next_pair(team, &from, &to, &items)) {
        if (team->legal[syn_action_index(SYN_ANSWER, -1, -1)]) out->kind = SYN_ANSWER;
        return SYN_OK;
    }
    out->kind = SYN_SEND;
    out->from = from;
    out->to = to;
    return nearest(team, items, &out->item);
}

syn_decider syn_live_turns_decider(void)
{
    return (syn_decider){.observe = observe, .decide = decide, .policy = "round_robin"};
}
