#include "truth.h"

#include <math.h>
#include <stdio.h>

#define FORGOTTEN 30 /* relaxation times of about (1 - utilisation)^-2 services each */

const char *truth_name(const struct truth_queue *q, char buf[TRUTH_NAME_SIZE])
{
	snprintf(buf, TRUTH_NAME_SIZE, "M/%c/1 at %g", q->law == TRUTH_FIXED ? 'D' : 'M',
		 q->utilisation);
	return buf;
}

#define FAR 20 /* services: from here on the tail is exponential to 1e-9 */

/* Erlang's distribution of the wait: P(W > x) for x in services up to FAR. The terms alternate and
 * grow to e^(u x), so long double: further out they would eat up what is left of the tail. */
static double erlang_over(double u, double x)
{
	long double sum = 0;
	for (int k = 0; k <= (int)x; k++) {
		long double a = (long double)u * (k - (long double)x), term = expl(-a);
		for (int j = 1; j <= k; j++)
			term *= a / j;
		sum += term;
	}
	return (double)(1 - (1 - (long double)u) * sum);
}

/* The rate at which the tail falls: u (e^t - 1) = t. */
static double decay(double u)
{
	double lo = 1e-6, hi = 20;
	for (int i = 0; i < 100; i++) {
		double t = (lo + hi) / 2;
		if (u * expm1(t) < t)
			lo = t;
		else
			hi = t;
	}
	return lo;
}

static double fixed_wait_over(double u, double x)
{
	return x <= FAR ? erlang_over(u, x) : erlang_over(u, FAR) * exp(-decay(u) * (x - FAR));
}

double truth_quantile_ns(const struct truth_queue *q, double p)
{
	double u = q->utilisation, lo = 0, hi = 40;
	if (q->law == TRUTH_EXPONENTIAL)
		return -log1p(-p) / (1 - u) * TRUTH_SERVICE_NS;
	if (p <= 1 - u) /* no wait */
		return TRUTH_SERVICE_NS;
	for (int i = 0; i < 100; i++) {
		double mid = (lo + hi) / 2;
		if (fixed_wait_over(u, mid) > 1 - p)
			lo = mid;
		else
			hi = mid;
	}
	return (1 + lo) * TRUTH_SERVICE_NS;
}

double truth_utilisation(enum truth_law law, double p, double limit_ns)
{
	double lo = 0, hi = 0.99;
	for (int i = 0; i < 100; i++) {
		struct truth_queue q = {law, (lo + hi) / 2};
		if (truth_quantile_ns(&q, p) > limit_ns)
			hi = q.utilisation;
		else
			lo = q.utilisation;
	}
	return lo;
}

void truth_server_init(struct truth_server *s, const struct truth_queue *q, struct ps_rng *rng)
{
	double idle = 1 - q->utilisation;
	int64_t at, latency, origin;
	*s = (struct truth_server){.queue = *q, .rng = rng};
	for (int i = 0; i < FORGOTTEN / (idle * idle); i++)
		truth_server_next(s, &at, &latency);
	origin = (int64_t)s->now_ns;
	s->free_ns -= (double)origin;
	s->now_ns -= (double)origin;
}

void truth_server_next(struct truth_server *s, int64_t *ret_at_ns, int64_t *ret_latency_ns)
{
	double service = s->queue.law == TRUTH_FIXED ? TRUTH_SERVICE_NS
						     : ps_rng_exponential(s->rng, TRUTH_SERVICE_NS);
	s->now_ns += ps_rng_exponential(s->rng, TRUTH_SERVICE_NS / s->queue.utilisation);
	s->free_ns = fmax(s->free_ns, s->now_ns) + service;
	*ret_at_ns = (int64_t)s->now_ns;
	*ret_latency_ns = (int64_t)(s->free_ns - s->now_ns + 0.5);
}
