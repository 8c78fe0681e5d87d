/* Shapes follow from operators, and what does not follow is said to be unknown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "model/shapes.h"
#include "support/tiny_onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ps_shapes_given given = {.batch = 2, .steps = 5};

/* ---- files of one node ---- */

static void put_dims(struct ps_strbuf *s, int field, const char *dims)
{
	char copy[200], *save = NULL;
	snprintf(copy, sizeof copy, "%s", dims);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		tiny_int(s, field, (uint64_t)strtoll(p, NULL, 10));
}

/* "name=1,2" is a list, "name:1" one integer, "name~TEXT" a text. */
static void put_attr(struct ps_strbuf *node, const char *text)
{
	struct ps_strbuf a;
	size_t n = strcspn(text, "=:~");
	ps_strbuf_init(&a);
	tiny_bytes(&a, 1, text, n);
	if (text[n] == '~')
		tiny_text(&a, 4, text + n + 1);
	else
		put_dims(&a, text[n] == '=' ? 8 : 3, text + n + 1);
	tiny_int(&a, 20, text[n] == '=' ? 7 : text[n] == ':' ? 2 : 3);
	tiny_message(node, 5, &a);
}

static void put_stored(struct tiny_onnx *t, const char *name, const char *dims, int dtype)
{
	struct ps_strbuf w;
	ps_strbuf_init(&w);
	put_dims(&w, 1, dims);
	tiny_int(&w, 2, (uint64_t)dtype);
	tiny_text(&w, 8, name);
	tiny_message(&t->graph, 5, &w);
}

/* A stored INT64 vector of these values. */
static void put_ints(struct tiny_onnx *t, const char *name, const char *values)
{
	char copy[200], *save = NULL;
	struct ps_strbuf w, raw;
	int n = 0;
	ps_strbuf_init(&w);
	ps_strbuf_init(&raw);
	snprintf(copy, sizeof copy, "%s", values);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save), n++) {
		int64_t v = strtoll(p, NULL, 10);
		ps_strbuf_append(&raw, &v, sizeof v);
	}
	tiny_int(&w, 1, (uint64_t)n);
	tiny_int(&w, 2, PS_DTYPE_INT64);
	tiny_text(&w, 8, name);
	tiny_bytes(&w, 9, raw.data, raw.len);
	ps_strbuf_fini(&raw);
	tiny_message(&t->graph, 5, &w);
}

/* Inputs are parted by blanks: "2,3" is an input of the graph, "w2,3" stored, "#2,3" stored numbers
 * 2 and 3, "-" is left out. */
static void put_inputs(struct tiny_onnx *t, struct ps_strbuf *node, const char *inputs)
{
	char copy[200], *save = NULL, name[20];
	int i = 0;
	snprintf(copy, sizeof copy, "%s", inputs);
	for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save), i++) {
		snprintf(name, sizeof name, "in%d", i);
		if (*p == 'w')
			put_stored(t, name, p + 1, PS_DTYPE_FP32);
		else if (*p == '#')
			put_ints(t, name, p + 1);
		else if (*p != '-')
			tiny_input(t, name, PS_DTYPE_FP32, p);
		tiny_text(node, 1, *p == '-' ? "" : name);
	}
}

static void finish(struct tiny_onnx *t, struct ps_strbuf *ret_model)
{
	struct ps_strbuf opset;
	tiny_output(t, "out", PS_DTYPE_FP32, "");
	ps_strbuf_init(ret_model);
	ps_strbuf_init(&opset);
	tiny_int(ret_model, 1, 8);
	tiny_message(ret_model, 7, &t->graph);
	tiny_int(&opset, 2, 17);
	tiny_message(ret_model, 8, &opset);
}

static enum ps_status one_node(const char *op, const char *inputs, const char *attrs,
			       struct ps_shapes *ret, struct ps_error *err)
{
	struct tiny_onnx t;
	struct ps_strbuf node, model;
	char copy[200], *save = NULL;
	tiny_begin(&t);
	ps_strbuf_init(&node);
	put_inputs(&t, &node, inputs);
	tiny_text(&node, 2, "out");
	tiny_text(&node, 3, "the-node");
	tiny_text(&node, 4, op);
	snprintf(copy, sizeof copy, "%s", attrs);
	for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
		put_attr(&node, p);
	tiny_message(&t.graph, 1, &node);
	finish(&t, &model);
	enum ps_status st = ps_shapes_parse(model.data, model.len, &given, ret, err);
	ps_strbuf_fini(&model);
	return st;
}

