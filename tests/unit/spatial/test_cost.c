/* The model against costs worked out by hand. */
#include "spatial/spatial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define assert_near(a, b, most) assert_true(fabs((a) - (b)) <= (most))

#define NS 1e-9

static struct ps_spatial_machine array(void)
{
	struct ps_spatial_machine m = {.name = "array",
				       .kind = PS_SPATIAL_ARRAY,
				       .units = 64,
				       .lanes = 4,
				       .clock_hz = 1e9,
				       .stages = 4,
				       .memories = 128,
				       .memory_bytes = 1024,
				       .memory_bytes_per_cycle = 16,
				       .depth = 100,
				       .element_units = 1};

	m.rates[PS_SPATIAL_INT8] =
		(struct ps_spatial_rate){.has = true, .pack = 4, .vector_s = NS, .overlap = 1};
	m.rates[PS_SPATIAL_FLOAT32] =
		(struct ps_spatial_rate){.has = true, .pack = 1, .vector_s = NS, .overlap = 1};
	return m;
}

static struct ps_spatial_layer lstm(int64_t hidden, int64_t inputs)
{
	return (struct ps_spatial_layer){.cell = PS_SPATIAL_LSTM,
					 .hidden = hidden,
					 .inputs = inputs,
					 .steps = 10,
					 .batch = 1};
}

static void costs_of_an_array(void **state)
{
	/* rounds * vectors * batch + depth + stages * levels, per pass */
	static const struct {
		struct ps_spatial_layer l;
		int64_t owners, reduce, width;
		double cycles, padding;
		int64_t units, memories, slice;
	} cases[] = {
		/* 32 / 8 rounds of 64 / 16 vectors; 8 * (4 + 1) units */
		{{PS_SPATIAL_LSTM, false, 32, 32, 10, 1}, 8, 1, 16, 16 + 100, 0, 40, 32, 256},
		/* two units per sum, and one that adds: 4 * (4 * 3 + 1); a level of the tree */
		{{PS_SPATIAL_LSTM, false, 32, 32, 10, 1}, 4, 2, 16, 16 + 104, 0, 52, 32, 256},
		/* five units per sum have three levels, and one unit adds their four others */
		{{PS_SPATIAL_LSTM, false, 32, 48, 10, 1}, 2, 5, 16, 16 + 112, 0, 50, 40, 256},
		/* 33 units in 5 rounds of 8, 65 products in 5 vectors of 16 */
		{{PS_SPATIAL_LSTM, false, 33, 32, 10, 1},
		 8,
		 1,
		 16,
		 25 + 100,
		 1 - 33. * 65 / (40 * 80),
		 40,
		 32,
		 400},
		{{PS_SPATIAL_LSTM, false, 32, 32, 10, 3}, 8, 1, 16, 48 + 100, 0, 40, 32, 256},
		{{PS_SPATIAL_GRU, false, 32, 32, 10, 1}, 8, 1, 16, 16 + 100, 0, 32, 24, 256},
		{{PS_SPATIAL_GRU, true, 32, 32, 10, 1}, 8, 1, 16, 232, 0, 32, 24, 256},
		{{PS_SPATIAL_PLAIN, false, 32, 32, 10, 1}, 32, 1, 16, 4 + 100, 0, 64, 32, 64},
		/* half as wide: twice as many vectors, of half the bytes */
		{{PS_SPATIAL_LSTM, false, 32, 32, 10, 1}, 8, 1, 8, 32 + 100, 0, 40, 32, 256},
	};
	const struct ps_spatial_machine m = array();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_spatial_map map = {.precision = PS_SPATIAL_INT8,
					     .owners = cases[i].owners,
					     .reduce = cases[i].reduce,
					     .width = cases[i].width};
		struct ps_spatial_cost c;
		assert_int_equal(ps_spatial_cost(&m, &cases[i].l, &map, &c), PS_SPATIAL_FITS);
		assert_near(c.cycles_per_step, cases[i].cycles, 1e-6);
		assert_near(c.latency_s, 10 * cases[i].cycles * NS, 1e-15);
		assert_near(c.fragmentation, cases[i].padding, 1e-12);
		assert_int_equal(c.units, cases[i].units);
		assert_int_equal(c.memories, cases[i].memories);
		assert_int_equal(c.slice_bytes, cases[i].slice);
		assert_int_equal(c.weight_bytes, c.slice_bytes * cases[i].owners * cases[i].reduce *
							 ps_spatial_gates(cases[i].l.cell));
	}
}

