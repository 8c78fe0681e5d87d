/* recorder.c - see recorder.h. */
#include "load/recorder.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_STRIDE = 65536, /* records that room is taken for at once */
	LATE_PART = 100,    /* of the duration: how long after it a request still left in time */
};

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

/* Room for `want` more records, as much of it as there is. */
static size_t take_room(struct ps_load_recorder *rec, size_t want)
{
	size_t left;

	if (!rec->room) {
		left = rec->max_records - rec->record_cap;
		return want < left ? want : left;
	}
	left = atomic_load(rec->room);
	while (!atomic_compare_exchange_weak(rec->room, &left,
					     left - (want < left ? want : left))) {
	}
	return want < left ? want : left;
}

size_t ps_load_records_of(const struct ps_load_plan *plan, const struct ps_load_tenant *t)
{
	double n = PS_LOAD_MOST_RECORDS;

	if (plan->max_records) {
		return plan->max_records;
	}
	if (!ps_load_arrival_is_closed(&t->arrival)) {
		n = 1.5 * ps_load_arrival_expected(&t->arrival,
						   (double)(plan->warmup_ns + plan->duration_ns));
		n = fmin(fmax(n, PS_LOAD_DEFAULT_RECORDS), PS_LOAD_MOST_RECORDS);
	}
	return (size_t)n;
}

enum ps_status ps_load_recorder_init_shared(struct ps_load_recorder *rec,
					    struct ps_load_tenant_result *r,
					    const struct ps_load_plan *plan,
					    const struct ps_load_tenant *t, double expected,
					    atomic_size_t *room)
{
	size_t max = ps_load_records_of(plan, t);

	*rec = (struct ps_load_recorder){.r = r,
					 .sla = t->sla,
					 .warmup_ns = plan->warmup_ns,
					 .duration_ns = plan->duration_ns,
					 .closed = ps_load_arrival_is_closed(&t->arrival),
					 .max_records = max,
					 .room = room,
					 .first_failure_ns = -1};
	rec->record_cap = take_room(rec, expected < (double)max ? (size_t)expected : max);
	snprintf(r->name, sizeof(r->name), "%s", t->name);
	r->second_len = (size_t)((plan->duration_ns + PS_NS_PER_SEC - 1) / PS_NS_PER_SEC);
	r->seconds = calloc(r->second_len, sizeof(*r->seconds));
	r->records = malloc((rec->record_cap + 1) * sizeof(*r->records));
	return r->seconds && r->records ? init_histograms(r) : PS_ENOMEM;
}

enum ps_status ps_load_recorder_init(struct ps_load_recorder *rec, struct ps_load_tenant_result *r,
				     const struct ps_load_plan *plan,
				     const struct ps_load_tenant *t, double expected)
{
	return ps_load_recorder_init_shared(rec, r, plan, t, expected, NULL);
}

static void grow(struct ps_load_recorder *rec)
{
	struct ps_load_tenant_result *r = rec->r;
	size_t want = rec->record_cap < MAX_STRIDE ? rec->record_cap + 64 : MAX_STRIDE;
	size_t more = take_room(rec, want);
	struct ps_load_record *records = NULL;

	if (more > 0) {
		records = realloc(r->records, (rec->record_cap + more) * sizeof(*records));
	}
	if (records) {
		r->records = records;
		rec->record_cap += more;
	} else if (rec->room) {
		atomic_fetch_add(rec->room, more);
	}
}

