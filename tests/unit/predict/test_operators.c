/* The sum of predicted operators: of models whose own operators were never timed. */
// needs: base
#include "unit/predict/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define MODELS 8
#define OPS    24

static const struct ps_predict_quantity timed = {
	.name = "time",
	.unit = "ns",
	.columns = {{"work", PS_PREDICT_LOGS | PS_PREDICT_ADDS}},
	.column_len = 1,
	.places = {"threads"},
	.place_len = 1,
};

struct world {
	struct ps_predict_op ops[MODELS][OPS];
	struct ps_predict_model works[MODELS];
	struct ps_predict_row rows[2 * MODELS];
	const char *names[MODELS];
	struct ps_predict_table table;
};

/* Two thirds are convolutions, faster the more channels they make; the others move bytes. */
static void make_op(struct ps_predict_op *op, int i, struct ps_rng *rng)
{
	int64_t channels = 16 << ps_rng_below(rng, 5), size = 7 << ps_rng_below(rng, 4);

	*op = (struct ps_predict_op){.kind = i % 3 == 2 ? PS_PREDICT_ELEMENTWISE : PS_PREDICT_CONV,
				     .known = true};
	op->shape = (struct ps_predict_shape){.batch = 1,
					      .in_channels = channels,
					      .out_channels = channels,
					      .out_h = size,
					      .out_w = size,
					      .kernel_h = 3,
					      .kernel_w = 3,
					      .stride_h = 1,
					      .groups = 1};
	op->in_bytes = op->out_bytes = 4.0 * (double)(channels * size * size);
	if (op->kind == PS_PREDICT_CONV) {
		op->macs = 9.0 * (double)(channels * channels * size * size);
		op->param_bytes = 36.0 * (double)(channels * channels);
		op->time_ns = 0.2 * op->macs * pow((double)channels, -0.3);
	} else {
		op->time_ns = 0.05 * ps_predict_op_bytes(op);
	}
}

static double sum_of(const struct ps_predict_model *w)
{
	double sum = 0;

	for (size_t i = 0; i < w->op_count; i++)
		sum += w->ops[i].time_ns;
	return sum;
}

/* A run takes 1.1 of the sum of its operators; with two threads 0.6. */
static void make_world(struct world *w)
{
	struct ps_rng rng;

	ps_rng_init(&rng, 31, 0);
	memset(w, 0, sizeof(*w));
	for (int g = 0; g < MODELS; g++) {
		w->names[g] = "model";
		w->works[g] =
			(struct ps_predict_model){.batch = 1, .ops = w->ops[g], .op_count = OPS};
		for (int i = 0; i < OPS; i++)
			make_op(&w->ops[g][i], i, &rng);
		for (int k = 0; k < 2; k++)
			w->rows[2 * g + k] =
				(struct ps_predict_row){.models = {g, -1},
							.place = {1 + k},
							.x = {1},
							.y = (k ? 0.6 : 1.1) * sum_of(&w->works[g]),
							.noise = NAN,
							.anchor = NAN,
							.work = &w->works[g]};
	}
	w->table = (struct ps_predict_table){&timed, w->names, MODELS, w->rows, 2 * MODELS, NULL};
}

static void test_unseen_models(void **state)
{
	(void)state;
	static const struct ps_predict_candidate *const only[] = {&ps_predict_operators, NULL};
	static struct world w;
	struct ps_predict_learned *l = NULL;
	make_world(&w);
	assert_int_equal(ps_predict_learn(&w.table, only, &l, NULL), PS_OK);
	if (!(l->error < 0.02))
		fail_msg("error %g", l->error);
	ps_predict_learned_free(l);
}

/* What was measured of the model that is asked for must not help. */
static void test_its_own_times_do_not_count(void **state)
{
	(void)state;
	static struct world w;
	size_t at[2 * MODELS];
	make_world(&w);
	for (size_t i = 0; i < w.table.len - 2; i++)
		at[i] = i;
	struct ps_predict_rows rows = {&w.table, at, w.table.len - 2};
	for (int v = 0; v < ps_predict_operators.variants; v++) {
		void *fit = NULL;
		assert_int_equal(ps_predict_operators.fit(&rows, v, &fit, NULL), PS_OK);
		const struct ps_predict_row *row = &w.rows[w.table.len - 1];
		double before = ps_predict_operators.at(fit, row);
		for (int i = 0; i < OPS; i++)
			w.ops[MODELS - 1][i].time_ns *= 1000;
		double after = ps_predict_operators.at(fit, row);
		for (int i = 0; i < OPS; i++)
			w.ops[MODELS - 1][i].time_ns /= 1000;
		assert_true(before > 0 && before == after);
		ps_predict_operators.free(fit);
	}
}

/* Without probes of the machine two of its three members are left: the middle of two is their
 * geometric mean. Without operators it is no candidate. */
