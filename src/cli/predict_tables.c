#include "cli/predict_tables_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for tables");
}

/* ---- batches ---- */

enum ps_status ps_cli_predict_at_batch(const struct ps_predict_model *one, int64_t batch,
				       struct ps_predict_model *ret_work)
{
	enum ps_status st = ps_predict_work_copy(one, ret_work);
	double b = (double)batch;

	if (st != PS_OK || batch == 1)
		return st;
	for (size_t i = 0; i < ret_work->op_count; i++) {
		struct ps_predict_op *op = &ret_work->ops[i];
		op->macs *= b;
		op->element_ops *= b;
		op->in_bytes *= b;
		op->out_bytes *= b;
		op->shape.batch *= batch;
		op->time_ns *= b;
	}
	ret_work->batch = batch;
	ret_work->macs *= b;
	ret_work->element_ops *= b;
	ret_work->activation_bytes *= b;
	ret_work->peak_bytes *= b;
	ret_work->input_bytes *= b;
	ret_work->output_bytes *= b;
	ret_work->intensity = ret_work->macs / (ret_work->activation_bytes + ret_work->param_bytes);
	return PS_OK;
}

/* The work of a model at a batch, made once for all its rows. */
static enum ps_status work_of(const struct ps_cli_predict_data *d, int model, int64_t batch,
			      struct ps_cli_predict_table *t,
			      const struct ps_predict_model **ret_work, struct ps_error *err)
{
	const struct ps_predict_model *one = &d->models[model].work;

	for (size_t i = 0; i < t->work_len; i++)
		if (t->works[i]->batch == batch && t->works[i]->name &&
		    strcmp(t->works[i]->name, one->name) == 0) {
			*ret_work = t->works[i];
			return PS_OK;
		}
	struct ps_predict_model *w = calloc(1, sizeof(*w));
	if (!w || ps_cli_predict_at_batch(one, batch, w) != PS_OK) {
		free(w);
		return no_memory(err);
	}
	t->works[t->work_len++] = w;
	*ret_work = w;
	return PS_OK;
}

/* ---- making and freeing ---- */

static enum ps_status begin(const struct ps_cli_predict_data *d,
			    const struct ps_predict_quantity *q, size_t most,
			    struct ps_cli_predict_table *t, struct ps_error *err)
{
	memset(t, 0, sizeof(*t));
	t->rows = calloc(most + 1, sizeof(*t->rows));
	t->works = calloc(most + 1, sizeof(*t->works));
	if (!t->rows || !t->works) {
		ps_cli_predict_table_free(t);
		return no_memory(err);
	}
	for (int i = 0; i < d->model_len; i++)
		t->names[i] = d->models[i].name;
	t->table = (struct ps_predict_table){
		.quantity = q,
		.models = t->names,
		.model_len = d->model_len,
		.rows = t->rows,
		.machine =
			d->machine.level_len > 0 && d->machine.mac_per_s > 0 ? &d->machine : NULL};
	return PS_OK;
}

void ps_cli_predict_table_free(struct ps_cli_predict_table *t)
{
	ps_predict_learned_free(t->learned);
	for (size_t i = 0; t->works && i < t->work_len; i++) {
		ps_predict_model_fini(t->works[i]);
		free(t->works[i]);
	}
	free((void *)t->works);
	free(t->rows);
	memset(t, 0, sizeof(*t));
}

static struct ps_predict_row *next(struct ps_cli_predict_table *t)
{
	return &t->rows[t->table.len++];
}

static bool is_out(const bool *leave, int model)
{
	return leave && leave[model];
}

static bool has_work(const struct ps_cli_predict_data *d, int model)
{
	return !d->models[model].lacks;
}

/* ---- service times ---- */

enum ps_status ps_cli_predict_service_table(const struct ps_cli_predict_data *d, const bool *leave,
					    struct ps_cli_predict_table *ret_table,
					    struct ps_error *err)
{
	struct ps_cli_predict_table *t = ret_table;
	enum ps_status st = begin(d, &ps_predict_service, d->profile_len, t, err);

