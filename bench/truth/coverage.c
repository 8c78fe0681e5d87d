/* How often do the stated 95 % intervals hold the truth, and how often is "met" wrong?
 *
 * Each run is a load run in virtual time: Poisson arrivals over a fixed time at a server under way,
 * every request through the recorder, then the judge. The SLA of a run lies a thousandth below the
 * true percentile, so that it is violated by a hair: "met" is then an error, and it is as easy as
 * it can be. An interval holds the truth when the truth is inside to the 0.1 % of a histogram's
 * bucket.
 */
#include "truth.h"

#include "load/judge.h"
#include "load/recorder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET	    0.001
#define LEAST_COVER 0.935
#define MOST_FEW    0.2
#define MOST_FALSE  0.01
#define QUANTILES   3

static const double percentiles[QUANTILES] = {0.5, 0.95, 0.99};

struct condition {
	struct truth_queue queue;
	double requests; /* the documented length: docs/decisions/008-intervals.md */
};

static const struct condition conditions[] = {
	{{TRUTH_EXPONENTIAL, 0.5}, 15e3},  {{TRUTH_FIXED, 0.5}, 10e3},
	{{TRUTH_EXPONENTIAL, 0.8}, 100e3}, {{TRUTH_FIXED, 0.8}, 60e3},
	{{TRUTH_EXPONENTIAL, 0.9}, 400e3}, {{TRUTH_FIXED, 0.9}, 240e3},
};

struct outcome {
	bool given[QUANTILES], held[QUANTILES], below[QUANTILES];
	float half[QUANTILES]; /* half width over the truth */
	float ratio;
	bool met, violated;
};

static void fail(const char *what)
{
	fprintf(stderr, "perseus-truth: %s\n", what);
	exit(2);
}

static void record_all(const struct condition *c, struct ps_rng *rng, struct ps_load_recorder *rec)
{
	struct truth_server server;
	int64_t at, latency;
	uint64_t n = 0;
	truth_server_init(&server, &c->queue, rng);
	for (;;) {
		truth_server_next(&server, &at, &latency);
		if (at >= rec->duration_ns)
			break;
		const struct ps_load_record q = {
			.scheduled_ns = at,
			.sent_ns = at,
			.first_byte_ns = at + latency,
			.done_ns = at + latency,
			.server_queue_ns = -1,
			.server_compute_ns = -1,
			.http_status = 200,
			.outcome = PS_LOAD_OK,
			.sequence = n++,
		};
		ps_load_recorder_end(rec, &q, false);
	}
}

static void look(const struct condition *c, const struct ps_load_tenant_result *r,
		 struct outcome *out)
{
	const struct ps_stats_time_quantile *q[QUANTILES] = {&r->p50, &r->p95, &r->p99};
	for (int i = 0; i < QUANTILES; i++) {
		double truth = truth_quantile_ns(&c->queue, percentiles[i]);
		double lo = (double)q[i]->lo_ns, hi = (double)q[i]->hi_ns;
		out->given[i] = q[i]->has_interval;
		out->below[i] = hi * (1 + BUCKET) < truth;
		out->held[i] = !out->below[i] && lo * (1 - BUCKET) <= truth;
		out->half[i] = (float)((hi - lo) / 2 / truth);
	}
	out->ratio = (float)r->effective_ratio;
	out->met = r->sla_verdict == PS_LOAD_SLA_MET;
	out->violated = r->sla_verdict == PS_LOAD_SLA_VIOLATED;
}

