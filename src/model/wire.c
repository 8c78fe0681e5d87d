#include "model/wire.h"

static bool broken(struct ps_wire *w)
{
	w->broken = true;
	return false;
}

bool ps_wire_varint(struct ps_wire *w, uint64_t *ret_value)
{
	uint64_t v = 0;
	const uint8_t *p = w->pos;
	for (int shift = 0; shift < 64; shift += 7) {
		if (p >= w->end)
			return broken(w);
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p++ & 0x80)) {
			w->pos = p;
			*ret_value = v;
			return true;
		}
	}
	return broken(w);
}

/* Takes `len` bytes, or marks the walk as broken. */
static bool take(struct ps_wire *w, uint64_t len, struct ps_wire_field *f)
{
	if (len > (uint64_t)(w->end - w->pos))
		return broken(w);
	f->data = w->pos;
	f->len = (size_t)len;
	w->pos += len;
	return true;
}

bool ps_wire_next(struct ps_wire *w, struct ps_wire_field *ret_field)
{
	uint64_t tag, len;
	if (w->broken || w->pos >= w->end || !ps_wire_varint(w, &tag))
		return false;
	struct ps_wire_field f = {.number = tag >> 3, .type = (enum ps_wire_type)(tag & 7)};
	bool ok = f.number > 0;
	switch (f.type) {
	case PS_WIRE_VARINT:
		ok = ok && ps_wire_varint(w, &f.value);
		break;
	case PS_WIRE_FIXED64:
		ok = ok && take(w, 8, &f);
		break;
	case PS_WIRE_FIXED32:
		ok = ok && take(w, 4, &f);
		break;
	case PS_WIRE_BYTES:
		ok = ok && ps_wire_varint(w, &len) && take(w, len, &f);
		break;
	default: /* groups ended before ONNX began */
		ok = false;
	}
	if (!ok)
		return broken(w);
	*ret_field = f;
	return true;
}
