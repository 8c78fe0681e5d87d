/* plan_proof.c - predictions against measurements: as any program may write them, of a plan that
 * was measured (perseus plan --verify), and of models that were left out (perseus predict
 * --validate). */
#include "plan_read_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Room for n more behind those that are there; NULL: no memory, or too many. */
static struct ps_report_prediction *more_predictions(struct ps_report_reader *r, size_t n)
{
	struct ps_report_plan *p = r->p;

	if (p->prediction_len + n > PS_REPORT_PLAN_MAX) {
		ps_report_read_refuse(r, "predictions", "has over 20,000 entries");
		return NULL;
	}
	struct ps_report_prediction *all =
		ps_report_read_take(r, p->prediction_len + n, sizeof *all);
	if (!all)
		return NULL;
	if (p->prediction_len > 0)
		memcpy(all, p->predictions, p->prediction_len * sizeof *all);
	p->predictions = all;
	return all + p->prediction_len;
}

/* ---- as any program may write them ---- */

static struct ps_stats_interval interval_of(struct ps_report_reader *r, const json_t *o,
					    const char *key, const char *where)
{
	const json_t *v = json_object_get(o, key);
	struct ps_stats_interval i = {.value = NAN};
	char at[PS_REPORT_WHERE_SIZE];

	snprintf(at, sizeof at, "%.90s.%s", where, key);
	if (!ps_report_read_object(r, v, at))
		return i;
	i.value = ps_report_read_real(r, v, "value", true, 1e15, at);
	i.lo = ps_report_read_real(r, v, "low", false, 1e15, at);
	i.hi = ps_report_read_real(r, v, "high", false, 1e15, at);
	i.has_interval = !isnan(i.lo) && !isnan(i.hi);
	if (i.has_interval && i.lo > i.hi)
		ps_report_read_refuse(r, at, "low is above high");
	return i;
}

void ps_report_read_predictions(struct ps_report_reader *r, const json_t *root)
{
	const json_t *list = ps_report_read_list(r, root, "predictions", false, "");
	size_t n = json_array_size(list);
	struct ps_report_prediction *all = more_predictions(r, n);
	char where[PS_REPORT_WHERE_SIZE];

	for (size_t i = 0; i < n && r->st == PS_OK; i++) {
		struct ps_report_prediction *x = &all[i];
		const json_t *o = json_array_get(list, i);
		snprintf(where, sizeof where, "predictions[%zu]", i);
		if (!ps_report_read_object(r, o, where))
			return;
		x->what = ps_report_read_text(r, o, "what", true, where);
		x->unit = ps_report_read_text(r, o, "unit", true, where);
		x->predicted = interval_of(r, o, "predicted", where);
		x->measured = interval_of(r, o, "measured", where);
		if (r->st == PS_OK && !(x->measured.value > 0))
			ps_report_read_refuse(r, where, "what was measured must be above 0");
	}
	if (r->st == PS_OK)
		r->p->prediction_len += n;
}

/* ---- a plan that was measured ---- */

/* Null says that too many were never answered; absent, that nothing was measured. */
static struct ps_stats_interval measured_of(struct ps_report_reader *r, const json_t *o,
					    const char *where)
{
	struct ps_stats_interval i = {.value = NAN};

	if (!json_object_get(o, "measured_ms"))
		return i;
	i.value = ps_report_read_real(r, o, "measured_ms", false, 1e12, where);
	i.lo = ps_report_read_real(r, o, "measured_low_ms", false, 1e12, where);
	i.hi = ps_report_read_real(r, o, "measured_high_ms", false, 1e12, where);
	if (isnan(i.value))
		i.value = INFINITY;
	i.has_interval = !isnan(i.lo);
	if (i.has_interval && isnan(i.hi))
		i.hi = INFINITY;
	if (i.has_interval && i.lo > i.hi)
		ps_report_read_refuse(r, where, "measured_low_ms is above measured_high_ms");
	return i;
}

