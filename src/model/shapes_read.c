/* Reads the graph of an ONNX file in its own order, which is one in which nodes can be run. */
#include "model/shapes.h"

#include "model/onnx.h"
#include "model/shapes_internal.h"
#include "model/stored_internal.h"

#include "base/file.h"

#include "onnx.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An open-addressed table from names to values. */
struct names {
	int *slots; /* value + 1; 0: free */
	size_t n;   /* a power of two */
};

struct builder {
	const uint8_t *start;
	struct ps_shapes *s;
	const struct ps_shapes_given *given;
	struct names names;
	int cap_values, cap_nodes;
	bool has_graph;
	bool failed; /* no memory for a text */
	int n_outputs;
	ProtobufCAllocator allocator;
	int64_t allocated; /* since the current message began */
	struct ps_error *err;
};

static void *limited_alloc(void *ctx, size_t size)
{
	struct builder *b = ctx;
	if (size > PS_ONNX_MAX_DECODED || b->allocated + (int64_t)size > PS_ONNX_MAX_DECODED)
		return NULL;
	b->allocated += (int64_t)size;
	return malloc(size);
}

static void limited_free(void *ctx, void *p)
{
	(void)ctx;
	free(p);
}

static enum ps_status malformed(struct builder *b, const uint8_t *pos, const char *what)
{
	ps_error_set(b->err, PS_EPARSE, "not a whole ONNX file: %s", what);
	ps_error_where(b->err, "byte %lld", (long long)(pos - b->start));
	return PS_EPARSE;
}

static enum ps_status no_memory(struct builder *b)
{
	ps_error_set(b->err, PS_ENOMEM, "no memory for the model's graph");
	return PS_ENOMEM;
}

static struct ps_wire inside(const struct ps_wire_field *f)
{
	return (struct ps_wire){.pos = f->data, .end = f->data + f->len};
}

/* ---- names and values ---- */

