/* Reads what an ONNX file says about itself. Model, graph and stored tensors are walked in place,
 * so that weights are never copied; nodes and descriptions of values go through protobuf-c with an
 * allocator that has a limit. */
#include "model/onnx.h"
#include "model/stored_internal.h"
#include "model/wire.h"

#include "base/file.h"

#include "onnx.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stored tensor: its name and what it weighs. */
struct weight {
	const uint8_t *name; /* borrowed from the file's bytes, not terminated */
	size_t name_len;
	int64_t parameters; /* 0 when it holds none */
};

struct reader {
	const uint8_t *start;
	struct ps_onnx_model *model;
	struct ps_error *err;
	struct weight *weights; /* sorted by name once all are read */
	int n_weights, cap_weights;
	bool has_graph, has_opset;
	ProtobufCAllocator allocator;
	int64_t allocated; /* since the current message began */
};

static void *limited_alloc(void *ctx, size_t size)
{
	struct reader *r = ctx;
	if (size > PS_ONNX_MAX_DECODED || r->allocated + (int64_t)size > PS_ONNX_MAX_DECODED)
		return NULL;
	r->allocated += (int64_t)size;
	return malloc(size);
}

static void limited_free(void *ctx, void *p)
{
	(void)ctx;
	free(p);
}

/* The error of bytes that are no protobuf, with their place. */
static enum ps_status malformed(struct reader *r, const uint8_t *pos, const char *what)
{
	ps_error_set(r->err, PS_EPARSE, "not a whole ONNX file: %s", what);
	ps_error_where(r->err, "byte %lld", (long long)(pos - r->start));
	return PS_EPARSE;
}

static enum ps_status walked(struct reader *r, const struct ps_wire *w, const char *what)
{
	return w->broken ? malformed(r, w->pos, what) : PS_OK;
}

static struct ps_wire inside(const struct ps_wire_field *f)
{
	return (struct ps_wire){.pos = f->data, .end = f->data + f->len};
}

/* Names come from outside: what is shown of them is printable and short. */
static const char *shown(const void *name, size_t len, char buf[PS_ONNX_SHOWN])
{
	const unsigned char *p = name;
	size_t n = len < PS_ONNX_SHOWN - 1 ? len : PS_ONNX_SHOWN - 1;
	for (size_t i = 0; i < n; i++)
		buf[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	buf[n] = '\0';
	return buf;
}

static bool is_utf8(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p;) {
		int more = *p < 0x80	   ? 0
			   : *p >> 5 == 6  ? 1
			   : *p >> 4 == 14 ? 2
			   : *p >> 3 == 30 ? 3
					   : -1;
		uint32_t c = more > 0 ? *p & (0x3fu >> more) : *p;
		if (more < 0)
			return false;
		p++;
		for (int i = 0; i < more; i++, p++) {
			if (*p >> 6 != 2)
				return false;
			c = c << 6 | (*p & 0x3f);
		}
		static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
		if (c < least[more] || c > 0x10ffff || c >> 11 == 0x1b)
			return false;
	}
	return true;
}

static bool is_float(int64_t type)
{
	return type == PS_DTYPE_FP32 || type == PS_DTYPE_FP16 || type == PS_DTYPE_FP64 ||
	       type == PS_DTYPE_BF16;
}

static enum ps_status keep_weight(struct reader *r, const struct weight *weight)
{
	if (r->n_weights >= PS_ONNX_MAX_INITIALIZERS)
		return ps_error_set(r->err, PS_ETOOBIG, "over %d stored tensors",
				    PS_ONNX_MAX_INITIALIZERS);
	if (r->n_weights == r->cap_weights) {
		int cap = r->cap_weights ? 2 * r->cap_weights : 256;
		struct weight *p = realloc(r->weights, (size_t)cap * sizeof *p);
		if (!p)
			return ps_error_set(r->err, PS_ENOMEM, "no memory for stored tensors");
		r->weights = p;
		r->cap_weights = cap;
	}
	r->weights[r->n_weights++] = *weight;
	return PS_OK;
}

