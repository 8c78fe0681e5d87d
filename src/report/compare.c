/* compare.c - several tenants on one machine against each on its own, in money and in words. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ps_report_case_of(const struct ps_report_answer *a, int set, struct ps_report_case *in)
{
	const struct ps_store_set *s = &a->campaign->sets[set];
	const struct ps_store_capacity *cap = a->sets[set].capacity;

	memset(in, 0, sizeof *in);
	in->set = set;
	in->n = s->member_len;
	in->has_alone = true;
	for (int i = 0; i < in->n; i++) {
		const struct ps_report_line *l = ps_report_alone_line(a, s->members[i]);
		in->demand_rps[i] = a->campaign->tenants[s->members[i]].demand_rps;
		in->ray_rps[i] = cap ? cap->ray_rps[i] : NAN;
		in->has_alone = in->has_alone && l && l->capacity_known;
		if (!in->has_alone)
			continue;
		in->alone_rps[i] = l->capacity_rps;
		/* Trials that held at the demand rate bound the capacity from below. */
		if (l->verdict == PS_REPORT_MET && in->alone_rps[i].lo < in->demand_rps[i])
			in->alone_rps[i].lo = fmin(in->demand_rps[i], in->alone_rps[i].value);
	}
	in->has_scale = cap != NULL;
	if (cap)
		in->scale = ps_report_capacity(cap, 1);
}

/* ---- sentences ---- */

/* A sentence that names more is none: tenants of a set, and those of which something is said. */
enum { MAX_NAMED = 6, MAX_SAID = 4 };

struct text {
	char *buf;
	size_t size, len;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->len + 1 >= t->size)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += n > 0 ? (size_t)n : 0;
	if (t->len >= t->size)
		t->len = t->size - 1;
}

static void say_all(struct text *t, int n, bool start)
{
	if (n == 2)
		say(t, start ? "Both" : "both");
	else
		say(t, start ? "All %d" : "all %d", n);
}

static void say_rates(struct text *t, const struct ps_report_answer *a, int set)
{
	const struct ps_store_set *s = &a->campaign->sets[set];
	char number[PS_REPORT_CELL_SIZE];
	double sum = 0;

	say(t, "At ");
	for (int i = 0; i < s->member_len; i++)
		sum += a->campaign->tenants[s->members[i]].demand_rps;
	if (s->member_len > MAX_NAMED)
		say(t, "%s/s, the sum of %d tenants, ", ps_report_number(sum, number),
		    s->member_len);
	for (int i = 0; i < s->member_len && s->member_len <= MAX_NAMED; i++) {
		const struct ps_store_tenant *m = &a->campaign->tenants[s->members[i]];
		say(t, "%s%s/s of %.40s%s",
		    i == 0		     ? ""
		    : i + 1 == s->member_len ? " and "
					     : ", ",
		    ps_report_number(m->demand_rps, number), m->name,
		    i + 1 == s->member_len ? " " : "");
	}
}

/* "2", "2 to 3", "at least 2", "3 (at least 2)" */
static void say_count(struct text *t, const struct ps_stats_interval *i)
{
	if (i->has_interval && isinf(i->hi) && (isinf(i->value) || i->lo == i->value))
		say(t, "at least %.0f", i->lo);
	else if (i->has_interval && isinf(i->hi))
		say(t, "%.0f (at least %.0f)", i->value, i->lo);
	else if (i->has_interval && i->lo != i->hi)
		say(t, "%.0f to %.0f", i->lo, i->hi);
	else
		say(t, "%.0f", i->value);
}

/* ": $62.05 instead of $124.10 a month (1 c6i.large instead of 2)" */
static void say_money(struct text *t, const struct ps_report_answer *a,
		      const struct ps_report_comparison *c, const struct ps_cost_machines *machines)
{
	const struct ps_store_price *p = &a->campaign->price;
	const char *unit = a->has_price ? p->instance_type : "machine";

	if (!c->possible) {
		if (a->has_price)
			say(t, ": $%.2f a month", ps_cost_usd_per_month(p->usd_per_hour));
		say(t, "; what they need apart was not measured");
		return;
	}
	if (a->has_price && isfinite(machines->apart_usd_per_month))
		say(t, ": $%.2f instead of $%.2f a month (", machines->together_usd_per_month,
		    machines->apart_usd_per_month);
	else
		say(t, " (");
	say_count(t, &machines->together);
	say(t, " %.60s instead of ", unit);
	say_count(t, &machines->apart);
	say(t, ")");
}

