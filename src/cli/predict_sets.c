/* predict_sets.c - sets of three and more, judged by what is said of their pairs. */
#include "cli/predict_tables_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A measured set as a question. */
struct question {
	struct ps_predict_tenant others[PS_CLI_PREDICT_MAX_GROUP];
	struct ps_predict_set set;
};

static bool ask(const struct ps_cli_predict_data *d, const struct ps_cli_predict_group *g,
		struct question *q)
{
	q->set = (struct ps_predict_set){.own_model = g->model[0],
					 .others = q->others,
					 .other_models = g->model + 1,
					 .n = g->n - 1,
					 .slice = g->slice};
	if (!ps_cli_predict_tenant(d, g->model[0], g->batch[0], &g->slice, g->rate_rps[0],
				   &q->set.own))
		return false;
	for (int i = 1; i < g->n; i++)
		if (!ps_cli_predict_tenant(d, g->model[i], g->batch[i], &g->slice, g->rate_rps[i],
					   &q->others[i - 1]))
			return false;
	return true;
}

/* A queue that never settles has no first guess, also where it had not the time to grow. */
static bool settles(const struct ps_predict_set *s)
{
	double load = s->own.rate_rps * s->own.service_ns;

	for (int i = 0; i < s->n; i++)
		load += s->others[i].rate_rps * s->others[i].service_ns;
	return load * 1e-9 < s->slice.lanes;
}

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for tables");
}

static enum ps_status begin(const struct ps_cli_predict_data *d,
			    const struct ps_predict_quantity *q, struct ps_cli_predict_table *t,
			    struct ps_error *err)
{
	memset(t, 0, sizeof(*t));
	t->rows = calloc(d->group_len + 1, sizeof(*t->rows));
	t->learned = calloc(1, sizeof(*t->learned));
	if (!t->rows || !t->learned)
		return no_memory(err);
	for (int i = 0; i < d->model_len; i++)
		t->names[i] = d->models[i].name;
	t->table = (struct ps_predict_table){
		.quantity = q, .models = t->names, .model_len = d->model_len, .rows = t->rows};
	t->learned->table = &t->table;
	t->learned->folds = calloc((size_t)d->model_len + 1, sizeof(*t->learned->folds));
	return t->learned->folds ? PS_OK : no_memory(err);
}

/* The fold of a model; made when it is the first row of it. */
static struct ps_predict_fold *fold_of(struct ps_predict_learned *l, int model, size_t rows)
{
	for (size_t k = 0; k < l->fold_len; k++)
		if (l->folds[k].model == model)
			return &l->folds[k];
	struct ps_predict_fold *f = l->folds ? &l->folds[l->fold_len] : NULL;
	if (!f)
		return NULL;
	f->model = model;
	f->rows = calloc(rows + 1, sizeof(*f->rows));
	f->said = calloc(rows + 1, sizeof(*f->said));
	l->fold_len++; /* also without memory: it is freed with the others */
	return f->rows && f->said ? f : NULL;
}

static enum ps_status add(const struct ps_cli_predict_data *d,
			  const struct ps_predict_learned *pairs,
			  const struct ps_cli_predict_group *g, struct ps_cli_predict_table *t,
			  struct ps_error *err)
{
	bool p99 = t->table.quantity == &ps_predict_set_p99;
	double y = p99 ? g->p99_ns : g->slowdown;
	struct question q;

	if (!isfinite(y) || !ask(d, g, &q))
		return PS_OK;
	double guess =
		ps_cli_predict_replayed(&g->sent, p99, &q.set.own, q.others, g->n - 1, &g->slice);
	q.set.guess = guess > 0 && settles(&q.set) ? guess : 0;
	double said = ps_predict_set_unseen(pairs, &q.set);
	if (!isfinite(said)) {
		t->unsettled++;
		return PS_OK;
	}
	struct ps_predict_fold *f = fold_of(t->learned, g->model[0], d->group_len);
	if (!f)
		return no_memory(err);
	t->rows[t->table.len] =
		(struct ps_predict_row){.models = {g->model[0], -1},
					.place = {g->slice.lanes, g->slice.cpus, g->n - 1},
					.y = y,
					.noise = p99 ? g->p99_noise : g->slowdown_noise};
	f->rows[f->len] = t->table.len++;
	f->said[f->len++] = said;
	f->choice.candidate = pairs->choice.candidate;
	return PS_OK;
}

static double mean_noise(const struct ps_predict_table *t, const struct ps_predict_fold *f)
{
	double sum = 0, n = 0;

	for (size_t i = 0; i < f->len; i++)
		if (isfinite(t->rows[f->rows[i]].noise)) {
			sum += t->rows[f->rows[i]].noise;
			n++;
		}
	return n > 0 ? sum / n : NAN;
}

/* As in learning: every model counts the same. */
static void sum_up(struct ps_predict_learned *l)
{
	double noise = 0, known = 0;

	for (size_t k = 0; k < l->fold_len; k++) {
		struct ps_predict_fold *f = &l->folds[k];
		for (size_t i = 0; i < f->len; i++)
			f->error += fabs(f->said[i] / l->table->rows[f->rows[i]].y - 1) /
				    (double)f->len;
		f->noise = mean_noise(l->table, f);
		l->error += f->error / (double)l->fold_len;
		noise += isfinite(f->noise) ? f->noise : 0;
		known += isfinite(f->noise);
	}
	l->noise = known > 0 ? noise / known : NAN;
}

enum ps_status ps_cli_predict_sets_table(const struct ps_cli_predict_data *d,
					 const struct ps_predict_learned *pairs,
					 struct ps_cli_predict_table *ret_table,
					 struct ps_error *err)
{
	bool p99 = pairs->table->quantity == &ps_predict_p99;
	enum ps_status st =
		begin(d, p99 ? &ps_predict_set_p99 : &ps_predict_set_slowdown, ret_table, err);

	for (size_t i = 0; i < d->group_len && st == PS_OK; i++)
		st = add(d, pairs, &d->groups[i], ret_table, err);
	if (st == PS_OK && ret_table->table.len == 0) {
		ps_error_set(err, PS_EUNAVAIL, "no set of three and more was measured");
		st = PS_EUNAVAIL;
	}
	if (st == PS_OK) {
		ret_table->learned->choice.candidate = pairs->choice.candidate;
		sum_up(ret_table->learned);
	} else {
		ps_cli_predict_table_free(ret_table);
	}
	return st;
}
