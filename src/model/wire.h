/* wire.h - walks the fields of a protobuf message without copying.   Layer 1, pure. */
#ifndef PS_MODEL_WIRE_H
#define PS_MODEL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_wire_type {
	PS_WIRE_VARINT = 0,
	PS_WIRE_FIXED64 = 1,
	PS_WIRE_BYTES = 2,
	PS_WIRE_FIXED32 = 5
};

struct ps_wire {
	const uint8_t *pos, *end;
	bool broken; /* the bytes at `pos` are no field */
};

struct ps_wire_field {
	uint64_t number;
	enum ps_wire_type type;
	uint64_t value;	     /* PS_WIRE_VARINT */
	const uint8_t *data; /* PS_WIRE_BYTES: borrowed from the message */
	size_t len;
};

/* ps_wire_next reads the next field; false at the end of the message or when it is broken. */
bool ps_wire_next(struct ps_wire *w, struct ps_wire_field *ret_field);
/* ps_wire_varint reads one varint, as in a packed field. */
bool ps_wire_varint(struct ps_wire *w, uint64_t *ret_value);

/* ps_wire_is says whether a field has this number and type. */
static inline bool ps_wire_is(const struct ps_wire_field *f, uint64_t number, enum ps_wire_type t)
{
	return f->number == number && f->type == t;
}

#endif