static const struct ps_shapes_value *find(const struct ps_shapes *s, const char *name)
{
	for (int v = 0; v < s->n_values; v++)
		if (strcmp(s->values[v].name, name) == 0)
			return &s->values[v];
	fail_msg("no value %s", name);
	return NULL;
}

static void test_operators(void **state)
{
	/* A batch of 2 stands for N, 5 for other names. `want` is the shape, "?" unknown, "!" an
	 * error of the shape. */
	static const struct {
		const char *op, *inputs, *attrs, *want;
	} rows[] = {
		{"Conv", "N,3,9,9 w8,3,3,3", "", "[2,8,7,7]"},
		{"Conv", "N,3,9,9 w8,3,3,3 w8", "pads=1,1,1,1", "[2,8,9,9]"},
		{"Conv", "N,3,9,9 w8,3,3,3", "pads=1,1,1,1 strides=2,2", "[2,8,5,5]"},
		{"Conv", "N,3,9,9 w8,3,3,1", "pads=1,0,1,0 strides=1,2", "[2,8,9,5]"},
		{"Conv", "N,3,9,9 w8,3,3,3", "dilations=2,2", "[2,8,5,5]"},
		{"Conv", "N,3,9,8 w8,3,3,3", "auto_pad~SAME_UPPER strides=2,2", "[2,8,5,4]"},
		{"Conv", "N,3,9,9 w8,3,3,3", "auto_pad~VALID pads=1,1,1,1", "[2,8,7,7]"},
		{"Conv", "N,4,9,9 w8,1,3,3", "group:4", "[2,8,7,7]"},
		{"Conv", "N,4,9 w8,4,3", "", "[2,8,7]"},
		{"Conv", "N,4,9,9 w8,3,3,3", "", "!"},
		{"Conv", "N,4,9,9 w8,1,3,3", "group:3", "!"},
		{"Conv", "N,3,2,2 w8,3,3,3", "", "!"},
		{"Conv", "N,3,9,9 w8,3,3,3", "strides=1", "!"},
		{"Conv", "N,3,9,9 w8,3,3,3", "strides=0,1", "!"},
		{"Conv", "N,3,9,9 w8,3,3,3", "pads=-1,0,0,0", "!"},
		{"Conv", "N,3,9,9", "", "!"},
		{"MaxPool", "N,3,7,7", "kernel_shape=3,3 strides=2,2", "[2,3,3,3]"},
		{"MaxPool", "N,3,8,8", "kernel_shape=3,3 strides=2,2", "[2,3,3,3]"},
		{"MaxPool", "N,3,8,8", "kernel_shape=3,3 strides=2,2 ceil_mode:1", "[2,3,4,4]"},
		/* the last window would begin behind everything */
		{"AveragePool", "N,3,4,4", "kernel_shape=1,1 strides=3,3 ceil_mode:1 pads=0,0,1,1",
		 "[2,3,2,2]"},
		{"MaxPool", "N,3,8,8", "", "!"},
		{"MaxPool", "N,3,8,8", "kernel_shape=3", "!"},
		{"GlobalAveragePool", "N,3,8,8", "", "[2,3,1,1]"},
		{"GlobalAveragePool", "N,3", "", "!"},
		{"BatchNormalization", "N,3,8,8 w3 w3 w3 w3", "", "[2,3,8,8]"},
		{"BatchNormalization", "N,3,8,8 w3 w3 w3", "", "!"},
		{"Relu", "N,steps,7", "", "[2,5,7]"},
		{"Clip", "N,7 - w1", "", "[2,7]"},
		{"Add", "N,3,8,8 N,3,8,8", "", "[2,3,8,8]"},
		{"Mul", "N,3,8,8 3,1,1", "", "[2,3,8,8]"},
		{"Mul", "3,1 N,1,8", "", "[2,3,8]"},
		{"Add", "N,3 N,4", "", "!"},
		{"Concat", "N,3,8 N,4,8", "axis:1", "[2,7,8]"},
		{"Concat", "N,3,8 N,4,8", "axis:-2", "[2,7,8]"},
		{"Concat", "N,3,8 N,4,9", "axis:1", "!"},
		{"Concat", "N,3,8 N,4,8", "", "!"},
		{"Flatten", "N,3,4,5", "", "[2,60]"},
		{"Flatten", "N,3,4,5", "axis:2", "[6,20]"},
		{"Flatten", "N,3,4,5", "axis:-1", "[24,5]"},
		{"Flatten", "N,3,4,5", "axis:5", "!"},
		{"Reshape", "N,3,4,5 #0,-1", "", "[2,60]"},
		{"Reshape", "N,3,4,5 #10,12", "", "[10,12]"},
		{"Reshape", "N,3,4,5 #7,-1", "", "!"},
		{"Reshape", "N,3,4,5 #-1,-1", "", "!"},
		{"Reshape", "N,3,4,5 2", "", "?"},
		{"Squeeze", "steps,1,N,7 #1", "", "[5,2,7]"},
		{"Squeeze", "steps,1,N,1", "", "[5,2]"},
		{"Squeeze", "steps,1,N,7 #0", "", "!"},
		{"Squeeze", "N,7,1", "axes=-1", "[2,7]"},
		{"Unsqueeze", "N,7 #1,-1", "", "[2,1,7,1]"},
		{"Unsqueeze", "N,7 #9", "", "!"},
		{"Transpose", "N,3,4", "perm=1,2,0", "[3,4,2]"},
		{"Transpose", "N,3,4", "", "[4,3,2]"},
		{"Transpose", "N,3,4", "perm=1,1,0", "!"},
		{"Gemm", "N,7 w9,7 w9", "transB:1", "[2,9]"},
		{"Gemm", "7,N w7,9", "transA:1", "[2,9]"},
		{"Gemm", "N,7 w9,7", "", "!"},
		{"MatMul", "N,6,7 w7,9", "", "[2,6,9]"},
		{"MatMul", "N,6,7 1,7,9", "", "[2,6,9]"},
		{"MatMul", "N,6,7 w8,9", "", "!"},
		{"LSTM", "steps,batch,7 w1,32,7 w1,32,8 w1,64", "hidden_size:8", "[5,1,2,8]"},
		{"GRU", "steps,batch,7 w1,24,7 w1,24,8", "hidden_size:8", "[5,1,2,8]"},
		{"LSTM", "steps,batch,6 w1,32,7 w1,32,8", "hidden_size:8", "!"},
		{"Einsum", "N,7 N,7", "", "?"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_shapes s;
		struct ps_error err = {0};
		char text[PS_TENSOR_SHAPE_SIZE] = "!";
		enum ps_status st = one_node(rows[i].op, rows[i].inputs, rows[i].attrs, &s, &err);
		if (st == PS_OK) {
			const struct ps_shapes_value *v = find(&s, "out");
			if (v->rank < 0)
				strcpy(text, "?");
			else
				ps_tensor_shape_text(v->dims, v->rank, text);
			assert_int_equal(s.n_unknown, v->rank < 0);
			ps_shapes_free(&s);
		} else if (st != PS_EINVAL || !strstr(err.what, "the-node")) {
			fail_msg("row %zu, %s: %s", i, rows[i].op, err.what);
		}
		if (strcmp(text, rows[i].want) != 0)
			fail_msg("row %zu, %s: %s, not %s", i, rows[i].op, text, rows[i].want);
	}
}

/* Behind an operator that is not known nothing is, and each node says why. */
static void test_unknown(void **state)
{
	struct tiny_onnx t;
	struct ps_strbuf model;
	struct ps_shapes s;
	(void)state;
	tiny_begin(&t);
	tiny_input(&t, "x", PS_DTYPE_FP32, "N,3");
	tiny_node(&t, "Mystery", "x", NULL, "y", -1);
	tiny_node(&t, "Relu", "y", NULL, "z", -1);
	tiny_node(&t, "Add", "x", "x", "out", -1);
	finish(&t, &model);
	assert_int_equal(ps_shapes_parse(model.data, model.len, &given, &s, NULL), PS_OK);
	ps_strbuf_fini(&model);
	assert_int_equal(s.n_unknown, 2);
	assert_string_equal(s.nodes[0].why, "this operator is not known");
	assert_string_equal(s.nodes[1].why, "it reads a value of unknown shape");
	assert_true(s.nodes[2].known);
	assert_int_equal(find(&s, "x")->uses, 3);
	assert_int_equal(ps_shapes_bytes(find(&s, "out")), 2 * 3 * 4);
	assert_int_equal(ps_shapes_bytes(find(&s, "z")), -1);
	assert_true(ps_shapes_knows("Conv") && !ps_shapes_knows("Mystery"));
	ps_shapes_free(&s);
}

static void test_order(void **state)
{
	static const struct {
		const char *first, *second; /* what the two nodes make, of x and of y */
		const char *what;
	} rows[] = {{"z", "out", "nothing before it makes"}, {"y", "y", "made twice"}};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tiny_onnx t;
		struct ps_strbuf model;
		struct ps_shapes s;
		struct ps_error err = {0};
		tiny_begin(&t);
		tiny_input(&t, "x", PS_DTYPE_FP32, "N,3");
		tiny_node(&t, "Relu", "x", NULL, rows[i].first, -1);
		tiny_node(&t, "Relu", "y", NULL, rows[i].second, -1);
		finish(&t, &model);
		assert_int_equal(ps_shapes_parse(model.data, model.len, &given, &s, &err),
				 PS_EINVAL);
		if (!strstr(err.what, rows[i].what))
			fail_msg("%s", err.what);
		ps_strbuf_fini(&model);
	}
}

