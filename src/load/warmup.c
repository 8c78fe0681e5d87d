#include "load/warmup.h"

#include "load/recorder.h"
#include "load/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One stall late in the run has more weight in a standard error than the whole warm-up: MSER would
 * cut up to behind it. What lies above the 90 % point counts as lying there. */
static enum ps_status clip(struct ps_load_series *s)
{
	double *sorted = s->len ? malloc(s->len * sizeof(*sorted)) : NULL;
	double most;

	if (!sorted) {
		return s->len ? PS_ENOMEM : PS_OK;
	}
	memcpy(sorted, s->x_ns, s->len * sizeof(*sorted));
	ps_stats_sort(sorted, s->len);
	most = ps_stats_quantile(sorted, s->len, PS_LOAD_WARMUP_CLIP);
	free(sorted);
	for (size_t i = 0; i < s->len; i++) {
		s->x_ns[i] = fmin(s->x_ns[i], most);
	}
	return PS_OK;
}

/* The instant behind which a tenant is steady; false: there is none. */
static enum ps_status find_cut(const struct ps_load_tenant_result *t, int64_t timeout_ns,
			       int64_t *ret_cut_ns, bool *ret_steady)
{
	struct ps_load_series s;
	enum ps_status st = ps_load_series_init(&s, t, timeout_ns);
	size_t n;

	if (st == PS_OK) {
		st = clip(&s);
	}
	if (st != PS_OK) {
		ps_load_series_fini(&s);
		return st;
	}
	n = ps_stats_mser5(s.x_ns, s.len, ret_steady);
	*ret_steady = *ret_steady && t->records_dropped == 0;
	*ret_cut_ns = n > 0 && *ret_steady ? llround(s.t_s[n] * 1e9) : 0;
	ps_load_series_fini(&s);
	return PS_OK;
}

/* What the sender knew and no single record says stays as it is: it is of the whole run. */
static void keep_of_sender(struct ps_load_tenant_result *to, const struct ps_load_tenant_result *t)
{
	to->late_limit = t->late_limit;
	to->bytes_sent = t->bytes_sent;
	to->bytes_received = t->bytes_received;
	to->batch = t->batch;
	to->request_bytes = t->request_bytes;
	to->connections = t->connections;
	to->peak_in_flight = t->peak_in_flight;
	to->little = t->little;
	to->notes = t->notes;
	to->replica_len = t->replica_len;
	memcpy(to->replicas, t->replicas, sizeof(to->replicas));
	to->metadata_changes = t->metadata_changes;
	to->metadata_unseen = t->metadata_unseen;
	memcpy(to->metadata_change_text, t->metadata_change_text, sizeof(to->metadata_change_text));
	memcpy(to->first_failure, t->first_failure, sizeof(to->first_failure));
}

static enum ps_status recount(const struct ps_load_plan *plan, const struct ps_load_tenant *tenant,
			      struct ps_load_tenant_result *t)
{
	struct ps_load_tenant_result again = {0};
	struct ps_load_recorder rec;
	enum ps_status st =
		ps_load_recorder_init(&rec, &again, plan, tenant, (double)t->record_len);

	for (size_t i = 0; st == PS_OK && i < t->record_len; i++) {
		struct ps_load_record q = t->records[i];

		q.warmup = q.scheduled_ns < plan->warmup_ns;
		ps_load_recorder_end(&rec, &q, q.sampled);
	}
	if (st != PS_OK || again.records_dropped > 0) {
		ps_load_tenant_result_fini(&again);
		return PS_ENOMEM;
	}
	ps_load_recorder_finish(&rec, plan->duration_ns);
	keep_of_sender(&again, t);
	ps_load_tenant_result_fini(t);
	*t = again;
	return PS_OK;
}

enum ps_status ps_load_warmup_cut(const struct ps_load_plan *plan, int64_t timeout_ns,
				  struct ps_load_result *r, bool *ret_steady)
{
	struct ps_load_plan cut_plan = *plan;
	enum ps_status st = PS_OK;
	int64_t cut_ns = 0;

	*ret_steady = true;
	for (size_t i = 0; st == PS_OK && i < r->tenant_len; i++) {
		bool steady = true;
		int64_t at_ns = 0;

		st = find_cut(&r->tenants[i], timeout_ns, &at_ns, &steady);
		cut_ns = at_ns > cut_ns ? at_ns : cut_ns;
		*ret_steady = *ret_steady && steady;
	}
	if (st != PS_OK || !*ret_steady) {
		return st;
	}
	cut_plan.warmup_ns = cut_ns;
	cut_plan.duration_ns = plan->warmup_ns + plan->duration_ns - cut_ns;
	for (size_t i = 0; st == PS_OK && i < r->tenant_len; i++) {
		st = recount(&cut_plan, &plan->tenants[i], &r->tenants[i]);
	}
	r->warmup_found = st == PS_OK;
	r->warmup_ns = cut_plan.warmup_ns;
	r->duration_ns = cut_plan.duration_ns;
	return st;
}
