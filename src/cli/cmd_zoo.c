/* cmd_zoo.c - perseus zoo list, perseus zoo write. */
#include "base/file.h"
#include "base/units.h"
#include "cli/cli.h"
#include "model/onnx.h"
#include "model/zoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry_facts {
	struct ps_graph_counts counts;
	int64_t file_bytes;
};

/* The figures of an entry, counted on the graph itself. */
static enum ps_status look_at(const struct ps_zoo_entry *e, struct entry_facts *ret_facts,
			      struct ps_error *err)
{
	struct ps_graph *g;
	enum ps_status s = ps_zoo_build(e, 0, &g, err);
	if (s != PS_OK)
		return s;
	ps_graph_count(g, &ret_facts->counts);
	s = ps_onnx_size(g, &ret_facts->file_bytes, err);
	ps_graph_free(g);
	return s;
}

static bool is_recurrent(const struct ps_zoo_entry *e)
{
	return strcmp(e->kind, "cnn") != 0;
}

static void input_text(const struct ps_zoo_entry *e, char buf[64])
{
	if (is_recurrent(e))
		snprintf(buf, 64, "[steps,batch,%d]", e->size);
	else
		snprintf(buf, 64, "[batch,3,%d,%d]", e->size, e->size);
}

struct list_options {
	bool json;
};

static const struct ps_conf_option list_rows[] = {PS_CLI_JSON(struct list_options), {0}};

static const struct ps_conf_schema list_schema = {
	.name = "perseus zoo list",
	.summary = "List the reference networks.",
	.details = "Parameters leave out the stored mean and variance of batch normalisation. "
		   "Multiply-accumulates are those of convolutions and products, for one image, or "
		   "for one step of a recurrent layer.",
	.example = "  perseus zoo list --json | jq -r '.models[].name'\n",
	.options = list_rows,
	.size = sizeof(struct list_options),
	.where_offset = SIZE_MAX,
};

static json_t *entry_json(const struct ps_zoo_entry *e, const struct entry_facts *f)
{
	char input[64];
	input_text(e, input);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:i, s:I}", "name", e->name, "kind",
			 e->kind, "description", e->description, "input", input, "parameters",
			 (json_int_t)f->counts.parameters, "macs", (json_int_t)f->counts.macs,
			 "macs_per", is_recurrent(e) ? "step" : "image", "nodes", f->counts.nodes,
			 "file_bytes", (json_int_t)f->file_bytes);
}

static void entry_line(const struct ps_zoo_entry *e, const struct entry_facts *f,
		       struct ps_strbuf *out)
{
	char size[PS_UNITS_SIZE], input[64];
	input_text(e, input);
	ps_strbuf_printf(out, "%-16s %-20s %9.2f M %9.1f M/%-5s %10s  %s\n", e->name, input,
			 (double)f->counts.parameters / 1e6, (double)f->counts.macs / 1e6,
			 is_recurrent(e) ? "step" : "image",
			 ps_units_format_bytes(f->file_bytes, size), e->description);
}

static enum ps_status list(json_t *models, struct ps_strbuf *out, struct ps_error *err)
{
	int n;
	const struct ps_zoo_entry *entries = ps_zoo_entries(&n);
	ps_strbuf_printf(out, "%-16s %-20s %11s %17s %10s  %s\n", "name", "input", "parameters",
			 "mult-accumulates", "file", "what");
	for (int i = 0; i < n; i++) {
		struct entry_facts f;
		enum ps_status s = look_at(&entries[i], &f, err);
		if (s != PS_OK)
			return s;
		entry_line(&entries[i], &f, out);
		if (json_array_append_new(models, entry_json(&entries[i], &f)) < 0)
			return ps_error_set(err, PS_ENOMEM, "no memory for the list");
	}
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for the list");
	return PS_OK;
}

static int run_list(void *options)
{
	const struct list_options *o = options;
	struct ps_error err;
	struct ps_strbuf out;
	json_t *models = json_array();
	ps_strbuf_init(&out);
	enum ps_status s = list(models, &out, &err);
	if (s == PS_OK && o->json)
		s = ps_cli_print_json(json_pack("{s:O}", "models", models), &err);
	else if (s == PS_OK)
		s = ps_cli_print(out.data, out.len, &err);
	json_decref(models);
	ps_strbuf_fini(&out);
	return s == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_cli_command list_command = {
	.name = "list", .schema = &list_schema, .run = run_list};

struct write_options {
	struct ps_conf_texts names;
	char *dir;
	int64_t seed;
	bool json;
};

static const struct ps_conf_option write_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXTS,
	 .offset = offsetof(struct write_options, names),
	 .metavar = "NAME",
	 .help = "A network of `perseus zoo list`, or `all`.",
	 .min = 1,
	 .max = 1000,
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED},
	{.name = "dir",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct write_options, dir),
	 .metavar = "DIR",
	 .help = "Folder for the files, NAME.onnx each; made when it is not there.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = offsetof(struct write_options, seed),
	 .metavar = "N",
	 .help = "Seed of the weights: the same seed gives the same bytes.",
	 .def = "1",
	 .min = 0,
	 .max = 9e15},
	PS_CLI_JSON(struct write_options),
	{0}};

