/* plan_serve.c - what perseus serve needs on each machine of a plan. */
#include "base/file.h"
#include "base/json.h"
#include "cli/plan_out_internal.h"

#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *ps_cli_plan_model_path(const struct ps_plan_case *c, const char *path)
{
	char *copy = c->profiles_path ? strdup(c->profiles_path) : NULL, *joined = NULL,
	     *full = NULL;

	if (path[0] == '/')
		full = strdup(path);
	else if (copy && asprintf(&joined, "%s/%s", dirname(copy), path) >= 0)
		full = realpath(joined, NULL);
	else if (!c->profiles_path)
		full = realpath(path, NULL);
	/* A file that is not there yet keeps the name that was given. */
	if (!full && joined)
		full = strdup(joined);
	free(copy);
	free(joined);
	return full;
}

static enum ps_status no_path(const struct ps_plan_case *c, const char *model, struct ps_error *err)
{
	ps_error_set(err, PS_EINVAL, "no row of the profiles says where the file of %s is", model);
	ps_error_where(err, "%s", c->profiles_path ? c->profiles_path : c->path);
	if (c->profiles_path)
		ps_error_hint(err, "add path: FILE to one of them");
	else
		ps_error_hint(err,
			      "the store does not either: --models DIR, with DIR/%.80s.onnx, or "
			      "--profiles FILE with a row that has path: FILE",
			      model);
	return PS_EINVAL;
}

static enum ps_status put_model(const struct ps_plan_answer *a, int model, bool gpu,
				struct ps_strbuf *out, struct ps_error *err)
{
	const struct ps_plan_case_model *m = &a->c->models[model];

	if (!m->path) {
		return no_path(a->c, m->name, err);
	}
	char *path = ps_cli_plan_model_path(a->c, m->path);
	if (!path)
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	ps_strbuf_puts(out, "  - name: ");
	ps_json_quote(out, m->name);
	ps_strbuf_puts(out, "\n    path: ");
	ps_json_quote(out, path);
	ps_strbuf_puts(out, gpu ? "\n    device: cuda:0\n" : "\n");
	free(path);
	return PS_OK;
}

static enum ps_status put_models(const struct ps_plan_answer *a, const struct ps_plan_rented *m,
				 struct ps_strbuf *out, struct ps_error *err)
{
	bool gpu = a->c->types[m->type].price->gpu_count > 0;
	enum ps_status st = PS_OK;
	int last = -1;

	ps_strbuf_puts(out, "models:\n");
	/* Places are sorted by kind, and kinds by model. */
	for (int i = 0; st == PS_OK && i < m->n; i++) {
		int model = a->c->tenants[m->places[i].tenant].model;
		if (model != last)
			st = put_model(a, model, gpu, out, err);
		last = model;
	}
	return st;
}

/* Weights as the planned shares: then fair order is nearest to the order that was planned with. */
int64_t ps_cli_plan_weight(const struct ps_plan_place *p)
{
	return (int64_t)fmax(1, round(100 * p->forecast.share));
}

static void put_tenant(const struct ps_plan_answer *a, const struct ps_plan_place *p,
		       struct ps_strbuf *out)
{
	const struct ps_plan_tenant *t = &a->c->tenants[p->tenant];
	char sla[PS_SLA_SIZE];

	ps_strbuf_puts(out, "  - name: ");
	ps_json_quote(out, t->name);
	ps_strbuf_puts(out, "\n    models: [");
	ps_json_quote(out, a->c->models[t->model].name);
	ps_strbuf_printf(out, "]\n    sla: %s\n    weight: %lld", ps_sla_format(&t->sla, sla),
			 (long long)ps_cli_plan_weight(p));
	ps_strbuf_printf(out, " # %.3g %% of its traffic: up to %.4g/s\n", 100 * p->traffic,
			 t->peak_rps * p->traffic);
}

enum ps_status ps_cli_plan_machine_config(const struct ps_plan_answer *a, int i,
					  struct ps_strbuf *out, struct ps_error *err)
{
	const struct ps_plan_rented *m = &a->machines[i];
	const struct ps_plan_case_type *t = &a->c->types[m->type];

	ps_strbuf_printf(out,
			 "# Machine %d of %d: %s, %.4g $/h. Written by perseus plan.\n"
			 "#\n"
			 "#   perseus serve keys create --config FILE --tenant NAME   # for each\n"
			 "#   perseus serve --config FILE --check-config\n",
			 i + 1, a->result.plan.n, t->name, t->usd_per_hour);
	ps_strbuf_puts(out, "keys_file: keys.yaml\n");
	if (t->price->gpu_count > 0)
		ps_strbuf_puts(out, "lanes: 1 # the GPU: one request at a time, as planned\n");
	enum ps_status st = put_models(a, m, out, err);
	ps_strbuf_puts(out, "tenants:\n");
	for (int j = 0; j < m->n; j++)
		put_tenant(a, &m->places[j], out);
	if (st == PS_OK && ps_strbuf_status(out) != PS_OK)
		st = ps_error_set(err, PS_ENOMEM, "no memory for a configuration");
	return st;
}

enum ps_status ps_cli_plan_serve(const struct ps_plan_answer *a, const char *dir,
				 struct ps_error *err)
{
	enum ps_status st = ps_file_mkdirs(dir, err);
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	for (int i = 0; st == PS_OK && i < a->result.plan.n; i++) {
		char *path = NULL;
		ps_strbuf_clear(&out);
		st = ps_cli_plan_machine_config(a, i, &out, err);
		if (st == PS_OK && asprintf(&path, "%s/machine-%03d.yaml", dir, i + 1) < 0)
			st = ps_error_set(err, PS_ENOMEM, "no memory for a path");
		else if (st == PS_OK)
			st = ps_file_write(path, out.data, out.len, err);
		if (st == PS_OK || path)
			free(path);
	}
	ps_strbuf_fini(&out);
	return st;
}
