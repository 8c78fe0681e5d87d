#include "store/pack_internal.h"
#include "store/store_internal.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum ps_status write_sets(struct ps_store *s, const struct ps_store_campaign *c, int64_t id,
				 struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < c->set_len && st == PS_OK; i++) {
		const struct ps_store_set *set = &c->sets[i];
		st = ps_store_run(s, PS_STMT_SET_INSERT, err, "iis", id, (int64_t)i, set->name);
		for (int m = 0; m < set->member_len && st == PS_OK; m++) {
			st = ps_store_run(s, PS_STMT_MEMBER_INSERT, err, "iiii", id, (int64_t)i,
					  (int64_t)m, (int64_t)set->members[m]);
		}
	}
	return st;
}

static enum ps_status write_plan(struct ps_store *s, const struct ps_store_campaign *c, int64_t id,
				 struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < c->tenant_len && st == PS_OK; i++) {
		const struct ps_store_tenant *t = &c->tenants[i];
		st = ps_store_run(s, PS_STMT_TENANT_INSERT, err, "iissddid", id, (int64_t)i,
				  t->name, t->model, t->demand_rps, t->sla.percentile,
				  t->sla.limit_ns, t->sla.min_success);
	}
	if (st == PS_OK) {
		st = write_sets(s, c, id, err);
	}
	for (size_t i = 0; i < c->cell_len && st == PS_OK; i++) {
		const struct ps_store_cell *x = &c->cells[i];
		st = ps_store_run(s, PS_STMT_CELL_INSERT, err, "iissiiiiis", id, (int64_t)i, x->key,
				  ps_store_kind_names[x->kind], (int64_t)x->set, (int64_t)x->block,
				  (int64_t)x->position, (int64_t)x->part, (int64_t)x->point,
				  x->digest);
	}
	return st;
}

static bool draw_uuid(char uuid[33])
{
	unsigned char bytes[16];
	if (ps_rng_kernel(bytes, sizeof(bytes)) != PS_OK) {
		return false;
	}
	for (size_t i = 0; i < sizeof(bytes); i++) {
		(void)snprintf(uuid + 2 * i, 3, "%02x", bytes[i]);
	}
	return true;
}

/* What is not stated is NULL: a seal does not see it. */
static double stated(double usd)
{
	return usd > 0 ? usd : NAN;
}

enum ps_status ps_store_write_campaign(struct ps_store *s, const struct ps_store_campaign *c,
				       int64_t *ret_id, struct ps_error *err)
{
	const struct ps_store_price *p = &c->price;
	const struct ps_store_terms *t = &p->terms;
	int64_t none = t->billed_per ? 0 : -1;
	char uuid[33];
	if (!c->uuid && !draw_uuid(uuid)) {
		return ps_error_set(err, PS_EIO, "the kernel gives no random number");
	}
	enum ps_status st = ps_store_run(
		s, PS_STMT_CAMPAIGN_INSERT, err, "ssssiisisssdddsssisdsnddsnsdss", c->name,
		c->file_path, c->file_text, c->manifest_json, (int64_t)c->seed, c->started_wall_ns,
		c->slice_cpus, c->slice_memory_bytes, p->provider, p->region, p->instance_type,
		p->vcpu, p->memory_gib, p->usd_per_hour, p->source, p->source_date, c->full_command,
		c->previous, c->uuid ? c->uuid : uuid, c->slice_cpu_quota, t->billed_per,
		none ? none : t->minimum_ns, stated(t->spot_usd_per_hour),
		stated(t->reserved_1y_usd_per_hour), t->gpu_kind, none ? none : t->gpu_count,
		t->currency, stated(t->exchange_usd), t->exchange_source, t->exchange_date);
	if (st == PS_OK) {
		*ret_id = sqlite3_last_insert_rowid(s->db);
		st = write_plan(s, c, *ret_id, err);
	}
	return st == PS_OK ? ps_store_seal_campaign(s, *ret_id, err) : st;
}

enum ps_status ps_store_end(struct ps_store *s, enum ps_status st, struct ps_error *err)
{
	if (st == PS_OK) {
		st = ps_store_commit(s, err);
	}
	if (st != PS_OK) {
		ps_store_rollback(s);
	}
	return st;
}

enum ps_status ps_store_campaign_begin(struct ps_store *s, const struct ps_store_campaign *c,
				       int64_t *ret_campaign_id, struct ps_error *err)
{
	int64_t id = 0;
	enum ps_status st = ps_store_begin(s, err);
	if (st == PS_OK) {
		st = ps_store_end(s, ps_store_write_campaign(s, c, &id, err), err);
	}
	if (st == PS_OK) {
		*ret_campaign_id = id;
	}
	return st;
}

