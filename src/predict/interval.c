/* interval.c - what is said about a new row: value, jackknife+ interval, what lies outside. */
#include "predict/choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDING 1e-9

/* One end that one row of one fold stands for, and its share of the whole. */
struct end {
	double value, weight;
};

struct ends {
	struct end *low, *high;
	size_t len;
	bool one_each; /* every model has one row there: the promise of the jackknife+ holds */
};

static int by_value(const void *x, const void *y)
{
	const struct end *a = x, *b = y;

	return (a->value > b->value) - (a->value < b->value);
}

/* How far apart two settings are, in factors. */
static double distance(const struct ps_predict_quantity *q, const struct ps_predict_row *a,
		       const struct ps_predict_row *b)
{
	double sum = 0;

	for (size_t j = 0; j < q->place_len; j++)
		sum += fabs(log(a->place[j] / b->place[j]));
	return sum;
}

static double nearest(const struct ps_predict_learned *l, const struct ps_predict_fold *f,
		      const struct ps_predict_row *row)
{
	double least = INFINITY;

	for (size_t i = 0; i < f->len; i++)
		least = fmin(least, distance(l->table->quantity, &l->table->rows[f->rows[i]], row));
	return least;
}

/* A row of two models is in the folds of both. */
static bool of_one_model(const struct ps_predict_learned *l, const struct ps_predict_fold *f)
{
	for (size_t i = 0; i < f->len; i++)
		if (l->table->rows[f->rows[i]].models[1] >= 0)
			return false;
	return true;
}

/* The fold's ends: where it sees the new value, plus and minus how far it was off. */
static void add_fold(const struct ps_predict_learned *l, const struct ps_predict_fold *f,
		     const struct ps_predict_row *row, struct ends *e)
{
	double at = log(ps_predict_choice_at(&f->choice, row));
	double near = nearest(l, f, row) + ROUNDING, share = 1 / (double)(l->fold_len + 1);
	size_t first = e->len;

	for (size_t i = 0; i < f->len; i++) {
		const struct ps_predict_row *r = &l->table->rows[f->rows[i]];
		if (distance(l->table->quantity, r, row) > near)
			continue;
		double off = fabs(log(f->said[i] / r->y));
		bool known = isfinite(at) && isfinite(off);
		e->low[e->len].value = known ? at - off : -INFINITY;
		e->high[e->len++].value = known ? at + off : INFINITY;
	}
	size_t n = e->len - first;
	e->one_each &= n == 1 && near <= 2 * ROUNDING && of_one_model(l, f);
	for (size_t i = first; i < e->len; i++)
		e->low[i].weight = e->high[i].weight = share / (double)n;
}

/* The least value that `confidence` of all weight does not exceed; the new model's own share, which
 * is not known, counts as infinite. */
static double upper(struct end *ends, size_t n, double confidence)
{
	double sum = 0;

	qsort(ends, n, sizeof(*ends), by_value);
	for (size_t i = 0; i < n; i++) {
		sum += ends[i].weight;
		if (sum >= confidence - ROUNDING)
			return ends[i].value;
	}
	return INFINITY;
}

static double lower(struct end *ends, size_t n, double confidence)
{
	for (size_t i = 0; i < n; i++)
		ends[i].value = -ends[i].value;
	return -upper(ends, n, confidence);
}

/* n models bound a confidence of n / (n + 1). */
static size_t models_for(double confidence)
{
	return (size_t)ceil(confidence / (1 - confidence) - ROUNDING);
}

static void put_interval(const struct ps_predict_learned *l, struct ends *e,
			 struct ps_predict_estimate *ret)
{
	double low = lower(e->low, e->len, ret->confidence);
	double high = upper(e->high, e->len, ret->confidence);
	size_t needed = models_for(ret->confidence);

	if (!isfinite(low) || !isfinite(high)) {
		ret->needs_models = needed > l->fold_len ? needed - l->fold_len : 0;
		return;
	}
	ret->has_interval = true;
	/* the value comes from all models, the interval from runs without one: they may part */
	ret->low = fmin(exp(low), ret->value);
	ret->high = fmax(exp(high), ret->value);
	bool promised = e->one_each && ret->beyond_len == 0;
	ret->guaranteed = promised ? fmax(0, 2 * ret->confidence - 1) : 0;
}

/* ---- outside what was measured ---- */

static const char *const of_kind[PS_PREDICT_KINDS] = {
	[PS_PREDICT_CONV] = "convolutions",
	[PS_PREDICT_IMAGE] = "convolutions of images",
	[PS_PREDICT_POINTWISE] = "1x1 convolutions",
	[PS_PREDICT_DEPTHWISE] = "depthwise convolutions",
	[PS_PREDICT_GROUPED] = "grouped convolutions",
	[PS_PREDICT_GEMM] = "products of matrices",
	[PS_PREDICT_RECURRENT] = "recurrent layers",
	[PS_PREDICT_POOL] = "pools",
	[PS_PREDICT_GLOBAL_POOL] = "global pools",
	[PS_PREDICT_ELEMENTWISE] = "operators on elements",
	[PS_PREDICT_NORM] = "normalisations",
	[PS_PREDICT_CONCAT] = "concatenations",
	[PS_PREDICT_LAYOUT] = "changes of layout",
	[PS_PREDICT_SHAPE] = "operators on shapes",
	[PS_PREDICT_OTHER] = "operators that are not known",
};

static void see(struct ps_predict_estimate *ret, const char *name, double value, double low,
		double high)
{
	if (value < low * (1 - ROUNDING) || value > high * (1 + ROUNDING))
		ret->beyond[ret->beyond_len++] = (struct ps_predict_beyond){name, value, low, high};
}

