#ifndef SYN_SERVE_CMD_ASK_H
#define SYN_SERVE_CMD_ASK_H

/* `syncog ask`: one question, one team, the rounds printed as they happen. */
int syn_cmd_ask(int argc, char **argv);

#endif
