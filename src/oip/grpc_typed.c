/* InferTensorContents -> tensor memory. */
#include "oip/grpc_internal.h"

#include <string.h>

enum { BOOL = 1, INT = 2, INT64 = 3, UINT = 4, UINT64 = 5, FP32 = 6, FP64 = 7, BYTES = 8 };

static const char *const field_names[] = {
	[BOOL] = "bool_contents", [INT] = "int_contents",	[INT64] = "int64_contents",
	[UINT] = "uint_contents", [UINT64] = "uint64_contents", [FP32] = "fp32_contents",
	[FP64] = "fp64_contents", [BYTES] = "bytes_contents",
};

/* Which field holds a datatype, and how its elements are written there; 0: none does. */
static uint64_t field_of(enum ps_dtype t, enum ps_wire_type *ret_wire)
{
	*ret_wire = PS_WIRE_VARINT;
	switch (t) {
	case PS_DTYPE_BOOL:
		return BOOL;
	case PS_DTYPE_INT8:
	case PS_DTYPE_INT16:
	case PS_DTYPE_INT32:
		return INT;
	case PS_DTYPE_INT64:
		return INT64;
	case PS_DTYPE_UINT8:
	case PS_DTYPE_UINT16:
	case PS_DTYPE_UINT32:
		return UINT;
	case PS_DTYPE_UINT64:
		return UINT64;
	case PS_DTYPE_FP32:
		*ret_wire = PS_WIRE_FIXED32;
		return FP32;
	case PS_DTYPE_FP64:
		*ret_wire = PS_WIRE_FIXED64;
		return FP64;
	case PS_DTYPE_BYTES:
		*ret_wire = PS_WIRE_BYTES;
		return BYTES;
	default:
		return 0;
	}
}

struct filler {
	struct ps_tensor *t;
	uint64_t field;
	enum ps_wire_type wire;
	size_t size;	     /* of an element; 0 for BYTES */
	int64_t count, done; /* elements */
	char *out;	     /* the next element */
};

static enum ps_status wrong_count(struct ps_oip_walk *w, const struct filler *f)
{
	char shape[PS_TENSOR_SHAPE_SIZE];
	return ps_error_set(w->err, PS_EINVAL,
			    "%s '%s': '%s' does not hold the %lld elements of shape %s", w->kind,
			    f->t->name, field_names[f->field], (long long)f->count,
			    ps_tensor_shape_text(f->t->dims, f->t->rank, shape));
}

/* A number of the wire, cut to the field's width as every reader of protobuf does; false when it is
 * no value of the datatype. */
static bool narrow(uint64_t field, size_t size, uint64_t *v)
{
	unsigned bits = (unsigned)size * 8;
	if (field == BOOL) {
		*v = *v != 0;
	} else if (field == INT) {
		int32_t x = (int32_t)*v;
		*v = (uint64_t)(int64_t)x;
		return bits == 32 || (x >= -(1 << (bits - 1)) && x < 1 << (bits - 1));
	} else if (field == UINT) {
		*v = (uint32_t)*v;
		return *v >> bits == 0;
	}
	return true;
}

static enum ps_status put_number(struct ps_oip_walk *w, struct filler *f, uint64_t v)
{
	if (f->done == f->count)
		return wrong_count(w, f);
	if (!narrow(f->field, f->size, &v))
		return ps_error_set(w->err, PS_EINVAL, "element %lld of %s '%s' is no %s",
				    (long long)f->done, w->kind, f->t->name,
				    ps_dtype_name(f->t->dtype));
	memcpy(f->out, &v, f->size); /* little-endian: the low bytes come first */
	f->out += f->size;
	f->done++;
	return PS_OK;
}

static enum ps_status put_fixed(struct ps_oip_walk *w, struct filler *f, const uint8_t *data,
				size_t n)
{
	if (n % f->size != 0)
		return ps_oip_walk_fail(w, "contents that are cut off");
	if (n / f->size > (uint64_t)(f->count - f->done))
		return wrong_count(w, f);
	if (n > 0)
		memcpy(f->out, data, n);
	f->out += n;
	f->done += (int64_t)(n / f->size);
	return PS_OK;
}

