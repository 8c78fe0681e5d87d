/* Depthwise separable networks: MobileNet v1 and v2. */
#include "model/zoo/zoo_internal.h"

static struct ps_graph_conv depthwise(int channels, int stride)
{
	return (struct ps_graph_conv){
		.out = channels, .kernel = 3, .stride = stride, .pad = 1, .groups = channels};
}

void ps_zoo_mobilenet_v1(struct ps_graph *g, int size)
{
	static const struct {
		int out, stride;
	} layers[] = {{64, 1},	{128, 2}, {128, 1}, {256, 2}, {256, 1},	 {512, 2}, {512, 1},
		      {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
	int channels = 32;
	struct ps_graph_conv stem = {.out = channels, .kernel = 3, .stride = 2, .pad = 1};
	int x = ps_graph_relu(g, ps_zoo_conv_bn(g, ps_zoo_image(g, size), &stem, 1));
	for (unsigned i = 0; i < sizeof layers / sizeof layers[0]; i++) {
		struct ps_graph_conv dw = depthwise(channels, layers[i].stride);
		struct ps_graph_conv pw = {.out = layers[i].out, .kernel = 1};
		x = ps_graph_relu(g, ps_zoo_conv_bn(g, x, &dw, 1));
		x = ps_graph_relu(g, ps_zoo_conv_bn(g, x, &pw, 1));
		channels = layers[i].out;
	}
	ps_zoo_classify(g, x);
}

static int conv_bn_relu6(struct ps_graph *g, int x, const struct ps_graph_conv *c)
{
	return ps_graph_relu6(g, ps_zoo_conv_bn(g, x, c, 1));
}

/* Wide inside, narrow at its ends; the shortcut joins the narrow ends. */
static int inverted_residual(struct ps_graph *g, int x, int in, int out, int expand, int stride)
{
	bool shortcut = in == out && stride == 1;
	int y = x;
	struct ps_graph_conv wide = {.out = in * expand, .kernel = 1};
	struct ps_graph_conv dw = depthwise(in * expand, stride);
	struct ps_graph_conv narrow = {.out = out, .kernel = 1};
	if (expand != 1)
		y = conv_bn_relu6(g, y, &wide);
	y = conv_bn_relu6(g, y, &dw);
	y = ps_zoo_conv_bn(g, y, &narrow, shortcut ? PS_ZOO_BRANCH_GAIN : 1);
	return shortcut ? ps_graph_add(g, x, y) : y;
}

void ps_zoo_mobilenet_v2(struct ps_graph *g, int size)
{
	static const struct {
		int expand, out, repeat, stride;
	} stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
		      {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
	int channels = 32;
	struct ps_graph_conv stem = {.out = channels, .kernel = 3, .stride = 2, .pad = 1};
	int x = conv_bn_relu6(g, ps_zoo_image(g, size), &stem);
	for (unsigned s = 0; s < sizeof stages / sizeof stages[0]; s++)
		for (int i = 0; i < stages[s].repeat; i++) {
			x = inverted_residual(g, x, channels, stages[s].out, stages[s].expand,
					      i == 0 ? stages[s].stride : 1);
			channels = stages[s].out;
		}
	x = conv_bn_relu6(g, x, &(struct ps_graph_conv){.out = 1280, .kernel = 1});
	ps_zoo_classify(g, x);
}
