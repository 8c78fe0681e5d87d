/* Requests against what a model declares. */
#include "oip/oip_internal.h"

#include <string.h>

static int find_spec(const struct ps_tensor_spec *specs, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(specs[i].name, name) == 0)
			return i;
	return -1;
}

enum ps_status ps_oip_match(const struct ps_oip_request *r, const struct ps_tensor_spec *specs,
			    int n_specs, struct ps_tensor *ret_inputs, struct ps_error *err)
{
	bool seen[PS_MODEL_MAX_TENSORS] = {false};
	if (n_specs > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_EINTERNAL, "a model with %d inputs", n_specs);
	for (int i = 0; i < r->n_inputs; i++) {
		int k = find_spec(specs, n_specs, r->inputs[i].name);
		if (k < 0)
			return ps_error_set(err, PS_EINVAL, "unexpected inference input '%s'",
					    r->inputs[i].name);
		if (seen[k])
			return ps_error_set(err, PS_EINVAL, "input '%s' comes twice",
					    r->inputs[i].name);
		enum ps_status s = ps_tensor_check(&specs[k], &r->inputs[i], err);
		if (s != PS_OK)
			return s;
		seen[k] = true;
		ret_inputs[k] = r->inputs[i];
		ret_inputs[k].name = specs[k].name;
	}
	for (int k = 0; k < n_specs; k++)
		if (!seen[k])
			return ps_error_set(err, PS_EINVAL,
					    "expected %d inputs but got %d inputs: '%s' is missing",
					    n_specs, r->n_inputs, specs[k].name);
	return PS_OK;
}

enum ps_status ps_oip_select(const struct ps_oip_request *r, const struct ps_tensor_spec *specs,
			     int n_specs, int *ret_index, bool *ret_binary, int *ret_n,
			     struct ps_error *err)
{
	bool seen[PS_MODEL_MAX_TENSORS] = {false};
	if (n_specs > PS_MODEL_MAX_TENSORS)
		return ps_error_set(err, PS_EINTERNAL, "a model with %d outputs", n_specs);
	for (int i = 0; r->n_outputs == 0 && i < n_specs; i++) {
		ret_index[i] = i;
		ret_binary[i] = r->binary_output;
	}
	for (int i = 0; i < r->n_outputs; i++) {
		int k = find_spec(specs, n_specs, r->outputs[i].name);
		if (k < 0)
			return ps_error_set(err, PS_EINVAL, "unexpected inference output '%s'",
					    r->outputs[i].name);
		if (seen[k])
			return ps_error_set(err, PS_EINVAL, "output '%s' is asked for twice",
					    r->outputs[i].name);
		seen[k] = true;
		ret_index[i] = k;
		ret_binary[i] = r->outputs[i].binary;
	}
	*ret_n = r->n_outputs ? r->n_outputs : n_specs;
	return PS_OK;
}

/* --- raw binary requests --- */

/* BYTES: the body is the one element. */
static enum ps_status resolve_bytes(struct ps_tensor *t, struct ps_arena *arena,
				    struct ps_error *err)
{
	int64_t count;
	enum ps_status s = ps_tensor_count(t->dims, t->rank, &count, err);
	if (s != PS_OK)
		return s;
	if (count != 1 || t->bytes > UINT32_MAX)
		return ps_error_set(err, PS_EINVAL,
				    "a raw binary request holds one BYTES element, input '%s' has "
				    "%lld",
				    t->name, (long long)count);
	uint32_t len = (uint32_t)t->bytes;
	char *copy = ps_arena_alloc_tensor(arena, sizeof len + t->bytes);
	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for input '%s'", t->name);
	memcpy(copy, &len, sizeof len);
	if (len > 0)
		memcpy(copy + sizeof len, t->data, t->bytes);
	t->data = copy;
	t->bytes += sizeof len;
	return PS_OK;
}

/* Finds the one dimension that only the size of the body can tell. */
static enum ps_status resolve_dims(struct ps_tensor *t, struct ps_error *err)
{
	int open = -1, n_open = 0;
	for (int i = 0; i < t->rank; i++) {
		if (t->dims[i] >= 0)
			continue;
		t->dims[i] = 1;
		if (i > 0) {
			open = i;
			n_open++;
		}
	}
	if (n_open > 1)
		return ps_error_set(err, PS_EINVAL,
				    "the shape of input '%s' does not follow from the size of a "
				    "raw binary request",
				    t->name);
	int64_t count;
	enum ps_status s = ps_tensor_count(t->dims, t->rank, &count, err);
	size_t unit = (size_t)count * ps_dtype_size(t->dtype);
	if (s == PS_OK && open >= 0 && unit > 0 && t->bytes % unit == 0)
		t->dims[open] = (int64_t)(t->bytes / unit);
	return s;
}

enum ps_status ps_oip_resolve_raw(struct ps_oip_request *r, const struct ps_tensor_spec *inputs,
				  int n_inputs, struct ps_arena *arena, struct ps_error *err)
{
	if (!r->raw)
		return PS_OK;
	if (n_inputs != 1)
		return ps_error_set(err, PS_EINVAL,
				    "a raw binary request needs a model with one input, this one "
				    "has %d",
				    n_inputs);
	struct ps_tensor *t = &r->inputs[0];
	t->name = inputs[0].name;
	t->dtype = inputs[0].dtype;
	t->rank = inputs[0].rank;
	memcpy(t->dims, inputs[0].dims, sizeof t->dims);
	enum ps_status s = resolve_dims(t, err);
	if (s != PS_OK)
		return s;
	if (t->dtype == PS_DTYPE_BYTES)
		return resolve_bytes(t, arena, err);
	return ps_tensor_check(&inputs[0], t, err);
}
