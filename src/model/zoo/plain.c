/* Networks without branches: AlexNet in its single-tower form, and VGG. */
#include "model/zoo/zoo_internal.h"

static int dense_relu(struct ps_graph *g, int x, int units)
{
	return ps_graph_relu(g, ps_graph_gemm(g, x, units));
}

/* Two hidden layers of 4096, then the classes. */
static void big_head(struct ps_graph *g, int x)
{
	x = dense_relu(g, ps_graph_flatten(g, x), 4096);
	x = dense_relu(g, x, 4096);
	ps_graph_output(g, ps_graph_gemm(g, x, PS_ZOO_CLASSES), "output");
}

void ps_zoo_alexnet(struct ps_graph *g, int size)
{
	int x = ps_zoo_conv_relu(g, ps_zoo_image(g, size), 64, 11, 4, 2);
	x = ps_zoo_max_pool(g, x, 3, 2, 0, false);
	x = ps_zoo_conv_relu(g, x, 192, 5, 1, 2);
	x = ps_zoo_max_pool(g, x, 3, 2, 0, false);
	x = ps_zoo_conv_relu(g, x, 384, 3, 1, 1);
	x = ps_zoo_conv_relu(g, x, 256, 3, 1, 1);
	x = ps_zoo_conv_relu(g, x, 256, 3, 1, 1);
	big_head(g, ps_zoo_max_pool(g, x, 3, 2, 0, false));
}

void ps_zoo_vgg16(struct ps_graph *g, int size)
{
	static const struct {
		int channels, layers;
	} stages[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};
	int x = ps_zoo_image(g, size);
	for (unsigned s = 0; s < sizeof stages / sizeof stages[0]; s++) {
		for (int i = 0; i < stages[s].layers; i++)
			x = ps_zoo_conv_relu(g, x, stages[s].channels, 3, 1, 1);
		x = ps_zoo_max_pool(g, x, 2, 2, 0, false);
	}
	big_head(g, x);
}
