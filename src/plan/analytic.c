#include "plan/analytic_internal.h"

#include <math.h>

/* ---- beside others ---- */

/* A tenant is on a machine once: a second part there is somebody else's. */
static bool has_company(const struct ps_plan_count *set, int n)
{
	return n > 1 || (n == 1 && set[0].count > 1);
}

/* A set as it is judged: what each of its models takes there, worked out once. Sets of more models
 * than are kept have the others worked out when they are asked for. */
enum { KEPT = 32 };

struct company {
	const struct ps_plan_analytic *a;
	const struct ps_plan_count *set;
	int type, n, models, of[KEPT]; /* of[]: ascending, as kinds ascend with their models */
	struct ps_plan_service takes[KEPT];
};

/* What a model takes in a set. Errors of the factors are independent of each other: as squares they
 * add up, and with each neighbour they grow. */
static struct ps_plan_service in_set(const struct company *c, int own)
{
	const struct ps_plan_analytic *a = c->a;
	struct ps_plan_service s = *ps_plan_service_at(a, c->type, own);
	double factor = has_company(c->set, c->n) ? ps_plan_slowdown_of(&s) : 1, error = 0;
	int last = own;

	for (int k = 0; a->beside && k < c->n; k++) {
		int other = a->demands[c->set[k].kind].model;
		if (other == own || other == last)
			continue;
		last = other;
		factor *= a->beside[own * a->models + other].middle;
		error += a->beside_error[own * a->models + other];
	}
	if (factor > 1 || error > 0) {
		s.mean_s *= factor;
		s.high_s *= factor * exp(sqrt(error));
	}
	return s;
}

static void company_init(struct company *c, const struct ps_plan_analytic *a, int type,
			 const struct ps_plan_count *set, int n)
{
	c->a = a;
	c->set = set;
	c->type = type;
	c->n = n;
	c->models = 0;
	for (int i = 0; i < n && c->models < KEPT; i++) {
		int m = a->demands[set[i].kind].model;
		if (c->models > 0 && c->of[c->models - 1] == m)
			continue;
		c->of[c->models] = m;
		c->takes[c->models++] = in_set(c, m);
	}
}

/* For members one after the other; *at goes with them, 0 at first. */
static struct ps_plan_service takes(const struct company *c, int i, int *at)
{
	int m = c->a->demands[c->set[i].kind].model;

	while (*at < c->models && c->of[*at] < m)
		++*at;
	return *at < c->models ? c->takes[*at] : in_set(c, m);
}

/* The greatest strictness of the members; *ret_kind is whose. */
static double strictest_of(const struct company *c, int *ret_kind)
{
	const struct ps_plan_analytic *a = c->a;
	const struct ps_plan_count *set = c->set;
	double x = 0, at_x = 0, reached = 0;
	int at = 0, model = -1;

	*ret_kind = c->n > 0 ? set[0].kind : -1;
	for (int i = 0; i < c->n; i++) {
		double mine = ps_plan_strictness_at(a, c->type, set[i].kind);
		if (mine > x) {
			x = mine;
			*ret_kind = set[i].kind;
		}
	}
	for (int i = 0; a->slows && has_company(set, c->n) && i < c->n && isfinite(x); i++) {
		const struct ps_plan_demand *d = &a->demands[set[i].kind];
		struct ps_plan_service s = takes(c, i, &at);
		if (s.high_s <= ps_plan_service_at(a, c->type, d->model)->high_s)
			continue;
		if (d->model != model || x != at_x) {
			reached = ps_plan_log_mgf(x, s.high_s, s.cv);
			model = d->model;
			at_x = x;
		}
		/* most are no stricter than the strictest so far: that is quick to see */
		if (x * d->limit_s - reached >= -log1p(-d->percentile))
			continue;
		double mine = ps_plan_strictness(s.high_s, s.cv, d->percentile, d->limit_s);
		if (mine > x) {
			x = mine;
			*ret_kind = set[i].kind;
		}
	}
	return x;
}

