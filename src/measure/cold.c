/* cold.c - what a server costs before its first useful answer: time to load, first requests,
 * memory.
 *
 * The server has one model. Its files are in the page cache of the system (a reboot is not ours to
 * make); with cold.convert the converted form of the model is made anew as well. The connection is
 * open and the model's metadata are known when the first request leaves. */
#include "measure/cell_internal.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *model_name(const struct ps_measure_cell *c)
{
	return ((const struct ps_measure_model *)c->m->c->models.items)[c->plan->part].name;
}

static enum ps_status keep(struct ps_measure_cell *c, const char *name, const char *unit,
			   double value, int64_t count, struct ps_error *err)
{
	const struct ps_store_figure f = {.name = name,
					  .subject = model_name(c),
					  .unit = unit,
					  .x = NAN,
					  .value = value,
					  .low = NAN,
					  .high = NAN,
					  .count = count};
	return ps_measure_cell_figure(c, &f, err);
}

/* What the server's ready line says of its only model: of the two sizes and the time. */
static double said(const struct ps_measure_cell *c, const char *key)
{
	json_t *o = NULL;
	double v = NAN;
	if (ps_json_parse(c->live.ready_line, strlen(c->live.ready_line), &o, NULL) == PS_OK) {
		const json_t *row = json_array_get(json_object_get(o, "models"), 0);
		v = ps_json_get_real(row, key, NAN);
	}
	json_decref(o);
	return v;
}

static enum ps_status keep_start(struct ps_measure_cell *c, struct ps_error *err)
{
	pid_t pid = ps_host_pid(c->live.process);
	struct ps_host_usage u;
	bool known = ps_host_usage_read(pid, &u) == PS_OK;
	int64_t pss = ps_host_pss_read(pid);
	enum ps_status st = keep(c, "ready_time", "ns", (double)c->live.ready_ns, 1, err);
	st = st == PS_OK ? keep(c, "load_time", "ns", said(c, "load_ns"), 1, err) : st;
	st = st == PS_OK ? keep(c, "model_private", "bytes", said(c, "private_bytes"), 1, err) : st;
	st = st == PS_OK ? keep(c, "model_mapped", "bytes", said(c, "mapped_bytes"), 1, err) : st;
	st = st == PS_OK ? keep(c, "ready_rss", "bytes", known ? (double)u.rss_bytes : NAN, 1, err)
			 : st;
	return st == PS_OK ? keep(c, "ready_pss", "bytes", pss >= 0 ? (double)pss : NAN, 1, err)
			   : st;
}

static int by_schedule(const void *x, const void *y)
{
	const struct ps_load_record *a = x, *b = y;
	return (a->scheduled_ns > b->scheduled_ns) - (a->scheduled_ns < b->scheduled_ns);
}

static double latency_of(const struct ps_load_record *r)
{
	return r->outcome == PS_LOAD_OK ? (double)(r->done_ns - r->scheduled_ns) : NAN;
}

/* The first request, and the median of all but the first ten, as far as there are so many. */
static enum ps_status keep_requests(struct ps_measure_cell *c, const struct ps_load_result *r,
				    struct ps_error *err)
{
	const struct ps_load_tenant_result *t = &r->tenants[0];
	size_t n = t->record_len, skip = n > 20 ? 10 : n / 2, k = 0;
	struct ps_load_record *q = calloc(n + 1, sizeof(*q));
	double *steady = calloc(n + 1, sizeof(*steady));
	enum ps_status st = PS_OK;
	if (!q || !steady) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for the first requests");
	} else if (n == 0) {
		st = ps_error_set(err, PS_EUNAVAIL,
				  "no request ended in cold.duration: make it longer");
	} else {
		memcpy(q, t->records, sizeof(*q) * n);
		qsort(q, n, sizeof(*q), by_schedule);
		for (size_t i = skip; i < n; i++) {
			double v = latency_of(&q[i]);
			if (!isnan(v)) {
				steady[k++] = v;
			}
		}
		ps_stats_sort(steady, k);
		st = keep(c, "first_request", "ns", latency_of(&q[0]), 1, err);
		if (st == PS_OK) {
			st = keep(c, "later_request", "ns",
				  k ? ps_stats_quantile(steady, k, 0.5) : NAN, (int64_t)k, err);
		}
	}
	free(q);
	free(steady);
	return st;
}

static enum ps_status keep_end(struct ps_measure_cell *c, struct ps_error *err)
{
	struct ps_host_usage u;
	bool known = ps_host_usage_read(ps_host_pid(c->live.process), &u) == PS_OK;
	enum ps_status st = keep(c, "used_rss", "bytes", known ? (double)u.rss_bytes : NAN, 1, err);
	return st == PS_OK ? keep(c, "peak_rss", "bytes", known ? (double)u.peak_rss_bytes : NAN, 1,
				  err)
			   : st;
}

enum ps_status ps_measure_cell_cold(struct ps_measure_cell *c, struct ps_error *err)
{
	struct ps_load_result r;
	struct ps_measure_load_plan plan = {.role = PS_STORE_FIRST,
					    .factor = NAN,
					    .users = 1,
					    .duration_ns = c->m->c->cold.duration_ns};
	enum ps_status st = keep_start(c, err);
	if (st != PS_OK) {
		return st;
	}
	(void)snprintf(c->m->what, sizeof(c->m->what), "first requests");
	st = ps_measure_cell_trial(c, &plan, &r, err);
	if (st != PS_OK) {
		return st;
	}
	st = ps_measure_any_answered(&r, err);
	st = st == PS_OK ? keep_requests(c, &r, err) : st;
	ps_load_result_fini(&r);
	return st == PS_OK ? keep_end(c, err) : st;
}
