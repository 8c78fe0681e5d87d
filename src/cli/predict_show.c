/* predict_show.c - predictions as text, JSON and CSV. */
#include "cli/predict_show_internal.h"

#include "base/csv.h"

#include <math.h>
#include <string.h>

const char *ps_cli_predict_value(double v, const char *unit, char buf[32])
{
	if (!isfinite(v))
		(void)snprintf(buf, 32, "-");
	else if (strcmp(unit, "ns") == 0)
		(void)snprintf(buf, 32, v < 1e7 ? "%.3g ms" : "%.4g ms", v / 1e6);
	else
		(void)snprintf(buf, 32, "%.3g%s%s", v, unit[0] ? " " : "", unit);
	return buf;
}

static const char *percent(double share, char buf[32])
{
	if (isfinite(share))
		(void)snprintf(buf, 32, "%.1f %%", 100 * share);
	else
		(void)snprintf(buf, 32, "-");
	return buf;
}

/* ---- text ---- */

static void put_interval(const struct ps_cli_predict_answer *a, struct ps_strbuf *out)
{
	const struct ps_predict_estimate *e = &a->estimate;
	char low[32], high[32];

	if (!e->has_interval) {
		if (e->needs_models > 0)
			ps_strbuf_printf(out, "  no interval at %g %%: %zu more model%s needed\n",
					 100 * e->confidence, e->needs_models,
					 e->needs_models == 1 ? " is" : "s are");
		return;
	}
	ps_strbuf_printf(out, "  %g %% interval %s to %s", 100 * e->confidence,
			 ps_cli_predict_value(e->low, a->quantity->unit, low),
			 ps_cli_predict_value(e->high, a->quantity->unit, high));
	if (e->guaranteed > 0)
		ps_strbuf_printf(out, " (at least %g %% whatever the distribution)\n",
				 100 * e->guaranteed);
	else
		ps_strbuf_puts(out, "\n");
}

static void put_beyond(const struct ps_cli_predict_answer *a, struct ps_strbuf *out)
{
	for (size_t i = 0; i < a->estimate.beyond_len; i++) {
		const struct ps_predict_beyond *b = &a->estimate.beyond[i];
		ps_strbuf_printf(out, "  EXTRAPOLATED: %s", b->name);
		if (!isfinite(b->low))
			ps_strbuf_puts(out, " were never measured\n");
		else if (b->high <= 0)
			ps_strbuf_printf(out, " %.4g, measured none\n", b->value);
		else
			ps_strbuf_printf(out, " %.4g, measured from %.4g to %.4g\n", b->value,
					 b->low, b->high);
	}
}

static void put_measured(const struct ps_cli_predict_answer *a, struct ps_strbuf *out)
{
	char value[32], noise[32];

	if (!isfinite(a->measured))
		return;
	ps_strbuf_printf(out, "  measured %s",
			 ps_cli_predict_value(a->measured, a->quantity->unit, value));
	if (isfinite(a->measured_noise))
		ps_strbuf_printf(out, " (+-%s)", percent(a->measured_noise, noise));
	ps_strbuf_printf(out, ": off by %+.1f %%; its own measurements were left out\n",
			 100 * (a->estimate.value / a->measured - 1));
}

static void put_answer(const struct ps_cli_predict_answer *a, struct ps_strbuf *out)
{
	char value[32], error[32], noise[32];

	ps_strbuf_printf(out, "%s, %s: ", a->quantity->name, a->setting);
	if (!a->known) {
		ps_strbuf_printf(out, "not known\n  %s\n", a->note);
		return;
	}
	ps_strbuf_printf(out, "%s by '%s'\n",
			 ps_cli_predict_value(a->estimate.value, a->quantity->unit, value),
			 a->estimate.candidate);
	put_interval(a, out);
	if (isfinite(a->error))
		ps_strbuf_printf(
			out,
			"  mean error on models left out %s, noise of the measurements %s; "
			"learned from %d models\n",
			percent(a->error, error), percent(a->error_noise, noise), a->models);
	put_measured(a, out);
	put_beyond(a, out);
	if (a->note[0])
		ps_strbuf_printf(out, "  %s\n", a->note);
}

void ps_cli_predict_answers_text(const struct ps_cli_predict_answer *a, size_t n,
				 struct ps_strbuf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || a[i].model != a[i - 1].model) /* files of one name are two models */
			ps_strbuf_printf(out, "%s%s\n", i ? "\n" : "", a[i].model);
		put_answer(&a[i], out);
	}
}

