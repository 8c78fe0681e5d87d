/* plan_store_service.c - service times from a store, measured or predicted. */
#include "cli/plan_store_internal.h"

#include "stats/special.h"
#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNSAID_ERROR  0.05   /* as the file of profiles supposes where it says nothing */
#define UNSAID_CV     0.1    /* likewise */
#define PER_DEVIATION 1.2533 /* normal: standard deviation over mean absolute error */
#define TWO_SIDED     1.96   /* half-width of 95 % over the standard error */
#define MAX_BEYOND    3

/* ---- learning ---- */

enum ps_status ps_cli_plan_store_count(struct ps_cli_plan_store *s, struct ps_error *err)
{
	if (s->counted)
		return PS_OK;
	enum ps_status st = ps_cli_predict_count(&s->data, s->dir, err);
	s->counted = st == PS_OK;
	return st;
}

typedef enum ps_status make_table(const struct ps_cli_predict_data *, const bool *,
				  struct ps_cli_predict_table *, struct ps_error *);

struct learning {
	make_table *make;
	struct ps_cli_predict_table *table;
	bool *done;
	const char **why_not;
};

static struct learning learning_of(struct ps_cli_plan_store *s, const struct ps_predict_quantity *q)
{
	if (q == &ps_predict_service)
		return (struct learning){ps_cli_predict_service_table, &s->service,
					 &s->learned_service, &s->no_service};
	if (q == &ps_predict_memory)
		return (struct learning){ps_cli_predict_memory_table, &s->memory,
					 &s->learned_memory, &s->no_memory};
	return (struct learning){ps_cli_predict_capacity_table, &s->capacity, &s->learned_capacity,
				 &s->no_capacity};
}

static enum ps_status learn(struct ps_cli_plan_store *s, const struct learning *x,
			    struct ps_error *err)
{
	struct ps_error why = {0};
	enum ps_status st = ps_cli_plan_store_count(s, err);

	if (st == PS_OK)
		st = x->make(&s->data, NULL, x->table, err);
	if (st != PS_OK)
		return st;
	*x->done = true;
	st = ps_predict_learn(&x->table->table, ps_predict_candidates, &x->table->learned, &why);
	if (st == PS_EUNAVAIL)
		*x->why_not = ps_cli_plan_store_say(s, "%s", why.what);
	else if (st != PS_OK && err)
		*err = why;
	return st == PS_EUNAVAIL ? PS_OK : st;
}

enum ps_status ps_cli_plan_store_learn(struct ps_cli_plan_store *s,
				       const struct ps_predict_quantity *q,
				       struct ps_cli_predict_table **ret_table,
				       struct ps_error *err)
{
	const struct learning x = learning_of(s, q);
	enum ps_status st = *x.done ? PS_OK : learn(s, &x, err);

	if (st != PS_OK)
		return st;
	if (!x.table->learned) {
		ps_error_set(err, PS_EUNAVAIL, "%s", *x.why_not ? *x.why_not : "nothing");
		return PS_EUNAVAIL;
	}
	*ret_table = x.table;
	return PS_OK;
}

/* ---- asking ---- */

/* "CPUs 8 (measured 1 to 2), ..." */
static const char *beyond_text(struct ps_cli_plan_store *s, const struct ps_predict_estimate *e)
{
	char text[300] = "";

	for (size_t i = 0; i < e->beyond_len && i < MAX_BEYOND; i++) {
		const struct ps_predict_beyond *b = &e->beyond[i];
		size_t at = strlen(text);
		if (isnan(b->value))
			(void)snprintf(text + at, sizeof(text) - at, "%s%s", i ? ", " : "",
				       b->name);
		else
			(void)snprintf(text + at, sizeof(text) - at,
				       "%s%s %.4g (measured %.4g to "
				       "%.4g)",
				       i ? ", " : "", b->name, b->value, b->low, b->high);
	}
	if (e->beyond_len == 0)
		return NULL;
	if (e->beyond_len > MAX_BEYOND)
		return ps_cli_plan_store_say(s, "%s and %zu more", text,
					     e->beyond_len - MAX_BEYOND);
	return ps_cli_plan_store_say(s, "%s", text);
}

