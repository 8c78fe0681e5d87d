/* observe_text.c - the page of metrics.
 *
 * Every family is a row of the table; a page for a tenant holds its own series only, the operator's
 * holds all. Series per tenant and model are bounded (metrics_series): what came later is added up
 * under the tenant "other", for good, so that no counter ever falls.
 */
#include "base/clock.h"
#include "serve/metrics_page_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ps_metrics_family ps_serve_families[] = {
	[PS_M_REQUESTS] = {"perseus_requests_total", PS_METRICS_COUNTER,
			   "Inference requests by outcome: ok, or why there was no result."},
	[PS_M_INFERENCES] = {"perseus_inferences_total", PS_METRICS_COUNTER,
			     "Inferences (rows) of answered requests."},
	[PS_M_COMPUTE] =
		{"perseus_compute_seconds_total", PS_METRICS_COUNTER,
		 "Lane time x CPUs held, split over a batch's rows: what fairness and bills "
		 "count."},
	[PS_M_BYTES_IN] = {"perseus_request_bytes_total", PS_METRICS_COUNTER,
			   "Bytes of request bodies."},
	[PS_M_BYTES_OUT] = {"perseus_response_bytes_total", PS_METRICS_COUNTER,
			    "Bytes of answers."},
	[PS_M_SLA] =
		{"perseus_sla_requests_total", PS_METRICS_COUNTER,
		 "Requests held against the tenant's agreement: all but invalid, cancelled and "
		 "over its own quotas."},
	[PS_M_SLA_GOOD] = {"perseus_sla_good_total", PS_METRICS_COUNTER,
			   "Of those: answered within the agreement's latency."},
	[PS_M_LATENCY] = {"perseus_request_duration_seconds", PS_METRICS_HISTOGRAM,
			  "From the request's last byte to the answer's, of answered requests."},
	[PS_M_QUEUE] = {"perseus_queue_duration_seconds", PS_METRICS_HISTOGRAM,
			"From admission until a lane took it."},
	[PS_M_RUN] = {"perseus_run_duration_seconds", PS_METRICS_HISTOGRAM,
		      "From then until the lane was done with it."},
	[PS_M_T_WAITING] = {"perseus_tenant_waiting_requests", PS_METRICS_GAUGE,
			    "Requests of the tenant that wait."},
	[PS_M_T_RUNNING] = {"perseus_tenant_running_requests", PS_METRICS_GAUGE,
			    "Requests of the tenant that run."},
	[PS_M_T_COST] = {"perseus_tenant_charged_seconds_total", PS_METRICS_COUNTER,
			 "Lane time x CPUs charged to the tenant by the fair queue."},
	[PS_M_T_LAG] = {"perseus_tenant_fair_lag_seconds", PS_METRICS_GAUGE,
			"What the tenant is behind its fair share while it waits (> 0) or ahead."},
	[PS_M_T_HITS] = {"perseus_model_hits_total", PS_METRICS_COUNTER,
			 "Requests of the tenant that found their model loaded."},
	[PS_M_T_COLD] = {"perseus_model_cold_starts_total", PS_METRICS_COUNTER,
			 "Requests of the tenant whose model had to be loaded first."},
	[PS_M_T_LOAD_WAIT] = {"perseus_model_load_wait_seconds_total", PS_METRICS_COUNTER,
			      "Time that requests of the tenant waited for loads."},
	[PS_M_T_RESIDENT] =
		{"perseus_tenant_resident_bytes", PS_METRICS_GAUGE,
		 "Memory of loaded models that the tenant has asked for lately; one that several "
		 "use counts for each of them."},
	[PS_M_T_UTILITY] =
		{"perseus_tenant_memory_utility_seconds", PS_METRICS_GAUGE,
		 "Seconds of loads that the plan in force spares the tenant per epoch (given), "
		 "that "
		 "the whole memory would alone (alone), and its share of that by weight (share)."},
	[PS_M_NV_SUCCESS] = {"nv_inference_request_success", PS_METRICS_COUNTER,
			     "Number of successful inference requests, all batch sizes"},
	[PS_M_NV_FAILURE] = {"nv_inference_request_failure", PS_METRICS_COUNTER,
			     "Number of failed inference requests, all batch sizes"},
	[PS_M_NV_COUNT] = {"nv_inference_count", PS_METRICS_COUNTER,
			   "Number of inferences performed (does not include cached requests)"},
	[PS_M_NV_EXEC] =
		{"nv_inference_exec_count", PS_METRICS_COUNTER,
		 "Number of model executions performed (does not include cached requests)"},
	[PS_M_NV_REQUEST_US] = {"nv_inference_request_duration_us", PS_METRICS_COUNTER,
				"Cumulative inference request duration in microseconds"},
	[PS_M_NV_QUEUE_US] = {"nv_inference_queue_duration_us", PS_METRICS_COUNTER,
			      "Cumulative inference queuing duration in microseconds"},
	[PS_M_NV_INPUT_US] = {"nv_inference_compute_input_duration_us", PS_METRICS_COUNTER,
			      "Cumulative compute input duration in microseconds"},
	[PS_M_NV_INFER_US] = {"nv_inference_compute_infer_duration_us", PS_METRICS_COUNTER,
			      "Cumulative compute inference duration in microseconds"},
	[PS_M_NV_OUTPUT_US] = {"nv_inference_compute_output_duration_us", PS_METRICS_COUNTER,
			       "Cumulative inference compute output duration in microseconds"},
	[PS_M_NV_PENDING] = {"nv_inference_pending_request_count", PS_METRICS_GAUGE,
			     "Instantaneous number of pending requests awaiting execution"},
	[PS_M_NV_LOAD] = {"nv_model_load_duration_secs", PS_METRICS_GAUGE,
			  "Model load time in seconds"},
	[PS_M_MODELS] =
		{"perseus_models", PS_METRICS_GAUGE,
		 "Versions of models by state, as the repository index names it, of the shared "
		 "instances."},
	[PS_M_MEMORY] =
		{"perseus_model_memory_bytes", PS_METRICS_GAUGE,
		 "Memory of the instance that serves a model: its own, mapped from its file "
		 "(shared by all instances of the same content), and on the device."},
	[PS_M_LOADS] = {"perseus_model_loads_total", PS_METRICS_COUNTER,
			"Loads of a model by result."},
	[PS_M_LOAD_SECONDS] = {"perseus_model_load_seconds_total", PS_METRICS_COUNTER,
			       "Time that successful loads of a model took."},
	[PS_M_LOAD_STEPS] =
		{"perseus_model_load_steps_total", PS_METRICS_COUNTER,
		 "With model_memory, steps of successful loads: hash (the file is read), wait (for "
		 "a turn "
		 "and room), convert and open (of a file that was converted first), open "
		 "(of one as it is, or mapped)."},
	[PS_M_LOAD_STEP_SECONDS] = {"perseus_model_load_step_seconds_total", PS_METRICS_COUNTER,
				    "Time that these steps took."},
	[PS_M_UNLOADS] = {"perseus_model_unloads_total", PS_METRICS_COUNTER, "Unloads of a model."},
	[PS_M_RESIDENT] = {"perseus_models_resident_bytes", PS_METRICS_GAUGE,
			   "Memory of all loaded models; mapped files once."},
	[PS_M_BUDGET] = {"perseus_model_memory_budget_bytes", PS_METRICS_GAUGE,
			 "model_memory, in bytes."},
	[PS_M_BUDGET_USED] =
		{"perseus_model_memory_used_bytes", PS_METRICS_GAUGE,
		 "What of the budget is taken: resident, reserved for loads that go on, leaving "
		 "(evicted and not gone yet)."},
	[PS_M_PARKED] = {"perseus_load_waiting_requests", PS_METRICS_GAUGE,
			 "Requests that wait for their model to be loaded."},
	[PS_M_EVICTIONS] = {"perseus_model_evictions_total", PS_METRICS_COUNTER,
			    "Evicted models by the tenant whose load wanted the room (for) and the "
			    "tenant that "
			    "used the model most (of); -: nobody."},
	[PS_M_EPOCHS] = {"perseus_model_memory_epochs_total", PS_METRICS_COUNTER,
			 "Decisions of memory_policy by result."},
	[PS_M_CONFIGURATIONS] = {"perseus_model_memory_configurations", PS_METRICS_GAUGE,
				 "Sets of models between which the plan in force draws."},
	[PS_M_JAIN] = {"perseus_model_memory_jain_index", PS_METRICS_GAUGE,
		       "Jain's index of the tenants' given over alone; 1: all have the same part."},
	[PS_M_WORST] = {"perseus_model_memory_worst_share", PS_METRICS_GAUGE,
			"The least of the tenants' given over share; below 1 somebody is robbed."},
	[PS_M_LANES] = {"perseus_lanes", PS_METRICS_GAUGE, "Lanes: runs that may go on at once."},
	[PS_M_LANES_BUSY] = {"perseus_lanes_busy", PS_METRICS_GAUGE, "Runs going on."},
	[PS_M_LANE_BUSY] = {"perseus_lane_busy_seconds_total", PS_METRICS_COUNTER,
			    "Time that a lane spent in runs."},
	[PS_M_LANE_RUNS] = {"perseus_lane_runs_total", PS_METRICS_COUNTER, "Runs of a lane."},
	[PS_M_WAITING] = {"perseus_waiting_requests", PS_METRICS_GAUGE,
			  "Requests of all tenants that wait."},
	[PS_M_KEYS] =
		{"perseus_key_failures_total", PS_METRICS_COUNTER,
		 "Requests without a key that counts: missing, wrong, or blocked because their "
		 "address failed too often."},
	[PS_M_CALLS] = {"perseus_calls_total", PS_METRICS_COUNTER,
			"Requests on all endpoints by route and status."},
	[PS_M_CONNECTIONS] = {"perseus_connections", PS_METRICS_GAUGE, "Open connections."},
	[PS_M_ACCEPTED] = {"perseus_connections_accepted_total", PS_METRICS_COUNTER,
			   "Connections accepted."},
	[PS_M_HANDSHAKES] = {"perseus_tls_handshakes_failed_total", PS_METRICS_COUNTER,
			     "TLS handshakes that failed."},
	[PS_M_REFUSED] = {"perseus_protocol_refusals_total", PS_METRICS_COUNTER,
			  "Requests refused before they were understood: malformed, over a limit, "
			  "too slow."},
	[PS_M_BUFFERED] = {"perseus_buffered_bytes", PS_METRICS_GAUGE, "Request bodies held."},
	[PS_M_LOG_DROPPED] = {"perseus_access_log_dropped_total", PS_METRICS_COUNTER,
			      "Lines of the access log that nobody took in time."},
	[PS_M_LEDGER_AT] = {"perseus_ledger_written_timestamp_seconds", PS_METRICS_GAUGE,
			    "When the ledger was last written; 0: never, or there is none."},
	[PS_M_LEDGER_FAILED] = {"perseus_ledger_write_failures_total", PS_METRICS_COUNTER,
				"Writes of the ledger that failed; their rows are tried again."},
	[PS_M_GENERATION] = {"perseus_config_generation", PS_METRICS_GAUGE,
			     "How many configurations have been in force."},
	[PS_M_RELOADS] = {"perseus_config_reloads_total", PS_METRICS_COUNTER,
			  "Reloads of the configuration by result."},
	[PS_M_TENANTS] = {"perseus_tenants", PS_METRICS_GAUGE, "Tenants of the configuration."},
	[PS_M_SERIES] = {"perseus_metrics_pairs", PS_METRICS_GAUGE,
			 "Pairs of tenant and model that were used, and how many have series of "
			 "their own."},
	[PS_M_UP] = {"perseus_ready", PS_METRICS_GAUGE, "1: ready; 0: starting or draining."},
	[PS_M_CPU] = {"process_cpu_seconds_total", PS_METRICS_COUNTER,
		      "Total user and system CPU time spent in seconds."},
	[PS_M_RSS] = {"process_resident_memory_bytes", PS_METRICS_GAUGE,
		      "Resident memory size in bytes."},
	[PS_M_VSIZE] = {"process_virtual_memory_bytes", PS_METRICS_GAUGE,
			"Virtual memory size in bytes."},
	[PS_M_FDS] = {"process_open_fds", PS_METRICS_GAUGE, "Number of open file descriptors."},
	[PS_M_MAX_FDS] = {"process_max_fds", PS_METRICS_GAUGE,
			  "Maximum number of open file descriptors."},
	[PS_M_THREADS] = {"process_threads", PS_METRICS_GAUGE, "Number of threads."},
	[PS_M_START] = {"process_start_time_seconds", PS_METRICS_GAUGE,
			"Start time of the process since unix epoch in seconds."},
	[PS_M_COUNT] = {0},
};

