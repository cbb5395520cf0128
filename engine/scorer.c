#include "engine/scorer.h"

#include <string.h>

#include "engine/scorer_private.h"
#include "kernels/gemm.h"
#include "kernels/sample.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX };

typedef enum score_mode { LOOK, GREEDY, DRAWS } score_mode;

/* ---- Slots: a name is generation and place ---- */

static syn_slot *slot_of(const syn_scorer *s, int64_t name)
{
    const int64_t at = name % SYN_SCORER_SLOTS_MAX, generation = name / SYN_SCORER_SLOTS_MAX;
    if (name < 0 || at >= s->options.slots) return NULL;
    syn_slot *slot = &s->slot[at];
    return slot->generation % 2 == 1 && (int64_t)slot->generation == generation ? slot : NULL;
}

static syn_status task_check(const syn_scorer_task *task)
{
    SYN_REQUIRE(task, "the task is NULL");
    SYN_REQUIRE(task->rows >= 1 && task->rows <= R, "a task of %d pieces, allowed are 1 to %d",
                task->rows, R);
    SYN_REQUIRE((task->claims & ~syn_rows_mask(task->rows)) == 0,
                "claims among rows that the task does not have");
    return SYN_OK;
}

static syn_status task_put(syn_scorer *s, syn_slot *slot, const syn_scorer_task *task)
{
    const int64_t at = slot - s->slot;
    slot->known = false;
    SYN_RETURN_IF(
        syn_copy_in(s->ctx, s->store.quest + at * SYN_TASK_QUEST, task->quest, sizeof task->quest));
    SYN_RETURN_IF(
        syn_copy_in(s->ctx, s->store.pair + at * SYN_TASK_PAIR, task->pair, sizeof task->pair));
    slot->rows = task->rows;
    return SYN_OK;
}

syn_status syn_scorer_slot_open(syn_scorer *s, const syn_scorer_task *task, int64_t *out)
{
    SYN_REQUIRE(s && out, "syn_scorer_slot_open: an argument is NULL");
    SYN_RETURN_IF(task_check(task));
    if (s->free_slot < 0) {
        return syn_fail(SYN_ERR_LIMIT, "all %d sessions of the scorer are taken", s->options.slots);
    }
    const int64_t at = s->free_slot;
    syn_slot *slot = &s->slot[at];
    const syn_store *t = &s->store;
    const size_t bytes = sizeof(real) * 2 * SYN_STATE;
    SYN_RETURN_IF(task_put(s, slot, task));
    SYN_RETURN_IF(syn_zero(s->ctx, t->h + at * 2 * SYN_STATE, bytes));
    SYN_RETURN_IF(syn_zero(s->ctx, t->c + at * 2 * SYN_STATE, bytes));
    s->free_slot = slot->next;
    s->open++;
    slot->generation++;
    slot->decided = -1;
    slot->newest = 0;
    slot->batch = 0;
    *out = (int64_t)slot->generation * SYN_SCORER_SLOTS_MAX + at;
    return SYN_OK;
}

syn_status syn_scorer_slot_pieces(syn_scorer *s, int64_t name, const syn_scorer_task *task)
{
    SYN_REQUIRE(s, "syn_scorer_slot_pieces: the scorer is NULL");
    syn_slot *slot = slot_of(s, name);
    SYN_REQUIRE(slot, "slot %lld is no session's", (long long)name);
    SYN_RETURN_IF(task_check(task));
    return task_put(s, slot, task);
}

syn_status syn_scorer_slot_keep(syn_scorer *s, int64_t name, syn_scorer_memory *out)
{
    SYN_REQUIRE(s && out, "syn_scorer_slot_keep: an argument is NULL");
    const syn_slot *slot = slot_of(s, name);
    SYN_REQUIRE(slot, "slot %lld is no session's", (long long)name);
    const int64_t at = (slot - s->slot) * 2 * SYN_STATE;
    out->decided = slot->decided;
    out->newest = slot->newest;
    SYN_RETURN_IF(syn_copy_out(s->ctx, out->h, s->store.h + at, sizeof out->h));
    return syn_copy_out(s->ctx, out->c, s->store.c + at, sizeof out->c);
}

