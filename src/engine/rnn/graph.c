/* graph.c - makes the steps of a graph of recurrent layers from an ONNX file. */
#include "engine/rnn/graph_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *op;
	enum ps_rnn_step_kind kind;
	int list_input;	       /* its list is the constant there; 0: it has none */
	const char *list_attr; /* or this attribute; NULL: none */
} changes[] = {
	{"Transpose", PS_RNN_STEP_TRANSPOSE, 0, "perm"},
	{"Squeeze", PS_RNN_STEP_SQUEEZE, 1, "axes"},
	{"Unsqueeze", PS_RNN_STEP_UNSQUEEZE, 1, "axes"},
	{"Reshape", PS_RNN_STEP_RESHAPE, 1, NULL},
	{"Identity", PS_RNN_STEP_SAME, 0, NULL},
};
#define N_CHANGES (int)(sizeof changes / sizeof *changes)

static int change_of(const struct ps_edit_node *n)
{
	bool own = n->domain[0] == '\0' || strcmp(n->domain, "ai.onnx") == 0;

	for (int i = 0; own && i < N_CHANGES; i++) {
		if (strcmp(n->op, changes[i].op) == 0)
			return i;
	}
	return -1;
}

static bool is_constant(const struct ps_edit_node *n)
{
	return n->domain[0] == '\0' && strcmp(n->op, "Constant") == 0 && n->n_out == 1;
}

static enum ps_status impure(const struct ps_edit_node *n, const char *why, struct ps_error *err)
{
	return ps_error_set(err, PS_EUNSUPPORTED, "node '%.80s' (%.40s) %s", ps_rnn_node_name(n),
			    n->op, why);
}

/* ---- whether a file is such a graph ---- */

static bool reads_constant(const struct ps_edit *e, const struct ps_edit_node *n, int place)
{
	return place < n->n_in && ps_edit_find(e, n->in[place]);
}

static enum ps_status check_node(const struct ps_edit *e, const struct ps_edit_node *n,
				 enum ps_rnn_precision precision, struct ps_error *err)
{
	int change = change_of(n);

	if (is_constant(n))
		return n->n_out == 1 && ps_edit_find(e, n->out[0]) ? PS_OK
								   : impure(n, "is no tensor", err);
	if (ps_rnn_node_is(n)) { /* what no runtime could run is an error later on */
		enum ps_status st = ps_rnn_node_check(e, n, precision, err);
		return st == PS_EUNSUPPORTED ? st : PS_OK;
	}
	if (change < 0)
		return impure(n, "is no recurrent layer and no change of shape", err);
	return reads_constant(e, n, 0) ? impure(n, "reads a constant", err) : PS_OK;
}

bool ps_rnn_graph_is_pure(const struct ps_edit *e, enum ps_rnn_precision precision,
			  struct ps_error *err)
{
	enum ps_status st = PS_OK;
	int layers = 0;

	if (e->n_nodes > PS_RNN_GRAPH_MAX_STEPS) {
		ps_error_set(err, PS_EUNSUPPORTED, "over %d nodes", PS_RNN_GRAPH_MAX_STEPS);
		return false;
	}
	for (int i = 0; st == PS_OK && i < e->n_nodes; i++) {
		st = check_node(e, &e->nodes[i], precision, err);
		layers += ps_rnn_node_is(&e->nodes[i]);
	}
	if (st == PS_OK && layers == 0)
		st = ps_error_set(err, PS_EUNSUPPORTED, "it has no recurrent layer");
	return st == PS_OK;
}

/* ---- values ---- */

static int find_value(const struct ps_rnn_graph *g, const char *name)
{
	for (int i = g->n_values - 1; i >= 0; i--) {
		if (strcmp(g->values[i].name, name) == 0)
			return i;
	}
	return -1;
}

static enum ps_status add_value(struct ps_rnn_graph *g, const char *name,
				const struct ps_rnn_shape *shape, int *ret_value,
				struct ps_error *err)
{
	if (find_value(g, name) >= 0)
		return ps_error_set(err, PS_EINVAL, "'%.80s' is made twice", name);
	if (g->n_values == g->cap_values) {
		int cap = 2 * g->cap_values;
		void *p = realloc(g->values, (size_t)cap * sizeof *g->values);
		if (!p)
			return ps_error_set(err, PS_ENOMEM, "no memory for the graph");
		g->values = p;
		g->cap_values = cap;
	}
	char *copy = strdup(name);
	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for the graph");
	g->values[g->n_values] =
		(struct ps_rnn_graph_value){.name = copy, .shape = *shape, .output = -1};
	*ret_value = g->n_values++;
	return PS_OK;
}

