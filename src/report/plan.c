/* plan.c - reads a plan. Everything comes from outside, so everything is checked once, here. */
#include "plan_read_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_USD_PER_HOUR 1e9

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

/* ---- parts ---- */

/* Through an index: a plan may have thousands of tenants. */
static int tenant_of(struct ps_report_reader *r, const json_t *index, const json_t *o,
		     const char *where)
{
	const char *name = ps_report_read_text(r, o, "tenant", true, where);
	const json_t *v = json_object_get(index, name);
	char at[PS_REPORT_WHERE_SIZE], what[160];

	if (v)
		return (int)json_integer_value(v);
	snprintf(at, sizeof at, "%s.tenant", where);
	snprintf(what, sizeof what, "the plan has no tenant \"%.100s\"", name);
	ps_report_read_refuse(r, at, what);
	return 0;
}

static void read_tenants(struct ps_report_reader *r, const json_t *root, json_t *index)
{
	const json_t *list = ps_report_read_list(r, root, "tenants", false, "");
	size_t n = json_array_size(list);
	char where[PS_REPORT_WHERE_SIZE];

	r->p->tenants = ps_report_read_take(r, n, sizeof *r->p->tenants);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		struct ps_report_plan_tenant *t = &r->p->tenants[i];
		const json_t *o = json_array_get(list, i);
		snprintf(where, sizeof where, "tenants[%zu]", i);
		if (!ps_report_read_object(r, o, where))
			return;
		t->name = ps_report_read_text(r, o, "name", true, where);
		t->model = ps_report_read_text(r, o, "model", false, where);
		t->sla = ps_report_read_text(r, o, "sla", false, where);
		t->rps = ps_report_read_real(r, o, "rps", true, 1e12, where);
		if (json_object_get(index, t->name))
			ps_report_read_refuse(r, where, "two tenants have this name");
		if (json_object_set_new(index, t->name, json_integer((json_int_t)i)) != 0)
			ps_report_read_no_memory(r);
	}
	r->p->tenant_len = n;
}

static void read_guest(struct ps_report_reader *r, const json_t *index, const json_t *o,
		       const char *where, struct ps_report_plan_guest *g)
{
	if (!ps_report_read_object(r, o, where))
		return;
	g->tenant = tenant_of(r, index, o, where);
	g->rps = ps_report_read_real(r, o, "rps", true, 1e12, where);
	g->share = ps_report_read_real(r, o, "share", false, 1 + 1e-9, where);
	g->load = ps_report_read_real(r, o, "load", false, 1e6, where);
	g->percentile = ps_report_read_real(r, o, "percentile", false, 1, where);
	g->p99_ms = ps_report_read_real(r, o, "p99_ms", false, 1e12, where);
	g->p99_high_ms = ps_report_read_real(r, o, "p99_high_ms", false, 1e12, where);
	g->limit_ms = ps_report_read_real(r, o, "limit_ms", false, 1e12, where);
	const json_t *headroom = json_object_get(o, "headroom"); /* below 0: over the limit */
	g->headroom = json_is_number(headroom) ? json_number_value(headroom) : NAN;
}

static void read_guests(struct ps_report_reader *r, const json_t *index, const json_t *o,
			const char *where, struct ps_report_plan_machine *m)
{
	const json_t *list = ps_report_read_list(r, o, "tenants", true, where);
	size_t n = json_array_size(list);
	char at[PS_REPORT_WHERE_SIZE];

	m->guests = ps_report_read_take(r, n, sizeof *m->guests);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		snprintf(at, sizeof at, "%.80s.tenants[%zu]", where, i);
		read_guest(r, index, json_array_get(list, i), at, &m->guests[i]);
	}
	m->guest_len = n;
}

static void read_machine(struct ps_report_reader *r, const json_t *index, const json_t *o,
			 const char *where, struct ps_report_plan_machine *m)
{
	char at[PS_REPORT_WHERE_SIZE];

	if (!ps_report_read_object(r, o, where))
		return;
	m->name = ps_report_read_text(r, o, "name", false, where);
	m->instance_type = ps_report_read_text(r, o, "instance_type", true, where);
	m->provider = ps_report_read_text(r, o, "provider", false, where);
	m->region = ps_report_read_text(r, o, "region", false, where);
	m->market = ps_report_read_text(r, o, "market", false, where);
	double count = ps_report_read_real(r, o, "count", false, 1e9, where);
	if (!isnan(count) && (count < 1 || count != floor(count))) {
		snprintf(at, sizeof at, "%.90s.count", where);
		ps_report_read_refuse(r, at, "must be a whole number from 1");
	}
	m->count = isnan(count) ? 1 : (int64_t)fmin(count, 1e9);
	m->usd_per_hour = ps_report_read_real(r, o, "usd_per_hour", true, MAX_USD_PER_HOUR, where);
	m->vcpu = ps_report_read_real(r, o, "vcpu", false, 1e6, where);
	m->memory_bytes = ps_report_read_real(r, o, "memory_bytes", false, 1e18, where);
	m->memory_used_bytes = ps_report_read_real(r, o, "memory_used_bytes", false, 1e18, where);
	m->load = ps_report_read_real(r, o, "load", false, 1e6, where);
	read_guests(r, index, o, where, m);
}