/* ---- judging ---- */

/* Does the waiting of a set allow x? Hour by hour; `upper` takes the upper ends of service times.
 */
static bool allows(const struct company *c, double x, bool upper, double factor)
{
	const struct ps_plan_analytic *a = c->a;
	double load[PS_PLAN_MAX_HOURS] = {0}, lanes = a->hosts[c->type].lanes * (1 + PS_PLAN_ROOM);
	double of_one = 0;
	int at = 0, model = -1;

	for (int i = 0; i < c->n; i++) {
		const struct ps_plan_demand *d = &a->demands[c->set[i].kind];
		if (d->model != model) {
			struct ps_plan_service s = takes(c, i, &at);
			of_one = ps_plan_load_at(x, upper ? s.high_s : s.mean_s, s.cv);
			model = d->model;
		}
		double one = factor * c->set[i].count * of_one;
		for (int h = 0; h < a->hours; h++) {
			load[h] += d->rate_rps[h] * one;
			if (!(load[h] <= lanes))
				return false;
		}
	}
	return true;
}

static double memory_of(const struct ps_plan_analytic *a, int type, const struct ps_plan_count *set,
			int n)
{
	double bytes = a->hosts[type].server_bytes, peak = 0;
	int last = -1;

	for (int i = 0; i < n; i++) {
		int m = a->demands[set[i].kind].model;
		if (m == last)
			continue;
		last = m;
		bytes += a->footprints[m].resident_bytes;
		peak = fmax(peak, a->footprints[m].peak_bytes);
	}
	return bytes + peak;
}

static enum ps_plan_reason judge(const void *ctx, int type, const struct ps_plan_count *set, int n,
				 int *ret_kind)
{
	const struct ps_plan_analytic *a = ctx;
	struct company c;
	int strictest = -1;

	company_init(&c, a, type, set, n);
	double x = strictest_of(&c, &strictest);
	if (ret_kind)
		*ret_kind = strictest;
	if (isinf(x) && isinf(ps_plan_strictness_at(a, type, strictest)))
		return ps_plan_analytic_alone(a, type, strictest, NULL);
	if (isinf(x))
		return PS_PLAN_LATENCY; /* alone it would fit: it is the neighbours */
	if (memory_of(a, type, set, n) > a->hosts[type].memory_bytes)
		return PS_PLAN_MEMORY;
	return allows(&c, x, true, 1) ? PS_PLAN_FITS : PS_PLAN_LATENCY;
}

enum ps_plan_reason ps_plan_analytic_alone(const struct ps_plan_analytic *a, int type, int kind,
					   double *ret_nearest_s)
{
	const struct ps_plan_demand *d = &a->demands[kind];
	const struct ps_plan_service *s = ps_plan_service_at(a, type, d->model);
	struct ps_plan_count one = {kind, 1};

	if (ret_nearest_s)
		*ret_nearest_s =
			s->known ? ps_plan_latency(INFINITY, s->high_s, s->cv, d->percentile)
				 : INFINITY;
	if (!s->known)
		return PS_PLAN_NO_PROFILE;
	if (d->allowed && !d->allowed[type])
		return PS_PLAN_NOT_ALLOWED;
	if (memory_of(a, type, &one, 1) > a->hosts[type].memory_bytes)
		return PS_PLAN_MEMORY;
	double x = ps_plan_strictness_at(a, type, kind);
	if (isinf(x))
		return PS_PLAN_TOO_SLOW;
	struct company c;
	company_init(&c, a, type, &one, 1);
	return allows(&c, x, true, 1) ? PS_PLAN_FITS : PS_PLAN_LATENCY;
}

double ps_plan_analytic_rate(const struct ps_plan_analytic *a, int type, int kind)
{
	const struct ps_plan_demand *d = &a->demands[kind];
	const struct ps_plan_service *s = ps_plan_service_at(a, type, d->model);
	struct ps_plan_count one = {kind, 1};
	double x = ps_plan_strictness_at(a, type, kind);

	if (isinf(x) || memory_of(a, type, &one, 1) > a->hosts[type].memory_bytes)
		return 0;
	return a->hosts[type].lanes / ps_plan_load_at(x, s->high_s, s->cv);
}

