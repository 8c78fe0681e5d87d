/* plan_from.c - where each figure of a plan is from. */
#include "cli/plan_from_internal.h"

#include "base/units.h"
#include "cli/predict_show_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- opening ---- */

/* Why a model cannot even be predicted, and what of the store was left out. */
static void say_why(const struct ps_cli_plan_store *s)
{
	const struct ps_cli_predict_data *d = &s->data;

	for (size_t i = 0; i < s->n_found; i++) {
		const struct ps_cli_plan_found *f = &s->found[i];
		bool again = false; /* of another number of CPUs */
		for (size_t k = 0; k < i; k++)
			again |= s->found[k].model == f->model;
		if (f->status != PS_OK && !again)
			fprintf(stderr, "note: %s: %s\n", d->models[f->model].name, f->why);
	}
	for (size_t i = 0; i < d->note_len; i++)
		fprintf(stderr, "note: %s\n", d->notes[i]);
}

/* The plan is refused all the same: what it lacks is not there yet. */
static enum ps_status write_missing(struct ps_cli_plan_store *s,
				    const struct ps_cli_plan_from *from, struct ps_error *err)
{
	struct ps_error why = {0};
	enum ps_status st = ps_cli_plan_write_campaign(s, NULL, from->write_campaign, &why);

	if (st != PS_OK) {
		if (err)
			*err = why;
		return st;
	}
	ps_error_hint(err, "perseus measure %.100s --store %.100s measures it; then plan again",
		      from->write_campaign, from->store);
	return PS_ENOTFOUND;
}

enum ps_status ps_cli_plan_open(const struct ps_cli_plan_from *from, const char *plan,
				const char *prices, const char *profiles, const char *revocations,
				struct ps_plan_case *ret_case, struct ps_cli_plan_store **ret_store,
				struct ps_error *err)
{
	struct ps_cli_plan_store *s = NULL;
	enum ps_status st = PS_OK;

	*ret_store = NULL;
	if (!from->store && (from->models || from->write_campaign)) {
		ps_error_set(err, PS_EUSAGE, "needs --store");
		ps_error_where(err, "%s", from->models ? "--models" : "--write-campaign");
		return PS_EUSAGE;
	}
	if (from->store)
		st = ps_cli_plan_store_open(from->store, from->models, &s, err);
	if (st == PS_OK)
		st = ps_plan_case_open_from(plan, prices, profiles, revocations,
					    s ? &s->source : NULL, ret_case, err);
	if (st == PS_OK) {
		*ret_store = s;
		return PS_OK;
	}
	if (st == PS_ENOTFOUND && s && s->asked)
		say_why(s);
	if (st == PS_ENOTFOUND && s && s->asked && from->write_campaign)
		st = write_missing(s, from, err);
	ps_cli_plan_store_free(s);
	return st;
}

void ps_cli_plan_close(struct ps_plan_case *c, struct ps_cli_plan_store *s)
{
	ps_plan_case_fini(c);
	ps_cli_plan_store_free(s);
}

/* ---- one figure ---- */

static const char *const origins[] = {
	[PS_PLAN_UNKNOWN] = "not known",
	[PS_PLAN_GIVEN] = "given in the file",
	[PS_PLAN_MEASURED] = "measured",
	[PS_PLAN_PREDICTED] = "predicted",
};

static void set_from(json_t *o, const struct ps_plan_from *f)
{
	ps_json_set_string(o, "from", origins[f->origin]);
	ps_json_set_string(o, "how", f->how);
	ps_json_set_bool(o, "outside_measured_range", f->outside != NULL);
	ps_json_set_string(o, "outside", f->outside);
}

static json_t *service_json(const struct ps_plan_case *c, size_t at)
{
	const struct ps_plan_service *s = &c->services[at];
	json_t *o = json_object();

	ps_json_set_real(o, "mean_ms", s->mean_s * 1e3);
	ps_json_set_real(o, "high_ms", s->high_s * 1e3);
	ps_json_set_real(o, "cv", s->cv);
	set_from(o, &c->figures[at].service);
	return o;
}

