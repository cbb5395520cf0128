/* What is summed or searched is of one shard, some ten thousand numbers, once a roll-out: one block
 * does it, in an order that its threads alone give. */
#include "kernels/base/launch.cuh"
#include "trainer/ppo_ops.h"

enum { SUM_THREADS = 512 };
enum { TALLIES = SYN_ROLLOUT_SUMS - SYN_SUM_TALLY };

static __global__ void count_kernel(int64_t E, uint64_t *counter)
{
    SYN_EACH(e, E) counter[e]++;
}

extern "C" syn_status syn_ppo_count_cuda(syn_ctx *ctx, int64_t E, uint64_t *counter)
{
    SYN_LAUNCH(ctx, count_kernel, syn_each_blocks(E), SYN_EACH_THREADS, 0, E, counter);
    SYN_LAUNCH_CHECK(ctx, "counting draws");
    return SYN_OK;
}

static __global__ void mark_all_kernel(int64_t E, syn_env *envs, uint32_t *kept)
{
    SYN_EACH(e, E)
    {
        kept[e] = envs[e].changed;
        envs[e].changed = (1u << envs[e].agents) - 1;
    }
}

extern "C" syn_status syn_ppo_mark_all_cuda(syn_ctx *ctx, int64_t E, syn_env *envs, uint32_t *kept)
{
    SYN_LAUNCH(ctx, mark_all_kernel, syn_each_blocks(E), SYN_EACH_THREADS, 0, E, envs, kept);
    SYN_LAUNCH_CHECK(ctx, "marking all agents");
    return SYN_OK;
}

static __global__ void mark_back_kernel(int64_t E, syn_env *envs, const uint32_t *kept)
{
    SYN_EACH(e, E) envs[e].changed = kept[e];
}

extern "C" syn_status syn_ppo_mark_back_cuda(syn_ctx *ctx, int64_t E, syn_env *envs,
                                             const uint32_t *kept)
{
    SYN_LAUNCH(ctx, mark_back_kernel, syn_each_blocks(E), SYN_EACH_THREADS, 0, E, envs, kept);
    SYN_LAUNCH_CHECK(ctx, "marking agents as before");
    return SYN_OK;
}

static __global__ void find_bad_kernel(int64_t n, const float *x, int64_t *first)
{
    __shared__ int64_t found[SUM_THREADS];
    int64_t mine = n;
    for (int64_t i = threadIdx.x; i < n && mine == n; i += SUM_THREADS) {
        if (!isfinite(x[i])) mine = i;
    }
    found[threadIdx.x] = mine;
    __syncthreads();
    for (int half = SUM_THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half && found[threadIdx.x + half] < found[threadIdx.x])
            found[threadIdx.x] = found[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *first = found[0] < n ? found[0] : -1;
}

extern "C" syn_status syn_ppo_find_bad_cuda(syn_ctx *ctx, int64_t n, const float *x, int64_t *first)
{
    SYN_LAUNCH(ctx, find_bad_kernel, 1, SUM_THREADS, 0, n, x, first);
    SYN_LAUNCH_CHECK(ctx, "looking for numbers that are not finite");
    return SYN_OK;
}

static __global__ void rescale_kernel(int64_t rows, int64_t E, const syn_ppo_scales *s,
                                      float *reward, float *value)
{
    SYN_EACH(i, rows + E)
    {
        if (i < rows) reward[i] *= s->reward;
        value[i] = value[i] * s->value_std + s->value_mean;
    }
}

extern "C" syn_status syn_ppo_rescale_cuda(syn_ctx *ctx, int64_t T, int64_t E,
                                           const syn_ppo_scales *s, float *reward, float *value)
{
    SYN_LAUNCH(ctx, rescale_kernel, syn_each_blocks((T + 1) * E), SYN_EACH_THREADS, 0, T * E, E, s,
               reward, value);
    SYN_LAUNCH_CHECK(ctx, "rewards and values in their units");
    return SYN_OK;
}

/* The block's sum of x, in the same order every time, for all threads. */
static __device__ double block_sum(double x, double *part)
{
    part[threadIdx.x] = x;
    __syncthreads();
    for (int half = SUM_THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    const double sum = part[0];
    __syncthreads();
    return sum;
}

static __device__ void add_row(double *own, float advantage, float ret, float value, int action)
{
    const double a = (double)advantage, r = (double)ret, error = r - (double)value;
    const int kind = syn_action_of(action).kind;
    own[SYN_SUM_ADVANTAGE] += a;
    own[SYN_SUM_ADVANTAGE2] += a * a;
    own[SYN_SUM_RETURN] += r;
    own[SYN_SUM_RETURN2] += r * r;
    own[SYN_SUM_ERROR] += error;
    own[SYN_SUM_ERROR2] += error * error;
    for (int k = 0; k < SYN_ACTION_KINDS; k++) own[SYN_SUM_KINDS + k] += k == kind;
}

static __device__ void add_tally(double *own, const syn_env_tally *t)
{
    const double each[TALLIES] = {
        (double)t->episodes,  (double)t->success,         (double)t->answerable,
        (double)t->abstained, (double)t->abstained_right, (double)t->unanswerable,
        (double)t->ended,     (double)t->messages,        (double)t->deliveries,
        (double)t->turns,     (double)t->episode_return};
    for (int k = 0; k < TALLIES; k++) own[SYN_SUM_TALLY + k] += each[k];
}

static __global__ void sums_kernel(int64_t rows, int64_t E, const float *advantage,
                                   const float *ret, const float *value, const int32_t *action,
                                   const syn_env_tally *tally, double *sums)
{
    __shared__ double part[SUM_THREADS];
    double own[SYN_ROLLOUT_SUMS] = {0};
    for (int64_t i = threadIdx.x; i < rows; i += SUM_THREADS)
        add_row(own, advantage[i], ret[i], value[i], action[i]);
    for (int64_t e = threadIdx.x; e < E; e += SUM_THREADS) add_tally(own, &tally[e]);
    for (int k = 0; k < SYN_ROLLOUT_SUMS; k++) {
        const double sum = block_sum(own[k], part);
        if (threadIdx.x == 0) sums[k] = sum;
    }
}

extern "C" syn_status syn_ppo_sums_cuda(syn_ctx *ctx, int64_t T, int64_t E, const float *advantage,
                                        const float *ret, const float *value, const int32_t *action,
                                        const syn_env_tally *tally, double *sums)
{
    SYN_LAUNCH(ctx, sums_kernel, 1, SUM_THREADS, 0, T * E, E, advantage, ret, value, action, tally,
               sums);
    SYN_LAUNCH_CHECK(ctx, "sums of a roll-out");
    return SYN_OK;
}

static __global__ void normalise_kernel(int64_t n, const syn_ppo_scales *s, float *advantage,
                                        float *ret)
{
    SYN_EACH(i, n)
    {
        advantage[i] = (float)(((double)advantage[i] - s->advantage_mean) * s->advantage_factor);
        ret[i] = (float)(((double)ret[i] - s->return_mean) * s->return_factor);
    }
}

extern "C" syn_status syn_ppo_normalise_cuda(syn_ctx *ctx, int64_t n, const syn_ppo_scales *s,
                                             float *advantage, float *ret)
{
    SYN_LAUNCH(ctx, normalise_kernel, syn_each_blocks(n), SYN_EACH_THREADS, 0, n, s, advantage,
               ret);
    SYN_LAUNCH_CHECK(ctx, "normalising advantages");
    return SYN_OK;
}
