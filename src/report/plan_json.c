/* plan_json.c - the plan and the predictions for the page and for programs. */
#include "report/plan.h"

#include <math.h>

static json_t *interval(const struct ps_stats_interval *i)
{
	json_t *o = json_object();

	ps_json_set_real(o, "value", i->value);
	ps_json_set_real(o, "low", i->has_interval ? i->lo : NAN);
	ps_json_set_real(o, "high", i->has_interval ? i->hi : NAN);
	if (i->has_interval && isinf(i->lo))
		ps_json_set_bool(o, "open_low", true);
	if (i->has_interval && isinf(i->hi))
		ps_json_set_bool(o, "open_high", true);
	return o;
}

static json_t *proved_json(const struct ps_report_plan *p)
{
	json_t *o, *list;

	if (!p->proved_verdict[0])
		return json_null();
	o = json_object();
	ps_json_set_string(o, "verdict", p->proved_verdict);
	ps_json_set_string(o, "sentence", p->proved_sentence);
	json_object_set_new(o, "measured", list = json_array());
	for (size_t i = 0; i < p->proved_len && i < PS_REPORT_PLAN_SHOWN; i++) {
		const struct ps_report_proved *x = &p->proved[i];
		json_t *v = json_object();
		ps_json_set_string(v, "machines", x->machines);
		ps_json_set_string(v, "instance_type", x->instance_type);
		ps_json_set_string(v, "tenant", x->tenant);
		ps_json_set_string(v, "verdict", x->verdict);
		ps_json_set_real(v, "percentile", x->percentile);
		ps_json_set_real(v, "limit_ms", x->limit_ms);
		ps_json_set_real(v, "foreseen_ms", x->foreseen_ms);
		ps_json_set_real(v, "foreseen_high_ms", x->foreseen_high_ms);
		json_object_set_new(v, "measured_ms", interval(&x->measured_ms));
		ps_json_set_bool(v, "never", isinf(x->measured_ms.value));
		ps_json_set_real(v, "goodput_rps", x->goodput_rps);
		ps_json_set_real(v, "usd_per_hour", x->usd_per_hour);
		ps_json_set_real(v, "usd_per_million_good", x->usd_per_million_good);
		ps_json_set_string(v, "why", x->why[0] ? x->why : NULL);
		json_array_append_new(list, v);
	}
	return o;
}

static json_t *guests_json(const struct ps_report_plan *p, const struct ps_report_plan_machine *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->guest_len; i++) {
		const struct ps_report_plan_guest *g = &m->guests[i];
		json_t *o = json_object();
		ps_json_set_string(o, "tenant", p->tenants[g->tenant].name);
		ps_json_set_real(o, "rps", g->rps);
		ps_json_set_real(o, "share", g->share);
		ps_json_set_real(o, "load", g->load);
		ps_json_set_real(o, "percentile", isnan(g->percentile) ? 0.99 : g->percentile);
		ps_json_set_real(o, "p99_ms", g->p99_ms);
		ps_json_set_real(o, "p99_high_ms", g->p99_high_ms);
		ps_json_set_real(o, "limit_ms", g->limit_ms);
		ps_json_set_real(o, "headroom", g->headroom);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *placement_json(const struct ps_report_plan *p, const struct ps_report_placement *x)
{
	json_t *o, *list;

	if (!x->known)
		return json_null();
	o = json_object();
	ps_json_set_real(o, "usd_per_hour", x->usd_per_hour);
	ps_json_set_int(o, "machine_count", x->machine_count);
	ps_json_set_bool(o, "cut", x->machine_len > PS_REPORT_PLAN_SHOWN);
	json_object_set_new(o, "machines", list = json_array());
	for (size_t i = 0; i < x->machine_len && i < PS_REPORT_PLAN_SHOWN; i++) {
		const struct ps_report_plan_machine *m = &x->machines[i];
		json_t *v = json_object();
		ps_json_set_string(v, "name", m->name);
		ps_json_set_string(v, "instance_type", m->instance_type);
		ps_json_set_string(v, "market", m->market);
		ps_json_set_int(v, "count", m->count);
		ps_json_set_real(v, "usd_per_hour", m->usd_per_hour);
		ps_json_set_real(v, "load", m->load);
		ps_json_set_real(v, "memory_bytes", m->memory_bytes);
		ps_json_set_real(v, "memory_used_bytes", m->memory_used_bytes);
		json_object_set_new(v, "tenants", guests_json(p, m));
		json_array_append_new(list, v);
	}
	return o;
}

json_t *ps_report_plan_json(const struct ps_report_plan *p)
{
	json_t *o, *all;

	if (!p->placements[PS_REPORT_PLANNED].known)
		return json_null();
	o = json_object();
	ps_json_set_string(o, "name", p->name);
	ps_json_set_string(o, "verdict", p->verdict);
	ps_json_set_string(o, "proof", p->proof);
	ps_json_set_real(o, "bound_usd_per_hour", p->bound_usd_per_hour);
	ps_json_set_real(o, "gap", p->gap);
	json_object_set_new(o, "verification", proved_json(p));
	json_object_set_new(o, "placements", all = json_object());
	for (int i = 0; i < PS_REPORT_PLACEMENTS; i++)
		json_object_set_new(all, ps_report_placement_name(i),
				    placement_json(p, &p->placements[i]));
	return o;
}

json_t *ps_report_predictions_json(const struct ps_report_plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->prediction_len; i++) {
		const struct ps_report_prediction *x = &p->predictions[i];
		json_t *o = json_object();
		ps_json_set_string(o, "what", x->what);
		ps_json_set_string(o, "unit", x->unit);
		json_object_set_new(o, "predicted", interval(&x->predicted));
		json_object_set_new(o, "measured", interval(&x->measured));
		json_array_append_new(list, o);
	}
	return list;
}
