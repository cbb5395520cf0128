/* The emulator finds what it is there for: each fault, planted in a kernel, ends the program with a
 * sentence. Skipped on a GPU, which says nothing. */
#include "tests/kernels/cuda_emulator.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda.h"
#include "tests/kernels/random.h"

#ifndef SYN_CUDA_EMULATED

static void on_a_gpu(void **state)
{
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_a_gpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static syn_ctx cpu, gpu;

/* Runs `what` in a process of its own, which has to end badly and say `sentence`, or be stopped by
 * the address sanitizer. */
static void expect_death(void (*what)(int), int argument, const char *sentence)
{
    int ends[2];
    char said[65536];
    size_t bytes = 0;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka has its own */
        (void)signal(SIGABRT, SIG_DFL);
        what(argument);
        _exit(0);
    }
    (void)close(ends[1]);
    for (ssize_t n; (n = read(ends[0], said + bytes, sizeof said - 1 - bytes)) > 0;)
        bytes += (size_t)n;
    said[bytes] = '\0';
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        fail_msg("fault %d, \"%s\", was not found", argument, sentence);
    if (!strstr(said, sentence) && !strstr(said, "AddressSanitizer"))
        fail_msg("fault %d: \"%s\" was expected, this was said: %s", argument, sentence, said);
}

static void run_fault(int fault)
{
    syn_ctx ctx;
    if (syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1) != SYN_OK) _exit(0);
    if (fault_launch(&ctx, fault) != SYN_OK) fprintf(stderr, "refused: %s\n", syn_error_text());
    syn_ctx_free(&ctx);
}

static void faults_are_found(void **state)
{
    const char *const sentence[FAULTS] = {
        [FAULT_SHARED_BOUNDS] = "behind its 1024 of shared memory (kernel fault_kernel, block (0,",
        [FAULT_SHARED_BEFORE] = "before its shared memory",
        [FAULT_BARRIER_ENDED] = "__syncthreads",
        [FAULT_BARRIERS_DIFFER] = "threads take different barriers",
        [FAULT_LANES_DIVERGE] = "lanes of a warp diverge",
        [FAULT_LANE_ENDED] = "(kernel fault_kernel, block (0,0,0), thread (",
        [FAULT_NEVER_CHANGED] = "deadlock: no thread can go on",
        [FAULT_SPIN] = "deadlock: no thread can go on",
        [FAULT_LOCK] = "deadlock: no thread can go on",
        [FAULT_MBARRIER] = "was not initialised",
        [FAULT_TRANSACTION] = "deadlock: no thread can go on",
        [FAULT_COPIES_LEFT] = "asynchronous copies under way",
        [FAULT_MATRIX_ALIGN] = "not 16-byte aligned",
        [FAULT_STACK] = "bytes of stack",
        [FAULT_EARLY] = "ends without having waited for the kernel before it",
        [FAULT_PEER_ENDED] = "comes to a block that has ended (kernel cluster_kernel, block (0,",
        [FAULT_CLUSTER_BARRIER] = "deadlock: no thread can go on",
        [FAULT_STATIC_SHARED] = "use SYN_DYNAMIC_SHARED",
    };
    for (int fault = 0; fault < FAULTS; fault++) expect_death(run_fault, fault, sentence[fault]);
}

/* Forward, each thread writes before the next one reads: the missing barrier does not show. */
static void a_missing_barrier_shows_in_another_order(void **state)
{
    enum { N = 64 };
    cuda_begin(&cpu, &gpu);
    float *x = random_real(1, N), *x_gpu = to_device(&gpu, x, N * sizeof *x);
    float *y = poisoned(&gpu, N * sizeof *y), want[N] = {0};
    const char *order = getenv("SYN_EMULATOR_ORDER");
    char kept[32];
    snprintf(kept, sizeof kept, "%s", order ? order : "forward");
    memcpy(want + 1, x, (N - 1) * sizeof *x);
    (void)setenv("SYN_EMULATOR_ORDER", "forward", 1);
    assert_ok(race_launch(&gpu, x_gpu, y));
    expect_equal_device(&gpu, N, want, y, "in order");
    (void)setenv("SYN_EMULATOR_ORDER", "reverse", 1);
    assert_ok(race_launch(&gpu, x_gpu, y));
    float *got = from_device(&gpu, y, sizeof want);
    for (int i = 1; i < N; i++) assert_true(isnan(got[i]));
    (void)setenv("SYN_EMULATOR_ORDER", kept, 1);
    free(x);
    free(got);
    free_device(&gpu, x_gpu, y);
    cuda_end(&cpu, &gpu);
}

static void memory_that_nobody_wrote_is_nan(void **state)
{
    cuda_begin(&cpu, &gpu);
    float *x = poisoned(&gpu, 32 * sizeof *x), *y = syn_device_alloc(&gpu, sizeof *y);
    for (int how = 0; how < 3; how++) {
        assert_ok(unwritten_launch(&gpu, how > 0, how > 1, x, y));
        float *got = from_device(&gpu, y, sizeof *y);
        assert_true(isnan(*got));
        free(got);
    }
    free_device(&gpu, x, y);
    cuda_end(&cpu, &gpu);
}

/* 64 floats are a whole allocation: the next byte is a margin. */
static void run_past(int device)
{
    syn_ctx ctx;
    if (syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1) != SYN_OK) _exit(0);
    float *x = syn_device_alloc(&ctx, 64 * sizeof *x), *y = syn_device_alloc(&ctx, 64 * sizeof *y);
    if (device) {
        (void)!bounds_launch(&ctx, 64, true, x, y);
        syn_device_free(&ctx, y);
    } else {
        *(volatile float *)x = 1; /* device memory, touched by the host */
    }
}

static void bounds_of_device_memory_are_kept(void **state)
{
    expect_death(run_past, 1, "behind a block of device memory of 256 bytes");
}

static void the_host_keeps_off_device_memory(void **state)
{
    expect_death(run_past, 0, "");
}

static void launches_are_refused_as_cuda_does(void **state)
{
    cuda_begin(&cpu, &gpu);
    assert_ok(refused_launches(&gpu));
    assert_ok(refused_captures(&gpu));
    cuda_end(&cpu, &gpu);
}

static void work_is_done_when_somebody_waits(void **state)
{
    const float x = 3;
    float before, after;
    cuda_begin(&cpu, &gpu);
    float *x_gpu = to_device(&gpu, &x, sizeof x);
    assert_ok(pinned_copy(&gpu, x_gpu, &before, &after));
    assert_true(isnan(before));
    assert_true(after == x);
    free_device(&gpu, x_gpu);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults_are_found),
                                       cmocka_unit_test(a_missing_barrier_shows_in_another_order),
                                       cmocka_unit_test(memory_that_nobody_wrote_is_nan),
                                       cmocka_unit_test(bounds_of_device_memory_are_kept),
                                       cmocka_unit_test(the_host_keeps_off_device_memory),
                                       cmocka_unit_test(launches_are_refused_as_cuda_does),
                                       cmocka_unit_test(work_is_done_when_somebody_waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
