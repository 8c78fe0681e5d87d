/* beside.c - published figures and ours in the same tables. */
#include "report/loads.h"
#include "report/published.h"
#include "report_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The six rates of the first table, in this order. */
enum {
	P_MACHINE,
	P_WHOSE,
	P_FIRST,
	P_FIRST_LITTLE,
	P_BESIDE_SECOND,
	P_SECOND,
	P_SECOND_LITTLE,
	P_BESIDE_FIRST,
	PEAK_COLUMNS
};

enum { X_MACHINE, X_WHOSE, X_WHAT, X_FIRST, X_SECOND, X_SUM, X_FLUID, X_MACHINES, POINT_COLUMNS };

static const struct ps_report_column peak_columns[PEAK_COLUMNS] = {
	[P_MACHINE] = {"machine", "machine", PS_REPORT_TEXT, false},
	[P_WHOSE] = {"whose", "whose", PS_REPORT_TEXT, false},
	[P_FIRST] = {"first_alone_rps", "%s alone", PS_REPORT_NUMBER, true},
	[P_FIRST_LITTLE] = {"first_peak_rps", "%s", PS_REPORT_NUMBER, true},
	[P_BESIDE_SECOND] = {"little_second_rps", "+ a little %s", PS_REPORT_NUMBER, true},
	[P_SECOND] = {"second_alone_rps", "%s alone", PS_REPORT_NUMBER, true},
	[P_SECOND_LITTLE] = {"second_peak_rps", "%s", PS_REPORT_NUMBER, true},
	[P_BESIDE_FIRST] = {"little_first_rps", "+ a little %s", PS_REPORT_NUMBER, true},
};

static const struct ps_report_column point_columns[POINT_COLUMNS] = {
	[X_MACHINE] = {"machine", "machine", PS_REPORT_TEXT, false},
	[X_WHOSE] = {"whose", "whose", PS_REPORT_TEXT, false},
	[X_WHAT] = {"what", "what", PS_REPORT_TEXT, false},
	[X_FIRST] = {"first_rps", "%s/s", PS_REPORT_NUMBER, true},
	[X_SECOND] = {"second_rps", "%s/s", PS_REPORT_NUMBER, true},
	[X_SUM] = {"sum_of_shares", "sum of shares", PS_REPORT_NUMBER, true},
	[X_FLUID] = {"fluid_saving", "fluid saving", PS_REPORT_SHARE, true},
	[X_MACHINES] = {"machine_saving", "machine saving", PS_REPORT_SHARE, true},
};

/* Bit i: the head of column i names the second model. */
#define PEAKS_OF_SECOND	 (1u << P_BESIDE_SECOND | 1u << P_SECOND | 1u << P_SECOND_LITTLE)
#define POINTS_OF_SECOND (1u << X_SECOND)

static const char *const whose_names[] = {"published", "measured here"};

struct build {
	struct ps_report_answer *a;
	const struct ps_report_published *p;
	struct ps_report_beside *out;
	const char *machine;  /* ours */
	const char *whats[3]; /* by enum ps_report_point_kind */
	bool failed;	      /* no memory */
};

/* ---- tables with the models' names in their heads ---- */

static const struct ps_report_column *named(struct build *b, const struct ps_report_column *from,
					    int n, unsigned of_second)
{
	struct ps_report_column *c = ps_arena_zalloc(&b->a->arena, (size_t)n * sizeof *c);
	char head[100];

	for (int i = 0; c && i < n; i++) {
		const char *model = of_second >> i & 1 ? b->p->second.name : b->p->first.name;
		const char *at = strstr(from[i].head, "%s");
		c[i] = from[i];
		if (!at)
			continue;
		snprintf(head, sizeof head, "%.*s%.60s%s", (int)(at - from[i].head), from[i].head,
			 model, at + 2);
		c[i].head = ps_report_keep(b->a, head);
	}
	b->failed = b->failed || !c;
	return c;
}

