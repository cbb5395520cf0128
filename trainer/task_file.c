#include "trainer/task_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/tensor_read.h"

_Static_assert(sizeof(syn_task_info) == sizeof(int32_t) * (3 + SYN_GROUPS_MAX), "tasks.info");

/* Can episodes be drawn from it? */
static bool is_task(const syn_task_info *t)
{
    if (t->pieces < 2 || t->pieces > SYN_PIECES_OWN_MAX) return false;
    const uint32_t own = (1u << t->pieces) - 1;
    uint32_t grouped = 0;
    bool good = t->gold && (t->gold & ~own) == 0 && t->gold != own && (t->claims & ~own) == 0;
    for (int g = 0; g < SYN_GROUPS_MAX; g++) {
        good = good && (t->group[g] & (grouped | ~own)) == 0;
        if (g && t->group[g] && !t->group[g - 1]) good = false;
        grouped |= t->group[g];
    }
    return good;
}

/* One float tensor into device memory, by way of the host. */
static syn_status read_floats(syn_ctx *ctx, const syn_tensor_file *f, syn_tensor want, real *device)
{
    SYN_RETURN_IF(syn_tensor_file_has(f, &want));
    int64_t n = 1;
    for (int k = 0; k < want.rank; k++) n *= want.shape[k];
    syn_status st;
    float *x = malloc(sizeof *x * (size_t)n);
    want.data = x;
    if (!x) return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld numbers", (long long)n);
    SYN_TRY(syn_tensor_file_read(f, &want));
    for (int64_t k = 0; k < n; k++) {
        if (isfinite(x[k])) continue;
        st = syn_fail(SYN_ERR_NUMERIC, "the tensor \"%s\" is not finite", want.name);
        goto done;
    }
    st = syn_copy_in(ctx, device, x, sizeof *x * (size_t)n);
done:
    free(x);
    return st;
}

static syn_status read_info(syn_ctx *ctx, const syn_tensor_file *f, const syn_tasks *t)
{
    syn_status st;
    syn_task_info *info = malloc(sizeof *info * (size_t)t->count);
    if (!info) return syn_fail(SYN_ERR_MEMORY, "out of memory for the tasks");
    const syn_tensor want = {"tasks.info", 2, {t->count, 3 + SYN_GROUPS_MAX}, SYN_TENSOR_I32, info};
    SYN_TRY(syn_tensor_file_read(f, &want));
    for (int64_t k = 0; k < t->count; k++) {
        if (is_task(&info[k])) continue;
        st = syn_fail(SYN_ERR_FORMAT, "task %lld is none", (long long)k);
        goto done;
    }
    st = syn_copy_in(ctx, t->info, info, sizeof *info * (size_t)t->count);
done:
    free(info);
    return st;
}

static syn_status read_tasks(syn_ctx *ctx, const syn_tensor_file *f, syn_corpus *c)
{
    const syn_tensor *info = syn_tensor_file_find(f, "tasks.info");
    const int64_t tasks = info ? info->shape[0] : 0;
    if (tasks < 2 || tasks % 2) return syn_fail(SYN_ERR_FORMAT, "no tasks in pairs");
    if (tasks / 2 > SYN_TASK_FILE_RECORDS_MAX)
        return syn_fail(SYN_ERR_LIMIT, "more than %d records", SYN_TASK_FILE_RECORDS_MAX);
    /* A count that is told takes no memory before the file is seen to have that many. */
    const syn_tensor quest = {"tasks.quest", 2, {tasks, SYN_TASK_QUEST}, SYN_TENSOR_F32, NULL};
    const syn_tensor pair = {"tasks.pair", 2, {tasks, SYN_TASK_PAIR}, SYN_TENSOR_F32, NULL};
    SYN_RETURN_IF(syn_tensor_file_has(f, &quest));
    SYN_RETURN_IF(syn_tensor_file_has(f, &pair));
    SYN_RETURN_IF(syn_tasks_alloc(ctx, &c->tasks, tasks));
    c->records = tasks / 2;
    SYN_RETURN_IF(read_info(ctx, f, &c->tasks));
    SYN_RETURN_IF(read_floats(ctx, f, quest, c->tasks.quest));
    return read_floats(ctx, f, pair, c->tasks.pair);
}

static syn_status read_judge(syn_ctx *ctx, const syn_tensor_file *f, syn_perception *p)
{
    float calibration[SYN_GAP_OUT][2];
    SYN_RETURN_IF(syn_perception_init(ctx, p, 0));
    for (int i = 0; i < p->params.count; i++) {
        const syn_param *item = &p->params.item[i];
        char name[SYN_TENSOR_NAME_BYTES_MAX];
        snprintf(name, sizeof name, "judge.%s", item->name);
        syn_tensor want = {name, item->rank, {0}, SYN_TENSOR_F32, NULL};
        for (int k = 0; k < item->rank; k++) want.shape[k] = item->shape[k];
        SYN_RETURN_IF(read_floats(ctx, f, want, syn_value(&p->params, i)));
    }
    const syn_tensor want = {"judge.calibration", 2, {SYN_GAP_OUT, 2}, SYN_TENSOR_F32, calibration};
    SYN_RETURN_IF(syn_tensor_file_read(f, &want));
    for (int k = 0; k < SYN_GAP_OUT; k++) {
        if (!(calibration[k][0] > 0) || !isfinite(calibration[k][0]) ||
            !isfinite(calibration[k][1]))
            return syn_fail(SYN_ERR_FORMAT, "the calibration is none");
        p->calibrated[k] = (syn_calibration){calibration[k][0], calibration[k][1]};
    }
    return SYN_OK;
}

syn_status syn_task_file_read(syn_ctx *ctx, const char *path, syn_corpus *c, syn_perception *p)
{
    memset(c, 0, sizeof *c);
    memset(p, 0, sizeof *p);
    syn_tensor_file *f = malloc(sizeof *f);
    if (!f) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", path);
    syn_status st = syn_tensor_file_open(f, path);
    if (st == SYN_OK) {
        char why[256];
        st = read_tasks(ctx, f, c);
        if (st == SYN_OK) st = read_judge(ctx, f, p);
        if (st != SYN_OK) {
            snprintf(why, sizeof why, "%s", syn_error_text());
            st = syn_fail(st, "%s: %s", path, why);
        }
        syn_tensor_file_close(f);
    }
    free(f);
    if (st == SYN_OK) return SYN_OK;
    syn_corpus_free(ctx, c);
    syn_perception_free(ctx, p);
    return st;
}