static const struct ps_conf_schema write_schema = {
	.name = "perseus zoo write",
	.summary = "Write reference networks as ONNX files.",
	.details = "The architectures are the published ones; the weights are random, scaled so "
		   "that values keep their size through the network and different inputs give "
		   "different answers. CNNs take `input` [batch,3,SIZE,SIZE] and give `output` "
		   "[batch,1000], without softmax. A file appears whole or not at all.",
	.example = "  perseus zoo write resnet50 inception_v3 --dir models\n",
	.options = write_rows,
	.size = sizeof(struct write_options),
	.where_offset = SIZE_MAX,
};

static enum ps_status unknown(const char *name, struct ps_error *err)
{
	int n;
	const struct ps_zoo_entry *entries = ps_zoo_entries(&n);
	const char *names[64];
	for (int i = 0; i < n && i < 64; i++)
		names[i] = entries[i].name;
	const char *near = ps_conf_nearest(name, names, (size_t)(n < 64 ? n : 64));
	ps_error_set(err, PS_ENOTFOUND, "no network called '%s'", name);
	if (near)
		ps_error_hint(err, "did you mean '%s'?", near);
	else
		ps_error_hint(err, "perseus zoo list shows what there is");
	return PS_ENOTFOUND;
}

static enum ps_status write_entry(const struct ps_zoo_entry *e, const struct write_options *o,
				  json_t *files, struct ps_error *err)
{
	char *path = NULL;
	struct entry_facts f;
	enum ps_status s = look_at(e, &f, err);
	if (s != PS_OK)
		return s;
	if (asprintf(&path, "%s/%s.onnx", o->dir, e->name) < 0)
		return ps_error_set(err, PS_ENOMEM, "no memory for a path");
	s = ps_zoo_write(e, (uint64_t)o->seed, path, err);
	if (s == PS_OK &&
	    json_array_append_new(files, json_pack("{s:s, s:s, s:I, s:I}", "name", e->name, "path",
						   path, "bytes", (json_int_t)f.file_bytes, "seed",
						   (json_int_t)o->seed)) < 0)
		s = ps_error_set(err, PS_ENOMEM, "no memory for the list");
	free(path);
	return s;
}

/* All names are looked up before the first file is written. */
static enum ps_status check_names(const struct write_options *o, struct ps_error *err)
{
	for (size_t i = 0; i < o->names.len; i++)
		if (strcmp(o->names.items[i], "all") != 0 && !ps_zoo_find(o->names.items[i]))
			return unknown(o->names.items[i], err);
	return ps_file_mkdirs(o->dir, err);
}

static enum ps_status write_all(const struct write_options *o, struct ps_cli_progress *progress,
				json_t *files, struct ps_error *err)
{
	enum ps_status s = check_names(o, err);
	int n;
	const struct ps_zoo_entry *entries = ps_zoo_entries(&n);
	for (size_t i = 0; i < o->names.len && s == PS_OK; i++) {
		const char *name = o->names.items[i];
		bool all = strcmp(name, "all") == 0;
		for (int k = 0; k < n && s == PS_OK; k++) {
			if (!all && strcmp(name, entries[k].name) != 0)
				continue;
			ps_cli_progress_show(progress, "writing %s/%s.onnx", o->dir,
					     entries[k].name);
			s = write_entry(&entries[k], o, files, err);
		}
	}
	ps_cli_progress_done(progress);
	return s;
}

static enum ps_status print_files(json_t *files, struct ps_error *err)
{
	struct ps_strbuf out;
	size_t i;
	json_t *file;
	char size[PS_UNITS_SIZE];
	ps_strbuf_init(&out);
	json_array_foreach(files, i, file)
	{
		int64_t bytes = json_integer_value(json_object_get(file, "bytes"));
		ps_strbuf_printf(&out, "%s  %s\n", json_string_value(json_object_get(file, "path")),
				 ps_units_format_bytes(bytes, size));
	}
	enum ps_status s = ps_strbuf_status(&out);
	if (s == PS_OK)
		s = ps_cli_print(out.data, out.len, err);
	else
		ps_error_set(err, s, "no memory for the list");
	ps_strbuf_fini(&out);
	return s;
}

static int run_write(void *options)
{
	const struct write_options *o = options;
	struct ps_error err;
	struct ps_cli_progress progress;
	json_t *files = json_array();
	ps_cli_progress_init(&progress, false);
	enum ps_status s = write_all(o, &progress, files, &err);
	if (s == PS_OK && o->json)
		s = ps_cli_print_json(json_pack("{s:O}", "files", files), &err);
	else if (s == PS_OK)
		s = print_files(files, &err);
	json_decref(files);
	return s == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_cli_command write_command = {
	.name = "write", .schema = &write_schema, .run = run_write};

static const struct ps_cli_command *const verbs[] = {&list_command, &write_command, NULL};

const struct ps_cli_command ps_cmd_zoo = {
	.name = "zoo", .verbs = verbs, .summary = "Reference networks as ONNX files: list, write."};
