// needs: engine
/* ONNX files node by node, and written again with nodes replaced. */
#include "model/edit.h"
#include "model/onnx.h"
#include "support/rnn_onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void whole(struct tiny_onnx *t, struct ps_strbuf *model)
{
	struct ps_strbuf opset;

	ps_strbuf_init(model);
	ps_strbuf_init(&opset);
	tiny_int(model, 1, 8);
	tiny_text(model, 2, "a producer");
	tiny_message(model, 7, &t->graph);
	tiny_int(&opset, 2, 17);
	tiny_message(model, 8, &opset);
}

/* first(a, w, shared) -> b; second(b, shared) -> y, with a graph inside that reads `inner`. */
static void write_two(struct ps_strbuf *model)
{
	static const float w[6] = {1, 2, 3, 4, 5, 6};
	static const int64_t dims[] = {2, 3};
	struct ps_strbuf node, graph, then, attr;
	struct tiny_onnx t;

	tiny_begin(&t);
	tiny_input(&t, "a", 1, "N,3");
	tiny_input(&t, "w", 1, "2,3"); /* as files before IR version 4 have it */
	rnn_onnx_floats_stored(&t, "w", dims, 2, w);
	rnn_onnx_floats_stored(&t, "shared", dims, 2, w);
	rnn_onnx_floats_stored(&t, "inner", dims, 2, w);
	ps_strbuf_init(&node);
	tiny_text(&node, 1, "a");
	tiny_text(&node, 1, "w");
	tiny_text(&node, 1, "shared");
	tiny_text(&node, 1, "inner");
	tiny_text(&node, 2, "b");
	tiny_text(&node, 3, "first");
	tiny_text(&node, 4, "One");
	rnn_onnx_int(&node, "i", -7);
	rnn_onnx_ints(&node, "is", dims, 2);
	rnn_onnx_float(&node, "f", 0.5F);
	rnn_onnx_floats(&node, "fs", w, 6);
	rnn_onnx_text(&node, "s", "text");
	rnn_onnx_texts(&node, "ss", (const char *const[]){"one", "two"}, 2);
	tiny_message(&t.graph, 1, &node);
	ps_strbuf_init(&then);
	tiny_text(&then, 1, "inner");
	tiny_text(&then, 2, "q");
	tiny_text(&then, 4, "Relu");
	ps_strbuf_init(&graph);
	tiny_message(&graph, 1, &then);
	ps_strbuf_init(&attr);
	tiny_text(&attr, 1, "body");
	tiny_message(&attr, 6, &graph);
	tiny_int(&attr, 20, 5);
	ps_strbuf_init(&node);
	tiny_text(&node, 1, "b");
	tiny_text(&node, 1, "shared");
	tiny_text(&node, 2, "y");
	tiny_text(&node, 4, "Two");
	tiny_text(&node, 7, "other");
	tiny_message(&node, 5, &attr);
	tiny_message(&t.graph, 1, &node);
	tiny_output(&t, "y", 1, "N,3");
	whole(&t, model);
}

static void test_read(void **unused)
{
	struct ps_strbuf model;
	struct ps_edit e;
	int64_t v;

	(void)unused;
	write_two(&model);
	assert_int_equal(ps_edit_parse(model.data, model.len, &e, NULL), PS_OK);
	assert_int_equal(e.opset, 17);
	assert_int_equal(e.n_nodes, 2);
	const struct ps_edit_node *n = &e.nodes[0];
	assert_string_equal(n->name, "first");
	assert_string_equal(n->op, "One");
	assert_int_equal(n->n_in, 4);
	assert_string_equal(n->in[1], "w");
	assert_string_equal(n->out[0], "b");
	assert_int_equal(ps_edit_int(n, "i", 0, &v, NULL), PS_OK);
	assert_int_equal(v, -7);
	assert_int_equal(ps_edit_int(n, "none", 5, &v, NULL), PS_OK);
	assert_int_equal(v, 5);
	assert_int_equal(ps_edit_int(n, "fs", 0, &v, NULL), PS_EINVAL);
	assert_int_equal(ps_edit_attr(n, "is")->n, 2);
	assert_int_equal(ps_edit_attr(n, "is")->ints[1], 3);
	assert_true(ps_edit_attr(n, "f")->floats[0] == 0.5F);
	assert_int_equal(ps_edit_attr(n, "fs")->n, 6);
	assert_true(ps_edit_attr(n, "fs")->floats[5] == 6);
	assert_string_equal(ps_edit_attr(n, "s")->texts[0], "text");
	assert_string_equal(ps_edit_attr(n, "ss")->texts[1], "two");
	assert_string_equal(e.nodes[1].domain, "other");
	assert_true(e.nodes[1].has_graph);
	assert_int_equal(ps_edit_find(&e, "w")->uses, 1);
	assert_int_equal(ps_edit_find(&e, "shared")->uses, 2);
	assert_int_equal(ps_edit_find(&e, "inner")->uses, 2);
	assert_null(ps_edit_find(&e, "a"));
	assert_null(ps_edit_find(&e, ""));
	assert_true(e.inputs[1].stored);
	assert_false(e.inputs[0].stored);
	assert_int_equal(e.inputs[0].spec.dims[0], -1);
	assert_string_equal(e.inputs[0].symbols[0], "N");
	ps_edit_fini(&e);
	ps_strbuf_fini(&model);
}

