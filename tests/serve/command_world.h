/* `syncog` as its users run it: in a folder of its own, to its end or as a service. */
#ifndef SYN_TESTS_SERVE_COMMAND_WORLD_H
#define SYN_TESTS_SERVE_COMMAND_WORLD_H

#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/serve/service_world.h"

static char folder[64];

static inline int begin(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/syncog-command-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int end(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

/* Runs it in the folder with no environment but this; both streams are kept. Returns the exit code.
 */
static inline int run(const char *environment, const char *arguments, char *out, size_t bytes)
{
    char command[4096];
    snprintf(command, sizeof command,
             "cd %s && env -i PATH=/usr/bin:/bin %s timeout 20 " SYN_PROGRAM " %s 2>&1", folder,
             environment, arguments);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, bytes - 1, f);
    out[n] = 0;
    return WEXITSTATUS(pclose(f));
}

static inline void in_folder(const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    assert_int_equal(system(line), 0);
}

/* ---- a process ---- */

typedef struct process {
    svc w; /* its port alone */
    pid_t pid;
    int notify; /* the socket of NOTIFY_SOCKET */
    char log[128];
} process;

static inline int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
    close(fd);
    return ntohs(at.sin_port);
}

/* The next message to the supervisor; "" after five seconds. */
static inline const char *told(const process *p)
{
    static char text[256];
    struct pollfd wait = {.fd = p->notify, .events = POLLIN};
    text[0] = 0;
    if (poll(&wait, 1, 10000) > 0) {
        ssize_t n = recv(p->notify, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
    }
    return text;
}

static inline void start(process *p, char *const *environment, char *const *more)
{
    char port[16], path[108], notify[160], log_file[160];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memset(p, 0, sizeof *p);
    p->w.port = free_port();
    snprintf(port, sizeof port, "%d", p->w.port);
    snprintf(path, sizeof path, "%s/notify", folder);
    snprintf(p->log, sizeof p->log, "%s/log", folder);
    unlink(path);
    unlink(p->log);
    memcpy(at.sun_path, path, strlen(path) + 1);
    p->notify = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(p->notify, (struct sockaddr *)&at, sizeof at), 0);
    snprintf(notify, sizeof notify, "NOTIFY_SOCKET=%s", path);
    snprintf(log_file, sizeof log_file, "LOG_FILE=%s", p->log);
    char *arguments[16] = {SYN_PROGRAM, "serve", "--port", port, "--provider", "extractive"};
    char *variables[16] = {"LOG_FORMAT=json", notify, log_file, "PATH=/usr/bin:/bin"};
    for (int k = 0; more && more[k]; k++) arguments[6 + k] = more[k];
    for (int k = 0; environment && environment[k]; k++) variables[4 + k] = environment[k];
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        if (chdir(folder) == 0) execve(SYN_PROGRAM, arguments, variables);
        _exit(127);
    }
    assert_string_equal(told(p), "READY=1");
}

static inline int finish(process *p)
{
    int status = 0;
    double end_s = svc_now_s() + 20;
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        if (svc_now_s() > end_s) {
            kill(p->pid, SIGKILL);
            fail_msg("the service does not end");
        }
        usleep(5000);
    }
    close(p->notify);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int status_of(const process *p, const char *path)
{
    svc_reply r = svc_ask(&p->w, "GET", path, NULL, NULL);
    int status = r.status;
    svc_forget(&r);
    return status;
}

/* Whether the file (log, environ) has the text within five seconds, or at all for `once`. */
static inline bool file_has(const char *path, const char *text, bool once)
{
    static char all[1 << 18];
    double end_s = svc_now_s() + 5;
    do {
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(all, 1, sizeof all, f) : 0;
        if (f) fclose(f);
        if (memmem(all, n, text, strlen(text))) return true;
        usleep(10000);
    } while (!once && svc_now_s() < end_s);
    return false;
}

#endif
