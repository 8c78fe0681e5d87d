/* Local search: a few machines are emptied and filled anew, and kept when that is no dearer. Badly
 * filled machines are chosen more often, and with them machines of about their strictness: others
 * have no parts to give that would go well with theirs. Where groups slow each other down, every
 * other order keeps groups together. Three ways to fill anew: greedily with scattered values,
 * strictest first, or by giving one machine's parts to the others and what is left to a machine
 * that just holds it. */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE	    6  /* machines emptied at most */
#define NEAR	    10 /* places in the order of strictness that a neighbour is away at most */
#define CLOCK_STEPS 16
#define SORT_SHARE  8	/* sorted anew when one in so many machines has been replaced */
#define AFAR	    0.2 /* of the steps take machines from anywhere */

struct search {
	const struct ps_plan_space *s;
	struct ps_plan_bins *bs;
	struct ps_plan_patterns *seen;
	struct ps_rng *r;
	int *remaining; /* [kind], zero between steps */
	int *loose;	/* kinds that were taken out */
	int n_loose;
	int chosen[AT_ONCE], n_chosen;
	int replaced;  /* since the machines were sorted */
	bool by_group; /* and how they are the next time */
};

static double price(const struct search *x, const struct ps_plan_bin *b)
{
	return x->s->p->types[b->type].usd_per_hour;
}

/* Of three at random the one that is worth least for its price. */
static int pick_one(struct search *x)
{
	int best = -1;
	double least = INFINITY;

	for (int i = 0; i < 3; i++) {
		int at = (int)ps_rng_below(x->r, (uint64_t)x->bs->n);
		const struct ps_plan_bin *b = &x->bs->items[at];
		double worth = ps_plan_bin_value(x->s, b) / price(x, b);
		if (worth < least) {
			least = worth;
			best = at;
		}
	}
	return best;
}

struct place {
	struct ps_plan_bin bin;
	double strictness;
	int at, group;
};

static int stricter_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->group != y->group)
		return x->group > y->group ? 1 : -1;
	if (x->strictness != y->strictness)
		return x->strictness < y->strictness ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

static double strictness_of(const struct ps_plan_space *s, const struct ps_plan_bin *b)
{
	double most = 0;

	for (int i = 0; i < b->n; i++)
		most = fmax(most, s->o->strictness(s->o->ctx, b->type, b->set[i].kind));
	return most;
}

/* Of the machine's first kind: one that holds several groups is near the others of that. */
static int group_of(const struct search *x, const struct ps_plan_bin *b)
{
	return x->by_group && b->n > 0 ? x->s->o->group(x->s->o->ctx, b->set[0].kind) : 0;
}

/* Without memory they stay as they are. */
static void sort_machines(struct search *x)
{
	struct place *places = malloc((size_t)x->bs->n * sizeof(*places));

	x->replaced = 0;
	if (!places)
		return;
	for (int i = 0; i < x->bs->n; i++) {
		const struct ps_plan_bin *b = &x->bs->items[i];
		places[i] = (struct place){*b, strictness_of(x->s, b), i, group_of(x, b)};
	}
	x->by_group = x->s->o->group && !x->by_group;
	qsort(places, (size_t)x->bs->n, sizeof(*places), stricter_first);
	for (int i = 0; i < x->bs->n; i++)
		x->bs->items[i] = places[i].bin;
	free(places);
}

/* A machine at most NEAR places from another. */
static int near(struct search *x, int at)
{
	int low = at > NEAR ? at - NEAR : 0;
	int high = at + NEAR < x->bs->n ? at + NEAR : x->bs->n - 1;

	return low + (int)ps_rng_below(x->r, (uint64_t)high - (uint64_t)low + 1);
}

static void pick(struct search *x)
{
	int want = 2 + (int)ps_rng_below(x->r, AT_ONCE - 1);
	bool afar = x->s->levels == 1 || ps_rng_uniform(x->r) < AFAR;

	if (x->s->levels > 1 && x->replaced > x->bs->n / SORT_SHARE)
		sort_machines(x);
	x->n_chosen = 0;
	for (int tries = 0; x->n_chosen < want && tries < 3 * want; tries++) {
		int at = afar || x->n_chosen == 0 ? pick_one(x) : near(x, x->chosen[0]), known = 0;
		for (int i = 0; i < x->n_chosen; i++)
			known |= x->chosen[i] == at;
		if (!known)
			x->chosen[x->n_chosen++] = at;
	}
}

