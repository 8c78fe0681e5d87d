/* operators.c - a run is the sum of its operators: what each would take is learned from the
 * operators of other models, and what the whole takes beside their sum from those models' runs. */
#include "predict/fit.h"
#include "predict/numeric_internal.h"
#include "predict/scales_internal.h"
#include "predict/work.h"

#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How one operator's time is learned: the variants. */
enum {
	BY_WORK,  /* a sum over multiply-accumulates, bytes and a constant, none negative */
	BY_SHAPE, /* time per unit of work follows powers of the shape */
	BY_FEW,	  /* the time per unit of work of the operators most alike */
	BY_MANY,
	BY_BOTH, /* powers of the shape, corrected by how far off they are for those most alike */
	WAYS
};

#define FEW	   4
#define MANY	   12
#define SHAPE	   6 /* numbers that say how alike two operators are */
#define WORK	   3
#define LEAST_ROWS (SHAPE + 4) /* of a kind, for powers; fewer: those most alike */
#define SAME	   0.05	       /* added to distances: the very same shape is not everything */

struct sample {
	int model;
	double shape[SHAPE];
	double work[WORK];
	double unit;  /* of work: multiply-accumulates, or bytes where there are none */
	double speed; /* log of time per unit */
	double rest;  /* by how much powers of the shape miss it */
};

struct kind {
	struct sample *samples;
	size_t len, cap;
	double work[WORK];
	double power[SHAPE + 1];
	bool has_work, has_power;
	double middle; /* of speed */
};

struct operators {
	struct kind kinds[PS_PREDICT_KINDS];
	int way;
	struct ps_predict_scales scales;
	double per_mac, per_byte; /* logs: of kinds that nobody has measured */
};

static bool multiplies(const struct ps_predict_op *op)
{
	return isfinite(op->macs) && op->macs > 0;
}

static double log1(double x)
{
	return x > 1 ? log(x) : 0;
}

/* Of one inference: what a batch gains or loses is in what whole runs take. */
static void describe(const struct ps_predict_op *op, int64_t batch, struct sample *ret)
{
	const struct ps_predict_shape *s = &op->shape;
	double groups = s->groups > 0 ? (double)s->groups : 1, b = (double)batch;
	double bytes = op->param_bytes + (op->in_bytes + op->out_bytes) / b;

	ret->shape[0] = log1((double)s->in_channels / groups);
	ret->shape[1] = log1((double)s->out_channels);
	ret->shape[2] = log1((double)s->batch / b * (double)(s->out_h > 0 ? s->out_h : 1) *
			     (double)(s->out_w > 0 ? s->out_w : 1));
	ret->shape[3] = log1((double)s->kernel_h * (double)s->kernel_w);
	ret->shape[4] = log1((double)s->stride_h);
	ret->shape[5] = log1(bytes);
	ret->work[0] = multiplies(op) ? op->macs / b : 0;
	ret->work[1] = isfinite(bytes) ? bytes : 0;
	ret->work[2] = 1;
	ret->unit = multiplies(op) ? op->macs / b : fmax(ret->work[1], 1);
}

/* ---- learning the kinds ---- */

static bool add_sample(struct kind *k, const struct ps_predict_op *op, int64_t batch, int model)
{
	if (k->len == k->cap) {
		size_t cap = k->cap ? 2 * k->cap : 32;
		struct sample *more = realloc(k->samples, cap * sizeof(*more));
		if (!more)
			return false;
		k->samples = more;
		k->cap = cap;
	}
	struct sample *s = &k->samples[k->len];
	memset(s, 0, sizeof(*s));
	describe(op, batch, s);
	s->model = model;
	s->speed = log(op->time_ns / (double)batch / s->unit);
	k->len += isfinite(s->speed);
	return true;
}

static bool add_work(struct operators *o, const struct ps_predict_model *w, int model)
{
	for (size_t i = 0; i < w->op_count; i++)
		if (ps_predict_op_timed(&w->ops[i]) &&
		    !add_sample(&o->kinds[w->ops[i].kind], &w->ops[i], w->batch, model))
			return false;
	return true;
}