static void name_kinds(struct build *b)
{
	char text[80];

	b->whats[PS_REPORT_POINT_FRONTIER] = "frontier";
	snprintf(text, sizeof text, "peak of %.60s", b->p->first.name);
	b->whats[PS_REPORT_POINT_FIRST] = ps_report_keep(b->a, text);
	snprintf(text, sizeof text, "peak of %.60s", b->p->second.name);
	b->whats[PS_REPORT_POINT_SECOND] = ps_report_keep(b->a, text);
}

static void make_tables(struct build *b)
{
	b->out->tables[PS_REPORT_BESIDE_PEAKS] = (struct ps_report_table){
		.name = "peaks",
		.title = "Peaks: the most of one, alone and with a little of the other",
		.note = "requests/s; brackets: 95 % intervals of ours, what reading the figure "
			"leaves open of published ones",
		.columns = named(b, peak_columns, PEAK_COLUMNS, PEAKS_OF_SECOND),
		.column_len = PEAK_COLUMNS,
	};
	b->out->tables[PS_REPORT_BESIDE_POINTS] = (struct ps_report_table){
		.name = "points",
		.title = "What both get from one machine, in shares of what each gets alone",
		.note = "sum of shares: of the capacities alone; above 1 sharing gains. Fluid: as "
			"if parts of machines could be rented. Machine saving: whole ones for "
			"these "
			"rates, one each against one for both",
		.columns = named(b, point_columns, POINT_COLUMNS, POINTS_OF_SECOND),
		.column_len = POINT_COLUMNS,
	};
}

static struct ps_report_value *add(struct build *b, enum ps_report_beside_table table, int whose)
{
	struct ps_report_value *v = ps_report_table_row(b->a, &b->out->tables[table]);

	b->failed = b->failed || !v;
	if (v)
		v[P_WHOSE].text = whose_names[whose];
	return v;
}

/* ---- published ---- */

static struct ps_stats_interval read_off(double rps, double error_rps)
{
	return (struct ps_stats_interval){
		.value = rps,
		.lo = fmax(0, rps - error_rps),
		.hi = rps + error_rps,
		.confidence = 1,
		.has_interval = error_rps > 0,
	};
}

/* All reading errors at their worst, for each end. */
static struct ps_stats_interval sum_read_off(const struct ps_report_published_machine *m,
					     const struct ps_report_published_point *x, double e)
{
	return (struct ps_stats_interval){
		.value = x->first_rps / m->first_rps + x->second_rps / m->second_rps,
		.lo = fmax(0, x->first_rps - e) / (m->first_rps + e) +
		      fmax(0, x->second_rps - e) / (m->second_rps + e),
		.hi = (x->first_rps + e) / (m->first_rps - e) +
		      (x->second_rps + e) / (m->second_rps - e),
		.confidence = 1,
		.has_interval = e > 0,
	};
}

static struct ps_stats_interval saving_of(struct ps_stats_interval sum)
{
	struct ps_stats_interval s = sum;

	s.value = 1 - 1 / sum.value;
	s.lo = 1 - 1 / sum.lo;
	s.hi = 1 - 1 / sum.hi;
	return s;
}

/* One machine for each against one for both, which the point says is enough. */
static struct ps_stats_interval machine_saving(const double *rates,
					       const struct ps_stats_interval *alone)
{
	return ps_cost_machine_saving(rates, alone, 2, ps_stats_exactly(1), true, 0).saving;
}

static void published_point(struct build *b, const struct ps_report_published_machine *m,
			    const struct ps_report_published_point *x)
{
	struct ps_report_value *v = add(b, PS_REPORT_BESIDE_POINTS, 0);
	double e = b->p->reading_error_rps, rates[2] = {x->first_rps, x->second_rps};
	struct ps_stats_interval alone[2] = {read_off(m->first_rps, e), read_off(m->second_rps, e)};

	if (!v)
		return;
	v[X_MACHINE].text = m->name;
	v[X_WHAT].text = b->whats[x->kind];
	v[X_FIRST].v = read_off(x->first_rps, e);
	v[X_SECOND].v = read_off(x->second_rps, e);
	v[X_SUM].v = sum_read_off(m, x, e);
	v[X_FLUID].v = saving_of(v[X_SUM].v);
	v[X_MACHINES].v = machine_saving(rates, alone);
}

