/* One call after another fails (memory, files, network), once or from then on: whatever runs ends
 * with an answer or a sentence, nothing crashes, hangs or leaks, and what was acknowledged is
 * there. */
#include <dirent.h>
#include <pthread.h>

#include "tests/serve/service_world.h"
#include "tests/torture_world.h"

enum { ANSWER_S = 10, OUTAGE_US = 50000 };

static char folder[64];

static int begin(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/syncog-torture-XXXXXX");
    return mkdtemp(folder) && torture_begin(folder) ? 0 : -1;
}

static int end(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

/* ---- programs ---- */

static int runs;

/* A key that was printed is in the store. */
static void make_key(const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "key-%d", runs++);
    int code = finish(
        start((const char *const[]){"key", "create", "--name", name, "--state", "state", NULL}),
        what);
    const bool told = strstr(output, "sync_") != NULL;
    disarm();
    if (code != 0 && told) fail_msg("%s: a key and a failure: %s", what, output);
    if (code != 0) return;
    assert_int_equal(
        finish(start((const char *const[]){"key", "list", "--state", "state", NULL}), "key list"),
        0);
    if (!strstr(output, name)) fail_msg("%s: the key is not in the store: %s", what, output);
}

static void a_key_is_made_or_refused(void **state)
{
    skip_where_nothing_is_preloaded();
    spread("key create", TORTURE_DISK, make_key);
}

static void write_documents(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/d.json", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("[{\"id\":\"1\",\"title\":\"The Amber Coast\",\"text\":\"The Amber Coast was directed by "
          "Ilse Marten.\"},{\"id\":\"2\",\"title\":\"Ilse Marten\",\"text\":\"Ilse Marten was born "
          "in Tallvik.\"}]",
          f);
    fclose(f);
}

static void ask(const char *what)
{
    finish(start((const char *const[]){"ask", "--documents", "d.json", "--agents", "2",
                                       "--provider", "extractive", "--question",
                                       "Where was the director of The Amber Coast born?", NULL}),
           what);
}

static void a_question_is_answered_or_not(void **state)
{
    skip_where_nothing_is_preloaded();
    write_documents();
    spread("ask", TORTURE_DISK, ask);
}

/* ---- a service ---- */

static svc service; /* its port alone */
static pid_t server;

/* Returns whether it answers; if not, it has ended. */
static bool start_service(void)
{
    int status;
    char *at;
    server = start((const char *const[]){"serve", "--port", "0", "--state", "state", "--provider",
                                         "extractive", "--workers", "1", "--drain", "1",
                                         "--log-level", "info", NULL});
    for (int k = 0; k < HANG_S * 1000; k++) {
        read_output();
        if ((at = strstr(output, "http://127.0.0.1:")) && strpbrk(at + 17, " \n")) {
            service.port = atoi(at + 17);
            return true;
        }
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)server, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            return false;
        usleep(1000);
    }
    kill(server, SIGKILL);
    waitpid(server, &status, 0);
    fail_msg("the service neither starts nor ends: %s", output);
    return false;
}

static int stop_service(const char *what)
{
    kill(server, SIGTERM);
    int code = finish(server, what);
    server = 0;
    return code;
}

/* What a test that failed has left. */
static int clean(void **state)
{
    disarm();
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    server = 0;
    return 0;
}

/* `key create` has the store of another state: this one is always made anew. */
static void start_and_stop(const char *what)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s/state'", folder);
    assert_int_equal(system(command), 0);
    if (start_service()) {
        stop_service(what);
    } else {
        assert_int_equal(finish(server, what), 1);
        server = 0;
    }
}

static void a_service_starts_or_says_why_not(void **state)
{
    skip_where_nothing_is_preloaded();
    spread("start and stop", TORTURE_DISK, start_and_stop);
}

