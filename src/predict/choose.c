/* choose.c - the procedure: leave a model out, see who predicts it best. */
#include "predict/choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ps_predict_is_of(const struct ps_predict_row *row, int model)
{
	return row->models[0] == model || row->models[1] == model;
}

void ps_predict_choice_fini(struct ps_predict_choice *c)
{
	if (c->fit)
		c->candidate->free(c->fit);
	c->fit = NULL;
}

double ps_predict_choice_at(const struct ps_predict_choice *c, const struct ps_predict_row *row)
{
	return c->fit ? c->candidate->at(c->fit, row) : NAN;
}

/* ---- subsets of rows ---- */

size_t ps_predict_without(const struct ps_predict_rows *rows, int model, size_t *ret_kept,
			  size_t *ret_left, size_t *ret_left_len)
{
	size_t kept = 0, left = 0;

	for (size_t i = 0; i < rows->len; i++)
		if (ps_predict_is_of(&rows->table->rows[rows->at[i]], model))
			ret_left[left++] = rows->at[i];
		else
			ret_kept[kept++] = rows->at[i];
	*ret_left_len = left;
	return kept;
}

int ps_predict_model_count(const struct ps_predict_rows *rows)
{
	int n = 0;

	for (int g = 0; g < rows->table->model_len; g++)
		for (size_t i = 0; i < rows->len; i++)
			if (ps_predict_is_of(&rows->table->rows[rows->at[i]], g)) {
				n++;
				break;
			}
	return n;
}

double ps_predict_mean_error(const struct ps_predict_table *t, const size_t *rows,
			     const double *said, size_t len)
{
	double sum = 0;

	for (size_t i = 0; i < len; i++) {
		if (!isfinite(said[i]))
			return INFINITY;
		sum += fabs(said[i] / t->rows[rows[i]].y - 1);
	}
	return len > 0 ? sum / (double)len : NAN;
}

/* ---- scores ---- */

struct scoring {
	const struct ps_predict_rows *rows;
	size_t *kept, *left; /* room for indexes of rows */
	double *said;
};

/* The error of one variant on one model that it has not seen. Too little to learn from is no error
 * of the program: the variant is out. */
static enum ps_status error_without(struct scoring *s, const struct ps_predict_candidate *c,
				    int variant, int model, double *ret_error, struct ps_error *err)
{
	size_t left = 0;
	size_t kept = ps_predict_without(s->rows, model, s->kept, s->left, &left);
	const struct ps_predict_rows rest = {s->rows->table, s->kept, kept};
	void *fit = NULL;

	*ret_error = NAN;
	if (left == 0)
		return PS_OK;
	enum ps_status st = c->fit(&rest, variant, &fit, err);
	if (st == PS_EUNAVAIL) {
		*ret_error = INFINITY;
		return PS_OK;
	}
	if (st != PS_OK)
		return st;
	for (size_t i = 0; i < left; i++)
		s->said[i] = c->at(fit, &s->rows->table->rows[s->left[i]]);
	c->free(fit);
	*ret_error = ps_predict_mean_error(s->rows->table, s->left, s->said, left);
	return PS_OK;
}

static enum ps_status score(struct scoring *s, const struct ps_predict_candidate *c, int variant,
			    double *ret_score, struct ps_error *err)
{
	double sum = 0;
	int n = 0;

	for (int g = 0; g < s->rows->table->model_len && sum < INFINITY; g++) {
		double e = NAN;
		enum ps_status st = error_without(s, c, variant, g, &e, err);
		if (st != PS_OK)
			return st;
		if (isnan(e))
			continue;
		sum += e;
		n++;
	}
	*ret_score = n > 0 ? sum / n : INFINITY;
	return PS_OK;
}

/* The best variant of one candidate, learned from all rows. */
static enum ps_status best_variant(struct scoring *s, const struct ps_predict_candidate *c,
				   struct ps_predict_choice *ret, struct ps_error *err)
{
	*ret = (struct ps_predict_choice){.candidate = c, .variant = -1, .score = INFINITY};
	for (int v = 0; v < c->variants; v++) {
		double e = INFINITY;
		enum ps_status st = score(s, c, v, &e, err);
		if (st != PS_OK)
			return st;
		if (e < ret->score) {
			ret->score = e;
			ret->variant = v;
		}
	}
	return ret->variant < 0 ? PS_OK : c->fit(s->rows, ret->variant, &ret->fit, err);
}

static enum ps_status each_candidate(struct scoring *s,
				     const struct ps_predict_candidate *const *candidates,
				     struct ps_predict_choice *best, struct ps_error *err)
{
	for (size_t k = 0; candidates[k]; k++) {
		enum ps_status st = best_variant(s, candidates[k], &best[k], err);
		if (st != PS_OK)
			return st;
	}
	return PS_OK;
}

size_t ps_predict_count(const struct ps_predict_candidate *const *candidates)
{
	size_t n = 0;

	while (candidates[n])
		n++;
	return n;
}

static void release_all(struct ps_predict_choice *best, size_t n)
{
	for (size_t k = 0; k < n; k++)
		ps_predict_choice_fini(&best[k]);
}

/* A second fit of the same, so that every choice owns its own. */
static enum ps_status pick(const struct ps_predict_rows *rows, const struct ps_predict_choice *best,
			   size_t n, struct ps_predict_choice *ret, struct ps_error *err)
{
	size_t least = 0;

	for (size_t k = 1; k < n; k++)
		if (best[k].score < best[least].score)
			least = k;
	if (!best[least].fit)
		return ps_error_set(err, PS_EUNAVAIL,
				    "no candidate can learn the %s from these measurements",
				    rows->table->quantity->name);
	struct ps_predict_choice c = best[least];
	c.fit = NULL;
	enum ps_status st = c.candidate->fit(rows, c.variant, &c.fit, err);
	if (st == PS_OK)
		*ret = c;
	return st;
}

static enum ps_status choose_in(struct scoring *s,
				const struct ps_predict_candidate *const *candidates,
				struct ps_predict_choice *ret_choice,
				struct ps_predict_choice *ret_best, struct ps_error *err)
{
	size_t n = ps_predict_count(candidates);
	struct ps_predict_choice *best = calloc(n + 1, sizeof(*best));

	if (!best)
		return ps_error_set(err, PS_ENOMEM, "no memory for candidates");
	enum ps_status st = each_candidate(s, candidates, best, err);
	if (st == PS_OK)
		st = pick(s->rows, best, n, ret_choice, err);
	if (st == PS_OK && ret_best)
		memcpy(ret_best, best, n * sizeof(*best));
	else
		release_all(best, n);
	free(best);
	return st;
}

enum ps_status ps_predict_choose(const struct ps_predict_rows *rows,
				 const struct ps_predict_candidate *const *candidates,
				 struct ps_predict_choice *ret_choice,
				 struct ps_predict_choice *ret_best, struct ps_error *err)
{
	int models = ps_predict_model_count(rows);

	if (models < PS_PREDICT_MIN_MODELS)
		return ps_error_set(err, PS_EUNAVAIL,
				    "the %s is known of %d models, and %d are needed",
				    rows->table->quantity->name, models, PS_PREDICT_MIN_MODELS);
	size_t *room = calloc(2 * rows->len + 1, sizeof(*room));
	double *said = calloc(rows->len + 1, sizeof(*said));
	struct scoring s = {.rows = rows, .kept = room, .left = room + rows->len, .said = said};
	enum ps_status st = room && said ? choose_in(&s, candidates, ret_choice, ret_best, err)
					 : ps_error_set(err, PS_ENOMEM, "no memory for candidates");
	free(room);
	free(said);
	return st;
}
