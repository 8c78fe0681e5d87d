/* rnn_text.c - an exploration as tables and as JSON. */
#include "base/units.h"
#include "cli/rnn_internal.h"

#include <stdio.h>

#define MOST_LINES 20 /* of a front in text; JSON has all */

/* Three digits; steps of small layers take nanoseconds. */
static const char *time_text(double s, char buf[PS_UNITS_SIZE])
{
	return ps_units_format_duration((int64_t)(s * 1e9 + 0.5), buf);
}

static void machine_line(const struct ps_spatial_machine *m, struct ps_strbuf *out)
{
	char size[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "on %s: ", m->name);
	if (m->kind == PS_SPATIAL_CORES)
		ps_strbuf_printf(out, "%lld core%s%s%s\n", (long long)m->units,
				 m->units == 1 ? "" : "s", m->measured_on[0] ? "; measured: " : "",
				 m->measured_on);
	else
		ps_strbuf_printf(out,
				 "%lld compute units of %lld lanes, %lld memory units of %s, %.4g "
				 "GHz\n",
				 (long long)m->units, (long long)m->lanes, (long long)m->memories,
				 ps_units_format_bytes(m->memory_bytes, size), m->clock_hz / 1e9);
}

/* Of operations per second. */
static const char *rate(double ops, double s, char buf[PS_UNITS_SIZE])
{
	double giga = ops / s / 1e9;

	snprintf(buf, PS_UNITS_SIZE, giga < 1000 ? "%.4g" : "%.0f", giga);
	return buf;
}

static void array_head(struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "%7s %8s %10s %6s %7s %5s %8s %9s %10s %8s %8s\n", "units",
			 "memories", "weights", "tiles", "per sum", "width", "padding", "cyc/step",
			 "latency", "Gop/s", "of h*R");
}

static void array_line(const struct ps_spatial_point *p, struct ps_strbuf *out)
{
	char size[PS_UNITS_SIZE], time[PS_UNITS_SIZE], ops[PS_UNITS_SIZE];
	char recurrent[PS_UNITS_SIZE];
	const struct ps_spatial_cost *c = &p->cost;

	ps_strbuf_printf(out, "%7lld %8lld %10s %6lld %7lld %5lld %6.1f %% %9.0f %10s %8s %8s\n",
			 (long long)c->units, (long long)c->memories,
			 ps_units_format_bytes(c->weight_bytes, size), (long long)p->map.owners,
			 (long long)p->map.reduce, (long long)p->map.width, 100 * c->fragmentation,
			 c->cycles_per_step, time_text(c->latency_s, time),
			 rate(c->ops, c->latency_s, ops),
			 rate(c->recurrent_ops, c->latency_s, recurrent));
}

static void cores_head(struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "%7s %10s %11s %5s %9s %9s %9s %9s %9s %9s %7s %7s\n", "threads",
			 "each holds", "direction", "rows", "compute", "read", "exchange", "step",
			 "x*W", "latency", "Gop/s", "of h*R");
}

static void cores_line(const struct ps_spatial_point *p, struct ps_strbuf *out)
{
	char t[6][PS_UNITS_SIZE], size[PS_UNITS_SIZE], ops[PS_UNITS_SIZE];
	char recurrent[PS_UNITS_SIZE];
	const struct ps_spatial_cost *c = &p->cost;

	ps_strbuf_printf(out, "%7lld %10s %11s %5lld %9s %9s %9s %9s %9s %9s %7s %7s\n",
			 (long long)p->map.owners, ps_units_format_bytes(c->slice_bytes, size),
			 p->map.alternate ? "alternating" : "forward", (long long)p->map.rows,
			 time_text(c->compute_s, t[0]), time_text(c->read_s, t[1]),
			 time_text(c->exchange_s, t[2]), time_text(c->step_s, t[3]),
			 time_text(c->inputs_s, t[4]), time_text(c->latency_s, t[5]),
			 rate(c->ops, c->latency_s, ops),
			 rate(c->recurrent_ops, c->latency_s, recurrent));
}

static void precision_table(const struct ps_cli_rnn_explored *e, enum ps_spatial_precision which,
			    struct ps_strbuf *out)
{
	bool array = e->machine.kind == PS_SPATIAL_ARRAY;
	size_t all, front, shown = 0;

	ps_cli_rnn_count(&e->points, which, &all, &front);
	if (all == 0)
		return;
	ps_strbuf_printf(out, "\n%s: %zu mappings fit, %zu of them on the front\n",
			 ps_spatial_precision_name(which), all, front);
	(array ? array_head : cores_head)(out);
	for (size_t i = 0; i < e->points.len && shown < MOST_LINES; i++) {
		const struct ps_spatial_point *p = &e->points.items[i];
		if (p->map.precision != which || !p->front)
			continue;
		(array ? array_line : cores_line)(p, out);
		shown++;
	}
	if (front > shown)
		ps_strbuf_printf(out, "(%zu more, slower with less; --json has all)\n",
				 front - shown);
}