static void published_machine(struct build *b, const struct ps_report_published_machine *m)
{
	struct ps_report_value *v = add(b, PS_REPORT_BESIDE_PEAKS, 0);
	const struct ps_report_published_point *x = m->points.items;
	double e = b->p->reading_error_rps;

	if (!v)
		return;
	v[P_MACHINE].text = m->name;
	v[P_FIRST].v = read_off(m->first_rps, e);
	v[P_SECOND].v = read_off(m->second_rps, e);
	for (size_t i = 0; i < m->points.len; i++) {
		published_point(b, m, &x[i]);
		if (x[i].kind == PS_REPORT_POINT_FIRST) {
			v[P_FIRST_LITTLE].v = read_off(x[i].first_rps, e);
			v[P_BESIDE_SECOND].v = read_off(x[i].second_rps, e);
		} else if (x[i].kind == PS_REPORT_POINT_SECOND) {
			v[P_SECOND_LITTLE].v = read_off(x[i].second_rps, e);
			v[P_BESIDE_FIRST].v = read_off(x[i].first_rps, e);
		}
	}
}

/* ---- ours ---- */

/* A row of the frontier, its tenants in the order of the publication. */
struct our_point {
	struct ps_report_value first, second, sum;
	enum ps_report_point_kind kind;
	double little; /* the lesser share of the sum */
};

static int column_of(const struct ps_report_table *t, const char *key)
{
	for (int i = 0; i < t->column_len; i++)
		if (strcmp(t->columns[i].key, key) == 0)
			return i;
	return -1;
}

static const struct ps_report_value *cell_of(const struct ps_report_table *t, size_t row,
					     const char *key)
{
	return &t->values[row * (size_t)t->column_len + (size_t)column_of(t, key)];
}

static struct ps_report_value alone_of(const struct build *b, int tenant)
{
	const struct ps_report_line *l = ps_report_alone_line(b->a, tenant);
	struct ps_report_value v = {.text = "", .v = {.value = NAN, .lo = NAN, .hi = NAN}};

	if (!l || !l->capacity_known)
		return v;
	v.v = l->capacity_rps;
	v.open_below = l->open_below;
	v.open_above = l->open_above;
	return v;
}

static void judge_kind(const struct build *b, struct our_point *x)
{
	double first = x->first.v.value / alone_of(b, b->out->first).v.value;
	double second = x->second.v.value / alone_of(b, b->out->second).v.value;

	x->little = fmin(first, second) / (first + second);
	x->kind = !(x->little <= PS_REPORT_A_LITTLE + 1e-9) ? PS_REPORT_POINT_FRONTIER
		  : first > second			    ? PS_REPORT_POINT_FIRST
							    : PS_REPORT_POINT_SECOND;
}

/* False: the row is of other tenants. */
static bool our_point(const struct build *b, size_t row, struct our_point *ret)
{
	const struct ps_report_table *t = &b->a->tables[PS_REPORT_FRONTIER];
	const struct ps_store_tenant *tenants = b->a->campaign->tenants;
	const char *one = cell_of(t, row, "first_tenant")->text;
	const char *two = cell_of(t, row, "second_tenant")->text;
	const char *first = tenants[b->out->first].name, *second = tenants[b->out->second].name;
	bool swapped = strcmp(one, second) == 0;

	if (strcmp(swapped ? two : one, first) != 0 || strcmp(swapped ? one : two, second) != 0)
		return false;
	ret->first = *cell_of(t, row, swapped ? "second_rps" : "first_rps");
	ret->second = *cell_of(t, row, swapped ? "first_rps" : "second_rps");
	ret->sum = *cell_of(t, row, "sum_of_shares");
	judge_kind(b, ret);
	return true;
}

