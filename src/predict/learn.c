/* learn.c - the procedure on everything, and once more without each model. */
#include "predict/choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory to learn from measurements");
}

/* ---- the table ---- */

static enum ps_status broken(const struct ps_predict_table *t, const struct ps_predict_row *row,
			     const char *what, double value, struct ps_error *err)
{
	ps_error_set(err, PS_ECORRUPT, "the %s of a measurement is %g, which it cannot be", what,
		     value);
	ps_error_where(err, "%s of %s", t->quantity->name, t->models[row->models[0]]);
	return PS_ECORRUPT;
}

static enum ps_status check_row(const struct ps_predict_table *t, const struct ps_predict_row *row,
				struct ps_error *err)
{
	const struct ps_predict_quantity *q = t->quantity;

	if (!isfinite(row->y) || row->y <= 0)
		return broken(t, row, q->name, row->y, err);
	for (size_t j = 0; j < q->column_len; j++) {
		bool positive = q->columns[j].use & PS_PREDICT_LOGS;
		if (!isfinite(row->x[j]) || row->x[j] < 0 || (positive && row->x[j] == 0))
			return broken(t, row, q->columns[j].name, row->x[j], err);
	}
	for (size_t j = 0; j < q->place_len; j++)
		if (!isfinite(row->place[j]) || row->place[j] <= 0)
			return broken(t, row, q->places[j], row->place[j], err);
	return PS_OK;
}

enum ps_status ps_predict_table_check(const struct ps_predict_table *t, struct ps_error *err)
{
	if (t->len > PS_PREDICT_MAX_ROWS || t->model_len > PS_PREDICT_MAX_MODELS)
		return ps_error_set(
			err, PS_ETOOBIG,
			"%zu measurements of %d models: at most %d of %d can be learned from",
			t->len, t->model_len, PS_PREDICT_MAX_ROWS, PS_PREDICT_MAX_MODELS);
	for (size_t i = 0; i < t->len; i++) {
		enum ps_status st = check_row(t, &t->rows[i], err);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

/* ---- folds ---- */

static double mean_noise(const struct ps_predict_table *t, const size_t *rows, size_t len)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (isfinite(t->rows[rows[i]].noise)) {
			sum += t->rows[rows[i]].noise;
			n++;
		}
	return n > 0 ? sum / (double)n : NAN;
}

static void say(const struct ps_predict_choice *c, const struct ps_predict_fold *f,
		const struct ps_predict_table *t, double *ret_said)
{
	for (size_t i = 0; i < f->len; i++)
		ret_said[i] = ps_predict_choice_at(c, &t->rows[f->rows[i]]);
}

/* What each candidate alone would have said about the model: for the table of candidates. */
static void add_tried(struct ps_predict_learned *l, const struct ps_predict_fold *f,
		      const struct ps_predict_choice *best, double *room)
{
	for (size_t k = 0; k < l->tried_len; k++) {
		say(&best[k], f, l->table, room);
		l->tried[k].error += ps_predict_mean_error(l->table, f->rows, room, f->len);
	}
}

static enum ps_status run_fold(struct ps_predict_learned *l, struct ps_predict_fold *f,
			       const struct ps_predict_rows *all,
			       const struct ps_predict_candidate *const *candidates, size_t *kept,
			       struct ps_error *err)
{
	size_t n = ps_predict_without(all, f->model, kept, f->rows, &f->len);
	const struct ps_predict_rows rest = {all->table, kept, n};
	struct ps_predict_choice *best = calloc(l->tried_len + 1, sizeof(*best));
	double *room = calloc(f->len + 1, sizeof(*room));
	enum ps_status st = best && room
				    ? ps_predict_choose(&rest, candidates, &f->choice, best, err)
				    : no_memory(err);

