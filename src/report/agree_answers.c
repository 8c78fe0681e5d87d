/* agree_answers.c - what the answers of two campaigns say of each other: savings and costs. They
 * follow from the capacities, so they are no further evidence that campaigns agree. */
#include "agree_internal.h"

#include <stdio.h>
#include <string.h>

static struct ps_stats_interval not_saved(const struct ps_stats_interval *saving)
{
	return (struct ps_stats_interval){.value = 1 - saving->value,
					  .lo = 1 - saving->hi,
					  .hi = 1 - saving->lo,
					  .has_interval = saving->has_interval};
}

static bool same_members(const struct ps_report_answer *x, int s, const struct ps_report_answer *y,
			 int t)
{
	const struct ps_store_set *p = &x->campaign->sets[s], *q = &y->campaign->sets[t];

	if (p->member_len != q->member_len || strcmp(p->name, q->name) != 0)
		return false;
	for (int i = 0; i < p->member_len; i++) {
		const struct ps_store_tenant *a = &x->campaign->tenants[p->members[i]];
		const struct ps_store_tenant *b = &y->campaign->tenants[q->members[i]];
		if (strcmp(a->name, b->name) != 0 || !ps_report_same_sla(&a->sla, &b->sla))
			return false;
	}
	return true;
}

static enum ps_status compare_savings(struct ps_report_agree_work *w,
				      const struct ps_report_answer *x,
				      const struct ps_report_answer *y, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	char what[160];

	for (size_t i = 0; i < x->comparison_len && st == PS_OK; i++)
		for (size_t k = 0; k < y->comparison_len && st == PS_OK; k++) {
			const struct ps_report_comparison *p = &x->comparisons[i];
			const struct ps_report_comparison *q = &y->comparisons[k];
			if (!p->possible || !q->possible || !same_members(x, p->set, y, q->set))
				continue;
			struct ps_stats_interval a = not_saved(&p->full_load_saving);
			struct ps_stats_interval b = not_saved(&q->full_load_saving);
			struct ps_report_agree_row row = {.v = ps_report_agree_quotient(&a, &b)};
			snprintf(what, sizeof what, "machine time together per apart, %.100s",
				 x->campaign->sets[p->set].name);
			st = ps_report_agree_add(w, row, what, err);
		}
	return st;
}

/* At one price a cost is a capacity once more. */
static bool two_prices(const struct ps_report_answer *x, const struct ps_report_answer *y)
{
	return x->has_price && y->has_price &&
	       x->campaign->price.usd_per_hour != y->campaign->price.usd_per_hour;
}

static bool same_line(const struct ps_report_answer *x, const struct ps_report_line *l,
		      const struct ps_report_answer *y, const struct ps_report_line *m)
{
	return strcmp(x->campaign->tenants[l->tenant].name, y->campaign->tenants[m->tenant].name) ==
		       0 &&
	       l->batch == m->batch && same_members(x, l->set, y, m->set);
}

static enum ps_status compare_costs(struct ps_report_agree_work *w,
				    const struct ps_report_answer *x,
				    const struct ps_report_answer *y, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	char what[160];

	for (size_t i = 0; i < x->line_len && two_prices(x, y) && st == PS_OK; i++)
		for (size_t k = 0; k < y->line_len && st == PS_OK; k++) {
			const struct ps_report_line *l = &x->lines[i], *m = &y->lines[k];
			if (!l->capacity_known || !m->capacity_known || !same_line(x, l, y, m))
				continue;
			struct ps_report_agree_row row = {
				.v = ps_report_agree_quotient(&l->usd_per_million,
							      &m->usd_per_million)};
			snprintf(what, sizeof what, "$ per million of %.60s, %.60s",
				 x->campaign->tenants[l->tenant].name,
				 x->campaign->sets[l->set].name);
			st = ps_report_agree_add(w, row, what, err);
		}
	return st;
}

enum ps_status ps_report_agree_answers(struct ps_report_agreement *g,
				       const struct ps_report_answer *x,
				       const struct ps_report_answer *y, struct ps_error *err)
{
	struct ps_report_agree_work w = {
		.a = x->campaign, .b = y->campaign, .g = g, .cap = g->row_len};
	enum ps_status st = compare_savings(&w, x, y, err);

	if (st == PS_OK)
		st = compare_costs(&w, x, y, err);
	ps_report_agree_judge(g);
	return st;
}