/* A constant that a layer begins with. */
static enum ps_status add_constant(struct ps_rnn_graph *g, const struct ps_edit_stored *t,
				   int *ret_value, struct ps_error *err)
{
	struct ps_rnn_shape s = {.dtype = t->dtype, .rank = t->rank};

	if ((t->dtype != PS_DTYPE_FP32 && t->dtype != PS_DTYPE_INT32) || !t->data ||
	    t->rank > PS_TENSOR_MAX_RANK)
		return ps_error_set(err, PS_EUNSUPPORTED,
				    "constant '%.80s' is not stored as float32 or int32", t->name);
	memcpy(s.dims, t->dims, sizeof s.dims);
	float *copy = malloc((size_t)t->elements * sizeof *copy + 1);
	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for the graph");
	memcpy(copy, t->data, (size_t)t->elements * sizeof *copy);
	enum ps_status st = add_value(g, t->name, &s, ret_value, err);
	if (st == PS_OK)
		g->values[*ret_value].constant = copy;
	else
		free(copy);
	return st;
}

static enum ps_status read_value(const struct ps_edit *e, struct ps_rnn_graph *g,
				 const struct ps_edit_node *n, int place, int *ret_value,
				 struct ps_error *err)
{
	const char *name = place < n->n_in ? n->in[place] : "";
	enum ps_status st = PS_OK;

	*ret_value = -1;
	if (!name[0])
		return place == 0 ? ps_error_set(err, PS_EINVAL, "node '%.80s' reads nothing",
						 ps_rnn_node_name(n))
				  : PS_OK;
	*ret_value = find_value(g, name);
	if (*ret_value < 0) {
		const struct ps_edit_stored *t = ps_edit_find(e, name);
		st = t ? add_constant(g, t, ret_value, err)
		       : ps_error_set(err, PS_EINVAL,
				      "node '%.80s' reads '%.80s', which nothing before it makes",
				      ps_rnn_node_name(n), name);
	}
	if (st == PS_OK)
		g->values[*ret_value].uses++;
	return st;
}

/* ---- steps ---- */

static enum ps_status take_list(const struct ps_edit_node *n, struct ps_rnn_step *s,
				const int64_t *list, int64_t len, struct ps_error *err)
{
	if (len > PS_TENSOR_MAX_RANK)
		return impure(n, "has too long a list", err);
	s->n = (int)len;
	memcpy(s->list, list, (size_t)len * sizeof *list);
	return PS_OK;
}

static enum ps_status read_list(const struct ps_edit *e, const struct ps_edit_node *n, int change,
				struct ps_rnn_step *s, struct ps_error *err)
{
	int place = changes[change].list_input;
	const struct ps_edit_attr *a =
		changes[change].list_attr ? ps_edit_attr(n, changes[change].list_attr) : NULL;

	s->n = -1;
	if (place > 0 && place < n->n_in && n->in[place][0]) {
		const struct ps_edit_stored *t = ps_edit_find(e, n->in[place]);
		return t && t->ints && t->rank == 1
			       ? take_list(n, s, t->ints, t->elements, err)
			       : impure(n, "has a list that is no constant", err);
	}
	if (a)
		return a->kind == PS_EDIT_INTS ? take_list(n, s, a->ints, a->n, err)
					       : impure(n, "has a list of no integers", err);
	return PS_OK;
}

/* What a list that is left out means. */
static enum ps_status complete_list(const struct ps_edit_node *n, const struct ps_rnn_shape *in,
				    struct ps_rnn_step *s, struct ps_error *err)
{
	int64_t allow_zero = 0;
	enum ps_status st = ps_edit_int(n, "allowzero", 0, &allow_zero, err);

	if (st == PS_OK && allow_zero != 0)
		st = impure(n, "allows sizes of zero", err);
	if (st != PS_OK || s->n >= 0 || s->kind == PS_RNN_STEP_SQUEEZE ||
	    s->kind == PS_RNN_STEP_SAME)
		return st;
	if (s->kind != PS_RNN_STEP_TRANSPOSE)
		return ps_error_set(err, PS_EINVAL, "node '%.80s' has no axes or shape", s->name);
	s->n = in->rank;
	for (int d = 0; d < in->rank; d++)
		s->list[d] = in->rank - 1 - d;
	return PS_OK;
}

