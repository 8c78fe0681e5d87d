#include "engine/onnxruntime/ort_internal.h"
#include "engine/onnxruntime/recurrent_internal.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	const char *key, *value;
};

static const struct entry always[] = {
	{"session.intra_op.allow_spinning", "0"},
	{"session.inter_op.allow_spinning", "0"},
};

static const struct entry when_mapped[] = {
	{"session.load_model_format", "ORT"},
	{"session.use_ort_model_bytes_directly", "1"},
	{"session.use_ort_model_bytes_for_initializers", "1"},
	/* Else every session copies its matrices into another order, and nothing is shared.
	 * Measured: VGG-16 holds 2 MiB of its own instead of 473, as fast at batch 1; the price
	 * is about a quarter more time for an LSTM at batch 8. */
	{"session.disable_prepacking", "1"},
};

static struct ps_ort_status *set_entries(const struct ps_ort_api *a, void *options,
					 const struct entry *entries, size_t n)
{
	struct ps_ort_status *s = NULL;

	for (size_t i = 0; i < n && !s; i++)
		s = a->set_config(options, entries[i].key, entries[i].value);
	return s;
}

enum ps_status ps_ort_session_options(const struct ps_engine *e, bool wide, bool mapped,
				      void **ret_options, struct ps_error *err)
{
	const struct ps_ort_api *a = &e->api;
	void *o = NULL;
	struct ps_ort_status *s = a->create_session_options(&o);
	enum ps_status st;

	if (!s) /* a converted model is optimised already */
		s = a->set_optimization_level(o,
					      mapped ? PS_ORT_OPTIMIZE_NONE : PS_ORT_OPTIMIZE_ALL);
	if (!s)
		s = wide ? a->use_global_pool(o) : a->set_intra_threads(o, 1);
	if (!s)
		s = a->set_inter_threads(o, 1);
	if (!s)
		s = set_entries(a, o, always, sizeof(always) / sizeof(always[0]));
	if (!s && mapped)
		s = set_entries(a, o, when_mapped, sizeof(when_mapped) / sizeof(when_mapped[0]));
	if (!s && e->shared_arena)
		s = a->set_config(o, "session.use_env_allocators", "1");
	st = ps_ort_check(a, s, err, "cannot set session options");
	if (st == PS_OK)
		*ret_options = o;
	else if (o)
		a->release_session_options(o);
	return st;
}

/* What this session has beyond the usual options. */
static enum ps_status add_options(const struct ps_engine_instance *i, bool wide, void *options,
				  struct ps_error *err)
{
	const struct ps_ort_api *a = &i->engine->api;
	enum ps_status st = PS_OK;

	if (i->gpu >= 0)
		st = ps_ort_cuda_options(i, options, err);
	if (st == PS_OK && i->profile && !wide)
		st = ps_ort_check(a, a->enable_profiling(options, i->profile), err,
				  "cannot begin a profile");
	if (st == PS_OK && i->rnn)
		st = ps_ort_check(a, a->add_op_domain(options, i->rnn->sides[wide].domain), err,
				  "cannot register an operator");
	return st;
}

static struct ps_ort_status *create_session(const struct ps_engine_instance *i, const char *path,
					    void *options, void **ret_session)
{
	const struct ps_engine *e = i->engine;

	if (i->map)
		return e->api.create_session_from_array(e->env, i->map->data, i->map->model_bytes,
							options, ret_session);
	if (i->rnn)
		return e->api.create_session_from_array(e->env, i->rnn->model, i->rnn->model_bytes,
							options, ret_session);
	return e->api.create_session(e->env, path, options, ret_session);
}

