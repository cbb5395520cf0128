#include "benchmarks/timing.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernels/base/progress.h"

enum { RUNS_MAX = 20000, WARM_UP_RUNS = 3 };
#define SECONDS_PER_ROW 1.0

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void syn_bench_percentiles(double *times, int runs, syn_bench_row *row)
{
    qsort(times, (size_t)runs, sizeof *times, compare);
    row->runs = runs;
    row->p50_s = times[runs / 2];
    row->p99_s = times[(runs * 99 - 1) / 100];
}

syn_status syn_bench_measure(syn_status (*work)(void *user), void *user, int runs_min,
                             syn_bench_row *row)
{
    double *times = malloc(sizeof *times * RUNS_MAX);
    if (!times) return syn_fail(SYN_ERR_MEMORY, "out of memory for the times of a benchmark");
    syn_status st = SYN_OK;
    double begun = 0;
    for (int i = -WARM_UP_RUNS; i < RUNS_MAX; i++) {
        double before = syn_clock_s();
        if (i == 0) begun = before;
        SYN_TRY(work(user));
        if (i < 0) continue;
        times[i] = syn_clock_s() - before;
        row->runs = i + 1;
        if (row->runs >= runs_min && before - begun > SECONDS_PER_ROW) break;
    }
    syn_bench_percentiles(times, row->runs, row);
done:
    free(times);
    return st;
}

static void print_json(const char *bench, const char *device, const syn_bench_row *rows, int count,
                       int threads, double peak)
{
    printf("{\"bench\": \"%s\", \"device\": \"%s\", \"threads\": %d, \"rows\": [", bench, device,
           threads);
    for (int i = 0; i < count; i++) {
        const syn_bench_row *r = &rows[i];
        printf("%s\n  {\"name\": \"%s\", \"p50_us\": %.3f, \"p99_us\": %.3f", i ? "," : "", r->name,
               r->p50_s * 1e6, r->p99_s * 1e6);
        if (r->flops > 0) printf(", \"gflops\": %.2f", r->flops / r->p50_s * 1e-9);
        if (r->flops > 0 && peak > 0) printf(", \"gemm_share\": %.4f", r->flops / r->p50_s / peak);
        if (r->steps > 0) printf(", \"steps_per_s\": %.1f", r->steps / r->p50_s);
        if (r->share > 0) printf(", \"share\": %.4f", r->share);
        if (r->bytes > 0) printf(", \"env_bytes\": %.0f", r->bytes);
        if (r->moved > 0) printf(", \"gbs\": %.2f", r->moved / r->p50_s * 1e-9);
        if (r->steps > 0 && r->flops > 0) printf(", \"flops_per_step\": %.0f", r->flops / r->steps);
        if (r->steps > 0 && r->moved > 0) printf(", \"bytes_per_step\": %.0f", r->moved / r->steps);
        printf(", \"runs\": %d}", r->runs);
    }
    printf("\n]}\n");
}

void syn_bench_print(const char *bench, const syn_bench_row *rows, int count, int threads,
                     double peak, bool json)
{
    syn_bench_print_on(bench, "cpu", rows, count, threads, peak, json);
}

void syn_bench_print_on(const char *bench, const char *device, const syn_bench_row *rows, int count,
                        int threads, double peak, bool json)
{
    if (json) {
        print_json(bench, device, rows, count, threads, peak);
        return;
    }
    printf("%-42s %12s %12s %14s   (%s, %d threads)\n", bench, "p50 us", "p99 us", "rate", device,
           threads);
    for (int i = 0; i < count; i++) {
        const syn_bench_row *r = &rows[i];
        printf("%-42s %12.1f %12.1f", r->name, r->p50_s * 1e6, r->p99_s * 1e6);
        if (r->flops > 0) printf(" %7.1f GFLOP/s", r->flops / r->p50_s * 1e-9);
        if (r->flops > 0 && peak > 0) printf(" %4.0f%% of gemm", 100 * r->flops / r->p50_s / peak);
        if (r->steps > 0) printf(" %12.0f steps/s", r->steps / r->p50_s);
        if (r->share > 0) printf(" %6.1f %%", 100 * r->share);
        if (r->moved > 0) printf(" %7.1f GB/s", r->moved / r->p50_s * 1e-9);
        if (r->bytes > 0) printf(", %.0f KiB an environment", r->bytes / 1024);
        putchar('\n');
    }
}
