/* The front against its definition, on drawn machines; and what is said when nothing fits. */
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

#define ALL ((1U << PS_SPATIAL_PRECISIONS) - 1)

static uint64_t state_of_draws = 1;

static int64_t pick(int64_t lo, int64_t hi)
{
	state_of_draws = state_of_draws * 6364136223846793005ULL + 1442695040888963407ULL;
	return lo + (int64_t)((state_of_draws >> 33) % (uint64_t)(hi - lo + 1));
}

static struct ps_spatial_machine drawn_machine(void)
{
	struct ps_spatial_machine m = {.name = "drawn",
				       .kind = PS_SPATIAL_ARRAY,
				       .units = pick(4, 60),
				       .lanes = pick(1, 8),
				       .clock_hz = 1e9,
				       .stages = pick(1, 6),
				       .memories = pick(8, 120),
				       .memory_bytes = pick(64, 4096),
				       .memory_bytes_per_cycle = (double)pick(1, 32),
				       .depth = pick(0, 100),
				       .element_units = pick(0, 2)};

	for (int p = 0; p < PS_SPATIAL_PRECISIONS; p++)
		m.rates[p] = (struct ps_spatial_rate){
			.has = pick(0, 3) > 0, .pack = pick(1, 4), .vector_s = 1e-9, .overlap = 1};
	return m;
}

static bool as_good(const struct ps_spatial_cost *a, const struct ps_spatial_cost *b)
{
	return a->latency_s <= b->latency_s && a->units <= b->units && a->memories <= b->memories;
}

static bool same(const struct ps_spatial_cost *a, const struct ps_spatial_cost *b)
{
	return as_good(a, b) && as_good(b, a);
}

/* By the definition: nobody better, and of equal ones just one. */
static void check_front(const struct ps_spatial_points *p)
{
	for (size_t i = 0; i < p->len; i++) {
		const struct ps_spatial_point *me = &p->items[i];
		bool beaten = false, stands_for_me = me->front;
		for (size_t j = 0; j < p->len; j++) {
			const struct ps_spatial_point *other = &p->items[j];
			if (j == i || other->map.precision != me->map.precision)
				continue;
			if (same(&other->cost, &me->cost)) {
				assert_false(other->front && me->front);
				stands_for_me |= other->front;
			} else {
				beaten |= as_good(&other->cost, &me->cost);
			}
		}
		assert_true(beaten ? !me->front : stands_for_me);
	}
}

static void the_front_is_the_front(void **state)
{
	struct ps_spatial_points points;
	struct ps_error err;
	int fit = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct ps_spatial_machine m = drawn_machine();
		struct ps_spatial_layer l = {.cell = (enum ps_spatial_cell)pick(0, 2),
					     .hidden = pick(1, 40),
					     .inputs = pick(1, 40),
					     .steps = pick(1, 5),
					     .batch = pick(1, 3)};
		if (ps_spatial_explore(&m, &l, ALL, &points, &err) != PS_OK)
			continue;
		fit++;
		assert_int_equal(points.tried,
				 points.len + points.without_units + points.without_memory);
		check_front(&points);
		for (size_t k = 1; k < points.len; k++)
			assert_true(points.items[k - 1].map.precision <
					    points.items[k].map.precision ||
				    points.items[k - 1].cost.latency_s <=
					    points.items[k].cost.latency_s);
		assert_ptr_equal(ps_spatial_best(&points, points.items[0].map.precision),
				 &points.items[0]);
		ps_spatial_points_fini(&points);
	}
	assert_true(fit > 50);
}

static const char small[] = "name: small\nunits: 9\nlanes: 2\nclock_ghz: 1\nmemory: 1KiB\n"
			    "memory_bytes_per_cycle: 8\nprecisions:\n  - {name: int8, pack: 2}\n";

/* 9 units for an LSTM without element units: 1 or 2 tiles of one unit per sum; a second unit per
 * sum wants a third that adds. Widths 1, 2, 4. Two tiles of 4 units, 4 products per cycle: 4 rounds
 * of 4 vectors. */
