/* pool.c - one result out of those of all copies of a tenant. */
#include "measure/measure_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_end(const void *x, const void *y)
{
	const struct ps_load_record *a = x, *b = y;
	return (a->done_ns > b->done_ns) - (a->done_ns < b->done_ns);
}

static bool pool_records(struct ps_load_tenant_result *to, const struct ps_load_tenant_result *from)
{
	size_t n = to->record_len + from->record_len;
	struct ps_load_record *all = realloc(to->records, sizeof(*all) * (n + 1));
	if (!all) {
		return false;
	}
	to->records = all;
	for (size_t i = 0; i < from->record_len; i++) {
		all[to->record_len++] = from->records[i];
	}
	to->records_dropped += from->records_dropped;
	return true;
}

static bool pool_seconds(struct ps_load_tenant_result *to, const struct ps_load_tenant_result *from)
{
	if (from->second_len > to->second_len) {
		struct ps_load_second *all = realloc(to->seconds, sizeof(*all) * from->second_len);
		if (!all) {
			return false;
		}
		memset(all + to->second_len, 0, sizeof(*all) * (from->second_len - to->second_len));
		to->seconds = all;
		to->second_len = from->second_len;
	}
	for (size_t i = 0; i < from->second_len; i++) {
		struct ps_load_second *s = &to->seconds[i];
		const struct ps_load_second *f = &from->seconds[i];
		s->scheduled += f->scheduled;
		s->sent += f->sent;
		s->ok += f->ok;
		s->failed += f->failed;
		s->good += f->good;
		s->latency_sum_ns += f->latency_sum_ns;
		s->latency_max_ns = f->latency_max_ns > s->latency_max_ns ? f->latency_max_ns
									  : s->latency_max_ns;
	}
	return true;
}

static void pool_counts(struct ps_load_tenant_result *to, const struct ps_load_tenant_result *from)
{
	to->scheduled += from->scheduled;
	to->sent += from->sent;
	to->completed += from->completed;
	to->good += from->good;
	to->late_limit += from->late_limit;
	to->warmup_scheduled += from->warmup_scheduled;
	to->bytes_sent += from->bytes_sent;
	to->bytes_received += from->bytes_received;
	to->connections += from->connections;
	to->peak_in_flight += from->peak_in_flight;
	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		to->outcomes[i] += from->outcomes[i];
	}
	to->offered_rps += from->offered_rps;
	to->achieved_rps += from->achieved_rps;
	to->throughput_rps += from->throughput_rps;
	to->goodput_rps += from->goodput_rps;
}

static void pool_hists(struct ps_load_tenant_result *to, const struct ps_load_tenant_result *from)
{
	ps_hist_merge(&to->latency, &from->latency);
	ps_hist_merge(&to->service_latency, &from->service_latency);
	ps_hist_merge(&to->send_lag, &from->send_lag);
	ps_hist_merge(&to->first_byte, &from->first_byte);
	ps_hist_merge(&to->uncorrected, &from->uncorrected);
	ps_hist_merge(&to->server_queue, &from->server_queue);
	ps_hist_merge(&to->server_compute, &from->server_compute);
}

/* Whatever one copy has against its trial is against the whole; said once. A few copies' rising
 * latencies among many are chance, so the trend of the whole is that of the requests together,
 * which the search looks at by itself. */
static void pool_validity(struct ps_load_tenant_result *to,
			  const struct ps_load_tenant_result *from)
{
	for (int i = 0; i < from->reason_len && to->reason_len < PS_LOAD_MAX_REASONS; i++) {
		bool known = false;
		size_t code = strcspn(from->reasons[i], ":");
		for (int k = 0; k < to->reason_len; k++) {
			known = known || strncmp(to->reasons[k], from->reasons[i], code + 1) == 0;
		}
		if (!known) {
			memcpy(to->reasons[to->reason_len++], from->reasons[i],
			       sizeof(to->reasons[0]));
		}
	}
	to->valid = to->valid && from->valid;
	if (from->effective_ratio < to->effective_ratio) {
		to->effective_ratio = from->effective_ratio;
	}
	if (!to->first_failure[0]) {
		memcpy(to->first_failure, from->first_failure, sizeof(to->first_failure));
	}
	if (from->sla_verdict != PS_LOAD_SLA_MET) {
		to->sla_verdict = from->sla_verdict;
	}
	to->sla_needs_more = from->sla_needs_more > to->sla_needs_more ? from->sla_needs_more
								       : to->sla_needs_more;
}

enum ps_status ps_measure_pool(struct ps_load_result *r, struct ps_error *err)
{
	struct ps_load_tenant_result *to = &r->tenants[0];
	bool ok = true;
	for (size_t i = 1; i < r->tenant_len; i++) {
		struct ps_load_tenant_result *from = &r->tenants[i];
		if (ok) {
			pool_counts(to, from);
			pool_hists(to, from);
			pool_validity(to, from);
			ok = pool_records(to, from) && pool_seconds(to, from);
		}
		ps_load_tenant_result_fini(from);
	}
	r->tenant_len = 1;
	if (!ok) {
		return ps_error_set(err, PS_ENOMEM, "no memory for the results of all copies");
	}
	if (to->record_len > 0) {
		qsort(to->records, to->record_len, sizeof(*to->records), by_end);
	}
	double n = (double)to->scheduled;
	to->success_ratio = n > 0 ? (double)to->outcomes[PS_LOAD_OK] / n : 0;
	to->violating_ratio = n > 0 ? 1 - (double)to->good / n : 0;
	return PS_OK;
}