static void operations_are_counted_both_ways(void **state)
{
	const struct ps_spatial_machine m = array();
	struct ps_spatial_layer l = lstm(32, 32);
	struct ps_spatial_map map = {
		.precision = PS_SPATIAL_INT8, .owners = 8, .reduce = 1, .width = 16};
	struct ps_spatial_cost c;

	(void)state;
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.ops, 16. * 32 * 32 * 10, 0);
	assert_near(c.recurrent_ops, 8. * 32 * 32 * 10, 0);
	l.cell = PS_SPATIAL_GRU;
	l.batch = 2;
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.ops, 12. * 32 * 32 * 10 * 2, 0);
}

static void an_array_waits_for_its_memory(void **state)
{
	struct ps_spatial_machine m = array();
	const struct ps_spatial_layer l = lstm(32, 32);
	struct ps_spatial_map map = {
		.precision = PS_SPATIAL_FLOAT32, .owners = 8, .reduce = 1, .width = 4};
	struct ps_spatial_cost c;

	(void)state;
	assert_int_equal(ps_spatial_cost(&m, &l, &map, &c), PS_SPATIAL_FITS);
	assert_near(c.cycles_per_step, 64 + 100, 1e-6);
	m.memory_bytes_per_cycle = 4; /* of the 16 that four lanes take */
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.cycles_per_step, 256 + 100, 1e-6);
}

static void limits_are_said(void **state)
{
	static const struct {
		int64_t owners, reduce, width, memory_bytes;
		enum ps_spatial_precision precision;
		enum ps_spatial_limit limit;
	} cases[] = {
		{8, 1, 16, 1024, PS_SPATIAL_INT8, PS_SPATIAL_FITS},
		{13, 1, 16, 1024, PS_SPATIAL_INT8, PS_SPATIAL_UNITS}, /* 65 */
		{8, 1, 16, 64, PS_SPATIAL_INT8, PS_SPATIAL_FITS},     /* 128 memory units */
		{8, 1, 16, 63, PS_SPATIAL_INT8, PS_SPATIAL_MEMORIES},
		{8, 1, 16, 1024, PS_SPATIAL_BFLOAT16, PS_SPATIAL_NO_RATE},
		{8, 1, 17, 1024, PS_SPATIAL_INT8, PS_SPATIAL_SENSELESS},
		{8, 0, 16, 1024, PS_SPATIAL_INT8, PS_SPATIAL_SENSELESS},
		{0, 1, 16, 1024, PS_SPATIAL_INT8, PS_SPATIAL_SENSELESS},
	};
	const struct ps_spatial_layer l = lstm(32, 32);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_spatial_machine m = array();
		struct ps_spatial_map map = {.precision = cases[i].precision,
					     .owners = cases[i].owners,
					     .reduce = cases[i].reduce,
					     .width = cases[i].width};
		struct ps_spatial_cost c;
		m.memory_bytes = cases[i].memory_bytes;
		assert_int_equal(ps_spatial_cost(&m, &l, &map, &c), cases[i].limit);
	}
}

static struct ps_spatial_machine cores(void)
{
	struct ps_spatial_machine m = {.name = "cores",
				       .kind = PS_SPATIAL_CORES,
				       .units = 2,
				       .lanes = 16,
				       .block = 16,
				       .n_levels = 1,
				       .levels = {{8192, 8.192e9, 16.384e9}},
				       .exchange_s = 100 * NS,
				       .exchange_more_s = 20 * NS,
				       .exchange_byte_s = 0.1 * NS,
				       .start_s = 50 * NS};

	m.rates[PS_SPATIAL_FLOAT32] = (struct ps_spatial_rate){.has = true,
							       .pack = 1,
							       .vector_s = NS,
							       .rows_vector_s = 0.5 * NS,
							       .rows_read = 2,
							       .overlap = 1};
	m.rates[PS_SPATIAL_FLOAT32].block_s[PS_SPATIAL_LSTM] = 10 * NS;
	return m;
}

