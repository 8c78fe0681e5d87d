/* report_break_even_show.c - a break-even as text, JSON and CSV. */
#include "report_break_even_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_SIZE = 120 };

/* ---- text ---- */

/* The name of a type in a sentence: two campaigns may be priced as the same one. */
static const char *label(const struct ps_cli_break_even *r, int i, char buf[LABEL_SIZE])
{
	bool same = strcmp(r->types[0].name, r->types[1].name) == 0;

	snprintf(buf, LABEL_SIZE, "%.100s%s", r->types[i].name,
		 !same	  ? ""
		 : i == 0 ? " (the first)"
			  : " (the second)");
	return buf;
}

/* An end that the data do not bound is open. */
static void put_interval(const struct ps_stats_interval *i, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "%.4g", i->value);
	if (!i->has_interval || i->lo == i->hi)
		return;
	ps_strbuf_printf(out, " [%.4g, ", i->lo);
	if (isfinite(i->hi))
		ps_strbuf_printf(out, "%.4g]", i->hi);
	else
		ps_strbuf_puts(out, "open]");
}

/* "together (resnet50 66.7 %, inception-v3 33.3 %)" */
static void put_subject(const struct ps_cli_even_subject *u, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, u->name);
	for (int i = 0; i < u->len; i++)
		ps_strbuf_printf(out, "%s%s %.1f %%", i ? ", " : " (", u->members[i].tenant,
				 100 * u->members[i].share);
	ps_strbuf_puts(out, u->len ? ")" : "");
}

static void put_types(const struct ps_cli_break_even *r, struct ps_strbuf *out)
{
	char name[LABEL_SIZE];

	for (int i = 0; i < 2; i++) {
		const struct ps_cost_type *t = &r->types[i];
		struct ps_stats_interval million =
			ps_cost_usd_per_million(t->usd_per_hour, t->capacity_rps);
		ps_strbuf_printf(out, "%s: ", label(r, i, name));
		put_interval(&t->capacity_rps, out);
		ps_strbuf_puts(out, " requests/s of ");
		put_subject(r->subject, out);
		ps_strbuf_printf(out, "%s at $%.6g/h, $ per million requests ",
				 i == 1 && r->stated ? " (stated, not measured)" : "",
				 t->usd_per_hour);
		put_interval(&million, out);
		ps_strbuf_putc(out, '\n');
	}
}

static void put_fluid(const struct ps_cli_break_even *r, struct ps_strbuf *out)
{
	struct ps_stats_interval ratio = ps_cost_fluid_ratio(r->types);
	char name[LABEL_SIZE];

	ps_strbuf_printf(out, "In parts of machines %s costs ", label(r, 0, name));
	put_interval(&ratio, out);
	ps_strbuf_printf(out, " times what %s costs, at any rate", label(r, 1, name));
	if (!ratio.has_interval || (ratio.lo <= 1 && ratio.hi >= 1))
		ps_strbuf_puts(out, ": which is cheaper was not shown");
	ps_strbuf_puts(out, ".\n");
}

static void put_crossings(const struct ps_cli_break_even *r, struct ps_strbuf *out)
{
	double a = r->types[0].usd_per_hour, b = r->types[1].usd_per_hour; /* one of each */
	char name[LABEL_SIZE];
	size_t shown =
		r->crossing_len < PS_CLI_MAX_CROSSINGS ? r->crossing_len : PS_CLI_MAX_CROSSINGS;

	ps_strbuf_printf(out,
			 "In whole machines, up to %.6g requests/s: at low rates %s is cheaper",
			 r->up_to, a == b ? "neither" : label(r, a > b, name));
	ps_strbuf_puts(out, r->crossing_len ? ";\n" : ", and it stays so.\n");
	for (size_t i = 0; i < shown; i++) {
		const struct ps_cost_crossing *x = &r->crossings[i];
		ps_strbuf_puts(out, "  above ");
		put_interval(&x->rate_rps, out);
		if (x->then)
			ps_strbuf_printf(out, " requests/s %s", label(r, x->then > 0, name));
		else
			ps_strbuf_puts(out, " requests/s they cost the same");
		ps_strbuf_puts(out, x->sure ? "\n"
					    : " (not sure: the order of the steps is not known "
					      "that well)\n");
	}
	if (shown < r->crossing_len)
		ps_strbuf_printf(out, "  and %zu more\n", r->crossing_len - shown);
}

void ps_cli_break_even_text(const struct ps_cli_break_even *r, struct ps_strbuf *out)
{
	put_types(r, out);
	put_fluid(r, out);
	put_crossings(r, out);
}

/* ---- JSON and CSV ---- */

static const char *side_name(int which)
{
	return which == 0 ? "equal" : which < 0 ? "first" : "second";
}

static const char *cheaper(const struct ps_cli_break_even *r, int which)
{
	return which == 0 ? "equal" : r->types[which > 0].name;
}

static json_t *interval_json(const struct ps_stats_interval *i)
{
	json_t *o = json_object();

	ps_json_set_real(o, "value", i->value);
	ps_json_set_real(o, "low", i->has_interval ? i->lo : NAN);
	ps_json_set_real(o, "high", i->has_interval ? i->hi : NAN);
	return o;
}