/* What only the replaced node read goes, and nothing else. */
static void test_replace(void **unused)
{
	static const struct ps_edit_number numbers[] = {{"handle", 300}, {"more", -1}};
	static const int keep[] = {0, 9};
	const struct ps_edit_replacement r = {.op = "Ours",
					      .domain = "ours",
					      .numbers = numbers,
					      .n_numbers = 2,
					      .keep = keep,
					      .n_keep = 2};
	struct ps_strbuf model, again;
	struct ps_edit e, f;
	int64_t v;

	(void)unused;
	write_two(&model);
	assert_int_equal(ps_edit_parse(model.data, model.len, &e, NULL), PS_OK);
	ps_strbuf_init(&again);
	assert_int_equal(ps_edit_replace(&e, 0, &r, NULL), PS_OK);
	assert_int_equal(ps_edit_write(&e, "ours", &again, NULL), PS_OK);
	assert_int_equal(ps_edit_parse(again.data, again.len, &f, NULL), PS_OK);
	assert_int_equal(f.n_nodes, 2);
	assert_string_equal(f.nodes[0].name, "first");
	assert_string_equal(f.nodes[0].op, "Ours");
	assert_string_equal(f.nodes[0].domain, "ours");
	assert_int_equal(f.nodes[0].n_in, 1);
	assert_string_equal(f.nodes[0].in[0], "a");
	assert_string_equal(f.nodes[0].out[0], "b");
	assert_int_equal(ps_edit_int(&f.nodes[0], "handle", 0, &v, NULL), PS_OK);
	assert_int_equal(v, 300);
	assert_int_equal(ps_edit_int(&f.nodes[0], "more", 0, &v, NULL), PS_OK);
	assert_int_equal(v, -1);
	assert_int_equal(f.opset, 17);
	assert_int_equal(f.n_stored, 2);
	assert_null(ps_edit_find(&f, "w"));
	assert_memory_equal(ps_edit_find(&f, "shared")->data, ps_edit_find(&e, "shared")->data, 24);
	assert_int_equal(ps_edit_find(&f, "inner")->uses, 1);
	assert_int_equal(f.n_inputs, 1);
	ps_edit_fini(&f);
	ps_edit_fini(&e);
	ps_strbuf_fini(&again);
	ps_strbuf_fini(&model);
}

/* Nothing replaced: the same fields, and one more operator set. */
static void test_copy(void **unused)
{
	struct ps_strbuf model, again;
	struct ps_edit e;

	(void)unused;
	write_two(&model);
	assert_int_equal(ps_edit_parse(model.data, model.len, &e, NULL), PS_OK);
	ps_strbuf_init(&again);
	assert_int_equal(ps_edit_write(&e, "ours", &again, NULL), PS_OK);
	assert_true(again.len > model.len);
	assert_memory_equal(again.data, model.data, model.len);
	ps_edit_fini(&e);
	ps_strbuf_fini(&again);
	ps_strbuf_fini(&model);
}

