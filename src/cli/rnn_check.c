/* rnn_check.c - perseus rnn check: the model's times beside the engine's. */
#include "base/file.h"
#include "base/units.h"
#include "cli/rnn_internal.h"
#include "engine/rnn_cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_options {
	struct ps_cpus cpus;
	struct ps_conf_texts shapes;
	int precision; /* 0: all */
	int64_t batch, seconds;
	double limit;
	char *cache_dir;
	bool json, again;
};

#define FIELD(f) offsetof(struct check_options, f)

static const char *const precisions[] = {"all", "float32", "bfloat16", "int8", NULL};

static const struct ps_conf_option rows[] = {
	{.name = "shape",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(shapes),
	 .metavar = "CELL:HxT",
	 .help = "A layer of H hidden units and inputs, T steps, such as lstm:1024x25; the shapes "
		 "of DeepBench's inference set, cut to 200 steps, without it.",
	 .max = 1000,
	 .flags = PS_CONF_POSITIONAL},
	{.name = "precision",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(precision),
	 .choices = precisions,
	 .def = "all",
	 .help = "One precision, or all."},
	{.name = "batch",
	 .type = PS_CONF_INT,
	 .offset = FIELD(batch),
	 .metavar = "N",
	 .def = "1",
	 .help = "Sequences at once.",
	 .min = 1,
	 .max = 64},
	{.name = "time",
	 .type = PS_CONF_DURATION,
	 .offset = FIELD(seconds),
	 .metavar = "TIME",
	 .def = "200ms",
	 .help = "How long each layer is timed; at least five runs.",
	 .min = 1e6,
	 .max = 60e9},
	{.name = "limit",
	 .type = PS_CONF_RATIO,
	 .offset = FIELD(limit),
	 .def = "15%",
	 .help = "Mean error beyond which the exit code is 1."},
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = FIELD(cpus),
	 .metavar = "LIST",
	 .help = "CPUs to run on, such as 0,2-3; all that are allowed without it."},
	{.name = "again",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(again),
	 .help = "Measure the CPU anew before each layer, so that what drifts (a neighbour on the "
		 "third cache) is in both."},
	{.name = "cache-dir",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(cache_dir),
	 .metavar = "DIR",
	 .help = "Where what was measured of this CPU is kept (else $XDG_CACHE_HOME/perseus)."},
	PS_CLI_JSON(struct check_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus rnn check",
	.summary = "Compare the model of this CPU with the engine's times.",
	.details =
		"For each layer the fastest mapping by the model is run by the engine, with drawn "
		"weights, and timed. The error is that of the model, as a share of the measured "
		"median. Exit code 1: the mean error is over --limit.",
	.example = "perseus rnn check\n"
		   "perseus rnn check lstm:1024x25 gru:512x100 --precision int8",
	.options = rows,
	.size = sizeof(struct check_options),
	.where_offset = SIZE_MAX,
};

/* DeepBench's inference set, each size once, steps cut to 200. */
static const char *const usual[] = {"lstm:256x150", "lstm:512x25",  "lstm:1024x25", "lstm:1536x50",
				    "lstm:2048x25", "gru:512x1",    "gru:1024x200", "gru:1536x187",
				    "gru:1536x200", "gru:2048x187", "gru:2048x200", "gru:2560x187",
				    "gru:2560x200", "gru:2816x187", "gru:2816x200"};

static enum ps_status refuse(const char *text, struct ps_error *err)
{
	ps_error_set(err, PS_EUSAGE, "'%.60s' is no CELL:HxT, such as lstm:1024x25", text);
	ps_error_where(err, "--shape");
	return PS_EUSAGE;
}

static enum ps_status read_shape(const char *text, int64_t batch, struct ps_spatial_layer *ret,
				 struct ps_error *err)
{
	long long hidden, steps;
	char cell[8], rest;
	int which = 0;

	if (sscanf(text, "%7[a-z]:%lldx%lld%c", cell, &hidden, &steps, &rest) != 3)
		return refuse(text, err);
	while (which < PS_SPATIAL_CELLS &&
	       strcmp(cell, ps_spatial_cell_name((enum ps_spatial_cell)which)) != 0)
		which++;
	if (which == PS_SPATIAL_CELLS)
		return refuse(text, err);
	*ret = (struct ps_spatial_layer){.cell = (enum ps_spatial_cell)which,
					 .hidden = hidden,
					 .inputs = hidden,
					 .steps = steps,
					 .batch = batch};
	return ps_spatial_layer_check(ret, err);
}

/* What is added up over all layers. */
struct sums {
	int n;
	double off;
};

static void text_row(const struct ps_spatial_layer *l, const struct ps_spatial_point *p,
		     const struct ps_rnn_cpu_timed *t, double off, struct ps_strbuf *out)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], shape[32];

	snprintf(shape, sizeof shape, "%s:%lldx%lld", ps_spatial_cell_name(l->cell),
		 (long long)l->hidden, (long long)l->steps);
	ps_strbuf_printf(out, "%-14s %-9s %7lld %-11s %10s %10s %8.1f %%\n", shape,
			 ps_spatial_precision_name(p->map.precision), (long long)p->map.owners,
			 p->map.alternate ? "alternating" : "forward",
			 ps_units_format_duration((int64_t)(p->cost.latency_s * 1e9), a),
			 ps_units_format_duration((int64_t)(t->run_s * 1e9), b), 100 * off);
}

