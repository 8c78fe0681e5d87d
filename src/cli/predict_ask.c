/* predict_ask.c - one row per question, and who answers it. */
#include "cli/predict_asking_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_PER_MODEL 5

/* ---- the slice ---- */

static size_t profiles_on(const struct ps_cli_predict_data *d, const struct ps_predict_slice *s)
{
	size_t n = 0;

	for (size_t i = 0; i < d->profile_len; i++)
		n += d->profiles[i].slice.cpus == s->cpus &&
		     d->profiles[i].slice.threads == s->threads;
	return n;
}

/* Of the slices that fit what was given, the one with most profiles. */
struct ps_predict_slice ps_cli_predict_slice(const struct ps_cli_predict_options *o,
					     const struct ps_cli_predict_data *d)
{
	struct ps_predict_slice best = {.cpus = 1, .lanes = 1, .threads = 1};
	size_t most = 0;

	for (size_t i = 0; i < d->profile_len; i++) {
		const struct ps_predict_slice *s = &d->profiles[i].slice;
		if ((o->cpus > 0 && s->cpus != o->cpus) ||
		    (o->threads > 0 && s->threads != (double)o->threads))
			continue;
		size_t n = profiles_on(d, s);
		if (n > most) {
			most = n;
			best = *s;
		}
	}
	if (o->threads > 0)
		best.threads = (double)o->threads;
	if (o->cpus > 0)
		best.cpus = o->cpus;
	else
		best.cpus = fmax(best.cpus, best.threads);
	best.lanes = fmax(1, floor(best.cpus / best.threads));
	return best;
}

static void name_setting(const struct ps_cli_predict_asking *a, struct ps_cli_predict_answer *x)
{
	(void)snprintf(x->setting, sizeof(x->setting), "batch %lld, %g thread%s, %g CPU%s",
		       (long long)a->o->batch, a->slice.threads, a->slice.threads > 1 ? "s" : "",
		       a->slice.cpus, a->slice.cpus > 1 ? "s" : "");
}

/* ---- answers ---- */

struct ps_cli_predict_answer *ps_cli_predict_begin(struct ps_cli_predict_asking *a,
						   const struct ps_predict_quantity *q)
{
	struct ps_cli_predict_answer *x = a->answer++;

	*x = (struct ps_cli_predict_answer){.model = a->d->models[a->model].name,
					    .quantity = q,
					    .error = NAN,
					    .error_noise = NAN,
					    .measured = NAN,
					    .measured_noise = NAN};
	x->estimate.confidence = a->o->confidence;
	name_setting(a, x);
	return x;
}

void ps_cli_predict_add_note(struct ps_cli_predict_answer *x, const char *text)
{
	size_t at = strlen(x->note);

	(void)snprintf(x->note + at, sizeof(x->note) - at, "%s%s", at > 0 ? "; " : "", text);
}

/* What one question lacks is said in its answer; all else ends the program. */
enum ps_status ps_cli_predict_is_unknown(struct ps_cli_predict_answer *x, enum ps_status st,
					 const struct ps_error *err)
{
	if (st != PS_EUNAVAIL)
		return st;
	(void)snprintf(x->note, sizeof(x->note), "%.230s", err->what);
	return PS_OK;
}

enum ps_status ps_cli_predict_answer_from(struct ps_cli_predict_asking *a,
					  struct ps_cli_predict_table *t,
					  struct ps_predict_row *row,
					  struct ps_cli_predict_answer *x, struct ps_error *err)
{
	enum ps_status st = ps_predict_learn(&t->table, ps_predict_candidates, &t->learned, err);

	row->models[0] = a->model;
	if (st == PS_OK)
		st = ps_predict_at(t->learned, row, a->o->confidence, &x->estimate, err);
	if (st != PS_OK)
		return ps_cli_predict_is_unknown(x, st, err);
	x->known = true;
	x->error = t->learned->error;
	x->error_noise = t->learned->noise;
	x->models = (int)t->learned->fold_len;
	if (!x->estimate.has_interval && x->estimate.needs_models == 0)
		ps_cli_predict_add_note(
			x, "no interval: without one of the models nothing could be said of it");
	return PS_OK;
}

/* ---- service time ---- */

/* Nothing follows from a part of a model. */
static bool lacks(const struct ps_cli_predict_asking *a, struct ps_cli_predict_answer *x)
{
	const char *what = a->d->models[a->model].lacks;

	if (what)
		ps_cli_predict_add_note(x, what);
	return what != NULL;
}

static enum ps_status service(struct ps_cli_predict_asking *a, struct ps_cli_predict_answer *x,
			      struct ps_error *err)
{
	struct ps_cli_predict_table t;
	struct ps_predict_model work = {0};
	struct ps_predict_row row;
	double variation = NAN;

