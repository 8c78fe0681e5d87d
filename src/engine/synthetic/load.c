#include "engine/synthetic/synthetic_internal.h"

#include "base/file.h"
#include "base/units.h"
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tensor_conf {
	char *name, *datatype;
	struct ps_conf_texts shape;
	struct ps_conf_where where;
};

struct stall_conf {
	int64_t at_ns, for_ns;
};

struct file_conf {
	struct ps_conf_array inputs, outputs;
	int service, mode, per;
	int64_t mean_ns, each_row_ns, seed;
	double wide_speedup;
	bool echo;
	int64_t load_ns, memory_bytes, claims_bytes;
	char *broken;
	struct ps_conf_texts durations;
	char *durations_file;
	struct stall_conf stall;
};

static const struct ps_conf_option tensor_rows[] = {
	{.name = "name",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct tensor_conf, name),
	 .help = "Name of the tensor.",
	 .flags = PS_CONF_REQUIRED},
	{.name = "datatype",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct tensor_conf, datatype),
	 .help = "FP32, INT64, BYTES, ... as the Open Inference Protocol calls them.",
	 .def = "FP32"},
	{.name = "shape",
	 .type = PS_CONF_TEXTS,
	 .offset = offsetof(struct tensor_conf, shape),
	 .help = "Dimensions; -1 may have any size."},
	{0},
};

static const struct ps_conf_schema tensor_schema = {
	.name = "tensor",
	.summary = "a declared tensor",
	.options = tensor_rows,
	.size = sizeof(struct tensor_conf),
	.where_offset = offsetof(struct tensor_conf, where),
};

static const struct ps_conf_option stall_rows[] = {
	{.name = "at",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct stall_conf, at_ns),
	 .help = "When the stall begins, counted from the first run.",
	 .def = "0"},
	{.name = "for",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct stall_conf, for_ns),
	 .help = "How long nothing proceeds; 0: no stall.",
	 .def = "0"},
	{0},
};

static const struct ps_conf_schema stall_schema = {
	.name = "stall",
	.summary = "one scripted stall of the whole instance",
	.options = stall_rows,
	.size = sizeof(struct stall_conf),
	.where_offset = SIZE_MAX,
};

static const char *const service_names[] = {"fixed", "exponential", "recorded", NULL};
static const char *const mode_names[] = {"spin", "sleep", NULL};
static const char *const per_names[] = {"batch", "row", NULL};