static json_t *memory_json(const struct ps_plan_case *c, int model)
{
	json_t *o = json_object();

	ps_json_set_real(o, "resident_bytes", c->footprints[model].resident_bytes);
	ps_json_set_real(o, "load_peak_bytes", c->footprints[model].peak_bytes);
	set_from(o, &c->memory_from[model]);
	return o;
}

/* What the formula would carry is held down to it by `slowed`. */
static json_t *capacity_json(const struct ps_plan_figures *f)
{
	const struct ps_plan_known_capacity *k = &f->capacity;
	json_t *o = json_object();

	ps_json_set_real(o, "rps", k->rps > 0 ? k->rps : NAN);
	ps_json_set_real(o, "low_rps", k->rps > 0 ? k->low_rps : NAN);
	ps_json_set_real(o, "lanes", k->rps > 0 ? k->lanes : NAN);
	ps_json_set_real(o, "percentile", k->rps > 0 ? k->percentile : NAN);
	ps_json_set_real(o, "limit_ms", k->rps > 0 ? k->limit_s * 1e3 : NAN);
	ps_json_set_real(o, "service_times_longer_by", f->slowed);
	set_from(o, &k->from);
	return o;
}

json_t *ps_cli_plan_from_json(const struct ps_plan_answer *a, int tenant, int type)
{
	const struct ps_plan_case *c = a->c;
	int model = c->tenants[tenant].model;
	size_t at = (size_t)type * (size_t)c->n_models + (size_t)model;

	if (!c->figures)
		return NULL;
	json_t *o = json_object();
	json_object_set_new(o, "service", service_json(c, at));
	json_object_set_new(o, "memory", memory_json(c, model));
	json_object_set_new(o, "capacity", capacity_json(&c->figures[at]));
	return o;
}

/* ---- pairs ---- */

void ps_cli_plan_pairs(const struct ps_plan_answer *a,
		       void (*f)(void *ctx, const struct ps_plan_answer *a, int own, int other),
		       void *ctx)
{
	const struct ps_plan_case *c = a->c;
	size_t n = (size_t)c->n_models;
	bool *seen = calloc(n * n + 1, 1);

	for (int i = 0; seen && i < a->result.plan.n; i++) {
		const struct ps_plan_rented *m = &a->machines[i];
		for (int j = 0; j < m->n; j++) {
			for (int k = 0; k < m->n; k++) {
				int own = c->tenants[m->places[j].tenant].model;
				int other = c->tenants[m->places[k].tenant].model;
				bool *at = &seen[(size_t)own * n + (size_t)other];
				if (own == other || *at)
					continue;
				*at = true;
				f(ctx, a, own, other);
			}
		}
	}
	free(seen);
}

static void pair_json(void *ctx, const struct ps_plan_answer *a, int own, int other)
{
	const struct ps_plan_case *c = a->c;
	const struct ps_plan_beside *b = &c->beside[own * c->n_models + other];
	json_t *o = json_object();

	ps_json_set_string(o, "model", c->models[own].name);
	ps_json_set_string(o, "beside", c->models[other].name);
	ps_json_set_real(o, "times_as_long", b->middle);
	ps_json_set_real(o, "high", b->high);
	ps_json_set_string(o, "from", origins[b->origin]);
	json_array_append_new(ctx, o);
}

json_t *ps_cli_plan_beside_json(const struct ps_plan_answer *a)
{
	if (!a->c->figures)
		return NULL;
	json_t *all = json_array();
	if (a->c->beside)
		ps_cli_plan_pairs(a, pair_json, all);
	return all;
}

struct counted {
	int measured, guessed;
	double most;
};

static void count_pair(void *ctx, const struct ps_plan_answer *a, int own, int other)
{
	struct counted *x = ctx;
	const struct ps_plan_beside *b =
		a->c->beside ? &a->c->beside[own * a->c->n_models + other] : NULL;

	x->measured += b && b->origin == PS_PLAN_MEASURED;
	x->guessed += !b || b->origin != PS_PLAN_MEASURED;
	x->most = b ? fmax(x->most, b->middle) : x->most;
}

