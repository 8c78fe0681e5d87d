/* bill_options.c - what the two bills in money share. */
#include "bill_options_internal.h"

#include "report_verbs_internal.h"

#include <math.h>

void ps_cli_bill_machine(const struct ps_cli_bill_options *o, const struct ps_cli_pricing *p,
			 const struct ps_cost_price *price, struct ps_cost_bill *b)
{
	b->price = price;
	b->mix = p->mix;
	b->vcpu = o->vcpu > 0 ? o->vcpu : price->vcpu;
	b->memory_bytes =
		o->memory_bytes > 0 ? o->memory_bytes : llround(price->memory_gib * 1073741824.0);
	b->memory_weight = o->memory_weight;
	b->account = o->account;
}

enum ps_status ps_cli_bill_print(struct ps_cost_bill *b, bool json, bool csv, struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st = ps_cost_bill_split(b, err);

	if (st != PS_OK)
		return st;
	if (json)
		return ps_cli_print_json(ps_cost_bill_json(b), err);
	ps_strbuf_init(&out);
	if (csv)
		ps_cost_bill_focus(b, &out);
	else
		ps_cost_bill_text(b, &out);
	st = ps_cli_out_print(&out, err);
	ps_strbuf_fini(&out);
	return st;
}
