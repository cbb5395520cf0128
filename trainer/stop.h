/* SIGINT and SIGTERM ask a run to end between two updates; a second signal of the kind ends the
 * process at once. */
#ifndef SYN_TRAINER_STOP_H
#define SYN_TRAINER_STOP_H

void syn_stop_watch(void);

/* The signal that was seen, 0: none. */
int syn_stop_signal(void);

#endif