syn_status syn_scorer_slot_resume(syn_scorer *s, int64_t name, const syn_scorer_memory *memory)
{
    SYN_REQUIRE(s && memory, "syn_scorer_slot_resume: an argument is NULL");
    SYN_REQUIRE(memory->newest == 0 || memory->newest == 1, "a memory whose newest place is %d",
                memory->newest);
    syn_slot *slot = slot_of(s, name);
    SYN_REQUIRE(slot, "slot %lld is no session's", (long long)name);
    const int64_t at = (slot - s->slot) * 2 * SYN_STATE;
    slot->decided = memory->decided;
    slot->newest = (uint8_t)memory->newest;
    slot->known = false;
    SYN_RETURN_IF(syn_copy_in(s->ctx, s->store.h + at, memory->h, sizeof memory->h));
    return syn_copy_in(s->ctx, s->store.c + at, memory->c, sizeof memory->c);
}

void syn_scorer_slot_close(syn_scorer *s, int64_t name)
{
    syn_slot *slot = s ? slot_of(s, name) : NULL;
    if (!slot) return;
    slot->generation++;
    slot->next = s->free_slot;
    s->free_slot = (int32_t)(slot - s->slot);
    s->open--;
}

int syn_scorer_slots_open(const syn_scorer *s)
{
    return s->open;
}

/* ---- A batch ---- */

syn_status syn_scorer_check(const syn_scorer *s, const syn_score_request *q)
{
    SYN_REQUIRE(s && q, "syn_scorer_check: an argument is NULL");
    const syn_slot *slot = slot_of(s, q->slot);
    SYN_REQUIRE(slot, "slot %lld is no session's", (long long)q->slot);
    SYN_REQUIRE((q->want & ~(uint32_t)SYN_WANT_ALL) == 0, "want is %#x", (unsigned)q->want);
    const uint32_t deciding = SYN_WANT_DRAW | SYN_WANT_PROBABILITIES | SYN_WANT_LOGITS;
    if (q->want & SYN_WANT_DECISION) {
        if (!s->model->has_policy) {
            return syn_fail(SYN_ERR_UNSUPPORTED, "this model has not been trained to decide, it "
                                                 "can only observe: train it with 'syncog train'");
        }
    } else {
        SYN_REQUIRE((q->want & deciding) == 0, "want is %#x: without a decision",
                    (unsigned)q->want);
    }
    return syn_team_check(q->team, slot->rows);
}

static syn_status requests_check(syn_scorer *s, int n, const syn_score_request *request)
{
    int bad = n;
#pragma omp parallel for schedule(static) num_threads(s->ctx->threads)                             \
    reduction(min                                                                                  \
              : bad) if (n > 64)
    for (int i = 0; i < n; i++) {
        if (syn_scorer_check(s, &request[i]) != SYN_OK && i < bad) bad = i;
    }
    if (bad < n) return syn_fail_within(syn_scorer_check(s, &request[bad]), "request %d", bad);
    s->batches++;
    for (int i = 0; i < n; i++) {
        syn_slot *slot = slot_of(s, request[i].slot);
        SYN_REQUIRE(slot->batch != s->batches, "request %d is a second one of its slot", i);
        slot->batch = s->batches;
    }
    return SYN_OK;
}

/* Rows of one pass over the networks. */
typedef struct pass {
    syn_scorer *s;
    syn_batch b;
    int64_t rows; /* of the buffers */
    int64_t n;    /* of them asked for; the first `deciding` decide */
    int64_t deciding;
    score_mode mode;
    uint32_t want;
} pass;

static syn_status gather(syn_ctx *ctx, const syn_store *s, const syn_batch *b, int64_t rows)
{
    return SYN_DISPATCH(ctx, syn_scorer_gather, s, b, rows);
}

