/* correct.c - factors on service times that outlive a plan: from a file, and into one. */
#include "base/json.h"
#include "plan/case_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- on a case ---- */

static size_t place(const struct ps_plan_case *c, int type, int model)
{
	return (size_t)type * (size_t)c->n_models + (size_t)model;
}

double ps_plan_case_corrected(const struct ps_plan_case *c, int type, int model)
{
	return c->corrected ? c->corrected[place(c, type, model)] : 1;
}

enum ps_status ps_plan_case_raise(struct ps_plan_case *c, int type, int model, double factor,
				  struct ps_error *err)
{
	size_t all = (size_t)c->n_types * (size_t)c->n_models, at = place(c, type, model);

	if (!c->corrected) {
		c->corrected = malloc(all * sizeof(*c->corrected));
		if (!c->corrected)
			return ps_error_set(err, PS_ENOMEM, "no memory for corrections");
		for (size_t i = 0; i < all; i++)
			c->corrected[i] = 1;
	}
	c->corrected[at] *= factor;
	c->services[at].mean_s *= factor;
	c->services[at].high_s *= factor;
	return PS_OK;
}

/* ---- from a file ---- */

static const struct ps_plan_correction *row_at(const struct ps_plan_corrections *f, size_t i)
{
	return (const struct ps_plan_correction *)f->corrections.items + i;
}

static bool names(const char *name, const struct ps_cost_price *price)
{
	size_t n = strlen(price->provider);

	return strcmp(name, price->instance_type) == 0 ||
	       (strncmp(name, price->provider, n) == 0 && name[n] == '/' &&
		strcmp(name + n + 1, price->instance_type) == 0);
}

static bool same_name(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static enum ps_status check_twice(const struct ps_plan_corrections *f, const char *path,
				  struct ps_error *err)
{
	for (size_t i = 1; i < f->corrections.len; i++) {
		const struct ps_plan_correction *x = row_at(f, i), *y = row_at(f, i - 1);
		/* neighbours: files that perseus writes have the rows of a model together */
		if (strcmp(x->model, y->model) == 0 &&
		    same_name(x->instance_type, y->instance_type))
			return ps_plan_refuse(err, PS_EPARSE, path, x->where.line, "model",
					      "%s has two factors on %s", x->model,
					      x->instance_type ? x->instance_type : "other types");
	}
	return PS_OK;
}

/* A row of the type's own goes before that for types on which the model was not measured. */
static double factor_of(const struct ps_plan_corrections *f, const struct ps_plan_case *c, int type,
			int model)
{
	double others = 1;

	for (size_t i = 0; i < f->corrections.len; i++) {
		const struct ps_plan_correction *x = row_at(f, i);
		if (strcmp(x->model, c->models[model].name) != 0)
			continue;
		if (x->instance_type && names(x->instance_type, c->types[type].price))
			return x->factor;
		if (!x->instance_type && c->services[place(c, type, model)].extrapolated)
			others = x->factor;
	}
	return others;
}

static enum ps_status apply(struct ps_plan_case *c, const struct ps_plan_corrections *f,
			    struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int m = 0; st == PS_OK && m < c->n_models; m++) {
		for (int t = 0; st == PS_OK && t < c->n_types; t++) {
			double factor =
				c->services[place(c, t, m)].known ? factor_of(f, c, t, m) : 1;
			if (factor > 1)
				st = ps_plan_case_raise(c, t, m, factor, err);
		}
	}
	return st;
}

enum ps_status ps_plan_case_correct(struct ps_plan_case *c, const char *path, struct ps_error *err)
{
	struct ps_plan_corrections f;
	char *full = NULL;

	if (!path && !c->file.corrections)
		return PS_OK;
	enum ps_status st =
		ps_plan_case_path(c, path, c->file.corrections, "corrections", &full, err);
	if (st == PS_OK)
		st = ps_conf_load_yaml(&ps_plan_corrections_schema, full, &f, err);
	if (st == PS_OK) {
		st = check_twice(&f, full, err);
		if (st == PS_OK)
			st = apply(c, &f, err);
		ps_conf_free(&ps_plan_corrections_schema, &f);
	}
	free(full);
	return st;
}

/* ---- into a file ---- */

static void put_row(const struct ps_plan_case *c, int model, const struct ps_cost_price *type,
		    double factor, struct ps_strbuf *out)
{
	char name[300];

	ps_strbuf_puts(out, "  - model: ");
	ps_json_quote(out, c->models[model].name);
	if (type) {
		(void)snprintf(name, sizeof(name), "%s/%s", type->provider, type->instance_type);
		ps_strbuf_puts(out, "\n    instance_type: ");
		ps_json_quote(out, name);
	}
	/* all digits: read again it is the same */
	ps_strbuf_printf(out, "\n    factor: %.17g\n", factor);
}

static bool is_corrected(const struct ps_plan_case *c, int model)
{
	for (int t = 0; t < c->n_types; t++)
		if (ps_plan_case_corrected(c, t, model) > 1)
			return true;
	return false;
}

static void put_model(const struct ps_plan_case *c, int model, struct ps_strbuf *out)
{
	double others = 1;

	for (int t = 0; t < c->n_types; t++) {
		const struct ps_plan_service *s = &c->services[place(c, t, model)];
		/* spot is the same machine, and its row stands behind that on demand */
		if (!s->known || c->types[t].spot)
			continue;
		put_row(c, model, c->types[t].price, ps_plan_case_corrected(c, t, model), out);
		if (s->extrapolated)
			others = fmax(others, ps_plan_case_corrected(c, t, model));
	}
	if (others > 1)
		put_row(c, model, NULL, others, out);
}

int ps_plan_corrections_text(const struct ps_plan_case *c, struct ps_strbuf *out)
{
	int n = 0;

	for (int m = 0; m < c->n_models; m++) {
		if (!is_corrected(c, m))
			continue;
		if (n++ == 0)
			ps_strbuf_puts(out,
				       "# By how much longer requests took than was foreseen, as "
				       "perseus plan --refine measured it.\n"
				       "# perseus plan --corrections FILE plans with it.\n"
				       "corrections:\n");
		put_model(c, m, out);
	}
	return n;
}
