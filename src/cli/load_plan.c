/* load_plan.c - see load_plan_internal.h. */
#include "cli/load_plan_internal.h"

#include "cli/shape_internal.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN_SIZE 200

/* Where the options of tenants come from, and what they lead to. */
struct source {
	const char *file;		  /* NULL: the command line */
	const struct ps_conf_texts *urls; /* of tenants that name none; NULL: the default */
	uint64_t seed;
	struct ps_load_traces *traces;
	struct ps_arena *arena;
};

static enum ps_status fill_arrival(struct ps_load_tenant *t,
				   const struct ps_load_arrival_options *o, const char *dir,
				   struct source *s, struct ps_error *err)
{
	enum ps_status st =
		ps_load_arrival_from_options(o, dir, s->seed, s->traces, &t->arrival, err);

	t->concurrency = (int)o->concurrency;
	t->think = ps_load_think_from_options(o);
	return st;
}

static enum ps_status fill_target(struct ps_load_tenant *t, const struct ps_cli_load_tenant *o,
				  const char *dir, struct source *s, struct ps_error *err)
{
	struct ps_load_target_options g = o->g;
	enum ps_status st;

	if (g.urls.len == 0 && s->urls && !g.in_process) {
		g.urls = *s->urls;
	}
	t->url = g.urls.len ? g.urls.items[0] : PS_CLI_LOAD_URL;
	if (o->model && (g.mix.len || g.in_process)) {
		return ps_error_set(err, PS_EUSAGE, "model has no place beside mix or in-process");
	}
	st = ps_load_target_from_options(&g, dir, s->arena, &t->target, err);
	if (st == PS_OK && !t->model) {
		t->model = t->target.mix_len ? t->target.mix[0].model : t->target.in_process;
	}
	if (st == PS_OK && !t->model) {
		st = ps_error_set(err, PS_EUSAGE, "tenant '%s' names no model", t->name);
		ps_error_hint(err, "--model NAME of a server, or --in-process FILE");
	}
	return st;
}

/* Files are named relative to the file that names them. */
static enum ps_status fill_rest(struct ps_load_tenant *t, const struct ps_cli_load_tenant *o,
				struct source *s, struct ps_error *err)
{
	char *copy = s->file ? strdup(s->file) : NULL;
	const char *dir = copy ? dirname(copy) : NULL;
	enum ps_status st;

	if (s->file && !copy) {
		return ps_error_set(err, PS_ENOMEM, "no memory");
	}
	st = fill_target(t, o, dir, s, err);
	if (st == PS_OK) {
		st = fill_arrival(t, &o->a, dir, s, err);
	}
	free(copy);
	return st;
}

/* FILE:LINE:tenants; NULL of a command line. */
static enum ps_status make_origin(const struct ps_cli_load_tenant *o, struct source *s,
				  const char **ret_origin, struct ps_error *err)
{
	char text[ORIGIN_SIZE];
	int n;

	*ret_origin = NULL;
	if (!s->file) {
		return PS_OK;
	}
	n = snprintf(text, sizeof(text), "%.150s:%d:tenants", s->file, o->where.line);
	*ret_origin = ps_arena_strndup(s->arena, text, (size_t)n);
	return *ret_origin ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for a tenant");
}

static enum ps_status fill_tenant(struct ps_load_tenant *t, struct ps_cli_load_tenant *o,
				  struct source *s, struct ps_error *err)
{
	struct ps_load_shape *shapes = NULL;
	const char *origin;
	enum ps_status st = make_origin(o, s, &origin, err);

	t->origin = origin; /* for a refusal from here on */
	if (st == PS_OK) {
		st = ps_cli_shapes_parse(&o->shapes, &shapes, err);
	}
	if (st != PS_OK) {
		return st;
	}
	*t = (struct ps_load_tenant){
		.name = o->name ? o->name : "default",
		.origin = origin,
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
	return fill_rest(t, o, s, err);
}

static void fill_run(struct ps_load_plan *plan, const struct ps_cli_load_run *r,
		     const struct ps_cli_load_options *o)
{
	plan->warmup_auto = r->warmup < 0;
	plan->warmup_ns = r->warmup > 0 ? r->warmup : 0;
	plan->duration_ns = r->duration;
	plan->timeout_ns = r->timeout;
	plan->seed = (uint64_t)r->seed;
	plan->max_connections = (int)r->connections;
	plan->spin_ns = o->spin;
	plan->probe_ns = o->probe;
	plan->threads = (int)o->threads;
	plan->cpus = o->cpus;
	plan->timestamping = o->timestamping;
}

static void free_plan(struct ps_load_plan *plan, struct ps_load_traces *traces)
{
	for (size_t i = 0; i < plan->tenant_len; i++) {
		struct ps_load_tenant *t = (struct ps_load_tenant *)&plan->tenants[i];

		ps_load_arrival_release(&t->arrival);
		free((void *)t->shapes);
	}
	free((void *)plan->tenants);
	ps_load_traces_fini(traces);
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
		/* A trace's mistake has a place of its own. */
		if (st != PS_OK && t[i].origin && !err->where[0]) {
			ps_error_where(err, "%s", t[i].origin);
		}
	}
	if (st == PS_OK) {
		st = ps_load_plan_check_names(plan, err);
	}
	if (st != PS_OK) {
		free_plan(plan, s->traces);
	}
	return st;
}

static enum ps_status make_of_file(struct ps_cli_load_options *o, struct ps_cli_load_setup *x,
				   struct ps_error *err)
{
	struct source s = {.file = o->file, .traces = &x->traces, .arena = &x->arena};
	enum ps_status st;

	if (o->t.g.urls.len || o->t.model || o->t.a.rate > 0 || o->t.a.concurrency > 0) {
		return ps_error_set(err, PS_EUSAGE,
				    "--file says who asks for what: leave out --url, "
				    "--model, --rate and --concurrency");
	}
	st = ps_conf_load_yaml(&ps_cli_load_file_schema, o->file, &x->file, err);
	if (st != PS_OK) {
		return st;
	}
	s.urls = &x->file.urls;
	s.seed = (uint64_t)x->file.r.seed;
	st = make_plan(&x->plan, x->file.tenants.items, x->file.tenants.len, &s, err);
	if (st != PS_OK) {
		ps_conf_free(&ps_cli_load_file_schema, &x->file);
		return st;
	}
	fill_run(&x->plan, &x->file.r, o);
	x->has_file = true;
	return PS_OK;
}

enum ps_status ps_cli_load_setup_make(struct ps_cli_load_options *o, struct ps_cli_load_setup *ret,
				      struct ps_error *err)
{
	struct source s = {
		.seed = (uint64_t)o->r.seed, .traces = &ret->traces, .arena = &ret->arena};
	enum ps_status st;

	*ret = (struct ps_cli_load_setup){0};
	ps_arena_init(&ret->arena, 0);
	if (o->file) {
		st = make_of_file(o, ret, err);
	} else {
		st = make_plan(&ret->plan, &o->t, 1, &s, err);
	}
	if (st != PS_OK) {
		ps_arena_fini(&ret->arena);
	} else if (!o->file) {
		fill_run(&ret->plan, &o->r, o);
	}
	return st;
}

void ps_cli_load_setup_free(struct ps_cli_load_setup *s)
{
	free_plan(&s->plan, &s->traces);
	ps_arena_fini(&s->arena);
	if (s->has_file) {
		ps_conf_free(&ps_cli_load_file_schema, &s->file);
	}
	*s = (struct ps_cli_load_setup){0};
}
