/* json.c - the answer for programs, and what the page draws. Keys: docs/report.md. */
#include "beside_internal.h"
#include "report_internal.h"

#include "stats/special.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *interval(const struct ps_stats_interval *i, bool known)
{
	json_t *o = json_object();

	ps_json_set_real(o, "value", known ? i->value : NAN);
	ps_json_set_real(o, "low", known && i->has_interval ? i->lo : NAN);
	ps_json_set_real(o, "high", known && i->has_interval ? i->hi : NAN);
	/* null alone says that it is not known, or has no interval */
	if (known && isinf(i->value) && i->value > 0)
		ps_json_set_bool(o, "infinite", true);
	if (known && i->has_interval && isinf(i->lo))
		ps_json_set_bool(o, "open_low", true);
	if (known && i->has_interval && isinf(i->hi))
		ps_json_set_bool(o, "open_high", true);
	return o;
}

static double ms(int64_t ns)
{
	return ns == PS_HIST_INFINITE ? NAN : (double)ns / 1e6;
}

static json_t *quantile(const struct ps_stats_time_quantile *q, bool data)
{
	json_t *o = json_object();

	ps_json_set_real(o, "percentile", 100 * q->p);
	ps_json_set_real(o, "ms", data ? ms(q->value_ns) : NAN);
	ps_json_set_bool(o, "lost", data && q->value_ns == PS_HIST_INFINITE);
	ps_json_set_real(o, "low_ms", data && q->has_interval ? ms(q->lo_ns) : NAN);
	ps_json_set_real(o, "high_ms", data && q->has_interval ? ms(q->hi_ns) : NAN);
	ps_json_set_int(o, "needs_more", data && !q->has_interval ? (int64_t)q->needs_more : 0);
	return o;
}

/* Points of the curve, denser towards the tail: {"x": 1/(1-p), "y": ms}. The last is the largest
 * value; quantiles that fall on lost requests are left out. */
static json_t *curve(const struct ps_hist *h)
{
	json_t *points = json_array();
	uint64_t n = ps_hist_total(h);
	double last = 0;

	for (int i = 0; n > 0; i++) {
		double x = pow(10, i / 20.0);
		bool end = x >= (double)n;
		uint64_t rank = end ? n : ps_stats_rank(1 - 1 / x, n);
		int64_t ns = ps_hist_rank_ns(h, rank ? rank : 1);
		if (end)
			x = (double)n;
		if (ns != PS_HIST_INFINITE && x > last) {
			json_t *p = json_object();
			ps_json_set_real(p, "x", x);
			ps_json_set_real(p, "y", ms(ns));
			json_array_append_new(points, p);
			last = x;
		}
		if (end)
			break;
	}
	return points;
}

enum { MAX_CURVES = 200 }; /* each is some 3 kB of a page that shall stay small */

static json_t *line_json(const struct ps_report_answer *a, const struct ps_report_line *l,
			 bool charts)
{
	const struct ps_store_tenant *t = &a->campaign->tenants[l->tenant];
	char label[PS_REPORT_LABEL_SIZE];
	bool data = l->requests > 0;
	json_t *o = json_object();

	ps_json_set_string(o, "tenant", t->name);
	ps_json_set_string(o, "set", a->campaign->sets[l->set].name);
	ps_json_set_string(o, "label", ps_report_set_label(a, l->set, label));
	ps_json_set_bool(o, "alone", l->alone);
	json_object_set_new(o, "capacity_rps", interval(&l->capacity_rps, l->capacity_known));
	ps_json_set_bool(o, "capacity_open_below", l->open_below);
	ps_json_set_bool(o, "capacity_open_above", l->open_above);
	ps_json_set_real(o, "held_rps", l->held_rps);
	json_object_set_new(o, "usd_per_million_inferences", interval(&l->usd_per_million, true));
	ps_json_set_real(o, "compute_share", l->compute_share);
	ps_json_set_real(o, "batch", l->batch);
	ps_json_set_int(o, "trials", l->trials);
	ps_json_set_int(o, "invalid_trials", l->invalid);
	ps_json_set_int(o, "requests", (int64_t)l->requests);
	ps_json_set_int(o, "requests_over_limit", (int64_t)l->over);
	ps_json_set_int(o, "requests_failed", (int64_t)l->failed);
	ps_json_set_real(o, "effective_ratio", data ? l->effective_ratio : NAN);
	json_object_set_new(o, "share_over_limit", interval(&l->share_over, data));
	ps_json_set_real(o, "offered_rps", l->offered_rps);
	ps_json_set_real(o, "goodput_rps", l->goodput_rps);
	json_object_set_new(o, "p50", quantile(&l->p50, data));
	json_object_set_new(o, "p95", quantile(&l->p95, data));
	json_object_set_new(o, "p99", quantile(&l->p99, data));
	json_object_set_new(o, "at_sla", quantile(&l->at_sla, data));
	json_object_set_new(o, "slowdown", interval(&l->slowdown, true));
	ps_json_set_int(o, "slowdown_blocks", l->slowdown_blocks);
	ps_json_set_string(o, "verdict", ps_report_verdict_name(l->verdict));
	if (l->needs_more == UINT64_MAX)
		json_object_set_new(o, "verdict_needs_more", json_null());
	else
		ps_json_set_int(o, "verdict_needs_more", (int64_t)l->needs_more);
	if (charts && (size_t)(l - a->lines) < MAX_CURVES)
		json_object_set_new(o, "curve", curve(&l->latency));
	return o;
}

