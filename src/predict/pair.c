/* pair.c - first guesses for tenants alone and in twos, by the queue of the server's own order. */
#include "predict/pair_internal.h"

#include "predict/queue.h"

#include <math.h>

#define REQUESTS 60000 /* p99 of the rarer tenant is then good to a few percent */
#define SEED	 1
#define HALVINGS 14 /* of a utilisation between 0 and 1: to a ten-thousandth */

static struct ps_predict_load load_of(const struct ps_predict_tenant *t)
{
	return (struct ps_predict_load){.rate_rps = t->rate_rps,
					.service_ns = t->service_ns,
					.variation = isfinite(t->variation) ? t->variation : 0,
					.weight = 1};
}

/* Between the percentiles that the queue gives: straight over log(1 - p), as an exponential tail
 * is. */
static double quantile(const struct ps_predict_waited *w, double p)
{
	const double at[] = {-log(0.5), -log(0.05), -log(0.01)};
	const double value[] = {w->p50_ns, w->p95_ns, w->p99_ns};
	double x = -log(1 - p);
	int i = x > at[1] ? 1 : 0;
	double share = (x - at[i]) / (at[i + 1] - at[i]);

	return fmax(value[i] + share * (value[i + 1] - value[i]), 0);
}

double ps_predict_set_quantile(const struct ps_predict_tenant *own,
			       const struct ps_predict_tenant *others, int n, double p,
			       const struct ps_predict_slice *slice)
{
	struct ps_predict_load loads[PS_PREDICT_MAX_NEIGHBOURS + 1] = {load_of(own)};
	struct ps_predict_waited waited[PS_PREDICT_MAX_NEIGHBOURS + 1];

	if (n > PS_PREDICT_MAX_NEIGHBOURS)
		return NAN;
	for (int i = 0; i < n; i++)
		loads[i + 1] = load_of(&others[i]);
	const struct ps_predict_queue q = {.loads = loads,
					   .n_loads = n + 1,
					   .n_lanes = (int)slice->lanes,
					   .requests = n > 1 ? REQUESTS * (n + 1) / 2 : REQUESTS,
					   .seed = SEED};
	if (!(slice->lanes >= 1) || ps_predict_queue_run(&q, waited, NULL) != PS_OK)
		return NAN;
	return quantile(&waited[0], p);
}

double ps_predict_pair_quantile(const struct ps_predict_tenant *own,
				const struct ps_predict_tenant *other, double p,
				const struct ps_predict_slice *slice)
{
	return ps_predict_set_quantile(own, other, other ? 1 : 0, p, slice);
}

double ps_predict_alone_capacity(const struct ps_predict_tenant *t, double p, double limit_ns,
				 const struct ps_predict_slice *slice)
{
	struct ps_predict_tenant at = *t;
	double most = slice->lanes * 1e9 / t->service_ns, low = 0, high = 1;

	if (!(p > 0) || !(p < 1) || !isfinite(most) || !(most > 0))
		return NAN;
	for (int i = 0; i < HALVINGS; i++) {
		double middle = (low + high) / 2;
		at.rate_rps = middle * most;
		double q = ps_predict_pair_quantile(&at, NULL, p, slice);
		if (q <= limit_ns)
			low = middle;
		else
			high = middle;
	}
	return low > 0 ? low * most : NAN;
}
