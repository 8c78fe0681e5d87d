/* case_source.c - figures that a source has in place of the file of profiles, or beside it. */
#include "plan/case_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAMED 6 /* tenants and models in one sentence */

/* ---- who is asked about ---- */

static double peak_of(const struct ps_plan_file_tenant *t)
{
	double peak = t->rate_rps, one = 0;

	for (size_t i = 0; i < t->rates.len; i++)
		if (ps_plan_parse_rate(t->rates.items[i], &one))
			peak = fmax(peak, one);
	return peak;
}

/* What a tenant does not say is refused later, with its place. */
static enum ps_status begin(struct ps_plan_case *c, struct ps_error *err)
{
	size_t n = c->file.tenants.len;
	struct ps_plan_asked *asked = calloc(n + 1, sizeof(*asked));
	int k = 0;

	if (!asked)
		return ps_error_set(err, PS_ENOMEM, "no memory for the tenants");
	for (size_t i = 0; i < n; i++) {
		const struct ps_plan_file_tenant *t = &c->said[i];
		if (t->model && ps_sla_is_set(&t->sla))
			asked[k++] = (struct ps_plan_asked){t->name, t->model, peak_of(t), t->sla};
	}
	enum ps_status st = c->source->begin(c->source->ctx, asked, k, c->file.confidence, err);
	free(asked);
	return st;
}

/* ---- models ---- */

static enum ps_status add_model(struct ps_plan_case *c, size_t tenant, struct ps_error *err)
{
	const struct ps_plan_file_tenant *t = &c->said[tenant];

	if (!t->model || ps_plan_case_model_named(c, t->model) >= 0)
		return PS_OK;
	if (c->n_models == PS_PLAN_MAX_MODELS)
		return ps_plan_refuse(err, PS_ETOOBIG, c->path, t->where.line, "model",
				      "a plan takes at most %d models", PS_PLAN_MAX_MODELS);
	c->models[c->n_models++].name = t->model;
	return PS_OK;
}

/* What was measured goes before the file's row, and that before what is predicted. */
static enum ps_status set_memory(struct ps_plan_case *c, int model, struct ps_error *err)
{
	struct ps_plan_footprint *f = &c->footprints[model];
	struct ps_plan_from *from = &c->memory_from[model];
	struct ps_plan_known_memory m = {0};
	enum ps_status st = c->source->memory(c->source->ctx, c->models[model].name, &m, err);

	if (f->resident_bytes > 0)
		from->origin = PS_PLAN_GIVEN;
	if (st == PS_OK && (m.from.origin == PS_PLAN_MEASURED || from->origin == PS_PLAN_UNKNOWN)) {
		*f = (struct ps_plan_footprint){m.resident_bytes, m.peak_bytes};
		*from = m.from;
	}
	return st == PS_EUNAVAIL ? PS_OK : st;
}

enum ps_status ps_plan_case_source_models(struct ps_plan_case *c, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (!c->source)
		return PS_OK;
	for (size_t i = 0; st == PS_OK && i < c->file.tenants.len; i++)
		st = add_model(c, i, err);
	if (st == PS_OK)
		st = begin(c, err);
	if (st != PS_OK)
		return st;
	c->memory_from = calloc((size_t)c->n_models + 1, sizeof(*c->memory_from));
	if (!c->memory_from)
		return ps_error_set(err, PS_ENOMEM, "no memory for the profiles");
	for (int m = 0; st == PS_OK && m < c->n_models; m++) {
		st = set_memory(c, m, err);
		if (!c->models[m].path)
			c->models[m].path = c->source->path(c->source->ctx, c->models[m].name);
	}
	return st;
}

/* ---- service times ---- */

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* The formula shall not carry more than what was carried: runs side by side slow each other down,
 * which one that ran alone does not show. */
static void hold_capacity(struct ps_plan_service *s, struct ps_plan_figures *f)
{
	const struct ps_plan_known_capacity *k = &f->capacity;

	f->slowed = 1;
	if (!(k->rps > 0))
		return;
	f->slowed = ps_plan_slowed(k->lanes, s->mean_s, s->cv, k->percentile, k->limit_s, k->rps);
	double high = ps_plan_slowed(k->lanes, s->high_s, s->cv, k->percentile, k->limit_s,
				     k->low_rps > 0 ? k->low_rps : k->rps);
	s->mean_s *= f->slowed;
	s->high_s = larger(s->high_s * high, s->mean_s);
}

static enum ps_status ask_capacity(struct ps_plan_case *c, int type, int model,
				   struct ps_plan_figures *f, struct ps_error *err)
{
	struct ps_plan_known_capacity k = {0};
	enum ps_status st = c->source->capacity(c->source->ctx, c->models[model].name,
						c->types[type].price, &k, err);

	if (st == PS_OK)
		f->capacity = k;
	return st == PS_EUNAVAIL ? PS_OK : st;
}

