/* The graph builder: shapes, counts, scales, and errors that stick. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/graph.h"
#include "model/moments_internal.h"

#include <math.h>
#include <string.h>

static struct ps_graph *image(int *ret_x, int channels, int side)
{
	struct ps_graph *g = ps_graph_new("test", 1);
	assert_non_null(g);
	*ret_x = ps_graph_input(g, "input", 4, (int64_t[]){PS_GRAPH_BATCH, channels, side, side});
	return g;
}

static void expect_shape(const struct ps_graph *g, int x, int rank, const int64_t *dims)
{
	int got;
	const int64_t *d = ps_graph_shape(g, x, &got);
	assert_int_equal(got, rank);
	assert_memory_equal(d, dims, (size_t)rank * sizeof *dims);
}

static void test_conv_shapes(void **state)
{
	(void)state;
	static const struct {
		struct ps_graph_conv c;
		int64_t h, w, parameters, macs;
	} rows[] = {
		{{.out = 8, .kernel = 3}, 30, 30, 8 * 4 * 9, 30 * 30 * 8 * 36},
		{{.out = 8, .kernel = 3, .pad = 1}, 32, 32, 288, 32 * 32 * 288},
		{{.out = 8, .kernel = 3, .pad = 1, .stride = 2}, 16, 16, 288, 16 * 16 * 288},
		{{.out = 8, .kernel = 1, .bias = true}, 32, 32, 40, 32 * 32 * 32},
		{{.out = 4, .kernel = 3, .pad = 1, .groups = 4}, 32, 32, 36, 32 * 32 * 36},
		{{.out = 8, .kernel = 1, .kernel_w = 7, .pad_w = 3}, 32, 32, 224, 32 * 32 * 224},
		{{.out = 8, .kernel = 7, .kernel_w = 1, .pad = 3}, 32, 32, 224, 32 * 32 * 224},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int x;
		struct ps_graph *g = image(&x, 4, 32);
		struct ps_graph_counts n;
		int y = ps_graph_conv(g, x, &rows[i].c);
		expect_shape(g, y, 4, (int64_t[]){-1, rows[i].c.out, rows[i].h, rows[i].w});
		ps_graph_count(g, &n);
		assert_int_equal(n.parameters, rows[i].parameters);
		assert_int_equal(n.macs, rows[i].macs);
		assert_int_equal(n.nodes, 1);
		ps_graph_free(g);
	}
}

static void test_pool_shapes(void **state)
{
	(void)state;
	static const struct {
		int side;
		struct ps_graph_pool p;
		int64_t out;
	} rows[] = {
		{55, {.kernel = 3, .stride = 2}, 27},
		{112, {.kernel = 3, .stride = 2, .pad = 1}, 56},
		{112, {.kernel = 3, .stride = 2, .ceil = true}, 56},
		{112, {.kernel = 3, .stride = 2}, 55},
		{28, {.kernel = 3, .stride = 1, .pad = 1, .ceil = true}, 28},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int x;
		struct ps_graph *g = image(&x, 2, rows[i].side);
		int64_t want[] = {-1, 2, rows[i].out, rows[i].out};
		expect_shape(g, ps_graph_max_pool(g, x, &rows[i].p), 4, want);
		expect_shape(g, ps_graph_avg_pool(g, x, &rows[i].p), 4, want);
		ps_graph_free(g);
	}
}

static void test_other_shapes(void **state)
{
	(void)state;
	int x;
	struct ps_graph *g = image(&x, 3, 8);
	struct ps_graph_counts n;
	int both = ps_graph_concat(g, (const int[]){x, ps_graph_relu(g, x)}, 2);
	expect_shape(g, both, 4, (int64_t[]){-1, 6, 8, 8});
	int mean = ps_graph_global_avg_pool(g, both);
	expect_shape(g, mean, 4, (int64_t[]){-1, 6, 1, 1});
	expect_shape(g, ps_graph_scale(g, both, ps_graph_sigmoid(g, mean)), 4,
		     (int64_t[]){-1, 6, 8, 8});
	int flat = ps_graph_flatten(g, both);
	expect_shape(g, flat, 2, (int64_t[]){-1, 384});
	expect_shape(g, ps_graph_gemm(g, flat, 10), 2, (int64_t[]){-1, 10});
	ps_graph_batch_norm(g, both, 1e-5, 1, 0);
	ps_graph_relu6(g, both);
	ps_graph_count(g, &n);
	/* Scale and shift count; mean, variance and the bounds of a clip do not. */
	assert_int_equal(n.parameters, 384 * 10 + 10 + 2 * 6);
	assert_int_equal(n.macs, 3840);
	assert_int_equal(ps_graph_status(g, NULL), PS_OK);
	ps_graph_free(g);
}

static void test_recurrent(void **state)
{
	(void)state;
	for (int gates = 3; gates <= 4; gates++) {
		struct ps_graph *g = ps_graph_new("cell", 1);
		struct ps_graph_counts n;
		int x = ps_graph_input(g, "input", 3,
				       (int64_t[]){PS_GRAPH_STEPS, PS_GRAPH_BATCH, 24});
		int y = gates == 3 ? ps_graph_gru(g, x, 16) : ps_graph_lstm(g, x, 16);
		expect_shape(g, y, 3, (int64_t[]){PS_GRAPH_STEPS, PS_GRAPH_BATCH, 16});
		ps_graph_count(g, &n);
		assert_int_equal(n.macs, gates * 16 * (24 + 16));
		assert_int_equal(n.parameters, gates * 16 * (24 + 16 + 2));
		ps_graph_free(g);
	}
}