void ps_cli_rnn_text(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out)
{
	ps_cli_rnn_layer_text(&e->layer, out);
	ps_strbuf_putc(out, '\n');
	machine_line(&e->machine, out);
	ps_strbuf_printf(out, "%zu mappings tried; %zu want more units, %zu more memory\n",
			 e->points.tried, e->points.without_units, e->points.without_memory);
	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++)
		precision_table(e, (enum ps_spatial_precision)p, out);
	ps_strbuf_puts(out, "\nGop/s: operations of x * W and h * R per second of latency, 2 per "
			    "product; of h*R: those of h * R alone.\n");
}

/* ---- JSON ---- */

static json_t *layer_json(const struct ps_spatial_layer *l)
{
	json_t *o = json_object();

	ps_json_set_string(o, "cell", ps_spatial_cell_name(l->cell));
	if (l->cell == PS_SPATIAL_GRU)
		ps_json_set_bool(o, "linear_before_reset", !l->classic);
	ps_json_set_int(o, "hidden", l->hidden);
	ps_json_set_int(o, "inputs", l->inputs);
	ps_json_set_int(o, "steps", l->steps);
	ps_json_set_int(o, "batch", l->batch);
	return o;
}

static json_t *point_json(const struct ps_spatial_machine *m, const struct ps_spatial_point *p)
{
	const struct ps_spatial_cost *c = &p->cost;
	json_t *o = json_object();

	ps_json_set_int(o, "units", c->units);
	if (m->kind == PS_SPATIAL_ARRAY) {
		ps_json_set_int(o, "memories", c->memories);
		ps_json_set_int(o, "tiles", p->map.owners);
		ps_json_set_int(o, "units_per_sum", p->map.reduce);
		ps_json_set_int(o, "width", p->map.width);
		ps_json_set_real(o, "cycles_per_step", c->cycles_per_step);
	} else {
		ps_json_set_bool(o, "alternating", p->map.alternate);
		ps_json_set_int(o, "rows", p->map.rows);
		ps_json_set_real(o, "inputs_s", c->inputs_s);
	}
	ps_json_set_int(o, "weight_bytes", c->weight_bytes);
	ps_json_set_int(o, "slice_bytes", c->slice_bytes);
	ps_json_set_real(o, "fragmentation", c->fragmentation);
	ps_json_set_real(o, "compute_s", c->compute_s);
	ps_json_set_real(o, "read_s", c->read_s);
	ps_json_set_real(o, "exchange_s", c->exchange_s);
	ps_json_set_real(o, "step_s", c->step_s);
	ps_json_set_real(o, "latency_s", c->latency_s);
	ps_json_set_real(o, "ops_per_s", c->ops / c->latency_s);
	ps_json_set_real(o, "recurrent_ops_per_s", c->recurrent_ops / c->latency_s);
	return o;
}

static json_t *precision_json(const struct ps_cli_rnn_explored *e, enum ps_spatial_precision which)
{
	json_t *o = json_object(), *front = json_array();
	size_t all, n;

	ps_cli_rnn_count(&e->points, which, &all, &n);
	ps_json_set_string(o, "precision", ps_spatial_precision_name(which));
	ps_json_set_int(o, "fit", (int64_t)all);
	for (size_t i = 0; i < e->points.len; i++) {
		const struct ps_spatial_point *p = &e->points.items[i];
		if (p->map.precision == which && p->front)
			json_array_append_new(front, point_json(&e->machine, p));
	}
	json_object_set_new(o, "front", front);
	return o;
}

json_t *ps_cli_rnn_json(const struct ps_cli_rnn_explored *e)
{
	json_t *o = json_object(), *all = json_array(), *machine = json_object();

	ps_json_set_string(machine, "name", e->machine.name);
	ps_json_set_string(machine, "kind",
			   e->machine.kind == PS_SPATIAL_ARRAY ? "array" : "cores");
	ps_json_set_string(machine, "measured_on",
			   e->machine.measured_on[0] ? e->machine.measured_on : NULL);
	ps_json_set_int(machine, "units", e->machine.units);
	json_object_set_new(o, "layer", layer_json(&e->layer));
	json_object_set_new(o, "machine", machine);
	ps_json_set_int(o, "tried", (int64_t)e->points.tried);
	ps_json_set_int(o, "without_units", (int64_t)e->points.without_units);
	ps_json_set_int(o, "without_memory", (int64_t)e->points.without_memory);
	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++) {
		size_t fit, front;
		ps_cli_rnn_count(&e->points, (enum ps_spatial_precision)p, &fit, &front);
		if (fit > 0)
			json_array_append_new(all, precision_json(e, (enum ps_spatial_precision)p));
	}
	json_object_set_new(o, "precisions", all);
	return o;
}
