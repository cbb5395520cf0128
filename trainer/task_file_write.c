#include <stdlib.h>
#include <string.h>

#include "checkpoints/safetensors.h"
#include "trainer/task_file.h"

enum { FIXED = 4 }; /* tensors beside the perception's */

/* What is written, as the writer takes it; the host copies are owned. */
typedef struct draft {
    syn_tensor item[FIXED + SYN_PARAMS_MAX];
    char name[FIXED + SYN_PARAMS_MAX][SYN_TENSOR_NAME_BYTES_MAX];
    int count;
    float calibration[SYN_GAP_OUT][2];
} draft;

static syn_status add(syn_ctx *ctx, draft *d, const char *name, syn_tensor_type type, int rank,
                      const int64_t *shape, const void *device)
{
    size_t bytes = 4;
    syn_tensor *t = &d->item[d->count];
    snprintf(d->name[d->count], sizeof d->name[0], "%s", name);
    *t = (syn_tensor){.name = d->name[d->count], .rank = rank, .type = type};
    for (int k = 0; k < rank; k++) {
        t->shape[k] = shape[k];
        bytes *= (size_t)shape[k];
    }
    t->data = malloc(bytes);
    if (!t->data) return syn_fail(SYN_ERR_MEMORY, "out of memory for the tensor %s", name);
    d->count++;
    return syn_copy_out(ctx, t->data, device, bytes);
}

static syn_status add_all(syn_ctx *ctx, draft *d, const syn_tasks *t, int64_t tasks,
                          const syn_perception *p)
{
    SYN_RETURN_IF(add(ctx, d, "tasks.info", SYN_TENSOR_I32, 2,
                      (int64_t[]){tasks, 3 + SYN_GROUPS_MAX}, t->info));
    SYN_RETURN_IF(add(ctx, d, "tasks.quest", SYN_TENSOR_F32, 2, (int64_t[]){tasks, SYN_TASK_QUEST},
                      t->quest));
    SYN_RETURN_IF(
        add(ctx, d, "tasks.pair", SYN_TENSOR_F32, 2, (int64_t[]){tasks, SYN_TASK_PAIR}, t->pair));
    for (int i = 0; i < p->params.count; i++) {
        const syn_param *item = &p->params.item[i];
        char name[SYN_TENSOR_NAME_BYTES_MAX];
        snprintf(name, sizeof name, "judge.%s", item->name);
        SYN_RETURN_IF(
            add(ctx, d, name, SYN_TENSOR_F32, item->rank, item->shape, syn_value(&p->params, i)));
    }
    for (int k = 0; k < SYN_GAP_OUT; k++) {
        d->calibration[k][0] = p->calibrated[k].temperature;
        d->calibration[k][1] = p->calibrated[k].offset;
    }
    d->item[d->count++] =
        (syn_tensor){"judge.calibration", 2, {SYN_GAP_OUT, 2}, SYN_TENSOR_F32, d->calibration};
    return SYN_OK;
}

syn_status syn_task_file_write(syn_ctx *ctx, const char *path, const syn_corpus *c, int64_t records,
                               const syn_perception *p)
{
    if (records > c->records) records = c->records;
    if (records > SYN_TASK_FILE_RECORDS_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: more than %d records", path, SYN_TASK_FILE_RECORDS_MAX);
    draft *d = calloc(1, sizeof *d);
    if (!d) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", path);
    syn_status st = add_all(ctx, d, &c->tasks, 2 * records, p);
    if (st == SYN_OK) {
        const syn_tensors all = {d->item, d->count};
        st = syn_safetensors_write(path, &all, NULL);
    }
    for (int i = 0; i < d->count; i++)
        if (d->item[i].data != d->calibration) free(d->item[i].data);
    free(d);
    return st;
}
