#include "model/model.h"

#include <stdio.h>
#include <string.h>

static const struct {
	enum ps_dtype type;
	const char *name;
	size_t size;
} types[] = {
	{PS_DTYPE_FP32, "FP32", 4},	{PS_DTYPE_UINT8, "UINT8", 1},
	{PS_DTYPE_INT8, "INT8", 1},	{PS_DTYPE_UINT16, "UINT16", 2},
	{PS_DTYPE_INT16, "INT16", 2},	{PS_DTYPE_INT32, "INT32", 4},
	{PS_DTYPE_INT64, "INT64", 8},	{PS_DTYPE_BYTES, "BYTES", 0},
	{PS_DTYPE_BOOL, "BOOL", 1},	{PS_DTYPE_FP16, "FP16", 2},
	{PS_DTYPE_FP64, "FP64", 8},	{PS_DTYPE_UINT32, "UINT32", 4},
	{PS_DTYPE_UINT64, "UINT64", 8}, {PS_DTYPE_BF16, "BF16", 2},
};
enum { N_TYPES = sizeof types / sizeof types[0] };

size_t ps_dtype_size(enum ps_dtype t)
{
	for (int i = 0; i < N_TYPES; i++)
		if (types[i].type == t)
			return types[i].size;
	return 0;
}

const char *ps_dtype_name(enum ps_dtype t)
{
	for (int i = 0; i < N_TYPES; i++)
		if (types[i].type == t)
			return types[i].name;
	return NULL;
}

enum ps_dtype ps_dtype_from_name(const char *name, size_t n)
{
	for (int i = 0; i < N_TYPES; i++)
		if (strlen(types[i].name) == n && memcmp(types[i].name, name, n) == 0)
			return types[i].type;
	return PS_DTYPE_NONE;
}

enum ps_status ps_tensor_count(const int64_t *dims, int rank, int64_t *ret_count,
			       struct ps_error *err)
{
	int64_t n = 1;
	char text[PS_TENSOR_SHAPE_SIZE];
	for (int i = 0; i < rank; i++)
		if (dims[i] < 0)
			return ps_error_set(err, PS_EINVAL, "shape %s has a negative dimension",
					    ps_tensor_shape_text(dims, rank, text));
	bool empty = false;
	for (int i = 0; i < rank; i++)
		empty |= dims[i] == 0;
	int64_t limit = empty ? PS_TENSOR_MAX_EMPTY : INT64_C(1) << 48;
	for (int i = 0; i < rank; i++)
		if (dims[i] > 0 && (__builtin_mul_overflow(n, dims[i], &n) || n > limit))
			return ps_error_set(err, PS_ETOOBIG, "shape %s has too many elements",
					    ps_tensor_shape_text(dims, rank, text));
	*ret_count = empty ? 0 : n;
	return PS_OK;
}

const char *ps_tensor_shape_text(const int64_t *dims, int rank, char buf[PS_TENSOR_SHAPE_SIZE])
{
	size_t n = 0;
	buf[n++] = '[';
	for (int i = 0; i < rank; i++) {
		if (n > PS_TENSOR_SHAPE_SIZE - 28) {
			n += (size_t)snprintf(buf + n, PS_TENSOR_SHAPE_SIZE - n, ",...");
			break;
		}
		n += (size_t)snprintf(buf + n, PS_TENSOR_SHAPE_SIZE - n, "%s%lld", i ? "," : "",
				      (long long)dims[i]);
	}
	buf[n++] = ']';
	buf[n] = '\0';
	return buf;
}

/* Which side of a model a tensor is on, and what the model did about it. */
struct side {
	const char *name, *asks;
};

static enum ps_status check_shape(const struct ps_tensor_spec *spec, const struct ps_tensor *t,
				  const struct side *side, struct ps_error *err)
{
	char want[PS_TENSOR_SHAPE_SIZE], got[PS_TENSOR_SHAPE_SIZE];
	if (t->rank < 0 || t->rank > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EINVAL, "%s '%s' has %d dimensions, the limit is %d",
				    side->name, spec->name, t->rank, PS_TENSOR_MAX_RANK);
	bool fits = t->rank == spec->rank;
	for (int i = 0; fits && i < t->rank; i++)
		fits = spec->dims[i] < 0 || spec->dims[i] == t->dims[i];
	if (fits)
		return PS_OK;
	return ps_error_set(err, PS_EINVAL, "%s '%s' has shape %s, the model %s %s", side->name,
			    spec->name, ps_tensor_shape_text(t->dims, t->rank, got), side->asks,
			    ps_tensor_shape_text(spec->dims, spec->rank, want));
}

static enum ps_status check(const struct ps_tensor_spec *spec, const struct ps_tensor *t,
			    const struct side *side, struct ps_error *err)
{
	char got[PS_TENSOR_SHAPE_SIZE];
	if (t->dtype != spec->dtype)
		return ps_error_set(
			err, PS_EINVAL, "%s '%s' has data type %s, the model %s %s", side->name,
			spec->name, ps_dtype_name(t->dtype) ? ps_dtype_name(t->dtype) : "?",
			side->asks, ps_dtype_name(spec->dtype) ? ps_dtype_name(spec->dtype) : "?");
	int64_t count = 0;
	enum ps_status s = check_shape(spec, t, side, err);
	if (s == PS_OK)
		s = ps_tensor_count(t->dims, t->rank, &count, err);
	if (s != PS_OK)
		return s;
	unsigned long long want_bytes = (unsigned long long)count * ps_dtype_size(t->dtype);
	if (want_bytes != t->bytes && t->dtype != PS_DTYPE_BYTES)
		return ps_error_set(
			err, PS_EINVAL, "%s '%s' of shape %s holds %llu bytes, but %zu came",
			side->name, spec->name, ps_tensor_shape_text(t->dims, t->rank, got),
			want_bytes, t->bytes);
	return PS_OK;
}

enum ps_status ps_tensor_check(const struct ps_tensor_spec *spec, const struct ps_tensor *t,
			       struct ps_error *err)
{
	return check(spec, t, &(struct side){"input", "wants"}, err);
}

enum ps_status ps_tensor_check_output(const struct ps_tensor_spec *spec, const struct ps_tensor *t,
				      struct ps_error *err)
{
	return check(spec, t, &(struct side){"output", "declares"}, err);
}
