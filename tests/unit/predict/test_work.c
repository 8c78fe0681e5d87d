/* The zoo's work against published figures and against numbers counted by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/onnx.h"
#include "model/zoo.h"
#include "predict/work.h"
#include "support/tiny_onnx.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/perseus-work-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const struct ps_predict_target batch1 = {.batch = 1, .block = 8, .fused = true};

/* A graph's work; the file lives for this moment only. */
static void work_of(struct ps_graph *g, const struct ps_predict_target *t,
		    struct ps_predict_model *ret)
{
	char path[100];
	struct ps_error err = {0};
	snprintf(path, sizeof path, "%s/m.onnx", dir);
	if (ps_onnx_write(g, path, &err) != PS_OK ||
	    ps_predict_work(path, "m", t, ret, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	unlink(path);
	ps_graph_free(g);
}

static struct ps_graph *zoo(const char *name)
{
	struct ps_graph *g;
	const struct ps_zoo_entry *e = ps_zoo_find(name);
	assert_non_null(e);
	assert_int_equal(ps_zoo_build(e, 1, &g, NULL), PS_OK);
	return g;
}

static int count_type(const struct ps_predict_model *m, const char *type)
{
	int n = 0;
	for (size_t k = 0; k < m->op_count; k++)
		n += strcmp(m->ops[k].type, type) == 0;
	return n;
}

struct types {
	const char *type;
	int n;
};

/* Parameters and multiply-accumulates as published; operators as ONNX Runtime 1.30 runs them on a
 * CPU with AVX2, from its own optimised graphs. */
static void test_zoo(void **state)
{
	static const struct {
		const char *name;
		double parameters, gmacs;
		size_t ops;
		struct types types[10];
	} rows[] = {
		{"alexnet",
		 61100840,
		 0.714,
		 13,
		 {{"Conv", 5},
		  {"MaxPool", 3},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"FusedGemm", 2},
		  {"Gemm", 1}}},
		{"vgg16",
		 138357544,
		 15.47,
		 23,
		 {{"Conv", 13},
		  {"MaxPool", 5},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"FusedGemm", 2},
		  {"Gemm", 1}}},
		{"googlenet",
		 6624904,
		 1.498,
		 83,
		 {{"Conv", 57},
		  {"MaxPool", 13},
		  {"Concat", 9},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"inception_v3",
		 23834568,
		 5.713,
		 122,
		 {{"Conv", 94},
		  {"MaxPool", 4},
		  {"AveragePool", 9},
		  {"Concat", 11},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"resnet18",
		 11689512,
		 1.814,
		 25,
		 {{"Conv", 20},
		  {"MaxPool", 1},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"resnet50",
		 25557032,
		 4.089,
		 58,
		 {{"Conv", 53},
		  {"MaxPool", 1},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"resnet152",
		 60192808,
		 11.514,
		 160,
		 {{"Conv", 155},
		  {"MaxPool", 1},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"densenet121",
		 7978856,
		 2.834,
		 248,
		 {{"Conv", 182},
		  {"MaxPool", 1},
		  {"Concat", 58},
		  {"AveragePool", 3},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"squeezenet1_1",
		 1235496,
		 0.349,
		 40,
		 {{"Conv", 26},
		  {"MaxPool", 3},
		  {"Concat", 8},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1}}},
		{"mobilenet_v1",
		 4231976,
		 0.569,
		 31,
		 {{"Conv", 27},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"mobilenet_v2",
		 3504872,
		 0.301,
		 56,
		 {{"Conv", 52},
		  {"GlobalAveragePool", 1},
		  {"ReorderOutput", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{"efficientnet_b0",
		 5288548,
		 0.386,
		 217,
		 {{"Conv", 79},
		  {"QuickGelu", 49},
		  {"ReorderOutput", 36},
		  {"Mul", 16},
		  {"GlobalAveragePool", 17},
		  {"ReorderInput", 16},
		  {"FusedConv", 2},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_model m;
		work_of(zoo(rows[i].name), &batch1, &m);
		if (m.unknown || m.parameters != rows[i].parameters ||
		    fabs(m.macs / 1e9 / rows[i].gmacs - 1) > 0.02)
			fail_msg("%s: %zu unknown, %.0f parameters, %.0f macs", rows[i].name,
				 m.unknown, m.parameters, m.macs);
		for (const struct types *t = rows[i].types; t->type; t++)
			if (count_type(&m, t->type) != t->n)
				fail_msg("%s: %d %s, not %d", rows[i].name, count_type(&m, t->type),
					 t->type, t->n);
		if (m.op_count != rows[i].ops)
			fail_msg("%s: %zu operators, not %zu", rows[i].name, m.op_count,
				 rows[i].ops);
		ps_predict_model_fini(&m);
	}
}

/* The builder counts multiply-accumulates layer by layer, on its own; sums counted by hand. */
static void test_exact(void **state)
{
	static const struct {
		const char *name;
		double macs;
	} rows[] = {
		/* 64*55*55*363 + 192*27*27*1600 + 13*13*(384*1728 + 256*3456 + 256*2304) +
		 * 9216*4096 + 4096*4096 + 4096*1000 */
		{"alexnet", 714188480},
		{"resnet18", 1814073344},
		{"resnet50", 4089184256},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_model m;
		struct ps_graph_counts n;
		struct ps_graph *g = zoo(rows[i].name);
		ps_graph_count(g, &n);
		work_of(g, &batch1, &m);
		if (m.macs != rows[i].macs || (double)n.macs != rows[i].macs)
			fail_msg("%s: %.0f and %.0f", rows[i].name, m.macs, (double)n.macs);
		ps_predict_model_fini(&m);
	}
}

static void check_op(const struct ps_predict_op *op, const struct ps_predict_op *want)
{
	if (strcmp(op->name, want->name) != 0 || strcmp(op->type, want->type) != 0 ||
	    op->kind != want->kind || op->nodes != want->nodes || !op->known ||
	    op->macs != want->macs || op->element_ops != want->element_ops ||
	    op->param_bytes != want->param_bytes || op->in_bytes != want->in_bytes ||
	    op->out_bytes != want->out_bytes)
		fail_msg("%s %s %s %d: %g macs, %g, %g + %g -> %g bytes, not %s %s %s", op->name,
			 op->type, ps_predict_kind_name(op->kind), op->nodes, op->macs,
			 op->element_ops, op->param_bytes, op->in_bytes, op->out_bytes, want->name,
			 want->type, ps_predict_kind_name(want->kind));
}

/* input [2,3,6,6] -> conv 3x3 to 8, norm, relu -> conv 1x1 to 8, norm -> added to the first, relu
 * -> pool 2x2 -> depthwise 3x3 -> flatten -> 10 */
static struct ps_graph *small(void)
{
	struct ps_graph *g = ps_graph_new("small", 1);
	int x = ps_graph_input(g, "input", 4, (int64_t[]){PS_GRAPH_BATCH, 3, 6, 6});
	x = ps_graph_conv(g, x, &(struct ps_graph_conv){.out = 8, .kernel = 3, .pad = 1});
	x = ps_graph_relu(g, ps_graph_batch_norm(g, x, 1e-5, 1, 0));
	int y = ps_graph_conv(g, x, &(struct ps_graph_conv){.out = 8, .kernel = 1});
	y = ps_graph_batch_norm(g, y, 1e-5, 1, 0);
	x = ps_graph_relu(g, ps_graph_add(g, x, y));
	x = ps_graph_max_pool(g, x, &(struct ps_graph_pool){.kernel = 2, .stride = 2});
	x = ps_graph_conv(
		g, x, &(struct ps_graph_conv){.out = 8, .kernel = 3, .groups = 8, .bias = true});
	x = ps_graph_gemm(g, ps_graph_flatten(g, x), 10);
	ps_graph_output(g, x, "output");
	return g;
}

static void test_fused(void **state)
{
	/* Batch 2: maps of 8 x 6 x 6 x 2 = 576 elements, 2304 bytes. */
	static const struct ps_predict_op want[] = {
		{.name = "relu_2_nchwc",
		 .type = "Conv",
		 .kind = PS_PREDICT_IMAGE,
		 .nodes = 3,
		 .macs = 576 * 27,
		 .element_ops = 576,
		 .param_bytes = 4 * (8 * 27 + 8),
		 .in_bytes = 2 * 3 * 36 * 4,
		 .out_bytes = 2304},
		{.name = "batchnormalization_4_nchwc",
		 .type = "Conv",
		 .kind = PS_PREDICT_POINTWISE,
		 .nodes = 4,
		 .macs = 576 * 8,
		 .element_ops = 2 * 576,
		 .param_bytes = 4 * (64 + 8),
		 .in_bytes = 2 * 2304,
		 .out_bytes = 2304},
		{.name = "maxpool_7_nchwc",
		 .type = "MaxPool",
		 .kind = PS_PREDICT_POOL,
		 .nodes = 1,
		 .element_ops = 144 * 4,
		 .in_bytes = 2304,
		 .out_bytes = 576},
		{.name = "conv_8_nchwc",
		 .type = "Conv",
		 .kind = PS_PREDICT_DEPTHWISE,
		 .nodes = 1,
		 .macs = 16 * 9,
		 .param_bytes = 4 * (72 + 8),
		 .in_bytes = 576,
		 .out_bytes = 64},
		{.name = "ReorderOutput conv_8",
		 .type = "ReorderOutput",
		 .kind = PS_PREDICT_LAYOUT,
		 .in_bytes = 64,
		 .out_bytes = 64},
		{.name = "flatten_9", .type = "Flatten", .kind = PS_PREDICT_SHAPE, .nodes = 1},
		{.name = "gemm_10",
		 .type = "Gemm",
		 .kind = PS_PREDICT_GEMM,
		 .nodes = 1,
		 .macs = 2 * 80,
		 .param_bytes = 4 * 90,
		 .in_bytes = 64,
		 .out_bytes = 80},
	};
	enum { N = sizeof want / sizeof want[0] };
	static const struct ps_predict_target batch2 = {.batch = 2, .block = 8, .fused = true};
	struct ps_predict_model m;
	(void)state;
	work_of(small(), &batch2, &m);
	assert_int_equal(m.op_count, N);
	double macs = 0, params = 0, moved = 0;
	for (size_t k = 0; k < N; k++) {
		check_op(&m.ops[k], &want[k]);
		macs += want[k].macs;
		params += want[k].param_bytes;
		moved += want[k].in_bytes + want[k].out_bytes;
	}
	assert_true(m.macs == macs && m.param_bytes == params && m.activation_bytes == moved);
	assert_true(m.intensity == macs / (params + moved));
	assert_true(m.input_bytes == 864 && m.output_bytes == 80);
	/* the two maps that are added, and their sum */
	assert_true(m.peak_bytes == 2 * 2304);
	/* scale and shift of two normalisations count, mean and variance do not */
	assert_true(m.parameters == 8 * 27 + 16 + 64 + 16 + 72 + 8 + 80 + 10);
	ps_predict_model_fini(&m);
}

/* The same network in other engines: blocks of 16 channels, which 8 do not fill; no blocks; nothing
 * fused. Multiply-accumulates stay. */
static void test_targets(void **state)
{
	static const struct {
		struct ps_predict_target target;
		size_t ops;
		struct types types[8];
	} rows[] = {
		/* fewer channels than a block are read plain; a pool works on whole blocks only */
		{{.batch = 1, .block = 16, .fused = true},
		 10,
		 {{"Conv", 3},
		  {"ReorderOutput", 3},
		  {"ReorderInput", 1},
		  {"MaxPool", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{{.batch = 1, .block = 0, .fused = true},
		 8,
		 {{"FusedConv", 1},
		  {"Conv", 2},
		  {"Add", 1},
		  {"Relu", 1},
		  {"MaxPool", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
		{{.batch = 1, .block = 8, .fused = false},
		 11,
		 {{"Conv", 3},
		  {"BatchNormalization", 2},
		  {"Relu", 2},
		  {"Add", 1},
		  {"MaxPool", 1},
		  {"Flatten", 1},
		  {"Gemm", 1}}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_predict_model m;
		work_of(small(), &rows[i].target, &m);
		for (const struct types *t = rows[i].types; t->type; t++)
			if (count_type(&m, t->type) != t->n)
				fail_msg("row %zu: %d %s", i, count_type(&m, t->type), t->type);
		assert_int_equal(m.op_count, rows[i].ops);
		assert_true(m.macs == 288 * 27 + 288 * 8 + 8 * 9 + 80);
		ps_predict_model_fini(&m);
	}
}

static void test_cells(void **state)
{
	static const struct ps_predict_target t = {
		.batch = 2, .steps = 3, .block = 8, .fused = true};
	struct ps_predict_model m;
	(void)state;
	work_of(zoo("lstm_256"), &t, &m);
	assert_true(m.macs == 3.0 * 2 * 4 * 256 * 512);
	assert_int_equal(m.ops[0].kind, PS_PREDICT_RECURRENT);
	assert_int_equal(m.op_count, 2); /* and Squeeze */
	ps_predict_model_fini(&m);
}

/* An operator that is not known is there with its name and without numbers. */
static void test_unknown(void **state)
{
	char path[100];
	struct tiny_onnx t;
	struct ps_predict_model m, copy;
	struct ps_error err = {0};
	(void)state;
	snprintf(path, sizeof path, "%s/m.onnx", dir);
	tiny_begin(&t);
	tiny_input(&t, "x", PS_DTYPE_FP32, "N,3");
	tiny_node(&t, "Relu", "x", NULL, "y", -1);
	tiny_node(&t, "Mystery", "y", NULL, "out", -1);
	tiny_output(&t, "out", PS_DTYPE_FP32, "N,3");
	assert_int_equal(tiny_write(&t, path), PS_OK);
	assert_int_equal(ps_predict_work(path, "m", &batch1, &m, &err), PS_OK);
	assert_int_equal(m.unknown, 1);
	assert_string_equal(m.ops[1].type, "Mystery");
	assert_true(!m.ops[1].known && isnan(m.ops[1].macs) && m.ops[1].in_bytes == 12);
	assert_true(m.macs == 0 && m.element_ops == 3 && m.activation_bytes == 24);
	assert_int_equal(ps_predict_work_copy(&m, &copy), PS_OK);
	ps_predict_model_fini(&m);
	assert_string_equal(copy.ops[1].type, "Mystery");
	ps_predict_model_fini(&copy);
	static const struct ps_predict_target bad = {.batch = 1, .block = 7, .fused = true};
	assert_int_equal(ps_predict_work(path, "m", &bad, &m, &err), PS_EINVAL);
	unlink(path);
	assert_int_equal(ps_predict_work(path, "m", &batch1, &m, &err), PS_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zoo),   cmocka_unit_test(test_exact),
		cmocka_unit_test(test_fused), cmocka_unit_test(test_targets),
		cmocka_unit_test(test_cells), cmocka_unit_test(test_unknown),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
