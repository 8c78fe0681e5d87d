/* edit.c - reads an ONNX file node by node. Weights stay where they are. */
#include "model/edit_internal.h"
#include "model/onnx.h"
#include "model/stored_internal.h"

#include <stdlib.h>

struct ps_edit_counts {
	int nodes, stored;
};

enum ps_status ps_edit_malformed(const struct ps_edit *e, const uint8_t *pos, const char *what,
				 struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "not a whole ONNX file: %s", what);
	ps_error_where(err, "byte %lld", (long long)(pos - e->data));
	return PS_EPARSE;
}

/* ---- stored tensors ---- */

/* Raw bytes, or packed floats, which lie the same way. */
static const void *values_of(const struct ps_stored *t)
{
	int64_t want = t->elements * (int64_t)ps_dtype_size((enum ps_dtype)t->type);

	if (t->external)
		return NULL;
	if (t->raw && t->raw_bytes == want)
		return t->raw;
	if (t->type == PS_DTYPE_FP32 && t->floats && (int64_t)t->floats_len == want)
		return t->floats;
	return NULL;
}

static enum ps_status take_stored(struct ps_edit *e, const struct ps_wire_field *f,
				  const char *name, struct ps_error *err)
{
	struct ps_edit_stored *to = &e->stored[e->n_stored];
	struct ps_stored t;
	const uint8_t *pos;
	const char *what;
	enum ps_status st = PS_OK;

	if (!ps_stored_read(f->data, f->len, &t, &pos, &what))
		return ps_edit_malformed(e, pos, what, err);
	struct ps_wire_field text = {.data = t.name, .len = t.name_len};
	*to = (struct ps_edit_stored){.dtype = (enum ps_dtype)t.type,
				      .rank = t.rank,
				      .elements = t.elements,
				      .data = values_of(&t),
				      .external = t.external,
				      .constant = name != NULL};
	to->name = name ? name : ps_edit_text(e, &text, &st, err);
	memcpy(to->dims, t.dims, sizeof to->dims);
	if (st == PS_OK && t.type == PS_DTYPE_INT64 && t.elements <= PS_TENSOR_MAX_RANK &&
	    !t.external) {
		int64_t *ints = ps_arena_alloc(&e->arena, PS_TENSOR_MAX_RANK * sizeof *ints);
		if (!ints)
			return ps_error_set(err, PS_ENOMEM, "no memory for stored tensors");
		to->ints = ps_stored_int64s(&t, ints) ? ints : NULL;
	}
	e->n_stored += st == PS_OK;
	return st;
}

static int by_name(const void *a, const void *b)
{
	const struct ps_edit_stored *x = a, *y = b;

	return strcmp(x->name, y->name);
}

struct ps_edit_stored *ps_edit_find(const struct ps_edit *e, const char *name)
{
	const struct ps_edit_stored key = {.name = name};

	if (e->n_stored == 0 || !name[0])
		return NULL;
	return bsearch(&key, e->stored, (size_t)e->n_stored, sizeof key, by_name);
}

/* ---- who uses them ---- */

static void use(struct ps_edit *e, const char *name)
{
	struct ps_edit_stored *t = ps_edit_find(e, name);

	if (t)
		t->uses++;
}

/* A graph inside a node may use names of the graph around it, and graphs inside it may too. A name
 * that it makes itself is counted with them: then a tensor stays that could have gone. */