static json_t *json_row(const struct ps_spatial_layer *l, const struct ps_spatial_point *p,
			const struct ps_rnn_cpu_timed *t, double off)
{
	json_t *o = json_object();

	ps_json_set_string(o, "cell", ps_spatial_cell_name(l->cell));
	ps_json_set_int(o, "hidden", l->hidden);
	ps_json_set_int(o, "steps", l->steps);
	ps_json_set_int(o, "batch", l->batch);
	ps_json_set_string(o, "precision", ps_spatial_precision_name(p->map.precision));
	ps_json_set_int(o, "threads", p->map.owners);
	ps_json_set_bool(o, "alternating", p->map.alternate);
	ps_json_set_int(o, "rows", p->map.rows);
	ps_json_set_real(o, "model_s", p->cost.latency_s);
	ps_json_set_real(o, "model_step_s", p->cost.step_s);
	ps_json_set_real(o, "model_inputs_s", p->cost.inputs_s);
	ps_json_set_real(o, "measured_s", t->run_s);
	ps_json_set_int(o, "runs", t->runs);
	ps_json_set_real(o, "error", off);
	return o;
}

struct check {
	const struct check_options *o;
	struct ps_cpus cpus;
	struct ps_spatial_machine machine;
	struct ps_strbuf *text;
	json_t *rows;
	struct sums sums;
	struct ps_cli_progress progress;
};

static enum ps_status check_one(struct check *c, const struct ps_spatial_layer *l, int precision,
				struct ps_error *err)
{
	struct ps_spatial_points points;
	struct ps_rnn_cpu_timed timed;
	enum ps_status st = ps_spatial_explore(&c->machine, l, 1U << precision, &points, err);

	if (st != PS_OK)
		return st;
	const struct ps_spatial_point *best =
		ps_spatial_best(&points, (enum ps_spatial_precision)precision);
	st = ps_rnn_cpu_time(&c->cpus, l, &best->map, (double)c->o->seconds * 1e-9, &timed, err);
	if (st == PS_OK) {
		double off = best->cost.latency_s / timed.run_s - 1;
		c->sums.n++;
		c->sums.off += fabs(off);
		text_row(l, best, &timed, off, c->text);
		json_array_append_new(c->rows, json_row(l, best, &timed, off));
	}
	ps_spatial_points_fini(&points);
	return st;
}

static enum ps_status measure(struct check *c, struct ps_error *err)
{
	char folder[PS_FILE_PATH];

	return ps_rnn_cpu_machine(ps_cli_rnn_folder(c->o->cache_dir, folder), &c->cpus, c->o->again,
				  &c->machine, err);
}

static enum ps_status check_shape(struct check *c, const char *shape, struct ps_error *err)
{
	struct ps_spatial_layer l;
	enum ps_status st = read_shape(shape, c->o->batch, &l, err);

	if (st == PS_OK && (c->o->again || c->sums.n == 0))
		st = measure(c, err);

	for (int p = 0; st == PS_OK && p < PS_SPATIAL_PRECISIONS; p++) {
		if (c->o->precision != 0 && c->o->precision != p + 1)
			continue;
		ps_cli_progress_show(&c->progress, "%s %s", shape,
				     ps_spatial_precision_name((enum ps_spatial_precision)p));
		st = check_one(c, &l, p, err);
	}
	return st;
}

static enum ps_status check_all(struct check *c, struct ps_error *err)
{
	size_t n = c->o->shapes.len ? c->o->shapes.len : sizeof usual / sizeof *usual;
	struct ps_spatial_layer l;
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && i < c->o->shapes.len; i++)
		st = read_shape(c->o->shapes.items[i], c->o->batch, &l, err);
	c->cpus = ps_cli_rnn_cpus(&c->o->cpus);
	ps_strbuf_printf(c->text, "%-14s %-9s %7s %-11s %10s %10s %10s\n", "layer", "precision",
			 "threads", "direction", "model", "measured", "error");
	for (size_t i = 0; st == PS_OK && i < n; i++)
		st = check_shape(c, c->o->shapes.len ? c->o->shapes.items[i] : usual[i], err);
	return st;
}

static enum ps_status show(struct check *c, double mean, struct ps_error *err)
{
	if (c->o->json)
		return ps_cli_print_json(json_pack("{s:s, s:f, s:f, s:O}", "machine",
						   c->machine.measured_on, "mean_error", mean,
						   "limit", c->o->limit, "layers", c->rows),
					 err);
	ps_strbuf_printf(c->text, "mean error %.1f %% of %d layers, limit %.3g %%\n", 100 * mean,
			 c->sums.n, 100 * c->o->limit);
	if (ps_strbuf_status(c->text) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for the text");
	return ps_cli_print(c->text->data, c->text->len, err);
}

static int run(void *options)
{
	struct ps_strbuf text;
	struct check c = {.o = options, .text = &text, .rows = json_array()};
	struct ps_error err;

	ps_strbuf_init(&text);
	ps_cli_progress_init(&c.progress, false);
	enum ps_status st = check_all(&c, &err);
	double mean = c.sums.n ? c.sums.off / c.sums.n : 0;
	ps_cli_progress_done(&c.progress);
	if (st == PS_OK)
		st = show(&c, mean, &err);
	json_decref(c.rows);
	ps_strbuf_fini(&text);
	if (st != PS_OK)
		return ps_cli_fail(&err);
	return mean <= c.o->limit ? PS_CLI_OK : PS_CLI_NEGATIVE;
}

const struct ps_cli_command ps_cli_rnn_check = {.name = "check", .schema = &schema, .run = run};
