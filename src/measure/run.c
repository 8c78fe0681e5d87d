#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- progress ---- */

bool ps_measure_say(struct ps_measure_context *m, const char *note)
{
	int64_t now = ps_clock_now_ns();
	int64_t spent = now - m->cell_begun_ns;
	/* A cell that takes longer than thought is nearly done, not over. */
	int64_t left = m->cell_ns - spent > 0 ? m->cell_ns - spent : PS_NS_PER_SEC / 2;
	int64_t done = m->past_ns + (m->cell_ns - left > 0 ? m->cell_ns - left : 0);
	struct ps_measure_progress p = {
		.note = note,
		.cell = m->cell,
		.what = m->what,
		.cells_done = m->cells_done,
		.cells = (int)m->plan->cell_len,
		.elapsed_ns = now - m->begun_ns,
		.left_ns = left + m->rest_ns,
		.share = (double)done / (double)(done + left + m->rest_ns),
	};
	if (m->run->progress && !m->run->progress(m->run->ctx, &p)) {
		m->stopped = true;
	}
	return !m->stopped;
}

static void name_cell(struct ps_measure_context *m, const struct ps_store_cell *x)
{
	const struct ps_store_set *set = &m->plan->sets[x->set];
	const struct ps_measure_model *models = m->c->models.items;
	const char *alone = set->member_len == 1 ? " alone" : "";
	char *buf = m->cell;
	size_t n = sizeof(m->cell);
	switch (x->kind) {
	case PS_STORE_SEARCH:
		(void)snprintf(buf, n, "capacity of %s%s", set->name, alone);
		break;
	case PS_STORE_CONFIRM:
		(void)snprintf(buf, n, "demand rates, block %d of %lld: %s%s", x->block + 1,
			       (long long)m->c->confirm.trials, set->name, alone);
		break;
	case PS_STORE_CAPACITY:
		(void)snprintf(buf, n, "at capacity, block %d of %lld: %s%s", x->block + 1,
			       (long long)m->c->confirm.at_capacity, set->name, alone);
		break;
	case PS_STORE_COLD:
		(void)snprintf(buf, n, "cold start %d of %lld: %s", x->block + 1,
			       (long long)m->c->cold.trials, models[x->part].name);
		break;
	case PS_STORE_PROFILE:
		(void)snprintf(buf, n, "batch sizes, block %d of %lld: %s", x->block + 1,
			       (long long)m->c->profile.trials, models[x->part].name);
		break;
	default: /* its key says it: frontier/..., rates/..., pack/..., operators/... */
		(void)snprintf(buf, n, "%s", x->key);
	}
}

/* ---- folders ---- */

static enum ps_status make_dir(const char *workdir, const char *name, char **ret,
			       struct ps_error *err)
{
	char *joined = ps_measure_path(workdir, name);
	enum ps_status st = joined ? ps_file_mkdirs(joined, err)
				   : ps_error_set(err, PS_ENOMEM, "no memory for a path");
	char *absolute = st == PS_OK ? realpath(joined, NULL) : NULL;
	if (st == PS_OK && !absolute) {
		st = ps_error_set(err, PS_EIO, "cannot resolve the folder %s", joined);
	}
	free(joined);
	*ret = absolute;
	return st;
}

/* ---- the run ---- */

static void recall_capacity(struct ps_measure_context *m, const struct ps_store_cell *x)
{
	if (x->kind != PS_STORE_SEARCH || x->state != PS_STORE_DONE || !x->capacity.known) {
		return;
	}
	int members = m->plan->sets[x->set].member_len;
	for (int i = 0; i < members && i < PS_MEASURE_MAX_MEMBERS; i++) {
		m->rays[x->set][i] = x->capacity.ray_rps[i];
	}
	m->capacities[x->set] = x->capacity;
	m->capacities[x->set].ray_rps = m->rays[x->set];
	m->capacities[x->set].method_json = NULL;
}

static bool out_of_time(const struct ps_measure_context *m)
{
	int64_t max = m->c->stop.max_time_ns;
	return max > 0 && ps_clock_now_ns() - m->begun_ns >= max;
}

/* What was measured before, and how much is left. */
static enum ps_status recall(struct ps_measure_context *m, struct ps_error *err)
{
	for (size_t i = 0; i < m->plan->cell_len; i++) {
		const struct ps_store_cell *x = &m->plan->cells[i];
		recall_capacity(m, x);
		if (x->state != PS_STORE_DONE) {
			m->rest_ns += ps_measure_cell_ns(m->c, x);
		} else if (ps_measure_blocks_add(m->blocks, x) != PS_OK) {
			return ps_error_set(err, PS_ENOMEM, "no memory for what was measured");
		}
	}
	return PS_OK;
}

/* Why a cell need not be measured; NULL: it must be. */
static const char *needless(const struct ps_measure_context *m, const struct ps_store_cell *x)
{
	const struct ps_measure_model *models = m->c->models.items;
	double limit = m->c->stop.slowdown;
	/* decided at the beginning of a block, for the whole of it and all later ones */
	if (x->kind == PS_STORE_CONFIRM && limit > 0 && x->block >= m->enough_blocks) {
		return "every slowdown is known as precisely as stop.slowdown asks";
	}
	if (x->kind == PS_STORE_OPERATORS && models[x->part].file &&
	    strstr(models[x->part].file, ".synthetic.yaml")) {
		return "the synthetic engine has no operators";
	}
	return NULL;
}

