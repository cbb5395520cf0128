#include "trainer/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void see(int number)
{
    seen = number;
}

void syn_stop_watch(void)
{
    const struct sigaction once = {.sa_handler = see, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    (void)sigaction(SIGINT, &once, NULL);
    (void)sigaction(SIGTERM, &once, NULL);
}

int syn_stop_signal(void)
{
    return (int)seen;
}
