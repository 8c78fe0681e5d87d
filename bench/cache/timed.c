/* timed.c - problems of the sizes that servers have. */
#include "check.h"

#include "base/clock.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>

/* Models of 10 MB to 1 GB that load at 200 MB/s to 2 GB/s; every tenant asks for every model, Zipf
 * over its own ranking, 20 to 2,000 requests per epoch; memory for one of `part` bytes. LEVEL: all
 * load at 1 GB/s. SAME: and each tenant asks for all models equally often, so that what a model is
 * worth goes by its bytes alone. */
static void draw(struct instance *c, int part, enum shape shape, uint64_t seed)
{
	struct ps_rng r;
	int items = c->p.items;
	int64_t all = 0;

	ps_rng_init(&r, seed, ps_rng_stream("cache/timed"));
	for (int j = 0; j < items; j++) {
		double bytes = 1e7 * pow(100, ps_rng_uniform(&r));
		c->item[j].bytes = (int64_t)bytes;
		double rate = 2e8 * pow(10, ps_rng_uniform(&r));
		c->item[j].load_s = (double)c->item[j].bytes / (shape == SPREAD ? rate : 1e9);
		all += c->item[j].bytes;
	}
	c->p.capacity_bytes = all / part;
	for (int i = 0; i < c->p.tenants; i++) {
		double rate = 20 * pow(100, ps_rng_uniform(&r)), sum = 0;
		double *row = c->demand + (size_t)i * (size_t)items;
		c->tenant[i].weight = 1 + (double)ps_rng_below(&r, 3);
		for (int j = 0; j < items; j++)
			row[j] = shape == SAME ? 1 : 1.0 / (j + 1);
		for (int j = items - 1; j > 0; j--) {
			int other = (int)ps_rng_below(&r, (uint64_t)j + 1);
			double kept = row[j];
			row[j] = row[other];
			row[other] = kept;
		}
		for (int j = 0; j < items; j++)
			sum += row[j];
		for (int j = 0; j < items; j++)
			row[j] *= rate / sum;
	}
}

/* What a process does once, as opening CLP, is not part of a plan's time. */
static bool warm_up(enum ps_cache_kind kind)
{
	const struct ps_cache_tenant tenant = {.weight = 1};
	const struct ps_cache_item item = {.bytes = 1, .load_s = 1};
	const double demand = 1;
	const struct ps_cache_problem p = {.tenants = 1,
					   .items = 1,
					   .capacity_bytes = 1,
					   .tenant = &tenant,
					   .item = &item,
					   .demand = &demand};
	struct ps_cache_plan plan;
	struct ps_error err;
	char text[800];

	if (ps_cache_plan_make(kind, &p, NULL, &plan, &err) != PS_OK) {
		fprintf(stderr, "%s\n", ps_error_format(&err, text, sizeof(text)));
		return false;
	}
	ps_cache_plan_free(&plan);
	return true;
}

int time_run(int tenants, int items, enum ps_cache_kind kind, int repeat, uint64_t seed, int part,
	     enum shape shape)
{
	struct instance c;
	struct ps_error err;
	char text[800];

	int over = 0;
	if (!warm_up(kind) || !instance_init(&c, tenants, items))
		return 2;
	for (int k = 0; k < repeat; k++) {
		struct ps_cache_plan plan;
		draw(&c, part, shape, seed + (uint64_t)k);
		int64_t from = ps_clock_now_ns(), cpu = ps_clock_thread_cpu_ns();
		if (ps_cache_plan_make(kind, &c.p, NULL, &plan, &err) != PS_OK) {
			fprintf(stderr, "%s\n", ps_error_format(&err, text, sizeof(text)));
			instance_fini(&c);
			return 2;
		}
		double s = (double)(ps_clock_now_ns() - from) * 1e-9;
		double cpu_s = (double)(ps_clock_thread_cpu_ns() - cpu) * 1e-9;
		printf("{\"tenants\": %d, \"items\": %d, \"policy\": \"%s\", \"seconds\": %.9f, "
		       "\"cpu_seconds\": %.9f, \"gap\": %.3e, \"configurations\": %d, \"rounds\": "
		       "%d, \"priced\": %d, "
		       "\"worst_share\": %.9f}\n",
		       tenants, items, ps_cache_policy_get(kind)->name, s, cpu_s, plan.gap, plan.n,
		       plan.rounds, plan.priced, ps_cache_worst_share(&plan, NULL));
		over += plan.gap > PS_CACHE_GAP;
		ps_cache_plan_free(&plan);
	}
	instance_fini(&c);
	return over > 0;
}