static const char body[] =
    "{\"query\":\"Where was the director of The Amber Coast born?\",\"num_agents\":2,\"documents\":"
    "[{\"title\":\"The Amber Coast\",\"text\":\"The Amber Coast was directed by Ilse Marten.\"},"
    "{\"title\":\"Ilse Marten\",\"text\":\"Ilse Marten was born in Tallvik.\"}]}";

static void collaborate(const char *what)
{
    svc_reply r = svc_ask(&service, "POST", "/api/v1/collaborate", NULL, body);
    if (r.status != 0 && r.status != 200 && r.status < 400)
        fail_msg("%s: status %d", what, r.status);
    if (r.status == 200 && !*svc_text(&r, "final_answer"))
        fail_msg("%s: no answer: %s", what, r.body);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/history/%s", svc_text(&r, "id"));
    bool told = r.status == 200;
    svc_forget(&r);
    if (!told) return;
    disarm();
    r = svc_ask(&service, "GET", path, NULL, NULL);
    if (r.status != 200) {
        read_output();
        fail_msg("%s: what was answered is not in the history (%d): %s", what, r.status,
                 output_end());
    }
    svc_forget(&r);
}

static void follow(const char *what)
{
    svc_reply r = svc_ask(&service, "POST", "/api/v1/collaborate/stream", NULL, body);
    if (r.status != 0 && r.status != 200 && r.status < 400)
        fail_msg("%s: status %d", what, r.status);
    svc_forget(&r);
}

static void chat(const char *what)
{
    svc_reply r = svc_ask(&service, "POST", "/v1/chat/completions", NULL,
                          "{\"model\":\"sync-2\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                          "\"content\":\"Where was Ilse Marten born?\"}],\"documents\":[{\"title\":"
                          "\"Ilse Marten\",\"text\":\"Ilse Marten was born in Tallvik.\"}]}");
    if (r.status != 0 && r.status != 200 && r.status < 400)
        fail_msg("%s: status %d", what, r.status);
    svc_forget(&r);
}

static void look(const char *what)
{
    static const char *const paths[] = {"/readyz", "/metrics", "/v2/models/gap_detector",
                                        "/api/v1/history?limit=5", "/openapi.json"};
    for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
        svc_reply r = svc_ask(&service, "GET", paths[k], NULL, NULL);
        svc_forget(&r);
    }
}

static int open_files(void)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)server);
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static int asked; /* times */

/* With no fault it answers again, at the latest after a moment. */
static void assert_well(const char *what)
{
    int status = 0;
    for (int k = 0; k < 100 && status != 200; k++) {
        if (k > 0) usleep(100000);
        svc_reply r = svc_ask(&service, "POST", "/api/v1/collaborate", NULL, body);
        status = r.status;
        asked++;
        svc_forget(&r);
    }
    if (status != 200) {
        read_output();
        fail_msg("%s: the service does not recover (status %d): %s", what, status, output_end());
    }
}

static void *disarm_soon(void *unused)
{
    usleep(OUTAGE_US);
    disarm();
    return NULL;
}

static void (*hurt_by)(const char *what);

/* "From then on" lasts for a moment: whoever waits is answered then. */
static void hurt(const char *what)
{
    int status;
    pthread_t ends;
    const bool forever = page->forever;
    const double began = svc_now_s();
    if (forever && pthread_create(&ends, NULL, disarm_soon, NULL) != 0) fail();
    hurt_by(what);
    asked++;
    const bool failed = page->failed > 0;
    if (forever) pthread_join(ends, NULL);
    disarm();
    if (svc_now_s() - began > ANSWER_S) fail_msg("%s: it took %g s", what, svc_now_s() - began);
    if (waitpid(server, &status, WNOHANG) == server) {
        read_output();
        fail_msg("%s: the service ended with %x: %s", what, status, output);
    }
    if (failed) assert_well(what);
}

/* Once to warm up, then again, which must leave nothing behind. Not with a disk that fails to keep
 * what was written: then the service takes no more writes until it is started again. */
