/* What a test and the library that it preloads into a program share: a page in which the test says
 * which call fails and how, and the library counts.
 *
 * SYN_TORTURE_FILE names the page's file. Memory fails for the program itself and the libraries
 * whose answer to that is an error (not libuv, which ends the program); reading and writing, for
 * regular files and sockets. Calls that the C library makes of itself (fopen, fwrite) never fail.
 */
#ifndef SYN_TESTS_TORTURE_H
#define SYN_TESTS_TORTURE_H

#include <stdatomic.h>

typedef enum torture_kind {
    TORTURE_MEMORY,  /* malloc, calloc, realloc: NULL */
    TORTURE_WRITE,   /* write, pwrite, ftruncate, rename of files: ENOSPC, EIO */
    TORTURE_READ,    /* open, read, pread of files: EMFILE, EIO */
    TORTURE_NETWORK, /* socket, accept, connect, read and write of sockets: ECONNRESET */
    TORTURE_SYNC,    /* fsync, fdatasync: EIO */
    TORTURE_DISK,    /* whatever changes a file or a folder, and syncs: ENOSPC */
    TORTURE_KINDS
} torture_kind;

typedef enum torture_fault {
    TORTURE_ERROR, /* the call does nothing and says why */
    TORTURE_SHORT, /* reads and writes of files take half of what they were given; no other call
                      is counted */
    TORTURE_KILL,  /* SIGKILL instead of the call; in the middle of a write */
    TORTURE_FAULTS
} torture_fault;

typedef struct torture_page {
    atomic_int kind;   /* that is counted and fails; -1: none */
    atomic_int fault;  /* a torture_fault */
    atomic_int error;  /* errno of TORTURE_ERROR; 0: the kind's own */
    atomic_long until; /* calls that still succeed; negative: all do */
    atomic_int forever;
    atomic_long calls;  /* of the kind, since it was set */
    atomic_long failed; /* of these */
    atomic_long blocks; /* of memory that are in use, SQLite's left out */
} torture_page;

#endif