/* --- the series of a page: pairs, and what is added up --- */

static int compare_series(const void *a, const void *b)
{
	const struct ps_serve_series *x = *(const struct ps_serve_series *const *)a;
	const struct ps_serve_series *y = *(const struct ps_serve_series *const *)b;
	return x->model != y->model ? (x->model > y->model) - (x->model < y->model)
				    : (x->tenant > y->tenant) - (x->tenant < y->tenant);
}

static struct ps_serve_series *add_series(struct ps_serve_page *p, int tenant, int model)
{
	struct ps_serve_series *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->tenant = tenant;
	s->model = model;
	p->series[p->n_series++] = s;
	return s;
}

/* What has no series of its own: one per page, for all models. */
static struct ps_serve_series *other_series(struct ps_serve_page *p)
{
	if (!p->other)
		p->other = add_series(p, PS_SERVE_OTHER, PS_SERVE_OTHER);
	return p->other;
}

static void label_series(struct ps_serve_page *p, struct ps_serve_series *s)
{
	const char *tenant = "other", *model = "other";
	snprintf(s->version, sizeof s->version, "%s", "");
	if (s->tenant != PS_SERVE_OTHER)
		tenant = ps_tenancy_name(p->snapshot->tenancy, s->tenant);
	if (s->model != PS_SERVE_OTHER) {
		pthread_mutex_lock(&p->server->lock);
		const struct ps_repo_model *m = ps_repo_get(p->server->repo, s->model);
		model = m->name; /* lives as long as the repository */
		snprintf(s->version, sizeof s->version, "%s", m->version_text);
		pthread_mutex_unlock(&p->server->lock);
	}
	s->labels[0] = (struct ps_metrics_label){"tenant", tenant};
	s->labels[1] = (struct ps_metrics_label){"model", model};
	s->labels[2] = (struct ps_metrics_label){"version", s->version};
}

