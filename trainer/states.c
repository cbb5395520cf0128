#include "trainer/states.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/array_file.h"
#include "kernels/base/progress.h"
#include "trainer/crossfit.h"

enum { CHUNK = 128, N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, LOOK = SYN_DV + 1 };

enum column {
    RECORD,
    FOLD,
    AGENTS,
    GOAL,
    TITLED,
    MOVES,
    LABEL,
    GAP,
    SUMMARY,
    ITEMS,
    ITEM_AGENT,
    ITEM_ROW,
    ITEM_X,
    ITEM_TEXT,
    ITEM_ASKER,
    ITEM_AGAIN,
    COLUMNS
};

static const syn_array columns[COLUMNS] = {
    [RECORD] = {"states/record", SYN_ARRAY_I64, 1},
    [FOLD] = {"states/fold", SYN_ARRAY_I32, 1},
    [AGENTS] = {"states/agents", SYN_ARRAY_I32, 1},
    [GOAL] = {"states/goal", SYN_ARRAY_U8, 1},
    [TITLED] = {"states/titled", SYN_ARRAY_U8, 1},
    [MOVES] = {"states/moves", SYN_ARRAY_I32, 1},
    [LABEL] = {"states/label", SYN_ARRAY_U8, N},
    [GAP] = {"states/gap", SYN_ARRAY_F32, 2},
    [SUMMARY] = {"states/summary", SYN_ARRAY_F32, SYN_SUMMARY},
    [ITEMS] = {"states/items", SYN_ARRAY_I64, 1},
    [ITEM_AGENT] = {"items/agent", SYN_ARRAY_U8, 1},
    [ITEM_ROW] = {"items/row", SYN_ARRAY_U8, 1},
    [ITEM_X] = {"items/x", SYN_ARRAY_F32, SYN_DI},
    [ITEM_TEXT] = {"items/text", SYN_ARRAY_F32, 2 * SYN_DE},
    [ITEM_ASKER] = {"items/asker", SYN_ARRAY_F32, LOOK},
    [ITEM_AGAIN] = {"items/again", SYN_ARRAY_F32, LOOK},
};

typedef struct dump {
    syn_ctx *ctx;
    const syn_states_config *cfg;
    const syn_dataset *ds;
    const syn_corpus *corpus;
    syn_array_file *file;
    syn_observer o;
    syn_observation x;
    syn_env *envs;   /* (CHUNK) */
    int32_t *record; /* (corpus->records): those of one source */
    syn_progress bar;
    int64_t done;
} dump;

static const syn_record *record_of(const dump *d, int64_t index)
{
    return &d->ds->records[d->corpus->record[index]];
}

/* The records that `perception` judges: all of the part asked for, or those of one cross-fit fold
 * (folds 0: no matter). Returns how many. */
static int64_t records_pick(dump *d, int folds, int fold)
{
    int64_t n = 0;
    for (int64_t k = 0; k < d->corpus->records; k++) {
        const syn_record *r = record_of(d, k);
        const bool wanted = d->cfg->part == SYN_RECORDS_TEST ||
                            syn_record_held_out(r) == (d->cfg->part == SYN_RECORDS_VALIDATION);
        if (wanted && (!folds || syn_crossfit_fold(r, folds) == fold)) d->record[n++] = (int32_t)k;
    }
    return n;
}

static syn_status write_states(dump *d, const syn_perception *p)
{
    for (int64_t e = 0; e < d->o.envs; e++) {
        const syn_env *env = &d->envs[e];
        const syn_record *r = record_of(d, env->task / 2);
        uint8_t label[N] = {0};
        int64_t items = 0;
        for (int i = 0; i < env->agents; i++) {
            label[i] = syn_label_gap(env, i);
            items += env->count[i];
        }
        const int64_t key = (int64_t)r->id_key;
        const int32_t fold = d->cfg->folds ? syn_record_fold(r, d->cfg->folds) : 0,
                      agents = env->agents, moves = env->turn;
        const uint8_t goal = (uint8_t)env->goal, titled = env->task % 2 == 0;
        const real z = d->o.gap_logit[e * N];
        const float gap[2] = {(float)z, (float)syn_calibrate(&p->calibrated[SYN_GAP], z)};
        const void *value[] = {
            [RECORD] = &key, [FOLD] = &fold,     [AGENTS] = &agents,
            [GOAL] = &goal,  [TITLED] = &titled, [MOVES] = &moves,
            [LABEL] = label, [GAP] = gap,        [SUMMARY] = d->x.summary + e * SYN_SUMMARY,
            [ITEMS] = &items};
        for (int c = RECORD; c <= ITEMS; c++)
            SYN_RETURN_IF(syn_array_file_append(d->file, c, value[c], 1));
    }
    return SYN_OK;
}

/* One row of the team's pieces in environment e as the asker sees it, and at the second look. */
static void looks(const syn_observer *o, int64_t e, int row, real *asker, real *again)
{
    memcpy(asker, o->own + (e * N * R + row) * SYN_DV, sizeof(real) * SYN_DV);
    asker[SYN_DV] = (real)o->rank[e * N * R + row];
    if (!o->central) return;
    memcpy(again, o->again + (e * R + row) * SYN_DV, sizeof(real) * SYN_DV);
    again[SYN_DV] = o->first[e * R + row];
}

static void text_of(const syn_tasks *tasks, int task, int row, real *text)
{
    const real *e = tasks->e + ((int64_t)task * R + row) * SYN_DE, *q = tasks->q + task * SYN_DE;
    const real scale = (real)sqrt((double)SYN_DE); /* entries of unit size */
    for (int k = 0; k < SYN_DE; k++) {
        text[k] = e[k];
        text[SYN_DE + k] = e[k] * q[k] * scale;
    }
}

