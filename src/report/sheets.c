/* sheets.c - rows of price sheets for the page's controls, each with what to know before it is
 * believed: another machine than the slice, or an old price. */
#include "report_internal.h"

#include "base/cpus.h"

#include <math.h>

static double slice_vcpu(const struct ps_store_campaign *c)
{
	struct ps_cpus cpus;

	if (ps_cpus_parse(c->slice_cpus ? c->slice_cpus : "", &cpus, NULL) != PS_OK)
		return 0;
	return ps_cost_slice_vcpu(ps_cpus_count(&cpus), c->slice_cpu_quota);
}

static double stated(double v)
{
	return v > 0 ? v : NAN;
}

/* Sentences, by the day of the campaign: the same store gives the same page on any day. */
static void set_warnings(json_t *o, const struct ps_store_campaign *c,
			 const struct ps_cost_price *p)
{
	char text[PS_COST_WARNING_SIZE];
	json_t *list = json_array();

	if (ps_cost_slice_warning(p, slice_vcpu(c), c->slice_memory_bytes, text))
		json_array_append_new(list, json_string(text));
	if (c->started_wall_ns > 0 &&
	    ps_cost_age_warning(p, ps_cost_date_of(c->started_wall_ns), text))
		json_array_append_new(list, json_string(text));
	json_object_set_new(o, "warnings", list);
}

static json_t *row_json(const struct ps_store_campaign *c, const struct ps_cost_price *p)
{
	json_t *o = json_object();

	ps_json_set_string(o, "provider", p->provider);
	ps_json_set_string(o, "region", p->region);
	ps_json_set_string(o, "instance_type", p->instance_type);
	ps_json_set_real(o, "usd_per_hour", stated(p->on_demand_usd_per_hour));
	ps_json_set_real(o, "spot_usd_per_hour", stated(p->spot_usd_per_hour));
	ps_json_set_string(o, "source", p->source);
	ps_json_set_string(o, "source_date", p->source_date);
	set_warnings(o, c, p);
	return o;
}

json_t *ps_report_sheets_json(const struct ps_report_answer *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < a->sheet_len; i++) {
		const struct ps_cost_sheet *s = a->sheets[i].sheet;
		const struct ps_cost_price *prices = s->prices.items;
		json_t *o = json_object(), *list = json_array();
		for (size_t k = 0; k < s->prices.len; k++)
			json_array_append_new(list, row_json(a->campaign, &prices[k]));
		ps_json_set_string(o, "name", a->sheets[i].name);
		json_object_set_new(o, "rows", list);
		json_array_append_new(all, o);
	}
	return all;
}