	if (st == PS_OK) {
		say(&f->choice, f, l->table, f->said);
		f->error = ps_predict_mean_error(l->table, f->rows, f->said, f->len);
		f->noise = mean_noise(l->table, f->rows, f->len);
		add_tried(l, f, best, room);
		for (size_t k = 0; k < l->tried_len; k++)
			ps_predict_choice_fini(&best[k]);
	}
	free(best);
	free(room);
	return st;
}

static bool has_rows(const struct ps_predict_rows *all, int model)
{
	for (size_t i = 0; i < all->len; i++)
		if (ps_predict_is_of(&all->table->rows[all->at[i]], model))
			return true;
	return false;
}

static enum ps_status run_folds(struct ps_predict_learned *l, const struct ps_predict_rows *all,
				const struct ps_predict_candidate *const *candidates, size_t *kept,
				struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int g = 0; g < l->table->model_len && st == PS_OK; g++) {
		if (!has_rows(all, g))
			continue;
		struct ps_predict_fold *f = &l->folds[l->fold_len++];
		f->model = g;
		f->rows = calloc(all->len + 1, sizeof(*f->rows));
		f->said = calloc(all->len + 1, sizeof(*f->said));
		st = f->rows && f->said ? run_fold(l, f, all, candidates, kept, err)
					: no_memory(err);
	}
	return st;
}

static void sum_up(struct ps_predict_learned *l)
{
	double noise = 0, known = 0;

	for (size_t k = 0; k < l->fold_len; k++) {
		l->error += l->folds[k].error / (double)l->fold_len;
		if (isfinite(l->folds[k].noise)) {
			noise += l->folds[k].noise;
			known++;
		}
	}
	l->noise = known > 0 ? noise / known : NAN;
	for (size_t k = 0; k < l->tried_len; k++)
		l->tried[k].error /= (double)l->fold_len;
}

/* ---- all of it ---- */

static enum ps_status learn(struct ps_predict_learned *l,
			    const struct ps_predict_candidate *const *candidates, size_t *room,
			    struct ps_error *err)
{
	const struct ps_predict_rows all = {l->table, room, l->table->len};
	enum ps_status st;

	for (size_t i = 0; i < all.len; i++)
		room[i] = i;
	/* a fold has one model less to choose by */
	int models = ps_predict_model_count(&all);
	if (models <= PS_PREDICT_MIN_MODELS)
		return ps_error_set(err, PS_EUNAVAIL,
				    "the %s is known of %d models, and %d are needed",
				    l->table->quantity->name, models, PS_PREDICT_MIN_MODELS + 1);
	for (size_t k = 0; k < l->tried_len; k++)
		l->tried[k].candidate = candidates[k];
	st = ps_predict_choose(&all, candidates, &l->choice, NULL, err);
	if (st == PS_OK)
		st = run_folds(l, &all, candidates, room + all.len, err);
	if (st == PS_OK)
		sum_up(l);
	return st;
}

enum ps_status ps_predict_learn(const struct ps_predict_table *t,
				const struct ps_predict_candidate *const *candidates,
				struct ps_predict_learned **ret_learned, struct ps_error *err)
{
	enum ps_status st = ps_predict_table_check(t, err);

	if (st != PS_OK)
		return st;
	struct ps_predict_learned *l = calloc(1, sizeof(*l));
	size_t *room = calloc(2 * t->len + 1, sizeof(*room));
	if (l) {
		l->table = t;
		l->tried_len = ps_predict_count(candidates);
		l->folds = calloc((size_t)t->model_len + 1, sizeof(*l->folds));
		l->tried = calloc(l->tried_len + 1, sizeof(*l->tried));
	}
	st = l && room && l->folds && l->tried ? learn(l, candidates, room, err) : no_memory(err);
	free(room);
	if (st != PS_OK) {
		ps_predict_learned_free(l);
		return st;
	}
	*ret_learned = l;
	return PS_OK;
}

void ps_predict_learned_free(struct ps_predict_learned *l)
{
	if (!l)
		return;
	ps_predict_choice_fini(&l->choice);
	for (size_t k = 0; l->folds && k < l->fold_len; k++) {
		ps_predict_choice_fini(&l->folds[k].choice);
		free(l->folds[k].rows);
		free(l->folds[k].said);
	}
	free(l->folds);
	free(l->tried);
	free(l);
}