static bool gather(struct operators *o, const struct ps_predict_rows *rows)
{
	for (size_t i = 0; i < rows->len; i++) {
		const struct ps_predict_row *r = &rows->table->rows[rows->at[i]];
		if (r->work && ps_predict_first_work(rows, i) &&
		    !add_work(o, r->work, r->models[0]))
			return false;
	}
	return true;
}

static double median_speed(const struct kind *k, double *room)
{
	for (size_t i = 0; i < k->len; i++)
		room[i] = k->samples[i].speed;
	ps_stats_sort(room, k->len);
	return k->len ? ps_stats_quantile(room, k->len, 0.5) : NAN;
}

static enum ps_status learn_work(struct kind *k, double *a, double *b, struct ps_error *err)
{
	for (size_t i = 0; i < k->len; i++) {
		double time = exp(k->samples[i].speed) * k->samples[i].unit;
		for (size_t j = 0; j < WORK; j++)
			a[i * WORK + j] = k->samples[i].work[j] / time;
		b[i] = 1;
	}
	k->has_work = true;
	return ps_predict_nonnegative(a, b, k->len, WORK, k->work, err);
}

static double power_of(const struct kind *k, const struct sample *s)
{
	double v = k->power[SHAPE];

	for (size_t j = 0; j < SHAPE; j++)
		v += k->power[j] * s->shape[j];
	return v;
}

static enum ps_status learn_power(struct kind *k, double *a, double *b, struct ps_error *err)
{
	for (size_t i = 0; i < k->len; i++) {
		memcpy(a + i * (SHAPE + 1), k->samples[i].shape, SHAPE * sizeof(*a));
		a[i * (SHAPE + 1) + SHAPE] = 1;
		b[i] = k->samples[i].speed;
	}
	enum ps_status st = ps_predict_least_squares(a, b, k->len, SHAPE + 1, k->power, err);
	k->has_power = st == PS_OK;
	for (size_t i = 0; i < k->len; i++)
		k->samples[i].rest = k->samples[i].speed - power_of(k, &k->samples[i]);
	return st;
}

static enum ps_status learn_kind(struct operators *o, struct kind *k, struct ps_error *err)
{
	double *room = calloc(k->len * (SHAPE + 2), sizeof(*room));

	if (!room)
		return ps_error_set(err, PS_ENOMEM, "no memory for operators");
	enum ps_status st = PS_OK;
	k->middle = median_speed(k, room);
	if (o->way == BY_WORK)
		st = learn_work(k, room, room + k->len * (SHAPE + 1), err);
	else if ((o->way == BY_SHAPE || o->way == BY_BOTH) && k->len >= LEAST_ROWS)
		st = learn_power(k, room, room + k->len * (SHAPE + 1), err);
	free(room);
	return st;
}

/* ---- what one operator would take ---- */

/* Squared. */
static double distance(const struct sample *a, const struct sample *b)
{
	double sum = 0;

	for (size_t j = 0; j < SHAPE; j++)
		sum += (a->shape[j] - b->shape[j]) * (a->shape[j] - b->shape[j]);
	return sum;
}

/* The mean over the `most` samples most alike, by one over distance; of speeds, or of what powers
 * leave of them. */
static double alike(const struct kind *k, const struct sample *s, size_t most, bool of_rest,
		    int except)
{
	double far[MANY], value[MANY], sum = 0, weights = 0;
	size_t n = 0;

	for (size_t i = 0; i < k->len; i++) {
		if (k->samples[i].model == except)
			continue;
		double d = distance(&k->samples[i], s);
		size_t at = n < most ? n++ : most;
		/* sorted by distance; the farthest falls out at the end */
		while (at > 0 && far[at - 1] > d) {
			if (at < most) {
				far[at] = far[at - 1];
				value[at] = value[at - 1];
			}
			at--;
		}
		if (at < most) {
			far[at] = d;
			value[at] = of_rest ? k->samples[i].rest : k->samples[i].speed;
		}
	}
	for (size_t i = 0; i < n; i++) {
		double weight = 1 / (sqrt(far[i]) + SAME);
		sum += weight * value[i];
		weights += weight;
	}
	/* a kind of which only the model itself has any */
	return n > 0 ? sum / weights : of_rest ? 0 : k->middle;
}

