/* Between the control network's heads and what they read and write: the rows that its linear layers
 * take, and the flat action index. Part of engine/control.h; not for other callers.
 *
 * All pointers are on the context's device; rows as in syn_observation. Outputs are overwritten
 * unless said otherwise and overlap nothing. No scratch; deterministic, and bit-equal for any
 * number of threads. Errors: SYN_ERR_DEVICE. */
#ifndef SYN_ENGINE_CONTROL_PACK_H
#define SYN_ENGINE_CONTROL_PACK_H

#include "engine/control.h"
#include "kernels/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_AGENT_IN = SYN_CKM + SYN_AGENT_X };

/* in (rows*N, SYN_AGENT_IN): each agent's [ckm, agent_x]; env, row (rows*N): r / N and r, which
 * gather a row's part and an agent's. */
SYN_WARN_UNUSED syn_status syn_agent_pack(syn_ctx *ctx, int64_t rows, const real *ckm,
                                          const real *agent_x, real *in, int32_t *env,
                                          int32_t *row);

/* in (rows, SYN_GLOBAL_X): [state, ckm of the asker, mean ckm of the team, summary]. */
SYN_WARN_UNUSED syn_status syn_global_pack(syn_ctx *ctx, int64_t rows, const real *state,
                                           const real *ckm, const int32_t *count,
                                           const real *summary, real *in);

/* dckm (rows, N, SYN_CKM): inout, plus what din (rows, SYN_GLOBAL_X) says of the asker's vector and
 * of the team's mean. */
SYN_WARN_UNUSED syn_status syn_global_pack_backward(syn_ctx *ctx, int64_t rows,
                                                    const int32_t *count, const real *din,
                                                    real *dckm);

/* count (rows): agents; pair (rows, SYN_PAIR_KINDS, N, N), agent (rows*N, 2), global (rows, 2): in;
 * flat (rows, SYN_ACTIONS_MAX), SYN_ACTIONS_MAX of each row in the order of the flat index. What
 * `agent` holds of agents beyond count is not read: 0. */
SYN_WARN_UNUSED syn_status syn_logits_pack(syn_ctx *ctx, int64_t rows, const int32_t *count,
                                           const real *pair, const real *agent, const real *global,
                                           real *flat);

/* The other way; 0 where pair has no action, and for agents beyond count. */
SYN_WARN_UNUSED syn_status syn_logits_unpack(syn_ctx *ctx, int64_t rows, const int32_t *count,
                                             const real *flat, real *pair, real *agent,
                                             real *global);

/* syn_control_forward at inference for one turn of at most SYN_CONTROL_FEW environments, in few
 * kernels: takes scratch and leaves it to whoever holds the mark. hT may be h0, cT c0. */
enum { SYN_CONTROL_FEW = 4 };
SYN_WARN_UNUSED syn_status syn_control_few_cuda(syn_ctx *ctx, const syn_control *c, int64_t rows,
                                                const syn_observation *x, const real *h0,
                                                const real *c0, real *logit, real *value, real *hT,
                                                real *cT);

/* The two sides. Not for other callers. */
__typeof__(syn_agent_pack) syn_agent_pack_cpu, syn_agent_pack_cuda;
__typeof__(syn_global_pack) syn_global_pack_cpu, syn_global_pack_cuda;
__typeof__(syn_global_pack_backward) syn_global_pack_backward_cpu, syn_global_pack_backward_cuda;
__typeof__(syn_logits_pack) syn_logits_pack_cpu, syn_logits_pack_cuda;
__typeof__(syn_logits_unpack) syn_logits_unpack_cpu, syn_logits_unpack_cuda;

#ifdef __cplusplus
}
#endif

/* Where logit `a` of the flat index stands: in pair at the returned index of a row where it is
 * below SYN_PAIR_CELLS, then in agent, then in global. */
enum {
    SYN_PAIR_CELLS = SYN_PAIR_KINDS * SYN_AGENTS_MAX * SYN_AGENTS_MAX,
    SYN_LOGIT_PAIRS = SYN_PAIR_KINDS * SYN_AGENTS_MAX * (SYN_AGENTS_MAX - 1)
};

SYN_HD int syn_logit_place(int a)
{
    const int n = SYN_AGENTS_MAX, pairs = n * (n - 1);
    if (a < SYN_LOGIT_PAIRS) { /* [kind][from][to], without from = to */
        const int kind = a / pairs, from = a % pairs / (n - 1), to = a % (n - 1);
        return (kind * n + from) * n + to + (to >= from);
    }
    const int rest = a - SYN_LOGIT_PAIRS; /* [kind][agent], then [kind] */
    if (rest < 2 * n) return SYN_PAIR_CELLS + rest % n * 2 + rest / n;
    return SYN_PAIR_CELLS + 2 * n + rest - 2 * n;
}

/* Whether what stands there is of no agent, or of one of `agents`; pairs see to theirs themselves.
 */
SYN_HD bool syn_logit_there(int at, int agents)
{
    const int own = at - SYN_PAIR_CELLS;
    return own < 2 * agents || own >= 2 * SYN_AGENTS_MAX;
}

#endif