enum ps_status ps_cli_plan_store_ask(struct ps_cli_plan_store *s, struct ps_cli_predict_table *t,
				     const struct ps_predict_row *row, double *ret_value,
				     double *ret_low, double *ret_high,
				     struct ps_plan_from *ret_from, struct ps_error *err)
{
	struct ps_predict_estimate e = {0};
	/* one end at the plan's confidence leaves as much out as both at this */
	double both = fmax(2 * s->confidence - 1, 0.5), z = ps_stats_normal_quantile(s->confidence);
	const struct ps_predict_learned *l = t->learned;
	enum ps_status st = l ? ps_predict_at(l, row, both, &e, err) : PS_EUNAVAIL;

	if (st != PS_OK || !l)
		return st;
	double error = l->error, off = 1 + fmax(z, 0) * PER_DEVIATION * error;
	if (!e.has_interval && !isfinite(error))
		return ps_error_set(err, PS_EUNAVAIL, "the error of the %s is not known",
				    t->table.quantity->name);
	*ret_value = e.value;
	*ret_low = e.has_interval ? e.low : e.value / off;
	*ret_high = e.has_interval ? e.high : e.value * off;
	*ret_from = (struct ps_plan_from){
		.origin = PS_PLAN_PREDICTED,
		.how = ps_cli_plan_store_say(
			s, "%s, %zu models, off by %.0f %% on models left out%s", e.candidate,
			l->fold_len, 100 * error,
			e.has_interval ? "" : "; too few for an interval, normal errors supposed"),
		.outside = beyond_text(s, &e)};
	return PS_OK;
}

/* ---- service times ---- */

static const struct ps_cli_predict_profile *profile_of(const struct ps_cli_plan_store *s, int model,
						       const struct ps_predict_slice *slice)
{
	for (size_t i = 0; i < s->data.profile_len; i++) {
		const struct ps_cli_predict_profile *p = &s->data.profiles[i];
		if (p->model == model && p->batch == 1 &&
		    ps_cli_predict_same_slice(&p->slice, slice))
			return p;
	}
	return NULL;
}

/* The mean is what loads a lane; predictions are of medians, and as much under it as measured ones.
 */
static double mean_over_median(const struct ps_cli_plan_store *s, double *ret_cv)
{
	double sum = 0, cv = 0, n = 0;

	for (size_t i = 0; i < s->data.profile_len; i++) {
		const struct ps_cli_predict_profile *p = &s->data.profiles[i];
		sum += p->mean;
		cv += p->deviation;
		n += p->trials;
	}
	*ret_cv = n > 0 && isfinite(cv) ? fmin(cv / n, 10) : UNSAID_CV;
	return n > 0 ? sum / n : 1;
}

static void measured_on(struct ps_cli_plan_store *s, const struct ps_cli_predict_profile *p,
			struct ps_plan_known_service *ret)
{
	double ns = NAN, noise = NAN, z = fmax(ps_stats_normal_quantile(s->confidence), 0);
	bool known =
		ps_cli_predict_service(&s->data, p->model, 1, &p->slice, &ns, &noise, &ret->cv);
	double error = known && isfinite(noise) ? noise / TWO_SIDED : UNSAID_ERROR;

	ret->mean_s = ns * 1e-9 * p->mean / p->trials;
	ret->high_s = ret->mean_s * (1 + z * error);
	ret->cv = isfinite(ret->cv) ? fmin(ret->cv, 10) : UNSAID_CV;
	ret->from = (struct ps_plan_from){
		.origin = PS_PLAN_MEASURED,
		.how = ps_cli_plan_store_say(
			s, "on %g CPU%s, %d trial%s%s", p->slice.cpus, p->slice.cpus > 1 ? "s" : "",
			p->trials, p->trials > 1 ? "s" : "",
			isfinite(noise) ? "" : ", error not known: 5 % taken")};
}