static syn_status settle(syn_ctx *ctx, const syn_store *s, const syn_batch *b, int64_t rows,
                         bool decides)
{
    return SYN_DISPATCH(ctx, syn_scorer_settle, s, b, rows, decides);
}

static syn_status pass_work(void *user)
{
    pass *p = user;
    const syn_scorer *s = p->s;
    syn_ctx *ctx = s->ctx;
    syn_batch *b = &p->b;
    const syn_tasks tasks = {
        .count = s->options.slots, .quest = s->store.quest, .pair = s->store.pair};
    const int64_t n = ctx->device == SYN_DEVICE_CUDA ? p->rows : p->deciding;
    SYN_RETURN_IF(gather(ctx, &s->store, b, p->rows));
    SYN_RETURN_IF(syn_observe_turn(ctx, &b->o, &s->perception, &tasks, b->envs, &b->x));
    if (p->mode != LOOK) {
        SYN_RETURN_IF(syn_control_forward(ctx, &s->control, 1, n, &b->x, b->h0, b->c0, NULL,
                                          b->logit, NULL, b->hT, b->cT));
        SYN_RETURN_IF(syn_policy_sample(ctx, n, A, b->logit, b->x.mask, true, 0, NULL, b->action[0],
                                        b->logp[0], NULL, b->all));
    }
    if (p->mode == DRAWS) {
        SYN_RETURN_IF(syn_policy_sample(ctx, n, A, b->logit, b->x.mask, false, s->options.seed,
                                        b->counter, b->action[1], b->logp[1], NULL, b->all));
    }
    return settle(ctx, &s->store, b, p->rows, p->mode != LOOK);
}

/* The batch's buffers for so many rows. A single team on the CPU is looked at where it is stored.
 */
static pass pass_make(syn_scorer *s, int64_t n, score_mode mode)
{
    pass p = {.s = s, .b = s->batch, .n = n, .rows = n, .mode = mode};
    const bool cuda = s->ctx->device == SYN_DEVICE_CUDA;
    if (cuda) p.rows = syn_bucket_rows[syn_bucket_of(n)];
    p.b.o.envs = p.rows;
    p.b.o.all = p.b.o.own + p.rows * N * R * SYN_DV;
    if (cuda || n != 1) return p;
    const syn_place at = syn_place_stored(&s->store, p.b.staged[0].slot);
    p.b.o.own = at.own;
    p.b.o.all = at.all;
    p.b.o.rel = at.rel;
    p.b.o.rank = at.rank;
    p.b.o.ckm = at.ckm;
    p.b.o.a = at.a;
    p.b.o.link = at.link;
    p.b.o.gap = at.gap;
    return p;
}