static bool sees_pair(const struct ps_serve_page *p, const struct ps_serve_pair *pair)
{
	return p->viewer == PS_TENANCY_ADMIN || pair->tenant == p->viewer;
}

static enum ps_status collect(struct ps_serve_page *p)
{
	struct ps_serve_observe *o = p->server->observe;
	size_t n = ps_serve_pairs(o);
	p->series = calloc(n + 1, sizeof(struct ps_serve_series *));
	if (!p->series)
		return PS_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct ps_serve_pair *pair = ps_serve_pair_get(o, i);
		struct ps_serve_series *s;
		if (!sees_pair(p, pair))
			continue;
		/* A tenant's own page is bounded by its own models. */
		if (pair->own_series || p->viewer != PS_TENANCY_ADMIN)
			s = add_series(p, pair->tenant, pair->model);
		else
			s = other_series(p);
		if (!s)
			return PS_ENOMEM;
		ps_serve_pair_read(o, i, &p->scratch);
		ps_serve_counts_add(&s->counts, &p->scratch);
	}
	if (p->n_series > 0)
		qsort(p->series, p->n_series, sizeof *p->series, compare_series);
	for (size_t i = 0; i < p->n_series; i++)
		label_series(p, p->series[i]);
	return PS_OK;
}

/* --- what is known of a tenant and a model --- */

