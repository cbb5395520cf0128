/* The caps of a whole run. Each answer under way has a part of what is left as a cap of its own,
 * which its calls reserve from before they are made: all together never take more than there is. */
#include <inttypes.h>
#include <math.h>

#include "benchmarks/live_private.h"

/* What is left for the next answer. The first one is asked alone, with everything: it tells what
 * one needs, which is more than it takes, as calls reserve the longest reply. Then each has an
 * equal part, but so much that it is hardly cut short; where there is less it waits, and has at
 * last, alone again, all that is left. */
static syn_live_may find_part(const syn_live_eval *e, double left, double needed, double *out)
{
    const int places = e->plan->parallel - e->asking;
    const bool alone = e->asking == 0;
    if (!e->has_ended && !alone) return SYN_LIVE_WAIT;
    *out = fmin(left, e->has_ended ? fmax(left / (places > 1 ? places : 1), 1.5 * needed) : left);
    if (left > 0 && left >= needed) return SYN_LIVE_BEGIN;
    return alone ? SYN_LIVE_NO_MORE : SYN_LIVE_WAIT;
}

/* What one answer may need, as far as is known. */
static double needed_usd(const syn_live_eval *e)
{
    return fmax(e->records.dearest_usd, e->needed.usd);
}

static int64_t needed_tokens(const syn_live_eval *e)
{
    const int64_t taken = e->records.most_tokens;
    return taken > e->needed.tokens ? taken : e->needed.tokens;
}

static void stop_for_cost(syn_live_eval *e)
{
    syn_live_stop(
        e, false, SYN_ERR_LIMIT,
        "the cost cap of $%.6g is reached: $%.6g are spent, and one answer may need $%.6g",
        e->plan->cost_cap_usd, e->records.cost_usd, needed_usd(e));
}

static void stop_for_tokens(syn_live_eval *e)
{
    syn_live_stop(e, false, SYN_ERR_LIMIT,
                  "the token cap of %" PRId64 " is reached: %" PRId64
                  " are spent, and one answer may need %" PRId64,
                  e->plan->token_cap, e->records.prompt_tokens + e->records.completion_tokens,
                  needed_tokens(e));
}

static syn_live_may find_usd(syn_live_eval *e, syn_live_room *room)
{
    const syn_live_records *r = &e->records;
    const double cap = e->plan->cost_cap_usd;
    if (!(cap > 0)) return SYN_LIVE_BEGIN;
    if (!r->cost_known) {
        syn_live_stop(e, false, SYN_ERR_LIMIT,
                      "--cost-cap cannot be kept: %s tells no cost, and --providers-file has no "
                      "price of %s",
                      syn_live_provider(e->plan),
                      syn_live_model(e->plan) ? syn_live_model(e->plan) : "it");
        return SYN_LIVE_NO_MORE;
    }
    const double left = cap - r->cost_usd - e->held.usd;
    const syn_live_may may = find_part(e, left, needed_usd(e), &room->usd);
    room->all |= e->asking == 0 && room->usd >= left;
    if (may == SYN_LIVE_NO_MORE) stop_for_cost(e);
    return may;
}

static syn_live_may find_tokens(syn_live_eval *e, syn_live_room *room)
{
    const syn_live_records *r = &e->records;
    const int64_t cap = e->plan->token_cap;
    double part = 0;
    if (cap <= 0) return SYN_LIVE_BEGIN;
    const int64_t left = cap - r->prompt_tokens - r->completion_tokens - e->held.tokens;
    const syn_live_may may = find_part(e, (double)left, (double)needed_tokens(e), &part);
    room->tokens = part < 1 ? 1 : (int64_t)part;
    room->all |= e->asking == 0 && room->tokens >= left;
    if (may == SYN_LIVE_NO_MORE) stop_for_tokens(e);
    return may;
}

syn_live_may syn_live_find_room(syn_live_eval *e, syn_live_room *room)
{
    *room = (syn_live_room){0};
    const syn_live_may may = find_usd(e, room);
    return may == SYN_LIVE_BEGIN ? find_tokens(e, room) : may;
}

void syn_live_hold(syn_live_eval *e, const syn_live_room *room)
{
    e->asking++;
    e->held.tokens += room->tokens;
    e->held.usd += room->usd;
}

void syn_live_release(syn_live_eval *e, const syn_live_room *room)
{
    e->asking--;
    e->held.tokens -= room->tokens;
    e->held.usd = e->asking ? e->held.usd - room->usd : 0; /* without the dust of sums */
}

void syn_live_learn(syn_live_eval *e, const syn_live_room *room, const syn_live_reply *reply)
{
    e->has_ended = true;
    if (reply->peak_tokens > e->needed.tokens) e->needed.tokens = reply->peak_tokens;
    if (reply->peak_usd > e->needed.usd) e->needed.usd = reply->peak_usd;
    if (!reply->capped || !room->all) return;
    if (room->usd > 0 && reply->peak_usd > room->usd)
        stop_for_cost(e);
    else
        stop_for_tokens(e);
}
