/* Recurrent layers: one forward direction, every step's output. */
#include "model/graph_internal.h"

#include <math.h>

/* ONNX gives [steps, directions, batch, hidden]; the one direction is squeezed away. */
static int squeeze_direction(struct ps_graph *g, int x, const int64_t *dims)
{
	int64_t one = 1;
	int axis = ps_graph_weights(g, "Squeeze", "axes", 1, &one, 0, 0);
	if (axis < 0)
		return axis;
	g->values[axis].dtype = PS_DTYPE_INT64;
	g->values[axis].fill = PS_FILL_INTS;
	g->values[axis].ints[0] = 1;
	int ins[] = {x, axis};
	struct ps_graph_node *n =
		ps_graph_node_add(g, "Squeeze", ins, 2, 3, dims, g->values[x].moments);
	return n ? n->out : PS_GRAPH_NONE;
}

/* Both products are given half of a pre-activation's unit variance at |h| near its usual size;
 * recurrent weights stay below the edge of chaos, so that answers can be compared. */
static int recurrent(struct ps_graph *g, int x, const char *op, int gates, int hidden)
{
	const struct ps_graph_value *v = ps_graph_get(g, x, 3, op);
	if (!v)
		return PS_GRAPH_NONE;
	int64_t size = v->dims[2];
	if (hidden < 1 || size < 1)
		return ps_graph_fail(g, PS_EINVAL, "%s of %d units", op, hidden);
	int64_t y[] = {v->dims[0], 1, v->dims[1], hidden}, out[] = {y[0], y[2], hidden};
	int64_t w[] = {1, (int64_t)gates * hidden, size};
	int64_t r[] = {1, w[1], hidden}, b[] = {1, 2 * w[1]};
	double in = sqrt((double)size * ps_moments_square(v->moments));
	int ins[] = {x, ps_graph_weights(g, op, "W", 3, w, 0, sqrt(3.0) / in),
		     ps_graph_weights(g, op, "R", 3, r, 0, sqrt(3.0 / hidden)),
		     ps_graph_weights(g, op, "B", 2, b, 0, 0.1)};
	struct ps_graph_node *n =
		ps_graph_node_add(g, op, ins, 4, 4, y, (struct ps_moments){0, 0.1});
	if (!n)
		return PS_GRAPH_NONE;
	ps_graph_attr_int(n, "hidden_size", hidden);
	if (gates == 3)
		ps_graph_attr_int(n, "linear_before_reset", 1);
	ps_graph_macs_add(g, w[1], size + hidden);
	return squeeze_direction(g, n->out, out);
}

int ps_graph_lstm(struct ps_graph *g, int x, int hidden)
{
	return recurrent(g, x, "LSTM", 4, hidden);
}

int ps_graph_gru(struct ps_graph *g, int x, int hidden)
{
	return recurrent(g, x, "GRU", 3, hidden);
}