static void put_outcomes(struct ps_serve_page *p)
{
	ps_serve_begin(p, PS_M_REQUESTS);
	for (size_t i = 0; i < p->n_series; i++) {
		struct ps_metrics_label l[4];
		memcpy(l, p->series[i]->labels, sizeof p->series[i]->labels);
		for (int k = 0; k < PS_SERVE_OUTCOME_COUNT; k++) {
			uint64_t v = p->series[i]->counts.outcomes[k];
			/* ok is always there, so that rates of success begin at 0 */
			if (v == 0 && k != PS_SERVE_OUTCOME_OK)
				continue;
			l[3] = (struct ps_metrics_label){"outcome", ps_serve_outcome_name(k)};
			ps_metrics_int(&p->w, l, 4, (int64_t)v);
		}
	}
}

static void put_pair_counter(struct ps_serve_page *p, enum ps_serve_metric m, size_t offset)
{
	ps_serve_begin(p, m);
	for (size_t i = 0; i < p->n_series; i++) {
		const void *at = (const char *)&p->series[i]->counts + offset;
		uint64_t v;
		memcpy(&v, at, sizeof v);
		ps_metrics_int(&p->w, p->series[i]->labels, 3, (int64_t)v);
	}
}

static void put_pair_hist(struct ps_serve_page *p, enum ps_serve_metric m, size_t offset)
{
	ps_serve_begin(p, m);
	for (size_t i = 0; i < p->n_series; i++)
		ps_metrics_hist(&p->w, p->series[i]->labels, 3,
				(const void *)((const char *)&p->series[i]->counts + offset));
}

