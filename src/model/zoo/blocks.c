#include "model/zoo/zoo_internal.h"

int ps_zoo_image(struct ps_graph *g, int size)
{
	return ps_graph_input(g, "input", 4, (int64_t[]){PS_GRAPH_BATCH, 3, size, size});
}

int ps_zoo_conv_relu(struct ps_graph *g, int x, int out, int kernel, int stride, int pad)
{
	struct ps_graph_conv c = {
		.out = out, .kernel = kernel, .stride = stride, .pad = pad, .bias = true};
	return ps_graph_relu(g, ps_graph_conv(g, x, &c));
}

int ps_zoo_conv_bn(struct ps_graph *g, int x, const struct ps_graph_conv *c, double gain)
{
	return ps_graph_batch_norm(g, ps_graph_conv(g, x, c), 1e-5, gain, 0);
}

int ps_zoo_max_pool(struct ps_graph *g, int x, int kernel, int stride, int pad, bool ceil)
{
	struct ps_graph_pool p = {.kernel = kernel, .stride = stride, .pad = pad, .ceil = ceil};
	return ps_graph_max_pool(g, x, &p);
}

void ps_zoo_classify(struct ps_graph *g, int x)
{
	x = ps_graph_flatten(g, ps_graph_global_avg_pool(g, x));
	ps_graph_output(g, ps_graph_gemm(g, x, PS_ZOO_CLASSES), "output");
}