static enum ps_status ask_service(struct ps_plan_case *c, int type, int model, bool given,
				  bool *ret_known, struct ps_error *err)
{
	size_t at = (size_t)type * (size_t)c->n_models + (size_t)model;
	struct ps_plan_figures *f = &c->figures[at];
	struct ps_plan_known_service k = {0};
	enum ps_status st = c->source->service(c->source->ctx, c->models[model].name,
					       c->types[type].price, &k, err);

	*ret_known = false;
	if (given)
		f->service.origin = PS_PLAN_GIVEN;
	if (st != PS_OK || (given && k.from.origin != PS_PLAN_MEASURED))
		return st == PS_EUNAVAIL ? PS_OK : st;
	c->services[at] = (struct ps_plan_service){.known = true,
						   .extrapolated = !k.on_the_type,
						   .mean_s = k.mean_s,
						   .high_s = k.high_s,
						   .cv = k.cv};
	f->service = k.from;
	*ret_known = true;
	st = ask_capacity(c, type, model, f, err);
	if (st == PS_OK)
		hold_capacity(&c->services[at], f);
	return st;
}

enum ps_status ps_plan_case_source_type(struct ps_plan_case *c, int type, const int *given,
					int *ret_known, struct ps_error *err)
{
	bool gpu = c->types[type].price->gpu_count > 0, known = false;
	enum ps_status st = PS_OK;

	for (int m = 0; st == PS_OK && m < c->n_models; m++) {
		size_t at = (size_t)type * (size_t)c->n_models + (size_t)m;
		c->figures[at] = (struct ps_plan_figures){.slowed = 1};
		if (gpu && given[m])
			c->figures[at].service.origin = PS_PLAN_GIVEN;
		if (gpu)
			continue;
		st = ask_service(c, type, m, given[m] > 0, &known, err);
		*ret_known += known && !given[m];
	}
	return st;
}

/* ---- pairs ---- */

enum ps_status ps_plan_case_source_pairs(struct ps_plan_case *c, struct ps_error *err)
{
	size_t n = (size_t)c->n_models;
	bool any = false;

	if (!c->source)
		return PS_OK;
	c->beside = calloc(n * n + 1, sizeof(*c->beside));
	if (!c->beside)
		return ps_error_set(err, PS_ENOMEM, "no memory for pairs of models");
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			struct ps_plan_beside *b = &c->beside[i * n + j];
			*b = (struct ps_plan_beside){1, 1, PS_PLAN_UNKNOWN};
			any |= i != j && c->source->beside(c->source->ctx, c->models[i].name,
							   c->models[j].name, b);
		}
	}
	if (!any) {
		free(c->beside);
		c->beside = NULL;
	}
	return PS_OK;
}

/* ---- what is missing ---- */

static bool is_known(const struct ps_plan_case *c, int model)
{
	if (c->memory_from[model].origin == PS_PLAN_UNKNOWN)
		return false;
	for (int t = 0; t < c->n_types; t++)
		if (c->services[(size_t)t * (size_t)c->n_models + (size_t)model].known)
			return true;
	return false;
}

/* "resnet50 (of a, b and 3 more)" */
static void name_tenants(const struct ps_plan_case *c, int model, char *out, size_t size)
{
	size_t n = 0, at = strlen(out);

	for (size_t i = 0; i < c->file.tenants.len; i++) {
		const struct ps_plan_file_tenant *t = &c->said[i];
		if (!t->model || strcmp(t->model, c->models[model].name) != 0 || n++ >= MAX_NAMED)
			continue;
		(void)snprintf(out + at, size - at, "%s%.40s", n > 1 ? ", " : " of ", t->name);
		at = strlen(out);
	}
	if (n > MAX_NAMED)
		(void)snprintf(out + at, size - at, " and %zu more", n - MAX_NAMED);
}

/* A row of the file may be of a model that nobody asks for. */
static bool is_asked_for(const struct ps_plan_case *c, int model)
{
	for (size_t i = 0; i < c->file.tenants.len; i++)
		if (c->said[i].model && strcmp(c->said[i].model, c->models[model].name) == 0)
			return true;
	return false;
}

enum ps_status ps_plan_case_source_lacks(const struct ps_plan_case *c, struct ps_error *err)
{
	char text[360] = "";
	int n = 0;

	for (int m = 0; c->source && m < c->n_models; m++) {
		if (is_known(c, m) || !is_asked_for(c, m) || n++ >= MAX_NAMED)
			continue;
		size_t at = strlen(text);
		(void)snprintf(text + at, sizeof(text) - at, "%s%.60s", n > 1 ? "; " : "",
			       c->models[m].name);
		name_tenants(c, m, text, sizeof(text));
	}
	if (n == 0)
		return PS_OK;
	ps_error_set(err, PS_ENOTFOUND, "%d model%s neither measured nor can be predicted: %s%s", n,
		     n > 1 ? "s are" : " is", text, n > MAX_NAMED ? "; ..." : "");
	ps_error_where(err, "%s", c->path);
	ps_error_hint(err,
		      "--write-campaign FILE writes the campaign that measures %s; perseus "
		      "measure FILE --store runs it",
		      n > 1 ? "them" : "it");
	return PS_ENOTFOUND;
}