static uint64_t hash_of(const char *name, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

/* The slot of a name, or the free one where it belongs. */
static int *slot_of(const struct builder *b, const char *name, size_t len)
{
	for (size_t k = hash_of(name, len);; k++) {
		int *slot = &b->names.slots[k & (b->names.n - 1)];
		if (*slot == 0)
			return slot;
		const char *have = b->s->values[*slot - 1].name;
		if (strncmp(have, name, len) == 0 && have[len] == '\0')
			return slot;
	}
}

static bool grow_names(struct builder *b)
{
	struct names old = b->names;
	size_t n = old.n ? 2 * old.n : 1024;
	int *slots = calloc(n, sizeof *slots);
	if (!slots)
		return false;
	b->names = (struct names){slots, n};
	for (int i = 0; i < b->s->n_values; i++)
		*slot_of(b, b->s->values[i].name, strlen(b->s->values[i].name)) = i + 1;
	free(old.slots);
	return true;
}

static bool grow_values(struct builder *b)
{
	struct ps_shapes *s = b->s;
	if (s->n_values < b->cap_values)
		return true;
	int cap = b->cap_values ? 2 * b->cap_values : 512;
	struct ps_shapes_value *p = realloc(s->values, (size_t)cap * sizeof *p);
	if (!p)
		return false;
	s->values = p;
	b->cap_values = cap;
	return true;
}

/* Finds a value or makes one of unknown shape. */
static enum ps_status value_of(struct builder *b, const char *name, size_t len, int *ret_value)
{
	struct ps_shapes *s = b->s;
	if ((size_t)(s->n_values + 1) * 2 > b->names.n && !grow_names(b))
		return no_memory(b);
	if (memchr(name, 0, len))
		return ps_error_set(b->err, PS_EPARSE, "a name with a zero byte in it");
	int *slot = slot_of(b, name, len);
	if (*slot) {
		*ret_value = *slot - 1;
		return PS_OK;
	}
	if (s->n_values >= PS_SHAPES_MAX_VALUES)
		return ps_error_set(b->err, PS_ETOOBIG, "over %d values", PS_SHAPES_MAX_VALUES);
	char *copy = ps_arena_strndup(&s->arena, name, len);
	if (!copy || !grow_values(b))
		return no_memory(b);
	s->values[s->n_values] =
		(struct ps_shapes_value){.name = copy, .rank = -1, .maker = -1, .n_ints = -1};
	*ret_value = s->n_values++;
	*slot = *ret_value + 1;
	return PS_OK;
}

/* ---- stored tensors ---- */

static enum ps_status fill_stored(struct builder *b, int value, const struct ps_stored *t)
{
	struct ps_shapes_value *v = &b->s->values[value];
	v->stored = true;
	v->dtype = (enum ps_dtype)t->type;
	v->rank = t->rank <= PS_TENSOR_MAX_RANK ? t->rank : -1;
	memcpy(v->dims, t->dims, sizeof v->dims);
	if (t->type != PS_DTYPE_INT64 || t->external || t->elements > PS_SHAPES_MAX_INTS)
		return PS_OK;
	int64_t *ints = ps_arena_alloc(&b->s->arena, PS_SHAPES_MAX_INTS * sizeof *ints);
	if (!ints)
		return no_memory(b);
	v->ints = ints;
	v->n_ints = ps_stored_int64s(t, ints) ? (int)t->elements : -1;
	return PS_OK;
}

static enum ps_status read_stored(struct builder *b, const struct ps_wire_field *f)
{
	struct ps_stored t;
	const uint8_t *pos;
	const char *what;
	int value = 0;
	if (!ps_stored_read(f->data, f->len, &t, &pos, &what))
		return malformed(b, pos, what);
	enum ps_status st = value_of(b, (const char *)t.name, t.name_len, &value);
	return st == PS_OK ? fill_stored(b, value, &t) : st;
}

/* ---- inputs and outputs ---- */

static bool names_batch(const char *name)
{
	for (const char *p = name; *p; p++)
		if (strncasecmp(p, "batch", 5) == 0)
			return true;
	return strcmp(name, "N") == 0;
}

static const char *param_of(const PsOnnx__TensorShapeProto__Dimension *d)
{
	bool named = d->value_case == PS_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
	return named && d->dim_param ? d->dim_param : "";
}

static bool is_fixed(const PsOnnx__TensorShapeProto__Dimension *d)
{
	return d->value_case == PS_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
	       d->dim_value >= 0;
}

static enum ps_status fill_input(struct builder *b, struct ps_shapes_value *v,
				 const PsOnnx__TensorShapeProto *shape)
{
	bool named = false;
	for (size_t i = 0; i < shape->n_dim; i++)
		named = named || (!is_fixed(shape->dim[i]) && names_batch(param_of(shape->dim[i])));
	for (size_t i = 0; i < shape->n_dim; i++) {
		const PsOnnx__TensorShapeProto__Dimension *d = shape->dim[i];
		bool batch = named ? names_batch(param_of(d)) : i == 0;
		v->dims[i] = is_fixed(d) ? d->dim_value : batch ? b->given->batch : b->given->steps;
		if (!is_fixed(d) && !batch && b->given->steps < 1)
			return ps_error_set(b->err, PS_EUNSUPPORTED,
					    "dimension %zu of input '%.80s' may have any size, and "
					    "no number of steps is given",
					    i, v->name);
	}
	v->rank = (int)shape->n_dim;
	return PS_OK;
}

static enum ps_status take_value_info(struct builder *b, const PsOnnx__ValueInfoProto *m,
				      bool input)
{
	int value = 0;
	if (!m->name || !m->name[0])
		return ps_error_set(b->err, PS_EPARSE, "an input or output without a name");
	enum ps_status st = value_of(b, m->name, strlen(m->name), &value);
	if (st != PS_OK)
		return st;
	struct ps_shapes_value *v = &b->s->values[value];
	b->n_outputs += !input;
	v->output |= !input;
	if (!input || v->stored) /* an initialiser with the right to be replaced */
		return PS_OK;
	const PsOnnx__TypeProto__Tensor *t = m->type ? m->type->tensor_type : NULL;
	if (!t || !t->shape || t->shape->n_dim > PS_TENSOR_MAX_RANK)
		return ps_error_set(b->err, PS_EUNSUPPORTED,
				    "input '%.80s' is no tensor of a shape of at most %d "
				    "dimensions",
				    v->name, PS_TENSOR_MAX_RANK);
	v->input = true;
	v->dtype = (enum ps_dtype)t->elem_type;
	return fill_input(b, v, t->shape);
}

static enum ps_status read_value_info(struct builder *b, const struct ps_wire_field *f, bool input)
{
	b->allocated = 0;
	PsOnnx__ValueInfoProto *m =
		ps_onnx__value_info_proto__unpack(&b->allocator, f->len, f->data);
	if (!m)
		return malformed(b, f->data, "an input or output");
	enum ps_status st = take_value_info(b, m, input);
	ps_onnx__value_info_proto__free_unpacked(m, &b->allocator);
	return st;
}

/* ---- nodes ---- */

static const char *dup_text(struct builder *b, const void *text, size_t len)
{
	const char *copy = ps_arena_strndup(&b->s->arena, text ? text : "", text ? len : 0);
	b->failed |= !copy;
	return copy ? copy : "";
}

static void fill_attr(struct builder *b, const PsOnnx__AttributeProto *m, struct ps_shapes_attr *a)
{
	*a = (struct ps_shapes_attr){.name = dup_text(b, m->name, m->name ? strlen(m->name) : 0)};
	if (m->n_ints > 0 || m->type == PS_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS) {
		a->kind = PS_SHAPES_INTS;
		a->n = m->n_ints <= PS_SHAPES_MAX_INTS ? (int)m->n_ints : PS_SHAPES_MAX_INTS + 1;
		if (m->n_ints > 0 && m->n_ints <= PS_SHAPES_MAX_INTS)
			memcpy(a->ints, m->ints, m->n_ints * sizeof *m->ints);
	} else if (m->has_s) {
		a->kind = PS_SHAPES_TEXT;
		a->text =
			dup_text(b, m->s.data, m->s.len < PS_ONNX_SHOWN ? m->s.len : PS_ONNX_SHOWN);
	} else if (m->has_f) {
		a->kind = PS_SHAPES_FLOAT;
		a->f = (double)m->f;
	} else {
		a->kind = PS_SHAPES_INT;
		a->n = 1;
		a->ints[0] = m->i;
	}
}

/* A Constant is a stored tensor under another name. */
static enum ps_status take_constant(struct builder *b, const PsOnnx__NodeProto *m,
				    const struct ps_shapes_node *n)
{
	if (strcmp(n->op, "Constant") != 0 || n->n_out != 1 || n->out[0] < 0)
		return PS_OK;
	for (size_t i = 0; i < m->n_attribute; i++) {
		const PsOnnx__TensorProto *t = m->attribute[i]->t;
		if (!t || t->n_dims > PS_TENSOR_MAX_RANK)
			continue;
		struct ps_stored stored = {
			.type = t->data_type, .elements = 1, .rank = (int)t->n_dims};
		for (size_t k = 0; k < t->n_dims; k++)
			stored.dims[k] = t->dims[k];
		if (ps_tensor_count(stored.dims, stored.rank, &stored.elements, b->err) != PS_OK)
			return PS_EPARSE;
		stored.raw = t->has_raw_data ? t->raw_data.data : NULL;
		stored.raw_bytes = t->has_raw_data ? (int64_t)t->raw_data.len : 0;
		return fill_stored(b, n->out[0], &stored);
	}
	return PS_OK;
}

static enum ps_status take_args(struct builder *b, char *const *names, size_t n, int **ret_values)
{
	int *values = ps_arena_alloc(&b->s->arena, (n + 1) * sizeof *values);
	enum ps_status st = PS_OK;
	if (!values)
		return no_memory(b);
	for (size_t i = 0; i < n && st == PS_OK; i++) {
		values[i] = -1;
		if (names[i][0])
			st = value_of(b, names[i], strlen(names[i]), &values[i]);
	}
	*ret_values = values;
	return st;
}

static enum ps_status link_node(struct builder *b, const struct ps_shapes_node *n)
{
	struct ps_shapes *s = b->s;
	for (int i = 0; i < n->n_in; i++) {
		struct ps_shapes_value *v = n->in[i] < 0 ? NULL : &s->values[n->in[i]];
		if (v && !v->stored && !v->input && v->maker < 0)
			return ps_error_set(b->err, PS_EINVAL,
					    "node '%.60s' (%.40s) reads '%.60s', which nothing "
					    "before it makes",
					    n->name, n->op, v->name);
		if (v)
			v->uses++;
	}
	for (int i = 0; i < n->n_out; i++) {
		struct ps_shapes_value *v = n->out[i] < 0 ? NULL : &s->values[n->out[i]];
		if (v && (v->maker >= 0 || v->stored || v->input))
			return ps_error_set(b->err, PS_EINVAL, "'%.80s' is made twice", v->name);
		if (v)
			v->maker = s->n_nodes;
	}
	return PS_OK;
}

static enum ps_status take_node(struct builder *b, const PsOnnx__NodeProto *m)
{
	struct ps_shapes *s = b->s;
	struct ps_shapes_node *n = &s->nodes[s->n_nodes];
	size_t most = PS_SHAPES_MAX_ARGS;
	*n = (struct ps_shapes_node){.known = true};
	n->name = dup_text(b, m->name, m->name ? strlen(m->name) : 0);
	n->op = dup_text(b, m->op_type, m->op_type ? strlen(m->op_type) : 0);
	n->domain = dup_text(b, m->domain, m->domain ? strlen(m->domain) : 0);
	if (!n->op[0])
		return ps_error_set(b->err, PS_EPARSE, "node '%.60s' names no operator", n->name);
	if (m->n_input > most || m->n_output > most || m->n_attribute > most)
		return ps_error_set(b->err, PS_ETOOBIG,
				    "node '%.60s' has over %zu inputs, outputs "
				    "or attributes",
				    n->name, most);
	enum ps_status st = take_args(b, m->input, m->n_input, &n->in);
	st = st == PS_OK ? take_args(b, m->output, m->n_output, &n->out) : st;
	n->attrs = ps_arena_alloc(&s->arena, (m->n_attribute + 1) * sizeof *n->attrs);
	if (st != PS_OK || !n->attrs)
		return st == PS_OK ? no_memory(b) : st;
	n->n_in = (int)m->n_input;
	n->n_out = (int)m->n_output;
	n->n_attrs = (int)m->n_attribute;
	for (size_t i = 0; i < m->n_attribute; i++)
		fill_attr(b, m->attribute[i], &n->attrs[i]);
	st = b->failed ? no_memory(b) : link_node(b, n);
	st = st == PS_OK ? take_constant(b, m, n) : st;
	st = st == PS_OK ? ps_shapes_infer(s, n, b->err) : st;
	s->n_nodes++;
	s->n_unknown += !n->known;
	return st;
}

static enum ps_status read_node(struct builder *b, const struct ps_wire_field *f)
{
	struct ps_shapes *s = b->s;
	if (s->n_nodes >= PS_ONNX_MAX_NODES)
		return ps_error_set(b->err, PS_ETOOBIG, "over %d nodes", PS_ONNX_MAX_NODES);
	if (s->n_nodes == b->cap_nodes) {
		int cap = b->cap_nodes ? 2 * b->cap_nodes : 256;
		struct ps_shapes_node *p = realloc(s->nodes, (size_t)cap * sizeof *p);
		if (!p)
			return no_memory(b);
		s->nodes = p;
		b->cap_nodes = cap;
	}
	b->allocated = 0;
	PsOnnx__NodeProto *m = ps_onnx__node_proto__unpack(&b->allocator, f->len, f->data);
	if (!m)
		return malformed(b, f->data, "a node");
	enum ps_status st = take_node(b, m);
	ps_onnx__node_proto__free_unpacked(m, &b->allocator);
	return st;
}

/* ---- the graph ---- */

/* Fields stand in any order: first what is stored, then what comes in and goes out, then nodes. */
static enum ps_status read_graph(struct builder *b, const struct ps_wire_field *graph)
{
	static const int order[] = {5, 11, 12, 1};
	for (int pass = 0; pass < 4; pass++) {
		struct ps_wire w = inside(graph);
		struct ps_wire_field f;
		enum ps_status st = PS_OK;
		while (st == PS_OK && ps_wire_next(&w, &f)) {
			if (f.type != PS_WIRE_BYTES || (int)f.number != order[pass])
				continue;
			st = f.number == 5   ? read_stored(b, &f)
			     : f.number == 1 ? read_node(b, &f)
					     : read_value_info(b, &f, f.number == 11);
		}
		if (st != PS_OK)
			return st;
		if (w.broken)
			return malformed(b, w.pos, "the graph");
	}
	return b->n_outputs ? PS_OK : ps_error_set(b->err, PS_EPARSE, "the graph has no output");
}

static enum ps_status read_model(struct builder *b, size_t len)
{
	struct ps_wire w = {.pos = b->start, .end = b->start + len};
	struct ps_wire_field f;
	while (ps_wire_next(&w, &f)) {
		if (!ps_wire_is(&f, 7, PS_WIRE_BYTES))
			continue;
		if (b->has_graph)
			return malformed(b, f.data, "two graphs");
		b->has_graph = true;
		enum ps_status st = read_graph(b, &f);
		if (st != PS_OK)
			return st;
	}
	if (w.broken || !b->has_graph)
		return malformed(b, w.pos,
				 w.broken ? "a field ends too early or is none"
					  : "it has no graph");
	return PS_OK;
}

enum ps_status ps_shapes_parse(const void *data, size_t len, const struct ps_shapes_given *given,
			       struct ps_shapes *ret_shapes, struct ps_error *err)
{
	struct ps_shapes s = {0};
	struct builder b = {.start = data, .s = &s, .given = given, .err = err};
	if ((uint64_t)len > (uint64_t)PS_ONNX_MAX_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "%zu bytes, an ONNX file holds %lld at most",
				    len, (long long)PS_ONNX_MAX_BYTES);
	if (given->batch < 1 || given->steps < 0)
		return ps_error_set(err, PS_EINVAL, "a batch of %lld, %lld steps",
				    (long long)given->batch, (long long)given->steps);
	ps_arena_init(&s.arena, PS_SHAPES_MAX_MEMORY);
	b.allocator = (ProtobufCAllocator){limited_alloc, limited_free, &b};
	enum ps_status st = read_model(&b, len);
	free(b.names.slots);
	if (st != PS_OK) {
		ps_shapes_free(&s);
		return st;
	}
	*ret_shapes = s;
	return PS_OK;
}

enum ps_status ps_shapes_read(const char *path, const struct ps_shapes_given *given,
			      struct ps_shapes *ret_shapes, struct ps_error *err)
{
	char *data;
	size_t len;
	enum ps_status st = ps_file_read(path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, err);
	if (st != PS_OK)
		return st;
	st = ps_shapes_parse(data, len, given, ret_shapes, err);
	free(data);
	if (st != PS_OK && err) {
		char place[sizeof err->where];
		memcpy(place, err->where, sizeof place);
		ps_error_where(err, "%s%s%s", path, place[0] ? ": " : "", place);
	}
	return st;
}
