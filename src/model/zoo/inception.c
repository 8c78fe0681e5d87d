/* GoogLeNet (with batch normalisation) and Inception v3, both without auxiliary heads. */
#include "model/zoo/zoo_internal.h"

static int conv(struct ps_graph *g, int x, const struct ps_graph_conv *c)
{
	return ps_graph_relu(g, ps_graph_batch_norm(g, ps_graph_conv(g, x, c), 1e-3, 1, 0));
}

/* Square convolution that keeps the size. */
static int same(struct ps_graph *g, int x, int out, int kernel)
{
	return conv(g, x, &(struct ps_graph_conv){.out = out, .kernel = kernel, .pad = kernel / 2});
}

/* Convolution of `h` x `w` that keeps the size. */
static int strip(struct ps_graph *g, int x, int out, int h, int w)
{
	return conv(g, x,
		    &(struct ps_graph_conv){
			    .out = out, .kernel = h, .kernel_w = w, .pad = h / 2, .pad_w = w / 2});
}

/* Convolution without padding. */
static int valid(struct ps_graph *g, int x, int out, int kernel, int stride)
{
	return conv(g, x, &(struct ps_graph_conv){.out = out, .kernel = kernel, .stride = stride});
}

/* Widths of one GoogLeNet module: 1x1; 1x1 before and the 3x3; 1x1 before and the second 3x3
 * (published as 5x5, trained as 3x3 in the common implementation); 1x1 behind the pool. */
struct module {
	int one, reduce3, three, reduce5, five, pool;
};

static int googlenet_module(struct ps_graph *g, int x, const struct module *m)
{
	int parts[] = {same(g, x, m->one, 1), same(g, same(g, x, m->reduce3, 1), m->three, 3),
		       same(g, same(g, x, m->reduce5, 1), m->five, 3),
		       same(g, ps_zoo_max_pool(g, x, 3, 1, 1, true), m->pool, 1)};
	return ps_graph_concat(g, parts, 4);
}

void ps_zoo_googlenet(struct ps_graph *g, int size)
{
	static const struct module modules[] = {
		{64, 96, 128, 16, 32, 32},     /* 3a */
		{128, 128, 192, 32, 96, 64},   /* 3b */
		{192, 96, 208, 16, 48, 64},    /* 4a */
		{160, 112, 224, 24, 64, 64},   /* 4b */
		{128, 128, 256, 24, 64, 64},   /* 4c */
		{112, 144, 288, 32, 64, 64},   /* 4d */
		{256, 160, 320, 32, 128, 128}, /* 4e */
		{256, 160, 320, 32, 128, 128}, /* 5a */
		{384, 192, 384, 48, 128, 128}, /* 5b */
	};
	int x = conv(g, ps_zoo_image(g, size),
		     &(struct ps_graph_conv){.out = 64, .kernel = 7, .stride = 2, .pad = 3});
	x = ps_zoo_max_pool(g, x, 3, 2, 0, true);
	x = same(g, same(g, x, 64, 1), 192, 3);
	x = ps_zoo_max_pool(g, x, 3, 2, 0, true);
	for (int i = 0; i < 9; i++) {
		if (i == 2)
			x = ps_zoo_max_pool(g, x, 3, 2, 0, true);
		if (i == 7)
			x = ps_zoo_max_pool(g, x, 2, 2, 0, true);
		x = googlenet_module(g, x, &modules[i]);
	}
	ps_zoo_classify(g, x);
}

/* Average over 3x3, then a 1x1 convolution. */
static int pooled(struct ps_graph *g, int x, int out)
{
	struct ps_graph_pool p = {.kernel = 3, .stride = 1, .pad = 1};
	return same(g, ps_graph_avg_pool(g, x, &p), out, 1);
}

static int inception_a(struct ps_graph *g, int x, int pool)
{
	int parts[] = {same(g, x, 64, 1), same(g, same(g, x, 48, 1), 64, 5),
		       same(g, same(g, same(g, x, 64, 1), 96, 3), 96, 3), pooled(g, x, pool)};
	return ps_graph_concat(g, parts, 4);
}

static int reduction_b(struct ps_graph *g, int x)
{
	int parts[] = {valid(g, x, 384, 3, 2),
		       valid(g, same(g, same(g, x, 64, 1), 96, 3), 96, 3, 2),
		       ps_zoo_max_pool(g, x, 3, 2, 0, false)};
	return ps_graph_concat(g, parts, 3);
}

static int inception_c(struct ps_graph *g, int x, int c)
{
	int seven = strip(g, strip(g, same(g, x, c, 1), c, 1, 7), 192, 7, 1);
	int twice = strip(g, strip(g, same(g, x, c, 1), c, 7, 1), c, 1, 7);
	twice = strip(g, strip(g, twice, c, 7, 1), 192, 1, 7);
	int parts[] = {same(g, x, 192, 1), seven, twice, pooled(g, x, 192)};
	return ps_graph_concat(g, parts, 4);
}

static int reduction_d(struct ps_graph *g, int x)
{
	int seven = strip(g, strip(g, same(g, x, 192, 1), 192, 1, 7), 192, 7, 1);
	int parts[] = {valid(g, same(g, x, 192, 1), 320, 3, 2), valid(g, seven, 192, 3, 2),
		       ps_zoo_max_pool(g, x, 3, 2, 0, false)};
	return ps_graph_concat(g, parts, 3);
}

static int inception_e(struct ps_graph *g, int x)
{
	int one = same(g, x, 384, 1), two = same(g, same(g, x, 448, 1), 384, 3);
	int parts[] = {same(g, x, 320, 1),	 strip(g, one, 384, 1, 3), strip(g, one, 384, 3, 1),
		       strip(g, two, 384, 1, 3), strip(g, two, 384, 3, 1), pooled(g, x, 192)};
	return ps_graph_concat(g, parts, 6);
}

void ps_zoo_inception_v3(struct ps_graph *g, int size)
{
	static const int a_pools[] = {32, 64, 64}, c_widths[] = {128, 160, 160, 192};
	int x = valid(g, ps_zoo_image(g, size), 32, 3, 2);
	x = same(g, valid(g, x, 32, 3, 1), 64, 3);
	x = ps_zoo_max_pool(g, x, 3, 2, 0, false);
	x = valid(g, same(g, x, 80, 1), 192, 3, 1);
	x = ps_zoo_max_pool(g, x, 3, 2, 0, false);
	for (int i = 0; i < 3; i++)
		x = inception_a(g, x, a_pools[i]);
	x = reduction_b(g, x);
	for (int i = 0; i < 4; i++)
		x = inception_c(g, x, c_widths[i]);
	x = reduction_d(g, x);
	ps_zoo_classify(g, inception_e(g, inception_e(g, x)));
}