/* Constants of both kinds, and floats that are stored packed. */
static void test_stored(void **unused)
{
	static const float w[4] = {1, 2, 3, 4};
	static const int64_t axes[] = {0, -1};
	struct ps_strbuf s, attr, node, model;
	struct tiny_onnx t;
	struct ps_edit e;

	(void)unused;
	tiny_begin(&t);
	ps_strbuf_init(&s);
	tiny_int(&s, 1, 4);
	tiny_int(&s, 2, 1);
	tiny_bytes(&s, 4, w, sizeof w);
	tiny_text(&s, 8, "packed");
	tiny_message(&t.graph, 5, &s);
	ps_strbuf_init(&s);
	tiny_int(&s, 1, 2);
	tiny_int(&s, 2, 7);
	tiny_bytes(&s, 9, axes, sizeof axes);
	ps_strbuf_init(&attr);
	tiny_text(&attr, 1, "value");
	tiny_message(&attr, 5, &s);
	ps_strbuf_init(&node);
	tiny_text(&node, 2, "axes");
	tiny_text(&node, 4, "Constant");
	tiny_message(&node, 5, &attr);
	tiny_message(&t.graph, 1, &node);
	whole(&t, &model);
	assert_int_equal(ps_edit_parse(model.data, model.len, &e, NULL), PS_OK);
	assert_memory_equal(ps_edit_find(&e, "packed")->data, w, sizeof w);
	assert_true(ps_edit_find(&e, "axes")->constant);
	assert_int_equal(ps_edit_find(&e, "axes")->ints[1], -1);
	ps_edit_fini(&e);
	ps_strbuf_fini(&model);
}

/* Every beginning of a file, and every byte of it changed: an error or not, never a crash. */
static void test_broken(void **unused)
{
	struct ps_strbuf model;
	struct ps_error err;
	struct ps_edit e;

	(void)unused;
	write_two(&model);
	for (size_t n = 0; n < model.len; n++) {
		char *cut = malloc(n + 1);
		memcpy(cut, model.data, n);
		if (ps_edit_parse(cut, n, &e, &err) == PS_OK)
			ps_edit_fini(&e);
		else
			assert_int_equal(err.status, PS_EPARSE);
		free(cut);
	}
	for (size_t n = 0; n < model.len; n++) {
		for (int bit = 0; bit < 8; bit++) {
			struct ps_strbuf again;
			model.data[n] = (char)(model.data[n] ^ 1 << bit);
			ps_strbuf_init(&again);
			if (ps_edit_parse(model.data, model.len, &e, &err) == PS_OK) {
				(void)ps_edit_write(&e, "ours", &again, &err);
				ps_edit_fini(&e);
			}
			ps_strbuf_fini(&again);
			model.data[n] = (char)(model.data[n] ^ 1 << bit);
		}
	}
	ps_strbuf_fini(&model);
}

/* Graphs inside graphs have an end. */
static void test_depth(void **unused)
{
	for (int depth = PS_EDIT_MAX_DEPTH - 1; depth <= PS_EDIT_MAX_DEPTH + 1; depth++) {
		struct ps_strbuf graph, node, attr, model;
		struct tiny_onnx t;
		struct ps_edit e;
		ps_strbuf_init(&graph);
		for (int i = 0; i < depth; i++) {
			ps_strbuf_init(&attr);
			tiny_message(&attr, 6, &graph);
			ps_strbuf_init(&node);
			tiny_text(&node, 4, "If");
			tiny_message(&node, 5, &attr);
			ps_strbuf_init(&graph);
			tiny_message(&graph, 1, &node);
		}
		tiny_begin(&t);
		ps_strbuf_append(&t.graph, graph.data, graph.len);
		ps_strbuf_fini(&graph);
		whole(&t, &model);
		enum ps_status st = ps_edit_parse(model.data, model.len, &e, NULL);
		assert_int_equal(st, depth > PS_EDIT_MAX_DEPTH ? PS_ETOOBIG : PS_OK);
		if (st == PS_OK)
			ps_edit_fini(&e);
		ps_strbuf_fini(&model);
	}
	(void)unused;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),   cmocka_unit_test(test_replace),
		cmocka_unit_test(test_copy),   cmocka_unit_test(test_stored),
		cmocka_unit_test(test_broken), cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
