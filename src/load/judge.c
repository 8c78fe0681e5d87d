/* judge.c - see judge.h. */
#include "load/judge.h"

#include "base/clock.h"
#include "base/units.h"
#include "load/reason.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Latencies in order of their scheduled instants. */
struct series {
	double *t_s, *x_ns;
	size_t len;
};

struct point {
	int64_t at_ns;
	uint64_t sequence;
	double x_ns;
};

static int by_instant(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->at_ns != y->at_ns) {
		return x->at_ns < y->at_ns ? -1 : 1;
	}
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* The measured requests in order of their instants; a failed one counts as the time-out. */
static size_t collect(const struct ps_load_tenant_result *r, int64_t timeout_ns, struct point *out)
{
	size_t n = 0;

	for (size_t i = 0; i < r->record_len; i++) {
		const struct ps_load_record *q = &r->records[i];
		int64_t x = q->outcome == PS_LOAD_OK ? q->done_ns - q->scheduled_ns : timeout_ns;

		if (!q->warmup) {
			out[n++] = (struct point){q->scheduled_ns, q->sequence, (double)x};
		}
	}
	qsort(out, n, sizeof(out[0]), by_instant);
	return n;
}

static void series_fini(struct series *s)
{
	free(s->t_s);
	free(s->x_ns);
}

static enum ps_status series_init(struct series *s, const struct ps_load_tenant_result *r,
				  int64_t timeout_ns)
{
	size_t cap = r->record_len ? r->record_len : 1;
	struct point *sorted = malloc(cap * sizeof(*sorted));

	*s = (struct series){.t_s = malloc(cap * sizeof(double)),
			     .x_ns = malloc(cap * sizeof(double))};
	if (!sorted || !s->t_s || !s->x_ns) {
		free(sorted);
		series_fini(s);
		return PS_ENOMEM;
	}
	s->len = collect(r, timeout_ns, sorted);
	for (size_t i = 0; i < s->len; i++) {
		s->t_s[i] = (double)sorted[i].at_ns / 1e9;
		s->x_ns[i] = sorted[i].x_ns;
	}
	free(sorted);
	return PS_OK;
}

/* The correlation that matters is that of "above this value?". Looked at where the quantile lies,
 * and at the limit as well when one is judged: the smaller ratio is the safer one (no request over
 * the limit looks like no correlation at all). */
static enum ps_status quantile_at(const struct ps_load_tenant_result *r, const struct series *s,
				  double p, int64_t limit_ns, struct ps_stats_time_quantile *ret_q,
				  double *ret_ratio)
{
	int64_t value = ps_hist_quantile_ns(&r->latency, p);
	double ratio = 1, at_limit = 1;
	enum ps_status st = PS_OK;

	if (value != PS_HIST_INFINITE) {
		st = ps_stats_effective_ratio_over(s->x_ns, s->len, (double)value, &ratio);
	}
	if (st == PS_OK && limit_ns > 0) {
		st = ps_stats_effective_ratio_over(s->x_ns, s->len, (double)limit_ns, &at_limit);
	}
	if (st != PS_OK) {
		return st;
	}
	ratio = fmin(ratio, at_limit);
	*ret_q = ps_stats_hist_quantile(&r->latency, p, ratio, PS_LOAD_CONFIDENCE);
	*ret_ratio = ratio;
	return PS_OK;
}

static void reason(struct ps_load_tenant_result *r, enum ps_load_reason code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void reason(struct ps_load_tenant_result *r, enum ps_load_reason code, const char *fmt, ...)
{
	va_list ap;
	char words[PS_LOAD_REASON_SIZE];

	r->valid = false;
	if (r->reason_len == PS_LOAD_MAX_REASONS) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	snprintf(r->reasons[r->reason_len++], PS_LOAD_REASON_SIZE, "%s: %.160s",
		 ps_load_reason_code(code), words);
}

static void check_lag(struct ps_load_tenant_result *r, const struct ps_sla *sla)
{
	int64_t lag = ps_hist_quantile_ns(&r->send_lag, 0.99);
	int64_t base = ps_sla_is_set(sla) ? sla->limit_ns : r->p50.value_ns;
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];

	if (r->sent == 0 || base == PS_HIST_INFINITE ||
	    (double)lag <= PS_LOAD_MAX_LAG_SHARE * (double)base) {
		return;
	}
	reason(r, PS_LOAD_REASON_LAG, "p99 of send lag %s is over 5 %% of %s (%s)%s",
	       ps_units_format_duration(lag, a),
	       ps_sla_is_set(sla) ? "the SLA's limit" : "the p50 latency",
	       ps_units_format_duration(base, b),
	       r->late_limit ? ": the limit of connections was reached" : "");
}

static void check_sent(struct ps_load_tenant_result *r)
{
	if (r->scheduled == 0) {
		reason(r, PS_LOAD_REASON_EMPTY, "no request was due in the measured part");
	} else if ((double)r->sent < PS_LOAD_MIN_SENT * (double)r->scheduled) {
		reason(r, PS_LOAD_REASON_UNSENT,
		       "only %llu of %llu scheduled requests were sent (%.2f %%, needs 99.9 %%)",
		       (unsigned long long)r->sent, (unsigned long long)r->scheduled,
		       100 * (double)r->sent / (double)r->scheduled);
	}
}

static void check_samples(struct ps_load_tenant_result *r, const struct ps_stats_time_quantile *q)
{
	if (r->scheduled > 0 && !q->has_interval) {
		reason(r, PS_LOAD_REASON_FEW, "too few samples for p%g: needs %llu more",
		       100 * q->p, (unsigned long long)q->needs_more);
	}
}

