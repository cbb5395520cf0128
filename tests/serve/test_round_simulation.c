/* Thousands of collaborations under a fake clock, each a pure function of its seed: agents that
 * answer, fail, ramble, answer late or never, a decider that is right, slow or pointless, and caps
 * and deadlines of all sizes. Whatever happens, a collaboration ends in time, and its figures add
 * up. */
#include "tests/serve/team.h"

enum { SEEDS = 3000, STEPS_MAX = 20000, OPEN_MAX = SYN_AGENTS_MAX, FAILED = SYN_STOP_DEADLINE + 1 };

typedef struct world {
    uint64_t seed;
    syn_rng rng;
    double now;
    syn_round *round;
    syn_round_config config;
    /* Calls under way, and when their replies come (never: beyond the deadline). */
    syn_round_call call[OPEN_MAX];
    double due[OPEN_MAX];
    int open;
    uint32_t last_id;
    int calls, finals;
    double ready; /* of the pending decider; 0: none is pending */
    int ended;
    /* What the notices said. */
    int notices, rounds, messages, responses, closing;
    int phase_messages;
} world;

#define HOLDS(w, what)                                                                             \
    do {                                                                                           \
        if (!(what)) fail_msg("seed %llu: %s", (unsigned long long)(w)->seed, #what);              \
    } while (0)

static bool chance(world *w, float p)
{
    return syn_rng_uniform(&w->rng) < p;
}

static int below(world *w, int n)
{
    return (int)syn_rng_below(&w->rng, (uint32_t)n);
}

/* ---- the decider ---- */

static bool comes_later(world *w)
{
    if (w->ready > w->now) return true;
    if (w->ready > 0 || !chance(w, .2f)) {
        w->ready = 0;
        return false;
    }
    w->ready = w->now + (double)syn_rng_uniform(&w->rng) * 3;
    return true;
}

static syn_status sim_observe(void *user, const syn_team *team, syn_team_gaps *out)
{
    world *w = user;
    HOLDS(w, w->open == 0 && w->ended == 0);
    HOLDS(w, team->piece_count <= SYN_TEAM_PIECES_MAX && team->item_count <= SYN_TEAM_ITEMS_MAX);
    for (int i = 0; i < team->agents; i++) {
        HOLDS(w, (team->own[i] & ~team->holds[i]) == 0);
        for (int j = 0; j < team->agents; j++)
            HOLDS(w, (team->sent[i][j] & ~(team->holds[i] & team->holds[j])) == 0);
    }
    out->pending = comes_later(w);
    out->sufficiency = syn_rng_uniform(&w->rng);
    for (int i = 0; i < team->agents; i++) out->gaps[i][i] = syn_rng_uniform(&w->rng);
    return SYN_OK;
}

static uint64_t items_of(const syn_team *team, const syn_action *a)
{
    switch (a->kind) {
    case SYN_SEND:
        return syn_team_givable(team, a->from, a->to);
    case SYN_REQUEST:
        return syn_team_requestable(team, a->from, a->to);
    case SYN_BROADCAST:
        return syn_team_broadcastable(team, a->from);
    default:
        return 0;
    }
}

static syn_status sim_decide(void *user, const syn_team *team, const syn_team_gaps *seen,
                             syn_decision *out)
{
    world *w = user;
    int legal[SYN_ACTIONS_MAX], n = 0;
    for (int a = 0; a < SYN_ACTIONS_MAX; a++)
        if (team->legal[a]) legal[n++] = a;
    *out = (syn_decision){SYN_NO_ACTION, -1, -1, -1, 1, false};
    HOLDS(w, n > 0);
    if (chance(w, .15f)) return SYN_OK;
    const syn_action a = syn_action_of(legal[below(w, n)]);
    const uint64_t items = items_of(team, &a);
    HOLDS(w, items != 0 || a.kind >= SYN_ALONE);
    *out = (syn_decision){(syn_action_kind)a.kind, a.from, a.to, -1, .5f, chance(w, .1f)};
    if (items) out->item = __builtin_ctzll(items);
    if (out->pending) w->ready = w->now + .1;
    return SYN_OK;
}

static void sim_end(void *user)
{
    ((world *)user)->ended++;
}

/* ---- the agents ---- */

static const char *words(world *w)
{
    static const char *const all[] = {"Lyon", "Paris", "unknown", "In Lyon, France", "42", ""};
    return all[below(w, sizeof all / sizeof *all)];
}

/* What comes back; NULL: the call fails. */
static const char *reply_of(world *w, const syn_round_call *call)
{
    static char text[4096];
    if (chance(w, .12f)) return NULL;
    switch (below(w, 9)) {
    case 0:
        return "I would rather not say. It might be Lyon! Or not? Who knows. Yes. No. Maybe.";
    case 1:
        return "{\"answer\": [1, 2], \"confidence\": \"high\", \"claims\": 7}";
    case 2:
        return "{\"groups\": [[1, 2], [3]]} {\"answer\": \"broken";
    case 3:
        return "\xFF\xFE\x01 <think>{\"answer\": 1}</think>";
    case 4:
        return "";
    case 5:
        memset(text, '{', 240);
        text[240] = 0;
        return text;
    default:
        break;
    }
    const int said = below(w, 60);
    snprintf(
        text, sizeof text,
        "{\"answer\": \"It is %s.\", \"short_answer\": \"%s\", \"confidence\": %g, \"claims\": "
        "[\"Claim %d of agent %d.\", \"Claim %d of agent %d.\", \"Shared claim %d.\"], "
        "\"need\": %s, \"support\": [\"p1\", \"c2\", \"p99\"]}",
        words(w), words(w), (double)syn_rng_uniform(&w->rng), said, call->agent, said + 1,
        call->agent, said % 7, chance(w, .5f) ? "null" : "\"the town\"");
    return text;
}

static void take_calls(world *w)
{
    syn_round_call call;
    while (syn_round_next_call(w->round, &call)) {
        HOLDS(w, w->open < OPEN_MAX && call.id > w->last_id);
        HOLDS(w, call.agent >= 0 && call.agent < w->config.agents);
        HOLDS(w, *call.system && strstr(call.user, w->config.question));
        HOLDS(w, call.deadline_s == w->config.timeout_s);
        w->last_id = call.id;
        HOLDS(w, w->config.ask == SYN_ASK_ALL || call.purpose == SYN_CALL_FINAL);
        HOLDS(w, call.purpose == SYN_CALL_FINAL || !call.last);
        w->finals += call.purpose == SYN_CALL_FINAL;
        w->calls++;
        w->call[w->open] = call;
        w->due[w->open++] =
            chance(w, .03f) ? INFINITY : w->now + (double)syn_rng_uniform(&w->rng) * 8;
    }
}

/* An event gives back what the end does. */
static void told(world *w, syn_status st)
{
    syn_status end;
    HOLDS(w, syn_round_finished(w->round, &end) || st == SYN_OK);
    HOLDS(w, st == end);
}

static void bring(world *w, int k)
{
    const syn_round_call call = w->call[k];
    const char *text = reply_of(w, &call);
    syn_call_result result = {.text = text, .error = text ? NULL : "it failed"};
    result.prompt_tokens = chance(w, .3f) ? -1 : below(w, (int)strlen(call.user) / 3);
    result.completion_tokens = chance(w, .3f) ? -1 : below(w, (int)call.max_tokens);
    result.cost_usd = chance(w, .8f) ? -1 : 1e-4;
    w->open--;
    w->call[k] = w->call[w->open];
    w->due[k] = w->due[w->open];
    told(w, syn_round_call_done(w->round, w->now, call.id, &result));
    if (chance(w, .05f)) /* twice */
        told(w, syn_round_call_done(w->round, w->now, call.id, &result));
    if (chance(w, .05f)) told(w, syn_round_call_done(w->round, w->now, 12345678, &result));
}

/* ---- what is told ---- */

static void take_notices(world *w)
{
    syn_notice n;
    while (syn_round_next_notice(w->round, &n)) {
        HOLDS(w, w->closing == 0); /* nothing after the end */
        HOLDS(w, n.unix_s >= w->config.started_unix_s);
        HOLDS(w, n.text && n.item_id);
        HOLDS(w, (n.type == SYN_NOTICE_SESSION) == (w->notices++ == 0));
        if (n.type == SYN_NOTICE_ROUND) {
            HOLDS(w, n.round == ++w->rounds);
            w->phase_messages = 0;
        }
        w->responses += n.type == SYN_NOTICE_AGENT_RESPONSE;
        if (n.type == SYN_NOTICE_MESSAGE && n.kind <= SYN_BROADCAST) {
            const int spent = n.kind == SYN_REQUEST ? 2 : 1;
            w->messages += spent;
            w->phase_messages += spent;
            const bool rest = w->config.ask == SYN_ASK_ASKER && n.round > 1;
            HOLDS(w,
                  rest || !w->config.cognitive_gaps || w->phase_messages <= 2 * w->config.agents);
            HOLDS(w, *n.text && *n.item_id);
        }
        w->closing =
            n.type == SYN_NOTICE_FINAL_ANSWER || (n.type == SYN_NOTICE_ERROR && n.agent < 0);
    }
}

/* ---- the run ---- */

static const syn_round_document many[] = {
    {"x", "Amber Tide", "Amber Tide is a film directed by Jane Roe.", 0},
    {"y", "Jane Roe", "Jane Roe was born in Lyon.", 3},
    {"z", "Wales", "Wales is a country.", 0},
    {"v", "", "Lyon lies on the Rhone.\n\nThe Rhone is a river.", 0},
    {"w", "Rhone", "The Rhone flows to the sea.", 2},
};

static void configure(world *w)
{
    syn_round_config *c = &w->config;
    *c = three_agents();
    c->agents = 2 + below(w, 9);
    c->rounds_max = 1 + below(w, 20);
    c->rounds_min = below(w, c->rounds_max + 1);
    c->task = (syn_task_type)below(w, 4);
    c->documents = many;
    c->document_count = below(w, 6);
    c->cognitive_gaps = chance(w, .85f);
    c->aggregator_is_model = chance(w, .5f);
    c->final_verbatim = chance(w, .3f);
    c->reply_tokens_max = 100;
    c->timeout_s = chance(w, .3f) ? 1 + below(w, 20) : 300;
    if (chance(w, .3f)) c->messages_cap = 1 + below(w, 12);
    if (chance(w, .3f)) c->tokens_cap = 400 + below(w, 20000);
    if (chance(w, .2f)) c->cost_cap_usd = .02 * (1 + below(w, 20));
    for (int i = 0; i < SYN_AGENTS_MAX; i++) c->agent[i].completion_usd = 1e-5 * below(w, 20);
    if (c->document_count > 0 && chance(w, .25f)) c->ask = SYN_ASK_ASKER;
    if (c->cost_cap_usd == 0 && chance(w, .2f)) c->agent[1].price_known = false;
}

static void end_of(world *w)
{
    syn_status st;
    const syn_round_config *c = &w->config;
    HOLDS(w, syn_round_finished(w->round, &st));
    HOLDS(w, w->closing && w->ended == 1);
    const bool one = c->ask == SYN_ASK_ASKER;
    HOLDS(w, w->now <= c->timeout_s && w->finals <= (one ? 2 : 1));
    const syn_round_reply *reply = syn_round_result(w->round);
    HOLDS(w, (reply != NULL) == (st == SYN_OK));
    if (!reply) {
        HOLDS(w, st == SYN_ERR_NETWORK || st == SYN_ERR_LIMIT || st == SYN_ERR_INVALID);
        return;
    }
    const int rounds_min = one                 ? 1
                           : c->rounds_min     ? c->rounds_min
                           : c->rounds_max < 2 ? c->rounds_max
                                               : 2;
    double sum = 0;
    for (int i = 0; i < c->agents; i++) {
        const syn_answer *a = &reply->answers[i];
        HOLDS(w, a->weight >= 0 && (a->given || a->weight == 0));
        sum += a->weight;
    }
    HOLDS(w, reply->agents_used >= 1 && fabs(sum - 1) < 1e-9);
    HOLDS(w, !one || (reply->agents_used == 1 && reply->rounds == w->finals));
    HOLDS(w, !one || reply->abstained || reply->stopped_by <= SYN_STOP_ANSWERED ||
                 reply->stopped_by == SYN_STOP_DEADLINE);
    HOLDS(w, reply->rounds == w->rounds && reply->rounds <= c->rounds_max);
    HOLDS(w, reply->messages == w->messages);
    HOLDS(w, reply->messages == reply->broadcast_messages + reply->targeted_messages);
    HOLDS(w, reply->dialogue_count == reply->messages);
    HOLDS(w, c->messages_cap == 0 || reply->messages <= c->messages_cap);
    HOLDS(w,
          c->tokens_cap == 0 || reply->prompt_tokens + reply->completion_tokens <= c->tokens_cap);
    HOLDS(w, c->cost_cap_usd == 0 || reply->cost_usd <= c->cost_cap_usd + 1e-4 * w->calls);
    HOLDS(w, reply->llm_calls <= w->calls && reply->cost_usd >= 0);
    HOLDS(w, reply->final_entropy >= 0 && reply->final_entropy <= 1 + 1e-9);
    HOLDS(w, reply->consensus_score >= 0 && reply->consensus_score <= 1 + 1e-9);
    HOLDS(w, fabs(reply->information_gain) <= 1 + 1e-9);
    HOLDS(w, reply->confidence >= 0 && reply->confidence <= 1);
    HOLDS(w,
          !(reply->grounded && reply->sufficiency >= 0) || reply->confidence <= reply->sufficiency);
    HOLDS(w, reply->gaps_detected <= c->agents * reply->rounds);
    HOLDS(w, reply->abstained == (reply->stopped_by == SYN_STOP_ABSTAINED));
    HOLDS(w, reply->stopped_by != SYN_STOP_CONVERGED || reply->convergence_achieved);
    HOLDS(w, reply->stopped_by != SYN_STOP_ANSWERED || !reply->convergence_achieved);
    HOLDS(w, !reply->abstained || (reply->grounded && *reply->missing));
    HOLDS(w, *reply->final_answer || c->final_verbatim);
    HOLDS(w, reply->stopped_by != SYN_STOP_DEADLINE || w->now == c->timeout_s);
    if (reply->abstained || reply->stopped_by <= SYN_STOP_ANSWERED)
        HOLDS(w, reply->rounds >= rounds_min);
}

/* The next thing that happens: a reply, the pending decider, or the time that the round named. */
static void step(world *w)
{
    int next = -1;
    double at = syn_round_wake_s(w->round);
    HOLDS(w, at >= w->now);
    for (int k = 0; k < w->open; k++)
        if (w->due[k] < at) at = w->due[next = k];
    if (w->ready > 0 && w->ready < at) {
        at = w->ready;
        next = -1;
    }
    HOLDS(w, at > w->now || next >= 0 || w->open == 0);
    w->now = at;
    if (next >= 0)
        bring(w, next);
    else
        told(w, syn_round_tick(w->round, w->now));
}

static void simulate(uint64_t seed, int *stops)
{
    world *w = calloc(1, sizeof *w);
    w->seed = seed;
    w->rng = syn_rng_make(seed, SYN_STREAM_TEST);
    configure(w);
    const syn_decider d = {sim_observe, sim_decide, w, "trained", chance(w, .5f), NULL, sim_end};
    const syn_status st = syn_round_create(&w->config, &d, 0, &w->round);
    if (st != SYN_OK) {
        HOLDS(w, st == SYN_ERR_INVALID && strstr(syn_error_text(), "caps.") && w->ended == 1);
        free(w);
        return;
    }
    int steps = 0;
    for (; steps < STEPS_MAX; steps++) {
        take_calls(w);
        if (chance(w, .7f)) take_notices(w);
        if (syn_round_finished(w->round, NULL)) break;
        step(w);
    }
    HOLDS(w, steps < STEPS_MAX);
    take_notices(w);
    end_of(w);
    stops[syn_round_result(w->round) ? (int)syn_round_result(w->round)->stopped_by : FAILED]++;
    syn_round_destroy(w->round);
    free(w);
}

static void every_collaboration_ends_in_time_and_adds_up(void **state)
{
    int stops[FAILED + 1] = {0};
    /* One seed again, or more of them. */
    const char *one = getenv("SYNCOG_TEST_SEED"), *more = getenv("SYNCOG_TEST_SEEDS");
    const uint64_t first = one ? strtoull(one, NULL, 10) : 0;
    const uint64_t last = one ? first + 1 : more ? strtoull(more, NULL, 10) : SEEDS;
    for (uint64_t seed = first; seed < last; seed++) simulate(seed, stops);
    for (int k = 0; k <= FAILED && last >= SEEDS; k++)
        if (stops[k] < SEEDS / 200) fail_msg("the seeds hardly ever end in way %d", k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_collaboration_ends_in_time_and_adds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