static enum ps_status put_bytes(struct ps_oip_walk *w, struct filler *f, const uint8_t *data,
				size_t n)
{
	uint32_t len = (uint32_t)n;
	if (f->done == f->count || n > UINT32_MAX)
		return wrong_count(w, f);
	memcpy(f->out, &len, sizeof len);
	if (n > 0)
		memcpy(f->out + sizeof len, data, n);
	f->out += sizeof len + n;
	f->done++;
	return PS_OK;
}

static enum ps_status put_packed(struct ps_oip_walk *w, struct filler *f, const uint8_t *data,
				 size_t n)
{
	struct ps_wire packed = {.pos = data, .end = data + n};
	enum ps_status s = PS_OK;
	uint64_t v = 0;
	while (s == PS_OK && packed.pos < packed.end && ps_wire_varint(&packed, &v))
		s = put_number(w, f, v);
	if (s == PS_OK && packed.broken)
		return ps_oip_walk_fail(w, "contents that are cut off");
	return s;
}

static enum ps_status read_field(struct ps_oip_walk *w, const struct ps_wire_field *f,
				 const struct ps_oip_slice *bytes, void *out)
{
	struct filler *g = out;
	bool packed = f->type == PS_WIRE_BYTES;
	(void)bytes;
	if (f->number < BOOL || f->number > BYTES || (!packed && f->type != g->wire))
		return PS_OK;
	if (f->number != g->field)
		return ps_error_set(w->err, PS_EINVAL, "%s '%s' of datatype %s has '%s', not '%s'",
				    w->kind, g->t->name, ps_dtype_name(g->t->dtype),
				    field_names[f->number], field_names[g->field]);
	if (g->wire == PS_WIRE_BYTES)
		return put_bytes(w, g, f->data, f->len);
	if (g->wire != PS_WIRE_VARINT)
		return put_fixed(w, g, f->data, f->len);
	return packed ? put_packed(w, g, f->data, f->len) : put_number(w, g, f->value);
}

/* Memory for `count` elements, once the bytes that are there can hold them. */
static enum ps_status reserve(struct ps_oip_walk *w, struct filler *f, size_t wire_bytes)
{
	size_t least = f->wire == PS_WIRE_VARINT ? 1 : f->wire == PS_WIRE_BYTES ? 2 : f->size;
	if ((uint64_t)f->count > wire_bytes / least)
		return wrong_count(w, f);
	size_t bytes = f->size ? (size_t)f->count * f->size : (size_t)f->count * 4 + wire_bytes;
	f->out = ps_arena_alloc_tensor(w->arena, bytes ? bytes : 1);
	if (!f->out)
		return ps_error_set(w->err, PS_ENOMEM, "no memory for %s '%s'", w->kind,
				    f->t->name);
	f->t->data = f->out;
	return PS_OK;
}

enum ps_status ps_oip_read_typed(struct ps_oip_walk *w, const struct ps_oip_slice *contents,
				 struct ps_tensor *t)
{
	struct filler f = {.t = t, .size = ps_dtype_size(t->dtype)};
	f.field = field_of(t->dtype, &f.wire);
	if (f.field == 0)
		return ps_error_set(w->err, PS_EINVAL,
				    "%s '%s': %s data has no typed contents. Please use "
				    "raw_%s_contents",
				    w->kind, t->name, ps_dtype_name(t->dtype), w->kind);
	enum ps_status s = ps_tensor_count(t->dims, t->rank, &f.count, w->err);
	if (s == PS_OK)
		s = reserve(w, &f, contents->n);
	if (s == PS_OK)
		s = ps_oip_walk(w, contents, read_field, &f);
	if (s == PS_OK && f.done != f.count)
		return wrong_count(w, &f);
	if (s == PS_OK)
		t->bytes = (size_t)(f.out - (char *)t->data);
	return s;
}