/* Processor use between neighbouring samples, memory at them. */
static json_t *timeline(const struct ps_store_trial *t)
{
	json_t *points = json_array();

	for (size_t i = 1; i < t->sample_len; i++) {
		const struct ps_store_sample *s = &t->samples[i], *b = s - 1;
		double dt = (double)s->at_ns - (double)b->at_ns;
		json_t *p = json_object();
		bool cpu = dt > 0 && s->server_cpu_ns >= 0 && b->server_cpu_ns >= 0;
		bool gen = dt > 0 && s->generator_cpu_ns >= 0 && b->generator_cpu_ns >= 0;
		int64_t memory =
			s->server_pss_bytes >= 0 ? s->server_pss_bytes : s->server_rss_bytes;

		ps_json_set_real(p, "t", (double)s->at_ns / 1e9);
		ps_json_set_real(p, "cpu",
				 cpu ? (double)(s->server_cpu_ns - b->server_cpu_ns) / dt : NAN);
		ps_json_set_real(p, "generator",
				 gen ? (double)(s->generator_cpu_ns - b->generator_cpu_ns) / dt
				     : NAN);
		ps_json_set_real(p, "mib", memory >= 0 ? (double)memory / 1048576.0 : NAN);
		json_array_append_new(points, p);
	}
	return points;
}

/* ---- series per second ---- */

enum { MAX_POINTS = 300, MAX_SERIES_SETS = 12 };

/* Sums over `each` seconds of one tenant. */
struct bin {
	double seconds, scheduled, good, failed, ok, latency_ns, max_ns;
};

static void add_second(struct bin *b, const struct ps_store_second *s)
{
	b->seconds++;
	b->scheduled += s->scheduled;
	b->good += s->good;
	b->failed += s->failed;
	b->ok += s->ok;
	b->latency_ns += (double)s->latency_sum_ns;
	b->max_ns = fmax(b->max_ns, (double)s->latency_max_ns);
}

static void append_real(json_t *o, const char *key, double v)
{
	/* a tenth of a per mille is enough for a line on a page, and keeps the page small */
	double unit = v > 0 && isfinite(v) ? pow(10, floor(log10(v)) - 4) : 1;

	json_array_append_new(json_object_get(o, key),
			      isfinite(v) ? json_real(round(v / unit) * unit) : json_null());
}

static json_t *bins_json(const struct bin *bins, int n, int tenant)
{
	static const char *const keys[] = {"offered", "good", "failed", "mean_ms", "max_ms"};
	json_t *o = json_object();

	ps_json_set_int(o, "tenant", tenant);
	for (int k = 0; k < 5; k++)
		json_object_set_new(o, keys[k], json_array());
	for (int i = 0; i < n; i++) {
		const struct bin *b = &bins[i];
		bool any = b->seconds > 0;
		append_real(o, "offered", any ? b->scheduled / b->seconds : NAN);
		append_real(o, "good", any ? b->good / b->seconds : NAN);
		append_real(o, "failed", any ? b->failed / b->seconds : NAN);
		append_real(o, "mean_ms", b->ok > 0 ? b->latency_ns / b->ok / 1e6 : NAN);
		append_real(o, "max_ms", b->ok > 0 ? b->max_ns / 1e6 : NAN);
	}
	return o;
}

static int last_second(const struct ps_store_trial *t)
{
	int last = -1;

	for (size_t i = 0; i < t->second_len; i++)
		last = t->seconds[i].second > last ? t->seconds[i].second : last;
	return last;
}

