/* config.pbtxt: inputs and outputs. */
#include "repo/pbtxt_internal.h"

#include <stdlib.h>

static enum ps_status tensor_name(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_tensor *t = into;

	return ps_repo_pb_text_of(d, n, t->name, sizeof(t->name));
}

static enum ps_status tensor_dtype(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_dtype_of(d, n, &((struct ps_repo_tensor *)into)->dtype);
}

static enum ps_status tensor_dim(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_tensor *t = into;

	return ps_repo_pb_dim_of(d, n, t->dims, &t->rank);
}

static enum ps_status reshape_dim(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_tensor *t = into;

	return ps_repo_pb_dim_of(d, n, t->reshape, &t->reshape_rank);
}

static enum ps_status tensor_reshape(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const struct ps_repo_pb_field fields[] = {{"shape", reshape_dim, true}, {0}};

	((struct ps_repo_tensor *)into)->reshaped = true;
	return ps_repo_pb_read_message(d, n, fields, into);
}

static enum ps_status tensor_optional(struct ps_repo_pb *d, const struct ps_repo_node *n,
				      void *into)
{
	return ps_repo_pb_bool_of(d, n, &((struct ps_repo_tensor *)into)->optional);
}

static enum ps_status add_tensor(struct ps_repo_pb *d, const struct ps_repo_node *n,
				 const struct ps_repo_pb_field *fields,
				 struct ps_repo_tensor **list, int *count)
{
	struct ps_repo_tensor *more;

	if (*count >= PS_MODEL_MAX_TENSORS)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "a model has at most 64 of them", NULL);
	more = realloc(*list, (size_t)(*count + 1) * sizeof(*more));
	if (!more)
		return ps_repo_pb_fail(d, n, PS_ENOMEM, "out of memory", NULL);
	*list = more;
	more[*count] = (struct ps_repo_tensor){0};
	return ps_repo_pb_read_message(d, n, fields, &more[(*count)++]);
}

enum ps_status ps_repo_pb_config_input(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"name", tensor_name, false},
		{"data_type", tensor_dtype, false},
		{"dims", tensor_dim, true},
		{"reshape", tensor_reshape, false},
		{"optional", tensor_optional, false},
		{"is_shape_tensor", ps_repo_pb_refused_when_true, false},
		{"allow_ragged_batch", ps_repo_pb_refused_when_true, false},
		{"is_non_linear_format_io", ps_repo_pb_refused_when_true, false},
		{"format", NULL, false},
		{0}};
	struct ps_repo_config *c = into;

	return add_tensor(d, n, fields, &c->inputs, &c->n_inputs);
}

enum ps_status ps_repo_pb_config_output(struct ps_repo_pb *d, const struct ps_repo_node *n,
					void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"name", tensor_name, false},
		{"data_type", tensor_dtype, false},
		{"dims", tensor_dim, true},
		{"reshape", tensor_reshape, false},
		{"is_shape_tensor", ps_repo_pb_refused_when_true, false},
		{"is_non_linear_format_io", ps_repo_pb_refused_when_true, false},
		{"label_filename", NULL, false},
		{0}};
	struct ps_repo_config *c = into;

	return add_tensor(d, n, fields, &c->outputs, &c->n_outputs);
}