static void test_median(void **state)
{
	(void)state;
	static struct world w;
	size_t at[2 * MODELS];
	make_world(&w);
	for (size_t i = 0; i < w.table.len; i++) {
		at[i] = i;
		w.rows[i].x[0] = 1 + (double)i;
	}
	struct ps_predict_rows rows = {&w.table, at, w.table.len - 2};
	const struct ps_predict_row *row = &w.rows[w.table.len - 1];
	void *fit = NULL, *sum = NULL, *operators = NULL;
	assert_int_equal(ps_predict_median.fit(&rows, 0, &fit, NULL), PS_OK);
	assert_int_equal(ps_predict_robust.fit(&rows, 0, &sum, NULL), PS_OK);
	assert_int_equal(ps_predict_operators.fit(&rows, 4, &operators, NULL), PS_OK);
	double a = ps_predict_robust.at(sum, row), b = ps_predict_operators.at(operators, row);
	assert_true(fabs(ps_predict_median.at(fit, row) / sqrt(a * b) - 1) < 1e-9);
	ps_predict_median.free(fit);
	ps_predict_robust.free(sum);
	ps_predict_operators.free(operators);
	for (size_t i = 0; i < w.table.len; i++)
		w.rows[i].work = NULL;
	assert_int_equal(ps_predict_median.fit(&rows, 0, &fit, NULL), PS_EUNAVAIL);
}

/* A kind that no measured model has, and an operator that nobody knows, still count as moved
 * bytes; a row without operators gets no answer. */
static void test_kinds_never_seen(void **state)
{
	(void)state;
	static struct world w;
	size_t at[2 * MODELS];
	make_world(&w);
	for (size_t i = 0; i < w.table.len; i++)
		at[i] = i;
	struct ps_predict_rows rows = {&w.table, at, w.table.len};
	void *fit = NULL;
	assert_int_equal(ps_predict_operators.fit(&rows, 1, &fit, NULL), PS_OK);
	struct ps_predict_op ops[2] = {
		{.kind = PS_PREDICT_CONCAT, .known = true, .in_bytes = 1e6, .out_bytes = 1e6},
		{.kind = PS_PREDICT_OTHER, .macs = NAN, .in_bytes = 1e6, .out_bytes = 1e6}};
	struct ps_predict_model work = {.batch = 1, .ops = ops, .op_count = 2};
	struct ps_predict_row row = w.rows[0];
	row.work = &work;
	double got = ps_predict_operators.at(fit, &row), want = 1.1 * 0.05 * 4e6;
	assert_true(fabs(got / want - 1) < 0.05);
	row.work = NULL;
	assert_true(isnan(ps_predict_operators.at(fit, &row)));
	ps_predict_operators.free(fit);
}

static const struct ps_predict_quantity sliced = {
	.name = "time",
	.unit = "ns",
	.columns = {{"work", PS_PREDICT_LOGS | PS_PREDICT_ADDS}},
	.column_len = 1,
	.places = {"batch", "threads", "CPUs"},
	.place_len = 3,
};

/* Measured: batch 1 with one thread (1.1 of the sum), batch 4 with two (0.6 of it). */
static void test_settings_that_were_not_measured(void **state)
{
	(void)state;
	static const struct {
		double place[3], ratio;
	} cases[] = {
		{{1, 1, 1}, 1.1}, {{4, 2, 2}, 0.6}, {{1, 2, 2}, 0.6},  {{16, 2, 2}, 0.6},
		{{4, 1, 1}, 1.1}, {{1, 4, 4}, 0.6}, {{16, 1, 1}, 1.1},
	};
	static struct world w;
	size_t at[2 * MODELS];
	make_world(&w);
	w.table.quantity = &sliced;
	for (size_t i = 0; i < w.table.len; i++) {
		const double place[] = {i % 2 ? 4 : 1, i % 2 ? 2 : 1, i % 2 ? 2 : 1};
		memcpy(w.rows[i].place, place, sizeof(place));
		at[i] = i;
	}
	struct ps_predict_rows rows = {&w.table, at, w.table.len};
	void *fit = NULL;
	assert_int_equal(ps_predict_operators.fit(&rows, 1, &fit, NULL), PS_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ps_predict_row row = w.rows[0];
		memcpy(row.place, cases[i].place, sizeof(cases[i].place));
		double got = ps_predict_operators.at(fit, &row) / sum_of(&w.works[0]);
		if (!(fabs(got / cases[i].ratio - 1) < 0.02))
			fail_msg("case %zu: %g of the sum", i, got);
	}
	ps_predict_operators.free(fit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unseen_models),
		cmocka_unit_test(test_its_own_times_do_not_count),
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_kinds_never_seen),
		cmocka_unit_test(test_settings_that_were_not_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
