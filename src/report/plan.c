/* plan.c - reads a plan. Everything comes from outside, so everything is checked once, here. */
#include "report/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_USD_PER_HOUR 1e9

struct reader {
	struct ps_report_plan *p;
	struct ps_error *err;
	enum ps_status st; /* the first failure */
};

static const char *const names[] = {"dedicated", "homogeneous", "plan"};

const char *ps_report_placement_name(enum ps_report_placement_id id)
{
	return names[id];
}

const char *ps_report_placement_title(enum ps_report_placement_id id)
{
	static const char *const titles[] = {"each tenant on its own", "the best of one type",
					     "the plan"};

	return titles[id];
}

/* ---- failures ---- */

static void refuse(struct reader *r, const char *where, const char *what)
{
	if (r->st != PS_OK)
		return;
	r->st = ps_error_set(r->err, PS_EPARSE, "%s", what);
	ps_error_where(r->err, "%s", where);
	ps_error_hint(r->err, "docs/report.md has the form of a plan");
}

static void no_memory(struct reader *r)
{
	if (r->st == PS_OK)
		r->st = ps_error_set(r->err, PS_ENOMEM, "no memory for the plan");
}

static void *take(struct reader *r, size_t n, size_t size)
{
	void *p = ps_arena_zalloc(&r->p->arena, (n ? n : 1) * size);

	if (!p)
		no_memory(r);
	return p;
}

/* ---- values ---- */

#define WHERE_SIZE 120

/* A text of at most 400 bytes, or "" when it is absent. */
static const char *text_of(struct reader *r, const json_t *o, const char *key, bool required,
			   const char *where)
{
	const json_t *v = json_object_get(o, key);
	char at[WHERE_SIZE];

	snprintf(at, sizeof at, "%s%s%s", where, where[0] ? "." : "", key);
	if (!v || json_is_null(v)) {
		if (required)
			refuse(r, at, "a text is missing");
		return "";
	}
	size_t n = json_string_length(v);
	if (!json_is_string(v) || n > 400 || strlen(json_string_value(v)) != n) {
		refuse(r, at, "must be a text of at most 400 bytes");
		return "";
	}
	const char *copy = ps_arena_strndup(&r->p->arena, json_string_value(v), n);
	if (!copy)
		no_memory(r);
	return copy ? copy : "";
}

/* A number of 0 or more, or NAN when it is absent. */
static double real_of(struct reader *r, const json_t *o, const char *key, bool required, double max,
		      const char *where)
{
	const json_t *v = json_object_get(o, key);
	char at[WHERE_SIZE], what[80];

	snprintf(at, sizeof at, "%s%s%s", where, where[0] ? "." : "", key);
	if (!v || json_is_null(v)) {
		if (required)
			refuse(r, at, "a number is missing");
		return NAN;
	}
	double x = json_is_number(v) ? json_number_value(v) : NAN;
	if (!(x >= 0 && x <= max)) {
		snprintf(what, sizeof what, "must be a number from 0 to %g", max);
		refuse(r, at, what);
	}
	return x;
}

/* The array under a key; NULL when it is absent or wrong. */
static const json_t *array_of(struct reader *r, const json_t *o, const char *key, bool required,
			      const char *where)
{
	const json_t *v = json_object_get(o, key);
	char at[WHERE_SIZE];

	snprintf(at, sizeof at, "%s%s%s", where, where[0] ? "." : "", key);
	if (!v || json_is_null(v)) {
		if (required)
			refuse(r, at, "a list is missing");
		return NULL;
	}
	if (!json_is_array(v)) {
		refuse(r, at, "must be a list");
		return NULL;
	}
	if (json_array_size(v) > PS_REPORT_PLAN_MAX) {
		refuse(r, at, "has over 20,000 entries");
		return NULL;
	}
	return v;
}

static bool is_object(struct reader *r, const json_t *v, const char *where)
{
	if (!json_is_object(v))
		refuse(r, where, "must be an object");
	return json_is_object(v);
}

/* Through an index: a plan may have thousands of tenants. */
static int tenant_of(struct reader *r, const json_t *index, const json_t *o, const char *where)
{
	const char *name = text_of(r, o, "tenant", true, where);
	const json_t *v = json_object_get(index, name);
	char at[WHERE_SIZE], what[160];

	if (v)
		return (int)json_integer_value(v);
	snprintf(at, sizeof at, "%s.tenant", where);
	snprintf(what, sizeof what, "the plan has no tenant \"%.100s\"", name);
	refuse(r, at, what);
	return 0;
}

/* ---- parts ---- */

