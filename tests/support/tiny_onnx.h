/* tiny_onnx.h - writes ONNX files of a few nodes for tests, byte by byte, so that tests can also
 * write what a careful writer would refuse. */
#ifndef TESTS_SUPPORT_TINY_ONNX_H
#define TESTS_SUPPORT_TINY_ONNX_H

#include "base/file.h"
#include "base/strbuf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct tiny_onnx {
	struct ps_strbuf graph;
};

static inline void tiny_varint(struct ps_strbuf *s, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		ps_strbuf_putc(s, (char)(v | 128));
	ps_strbuf_putc(s, (char)v);
}

static inline void tiny_int(struct ps_strbuf *s, int field, uint64_t v)
{
	tiny_varint(s, (uint64_t)field << 3);
	tiny_varint(s, v);
}

static inline void tiny_bytes(struct ps_strbuf *s, int field, const void *data, size_t n)
{
	tiny_varint(s, (uint64_t)field << 3 | 2);
	tiny_varint(s, n);
	ps_strbuf_append(s, data, n);
}

static inline void tiny_text(struct ps_strbuf *s, int field, const char *text)
{
	tiny_bytes(s, field, text, strlen(text));
}

/* Appends `inner` as a message and empties it. */
static inline void tiny_message(struct ps_strbuf *s, int field, struct ps_strbuf *inner)
{
	tiny_bytes(s, field, inner->data, inner->len);
	ps_strbuf_fini(inner);
}

static inline void tiny_begin(struct tiny_onnx *t)
{
	ps_strbuf_init(&t->graph);
	tiny_text(&t->graph, 2, "tiny");
}

/* An input (field 11) or output (12); dims like "N,4" with names for open ones, "" for rank 0. */
static inline void tiny_value(struct tiny_onnx *t, int field, const char *name, int dtype,
			      const char *dims)
{
	struct ps_strbuf shape, dim, tensor, type, value;
	char copy[128], *save = NULL;

	ps_strbuf_init(&shape);
	ps_strbuf_init(&tensor);
	ps_strbuf_init(&type);
	ps_strbuf_init(&value);
	strcpy(copy, dims);
	for (char *p = copy; (p = strtok_r(p, ",", &save)); p = NULL) {
		ps_strbuf_init(&dim);
		if (*p >= '0' && *p <= '9')
			tiny_int(&dim, 1, strtoull(p, NULL, 10));
		else
			tiny_text(&dim, 2, p);
		tiny_message(&shape, 1, &dim);
	}
	tiny_int(&tensor, 1, (uint64_t)dtype);
	tiny_message(&tensor, 2, &shape);
	tiny_message(&type, 1, &tensor);
	tiny_text(&value, 1, name);
	tiny_message(&value, 2, &type);
	tiny_message(&t->graph, field, &value);
}

static inline void tiny_input(struct tiny_onnx *t, const char *name, int dtype, const char *dims)
{
	tiny_value(t, 11, name, dtype, dims);
}

static inline void tiny_output(struct tiny_onnx *t, const char *name, int dtype, const char *dims)
{
	tiny_value(t, 12, name, dtype, dims);
}

/* A node with one or two inputs and one output; axis < 0: no attribute. */
static inline void tiny_node(struct tiny_onnx *t, const char *op, const char *a, const char *b,
			     const char *out, int axis)
{
	struct ps_strbuf node, attr;

	ps_strbuf_init(&node);
	tiny_text(&node, 1, a);
	if (b)
		tiny_text(&node, 1, b);
	tiny_text(&node, 2, out);
	tiny_text(&node, 4, op);
	if (axis >= 0) {
		ps_strbuf_init(&attr);
		tiny_text(&attr, 1, "axis");
		tiny_int(&attr, 3, (uint64_t)axis);
		tiny_int(&attr, 20, 2);
		tiny_message(&node, 5, &attr);
	}
	tiny_message(&t->graph, 1, &node);
}

static inline void tiny_weights(struct tiny_onnx *t, const char *name, int rows, int cols,
				const float *data)
{
	struct ps_strbuf w;

	ps_strbuf_init(&w);
	tiny_int(&w, 1, (uint64_t)rows);
	tiny_int(&w, 1, (uint64_t)cols);
	tiny_int(&w, 2, 1);
	tiny_text(&w, 8, name);
	tiny_bytes(&w, 9, data, (size_t)rows * (size_t)cols * sizeof(float));
	tiny_message(&t->graph, 5, &w);
}

static inline enum ps_status tiny_write(struct tiny_onnx *t, const char *path)
{
	struct ps_strbuf model, opset;
	enum ps_status st;

	ps_strbuf_init(&model);
	ps_strbuf_init(&opset);
	tiny_int(&model, 1, 8);
	tiny_message(&model, 7, &t->graph);
	tiny_int(&opset, 2, 17);
	tiny_message(&model, 8, &opset);
	st = ps_file_write(path, model.data, model.len, NULL);
	ps_strbuf_fini(&model);
	return st;
}

#endif