static void every_mapping_is_tried(void **state)
{
	struct ps_spatial_machine m;
	struct ps_spatial_layer l = {
		.cell = PS_SPATIAL_LSTM, .hidden = 8, .inputs = 8, .steps = 1, .batch = 1};
	struct ps_spatial_points points;
	struct ps_error err;

	(void)state;
	assert_int_equal(ps_spatial_machine_parse(small, strlen(small), "small.yaml", &m, &err),
			 PS_OK);
	assert_int_equal(ps_spatial_explore(&m, &l, ALL, &points, &err), PS_OK);
	assert_int_equal(points.len, 6);
	const struct ps_spatial_point *best = ps_spatial_best(&points, PS_SPATIAL_INT8);
	assert_int_equal(best->map.owners, 2);
	assert_int_equal(best->map.width, 4);
	assert_near(best->cost.cycles_per_step, 16, 1e-9);
	assert_null(ps_spatial_best(&points, PS_SPATIAL_FLOAT32));
	ps_spatial_points_fini(&points);
}

static void nothing_fits(void **state)
{
	static const struct {
		int64_t hidden, units, memory_bytes;
		unsigned precisions;
		enum ps_status status;
		const char *says;
	} cases[] = {
		{8, 3, 1024, ALL, PS_EUNAVAIL, "too few compute units"},
		{8, 9, 7, ALL, PS_EUNAVAIL, "do not fit into the memory"},
		{8, 9, 1024, 1U << PS_SPATIAL_FLOAT32, PS_EUNAVAIL, "none of the precisions"},
		{0, 9, 1024, ALL, PS_EINVAL, "0 hidden units"},
	};
	struct ps_spatial_machine m;
	struct ps_error err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ps_spatial_layer l = {.cell = PS_SPATIAL_LSTM,
					     .hidden = cases[i].hidden,
					     .inputs = 8,
					     .steps = 1,
					     .batch = 1};
		struct ps_spatial_points points;
		ps_spatial_machine_parse(small, strlen(small), "small.yaml", &m, &err);
		m.units = cases[i].units;
		m.memory_bytes = cases[i].memory_bytes;
		assert_int_equal(ps_spatial_explore(&m, &l, cases[i].precisions, &points, &err),
				 cases[i].status);
		assert_non_null(strstr(err.what, cases[i].says));
	}
}

static void threads_directions_and_rows_of_cores(void **state)
{
	struct ps_spatial_machine m = {.name = "cores",
				       .kind = PS_SPATIAL_CORES,
				       .units = 8,
				       .lanes = 16,
				       .block = 16,
				       .n_levels = 1,
				       .levels = {{1024, 1e9, 2e9}}};
	struct ps_spatial_layer l = {
		.cell = PS_SPATIAL_GRU, .hidden = 40, .inputs = 40, .steps = 20, .batch = 1};
	struct ps_spatial_points points;
	struct ps_error err;

	(void)state;
	m.rates[PS_SPATIAL_INT8] = (struct ps_spatial_rate){
		.has = true, .pack = 4, .vector_s = 1e-9, .rows_vector_s = 1e-9, .overlap = 1};
	assert_int_equal(ps_spatial_explore(&m, &l, ALL, &points, &err), PS_OK);
	/* 3 blocks: 1 to 3 threads; there and back or not; 8, 16 and all 20 rows */
	assert_int_equal(points.tried, 3 * 2 * 3);
	const struct ps_spatial_point *best = ps_spatial_best(&points, PS_SPATIAL_INT8);
	assert_int_equal(best->map.owners, 3);
	assert_true(best->map.alternate);
	ps_spatial_points_fini(&points);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_front_is_the_front),
		cmocka_unit_test(every_mapping_is_tried),
		cmocka_unit_test(nothing_fits),
		cmocka_unit_test(threads_directions_and_rows_of_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
