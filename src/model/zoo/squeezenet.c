/* SqueezeNet 1.1: fire modules, and no fully connected layer. */
#include "model/zoo/zoo_internal.h"

static int fire(struct ps_graph *g, int x, int squeeze, int expand)
{
	x = ps_zoo_conv_relu(g, x, squeeze, 1, 1, 0);
	int parts[] = {ps_zoo_conv_relu(g, x, expand, 1, 1, 0),
		       ps_zoo_conv_relu(g, x, expand, 3, 1, 1)};
	return ps_graph_concat(g, parts, 2);
}

void ps_zoo_squeezenet1_1(struct ps_graph *g, int size)
{
	static const int squeeze[] = {16, 16, 32, 32, 48, 48, 64, 64};
	int x = ps_zoo_conv_relu(g, ps_zoo_image(g, size), 64, 3, 2, 0);
	for (int i = 0; i < 8; i++) {
		if (i == 0 || i == 2 || i == 4)
			x = ps_zoo_max_pool(g, x, 3, 2, 0, true);
		x = fire(g, x, squeeze[i], 4 * squeeze[i]);
	}
	x = ps_zoo_conv_relu(g, x, PS_ZOO_CLASSES, 1, 1, 0);
	x = ps_graph_flatten(g, ps_graph_global_avg_pool(g, x));
	ps_graph_output(g, x, "output");
}