static void read_tenants(struct reader *r, const json_t *root, json_t *index)
{
	const json_t *list = array_of(r, root, "tenants", false, "");
	size_t n = json_array_size(list);
	char where[WHERE_SIZE];

	r->p->tenants = take(r, n, sizeof *r->p->tenants);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		struct ps_report_plan_tenant *t = &r->p->tenants[i];
		const json_t *o = json_array_get(list, i);
		snprintf(where, sizeof where, "tenants[%zu]", i);
		if (!is_object(r, o, where))
			return;
		t->name = text_of(r, o, "name", true, where);
		t->model = text_of(r, o, "model", false, where);
		t->sla = text_of(r, o, "sla", false, where);
		t->rps = real_of(r, o, "rps", true, 1e12, where);
		if (json_object_get(index, t->name))
			refuse(r, where, "two tenants have this name");
		if (json_object_set_new(index, t->name, json_integer((json_int_t)i)) != 0)
			no_memory(r);
	}
	r->p->tenant_len = n;
}

static void read_guest(struct reader *r, const json_t *index, const json_t *o, const char *where,
		       struct ps_report_plan_guest *g)
{
	if (!is_object(r, o, where))
		return;
	g->tenant = tenant_of(r, index, o, where);
	g->rps = real_of(r, o, "rps", true, 1e12, where);
	g->share = real_of(r, o, "share", false, 1 + 1e-9, where);
	g->load = real_of(r, o, "load", false, 1e6, where);
	g->percentile = real_of(r, o, "percentile", false, 1, where);
	g->p99_ms = real_of(r, o, "p99_ms", false, 1e12, where);
	g->p99_high_ms = real_of(r, o, "p99_high_ms", false, 1e12, where);
	g->limit_ms = real_of(r, o, "limit_ms", false, 1e12, where);
	const json_t *headroom = json_object_get(o, "headroom"); /* below 0: over the limit */
	g->headroom = json_is_number(headroom) ? json_number_value(headroom) : NAN;
}

static void read_guests(struct reader *r, const json_t *index, const json_t *o, const char *where,
			struct ps_report_plan_machine *m)
{
	const json_t *list = array_of(r, o, "tenants", true, where);
	size_t n = json_array_size(list);
	char at[WHERE_SIZE];

	m->guests = take(r, n, sizeof *m->guests);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		snprintf(at, sizeof at, "%.80s.tenants[%zu]", where, i);
		read_guest(r, index, json_array_get(list, i), at, &m->guests[i]);
	}
	m->guest_len = n;
}

static void read_machine(struct reader *r, const json_t *index, const json_t *o, const char *where,
			 struct ps_report_plan_machine *m)
{
	char at[WHERE_SIZE];

	if (!is_object(r, o, where))
		return;
	m->name = text_of(r, o, "name", false, where);
	m->instance_type = text_of(r, o, "instance_type", true, where);
	m->provider = text_of(r, o, "provider", false, where);
	m->region = text_of(r, o, "region", false, where);
	m->market = text_of(r, o, "market", false, where);
	double count = real_of(r, o, "count", false, 1e9, where);
	if (!isnan(count) && (count < 1 || count != floor(count))) {
		snprintf(at, sizeof at, "%.90s.count", where);
		refuse(r, at, "must be a whole number from 1");
	}
	m->count = isnan(count) ? 1 : (int64_t)fmin(count, 1e9);
	m->usd_per_hour = real_of(r, o, "usd_per_hour", true, MAX_USD_PER_HOUR, where);
	m->vcpu = real_of(r, o, "vcpu", false, 1e6, where);
	m->memory_bytes = real_of(r, o, "memory_bytes", false, 1e18, where);
	m->memory_used_bytes = real_of(r, o, "memory_used_bytes", false, 1e18, where);
	m->load = real_of(r, o, "load", false, 1e6, where);
	read_guests(r, index, o, where, m);
}

/* A sum that is not the sum of what is drawn would be a lie on the page. */
static void check_sum(struct reader *r, const struct ps_report_placement *p, const char *where)
{
	double sum = 0;
	char what[160];

	for (size_t i = 0; i < p->machine_len; i++)
		sum += p->machines[i].usd_per_hour * (double)p->machines[i].count;
	if (fabs(sum - p->usd_per_hour) <= 1e-3 * sum + 1e-6)
		return;
	snprintf(what, sizeof what, "usd_per_hour is %g, and the machines cost %g an hour in all",
		 p->usd_per_hour, sum);
	refuse(r, where, what);
}

static void read_placement(struct reader *r, const json_t *index, const json_t *all, int id)
{
	const json_t *o = json_object_get(all, names[id]);
	struct ps_report_placement *p = &r->p->placements[id];
	char where[40], at[WHERE_SIZE];

	snprintf(where, sizeof where, "placements.%s", names[id]);
	if (!o || json_is_null(o) || !is_object(r, o, where))
		return;
	p->known = true;
	p->usd_per_hour = real_of(r, o, "usd_per_hour", true, MAX_USD_PER_HOUR, where);
	const json_t *list = array_of(r, o, "machines", true, where);
	p->machine_len = json_array_size(list);
	p->machines = take(r, p->machine_len, sizeof *p->machines);
	for (size_t i = 0; i < p->machine_len && r->st == PS_OK; i++) {
		snprintf(at, sizeof at, "%s.machines[%zu]", where, i);
		read_machine(r, index, json_array_get(list, i), at, &p->machines[i]);
		p->machine_count += p->machines[i].count;
	}
	if (r->st == PS_OK)
		check_sum(r, p, where);
}

