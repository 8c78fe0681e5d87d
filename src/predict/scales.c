#include "predict/scales_internal.h"

#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ps_predict_op_timed(const struct ps_predict_op *op)
{
	return isfinite(op->time_ns) && op->time_ns > 0;
}

bool ps_predict_first_work(const struct ps_predict_rows *rows, size_t i)
{
	const struct ps_predict_row *all = rows->table->rows, *me = &all[rows->at[i]];

	for (size_t k = 0; k < rows->len; k++) {
		const struct ps_predict_row *r = &all[rows->at[k]];
		if (k == i || !r->work || r->models[0] != me->models[0])
			continue;
		if (r->work->batch < me->work->batch ||
		    (r->work->batch == me->work->batch && k < i))
			return false;
	}
	return true;
}

double ps_predict_sum_ops(ps_predict_op_time *time, const void *fit,
			  const struct ps_predict_model *w, int except)
{
	double sum = 0;

	for (size_t i = 0; i < w->op_count; i++)
		sum += time(fit, &w->ops[i], w->batch, except);
	return sum;
}

static bool same_place(const struct ps_predict_scales *s, const double *a, const double *b)
{
	for (size_t j = 0; j < s->place_len; j++)
		if (fabs(a[j] / b[j] - 1) > 1e-9)
			return false;
	return true;
}

static double median(double *x, size_t n)
{
	ps_stats_sort(x, n);
	return n > 0 ? exp(ps_stats_quantile(x, n, 0.5)) : NAN;
}

/* `ratio` has log(run / sum) of each row, NAN where there is none; place NULL: of all. */
static double median_at(const struct ps_predict_scales *s, const struct ps_predict_rows *rows,
			const double *place, const double *ratio, double *room)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->len; i++) {
		const struct ps_predict_row *r = &rows->table->rows[rows->at[i]];
		if (isfinite(ratio[i]) && (!place || same_place(s, place, r->place)))
			room[n++] = ratio[i];
	}
	return median(room, n);
}

static int find(const struct ps_predict_scales *s, const double *place)
{
	for (size_t i = 0; i < s->len; i++)
		if (same_place(s, s->at[i].place, place))
			return (int)i;
	return -1;
}

/* The sum of row i's model; `sums` has those of the rows before. */
static double sum_of(const struct ps_predict_rows *rows, size_t i, ps_predict_op_time *time,
		     const void *fit, bool by_batch, double *sums)
{
	const struct ps_predict_row *all = rows->table->rows, *me = &all[rows->at[i]];

	sums[i] = NAN;
	if (!me->work)
		return NAN;
	for (size_t k = 0; k < i && by_batch; k++) {
		const struct ps_predict_row *r = &all[rows->at[k]];
		if (r->models[0] == me->models[0] && r->work)
			return sums[i] = sums[k] * (double)me->work->batch / (double)r->work->batch;
	}
	return sums[i] = ps_predict_sum_ops(time, fit, me->work, me->models[0]);
}

enum ps_status ps_predict_scales_learn(struct ps_predict_scales *s,
				       const struct ps_predict_rows *rows, ps_predict_op_time *time,
				       const void *fit, bool by_batch, struct ps_error *err)
{
	double *ratio = calloc(2 * rows->len + 1, sizeof(*ratio));

	if (!ratio)
		return ps_error_set(err, PS_ENOMEM, "no memory for operators");
	double *room = ratio + rows->len;
	s->place_len = rows->table->quantity->place_len;
	for (size_t i = 0; i < rows->len; i++)
		ratio[i] = log(rows->table->rows[rows->at[i]].y /
			       sum_of(rows, i, time, fit, by_batch, room));
	bool known = isfinite(median_at(s, rows, NULL, ratio, room));
	for (size_t i = 0; i < rows->len && s->len < PS_PREDICT_MOST_SCALES; i++) {
		const double *place = rows->table->rows[rows->at[i]].place;
		if (!isfinite(ratio[i]) || find(s, place) >= 0)
			continue;
		memcpy(s->at[s->len].place, place, sizeof(s->at[0].place));
		s->at[s->len].ratio = median_at(s, rows, place, ratio, room);
		s->len++;
	}
	free(ratio);
	return known ? PS_OK : ps_error_set(err, PS_EUNAVAIL, "no run to compare operators with");
}

static double apart(const double *a, const double *b, size_t from, size_t to)
{
	double sum = 0;

	for (size_t j = from; j < to; j++)
		sum += fabs(log(a[j] / b[j]));
	return sum;
}

/* Runs of one thread say nothing of runs of two, but batch 4 says much of batch 2. Of two equally
 * near ones the smaller, so that the order of rows does not count. */
static bool nearer(const double *a, const double *b, const double *to, size_t len)
{
	size_t sizes = len > 0;
	double slice = apart(a, to, sizes, len) - apart(b, to, sizes, len);
	double size = apart(a, to, 0, sizes) - apart(b, to, 0, sizes);

	if (fabs(slice) > 1e-9)
		return slice < 0;
	if (fabs(size) > 1e-9)
		return size < 0;
	for (size_t j = 0; j < len; j++)
		if (a[j] != b[j])
			return a[j] < b[j];
	return false;
}

double ps_predict_scales_at(const struct ps_predict_scales *s, const struct ps_predict_row *row)
{
	const double *best = NULL;
	double ratio = NAN;

	for (size_t i = 0; i < s->len; i++)
		if (!best || nearer(s->at[i].place, best, row->place, s->place_len)) {
			best = s->at[i].place;
			ratio = s->at[i].ratio;
		}
	return ratio;
}
