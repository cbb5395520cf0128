/* Over HTTP/2 the fetches of a lane share one connection, to a real nginx. Skipped where it or
 * openssl is missing. */
#include "tests/serve/slow_llm.h"

#include <arpa/inet.h>

#include "serve/llm_lanes.h"

enum { FETCHES = 2 * SYN_LANE_FETCHES + 44, PROVIDER_MS = 200 };

/* ---- nginx, which speaks HTTP/2 and TLS in front of a provider that does not ---- */

static const char configuration[] =
    "daemon off; master_process off; pid %1$s/pid; error_log %1$s/errors;\n"
    "events { worker_connections 4096; }\n"
    "http {\n"
    "    access_log off; client_body_temp_path %1$s/a; proxy_temp_path %1$s/b;\n"
    "    fastcgi_temp_path %1$s/c; uwsgi_temp_path %1$s/d; scgi_temp_path %1$s/e;\n"
    "    server {\n"
    "        listen 127.0.0.1:%2$d ssl http2;\n"
    "        ssl_certificate %1$s/cert.pem; ssl_certificate_key %1$s/key.pem;\n"
    "        location / { proxy_pass %3$.*4$s; }\n"
    "    }\n"
    "}\n";

typedef struct front {
    pid_t process;
    int port;
    char folder[64];
} front;

static bool run(const char *command)
{
    return system(command) == 0;
}

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&at, &bytes), 0);
    close(s);
    return ntohs(at.sin_port);
}

static bool listens(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    const bool does = connect(s, (struct sockaddr *)&at, sizeof at) == 0;
    close(s);
    return does;
}

static front front_start(const slow_llm *provider)
{
    front f = {.folder = "/tmp/syncog-http2-XXXXXX", .port = free_port()};
    char text[512];
    assert_non_null(mkdtemp(f.folder));
    snprintf(text, sizeof text,
             "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
             "subjectAltName=IP:127.0.0.1 -keyout %s/key.pem -out %s/cert.pem 2>/dev/null",
             f.folder, f.folder);
    assert_true(run(text));
    snprintf(text, sizeof text, "%s/conf", f.folder);
    FILE *file = fopen(text, "w");
    assert_non_null(file);
    fprintf(file, configuration, f.folder, f.port, provider->url,
            (int)strlen(provider->url) - (int)strlen("/v1"));
    fclose(file);
    f.process = fork();
    if (f.process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("nginx", "nginx", "-p", f.folder, "-e", "errors", "-c", text, (char *)NULL);
        _exit(1);
    }
    for (int k = 0; !listens(f.port); k++) {
        assert_true(k < 1000);
        usleep(10000);
    }
    return f;
}

static void front_stop(const front *f)
{
    char text[128];
    kill(f->process, SIGKILL);
    waitpid(f->process, NULL, 0);
    snprintf(text, sizeof text, "rm -rf %s", f->folder);
    assert_true(run(text));
}

/* ---- fetches ---- */

typedef struct fetch {
    CURL *easy;
    syn_lane *lane;
} fetch;

static fetch fetches[FETCHES];
static syn_lanes *lanes;
static int left, good, opened;

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)user;
    (void)purpose;
    opened++;
    return syn_lanes_open(lanes, a);
}

static size_t swallow(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

static void on_left(void *user)
{
    (void)user;
}

static void on_done(void *user, CURL *easy, CURLcode code)
{
    fetch *f = NULL;
    long status = 0, version = 0;
    (void)user;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&f);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    good += code == CURLE_OK && status == 200 && version == CURL_HTTP_VERSION_2_0;
    syn_lane_remove(f->lane, easy);
    left--;
}

static void fetch_all(uv_loop_t *loop)
{
    left = FETCHES;
    good = 0;
    for (int k = 0; k < FETCHES; k++) {
        fetches[k].lane = syn_lanes_add(lanes, fetches[k].easy);
        assert_non_null(fetches[k].lane);
    }
    while (left > 0) uv_run(loop, UV_RUN_ONCE);
    assert_int_equal(good, FETCHES);
}

static void a_lane_has_one_connection(void **state)
{
    static const syn_lanes_events events = {.done = on_done, .left = on_left};
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin", 1);
    if (!run("command -v nginx openssl >/dev/null")) skip();
    slow_llm provider = slow_start("{}", PROVIDER_MS);
    const front f = front_start(&provider);
    uv_loop_t loop;
    char url[128], certificate[128];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/v1/chat/completions", f.port);
    snprintf(certificate, sizeof certificate, "%s/cert.pem", f.folder);
    uv_loop_init(&loop);
    assert_ok(syn_lanes_create(&loop, &events, NULL, 60000, &lanes));
    for (int k = 0; k < FETCHES; k++) {
        CURL *e = fetches[k].easy = syn_lanes_easy(lanes);
        assert_non_null(e);
        curl_easy_setopt(e, CURLOPT_URL, url);
        curl_easy_setopt(e, CURLOPT_CAINFO, certificate);
        curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, "{}");
        curl_easy_setopt(e, CURLOPT_PRIVATE, &fetches[k]);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, swallow);
        curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    }
    for (int k = 0; k < 3; k++) {
        fetch_all(&loop);
        assert_int_equal(opened, 3);
    }
    for (int k = 0; k < FETCHES; k++) curl_easy_cleanup(fetches[k].easy);
    syn_lanes_destroy(lanes, free, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    front_stop(&f);
    slow_stop(&provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_lane_has_one_connection)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