static double speed_of(const struct operators *o, const struct kind *k, const struct sample *s,
		       int except)
{
	switch (o->way) {
	case BY_SHAPE:
		return k->has_power ? power_of(k, s) : alike(k, s, FEW, false, except);
	case BY_BOTH:
		return k->has_power ? power_of(k, s) + alike(k, s, FEW, true, except)
				    : alike(k, s, FEW, false, except);
	case BY_MANY:
		return alike(k, s, MANY, false, except);
	default:
		return alike(k, s, FEW, false, except);
	}
}

static double time_of(const void *fit, const struct ps_predict_op *op, int64_t batch, int except)
{
	const struct operators *o = fit;
	const struct kind *k = &o->kinds[op->kind];
	struct sample s = {0};

	double b = (double)batch;
	describe(op, batch, &s);
	if (k->len == 0) {
		double log_speed = multiplies(op) ? o->per_mac : o->per_byte;
		return isfinite(log_speed) ? b * exp(log_speed) * s.unit : 0;
	}
	if (o->way == BY_WORK)
		return b * (k->work[0] * s.work[0] + k->work[1] * s.work[1] + k->work[2]);
	return b * exp(speed_of(o, k, &s, except)) * s.unit;
}

/* ---- the candidate ---- */

static void release(void *fit)
{
	struct operators *o = fit;

	for (int k = 0; o && k < PS_PREDICT_KINDS; k++)
		free(o->kinds[k].samples);
	free(o);
}

/* The typical speed of kinds that multiply, and of those that only move. */
static void learn_any(struct operators *o)
{
	double mac = 0, byte = 0, macs = 0, bytes = 0;

	for (int k = 0; k < PS_PREDICT_KINDS; k++)
		for (size_t i = 0; i < o->kinds[k].len; i++) {
			const struct sample *s = &o->kinds[k].samples[i];
			if (s->work[0] > 0) {
				mac += s->speed;
				macs++;
			} else {
				byte += s->speed;
				bytes++;
			}
		}
	o->per_mac = macs > 0 ? mac / macs : NAN;
	o->per_byte = bytes > 0 ? byte / bytes : NAN;
}

static enum ps_status learn(struct operators *o, const struct ps_predict_rows *rows,
			    struct ps_error *err)
{
	size_t all = 0;

	if (!gather(o, rows))
		return ps_error_set(err, PS_ENOMEM, "no memory for operators");
	for (int k = 0; k < PS_PREDICT_KINDS; k++) {
		all += o->kinds[k].len;
		enum ps_status st = o->kinds[k].len ? learn_kind(o, &o->kinds[k], err) : PS_OK;
		if (st != PS_OK)
			return st;
	}
	if (all == 0)
		return ps_error_set(err, PS_EUNAVAIL, "no operator was timed");
	learn_any(o);
	return ps_predict_scales_learn(&o->scales, rows, time_of, o, true, err);
}

static enum ps_status fit(const struct ps_predict_rows *rows, int variant, void **ret_fit,
			  struct ps_error *err)
{
	struct operators *o = calloc(1, sizeof(*o));

	if (!o)
		return ps_error_set(err, PS_ENOMEM, "no memory for operators");
	o->way = variant;
	enum ps_status st = learn(o, rows, err);
	if (st != PS_OK) {
		release(o);
		return st;
	}
	*ret_fit = o;
	return PS_OK;
}

static double at(const void *fit, const struct ps_predict_row *row)
{
	const struct operators *o = fit;

	if (!row->work)
		return NAN;
	double v = ps_predict_sum_ops(time_of, o, row->work, -1) *
		   ps_predict_scales_at(&o->scales, row);
	return isfinite(v) && v > 0 ? v : NAN;
}

const struct ps_predict_candidate ps_predict_operators = {
	.name = "operators", .variants = WAYS, .fit = fit, .at = at, .free = release};
