/* Writes a graph as ONNX. Small messages are packed by protobuf-c; the model, the graph and the
 * stored tensors are framed here, because their lengths are known without their contents and the
 * contents need not be in memory. */
#include "model/graph_internal.h"
#include "model/onnx.h"
#include "model/sink_internal.h"

#include "base/rng.h"

#include "onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	MODEL_GRAPH = 7,
	GRAPH_NODE = 1,
	GRAPH_NAME = 2,
	GRAPH_INITIALIZER = 5,
	GRAPH_INPUT = 11,
	GRAPH_OUTPUT = 12,
	TENSOR_RAW = 9,
};
#define MAX_VARINT 10

static size_t varint(uint64_t v, uint8_t *buf)
{
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		buf[n++] = (uint8_t)(v | 0x80);
	buf[n++] = (uint8_t)v;
	return n;
}

/* Tag and length of a field of bytes; all our field numbers fit one byte. */
static void put_head(struct ps_sink *s, int field, int64_t len)
{
	uint8_t buf[1 + MAX_VARINT] = {(uint8_t)(field << 3 | 2)};
	ps_sink_put(s, buf, 1 + varint((uint64_t)len, buf + 1));
}

static void append(ProtobufCBuffer *b, size_t len, const uint8_t *data)
{
	struct to_sink {
		ProtobufCBuffer base;
		struct ps_sink *sink;
	} *t = (struct to_sink *)b;
	ps_sink_put(t->sink, data, len);
}

static void put_message(struct ps_sink *s, int field, const ProtobufCMessage *m)
{
	struct {
		ProtobufCBuffer base;
		struct ps_sink *sink;
	} t = {{append}, s};
	if (field)
		put_head(s, field, (int64_t)protobuf_c_message_get_packed_size(m));
	protobuf_c_message_pack_to_buffer(m, &t.base);
}

static void fill_attr(const struct ps_graph_attr *a, PsOnnx__AttributeProto *m)
{
	ps_onnx__attribute_proto__init(m);
	m->name = (char *)a->name;
	m->has_type = true;
	switch (a->type) {
	case PS_ATTR_INT:
		m->type = PS_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
		m->has_i = true;
		m->i = a->ints[0];
		break;
	case PS_ATTR_FLOAT:
		m->type = PS_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
		m->has_f = true;
		m->f = a->f;
		break;
	case PS_ATTR_INTS:
		m->type = PS_ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
		m->n_ints = (size_t)a->n;
		m->ints = (int64_t *)a->ints;
		break;
	}
}

static void put_node(struct ps_sink *s, const struct ps_graph *g, const struct ps_graph_node *n)
{
	PsOnnx__NodeProto m = PS_ONNX__NODE_PROTO__INIT;
	PsOnnx__AttributeProto attrs[PS_GRAPH_MAX_ATTRS], *attr_refs[PS_GRAPH_MAX_ATTRS];
	char *in[PS_GRAPH_MAX_IN], *out = g->values[n->out].name;
	for (int i = 0; i < n->n_in; i++)
		in[i] = n->in[i] < 0 ? "" : g->values[n->in[i]].name;
	for (int i = 0; i < n->n_attrs; i++) {
		fill_attr(&n->attrs[i], &attrs[i]);
		attr_refs[i] = &attrs[i];
	}
	m.input = in;
	m.n_input = (size_t)n->n_in;
	m.output = &out;
	m.n_output = 1;
	m.name = (char *)n->name;
	m.op_type = (char *)n->op;
	m.attribute = attr_refs;
	m.n_attribute = (size_t)n->n_attrs;
	put_message(s, GRAPH_NODE, &m.base);
}

static void put_value_info(struct ps_sink *s, int field, const struct ps_graph_value *v)
{
	PsOnnx__ValueInfoProto m = PS_ONNX__VALUE_INFO_PROTO__INIT;
	PsOnnx__TypeProto type = PS_ONNX__TYPE_PROTO__INIT;
	PsOnnx__TypeProto__Tensor tensor = PS_ONNX__TYPE_PROTO__TENSOR__INIT;
	PsOnnx__TensorShapeProto shape = PS_ONNX__TENSOR_SHAPE_PROTO__INIT;
	PsOnnx__TensorShapeProto__Dimension dims[PS_TENSOR_MAX_RANK], *refs[PS_TENSOR_MAX_RANK];
	for (int i = 0; i < v->rank; i++) {
		ps_onnx__tensor_shape_proto__dimension__init(&dims[i]);
		refs[i] = &dims[i];
		if (v->dims[i] >= 0) {
			dims[i].value_case =
				PS_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dims[i].dim_value = v->dims[i];
		} else {
			dims[i].value_case =
				PS_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dims[i].dim_param = v->dims[i] == PS_GRAPH_BATCH ? "batch" : "steps";
		}
	}
	shape.dim = refs;
	shape.n_dim = (size_t)v->rank;
	tensor.has_elem_type = true;
	tensor.elem_type = (int32_t)v->dtype;
	tensor.shape = &shape;
	type.tensor_type = &tensor;
	m.name = (char *)v->name;
	m.type = &type;
	put_message(s, field, &m.base);
}

/* The builder bounds the size of every value: no overflow. */
static int64_t elements(const struct ps_graph_value *v)
{
	int64_t n = 1;
	for (int i = 0; i < v->rank; i++)
		n *= v->dims[i];
	return n;
}

static int64_t raw_bytes(const struct ps_graph_value *v)
{
	return elements(v) * (int64_t)ps_dtype_size(v->dtype);
}

