/* The capacity search against queues whose capacity is known, and the saving between two plans.
 *
 * A search is the one that `perseus load --find-capacity` makes: steps as long as trial/ asks, each
 * from an idle server and warmed up as long as trial/ asks, then confirming trials of twice the
 * length. What only a real server can add (a generator that is late) is not in here. The limit of
 * the SLA is chosen such that the capacity lies at the utilisation that the row names.
 *
 * For the saving two tenants with different limits are searched alone and together. They ask for
 * the same service, so together they wait for the same queue and the tighter limit decides: the
 * truth is a formula, and a loss.
 */
#include "truth.h"

#include "cost/cost.h"
#include "trial/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERCENTILE   0.99
#define HALF_WIDTH   0.1
#define MAX_STEPS    60
#define CONFIRMS     3
#define CONFIRM_LONG 2
#define LOOP_S	     4.0 /* of the closed loop that finds the scale */
#define LOOSER	     1.5 /* the other tenant's limit */
#define LEAST_COVER  0.935
#define MAX_TENANTS  2

struct setup {
	enum truth_law law;
	int tenants;
	double rate_rps[MAX_TENANTS]; /* at scale 1 */
	double limit_ns[MAX_TENANTS];
};

struct requests {
	struct ps_trial_request *r[MAX_TENANTS];
	size_t n[MAX_TENANTS], cap;
};

static void fail(const char *what)
{
	fprintf(stderr, "perseus-truth: %s\n", what);
	exit(2);
}

static void put(struct requests *all, int tenant, int64_t at, int64_t latency)
{
	if (all->n[tenant] == all->cap) {
		all->cap = all->cap ? 2 * all->cap : 4096;
		for (int i = 0; i < MAX_TENANTS; i++) {
			all->r[i] = realloc(all->r[i], all->cap * sizeof(*all->r[i]));
			if (!all->r[i])
				fail("no memory");
		}
	}
	all->r[tenant][all->n[tenant]++] = (struct ps_trial_request){at, latency};
}

/* One step from an idle server. */
static void serve(const struct setup *s, double scale, double until_ns, struct ps_rng *rng,
		  struct requests *all)
{
	double total = 0, now = 0, free_at = 0;
	memset(all->n, 0, sizeof(all->n));
	for (int i = 0; i < s->tenants; i++)
		total += s->rate_rps[i] * scale;
	for (;;) {
		now += ps_rng_exponential(rng, 1e9 / total);
		if (now >= until_ns)
			return;
		int t = s->tenants > 1 && ps_rng_uniform(rng) * total >= s->rate_rps[0] * scale;
		free_at = fmax(free_at, now) +
			  (s->law == TRUTH_FIXED ? TRUTH_SERVICE_NS
						 : ps_rng_exponential(rng, TRUTH_SERVICE_NS));
		put(all, t, (int64_t)now, (int64_t)(free_at - now));
	}
}

static void run_step(const struct setup *s, const struct ps_trial_search *search,
		     const struct ps_trial_next *next, struct ps_rng *rng, struct requests *all,
		     struct ps_trial_step *step)
{
	bool confirm = next->action == PS_TRIAL_RUN_CONFIRM;
	double length = (double)ps_trial_step_length_ns(&search->plan, next->scale);
	length *= confirm ? CONFIRM_LONG : 1;
	*step = (struct ps_trial_step){.scale = next->scale,
				       .kind = confirm ? PS_TRIAL_CONFIRM : PS_TRIAL_SEARCH};
	double warmup = (double)ps_trial_step_warmup_ns(&search->plan);
	serve(s, next->scale, length + warmup, rng, all);
	for (int t = 0; t < s->tenants; t++) {
		if (ps_trial_observe(all->r[t], all->n[t], (int64_t)warmup, &search->plan.sla[t],
				     &step->seen[t], NULL) != PS_OK)
			fail("no memory");
	}
}

