/* Strictest first. The strictest part that is left has to be somewhere, and of the parts that are
 * left none is stricter: so what is needed beside it is known, and the machine is filled as full as
 * pricing finds from the parts that come next in strictness, which lose least by its company. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW = 160,	  /* kinds that a machine is filled from */
	FILL_NODES = 300, /* of one filling */
	MOST_TYPES = 4,	  /* that are tried for a machine */
};
#define WORTHWHILE 0.8 /* of the best type's value per need of the strictest part */

struct entry {
	int kind;
	double strictness;
};

struct strict {
	const struct ps_plan_space *s;
	int *remaining;
	double *value; /* [kind] */
	int *queue;    /* kinds, strictest first */
	int n, at;
};

static int strictest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->strictness != y->strictness)
		return x->strictness > y->strictness ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static int home_of(const struct ps_plan_space *s, int kind)
{
	int best = -1;
	double least = INFINITY;

	for (int t = 0; t < s->types; t++) {
		double usd = ps_plan_space_least_usd(s, t, kind);
		if (best < 0 ? s->level[(size_t)t * (size_t)s->kinds + (size_t)kind] >= 0
			     : usd < least) {
			best = t;
			least = usd;
		}
	}
	return best;
}

/* All that is left, or `only` of it, in the order of strictness where each is cheapest. */
static bool make_queue(struct strict *x, const int *only, int n_only)
{
	int n = only ? n_only : x->s->kinds;
	struct entry *entries = malloc(((size_t)n + 1) * sizeof(*entries));

	x->queue = malloc(((size_t)n + 1) * sizeof(*x->queue));
	if (!entries || !x->queue) {
		free(entries);
		return false;
	}
	for (int i = 0; i < n; i++) {
		int k = only ? only[i] : i;
		if (x->remaining[k] < 1)
			continue;
		entries[x->n++] =
			(struct entry){k, x->s->o->strictness(x->s->o->ctx, home_of(x->s, k), k)};
	}
	qsort(entries, (size_t)x->n, sizeof(*entries), strictest_first);
	for (int i = 0; i < x->n; i++)
		x->queue[i] = entries[i].kind;
	free(entries);
	return true;
}

/* The next kinds of which parts are left. */
static int window_of(struct strict *x, int *ret_kinds)
{
	int n = 0;

	while (x->at < x->n && x->remaining[x->queue[x->at]] < 1)
		x->at++;
	for (int i = x->at; i < x->n && n < WINDOW; i++) {
		if (x->remaining[x->queue[i]] > 0)
			ret_kinds[n++] = x->queue[i];
	}
	return n;
}

/* The types where the kind brings most for its need, best first. */
static int types_for(const struct strict *x, int kind, int *ret_types)
{
	double least = INFINITY, usd[MOST_TYPES];
	int n = 0;

	for (int t = 0; t < x->s->types; t++)
		least = fmin(least, ps_plan_space_least_usd(x->s, t, kind));
	for (int t = 0; t < x->s->types; t++) {
		double mine = ps_plan_space_least_usd(x->s, t, kind);
		int at = n < MOST_TYPES ? n : MOST_TYPES;
		if (x->s->level[(size_t)t * (size_t)x->s->kinds + (size_t)kind] < 0 ||
		    mine * WORTHWHILE > least)
			continue;
		while (at > 0 && mine < usd[at - 1])
			at--;
		if (at == MOST_TYPES)
			continue;
		n += n < MOST_TYPES;
		for (int i = n - 1; i > at; i--) {
			usd[i] = usd[i - 1];
			ret_types[i] = ret_types[i - 1];
		}
		usd[at] = mine;
		ret_types[at] = t;
	}
	return n;
}

static double worth_of(const struct strict *x, const struct ps_plan_pattern *p)
{
	double sum = 0;

	for (int i = 0; i < p->n; i++)
		sum += x->value[p->set[i].kind] * p->set[i].count;
	return sum / x->s->p->types[p->type].usd_per_hour;
}