static enum ps_status use_inner(struct ps_edit *e, const struct ps_wire_field *message,
				uint64_t number, int depth, struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(message);
	struct ps_wire_field f;
	enum ps_status st = PS_OK;

	if (depth > PS_EDIT_MAX_DEPTH)
		return ps_error_set(err, PS_ETOOBIG, "over %d graphs inside each other",
				    PS_EDIT_MAX_DEPTH);
	while (st == PS_OK && ps_wire_next(&w, &f)) {
		if (f.type != PS_WIRE_BYTES)
			continue;
		if (number == PS_EDIT_NODE_ATTR &&
		    (f.number == PS_EDIT_ATTR_G || f.number == PS_EDIT_ATTR_GRAPHS)) {
			st = use_inner(e, &f, 0, depth + 1, err);
		} else if (number == PS_EDIT_GRAPH_NODE && f.number == PS_EDIT_NODE_ATTR) {
			st = use_inner(e, &f, PS_EDIT_NODE_ATTR, depth, err);
		} else if (number == PS_EDIT_GRAPH_NODE && f.number == PS_EDIT_NODE_IN) {
			const char *name = ps_edit_text(e, &f, &st, err);
			if (name)
				use(e, name);
		} else if (number == 0 && f.number == PS_EDIT_GRAPH_NODE) {
			st = use_inner(e, &f, PS_EDIT_GRAPH_NODE, depth, err);
		} else if (number == 0 && f.number == PS_EDIT_GRAPH_OUTPUT) {
			struct ps_wire_field text;
			const char *name = ps_edit_field_text(&f, 1, &text)
						   ? ps_edit_text(e, &text, &st, err)
						   : NULL;
			if (name)
				use(e, name);
		}
	}
	return st == PS_OK && w.broken ? ps_edit_malformed(e, w.pos, "a graph in a node", err) : st;
}

static enum ps_status count_uses(struct ps_edit *e, const struct ps_wire_field *graph,
				 struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(graph);
	struct ps_wire_field f;
	enum ps_status st = PS_OK;
	int node = 0;

	while (st == PS_OK && ps_wire_next(&w, &f)) {
		if (!ps_wire_is(&f, PS_EDIT_GRAPH_NODE, PS_WIRE_BYTES))
			continue;
		const struct ps_edit_node *n = &e->nodes[node++];
		for (int i = 0; i < n->n_in; i++)
			use(e, n->in[i]);
		if (n->has_graph) {
			struct ps_wire inner = ps_edit_inside(&f);
			struct ps_wire_field a;
			while (st == PS_OK && ps_wire_next(&inner, &a)) {
				if (ps_wire_is(&a, PS_EDIT_NODE_ATTR, PS_WIRE_BYTES))
					st = use_inner(e, &a, PS_EDIT_NODE_ATTR, 0, err);
			}
		}
	}
	for (int i = 0; i < e->n_outputs; i++)
		use(e, e->outputs[i].spec.name);
	for (int i = 0; i < e->n_inputs; i++)
		e->inputs[i].stored = ps_edit_find(e, e->inputs[i].spec.name) != NULL;
	return st;
}

/* ---- the graph ---- */

static enum ps_status take_node(struct ps_edit *e, const struct ps_wire_field *f,
				struct ps_error *err)
{
	struct ps_edit_node *n = &e->nodes[e->n_nodes];
	struct ps_wire_field value;
	enum ps_status st = ps_edit_read_node(e, f, n, &value, err);

	e->n_nodes += st == PS_OK;
	if (st == PS_OK && value.data)
		st = take_stored(e, &value, n->out[0], err);
	return st;
}

static enum ps_status take_field(struct ps_edit *e, const struct ps_wire_field *f,
				 struct ps_error *err)
{
	if (f->type != PS_WIRE_BYTES)
		return PS_OK;
	switch (f->number) {
	case PS_EDIT_GRAPH_NODE:
		return take_node(e, f, err);
	case PS_EDIT_GRAPH_STORED:
		return take_stored(e, f, NULL, err);
	case PS_EDIT_GRAPH_INPUT:
	case PS_EDIT_GRAPH_OUTPUT:
		return ps_edit_read_value(e, f, f->number == PS_EDIT_GRAPH_INPUT, err);
	default:
		return PS_OK;
	}
}

/* Every node may be a Constant, which is a stored tensor too. */
static enum ps_status make_room(struct ps_edit *e, const struct ps_wire_field *graph,
				struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(graph);
	struct ps_edit_counts n = {0};
	struct ps_wire_field f;

	while (ps_wire_next(&w, &f)) {
		n.nodes += ps_wire_is(&f, PS_EDIT_GRAPH_NODE, PS_WIRE_BYTES);
		n.stored += ps_wire_is(&f, PS_EDIT_GRAPH_STORED, PS_WIRE_BYTES);
		if (n.nodes > PS_ONNX_MAX_NODES || n.stored > PS_ONNX_MAX_INITIALIZERS)
			return ps_error_set(err, PS_ETOOBIG, "over %d nodes or stored tensors",
					    PS_ONNX_MAX_NODES);
	}
	if (w.broken)
		return ps_edit_malformed(e, w.pos, "the graph", err);
	e->nodes = calloc((size_t)n.nodes + 1, sizeof *e->nodes);
	e->stored = calloc((size_t)n.nodes + (size_t)n.stored + 1, sizeof *e->stored);
	return e->nodes && e->stored ? PS_OK
				     : ps_error_set(err, PS_ENOMEM, "no memory for the graph");
}

