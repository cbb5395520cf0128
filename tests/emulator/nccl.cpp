/* NCCL between processes of one machine: a message is a file in a folder that the unique id names.
 * A group of sends and receives is one piece of work on its stream, which waits, as NCCL's kernels
 * do, until all that it receives is there or the communicator is aborted.
 *
 * Found: groups that do not fit each other (counts, order), buffers that are no device memory,
 * calls on a communicator that is busy, aborted, or still held by graphs when it is destroyed. */
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <nccl.h>

#include "tests/emulator/device.h"

enum { BUSY_POLLS = 2 };

struct ncclComm {
    std::string folder;
    int rank, ranks;
    bool blocking, finalized;
    std::atomic<int> busy; /* how often it still says that it is at it */
    std::atomic<bool> aborted;
    std::vector<uint64_t> sent, received; /* messages, by rank */
    uint64_t groups;                      /* done */
    std::atomic<int> held;                /* by groups that are queued or recorded */
};

struct transfer {
    bool send;
    unsigned char *x;
    size_t bytes;
    int peer;
};

struct message_head {
    uint64_t group, bytes;
};

struct group {
    std::shared_ptr<ncclComm> comm;
    std::vector<transfer> transfers;
    bool posted;
    ~group() { comm->held--; }
};

static std::vector<std::shared_ptr<ncclComm>> comms;
static int recorded, done;
static thread_local int depth;
static thread_local std::vector<transfer> pending;
static thread_local ncclComm_t pending_comm;
static thread_local cudaStream_t pending_stream;

[[noreturn]] static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "CUDA emulator: NCCL: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

int emu_nccl_recorded(void)
{
    return recorded;
}

int emu_nccl_done(void)
{
    return done;
}

static std::shared_ptr<ncclComm> comm_find(ncclComm_t comm)
{
    for (const std::shared_ptr<ncclComm> &c : comms)
        if (c.get() == comm) return c;
    fail("a call on a communicator that there is not");
}

/* ---- Messages ---- */

static std::string message_path(const ncclComm *c, int from, int to, uint64_t number)
{
    return c->folder + "/" + std::to_string(from) + "-" + std::to_string(to) + "-" +
           std::to_string(number);
}

static void message_write(const ncclComm *c, const std::string &path, const transfer &t)
{
    const std::string part = path + ".part";
    const message_head head = {c->groups, t.bytes};
    FILE *f = fopen(part.c_str(), "wb");
    if (!f) return; /* the others have gone: nobody reads it */
    const bool whole =
        fwrite(&head, sizeof head, 1, f) == 1 && fwrite(t.x, 1, t.bytes, f) == t.bytes;
    if (fclose(f) != 0 || !whole) fail("no room for a message in %s", c->folder.c_str());
    (void)rename(part.c_str(), path.c_str());
}

static void message_read(const ncclComm *c, const std::string &path, const transfer &t)
{
    message_head head;
    FILE *f = fopen(path.c_str(), "rb");
    if (!f || fread(&head, sizeof head, 1, f) != 1) fail("a message has gone: %s", path.c_str());
    if (head.group != c->groups || head.bytes != t.bytes)
        fail("rank %d receives %zu bytes in its group %llu, and rank %d has sent %llu in its group "
             "%llu",
             c->rank, t.bytes, (unsigned long long)c->groups, t.peer,
             (unsigned long long)head.bytes, (unsigned long long)head.group);
    if (fread(t.x, 1, t.bytes, f) != t.bytes) fail("a message is short: %s", path.c_str());
    (void)fclose(f);
    (void)unlink(path.c_str());
}

static void folder_remove(const std::string &folder)
{
    DIR *d = opendir(folder.c_str());
    if (!d) return;
    while (const dirent *entry = readdir(d)) {
        if (entry->d_name[0] != '.') (void)unlink((folder + "/" + entry->d_name).c_str());
    }
    (void)closedir(d);
    (void)rmdir(folder.c_str());
}

/* ---- Groups ---- */

/* Sends what is to be sent, once, and says whether all that is received has come. */
static bool group_ready(group *g)
{
    ncclComm *c = g->comm.get();
    if (c->aborted) return true;
    std::vector<uint64_t> next = c->received;
    for (const transfer &t : g->transfers) {
        if (t.send && !g->posted)
            message_write(c, message_path(c, c->rank, t.peer, c->sent[(size_t)t.peer]++), t);
    }
    g->posted = true;
    for (const transfer &t : g->transfers) {
        if (t.send) continue;
        const std::string path = message_path(c, t.peer, c->rank, next[(size_t)t.peer]++);
        if (access(path.c_str(), F_OK) != 0) return false;
    }
    return true;
}

static void group_do(group *g)
{
    ncclComm *c = g->comm.get();
    g->posted = false;
    for (const transfer &t : g->transfers) {
        if (c->aborted || t.send) continue;
        message_read(c, message_path(c, t.peer, c->rank, c->received[(size_t)t.peer]++), t);
    }
    c->groups++;
    done++;
}

