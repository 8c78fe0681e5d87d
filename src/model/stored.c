#include "model/stored_internal.h"

#include <string.h>

static bool take_dim(struct ps_stored *t, uint64_t dim)
{
	if (t->rank < PS_TENSOR_MAX_RANK)
		t->dims[t->rank] = (int64_t)dim;
	t->rank++;
	return dim <= INT64_C(1) << 48 &&
	       !__builtin_mul_overflow(t->elements, (int64_t)dim, &t->elements) &&
	       t->elements <= INT64_C(1) << 48;
}

static bool take_dims(struct ps_stored *t, const struct ps_wire_field *f)
{
	if (f->type == PS_WIRE_VARINT)
		return take_dim(t, f->value);
	struct ps_wire packed = {.pos = f->data, .end = f->data + f->len};
	uint64_t dim;
	while (packed.pos < packed.end)
		if (!ps_wire_varint(&packed, &dim) || !take_dim(t, dim))
			return false;
	return true;
}

static void take_field(struct ps_stored *t, const struct ps_wire_field *f)
{
	if (ps_wire_is(f, 2, PS_WIRE_VARINT)) {
		t->type = (int64_t)(f->value & 0xffff);
	} else if (ps_wire_is(f, 4, PS_WIRE_BYTES)) {
		t->floats = f->data;
		t->floats_len = f->len;
	} else if (ps_wire_is(f, 7, PS_WIRE_BYTES)) {
		t->int64s = f->data;
		t->int64s_len = f->len;
	} else if (ps_wire_is(f, 8, PS_WIRE_BYTES)) {
		t->name = f->data;
		t->name_len = f->len;
	} else if (ps_wire_is(f, 9, PS_WIRE_BYTES)) {
		t->raw = f->data;
		t->raw_bytes = (int64_t)f->len;
	} else if (ps_wire_is(f, 14, PS_WIRE_VARINT)) {
		t->external = f->value == 1;
	}
}

bool ps_stored_read(const uint8_t *data, size_t len, struct ps_stored *ret_stored,
		    const uint8_t **ret_pos, const char **ret_what)
{
	struct ps_wire w = {.pos = data, .end = data + len};
	struct ps_wire_field f;
	struct ps_stored t = {.elements = 1, .name = data};
	while (ps_wire_next(&w, &f)) {
		bool dims = f.number == 1 && (f.type == PS_WIRE_VARINT || f.type == PS_WIRE_BYTES);
		if (dims && !take_dims(&t, &f)) {
			*ret_pos = data;
			*ret_what = "a stored tensor's shape";
			return false;
		}
		if (!dims)
			take_field(&t, &f);
	}
	*ret_pos = w.pos;
	*ret_what = "a stored tensor";
	*ret_stored = t;
	return !w.broken;
}

bool ps_stored_int64s(const struct ps_stored *t, int64_t *ret)
{
	if (t->raw && t->raw_bytes == t->elements * (int64_t)sizeof *ret) {
		memcpy(ret, t->raw, (size_t)t->raw_bytes);
		return true;
	}
	if (!t->int64s)
		return t->elements == 0;
	struct ps_wire w = {.pos = t->int64s, .end = t->int64s + t->int64s_len};
	for (int64_t i = 0; i < t->elements; i++) {
		uint64_t v;
		if (w.pos >= w.end || !ps_wire_varint(&w, &v))
			return false;
		ret[i] = (int64_t)v;
	}
	return true;
}
