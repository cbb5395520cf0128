#include "trainer/ppo_state.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/ppo_private.h"

enum { FIELDS = SYN_PPO_STATE_FIELDS, STATE_VERSION = 1 };

enum { VERSION, MINIBATCHES, SHARDS, SHARD_ENVS, ENV_BYTES, UPDATES, RECORDS, SHAPE };

/* What is kept of every environment, in order of its number. */
static const struct {
    const char *name;
    syn_tensor_type type;
    int64_t width; /* elements */
    int64_t bytes;
    size_t offset; /* of the pointer in the shard */
} fields[FIELDS] = {
    {SYN_RESUME_PREFIX "env", SYN_TENSOR_U8, sizeof(syn_env), sizeof(syn_env),
     offsetof(syn_ppo_shard, envs)},
    {SYN_RESUME_PREFIX "next", SYN_TENSOR_U64, 1, sizeof(uint64_t), offsetof(syn_ppo_shard, next)},
    {SYN_RESUME_PREFIX "counter", SYN_TENSOR_U64, 1, sizeof(uint64_t),
     offsetof(syn_ppo_shard, counter)},
    {SYN_RESUME_PREFIX "h", SYN_TENSOR_F32, SYN_STATE, sizeof(real) * SYN_STATE,
     offsetof(syn_ppo_shard, h)},
    {SYN_RESUME_PREFIX "c", SYN_TENSOR_F32, SYN_STATE, sizeof(real) * SYN_STATE,
     offsetof(syn_ppo_shard, c)}};

static char *field_of(const syn_ppo_shard *h, int k)
{
    char *data;
    memcpy(&data, (const char *)h + fields[k].offset, sizeof data);
    return data;
}

static syn_tensor tensor(const char *name, syn_tensor_type type, int64_t rows, int64_t width,
                         void *data)
{
    return (syn_tensor){.name = name,
                        .rank = width > 1 ? 2 : 1,
                        .shape = {rows, width},
                        .type = type,
                        .data = data};
}

static syn_tensor field_tensor(int k, int64_t envs, void *data)
{
    return tensor(fields[k].name, fields[k].type, envs, fields[k].width, data);
}

static syn_tensor norm_tensor(double norm[3])
{
    return tensor(SYN_RESUME_PREFIX "value_norm", SYN_TENSOR_F64, 3, 1, norm);
}

_Static_assert(sizeof(syn_env) <= sizeof(real) * SYN_STATE, "the widest field sizes the buffers");

/* ---- Gathering ---- */

/* One field of all environments into all (rank 0), by way of mine (this rank's shards, in order)
 * and theirs (ranks, mine). */
static syn_status gather_field(const syn_ppo *p, int k, char *mine, char *theirs, char *all)
{
    const int64_t L = p->local, M = p->cfg.minibatches, S = p->cfg.shards;
    const int64_t bytes = p->cfg.shard_envs * fields[k].bytes; /* of one shard */
    for (int64_t i = 0; i < M * L; i++) {
        SYN_RETURN_IF(
            syn_copy_out(p->ctx, mine + i * bytes, field_of(&p->shard[i], k), (size_t)bytes));
    }
    if (syn_dist_size(p->dist) == 1) {
        memcpy(all, mine, (size_t)(M * L * bytes));
        return SYN_OK;
    }
    SYN_RETURN_IF(syn_dist_gather(p->dist, mine, M * L * bytes, theirs));
    for (int64_t i = 0; all && i < M * S; i++) {
        const int64_t m = i / S, s = i % S, rank = s / L;
        memcpy(all + i * bytes, theirs + ((rank * M + m) * L + s % L) * bytes, (size_t)bytes);
    }
    return SYN_OK;
}

static void describe(const syn_ppo *p, syn_ppo_state *s)
{
    const int64_t shape[SHAPE] = {STATE_VERSION,     p->cfg.minibatches,       p->cfg.shards,
                                  p->cfg.shard_envs, (int64_t)sizeof(syn_env), p->updates,
                                  p->corpus->records};
    memcpy(s->shape, shape, sizeof shape);
    s->norm[0] = p->norm.mean;
    s->norm[1] = p->norm.square;
    s->norm[2] = p->norm.weight;
    for (int k = 0; k < FIELDS; k++) {
        s->tensor[k] = field_tensor(k, syn_ppo_envs(&p->cfg), s->field[k]);
    }
    s->tensor[FIELDS] = tensor(SYN_RESUME_PREFIX "shape", SYN_TENSOR_I64, SHAPE, 1, s->shape);
    s->tensor[FIELDS + 1] = norm_tensor(s->norm);
    s->count = SYN_PPO_STATE_TENSORS;
}

syn_status syn_ppo_state_gather(const syn_ppo *p, syn_ppo_state *s)
{
    const bool first = syn_dist_rank(p->dist) == 0;
    const size_t envs = (size_t)syn_ppo_envs(&p->cfg), widest = sizeof(real) * SYN_STATE;
    syn_status st = SYN_OK;
    memset(s, 0, sizeof *s);
    char *mine = malloc(envs / (size_t)syn_dist_size(p->dist) * widest);
    char *theirs = first ? malloc(envs * widest) : NULL;
    bool enough = mine && (theirs || !first);
    for (int k = 0; k < FIELDS && first; k++) {
        s->field[k] = malloc(envs * (size_t)fields[k].bytes);
        enough = enough && s->field[k];
    }
    if (!enough) st = syn_fail(SYN_ERR_MEMORY, "out of memory for the state of the environments");
    for (int k = 0; k < FIELDS && st == SYN_OK; k++) {
        st = gather_field(p, k, mine, theirs, s->field[k]);
    }
    free(mine);
    free(theirs);
    if (st != SYN_OK)
        syn_ppo_state_free(s);
    else if (first)
        describe(p, s);
    return st;
}