/* Measured on another slice only, and nothing to learn from how others change between the two. */
static void as_elsewhere(struct ps_cli_plan_store *s, const struct ps_cli_predict_profile *p,
			 double cpus, struct ps_plan_known_service *ret)
{
	measured_on(s, p, ret);
	ret->from.origin = PS_PLAN_PREDICTED;
	ret->from.how = ps_cli_plan_store_say(s, "as measured on %g CPU%s", p->slice.cpus,
					      p->slice.cpus > 1 ? "s" : "");
	ret->from.outside =
		ps_cli_plan_store_say(s, "CPUs %g (measured on %g)", cpus, p->slice.cpus);
}

static void predicted(struct ps_cli_plan_store *s, double value, double high,
		      struct ps_plan_known_service *ret)
{
	double mean = mean_over_median(s, &ret->cv);

	ret->mean_s = value * 1e-9 * mean;
	ret->high_s = fmax(high * 1e-9 * mean, ret->mean_s);
}

static enum ps_status from_file(struct ps_cli_plan_store *s, int model,
				const struct ps_predict_slice *slice,
				struct ps_plan_known_service *ret, struct ps_error *err)
{
	struct ps_cli_predict_table *t = NULL;
	struct ps_predict_row row;
	double value = NAN, low = NAN, high = NAN;
	enum ps_status st = ps_cli_plan_store_learn(s, &ps_predict_service, &t, err);

	if (st == PS_OK && s->data.models[model].lacks)
		st = ps_error_set(err, PS_EUNAVAIL, "%s", s->data.models[model].lacks);
	if (st != PS_OK)
		return st;
	ps_predict_service_row(&s->data.models[model].work, slice, &row);
	row.models[0] = model;
	st = ps_cli_plan_store_ask(s, t, &row, &value, &low, &high, &ret->from, err);
	if (st == PS_OK)
		predicted(s, value, high, ret);
	return st;
}

static size_t models_on(const struct ps_cli_plan_store *s, const struct ps_predict_slice *slice)
{
	size_t n = 0;

	for (int m = 0; m < s->data.model_len; m++)
		n += profile_of(s, m, slice) != NULL;
	return n;
}

/* Learns how models change from one slice to the other; a model's file is needed for that. */
static enum ps_status transferred(struct ps_cli_plan_store *s,
				  const struct ps_cli_predict_profile *p,
				  const struct ps_predict_slice *to,
				  struct ps_plan_known_service *ret, struct ps_error *err)
{
	struct ps_cli_predict_table t = {0};
	struct ps_predict_row row;
	double ns = NAN, noise = NAN, value = NAN, low = NAN, high = NAN;

	if (models_on(s, to) <= PS_PREDICT_MIN_MODELS)
		return ps_error_set(err, PS_EUNAVAIL, "too few models on that slice");
	enum ps_status st = ps_cli_plan_store_count(s, err);
	if (st == PS_OK && s->data.models[p->model].lacks)
		st = ps_error_set(err, PS_EUNAVAIL, "%s", s->data.models[p->model].lacks);
	if (st == PS_OK)
		st = ps_cli_predict_transfer_table(&s->data, &p->slice, to, NULL, &t, err);
	if (st != PS_OK)
		return st;
	(void)ps_cli_predict_service(&s->data, p->model, 1, &p->slice, &ns, &noise, &ret->cv);
	ps_predict_transfer_row(&s->data.models[p->model].work, ns, to, &row);
	row.models[0] = p->model;
	row.place[0] = 1;
	st = ps_predict_learn(&t.table, ps_predict_candidates, &t.learned, err);
	if (st == PS_OK)
		st = ps_cli_plan_store_ask(s, &t, &row, &value, &low, &high, &ret->from, err);
	if (st == PS_OK) {
		predicted(s, value, high, ret);
		ret->from.how = ps_cli_plan_store_say(s, "from %g to %g CPUs: %s", p->slice.cpus,
						      to->cpus, ret->from.how);
	}
	ps_cli_predict_table_free(&t);
	return st;
}

