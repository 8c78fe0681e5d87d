/* rnn_explore.c - perseus rnn explore. */
#include "base/file.h"
#include "cli/rnn_internal.h"
#include "engine/rnn_cpu.h"

#include <string.h>

struct explore_options {
	int cell, precision; /* precision 0: all */
	int64_t hidden, inputs, steps, batch;
	bool linear_before_reset, json;
	char *machine, *cache_dir, *draw;
	struct ps_cpus cpus;
};

#define FIELD(f) offsetof(struct explore_options, f)

/* In the order of enum ps_spatial_cell. */
static const char *const cells[] = {"rnn", "gru", "lstm", NULL};
static const char *const precisions[] = {"all", "float32", "bfloat16", "int8", NULL};

static const struct ps_conf_option rows[] = {
	{.name = "cell",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(cell),
	 .choices = cells,
	 .help = "The cell.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "hidden",
	 .type = PS_CONF_INT,
	 .offset = FIELD(hidden),
	 .metavar = "H",
	 .help = "Hidden units.",
	 .min = 1,
	 .max = PS_SPATIAL_MAX_HIDDEN,
	 .flags = PS_CONF_REQUIRED},
	{.name = "steps",
	 .type = PS_CONF_INT,
	 .offset = FIELD(steps),
	 .metavar = "T",
	 .help = "Steps of a sequence.",
	 .min = 1,
	 .max = PS_SPATIAL_MAX_STEPS,
	 .flags = PS_CONF_REQUIRED},
	{.name = "inputs",
	 .type = PS_CONF_INT,
	 .offset = FIELD(inputs),
	 .metavar = "I",
	 .help = "Inputs of a step; as many as hidden units without it.",
	 .min = 1,
	 .max = PS_SPATIAL_MAX_HIDDEN},
	{.name = "batch",
	 .type = PS_CONF_INT,
	 .offset = FIELD(batch),
	 .metavar = "N",
	 .help = "Sequences at once.",
	 .def = "1",
	 .min = 1,
	 .max = PS_SPATIAL_MAX_BATCH},
	{.name = "linear-before-reset",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(linear_before_reset),
	 .def = "true",
	 .help = "GRU: its reset comes after the product, so that a step has one exchange of h in "
		 "place of two."},
	{.name = "precision",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(precision),
	 .choices = precisions,
	 .def = "all",
	 .help = "One of those that the machine has, or all of them."},
	{.name = "machine",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(machine),
	 .metavar = "FILE",
	 .help = "A machine's file; this CPU, as it is measured, without it."},
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = FIELD(cpus),
	 .metavar = "LIST",
	 .help = "Without --machine: the CPUs to use, such as 0,2-3; all that are allowed without "
		 "it."},
	{.name = "cache-dir",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(cache_dir),
	 .metavar = "DIR",
	 .help = "Where what was measured of this CPU is kept (else $XDG_CACHE_HOME/perseus)."},
	{.name = "draw",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(draw),
	 .metavar = "FILE",
	 .help = "Draw the points and the front into this file: FILE.svg, or a page FILE.html."},
	PS_CLI_JSON(struct explore_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus rnn explore",
	.summary = "Try every mapping of a recurrent layer to a machine.",
	.details =
		"Counts what a step costs on a machine whose units each own a part of the layer "
		"with "
		"its weights beside it: cycles, units, memory, padding, latency, and operations "
		"per "
		"second. Tries every size of tile that the machine has units and memory for, and "
		"shows the front: those that no other beats in latency, units and memory together. "
		"The same model chooses how the engine runs its recurrent layers.\n\n"
		"Operations are 2 per product, counted twice: of x * W and h * R (16 H H T for an "
		"LSTM with as many inputs as hidden units), and of h * R alone (8 H H T).",
	.example = "perseus rnn explore --cell lstm --hidden 1024 --steps 25\n"
		   "perseus rnn explore --cell gru --hidden 2816 --steps 200 \\\n"
		   "    --machine examples/machines/plasticine-like.yaml --draw front.html",
	.options = rows,
	.size = sizeof(struct explore_options),
	.where_offset = SIZE_MAX,
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0;
}