void ps_cli_predict_notes_text(const struct ps_cli_predict_data *d, struct ps_strbuf *out)
{
	if (d->note_len > 0)
		ps_strbuf_putc(out, '\n');
	for (size_t i = 0; i < d->note_len; i++)
		ps_strbuf_printf(out, "note: %s\n", d->notes[i]);
	if (d->notes_dropped > 0)
		ps_strbuf_printf(out, "note: %zu more like these\n", d->notes_dropped);
}

/* ---- JSON ---- */

void ps_cli_predict_notes_json(const struct ps_cli_predict_data *d, json_t *o)
{
	json_t *all = json_array();

	for (size_t i = 0; i < d->note_len; i++) {
		ps_json_set_string(o, "notes", d->notes[i]); /* of any bytes */
		json_array_append(all, json_object_get(o, "notes"));
	}
	json_object_set_new(o, "notes", all);
	ps_json_set_int(o, "notes_dropped", (int64_t)d->notes_dropped);
}

static json_t *beyond_json(const struct ps_predict_estimate *e)
{
	json_t *all = json_array();

	for (size_t i = 0; i < e->beyond_len; i++) {
		json_t *o = json_object();
		ps_json_set_string(o, "what", e->beyond[i].name);
		ps_json_set_real(o, "value", e->beyond[i].value);
		ps_json_set_real(o, "measured_from", e->beyond[i].low);
		ps_json_set_real(o, "measured_to", e->beyond[i].high);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *answer_json(const struct ps_cli_predict_answer *a)
{
	const struct ps_predict_estimate *e = &a->estimate;
	json_t *o = json_object();

	ps_json_set_string(o, "model", a->model);
	ps_json_set_string(o, "quantity", a->quantity->name);
	ps_json_set_string(o, "setting", a->setting);
	ps_json_set_string(o, "unit", a->quantity->unit);
	ps_json_set_real(o, "value", a->known ? e->value : NAN);
	ps_json_set_real(o, "low", e->has_interval ? e->low : NAN);
	ps_json_set_real(o, "high", e->has_interval ? e->high : NAN);
	ps_json_set_real(o, "confidence", e->confidence);
	ps_json_set_real(o, "guaranteed", e->guaranteed);
	ps_json_set_int(o, "needs_models", (int64_t)e->needs_models);
	ps_json_set_string(o, "candidate", a->known ? e->candidate : NULL);
	ps_json_set_real(o, "error", a->error);
	ps_json_set_real(o, "noise", a->error_noise);
	ps_json_set_int(o, "models", a->models);
	ps_json_set_real(o, "measured", a->measured);
	ps_json_set_real(o, "measured_noise", a->measured_noise);
	ps_json_set_bool(o, "extrapolated", e->beyond_len > 0);
	json_object_set_new(o, "beyond", beyond_json(e));
	ps_json_set_string(o, "note", a->note[0] ? a->note : NULL);
	return o;
}

json_t *ps_cli_predict_answers_json(const struct ps_cli_predict_answer *a, size_t n)
{
	json_t *o = json_object(), *all = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, answer_json(&a[i]));
	json_object_set_new(o, "predictions", all);
	return o;
}

/* ---- CSV ---- */

static void put_text(struct ps_strbuf *out, const char *text)
{
	ps_csv_text(out, text);
	ps_strbuf_putc(out, ',');
}

static void put_number(struct ps_strbuf *out, double v)
{
	if (isfinite(v))
		ps_strbuf_printf(out, "%.9g,", v);
	else
		ps_strbuf_putc(out, ',');
}

void ps_cli_predict_answers_csv(const struct ps_cli_predict_answer *a, size_t n,
				struct ps_strbuf *out)
{
	ps_strbuf_puts(out,
		       "model,quantity,setting,unit,value,low,high,confidence,guaranteed,"
		       "candidate,error,noise,models,measured,measured_noise,extrapolated\r\n");
	for (size_t i = 0; i < n; i++) {
		const struct ps_predict_estimate *e = &a[i].estimate;
		put_text(out, a[i].model);
		put_text(out, a[i].quantity->name);
		put_text(out, a[i].setting);
		put_text(out, a[i].quantity->unit);
		put_number(out, a[i].known ? e->value : NAN);
		put_number(out, e->has_interval ? e->low : NAN);
		put_number(out, e->has_interval ? e->high : NAN);
		put_number(out, e->confidence);
		put_number(out, e->guaranteed);
		put_text(out, a[i].known ? e->candidate : "");
		put_number(out, a[i].error);
		put_number(out, a[i].error_noise);
		put_number(out, a[i].models);
		put_number(out, a[i].measured);
		put_number(out, a[i].measured_noise);
		ps_strbuf_printf(out, "%d\r\n", e->beyond_len > 0);
	}
}

/* ---- how good they are ---- */

static void put_tried(const struct ps_predict_learned *l, struct ps_strbuf *out)
{
	char error[32];

	if (l->tried_len == 0)
		return; /* what follows from pairs chose nothing of its own */
	const char *before = "  each candidate alone: ";
	for (size_t k = 0; k < l->tried_len; k++) {
		if (!isfinite(l->tried[k].error))
			continue;
		ps_strbuf_printf(out, "%s%s %s", before, l->tried[k].candidate->name,
				 percent(l->tried[k].error, error));
		before = ", ";
	}
	ps_strbuf_putc(out, '\n');
}

static void put_fold(const struct ps_predict_learned *l, const struct ps_predict_fold *f,
		     struct ps_strbuf *out)
{
	char error[32], noise[32];
	double signed_error = 0;

	for (size_t i = 0; i < f->len; i++)
		signed_error += (f->said[i] / l->table->rows[f->rows[i]].y - 1) / (double)f->len;
	ps_strbuf_printf(out, "  %-18s %8s  %+7.1f %%  %8s  %4zu  %s\n", l->table->models[f->model],
			 percent(f->error, error), 100 * signed_error, percent(f->noise, noise),
			 f->len, f->choice.candidate->name);
}

/* Mean over rows; NAN: known of none. */
static double noise_of(const struct ps_predict_table *t)
{
	double sum = 0, n = 0;

	for (size_t i = 0; i < t->len; i++)
		if (isfinite(t->rows[i].noise)) {
			sum += t->rows[i].noise;
			n++;
		}
	return n > 0 ? sum / n : NAN;
}

static void put_few(const struct ps_cli_predict_check *c, struct ps_strbuf *out)
{
	const struct ps_predict_table *t = &c->table->table;
	char error[32], noise[32];

	ps_strbuf_printf(
		out,
		"  from three measured models, mean over %d sets of three: %s (goal %g %%), "
		"noise %s\n",
		c->few->sets, percent(c->few->error, error), 100 * c->quantity->goal,
		percent(noise_of(t), noise));
	for (int g = 0; g < t->model_len; g++)
		if (isfinite(c->few->of_model[g]))
			ps_strbuf_printf(out, "  %-18s %8s\n", t->models[g],
					 percent(c->few->of_model[g], error));
}

static void put_check(const struct ps_cli_predict_check *c, struct ps_strbuf *out)
{
	const struct ps_predict_learned *l = c->table ? c->table->learned : NULL;
	char error[32], noise[32];

	ps_strbuf_printf(out, "%s%s%s\n", c->quantity->name, c->setting[0] ? ", " : "", c->setting);
	if (c->few)
		put_few(c, out);
	if (c->note[0])
		ps_strbuf_printf(out, "  %s\n", c->note);
	if (!l)
		return;
	ps_strbuf_printf(out, "  mean error on models left out %s (goal %g %%), noise %s\n",
			 percent(l->error, error), 100 * c->quantity->goal,
			 percent(l->noise, noise));
	put_tried(l, out);
	ps_strbuf_printf(out, "  %-18s %8s  %9s  %8s  %4s  %s\n", "model left out", "error",
			 "on average", "noise", "rows", "by");
	for (size_t k = 0; k < l->fold_len; k++)
		put_fold(l, &l->folds[k], out);
}

void ps_cli_predict_checks_text(const struct ps_cli_predict_check *c, size_t n,
				struct ps_strbuf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			ps_strbuf_putc(out, '\n');
		put_check(&c[i], out);
	}
}

