/* slowdown.c - a tenant's median latency together against alone, at the same load: the trials of
 * one block are a pair, since they had the same arrivals and lie close in time. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>

/* The p50 of a tenant's trial in each block; NAN where there is none to be trusted. */
static enum ps_status read_blocks(const struct ps_store_campaign *c, int tenant, int set,
				  struct ps_hist *scratch, double *ret_p50, struct ps_error *err)
{
	for (size_t i = 0; i < c->cell_len; i++)
		ret_p50[i] = NAN;
	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		/* a block holds a set once, so there are no more blocks than cells */
		if (x->kind != PS_STORE_CONFIRM || x->set != set || x->state != PS_STORE_DONE ||
		    x->trial_len == 0 || x->block < 0 || (size_t)x->block >= c->cell_len)
			continue;
		const struct ps_store_result *r = ps_report_result_of(&x->trials[0], tenant);
		if (!r || !ps_report_is_trusted(r))
			continue;
		enum ps_status st = ps_report_read_hist(scratch, &r->latency, err);
		if (st != PS_OK)
			return st;
		int64_t p50 = ps_hist_quantile_ns(scratch, 0.5);
		if (ps_hist_total(scratch) > 0)
			ret_p50[x->block] = p50 == PS_HIST_INFINITE ? INFINITY : (double)p50;
	}
	return PS_OK;
}

/* Keeps the blocks that have both, in front. */
static size_t pair(double *together, double *alone, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (!(together[i] > 0) || !(alone[i] > 0) || isinf(alone[i]))
			continue;
		together[k] = together[i];
		alone[k++] = alone[i];
	}
	return k;
}

static void compare(struct ps_report_line *l, double *together, double *alone, size_t n)
{
	size_t k = pair(together, alone, n);

	l->slowdown_blocks = (int)k;
	if (k == 0)
		return;
	/* half of a trial without an answer: beyond any ratio */
	for (size_t i = 0; i < k; i++)
		if (isinf(together[i])) {
			l->slowdown.value = INFINITY;
			return;
		}
	l->slowdown = ps_stats_ratio_interval(together, alone, k, PS_REPORT_CONFIDENCE);
}

static int alone_set(const struct ps_store_campaign *c, int tenant)
{
	for (size_t s = 0; s < c->set_len; s++)
		if (c->sets[s].member_len == 1 && c->sets[s].members[0] == tenant)
			return (int)s;
	return -1;
}

enum ps_status ps_report_slowdown(const struct ps_store_campaign *c, struct ps_report_line *l,
				  struct ps_hist *scratch, struct ps_error *err)
{
	int set = alone_set(c, l->tenant);
	enum ps_status st = PS_OK;

	l->slowdown = (struct ps_stats_interval){.value = NAN, .lo = NAN, .hi = NAN};
	if (l->alone || set < 0 || c->cell_len == 0)
		return PS_OK;
	double *p50 = calloc(2 * c->cell_len, sizeof *p50);
	if (!p50)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	st = read_blocks(c, l->tenant, l->set, scratch, p50, err);
	if (st == PS_OK)
		st = read_blocks(c, l->tenant, set, scratch, p50 + c->cell_len, err);
	if (st == PS_OK)
		compare(l, p50, p50 + c->cell_len, c->cell_len);
	free(p50);
	return st;
}