static int bad_value(struct ps_graph *g, int x)
{
	return ps_graph_relu(g, x + 1000);
}
static int bad_conv(struct ps_graph *g, int x)
{
	return ps_graph_conv(g, x, &(struct ps_graph_conv){.out = 8, .kernel = 9});
}
static int bad_groups(struct ps_graph *g, int x)
{
	return ps_graph_conv(g, x, &(struct ps_graph_conv){.out = 8, .kernel = 1, .groups = 2});
}
static int bad_add(struct ps_graph *g, int x)
{
	return ps_graph_add(g, x, ps_graph_global_avg_pool(g, x));
}
static int bad_concat(struct ps_graph *g, int x)
{
	return ps_graph_concat(g, (const int[]){x, ps_graph_global_avg_pool(g, x)}, 2);
}
static int bad_many(struct ps_graph *g, int x)
{
	int xs[PS_GRAPH_MAX_CONCAT + 1] = {x};
	return ps_graph_concat(g, xs, PS_GRAPH_MAX_CONCAT + 1);
}
static int bad_rank(struct ps_graph *g, int x)
{
	return ps_graph_gemm(g, x, 10);
}
static int bad_pool(struct ps_graph *g, int x)
{
	return ps_graph_max_pool(g, x, &(struct ps_graph_pool){.kernel = 3});
}
static int bad_scale(struct ps_graph *g, int x)
{
	return ps_graph_scale(g, x, x);
}
static int bad_cell(struct ps_graph *g, int x)
{
	return ps_graph_lstm(g, x, 8);
}
static int bad_input(struct ps_graph *g, int x)
{
	(void)x;
	return ps_graph_input(g, "zero", 2, (int64_t[]){1, 0});
}

static void test_errors_stick(void **state)
{
	(void)state;
	static int (*const wrong[])(struct ps_graph *, int) = {
		bad_value, bad_conv, bad_groups, bad_add,  bad_concat, bad_many,
		bad_rank,  bad_pool, bad_scale,	 bad_cell, bad_input};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		int x, rank;
		struct ps_graph *g = image(&x, 3, 8);
		struct ps_error first = {0}, later = {0};
		assert_int_equal(wrong[i](g, x), PS_GRAPH_NONE);
		assert_int_equal(ps_graph_status(g, &first), PS_EINVAL);
		assert_true(first.what[0] && first.where[0]);
		/* A later layer, right or wrong, changes nothing. */
		assert_int_equal(ps_graph_relu(g, x), PS_GRAPH_NONE);
		assert_int_equal(ps_graph_swish(g, PS_GRAPH_NONE), PS_GRAPH_NONE);
		ps_graph_output(g, x, "output");
		ps_graph_shape(g, PS_GRAPH_NONE, &rank);
		assert_int_equal(rank, 0);
		assert_int_equal(ps_graph_status(g, &later), PS_EINVAL);
		assert_string_equal(first.what, later.what);
		ps_graph_free(g);
	}
}

static void test_limits(void **state)
{
	(void)state;
	int x;
	struct ps_graph *g = image(&x, 1, 1);
	for (int i = 0; i < PS_GRAPH_MAX_NODES; i++)
		x = ps_graph_relu(g, x);
	assert_int_equal(ps_graph_status(g, NULL), PS_OK);
	assert_int_equal(ps_graph_relu(g, x), PS_GRAPH_NONE);
	assert_int_equal(ps_graph_status(g, NULL), PS_ETOOBIG);
	ps_graph_free(g);
	/* Sizes that would not fit into 64 bits. */
	g = ps_graph_new("wide", 1);
	x = ps_graph_input(g, "input", 2, (int64_t[]){PS_GRAPH_BATCH, INT64_C(1) << 40});
	assert_int_equal(ps_graph_gemm(g, x, 1 << 20), PS_GRAPH_NONE);
	assert_int_equal(ps_graph_status(g, NULL), PS_ETOOBIG);
	ps_graph_free(g);
}

static double identity(double x)
{
	return x;
}

static void test_moments(void **state)
{
	(void)state;
	static const struct ps_moments unit = {0, 1};
	static const struct {
		double (*f)(double);
		struct ps_moments in;
		double mean, square; /* known in closed form, or by a finer integration */
	} rows[] = {
		{identity, {3, 4}, 3, 13},
		{ps_moments_relu, {0, 1}, 0.398942, 0.5},
		{ps_moments_relu, {0, 4}, 0.797885, 2},
		{ps_moments_relu6, {0, 1}, 0.398942, 0.5},
		{ps_moments_sigmoid, {0, 1}, 0.5, 0.293379},
		{ps_moments_swish, {0, 1}, 0.206621, 0.355815},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ps_moments m = ps_moments_map(rows[i].in, rows[i].f);
		assert_true(fabs(m.mean - rows[i].mean) < 1e-3);
		assert_true(fabs(ps_moments_square(m) - rows[i].square) < 1e-3);
	}
	struct ps_moments p =
		ps_moments_product((struct ps_moments){2, 1}, (struct ps_moments){3, 0});
	assert_true(fabs(p.mean - 6) < 1e-12 && fabs(p.var - 9) < 1e-12);
	assert_true(ps_moments_max(unit, 9).mean > ps_moments_max(unit, 4).mean);
	assert_true(fabs(ps_moments_average(unit, 1).var - 1) < 1e-12);
	assert_true(ps_moments_average(unit, 49).var < 0.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conv_shapes),  cmocka_unit_test(test_pool_shapes),
		cmocka_unit_test(test_other_shapes), cmocka_unit_test(test_recurrent),
		cmocka_unit_test(test_errors_stick), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_moments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
