/* rnn_onnx.h - writes ONNX files with recurrent nodes for tests, also wrong ones. */
#ifndef TESTS_SUPPORT_RNN_ONNX_H
#define TESTS_SUPPORT_RNN_ONNX_H

#include "engine/rnn/rnn.h"
#include "support/tiny_onnx.h"

#include <stdio.h>

static inline void rnn_onnx_fixed32(struct ps_strbuf *s, int field, float v)
{
	tiny_varint(s, (uint64_t)field << 3 | 5);
	ps_strbuf_append(s, &v, sizeof v);
}

static inline void rnn_onnx_int(struct ps_strbuf *node, const char *name, int64_t v)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	tiny_text(&a, 1, name);
	tiny_int(&a, 3, (uint64_t)v);
	tiny_int(&a, 20, 2);
	tiny_message(node, 5, &a);
}

static inline void rnn_onnx_ints(struct ps_strbuf *node, const char *name, const int64_t *v, int n)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	tiny_text(&a, 1, name);
	for (int i = 0; i < n; i++)
		tiny_int(&a, 8, (uint64_t)v[i]);
	tiny_int(&a, 20, 7);
	tiny_message(node, 5, &a);
}

static inline void rnn_onnx_float(struct ps_strbuf *node, const char *name, float v)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	tiny_text(&a, 1, name);
	rnn_onnx_fixed32(&a, 2, v);
	tiny_int(&a, 20, 1);
	tiny_message(node, 5, &a);
}

static inline void rnn_onnx_floats(struct ps_strbuf *node, const char *name, const float *v, int n)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	tiny_text(&a, 1, name);
	for (int i = 0; i < n; i++)
		rnn_onnx_fixed32(&a, 7, v[i]);
	tiny_int(&a, 20, 6);
	tiny_message(node, 5, &a);
}

static inline void rnn_onnx_text(struct ps_strbuf *node, const char *name, const char *v)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	tiny_text(&a, 1, name);
	tiny_text(&a, 4, v);
	tiny_int(&a, 20, 3);
	tiny_message(node, 5, &a);
}

static inline void rnn_onnx_texts(struct ps_strbuf *node, const char *name, const char *const *v,
				  int n)
{
	struct ps_strbuf a;

	ps_strbuf_init(&a);
	tiny_text(&a, 1, name);
	for (int i = 0; i < n; i++)
		tiny_text(&a, 9, v[i]);
	tiny_int(&a, 20, 8);
	tiny_message(node, 5, &a);
}

/* A stored tensor of any rank; `dtype` as in ONNX, `bytes` of its values. */
static inline void rnn_onnx_stored(struct tiny_onnx *t, const char *name, int dtype,
				   const int64_t *dims, int rank, const void *data, size_t bytes)
{
	struct ps_strbuf w;

	ps_strbuf_init(&w);
	for (int d = 0; d < rank; d++)
		tiny_int(&w, 1, (uint64_t)dims[d]);
	tiny_int(&w, 2, (uint64_t)dtype);
	tiny_text(&w, 8, name);
	tiny_bytes(&w, 9, data, bytes);
	tiny_message(&t->graph, 5, &w);
}

static inline void rnn_onnx_floats_stored(struct tiny_onnx *t, const char *name,
					  const int64_t *dims, int rank, const float *data)
{
	size_t n = 1;

	for (int d = 0; d < rank; d++)
		n *= (size_t)dims[d];
	rnn_onnx_stored(t, name, 1, dims, rank, data, n * sizeof *data);
}

/* A node that reads `a` and, unless NULL, `b`; attributes are the caller's, in `attrs` (freed). */
static inline void rnn_onnx_node(struct tiny_onnx *t, const char *op, const char *a, const char *b,
				 const char *out, struct ps_strbuf *attrs)
{
	struct ps_strbuf node;

	ps_strbuf_init(&node);
	tiny_text(&node, 1, a);
	if (b)
		tiny_text(&node, 1, b);
	tiny_text(&node, 2, out);
	tiny_text(&node, 4, op);
	if (attrs) {
		ps_strbuf_append(&node, attrs->data, attrs->len);
		ps_strbuf_fini(attrs);
	}
	tiny_message(&t->graph, 1, &node);
}

static const char *const rnn_onnx_activations[PS_RNN_ACTIVATIONS] = {
	[PS_RNN_RELU] = "Relu",
	[PS_RNN_TANH] = "Tanh",
	[PS_RNN_SIGMOID] = "Sigmoid",
	[PS_RNN_AFFINE] = "Affine",
	[PS_RNN_LEAKY_RELU] = "LeakyRelu",
	[PS_RNN_THRESHOLDED_RELU] = "ThresholdedRelu",
	[PS_RNN_SCALED_TANH] = "ScaledTanh",
	[PS_RNN_HARD_SIGMOID] = "HardSigmoid",
	[PS_RNN_ELU] = "Elu",
	[PS_RNN_SOFTSIGN] = "Softsign",
	[PS_RNN_SOFTPLUS] = "Softplus",
};

