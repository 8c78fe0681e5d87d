/* wake.h - how late an I/O thread comes to what waits for it.   Layer 5, pure.
 *
 * An answer is ready when its run has ended, but it is sent when an I/O thread has woken, which on
 * busy CPUs takes time; arrivals wait as long before anybody knows of them. How long can be seen at
 * a timer, which is due at a known instant. What is learned is kept free when a deadline is
 * checked.
 */
#ifndef PS_SERVE_WAKE_H
#define PS_SERVE_WAKE_H

#include <stdint.h>

/* All zero: nothing is known, no delay expected. */
struct ps_serve_wake {
	double quantile_ns; /* one delay in five hundred is longer */
};

/* ps_serve_wake_add learns of one delay; what is negative counts as none. */
void ps_serve_wake_add(struct ps_serve_wake *w, int64_t delay_ns);
/* ps_serve_wake_allowance_ns is what to keep free for arrival and answer together. */
int64_t ps_serve_wake_allowance_ns(const struct ps_serve_wake *w);

#endif
