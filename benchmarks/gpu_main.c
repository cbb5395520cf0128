/* 'syncog bench' as a program of its own: all that a machine without the other libraries needs. */
#include <stdio.h>
#include <string.h>

#include "kernels/base/options.h"

int syn_cmd_bench(int argc, char **argv);

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("bench_gpu %s\n", SYN_VERSION);
        return 0;
    }
    return syn_cmd_bench(argc, argv);
}