#define COUNT(field) offsetof(struct ps_serve_counts, field)

static void put_pairs(struct ps_serve_page *p)
{
	put_outcomes(p);
	put_pair_counter(p, PS_M_INFERENCES, COUNT(inferences));
	ps_serve_begin(p, PS_M_COMPUTE);
	for (size_t i = 0; i < p->n_series; i++)
		ps_metrics_real(&p->w, p->series[i]->labels, 3,
				(double)p->series[i]->counts.cost_ns * 1e-9);
	put_pair_counter(p, PS_M_BYTES_IN, COUNT(bytes_in));
	put_pair_counter(p, PS_M_BYTES_OUT, COUNT(bytes_out));
	put_pair_counter(p, PS_M_SLA, COUNT(judged));
	put_pair_counter(p, PS_M_SLA_GOOD, COUNT(good));
	put_pair_hist(p, PS_M_LATENCY, COUNT(latency));
	put_pair_hist(p, PS_M_QUEUE, COUNT(waited));
	put_pair_hist(p, PS_M_RUN, COUNT(computed));
}

/* --- what Triton names: by model, over all tenants of the page --- */

static uint64_t of_reason(const struct ps_serve_counts *c, int reason)
{
	static const unsigned char reasons[PS_SERVE_OUTCOME_COUNT] = {
		[PS_DISPATCH_REASON_RATE] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_CONCURRENCY] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_QUEUE] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_FULL] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_MODEL_QUEUE] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_NOT_READY] = PS_SERVE_NV_OTHER,
		[PS_DISPATCH_REASON_DRAINING] = PS_SERVE_NV_OTHER,
		[PS_DISPATCH_REASON_DEADLINE] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_EXPIRED] = PS_SERVE_NV_REJECTED,
		[PS_DISPATCH_REASON_CANCELLED] = PS_SERVE_NV_CANCELED,
		[PS_DISPATCH_REASON_FAILED] = PS_SERVE_NV_BACKEND,
		[PS_SERVE_OUTCOME_INVALID] = PS_SERVE_NV_OTHER,
		[PS_SERVE_OUTCOME_ERROR] = PS_SERVE_NV_OTHER,
	};
	uint64_t n = 0;
	for (int i = 1; i < PS_SERVE_OUTCOME_COUNT; i++)
		n += reasons[i] == reason ? c->outcomes[i] : 0;
	return n;
}