/* The best filling of the best type; an empty machine when there is none, false without memory. */
static bool fill(struct strict *x, struct ps_plan_bin *ret_bin)
{
	int kinds[WINDOW], types[MOST_TYPES];
	int n = window_of(x, kinds), n_types = n > 0 ? types_for(x, kinds[0], types) : 0;
	double best = -1;
	bool fine = true;

	ps_plan_bin_init(ret_bin, 0);
	for (int i = 0; fine && i < n_types; i++) {
		struct ps_plan_pricing asked = {.dual = x->value, .budget = FILL_NODES};
		struct ps_plan_patterns found = {0};
		fine = ps_plan_fill(x->s, types[i], kinds, n, x->remaining, &asked, &found) ==
		       PS_OK;
		const struct ps_plan_pattern *p = found.n > 0 ? &found.items[found.n - 1] : NULL;
		if (fine && p && worth_of(x, p) > best) {
			best = worth_of(x, p);
			ps_plan_bin_fini(ret_bin);
			ps_plan_bin_init(ret_bin, p->type);
			for (int j = 0; fine && j < p->n; j++)
				fine = ps_plan_bin_add(x->s, ret_bin, p->set[j].kind,
						       p->set[j].count);
		}
		ps_plan_patterns_fini(&found);
	}
	return fine;
}

/* As often as its parts are left. */
static bool commit(struct strict *x, struct ps_plan_bin *b, struct ps_plan_bins *bins)
{
	int times = PS_PLAN_MAX_PARTS;
	bool fine = true;

	for (int i = 0; i < b->n; i++) {
		int t = x->remaining[b->set[i].kind] / b->set[i].count;
		times = t < times ? t : times;
	}
	for (int i = 0; i < b->n; i++)
		x->remaining[b->set[i].kind] -= times * b->set[i].count;
	ps_plan_bin_shrink(x->s, b);
	for (; fine && times > 1; times--) {
		struct ps_plan_bin copy;
		fine = ps_plan_bin_copy(&copy, b) && ps_plan_bins_take(bins, &copy);
	}
	return ps_plan_bins_take(bins, b) && fine;
}

static bool run(struct strict *x, struct ps_plan_bins *bins)
{
	for (;;) {
		struct ps_plan_bin b;
		if (!fill(x, &b)) {
			ps_plan_bin_fini(&b);
			return false;
		}
		if (b.n == 0) {
			ps_plan_bin_fini(&b);
			return x->at == x->n;
		}
		if (!commit(x, &b, bins))
			return false;
	}
}

/* What parts are worth here: large ones more than their share, since they are harder to place. */
static bool set_values(struct strict *x, double tilt, double noise, struct ps_rng *r)
{
	const struct ps_plan_space *s = x->s;
	double most = 0;

	x->value = malloc((size_t)s->kinds * sizeof(*x->value));
	for (int i = 0; x->value && i < x->n; i++)
		most = fmax(most, s->value[x->queue[i]]);
	for (int i = 0; x->value && i < x->n; i++) {
		int k = x->queue[i];
		double size = most > 0 ? s->value[k] / most : 0;
		double scatter = noise > 0 ? 1 + noise * (2 * ps_rng_uniform(r) - 1) : 1;
		x->value[k] = fmax(s->value[k] * (1 + tilt * size) * scatter, 1e-12);
	}
	return x->value != NULL;
}

enum ps_status ps_plan_strict(const struct ps_plan_space *s, int *remaining, const int *only,
			      int n_only, double tilt, double noise, struct ps_rng *r,
			      struct ps_plan_bins *ret_bins)
{
	struct strict x = {.s = s, .remaining = remaining};
	struct ps_plan_bins bins = {0};
	bool fine =
		make_queue(&x, only, n_only) && set_values(&x, tilt, noise, r) && run(&x, &bins);

	free(x.queue);
	free(x.value);
	if (!fine) {
		ps_plan_bins_fini(&bins);
		return PS_ENOMEM;
	}
	*ret_bins = bins;
	return PS_OK;
}
