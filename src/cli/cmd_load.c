/* cmd_load.c - perseus load: requests on an absolute schedule, and what became of them. */
#include "cli/cli.h"
#include "cli/load_options_internal.h"
#include "cli/load_text_internal.h"
#include "cli/shape_internal.h"

#include "base/units.h"
#include "load/load.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SUCCESS 0.99 /* of a tenant without an SLA */

/* ---- options -> plan ---- */

/* Where the options of tenants come from, and what they lead to. */
struct source {
	const char *file; /* NULL: the command line */
	const char *url;  /* of tenants that name none */
	uint64_t seed;
	struct ps_load_traces traces;
};

static enum ps_status fill_arrival(struct ps_load_tenant *t,
				   const struct ps_load_arrival_options *o, struct source *s,
				   struct ps_error *err)
{
	char *copy = s->file ? strdup(s->file) : NULL;
	enum ps_status st;

	if (s->file && !copy) {
		return ps_error_set(err, PS_ENOMEM, "no memory");
	}
	/* A trace is named relative to the file that names it. */
	st = ps_load_arrival_from_options(o, copy ? dirname(copy) : NULL, s->seed, &s->traces,
					  &t->arrival, err);
	free(copy);
	t->concurrency = (int)o->concurrency;
	t->think = ps_load_think_from_options(o);
	return st;
}

static enum ps_status fill_tenant(struct ps_load_tenant *t, struct ps_cli_load_tenant *o,
				  struct source *s, struct ps_error *err)
{
	struct ps_load_shape *shapes = NULL;
	enum ps_status st = ps_cli_shapes_parse(&o->shapes, &shapes, err);

	if (st != PS_OK) {
		return st;
	}
	*t = (struct ps_load_tenant){
		.name = o->name ? o->name : "default",
		.url = o->url ? o->url : s->url,
		.model = o->model,
		.version = o->version,
		.api_key = o->api_key ? o->api_key : getenv("PERSEUS_API_KEY"),
		.sla = o->sla,
		.batch = (int)o->batch,
		.distinct_inputs = (int)o->inputs,
		.json_tensors = o->json_tensors,
		.check_repeats = o->check_repeats,
		.shapes = shapes,
		.shape_len = o->shapes.len,
	};
	if (!o->model) {
		return ps_error_set(err, PS_EUSAGE, "tenant '%s' names no model", t->name);
	}
	return fill_arrival(t, &o->a, s, err);
}

/* A trace's mistake has a place of its own. */
static void say_where(const struct source *s, const struct ps_cli_load_tenant *o,
		      struct ps_error *err)
{
	if (s->file && !err->where[0]) {
		ps_error_where(err, "%.150s:%d:tenants", s->file, o->where.line);
	}
}

static void fill_run(struct ps_load_plan *plan, const struct ps_cli_load_run *r,
		     const struct ps_cli_load_options *o)
{
	plan->warmup_ns = r->warmup;
	plan->duration_ns = r->duration;
	plan->timeout_ns = r->timeout;
	plan->seed = (uint64_t)r->seed;
	plan->max_connections = (int)r->connections;
	plan->spin_ns = o->spin;
	plan->probe_ns = o->probe;
	plan->cpu = (int)o->cpu;
}

static void free_plan(struct ps_load_plan *plan, struct source *s)
{
	for (size_t i = 0; i < plan->tenant_len; i++) {
		struct ps_load_tenant *t = (struct ps_load_tenant *)&plan->tenants[i];

		ps_load_arrival_release(&t->arrival);
		free((void *)t->shapes);
	}
	free((void *)plan->tenants);
	ps_load_traces_fini(&s->traces);
	*plan = (struct ps_load_plan){0};
}

static enum ps_status make_plan(struct ps_load_plan *plan, struct ps_cli_load_tenant *tenants,
				size_t len, struct source *s, struct ps_error *err)
{
	struct ps_load_tenant *t = calloc(len, sizeof(*t));
	enum ps_status st = PS_OK;

	if (!t) {
		return ps_error_set(err, PS_ENOMEM, "no memory");
	}
	plan->tenants = t;
	plan->tenant_len = len;
	for (size_t i = 0; st == PS_OK && i < len; i++) {
		st = fill_tenant(&t[i], &tenants[i], s, err);
		if (st != PS_OK) {
			say_where(s, &tenants[i], err);
		}
	}
	if (st != PS_OK) {
		free_plan(plan, s);
	}
	return st;
}

/* ---- running ---- */