/* Per tenant what each second (or mean of `*ret_each`) of a trial saw; an empty list without. */
static json_t *seconds_json(const struct ps_store_set *set, const struct ps_store_trial *t,
			    int *ret_each)
{
	int last = last_second(t), each = last / MAX_POINTS + 1, n = last / each + 1;
	json_t *list = json_array();

	*ret_each = each;
	for (int m = 0; m < set->member_len && last >= 0; m++) {
		struct bin *bins = calloc((size_t)n, sizeof *bins);
		if (!bins) {
			json_decref(list);
			return NULL;
		}
		for (size_t i = 0; i < t->second_len; i++)
			if (t->seconds[i].tenant == set->members[m] && t->seconds[i].second >= 0)
				add_second(&bins[t->seconds[i].second / each], &t->seconds[i]);
		json_array_append_new(list, bins_json(bins, n, set->members[m]));
		free(bins);
	}
	return list;
}

/* The series of a page are those of the first sets of each size class: alone, and the largest. */
static bool is_drawn(const struct ps_report_answer *a, size_t set)
{
	for (size_t i = 0; i < a->comparison_len && i < MAX_SERIES_SETS; i++)
		if (a->comparisons[i].set == (int)set)
			return true;
	return set < MAX_SERIES_SETS && a->campaign->sets[set].member_len == 1;
}

static json_t *set_json(const struct ps_report_answer *a, size_t i, bool charts)
{
	const struct ps_store_set *set = &a->campaign->sets[i];
	const struct ps_report_set *s = &a->sets[i];
	json_t *o = json_object(), *members = json_array();
	char label[PS_REPORT_LABEL_SIZE];

	ps_json_set_string(o, "name", set->name);
	ps_json_set_string(o, "label", ps_report_set_label(a, (int)i, label));
	for (int m = 0; m < set->member_len; m++)
		json_array_append_new(members, json_integer(set->members[m]));
	json_object_set_new(o, "members", members);
	ps_json_set_int(o, "trials", s->trials);
	ps_json_set_real(o, "server_cpu_cores", s->cpu_cores);
	ps_json_set_real(o, "server_cpu_ms_per_request", s->cpu_ms_per_request);
	ps_json_set_real(o, "generator_cpu_cores", s->generator_cores);
	ps_json_set_real(o, "steal_cpus", s->steal_share);
	ps_json_set_real(o, "server_peak_rss_bytes",
			 s->peak_rss_bytes < 0 ? NAN : (double)s->peak_rss_bytes);
	ps_json_set_real(o, "server_pss_bytes", s->pss_bytes < 0 ? NAN : (double)s->pss_bytes);
	ps_json_set_string(o, "verdict", ps_report_verdict_name(s->verdict));
	ps_json_set_bool(o, "capacity_checked", s->capacity && s->capacity->checked);
	ps_json_set_bool(o, "capacity_check_met", s->capacity && s->capacity->check_met);
	if (charts && s->shown && is_drawn(a, i)) {
		int each = 1;
		json_object_set_new(o, "timeline", timeline(s->shown));
		json_object_set_new(o, "seconds", seconds_json(set, s->shown, &each));
		ps_json_set_int(o, "seconds_each", each);
	}
	return o;
}

/* ---- what the page's controls start from ---- */

static json_t *input_json(const struct ps_stats_interval *i)
{
	json_t *o = interval(i, true);

	ps_json_set_bool(o, "has_interval", i->has_interval);
	return o;
}

double ps_report_widening(int n)
{
	double error = 1 - PS_REPORT_CONFIDENCE;

	return ps_stats_normal_quantile(1 - error / (2 * n)) /
	       ps_stats_normal_quantile(1 - error / 2);
}

static json_t *case_json(const struct ps_report_answer *a, const struct ps_report_comparison *c)
{
	json_t *o = json_object(), *members = json_array(), *rays = json_array();
	json_t *alone = json_array();
	struct ps_report_case x;

	ps_report_case_of(a, c->set, &x);
	for (int i = 0; i < x.n; i++) {
		json_array_append_new(members, json_integer(a->campaign->sets[c->set].members[i]));
		json_array_append_new(rays, isfinite(x.ray_rps[i]) ? json_real(x.ray_rps[i])
								   : json_null());
		json_array_append_new(alone, input_json(&x.alone_rps[i]));
	}
	ps_json_set_string(o, "set", a->campaign->sets[c->set].name);
	json_object_set_new(o, "members", members);
	json_object_set_new(o, "ray_rps", rays);
	json_object_set_new(o, "alone_rps", alone);
	json_object_set_new(o, "scale", input_json(&x.scale));
	ps_json_set_bool(o, "held", a->sets[c->set].verdict == PS_REPORT_MET);
	ps_json_set_bool(o, "possible", c->possible);
	ps_json_set_real(o, "widening", ps_report_widening(x.n + 1));
	return o;
}