static enum ps_status check_draw(const char *path, struct ps_error *err)
{
	if (!path)
		return PS_OK;
	if (!ends_with(path, ".svg") && !ends_with(path, ".html")) {
		ps_error_set(err, PS_EUSAGE, "a drawing is FILE.svg or FILE.html");
		ps_error_where(err, "--draw");
		return PS_EUSAGE;
	}
	return ps_file_can_write(path, err);
}

static enum ps_status load_machine(const struct explore_options *o, struct ps_spatial_machine *ret,
				   struct ps_error *err)
{
	char folder[PS_FILE_PATH];
	struct ps_cpus cpus = ps_cli_rnn_cpus(&o->cpus);

	if (!o->machine)
		return ps_rnn_cpu_machine(ps_cli_rnn_folder(o->cache_dir, folder), &cpus, false,
					  ret, err);
	if (ps_cpus_count(&o->cpus) > 0) {
		ps_error_set(err, PS_EUSAGE, "it is for this CPU, not for a machine's file");
		ps_error_where(err, "--cpus");
		return PS_EUSAGE;
	}
	return ps_spatial_machine_load(o->machine, ret, err);
}

static enum ps_status check_precision(const struct explore_options *o,
				      const struct ps_spatial_machine *m, struct ps_error *err)
{
	if (o->precision == 0 || m->rates[o->precision - 1].has)
		return PS_OK;
	ps_error_set(err, PS_EINVAL, "%s has no %s", m->name, precisions[o->precision]);
	ps_error_where(err, "--precision");
	return PS_EINVAL;
}

static enum ps_status explore(const struct explore_options *o, struct ps_cli_rnn_explored *e,
			      struct ps_error *err)
{
	unsigned all = (1U << PS_SPATIAL_PRECISIONS) - 1;

	e->layer = (struct ps_spatial_layer){.cell = (enum ps_spatial_cell)o->cell,
					     .classic = o->cell == PS_SPATIAL_GRU &&
							!o->linear_before_reset,
					     .hidden = o->hidden,
					     .inputs = o->inputs > 0 ? o->inputs : o->hidden,
					     .steps = o->steps,
					     .batch = o->batch};
	enum ps_status st = check_draw(o->draw, err);
	if (st == PS_OK)
		st = load_machine(o, &e->machine, err);
	if (st == PS_OK)
		st = check_precision(o, &e->machine, err);
	if (st == PS_OK)
		st = ps_spatial_explore(&e->machine, &e->layer,
					o->precision ? 1U << (o->precision - 1) : all, &e->points,
					err);
	return st;
}

static enum ps_status draw(const char *path, const struct ps_cli_rnn_explored *e,
			   struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	if (ends_with(path, ".svg"))
		ps_cli_rnn_svg(e, &out);
	else
		ps_cli_rnn_html(e, &out);
	enum ps_status st = ps_strbuf_status(&out);
	if (st != PS_OK)
		ps_error_set(err, st, "no memory for a drawing");
	else
		st = ps_file_write(path, out.data, out.len, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status show(const struct explore_options *o, const struct ps_cli_rnn_explored *e,
			   struct ps_error *err)
{
	struct ps_strbuf out;

	if (o->json)
		return ps_cli_print_json(ps_cli_rnn_json(e), err);
	ps_strbuf_init(&out);
	ps_cli_rnn_text(e, &out);
	enum ps_status st = ps_strbuf_status(&out);
	st = st == PS_OK ? ps_cli_print(out.data, out.len, err)
			 : ps_error_set(err, st, "no memory for the text");
	ps_strbuf_fini(&out);
	return st;
}

static int run(void *options)
{
	const struct explore_options *o = options;
	struct ps_cli_rnn_explored e = {};
	struct ps_error err;
	enum ps_status st = explore(o, &e, &err);

	if (st == PS_OK && o->draw)
		st = draw(o->draw, &e, &err);
	if (st == PS_OK)
		st = show(o, &e, &err);
	ps_spatial_points_fini(&e.points);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_rnn_explore = {.name = "explore", .schema = &schema, .run = run};