static enum ps_status read_graph(struct ps_edit *e, const struct ps_wire_field *graph,
				 struct ps_error *err)
{
	struct ps_wire w = ps_edit_inside(graph);
	struct ps_wire_field f;
	enum ps_status st = make_room(e, graph, err);

	while (st == PS_OK && ps_wire_next(&w, &f))
		st = take_field(e, &f, err);
	if (st == PS_OK && e->n_stored > 0)
		qsort(e->stored, (size_t)e->n_stored, sizeof *e->stored, by_name);
	return st == PS_OK ? count_uses(e, graph, err) : st;
}

static void take_opset(struct ps_edit *e, const struct ps_wire_field *f)
{
	struct ps_wire w = ps_edit_inside(f);
	struct ps_wire_field g, domain = {.len = 0};
	int64_t version = 0;

	(void)ps_edit_field_text(f, 1, &domain);
	while (ps_wire_next(&w, &g)) {
		if (ps_wire_is(&g, 2, PS_WIRE_VARINT))
			version = (int64_t)g.value;
	}
	if (domain.len == 0 || (domain.len == 7 && memcmp(domain.data, "ai.onnx", 7) == 0))
		e->opset = version;
}

static enum ps_status read_model(struct ps_edit *e, struct ps_error *err)
{
	struct ps_wire w = {.pos = e->data, .end = e->data + e->len};
	struct ps_wire_field f;
	enum ps_status st = PS_OK;
	bool has_graph = false;

	while (st == PS_OK && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, PS_EDIT_MODEL_OPSET, PS_WIRE_BYTES))
			take_opset(e, &f);
		if (!ps_wire_is(&f, PS_EDIT_MODEL_GRAPH, PS_WIRE_BYTES))
			continue;
		if (has_graph)
			return ps_edit_malformed(e, f.data, "two graphs", err);
		has_graph = true;
		st = read_graph(e, &f, err);
	}
	if (st == PS_OK && (w.broken || !has_graph))
		st = ps_edit_malformed(
			e, w.pos,
			w.broken ? "a field ends too early or is none" : "it has no graph", err);
	return st;
}

enum ps_status ps_edit_parse(const void *data, size_t len, struct ps_edit *ret_edit,
			     struct ps_error *err)
{
	struct ps_edit e = {.data = data, .len = len};

	if ((uint64_t)len > (uint64_t)PS_ONNX_MAX_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "%zu bytes, an ONNX file holds %lld at most",
				    len, (long long)PS_ONNX_MAX_BYTES);
	ps_arena_init(&e.arena, PS_EDIT_MAX_MEMORY);
	enum ps_status st = read_model(&e, err);
	if (st == PS_OK)
		*ret_edit = e;
	else
		ps_edit_fini(&e);
	return st;
}

void ps_edit_fini(struct ps_edit *e)
{
	free(e->nodes);
	free(e->stored);
	ps_arena_fini(&e->arena);
	*e = (struct ps_edit){0};
}

/* ---- attributes ---- */

const struct ps_edit_attr *ps_edit_attr(const struct ps_edit_node *n, const char *name)
{
	for (int i = 0; i < n->n_attrs; i++) {
		if (strcmp(n->attrs[i].name, name) == 0)
			return &n->attrs[i];
	}
	return NULL;
}

enum ps_status ps_edit_int(const struct ps_edit_node *n, const char *name, int64_t otherwise,
			   int64_t *ret_value, struct ps_error *err)
{
	const struct ps_edit_attr *a = ps_edit_attr(n, name);

	*ret_value = otherwise;
	if (!a)
		return PS_OK;
	if (a->kind != PS_EDIT_INTS || a->n != 1)
		return ps_error_set(err, PS_EINVAL, "attribute %s is no integer", name);
	*ret_value = a->ints[0];
	return PS_OK;
}
