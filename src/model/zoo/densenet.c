/* DenseNet-121: every layer sees all earlier ones of its block. */
#include "model/zoo/zoo_internal.h"

static int bn_relu(struct ps_graph *g, int x)
{
	return ps_graph_relu(g, ps_graph_batch_norm(g, x, 1e-5, 1, 0));
}

static int conv(struct ps_graph *g, int x, int out, int kernel)
{
	return ps_graph_conv(
		g, x, &(struct ps_graph_conv){.out = out, .kernel = kernel, .pad = kernel / 2});
}

static int dense_layer(struct ps_graph *g, int x, int growth)
{
	int y = conv(g, bn_relu(g, x), 4 * growth, 1);
	y = conv(g, bn_relu(g, y), growth, 3);
	return ps_graph_concat(g, (const int[]){x, y}, 2);
}

/* Halves the channels and the size. */
static int transition(struct ps_graph *g, int x, int out)
{
	struct ps_graph_pool p = {.kernel = 2, .stride = 2};
	return ps_graph_avg_pool(g, conv(g, bn_relu(g, x), out, 1), &p);
}

void ps_zoo_densenet121(struct ps_graph *g, int size)
{
	static const int layers[] = {6, 12, 24, 16};
	int channels = 64, growth = 32;
	struct ps_graph_conv stem = {.out = channels, .kernel = 7, .stride = 2, .pad = 3};
	int x = bn_relu(g, ps_graph_conv(g, ps_zoo_image(g, size), &stem));
	x = ps_zoo_max_pool(g, x, 3, 2, 1, false);
	for (int b = 0; b < 4; b++) {
		for (int i = 0; i < layers[b]; i++)
			x = dense_layer(g, x, growth);
		channels += layers[b] * growth;
		if (b < 3)
			x = transition(g, x, channels /= 2);
	}
	ps_zoo_classify(g, bn_relu(g, x));
}