static void put_uniform(struct ps_sink *s, const struct ps_graph *g, const struct ps_graph_value *v)
{
	enum { CHUNK = 4096 };
	float buf[CHUNK];
	struct ps_rng rng;
	ps_rng_init(&rng, g->seed, ps_rng_stream(v->name));
	/* Two numbers of 24 bits from each draw: exact in float, and the smallest that is not zero
	 * is 2^-23 of the half width, far from denormal. */
	float scale = (float)(v->half * 0x1p-23), center = (float)v->center;
	for (int64_t left = elements(v); left > 0 && !ps_sink_full(s); left -= CHUNK) {
		int n = left < CHUNK ? (int)left : CHUNK;
		for (int i = 0; i < n; i += 2) {
			uint64_t bits = ps_rng_next(&rng);
			int32_t a = (int32_t)(bits >> 40), b = (int32_t)(bits & 0xffffff);
			buf[i] = center + scale * (float)(a - (1 << 23));
			buf[i + 1] = center + scale * (float)(b - (1 << 23));
		}
		ps_sink_put(s, buf, (size_t)n * sizeof *buf);
	}
}

static void put_tensor(struct ps_sink *s, const struct ps_graph *g, const struct ps_graph_value *v)
{
	PsOnnx__TensorProto m = PS_ONNX__TENSOR_PROTO__INIT;
	m.n_dims = (size_t)v->rank;
	m.dims = (int64_t *)v->dims;
	m.has_data_type = true;
	m.data_type = (int32_t)v->dtype;
	m.name = (char *)v->name;
	uint8_t scratch[MAX_VARINT];
	int64_t raw = raw_bytes(v), head = (int64_t)protobuf_c_message_get_packed_size(&m.base);
	head += 1 + (int64_t)varint((uint64_t)raw, scratch);
	put_head(s, GRAPH_INITIALIZER, head + raw);
	put_message(s, 0, &m.base);
	put_head(s, TENSOR_RAW, raw);
	if (ps_sink_counts(s))
		ps_sink_skip(s, raw);
	else if (v->fill == PS_FILL_INTS)
		ps_sink_put(s, v->ints, (size_t)raw);
	else
		put_uniform(s, g, v);
}

static void put_graph(struct ps_sink *s, const struct ps_graph *g)
{
	for (int i = 0; i < g->n_nodes; i++)
		put_node(s, g, &g->nodes[i]);
	put_head(s, GRAPH_NAME, (int64_t)strlen(g->name));
	ps_sink_put(s, g->name, strlen(g->name));
	for (int i = 0; i < g->n_values; i++)
		if (g->values[i].fill != PS_FILL_NONE)
			put_tensor(s, g, &g->values[i]);
	for (int i = 0; i < g->n_values; i++)
		if (g->values[i].input)
			put_value_info(s, GRAPH_INPUT, &g->values[i]);
	for (int i = 0; i < g->n_values; i++)
		if (g->values[i].output)
			put_value_info(s, GRAPH_OUTPUT, &g->values[i]);
}

static void put_model(struct ps_sink *s, const struct ps_graph *g, int64_t graph_bytes)
{
	PsOnnx__ModelProto m = PS_ONNX__MODEL_PROTO__INIT;
	PsOnnx__OperatorSetIdProto opset = PS_ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets = &opset;
	opset.domain = "";
	opset.has_version = true;
	opset.version = PS_ONNX_OPSET;
	m.has_ir_version = true;
	m.ir_version = PS_ONNX_IR_VERSION;
	/* No version of ours: the same network keeps the same bytes from release to release. */
	m.producer_name = "perseus";
	m.n_opset_import = 1;
	m.opset_import = &opsets;
	put_message(s, 0, &m.base);
	put_head(s, MODEL_GRAPH, graph_bytes);
	put_graph(s, g);
}

/* Bytes of the graph and of the whole model. */
static enum ps_status measure(const struct ps_graph *g, int64_t *ret_graph, int64_t *ret_model,
			      struct ps_error *err)
{
	enum ps_status status = ps_graph_status(g, err);
	if (status != PS_OK)
		return status;
	if (g->n_outputs == 0)
		return ps_error_set(err, PS_EINVAL, "graph %s has no output", g->name);
	struct ps_sink graph, model;
	ps_sink_init_counter(&graph);
	put_graph(&graph, g);
	ps_sink_init_counter(&model);
	put_model(&model, g, graph.total);
	if (model.total > PS_ONNX_MAX_BYTES) {
		ps_error_set(err, PS_ETOOBIG,
			     "model %s would take %lld bytes, an ONNX file holds %lld at most",
			     g->name, (long long)model.total, (long long)PS_ONNX_MAX_BYTES);
		return PS_ETOOBIG;
	}
	*ret_graph = graph.total;
	*ret_model = model.total;
	return PS_OK;
}

enum ps_status ps_onnx_size(const struct ps_graph *g, int64_t *ret_bytes, struct ps_error *err)
{
	int64_t graph_bytes = 0;
	return measure(g, &graph_bytes, ret_bytes, err);
}

enum ps_status ps_onnx_write(const struct ps_graph *g, const char *path, struct ps_error *err)
{
	int64_t graph_bytes = 0, model_bytes = 0;
	enum ps_status status = measure(g, &graph_bytes, &model_bytes, err);
	if (status != PS_OK)
		return status;
	struct ps_sink s;
	status = ps_sink_open(&s, path, err);
	if (status != PS_OK)
		return status;
	put_model(&s, g, graph_bytes);
	return ps_sink_commit(&s, err);
}