static struct ps_stats_interval interval_of(struct reader *r, const json_t *o, const char *key,
					    const char *where)
{
	const json_t *v = json_object_get(o, key);
	struct ps_stats_interval i = {.value = NAN};
	char at[WHERE_SIZE];

	snprintf(at, sizeof at, "%.90s.%s", where, key);
	if (!is_object(r, v, at))
		return i;
	i.value = real_of(r, v, "value", true, 1e15, at);
	i.lo = real_of(r, v, "low", false, 1e15, at);
	i.hi = real_of(r, v, "high", false, 1e15, at);
	i.has_interval = !isnan(i.lo) && !isnan(i.hi);
	if (i.has_interval && i.lo > i.hi)
		refuse(r, at, "low is above high");
	return i;
}

static void read_predictions(struct reader *r, const json_t *root)
{
	const json_t *list = array_of(r, root, "predictions", false, "");
	size_t n = json_array_size(list);
	char where[WHERE_SIZE];

	r->p->predictions = take(r, n, sizeof *r->p->predictions);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		struct ps_report_prediction *x = &r->p->predictions[i];
		const json_t *o = json_array_get(list, i);
		snprintf(where, sizeof where, "predictions[%zu]", i);
		if (!is_object(r, o, where))
			return;
		x->what = text_of(r, o, "what", true, where);
		x->unit = text_of(r, o, "unit", true, where);
		x->predicted = interval_of(r, o, "predicted", where);
		x->measured = interval_of(r, o, "measured", where);
		if (r->st == PS_OK && !(x->measured.value > 0))
			refuse(r, where, "what was measured must be above 0");
	}
	r->p->prediction_len = n;
}

static void read_unplaced(struct reader *r, const json_t *index, const json_t *root)
{
	const json_t *list = array_of(r, root, "unplaced", false, "");
	size_t n = json_array_size(list);
	char where[WHERE_SIZE];

	r->p->unplaced = take(r, n, sizeof *r->p->unplaced);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		const json_t *o = json_array_get(list, i);
		snprintf(where, sizeof where, "unplaced[%zu]", i);
		if (!is_object(r, o, where))
			return;
		r->p->unplaced[i].tenant = tenant_of(r, index, o, where);
		r->p->unplaced[i].reason = text_of(r, o, "reason", true, where);
	}
	r->p->unplaced_len = n;
}

static void read_all(struct reader *r, const json_t *root, json_t *index)
{
	const json_t *placements = json_object_get(root, "placements");
	const char *format = json_string_value(json_object_get(root, "format"));

	if (!format || strcmp(format, "perseus-plan/1") != 0) {
		refuse(r, "format", "must be \"perseus-plan/1\"");
		return;
	}
	r->p->name = text_of(r, root, "name", false, "");
	r->p->verdict = text_of(r, root, "verdict", false, "");
	r->p->proof = text_of(r, root, "proof", false, "");
	r->p->bound_usd_per_hour =
		real_of(r, root, "bound_usd_per_hour", false, MAX_USD_PER_HOUR, "");
	r->p->gap = real_of(r, root, "gap", false, 1e9, "");
	read_tenants(r, root, index);
	for (int id = 0; placements && id < PS_REPORT_PLACEMENTS && r->st == PS_OK; id++)
		read_placement(r, index, placements, id);
	read_predictions(r, root);
	read_unplaced(r, index, root);
	if (!r->p->placements[PS_REPORT_PLANNED].known && r->p->prediction_len == 0)
		refuse(r, "placements.plan", "the file has neither a plan nor predictions");
}

enum ps_status ps_report_plan_parse(const char *text, size_t len, struct ps_report_plan *ret_plan,
				    struct ps_error *err)
{
	struct ps_report_plan p = {.name = ""};
	struct reader r = {.p = &p, .err = err, .st = PS_OK};
	json_t *root = NULL, *index = json_object();

	if (len > PS_REPORT_PLAN_MAX_BYTES)
		r.st = ps_error_set(err, PS_ETOOBIG, "a plan has at most 16 MiB");
	else if (!index)
		no_memory(&r);
	else
		r.st = ps_json_parse(text, len, &root, err);
	ps_arena_init(&p.arena, 0);
	if (r.st == PS_OK && is_object(&r, root, "the plan"))
		read_all(&r, root, index);
	json_decref(root);
	json_decref(index);
	if (r.st != PS_OK)
		ps_arena_fini(&p.arena);
	else
		*ret_plan = p;
	return r.st;
}

void ps_report_plan_free(struct ps_report_plan *p)
{
	ps_arena_fini(&p->arena);
	memset(p, 0, sizeof *p);
}