static inline const char *rnn_onnx_op(enum ps_rnn_cell c)
{
	return c == PS_RNN_LSTM ? "LSTM" : c == PS_RNN_GRU ? "GRU" : "RNN";
}

static inline int rnn_onnx_directions(const struct ps_rnn_spec *s)
{
	return s->direction == PS_RNN_BOTH ? 2 : 1;
}

static inline void rnn_onnx_functions(struct ps_strbuf *node, const struct ps_rnn_spec *s)
{
	int each = s->cell == PS_RNN_LSTM ? 3 : s->cell == PS_RNN_GRU ? 2 : 1, n = 0, a = 0, b = 0;
	const char *names[6];
	float alphas[6], betas[6];

	for (int d = 0; d < rnn_onnx_directions(s); d++) {
		const struct ps_rnn_function f[] = {s->functions[d].f, s->functions[d].g,
						    s->functions[d].h};
		for (int i = 0; i < each; i++) {
			names[n++] = rnn_onnx_activations[f[i].kind];
			if (ps_rnn_uses_alpha(f[i].kind))
				alphas[a++] = f[i].alpha;
			if (ps_rnn_uses_beta(f[i].kind))
				betas[b++] = f[i].beta;
		}
	}
	rnn_onnx_texts(node, "activations", names, n);
	if (a)
		rnn_onnx_floats(node, "activation_alpha", alphas, a);
	if (b)
		rnn_onnx_floats(node, "activation_beta", betas, b);
}

/* What a recurrent node reads and makes; NULL or "" is left out. */
struct rnn_onnx_names {
	const char *name, *x, *lens, *h0, *c0, *y, *y_h, *y_c;
};

static inline void rnn_onnx_attrs(struct ps_strbuf *node, const struct ps_rnn_spec *s)
{
	static const char *const directions[] = {"forward", "reverse", "bidirectional"};

	rnn_onnx_int(node, "hidden_size", s->hidden);
	rnn_onnx_text(node, "direction", directions[s->direction]);
	rnn_onnx_functions(node, s);
	if (s->clip > 0)
		rnn_onnx_float(node, "clip", s->clip);
	if (s->layout)
		rnn_onnx_int(node, "layout", 1);
	if (s->linear_before_reset && s->cell == PS_RNN_GRU)
		rnn_onnx_int(node, "linear_before_reset", 1);
	if (s->input_forget && s->cell == PS_RNN_LSTM)
		rnn_onnx_int(node, "input_forget", 1);
}

/* Weights are stored under the node's name and W, R, B, P. */
static inline void rnn_onnx_layer(struct tiny_onnx *t, const struct ps_rnn_spec *s,
				  const struct ps_rnn_weights *w, const struct rnn_onnx_names *n)
{
	int64_t d = rnn_onnx_directions(s), rows = ps_rnn_gates(s->cell) * s->hidden;
	const int64_t dw[] = {d, rows, s->inputs}, dr[] = {d, rows, s->hidden};
	const int64_t db[] = {d, 2 * rows}, dp[] = {d, 3 * s->hidden};
	bool lstm = s->cell == PS_RNN_LSTM;
	char names[4][64];
	struct ps_strbuf node;

	for (int i = 0; i < 4; i++)
		snprintf(names[i], sizeof names[i], "%s.%c", n->name, "WRBP"[i]);
	rnn_onnx_floats_stored(t, names[0], dw, 3, w->w);
	rnn_onnx_floats_stored(t, names[1], dr, 3, w->r);
	if (w->b)
		rnn_onnx_floats_stored(t, names[2], db, 2, w->b);
	if (w->p && lstm)
		rnn_onnx_floats_stored(t, names[3], dp, 2, w->p);
	const char *in[] = {n->x,
			    names[0],
			    names[1],
			    w->b ? names[2] : "",
			    n->lens,
			    n->h0,
			    lstm ? n->c0 : NULL,
			    w->p && lstm ? names[3] : NULL};
	const char *out[] = {n->y, n->y_h, lstm ? n->y_c : NULL};
	ps_strbuf_init(&node);
	for (int i = 0; i < (lstm ? 8 : 6); i++)
		tiny_text(&node, 1, in[i] ? in[i] : "");
	for (int i = 0; i < (lstm ? 3 : 2); i++)
		tiny_text(&node, 2, out[i] ? out[i] : "");
	tiny_text(&node, 3, n->name);
	tiny_text(&node, 4, rnn_onnx_op(s->cell));
	rnn_onnx_attrs(&node, s);
	tiny_message(&t->graph, 1, &node);
}

#endif