static void say_line(struct text *t, const struct ps_report_answer *a,
		     const struct ps_report_line *l)
{
	const struct ps_store_tenant *m = &a->campaign->tenants[l->tenant];
	char value[PS_REPORT_CELL_SIZE];

	say(t, "%.40s had %.3g %% of %llu requests over its %.6g ms, %.3g %% allowed (p%g ",
	    m->name, 100.0 * (double)l->over / (double)l->requests, (unsigned long long)l->requests,
	    (double)m->sla.limit_ns / 1e6, 100 * (1 - m->sla.percentile), 100 * m->sla.percentile);
	say(t, l->at_sla.value_ns == PS_HIST_INFINITE ? "lost)" : "%s ms)",
	    ps_report_ms(l->at_sla.value_ns, value));
}

static void say_lines(struct text *t, const struct ps_report_answer *a, int set,
		      enum ps_report_verdict verdict)
{
	int n = 0;

	for (size_t i = 0; i < a->line_len; i++) {
		const struct ps_report_line *l = &a->lines[i];
		if (l->set != set || l->verdict != verdict || n++ >= MAX_SAID)
			continue;
		say(t, n == 1 ? ": " : "; ");
		say_line(t, a, l);
		if (verdict == PS_REPORT_UNDECIDED && l->needs_more == UINT64_MAX)
			say(t, ", too close to tell");
		else if (verdict == PS_REPORT_UNDECIDED && l->needs_more > 0)
			say(t, ", about %llu more requests would tell",
			    (unsigned long long)l->needs_more);
	}
	if (n > MAX_SAID)
		say(t, "; and of %d more tenants likewise", n - MAX_SAID);
}

static void say_alone_misses(struct text *t, const struct ps_report_answer *a, int set)
{
	const struct ps_store_set *s = &a->campaign->sets[set];
	int n = 0;

	for (int i = 0; i < s->member_len; i++) {
		const struct ps_report_line *l = ps_report_alone_line(a, s->members[i]);
		if (l && l->verdict == PS_REPORT_MISSED && n++ < MAX_SAID)
			say(t, " Even alone %.40s misses its SLA at this rate.",
			    a->campaign->tenants[s->members[i]].name);
	}
	if (n > MAX_SAID)
		say(t, " So do %d more.", n - MAX_SAID);
}

/* Whether every tenant of the set kept its SLA in what was measured, proof or not. */
static bool kept(const struct ps_report_answer *a, int set)
{
	for (size_t i = 0; i < a->line_len; i++) {
		const struct ps_report_line *l = &a->lines[i];
		if (l->set != set)
			continue;
		const struct ps_sla *sla = &a->campaign->tenants[l->tenant].sla;
		double n = (double)l->requests;
		if ((double)l->over > n * (1 - sla->percentile) ||
		    (double)l->failed > n * (1 - sla->min_success))
			return false;
	}
	return true;
}

static void undecided_sentence(struct text *t, const struct ps_report_answer *a,
			       const struct ps_report_comparison *c,
			       const struct ps_report_case *in)
{
	int n = a->campaign->sets[c->set].member_len;

	if (kept(a, c->set)) {
		say_all(t, n, false);
		say(t, " kept their SLAs on one machine, on too few requests to be sure");
	} else {
		say(t, "it is undecided whether ");
		say_all(t, n, false);
		say(t, " fit one machine inside their SLAs");
	}
	say_lines(t, a, c->set, PS_REPORT_UNDECIDED);
	say(t, ".");
	if (!c->possible)
		return;
	struct ps_cost_machines if_fit =
		ps_cost_machine_saving(in->demand_rps, in->alone_rps, in->n, c->share, true,
				       a->campaign->price.usd_per_hour);
	say(t, " If they fit");
	say_money(t, a, c, &if_fit);
	say(t, ".");
}