enum ps_status ps_store_campaign_finish(struct ps_store *s, int64_t campaign_id, int64_t wall_ns,
					struct ps_error *err)
{
	return ps_store_run(s, PS_STMT_CAMPAIGN_FINISH, err, "ii", wall_ns, campaign_id);
}

enum ps_status ps_store_campaign_set_manifest(struct ps_store *s, int64_t campaign_id,
					      const char *manifest_json, struct ps_error *err)
{
	return ps_store_run(s, PS_STMT_CAMPAIGN_MANIFEST, err, "si", manifest_json, campaign_id);
}

enum ps_status ps_store_find_cell(struct ps_store *s, int64_t campaign_id, const char *key,
				  int64_t *ret_id, char state[16], struct ps_error *err)
{
	sqlite3_stmt *stmt = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_CELL_FIND, &stmt, err, "is", campaign_id, key);
	if (st == PS_OK) {
		st = ps_store_step(s, stmt, &row, err);
	}
	if (st != PS_OK) {
		return st;
	}
	if (!row) {
		ps_error_set(err, PS_ENOTFOUND, "the campaign has no cell \"%s\"", key);
		ps_error_where(err, "%s", s->path);
		return PS_ENOTFOUND;
	}
	*ret_id = sqlite3_column_int64(stmt, 0);
	sqlite3_snprintf(16, state, "%s", (const char *)sqlite3_column_text(stmt, 1));
	(void)sqlite3_reset(stmt);
	return PS_OK;
}

enum ps_status ps_store_cell_start(struct ps_store *s, int64_t campaign_id, const char *key,
				   int64_t wall_ns, struct ps_error *err)
{
	int64_t id = 0;
	char state[16];
	enum ps_status st = ps_store_find_cell(s, campaign_id, key, &id, state, err);
	if (st != PS_OK) {
		return st;
	}
	if (strcmp(state, ps_store_state_names[PS_STORE_DONE]) == 0 ||
	    strcmp(state, ps_store_state_names[PS_STORE_MOVED]) == 0) {
		ps_error_set(err, PS_EEXIST, "cell \"%s\" is done already", key);
		ps_error_where(err, "%s", s->path);
		return PS_EEXIST;
	}
	return ps_store_run(s, PS_STMT_CELL_START, err, "ii", wall_ns, id);
}

static enum ps_status write_capacity(struct ps_store *s, int64_t cell,
				     const struct ps_store_capacity *c, int members,
				     struct ps_error *err)
{
	enum ps_status st = ps_store_run(
		s, PS_STMT_CAPACITY_INSERT, err, "idddiis", cell, c->factor, c->factor_low,
		c->factor_high, (int64_t)c->checked, (int64_t)c->check_met, c->method_json);
	for (int i = 0; i < members && st == PS_OK; i++) {
		st = ps_store_run(s, PS_STMT_RAY_INSERT, err, "iid", cell, (int64_t)i,
				  c->ray_rps[i]);
	}
	return st;
}

static enum ps_status write_result(struct ps_store *s, int64_t trial,
				   const struct ps_store_result *r, struct ps_error *err)
{
	struct ps_strbuf packed;
	ps_strbuf_init(&packed);
	enum ps_status st = PS_OK;
	size_t n = r->requests ? (size_t)r->records : 0;
	double whole = round(r->batch);
	if (ps_store_pack_requests(r->requests, n, &packed) != PS_OK) {
		st = ps_error_set(err, PS_ENOMEM, "no memory to pack %llu requests",
				  (unsigned long long)n);
	}
	struct ps_store_blob requests = {packed.data, packed.len};
	if (st == PS_OK) {
		st = ps_store_run(
			s, PS_STMT_RESULT_INSERT, err, "iidiiiiiiiiisidddddddiiiissbbbbbbbiibd",
			trial, (int64_t)r->tenant, r->wanted_rps, (int64_t)r->concurrency,
			(int64_t)r->scheduled, (int64_t)r->sent, (int64_t)r->completed,
			(int64_t)r->ok, (int64_t)r->good, (int64_t)r->timeouts, (int64_t)r->unsent,
			(int64_t)r->refused, r->outcomes_json, (int64_t)whole, r->offered_rps,
			r->achieved_rps, r->throughput_rps, r->goodput_rps, r->effective_ratio,
			r->trend_tau, r->trend_p, (int64_t)r->sla_met, (int64_t)r->sla_decided,
			(int64_t)r->sla_needs_more, (int64_t)r->valid, r->reasons, r->first_failure,
			&r->latency, &r->service, &r->send_lag, &r->first_byte, &r->uncorrected,
			&r->server_queue, &r->server_compute, (int64_t)n,
			(int64_t)r->records_dropped, &requests, r->batch == whole ? NAN : r->batch);
	}
	ps_strbuf_fini(&packed);
	return st;
}