/* oneDNN makes its code at the first product, which takes 70 ms. */
static syn_status products_warm(syn_ctx *ctx)
{
    enum { M = 64 };
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    real *a = SYN_SCRATCH(ctx, real, 3 * M * M);
    syn_status st = a ? syn_zero(ctx, a, sizeof(real) * 3 * M * M) : SYN_ERR_MEMORY;
    if (st == SYN_OK)
        st = syn_gemm(ctx, false, true, M, M, M, 1, a, M, a + M * M, M, 0, a + 2 * M * M, M);
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_scorer_warm(syn_scorer *s)
{
    if (s->ctx->device == SYN_DEVICE_CPU) return products_warm(s->ctx);
    const int modes = s->model->has_policy ? SYN_SCORER_MODES : 1;
    for (int k = syn_bucket_of(s->rows_max); k >= 0; k--) {
        for (int mode = modes - 1; mode >= 0; mode--) {
            pass p = pass_make(s, syn_bucket_rows[k], (score_mode)mode);
            for (int time = 0; time < 2; time++)
                SYN_RETURN_IF(syn_graph_run(s->ctx, &s->graph[k][mode], pass_work, &p));
        }
    }
    return syn_wait(s->ctx);
}

int64_t syn_scorer_nodes(const syn_scorer *s, int n)
{
    const int64_t rows = n < s->rows_max ? n : s->rows_max;
    return n > 0 ? s->graph[syn_bucket_of(rows)][GREEDY].nodes : 0;
}

/* Requests in the order of their rows: who decides comes first. */
static int requests_order(syn_scorer *s, int n, const syn_score_request *request)
{
    int at = 0;
    for (int i = 0; i < n; i++) {
        if (request[i].want & SYN_WANT_DECISION) s->order[at++] = i;
    }
    const int deciding = at;
    for (int i = 0; i < n; i++) {
        if (!(request[i].want & SYN_WANT_DECISION)) s->order[at++] = i;
    }
    return deciding;
}

static void stage(const syn_scorer *s, const syn_score_request *q, syn_staged *to)
{
    const syn_slot *slot = slot_of(s, q->slot);
    const bool again = slot->decided == q->team->turn;
    to->team = *q->team;
    to->counter = q->counter;
    to->slot = (int32_t)(slot - s->slot);
    to->afresh = !slot->known;
    to->from = again ? 1 - slot->newest : slot->newest;
    to->decides = (q->want & SYN_WANT_DECISION) != 0;
    to->draws = (q->want & SYN_WANT_DRAW) != 0;
    if (!q->mask)
        memset(to->mask, 1, sizeof to->mask);
    else
        for (int a = 0; a < A; a++) to->mask[a] = q->mask[a] != 0;
}

/* The next time, a slot's memory goes on from here. */
static void keep(const syn_scorer *s, const syn_staged *staged)
{
    syn_slot *slot = &s->slot[staged->slot];
    slot->known = true;
    if (!staged->decides) return;
    slot->newest = 1 - staged->from;
    slot->decided = staged->team.turn;
}

/* Results of a pass, to the host's rows from `base` on. */
static syn_status fetch(const pass *p, int64_t base)
{
    const syn_scorer *s = p->s;
    const syn_batch *b = &p->b;
    const size_t n = (size_t)p->n, deciding = (size_t)p->deciding;
    syn_ctx *ctx = s->ctx;
    SYN_RETURN_IF(syn_scorer_send(ctx, s->settled + base, b->settled, n * sizeof *s->settled));
    if (p->want & SYN_WANT_CKM) {
        SYN_RETURN_IF(syn_scorer_send(ctx, s->ckm + base * N * SYN_CKM, b->x.ckm,
                                      n * N * SYN_CKM * sizeof(real)));
    }
    if (p->want & SYN_WANT_RANKS) {
        SYN_RETURN_IF(
            syn_scorer_send(ctx, s->rank + base * N * R, b->o.rank, n * N * R * sizeof(float)));
    }
    if (p->want & SYN_WANT_PROBABILITIES) {
        SYN_RETURN_IF(syn_scorer_send(ctx, s->all + base * A, b->all, deciding * A * sizeof(real)));
    }
    if (p->want & SYN_WANT_LOGITS) {
        SYN_RETURN_IF(
            syn_scorer_send(ctx, s->logit + base * A, b->logit, deciding * A * sizeof(real)));
    }
    return SYN_OK;
}

static void report(const syn_scorer *s, int64_t row, uint32_t want, syn_score_result *to)
{
    const syn_settled *from = &s->settled[row];
    const bool decides = want & SYN_WANT_DECISION;
    *to = (syn_score_result){.status = SYN_OK,
                             .action = syn_action_of(-1),
                             .probability = 1,
                             .sufficiency = from->sufficiency,
                             .gaps = from->gaps};
    if (want & SYN_WANT_CKM) to->ckm = s->ckm + row * N * SYN_CKM;
    if (want & SYN_WANT_RANKS) to->rank = s->rank + row * N * R;
    if (want & SYN_WANT_PROBABILITIES) to->all = s->all + row * A;
    if (want & SYN_WANT_LOGITS) to->logit = s->logit + row * A;
    if (!decides) return;
    if (!from->finite) {
        to->status = SYN_ERR_NUMERIC;
        return;
    }
    to->action = from->action;
    to->probability = from->probability;
}

/* Requests order[base] to order[base + n - 1]. */
static syn_status pass_run(syn_scorer *s, int64_t base, int64_t n, int deciding_all,
                           const syn_score_request *request, syn_score_times *times)
{
    syn_staged *staged = (syn_staged *)((char *)s->upload + SYN_SCORER_HEAD_BYTES);
    syn_scorer_clock *clock = &s->clock;
    uint32_t want = 0;
    SYN_RETURN_IF(syn_scorer_clock_mark(s->ctx, clock, 0));
#pragma omp parallel for schedule(static) num_threads(s->ctx->threads) if (n > 64)
    for (int64_t r = 0; r < n; r++) stage(s, &request[s->order[base + r]], &staged[r]);
    for (int64_t r = 0; r < n; r++) want |= request[s->order[base + r]].want;
    *(int32_t *)s->upload = (int32_t)n;
    SYN_RETURN_IF(syn_scorer_send(s->ctx, s->upload_device, s->upload,
                                  SYN_SCORER_HEAD_BYTES + (size_t)n * sizeof *staged));
    SYN_RETURN_IF(syn_scorer_clock_mark(s->ctx, clock, 1));
    const score_mode mode = !(want & SYN_WANT_DECISION) ? LOOK
                            : want & SYN_WANT_DRAW      ? DRAWS
                                                        : GREEDY;
    pass p = pass_make(s, n, mode);
    p.want = want;
    p.deciding = deciding_all - base < n ? deciding_all - base : n;
    if (p.deciding < 0) p.deciding = 0;
    SYN_RETURN_IF(syn_graph_run(s->ctx, &s->graph[syn_bucket_of(n)][mode], pass_work, &p));
    SYN_RETURN_IF(syn_scorer_clock_mark(s->ctx, clock, 2));
    SYN_RETURN_IF(fetch(&p, base));
    SYN_RETURN_IF(syn_scorer_clock_mark(s->ctx, clock, 3));
    SYN_RETURN_IF(syn_wait(s->ctx));
    for (int64_t r = 0; r < n; r++) keep(s, &staged[r]);
    times->copy_s += syn_scorer_clock_s(s->ctx, clock, 0, 1);
    times->compute_s += syn_scorer_clock_s(s->ctx, clock, 1, 2);
    times->copy_s += syn_scorer_clock_s(s->ctx, clock, 2, 3);
    return SYN_OK;
}

syn_status syn_scorer_score(syn_scorer *s, int n, const syn_score_request *request,
                            syn_score_result *result, syn_score_times *times)
{
    SYN_REQUIRE(s && (n == 0 || (request && result)), "syn_scorer_score: an argument is NULL");
    if (n > s->options.batch_max) {
        return syn_fail(SYN_ERR_LIMIT, "a batch of %d, at most %d fit", n, s->options.batch_max);
    }
    SYN_REQUIRE(n >= 0, "a batch of %d", n);
    SYN_RETURN_IF(requests_check(s, n, request));
    syn_flush_denormals();
    syn_score_times spent = {0};
    const int deciding = requests_order(s, n, request);
    syn_status st = SYN_OK;
    for (int64_t base = 0; base < n && st == SYN_OK; base += s->rows_max) {
        const int64_t rows = n - base < s->rows_max ? n - base : s->rows_max;
        st = pass_run(s, base, rows, deciding, request, &spent);
    }
    for (int i = 0; i < n && st != SYN_OK; i++) slot_of(s, request[i].slot)->known = false;
    if (st != SYN_OK) return st;
    for (int r = 0; r < n; r++) report(s, r, request[s->order[r]].want, &result[s->order[r]]);
    if (times) *times = spent;
    return SYN_OK;
}
