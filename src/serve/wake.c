#include "serve/wake.h"

/* The quantile moves in steps of itself, up at a share of 1 - q and down at q, so that it stands
 * still where a share q is below (Robbins and Monro, 1951). */
static const double quantile = 0.99, step = 0.1, least_ns = 1000;

void ps_serve_wake_add(struct ps_serve_wake *w, int64_t delay_ns)
{
	if (w->p99_ns < least_ns)
		w->p99_ns = least_ns;
	double up = (double)delay_ns > w->p99_ns;
	w->p99_ns *= 1 + step * (up - (1 - quantile));
}

int64_t ps_serve_wake_allowance_ns(const struct ps_serve_wake *w)
{
	return (int64_t)(2 * w->p99_ns);
}
