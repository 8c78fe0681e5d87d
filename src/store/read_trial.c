#include "store/read_internal.h"

#include <math.h>

#include <string.h>

static enum ps_status fill_result(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	struct ps_store_result *r = item;
	int c = 0;
	(void)s, (void)err;
	r->id = ps_store_integer(q, c++);
	r->tenant = (int)ps_store_integer(q, c++);
	r->wanted_rps = ps_store_real(q, c++);
	r->concurrency = (int)ps_store_integer(q, c++);
	r->scheduled = (uint64_t)ps_store_integer(q, c++);
	r->sent = (uint64_t)ps_store_integer(q, c++);
	r->completed = (uint64_t)ps_store_integer(q, c++);
	r->ok = (uint64_t)ps_store_integer(q, c++);
	r->good = (uint64_t)ps_store_integer(q, c++);
	r->timeouts = (uint64_t)ps_store_integer(q, c++);
	r->unsent = (uint64_t)ps_store_integer(q, c++);
	r->refused = (uint64_t)ps_store_integer(q, c++);
	r->outcomes_json = ps_store_text(a, q, c++);
	double batch = ps_store_real(q, c++);
	r->batch = batch > 0 && isfinite(batch) ? batch : 0;
	r->offered_rps = ps_store_real(q, c++);
	r->achieved_rps = ps_store_real(q, c++);
	r->throughput_rps = ps_store_real(q, c++);
	r->goodput_rps = ps_store_real(q, c++);
	r->effective_ratio = ps_store_real(q, c++);
	r->trend_tau = ps_store_real(q, c++);
	r->trend_p = ps_store_real(q, c++);
	r->sla_met = ps_store_integer(q, c++) != 0;
	r->sla_decided = ps_store_integer(q, c++) != 0;
	r->sla_needs_more = (uint64_t)ps_store_integer(q, c++);
	r->valid = ps_store_integer(q, c++) != 0;
	r->reasons = ps_store_text(a, q, c++);
	r->first_failure = ps_store_text(a, q, c++);
	r->latency = ps_store_bytes(a, q, c++);
	r->service = ps_store_bytes(a, q, c++);
	r->send_lag = ps_store_bytes(a, q, c++);
	r->first_byte = ps_store_bytes(a, q, c++);
	r->uncorrected = ps_store_bytes(a, q, c++);
	r->server_queue = ps_store_bytes(a, q, c++);
	r->server_compute = ps_store_bytes(a, q, c++);
	r->records = (uint64_t)ps_store_integer(q, c++);
	r->records_dropped = (uint64_t)ps_store_integer(q, c++);
	return PS_OK;
}

static enum ps_status fill_second(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	struct ps_store_second *x = item;
	(void)s, (void)a, (void)err;
	x->tenant = (int)ps_store_integer(q, 0);
	x->second = (int)ps_store_integer(q, 1);
	x->scheduled = (uint32_t)ps_store_integer(q, 2);
	x->sent = (uint32_t)ps_store_integer(q, 3);
	x->ok = (uint32_t)ps_store_integer(q, 4);
	x->failed = (uint32_t)ps_store_integer(q, 5);
	x->good = (uint32_t)ps_store_integer(q, 6);
	x->latency_sum_ns = ps_store_integer(q, 7);
	x->latency_max_ns = ps_store_integer(q, 8);
	return PS_OK;
}

static enum ps_status fill_sample(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	struct ps_store_sample *x = item;
	(void)s, (void)a, (void)err;
	for (int i = 0; i < PS_STORE_SAMPLE_FIELDS; i++) {
		int64_t v = ps_store_known(q, i);
		memcpy((char *)x + ps_store_sample_fields[i], &v, sizeof(v));
	}
	return PS_OK;
}

