/* The zoo against the published figures. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/onnx.h"
#include "model/zoo.h"

#include <math.h>
#include <string.h>

/* Parameters as published (batch-norm scale and shift counted), multiply-accumulates in 1e9 as
 * published, rounded. */
static const struct {
	const char *name;
	int64_t parameters;
	double gmacs;
} published[] = {
	{"alexnet", 61100840, 0.714},	   {"vgg16", 138357544, 15.47},
	{"googlenet", 6624904, 1.498},	   {"inception_v3", 23834568, 5.713},
	{"resnet18", 11689512, 1.814},	   {"resnet50", 25557032, 4.089},
	{"resnet152", 60192808, 11.514},   {"densenet121", 7978856, 2.834},
	{"squeezenet1_1", 1235496, 0.349}, {"mobilenet_v1", 4231976, 0.569},
	{"mobilenet_v2", 3504872, 0.301},  {"efficientnet_b0", 5288548, 0.386},
};

static void count_of(const char *name, struct ps_graph_counts *ret)
{
	struct ps_graph *g;
	struct ps_error err = {0};
	const struct ps_zoo_entry *e = ps_zoo_find(name);
	assert_non_null(e);
	if (ps_zoo_build(e, 1, &g, &err) != PS_OK)
		fail_msg("%s: %s (%s)", name, err.what, err.where);
	ps_graph_count(g, ret);
	ps_graph_free(g);
}

static void test_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
		struct ps_graph_counts n;
		count_of(published[i].name, &n);
		if (n.parameters != published[i].parameters)
			fail_msg("%s has %lld parameters", published[i].name,
				 (long long)n.parameters);
		if (fabs((double)n.macs / 1e9 / published[i].gmacs - 1) > 0.02)
			fail_msg("%s has %lld multiply-accumulates", published[i].name,
				 (long long)n.macs);
	}
}

static void test_cells(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int gates;
		int64_t hidden;
	} cells[] = {
		{"lstm_256", 4, 256},	{"lstm_512", 4, 512},	{"lstm_1024", 4, 1024},
		{"lstm_1536", 4, 1536}, {"lstm_2048", 4, 2048}, {"gru_512", 3, 512},
		{"gru_1024", 3, 1024},	{"gru_1536", 3, 1536},	{"gru_2048", 3, 2048},
		{"gru_2560", 3, 2560},	{"gru_2816", 3, 2816},
	};
	for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
		struct ps_graph_counts n;
		int64_t h = cells[i].hidden;
		count_of(cells[i].name, &n);
		assert_int_equal(n.macs, cells[i].gates * 2 * h * h);
		assert_int_equal(n.parameters, cells[i].gates * (2 * h * h + 2 * h));
	}
}

static void test_table(void **state)
{
	(void)state;
	int n;
	const struct ps_zoo_entry *e = ps_zoo_entries(&n);
	assert_int_equal(n, 23);
	for (int i = 0; i < n; i++) {
		struct ps_graph *g;
		int64_t bytes = 0;
		assert_ptr_equal(ps_zoo_find(e[i].name), &e[i]);
		assert_int_equal(ps_zoo_build(&e[i], 7, &g, NULL), PS_OK);
		assert_int_equal(ps_onnx_size(g, &bytes, NULL), PS_OK);
		assert_true(bytes > 0);
		ps_graph_free(g);
	}
	assert_null(ps_zoo_find("resnet51"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