static json_t *what_if_json(const struct ps_report_answer *a)
{
	json_t *o = json_object(), *list = json_array();

	for (size_t i = 0; i < a->comparison_len; i++)
		json_array_append_new(list, case_json(a, &a->comparisons[i]));
	json_object_set_new(o, "sets", list);
	json_object_set_new(o, "sheets", ps_report_sheets_json(a));
	ps_json_set_real(o, "widening_of_two", ps_report_widening(2));
	return o;
}

static json_t *comparison_json(const struct ps_report_answer *a,
			       const struct ps_report_comparison *c)
{
	json_t *o = json_object();
	bool money = c->possible && a->has_price;

	ps_json_set_string(o, "set", a->campaign->sets[c->set].name);
	ps_json_set_string(o, "demand", c->demand_sentence);
	ps_json_set_string(o, "full_load", c->full_load_sentence);
	ps_json_set_bool(o, "on_ray", c->on_ray);
	json_object_set_new(o, "share_together", interval(&c->share, c->possible));
	json_object_set_new(o, "share_apart", interval(&c->share_apart, c->possible));
	json_object_set_new(o, "fluid_saving", interval(&c->fluid_saving, c->possible));
	json_object_set_new(o, "full_load_saving", interval(&c->full_load_saving, c->possible));
	json_object_set_new(o, "cpu_saving", interval(&c->cpu_saving, true));
	ps_json_set_int(o, "cpu_blocks", c->cpu_blocks);
	json_object_set_new(o, "machine_saving", interval(&c->machines.saving, c->possible));
	json_object_set_new(o, "machines_apart", interval(&c->machines.apart, c->possible));
	json_object_set_new(o, "machines_together", interval(&c->machines.together, c->possible));
	ps_json_set_real(o, "apart_usd_per_month", money ? c->machines.apart_usd_per_month : NAN);
	ps_json_set_real(o, "together_usd_per_month",
			 money ? c->machines.together_usd_per_month : NAN);
	return o;
}

static json_t *tenants_json(const struct ps_store_campaign *c)
{
	json_t *list = json_array();
	char sla[PS_SLA_SIZE];

	for (size_t i = 0; i < c->tenant_len; i++) {
		const struct ps_store_tenant *t = &c->tenants[i];
		json_t *o = json_object();
		ps_json_set_string(o, "name", t->name);
		ps_json_set_string(o, "model", t->model);
		ps_json_set_real(o, "demand_rps", t->demand_rps);
		ps_json_set_string(o, "sla", ps_sla_format(&t->sla, sla));
		ps_json_set_real(o, "sla_percentile", 100 * t->sla.percentile);
		ps_json_set_real(o, "sla_limit_ms", (double)t->sla.limit_ns / 1e6);
		ps_json_set_real(o, "sla_min_success", t->sla.min_success);
		json_array_append_new(list, o);
	}
	return list;
}

static double stated(double usd)
{
	return usd > 0 ? usd : NAN;
}

/* What the row of the sheet said besides; null: it does not state it, or the store is of a version
 * that did not keep it (then billed_per is null, too). */
static void set_terms(json_t *o, const struct ps_store_terms *t)
{
	bool kept = t->billed_per != NULL;

	ps_json_set_string(o, "billed_per", t->billed_per);
	ps_json_set_real(o, "minimum_s", kept ? (double)t->minimum_ns / 1e9 : NAN);
	ps_json_set_real(o, "spot_usd_per_hour", stated(t->spot_usd_per_hour));
	ps_json_set_real(o, "reserved_1y_usd_per_hour", stated(t->reserved_1y_usd_per_hour));
	ps_json_set_string(o, "gpu_kind", t->gpu_kind);
	ps_json_set_real(o, "gpu_count", kept ? (double)t->gpu_count : NAN);
	ps_json_set_string(o, "currency", t->currency);
	ps_json_set_real(o, "exchange_usd", stated(t->exchange_usd));
	ps_json_set_string(o, "exchange_source", t->exchange_source);
	ps_json_set_string(o, "exchange_date", t->exchange_date);
}

