/* edit_nodes.c - nodes and their attributes. */
#include "model/edit_internal.h"

const char *ps_edit_text(struct ps_edit *e, const struct ps_wire_field *f,
			 enum ps_status *ret_status, struct ps_error *err)
{
	char *copy;

	if (f->len > 0 && memchr(f->data, 0, f->len)) {
		*ret_status = ps_edit_malformed(e, f->data, "a name with a zero byte in it", err);
		return NULL;
	}
	copy = ps_arena_strndup(&e->arena, (const char *)f->data, f->len);
	if (!copy)
		*ret_status = ps_error_set(err, PS_ENOMEM, "no memory for the model's graph");
	return copy;
}

/* How many fields of a number a message has; packed numbers count by themselves. */
static bool count(const struct ps_wire_field *message, uint64_t number, enum ps_edit_kind kind,
		  int *ret_n)
{
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;
	uint64_t v;
	size_t n = 0;

	while (ps_wire_next(&w, &f)) {
		if (f.number != number)
			continue;
		if (f.type != PS_WIRE_BYTES || kind == PS_EDIT_TEXTS) {
			n++;
		} else if (kind == PS_EDIT_FLOATS) {
			n += f.len / sizeof(float);
		} else {
			struct ps_wire packed = ps_edit_inside(&f);
			while (packed.pos < packed.end && ps_wire_varint(&packed, &v))
				n++;
		}
	}
	*ret_n = (int)(n > PS_EDIT_MAX_VALUES ? PS_EDIT_MAX_VALUES : n);
	return !w.broken && n <= PS_EDIT_MAX_VALUES;
}

static void take_ints(const struct ps_wire_field *message, uint64_t number, int n, int64_t *ret)
{
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;
	uint64_t v;
	int at = 0;

	while (at < n && ps_wire_next(&w, &f)) {
		if (f.number != number)
			continue;
		if (f.type == PS_WIRE_VARINT)
			ret[at++] = (int64_t)f.value;
		struct ps_wire packed = ps_edit_inside(&f);
		while (f.type == PS_WIRE_BYTES && at < n && packed.pos < packed.end &&
		       ps_wire_varint(&packed, &v))
			ret[at++] = (int64_t)v;
	}
}

static void take_floats(const struct ps_wire_field *message, uint64_t number, int n, float *ret)
{
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;
	size_t left = (size_t)n * sizeof *ret;
	char *to = (char *)ret;

	while (left > 0 && ps_wire_next(&w, &f)) {
		if (f.number != number || (f.type != PS_WIRE_BYTES && f.type != PS_WIRE_FIXED32))
			continue;
		size_t bytes = f.len / sizeof *ret * sizeof *ret;
		bytes = bytes < left ? bytes : left;
		memcpy(to, f.data, bytes);
		to += bytes;
		left -= bytes;
	}
}

static enum ps_status take_texts(struct ps_edit *e, const struct ps_wire_field *message,
				 uint64_t number, int n, const char **ret, struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;
	enum ps_status st = PS_OK;
	int at = 0;

	while (st == PS_OK && at < n && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, number, PS_WIRE_BYTES))
			ret[at++] = ps_edit_text(e, &f, &st, err);
	}
	return st;
}

/* The kind is told by the field that is there: files without types exist. */
static bool kind_of(const struct ps_wire_field *message, enum ps_edit_kind *ret_kind,
		    uint64_t *ret_number, bool *ret_graph)
{
	static const struct {
		uint64_t number;
		enum ps_edit_kind kind;
	} kinds[] = {
		{PS_EDIT_ATTR_F, PS_EDIT_FLOATS},  {PS_EDIT_ATTR_I, PS_EDIT_INTS},
		{PS_EDIT_ATTR_S, PS_EDIT_TEXTS},   {PS_EDIT_ATTR_FLOATS, PS_EDIT_FLOATS},
		{PS_EDIT_ATTR_INTS, PS_EDIT_INTS}, {PS_EDIT_ATTR_STRINGS, PS_EDIT_TEXTS},
	};
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;

	*ret_kind = PS_EDIT_OTHER;
	*ret_number = 0;
	while (ps_wire_next(&w, &f)) {
		*ret_graph |= f.number == PS_EDIT_ATTR_G || f.number == PS_EDIT_ATTR_GRAPHS;
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
			if (f.number == kinds[i].number && *ret_number == 0) {
				*ret_kind = kinds[i].kind;
				*ret_number = kinds[i].number;
			}
		}
	}
	return !w.broken;
}

static enum ps_status take_values(struct ps_edit *e, const struct ps_wire_field *f, uint64_t number,
				  struct ps_edit_attr *a, struct ps_error *err)
{
	static const size_t sizes[] = {[PS_EDIT_INTS] = sizeof(int64_t),
				       [PS_EDIT_FLOATS] = sizeof(float),
				       [PS_EDIT_TEXTS] = sizeof(char *)};

