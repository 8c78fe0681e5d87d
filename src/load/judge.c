/* judge.c - see judge.h. */
#include "load/judge.h"

#include "base/units.h"
#include "load/reason.h"
#include "load/series.h"

#include <math.h>
#include <stdio.h>

/* A level with too few beyond it says little about how they cluster; there the correlation is also
 * looked at where LEAST_SHARE lie on either side. In a queue that differs little. */
#define LEAST_SHARE 0.05

static enum ps_status effective_beyond(const struct ps_load_tenant_result *r,
				       const struct ps_load_series *s, double p,
				       struct ps_stats_effective *ret)
{
	int64_t value = ps_hist_quantile_ns(&r->latency, p);

	/* Requests that failed stand in the series at the time-out, over every answer. */
	if (value == PS_HIST_INFINITE) {
		value = r->latency.max_ns;
	}
	return ps_stats_effective_over(s->x_ns, s->len, (double)value, ret);
}

/* The correlation that matters is that of "above this value?". Looked at where the quantile lies,
 * and at the limit as well when one is judged: the smaller ratio is the safer one (no request over
 * the limit looks like no correlation at all). */
static enum ps_status effective_at(const struct ps_load_tenant_result *r,
				   const struct ps_load_series *s, double p, int64_t limit_ns,
				   struct ps_stats_effective *ret)
{
	double known = fmin(fmax(p, LEAST_SHARE), 1 - LEAST_SHARE);
	struct ps_stats_effective own = {1, INFINITY}, at_limit = {1, INFINITY};
	enum ps_status st = effective_beyond(r, s, known, ret);

	if (st == PS_OK && known != p) {
		st = effective_beyond(r, s, p, &own);
	}
	if (st == PS_OK && limit_ns > 0) {
		st = ps_stats_effective_over(s->x_ns, s->len, (double)limit_ns, &at_limit);
	}
	ret->ratio = fmin(ret->ratio, fmin(own.ratio, at_limit.ratio));
	return st;
}

static enum ps_status quantile_at(const struct ps_load_tenant_result *r,
				  const struct ps_load_series *s, double p, int64_t limit_ns,
				  struct ps_stats_time_quantile *ret_q,
				  struct ps_stats_effective *ret_effective)
{
	enum ps_status st = effective_at(r, s, p, limit_ns, ret_effective);

	*ret_q = ps_stats_hist_quantile_of(&r->latency, p, ret_effective, PS_LOAD_CONFIDENCE);
	return st;
}

void ps_load_judge_reason(struct ps_load_tenant_result *r, int code, const char *fmt, ...)
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
		 ps_load_reason_code((enum ps_load_reason)code), words);
}

/* There is no schedule to keep in a closed loop. What the generator takes between an answer and the
 * next request lowers the load by its share of a round, which the means tell. */
static void check_closed_lag(struct ps_load_tenant_result *r)
{
	double lag = ps_hist_mean_ns(&r->send_lag), round = ps_hist_mean_ns(&r->latency);
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];

	if (ps_hist_count(&r->latency) > 0 && lag > PS_LOAD_MAX_LAG_SHARE * round) {
		ps_load_judge_reason(
			r, PS_LOAD_REASON_LAG,
			"the mean send lag %s is over 5 %% of the mean latency %s: the "
			"generator slows the closed loop down",
			ps_units_format_duration((int64_t)lag, a),
			ps_units_format_duration((int64_t)round, b));
	}
}

static void check_lag(struct ps_load_tenant_result *r, const struct ps_sla *sla)
{
	int64_t lag = ps_hist_quantile_ns(&r->send_lag, 0.99);
	int64_t base = ps_sla_is_set(sla) ? sla->limit_ns : r->p50.value_ns;
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];

	if (r->users > 0) {
		check_closed_lag(r);
		return;
	}
	if (r->sent == 0 || base == PS_HIST_INFINITE ||
	    (double)lag <= PS_LOAD_MAX_LAG_SHARE * (double)base) {
		return;
	}
	ps_load_judge_reason(r, PS_LOAD_REASON_LAG, "p99 of send lag %s is over 5 %% of %s (%s)%s",
			     ps_units_format_duration(lag, a),
			     ps_sla_is_set(sla) ? "the SLA's limit" : "the p50 latency",
			     ps_units_format_duration(base, b),
			     r->late_limit ? ": requests waited for a free connection" : "");
}