static enum ps_status work_out(struct ps_cli_plan_store *s, int model,
			       const struct ps_predict_slice *slice,
			       struct ps_plan_known_service *ret, struct ps_error *err)
{
	const struct ps_cli_predict_profile *p = profile_of(s, model, slice);
	struct ps_predict_slice near;

	if (p) {
		measured_on(s, p, ret);
		return PS_OK;
	}
	if (!ps_cli_plan_store_nearest(s, model, slice->cpus, &near))
		return from_file(s, model, slice, ret, err);
	p = profile_of(s, model, &near);
	enum ps_status st = p ? transferred(s, p, slice, ret, err) : PS_EUNAVAIL;
	if (st == PS_EUNAVAIL && p) {
		as_elsewhere(s, p, slice->cpus, ret);
		st = PS_OK;
	}
	return st;
}

static struct ps_cli_plan_found *find(struct ps_cli_plan_store *s, int model, double cpus)
{
	for (size_t i = 0; i < s->n_found; i++)
		if (s->found[i].model == model && s->found[i].cpus == cpus)
			return &s->found[i];
	return NULL;
}

static struct ps_cli_plan_found *push(struct ps_cli_plan_store *s)
{
	if (s->n_found == s->cap_found) {
		size_t cap = s->cap_found ? 2 * s->cap_found : 64;
		void *more = realloc(s->found, cap * sizeof(*s->found));
		if (!more)
			return NULL;
		s->found = more;
		s->cap_found = cap;
	}
	return &s->found[s->n_found++];
}

/* Did the measured slice stand for this type, by the campaign's own word? */
static bool stood_for(const struct ps_cli_plan_store *s, int model,
		      const struct ps_predict_slice *slice, const struct ps_cost_price *type)
{
	const struct ps_cli_predict_profile *p = profile_of(s, model, slice);
	char name[300];

	(void)snprintf(name, sizeof(name), "%s/%s", type->provider, type->instance_type);
	return p && p->priced_as && strcmp(p->priced_as, name) == 0;
}

enum ps_status ps_cli_plan_store_service(void *store, const char *model,
					 const struct ps_cost_price *type,
					 struct ps_plan_known_service *ret, struct ps_error *err)
{
	struct ps_cli_plan_store *s = store;
	const struct ps_predict_slice slice = ps_cli_plan_store_slice(type);
	int m = ps_cli_plan_store_model(s, model);

	if (s->least_cpus <= 0 || slice.cpus < s->least_cpus) {
		s->least_cpus = slice.cpus;
		s->least_type =
			ps_cli_plan_store_say(s, "%s/%s", type->provider, type->instance_type);
	}
	if (m < 0)
		return ps_error_set(err, PS_EUNAVAIL, "the store does not know %s", model);
	struct ps_cli_plan_found *f = find(s, m, slice.cpus);
	if (!f) {
		struct ps_cli_plan_found x = {.model = m, .cpus = slice.cpus};
		struct ps_error why = {0};
		x.status = work_out(s, m, &slice, &x.service, &why);
		if (x.status != PS_OK && x.status != PS_EUNAVAIL) {
			if (err)
				*err = why;
			return x.status;
		}
		x.why = x.status == PS_OK ? NULL : ps_cli_plan_store_say(s, "%s", why.what);
		f = push(s);
		if (!f)
			return ps_error_set(err, PS_ENOMEM, "no memory for service times");
		*f = x;
	}
	if (f->status != PS_OK)
		return ps_error_set(err, f->status, "%s", f->why);
	*ret = f->service;
	ret->on_the_type = stood_for(s, m, &slice, type);
	return PS_OK;
}
