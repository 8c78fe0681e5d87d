/* Recurrent layers from nodes of ONNX files: what is read, what stays with another runtime, and
 * what is refused because no runtime could run it. */
#include "engine/rnn/layers.h"
#include "support/rnn_onnx.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* A file of one LSTM node of 3 inputs and 2 units, of which a case changes some. */
struct file {
	const char *op, *domain;
	int64_t w[3], r[3], b[2], hidden;
	int w_rank, w_type;
	const char *direction, *activation;
	int n_activations;
	float clip;
	int64_t layout;
	const char *extra; /* another attribute */
	bool w_is_input, w_outside, w_cut, no_r;
};

#define ZERO (-9) /* in a field where 0 stands for the usual */

static int64_t or_usual(int64_t v, int64_t usual)
{
	return v == ZERO ? 0 : v ? v : usual;
}

/* What a case does not say is as in a file that is right. */
static struct file completed(const struct file *f)
{
	static const int64_t w[] = {1, 8, 3}, r[] = {1, 8, 2}, b[] = {1, 16};
	struct file full = *f;

	full.op = f->op ? f->op : "LSTM";
	full.domain = f->domain ? f->domain : "";
	for (int d = 0; d < 3; d++) {
		full.w[d] = or_usual(f->w[d], w[d]);
		full.r[d] = or_usual(f->r[d], r[d]);
	}
	for (int d = 0; d < 2; d++)
		full.b[d] = or_usual(f->b[d], b[d]);
	full.hidden = or_usual(f->hidden, 2);
	full.w_rank = (int)or_usual(f->w_rank, 3);
	full.w_type = (int)or_usual(f->w_type, 1);
	full.direction = f->direction ? f->direction : "forward";
	full.activation = f->activation ? f->activation : "tanh";
	full.n_activations = (int)or_usual(f->n_activations, 3);
	return full;
}

static void put_w(struct tiny_onnx *t, const struct file *f)
{
	static const float zeros[4096];
	struct ps_strbuf w;
	size_t n = f->w_type == 10 ? 2 : 4;

	ps_strbuf_init(&w);
	for (int d = 0; d < f->w_rank; d++)
		tiny_int(&w, 1, (uint64_t)f->w[d]);
	for (int d = 0; d < f->w_rank; d++)
		n *= (size_t)(f->w[d] > 0 ? f->w[d] : 0);
	tiny_int(&w, 2, (uint64_t)f->w_type);
	tiny_text(&w, 8, "w");
	if (f->w_outside)
		tiny_int(&w, 14, 1);
	else if (n <= sizeof zeros)
		tiny_bytes(&w, 9, zeros, f->w_cut ? n - 4 : n);
	tiny_message(&t->graph, 5, &w);
}

static void put_node(struct tiny_onnx *t, const struct file *f)
{
	const char *names[8];
	struct ps_strbuf node;

	for (int i = 0; i < 8; i++)
		names[i] = f->activation;
	ps_strbuf_init(&node);
	tiny_text(&node, 1, "x");
	tiny_text(&node, 1, "w");
	tiny_text(&node, 1, f->no_r ? "" : "r");
	tiny_text(&node, 1, "b");
	tiny_text(&node, 2, "y");
	tiny_text(&node, 3, "it");
	tiny_text(&node, 4, f->op);
	tiny_text(&node, 7, f->domain);
	rnn_onnx_int(&node, "hidden_size", f->hidden);
	rnn_onnx_text(&node, "direction", f->direction);
	rnn_onnx_texts(&node, "activations", names, f->n_activations);
	if (f->clip < 0 || f->clip > 0)
		rnn_onnx_float(&node, "clip", f->clip);
	rnn_onnx_int(&node, "layout", f->layout);
	if (f->extra)
		rnn_onnx_int(&node, f->extra, 1);
	tiny_message(&t->graph, 1, &node);
}

static void write_file(const struct file *of, struct ps_strbuf *model)
{
	static const float zeros[64];
	const struct file full = completed(of), *f = &full;
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_input(&t, "x", 1, "T,N,3");
	if (f->w_is_input)
		tiny_input(&t, "w", 1, "1,8,3");
	else
		put_w(&t, f);
	rnn_onnx_floats_stored(&t, "r", f->r, 3, zeros);
	rnn_onnx_floats_stored(&t, "b", f->b, 2, zeros);
	put_node(&t, f);
	tiny_output(&t, "y", 1, "T,1,N,2");
	ps_strbuf_init(model);
	tiny_message(model, 7, &t.graph);
}

static enum ps_status read_file(const struct file *f, struct ps_rnn_node *node,
				struct ps_error *err)
{
	struct ps_strbuf model;
	struct ps_edit e;

	write_file(f, &model);
	enum ps_status st = ps_edit_parse(model.data, model.len, &e, err);
	if (st == PS_OK) {
		assert_true(ps_rnn_node_is(&e.nodes[0]));
		st = ps_rnn_node_read(&e, &e.nodes[0], node, err);
		ps_edit_fini(&e);
	}
	ps_strbuf_fini(&model);
	return st;
}

static void test_read(void **unused)
{
	struct ps_rnn_node n;
	struct ps_error err;
	struct file f = {0};

	(void)unused;
	f.clip = 0.5F;
	f.layout = 1;
	f.direction = "reverse";
	f.extra = "input_forget";
	assert_int_equal(read_file(&f, &n, &err), PS_OK);
	assert_int_equal(n.spec.cell, PS_RNN_LSTM);
	assert_int_equal(n.spec.inputs, 3);
	assert_int_equal(n.spec.hidden, 2);
	assert_int_equal(n.spec.layout, 1);
	assert_int_equal(n.spec.direction, PS_RNN_REVERSE);
	assert_true(n.spec.input_forget);
	assert_true(n.spec.clip == 0.5F);
	assert_int_equal(n.spec.functions[0].f.kind, PS_RNN_TANH);
	assert_non_null(n.weights.w);
	assert_non_null(n.weights.b);
	assert_null(n.weights.p);
	ps_rnn_node_fini(&n);
}