/* "machine-001", "machine-001 and 2 like it" */
static const char *machines_of(struct ps_report_reader *r, const json_t *o, const char *where)
{
	const json_t *list = ps_report_read_list(r, o, "machines", true, where);
	const char *first = json_string_value(json_array_get(list, 0));
	char *text = ps_report_read_take(r, 120, 1);

	if (!text)
		return "";
	if (!first)
		ps_report_read_refuse(r, where, "machines must name one at least");
	else if (json_array_size(list) > 1)
		snprintf(text, 120, "%.80s and %zu like it", first, json_array_size(list) - 1);
	else
		snprintf(text, 120, "%.80s", first);
	return text;
}

static void read_proved(struct ps_report_reader *r, const json_t *o, const char *where,
			struct ps_report_proved *x)
{
	if (!ps_report_read_object(r, o, where))
		return;
	x->tenant = ps_report_read_text(r, o, "tenant", true, where);
	x->verdict = ps_report_read_text(r, o, "verdict", true, where);
	x->rps = ps_report_read_real(r, o, "rps", false, 1e12, where);
	x->percentile = ps_report_read_real(r, o, "percentile", true, 1, where);
	x->limit_ms = ps_report_read_real(r, o, "limit_ms", false, 1e12, where);
	x->foreseen_ms = ps_report_read_real(r, o, "foreseen_ms", false, 1e12, where);
	x->foreseen_high_ms = ps_report_read_real(r, o, "foreseen_high_ms", false, 1e12, where);
	x->measured_ms = measured_of(r, o, where);
	x->goodput_rps = ps_report_read_real(r, o, "goodput_rps", false, 1e12, where);
	x->usd_per_hour = ps_report_read_real(r, o, "usd_per_hour", false, 1e9, where);
	x->usd_per_million_good =
		ps_report_read_real(r, o, "usd_per_million_good", false, 1e15, where);
}

static size_t count_proved(const json_t *machines)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(machines); i++)
		n += json_array_size(json_object_get(json_array_get(machines, i), "tenants"));
	return n;
}

static void read_machines(struct ps_report_reader *r, const json_t *machines)
{
	size_t n = count_proved(machines), k = 0;
	char where[PS_REPORT_WHERE_SIZE];

	if (n > PS_REPORT_PLAN_MAX) {
		ps_report_read_refuse(r, "verification", "has over 20,000 entries");
		return;
	}
	r->p->proved = ps_report_read_take(r, n, sizeof *r->p->proved);
	for (size_t i = 0; i < json_array_size(machines) && r->st == PS_OK; i++) {
		const json_t *m = json_array_get(machines, i), *tenants;
		snprintf(where, sizeof where, "verification.rounds.measured[%zu]", i);
		if (!ps_report_read_object(r, m, where))
			return;
		const char *names = machines_of(r, m, where);
		const char *type = ps_report_read_text(r, m, "instance_type", true, where);
		const char *why = ps_report_read_text(r, m, "why", false, where);
		tenants = ps_report_read_list(r, m, "tenants", true, where);
		for (size_t t = 0; t < json_array_size(tenants) && r->st == PS_OK; t++, k++) {
			struct ps_report_proved *x = &r->p->proved[k];
			x->machines = names;
			x->instance_type = type;
			x->why = why;
			snprintf(where, sizeof where,
				 "verification.rounds.measured[%zu].tenants[%zu]", i, t);
			read_proved(r, json_array_get(tenants, t), where, x);
		}
	}
	r->p->proved_len = k;
}

static bool can_be_drawn(const struct ps_report_proved *x)
{
	return isfinite(x->foreseen_ms) && isfinite(x->measured_ms.value) &&
	       x->measured_ms.value > 0;
}

/* The upper end is what a plan goes by: below it nothing is promised. */
static void predict_proved(struct ps_report_reader *r, const struct ps_report_proved *x,
			   struct ps_report_prediction *ret)
{
	char *what = ps_report_read_take(r, 260, 1);