static syn_status write_items(dump *d)
{
    syn_ctx *ctx = d->ctx;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int32_t agent[CHUNK * N], offset[CHUNK * N + 1];
    int64_t n = 0;
    for (int64_t e = 0; e < d->o.envs; e++) {
        for (int i = 0; i < d->envs[e].agents; i++) agent[n++] = (int32_t)(e * N + i);
    }
    const int64_t items = syn_observe_item_count(d->envs, n, agent);
    real *x = SYN_SCRATCH(ctx, real, items * SYN_DI), *bias = SYN_SCRATCH(ctx, real, items);
    uint8_t *holder = SYN_SCRATCH(ctx, uint8_t, items), *row = SYN_SCRATCH(ctx, uint8_t, items);
    real *asker = SYN_SCRATCH(ctx, real, items * LOOK),
         *again = SYN_SCRATCH(ctx, real, items * LOOK),
         *text = SYN_SCRATCH(ctx, real, items * 2 * SYN_DE);
    if (!x || !bias || !holder || !row || !asker || !again || !text) goto done;
    memset(again, 0, sizeof(real) * (size_t)(items * LOOK));
    syn_observe_items(ctx, &d->o, &d->corpus->tasks, d->envs, n, agent, offset, x, bias);
    for (int64_t k = 0; k < n; k++) {
        for (int32_t at = offset[k]; at < offset[k + 1]; at++) {
            holder[at] = (uint8_t)(agent[k] % N);
            row[at] = d->envs[agent[k] / N].item[agent[k] % N][at - offset[k]];
            text_of(&d->corpus->tasks, d->envs[agent[k] / N].task, row[at],
                    text + (int64_t)at * 2 * SYN_DE);
            looks(&d->o, agent[k] / N, row[at], asker + at * LOOK, again + at * LOOK);
        }
    }
    SYN_TRY(syn_array_file_append(d->file, ITEM_AGENT, holder, items));
    SYN_TRY(syn_array_file_append(d->file, ITEM_ROW, row, items));
    SYN_TRY(syn_array_file_append(d->file, ITEM_X, x, items));
    SYN_TRY(syn_array_file_append(d->file, ITEM_TEXT, text, items));
    SYN_TRY(syn_array_file_append(d->file, ITEM_ASKER, asker, items));
    SYN_TRY(syn_array_file_append(d->file, ITEM_AGAIN, again, items));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* States first .. first + count - 1, all judged by p. */
static syn_status write_source(dump *d, const syn_perception *p, int64_t records, int64_t first,
                               int64_t count)
{
    for (int64_t at = first; at < first + count; at += CHUNK) {
        d->o.envs = first + count - at < CHUNK ? first + count - at : CHUNK;
        for (int64_t e = 0; e < d->o.envs; e++) {
            syn_episode_draw(&d->envs[e], &d->cfg->episodes, d->corpus, d->record, records,
                             d->cfg->seed, (uint64_t)(at + e));
        }
        SYN_RETURN_IF(syn_observe_turn(d->ctx, &d->o, p, &d->corpus->tasks, d->envs, &d->x));
        SYN_RETURN_IF(write_states(d, p));
        SYN_RETURN_IF(write_items(d));
        d->done += d->o.envs;
        syn_progress_update(&d->bar, d->done, NULL);
    }
    return SYN_OK;
}

static syn_status write_all(dump *d, const syn_model *m)
{
    static const char *const names[] = {"training", "validation", "test"};
    const int sources = d->cfg->cross_fitted ? m->parts : 1, folds = sources > 1 ? sources : 0;
    const int64_t all = records_pick(d, 0, 0);
    if (all == 0)
        return syn_fail(SYN_ERR_FORMAT, "there is no %s record among %lld", names[d->cfg->part],
                        (long long)d->corpus->records);
    int64_t before = 0, first = 0;
    for (int k = 0; k < sources; k++) {
        const int64_t records = records_pick(d, folds, k);
        before += records;
        const int64_t until = d->cfg->count * before / all; /* in proportion to the records */
        SYN_RETURN_IF(
            write_source(d, folds ? &m->part[k] : &m->perception, records, first, until - first));
        first = until;
    }
    return SYN_OK;
}

syn_status syn_states_write(syn_ctx *ctx, const syn_states_config *cfg, const syn_dataset *ds,
                            const syn_corpus *corpus, const syn_model *model, const char *path,
                            const char *about)
{
    syn_status st;
    dump d = {.ctx = ctx, .cfg = cfg, .ds = ds, .corpus = corpus};
    if (cfg->cross_fitted && model->parts < 2)
        return syn_fail(SYN_ERR_FORMAT, "the checkpoint holds no cross-fitted parts");
    d.envs = calloc(CHUNK, sizeof *d.envs);
    d.record = malloc(sizeof *d.record * (size_t)corpus->records);
    if (!d.envs || !d.record) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for states");
        goto done;
    }
    SYN_TRY(syn_observer_init(ctx, &d.o, CHUNK, model->central));
    SYN_TRY(syn_observation_alloc(ctx, &d.x, CHUNK));
    SYN_TRY(syn_array_file_create(&d.file, path, columns, COLUMNS, about));
    syn_progress_begin(&d.bar, "states", "states", cfg->count);
    st = write_all(&d, model);
    syn_progress_end(&d.bar);
    if (st != SYN_OK) goto done;
    st = syn_array_file_commit(d.file);
    d.file = NULL;
done:
    syn_array_file_discard(d.file);
    syn_observation_free(ctx, &d.x);
    syn_observer_free(ctx, &d.o);
    free(d.envs);
    free(d.record);
    return st;
}