static void keep(struct ps_load_recorder *rec, const struct ps_load_record *record, bool sampled)
{
	struct ps_load_tenant_result *r = rec->r;

	if (r->record_len == rec->record_cap) {
		grow(rec);
	}
	if (r->record_len < rec->record_cap) {
		r->records[r->record_len] = *record;
		r->records[r->record_len++].sampled = sampled;
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

static void count_sent(struct ps_load_recorder *rec, const struct ps_load_record *q)
{
	struct ps_load_tenant_result *r = rec->r;
	int64_t asked_ns = q->sent_ns - q->waited_ns;
	int64_t over = asked_ns - rec->warmup_ns - rec->duration_ns;

	r->sent++;
	if (q->sent_ns > rec->last_sent_ns) {
		rec->last_sent_ns = q->sent_ns;
	}
	r->sent_after += over > rec->duration_ns / LATE_PART;
	ps_hist_record(&r->send_lag, asked_ns - q->scheduled_ns);
}

bool ps_load_recorder_end(struct ps_load_recorder *rec, const struct ps_load_record *q,
			  bool sampled)
{
	struct ps_load_tenant_result *r = rec->r;
	bool ok = q->outcome == PS_LOAD_OK;
	bool good = ok && (!ps_sla_is_set(&rec->sla) ||
			   q->done_ns - q->scheduled_ns <= rec->sla.limit_ns);

	keep(rec, q, sampled);
	if (q->sent_ns >= 0 && q->done_ns >= 0) {
		rec->resided++;
		rec->residence_ns += q->done_ns - q->sent_ns;
	}
	if (q->warmup) {
		r->warmup_scheduled++;
		return good;
	}
	r->scheduled++;
	r->outcomes[q->outcome]++;
	r->good += good;
	/* A head without its whole body is no answer. */
	r->completed += q->http_status != 0 && q->done_ns >= 0 && q->outcome != PS_LOAD_RESET &&
			q->outcome != PS_LOAD_TIMEOUT;
	r->kernel_stamped += q->kernel;
	if (q->sent_ns >= 0) {
		count_sent(rec, q);
	}
	if (ok) {
		record_times(rec, q, sampled);
	} else {
		ps_hist_record_lost(&r->latency, 1);
	}
	count_second(rec, q, good);
	return good;
}

/* The words may be a server's: they go to terminals, where an escape would act. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f) {
			*text = '?';
		}
	}
}

void ps_load_recorder_failure(struct ps_load_recorder *rec, const struct ps_load_record *q,
			      const char *why)
{
	if (rec->first_failure_ns >= 0) {
		return;
	}
	rec->first_failure_ns = q->scheduled_ns;
	snprintf(rec->r->first_failure, sizeof(rec->r->first_failure), "%s: %s",
		 ps_load_outcome_name((enum ps_load_outcome)q->outcome), why);
	make_printable(rec->r->first_failure);
}

/* ---- merging ---- */

/* When a record ended, as far as it says: one that was never sent ended no earlier than the one
 * before it in its list. */
static int64_t end_of(const struct ps_load_record *q, int64_t before_ns)
{
	return q->done_ns > before_ns ? q->done_ns : before_ns;
}

static enum ps_status merge_records(struct ps_load_recorder *to,
				    const struct ps_load_recorder *from)
{
	struct ps_load_tenant_result *r = to->r, *f = from->r;
	size_t len = r->record_len + f->record_len, i = 0, k = 0;
	struct ps_load_record *all = malloc((len + 1) * sizeof(*all));
	int64_t at = INT64_MIN, other = INT64_MIN;

	if (!all) {
		return PS_ENOMEM;
	}
	for (size_t n = 0; n < len; n++) {
		int64_t a = i < r->record_len ? end_of(&r->records[i], at) : INT64_MAX;
		int64_t b = k < f->record_len ? end_of(&f->records[k], other) : INT64_MAX;

		if (i < r->record_len && a <= b) {
			all[n] = r->records[i++];
			at = a;
		} else {
			all[n] = f->records[k++];
			other = b;
		}
	}
	free(r->records);
	r->records = all;
	r->record_len = to->record_cap = len;
	r->records_dropped += f->records_dropped;
	return PS_OK;
}

static void merge_histograms(struct ps_load_tenant_result *r, const struct ps_load_tenant_result *f)
{
	ps_hist_merge(&r->latency, &f->latency);
	ps_hist_merge(&r->service_latency, &f->service_latency);
	ps_hist_merge(&r->send_lag, &f->send_lag);
	ps_hist_merge(&r->first_byte, &f->first_byte);
	ps_hist_merge(&r->uncorrected, &f->uncorrected);
	ps_hist_merge(&r->server_queue, &f->server_queue);
	ps_hist_merge(&r->server_compute, &f->server_compute);
}

static void merge_seconds(struct ps_load_tenant_result *r, const struct ps_load_tenant_result *f)
{
	for (size_t i = 0; i < r->second_len; i++) {
		struct ps_load_second *s = &r->seconds[i];
		const struct ps_load_second *o = &f->seconds[i];

		s->scheduled += o->scheduled;
		s->sent += o->sent;
		s->ok += o->ok;
		s->failed += o->failed;
		s->good += o->good;
		s->latency_sum_ns += o->latency_sum_ns;
		s->latency_max_ns = o->latency_max_ns > s->latency_max_ns ? o->latency_max_ns
									  : s->latency_max_ns;
	}
}

static void merge_counts(struct ps_load_tenant_result *r, const struct ps_load_tenant_result *f)
{
	r->scheduled += f->scheduled;
	r->sent += f->sent;
	r->completed += f->completed;
	r->good += f->good;
	r->late_limit += f->late_limit;
	r->sent_after += f->sent_after;
	r->kernel_stamped += f->kernel_stamped;
	r->warmup_scheduled += f->warmup_scheduled;
	r->bytes_sent += f->bytes_sent;
	r->bytes_received += f->bytes_received;
	r->connections += f->connections;
	r->peak_in_flight += f->peak_in_flight;
	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		r->outcomes[i] += f->outcomes[i];
	}
}

enum ps_status ps_load_recorder_merge(struct ps_load_recorder *to,
				      const struct ps_load_recorder *from)
{
	if (merge_records(to, from) != PS_OK) {
		return PS_ENOMEM;
	}
	merge_counts(to->r, from->r);
	merge_histograms(to->r, from->r);
	merge_seconds(to->r, from->r);
	to->resided += from->resided;
	to->residence_ns += from->residence_ns;
	if (from->last_sent_ns > to->last_sent_ns) {
		to->last_sent_ns = from->last_sent_ns;
	}
	if (from->last_ok_ns > to->last_ok_ns) {
		to->last_ok_ns = from->last_ok_ns;
	}
	if (from->first_failure_ns >= 0 &&
	    (to->first_failure_ns < 0 || from->first_failure_ns < to->first_failure_ns)) {
		to->first_failure_ns = from->first_failure_ns;
		memcpy(to->r->first_failure, from->r->first_failure, sizeof(to->r->first_failure));
	}
	return PS_OK;
}

/* What was counted goes by the time in which it happened: requests that left, or were answered,
 * after the end of the schedule are no part of a rate that was kept until then. */
static double rate(uint64_t n, double s)
{
	return s > 0 ? (double)n / s : 0;
}

void ps_load_recorder_finish(struct ps_load_recorder *rec, int64_t duration_ns)
{
	struct ps_load_tenant_result *r = rec->r;
	double duration = (double)duration_ns / 1e9;
	double sending = (double)(rec->last_sent_ns - rec->warmup_ns) / 1e9;
	double busy = (double)(rec->last_ok_ns - rec->warmup_ns) / 1e9;

	/* The users of a closed loop begin the measured part with requests under way, and so they
	 * end it: its last answers stand for those of the first, which are not counted. Without a
	 * warm-up they begin with nothing under way. */
	busy = (rec->closed && rec->warmup_ns > 0) || busy < duration ? duration : busy;

	r->offered_rps = rate(r->scheduled, duration);
	r->achieved_rps = rate(r->sent, fmax(sending, duration));
	r->goodput_rps = rate(r->good, busy);
	r->throughput_rps = rate(r->outcomes[PS_LOAD_OK], busy);
	r->success_ratio =
		r->scheduled ? (double)r->outcomes[PS_LOAD_OK] / (double)r->scheduled : 0;
	r->violating_ratio = r->scheduled ? 1 - (double)r->good / (double)r->scheduled : 0;
}