	for (size_t i = 0; i < d->profile_len && st == PS_OK; i++) {
		const struct ps_cli_predict_profile *p = &d->profiles[i];
		const struct ps_predict_model *work = NULL;
		double variation = NAN;
		if (is_out(leave, p->model) || !has_work(d, p->model))
			continue;
		st = work_of(d, p->model, p->batch, t, &work, err);
		if (st != PS_OK)
			break;
		struct ps_predict_row *row = next(t);
		ps_predict_service_row(work, &p->slice, row);
		row->models[0] = p->model;
		(void)ps_cli_predict_service(d, p->model, p->batch, &p->slice, &row->y, &row->noise,
					     &variation);
	}
	if (st != PS_OK)
		ps_cli_predict_table_free(t);
	return st;
}

enum ps_status ps_cli_predict_transfer_table(const struct ps_cli_predict_data *d,
					     const struct ps_predict_slice *from,
					     const struct ps_predict_slice *to, const bool *leave,
					     struct ps_cli_predict_table *ret_table,
					     struct ps_error *err)
{
	struct ps_cli_predict_table *t = ret_table;
	enum ps_status st = begin(d, &ps_predict_transfer, d->profile_len, t, err);

	for (size_t i = 0; i < d->profile_len && st == PS_OK; i++) {
		const struct ps_cli_predict_profile *p = &d->profiles[i];
		const struct ps_predict_model *work = NULL;
		double here = NAN, noise = NAN, variation = NAN;
		if (is_out(leave, p->model) || !has_work(d, p->model) ||
		    !ps_cli_predict_same_slice(&p->slice, to) ||
		    !ps_cli_predict_service(d, p->model, p->batch, from, &here, &noise, &variation))
			continue;
		st = work_of(d, p->model, p->batch, t, &work, err);
		if (st != PS_OK)
			break;
		struct ps_predict_row *row = next(t);
		ps_predict_transfer_row(work, here, to, row);
		row->models[0] = p->model;
		(void)ps_cli_predict_service(d, p->model, p->batch, to, &row->y, &row->noise,
					     &variation);
	}
	if (st != PS_OK)
		ps_cli_predict_table_free(t);
	return st;
}

/* ---- memory ---- */

enum ps_status ps_cli_predict_memory_table(const struct ps_cli_predict_data *d, const bool *leave,
					   struct ps_cli_predict_table *ret_table,
					   struct ps_error *err)
{
	enum ps_status st = begin(d, &ps_predict_memory, (size_t)d->model_len, ret_table, err);

	for (int i = 0; i < d->model_len && st == PS_OK; i++) {
		const struct ps_cli_predict_memory *m = &d->models[i].memory;
		if (is_out(leave, i) || !has_work(d, i) || d->models[i].same != i ||
		    !(m->rss_bytes > 0))
			continue;
		struct ps_predict_row *row = next(ret_table);
		ps_predict_memory_row(&d->models[i].work, row);
		row->models[0] = i;
		row->y = fmax(m->said_bytes, m->rss_bytes - d->server_bytes);
	}
	return st;
}

/* ---- tenants ---- */

/* Of a queue that never settles there is no first guess, and what was measured of it depends on how
 * long one looked. */
static void drop_without_guess(struct ps_cli_predict_table *t)
{
	if (isfinite(t->rows[t->table.len - 1].anchor))
		return;
	t->table.len--;
	t->unsettled++;
}

bool ps_cli_predict_tenant(const struct ps_cli_predict_data *d, int model, int64_t batch,
			   const struct ps_predict_slice *slice, double rate_rps,
			   struct ps_predict_tenant *ret)
{
	const struct ps_predict_model *w = &d->models[model].work;
	double noise = NAN;
	struct ps_predict_tenant t = {.rate_rps = rate_rps};

	if (!has_work(d, model) ||
	    !ps_cli_predict_service(d, model, batch, slice, &t.service_ns, &noise, &t.variation))
		return false;
	t.moved_bytes = w->param_bytes + w->activation_bytes * (double)batch;
	*ret = t;
	return true;
}

