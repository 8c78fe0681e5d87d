/* cmd_rnn.c - perseus rnn: recurrent layers on spatial machines, on paper and on this one. */
#include "base/file.h"
#include "cli/rnn_internal.h"
#include "engine/rnn_cpu.h"
#include "host/host.h"

#include <ctype.h>

#define MOST_THREADS 64 /* of a team */

struct ps_cpus ps_cli_rnn_cpus(const struct ps_cpus *asked)
{
	struct ps_cpus from = *asked, some = {};

	if (ps_cpus_count(&from) == 0)
		from = ps_host_cpus_allowed();
	for (int i = 0; i < ps_cpus_count(&from) && i < MOST_THREADS; i++)
		ps_cpus_add(&some, ps_cpus_nth(&from, i));
	return some;
}

const char *ps_cli_rnn_folder(const char *option, char *buf)
{
	return option ? option : ps_rnn_cpu_folder(buf);
}

void ps_cli_rnn_layer_text(const struct ps_spatial_layer *l, struct ps_strbuf *out)
{
	for (const char *s = ps_spatial_cell_name(l->cell); *s; s++)
		ps_strbuf_putc(out, (char)toupper((unsigned char)*s));
	ps_strbuf_printf(out, "%s, %lld hidden units, %lld inputs, %lld step%s, batch %lld",
			 l->cell != PS_SPATIAL_GRU ? ""
			 : l->classic		   ? " that resets before the product"
						   : " that is linear before reset",
			 (long long)l->hidden, (long long)l->inputs, (long long)l->steps,
			 l->steps == 1 ? "" : "s", (long long)l->batch);
}

void ps_cli_rnn_count(const struct ps_spatial_points *p, enum ps_spatial_precision precision,
		      size_t *ret_all, size_t *ret_front)
{
	*ret_all = *ret_front = 0;
	for (size_t i = 0; i < p->len; i++) {
		bool mine = p->items[i].map.precision == precision;
		*ret_all += mine;
		*ret_front += mine && p->items[i].front;
	}
}

/* ---- machine ---- */

struct machine_options {
	struct ps_cpus cpus;
	char *cache_dir, *output;
	bool again;
};

static const struct ps_conf_option machine_rows[] = {
	{.name = "cpus",
	 .type = PS_CONF_CPUS,
	 .offset = offsetof(struct machine_options, cpus),
	 .metavar = "LIST",
	 .help = "CPUs to measure, one thread each, such as 0,2-3; all that are allowed without "
		 "it."},
	{.name = "again",
	 .type = PS_CONF_BOOL,
	 .offset = offsetof(struct machine_options, again),
	 .help = "Measure also when this CPU was measured before."},
	{.name = "cache-dir",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct machine_options, cache_dir),
	 .metavar = "DIR",
	 .help = "Where measurements are kept (else $XDG_CACHE_HOME/perseus)."},
	{.name = "output",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct machine_options, output),
	 .metavar = "FILE",
	 .help = "Write the machine to this file instead of showing it.",
	 .letter = 'o'},
	{0},
};

static const struct ps_conf_schema machine_schema = {
	.name = "perseus rnn machine",
	.summary = "Measure this CPU and write it as a machine's file.",
	.details = "Times the kernels of the engine for recurrent layers, all threads at once: how "
		   "fast each core reads, by the size of what it reads again and again, how long a "
		   "vector takes, and how long threads take to meet. About a second and up to 256 "
		   "MiB; kept for this CPU, number of threads and program version.",
	.example = "perseus rnn machine\n"
		   "perseus rnn machine --cpus 0 --again --output one-core.yaml",
	.options = machine_rows,
	.size = sizeof(struct machine_options),
	.where_offset = SIZE_MAX,
};

static enum ps_status show_machine(const struct machine_options *o, struct ps_strbuf *out,
				   struct ps_error *err)
{
	char folder[PS_FILE_PATH];
	struct ps_spatial_machine m;
	struct ps_cpus cpus = ps_cli_rnn_cpus(&o->cpus);
	enum ps_status st = o->output ? ps_file_can_write(o->output, err) : PS_OK;

	if (st == PS_OK)
		st = ps_rnn_cpu_machine(ps_cli_rnn_folder(o->cache_dir, folder), &cpus, o->again,
					&m, err);
	if (st != PS_OK)
		return st;
	ps_spatial_machine_print(&m, out);
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for the text");
	return o->output ? ps_file_write(o->output, out->data, out->len, err)
			 : ps_cli_print(out->data, out->len, err);
}

static int run_machine(void *options)
{
	struct ps_strbuf out;
	struct ps_error err;

	ps_strbuf_init(&out);
	enum ps_status st = show_machine(options, &out, &err);
	ps_strbuf_fini(&out);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_rnn_machine = {
	.name = "machine", .schema = &machine_schema, .run = run_machine};

/* ---- */

static const struct ps_conf_schema *const files[] = {&ps_spatial_machine_schema, NULL};

static const struct ps_cli_command *const verbs[] = {&ps_cli_rnn_explore, &ps_cli_rnn_machine,
						     &ps_cli_rnn_check, NULL};

const struct ps_cli_command ps_cmd_rnn = {
	.name = "rnn",
	.summary = "Explore how recurrent layers map to spatial machines and to this CPU.",
	.verbs = verbs,
	.files = files,
};