static void put_our_point(struct build *b, const struct our_point *x)
{
	struct ps_report_value *v = add(b, PS_REPORT_BESIDE_POINTS, 1);
	double rates[2] = {x->first.v.value, x->second.v.value};
	struct ps_stats_interval alone[2] = {alone_of(b, b->out->first).v,
					     alone_of(b, b->out->second).v};

	if (!v)
		return;
	v[X_MACHINE].text = b->machine;
	v[X_WHAT].text = b->whats[x->kind];
	v[X_FIRST] = x->first;
	v[X_SECOND] = x->second;
	v[X_SUM] = x->sum;
	if (isnan(x->sum.v.value))
		return;
	v[X_FLUID].v = saving_of(x->sum.v);
	v[X_FLUID].open_below = x->sum.open_below;
	v[X_FLUID].open_above = x->sum.open_above;
	v[X_MACHINES].v = machine_saving(rates, alone);
}

static void ours(struct build *b)
{
	struct ps_report_value *v = add(b, PS_REPORT_BESIDE_PEAKS, 1);
	double least[3] = {INFINITY, INFINITY, INFINITY};
	struct our_point x;

	if (!v)
		return;
	v[P_MACHINE].text = b->machine;
	v[P_FIRST] = alone_of(b, b->out->first);
	v[P_SECOND] = alone_of(b, b->out->second);
	for (size_t i = 0; i < b->a->tables[PS_REPORT_FRONTIER].row_len; i++) {
		if (!our_point(b, i, &x))
			continue;
		put_our_point(b, &x);
		if (x.kind == PS_REPORT_POINT_FRONTIER || x.little >= least[x.kind])
			continue;
		least[x.kind] = x.little;
		bool of_first = x.kind == PS_REPORT_POINT_FIRST;
		v[of_first ? P_FIRST_LITTLE : P_SECOND_LITTLE] = of_first ? x.first : x.second;
		v[of_first ? P_BESIDE_SECOND : P_BESIDE_FIRST] = of_first ? x.second : x.first;
	}
}

/* Of the set of these two alone, or NULL. */
static const struct ps_report_comparison *comparison(const struct build *b)
{
	const struct ps_store_campaign *c = b->a->campaign;

	for (size_t i = 0; i < b->a->comparison_len; i++) {
		const struct ps_store_set *s = &c->sets[b->a->comparisons[i].set];
		int one = s->members[0], two = s->members[1];
		if (s->member_len == 2 && ((one == b->out->first && two == b->out->second) ||
					   (two == b->out->first && one == b->out->second)))
			return &b->a->comparisons[i];
	}
	return NULL;
}

static enum ps_status loads(struct build *b, struct ps_error *err)
{
	const struct ps_report_comparison *c = comparison(b);
	/* without one: rows of no set, and the table is not shown */
	struct ps_report_loads_question q = {.set = c ? c->set : (int)b->a->campaign->set_len};

	return ps_report_loads_build(b->a, &q, &b->out->tables[PS_REPORT_BESIDE_LOADS], err);
}

/* ---- in words ---- */

struct found {
	int points, gain, loss; /* on the frontier; gain, loss: the interval leaves 1 out */
	double least, most;
};

static struct found look(const struct build *b, int whose)
{
	const struct ps_report_table *t = &b->out->tables[PS_REPORT_BESIDE_POINTS];
	struct found f = {.least = INFINITY, .most = -INFINITY};

	for (size_t r = 0; r < t->row_len; r++) {
		const struct ps_report_value *v = &t->values[r * POINT_COLUMNS];
		const struct ps_stats_interval *s = &v[X_SUM].v;
		if (strcmp(v[X_WHOSE].text, whose_names[whose]) != 0 ||
		    v[X_WHAT].text != b->whats[PS_REPORT_POINT_FRONTIER] || isnan(s->value))
			continue;
		f.points++;
		f.gain += s->has_interval && s->lo > 1;
		f.loss += s->has_interval && s->hi < 1;
		f.least = fmin(f.least, s->value);
		f.most = fmax(f.most, s->value);
	}
	return f;
}