static int ascending(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static void loosen(struct search *x, const struct ps_plan_bin *b)
{
	for (int i = 0; i < b->n; i++) {
		int k = b->set[i].kind;
		if (x->remaining[k] == 0)
			x->loose[x->n_loose++] = k;
		x->remaining[k] += b->set[i].count;
	}
}

static void forget(struct search *x)
{
	for (int i = 0; i < x->n_loose; i++)
		x->remaining[x->loose[i]] = 0;
	x->n_loose = 0;
}

/* All of the chosen, filled anew. */
static bool refill(struct search *x, bool strictest_first, struct ps_plan_bins *ret_bins)
{
	static const double noises[] = {0, 0.02, 0.1, 0.3};
	double noise = noises[ps_rng_below(x->r, 4)];

	for (int i = 0; i < x->n_chosen; i++)
		loosen(x, &x->bs->items[x->chosen[i]]);
	qsort(x->loose, (size_t)x->n_loose, sizeof(*x->loose), ascending);
	if (strictest_first)
		return ps_plan_strict(x->s, x->remaining, x->loose, x->n_loose,
				      ps_rng_uniform(x->r), noise, x->r, ret_bins) == PS_OK;
	return ps_plan_greedy(x->s, x->remaining, x->loose, x->n_loose, noise, x->r, ret_bins) ==
	       PS_OK;
}

/* The first one's parts into the others. */
static bool give_away(struct search *x, struct ps_plan_bins *ret_bins)
{
	struct ps_plan_bins kept = {0}, rest = {0};
	bool fine = true;

	for (int i = 1; fine && i < x->n_chosen; i++) {
		struct ps_plan_bin copy;
		fine = ps_plan_bin_copy(&copy, &x->bs->items[x->chosen[i]]) &&
		       ps_plan_bins_take(&kept, &copy);
	}
	loosen(x, &x->bs->items[x->chosen[0]]);
	for (int i = 0; fine && i < x->n_loose; i++) {
		int k = x->loose[i];
		for (int j = 0; j < kept.n && x->remaining[k] > 0; j++)
			x->remaining[k] -=
				ps_plan_bin_most(x->s, &kept.items[j], k, x->remaining[k]);
	}
	if (fine)
		fine = ps_plan_greedy(x->s, x->remaining, x->loose, x->n_loose, 0, x->r, &rest) ==
		       PS_OK;
	for (int i = 0; fine && i < rest.n; i++)
		fine = ps_plan_bins_take(&kept, &rest.items[i]);
	ps_plan_bins_fini(&rest);
	if (!fine) {
		ps_plan_bins_fini(&kept);
		return false;
	}
	*ret_bins = kept;
	return true;
}

/* How unevenly machines are filled: of two plans of one price the more uneven one is nearer to a
 * machine that can go. */
static double unevenness(const struct search *x, const struct ps_plan_bin *b)
{
	double worth = ps_plan_bin_value(x->s, b) / price(x, b);

	return worth * worth * price(x, b);
}

static void weigh_chosen(const struct search *x, double *ret_usd, double *ret_uneven)
{
	*ret_usd = *ret_uneven = 0;
	for (int i = 0; i < x->n_chosen; i++) {
		const struct ps_plan_bin *b = &x->bs->items[x->chosen[i]];
		*ret_usd += price(x, b);
		*ret_uneven += unevenness(x, b);
	}
}

static void weigh(const struct search *x, const struct ps_plan_bins *bs, double *ret_usd,
		  double *ret_uneven)
{
	*ret_usd = *ret_uneven = 0;
	for (int i = 0; i < bs->n; i++) {
		*ret_usd += price(x, &bs->items[i]);
		*ret_uneven += unevenness(x, &bs->items[i]);
	}
}

static void remember(struct search *x, const struct ps_plan_bins *bs)
{
	for (int i = 0; x->seen && x->seen->n < PS_PLAN_MAX_SEEN && i < bs->n; i++) {
		const struct ps_plan_bin *b = &bs->items[i];
		/* Without memory it is only not remembered. */
		(void)ps_plan_patterns_add(x->seen, b->type, b->set, b->n, NULL);
	}
}

/* The new machines in place of the chosen ones. */
static bool replace(struct search *x, struct ps_plan_bins *fresh)
{
	qsort(x->chosen, (size_t)x->n_chosen, sizeof(*x->chosen), ascending);
	for (int i = x->n_chosen - 1; i >= 0; i--) {
		struct ps_plan_bin *b = &x->bs->items[x->chosen[i]];
		ps_plan_bin_fini(b);
		*b = x->bs->items[--x->bs->n];
	}
	bool fine = true;
	for (int i = 0; i < fresh->n; i++)
		fine = ps_plan_bins_take(x->bs, &fresh->items[i]) && fine;
	x->replaced += fresh->n;
	return fine;
}

/* One step; what was saved goes to *ret_saved. False without memory: the plan is as it was, but for
 * a failure in the very last move, which the check of the plan finds. */
static bool step(struct search *x, double *ret_saved)
{
	struct ps_plan_bins fresh = {0};
	double usd, uneven, new_usd, new_uneven;

	*ret_saved = 0;
	pick(x);
	int way = (int)ps_rng_below(x->r, 3);
	bool fine = way < 2 ? refill(x, way == 0, &fresh) : give_away(x, &fresh);
	forget(x);
	if (!fine)
		return false;
	weigh_chosen(x, &usd, &uneven);
	weigh(x, &fresh, &new_usd, &new_uneven);
	if (new_usd < usd - PS_PLAN_EPS ||
	    (new_usd < usd + PS_PLAN_EPS && new_uneven > uneven * (1 - 1e-3))) {
		*ret_saved = usd - new_usd;
		remember(x, &fresh);
		fine = replace(x, &fresh);
	}
	ps_plan_bins_fini(&fresh);
	return fine;
}

int64_t ps_plan_improve(const struct ps_plan_space *s, struct ps_plan_bins *bs, int64_t steps,
			double good_enough, struct ps_plan_patterns *seen, struct ps_rng *r)
{
	struct search x = {
		.s = s,
		.bs = bs,
		.seen = seen,
		.r = r,
		.remaining = calloc((size_t)s->kinds, sizeof(int)),
		.loose = calloc((size_t)s->kinds, sizeof(int)),
	};
	double usd = ps_plan_bins_cost(s, bs), saved;
	int64_t done = 0;

	if (s->levels > 1 && bs->n > 1)
		sort_machines(&x);

	while (x.remaining && x.loose && done < steps && bs->n > 1 && usd > good_enough) {
		if (done % CLOCK_STEPS == 0 && ps_plan_space_late(s))
			break;
		if (!step(&x, &saved))
			break;
		usd -= saved;
		done++;
	}
	free(x.remaining);
	free(x.loose);
	return done;
}