static void run_search(const struct setup *s, struct ps_rng *rng, struct ps_trial_search *search,
		       struct ps_stats_interval *ret_before)
{
	double capacity = 1e9 / TRUTH_SERVICE_NS, completions = LOOP_S * capacity, ray = 0;
	struct requests all = {.cap = 0};
	for (int i = 0; i < s->tenants; i++)
		ray += s->rate_rps[i];
	double noise = s->law == TRUTH_FIXED ? 0.01 : 1 / sqrt(completions);
	struct ps_trial_plan plan = {
		.n_tenants = s->tenants,
		.scale_max = capacity / ray * (1 + noise * ps_rng_normal(rng)),
		.step_ns = 10000000000,
		.max_steps = MAX_STEPS,
		.max_confirms = CONFIRMS,
		.stop_half_width = HALF_WIDTH,
	};
	for (int i = 0; i < s->tenants; i++) {
		plan.rate_rps[i] = s->rate_rps[i];
		plan.sla[i] = (struct ps_sla){PERCENTILE, (int64_t)s->limit_ns[i], 0.99};
	}
	if (ps_trial_search_init(search, &plan, NULL) != PS_OK)
		fail("a plan was refused");
	struct ps_trial_next next;
	while ((next = ps_trial_search_next(search)).action != PS_TRIAL_DONE) {
		struct ps_trial_step step;
		if (next.action == PS_TRIAL_RUN_CONFIRM && search->answer.confirmed == 0 &&
		    ret_before)
			*ret_before = search->answer.scale;
		run_step(s, search, &next, rng, &all, &step);
		if (ps_trial_search_add(search, &step, NULL) != PS_OK)
			fail("a step was refused");
	}
	for (int i = 0; i < MAX_TENANTS; i++)
		free(all.r[i]);
}

/* ---- capacity ---- */

struct condition {
	struct truth_queue queue; /* at its capacity */
	int id;
};

struct outcome {
	bool covered, above, precise, as_asked, cut, confirmed, wrong;
	float half, steps, error;
};

/* A capacity at or over a scale whose confirming trial failed. */
static bool claims_refuted(const struct ps_trial_search *s)
{
	for (int i = 0; i < s->n_steps; i++) {
		if (s->steps[i].kind == PS_TRIAL_CONFIRM && s->steps[i].verdict != PS_TRIAL_PASS &&
		    s->answer.scale.value >= s->steps[i].scale)
			return true;
	}
	return false;
}

static void find_capacity(const void *ctx, int k, void *ret)
{
	const struct condition *c = ctx;
	double truth = c->queue.utilisation * 1e9 / TRUTH_SERVICE_NS;
	struct setup s = {.law = c->queue.law, .tenants = 1, .rate_rps = {1}};
	struct ps_trial_search *search = malloc(sizeof(*search));
	struct ps_stats_interval before = {0};
	struct outcome *o = ret;
	struct ps_rng rng;
	if (!search)
		fail("no memory");
	s.limit_ns[0] = truth_quantile_ns(&c->queue, PERCENTILE);
	ps_rng_init(&rng, 5, ((uint64_t)c->id << 32) + (uint64_t)k);
	run_search(&s, &rng, search, &before);
	const struct ps_trial_answer *a = &search->answer;
	*o = (struct outcome){
		.covered = a->scale.lo <= truth && truth <= a->scale.hi,
		.above = a->scale.lo > truth,
		.precise = search->stop == PS_TRIAL_STOP_PRECISE,
		.as_asked = (before.hi - before.lo) / 2 <= HALF_WIDTH * before.value,
		.cut = a->cut,
		.confirmed = a->confirmed == PS_TRIAL_CONFIRMED,
		.wrong = claims_refuted(search),
		.half = (float)((before.hi - before.lo) / 2 / truth),
		.error = (float)(before.value / truth - 1),
		.steps = (float)search->n_steps,
	};
	free(search);
}

static bool show_capacity(const struct truth_options *options, const struct condition *c,
			  const void *found)
{
	const struct outcome *o = found;
	int n = options->runs;
	int covered = 0, above = 0, precise = 0, cut = 0, wrong = 0, wide = 0, confirmed = 0;
	double half = 0, steps = 0, error = 0;
	char name[TRUTH_NAME_SIZE], figure[96], ours[64], note[256];
	for (int k = 0; k < n; k++) {
		covered += o[k].covered;
		above += o[k].above;
		precise += o[k].precise;
		wide += o[k].precise && !o[k].as_asked;
		cut += o[k].cut;
		confirmed += o[k].confirmed;
		wrong += o[k].wrong;
		half += (double)o[k].half / n;
		steps += (double)o[k].steps / n;
		error += (double)o[k].error / n;
	}
	enum truth_verdict verdict = truth_both(truth_at_least(covered, n, LEAST_COVER),
						truth_when(wrong == 0 && wide == 0));
	snprintf(figure, sizeof(figure), "truth: capacity of %s", truth_name(&c->queue, name));
	snprintf(ours, sizeof(ours), "held %.2f %%", 100.0 * covered / n);
	snprintf(note, sizeof(note),
		 "%d searches; too high %d, too low %d; %.1f %% reached half width %.0f %%, mean "
		 "%.1f %%, bias %+.1f %%, %.1f trials; confirmed %.1f %%, lowered %.1f %%; claimed "
		 "though refuted %d",
		 n, above, n - covered - above, 100.0 * precise / n, 100 * HALF_WIDTH, 100 * half,
		 100 * error, steps, 100.0 * confirmed / n, 100.0 * cut / n, wrong);
	return truth_row(options, figure, ours, "95 % stated", ">= 93.5 %, never refuted", verdict,
			 note);
}