	if (!count(f, number, a->kind, &a->n))
		return ps_error_set(err, PS_ETOOBIG, "attribute '%.60s' has over %d values",
				    a->name, PS_EDIT_MAX_VALUES);
	void *values = ps_arena_zalloc(&e->arena, ((size_t)a->n + 1) * sizes[a->kind]);
	if (!values)
		return ps_error_set(err, PS_ENOMEM, "no memory for the model's graph");
	if (a->kind == PS_EDIT_INTS) {
		a->ints = values;
		take_ints(f, number, a->n, values);
	} else if (a->kind == PS_EDIT_FLOATS) {
		a->floats = values;
		take_floats(f, number, a->n, values);
	} else {
		a->texts = values;
		return take_texts(e, f, number, a->n, values, err);
	}
	return PS_OK;
}

static enum ps_status take_attr(struct ps_edit *e, const struct ps_wire_field *f,
				struct ps_edit_attr *a, bool *ret_graph, struct ps_error *err)
{
	struct ps_wire_field name = {.data = f->data};
	enum ps_status st = PS_OK;
	uint64_t number;

	*a = (struct ps_edit_attr){0};
	(void)ps_edit_field_text(f, PS_EDIT_ATTR_NAME, &name);
	if (!kind_of(f, &a->kind, &number, ret_graph))
		return ps_edit_malformed(e, f->data, "an attribute", err);
	a->name = ps_edit_text(e, &name, &st, err);
	if (st != PS_OK || a->kind == PS_EDIT_OTHER)
		return st;
	return take_values(e, f, number, a, err);
}

/* ---- nodes ---- */

static const uint64_t lists[] = {PS_EDIT_NODE_IN, PS_EDIT_NODE_OUT, PS_EDIT_NODE_ATTR};

static enum ps_status make_room(struct ps_edit *e, const struct ps_wire_field *f, int n[3],
				struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(f);
	struct ps_wire_field g;

	while (ps_wire_next(&w, &g)) {
		for (int i = 0; i < 3; i++)
			n[i] += ps_wire_is(&g, lists[i], PS_WIRE_BYTES);
		for (int i = 0; i < 3; i++) {
			if (n[i] > PS_EDIT_MAX_ARGS)
				return ps_error_set(err, PS_ETOOBIG,
						    "a node with over %d inputs, outputs or"
						    " attributes",
						    PS_EDIT_MAX_ARGS);
		}
	}
	return w.broken ? ps_edit_malformed(e, w.pos, "a node", err) : PS_OK;
}

static enum ps_status take_field(struct ps_edit *e, const struct ps_wire_field *f,
				 struct ps_edit_node *n, const char **in, const char **out,
				 struct ps_edit_attr *attrs, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (f->type != PS_WIRE_BYTES)
		return PS_OK;
	switch (f->number) {
	case PS_EDIT_NODE_IN:
		in[n->n_in++] = ps_edit_text(e, f, &st, err);
		break;
	case PS_EDIT_NODE_OUT:
		out[n->n_out++] = ps_edit_text(e, f, &st, err);
		break;
	case PS_EDIT_NODE_NAME:
		n->name = ps_edit_text(e, f, &st, err);
		break;
	case PS_EDIT_NODE_OP:
		n->op = ps_edit_text(e, f, &st, err);
		break;
	case PS_EDIT_NODE_DOMAIN:
		n->domain = ps_edit_text(e, f, &st, err);
		break;
	case PS_EDIT_NODE_ATTR:
		st = take_attr(e, f, &attrs[n->n_attrs++], &n->has_graph, err);
		break;
	default:
		break;
	}
	return st;
}

/* The tensor of the attribute "value". */
static void find_value(const struct ps_wire_field *node, struct ps_wire_field *ret_value)
{
	struct ps_wire w = ps_edit_inside(node);
	struct ps_wire_field f, name;

	while (ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, PS_EDIT_NODE_ATTR, PS_WIRE_BYTES) &&
		    ps_edit_field_text(&f, PS_EDIT_ATTR_NAME, &name) && name.len == 5 &&
		    memcmp(name.data, "value", 5) == 0)
			(void)ps_edit_field_text(&f, PS_EDIT_ATTR_T, ret_value);
	}
}

enum ps_status ps_edit_read_node(struct ps_edit *e, const struct ps_wire_field *f,
				 struct ps_edit_node *ret_node, struct ps_wire_field *ret_value,
				 struct ps_error *err)
{
	struct ps_edit_node n = {.name = "", .op = "", .domain = ""};
	struct ps_wire w = ps_edit_inside(f);
	struct ps_wire_field g;
	int sizes[3] = {0};
	enum ps_status st = make_room(e, f, sizes, err);

	if (st != PS_OK)
		return st;
	const char **in = ps_arena_zalloc(&e->arena, ((size_t)sizes[0] + 1) * sizeof *in);
	const char **out = ps_arena_zalloc(&e->arena, ((size_t)sizes[1] + 1) * sizeof *out);
	struct ps_edit_attr *attrs =
		ps_arena_zalloc(&e->arena, ((size_t)sizes[2] + 1) * sizeof *attrs);
	if (!in || !out || !attrs)
		return ps_error_set(err, PS_ENOMEM, "no memory for the model's graph");
	n.in = in;
	n.out = out;
	n.attrs = attrs;
	while (st == PS_OK && ps_wire_next(&w, &g))
		st = take_field(e, &g, &n, in, out, attrs, err);
	*ret_value = (struct ps_wire_field){0};
	if (st == PS_OK && strcmp(n.op, "Constant") == 0 && n.n_out == 1)
		find_value(f, ret_value);
	*ret_node = n;
	return st;
}