static void demand_sentence(const struct ps_report_answer *a, struct ps_report_comparison *c,
			    const struct ps_report_case *in)
{
	struct text t = {.buf = c->demand_sentence, .size = sizeof c->demand_sentence};
	int n = a->campaign->sets[c->set].member_len;

	say_rates(&t, a, c->set);
	switch (a->sets[c->set].verdict) {
	case PS_REPORT_MET:
		say_all(&t, n, false);
		say(&t, " fit one machine inside their SLAs");
		say_money(&t, a, c, &c->machines);
		say(&t, ".");
		break;
	case PS_REPORT_MISSED:
		say_all(&t, n, false);
		say(&t, " do not fit one machine inside their SLAs");
		say_lines(&t, a, c->set, PS_REPORT_MISSED);
		say(&t, ".");
		if (c->possible && a->has_price && isfinite(c->machines.apart_usd_per_month)) {
			say(&t, " Apart they need ");
			say_count(&t, &c->machines.apart);
			say(&t, " %.60s, $%.2f a month.", a->campaign->price.instance_type,
			    c->machines.apart_usd_per_month);
		}
		break;
	case PS_REPORT_UNDECIDED:
		undecided_sentence(&t, a, c, in);
		break;
	case PS_REPORT_NO_DATA:
		say(&t, "the set was not tried: no answer for the demand rates.");
		break;
	}
	say_alone_misses(&t, a, c->set);
}

/* "95 % interval 2 to 9 %"; of one that is open on a side what is known of it. */
static void say_range(struct text *t, double lo, double hi)
{
	bool below = isinf(lo), above = hi >= 1;

	if (below && above)
		say(t, "no interval: the searches bounded no capacity");
	else if (below)
		say(t, "95 %% interval: at most %.0f %%", 100 * hi);
	else if (above)
		say(t, "95 %% interval: at least %.0f %%", 100 * lo);
	else
		say(t, "95 %% interval %.0f to %.0f %%", 100 * lo, 100 * hi);
}

static void say_loss(struct text *t, double value, const struct ps_stats_interval *s)
{
	say(t, "At full load sharing is a loss of %.0f %% of machine time (95 %% interval", -value);
	if (isinf(s->lo))
		say(t, ": at least %.0f %%).", -100 * s->hi);
	else
		say(t, " %.0f to %.0f %%).", -100 * s->hi, -100 * s->lo);
}

static void say_saving(struct text *t, const struct ps_stats_interval *s)
{
	double value = round(100 * s->value) + 0.0;

	if (s->hi < 0) {
		say_loss(t, value, s);
		return;
	}
	if (s->lo > 0)
		say(t, "At full load sharing saves %.0f %% of machine time (", value);
	else
		say(t, "At full load no saving and no loss of machine time was shown: %.0f %% (",
		    value);
	say_range(t, s->lo, s->hi);
	say(t, ").");
}

static void full_load_sentence(struct ps_report_comparison *c)
{
	struct text t = {.buf = c->full_load_sentence, .size = sizeof c->full_load_sentence};
	const struct ps_stats_interval *s = &c->full_load_saving;

	if (!c->possible || isnan(s->value)) {
		say(&t, "What sharing does at full load was not measured.");
		return;
	}
	if (!s->has_interval) {
		say(&t,
		    "At full load sharing saves about %.0f %% of machine time; too few data "
		    "for an interval.",
		    100 * s->value);
		return;
	}
	say_saving(&t, s);
}

static void compare(const struct ps_report_answer *a, struct ps_report_comparison *c)
{
	struct ps_report_case in;

	ps_report_case_of(a, c->set, &in);
	c->possible = in.has_alone && in.has_scale;
	c->fluid_saving.value = c->full_load_saving.value = c->share.value = NAN;
	if (c->possible) {
		c->share = ps_cost_share_on_ray(in.demand_rps, in.ray_rps, in.alone_rps, in.n,
						in.scale, &c->on_ray);
		c->share_apart = ps_cost_share_apart(in.demand_rps, in.alone_rps, in.n);
		c->fluid_saving = ps_cost_fluid_saving(in.demand_rps, in.alone_rps, in.n, c->share);
		c->full_load_saving =
			ps_cost_full_load_saving(in.ray_rps, in.alone_rps, in.n, in.scale);
		c->machines = ps_cost_machine_saving(in.demand_rps, in.alone_rps, in.n, c->share,
						     a->sets[c->set].verdict == PS_REPORT_MET,
						     a->campaign->price.usd_per_hour);
	}
	demand_sentence(a, c, &in);
	full_load_sentence(c);
}

/* ---- several sets of one size ---- */