const size_t ps_store_sample_fields[PS_STORE_SAMPLE_FIELDS] = {
	offsetof(struct ps_store_sample, at_ns),
	offsetof(struct ps_store_sample, server_cpu_ns),
	offsetof(struct ps_store_sample, generator_cpu_ns),
	offsetof(struct ps_store_sample, steal_ns),
	offsetof(struct ps_store_sample, busy_ns),
	offsetof(struct ps_store_sample, server_rss_bytes),
	offsetof(struct ps_store_sample, server_pss_bytes),
	offsetof(struct ps_store_sample, generator_rss_bytes),
	offsetof(struct ps_store_sample, server_threads),
	offsetof(struct ps_store_sample, server_minor_faults),
	offsetof(struct ps_store_sample, server_major_faults),
	offsetof(struct ps_store_sample, server_voluntary_switches),
	offsetof(struct ps_store_sample, server_involuntary_switches),
	offsetof(struct ps_store_sample, server_run_delay_ns),
	offsetof(struct ps_store_sample, server_read_bytes),
	offsetof(struct ps_store_sample, server_written_bytes),
	offsetof(struct ps_store_sample, server_throttled_ns),
	offsetof(struct ps_store_sample, server_huge_bytes),
	offsetof(struct ps_store_sample, server_cycles),
	offsetof(struct ps_store_sample, server_instructions),
	offsetof(struct ps_store_sample, server_cache_misses),
	offsetof(struct ps_store_sample, generator_run_delay_ns),
	offsetof(struct ps_store_sample, net_received_bytes),
	offsetof(struct ps_store_sample, net_sent_bytes),
	offsetof(struct ps_store_sample, cpu_khz),
};

/* What is not known is NULL in the file. */
static enum ps_status write_sample(struct ps_store *s, int64_t trial,
				   const struct ps_store_sample *x, struct ps_error *err)
{
	sqlite3_stmt *q = NULL;
	bool row = false;
	enum ps_status st = ps_store_bind(s, PS_STMT_SAMPLE_INSERT, &q, err, "i", trial);
	int rc = SQLITE_OK;
	for (int i = 0; i < PS_STORE_SAMPLE_FIELDS && st == PS_OK && rc == SQLITE_OK; i++) {
		int64_t v;
		memcpy(&v, (const char *)x + ps_store_sample_fields[i], sizeof(v));
		rc = v < 0 ? sqlite3_bind_null(q, i + 2) : sqlite3_bind_int64(q, i + 2, v);
	}
	if (rc != SQLITE_OK) {
		return ps_store_error(s, err, rc, "write a sample");
	}
	return st == PS_OK ? ps_store_step(s, q, &row, err) : st;
}

static enum ps_status write_gpu(struct ps_store *s, int64_t trial,
				const struct ps_store_gpu_sample *x, struct ps_error *err)
{
	return ps_store_run(s, PS_STMT_GPU_INSERT, err, "iiidddnnnn", trial, x->at_ns,
			    (int64_t)x->gpu, x->busy_ratio, x->server_busy_ratio, x->power_w,
			    x->memory_bytes, x->server_memory_bytes, x->clock_mhz,
			    x->memory_clock_mhz);
}

static enum ps_status write_series(struct ps_store *s, int64_t id, const struct ps_store_trial *t,
				   struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < t->second_len && st == PS_OK; i++) {
		const struct ps_store_second *x = &t->seconds[i];
		st = ps_store_run(s, PS_STMT_SECOND_INSERT, err, "iiiiiiiiii", id,
				  (int64_t)x->tenant, (int64_t)x->second, (int64_t)x->scheduled,
				  (int64_t)x->sent, (int64_t)x->ok, (int64_t)x->failed,
				  (int64_t)x->good, x->latency_sum_ns, x->latency_max_ns);
	}
	for (size_t i = 0; i < t->sample_len && st == PS_OK; i++) {
		st = write_sample(s, id, &t->samples[i], err);
	}
	for (size_t i = 0; i < t->gpu_len && st == PS_OK; i++) {
		st = write_gpu(s, id, &t->gpus[i], err);
	}
	for (size_t i = 0; i < t->scrape_len && st == PS_OK; i++) {
		const struct ps_store_scrape *x = &t->scrapes[i];
		st = ps_store_run(s, PS_STMT_SCRAPE_INSERT, err, "isdd", id, x->series, x->before,
				  x->after);
	}
	return st;
}