static json_t *row_json(const struct ps_predict_learned *l, const struct ps_predict_fold *f,
			size_t i)
{
	const struct ps_predict_row *r = &l->table->rows[f->rows[i]];
	const struct ps_predict_quantity *q = l->table->quantity;
	json_t *o = json_object(), *at = json_object();

	for (size_t j = 0; j < q->place_len; j++)
		ps_json_set_real(at, q->places[j], r->place[j]);
	json_object_set_new(o, "at", at);
	ps_json_set_string(o, "of", l->table->models[r->models[0]]);
	ps_json_set_string(o, "beside", r->models[1] >= 0 ? l->table->models[r->models[1]] : NULL);
	ps_json_set_real(o, "measured", r->y);
	ps_json_set_real(o, "predicted", f->said[i]);
	ps_json_set_real(o, "noise", r->noise);
	return o;
}

static json_t *fold_json(const struct ps_predict_learned *l, const struct ps_predict_fold *f)
{
	json_t *o = json_object(), *rows = json_array();

	ps_json_set_string(o, "model", l->table->models[f->model]);
	ps_json_set_real(o, "error", f->error);
	ps_json_set_real(o, "noise", f->noise);
	ps_json_set_string(o, "candidate", f->choice.candidate->name);
	for (size_t i = 0; i < f->len; i++)
		json_array_append_new(rows, row_json(l, f, i));
	json_object_set_new(o, "rows", rows);
	return o;
}

