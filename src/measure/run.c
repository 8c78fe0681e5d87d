#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "cost/cost.h"
#include "model/zoo.h"

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
	const char *alone = set->member_len == 1 ? " alone" : "";
	if (x->kind == PS_STORE_SEARCH) {
		(void)snprintf(m->cell, sizeof(m->cell), "capacity of %s%s", set->name, alone);
		return;
	}
	bool demand = x->kind == PS_STORE_CONFIRM;
	(void)snprintf(m->cell, sizeof(m->cell), "%s, block %d of %lld: %s%s",
		       demand ? "demand rates" : "at capacity", x->block + 1,
		       (long long)(demand ? m->c->confirm.trials : m->c->confirm.at_capacity),
		       set->name, alone);
}

/* ---- folders and models ---- */

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

/* Writes a network of the zoo unless it is there; the seed is in the name. */
static enum ps_status zoo_model(struct ps_measure_context *m, const struct ps_measure_model *x,
				char **ret_path, struct ps_error *err)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_strbuf_printf(&b, "%s/%s-seed%lld.onnx", m->model_dir, x->zoo, (long long)m->c->seed);
	char *path = ps_strbuf_take_data(&b);
	if (!path) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	}
	*ret_path = path;
	if (ps_file_exists(path)) {
		return PS_OK;
	}
	(void)snprintf(m->what, sizeof(m->what), "writing %s", x->zoo);
	(void)ps_measure_say(m, NULL);
	return ps_zoo_write(ps_zoo_find(x->zoo), (uint64_t)m->c->seed, path, err);
}

static enum ps_status file_model(struct ps_measure_context *m, const struct ps_measure_model *x,
				 char **ret_path, struct ps_error *err)
{
	char *joined = ps_measure_path(m->c->folder, x->file);
	char *absolute = joined ? realpath(joined, NULL) : NULL;
	free(joined);
	if (!absolute) {
		ps_error_set(err, PS_ENOTFOUND, "there is no model file %.200s", x->file);
		ps_error_where(err, "%.100s:%d:models.file", m->c->path, x->where.line);
		ps_error_hint(err, "paths are relative to the campaign file's folder");
		return PS_ENOTFOUND;
	}
	*ret_path = absolute;
	return PS_OK;
}

static enum ps_status find_models(struct ps_measure_context *m, struct ps_error *err)
{
	const struct ps_measure_model *x = m->c->models.items;
	enum ps_status st = PS_OK;
	m->model_paths = calloc(m->c->models.len, sizeof(*m->model_paths));
	if (!m->model_paths) {
		return ps_error_set(err, PS_ENOMEM, "no memory for models");
	}
	for (size_t i = 0; i < m->c->models.len && st == PS_OK; i++) {
		st = x[i].zoo ? zoo_model(m, &x[i], &m->model_paths[i], err)
			      : file_model(m, &x[i], &m->model_paths[i], err);
	}
	return st;
}

/* ---- the campaign's row ---- */

static char *keep(struct ps_arena *a, const char *text)
{
	return text ? ps_arena_strndup(a, text, strlen(text)) : NULL;
}

static enum ps_status find_price(const struct ps_measure_campaign *c, struct ps_arena *a,
				 struct ps_store_price *ret, struct ps_error *err)
{
	struct ps_cost_sheet sheet = {{0}};
	const struct ps_cost_price *p = NULL;
	if (!c->slice.priced_as) {
		return PS_OK;
	}
	char *path = ps_measure_path(c->folder, c->slice.prices);
	enum ps_status st = path ? ps_cost_sheet_load(path, &sheet, err)
				 : ps_error_set(err, PS_ENOMEM, "no memory for a path");
	free(path);
	if (st != PS_OK) {
		return st;
	}
	st = ps_cost_sheet_find(&sheet, c->slice.priced_as, &p, err);
	if (st == PS_OK) {
		*ret = (struct ps_store_price){
			.provider = keep(a, p->provider),
			.region = keep(a, p->region),
			.instance_type = keep(a, p->instance_type),
			.vcpu = p->vcpu,
			.memory_gib = p->memory_gib,
			.usd_per_hour = p->on_demand_usd_per_hour,
			.source = keep(a, p->source),
			.source_date = keep(a, p->source_date),
		};
	} else {
		ps_error_where(err, "%.100s:%d:slice.priced_as", c->path, c->slice.where.line);
	}
	ps_cost_sheet_free(&sheet);
	return st;
}

static char *full_command(const struct ps_measure_campaign *c, struct ps_arena *a)
{
	struct ps_strbuf b;
	char *path = c->full ? ps_measure_path(c->folder, c->full) : NULL;
	if (!path) {
		return NULL;
	}
	ps_strbuf_init(&b);
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	int n = (int)strcspn(base, ".");
	/* Files of its own, so that the short run's results stay. */
	ps_strbuf_printf(&b, "perseus measure %s --store %.*s.db --report %.*s.html", path, n, base,
			 n, base);
	char *kept = keep(a, b.data);
	ps_strbuf_fini(&b);
	free(path);
	return kept;
}