static enum ps_status open_one(struct ps_engine_instance *i, const char *path, bool wide,
			       void **ret_session, struct ps_error *err)
{
	const struct ps_engine *e = i->engine;
	struct ps_error own;
	void *options;
	enum ps_status st;

	if (!err)
		err = &own;
	st = ps_ort_session_options(e, wide, i->map != NULL, &options, err);
	if (st != PS_OK)
		return st;
	st = add_options(i, wide, options, err);
	if (st == PS_OK) {
		st = ps_ort_check_load(&e->api, create_session(i, path, options, ret_session), err);
		if (i->gpu >= 0 && st == PS_EPARSE && strstr(err->what, "CUDA")) {
			st = PS_ENOTFOUND; /* not the file is at fault, but the device */
			err->status = st;
		}
		ps_error_where(st == PS_OK ? NULL : err, "%s", path);
	}
	e->api.release_session_options(options);
	return st;
}

enum ps_status ps_ort_sessions_open(struct ps_engine_instance *i, const char *path, bool wide,
				    struct ps_error *err)
{
	enum ps_status st = open_one(i, path, false, &i->narrow, err);

	if (st == PS_OK && wide)
		st = open_one(i, path, true, &i->wide, err);
	if (st != PS_OK)
		ps_ort_sessions_close(i);
	return st;
}

void ps_ort_sessions_close(struct ps_engine_instance *i)
{
	if (i->narrow)
		i->engine->api.release_session(i->narrow);
	if (i->wide)
		i->engine->api.release_session(i->wide);
	i->narrow = i->wide = NULL;
}

/* A declared tensor while it is read: the names of its open dimensions belong to `type`. */
struct reading {
	struct ps_tensor_spec *spec;
	void *type;
	const char *symbols[PS_TENSOR_MAX_RANK];
};

static enum ps_status read_name(struct ps_engine_instance *i, bool is_input, size_t k,
				struct ps_tensor_spec *spec, struct ps_error *err)
{
	const struct ps_ort_api *a = &i->engine->api;
	void *allocator = NULL;
	char *name = NULL;
	struct ps_ort_status *s = a->default_allocator(&allocator);
	enum ps_status st;

	if (!s)
		s = is_input ? a->input_name(i->narrow, k, allocator, &name)
			     : a->output_name(i->narrow, k, allocator, &name);
	st = ps_ort_check(a, s, err, "cannot read a tensor's name");
	if (st != PS_OK || !name)
		return st;
	if (strlen(name) < sizeof(spec->name))
		strcpy(spec->name, name);
	else
		st = ps_error_set(err, PS_EUNSUPPORTED, "a tensor's name has over %zu bytes",
				  sizeof(spec->name) - 1);
	s = a->allocator_free(allocator, name);
	if (s)
		a->release_status(s);
	return st;
}

static enum ps_status read_type(const struct ps_ort_api *a, struct reading *r, struct ps_error *err)
{
	struct ps_tensor_spec *spec = r->spec;
	const void *info = NULL;
	int kind = 0, dtype = 0;
	size_t rank = 0;
	struct ps_ort_status *s = a->onnx_type(r->type, &kind);

	if (!s && kind != PS_ORT_TYPE_TENSOR)
		return ps_error_set(err, PS_EUNSUPPORTED,
				    "'%s' is a sequence, map or optional; only tensors are served",
				    spec->name);
	if (!s)
		s = a->tensor_info(r->type, &info);
	if (!s)
		s = a->element_type(info, &dtype);
	if (!s)
		s = a->dims_count(info, &rank);
	if (!s && rank > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EUNSUPPORTED, "'%s' has over %d dimensions", spec->name,
				    PS_TENSOR_MAX_RANK);
	if (!s)
		s = a->dims(info, spec->dims, rank);
	if (!s)
		s = a->symbolic_dims(info, r->symbols, rank);
	if (!s && !ps_dtype_name((enum ps_dtype)dtype))
		return ps_error_set(err, PS_EUNSUPPORTED,
				    "'%s' has ONNX data type %d, which is not served", spec->name,
				    dtype);
	spec->dtype = (enum ps_dtype)dtype;
	spec->rank = (int)rank;
	for (size_t d = 0; d < rank; d++)
		if (spec->dims[d] < 0)
			spec->dims[d] = -1;
	return ps_ort_check(a, s, err, "cannot read a tensor's type");
}