static bool show_progress(void *ctx, const struct ps_load_progress *p)
{
	struct ps_cli_progress *line = ctx;
	int64_t left = p->total_ns - p->elapsed_ns;
	unsigned long long open = p->in_flight + p->waiting;
	char latency[PS_UNITS_SIZE], eta[PS_UNITS_SIZE];

	if (p->draining) {
		ps_cli_progress_show(line, "load: waiting for the last %llu answers", open);
	} else {
		ps_cli_progress_show(line,
				     "load: %s left, %llu done, %llu failed, %llu open, last %s",
				     ps_units_format_eta(left, eta), (unsigned long long)p->done,
				     (unsigned long long)p->failed, open,
				     p->last_latency_ns >= 0
					     ? ps_units_format_duration(p->last_latency_ns, latency)
					     : "none");
	}
	return !ps_cli_stopped();
}

static enum ps_status print_result(const struct ps_cli_load_options *o,
				   const struct ps_load_plan *plan, const struct ps_load_result *r,
				   struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st;

	if (o->json) {
		return ps_cli_print_json(ps_load_result_json(r), err);
	}
	ps_strbuf_init(&out);
	ps_cli_load_text(plan, r, &out);
	st = ps_strbuf_status(&out) == PS_OK ? ps_cli_print(out.data, out.len, err)
					     : ps_error_set(err, PS_ENOMEM, "no memory");
	ps_strbuf_fini(&out);
	return st;
}

/* Without an SLA a run that mostly failed is still no success to a script. */
static bool tenant_well(const struct ps_load_tenant_result *t)
{
	return t->sla_verdict == PS_LOAD_SLA_MET ||
	       (t->sla_verdict == PS_LOAD_SLA_NONE && t->success_ratio >= MIN_SUCCESS);
}

static bool all_well(const struct ps_load_result *r)
{
	bool well = r->valid;

	for (size_t i = 0; i < r->tenant_len; i++) {
		well = well && tenant_well(&r->tenants[i]);
	}
	return well;
}

static int perform(const struct ps_cli_load_options *o, const struct ps_load_plan *plan)
{
	struct ps_cli_progress line;
	struct ps_load_result r;
	struct ps_error err = {0};
	enum ps_status st;
	bool well;

	ps_cli_stop_on_signals();
	ps_cli_progress_init(&line, !ps_cli_is_terminal(2));
	st = ps_load_run(plan, show_progress, &line, &r, &err);
	ps_cli_progress_done(&line);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	st = print_result(o, plan, &r, &err);
	if (st == PS_OK && o->records) {
		st = ps_cli_load_records(&r, o->records, &err);
	}
	well = all_well(&r);
	ps_load_result_fini(&r);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	return well ? PS_CLI_OK : PS_CLI_NEGATIVE;
}

static int run_one(struct ps_cli_load_options *o)
{
	struct source s = {.url = PS_CLI_LOAD_URL, .seed = (uint64_t)o->r.seed};
	struct ps_load_plan plan = {0};
	struct ps_error err = {0};
	int code;

	if (make_plan(&plan, &o->t, 1, &s, &err) != PS_OK) {
		return ps_cli_fail(&err);
	}
	fill_run(&plan, &o->r, o);
	code = perform(o, &plan);
	free_plan(&plan, &s);
	return code;
}

static int run_file(const struct ps_cli_load_options *o)
{
	struct ps_load_plan plan = {0};
	struct ps_cli_load_file f;
	struct ps_error err = {0};
	int code;

	if (o->t.url || o->t.model || o->t.a.rate > 0 || o->t.a.concurrency > 0) {
		ps_error_set(&err, PS_EUSAGE,
			     "--file says who asks for what: leave out --url, "
			     "--model, --rate and --concurrency");
		return ps_cli_fail(&err);
	}
	if (ps_conf_load_yaml(&ps_cli_load_file_schema, o->file, &f, &err) != PS_OK) {
		return ps_cli_fail(&err);
	}
	struct source s = {.file = o->file, .url = f.url, .seed = (uint64_t)f.r.seed};
	if (make_plan(&plan, f.tenants.items, f.tenants.len, &s, &err) != PS_OK) {
		code = ps_cli_fail(&err);
	} else {
		fill_run(&plan, &f.r, o);
		code = perform(o, &plan);
		free_plan(&plan, &s);
	}
	ps_conf_free(&ps_cli_load_file_schema, &f);
	return code;
}

static int run(void *options)
{
	struct ps_cli_load_options *o = options;

	return o->file ? run_file(o) : run_one(o);
}

static const struct ps_conf_schema *const files[] = {&ps_cli_load_file_schema, NULL};

const struct ps_cli_command ps_cmd_load = {
	.name = "load",
	.schema = &ps_cli_load_schema,
	.run = run,
	.files = files,
};