static enum ps_status wrong_size(struct reader *r, const uint8_t *pos, const struct ps_stored *t,
				 int64_t want)
{
	char name[PS_ONNX_SHOWN];
	ps_error_set(r->err, PS_EPARSE, "stored tensor '%s' holds %lld bytes, its shape wants %lld",
		     shown(t->name, t->name_len, name), (long long)t->raw_bytes, (long long)want);
	ps_error_where(r->err, "byte %lld", (long long)(pos - r->start));
	return PS_EPARSE;
}

static enum ps_status read_weight(struct reader *r, const struct ps_wire_field *field)
{
	struct ps_stored t;
	const uint8_t *pos;
	const char *what;
	if (!ps_stored_read(field->data, field->len, &t, &pos, &what))
		return malformed(r, pos, what);
	int64_t size = (int64_t)ps_dtype_size((enum ps_dtype)t.type), want = t.elements * size;
	if (t.raw && !t.external && size && want != t.raw_bytes) {
		return wrong_size(r, field->data, &t, want);
	}
	struct weight weight = {.name = t.name, .name_len = t.name_len};
	weight.parameters = is_float(t.type) && t.rank > 0 ? t.elements : 0;
	r->model->external_data |= t.external;
	if (__builtin_add_overflow(r->model->weight_bytes, t.raw ? t.raw_bytes : want,
				   &r->model->weight_bytes))
		return malformed(r, field->data, "stored tensors of impossible size");
	return keep_weight(r, &weight);
}

