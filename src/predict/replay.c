#include "predict/replay.h"

#include <math.h>

/* What single requests need is drawn: of short trials several times, so that it averages out. */
enum { MOST_REPEATS = 8, ENOUGH = 100000, SEED = 1 };

static struct ps_predict_load load_of(const struct ps_predict_tenant *t,
				      const struct ps_predict_sent *sent)
{
	return (struct ps_predict_load){.rate_rps = t->rate_rps,
					.service_ns = t->service_ns,
					.variation = isfinite(t->variation) ? t->variation : 0,
					.weight = 1,
					.arrivals = sent->arrivals,
					.arrival_len = sent->len};
}

/* Adds own's latencies in a block to `latency`, beside the first n of its neighbours. */
static bool add_block(const struct ps_predict_replay *r, size_t block, int n,
		      struct ps_hist *latency)
{
	const struct ps_predict_block *b = &r->blocks[block];
	struct ps_predict_load loads[PS_PREDICT_MAX_NEIGHBOURS + 1] = {load_of(&r->own, &b->own)};
	struct ps_predict_waited waited[PS_PREDICT_MAX_NEIGHBOURS + 1];
	size_t requests = b->own.len;

	for (int i = 0; i < n; i++) {
		loads[i + 1] = load_of(&r->others[i], &b->others[i]);
		requests += b->others[i].len;
	}
	size_t repeats = requests * MOST_REPEATS <= ENOUGH ? MOST_REPEATS : 1;
	for (size_t k = 0; k < repeats; k++) {
		const struct ps_predict_queue q = {.loads = loads,
						   .n_loads = n + 1,
						   .n_lanes = (int)r->slice.lanes,
						   .seed = SEED + k + block * MOST_REPEATS,
						   .first_latency = latency};
		if (ps_predict_queue_run(&q, waited, NULL) != PS_OK)
			return false;
	}
	return true;
}

static bool is_possible(const struct ps_predict_replay *r)
{
	return r->slice.lanes >= 1 && r->n >= 0 && r->n <= PS_PREDICT_MAX_NEIGHBOURS;
}

static double median_of(const struct ps_predict_replay *r, size_t block, int n, struct ps_hist *h)
{
	ps_hist_reset(h);
	if (!add_block(r, block, n, h) || ps_hist_count(h) == 0)
		return NAN;
	return (double)ps_hist_quantile_ns(h, 0.5);
}

double ps_predict_replay_slowdown(const struct ps_predict_replay *r)
{
	double sum = 0;
	struct ps_hist h;

	if (!is_possible(r) || ps_hist_init(&h) != PS_OK)
		return NAN;
	for (size_t b = 0; b < r->block_len; b++)
		sum += log(median_of(r, b, r->n, &h) / median_of(r, b, 0, &h));
	ps_hist_fini(&h);
	return exp(sum / (double)r->block_len); /* NAN of nothing, too */
}

double ps_predict_replay_p99(const struct ps_predict_replay *r)
{
	double p99 = NAN;
	bool ok = true;
	struct ps_hist h;

	if (!is_possible(r) || ps_hist_init(&h) != PS_OK)
		return NAN;
	for (size_t b = 0; b < r->block_len && ok; b++)
		ok = add_block(r, b, r->n, &h);
	if (ok && ps_hist_count(&h) > 0)
		p99 = (double)ps_hist_quantile_ns(&h, 0.99);
	ps_hist_fini(&h);
	return p99;
}
