#include "cache/simulate.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

enum { TABLES = 20, TENANTS = 64 };

/* MB of 10^6 bytes, as published: one family, and about half of each for the other. */
static const double megabytes[TABLES] = {1253, 1090, 490, 220, 22, 22, 14, 13,	5,   0.6,
					 628,  552,  245, 110, 11, 11, 7,  6.5, 2.6, 0.3};

void ps_cache_workload_free(struct ps_cache_workload *w)
{
	free(w->tenant);
	free(w->item);
	free(w->run_s);
	free(w->request);
	*w = (struct ps_cache_workload){0};
}

/* As listed, the other way round, then shuffled. */
static void rank(int tenant, struct ps_rng *r, int ret_order[TABLES])
{
	for (int i = 0; i < TABLES; i++)
		ret_order[i] = tenant == 1 ? TABLES - 1 - i : i;
	for (int i = TABLES - 1; tenant > 1 && i > 0; i--) {
		int other = (int)ps_rng_below(r, (uint64_t)i + 1), kept = ret_order[i];
		ret_order[i] = ret_order[other];
		ret_order[other] = kept;
	}
}

static int draw_table(double zipf, const int order[TABLES], struct ps_rng *r)
{
	double sum = 0, u;

	for (int i = 0; i < TABLES; i++)
		sum += pow(i + 1, -zipf);
	u = ps_rng_uniform(r) * sum;
	for (int i = 0; i < TABLES - 1; i++) {
		u -= pow(i + 1, -zipf);
		if (u < 0)
			return order[i];
	}
	return order[TABLES - 1];
}

static bool add_requests(const struct ps_cache_published *p, int tenant,
			 struct ps_cache_workload *w, size_t *cap)
{
	struct ps_rng r;
	int order[TABLES];
	double at = 0;

	ps_rng_init(&r, p->seed, ps_rng_stream("cache/published") + (uint64_t)tenant);
	rank(tenant, &r, order);
	while ((at += ps_rng_exponential(&r, p->mean_gap_s)) < p->length_s) {
		if (w->requests == *cap) {
			*cap = 2 * *cap + 256;
			struct ps_cache_request *more =
				realloc(w->request, *cap * sizeof(*w->request));
			if (!more)
				return false;
			w->request = more;
		}
		w->request[w->requests++] =
			(struct ps_cache_request){at, tenant, draw_table(p->zipf, order, &r)};
	}
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct ps_cache_request *x = a, *y = b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	return x->tenant - y->tenant;
}

static bool fill(const struct ps_cache_published *p, struct ps_cache_workload *w)
{
	size_t cap = 0;

	w->tenant = calloc((size_t)w->tenants, sizeof(*w->tenant));
	w->item = calloc(TABLES, sizeof(*w->item));
	w->run_s = calloc(TABLES, sizeof(*w->run_s));
	if (!w->tenant || !w->item || !w->run_s)
		return false;
	for (int j = 0; j < TABLES; j++) {
		double bytes = megabytes[j] * 1e6;
		w->run_s[j] = bytes / p->warm_bytes_per_s;
		w->item[j] =
			(struct ps_cache_item){.bytes = (int64_t)bytes,
					       .load_s = bytes / p->cold_bytes_per_s - w->run_s[j]};
	}
	for (int i = 0; i < w->tenants; i++) {
		w->tenant[i].weight = 1;
		if (!add_requests(p, i, w, &cap))
			return false;
	}
	if (w->requests > 0)
		qsort(w->request, w->requests, sizeof(*w->request), by_time);
	return true;
}

enum ps_status ps_cache_published_workload(const struct ps_cache_published *p,
					   struct ps_cache_workload *ret_workload,
					   struct ps_error *err)
{
	if (p->tenants < 1 || p->tenants > TENANTS || !(p->mean_gap_s > 0) || !(p->length_s > 0) ||
	    !(p->zipf >= 0) || !(p->cold_bytes_per_s > 0) ||
	    !(p->warm_bytes_per_s > p->cold_bytes_per_s) || !isfinite(p->warm_bytes_per_s))
		return ps_error_set(err, PS_EINVAL,
				    "a parameter of the published workload is out of its range");
	if (p->length_s / p->mean_gap_s * p->tenants > PS_CACHE_MAX_REQUESTS / 2.0)
		return ps_error_set(err, PS_ETOOBIG, "over %d requests", PS_CACHE_MAX_REQUESTS / 2);
	*ret_workload = (struct ps_cache_workload){.tenants = p->tenants, .items = TABLES};
	if (fill(p, ret_workload))
		return PS_OK;
	ps_cache_workload_free(ret_workload);
	return ps_error_set(err, PS_ENOMEM, "no memory for a workload");
}
