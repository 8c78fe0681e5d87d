#include "oip/grpc_internal.h"

#include <string.h>

enum { BOOL = 1, INT64 = 2, STRING = 3, DOUBLE = 4, UINT64 = 5 }; /* of InferParameter */

static double real_of(const struct ps_wire_field *f)
{
	double v;
	memcpy(&v, f->data, sizeof v);
	return v;
}

static void set_unsigned(struct ps_oip_parameter *p, uint64_t v)
{
	p->type = v <= INT64_MAX ? PS_OIP_INT : PS_OIP_REAL;
	p->integer = v <= INT64_MAX ? (int64_t)v : 0;
	p->real = (double)v;
}

/* The last choice that is sent counts. */
static enum ps_status read_choice(struct ps_oip_walk *w, const struct ps_wire_field *f,
				  const struct ps_oip_slice *bytes, void *out)
{
	struct ps_oip_parameter *p = out;
	if (ps_wire_is(f, BOOL, PS_WIRE_VARINT)) {
		p->type = PS_OIP_BOOL;
		p->boolean = f->value != 0;
	} else if (ps_wire_is(f, INT64, PS_WIRE_VARINT)) {
		p->type = PS_OIP_INT;
		p->integer = (int64_t)f->value;
		p->real = (double)p->integer;
	} else if (ps_wire_is(f, UINT64, PS_WIRE_VARINT)) {
		set_unsigned(p, f->value);
	} else if (ps_wire_is(f, DOUBLE, PS_WIRE_FIXED64)) {
		p->type = PS_OIP_REAL;
		p->real = real_of(f);
	} else if (ps_wire_is(f, STRING, PS_WIRE_BYTES)) {
		p->type = PS_OIP_TEXT;
		return ps_oip_take_text(w, bytes, "a parameter", SIZE_MAX, &p->text);
	}
	return PS_OK;
}

static enum ps_status read_entry(struct ps_oip_walk *w, const struct ps_wire_field *f,
				 const struct ps_oip_slice *bytes, void *out)
{
	struct ps_oip_parameter *p = out;
	if (ps_wire_is(f, 1, PS_WIRE_BYTES))
		return ps_oip_take_text(w, bytes, "the name of a parameter", PS_TENSOR_MAX_NAME - 1,
					&p->name);
	if (ps_wire_is(f, 2, PS_WIRE_BYTES))
		return ps_oip_walk(w, bytes, read_choice, p);
	return PS_OK;
}

enum ps_status ps_oip_walk_parameter(struct ps_oip_walk *w, const struct ps_oip_slice *entry,
				     struct ps_oip_parameter *ret_parameter)
{
	struct ps_oip_parameter p = {.name = "", .type = PS_OIP_TEXT, .text = ""};
	enum ps_status s = ps_oip_walk(w, entry, read_entry, &p);
	if (s == PS_OK)
		*ret_parameter = p;
	return s;
}