static void look_at_blocks(struct ps_measure_context *m, const struct ps_store_cell *x)
{
	bool first = x->kind == PS_STORE_CONFIRM && x->position == 0;
	if (first && m->enough_blocks == INT_MAX && m->c->stop.slowdown > 0 &&
	    ps_measure_blocks_enough(m->blocks, x->block, m->c->stop.slowdown)) {
		m->enough_blocks = x->block;
	}
}

static enum ps_status run_cell(struct ps_measure_context *m, const struct ps_store_cell *x,
			       struct ps_measure_outcome *o, struct ps_error *err)
{
	bool failed = false;
	m->cell_ns = ps_measure_cell_ns(m->c, x);
	m->rest_ns -= m->cell_ns;
	look_at_blocks(m, x);
	const char *why = needless(m, x);
	if (why) {
		o->skipped++;
		m->cells_done++;
		return x->state == PS_STORE_PLANNED
			       ? ps_store_cell_skip(m->store, m->campaign_id, x->key, why, err)
			       : PS_OK;
	}
	m->cell_begun_ns = ps_clock_now_ns();
	name_cell(m, x);
	enum ps_status st = ps_measure_cell(m, x, &failed, err);
	m->past_ns += m->cell_ns;
	m->cells_done++;
	o->measured++;
	o->failed += st == PS_OK && failed;
	o->done += st == PS_OK && !failed;
	return st;
}

static enum ps_status run_cells(struct ps_measure_context *m, struct ps_measure_outcome *o,
				struct ps_error *err)
{
	enum ps_status st = recall(m, err);
	for (size_t i = 0; i < m->plan->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &m->plan->cells[i];
		if (x->state == PS_STORE_DONE) {
			o->done++;
			m->cells_done++;
		} else if (out_of_time(m)) {
			o->left++;
		} else {
			st = run_cell(m, x, o, err);
		}
	}
	return st;
}

static enum ps_status make_dirs(struct ps_measure_context *m, struct ps_error *err)
{
	enum ps_status st = make_dir(m->run->workdir, "config", &m->config_dir, err);
	if (st == PS_OK) {
		st = make_dir(m->run->workdir, "models", &m->model_dir, err);
	}
	return st == PS_OK ? make_dir(m->run->workdir, "cache", &m->cache_dir, err) : st;
}

static enum ps_status prepare(struct ps_measure_context *m, struct ps_error *err)
{
	enum ps_status st = ps_measure_check_slice(m->c, err);
	if (st == PS_OK) {
		st = ps_measure_read_keys(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_make_arrivals(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_make_targets(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_digest_contents(m, err);
	}
	if (st == PS_OK) {
		st = make_dirs(m, err);
	}
	if (st == PS_OK) {
		st = ps_measure_find_models(m, err);
	}
	/* how the generator will be put first is known only by trying */
	struct ps_host_priority before;
	ps_host_priority_raise(&before);
	ps_host_priority_restore(&before);
	memcpy(m->priority, before.how, sizeof(m->priority));
	return st;
}

static enum ps_status perform(struct ps_measure_context *m, struct ps_measure_outcome *o,
			      struct ps_error *err)
{
	struct ps_store_campaign *plan = NULL;
	enum ps_status st = ps_measure_begin(m, err);
	if (st == PS_OK) {
		st = ps_store_campaign_read(m->store, m->campaign_id, &plan, err);
	}
	if (st != PS_OK) {
		return st;
	}
	m->plan = plan;
	o->campaign_id = m->campaign_id;
	m->blocks = ps_measure_blocks_new(plan);
	m->enough_blocks = INT_MAX;
	if (!m->blocks) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	} else if (plan->set_len > PS_MEASURE_MAX_SETS || plan->tenant_len != m->c->tenants.len) {
		st = ps_error_set(err, PS_ECORRUPT, "the store's campaign does not fit its file");
	} else {
		st = run_cells(m, o, err);
	}
	if (st == PS_OK && o->left == 0) {
		st = ps_store_campaign_finish(m->store, m->campaign_id, ps_clock_wall_ns(), err);
	}
	ps_measure_blocks_free(m->blocks);
	ps_store_campaign_free(plan);
	return st;
}

static void free_context(struct ps_measure_context *m)
{
	ps_store_close(m->store);
	ps_measure_free_models(m);
	ps_measure_free_keys(m);
	ps_measure_free_arrivals(m);
	ps_measure_free_targets(m);
	free(m->config_dir);
	free(m->model_dir);
	free(m->cache_dir);
	free(m);
}

enum ps_status ps_measure_run(const struct ps_measure_run *run,
			      struct ps_measure_outcome *ret_outcome, struct ps_error *err)
{
	static const struct ps_store_campaign empty = {0};
	struct ps_measure_outcome o = {0};
	struct ps_measure_context *m = calloc(1, sizeof(*m));
	if (!m) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	}
	m->run = run;
	m->c = run->campaign;
	m->plan = &empty;
	m->begun_ns = m->cell_begun_ns = ps_clock_now_ns();
	/* the store first: a bad file is told before minutes are spent */
	enum ps_status st = ps_store_open(
		run->store_path, run->resume ? PS_STORE_WRITE : PS_STORE_CREATE, &m->store, err);
	if (st == PS_OK) {
		st = prepare(m, err);
	}
	if (st == PS_OK) {
		st = perform(m, &o, err);
	}
	free_context(m);
	*ret_outcome = o;
	return st;
}