/* Dimensions of any size: by name, by place, and refused when nobody says what they are. */
static void test_given(void **state)
{
	static const struct {
		const char *dims;
		struct ps_shapes_given given;
		const char *want; /* NULL: refused */
	} rows[] = {
		{"N,3", {7, 0}, "[7,3]"},
		{"samples,3", {7, 0}, "[7,3]"},
		{"3,my_batch_size", {7, 0}, "[3,7]"},
		{"length,batch,8", {7, 9}, "[9,7,8]"},
		{"length,batch,8", {7, 0}, NULL},
		{"N,3,height,width", {7, 0}, NULL},
		{"N,3,height,width", {7, 64}, "[7,3,64,64]"},
		{"4,3", {7, 0}, "[4,3]"},
		{"N,3", {0, 0}, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct tiny_onnx t;
		struct ps_strbuf model;
		struct ps_shapes s;
		struct ps_error err;
		char text[PS_TENSOR_SHAPE_SIZE];
		tiny_begin(&t);
		tiny_input(&t, "x", PS_DTYPE_FP32, rows[i].dims);
		tiny_node(&t, "Relu", "x", NULL, "out", -1);
		finish(&t, &model);
		enum ps_status st =
			ps_shapes_parse(model.data, model.len, &rows[i].given, &s, &err);
		ps_strbuf_fini(&model);
		assert_int_equal(st == PS_OK, rows[i].want != NULL);
		if (st != PS_OK)
			continue;
		const struct ps_shapes_value *v = find(&s, "out");
		assert_string_equal(ps_tensor_shape_text(v->dims, v->rank, text), rows[i].want);
		ps_shapes_free(&s);
	}
}

/* Every place at which a file may end, and every byte changed: an answer or an error, no crash. */
static void test_broken(void **state)
{
	struct tiny_onnx t;
	struct ps_strbuf model;
	struct ps_shapes s;
	(void)state;
	tiny_begin(&t);
	tiny_input(&t, "x", PS_DTYPE_FP32, "N,3,4");
	put_ints(&t, "axes", "0,-1");
	tiny_node(&t, "Reshape", "x", "axes", "y", -1);
	tiny_node(&t, "Concat", "y", "y", "out", 1);
	finish(&t, &model);
	for (size_t n = 0; n < model.len; n++)
		if (ps_shapes_parse(model.data, n, &given, &s, NULL) == PS_OK)
			ps_shapes_free(&s);
	for (size_t n = 0; n < model.len; n++)
		for (int bit = 0; bit < 8; bit++) {
			model.data[n] = (char)(model.data[n] ^ 1 << bit);
			if (ps_shapes_parse(model.data, model.len, &given, &s, NULL) == PS_OK)
				ps_shapes_free(&s);
			model.data[n] = (char)(model.data[n] ^ 1 << bit);
		}
	ps_strbuf_fini(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operators), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_order),	  cmocka_unit_test(test_given),
		cmocka_unit_test(test_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
