#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "load/reason.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	return ps_error_set(err, PS_ENOMEM, "no memory for the results of a trial");
}

/* Takes the bytes of a buffer into the arena. */
static bool take(struct ps_arena *a, struct ps_strbuf *b, struct ps_store_blob *ret)
{
	void *copy = ps_strbuf_status(b) == PS_OK ? ps_arena_alloc(a, b->len + 1) : NULL;
	if (copy) {
		memcpy(copy, b->data, b->len);
		((char *)copy)[b->len] = '\0';
		*ret = (struct ps_store_blob){copy, b->len};
	}
	ps_strbuf_fini(b);
	return copy != NULL;
}

static bool put_hist(struct ps_arena *a, const struct ps_hist *h, struct ps_store_blob *ret)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	if (!h->counts) {
		*ret = (struct ps_store_blob){NULL, 0};
		return true;
	}
	ps_hist_write(h, &b);
	return take(a, &b, ret);
}

/* The stored latency counts the failed as lost, so that percentiles are over all requests. */
static bool put_latency(struct ps_arena *a, const struct ps_load_tenant_result *t,
			struct ps_store_blob *ret)
{
	struct ps_hist h = {0};
	if (ps_hist_init(&h) != PS_OK) {
		return false;
	}
	ps_hist_merge(&h, &t->latency);
	uint64_t total = ps_hist_total(&h);
	if (t->scheduled > total) {
		ps_hist_record_lost(&h, t->scheduled - total);
	}
	bool ok = put_hist(a, &h, ret);
	ps_hist_fini(&h);
	return ok;
}

static bool put_hists(struct ps_arena *a, const struct ps_load_tenant_result *t,
		      struct ps_store_result *r)
{
	return put_latency(a, t, &r->latency) && put_hist(a, &t->service_latency, &r->service) &&
	       put_hist(a, &t->send_lag, &r->send_lag) &&
	       put_hist(a, &t->first_byte, &r->first_byte) &&
	       put_hist(a, &t->uncorrected, &r->uncorrected) &&
	       put_hist(a, &t->server_queue, &r->server_queue) &&
	       put_hist(a, &t->server_compute, &r->server_compute);
}

static const char *put_outcomes(struct ps_arena *a, const struct ps_load_tenant_result *t)
{
	struct ps_strbuf b;
	struct ps_store_blob blob = {NULL, 0};
	ps_strbuf_init(&b);
	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		if (t->outcomes[i] > 0) {
			ps_strbuf_printf(&b, "%s\"%s\":%llu", b.len ? "," : "{",
					 ps_load_outcome_name((enum ps_load_outcome)i),
					 (unsigned long long)t->outcomes[i]);
		}
	}
	ps_strbuf_puts(&b, b.len ? "}" : "{}");
	return take(a, &b, &blob) ? blob.data : NULL;
}

/* A trial is one of several that are pooled: that it alone has too few samples for an interval is
 * no fault of it (sla_needs_more keeps it). And a search must offer more than the server can do: a
 * rising backlog is what a step looks for, not a fault of the instrument. */
static bool is_fault(const struct ps_load_tenant_result *t, enum ps_store_role role, int i)
{
	enum ps_load_reason why = ps_load_reason_of(t->reasons[i]);
	if (why == PS_LOAD_REASON_FEW) {
		return false;
	}
	bool unsteady = why == PS_LOAD_REASON_RISING || why == PS_LOAD_REASON_FALLING;
	bool must_be_steady = role == PS_STORE_DEMAND || role == PS_STORE_AT_CAPACITY ||
			      role == PS_STORE_AT_RATES || role == PS_STORE_PROFILED;
	return must_be_steady || !unsteady;
}

static bool put_reasons(struct ps_arena *a, const struct ps_load_tenant_result *t,
			enum ps_store_role role, struct ps_store_result *r)
{
	struct ps_strbuf b;
	struct ps_store_blob blob = {NULL, 0};
	ps_strbuf_init(&b);
	for (int i = 0; i < t->reason_len; i++) {
		if (is_fault(t, role, i)) {
			ps_strbuf_printf(&b, "%s%s", b.len ? "\n" : "", t->reasons[i]);
		}
	}
	r->valid = b.len == 0 && !b.failed;
	bool ok = r->valid || take(a, &b, &blob);
	r->reasons = blob.data;
	return ok;
}

static bool put_requests(struct ps_arena *a, const struct ps_load_tenant_result *t,
			 struct ps_store_result *r)
{
	struct ps_store_request *q = ps_arena_alloc(a, sizeof(*q) * (t->record_len + 1));
	if (!q) {
		return false;
	}
	for (size_t i = 0; i < t->record_len; i++) {
		const struct ps_load_record *x = &t->records[i];
		q[i] = (struct ps_store_request){
			.scheduled_ns = x->scheduled_ns,
			.sent_ns = x->sent_ns,
			.first_byte_ns = x->first_byte_ns,
			.done_ns = x->done_ns,
			.server_queue_ns = x->server_queue_ns,
			.server_compute_ns = x->server_compute_ns,
			.http_status = x->http_status,
			.outcome = x->outcome,
			.warmup = x->warmup,
		};
	}
	r->requests = q;
	r->records = t->record_len;
	r->records_dropped = t->records_dropped;
	return true;
}

