/* EfficientNet-B0: inverted residuals with swish and squeeze-and-excitation. */
#include "model/zoo/zoo_internal.h"

static int conv_bn(struct ps_graph *g, int x, const struct ps_graph_conv *c, double gain,
		   double shift)
{
	return ps_graph_batch_norm(g, ps_graph_conv(g, x, c), 1e-3, gain, shift);
}

static int conv_bn_swish(struct ps_graph *g, int x, const struct ps_graph_conv *c)
{
	/* Below its usual size swish shrinks a value further, above it grows it further: a
	 * deviation would feed itself from layer to layer. Shifts do not deviate: a fifth of the
	 * variance as theirs calms it, a half would drown the differences between inputs. */
	return ps_graph_swish(g, conv_bn(g, x, c, 0.88, 0.47));
}

/* Weighs each channel by a gate made from all channels' averages. */
static int excite(struct ps_graph *g, int x, int channels, int squeezed)
{
	struct ps_graph_conv down = {.out = squeezed, .kernel = 1, .bias = true};
	/* Gates that differ by channel, neither shut nor wide open, whatever comes in. */
	struct ps_graph_conv up = {
		.out = channels, .kernel = 1, .bias = true, .gain = 0.5, .shift = 1};
	int gate = ps_graph_conv(g, ps_graph_global_avg_pool(g, x), &down);
	gate = ps_graph_conv(g, ps_graph_swish(g, gate), &up);
	return ps_graph_scale(g, x, ps_graph_sigmoid(g, gate));
}

struct stage {
	int expand, out, repeat, stride, kernel;
};

static int block(struct ps_graph *g, int x, int in, const struct stage *s, int stride)
{
	bool shortcut = in == s->out && stride == 1;
	int inner = in * s->expand, y = x;
	struct ps_graph_conv wide = {.out = inner, .kernel = 1};
	struct ps_graph_conv dw = {.out = inner,
				   .kernel = s->kernel,
				   .stride = stride,
				   .pad = s->kernel / 2,
				   .groups = inner};
	struct ps_graph_conv narrow = {.out = s->out, .kernel = 1};
	if (s->expand != 1)
		y = conv_bn_swish(g, y, &wide);
	y = excite(g, conv_bn_swish(g, y, &dw), inner, in / 4);
	y = conv_bn(g, y, &narrow, shortcut ? PS_ZOO_BRANCH_GAIN : 1, 0);
	return shortcut ? ps_graph_add(g, x, y) : y;
}

void ps_zoo_efficientnet_b0(struct ps_graph *g, int size)
{
	static const struct stage stages[] = {
		{1, 16, 1, 1, 3},  {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5}, {6, 80, 3, 2, 3},
		{6, 112, 3, 1, 5}, {6, 192, 4, 2, 5}, {6, 320, 1, 1, 3}};
	int channels = 32;
	struct ps_graph_conv stem = {.out = channels, .kernel = 3, .stride = 2, .pad = 1};
	int x = conv_bn_swish(g, ps_zoo_image(g, size), &stem);
	for (unsigned s = 0; s < sizeof stages / sizeof stages[0]; s++)
		for (int i = 0; i < stages[s].repeat; i++) {
			x = block(g, x, channels, &stages[s], i == 0 ? stages[s].stride : 1);
			channels = stages[s].out;
		}
	x = conv_bn_swish(g, x, &(struct ps_graph_conv){.out = 1280, .kernel = 1});
	ps_zoo_classify(g, x);
}