/* Each of two settings may have been measured, with another one beside it. A size between two that
 * were measured on the same slice is inside. */
static void see_together(const struct ps_predict_table *t, const struct ps_predict_row *row,
			 struct ps_predict_estimate *ret)
{
	double low = INFINITY, high = -INFINITY;

	if (ret->beyond_len > 0 || t->quantity->place_len < 2)
		return;
	for (size_t i = 0; i < t->len; i++) {
		struct ps_predict_row r = t->rows[i];
		double size = r.place[0];
		r.place[0] = row->place[0];
		if (distance(t->quantity, &r, row) > ROUNDING)
			continue;
		low = fmin(low, size);
		high = fmax(high, size);
	}
	if (row->place[0] < low * (1 - ROUNDING) || row->place[0] > high * (1 + ROUNDING))
		ret->beyond[ret->beyond_len++] =
			(struct ps_predict_beyond){"these settings together", NAN, NAN, NAN};
}

/* No column says so of kinds that are not convolutions. */
static void see_kinds(const struct ps_predict_table *t, const struct ps_predict_row *row,
		      struct ps_predict_estimate *ret)
{
	bool measured[PS_PREDICT_KINDS] = {[PS_PREDICT_SHAPE] = true};
	double count[PS_PREDICT_KINDS] = {0};

	for (size_t i = 0; i < t->len; i++)
		for (size_t k = 0; t->rows[i].work && k < t->rows[i].work->op_count; k++)
			measured[t->rows[i].work->ops[k].kind] = true;
	for (size_t k = 0; row->work && k < row->work->op_count; k++)
		count[row->work->ops[k].kind]++;
	for (int k = 0; k < PS_PREDICT_KINDS; k++)
		if (count[k] > 0 && !measured[k])
			ret->beyond[ret->beyond_len++] =
				(struct ps_predict_beyond){of_kind[k], count[k], 0, 0};
}

static void look_beyond(const struct ps_predict_table *t, const struct ps_predict_row *row,
			struct ps_predict_estimate *ret)
{
	const struct ps_predict_quantity *q = t->quantity;

	for (size_t j = 0; j < q->place_len + q->column_len; j++) {
		bool place = j < q->place_len;
		size_t k = place ? j : j - q->place_len;
		double low = INFINITY, high = -INFINITY;
		for (size_t i = 0; i < t->len; i++) {
			double v = place ? t->rows[i].place[k] : t->rows[i].x[k];
			low = fmin(low, v);
			high = fmax(high, v);
		}
		see(ret, place ? q->places[k] : q->columns[k].name,
		    place ? row->place[k] : row->x[k], low, high);
		if (j + 1 == q->place_len)
			see_together(t, row, ret);
	}
	see_kinds(t, row, ret);
}

/* ---- all of it ---- */

static enum ps_status check_row(const struct ps_predict_table *t, const struct ps_predict_row *row,
				struct ps_error *err)
{
	const struct ps_predict_quantity *q = t->quantity;

	for (size_t j = 0; j < q->column_len; j++)
		if (!isfinite(row->x[j]) || row->x[j] < 0)
			return ps_error_set(err, PS_ECORRUPT, "the %s is %g, which it cannot be",
					    q->columns[j].name, row->x[j]);
	for (size_t j = 0; j < q->place_len; j++)
		if (!isfinite(row->place[j]) || row->place[j] <= 0)
			return ps_error_set(err, PS_ECORRUPT, "the %s is %g, which it cannot be",
					    q->places[j], row->place[j]);
	return PS_OK;
}

static enum ps_status find_ends(const struct ps_predict_learned *l,
				const struct ps_predict_row *row, struct ps_predict_estimate *ret,
				struct ps_error *err)
{
	size_t n = 0;

	for (size_t k = 0; k < l->fold_len; k++)
		n += l->folds[k].len;
	struct end *room = calloc(2 * n + 1, sizeof(*room));
	if (!room)
		return ps_error_set(err, PS_ENOMEM, "no memory for an interval");
	struct ends e = {.low = room, .high = room + n, .one_each = true};
	for (size_t k = 0; k < l->fold_len; k++)
		add_fold(l, &l->folds[k], row, &e);
	put_interval(l, &e, ret);
	free(room);
	return PS_OK;
}

enum ps_status ps_predict_by_choice(const struct ps_predict_table *t,
				    const struct ps_predict_choice *c,
				    const struct ps_predict_row *row, double confidence,
				    struct ps_predict_estimate *ret_estimate, struct ps_error *err)
{
	struct ps_predict_estimate r = {.confidence = confidence, .candidate = c->candidate->name};
	enum ps_status st = check_row(t, row, err);

	if (st != PS_OK)
		return st;
	r.value = ps_predict_choice_at(c, row);
	if (!isfinite(r.value))
		return ps_error_set(err, PS_EUNAVAIL,
				    "the candidate '%s' cannot say the %s of this", r.candidate,
				    t->quantity->name);
	look_beyond(t, row, &r);
	*ret_estimate = r;
	return PS_OK;
}

enum ps_status ps_predict_at(const struct ps_predict_learned *l, const struct ps_predict_row *row,
			     double confidence, struct ps_predict_estimate *ret_estimate,
			     struct ps_error *err)
{
	struct ps_predict_estimate r = {0};
	enum ps_status st = ps_predict_by_choice(l->table, &l->choice, row, confidence, &r, err);

	if (st == PS_OK)
		st = find_ends(l, row, &r, err);
	if (st == PS_OK)
		*ret_estimate = r;
	return st;
}
