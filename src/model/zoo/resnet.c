/* Residual networks; bottlenecks have their stride in the 3x3 convolution (v1.5). */
#include "model/zoo/zoo_internal.h"

static int conv_bn_relu(struct ps_graph *g, int x, int out, int kernel, int stride)
{
	struct ps_graph_conv c = {
		.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2};
	return ps_graph_relu(g, ps_zoo_conv_bn(g, x, &c, 1));
}

/* The last convolution of a branch, damped. */
static int branch_end(struct ps_graph *g, int x, int out, int kernel)
{
	struct ps_graph_conv c = {.out = out, .kernel = kernel, .pad = kernel / 2};
	return ps_zoo_conv_bn(g, x, &c, PS_ZOO_BRANCH_GAIN);
}

static int block(struct ps_graph *g, int x, int width, int out, int stride, bool project)
{
	int branch;
	if (out == width) { /* basic */
		branch = conv_bn_relu(g, x, width, 3, stride);
		branch = branch_end(g, branch, out, 3);
	} else { /* bottleneck */
		branch = conv_bn_relu(g, x, width, 1, 1);
		branch = conv_bn_relu(g, branch, width, 3, stride);
		branch = branch_end(g, branch, out, 1);
	}
	struct ps_graph_conv c = {.out = out, .kernel = 1, .stride = stride};
	if (project)
		x = ps_zoo_conv_bn(g, x, &c, 1);
	return ps_graph_relu(g, ps_graph_add(g, x, branch));
}

/* `blocks` of each of the four stages; `expansion` is 1 for basic blocks, 4 for bottlenecks. */
static void resnet(struct ps_graph *g, int size, const int blocks[4], int expansion)
{
	int x = conv_bn_relu(g, ps_zoo_image(g, size), 64, 7, 2);
	x = ps_zoo_max_pool(g, x, 3, 2, 1, false);
	for (int stage = 0; stage < 4; stage++)
		for (int i = 0; i < blocks[stage]; i++) {
			int width = 64 << stage, stride = i == 0 && stage > 0 ? 2 : 1;
			bool project = i == 0 && (stage > 0 || expansion > 1);
			x = block(g, x, width, width * expansion, stride, project);
		}
	ps_zoo_classify(g, x);
}

void ps_zoo_resnet18(struct ps_graph *g, int size)
{
	resnet(g, size, (const int[]){2, 2, 2, 2}, 1);
}

void ps_zoo_resnet50(struct ps_graph *g, int size)
{
	resnet(g, size, (const int[]){3, 4, 6, 3}, 4);
}

void ps_zoo_resnet152(struct ps_graph *g, int size)
{
	resnet(g, size, (const int[]){3, 8, 36, 3}, 4);
}