static void put_nv_failures(struct ps_serve_page *p)
{
	static const char *const names[] = {"REJECTED", "CANCELED", "BACKEND", "OTHER"};
	ps_serve_begin(p, PS_M_NV_FAILURE);
	for (size_t i = 0; i < p->n_models; i++)
		for (int k = 0; k < 4; k++) {
			const struct ps_metrics_label l[] = {p->models[i].labels[0],
							     p->models[i].labels[1],
							     {"reason", names[k]}};
			ps_metrics_int(&p->w, l, 3, (int64_t)of_reason(&p->models[i].counts, k));
		}
}

static void put_nv(struct ps_serve_page *p, enum ps_serve_metric m, size_t offset, int64_t divide)
{
	ps_serve_begin(p, m);
	for (size_t i = 0; i < p->n_models; i++) {
		int64_t v;
		memcpy(&v, (const char *)&p->models[i].counts + offset, sizeof v);
		ps_metrics_int(&p->w, p->models[i].labels, 2, v / divide);
	}
}

/* Series are sorted by model: each run of them is one. */
static enum ps_status sum_models(struct ps_serve_page *p)
{
	p->models = calloc(p->n_series + 1, sizeof *p->models);
	if (!p->models)
		return PS_ENOMEM;
	for (size_t i = 0; i < p->n_series; i++) {
		const struct ps_serve_series *s = p->series[i];
		if (i == 0 || p->series[i - 1]->model != s->model)
			memcpy(p->models[p->n_models++].labels, &s->labels[1],
			       2 * sizeof *s->labels);
		ps_serve_counts_add(&p->models[p->n_models - 1].counts, &s->counts);
	}
	return PS_OK;
}

static void put_triton(struct ps_serve_page *p)
{
	put_nv(p, PS_M_NV_SUCCESS, COUNT(success.count), 1);
	put_nv_failures(p);
	put_nv(p, PS_M_NV_COUNT, COUNT(inferences), 1);
	put_nv(p, PS_M_NV_EXEC, COUNT(executions), 1);
	put_nv(p, PS_M_NV_REQUEST_US, COUNT(success.ns), 1000);
	put_nv(p, PS_M_NV_QUEUE_US, COUNT(queue.ns), 1000);
	put_nv(p, PS_M_NV_INPUT_US, COUNT(input.ns), 1000);
	put_nv(p, PS_M_NV_INFER_US, COUNT(infer.ns), 1000);
	put_nv(p, PS_M_NV_OUTPUT_US, COUNT(output.ns), 1000);
}

/* --- the page --- */

void ps_serve_begin(struct ps_serve_page *p, enum ps_serve_metric m)
{
	ps_metrics_begin(&p->w, &ps_serve_families[m]);
}

void ps_serve_metrics_text(struct ps_serve *s, int viewer, struct ps_strbuf *out)
{
	struct ps_serve_page *p = calloc(1, sizeof *p);
	if (!p) {
		out->failed = true;
		return;
	}
	p->server = s;
	p->viewer = viewer;
	p->w.out = out;
	p->snapshot = ps_serve_newest(s);
	enum ps_status status = collect(p);
	if (status == PS_OK)
		status = sum_models(p);
	if (status == PS_OK) {
		put_pairs(p);
		ps_serve_put_tenants(p);
		put_triton(p);
		if (viewer == PS_TENANCY_ADMIN)
			ps_serve_put_machine(p);
	} else {
		out->failed = true;
	}
	for (size_t i = 0; i < p->n_series; i++)
		free(p->series[i]);
	free(p->series);
	free(p->models);
	ps_serve_snapshot_unref(p->snapshot);
	free(p);
}
