/* The recurrent layers of the DeepBench inference set: input as wide as the hidden state. */
#include "model/zoo/zoo_internal.h"

static int sequence(struct ps_graph *g, int size)
{
	return ps_graph_input(g, "input", 3, (int64_t[]){PS_GRAPH_STEPS, PS_GRAPH_BATCH, size});
}

void ps_zoo_lstm(struct ps_graph *g, int size)
{
	ps_graph_output(g, ps_graph_lstm(g, sequence(g, size), size), "output");
}

void ps_zoo_gru(struct ps_graph *g, int size)
{
	ps_graph_output(g, ps_graph_gru(g, sequence(g, size), size), "output");
}