enum ps_status ps_cli_predict_capacity_table(const struct ps_cli_predict_data *d, const bool *leave,
					     struct ps_cli_predict_table *ret_table,
					     struct ps_error *err)
{
	enum ps_status st = begin(d, &ps_predict_capacity, d->capacity_len, ret_table, err);

	for (size_t i = 0; i < d->capacity_len && st == PS_OK; i++) {
		const struct ps_cli_predict_capacity *c = &d->capacities[i];
		struct ps_predict_tenant t;
		if (is_out(leave, c->model) || c->sla.percentile <= 0 ||
		    !ps_cli_predict_tenant(d, c->model, c->batch, &c->slice, 0, &t))
			continue;
		struct ps_predict_row *row = next(ret_table);
		ps_predict_capacity_row(&t, c->sla.percentile, (double)c->sla.limit_ns, &c->slice,
					row);
		row->models[0] = c->model;
		row->y = c->rps;
		row->noise = c->noise;
		drop_without_guess(ret_table);
	}
	return st;
}

double ps_cli_predict_replayed(const struct ps_cli_predict_sent *sent, bool p99,
			       const struct ps_predict_tenant *own,
			       const struct ps_predict_tenant *others, int n,
			       const struct ps_predict_slice *slice)
{
	const struct ps_predict_replay r = {.own = *own,
					    .others = others,
					    .n = n,
					    .slice = *slice,
					    .blocks = sent->blocks,
					    .block_len = sent->block_len};
	if (sent->block_len == 0)
		return NAN;
	return p99 ? ps_predict_replay_p99(&r) : ps_predict_replay_slowdown(&r);
}

/* The first guess of what was measured: of the requests that were sent, where they are known. */
static void guess_again(const struct ps_cli_predict_pair *p, bool p99,
			const struct ps_predict_tenant *own, const struct ps_predict_tenant *other,
			struct ps_predict_row *row)
{
	double guess = isfinite(row->anchor)
			       ? ps_cli_predict_replayed(&p->sent, p99, own, other, 1, &p->slice)
			       : NAN;

	if (guess > 0)
		row->anchor = guess;
}

static enum ps_status pair_table(const struct ps_cli_predict_data *d, const bool *leave, bool p99,
				 struct ps_cli_predict_table *t, struct ps_error *err)
{
	enum ps_status st =
		begin(d, p99 ? &ps_predict_p99 : &ps_predict_slowdown, d->pair_len, t, err);

	for (size_t i = 0; i < d->pair_len && st == PS_OK; i++) {
		const struct ps_cli_predict_pair *p = &d->pairs[i];
		struct ps_predict_tenant own, other;
		double y = p99 ? p->p99_ns : p->slowdown;
		/* what half of the requests never got is no number to learn */
		if (!isfinite(y) || is_out(leave, p->model[0]) || is_out(leave, p->model[1]) ||
		    !ps_cli_predict_tenant(d, p->model[0], p->batch[0], &p->slice, p->rate_rps[0],
					   &own) ||
		    !ps_cli_predict_tenant(d, p->model[1], p->batch[1], &p->slice, p->rate_rps[1],
					   &other))
			continue;
		struct ps_predict_row *row = next(t);
		if (p99)
			ps_predict_p99_row(&own, &other, &p->slice, row);
		else
			ps_predict_slowdown_row(&own, &other, &p->slice, row);
		guess_again(p, p99, &own, &other, row);
		memcpy(row->models, p->model, sizeof(row->models));
		row->y = y;
		row->noise = p99 ? p->p99_noise : p->slowdown_noise;
		drop_without_guess(t);
	}
	return st;
}

enum ps_status ps_cli_predict_slowdown_table(const struct ps_cli_predict_data *d, const bool *leave,
					     struct ps_cli_predict_table *ret_table,
					     struct ps_error *err)
{
	return pair_table(d, leave, false, ret_table, err);
}

enum ps_status ps_cli_predict_p99_table(const struct ps_cli_predict_data *d, const bool *leave,
					struct ps_cli_predict_table *ret_table,
					struct ps_error *err)
{
	return pair_table(d, leave, true, ret_table, err);
}