bool ps_report_has_several(const struct ps_report_answer *a)
{
	const struct ps_store_set *sets = a->campaign->sets;

	return a->comparison_len > 1 &&
	       sets[a->comparisons[0].set].member_len == sets[a->comparisons[1].set].member_len;
}

static size_t count_largest(const struct ps_report_answer *a)
{
	const struct ps_store_set *sets = a->campaign->sets;
	size_t n = 0;

	while (n < a->comparison_len &&
	       sets[a->comparisons[n].set].member_len == sets[a->comparisons[0].set].member_len)
		n++;
	return n;
}

/* How many of the largest sets are so, and whether any was. */
static void say_number(struct text *t, size_t n, const char *what, bool *any)
{
	if (n == 0)
		return;
	say(t, "%s%zu %s", *any ? ", " : " ", n, what);
	*any = true;
}

static void say_fits(struct text *t, const struct ps_report_answer *a, size_t n)
{
	size_t of[PS_REPORT_MISSED + 1] = {0};
	bool any = false;

	for (size_t i = 0; i < n; i++)
		of[a->sets[a->comparisons[i].set].verdict]++;
	say(t, "Of %zu sets of %d tenants, at their demand rates on one machine,", n,
	    a->campaign->sets[a->comparisons[0].set].member_len);
	say_number(t, of[PS_REPORT_MET], "kept their SLAs", &any);
	say_number(t, of[PS_REPORT_MISSED], "did not", &any);
	say_number(t, of[PS_REPORT_UNDECIDED], "are undecided", &any);
	say_number(t, of[PS_REPORT_NO_DATA], "were not tried", &any);
	say(t, ".");
}

static void say_full_loads(struct text *t, const struct ps_report_answer *a, size_t n)
{
	size_t saves = 0, loses = 0, neither = 0;
	double least = INFINITY, most = -INFINITY;

	for (size_t i = 0; i < n; i++) {
		const struct ps_report_comparison *c = &a->comparisons[i];
		const struct ps_stats_interval *s = &c->full_load_saving;
		if (!c->possible || isnan(s->value))
			continue;
		saves += s->has_interval && s->lo > 0;
		loses += s->has_interval && s->hi < 0;
		neither += !s->has_interval || !(s->lo > 0 || s->hi < 0);
		least = fmin(least, s->value);
		most = fmax(most, s->value);
	}
	if (saves + loses + neither == 0) {
		say(t, " What sharing does at full load was not measured.");
		return;
	}
	say(t,
	    " At full load sharing saved machine time in %zu of them and lost some in %zu; in %zu "
	    "neither was shown (values from %.0f to %.0f %%).",
	    saves, loses, neither, round(100 * least) + 0.0, round(100 * most) + 0.0);
}

static void verdict_of_several(struct ps_report_answer *a)
{
	struct text t = {.buf = a->verdict, .size = sizeof a->verdict};
	size_t n = count_largest(a);

	say_fits(&t, a, n);
	say_full_loads(&t, a, n);
}

/* The largest set answers for the campaign; the others have their own sentences. */
enum ps_status ps_report_compare(struct ps_report_answer *a, struct ps_error *err)
{
	const struct ps_store_campaign *c = a->campaign;

	a->comparisons = calloc(c->set_len, sizeof *a->comparisons);
	if (!a->comparisons)
		return ps_error_set(err, PS_ENOMEM, "no memory for the report");
	for (int size = PS_STORE_MAX_TENANTS; size > 1; size--)
		for (size_t s = 0; s < c->set_len; s++)
			if (c->sets[s].member_len == size && ps_report_in_matrix(c, (int)s))
				a->comparisons[a->comparison_len++].set = (int)s;
	for (size_t i = 0; i < a->comparison_len; i++) {
		struct ps_report_comparison *x = &a->comparisons[i];
		compare(a, x);
		enum ps_status st =
			ps_report_cpu_saving(c, x->set, &x->cpu_saving, &x->cpu_blocks, err);
		if (st != PS_OK)
			return st;
	}
	if (ps_report_has_several(a))
		verdict_of_several(a);
	else if (a->comparison_len > 0)
		snprintf(a->verdict, sizeof a->verdict, "%s %s", a->comparisons[0].demand_sentence,
			 a->comparisons[0].full_load_sentence);
	else
		snprintf(a->verdict, sizeof a->verdict,
			 "No set of several tenants was measured: nothing to compare.");
	return PS_OK;
}