static void check_sent(struct ps_load_tenant_result *r)
{
	if (r->scheduled == 0) {
		ps_load_judge_reason(r, PS_LOAD_REASON_EMPTY,
				     "no request was due in the measured part");
	} else if ((double)r->sent < PS_LOAD_MIN_SENT * (double)r->scheduled) {
		char why[64] = "";

		if (r->outcomes[PS_LOAD_CONNECT] > 0) {
			snprintf(why, sizeof(why), "; for %llu there was no connection",
				 (unsigned long long)r->outcomes[PS_LOAD_CONNECT]);
		}
		ps_load_judge_reason(
			r, PS_LOAD_REASON_UNSENT,
			"only %llu of %llu scheduled requests were sent (%.2f %%, needs 99.9 %%)%s",
			(unsigned long long)r->sent, (unsigned long long)r->scheduled,
			100 * (double)r->sent / (double)r->scheduled, why);
	}
}

/* Sent, but when? An overloaded generator goes on sending after the end, and the server was offered
 * less than was asked for. */
static void check_rate(struct ps_load_tenant_result *r)
{
	if ((double)r->sent_after > (1 - PS_LOAD_MIN_SENT) * (double)r->scheduled) {
		ps_load_judge_reason(r, PS_LOAD_REASON_RATE,
				     "%llu of %llu requests left long after the end of the "
				     "schedule: %s",
				     (unsigned long long)r->sent_after,
				     (unsigned long long)r->scheduled,
				     r->late_limit ? "they waited for a free connection"
						   : "the generator is too slow for this rate");
	}
}

static void check_samples(struct ps_load_tenant_result *r, const struct ps_stats_time_quantile *q)
{
	if (r->scheduled > 0 && !q->has_interval) {
		ps_load_judge_reason(r, PS_LOAD_REASON_FEW,
				     "too few samples for p%g: needs %llu more", 100 * q->p,
				     (unsigned long long)q->needs_more);
	}
}

static void check_trend(struct ps_load_tenant_result *r, const struct ps_load_series *s)
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
		ps_load_judge_reason(r, rising ? PS_LOAD_REASON_RISING : PS_LOAD_REASON_FALLING,
				     "latency %s by %s over the run%s", rising ? "rose" : "fell",
				     ps_units_format_duration((int64_t)moved, text),
				     rising ? " (a backlog grows)" : " (a longer --warmup?)");
	}
}

/* The error that a look may spend. */
static double error_of(double confidence, int look)
{
	return (1 - confidence) / exp2(fmin(look, 60));
}

/* Success is a ratio of this run, not a law to be proved: 160 requests could never prove 99 %. It
 * decides against the SLA only when chance is no excuse; failures that came together are one
 * chance, not many. */
static enum ps_load_sla_verdict judge_success(struct ps_load_tenant_result *r,
					      const struct ps_load_judge_terms *terms,
					      const struct ps_stats_effective *failing)
{
	const struct ps_sla *sla = terms->sla;
	double n = (double)r->scheduled, ok = (double)r->outcomes[PS_LOAD_OK], needs;
	double error = error_of(PS_LOAD_CONFIDENCE, terms->look);
	double ratio = ps_stats_effective_at(failing, 1, error);
	struct ps_stats_interval i;

	if (ok >= sla->min_success * n) {
		return PS_LOAD_SLA_MET;
	}
	i = ps_stats_proportion_interval(ok * ratio, n * ratio, 1 - 2 * error);
	if (i.has_interval && i.hi < sla->min_success) {
		return PS_LOAD_SLA_VIOLATED;
	}
	/* (ok + x) / (n + x) = min_success; no number of successes makes up for one failure at 1.
	 */
	needs = sla->min_success < 1 ? (sla->min_success * n - ok) / (1 - sla->min_success) : 0;
	r->sla_needs_more = (uint64_t)fmax((double)r->sla_needs_more, ceil(needs - 1e-9));
	return PS_LOAD_SLA_UNDECIDED;
}

static enum ps_load_sla_verdict judge_latency(struct ps_load_tenant_result *r,
					      const struct ps_load_judge_terms *terms,
					      const struct ps_stats_effective *effective)
{
	const struct ps_sla *sla = terms->sla;
	uint64_t n = r->scheduled, over = n - r->good;
	double error = error_of(PS_LOAD_CONFIDENCE, terms->look), ratio;
	struct ps_stats_interval i;

	if (ps_stats_early_stop_of(sla->percentile, n, over, effective, PS_LOAD_MET_CONFIDENCE,
				   terms->look, &r->sla_needs_more)) {
		return PS_LOAD_SLA_MET;
	}
	/* One-sided 95 % is the end of the two-sided 90 % interval. A look that may err less asks
	 * more of the effective count, too. */
	ratio = ps_stats_effective_at(effective, 1, error);
	i = ps_stats_proportion_interval((double)over * ratio, (double)n * ratio, 1 - 2 * error);
	return i.has_interval && i.lo > 1 - sla->percentile ? PS_LOAD_SLA_VIOLATED
							    : PS_LOAD_SLA_UNDECIDED;
}

