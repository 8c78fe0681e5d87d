/* plan_prices.c - where the prices of a plan are from, and how old they are. */
#include "cli/plan_out_internal.h"
#include "cli/price_options_internal.h"

static bool is_rented(const struct ps_plan_answer *a, int type)
{
	for (int i = 0; i < a->result.plan.n; i++)
		if (a->machines[i].type == type)
			return true;
	return false;
}

/* On demand and spot are two types of one row. */
static bool is_first_of_row(const struct ps_plan_answer *a, int type)
{
	for (int i = 0; i < type; i++)
		if (a->c->types[i].price == a->c->types[type].price && is_rented(a, i))
			return false;
	return is_rented(a, type);
}

void ps_cli_plan_prices_warn(const struct ps_plan_answer *a, struct ps_cost_date today)
{
	for (int i = 0; i < a->c->n_types; i++)
		if (is_first_of_row(a, i))
			ps_cli_warn_price(today, a->c->types[i].price);
}

static void put_row(const struct ps_cost_price *p, struct ps_cost_date today, struct ps_strbuf *out)
{
	char text[PS_COST_WARNING_SIZE];

	ps_strbuf_printf(out, "  %s/%s", p->provider, p->instance_type);
	if (p->region)
		ps_strbuf_printf(out, " in %s", p->region);
	ps_strbuf_printf(out, ", %s: %s\n", p->source_date, p->source);
	if (p->exchange)
		ps_strbuf_printf(out, "    in %s, converted by a rate of %s: %s\n",
				 p->exchange->currency, p->exchange->source_date,
				 p->exchange->source);
	if (ps_cost_age_warning(p, today, text))
		ps_strbuf_printf(out, "    WARNING: %s\n", text);
}

void ps_cli_plan_prices_text(const struct ps_plan_answer *a, struct ps_cost_date today,
			     struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "\nPrices are from:\n");
	for (int i = 0; i < a->c->n_types; i++)
		if (is_first_of_row(a, i))
			put_row(a->c->types[i].price, today, out);
}

static json_t *row_json(const struct ps_cost_price *p, struct ps_cost_date today)
{
	char text[PS_COST_WARNING_SIZE];
	json_t *o = json_object();

	ps_json_set_string(o, "provider", p->provider);
	ps_json_set_string(o, "region", p->region);
	ps_json_set_string(o, "instance_type", p->instance_type);
	ps_json_set_string(o, "source", p->source);
	ps_json_set_string(o, "source_date", p->source_date);
	if (p->exchange)
		ps_json_set_string(o, "exchange_date", p->exchange->source_date);
	if (ps_cost_age_warning(p, today, text))
		ps_json_set_string(o, "warning", text);
	return o;
}

json_t *ps_cli_plan_prices_json(const struct ps_plan_answer *a, struct ps_cost_date today)
{
	json_t *all = json_array();

	for (int i = 0; i < a->c->n_types; i++)
		if (is_first_of_row(a, i))
			json_array_append_new(all, row_json(a->c->types[i].price, today));
	return all;
}