/* ---- saving ---- */

struct saving {
	bool given, covered, above;
	float half;
};

static void search_one(const struct setup *s, struct ps_rng *rng, struct ps_trial_search *search,
		       struct ps_stats_interval *ret_scale)
{
	run_search(s, rng, search, NULL);
	*ret_scale = search->answer.scale;
}

static void find_saving(const void *ctx, int k, void *ret)
{
	const struct condition *c = ctx;
	double tight = truth_quantile_ns(&c->queue, PERCENTILE), rate = 1e9 / TRUTH_SERVICE_NS;
	double limits[] = {tight, LOOSER * tight}, alone[MAX_TENANTS], ray[MAX_TENANTS];
	struct ps_stats_interval capacity[MAX_TENANTS], together, s;
	struct ps_trial_search *search = malloc(sizeof(*search));
	struct setup both = {.law = c->queue.law, .tenants = 2};
	struct saving *o = ret;
	struct ps_rng rng;
	if (!search)
		fail("no memory");
	ps_rng_init(&rng, 6, ((uint64_t)c->id << 32) + (uint64_t)k);
	for (int i = 0; i < 2; i++) {
		struct setup one = {c->queue.law, 1, {1}, {limits[i]}};
		search_one(&one, &rng, search, &capacity[i]);
		alone[i] = rate * truth_utilisation(c->queue.law, PERCENTILE, limits[i]);
		both.rate_rps[i] = ray[i] = capacity[i].value;
		both.limit_ns[i] = limits[i];
	}
	*o = (struct saving){.given = ray[0] > 0 && ray[1] > 0};
	if (o->given) {
		search_one(&both, &rng, search, &together);
		double x = alone[0] / (ray[0] + ray[1]);
		double truth = 1 - 1 / (x * (ray[0] / alone[0] + ray[1] / alone[1]));
		s = ps_cost_full_load_saving(ray, capacity, 2, together);
		o->given = s.has_interval;
		o->covered = s.lo <= truth && truth <= s.hi;
		o->above = s.lo > truth;
		o->half = (float)((s.hi - s.lo) / 2);
	}
	free(search);
}

static bool show_saving(const struct truth_options *options, const struct condition *c,
			const void *found)
{
	const struct saving *o = found;
	int n = options->runs, given = 0, covered = 0, above = 0;
	double half = 0;
	char name[TRUTH_NAME_SIZE], figure[96], ours[64], note[160];
	for (int k = 0; k < n; k++) {
		given += o[k].given;
		covered += o[k].given && o[k].covered;
		above += o[k].given && o[k].above;
		half += o[k].given && isfinite(o[k].half) ? (double)o[k].half / n : 0;
	}
	enum truth_verdict verdict = truth_both(truth_at_least(covered, given, LEAST_COVER),
						truth_at_most(n - given, n, 0.2));
	snprintf(figure, sizeof(figure), "truth: saving of %s", truth_name(&c->queue, name));
	snprintf(ours, sizeof(ours), "held %.2f %%", 100.0 * covered / (given ? given : 1));
	snprintf(note, sizeof(note),
		 "%d pairs of plans; too high %d, too low %d, none %.1f %%; half width %.1f points",
		 n, above, given - covered - above, 100.0 * (n - given) / n, 100 * half);
	return truth_row(options, figure, ours, "95 % stated", ">= 93.5 %", verdict, note);
}

/* Each queue at each utilisation. */
static bool each(const struct truth_options *o, size_t size, truth_one_fn *find,
		 bool (*show)(const struct truth_options *, const struct condition *, const void *))
{
	static const double utilisations[] = {0.5, 0.8, 0.9};
	void *found = calloc((size_t)o->runs, size);
	bool ok = true;
	if (!found)
		fail("no memory");
	for (int law = TRUTH_EXPONENTIAL; law >= TRUTH_FIXED; law--) {
		for (int i = 0; i < 3; i++) {
			struct condition c = {{law, utilisations[i]}, 3 * law + i};
			char name[TRUTH_NAME_SIZE];
			if (o->only && !strstr(truth_name(&c.queue, name), o->only))
				continue;
			truth_each(o, find, &c, found, size);
			ok &= show(o, &c, found);
		}
	}
	free(found);
	return ok;
}

bool truth_capacity(const struct truth_options *o)
{
	return each(o, sizeof(struct outcome), find_capacity, show_capacity);
}

bool truth_saving(const struct truth_options *o)
{
	return each(o, sizeof(struct saving), find_saving, show_saving);
}