static void put_learned(json_t *o, const struct ps_predict_learned *l)
{
	json_t *tried = json_object(), *folds = json_array();

	ps_json_set_real(o, "error", l->error);
	ps_json_set_real(o, "noise", l->noise);
	ps_json_set_string(o, "candidate", l->choice.candidate->name);
	for (size_t k = 0; k < l->tried_len; k++)
		ps_json_set_real(tried, l->tried[k].candidate->name, l->tried[k].error);
	for (size_t k = 0; k < l->fold_len; k++)
		json_array_append_new(folds, fold_json(l, &l->folds[k]));
	json_object_set_new(o, "candidates", tried);
	json_object_set_new(o, "models", folds);
}

static json_t *few_json(const struct ps_cli_predict_check *c)
{
	const struct ps_predict_table *t = &c->table->table;
	json_t *o = json_object(), *models = json_object();

	ps_json_set_int(o, "sets", c->few->sets);
	ps_json_set_real(o, "error", c->few->error);
	ps_json_set_real(o, "noise", noise_of(t));
	for (int g = 0; g < t->model_len; g++)
		if (isfinite(c->few->of_model[g]))
			ps_json_set_real(models, t->models[g], c->few->of_model[g]);
	json_object_set_new(o, "models", models);
	return o;
}

json_t *ps_cli_predict_checks_json(const struct ps_cli_predict_check *c, size_t n)
{
	json_t *o = json_object(), *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *q = json_object();
		ps_json_set_string(q, "quantity", c[i].quantity->name);
		ps_json_set_string(q, "setting", c[i].setting);
		ps_json_set_string(q, "unit", c[i].quantity->unit);
		ps_json_set_real(q, "goal", c[i].quantity->goal);
		ps_json_set_string(q, "note", c[i].note[0] ? c[i].note : NULL);
		if (c[i].few)
			json_object_set_new(q, "from_three", few_json(&c[i]));
		if (c[i].table && c[i].table->learned)
			put_learned(q, c[i].table->learned);
		json_array_append_new(all, q);
	}
	json_object_set_new(o, "quantities", all);
	return o;
}

static void put_fold_csv(const struct ps_cli_predict_check *c, const struct ps_predict_fold *f,
			 struct ps_strbuf *out)
{
	const struct ps_predict_learned *l = c->table->learned;

	for (size_t i = 0; i < f->len; i++) {
		const struct ps_predict_row *r = &l->table->rows[f->rows[i]];
		put_text(out, c->quantity->name);
		put_text(out, l->table->models[f->model]);
		put_text(out, l->table->models[r->models[0]]);
		put_text(out, r->models[1] >= 0 ? l->table->models[r->models[1]] : "");
		for (size_t j = 0; j < 3; j++)
			put_number(out, j < c->quantity->place_len ? r->place[j] : NAN);
		put_text(out, c->quantity->unit);
		put_number(out, r->y);
		put_number(out, f->said[i]);
		put_number(out, r->noise);
		ps_strbuf_printf(out, "%s\r\n", f->choice.candidate->name);
	}
}

void ps_cli_predict_checks_csv(const struct ps_cli_predict_check *c, size_t n,
			       struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "quantity,left_out,of,beside,place_1,place_2,place_3,unit,measured,"
			    "predicted,noise,candidate\r\n");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0;
		     c[i].table && c[i].table->learned && k < c[i].table->learned->fold_len; k++)
			put_fold_csv(&c[i], &c[i].table->learned->folds[k], out);
}