static int by_name(const void *a, const void *b)
{
	const struct weight *x = a, *y = b;
	size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	int c = memcmp(x->name, y->name, n);
	return c ? c : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static struct weight *find_weight(const struct reader *r, const char *name)
{
	struct weight key = {.name = (const uint8_t *)name, .name_len = strlen(name)};
	if (r->n_weights == 0)
		return NULL;
	return bsearch(&key, r->weights, (size_t)r->n_weights, sizeof key, by_name);
}

static enum ps_status read_node(struct reader *r, const struct ps_wire_field *f)
{
	if (++r->model->n_nodes > PS_ONNX_MAX_NODES)
		return ps_error_set(r->err, PS_ETOOBIG, "over %d nodes", PS_ONNX_MAX_NODES);
	r->allocated = 0;
	PsOnnx__NodeProto *n = ps_onnx__node_proto__unpack(&r->allocator, f->len, f->data);
	if (!n)
		return malformed(r, f->data, "a node");
	/* Stored mean and variance describe the training data: nobody learned them. */
	if (n->op_type && strcmp(n->op_type, "BatchNormalization") == 0)
		for (size_t i = 3; i < n->n_input && i < 5; i++) {
			struct weight *w = find_weight(r, n->input[i]);
			if (w)
				w->parameters = 0;
		}
	ps_onnx__node_proto__free_unpacked(n, &r->allocator);
	return PS_OK;
}

static enum ps_status fill_shape(struct reader *r, const PsOnnx__TypeProto__Tensor *t,
				 bool is_input, struct ps_tensor_spec *spec)
{
	spec->rank = -1;
	if (!t->shape && is_input)
		return ps_error_set(r->err, PS_EUNSUPPORTED, "input '%s' declares no shape",
				    spec->name);
	if (!t->shape)
		return PS_OK;
	if (t->shape->n_dim > PS_TENSOR_MAX_RANK)
		return ps_error_set(r->err, PS_EUNSUPPORTED,
				    "'%s' has %zu dimensions, the limit is %d", spec->name,
				    t->shape->n_dim, PS_TENSOR_MAX_RANK);
	spec->rank = (int)t->shape->n_dim;
	for (int i = 0; i < spec->rank; i++) {
		const PsOnnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
		bool fixed =
			d->value_case == PS_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
			d->dim_value >= 0;
		spec->dims[i] = fixed ? d->dim_value : -1;
	}
	return PS_OK;
}

static enum ps_status fill_spec(struct reader *r, const PsOnnx__ValueInfoProto *v, bool is_input,
				struct ps_tensor_spec *spec)
{
	char name[PS_ONNX_SHOWN];
	*spec = (struct ps_tensor_spec){.rank = -1};
	if (!v->name || !v->name[0])
		return ps_error_set(r->err, PS_EPARSE, "an input or output without a name");
	if (!is_utf8(v->name) || strlen(v->name) >= sizeof spec->name)
		return ps_error_set(r->err, PS_EUNSUPPORTED,
				    "the name '%s' is not UTF-8 or longer than %zu bytes",
				    shown(v->name, strlen(v->name), name), sizeof spec->name - 1);
	memcpy(spec->name, v->name, strlen(v->name));
	if (!v->type || !v->type->tensor_type)
		return ps_error_set(r->err, PS_EUNSUPPORTED, "'%s' is not a tensor", spec->name);
	spec->dtype = (enum ps_dtype)v->type->tensor_type->elem_type;
	if (!ps_dtype_name(spec->dtype))
		return ps_error_set(r->err, PS_EUNSUPPORTED, "'%s' has data type %d", spec->name,
				    (int)spec->dtype);
	return fill_shape(r, v->type->tensor_type, is_input, spec);
}

static enum ps_status add_spec(struct reader *r, const PsOnnx__ValueInfoProto *v, bool is_input)
{
	struct ps_onnx_model *m = r->model;
	struct ps_tensor_spec **list = is_input ? &m->inputs : &m->outputs;
	int *n = is_input ? &m->n_inputs : &m->n_outputs;
	if (is_input && v->name && find_weight(r, v->name))
		return PS_OK; /* an initialiser with the right to be replaced: not asked for */
	if (*n >= PS_MODEL_MAX_TENSORS)
		return ps_error_set(r->err, PS_EUNSUPPORTED, "over %d inputs or outputs",
				    PS_MODEL_MAX_TENSORS);
	struct ps_tensor_spec *p = realloc(*list, (size_t)(*n + 1) * sizeof *p);
	if (!p)
		return ps_error_set(r->err, PS_ENOMEM, "no memory for inputs and outputs");
	*list = p;
	enum ps_status s = fill_spec(r, v, is_input, &p[*n]);
	*n += s == PS_OK;
	return s;
}

static enum ps_status read_value(struct reader *r, const struct ps_wire_field *f, bool is_input)
{
	r->allocated = 0;
	PsOnnx__ValueInfoProto *v =
		ps_onnx__value_info_proto__unpack(&r->allocator, f->len, f->data);
	if (!v)
		return malformed(r, f->data, "an input or output");
	enum ps_status s = add_spec(r, v, is_input);
	ps_onnx__value_info_proto__free_unpacked(v, &r->allocator);
	return s;
}

/* Stored tensors come first in time, wherever they stand: nodes and inputs refer to them. */
static enum ps_status read_weights(struct reader *r, const struct ps_wire_field *graph)
{
	struct ps_wire w = inside(graph);
	struct ps_wire_field f;
	while (ps_wire_next(&w, &f)) {
		if (!ps_wire_is(&f, 5, PS_WIRE_BYTES))
			continue;
		enum ps_status s = read_weight(r, &f);
		if (s != PS_OK)
			return s;
	}
	if (r->n_weights > 0)
		qsort(r->weights, (size_t)r->n_weights, sizeof *r->weights, by_name);
	return walked(r, &w, "the graph");
}

static enum ps_status read_graph(struct reader *r, const struct ps_wire_field *graph)
{
	struct ps_wire w = inside(graph);
	struct ps_wire_field f;
	enum ps_status s = read_weights(r, graph);
	while (s == PS_OK && ps_wire_next(&w, &f)) {
		if (ps_wire_is(&f, 1, PS_WIRE_BYTES))
			s = read_node(r, &f);
		else if (ps_wire_is(&f, 11, PS_WIRE_BYTES) || ps_wire_is(&f, 12, PS_WIRE_BYTES))
			s = read_value(r, &f, f.number == 11);
	}
	r->model->n_initializers = r->n_weights;
	for (int i = 0; i < r->n_weights; i++)
		if (__builtin_add_overflow(r->model->parameters, r->weights[i].parameters,
					   &r->model->parameters))
			return malformed(r, graph->data, "stored tensors of impossible size");
	if (s == PS_OK && r->model->n_outputs == 0)
		return ps_error_set(r->err, PS_EPARSE, "the graph has no output");
	return s;
}

static enum ps_status read_opset(struct reader *r, const struct ps_wire_field *f)
{
	r->allocated = 0;
	PsOnnx__OperatorSetIdProto *o =
		ps_onnx__operator_set_id_proto__unpack(&r->allocator, f->len, f->data);
	if (!o)
		return malformed(r, f->data, "an operator set");
	r->has_opset = true;
	if (!o->domain || !o->domain[0] || strcmp(o->domain, "ai.onnx") == 0)
		r->model->opset = o->version;
	ps_onnx__operator_set_id_proto__free_unpacked(o, &r->allocator);
	return PS_OK;
}

static enum ps_status read_field(struct reader *r, const struct ps_wire_field *f)
{
	struct ps_onnx_model *m = r->model;
	if (ps_wire_is(f, 1, PS_WIRE_VARINT)) {
		m->ir_version = (int64_t)f->value;
	} else if (ps_wire_is(f, 2, PS_WIRE_BYTES)) {
		shown(f->data, f->len, m->producer);
	} else if (ps_wire_is(f, 7, PS_WIRE_BYTES)) {
		if (r->has_graph)
			return malformed(r, f->data, "two graphs");
		r->has_graph = true;
		return read_graph(r, f);
	} else if (ps_wire_is(f, 8, PS_WIRE_BYTES)) {
		return read_opset(r, f);
	}
	return PS_OK;
}

static enum ps_status read_model(struct reader *r, size_t len)
{
	struct ps_wire w = {.pos = r->start, .end = r->start + len};
	struct ps_wire_field f;
	while (ps_wire_next(&w, &f)) {
		enum ps_status s = read_field(r, &f);
		if (s != PS_OK)
			return s;
	}
	if (w.broken || !r->has_graph || !r->has_opset)
		return malformed(r, w.pos,
				 w.broken	? "a field ends too early or is none"
				 : r->has_graph ? "it names no operator set"
						: "it has no graph");
	return PS_OK;
}

enum ps_status ps_onnx_parse(const void *data, size_t len, struct ps_onnx_model *ret_model,
			     struct ps_error *err)
{
	struct ps_onnx_model m = {0};
	struct reader r = {.start = data, .model = &m, .err = err};
	if ((uint64_t)len > (uint64_t)PS_ONNX_MAX_BYTES)
		return ps_error_set(err, PS_ETOOBIG, "%zu bytes, an ONNX file holds %lld at most",
				    len, (long long)PS_ONNX_MAX_BYTES);
	r.allocator = (ProtobufCAllocator){limited_alloc, limited_free, &r};
	enum ps_status s = read_model(&r, len);
	free(r.weights);
	if (s != PS_OK) {
		ps_onnx_free(&m);
		return s;
	}
	*ret_model = m;
	return PS_OK;
}

enum ps_status ps_onnx_read(const char *path, struct ps_onnx_model *ret_model, struct ps_error *err)
{
	char *data;
	size_t len;
	enum ps_status s = ps_file_read(path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, err);
	if (s != PS_OK)
		return s;
	s = ps_onnx_parse(data, len, ret_model, err);
	free(data);
	if (s != PS_OK && err) {
		char place[sizeof err->where];
		memcpy(place, err->where, sizeof place);
		ps_error_where(err, "%s%s%s", path, place[0] ? ": " : "", place);
	}
	return s;
}

void ps_onnx_free(struct ps_onnx_model *m)
{
	free(m->inputs);
	free(m->outputs);
	*m = (struct ps_onnx_model){0};
}