static void check_trend(struct ps_load_tenant_result *r, const struct series *s)
{
	double median = (double)r->p50.value_ns, span, moved;
	bool rising = r->trend.p_rising < PS_LOAD_TREND_P;
	char text[PS_UNITS_SIZE];

	if (s->len == 0 || !r->trend.enough ||
	    (!rising && r->trend.p_rising < 1 - PS_LOAD_TREND_P)) {
		return;
	}
	span = s->t_s[s->len - 1] - s->t_s[0];
	moved = fabs(r->trend.slope) * span;
	if (r->p50.value_ns == PS_HIST_INFINITE || moved > PS_LOAD_TREND_SHARE * median) {
		r->unsteady = true;
		reason(r, rising ? PS_LOAD_REASON_RISING : PS_LOAD_REASON_FALLING,
		       "latency %s by %s over the run%s", rising ? "rose" : "fell",
		       ps_units_format_duration((int64_t)moved, text),
		       rising ? " (a backlog grows)" : " (a longer --warmup?)");
	}
}

/* Success is a ratio of this run, not a law to be proved: 160 requests could never prove 99 %. It
 * decides against the SLA only when chance is no excuse. */
static enum ps_load_sla_verdict judge_success(const struct ps_load_tenant_result *r,
					      const struct ps_sla *sla)
{
	double n = (double)r->scheduled, ok = (double)r->outcomes[PS_LOAD_OK];
	struct ps_stats_interval i;

	if (ok >= sla->min_success * n) {
		return PS_LOAD_SLA_MET;
	}
	i = ps_stats_proportion_interval(ok, n, 2 * PS_LOAD_CONFIDENCE - 1);
	return i.has_interval && i.hi < sla->min_success ? PS_LOAD_SLA_VIOLATED
							 : PS_LOAD_SLA_UNDECIDED;
}

static enum ps_load_sla_verdict judge_latency(struct ps_load_tenant_result *r,
					      const struct ps_sla *sla)
{
	uint64_t n = r->scheduled, over = n - r->good;
	struct ps_stats_interval i;

	if (ps_stats_early_stop(sla->percentile, n, over, r->effective_ratio, PS_LOAD_CONFIDENCE, 0,
				&r->sla_needs_more)) {
		return PS_LOAD_SLA_MET;
	}
	/* One-sided 95 % is the end of the two-sided 90 % interval. */
	i = ps_stats_proportion_interval((double)over * r->effective_ratio,
					 (double)n * r->effective_ratio,
					 2 * PS_LOAD_CONFIDENCE - 1);
	return i.has_interval && i.lo > 1 - sla->percentile ? PS_LOAD_SLA_VIOLATED
							    : PS_LOAD_SLA_UNDECIDED;
}

static void judge_sla(struct ps_load_tenant_result *r, const struct ps_sla *sla)
{
	enum ps_load_sla_verdict latency, success;

	if (!ps_sla_is_set(sla)) {
		return;
	}
	if (r->scheduled == 0) {
		r->sla_verdict = PS_LOAD_SLA_UNDECIDED;
		return;
	}
	latency = judge_latency(r, sla);
	success = judge_success(r, sla);
	if (latency == PS_LOAD_SLA_VIOLATED || success == PS_LOAD_SLA_VIOLATED) {
		r->sla_verdict = PS_LOAD_SLA_VIOLATED;
	} else if (latency == PS_LOAD_SLA_MET && success == PS_LOAD_SLA_MET) {
		r->sla_verdict = PS_LOAD_SLA_MET;
	} else {
		r->sla_verdict = PS_LOAD_SLA_UNDECIDED;
	}
	if (r->sla_verdict != PS_LOAD_SLA_UNDECIDED) {
		r->sla_needs_more = 0;
	}
}

static enum ps_status fill_statistics(struct ps_load_tenant_result *r, const struct ps_sla *sla,
				      const struct series *s)
{
	struct {
		double p;
		struct ps_stats_time_quantile *q;
	} rows[] = {{0.5, &r->p50}, {0.95, &r->p95}, {0.99, &r->p99}};
	bool with_sla = ps_sla_is_set(sla);
	enum ps_status st = PS_OK;
	double ratio = 1;

	for (size_t i = 0; st == PS_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
		st = quantile_at(r, s, rows[i].p, 0, rows[i].q, &ratio);
		if (i == 0) {
			r->effective_ratio = ratio;
		}
	}
	if (st == PS_OK && with_sla) {
		st = quantile_at(r, s, sla->percentile, sla->limit_ns, &r->sla_quantile,
				 &r->effective_ratio);
	}
	return st == PS_OK ? ps_stats_trend(s->t_s, s->x_ns, s->len, &r->trend) : st;
}

enum ps_status ps_load_judge(struct ps_load_tenant_result *r, const struct ps_sla *sla,
			     int64_t timeout_ns, bool cancelled)
{
	struct series s;
	enum ps_status st = series_init(&s, r, timeout_ns);

	if (st != PS_OK) {
		return st;
	}
	st = fill_statistics(r, sla, &s);
	if (st == PS_OK) {
		r->valid = true;
		r->reason_len = 0;
		check_sent(r);
		check_lag(r, sla);
		check_samples(r, ps_sla_is_set(sla) ? &r->sla_quantile : &r->p50);
		check_trend(r, &s);
		if (cancelled) {
			reason(r, PS_LOAD_REASON_STOPPED, "the run was stopped early");
		}
		judge_sla(r, sla);
	}
	series_fini(&s);
	return st;
}
