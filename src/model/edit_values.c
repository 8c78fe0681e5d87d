/* edit_values.c - what a graph asks for and gives. */
#include "model/edit_internal.h"

enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAM = 2 };

static enum ps_status take_dim(struct ps_edit *e, const struct ps_wire_field *dim,
			       struct ps_edit_value *v, struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(dim);
	struct ps_wire_field f;
	enum ps_status st = PS_OK;
	int d = v->spec.rank++;

	if (d >= PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EUNSUPPORTED, "'%s' has over %d dimensions",
				    v->spec.name, PS_TENSOR_MAX_RANK);
	v->spec.dims[d] = -1;
	v->symbols[d] = "";
	while (st == PS_OK && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, DIM_VALUE, PS_WIRE_VARINT) && (int64_t)f.value >= 0)
			v->spec.dims[d] = (int64_t)f.value;
		else if (ps_wire_is(&f, DIM_PARAM, PS_WIRE_BYTES))
			v->symbols[d] = ps_edit_text(e, &f, &st, err);
	}
	return st == PS_OK && w.broken ? ps_edit_malformed(e, w.pos, "a dimension", err) : st;
}

static enum ps_status take_shape(struct ps_edit *e, const struct ps_wire_field *shape,
				 struct ps_edit_value *v, struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(shape);
	struct ps_wire_field f;
	enum ps_status st = PS_OK;

	v->spec.rank = 0;
	while (st == PS_OK && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, SHAPE_DIM, PS_WIRE_BYTES))
			st = take_dim(e, &f, v, err);
	}
	return st == PS_OK && w.broken ? ps_edit_malformed(e, w.pos, "a shape", err) : st;
}

static enum ps_status take_tensor(struct ps_edit *e, const struct ps_wire_field *tensor,
				  struct ps_edit_value *v, struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(tensor);
	struct ps_wire_field f;
	enum ps_status st = PS_OK;

	while (st == PS_OK && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, TENSOR_ELEMENT, PS_WIRE_VARINT))
			v->spec.dtype = (enum ps_dtype)(f.value & 0xffff);
		else if (ps_wire_is(&f, TENSOR_SHAPE, PS_WIRE_BYTES))
			st = take_shape(e, &f, v, err);
	}
	return st == PS_OK && w.broken ? ps_edit_malformed(e, w.pos, "a type", err) : st;
}

static enum ps_status add_value(struct ps_edit *e, const struct ps_edit_value *v, bool input,
				struct ps_error *err)
{
	struct ps_edit_value **list = input ? &e->inputs : &e->outputs;
	int *n = input ? &e->n_inputs : &e->n_outputs;

	if (!*list)
		*list = ps_arena_alloc(&e->arena, PS_EDIT_MAX_ARGS * sizeof **list);
	if (!*list)
		return ps_error_set(err, PS_ENOMEM, "no memory for inputs and outputs");
	if (*n >= PS_EDIT_MAX_ARGS)
		return ps_error_set(err, PS_ETOOBIG, "over %d inputs or outputs", PS_EDIT_MAX_ARGS);
	(*list)[(*n)++] = *v;
	return PS_OK;
}

enum ps_status ps_edit_read_value(struct ps_edit *e, const struct ps_wire_field *f, bool input,
				  struct ps_error *err)
{
	struct ps_edit_value v = {.spec.rank = -1};
	struct ps_wire_field name, type, tensor;
	enum ps_status st = PS_OK;

	if (!ps_edit_field_text(f, VALUE_NAME, &name) || name.len == 0)
		return ps_edit_malformed(e, f->data, "an input or output without a name", err);
	const char *text = ps_edit_text(e, &name, &st, err);
	if (!text)
		return st;
	if (name.len >= sizeof v.spec.name)
		return ps_error_set(err, PS_EUNSUPPORTED, "the name '%.60s...' is over %zu bytes",
				    text, sizeof v.spec.name - 1);
	memcpy(v.spec.name, text, name.len + 1);
	if (ps_edit_field_text(f, VALUE_TYPE, &type) &&
	    ps_edit_field_text(&type, TYPE_TENSOR, &tensor))
		st = take_tensor(e, &tensor, &v, err);
	return st == PS_OK ? add_value(e, &v, input, err) : st;
}