static void one(const void *ctx, int k, void *ret)
{
	const struct condition *c = ctx;
	const double p = percentiles[1 + k % 2];
	double gap = TRUTH_SERVICE_NS / c->queue.utilisation;
	struct ps_load_plan plan = {.duration_ns = (int64_t)(c->requests * gap)};
	struct ps_load_tenant tenant = {
		.name = "t",
		.sla = {p, (int64_t)(truth_quantile_ns(&c->queue, p) * (1 - BUCKET)), 0.99}};
	struct ps_load_judge_terms terms = {.sla = &tenant.sla, .timeout_ns = plan.duration_ns};
	struct ps_load_tenant_result *r = calloc(1, sizeof(*r));
	struct ps_load_recorder rec;
	struct ps_rng rng;
	ps_rng_init(&rng, 4, ((uint64_t)(c - conditions) << 32) + (uint64_t)k);
	if (!r || ps_load_recorder_init(&rec, r, &plan, &tenant, 1.1 * c->requests) != PS_OK)
		fail("no memory");
	record_all(c, &rng, &rec);
	ps_load_recorder_finish(&rec);
	if (ps_load_judge(r, &terms) != PS_OK)
		fail("no memory");
	look(c, r, ret);
	struct ps_load_result whole = {.tenants = r, .tenant_len = 1};
	ps_load_result_fini(&whole);
}

static bool show_quantile(const struct truth_options *o, const struct condition *c,
			  const struct outcome *out, int i)
{
	int n = o->runs, given = 0, held = 0, below = 0;
	double half = 0;
	char name[TRUTH_NAME_SIZE], figure[96], ours[64], note[160];
	for (int k = 0; k < n; k++) {
		given += out[k].given[i];
		held += out[k].given[i] && out[k].held[i];
		below += out[k].given[i] && out[k].below[i];
		half += out[k].given[i] ? (double)out[k].half[i] : 0;
	}
	enum truth_verdict verdict = truth_both(truth_at_least(held, given, LEAST_COVER),
						truth_at_most(n - given, n, MOST_FEW));
	snprintf(figure, sizeof(figure), "truth: %s, p%g", truth_name(&c->queue, name),
		 100 * percentiles[i]);
	snprintf(ours, sizeof(ours), "held %.2f %%", 100.0 * held / (given ? given : 1));
	snprintf(note, sizeof(note),
		 "%d runs of %.0f requests; too low %d, too high %d, too few %.1f %%; half width "
		 "%.1f %%",
		 n, c->requests, below, given - held - below, 100.0 * (n - given) / n,
		 100 * half / (given ? given : 1));
	return truth_row(o, figure, ours, "95 % stated", ">= 93.5 %, too few <= 20 %", verdict,
			 note);
}

static bool show_met(const struct truth_options *o, const struct condition *c,
		     const struct outcome *out)
{
	int n = o->runs, met = 0, violated = 0;
	char name[TRUTH_NAME_SIZE], figure[96], ours[64], note[160];
	double ratio = 0;
	for (int k = 0; k < n; k++) {
		met += out[k].met;
		violated += out[k].violated;
		ratio += (double)out[k].ratio / n;
	}
	snprintf(figure, sizeof(figure), "truth: %s, false met", truth_name(&c->queue, name));
	snprintf(ours, sizeof(ours), "%.2f %%", 100.0 * met / n);
	snprintf(note, sizeof(note),
		 "an SLA violated by a thousandth; violated %.1f %%, else undecided; %.0f of the "
		 "requests count as effective",
		 100.0 * violated / n, ratio * c->requests);
	return truth_row(o, figure, ours, "1 % stated", "<= 1 %", truth_at_most(met, n, MOST_FALSE),
			 note);
}

bool truth_coverage(const struct truth_options *o)
{
	struct outcome *out = calloc((size_t)o->runs, sizeof(*out));
	char name[TRUTH_NAME_SIZE];
	bool ok = true;
	if (!out)
		fail("no memory");
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		const struct condition *c = &conditions[i];
		if (o->only && !strstr(truth_name(&c->queue, name), o->only))
			continue;
		truth_each(o, one, c, out, sizeof(*out));
		for (int q = 0; q < QUANTILES; q++)
			ok &= show_quantile(o, c, out, q);
		ok &= show_met(o, c, out);
	}
	free(out);
	return ok;
}