static const struct ps_conf_option file_rows[] = {
	{.name = "inputs",
	 .type = PS_CONF_SECTIONS,
	 .offset = offsetof(struct file_conf, inputs),
	 .help = "Tensors that a run takes.",
	 .section = &tensor_schema,
	 .min = 1,
	 .max = PS_MODEL_MAX_TENSORS,
	 .flags = PS_CONF_REQUIRED},
	{.name = "outputs",
	 .type = PS_CONF_SECTIONS,
	 .offset = offsetof(struct file_conf, outputs),
	 .help = "Tensors that a run gives; values are a function of the inputs.",
	 .section = &tensor_schema,
	 .min = 1,
	 .max = PS_MODEL_MAX_TENSORS,
	 .flags = PS_CONF_REQUIRED},
	{.name = "service",
	 .type = PS_CONF_ENUM,
	 .offset = offsetof(struct file_conf, service),
	 .help = "Distribution of the service time.",
	 .def = "fixed",
	 .choices = service_names},
	{.name = "mean",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct file_conf, mean_ns),
	 .help = "Mean service time, for fixed and exponential.",
	 .def = "1ms",
	 .min = 0,
	 .max = 3600e9},
	{.name = "each-row",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct file_conf, each_row_ns),
	 .help = "Added to the service time for every row of the batch.",
	 .def = "0",
	 .min = 0,
	 .max = 3600e9},
	{.name = "wide-speedup",
	 .type = PS_CONF_REAL,
	 .offset = offsetof(struct file_conf, wide_speedup),
	 .help = "A wide run takes the service time divided by this.",
	 .def = "1",
	 .min = 1,
	 .max = 1024},
	{.name = "echo",
	 .type = PS_CONF_BOOL,
	 .offset = offsetof(struct file_conf, echo),
	 .help = "Output k gives back input k, whose datatype and shape it must declare.",
	 .def = "false"},
	{.name = "durations",
	 .type = PS_CONF_TEXTS,
	 .offset = offsetof(struct file_conf, durations),
	 .help = "Service times for recorded, played in order and around."},
	{.name = "durations-file",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct file_conf, durations_file),
	 .help = "The same from a file, one duration per line, beside this file."},
	{.name = "mode",
	 .type = PS_CONF_ENUM,
	 .offset = offsetof(struct file_conf, mode),
	 .help = "Keep the CPU busy, or sleep.",
	 .def = "spin",
	 .choices = mode_names},
	{.name = "per",
	 .type = PS_CONF_ENUM,
	 .offset = offsetof(struct file_conf, per),
	 .help = "Whether a batch costs one service time or one per row.",
	 .def = "batch",
	 .choices = per_names},
	{.name = "seed",
	 .type = PS_CONF_INT,
	 .offset = offsetof(struct file_conf, seed),
	 .help = "Of the service times and of the answers.",
	 .def = "1",
	 .min = 0,
	 .max = 9e15},
	{.name = "stall",
	 .type = PS_CONF_SECTION,
	 .offset = offsetof(struct file_conf, stall),
	 .help = "One scripted stall.",
	 .section = &stall_schema},
	{.name = "load-time",
	 .type = PS_CONF_DURATION,
	 .offset = offsetof(struct file_conf, load_ns),
	 .help = "How long opening the model takes.",
	 .def = "0",
	 .min = 0,
	 .max = 600e9},
	{.name = "memory",
	 .type = PS_CONF_BYTES,
	 .offset = offsetof(struct file_conf, memory_bytes),
	 .help = "Memory that the open model holds, all of it resident.",
	 .def = "0",
	 .min = 0,
	 .max = (double)(INT64_C(1) << 36)},
	{.name = "claims",
	 .type = PS_CONF_BYTES,
	 .offset = offsetof(struct file_conf, claims_bytes),
	 .help = "Memory that is forecast before the model is opened; 0: what it will hold.",
	 .def = "0",
	 .min = 0,
	 .max = (double)(INT64_C(1) << 36)},
	{.name = "broken",
	 .type = PS_CONF_TEXT,
	 .offset = offsetof(struct file_conf, broken),
	 .help = "Opening fails with this reason, after load_time."},
	{0},
};

const struct ps_conf_schema ps_engine_synthetic_schema = {
	.name = "synthetic model",
	.summary = "A model of declared tensors and service times: FILE.synthetic.yaml.",
	.options = file_rows,
	.size = sizeof(struct file_conf),
	.where_offset = SIZE_MAX,
};

static enum ps_status read_shape(const struct tensor_conf *c, struct ps_tensor_spec *spec,
				 struct ps_error *err)
{
	if (c->shape.len > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EPARSE, "tensor \"%s\" has over %d dimensions", c->name,
				    PS_TENSOR_MAX_RANK);
	spec->rank = (int)c->shape.len;
	for (int d = 0; d < spec->rank; d++) {
		if (ps_units_parse_int(c->shape.items[d], &spec->dims[d], NULL) != PS_OK ||
		    spec->dims[d] < -1)
			return ps_error_set(err, PS_EPARSE,
					    "dimension \"%s\" of tensor \"%s\" is neither a size "
					    "nor -1",
					    c->shape.items[d], c->name);
	}
	return PS_OK;
}