	if (!what)
		return;
	snprintf(what, 260, "p%g of %.100s on %.120s", 100 * x->percentile, x->tenant, x->machines);
	*ret = (struct ps_report_prediction){
		.what = what,
		.unit = "ms, latency of the plan",
		.predicted = {.value = x->foreseen_ms,
			      .lo = -INFINITY,
			      .hi = x->foreseen_high_ms,
			      .has_interval = isfinite(x->foreseen_high_ms)},
		.measured = x->measured_ms,
	};
}

static void predict_all_proved(struct ps_report_reader *r)
{
	struct ps_report_prediction *all;
	size_t n = 0;

	for (size_t i = 0; i < r->p->proved_len; i++)
		n += can_be_drawn(&r->p->proved[i]);
	all = more_predictions(r, n);
	for (size_t i = 0; i < r->p->proved_len && r->st == PS_OK; i++) {
		if (!can_be_drawn(&r->p->proved[i]))
			continue;
		predict_proved(r, &r->p->proved[i], all++);
		r->p->prediction_len++;
	}
}

/* The last round is of the plan that is shown. */
void ps_report_read_proof(struct ps_report_reader *r, const json_t *root)
{
	const json_t *o = json_object_get(root, "verification");
	const json_t *rounds;

	r->p->proved_verdict = r->p->proved_sentence = "";
	if (!o || json_is_null(o) || !ps_report_read_object(r, o, "verification"))
		return;
	r->p->proved_verdict = ps_report_read_text(r, o, "verdict", true, "verification");
	r->p->proved_sentence = ps_report_read_text(r, o, "sentence", false, "verification");
	rounds = ps_report_read_list(r, o, "rounds", true, "verification");
	if (json_array_size(rounds) == 0)
		return;
	o = json_array_get(rounds, json_array_size(rounds) - 1);
	if (!ps_report_read_object(r, o, "verification.rounds"))
		return;
	o = ps_report_read_list(r, o, "measured", true, "verification.rounds");
	if (o)
		read_machines(r, o);
	if (r->st == PS_OK)
		predict_all_proved(r);
}

/* ---- models that were left out ---- */

/* What people read instead of nanoseconds and bytes. */
static double unit_of(const char *unit, const char **ret_name)
{
	static const struct {
		const char *unit, *name;
		double by;
	} units[] = {{"ns", "ms", 1e-6}, {"bytes", "MiB", 1.0 / 1048576}, {"", "times", 1}};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(units[i].unit, unit) == 0) {
			*ret_name = units[i].name;
			return units[i].by;
		}
	*ret_name = unit;
	return 1;
}

struct left_out {
	struct ps_report_prediction *next; /* where the next one goes */
	const char *unit;		   /* "ms, service time" */
	double by;
	char where[PS_REPORT_WHERE_SIZE];
};

/* "resnet50 beside vgg16, batch 1, threads 2" */
static const char *row_name(struct ps_report_reader *r, const json_t *row, const char *where)
{
	const char *of = ps_report_read_text(r, row, "of", true, where), *key;
	const char *beside = ps_report_read_text(r, row, "beside", false, where);
	json_t *at = json_object_get(row, "at"), *v;
	char *text = ps_report_read_take(r, 240, 1);
	size_t n;

	if (!text)
		return "";
	n = (size_t)snprintf(text, 240, "%.60s%s%.60s", of, beside[0] ? " beside " : "", beside);
	json_object_foreach(at, key, v)
	{
		if (json_is_number(v) && n < 200)
			n += (size_t)snprintf(text + n, 240 - n, ", %.20s %g", key,
					      json_number_value(v));
	}
	return text;
}

