/* First fit decreasing: the parts, those worth most first, each into the first machine that holds
 * it with all that is there; where none does a machine is opened, of the type that brings most for
 * its price. What holds a part is judged as everywhere: agreement, memory, who keeps apart from
 * whom, and not more parts of a kind than it has tenants. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

enum {
	MOST_ASKS = 1000000, /* of machines whether they hold a part: then only the newest */
	NEWEST = 32,
};
#define ALIKE 1e-6 /* needs in money that differ by less are the same */

struct entry {
	int kind;
	double value;
};

static int dearest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

/* Of types that bring as much the dearest, which is the largest: it is made the cheapest one that
 * holds what came in at the end. */
static int home_of(const struct ps_plan_space *s, int kind)
{
	double least = INFINITY;
	int best = -1;

	for (int t = 0; t < s->types; t++) {
		double usd = ps_plan_space_least_usd(s, t, kind);
		bool alike = best >= 0 && fabs(usd - least) <= ALIKE * least;
		if (isinf(usd))
			continue;
		if (alike ? s->p->types[t].usd_per_hour > s->p->types[best].usd_per_hour
			  : usd < least)
			best = t;
		least = fmin(least, usd);
	}
	return best;
}

/* All parts of one kind. False without memory. */
static bool place(const struct ps_plan_space *s, int kind, int64_t *asked,
		  struct ps_plan_bins *bins)
{
	int left = s->p->kinds[kind].parts;
	int first = *asked < MOST_ASKS || bins->n < NEWEST ? 0 : bins->n - NEWEST;

	for (int i = first; left > 0 && i < bins->n; i++, ++*asked)
		left -= ps_plan_bin_most(s, &bins->items[i], kind, left);
	while (left > 0) {
		struct ps_plan_bin b;
		ps_plan_bin_init(&b, home_of(s, kind));
		int n = ps_plan_bin_most(s, &b, kind, left);
		if (n < 1) {
			ps_plan_bin_fini(&b);
			return false;
		}
		left -= n;
		if (!ps_plan_bins_take(bins, &b))
			return false;
	}
	return true;
}

enum ps_status ps_plan_decreasing(const struct ps_plan_space *s, struct ps_plan_bins *ret_bins)
{
	struct entry *entries = malloc((size_t)s->kinds * sizeof(*entries));
	struct ps_plan_bins bins = {0};
	bool fine = entries != NULL;
	int64_t asked = 0;

	for (int k = 0; fine && k < s->kinds; k++)
		entries[k] = (struct entry){k, s->value[k]};
	if (fine)
		qsort(entries, (size_t)s->kinds, sizeof(*entries), dearest_first);
	for (int i = 0; fine && i < s->kinds; i++)
		fine = place(s, entries[i].kind, &asked, &bins);
	free(entries);
	if (!fine) {
		ps_plan_bins_fini(&bins);
		return PS_ENOMEM;
	}
	for (int i = 0; i < bins.n; i++)
		ps_plan_bin_shrink(s, &bins.items[i]);
	*ret_bins = bins;
	return PS_OK;
}