static enum ps_status read_side(struct ps_engine_instance *i, bool is_input, struct reading *list,
				int n, struct ps_error *err)
{
	const struct ps_ort_api *a = &i->engine->api;
	struct ps_tensor_spec *specs = is_input ? i->inputs : i->outputs;

	if (!specs)
		return ps_error_set(err, PS_EINTERNAL, "tensors were not counted");
	for (int k = 0; k < n; k++) {
		enum ps_status st;

		list[k].spec = &specs[k];
		st = read_name(i, is_input, (size_t)k, list[k].spec, err);
		if (st == PS_OK)
			st = ps_ort_check(
				a,
				is_input ? a->input_type(i->narrow, (size_t)k, &list[k].type)
					 : a->output_type(i->narrow, (size_t)k, &list[k].type),
				err, "cannot read a tensor's type");
		if (st == PS_OK)
			st = read_type(a, &list[k], err);
		if (st != PS_OK)
			return st;
		if (is_input)
			i->in_names[k] = list[k].spec->name;
		else
			i->out_names[k] = list[k].spec->name;
	}
	return PS_OK;
}

/* Dimensions of one name have one size, so an open output dimension that an input also names is
 * known before the run. */
static struct ps_ort_origin find_origin(const struct reading *in, int n, const char *symbol)
{
	for (int k = 0; symbol && *symbol && k < n && in[k].spec; k++)
		for (int d = 0; d < in[k].spec->rank; d++)
			if (in[k].spec->dims[d] < 0 && in[k].symbols[d] &&
			    strcmp(in[k].symbols[d], symbol) == 0)
				return (struct ps_ort_origin){(signed char)k, (signed char)d};
	return (struct ps_ort_origin){-1, -1};
}

static enum ps_status count(struct ps_engine_instance *i, struct ps_error *err)
{
	const struct ps_ort_api *a = &i->engine->api;
	size_t n_in = 0, n_out = 0;
	struct ps_ort_status *s = a->input_count(i->narrow, &n_in);
	enum ps_status st;

	if (!s)
		s = a->output_count(i->narrow, &n_out);
	st = ps_ort_check(a, s, err, "cannot count tensors");
	if (st != PS_OK)
		return st;
	if (n_in > PS_MODEL_MAX_TENSORS || n_out > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_EUNSUPPORTED,
				    "the model has %zu inputs and %zu outputs; at most %d of each "
				    "are served",
				    n_in, n_out, PS_MODEL_MAX_TENSORS);
	i->n_inputs = (int)n_in;
	i->n_outputs = (int)n_out;
	i->inputs = calloc(n_in + 1, sizeof(*i->inputs));
	i->outputs = calloc(n_out + 1, sizeof(*i->outputs));
	if (!i->inputs || !i->outputs)
		return ps_error_set(err, PS_ENOMEM, "no memory for tensor descriptions");
	return PS_OK;
}

enum ps_status ps_ort_read_specs(struct ps_engine_instance *i, struct ps_error *err)
{
	struct reading in[PS_MODEL_MAX_TENSORS] = {0}, out[PS_MODEL_MAX_TENSORS] = {0};
	enum ps_status st = count(i, err);

	if (st == PS_OK)
		st = read_side(i, true, in, i->n_inputs, err);
	if (st == PS_OK)
		st = read_side(i, false, out, i->n_outputs, err);
	for (int k = 0; st == PS_OK && k < i->n_outputs && out[k].spec; k++)
		for (int d = 0; d < out[k].spec->rank; d++)
			i->origins[k][d] = find_origin(in, i->n_inputs, out[k].symbols[d]);
	for (int k = 0; k < PS_MODEL_MAX_TENSORS; k++) {
		if (in[k].type)
			i->engine->api.release_type_info(in[k].type);
		if (out[k].type)
			i->engine->api.release_type_info(out[k].type);
	}
	return st;
}
