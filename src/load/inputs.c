/* inputs.c - see inputs.h. */
#include "load/inputs.h"

#include "base/rng.h"
#include "load/files.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_ELEMENT = 8 };

static const struct ps_load_shape *find_shape(const struct ps_load_shape *shapes, size_t len,
					      const char *input)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(shapes[i].input, input) == 0) {
			return &shapes[i];
		}
	}
	return NULL;
}

static enum ps_status use_given(const struct ps_tensor_spec *spec, const struct ps_load_shape *g,
				struct ps_tensor *t, struct ps_error *err)
{
	char want[PS_TENSOR_SHAPE_SIZE], got[PS_TENSOR_SHAPE_SIZE];
	bool fits = g->rank == spec->rank;

	for (int i = 0; fits && i < spec->rank; i++) {
		t->dims[i] = g->dims[i];
		fits = g->dims[i] >= 0 && (spec->dims[i] < 0 || spec->dims[i] == g->dims[i]);
	}
	if (!fits) {
		return ps_error_set(err, PS_EINVAL,
				    "input '%s' takes shape %s, the given shape is %s", spec->name,
				    ps_tensor_shape_text(spec->dims, spec->rank, want),
				    ps_tensor_shape_text(g->dims, g->rank, got));
	}
	return PS_OK;
}

static enum ps_status use_declared(const struct ps_tensor_spec *spec, int64_t batch,
				   struct ps_tensor *t, struct ps_error *err)
{
	char want[PS_TENSOR_SHAPE_SIZE];

	for (int i = 0; i < spec->rank; i++) {
		t->dims[i] = spec->dims[i] >= 0 ? spec->dims[i] : i == 0 ? batch : 1;
	}
	if (batch > 1 && (spec->rank == 0 || t->dims[0] != batch)) {
		return ps_error_set(err, PS_EINVAL,
				    "input '%s' has shape %s: no batch of %lld is possible",
				    spec->name, ps_tensor_shape_text(spec->dims, spec->rank, want),
				    (long long)batch);
	}
	return PS_OK;
}

enum ps_status ps_load_inputs_shape(const struct ps_tensor_spec *spec, int64_t batch,
				    const struct ps_load_shape *shapes, size_t shape_len,
				    struct ps_tensor *ret_tensor, struct ps_error *err)
{
	const struct ps_load_shape *given = find_shape(shapes, shape_len, spec->name);
	struct ps_tensor t = {.name = spec->name, .dtype = spec->dtype, .rank = spec->rank};
	size_t element =
		spec->dtype == PS_DTYPE_BYTES ? 4 + BYTES_ELEMENT : ps_dtype_size(spec->dtype);
	enum ps_status st;
	int64_t count;

	if (element == 0) {
		return ps_error_set(err, PS_EUNSUPPORTED, "input '%s' has an unknown data type",
				    spec->name);
	}
	st = given ? use_given(spec, given, &t, err) : use_declared(spec, batch, &t, err);
	if (st == PS_OK) {
		st = ps_tensor_count(t.dims, t.rank, &count, err);
	}
	if (st != PS_OK) {
		return st;
	}
	if ((uint64_t)count > PS_LOAD_MAX_INPUT_BYTES / element) {
		return ps_error_set(err, PS_ETOOBIG, "input '%s' would be over %llu bytes",
				    spec->name, (unsigned long long)PS_LOAD_MAX_INPUT_BYTES);
	}
	t.bytes = (size_t)count * element;
	*ret_tensor = t;
	return PS_OK;
}

/* Round to nearest even; |v| of a standard normal stays far from overflow, and what is too small
 * for a normal half becomes zero: denormals would slow some engines and falsify times. */
static uint16_t half_from_float(float v)
{
	uint32_t b;
	memcpy(&b, &v, sizeof(b));

	uint32_t sign = b >> 16 & 0x8000;
	int32_t exponent = (int32_t)(b >> 23 & 0xff) - 127 + 15;
	uint32_t mantissa = b & 0x7fffff;

	if (exponent <= 0) {
		return (uint16_t)sign;
	}
	uint32_t h = (uint32_t)exponent << 10 | mantissa >> 13;
	uint32_t rest = mantissa & 0x1fff;
	h += rest > 0x1000 || (rest == 0x1000 && (h & 1));
	return (uint16_t)(sign | h);
}