static void pairs_text(const struct ps_plan_answer *a, struct ps_strbuf *out)
{
	struct counted x = {.most = 1};

	ps_cli_plan_pairs(a, count_pair, &x);
	if (x.measured + x.guessed == 0)
		return;
	if (!a->c->beside) {
		ps_strbuf_puts(out, "No pair of models was measured: that runs beside others take "
				    "longer is not foreseen.\n");
		return;
	}
	ps_strbuf_printf(out,
			 "Runs beside others take up to %.3g times as long: %d of %d pairs that "
			 "share a machine were measured, the others are taken as the mean of those "
			 "that were.\n",
			 x.most, x.measured, x.measured + x.guessed);
}

/* ---- text ---- */

static const struct ps_cli_predict_data *store_of(const struct ps_plan_answer *a)
{
	const struct ps_cli_plan_store *s = a->c->source->ctx;

	return &s->data;
}

void ps_cli_plan_notes_json(const struct ps_plan_answer *a, json_t *o)
{
	if (a->c->source)
		ps_cli_predict_notes_json(store_of(a), o);
}

static void note(const char *what, const struct ps_plan_from *f, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "; %s %s%s%s%s", what, origins[f->origin], f->how ? " (" : "",
			 f->how ? f->how : "", f->how ? ")" : "");
	if (f->outside)
		ps_strbuf_printf(out, ", OUTSIDE THE MEASURED RANGE: %s", f->outside);
}

static void tenant_text(const struct ps_plan_answer *a, int tenant, int type, struct ps_strbuf *out)
{
	const struct ps_plan_case *c = a->c;
	const struct ps_plan_tenant *t = &c->tenants[tenant];
	size_t at = (size_t)type * (size_t)c->n_models + (size_t)t->model;
	const struct ps_plan_figures *f = &c->figures[at];
	char mean[PS_UNITS_SIZE], high[PS_UNITS_SIZE], resident[PS_UNITS_SIZE];

	ps_units_format_duration((int64_t)(c->services[at].mean_s * 1e9), mean);
	ps_units_format_duration((int64_t)(c->services[at].high_s * 1e9), high);
	ps_units_format_bytes((int64_t)c->footprints[t->model].resident_bytes, resident);
	ps_strbuf_printf(out, "  %-20s %s on %s: %s, at most %s", t->name, c->models[t->model].name,
			 c->types[type].name, mean, high);
	note("service time", &f->service, out);
	ps_strbuf_printf(out, "; %s", resident);
	note("memory", &c->memory_from[t->model], out);
	if (f->capacity.rps > 0) {
		ps_strbuf_printf(out, "; %.4g/s", f->capacity.rps);
		note("capacity", &f->capacity.from, out);
		if (f->slowed > 1)
			ps_strbuf_printf(out, ", for which service times are %.3g times as long",
					 f->slowed);
	}
	ps_strbuf_putc(out, '\n');
}

/* Tenants of one model on one type have the same figures: the first of them is shown. */
void ps_cli_plan_from_text(const struct ps_plan_answer *a, int most, struct ps_strbuf *out)
{
	const struct ps_plan_case *c = a->c;
	size_t n = (size_t)c->n_models * (size_t)c->n_types;
	bool *seen = c->figures ? calloc(n + 1, 1) : NULL;
	int shown = 0, more = 0;

	if (!seen)
		return;
	ps_strbuf_puts(out, "\nWhere the figures are from (the first tenant of each model and type "
			    "of machine):\n");
	for (int i = 0; i < a->result.plan.n; i++) {
		const struct ps_plan_rented *m = &a->machines[i];
		for (int j = 0; j < m->n; j++) {
			int tenant = m->places[j].tenant, model = c->tenants[tenant].model;
			bool *at = &seen[m->type * c->n_models + model];
			if (*at)
				continue;
			*at = true;
			if (shown < most)
				tenant_text(a, tenant, m->type, out);
			shown += shown < most;
			more += shown >= most;
		}
	}
	free(seen);
	if (more > 1)
		ps_strbuf_puts(out, "  ... --machines or --json shows more.\n");
	pairs_text(a, out);
	if (c->source)
		ps_cli_predict_notes_text(store_of(a), out);
}
