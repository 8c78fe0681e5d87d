/* few.c - how well a quantity is learned from a handful of models: every set of so many. */
#include "predict/choose_internal.h"
#include "predict/predict.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_MEASURED 8

struct few {
	const struct ps_predict_table *t;
	const struct ps_predict_candidate *const *candidates;
	int models[PS_PREDICT_MAX_MODELS]; /* that have rows */
	int model_len;
	int measured;
	size_t *inside, *outside; /* room for indexes of rows */
	double *said;
	double *sum, *times; /* of each model of the table */
};

static bool is_in(const int *set, int n, int model)
{
	for (int i = 0; i < n; i++)
		if (set[i] == model)
			return true;
	return false;
}

static void find_models(struct few *f)
{
	for (int g = 0; g < f->t->model_len; g++)
		for (size_t i = 0; i < f->t->len; i++)
			if (ps_predict_is_of(&f->t->rows[i], g)) {
				f->models[f->model_len++] = g;
				break;
			}
}

static size_t rows_of(const struct ps_predict_table *t, int model, size_t *ret_rows)
{
	size_t n = 0;

	for (size_t i = 0; i < t->len; i++)
		if (ps_predict_is_of(&t->rows[i], model))
			ret_rows[n++] = i;
	return n;
}

static size_t rows_inside(const struct few *f, const int *set)
{
	size_t n = 0;

	for (size_t i = 0; i < f->t->len; i++) {
		const struct ps_predict_row *r = &f->t->rows[i];
		if (is_in(set, f->measured, r->models[0]) &&
		    (r->models[1] < 0 || is_in(set, f->measured, r->models[1])))
			f->inside[n++] = i;
	}
	return n;
}

static void judge(struct few *f, const struct ps_predict_choice *c, const int *set)
{
	for (int k = 0; k < f->model_len; k++) {
		int g = f->models[k];
		if (is_in(set, f->measured, g))
			continue;
		size_t n = rows_of(f->t, g, f->outside);
		for (size_t i = 0; i < n; i++)
			f->said[i] = ps_predict_choice_at(c, &f->t->rows[f->outside[i]]);
		f->sum[g] += ps_predict_mean_error(f->t, f->outside, f->said, n);
		f->times[g]++;
	}
}

static enum ps_status try_set(struct few *f, const int *set, struct ps_error *err)
{
	const struct ps_predict_rows rows = {f->t, f->inside, rows_inside(f, set)};
	struct ps_predict_choice c = {0};
	enum ps_status st = ps_predict_choose(&rows, f->candidates, &c, NULL, err);

	if (st == PS_OK)
		judge(f, &c, set);
	ps_predict_choice_fini(&c);
	return st;
}

/* The next of all sets in order of their places; false after the last. */
static bool next_set(int *place, int k, int n)
{
	int i = k - 1;

	while (i >= 0 && place[i] == n - k + i)
		i--;
	if (i < 0)
		return false;
	place[i]++;
	for (int j = i + 1; j < k; j++)
		place[j] = place[j - 1] + 1;
	return true;
}

static double sets_of(int n, int k)
{
	double sets = 1;

	for (int i = 0; i < k; i++)
		sets = sets * (n - i) / (i + 1);
	return sets;
}

static void draw_set(struct ps_rng *rng, int *place, int k, int n)
{
	for (int i = 0; i < k;) {
		int one = (int)ps_rng_below(rng, (uint64_t)n);
		if (!is_in(place, i, one))
			place[i++] = one;
	}
}

static enum ps_status try_all(struct few *f, uint64_t seed, int *ret_sets, struct ps_error *err)
{
	int place[MOST_MEASURED], set[MOST_MEASURED], n = 0;
	bool drawn = sets_of(f->model_len, f->measured) > PS_PREDICT_MAX_SETS, more = true;
	struct ps_rng rng;
	enum ps_status st = PS_OK;

	ps_rng_init(&rng, seed, ps_rng_stream("predict/few"));
	for (int i = 0; i < f->measured; i++)
		place[i] = i;
	while (st == PS_OK && more && n < PS_PREDICT_MAX_SETS) {
		if (drawn)
			draw_set(&rng, place, f->measured, f->model_len);
		for (int i = 0; i < f->measured; i++)
			set[i] = f->models[place[i]];
		st = try_set(f, set, err);
		n++;
		more = drawn || next_set(place, f->measured, f->model_len);
	}
	*ret_sets = n;
	return st;
}

static void sum_up(struct few *f, struct ps_predict_few *ret)
{
	ret->error = 0;
	for (int g = 0; g < f->t->model_len; g++)
		f->sum[g] = f->times[g] > 0 ? f->sum[g] / f->times[g] : NAN;
	for (int k = 0; k < f->model_len; k++)
		ret->error += f->sum[f->models[k]] / f->model_len;
	ret->of_model = f->sum;
	f->sum = NULL;
}

static enum ps_status run(struct few *f, uint64_t seed, struct ps_predict_few *ret_few,
			  struct ps_error *err)
{
	struct ps_predict_few r = {0};

	find_models(f);
	if (f->measured < PS_PREDICT_MIN_MODELS || f->measured > MOST_MEASURED ||
	    f->model_len <= f->measured)
		return ps_error_set(
			err, PS_EUNAVAIL,
			"the %s is known of %d models, and %d are needed to learn from %d",
			f->t->quantity->name, f->model_len, f->measured + 1, f->measured);
	enum ps_status st = try_all(f, seed, &r.sets, err);
	if (st == PS_OK) {
		sum_up(f, &r);
		*ret_few = r;
	}
	return st;
}

enum ps_status ps_predict_from_few(const struct ps_predict_table *t,
				   const struct ps_predict_candidate *const *candidates,
				   int measured, uint64_t seed, struct ps_predict_few *ret_few,
				   struct ps_error *err)
{
	enum ps_status st = ps_predict_table_check(t, err);

	if (st != PS_OK)
		return st;
	struct few f = {.t = t, .candidates = candidates, .measured = measured};
	size_t *rows = calloc(2 * t->len + 1, sizeof(*rows));
	double *times = calloc((size_t)t->model_len + t->len + 1, sizeof(*times));
	f.sum = calloc((size_t)t->model_len + 1, sizeof(*f.sum));
	if (rows && times && f.sum) {
		f.inside = rows;
		f.outside = rows + t->len;
		f.times = times;
		f.said = times + t->model_len;
		st = run(&f, seed, ret_few, err);
	} else {
		st = ps_error_set(err, PS_ENOMEM, "no memory to learn from measurements");
	}
	free(rows);
	free(times);
	free(f.sum);
	return st;
}
