/* loads.c - machine savings from nearly idle tenants to busy ones. */
#include "report/loads.h"
#include "report_internal.h"

#include <math.h>
#include <string.h>

enum {
	SET,
	LOAD,
	APART,
	TOGETHER,
	SAVING,
	MOST,
	MOST_SAVING,
	X_TOGETHER,
	X_SAVING,
	X_MOST,
	X_MOST_SAVING,
	COLUMNS
};

static const struct ps_report_column columns[COLUMNS] = {
	[SET] = {"set", "set", PS_REPORT_TEXT, false},
	[LOAD] = {"load", "load each", PS_REPORT_SHARE, false},
	[APART] = {"machines_apart", "apart", PS_REPORT_NUMBER, true},
	[TOGETHER] = {"machines_together", "together", PS_REPORT_NUMBER, true},
	[SAVING] = {"machine_saving", "machine saving", PS_REPORT_SHARE, true},
	[MOST] = {"most_tenants", "tenants on one", PS_REPORT_NUMBER, true},
	[MOST_SAVING] = {"most_saving", "saving then", PS_REPORT_SHARE, true},
	[X_TOGETHER] = {"against_machines_together", "other: together", PS_REPORT_NUMBER, true},
	[X_SAVING] = {"against_machine_saving", "other: saving", PS_REPORT_SHARE, true},
	[X_MOST] = {"against_most_tenants", "other: tenants", PS_REPORT_NUMBER, true},
	[X_MOST_SAVING] = {"against_most_saving", "other: saving then", PS_REPORT_SHARE, true},
};

static const double usual[] = {0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60};

/* What is asked of a set, answered from one campaign. */
struct answered {
	struct ps_cost_outcome outcome;
	struct ps_stats_interval sum; /* of shares, at the capacity together */
};

static struct ps_stats_interval sum_of(struct ps_stats_interval full_load_saving)
{
	struct ps_stats_interval s = full_load_saving;

	return (struct ps_stats_interval){
		.value = 1 / (1 - s.value),
		.lo = 1 / (1 - s.lo),
		.hi = s.hi < 1 ? 1 / (1 - s.hi) : INFINITY,
		.confidence = s.confidence,
		.has_interval = s.has_interval,
	};
}

static bool ask(const struct ps_report_case *in, const double *rates, struct answered *ret)
{
	if (!in->has_alone || !in->has_scale)
		return false;
	struct ps_cost_case c = {
		.n = in->n,
		.rate_rps = rates,
		.alone_rps = in->alone_rps,
		.ray_rps = in->ray_rps,
		.scale = in->scale,
	};
	ps_cost_what_if(&c, &ret->outcome);
	ret->sum = sum_of(ret->outcome.full_load_saving);
	return true;
}

/* The tenant that has a machine for itself is always one. */
static double most(double sum, double load)
{
	return isnan(sum) ? NAN : fmax(1, floor(sum / load + 1e-9));
}

static void put_most(struct ps_report_value *v, int at, struct ps_stats_interval sum, double load)
{
	struct ps_stats_interval *n = &v[at].v, *saving = &v[at + 1].v;

	*n = sum;
	n->value = most(sum.value, load);
	n->lo = most(sum.lo, load);
	n->hi = most(sum.hi, load);
	*saving = *n;
	saving->value = 1 - 1 / n->value;
	saving->lo = 1 - 1 / n->lo;
	saving->hi = 1 - 1 / n->hi;
}

static bool is_same_set(const struct ps_store_campaign *a, const struct ps_store_set *x,
			const struct ps_store_campaign *b, const struct ps_store_set *y)
{
	if (x->member_len != y->member_len)
		return false;
	for (int i = 0; i < x->member_len; i++)
		if (strcmp(a->tenants[x->members[i]].name, b->tenants[y->members[i]].name) != 0)
			return false;
	return true;
}