static void judge_sla(struct ps_load_tenant_result *r, const struct ps_load_judge_terms *terms,
		      const struct ps_stats_effective *effective,
		      const struct ps_stats_effective *failing)
{
	enum ps_load_sla_verdict latency, success;

	r->sla_needs_more = 0;
	if (!ps_sla_is_set(terms->sla)) {
		return;
	}
	if (r->scheduled == 0) {
		r->sla_verdict = PS_LOAD_SLA_UNDECIDED;
		return;
	}
	latency = judge_latency(r, terms, effective);
	success = judge_success(r, terms, failing);
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

/* Each interval goes by its own effective count, and one of requests that cling together more may
 * reach beyond that of a higher percentile, which no distribution does. Only widening them keeps
 * what each one promises. */
static void make_coherent(struct ps_stats_time_quantile *const *q, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			if (!q[i]->has_interval || !q[k]->has_interval || q[i]->p > q[k]->p) {
				continue;
			}
			q[k]->hi_ns = q[k]->hi_ns > q[i]->hi_ns ? q[k]->hi_ns : q[i]->hi_ns;
			q[i]->lo_ns = q[i]->lo_ns < q[k]->lo_ns ? q[i]->lo_ns : q[k]->lo_ns;
		}
	}
}

static enum ps_status fill_statistics(struct ps_load_tenant_result *r, const struct ps_sla *sla,
				      const struct ps_load_series *s,
				      struct ps_stats_effective *ret_effective)
{
	struct {
		double p;
		struct ps_stats_time_quantile *q;
	} rows[] = {{0.5, &r->p50},
		    {0.9, &r->p90},
		    {0.95, &r->p95},
		    {0.99, &r->p99},
		    {0.999, &r->p99_9}};
	bool with_sla = ps_sla_is_set(sla);
	enum ps_status st = PS_OK;
	struct ps_stats_effective other;

	for (size_t i = 0; st == PS_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
		st = quantile_at(r, s, rows[i].p, 0, rows[i].q, i == 0 ? ret_effective : &other);
	}
	if (st == PS_OK && with_sla) {
		st = quantile_at(r, s, sla->percentile, sla->limit_ns, &r->sla_quantile,
				 ret_effective);
	}
	make_coherent((struct ps_stats_time_quantile *const[]){&r->p50, &r->p90, &r->p95, &r->p99,
							       &r->p99_9, &r->sla_quantile},
		      6);
	/* With Student's correction in it: who pools results need not know of degrees of freedom.
	 */
	r->effective_ratio = ps_stats_effective_at(ret_effective, 1, (1 - PS_LOAD_CONFIDENCE) / 2);
	return st == PS_OK ? ps_stats_trend(s->t_s, s->x_ns, s->len, &r->trend) : st;
}

/* Correlation and trend are those of the first requests alone, and say nothing of the later ones:
 * what is counted over all may not be called certain by them. */
static void check_records(struct ps_load_tenant_result *r)
{
	struct ps_stats_time_quantile *all[] = {&r->p50, &r->p90,   &r->p95,
						&r->p99, &r->p99_9, &r->sla_quantile};
	uint64_t all_len = r->record_len + r->records_dropped;

	if (r->records_dropped == 0) {
		return;
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		all[i]->has_interval = false;
		all[i]->needs_more = 0;
	}
	if (r->sla_verdict != PS_LOAD_SLA_NONE) {
		r->sla_verdict = PS_LOAD_SLA_UNDECIDED;
		r->sla_needs_more = 0;
	}
	ps_load_judge_reason(r, PS_LOAD_REASON_RECORDS,
			     "only the first %zu of %llu requests were kept one by one: how the "
			     "later ones went is not known",
			     r->record_len, (unsigned long long)all_len);
}

enum ps_status ps_load_judge(struct ps_load_tenant_result *r,
			     const struct ps_load_judge_terms *terms)
{
	const struct ps_sla *sla = terms->sla;
	struct ps_stats_effective effective, failing;
	struct ps_load_series s;
	enum ps_status st = ps_load_series_init(&s, r, terms->timeout_ns);

	if (st != PS_OK) {
		return st;
	}
	st = fill_statistics(r, sla, &s, &effective);
	if (st == PS_OK) {
		/* Over every answer stand those that failed. */
		st = ps_stats_effective_over(s.x_ns, s.len, (double)r->latency.max_ns, &failing);
	}
	if (st == PS_OK) {
		r->valid = true;
		r->reason_len = 0;
		check_sent(r);
		check_rate(r);
		check_lag(r, sla);
		check_samples(r, ps_sla_is_set(sla) ? &r->sla_quantile : &r->p50);
		check_trend(r, &s);
		if (terms->cancelled) {
			ps_load_judge_reason(r, PS_LOAD_REASON_STOPPED,
					     "the run was stopped early");
		}
		judge_sla(r, terms, &effective, &failing);
		check_records(r);
	}
	ps_load_series_fini(&s);
	return st;
}