static uint16_t bfloat_from_float(float v)
{
	uint32_t b;
	memcpy(&b, &v, sizeof(b));
	return (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

static void fill_float(enum ps_dtype type, void *out, size_t n, struct ps_rng *r)
{
	for (size_t i = 0; i < n; i++) {
		double v = ps_rng_normal(r);

		switch (type) {
		case PS_DTYPE_FP64:
			((double *)out)[i] = v;
			break;
		case PS_DTYPE_FP32:
			((float *)out)[i] = (float)v;
			break;
		case PS_DTYPE_FP16:
			((uint16_t *)out)[i] = half_from_float((float)v);
			break;
		default:
			((uint16_t *)out)[i] = bfloat_from_float((float)v);
			break;
		}
	}
}

/* Integers are little-endian on the wire; only the lowest byte is ever set. */
static void fill_integer(size_t size, uint64_t range, uint8_t *out, size_t n, struct ps_rng *r)
{
	memset(out, 0, n * size);
	for (size_t i = 0; i < n; i++) {
		out[i * size] = (uint8_t)ps_rng_below(r, range);
	}
}

static void fill_bytes(uint8_t *out, size_t n, struct ps_rng *r)
{
	for (size_t i = 0; i < n; i++, out += 4 + BYTES_ELEMENT) {
		memcpy(out, (const uint8_t[4]){BYTES_ELEMENT}, 4);
		for (int k = 0; k < BYTES_ELEMENT; k++) {
			out[4 + k] = (uint8_t)('a' + ps_rng_below(r, 26));
		}
	}
}

static void fill(struct ps_tensor *t, struct ps_rng *r)
{
	size_t size = t->dtype == PS_DTYPE_BYTES ? 4 + BYTES_ELEMENT : ps_dtype_size(t->dtype);
	size_t n = t->bytes / size;

	switch (t->dtype) {
	case PS_DTYPE_FP32:
	case PS_DTYPE_FP64:
	case PS_DTYPE_FP16:
	case PS_DTYPE_BF16:
		fill_float(t->dtype, t->data, n, r);
		break;
	case PS_DTYPE_BYTES:
		fill_bytes(t->data, n, r);
		break;
	case PS_DTYPE_BOOL:
		fill_integer(1, 2, t->data, n, r);
		break;
	case PS_DTYPE_UINT8:
	case PS_DTYPE_INT8:
		fill_integer(1, 256, t->data, n, r);
		break;
	default:
		fill_integer(size, 100, t->data, n, r);
		break;
	}
}

static enum ps_status read_one(const struct ps_tensor_spec *spec, const struct ps_load_tenant *t,
			       const char *path, struct ps_tensor *tensor, struct ps_error *err)
{
	struct ps_tensor like;
	enum ps_status st = ps_load_inputs_shape(spec, t->batch > 0 ? t->batch : 1, t->shapes,
						 t->shape_len, &like, err);

	return st == PS_OK ? ps_load_file_read(path, spec, &like, tensor, err) : st;
}

static enum ps_status make_up(const struct ps_tensor_spec *spec, const struct ps_load_tenant *t,
			      struct ps_rng *r, struct ps_tensor *tensor, struct ps_error *err)
{
	enum ps_status st = ps_load_inputs_shape(spec, t->batch > 0 ? t->batch : 1, t->shapes,
						 t->shape_len, tensor, err);

	if (st != PS_OK) {
		return st;
	}
	tensor->data = malloc(tensor->bytes ? tensor->bytes : 1);
	if (!tensor->data) {
		return ps_error_set(err, PS_ENOMEM, "no memory for input '%s'", spec->name);
	}
	fill(tensor, r);
	return PS_OK;
}

static enum ps_status make_one(const struct ps_tensor_spec *spec, const struct ps_load_tenant *t,
			       const char *path, struct ps_rng *r, struct ps_load_inputs *in,
			       struct ps_error *err)
{
	struct ps_tensor *tensor = &in->tensors[in->len];
	enum ps_status st =
		path ? read_one(spec, t, path, tensor, err) : make_up(spec, t, r, tensor, err);

	if (st != PS_OK) {
		return st;
	}
	in->len++;
	if (tensor->bytes > PS_LOAD_MAX_INPUT_BYTES - in->bytes) {
		return ps_error_set(err, PS_ETOOBIG, "one request would be over %llu bytes",
				    (unsigned long long)PS_LOAD_MAX_INPUT_BYTES);
	}
	in->bytes += tensor->bytes;
	return PS_OK;
}

enum ps_status ps_load_inputs_make(const struct ps_tensor_spec *specs, size_t spec_len,
				   const struct ps_load_tenant *t, uint64_t seed, uint64_t number,
				   struct ps_load_inputs *ret_inputs, struct ps_error *err)
{
	struct ps_load_inputs in = {
		.tensors = calloc(spec_len ? spec_len : 1, sizeof(struct ps_tensor))};
	struct ps_rng rng;

	if (!in.tensors) {
		return ps_error_set(err, PS_ENOMEM, "no memory for inputs");
	}
	ps_rng_init(&rng, seed, number);
	for (size_t i = 0; i < spec_len; i++) {
		const char *path = ps_load_files_pick(t->target.inputs, t->target.input_len,
						      specs[i].name, spec_len == 1, number);
		enum ps_status st = make_one(&specs[i], t, path, &rng, &in, err);

		if (st != PS_OK) {
			ps_load_inputs_fini(&in);
			return st;
		}
	}
	*ret_inputs = in;
	return PS_OK;
}

void ps_load_inputs_fini(struct ps_load_inputs *in)
{
	for (size_t i = 0; i < in->len; i++) {
		free(in->tensors[i].data);
	}
	free(in->tensors);
	*in = (struct ps_load_inputs){0};
}
