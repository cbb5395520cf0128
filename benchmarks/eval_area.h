/* The trade between messages and success as one number. */
#ifndef SYN_BENCHMARKS_EVAL_AREA_H
#define SYN_BENCHMARKS_EVAL_AREA_H

/* What a rule of stopping reaches: messages per episode, and the success among answerable tasks. */
typedef struct syn_trade {
    double messages, success;
} syn_trade;

/* Area under the success-message curve of these points over [0, most], divided by `most`; in [0,
 * 1].
 *
 * Points that another one beats (no more messages, no less success) are left out. Between two
 * neighbours the curve is straight, which is what drawing lots between the two rules reaches; after
 * the last point it stays level; before the first it is 0, so that a policy's curve should begin
 * with what it reaches without a message. A point beyond `most` counts by the line that leads to
 * it. point (n) is sorted by messages in place. NAN when most is not above 0 or n is 0. */
double syn_trade_area(syn_trade *point, int n, double most);

#endif