static enum ps_status put_result(const struct ps_measure_tenant *tenant,
				 const struct ps_load_tenant_result *t, enum ps_store_role role,
				 struct ps_arena *a, struct ps_store_result *r,
				 struct ps_error *err)
{
	r->scheduled = t->scheduled;
	r->sent = t->sent;
	r->completed = t->completed;
	r->ok = t->outcomes[PS_LOAD_OK];
	r->good = t->good;
	r->timeouts = t->outcomes[PS_LOAD_TIMEOUT];
	r->unsent = t->outcomes[PS_LOAD_UNSENT];
	r->refused = t->outcomes[PS_LOAD_REFUSED];
	r->batch = t->batch;
	r->offered_rps = t->offered_rps;
	r->achieved_rps = t->achieved_rps;
	r->throughput_rps = t->throughput_rps;
	r->goodput_rps = t->goodput_rps;
	r->effective_ratio = t->effective_ratio;
	r->trend_tau = t->trend.tau;
	r->trend_p = t->trend.p_rising;
	r->sla_met = t->scheduled > 0 && t->violating_ratio <= 1 - tenant->sla.percentile + 1e-12 &&
		     t->success_ratio >= tenant->sla.min_success - 1e-12;
	r->sla_decided =
		t->sla_verdict == PS_LOAD_SLA_MET || t->sla_verdict == PS_LOAD_SLA_VIOLATED;
	r->sla_needs_more = t->sla_needs_more;
	r->outcomes_json = put_outcomes(a, t);
	if (t->first_failure[0]) {
		r->first_failure = ps_arena_strndup(a, t->first_failure, strlen(t->first_failure));
	}
	bool ok = r->outcomes_json && put_reasons(a, t, role, r) && put_hists(a, t, r) &&
		  put_requests(a, t, r);
	return ok ? PS_OK : no_memory(err);
}

int ps_measure_place(const struct ps_measure_load_plan *plan, const struct ps_store_set *set,
		     int number)
{
	for (int i = 0; i < set->member_len; i++) {
		if (plan->rates && plan->rates[i] == 0) {
			continue;
		}
		if (number-- == 0) {
			return i;
		}
	}
	return 0; /* not reached: there are no more results than members who send */
}

static enum ps_status put_seconds(const struct ps_measure_load_plan *plan,
				  const struct ps_store_set *set, const struct ps_load_result *r,
				  struct ps_arena *a, struct ps_store_trial *t,
				  struct ps_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < r->tenant_len; i++) {
		n += r->tenants[i].second_len;
	}
	struct ps_store_second *out = ps_arena_zalloc(a, sizeof(*out) * (n + 1));
	if (!out) {
		return no_memory(err);
	}
	t->seconds = out;
	t->second_len = n;
	for (size_t i = 0; i < r->tenant_len; i++) {
		int tenant = set->members[ps_measure_place(plan, set, (int)i)];
		for (size_t k = 0; k < r->tenants[i].second_len; k++) {
			const struct ps_load_second *s = &r->tenants[i].seconds[k];
			*out++ = (struct ps_store_second){
				.tenant = tenant,
				.second = (int)k,
				.scheduled = s->scheduled,
				.sent = s->sent,
				.ok = s->ok,
				.failed = s->failed,
				.good = s->good,
				.latency_sum_ns = s->latency_sum_ns,
				.latency_max_ns = s->latency_max_ns,
			};
		}
	}
	return PS_OK;
}

static const char *trial_reasons(const struct ps_measure_campaign *c,
				 const struct ps_store_trial *t, struct ps_arena *a)
{
	const struct ps_measure_tenant *tenants = c->tenants.items;
	struct ps_strbuf b;
	struct ps_store_blob blob = {NULL, 0};
	ps_strbuf_init(&b);
	for (size_t i = 0; i < t->result_len; i++) {
		char *copy = t->results[i].reasons ? strdup(t->results[i].reasons) : NULL;
		char *save = NULL;
		for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save)) {
			ps_strbuf_printf(&b, "%s%s: %s", b.len ? "\n" : "",
					 tenants[t->results[i].tenant].name, line);
		}
		free(copy);
	}
	return b.len && take(a, &b, &blob) ? blob.data : NULL;
}

enum ps_status ps_measure_convert(const struct ps_measure_campaign *c,
				  const struct ps_store_set *set,
				  const struct ps_measure_load_plan *plan,
				  const struct ps_load_result *r, struct ps_arena *a,
				  struct ps_store_trial *ret_trial, struct ps_error *err)
{
	const struct ps_measure_tenant *tenants = c->tenants.items;
	struct ps_store_trial t = {
		.role = plan->role,
		.number = plan->number,
		.factor = plan->factor,
		.started_wall_ns = r->wall_ns,
		.warmup_ns = r->warmup_ns,
		.duration_ns = r->duration_ns,
		.seed = plan->seed,
		.met = true,
		.valid = !r->cancelled,
		.server_pss_bytes = -1,
		.copies = plan->copies > 1 ? plan->copies : 1,
	};
	struct ps_store_result *results = ps_arena_zalloc(a, sizeof(*results) * r->tenant_len);
	if (!results) {
		return no_memory(err);
	}
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < r->tenant_len && st == PS_OK; i++) {
		int place = ps_measure_place(plan, set, (int)i), tenant = set->members[place];
		results[i].tenant = tenant;
		results[i].wanted_rps = plan->rates ? plan->rates[place] * t.copies : 0;
		results[i].concurrency = plan->rates ? 0 : plan->users;
		st = put_result(&tenants[tenant], &r->tenants[i], plan->role, a, &results[i], err);
		t.valid = t.valid && results[i].valid;
		t.met = t.met && results[i].sla_met;
	}
	t.results = results;
	t.result_len = r->tenant_len;
	if (st == PS_OK) {
		st = put_seconds(plan, set, r, a, &t, err);
	}
	if (st == PS_OK) {
		t.reasons = trial_reasons(c, &t, a);
		*ret_trial = t;
	}
	return st;
}