void syn_ppo_state_free(syn_ppo_state *s)
{
    for (int k = 0; k < FIELDS; k++) free(s->field[k]);
    memset(s, 0, sizeof *s);
}

/* ---- Restoring ---- */

syn_status syn_ppo_state_weights_only(syn_control *c, const syn_checkpoint *cp)
{
    syn_params *p = &c->params;
    double norm[3];
    const syn_tensor moments = norm_tensor(norm);
    if (p->m) memset(p->m, 0, sizeof(real) * (size_t)p->total);
    if (p->v) memset(p->v, 0, sizeof(real) * (size_t)p->total);
    p->step = 0;
    if (!syn_checkpoint_find(cp, moments.name)) return SYN_OK;
    SYN_RETURN_IF(syn_checkpoint_read(cp, &moments));
    syn_value_norm n = {norm[0], norm[1], norm[2]};
    return syn_value_norm_fold(&(syn_ctx){.device = SYN_DEVICE_CPU, .threads = 1}, &n, c);
}

/* -1 stands for none. A piece was carried by somebody. */
static bool plausible_action(const syn_action *a, int agents)
{
    if (a->kind < 0 || a->kind > SYN_NO_ACTION) return false;
    if (a->from < -1 || a->from >= agents || a->to < -1 || a->to >= agents) return false;
    if (a->piece < -1 || a->piece >= SYN_ROWS_MAX) return false;
    return a->piece < 0 || (a->kind == SYN_REQUEST ? a->to : a->from) >= 0;
}

/* What indexes something else must be within it; the rest is what the hashes vouch for. */
static bool plausible(const syn_env *e, int64_t records)
{
    if (e->agents < 2 || e->agents > SYN_AGENTS_MAX) return false;
    if (e->task < 0 || e->task >= 2 * records || e->turn < 0 || e->turn >= e->turns_max ||
        e->changed >> e->agents || !plausible_action(&e->last, e->agents) || !e->gold ||
        !e->present) {
        return false;
    }
    for (int i = 0; i < e->agents; i++) {
        uint32_t held = 0;
        if (e->count[i] > SYN_ROWS_MAX || e->count[i] != syn_popcount(e->memory[i])) return false;
        for (int k = 0; k < e->count[i]; k++) {
            const int row = e->item[i][k];
            if (row >= SYN_ROWS_MAX || e->giver[i][row] >= e->agents) return false;
            held |= 1u << row;
        }
        if (held != e->memory[i]) return false;
    }
    return true;
}

static syn_status take_field(syn_ppo *p, const syn_checkpoint *cp, int k, char *all)
{
    const int64_t envs = syn_ppo_envs(&p->cfg), E = p->cfg.shard_envs;
    const syn_tensor t = field_tensor(k, envs, all);
    SYN_RETURN_IF(syn_checkpoint_read(cp, &t));
    for (int64_t e = 0; k == 0 && e < envs; e++) {
        if (plausible((const syn_env *)(void *)all + e, p->corpus->records)) continue;
        return syn_fail(SYN_ERR_FORMAT, "%s: environment %lld is in no possible state",
                        syn_checkpoint_dir(cp), (long long)e);
    }
    for (int64_t i = 0; i < p->cfg.minibatches * p->local; i++) {
        SYN_RETURN_IF(syn_copy_in(p->ctx, field_of(&p->shard[i], k),
                                  all + p->shard[i].first * fields[k].bytes,
                                  (size_t)(E * fields[k].bytes)));
    }
    return SYN_OK;
}

syn_status syn_ppo_state_restore(syn_ppo *p, const syn_checkpoint *cp, syn_ppo_restored *how)
{
    int64_t shape[SHAPE];
    double norm[3];
    const syn_tensor facts = tensor(SYN_RESUME_PREFIX "shape", SYN_TENSOR_I64, SHAPE, 1, shape),
                     moments = norm_tensor(norm);
    *how = SYN_RESTORED_ANEW;
    if (!syn_checkpoint_find(cp, facts.name)) return syn_ppo_restart(p);
    SYN_RETURN_IF(syn_checkpoint_read(cp, &facts));
    SYN_RETURN_IF(syn_checkpoint_read(cp, &moments));
    for (int k = 0; k < SHAPE; k++) {
        if (shape[k] >= 0 && shape[k] <= INT32_MAX) continue;
        return syn_fail(SYN_ERR_FORMAT, "%s: %s holds %lld", syn_checkpoint_dir(cp), facts.name,
                        (long long)shape[k]);
    }
    p->updates = shape[UPDATES];
    if (p->cfg.value_norm) p->norm = (syn_value_norm){norm[0], norm[1], norm[2]};
    if (shape[VERSION] != STATE_VERSION || shape[MINIBATCHES] != p->cfg.minibatches ||
        shape[SHARDS] * shape[SHARD_ENVS] != p->cfg.shards * p->cfg.shard_envs ||
        shape[ENV_BYTES] != (int64_t)sizeof(syn_env) || shape[RECORDS] != p->corpus->records) {
        return syn_ppo_restart(p);
    }
    char *all = malloc((size_t)syn_ppo_envs(&p->cfg) * sizeof(real) * SYN_STATE);
    if (!all) return syn_fail(SYN_ERR_MEMORY, "out of memory for the state of the environments");
    syn_status st = SYN_OK;
    for (int k = 0; k < FIELDS && st == SYN_OK; k++) st = take_field(p, cp, k, all);
    free(all);
    if (st != SYN_OK) return st;
    *how = shape[SHARDS] == p->cfg.shards ? SYN_RESTORED_EXACT : SYN_RESTORED_RESHAPED;
    return syn_ppo_look(p);
}
