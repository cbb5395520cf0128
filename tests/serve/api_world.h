/* What the tests of SYNC's API share: questions, a team of models, requests left open. */
#ifndef SYN_TESTS_SERVE_API_WORLD_H
#define SYN_TESTS_SERVE_API_WORLD_H

#include "tests/serve/service_world.h"

#include "kernels/base/progress.h"
#include "tests/fake_llm.h"

/* Three agents, and the answer needs two documents that none of them has together. */
static const char example[] __attribute__((unused)) =
    "{\"query\": \"In which town was the director of Amber Tide born?\", \"documents\": ["
    "{\"title\": \"Amber Tide\", \"text\": \"Amber Tide is a film of 1998. It was directed by "
    "Mara Lind.\", \"agents\": [2]},"
    "{\"title\": \"Mara Lind\", \"text\": \"Mara Lind is a film director. She was born in "
    "Tallvik.\", \"agents\": [3]},"
    "{\"title\": \"Osk\", \"text\": \"The Osk is a river of the north.\", \"agents\": [1]}]}";

/* What an agent of a model says, as an OpenAI-compatible endpoint answers. */
#define SAYS(answer)                                                                               \
    "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"      \
    "\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\",\"content\":"                  \
    "\"{\\\"answer\\\":\\\"" answer "\\\",\\\"short_answer\\\":\\\"" answer                        \
    "\\\",\\\"confidence\\\":0.9,\\\"claims\\\":[],\\\"need\\\":null,\\\"support\\\":[]}\"}}],"    \
    "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}"

static inline void use_model(svc *w, fake_llm *f)
{
    w->settings.base_url = f->url;
    w->settings.model = "m";
    w->settings.provider = "custom";
}

/* In development: a request without a key is the development administrator's. */
static inline void begin(svc *w)
{
    svc_begin(w);
    w->settings.environment = "development";
}

/* Sends a request and leaves its answer to come. receive_bytes: of the socket, 0: as usual. */
static inline int post(const svc *w, const char *path, const char *body, int receive_bytes)
{
    char head[256];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     path, strlen(body));
    svc_say(fd, head, (size_t)n);
    svc_say(fd, body, strlen(body));
    return fd;
}

/* The member at a path of names and numbers: "usage.calls", "agent_responses.0.name". NULL: none.
 */
static inline const json_t *at(const json_t *j, const char *path)
{
    char name[64];
    while (j && *path) {
        size_t bytes = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)bytes, path);
        j = json_is_array(j) ? json_array_get(j, (size_t)atoi(name)) : json_object_get(j, name);
        path += bytes + (path[bytes] == '.');
    }
    return j;
}

static inline const char *text_at(const json_t *j, const char *path)
{
    const char *text = json_string_value(at(j, path));
    return text ? text : "";
}

#define assert_status(reply, expected)                                                             \
    do {                                                                                           \
        if ((reply).status != (expected))                                                          \
            fail_msg("status %d, not %d: %s", (reply).status, expected, (reply).body);             \
    } while (0)

/* True once it holds; false after `seconds`. */
#define becomes(condition, seconds)                                                                \
    ({                                                                                             \
        double until_ = syn_clock_s() + (seconds);                                                 \
        while (!(condition) && syn_clock_s() < until_) usleep(5000);                               \
        (condition);                                                                               \
    })

#endif