static void hurt_service(const char *scenario, void (*by)(const char *what))
{
    skip_where_nothing_is_preloaded();
    assert_true(start_service());
    hurt_by = by;
    assert_well(scenario);
    spread(scenario, TORTURE_SYNC, hurt);
    assert_well(scenario);
    const int files = open_files();
    const long blocks = page->blocks;
    asked = 0;
    spread(scenario, TORTURE_SYNC, hurt);
    assert_well(scenario);
    if (open_files() > files + 2) fail_msg("%s: %d files, then %d", scenario, files, open_files());
    if (page->blocks > blocks + asked / 8 + 16)
        fail_msg("%s, %d requests: %ld blocks, then %ld", scenario, asked, blocks,
                 (long)page->blocks);
    assert_int_equal(stop_service(scenario), 0);
}

static void a_collaboration_is_answered_or_refused(void **state)
{
    hurt_service("collaborate", collaborate);
}

static void a_stream_ends(void **state)
{
    hurt_service("stream", follow);
}

static void a_chat_ends(void **state)
{
    hurt_service("chat", chat);
}

static void what_is_only_read_is_answered(void **state)
{
    hurt_service("reading", look);
}

/* ---- kill -9 ---- */

enum { KILLS = 5, CLIENTS = 4, IDS_MAX = 4096 };

static char ids[IDS_MAX][40]; /* of what was answered */
static atomic_int id_count;

/* Asks until nobody answers. */
static void *ask_until_killed(void *unused)
{
    char request[2048];
    int n = snprintf(request, sizeof request,
                     "POST /api/v1/collaborate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    for (;;) {
        struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)service.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        size_t bytes;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
            close(fd);
            return NULL;
        }
        svc_say(fd, request, (size_t)n);
        char *text = svc_hear(fd, &bytes, HANG_S);
        close(fd);
        svc_reply r = svc_parse(text, bytes);
        /* Cut in the middle is not answered. */
        const char *id = r.status == 200 && r.json ? svc_text(&r, "id") : "";
        int k = *id ? id_count++ : IDS_MAX;
        if (k < IDS_MAX) snprintf(ids[k], sizeof ids[k], "%s", id);
        svc_forget(&r);
    }
}

static void what_was_answered_survives_a_kill(void **state)
{
    pthread_t client[CLIENTS];
    char path[128];
    int looked = 0;
    id_count = 0;
    disarm();
    for (int round = 0; round < KILLS; round++) {
        assert_true(start_service());
        for (; looked < id_count && looked < IDS_MAX; looked++) {
            snprintf(path, sizeof path, "/api/v1/history/%s", ids[looked]);
            svc_reply r = svc_ask(&service, "GET", path, NULL, NULL);
            if (r.status != 200)
                fail_msg("%s was answered and is gone (%d)", ids[looked], r.status);
            svc_forget(&r);
        }
        for (int k = 0; k < CLIENTS; k++)
            assert_int_equal(pthread_create(&client[k], NULL, ask_until_killed, NULL), 0);
        const int before = id_count;
        for (int k = 0; k < 10000 && id_count < before + 10 + 7 * round; k++) usleep(1000);
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        server = 0;
        for (int k = 0; k < CLIENTS; k++) pthread_join(client[k], NULL);
        read_output();
        if (id_count == before) fail_msg("nothing was answered: %s", output_end());
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_made_or_refused),
        cmocka_unit_test(a_question_is_answered_or_not),
        cmocka_unit_test_teardown(a_service_starts_or_says_why_not, clean),
        cmocka_unit_test_teardown(a_collaboration_is_answered_or_refused, clean),
        cmocka_unit_test_teardown(a_stream_ends, clean),
        cmocka_unit_test_teardown(a_chat_ends, clean),
        cmocka_unit_test_teardown(what_is_only_read_is_answered, clean),
        cmocka_unit_test_teardown(what_was_answered_survives_a_kill, clean),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