static enum ps_status read_tensor(const char *path, const struct tensor_conf *c,
				  struct ps_tensor_spec *spec, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	size_t n = strlen(c->name);

	spec->dtype = ps_dtype_from_name(c->datatype, strlen(c->datatype));
	if (n == 0 || n >= sizeof(spec->name))
		st = ps_error_set(err, PS_EPARSE, "the name of a tensor must have 1 to %zu bytes",
				  sizeof(spec->name) - 1);
	else if (spec->dtype == PS_DTYPE_NONE)
		st = ps_error_set(err, PS_EPARSE, "unknown datatype \"%s\" of tensor \"%s\"",
				  c->datatype, c->name);
	else
		st = read_shape(c, spec, err);
	if (st != PS_OK) {
		ps_error_where(err, "%s:%d", path, c->where.line);
		return st;
	}
	memcpy(spec->name, c->name, n + 1);
	return PS_OK;
}

static enum ps_status read_tensors(const char *path, const struct ps_conf_array *list,
				   struct ps_tensor_spec *specs, int *ret_n, struct ps_error *err)
{
	const struct tensor_conf *items = list->items;

	for (size_t i = 0; i < list->len; i++) {
		enum ps_status st = read_tensor(path, &items[i], &specs[i], err);

		if (st != PS_OK)
			return st;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(specs[k].name, specs[i].name) != 0)
				continue;
			st = ps_error_set(err, PS_EPARSE, "two tensors are called \"%s\"",
					  specs[i].name);
			ps_error_where(err, "%s:%d", path, items[i].where.line);
			return st;
		}
	}
	*ret_n = (int)list->len;
	return PS_OK;
}

/* Every open dimension of an output must be open in some input, or its size would be a guess. */
static enum ps_status check_open(const char *path, const struct ps_synthetic_spec *spec,
				 struct ps_error *err)
{
	for (int o = 0; o < spec->n_outputs; o++) {
		const struct ps_tensor_spec *s = &spec->outputs[o];

		for (int d = 0; d < s->rank; d++) {
			bool found = s->dims[d] >= 0;

			for (int i = 0; i < spec->n_inputs && !found; i++)
				found = d < spec->inputs[i].rank && spec->inputs[i].dims[d] < 0;
			if (found)
				continue;
			ps_error_set(err, PS_EPARSE,
				     "dimension %d of output \"%s\" is -1, but no input leaves "
				     "that dimension open",
				     d, s->name);
			ps_error_where(err, "%s", path);
			return PS_EPARSE;
		}
	}
	return PS_OK;
}

/* What comes back must be declared as what goes in. */
static enum ps_status check_echo(const char *path, const struct ps_synthetic_spec *spec,
				 struct ps_error *err)
{
	bool same = spec->n_outputs == spec->n_inputs;

	for (int k = 0; same && k < spec->n_outputs; k++) {
		const struct ps_tensor_spec *in = &spec->inputs[k], *out = &spec->outputs[k];

		same = in->dtype == out->dtype && in->rank == out->rank;
		for (int d = 0; same && d < in->rank; d++)
			same = in->dims[d] == out->dims[d];
	}
	if (same)
		return PS_OK;
	ps_error_set(err, PS_EPARSE,
		     "echo: there must be as many outputs as inputs, each with the datatype and "
		     "shape of its input");
	ps_error_where(err, "%s", path);
	return PS_EPARSE;
}

static enum ps_status add_duration(struct ps_synthetic_spec *spec, const char *text,
				   struct ps_error *err)
{
	size_t n = spec->n_durations;
	enum ps_status st;

	if (n >= PS_SYNTHETIC_MAX_DURATIONS)
		return ps_error_set(err, PS_ETOOBIG, "over %d recorded durations",
				    PS_SYNTHETIC_MAX_DURATIONS);
	if ((n & (n - 1)) == 0) {
		int64_t *p = realloc(spec->durations_ns, (n ? 2 * n : 1) * sizeof(*p));

		if (!p)
			return ps_error_set(err, PS_ENOMEM, "no memory for durations");
		spec->durations_ns = p;
	}
	st = ps_units_parse_duration(text, &spec->durations_ns[n], err);
	if (st == PS_OK)
		spec->n_durations++;
	return st;
}