static enum ps_status fill_gpu(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q, void *item,
			       struct ps_error *err)
{
	struct ps_store_gpu_sample *x = item;
	(void)s, (void)a, (void)err;
	x->at_ns = ps_store_integer(q, 0);
	x->gpu = (int)ps_store_integer(q, 1);
	x->busy_ratio = ps_store_real(q, 2);
	x->server_busy_ratio = ps_store_real(q, 3);
	x->power_w = ps_store_real(q, 4);
	x->memory_bytes = ps_store_known(q, 5);
	x->server_memory_bytes = ps_store_known(q, 6);
	x->clock_mhz = ps_store_known(q, 7);
	x->memory_clock_mhz = ps_store_known(q, 8);
	return PS_OK;
}

static enum ps_status fill_scrape(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				  void *item, struct ps_error *err)
{
	struct ps_store_scrape *x = item;
	(void)s, (void)err;
	x->series = ps_store_text(a, q, 0);
	x->before = ps_store_real(q, 1);
	x->after = ps_store_real(q, 2);
	return PS_OK;
}

enum ps_status ps_store_fill_trial(struct ps_store *s, struct ps_arena *a, sqlite3_stmt *q,
				   void *item, struct ps_error *err)
{
	struct ps_store_trial *t = item;
	int role = 0;
	enum ps_status st = ps_store_choice(s, q, 1, ps_store_role_names, &role, err);
	t->role = (enum ps_store_role)role;
	t->id = ps_store_integer(q, 0);
	t->number = (int)ps_store_integer(q, 2);
	t->factor = ps_store_real(q, 3);
	t->started_wall_ns = ps_store_integer(q, 4);
	t->warmup_ns = ps_store_integer(q, 5);
	t->duration_ns = ps_store_integer(q, 6);
	t->seed = (uint64_t)ps_store_integer(q, 7);
	t->met = ps_store_integer(q, 8) != 0;
	t->valid = ps_store_integer(q, 9) != 0;
	t->reasons = ps_store_text(a, q, 10);
	t->verdict = ps_store_text(a, q, 11);
	t->server_cpu_ns = ps_store_integer(q, 12);
	t->generator_cpu_ns = ps_store_integer(q, 13);
	t->steal_ns = ps_store_integer(q, 14);
	t->server_rss_bytes = ps_store_integer(q, 15);
	t->server_pss_bytes = ps_store_integer(q, 16);
	t->server_peak_rss_bytes = ps_store_integer(q, 17);
	t->generator_rss_bytes = ps_store_integer(q, 18);
	t->copies = (int)ps_store_integer(q, 19);
	t->host_json = ps_store_text(a, q, 20);
	return st;
}

enum ps_status ps_store_read_trial_parts(struct ps_store *s, struct ps_arena *a,
					 struct ps_store_trial *t, struct ps_error *err)
{
	enum ps_status st =
		ps_store_read_rows(s, a, PS_STMT_RESULTS_READ, "i", t->id, 0, sizeof(*t->results),
				   fill_result, &t->results, &t->result_len, err);
	if (st == PS_OK) {
		st = ps_store_read_rows(s, a, PS_STMT_SECONDS_READ, "i", t->id, 0,
					sizeof(*t->seconds), fill_second, &t->seconds,
					&t->second_len, err);
	}
	if (st == PS_OK) {
		st = ps_store_read_rows(s, a, PS_STMT_SAMPLES_READ, "i", t->id, 0,
					sizeof(*t->samples), fill_sample, &t->samples,
					&t->sample_len, err);
	}
	if (st == PS_OK) {
		st = ps_store_read_rows(s, a, PS_STMT_GPUS_READ, "i", t->id, 0, sizeof(*t->gpus),
					fill_gpu, &t->gpus, &t->gpu_len, err);
	}
	if (st == PS_OK) {
		st = ps_store_read_rows(s, a, PS_STMT_SCRAPES_READ, "i", t->id, 0,
					sizeof(*t->scrapes), fill_scrape, &t->scrapes,
					&t->scrape_len, err);
	}
	return st;
}