ncclResult_t ncclGroupStart()
{
    depth++;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd()
{
    emu_guard guard(emu_mutex);
    if (depth-- == 0) fail("the end of a group that has not begun");
    if (depth || pending.empty()) return ncclSuccess;
    const std::shared_ptr<ncclComm> c = comm_find(pending_comm);
    auto g = std::make_shared<group>();
    g->comm = c;
    g->posted = false;
    g->transfers = std::move(pending);
    pending.clear();
    c->held++;
    if (emu_stream_captures(pending_stream)) recorded++;
    const cudaError_t error = emu_submit_when(
        pending_stream, [g] { return group_ready(g.get()); }, [g] { group_do(g.get()); });
    if (error != cudaSuccess) return ncclSystemError;
    if (c->blocking) return ncclSuccess;
    c->busy = BUSY_POLLS;
    return ncclInProgress;
}

static ncclResult_t transfer_add(bool send, void *x, size_t count, int peer, ncclComm_t comm,
                                 cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    const std::shared_ptr<ncclComm> c = comm_find(comm);
    if (c->aborted) fail("rank %d: a call after the abort", c->rank);
    if (c->busy) fail("rank %d: a call while another is under way", c->rank);
    if (peer < 0 || peer >= c->ranks) return ncclInvalidArgument;
    if (!pending.empty() && (pending_comm != comm || pending_stream != stream))
        fail("rank %d: a group on several streams", c->rank);
    if (!emu_device_range(x, count * sizeof(float)))
        fail("rank %d: %zu numbers that are no device memory", c->rank, count);
    (void)ncclGroupStart();
    pending_comm = comm;
    pending_stream = stream;
    pending.push_back(transfer{send, (unsigned char *)x, count * sizeof(float), peer});
    return ncclGroupEnd();
}

ncclResult_t ncclSend(const void *x, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream)
{
    (void)type;
    return transfer_add(true, const_cast<void *>(x), count, peer, comm, stream);
}

ncclResult_t ncclRecv(void *x, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream)
{
    (void)type;
    return transfer_add(false, x, count, peer, comm, stream);
}

/* ---- Communicators ---- */

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    memset(id, 0, sizeof *id);
    strcpy(id->internal, "/tmp/syncog-emulated-nccl-XXXXXX");
    return mkdtemp(id->internal) ? ncclSuccess : ncclSystemError;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config)
{
    emu_guard guard(emu_mutex);
    if (rank < 0 || rank >= ranks || !memchr(id.internal, 0, sizeof id.internal))
        return ncclInvalidArgument;
    auto c = std::make_shared<ncclComm>();
    c->folder = id.internal;
    c->rank = rank;
    c->ranks = ranks;
    c->blocking = config->blocking != 0;
    c->sent.assign((size_t)ranks, 0);
    c->received.assign((size_t)ranks, 0);
    c->busy = c->blocking ? 0 : BUSY_POLLS;
    comms.push_back(c);
    *comm = c.get();
    return c->blocking ? ncclSuccess : ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state)
{
    emu_guard guard(emu_mutex);
    const std::shared_ptr<ncclComm> c = comm_find(comm);
    *state = c->busy > 0 ? ncclInProgress : ncclSuccess;
    if (c->busy > 0) c->busy--;
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
    emu_guard guard(emu_mutex);
    const std::shared_ptr<ncclComm> c = comm_find(comm);
    emu_drain();
    c->finalized = true;
    if (!c->blocking) c->busy = BUSY_POLLS;
    return c->blocking ? ncclSuccess : ncclInProgress;
}

static void comm_forget(ncclComm_t comm)
{
    for (size_t k = 0; k < comms.size(); k++)
        if (comms[k].get() == comm) comms.erase(comms.begin() + (long)k--);
}

/* The last one to leave takes the folder with it. */
ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    emu_guard guard(emu_mutex);
    const std::shared_ptr<ncclComm> c = comm_find(comm);
    if (!c->finalized || c->busy) return ncclInvalidUsage;
    if (c->held)
        fail("rank %d: the end while graphs still hold %d groups", c->rank, c->held.load());
    int left = 0;
    FILE *f = fopen((c->folder + "/left-" + std::to_string(c->rank)).c_str(), "wb");
    if (f) (void)fclose(f);
    for (int r = 0; r < c->ranks; r++)
        left += access((c->folder + "/left-" + std::to_string(r)).c_str(), F_OK) == 0;
    if (left == c->ranks) folder_remove(c->folder);
    comm_forget(comm);
    return ncclSuccess;
}

/* What is under way ends, with whatever it has; returns when nothing holds the communicator any
 * more, as NCCL does. */
ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    emu_guard guard(emu_mutex);
    const std::shared_ptr<ncclComm> c = comm_find(comm);
    c->aborted = true;
    while (c->held) emu_yield();
    folder_remove(c->folder);
    comm_forget(comm);
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    return result == ncclSuccess        ? "no error"
           : result == ncclSystemError  ? "unhandled system error"
           : result == ncclInvalidUsage ? "invalid usage"
                                        : "invalid argument";
}

const char *ncclGetLastError(ncclComm_t comm)
{
    (void)comm;
    return "";
}