static enum ps_status begin(struct ps_measure_context *m, struct ps_error *err)
{
	struct ps_arena a;
	struct ps_store_campaign plan;
	char cpus[PS_CPUS_SIZE];
	ps_arena_init(&a, 0);
	enum ps_status st = ps_measure_plan(m->c, &a, &plan, err);
	if (st == PS_OK) {
		st = find_price(m->c, &a, &plan.price, err);
	}
	if (st == PS_OK) {
		char *manifest = ps_measure_manifest(m, NULL);
		plan.manifest_json = manifest;
		plan.started_wall_ns = ps_clock_wall_ns();
		plan.slice_cpus = ps_cpus_format(&m->c->slice.cpus, cpus);
		plan.slice_memory_bytes = m->c->slice.memory_bytes;
		plan.full_command = full_command(m->c, &a);
		st = ps_store_campaign_begin(m->store, &plan, &m->campaign_id, err);
		free(manifest);
	}
	ps_arena_fini(&a);
	return st;
}

/* The store's last campaign must have been made from this very file. */
static enum ps_status resume(struct ps_measure_context *m, struct ps_error *err)
{
	struct ps_store_campaign *old = NULL;
	enum ps_status st = ps_store_campaign_read(m->store, 0, &old, err);
	if (st != PS_OK) {
		return st;
	}
	if (strcmp(old->file_text, m->c->text) != 0) {
		st = ps_error_set(err, PS_EEXIST,
				  "the store's last campaign, \"%s\", was begun from another text",
				  old->name);
		ps_error_where(err, "%s", m->run->store_path);
		ps_error_hint(err, "put the file back as it was, or start anew without --resume");
	} else {
		char *manifest = ps_measure_manifest(m, old->manifest_json);
		m->campaign_id = old->id;
		st = manifest ? ps_store_campaign_set_manifest(m->store, old->id, manifest, err)
			      : ps_error_set(err, PS_ENOMEM, "no memory for the manifest");
		free(manifest);
	}
	ps_store_campaign_free(old);
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

static enum ps_status run_cells(struct ps_measure_context *m, struct ps_measure_outcome *o,
				struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < m->plan->cell_len; i++) {
		recall_capacity(m, &m->plan->cells[i]);
		if (m->plan->cells[i].state != PS_STORE_DONE) {
			m->rest_ns += ps_measure_cell_ns(m->c, m->plan->cells[i].kind);
		}
	}
	for (size_t i = 0; i < m->plan->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &m->plan->cells[i];
		bool failed = false;
		if (x->state == PS_STORE_DONE) {
			o->done++;
			m->cells_done++;
			continue;
		}
		if (out_of_time(m)) {
			o->left++;
			continue;
		}
		m->cell_ns = ps_measure_cell_ns(m->c, x->kind);
		m->cell_begun_ns = ps_clock_now_ns();
		m->rest_ns -= m->cell_ns;
		name_cell(m, x);
		st = ps_measure_cell(m, x, &failed, err);
		m->past_ns += m->cell_ns;
		m->cells_done++;
		o->measured++;
		o->failed += st == PS_OK && failed;
		o->done += st == PS_OK && !failed;
	}
	return st;
}

static enum ps_status check_cpus(const struct ps_measure_campaign *c, struct ps_error *err)
{
	struct ps_cpus allowed = ps_host_cpus_allowed();
	char have[PS_CPUS_SIZE];
	for (int cpu = 0; cpu < PS_CPUS_MAX; cpu++) {
		bool generator = cpu == c->generator_cpu;
		if ((ps_cpus_has(&c->slice.cpus, cpu) || generator) &&
		    !ps_cpus_has(&allowed, cpu)) {
			ps_error_set(err, PS_EINVAL, "there is no CPU %d here that we may use",
				     cpu);
			ps_error_where(err,
				       generator ? "%.100s:generator_cpu" : "%.100s:slice.cpus",
				       c->path);
			ps_error_hint(err, "CPUs that may be used: %s",
				      ps_cpus_format(&allowed, have));
			return PS_EINVAL;
		}
	}
	return PS_OK;
}

static enum ps_status prepare(struct ps_measure_context *m, struct ps_error *err)
{
	enum ps_status st = check_cpus(m->c, err);
	if (st == PS_OK) {
		st = make_dir(m->run->workdir, "config", &m->config_dir, err);
	}
	if (st == PS_OK) {
		st = make_dir(m->run->workdir, "models", &m->model_dir, err);
	}
	if (st == PS_OK) {
		st = make_dir(m->run->workdir, "cache", &m->cache_dir, err);
	}
	if (st == PS_OK) {
		st = find_models(m, err);
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
	enum ps_status st = m->run->resume ? resume(m, err) : begin(m, err);
	if (st == PS_OK) {
		st = ps_store_campaign_read(m->store, m->campaign_id, &plan, err);
	}
	if (st != PS_OK) {
		return st;
	}
	m->plan = plan;
	o->campaign_id = m->campaign_id;
	if (plan->set_len > PS_MEASURE_MAX_SETS || plan->tenant_len != m->c->tenants.len) {
		st = ps_error_set(err, PS_ECORRUPT, "the store's campaign does not fit its file");
	} else {
		st = run_cells(m, o, err);
	}
	if (st == PS_OK && o->left == 0) {
		st = ps_store_campaign_finish(m->store, m->campaign_id, ps_clock_wall_ns(), err);
	}
	ps_store_campaign_free(plan);
	return st;
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
	ps_store_close(m->store);
	for (size_t i = 0; m->model_paths && i < m->c->models.len; i++) {
		free(m->model_paths[i]);
	}
	free(m->model_paths);
	free(m->config_dir);
	free(m->model_dir);
	free(m->cache_dir);
	free(m);
	*ret_outcome = o;
	return st;
}