static void read_row(struct ps_report_reader *r, const json_t *row, struct left_out *q)
{
	double said, seen, noise;

	if (!ps_report_read_object(r, row, q->where))
		return;
	said = ps_report_read_real(r, row, "predicted", false, 1e18, q->where);
	seen = ps_report_read_real(r, row, "measured", true, 1e18, q->where);
	noise = ps_report_read_real(r, row, "noise", false, 1e6, q->where);
	if (!(seen > 0))
		ps_report_read_refuse(r, q->where, "what was measured must be above 0");
	*q->next = (struct ps_report_prediction){
		.what = row_name(r, row, q->where),
		.unit = q->unit,
		.predicted = {.value = said * q->by},
		.measured = {.value = seen * q->by,
			     .lo = seen * q->by * (1 - noise),
			     .hi = seen * q->by * (1 + noise),
			     .has_interval = noise < 1},
	};
	/* a candidate may have nothing to say of a model unlike the others */
	if (isnan(said)) {
		r->p->predictions_silent++;
	} else {
		q->next++;
		r->p->prediction_len++;
	}
}

static size_t count_rows(const json_t *models)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(models); i++)
		n += json_array_size(json_object_get(json_array_get(models, i), "rows"));
	return n;
}

static void read_models(struct ps_report_reader *r, const json_t *models, struct left_out *q)
{
	for (size_t i = 0; i < json_array_size(models) && r->st == PS_OK; i++) {
		const json_t *m = json_array_get(models, i), *rows;
		if (!ps_report_read_object(r, m, q->where))
			return;
		rows = ps_report_read_list(r, m, "rows", true, q->where);
		for (size_t k = 0; k < json_array_size(rows) && r->st == PS_OK; k++)
			read_row(r, json_array_get(rows, k), q);
	}
}

static void read_quantity(struct ps_report_reader *r, const json_t *o, size_t i, struct left_out *q)
{
	char *unit = ps_report_read_take(r, 160, 1);
	const char *name, *setting, *of, *where = q->where;

	snprintf(q->where, sizeof q->where, "quantities[%zu]", i);
	q->unit = unit;
	if (!unit || !ps_report_read_object(r, o, where))
		return;
	name = ps_report_read_text(r, o, "quantity", true, where);
	setting = ps_report_read_text(r, o, "setting", false, where);
	if (!json_is_string(json_object_get(o, "unit"))) {
		ps_report_read_refuse(r, where,
				      "has no unit: write it with this version's perseus predict "
				      "--validate --json");
		return;
	}
	q->by = unit_of(ps_report_read_text(r, o, "unit", false, where), &of);
	snprintf(unit, 160, "%.20s, %.60s%s%.60s", of, name, setting[0] ? ", " : "", setting);
	const json_t *models = ps_report_read_list(r, o, "models", false, where);
	if (models)
		read_models(r, models, q);
}

static void read_quantities(struct ps_report_reader *r, const json_t *root)
{
	const json_t *all = ps_report_read_list(r, root, "quantities", true, "");
	struct left_out q = {.next = NULL};
	size_t before = r->p->prediction_len, n = 0;

	for (size_t i = 0; i < json_array_size(all); i++)
		n += count_rows(json_object_get(json_array_get(all, i), "models"));
	q.next = more_predictions(r, n);
	for (size_t i = 0; i < json_array_size(all) && r->st == PS_OK; i++)
		read_quantity(r, json_array_get(all, i), i, &q);
	if (r->st == PS_OK && r->p->prediction_len == before)
		ps_report_read_refuse(r, "quantities", "no model was left out and predicted");
}

enum ps_status ps_report_plan_predictions(const char *text, size_t len, struct ps_report_plan *plan,
					  struct ps_error *err)
{
	struct ps_report_reader r = {.p = plan, .err = err, .st = PS_OK};
	json_t *root = NULL;

	if (!plan->name)
		plan->name = plan->verdict = plan->proof = plan->proved_verdict =
			plan->proved_sentence = "";
	if (len > PS_REPORT_PLAN_MAX_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "predictions have at most 16 MiB");
	r.st = ps_json_parse(text, len, &root, err);
	if (r.st == PS_OK && ps_report_read_object(&r, root, "the predictions"))
		read_quantities(&r, root);
	json_decref(root);
	return r.st;
}