static json_t *price_json(const struct ps_report_answer *a)
{
	const struct ps_store_price *p = &a->campaign->price;
	json_t *o;

	if (!a->has_price)
		return json_null();
	o = json_object();
	ps_json_set_string(o, "provider", p->provider);
	ps_json_set_string(o, "region", p->region);
	ps_json_set_string(o, "instance_type", p->instance_type);
	ps_json_set_real(o, "vcpu", p->vcpu);
	ps_json_set_real(o, "memory_gib", p->memory_gib);
	ps_json_set_real(o, "usd_per_hour", p->usd_per_hour);
	ps_json_set_string(o, "source", p->source);
	ps_json_set_string(o, "source_date", p->source_date);
	set_terms(o, &p->terms);
	return o;
}

static json_t *manifest_json(const struct ps_store_campaign *c)
{
	json_t *v = NULL;

	if (c->manifest_json)
		ps_json_parse(c->manifest_json, strlen(c->manifest_json), &v, NULL);
	return v ? v : json_null();
}

static json_t *value_json(const struct ps_report_column *c, const struct ps_report_value *v)
{
	if (c->kind == PS_REPORT_TEXT)
		return json_string(v->text);
	if (c->interval) {
		json_t *o = interval(&v->v, true);
		if (v->open_below)
			ps_json_set_bool(o, "open_low", true);
		if (v->open_above)
			ps_json_set_bool(o, "open_high", true);
		return o;
	}
	return isfinite(v->v.value) ? json_real(v->v.value) : json_null();
}

json_t *ps_report_table_json(const struct ps_report_table *t)
{
	json_t *list = json_array();

	for (size_t r = 0; r < t->row_len; r++) {
		json_t *o = json_object();
		for (int c = 0; c < t->column_len; c++)
			json_object_set_new(
				o, t->columns[c].key,
				value_json(&t->columns[c],
					   &t->values[r * (size_t)t->column_len + (size_t)c]));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *ps_report_json(const struct ps_report_answer *a, bool charts)
{
	const struct ps_store_campaign *c = a->campaign;
	json_t *o = json_object(), *list;

	ps_json_set_string(o, "campaign", c->name);
	ps_json_set_int(o, "id", c->id);
	ps_json_set_int(o, "started_unix_ms", c->started_wall_ns / 1000000);
	ps_json_set_int(o, "finished_unix_ms", c->finished_wall_ns / 1000000);
	ps_json_set_string(o, "verdict", a->verdict);
	ps_json_set_real(o, "confidence", PS_REPORT_CONFIDENCE);
	ps_json_set_int(o, "cells_done", a->cells_done);
	ps_json_set_int(o, "cells_failed", a->cells_failed);
	ps_json_set_int(o, "cells_open", a->cells_open);
	ps_json_set_string(o, "slice_cpus", c->slice_cpus);
	ps_json_set_int(o, "slice_memory_bytes", c->slice_memory_bytes);
	json_object_set_new(o, "price", price_json(a));
	json_object_set_new(o, "tenants", tenants_json(c));
	json_object_set_new(o, "lines", list = json_array());
	for (size_t i = 0; i < a->line_len; i++)
		json_array_append_new(list, line_json(a, &a->lines[i], charts));
	json_object_set_new(o, "sets", list = json_array());
	for (size_t i = 0; i < c->set_len; i++)
		json_array_append_new(list, set_json(a, i, charts));
	json_object_set_new(o, "comparisons", list = json_array());
	for (size_t i = 0; i < a->comparison_len; i++)
		json_array_append_new(list, comparison_json(a, &a->comparisons[i]));
	for (int i = 0; i < PS_REPORT_TABLES; i++)
		json_object_set_new(o, a->tables[i].name, ps_report_table_json(&a->tables[i]));
	json_object_set_new(o, "warnings", list = json_array());
	for (size_t i = 0; i < a->warning_len; i++)
		json_array_append_new(list, json_string(a->warnings[i]));
	json_object_set_new(o, "manifest", manifest_json(c));
	json_object_set_new(o, "plan", a->plan ? ps_report_plan_json(a->plan) : json_null());
	json_object_set_new(o, "predictions",
			    a->plan ? ps_report_predictions_json(a->plan) : json_array());
	json_object_set_new(o, "published", ps_report_beside_json(a));
	json_object_set_new(o, "policies",
			    a->policies ? json_incref((json_t *)a->policies) : json_null());
	if (charts)
		json_object_set_new(o, "what_if", what_if_json(a));
	return o;
}
