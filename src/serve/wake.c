#include "serve/wake.h"

/* The quantile moves in steps of itself, up at a share of 1 - q and down at q, so that it stands
 * still where a share q is below (Robbins and Monro, 1951). */
static const double step = 0.2, least_ns = 1000;
/* Of one in a hundred that an agreement lets be late, admission's own errors use three fifths
 * (sched/margin.c); a fifth each is left for the way in and the way out. */
static const double quantile = 0.998;

void ps_serve_wake_add(struct ps_serve_wake *w, int64_t delay_ns)
{
	if (w->quantile_ns < least_ns)
		w->quantile_ns = least_ns;
	double up = (double)delay_ns > w->quantile_ns;
	w->quantile_ns *= 1 + step * (up - (1 - quantile));
}

int64_t ps_serve_wake_allowance_ns(const struct ps_serve_wake *w)
{
	return (int64_t)(2 * w->quantile_ns);
}
