/* edit_internal.h - numbers of the fields that edit.c reads and edit_write.c copies. */
#ifndef PS_MODEL_EDIT_INTERNAL_H
#define PS_MODEL_EDIT_INTERNAL_H

#include "model/edit.h"
#include "model/wire.h"

enum {
	PS_EDIT_MODEL_GRAPH = 7,
	PS_EDIT_MODEL_OPSET = 8,
	PS_EDIT_GRAPH_NODE = 1,
	PS_EDIT_GRAPH_STORED = 5,
	PS_EDIT_GRAPH_INPUT = 11,
	PS_EDIT_GRAPH_OUTPUT = 12,
	PS_EDIT_NODE_IN = 1,
	PS_EDIT_NODE_OUT = 2,
	PS_EDIT_NODE_NAME = 3,
	PS_EDIT_NODE_OP = 4,
	PS_EDIT_NODE_ATTR = 5,
	PS_EDIT_NODE_DOMAIN = 7,
	PS_EDIT_ATTR_NAME = 1,
	PS_EDIT_ATTR_F = 2,
	PS_EDIT_ATTR_I = 3,
	PS_EDIT_ATTR_S = 4,
	PS_EDIT_ATTR_T = 5,
	PS_EDIT_ATTR_G = 6,
	PS_EDIT_ATTR_FLOATS = 7,
	PS_EDIT_ATTR_INTS = 8,
	PS_EDIT_ATTR_STRINGS = 9,
	PS_EDIT_ATTR_GRAPHS = 11,
	PS_EDIT_ATTR_TYPE = 20,
	PS_EDIT_TYPE_INT = 2
};

static inline struct ps_wire ps_edit_inside(const struct ps_wire_field *f)
{
	return (struct ps_wire){.pos = f->data, .end = f->data + f->len};
}

/* ps_edit_field_text finds the last text of number `number` in a message. False: none. */
static inline bool ps_edit_field_text(const struct ps_wire_field *message, uint64_t number,
				      struct ps_wire_field *ret_text)
{
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;
	bool found = false;

	while (ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, number, PS_WIRE_BYTES)) {
			*ret_text = f;
			found = true;
		}
	}
	return found;
}

/* ps_edit_read_value reads an input or output of the graph: edit_values.c. */
enum ps_status ps_edit_read_value(struct ps_edit *e, const struct ps_wire_field *f, bool input,
				  struct ps_error *err);
/* ps_edit_read_node reads one node: edit_nodes.c. Its Constant's value, if it is one, is *ret_value
 * (PS_WIRE_BYTES of a TensorProto), else that has no data. */
enum ps_status ps_edit_read_node(struct ps_edit *e, const struct ps_wire_field *f,
				 struct ps_edit_node *ret_node, struct ps_wire_field *ret_value,
				 struct ps_error *err);
/* ps_edit_text copies a text of the file; NULL when it has a zero byte or there is no memory
 * (then *ret_status says which). */
const char *ps_edit_text(struct ps_edit *e, const struct ps_wire_field *f,
			 enum ps_status *ret_status, struct ps_error *err);
/* ps_edit_malformed is the error of bytes that are no ONNX file. */
enum ps_status ps_edit_malformed(const struct ps_edit *e, const uint8_t *pos, const char *what,
				 struct ps_error *err);

#endif