/* A sum that is not the sum of what is drawn would be a lie on the page. */
static void check_sum(struct ps_report_reader *r, const struct ps_report_placement *p,
		      const char *where)
{
	double sum = 0;
	char what[160];

	for (size_t i = 0; i < p->machine_len; i++)
		sum += p->machines[i].usd_per_hour * (double)p->machines[i].count;
	if (fabs(sum - p->usd_per_hour) <= 1e-3 * sum + 1e-6)
		return;
	snprintf(what, sizeof what, "usd_per_hour is %g, and the machines cost %g an hour in all",
		 p->usd_per_hour, sum);
	ps_report_read_refuse(r, where, what);
}

static void read_placement(struct ps_report_reader *r, const json_t *index, const json_t *all,
			   int id)
{
	const json_t *o = json_object_get(all, names[id]);
	struct ps_report_placement *p = &r->p->placements[id];
	char where[40], at[PS_REPORT_WHERE_SIZE];

	snprintf(where, sizeof where, "placements.%s", names[id]);
	if (!o || json_is_null(o) || !ps_report_read_object(r, o, where))
		return;
	p->known = true;
	p->usd_per_hour = ps_report_read_real(r, o, "usd_per_hour", true, MAX_USD_PER_HOUR, where);
	const json_t *list = ps_report_read_list(r, o, "machines", true, where);
	p->machine_len = json_array_size(list);
	p->machines = ps_report_read_take(r, p->machine_len, sizeof *p->machines);
	for (size_t i = 0; i < p->machine_len && r->st == PS_OK; i++) {
		snprintf(at, sizeof at, "%s.machines[%zu]", where, i);
		read_machine(r, index, json_array_get(list, i), at, &p->machines[i]);
		p->machine_count += p->machines[i].count;
	}
	if (r->st == PS_OK)
		check_sum(r, p, where);
}

static void read_unplaced(struct ps_report_reader *r, const json_t *index, const json_t *root)
{
	const json_t *list = ps_report_read_list(r, root, "unplaced", false, "");
	size_t n = json_array_size(list);
	char where[PS_REPORT_WHERE_SIZE];

	r->p->unplaced = ps_report_read_take(r, n, sizeof *r->p->unplaced);
	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		const json_t *o = json_array_get(list, i);
		snprintf(where, sizeof where, "unplaced[%zu]", i);
		if (!ps_report_read_object(r, o, where))
			return;
		r->p->unplaced[i].tenant = tenant_of(r, index, o, where);
		r->p->unplaced[i].reason = ps_report_read_text(r, o, "reason", true, where);
	}
	r->p->unplaced_len = n;
}

static void read_all(struct ps_report_reader *r, const json_t *root, json_t *index)
{
	const json_t *placements = json_object_get(root, "placements");
	const char *format = json_string_value(json_object_get(root, "format"));

	if (!format || strcmp(format, "perseus-plan/1") != 0) {
		ps_report_read_refuse(r, "format", "must be \"perseus-plan/1\"");
		return;
	}
	r->p->name = ps_report_read_text(r, root, "name", false, "");
	r->p->verdict = ps_report_read_text(r, root, "verdict", false, "");
	r->p->proof = ps_report_read_text(r, root, "proof", false, "");
	r->p->bound_usd_per_hour =
		ps_report_read_real(r, root, "bound_usd_per_hour", false, MAX_USD_PER_HOUR, "");
	r->p->gap = ps_report_read_real(r, root, "gap", false, 1e9, "");
	read_tenants(r, root, index);
	for (int id = 0; placements && id < PS_REPORT_PLACEMENTS && r->st == PS_OK; id++)
		read_placement(r, index, placements, id);
	ps_report_read_predictions(r, root);
	ps_report_read_proof(r, root);
	read_unplaced(r, index, root);
	if (!r->p->placements[PS_REPORT_PLANNED].known && r->p->prediction_len == 0)
		ps_report_read_refuse(r, "placements.plan",
				      "the file has neither a plan nor predictions");
}

enum ps_status ps_report_plan_parse(const char *text, size_t len, struct ps_report_plan *ret_plan,
				    struct ps_error *err)
{
	struct ps_report_plan p = {.name = "", .verdict = "", .proof = ""};
	struct ps_report_reader r = {.p = &p, .err = err, .st = PS_OK};
	json_t *root = NULL, *index = json_object();

	if (len > PS_REPORT_PLAN_MAX_BYTES)
		r.st = ps_error_set(err, PS_ETOOBIG, "a plan has at most 16 MiB");
	else if (!index)
		ps_report_read_no_memory(&r);
	else
		r.st = ps_json_parse(text, len, &root, err);
	ps_arena_init(&p.arena, 0);
	if (r.st == PS_OK && ps_report_read_object(&r, root, "the plan"))
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
