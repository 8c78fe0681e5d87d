/* Every way to share the parts out, for small problems: a truth for the other searches. Parts go
 * one by one into a machine that is there or a new one; equal parts never go back before their
 * like. What a half-filled machine costs at least is the cheapest type that holds it: monotone, so
 * it cuts. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

struct brute {
	const struct ps_plan_space *s;
	int part[PS_PLAN_BRUTE_PARTS], n; /* the kind of each part */
	struct ps_plan_bin bins[PS_PLAN_BRUTE_PARTS];
	int n_bins;
	double best;
	struct ps_plan_bins *found;
	bool no_memory;
};

static double cost(const struct brute *b)
{
	double sum = 0;

	for (int i = 0; i < b->n_bins; i++)
		sum += b->s->p->types[b->bins[i].type].usd_per_hour;
	return sum;
}

static void keep(struct brute *b, double usd)
{
	b->best = usd;
	ps_plan_bins_fini(b->found);
	for (int i = 0; i < b->n_bins; i++) {
		struct ps_plan_bin copy;
		if (!ps_plan_bin_copy(&copy, &b->bins[i]) || !ps_plan_bins_take(b->found, &copy))
			b->no_memory = true;
	}
}

/* The set plus one part on the cheapest type that holds it; false when none does. */
static bool with_part(const struct ps_plan_space *s, const struct ps_plan_bin *from, int kind,
		      struct ps_plan_bin *to)
{
	bool found = false;

	for (int t = 0; t < s->types; t++) {
		struct ps_plan_bin b;
		bool fits = true;
		ps_plan_bin_init(&b, t);
		for (int i = 0; fits && i < from->n; i++)
			fits = ps_plan_bin_add(s, &b, from->set[i].kind, from->set[i].count);
		fits = fits && ps_plan_bin_add(s, &b, kind, 1);
		if (fits &&
		    (!found || s->p->types[t].usd_per_hour < s->p->types[to->type].usd_per_hour)) {
			if (found)
				ps_plan_bin_fini(to);
			*to = b;
			found = true;
		} else {
			ps_plan_bin_fini(&b);
		}
	}
	return found;
}

static void place(struct brute *b, int i, int from);

/* Puts part i into bin `at`, goes on, and takes it back. */
static void try_bin(struct brute *b, int i, int at)
{
	struct ps_plan_bin fuller, old = b->bins[at];

	if (!with_part(b->s, &old, b->part[i], &fuller))
		return;
	b->bins[at] = fuller;
	place(b, i + 1, i + 1 < b->n && b->part[i + 1] == b->part[i] ? at : 0);
	ps_plan_bin_fini(&b->bins[at]);
	b->bins[at] = old;
}

static void place(struct brute *b, int i, int from)
{
	double usd = cost(b);

	if (usd >= b->best - PS_PLAN_EPS || b->no_memory)
		return;
	if (i == b->n) {
		keep(b, usd);
		return;
	}
	for (int at = from; at < b->n_bins; at++)
		try_bin(b, i, at);
	ps_plan_bin_init(&b->bins[b->n_bins], 0);
	b->n_bins++;
	try_bin(b, i, b->n_bins - 1);
	b->n_bins--;
}

enum ps_status ps_plan_brute(const struct ps_plan_space *s, struct ps_plan_bins *ret_bins,
			     struct ps_error *err)
{
	struct ps_plan_bins found = {0};
	struct brute b = {.s = s, .best = INFINITY, .found = &found};

	for (int k = 0; k < s->kinds; k++) {
		for (int i = 0; i < s->p->kinds[k].parts; i++) {
			if (b.n == PS_PLAN_BRUTE_PARTS)
				return ps_error_set(err, PS_ETOOBIG,
						    "every plan is tried for at most %d parts",
						    PS_PLAN_BRUTE_PARTS);
			b.part[b.n++] = k;
		}
	}
	place(&b, 0, 0);
	if (b.no_memory) {
		ps_plan_bins_fini(&found);
		return ps_error_set(err, PS_ENOMEM, "no memory for a plan");
	}
	*ret_bins = found;
	return PS_OK;
}