/* ---- what must fit ---- */

static int level(const void *ctx, int type, int kind)
{
	const struct ps_plan_analytic *a = ctx;
	struct ps_plan_count one = {kind, 1};
	double x = ps_plan_strictness_at(a, type, kind);
	int q = 0;

	if (judge(ctx, type, &one, 1, NULL) != PS_PLAN_FITS)
		return -1;
	while (q + 1 < a->levels && a->edge[type * a->levels + q + 1] <= x * (1 + 1e-12))
		q++;
	return q;
}

/* A model is there once for all its tenants: as many as fit by load share its memory. */
static void set_need(const struct ps_plan_analytic *a, int type, int kind, double load,
		     double *ret_need)
{
	const struct ps_plan_demand *d = &a->demands[kind];
	int most = a->most_together[type * a->models + d->model];

	for (int h = 0; h < a->hours; h++)
		ret_need[h] = d->rate_rps[h] > 0 ? d->rate_rps[h] * load : 0;
	ret_need[a->hours] = a->footprints[d->model].resident_bytes / (most > 1 ? most : 1);
}

static void room(const void *ctx, int type, double *ret_room)
{
	const struct ps_plan_analytic *a = ctx;
	const struct ps_plan_host *h = &a->hosts[type];

	for (int i = 0; i < a->hours; i++)
		ret_room[i] = h->lanes * (1 + PS_PLAN_ROOM);
	ret_room[a->hours] = fmax(h->memory_bytes - h->server_bytes, 0);
}

/* What a part needs in company is no longer true of one that is alone, but that has all of the
 * machine: the lesser of both is needed in any case. */
static void or_alone(const struct ps_plan_analytic *a, int type, double *need_)
{
	double all[PS_PLAN_MAX_DIMS];

	room(a, type, all);
	for (int d = 0; d <= a->hours; d++)
		need_[d] = fmin(need_[d], all[d]);
}

static void need(const void *ctx, int type, int level_, int kind, double *ret_need)
{
	const struct ps_plan_analytic *a = ctx;
	size_t row = (size_t)type * (size_t)a->levels + (size_t)level_;
	int model = a->demands[kind].model;

	set_need(a, type, kind, a->load[row * (size_t)a->models + (size_t)model], ret_need);
	if (ps_plan_slowdown_of(ps_plan_service_at(a, type, model)) > 1)
		or_alone(a, type, ret_need);
}

/* At its own strictness, with runs so many times as long: beside stricter ones it takes more, as
 * (1) has it grow with x. */
static void need_slowed(const struct ps_plan_analytic *a, int type, int kind, double factor,
			double *ret_need)
{
	const struct ps_plan_demand *d = &a->demands[kind];
	const struct ps_plan_service *s = ps_plan_service_at(a, type, d->model);
	double high_s = s->high_s * factor;
	double x = factor > 1 ? ps_plan_strictness(high_s, s->cv, d->percentile, d->limit_s)
			      : ps_plan_strictness_at(a, type, kind);

	set_need(a, type, kind, isfinite(x) ? ps_plan_load_at(x, high_s, s->cv) : INFINITY,
		 ret_need);
	if (factor > 1)
		or_alone(a, type, ret_need);
}

static void least(const void *ctx, int type, int kind, double *ret_need)
{
	const struct ps_plan_analytic *a = ctx;

	need_slowed(a, type, kind,
		    ps_plan_slowdown_of(ps_plan_service_at(a, type, a->demands[kind].model)),
		    ret_need);
}

static void mixed(const void *ctx, int type, int kind, double *ret_need)
{
	const struct ps_plan_analytic *a = ctx;
	int model = a->demands[kind].model;

	need_slowed(a, type, kind,
		    ps_plan_slowdown_of(ps_plan_service_at(a, type, model)) *
			    a->least_beside[model],
		    ret_need);
}