static enum ps_status write_trial(struct ps_store *s, int64_t cell, const struct ps_store_trial *t,
				  struct ps_error *err)
{
	enum ps_status st = ps_store_run(
		s, PS_STMT_TRIAL_INSERT, err, "iisdiiiiiissiiiiiiiis", cell, (int64_t)t->number,
		ps_store_role_names[t->role], t->factor, t->started_wall_ns, t->warmup_ns,
		t->duration_ns, (int64_t)t->seed, (int64_t)t->met, (int64_t)t->valid, t->reasons,
		t->verdict, t->server_cpu_ns, t->generator_cpu_ns, t->steal_ns, t->server_rss_bytes,
		t->server_pss_bytes, t->server_peak_rss_bytes, t->generator_rss_bytes,
		(int64_t)(t->copies > 0 ? t->copies : 1), t->host_json);
	int64_t id = sqlite3_last_insert_rowid(s->db);
	for (size_t i = 0; i < t->result_len && st == PS_OK; i++) {
		st = write_result(s, id, &t->results[i], err);
	}
	return st == PS_OK ? write_series(s, id, t, err) : st;
}

static enum ps_status write_cell(struct ps_store *s, int64_t id, const struct ps_store_cell *cell,
				 struct ps_error *err)
{
	enum ps_status st = ps_store_run(s, PS_STMT_CELL_CLEAR_TRIALS, err, "i", id);
	if (st == PS_OK) {
		st = ps_store_run(s, PS_STMT_CELL_CLEAR_CAPACITY, err, "i", id);
	}
	if (st == PS_OK) {
		st = ps_store_run(s, PS_STMT_CELL_CLEAR_FIGURES, err, "i", id);
	}
	if (st == PS_OK && cell->capacity.known) {
		int members = cell->trial_len ? (int)cell->trials[0].result_len : 0;
		st = write_capacity(s, id, &cell->capacity, members, err);
	}
	for (size_t i = 0; i < cell->trial_len && st == PS_OK; i++) {
		st = write_trial(s, id, &cell->trials[i], err);
	}
	for (size_t i = 0; i < cell->figure_len && st == PS_OK; i++) {
		const struct ps_store_figure *f = &cell->figures[i];
		st = ps_store_run(s, PS_STMT_FIGURE_INSERT, err, "iisssddddi", id, (int64_t)i,
				  f->name, f->subject, f->unit, f->x, f->value, f->low, f->high,
				  f->count);
	}
	if (st == PS_OK) {
		st = ps_store_run(s, PS_STMT_CELL_FINISH, err, "ssissi",
				  ps_store_state_names[cell->state], cell->reason,
				  cell->finished_wall_ns, cell->slice_json, cell->server_json, id);
	}
	return st == PS_OK ? ps_store_seal_cell(s, id, err) : st;
}

enum ps_status ps_store_cell_write(struct ps_store *s, int64_t campaign_id,
				   const struct ps_store_cell *cell, struct ps_error *err)
{
	int64_t id = 0;
	char state[16];
	if (cell->state != PS_STORE_DONE && cell->state != PS_STORE_FAILED) {
		return ps_error_set(err, PS_EINVAL, "a cell is written when it is over");
	}
	enum ps_status st = ps_store_begin(s, err);
	if (st != PS_OK) {
		return st;
	}
	st = ps_store_find_cell(s, campaign_id, cell->key, &id, state, err);
	if (st == PS_OK && strcmp(state, ps_store_state_names[PS_STORE_RUNNING]) != 0) {
		st = ps_error_set(err, PS_EINVAL, "cell \"%s\" is %s, not running", cell->key,
				  state);
	}
	if (st == PS_OK) {
		st = write_cell(s, id, cell, err);
	}
	return ps_store_end(s, st, err);
}

enum ps_status ps_store_cell_skip(struct ps_store *s, int64_t campaign_id, const char *key,
				  const char *reason, struct ps_error *err)
{
	int64_t id = 0;
	char state[16];
	enum ps_status st = ps_store_find_cell(s, campaign_id, key, &id, state, err);
	if (st == PS_OK && strcmp(state, ps_store_state_names[PS_STORE_PLANNED]) != 0) {
		st = ps_error_set(err, PS_EINVAL, "cell \"%s\" is %s, not planned", key, state);
	}
	return st == PS_OK ? ps_store_run(s, PS_STMT_CELL_SKIP, err, "si", reason, id) : st;
}