static void costs_of_cores(void **state)
{
	struct ps_spatial_machine m = cores();
	struct ps_spatial_layer l = lstm(32, 32);
	struct ps_spatial_map map = {
		.precision = PS_SPATIAL_FLOAT32, .owners = 2, .alternate = true, .rows = 10};
	struct ps_spatial_cost c;

	(void)state;
	assert_int_equal(ps_spatial_cost(&m, &l, &map, &c), PS_SPATIAL_FITS);
	assert_int_equal(c.slice_bytes, 16 * 4 * 32 * 4);
	assert_near(c.compute_s, 128 * NS, 1e-15);
	assert_near(c.read_s, 500 * NS, 1e-15);
	assert_near(c.exchange_s, (100 + 64 * 0.1) * NS, 1e-15);
	assert_near(c.step_s, (500 + 10 + 106.4) * NS, 1e-15);
	/* 10 rows of 128 vectors; W once, at half the rate, and R again; 2560 bytes written and
	 * read */
	assert_near(c.inputs_s, (640 + 2 * 1000 + (1000 - 500) + 2 * 312.5) * NS, 1e-14);
	assert_near(c.latency_s, (10 * 616.4 + 3765 + 50) * NS, 1e-14);
	map.rows = 5; /* twice W, and R twice again */
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.inputs_s, (640 + 2 * (2 * 1000 + 500 + 2 * 156.25)) * NS, 1e-14);
	map.rows = 10;
	map.alternate = false;
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.read_s, 1000 * NS, 1e-15);
	m.rates[PS_SPATIAL_FLOAT32].overlap = 0.5; /* half of what is computed shows */
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.step_s, (1000 + 64 + 10 + 106.4) * NS, 1e-15);
	map.owners = 1; /* no exchange, no start, all of R */
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.step_s, (2000 + 128 + 20) * NS, 1e-14);
	assert_near(c.latency_s, 10 * c.step_s + c.inputs_s, 1e-15);
	map.owners = 3;
	assert_int_equal(ps_spatial_cost(&m, &l, &map, &c), PS_SPATIAL_UNITS);
}

static void rows_share_what_is_read(void **state)
{
	const struct ps_spatial_machine m = cores();
	struct ps_spatial_layer l = lstm(32, 32);
	struct ps_spatial_map map = {
		.precision = PS_SPATIAL_FLOAT32, .owners = 2, .alternate = true, .rows = 40};
	struct ps_spatial_cost c;

	(void)state;
	l.batch = 4;
	ps_spatial_cost(&m, &l, &map, &c);
	assert_near(c.compute_s, 4 * 64 * NS, 1e-15);
	assert_near(c.read_s, 500 * NS, 1e-15);
	assert_near(c.step_s, (256 + 2 * 500 + 40 + 100 + 4 * 6.4) * NS, 1e-15);
}

static void rates_between_levels(void **state)
{
	static const struct {
		double bytes, forward_ns, alternating_ns;
	} cases[] = {
		{500, 500, 250},			  /* as the first */
		{1000, 1000, 500},  {2000, 3000, 2000},	  /* half the way by the logarithm */
		{4000, 8000, 6000}, {8000, 16000, 12000}, /* as the last */
	};
	struct ps_spatial_machine m = {.n_levels = 2,
				       .levels = {{1000, 1e9, 2e9}, {4000, 0.5e9, 1e9 / 1.5}}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_near(ps_spatial_read_s(&m, cases[i].bytes, false), cases[i].forward_ns * NS,
			    1e-15);
		assert_near(ps_spatial_read_s(&m, cases[i].bytes, true),
			    cases[i].alternating_ns * NS, 1e-15);
	}
}

static void senseless_layers_are_refused(void **state)
{
	static const struct {
		struct ps_spatial_layer l;
		enum ps_status status;
	} cases[] = {
		{{PS_SPATIAL_LSTM, false, 0, 1, 1, 1}, PS_EINVAL},
		{{PS_SPATIAL_LSTM, false, 1, 0, 1, 1}, PS_EINVAL},
		{{PS_SPATIAL_LSTM, false, 1, 1, 0, 1}, PS_EINVAL},
		{{PS_SPATIAL_LSTM, false, 1, 1, 1, 0}, PS_EINVAL},
		{{PS_SPATIAL_LSTM, false, 65537, 1, 1, 1}, PS_ETOOBIG},
		{{PS_SPATIAL_LSTM, false, 1, 65537, 1, 1}, PS_ETOOBIG},
		{{PS_SPATIAL_LSTM, false, 1, 1, 1 << 25, 1}, PS_ETOOBIG},
		{{PS_SPATIAL_LSTM, false, 1, 1, 1, 4097}, PS_ETOOBIG},
		{{PS_SPATIAL_LSTM, false, 65536, 65536, 1 << 24, 4096}, PS_OK},
	};
	struct ps_error err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(ps_spatial_layer_check(&cases[i].l, &err), cases[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_of_an_array),
		cmocka_unit_test(operations_are_counted_both_ways),
		cmocka_unit_test(an_array_waits_for_its_memory),
		cmocka_unit_test(limits_are_said),
		cmocka_unit_test(costs_of_cores),
		cmocka_unit_test(rows_share_what_is_read),
		cmocka_unit_test(rates_between_levels),
		cmocka_unit_test(senseless_layers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