static enum ps_status make_change(const struct ps_edit *e, const struct ps_edit_node *n, int change,
				  struct ps_rnn_graph *g, struct ps_rnn_step *s,
				  struct ps_error *err)
{
	s->kind = changes[change].kind;
	enum ps_status st = read_list(e, n, change, s, err);

	if (st == PS_OK)
		st = read_value(e, g, n, 0, &s->in[0], err);
	return st == PS_OK ? complete_list(n, &g->values[s->in[0]].shape, s, err) : st;
}

static enum ps_status make_layer(const struct ps_edit *e, const struct ps_edit_node *n,
				 const struct ps_rnn_wish *wish, struct ps_rnn_graph *g,
				 struct ps_rnn_step *s, struct ps_error *err)
{
	static const int places[] = {PS_RNN_IN_X, PS_RNN_IN_LENS, PS_RNN_IN_H, PS_RNN_IN_C};
	enum ps_status st = PS_OK;
	int place;

	s->kind = PS_RNN_STEP_LAYER;
	for (size_t i = 0; st == PS_OK && i < sizeof places / sizeof *places; i++)
		st = read_value(e, g, n, places[i], &s->in[places[i]], err);
	if (st == PS_OK)
		st = ps_rnn_layers_add(&g->layers, e, n, wish, &place, err);
	if (st == PS_OK)
		s->layer = g->layers.rows[place].layer;
	return st;
}

static enum ps_status add_outputs(const struct ps_edit_node *n, struct ps_rnn_graph *g,
				  struct ps_rnn_step *s, struct ps_error *err)
{
	struct ps_rnn_shape in[PS_RNN_STEP_MAX_INPUTS] = {0}, out[3] = {0};
	enum ps_status st;

	for (int i = 0; i < PS_RNN_STEP_MAX_INPUTS; i++) {
		if (s->in[i] >= 0)
			in[i] = g->values[s->in[i]].shape;
	}
	st = ps_rnn_step_shapes(s, in, out, err);
	for (int i = 0; st == PS_OK && i < n->n_out; i++) {
		if (i >= 3 || (i > 0 && !out[i].dtype))
			return impure(n, "has too many outputs", err);
		if (n->out[i][0])
			st = add_value(g, n->out[i], &out[i], &s->out[i], err);
	}
	return st;
}

static enum ps_status add_step(const struct ps_edit *e, const struct ps_edit_node *n,
			       const struct ps_rnn_wish *wish, struct ps_rnn_graph *g,
			       struct ps_error *err)
{
	struct ps_rnn_step *s = &g->steps[g->n_steps++];
	enum ps_status st;

	*s = (struct ps_rnn_step){.out = {-1, -1, -1}};
	for (int i = 0; i < PS_RNN_STEP_MAX_INPUTS; i++)
		s->in[i] = -1;
	s->name = strdup(ps_rnn_node_name(n));
	if (!s->name)
		return ps_error_set(err, PS_ENOMEM, "no memory for the graph");
	st = ps_rnn_node_is(n) ? make_layer(e, n, wish, g, s, err)
			       : make_change(e, n, change_of(n), g, s, err);
	return st == PS_OK ? add_outputs(n, g, s, err) : st;
}

/* ---- inputs and outputs ---- */

static enum ps_status add_inputs(const struct ps_edit *e, struct ps_rnn_graph *g,
				 struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int i = 0; st == PS_OK && i < e->n_inputs; i++) {
		const struct ps_tensor_spec *s = &e->inputs[i].spec;
		struct ps_rnn_shape shape = {.dtype = s->dtype, .rank = s->rank};
		if (e->inputs[i].stored)
			continue;
		if (s->rank < 0 || (s->dtype != PS_DTYPE_FP32 && s->dtype != PS_DTYPE_INT32))
			return ps_error_set(err, PS_EUNSUPPORTED,
					    "input '%.80s' declares no shape, or another type than"
					    " float32 and int32",
					    s->name);
		memcpy(shape.dims, s->dims, sizeof shape.dims);
		st = add_value(g, s->name, &shape, &g->input_values[g->n_inputs], err);
		if (st == PS_OK)
			g->inputs[g->n_inputs++] = *s;
	}
	return st;
}