/* "3 points that sum to 1.07 to 1.19 of what each does alone, a fluid saving of 6.5 % to 16.2 %" */
static void say_range(char *buf, size_t size, const struct found *f)
{
	const char *points = f->points == 1 ? "point" : "points";

	if (f->points == 0)
		snprintf(buf, size, "no frontier between the two");
	else
		snprintf(buf, size,
			 "%d %s on the frontier, where the shares of what each does alone sum to "
			 "%.2f to %.2f: a fluid saving of %.1f %% to %.1f %%",
			 f->points, points, f->least, f->most, 100 * (1 - 1 / f->least),
			 100 * (1 - 1 / f->most));
}

static void say_more(struct ps_report_beside *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say_more(struct ps_report_beside *out, const char *fmt, ...)
{
	size_t n = strlen(out->sentence);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->sentence + n, sizeof out->sentence - n, fmt, ap);
	va_end(ap);
}

static void say(const struct build *b)
{
	const struct ps_report_comparison *c = comparison(b);
	struct found theirs = look(b, 0), ours = look(b, 1);
	char there[240], here[240], text[PS_REPORT_CELL_SIZE];

	say_range(there, sizeof there, &theirs);
	say_range(here, sizeof here, &ours);
	say_more(b->out, "%.60s: %s. Here: %s.", b->p->name, there, here);
	if (ours.points > 0)
		say_more(b->out,
			 " By their 95 %% intervals %d of these show a saving, %d a loss, %d "
			 "neither.",
			 ours.gain, ours.loss, ours.points - ours.gain - ours.loss);
	/* much sharper than a sum of capacities, and on a CPU the same question */
	if (c && !isnan(c->cpu_saving.value))
		say_more(b->out, " Processor time saved together, at the demand rates: %s.",
			 ps_report_percent(&c->cpu_saving, text));
}

/* ---- all ---- */

static int tenant_of(const struct ps_store_campaign *c, const char *model)
{
	for (size_t i = 0; i < c->tenant_len; i++)
		if (strcmp(c->tenants[i].model, model) == 0)
			return (int)i;
	return -1;
}

static enum ps_status find(const struct ps_report_answer *a, const char *key, const char *model,
			   int *ret_tenant, struct ps_error *err)
{
	const char *models[PS_STORE_MAX_TENANTS];

	*ret_tenant = tenant_of(a->campaign, model);
	if (*ret_tenant >= 0)
		return PS_OK;
	for (size_t i = 0; i < a->campaign->tenant_len; i++)
		models[i] = a->campaign->tenants[i].model;
	const char *near = ps_conf_nearest(model, models, a->campaign->tenant_len);
	ps_error_set(err, PS_ENOTFOUND, "no tenant of campaign %.60s runs the model \"%.60s\"",
		     a->campaign->name, model);
	ps_error_where(err, "%s.model", key);
	ps_error_hint(err, near ? "did you mean %s?" : "the first of its models is %s",
		      near ? near : models[0]);
	return PS_ENOTFOUND;
}

enum ps_status ps_report_beside_build(struct ps_report_answer *a,
				      const struct ps_report_published *p,
				      struct ps_report_beside *ret_beside, struct ps_error *err)
{
	struct ps_report_beside out = {.published = p};
	struct build b = {.a = a, .p = p, .out = &out};
	const struct ps_report_published_machine *m = p->machines.items;
	enum ps_status st = find(a, "first", p->first.model, &out.first, err);

	if (st == PS_OK)
		st = find(a, "second", p->second.model, &out.second, err);
	if (st != PS_OK)
		return st;
	name_kinds(&b);
	b.machine = a->has_price ? a->campaign->price.instance_type : "this machine";
	make_tables(&b);
	for (size_t i = 0; i < p->machines.len && !b.failed; i++)
		published_machine(&b, &m[i]);
	if (!b.failed)
		ours(&b);
	if (b.failed)
		return ps_error_set(err, PS_ENOMEM, "no memory for published figures");
	say(&b);
	st = loads(&b, err);
	if (st == PS_OK)
		*ret_beside = out;
	return st;
}
