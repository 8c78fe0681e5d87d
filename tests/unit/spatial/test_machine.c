/* Machines as files: what is read, what is refused and where, and what is written. */
#include "spatial/machine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define assert_near(a, b, most) assert_true(fabs((a) - (b)) <= (most))

#define ARRAY                                                                                      \
	"name: a\nunits: 4\nlanes: 2\nclock_ghz: 0.5\nmemory: 2KB\nmemory_bytes_per_cycle: 8\n"
#define INT8 "precisions:\n  - {name: int8, pack: 4}\n"
#define CORES                                                                                      \
	"name: c\nkind: cores\nunits: 2\nlanes: 16\nlevels:\n"                                     \
	"  - {bytes: 1MiB, forward_gb_per_s: 50}\n"
#define FLOAT32 "precisions:\n  - {name: float32, vector_ns: 0.3}\n"

static enum ps_status parse(const char *text, struct ps_spatial_machine *m, struct ps_error *err)
{
	return ps_spatial_machine_parse(text, strlen(text), "m.yaml", m, err);
}

static void an_array_is_read(void **state)
{
	struct ps_spatial_machine m;
	struct ps_error err;

	(void)state;
	assert_int_equal(parse(ARRAY "stages: 3\ndepth: 140\n" INT8, &m, &err), PS_OK);
	assert_string_equal(m.name, "a");
	assert_int_equal(m.kind, PS_SPATIAL_ARRAY);
	assert_int_equal(m.units, 4);
	assert_int_equal(m.memories, 4); /* as many as units */
	assert_int_equal(m.memory_bytes, 2000);
	assert_int_equal(m.stages, 3);
	assert_int_equal(m.depth, 140);
	assert_true(m.rates[PS_SPATIAL_INT8].has);
	assert_false(m.rates[PS_SPATIAL_FLOAT32].has);
	assert_near(m.rates[PS_SPATIAL_INT8].vector_s, 2e-9, 1e-18);
}

static void cores_are_read(void **state)
{
	struct ps_spatial_machine m;
	struct ps_error err;

	(void)state;
	assert_int_equal(parse(CORES FLOAT32, &m, &err), PS_OK);
	assert_int_equal(m.block, 16);
	assert_int_equal(m.n_levels, 1);
	assert_near(m.levels[0].alternating_bps, 50e9, 1);
	assert_near(m.rates[PS_SPATIAL_FLOAT32].rows_vector_s, 0.3e-9, 1e-18);
}

static void mistakes_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *text, *where, *what;
	} cases[] = {
		{"name: a\nunits: 4\nlanes: 2\nmemory: 2KB\nmemory_bytes_per_cycle: 8\n" INT8,
		 "m.yaml:1:clock_ghz", "an array needs it"},
		{ARRAY "exchange_ns: 5\n" INT8, "m.yaml:1:exchange_ns", "an array has none"},
		{ARRAY "precisions:\n  - {name: int8, vector_ns: 2}\n", "m.yaml:8:vector_ns",
		 "a cycle of its clock"},
		{ARRAY INT8 "  - {name: int8}\n", "m.yaml:9:name", "a precision twice"},
		{CORES "depth: 3\n" FLOAT32, "m.yaml:1:depth", "cores have none"},
		{CORES "precisions:\n  - {name: int8}\n", "m.yaml:8:vector_ns", "cores need it"},
		{CORES "  - {bytes: 1MiB, forward_gb_per_s: 20}\n" FLOAT32, "m.yaml:7:bytes",
		 "larger than the one before"},
		{ARRAY "unit: 3\n" INT8, "m.yaml:7:unit", ""},
		{ARRAY "precisions: []\n", "m.yaml:7:precisions", ""},
		{"name: a\nunits: 5000\nlanes: 2\n" INT8, "m.yaml:2:units", ""},
		{"name: a\nunits: 4\nlanes: two\n" INT8, "m.yaml:3:lanes", ""},
		{ARRAY "precisions:\n  - {name: int4}\n", "m.yaml:8:", ""},
		{"name: a\nkind: gpu\n", "m.yaml:2:kind", ""},
		{ARRAY "precisions:\n  - {pack: 4}\n", "m.yaml:8", ""},
	};
	struct ps_spatial_machine m;
	struct ps_error err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(parse(cases[i].text, &m, &err), PS_EPARSE);
		if (!strstr(err.where, cases[i].where) || !strstr(err.what, cases[i].what))
			fail_msg("case %zu: %s: %s", i, err.where, err.what);
	}
}

static void what_is_written_is_read_again(void **state)
{
	static const char *const texts[] = {
		ARRAY "stages: 3\ndepth: 140\nelement_units: 2\nmemories: 9\n" INT8,
		CORES
		"  - {bytes: 2MiB, forward_gb_per_s: 20, alternating_gb_per_s: 31.25}\n"
		"measured_on: 'a \"CPU\", v\\1'\nexchange_ns: 160\nexchange_more_ns: 9\n"
		"exchange_byte_ns: 0.125\nstart_ns: 5000\nblock: 32\n" FLOAT32
		"  - {name: int8, pack: 4, vector_ns: 0.25, rows_vector_ns: 0.125, rows_read: 1.5,"
		" overlap: 0.75, block_lstm_ns: 60, block_gru_ns: 50, block_rnn_ns: 40}\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct ps_spatial_machine first, second;
		struct ps_strbuf out;
		struct ps_error err;
		assert_int_equal(parse(texts[i], &first, &err), PS_OK);
		ps_strbuf_init(&out);
		ps_spatial_machine_print(&first, &out);
		assert_int_equal(ps_strbuf_status(&out), PS_OK);
		if (parse(out.data, &second, &err) != PS_OK)
			fail_msg("%s: %s in\n%s", err.where, err.what, out.data);
		assert_string_equal(first.measured_on, second.measured_on);
		assert_int_equal(first.n_levels, second.n_levels);
		assert_memory_equal(&first.levels, &second.levels, sizeof first.levels);
		assert_memory_equal(&first.rates, &second.rates, sizeof first.rates);
		assert_near(first.exchange_byte_s, second.exchange_byte_s, 1e-18);
		assert_near(first.start_s, second.start_s, 1e-15);
		assert_int_equal(first.memories, second.memories);
		assert_int_equal(first.block, second.block);
		ps_strbuf_fini(&out);
	}
}

static void examples_are_machines(void **state)
{
	static const char *const names[] = {"plasticine-like", "four-wide-cores"};
	struct ps_spatial_machine m;
	struct ps_error err;
	char path[4096];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, PS_SOURCE_DIR "/examples/machines/%s.yaml", names[i]);
		if (ps_spatial_machine_load(path, &m, &err) != PS_OK)
			fail_msg("%s: %s", err.where, err.what);
	}
	assert_int_equal(ps_spatial_machine_load("/nowhere.yaml", &m, &err), PS_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_array_is_read),
		cmocka_unit_test(cores_are_read),
		cmocka_unit_test(mistakes_are_refused_with_their_line),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(examples_are_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
