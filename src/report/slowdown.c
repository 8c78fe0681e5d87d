/* slowdown.c - a tenant's median latency together against alone, at the same load: the trials of
 * one block are a pair, since they had the same arrivals and lie close in time. */
#include "report_internal.h"

#include "load/reason.h"

#include <math.h>
#include <stdlib.h>

static bool is_there(const struct ps_store_cell *x, const struct ps_report_where *where)
{
	if (x->kind != where->kind || x->set != where->set || x->state != PS_STORE_DONE)
		return false;
	return x->kind != PS_STORE_RATES || (x->part == where->part && x->point == where->point);
}

enum ps_status ps_report_block_p50(const struct ps_store_campaign *c, int tenant,
				   const struct ps_report_where *where, struct ps_hist *scratch,
				   double *ret_p50, struct ps_error *err)
{
	for (size_t i = 0; i < c->cell_len; i++)
		ret_p50[i] = NAN;
	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		/* a block holds a set or a point once, so there are no more blocks than cells */
		if (!is_there(x, where) || x->trial_len == 0 || x->block < 0 ||
		    (size_t)x->block >= c->cell_len)
			continue;
		const struct ps_store_result *r = ps_report_result_of(&x->trials[0], tenant);
		if (!r || !ps_load_reason_is_trusted(r->valid, r->reasons))
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

struct ps_stats_interval ps_report_block_ratio(double *x, double *y, size_t n, int *ret_blocks)
{
	struct ps_stats_interval none = {.value = NAN, .lo = NAN, .hi = NAN};
	size_t k = pair(x, y, n);

	*ret_blocks = (int)k;
	if (k == 0)
		return none;
	/* half of a trial without an answer: beyond any ratio */
	for (size_t i = 0; i < k; i++)
		if (isinf(x[i])) {
			none.value = INFINITY;
			return none;
		}
	return ps_stats_ratio_interval(x, y, k, PS_REPORT_CONFIDENCE);
}

int ps_report_alone_set(const struct ps_store_campaign *c, int tenant)
{
	for (size_t s = 0; s < c->set_len; s++)
		if (c->sets[s].member_len == 1 && c->sets[s].members[0] == tenant)
			return (int)s;
	return -1;
}

enum ps_status ps_report_slowdown(const struct ps_store_campaign *c, struct ps_report_line *l,
				  struct ps_hist *scratch, struct ps_error *err)
{
	struct ps_report_where together = {.kind = PS_STORE_CONFIRM, .set = l->set};
	struct ps_report_where alone = {.kind = PS_STORE_CONFIRM,
					.set = ps_report_alone_set(c, l->tenant)};
	enum ps_status st = PS_OK;

	l->slowdown = (struct ps_stats_interval){.value = NAN, .lo = NAN, .hi = NAN};
	if (l->alone || alone.set < 0 || c->cell_len == 0)
		return PS_OK;
	double *p50 = calloc(2 * c->cell_len, sizeof *p50);
	if (!p50)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	st = ps_report_block_p50(c, l->tenant, &together, scratch, p50, err);
	if (st == PS_OK)
		st = ps_report_block_p50(c, l->tenant, &alone, scratch, p50 + c->cell_len, err);
	if (st == PS_OK)
		l->slowdown = ps_report_block_ratio(p50, p50 + c->cell_len, c->cell_len,
						    &l->slowdown_blocks);
	free(p50);
	return st;
}

/* The server's processor time in a block's trial of a set; NAN when it cannot be trusted. */
static double cpu_of(const struct ps_store_campaign *c, int set, int block)
{
	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		if (x->kind == PS_STORE_CONFIRM && x->set == set && x->block == block &&
		    x->state == PS_STORE_DONE && x->trial_len > 0 && x->trials[0].valid &&
		    x->trials[0].server_cpu_ns > 0)
			return (double)x->trials[0].server_cpu_ns;
	}
	return NAN;
}

static int count_blocks(const struct ps_store_campaign *c)
{
	int n = 0;

	for (size_t i = 0; i < c->cell_len; i++)
		if (c->cells[i].kind == PS_STORE_CONFIRM && c->cells[i].block >= n)
			n = c->cells[i].block + 1;
	return n;
}

enum ps_status ps_report_cpu_saving(const struct ps_store_campaign *c, int set,
				    struct ps_stats_interval *ret_saving, int *ret_blocks,
				    struct ps_error *err)
{
	int n = count_blocks(c);
	double *together = calloc(2 * (size_t)n + 1, sizeof *together);

	if (!together)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	double *alone = together + n;
	for (int b = 0; b < n; b++) {
		together[b] = cpu_of(c, set, b);
		for (int i = 0; i < c->sets[set].member_len; i++)
			alone[b] += cpu_of(c, ps_report_alone_set(c, c->sets[set].members[i]), b);
	}
	struct ps_stats_interval r = ps_report_block_ratio(together, alone, (size_t)n, ret_blocks);
	*ret_saving = (struct ps_stats_interval){.value = 1 - r.value,
						 .lo = 1 - r.hi,
						 .hi = 1 - r.lo,
						 .confidence = r.confidence,
						 .has_interval = r.has_interval};
	free(together);
	return PS_OK;
}