	(void)ps_cli_predict_service(a->d, a->model, a->o->batch, &a->slice, &x->measured,
				     &x->measured_noise, &variation);
	if (lacks(a, x))
		return PS_OK;
	enum ps_status st = ps_cli_predict_service_table(a->d, a->leave, &t, err);
	if (st != PS_OK)
		return st;
	if (ps_cli_predict_at_batch(&a->d->models[a->model].work, a->o->batch, &work) != PS_OK) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for a model");
	} else {
		ps_predict_service_row(&work, &a->slice, &row);
		st = ps_cli_predict_answer_from(a, &t, &row, x, err);
	}
	ps_predict_model_fini(&work);
	ps_cli_predict_table_free(&t);
	return st;
}

/* The model was measured on another slice: from there to here. */
static bool measured_elsewhere(const struct ps_cli_predict_asking *a,
			       struct ps_predict_slice *ret_slice, double *ret_ns)
{
	double noise = NAN, variation = NAN;

	for (size_t i = 0; i < a->d->profile_len; i++) {
		const struct ps_cli_predict_profile *p = &a->d->profiles[i];
		bool here = p->slice.cpus == a->slice.cpus && p->slice.threads == a->slice.threads;
		if (p->model != a->model || here || p->batch != a->o->batch)
			continue;
		*ret_slice = p->slice;
		return ps_cli_predict_service(a->d, a->model, a->o->batch, &p->slice, ret_ns,
					      &noise, &variation);
	}
	return false;
}

/* Three models are enough to choose by and to learn from, but for no error and no interval. With
 * more of them, that nothing was answered has another reason. */
static enum ps_status choose_only(struct ps_cli_predict_asking *a,
				  const struct ps_cli_predict_table *t,
				  const struct ps_predict_row *row, struct ps_cli_predict_answer *x,
				  struct ps_error *err)
{
	struct ps_predict_choice c = {0};
	size_t *at = calloc(t->table.len + 1, sizeof(*at));

	if (!at)
		return ps_error_set(err, PS_ENOMEM, "no memory for a table");
	for (size_t i = 0; i < t->table.len; i++)
		at[i] = i;
	const struct ps_predict_rows all = {&t->table, at, t->table.len};
	if (ps_predict_model_count(&all) != PS_PREDICT_MIN_MODELS) {
		free(at);
		return PS_OK;
	}
	enum ps_status st = ps_predict_choose(&all, ps_predict_candidates, &c, NULL, err);
	if (st == PS_OK)
		st = ps_predict_by_choice(&t->table, &c, row, a->o->confidence, &x->estimate, err);
	if (st == PS_OK) {
		x->known = true;
		x->models = PS_PREDICT_MIN_MODELS;
		x->note[0] = '\0';
		ps_cli_predict_add_note(x,
					"from three models: too few for an error or an interval");
	}
	ps_predict_choice_fini(&c);
	free(at);
	return ps_cli_predict_is_unknown(x, st, err);
}

static enum ps_status transfer(struct ps_cli_predict_asking *a, struct ps_error *err)
{
	struct ps_predict_slice from;
	struct ps_cli_predict_table t;
	struct ps_predict_row row;
	double ns = NAN, variation = NAN;

	if (!measured_elsewhere(a, &from, &ns))
		return PS_OK;
	struct ps_cli_predict_answer *x = ps_cli_predict_begin(a, &ps_predict_transfer);
	if (lacks(a, x))
		return PS_OK;
	enum ps_status st =
		ps_cli_predict_transfer_table(a->d, &from, &a->slice, a->leave, &t, err);
	if (st != PS_OK)
		return st;
	ps_predict_transfer_row(&a->d->models[a->model].work, ns, &a->slice, &row);
	row.place[0] = (double)a->o->batch;
	st = ps_cli_predict_answer_from(a, &t, &row, x, err);
	if (st == PS_OK && !x->known)
		st = choose_only(a, &t, &row, x, err);
	(void)ps_cli_predict_service(a->d, a->model, a->o->batch, &a->slice, &x->measured,
				     &x->measured_noise, &variation);
	ps_cli_predict_table_free(&t);
	return st;
}

/* ---- as a tenant ---- */

/* By its profile where there is one, else by the predicted service time. */
bool ps_cli_predict_as_tenant(const struct ps_cli_predict_asking *a, int model, int64_t batch,
			      double rate, const struct ps_cli_predict_answer *service,
			      struct ps_predict_tenant *ret, bool *ret_predicted)
{
	const struct ps_predict_model *w = &a->d->models[model].work;
	double noise = NAN;
	struct ps_predict_tenant t = {.rate_rps = rate};