static void test_refused(void **unused)
{
	static const struct {
		const char *what; /* that the text says */
		enum ps_status status;
		struct file f;
	} cases[] = {
		{"hidden_size is 3", PS_EINVAL, {.hidden = 3}},
		{"W is [1,7,3]", PS_EINVAL, {.w = {1, 7, 3}}},
		{"W is [2,8,3]", PS_EINVAL, {.w = {2, 8, 3}}},
		{"R is [1,8,2]",
		 PS_EINVAL,
		 {.direction = "bidirectional", .w = {2, 8, 3}, .n_activations = 6}},
		{"B is [1,15]", PS_EINVAL, {.b = {1, 15}}},
		{"2 and 3 dimensions", PS_EINVAL, {.w_rank = 2}},
		{"0 inputs", PS_EINVAL, {.w = {1, 8, ZERO}}},
		{"0 hidden units", PS_EINVAL, {.r = {1, 8, ZERO}, .hidden = ZERO}},
		{"at most 65536", PS_ETOOBIG, {.w = {1, 8, 65537}}},
		{"no W and R", PS_EINVAL, {.no_r = true}},
		{"direction", PS_EINVAL, {.direction = "sideways"}},
		{"2 names, 3 are due", PS_EINVAL, {.n_activations = 2}},
		{"clip", PS_EINVAL, {.clip = -1}},
		{"layout is 2", PS_EINVAL, {.layout = 2}},
		{"W is no constant", PS_EUNSUPPORTED, {.w_is_input = true}},
		{"W is FP16", PS_EUNSUPPORTED, {.w_type = 10}},
		{"another file", PS_EUNSUPPORTED, {.w_outside = true}},
		{"plain numbers", PS_EUNSUPPORTED, {.w_cut = true}},
		{"activation Swish", PS_EUNSUPPORTED, {.activation = "Swish"}},
		{"attribute linear_before_reset",
		 PS_EUNSUPPORTED,
		 {.extra = "linear_before_reset"}},
		{"attribute novelty", PS_EUNSUPPORTED, {.extra = "novelty"}},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn_node n;
		struct ps_error err;
		enum ps_status st = read_file(&cases[i].f, &n, &err);
		if (st != cases[i].status || !strstr(err.what, cases[i].what))
			fail_msg("case %zu (%s): status %d, \"%s\"", i, cases[i].what, (int)st,
				 st == PS_OK ? "" : err.what);
		assert_string_equal(err.where, "node 'it' (LSTM)");
	}
}

static void test_is(void **unused)
{
	static const struct {
		const char *op, *domain;
		bool is;
	} cases[] = {{"LSTM", "", true},
		     {"GRU", "ai.onnx", true},
		     {"RNN", "", true},
		     {"LSTM", "com.microsoft", false},
		     {"QLSTM", "", false}};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ps_edit_node n = {.op = cases[i].op, .domain = cases[i].domain};
		assert_int_equal(ps_rnn_node_is(&n), cases[i].is);
	}
}

/* Alphas and betas go to the activations that have them, in order. */
static void test_constants(void **unused)
{
	struct ps_rnn_spec s = ps_rnn_spec_default(PS_RNN_GRU, 2, 2);
	static const float zeros[64];
	struct ps_rnn_node n;
	struct tiny_onnx t;
	struct ps_strbuf model;
	struct ps_edit e;

	(void)unused;
	s.direction = PS_RNN_BOTH;
	s.functions[0].f = (struct ps_rnn_function){PS_RNN_HARD_SIGMOID, 0.25F, 0.5F};
	s.functions[1].g = (struct ps_rnn_function){PS_RNN_SCALED_TANH, 0.75F, 2};
	tiny_begin(&t);
	rnn_onnx_layer(&t, &s, &(struct ps_rnn_weights){.w = zeros, .r = zeros},
		       &(struct rnn_onnx_names){.name = "g", .x = "x", .y = "y"});
	ps_strbuf_init(&model);
	tiny_message(&model, 7, &t.graph);
	assert_int_equal(ps_edit_parse(model.data, model.len, &e, NULL), PS_OK);
	assert_int_equal(ps_rnn_node_read(&e, &e.nodes[0], &n, NULL), PS_OK);
	for (int d = 0; d < 2; d++) {
		assert_memory_equal(&n.spec.functions[d].f, &s.functions[d].f,
				    sizeof s.functions[d].f);
		assert_memory_equal(&n.spec.functions[d].g, &s.functions[d].g,
				    sizeof s.functions[d].g);
	}
	ps_rnn_node_fini(&n);
	ps_edit_fini(&e);
	ps_strbuf_fini(&model);
}

static void test_wish(void **unused)
{
	static const struct {
		const char *precision;
		double max_error;
		enum ps_status status;
	} cases[] = {{"float32", 0, PS_OK},	      {"bf16", 0.5, PS_OK}, {"int8", 0, PS_OK},
		     {"int4", 0, PS_EINVAL},	      {"", 0, PS_EINVAL},   {"int8", -1, PS_EINVAL},
		     {"int8", (double)NAN, PS_EINVAL}};

	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_rnn_wish w;
		assert_int_equal(ps_rnn_wish_read(cases[i].precision, cases[i].max_error, &w, NULL),
				 cases[i].status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_is),   cmocka_unit_test(test_constants),
		cmocka_unit_test(test_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