static double rate_at(const struct ps_cli_break_even *r, size_t i)
{
	return r->up_to * (double)i / (double)(r->points - 1);
}

static json_t *type_json(const struct ps_cli_break_even *r, int i)
{
	const struct ps_cost_type *t = &r->types[i];
	struct ps_stats_interval million =
		ps_cost_usd_per_million(t->usd_per_hour, t->capacity_rps);
	json_t *o = json_object();

	ps_json_set_string(o, "instance_type", t->name);
	ps_json_set_real(o, "usd_per_hour", t->usd_per_hour);
	json_object_set_new(o, "capacity_rps", interval_json(&t->capacity_rps));
	ps_json_set_bool(o, "stated", i == 1 && r->stated);
	json_object_set_new(o, "usd_per_million_requests", interval_json(&million));
	return o;
}

static json_t *point_json(const struct ps_cli_break_even *r, size_t i)
{
	struct ps_cost_point p = ps_cost_point_at(r->types, rate_at(r, i));
	json_t *o = json_object();

	ps_json_set_real(o, "rps", p.rate_rps);
	json_object_set_new(o, "first_usd_per_hour", interval_json(&p.whole[0]));
	json_object_set_new(o, "second_usd_per_hour", interval_json(&p.whole[1]));
	json_object_set_new(o, "first_fluid_usd_per_hour", interval_json(&p.fluid[0]));
	json_object_set_new(o, "second_fluid_usd_per_hour", interval_json(&p.fluid[1]));
	return o;
}

static json_t *crossing_json(const struct ps_cli_break_even *r, size_t i)
{
	const struct ps_cost_crossing *x = &r->crossings[i];
	json_t *o = json_object();

	json_object_set_new(o, "rps", interval_json(&x->rate_rps));
	ps_json_set_string(o, "before", cheaper(r, x->before));
	ps_json_set_string(o, "before_side", side_name(x->before));
	ps_json_set_string(o, "then", cheaper(r, x->then));
	ps_json_set_string(o, "then_side", side_name(x->then));
	ps_json_set_bool(o, "sure", x->sure);
	return o;
}

/* Of a set: the mix of its requests. */
static json_t *mix_json(const struct ps_cli_even_subject *u)
{
	json_t *list = json_array();

	for (int i = 0; i < u->len; i++) {
		json_t *o = json_object();
		ps_json_set_string(o, "tenant", u->members[i].tenant);
		ps_json_set_real(o, "share", u->members[i].share);
		json_array_append_new(list, o);
	}
	return list;
}

json_t *ps_cli_break_even_json(const struct ps_cli_break_even *r)
{
	struct ps_stats_interval ratio = ps_cost_fluid_ratio(r->types);
	json_t *o = json_object(), *list;

	ps_json_set_string(o, "tenant", r->subject->is_set ? NULL : r->subject->name);
	ps_json_set_string(o, "set", r->subject->is_set ? r->subject->name : NULL);
	json_object_set_new(o, "mix", mix_json(r->subject));
	json_object_set_new(o, "first", type_json(r, 0));
	json_object_set_new(o, "second", type_json(r, 1));
	json_object_set_new(o, "fluid_ratio", interval_json(&ratio));
	ps_json_set_real(o, "up_to_rps", r->up_to);
	ps_json_set_int(o, "crossings_in_all", (int64_t)r->crossing_len);
	json_object_set_new(o, "crossings", list = json_array());
	for (size_t i = 0; i < r->crossing_len && i < PS_CLI_MAX_CROSSINGS; i++)
		json_array_append_new(list, crossing_json(r, i));
	json_object_set_new(o, "curve", list = json_array());
	for (size_t i = 0; i < r->points; i++)
		json_array_append_new(list, point_json(r, i));
	return o;
}

/* An end that is not bounded is an empty field. */
static void put_real(double v, struct ps_strbuf *out)
{
	ps_strbuf_putc(out, ',');
	if (isfinite(v))
		ps_strbuf_printf(out, "%.10g", v);
}

void ps_cli_break_even_csv(const struct ps_cli_break_even *r, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "rps,first_usd_per_hour,first_usd_per_hour_low,first_usd_per_hour_high,"
			    "second_usd_per_hour,second_usd_per_hour_low,second_usd_per_hour_high,"
			    "first_fluid_usd_per_hour,first_fluid_usd_per_hour_low,"
			    "first_fluid_usd_per_hour_high,second_fluid_usd_per_hour,"
			    "second_fluid_usd_per_hour_low,second_fluid_usd_per_hour_high\r\n");
	for (size_t i = 0; i < r->points; i++) {
		struct ps_cost_point p = ps_cost_point_at(r->types, rate_at(r, i));
		const struct ps_stats_interval *all[] = {&p.whole[0], &p.whole[1], &p.fluid[0],
							 &p.fluid[1]};
		ps_strbuf_printf(out, "%.10g", p.rate_rps);
		for (int k = 0; k < 4; k++) {
			put_real(all[k]->value, out);
			put_real(all[k]->has_interval ? all[k]->lo : NAN, out);
			put_real(all[k]->has_interval ? all[k]->hi : NAN, out);
		}
		ps_strbuf_puts(out, "\r\n");
	}
}