static char *path_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	size_t n = name[0] == '/' || !slash ? 0 : (size_t)(slash - path) + 1;
	char *p = malloc(n + strlen(name) + 1);

	if (p) {
		memcpy(p, path, n);
		strcpy(p + n, name);
	}
	return p;
}

static enum ps_status read_duration_file(struct ps_synthetic_spec *spec, const char *path,
					 struct ps_error *err)
{
	char *text, *save = NULL;
	size_t len;
	enum ps_status st = ps_file_read(path, PS_SYNTHETIC_MAX_FILE_BYTES, &text, &len, err);
	int line = 0;

	if (st != PS_OK)
		return st;
	for (char *p = text; st == PS_OK && (p = strtok_r(p, "\n", &save)); p = NULL) {
		line++;
		if (*p == '#' || *p == '\0')
			continue;
		st = add_duration(spec, p, err);
		if (st != PS_OK)
			ps_error_where(err, "%s: duration %d", path, line);
	}
	free(text);
	return st;
}

static enum ps_status read_durations(const char *path, const struct file_conf *c,
				     struct ps_synthetic_spec *spec, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < c->durations.len && st == PS_OK; i++) {
		st = add_duration(spec, c->durations.items[i], err);
		if (st != PS_OK)
			ps_error_where(err, "%s: durations", path);
	}
	if (st == PS_OK && c->durations_file) {
		char *p = path_beside(path, c->durations_file);

		st = p ? read_duration_file(spec, p, err)
		       : ps_error_set(err, PS_ENOMEM, "no memory");
		free(p);
	}
	if (st == PS_OK && (spec->n_durations > 0) != (spec->service == PS_SYNTHETIC_RECORDED)) {
		st = ps_error_set(err, PS_EPARSE,
				  spec->n_durations
					  ? "durations are given, but service is not recorded"
					  : "service is recorded, but no durations are given");
		ps_error_where(err, "%s", path);
	}
	return st;
}

static enum ps_status build(const char *path, const struct file_conf *c,
			    struct ps_synthetic_spec *spec, struct ps_error *err)
{
	enum ps_status st;

	spec->service = (enum ps_synthetic_service)c->service;
	spec->mode = (enum ps_synthetic_mode)c->mode;
	spec->per = (enum ps_synthetic_per)c->per;
	spec->mean_ns = c->mean_ns;
	spec->each_row_ns = c->each_row_ns;
	spec->wide_speedup = c->wide_speedup;
	spec->echo = c->echo;
	spec->load_ns = c->load_ns;
	spec->memory_bytes = c->memory_bytes;
	spec->claims_bytes = c->claims_bytes;
	snprintf(spec->broken, sizeof(spec->broken), "%s", c->broken ? c->broken : "");
	spec->seed = (uint64_t)c->seed;
	spec->stall_at_ns = c->stall.at_ns;
	spec->stall_for_ns = c->stall.for_ns;
	st = read_tensors(path, &c->inputs, spec->inputs, &spec->n_inputs, err);
	if (st == PS_OK)
		st = read_tensors(path, &c->outputs, spec->outputs, &spec->n_outputs, err);
	if (st == PS_OK)
		st = spec->echo ? check_echo(path, spec, err) : check_open(path, spec, err);
	return st == PS_OK ? read_durations(path, c, spec, err) : st;
}

enum ps_status ps_synthetic_load(const char *path, struct ps_synthetic_spec *ret_spec,
				 struct ps_error *err)
{
	struct file_conf c;
	enum ps_status st = ps_conf_load_yaml(&ps_engine_synthetic_schema, path, &c, err);

	if (st != PS_OK)
		return st;
	memset(ret_spec, 0, sizeof(*ret_spec));
	st = build(path, &c, ret_spec, err);
	ps_conf_free(&ps_engine_synthetic_schema, &c);
	if (st != PS_OK)
		ps_synthetic_fini(ret_spec);
	return st;
}

void ps_synthetic_fini(struct ps_synthetic_spec *spec)
{
	free(spec->durations_ns);
	spec->durations_ns = NULL;
	spec->n_durations = 0;
}