/* The set of the other campaign with the same tenants in the same order, or -1. */
static int other_set(const struct ps_report_answer *a, int set, const struct ps_report_answer *b)
{
	for (size_t i = 0; b && i < b->comparison_len; i++)
		if (is_same_set(a->campaign, &a->campaign->sets[set], b->campaign,
				&b->campaign->sets[b->comparisons[i].set]))
			return b->comparisons[i].set;
	return -1;
}

struct build {
	struct ps_report_answer *a;
	const struct ps_report_answer *against;
	struct ps_report_table *out;
};

static enum ps_status put_row(struct build *b, int set, const struct ps_report_case *in,
			      const struct ps_report_case *other, double load, struct ps_error *err)
{
	struct ps_report_value *v = ps_report_table_row(b->a, b->out);
	double rates[PS_STORE_MAX_TENANTS];
	struct answered x;

	if (!v)
		return ps_error_set(err, PS_ENOMEM, "no memory for the loads");
	for (int i = 0; i < in->n; i++)
		rates[i] = load * in->alone_rps[i].value;
	v[SET].text = b->a->campaign->sets[set].name;
	v[LOAD].v.value = load;
	if (ask(in, rates, &x)) {
		v[APART].v = x.outcome.machines.apart;
		v[TOGETHER].v = x.outcome.machines.together;
		v[SAVING].v = x.outcome.machines.saving;
		put_most(v, MOST, x.sum, load);
	}
	if (other && ask(other, rates, &x)) {
		v[X_TOGETHER].v = x.outcome.machines.together;
		v[X_SAVING].v = x.outcome.machines.saving;
		put_most(v, X_MOST, x.sum, load);
	}
	return PS_OK;
}

static enum ps_status put_set(struct build *b, const struct ps_report_loads_question *q, int set,
			      struct ps_error *err)
{
	struct ps_report_case in, other;
	int there = other_set(b->a, set, b->against);
	enum ps_status st = PS_OK;

	ps_report_case_of(b->a, set, &in);
	if (!in.has_alone || !in.has_scale)
		return PS_OK;
	if (there >= 0)
		ps_report_case_of(b->against, there, &other);
	for (size_t i = 0; i < q->len && st == PS_OK; i++)
		st = put_row(b, set, &in, there >= 0 ? &other : NULL, q->shares[i], err);
	return st;
}

static enum ps_status check_shares(const struct ps_report_loads_question *q, struct ps_error *err)
{
	if (q->len > PS_REPORT_MAX_LOADS)
		return ps_error_set(err, PS_EINVAL, "%zu loads are too many, at most %d", q->len,
				    PS_REPORT_MAX_LOADS);
	for (size_t i = 0; i < q->len; i++)
		if (!(q->shares[i] > 0 && q->shares[i] <= 1))
			return ps_error_set(err, PS_EINVAL, "a load of %g of a machine is none",
					    q->shares[i]);
	return PS_OK;
}

enum ps_status ps_report_loads_build(struct ps_report_answer *a,
				     const struct ps_report_loads_question *question,
				     struct ps_report_table *ret_table, struct ps_error *err)
{
	struct ps_report_loads_question q = *question;
	struct ps_report_table t = {
		.name = "loads",
		.title = "Whole machines by load: every tenant at this share of what it can do "
			 "alone [95 %]",
		.note = "tenants on one: so many tenants of that load, equally many of each kind, "
			"fill one machine; saving then: against a machine for each of them. From "
			"the capacities measured alone and together",
		.columns = columns,
		.column_len = q.against ? COLUMNS : X_TOGETHER,
	};
	struct build b = {a, q.against, &t};

	if (!q.shares) {
		q.shares = usual;
		q.len = sizeof usual / sizeof *usual;
	}
	enum ps_status st = check_shares(&q, err);
	for (size_t i = 0; i < a->comparison_len && st == PS_OK; i++)
		if (q.set < 0 || a->comparisons[i].set == q.set)
			st = put_set(&b, &q, a->comparisons[i].set, err);
	if (st == PS_OK)
		*ret_table = t;
	return st;
}