static int group(const void *ctx, int kind)
{
	const struct ps_plan_analytic *a = ctx;

	return a->demands[kind].model;
}

static double strictness(const void *ctx, int type, int kind)
{
	return ps_plan_strictness_at(ctx, type, kind);
}

/* ---- foreseeing ---- */

/* The largest x that the waiting of a set allows. */
static double decay(const struct company *c, bool upper)
{
	double low = 0, high = 1;

	if (!allows(c, 0, upper, 1))
		return 0;
	while (high < 1e12 && allows(c, high, upper, 1))
		high *= 2;
	for (int i = 0; i < 100; i++) {
		double mid = (low + high) / 2;
		if (allows(c, mid, upper, 1))
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* By how much all rates may grow. */
static double growth(const struct company *c)
{
	double low = 1, high = 2;
	int strictest = -1;
	double x = strictest_of(c, &strictest);

	while (high < 1e6 && allows(c, x, true, high))
		high *= 2;
	for (int i = 0; i < 60; i++) {
		double mid = (low + high) / 2;
		if (allows(c, x, true, mid))
			low = mid;
		else
			high = mid;
	}
	return low - 1;
}

double ps_plan_analytic_busy(const struct ps_plan_analytic *a, int type,
			     const struct ps_plan_count *set, int n)
{
	double used[PS_PLAN_MAX_HOURS] = {0}, most = 0;
	struct company c;
	int at = 0;

	company_init(&c, a, type, set, n);
	for (int i = 0; i < n; i++) {
		const struct ps_plan_demand *d = &a->demands[set[i].kind];
		double one_s = set[i].count * takes(&c, i, &at).mean_s;
		for (int h = 0; h < a->hours; h++)
			used[h] += d->rate_rps[h] * one_s / a->hosts[type].lanes;
	}
	for (int h = 0; h < a->hours; h++)
		most = fmax(most, used[h]);
	return most;
}

static void foresee(const void *ctx, int type, const struct ps_plan_count *set, int n,
		    struct ps_plan_forecast *ret_forecast, struct ps_plan_state *ret_state)
{
	const struct ps_plan_analytic *a = ctx;
	const struct ps_plan_host *host = &a->hosts[type];
	struct company c;
	int at = 0;

	company_init(&c, a, type, set, n);
	double middle = decay(&c, false), upper = decay(&c, true);
	double bytes = memory_of(a, type, set, n);

	for (int i = 0; i < n; i++) {
		const struct ps_plan_demand *d = &a->demands[set[i].kind];
		struct ps_plan_service s = takes(&c, i, &at);
		double peak = 0;
		for (int h = 0; h < a->hours; h++)
			peak = fmax(peak, d->rate_rps[h]);
		ret_forecast[i] = (struct ps_plan_forecast){
			.latency_s = ps_plan_latency(middle, s.mean_s, s.cv, d->percentile),
			.high_s = ps_plan_latency(upper, s.high_s, s.cv, d->percentile),
			.limit_s = d->limit_s,
			.share = peak * s.mean_s / host->lanes,
			.extrapolated = s.extrapolated,
		};
	}
	*ret_state = (struct ps_plan_state){
		.memory_bytes = bytes,
		.memory_share = bytes / host->memory_bytes,
		.growth = growth(&c),
		.share = ps_plan_analytic_busy(a, type, set, n),
	};
}

struct ps_plan_oracle ps_plan_analytic_oracle(const struct ps_plan_analytic *a)
{
	return (struct ps_plan_oracle){
		.ctx = a,
		.types = a->types,
		.kinds = a->kinds,
		.dims = a->hours + 1,
		.levels = a->levels,
		.level = level,
		.need = need,
		.least = least,
		.strictness = strictness,
		.room = room,
		.judge = judge,
		.foresee = foresee,
		.group = a->beside ? group : NULL,
		.mixed = a->beside ? mixed : NULL,
	};
}