static enum ps_status add_graph_outputs(const struct ps_edit *e, struct ps_rnn_graph *g,
					struct ps_error *err)
{
	for (int i = 0; i < e->n_outputs; i++) {
		struct ps_tensor_spec *s = &g->outputs[i];
		int v = find_value(g, e->outputs[i].spec.name);
		bool is_input = false;
		for (int k = 0; k < g->n_inputs; k++)
			is_input |= g->input_values[k] == v;
		if (v < 0 || is_input || g->values[v].constant || g->values[v].output >= 0)
			return ps_error_set(
				err, PS_EUNSUPPORTED,
				"output '%.80s' is the result of no node, or named twice",
				e->outputs[i].spec.name);
		*s = e->outputs[i].spec;
		s->dtype = g->values[v].shape.dtype;
		s->rank = g->values[v].shape.rank;
		memcpy(s->dims, g->values[v].shape.dims, sizeof s->dims);
		g->values[v].output = i;
		g->values[v].uses++;
		g->output_values[i] = v;
		g->n_outputs++;
	}
	return PS_OK;
}

/* A result from which only a change of shape makes an output is written where that output goes. */
static void place_early(struct ps_rnn_graph *g)
{
	for (int i = g->n_steps - 1; i >= 0; i--) {
		const struct ps_rnn_step *s = &g->steps[i];
		if (s->kind == PS_RNN_STEP_LAYER || s->kind == PS_RNN_STEP_TRANSPOSE ||
		    s->out[0] < 0)
			continue;
		struct ps_rnn_graph_value *from = &g->values[s->in[0]], *to = &g->values[s->out[0]];
		if (from->uses == 1 && from->output < 0)
			from->output = to->output;
	}
	for (int i = 0; i < g->n_inputs; i++)
		g->values[g->input_values[i]].output = -1;
}

static bool make_room(const struct ps_edit *e, struct ps_rnn_graph *g)
{
	g->cap_values = 32;
	g->values = calloc((size_t)g->cap_values, sizeof *g->values);
	g->steps = calloc((size_t)e->n_nodes + 1, sizeof *g->steps);
	g->inputs = calloc((size_t)e->n_inputs + 1, sizeof *g->inputs);
	g->outputs = calloc((size_t)e->n_outputs + 1, sizeof *g->outputs);
	g->input_values = calloc((size_t)e->n_inputs + 1, sizeof *g->input_values);
	g->output_values = calloc((size_t)e->n_outputs + 1, sizeof *g->output_values);
	return g->values && g->steps && g->inputs && g->outputs && g->input_values &&
	       g->output_values;
}

static enum ps_status fill(const struct ps_edit *e, const struct ps_rnn_wish *wish,
			   struct ps_rnn_graph *g, struct ps_error *err)
{
	enum ps_status st = add_inputs(e, g, err);

	for (int i = 0; st == PS_OK && i < e->n_nodes; i++) {
		if (!is_constant(&e->nodes[i]))
			st = add_step(e, &e->nodes[i], wish, g, err);
	}
	if (st == PS_OK)
		st = add_graph_outputs(e, g, err);
	if (st == PS_OK &&
	    (g->n_inputs > PS_MODEL_MAX_TENSORS || g->n_outputs > PS_MODEL_MAX_TENSORS))
		st = ps_error_set(err, PS_EUNSUPPORTED, "over %d inputs or outputs",
				  PS_MODEL_MAX_TENSORS);
	if (st == PS_OK)
		place_early(g);
	return st;
}

enum ps_status ps_rnn_graph_load(const struct ps_edit *e, const struct ps_rnn_wish *wish,
				 struct ps_rnn_graph *ret_graph, struct ps_error *err)
{
	struct ps_rnn_graph g = {0};
	enum ps_status st;
	struct ps_error own;

	if (!ps_rnn_graph_is_pure(e, wish->precision, err ? err : &own))
		return PS_EUNSUPPORTED;
	st = make_room(e, &g) ? fill(e, wish, &g, err)
			      : ps_error_set(err, PS_ENOMEM, "no memory for the graph");
	if (st == PS_OK)
		*ret_graph = g;
	else
		ps_rnn_graph_fini(&g);
	return st;
}

void ps_rnn_graph_fini(struct ps_rnn_graph *g)
{
	for (int i = 0; i < g->n_steps; i++)
		free(g->steps[i].name);
	ps_rnn_layers_fini(&g->layers);
	for (int i = 0; i < g->n_values; i++) {
		free(g->values[i].name);
		free(g->values[i].constant);
	}
	void *all[] = {g->steps,   g->values,	    g->inputs,
		       g->outputs, g->input_values, g->output_values};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	*g = (struct ps_rnn_graph){0};
}
