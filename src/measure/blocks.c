/* blocks.c - when the blocks at the demand rates have shown every slowdown precisely enough.
 *
 * The rule has to keep the coverage of the interval that stands at the end: who looks after every
 * block and stops at the first narrow interval stops where the spread was small by chance. So it
 * looks after whole pairs of blocks only (they mirror each other), from the eighth block on, and
 * wants the interval narrow at two looks in a row; tests/unit/measure/test_blocks.c holds the
 * coverage of what it leaves. */
#include "measure/measure_internal.h"

#include "load/reason.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ps_measure_blocks {
	const struct ps_store_campaign *plan;
	int blocks;
	bool in_blocks[PS_MEASURE_MAX_SETS];
	double *p50; /* [set][member][block]; NAN: not there */
};

static double *at(const struct ps_measure_blocks *b, int set, int member, int block)
{
	size_t row = (size_t)set * PS_MEASURE_MAX_MEMBERS + (size_t)member;
	return &b->p50[row * (size_t)b->blocks + (size_t)block];
}

struct ps_measure_blocks *ps_measure_blocks_new(const struct ps_store_campaign *plan)
{
	struct ps_measure_blocks *b = calloc(1, sizeof(*b));
	if (!b) {
		return NULL;
	}
	b->plan = plan;
	for (size_t i = 0; i < plan->cell_len; i++) {
		const struct ps_store_cell *x = &plan->cells[i];
		if (x->kind == PS_STORE_CONFIRM && x->set < PS_MEASURE_MAX_SETS) {
			b->in_blocks[x->set] = true;
			b->blocks = x->block >= b->blocks ? x->block + 1 : b->blocks;
		}
	}
	size_t n = plan->set_len * PS_MEASURE_MAX_MEMBERS * (size_t)b->blocks;
	b->p50 = malloc(sizeof(*b->p50) * (n + 1));
	if (!b->p50) {
		free(b);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		b->p50[i] = NAN;
	}
	return b;
}

void ps_measure_blocks_free(struct ps_measure_blocks *b)
{
	if (b) {
		free(b->p50);
		free(b);
	}
}

static int member_of(const struct ps_store_set *set, int tenant)
{
	for (int i = 0; i < set->member_len && i < PS_MEASURE_MAX_MEMBERS; i++) {
		if (set->members[i] == tenant) {
			return i;
		}
	}
	return -1;
}

enum ps_status ps_measure_blocks_add(struct ps_measure_blocks *b, const struct ps_store_cell *cell)
{
	struct ps_hist h = {0};
	if (cell->kind != PS_STORE_CONFIRM || cell->trial_len == 0 || cell->block < 0 ||
	    cell->block >= b->blocks) {
		return PS_OK;
	}
	enum ps_status st = ps_hist_init(&h);
	const struct ps_store_trial *t = &cell->trials[0];
	for (size_t i = 0; i < t->result_len && st == PS_OK; i++) {
		const struct ps_store_result *r = &t->results[i];
		int member = member_of(&b->plan->sets[cell->set], r->tenant);
		if (member < 0 || !ps_load_reason_is_trusted(r->valid, r->reasons) ||
		    r->latency.len == 0 ||
		    ps_hist_read(&h, r->latency.data, r->latency.len, NULL) != PS_OK ||
		    ps_hist_total(&h) == 0) {
			continue;
		}
		int64_t p50 = ps_hist_quantile_ns(&h, 0.5);
		if (p50 > 0 && p50 != PS_HIST_INFINITE) {
			*at(b, cell->set, member, cell->block) = (double)p50;
		}
	}
	ps_hist_fini(&h);
	return st;
}

static int alone_set(const struct ps_store_campaign *c, int tenant)
{
	for (size_t s = 0; s < c->set_len; s++) {
		if (c->sets[s].member_len == 1 && c->sets[s].members[0] == tenant) {
			return (int)s;
		}
	}
	return -1;
}

/* Half of one slowdown's interval over blocks 0 to n - 1, as a share of it; both buffers hold n. */
static double width_of(const struct ps_measure_blocks *b, int set, int member, int n,
		       double *together, double *alone)
{
	int apart = alone_set(b->plan, b->plan->sets[set].members[member]), k = 0;
	for (int i = 0; i < n && apart >= 0; i++) {
		double x = *at(b, set, member, i), y = *at(b, apart, 0, i);
		if (x > 0 && y > 0) {
			together[k] = x;
			alone[k++] = y;
		}
	}
	struct ps_stats_interval s = ps_stats_ratio_interval(together, alone, (size_t)k, 0.95);
	return s.has_interval ? (s.hi - s.lo) / 2 / s.value : INFINITY;
}

double ps_measure_blocks_width(const struct ps_measure_blocks *b, int n)
{
	double worst = 0;
	bool any = false;
	if (n < 1 || n > b->blocks) {
		return INFINITY;
	}
	double *buffer = calloc(2 * (size_t)n, sizeof(*buffer));
	for (size_t s = 0; s < b->plan->set_len && s < PS_MEASURE_MAX_SETS && buffer; s++) {
		int members = b->plan->sets[s].member_len;
		for (int i = 0; i < members && members > 1 && b->in_blocks[s]; i++) {
			double w = width_of(b, (int)s, i, n, buffer, buffer + n);
			worst = w > worst ? w : worst;
			any = true;
		}
	}
	free(buffer);
	return any ? worst : INFINITY;
}

bool ps_measure_blocks_enough(const struct ps_measure_blocks *b, int n, double limit)
{
	return n >= PS_MEASURE_LEAST_BLOCKS && n % 2 == 0 &&
	       ps_measure_blocks_width(b, n) <= limit && ps_measure_blocks_width(b, n - 2) <= limit;
}
