/* recorder.c - see recorder.h. */
#include "load/recorder.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

static enum ps_status init_histograms(struct ps_load_tenant_result *r)
{
	struct ps_hist *all[] = {&r->latency,	    &r->service_latency, &r->send_lag,
				 &r->first_byte,    &r->uncorrected,	 &r->server_queue,
				 &r->server_compute};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (ps_hist_init(all[i]) != PS_OK) {
			return PS_ENOMEM;
		}
	}
	return PS_OK;
}

enum ps_status ps_load_recorder_init(struct ps_load_recorder *rec, struct ps_load_tenant_result *r,
				     const struct ps_load_plan *plan,
				     const struct ps_load_tenant *t, double expected)
{
	size_t max = plan->max_records ? plan->max_records : PS_LOAD_DEFAULT_RECORDS;

	*rec = (struct ps_load_recorder){.r = r,
					 .sla = t->sla,
					 .warmup_ns = plan->warmup_ns,
					 .duration_ns = plan->duration_ns,
					 .max_records = max};
	rec->record_cap = expected < (double)max ? (size_t)expected + 64 : max;
	snprintf(r->name, sizeof(r->name), "%s", t->name);
	r->second_len = (size_t)((plan->duration_ns + PS_NS_PER_SEC - 1) / PS_NS_PER_SEC);
	r->seconds = calloc(r->second_len, sizeof(*r->seconds));
	r->records = malloc(rec->record_cap * sizeof(*r->records));
	return r->seconds && r->records ? init_histograms(r) : PS_ENOMEM;
}

static void keep(struct ps_load_recorder *rec, const struct ps_load_record *record)
{
	struct ps_load_tenant_result *r = rec->r;

	if (r->record_len == rec->record_cap && rec->record_cap < rec->max_records) {
		size_t cap = rec->record_cap * 2 + 64;
		struct ps_load_record *more;

		cap = cap < rec->max_records ? cap : rec->max_records;
		more = realloc(r->records, cap * sizeof(*more));
		if (more) {
			r->records = more;
			rec->record_cap = cap;
		}
	}
	if (r->record_len < rec->record_cap) {
		r->records[r->record_len++] = *record;
	} else {
		r->records_dropped++;
	}
}

static void record_times(struct ps_load_recorder *rec, const struct ps_load_record *q, bool sampled)
{
	struct ps_load_tenant_result *r = rec->r;

	ps_hist_record(&r->latency, q->done_ns - q->scheduled_ns);
	ps_hist_record(&r->service_latency, q->done_ns - q->sent_ns);
	ps_hist_record(&r->first_byte, q->first_byte_ns - q->scheduled_ns);
	if (sampled) {
		ps_hist_record(&r->uncorrected, q->done_ns - q->sent_ns);
	}
	if (q->server_queue_ns >= 0) {
		ps_hist_record(&r->server_queue, q->server_queue_ns);
	}
	if (q->server_compute_ns >= 0) {
		ps_hist_record(&r->server_compute, q->server_compute_ns);
	}
	if (q->done_ns > rec->last_ok_ns) {
		rec->last_ok_ns = q->done_ns;
	}
}

static void count_second(struct ps_load_recorder *rec, const struct ps_load_record *q, bool good)
{
	size_t i = (size_t)((q->scheduled_ns - rec->warmup_ns) / PS_NS_PER_SEC);
	int64_t latency = q->done_ns - q->scheduled_ns;
	struct ps_load_second *s;

	if (i >= rec->r->second_len) {
		return; /* cannot be: nothing is scheduled after the end */
	}
	s = &rec->r->seconds[i];
	s->scheduled++;
	s->sent += q->sent_ns >= 0;
	s->good += good;
	if (q->outcome != PS_LOAD_OK) {
		s->failed++;
		return;
	}
	s->ok++;
	s->latency_sum_ns += latency;
	if (latency > s->latency_max_ns) {
		s->latency_max_ns = latency;
	}
}

void ps_load_recorder_end(struct ps_load_recorder *rec, const struct ps_load_record *q,
			  bool sampled)
{
	struct ps_load_tenant_result *r = rec->r;
	bool ok = q->outcome == PS_LOAD_OK;
	bool good = ok && (!ps_sla_is_set(&rec->sla) ||
			   q->done_ns - q->scheduled_ns <= rec->sla.limit_ns);

	keep(rec, q);
	if (q->warmup) {
		r->warmup_scheduled++;
		return;
	}
	r->scheduled++;
	r->outcomes[q->outcome]++;
	r->good += good;
	/* A head without its whole body is no answer. */
	r->completed += q->http_status != 0 && q->done_ns >= 0 && q->outcome != PS_LOAD_RESET &&
			q->outcome != PS_LOAD_TIMEOUT;
	if (q->sent_ns >= 0) {
		r->sent++;
		ps_hist_record(&r->send_lag, q->sent_ns - q->scheduled_ns);
	}
	if (ok) {
		record_times(rec, q, sampled);
	} else {
		ps_hist_record_lost(&r->latency, 1);
	}
	count_second(rec, q, good);
}

void ps_load_recorder_finish(struct ps_load_recorder *rec)
{
	struct ps_load_tenant_result *r = rec->r;
	double duration = (double)rec->duration_ns / 1e9;
	double busy = (double)(rec->last_ok_ns - rec->warmup_ns) / 1e9;

	r->offered_rps = (double)r->scheduled / duration;
	r->achieved_rps = (double)r->sent / duration;
	r->goodput_rps = (double)r->good / duration;
	r->throughput_rps = (double)r->outcomes[PS_LOAD_OK] / (busy > duration ? busy : duration);
	r->success_ratio =
		r->scheduled ? (double)r->outcomes[PS_LOAD_OK] / (double)r->scheduled : 0;
	r->violating_ratio = r->scheduled ? 1 - (double)r->good / (double)r->scheduled : 0;
}