	*ret_predicted = !ps_cli_predict_service(a->d, model, batch, &a->slice, &t.service_ns,
						 &noise, &t.variation);
	if (*ret_predicted) {
		if (!service || !service->known)
			return false;
		t.service_ns = service->estimate.value;
		t.variation = 0;
	}
	t.moved_bytes = w->param_bytes + w->activation_bytes * (double)batch;
	*ret = t;
	return true;
}

void ps_cli_predict_say_predicted(struct ps_cli_predict_answer *x, bool predicted)
{
	if (!predicted || !x->known)
		return;
	/* the error was found on models whose own service time is measured */
	x->estimate.guaranteed = 0;
	ps_cli_predict_add_note(x, "from the predicted service time: its error comes on top");
}

static enum ps_status capacity(struct ps_cli_predict_asking *a,
			       const struct ps_cli_predict_answer *service, struct ps_error *err)
{
	struct ps_cli_predict_answer *x = ps_cli_predict_begin(a, &ps_predict_capacity);
	struct ps_cli_predict_table t;
	struct ps_predict_tenant tenant;
	struct ps_predict_row row;
	bool predicted = false;

	if (!ps_cli_predict_as_tenant(a, a->model, a->o->batch, 1, service, &tenant, &predicted)) {
		ps_cli_predict_add_note(x, "its service time is not known");
		return PS_OK;
	}
	enum ps_status st = ps_cli_predict_capacity_table(a->d, a->leave, &t, err);
	if (st != PS_OK)
		return st;
	ps_predict_capacity_row(&tenant, a->o->sla.percentile, (double)a->o->sla.limit_ns,
				&a->slice, &row);
	st = ps_cli_predict_answer_from(a, &t, &row, x, err);
	ps_cli_predict_say_predicted(x, predicted);
	ps_cli_predict_table_free(&t);
	return st;
}

/* ---- all of a model ---- */

static enum ps_status ask_model(struct ps_cli_predict_asking *a, struct ps_error *err)
{
	enum ps_status st = ps_cli_predict_check_beside(a, err);

	if (st != PS_OK)
		return st;
	memset(a->leave, 0, sizeof(a->leave));
	a->leave[a->model] = true;
	struct ps_cli_predict_answer *x = ps_cli_predict_begin(a, &ps_predict_service);
	st = service(a, x, err);
	if (st == PS_OK)
		st = transfer(a, err);
	if (st == PS_OK && a->o->sla.percentile > 0)
		st = capacity(a, x, err);
	return st == PS_OK ? ps_cli_predict_ask_beside(a, x, err) : st;
}

/* When nothing could be answered, that is an error with a way out. */
static enum ps_status nothing(const struct ps_cli_predict_asking *a,
			      const struct ps_cli_predict_answers *all, struct ps_error *err)
{
	for (size_t i = 0; i < all->len; i++)
		if (all->items[i].known)
			return PS_OK;
	ps_error_set(err, PS_EUNAVAIL, "%s", all->items[0].note);
	ps_error_where(err, "%.150s", a->o->store);
	ps_error_hint(err,
		      "--write-campaign FILE writes the campaign that is missing: profiles and "
		      "operators of more models; perseus measure FILE --store %.100s runs it",
		      a->o->store);
	return PS_EUNAVAIL;
}

enum ps_status ps_cli_predict_ask(const struct ps_cli_predict_options *o,
				  const struct ps_cli_predict_data *d, const int *asked,
				  struct ps_cli_predict_answers *ret_answers, struct ps_error *err)
{
	struct ps_cli_predict_asking a = {.o = o, .d = d, .slice = ps_cli_predict_slice(o, d)};
	struct ps_cli_predict_answers all = {0};
	enum ps_status st = PS_OK;

	all.items = calloc(o->models.len * ANSWERS_PER_MODEL + 1, sizeof(*all.items));
	if (!all.items)
		return ps_error_set(err, PS_ENOMEM, "no memory for answers");
	a.answer = all.items;
	for (size_t i = 0; i < o->models.len && st == PS_OK; i++) {
		a.model = asked[i];
		st = ask_model(&a, err);
	}
	all.len = (size_t)(a.answer - all.items);
	if (st == PS_OK)
		st = nothing(&a, &all, err);
	/* the campaign was written: that is what was wanted */
	if (st == PS_EUNAVAIL && o->write_campaign)
		st = PS_OK;
	if (st != PS_OK) {
		free(all.items);
		return st;
	}
	*ret_answers = all;
	return PS_OK;
}
