/* bill_options.c - what the two bills in money share. */
#include "bill_options_internal.h"

#include "report_verbs_internal.h"

#include <math.h>

struct weight {
	double memory;
};

static const struct ps_conf_option weight_rows[] = {
	{.name = "memory-weight",
	 .type = PS_CONF_RATIO,
	 .offset = offsetof(struct weight, memory),
	 .help = "The part of the cost that is split by memory over time.",
	 .def = "50%"},
	{0},
};

static const struct ps_conf_schema weight_schema = {
	.name = "bill",
	.summary = "The weights of a bill.",
	.options = weight_rows,
	.size = sizeof(struct weight),
	.where_offset = SIZE_MAX,
};

/* A row with a default could not tell whether it was given; the bill without money refuses it. */
static enum ps_status read_weight(const struct ps_cli_bill_options *o, double *ret_weight,
				  struct ps_error *err)
{
	char name[] = "--memory-weight", *argv[] = {name, o->memory_weight};
	struct weight w;
	bool help = false;
	enum ps_status st =
		ps_conf_parse_args(&weight_schema, o->memory_weight ? 2 : 0, argv, &w, &help, err);

	if (st == PS_OK)
		*ret_weight = w.memory;
	return st;
}

enum ps_status ps_cli_bill_machine(const struct ps_cli_bill_options *o,
				   const struct ps_cli_pricing *p,
				   const struct ps_cost_price *price, struct ps_cost_bill *b,
				   struct ps_error *err)
{
	b->price = price;
	b->mix = p->mix;
	b->vcpu = o->vcpu > 0 ? o->vcpu : price->vcpu;
	b->memory_bytes =
		o->memory_bytes > 0 ? o->memory_bytes : llround(price->memory_gib * 1073741824.0);
	b->account = o->account ? o->account : "default";
	return read_weight(o, &b->memory_weight, err);
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
