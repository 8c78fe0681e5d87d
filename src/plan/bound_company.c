/* The bound where kinds slow each other down.
 *
 * A machine holds kinds of one group, or of several; then each of its parts has a neighbour of
 * another group, and needs at least mixed(t, k) on type t (oracle.h). Take weights y >= 0 with
 * y_t . room_t <= p_t, p_t being the price, and values v >= 0 of kinds with
 *
 *  (1) v_k <= y_t . mixed(t, k)             for every type t that may hold k,
 *  (2) sum over S of count x v_k <= p_t     for every set S of one group that fits on t.
 *
 * Then no set that fits is worth more than its machine costs: one of several groups by (1), since
 * sum v_k <= y_t . sum mixed(t, k) <= y_t . room_t <= p_t; one of a single group by (2). A plan
 * holds every part, so that it costs at least the sum of v_k over all parts.
 *
 * The largest v for (1) is u_k = min over t of y_t . mixed(t, k). (2) is then reached by each group
 * for itself, in the better of two ways; both leave (1) true:
 *  - u times s, s = min(1, min over t of p_t / W_t), where no set of the group is worth more than
 *    W_t under u on t: exact pricing, or the bound of the branches that it did not go into;
 *  - w_k = min over t of y_t . least(t, k), for which (2) holds as for the fractional bound, and
 *    (1), as least <= mixed.
 * A part that is the only one of its group needs no pricing: alone it is worth u_k <= y_t . room_t
 * <= p_t, as mixed is at most the room. So "it may be alone" is paid with a whole machine.
 */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

#define MAX_NUMBERS 8e6 /* of needs kept */
#define TIME_SHARE  0.1 /* of the search's, for pricing groups */

enum { NODES = 5000 }; /* of a pricing, per level */

struct company {
	const struct ps_plan_space *s;
	struct ps_plan_space
		mixed; /* with the needs beside others: its weights are y, its values u */
	double *plain; /* [kind]: w */
	double *dual;  /* [kind]: u of one group, else 0 */
	bool *done;    /* [kind] */
	int64_t until_ns;
};

static bool company_init(struct company *c, const struct ps_plan_space *s)
{
	size_t types = (size_t)s->types, kinds = (size_t)s->kinds, dims = (size_t)s->dims;

	*c = (struct company){
		.s = s,
		.mixed = *s,
		.plain = calloc(kinds, sizeof(double)),
		.dual = calloc(kinds, sizeof(double)),
		.done = calloc(kinds, sizeof(bool)),
		.until_ns = ps_clock_read(s->options->clock) +
			    (int64_t)(TIME_SHARE * (double)s->options->time_limit_ns),
	};
	c->mixed.own = calloc(types * kinds * dims, sizeof(double));
	c->mixed.weight = calloc(types * dims, sizeof(double));
	c->mixed.value = calloc(kinds, sizeof(double));
	return c->plain && c->dual && c->done && c->mixed.own && c->mixed.weight && c->mixed.value;
}

static void company_fini(struct company *c)
{
	free(c->mixed.own);
	free(c->mixed.weight);
	free(c->mixed.value);
	free(c->plain);
	free(c->dual);
	free(c->done);
}

static void ask(struct company *c)
{
	const struct ps_plan_space *s = c->s;

	for (int t = 0; t < s->types; t++) {
		for (int k = 0; k < s->kinds; k++) {
			size_t cell = (size_t)t * (size_t)s->kinds + (size_t)k;
			if (s->level[cell] >= 0)
				s->o->mixed(s->o->ctx, t, k, c->mixed.own + cell * (size_t)s->dims);
		}
	}
}

/* w under the weights y. */
static double plain_value(const struct company *c, int kind)
{
	const struct ps_plan_space *s = c->s;
	double best = INFINITY;

	for (int t = 0; t < s->types; t++) {
		size_t cell = (size_t)t * (size_t)s->kinds + (size_t)kind;
		double usd = 0;
		if (s->level[cell] < 0)
			continue;
		for (int d = 0; d < s->dims; d++)
			usd += c->mixed.weight[t * s->dims + d] *
			       s->own[cell * (size_t)s->dims + (size_t)d];
		best = fmin(best, usd);
	}
	return best;
}

/* p_t / W_t, at most 1; 0 when nothing is proven. */
static double scale_on(const struct company *c, int type)
{
	double usd = c->s->p->types[type].usd_per_hour;
	struct ps_plan_pricing x = {.dual = c->dual, .above = usd, .budget = NODES};
	struct ps_plan_patterns found = {0};
	enum ps_status st = ps_plan_price(c->s, type, &x, &found, 0);

	ps_plan_patterns_fini(&found);
	if (st != PS_OK)
		return 0;
	return x.at_most > usd ? usd / x.at_most : 1;
}

/* Its values are in `dual`; `plain` is the sum of w over its parts, `full` that of u. */
static double group_worth(const struct company *c, double full, double plain)
{
	double scale = 1;

	for (int t = 0; t < c->s->types && scale * full > plain; t++) {
		if (ps_clock_read(c->s->options->clock) >= c->until_ns) {
			if (c->s->was_late)
				*c->s->was_late = true;
			return plain;
		}
		scale = fmin(scale, scale_on(c, t));
	}
	return fmax(scale * full, plain);
}

/* The group of kind k, in money. */
static double worth_of(struct company *c, int k)
{
	const struct ps_plan_space *s = c->s;
	int group = s->o->group(s->o->ctx, k);
	double full = 0, plain = 0, parts = 0;

	for (int i = k; i < s->kinds; i++) {
		if (s->o->group(s->o->ctx, i) != group)
			continue;
		c->done[i] = true;
		c->dual[i] = c->mixed.value[i];
		parts += s->p->kinds[i].parts;
		full += s->p->kinds[i].parts * c->mixed.value[i];
		plain += s->p->kinds[i].parts * c->plain[i];
	}
	double worth = parts > 1 ? group_worth(c, full, plain) : full;
	for (int i = k; i < s->kinds; i++)
		c->dual[i] = 0;
	return worth;
}

double ps_plan_bound_company(const struct ps_plan_space *s)
{
	double sum = 0;
	struct company c;

	if (!s->o->group || (double)s->types * s->kinds * s->dims > MAX_NUMBERS)
		return 0;
	bool fine = company_init(&c, s);
	if (fine) {
		ask(&c);
		(void)ps_plan_bound_fractional(&c.mixed);
	}
	for (int k = 0; fine && k < s->kinds; k++)
		c.plain[k] = plain_value(&c, k);
	for (int k = 0; fine && k < s->kinds; k++)
		sum += c.done[k] ? 0 : worth_of(&c, k);
	company_fini(&c);
	return sum;
}
