/* predict_facts.c - memory of models, and how much longer their runs take beside others. */
#include "cli/predict_read_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

/* The only model of a cell's server, and what the server said of it. */
static int only_model(const struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
		      double *ret_bytes)
{
	json_t *o = NULL;
	int model = -1;

	if (!x->server_json ||
	    ps_json_parse(x->server_json, strlen(x->server_json), &o, NULL) != PS_OK)
		return -1;
	const json_t *models = json_object_get(o, "models"), *m = json_array_get(models, 0);
	if (json_array_size(models) == 1) {
		model = ps_cli_predict_find(r->d, ps_json_get_string(m, "name", ""));
		*ret_bytes = ps_json_get_real(m, "private_bytes", 0) +
			     ps_json_get_real(m, "mapped_bytes", 0);
	}
	json_decref(o);
	return model;
}

/* Room for runs of larger batches stays with the server: trials before which there was none tell
 * more, and where there are such, only they count. */
static void add_memory(struct ps_cli_predict_data *d, struct ps_cli_predict_memory *m,
		       const struct ps_store_trial *t, double said, bool clean)
{
	double rss = (double)t->server_rss_bytes, peak = (double)t->server_peak_rss_bytes;

	if (!(rss > said) || (m->clean && !clean))
		return;
	if (clean && !m->clean)
		*m = (struct ps_cli_predict_memory){.clean = true};
	m->said_bytes = fmax(m->said_bytes, said);
	m->rss_bytes = fmax(m->rss_bytes, rss);
	m->peak_bytes = fmax(m->peak_bytes, fmax(peak, rss));
	if (d->server_bytes <= 0 || rss - said < d->server_bytes)
		d->server_bytes = rss - said;
}

static void add_memory_of(struct ps_cli_predict_reading *r, const struct ps_store_cell *x)
{
	double said = 0;
	int model = only_model(r, x, &said);
	bool clean = true;

	for (size_t i = 0; model >= 0 && i < x->trial_len; i++) {
		const struct ps_store_trial *t = &x->trials[i];
		bool one = t->result_len == 1 && t->results[0].batch == 1 && t->copies <= 1;
		clean &= one;
		if (one)
			add_memory(r->d, &r->d->models[model].memory, t, said, clean);
	}
}

/* ---- beside others ---- */

static const struct ps_store_cell *confirm_of(const struct ps_store_campaign *c, int set, int block)
{
	for (size_t i = 0; i < c->cell_len; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		if (x->kind == PS_STORE_CONFIRM && x->set == set && x->block == block &&
		    x->state == PS_STORE_DONE && x->trial_len > 0 && x->trials[0].valid)
			return x;
	}
	return NULL;
}

static int set_alone(const struct ps_store_campaign *c, int tenant)
{
	for (size_t s = 0; s < c->set_len; s++)
		if (c->sets[s].member_len == 1 && c->sets[s].members[0] == tenant)
			return (int)s;
	return -1;
}

/* The mean time of a tenant's runs in a cell's first trial; NAN: the server did not say. */
static enum ps_status run_time(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
			       int tenant, double *ret_ns, struct ps_error *err)
{
	const struct ps_store_trial *t = &x->trials[0];
	enum ps_status st = PS_OK;

	*ret_ns = NAN;
	for (size_t i = 0; i < t->result_len && st == PS_OK; i++) {
		const struct ps_store_result *q = &t->results[i];
		if (q->tenant != tenant || q->server_compute.len == 0)
			continue;
		st = ps_hist_read(&r->hist, q->server_compute.data, q->server_compute.len, err);
		if (st == PS_OK && ps_hist_count(&r->hist) > 0)
			*ret_ns = ps_hist_mean_ns(&r->hist);
	}
	return st;
}

static struct ps_cli_predict_beside *beside_at(struct ps_cli_predict_data *d, int own, int other,
					       const struct ps_predict_slice *s)
{
	for (size_t i = 0; i < d->beside_len; i++) {
		struct ps_cli_predict_beside *b = &d->beside[i];
		if (b->model[0] == own && b->model[1] == other &&
		    ps_cli_predict_same_slice(&b->slice, s))
			return b;
	}
	if (d->beside_len == d->beside_cap) {
		size_t cap = d->beside_cap ? 2 * d->beside_cap : 64;
		void *more = realloc(d->beside, cap * sizeof(*d->beside));
		if (!more)
			return NULL;
		d->beside = more;
		d->beside_cap = cap;
	}
	struct ps_cli_predict_beside *b = &d->beside[d->beside_len++];
	*b = (struct ps_cli_predict_beside){.model = {own, other}, .slice = *s};
	return b;
}

static enum ps_status add_beside(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
				 int tenant, int other, struct ps_error *err)
{
	int own = ps_cli_predict_model_of(r, tenant), of = ps_cli_predict_model_of(r, other);
	int alone = set_alone(r->c, tenant);
	const struct ps_store_cell *y = alone >= 0 ? confirm_of(r->c, alone, x->block) : NULL;
	double together_ns = NAN, alone_ns = NAN;

	if (!y || own < 0 || of < 0 || own == of)
		return PS_OK;
	enum ps_status st = run_time(r, x, tenant, &together_ns, err);
	if (st == PS_OK)
		st = run_time(r, y, tenant, &alone_ns, err);
	if (st != PS_OK || !(together_ns > 0) || !(alone_ns > 0))
		return st;
	const struct ps_predict_slice slice = ps_cli_predict_slice_of(r, x);
	struct ps_cli_predict_beside *b = beside_at(r->d, own, of, &slice);
	if (!b)
		return ps_error_set(err, PS_ENOMEM, "no memory for pairs");
	if (b->blocks < PS_CLI_PREDICT_KEPT_TRIALS)
		b->log_ratio[b->blocks] = log(together_ns / alone_ns);
	b->blocks++;
	return PS_OK;
}

static enum ps_status add_pairs_of(struct ps_cli_predict_reading *r, const struct ps_store_cell *x,
				   struct ps_error *err)
{
	const struct ps_store_set *s = &r->c->sets[x->set];
	enum ps_status st = PS_OK;

	if (s->member_len != 2 || x->trial_len == 0 || !x->trials[0].valid)
		return PS_OK;
	for (int i = 0; i < 2 && st == PS_OK; i++)
		st = add_beside(r, x, s->members[i], s->members[1 - i], err);
	return st;
}

enum ps_status ps_cli_predict_add_facts(struct ps_cli_predict_reading *r, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < r->c->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &r->c->cells[i];
		if (x->state != PS_STORE_DONE)
			continue;
		add_memory_of(r, x);
		if (x->kind == PS_STORE_CONFIRM && x->set >= 0)
			st = add_pairs_of(r, x, err);
	}
	return st;
}
